"""Functions of matrices made of smaller ones: inv(diag(x)) is diag(1./x), inv(A ⊗ B) is
inv(A) ⊗ inv(B), det([a, b; c, d]) is a*d - b*c.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations, permutations, product

from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Apply, Einsum, Factor, Node, Reshape, Sum

__all__ = ["composed"]

#: What a function of a diagonal matrix does to each entry: a word, or a power.
_ENTRIES: dict[str, str | Fraction] = {
    "inv": Fraction(-1),
    "sqrtm": Fraction(1, 2),
    "chol": Fraction(1, 2),
    "expm": "exp",
    "logm": "log",
    "sinm": "sin",
    "cosm": "cos",
}


def composed(node: Apply) -> Node | None:
    """A function of a diagonal matrix by its entries, the inverse of a Kronecker product by its
    factors, a small determinant of numbers written out; None for any other.

    >>> from wrt.language import read
    >>> composed(read("inv(diag(x))").formula) is read("diag(1./x)").formula
    True
    """
    inside = node.children[0]
    if not node.batch and node.function.name == "det" and _is_written_out(inside):
        return _determinant(inside)
    if node.batch or node.function.name not in _ENTRIES:
        return None
    terms = inside.children if isinstance(inside, Sum) else (inside,)
    if all(isinstance(t, Einsum) and t.output[:1] == t.output[1:] for t in terms):
        return _by_entries(node, terms)
    if isinstance(inside, Reshape) and node.function.name == "inv":
        return _by_factors(node, inside)
    return None


def _is_written_out(matrix: Node) -> bool:
    """Whether a matrix is [a, b; c, d], or with three rows, of numbers alone."""
    size = matrix.dims[0].value
    return size in (2, 3) and not any(v.ndim for v in matrix.names) and bool(matrix.names)


def _determinant(matrix: Node) -> Node:
    """The determinant by its first row."""
    size = matrix.dims[0].value
    assert size is not None
    pieces = _multiplied(matrix)
    entry = {
        place: build.add(*(build.getitem(t, place) for t in pieces))
        for place in product(range(size), range(size))
    }
    terms = []
    for order in permutations(range(size)):
        sign = (-1) ** sum(a > b for a, b in combinations(order, 2))
        factors: list[Factor] = [(entry[i, j], 1, ()) for i, j in enumerate(order)]
        terms.append(build.scale(sign, build.product(ONE, factors, (), ())))
    return build.add(*terms)


def _multiplied(matrix: Node) -> list[Node]:
    """The terms of a matrix, brackets opened."""
    found, left = [], [matrix]
    while left:
        node = left.pop()
        if isinstance(node, Sum):
            left += node.children
            continue
        factors: list[Factor] = list(node.factors) if isinstance(node, Einsum) else []
        place = next(
            (k for k, f in enumerate(factors) if isinstance(f[0], Sum) and f[0].ndim), None
        )
        if place is None or not isinstance(node, Einsum) or factors[place][1] != 1:
            found.append(node)
            continue
        whole, _, indices = factors[place]
        for term in whole.children:
            factors[place] = (term, 1, indices)
            left.append(build.product(node.coefficient, factors, node.output, node.index_dims))
    return found


def _by_entries(node: Apply, terms: Sequence[Node]) -> Node:
    from wrt.functions import BOOK

    entries = build.add(
        *(
            build.product(t.coefficient, t.factors, t.output[:1], t.index_dims)
            for t in terms
            if isinstance(t, Einsum)
        )
    )
    made = _ENTRIES[node.function.name]
    if isinstance(made, str):
        entries, made = Apply(BOOK[made], [entries], 1), Fraction(1)
    return build.product(ONE, ((entries, made, (0,)),), (0, 0), entries.dims)


def _by_factors(node: Apply, inside: Reshape) -> Node | None:
    body = inside.body
    if not isinstance(body, Einsum) or body.ndim != 4 or len(inside.dims) != 2:
        return None
    a, b, c, d = body.dims
    if a is not c or b is not d or a * b is not inside.dims[0]:
        return None
    left, right = _parted(body)
    if left is None or right is None:
        return None
    inverses = [Apply(node.function, [part], 0) for part in (left, right)]
    factors: list[Factor] = [(inverses[0], 1, (0, 2)), (inverses[1], 1, (1, 3))]
    made = build.product(ONE, factors, range(4), body.dims)
    return build.reshape(made, inside.dims)


def _parted(body: Einsum) -> tuple[Node | None, Node | None]:
    """The factors of a Kronecker product; numbers go with the first."""
    i, k, j, m = body.output
    linked = [{i, j}, {k, m}]
    loose: list[Factor] = list(body.factors)
    groups: list[list[Factor]] = [[], []]
    while True:
        found = next(
            ((f, g) for f in loose for g in (0, 1) if linked[g] & set(f[2])),
            None,
        )
        if found is None:
            break
        factor, g = found
        loose.remove(factor)
        groups[g].append(factor)
        linked[g] |= set(factor[2])
    if linked[0] & linked[1]:
        return None, None
    return (
        build.product_carried(body.coefficient, [*groups[0], *loose], (i, j), body.index_dims),
        build.product_carried(ONE, groups[1], (k, m), body.index_dims),
    )
