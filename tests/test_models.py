"""Programs of models as a person would write them: what is computed once, and how."""

from __future__ import annotations

import numpy as np
import pytest

import wrt
from wrt.expression.meaning import evaluate
from wrt.programs.plan import plan


def steps(formula, **sizes: int) -> list:
    """The steps that the results need."""
    made = plan(formula, sizes)
    return [made.all[at] for at in made.formed()]


def agrees(D: wrt.Derivative, **values) -> None:
    """The program computes what the formula says."""
    found, wanted = D.compile()(values), evaluate(D.formula, values)
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-13)


# Powers


def test_whole_powers_of_arrays_are_products_of_what_is_there():
    """Attraction and repulsion of pairs: 12 - 6."""
    f = "sum(M.*(R.^6 - R.^3))"
    both = wrt.gradients(f, "R", "M")
    made = steps(tuple(D.formula for D in both), n=300)
    assert {s.data for s in made if s.op == "power" and s.dims} == {2}
    # R², R³, R⁶ and R⁵: seven products entry by entry at most, beside that by M
    assert sum(s.op in ("power", "multiply") and bool(s.dims) for s in made) <= 9
    random = np.random.default_rng(0)
    values = {"R": random.normal(size=(4, 3)), "M": random.normal(size=(4, 3))}
    for D in both:
        agrees(D, **values)


@pytest.mark.parametrize("e", [3, 4, 5, 6, 7, 8, 11, 16, 17, -3, -4])
def test_powers_by_products_are_the_powers(e):
    x = np.array([-1.3, -0.2, 0.7, 2.0, 5.0])
    program = wrt.derivative(f"sum(x.^({e}))", "x").compile()
    np.testing.assert_allclose(program(x=x), e * x ** float(e - 1), rtol=3e-15)


@pytest.mark.parametrize("backend", ["numpy", "jax", "torch"])
def test_powers_of_one_and_a_half_are_by_roots_where_that_is_cheaper(backend):
    D = wrt.derivative("sum((x.^2 + y).^(5/2))", "x")
    text = D.source(backend)
    assert ("** 1.5" in text) == (backend != "numpy")
    x, y = np.array([0.0, 3.0, -1.0]), np.array([0.0, 1.0, 2.0])
    found = np.asarray(D.compile(backend)(x=x, y=y))
    np.testing.assert_allclose(found, 5 * x * (x**2 + y) ** 1.5, rtol=1e-6)


def test_a_sum_of_powers_is_a_product_of_two():
    assert "t1 @ t1" in wrt.derivative("sum(x.^4)*c", "c").source()
    text = wrt.derivative("sum(X.^3)*c", "c").source()
    assert "np.vdot(X, X ** 2)" in text or "np.vdot(X ** 2, X)" in text
