"""The order in which the factors of a product are multiplied: the cheapest of all there are."""

from __future__ import annotations

from collections.abc import Collection, Sequence

__all__ = ["cheapest"]

Path = tuple[tuple[int, ...], ...]


def cheapest(
    inputs: Sequence[Collection[int]],
    output: Collection[int],
    sizes: Sequence[int],
    inverses: Collection[int] = (),
) -> Path:
    """Which two to multiply next, as places in a list that shrinks: what is made stands last.

    What some factors make together has the indices that the others or the output have, however
    they were multiplied; so the cheapest order of all follows from those of fewer factors.
    Factors at the places `inverses` are solved with where they meet one factor along one index,
    and must be formed before they meet anything else.

    >>> cheapest([(0, 1), (1, 2), (2,)], (0,), [100, 100, 100])
    ((1, 2), (0, 1))
    >>> cheapest([(1, 0), (1, 2), (2, 3)], (0, 3), [10, 10, 10, 14])
    ((0, 1), (0, 1))
    >>> cheapest([(1, 0), (1, 2), (2, 3)], (0, 3), [10, 10, 10, 14], {0, 1})
    ((1, 2), (0, 1))
    """
    return _Orders(inputs, output, sizes, inverses).path()


class _Orders:
    """Sets of factors, and of indices, are the bits of a number."""

    def __init__(
        self,
        inputs: Sequence[Collection[int]],
        output: Collection[int],
        sizes: Sequence[int],
        inverses: Collection[int],
    ) -> None:
        self.count, self.sizes = len(inputs), sizes
        self.inverses = frozenset(1 << k for k in inverses)
        self.volumes: dict[int, int] = {}
        own = [sum(1 << i for i in set(indices)) for indices in inputs]
        out = sum(1 << i for i in set(output))
        self.every = (1 << self.count) - 1
        together = [0] * (self.every + 1)
        for factors in range(1, self.every + 1):
            first = factors & -factors
            together[factors] = together[factors ^ first] | own[first.bit_length() - 1]
        self.kept = [
            together[factors] & (out | together[self.every ^ factors])
            if factors & (factors - 1)
            else together[factors]
            for factors in range(self.every + 1)
        ]
        self.split = [0] * (self.every + 1)
        self.cost = [0] * (self.every + 1)
        for factors in range(1, self.every + 1):
            if factors & (factors - 1):
                self._choose(factors)

    def _choose(self, factors: int) -> None:
        """The cheapest last product of some factors: its halves are cheapest by themselves."""
        first = factors & -factors
        rest = factors ^ first
        half, least = rest, -1
        while half:
            half = (half - 1) & rest
            left, right = half | first, factors ^ half ^ first
            cost = self.cost[left] + self.cost[right] + self._pair(left, right, factors)
            if least < 0 or cost <= least:  # of those that tie, weights go to the right
                least, self.split[factors] = cost, left
        self.cost[factors] = least

    def _pair(self, left: int, right: int, made: int) -> int:
        """Multiplications and additions of one product, and of an inverse that it wants formed."""
        a, b = self.kept[left], self.kept[right]
        both = a | b
        cost = self._volume(both) * (2 if both & ~self.kept[made] else 1)
        if self.inverses:
            inverses = [x for x in (left, right) if x in self.inverses]
            plain = (a & b).bit_count() == 1 and not a & b & self.kept[made]
            plain = plain and max(a.bit_count(), b.bit_count()) < 3
            for one in inverses[plain:]:
                cost += self._volume(self.kept[one]) * self._longest(self.kept[one])
        return cost

    def _volume(self, indices: int) -> int:
        """How many entries an array with these indices has."""
        known = self.volumes.get(indices)
        if known is None:
            known = 1
            for k, size in enumerate(self.sizes):
                if indices >> k & 1:
                    known *= size
            self.volumes[indices] = known
        return known

    def _longest(self, indices: int) -> int:
        return max(size for k, size in enumerate(self.sizes) if indices >> k & 1)

    def path(self) -> Path:
        """The products in order, halves before wholes."""
        live = [1 << k for k in range(self.count)]
        path: list[tuple[int, ...]] = []
        for factors in self._wholes():
            left = self.split[factors]
            places = sorted((live.index(left), live.index(factors ^ left)))
            for place in reversed(places):
                live.pop(place)
            live.append(factors)
            path.append(tuple(places))
        return tuple(path)

    def _wholes(self) -> list[int]:
        """The sets of factors that are multiplied, halves before wholes."""
        found: list[int] = []
        stack = [self.every]
        while stack:
            factors = stack.pop()
            if factors & (factors - 1):
                found.append(factors)
                stack += [factors ^ self.split[factors], self.split[factors]]
        return found[::-1]
