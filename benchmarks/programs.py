"""How long programs take: every workload by every system in turn, checked equal first.

Ratios are a peer's time over ours in the same round, so above 1 ours is ahead. Ours is the faster
of our programs for NumPy and for JAX; the former is what `by hand` and the floor are compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.machine import Rates, geometric_mean
from benchmarks.peers import SYSTEMS, our_jax_program
from benchmarks.recurrences import WORKLOADS as THROUGH_TIME
from benchmarks.timing import Spread, Times, alternating, seconds
from benchmarks.workloads import WORKLOADS, Workload

__all__ = ["Row", "rows", "show", "summary"]

Array = np.ndarray[Any, Any]
TOLERANCE = {"float64": 1e-9, "float32": 1e-4}
#: Peers are left out where they would form more entries than this on the way.
MOST_ENTRIES = 2e8
#: And where one call takes more seconds than this.
LONGEST = 10.0
#: Our program for NumPy, and the one for JAX, jitted: peers are held against the better one.
OURS, OURS_JAX, HAND = "wrt", "wrt, jax", "by hand"


@dataclass(frozen=True)
class Row:
    """One workload at one size."""

    name: str
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
        found = [self.ratios[s] for s in SYSTEMS if s in self.ratios]
        return min(found, key=lambda spread: spread.median, default=None)

    @property
    def to_hand(self) -> float:
        """Our time over the hand-written program's."""
        return self.hand.median

    @property
    def to_floor(self) -> float:
        """Our time over the floor."""
        return self.seconds[OURS] / self.floor

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
    """The workloads at their sizes, the last sizes left out where it has to be quick."""
    for work in (*WORKLOADS, *THROUGH_TIME):
        if only.lower() in work.name.lower():
            few = work.sizes[: max(1, len(work.sizes) - 1)][-1:] if quick else work.sizes
            yield from ((work, sizes) for sizes in few)


def rows(quick: bool, only: str, rates: Rates) -> Iterator[Row]:
    """The rows of the table, one after another."""
    for work, sizes in chosen(quick, only):
        yield measured(work, sizes, rates)


def ours(work: Workload, sizes: Mapping[str, int], values: Mapping[str, Array]) -> Any:
    """Our program with its arguments in order, as a function of nothing."""
    D = work.derivative()
    program = D.compile(sizes=sizes)
    given = [values[v.name] for v in D.arguments]
    return lambda: program.function(*given)


def measured(work: Workload, sizes: Mapping[str, int], rates: Rates) -> Row:
    """One row: results compared with the hand-written program's, then the times."""
    values = work.values(sizes)
    hand = work.hand(**values)
    programs: dict[str, Callable[[], object]] = {
        OURS: ours(work, sizes, values),
        HAND: lambda: work.hand(**values),
    }
    _equal(OURS, np.asarray(programs[OURS]()), hand, work)
    absent: dict[str, str] = {}
    for system, make in {OURS_JAX: our_jax_program, **SYSTEMS}.items():
        if system in SYSTEMS and work.peer_entries(sizes) > MOST_ENTRIES:
            absent[system] = "too large for it"
            continue
        try:
            run, array = make(work, values)
            _equal(system, array(run()), hand, work)
            took = seconds(run)
        except (ImportError, NotImplementedError, RuntimeError) as error:
            absent[system] = f"{type(error).__name__}: {error}"[:80]
            continue
        if took > LONGEST and system in SYSTEMS:
            absent[system] = f"more than {LONGEST:.0f} seconds"
            continue
        programs[system] = run
    times = alternating(programs)
    flops, entries = work.floor(sizes)
    return _row(work, sizes, times, rates.floor(flops, entries, hand.itemsize), absent)


def _row(
    work: Workload,
    sizes: Mapping[str, int],
    times: Times,
    floor: float,
    absent: Mapping[str, str],
) -> Row:
    mine = [name for name in (OURS, OURS_JAX) if name in times.rounds]
    best = min(mine, key=times.median)
    return Row(
        work.name,
        dict(sizes),
        work.dtype,
        best,
        times.ratio(OURS, HAND),
        {name: times.median(name) for name in times.rounds},
        {name: times.ratio(name, best) for name in SYSTEMS if name in times.rounds},
        floor,
        absent,
    )


def _equal(system: str, found: Array, wanted: Array, work: Workload) -> None:
    """Nothing is timed that is not the same."""
    scale = np.abs(wanted).max()
    if found.shape != wanted.shape:
        raise AssertionError(f"{work.name}: {system} gives {found.shape}, not {wanted.shape}")
    if not np.abs(found - wanted).max() <= TOLERANCE[work.dtype] * scale:
        raise AssertionError(f"{work.name}: {system} gives other numbers")


# Showing


def show(row: Row) -> str:
    """The row as a line of the table."""
    cells = [f"{said(row):<52}", f"{1e3 * row.seconds[OURS]:9.3f}"]
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


def heading() -> str:
    """The first line of the table."""
    systems = "".join(f"{name:>9}" for name in SYSTEMS)
    ends = f"{'  spread of best':<17}{'/hand':>8}{'/floor':>8}"
    return f"{'program':<52}{'ms':>9}{'ms, jax':>9}{systems}{ends}"


def _times(ratio: float) -> str:
    return f"{ratio:.2f}×" if ratio < 10 else f"{ratio:,.0f}×"


def summary(found: Sequence[Row]) -> list[str]:
    """What the table comes to."""
    best = [row.best_peer.median for row in found if row.best_peer]
    lines = [
        f"ahead of the best peer by {geometric_mean(best):.2f}× in the geometric mean,"
        f" {min(best):.2f}× at least"
    ]
    behind = [row for row in found if row.best_peer and row.best_peer.median < 0.95]
    slow = [row for row in found if row.to_hand > 1.25]
    if behind:
        lines.append("behind a peer: " + "; ".join(f"{r.name} {dict(r.sizes)}" for r in behind))
    if slow:
        lines.append(
            "behind 1.25 × by hand: " + "; ".join(f"{r.name} {dict(r.sizes)}" for r in slow)
        )
    absent = {f"{s}: {why}" for row in found for s, why in row.absent.items()}
    return [*lines, *(f"left out: {line}" for line in sorted(absent))]
