"""Which names are scalars, vectors, matrices: the cheapest reading, searched best first.

A state is a set of kinds for every slot. Propagation along the rules narrows it, a branch settles
one name, and the queue holds states by what they must cost at least: so the first settled state
that comes out is the best.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from wrt.errors import TooLarge
from wrt.expression.dataclass import dataclass
from wrt.language import mistakes
from wrt.language.elaboration import Constraint, Elaboration
from wrt.language.kinds import COLUMN, MATRIX, SCALAR, axes, bit, kinds_in, narrow, only
from wrt.language.lexer import letter_class
from wrt.language.syntax import Name

__all__ = ["MOST_STEPS", "Choice", "infer"]

#: Rules applied in one inference before it is given up; counted, so that every machine answers
#: alike.
MOST_STEPS = 150_000
#: Steps that the runner-up may take beyond those for the best.
MORE_STEPS = 2_000

#: What a kind costs by the letter of the name, and whether it departs from the
#: letter.
_COSTS: Mapping[str, Mapping[int, tuple[int, int]]] = {
    "matrix": {SCALAR: (2, 1), COLUMN: (2, 1), MATRIX: (0, 0)},
    "vector": {SCALAR: (1, 1), COLUMN: (0, 0), MATRIX: (2, 1)},
    "scalar": {SCALAR: (0, 0), COLUMN: (0, 1), MATRIX: (2, 1)},
}
_BY_LETTER = {"matrix": MATRIX, "vector": COLUMN, "scalar": SCALAR}


class Cost(NamedTuple):
    """What a reading costs; then departures from the letters; then axes."""

    cost: int
    departures: int
    axes: int


@dataclass(frozen=True)
class Choice:
    """The kinds of all slots, what they cost, and the next best kinds of the open names."""

    kinds: tuple[int, ...]
    cost: Cost
    runner_up: Mapping[str, int] | None = None


class _Network:
    """The rules by slot, and the names that are open."""

    def __init__(self, made: Elaboration) -> None:
        self.made = made
        self.constraints = list(made.constraints)
        self.users: list[list[int]] = [[] for _ in made.masks]
        for k, one in enumerate(self.constraints):
            self._register(k, one)
        self.steps = 0
        self.limit = MOST_STEPS
        self.failed: Constraint | None = None
        self.names = {slot: letter_class(name) for name, slot in made.open.items()}
        self.events: dict[int, list[tuple[int | None, int]]] = {}
        for (slot, other), times in Counter(made.events).items():
            self.events.setdefault(slot, []).append((other, times))

    def _register(self, k: int, one: Constraint) -> None:
        for slot in {*one.inputs, one.output}:
            self.users[slot].append(k)

    def add(self, one: Constraint) -> None:
        self.constraints.append(one)
        self._register(len(self.constraints) - 1, one)

    def propagate(self, masks: list[int], queue: list[int]) -> bool:
        """Narrow until nothing changes; False where something cannot be."""
        queue = queue[::-1]
        waiting = set(queue)
        constraints, users = self.constraints, self.users
        while queue:
            k = queue.pop()
            waiting.discard(k)
            self.steps += 1
            one = constraints[k]
            left = tuple([masks[s] for s in one.inputs])
            right = masks[one.output]
            narrowed = narrow(one.rule, left, right)
            if narrowed is None:
                self.failed = one
                return False
            if narrowed == (left, right):
                continue
            slots, kept = (*one.inputs, one.output), (*narrowed[0], narrowed[1])
            for slot, mask in zip(slots, kept, strict=True):
                mask &= masks[slot]
                if mask == masks[slot]:
                    continue
                if not mask:
                    self.failed = one
                    return False
                masks[slot] = mask
                for user in users[slot]:
                    if user != k and user not in waiting:
                        waiting.add(user)
                        queue.append(user)
            if len(set(one.inputs)) < len(one.inputs) and k not in waiting:
                waiting.add(k)
                queue.append(k)
        if self.steps > self.limit:
            raise _TooManySteps
        return True

    def cost(self, masks: list[int]) -> tuple[Cost, dict[int, int]]:
        """What every reading within these sets costs at least, and the kinds that promise it.

        Each open name takes its cheapest kind for itself; sums of such minima bound every reading.
        """
        total = departures = count = 0
        best: dict[int, int] = {}
        for slot, letters in self.names.items():
            options = [
                (*self._price(letters, kind, slot, masks), axes(kind), kind)
                for kind in kinds_in(masks[slot])
            ]
            price, departs, ranks, best[slot] = min(options)
            total, departures, count = total + price, departures + departs, count + ranks
        self.steps += len(self.names)
        return Cost(total, departures, count), best

    def _price(self, letters: str, kind: int, slot: int, masks: list[int]) -> tuple[int, int]:
        price, departs = _COSTS[letters].get(kind, (2, 1))
        if kind == SCALAR:
            scalar = bit(SCALAR)
            for other, times in self.events.get(slot, ()):
                if other is None or not masks[other] & scalar:
                    price += times
        return price, departs

    def undecided(self, masks: list[int]) -> int | None:
        """The open name that most rules speak of."""
        best, uses = None, -1
        for slot in self.names:
            if only(masks[slot]) is None and len(self.users[slot]) > uses:
                best, uses = slot, len(self.users[slot])
        return best


class _TooManySteps(Exception):
    """The count ran out."""


def infer(made: Elaboration) -> Choice:
    """The kinds of all parts of a formula, at the least cost.

    ShapeMistake where nothing fits, told by the letters; TooLarge where the count runs out.

    >>> from wrt.language.reader import read
    >>> read("W*x + b").assumed
    ('W is a matrix (n × m)', 'x is a vector (m)', 'b is a vector (n)')
    """
    network = _Network(made)
    start = list(made.masks)
    try:
        if not network.propagate(start, list(range(len(network.constraints)))):
            raise _told(network, made)
        start = _with_clashes(network, made, start)
        found = _search(network, start)
        first = next(found, None)
        if first is None or _reads_away(made, first[1]):
            raise _told(network, made)
    except _TooManySteps:
        raise _refused(made) from None
    return Choice(tuple(first[1]), first[0], _runner_up(network, made, first, found))


def _reads_away(made: Elaboration, kinds: Sequence[int]) -> bool:
    """Whether the X of mean(X,1), a matrix by its letter, was read as none: that is a mistake."""
    along = (part for use in made.uses.values() if use.how == "axis" for part in use.operands)
    names = {part.name for part in along if isinstance(part, Name)} & made.open.keys()
    matrices = [name for name in names if letter_class(name) == "matrix"]
    return any(kinds[made.open[name]] != MATRIX for name in matrices)


def _search(network: _Network, start: list[int]) -> Iterator[tuple[Cost, list[int]]]:
    """Settled states, cheapest first."""
    cost, best = network.cost(start)
    queue: list[tuple[Cost, int, list[int], dict[int, int]]] = [(cost, 0, start, best)]
    pushed = 0
    found: set[tuple[int, ...]] = set()
    while queue:
        cost, _, masks, best = heapq.heappop(queue)
        whole = _completed(network, masks, cost, best)
        if whole is not None:
            key = tuple(whole[slot] for slot in network.names)
            if key not in found:
                found.add(key)
                yield cost, whole
        slot = network.undecided(masks)
        if slot is None:
            continue
        for kind in kinds_in(masks[slot]):
            child = _settled(network, masks, {slot: kind})
            if child is not None:
                pushed += 1
                bound, promise = network.cost(child)
                heapq.heappush(queue, (bound, -pushed, child, promise))


def _settled(network: _Network, masks: list[int], chosen: Mapping[int, int]) -> list[int] | None:
    """The state with some names settled; None where that cannot be."""
    child = list(masks)
    waiting: list[int] = []
    for slot, kind in chosen.items():
        if child[slot] != bit(kind):
            child[slot] = bit(kind)
            waiting += network.users[slot]
    network.steps += len(masks) // 64
    return child if network.propagate(child, list(dict.fromkeys(waiting))) else None


def _completed(
    network: _Network, masks: list[int], cost: Cost, best: Mapping[int, int]
) -> list[int] | None:
    """The reading that reaches the bound of its state, if any: nothing below can beat it."""
    whole = _settled(network, masks, best)
    if whole is None or network.cost(whole)[0] != cost:
        return None
    return [mask.bit_length() - 1 for mask in whole]


def _with_clashes(network: _Network, made: Elaboration, start: list[int]) -> list[int]:
    """Refuse `y*z` where nothing but this product speaks against two vectors."""
    if not made.clashes:
        return start
    for one, names in made.clashes:
        if all(start[slot] & bit(kind) for slot, kind in names.items()):
            raise _by_letters(network, made, [*made.constraints, one])
        network.add(one)
    added = list(range(len(network.constraints) - len(made.clashes), len(network.constraints)))
    if not network.propagate(start, added):
        raise _told(network, made)
    return start


def _runner_up(
    network: _Network,
    made: Elaboration,
    first: tuple[Cost, list[int]],
    found: Iterator[tuple[Cost, list[int]]],
) -> Mapping[str, int] | None:
    """The next reading, where it is as cheap or keeps a letter that the best one does not."""
    network.limit = network.steps + MORE_STEPS
    try:
        second = next(found, None)
    except _TooManySteps:
        return None
    if second is None or second[0].cost > first[0].cost + 1:
        return None
    other = {n: second[1][s] for n, s in made.open.items() if second[1][s] != first[1][s]}
    departs = any(first[1][made.open[n]] != _BY_LETTER[letter_class(n)] for n in other)
    return other if departs or second[0][:2] == first[0][:2] else None


def _told(network: _Network, made: Elaboration) -> Exception:
    """The mistake as it is met when every open name is read by its letter."""
    return _by_letters(network, made, network.constraints)


def _by_letters(network: _Network, made: Elaboration, rules: Sequence[Constraint]) -> Exception:
    masks = list(made.masks)
    for name, slot in made.open.items():
        kind = _BY_LETTER[letter_class(name)]
        masks[slot] = bit(kind)
    for one in sorted(rules, key=lambda c: c.output):
        inputs = tuple(masks[s] for s in one.inputs)
        narrowed = narrow(one.rule, inputs, masks[one.output])
        if narrowed is None:
            of = tuple(m.bit_length() - 1 for m in inputs)
            if one.bare:
                return mistakes.without_indices(made.text, one.part, of[0], made.open)
            return mistakes.misfit(made.text, one.part, of, made)
        masks[one.output] = narrowed[1]
    part = network.failed.part if network.failed else made.program.lines[-1].body
    return mistakes.no_reading(made.text, part, made.open)


def _refused(made: Elaboration) -> TooLarge:
    names = ", ".join(list(made.open)[:8])
    return TooLarge(
        f"the shapes of {len(made.open)} undeclared names were not found in {MOST_STEPS:,} steps; "
        f"declare some of {names}, as in shapes={{{next(iter(made.open), 'x')!r}: 'n'}}"
    )
