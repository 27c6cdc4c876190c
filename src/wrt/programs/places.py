"""Patterns melt: an index that is tied to another stands at a shifted place, or at one place.

`j = i + 2` in a product makes every factor that carries j a slice read along i; what no shift can
say stays behind as a mask.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from wrt.expression.dataclass import dataclass
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Dims, Pattern, Relation

__all__ = ["Places", "Spot", "sign"]

NONE = Dimension.of(0)

Terms = dict[int, int]


@dataclass(frozen=True)
class Spot:
    """Where an index stands: at `base + offset`, or at `offset` alone where there is no base."""

    base: int | None
    offset: Dimension


@lru_cache(maxsize=64)
def _at(index: int) -> Spot:
    return Spot(index, NONE)


def sign(value: Dimension) -> int | None:
    """1 where a number is never negative for sizes of at least one, -1 where never positive."""
    if value.value is not None:
        return 1 if value.value >= 0 else -1
    named = [c for mono, c in value.terms if mono]
    total = sum(c for _, c in value.terms)
    if min(named) >= 0 and total >= 0:
        return 1
    return -1 if max(named) <= 0 and total <= 0 else None


class Places:
    """Where the indices of one product stand, once its patterns have melted."""

    def __init__(self, dims: Sequence[Dimension]) -> None:
        self.dims: list[Dimension] = list(dims)
        self.zero = False
        self.conditions: list[Dimension] = []
        self.masks: list[tuple[tuple[int, ...], Pattern]] = []
        self._moved: dict[int, Spot] = {}

    @property
    def moved(self) -> bool:
        """Whether an index stands elsewhere than it is called."""
        return bool(self._moved)

    def __getitem__(self, index: int) -> Spot:
        if not self._moved:
            return _at(index)
        base: int | None = index
        offset = NONE
        while base is not None and base in self._moved:
            spot = self._moved[base]
            base, offset = spot.base, offset + spot.offset
        return Spot(base, offset)

    def melt(self, patterns: Iterable[tuple[Pattern, Sequence[int]]]) -> None:
        """Take in patterns over indices of the product; inequalities become masks at the end."""
        rest: list[tuple[Terms, Dimension, str]] = []
        for pattern, indices in patterns:
            for relation in pattern.relations:
                terms: Terms = {}
                for position, c in relation.terms:
                    terms[indices[position]] = terms.get(indices[position], 0) + c
                rest.append((terms, relation.constant, relation.kind))
        rest = [r for r in rest if not (r[2] == "==" and self._tie(r[0], r[1]))]
        for terms, constant, kind in rest:
            self._mask(*self._based(terms, constant), kind)

    def _based(self, terms: Terms, constant: Dimension) -> tuple[Terms, Dimension]:
        found: Terms = {}
        for index, c in terms.items():
            spot = self[index]
            constant = constant + spot.offset * c
            if spot.base is not None:
                found[spot.base] = found.get(spot.base, 0) + c
        return {i: c for i, c in found.items() if c}, constant

    def _tie(self, terms: Terms, constant: Dimension) -> bool:
        """Melt one equation; False where it has to be a mask."""
        terms, constant = self._based(terms, constant)
        match sorted(terms.items(), key=lambda item: item[1]):
            case [] if constant.value is not None:
                self.zero = self.zero or constant.value != 0
                return True
            case [(index, 1 | -1 as c)]:
                return self._pin(index, constant * -c)
            case [(right, -1), (left, 1)]:
                return self._shift(left, right, constant)
        return False

    def _pin(self, index: int, at: Dimension) -> bool:
        """The index stands at one place."""
        last = self.dims[index] - at - 1
        if _negative(at) or _negative(last):
            self.zero = True
        self._want(at, last)
        self._moved[index] = Spot(None, at)
        return True

    def _shift(self, i: int, j: int, s: Dimension) -> bool:
        """j = i + s: both run over the places where both exist."""
        ahead, room = sign(s), sign(self.dims[j] - s - self.dims[i])
        if ahead is None or room is None:
            if self.dims[i].value is None and self.dims[j].value is not None:
                i, j, s = j, i, s * -1
                ahead, room = sign(s), sign(self.dims[j] - s - self.dims[i])
            symbolic = self.dims[i].value is None and self.dims[j].value is None
            if room is None and (ahead is None or symbolic):
                return False
            self._want(s, self.dims[j] - s - self.dims[i])
            ahead = room = 1
        low = NONE if ahead == 1 else s * -1
        high = self.dims[i] if room == 1 else self.dims[j] - s
        self._want(high - low)
        if ahead == room == 1:
            self._moved[j] = Spot(i, s)
        elif room == -1 and (ahead == -1 or s is NONE):
            self._moved[i] = Spot(j, s * -1)
        else:
            self.dims.append(high - low)
            fresh = len(self.dims) - 1
            self._moved[i], self._moved[j] = Spot(fresh, low), Spot(fresh, low + s)
        return True

    def _want(self, *values: Dimension) -> None:
        self.conditions += [v for v in values if sign(v) != 1]

    def _mask(self, terms: Terms, constant: Dimension, kind: str) -> None:
        if not terms and constant.value is not None:
            holds = constant.value == 0 if kind == "==" else constant.value >= 0
            self.zero = self.zero or not holds
            return
        bases = tuple(sorted(terms))
        said = tuple((k, terms[i]) for k, i in enumerate(bases))
        dims: Dims = tuple(self.dims[i] for i in bases)
        self.masks.append((bases, Pattern(dims, [Relation(said, constant, kind)])))


def _negative(value: Dimension) -> bool:
    """Whether a whole number is surely below zero."""
    return value.value < 0 if value.value is not None else sign(value + 1) == -1
