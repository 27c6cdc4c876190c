"""Differentials: how a formula changes when parts of it change, the product rule as one writes it.

The sweep finds the derivative itself; this pass keeps the order in which a formula was written,
so that its result can be read as a line of a derivation.
"""

from __future__ import annotations

from collections.abc import Mapping

from wrt.calculus.local import local
from wrt.calculus.sweep import arguments_of, ranged
from wrt.calculus.terms import Term, compose
from wrt.expression import build
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.nodes import BoundedSum, Einsum, Node, Reshape, Sum, Variable
from wrt.expression.walk import postorder

__all__ = ["differential"]


def differential(f: Node, changes: Mapping[Node, Node]) -> Node:
    """The change of a formula to first order, when parts of it change as given.

    A part that stands in `changes` is not looked into.

    >>> from wrt.expression.dimensions import Dimension
    >>> n = Dimension.of("n")
    >>> A, x, dx = Variable("A", (n, n)), Variable("x", (n,)), Variable("dx", (n,))
    >>> differential(A @ x, {x: dx}) is A @ dx
    True
    """
    done: dict[Node, Node | None] = dict(changes)
    for node in postorder(f):
        if node not in done:
            moves = any(done.get(c) is not None for c in node.children)
            terms = _terms(node, done) if moves else []
            kept = [t for t in terms if not build.is_zero(t)]
            done[node] = build.add(*kept) if kept else None
    change = done[f]
    return build.zeros(f.dims) if change is None else change


def _terms(node: Node, done: Mapping[Node, Node | None]) -> list[Node]:
    match node:
        case Sum():
            return [c for c in map(done.get, node.children) if c is not None]
        case Reshape():
            body = done[node.body]
            return [] if body is None else [build.reshape(body, node.dims)]
        case Einsum():
            changes = enumerate(map(done.get, node.children))
            return [_product_rule(node, k, c) for k, c in changes if c is not None]
        case BoundedSum():
            return _ranged(node, done)
    arguments = enumerate(map(done.get, arguments_of(node)))
    return [
        build.product(*compose(term, _whole(change), change.ndim))
        for k, change in arguments
        if change is not None
        for term in local(node, k)
    ]


def _product_rule(node: Einsum, place: int, change: Node) -> Node:
    """A product with the change of one factor in its place."""
    child, exponent, indices = node.factors[place]
    coefficient = node.coefficient
    factors = list(node.factors)
    factors[place] = (change, 1, indices)
    if exponent != 1:
        coefficient = coefficient * Coefficient.of(exponent)
        factors.append((child, exponent - 1, indices))
    return build.product(coefficient, factors, node.output, node.index_dims)


def _ranged(node: BoundedSum, done: Mapping[Node, Node | None]) -> list[Node]:
    """A sum changes term by term; a product over a range by the rule of the sweep."""
    body = done.get(node.body)
    if node.kind == "sum" and body is not None:
        return [build.bounded("sum", node.variable, node.low, node.high, body)]
    return [
        build.product(*compose(term, _whole(change), change.ndim))
        for variable, change in done.items()
        if change is not None and isinstance(variable, Variable) and variable in node.names
        for term in ranged(node, variable)
    ]


def _whole(node: Node) -> Term:
    axes = tuple(range(node.ndim))
    return Term(ONE, ((node, 1, axes),), axes, node.dims)
