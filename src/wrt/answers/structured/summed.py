"""What a sum of Kronecker products is as a system: one matrix or two for each axis."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

from wrt.algebra import is_symmetric
from wrt.algebra.definite import definite
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Node
from wrt.expression.walk import holds_complex

__all__ = ["Commuting", "Row", "Sylvester", "commuting"]

Axes = tuple[int, ...]


class Row(NamedTuple):
    """One of the products: its number, and what it has along each axis; None is the identity."""

    number: Node
    matrices: tuple[Node | None, ...]


class Sylvester(NamedTuple):
    """P X + X Q in two axes."""

    P: Node
    Q: Node


class Pair(NamedTuple):
    """The two matrices of an axis; where there is one, the other is the identity. `definite` where
    the form of the other shows that it is.
    """

    one: Node
    other: Node | None
    definite: bool


class Commuting(NamedTuple):
    """A sum of Kronecker products of which each takes, along an axis, one of two matrices. Where
    these are symmetric, and one of the two is definite as the identity is, all products are
    diagonal in the same vectors: `symmetric` where the forms of all show that, `otherwise` what it
    is where they are not.

    `weights` are a number for each product, with 1 for each axis along which it has the first
    matrix and 0 for the other; `last` is the order of the axes at the end.
    """

    pairs: tuple[Pair, ...]
    weights: tuple[tuple[Node, Axes], ...]
    last: Axes
    symmetric: bool
    otherwise: Sylvester | None


def commuting(rows: Sequence[Row], dims: Sequence[Dimension], last: Axes) -> Commuting | None:
    """A sum of products with one matrix or two for each axis; None where there are more.

    >>> from wrt.expression.nodes import Variable
    >>> n, one = Dimension.of(3), build.number(ONE)
    >>> A, B = Variable("A", (n, n)), Variable("B", (n, n))
    >>> rows = [Row(one, (A, B)), Row(one, (B, None)), Row(one, (None, A))]
    >>> commuting(rows, (n, n), (0, 1, 2)) is None
    True
    >>> found = commuting(rows[:2], (n, n), (0, 1, 2))
    >>> [(pair.one, pair.other) for pair in found.pairs]
    [(<A : 3, 3>, <B : 3, 3>), (<B : 3, 3>, None)]
    """
    for merged in (rows, *_all_merged(rows, dims)):
        found = [dict.fromkeys(row.matrices[k] for row in merged) for k in range(len(dims))]
        if all(len(own) < 3 for own in found):
            pairs = tuple(_pair(list(own), dim) for own, dim in zip(found, dims, strict=True))
            weights = tuple(
                (
                    row.number,
                    tuple(int(m is pair.one) for m, pair in zip(row.matrices, pairs, strict=True)),
                )
                for row in merged
            )
            symmetric = all(
                _is_real_symmetric(pair.one)
                and (pair.other is None or _is_real_symmetric(pair.other))
                for pair in pairs
            )
            return Commuting(pairs, weights, last, symmetric, _sylvester(merged, dims, last))
    return None


def _pair(found: Sequence[Node | None], dim: Dimension) -> Pair:
    matrices = [m for m in found if m is not None] or [build.identity(dim)]
    if len(matrices) == 1:
        return Pair(matrices[0], None, True)
    sure = [definite(m) == 2 and _is_real_symmetric(m) for m in matrices]
    one, other = matrices if sure[1] or not sure[0] else matrices[::-1]
    return Pair(one, other, any(sure))


def _is_real_symmetric(node: Node) -> bool:
    return not holds_complex(node) and is_symmetric(node)


# Products that differ along one axis alone are one


def _all_merged(rows: Sequence[Row], dims: Sequence[Dimension]) -> list[list[Row]]:
    """The rows with those put together that differ along one axis, by each order of the axes."""
    orders = permutations(range(len(dims))) if len(dims) < 4 else [range(len(dims))]
    return [_merged(rows, dims, order) for order in orders]


def _merged(rows: Sequence[Row], dims: Sequence[Dimension], order: Sequence[int]) -> list[Row]:
    made = list(rows)
    for axis in order:
        alike: dict[tuple[Node | None, ...], list[Row]] = {}
        for row in made:
            others = (*row.matrices[:axis], *row.matrices[axis + 1 :])
            alike.setdefault(others, []).append(row)
        made = [
            own[0] if len(own) == 1 else _added(own, axis, dims[axis]) for own in alike.values()
        ]
    return made


def _added(rows: Sequence[Row], axis: int, dim: Dimension) -> Row:
    """Products that differ along one axis, as one."""
    total = build.add(*(_scaled(row.number, row.matrices[axis], dim) for row in rows))
    matrices = rows[0].matrices
    return Row(build.number(ONE), (*matrices[:axis], total, *matrices[axis + 1 :]))


def _scaled(number: Node, matrix: Node | None, dim: Dimension) -> Node:
    node = build.identity(dim) if matrix is None else matrix
    return build.product(ONE, [(number, 1, ()), (node, 1, (0, 1))], (0, 1), node.dims)


def _sylvester(rows: Sequence[Row], dims: Sequence[Dimension], last: Axes) -> Sylvester | None:
    """Two axes, each product the identity along one of them."""
    if last != (0, 1, 2) or any(None not in row.matrices for row in rows):
        return None
    sides: tuple[list[Node], list[Node]] = ([], [])
    for number, (left, right) in rows:
        at = int(left is None and right is not None)
        sides[at].append(_scaled(number, right if at else left, dims[at]))
    if not all(sides):
        return None
    P, Q = (build.add(*own) for own in sides)
    return Sylvester(P, build.transpose(Q))
