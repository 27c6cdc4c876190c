"""Plots as SVG text: curves on a logarithmic axis, and maps of entries by shade.

The same numbers give the same text. Colours turn with the page: light or dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, isfinite, log10

from wrt.expression.dataclass import dataclass

__all__ = ["Curve", "curves", "page", "shades"]

#: The place of a plot inside its frame, and how large it is.
LEFT, TOP, WIDTH, HEIGHT = 62, 40, 300, 240
#: A frame with its labels.
FRAME_WIDTH, FRAME_HEIGHT = 420, 390
#: Rows and columns of a map beyond which neighbours share a cell.
MOST_CELLS = 60
#: How many powers of ten below the largest a shade still shows.
DEPTH = 8

STYLE = """
.plot text{font:12px system-ui,sans-serif;fill:#24292f}
.plot .title{font-size:13px;font-weight:600}
.plot .soft{fill:#57606a}
.plot .paper{fill:#ffffff}
.plot .axis{stroke:#57606a;stroke-width:1;fill:none}
.plot .grid{stroke:#d0d7de;stroke-width:1}
.plot .cell{fill:#0550ae;shape-rendering:crispEdges}
.plot .line{fill:none;stroke-width:2;stroke-linejoin:round}
.plot .line.c0{stroke-width:3.5}
.plot .line.c1{stroke-width:1.5}
.plot .bound{fill:none;stroke-width:1.5;stroke-dasharray:6 5}
.plot .line.c3{stroke-dasharray:11 3}
.plot .line.c4{stroke-dasharray:11 3 2 3}
.plot .bound.c3{stroke-dasharray:2 4}
.plot .bound.c4{stroke-dasharray:9 4 2 4}
.plot .c0{stroke:#0550ae}.plot .c1{stroke:#1a7f37}.plot .c2{stroke:#bc4c00}
.plot .c3{stroke:#8250df}.plot .c4{stroke:#bf3989}
@media(prefers-color-scheme:dark){
.plot text{fill:#e6edf3}
.plot .soft{fill:#9198a1}
.plot .paper{fill:#0d1117}
.plot .axis{stroke:#9198a1}
.plot .grid{stroke:#30363d}
.plot .cell{fill:#79c0ff}
.plot .c0{stroke:#79c0ff}.plot .c1{stroke:#56d364}.plot .c2{stroke:#ffa657}
.plot .c3{stroke:#d2a8ff}.plot .c4{stroke:#ff9bce}
}
"""


@dataclass(frozen=True)
class Curve:
    """A named sequence of numbers, drawn as a line, or dashed where it bounds others."""

    name: str
    values: Sequence[float]
    is_bound: bool = False


def page(plots: Sequence[str], title: str) -> str:
    """Plots side by side.

    >>> page([], "nothing").startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    True
    """
    width = max(FRAME_WIDTH * len(plots), 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" role="img" '
        f'viewBox="0 0 {width} {FRAME_HEIGHT}" width="{width}" height="{FRAME_HEIGHT}">',
        f"<title>{_escaped(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{FRAME_HEIGHT}"/>',
    ]
    for k, plot in enumerate(plots):
        parts.append(f'<g transform="translate({k * FRAME_WIDTH} 0)">{plot}</g>')
    return "\n".join([*parts, "</svg>"])


def curves(title: str, across: str, up: str, found: Sequence[Curve]) -> str:
    """Curves over 0, 1, 2, … on a logarithmic axis; zeros and infinities are left out."""
    low, high = _decades([v for c in found for v in c.values])
    count = max(max((len(c.values) for c in found), default=1) - 1, 1)

    def x(k: float) -> float:
        return LEFT + WIDTH * k / count

    def y(value: float) -> float:
        return TOP + HEIGHT * (high - log10(value)) / (high - low)

    parts = [_frame(title, across, up)]
    parts += _ticks_up(low, high)
    parts += [_tick_across(x(k), f"{k}") for k in _steps(count)]
    for k, curve in enumerate(found):
        kind = "bound" if curve.is_bound else "line"
        for run in _runs(curve.values, 10.0**low):
            points = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in run)
            parts.append(f'<polyline class="{kind} c{k % 5}" points="{points}"/>')
    parts += _legend(found)
    return "\n".join(parts)


def shades(
    title: str, across: str, up: str, rows: Sequence[Sequence[float]], first: tuple[int, int]
) -> str:
    """A map of entries, darker where larger, by powers of ten; zeros stay empty.

    Rows go up, columns to the right, counted from `first`.
    """
    cells = _coarse(rows)
    known = [v for row in cells for v in row if v > 0 and isfinite(v)]
    top = log10(max(known)) if known else 0.0
    bottom = max(top - DEPTH, log10(min(known))) if known else -1.0
    span = top - bottom
    clipped = bool(known) and log10(min(known)) < bottom
    parts = [_frame(title, across, up)]
    height, width = HEIGHT / max(len(cells), 1), WIDTH / max(len(cells[0]) if cells else 1, 1)
    for i, row in enumerate(cells):
        for j, value in enumerate(row):
            if not value > 0:
                continue
            even = not isfinite(value) or span < 1e-9
            depth = 1.0 if even else (log10(value) - bottom) / span
            shade = 0.08 + 0.92 * min(max(depth, 0.0), 1.0)
            place = f'x="{LEFT + j * width:.2f}" y="{TOP + HEIGHT - (i + 1) * height:.2f}"'
            size = f'width="{width:.2f}" height="{height:.2f}"'
            parts.append(f'<rect class="cell" {place} {size} fill-opacity="{shade:.3f}"/>')
    total = (len(rows), len(rows[0]) if rows else 0)
    for k in _labels(total[1], first[1]):
        at = LEFT + WIDTH * (k - first[1] + 0.5) / total[1]
        parts.append(_tick_across(at, str(k)))
    for k in _labels(total[0], first[0]):
        at = TOP + HEIGHT * (1 - (k - first[0] + 0.5) / total[0])
        parts.append(_text(LEFT - 6, at + 4, str(k), "end"))
    return "\n".join([*parts, *_scale(bottom, top, clipped)])


# Parts of a plot


def _frame(title: str, across: str, up: str) -> str:
    middle = TOP + HEIGHT / 2
    axis = f"M{LEFT} {TOP}V{TOP + HEIGHT}H{LEFT + WIDTH}"
    return "\n".join(
        [
            _text(LEFT, 22, title, "start", "title"),
            f'<path class="axis" d="{axis}"/>',
            _text(LEFT + WIDTH / 2, TOP + HEIGHT + 34, across, "middle", "soft"),
            f'<text class="soft" text-anchor="middle" '
            f'transform="translate(14 {middle:g}) rotate(-90)">{_escaped(up)}</text>',
        ]
    )


def _ticks_up(low: int, high: int) -> list[str]:
    parts = []
    step = max(1, ceil((high - low) / 6))
    for power in range(low, high + 1, step):
        y = TOP + HEIGHT * (high - power) / (high - low)
        if power > low:
            parts.append(f'<path class="grid" d="M{LEFT + 1} {y:.1f}H{LEFT + WIDTH}"/>')
        parts.append(_power(LEFT - 6, y + 4, power))
    return parts


def _tick_across(x: float, label: str) -> str:
    line = f'<path class="axis" d="M{x:.1f} {TOP + HEIGHT}v4"/>'
    return line + _text(x, TOP + HEIGHT + 17, label, "middle")


def _power(x: float, y: float, power: int) -> str:
    """A power of ten, its exponent raised."""
    if power in (0, 1):
        return _text(x, y, str(10**power), "end")
    digits = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return _text(x, y, f"10{digits}", "end")


def _legend(found: Sequence[Curve]) -> list[str]:
    """The names of the curves, under the plot in two columns."""
    parts = []
    for k, curve in enumerate(found):
        x, y = LEFT + 170 * (k % 2), TOP + HEIGHT + 54 + 18 * (k // 2)
        kind = "bound" if curve.is_bound else "line"
        parts.append(f'<path class="{kind} c{k % 5}" d="M{x} {y - 4}h22"/>')
        parts.append(_text(x + 28, y, curve.name, "start"))
    return parts


def _scale(bottom: float, top: float, clipped: bool) -> list[str]:
    """What the shades mean."""
    y, count = TOP + HEIGHT + 46, 24
    parts = []
    for k in range(count):
        shade = 0.08 + 0.92 * (k + 0.5) / count
        x = LEFT + 150 * k / count
        parts.append(
            f'<rect class="cell" x="{x:.2f}" y="{y}" width="{150 / count:.2f}" height="10" '
            f'fill-opacity="{shade:.3f}"/>'
        )
    least = ("≤ " if clipped else "") + _plain(10**bottom)
    parts.append(_text(LEFT, y + 26, least, "start"))
    parts.append(_text(LEFT + 150, y + 26, _plain(10**top), "end"))
    parts.append(_text(LEFT + 162, y + 10, "blank: 0", "start", "soft"))
    return parts


def _text(x: float, y: float, said: str, anchor: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{_escaped(said)}</text>'


# Numbers


def _plain(value: float) -> str:
    said = f"{value:.1e}" if not 1e-2 <= value < 1e4 else f"{value:.2g}"
    mantissa, _, power = said.partition("e")
    return f"{mantissa}e{int(power)}" if power else said


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten between which positive numbers lie, at least one decade."""
    known = [v for v in values if v > 0 and isfinite(v)]
    if not known:
        return -1, 0
    high = ceil(log10(max(known)) - 1e-9)
    low = min(floor(log10(min(known)) + 1e-9), high - 1)
    return max(low, high - 40), high


def _runs(values: Sequence[float], least: float) -> list[list[tuple[int, float]]]:
    """Stretches of numbers that can be drawn."""
    runs: list[list[tuple[int, float]]] = [[]]
    for k, value in enumerate(values):
        if isfinite(value) and value >= least * 0.999:
            runs[-1].append((k, value))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _steps(most: int) -> list[int]:
    """Round places from 0 to the last."""
    if most < 1:
        return [0]
    unit = 10 ** floor(log10(most))
    step = next(s for s in (unit // 5 or 1, unit // 2 or 1, unit, 2 * unit) if most / s <= 7)
    return list(range(0, most + 1, step))


def _labels(count: int, first: int) -> list[int]:
    """Round numbers of those that are counted from the first, and that one."""
    round_ones = [k for k in _steps(first + count - 1) if k >= first]
    step = _steps(first + count - 1)[1] if first + count > 1 else 1
    return [first, *(k for k in round_ones if 2 * (k - first) >= step)]


def _coarse(rows: Sequence[Sequence[float]]) -> list[list[float]]:
    """The entries, the largest of neighbours where there are too many."""
    down, right = (max(1, ceil(n / MOST_CELLS)) for n in (len(rows), len(rows[0]) if rows else 0))
    if down == right == 1:
        return [[float(v) for v in row] for row in rows]
    found = []
    for i in range(0, len(rows), down):
        block = rows[i : i + down]
        columns = range(0, len(rows[0]), right)
        found.append([max(float(v) for row in block for v in row[j : j + right]) for j in columns])
    return found


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
