"""Sums: equal terms merged, common factors taken out, terms in the order a person meets them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from math import lcm

from wrt.expression.coefficient import MINUS_ONE, ONE, Base, Coefficient
from wrt.notation.conjugates import conjugated, parts_of_pairs
from wrt.notation.factoring import factored
from wrt.notation.phrases import (
    chain_of,
    diagonal,
    eye,
    flip,
    is_ones,
    ones,
    scalars_of,
    times,
    wrapped,
)
from wrt.notation.signs import negated
from wrt.notation.tree import SCALAR, Tree

__all__ = ["collected", "listed", "total"]

#: Longer sums are only sorted: nobody factors them by hand.
MOST_TERMS = 30


def total(terms: Iterable[Tree], *, inside: bool = False) -> Tree:
    """The sum of phrases of one shape, as short as the factoring move makes it.

    The transpose of the whole is said where that has fewer marks: (X*B+B*X)'. A sum `inside` a
    product has brackets either way.
    """
    return _total(tuple(terms), inside)


@lru_cache(maxsize=256)
def _total(terms: tuple[Tree, ...], inside: bool) -> Tree:
    ahead = collected(terms)
    if ahead.head != "sum" or ahead.shape == SCALAR or len(terms) > MOST_TERMS:
        return ahead
    back = wrapped(collected([flip(t) for t in terms]))
    names, marks, brackets = ahead.cost
    held = (names, marks + inside, brackets + inside)
    return back if (*back.cost, back.key) < (*held, ahead.key) else ahead


def collected(terms: Iterable[Tree]) -> Tree:
    """The sum as it stands, common factors taken out."""
    return _collected(tuple(terms))


@lru_cache(maxsize=256)
def _collected(terms: tuple[Tree, ...]) -> Tree:
    kept = _diagonals(_whole_diagonals(parts_of_pairs(_merged(_flattened(terms)))))
    while 1 < len(kept) <= MOST_TERMS:
        better = factored(kept)
        if better is None:
            break
        kept = _merged(better)
    return _sum(kept)


def listed(terms: Iterable[Tree]) -> Tree:
    """The sum term by term, with no factor taken out but a number that all have."""
    return _sum(_merged(list(terms)))


def _flattened(terms: Iterable[Tree]) -> list[Tree]:
    """The terms of sums among the terms; of a transposed or conjugated sum where terms merge."""
    flat: list[Tree] = []
    for term in terms:
        c, body = _split(term)
        flat += [times(c, [p]) for p in body.parts] if body.head == "sum" else [term]
    if any(_split(t)[1].head in ("transpose", "conj") for t in flat):
        opened = [part for term in flat for part in _opened(term)]
        if len(opened) > len(flat) and len(_merged(opened)) < len(opened):
            return opened
    return flat


def _opened(term: Tree) -> list[Tree]:
    """The terms of a sum, of its transpose or its conjugate; anything else alone."""
    c, body = _split(term)
    if body.head == "sum":
        return [times(c, [p]) for p in body.parts]
    if body.head not in ("transpose", "conj"):
        return [term]
    turned = flip if body.head == "transpose" else conjugated
    return [times(c, [turned(p)]) for p in _opened(body.parts[0])]


def _merged(terms: Sequence[Tree]) -> list[Tree]:
    """Equal terms together, zeros gone; a zero stays where nothing else is left."""
    groups: dict[tuple[Tree, object], Coefficient] = {}
    for term in terms:
        c, body = _split(term)
        old = groups.get((body, c.powers))
        value = c.value + (old.value if old else 0)
        groups[body, c.powers] = Coefficient(value, c.powers)
    kept = [times(c, [body]) for (body, _), c in groups.items() if c.value]
    return kept or [times(Coefficient(Fraction(0)), [terms[0]])]


def _split(term: Tree) -> tuple[Coefficient, Tree]:
    return (term.coefficient if term.head == "product" else ONE), term.body


def _diagonals(terms: list[Tree]) -> list[Tree]:
    """Diagonal matrices in one: diag(a)+diag(b) is diag(a+b), and I-diag(a) is diag(1-a)."""
    inside: list[Tree] = []
    found: list[Tree] = []
    rest: list[Tree] = []
    for term in terms:
        chain = chain_of(term)
        word = chain[0].word if len(chain) == 1 else ""
        if word not in ("diag", "eye") or None in term.shape:
            rest.append(term)
            continue
        found.append(term)
        vector = chain[0].parts[0] if word == "diag" else ones((term.shape[0], None))
        vector = flip(vector) if vector.shape[0] is None else vector
        inside.append(_term(term, [vector]))
    if len(found) < 2 or all(is_ones(chain_of(t)[0]) for t in inside):
        return terms
    return [diagonal(collected(inside)), *rest]


def _whole_diagonals(terms: list[Tree]) -> list[Tree]:
    """The products unit(n,k)*unit(n,k)' for all k of a size that is a number are eye(n)."""
    alike: dict[tuple[object, ...], list[Tree]] = {}
    for term in terms:
        chain = chain_of(term)
        if len(chain) == 2 and chain[0].word == "unit" and flip(chain[1]) == chain[0]:
            alike.setdefault(
                (chain[0].parts[0].word, term.coefficient, scalars_of(term)), []
            ).append(term)
    for group in alike.values():
        size = chain_of(group[0])[0].parts[0].word
        if str(len(group)) == size and group[0].shape[0] is not None:
            rest = [t for t in terms if t not in group]
            return [_term(group[0], [eye(group[0].shape[0])]), *rest]
    return terms


def _term(term: Tree, chain: Sequence[Tree]) -> Tree:
    """A term with another chain behind its coefficient and scalars."""
    if term.head == "product":
        return times(term.coefficient, [*scalars_of(term), *chain])
    return times(ONE, chain or [term])


def _sum(terms: Sequence[Tree]) -> Tree:
    if len(terms) == 1:
        return terms[0]
    common = _common(terms)
    if common is not None:
        return _scaled(common, terms)
    divided = _denominator(terms)
    if divided is not None:
        return divided
    if all(t.head == "product" and t.coefficient.value < 0 for t in terms):
        return times(MINUS_ONE, [_ordered([times(MINUS_ONE, [t]) for t in terms])])
    return _ordered(terms)


def _scaled(common: Coefficient, terms: Sequence[Tree]) -> Tree:
    """A number times the sum of what is left of the terms."""
    return times(common, [_ordered([times(common**-1, [t]) for t in terms])])


def _denominator(terms: Sequence[Tree]) -> Tree | None:
    """A sum over the denominator of all its terms, where that is shorter: (v+3)/2, not v/2+3/2."""
    numbers = [_split(t)[0] for t in terms]
    below = lcm(*(Fraction(c.value).denominator for c in numbers))
    powers = _shared_powers([dict(c.powers) for c in numbers])
    if below == 1 and not powers:
        return None
    sign = -1 if all(c.value < 0 for c in numbers) else 1
    made = _scaled(Coefficient(Fraction(sign, below), powers), terms)
    return made if made.cost[0] < sum(t.cost[0] for t in terms) else None


def _shared_powers(powers: Sequence[Mapping[Base, Fraction]]) -> tuple[tuple[Base, Fraction], ...]:
    """What all numbers are divided by, as far as they all are."""
    return tuple(
        (base, max(one[base] for one in powers))
        for base in powers[0]
        if all(one.get(base, 0) < 0 for one in powers)
    )


def _ordered(terms: Sequence[Tree]) -> Tree:
    """A sum in its order; in a difference the first name that a person meets is positive."""
    axes = max(t.axes for t in terms)
    ranked = tuple(sorted(terms, key=_rank))
    made = Tree("sum", "", ranked, ranked[0].shape, axes=axes)
    signs = {t.head == "product" and t.coefficient.value < 0 for t in terms}
    first = min(terms, key=lambda t: (_rank(t)[2:], t.key))
    if len(signs) > 1 and first.head == "product" and first.coefficient.value < 0:
        return times(MINUS_ONE, [negated(made)])
    return made


def _rank(term: Tree) -> tuple[object, ...]:
    """Positive before negative, numbers last, then as a person meets the names."""
    negative = term.head == "product" and term.coefficient.value < 0
    constant = not term.order and all(is_ones(t) for t in chain_of(term))
    return negative, constant, list(term.order), term.cost[1], term.key


def _common(terms: Sequence[Tree]) -> Coefficient | None:
    """A number that every term has up to its sign; minus one where all terms are negative."""
    numbers = [_split(t)[0] for t in terms]
    first = Coefficient(abs(Fraction(numbers[0].value)), numbers[0].powers)
    if any(c.powers != first.powers or abs(c.value) != first.value for c in numbers):
        return None
    if first == ONE:
        return None
    negative = all(c.value < 0 for c in numbers)
    return -first if negative else first
