"""How deriving grows with a formula's nodes, and a program's time with its sizes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np

from benchmarks.timing import alternating, table

__all__ = ["exponent", "measure"]

LENGTHS = (100, 1_000, 10_000)
FRESH = count()  # a new name each time, so that nothing is remembered


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


DAGS: dict[str, Callable[[int], object]] = {
    "a chain": chain,
    "a wide sum": wide,
    "a DAG, each node used twice": shared,
}


def exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """The slope of the line through the logarithms."""
    return statistics.linear_regression(
        [math.log(s) for s in sizes], [math.log(t) for t in times]
    ).slope


def measure(quick: bool) -> dict[str, Any]:
    """Curves with their fitted exponents."""
    lengths = LENGTHS[:2] if quick else LENGTHS
    found = {name: _curve(name, make, lengths) for name, make in DAGS.items()}
    found["logistic Hessian, by n"] = _program_curve((100, 200, 400, 800))
    return found


def _curve(name: str, make: Callable[[int], object], lengths: Sequence[int]) -> dict[str, Any]:
    works = {f"{name} of {n:,} nodes": (lambda n=n: make(n)) for n in lengths}
    times = alternating(works, 3)
    return _fitted(f"deriving {name}", lengths, table(f"deriving {name}", times))


def _program_curve(sizes: Sequence[int]) -> dict[str, Any]:
    import wrt

    D = wrt.derivative("sum(log(1+exp(-y.*(X*w))))", "w", "w")
    program = D.compile()
    rng = np.random.default_rng(3)

    def at(n: int) -> Callable[[], object]:
        values = {
            "X": rng.standard_normal((2 * n, n)),
            "y": rng.standard_normal(2 * n),
            "w": rng.standard_normal(n) / n,
        }
        given = [values[v.name] for v in D.arguments]
        return lambda: program.function(*given)

    times = alternating({f"logistic Hessian of n = {n}": at(n) for n in sizes})
    return _fitted("running", sizes, table("running", times))


def _fitted(title: str, sizes: Sequence[int], found: dict[str, Any]) -> dict[str, Any]:
    medians = [one["median"] for one in found.values()]
    slope = exponent(sizes, medians)
    print(f"  {title}: time grows as the size to the power {slope:.2f}")
    return {"sizes": list(sizes), "seconds": medians, "exponent": slope}
