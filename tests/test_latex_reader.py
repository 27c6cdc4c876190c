"""LaTeX in: what people paste from a paper, and what they get wrong in it."""

from __future__ import annotations

import random

import pytest

from wrt import derivative
from wrt.errors import Mistake, NameMistake, ShapeMistake, SyntaxMistake, TooLarge, WrtError
from wrt.language import read, read_wrt
from wrt.language.latex_tokens import is_latex

READ = [
    (r"\frac{1}{2} x^\top A x", "1/2*x'*A*x"),
    (r"\frac12 x^T A x + \tfrac{1}{3}", "1/2*x'*A*x + 1/3"),
    (r"$x^{\mathsf T} A x$", "x'*A*x"),
    (r"\[ x^{\intercal} A\, x \]", "x'*A*x"),
    (r"\frac{1}{2}\lVert A x - b\rVert_2^2", "1/2*norm2(A*x - b)^2"),
    (r"\|x\|^2_2 + \|y\|_1", "norm2(x)^2 + norm1(y)"),
    (r"\left\| X \right\|_{\mathrm F}^2", "norm2(X)^2"),
    (r"\operatorname{tr}(A X^\top)", "tr(A*X')"),
    (r"\tr A^\top B + \Tr(C)", "tr(A'*B) + tr(C)"),
    (r"A \odot B \oslash C", "A.*B./C"),
    (r"A B \otimes C", "A*B ⊗ C"),
    (r"2x^\top y + ab", "2*x'*y + a*b"),
    (r"\tanh(W_{hh} h_t + b)", "tanh(W_hh*h_t + b)"),
    (r"\mathbf{x}_1^\top \mathbf{x}_2", "x1'*x2"),
    (r"\boldsymbol{\Sigma}^{-1} (\bm x - \boldsymbol\mu)", "Sigma^-1*(x - mu)"),
    (r"\hat{\beta}_1^2 + \bar{x}^\top \bar x", "beta_hat1^2 + x_bar'*x_bar"),
    (r"\vec{x}^\top \vec{x}", "x'*x"),
    (r"x_{\max}^2 + y_{\text{old}}^2", "x_max^2 + y_old^2"),
    (r"\mathbf{Xw} - \mathbf{y}", "X*w - y"),
    (r"\mathrm{loss}^2 + \mathit{bias}", "loss^2 + bias"),
    (r"A^{-1} + A^{-\top} + A^{-T}", "A^-1 + A^-1' + A^-1'"),
    (r"x^{\circ 2} + x^{\odot 3}", "x.^2 + x.^3"),
    (r"\det A \log\det X \ln y", "det(A)*logdet(X)*log(y)"),
    (r"e^{-a^\top x} + \mathrm{e}^{b}", "exp(-a'*x) + exp(b)"),
    (r"e^\top x", "e'*x"),
    (r"\sqrt{x} + \sqrt[3]{y}", "sqrt(x) + y.^(1/3)"),
    (r"\sin^2 x + \sin 2x \cos x", "sin(x).^2 + sin(2*x)*cos(x)"),
    (r"\sigma(W x + b)", "sigmoid(W*x + b)"),
    (r"\sigma (x + y) + \sigma^2", "sigma*(x + y) + sigma^2"),
    (r"\text{sigmoid}(x) + \mathrm{ReLU}(y)", "sigmoid(x) + relu(y)"),
    (r"\operatorname{softmax}_{2}(X)", "softmax(X, 2)"),
    (r"\log_2 x", "log(x)/log(2)"),
    (r"\lambda (x^\top x - 1)", "lambda*(x'*x - 1)"),
    (r"$A (x - b)$", "A*(x - b)"),
    (r"\{x + y\}^\top [x - y]", "(x + y)'*(x - y)"),
    (r"\bigl( x + y \bigr)' z", "(x + y)'*z"),
    (r"|x| + \left|y\right| + \lvert z \rvert", "abs(x) + abs(y) + abs(z)"),
    (r"\| |x| - y \|", "norm2(abs(x) - y)"),
    (r"\langle x, y\rangle", "dot(x, y)"),
    (r"\begin{bmatrix} a & b \\ c & d \end{bmatrix}", "[a, b; c, d]"),
    (r"\begin{pmatrix} a \\ b \\ \end{pmatrix}", "[a; b]"),
    (r"\begin{vmatrix} a & b \\ c & d \end{vmatrix}", "det([a, b; c, d])"),
    (r"\mathbf{1}^\top x + \mathbb{1}^\top x", "vector(1)'*x + vector(1)'*x"),
    (r"\mathbf{1}_n^\top x I_n + \mathbf{1}_{n \times n}", "ones(n)'*x*eye(n) + ones(n, n)"),
    (r"I - X X^\top", "I - X*X'"),
    (r"A x \cdot 3 / 4", "A*x*3/4"),
    (r"\tfrac{1}{n} x + 1/2 y / a", "1/n*x + 1/2*y/a"),
    (r"$1/2 x$", "1/2*x"),
    (r"3.5 \times 10^{-3} x", "3.5*10^-3*x"),
    (r"\sum_{i=1}^{n} x_i y_i", "sum(terms) where terms[i] = x[i]*y[i]"),
    (r"\log \sum_i e^{x_i} - a", "log(sum(terms)) - a where terms[i] = exp(x[i])"),
    (r"\sum_{i}\sum_{j} A_{ij} x_i x_j", "sum(terms) where terms[i,j] = A[i,j]*x[i]*x[j]"),
    (
        r"\frac{1}{n}\sum_{i=1}^n \log(1 + e^{-y_i (X w)_i})",
        "1/n*sum(terms) where terms[i] = log(1 + exp(-y[i]*(X*w)[i]))*ones(n)[i]",
    ),
    (
        r"\sum_i \log \sum_j e^{A_{ij}}",
        "sum(terms2) where terms[i,j] = exp(A[i,j]); terms2[i] = log(terms[i,j]*ones[j])",
    ),
    (r"\prod_{i} (1 + x_i)", "prod(factors) where factors[i] = 1 + x[i]"),
    (r"\sum_{r=0}^{k-1} X^r A X^{k-1-r}", "sum(r, 0, k - 1, X^r*A*X^(k - 1 - r))"),
    (r"D_{iab} = \delta_{ia} x_{b}", "D[i,a,b] = delta[i,a]*x[b]"),
    (r"C_{ij} = A_{ik} B_{kj}", "C[i,j] = A[i,k]*B[k,j]"),
    (r"f(x) = x^\top A x", "f = x'*A*x"),
    (r"h = \tanh(W x) \\ h^\top h", "h'*h where h = tanh(W*x)"),
    (r"\|P x\| \quad\text{where}\quad P = A B", "norm2(P*x) where P = A*B"),
    (r"\begin{aligned} f(x) &= x^\top x. \end{aligned}", "f = x'*x"),
    (r"x^\top A x, \quad A \in \mathbb{R}^{n \times n}", "A: n n; x'*A*x"),
    (r"\operatorname{tr} S, S \in \mathbb{S}^n_{++}", "S: n n spd; tr(S)"),
    (r"y - X\beta", "y - X*beta"),
    (r"{\bf x}^T {\bf A} {\bf x} + {\rm tr}(B)", "x'*A*x + tr(B)"),
    (r"\langle A, B \rangle_F", "dot(A, B)"),
    (r"\hat{y} = W x, \quad L = \|\hat{y} - y\|", "y_hat = W*x; L = norm2(y_hat - y)"),
    (r"\Sigma^{1/2} x + \mathbf{e}^{(n)}_{2}", "Sigma^(1/2)*x + unit(n, 2)"),
    (r"[x]_{2} + X_{1,:} x + (A y)_{1}", "x[2] + X[1,:]*x + (A*y)[1]"),
    (r"\mathrm{K}_{n,m} \operatorname{vec}(A)", "commutation(n, m)*vec(A)"),
    (r"L_{\operatorname{expm}}(X, E)", "frechet(expm, X, E)"),
    (r"A\, \mathrm{d}X\, b", "A*dX*b"),
    (r"\lVert X \rVert_{\mathrm{op}} + \|Y\|_*", "normspec(X) + normnuc(Y)"),
    (r"\overline{z}^\top z + z^{\mathsf H} z + \operatorname{Re}(z^* z)", None),
    (r"X^+ y + X^{\dagger} y", "pinv(X)*y + pinv(X)*y"),
    (r"\frac12 x'*A*x % a remark", "1/2*x'*A*x"),
]


@pytest.mark.parametrize(("latex", "text"), READ)
def test_latex_is_read_as_text_that_reads_to_the_same(latex: str, text: str | None) -> None:
    reading = read(latex)
    text = text or reading.text
    assert (reading.text, reading.source) == (text, latex)
    assert read(text).formula is reading.formula


@pytest.mark.parametrize(
    "text",
    ["x'*A*x", r"A\b", r"(A+B)\x", r"A'\b", "|x|", "x_1", "W_hh*x", "X^T*X", "a: n; a'*a"]
    + [r"A\log1p(x)", r"max((V'*V + eye(m))\log2(u))", r"A'\log10(x)\y"],
)
def test_text_stays_text(text: str) -> None:
    assert not is_latex(text)


REFUSED = [
    (r"\frac{\partial f}{\partial x}", "a formula stands here; name the variable of the", 6),
    (r"\underbrace{A x}_{y}", r"\underbrace is a remark on a formula and no part of it", 0),
    (r"x_1 + \dots + x_n", r"\dots leaves out what is meant", 6),
    (r"\foo x", r"nobody knows the command \foo", 0),
    (r"\frac{1}{2", "{ is never closed", 8),
    (r"\frac{1}", r"\frac wants two formulas in braces", 0),
    (r"\left( x", "( is never closed", 5),
    (r"\sqrt{x)}", ") does not close the { before it", 7),
    (r"\frac{a}{b})", ") closes nothing", 11),
    (r"\alpha x^", "an exponent is missing here", 8),
    (r"\alpha x_", "a subscript is missing here", 8),
    (r"\alpha x^10", "without braces 1 alone stands above", 9),
    (r"\alpha x^a^b", "there is a second exponent", 10),
    (r"\alpha x_a_b", "there is a second subscript", 10),
    (r"\alpha + ", "+ has nothing on its right", 7),
    (r"\cdot x", r"\cdot has nothing on its left", 0),
    (r"\alpha a / b c", "a quotient with a factor behind it can be read in two ways", 11),
    (r"\alpha / 2 \sigma^2", "a quotient with a factor behind it can be read in two ways", 9),
    (r"\min_{x} x^2", "an optimum over x is no formula", 0),
    (r"\sum_i \sum_i x_i", "i runs over two ranges here", 0),
    (r"\begin{bmatrix} \end{bmatrix}", r"\end{bmatrix} has nothing before it", 16),
    (r"\alpha x_{(1)}", "a subscript is made of letters, numbers and words", 10),
    (r"\log x (1 - x)", r"where the argument of \log ends can be read in two ways", 0),
    (r"\sin^{-1} x", "only a number stands above the name of a function", 4),
    (r"\mathbf{x}^\top x", "x stands here in two types, bold and plain", 16),
    (r"W^{(1)} x \alpha", "a number in brackets above a name is no power", 2),
    (r"h_{t-1} \alpha", "a subscript is made of letters, numbers and words", 3),
    (r"{a \over b}", r"\over is not read", 3),
    (r"\lVert x \rVert_{2,1}", "the norm with 2,1 below it is not known", 0),
    (r"\sum x_i", r"below \sum stands the letter that it runs over", 0),
    (r"\sum_i", r"\sum has nothing behind it", 0),
    (r"\sum_{i} x", "nothing behind this sign has the index i", 0),
    (r"\sum_{i=2}^{n} x_i", "a sum over entries begins at 1", 8),
    (r"\sum_i i x_i", "i stands here as an index and as a number", 0),
    (r"\sum_i x_i^\top w", "x_i is an entry here, a number, and has no transpose", 7),
    (r"\kappa(A) x", "nobody knows a function kappa", 0),
    (r"\sum_i x_{i+1}", "an index stands alone below a name", 10),
    (r"\mathbb{E} x", "expectations are not read in a formula", 0),
    (r"\begin{cases} a \end{cases}", "cases is not known here", 0),
    (r"\begin{bmatrix} a & b", r"\begin{bmatrix} is never closed", 0),
    (r"\begin{bmatrix} a \end{pmatrix}", r"\end{pmatrix} does not close the \begin{bmatrix}", 18),
    (r"a = b = \alpha", "= stands once", 6),
    (r"x \text{and so on} \alpha", "'and so on' is no name", 2),
    (r"\hat{xy} + 1", r"\hat stands on one letter", 0),
    (r"sin(\theta)", "in LaTeX sin is a product of its letters", 0),
    (r"\alpha tr(A X)", "in LaTeX tr is a product of its letters", 7),
    (r"2norm2(\theta)", "in LaTeX norm2 is a product of its letters", 1),
    ("$$", "there is no formula: the text is empty", None),
]


@pytest.mark.parametrize(("latex", "message", "place"), REFUSED)
def test_mistakes_are_pointed_at(latex: str, message: str, place: int | None) -> None:
    with pytest.raises(Mistake) as caught:
        read(latex)
    assert message in caught.value.message
    if place is not None:
        assert caught.value.span is not None
        assert (caught.value.text, caught.value.span[0]) == (latex, place)


@pytest.mark.parametrize(
    ("latex", "kind"),
    [
        (r"\left|A\right| + \lambda", r"bars around a matrix"),
        (r"\lVert X \rVert_2", r"this norm of a matrix"),
        (r"\lVert X \rVert_1", r"this norm of a matrix"),
        (r"e^{-A} \beta", "e to the power of a matrix"),
        (r"\sum_i (y_i - w^\top x_i)^2", "w stands beside entries without an index"),
        (r"|\Sigma| x^\top \Sigma^{-1} x", "bars around a matrix"),
        (r"\operatorname{softmax}(Q K^\top) V", "softmax of a matrix"),
        (r"h_{t} = \tanh(W x_t + b)", "W stands beside entries without an index"),
    ],
)
def test_what_has_two_meanings_is_refused(latex: str, kind: str) -> None:
    with pytest.raises(ShapeMistake) as caught:
        read(latex)
    assert kind in str(caught.value)


def test_the_same_notation_is_read_where_it_is_clear() -> None:
    assert read(r"\left|a\right| + \lambda").text == "abs(a) + lambda"
    assert read(r"e^{-x^\top A x}").text == "exp(-x'*A*x)"
    shapes = {"w": "", "x": "n", "y": "n"}
    assert read(r"\sum_i (y_i - w^\top x_i)^2", shapes).formula.shape == ()


def test_declared_names_settle_spelling() -> None:
    assert read(r"x_{1}^\top x_{1}", {"x_1": "n"}).text == "x_1'*x_1"
    assert read(r"\phi(W x)", {"phi": "entrywise"}).text == "phi(W*x)"
    assert read(r"\phi'(x) + \lambda", {"phi": "entrywise"}).text == "phi'(x) + lambda"
    assert read(r"e^{x} \alpha", {"e": "", "x": ""}).text == "e^x*alpha"
    assert read(r"\sigma(x)", {"sigma": ""}).text == "sigma*x"
    assert read(r"\mathbf{Xw}", {"Xw": "n"}).text == "Xw"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (r"\theta", "theta"),
        (r"W_{hh}", "W_hh"),
        (r"\mathbf{x}_1", "x1"),
        ("x_1", "x1"),
        (r"A_{1,2}", "A[1,2]"),
        (r"A_{12}", "A[1,2]"),
        (r"\hat{\theta}", "theta_hat"),
        ("A[:,1]", "A[:,1]"),
    ],
)
def test_names_to_differentiate_by(name: str, text: str) -> None:
    reading = read(r"\tanh(W_{hh} \theta + A x_1) + \hat{\theta}")
    assert read_wrt(name, reading).text == text


def test_letters_that_were_declared_are_a_product() -> None:
    declared = dict.fromkeys(("t", "r", "a"), "")
    assert read(r"\theta tr(a + 1)", shapes=declared).text == "theta*t*r*(a + 1)"
    assert read(r"\theta t r(a + 1)").text == "theta*t*r*(a + 1)"


def test_square_brackets_are_no_latex() -> None:
    with pytest.raises(SyntaxMistake):
        read_wrt(r"W_{hh}[1,2]", read(r"\tanh(W_{hh} \theta)"))


def test_an_unknown_function_is_declared_or_a_product() -> None:
    with pytest.raises(NameMistake) as caught:
        read(r"\kappa(A) x")
    said = r"declare it, as in --shape kappa=entrywise; a product is \kappa \cdot (…)"
    assert caught.value.hint == said
    assert read(r"\kappa \cdot (A) x").text == "kappa*A*x"
    assert read(r"\kappa(A)", {"kappa": "entrywise"}).text == "kappa(A)"


def test_the_sigmoid_is_no_name() -> None:
    with pytest.raises(NameMistake, match=r"sigma\(…\) is read as the sigmoid"):
        read_wrt(r"\sigma", read(r"\sigma(W x)"))


def test_latex_names_of_a_text_formula() -> None:
    D = derivative("theta'*A*theta", r"\theta")
    assert D.matrix == "(A+A')*theta"
    assert derivative(r"\theta^\top A \theta", r"\theta").matrix == D.matrix


def test_the_derivative_is_that_of_the_text() -> None:
    D = derivative(r"\frac{1}{2}\lVert A x - b\rVert_2^2 + \lambda \sum_{i} \log x_i", "x")
    twin = derivative("norm2(A*x-b)^2/2 + lambda*sum(log(x))", "x")
    assert D.matrix == twin.matrix
    assert D.check().passed


def test_hostile_latex_is_bounded() -> None:
    for latex in (
        "{" * 50_000,
        r"\frac{1}{" * 5_000,
        r"\sqrt" * 8_000 + "{x}",
        "$" + "x+" * 60_000,
        r"\sin" * 5_000 + " x",
        "x^{" * 9_000,
        r"\left(" * 9_000,
        r"\sum_{i}" * 3_000 + " x_i",
    ):
        with pytest.raises((TooLarge, Mistake)):
            read(latex)


def test_long_sums_are_read() -> None:
    latex = " + ".join(rf"a_{{{k}}} \cdot x" for k in range(1500))
    assert len(read(latex, {"x": "n"}).variables) == 1501


PIECES = (
    r"\frac { } { } ( ) x y A B \top ^ _ ^\top ^{-1} \sum _{i=1} ^{n} _i _{ij} \mathbf \hat \vec"
    r" \operatorname{tr} \text{where} = , \\ & \begin{bmatrix} \end{bmatrix} \lVert \rVert _2 | \|"
    r" \langle \rangle \log \det e^ \sqrt [3] \left( \right) \left| \odot \otimes \cdot / + - '"
    r" 1 10 3.5 \pi \sigma \mathbb{1} \in \partial \infty \prod _1 I \dagger \mathrm{i} \foo ~ $ ;"
    r" x_{12} W_{hh} f( .^ \left \big \mathsf T H \{ \over \mathbb{R} \end{cases} [ ] % ! é ∑"
).split()


def test_only_mistakes_come_out() -> None:
    chance = random.Random(7)
    for _ in range(1500):
        space = chance.choice(["", " "])
        latex = space.join(chance.choice(PIECES) for _ in range(chance.randint(1, 14)))
        try:
            reading = read(latex)
        except WrtError:
            continue
        assert read(reading.text).formula is reading.formula
