"""Derivatives by a constrained matrix: symmetric, skew, diagonal, triangular, Toeplitz.

A plain twin of the variable is swept; then the free derivative is projected on the constraint's
linear space (`projected`, the default) or tied, each free parameter moving all its entries together
(`tied`, The Matrix Cookbook, 138–144). Both are symmetric linear maps of the last two axes.
"""

from __future__ import annotations

from fractions import Fraction

from wrt.algebra.conjugation import frozen, is_conjugate, thawed
from wrt.calculus.sweep import derivative
from wrt.errors import NotDifferentiable
from wrt.expression import build
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Node, Pattern, Relation, Variable
from wrt.expression.walk import substitute

__all__ = [
    "CONVENTIONS",
    "constrain",
    "constrained_derivative",
    "constraint",
    "free_derivative",
    "variable_of",
]

CONVENTIONS = ("projected", "tied")

_LINEAR = ("symmetric", "skew", "diagonal", "lower", "upper", "toeplitz")


def constraint(x: Node) -> tuple[str, ...]:
    """The linear constraints that a variable is declared to obey; spd counts as symmetric.

    They are those of its conjugate too.
    """
    x = variable_of(x)
    found = tuple(p for p in _LINEAR if p in x.properties)
    if "spd" in x.properties and "symmetric" not in found:
        found = ("symmetric", *found)
    return () if x.ndim != 2 else found


def variable_of(x: Node) -> Variable:
    """The variable of what is differentiated by: itself, or what it is the conjugate of."""
    found = x.children[0] if is_conjugate(x) else x
    assert isinstance(found, Variable), x
    return found


def constrained_derivative(f: Node, x: Node, convention: str = "projected") -> Node:
    """The derivative by a variable, under a convention where it is constrained.

    By a complex variable, its conjugate is held fixed; by the conjugate, the variable is
    (Wirtinger). Raises NotDifferentiable for an unknown convention.

    >>> n = Dimension.of("n")
    >>> A, S = Variable("A", (n, n)), Variable("S", (n, n), ["symmetric"])
    >>> constrained_derivative(build.einsum("ij,ji->", A, S), S)
    <{1/2 (A + {A[ji] -> ij})[ij] -> ij} : n, n>
    """
    if convention not in CONVENTIONS:
        raise NotDifferentiable(
            f"{convention!r} is no convention for constrained matrices; projected and tied are"
        )
    rules = constraint(x)
    free = free_derivative(f, x)
    return constrain(free, rules, convention) if rules else free


def free_derivative(f: Node, x: Node) -> Node:
    """The derivative by a variable, or its conjugate, with all entries moving freely."""
    variable = variable_of(x)
    if "complex" not in variable.properties:
        return _by_twin(f, variable)
    f, other = frozen(f, variable)
    return thawed(_by_twin(f, variable if x is variable else other), variable, other)


def _by_twin(f: Node, x: Variable) -> Node:
    if not constraint(x):
        return derivative(f, x)
    twin = Variable(x.name, x.dims)
    return substitute(derivative(substitute(f, {x: twin}), twin), {twin: x})


def constrain(node: Node, rules: tuple[str, ...], convention: str) -> Node:
    """The projection, or the tying, of the last two axes of a tensor."""
    free = node
    if "toeplitz" in rules:
        node = _toeplitz(node, convention)
    if {"diagonal", "toeplitz"} <= set(rules):
        middle = _middle(free)
        return middle if convention == "tied" else build.scale(_share(node), middle)
    if "diagonal" in rules:
        return _diagonal(node)
    if "symmetric" in rules:
        both = build.add(node, _turned(node))
        if convention == "projected":
            return build.scale(Fraction(1, 2), both)
        middle = _middle(free) if "toeplitz" in rules else _diagonal(node)
        return build.add(both, build.negative(middle))
    if "skew" in rules:
        both = build.add(node, build.negative(_turned(node)))
        return both if convention == "tied" else build.scale(Fraction(1, 2), both)
    for side, sign in (("lower", 1), ("upper", -1)):
        if side in rules:
            node = _masked(node, Relation(((0, sign), (1, -sign)), Dimension.of(0), ">="))
    return node


def _turned(node: Node) -> Node:
    axes = list(range(node.ndim))
    axes[-2:] = axes[:-3:-1]
    return build.transpose(node, axes)


def _diagonal(node: Node) -> Node:
    """What stands on the diagonal of the last two axes, zero elsewhere."""
    axes = tuple(range(node.ndim - 1)) + (node.ndim - 2,)
    return build.product(ONE, ((node, 1, axes),), axes, node.dims[:-1])


def _middle(node: Node) -> Node:
    """The sum of the diagonal of the last two axes, at every place of the diagonal."""
    lead, (i, k) = tuple(range(node.ndim - 2)), (node.ndim - 2, node.ndim - 1)
    dims = (*node.dims[:-1], node.dims[-1])
    return build.product(ONE, ((node, 1, (*lead, i, i)),), (*lead, k, k), dims)


def _share(node: Node) -> Coefficient:
    """One part of as many as a diagonal has entries."""
    return Coefficient.of(node.dims[-1]) ** -1


def _masked(node: Node, relation: Relation) -> Node:
    mask = Pattern(node.dims[-2:], [relation])
    axes = tuple(range(node.ndim))
    return build.product(ONE, ((node, 1, axes), (mask, 1, axes[-2:])), axes, node.dims)


def _toeplitz(node: Node, convention: str) -> Node:
    """The sums along the diagonals; projected, their means."""
    rows, columns = node.dims[-2:]
    same = Relation(((0, 1), (1, -1), (2, -1), (3, 1)), Dimension.of(0))
    lines = Pattern((rows, columns, rows, columns), [same])
    lead = tuple(range(node.ndim - 2))
    i, j, k, m = range(node.ndim - 2, node.ndim + 2)
    factors = [(node, 1, (*lead, i, j)), (lines, 1, (i, j, k, m))]
    if convention == "projected":
        length = build.product(ONE, ((lines, 1, (0, 1, 2, 3)),), (2, 3), lines.dims)
        factors.append((length, -1, (k, m)))
    return build.product(ONE, factors, (*lead, k, m), (*node.dims, rows, columns))
