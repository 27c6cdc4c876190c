"""Derivatives of matrix functions: open directions closed, commuting ones as products.

`frechet(f, X)` contracted with E is `frechet(f, X, E)`; its result contracted with G is
`frechet(f, X, G')'`, because <G, frechet(f, X, E)> = <frechet(f, X', G), E>. Along an E that
commutes with X it is the matrix function f' at X times E: expm(A*t) by t is A*expm(A*t), and
b'*expm(A*t)*c by t is b'*A*expm(A*t)*c.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from wrt.algebra.equality import equal
from wrt.algebra.expand import template
from wrt.algebra.lifting import lift
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.directions import Opened, open_directions, opened
from wrt.expression.nodes import Apply, Einsum, Factor, Node
from wrt.expression.walk import is_larger
from wrt.functions import find
from wrt.functions.matrix_functions import frechet, of_word

__all__ = ["closed", "commuted", "upright"]

#: Matrices of more nodes are not evaluated to see whether they commute.
MOST_NODES = 200


# Closing what is open


def closed(node: Einsum) -> Node | None:
    """A product with one open direction, or one result, contracted; None where there is none."""
    for k, (child, exponent, indices) in enumerate(node.factors):
        parts = opened(child) if exponent == 1 else None
        if parts is not None:
            assert isinstance(child, Apply)
            made = _closed(node, k, child, parts, indices)
            if made is not None:
                return made
        elif exponent == 1 and isinstance(child, Apply) and child.function.linear:
            made = None if child.batch else _exchanged(node, k, child, indices)
            if made is not None:
                return made
    return None


def _exchanged(node: Einsum, place: int, call: Apply, ends: tuple[int, ...]) -> Node | None:
    """A result contracted with a matrix that commutes: it goes where a direction was, which comes
    out.
    """
    rows, columns = ends
    taken = _contracted(node, place, (rows, columns))
    if not taken or rows == columns:
        return None
    X, *directions = call.children
    beside = _product(node, taken, (rows, columns))
    for k, direction in enumerate(directions):
        others = map(build.transpose, directions[:k] + directions[k + 1 :])
        made = commuted(Apply(call.function, [build.transpose(X), beside, *others], 0))
        if made is not None:
            rest = [f for j, f in enumerate(node.factors) if j != place and j not in taken]
            factors: list[Factor] = [*rest, (made, 1, ends), (direction, 1, ends)]
            return build.product_carried(node.coefficient, factors, node.output, node.index_dims)
    return None


def _closed(
    node: Einsum, place: int, call: Apply, parts: Opened, indices: tuple[int, ...]
) -> Node | None:
    rows, columns = indices[-2:]
    pairs = [(indices[a], indices[b]) for a, b in parts.pairs]
    for k, pair in enumerate(pairs):
        taken = _contracted(node, place, pair)
        if taken is not None:
            along = _product(node, taken, pair)
            others = [p for j, p in enumerate(pairs) if j != k]
            return _replaced(node, place, taken, call, [*parts.given, along], others, rows, columns)
    taken = _contracted(node, place, (rows, columns))
    if taken is None:
        return None
    along, (row, column) = _product(node, taken, (columns, rows)), pairs[0]
    given = [*parts.given, along]
    return _replaced(node, place, taken, call, given, pairs[1:], column, row)


def _contracted(node: Einsum, place: int, ends: tuple[int, int]) -> list[int] | None:
    """The factors that stand between two indices of a factor and nothing else."""
    own = node.indices[place]
    if set(ends) & set(node.output) or any(own.count(i) > ends.count(i) for i in ends):
        return None
    beyond = {*node.output, *own} - set(ends)
    reached, taken = set(ends), []
    grew = True
    while grew:
        grew = False
        for k, indices in enumerate(node.indices):
            if k != place and k not in taken and reached & set(indices):
                if beyond & set(indices):
                    return None
                taken.append(k)
                reached |= set(indices)
                grew = True
    return sorted(taken)


def _product(node: Einsum, taken: Sequence[int], output: tuple[int, int]) -> Node:
    factors = [node.factors[k] for k in taken]
    return build.product_carried(ONE, factors, output, node.index_dims)


def _replaced(
    node: Einsum,
    place: int,
    taken: Sequence[int],
    call: Apply,
    given: Sequence[Node],
    pairs: Sequence[tuple[int, int]],
    rows: int,
    columns: int,
) -> Node:
    """The product with another call in the place of one and of the factors that went into it."""
    made = open_directions(call.function, given, len(pairs))
    indices = (rows, columns, *(i for pair in pairs for i in pair))
    rest = [f for k, f in enumerate(node.factors) if k != place and k not in taken]
    factors: list[Factor] = [*rest, (made, 1, indices)]
    return build.product_carried(node.coefficient, factors, node.output, node.index_dims)


# Calls


def upright(node: Apply) -> Node:
    """f(X') is f(X)', numbers come out of directions, and a direction that commutes is a factor."""
    function = node.function
    if node.batch or not (function.commuting or function.linear):
        return node
    turned = _transpose_of(node.children[0])
    if turned is not None:
        others = map(build.transpose, node.children[1:])
        return build.transpose(Apply(function, [turned, *others], 0))
    if not function.linear:
        return node
    coefficient, cores = ONE, [node.children[0]]
    for direction in node.children[1:]:
        if build.is_zero(direction):
            return build.zeros(node.dims)
        number, core = build.split(direction)
        coefficient = coefficient * number
        cores.append(core)
    if not coefficient.is_one:
        return build.scale(coefficient, Apply(function, cores, 0))
    made = commuted(node)
    return node if made is None else made


def _transpose_of(node: Node) -> Node | None:
    """What a node is the plain transpose of."""
    if isinstance(node, Einsum) and node.exponents == (1,) and node.coefficient.is_one:
        (indices,) = node.indices
        if node.output == indices[::-1] and len(set(indices)) == 2:
            return node.children[0]
    return None


def commuted(node: Apply) -> Node | None:
    """The derivative along a direction that commutes with all others: f'(X) times it."""
    X, *directions = node.children
    function = of_word(node.function)
    for k, direction in enumerate(directions):
        rest = directions[:k] + directions[k + 1 :]
        if all(_commute(direction, other) for other in (X, *rest)):
            made = _slope(function.name, X, rest)
            return None if made is None else build.matmul(made, direction)
    return None


def _slope(name: str, X: Node, directions: Sequence[Node]) -> Node | None:
    """f'(X), or its derivative along directions where f' is a matrix function of the book."""
    value = find(name)(X)
    known = template(value)
    rule = known.read(known.function.commuting)
    one = build.identity(X.dims[0])
    arguments = dict(zip(known.variables, (X, value), strict=True)) | {known.differential(0): one}
    slope = lift(rule, arguments, known.bindings(value), ())
    if not directions:
        return slope
    number, core = build.split(slope)
    if not isinstance(core, Apply) or not core.function.commuting or core.children != (X,):
        return None
    along = Apply(frechet(core.function.name, len(directions)), (X, *directions), 0)
    return build.scale(number, along)


@lru_cache(maxsize=1024)
def _commute(a: Node, b: Node) -> bool:
    """Whether two matrices commute, by value."""
    if a is b or _is_scalar(a) or _is_scalar(b):
        return True
    if is_larger(MOST_NODES, a, b):
        return False
    return equal(build.matmul(a, b), build.matmul(b, a))


def _is_scalar(node: Node) -> bool:
    """Whether this is a multiple of the identity."""
    return isinstance(node, Einsum) and node.repeats and not any(node.indices)
