"""Parts of products that several products have: formed once, where that costs less.

The best order of one product by itself need not be that of several together. The derivatives of
a net of layers by all its weights are products of ever more of the same factors, the errors of
its layers, and each is taken from what another one has formed already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from wrt.expression import build
from wrt.expression.coefficient import MINUS_ONE, ONE
from wrt.expression.nodes import Einsum, Factor, Node, Pattern, Sum
from wrt.programs.brackets import absorbed, changed, price
from wrt.programs.contraction import order
from wrt.programs.costs import length
from wrt.programs.flat import around, inside_out

__all__ = ["together"]

#: Formulas of more nodes or products, and products of more factors, are left as they are; of the
#: parts of all products so many are looked at.
MOST_NODES, MOST_PRODUCTS, MOST_FACTORS, MOST_PARTS = 2000, 60, 24, 200
#: Sums of more terms are not compared with their negatives.
MOST_TERMS = 6

Sizes = Mapping[str, int]


def together(roots: tuple[Node, ...], sizes: Sizes) -> tuple[Node, ...]:
    """The formulas with the parts that several products have as products by themselves.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> N, n = Dimension.of("N"), Dimension.of("n")
    >>> R, E, X = (Variable(name, (N, n)) for name in "REX")
    >>> W = Variable("W", (n, n))
    >>> both = build.einsum("ia,ib,ic,bc->ab", X, R, E, W), build.einsum("ib,ic,bc->b", R, E, W)
    >>> found = together(both, {"N": 1000})
    >>> D = R * (E @ W.T)
    >>> found == (X.T @ D, build.einsum("ib->b", D))
    True
    """
    products = _products(roots)
    if len(products) < 2 or not _is_promising(products):
        return roots
    roots = _alike(roots)
    roots = changed(roots, partial(_signed, minus=_minus(_products(roots))))
    products = _products(roots)
    parts = _parts(products, sizes)
    shared = [part for part in parts if _is_shared(part, products, sizes)]
    for part in sorted(shared, key=lambda one: len(one.node.children), reverse=True):
        roots = changed(roots, partial(_with, part=part))
    return roots


def _products(roots: tuple[Node, ...]) -> list[Einsum]:
    """The products of several factors, those of few first; none where there are too many."""
    found = []
    for count, node in enumerate(inside_out(roots)):
        if isinstance(node, Einsum) and _is_open(node):
            found.append(node)
        if count > MOST_NODES or len(found) > MOST_PRODUCTS:
            return []
    return sorted(found, key=lambda node: len(node.children))


def _is_open(node: Einsum) -> bool:
    """Whether a product of some of the factors may be formed by itself."""
    plain = 1 < len(node.children) <= MOST_FACTORS and not node.repeats
    return plain and not any(isinstance(c, Pattern) for c in node.children)


def _is_promising(products: Sequence[Einsum]) -> bool:
    """Whether two products have two factors in common, one of them with others besides."""
    if len(products[-1].children) < 3:
        return False
    pairs = Counter[frozenset[Node]]()
    for node in products:
        own = list(dict.fromkeys(node.children))
        pairs.update({frozenset((a, b)) for k, a in enumerate(own) for b in own[k + 1 :]})
    return any(count > 1 for count in pairs.values())


def _alike(roots: tuple[Node, ...]) -> tuple[Node, ...]:
    """The formulas with sums of the same terms, and products of the same factors, in one order."""
    done: dict[Node, Node] = {}
    first: dict[object, Node] = {}
    for node in inside_out(roots):
        made = around(node, done)
        done[node] = first.setdefault(_said(made), made)
    return tuple([done[root] for root in roots])


def _said(node: Node) -> object:
    """What nodes have in common that differ in an order: of terms, or of factors."""
    if isinstance(node, Einsum) and len(node.children) == 1:  # a multiple of a product
        (inner,) = node.children
        node = absorbed(node, (inner,)) if isinstance(inner, Einsum) and not inner.repeats else node
    if len(set(node.children)) < len(node.children):
        return node
    if isinstance(node, Sum):
        return frozenset(node.children)
    if not isinstance(node, Einsum):
        return node
    factors = sorted(node.factors, key=lambda one: one[0].digest)
    live = dict.fromkeys([*node.output, *(i for _, _, own in factors for i in own)])
    place = {i: k for k, i in enumerate(live)}
    parts = [(c, e, *(place[i] for i in own)) for c, e, own in factors]
    unread = tuple(d for i, d in enumerate(node.index_dims) if i not in place)
    output = [(place[i], node.index_dims[i]) for i in node.output]
    return node.coefficient, tuple(parts), tuple(output), unread


def _minus(products: Sequence[Einsum]) -> dict[Node, Node]:
    """Sums that are minus another factor, and that factor."""
    factors = dict.fromkeys(c for node in products for c in node.children if isinstance(c, Sum))
    first = dict[frozenset[Node], Node]()
    found = dict[Node, Node]()
    for one in factors:
        if len(one.children) <= MOST_TERMS:
            minus = frozenset(build.scale(MINUS_ONE, term) for term in one.children)
            if minus in first:
                found[one] = first[minus]
            first[frozenset(one.children)] = one
    return found


def _signed(node: Einsum, minus: Mapping[Node, Node]) -> Node:
    """A product with factors of one sign in the place of those that are minus these."""
    powers = [e for c, e, _ in node.factors if c in minus]
    if not powers or any(e.denominator != 1 for e in powers):
        return node
    factors = [(minus.get(c, c), e, own) for c, e, own in node.factors]
    coefficient = -node.coefficient if sum(powers) % 2 else node.coefficient
    return build.product(coefficient, factors, node.output, node.index_dims)


class Part(NamedTuple):
    """A product that is a part of others, and its factors."""

    node: Einsum
    factors: frozenset[Node]


def _parts(products: Sequence[Einsum], sizes: Sizes) -> list[Part]:
    """What the products form on the way, each from what those before it have formed."""
    table: dict[Node, Part] = {}
    for product in products:
        made, cost = product, price(product, sizes)
        for part in sorted(table.values(), key=lambda one: -len(one.node.children)):
            found = _with(made, part)
            if found is not made and isinstance(found, Einsum):
                after = price(found, sizes)
                if after <= cost:
                    made, cost = found, after
        for part in _formed(made, frozenset(table), sizes):
            table.setdefault(part.node, part)
        if len(table) > MOST_PARTS:
            break
    return list(table.values())


def _formed(product: Einsum, known: frozenset[Node], sizes: Sizes) -> Iterator[Part]:
    """What a product forms on the way in its best order, of the factors of its factors."""
    lengths = tuple([length(d, sizes) for d in product.index_dims])
    live = [frozenset([k]) for k, _ in enumerate(product.children)]
    path = order(product.indices, tuple(dict.fromkeys(product.output)), lengths)
    for places in path[:-1]:
        own = frozenset[int]().union(*(live[k] for k in places))
        live = [one for k, one in enumerate(live) if k not in places]
        live.append(own)
        factors = [product.factors[k] for k in sorted(own)]
        others = {i for k, idx in enumerate(product.indices) if k not in own for i in idx}
        needed = others.union(product.output)
        kept = _laid({i for _, _, idx in factors for i in idx if i in needed}, factors, product)
        node = build.product_carried(ONE, factors, kept, product.index_dims)
        if isinstance(node, Einsum):
            node = absorbed(node, known)
            if _is_open(node):
                yield Part(node, frozenset(node.children))


def _laid(kept: set[int], factors: Sequence[Factor], product: Einsum) -> tuple[int, ...]:
    """The axes of a part in the order in which one of its factors or another array has them."""
    for own in (*(idx for _, _, idx in factors), *product.indices, product.output):
        if kept <= set(own):
            return tuple(dict.fromkeys(i for i in own if i in kept))
    return tuple(sorted(kept))


def _is_shared(part: Part, products: Sequence[Einsum], sizes: Sizes) -> bool:
    """Whether several products would take a part that is there."""
    users = 0
    for product in products:
        if part.factors <= set(product.children):
            found = _with(product, part)
            users += found is not product and price(found, sizes) < price(product, sizes)
            if users > 1:
                return True
    return False


def _with(node: Einsum, part: Part) -> Node:
    """A product with a part in the place of the factors of that, if it has them so."""
    if node is part.node or not (_is_open(node) and part.factors <= set(node.children)):
        return node
    found = _place(node, part.node)
    if found is None:
        return node
    places, indices = found
    rest = [f for k, f in enumerate(node.factors) if k not in places]
    own = tuple([indices[i] for i in part.node.output])
    return build.product_carried(
        node.coefficient, [*rest, (part.node, 1, own)], node.output, node.index_dims
    )


def _place(node: Einsum, part: Einsum) -> tuple[set[int], dict[int, int]] | None:
    """The places of the factors of a part, and which indices its own ones are there."""
    tries: list[tuple[tuple[int, ...], dict[int, int]]] = [((), {})]
    for factor, exponent, own in part.factors:
        longer = []
        for places, indices in tries:
            for k, (child, e, idx) in enumerate(node.factors):
                if k in places or child is not factor or e != exponent:
                    continue
                more = dict(indices)
                if all(more.setdefault(i, j) == j for i, j in zip(own, idx, strict=True)):
                    longer.append(((*places, k), more))
        tries = longer
    for places, indices in tries:
        others = {i for k, idx in enumerate(node.indices) if k not in places for i in idx}
        gone = {indices[i] for i in part.summed}
        if len(set(indices.values())) == len(indices) and not gone & others.union(node.output):
            return set(places), indices
    return None
