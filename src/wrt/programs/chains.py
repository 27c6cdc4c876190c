"""Products in a row, `A*diag(d)*B*v`, taken from the inside: one matrix at a time.

So what the first of them makes is there for others that need it, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Einsum, Factor, Node
from wrt.expression.products import product_carried

__all__ = ["in_a_row"]


def in_a_row(node: Einsum, moving: int, is_matrix: Callable[[Factor], bool]) -> Node:
    """A product of one factor that moves with matrices and weights, from the inside.

    >>> from wrt.expression import build
    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> n = Dimension.of("n")
    >>> A, B, v = Variable("A", (n, n)), Variable("B", (n, n)), Variable("v", (n,))
    >>> chain = build.einsum("ij,jk,k->i", A, B, v)
    >>> in_a_row(chain, chain.children.index(v), lambda f: f[0] is not v) is A @ (B @ v)
    True
    """
    core, exponent, own = node.factors[moving]
    if node.repeats or exponent != 1 or len(set(own)) < len(own):
        return node
    rest = [f for k, f in enumerate(node.factors) if k != moving]
    count = len(rest)
    while (step := _next(core, own, rest, node, is_matrix)) is not None:
        core, own, rest = step
    if len(rest) == count:
        return node
    return product_carried(node.coefficient, [(core, 1, own), *rest], node.output, node.index_dims)


def _next(
    core: Node,
    own: tuple[int, ...],
    rest: Sequence[Factor],
    node: Einsum,
    is_matrix: Callable[[Factor], bool],
) -> tuple[Node, tuple[int, ...], list[Factor]] | None:
    """The core with its weights and the matrix that it is summed with; the other factors."""
    for matrix in rest:
        _, exponent, at = matrix
        others = [f for f in rest if f is not matrix]
        if exponent != 1 or len(set(at)) < len(at) or not others or not is_matrix(matrix):
            continue
        weights = [f for f in others if set(f[2]) <= set(own)]
        left = [f for f in others if f not in weights]
        outside = {*node.output, *(i for _, _, there in left for i in there)}
        summed = set(own) & set(at) - outside
        free = [i for i in at if i not in own]
        if not summed or len(free) != len(summed):
            continue
        inner = _product([(core, 1, own), *weights], own, node) if weights else core
        if not left:
            return inner, own, [matrix]
        output = tuple([i for i in own if i not in summed] + free)
        return _product([(inner, 1, own), matrix], output, node), output, left
    return None


def _product(factors: Sequence[Factor], output: Sequence[int], node: Einsum) -> Node:
    return product_carried(ONE, factors, output, node.index_dims)
