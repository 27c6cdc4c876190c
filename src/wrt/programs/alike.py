"""Formulas that differ in brackets only, found to be one: each as it is said without them.

A step multiplies one matrix at a time, and what stands outside it says the same product at once.
"""

from __future__ import annotations

from collections.abc import Iterable

from wrt.expression import build
from wrt.expression.nodes import Einsum, Node, Scan, Sum
from wrt.programs.brackets import absorbed
from wrt.programs.flat import around, beside

__all__ = ["without_brackets"]

#: A product of more factors stays as it is, and so does a sum of more terms.
MOST_FACTORS = MOST_TERMS = 16


def without_brackets(nodes: Iterable[Node], said: dict[Node, Node]) -> None:
    """Products in products and sums in sums written as one; `said` holds what becomes of a node.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> n = Dimension.of("n")
    >>> A, B, x = Variable("A", (n, n)), Variable("B", (n, n)), Variable("x", (n,))
    >>> said = {}
    >>> without_brackets([A @ (B @ x), (A @ B) @ x], said)
    >>> said[A @ (B @ x)] is said[(A @ B) @ x]
    True
    """
    stack = [*nodes]
    while stack:
        node = stack[-1]
        if node in said:
            stack.pop()
            continue
        if isinstance(node, Scan):
            said[node] = node
            continue
        waiting = [c for c in beside(node) if c not in said]
        if waiting:
            stack += waiting
            continue
        said[node] = _opened(around(node, said))


def _opened(node: Node) -> Node:
    if isinstance(node, Einsum):
        return _product(node)
    return _sum(node) if isinstance(node, Sum) else node


def _product(node: Einsum) -> Node:
    """A product with the factors of its factors; the multiple of a sum as a sum of multiples."""
    inner = node.children[0] if len(node.children) == 1 else None
    if isinstance(inner, Sum) and node.exponents == (1,) and node.indices == (node.output,):
        if not node.repeats and len(node.index_dims) == inner.ndim:
            return build.add(*(build.scale(node.coefficient, term) for term in inner.children))
    products = [c for c in node.children if isinstance(c, Einsum) and not c.repeats]
    if not products or sum(len(c.children) for c in products) > MOST_FACTORS:
        return node
    return absorbed(node, products)


def _sum(node: Sum) -> Node:
    """A sum with the terms of its sums."""
    terms = [t.children if isinstance(t, Sum) else (t,) for t in node.children]
    if len(terms) == sum(map(len, terms)) or sum(map(len, terms)) > MOST_TERMS:
        return node
    return build.add(*(one for some in terms for one in some))
