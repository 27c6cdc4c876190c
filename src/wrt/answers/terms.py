"""A tensor as a sum of products, each with its indices open: what structured answers combine.

Joining terms renames indices and never multiplies arrays, so what two tensors have in zeros their
product has too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from wrt.expression import build
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Constant, Einsum, Factor, Node, Sum

__all__ = ["Term", "joined", "terms"]

#: An axis of one of several tensors: which tensor, which of its axes.
Axis = tuple[int, int]


class Term(NamedTuple):
    """One product: its number, its factors, the index of every axis, the size of every index."""

    coefficient: Coefficient
    factors: tuple[Factor, ...]
    output: tuple[int, ...]
    dims: tuple[Dimension, ...]


def terms(node: Node) -> tuple[Term, ...]:
    """The products that a tensor is the sum of."""
    return tuple(map(_term, node.children if isinstance(node, Sum) else (node,)))


def _term(node: Node) -> Term:
    if isinstance(node, Einsum):
        return Term(node.coefficient, node.factors, node.output, node.index_dims)
    if isinstance(node, Constant):
        return Term(node.coefficient, (), (), ())
    axes = tuple(range(node.ndim))
    return Term(ONE, ((node, 1, axes),), axes, node.dims)


def joined(
    tensors: Sequence[Sequence[Term]], ties: Sequence[tuple[Axis, Axis]], output: Sequence[Axis]
) -> Node:
    """The product of tensors with some of their axes tied, summed over what is not in `output`."""
    made = [_joined(chosen, ties, output) for chosen in product(*tensors)]
    return build.add(*made) if len(made) > 1 else made[0]


def _joined(
    chosen: Sequence[Term], ties: Sequence[tuple[Axis, Axis]], output: Sequence[Axis]
) -> Node:
    starts = [sum(len(t.dims) for t in chosen[:k]) for k in range(len(chosen))]
    same: dict[int, int] = {}

    def find(i: int) -> int:
        while i in same:
            i = same[i]
        return i

    def place(axis: Axis) -> int:
        return find(starts[axis[0]] + chosen[axis[0]].output[axis[1]])

    for one, other in ties:
        a, b = sorted((place(one), place(other)))
        if a != b:
            same[b] = a
    dims = [d for t in chosen for d in t.dims]
    coefficient = ONE
    factors: list[Factor] = []
    for term, start in zip(chosen, starts, strict=True):
        coefficient = coefficient * term.coefficient
        factors += [
            (node, e, tuple(find(start + i) for i in indices)) for node, e, indices in term.factors
        ]
    ends = [place(axis) for axis in output]
    free = {find(start + i) for t, start in zip(chosen, starts, strict=True) for i in t.output}
    used = {i for _, _, indices in factors for i in indices} | set(ends)
    for i in free - used:  # summed, though no factor has it: it counts
        coefficient = coefficient * Coefficient.of(dims[i])
    names = {i: k for k, i in enumerate(sorted(used))}
    return build.product(
        coefficient,
        [(node, e, tuple(names[i] for i in indices)) for node, e, indices in factors],
        [names[i] for i in ends],
        [dims[i] for i in names],
    )
