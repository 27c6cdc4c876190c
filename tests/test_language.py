"""Texts to formulas: their meaning against NumPy written by hand, and what cannot be."""

from __future__ import annotations

import numpy as np
import pytest

import wrt
from wrt.errors import Mistake, NameMistake, ShapeMistake, SyntaxMistake
from wrt.expression.build import getitem
from wrt.expression.dimensions import Dimension
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Apply, Variable
from wrt.language import read, read_wrt

SIZES = {"n": 3, "m": 4, "p": 5, "k": 2, "q": 6}


def drawn(variables, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    shapes = {name: tuple(d.size(SIZES) for d in v.dims) for name, v in variables.items()}
    return {name: random.uniform(0.3, 1.7, shape) for name, shape in shapes.items()}


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


#: text, shapes, NumPy; the names in NumPy are the arrays that were drawn.
MEANINGS = [
    ("W*x + b", {"W": "n m"}, "W @ x + b"),
    ("x'*A*x", {"x": "n"}, "x @ A @ x"),
    ("x*y'", {"x": "n", "y": "m"}, "np.outer(x, y)"),
    ("x'*A", {"A": "n m"}, "x @ A"),
    ("A*X*b", {"A": "2 3", "X": "3 4"}, "A @ X @ b"),
    ("x*x'*x", {"x": "n"}, "x * (x @ x)"),
    ("A'*B", {"A": "n m", "B": "n p"}, "A.T @ B"),
    ("2*A - A*3 + A/4", {"A": "n m"}, "2*A - A*3 + A/4"),
    ("1 - x.^2", {"x": "n"}, "1 - x**2"),
    ("x + y - 1 - z", {"x": "n"}, "x + y - 1 - z"),
    ("x.^y ./ 2", {"x": "n"}, "x**y / 2"),
    ("2.^x", {"x": "n"}, "2**x"),
    ("a^b", {}, "a**b"),
    ("A.*B ⊙ C ⊘ B", {"A": "n m"}, "A*C"),
    ("A\\b", {"A": "n n"}, "np.linalg.solve(A, b)"),
    ("A^3", {"A": "n n"}, "A @ A @ A"),
    ("A^-2", {"A": "n n"}, "np.linalg.inv(A) @ np.linalg.inv(A)"),
    ("A^0", {"A": "n n"}, "np.eye(3)"),
    ("A^-T*b", {"A": "n n"}, "np.linalg.inv(A).T @ b"),
    ("A^13", {"A": "n n"}, "np.linalg.matrix_power(A, 13)"),
    ("A ⊗ B", {"A": "n m", "B": "k p"}, "np.kron(A, B)"),
    ("kron(x', A)", {"x": "k", "A": "n m"}, "np.kron(x[None, :], A)"),
    ("kron(x, A)", {"x": "k", "A": "n m"}, "np.kron(x[:, None], A)"),
    ("kron(A, x)", {"x": "k", "A": "n m"}, "np.kron(A, x[:, None])"),
    ("kron(x, y)", {"x": "k", "y": "n"}, "np.kron(x, y)"),
    ("x' ⊗ y", {"x": "k", "y": "n"}, "np.outer(y, x)"),
    ("kron(x', y')", {"x": "k", "y": "n"}, "np.kron(x, y)"),
    ("vec(A)", {"A": "n m"}, "A.T.reshape(-1)"),
    ("x[2]", {"x": "n"}, "x[1]"),
    ("A[1,2]*A[1,:]'", {"A": "n m"}, "A[0, 1] * A[0]"),
    ("A[:,2]'*A[:,1]", {"A": "n m"}, "A[:, 1] @ A[:, 0]"),
    ("A[1,:]*A'", {"A": "n m"}, "A[0] @ A.T"),
    ("x[2:3]", {"x": "n"}, "x[1:3]"),
    ("A[2:3,1:2]", {"A": "n m"}, "A[1:3, 0:2]"),
    ("x[n]", {"x": "n"}, "x[-1]"),
    ("x[2:n]", {"x": "n"}, "x[1:]"),
    ("T[1,:,2]", {"T": "n m p"}, "T[0, :, 1]"),
    ("T*x", {"T": "n m p", "x": "p"}, "T @ x"),
    ("x'*T", {"T": "n m p", "x": "n"}, "np.tensordot(x, T, 1)"),
    ("(A*B)[1,2]", {"A": "n m", "B": "m p"}, "(A @ B)[0, 1]"),
    ("‖x‖ + norm1(x)", {"x": "n"}, "np.linalg.norm(x) + np.abs(x).sum()"),
    ("[a, b; c, d]", {}, "np.array([[a, b], [c, d]])"),
    ("[a, b, 3]", {}, "np.array([a, b, 3])"),
    ("[a; b]", {}, "np.array([a, b])"),
    ("[x; y]", {"x": "n", "y": "m"}, "np.concatenate([x, y])"),
    ("[x, y]", {"x": "n", "y": "n"}, "np.stack([x, y], axis=1)"),
    ("[x'; y']", {"x": "n", "y": "n"}, "np.stack([x, y])"),
    ("[A, x; y', 1]", {"A": "n m"}, "np.block([[A, x[:, None]], [y[None, :], np.ones((1, 1))]])"),
    ("[A, B]", {"A": "n m", "B": "n p"}, "np.hstack([A, B])"),
    ("1/18*x + 0.5*x + 1e-3*x", {"x": "n"}, "x/18 + 0.5*x + 1e-3*x"),
    ("1i*x*1i", {"x": "n"}, "-x"),
    ("pi*x", {"x": "n"}, "np.pi * x"),
    ("A + I + 2*eye", {"A": "n n"}, "A + 3*np.eye(3)"),
    ("eye(3)*A", {"A": "3 n"}, "A"),
    ("(A - I)*I", {"A": "n n"}, "A - np.eye(3)"),
    ("ones(n)'*A", {"A": "n m"}, "A.sum(0)"),
    ("ones(n,m) + zeros(n,m)", {"A": "n m"}, "np.ones((3, 4))"),
    ("A*vector(1) + vector(a)", {"A": "n m"}, "A.sum(1) + a"),
    ("A + matrix(2)", {"A": "n m"}, "A + 2"),
    ("vector(2, n)", {"x": "n"}, "2*np.ones(3)"),
    ("unit(n,2)'*A*unit(m,1)", {"A": "n m"}, "A[1, 0]"),
    ("unit(n,n)", {"x": "n"}, "np.array([0, 0, 1.0])"),
    ("x/sqrt(n)", {"x": "n"}, "x/np.sqrt(3)"),
    ("sum(A)", {"A": "n m"}, "A.sum()"),
    ("sum(A,1)", {"A": "n m"}, "A.sum(0)"),
    ("sum(A,2)", {"A": "n m"}, "A.sum(1)"),
    ("mean(A,1) + max(A,1)", {"A": "n m"}, "A.mean(0) + A.max(0)"),
    ("sum(x,1) + sum(x',2)", {"x": "n"}, "2*x.sum()"),
    ("max(x,1)", {"x": "n"}, "np.maximum(x, 1)"),
    ("max(A,matrix(1)) + min(A,B)", {"A": "n m"}, "np.maximum(A, 1) + np.minimum(A, B)"),
    ("max(x)", {"x": "n"}, "x.max()"),
    ("softmax(x)", {"x": "n"}, "softmax(x, 0)"),
    ("softmax(A,1)", {"A": "n m"}, "softmax(A, 0)"),
    ("softmax(A,2)", {"A": "n m"}, "softmax(A, 1)"),
    ("sqrt(x')*A", {"A": "n m"}, "np.sqrt(x) @ A"),
    (
        "A*diag(x') + diag(A)*sum(A,1)",
        {"A": "n n"},
        "A @ np.diag(x) + np.outer(np.diag(A), A.sum(0))",
    ),
    ("tril(A) + triu(A)", {"A": "n n"}, "np.tril(A) + np.triu(A)"),
    ("tr(A) + det(A) + dot(x,x)", {"A": "n n", "x": "n"}, "np.trace(A) + np.linalg.det(A) + x @ x"),
    ("outer(x,y)", {"x": "n", "y": "m"}, "np.outer(x, y)"),
    ("h = tanh(W*x)\nh'*h", {"W": "n m"}, "np.tanh(W @ x) @ np.tanh(W @ x)"),
    ("y'*Q where Q = P*P; P = A'*A", {"A": "n m"}, "y @ (A.T @ A) @ (A.T @ A)"),
    ("r = x'\nr*A", {"A": "n m"}, "x @ A"),
    ("sum(r, 0, 2, A^r)", {"A": "n n"}, "np.eye(3) + A + A @ A"),
    ("sum(r, 1, n, r*x)", {"x": "n"}, "6*x"),
    (
        "prod(j, 1, 3, A + j*I)",
        {"A": "n n"},
        "(A + 3*np.eye(3)) @ (A + 2*np.eye(3)) @ (A + np.eye(3))",
    ),
    ("prod(j, 1, 3, j*a)", {}, "6*a**3"),
    ('einsum("ijk,k->ij", T, x)', {"T": "n m p"}, "T @ x"),
    ('einsum("ij->ji", A)', {"A": "n m"}, "A.T"),
    ("einsum('ij->ji', A)", {"A": "n m"}, "A.T"),
    ("einsum('ij,kj->ik', A', B')", {"A": "m n", "B": "m p"}, "A.T @ B"),
    ('einsum("i->ii", x)', {"x": "n"}, "np.diag(x)"),
    ("D[i,a,b] = δ[i,a]*x[b]", {"x": "m"}, "np.einsum('ia,b->iab', np.eye(3), x)"),
    ("D[i,j] = A[i,k]*B[k,j]", {"A": "n m", "B": "m p"}, "A @ B"),
    ("D[i,j] = A[i,k]*B[k,j] + c[i]*ones[j]", {"A": "n m", "B": "m p"}, "A @ B + c[:, None]"),
    ("D[i] = A[i,k]*(x[k] - y[k]) + 1", {"A": "n m"}, "A @ (x - y) + 1"),
    ("D[i] = tanh(A[i,k]*x[k])^2*y[i]/x[1]", {"A": "n m"}, "np.tanh(A @ x)**2 * y / x[0]"),
    ("D[j] = x[i]^2*A[i,j]", {"A": "n m"}, "(x**2) @ A"),
    ("D[i] = (A[i,k]*x[k])^2/(1 + A[i,k]*x[k])", {"A": "n m"}, "(A @ x)**2/(1 + A @ x)"),
    ("D[i] = x[k]*(a + tanh(y[k]))*z[i]", {"x": "m"}, "z*(x @ (a + np.tanh(y)))"),
    ("D[i] = z[i]*sqrt(x[k]^2)", {"x": "m"}, "z*np.sqrt(x @ x)"),
    ("D[i] = z[i]/(x[k]*y[k])", {"x": "m"}, "z/(x @ y)"),
    ("D[i] = -A[i,i]*x[i]", {"A": "n n"}, "-np.diag(A)*x"),
    (
        "D[i,j] = (A'*A)[i,j] + softmax(x)[i]*x[j]",
        {"A": "n m"},
        "A.T @ A + np.outer(softmax(x, 0), x)",
    ),
    ("D[i,j] = x[i]^y[j]", {"x": "n", "y": "m"}, "x[:, None]**y[None, :]"),
    ("D[j] = T[1,k,j]*x[k]", {"T": "n m p"}, "x @ T[0]"),
    ("t = P*x\nD[i,j] = t[i]*t[j]", {"P": "n m"}, "np.outer(P @ x, P @ x)"),
    ("D[i,j] = tr(A)*δ[i,j]", {"A": "n n"}, "np.trace(A)*np.eye(4)"),
]


@pytest.mark.parametrize(("text", "shapes", "numpy"), MEANINGS)
def test_meaning(text, shapes, numpy):
    reading = read(text, shapes)
    values = drawn(reading.variables)
    wanted = eval(numpy, {"np": np, "softmax": softmax}, values)
    dims = {"N": 7, **SIZES}
    got = evaluate(reading.formula, values, dims)
    assert np.shape(got) == np.shape(wanted)
    np.testing.assert_allclose(got, wanted, rtol=1e-10)


def test_rows_are_marked():
    assert read("x'").row
    assert read("x'*A").row
    assert read("sum(A,1)").row
    assert read("tanh(x')").row
    assert read("A[1,:]").row
    assert not read("sum(A,2)").row
    assert not read("x'*x").row
    assert not read("(x'*A)'").row


def test_one_spelling_for_greek_names():
    assert read("Σ*λ").formula is read("Sigma*lambda").formula
    assert read("x₁'*x₁").formula is read("x1'*x1").formula
    assert read("Σ*x", {"Σ": "n m"}).variables["Sigma"].shape == ("n", "m")


def test_index_form_and_matrix_form_are_one_formula():
    pairs = [
        ("D[i] = x[i] + y[i] - z[i]", "x + y - z"),
        ("D[i] = A[i,k]*x[k] + A[i,k]*x[k] + A[i,k]*x[k]", "A*x + A*x + A*x"),
        ("D[i,j] = A[i,k]*B[k,j]", "A*B"),
        ("D[i,j] = x[i]*y[j]", "x*y'"),
        ("D[i,j] = δ[i,j]*x[i]", "diag(x)"),
    ]
    for index, matrix in pairs:
        shapes = {"x": "n", "y": "n", "z": "n", "A": "n n", "B": "n n"}
        assert read(index, shapes).formula is read(matrix, shapes).formula


def test_shared_lines_are_one_node():
    reading = read("h = tanh(W*x); h'*h + sum(h)")
    assert reading.lines["h"] in list(_parts(reading.formula))
    assert read("h = W*x; g = tanh(h)", line="h").formula is read("W*x").formula


def _parts(root):
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(node.children)


def test_large_powers_are_shared_squares():
    assert len(set(_parts(read("X^64").formula))) <= 8
    assert isinstance(read("X^65").formula, Apply)
    assert isinstance(read("X^k").formula, Apply)


def test_dimensions_are_named_in_the_order_of_the_text():
    assert read("W*x + b").variables["W"].shape == ("n", "m")
    assert read("m*A*x").variables["A"].shape == ("n", "p"), "m is taken by the person"
    assert read("A*x", {"A": "3 4"}).variables["x"].shape == (4,)
    assert read("A*x", {"A": (3, "q")}).variables["x"].shape == ("q",)
    assert read("d'*A*kron(d,d)", {"A": "3 9"}).variables["d"].shape == (3,)
    assert read("D[i,a,b] = δ[i,a]*x[b]").formula.shape == ("n", "n", "m")


def test_a_declared_name_wins_over_a_dimension():
    reading = read("sin(d)*x", {"d": "", "x": "d"})
    assert set(reading.variables) == {"d", "x"}
    assert read("d*x", {"x": "d"}).variables.keys() == {"x"}


def test_declarations_in_the_text():
    reading = read("W: n n symmetric\nW*x")
    assert reading.variables["W"].properties == {"symmetric"}
    assert reading.assumed == ("x is a vector (n)",)


def test_assumptions_are_sentences():
    assert read("W*x", {"W": "2 4"}).assumed == ("x is a vector (4)",)
    assert read("a*T[1,1,2]").assumed == (
        "a is a scalar",
        "T is a tensor of 3 axes (n × m × p)",
    )


def test_functions_that_nobody_defined():
    reading = read("phi'(W*x)", {"phi": "entrywise", "W": "n m"})
    assert reading.formula.function.name == "phi'"
    assert reading.formula.shape == ("n",)
    reading = read("f: n -> m\nA*f(x)", {"A": "p m"})
    assert reading.formula.shape == ("p",)
    assert reading.variables["x"].shape == ("n",)
    assert read("l(x, y)'*A", {"l": "n, m -> p", "A": "p q"}).formula.shape == ("q",)
    assert read("f(W*x)", {"f": "n ->", "W": "n m"}).formula.shape == ()
    with pytest.raises(ShapeMistake, match="f does not take 4"):
        read("f(x)", {"f": "3 -> m", "x": "4"})


def told(text, shapes=None) -> str:
    with pytest.raises(Mistake) as caught:
        read(text, shapes)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "shapes", "message"),
    [
        (
            "W*x + y*z",
            None,
            "y*z: two vectors cannot be multiplied (y and z read as vectors by their letters)\n"
            "    W*x + y*z\n"
            "          ^^^\n"
            "  perhaps y'*z (inner product), y*z' (outer product) or y.*z (entry by entry)",
        ),
        (
            "A*x",
            {"A": "3 4", "x": "3"},
            "A*x: A has 4 columns, x has 3 entries\n    A*x\n    ^^^\n  perhaps A'*x",
        ),
        (
            "A*B",
            {"A": "n m", "B": "p q"},
            "A*B: A has m columns, B has p rows\n    A*B\n    ^^^",
        ),
        (
            "x'+y",
            None,
            "x'+y: a row and a column do not fit (x and y read as vectors by their letters)\n"
            "    x'+y\n    ^^^^\n  perhaps x+y",
        ),
        (
            "x*A",
            {"x": "n", "A": "n n"},
            "x*A: a vector stands left of a matrix\n    x*A\n    ^^^\n  perhaps x'*A",
        ),
        (
            "x*ones(1,m)",
            {"x": "n"},
            "x*ones(1,m): a vector stands left of a matrix\n    x*ones(1,m)\n    ^^^^^^^^^^^\n"
            "  perhaps x*ones(m)'",
        ),
        (
            "X*W+b'",
            {"X": "N m", "W": "m k", "b": "k"},
            "X*W+b': a matrix cannot be added to a row\n    X*W+b'\n    ^^^^^^\n"
            "  perhaps X*W + ones(n)*b'",
        ),
        (
            "x-A",
            {"x": "n", "A": "n n"},
            "x-A: a matrix cannot be subtracted from a vector\n    x-A\n    ^^^\n"
            "  perhaps x*ones(m)' - A",
        ),
        (
            "A+B",
            {"A": "n m", "B": "m n"},
            "A+B: A is n × m, B is m × n\n    A+B\n    ^^^\n  perhaps A+B'",
        ),
        (
            "x.*y",
            {"x": "3", "y": "4"},
            "x.*y: x has 3 entries, y has 4 entries\n    x.*y\n    ^^^^",
        ),
        (
            "b + inv(A*B)",
            {"A": "n m", "B": "m p"},
            "inv wants a square matrix, and A*B is n × p\n    b + inv(A*B)\n            ^^^",
        ),
        (
            "A^2",
            {"A": "2 3"},
            "a power wants a square matrix, and A is 2 × 3\n    A^2\n    ^",
        ),
        (
            "x^2",
            {"x": "n"},
            "x^2: the power of a vector\n    x^2\n    ^^^\n  perhaps x.^2 (entry by entry)",
        ),
        (
            "1/x",
            {"x": "n"},
            "1/x: division by a vector\n    1/x\n    ^^^\n  perhaps 1./x (entry by entry)",
        ),
        (
            "softmax(X)",
            None,
            "softmax does not take a matrix (X read as a matrix by its letter)\n"
            "    softmax(X)\n    ^^^^^^^^^^\n"
            "  perhaps softmax(X,1) over each column or softmax(X,2) over each row",
        ),
        (
            "tahn(x)",
            None,
            "nobody knows a function tahn\n    tahn(x)\n    ^^^^\n  did you mean tanh?",
        ),
        (
            "foo(x)",
            None,
            "nobody knows a function foo\n    foo(x)\n    ^^^\n"
            "  declare it, as in `foo: entrywise` on a line of its own",
        ),
        (
            "x(y+z)",
            {"x": ""},
            "x is a variable here and no function\n    x(y+z)\n    ^\n  perhaps x*(y+z)",
        ),
        (
            "tanh*x",
            None,
            "tanh is a function and wants its arguments in brackets\n    tanh*x\n    ^^^^\n"
            "  perhaps tanh(…); declare tanh to use it as a name",
        ),
        (
            "tanh(x,y)",
            None,
            "tanh does not take 2 arguments\n    tanh(x,y)\n    ^^^^^^^^^\n  it is tanh(x) -> y",
        ),
        (
            "x[4]",
            {"x": "3"},
            "there is no entry 4; entries are counted from 1 to 3\n    x[4]\n      ^",
        ),
        (
            "x[0]",
            {"x": "n"},
            "there is no entry 0; entries are counted from 1 to n\n    x[0]\n      ^",
        ),
        (
            "x[1,2]",
            {"x": "n"},
            "x is a vector and takes 1 index, 2 given\n    x[1,2]\n    ^^^^^^",
        ),
        (
            "eye(x)",
            {"x": "n"},
            "a size is wanted here, and x is none\n    eye(x)\n        ^\n"
            "  sizes are whole numbers and the names of dimensions",
        ),
        ("x/0", None, "division by zero\n    x/0\n    ^^^"),
        (
            "[1,2;3]",
            None,
            "the rows of a matrix are equally long, and these have 2, 1 entries\n"
            "    [1,2;3]\n    ^^^^^^^",
        ),
        ("a = b; a = c", None, "a is defined twice\n    a = b; a = c\n           ^^^^^"),
        (
            "a where a = b; b = a",
            None,
            "a is defined by itself\n    a where a = b; b = a\n            ^^^^^",
        ),
        ("W*x", {"W": "n n symetric"}, "W: 'symetric' is no property\n  did you mean symmetric?"),
        ("W*x", {"W": "n n definite"}, "W: 'definite' is no property\n  did you mean spd?"),
        (
            "W*x",
            {"W": "n n positive-definite"},
            "W: 'positive-definite' is no property\n  did you mean spd?",
        ),
        ("W*x", {"W": "n n sym"}, "W: 'sym' is no property\n  did you mean symmetric?"),
        (
            "W*x",
            {"W": "n n triangular"},
            "W: 'triangular' is no property\n  did you mean lower or upper?",
        ),
        (
            "x*sum(X,1)'",
            {"X": "n m", "x": "n"},
            "x*sum(X,1)': two vectors cannot be multiplied\n    x*sum(X,1)'\n    ^^^^^^^^^^^\n"
            "  perhaps x'*sum(X,1)' (inner product), x*sum(X,1) (outer product) "
            "or x.*sum(X,1)' (entry by entry)",
        ),
        ("W*x", {"W": "n m spd"}, "W: only a square matrix is spd, and n m is not"),
        ("W*x", {"W": "n 0"}, "W: a dimension of 0 is refused; sizes begin at 1"),
        (
            "D[i] = A[i,k]",
            None,
            "the index k stands once on the right and not on the left\n"
            "    D[i] = A[i,k]\n           ^^^^^^\n  perhaps …*ones[k], which sums along it",
        ),
        (
            "D[i,j] = x[i]",
            None,
            "the index j stands on the left only\n    D[i,j] = x[i]\n    ^^^^^^^^^^^^^\n"
            "  perhaps …*ones[j], which repeats along it",
        ),
    ],
)
def test_mistakes(text, shapes, message):
    assert told(text, shapes) == message


def test_a_formula_is_text():
    with pytest.raises(SyntaxMistake, match="a formula is text, and this is an int"):
        read(5)


def test_with_respect_to():
    reading = read("W*x + b", {"W": "n m"})
    assert read_wrt("W", reading).variable is reading.variables["W"]
    wanted = read_wrt("W[2,:]", reading)
    entry = getitem(wanted.variable, wanted.selection.key)
    assert entry.shape == ("m",)
    assert read_wrt("x[1]", reading).selection.items == (Dimension.of(0),)
    assert read_wrt("conj(x)", reading).conjugate
    wanted = read_wrt("s", reading)
    assert isinstance(wanted.variable, Variable)
    assert wanted.assumed == "s is a vector (p)"
    assert read_wrt("Σ", read("Sigma*x")).variable.name == "Sigma"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("w", "the formula has no name w\n    w\n    ^\n  did you mean W?"),
        ("gama", "the formula has no name gama\n    gama\n    ^^^^\n  did you mean gamma?"),
        ("n", "n is a size, and sizes have no derivative\n    n\n    ^"),
        (
            "h",
            "h is defined by a line and no variable\n    h\n    ^\n  the variables are W, gamma, x",
        ),
        (
            "W*x",
            "W*x is no variable\n    W*x\n    ^^^\n  a derivative by an expression is no "
            "derivative; name a variable, as in W, X[1,2], X[:,1] or conj(X)",
        ),
        ("W[1,9]", "W has no entry 9; entries are counted from 1 to 4"),
    ],
)
def test_with_respect_to_what_is_no_variable(text, message):
    reading = read("h = W*x; gamma*h", {"W": "n 4"})
    with pytest.raises((NameMistake, ShapeMistake)) as caught:
        read_wrt(text, reading)
    assert str(caught.value) == message


def test_reading_is_fast_enough_to_type_against():
    reading = read("tanh(W*s + U*x + b)")
    assert read("tanh(W*s + U*x + b)").formula is reading.formula


@pytest.mark.parametrize(
    "text",
    [
        "D[a] = x[k]*(A[a,k]*z[k] + B[a,k]*z[k])",
        "D[a] = x[k]*z[k]*(A[a,k] + B[a,k])",
        "D[a] = (A[a,k]*z[k] + B[a,k]*z[k])*x[k]",
    ],
)
def test_an_index_beside_a_bracket_is_not_summed_inside_it(text: str) -> None:
    shapes = {"x": "n", "z": "n", "A": "m n", "B": "m n"}
    rng = np.random.default_rng(4)
    A, B = rng.normal(size=(2, 3, 4))
    x, z = rng.normal(size=(2, 4))
    got = evaluate(read(text, shapes=shapes).formula, {"A": A, "B": B, "x": x, "z": z})
    assert np.allclose(got, (A + B) @ (x * z))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("X - mean(X,1)", "perhaps X - ones(n)*mean(X,1)"),
        ("X - sum(X,2)", "perhaps X - sum(X,2)*ones(m)'"),
        ("X./sum(X,2)", "perhaps X./(sum(X,2)*ones(m)')"),
    ],
)
def test_the_mean_of_columns_does_not_make_a_vector_of_a_matrix(text, hint) -> None:
    with pytest.raises(ShapeMistake) as refused:
        read(text)
    assert "(X read as a matrix by its letter)" in str(refused.value)
    assert str(refused.value).endswith(hint)
    assert read(hint.removeprefix("perhaps ")).formula.ndim == 2


def test_sigma_of_something_is_the_sigmoid() -> None:
    for text in ("σ(W*x+b)", "sigma(W*x+b)"):
        assert read(text).formula is read("sigmoid(W*x+b)").formula
    assert read("sigma(x)", {"sigma": "entrywise"}).formula is not read("sigmoid(x)").formula
    with pytest.raises(NameMistake, match="sigma"):
        read("sigma(x)", {"sigma": "n"})
    assert read("ln(x)").formula is read("log(x)").formula


def test_the_variable_of_a_range_picks_no_entries() -> None:
    with pytest.raises(NameMistake, match="i runs over a range, and such a name is a number"):
        wrt.derivative("sum(i, 1, n, x[i]*y[i])", "x")
    assert wrt.derivative("f = x[i]*y[i]", "x").matrix == "y"


def test_the_formula_is_the_line_that_no_other_uses() -> None:
    """The last line, unless an earlier line uses what it defines."""
    ahead = read("L = -y'*log(p); p = softmax(z)")
    assert ahead.formula is read("p = softmax(z); L = -y'*log(p)").formula
    assert ahead.formula.ndim == 0
    assert read("a = W*x; b = 2*x").formula is read("2*x").formula
    with pytest.raises(Mistake, match="itself"):
        read("a = b*x; b = 2*a")


@pytest.mark.parametrize("shape", ["2x3", "2 x 3", "2×3", "2 × 3"])
def test_axes_stand_side_by_side(shape: str) -> None:
    with pytest.raises(ShapeMistake, match='as in "2 3"'):
        read("W*v", shapes={"W": shape})
    assert read("W*v", shapes={"W": "n2x3 x"}).formula.shape == ("n2x3",)


def test_what_a_function_is_said_to_depend_on_is_left_aside() -> None:
    assert read("f(x, A) = x'*A*x").formula is read("x'*A*x").formula
    assert read(r"f(x) = x^\top A x").formula is read("x'*A*x").formula
    with pytest.raises(Mistake, match="left of = stands a name"):
        read("f(2) = x'*x")


def test_letters_may_be_called_like_dimensions() -> None:
    """What stands on the left, and what stands beside it in an entry, is an index there."""
    X, M, L = (np.random.default_rng(k).normal(size=s) for k, s in enumerate([(5, 3), (4, 3), 3]))
    shapes = {"X": "N d", "M": "k d", "L": "d"}
    apart = X[:, None] - M
    for text, value in [
        ("Q[n,k,d] = X[n,d] - M[k,d]", apart),
        ("Q[k,d] = ones[n]*X[n,d]*M[k,d]", X.sum(0) * M),
        ("Q[n,k] = (X[n,d] - M[k,d])*L[d]", apart @ L),
        ("Q[i,j] = (X[i,d] - M[j,d])^2*L[d]*ones[d]", apart**2 @ L),
        ("Q[i,j] = (X[i,a] - M[j,a])*L[d]*ones[a]", apart.sum(2) * L[-1]),  # d by itself: a size
    ]:
        one = read(text, shapes={k: v for k, v in shapes.items() if f"{k}[" in text})
        np.testing.assert_allclose(evaluate(one.formula, {"X": X, "M": M, "L": L}), value)
