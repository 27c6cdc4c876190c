"""What was measured as a picture: how far ahead of the best peer, row by row."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from benchmarks.report import KINDS, times
from benchmarks.tasks import GROUPS

__all__ = ["chart"]

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
