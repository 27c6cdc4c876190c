"""Sums: equal terms merged, common ends taken out, terms in the order a person meets them.

One factoring move is made again and again, the one that saves most names: terms that begin alike,
end alike, share a scalar or share an entrywise factor become one term.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from wrt.expression.coefficient import MINUS_ONE, ONE, Coefficient
from wrt.notation.conjugates import parts_of_pairs
from wrt.notation.layout import unvec, vec
from wrt.notation.signs import negated
from wrt.notation.tree import (
    SCALAR,
    Tree,
    chain_of,
    diagonal,
    entrywise,
    eye,
    flip,
    is_ones,
    ones,
    power,
    scalars_of,
    times,
    wrapped,
)

__all__ = ["collected", "listed", "total"]

#: Longer sums are only sorted: nobody factors them by hand.
MOST_TERMS = 30
#: Candidates for the factoring move that are built and weighed, the most promising first.
MOST_TRIED = 3
#: Links from either end that a common factor may have.
MOST_LINKS = 6


def total(terms: Iterable[Tree], *, inside: bool = False) -> Tree:
    """The sum of phrases of one shape, as short as the factoring move makes it.

    The transpose of the whole is said where that has fewer marks: (X*B+B*X)'. A sum `inside` a
    product has brackets either way.
    """
    return _total(tuple(terms), inside)


@lru_cache(maxsize=4096)
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
    kept = _diagonals(parts_of_pairs(_merged(_flattened(terms))))
    while 1 < len(kept) <= MOST_TERMS:
        better = _factored(kept)
        if better is None:
            break
        kept = _merged(better)
    return _sum(kept)


def listed(terms: Iterable[Tree]) -> Tree:
    """The sum term by term, with no factor taken out but a number that all have."""
    return _sum(_merged(list(terms)))


def _flattened(terms: Iterable[Tree]) -> list[Tree]:
    flat: list[Tree] = []
    for term in terms:
        if term.head == "sum":
            flat.extend(term.parts)
        elif term.head == "product" and len(term.parts) == 1 and term.parts[0].head == "sum":
            flat.extend(times(term.coefficient, [p]) for p in term.parts[0].parts)
        else:
            flat.append(term)
    return flat


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
    if term.head == "product":
        return term.coefficient, times(ONE, term.parts)
    return ONE, term


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
        inside = [times(common**-1, [t]) for t in terms]
        return times(common, [_ordered(inside)])
    return _ordered(terms)


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


# The factoring move


@dataclass(frozen=True)
class _Move:
    """Terms that share a piece: what that saves at most, and how one term replaces them."""

    saving: int
    members: tuple[int, ...]
    build: Callable[[list[Tree]], Tree]


def _factored(terms: list[Tree]) -> list[Tree] | None:
    """The best move made, or None where no move saves a name."""
    moves = [
        m
        for m in (*_ends(terms), *_scalars(terms), *_entries(terms), *_linear(terms))
        if m.saving > 0
    ]
    moves.sort(key=lambda m: -m.saving)
    for move in moves[:MOST_TRIED]:
        members = [terms[k] for k in move.members]
        made = move.build(members)
        if made.cost[0] < sum(t.cost[0] for t in members):
            return [made, *(t for k, t in enumerate(terms) if k not in move.members)]
    return None


def _groups(pieces: Iterable[tuple[object, int]]) -> dict[object, list[int]]:
    groups: dict[object, list[int]] = {}
    for piece, member in pieces:
        group = groups.setdefault(piece, [])
        if member not in group:
            group.append(member)
    return {piece: members for piece, members in groups.items() if len(members) > 1}


def _ends(terms: Sequence[Tree]) -> list[_Move]:
    """Chains that begin or end alike."""
    chains = [_open(t) for t in terms]
    heads: list[tuple[object, int]] = []
    tails: list[tuple[object, int]] = []
    for k, chain in enumerate(chains):
        for length in range(1, min(len(chain), MOST_LINKS) + 1):
            heads.append((chain[:length], k))
            tails.append((chain[len(chain) - length :], k))
    moves = []
    for pieces, ahead in ((heads, True), (tails, False)):
        for piece, members in _groups(pieces).items():
            assert isinstance(piece, tuple)
            names = sum(p.cost[0] for p in piece)
            saving = names * (len(members) - 1)
            moves.append(_Move(saving, tuple(members), _ender(piece, ahead)))
    return moves


def _open(term: Tree) -> tuple[Tree, ...]:
    """The chain of a term; of an inner product, the links of it."""
    scalars, chain = scalars_of(term), chain_of(term)
    if not chain and len(scalars) == 1 and scalars[0].head == "dot":
        return scalars[0].parts
    return chain


def _ender(piece: tuple[Tree, ...], ahead: bool) -> Callable[[list[Tree]], Tree]:
    def build(members: list[Tree]) -> Tree:
        whole = all(_open(t) == piece for t in members)
        rests = [_rest(t, piece, ahead, whole) for t in members]
        inside = total(rests, inside=True)
        return times(ONE, [*piece, inside] if ahead else [inside, *piece])

    return build


def _rest(term: Tree, piece: tuple[Tree, ...], ahead: bool, whole: bool) -> Tree:
    """A term without a common end: an identity where nothing is left of its chain alone."""
    chain = _open(term)
    left = chain[len(piece) :] if ahead else chain[: len(chain) - len(piece)]
    side = piece[-1].shape[1] if ahead else piece[0].shape[0]
    if not left and side is not None and not whole:
        left = (eye(side),)
    if term.head == "product":
        inner = [s for s in scalars_of(term) if not (chain and s.parts == chain)]
        return times(term.coefficient, [*inner, *left])
    return times(ONE, left)


def _scalars(terms: Sequence[Tree]) -> list[_Move]:
    """Scalars that several terms have, as far as they all have them."""
    pieces: list[tuple[object, int]] = []
    for k, term in enumerate(terms):
        for scalar in scalars_of(term):
            base, e = _powers(scalar)
            pieces.append(((base, e > 0), k))
    moves = []
    for piece, members in _groups(pieces).items():
        assert isinstance(piece, tuple)
        base, positive = piece
        least = min(abs(_exponent(terms[k], base, positive)) for k in members)
        common = power(base, least if positive else -least)
        saving = common.cost[0] * (len(members) - 1)
        moves.append(_Move(saving, tuple(members), _taker(common)))
    return moves


def _powers(scalar: Tree) -> tuple[Tree, Fraction]:
    if scalar.head == "power":
        return scalar.parts[0], scalar.exponent
    return scalar, Fraction(1)


def _exponent(term: Tree, base: Tree, positive: bool) -> Fraction:
    powers = (_powers(s) for s in scalars_of(term))
    return next(e for b, e in powers if b == base and (e > 0) == positive)


def _taker(common: Tree) -> Callable[[list[Tree]], Tree]:
    def build(members: list[Tree]) -> Tree:
        rests = [times(ONE, [t, power(common, -1)]) for t in members]
        return times(ONE, [common, total(rests)])

    return build


def _entries(terms: Sequence[Tree]) -> list[_Move]:
    """Factors that several terms have entry by entry."""
    pieces: list[tuple[object, int]] = []
    for k, term in enumerate(terms):
        chain = chain_of(term)
        if len(chain) == 1 and chain[0].axes == 2 and term.shape[0] is not None:
            parts = chain[0].parts if chain[0].head == "entry" else (chain[0],)
            pieces += [(part, k) for part in parts if not is_ones(part)]
    moves = []
    for part, members in _groups(pieces).items():
        assert isinstance(part, Tree)
        saving = part.cost[0] * (len(members) - 1)
        moves.append(_Move(saving, tuple(members), _multiplier(part)))
    return moves


def _multiplier(part: Tree) -> Callable[[list[Tree]], Tree]:
    def build(members: list[Tree]) -> Tree:
        inverse = _inverse(part)
        return entrywise([part, total(entrywise([t, inverse]) for t in members)])

    return build


#: Words of one argument in which sums may be taken.
_LINEAR = ("tr", "vec", "diag", "sum")


def _linear(terms: Sequence[Tree]) -> list[_Move]:
    """Calls of one linear word, whose arguments may be summed first."""
    pieces: list[tuple[object, int]] = []
    for k, term in enumerate(terms):
        held = _held(term)
        if held is not None:
            inner = held.parts[-1]
            pieces.append(((held.head, held.word, held.flips, inner.shape, held.shape), k))
    return [_Move(1, tuple(members), _summed) for members in _groups(pieces).values()]


def _held(term: Tree) -> Tree | None:
    """The call of a linear word in a term."""
    chain = chain_of(term)
    among = chain if len(chain) == 1 else scalars_of(term) if not chain else ()
    found = [t for t in among if t.head == "unvec" or (t.word in _LINEAR and len(t.parts) == 1)]
    return found[0] if len(found) == 1 else None


def _summed(members: list[Tree]) -> Tree:
    inside = []
    calls = [held for held in map(_held, members) if held is not None]
    for term, held in zip(members, calls, strict=True):
        rest = [s for s in scalars_of(term) if s is not held]
        coefficient = term.coefficient if term.head == "product" else ONE
        inside.append(times(coefficient, [*rest, held.parts[-1]]))
    first, joint = calls[0], total(inside)
    if first.head == "unvec":
        rows, columns = first.shape[::-1] if first.flips else first.shape
        assert rows is not None
        assert columns is not None
        made = unvec(joint, rows, columns)
        return flip(made) if first.flips else made
    if first.word == "vec":
        return vec(joint)
    coefficient = joint.coefficient if joint.head == "product" else ONE
    core = times(ONE, chain_of(joint)) if joint.head == "product" else joint
    return times(coefficient, [*scalars_of(joint), replace(first, parts=(core,))])


def _inverse(part: Tree) -> Tree:
    """One over a factor entry by entry; multiplied with the factor it leaves nothing."""
    base, e = (part.parts[0], part.exponent) if part.head == "raised" else (part, Fraction(1))
    return Tree("raised", "", (base,), base.shape, exponent=-e)
