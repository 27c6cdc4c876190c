"""Lengths of vectors as one operation, which is right where their squares are no floats.

The square of 1e-200 is 0 and that of 1e200 infinite: a root of a sum of squares becomes the word
norm2, whose programs scale such entries first. Odd powers take vectors with them as directions:
x*x'/norm2(x)^3 is u*u'/norm2(x) with u = x/norm2(x), as norm2(x)^3 leaves the floats much earlier.
"""

from __future__ import annotations

from fractions import Fraction

from wrt.algebra.conjugation import is_conjugate
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Apply, Einsum, Factor, Node, whole
from wrt.expression.walk import postorder, rewrite
from wrt.functions import BOOK

__all__ = ["by_norms"]


def by_norms(root: Node) -> Node:
    """The same formula with roots of sums of squares as norms.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> x = Variable("x", (Dimension.of("n"),))
    >>> by_norms((x @ x) ** Fraction(1, 2))
    <norm2(x) : scalar>
    """
    return rewrite(root, _by_norms) if any(map(_holds_norm, postorder(root))) else root


def _holds_norm(node: Node) -> bool:
    return isinstance(node, Einsum) and any(
        e.denominator == 2 and _vector(c) is not None
        for c, e in zip(node.children, node.exponents, strict=True)
    )


def _vector(square: Node) -> Node | None:
    """What a sum of squares is that of, the axes that are summed last."""
    if not isinstance(square, Einsum) or not square.summed or square.repeats:
        return None
    if len(square.children) == 1:
        ((vector, exponent, indices),) = square.factors
        squared = exponent == 2
    elif len(square.children) == 2:
        (vector, exponent, indices), (other, second, again) = square.factors
        if is_conjugate(vector):
            vector, other = other, vector
        pair = is_conjugate(other) and other.children == (vector,) and indices == again
        squared = pair and exponent == second == 1
        vector = Apply(BOOK["abs"], (vector,), vector.ndim)
    else:
        return None
    if not squared or len(set(indices)) < len(indices) or len(indices) < len(square.index_dims):
        return None
    order = (*square.output, *square.summed)
    return build.product(ONE, [(vector, 1, indices)], order, square.index_dims)


def _by_norms(node: Node) -> Node:
    if not isinstance(node, Einsum) or not _holds_norm(node):
        return node
    coefficient = node.coefficient
    factors: list[Factor] = []
    for child, exponent, indices in node.factors:
        vector = _vector(child) if exponent.denominator == 2 else None
        if vector is None:
            factors.append((child, exponent, indices))
            continue
        assert isinstance(child, Einsum)
        norm = Apply(BOOK["norm2"], (vector,), len(child.output))
        coefficient = coefficient * child.coefficient ** Fraction(exponent)
        factors.append((norm, whole(Fraction(2 * exponent)), indices))
    factors = _directed(factors)
    return build.product(coefficient, factors, node.output, node.index_dims)


def _directed(factors: list[Factor]) -> list[Factor]:
    """Products with vectors over powers of their norms: all but one power go with the vectors."""
    for place, (norm, exponent, where) in enumerate(factors):
        if not (isinstance(norm, Apply) and norm.function is BOOK["norm2"]):
            continue
        (vector,), left = norm.children, -exponent
        for k, (child, power, indices) in enumerate(factors):
            if child is vector and power == 1 and indices[: norm.ndim] == where and left > 1:
                lead = tuple(range(norm.ndim))
                along = tuple(range(vector.ndim))
                pair = ((vector, 1, along), (norm, -1, lead))
                factors[k] = (build.product(ONE, pair, along, vector.dims), 1, indices)
                left -= 1
        factors[place] = (norm, -left, where)
    return factors
