"""The last look at an answer: denominators, means, runs, frames, signs."""

from __future__ import annotations

import pytest

import wrt
from judging import judge_answer
from wrt.algebra import equal

SHAPES = {
    "x": "n",
    "y": "n",
    "A": "m n",
    "B": "n n",
    "C": "n n",
    "b": "m",
    "q": "",
    "v": "",
    "t": "",
}

FORMS = [
    # denominators within denominators
    ("log(1+q/v)", "q", "1/(q+v)"),
    ("1/(1+q^2/v)", "q", "-2*q*v/(q^2+v)^2"),
    ("log(1/2+q/3)", "q", "2/(2*q+3)"),
    ("arctan(q/v)", "q", "v/(q^2+v^2)"),
    ("sqrt(1+q^2)/q", "q", "-1/(q^2*sqrt(q^2+1))"),
    ("log(q+sqrt(q^2+1))", "q", "1/sqrt(q^2+1)"),
    ("sqrt(1+q^2)", "q q", "(q^2+1)^(-3/2)"),
    ("q/(1+q^2)", "q", "(1-q^2)/(q^2+1)^2"),
    ("(t*q+v)/(q+1)", "q", "(t-v)/(q+1)^2"),
    ("log((1+q)/(1-q))/2", "q", "1/((q+1)*(1-q))"),
    # powers
    ("q^t", "q", "t*q^(t-1)"),
    ("norm2(x)^t", "x", "t*norm2(x)^(t-2)*x"),
    ("q^t*exp(v*q)", "q", "q^t*(t/q+v)*exp(q*v)"),
    # means of products
    ("log(1+x'*x/n)", "x", "2*x/(x'*x+n)"),
    ("q*log(x'*y/n+v)", "q", "log(mean(x.*y)+v)"),
    ("exp(q*norm2(A)^2/(n*m))", "q", "exp(q*mean(A.^2))*mean(A.^2)"),
    # runs of links
    ("tr(inv(B+t*C))", "t t", "2*tr((inv(B+t*C)*C)^2*inv(B+t*C))"),
    ("y'*B*B'*B*B'*x", "x", "(B*B')^2*y"),
    # the minus of odd and of even functions
    ("norm1(A*x-b)", "x", "A'*sign(A*x-b)"),
    ("norm1(b-A*x)", "x", "A'*sign(A*x-b)"),
    ("sum(sin(b-A*x))", "x", "-A'*cos(b-A*x)"),
    ("sum(sqrt(x.^2-1))", "x", "x./sqrt(x.^2-1)"),
    # a matrix at both sides
    ("norm2(A*x-b)^3", "x x", "3*A'*(norm2(r)*eye(m)+r*r'/norm2(r))*A where r = A*x - b"),
]


@pytest.mark.parametrize(("text", "names", "form"), FORMS, ids=[f[0] for f in FORMS])
def test_forms(text: str, names: str, form: str) -> None:
    words = {c for c in text if c.isalpha()}
    shapes = {k: v for k, v in SHAPES.items() if k in words}
    D = wrt.derivative(text, *names.split(), shapes=shapes)
    assert D.matrix == form
    judge_answer(D)


@pytest.mark.parametrize(
    ("text", "form"),
    [("(1+q^2)^(1/2)", "q/sqrt(q^2+1)"), ("x'*y/v", "y/v"), ("tr(B*C*B)", "B'*C'+C'*B'")],
)
def test_what_stays(text: str, form: str) -> None:
    name = {"(": "q", "x": "x", "t": "B"}[text[0]]
    words = {c for c in text if c.isalpha()}
    shapes = {k: v for k, v in SHAPES.items() if k in words}
    assert wrt.derivative(text, name, shapes=shapes).matrix in (form, "(B*C+C*B)'")


WRITTEN_OUT = [
    ("[cos(t),-sin(t);sin(t),cos(t)]*p", "t", {"p": "2", "t": ""},
     "-[sin(t),cos(t);-cos(t),sin(t)]*p"),
    ("[v[1]*cos(v[2]),v[1]*sin(v[2])]", "v", {"v": "2"},
     "[cos(v[2]),-v[1]*sin(v[2]);sin(v[2]),v[1]*cos(v[2])]"),
    ("x[1]*x[2]+x[2]*x[3]", "x", {"x": "3"}, "[x[2],x[1]+x[3],x[2]]"),
    ("x[1]*x[2]+x[2]*x[3]", "x x", {"x": "3"}, "[0,1,0;1,0,1;0,1,0]"),
    ("x[1]*x[2]", "x", {"x": "n"}, "x[1]*unit(n,2) + x[2]*unit(n,1)"),
    ("det([a,b;c,k])", "a", {}, "k"),
    ("det([a,b,0;c,k,1;a,c,x])", "a", {"x": ""}, "b + k*x - c"),
    ("log(det([a,b;b,c]))", "b", {}, "-2*b/(a*c-b^2)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "names", "shapes", "form"), WRITTEN_OUT, ids=[f[0] for f in WRITTEN_OUT]
)
def test_few_entries_are_written_out(
    text: str, names: str, shapes: dict[str, str], form: str
) -> None:
    D = wrt.derivative(text, *names.split(), shapes=shapes)
    assert D.matrix == form
    judge_answer(D)
    again = wrt.read(f"${D.latex('matrix')}$", shapes=shapes)
    assert equal(again, D.formula)
