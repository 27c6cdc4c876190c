"""What the planner chooses: nothing carried along that can wait, no zeros, few operations."""

from __future__ import annotations

import importlib.util
import itertools
import math
import pickle
import random
import re

import numpy as np
import pytest

import wrt
from wrt import programs
from wrt.expression.meaning import evaluate
from wrt.expression.walk import dimension_names
from wrt.programs.costs import billed
from wrt.programs.fusing import fused
from wrt.programs.ordering import cheapest
from wrt.programs.plan import plan
from wrt.programs.steps import VIEWS
from wrt.programs.together import together


def net(layers: int) -> str:
    z = "x"
    for k in range(1, layers):
        z = f"relu(W{k}*{z})"
    return f"W{layers}*{z}"


def shapes(layers: int) -> dict[str, str]:
    return {**{f"W{k}": "n n" for k in range(1, layers + 1)}, "x": "n", "y": "n"}


def flops(D: wrt.Derivative, **sizes: int) -> float:
    made = plan(D.formula, sizes)
    return billed(made.steps, made.results, sizes).total.flops


@pytest.mark.parametrize("layers", [2, 4, 10])
def test_a_net_carries_no_outer_product_through_its_layers(layers):
    f = f"logsumexp({net(layers)}) - y'*({net(layers)})"
    D = wrt.derivative(f, "W1", "W1", shapes=shapes(layers))
    made = plan(D.formula, {"n": 50})
    assert {len(s.dims) for s in made.all if s.op not in VIEWS} <= {0, 1, 2, 4}
    n = 50
    assert flops(D, n=n) < n**4 + 4 * layers * 2 * n**3 + 200 * n**2
    assert D.check().passed


def test_a_product_with_an_inverse_is_solved_once():
    D = wrt.derivative("norm2(y - A*inv(A'*A)*A'*y)^2", "A", shapes={"A": "N n", "y": "N"})
    assert D.source().count("cholesky_solve(cholesky(A.T @ A), A.T @ y)") == 1
    assert "linalg.inv" not in D.source()
    assert "cholesky_inverse" not in D.source()


def test_an_inverse_that_is_wanted_itself_is_not_solved_again():
    D = wrt.derivative("logdet(S) + (x-m)'*inv(S)*(x-m)", "S", shapes={"S": "n n", "x": "n"})
    assert D.source().count("linalg.inv") == 1
    assert "linalg.solve" not in D.source()


@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_systems_of_one_matrix_share_its_factors(kind):
    D = wrt.derivative("a'*inv(X)*b", "X")
    assert D.source().count(" lu_factor(X)") == 2
    assert "solve(X" not in D.source()
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal((2, 6)).astype(kind)
    X = (rng.standard_normal((6, 6)) + 5 * np.eye(6)).astype(kind)
    inverse = np.linalg.inv(X.astype("float64"))
    found = D(a=a, X=X, b=b)
    assert found.dtype == kind
    tolerance = 1e-12 if kind == "float64" else 1e-5
    wanted = -np.outer(inverse.T @ a, inverse @ b)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)
    with pytest.raises(wrt.errors.ValueMistake, match="X is singular"):
        D(X=np.ones((6, 6)), a=a, b=b)


@pytest.mark.parametrize("kind", ["float64", "float32", "complex128"])
def test_an_inverse_is_made_of_the_factors_that_are_there(kind):
    word, also = ("det", "n n complex") if kind == "complex128" else ("logdet", "n n")
    asked = wrt.gradients(f"{word}(S) + sum(S\\x)", "S", shapes={"S": also, "x": "n"})
    program = asked.compile(value=True)
    assert "lu_inverse(*lu)" in program.source
    rng = np.random.default_rng(5)
    S = (rng.standard_normal((6, 6)) + 5 * np.eye(6)).astype(kind)
    if kind == "complex128":
        S += 1j * rng.standard_normal((6, 6))
    x = rng.standard_normal(6).astype(S.real.dtype)
    inverse = np.linalg.inv(S.astype("complex128"))
    weight = np.linalg.det(S) if word == "det" else 1
    wanted = weight * inverse.T - np.outer(inverse.T @ np.ones(6), inverse @ x)
    _, found = program(S=S, x=x)
    np.testing.assert_allclose(found, wanted, rtol=1e-4 if kind == "float32" else 1e-11)


def test_complex_systems_keep_their_imaginary_parts():
    D = wrt.derivative("a'*inv(X)*b", "X", shapes={"X": "n n", "a": "n complex", "b": "n"})
    rng = np.random.default_rng(6)
    X, b = rng.standard_normal((3, 3)), rng.standard_normal(3)
    a = rng.standard_normal(3) + 1j * rng.standard_normal(3)
    inverse = np.linalg.inv(X)
    np.testing.assert_allclose(D(X=X, a=a, b=b), -np.outer(inverse.T @ a, inverse @ b))


def test_sizes_decide_which_product_comes_first():
    D = wrt.derivative("norm2(M.*(T-U*V'))^2", "U", "U", shapes={"U": "n k", "V": "m k"})
    wide, flat = D.source(sizes={"n": 3, "k": 500}), D.source(sizes={"n": 500, "k": 3})
    assert wide != flat
    few, many = flops(D, n=500, m=400, k=3), 500 * 400 * 3 * (2 * 3 + 3)
    assert few < many


@pytest.mark.parametrize(
    ("text", "by"),
    [
        ("softmax(x)", ("x",)),
        ("logsumexp(x)", ("x", "x")),
        ("(x-mean(x))/sqrt(mean((x-mean(x)).^2)+c)", ("x",)),
        ("softmax(W*x)", ("W",)),
        ("x/norm2(x)", ("x",)),
    ],
)
def test_a_diagonal_is_added_where_it_belongs(text, by):
    D = wrt.derivative(text, *by)
    assert "+=" in D.source() or "-=" in D.source()
    assert "np.diag(" not in D.source()
    assert "np.eye" not in D.source()
    assert D.check().passed


def test_what_came_in_is_never_written_to():
    D = wrt.derivative("x'*A*x/2 + sum(d.*x.^2)", "x", "x")
    A, d, x = np.arange(9.0).reshape(3, 3), np.ones(3), np.ones(3)
    program = D.compile()
    given = {"A": A.copy(), "d": d.copy(), "x": x.copy()}
    first = program.function(*[given[v.name] for v in D.arguments])
    again = program.function(*[given[v.name] for v in D.arguments])
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(given["A"], A)
    np.testing.assert_allclose(first, (A + A.T) / 2 + 2 * np.diag(d))


def test_a_plan_tells_its_costs_and_the_least_there_is():
    D = wrt.derivative("sum(log(1+exp(-y.*(X*w))))", "w", "w", shapes={"X": "N n"})
    found = D.plan(N=2000, n=1000)
    gram = next(line for line in found.lines if ".T @ diag(" in line.text)
    assert gram.cost.flops == 2000 * 1000**2  # half of a plain product
    assert found.total.flops >= found.floor.flops
    assert found.total.bytes >= found.floor.bytes
    assert found.assumed == ()
    assert "assumed: N = 100" in str(D.plan(n=5))


# Memory


@pytest.mark.parametrize(
    ("text", "by", "shapes"),
    [
        ("x'*A*x", ("x", "x"), {"A": "n n"}),
        ("x'*A*x - x'*B*B'*x/2", ("x", "x"), {"A": "n n", "B": "n n"}),
        ("x'*(A - A')*y", ("x", "y"), {"A": "n n"}),
        ("x'*A*y + y'*B*x", ("x", "y"), {"A": "n m", "B": "m n"}),
    ],
)
@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_a_transpose_whose_rows_collide_is_added_by_strips(text, by, shapes, kind):
    D = wrt.derivative(text, *by, shapes=shapes)
    sizes = {n: {"n": 768, "m": 512}[n] for n in D.question.dimensions}
    other = {n: {"n": 700, "m": 500}[n] for n in sizes}
    program = D.compile(sizes=sizes)
    assert "add_transposed(" in program.source
    assert "add_transposed" not in D.source(sizes=other)
    assert "add_transposed" not in D.source("jax", sizes=sizes)
    rng = np.random.default_rng(3)
    values = {
        v.name: rng.standard_normal([sizes[str(d)] for d in v.dims]).astype(kind)
        for v in D.arguments
    }
    found, wanted = program(values), D.compile(sizes=other)(values)
    assert found.dtype == kind
    np.testing.assert_allclose(found, wanted, rtol=1e-12 if kind == "float64" else 1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("text", "by", "said"),
    [
        ("W*x", ("W",), "np.einsum('iia->ia', out)[:]"),
        ("norm2(T - U*V')^2", ("U", "U"), "np.einsum('iaib->iab', out)[:]"),
        ("x[2:9] - 2*x[1:8]", ("x",), "np.einsum('ii->i', out[:, 1:9])[:]"),
    ],
)
def test_repeated_axes_are_written_through_a_view(text, by, said):
    D = wrt.derivative(text, *by)
    assert said in D.source()
    assert "arange" not in D.source()
    assert D.check().passed


def test_several_axes_are_multiplied_as_one():
    D = wrt.derivative("norm2(M.*(T - U*V'))^2", "U", "U", shapes={"U": "n k", "V": "m k"})
    text = D.source(sizes={"n": 100, "m": 100, "k": 5})
    assert "tensordot" not in text
    assert text.count(".reshape(") == 2
    assert D.check().passed


def test_sums_of_products_entry_by_entry_are_joined_where_the_library_joins():
    D = wrt.derivative("sum(G.*(softmax(Q*K'/sqrt(d),2)*V))", "Q", shapes={"Q": "n d"})
    assert "np.einsum('ij,ij->i'" in D.source()
    assert "jnp.einsum" not in D.source("jax")
    assert "torch.einsum" not in D.source("torch")


# Sizes that nobody told


def chain(**sizes: int) -> tuple[wrt.Derivative, dict[str, np.ndarray]]:
    D = wrt.derivative("A*(B*(C*tanh(x)))", "x", shapes={"A": "k l", "B": "l m", "C": "m n"})
    rng = np.random.default_rng(4)
    return D, {v.name: rng.standard_normal([sizes[str(d)] for d in v.dims]) for v in D.arguments}


@pytest.mark.parametrize("narrow", ["k", "n"])
def test_a_program_is_planned_again_for_the_sizes_that_come_in(narrow):
    sizes = {**dict.fromkeys("klmn", 300), narrow: 2}
    D, values = chain(**sizes)
    program = D.compile()
    first = program(values)
    ready = program._plans.at(sizes)
    assert ready.module.text == program._plans.at(sizes).module.text
    assert (ready.module.text == program.source) is (narrow == "n")
    assert ready.module.text == programs_source(D, sizes)
    np.testing.assert_allclose(program(values), first, rtol=1e-12)
    cost, told = flops(D, **sizes), program._module.plan
    least = {"k": 10, "n": 1}[narrow]  # as it was planned, B C is multiplied first
    assert cost <= billed(told.steps, told.results, sizes).total.flops / least


def programs_source(D: wrt.Derivative, sizes: dict[str, int]) -> str:
    return programs.source(D.formula, arguments=D.arguments, sizes=sizes)


def test_few_plans_are_kept_and_the_first_runs_at_all_other_sizes():
    D, _ = chain(k=1, l=1, m=1, n=1)
    program = D.compile()
    for k in range(30):
        sizes = {"k": 2**k, "l": 300, "m": 300, "n": 3}
        program._plans.at(sizes)
        program._plans.at(sizes)
    assert len(program._plans._found) < 12


def test_sizes_that_were_told_are_not_planned_again():
    sizes = {"k": 2, "l": 300, "m": 300, "n": 300}
    D, values = chain(**sizes)
    program = D.compile(sizes=sizes)
    program(values)
    assert not program._plans._found
    assert pickle.loads(pickle.dumps(program))._plans.told == sizes


def test_the_order_of_multiplying_is_the_cheapest_there_is():
    inputs, output, sizes = [(3, 0), (4, 1), (2, 3), (3, 4), (4,), (2,)], (0, 1), [100] * 5
    assert spent(inputs, output, sizes, cheapest(inputs, output, sizes)) < 4.1 * 100**3
    rng = random.Random(5)
    for _ in range(60):
        axes = [rng.choice([2, 10, 30]) for _ in range(rng.randint(3, 5))]
        inputs = [rng.sample(range(len(axes)), rng.randint(1, 3)) for _ in range(rng.randint(3, 5))]
        output = rng.sample(sorted({i for own in inputs for i in own}), 1)
        least = min(spent(inputs, output, axes, path) for path in every_path(len(inputs)))
        assert spent(inputs, output, axes, cheapest(inputs, output, axes)) == least


def every_path(count):
    if count == 1:
        yield ()
    for pair in itertools.combinations(range(count), 2):
        yield from ((pair, *rest) for rest in every_path(count - 1))


def spent(inputs, output, sizes, path):
    """Multiplications and additions in an order of multiplying."""
    live, total = [set(own) for own in inputs], 0
    for a, b in path:
        both = live[a] | live[b]
        live = [own for k, own in enumerate(live) if k not in (a, b)]
        live.append(both & set(output).union(*live))
        total += math.prod(sizes[i] for i in both) * (1 + (both != live[-1]))
    return total


# Brackets: multiplied out, or a common factor outside


@pytest.mark.parametrize(
    ("text", "by", "shapes", "sizes", "most"),
    [
        # no matrix of zeros, no outer product is multiplied
        ("(diag(p) - p*p')*M*x", ("x",), {"M": "n m"}, {"n": 1000, "m": 100}, 6e5),
        ("(u*v' + w*z')*M*x", ("x",), {"M": "n m"}, {"n": 1000, "m": 100, "p": 1000}, 1e7),
        ("logsumexp(A*x)", ("x", "x"), {"A": "N n"}, {"N": 1000, "n": 100}, 1.1e7),
        ("norm2(A*x-b)^4", ("x", "x"), {"A": "N n"}, {"N": 1000, "n": 100}, 1.1e7),
        ("norm2((A*B + C)*x)^2", ("x",), {"A": "n n", "B": "n n"}, {"n": 1000}, 2e7),
        # one product instead of two
        ("A*M*x + B*M*x", ("x",), {"A": "n n", "B": "n n", "M": "n m"}, {"n": 500, "m": 500}, 3e8),
        ("u*(x'*A*x) + w*(x'*A*x)", ("x",), {"A": "n n"}, {"n": 500}, 3e6),
    ],
)
def test_brackets_are_taken_the_cheaper_way(text, by, shapes, sizes, most):
    D = wrt.derivative(text, *by, shapes=shapes)
    assert flops(D, **sizes) < most
    assert D.check().passed


def test_sizes_decide_whether_a_bracket_is_multiplied_out():
    D = wrt.derivative("(diag(p) - p*p')*M*x", "x", shapes={"M": "n m"})
    assert "outer(p, -p)" in D.source(sizes={"n": 3, "m": 3})
    assert "outer(p, -p)" not in D.source(sizes={"n": 500, "m": 500})


def test_a_residual_that_cancels_is_not_multiplied_out_for_a_little():
    D = wrt.derivative("norm2(Y - U*V')^2", "U", shapes={"Y": "n m", "U": "n k", "V": "m k"})
    assert "U @ V.T - Y" in D.source(sizes={"n": 1000, "m": 1000, "k": 10})
    rng = np.random.default_rng(2)
    U, V = rng.integers(1, 9, (30, 3)) / 1.0, rng.integers(1, 9, (40, 3)) / 1.0
    assert not np.any(D(Y=U @ V.T, U=U, V=V))


def test_a_matrix_times_its_transpose_is_its_own_transpose():
    D = wrt.derivative("norm2(A*X*B)^2", "X", shapes={"A": "p n", "B": "m q"})
    text = D.source(sizes={"n": 10, "m": 10, "p": 1000, "q": 1000})
    assert "A.T @ A" in text
    assert "B @ B.T" in text
    assert ").T" not in text
    assert D.plan(n=10, m=10, p=1000, q=1000).lines[0].cost.flops == 1000 * 10**2


def test_a_bracket_begins_with_what_is_computed():
    """So that what is taken from it needs no array of its own."""
    D = wrt.derivative("norm2(T - U*V')^2", "U", shapes={"T": "n n", "U": "n k", "V": "n k"})
    assert "2 * ((U @ V.T - T) @ V)" in D.source()
    rng = np.random.default_rng(0)
    T, U, V = rng.normal(size=(4, 4)), rng.normal(size=(4, 2)), rng.normal(size=(4, 2))
    assert np.allclose(D(T=T, U=U, V=V), 2 * (U @ V.T - T) @ V)


# Kronecker products, and transposes

KRON = {"A": "n m", "B": "p q", "C": "n m", "D": "p q"}
ONE_BY_ONE = 2 * (20 * 30 * 40 + 10 * 20 * 40)


@pytest.mark.parametrize(
    ("text", "by", "most"),
    [
        ("kron(A,B)*x", (), ONE_BY_ONE),
        ("kron(A,B)'*y", (), 2 * (10 * 40 * 30 + 10 * 20 * 30)),
        ("norm2(kron(A,B)*x - y)^2", ("A",), 2 * ONE_BY_ONE),
        ("norm2(kron(A,B)*x - y)^2", ("B",), 2 * ONE_BY_ONE),
        ("norm2(kron(A,B)*x - y)^2", ("x",), 2 * ONE_BY_ONE + 2000),
        ("(kron(A,B) + kron(C,D))*x", (), 2 * ONE_BY_ONE + 400),
        ("tanh(kron(A,kron(B,C))*x)", (), 700_000),
        ("kron(A,B)*x*x'*kron(A,B)'*y", (), 3 * ONE_BY_ONE),
    ],
)
def test_kronecker_products_are_not_formed_to_be_multiplied(text, by, most):
    shapes = {name: shape for name, shape in KRON.items() if name in text}
    read = wrt.read(text, shapes=shapes)
    formula = wrt.derivative(text, *by, shapes=shapes).formula if by else read
    sizes = {"n": 10, "m": 20, "p": 40, "q": 30}
    made = plan(formula, sizes)
    assert billed(made.steps, made.results, sizes).total.flops <= most
    rng = np.random.default_rng(4)
    small = {"n": 2, "m": 3, "p": 4, "q": 2}
    values = {v.name: rng.normal(size=[d.size(small) for d in v.dims]) for v in read.names}
    np.testing.assert_allclose(programs.compile(formula)(values), evaluate(formula, values))


def test_a_kronecker_product_that_is_wanted_itself_is_formed():
    formula = wrt.read("kron(A,B).*X", shapes={"A": "n m", "B": "p q"})
    assert programs.source(formula).count("kron(A, B)") == 1


def test_a_product_whose_transpose_is_there_is_not_computed_again():
    D = wrt.derivative("norm2(kron(A,B)*x - y)^2", "A", shapes={"A": "n m", "B": "p q"})
    products = [line for line in D.plan(n=30, m=30, p=40, q=40).lines if "@" in line.text]
    assert len(products) == 3  # B with x, A with that, and what is left with it again


# Products that several read


@pytest.mark.parametrize(
    ("text", "by", "most"),
    [
        ("norm2(y - X*P*X'*y)^2/(n - tr(X*P*X'))^2", ("P",), 3e6),
        ("norm2(y - X*P*X'*y)^2*norm2(z - X*P*X'*z)^2", (), 2e6),
        ("norm2(y - X*inv(X'*X + l*eye(m))*X'*y)^2/tr(X*inv(X'*X + l*eye(m))*X')", ("l",), 3e6),
        ("(X*P*X'*y)'*z + tr(X*P*X')", ("X",), 20e6),
    ],
)
def test_a_large_product_that_several_read_is_not_formed(text, by, most):
    shapes = {"X": "n m", "l": "", "P": "m m", "y": "n", "z": "n"}
    shapes = {name: shape for name, shape in shapes.items() if name in text}
    read = wrt.read(text, shapes=shapes)
    formula = wrt.derivative(text, *by, shapes=shapes).formula if by else read
    made = plan(formula, {"n": 5000, "m": 20})
    assert billed(made.steps, made.results, {"n": 5000, "m": 20}).total.flops < most
    rng = np.random.default_rng(5)
    values = {
        v.name: rng.normal(size=[{"n": 6, "m": 2}[str(d)] for d in v.dims]) for v in read.names
    }
    values |= {"l": 0.5} if "l" in values else {}
    for sizes in ({"n": 5000, "m": 20}, {"n": 20, "m": 5000}):
        found = programs.compile(formula, sizes=sizes).function
        order = [values[v.name] for v in plan_arguments(formula)]
        np.testing.assert_allclose(found(*order), evaluate(formula, values), rtol=1e-9)


def plan_arguments(formula):
    """The variables in the order of the bare function."""
    return list(programs.compile(formula)._module.arguments)


def test_a_small_product_that_several_read_is_formed_once():
    formula = wrt.read("norm2(X*X'*y)^2 + norm2(X*X'*z)^2", shapes={"X": "n m"})
    text = programs.source(formula, sizes={"n": 10, "m": 5000})
    assert text.count("X @ X.T") == 1
    assert "X @ X.T" not in programs.source(formula, sizes={"n": 5000, "m": 10})


# Libraries that join passes


@pytest.mark.parametrize(
    ("text", "by", "moved"),
    [
        ("norm2(M.*(T-U*V'))^2", ("U",), 1),  # the number is made after the product
        ("norm2(M.*(T-U*V'))^2 + norm2(T.*(M-U*V'))^2", ("U",), 1),  # one pass for both
        ("norm2(T-U*V')^2", ("U", "V"), 0),
        ("3*tr((M.*T)*(U*V')) + norm2((M.*T)*U)^2", ("U",), 0),  # others read the pass too
        ("norm2(M.*(T-U*V'))^2 + sum(exp(2*U))", ("U",), 0),  # the number is a sum's
        ("norm2(T*U)^2", ("U",), 0),  # a product is no pass
    ],
)
def test_a_number_joins_the_pass_before_a_product(text: str, by: tuple, moved: int) -> None:
    pytest.importorskip("jax")
    D = wrt.derivative(text, *by)
    made = plan(D.formula)
    joined = fused(made)
    assert (joined is not made) == bool(moved)
    ops = [sorted(step.op for step in one.all) for one in (made, joined)]
    assert ops[0] == ops[1]
    for at, step in enumerate(joined.all):
        assert all(a < at for a in step.args)
    rng = np.random.default_rng(0)
    shapes = {"M": (4, 5), "T": (4, 5), "U": (4, 2), "V": (5, 2)}
    if "tr(" in text:
        shapes = {"M": (4, 4), "T": (4, 4), "U": (4, 2), "V": (4, 2)}
    elif "T*U" in text:
        shapes["U"] = (5, 2)
    given = {v.name: rng.normal(size=shapes[v.name]) for v in D.arguments}
    assert np.allclose(D.compile("jax")(given), D(**given), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("text", "by", "said"),
    [
        ("sum(log(1+exp(-y.*(X*w))))", "w", "-(y * jax.nn.sigmoid(-(y * (X @ w)))) @ X"),
        ("tanh(-3*(X*w))", "w", "(-3 * (1 - jnp.tanh(3 * (X @ w)) ** 2))[:, None] * X"),
        ("y'*exp(X*(2*w))", "w", "2 * (y * jnp.exp(2 * (X @ w))) @ X"),
        ("X*(-w)", "w", "-X"),
        ("norm2(X*(-w))^2", "w", "2 * (X @ w @ X)"),  # nothing there is a pass
    ],
)
def test_a_sign_or_a_number_has_no_pass_of_its_own(text: str, by: str, said: str) -> None:
    pytest.importorskip("jax")
    D = wrt.derivative(text, by)
    assert D.source("jax").rstrip().endswith(f"return {said}")
    rng = np.random.default_rng(0)
    shapes = {"X": (4, 3), "w": (3,), "y": (4,)}
    given = {v.name: rng.normal(size=shapes[v.name]) for v in D.arguments}
    assert np.allclose(D.compile("jax")(given), D(**given), rtol=1e-4, atol=1e-4)


def test_a_step_of_nan_is_nan_in_numpy_and_in_jax() -> None:
    D = wrt.derivative("relu(x)", "x", shapes={"x": ""})
    backends = ["numpy", *(["jax"] if importlib.util.find_spec("jax") else [])]
    for backend in backends:
        bare = D.compile(backend).function
        found = [float(bare(np.float64(x))) for x in (-np.inf, -2.0, -0.0, 0.0, 3.0, np.inf)]
        assert found == [0, 0, 0, 0, 1, 1]
        assert np.isnan(float(bare(np.float64(np.nan))))


def test_a_multiple_of_a_symmetric_product_is_not_transposed():
    text = wrt.derivative("sum(P.*log(1 + 2*Y*Y'))", "Y", shapes={"P": "n n"}).source()
    assert "(2 * (Y @ Y.T)).T" not in text
    formula = wrt.read("tr((2*Y*Y')*A*(Y*Y'/3)*B)", shapes={"Y": "n m", "A": "n n", "B": "n n"})
    rng = np.random.default_rng(6)
    values = {v.name: rng.normal(size=(3, 2) if v.name == "Y" else (3, 3)) for v in formula.names}
    np.testing.assert_allclose(programs.compile(formula)(values), evaluate(formula, values))


# What several products multiply

PERCEPTRON = "-sum(Y.*logsoftmax(tanh(X*W1+ones(N)*b1')*W2+ones(N)*b2',2))/N"
SIZES = {"N": 1000, "m": 20, "p": 40, "n": 30}


def test_the_layers_of_a_perceptron_share_their_products():
    both = wrt.gradients(PERCEPTRON, "W1", "b1", "W2", "b2")
    made = plan(tuple(D.formula for D in both), SIZES)
    N, m, p, n = SIZES.values()
    forward, back = 2 * N * p * (m + n), 2 * N * p * (n + m) + 2 * N * p * n
    assert billed(made.steps, made.results, SIZES).total.flops < 1.4 * (forward + back)
    assert len([line for line in both.plan(**SIZES).lines if "@" in line.text]) == 5


@pytest.mark.parametrize("letters", ["", "FCMU", "AXPT", "ZWKG", "TDLS"])
def test_a_hessian_of_a_perceptron_multiplies_small_products_first(letters):
    """However the arrays are called, which decides in what order sums and products stand."""
    names = dict(zip(["Y", "X", "W1", "W2"], letters, strict=False))
    text = re.sub(r"\b(Y|X|W1|W2)\b", lambda found: names.get(found[0], found[0]), PERCEPTRON)
    D = wrt.derivative(text, *[names.get("W1", "W1")] * 2)
    N, m, p, n = SIZES.values()
    most = 2 * N * (p * p * n + p * p * m * m)  # of each row what is small, then all of them
    assert flops(D, **SIZES) < 1.2 * most
    assert D.check().passed


@pytest.mark.parametrize("seed", range(3))
def test_pairs_that_are_formed_once_change_no_number(seed: int) -> None:
    rng = np.random.default_rng(seed)
    texts = [
        ("norm2(tanh(X*W)*V - Y)^2", ("W", "V")),
        ("tr(A*X*B*X'*A') + norm2(A*X*B)^2", ("A", "X", "B")),
        ("sum(exp(X*W*V).*Y)", ("X", "W", "V")),
        ("tr(X'*B*X*C) + tr(X'*C*X*B)", ("X",)),
        ("sum(log(1+exp(Y.*(X*W*V))))", ("X", "W")),
    ]
    for text, by in texts:
        both = wrt.gradients(text, *by)
        roots = tuple(D.formula for D in both)
        found = together(roots, {"n": 7, "m": 40, "p": 3, "k": 2})
        sizes = {name: int(rng.integers(2, 5)) for name in dimension_names(*roots)}
        names = {v for root in roots for v in root.names}
        values = {v.name: rng.normal(size=[d.size(sizes) for d in v.dims]) for v in names}
        for one, other in zip(roots, found, strict=True):
            np.testing.assert_allclose(evaluate(one, values), evaluate(other, values), rtol=1e-9)


@pytest.mark.parametrize(
    "text",
    [
        "norm2(T-U*V')^2 + l*norm2(U)^2",
        "sum(M.*(T-U*V').^2) + l*norm2(U)^2",
        "l*(norm2(T-U*V')^2 + norm2(U)^2)",
    ],
)
def test_zeros_around_what_stands_in_few_places_are_not_multiplied(text: str) -> None:
    D = wrt.derivative(text, "U", "U", shapes={"l": ""})
    assert D.plan(n=200, p=10, m=10).total.flops < (200 * 10) ** 2 / 4
    given = {v.name: np.random.default_rng(3).random([4, 3, 2][: v.ndim]) for v in D.arguments}
    given |= {"T": np.ones((4, 5)), "U": np.ones((4, 2)), "V": np.arange(10.0).reshape(5, 2)}
    if "M" in given:
        given["M"] = np.arange(20.0).reshape(4, 5)
    mask = given.get("M", np.ones((4, 5)))
    scale = float(given["l"]) if text.startswith("l") else 1.0
    want = np.einsum("ik,kb,kd,ia->ibad", mask, given["V"], given["V"], np.eye(4))
    want = 2 * scale * want + 2 * float(given["l"]) * np.eye(8).reshape(4, 2, 4, 2)
    np.testing.assert_allclose(D(given), want, rtol=1e-12)


def test_a_plan_of_what_is_computed_with_the_derivative() -> None:
    newton = wrt.gradients("x'*A*x", "x", ("x", "x"))
    assert len(newton.plan(value=True).lines) > len(newton.plan().lines)
    D = wrt.derivative("norm2(A*x-b)^2", "x", "x")
    along, whole = D.plan(direction="V", n=1000, m=1000), D.plan(n=1000, m=1000)
    assert along.total.flops < 10**7
    assert whole.total.flops >= 10**9
    assert str(D.plan(entry=(1, 1), n=9)) != str(D.plan(n=9))
