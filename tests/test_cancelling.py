"""Inverses and powers beside their matrices, and sums over ranges that need no sum."""

from __future__ import annotations

import pytest

import wrt
from wrt.algebra import equal, expand, flat_form, normal_form, settled
from wrt.language import read

SHAPES = {
    "A": "n n", "B": "n n", "X": "n n", "S": "n n symmetric",
    "Q": "n n orthogonal", "P": "n n symmetric orthogonal", "W": "n m", "V": "m n",
    "b": "n", "d": "m", "c": "", "j": "", "k": "", "y": "n simplex", "T": "n m simplex",
}  # fmt: skip

SAME = [
    ("(A*b).*(W*d)./(W*d)", "A*b"),
    ("A*b*(b'*X*b)/(b'*X*b)", "A*b"),
    ("(A*b)./(A*b).^2", "1./(A*b)"),
    ("Q'*Q*b", "b"),
    ("Q*A*inv(Q*A)", "eye(n)"),
    ("A*Q*Q'*B", "A*B"),
    ("inv(Q)*b", "Q'*b"),
    ("P*A*A'*P*P", "P*A*A'"),
    ("inv(W*V)*W*V*b", "b"),
    ("A*W*V*inv(W*V)", "A"),
    ("inv(A*B)*A", "inv(B)"),
    ("B*inv(A*B)", "inv(A)"),
    ("B*inv(A*X*B)*A", "inv(X)"),
    ("inv(B*A)'*A'", "inv(B)'"),
    ("inv(A'*B)*A'", "inv(B)"),
    ("inv(A*A')*A", "inv(A)'"),
    ("inv(S*B)*S", "inv(B)"),
    ("B*S*inv(B*S)*A", "A"),
    ("inv(W*V+A)*(A+W*V)", "eye(n)"),
    ("A*inv(B*A)*B*X", "X"),
    ("inv(2*A)", "inv(A)/2"),
    ("inv(c*A)*b", "inv(A)*b/c"),
    ("inv(c*A*B)*A*c", "inv(B)"),
    ("inv(A')", "inv(A)'"),
    ("inv(inv(A))", "A"),
    ("inv(inv(A)')*B", "A'*B"),
    ("X^3*inv(X)*X", "X^3"),
    ("inv(X^5)*X^4", "inv(X)"),
    ("inv(X^3)*X^3*A", "A"),
    ("X^j*X^k", "X^(j+k)"),
    ("A*X^k*X*B", "A*X^(k+1)*B"),
    ("X'^j*X'^k*A", "(X^(j+k))'*A"),
    ("inv(X)*X^k", "X^(k-1)"),
    ("X^j*inv(X^(j+1))", "inv(X)"),
    ("S^j*S'^k", "S^(j+k)"),
    ("sum(r, 0, k-1, X^r*X^(k-1-r))", "k*X^(k-1)"),
    ("tr(sum(r, 0, k-1, X^r*A*X^(k-1-r)))", "k*tr(X^(k-1)*A)"),
    ("sum(r, 1, k, A)", "k*A"),
    ("sum(y)*b", "b"),
    ("(sum(y)-c)*b", "(1-c)*b"),
    ("sum(T)*c*sum(y)", "c"),
]

APART = [
    ("(A*b)./(X*b)", "ones(n)"),
    ("Q*Q*b", "b"),
    ("V*inv(W*V)*W", "eye(m)"),
    ("inv(W*V)*V'*W'", "eye(n)"),
    ("sum((W*d)*d'./(W*d*ones(m)'))", "sum(d)"),
    ("inv(A*B)*B", "inv(A)"),
    ("A*inv(A*B)", "inv(B)"),
    ("inv(A*B)*A'", "inv(B)"),
    ("inv(W*V)*W*V*A*inv(A)'", "eye(n)"),
    ("A*inv(B)", "inv(B)*A"),
    ("X^j*X'^k", "X^(j+k)"),
    ("X^j*A*X^k", "A*X^(j+k)"),
    ("sum(y.*b)", "sum(b)"),
    ("y'*y", "1"),
    ("sum(T,1)'", "ones(m)"),
]


def formula(text: str) -> wrt.expression.nodes.Node:
    words = {c for c in text if c.isalpha()}
    return read(text, shapes={k: v for k, v in SHAPES.items() if k in words}).formula


@pytest.mark.parametrize(("left", "right"), SAME)
def test_what_cancels(left: str, right: str) -> None:
    f, g = formula(left), formula(right)
    assert flat_form(f) is flat_form(g)
    assert equal(f, flat_form(f))
    assert normal_form(normal_form(f)) is normal_form(f)


@pytest.mark.parametrize(("left", "right"), APART)
def test_what_does_not(left: str, right: str) -> None:
    f, g = formula(left), formula(right)
    assert flat_form(f) is not flat_form(g)
    assert not equal(f, g)
    assert equal(f, flat_form(f))


def test_only_square_matrices_leave_an_inverse() -> None:
    """inv(W*V) with W wide or tall has no inv(W)."""
    shapes = {"W": "n m", "V": "m n"}
    D = wrt.derivative("logdet(W*V)", "V", shapes=shapes)
    assert D.matrix == "W'*inv(W*V)'"
    assert wrt.derivative("logdet(V'*V)", "V", shapes={"V": "m n"}).matrix == "2*pinv(V)'"


@pytest.mark.parametrize(
    ("text", "name", "answer"),
    [
        ("tr(X^k)", "X", "k*X'^(k-1)"),
        ("det(X^k)", "X", "k*det(X^k)*inv(X)'"),
        ("logdet(X^k)", "X", "k*inv(X)'"),
        ("det(A*X*B)", "X", "det(A*X*B)*inv(X)'"),
        ("logdet(A*X)", "X", "inv(X)'"),
        ("logdet(X*X')", "X", "2*inv(X)'"),
        ("tr(inv(A*X))", "X", "-inv(X)'*inv(A*X)'"),
        ("logdet(c*X)", "c", "n/c"),
    ],
)
def test_answers(text: str, name: str, answer: str) -> None:
    words = {c for c in text if c.isalpha()}
    D = wrt.derivative(text, name, shapes={k: v for k, v in SHAPES.items() if k in words})
    assert D.matrix == answer
    assert D.check().passed


BRACKETS = [
    ("(1-b).*x-b.*(1-x)", "x-b"),
    ("Q'*(Q*b-x)", "b-Q'*x"),
    ("inv(A)*(A*b-x)+inv(A)*x", "b"),
    ("(1-b).*sigmoid(x)-b.*sigmoid(-x)", "sigmoid(x)-b"),
    ("sum(x-mean(x))*b+x", "x"),
]


@pytest.mark.parametrize(("left", "right"), BRACKETS)
def test_brackets_open_where_they_cancel(left: str, right: str) -> None:
    f, g = (read(t, shapes={**SHAPES, "x": "n"}).formula for t in (left, right))
    assert settled(expand(f)) is settled(expand(g))
    assert equal(expand(f), settled(expand(f)))


@pytest.mark.parametrize("text", ["A'*(A*b-x)", "(1-b).*(1+x)", "sigmoid(x).*sigmoid(-x)"])
def test_brackets_stay(text: str) -> None:
    f = read(text, shapes={**SHAPES, "x": "n"}).formula
    assert settled(f) is flat_form(f)


def test_a_simplex_may_be_left_by_what_moves() -> None:
    D = wrt.derivative("sum(y)*c", "y", shapes={"y": "n simplex"})
    assert D.matrix == "c*ones(n)"
    D = wrt.derivative("-y'*log(softmax(W*x))", "W", shapes={"y": "n simplex"})
    assert D.matrix == "(softmax(W*x)-y)*x'"
    assert D.check().passed
