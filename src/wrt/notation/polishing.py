"""The last look at a whole answer: what is only seen when all of it stands there.

Here A'*(…)*A is made of a sum that begins or ends like its neighbour, x'*y/n becomes
mean(x.*y), and denominators inside a scalar are multiplied out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import lcm

from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.dataclass import replace
from wrt.functions import BOOK
from wrt.notation.listing import listed
from wrt.notation.naming import rebuilt
from wrt.notation.phrases import (
    chain_of,
    entrywise,
    eye,
    flip,
    is_ones,
    power,
    raised,
    scalars_of,
    times,
)
from wrt.notation.signs import settled
from wrt.notation.sums import total
from wrt.notation.tree import Tree, call

__all__ = ["polished"]

_NORM = BOOK["norm2"].latex.replace("{x}", "@0")
#: Longer sums are left as they are.
MOST_TERMS = 6


def polished(tree: Tree) -> Tree:
    """A whole answer with what is seen only now.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.notation.tree import name
    >>> n = Dimension.of("n")
    >>> x, y = (name(word, (n, None)) for word in "xy")
    >>> polished(times(Coefficient.of(n) ** -1, [flip(x), y])).text
    'mean(x.*y)'
    """
    done: dict[Tree, Tree] = {}

    def polish(one: Tree) -> Tree:
        if one not in done:
            parts = [polish(p) for p in one.parts]
            made = rebuilt(one, parts) if one.parts else one
            made = _shortest(made) if made.head == "product" else _summed_up(made)
            out = listed(one) if one.head in ("product", "sum") else None
            done[one] = out if out is not None and out.cost[0] <= made.cost[0] else made
        return done[one]

    return polish(tree)


def _shortest(tree: Tree) -> Tree:
    for way in (_raised, _cleared, _averaged, _closed, _framed):
        for made in way(tree):
            ties = way in (_raised, _closed, _framed)
            if made.cost[0] < tree.cost[0] + ties:
                tree = made
                break
    return tree


# Sums and squares


def _summed_up(tree: Tree) -> Tree:
    """sum(A,1)*x as sum(A*x), and x'*M*M*x as the square of norm2(M*x) where that is shorter."""
    if tree.head != "dot":
        return tree
    for links in (tree.parts, tuple(flip(p) for p in reversed(tree.parts))):
        first, *rest = links
        if first.word in ("sum", "mean") and [p.word for p in first.parts[1:]] == ["1"]:
            inside = times(ONE, [first.parts[0], *rest])
            return call(first.word, [inside], latex=first.latex)
    half = tree.parts[len(tree.parts) // 2 :]
    if len(tree.parts) < 4 or tree.parts != tuple(flip(p) for p in reversed(half)) + half:
        return tree
    squared = power(call("norm2", [times(ONE, half)], latex=_NORM), 2)
    return squared if tree.is_real and squared.cost[0] < tree.cost[0] else tree


# Means


def _averaged(tree: Tree) -> Iterator[Tree]:
    """x'*y/n as the mean of the products of entries, norm2(x)^2/n as that of the squares."""
    if all(p > -1 for _, p in tree.coefficient.powers):
        return
    for k, scalar in enumerate(tree.parts):
        inside = _summed(scalar)
        if inside is None:
            continue
        count = ONE
        for side in inside.shape:
            count = count * (Coefficient.of(side) if side is not None else ONE)
        held = dict(tree.coefficient.powers)
        if all(held.get(base, 0) <= -p for base, p in count.powers):
            mean = call("mean", [inside], latex=r"\operatorname{mean}(@0)")
            rest = [p for j, p in enumerate(tree.parts) if j != k]
            yield times(tree.coefficient * count, [mean, *rest])


def _summed(scalar: Tree) -> Tree | None:
    """The vector or matrix whose entries a scalar is the sum of."""
    if scalar.head == "dot" and len(scalar.parts) == 2:
        row, column = scalar.parts
        return entrywise([flip(row), column])
    if scalar.head == "power" and scalar.exponent == 2 and scalar.parts[0].word == "norm2":
        inside = scalar.parts[0].parts[0]
        return raised(inside, 2) if inside.is_real and inside.axes == 2 else None
    return None


# Powers


def _raised(tree: Tree) -> Iterator[Tree]:
    """x^a/x as x^(a-1)."""
    scalars = scalars_of(tree)
    for k, scalar in enumerate(scalars):
        if scalar.head != "call" or scalar.word != "power":
            continue
        base, exponent = scalar.parts
        for j, other in enumerate(scalars):
            e = other.exponent if other.head == "power" else Fraction(1)
            if (other.parts[0] if other.head == "power" else other) == base:
                raised_by = settled(total([exponent, times(Coefficient(e), [])]))
                made = replace(scalar, parts=(base, raised_by))
                rest = [p for i, p in enumerate(tree.parts) if i not in (j, k)]
                yield times(tree.coefficient, [made, *rest])


# Denominators


def _cleared(tree: Tree) -> Iterator[Tree]:
    for k, scalar in enumerate(scalars_of(tree)):
        base, e = (scalar.parts[0], scalar.exponent) if scalar.head == "power" else (scalar, 1)
        if base.head != "sum" or Fraction(e).denominator != 1 or len(base.parts) > MOST_TERMS:
            continue
        for below in _below(base.parts):
            inside = total([times(ONE, [t, below]) for t in base.parts])
            rest = [p for j, p in enumerate(tree.parts) if j != k]
            yield times(tree.coefficient, [power(inside, e), power(below, -e), *rest])


def _below(terms: Sequence[Tree]) -> Iterator[Tree]:
    """What the terms of a sum are divided by."""
    numbers = [t.coefficient for t in terms if t.head == "product"]
    below = lcm(*(Fraction(c.value).denominator for c in numbers))
    sizes = {b: -p for c in numbers for b, p in c.powers if p < 0 and b != "i"}
    if below > 1 or sizes:
        yield times(Coefficient(Fraction(below), tuple(sizes.items())), [])
    found = {s for t in terms for s in scalars_of(t) if s.head == "power" and s.exponent < 0}
    yield from (power(s, -1) for s in sorted(found, key=lambda s: s.key))


# Frames


def _closed(tree: Tree) -> Iterator[Tree]:
    """(A-ones(n)*s'*A)'*diag(s) as A'*(diag(s)-s*s'): ones need not be said beside a diagonal."""
    chain = chain_of(tree)
    for k, link in enumerate(chain):
        for near in (k - 1, k + 1) if link.word == "diag" and None not in link.shape else ():
            terms = _terms(chain[near]) if 0 <= near < len(chain) else ()
            ahead = near > k  # the diagonal stands before the sum
            if not any(_end(t, ahead) is not None for t in terms):
                continue
            made = _under_one_end([_scaled(t, link, ahead) for t in terms], not ahead)
            if made is not None:
                first, last = min(k, near), max(k, near)
                links = [*chain[:first], *made, *chain[last + 1 :]]
                yield times(tree.coefficient, [*scalars_of(tree), *links])


def _end(term: Tree, ahead: bool) -> Tree | None:
    """The ones at an end of a product."""
    chain = chain_of(term)
    end = chain[0 if ahead else -1] if chain else None
    return end if end is not None and is_ones(end) and None in end.shape else None


def _scaled(term: Tree, diagonal: Tree, ahead: bool) -> Tree:
    """A term with a diagonal matrix at one end; ones become the diagonal."""
    chain = chain_of(term)
    if _end(term, ahead) is None:
        links = [diagonal, *chain] if ahead else [*chain, diagonal]
    else:
        column = diagonal.parts[0]
        column = flip(column) if column.shape[0] is None else column
        links = [column, *chain[1:]] if ahead else [*chain[:-1], flip(column)]
    number = term.coefficient if term.head == "product" else ONE
    return times(number, [*scalars_of(term), *links])


def _under_one_end(terms: Sequence[Tree], ahead: bool) -> list[Tree] | None:
    """Terms that begin, or end, with one matrix, as it and the sum of what is left."""
    chain = chain_of(terms[0])
    end = chain[0 if ahead else -1] if len(chain) > 1 else None
    middle = _middle(terms, end, ahead) if end is not None else None
    if end is None or middle is None:
        return None
    return [end, middle] if ahead else [middle, end]


def _framed(tree: Tree) -> Iterator[Tree]:
    """A sum whose terms begin like the transpose of what follows it: A'*(…)*A."""
    chain = chain_of(tree)
    scalars = [*scalars_of(tree)]
    for k, link in enumerate(chain):
        terms = _terms(link)
        ahead = _middle(terms, flip(chain[k + 1]), True) if terms and chain[k + 1 :] else None
        if ahead is not None:
            frame = [*chain[:k], flip(chain[k + 1]), ahead, *chain[k + 1 :]]
            yield times(tree.coefficient, [*scalars, *frame])
        behind = _middle(terms, flip(chain[k - 1]), False) if terms and k else None
        if behind is not None:
            frame = [*chain[:k], behind, flip(chain[k - 1]), *chain[k + 1 :]]
            yield times(tree.coefficient, [*scalars, *frame])


def _terms(link: Tree) -> Sequence[Tree]:
    """The terms of a matrix that is a sum, or the transpose of one."""
    if None in link.shape:
        return ()
    if link.head == "transpose" and link.parts[0].head == "sum":
        return [flip(t) for t in link.parts[0].parts]
    return link.parts if link.head == "sum" else ()


def _middle(terms: Sequence[Tree], end: Tree, ahead: bool) -> Tree | None:
    """The sum of terms without the matrix that all begin, or end, with."""
    if len(terms) > MOST_TERMS or None in end.shape:
        return None
    rests = []
    for term in terms:
        chain = chain_of(term)
        if not chain or chain[0 if ahead else -1] != end:
            return None
        left = chain[1:] if ahead else chain[:-1]
        side = end.shape[1 if ahead else 0]
        assert side is not None
        number = term.coefficient if term.head == "product" else ONE
        rests.append(times(number, [*scalars_of(term), *(left or (eye(side),))]))
    return total(rests)
