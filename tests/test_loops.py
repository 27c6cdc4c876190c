"""Recurrences as programs: one loop for all states, equal to what the formula means."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import numpy as np
import pytest

import wrt
from test_scans import (
    BACKWARDS,
    ELMAN,
    LAGGED,
    LOOPS,
    PAIR,
    SECOND,
    U,
    V,
    W,
    a,
    c,
    c0,
    n,
    now,
    readings,
    s,
    s0,
    values,
    x,
)
from wrt.calculus import derivative
from wrt.expression import build
from wrt.expression.dimensions import Dimension
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Einsum, Node, Scan, Variable
from wrt.programs import compile as compiled
from wrt.programs import source

Array = np.ndarray[Any, Any]


def agrees(f: Node, at: dict[str, Array], tolerance: float = 1e-12) -> None:
    """A program gives what its formula means."""
    program = compiled(f)
    untold = dict.fromkeys(program.sizes, 3)
    got = program({v.name: at[v.name] for v in f.names} | untold)
    want = evaluate(f, at, untold)
    assert got.shape == want.shape
    assert np.allclose(got, want, rtol=tolerance, atol=tolerance), program.source


def body(f: Node | tuple[Node, ...]) -> str:
    """The lines of a program after its docstring."""
    text = source(f).rpartition('"""\n')[2]
    return dedent(text).strip()


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("name", LOOPS)
def test_programs_agree_with_the_meaning(name: str, steps: int) -> None:
    at = values(steps)
    for f in readings(LOOPS[name]).values():
        agrees(f, at)
        for by in sorted(f.names, key=lambda v: v.name):
            agrees(derivative(f, by), at)


@pytest.mark.parametrize("name", LOOPS)
def test_second_derivatives_agree(name: str) -> None:
    first = derivative(readings(LOOPS[name])["loss"], W)
    agrees(derivative(first, s0), values(3))
    agrees(derivative(first, W), values(2))


def test_a_state_that_is_not_stacked_is_a_variable() -> None:
    text = body(ELMAN[-1])
    assert "np.empty" not in text
    assert "s = np.tanh(" in text
    text = body(SECOND[-1] + ELMAN[-1])  # the first layer is read by the second
    assert text.count("np.empty") == 1
    assert "return c + s[-1]" in text


def test_states_of_one_recurrence_share_their_loop() -> None:
    both = build.einsum("ti,ti->", PAIR, PAIR.state(1, before=True))
    assert body(both).count("for ") == 1
    assert body((both, PAIR[-1], PAIR.state(1))).count("for ") == 1
    assert body((both, derivative(both, W), derivative(both, s0))).count("for ") == 2


def test_states_that_nobody_needs_are_not_computed() -> None:
    alone = Scan((s, c), (now,), (s0, c0, x, wrt.tanh(W @ s + U @ now), V @ c), PAIR.length)
    assert "V" not in source(alone).rpartition('"""')[2]
    agrees(alone, values(3))


def test_two_variables_change_together() -> None:
    turned = Scan((s, c), (now,), (s0, c0, x, c, s + U @ now), PAIR.length)
    assert "    s, c = (c, s + xUt[t])" in body(turned[-1])
    agrees(turned[-1], values(3))
    agrees(turned.state(1)[-1], values(4))


def test_a_lag_reads_a_state_of_two_steps_before() -> None:
    agrees(LAGGED + LAGGED.state(1), values(5))


def test_a_recurrence_may_stand_inside_another() -> None:
    r = Variable("r", (n,))
    k = Dimension.of("k")
    z = Variable("z", (k, n))
    now2 = Variable("z[k]", (n,))
    inner = Scan((r,), (now2,), (s, z, wrt.tanh(V @ r + now2)), k)[-1]
    outer = Scan((s,), (now,), (s0, x, wrt.tanh(W @ inner + U @ now)), PAIR.length)
    at = values(3) | {"z": np.random.default_rng(0).normal(size=(2, 3))}
    assert body(outer).count("for ") == 2
    agrees(outer, at)
    for by in (W, V, s0, z):
        agrees(derivative(outer[-1], by), at)


@pytest.mark.parametrize("f", [ELMAN, PAIR, BACKWARDS, derivative(ELMAN[-1], W)])
def test_single_precision_stays(f: Node) -> None:
    at = {name: one.astype(np.float32) for name, one in values(4).items()}
    program = compiled(f)
    given = {v.name: at[v.name] for v in f.names}
    assert program.function(*[given[name] for name in sorted(given)]).dtype == np.float32
    assert np.allclose(program(given), evaluate(f, at), rtol=1e-5, atol=1e-5)


def test_whole_numbers_begin_a_recurrence() -> None:
    at = values(4) | {"s0": np.array([1, 0, 0])}
    got = compiled(ELMAN).function(*[at[name] for name in sorted(v.name for v in ELMAN.names)])
    assert np.allclose(got, evaluate(ELMAN, at), rtol=1e-12)


def test_complex_states() -> None:
    Z, q = Variable("Z", (n, n), ["complex"]), Variable("q", (n,), ["complex"])
    f = Scan((q,), (now,), (s0, x, wrt.sin(Z @ q) + U @ now), PAIR.length)
    rng = np.random.default_rng(1)
    at = values(4) | {"Z": rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3))}
    agrees(f, at)
    agrees(derivative(f[-1], Z), at)
    agrees(derivative(f, s0), at)


def test_a_sequence_has_steps() -> None:
    at = values(2) | {"x": np.zeros((0, 2))}
    with pytest.raises(wrt.errors.ValueMistake):
        compiled(ELMAN)({v.name: at[v.name] for v in ELMAN.names})


def test_a_scalar_state() -> None:
    z, u, b = Variable("z", ()), Variable("u", (PAIR.length,)), Variable("u[t]", ())
    f = Scan((z,), (b,), (build.number(0), u, wrt.tanh(a * z + b)), PAIR.length)
    at = values(4) | {"u": np.random.default_rng(2).normal(size=4)}
    for g in (f, f[-1], derivative(f, a), derivative(f[-1], u), derivative(f, u)):
        agrees(g, at)


# What need not be done step by step


def test_products_with_the_series_are_found_at_once() -> None:
    assert "np.tanh(W @ s + xUt[t])" in body(ELMAN[-1])
    b = Variable("b", (n,))
    biased = Scan((s,), (now,), (s0, x, wrt.tanh(W @ s + U @ now + b)), PAIR.length)
    text = body(biased[-1])
    assert "z = b + x @ U.T" in text
    assert "np.tanh(W @ s + z[t])" in text
    agrees(biased, values(3) | {"b": np.arange(3.0)})


def test_no_step_is_given_a_matrix_for_a_vector() -> None:
    d = Variable("d", (n,))
    D = Variable("D", (PAIR.length, n))
    f = Scan((s,), (d,), (s0, D, build.einsum("i,i,ij->j", s, d, W)), PAIR.length)
    assert "s = W.T @ (D[t] * s)" in body(f[-1])
    at = values(3) | {"D": np.random.default_rng(3).normal(size=(3, 3))}
    agrees(f, at)
    spread = build.einsum("j,ij,i->ij", d, W, d) @ s
    agrees(Scan((s,), (d,), (s0, D, spread), PAIR.length), at)


def test_factors_that_read_no_state_are_multiplied_before() -> None:
    d, e = Variable("d", (n,)), Variable("e", (n,))
    D, E = Variable("D", (PAIR.length, n)), Variable("E", (PAIR.length, n))
    v = Variable("v", (n,))
    formula = 3 * wrt.exp(d) * s * e * v
    f = Scan((s,), (d, e), (s0, D, E, formula), PAIR.length)
    (line,) = [line for line in body(f).splitlines() if line.startswith("    s[t + 1]")]
    assert line.count("*") == 1
    rng = np.random.default_rng(3)
    at = values(3) | {w: rng.normal(size=(3, 3)) for w in "DE"} | {"v": np.arange(3.0)}
    agrees(f, at)


def test_a_matrix_that_only_the_series_meets_is_multiplied_at_once() -> None:
    mixed = Scan((s,), (now,), (s0, x, (U @ now) * (W @ s)), PAIR.length)
    assert "s = xUt[t] * (W @ s)" in body(mixed[-1]).replace("W @ s * xUt[t]", "xUt[t] * (W @ s)")
    agrees(mixed, values(3))


@pytest.mark.parametrize("of", ["total", "gradient"])
def test_a_gate_within_a_gate(of: str) -> None:
    gru = wrt.recurrence(
        """r[t] = sigmoid(R*s[t-1] + x[t]); k[t] = tanh(r[t].*(K*s[t-1]) + x[t])
        z[t] = sigmoid(Z*s[t-1] + x[t]); s[t] = (1-z[t]).*k[t] + z[t].*s[t-1]
        L[t] = norm2(s[t])^2""",
        shapes=dict.fromkeys("RKZ", "n n"),
    )
    rng = np.random.default_rng(5)
    at = {name: rng.normal(size=(3, 3)) for name in "RKZ"}
    at |= {"x": rng.normal(size=(4, 3)), "s0": rng.normal(size=3)}
    for name in "RKZ":
        D = gru.total("s", name) if of == "total" else gru.gradient(name)
        assert np.allclose(D(at), evaluate(D.formula, at), rtol=1e-12, atol=1e-13)


def test_a_matrix_that_a_state_meets_first_stays() -> None:
    M, step = Variable("M", (PAIR.length, n, n)), Variable("M[t]", (n, n))
    f = Scan((s,), (step,), (s0, M, build.einsum("i,ik,kj->j", s, step, W)), PAIR.length)
    assert "W.T @ (M[t].T @ s)" in body(f[-1])
    agrees(f, values(3) | {"M": np.random.default_rng(3).normal(size=(3, 3, 3))})


def test_the_end_of_one_recurrence_may_enter_every_step_of_another() -> None:
    decoder = Scan((s,), (now,), (c0, x, wrt.tanh(W @ s + V @ ELMAN[-1] + U @ now)), PAIR.length)
    at = values(3)
    agrees(decoder, at)
    for by in (W, V, s0, x):
        agrees(derivative(decoder[-1], by), at)


def test_batches_are_matrix_products() -> None:
    N = Dimension.of("N")
    q, y = Variable("q", (N, n)), Variable("y", (PAIR.length, N, Dimension.of("m")))
    entry, q0 = Variable("y[t]", y.dims[1:]), Variable("q0", (N, n))
    f = Scan((q,), (entry,), (q0, y, wrt.tanh(q @ W.T + entry @ U.T)), PAIR.length)
    text = body(derivative(build.einsum("tbi,tbi->", f, f), W))
    assert "einsum" not in text
    assert "q[t] @ W.T" in text
    assert "@ W\n" in text
    assert "np.tensordot(" in text
    rng = np.random.default_rng(4)
    at = values(3) | {"y": rng.normal(size=(3, 5, 2)), "q0": rng.normal(size=(5, 3))}
    for g in (f, f[-1], build.einsum("tbi,tbi->", f, f)):
        agrees(g, at)
        for by in (W, U, q0, y):
            agrees(derivative(g, by), at)


# What is computed in a loop is not computed again


def test_a_gradient_is_one_product_of_stacks() -> None:
    text = body(derivative(readings(ELMAN)["loss"], W))
    assert text.endswith("return δs.T @ s[:-1]")
    assert "δs = np.empty((T, n), dtype)" in text
    assert "μs[" not in text  # only the errors are stacked


def test_the_whole_derivative_is_one_product_of_stacks() -> None:
    text = body(derivative(ELMAN[-1], W))
    assert text.endswith("return np.tensordot(δs, s[:-1], axes=(0, 0))")


def test_gates_of_the_forward_loop_are_read_by_the_reverse_loop() -> None:
    both = readings(PAIR)["loss"]
    text = body((both, derivative(both, W), derivative(both, U)))
    assert text.count("np.tanh(") == text.count("np.exp(") == 1
    assert text.count("for ") == 2
    for by in (W, V, U, x, s0):
        agrees(derivative(both, by), values(4))


def test_a_square_of_what_is_kept_is_a_square_of_its_stack() -> None:
    loss = readings(ELMAN)["loss"]
    both = derivative(loss, W)
    assert isinstance(both, Einsum)
    squares = build.product(
        both.coefficient,
        [(f, 2 * e, own) for f, e, own in both.factors],
        both.output,
        both.index_dims,
    )
    assert "δs ** 2" in body(squares)
    agrees(squares, values(3))


def test_what_is_cheap_is_computed_again() -> None:
    doubled = ELMAN + 3 * ELMAN.state(0, before=True)
    assert body(doubled).count("np.empty(") == 1


def test_a_loop_read_two_ways_is_one_loop() -> None:
    f = ELMAN.state(0, before=True)
    again = wrt.tanh(build.einsum("ij,tj->ti", W, f) + build.einsum("ij,tj->ti", U, x))
    assert "return np.zeros((T, n)" in body(again - ELMAN)
    assert body(again + wrt.sin(ELMAN)).count("np.tanh") == 1
    agrees(again + wrt.sin(ELMAN), values(3))
    agrees(again, values(3))


# Random recurrences


def random_part(
    rng: np.random.Generator, vectors: list[Node], matrices: list[Node], depth: int
) -> Node:
    """A formula of a vector over some vectors and square matrices."""
    if depth == 0:
        return vectors[rng.integers(len(vectors))]
    one = random_part(rng, vectors, matrices, depth - 1)
    other = random_part(rng, vectors, matrices, rng.integers(depth))
    matrix = matrices[rng.integers(len(matrices))]
    match rng.integers(8):
        case 0 | 1:
            return matrix @ one
        case 2:
            return one + other
        case 3:
            return one * other / 2
        case 4:
            return wrt.tanh(one)
        case 5:
            return one * (1 - wrt.sigmoid(other) ** 2)
        case 6:
            return build.einsum("i,i,ij->j", one, other, matrix)
        case _:
            return wrt.tanh(matrix @ one - other)


def random_recurrence(seed: int) -> Scan:
    """One to three states, two series, one of them of another recurrence at times."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 4))
    carries = tuple(Variable(f"q{k}[t-1]", (n,)) for k in range(count))
    entries = (Variable("y[t]", (n,)), Variable("M[t]", (n, n)))
    Y, M = Variable("Y", (PAIR.length, n)), Variable("M", (PAIR.length, n, n))
    series = [Y if seed % 3 else ELMAN.state(0, before=bool(seed % 2)), M]
    shared = [s0, c0]
    nexts = []
    for _ in carries:
        matrices = [W, V, entries[1]] if rng.integers(2) else [W, V]
        vectors = [*carries, entries[0], shared[rng.integers(2)]]
        nexts.append(wrt.tanh(random_part(rng, vectors, matrices, 4)))
    starts = [shared[rng.integers(2)] for _ in carries]
    return Scan(
        carries, entries, (*starts, *series, *nexts), PAIR.length, reverse=bool(rng.integers(2))
    )


@pytest.mark.parametrize("seed", range(24))
def test_random_recurrences(seed: int) -> None:
    loop = random_recurrence(seed)
    rng = np.random.default_rng(seed)
    at = values(3) | {"Y": rng.normal(size=(3, 3)), "M": rng.normal(size=(3, 3, 3))}
    last = loop.state(len(loop.carries) - 1, before=bool(seed % 2))
    loss = build.einsum("ti,ti->", loop, last) + build.einsum("i->", loop[-1])
    agrees(loop + last, at, 1e-10)
    by = [v for v in (W, s0, Variable("Y", (PAIR.length, n))) if v in loss.names]
    found = tuple(derivative(loss, v) for v in by)
    for one in found:
        agrees(one, at, 1e-9)
    together = (loss, *(one for one in found if one.names))
    names = {v.name for f in together for v in f.names}
    for got, f in zip(
        compiled(together)({name: at[name] for name in names}), together, strict=True
    ):
        assert np.allclose(got, evaluate(f, at), rtol=1e-9, atol=1e-9)
    agrees(derivative(loop[-1], W), at, 1e-9)


# JAX: its own loop, compiled once


@pytest.mark.parametrize("name", ["two", "reverse", "lag", "layers"])
def test_programs_for_jax_take_a_step_over_and_over(name: str) -> None:
    jax = pytest.importorskip("jax")
    at = values(3)
    loop = LOOPS[name]
    loss = readings(loop)["loss"]
    by = a if a in loss.names else W
    together = (loop.state(0, before=True), loop[-1], derivative(loss, by))
    program = compiled(together, "jax")
    assert "jax.lax.scan(" in program.source
    assert "for " not in program.source.rpartition('"""')[2]
    names = {v.name for f in together for v in f.names}
    with jax.enable_x64(True):
        got = program({name: at[name] for name in names})
    for found, f in zip(got, together, strict=True):
        assert np.allclose(found, evaluate(f, at), rtol=1e-9, atol=1e-9), program.source


def test_programs_for_jax_of_scalar_and_complex_states() -> None:
    jax = pytest.importorskip("jax")
    z, u, b = Variable("z", ()), Variable("u", (PAIR.length,)), Variable("u[t]", ())
    plain = Scan((z,), (b,), (build.number(0), u, wrt.tanh(a * z + b)), PAIR.length)
    Z, q = Variable("Z", (n, n), ["complex"]), Variable("q", (n,), ["complex"])
    turned = Scan((q,), (now,), (s0, x, wrt.sin(Z @ q) + U @ now), PAIR.length)
    rng = np.random.default_rng(1)
    at = values(3) | {"u": rng.normal(size=3)}
    at["Z"] = rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3))
    for f in (plain, derivative(plain[-1], u), turned, derivative(turned[-1], s0)):
        with jax.enable_x64(True):
            got = compiled(f, "jax")({v.name: at[v.name] for v in f.names})
        assert np.allclose(got, evaluate(f, at), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("h[t] = tanh(W*h[t-2]) + h[t-1]/2; L[t] = norm2(h[t]-y[t])^2", "W"),
        ("a[t] = b[t-1]; b[t] = a[t-1] + y[t]; L[t] = norm2(a[t])^2*sum(b[t])", "b0"),
    ],
)
def test_states_that_read_the_step_before_last_agree_in_all_libraries(text: str, name: str) -> None:
    D = wrt.recurrence(text).gradient(name)
    rng = np.random.default_rng(3)
    values = {
        v.name: rng.normal(size=[3 if str(d) == "n" else 4 for d in v.dims]) for v in D.arguments
    }
    wanted = D.compile()(values)
    np.testing.assert_allclose(np.asarray(D.compile("torch")(values)), wanted, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(D.compile("jax")(values)), wanted, rtol=1e-4)


# Rows computed where they stand


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("s[t] = tanh(s[t-1]*W + x[t])", "np.tanh(s[t] @ W + x[t], out=s[t + 1])"),
        ("s[t] = s[t-1]*W + x[t]", "np.add(s[t] @ W, x[t], out=s[t + 1])"),
        ("s[t] = s[t-1]*W", "s[t + 1] = s[t] @ W"),  # a product is computed elsewhere first
        ("s[t] = relu(s[t-1]*W)", "np.maximum(t1, 0, out=s[t + 1])"),
        ("s[t] = softplus(s[t-1]*W + x[t])", None),
    ],
)
def test_a_matrix_is_computed_in_its_row(line: str, said: str | None) -> None:
    shapes = {"s": "N n", "W": "n n", **({"x": "N n"} if "x[" in line else {})}
    rnn = wrt.recurrence(f"{line}; L[t] = norm2(s[t])^2/2", shapes=shapes)
    program = rnn.gradient("W").compile()
    assert (said or "s[t + 1]") in program.source
    rng = np.random.default_rng(1)
    whole, sizes = rnn.gradient("W"), {"W": (3, 3), "s0": (2, 3), "x": (4, 2, 3)}
    given = {v.name: rng.normal(size=sizes[v.name]) for v in whole.arguments}
    lengths = {} if "x" in given else {"T": 4}
    want = evaluate(whole.formula, given, {"T": 4})
    assert np.allclose(program(given | lengths), want, rtol=1e-12, atol=1e-12)
    single = {k: v.astype("float32") for k, v in given.items()}
    found = program(single | lengths)
    assert found.dtype == "float32"
    assert np.allclose(found, want, rtol=1e-3, atol=1e-3)


def test_a_vector_is_written_as_it_reads() -> None:
    rnn = wrt.recurrence("s[t] = tanh(W*s[t-1] + x[t]); L[t] = norm2(s[t])^2/2")
    assert "out=" not in rnn.gradient("W").source()


@pytest.mark.parametrize("wanted", ["gradient", "jacobian"])
def test_no_stack_of_outer_products_of_matrices_is_formed(wanted: str) -> None:
    """The covariance of a Kalman filter: its inverse is met twice in each product of its gradient,
    and by several products. What a step multiplies its costate with is not formed again.
    """
    lines = """
        M[t] = A*P[t-1]*A' + Q; K[t] = M[t]*inv(M[t] + R); h[t] = A*h[t-1] + K[t]*(x[t] - A*h[t-1])
        P[t] = M[t] - K[t]*M[t]; L[t] = norm2(h[t]-y[t])^2/2
    """
    square = dict.fromkeys("AQRPMK", "n n")
    filter_ = wrt.recurrence(lines, shapes={**square, "h": "n", "x": "n"})
    whole = filter_.gradient("A") if wanted == "gradient" else filter_.total("h", "A")
    program = whole.compile()
    assert "None, :, None" not in program.source
    assert "μP[1:]" not in program.source
    assert "np.sum(" not in program.source
    rng = np.random.default_rng(3)
    sizes = {"n": 3, "T": 4}
    shapes = {v.name: tuple(sizes[str(d)] for d in v.dims) for v in whole.arguments}
    given = {name: rng.normal(size=shape) / 3 for name, shape in shapes.items()}
    given |= {name: np.eye(3) + given[name] @ given[name].T for name in ("Q", "R", "P0")}
    want = evaluate(whole.formula, given, sizes)
    assert np.allclose(program(given), want, rtol=1e-10, atol=1e-10)


def test_errors_of_a_loss_without_a_half_are_kept_as_those_with_one() -> None:
    step = "s[t]=tanh(W*s[t-1]+U*x[t]); L[t]=norm2(s[t]-y[t])^2"
    for end in ("", "/2"):
        source = wrt.recurrence(step + end).gradients("U", "W").source()
        assert source.count("- y") + source.count("(y -") == 1
        assert "δs.T @ x, δs.T @ s[:-1]" in source
