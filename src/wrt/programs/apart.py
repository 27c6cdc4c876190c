"""Axes that have nothing to do with each other are computed apart and multiplied at the end.

A product falls into parts that share no index: `u[i]*A[j,k]*v[k]` is u by A*v. What uses the
product takes the parts as factors of its own, and a sum whose terms have a part in common keeps it
outside, so that an outer product is formed once, where the result is, and never carried along.
"""

from __future__ import annotations

from collections.abc import Sequence

from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Constant, Dims, Einsum, Factor, Node, Sum
from wrt.expression.walk import postorder

__all__ = ["apart", "groups"]

#: A formula and which axes of the whole its axes are.
Part = tuple[Node, tuple[int, ...]]
Parts = tuple[Part, ...]


def apart(root: Node) -> Node:
    """The same formula with its outer products formed last.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> n = Dimension.of("n")
    >>> A, u, v = Variable("A", (n, n)), Variable("u", (n,)), Variable("v", (n,))
    >>> outer = build.einsum("i,j->ij", u, v)
    >>> found = apart(build.einsum("ij,jk->ik", outer, A) + build.einsum("ij->ij", outer))
    >>> found is build.einsum("i,j->ij", u, v @ A + v)
    True
    """
    table = _Table()
    for node in postorder(root):
        match node:
            case Einsum() if not node.repeats and not build.is_zero(node):
                _product(node, table)
            case Sum():
                _sum(node, table)
            case _:
                table.put(node, ())
    return table.whole[root]


class _Table:
    """Of every node its parts, where it has several, and the whole of them."""

    def __init__(self) -> None:
        self.parts: dict[Node, Parts] = {}
        self.whole: dict[Node, Node] = {}

    def put(self, node: Node, parts: Parts, changed: Node | None = None) -> None:
        """Parts of a node, and the node of its new children or what it has become."""
        if changed is None:
            children = tuple([self.whole[c] for c in node.children])
            changed = node if children == node.children else node.rebuild(children)
        self.parts[node], self.whole[node] = parts, changed


# Products


def _product(node: Einsum, table: _Table) -> None:
    """The parts of a product: its factors, grouped by the indices that they share."""
    factors: list[Factor] = []
    for child, exponent, indices in node.factors:
        if exponent == 1 and table.parts[child]:
            factors += [(p, 1, tuple(indices[a] for a in own)) for p, own in table.parts[child]]
        else:
            factors.append((table.whole[child], exponent, indices))
    taken = len(factors) > len(node.factors)
    made = build.product(node.coefficient, factors, node.output, node.index_dims) if taken else None
    hanging = groups(factors)
    carried = {i for _, _, indices in factors for i in indices}
    if len(hanging) < 2 or not carried.issuperset(range(len(node.index_dims))):
        table.put(node, (), made)
        return
    parts = [_group(group, node.output, node.index_dims) for group in hanging]
    if node.coefficient != ONE:
        parts.append((Constant(node.coefficient), ()))
    table.put(node, tuple(parts), _joined(parts, node) if taken else None)


def _joined(parts: Sequence[Part], node: Node) -> Node:
    """The product of parts."""
    factors: list[Factor] = [(part, 1, axes) for part, axes in parts]
    return build.product(ONE, factors, tuple(range(node.ndim)), node.dims)


def groups(factors: Sequence[Factor]) -> list[list[Factor]]:
    """The factors that hang together by indices; numbers are a group of their own."""
    if len(factors) == 1:
        return [list(factors)]
    groups: list[tuple[set[int], list[Factor]]] = []
    for factor in factors:
        indices = set(factor[2])
        met = [g for g in groups if g[0] & indices or not (g[0] or indices)]
        merged = set(indices).union(*(g[0] for g in met))
        inside = [f for g in met for f in g[1]]
        groups = [g for g in groups if g not in met]
        groups.append((merged, [*inside, factor]))
    return [members for _, members in groups]


def _group(factors: Sequence[Factor], output: Sequence[int], dims: Dims) -> Part:
    used = dict.fromkeys(i for _, _, indices in factors for i in indices)
    kept = tuple(axis for axis, i in enumerate(output) if i in used)
    names = {i: k for k, i in enumerate([*(output[a] for a in kept)])}
    for i in used:
        names.setdefault(i, len(names))
    renamed: list[Factor] = [(f, e, tuple(names[i] for i in own)) for f, e, own in factors]
    lengths = [dims[i] for i in names]
    return build.product(ONE, renamed, tuple(range(len(kept))), lengths), kept


# Sums


def _sum(node: Sum, table: _Table) -> None:
    """What all terms have as a part stays outside; the rest is added."""
    terms = [table.parts[c] for c in node.children]
    common = [p for p in terms[0] if p[1] and all(p in other for other in terms[1:])]
    if not common:
        table.put(node, ())
        return
    axes = [a for _, own in common for a in own]
    kept = tuple(a for a in range(node.ndim) if a not in axes)
    place = {a: k for k, a in enumerate(kept)}
    rests = []
    for parts in terms:
        rest: list[Factor] = [
            (p, 1, tuple(place[a] for a in own)) for p, own in parts if (p, own) not in common
        ]
        lengths = [node.dims[a] for a in kept]
        rests.append(build.product(ONE, rest, tuple(range(len(kept))), lengths))
    found = (*common, (build.add(*rests), kept))
    table.put(node, found, _joined(found, node))
