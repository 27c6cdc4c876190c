"""How deriving grows with a formula's nodes, and a program's time with its sizes."""

from __future__ import annotations

import math
import signal
import statistics
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from benchmarks import others
from benchmarks.others import CHAIN, SHARED, WIDE
from benchmarks.tasks import OURS, Workload
from benchmarks.timing import alternating, seconds, table
from benchmarks.workloads import WORKLOADS

__all__ = ["exponent", "fitted", "measure"]

NODES = (100, 1_000, 10_000, 50_000)
#: The nodes of a function of the last one, of a term of the sum, of a step of the DAG.
OF_A_STEP = {CHAIN: 1, WIDE: 5, SHARED: 3}
#: Steps of a net that is written out.
UNROLLED = (6, 12, 24, 48)
#: Peers go on to longer formulas until one takes this many seconds, or fails.
LIMIT = 5.0
PEER_NODES = (10, 30, 100, 300, 1_000, 3_000, 10_000)
FRESH = count()  # a new name each time, so that nothing is remembered

Curve = dict[str, Any]


def chain(length: int) -> object:
    """The derivative of functions of functions of a scalar."""
    import wrt

    x = wrt.scalar(f"x{next(FRESH)}")
    formula = x
    for _ in range(length):
        formula = wrt.tanh(formula)
    return wrt.derivative(formula, x)


def wide(length: int) -> object:
    """The gradient of a sum of many different terms."""
    import wrt

    x, a = (wrt.vector(f"{c}{next(FRESH)}", "n") for c in "xa")
    formula = wrt.sum(x)
    for k in range(length):
        formula = formula + wrt.sum(wrt.tanh(x * (k + 2)) * a)
    return wrt.derivative(formula, x)


def shared(length: int) -> object:
    """Every step uses the last one twice: 2ⁿ paths, n nodes."""
    import wrt

    x, a = (wrt.scalar(f"{c}{next(FRESH)}") for c in "xa")
    formula = wrt.sin(x)
    for _ in range(length):
        formula = wrt.sin(formula) * (formula + a)
    return wrt.derivative(formula, x)


def unrolled(steps: int) -> object:
    """`ds_T/dW` of a recurrent net whose steps are written out, and its program."""
    import wrt

    k = next(FRESH)
    W, U = (wrt.matrix(f"{c}{k}", "n n") for c in "WU")
    s = wrt.vector(f"s{k}", "n")
    for t in range(steps):
        s = wrt.tanh(W @ s + U @ wrt.vector(f"x{k}y{t}", "n"))
    return wrt.derivative(s, W).source()


DAGS: Mapping[str, Callable[[int], object]] = {CHAIN: chain, WIDE: wide, SHARED: shared}


def _of(name: str, make: Callable[[int], object]) -> Callable[[int], object]:
    """A formula by its nodes instead of by its steps."""
    return lambda nodes: make(nodes // OF_A_STEP[name])


def exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """The slope of the line through the logarithms."""
    return statistics.linear_regression(
        [math.log(s) for s in sizes], [math.log(t) for t in times]
    ).slope


def measure(quick: bool) -> dict[str, Curve]:
    """Curves with their fitted exponents."""
    nodes = NODES[:2] if quick else NODES
    found = {
        f"deriving {name}": _curve(name, _of(name, make), nodes) for name, make in DAGS.items()
    }
    steps = UNROLLED[:2] if quick else UNROLLED
    name = "a net of T steps written out, and its program"
    found[f"deriving {name}"] = _curve(name, unrolled, steps)
    for system, dag in {
        "SymPy": others.dag_of_sympy,
        "tensorgrad": others.dag_of_tensorgrad,
    }.items():
        for name in DAGS:
            curve = _of_peer(f"{system}: {name}", dag, name, 1.0 if quick else LIMIT)
            if curve:
                found[f"{system}, {name}"] = curve
    for name, sizes in PROGRAMS.items():
        found[f"running {name}"] = _program_curve(name, sizes[:2] if quick else sizes)
    return found


def _curve(name: str, make: Callable[[int], object], lengths: Sequence[int]) -> Curve:
    works = {f"{name}: {n:,}": (lambda n=n: make(n)) for n in lengths}
    return _fitted(lengths, table(f"deriving {name}", alternating(works, 3)))


def _fitted(sizes: Sequence[int], found: Mapping[str, Mapping[str, float]]) -> Curve:
    return _told(sizes, [one["median"] for one in found.values()])


def _told(sizes: Sequence[int], medians: Sequence[float], end: str = "") -> Curve:
    slope = fitted(sizes, medians)
    if slope is not None:
        print(f"  time grows as the size to the power {slope:.2f}")
    if end:
        print(f"  {end}")
    return {"sizes": list(sizes), "seconds": list(medians), "exponent": slope, "end": end}


def fitted(sizes: Sequence[int], medians: Sequence[float]) -> float | None:
    """The exponent of the larger sizes, more than half of them: of the others fixed costs are a
    part.
    """
    first = (len(sizes) - 1) // 2
    return exponent(sizes[first:], medians[first:]) if len(sizes) > 1 else None


# Peers, as far as they come


class Late(Exception):
    """The limit is over."""


def limited(work: Callable[[], object], limit: float) -> float:
    """How long work takes; Late where it would be longer than the limit."""

    def stop(*_: object) -> None:
        raise Late

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit, 0.5)  # again: where it rises may swallow it
    try:
        return seconds(work)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _of_peer(
    title: str, dag: Callable[[str], Callable[[int], object]], name: str, limit: float
) -> Curve | None:
    """A peer's curve, until it takes too long or fails."""
    if not hasattr(signal, "setitimer"):
        return None
    sizes, medians, end = [], [], ""
    try:
        make = _of(name, dag(name))
        limited(lambda: make(10), 10 * limit)
    except Exception as error:
        print(f"left out: {title} ({type(error).__name__}: {error})"[:100])
        return None
    print(f"\n{title}")
    for length in PEER_NODES:
        try:
            took = [limited(lambda n=length: make(n), limit)]
            if took[0] < limit / 10:
                took += [limited(lambda n=length: make(n), limit) for _ in range(2)]
        except Late:
            end = f"{length:,}: more than {limit:.0f} s"
            break
        except Exception as error:
            end = f"{length:,}: {type(error).__name__}"
            break
        sizes.append(length)
        medians.append(statistics.median(took))
        print(f"  {length:<56,}{1e3 * medians[-1]:8.2f}ms", flush=True)
    return _told(sizes, medians, end)


# Programs


#: Our programs for NumPy, at sizes of one number; the rest of a workload's sizes stays.
PROGRAMS: Mapping[str, tuple[Mapping[str, int], ...]] = {
    "logistic Hessian": tuple({"N": 2 * n, "n": n} for n in (100, 200, 400, 800)),
    "factorisation, a Newton step": tuple({"n": n, "k": 10} for n in (125, 250, 500, 1000)),
    "RNN, loss by W: gradient": tuple({"n": 64, "T": T} for T in (250, 500, 1000, 2000)),
    "LSTM, loss by its weights: gradients": tuple(
        {"n": 64, "T": T} for T in (250, 500, 1000, 2000)
    ),
    "RNN, last state by W: Jacobian": tuple({"n": 32, "T": T} for T in (250, 500, 1000, 2000)),
}


def _workload(name: str) -> Workload:
    return next(work for work in WORKLOADS if work.name == name)


def _program_curve(name: str, points: Sequence[Mapping[str, int]]) -> Curve:
    """The curve against the size that changes."""
    work = _workload(name)
    varied = next(d for d in reversed(points[0]) if len({p[d] for p in points}) > 1)
    runs = {
        ", ".join(f"{d} = {k}" for d, k in point.items()): work.task(point).ours[OURS]().run
        for point in points
    }
    found = table(f"running {name}", alternating(runs))
    return _fitted([point[varied] for point in points], found)
