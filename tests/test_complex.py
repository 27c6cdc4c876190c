"""Complex variables: derivatives by x and by conj(x), each with the other held fixed."""

from __future__ import annotations

import contextlib
import io
import json
import re
from typing import Any

import numpy as np
import pytest

import wrt
from judging import judge_answer
from wrt.algebra import conditions, equal, expand, flat_form
from wrt.algebra.conjugation import bar, conjugate, frozen, has_real_values, is_real, thawed
from wrt.apps import command
from wrt.expression.dimensions import Dimension
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Variable
from wrt.expression.walk import variables
from wrt.functions import BOOK
from wrt.language import read
from wrt.notation import index, matrix

SHAPES = {
    "A": "m n complex",
    "B": "k k complex",
    "C": "n n complex",
    "H": "k n complex",
    "R": "m n",
    "X": "n k complex",
    "Z": "n n complex",
    "a": "complex",
    "b": "m complex",
    "h": "n complex",
    "la": "",
    "s": "positive",
    "t": "n",
    "v": "n complex",
    "w": "n complex",
    "x": "n complex",
    "y": "m",
    "z": "n complex",
}
SIZES = {"m": 5, "n": 4, "k": 3}

#: Formula, by what, the closed form, and the formula in NumPy.
ROWS: list[tuple[str, str, str | None, str]] = [
    # least squares, traces, determinants (The Matrix Cookbook, chapter 4)
    ("norm2(A*x-b)^2", "conj(x)", "A^H*(A*x - b)", "norm(A@x-b)**2"),
    ("norm2(A*x-b)^2", "x", "A'*conj(A*x - b)", "norm(A@x-b)**2"),
    ("norm2(A*x-b)", "conj(x)", "A^H*(A*x-b)/(2*norm2(A*x-b))", "norm(A@x-b)"),
    ("tr(X*X^H)", "X", "conj(X)", "np.trace(X@H_(X))"),
    ("tr(X*X^H)", "conj(X)", "X", "np.trace(X@H_(X))"),
    ("tr(X*H)", "X", "H'", "np.trace(X@H)"),
    ("tr(H*conj(X))", "conj(X)", "H'", "np.trace(H@X.conj())"),
    ("tr(X*H)+la*tr(X^H*X)", "X", "H' + la*conj(X)", "np.trace(X@H)+la*np.trace(H_(X)@X)"),
    ("tr(X^H*C*X)", "X", "C'*conj(X)", "np.trace(H_(X)@C@X)"),
    ("tr(X^H*C*X)", "conj(X)", "C*X", "np.trace(H_(X)@C@X)"),
    ("tr(C*X*B*X^H)", "conj(X)", "C*X*B", "np.trace(C@X@B@H_(X))"),
    ("tr(C*X*B*X^H)", "X", "C'*conj(X)*B'", "np.trace(C@X@B@H_(X))"),
    ("det(X^H*C*X)", "conj(X)", "C*X*adj(X^H*C*X)", "det(H_(X)@C@X)"),
    ("logdet(X^H*C*X)", "conj(X)", "C*X*inv(X^H*C*X)", "np.log(det(H_(X)@C@X))"),
    ("abs(det(Z))^2", "conj(Z)", "abs(det(Z))^2*inv(Z^H)", "abs(det(Z))**2"),
    ("log(abs(det(Z)))", "conj(Z)", "inv(Z^H)/2", "np.log(abs(det(Z)))"),
    ("norm2(X)", "conj(X)", "X/(2*norm2(X))", "norm(X)"),
    ("norm2(C*Z-Z*C)^2", "conj(Z)", None, "norm(C@Z-Z@C)**2"),
    ("norm2(inv(Z))^2", "conj(Z)", "-inv(Z^H)*inv(Z)*inv(Z^H)", "norm(inv(Z))**2"),
    ("norm2(X*X^H-C)^2", "conj(X)", "(2*X*X^H-C-C^H)*X", "norm(X@H_(X)-C)**2"),
    ("tr(X^H*X*X^H*X)", "conj(X)", "2*X*X^H*X", "np.trace(H_(X)@X@H_(X)@X)"),
    # signal processing
    ("x^H*C*x", "conj(x)", "C*x", "x.conj()@C@x"),
    ("x^H*C*x", "x", "C'*conj(x)", "x.conj()@C@x"),
    ("x^H*C*x/(x^H*x)", "conj(x)", None, "x.conj()@C@x/(x.conj()@x)"),
    ("real(x^H*C*x)", "conj(x)", "(C+C^H)*x/2", "(x.conj()@C@x).real"),
    ("sum((abs(A*x).^2-y).^2)", "conj(x)", None, "sum((abs(A@x)**2-y)**2)"),
    ("norm2(abs(A*x)-y)^2", "conj(x)", None, "norm(abs(A@x)-y)**2"),
    ("log(1+abs(h^H*w)^2/s)", "conj(w)", None, "np.log(1+abs(h.conj()@w)**2/s)"),
    ("abs(a-w^H*x)^2", "conj(w)", "conj(w^H*x-a)*x", "abs(a-w.conj()@x)**2"),
    ("abs(a-w^H*x)", "conj(w)", None, "abs(a-w.conj()@x)"),
    ("w^H*C*w-2*real(w^H*h)", "conj(w)", "C*w - h", "w.conj()@C@w-2*(w.conj()@h).real"),
    ("abs(h^H*w)^2/(w^H*C*w+s)", "conj(w)", None, "abs(h.conj()@w)**2/(w.conj()@C@w+s)"),
    ("sum(log(1+abs(A*x).^2))", "conj(x)", None, "sum(np.log(1+abs(A@x)**2))"),
    # parts, absolute values, other words
    ("real(x^H*z)", "x", "conj(z)/2", "(x.conj()@z).real"),
    ("imag(x^H*z)", "conj(x)", "-1i*z/2", "(x.conj()@z).imag"),
    ("sum(abs(x))", "x", "conj(x)./abs(x)/2", "sum(abs(x))"),
    ("norm1(x-z)", "conj(x)", "(x-z)./abs(x-z)/2", "sum(abs(x-z))"),
    ("mean(abs(x-z).^2)", "conj(x)", "(x-z)/n", "np.mean(abs(x-z)**2)"),
    ("var(x)", "conj(x)", None, "np.var(x)"),
    ("exp(-norm2(x-z)^2/s)", "conj(x)", "-exp(-norm2(x-z)^2/s)*(x-z)/s", "np.exp(-norm(x-z)**2/s)"),
    ("sum(relu(real(A*x)))", "x", "A'*step(real(A*x))/2", "sum(np.maximum((A@x).real,0))"),
    ("max(abs(x))", "conj(x)", None, "max(abs(x))"),
    ("sum(sigmoid(real(A*x)))", "conj(x)", None, "sum(1/(1+np.exp(-(A@x).real)))"),
    ("conj(A*x)", "conj(x)", "conj(A)", "(A@x).conj()"),
    ("abs(x)", "x", "diag(conj(x)./abs(x))/2", "abs(x)"),
    ("inv(Z)*x", "Z", None, "inv(Z)@x"),
    ("A*diag(x)*conj(x)", "conj(x)", "A*diag(x)", "A@(x*x.conj())"),
    ("x^H*C*x", "C", "conj(x)*x'", "x.conj()@C@x"),
    # real and complex together
    ("norm2(A*t-b)^2", "t", "2*real(A^H*(A*t-b))", "norm(A@t-b)**2"),
    ("norm2(R*x-b)^2", "conj(x)", "R'*(R*x-b)", "norm(R@x-b)**2"),
    ("sum(y.*abs(A*x).^2)", "y", "abs(A*x).^2", "y@abs(A@x)**2"),
    ("la*tr(X^H*X)", "la", "norm2(X)^2", "la*np.trace(H_(X)@X)"),
    ("exp(1i*la*s)", "la", "1i*s*exp(1i*la*s)", "np.exp(1j*la*s)"),
    ("abs(exp(1i*la)+s)^2", "la", None, "abs(np.exp(1j*la)+s)**2"),
]
IDS = [f"{f} by {x}" for f, x, _, _ in ROWS]


def asked(f: str, *xs: str) -> wrt.Derivative:
    names = {v for v in SHAPES if v in _names(f) or any(v in _names(x) for x in xs)}
    return wrt.derivative(f, *xs, shapes={v: SHAPES[v] for v in sorted(names)})


def _names(text: str) -> set[str]:
    return {v.name for v in variables(read(text, shapes=SHAPES).formula)}


def drawn(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = {}
    for name, said in SHAPES.items():
        shape = [SIZES[d] for d in said.split() if d in SIZES]
        value = rng.normal(size=shape)
        values[name] = value + 1j * rng.normal(size=shape) if "complex" in said else value
        if "positive" in said:
            values[name] = abs(value) + 0.5
    return values


SPACE = {
    "np": np,
    "norm": np.linalg.norm,
    "det": np.linalg.det,
    "inv": np.linalg.inv,
    "H_": lambda X: X.conj().T,
}


def differences(code: str, name: str, conjugated: bool, values: dict[str, Any]) -> np.ndarray:
    """(∂/∂re ∓ i ∂/∂im)/2 of a NumPy expression by central differences, entry by entry."""

    def at(step: complex, index: tuple[int, ...]) -> np.ndarray:
        moved = np.array(values[name])
        moved[index] += step
        return np.asarray(eval(code, SPACE, {**values, name: moved}))

    h, base = 1e-5, values[name]
    columns = []
    for place in np.ndindex(base.shape):
        slope = (at(h, place) - at(-h, place)) / (2 * h)
        if np.iscomplexobj(base):
            across = (at(1j * h, place) - at(-1j * h, place)) / (2 * h)
            slope = (slope + (1j if conjugated else -1j) * across) / 2
        columns.append(slope)
    table = np.array(columns).reshape((*base.shape, *np.shape(columns[0])))
    axes = list(range(base.ndim, table.ndim)) + list(range(base.ndim))
    return table.transpose(axes)


@pytest.mark.parametrize(("f", "by", "text", "code"), ROWS, ids=IDS)
def test_the_derivative_is_that_of_numpy(f: str, by: str, text: str | None, code: str) -> None:
    D, values = asked(f, by), drawn()
    if text is not None:
        assert (D.matrix or "").replace(" ", "") == text.replace(" ", "")
    name = by.removeprefix("conj(").removesuffix(")")
    want = differences(code, name, by != name, values)
    given = {v.name: values[v.name] for v in D.arguments}
    got = D({**given, **{size: SIZES[size] for size in D.compile().sizes}})
    assert np.allclose(got, want, rtol=1e-6, atol=1e-6)
    assert D.check().passed


@pytest.mark.parametrize(("f", "by"), [row[:2] for row in ROWS], ids=IDS)
def test_all_doors_agree(f: str, by: str) -> None:
    """Forms, sentences that read back, structure, programs and maps."""
    judge_answer(asked(f, by))


def test_a_published_case_is_no_longer_than_its_answer() -> None:
    shapes = {"X": "m k complex", "A": "m m complex"}
    D = wrt.derivative("det(X^H*A*X)", "conj(X)", shapes=shapes)
    assert D.matrix == "A*X*adj(X^H*A*X)"
    assert D.latex() == r"A X \operatorname{adj}(X^{\mathsf H} A X)"


# Higher orders, entries, directions


def test_the_complex_hessian() -> None:
    assert asked("norm2(A*x-b)^2", "conj(x)", "x").matrix == "A^H*A"
    assert asked("norm2(A*x-b)^2", "x", "conj(x)").matrix == "A'*conj(A)"
    D = asked("norm2(A*x-b)^2", "x", "x")
    assert D.why_zero
    D = asked("sum(abs(A*x).^4)", "conj(x)", "conj(x)")
    assert D.matrix == "2*A^H*diag((A*x).^2)*conj(A)"
    judge_answer(D)
    D = asked("sum(abs(A*x).^4)", "conj(x)", "x")
    assert D.matrix == "4*A^H*diag(abs(A*x).^2)*A"
    judge_answer(D)


def test_entries_and_slices_of_a_conjugate() -> None:
    shapes = {"A": "m 3 complex", "X": "3 k complex", "B": "m k complex"}
    for text in ("conj(X)[2,:]", "conj(X[2,:])"):
        D = wrt.derivative("norm2(A*X-B)^2", text, shapes=shapes)
        assert D.shape == ("k",)
        assert D.check().passed
    D = wrt.derivative("norm2(A*X-B)^2", "conj(X)", shapes=shapes)
    assert D.entry(1, 2) == "A[:,1]^H*(A*X-B)[:,2]"


def test_the_map_holds_the_other_fixed() -> None:
    D, values = asked("norm2(A*x-b)^2", "conj(x)"), drawn()
    given = {name: values[name] for name in "Abx"}
    rng = np.random.default_rng(3)
    V = rng.normal(size=4) + 1j * rng.normal(size=4)
    assert np.allclose(D.apply(V, **given), D(**given) @ V)
    assert np.allclose(D.pullback(2 - 1j, **given), (2 - 1j) * D(**given))
    other = asked("norm2(A*x-b)^2", "x")
    both = D.apply(V.conj(), **given) + other.apply(V, **given)
    f = lambda x: np.linalg.norm(values["A"] @ x - values["b"]) ** 2  # noqa: E731
    h = 1e-6
    slope = (f(values["x"] + h * V) - f(values["x"] - h * V)) / (2 * h)
    assert np.allclose(both, slope)


def test_a_constrained_complex_matrix() -> None:
    shapes = {"S": "n n symmetric complex", "A": "n n complex"}
    D = wrt.derivative("tr(A*conj(S))", "conj(S)", shapes=shapes)
    assert D.matrix == "(A+A')/2"
    assert D.check().passed
    tied = wrt.derivative("norm2(S)^2", "S", shapes=shapes, symmetric="tied")
    assert tied.check().passed


# Programs


def test_a_real_answer_is_real_in_numbers() -> None:
    D, values = asked("norm2(A*t-b)^2", "t"), drawn()
    got = D(A=values["A"], t=values["t"], b=values["b"])
    assert got.dtype == np.float64
    single = {name: values[name].astype(np.complex64) for name in "Ab"}
    assert D(**single, t=values["t"].astype(np.float32)).dtype == np.float32


def test_words_of_real_numbers_meet_real_parts() -> None:
    D, values = asked("sum(max(real(A*x), y))", "conj(x)"), drawn()
    want = differences("sum(np.maximum((A@x).real,y))", "x", True, values)
    assert np.allclose(D(A=values["A"], x=values["x"], y=values["y"]), want, atol=1e-6)


def test_complex_numbers_for_a_real_name_are_refused() -> None:
    D = wrt.derivative("norm2(A*x)^2", "x", shapes={"A": "m n", "x": "n"})
    with pytest.raises(wrt.errors.ValueMistake, match="complex entries"):
        D(A=np.eye(2), x=[1j, 2])


# What is complex


def test_names_that_nobody_declared_are_complex_where_conjugates_are() -> None:
    read_so = wrt.derivative("x^H*A*x", "x").assumed
    assert read_so == ("x is a complex vector (n)", "A is a complex matrix (n × n)")
    assert wrt.derivative("norm2(A*x-b)^2", "conj(x)").matrix == "A^H*(A*x-b)"
    D = wrt.derivative("norm2(A*x-b)^2", "x", shapes={"x": "n complex"})
    assert D.assumed[0] == "A is a complex matrix (m × n)"
    assert wrt.derivative("x'*A*x", "x").matrix == "(A+A')*x"
    assert "complex" not in " ".join(wrt.derivative("exp(1i*w*t)", "w").assumed)


def test_a_whole_number_is_no_complex_one() -> None:
    D = wrt.derivative("real(x^H*A^k*x)", "conj(x)")
    assert D.matrix == "(A^k+(A^H)^k)*x/2"
    assert "k is a scalar" in D.assumed


def test_python_formulas() -> None:
    x = wrt.vector("x", "n complex")
    D = wrt.derivative(wrt.conj(x) @ x, wrt.conj(x))
    assert D.matrix == "x"
    assert wrt.derivative(wrt.real(x @ x), x).matrix == "x"


def test_conj_of_a_real_name_is_the_name() -> None:
    with pytest.raises(wrt.errors.NotDifferentiable, match="x is real, so conj"):
        wrt.derivative("norm2(A*x-b)^2", "conj(x)", shapes={"x": "n"})
    shapes = {"A": "n n", "x": "n"}
    assert wrt.derivative("x^H*A*real(x)+imag(sum(x))", "x", shapes=shapes).matrix == "(A+A')*x"


@pytest.mark.parametrize("word", ["relu", "sign", "step", "max", "min"])
def test_words_without_a_complex_derivative_are_refused(word: str) -> None:
    with pytest.raises(wrt.errors.NotDifferentiable, match=f"^{word}.* is defined for real"):
        wrt.derivative(f"sum({word}(x))", "x", shapes={"x": "n complex"})


def test_an_unknown_function_of_a_complex_number_is_refused() -> None:
    shapes = {"phi": "entrywise", "x": "n complex"}
    with pytest.raises(wrt.errors.NotDifferentiable, match="phi is not known to be holomorphic"):
        wrt.derivative("sum(phi(x))", "x", shapes=shapes)
    assert wrt.derivative("sum(phi(abs(x)))", "x", shapes=shapes).check().passed


def test_what_is_held_fixed_is_said() -> None:
    assert asked("x^H*C*x", "x").held == "conj(x) is held fixed (Wirtinger)"
    said = asked("norm2(A*x-b)^2", "conj(x)").held
    assert said == ("x is held fixed (Wirtinger); f is real, and its steepest ascent is along this")
    assert asked("x^H*C*x", "conj(x)").held == "x is held fixed (Wirtinger)"
    assert asked("norm2(A*t-b)^2", "t").held is None
    assert asked("conj(A*x)", "x").why_zero == (
        "conj(A*x) depends on conj(x) only, which is held fixed by x"
    )


# Conjugates at variables


N = Dimension.of("n")
Z = Variable("z", (N,), ["complex"])
R = Variable("r", (N,))


def test_conj_goes_to_the_variables() -> None:
    for text in ("exp(z).*r", "inv(diag(z))*r", "softmax(z+1i*r)", "solve(diag(z), r)", "z[1]*z"):
        node = expand(read(text, shapes={"z": "n complex", "r": "n"}).formula)
        turned = conjugate(node)
        assert conjugate(turned) is node
        point = {"z": np.array([0.3 + 0.5j, 1 - 0.2j, -0.7 + 1j]), "r": np.array([1.0, 2.0, 3.0])}
        assert np.allclose(evaluate(turned, point), np.conj(evaluate(node, point)))


def test_what_is_its_own_conjugate_is_real() -> None:
    shapes = {"z": "n complex", "r": "n", "A": "n n complex"}
    for text, real in (
        ("z^H*z", True),
        ("z'*z", False),
        ("norm2(A*z-r)", True),
        ("real(z).*imag(z)", True),
        ("1i*(sum(z)-conj(sum(z)))", True),
        ("1i*sum(r)", False),
        ("z^H*(A+A^H)*z", True),
        ("z^H*A*z", False),
    ):
        node = expand(read(text, shapes=shapes).formula)
        assert has_real_values(node) is real, text
        assert real or not is_real(node), text


def test_frozen_and_thawed() -> None:
    f = bar(Z) * Z
    apart, other = frozen(f, Z)
    assert {v.name for v in apart.names} == {"z", "z_"}
    assert thawed(apart, Z, other) is f
    assert bar(R) is R


def test_equality_knows_conjugates() -> None:
    z = Variable("z", (), ["complex"])
    assert equal(BOOK["exp"](z) * BOOK["exp"](bar(z)), BOOK["exp"](z + bar(z)))
    assert not equal(z * z, z * bar(z))


@pytest.mark.parametrize("word", [w for w, f in BOOK.items() if f.complex_definition])
def test_a_word_is_its_complex_definition(word: str) -> None:
    function = BOOK[word]
    formula = read(f"{word}(x)", shapes={"x": "n complex"}).formula
    point = {"x": np.array([0.3 + 0.5j, 1 - 0.2j, -0.7 + 1j])}
    assert function.complex_definition
    assert np.allclose(evaluate(formula, point), evaluate(expand(formula), point))


@pytest.mark.parametrize("word", [w for w, f in BOOK.items() if f.is_holomorphic and f.array])
def test_a_holomorphic_word_has_a_complex_derivative(word: str) -> None:
    form = BOOK[word].forms[0]
    if len(form.arguments) != 1:
        return
    dims = form.arguments[0].dims
    axes = "3" if dims is None else " ".join(["3"] * len(dims))
    shapes = {"x": f"{axes} complex"}
    D = wrt.derivative(f"{word}(x)", "x", shapes=shapes)
    assert D.check().passed
    assert wrt.derivative(f"conj({word}(x))", "conj(x)", shapes=shapes).check().passed


def test_conditions_speak_of_the_variable() -> None:
    assert asked("sum(abs(x))", "x").valid == ("x ≠ 0 in every entry",)
    assert asked("abs(det(Z))^2", "conj(Z)").valid == ("Z is invertible",)
    assert asked("log(1+abs(h^H*w)^2/s)", "w").valid == ()
    assert asked("log(a)", "a").valid == ("a is neither 0 nor a negative number",)
    assert not conditions((expand(read("log(1+norm2(A*x)^2)", shapes=SHAPES).formula),))


# The command line


def wrt_says(*arguments: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert command.run(list(arguments)) == 0
    return out.getvalue()


def test_complex_numbers_on_the_command_line() -> None:
    said = wrt_says(
        *("norm2(A*x-b)^2", "conj(x)", "--at", "A=[[1,2i],[3,4]]"),
        *("--at", "x=[1+1i,1]", "--at", "b=[0,1]", "--json"),
    )
    assert json.loads(said)["value"] == [[19.0, 12.0], [30.0, 10.0]]
    assert json.loads(said)["held"].startswith("x is held fixed")


@pytest.mark.parametrize(
    "option", [["--latex"], ["--json"], ["--code", "numpy"], ["--direction", "V"]]
)
def test_every_option_takes_complex_formulas(option: list[str]) -> None:
    assert wrt_says("abs(a-x^H*b)^2", "conj(x)", *option)


def test_latex_marks() -> None:
    assert asked("norm2(A*x-b)^2", "x").latex() == r"A^\top \overline{A x - b}"
    assert asked("norm2(A*x-b)^2", "conj(x)").latex() == (r"A^{\mathsf H} (A x - b)")


@pytest.mark.parametrize(
    ("f", "text"),
    [
        ("real(tr(Z*Z'))", "real(sum(Z.^2))"),
        ("real(tr(C*Z))", "real(tr(C*Z))"),
        ("abs(tr(C*Z))^2", "abs(tr(C*Z))^2"),
        ("tr(Z*Z')", "sum(Z.^2)"),
        ("x'*x", "x'*x"),
        ("x^H*x", "x^H*x"),
        ("abs(x^H*C*z)^2", "abs(x^H*C*z)^2"),
    ],
)
def test_a_number_and_its_conjugate_are_recognised(f: str, text: str) -> None:
    assert matrix(flat_form(expand(read(f, shapes=SHAPES).formula)), names=list(SHAPES)) == text


def test_inner_products_stay_closed_beside_entries() -> None:
    text = "norm2(z*z^H*conj(C)*(C*z)*(x+z)^H)^2"
    judge_answer(asked(text, "conj(C)"))
    shapes = dict.fromkeys("ABCD", "n n") | dict.fromkeys("wxyz", "n")
    said = "E[i,j] = (y'*A*B*y)*z[i]*x[j] + (y'*C*D*y)*w[i]*z[j]"
    node = flat_form(expand(read(said, shapes=shapes).formula))
    again = read(index(node, "E", split=1) or "", shapes=shapes).formula
    point = {
        name: np.random.default_rng(ord(name)).normal(size=(3,) * len(d.split()))
        for name, d in shapes.items()
    }
    assert np.allclose(evaluate(again, point), evaluate(node, point))


def test_a_conjugate_in_latex() -> None:
    D = wrt.derivative(r"\lVert A x - b \rVert^2", r"\overline{x}")
    assert D.matrix == "A^H*(A*x-b)"
    assert wrt.derivative(r"x^{\mathsf H} A x", "x").matrix == "A'*conj(x)"


def test_a_real_name_and_a_complex_one_are_not_taken_for_each_other() -> None:
    """The words for one question are not those of another with the same letters."""
    text = "(x-y)'*(x-y)*tr(G)"
    real = wrt.derivative(text, "G", shapes={"x": "n", "y": "n", "G": "m m"})
    assert real.matrix == "norm2(x-y)^2*eye(m)"
    shapes = {"x": "n complex", "y": "n complex", "G": "m m complex"}
    assert wrt.derivative(text, "G", shapes=shapes).matrix == "((x-y)'*(x-y))*eye(m)"


def test_entries_that_are_complex_constants() -> None:
    judge_answer(wrt.derivative("(sum(imag(V), 2))[2]", "conj(V)", shapes={"V": "n m complex"}))
    shapes = {"y": "n complex", "A": "n n complex"}
    judge_answer(wrt.derivative("conj(A)*imag(y)", "conj(A)", "y", shapes=shapes))


def test_squares_of_absolute_values_are_summed_by_their_letters() -> None:
    D = wrt.derivative("norm2(sigmoid(T))", "conj(T)", shapes={"T": "n m k complex"})
    assert D.index is not None
    assert D.index.endswith("where t1 = abs(sigmoid(T)[l,o,p])^2")
    judge_answer(D)


def test_a_derivative_that_is_zero_is_checked_beside_the_other() -> None:
    """By conj(G) a formula of G alone has the derivative 0, and differences that are not."""
    text = "dot(sum(r, 0, e, (G*G)^r*(G + G)), solve(G, solve(G, G)))"
    D = wrt.derivative(text, "conj(G)", shapes={"e": "", "G": "m m complex"})
    assert D.check().passed
    assert D.why_zero is not None


def test_a_word_of_real_and_of_complex_entries_is_two_helpers() -> None:
    shapes = {"p": "n", "q": "n complex"}
    D = wrt.derivative("sum(softmax(p).*softmax(q))", "p", shapes=shapes)
    source = D.source()
    helpers = dict(re.findall(r"^def (softmax_?)\(x\):(.*?)\n\n", source, re.M | re.S))
    called = {name: helper for helper, name in re.findall(r"(softmax_?)\(([pq])\)", source)}
    assert {called["p"], called["q"]} == set(helpers) == {"softmax", "softmax_"}
    assert ".real" in helpers[called["q"]]
    assert ".real" not in helpers[called["p"]]
    judge_answer(D)


@pytest.mark.parametrize(
    ("text", "by", "line"),
    [
        ("norm2(A*real(z)-b)^2", "z", "return -(A.T @ (b - A @ np.real(z)))"),
        ("sin(real(t))", "t", "return 0.5 * np.cos(np.real(t))"),
        ("imag(t)^2", "t", "return -1j * np.imag(t)"),
    ],
)
def test_programs_go_on_with_real_parts(text: str, by: str, line: str) -> None:
    shapes = {"z": "n complex", "t": "complex", "A": "m n", "b": "m"}
    D = wrt.derivative(text, by, shapes=shapes)
    assert line in D.source()
    assert D.check().passed
    judge_answer(D)
