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
#: What takes longer than this has warmed up after one call.
LONG = 1.0
#: A sample takes about so long and so many calls.
SAMPLE = 0.05
MOST_CALLS = 12
#: Two calls at least where one takes less: the memory of a large result may be found anew.
TWICE = 0.5

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


def alternating(works: Mapping[str, Work], rounds: int = ROUNDS) -> Times:
    """The times of every system, one sample of each a round, the first in a round changing.

    A sample is the best of as many calls as fit into it: what others did meanwhile, and where the
    memory came from, is not what is asked.
    """
    warm = {name: seconds(work) for name, work in works.items()}
    for name, took in warm.items():
        if took < LONG:
            warm[name] = min(took, seconds(works[name]))
    times = Times({name: [] for name in works})
    names = list(works)
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            times.rounds[name].append(_sample(works[name], warm[name]))
    return times


def _sample(work: Work, took: float) -> float:
    inner = max(1, min(1000, round(SHORTEST / max(took, 1e-9))))
    fewest = 2 if took < TWICE else 1
    calls = max(fewest, min(MOST_CALLS, round(SAMPLE / max(took * inner, 1e-9))))
    return min(seconds(work, inner) for _ in range(calls))


def table(title: str, times: Times) -> dict[str, dict[str, float]]:
    """A printed table of medians with the fastest and the slowest; the same as plain data."""
    print(f"\n{title:<58}{'median':>10}{'fastest':>10}{'slowest':>10}")
    found = {}
    for name, took in times.rounds.items():
        one = {"median": statistics.median(took), "fastest": min(took), "slowest": max(took)}
        print(f"  {name:<56}" + "".join(f"{1e3 * t:8.2f}ms" for t in one.values()), flush=True)
        found[name] = one
    return found
