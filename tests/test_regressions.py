"""Formulas that were once answered wrongly or not at all: found by random trial, made small."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import wrt
from judging import judge_answer
from judging_further import JUDGEMENTS, Judgement, judge_gradients, place
from wrt.algebra import equal, flat_form
from wrt.errors import CheckFailed
from wrt.expression import build
from wrt.expression.coefficient import ONE, ZERO, Coefficient
from wrt.expression.nodes import Constant, Node
from wrt.language import read
from wrt.language.latex_tokens import is_latex


@pytest.mark.parametrize(
    ("text", "by", "shapes"),
    [
        ("std(ones(m, n))*(A*u)", "u", {"A": "m m", "u": "m"}),  # zero by a root of zero
        ("kron(A, hardmax(u))*v", "u", {"A": "m m", "u": "n", "v": "m"}),  # no part moves
        ("(M + eye(n))\\-p", "p", {"M": "n n", "p": "n"}),
        # an absolute value that is 0 somewhere, squared, has no kink
        ("1./(1 + abs(sin(y)*unit(m, 1)').^2)", "y", {"y": "n", "sizes": "n m"}),
        # entries of blocks, whose letters nothing else gives a length
        (
            'logsumexp([u\'*G*u, 1; std(einsum("ij,jk->ijk", W, K)), 2])',
            "u",
            {"u": "m", "G": "m m", "W": "n m", "K": "m k"},
        ),
        ('prod(0*einsum("ij,jk->ijk", V, K))*a', "a", {"V": "n m", "K": "m k", "a": ""}),
        # an imaginary number of Python's own among those of NumPy
        ("((1 + imag(G).^2).^tanh(imag(G))/2)[1,2]", "G", {"G": "m m complex"}),
        ("a*sum(T.^2)", "a", {"T": "n m k complex", "a": ""}),
    ],
)
def test_every_judgement_passes(text: str, by: str, shapes: dict[str, str]) -> None:
    D = wrt.derivative(text, by, shapes=shapes)
    judge_answer(D)


def test_a_root_of_zero_is_zero() -> None:
    zero = Constant(ZERO)
    half = Fraction(1, 2)
    assert build.product(ONE, [(zero, half, ())], (), ()) is zero
    zeros = build.zeros(read("x", {"x": "n"}).formula.dims)
    assert build.product(ONE, [(zeros, half, (0,))], (0,), zeros.dims) is zeros


def test_the_inverse_of_zero_is_defined_nowhere() -> None:
    D = wrt.derivative("inv(A - A)*x", "x")
    with pytest.raises(CheckFailed, match="no point was found"):
        D.check()


def test_solving_a_negative_is_no_latex() -> None:
    assert [is_latex(t) for t in ("A\\-b", "A\\Σ", r"a \, b", r"\% x")] == [
        False,
        False,
        True,
        True,
    ]


def test_the_imaginary_unit_beside_an_index_of_that_name() -> None:
    made = read(r"$D_{ia} = \delta_{ia} \frac{\mathrm{i}}{2} x_{a}$", {"x": "n"})
    assert made.text == "D[i,a] = delta[i,a]*(1i/2)*x[a]"


def test_a_range_in_latex_begins_at_the_index_of_another() -> None:
    text = r"(\prod_{j=1}^{3} (B + j I)) \sum_{j=1}^{3} \prod_{s=j + 1}^{4} (B + s I)"
    said = "prod(j, 1, 3, B + j*I)*sum(j1, 1, 3, prod(s, j1 + 1, 4, B + s*I))"
    assert read(text).text == said


def test_functions_are_read_as_they_are_printed() -> None:
    for word in ("arcsinh", "arccosh", "arctanh"):
        D = wrt.derivative(f"a*{word}(x)", "a")
        assert read(f"${D.latex()}$").formula is D.formula


def test_parts_of_slices_are_told_as_parts() -> None:
    D = wrt.derivative("sum(y.*erf(imag(W[:,1])))", "y")
    assert D.matrix == "erf(imag(W[:,1]))"


def test_a_word_of_a_real_argument_gets_real_numbers() -> None:
    torch = pytest.importorskip("torch")
    D = wrt.derivative("sum(y.*erf(imag(w)))", "y", shapes={"y": "n", "w": "n complex"})
    w = np.array([1 + 2j, 3 - 1j])
    got = D.compile("torch")(w=torch.from_numpy(w), y=[1.0, 2.0])
    assert np.allclose(got, D(w=w, y=[1, 2]))


def test_an_entry_needs_no_sizes_that_the_answer_has() -> None:
    D = wrt.derivative("ones(n)", "u", shapes={"u": "m", "sizes": "n m"})
    assert D(u=[1, 2], n=3).shape == (3, 2)
    assert D.entry_value((1, 2), u=[1, 2], n=3) == 0


def test_what_a_law_sums_over_stands_nowhere_else() -> None:
    """Σ_k hardmax(y)_k G_kj z_j is no largest entry of G*z where j is summed outside."""
    D = wrt.derivative("max(G*exp(V*q))", "q")
    assert D.matrix == "V'*((G'*hardmax(G*exp(V*q))).*exp(V*q))"


def test_a_product_over_itself_is_counted() -> None:
    """Σ_i (A*x)_i/(A*x)_i is their number."""
    x, A = wrt.vector("x", "n"), wrt.matrix("A", "m n")
    once = build.product(ONE, [((A @ x), -1, (0,)), (A, 1, (0, 1)), (x, 1, (1,))], (), A.dims)
    assert flat_form(once) is build.number(Coefficient.of(A.dims[0]))
    D = wrt.derivative("prod(u*y'*A*diag(x))*x", "x")
    assert D.check().passed


def test_terms_that_are_too_large_to_evaluate_are_left_as_they_are() -> None:
    sizes = dict.fromkeys("ABC", "n n n n")
    said = "D[i,j,k,l,a,b,c,d,e,f,g,h] = A[i,j,k,l]*B[a,b,c,d]*C[e,f,g,h]"
    f = read(said, {k: v.replace("n", k.lower()) for k, v in sizes.items()} | {"Sizes": "a b c"})
    assert equal(f.formula, 2 * f.formula) is False


def test_a_form_that_is_told_must_have_the_value_of_the_answer() -> None:
    D = wrt.derivative("x'*A*x", "x")
    vars(D)["flat"] = wrt.derivative("x'*A*x/2", "x").flat
    with pytest.raises(CheckFailed, match="the form in which it is told disagree"):
        D.check()


class Spoiled:
    """An answer that is twice what its words and programs say."""

    def __init__(self, D: wrt.Derivative) -> None:
        self.D = D
        self.formula = 2 * D.formula

    def __getattr__(self, name: str) -> Any:
        return getattr(self.D, name)

    def along(self, name: str) -> Node:
        return 2 * self.D.along(name)


@pytest.mark.parametrize("judgement", JUDGEMENTS, ids=lambda j: j.__name__)
def test_every_judgement_judges(judgement: Judgement, monkeypatch: pytest.MonkeyPatch) -> None:
    D = wrt.derivative("tanh(W*x)", "x", shapes={"W": "n m", "x": "m"})
    sizes, values = place(D)
    judgement(D, values, sizes, random.Random(1))
    if judgement is judge_gradients:  # which derives once more
        derivative = wrt.derivative
        monkeypatch.setattr(wrt, "derivative", lambda f, *names: derivative(2 * f, *names))
    with pytest.raises(AssertionError, match="off by"):
        judgement(Spoiled(D), values, sizes, random.Random(1))


def test_a_part_of_a_structured_answer_whose_brackets_are_opened() -> None:
    D = wrt.derivative("b*norm2(a*ones(m) + x)^2", "x", shapes={"x": "m", "a": "", "b": "n"})
    S = D.compile(structured=True)(a=2, b=[1, 3], x=[1, 2, 4])
    assert np.allclose(S[1].dense(), S.dense()[1])
    assert np.allclose(S[:, 1:].dense(), S.dense()[:, 1:])


def test_a_root_that_cannot_be_taken_out_of_a_sum() -> None:
    D = wrt.derivative("arccosh(pinv(V').^2 + 1.5)", "V", shapes={"V": "n m"})
    assert "pinv(V)" in D.index
