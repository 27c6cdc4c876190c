"""Two factors that several products multiply: multiplied once, where that costs less.

The best order of one product by itself need not be that of several together: where `E*W'` is
there for `X'*(R.*(E*W'))`, the row sums of `R'.*(W*E')` are best taken of it, though by themselves
they would follow from `R'*E`, which is smaller.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import NamedTuple

from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Einsum, Node, Pattern
from wrt.programs.brackets import MOST_FACTORS, MOST_NODES, changed, price
from wrt.programs.contraction import order
from wrt.programs.costs import length
from wrt.programs.flat import inside_out

__all__ = ["paired"]

#: So many pairs of one formula are formed.
MOST_PAIRS = 8
#: What is changed must cost no more than this share of what it was.
SHARE = 0.95

Sizes = Mapping[str, int]


class Pair(NamedTuple):
    """Two factors and the axes in which they meet: of the first, of the second, and whether these
    are summed; and the axes of what they make, of the first or of the second.
    """

    first: Node
    second: Node
    meets: tuple[tuple[int, int, bool], ...]
    axes: tuple[tuple[int, int], ...] = ()


#: What forming a pair for its users saves, and the pair as it would be laid out.
Known = dict[tuple[Pair, tuple[Einsum, ...]], tuple[float, Pair]]


def paired(roots: tuple[Node, ...], sizes: Sizes) -> tuple[Node, ...]:
    """The formulas with those pairs of factors, in all products of them, that are best formed once.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> N, n = Dimension.of("N"), Dimension.of("n")
    >>> R, E, X = (Variable(name, (N, n)) for name in "REX")
    >>> W = Variable("W", (n, n))
    >>> both = build.einsum("ia,ib,ic,bc->ab", X, R, E, W), build.einsum("ib,ic,bc->b", R, E, W)
    >>> found = paired(both, {"N": 1000})
    >>> D = R * (E @ W.T)
    >>> found == (X.T @ D, build.einsum("ib->b", D))
    True
    >>> paired(both[1:], {}) == both[1:]
    True
    """
    known: Known = {}
    for _ in range(MOST_PAIRS):
        pair = _best(roots, sizes, known)
        if pair is None:
            break
        roots = changed(roots, partial(_formed, pair=pair))
    return roots


def _best(roots: tuple[Node, ...], sizes: Sizes, known: Known) -> Pair | None:
    """The pair that saves most."""
    users: dict[Pair, list[Einsum]] = {}
    for count, node in enumerate(inside_out(roots)):
        if count > MOST_NODES:
            return None
        if isinstance(node, Einsum) and _is_open(node):
            for pair in dict.fromkeys(_pairs(node)):
                users.setdefault(pair, []).append(node)
    several = [(pair, tuple(own)) for pair, own in users.items() if len(own) > 1]
    for one in several:
        if one not in known:
            laid = _laid(*one)
            known[one] = _saved(laid, one[1], sizes), laid
    saved, best = max((known[one] for one in several), key=itemgetter(0), default=(0.0, None))
    return best if saved > 0 else None


def _laid(pair: Pair, users: Sequence[Einsum]) -> Pair:
    """The pair with the axes of its product in the order in which another factor has them."""
    found = dict[int, tuple[int, int]]()
    for user in users:
        places = _places(user, pair)
        assert places is not None
        own, other = (user.indices[k] for k in places)
        gone = {own[a] for a, _, summed in pair.meets if summed}
        found = {k: (1, axis) for axis, k in enumerate(other)}
        found |= {k: (0, axis) for axis, k in enumerate(own)}
        found = {k: at for k, at in found.items() if k not in gone}
        rest = [idx for k, idx in enumerate(user.indices) if k not in places]
        for like in (*rest, user.output):
            if found.keys() <= set(like):
                return pair._replace(axes=tuple([found[k] for k in like if k in found]))
    return pair._replace(axes=tuple(sorted(found.values())))


def _is_open(node: Einsum) -> bool:
    """Whether pairs of the factors may be formed by themselves."""
    plain = 1 < len(node.children) <= MOST_FACTORS and not node.repeats
    return plain and not any(isinstance(c, Pattern) for c in node.children)


def _pairs(node: Einsum) -> Iterator[Pair]:
    """The pairs of factors that are summed over an axis that no other factor has, and of those
    with the same axes.
    """
    factors = [f for f in node.factors if f[1] == 1 and len(set(f[2])) == len(f[2])]
    for k, (a, _, own) in enumerate(factors):
        for b, _, other in factors[k + 1 :]:
            meets = _meets(node, own, other)
            if a.digest > b.digest:
                a, b, meets = b, a, [(j, i, s) for i, j, s in meets]
            if any(summed for _, _, summed in meets):
                yield Pair(a, b, tuple(sorted(meets)))
            if 1 < len(own) == len(other) == len(meets):
                yield Pair(a, b, tuple(sorted((i, j, False) for i, j, _ in meets)))


def _meets(
    node: Einsum, own: tuple[int, ...], other: tuple[int, ...]
) -> list[tuple[int, int, bool]]:
    """Where two factors meet, and whether nothing but they have that index."""
    count = [i for indices in node.indices for i in indices]
    return [
        (k, other.index(i), i not in node.output and count.count(i) == 2)
        for k, i in enumerate(own)
        if i in other
    ]


def _saved(pair: Pair, users: Sequence[Einsum], sizes: Sizes) -> float:
    """The nanoseconds that are saved where a pair is formed once for all that multiply with it."""
    there = sum(_multiplies(user, pair, sizes) for user in users)
    if there == len(users):
        return 0.0  # every one of them forms it
    formed = {user: _formed(user, pair) for user in users}
    inside = next(c for made in formed.values() for c in made.children if _is_of(c, pair))
    once = price(inside, sizes)
    before = sum(price(user, sizes) for user in users) - once * max(0, there - 1)
    after = once + sum(price(made, sizes) for made in formed.values())
    return before - after if after <= SHARE * before else 0.0


def _is_of(node: Node, pair: Pair) -> bool:
    return isinstance(node, Einsum) and {*node.children} == {pair.first, pair.second}


def _multiplies(user: Einsum, pair: Pair, sizes: Sizes) -> bool:
    """Whether a product forms the pair in its own best order."""
    places = _places(user, pair)
    assert places is not None
    i, j = places
    if _is_entrywise(pair) and any(s for *_, s in _meets(user, user.indices[i], user.indices[j])):
        return False  # multiplied and summed at once
    lengths = tuple([length(d, sizes) for d in user.index_dims])
    live = [{k} for k, _ in enumerate(user.children)]
    for chosen in order(user.indices, tuple(dict.fromkeys(user.output)), lengths):
        made = set[int]().union(*(live[k] for k in chosen))
        if made == {i, j}:
            return True
        live = [one for k, one in enumerate(live) if k not in chosen]
        live.append(made)
    return False


def _places(node: Einsum, pair: Pair) -> tuple[int, int] | None:
    """The places of the two factors."""
    for i, (a, e, own) in enumerate(node.factors):
        for j, (b, f, other) in enumerate(node.factors):
            if i != j and a is pair.first and b is pair.second and e == f == 1:
                meets = sorted(_meets(node, own, other))
                if _is_entrywise(pair):
                    meets = [(k, m, False) for k, m, _ in meets]
                if tuple(meets) == pair.meets:
                    return i, j
    return None


def _is_entrywise(pair: Pair) -> bool:
    """Whether entries are multiplied, and summed later if at all."""
    return not any(summed for _, _, summed in pair.meets)


def _formed(node: Einsum, pair: Pair) -> Node:
    """A product with the product of a pair in the place of its two factors."""
    places = _places(node, pair) if _is_open(node) else None
    if places is None:
        return node
    i, j = places
    own, other = node.indices[i], node.indices[j]
    kept = tuple([(own, other)[which][axis] for which, axis in pair.axes])
    inside = build.product_carried(
        ONE, [(pair.first, 1, own), (pair.second, 1, other)], kept, node.index_dims
    )
    rest = [f for k, f in enumerate(node.factors) if k not in places]
    return build.product_carried(
        node.coefficient, [*rest, (inside, 1, kept)], node.output, node.index_dims
    )
