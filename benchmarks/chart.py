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

#: Colours turn with the page: light or dark.
STYLE = """<style>
.bench text{font:12px system-ui,sans-serif;fill:#1f2328}
.bench .head{font-weight:bold}
.bench .quiet{fill:#656d76}
.bench .paper{fill:#ffffff}
.bench .grid{stroke:#d0d7de}
.bench .one{stroke:#1f2328}
.bench .ahead{fill:#0969da}.bench .behind{fill:#cf222e}
.bench polyline,.bench .sample{fill:none;stroke-width:2}
.bench .c0{stroke:#0969da}.bench .c1{stroke:#1a7f37}.bench .c2{stroke:#8250df}
.bench .c3{stroke:#bf3989}.bench .c4{stroke:#9a6700}
.bench .d1{stroke-dasharray:7 4}.bench .d2{stroke-dasharray:2 3}
@media(prefers-color-scheme:dark){
.bench text{fill:#e6edf3}
.bench .quiet{fill:#9198a1}
.bench .paper{fill:#0d1117}
.bench .grid{stroke:#30363d}
.bench .one{stroke:#e6edf3}
.bench .ahead{fill:#4493f8}.bench .behind{fill:#f85149}
.bench .c0{stroke:#79c0ff}.bench .c1{stroke:#56d364}.bench .c2{stroke:#d2a8ff}
.bench .c3{stroke:#ff9bce}.bench .c4{stroke:#e3b341}
}
</style>"""


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
    title = "How many times as long as wrt the best peer takes"
    return _page(title, LEFT + WIDTH + RIGHT, height, [*_axis(place, low, high, height), *lines])


def _page(title: str, width: int, height: int, lines: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="bench" viewBox="0 0 {width} {height}"'
    paper = '<rect class="paper" width="100%" height="100%"/>'
    named = f"<title>{title}</title>"
    return "\n".join([f'{head} role="img">', named, STYLE, paper, *lines, "</svg>", ""])


def _heading(text: str, y: int) -> str:
    return f'<text class="head" x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(text)}</text>'


def _axis(place: Place, low: int, high: int, height: int) -> Iterable[str]:
    for power in range(low, high + 1):
        x = place(10.0**power)
        kind = "one" if power == 0 else "grid"
        up = f'y1="{TOP - 6}" y2="{height - 20}"'
        yield f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" {up}/>'
        label = f"{10**power:,}×" if power >= 0 else f"{10.0**power:g}×"
        for y in (TOP - 12, height - 6):
            yield f'<text class="quiet" x="{x:.1f}" y="{y}" text-anchor="middle">{label}</text>'


def _bar(row: Found, y: int, place: Place) -> Sequence[str]:
    ratio = row["best_peer"]
    x, start = place(ratio), place(1.0)
    left, width = min(x, start), abs(x - start)
    sizes = ", ".join(f"{n} = {s:,}" for n, s in row["sizes"].items())
    label = escape(f"{row['name']}  {sizes}")
    kind = "ahead" if ratio >= 0.95 else "behind"
    return (
        f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{label}</text>',
        f'<rect class="{kind}" x="{left:.1f}" y="{y + 4}" width="{max(width, 1):.1f}"'
        f' height="{ROW - 8}"/>',
        f'<text x="{max(x, start) + 6:.1f}" y="{y + 14}">{times(ratio)}×</text>',
    )


# Growth: time against a size, both axes logarithmic

PANEL, GAP, NAMES = 300, 90, 430
#: One stroke for each system, whole for ours; its formulas in colours.
STROKES = {"SymPy": "d1", "tensorgrad": "d2"}
COLOURS = 5


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
    return _page("How time grows with size", width, height, lines)


def _panel(title: str, drawn: Mapping[str, Found], left: int, top: int) -> Iterable[str]:
    """Curves on axes of their own, their names and exponents beside them."""
    yield f'<text class="head" x="{left}" y="{top - 12}">{title}</text>'
    if not drawn:
        return
    across = _scale([s for c in drawn.values() for s in c["sizes"]], left, left + PANEL)
    up = _scale([s for c in drawn.values() for s in c["seconds"]], top + PANEL, top)
    for value, x in across.marks:
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + PANEL}"/>'
        yield _label(x, top + PANEL + 18, f"{value:,.0f}", "middle")
    for value, y in up.marks:
        said = f"{value:g} s" if value >= 1 else f"{1e3 * value:g} ms"
        yield f'<line class="grid" x1="{left}" x2="{left + PANEL}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _label(left - 8, y + 2, said, "end")
    yield _label(left + PANEL / 2, top + PANEL + 36, "nodes, n or steps", "middle")
    beside = left + PANEL + 14
    yield _label(beside, top - 12, "and the power of the size that time grows with", "start")
    counts: dict[str, int] = {}
    for k, (name, curve) in enumerate(drawn.items()):
        system = next((one for one in STROKES if name.startswith(one)), "")
        place = counts[system] = counts.get(system, -1) + 1
        kind = f"c{place % COLOURS} {STROKES.get(system, '')}".strip()
        points = " ".join(
            f"{across.place(s):.1f},{up.place(t):.1f}"
            for s, t in zip(curve["sizes"], curve["seconds"], strict=True)
        )
        y = top + 14 + 20 * k
        said = escape(name.removeprefix("running ").replace("deriving ", "wrt, "))
        yield f'<polyline class="{kind}" points="{points}"/>'
        yield f'<path class="sample {kind}" d="M{beside} {y - 4}h26"/>'
        yield f'<text x="{beside + 34}" y="{y}">{said}: {curve["exponent"]:.2f}</text>'


def _label(x: float, y: float, said: str, anchor: str) -> str:
    return f'<text class="quiet" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{said}</text>'


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
