"""`apply` and `pullback` never form the derivative: they fit where it does not."""

from __future__ import annotations

import numpy as np
import pytest

import wrt
from judging import judge_answer
from wrt.errors import NameMistake, ValueMistake

RNG = np.random.default_rng(3)


def matrix(rows: int, columns: int) -> np.ndarray:
    return RNG.normal(size=(rows, columns))


N = 600
SYMMETRIC = matrix(N, N) + 20 * np.eye(N)
SYMMETRIC = SYMMETRIC + SYMMETRIC.T

CASES = [
    ("S*x", "S", {"S": "n n symmetric"}, {"S": SYMMETRIC, "x": RNG.normal(size=N)}),
    ("vec(X)", "X", {}, {"X": matrix(N, N)}),
    ("inv(X)^3", "X", {}, {"X": matrix(120, 120) + 40 * np.eye(120)}),
    ("X^20*b", "X", {"b": "n"}, {"X": matrix(90, 90) / 20, "b": RNG.normal(size=90)}),
    ("kron(X,Y)", "X", {}, {"X": matrix(30, 30), "Y": matrix(30, 30)}),
    (
        "softmax(Q*K'/sqrt(d),2)*V",
        "K",
        {"Q": "m d", "K": "p d", "V": "p k"},
        {"Q": matrix(200, 30), "K": matrix(210, 30), "V": matrix(210, 40)},
    ),
    ("x'*A*x*x", ("x", "x"), {}, {"A": matrix(300, 300), "x": RNG.normal(size=300)}),
]


@pytest.mark.parametrize(("text", "names", "shapes", "values"), CASES, ids=[c[0] for c in CASES])
def test_the_two_maps_are_transposes_and_right(text, names, shapes, values) -> None:
    names = (names,) if isinstance(names, str) else names
    D = wrt.derivative(text, *names, shapes=shapes)
    name = names[-1]
    direction = RNG.normal(size=values[name].shape)
    if "symmetric" in shapes.get(name, ""):
        direction = direction + direction.T
    along = D.apply(direction, **values)
    gradient = RNG.normal(size=along.shape)
    back = D.pullback(gradient, **values)
    assert np.isclose((gradient * along).sum(), (back * direction).sum(), rtol=1e-8)
    if len(names) == 1:
        assert np.allclose(along, difference(text, shapes, name, direction, values), rtol=1e-4)


def difference(text, shapes, name, direction, values) -> np.ndarray:
    from wrt.expression.meaning import evaluate

    f = wrt.read(text, shapes=shapes)
    h = 1e-5 / np.abs(direction).max()
    ahead, behind = (
        evaluate(f, {**values, name: values[name] + s * h * direction}) for s in (1, -1)
    )
    return (ahead - behind) / (2 * h)


def test_a_power_wants_a_whole_number() -> None:
    D = wrt.derivative("X^k", "X")
    with pytest.raises(wrt.errors.ValueMistake, match="k is -1; a whole number from 0 on"):
        D(X=np.eye(2), k=-1)
    with pytest.raises(wrt.errors.ValueMistake, match=r"k is 2\.5"):
        D.apply(np.eye(2), X=np.eye(2), k=2.5)


def test_maps_of_an_orthogonal_matrix_let_it_leave_the_set() -> None:
    """adj(Q) is det(Q)*Q' there, and has another derivative than that."""
    for text, names in (("dot(A', adj(Q))", "Q"), ("tr(A*inv(Q))", "QQ")):
        judge_answer(wrt.derivative(text, *names, shapes={"A": "n n", "Q": "n n orthogonal"}))


def test_values_without_a_name_are_refused() -> None:
    D = wrt.derivative("W*x", "W")
    with pytest.raises(ValueMistake, match="values are given by name"):
        D([[1, 2]])
    with pytest.raises(ValueMistake, match="values are given by name"):
        wrt.gradients("x'*x", "x")([1, 2])


@pytest.mark.parametrize("backend", ["numpy", "jax", "torch"])
def test_a_program_along_a_direction_is_the_product(backend) -> None:
    library = pytest.importorskip(backend)
    T, U, V, d = matrix(4, 5), matrix(4, 2), matrix(5, 2), matrix(4, 2)
    D = wrt.derivative("norm2(T - U*V')^2", "U", "U")
    given = {"T": T, "U": U, "V": V, "V_": d}  # V is taken
    if backend == "torch":
        given = {name: library.from_numpy(value) for name, value in given.items()}
    found = np.asarray(D.compile(backend, direction="V")(given))
    assert np.allclose(found, np.tensordot(D(T=T, U=U, V=V), d, 2), rtol=1e-4)


def test_a_direction_is_checked_at_the_door() -> None:
    D = wrt.derivative("tr(A*S)", "S", shapes={"S": "n n symmetric"})
    program = D.compile(direction="V")
    given = {"A": [[1, 2], [3, 4]], "S": np.zeros((2, 2))}
    assert program(given, V=[[0, 1], [1, 0]]) == 5
    with pytest.raises(ValueMistake, match=r"V was declared symmetric, and V\[1,2\] = 1"):
        program(given, V=[[0, 1], [0, 0]])
    with pytest.raises(ValueMistake, match="no value is given for V"):
        program(given)
    with pytest.raises(ValueMistake, match=r"takes any direction: bind\(…\)\.apply\(V\)"):
        D.compile(structured=True, direction="V")


@pytest.mark.parametrize("name", ["", "2v", "a-b", "[1,2]"])
def test_what_is_no_name_is_no_direction(name: str) -> None:
    D = wrt.derivative("x'*A*x", "x")
    for asked in (D.direction, lambda n: D.compile(direction=n), lambda n: D.source(direction=n)):
        with pytest.raises(NameMistake, match="is no name for a direction"):
            asked(name)
