"""Sums along the diagonals of a matrix, as a derivative by a Toeplitz matrix has them.

A pattern of four indices, i - j = k - l, summed over k and l with a matrix X, is `diagonals(X)`.
"""

from __future__ import annotations

from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Einsum, Factor, Node, Pattern
from wrt.notation.tree import Tree, call

__all__ = ["Lines", "diagonals", "lines_of", "replaced"]

#: What is summed along diagonals (none: ones), the pattern's own indices, the other factors.
Lines = tuple[Einsum | None, tuple[int, int], list[Factor]]


def lines_of(node: Einsum) -> Lines | None:
    """The matrix of which a product sums the diagonals, as a product; None where there is none."""
    for k, (child, exponent, indices) in enumerate(node.factors):
        if isinstance(child, Pattern) and exponent == 1 and _is_toeplitz(child):
            others = [f for n, f in enumerate(node.factors) if n != k]
            i, j, p, q = indices
            for summed, kept in (((i, j), (p, q)), ((p, q), (i, j)), ((i, p), (j, q))):
                found = _taken(node, others, summed, kept)
                if found is not None:
                    return found
    return None


def diagonals(matrix: Tree) -> Tree:
    """Every entry the sum of its diagonal."""
    latex = r"\operatorname{diagonals}(@0)"
    return call("diagonals", [matrix], matrix.shape, flips=True, latex=latex)


def _is_toeplitz(pattern: Pattern) -> bool:
    if pattern.ndim != 4 or len(pattern.relations) != 1:
        return False
    (relation,) = pattern.relations
    signs = [c for _, c in sorted(relation.terms)]
    return (
        relation.kind == "=="
        and not relation.constant.terms
        and signs
        in (
            [1, -1, -1, 1],
            [-1, 1, 1, -1],
        )
    )


def _taken(
    node: Einsum, others: list[Factor], summed: tuple[int, int], kept: tuple[int, int]
) -> Lines | None:
    """What hangs on the summed indices, if nothing of it hangs on what is kept."""
    dims = node.index_dims
    held = set(node.output) | set(kept)
    if held & set(summed) or summed[0] == summed[1]:
        return None
    if [dims[i] for i in summed] != [dims[i] for i in kept]:
        return None
    inside, mine, rest = set(summed), list[Factor](), list(others)
    while True:
        near = [f for f in rest if inside & set(f[2])]
        if not near:
            break
        rest = [f for f in rest if f not in near]
        mine += near
        inside |= {i for f in near for i in f[2]}
    if inside & held:
        return None
    matrix = Einsum(ONE, mine, summed, dims) if mine else None
    return matrix, kept, rest


def replaced(node: Einsum, found: Lines, stand_in: Node) -> Einsum:
    """The product with a matrix in the place of what is summed along its diagonals."""
    _, kept, rest = found
    factors = [*rest, (stand_in, 1, kept)]
    return Einsum(node.coefficient, factors, node.output, node.index_dims)
