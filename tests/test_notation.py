"""The sentences of the notation room: golden texts, and every text reads back to its formula."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

import wrt
from judging import judge_answer
from wrt.algebra import equal, expand, flat_form
from wrt.algebra.equality import sample_point, sample_sizes
from wrt.calculus import derivative
from wrt.expression import build
from wrt.expression.coefficient import Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import dimension_names, rename_dimensions, variables
from wrt.functions import BOOK
from wrt.language import read
from wrt.notation import (
    Style,
    einsum,
    index,
    kronecker,
    latex,
    latex_einsum,
    latex_index,
    latex_kronecker,
    matrix,
    typeset,
)

n, m, p, q = map(Dimension.of, "nmpq")


def variable(name: str, dims: str, *properties: str) -> Variable:
    return Variable(name, map(Dimension.of, dims), properties)


a, b, c = (variable(name, "") for name in "abc")
x, y, z = (variable(name, "n") for name in "xyz")
u, v = variable("u", "m"), variable("v", "m")
A, B, W = (variable(name, "nm") for name in "ABW")
X, Y, Z = (variable(name, "nn") for name in "XYZ")
S = variable("S", "nn", "symmetric")
T = variable("T", "nmp")
e = build.einsum
tanh, inv, softmax = BOOK["tanh"], BOOK["inv"], BOOK["softmax"]


def half(node: Node, exponent: str = "1/2") -> Node:
    return build.power(node, Fraction(exponent))


MATRIX = [
    (x, "x"),
    (build.number(3), "3"),
    (build.number(Fraction(3, 2)), "3/2"),
    (build.number(0.01), "0.01"),
    (build.zeros((n, m)), "zeros(n,m)"),
    (build.zeros((n,)), "zeros(n)"),
    (build.ones((n,)), "ones(n)"),
    (build.ones((n, m)), "ones(n,m)"),
    (build.identity(n), "eye(n)"),
    (build.scale(-2, build.identity(n)), "-2*eye(n)"),
    (A @ u, "A*u"),
    (x @ A, "A'*x"),
    (A.T @ (A @ u - x), "A'*(A*u-x)"),
    (2 * A.T @ (A @ u - x), "2*A'*(A*u-x)"),
    (e("i,i->", x, y), "x'*y"),
    (e("i,i,i->", x, y, z), "sum(x.*y.*z)"),
    (e("i,i->", x, x), "x'*x"),
    (half(x @ x), "norm2(x)"),
    (half(x @ x, "3/2"), "norm2(x)^3"),
    (x / half(x @ x), "x/norm2(x)"),
    (x / (x @ x), "x/(x'*x)"),
    (e("ij,ij->", A, A), "norm2(A)^2"),
    (A / half(e("ij,ij->", A, A)), "A/norm2(A)"),
    (e("i,j->ij", x, u), "x*u'"),
    (e("i->ii", x), "diag(x)"),
    (e("ii->i", X), "diag(X)"),
    (e("ii->", X), "tr(X)"),
    (e("ij,ji->", X, Y), "tr(X*Y)"),
    (e("ij,ij->", X, Y), "sum(X.*Y)"),
    (e("ij,jk,ki->", X, Y, Z), "tr(X*Y*Z)"),
    (e("i,ij->ij", x, A), "diag(x)*A"),
    (e("ij,j->ij", A, u), "A*diag(u)"),
    (e("ij,ij->ij", A, B), "A.*B"),
    (e("ij,ji->ij", X, Y), "X.*Y'"),
    (e("ij,j,kj->ik", A, u, B), "A*diag(u)*B'"),
    (e("ji,ji->i", A, B), "diag(A'*B)"),
    (e("ij,ij,j->i", A, B, u), "(A.*B)*u"),
    (e("ij->", A), "sum(A)"),
    (e("ij->j", A), "sum(A,1)'"),
    (e("ij->i", A), "sum(A,2)"),
    (x / y, "x./y"),
    (a / x, "a./x"),
    (1 / x, "1./x"),
    (build.power(x, 2), "x.^2"),
    (half(x), "sqrt(x)"),
    (A / 2, "A/2"),
    (-A, "-A"),
    (A / (2 * a), "A/(2*a)"),
    (build.scale(Coefficient.of(n) ** Fraction(-1, 2), x), "x/sqrt(n)"),
    (x + 1, "x + 1"),
    (1 - tanh(x) ** 2, "1 - tanh(x).^2"),
    (X @ X @ X, "X^3"),
    (X.T @ X.T, "X'^2"),
    (X + X.T, "X + X'"),
    (S + S.T, "2*S"),
    ((X + X.T) @ x, "(X+X')*x"),
    (X @ x + X.T @ x, "(X+X')*x"),
    (X @ Y + X @ Z, "X*(Y+Z)"),
    (build.transpose(X @ Y + Y @ X), "(X*Y+Y*X)'"),
    (a * X - Y @ X, "a*X - Y*X"),
    (a * X @ Z - Y @ X @ Z, "(a*eye(n)-Y)*X*Z"),
    (a * build.identity(n) + X, "a*eye(n) + X"),
    (X + 1, "X + 1"),
    (inv(X).T, "inv(X)'"),
    (inv(X.T), "inv(X)'"),
    (inv(S).T, "inv(S)"),
    (softmax(A, axis=1), "softmax(A,2)"),
    (softmax(A, axis=0), "softmax(A,1)"),
    (tanh(A.T), "tanh(A')"),
    (BOOK["maximum"](x, 0), "max(x,0)"),
    (BOOK["maximum"](A, 1), "max(A,matrix(1))"),
    (BOOK["power"](x, y), "x.^y"),
    (BOOK["power"](a, b), "a^b"),
    (BOOK["kron"](A, X), "kron(A,X)"),
    (BOOK["kron"](x, u), "kron(x,u)"),
    (BOOK["vec"](A), "vec(A)"),
    (build.reshape(A, (n * m,)), "vec(A')"),
    (BOOK["tril"](X), "tril(X)"),
    (BOOK["triu"](X @ Y), "triu(X*Y)"),
    (x[0], "x[1]"),
    (X[0, :], "X[1,:]'"),
    (X[:, 1], "X[:,2]"),
    (x[1:3], "x[2:3]"),
    (X[0:2, :], "X[1:2,:]"),
    (build.unit(n, 0), "unit(n,1)"),
    (e("i,j->ij", build.unit(n, 0), build.unit(m, 1)), "unit(n,1)*unit(m,2)'"),
]


@pytest.mark.parametrize(("node", "text"), MATRIX, ids=[text for _, text in MATRIX])
def test_matrix_sentences(node: Node, text: str) -> None:
    assert matrix(node, names="abcxyzuvABWXYZS") == text
    assert same(text, node)
    assert latex(node)


def read_back(text: str, node: Node) -> Node:
    """The formula of a printed text, sizes that only stand in δ named as in the original."""
    shapes = {f.name: " ".join([*map(str, f.dims), *f.properties]) for f in variables(node)}
    sizes = " ".join(dimension_names(node))
    made = read(text, shapes={**shapes, "Sizes": sizes}).formula
    pairs = zip(made.dims, node.dims, strict=True)
    other = {str(one): two for one, two in pairs if one is not two and str(one) in one.names}
    return rename_dimensions(made, other) if other else made


def same(text: str, node: Node) -> bool:
    made = read_back(text, node)
    if build.is_zero(node):
        return build.is_zero(made)
    return made.dims == node.dims and (made is node or equal(made, node))


def asked(text: str, *names: str, shapes: dict[str, str] | None = None) -> tuple[Node, list[int]]:
    """The derivative of a text as it is shown, and the axes of f and of each variable."""
    reading = read(text, shapes=shapes)
    node, axes = expand(reading.formula), [reading.formula.ndim]
    for one in names:
        node = derivative(node, reading.variables[one])
        axes.append(reading.variables[one].ndim)
    return flat_form(node), axes


CLOSED = [
    ("norm2(A*x-b)^2", "x", "2*A'*(A*x-b)"),
    ("x'*A*x", "x", "(A+A')*x"),
    ("softmax(x)", "x", "diag(softmax(x)) - softmax(x)*softmax(x)'"),
    ("a'*inv(X)*b", "X", "-inv(X)'*a*b'*inv(X)'"),
    ("tr(X^2*B)", "X", "(X*B+B*X)'"),
    ("tr(A*X*B*X)", "X", "(A*X*B+B*X*A)'"),
    ("tr(A*inv(X)*B)", "X", "-(inv(X)*B*A*inv(X))'"),
    ("a'*X*b", "X", "a*b'"),
    ("tr(X'*B*X)", "X", "(B+B')*X"),
    ("(X*b+c)'*D*(X*b+c)", "X", "(D+D')*(X*b+c)*b'"),
    ("x*x'*x", "x", "(x'*x)*eye(n) + 2*x*x'"),
    ("W*tanh(x)+b", "x", "W*diag(1-tanh(x).^2)"),
    ("u-W*tanh(u)", "u", "eye(n) - W*diag(1-tanh(u).^2)"),
    ("sum((x-a).^2)", "x", "2*(x-a)"),
    ("norm2(x-a)", "x", "(x-a)/norm2(x-a)"),
    ("(x-a)/norm2(x-a)", "x", "eye(n)/norm2(x-a) - (x-a)*(x-a)'/norm2(x-a)^3"),
    ("det(A*X*B)", "X", "det(A*X*B)*inv(X)'"),
    ("tr((A*X*B+C)*(A*X*B+C)')", "X", "2*A'*(A*X*B+C)*B'"),
    ("tr(X^4)", "X", "4*X'^3"),
    ("e.*(G*e-B*f)+f.*(B*e+G*f)", "e", "diag(e)*G + diag(G*e-B*f) + diag(f)*B"),
    ("a'*sin(A*X*B)*b", "X", "A'*diag(a)*cos(A*X*B)*diag(b)*B'"),
    ("sum(C.*(X*X').^2)", "X", "2*((C+C').*(X*X'))*X"),
    ("prod(x)", "x", "prod(x)./x"),
    ("K*(R-(1/d)*N)", "d", "K*N/d^2"),
    ("kron(d,d)", "d", "kron(eye(n),d) + kron(d,eye(n))"),
    ("sum(tril(A).*B)", "A", "tril(B)"),
    ("x[2:3]", "x", "eye(n)[2:3,:]"),
    ("sum(X)^2", "X", "2*sum(X)*ones(n,m)"),
]


@pytest.mark.parametrize(("text", "name", "wanted"), CLOSED, ids=[t for t, _, _ in CLOSED])
def test_closed_forms(text: str, name: str, wanted: str) -> None:
    vectors = {"a": "n", "b": "n", "c": "m", "e": "n", "f": "n", "d": "", "x": "n", "u": "n"}
    if "norm2(A" in text:
        vectors = {"b": "m"}
    if "X*b+c" in text:
        vectors = {"b": "n", "c": "m"}
    if text.startswith("det"):
        vectors = {"A": "n n", "X": "n n", "B": "n n"}
    if text == "sum(X)^2":
        vectors = {"X": "n m"}
    if text.startswith("kron"):
        vectors = {"d": "n"}
    if text.startswith(("W*", "a'*sin")):
        vectors = {"b": "n", "a": "m"}
    kept = {k: d for k, d in vectors.items() if k in text}
    node, _ = asked(text, name, shapes=kept)
    names = sorted(read(text, shapes=kept).variables, key=text.find)
    assert matrix(node, names=names) == wanted
    assert same(wanted, node)


def test_a_row() -> None:
    assert matrix(A @ u, row=True) == "u'*A'"
    assert matrix(X[0, :], row=True) == "X[1,:]"


def test_what_matrices_cannot_say() -> None:
    assert matrix(T) is None
    assert matrix(T[0]) == "T[1,:,:]"
    assert matrix(e("ijk,k->ij", T, variable("w", "p"))) is None
    assert matrix(e("ij,kj,lj->", X, Y, Z)) == "sum(X*(sum(Y,1)'.*sum(Z,1)'))"


INDEX = [
    (e("ia,b->iab", build.identity(n), u), [1], "D[i,a,b] = δ[i,a]*u[b]"),
    (e("ik,lj->ijkl", A, B.T), [2], "D[i,j,a,b] = A[i,a]*B[j,b]"),
    (e("ik,kj->ij", X, Y), [1], "D[i,a] = (X*Y)[i,a]"),
    (e("ij->ji", X), [1], "D[i,a] = X[a,i]"),
    (e("i,i,k->ik", x, x, u), [1], "D[i,a] = x[i]^2*u[a]"),
    (e("i,j->ij", x, 1 / u), [1], "D[i,a] = x[i]/u[a]"),
    (build.ones((n, m)), [1], "D[i,a] = ones[i]*ones[a]"),
    (e("ijk,k->ij", T, variable("w", "p")), [2], "D[i,j] = T[i,j,k]*w[k]"),
    (tanh(T), [2], "D[i,j,a] = tanh(T)[i,j,a]"),
    (2 * T + T * a, [2], "D[i,j,b] = (a+2)*T[i,j,b]"),
    (
        tanh(e("ijk,k->ij", T, variable("w", "p"))) @ u,
        [1],
        "D[i] = (tanh(t1)*u)[i] where t1[i,j] = T[i,j,k]*w[k]",
    ),
    (x @ x, [0], "D = x'*x"),
    (e("i,j,k->ijk", a * x, u, x), [1, 1], "D[i,b,p] = a*x[i]*u[b]*x[p]"),
]


@pytest.mark.parametrize(("node", "split", "text"), INDEX, ids=[t for _, _, t in INDEX])
def test_index_forms(node: Node, split: list[int], text: str) -> None:
    assert index(node, split=split) == text
    assert same(text, node)
    assert latex_index(node, split=split)


def test_index_letters_are_no_names() -> None:
    i, alone = variable("i", ""), variable("D", "n")
    assert index(e(",i,j->ij", i, alone, x), split=1) == "D1[j,a] = i*D[j]*x[a]"
    assert index(build.zeros((n, m)), split=1) == "D[i,a] = 0"
    assert index(A, "G", letters=["s", "t"]) == "G[s,t] = A[s,t]"


EINSUM = [
    (e("ik,lj->ijkl", A, B.T), 'einsum("ik,jl->ijkl", A, B)'),
    (e("ij,jk->ik", A, A.T), 'einsum("ij,kj->ik", A, A)'),
    (e("ia,b->iab", build.identity(n), u), 'einsum("k,ij->ijk", u, eye(n))'),
    (e("ij,j->i", 2 * A, u), '2*einsum("ij,j->i", A, u)'),
    (A, "A"),
]


@pytest.mark.parametrize(("node", "text"), EINSUM, ids=[t for _, t in EINSUM])
def test_einsum(node: Node, text: str) -> None:
    got = einsum(node)
    assert got is not None
    assert sorted(got) == sorted(text)  # the factors follow their digests
    assert same(got, node)


KRONECKER = [
    ("W*x", "W", "eye(n) ⊗ x'", "x' ⊗ eye(n)"),
    ("A*X*B", "X", "A ⊗ B'", "B' ⊗ A"),
    ("inv(X)", "X", "-inv(X) ⊗ inv(X)'", "-inv(X)' ⊗ inv(X)"),
    ("X*Y", "Y", "X ⊗ eye(p)", "eye(p) ⊗ X"),
    ("X.*Y", "X", "diag(vec(Y'))", "diag(vec(Y))"),
    ("tr(A)*A", "A", None, None),
    ("tanh(W*x)", "W", "diag(1-tanh(W*x).^2) ⊗ x'", "x' ⊗ diag(1-tanh(W*x).^2)"),
    ("X'*A", "X", "(eye(m) ⊗ A')*commutation(m,n)", "(A' ⊗ eye(m))*commutation(n,m)"),
    ("A'*A*h", "A", "A' ⊗ h' + h'*A' ⊗ eye(m)", None),
    ("X^3", "X", None, None),
    ("2*x*y'", "x", "2*eye(n) ⊗ y", "2*y ⊗ eye(n)"),
    ("sum(X,1)", "X", "ones(n)' ⊗ eye(m)", "eye(m) ⊗ ones(n)'"),
    ("vec(A*X*B)", "X", None, "B' ⊗ A"),
]


@pytest.mark.parametrize(("text", "name", "rows", "columns"), KRONECKER)
def test_kronecker(text: str, name: str, rows: str | None, columns: str | None) -> None:
    node, axes = asked(text, name)
    names = sorted(read(text).variables, key=text.find)
    for order, wanted in (("rows", rows), ("columns", columns)):
        got = kronecker(node, axes[0], order, names=names)
        if wanted is not None:
            assert got == wanted
        if got is not None:
            assert _acts_alike(node, axes[0], order, got)


def _acts_alike(node: Node, split: int, order: str, text: str) -> bool:
    shapes = {f.name: " ".join(map(str, f.dims)) for f in variables(node)}
    made = read(text, shapes={**shapes, "Sizes": "n m p"}).formula
    sizes = sample_sizes((node, made))
    values = sample_point((node, made), sizes, 0)
    tensor, small = evaluate(node, values, sizes), evaluate(made, values, sizes)
    first, last = list(range(split)), list(range(split, node.ndim))
    if order == "columns":
        first, last = first[::-1], last[::-1]
    rows = int(np.prod([tensor.shape[k] for k in first], dtype=int))
    big = tensor.transpose(first + last).reshape(rows, -1)
    return bool(np.allclose(small.reshape(big.shape), big))


def test_kronecker_of_zero() -> None:
    assert kronecker(build.zeros((n, m, p)), 1, "rows") == "zeros(n,m*p)"


LATEX = [
    (2 * A.T @ (A @ u - x), r"2 A^\top (A u - x)"),
    (inv(X).T, r"X^{-\top}"),
    (inv(X + Y), r"(X + Y)^{-1}"),
    (x / half(x @ x), r"\frac{x}{\lVert x \rVert}"),
    (2 / half(x @ x) * A.T @ x, r"\frac{2 A^\top x}{\lVert x \rVert}"),
    (A / 2, r"\frac{1}{2} A"),
    (e("i->ii", tanh(x)), r"\operatorname{diag}(\tanh(x))"),
    (e("ij,ij->ij", A, B), r"A \odot B"),
    (variable("Sigma1", "nn") @ x, r"\Sigma_{1} x"),
    (build.identity(n), "I_{n}"),
    (softmax(A, axis=1), r"\operatorname{softmax}_{2}(A)"),
]


@pytest.mark.parametrize(("node", "text"), LATEX, ids=[t for _, t in LATEX])
def test_latex(node: Node, text: str) -> None:
    assert latex(node) == text


def test_latex_of_indices() -> None:
    node = e("ia,b->iab", build.identity(n), u)
    assert latex_index(node, split=1) == r"D_{iab} = \delta_{ia} u_{b}"


def test_latex_in_other_styles() -> None:
    node = 2 * A.T @ (A @ u - x)
    assert latex(node, style=Style(bold=True)) == (
        r"2 \mathbf{A}^\top (\mathbf{A} \mathbf{u} - \mathbf{x})"
    )
    assert latex(node, style=Style(macros={"A": r"\mA"})) == r"2 \mA^\top (\mA u - x)"
    assert latex_einsum(e("ik,jk->ij", A, B)) == r"D_{ij} = \sum_{k} A_{ik} B_{jk}"
    assert latex_kronecker(e("ik,lj->ijkl", A, X), 2) == r"A \otimes X^\top"


def test_names_that_would_look_alike() -> None:
    one, two = variable("x1", "n"), variable("x_1", "n")
    assert latex(one + two) == r"x_{1} + \mathrm{x\_1}"


def test_typeset() -> None:
    assert typeset("x^1e9 + y^10") == "x^1e9 + y¹⁰"
    assert typeset("D[i,a,b] = δ[i,a]*x[b]") == "D[i,a,b] = δ[i,a] x[b]"
    assert typeset("eye(n) ⊗ x'") == "I ⊗ xᵀ"
    assert typeset("eye(n)") == "eye(n)"
    assert typeset("A'*X^2*B") == "Aᵀ X² B"


def test_names_in_the_order_they_are_met() -> None:
    node = variable("h", "n") + variable("b", "n")
    assert matrix(node, names=["h", "b"]) == "h + b"
    assert matrix(node, names=["b", "h"]) == "b + h"


# Large formulas


def test_a_chain_of_ten_thousand() -> None:
    node: Node = x
    for _ in range(10_000):
        node = tanh(node)
    text = matrix(node)
    assert text is not None
    assert len(text) < 100_000
    assert latex(node)
    assert index(node)


def test_a_deep_formula_reads_back() -> None:
    node: Node = x
    for _ in range(1000):
        node = tanh(X @ node)
    text = matrix(node)
    assert text is not None
    assert " where t1 = " in text
    assert read_back(text, node) is node


def test_shared_parts_are_named() -> None:
    node: Node = x
    for _ in range(60):
        node = tanh(node) * node + x
    text = matrix(node)
    assert text is not None
    assert len(text) < 10_000
    assert same(text, node)


def test_a_short_shared_part_is_repeated() -> None:
    s = softmax(x)
    assert "where" not in (matrix(e("i,j->ij", s, s) + e("i->ii", s)) or "")


def test_long_sums() -> None:
    terms = [2 * variable(f"x{k}", "n") for k in range(3000)]
    assert (matrix(build.add(*terms)) or "").count("+") == 2999


# Random products


def _leaf(rng: random.Random, dims: tuple[Dimension, ...]) -> Node:
    tag = "".join(map(str, dims))
    letters = ("abc", "xyz", "ABC")[len(dims)]
    node: Node = Variable(rng.choice(letters) + tag, dims)
    square = len(dims) == 2 and dims[0] is dims[1]
    kind = rng.random()
    if kind < 0.15:
        return BOOK[rng.choice(["tanh", "exp", "sin"])](node)
    if kind < 0.25 and dims:
        return softmax(node, axis=rng.randrange(len(dims)))
    if kind < 0.3 and square:
        return inv(node)
    if kind < 0.4 and dims:
        other = Variable(rng.choice("uv" if len(dims) == 1 else "PQ") + tag, dims)
        return build.add(node, build.scale(rng.choice([-1, 2]), other))
    if kind < 0.45:
        return build.add(node, build.scale(rng.choice([-1, 1]), build.ones(dims)))
    if kind < 0.5 and square:
        return build.add(node, build.scale(rng.choice([-1, 1]), build.identity(dims[0])))
    return node


def _network(rng: random.Random, shape: tuple[Dimension, ...] | None = None) -> Node:
    while True:
        sizes = [rng.choice([n, m, p]) for _ in range(rng.randint(1, 4))]
        factors = []
        for _ in range(rng.randint(1, 4)):
            rank = rng.choice([0, 1, 1, 2, 2, 2])
            indices = tuple(rng.randrange(len(sizes)) for _ in range(rank))
            exponent = rng.choice([1, 1, 1, 2, -1, Fraction(1, 2)])
            factors.append((_leaf(rng, tuple(sizes[i] for i in indices)), exponent, indices))
        output = [rng.randrange(len(sizes)) for _ in range(rng.choice([0, 1, 2, 2]))]
        number = Coefficient.of(rng.choice([1, 2, -1, Fraction(1, 2), Fraction(-3, 2)]))
        made = build.product(number, factors, output, sizes)
        if shape is None or made.dims == shape:
            return made


@pytest.mark.parametrize("seed", range(120))
def test_random_products_read_back(seed: int) -> None:
    rng = random.Random(seed)
    node = _network(rng)
    if rng.random() < 0.5:
        node = build.add(node, *(_network(rng, node.dims) for _ in range(rng.randint(1, 3))))
    if rng.random() < 0.5:
        node = flat_form(node)
    for say in (matrix, index, einsum):
        text = say(node)
        if text is not None and not build.is_zero(node):
            assert _alike(read_back(text, node), node), text


def _alike(made: Node, node: Node) -> bool:
    """Equal at a complex point, or, where roots jump between branches there, at a positive one."""
    assert made.dims == node.dims
    if made is node or equal(made, node):
        return True
    sizes = sample_sizes((made, node))
    values = {k: np.abs(v) for k, v in sample_point((made, node), sizes, 1).items()}
    left, right = evaluate(made, values, sizes), evaluate(node, values, sizes)
    return bool(np.allclose(left, right, equal_nan=True))


@pytest.mark.parametrize(
    "text", ["sum(B*p)*sum(A*p)", "sum(A\\p*(A*p)')", "tr(A*diag(p)*B)*sum(A*p)"]
)
def test_entries_at_letters_stay_outside_of_words(text: str) -> None:
    """No word is called with a matrix times an entry: sum(x[a]*A) is no sentence."""
    shapes = {"A": "n n", "B": "n n", "p": "n"} if "B" in text else {"A": "n n", "p": "n"}
    judge_answer(wrt.derivative(text, "p", shapes=shapes))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("sum(r,0,3, sum(tanh(r*W*x+b).*exp(r*W*x+b)./(r*W*x+b)))", "x"),
        ("sum(r,0,3, norm2(tanh(tanh(r*W*x+b).*(r*W*x+b)./(1+(r*W*x+b).^2)))^2)", "b"),
        ("dot(B, (A^e)^e)", "A"),
    ],
)
def test_no_definition_holds_the_variable_of_a_range(text: str, name: str) -> None:
    shapes = {"A": "n n", "B": "n n", "W": "n m", "b": "n", "e": "", "x": "m"}
    D = wrt.derivative(text, name, shapes={k: v for k, v in shapes.items() if k in text})
    judge_answer(D)
    for said in (D.matrix, D.index):
        assert "r*" not in (said or "").partition(" where ")[2].partition("sum(")[0]


def test_the_trace_of_a_row_and_what_it_meets_is_a_number() -> None:
    """Not tr(y'*A*x), which is no trace."""
    D = wrt.derivative("det([(x'*y), norm2(x); c, c])", "c", "x", shapes={"x": "n", "y": "n"})
    judge_answer(D)


def test_a_sum_whose_length_nothing_tells_has_no_index_form() -> None:
    """ones[l]*δ[l,1] does not say how many entries l has."""
    f = flat_form(
        expand(read("sum([sum(u[1:2].^2), cos(a); a, a])", shapes={"u": "m", "a": ""}).formula)
    )
    text = index(f, "f")
    assert text is None or read(text, shapes={"u": "m", "a": ""}).formula.ndim == 0
    assert "ones[l]*ones[o]" not in (text or "")
