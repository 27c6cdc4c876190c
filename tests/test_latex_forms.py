"""LaTeX out: KaTeX takes it in strict mode, and it reads back to the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest

import wrt
from case_data import CASES, SIZES, draw
from fuzzing import question
from judging import close, declared, place, read_back, said_shape
from katex import katex
from wrt import notation
from wrt.algebra import equal, settled
from wrt.algebra.equality import sample_point, sample_sizes
from wrt.answers.derivation.steps import in_latex
from wrt.answers.shown.typeset import LATEX_FORMS
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Node
from wrt.expression.walk import dimension_names, variables
from wrt.functions import BOOK
from wrt.language import read
from wrt.notation.latex_names import latex_name

IDS = [case["id"] for case in CASES]


@cache
def asked(number: int) -> wrt.Derivative:
    case = CASES[number]
    symmetric = case["symmetric"] or "projected"
    return wrt.derivative(case["text"], *case["wrt"], shapes=case["shapes"], symmetric=symmetric)


@pytest.fixture(scope="module")
def strict() -> Iterator[Callable[[str], str]]:
    with katex() as said:
        yield said


def test_katex_is_strict(strict: Callable[[str], str]) -> None:
    assert strict(r"\frac{1}{2} x^\top") == ""
    assert "Double superscript" in strict("x^a^b")
    assert strict(r"\unknown x") != ""


@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_every_form_is_good_latex(number: int, strict: Callable[[str], str]) -> None:
    D = asked(number)
    said = [D.latex()]
    for bold in (False, True):
        said += [D.latex(form, bold=bold) for form in LATEX_FORMS]
    assert (said[0] is None) == (D.matrix is None and D.index is None)
    for latex in filter(None, said):
        assert strict(latex) == "", latex


def same(D: wrt.Derivative, latex: str, node: Node, number: int) -> None:
    """The LaTeX reads back to the numbers of the node."""
    values = draw(CASES[number])
    names = {v.name for v in variables(node)}
    sizes = {**dict.fromkeys(dimension_names(node), 3), **SIZES}
    for variable in D.question.variables.values():
        array = values.get(variable.name)
        for dim, size in zip(variable.dims, np.shape(array), strict=True):
            sizes |= {str(dim): size} if dim.value is None else {}
    known = {k: v for k, v in values.items() if k in names}
    try:
        made = read_back(D, f"${latex}$", node)
    except AssertionError:  # sizes that stand in a δ only, which the text lacks too
        assert D.index is not None
        shapes = declared(D, node)
        assert wrt.read(f"${latex}$", shapes) is wrt.read(D.index, shapes)
        return
    assert {v.name for v in variables(made)} <= names, latex
    close(evaluate(made, known, sizes), evaluate(node, known, sizes), latex)


@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
@pytest.mark.parametrize("form", ["matrix", "index", "einsum"])
def test_what_is_printed_reads_back(form: str, number: int) -> None:
    D = asked(number)
    for bold in (False, True):
        latex = D.latex(form, bold=bold)
        if latex is not None and r"\mathbf{e}^{(\min(" not in latex:
            same(D, latex, D.flat, number)


KRONECKER = [k for k, case in enumerate(CASES) if len(case["wrt"]) == 1][::3]


@pytest.mark.parametrize("number", KRONECKER, ids=[IDS[k] for k in KRONECKER])
def test_kronecker_forms_read_back(number: int) -> None:
    D = asked(number)
    for order in ("rows", "columns"):
        text, latex = D.kronecker(order), D.latex(f"kronecker-{order}")
        assert (text is None) == (latex is None)
        if text is not None and latex is not None:
            shapes = declared(D, D.plain)
            one, two = wrt.read(f"${latex}$", shapes), wrt.read(text, shapes)
            assert one is two or one.shape == two.shape


EXAMPLES = sorted({example for record in BOOK.values() for example in record.examples})


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_of_records(example: str, strict: Callable[[str], str]) -> None:
    """Every word of the book in LaTeX: KaTeX takes it, and it is read as the same formula."""
    reading = read(example)
    node = settled(reading.formula)
    latex = notation.latex(node) or notation.latex_index(node, "f")
    assert latex is not None
    assert strict(latex) == "", latex
    shapes = {v.name: said_shape(v) for v in reading.variables.values()}
    shapes |= dict.fromkeys(reading.functions, "entrywise")
    shapes["Sizes"] = " ".join(dimension_names(node, *reading.variables.values())) or "n"
    made = read(f"${latex}$", shapes).formula
    assert made.dims == node.dims, latex
    sizes = sample_sizes((node, made))
    values = sample_point((node, made), sizes, 0)
    close(evaluate(made, values, sizes), evaluate(node, values, sizes), latex)


@pytest.mark.parametrize("number", range(0, len(CASES), 6), ids=IDS[::6])
def test_derivations_are_good_latex(number: int, strict: Callable[[str], str]) -> None:
    latex = in_latex(asked(number).steps())
    assert strict(latex) == "", latex


NAMES = (
    "x x1 x_1 W_hh x_t x_max W_a_b beta_hat beta_hat1 x_bar_t lambda Sigma_1 hidden dx dtheta"
    " dhidden Wx theta_x x12y lambda_ x__1 omicron Rho a_hatch e T H I2 phi_alpha"
).split()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("face", ["", "bold"])
def test_names_read_back(name: str, face: str, strict: Callable[[str], str]) -> None:
    shown = latex_name(name, face)
    assert strict(shown) == "", shown
    made = read(f"${shown}^\\top {shown}$", {name: "n"})
    assert list(made.variables) == [name]
    undeclared = read(f"${shown}$").variables
    wanted = {"x_1": ["x1"], "Sigma_1": ["Sigma1"], "T": ["T"]}
    assert list(undeclared) == wanted.get(name, [name])


@pytest.mark.parametrize("start", range(0, 60, 10))
def test_random_formulas(start: int, strict: Callable[[str], str]) -> None:
    for seed in range(start, start + 10):
        asked_for = question(seed)
        D = wrt.derivative(asked_for.text, *asked_for.wrt, shapes=asked_for.shapes)
        try:
            sizes, values = place(D)
        except AssertionError:  # defined nowhere near the places that are tried
            continue
        for form in LATEX_FORMS:
            latex = D.latex(form)
            if latex is None:
                continue
            assert strict(latex) == "", (asked_for, latex)
            if form in ("matrix", "index", "einsum"):
                made = read_back(D, f"${latex}$", D.flat)
                wanted = evaluate(D.flat, values, sizes)
                close(evaluate(made, values, sizes), wanted, f"{asked_for}: {latex}")


def test_names_stay_as_they_were_written(strict: Callable[[str], str]) -> None:
    question = r"\lVert \mathbf{W}_{hh} \vec{x} - \hat{\mathbf y}_1 \rVert^2"
    D = wrt.derivative(question, r"\vec{x}")
    said = r"2 \mathbf{W}_{hh}^\top (\mathbf{W}_{hh} \vec{x} - \hat{\mathbf y}_1)"
    assert D.latex() == said
    assert D.latex(macros={"W_hh": r"\mW"}) == said.replace(r"\mathbf{W}_{hh}", r"\mW")
    assert r"\mathrm{d}\vec{x}" in (D.latex("differential") or "")
    shapes = declared(D, D.flat)
    for form in ("matrix", "index", "einsum"):
        latex = D.latex(form)
        assert latex is not None
        assert strict(latex) == ""
        assert equal(read(f"${latex}$", shapes).formula, D.flat), latex


def test_a_variable_sigma_is_no_function() -> None:
    D = wrt.derivative(r"\sigma \cdot \operatorname{sigmoid}(x)", r"\sigma")
    assert D.latex() == r"\operatorname{sigmoid}(x)"
