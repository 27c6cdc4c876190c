"""Products of sums: multiplied out, or a common factor outside the bracket, whichever costs less.

`(diag(p) - p*p')*A` is `p.*A - p*(p'*A)`: no matrix of zeros, no outer product that is multiplied.
`A*M + B*M` is `(A + B)*M`: one product instead of two. The cost of a product is that of its best
order at the sizes given, so the same formula may be taken the one way here and the other there.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import partial
from math import prod

from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import (
    Constant,
    Einsum,
    Exponent,
    Factor,
    Node,
    Pattern,
    Scan,
    Sum,
)
from wrt.programs.apart import groups
from wrt.programs.contraction import order
from wrt.programs.costs import BANDWIDTH, CALL, ITEM, PLAIN_RATE, PRODUCT_RATE, length
from wrt.programs.flat import beside, inside_out

__all__ = [
    "MOST_FACTORS",
    "MOST_NODES",
    "SHARE",
    "absorbed",
    "bracketed",
    "changed",
    "multiplied_out",
    "price",
]

#: What is changed must cost no more than this share of what it was; a residual as `Y - U*V'`, which
#: cancels, no more than the smaller one.
SHARE, RESIDUAL = 0.7, 0.2
#: Sums of more terms, products of more factors and formulas of more nodes are left as they are.
MOST_TERMS, MOST_FACTORS, MOST_NODES = 6, 8, 2000
#: So many sums of one formula are multiplied out.
MOST_SUMS = 6

Sizes = Mapping[str, int]


# What a product costs


def price(node: Node, sizes: Sizes) -> float:
    """About how many nanoseconds a product of arrays takes, its factors being there.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> n, m = Dimension.of("n"), Dimension.of("m")
    >>> A, B = Variable("A", (n, m)), Variable("B", (m, n))
    >>> price(A @ B, {"n": 1000, "m": 2}) < price(A @ B, {"n": 1000, "m": 200})
    True
    """
    if not isinstance(node, Einsum):
        return 0.0
    lengths = [length(d, sizes) for d in node.index_dims]
    live = [frozenset(own) for own in node.indices if own]
    output = frozenset(node.output)
    total = 0.0
    if len(live) < 2:
        return _pass(lengths, [*live, output]) if live and len(node.children) else 0.0
    inputs = tuple([own for own in node.indices if own])
    for places in order(inputs, tuple(dict.fromkeys(node.output)), tuple(lengths)):
        chosen = [live[k] for k in places]
        live = [s for k, s in enumerate(live) if k not in places]
        both = frozenset().union(*chosen)
        kept = both & output.union(*live)
        cells = _count(both, lengths)
        work = cells / PLAIN_RATE if kept == both else 2 * cells / PRODUCT_RATE
        total += work + _pass(lengths, [*chosen, kept])
        live.append(kept)
    last = 2 * prod(lengths) / PRODUCT_RATE
    return total - last / 2 if _is_gram(node) else total


def _pass(lengths: Sequence[int], arrays: Sequence[frozenset[int]]) -> float:
    """Reading and writing arrays once, and saying so."""
    return CALL + ITEM * sum(_count(a, lengths) for a in arrays) / BANDWIDTH


def _count(indices: frozenset[int], lengths: Sequence[int]) -> int:
    return prod(lengths[i] for i in indices)


def _is_gram(node: Einsum) -> bool:
    """Whether this is X' diag(d) X, of which half is enough."""
    if len(node.output) != 2 or len(node.summed) != 1 or node.repeats:
        return False
    (k,) = node.summed
    ends = [f for f in node.factors if len(f[2]) == 2]
    if len(ends) != 2 or any(set(f[2]) - {k} for f in node.factors if f not in ends):
        return False
    (X, _, one), (Y, _, other) = ends
    return X is Y and one.index(k) == other.index(k) if k in one and k in other else False


def _added(node: Node, sizes: Sizes) -> float:
    """The cost of adding the terms of a sum, its terms being there."""
    entries = prod(length(d, sizes) for d in node.dims)
    return CALL + len(node.children) * entries / PLAIN_RATE + 2 * ITEM * entries / BANDWIDTH


# Multiplying out


def multiplied_out(roots: tuple[Node, ...], sizes: Sizes) -> tuple[Node, ...]:
    """The formulas with those sums multiplied out, in all products with them, that cost less so.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> n, m = Dimension.of("n"), Dimension.of("m")
    >>> p, M = Variable("p", (n,)), Variable("M", (n, m))
    >>> outer, diagonal = build.einsum("i,j->ij", p, p), build.einsum("i->ii", p)
    >>> multiplied_out(((diagonal - outer) @ M,), {"n": 1000})
    (<({-1 p[k] p[i] M[kj] -> ij} + {p[i] M[ij] -> ij}) : n, m>,)
    """
    found = changed(roots, lambda node: _paired(node, sizes))
    for count in range(MOST_SUMS):
        bracket = next(_cheaper(found, sizes), None)
        if bracket is None:
            return found if count else roots
        found = changed(found, partial(_out, bracket=bracket))
    return found


def changed(roots: tuple[Node, ...], rule: Callable[[Einsum], Node]) -> tuple[Node, ...]:
    """The formulas with their products changed, inner ones first."""
    done: dict[Node, Node] = {}
    for node in inside_out(roots):
        parts = beside(node)
        children = [done[c] for c in parts]
        same = all(a is b for a, b in zip(children, parts, strict=True))
        inner = node.nexts if isinstance(node, Scan) else ()
        made = node if same else node.rebuild([*children, *inner])
        done[node] = rule(made) if isinstance(made, Einsum) else made
    return tuple([done[root] for root in roots])


def _paired(node: Einsum, sizes: Sizes) -> Node:
    """A product with a sum in it twice as products of two factors, so that each has it once."""
    twice = {c for c in node.children if isinstance(c, Sum) and node.children.count(c) > 1}
    if not any(_is_open(c) for c in twice) or len(node.children) > MOST_FACTORS or node.repeats:
        return node
    if not all(node.indices):
        return node
    live = list(node.factors)
    lengths = tuple([length(d, sizes) for d in node.index_dims])
    *path, _ = order(node.indices, node.output, lengths)
    for places in path:
        chosen = [live[k] for k in places]
        live = [f for k, f in enumerate(live) if k not in places]
        needed = {*node.output, *(i for _, _, own in live for i in own)}
        kept = tuple(dict.fromkeys(i for _, _, own in chosen for i in own if i in needed))
        live.append((build.product_carried(ONE, chosen, kept, node.index_dims), 1, kept))
    return build.product_carried(node.coefficient, live, node.output, node.index_dims)


def _cheaper(roots: tuple[Node, ...], sizes: Sizes) -> Iterator[Node]:
    """The sums that are better multiplied out wherever they stand."""
    nodes = list(inside_out(roots))
    if len(nodes) > MOST_NODES:
        return
    sums = [n for n in nodes if isinstance(n, Sum) and _is_open(n)]
    if not sums:
        return
    uses: dict[Node, list[Node]] = {}
    for node in nodes:
        for child in beside(node):
            uses.setdefault(child, []).append(node)
    for bracket in sums:
        found = uses.get(bracket, [])
        if bracket in roots or not all(_takes(user, bracket) for user in found):
            continue
        changed = {u: _out(u, bracket=bracket) for u in found if isinstance(u, Einsum)}
        before = sum(price(t, sizes) for t in bracket.children) + _added(bracket, sizes)
        before += sum(price(user, sizes) for user in changed)
        after = sum(_sum_price(made, sizes) for made in changed.values())
        if after <= (RESIDUAL if _cancels(bracket) else SHARE) * before:
            yield bracket


def _is_open(bracket: Sum) -> bool:
    """Whether a term falls apart or is a product that could be multiplied later."""
    if len(bracket.dims) < 2 or len(bracket.children) > MOST_TERMS:
        return False
    return any(
        isinstance(t, Einsum) and (t.repeats or t.summed or len(t.children) > 1)
        for t in bracket.children
    )


def _cancels(bracket: Node) -> bool:
    """Whether a product of matrices is taken from something else, or added to its negative."""
    signs = {build.coefficient_of(t).value > 0 for t in bracket.children}
    products = [t for t in bracket.children if isinstance(t, Einsum) and t.summed]
    return len(signs) > 1 and any(len(groups(list(t.factors))) == 1 for t in products)


def _takes(user: Node, bracket: Node) -> bool:
    """Whether a product multiplies with a sum once, and sums over an axis of it."""
    if not isinstance(user, Einsum) or len(user.children) > MOST_FACTORS or user.repeats:
        return False
    if any(isinstance(c, Pattern) for c in user.children):
        return False
    own = [(e, idx) for c, e, idx in user.factors if c is bracket]
    if len(own) != 1 or own[0][0] != 1 or len(set(own[0][1])) < len(own[0][1]):
        return False
    summed = set(user.summed) & set(own[0][1])
    others = {i for c, _, idx in user.factors if c is not bracket for i in idx}
    return bool(summed & others)


def _out(user: Einsum, bracket: Node) -> Node:
    """A product with a sum as a sum of products, where it has that sum as a factor."""
    if not any(c is bracket for c in user.children):
        return user
    return build.add(*[_with(user, bracket, term) for term in bracket.children])


def _with(user: Einsum, bracket: Node, term: Node) -> Node:
    """A product with one term in the place of a sum."""
    dims, rest = list(user.index_dims), [f for f in user.factors if f[0] is not bracket]
    (own,) = (idx for c, _, idx in user.factors if c is bracket)
    if not isinstance(term, Einsum):
        return build.product(user.coefficient, [*rest, (term, 1, own)], user.output, dims)
    place: dict[int, int] = {}
    same: dict[int, int] = {}
    for inner, outer in zip(term.output, own, strict=True):
        first = place.setdefault(inner, outer)
        if first != outer:  # the term is diagonal: these two indices are one
            same[outer] = first
    for inner in term.summed:
        place[inner] = len(dims)
        dims.append(term.index_dims[inner])
    factors: list[Factor] = [(f, e, tuple([place[i] for i in idx])) for f, e, idx in term.factors]
    factors = [(f, e, tuple([same.get(i, i) for i in idx])) for f, e, idx in (*rest, *factors)]
    output = [same.get(i, i) for i in user.output]
    coefficient = user.coefficient * term.coefficient
    return build.product_without(coefficient, factors, output, dims, set(same))


def _sum_price(node: Node, sizes: Sizes) -> float:
    if not isinstance(node, Sum):
        return price(node, sizes)
    return sum(price(t, sizes) for t in node.children) + _added(node, sizes)


# Common factors

#: A factor of a term with the axes of the sum that its own axes are; None for a summed one.
Shared = tuple[Node, Exponent, tuple[int | None, ...]]


def bracketed(node: Sum, sizes: Sizes) -> Node:
    """The sum with arrays that several terms share outside brackets."""
    found = _bracketed_again(node, sizes)
    return _bracketed_inside(node, sizes) if found is node else found


def _bracketed_again(node: Sum, sizes: Sizes) -> Node:
    """The sum with one array after another outside brackets."""
    found: Node = node
    for _ in node.children[1 : 1 + MOST_FACTORS]:
        before, found = found, _bracketed(found, sizes) if isinstance(found, Sum) else found
        if found is before:
            break
    return found


def _bracketed_inside(node: Sum, sizes: Sizes) -> Node:
    """The sum with arrays outside brackets that some terms have as factors and others inside of a
    factor: `A.*B - ones*(ones'*(A.*C))` has A in common. What such a factor costs does not count
    for that, for others may read it.
    """
    terms = [t for t in node.children if isinstance(t, Einsum)]
    own = {c for t in terms for c in t.children}
    inside = {
        c for c in own if isinstance(c, Einsum) and not (c.repeats or own.isdisjoint(c.children))
    }
    if not inside:
        return node
    flat = build.add(*(absorbed(t, inside) if t in terms else t for t in node.children))
    made = _bracketed_again(flat, sizes) if isinstance(flat, Sum) else flat
    leaves = {c for t in flat.children for c in t.children}
    if made is flat or _whole_price(made, leaves, sizes) > SHARE * _sum_price(node, sizes):
        return node
    return made


def _whole_price(node: Node, leaves: Container[Node], sizes: Sizes) -> float:
    """The cost of a formula whose leaves are there."""
    if node in leaves:
        return 0.0
    own = _added(node, sizes) if isinstance(node, Sum) else price(node, sizes)
    return own + sum(_whole_price(c, leaves, sizes) for c in node.children)


def _bracketed(node: Sum, sizes: Sizes) -> Node:
    terms = list(node.children)
    shared = [_shareable(term, node.ndim) for term in terms]
    counts: dict[Shared, int] = {}
    for found in shared:
        for one in found:
            counts[one] = counts.get(one, 0) + 1
    several = [one for one, count in counts.items() if count > 1]
    several.sort(key=lambda s: (counts[s], len(s[2])), reverse=True)
    for best in several[:MOST_FACTORS]:
        inside = [(t, f[best]) for t, f in zip(terms, shared, strict=True) if best in f]
        outside = [t for t, f in zip(terms, shared, strict=True) if best not in f]
        made = _outside(node, best, inside)
        always = len(best[2]) > 1 and None not in best[2]
        if made is not None and (always or _pays(made, [t for t, _ in inside], sizes)):
            made = _inner_bracketed(made, sizes)
            return build.add(made, *outside) if outside else made
    return node


def _inner_bracketed(node: Node, sizes: Sizes) -> Node:
    """A product with a bracket whose terms may share more, which then stands beside it."""
    inner = [bracketed(c, sizes) if isinstance(c, Sum) else c for c in node.children]
    fresh = {a for a, b in zip(inner, node.children, strict=True) if a is not b}
    made = node.rebuild(inner) if fresh else node
    return absorbed(made, fresh) if isinstance(made, Einsum) else made


def absorbed(node: Einsum, products: Container[Node]) -> Einsum:
    """A product with the factors of some of its factors, which are products, in their place."""
    if not any(
        e == 1 and child in products for child, e in zip(node.children, node.exponents, strict=True)
    ):
        return node
    coefficient, dims = node.coefficient, list(node.index_dims)
    factors: list[Factor] = []
    for child, exponent, indices in node.factors:
        if exponent != 1 or child not in products or not isinstance(child, Einsum):
            factors.append((child, exponent, indices))
            continue
        coefficient = coefficient * child.coefficient
        place = dict(zip(child.output, indices, strict=True))
        for i in child.summed:
            place[i] = len(dims)
            dims.append(child.index_dims[i])
        factors += [(f, e, tuple(place[i] for i in own)) for f, e, own in child.factors]
    made = build.product(coefficient, factors, node.output, dims)
    return made if isinstance(made, Einsum) else node


def _shareable(term: Node, ndim: int) -> dict[Shared, int]:
    """The factors that may stand outside a bracket, and their places."""
    if isinstance(term, (Constant, Pattern)):
        return {}
    if not isinstance(term, Einsum):
        axes = tuple(range(term.ndim))
        return {(term, 1, axes): 0} if len(axes) > 1 else {}
    if term.repeats:
        return {}
    found: dict[Shared, int] = {}
    for k, (factor, exponent, indices) in enumerate(term.factors):
        plain = len(set(indices)) == len(indices) > (ndim < 2) and not isinstance(factor, Pattern)
        if plain:
            place = {i: axis for axis, i in enumerate(term.output)}
            found[factor, exponent, tuple([place.get(i) for i in indices])] = k
    return found


def _outside(node: Sum, best: Shared, inside: Sequence[tuple[Node, int]]) -> Node | None:
    """A factor times the sum of what it is multiplied with; None where that cannot be said."""
    factor, exponent, axes = best
    summed = [k for k, axis in enumerate(axes) if axis is None]
    used = {axis for term, place in inside for axis in _axes_without(term, place)}
    if summed and used & {a for a in axes if a is not None}:
        return None  # the bracket would be larger than what it is multiplied with
    kept = sorted(used)
    dims = [*node.dims, *(factor.dims[k] for k in summed)]
    new = {k: node.ndim + at for at, k in enumerate(summed)}
    own = tuple([new[k] if axis is None else axis for k, axis in enumerate(axes)])
    rests = [_without(term, place, kept, summed) for term, place in inside]
    bracket = build.add(*rests)
    parts: list[Factor] = [(bracket, 1, (*kept, *new.values())), (factor, exponent, own)]
    return build.product(ONE, parts, tuple(range(node.ndim)), dims)


def _pays(made: Node, terms: Sequence[Node], sizes: Sizes) -> bool:
    """Whether a bracket costs less than the terms apart."""
    if not isinstance(made, Einsum) or any(len(t.children) > MOST_FACTORS for t in terms):
        return False
    before = sum(price(t, sizes) for t in terms) + _added(made, sizes)
    after = price(made, sizes) + sum(_sum_price(c, sizes) for c in made.children)
    return after <= SHARE * before


def _axes_without(term: Node, place: int) -> set[int]:
    """The axes of a term that a factor other than the shared one carries."""
    if not isinstance(term, Einsum):
        return set()
    carried = {i for k, own in enumerate(term.indices) if k != place for i in own}
    return {axis for axis, i in enumerate(term.output) if i in carried}


def _without(term: Node, place: int, kept: Sequence[int], summed: Sequence[int]) -> Node:
    """What a term multiplies the shared factor with, on the axes that are kept."""
    if not isinstance(term, Einsum):
        return build.ones([term.dims[axis] for axis in kept])
    rest = [f for k, f in enumerate(term.factors) if k != place]
    own = term.indices[place]
    output = [*(term.output[axis] for axis in kept), *(own[k] for k in summed)]
    return build.product_carried(term.coefficient, rest, output, term.index_dims)
