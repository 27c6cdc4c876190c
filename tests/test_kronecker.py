"""Kronecker forms with commutation matrices: the matrix between the entries, tested by numbers."""

from __future__ import annotations

import numpy as np
import pytest

import wrt
from judging import judge_kronecker, place
from test_cases import COVERED

#: The first derivatives among the cases that have more than two axes by their declared shapes.
LARGE = [
    case
    for case in COVERED
    if len(case["wrt"]) == 1
    and wrt.derivative(case["text"], *case["wrt"], shapes=case["shapes"]).plain.ndim > 2
]

FORMS = [
    ("X'", "X", "commutation(m,n)", "commutation(n,m)"),
    (
        "X*X'",
        "X",
        "(eye(n^2)+commutation(n,n))*(eye(n) ⊗ X)",
        "(eye(n^2)+commutation(n,n))*(X ⊗ eye(n))",
    ),
    ("X-X'", "X", "eye(n^2) - commutation(n,n)", "eye(n^2) - commutation(n,n)"),
    ("A*X'*B", "X", "(A ⊗ B')*commutation(m,p)", "(B' ⊗ A)*commutation(p,m)"),
    (
        "X'*A*X",
        "X",
        "X'*A ⊗ eye(m) + (eye(m) ⊗ X'*A')*commutation(m,n)",
        "eye(m) ⊗ X'*A + (X'*A' ⊗ eye(m))*commutation(n,m)",
    ),
    (
        "inv(X')",
        "X",
        "-(inv(X)' ⊗ inv(X))*commutation(n,n)",
        "-(inv(X) ⊗ inv(X)')*commutation(n,n)",
    ),
    ("vec(X)", "X", "commutation(m,n)", "eye(m) ⊗ eye(n)"),
    ("tanh(A*X)", "X", None, "diag(vec(1-tanh(A*X).^2))*(eye(p) ⊗ A)"),
    ("diag(x)*A", "x", None, "diag(vec(A))*(ones(m) ⊗ eye(n))"),
    (
        "kron(X,A)",
        "X",
        None,
        "(eye(k*m) ⊗ commutation(n,p))*(eye(m) ⊗ vec(A) ⊗ eye(n))",
    ),
]


@pytest.mark.parametrize(("text", "name", "rows", "columns"), FORMS)
def test_the_forms_of_books(text, name, rows, columns) -> None:
    D = wrt.derivative(text, name)
    assert rows is None or D.kronecker("rows") == rows
    assert D.kronecker("columns") == columns
    judge(D)


def judge(D: wrt.Derivative) -> None:
    sizes, values = place(D)
    judge_kronecker(D, values, sizes)


ALL = """X' | X*X' | X'*X | X'*A*X | X*A*X' | A*X'*B | A'*X'*X*B | X+X' | X-2*X' | tr(X)*X'
inv(X') | inv(X'*X) | X'^2 | X'^3 | kron(X,A) | kron(A,X) | kron(X,X) | kron(X',A) | kron(A,X')
kron(x,A) | kron(A,x) | vec(X') | vec(X*X') | vec(X)*vec(X)' | tanh(X') | tanh(X*B) | tanh(A*X')
X'.*Y | relu(W*X) | softmax(X,2) | softmax(X,1) | X.*(X*B) | exp(X)*Y | diag(X*Y) | X*diag(x)
diag(x)*X | (a'*X*b)*X' | X*X'*x | X'*x*x'*X | x'*X | (X*Y)' | X*inv(X'*X)*X' | a*b'*X' | X'*a*b'
kron(A,B)*vec(X) | commutation(n,m)*vec(X*Y) | Y*X*Y'*X' | X'/norm2(X) | (A+X')*(B+X)
[X, X'] | commutation(n,m)*vec(X)"""


@pytest.mark.parametrize("text", [t.strip() for t in ALL.replace("\n", " | ").split("|")])
def test_forms_act_as_the_derivative(text) -> None:
    for name in (v.name for v in sorted(wrt.read(text).names, key=lambda v: v.name)):
        D = wrt.derivative(text, name)
        if D.plain.ndim > 2:
            judge(D)


@pytest.mark.parametrize("case", LARGE, ids=lambda c: c["id"])
def test_cases(case) -> None:
    D = wrt.derivative(
        case["text"],
        *case["wrt"],
        shapes=case["shapes"],
        symmetric=case.get("symmetric") or "projected",
    )
    judge(D)


@pytest.mark.parametrize(
    ("text", "rows", "columns"),
    [
        ("norm2(A*X-B)^2", "2*A'*A ⊗ eye(p)", "2*eye(p) ⊗ A'*A"),
        ("tr(X*A*X*B)", None, None),
        ("logdet(X)", "-(inv(X)' ⊗ inv(X))*commutation(n,n)", None),
    ],
)
def test_the_hessian_by_a_matrix(text, rows, columns) -> None:
    D = wrt.derivative(text, "X", "X")
    sizes, values = place(D)
    tensor = wrt_value(D, values)
    for order, wanted in (("rows", rows), ("columns", columns)):
        said = D.kronecker(order)
        assert wanted is None or said == wanted
        big = tensor if order == "rows" else tensor.transpose(1, 0, 3, 2)
        count = big.shape[0] * big.shape[1]
        shapes = {v.name: " ".join(map(str, v.dims)) for v in D.question.variables.values()}
        made = wrt.read(said, {**shapes, "Sizes": "n m p"})
        from wrt.expression.meaning import evaluate

        assert np.allclose(evaluate(made, values, sizes), big.reshape(count, count))
        view = D.view(f"vec-{order}")
        assert np.allclose(wrt_value(view, values), big.reshape(count, count))


def wrt_value(D: wrt.Derivative, values) -> np.ndarray:
    return D({k: v for k, v in values.items() if k in D.question.variables})


@pytest.mark.parametrize("text", ["X'", "X*X'", "kron(X,A)", "A*X'*B", "tanh(X)*B", "vec(X')"])
@pytest.mark.parametrize("view", ["vec-rows", "vec-columns"])
def test_views_by_vec_have_a_matrix(text, view) -> None:
    D = wrt.derivative(text, "X").view(view)
    assert D.matrix is not None
    assert D.latex() is not None
    assert D.index is not None
    assert len(D.shape) == 2
    _, values = place(wrt.derivative(text, "X"))
    tensor = wrt_value(wrt.derivative(text, "X"), values)
    lead = tensor.ndim - 2
    turned = tensor.transpose([*range(lead)[::-1], lead + 1, lead])
    wide = tensor if view == "vec-rows" else turned
    wanted = wide.reshape(-1, values["X"].size)
    assert np.allclose(wrt_value(D, values), wanted)


def test_the_commutation_matrix() -> None:
    X = np.arange(6.0).reshape(2, 3)
    f = wrt.read("commutation(2,3)*vec(X)-vec(X')", {"X": "2 3"})
    from wrt.expression.meaning import evaluate

    assert not evaluate(f, {"X": X}).any()
    K = wrt.commutation(2, 3)
    assert K.shape == (6, 6)
    assert wrt.derivative("commutation(2,3)*x", "x").matrix == "commutation(2,3)"
    assert wrt.derivative("commutation(n,m)*x", "x").check().passed
    with pytest.raises(
        wrt.errors.SyntaxMistake, match=r"it is commutation\(size n, size m\)|commut"
    ):
        wrt.read("commutation(2)")


def test_where_there_is_none() -> None:
    for text in ("diag(x)", "diag(X)"):
        D = wrt.derivative(text, text[-2])
        assert D.kronecker("rows") is None
        assert D.kronecker("columns") is None
