"""Laws as rewriting: what is recognised, along which axes, and what is left alone."""

from __future__ import annotations

import pytest

import wrt
from wrt.algebra import equal, expand, meant
from wrt.language import read
from wrt.notation import matrix

SHAPES = {
    "x": "n", "y": "n", "z": "n", "a": "n", "b": "m", "w": "m", "c": "", "d": "",
    "W": "n m", "V": "n m", "X": "n m", "A": "n n", "B": "n n", "C": "n n", "S": "n n symmetric",
}  # fmt: skip

MEANT = [
    # entry by entry, with what stands beside it
    ("1./(1+exp(-x))", "sigmoid(x)"),
    ("1./(1+exp(x))", "sigmoid(-x)"),
    ("y./(1+exp(-x))", "y.*sigmoid(x)"),
    ("exp(W*w)./(1+exp(W*w))", "sigmoid(W*w)"),
    ("exp(-x)./(1+exp(-x))", "sigmoid(-x)"),
    ("exp(-x)./(1+exp(-x)).^2", "sigmoid(-x).*sigmoid(x)"),
    ("1-sigmoid(x)", "sigmoid(-x)"),
    ("2-2*sigmoid(x)", "2*sigmoid(-x)"),
    ("log(1+exp(x))", "softplus(x)"),
    ("log(exp(-W*w)+1)", "softplus(-W*w)"),
    ("log(sigmoid(x))", "-softplus(-x)"),
    ("(exp(2*x)-1)./(exp(2*x)+1)", "tanh(x)"),
    ("(exp(x)-exp(-x))./(exp(x)+exp(-x))", "tanh(x)"),
    ("(1-exp(-c))/(1+exp(-c))", "tanh(c/2)"),
    ("2*sigmoid(2*x)-1", "tanh(x)"),
    ("sin(x).^2+cos(x).^2", "ones(n)"),
    ("y+3*sin(x).^2+3*cos(x).^2", "y+3"),
    ("sin(x)./cos(x)", "tan(x)"),
    ("exp(log(x))+log(exp(y))", "x+y"),
    ("x.*sign(x)", "abs(x)"),
    ("(W*w).*step(W*w)", "relu(W*w)"),
    ("max(x,0)", "relu(x)"),
    ("min(0,x)", "-relu(-x)"),
    ("sin(-x)", "-sin(x)"),
    ("cos(y-x)+cos(x-y)", "2*cos(x-y)"),
    # many entries to one, along rows and columns
    ("exp(x)/sum(exp(x))", "softmax(x)"),
    ("exp(x)*sum(exp(x))^(-1)*c", "c*softmax(x)"),
    ("exp(-W*w)/sum(exp(-W*w))", "softmax(-W*w)"),
    ("y'*exp(x)/sum(exp(x))", "y'*softmax(x)"),
    ("diag(1./sum(exp(W),2))*exp(W)", "softmax(W,2)"),
    ("exp(W)*diag(1./sum(exp(W),1)')", "softmax(W,1)"),
    ("exp(W)./(ones(n)*sum(exp(W),1))", "softmax(W,1)"),
    ("log(sum(exp(x)))", "logsumexp(x)"),
    ("sum(log(sum(exp(W),2)))", "sum(logsumexp(W,2))"),
    ("log(exp(W)*ones(m))", "logsumexp(W,2)"),
    ("log(sum(exp(W)))", "logsumexp(W)"),
    ("x-logsumexp(x)", "logsoftmax(x)"),
    ("x-log(sum(exp(x)))", "logsoftmax(x)"),
    ("A*x+y-log(sum(exp(A*x+y)))", "logsoftmax(A*x+y)"),
    ("exp(x-logsumexp(x))", "softmax(x)"),
    ("log(softmax(W,2))", "logsoftmax(W,2)"),
    ("log(det(A))", "logdet(A)"),
    ("log(abs(det(A)))", "logdet(A)"),
]  # fmt: skip

LEFT_ALONE = [
    "exp(x)/sum(exp(y))",
    "exp(x)./(2+exp(x))",
    "log(1+exp(x)+exp(y))",
    "1+sigmoid(x)",
    "exp(2*x)/sum(exp(x))",
    "x.*sign(y)",
    "sin(x).^2+cos(y).^2",
    "sin(x).^2-cos(x).^2",
    "max(x,1)",
    "diag(1./sum(exp(A),1)')*exp(W)",
    "diag(1./sum(exp(A),2))*exp(A')",
    "log(exp(x)+exp(y))",
]


def formula(text: str) -> object:
    return read(text, shapes={k: v for k, v in SHAPES.items() if k in _names(text)}).formula


def _names(text: str) -> set[str]:
    return {c for c in text if c.isalpha()} | {"x", "W"}


@pytest.mark.parametrize(("text", "short"), MEANT)
def test_a_formula_is_read_in_its_words(text: str, short: str) -> None:
    f = formula(text)
    assert meant(f) is meant(formula(short))
    assert equal(expand(f), meant(f)) or "abs" in text or "det" in text


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_only_looks_like_a_law(text: str) -> None:
    f = formula(text)
    words = {"softmax", "sigmoid", "softplus", "logsumexp", "abs", "relu"}
    said = matrix(meant(f)) or ""
    assert equal(expand(f), meant(f))
    assert {w for w in words if f"{w}(" in said} <= {w for w in words if f"{w}(" in text}
    assert meant(meant(f)) is meant(f)


ANSWERS = [
    ("sum(log(1+exp(-y.*(A*x))))", "x", "-A'*(y.*sigmoid(-y.*(A*x)))"),
    ("log(sum(exp(A*x)))", "x", "A'*softmax(A*x)"),
    ("log(abs(c))", "c", "1/c"),
    ("sum(max(0,1-y.*(A*x)))", "x", "-A'*(y.*step(1-y.*(A*x)))"),
    ("inv(W'*W)*W'*x", "x", "pinv(W)"),
    ("x'*inv(A*W*w*w'*W'*A'+S)*A*W*inv(W'*A'*A*W)*W'*A'*y", "y", None),
    ("logdet(W'*W)", "W", "2*pinv(W)'"),
    ("det(A)", "A", "adj(A)'"),
    ("(x-mean(x))/std(x)", "x", None),
]


@pytest.mark.parametrize(("text", "name", "short"), ANSWERS)
def test_answers_are_in_words(text: str, name: str, short: str | None) -> None:
    shapes = {k: v for k, v in SHAPES.items() if k in _names(text)}
    D = wrt.derivative(text, name, shapes=shapes)
    assert D.check().passed
    if short is not None:
        assert D.matrix == short
    else:
        words = {"x-mean(x)": "std(x)", "inv(W'*A'*A*W)": "pinv(A*W)"}
        assert [v in str(D.matrix) for k, v in words.items() if k in text] == [True]


def test_what_is_zero_is_zero_everywhere() -> None:
    """The entries of softmax sum to 1, in programs as in sentences."""
    D = wrt.derivative("logsoftmax(x + vector(c))", "c", shapes={"x": "n", "c": ""})
    assert D.matrix == "zeros(n)"
    assert D.structure.kind == "zero"


def test_zeros_are_no_factors_of_a_law() -> None:
    """`sum(hardmax(x).*x) = max(x)` says nothing of sum(hardmax(zeros)), which is 1."""
    D = wrt.derivative("logsoftmax(x)'*hardmax(zeros(m))", "x")
    assert D.matrix == "hardmax(zeros(m)) - softmax(x)"
    assert D.check().passed


def test_a_sum_along_a_diagonal_is_no_sum_along_rows() -> None:
    """Each row of softmax(X,2) sums to 1; its diagonal does not."""
    f = read("tr(softmax(A,2))", shapes={"A": "n n"}).formula
    assert meant(f) is f
    assert meant(read("sum(softmax(A,2))", shapes={"A": "n n"}).formula).shape == ()
    D = wrt.derivative("c*tr(softmax(A,2))", "c", shapes={"A": "n n", "c": ""})
    assert D.matrix == "tr(softmax(A,2))"
    assert D.check().passed
