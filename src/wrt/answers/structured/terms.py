"""A tensor as a sum of products, each with its indices open: what structured answers combine.

Joining terms renames indices and never multiplies arrays, so what two tensors have in zeros their
product has too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

from wrt.expression import build
from wrt.expression.coefficient import ONE, ZERO, Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Constant, Einsum, Factor, Node, Pattern, Sum

__all__ = ["Term", "component", "flattened", "inlined", "joined", "terms"]

#: Brackets with zeros in them are multiplied out into so many terms at most, others into so many.
MOST_TERMS, FEW_TERMS = 64, 6

#: An axis of one of several tensors: which tensor, which of its axes.
Axis = tuple[int, int]


class Term(NamedTuple):
    """One product: its number, its factors, the index of every axis, the size of every index."""

    coefficient: Coefficient
    factors: tuple[Factor, ...]
    output: tuple[int, ...]
    dims: tuple[Dimension, ...]


def terms(node: Node) -> tuple[Term, ...]:
    """The products that a tensor is the sum of, brackets in them multiplied out.

    What has zeros shows them then; a vector meets the sum of a matrix and of products of few
    columns without that matrix being formed.
    """
    found = _opened(_opened(_plain_terms(node), _has_zeros, MOST_TERMS), _is_sum, FEW_TERMS)
    kept = tuple(term for term in found if not _is_empty(term))
    return kept or (found[0]._replace(coefficient=ZERO, factors=()),)


def _opened(found: list[Term], asked: Callable[[Factor], bool], most: int) -> list[Term]:
    """Terms with the brackets that are asked for multiplied out, up to so many terms."""
    done: list[Term] = []
    waiting = found[::-1]
    while waiting:
        term = waiting.pop()
        place = next((k for k, f in enumerate(term.factors) if asked(f)), None)
        inner = [] if place is None else _plain_terms(term.factors[place][0])
        if place is None or len(done) + len(waiting) + len(inner) > most:
            done.append(term)
        else:
            waiting += [inlined(term, place, one) for one in inner][::-1]
    return done


def _is_sum(factor: Factor) -> bool:
    return factor[1] == 1 and isinstance(factor[0], Sum)


def _is_empty(term: Term) -> bool:
    """Whether no indices meet what the patterns of a product ask for: by the bounds of each."""
    masks = [f for f in term.factors if isinstance(f[0], Pattern)]
    if not masks or any(term.dims[i].value is None for _, _, indices in masks for i in indices):
        return False
    low = dict.fromkeys((i for f in masks for i in f[2]), 0)
    high = {i: (term.dims[i].value or 0) - 1 for i in low}
    conditions = [
        ([(indices[p], c) for p, c in relation.terms], relation.constant.value or 0, relation.kind)
        for mask, _, indices in masks
        if isinstance(mask, Pattern)
        for relation in mask.relations
    ]
    for _ in range(len(conditions)):  # what one says of an index may tell of another
        for held, constant, kind in conditions:
            most = [(i, c, c * (high if c > 0 else low)[i]) for i, c in held]
            least = [(i, c, c * (low if c > 0 else high)[i]) for i, c in held]
            _narrow(low, high, most, constant, up=False)
            if kind == "==":
                _narrow(low, high, least, constant, up=True)
        if any(low[i] > high[i] for i in low):
            return True
    return False


def _narrow(
    low: dict[int, int],
    high: dict[int, int],
    ends: Sequence[tuple[int, int, int]],
    constant: int,
    up: bool,
) -> None:
    """The bounds of each index, where all others of a relation are at their ends."""
    total = sum(end for _, _, end in ends) + constant
    for i, c, end in ends:
        rest = total - end  # c * i + rest is at least zero, or at most where `up`
        if (c > 0) != up:
            low[i] = max(low[i], -(rest // c))
        else:
            high[i] = min(high[i], (-rest) // c)


def _plain_terms(node: Node) -> list[Term]:
    return [_term(one) for one in (node.children if isinstance(node, Sum) else (node,))]


def _term(node: Node) -> Term:
    if isinstance(node, Einsum):
        return Term(node.coefficient, node.factors, node.output, node.index_dims)
    if isinstance(node, Constant):
        return Term(node.coefficient, (), (), ())
    axes = tuple(range(node.ndim))
    return Term(ONE, ((node, 1, axes),), axes, node.dims)


def _has_zeros(factor: Factor) -> bool:
    """Whether a factor is a sum or a product that has zeros by its form."""
    node, exponent, _ = factor
    if exponent != 1:
        return False
    parts = node.children if isinstance(node, Sum) else (node,)
    return any(isinstance(p, Einsum) and _is_tied(p) for p in parts) or (
        isinstance(node, Sum) and any(isinstance(p, Pattern) for p in parts)
    )


def _is_tied(node: Einsum) -> bool:
    return node.repeats or any(
        isinstance(f[0], Pattern) or _has_zeros(f) for f in node.factors if f[1] == 1
    )


def inlined(term: Term, place: int, inner: Term) -> Term:
    """A term with a product in the place of one of its factors."""
    _, _, indices = term.factors[place]
    start = len(term.dims)
    names = _United()
    for outer, own in zip(indices, inner.output, strict=True):
        names.unite(outer, start + own)
    moved = [(n, e, tuple(start + i for i in idx)) for n, e, idx in inner.factors]
    factors = [*term.factors[:place], *moved, *term.factors[place + 1 :]]
    # an index that only the bracket had, and no factor in it carries, counts
    lost = {names.find(start + i) for i in inner.output} | {names.find(i) for i in indices}
    kept = {names.find(i) for _, _, idx in factors for i in idx}
    kept |= {names.find(i) for i in term.output}
    coefficient = term.coefficient * inner.coefficient
    dims = (*term.dims, *inner.dims)
    for i in lost - kept:
        coefficient = coefficient * Coefficient.of(dims[i])
    return Term(
        coefficient,
        tuple((n, e, tuple(names.find(i) for i in idx)) for n, e, idx in factors),
        tuple(names.find(i) for i in term.output),
        dims,
    )


def flattened(term: Term) -> Term:
    """A term with the products in it opened that have more axes than matrices: what they are made
    of may connect few of these.
    """
    for place, (node, exponent, _) in enumerate(term.factors):
        if exponent == 1 and isinstance(node, Einsum) and node.ndim > 2:
            return flattened(inlined(term, place, _term(node)))
    return term


class _United:
    """Indices that are made one."""

    def __init__(self) -> None:
        self.same: dict[int, int] = {}

    def find(self, i: int) -> int:
        while i in self.same:
            i = self.same[i]
        return i

    def unite(self, i: int, j: int) -> None:
        a, b = sorted((self.find(i), self.find(j)))
        if a != b:
            self.same[b] = a


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
    united = _United()
    find = united.find

    def place(axis: Axis) -> int:
        return find(starts[axis[0]] + chosen[axis[0]].output[axis[1]])

    for one, other in ties:
        united.unite(place(one), place(other))
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
    return build.product_carried(coefficient, factors, ends, dims)


def component(term: Term, places: Sequence[int], output: Sequence[int]) -> Node:
    """The product of some factors of a term, without its number, along some of its indices."""
    return build.product_carried(ONE, [term.factors[k] for k in places], output, term.dims)
