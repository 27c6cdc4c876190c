"""Programs: their text reads like a person's, runs alone, and their door says what is wrong."""

from __future__ import annotations

import ast
import pickle
import subprocess
import sys
from fractions import Fraction
from textwrap import dedent

import numpy as np
import pytest

import wrt
from wrt import programs
from wrt.errors import NameMistake, TooLarge, ValueMistake
from wrt.expression import build
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.function import Function, undefined
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Node, Pattern, Relation, Variable
from wrt.functions import BOOK
from wrt.programs.plan import plan

n, m, k = (Dimension.of(c) for c in "nmk")
W, X, T = (Variable(name, (n, m)) for name in "WXT")
A = Variable("A", (n, n))
U, V = Variable("U", (n, k)), Variable("V", (m, k))
b, d, y = (Variable(name, (n,)) for name in "bdy")
x, w = Variable("x", (m,)), Variable("w", (m,))
c = Variable("c", ())
tanh, inv, softmax, norm2 = (BOOK[word] for word in ("tanh", "inv", "softmax", "norm2"))
einsum = build.einsum


def body(formula: Node, **more: object) -> str:
    """The lines of a program after its docstring."""
    text = programs.source(formula, **more)
    lines = text.partition("def derivative")[2].split('"""')[-1].rstrip().split("\n")
    return dedent("\n".join(lines)).strip()


# Text


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (2 * (W.T @ (W @ x - b)), "return 2 * (W.T @ (W @ x - b))"),
        (-2 * ((T - U @ V.T) @ V), "return -2 * ((T - U @ V.T) @ V)"),
        (
            einsum("ij,ij->", T - U @ V.T, T - U @ V.T),
            "r = T - U @ V.T\nreturn np.vdot(r, r)",
        ),
        (einsum("ki,k,kj->ij", X, d, W), "return X.T @ (d[:, None] * W)"),
        (einsum("ki,k,kj->ij", X, d, X), "return weighted_gram(X, d)"),
        (einsum("i,j->ij", b, x) / norm2(x), "return np.outer(b, x / norm2(x))"),
        (
            einsum("ij,i,b->ijb", build.identity(n), 1 - tanh(W @ x + b) ** 2, x),
            """\
            n, m = W.shape
            t1 = np.outer(1 - np.tanh(W @ x + b) ** 2, x)
            out = np.zeros((n, n, m), dtype=t1.dtype)
            np.einsum('iia->ia', out)[:] = t1
            return out""",
        ),
        (
            einsum("ij,a->iaj", build.identity(m), b),
            """\
            n, m = W.shape
            out = np.zeros((m, n, m), dtype=b.dtype)
            np.einsum('iai->ia', out)[:] = b
            return out""",
        ),
        (
            BOOK["diag"](softmax(W @ x)) - BOOK["outer"](softmax(W @ x), softmax(W @ x)),
            """\
            softmax_1 = softmax(W @ x)
            out = np.outer(softmax_1, -softmax_1)
            np.einsum('ii->i', out)[:] += softmax_1
            return out""",
        ),
        (A + BOOK["diag"](b), "return A + np.diag(b)"),
        (
            build.identity(n) / c - A * c,
            """\
            out = -c * A
            np.einsum('ii->i', out)[:] += 1 / c
            return out""",
        ),
        (inv(A) @ b, "return np.linalg.solve(A, b)"),
        (b @ inv(A), "return np.linalg.solve(A.T, b)"),
        (
            einsum("ji,j,k,lk->il", inv(A), b, d, inv(A)),
            "lu = lu_factor(A)\nreturn np.outer(lu_solve(lu, b, trans=1), lu_solve(lu, d))",
        ),
        (
            inv(A) - einsum("ij,j,k->ik", inv(A), b, d),
            "inv_A = np.linalg.inv(A)\nreturn inv_A - np.outer(inv_A @ b, d)",
        ),
        (
            einsum("ij,j,k->ik", inv(W.T @ W), x, inv(W.T @ W) @ x),
            "t1 = cholesky_solve(cholesky(W.T @ W), x)\nreturn np.outer(t1, t1)",
        ),
        (BOOK["tr"](A), "return np.trace(A)"),
        (BOOK["diag"](A), "return A.diagonal()"),
        (BOOK["tril"](A) @ b, "return np.tril(A) @ b"),
        (BOOK["kron"](A, W), "return np.kron(A, W)"),
        (BOOK["vec"](W), "return W.T.reshape(-1)"),
        (
            W[0] @ x + x[1:3] @ x[0:2],
            "m = W.shape[1]\nassert m >= 3\nreturn x[:2] @ x[1:3] + W[0] @ x",
        ),
        (einsum("ij,ij->i", X, W), "return np.einsum('ij,ij->i', W, X)"),
        (einsum("ij->j", W) / n, "n = W.shape[0]\nreturn np.sum(W, axis=0) / n"),
        (
            build.ones((n, m)) * 3,
            "n, m = W.shape\nreturn np.full((n, m), 3, dtype=np.result_type(W, 1.0))",
        ),
        (build.broadcast(x, (n, m)), "n, m = W.shape\nreturn np.broadcast_to(x, (n, m)).copy()"),
        (
            build.bounded("sum", c, build.number(1), build.number(m), W * c),
            """\
            n, m = W.shape
            total = np.zeros((n, m), dtype=np.result_type(W, 1.0))
            for c in range(1, m + 1):
                total += c * W
            return total""",
        ),
        (BOOK["relu"](W @ x), "return np.maximum(W @ x, 0)"),
        (
            build.scale(Coefficient.of(m) ** Fraction(-1, 2), X @ X.T),
            "m = W.shape[1]\nreturn X @ X.T / m ** 0.5",
        ),
    ],
)  # fmt: skip
def test_a_program_reads_like_a_persons(formula, text):
    first = () if W in formula.names else (W,)
    arguments = (*first, *sorted(formula.names, key=lambda v: v.name))
    assert body(formula, arguments=arguments) == dedent(text)


def test_a_module_stands_alone():
    lam = Variable("lambda", ())
    text = programs.source(lam * BOOK["logsumexp"](W @ x), doc="∂f/∂x")
    assert text == dedent(
        '''\
        import numpy as np


        def logsumexp(x):
            """The logarithm of the sum of the exponentials of all entries."""
            top = x.max(axis=-1, keepdims=True)
            return top[..., 0] + np.log(np.exp(x - top).sum(axis=-1))


        def derivative(W, lambda_, x):
            """∂f/∂x: a scalar, for W (n × m), lambda_ (scalar), x (m)."""
            return lambda_ * logsumexp(W @ x)
        '''
    )


def test_a_program_runs_where_wrt_is_not():
    text = programs.source(tanh(W @ x) / norm2(x), name="f")
    text += "\nprint(f(np.eye(2), np.array([3.0, 4.0])).round(4).tolist())\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _without_wrt() + text],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str((np.tanh([3.0, 4.0]) / 5).round(4).tolist())


def _without_wrt() -> str:
    place = np.__path__[0].rpartition("/numpy")[0]
    block = "class No:\n    def find_spec(self, name, *_):\n        assert name != 'wrt'\n"
    return f"import sys\nsys.path.append({place!r})\n{block}sys.meta_path.insert(0, No())\n"


def test_importing_programs_loads_no_array_library():
    code = (
        "import wrt.programs, sys\n"
        "print([m for m in ('numpy', 'scipy', 'opt_einsum') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("backend", ["numpy", "jax", "torch"])
@pytest.mark.parametrize("word", ["expm", "logm", "sqrtm", "sinm", "cosm"])
def test_helpers_with_functions_inside_say_what_they_are(word: str, backend: str):
    """Python reads them, and the docstring stands in the function that it tells of."""
    source = wrt.derivative(f"tr(A*{word}(S))", "S").source(backend)
    for node in ast.parse(source).body:
        assert not isinstance(node, ast.FunctionDef) or ast.get_docstring(node)


def test_a_helper_makes_way_for_a_variable_of_its_name():
    named = Variable("softmax", (m,))
    text = programs.source(softmax(W @ x) @ (W @ named))
    assert "def softmax_(x):" in text
    values = {"W": np.ones((2, 3)), "x": np.arange(3.0), "softmax": np.ones(3)}
    np.testing.assert_allclose(programs.compile(softmax(W @ x) @ (W @ named))(**values), 3.0)


def test_a_chain_of_ten_thousand_steps_is_one_assignment_after_another():
    node: Node = x
    for _ in range(10_000):
        node = tanh(node) + node
    program = programs.compile(node)
    assert program.source.count("\n") > 2_000
    assert len({line.split(" = ")[0] for line in program.source.split("\n")}) < 20
    assert program(x=np.zeros(3)).tolist() == [0, 0, 0]


def test_shared_parts_are_computed_once():
    inner = tanh(W @ x + b)
    assert programs.source(einsum("i,i,j->ij", inner, 1 - inner**2, x)).count("tanh(") == 1


def test_products_are_ordered_by_cost():
    chain = einsum("ij,jk,k->i", A, A, b)
    assert body(chain) == "return A @ (A @ b)"


def test_sizes_decide_an_order_that_letters_leave_open():
    B = Variable("B", (m, n))
    product = einsum("ij,jk,kl->il", W, B, W)
    assert body(product, sizes={"n": 2, "m": 1000}) == "return W @ B @ W"
    assert body(product, sizes={"n": 1000, "m": 2}) == "return W @ (B @ W)"


def test_zeros_of_diagonals_are_never_formed():
    product = BOOK["diag"](d * b) @ W
    assert body(product) == "return (b * d)[:, None] * W"
    assert all(len(step.dims) < 3 for step in plan(product).all)


def test_a_common_array_stands_outside_the_bracket():
    assert body(einsum("ij,i->ij", W, d) + einsum("ij,i->ij", W, b)) in (
        "return (b + d)[:, None] * W",
        "return (d + b)[:, None] * W",
    )


def test_patterns_that_no_slice_says_are_masks():
    relation = Relation(((0, 1), (1, 1)), Dimension.of(-2), "==")
    corner = Pattern((n, m), [relation])
    assert body(corner * W) == (
        "n, m = W.shape\nreturn W * (np.arange(n)[:, None] + np.arange(m) == 2)"
    )


def test_several_formulas_share_one_program():
    r = W @ x - b
    program = programs.compile((W.T @ r, einsum("i,j->ij", r, x)))
    assert program.source.count("W @ x") == 1
    by_x, by_W = program(W=np.eye(2), x=np.ones(2), b=np.zeros(2))
    assert by_x.tolist() == [1, 1]
    assert by_W.tolist() == [[1, 1], [1, 1]]


def test_the_same_formula_has_the_same_program():
    assert programs.compile(W @ x) is programs.compile(W @ x)
    again = pickle.loads(pickle.dumps(programs.compile(W @ x)))
    assert again(W=np.eye(2), x=np.ones(2)).tolist() == [1, 1]


def test_weights_of_both_signs_make_a_gram_matrix():
    rng = np.random.default_rng(0)
    values = {"X": rng.normal(size=(7, 3)), "d": rng.normal(size=7)}
    formula = einsum("ki,k,kj->ij", X, d, X)
    np.testing.assert_allclose(programs.compile(formula)(values), evaluate(formula, values))
    values["d"] = np.abs(values["d"])
    np.testing.assert_allclose(programs.compile(formula)(values), evaluate(formula, values))


def test_an_unknown_array_library_is_refused():
    with pytest.raises(ValueMistake, match="no array library is called numpi"):
        programs.source(W @ x, "numpi")


# The door

GOOD = {"W": np.ones((3, 4)), "x": np.ones(4)}


def mistake(formula: Node, **values: object) -> str:
    with pytest.raises(ValueMistake) as caught:
        programs.compile(formula)({**{v: GOOD[v] for v in ("W", "x")}, **values})
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"x": np.ones(3)}, "W has 4 columns (m = 4), x has 3 entries (m = 3)"),
        ({"x": np.ones((4, 1))}, "x is a vector (m), given an array of shape (4, 1)"),
        ({"W": 2.0}, "W is a matrix (n × m), given an array of shape ()"),
        ({"x": np.ones(0)}, "W has 4 columns (m = 4), x has 0 entries (m = 0)"),
        ({"x": [1, np.nan, 2, 3]}, "x[2] is NaN"),
        ({"x": ["a", "b", "c", "d"]}, "x holds text (list), not numbers"),
        ({"x": np.array([1, None, 2, 3])}, "x holds objects (ndarray), not numbers"),
        (
            {"x": [1j] * 4},
            "x has complex entries, but is not declared complex (as in x: m complex)",
        ),
        (
            {"x": np.ma.ones(4)},
            "x is a masked array; fill its gaps with a number, and weigh them by 0 in the formula"
            " where they should not count, as in M.*(…)",
        ),
        ({"x": np.tanh}, "x is a function; wanted an array of m"),
        ({"w": np.ones(4)}, "nothing here is called w (the names are W, x)"),
    ],
)
def test_the_door_says_what_is_wrong(values, message):
    assert mistake(W @ x, **values) == message


def test_ragged_lists_are_no_arrays():
    assert mistake(W @ x, x=[[1, 2], [3]]).startswith("x is not an array of numbers: ")


def test_missing_and_misspelled_names():
    long = Variable("weights", (n,))
    with pytest.raises(ValueMistake, match=r"no value is given for b and weights"):
        programs.compile(long * b)()
    with pytest.raises(
        ValueMistake, match=r"called weight; did you mean weights\? \(the names are"
    ):
        programs.compile(long * b)(weight=1, b=2)
    with pytest.raises(ValueMistake, match="b is given twice"):
        programs.compile(long * b)({"b": 1}, b=2)
    with pytest.raises(
        ValueMistake, match=r"given by name, as in x=…, or as one mapping; got a list"
    ):
        programs.compile(long * b)([1])


def test_declared_numbers_hold():
    fixed = Variable("F", (Dimension.of(2), Dimension.of(4)))
    with pytest.raises(ValueMistake, match=r"^F has 3 columns, declared with 4$"):
        programs.compile(2 * fixed)(F=np.ones((2, 3)))


def test_dimensions_that_are_sums_are_solved_for():
    longer = Variable("z", (n + 1,))
    program = programs.compile(build.broadcast(einsum("i->", longer), (n,)))
    assert program(z=np.ones(4)).tolist() == [4, 4, 4]
    with pytest.raises(ValueMistake, match="b has 2 entries"):
        programs.compile(einsum("i->", longer) * b)(z=np.ones(4), b=np.ones(2))


@pytest.mark.parametrize(
    ("properties", "value", "message"),
    [
        ("symmetric", [[1, 2], [3, 1]], "A[1,2] = 2 but A[2,1] = 3 (largest difference 1)"),
        ("skew", [[0, 2], [2, 0]], "A[1,2] = 2 but A[2,1] = 2 (largest sum 4)"),
        ("skew", [[0, 2], [-2, 1]], "A[2,2] = 1, not 0"),
        ("diagonal", [[1, 2], [0, 1]], "A[1,2] = 2, not 0"),
        ("lower", [[1, 2], [0, 1]], "A[1,2] = 2, not 0"),
        ("upper", [[1, 0], [5, 1]], "A[2,1] = 5, not 0"),
        ("orthogonal", [[1, 0], [0, 2]], "the entry [2,2] of A'*A - eye(2) is 3"),
        ("spd", [[1, 0], [0, -2]], "its smallest eigenvalue is -2"),
        ("spd", [[1, 0], [1, 2]], "A[1,2] = 0 but A[2,1] = 1 (largest difference 1)"),
        ("toeplitz", [[1, 0], [0, 2]], "A[1,1] = 1 but A[2,2] = 2 (largest difference 1)"),
        ("positive", [[1, 0], [2, 2]], "A[1,2] = 0"),
        ("simplex", [[1, 0], [0, 2]], "its entries sum to 3, not 1"),
        ("simplex", [[1, 0.5], [0, -0.5]], "A[2,2] = -0.5"),
        ("invertible", [[1, 2], [2, 4]], "it is singular"),
    ],
)
def test_values_keep_to_what_was_declared(properties, value, message):
    declared = Variable("A", (n, n), {properties})
    with pytest.raises(ValueMistake) as caught:
        programs.compile(declared @ b)(A=value, b=[1, 1])
    assert str(caught.value) == f"A was declared {properties}, and {message}"


def test_a_singular_matrix_is_named():
    with pytest.raises(
        ValueMistake, match=r"^A is singular: inv\(A\) does not exist at this point$"
    ):
        programs.compile(inv(A))(A=np.zeros((2, 2)))
    with pytest.raises(
        ValueMistake, match=r"a matrix inside is singular.*\(in return np.linalg.inv"
    ):
        programs.compile(inv(A + A.T))(A=np.zeros((2, 2)))


def test_a_result_beyond_the_limit_is_refused_before_computing():
    cube = einsum("ij,a->ija", build.identity(n), x)
    program = programs.compile(cube, arguments=[W, x], title="∂(W*x)/∂W")
    big = np.broadcast_to(1.0, (4096, 4096))
    with pytest.raises(TooLarge) as caught:
        program(W=big, x=np.ones(4096))
    assert str(caught.value) == (
        "∂(W*x)/∂W would have 4096 × 4096 × 4096 = 68,719,476,736 entries (550 GB); "
        "apply, pullback, entry and structure answer without forming it"
    )
    with pytest.raises(TooLarge, match="a step on the way to"):
        programs.compile(
            einsum("i,j->", tanh(b), tanh(x)) + einsum("ij->", tanh(einsum("i,j->ij", b, x))),
            limit=10,
        )(b=np.ones(4), x=np.ones(4))


def test_slices_that_do_not_exist_are_refused():
    with pytest.raises(ValueMistake, match="m must be at least 3"):
        programs.compile(x[2])(x=np.ones(2))


# Types


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([np.float32, np.float32], np.float32),
        ([np.float32, np.float64], np.float64),
        ([np.int64, np.int64], np.float64),
        ([np.float32, np.int64], np.float32),
        ([np.float16, np.float16], np.float32),
        ([np.bool_, np.float64], np.float64),
        ([np.longdouble, np.float32], np.float64),
    ],
)
def test_types(given, wanted):
    values = {"W": np.ones((2, 3), given[0]), "x": np.ones(3, given[1])}
    for formula in (
        W @ x,
        einsum("ij,j,k->ijk", W, x, x) / m,
        einsum("ik,j->ijk", build.identity(n), x),
    ):
        assert programs.compile(formula, arguments=[W, x])(values).dtype == wanted


def test_lists_and_numbers_take_the_type_of_the_arrays_beside_them():
    single = np.ones(3, np.float32)
    assert programs.compile(c * x)(c=2.5, x=single).dtype == np.float32
    assert programs.compile(c * x)(c=2, x=[1, 2, 3]).tolist() == [2, 4, 6]


def test_scalars_are_arrays_without_axes():
    result = programs.compile(x @ x)(x=[1, 2])
    assert isinstance(result, np.ndarray)
    assert result.shape == ()
    assert programs.compile(build.number(3))() == 3.0


def test_results_are_arrays_of_their_own():
    given = np.eye(2)
    result = programs.compile(A.T)(A=given)
    result[0, 0] = 5
    assert given[0, 0] == 1


def test_complex_values_where_declared():
    Z = Variable("Z", (n, n), {"complex"})
    result = programs.compile(Z @ b)(Z=[[1j, 0], [0, 1]], b=[1, 2])
    assert result.tolist() == [1j, 2]
    assert programs.compile(einsum("ij,ij->", Z, Z))(Z=[[1j]]) == -1


def test_infinity_passes_where_the_result_is_a_number():
    assert programs.compile(softmax(x))(x=[0, -np.inf]).tolist() == [1, 0]
    with pytest.raises(ValueMistake, match="x has infinite entries; the result is no number there"):
        programs.compile(softmax(x))(x=[0, np.inf])


# Functions that nobody defined, sizes that nothing tells


def test_an_undefined_function_is_given_as_a_callable():
    phi = undefined("phi", [()], ())
    program = programs.compile(phi.prime()(W @ x) * phi(b))
    values = {**GOOD, "b": np.ones(3)}
    result = program({**values, "phi": np.sin, "phi'": np.cos})
    np.testing.assert_allclose(result, np.cos(4) * np.sin(1) * np.ones(3))
    np.testing.assert_allclose(program(**values, phi=np.sin, phi_prime=np.cos), result)
    with pytest.raises(ValueMistake, match=r"phi gave shape \(\), wanted \(3,\)"):
        program(**values, phi=np.sum, phi_prime=np.cos)
    with pytest.raises(ValueMistake, match="phi is a function of arrays, given a float"):
        program(**values, phi=1.0, phi_prime=np.cos)


def test_a_size_that_no_array_tells_is_given_by_name():
    program = programs.compile(build.identity(n))
    assert program.sizes == ("n",)
    assert program(n=2).tolist() == [[1, 0], [0, 1]]
    with pytest.raises(
        ValueMistake, match=r"the size n is a whole number of at least 1, given 1\.5"
    ):
        program(n=1.5)


def test_sizes_and_variables_may_share_a_name():
    named = Variable("n", ())
    program = programs.compile(named * build.identity(n))
    assert program.sizes == ("n2",)
    assert program(n=3.0, n2=2).tolist() == [[3, 0], [0, 3]]
    told = programs.compile(einsum("i->", b) * named / n)
    assert told(b=[1, 2], n=3.0) == 4.5


def test_places_may_be_sizes():
    program = programs.compile(b[k])
    assert program.sizes == ("k",)
    assert program(b=[1, 2, 3], k=1) == 2
    with pytest.raises(ValueMistake, match="must not be negative"):
        program(b=[1, 2, 3], k=3)


def test_functions_with_several_results():
    eigh = Function("eigh(X: n n) -> l: n, V: n n", "Eigenvalues.", array="linalg.eigh")
    values, vectors = eigh(A)
    assert body(einsum("ij,j,kj->ik", vectors, values, vectors)) == (
        "l, V = np.linalg.eigh(A)\nreturn weighted_gram(V.T, l)"
    )
    assert body(values * b) == "l, _ = np.linalg.eigh(A)\nreturn b * l"


def test_functions_of_scipy_are_imported():
    assert programs.source(BOOK["erf"](x)).startswith("import numpy as np\nimport scipy.special\n")


def test_a_function_without_a_program_is_refused():
    with pytest.raises(ValueMistake, match="strange has no program for numpy"):
        programs.source(Function("strange(x) -> y", "Strange.", differential="dx")(x))


def test_python_words_as_names():
    lam, np_ = Variable("lambda", ()), Variable("np", (m,))
    program = programs.compile(lam * np_ @ x)
    assert program({"lambda": 2, "np": [1, 2], "x": [1, 1]}) == 6
    assert program(lambda_=2, np_=[1, 2], x=[1, 1]) == 6


def test_power_and_fractions():
    text = body(build.power(x, Fraction(3, 2)) / 3 - build.scale(Fraction(1, 4), x))
    assert text == "return x * np.sqrt(x) / 3 - 0.25 * x"
    assert body(build.power(build.multiply(x, w), Fraction(-1, 2))) == "return 1 / np.sqrt(w * x)"


def test_unit_coefficients_leave_no_trace():
    assert Coefficient.of(1) == ONE
    assert body(1 * x + 0 * w) == "return x"


def test_equal_formulas_share_a_program_whatever_their_text():
    one, other = wrt.derivative("tanh(W*x)", "x"), wrt.derivative("tanh((W * x))", "x")
    assert one.compile() is one.compile()
    assert one.compile().function is other.compile().function


@pytest.mark.parametrize("backend", ["numpy", "jax", "torch"])
def test_no_line_of_a_program_is_long(backend: str) -> None:
    net = "norm2(tanh(X*W1 + ones(N)*b1')*w2 + c*ones(N) - y)^2/N"
    assert wrt.gradients("x'*A*x").compile().source.count("def gradients(") == 1
    text = wrt.gradients(net, "W1", "b1", "w2", "c", shapes={"c": ""}).source(backend, value=True)
    assert max(map(len, text.splitlines())) <= 100


def test_minus_minus_is_nothing() -> None:
    text = wrt.derivative("sum(log(1+exp(-y.*(X*w))))", "w").source()
    assert "np.exp(np.minimum(y * (X @ w), 709))" in text


@pytest.mark.parametrize("direction", [True, 3, "2*v", ""])
def test_a_direction_has_a_name(direction: object) -> None:
    with pytest.raises(NameMistake, match="is no name for a direction"):
        wrt.derivative("x'*A*x", "x").compile(direction=direction)


def test_other_libraries_are_told_which_there_are() -> None:
    D = wrt.derivative("x'*A*x", "x")
    with pytest.raises(ValueMistake, match="and auto chooses"):
        D.compile("tensorflow")
    with pytest.raises(ValueMistake, match="a text is for numpy, jax or torch"):
        D.source("auto")


@pytest.mark.parametrize("text", ["softmax(W*x)", "norm2(W*x)", "expm(W)*x", "max(W*x)"])
@pytest.mark.parametrize("backend", ["numpy", "jax", "torch"])
def test_every_function_of_a_program_says_what_it_is(text: str, backend: str) -> None:
    tree = ast.parse(wrt.derivative(text, "x").source(backend))
    made = [one for one in tree.body if isinstance(one, ast.FunctionDef)]
    assert all(ast.get_docstring(one) for one in made)


def test_a_function_inside_another_stands_apart() -> None:
    text = wrt.recurrence("s[t] = tanh(W*s[t-1])").total("s", "W").source("jax")
    assert "\n\n    def step(" in text
