"""Triangles that meet on the diagonal only: a lower matrix times an upper mask is diagonal."""

from __future__ import annotations

from wrt.expression import build
from wrt.expression.nodes import Apply, Einsum, Node, Pattern, Sum, Variable

__all__ = ["met"]


def met(node: Einsum) -> Node | None:
    """The product with δ where a lower and an upper triangle stand at one pair of indices."""
    if not any(isinstance(c, (Apply, Variable)) and triangle(c) for c in node.children):
        return None
    seen: dict[tuple[int, int], int] = {}
    for child, exponent, indices in node.factors:
        if len(indices) != 2 or indices[0] == indices[1] or exponent < 0:
            continue
        side = triangle(child)
        if not side:
            continue
        i, j = indices
        if seen.get((i, j), side) == -side or seen.get((j, i), -side) == side:
            delta = build.identity(node.index_dims[i])
            factors = [*node.factors, (delta, 1, (i, j))]
            return build.product(node.coefficient, factors, node.output, node.index_dims)
        seen[i, j] = side
    return None


def triangle(node: Node) -> int:
    """1 for a lower triangular matrix, -1 for an upper one, 0 for any other.

    >>> from wrt.expression.dimensions import Dimension
    >>> triangle(Variable("L", [Dimension.of("n")] * 2, ["lower"]))
    1
    """
    match node:
        case Variable():
            return ("lower" in node.properties) - ("upper" in node.properties)
        case Apply():
            return int(node.function.name == "chol" and not node.batch)
        case Pattern() if node.ndim == 2:
            sides = {_side(r.terms) for r in node.relations if r.kind == ">="}
            plain = all(r.constant.value == 0 for r in node.relations)
            return sides.pop() if len(sides) == 1 and plain else 0
        case Einsum():
            return _of_one(node)
        case Sum() if node.ndim == 2:
            sides = {triangle(t) for t in node.children if not _is_diagonal(t)}
            return sides.pop() if len(sides) == 1 else 0
        case _:
            return 0


def _side(terms: tuple[tuple[int, int], ...]) -> int:
    return int(terms == ((0, 1), (1, -1))) - int(terms == ((0, -1), (1, 1)))


def _is_diagonal(node: Node) -> bool:
    return isinstance(node, Einsum) and node.ndim == 2 and node.output[0] == node.output[1]


def _of_one(node: Einsum) -> int:
    """The triangle of a number times a matrix or its transpose."""
    if len(node.children) != 1 or node.ndim != 2 or node.summed or node.repeats:
        return 0
    turned = -1 if node.indices[0] != node.output else 1
    return turned * triangle(node.children[0])
