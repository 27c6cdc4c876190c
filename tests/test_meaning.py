"""The meaning of every kind of node against NumPy written by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from wrt.errors import TooLarge, ValueMistake
from wrt.expression import build
from wrt.expression.coefficient import IMAGINARY, ONE, PI, Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.function import Function, undefined
from wrt.expression.meaning import evaluate, library, measured, stand_in
from wrt.expression.nodes import (
    Apply,
    BoundedSum,
    Constant,
    Einsum,
    Pattern,
    Relation,
    Result,
    Variable,
)

n, m, p = map(Dimension.of, "nmp")
RNG = np.random.default_rng(0)
A0, B0, x0, y0 = (RNG.normal(size=s) for s in [(3, 4), (4, 2), (4,), (3,)])
T0, S0 = RNG.normal(size=(3, 4, 2)), RNG.normal(size=(3, 3))
A, B, x, y = (Variable(*v) for v in [("A", (n, m)), ("B", (m, p)), ("x", (m,)), ("y", (n,))])
T, S, c, k = (Variable(*v) for v in [("T", (n, m, p)), ("S", (n, n)), ("c", ()), ("k", ())])
VALUES = {"A": A0, "B": B0, "x": x0, "y": y0, "T": T0, "S": S0, "c": np.asarray(1.5)}
SIZES = {"n": 3, "m": 4, "p": 2}


def means(node, expected, **more) -> None:
    got = evaluate(node, {**VALUES, **more}, SIZES)
    assert got.shape == np.shape(expected) == tuple(d.size(SIZES) for d in node.dims)
    np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-13)


# Products


def test_products_of_matrices_and_vectors() -> None:
    means(A @ x, A0 @ x0)
    means(A @ B, A0 @ B0)
    means(y @ A @ x, y0 @ A0 @ x0)
    means(T @ Variable("z", (p,)), T0 @ [1.0, 2.0], z=np.array([1.0, 2.0]))
    means(A.T, A0.T)
    means(build.transpose(T, (2, 0, 1)), T0.transpose(2, 0, 1))


def test_sums_over_what_the_output_lacks() -> None:
    means(build.einsum("ij->", A), A0.sum())
    means(build.einsum("ij->j", A), A0.sum(0))
    means(build.einsum("ii->", S), np.trace(S0))
    means(build.einsum("ii->i", S), np.diag(S0))
    means(build.einsum("ijk,jk->i", T, B), np.einsum("ijk,jk->i", T0, B0))


def test_a_repeated_output_index_is_a_diagonal() -> None:
    means(build.einsum("i->ii", x), np.diag(x0))
    means(build.identity(m), np.eye(4))
    expected = np.zeros((3, 3, 4))
    for i in range(3):
        expected[i, i] = A0[i]
    means(build.einsum("ij->iij", A), expected)
    thrice = np.zeros((4, 4, 4))
    thrice[range(4), range(4), range(4)] = x0
    means(build.einsum("i->iii", x), thrice)
    means(build.einsum("ii->ii", S), np.diag(np.diag(S0)))


def test_an_output_index_without_a_factor_repeats() -> None:
    means(build.ones((n, m)), np.ones((3, 4)))
    means(build.zeros((n, p)), np.zeros((3, 2)))
    means(build.einsum("i->ij", y, dims={"j": m}), np.repeat(y0[:, None], 4, 1))
    means(build.product(ONE, (), (), (n,)), 3.0)  # the sum of ones


def test_exponents_are_entry_by_entry() -> None:
    positive = np.abs(A0) + 0.1
    for exponent in (2, -1, 3, Fraction(1, 2), Fraction(-1, 2), Fraction(2, 3)):
        means(A**exponent, positive ** float(exponent), A=positive)
    product = Einsum(ONE, ((A, -2, (0, 1)), (x, 1, (1,))), (0,), (n, m))
    means(product, (A0**-2.0) @ x0)


def test_an_even_root_of_a_negative_number_is_not_a_number() -> None:
    assert np.isnan(evaluate(c ** Fraction(1, 2), {"c": np.asarray(-1.0)}))


def test_numbers() -> None:
    means(Constant(PI), np.pi)
    means(Constant(Coefficient.of(n) ** Fraction(1, 2)), 3**0.5)
    means(Constant(IMAGINARY), 1j)
    means(Einsum(Coefficient.of(n * m + 1), ((x, 1, (0,)),), (0,), (m,)), 13 * x0)
    assert np.isnan(evaluate(Constant(Coefficient.of(n - 3) ** -1), {}, SIZES))


# Patterns


def test_patterns() -> None:
    i, j = np.indices((3, 4))
    shifted = Relation(((0, 1), (1, -1)), Dimension.of(1))
    means(Pattern((n, m), [shifted]), (i - j + 1 == 0) * 1.0)
    means(Pattern((n, m), [Relation(((0, 1), (1, -1)), Dimension.of(0), ">=")]), np.tri(3, 4))
    both = [Relation(((0, 1),), Dimension.of(-1)), Relation(((1, 2),), Dimension.of(-3), ">=")]
    means(Pattern((n, m), both), ((i == 1) & (2 * j >= 3)) * 1.0)
    means(build.unit(n, n - 1), [0, 0, 1])
    a, b, d = np.indices((3, 3, 3))
    toeplitz = Relation(((0, 1), (1, -1), (2, 1)), Dimension.of(0))
    means(Pattern((n, n, n), [toeplitz]), (a - b + d == 0) * 1.0)


def test_entries_and_slices() -> None:
    means(A[1], A0[1])
    means(A[-1, 2], A0[-1, 2])
    means(T[..., 1], T0[..., 1])
    means(A[1:, :2], A0[1:, :2])
    means(A[:, 1:-1], A0[:, 1:-1])


# Sums, ranges, shapes


def test_sums() -> None:
    means(A + 2 * A - 1, 3 * A0 - 1)
    means(A + x, A0 + x0)
    means(A + c, A0 + 1.5)


def test_sums_over_a_named_range() -> None:
    r = Variable("r", ())
    low, high = build.number(0), c + build.number(Fraction(3, 2))
    means(BoundedSum("sum", r, low, high, r * A), 6 * A0)
    means(BoundedSum("sum", r, build.number(1), build.number(0), r * A), 0 * A0)
    means(BoundedSum("prod", r, build.number(1), build.number(4), r + r), 384.0)
    inner = BoundedSum("sum", k, build.number(1), r, k * r)
    means(BoundedSum("sum", r, build.number(1), build.number(3), inner), 1 + 2 * 3 + 3 * 6)


def test_a_product_over_a_range_has_its_last_factor_leftmost() -> None:
    r = Variable("r", ())
    body = build.add(S, build.multiply(r, build.einsum("ij->ji", S)))
    expected = np.eye(3)
    for j in (1, 2, 3):
        expected = (S0 + j * S0.T) @ expected
    means(BoundedSum("prod", r, build.number(1), build.number(3), body), expected)
    means(BoundedSum("prod", r, build.number(1), build.number(0), body), np.eye(3))


def test_a_bound_name_hides_a_value() -> None:
    r = Variable("r", ())
    node = BoundedSum("sum", r, build.number(1), build.number(3), r * c)
    means(node, 9.0, r=np.asarray(100.0))


def test_bounds_must_be_whole_and_near() -> None:
    r = Variable("r", ())
    with pytest.raises(ValueMistake, match=r"1.5 is not a whole number"):
        evaluate(BoundedSum("sum", r, build.number(0), c, r), VALUES)
    with pytest.raises(TooLarge, match="a range of 1,000,001 terms"):
        evaluate(BoundedSum("sum", r, build.number(0), build.number(10**6), r), {})


def test_reshape_keeps_row_major_order() -> None:
    means(build.reshape(A, (n * m,)), A0.reshape(-1))
    means(build.reshape(T, (n, m * p)), T0.reshape(3, 8))


# Calls


def test_calls_map_over_leading_axes() -> None:
    inverse = Function("inverse(X: n n) -> Y: n n", "An inverse.", array="linalg.inv")
    Q = Variable("Q", (p, n, n))
    Q0 = RNG.normal(size=(2, 3, 3))
    means(Apply(inverse, (Q,), 1), np.array([np.linalg.inv(q) for q in Q0]), Q=Q0)


def test_any_axes_arrive_as_one() -> None:
    total = Function("total(x: ...) -> y", "A sum.", array="def total(x):\n    return x.sum(-1)")
    means(Apply(total, (T,), 0), T0.sum())
    means(Apply(total, (T,), 1), T0.sum((1, 2)))


def test_functions_with_several_results() -> None:
    code = "def qr(X):\n    return tuple(np.linalg.qr(X))"
    qr = Function("qr(X: n n) -> Q: n n, R: n n", "A factorisation.", array=code)
    Q, R = qr(S)
    means(Q, np.linalg.qr(S0)[0])
    means(R, np.linalg.qr(S0)[1])
    assert isinstance(R, Result)
    means(Q @ R, S0)


def test_complex_numbers_take_the_code_for_them() -> None:
    code = "def along(x):\n    return np.where(x.real < 0, -x, x)"
    size = Function("size(x) -> y", "A size.", array="abs", analytic=code)
    assert evaluate(size(c), {"c": np.asarray(-2 + 1e-20j)}) == 2 - 1e-20j
    real = Function("real(x) -> y", "A real part.", array="floor", analytic=False)
    assert evaluate(real(c), {"c": np.asarray(2.5 + 1j)}) == 2


def test_a_failing_decomposition_is_not_a_number() -> None:
    inverse = Function("inverse(X: n n) -> Y: n n", "An inverse.", array="linalg.inv")
    assert np.isnan(evaluate(inverse(S), {"S": np.zeros((2, 2))})).all()


def test_what_is_watched() -> None:
    seen = []
    sine = Function("sine(x) -> y", "A sine.", array="sin")
    evaluate(sine(x) * sine(c), VALUES, watch=lambda node, values: seen.append((node, values[0])))
    assert [node for node, _ in seen] in ([sine(x), sine(c)], [sine(c), sine(x)])


def test_functions_that_nobody_defined() -> None:
    phi = undefined("phi", [()], ())
    means(phi(x), np.sin(x0), phi=np.sin)
    with pytest.raises(ValueMistake, match=r"phi gave an array of shape \(\), wanted \(4,\)"):
        evaluate(phi(x), {**VALUES, "phi": np.sum})
    assert evaluate(phi(x), VALUES).shape == (4,)


@pytest.mark.parametrize("core", [(), (4,), (2, 3)])
@pytest.mark.parametrize("result", [(), (2,)])
def test_stand_ins_have_exact_primes(core: tuple[int, ...], result: tuple[int, ...]) -> None:
    dims = tuple(map(Dimension.of, core)), tuple(map(Dimension.of, result))
    f = undefined("f", [dims[0]], dims[1])
    z, d, h = RNG.normal(size=core), RNG.normal(size=core), 1e-3
    for _ in range(2):
        prime = f.prime()
        shape = [q.value for q in prime.forms[0].results[0].dims or ()]
        before = shape[: len(shape) - len(core)]
        exact = np.tensordot(stand_in(prime, z, shape, 0), d, axes=len(core))
        ends = [stand_in(f, z + s * h * d, before, 0) for s in (1, -1, 2, -2)]
        near = (8 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12 * h)
        np.testing.assert_allclose(exact, near, atol=1e-8)
        f = prime


def test_library_finds_names_and_definitions() -> None:
    import scipy.linalg

    assert library("linalg.inv") is np.linalg.inv
    assert library("scipy.linalg.expm") is scipy.linalg.expm
    assert library("def twice(x):\n    return np.multiply(2, x)")(3) == 6


# Mistakes


def test_missing_values_and_wrong_axes() -> None:
    with pytest.raises(ValueMistake, match="no value was given for x"):
        evaluate(A @ x, {"A": A0})
    with pytest.raises(ValueMistake, match=r"x has shape \(4, 1\), wanted 1 axes"):
        evaluate(A @ x, {"A": A0, "x": x0[:, None]})
    with pytest.raises(TooLarge, match="1,000,000,000,000 entries"):
        evaluate(build.ones((n, n)), {}, {"n": 10**6})


def test_sizes_are_read_off_the_values() -> None:
    assert measured(A @ B, VALUES) == SIZES
    flat = Variable("v", (n * m,))
    assert measured(flat + flat, {"v": np.zeros(6)}) == {}


def test_deep_and_shared_formulas() -> None:
    z = x
    for _ in range(5000):
        z = build.einsum("i,i->i", z, z) - z
    assert evaluate(z, {"x": np.zeros(4)}).shape == (4,)
