"""Products that others multiply with: taken apart in each of them, where that costs less.

`X*P*X'` is formed once for `tr(X*P*X')` and for `X*P*X'*y`. Where X has few columns it is far
larger than all that is wanted of it: `tr(P*(X'*X))` and `X*(P*(X'*y))` never form it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial

from wrt.expression.nodes import Einsum, Node, Pattern
from wrt.programs.brackets import MOST_FACTORS, MOST_NODES, SHARE, absorbed, changed, price
from wrt.programs.flat import beside, inside_out

__all__ = ["opened", "unfolded"]

#: So many products of one formula are taken apart.
MOST_OPENED = 8
#: An outer product with so many axes is larger than what is computed with matrices.
MANY_AXES = 4

Sizes = Mapping[str, int]


def opened(roots: tuple[Node, ...], sizes: Sizes) -> tuple[Node, ...]:
    """The formulas without those products that cost less as factors of what multiplies with them.

    >>> from wrt.expression import build
    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> n, m = Dimension.of("n"), Dimension.of("m")
    >>> X, y, z = Variable("X", (n, m)), Variable("y", (n,)), Variable("z", (n,))
    >>> G = X @ X.T
    >>> opened((G @ y, G @ z), {"n": 1000, "m": 10})[0] is build.einsum("ij,kj,k->i", X, X, y)
    True
    >>> opened((G @ y, G @ z), {"n": 10, "m": 1000})[0] is G @ y
    True
    """
    for _ in range(MOST_OPENED):
        product = next(_cheaper(roots, sizes), None)
        if product is None:
            break
        roots = changed(roots, partial(absorbed, products=(product,)))
    return roots


def unfolded(roots: tuple[Node, ...]) -> tuple[Node, ...]:
    """The formulas with the factors of large outer products where a sum over an axis takes them.

    What several sum over would else be formed once, with all its axes.

    >>> from wrt.expression import build
    >>> from wrt.expression.coefficient import ONE
    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> n = Dimension.of("n")
    >>> A, B, X = (Variable(name, (n, n)) for name in "ABX")
    >>> axes = (0, 1, 2, 3)
    >>> whole = build.einsum("ij,kl->ijkl", A, B)
    >>> held = Einsum(ONE, [(whole, 1, axes), (X, 1, (1, 2))], (0, 3), whole.dims)
    >>> unfolded((held,))[0] is build.einsum("ij,jk,kl->il", A, X, B)
    True
    """
    nodes = list(inside_out(roots))
    if not any(node.ndim >= MANY_AXES for node in nodes):
        return roots
    large = {node for node in nodes if isinstance(node, Einsum) and _is_outer(node)}
    return changed(roots, partial(_unfolded, large=large)) if large else roots


def _unfolded(node: Einsum, large: Collection[Node]) -> Node:
    taken = [
        c
        for c, own in zip(node.children, node.indices, strict=True)
        if c in large and set(own) & set(node.summed)
    ]
    return absorbed(node, taken) if taken else node


def _is_outer(node: Einsum) -> bool:
    """Whether a product sums over nothing and has more axes than each of its factors."""
    plain = node.ndim >= MANY_AXES and not node.summed and not node.repeats
    if not plain or any(isinstance(c, Pattern) for c in node.children):
        return False
    return len(node.children) > 1 and node.ndim > max(c.ndim for c in node.children)


def _cheaper(roots: tuple[Node, ...], sizes: Sizes) -> Iterator[Einsum]:
    """The products that are better taken apart wherever they stand."""
    nodes = list(inside_out(roots))
    if len(nodes) > MOST_NODES:
        return
    users: dict[Einsum, list[Node]] = {}
    for node in nodes:
        for child in dict.fromkeys(beside(node)):
            if isinstance(child, Einsum) and _is_product(child):
                users.setdefault(child, []).append(node)
    for product, found in users.items():
        if product in roots or not all(_takes(user, product) for user in found):
            continue
        before = price(product, sizes) + sum(price(user, sizes) for user in found)
        after = sum(price(absorbed(u, (product,)), sizes) for u in found if isinstance(u, Einsum))
        if after <= SHARE * before:
            yield product


def _is_product(node: Einsum) -> bool:
    """Whether a product has a sum, and two axes at least."""
    plain = node.summed and node.ndim > 1 and not node.repeats and len(node.children) > 1
    return bool(plain) and not any(isinstance(c, Pattern) for c in node.children)


def _takes(user: Node, product: Einsum) -> bool:
    """Whether a node multiplies with a product once, and sums over an axis of it."""
    if not isinstance(user, Einsum) or any(isinstance(c, Pattern) for c in user.children):
        return False
    own = [(e, idx) for c, e, idx in user.factors if c is product]
    count = len(user.children) + len(product.children) - 1
    if user.repeats or count > MOST_FACTORS or len(own) != 1 or own[0][0] != 1:
        return False
    return bool(set(user.summed) & set(own[0][1]))
