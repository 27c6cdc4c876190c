"""How long until there is a formula: reading, deriving, simplifying, saying; peers where they can.

SymPy, CasADi, UFL and tensorgrad are asked what they can be asked; each answers in its own terms
(CasADi at fixed sizes and without a formula, UFL without simplifying), which the table names.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.timing import ROUNDS, alternating, seconds, table

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


# Peers: |A x - b|² by x, each in its own terms


def _peers() -> dict[str, Work]:
    works: dict[str, Work] = {"wrt: reading, deriving, sentence": read("norm2(A*x - b)^2", ("x",))}
    makers = {
        "SymPy: matrix expressions, unsimplified": _sympy,
        "CasADi: A 30 × 20, a graph without a formula": _casadi,
        "UFL: A 30 × 20, unsimplified": _ufl,
        "tensorgrad: simplified": _tensorgrad,
    }
    for name, make in makers.items():
        try:
            work = make()
            work()
        except Exception as error:  # a peer that is not there or fails is named
            print(f"left out: {name} ({type(error).__name__}: {error})"[:100])
            continue
        works[name] = work
    return works


def _sympy() -> Work:
    import sympy

    def work() -> object:
        n, m = sympy.symbols("n m", positive=True, integer=True)
        A = sympy.MatrixSymbol("A", n, m)
        x, b = sympy.MatrixSymbol("x", m, 1), sympy.MatrixSymbol("b", n, 1)
        r = A * x - b
        return (r.T * r).diff(x)

    return work


def _casadi() -> Work:
    import casadi

    def work() -> object:
        A, b = casadi.MX.sym("A", 30, 20), casadi.MX.sym("b", 30)
        x = casadi.MX.sym("x", 20)
        return casadi.gradient(casadi.sumsqr(A @ x - b), x)

    return work


def _ufl() -> Work:
    import ufl

    def work() -> object:
        cell = ufl.Mesh(_element(ufl))
        A = ufl.Constant(cell, shape=(30, 20))
        b = ufl.Constant(cell, shape=(30,))
        x = ufl.variable(ufl.Constant(cell, shape=(20,)))
        r = ufl.dot(A, x) - b
        return ufl.algorithms.apply_derivatives.apply_derivatives(
            ufl.algorithms.apply_algebra_lowering.apply_algebra_lowering(ufl.diff(ufl.dot(r, r), x))
        )

    return work


def _element(ufl: Any) -> Any:
    from ufl.pullback import identity_pullback
    from ufl.sobolevspace import H1

    class Linear(ufl.finiteelement.AbstractFiniteElement):  # type: ignore[misc]
        """The coordinates of a mesh, which UFL asks for though nothing here uses them."""

        def __init__(self) -> None:
            self._cell = ufl.triangle

        def __repr__(self) -> str:
            return "Linear()"

        def __str__(self) -> str:
            return "Linear()"

        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Linear)

        sobolev_space = H1
        pullback = identity_pullback
        embedded_superdegree = embedded_subdegree = 1
        polyset_type = None
        cell = ufl.triangle
        reference_value_shape = (2,)
        sub_elements: tuple[Any, ...] = ()

    return Linear()


def _tensorgrad() -> Work:
    import sympy
    import tensorgrad as tg

    def work() -> object:
        i, j = sympy.symbols("i j")
        A, x, b = tg.Variable("A", i, j), tg.Variable("x", j), tg.Variable("b", i)
        return tg.Derivative(tg.functions.frobenius2(A @ x - b), x).full_simplify()

    return work
