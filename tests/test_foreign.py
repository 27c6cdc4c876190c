"""What people write who come from NumPy, MATLAB, LaTeX: each is told how it is said here."""

from __future__ import annotations

import re

import pytest

import wrt
from wrt.errors import Mistake
from wrt.language.foreign import FOREIGN


@pytest.mark.parametrize(
    ("text", "by", "told"),
    [
        ("x.sum()", "x", "perhaps sum(x)"),
        ("(A*x).sum()", "x", "perhaps sum(…)"),
        ("X.sum(axis=0)", "X", "perhaps sum(X, …)"),
        ("A.dot(x)", "x", "perhaps dot(A, …)"),
        ("A.matmul(x)", "x", "perhaps A*B"),
        ("A.'*x", "x", "perhaps X' is the transpose"),
        ("np.linalg.inv(A)*b", "A", "perhaps inv without np.linalg."),
        ("np.matmul(A, x)", "x", "perhaps A*B"),
        ("F.relu(W*x)", "W", "perhaps relu without F."),
        ("inner(a, b)", "a", "here that is x'*y"),
        ("square(x)", "x", "here that is x.^2"),
        ("svd(A)", "A", "here that is svdvals(X), svdleft(X) and svdright(X)"),
        ("grad(x'*x)", "x", "a formula stands alone; the names given with it say by what"),
        ("tr A*X", "X", "perhaps tr(A)"),
        ("log det X", "X", "perhaps log(det(…))"),
        ("sin^2(x)", "x", "perhaps sin(…)^2"),
        ("[1 2 3]*x", "x", "perhaps 1, 2"),
        ("A_ij x_j", "x", "perhaps A_ij*x_j"),
        ("X(1,2)", "X", "perhaps X[1,2], an entry"),
        ("norm2(A, 'fro')", "A", "perhaps ' behind what is transposed, as in x'"),
        ("x >= 0", "x", "perhaps step(x), which is 1 where x > 0; relu(x); max(x, y)"),
        ("x == y", "x", "perhaps =, behind a name that a line defines; or x - y, which is 0 where"),
        ("sum(X, axis=0)", "X", "perhaps sum(X,1), over each column, or sum(X,2), over each row"),
        ("gelu(x, tanh=1)", "x", "they are told apart by their places, as in f(x, y)"),
        ("A[i,j]*x[j]", "x", "entries by letters need a line that says which are kept"),
        ('einsum("ij,j->k", A, x)', "x", 'as in einsum("ijk,k->ij", T, x)'),
    ],
)
def test_it_is_told_how_it_is_said_here(text: str, by: str, told: str) -> None:
    with pytest.raises(Mistake) as caught:
        wrt.derivative(text, by)
    assert (caught.value.hint or "").startswith(told)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('einsum("ij,j->k", A, x)', "the letter k of the result stands on none of the arrays"),
        ('einsum("ij,j", A, x)', "einsum wants an arrow and the letters of the result"),
        ('einsum("ij->i", A, x)', "einsum wants its letters first, one group for each array"),
    ],
)
def test_the_letters_of_einsum(text: str, message: str) -> None:
    with pytest.raises(Mistake, match=re.escape(message)):
        wrt.read(text)


@pytest.mark.parametrize("word", sorted(FOREIGN))
def test_what_it_is_here_can_be_read(word: str) -> None:
    said = FOREIGN[word].partition(", which")[0]
    for one in re.split(r", or | and |, (?=norm|svd)| or ", said):
        formula = re.split(r"; |, one|, row| side|, of a", one)[0] if " " in one else one
        if not one.startswith(("a formula", "[")):
            wrt.read(formula)


def test_a_name_is_quoted_where_its_index_is_wrong() -> None:
    with pytest.raises(Mistake) as caught:
        wrt.derivative("x'*A*x", "x[a]")
    assert "    x[a]\n      ^" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shapes", "told"),
    [
        ("e^x", None, True),
        ("log(1 + e.^(x))", None, True),
        ("e^x", {"e": ""}, False),
        ("e*x", None, False),
        ("re^x", {"re": "", "x": ""}, False),
        ("e'*x", None, False),
    ],
)
def test_a_power_of_e_is_no_exponential_function(
    text: str, shapes: dict[str, str] | None, told: bool
) -> None:
    assumed = wrt.derivative(text, "x", shapes=shapes).assumed
    assert ("e is a name: e^x is no exp(x)" in assumed) is told
