"""What was measured as a page and as a picture: docs/benchmarks.md and its chart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["chart", "page"]

Found = Mapping[str, Any]

ROW, LEFT, WIDTH, RIGHT = 22, 330, 520, 70
INK, QUIET, OURS = "#1f2328", "#8c959f", "#0969da"


def page(found: Found) -> str:
    """The page of the latest run."""
    installed = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    parts = [
        "# Benchmarks",
        "",
        "`make bench` measures all of this again and writes this page; `make bench-quick` takes two"
        " minutes.",
        "",
        f"Measured on {found['date']}: {found['machine']}.",
        f"With {installed}.",
        "",
        *_programs(found.get("programs")),
        *_deriving(found.get("deriving")),
        *_growth(found.get("growth")),
        *_starts(found.get("starts")),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _programs(found: Found | None) -> Iterable[str]:
    if not found or not found["rows"]:
        return
    rates = found["rates"]
    systems = [s for s in ("jax", "torch") if any(s in r["ratios"] for r in found["rows"])]
    yield from (
        "## Programs",
        "",
        "How many times as long as ours each system takes, in the same round: medians of seven"
        " alternating rounds, results checked equal first (1e-9, in single precision 1e-4).",
        "`jax` is jitted `jax.hessian`, `jax.jacrev` or `jax.grad` in the precision of the row,"
        " with its arguments on the device; `torch` is `torch.func`. Ours"
        " is the faster of our programs for NumPy and for JAX (jitted). `by hand` and `floor` are"
        " the time of the one for NumPy over that of the best that a person would write in NumPy,"
        " and over the least"
        " that this machine needs for the operations and the bytes"
        f" ({rates['flops'] / 1e9:.0f} GFlop/s in a product, {rates['bytes'] / 1e9:.0f} GB/s in a"
        " copy, in the same run). A peer's column has its quartiles; – is where it would not fit"
        " or does not run.",
        "",
        "![how far ahead](benchmarks.svg)",
        "",
        f"| program | sizes | NumPy, ms | JAX, ms | {' | '.join(systems)} | by hand | floor |",
        f"|---|---|--:|--:|{'--:|' * len(systems)}--:|--:|",
    )
    for row in found["rows"]:
        sizes = ", ".join(f"{n} = {s}" for n, s in row["sizes"].items())
        peers = [_spread(row["ratios"].get(s)) for s in systems]
        yield (
            f"| {row['name']} | {sizes} | {1e3 * row['seconds']['wrt']:.3g}"
            f" | {_jax(row['seconds'])} | {' | '.join(peers)}"
            f" | {row['to_hand']:.2f} | {row['to_floor']:.1f} |"
        )
    yield ""
    yield from (f"- {line}" for line in found["summary"])
    yield ""


def _jax(seconds: Mapping[str, float]) -> str:
    return f"{1e3 * seconds['wrt, jax']:.3g}" if "wrt, jax" in seconds else "–"


def _spread(ratio: Mapping[str, float] | None) -> str:
    if ratio is None:
        return "–"
    return f"{_times(ratio['median'])} ({_times(ratio['low'])}–{_times(ratio['high'])})"


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:,.0f}"


def _table(found: Mapping[str, Mapping[str, float]]) -> Iterable[str]:
    yield "| | median | fastest | slowest |"
    yield "|---|--:|--:|--:|"
    for name, one in found.items():
        cells = " | ".join(f"{1e3 * t:.2f} ms" for t in one.values())
        yield f"| {name.replace('|', chr(92) + '|')} | {cells} |"
    yield ""


def _deriving(found: Found | None) -> Iterable[str]:
    if not found:
        return
    yield from ("## Deriving", "")
    for title, one in found.items():
        if title == "cases":
            for kind, numbers in one.items():
                yield (
                    f"Every question of the tests, {kind}: median {1e3 * numbers['median']:.1f} ms,"
                    f" slowest {1e3 * numbers['slowest']:.0f} ms."
                )
            yield ""
            continue
        heading = "Least squares, the gradient by x, with peers" if title == "peers" else title
        yield from (f"### {heading[0].upper()}{heading[1:]}", "", *_table(one))


def _growth(found: Found | None) -> Iterable[str]:
    if not found:
        return
    yield from ("## Growth", "", "| | sizes | seconds | exponent |", "|---|---|---|--:|")
    for name, curve in found.items():
        sizes = ", ".join(f"{s:,}" for s in curve["sizes"])
        times = ", ".join(f"{t:.3g}" for t in curve["seconds"])
        yield f"| {name} | {sizes} | {times} | {curve['exponent']:.2f} |"
    yield ""


def _starts(found: Found | None) -> Iterable[str]:
    if found:
        yield from ("## Cold starts", "", *_table(found))


# The chart


def chart(found: Found) -> str:
    """How many times as long the best peer takes, row by row, on a logarithmic axis."""
    rows = [r for r in found.get("programs", {}).get("rows", ()) if r["best_peer"]]
    most = max([10.0, *(r["best_peer"] for r in rows)])
    least = min([1.0, *(r["best_peer"] for r in rows)])
    low, high = math.floor(math.log10(least)), math.ceil(math.log10(most))

    def place(ratio: float) -> float:
        return LEFT + WIDTH * (math.log10(ratio) - low) / (high - low)

    height = ROW * (len(rows) + 2)
    lines = list(_axis(place, low, high, height))
    for k, row in enumerate(rows):
        lines += _bar(row, ROW * (k + 1), place)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + RIGHT} {height}"'
            ' font-family="sans-serif" font-size="12" role="img">',
            "<title>How many times as long as wrt the best peer takes</title>",
            '<rect width="100%" height="100%" fill="white"/>',
            *lines,
            "</svg>",
            "",
        ]
    )


def _axis(place: Any, low: int, high: int, height: int) -> Iterable[str]:
    for power in range(low, high + 1):
        x = place(10.0**power)
        colour = INK if power == 0 else "#d0d7de"
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="18" y2="{height - 20}" stroke="{colour}"/>'
        label = f"{10**power:,}×" if power >= 0 else f"{10.0**power:g}×"
        yield (
            f'<text x="{x:.1f}" y="{height - 6}" text-anchor="middle" fill="{QUIET}">{label}</text>'
        )


def _bar(row: Found, y: int, place: Any) -> Sequence[str]:
    ratio = row["best_peer"]
    x, start = place(ratio), place(1.0)
    left, width = min(x, start), abs(x - start)
    sizes = ", ".join(f"{n}={s}" for n, s in row["sizes"].items())
    label = escape(f"{row['name']}  {sizes}")
    colour = OURS if ratio >= 0.95 else "#cf222e"
    return (
        f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end" fill="{INK}">{label}</text>',
        f'<rect x="{left:.1f}" y="{y + 4}" width="{max(width, 1):.1f}" height="{ROW - 8}"'
        f' fill="{colour}"/>',
        f'<text x="{max(x, start) + 6:.1f}" y="{y + 14}" fill="{INK}">{_times(ratio)}×</text>',
    )
