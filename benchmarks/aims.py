"""What the programs and the answers should reach, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.machine import geometric_mean
from benchmarks.rows import NEAR, NOISE
from benchmarks.tasks import OURS

__all__ = ["Aim", "aims", "told"]

Found = Mapping[str, Any]
Rows = Sequence[Found]


class Aim(NamedTuple):
    """Something asked for, what was measured of it, and where it was missed."""

    asked: str
    measured: str
    missed: str = ""
    met: bool = True


#: How many rows are named where an aim is missed.
MOST = 5
#: Nodes of a formula that is derived within a second.
MANY = 10_000
#: Seconds: what the door of a checked function takes that a function by hand does not have.
A_CALL = 5e-6
#: How many times ahead of jitted JAX a program was found to come by hand, on another machine:
#: the row, its sizes, whose column, how many times.
BY_HAND: Sequence[tuple[str, Mapping[str, int], str, float]] = (
    ("logistic Hessian", {"n": 1000}, "jax", 3.6),
    ("logistic Hessian", {"n": 2000}, "jax", 4.1),
    ("quadratic Hessian", {"n": 2048}, "jax", 14),
    ("factorisation Hessian", {"n": 200}, "jax", 81),
    ("factorisation Hessian · V", {"n": 200}, "dense", 40_000),
    ("ten-layer net, first-layer Hessian", {"n": 80}, "jax", 1.7),
    ("ten-layer net, first-layer Hessian · V", {"n": 80}, "dense", 526),
    ("RNN, last state by W: Jacobian", {"n": 64, "T": 100}, "jax", 3.7),
    ("RNN, last state by W: Jacobian", {"n": 128, "T": 200}, "jax", 2.8),
    ("RNN, last state by W: Jacobian", {"n": 256, "T": 256}, "jax", 6.5),
    ("RNN, last state by W: factors", {"n": 64, "T": 100}, "dense", 4.8),
    ("RNN, last state by W: factors", {"n": 128, "T": 200}, "dense", 4.4),
    ("RNN, last state by W: factors", {"n": 256, "T": 256}, "dense", 12.8),
)


def aims(found: Found) -> Iterator[Aim]:
    """Everything asked for that was measured."""
    rows = found.get("programs", {}).get("rows", ())
    yield from (aim for make in (_best_peer, _dense, _hand, _whole) for aim in make(rows))
    yield from _singly(rows)
    yield from _deriving(found.get("deriving", {}))
    yield from _growth(found.get("growth", {}))
    yield from _starts(found.get("starts", {}))


# Programs


def _best_peer(rows: Rows) -> Iterator[Aim]:
    with_peers = [row for row in rows if row["best_peer"]]
    if with_peers:
        behind = [row for row in with_peers if row["best_peer"] < NOISE]
        yield Aim(
            f"every program as fast as the best peer's ({NOISE}× is noise)",
            f"{len(with_peers) - len(behind)} of {len(with_peers)} rows",
            _worst({f"{_said(row)}: {row['best_peer']:.2f}×": row["best_peer"] for row in behind}),
            not behind,
        )


def _dense(rows: Rows) -> Iterator[Aim]:
    ratios = [row["best_peer"] for row in rows if row["group"] == "dense" and row["best_peer"]]
    if ratios:
        mean = geometric_mean(ratios)
        yield Aim(
            "dense answers 3× ahead of the best peer in the geometric mean",
            f"{mean:.2f}×",
            met=mean >= 3,
        )


def _hand(rows: Rows) -> Iterator[Aim]:
    if rows:
        slow = [row for row in rows if row["to_hand"] > NEAR]
        far = [row for row in slow if _beyond(row) > A_CALL]
        within = f"; {len(rows) - len(far)} within that and {1e6 * A_CALL:.0f} µs" if slow else ""
        yield Aim(
            f"every NumPy program within {NEAR} times the one by hand",
            f"{len(rows) - len(slow)} of {len(rows)} rows{within}",
            _worst({f"{_said(row)}: {row['to_hand']:.2f}": -row["to_hand"] for row in slow}),
            not slow,
        )


def _beyond(row: Found) -> float:
    """The seconds beyond what is near to the program by hand."""
    took: float = row["seconds"][OURS] * (1 - NEAR / row["to_hand"])
    return took


def _whole(rows: Rows) -> Iterator[Aim]:
    ratios = [row["ratios"]["dense"]["median"] for row in rows if "dense" in row["ratios"]]
    if ratios:
        yield Aim(
            "where structure is kept, orders of magnitude ahead of the whole derivative",
            f"{geometric_mean(ratios):,.0f}× in the geometric mean, {max(ratios):,.0f}× at most",
            met=geometric_mean(ratios) >= 10,
        )


def _singly(rows: Rows) -> Iterator[Aim]:
    for name, sizes, system, wanted in BY_HAND:
        for row in rows:
            same = row["name"] == name and sizes.items() <= row["sizes"].items()
            if same and system in row["ratios"]:
                reached = row["ratios"][system]["median"]
                floor = reached * row["seconds"][row["best"]] / row["floor"]
                what = "jitted JAX" if system == "jax" else "the whole by jitted JAX"
                yield Aim(
                    f"{_said(row)}: {wanted:,g}× ahead of {what}",
                    _ahead(reached),
                    met=reached >= NOISE * wanted,
                    missed=f"the floor is {_ahead(floor)} ahead",
                )


def _ahead(ratio: float) -> str:
    return f"{ratio:.2f}×" if ratio < 100 else f"{ratio:,.0f}×"


def _worst(missed: Mapping[str, float]) -> str:
    """The worst of the rows; all of them are named below the tables."""
    found = sorted(missed, key=missed.__getitem__)
    more = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
    return "; ".join([*found[:MOST], *more])


def _said(row: Found) -> str:
    return f"{row['name']} ({', '.join(f'{n} = {s:,}' for n, s in row['sizes'].items())})"


# Deriving


def _deriving(found: Found) -> Iterator[Aim]:
    peers = found.get("peers", {})
    ours = [one["median"] for name, one in peers.items() if name.startswith("wrt")]
    theirs = {n: one["median"] for n, one in peers.items() if not n.startswith("wrt")}
    if ours and theirs:
        python = {n: t for n, t in theirs.items() if not n.startswith("CasADi")}  # that is C++
        first = [n for n, t in python.items() if NOISE * min(ours) > t]
        yield Aim(
            "a formula derived sooner than by every system of Python's",
            f"{1e3 * min(ours):.2f} ms beside {_listed(theirs)}",
            "; ".join(first),
            not first,
        )
    if "cases" in found:
        median = found["cases"]["asked first"]["median"]
        yield Aim(
            "the questions of the tests answered in 10 ms, the median",
            f"{1e3 * median:.1f} ms",
            met=median < 0.01,
        )


def _listed(times: Mapping[str, float]) -> str:
    return ", ".join(f"{n.partition(':')[0]} {1e3 * t:.2f}" for n, t in times.items())


def _growth(found: Found) -> Iterator[Aim]:
    for name, curve in found.items():
        if name.startswith("deriving ") and MANY in curve["sizes"]:
            took = curve["seconds"][curve["sizes"].index(MANY)]
            yield Aim(
                f"{name}: linear in its nodes, {MANY:,} of them within a second",
                f"to the power {curve['exponent']:.2f}, {took:.2f} s",
                met=curve["exponent"] < 1.15 and took < 1,
            )


def _starts(found: Found) -> Iterator[Aim]:
    for name, most in (("import wrt", 0.1), ('wrt "W*x" W', 0.3)):
        if name in found:
            took = found[name]["median"]
            yield Aim(
                f"`{name}` in a new process within {most} s", f"{took:.2f} s", met=took < most
            )


def told(found: Found) -> Iterable[str]:
    """The section of the page."""
    reached = list(aims(found))
    if not reached:
        return
    yield from ("## What was asked for, and what is reached", "", "| asked for | measured | |")
    yield "|---|---|---|"
    for aim in reached:
        verdict = "yes" if aim.met else f"no: {aim.missed}" if aim.missed else "no"
        cells = [aim.asked, aim.measured, verdict]
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""
    if any(f"{name} (" in aim.asked for aim in reached for name, *_ in BY_HAND):
        yield (
            "How many times ahead single programs should come was found by hand on another"
            " machine, in double precision (`x'*A*x` in single); the floor, in the tables below, is"
            " what no program of these operations can pass."
        )
        yield ""
