"""Declared properties: contradictions, constrained variables, directions, values that disagree."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import wrt
from judging import judge_answer
from wrt.algebra.equality import constrained_value, declared_value
from wrt.errors import ShapeMistake, ValueMistake
from wrt.expression.function import PROPERTIES
from wrt.language.declarations import declared, variable
from wrt.programs import door

RNG = np.random.default_rng(5)
SQUARE = sorted(PROPERTIES - {"complex"})

CONTRADICTIONS = [
    ("n n skew spd", "no matrix is skew and spd: a skew matrix has x'*A*x = 0"),
    ("n n skew symmetric", "no matrix is skew and symmetric: only the zero matrix is both"),
    ("n n positive skew", "no matrix is positive and skew: the diagonal of a skew matrix is 0"),
    ("n n diagonal positive", "no matrix is diagonal and positive: positive says that every"),
    ("n n orthogonal spd", "no matrix is orthogonal and spd: only the identity is both"),
    ("n n complex positive", "no matrix is complex and positive: positive entries are real"),
    ("n m symmetric", "only a square matrix is symmetric, and n m is not"),
]


@pytest.mark.parametrize(("shape", "message"), CONTRADICTIONS)
def test_contradictions_are_refused(shape, message) -> None:
    with pytest.raises(ShapeMistake) as refused:
        wrt.derivative("A*B", "A", shapes={"A": shape})
    assert str(refused.value).startswith(f"A: {message}")
    with pytest.raises(ShapeMistake):
        wrt.matrix("A", shape)


@pytest.mark.parametrize(
    "words", ["lower symmetric", "lower upper", "upper orthogonal", "upper spd"]
)
def test_triangular_and_more_is_diagonal(words) -> None:
    assert "diagonal" in wrt.matrix("A", f"n n {words}").properties
    by = wrt.derivative("a'*L*b", "L", shapes={"L": f"n n {words}"})
    assert by.matrix == "diag(a.*b)"
    assert by.check().passed


@pytest.mark.parametrize("count", [1, 2, 3])
def test_samples_are_what_is_declared(count) -> None:
    """Whatever is declared and not refused is true of the points of a check."""
    tried = 0
    for words in combinations(SQUARE, count):
        try:
            A = wrt.matrix("A", f"n n {' '.join(words)}")
        except ShapeMistake:
            continue
        for n in (4, 6):
            for turned in (False, True):
                value = declared_value(A.properties, RNG.normal(size=(n, n)), turned)
                door.check(A, value)
                tried += 1
    assert tried > 40 * (count > 1)


LINEAR = [
    "n n symmetric",
    "n n skew",
    "n n diagonal",
    "n n lower",
    "n n upper",
    "n n toeplitz",
    "n n symmetric toeplitz",
    "n n skew toeplitz",
    "n n lower toeplitz",
    "n n diagonal toeplitz",
    "n n spd",
    "n n spd toeplitz",
    "n m toeplitz",
]
SCALARS = ["tr(B*S)", "a'*S*c + norm2(S)^2", "sum(tanh(S))"]
ARRAYS = ["S*c", "B*S", "tanh(S*c)"]


def shapes_of(shape: str) -> dict[str, str]:
    rows, columns = shape.split()[:2]
    return {"S": shape, "B": f"{columns} {rows}", "a": rows, "c": columns}


@pytest.mark.parametrize("shape", LINEAR)
@pytest.mark.parametrize("convention", ["projected", "tied"])
def test_both_conventions_at_both_orders(shape, convention) -> None:
    shapes = shapes_of(shape)
    for text in SCALARS + ARRAYS:
        D = wrt.derivative(text, "S", shapes=shapes, symmetric=convention)
        assert D.check().passed
        assert D.convention == convention
    for text in SCALARS:
        D = wrt.derivative(text, "S", "S", shapes=shapes, symmetric=convention)
        assert D.check().passed
    D = wrt.derivative("a'*S*S*c" if "n n" in shape else "a'*S*c", "S", "a", shapes=shapes)
    assert D.check().passed


def basis(rules: frozenset[str], n: int, m: int) -> list[np.ndarray]:
    """One matrix for every free parameter, its tied entries 1 or -1."""
    found: dict[bytes, np.ndarray] = {}
    for place in np.ndindex(n, m):
        unit = np.zeros((n, m))
        unit[place] = 1
        moved = np.round(np.sign(constrained_value(rules, unit)), 9)
        moved = moved * (np.sign(moved.ravel()[np.flatnonzero(moved)[:1]]).sum() or 1) + 0.0
        if moved.any():
            found.setdefault(moved.tobytes(), moved)
    return list(found.values())


@pytest.mark.parametrize("shape", LINEAR)
def test_tied_is_the_slope_of_each_parameter(shape) -> None:
    """The definition: the derivative by a free parameter, at each of its entries."""
    n, m = 4, 4 if "n n" in shape else 3
    G = RNG.normal(size=(m, n))
    S = wrt.matrix("S", shape)
    value = declared_value(S.properties, RNG.normal(size=(n, m)))
    tied = wrt.derivative("tr(B*S)", "S", shapes=shapes_of(shape), symmetric="tied")
    rules = frozenset(S.properties - {"spd"} | ({"symmetric"} & S.properties))
    rules = rules | {"symmetric"} if "spd" in S.properties else rules
    wanted = np.zeros((n, m))
    for way in basis(rules, n, m):
        wanted += np.trace(G @ way) * way
    assert np.allclose(tied(B=G, S=value), wanted)
    projected = wrt.derivative("tr(B*S)", "S", shapes=shapes_of(shape))(B=G, S=value)
    assert np.allclose(projected, constrained_value(rules, G.T))


@pytest.mark.parametrize("shape", LINEAR)
@pytest.mark.parametrize("convention", ["projected", "tied"])
def test_a_direction_keeps_the_constraint(shape, convention) -> None:
    """By either convention it is how f changes when S moves so."""
    n, m = 4, 4 if "n n" in shape else 3
    S = wrt.matrix("S", shape)
    for text in ("tr(B*S)", "tanh(S*c)"):
        D = wrt.derivative(text, "S", shapes=shapes_of(shape), symmetric=convention)
        values = {"B": RNG.normal(size=(m, n)), "c": RNG.normal(size=m)}
        values = {k: v for k, v in values.items() if k in D.question.variables}
        point = declared_value(S.properties, RNG.normal(size=(n, m)))
        way = declared_value(S.properties, RNG.normal(size=(n, m)))
        f = wrt.read(text, shapes=shapes_of(shape))
        from wrt.expression.meaning import evaluate

        h = 1e-30
        moved = np.imag(evaluate(f, {**values, "S": point + 1j * h * way})) / h
        assert np.allclose(D.direction_value(way, **values, S=point), moved)


def test_a_direction_that_leaves_the_constraint_is_refused() -> None:
    D = wrt.derivative("tr(A*S)", "S", shapes={"S": "n n symmetric"}, symmetric="tied")
    with pytest.raises(
        ValueMistake, match=r"direction was declared symmetric, and direction\[1,2\]"
    ):
        D.direction_value([[0, 1], [0, 0]], A=np.eye(2), S=np.eye(2))


def test_values_that_contradict_are_refused_everywhere() -> None:
    shapes = {"S": "n n symmetric", "x": "n"}
    D = wrt.derivative("S*x", "x", shapes=shapes)
    wrong = {"S": [[1, 3], [2, 1]], "x": [1.0, 1.0]}
    said = r"S was declared symmetric, and S\[1,2\] = 3 but S\[2,1\] = 2 \(largest difference 1\)"
    for call in (
        lambda: D(wrong),
        lambda: D.apply([1, 0], **wrong),
        lambda: D.pullback([1, 0], **wrong),
        lambda: D.compile()(wrong),
        lambda: D.entry_value((1, 1), **wrong),
        lambda: D.direction_value([1, 0], **wrong),
    ):
        with pytest.raises(ValueMistake, match=said):
            call()
    assert "symmetric" not in D.source()


def test_rounding_contradicts_nothing() -> None:
    for kind in (np.float32, np.float64):
        X = RNG.normal(size=(30, 30)).astype(kind)
        spd, Q = X @ X.T + np.eye(30, dtype=kind), np.linalg.qr(X)[0]
        bent = spd * (1 + np.finfo(kind).eps * RNG.normal(size=(30, 30))).astype(kind)
        door.check(variable("S", declared("S", "n n spd")), bent)
        door.check(variable("Q", declared("Q", "n n orthogonal")), Q)
        p = np.abs(X[0]) / np.abs(X[0]).sum()
        door.check(variable("p", declared("p", "n simplex")), p)


def test_free_derivatives_say_so() -> None:
    for shape, said in (
        ("n simplex", "x may leave the simplex: this is the free derivative"),
        ("n positive", None),
    ):
        D = wrt.derivative("x'*x", "x", shapes={"x": shape})
        assert D.matrix == "2*x"
        assert (said in D.assumed) if said else not D.assumed
    D = wrt.derivative("tr(Q'*Q)", "Q", shapes={"Q": "n n orthogonal"})
    assert D.matrix == "2*Q"
    assert D.assumed == ("Q may leave the orthogonal matrices: this is the free derivative",)


def test_a_skew_inverse_is_sampled_at_even_sizes() -> None:
    D = wrt.derivative("a'*inv(K)*b", "K", shapes={"K": "n n skew"})
    assert D.check().passed


@pytest.mark.parametrize(
    ("text", "shape", "convention", "matrix"),
    [
        ("tr(A*T)", "n n toeplitz", "tied", "diagonals(A')"),
        ("tr(A*T)", "n m toeplitz", "projected", "diagonals(A')./diagonals(ones(n,m))"),
        (
            "tr(A*T)",
            "n n symmetric toeplitz",
            "tied",
            "diagonals(A) + diagonals(A)' - tr(A)*eye(n)",
        ),
        ("tr(A*T)", "n n diagonal toeplitz", "projected", "tr(A)*eye(n)/n"),
        ("norm2(T*x-b)^2", "n n toeplitz", "tied", "2*diagonals((T*x-b)*x')"),
        ("logdet(T)", "n n spd toeplitz", "tied", "2*diagonals(inv(T)) - tr(inv(T))*eye(n)"),
        ("a'*T*x", "n n lower toeplitz", "tied", "tril(diagonals(a*x'))"),
    ],
)
def test_toeplitz_answers_have_words(text, shape, convention, matrix) -> None:
    D = wrt.derivative(text, "T", shapes={"T": shape}, symmetric=convention)
    assert D.matrix == matrix
    judge_answer(D)


@pytest.mark.parametrize("convention", ["projected", "tied"])
def test_a_differential_is_along_the_constraint_by_every_convention(convention) -> None:
    """The tied derivative counts every pair twice; df = tr(D'*dS) would too."""
    shapes = {"S": "n n symmetric"}
    first = wrt.derivative("tr(A*S)", "S", shapes=shapes, symmetric=convention)
    second = wrt.derivative("tr(S*A*S)", "S", "S", shapes=shapes, symmetric=convention)
    assert first.differential == "df = tr(A'*dS)"
    assert first.latex("differential") == r"\mathrm{d}f = \operatorname{tr}(A^\top \mathrm{d}S)"
    assert second.differential == "d2f = 2*tr(A*dS^2)"
