"""A table over every record: code, rule, definition, laws, signatures, mapped axes, domains."""

from __future__ import annotations

import re

import numpy as np
import pytest

from bench import (
    RECORDS,
    SIZES,
    TRIALS,
    bench,
    call,
    close,
    direction_of,
    draw,
    five_point,
    formula_and_point,
    mapped,
    points,
    products_agree,
)
from sentences import PRODUCTS, side, syntax
from wrt.algebra.expand import expand
from wrt.calculus import derivative
from wrt.errors import NameMistake, NotDifferentiable, ShapeMistake
from wrt.expression.dimensions import Dimension
from wrt.expression.function import DOMAINS, PROPERTIES, Function, Signature
from wrt.expression.meaning import evaluate, measured
from wrt.expression.nodes import Node, Variable
from wrt.functions import BOOK, find
from wrt.language.syntax import names


def table(condition):
    """The records for which a condition holds, one test each."""
    chosen = [f for f in RECORDS if condition(f)]
    assert chosen
    return pytest.mark.parametrize("function", chosen, ids=lambda f: f.name)


Values = dict[str, np.ndarray]

every = table(lambda f: True)
applied = table(lambda f: not f.einsum)
sampled = pytest.mark.parametrize("seed", [1, 2])

WORDS = """
    sin cos tan arcsin arccos arctan sinh cosh tanh exp log log1p expm1 sqrt abs sign step relu
    sigmoid softplus logaddexp gelu silu erf erfc maximum minimum sum mean var std prod max min
    logsumexp norm1
    norm2 norminf hardmax softmax logsoftmax tr trace det logdet inv solve kron vec diag tril triu
    dot outer eye ones zeros vector matrix unit commutation matrix_power power conj real imag
    pinv adj chol eigvals eigvecs gaps svdvals svdleft svdright polar normspec normnuc
    expm logm sqrtm sinm cosm transpose diagonals arcsinh arccosh arctanh log2 log10
    erfcx normcdf
    ln asin acos atan asinh acosh atanh arsinh arcosh artanh sgn heaviside logistic swish
    log_softmax cholesky
"""


def test_the_book_has_every_word() -> None:
    assert set(WORDS.split()) == set(BOOK)


def test_a_word_that_nobody_knows_is_named_with_its_neighbours() -> None:
    with pytest.raises(NameMistake, match=r"no function is called sigmiod\n  perhaps sigmoid"):
        find("sigmiod")
    with pytest.raises(NameMistake, match=r"^no function is called qqqqq$"):
        find("qqqqq")


@every
def test_a_record_says_what_it_is(function: Function) -> None:
    assert re.fullmatch(r"[^\n]+\.", function.doc)
    assert len(function.doc) < 100
    assert function.latex
    assert all(form.text in function.__doc__ for form in function.forms)
    assert function.latex.count("{") == function.latex.count("}")
    shown = [a.name for a in function.forms[0].arguments if a.kind != "size"]
    assert all("{" + name + "}" in function.latex for name in shown)


@every
def test_a_word_is_one_kind_of_thing(function: Function) -> None:
    kinds = [bool(function.einsum), bool(function.definition), bool(function.differential)]
    assert sum(kinds) == 1
    assert bool(function.array) != bool(function.einsum)


@every
def test_the_domain_is_a_sentence_about_the_arguments(function: Function) -> None:
    arguments = {a.name: a.name for a in function.forms[0].arguments}
    first = next(iter(arguments))
    said = DOMAINS[function.domain].format(**{**arguments, "x": first})
    assert bool(said) == bool(function.domain)


@applied
@sampled
def test_values_are_finite_on_the_domain(function: Function, seed: int) -> None:
    for form, values in points(function, seed):
        assert np.all(np.isfinite(call(function, form, values)))


@table(lambda f: f.differential)
@sampled
def test_the_rule_is_the_derivative(function: Function, seed: int) -> None:
    assert bench(function, seed).moves
    for rule in function.rules:
        assert not bench(function, seed).rule_faults(rule)


@table(lambda f: f.differential)
def test_a_rule_names_every_differential(function: Function) -> None:
    wanted = {f"d{a.name}" for a in function.forms[0].arguments if a.kind == "array"}
    said = {name.name for rule in function.rules for name in names(syntax(rule))}
    assert wanted <= said or function.rules == ("0",)


@table(lambda f: f.definition)
@sampled
def test_the_definition_is_the_array_code(function: Function, seed: int) -> None:
    assert not bench(function, seed).definition_faults(function.definition)


LAWS = [(f, law) for f in RECORDS for law in f.laws]


@pytest.mark.parametrize(("function", "law"), LAWS, ids=[law for _, law in LAWS])
@sampled
def test_a_law_holds(function: Function, law: str, seed: int) -> None:
    assert not bench(function, seed).law_faults(law)


@pytest.mark.parametrize(("function", "law"), LAWS, ids=[law for _, law in LAWS])
def test_a_law_speaks_of_the_signature(function: Function, law: str) -> None:
    form = function.forms[0]
    known = {a.name for a in form.arguments} | {
        str(d) for a in form.arguments for d in a.dims or ()
    }
    said = {name.name for part in side(law) for name in names(syntax(part))}
    assert said <= known | {"pi"}
    of_its_rule = re.findall(r"\w+(?=\()", function.differential or "")
    assert any(word in law for word in (function.name, *of_its_rule))


@table(lambda f: f.einsum)
def test_a_product_is_what_numpy_says(function: Function) -> None:
    assert function.name in PRODUCTS
    for form, values in points(function, 3):
        assert products_agree(function, form, values)


def slope(
    function: Function, form: Signature, values: Values, name: str, d: np.ndarray
) -> np.ndarray:
    """The 5-point difference of a record's value along a direction of one argument."""
    return five_point(lambda h: call(function, form, {**values, name: values[name] + h * d}))


@table(lambda f: f.array and f.analytic is not False)
@sampled
def test_complex_steps_differentiate(function: Function, seed: int) -> None:
    """The continuation has the real values, and its imaginary part is the derivative."""
    rng = np.random.default_rng(seed)
    for form, values in points(function, seed):
        for a in form.arguments:
            if a.kind == "array":
                x = np.asarray(values[a.name])
                d = direction_of(a, x.shape, rng)
                step = call(function, form, {**values, a.name: x + 1e-20j * d})
                assert close(step.real, call(function, form, values), 1e-12)
                assert close(np.imag(step) * 1e20, slope(function, form, values, a.name, d))


@table(lambda f: f.array and f.analytic is True and not f.definition)
def test_analytic_code_takes_any_complex_number(function: Function) -> None:
    """Cauchy and Riemann: the derivative along i is i times the derivative along 1."""
    rng = np.random.default_rng(5)
    for form, values in points(function, 5):
        name = form.arguments[0].name
        x = np.asarray(values[name])
        d = direction_of(form.arguments[0], x.shape, rng)
        there = {**values, name: x + 0.2j * rng.uniform(-1, 1, x.shape)}
        along = slope(function, form, there, name, d)
        assert close(1j * along, slope(function, form, there, name, 1j * d))


# Derivatives of formulas


def directional(D: Node, values: Values, d: np.ndarray, sizes: dict[str, int]) -> np.ndarray:
    """A derivative contracted with a direction in its last variable."""
    return np.tensordot(evaluate(D, values, sizes), d, axes=d.ndim)


def disagreements(
    f: Node, values: Values, rng: np.random.Generator, symmetric: frozenset[str] = frozenset()
) -> list[str]:
    """Where first and second derivatives of a formula differ from differences."""
    f, sizes = expand(f), measured(f, values)
    wanted = [v for v in f.names if v.name != "k"]
    found = []
    for x in wanted:
        D = derivative(f, x)
        d = _direction(x, values, rng, symmetric)
        assert D.dims == f.dims + x.dims
        if not close(directional(D, values, d, sizes), _difference(f, values, x, d, sizes)):
            found.append(f"by {x.name}")
        for y in wanted:
            H = derivative(D, y)
            e = _direction(y, values, rng, symmetric)
            if not close(
                directional(H, values, e, sizes), _difference(D, values, y, e, sizes), 1e-7
            ):
                found.append(f"by {x.name} and {y.name}")
    return found


def _direction(
    x: Variable, values: Values, rng: np.random.Generator, symmetric: frozenset[str]
) -> np.ndarray:
    d = rng.uniform(-1, 1, np.shape(values[x.name]))
    return (d + np.swapaxes(d, -1, -2)) / 2 if x.name in symmetric else d


def symmetric_arguments(function: Function) -> frozenset[str]:
    return frozenset(a.name for a in function.forms[0].arguments if "symmetric" in a.properties)


def _difference(
    f: Node, values: Values, x: Variable, d: np.ndarray, sizes: dict[str, int]
) -> np.ndarray:
    return five_point(lambda h: evaluate(f, {**values, x.name: values[x.name] + h * d}, sizes))


@table(lambda f: any(a.kind == "array" for a in f.forms[0].arguments))
def test_first_and_second_derivatives(function: Function) -> None:
    rng = np.random.default_rng(11)
    for form, values in list(points(function, 11))[::TRIALS]:
        f, arrays = formula_and_point(function, form, values)
        assert not disagreements(f, arrays, rng, symmetric_arguments(function)), form.text


@table(lambda f: f.entrywise)
def test_derivatives_entry_by_entry(function: Function) -> None:
    rng = np.random.default_rng(12)
    variables = [
        Variable(a.name, [Dimension.of(c) for c in "nm"]) for a in function.forms[0].arrays
    ]
    domains = [function.domain, ""]
    values = {v.name: draw(d, (3, 4), rng) for v, d in zip(variables, domains, strict=False)}
    assert not disagreements(function(*variables), values, rng)


@table(lambda f: f.axis)
@pytest.mark.parametrize("axis", [0, 1])
def test_derivatives_along_an_axis(function: Function, axis: int) -> None:
    rng = np.random.default_rng(13)
    X = Variable("X", [Dimension.of(c) for c in "nm"])
    assert not disagreements(function(X, axis=axis), {"X": draw(function.domain, (3, 4), rng)}, rng)


@table(
    lambda f: (
        len(f.forms) == 1
        and not (f.entrywise or f.einsum)
        and all(a.kind == "array" for a in f.forms[0].arguments)
    )
)
def test_derivatives_with_mapped_axes(function: Function) -> None:
    rng = np.random.default_rng(14)
    f, variables = mapped(function, function.forms[0], (2,))
    values = {}
    for k, x in enumerate(variables):
        core = tuple(d.size(SIZES) for d in x.dims[1:])
        slices = [draw("" if k else function.domain, core, rng) for _ in range(2)]
        values[x.name] = np.array(slices)
    assert not disagreements(f, values, rng, symmetric_arguments(function))


def test_a_whole_number_has_no_derivative() -> None:
    n = Dimension.of("n")
    X, k = Variable("X", (n, n)), Variable("k", ())
    with pytest.raises(NotDifferentiable, match="by k, which is a whole number"):
        derivative(BOOK["matrix_power"](X, k), k)


# Mapped axes


@applied
def test_array_code_maps_over_leading_axes(function: Function) -> None:
    rng = np.random.default_rng(6)
    for form in function.forms:
        node, variables = mapped(function, form, (2, 7))
        domains = [function.domain] + [""] * len(variables)
        values = {}
        for variable, argument, domain in zip(variables, form.arrays, domains, strict=False):
            if argument.kind == "whole":
                values[variable.name] = np.asarray(3)
                continue
            core = tuple(d.size(SIZES) for d in variable.dims[2:])
            values[variable.name] = np.array(
                [[draw(domain, core, rng) for _ in range(7)] for _ in range(2)]
            )
        got = evaluate(node, values)
        for i in range(2):
            for j in range(7):
                one = {n: v[i, j] if v.ndim else v for n, v in values.items()}
                assert close(got[i, j], call(function, form, one), 1e-12)


@table(lambda f: f.axis)
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_an_axis_may_be_given(function: Function, axis: int) -> None:
    X = Variable("X", [Dimension.of(c) for c in "nmp"])
    (form,) = function.forms
    values = draw(function.domain, (3, 4, 2), np.random.default_rng(7))
    node = function(X, axis=axis)
    got = evaluate(node, {"X": values})
    moved = np.moveaxis(values, axis, -1)
    name = form.arguments[0].name
    expected = np.array([[call(function, form, {name: x}) for x in rows] for rows in moved])
    if function.axis == "map":
        expected = np.moveaxis(expected, -1, axis)
        assert node.dims == X.dims
    assert close(got, expected, 1e-12)


@table(lambda f: not f.axis)
def test_an_axis_is_refused_elsewhere(function: Function) -> None:
    if any(a.kind != "array" for a in function.forms[0].arguments):
        return
    arguments = [Variable(a.name, a.dims or ()) for a in function.forms[0].arguments]
    if not function.entrywise:
        with pytest.raises(ShapeMistake, match="takes no axis"):
            function(*arguments, axis=0)


def test_an_axis_that_is_not_there_is_refused() -> None:
    x = Variable("x", [Dimension.of("n")])
    for word in ("sum", "mean", "softmax"):
        with pytest.raises(ShapeMistake, match=f"{word}: axis 1 of a tensor with 1 axes"):
            BOOK[word](x, axis=1)


# Shapes


@every
def test_arguments_of_other_shapes_are_refused(function: Function) -> None:
    n = Dimension.of("n")
    with pytest.raises(ShapeMistake):
        function(*(Variable("z", (n,) * 5) for _ in range(9)))


@table(lambda f: re.search(r"^\w+\(X: n n\)", f.forms[0].text))
def test_a_matrix_must_be_square(function: Function) -> None:
    X = Variable("X", (Dimension.of("n"), Dimension.of("m")))
    with pytest.raises(ShapeMistake, match=re.escape(function.forms[0].text)):
        function(X)


def test_functions_of_scalars_broadcast_as_numpy_does() -> None:
    n, m = Dimension.of("n"), Dimension.of("m")
    X, x, c = Variable("X", (n, m)), Variable("x", (m,)), Variable("c", ())
    assert BOOK["tanh"](X).dims == (n, m)
    assert BOOK["maximum"](X, x).dims == (n, m)
    assert BOOK["maximum"](c, x).dims == (m,)
    values = {"X": np.arange(12.0).reshape(3, 4), "x": np.array([9.0, 1, 2, 3])}
    got = evaluate(BOOK["maximum"](X, x), values)
    assert close(got, np.maximum(values["X"], values["x"]))


def test_a_basis_vector_beyond_its_size_is_refused() -> None:
    for k in (0, 4):
        with pytest.raises(ShapeMistake, match=f"no place {k} among 3 entries"):
            BOOK["unit"](3, k)


# Structure


def structured(name: str, domain: str, rng: np.random.Generator) -> np.ndarray:
    """A square matrix with a property, its entries within a domain where the property lets them."""
    n = 4
    X = draw(domain if domain != "invertible" else "nonzero", (n, n), rng)
    match name:
        case "symmetric":
            return np.tril(X) + np.tril(X, -1).T
        case "skew":
            return np.tril(X, -1) - np.tril(X, -1).T
        case "diagonal":
            return np.diag(np.diag(X))
        case "lower":
            return np.tril(X)
        case "upper":
            return np.triu(X)
        case "orthogonal":
            return np.linalg.qr(X)[0]
        case "spd":
            return X @ X.T + np.eye(n)
        case "toeplitz":
            entries = draw(domain, (2 * n - 1,), rng)
            return entries[np.subtract.outer(np.arange(n), np.arange(n)) + n - 1]
        case "positive":
            return np.abs(X)
        case "invertible":
            return X + 2 * np.eye(n)
    raise AssertionError(name)


def has(name: str, X: np.ndarray) -> bool:
    match name:
        case "symmetric":
            return close(X, X.T)
        case "skew":
            return close(X, -X.T)
        case "diagonal":
            return close(X, np.diag(np.diag(X)))
        case "lower":
            return close(X, np.tril(X))
        case "upper":
            return close(X, np.triu(X))
        case "orthogonal":
            return close(X @ X.T, np.eye(len(X)))
        case "spd":
            return close(X, X.T) and bool(np.linalg.eigvalsh(X)[0] > 0)
        case "toeplitz":
            return close(X[1:, 1:], X[:-1, :-1])
        case "positive":
            return bool(np.all(X > 0))
        case "invertible":
            return bool(np.linalg.cond(X) < 1e12)
    raise AssertionError(name)


KEEPS = [(f, p) for f in RECORDS for p in f.keeps.split()]


@pytest.mark.parametrize(("function", "name"), KEEPS, ids=lambda v: getattr(v, "name", v))
def test_structure_passes_through(function: Function, name: str) -> None:
    rng = np.random.default_rng(8)
    assert name in PROPERTIES
    for _ in range(3):
        values = {a.name: structured(name, function.domain, rng) for a in function.forms[0].arrays}
        for a in function.forms[0].arrays:
            if a.kind == "whole":
                values[a.name] = np.asarray(3)
            elif a.dims is not None and len(a.dims) == 1:
                values[a.name] = values[a.name][0]
        variables = [
            Variable(a.name, [Dimension.of("n")] * np.ndim(values[a.name]))
            for a in function.forms[0].arrays
        ]
        assert has(name, evaluate(function(*variables), values))


# Ties, extremes, singular matrices


@pytest.mark.parametrize("word", ["maximum", "minimum"])
def test_a_tie_counts_one_half_each(word: str) -> None:
    from sentences import says

    rule = syntax(BOOK[word].rules[0])
    assert says(rule, {"x": 2.0, "y": 2.0, "dx": 1.0, "dy": 0.0}) == 0.5
    assert says(rule, {"x": 2.0, "y": 2.0, "dx": 0.0, "dy": 1.0}) == 0.5


@pytest.mark.parametrize(("word", "x"), [("max", [1.0, 4, 4, 2]), ("min", [5.0, 3, 3, 4])])
def test_extremes_share_a_tie_alike(word: str, x: list[float]) -> None:
    from sentences import says

    y = np.max(x) if word == "max" else np.min(x)
    shares = [says(syntax(BOOK[word].rules[0]), {"x": x, "y": y, "dx": row}) for row in np.eye(4)]
    assert np.array_equal(shares, [0, 0.5, 0.5, 0])


LARGE = {
    "sigmoid": [0.0, 0.5, 1.0],
    "softplus": [0.0, np.log(2), 800.0],
    "silu": [0.0, 0.0, 800.0],
    "gelu": [0.0, 0.0, 800.0],
    "tanh": [-1.0, 0.0, 1.0],
    "softmax": [0.0, 0.0, 1.0],
    "logsoftmax": [-1600.0, -800.0, 0.0],
    "logsumexp": 800.0,
    "erf": [-1.0, 0.0, 1.0],
    "erfc": [2.0, 1.0, 0.0],
    "normcdf": [0.0, 0.5, 1.0],
}


@pytest.mark.parametrize("word", LARGE)
def test_large_arguments_do_not_overflow(word: str) -> None:
    x = Variable("x", [Dimension.of("n")])
    got = evaluate(BOOK[word](x), {"x": np.array([-800.0, 0.0, 800.0])})
    assert close(got, np.array(LARGE[word]), 1e-15)


@pytest.mark.parametrize("word", ["sigmoid", "silu", "softplus", "gelu"])
def test_small_values_keep_their_digits(word: str) -> None:
    import math

    x = -30.0
    exact = {
        "sigmoid": math.exp(x),
        "silu": x * math.exp(x),
        "softplus": math.exp(x),
        "gelu": x * math.erfc(30 / math.sqrt(2)) / 2,
    }[word]
    got = evaluate(BOOK[word](Variable("x", ())), {"x": np.asarray(x)})
    assert abs(got / exact - 1) < 1e-12


def test_values_at_zero() -> None:
    x = Variable("x", ())
    for word in ("sign", "step", "relu", "abs"):
        assert evaluate(BOOK[word](x), {"x": np.asarray(0.0)}) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_type_of_the_numbers_stays(dtype: type) -> None:
    for function in RECORDS:
        if function.einsum:
            continue
        form, values = next(points(function, 9))
        typed = {k: v if v.dtype.kind == "i" else v.astype(dtype) for k, v in values.items()}
        assert call(function, form, typed).dtype == dtype, function.name


def test_a_singular_matrix_has_no_inverse_and_says_so() -> None:
    n = Dimension.of("n")
    X = Variable("X", (n, n))
    assert np.all(np.isnan(evaluate(BOOK["inv"](X), {"X": np.ones((2, 2))})))


def test_a_negative_power_of_a_matrix_is_refused() -> None:
    n = Dimension.of("n")
    X, k = Variable("X", (n, n)), Variable("k", ())
    with pytest.raises(ValueError, match="not negative"):
        evaluate(BOOK["matrix_power"](X, k), {"X": np.eye(2), "k": np.asarray(-1)})
