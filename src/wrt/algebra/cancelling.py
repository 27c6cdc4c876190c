"""Inverses and powers beside their matrices: inv(A*B)*A is inv(B), X^a*X^b is X^(a+b).

A product knows which matrices stand side by side: those that alone carry a summed index. What a
matrix meets at the near end of an inverse, or of a power of the same matrix, goes into it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from wrt.algebra.matching import Held, Matcher, Wanted
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import (
    Apply,
    BoundedSum,
    Constant,
    Einsum,
    Factor,
    Node,
    Sum,
    Variable,
    whole,
)

__all__ = ["cancelled", "counted", "divided", "ranged", "turned"]

Symmetric = Callable[[Node], bool]

_INVERSE, _POWER = "inv", "matrix_power"


def _is(word: str, node: Node) -> bool:
    return isinstance(node, Apply) and node.function.name == word and not node.batch


def cancelled(node: Einsum, symmetric: Symmetric) -> Node | None:
    """The product with one inverse, orthogonal matrix or run of powers shortened, or without the
    whole sum of a simplex; None where there is none.
    """
    kinds = [_kind(c) for c in node.children]
    if not any(kinds):
        return None
    net = _Net(node, symmetric)
    for k, kind in enumerate(kinds):
        if kind == "simplex" and net.is_total(k):
            return net.without((k,))
    for step, wanted in ((net.inverse, "inv"), (net.orthogonal, "orthogonal"), (net.run, "power")):
        for k, kind in enumerate(kinds):
            if (kind == wanted or (wanted == "power" and kind == "inv")) and net.is_matrix(k):
                made = step(k)
                if made is not None:
                    return made
    return None


def _kind(node: Node) -> str:
    if isinstance(node, Variable):
        return next((word for word in ("orthogonal", "simplex") if word in node.properties), "")
    return "inv" if _is(_INVERSE, node) else "power" if _is(_POWER, node) else ""


def divided(node: Einsum) -> Node | None:
    """The product where it holds all factors of a product that it is divided by: W*x over W*x."""
    for k, (divisor, exponent, indices) in enumerate(node.factors):
        if exponent < 0 and isinstance(divisor, Einsum) and divisor.summed and not divisor.repeats:
            if set(divisor.children) <= set(node.children):
                made = _divided(node, k, divisor, indices)
                if made is not None:
                    return made
    return None


def _divided(node: Einsum, k: int, divisor: Einsum, indices: tuple[int, ...]) -> Node | None:
    matcher = Matcher(node.index_dims, node.summed)
    found, at = matcher.fixed(indices)
    bound = {i: matcher.pattern_label() for i in divisor.summed}
    label = {**dict(zip(divisor.output, at, strict=True)), **bound}
    wanted = [Wanted(n, e, tuple([label[i] for i in idx]), True) for n, e, idx in divisor.factors]
    held = [Held(*f) for f in node.factors]
    own = held.pop(k)
    for _, rest, known in matcher.factors(wanted, held, found, partly=True):
        used = {i for _, _, labels in rest for i in labels} | {*node.output, *indices}
        gone = {known.places[b] for b in bound.values()}
        if used.isdisjoint(gone):
            left = [] if own.exponent == -1 else [own._replace(exponent=whole(own.exponent + 1))]
            made = build.product_without(
                node.coefficient, [*rest, *left], node.output, node.index_dims, gone
            )
            return build.scale(divisor.coefficient**-1, made)
    return None


class _Power(NamedTuple):
    """A matrix as a power: of what, and the exponent, for an inverse without its sign."""

    base: Node
    exponent: Node
    is_inverse: bool


def _power(node: Node) -> _Power:
    if _is(_INVERSE, node):
        base, exponent, _ = _power(node.children[0])
        return _Power(base, exponent, True)
    if _is(_POWER, node):
        return _Power(node.children[0], node.children[1], False)
    return _Power(node, build.number(1), False)


class _Net:
    """A product, with who stands beside whom."""

    def __init__(self, node: Einsum, symmetric: Symmetric) -> None:
        self.node, self.symmetric = node, symmetric
        self.factors = node.factors
        carriers: dict[int, list[tuple[int, int]]] = {}
        for k, indices in enumerate(node.indices):
            for position, i in enumerate(indices):
                carriers.setdefault(i, []).append((k, position))
        kept = set(node.output)
        self.carriers = carriers
        self.carried = set(carriers) - kept
        self.links = {i: c for i, c in carriers.items() if len(c) == 2 and i not in kept}

    def is_matrix(self, k: int) -> bool:
        _, exponent, indices = self.factors[k]
        return exponent == 1 and len(indices) == 2 and indices[0] != indices[1]

    def is_total(self, k: int) -> bool:
        """Whether all entries of a factor are summed, beside nothing else."""
        _, exponent, indices = self.factors[k]
        alone = all(self.carriers[i] == [(k, p)] for p, i in enumerate(indices))
        return exponent == 1 and alone and self.carried.issuperset(indices)

    def beside(self, k: int, position: int) -> tuple[int, int] | None:
        """The matrix that shares an index with another one alone, and at which of its axes."""
        return self.at_index(k, self.factors[k][2][position])

    def at_index(self, k: int, index: int) -> tuple[int, int] | None:
        for other, place in self.links.get(index, ()):
            if other != k and self.is_matrix(other):
                return other, place
        return None

    # Inverses

    def inverse(self, k: int) -> Node | None:
        """An inverse that meets what it is the inverse of, or the near end of that."""
        inverse, _, at = self.factors[k]
        for axes in (at, at[::-1]) if self.symmetric(inverse) else (at,):
            for near in (0, 1):
                made = self.inverse_at(k, axes, near)
                if made is None:
                    made = self.all_of_it(k, axes, near)
                if made is not None:
                    return made
        return None

    def inverse_at(self, k: int, at: tuple[int, ...], near: int) -> Node | None:
        """An inverse that meets one matrix at one of its axes."""
        found = self.at_index(k, at[near])
        if found is None:
            return None
        inside = self.factors[k][0].children[0]
        other, place = found
        matrix, _, to = self.factors[other]
        far = to[1 - place]
        if matrix is inside and (place == 1 - near or self.symmetric(matrix)):
            delta = build.identity(self.node.index_dims[far])
            return self.without((k, other), (delta, 1, (at[1 - near], far)))
        rest = self.shortened(inside, 1 - near, matrix, place)
        if rest is None:
            return None
        made = _called(_INVERSE, rest)
        return self.without((k, other), (made, 1, (at[0], far) if near else (far, at[1])))

    def all_of_it(self, k: int, at: tuple[int, ...], near: int) -> Node | None:
        """An inverse of a product that meets all factors of the product."""
        inside = self.factors[k][0].children[0]
        if not isinstance(inside, Einsum) or inside.repeats or at[near] not in self.carried:
            return None
        if not set(inside.children) <= set(self.node.children):
            return None
        matcher = Matcher(self.node.index_dims, self.node.summed)
        found, (start,) = matcher.fixed((at[near],))
        end = matcher.pattern_label()
        matcher.open.add(end)
        label = {i: matcher.pattern_label() for i in inside.summed}
        bound = set(label.values())
        label |= {inside.output[1 - near]: start, inside.output[near]: end}
        wanted = [
            Wanted(n, e, tuple([label[i] for i in idx]), True) for n, e, idx in inside.factors
        ]
        held = [Held(*f) for j, f in enumerate(self.factors) if j != k]
        for _, rest, known in matcher.factors(wanted, held, found, partly=True):
            used = {i for _, _, labels in rest for i in labels} | set(self.node.output)
            if used.isdisjoint([at[near], *(known.places[b] for b in bound)]):
                far = known.places[end]
                delta = build.identity(self.node.index_dims[far])
                made = self.over([*rest, (delta, 1, (at[1 - near], far))])
                return build.scale(inside.coefficient**-1, made)
        return None

    def orthogonal(self, k: int) -> Node | None:
        """Q'*Q and Q*Q' are the identity."""
        matrix, _, at = self.factors[k]
        for position in (0, 1):
            found = self.beside(k, position)
            if found is not None and self.factors[found[0]][0] is matrix:
                other, place = found
                if place == position or self.symmetric(matrix):
                    far = self.factors[other][2][1 - place]
                    delta = build.identity(self.node.index_dims[far])
                    return self.without((k, other), (delta, 1, (at[1 - position], far)))
        return None

    def shortened(self, inside: Node, axis: int, matrix: Node, place: int) -> Node | None:
        """A product without the square matrix at one of its ends, where that is a given one."""
        if not isinstance(inside, Einsum) or inside.repeats or matrix.dims[0] is not matrix.dims[1]:
            return None
        end = inside.output[axis]
        holders = [k for k, indices in enumerate(inside.indices) if end in indices]
        if len(holders) != 1:
            return None
        node, exponent, indices = inside.factors[holders[0]]
        if node is not matrix or exponent != 1 or indices[0] == indices[1]:
            return None
        if indices[place] != end and not self.symmetric(matrix):
            return None
        middle = indices[0] if indices[1] == end else indices[1]
        carriers = sum(own.count(middle) for own in inside.indices)
        if carriers != 2 or middle in inside.output:
            return None
        output = list(inside.output)
        output[axis] = middle
        factors = [f for k, f in enumerate(inside.factors) if k != holders[0]]
        return build.product_carried(inside.coefficient, factors, output, inside.index_dims)

    # Powers

    def run(self, k: int) -> Node | None:
        """Powers of one matrix side by side as one power."""
        base = _power(self.factors[k][0]).base
        members, ends = [k], [self.factors[k][2][0], self.factors[k][2][1]]
        for side in (1, 0):
            at, position = k, side
            while (found := self.beside(at, position)) is not None:
                other, place = found
                fits = place == 1 - side or self.symmetric(base)
                if other in members or _power(self.factors[other][0]).base is not base or not fits:
                    break
                members.append(other)
                at, position = other, 1 - place
                ends[side] = self.factors[at][2][position]
        if len(members) < 2:
            return None
        made = _together([_power(self.factors[m][0]) for m in members])
        return None if made is None else self.without(members, (made, 1, tuple(ends)))

    def without(self, gone: Sequence[int], *instead: Factor) -> Node:
        """The product with another factor, or none, in the place of some."""
        rest = [f for k, f in enumerate(self.factors) if k not in gone]
        return self.over([*rest, *instead])

    def over(self, factors: Sequence[Factor]) -> Node:
        """The product of other factors over the indices of this one."""
        node = self.node
        return build.product_carried(node.coefficient, factors, node.output, node.index_dims)


def _together(powers: list[_Power]) -> Node | None:
    """The product of powers of one matrix as one power; None where its sign is not known."""
    base, one = powers[0].base, build.number(1)
    total = build.add(
        *(build.scale(-1 if p.is_inverse else 1, t) for p in powers for t in _terms(p.exponent))
    )
    if isinstance(total, Constant):
        return _whole_power(base, total)
    if all(build.coefficient_of(t).value < 0 for t in _terms(total)):
        return _called(_INVERSE, _called(_POWER, base, build.negative(total)))
    if any(p.exponent is not one for p in powers if p.is_inverse):
        return None
    return _called(_POWER, base, total)


def _whole_power(base: Node, exponent: Constant) -> Node | None:
    number = exponent.coefficient
    if not number.is_number or number.value not in (-1, 0, 1):
        return None
    if number.value == 0:
        return build.identity(base.dims[0])
    return base if number.value == 1 else _called(_INVERSE, base)


def _called(word: str, *arguments: Node) -> Node:
    from wrt.functions import BOOK

    return Apply(BOOK[word], arguments, 0)


def turned(node: Node) -> Node | None:
    """inv(X') as inv(X)', inv(c*X) as inv(X)/c, inv(inv(X)) as X, (X')^k as (X^k)'; None for
    any other.
    """
    if not (_is(_INVERSE, node) or _is(_POWER, node)):
        return None
    inside, *others = node.children
    word = _INVERSE if _is(_INVERSE, node) else _POWER
    if word == _INVERSE and _is(_INVERSE, inside):
        return inside.children[0]
    if word == _INVERSE and _kind(inside) == "orthogonal":
        return build.transpose(inside)
    if not isinstance(inside, Einsum) or inside.repeats:
        return None
    if len(inside.children) == 1 and inside.coefficient.is_one and inside.indices[0] == (1, 0):
        if inside.exponents == (1,) and inside.output == (0, 1):
            return build.transpose(_called(word, inside.children[0], *others))
    return _without_scalars(inside) if word == _INVERSE else None


def _without_scalars(inside: Einsum) -> Node | None:
    """The inverse of a product with its scalars before it."""
    if build.is_zero(inside):
        return None
    scalars = [(n, -e, i) for n, e, i in inside.factors if not i]
    if not scalars and inside.coefficient.is_one:
        return None
    matrices = [f for f in inside.factors if f[2]]
    bare = build.product_carried(inside.coefficient, matrices, inside.output, inside.index_dims)
    made = _called(_INVERSE, build.scale(inside.coefficient**-1, bare))
    return build.product(inside.coefficient**-1, [(made, 1, (0, 1)), *scalars], (0, 1), inside.dims)


# Ranges


def counted(total: Node) -> Node:
    """A sum over a range of what does not depend on its variable: so many times that."""
    if not isinstance(total, BoundedSum) or total.kind != "sum":
        return total
    if total.variable in total.body.names:
        return total
    axes = tuple(range(total.ndim))
    return build.product(ONE, ((total.body, 1, axes), (_count(total), 1, ())), axes, total.dims)


def ranged(node: Einsum, settle: Callable[[Node], Node]) -> Node | None:
    """A product with a sum over a range, where the range's variable goes once it is inside."""
    places = [k for k, c in enumerate(node.children) if isinstance(c, BoundedSum)]
    if len(places) != 1 or node.exponents[places[0]] != 1:
        return None
    total = node.children[places[0]]
    assert isinstance(total, BoundedSum)
    others = [f for k, f in enumerate(node.factors) if k != places[0]]
    if total.kind != "sum" or any(total.variable in n.names for n, _, _ in others):
        return None
    factors = [*others, (total.body, 1, node.indices[places[0]])]
    inside = settle(build.product(node.coefficient, factors, node.output, node.index_dims))
    made = build.bounded("sum", total.variable, total.low, total.high, inside)
    return counted(made) if total.variable not in inside.names else None


def _count(total: BoundedSum) -> Node:
    """How many terms a range has."""
    low = map(build.negative, _terms(total.low))
    return build.add(*_terms(total.high), *low, build.number(1))


def _terms(node: Node) -> tuple[Node, ...]:
    return node.children if isinstance(node, Sum) else (node,)
