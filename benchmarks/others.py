"""Systems that derive formulas: each is asked in its own terms, |A x - b|² by x and DAGs.

A maker imports its system and gives the work. SymPy and tensorgrad have chains, sums and DAGs
of any length too, which they finish up to some.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

__all__ = [
    "CHAIN",
    "SHARED",
    "WIDE",
    "casadi",
    "dag_of_sympy",
    "dag_of_tensorgrad",
    "sympy",
    "tensorgrad",
    "ufl",
]

Work = Callable[[], object]
#: Formulas of any length.
CHAIN, WIDE, SHARED = "a chain", "a wide sum", "a DAG, each node used twice"
FRESH = count(1)


def sympy() -> Work:
    """Matrix expressions, of any size, unsimplified."""
    import sympy

    def work() -> object:
        n, m = sympy.symbols("n m", positive=True, integer=True)
        A = sympy.MatrixSymbol("A", n, m)
        x, b = sympy.MatrixSymbol("x", m, 1), sympy.MatrixSymbol("b", n, 1)
        r = A * x - b
        return (r.T * r).diff(x)

    return work


def casadi() -> Work:
    """A graph of fixed sizes, without a formula."""
    import casadi

    def work() -> object:
        A, b = casadi.MX.sym("A", 30, 20), casadi.MX.sym("b", 30)
        x = casadi.MX.sym("x", 20)
        return casadi.gradient(casadi.sumsqr(A @ x - b), x)

    return work


def ufl() -> Work:
    """Tensors of fixed sizes, unsimplified."""
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


def tensorgrad() -> Work:
    """Tensors with named edges, fully simplified."""
    import sympy
    import tensorgrad as tg

    def work() -> object:
        i, j = sympy.symbols("i j")
        A, x, b = tg.Variable("A", i, j), tg.Variable("x", j), tg.Variable("b", i)
        return tg.Derivative(tg.functions.frobenius2(A @ x - b), x).full_simplify()

    return work


# Formulas of any length, with names of their own each time: SymPy remembers what it has done


def dag_of_sympy(name: str) -> Callable[[int], object]:
    """A chain, a wide sum or a DAG of real scalars, differentiated by one of them."""
    import sympy

    def work(length: int) -> object:
        k = next(FRESH)
        x, a = sympy.symbols(f"x{k} a{k}", real=True)
        if name == WIDE:
            return sympy.Add(*(sympy.tanh(k * x) * a for k in range(2, length + 2))).diff(x)
        formula = x
        for _ in range(length):
            formula = sympy.tanh(formula) if name == CHAIN else sympy.sin(formula) * (formula + a)
        return formula.diff(x)

    return work


def dag_of_tensorgrad(name: str) -> Callable[[int], object]:
    """The same of vectors, whose functions act entry by entry, simplified once."""
    import sympy
    import tensorgrad as tg

    i = sympy.symbols("i")
    tanh = tg.functions.tanh

    def work(length: int) -> object:
        k = next(FRESH)
        x, a = tg.Variable(f"x{k}", i), tg.Variable(f"a{k}", i)
        if name == WIDE:
            terms = [tanh(x * k) * a for k in range(2, length + 2)]
            return tg.Derivative(tg.Sum(terms), x).simplify()
        formula = x
        for _ in range(length):
            formula = tanh(formula) if name == CHAIN else tanh(formula) * (formula + a)
        return tg.Derivative(formula, x).simplify()

    return work
