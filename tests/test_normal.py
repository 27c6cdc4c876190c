"""The normal form: what merges, cancels, folds and stays; equal terms by value."""

from __future__ import annotations

from fractions import Fraction

import pytest

import wrt
from wrt.algebra import equal, expand, flat_form, merged, normal_form
from wrt.expression import build
from wrt.expression.coefficient import Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import users
from wrt.functions import BOOK
from wrt.language import read

n, m = map(Dimension.of, "nm")
a, b = Variable("a", ()), Variable("b", ())
x, y, u = Variable("x", (n,)), Variable("y", (n,)), Variable("u", (m,))
A, B, X = (Variable(w, (n, n)) for w in "ABX")
W = Variable("W", (n, m))
S = Variable("S", (n, n), ["symmetric"])
e = build.einsum
tanh, inv, exp = BOOK["tanh"], BOOK["inv"], BOOK["exp"]
eye = build.identity(n)

SAME = [
    ("like terms", A @ x + A @ x - 2 * (A @ x), build.zeros((n,))),
    ("a transpose that is absorbed", e("ij->ji", A).T, A),
    ("a scalar on either side", (a * x) * b, (b * x) * a),
    ("δ melts", e("ij,jk->ik", eye, A), A),
    ("δ melts in a trace", e("ij,ij->", eye, A), e("ii->", A)),
    ("a sum over nothing is a size", e("ij->", build.ones((n, m))), build.number(n * m)),
    ("powers add", x * x * x, x**3),
    ("powers cancel", x / x, build.ones((n,))),
    ("roots", (x**2) ** Fraction(1, 2) * (x**2) ** Fraction(1, 2), x**2),
    ("products are flat", (A @ B) @ x, A @ (B @ x)),
    ("the index of a sum has no name", e("ij,jk->ik", A, B), e("pq,qr->pr", A, B)),
    ("inv(X)*X", inv(X) @ X, eye),
    ("X*inv(X)", X @ inv(X), eye),
    ("inv(X)*X inside", e("ij,jk,k->i", inv(X), X, y), y),
    ("inv(X)'*X'", e("ji,kj->ik", inv(X), X), eye),
    ("a symmetric matrix is its transpose", S.T @ x, S @ x),
    ("tanh of a symmetric matrix", tanh(S).T, tanh(S)),
    ("A + A' is symmetric", (A + A.T).T @ x, (A + A.T) @ x),
    ("a common number stands before the sum", 2 * x + 2 * y, 2 * (x + y)),
    ("a sign stands before the sum", -x - y, -(x + y)),
    ("a sum within a sum", x + (y - x), y),
    ("zero times anything", 0 * tanh(x) + y, y),
    ("tanh(0)", tanh(build.zeros((n,))) + x, x),
    ("exp(0)", exp(build.zeros((n,))) * x, x),
    ("a unit vector picks", build.unit(n, 1) @ (2 * x), 2 * x[1]),
    ("two places at once", build.unit(n, 0) * build.unit(n, 1), build.zeros((n,))),
    ("a slice of a unit vector", build.unit(n, 0)[1:3], build.zeros((Dimension.of(2),))),
    ("an entry of a slice", x[1:4][0], x[1]),
    ("the first entry is not in the slice", x[1:] @ build.unit(n - 1, 2), x[3]),
]


@pytest.mark.parametrize(("left", "right"), [case[1:] for case in SAME], ids=[c[0] for c in SAME])
def test_one_form(left: Node, right: Node) -> None:
    assert normal_form(left) is normal_form(right)
    assert flat_form(left) is flat_form(right)


DIFFERENT = [
    (A @ B, B @ A),
    (A, A.T),
    (e("i,ij,j->", x, A, y), e("i,ij,j->", y, A, x)),
    (tanh(x + y), tanh(x) + tanh(y)),
    ((x**2) ** Fraction(1, 2), x),
    (X @ inv(X.T), eye),
]


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_not_one_form(left: Node, right: Node) -> None:
    assert normal_form(left) is not normal_form(right)
    assert not equal(left, right)


def test_a_sum_is_a_whole() -> None:
    """The residual A x - b stays one factor: nothing is multiplied out."""
    r = A @ x - y
    assert normal_form(r @ r).exponents == (2,)
    assert len(normal_form(A.T @ r).children) == 2


def test_what_is_shared_stays_shared_but_in_the_flat_form() -> None:
    z = W @ u
    f = tanh(z) * z
    assert z in users(normal_form(f))
    assert equal(flat_form(f), f)


def test_sizes_are_numbers() -> None:
    assert normal_form(e("ii->", eye)) is build.number(n)
    mean = BOOK["mean"](build.broadcast(a, (n, m)))
    assert normal_form(expand(mean)) is a
    half = build.scale(Coefficient.of(n) ** Fraction(-1, 2), x)
    assert normal_form(half * half) is normal_form(x * x / n)


def test_settled_at_once() -> None:
    """What the first pass makes unshared is looked at again."""
    for text in (
        'var(einsum("ij,jk->ijk", W, K))',
        "A - matrix(var(v./(1+u.^2)))",
        "std(softmax(W,2))*W",
    ):
        shapes = {"W": "n m", "K": "m k", "A": "n n", "u": "m", "v": "m"}
        f = expand(read(text, shapes=shapes).formula)
        for form in (normal_form, flat_form):
            made = form(f)
            assert form(made) is made


# Equal by value


def test_terms_that_are_equal_by_value() -> None:
    left, right = e("i,ij,j->", x, S, y), e("i,ij,j->", y, S, x)
    assert merged(left - right) is build.number(0)
    assert equal(merged(left + right), 2 * left)
    assert merged(exp(x + y) - exp(x) * exp(y)) is build.zeros((n,))
    assert merged(exp(x + y) - exp(x)) is exp(x + y) - exp(x)


@pytest.mark.parametrize("name", list("abcdefgh"))
def test_a_sign_is_no_accident(name: str) -> None:
    """|a| is a at half of all points: two points are no proof where signs decide."""
    for f in (f"abs({name})*x + {name}*x", f"step({name})*{name}*x + {name}*x"):
        D = wrt.derivative(f, "x", shapes={"x": "", name: ""})
        assert D.check().passed
        assert D.matrix != "0"


def test_the_largest_entry_is_no_accident() -> None:
    """The largest entries of the rows of a symmetric matrix need not lie on its diagonal."""
    D = wrt.derivative("max(S,1)'", "S", shapes={"S": "n n symmetric"})
    assert D.check().passed
    assert D.structure.symmetries == (((1,), (2,)),)


def test_a_small_term_is_no_zero() -> None:
    shapes = {"x": "n", "y": "n"}
    D = wrt.derivative("1e-14*sin(y)'*x + tanh(y)'*x", "x", shapes=shapes)
    assert D.matrix == "tanh(y) + 1e-14*sin(y)"
    D = wrt.derivative("1e-20*exp(y)'*x + y'*x", "x", shapes=shapes)
    assert D.matrix == "y + 1e-20*exp(y)"


def test_whole_numbers_stay_whole() -> None:
    """Bounds and exponents are whole where formulas are compared by value."""
    shapes = {"A": "n n", "e": "", "x": "n", "a": ""}
    for text in ("A^e*x", "sum(r, 1, e, r*A)*x", "sum(r, 0, e-1, A^r*A^(e-1-r))*x"):
        D = wrt.derivative(text, "A", shapes=shapes)
        assert D.check().passed
        assert D.structure.symmetries is not None


def test_the_largest_of_a_sum() -> None:
    """No difference of two roundings decides which entry is the largest."""
    D = wrt.derivative("max(x + y - 2*A*x)", "x", shapes={"x": "n", "y": "n", "A": "n n"})
    assert D.matrix == "(eye(n)-2*A')*hardmax(x+y-2*A*x)"
    assert D.check().passed
