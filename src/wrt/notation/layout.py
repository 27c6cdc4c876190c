"""The phrases that lay entries out anew: vec, kron, and a column cut into a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from wrt.expression.coefficient import ONE
from wrt.expression.dimensions import Dimension
from wrt.notation.phrases import chain_of, eye, flip, scalars_of, times
from wrt.notation.tree import Tree, call

__all__ = ["kron", "size", "unvec", "vec"]


def vec(matrix: Tree) -> Tree:
    """A matrix as one column, its columns end to end."""
    rows, columns = matrix.shape
    assert rows is not None
    assert columns is not None
    core = times(ONE, chain_of(matrix))
    made = call("vec", [core], (rows * columns, None), latex=r"\operatorname{vec}(@0)")
    return times(matrix.coefficient, [*scalars_of(matrix), made]) if core != matrix else made


def kron(left: Tree, right: Tree) -> Tree:
    """The Kronecker product, numbers before it."""
    sides = zip(left.shape, right.shape, strict=True)
    rows, columns = (size([d for d in pair if d is not None]) for pair in sides)
    cores = [times(ONE, chain_of(t)) for t in (left, right)]
    latex = r"@0 \otimes @1"
    made = call("kron", cores, (rows, columns), flips=True, latex=latex)
    coefficient, scalars = ONE, list[Tree]()
    for part in (left, right):
        if part.head == "product":
            coefficient = coefficient * part.coefficient
            scalars += scalars_of(part)
    return times(coefficient, [*scalars, made])


def size(dims: Sequence[Dimension]) -> Dimension | None:
    """How many entries axes have together; None where there is no axis."""
    return prod(dims, start=Dimension.of(1)) if dims else None


def unvec(column: Tree, rows: Dimension, columns: Dimension) -> Tree:
    """A column cut into the rows of a matrix: no word, but products with eye say it."""
    core = times(ONE, chain_of(column))
    said = kron(eye(rows), flip(core)), kron(vec(eye(rows)), eye(columns))
    made = Tree("unvec", "", (times(ONE, said), core), (rows, columns))
    return times(column.coefficient, [*scalars_of(column), made]) if core != column else made
