"""The factoring move: terms of a sum that share a piece become one term.

The piece stands at the beginning or the end of products, among their scalars, entry by entry, in
a diagonal matrix at either side, or anywhere inside a trace; where nothing else is left of a term
stands an identity. The move that leaves the fewest names is made again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.dataclass import dataclass, replace
from wrt.notation.layout import unvec, vec
from wrt.notation.phrases import (
    chain_of,
    diagonal,
    entrywise,
    eye,
    flip,
    is_ones,
    ones,
    power,
    raised,
    scalars_of,
    times,
)
from wrt.notation.tree import Tree, call

__all__ = ["factored"]

#: Candidates for the move that are built and weighed in a sum of so many terms, the most promising
#: first.
WIDTHS = ((4, 4), (6, 3), (30, 2))
#: Longer sums are not searched for a sum that stands elsewhere in them.
MOST_FOLDED = 6
#: Links from either end that a common factor may have.
MOST_LINKS = 6
#: Links of a trace that is cut open at every place.
MOST_TURNED = 8

Build = Callable[[list[Tree]], Tree]


@dataclass(frozen=True)
class _Move:
    """Terms that share a piece: what that saves at most, and how one term replaces them."""

    saving: int
    members: tuple[int, ...]
    build: Build


def factored(terms: list[Tree]) -> list[Tree] | None:
    """The best move made, or None where no move saves a name."""
    best = _moved(terms)
    return best if best is not None or len(terms) > MOST_FOLDED else _folded(terms)


def _moved(terms: list[Tree]) -> list[Tree] | None:
    kinds = (_ends, _scalars, _entries, _sides, _traces, _linear)
    moves = [m for kind in kinds for m in kind(terms) if m.saving > 0]
    moves.sort(key=lambda m: -m.saving)
    best: list[Tree] | None = None
    least = 0
    for move in moves[: next(width for most, width in WIDTHS if len(terms) <= most)]:
        members = [terms[k] for k in move.members]
        made = move.build(members)
        change = made.cost[0] - sum(t.cost[0] for t in members)
        if change < least:
            least = change
            best = [made, *(t for k, t in enumerate(terms) if k not in move.members)]
    return best


def _listed(terms: Sequence[Tree]) -> Tree:
    from wrt.notation.sums import listed

    return listed(terms)


def _total(terms: Iterable[Tree], *, inside: bool = True) -> Tree:
    from wrt.notation.sums import total

    return total(terms, inside=inside)


def _groups(pieces: Iterable[tuple[object, int]]) -> dict[object, list[int]]:
    groups: dict[object, list[int]] = {}
    for piece, member in pieces:
        group = groups.setdefault(piece, [])
        if member not in group:
            group.append(member)
    return {piece: members for piece, members in groups.items() if len(members) > 1}


def _term(term: Tree, chain: Sequence[Tree], without: Tree | None = None) -> Tree:
    """A term with another chain behind its coefficient and scalars, one scalar left out."""
    if term.head != "product":
        return times(ONE, chain)
    return times(term.coefficient, [*(s for s in scalars_of(term) if s is not without), *chain])


# Known sums


def _folded(terms: list[Tree]) -> list[Tree] | None:
    """Terms that together are a multiple of a sum that stands elsewhere, as that sum again."""
    known = {p: None for t in terms for p in _sums_within(t)}
    if not known:
        return None
    spread = [piece for t in terms for piece in _multiplied(t)]
    cost = sum(t.cost[0] for t in terms)
    for whole in known:
        rest = _without(spread, whole)
        if rest is None:
            continue
        made = _moved(rest)  # not the whole sum, which would be taken apart again
        if made is not None and sum(t.cost[0] for t in made) < cost:
            return made
    return None


def _sums_within(term: Tree) -> list[Tree]:
    """The sums that are links of a term, or of the terms of these."""
    found = [p for p in chain_of(term) if p.head == "sum"]
    return found + [q for p in found for t in p.parts for q in chain_of(t) if q.head == "sum"]


def _multiplied(term: Tree) -> list[Tree]:
    """The terms of a product with one sum among its links; the term itself where there is none."""
    chain = chain_of(term)
    places = [k for k, p in enumerate(chain) if p.head == "sum"]
    if len(places) != 1:
        return [term]
    (k,) = places
    return [_term(term, [*chain[:k], part, *chain[k + 1 :]]) for part in chain[k].parts]


def _without(terms: Sequence[Tree], whole: Tree) -> list[Tree] | None:
    """Terms with a multiple of a sum in the place of its terms; None where they do not hold it."""
    bodies = {t.body: t for t in terms}
    pieces = [bodies.get(p.body) for p in whole.parts]
    found = [p for p in pieces if p is not None]
    if len(found) < len(pieces) or len(found) == len(terms):
        return None
    pairs = zip(found, whole.parts, strict=True)
    ratios = {_number(t) * _number(p) ** -1 for t, p in pairs}
    if len(ratios) != 1:
        return None
    return [*(t for t in terms if t not in found), times(ratios.pop(), [whole])]


def _number(term: Tree) -> Coefficient:
    return term.coefficient if term.head == "product" else ONE


# At the ends of products


def _ends(terms: Sequence[Tree]) -> list[_Move]:
    """Chains that begin or end alike."""
    chains = [_open(t)[0] for t in terms]
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


def _open(term: Tree) -> tuple[tuple[Tree, ...], Tree | None]:
    """The chain of a term; of a scalar with one inner product, its links and that product.

    Beside entries at letters an inner product stays closed: matrices have no place there.
    """
    chain = chain_of(term)
    if not chain and not term.is_lettered:
        dots = [s for s in scalars_of(term) if s.head == "dot"]
        if len(dots) == 1:
            return dots[0].parts, dots[0]
    return chain, None


def _ender(piece: tuple[Tree, ...], ahead: bool) -> Build:
    def build(members: list[Tree]) -> Tree:
        whole = all(_open(t)[0] == piece for t in members)
        rests = [_rest(t, piece, ahead, whole) for t in members]
        inside = _total(rests)
        other = tuple([flip(link) for link in reversed(piece)])
        if all(_stands(t, other, not ahead) for t in rests):  # A'*(…)*A in one move
            middle = _total([_rest(t, other, not ahead, False) for t in rests])
            if other and middle.cost[0] + sum(t.cost[0] for t in other) <= inside.cost[0]:
                ends = (piece, other) if ahead else (other, piece)
                return times(ONE, [*ends[0], middle, *ends[1]])
        return times(ONE, [*piece, inside] if ahead else [inside, *piece])

    return build


def _stands(term: Tree, piece: tuple[Tree, ...], ahead: bool) -> bool:
    """Whether a chain stands at an end of a matrix."""
    chain = chain_of(term)
    end = chain[: len(piece)] if ahead else chain[len(chain) - len(piece) :]
    return end == piece and None not in term.shape


def _rest(term: Tree, piece: tuple[Tree, ...], ahead: bool, whole: bool) -> Tree:
    """A term without a common end: an identity where nothing is left of its chain alone."""
    chain, dot = _open(term)
    left = chain[len(piece) :] if ahead else chain[: len(chain) - len(piece)]
    side = piece[-1].shape[1] if ahead else piece[0].shape[0]
    if not left and side is not None and not whole:
        left = (eye(side),)
    return _term(term, left, dot)


# Scalars and entries


def _scalars(terms: Sequence[Tree]) -> list[_Move]:
    """Scalars that several terms have, as far as they all have them."""
    moves = []
    for base, least, members in _shared([scalars_of(t) for t in terms]):
        common = power(base, least)
        saving = common.cost[0] * (len(members) - 1)
        moves.append(_Move(saving, tuple(members), _taker(common)))
    return moves


def _taker(common: Tree) -> Build:
    def build(members: list[Tree]) -> Tree:
        rests = [times(ONE, [t, power(common, -1)]) for t in members]
        if any(rest.cost[0] >= t.cost[0] for rest, t in zip(rests, members, strict=True)):
            return _listed(members)  # it cannot be taken out: a root of what has a sign
        return times(ONE, [common, _total(rests, inside=False)])

    return build


def _shared(sets: Sequence[Sequence[Tree]]) -> list[tuple[Tree, Fraction, list[int]]]:
    """Factors that several sets have, with the least exponent of them, and which sets they are."""
    found: dict[tuple[Tree, bool], dict[int, Fraction]] = {}
    for k, factors in enumerate(sets):
        for factor in factors:
            base, e = _powers(factor)
            found.setdefault((base, e > 0), {})[k] = e
    return [
        (base, min(held.values(), key=abs), list(held))
        for (base, _), held in found.items()
        if len(held) > 1
    ]


def _powers(factor: Tree) -> tuple[Tree, Fraction]:
    if factor.head in ("power", "raised"):
        return factor.parts[0], factor.exponent
    return factor, Fraction(1)


def _factors(vector: Tree) -> tuple[Tree, ...]:
    """The factors of a product entry by entry, ones left out."""
    parts = vector.parts if vector.head == "entry" else (vector,)
    return tuple(p for p in parts if not is_ones(p))


def _entries(terms: Sequence[Tree]) -> list[_Move]:
    """Factors that several terms have entry by entry."""
    sets: list[tuple[Tree, ...]] = []
    for term in terms:
        chain = chain_of(term)
        alone = len(chain) == 1 and chain[0].axes == 2 and term.shape[0] is not None
        sets.append(_factors(chain[0]) if alone else ())
    moves = []
    for base, least, members in _shared(sets):
        common = raised(base, least)
        saving = common.cost[0] * (len(members) - 1)
        moves.append(_Move(saving, tuple(members), _multiplier(base, least)))
    return moves


def _multiplier(base: Tree, exponent: Fraction) -> Build:
    def build(members: list[Tree]) -> Tree:
        rests = [entrywise([t, _inverse(base, exponent)]) for t in members]
        return entrywise([raised(base, exponent), _total(rests, inside=False)])

    return build


def _inverse(base: Tree, exponent: Fraction) -> Tree:
    """One over a factor entry by entry; multiplied with the factor it leaves nothing."""
    return Tree("raised", "", (base,), base.shape, exponent=-exponent)


# Diagonal matrices at either side


def _sides(terms: Sequence[Tree]) -> list[_Move]:
    """Factors that the rows, or the columns, of several matrices have in common."""
    if len(terms) < 2 or None in terms[0].shape or terms[0].axes > 2:
        return []
    moves = []
    for ahead in (True, False):
        edges = [_edge(t, ahead)[0] for t in terms]
        sets = [() if edge is None else _factors(edge) for edge in edges]
        for base, least, members in _shared(sets):
            common = raised(base, least)
            saving = common.cost[0] * (len(members) - 1)
            moves.append(_Move(saving, tuple(members), _sider(base, least, ahead)))
    return moves


def _edge(term: Tree, ahead: bool) -> tuple[Tree | None, tuple[Tree, ...]]:
    """The column that multiplies the rows (or columns) of a matrix, and the rest of its chain."""
    chain = chain_of(term)
    if not chain:
        return None, ()
    end = chain[0] if ahead else chain[-1]
    rest = chain[1:] if ahead else chain[:-1]
    if end.word == "diag" and None not in end.shape:
        (diagonal,) = end.parts
        return (flip(diagonal) if diagonal.shape[0] is None else diagonal), rest
    if None in end.shape and end.shape[0 if ahead else 1] is not None:
        return (end if ahead else flip(end)), rest
    return None, chain


def _sider(base: Tree, exponent: Fraction, ahead: bool) -> Build:
    def build(members: list[Tree]) -> Tree:
        rests = [_freed(t, _inverse(base, exponent), ahead) for t in members]
        return _edged(raised(base, exponent), _total(rests), ahead)

    return build


def _freed(term: Tree, inverse: Tree, ahead: bool) -> Tree:
    """A matrix whose rows, or columns, are divided by a column."""
    vector, rest = _edge(term, ahead)
    assert vector is not None
    left = entrywise([vector, inverse])
    outer = _is_outer(rest, ahead)
    if outer and len(rest) == 1 and is_ones(left) and is_ones(rest[0]):
        return _term(term, [ones(term.shape)])
    if outer:
        return _term(term, [left, *rest] if ahead else [*rest, flip(left)])
    if not is_ones(left):
        return _term(term, [diagonal(left), *rest] if ahead else [*rest, diagonal(left)])
    assert vector.shape[0] is not None
    return _term(term, rest or [eye(vector.shape[0])])


def _is_outer(rest: Sequence[Tree], ahead: bool) -> bool:
    """Whether what stands beside a column (or row) is a row (or column) and no matrix."""
    return bool(rest) and (rest[0].shape[0] if ahead else rest[-1].shape[1]) is None


def _edged(vector: Tree, inside: Tree, ahead: bool) -> Tree:
    """A matrix with its rows, or columns, multiplied by a column."""
    other, rest = _edge(inside, ahead)
    joint = vector if other is None else entrywise([vector, other])
    if _is_outer(rest, ahead):
        return _term(inside, [joint, *rest] if ahead else [*rest, flip(joint)])
    matrix = [diagonal(joint)]
    if inside.head == "sum":
        return times(ONE, [*matrix, inside] if ahead else [inside, *matrix])
    return _term(inside, [*matrix, *rest] if ahead else [*rest, *matrix])


# Linear words


def _traces(terms: Sequence[Tree]) -> list[_Move]:
    """Traces that share a run of links, wherever it stands in them and either way round."""
    loops = [(k, found) for k, t in enumerate(terms) if (found := _loop(t)) is not None]
    if len(loops) < 2:
        return []
    pieces: list[tuple[object, int]] = [(run, k) for k, found in loops for run in _runs(found[0])]
    moves = []
    for piece, members in _groups(pieces).items():
        assert isinstance(piece, tuple)
        saving = sum(p.cost[0] for p in piece) * (len(members) - 1)
        moves.append(_Move(saving, tuple(members), _closer(piece)))
    return moves


def _loop(term: Tree) -> tuple[tuple[Tree, ...], Tree] | None:
    """The links of the one trace of a term, and that trace; entries at letters stay beside it."""
    if chain_of(term) or term.is_lettered:
        return None
    found = [s for s in scalars_of(term) if s.word == "tr" and s.head == "call"]
    if len(found) != 1:
        return None
    links = chain_of(found[0].parts[0])
    plain = times(ONE, links) == found[0].parts[0] and len(links) <= MOST_TURNED
    return (links, found[0]) if links and plain else None


def _ways(links: tuple[Tree, ...]) -> list[tuple[Tree, ...]]:
    """A closed chain cut open at each place, either way round."""
    back = tuple(flip(t) for t in reversed(links))
    return [way[k:] + way[:k] for way in (links, back) for k in range(len(links))]


def _runs(links: tuple[Tree, ...]) -> list[tuple[Tree, ...]]:
    """The runs of links of a closed chain, those with the fewest transposes first."""
    runs = [way[:count] for way in _ways(links) for count in range(1, len(links) + 1)]
    return sorted(dict.fromkeys(runs), key=lambda run: sum(t.cost[1] for t in run))


def _closer(piece: tuple[Tree, ...]) -> Build:
    def build(members: list[Tree]) -> Tree:
        rests = []
        for term in members:
            found = _loop(term)
            assert found is not None
            links, trace = found
            way = next(w for w in _ways(links) if w[: len(piece)] == piece)
            side = piece[-1].shape[1]
            assert side is not None
            rests.append(_term(term, way[len(piece) :] or [eye(side)], trace))
        whole = _term(_total(rests), chain_of(_total(rests)))
        coefficient = whole.coefficient if whole.head == "product" else ONE
        closed = [*piece, *chain_of(whole)]
        row = next((k for k, link in enumerate(closed) if link.shape[0] is None), None)
        if row is not None:  # tr(A*x*y') is y'*A*x
            return times(coefficient, [*scalars_of(whole), *closed[row:], *closed[:row]])
        trace = call("tr", [times(ONE, closed)], latex=r"\operatorname{tr}(@0)")
        return times(coefficient, [*scalars_of(whole), trace])

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
    """The call of a linear word in a term; entries at letters stay beside it."""
    if term.is_lettered:
        return None
    chain = chain_of(term)
    among = chain if len(chain) == 1 else scalars_of(term) if not chain else ()
    found = [t for t in among if t.head == "unvec" or (t.word in _LINEAR and len(t.parts) == 1)]
    return found[0] if len(found) == 1 else None


def _summed(members: list[Tree]) -> Tree:
    calls = [held for held in map(_held, members) if held is not None]
    pairs = zip(members, calls, strict=True)
    joint = _total([_term(t, [held.parts[-1]], held) for t, held in pairs], inside=False)
    first = calls[0]
    if first.head == "unvec":
        rows, columns = first.shape[::-1] if first.flips else first.shape
        assert rows is not None
        assert columns is not None
        made = unvec(joint, rows, columns)
        return flip(made) if first.flips else made
    if first.word == "vec":
        return vec(joint)
    core = times(ONE, chain_of(joint)) if joint.head == "product" else joint
    return _term(joint, [replace(first, parts=(core,))])
