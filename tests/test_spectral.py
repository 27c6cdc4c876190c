"""Matrix functions, eigenvalues and singular values: closed forms, every order, where they hold."""

from __future__ import annotations

import math

import numpy as np
import pytest

import wrt
from judging import judge_answer
from wrt.errors import NameMistake, ShapeMistake
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Apply
from wrt.expression.walk import postorder
from wrt.programs.prepare import prepared

SYMMETRIC, SPD = {"A": "n n symmetric"}, {"A": "n n spd"}

FORMS = [
    ("tr(expm(X))", "X", {}, "expm(X)'"),
    ("tr(logm(X))", "X", {}, "inv(X)'"),
    ("tr(sinm(X))", "X", {}, "cosm(X)'"),
    ("tr(A*expm(X))", "X", {}, "frechet(expm,X,A)'"),
    ("expm(A+t*B)", "t", {}, "frechet(expm,A+t*B,B)"),
    ("logdet(expm(X))", "X", {}, "eye(n)"),
    ("log(det(chol(A)))", "A", SPD, "inv(A)/2"),
    ("sum(log(diag(chol(A))))", "A", SPD, "inv(A)/2"),
    ("sum(eigvals(A))", "A", SYMMETRIC, "eye(n)"),
    ("sum(eigvals(A).^2)", "A", SYMMETRIC, "2*A"),
    ("sum(eigvals(A).^4)", "A", SYMMETRIC, "4*A^3"),
    ("sum(log(eigvals(A)))", "A", SPD, "inv(A)"),
    ("sum(exp(eigvals(A)))", "A", SYMMETRIC, "expm(A)"),
    ("sum(sqrt(eigvals(A)))", "A", SPD, "inv(sqrtm(A))/2"),
    ("sum(1./eigvals(A))", "A", SPD, "-inv(A)^2"),
    ("prod(eigvals(A))", "A", SPD, "adj(A)"),
    ("sum(log(eigvals(X'*X)))", "X", {"X": "m n"}, "2*pinv(X)'"),
    ("sum(svdvals(X).^2)", "X", {}, "2*X"),
    ("sum(svdvals(X).^4)", "X", {}, "4*X*X'*X"),
    ("sum(log(svdvals(X)))", "X", {}, "pinv(X)'"),
    ("sum(svdvals(X))", "X", {}, "polar(X)"),
    ("normnuc(X)^2", "X", {}, "2*normnuc(X)*polar(X)"),
    ("normspec(X)", "X", {}, "svdleft(X)[:,1]*svdright(X)[:,1]'"),
    ("a'*expm(t*A)*b", "t", {}, "a'*A*expm(t*A)*b"),
    ("tr(B*expm(t*A))", "t", {}, "tr(B*A*expm(t*A))"),
    ("a'*expm(t*A+B)*b", "t", {}, "tr(frechet(expm,t*A+B,b*a')*A)"),
    ("tr(X^k)", "X", {}, "k*X'^(k-1)"),
    ("tr(X^(-k))", "X", {}, "-k*inv(X^(k+1))'"),
]


@pytest.mark.parametrize(("text", "name", "shapes", "form"), FORMS, ids=[f[0] for f in FORMS])
def test_closed_forms(text: str, name: str, shapes: dict[str, str], form: str) -> None:
    D = wrt.derivative(text, name, shapes=shapes)
    assert D.matrix == form
    judge_answer(D)


QUESTIONS = [
    ("expm(A*t)", ["A"], {}),
    ("expm(A*t)", ["t", "t"], {}),
    ("tr(A*expm(X))", ["X", "X"], {}),
    ("frechet(logm, X, E)", ["X"], {}),
    ("frechet(expm, X)", ["X"], {}),
    ("sqrtm(X'*X)", ["X"], {}),
    ("chol(X'*X)", ["X"], {}),
    ("eigvecs(A)", ["A"], SYMMETRIC),
    ("eigvals(A+t*B)", ["t", "t"], {"A": "n n symmetric", "B": "n n symmetric"}),
    ("svdleft(X)", ["X"], {}),
    ("polar(X)", ["X"], {"X": "3 2"}),
    ("pinv(X)", ["X"], {"X": "2 3"}),
    ("a'*pinv(X)*b", ["X"], {}),
    ("expm(X)", ["X"], {"X": "1 1"}),
]


@pytest.mark.parametrize(("text", "names", "shapes"), QUESTIONS, ids=[q[0] for q in QUESTIONS])
def test_all_that_holds_of_any_answer(text: str, names: list[str], shapes: dict[str, str]) -> None:
    judge_answer(wrt.derivative(text, *names, shapes=shapes))


@pytest.mark.parametrize("shape", ["5 3", "3 5"])
def test_the_pseudoinverse_of_tall_and_of_wide_matrices(shape: str) -> None:
    """What is zero for one of them must not go from the formula for both."""
    D = wrt.derivative("tr(pinv(X)*A)", "X", shapes={"X": "m n", "A": "m n"})
    m, n = map(int, shape.split())
    rng = np.random.default_rng(3)
    X, A, E = rng.normal(size=(3, m, n))
    f = lambda t: np.trace(np.linalg.pinv(X + t * E) @ A)  # noqa: E731
    h = 1e-3
    slope = (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)
    assert abs(np.sum(D(X=X, A=A) * E) - slope) < 1e-6


def test_equal_eigenvalues_are_not_turned() -> None:
    D = wrt.derivative("eigvecs(A)", "A", shapes=SYMMETRIC)
    assert D.valid == ("A has no eigenvalue twice",)
    assert np.all(np.isfinite(D(A=np.eye(3))))


def test_values_and_vectors_are_computed_once() -> None:
    source = wrt.derivative("eigvecs(A)", "A", shapes=SYMMETRIC).source("numpy")
    assert source.count("np.linalg.eigh") == 1
    assert "eigvalsh" not in source


@pytest.mark.parametrize("text", ["chol(X)", "eigvals(X*Y)", "sum(eigvecs(X'*Y))"])
def test_what_is_not_symmetric_is_refused(text: str) -> None:
    with pytest.raises(ShapeMistake, match="wants a symmetric matrix"):
        wrt.derivative(text, "X")


@pytest.mark.parametrize(
    ("text", "by", "calls"),
    [
        ("expm(X)*b", "X", 3),
        ("diag(expm(X)*A)", "X", 3),
        ("sum(sinm(X), 1)", "X", 3),
        ("C*expm(X)*b", "X", 2),
        ("expm(t*X*A)*b", "X", 3),
        ("(X*expm(X)*b).*b", "X", 3),
        ("logm(eye(n) + X*X')[1,2]", "X", 1),
        ("expm(X)*b", "X X", 27),
        ("expm(X)[1,:]*A", "X X", 27),
        ("C*expm(X)*B", "X", 9),
        ("expm(X)", "X", 9),
    ],
)
def test_a_direction_for_every_entry_only_where_all_are_wanted(
    text: str, by: str, calls: int
) -> None:
    shapes = {"X": "n n", "A": "n n", "B": "n q", "C": "p n", "b": "n", "t": ""}
    shapes = {name: axes for name, axes in shapes.items() if name in text}
    answer = wrt.derivative(text, *by.split(), shapes=shapes)
    known = {name for v in answer.formula.names for d in v.dims for name in d.names}
    sizes = {name: size for name, size in {"n": 3, "p": 2, "q": 5}.items() if name in known}
    rng = np.random.default_rng(0)
    values = {
        v.name: rng.standard_normal([sizes[str(d)] for d in v.dims]) / 3
        for v in answer.formula.names
    }
    got = answer.compile(sizes=sizes)(**values)
    expected = evaluate(answer.formula, values)
    assert np.abs(got - expected).max() < 1e-12 * np.abs(expected).max()
    (planned,) = prepared(answer.formula, sizes=sizes)
    along = [n for n in postorder(planned) if isinstance(n, Apply) and n.function.linear]
    assert {math.prod(sizes[str(d)] for d in n.dims[: n.batch]) for n in along} == {calls}


def test_frechet_in_python() -> None:
    X, E = wrt.matrix("X", "n n"), wrt.matrix("E", "n n")
    assert wrt.derivative(wrt.expm(X), X).formula.shape == wrt.frechet(wrt.expm, X).shape
    with pytest.raises(NameMistake, match="no matrix function"):
        wrt.frechet(wrt.sin, X, E)


@pytest.mark.parametrize(
    "text",
    [
        "eigvals(u*v' + (u*v')')",
        "chol(A*inv(A'*A + B'*B)*A' + eye(n))",
        "eigvals(adj(A) + adj(A)')",
    ],
)
def test_what_is_symmetric_by_value_is_taken(text: str) -> None:
    shapes = {"u": "n", "v": "n", "A": "n n", "B": "n n"}
    name = "u" if "u" in text else "A"
    used = {
        k: v for k, v in shapes.items() if k in text.replace("eye(n)", "").replace("eigvals", "")
    }
    assert wrt.derivative(text, name, shapes=used).check().passed
