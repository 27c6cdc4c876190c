"""The stack of layers that one draws on paper: for each entry of f, a table laid out as x."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from wrt.expression.dataclass import dataclass

if TYPE_CHECKING:
    from wrt.answers.answer import Derivative

__all__ = ["Layer", "layers"]

#: The most cells that are written out.
MOST_CELLS = 64


@dataclass(frozen=True)
class Layer:
    """The derivatives of one entry of f (indices from 1): rows of texts, "0" where nothing
    can be.
    """

    indices: tuple[int, ...]
    rows: tuple[tuple[str, ...], ...]


def layers(derivative: Derivative) -> tuple[Layer, ...] | None:
    """The layers of a derivative with three or more axes and small sizes that are numbers,
    else None.
    """
    node, split = derivative.plain, derivative.split
    sizes = [d.value for d in node.dims]
    if node.ndim < 3 or node.ndim - split > 2 or len(derivative.groups) > 2:
        return None
    known = [s for s in sizes if s is not None]
    cells = 1
    for size in known:
        cells *= size
    if len(known) < len(sizes) or not 0 < cells <= MOST_CELLS:
        return None
    inner = known[split:]
    rows, columns = (inner[0], inner[1]) if len(inner) == 2 else (1, inner[0])
    return tuple(
        Layer(
            tuple(i + 1 for i in at),
            tuple(
                tuple(
                    derivative.entry(*(i + 1 for i in at), *_cell(r, c, len(inner)))
                    for c in range(columns)
                )
                for r in range(rows)
            ),
        )
        for at in product(*map(range, known[:split]))
    )


def _cell(row: int, column: int, axes: int) -> tuple[int, ...]:
    return (row + 1, column + 1) if axes == 2 else (column + 1,)
