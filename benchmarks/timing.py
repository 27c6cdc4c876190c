"""Times that can be compared on a busy machine: systems in turn, medians, ratios within a round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["ROUNDS", "Spread", "Times", "alternating", "seconds", "table"]

#: Rounds that count; one more goes before them to warm up.
ROUNDS = 7
#: A call that is shorter is repeated until it has taken this long: the clock has a grain.
SHORTEST = 5e-4
#: A call that takes longer is not repeated at once: a first call may have to ask the system for
#: memory that others gave back, and takes two or three times as long as the next.
LONG = 4.0
#: A sample takes about so long and so many calls, two at least.
SAMPLE = 0.05
MOST_CALLS = 12

Work = Callable[[], object]


def seconds(work: Work, times: int = 1) -> float:
    """How long one of several calls takes."""
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


@dataclass(frozen=True)
class Spread:
    """A median with its quartiles."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of some values."""
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(low, median, high)


@dataclass
class Times:
    """The seconds of every system, round by round."""

    rounds: dict[str, list[float]] = field(default_factory=dict)

    def median(self, name: str) -> float:
        """The median seconds of a system."""
        return statistics.median(self.rounds[name])

    def ratio(self, name: str, to: str) -> Spread:
        """How many times as long a system takes as another one did in the same round."""
        pairs = zip(self.rounds[name], self.rounds[to], strict=True)
        return Spread.of([a / b for a, b in pairs])


def alternating(works: Mapping[str, Work], rounds: int = ROUNDS, calls: int = MOST_CALLS) -> Times:
    """The times of every system, one sample of each a round, the first in a round changing.

    A sample is the best of as many calls as fit into it, `calls` at most: what others did
    meanwhile, where the memory came from, and what a library still clears away of the system
    before is not asked.
    """
    warm = {name: _best(work, 1, min(3, calls)) for name, work in works.items()}
    times = Times({name: [] for name in works})
    names = list(works)
    for turn in range(rounds):
        first = turn % max(1, len(names))
        for name in names[first:] + names[:first]:
            inner = max(1, min(1000, round(SHORTEST / max(warm[name], 1e-9))))
            times.rounds[name].append(_best(works[name], inner, calls))
    return times


def _best(work: Work, inner: int, most: int) -> float:
    """The best of some calls, as many as fit into a sample at the pace of the best so far."""
    best = seconds(work, inner)
    count = 1
    while count < most and best < LONG and (count < 2 or count * inner * best < SAMPLE):
        best = min(best, seconds(work, inner))
        count += 1
    return best


def table(title: str, times: Times) -> dict[str, dict[str, float]]:
    """A printed table of medians with the fastest and the slowest; the same as plain data."""
    print(f"\n{title:<58}{'median':>10}{'fastest':>10}{'slowest':>10}")
    found = {}
    for name, took in times.rounds.items():
        one = {"median": statistics.median(took), "fastest": min(took), "slowest": max(took)}
        print(f"  {name:<56}" + "".join(f"{1e3 * t:8.2f}ms" for t in one.values()), flush=True)
        found[name] = one
    return found
