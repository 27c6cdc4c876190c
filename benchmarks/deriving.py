"""How long until there is a formula: reading, deriving, simplifying, saying; peers where they can.

SymPy, CasADi, UFL and tensorgrad are asked what they can be asked; each answers in its own terms
(CasADi at fixed sizes and without a formula, UFL without simplifying), which the table names. The
programs of the other tables are asked for with names that nobody has met.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import others
from benchmarks.formulas import Formula
from benchmarks.timing import ROUNDS, alternating, seconds, table
from benchmarks.workloads import WORKLOADS
from benchmarks.workloads.products import ALONG, PRODUCTS

__all__ = ["measure"]

#: Real questions with verified answers, which the tests ask too.
CASES = Path(__file__).parent.parent / "tests" / "data" / "cases_open.json"

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

Work = Callable[[], object]


def measure(quick: bool) -> dict[str, Any]:
    """Questions, the same with peers, and every case of the tests."""
    rounds = 3 if quick else ROUNDS
    found: dict[str, Any] = {}
    kinds = {"reading, deriving, normal form": derived, "the same, and the sentence": read}
    kinds["deriving, planning, emitting"] = emitted
    if not quick:
        kinds["deriving, and the numerical proof"] = proved
    for title, kind in kinds.items():
        works = {f"{t}  by {', '.join(n)}": kind(t, n) for t, n in QUESTIONS}
        found[title] = table(title, alternating(works, rounds))
    works = {work.name: emitted_anew(work) for work in formulas(quick)}
    title = "every program of the tables: deriving, planning, emitting"
    found[title] = table(title, alternating(works, rounds))
    works = {work.name: along_anew(work.work) for work in PRODUCTS if work.way is ALONG}
    title = "every product with a direction V: deriving, planning, emitting"
    found[title] = table(title, alternating(works, rounds))
    found["peers"] = table("least squares, gradient by x", alternating(_peers(), rounds))
    found["cases"] = cases()
    return found


def derived(text: str, names: tuple[str, ...]) -> Work:
    import wrt

    return lambda: wrt.derivative(text, *names)


def read(text: str, names: tuple[str, ...]) -> Work:
    import wrt

    def work() -> object:
        D = wrt.derivative(text, *names)
        return D.matrix or D.index

    return work


def emitted(text: str, names: tuple[str, ...]) -> Work:
    import wrt

    return lambda: wrt.derivative(text, *names).source()


def formulas(quick: bool) -> Iterator[Formula]:
    """The workloads that are formulas, in the order of their tables."""
    for work in WORKLOADS:
        if isinstance(work, Formula) and not (quick and work.quick is None):
            yield work


def emitted_anew(work: Formula) -> Work:
    return lambda: work.asked_anew().source()


def along_anew(work: Formula) -> Work:
    return lambda: work.asked_anew().source(direction="V")


def proved(text: str, names: tuple[str, ...]) -> Work:
    import wrt

    return lambda: wrt.derivative(text, *names).check()


def cases() -> dict[str, dict[str, float]]:
    """Every case of the tests, from its text to its closed form: asked first, and asked again."""
    import wrt

    def answered(case: Mapping[str, Any]) -> Work:
        def work() -> object:
            symmetric = case["symmetric"] or "projected"
            shapes = case["shapes"]
            D = wrt.derivative(case["text"], *case["wrt"], shapes=shapes, symmetric=symmetric)
            return D.matrix or D.index

        return work

    works = {case["id"]: answered(case) for case in json.loads(CASES.read_text())}
    found = {}
    for title in ("asked first", "asked again"):
        times = sorted((seconds(work), name) for name, work in works.items())
        median = statistics.median(took for took, _ in times)
        slowest = ", ".join(f"{name} {1e3 * took:.0f}ms" for took, name in times[:-6:-1])
        print(
            f"\n{len(times)} cases, from text to closed form, {title}: median {1e3 * median:.1f}ms"
        )
        print(f"  slowest: {slowest}")
        found[title] = {"median": median, "slowest": times[-1][0]}
    return found


def _peers() -> dict[str, Work]:
    """|A x - b|² by x, each system in its own terms; one that is not there or fails is named."""
    question = "norm2(A*x - b)^2", ("x",)
    works: dict[str, Work] = {
        "wrt: reading, deriving, normal form": derived(*question),
        "wrt: reading, deriving, sentence": read(*question),
    }
    makers = {
        "SymPy: matrix expressions, unsimplified": others.sympy,
        "CasADi: A 30 × 20, a graph without a formula": others.casadi,
        "UFL: A 30 × 20, unsimplified": others.ufl,
        "tensorgrad: simplified": others.tensorgrad,
    }
    for name, make in makers.items():
        try:
            work = make()
            work()
        except Exception as error:
            print(f"left out: {name} ({type(error).__name__}: {error})"[:100])
            continue
        works[name] = work
    return works
