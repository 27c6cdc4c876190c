"""Diagonals are read and written as n numbers: of what was declared diagonal, and of sums."""

from __future__ import annotations

from collections.abc import Mapping

from wrt.algebra.properties import is_diagonal
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Apply, Einsum, Exponent, Factor, Node, Sum, Variable
from wrt.expression.walk import rewrite, users
from wrt.functions import BOOK

__all__ = ["by_diagonals"]


def by_diagonals(root: Node) -> Node:
    """The same formula with diagonal matrices by their diagonals, and diagonals of sums by terms.

    >>> from wrt.expression.dimensions import Dimension
    >>> n = Dimension.of("n")
    >>> D, A = Variable("D", (n, n), ["diagonal"]), Variable("A", (n, n))
    >>> x = Variable("x", (n,))
    >>> by_diagonals(BOOK["inv"](D) @ x) is x / build.einsum("ii->i", D)
    True
    >>> by_diagonals(build.einsum("ii->i", A + build.einsum("i,j->ij", x, x)))
    <({A[ii] -> i} + {{x[i] x[j] -> ij}[ii] -> i}) : n>
    """
    declared = any(map(_is_matrix, root.names))
    count = users(root)
    if not declared and not any(isinstance(node, Sum) and node.ndim > 1 for node in count):
        return root
    return rewrite(root, lambda node: _read(node, count))


def _read(node: Node, count: Mapping[Node, int]) -> Node:
    if isinstance(node, Einsum) and not build.is_zero(node):
        return _product(node, count)
    if isinstance(node, Apply) and not node.batch and len(node.children) == 1:
        (matrix,) = node.children
        if matrix.ndim == 2 and is_diagonal(matrix):
            return _applied(node, matrix)
    return node


def _is_matrix(node: Node) -> bool:
    return isinstance(node, Variable) and node.ndim == 2 and "diagonal" in node.properties


def _product(node: Einsum, count: Mapping[Node, int]) -> Node:
    factors: list[Factor] = []
    for child, exponent, indices in node.factors:
        distinct = tuple(dict.fromkeys(indices))
        if _is_matrix(child) and len(distinct) == 2 and exponent > 0:
            factors.append((_matrix(child, exponent), 1, indices))
        elif isinstance(child, Sum) and len(distinct) < len(indices) and count.get(child, 1) == 1:
            place = tuple(distinct.index(i) for i in indices)
            dims = [node.index_dims[i] for i in distinct]
            axes = range(len(distinct))
            terms = [build.product(ONE, [(t, 1, place)], axes, dims) for t in child.children]
            factors.append((build.add(*terms), exponent, distinct))
        else:
            factors.append((child, exponent, indices))
    if all(a[0] is b[0] for a, b in zip(factors, node.factors, strict=True)):
        return node
    return build.product(node.coefficient, factors, node.output, node.index_dims)


def _applied(node: Apply, matrix: Node) -> Node:
    """A function of a whole diagonal matrix."""
    if node.function is BOOK["inv"]:
        return _matrix(matrix, -1)
    made: Node = node
    if node.function is BOOK["det"]:
        made = BOOK["prod"](_entries(matrix))
    elif node.function is BOOK["logdet"]:
        made = BOOK["sum"](BOOK["log"](BOOK["abs"](_entries(matrix))))
    return made


def _entries(matrix: Node, exponent: Exponent = 1) -> Node:
    """What stands on the diagonal."""
    if isinstance(matrix, Einsum) and matrix.repeats:
        core = build.product(matrix.coefficient, matrix.factors, (0,), matrix.index_dims)
        return build.product(ONE, [(core, exponent, (0,))], (0,), matrix.dims[:1])
    return build.product(ONE, [(matrix, exponent, (0, 0))], (0,), matrix.dims[:1])


def _matrix(matrix: Node, exponent: Exponent) -> Node:
    """The diagonal matrix with powers of these entries."""
    return build.product(ONE, [(_entries(matrix, exponent), 1, (0,))], (0, 0), matrix.dims[:1])
