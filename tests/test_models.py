"""Programs of models as a person would write them: what is computed once, and how."""

from __future__ import annotations

import numpy as np
import pytest

import wrt
from wrt.expression.meaning import evaluate
from wrt.programs.costs import billed
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


# Softmax and its logarithm


@pytest.mark.parametrize("backend", ["numpy", "jax", "torch"])
@pytest.mark.parametrize("size", [1.0, 1e3, 1e10])
def test_softmax_its_logarithm_and_that_of_the_sum_have_one_exponential(backend, size):
    """A loss that weighs what is hard (focal): softmax and logsoftmax of the same rows."""
    D = wrt.derivative("-sum(Y.*(1 - softmax(X,2)).^2.*logsoftmax(X,2))", "X")
    text = D.source(backend)
    assert text.count("exp(") == 1
    assert text.count("softmaxes(") == 2
    random = np.random.default_rng(0)
    X, Y = size * random.integers(-3, 4, size=(5, 4)).astype(float), random.uniform(size=(5, 4))
    e = np.exp(X - X.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    q = X - X.max(1, keepdims=True) - np.log(e.sum(1, keepdims=True))
    by_q = Y * (2 * (1 - p) * p * q - (1 - p) ** 2)
    wanted = by_q - p * by_q.sum(1, keepdims=True)
    found = np.asarray(D.compile(backend)(X=X, Y=Y))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 if backend == "jax" else 1e-14)


def test_results_of_a_value_and_its_gradient_are_found_together():
    both = wrt.gradients("logsumexp(A*x)", "x", ("x", "x"))
    text = both.source(value=True)
    assert text.count("np.exp(") == 1
    # of a matrix the sum over all entries is none along rows
    assert "softmaxes" not in wrt.gradients("logsumexp(X) + sum(softmax(X,2).*Y)", "X").source()


# Brackets


@pytest.mark.parametrize("names", ["ABKR", "ECKD", "QRBK", "LMPZ", "VSGH", "TUDF"])
def test_what_things_are_called_decides_no_order(names):
    """Terms in another order have the same factors in common, also where one has them inside."""
    W1, W2, X, Y = names
    f = f"-sum({Y}.*logsoftmax(tanh({X}*{W1} + ones(N)*b')*{W2} + ones(N)*c',2))/N"
    shapes = {W1: "m p", W2: "p n", X: "N m", Y: "N n", "b": "p", "c": "n"}
    D = wrt.derivative(f, W1, W1, shapes=shapes)
    N, m, p, n = 1000, 20, 40, 30
    made = plan(D.formula, {"N": N, "m": m, "p": p, "n": n})
    found = billed(made.steps, made.results, {"N": N, "m": m, "p": p, "n": n}).total.flops
    assert found < 1.2 * 2 * N * (p * p * n + p * p * m * m)


def test_softmax_and_its_logarithm_of_complex_numbers():
    """Of which none is the largest: each logarithm stays on its branch."""
    D = wrt.derivative("trace(logsoftmax(G,1)*softmax(G,1))", "G", shapes={"G": "m m complex"})
    assert "softmaxes" not in D.source()
    assert D.check().passed
    random = np.random.default_rng(5)
    for _ in range(5):
        G = random.normal(size=(3, 3)) + 4j * random.normal(size=(3, 3))
        found, wanted = D(G=G), evaluate(D.formula, {"G": G})
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10)
