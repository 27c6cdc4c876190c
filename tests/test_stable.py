"""Numbers where exponentials overflow and vanish: values and derivatives are finite and right.

The reference is decimal arithmetic with a hundred digits, from closed forms written by hand.
"""

from __future__ import annotations

from decimal import Decimal, getcontext, localcontext

import numpy as np
import pytest

import wrt
from wrt import programs

getcontext().prec = 100
BACKENDS = ["numpy", "jax", "torch"]
POINTS = [-800.0, -300.0, -30.0, -1.0, -1e-9, 0.0, 0.5, 20.0, 300.0, 800.0]


def sigmoid(x: Decimal) -> Decimal:
    return 1 / (1 + (-x).exp())


def tanh(x: Decimal) -> Decimal:
    return 1 - 2 / (1 + (2 * x).exp())


def softplus(x: Decimal) -> Decimal:
    return (1 + x.exp()).ln()


def bell(x: Decimal) -> Decimal:
    return sigmoid(x) * sigmoid(-x)


def bent(x: Decimal) -> Decimal:
    return bell(x) * (1 - 2 * sigmoid(x))


def share(x: Decimal) -> Decimal:
    return x.exp() / (2 + x.exp())


def halves(x: Decimal) -> tuple[Decimal, Decimal]:
    return x.exp() + (-x).exp(), x.exp() - (-x).exp()


#: A formula with its value and its first two derivatives.
SCALARS = {
    "log1p(exp(x))": (softplus, sigmoid, bell),
    "log(2+exp(x))": (lambda x: (2 + x.exp()).ln(), share, lambda x: share(x) * (1 - share(x))),
    "exp(x)/(2+exp(x))": (
        share,
        lambda x: share(x) * (1 - share(x)),
        lambda x: share(x) * (1 - share(x)) * (1 - 2 * share(x)),
    ),
    "log(cosh(x))": (
        lambda x: softplus(2 * x) - x - Decimal(2).ln(),
        tanh,
        lambda x: 1 - tanh(x) ** 2,
    ),
    "1/(exp(x)+exp(-x))": (
        lambda x: 1 / halves(x)[0],
        lambda x: -halves(x)[1] / halves(x)[0] ** 2,
        lambda x: (2 * halves(x)[1] ** 2 - halves(x)[0] ** 2) / halves(x)[0] ** 3,
    ),
    "exp(x)*exp(-exp(x))": (
        lambda x: (x - x.exp()).exp(),
        lambda x: (1 - x.exp()) * (x - x.exp()).exp(),
        lambda x: ((1 - x.exp()) ** 2 - x.exp()) * (x - x.exp()).exp(),
    ),
    "log(1+exp(x))": (softplus, sigmoid, bell),
    "softplus(x)": (softplus, sigmoid, bell),
    "log(1+exp(-x))": (lambda x: softplus(-x), lambda x: -sigmoid(-x), bell),
    "exp(x)/(1+exp(x))": (sigmoid, bell, bent),
    "1/(1+exp(-x))": (sigmoid, bell, bent),
    "log(sigmoid(x))": (lambda x: -softplus(-x), lambda x: sigmoid(-x), lambda x: -bell(x)),
    "log(1-sigmoid(x))": (lambda x: -softplus(x), lambda x: -sigmoid(x), lambda x: -bell(x)),
    "log(1/(1+exp(-x)))": (lambda x: -softplus(-x), lambda x: sigmoid(-x), lambda x: -bell(x)),
    "tanh(x)": (tanh, lambda x: 1 - tanh(x) ** 2, lambda x: 2 * tanh(x) * (tanh(x) ** 2 - 1)),
    "(exp(x)-exp(-x))/(exp(x)+exp(-x))": (
        tanh,
        lambda x: 1 - tanh(x) ** 2,
        lambda x: 2 * tanh(x) * (tanh(x) ** 2 - 1),
    ),
    "log(exp(x)+exp(-x))": (
        lambda x: softplus(2 * x) - x,
        tanh,
        lambda x: 1 - tanh(x) ** 2,
    ),
    "exp(x)/(1+exp(x))^2": (bell, bent, lambda x: bell(x) * (1 - 6 * bell(x))),
    "log(1-tanh(x)^2)": (
        lambda x: -2 * (softplus(2 * x) - x - Decimal(2).ln()),
        lambda x: -2 * tanh(x),
        lambda x: 2 * tanh(x) ** 2 - 2,
    ),
    "log(1-sigmoid(x)^2)": (
        lambda x: (1 - sigmoid(x) ** 2).ln(),
        lambda x: -2 * sigmoid(x) ** 2 / (1 + sigmoid(x)),
        lambda x: -2 * bell(x) * sigmoid(x) * (2 + sigmoid(x)) / (1 + sigmoid(x)) ** 2,
    ),
    "exp(x)/(1+exp(2*x))": (
        lambda x: x.exp() / (1 + (2 * x).exp()),
        lambda x: -x.exp() / (1 + (2 * x).exp()) * tanh(x),
        lambda x: x.exp() / (1 + (2 * x).exp()) * (2 * tanh(x) ** 2 - 1),
    ),
    "x*sigmoid(x)": (
        lambda x: x * sigmoid(x),
        lambda x: sigmoid(x) + x * bell(x),
        lambda x: 2 * bell(x) + x * bent(x),
    ),
}


def evaluated(node: object, values: dict[str, np.ndarray], backend: str) -> np.ndarray:
    """The program of a formula, at doubles in every library."""
    if backend == "jax":
        import jax

        with jax.enable_x64(True):
            return np.asarray(programs.compile(node, backend)(values))
    return np.asarray(programs.compile(node, backend)(values))


def formulas(text: str, name: str, shapes: dict[str, str]) -> list[object]:
    found = [wrt.derivative(text, *[name] * k, shapes=shapes).formula for k in (1, 2)]
    return [wrt.derivative(f"c*({text})", "c", shapes={**shapes, "c": ""}).formula, *found]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("text", SCALARS)
def test_scalars_far_out(text: str, backend: str) -> None:
    orders = formulas(text, "x", {"x": ""})
    for node, reference in zip(orders, SCALARS[text], strict=True):
        for point in POINTS:
            found = float(evaluated(node, {"x": np.asarray(point)}, backend))
            wanted = float(reference(Decimal(point)))
            assert np.isfinite(found)
            assert abs(found - wanted) <= 1e-14 * max(1, abs(wanted)), (node, point)


FAR = np.array([-800.0, 0.0, 799.0, 800.0])


def softmax() -> np.ndarray:
    powers = [Decimal(x).exp() for x in FAR]
    return np.array([float(p / sum(powers)) for p in powers])


def spread(s: np.ndarray) -> np.ndarray:
    return np.diag(s) - np.outer(s, s)


VECTORS = {
    "log(sum(exp(x)))": (softmax, lambda: spread(softmax())),
    "logsumexp(x)": (softmax, lambda: spread(softmax())),
    "log(mean(exp(x)))": (softmax, lambda: spread(softmax())),
    "exp(x)/sum(exp(x))": (lambda: spread(softmax()), None),
    "log(softmax(x))": (
        lambda: np.eye(4) - softmax(),
        lambda: np.broadcast_to(-spread(softmax()), (4, 4, 4)),
    ),
    "sum(log(softmax(x)))": (lambda: 1 - 4 * softmax(), lambda: -4 * spread(softmax())),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("text", VECTORS)
def test_vectors_far_out(text: str, backend: str) -> None:
    for order, reference in enumerate(VECTORS[text], 1):
        if reference is not None:
            node = wrt.derivative(text, *["x"] * order, shapes={"x": "n"}).formula
            given = {v.name: np.asarray(FAR) for v in node.names}
            found = evaluated(node, given, backend)
            np.testing.assert_allclose(found, reference(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("point", [-800.0, -30.0, -6.0, -0.5, 0.0, 0.5, 6.0, 30.0, 800.0])
def test_tails_of_the_normal_law(point: float, backend: str) -> None:
    mpmath = pytest.importorskip("mpmath")
    mpmath.mp.dps = 60
    x = mpmath.mpf(point)

    def value(u: object) -> object:
        return mpmath.log(mpmath.erfc(-u / mpmath.sqrt(2)) / 2)

    hazard = mpmath.exp(-(x**2) / 2) / mpmath.sqrt(2 * mpmath.pi) / mpmath.exp(value(x))
    wanted = {
        ("c*log(normcdf(x))", "c"): value(x),
        ("log(normcdf(x))", "x"): hazard,
        ("log(normcdf(x))", "xx"): -hazard * (x + hazard),
        ("log(erfc(-x/sqrt(2)))", "x"): hazard,
        ("log(1-erf(-x/sqrt(2)))", "x"): hazard,
        ("exp(-x^2/2)/normcdf(x)", "x"): -mpmath.sqrt(2 * mpmath.pi) * hazard * (x + hazard),
    }
    for (text, by), reference in wanted.items():
        node = wrt.derivative(text, *by, shapes={"x": "", "c": ""}).formula
        found = float(evaluated(node, {v.name: np.asarray(point) for v in node.names}, backend))
        # hazard·(x + hazard) is near -1, the difference of numbers near x²
        size = max(1, point**2 if "xx" in by or text[0] == "e" else abs(float(reference)))
        assert abs(found - float(reference)) <= 1e-13 * size, (text, by)


@pytest.mark.parametrize("dtype", ["d", "f"])
def test_erfcx_in_every_jax(dtype: str) -> None:
    """Older ones lack the word; the text is as exact as SciPy's word, and so is its derivative."""
    jax = pytest.importorskip("jax")
    special = pytest.importorskip("scipy.special")
    least = -25.0 if dtype == "d" else -9.0
    x = np.concatenate([np.linspace(least, 30, 500), [1e-30, 1e20]]).astype(dtype)
    program = programs.compile(wrt.derivative("c*erfcx(x)", "c", shapes={"x": "n"}).formula, "jax")
    with jax.enable_x64(dtype == "d"):
        found = np.asarray(program(x=x))
        slopes = jax.vmap(jax.grad(lambda x: program.function(x[None])[0]))(x)
    assert found.dtype == x.dtype
    wanted = special.erfcx(x.astype(float))
    np.testing.assert_allclose(found, wanted, rtol=4e-15 if dtype == "d" else 2e-5)
    near = x < 3  # farther out the two terms of the reference cancel
    wanted = 2 * x.astype(float) * wanted - 2 / np.sqrt(np.pi)
    np.testing.assert_allclose(slopes[near], wanted[near], rtol=1e-12 if dtype == "d" else 1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("point", [1e-9, 0.5, 20.0, 300.0, 800.0])
def test_exponentials_less_one(point: float, backend: str) -> None:
    x = Decimal(point)
    e, less = x.exp(), x.exp() - 1
    wanted = {
        ("log(exp(x)-1)", 1): e / less,
        ("log(exp(x)-1)", 2): -e / less**2,
        ("log(1-exp(-x))", 1): 1 / less,
        ("1/(exp(x)-1)", 1): -e / less**2,
        ("1/sinh(x)", 1): -halves(x)[0] * 2 / halves(x)[1] ** 2,
    }
    for (text, order), value in wanted.items():
        node = wrt.derivative(text, *["x"] * order, shapes={"x": ""}).formula
        found = float(evaluated(node, {"x": np.asarray(point)}, backend))
        assert abs(found - float(value)) <= 1e-13 * max(1, abs(float(value))), (text, order)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["d", "f"])
def test_sums_of_exponentials_far_out(backend: str, dtype: str) -> None:
    top = 800.0 if dtype == "d" else 100.0
    x = np.array([-top, 0.0, top - 1, top]).astype(dtype)
    w, A = np.array([1, 2, 3, 0.5]).astype(dtype), np.ones((2, 4)).astype(dtype)
    powers = [
        Decimal(float(w_i)) * Decimal(float(x_i)).exp() for w_i, x_i in zip(w, x, strict=True)
    ]
    shares = np.array([float(p / sum(powers)) for p in powers])
    with_one = [Decimal(float(x_i)).exp() for x_i in x]
    given = {"x": x, "w": w, "A": A}
    wanted = {
        "log(sum(w.*exp(x)))": shares,
        "log(w'*exp(x))": shares,
        "w.*exp(x)/sum(w.*exp(x))": np.diag(shares) - np.outer(shares, shares),
        "log(1+sum(exp(x)))": [float(p / (1 + sum(with_one))) for p in with_one],
        "sum(log(A*exp(x)))": [float(2 * p / sum(with_one)) for p in with_one],
    }
    for text, value in wanted.items():
        node = wrt.derivative(text, "x", shapes={"x": "n", "w": "n", "A": "m n"}).formula
        found = evaluated(node, {v.name: given[v.name] for v in node.names}, backend)
        assert np.allclose(found, value, rtol=2e-13 if dtype == "d" else 2e-5, atol=1e-30), text


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_exponentials(backend: str) -> None:
    a, b = 800.0, 801.5
    share = float(1 / (1 + Decimal(b - a).exp()))
    both = {"a": np.asarray(a), "b": np.asarray(b)}
    shapes = {"a": "", "b": ""}
    cases = {
        ("log(exp(a)+exp(b))", 1): share,
        ("log(exp(a)+exp(b))", 2): share * (1 - share),
        ("exp(a)/(exp(a)+exp(b))", 1): share * (1 - share),
    }
    for (text, order), wanted in cases.items():
        node = wrt.derivative(text, *["a"] * order, shapes=shapes).formula
        assert abs(float(evaluated(node, both, backend)) - wanted) < 1e-14


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("text", ["log(det(X'*X))", "logdet(X'*X)"])
def test_determinants_that_overflow(text: str, backend: str) -> None:
    X = 1e3 * np.random.default_rng(1).normal(size=(160, 120))
    with np.errstate(over="ignore"):
        assert not np.isfinite(np.linalg.det(X.T @ X))
    value = wrt.derivative(f"c*{text}", "c", shapes={"X": "n m", "c": ""}).formula
    slope = wrt.derivative(text, "X", shapes={"X": "n m"}).formula
    logarithm = np.linalg.slogdet(X.T @ X)[1]
    np.testing.assert_allclose(evaluated(value, {"X": X}, backend), logarithm, rtol=1e-12)
    inverse = 2 * np.linalg.pinv(X).T
    np.testing.assert_allclose(evaluated(slope, {"X": X}, backend), inverse, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_losses_of_sure_predictions(backend: str) -> None:
    shapes = {"X": "N n"}
    X, y = 1000 * np.eye(3), np.array([0.0, 1.0, 1.0])
    w = np.array([-1.0, 0.0, 1.0])
    for text in (
        "sum(log(1+exp(X*w)) - y.*(X*w))",
        "-sum(y.*log(sigmoid(X*w)) + (1-y).*log(1-sigmoid(X*w)))",
    ):
        found = evaluated(
            wrt.derivative(text, "w", shapes=shapes).formula, {"X": X, "y": y, "w": w}, backend
        )
        np.testing.assert_allclose(found, [0, -500, 0], atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("scale", "dtype"), [(1e200, "d"), (1e-200, "d"), (1e25, "f"), (1e-25, "f")]
)
def test_lengths_whose_squares_are_no_floats(scale: float, dtype: str, backend: str) -> None:
    x = np.array([[3.0, 0.0], [-1.0, 2.0], [0.5, 0.25]])
    v = {
        "x": x[:, 0],
        "X": x,
        "A": np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 1.0]]),
        "c": np.ones(()),
    }
    rows = x / np.linalg.norm(x, axis=1)[:, None]
    r = v["A"] @ x[1]
    direction = v["A"].T @ r / np.linalg.norm(r)
    wanted = {
        ("c*norm2(x)", "c"): scale * np.linalg.norm(x[:, 0]),
        ("norm2(x)", "x"): x[:, 0] / np.linalg.norm(x[:, 0]),
        ("norm2(X)", "X"): x / np.linalg.norm(x),
        ("sum(sqrt(sum(X.^2,2)))", "X"): rows,
        ("norm2(A*y)", "y"): direction,
    }
    for (text, name), value in wanted.items():
        node = wrt.derivative(text, name, shapes={"c": ""}).formula
        given = {n.name: v.get(n.name, x[1]) for n in node.names}
        given = {n: (a * scale if n in "xyX" else a).astype(dtype) for n, a in given.items()}
        found = evaluated(node, given, backend)
        np.testing.assert_allclose(found, value, rtol=1e-5 if dtype == "f" else 1e-14)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("scale", [1e150, 1e-155])
def test_directions_change_as_they_should_far_out(scale: float, backend: str) -> None:
    x = np.array([3.0, 0.0, -4.0])
    node = wrt.derivative("norm2(x)", "x", "x").formula
    wanted = (np.eye(3) - np.outer(x, x) / 25) / 5 / scale
    np.testing.assert_allclose(evaluated(node, {"x": scale * x}, backend), wanted, rtol=1e-14)


def test_what_is_normalised_again_and_again_is_left_as_it_is_written() -> None:
    """Sinkhorn's steps: every scaling of rows and columns would search all entries anew."""
    steps = "u1 = a./(exp(-C)*ones(m)); v1 = b./(exp(-C)'*u1)"
    for k in (1, 2):
        steps += f"; u{k + 1} = a./(exp(-C)*v{k}); v{k + 1} = b./(exp(-C)'*u{k + 1})"
    found = wrt.derivative(f"u3'*(exp(-C).*C)*v3 where {steps}", "C", shapes={"C": "n m"})
    text = found.source()
    assert "np.max" not in text
    assert text.count("np.exp(") == 2  # one of them in softmax
    assert found.check().passed


def one(x: Decimal) -> Decimal:
    return 1 / (1 + x)


#: Differences of what is almost equal, near 0 or far out: where, and the value and its derivative.
NEAR = {
    "exp(x)-1": ("both", lambda x: x.exp() - 1, lambda x: x.exp()),
    "3*exp(x)-3": ("both", lambda x: 3 * (x.exp() - 1), lambda x: 3 * x.exp()),
    "log(1+x)": ("both", lambda x: (1 + x).ln(), one),
    "log(1+x^2)": ("both", lambda x: (1 + x * x).ln(), lambda x: 2 * x / (1 + x * x)),
    "cosh(x)-1": ("both", lambda x: halves(x)[0] / 2 - 1, lambda x: halves(x)[1] / 2),
    "exp(x)-exp(-x)": ("both", lambda x: halves(x)[1], lambda x: halves(x)[0]),
    "sqrt(1+x^2)-1": (
        "both",
        lambda x: (1 + x * x).sqrt() - 1,
        lambda x: x / (1 + x * x).sqrt(),
    ),
    "log(1+x)-x": ("slope", lambda x: (1 + x).ln() - x, lambda x: one(x) - 1),
    "exp(x)-1-x": ("slope", lambda x: x.exp() - 1 - x, lambda x: x.exp() - 1),
    "1/(1+x)-1": ("both", lambda x: one(x) - 1, lambda x: -(one(x) ** 2)),
    "sqrt(x+1)-sqrt(x)": (
        "far",
        lambda x: (x + 1).sqrt() - x.sqrt(),
        lambda x: (1 / (x + 1).sqrt() - 1 / x.sqrt()) / 2,
    ),
    "log(x+1)-log(x)": ("far", lambda x: (1 + 1 / x).ln(), lambda x: one(x) - 1 / x),
    "softplus(x)-x": ("slope far", lambda x: softplus(x) - x, lambda x: -sigmoid(-x)),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("text", NEAR)
def test_differences_of_what_is_almost_equal(text: str, backend: str) -> None:
    where, *references = NEAR[text]
    points = [20.0, 1e4, 1e9] if "far" in where else [1e-12, -1e-9, 1e-4, 0.3, 2.0]
    points = [20.0, 37.0, 300.0] if where == "slope far" else points
    nodes = formulas(text, "x", {"x": ""})[:2]
    for node, reference in list(zip(nodes, references, strict=True))["slope" in where :]:
        for point in points:
            given = {v.name: np.asarray(point if v.name == "x" else 1.0) for v in node.names}
            found, wanted = float(evaluated(node, given, backend)), reference(Decimal(point))
            assert abs(found - float(wanted)) <= 2e-14 * abs(float(wanted)), (text, point)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("point", [-800.0, -60.0, -7.0, -1e-9, 0.5, 3.0])
def test_logarithms_of_what_vanishes_as_an_exponential(point: float, backend: str) -> None:
    """log(softplus(x)) and log(1-exp(-exp(x))) are like x on the left."""
    x, given = Decimal(point), {"x": np.asarray(point), "c": np.asarray(1.0)}
    with localcontext(prec=800):
        less, plus = 1 - (-x.exp()).exp(), softplus(x)
        wanted = {
            "log(softplus(x))": (plus.ln(), sigmoid(x) / plus),
            "log(1-exp(-exp(x)))": (less.ln(), (x - x.exp()).exp() / less),
        }
    for text, references in wanted.items():
        for node, reference in zip(formulas(text, "x", {"x": ""})[:2], references, strict=True):
            found = evaluated(node, {v.name: given[v.name] for v in node.names}, backend)
            tolerance = 1e-13 * max(1.0, abs(float(reference)))
            assert abs(float(found) - float(reference)) <= tolerance, (text, node)


def test_a_complement_that_is_read_alone() -> None:
    """1 - sigmoid(x) is sigmoid(-x), unless sigmoid(x) is there: that were an exponential more."""
    alone = wrt.derivative("softplus(x)-x", "x").source()
    assert "np.minimum(x, 709)" in alone
    assert "- 1" not in alone
    assert wrt.derivative("sigmoid(x)", "x", shapes={"x": ""}).source().count("np.exp") == 1
