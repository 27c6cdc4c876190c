"""Whether a matrix is positive semidefinite by its form: A'*diag(w)*A with w ≥ 0, S spd, sums.

A product is a square where exchanging its rows and its columns maps its factors onto each other:
what meets the rows is then one matrix L, what meets the columns its transpose, and between them
stand weights and matrices that are semidefinite themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice

from wrt.algebra.bounds import bounds
from wrt.algebra.normal import flat_form, normal_form
from wrt.algebra.properties import is_symmetric
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dataclass import dataclass
from wrt.expression.nodes import Apply, Einsum, Factor, Node, Pattern, Sum, Variable

__all__ = ["Square", "definite", "squares"]

#: A product of more factors is not taken apart, and no more ways to match its factors are tried.
MOST_FACTORS, MOST_WAYS = 12, 200
#: A sum of more terms than this, products of sums multiplied out, is not looked at.
MOST_TERMS = 40


@dataclass(frozen=True)
class Square:
    """A product of the form L'·(weights, kernels)·L.

    `sign` is 2 where it is definite, 1 where it is semidefinite, negative where its negative is, 0
    where nothing is known of its weights. `rows` is L, its axes the weighted indices and then the
    rows, None where it is an identity; `weights` a number for each weighted index; `kernels` what
    is semidefinite between L' and L.
    """

    sign: int
    rows: Node | None
    weights: Node
    kernels: tuple[Node, ...]


def definite(node: Node, positive: Collection[Node] = ()) -> int:
    """Whether a tensor whose first half of axes are rows and whose other half columns is definite.

    2 definite, 1 semidefinite, -1 and -2 its negative, 0 where the form does not show it.

    >>> from wrt.expression.dimensions import Dimension
    >>> n, m = map(Dimension.of, "nm")
    >>> A, S = Variable("A", (m, n)), Variable("S", (m, m), ["spd"])
    >>> definite(A.T @ A), definite(A.T @ S @ A), definite(S), definite(A.T @ A - 2 * A.T @ S @ A)
    (1, 1, 2, 0)
    """
    if node.ndim % 2:
        return 0
    half = node.ndim // 2
    if node.dims[:half] != node.dims[half:]:
        return 0
    if half == 0:
        return bounds(node, positive)[node].sign
    match node:
        case Variable():
            return 2 if "spd" in node.properties else _diagonal_sign(node)
        case Apply():
            return _applied(node, positive)
        case Sum() | Einsum():
            found = squares(flat_form(node), positive)
            return 0 if found is None else _together([s.sign for s in found])
        case Pattern():
            axes = tuple(range(node.ndim))
            return definite(Einsum(ONE, ((node, 1, axes),), axes, node.dims), positive)
        case _:
            return 0


def _diagonal_sign(node: Variable) -> int:
    return int("diagonal" in node.properties and "simplex" in node.properties)


def _applied(node: Apply, positive: Collection[Node]) -> int:
    """A function that keeps definite matrices, as inv does."""
    if node.batch or "spd" not in node.function.keeps.split() or node.ndim != 2:
        return 0
    sign = definite(node.children[0], positive)
    if node.function.domain == "invertible" and sign:
        return 2 if sign > 0 else -2 if node.function.name == "inv" else 0
    return max(sign, 0) if sign == 2 or node.function.name == "matrix_power" else 0


def _together(signs: list[int]) -> int:
    """The sign of a sum."""
    if min(signs) >= 1:
        return max(signs)
    return min(signs) if max(signs) <= -1 else 0


def squares(node: Node, positive: Collection[Node] = ()) -> list[Square] | None:
    """The terms of a tensor as squares, those with the same L in one; None where one is none."""
    terms = list(node.children if isinstance(node, Sum) else (node,))[::-1]
    found: dict[tuple[Node | None, tuple[Node, ...], object], Square] = {}
    for _ in range(MOST_TERMS):
        if not terms:
            break
        term = terms.pop()
        if not isinstance(term, Einsum):
            sign = definite(term, positive)
            made = Square(sign, None, build.number(1), (term,)) if sign else None
        else:
            made = _square(term, positive)
        if made is None:
            more = _distributed(term)
            if more is None:
                return None
            terms += more
            continue
        key = (made.rows, made.kernels, made.weights.dims)
        old = found.get(key)
        found[key] = made if old is None else _added(old, made, positive)
    return None if terms else list(found.values())


def _distributed(node: Node) -> list[Node] | None:
    """The terms of a product one of whose factors is a sum of matrices."""
    if not isinstance(node, Einsum):
        return None
    factors = list(node.factors)
    for k, (child, exponent, indices) in enumerate(factors):
        if isinstance(child, Sum) and exponent == 1 and child.ndim > 1:
            rest = factors[:k] + factors[k + 1 :]
            return [
                flat_form(
                    build.product(
                        node.coefficient, [*rest, (t, 1, indices)], node.output, node.index_dims
                    )
                )
                for t in child.children
            ]
    return None


def _added(one: Square, two: Square, positive: Collection[Node]) -> Square:
    """Two squares of the same L: their weights add up."""
    weights = normal_form(build.add(one.weights, two.weights))
    sign = bounds(weights, positive)[weights].sign
    if one.kernels and one.sign * two.sign < 0:
        sign = 0
    elif one.kernels:
        sign = _together([one.sign, two.sign])
    level = max(abs(one.sign), abs(two.sign)) if one.sign and two.sign else 1
    level = 2 if one.rows is None and not one.kernels else level
    sign = max(-level, min(level, sign))
    return Square(sign, one.rows, weights, one.kernels)


Pairing = dict[int, int]
Match = tuple[int, int]


def _square(node: Einsum, positive: Collection[Node]) -> Square | None:
    half = node.ndim // 2
    if len(node.factors) > MOST_FACTORS or node.dims[:half] != node.dims[half:]:
        return None
    start: Pairing = {}
    for i, j in zip(node.output[:half], node.output[half:], strict=True):
        if start.get(i, j) != j or start.get(j, i) != i:
            return None
        start |= {i: j, j: i}
    for pairing, matches in islice(_matches(node, start), MOST_WAYS):
        made = _parts(node, pairing, matches, positive)
        if made is not None:
            return made
    return None


def _matches(node: Einsum, start: Pairing) -> Iterator[tuple[Pairing, list[Match]]]:
    """The ways to exchange rows and columns that map the factors onto each other."""
    factors = node.factors
    stack: list[tuple[Pairing, list[Match], tuple[int, ...]]] = [
        (start, [], tuple(range(len(factors))))
    ]
    while stack:
        pairing, matches, left = stack.pop()
        if not left:
            yield pairing, matches
            continue
        near = [k for k in left if any(i in pairing for i in factors[k][2])]
        first = (near or list(left))[0]
        for other in reversed(left):
            for indices in _images(factors[first], factors[other]):
                wider = _extended(pairing, factors[first][2], indices)
                if wider is not None:
                    rest = tuple(k for k in left if k not in (first, other))
                    stack.append((wider, [*matches, (first, other)], rest))


def _images(factor: Factor, other: Factor) -> list[tuple[int, ...]]:
    """The indices that a factor may be mapped to, if it may be mapped to another."""
    if factor[0] is not other[0] or factor[1] != other[1]:
        return []
    found = [other[2]]
    if len(other[2]) == 2 and is_symmetric(other[0]):
        found.append(other[2][::-1])
    return found


def _extended(
    pairing: Pairing, indices: tuple[int, ...], images: tuple[int, ...]
) -> Pairing | None:
    wider = dict(pairing)
    for i, j in zip(indices, images, strict=True):
        if wider.setdefault(i, j) != j or wider.setdefault(j, i) != i:
            return None
    return wider


def _parts(
    node: Einsum,
    pairing: Pairing,
    matches: list[Match],
    positive: Collection[Node],
) -> Square | None:
    """L, weights and kernels; None where an index ties rows and columns by no kernel."""
    factors = node.factors
    weights: list[Factor] = []
    kernels: list[Factor] = []
    pairs: list[Factor] = []
    for a, b in matches:
        held = factors[a][2]
        if all(pairing[i] == i for i in held):
            weights += [factors[a]] if a == b else [factors[a], factors[b]]
        elif a != b:
            pairs += [factors[a], factors[b]]
        elif len(held) == 2 and pairing[held[0]] == held[1]:
            kernels.append(factors[a])
        else:
            return None
    sides = _sides(node, pairing, pairs)
    if sides is None:
        return None
    fixed, rows = _rows(node, pairing, pairs, sides)
    weight = _weights(node, pairing, weights, fixed)
    sign = bounds(weight, positive)[weight].sign
    for child, exponent, _ in kernels:
        one = definite(child, positive)
        if not one or exponent.denominator != 1 or exponent < 1 or (one < 0 and exponent != 1):
            return None
        sign = (abs(sign * one) // 2 or abs(sign * one)) * (1 if sign * one > 0 else -1)
    whole = not pairs and _is_whole(node, pairing, weights, kernels)
    level = 2 if whole else 1
    kept = tuple(child for child, _, _ in kernels)
    return Square(max(-level, min(level, sign)), rows, weight, kept)


def _is_whole(node: Einsum, pairing: Pairing, weights: list[Factor], kernels: list[Factor]) -> bool:
    """Whether every row has a kernel or a weight of its own, nothing being summed."""
    rows = node.output[: node.ndim // 2]
    tied = all(pairing[i] == i or any(set(k[2]) == {i, pairing[i]} for k in kernels) for i in rows)
    return tied and {i for f in (*weights, *kernels) for i in f[2]} <= set(node.output)


def _sides(node: Einsum, pairing: Pairing, pairs: list[Factor]) -> set[int] | None:
    """The indices on the side of the rows; None where an index leads from rows to columns."""
    half = node.ndim // 2
    group = {i: i for i in pairing}

    def find(i: int) -> int:
        while group[i] != i:
            i = group[i]
        return i

    for _, _, indices in pairs:
        moving = [i for i in indices if pairing[i] != i]
        for i in moving[1:]:
            group[find(moving[0])] = find(i)
    rows = {find(i) for i in node.output[:half] if pairing[i] != i}
    columns = {find(i) for i in node.output[half:] if pairing[i] != i}
    if rows & columns or any(find(i) == find(j) for i, j in pairing.items() if i != j):
        return None
    side = set(rows)
    for i in pairing:  # what hangs together with neither goes to one side, its image to the other
        root, image = find(i), find(pairing[i])
        if pairing[i] != i and not {root, image} & (side | columns) and root not in columns:
            side.add(root)
    return {i for i in pairing if pairing[i] != i and find(i) in side}


def _rows(
    node: Einsum, pairing: Pairing, pairs: list[Factor], side: set[int]
) -> tuple[list[int], Node | None]:
    """The weighted indices of L, and L: these, then the rows; None where it is an identity."""
    mine = [f for f in pairs if any(i in side for i in f[2])]
    held = dict.fromkeys(i for f in mine for i in f[2])
    fixed = [i for i in held if pairing[i] == i]
    if not mine:
        return fixed, None
    rows = node.output[: node.ndim // 2]
    output = [*fixed, *(i for i in rows if i in held and pairing[i] != i)]
    return fixed, build.product_carried(ONE, mine, output, node.index_dims)


def _weights(node: Einsum, pairing: Pairing, weights: list[Factor], fixed: list[int]) -> Node:
    """A number for each index that L is weighted along, for each that ties a row to a column.

    What is summed besides is summed here.
    """
    rows = [i for i in dict.fromkeys(node.output) if pairing[i] == i and i not in fixed]
    return build.product_carried(node.coefficient, weights, [*fixed, *rows], node.index_dims)
