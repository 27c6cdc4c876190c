"""How long programs take: every workload by every system in turn, checked equal first.

Ratios are a peer's time over ours in the same round, so above 1 ours is ahead. Ours is the faster
of our programs for NumPy and for JAX; the former is what `by hand` and the floor are compared with.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from benchmarks.machine import Rates, geometric_mean
from benchmarks.tasks import GROUPS, OURS, OURS_JAX, Array, Maker, Program, Sizes, Task, Workload
from benchmarks.timing import Spread, Times, alternating, seconds
from benchmarks.workloads import WORKLOADS

__all__ = [
    "SYSTEMS",
    "Row",
    "compare",
    "heading",
    "key",
    "measured",
    "ordered",
    "place",
    "rows",
    "show",
    "summary",
]

TOLERANCE = {"float64": 1e-9, "float32": 1e-4}
#: A peer is left out where one call takes more seconds than this, or would by the size before.
LONGEST = 10.0
LATE = f"more than {LONGEST:.0f} seconds"
HAND = "by hand"
#: The peers' columns; `dense` is the whole derivative where ours keeps its structure.
SYSTEMS = ("jax", "torch", "dense")
#: What is as good as the best peer, and as the program by hand.
NOISE, NEAR = 0.95, 1.25


@dataclass(frozen=True)
class Row:
    """One workload at one size."""

    name: str
    group: str
    sizes: Mapping[str, int]
    dtype: str
    best: str
    hand: Spread
    seconds: Mapping[str, float]
    ratios: Mapping[str, Spread]
    floor: float
    absent: Mapping[str, str]

    @property
    def best_peer(self) -> Spread | None:
        """The fastest peer's time over ours."""
        return min(self.ratios.values(), key=lambda spread: spread.median, default=None)

    @property
    def to_hand(self) -> float:
        """Our time over the hand-written program's."""
        return self.hand.median

    @property
    def to_floor(self) -> float:
        """Our time over the floor."""
        return self.seconds[OURS] / self.floor

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Row:
        """The row that was written."""
        told = {f.name: plain[f.name] for f in fields(cls)}
        ratios = {system: Spread(**spread) for system, spread in plain["ratios"].items()}
        return cls(**{**told, "hand": Spread(**plain["hand"]), "ratios": ratios})

    def plain(self) -> dict[str, Any]:
        """Everything as numbers and text, for JSON."""
        best = self.best_peer
        return {
            **asdict(self),
            "best_peer": best and best.median,
            "to_hand": self.to_hand,
            "to_floor": self.to_floor,
        }


def chosen(quick: bool, only: str) -> Iterator[tuple[Workload, Mapping[str, int]]]:
    """The workloads at their sizes, few of them where it has to be quick."""
    for work in WORKLOADS:
        if only.lower() in f"{work.group}: {work.name}".lower():
            few = [] if work.quick is None else [work.sizes[work.quick]]
            yield from ((work, sizes) for sizes in (few if quick else work.sizes))


Key = tuple[str, frozenset[tuple[str, int]]]


def key(row: Row) -> Key:
    """What no two rows have in common: the workload and its sizes."""
    return row.name, frozenset(row.sizes.items())


def place(work: Workload, sizes: Sizes) -> Key:
    """The key that the row of a workload at a size will have."""
    return work.name, frozenset(sizes.items())


def ordered(found: Iterable[Row]) -> list[Row]:
    """Rows in the order of the table; what is in it no more stands behind."""
    places = {place(work, sizes): k for k, (work, sizes) in enumerate(chosen(False, ""))}
    return sorted(found, key=lambda row: places.get(key(row), len(places)))


def rows(quick: bool, only: str, rates: Rates, there: Container[Key] = ()) -> Iterator[Row]:
    """The rows of the table that are not there yet, one after another.

    A peer that took long at one size is not asked at a larger one where it would take too long.
    """
    before: dict[tuple[str, str], float] = {}
    for work, sizes in chosen(quick, only):
        if place(work, sizes) in there:
            continue
        task = work.task(sizes)
        least = rates.floor(*task.floor, 8)
        late = {
            system
            for system in task.peers
            if before.get((work.name, system), 0.0) * least > LONGEST
        }
        row, took = measured(task, rates, late)
        before |= {(work.name, system): one / least for system, one in took.items()}
        yield row


def measured(
    task: Task, rates: Rates, late: Iterator[str] | set[str] = frozenset()
) -> tuple[Row, dict[str, float]]:
    """One row: results compared with the hand-written program's, then the times; and the seconds
    of every peer that ran."""
    wanted = task.hand.array(task.hand.run())
    ours = {OURS: task.ours[OURS]()}
    _compare(OURS, ours[OURS], wanted, task)
    programs = {OURS: ours[OURS].run, HAND: task.hand.run}
    absent, took = {**task.absent, **dict.fromkeys(late, LATE)}, dict[str, float]()
    for system, make in {**task.ours, **task.peers}.items():
        if system in programs or system in absent:
            continue
        made = _made(system, make, wanted, task)
        if isinstance(made, str):
            absent[system] = made
            continue
        took[system] = seconds(made.run)
        if took[system] > LONGEST and system in task.peers:
            absent[system] = LATE
            continue
        programs[system] = made.run
    times = alternating(programs)
    floor = rates.floor(*task.floor, np.dtype(task.dtype).itemsize)
    return _row(task, times, floor, absent), took


def _made(system: str, make: Maker, wanted: Array, task: Task) -> Program | str:
    """The program of a system, compared; or why there is none."""
    try:
        made = make()
        _compare(system, made, wanted, task)
    except (ImportError, NotImplementedError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"[:80]
    return made


def _row(task: Task, times: Times, floor: float, absent: Mapping[str, str]) -> Row:
    mine = [name for name in (OURS, OURS_JAX) if name in times.rounds]
    best = min(mine, key=times.median)
    return Row(
        task.name,
        task.group,
        task.sizes,
        task.dtype,
        best,
        times.ratio(OURS, HAND),
        {name: times.median(name) for name in times.rounds},
        {name: times.ratio(name, best) for name in task.peers if name in times.rounds},
        floor,
        absent,
    )


def _compare(system: str, program: Program, wanted: Array, task: Task) -> None:
    compare(system, program, wanted, task.name, task.dtype)


def compare(system: str, program: Program, wanted: Array, name: str, dtype: str) -> None:
    """Nothing is timed that is not the same."""
    found = program.array(program.run())
    scale = np.abs(wanted).max()
    if found.shape != wanted.shape:
        raise AssertionError(f"{name}: {system} gives {found.shape}, not {wanted.shape}")
    if not np.abs(found - wanted).max() <= TOLERANCE[dtype] * scale:
        raise AssertionError(f"{name}: {system} gives other numbers")


# Showing


def show(row: Row) -> str:
    """The row as a line of the table."""
    cells = [f"{said(row):<60}", f"{1e3 * row.seconds[OURS]:9.3f}"]
    cells.append(f"{1e3 * row.seconds[OURS_JAX]:9.3f}" if OURS_JAX in row.seconds else f"{'–':>9}")
    for system in SYSTEMS:
        spread = row.ratios.get(system)
        cells.append(f"{_times(spread.median):>9}" if spread else f"{'–':>9}")
    best = row.best_peer
    cells.append(f"  ({best.low:.2f}–{best.high:.2f})".ljust(17) if best else " " * 17)
    cells += [f"{row.to_hand:8.2f}", f"{_times(row.to_floor):>8}"]
    return "".join(cells)


def said(row: Row) -> str:
    """The workload and its sizes."""
    return f"{row.name}  {', '.join(f'{n}={s}' for n, s in row.sizes.items())}"


def heading(group: str) -> str:
    """The first line of the table of a group."""
    systems = "".join(f"{name:>9}" for name in SYSTEMS)
    ends = f"{'  spread of best':<17}{'/hand':>8}{'/floor':>8}"
    return f"\n{group + ' answers':<60}{'ms':>9}{'ms, jax':>9}{systems}{ends}"


def _times(ratio: float) -> str:
    return f"{ratio:.2f}×" if ratio < 10 else f"{ratio:,.0f}×"


def summary(found: Sequence[Row]) -> dict[str, list[str]]:
    """What the table of each group comes to."""
    groups = {g: [row for row in found if row.group == g] for g in GROUPS}
    return {group: list(_told(rows)) for group, rows in groups.items() if rows}


def _told(found: Sequence[Row]) -> Iterator[str]:
    best = [row.best_peer.median for row in found if row.best_peer]
    if best:
        yield (
            f"ahead of the best peer by {geometric_mean(best):.2f}× in the geometric mean,"
            f" {min(best):.2f}× at least"
        )
    whole = [row.ratios["dense"].median for row in found if "dense" in row.ratios]
    if whole:
        yield (
            f"ahead of the whole derivative by {_times(geometric_mean(whole))} in the geometric"
            f" mean, {_times(max(whole))} at most"
        )
    hand = [row.to_hand for row in found]
    yield (
        f"{geometric_mean(hand):.2f} times as long as by hand in the geometric mean,"
        f" {max(hand):.2f} at most"
    )
    behind = [row for row in found if row.best_peer and row.best_peer.median < NOISE]
    if behind:
        yield "behind a peer: " + "; ".join(map(said, behind))
    slow = [row for row in found if row.to_hand > NEAR]
    if slow:
        yield f"more than {NEAR} times as long as by hand: " + "; ".join(map(said, slow))
    reasons: dict[str, list[str]] = {}
    for row in found:
        for system, why in row.absent.items():
            reasons.setdefault(f"{system} ({why})", []).append(said(row))
    for reason, absent in sorted(reasons.items()):
        yield f"left out: {reason}: {'; '.join(absent)}"
