"""Deriving times and cold starts on this machine: medians of alternating rounds, with their spread.

The workloads take turns in every round, so that a busy moment hurts all of them alike. Nothing here
passes or fails; the table is for comparing one version with another on the same machine.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

#: Real questions with verified answers, which the tests ask too.
CASES = Path(__file__).parent.parent / "tests" / "data" / "cases_open.json"
ROUNDS = 7
CHAINS = (100, 1_000, 10_000)

QUESTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("W*x", ("W",)),
    ("tanh(W*s + U*x + b)", ("W",)),
    ("tanh(W*s + U*x + b)", ("s",)),
    ("A*X*B", ("X",)),
    ("x'*A*x", ("x", "x")),
    ("norm2(A*x - b)^2", ("x",)),
    ("softmax(W*x)", ("x",)),
    ("a'*inv(X)*b", ("X",)),
    ("logdet(X'*X)", ("X",)),
    ("sum(log(1 + exp(-y.*(X*w))))", ("w", "w")),
    ("norm2(T - U*V')^2", ("U", "U")),
)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternating(workloads: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """The times of every workload, one of each a round; the first round only warms up."""
    times: dict[str, list[float]] = {name: [] for name in workloads}
    for turn in range(ROUNDS + 1):
        for name, work in workloads.items():
            took = seconds(work)
            if turn:
                times[name].append(took)
    return times


def show(title: str, times: Mapping[str, list[float]]) -> None:
    print(f"\n{title:<58}{'median':>10}{'fastest':>10}{'slowest':>10}")
    for name, took in times.items():
        shown = (f"{1e3 * t:8.1f}ms" for t in (statistics.median(took), min(took), max(took)))
        print(f"  {name:<56}{''.join(shown)}")


def deriving() -> None:
    import wrt

    def derived(text: str, names: tuple[str, ...]) -> Callable[[], object]:
        return lambda: wrt.derivative(text, *names)

    def read(text: str, names: tuple[str, ...]) -> Callable[[], object]:
        def work() -> object:
            D = wrt.derivative(text, *names)
            return D.matrix or D.index

        return work

    def proved(text: str, names: tuple[str, ...]) -> Callable[[], object]:
        return lambda: wrt.derivative(text, *names).check()

    for title, kind in (
        ("reading, deriving, normal form", derived),
        ("the same, and the sentence", read),
        ("deriving, and the numerical proof", proved),
    ):
        show(title, alternating({f"{t}  by {', '.join(n)}": kind(t, n) for t, n in QUESTIONS}))


def cases() -> None:
    """Every case of the tests, from its text to its closed form: asked first, and asked again."""
    import wrt

    def answered(case: dict[str, Any]) -> Callable[[], object]:
        def work() -> object:
            symmetric = case["symmetric"] or "projected"
            shapes = case["shapes"]
            D = wrt.derivative(case["text"], *case["wrt"], shapes=shapes, symmetric=symmetric)
            return D.matrix or D.index

        return work

    works = {case["id"]: answered(case) for case in json.loads(CASES.read_text())}
    for title in ("asked first", "asked again"):
        times = sorted((seconds(work), name) for name, work in works.items())
        median = statistics.median(took for took, _ in times)
        slowest = ", ".join(f"{name} {1e3 * took:.0f}ms" for took, name in times[:-6:-1])
        print(
            f"\n{len(times)} cases, from text to closed form, {title}: median {1e3 * median:.1f}ms"
        )
        print(f"  slowest: {slowest}")


def chains() -> None:
    """The derivative of a chain of functions of a scalar, built in Python."""
    import wrt

    counter = iter(range(10**6))

    def chain(length: int) -> Callable[[], object]:
        def work() -> object:
            x = wrt.scalar(f"x{next(counter)}")  # a new name, so that nothing is remembered
            formula = x
            for _ in range(length):
                formula = wrt.tanh(formula)
            return wrt.derivative(formula, x)

        return work

    times = alternating({f"a chain of {n} functions": chain(n) for n in CHAINS})
    show("building and deriving", times)
    medians = [statistics.median(t) for t in times.values()]
    print(f"  time grows as length to the power {exponent(CHAINS, medians):.2f}")


def exponent(sizes: tuple[int, ...], times: list[float]) -> float:
    """The slope of the line through the logarithms."""
    xs, ys = [math.log(s) for s in sizes], [math.log(t) for t in times]
    return statistics.linear_regression(xs, ys).slope


def cold_starts() -> None:
    """New processes, each against an empty Python."""

    def process(*arguments: str) -> Callable[[], object]:
        command = [sys.executable, *arguments]
        return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    show(
        "cold starts",
        alternating(
            {
                "python -c pass": process("-c", "pass"),
                "import numpy": process("-c", "import numpy"),
                "import wrt": process("-c", "import wrt"),
                'wrt "W*x" W': process("-m", "wrt", "W*x", "W"),
            }
        ),
    )


def main() -> None:
    """Print the table."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} processors{load}; "
        f"medians of {ROUNDS} alternating rounds after one to warm up"
    )
    cold_starts()
    deriving()
    cases()
    chains()


if __name__ == "__main__":
    main()
