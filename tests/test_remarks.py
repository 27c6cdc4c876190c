"""What is said of a Hessian beside its form: never wrong, and said where a person would see it."""

from __future__ import annotations

import numpy as np
import pytest

import wrt
from judging import place
from test_cases import COVERED
from wrt.algebra import flat_form
from wrt.algebra.bounds import bounds
from wrt.algebra.curvature import curvature
from wrt.algebra.definite import definite
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Variable
from wrt.functions import BOOK

SPD = {"X": "n n spd"}
POSITIVE = {"x": "n positive"}
SAID = [
    ("x'*S*x", {"S": "n n spd"}, "positive definite: S is spd; so f is strictly convex in x"),
    ("norm2(A*x-b)^2", {}, "positive semidefinite: A'*A; so f is convex in x"),
    (
        "sum(exp(A*x))",
        {},
        "positive semidefinite: A'*diag(w)*A with w = exp(A*x) > 0; so f is convex in x",
    ),
    (
        "sum(log(1+exp(A*x)))",
        {},
        "positive semidefinite: A'*diag(w)*A with w = ",
    ),
    ("exp(a'*x)", {}, "positive semidefinite: a*a', exp(a'*x) > 0; so f is convex in x"),
    (
        "-sum(log(b-A*x))",
        {},
        "positive semidefinite: A'*diag(w)*A with w = 1./(b-A*x).^2 > 0; "
        "so f is convex in x where it is defined",
    ),
    (
        "sum(log(cosh(A*x-b)))",
        {},
        "positive semidefinite: A'*diag(w)*A with w = 1 - tanh(A*x-b).^2 > 0; so f is convex in x",
    ),
    (
        "logsumexp(A*x)",
        {},
        "f is convex in x: logsumexp is convex; so the Hessian is positive semidefinite",
    ),
    ("norm2(x)", {}, "f is convex in x: norm2 is convex; so the Hessian is positive semidefinite"),
    ("sum(max(A*x,0))", {}, "f is convex in x: maximum is convex; so the Hessian is positive"),
    ("-logdet(X)", SPD, "f is convex in X: logdet is concave; so the Hessian is positive semi"),
    ("tr(A*inv(X)*A')", SPD, "f is convex in X: inv is convex; so the Hessian is positive semi"),
    ("norm2(A*X-B)^2", {}, "positive semidefinite: A'*A; so f is convex in X"),
    ("-norm2(A*x)^2", {}, "negative semidefinite: -A'*A; so f is concave in x"),
    ("tr(X'*S*X)", {"S": "n n spd"}, "positive definite: S is spd; so f is strictly convex in X"),
    (
        "sum(sqrt(x))",
        {},
        "negative definite: diag(w) with w = -1./x.^(3/2)/4 < 0; so f is strictly",
    ),
    ("logdet(A*diag(x)*A')", POSITIVE, "negative semidefinite; so f is concave in x"),
    ("exp(x)", {"x": ""}, "positive; so f is strictly convex in x"),
    ("x*x*step(x)", {"x": ""}, "positive or 0; so f is convex in x on convex sets where it is"),
    ("sum((A*x).^4)+norm1(x)", {}, "positive semidefinite: A'*diag(w)*A with w = 12*(A*x).^2 ≥ 0"),
    (
        "sum(sqrt((A*x).^2+1))",
        {},
        "positive semidefinite: A'*diag(w)*A with w = 1./((A*x).^2+1).^(3/2) > 0",
    ),
    (
        "norm2(A*x-b)^2 + lambda*norm2(x)^2",
        {"lambda": "positive"},
        "positive definite: one term of the sum is, the others are semidefinite; so f is strictly",
    ),
]
UNSAID = [
    "(a'*x)^3",
    "x'*A*x",
    "sum(tanh(A*x))",
    "1/(1+x'*x)",
    "prod(x)",
    "x'*x-norm2(A*x)^2",
    "1/norm2(x)",
    "logsumexp(A*x)^2",
    "norm2(A*x-b)^2+lambda*norm2(x)^2",
    "tr(X*A*X*A)",
    "norm2(X*X'-A)^2",
    "logdet(X)",
    "tr(inv(X))",
    "tr(X*X)",
    "sin(a'*x)",
    "norm2(x)-norm1(x)",
]


def asked(text: str, shapes: dict[str, str]) -> wrt.Derivative:
    name = "X" if "X" in text else "x"
    return wrt.derivative(text, name, name, shapes=shapes)


@pytest.mark.parametrize(("text", "shapes", "said"), SAID)
def test_it_is_said_and_true(text, shapes, said) -> None:
    D = asked(text, shapes)
    assert D.remarks[0].startswith(said)
    assert holds(D)


@pytest.mark.parametrize("text", UNSAID)
def test_nothing_is_said_where_nothing_is_seen(text) -> None:
    assert asked(text, {}).remarks == ()


def holds(D: wrt.Derivative) -> bool:
    """Whether the eigenvalues of the Hessian at a point have the sign that is said."""
    sizes, values = place(D)
    value = evaluate(D.whole, values, sizes)
    count = int(np.sqrt(value.size))
    matrix = value.reshape(count, count)
    found = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    found = -found[::-1] if "concave" in D.bend.kind else found
    strict = D.remarks[0].split(";")[0].split(":")[0] in ("positive definite", "negative definite")
    return bool(found[0] > (1e-12 if strict else -1e-9 * max(1, abs(found[-1]))))


TWICE = [c for c in COVERED if len(c["wrt"]) == 2 and c["wrt"][0] == c["wrt"][1]]
ONCE = [c for c in COVERED if len(c["wrt"]) == 1 and not c["symmetric"]]


@pytest.mark.parametrize("case", TWICE, ids=lambda c: c["id"])
def test_hessians_of_the_cases(case) -> None:
    D = wrt.derivative(case["text"], *case["wrt"], shapes=case["shapes"])
    assert D.bend is None or holds(D)


@pytest.mark.parametrize("case", ONCE, ids=lambda c: c["id"])
def test_convex_formulas_of_the_cases_lie_below_their_chords(case) -> None:
    D = wrt.derivative(case["text"], *case["wrt"], shapes=case["shapes"])
    if D.f.ndim or D.bend is None or "sets" in D.bend.sentence:
        return
    sizes, values = place(D)
    name, sign = D.wanted[0].variable.name, -1 if "concave" in D.bend.kind else 1
    rng = np.random.default_rng(0)
    start = values[name]
    positive = (start > 0).all()
    for _ in range(10):
        step = rng.normal(size=start.shape)
        end = abs(start + step) if positive else start + step
        chord = [
            float(evaluate(D.f, {**values, name: start + t * (end - start)}, sizes))
            for t in (0, 0.3, 1)
        ]
        if np.isfinite(chord).all():
            gap = 0.7 * chord[0] + 0.3 * chord[2] - chord[1]
            assert sign * gap >= -1e-9 * max(map(abs, chord))


# The records


def argument_dims(function: wrt.Function) -> tuple:
    """The axes of a record's first argument; of one that takes any, a vector."""
    dims = function.forms[0].arrays[0].dims
    return wrt.vector("v", "n").dims if dims is None else dims


BENT = [f for f in BOOK.values() if f.curve and "spd" not in f.curve]


@pytest.mark.parametrize("function", BENT, ids=lambda f: f.name)
def test_a_record_bends_as_it_says(function) -> None:
    """Along random lines: the value in the middle against the chord, and rising with each entry."""
    rng = np.random.default_rng(4)
    words = function.curve.split()
    count = len(function.forms[0].arrays)
    low = 0.05 if function.domain in ("positive", "above") or "from" in words else -3
    low = 1.05 if function.domain == "beyond" else low
    sizes = {"n": 4, "m": 3}
    dims = argument_dims(function)
    variables = [Variable(f"v{k}", dims) for k in range(count)]
    f = function(*variables)
    shape = tuple(sizes[str(d)] for d in dims)
    for _ in range(200):
        a, b = ([rng.uniform(low, 3, shape) for _ in variables] for _ in range(2))
        left, right, middle = (
            evaluate(f, dict(zip((v.name for v in variables), at, strict=True)), sizes)
            for at in (a, b, [(x + y) / 2 for x, y in zip(a, b, strict=True)])
        )
        gap = (left + right) / 2 - middle
        if words[0] != "concave":
            assert (gap >= -1e-9).all()
        if words[0] != "convex":
            assert (gap <= 1e-9).all()
        if "increasing" in words:
            more = [x + rng.uniform(0, 1, shape) for x in a]
            names = (v.name for v in variables)
            assert (evaluate(f, dict(zip(names, more, strict=True)), sizes) >= left - 1e-12).all()


@pytest.mark.parametrize("function", [f for f in BOOK.values() if f.values], ids=lambda f: f.name)
def test_the_values_of_a_record_lie_where_it_says(function) -> None:
    rng = np.random.default_rng(5)
    low, is_low, high, is_high = function.interval
    positive = function.domain in ("positive", "above", "inside")
    for _ in range(100):
        dims = argument_dims(function)
        x, shape = Variable("x", dims), [{"n": 4, "m": 3}[str(d)] for d in dims]
        positive = positive or function.domain == "beyond"
        least, most = 0.01 if positive else -4, 0.99 if function.domain == "inside" else 4
        at = rng.uniform(least, most, shape) + (function.domain == "beyond")
        found = evaluate(
            function(*[x] * len(function.forms[0].arrays)), {"x": at}, {"n": 4, "m": 3}
        )
        assert (found >= low).all()
        assert (found <= high).all()
        assert is_low or (found > low).all()
        assert is_high or (found < high).all()


# The parts


def test_squares_are_found_and_what_is_none_is_not() -> None:
    A, S, P = wrt.matrix("A", "m n"), wrt.matrix("S", "m m spd"), wrt.matrix("P", "m m")
    w = wrt.vector("w", "m positive")
    x, y = wrt.vector("x", "n"), wrt.vector("y", "n")
    for made, sign in [
        (A.T @ A, 1),
        (A.T @ S @ A, 1),
        (A.T @ BOOK["inv"](S) @ A, 1),
        (A.T @ BOOK["diag"](w) @ A, 1),
        (-(A.T @ A), -1),
        (A.T @ P @ A, 0),
        (A.T @ P @ P.T @ A, 1),
        (A.T @ P @ P @ A, 0),
        (BOOK["outer"](x, x), 1),
        (BOOK["outer"](x, y), 0),
        (BOOK["outer"](x, y) + BOOK["outer"](y, x), 0),
        (S, 2),
        (S * S, 2),
        (BOOK["kron"](A.T @ A, S), 0),
        (wrt.read("commutation(n,n)"), 0),
        (wrt.read("eye(n)-A'*A"), 0),
        (wrt.read("2*eye(n)+A'*A"), 2),
    ]:
        assert definite(flat_form(made)) == sign, made


def test_bounds_and_curvature() -> None:
    x = wrt.vector("x", "n")
    tanh, exp = BOOK["tanh"], BOOK["exp"]
    found = bounds(f := 1 - tanh(x) ** 2)[f]
    assert (found.low, found.above, found.high, found.below) == (0, True, 1, False)
    signs = [bounds(f)[f].sign for f in (2 / (1 + exp(x)), x * x, x * x * x, -exp(x))]
    assert signs == [2, 1, 0, -2]
    assert curvature(exp(x), x).kind == "convex"
    assert curvature(exp(-exp(x)), x).kind == "unknown"
    assert curvature(-exp(2 - x), x).kind == "concave"


def test_it_is_printed_and_in_json(capsys) -> None:
    from wrt.apps.command import run

    assert run(["sum(exp(A*x))", "x", "x"]) == 0
    assert "  remark         positive semidefinite: A'*diag(w)*A with" in capsys.readouterr().out
    assert run(["sum(exp(A*x))", "x"]) == 0
    assert "remark" not in capsys.readouterr().out
    assert run(["sum(exp(A*x))", "x", "--json"]) == 0
    assert '"f is convex in x: exp is convex"' in capsys.readouterr().out
