"""What was measured as pictures: how far ahead of the best peer, and how time grows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from benchmarks.report import KINDS, times
from benchmarks.tasks import GROUPS

__all__ = ["chart", "curves"]

Found = Mapping[str, Any]
Place = Callable[[float], float]

ROW, LEFT, WIDTH, RIGHT, TOP = 22, 450, 520, 80, 28
INK, QUIET, LINE, OURS, THEIRS = "#1f2328", "#656d76", "#d0d7de", "#0969da", "#cf222e"


def chart(found: Found) -> str:
    """How many times as long the best peer takes, on a logarithmic axis; kinds apart."""
    rows = [r for r in found.get("programs", {}).get("rows", ()) if r["best_peer"]]
    ratios = [r["best_peer"] for r in rows]
    low = math.floor(math.log10(min([0.99, *ratios])))
    high = math.ceil(math.log10(max([10.0, *ratios])))

    def place(ratio: float) -> float:
        return LEFT + WIDTH * (math.log10(ratio) - low) / (high - low)

    lines: list[str] = []
    y = TOP
    for group in GROUPS:
        here = [row for row in rows if row["group"] == group]
        if here:
            lines.append(_heading(KINDS[group][0], y))
            for k, row in enumerate(here, 1):
                lines += _bar(row, y + ROW * k, place)
            y += ROW * (len(here) + 1) + ROW // 2
    height = y + ROW
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + RIGHT} {height}"'
            ' font-family="sans-serif" font-size="12" role="img">',
            "<title>How many times as long as wrt the best peer takes</title>",
            '<rect width="100%" height="100%" fill="white"/>',
            *_axis(place, low, high, height),
            *lines,
            "</svg>",
            "",
        ]
    )


def _heading(text: str, y: int) -> str:
    return (
        f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end" font-weight="bold"'
        f' fill="{INK}">{escape(text)}</text>'
    )


def _axis(place: Place, low: int, high: int, height: int) -> Iterable[str]:
    for power in range(low, high + 1):
        x = place(10.0**power)
        colour = INK if power == 0 else LINE
        yield (
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - 20}" stroke="{colour}"/>'
        )
        label = f"{10**power:,}×" if power >= 0 else f"{10.0**power:g}×"
        for y in (TOP - 12, height - 6):
            yield f'<text x="{x:.1f}" y="{y}" text-anchor="middle" fill="{QUIET}">{label}</text>'


def _bar(row: Found, y: int, place: Place) -> Sequence[str]:
    ratio = row["best_peer"]
    x, start = place(ratio), place(1.0)
    left, width = min(x, start), abs(x - start)
    sizes = ", ".join(f"{n}={s}" for n, s in row["sizes"].items())
    label = escape(f"{row['name']}  {sizes}")
    colour = OURS if ratio >= 0.95 else THEIRS
    return (
        f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end" fill="{INK}">{label}</text>',
        f'<rect x="{left:.1f}" y="{y + 4}" width="{max(width, 1):.1f}" height="{ROW - 8}"'
        f' fill="{colour}"/>',
        f'<text x="{max(x, start) + 6:.1f}" y="{y + 14}" fill="{INK}">{times(ratio)}×</text>',
    )


# Growth: time against a size, both axes logarithmic

PANEL, GAP, NAMES = 300, 90, 400
COLOURS = ("#0969da", "#1a7f37", "#8250df", "#bf3989", "#9a6700", "#57606a", "#cf222e", "#0a7ea4")


def curves(found: Found) -> str:
    """Time against size: formulas of growing length, and programs of growing sizes."""
    every = found.get("growth", {})
    drawn = {name: one for name, one in every.items() if one["exponent"] is not None}
    running = {k: c for k, c in drawn.items() if k.startswith("running ")}
    deriving = {k: c for k, c in drawn.items() if k not in running}
    panels = {"Deriving": deriving, "Running": running}
    width = PANEL + NAMES + GAP
    height = (PANEL + GAP) * len(panels)
    lines: list[str] = []
    for k, (title, some) in enumerate(panels.items()):
        lines += _panel(title, some, GAP, 40 + k * (PANEL + GAP))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
            ' font-family="sans-serif" font-size="12" role="img">',
            "<title>How time grows with size</title>",
            '<rect width="100%" height="100%" fill="white"/>',
            *lines,
            "</svg>",
            "",
        ]
    )


def _panel(title: str, drawn: Mapping[str, Found], left: int, top: int) -> Iterable[str]:
    """Curves on axes of their own, their names and exponents beside them."""
    yield f'<text x="{left}" y="{top - 12}" font-weight="bold" fill="{INK}">{title}</text>'
    if not drawn:
        return
    across = _scale([s for c in drawn.values() for s in c["sizes"]], left, left + PANEL)
    up = _scale([s for c in drawn.values() for s in c["seconds"]], top + PANEL, top)
    for value, x in across.marks:
        yield (
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + PANEL}" stroke="{LINE}"/>'
            f'<text x="{x:.1f}" y="{top + PANEL + 16}" text-anchor="middle"'
            f' fill="{QUIET}">{value:,.0f}</text>'
        )
    for value, y in up.marks:
        said = f"{value:g} s" if value >= 1 else f"{1e3 * value:g} ms"
        yield (
            f'<line x1="{left}" x2="{left + PANEL}" y1="{y:.1f}" y2="{y:.1f}" stroke="{LINE}"/>'
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end" fill="{QUIET}">{said}</text>'
        )
    for k, (name, curve) in enumerate(drawn.items()):
        colour = COLOURS[k % len(COLOURS)]
        points = " ".join(
            f"{across.place(s):.1f},{up.place(t):.1f}"
            for s, t in zip(curve["sizes"], curve["seconds"], strict=True)
        )
        y = top + 14 + 20 * k
        x = left + PANEL + 14
        said = escape(f"{name.partition(' ')[2] if title == 'Running' else name}")
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield f'<text x="{x}" y="{y}" fill="{colour}">{said}: {curve["exponent"]:.2f}</text>'


class _Scale(NamedTuple):
    """A logarithmic axis: where a value stands, and the powers of ten on it."""

    place: Place
    marks: Sequence[tuple[float, float]]


def _scale(values: Sequence[float], start: float, end: float) -> _Scale:
    low = math.floor(math.log10(min(values)))
    high = max(low + 1, math.ceil(math.log10(max(values))))

    def place(value: float) -> float:
        return start + (end - start) * (math.log10(value) - low) / (high - low)

    return _Scale(place, [(10.0**k, place(10.0**k)) for k in range(low, high + 1)])
