"""Gates of a recurrence as programs: one product a step, equal to what each gate alone would be."""

from __future__ import annotations

import re
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

import wrt
from wrt.calculus import derivative
from wrt.expression.dimensions import Dimension
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Scan, Variable
from wrt.programs import compile as compiled

LOSS = "; L[t] = norm2(h[t]-y[t])^2/2"
LSTM = """
    i[t] = sigmoid(Wi*h[t-1] + Ui*x[t] + bi); f[t] = sigmoid(Wf*h[t-1] + Uf*x[t] + bf)
    o[t] = sigmoid(Wo*h[t-1] + Uo*x[t] + bo); g[t] = tanh(Wg*h[t-1] + Ug*x[t] + bg)
    c[t] = f[t].*c[t-1] + i[t].*g[t]
    h[t] = o[t].*tanh(c[t])
"""
GRU = """
    z[t] = sigmoid(Wz*h[t-1] + Uz*x[t] + bz); r[t] = sigmoid(Wr*h[t-1] + Ur*x[t] + br)
    n[t] = tanh(Wh*(r[t].*h[t-1]) + Uh*x[t] + bh)
    h[t] = (1-z[t]).*h[t-1] + z[t].*n[t]
"""
#: The gate weighs what the matrix has made of the state: all three are products with the state.
GATED = """
    z[t] = sigmoid(Wz*h[t-1] + Uz*x[t] + bz); r[t] = sigmoid(Wr*h[t-1] + Ur*x[t] + br)
    n[t] = tanh(r[t].*(Wh*h[t-1] + ch) + Uh*x[t] + bh)
    h[t] = (1-z[t]).*n[t] + z[t].*h[t-1]
"""
#: Other layouts: rows of a matrix as a batch, columns as a batch, gates of two lengths, no input.
NETS = {
    "LSTM": LSTM,
    "GRU": GRU,
    "gated": GATED,
    "gated columns": """
        z[t] = sigmoid(A*h[t-1]); r[t] = sigmoid(B*h[t-1])
        h[t] = (1-z[t]).*tanh(r[t].*(C*h[t-1]) + x[t]) + z[t].*h[t-1]
    """,
    "rows": """
        z[t] = sigmoid(h[t-1]*A' + x[t]*C'); n[t] = tanh(h[t-1]*B' + x[t]*D')
        h[t] = (1-z[t]).*h[t-1] + z[t].*n[t]
    """,
    "columns": """
        z[t] = sigmoid(A*h[t-1] + C*x[t]); n[t] = sin(B*h[t-1])
        h[t] = z[t].*n[t]
    """,
    "lengths": """
        u[t] = tanh(A*h[t-1] + C*x[t]); v[t] = tanh(B*h[t-1] + D*x[t])
        h[t] = tanh(E*u[t] + F*v[t])
    """,
    "bare": "h[t] = sin(A*h[t-1]).*cos(B*h[t-1]) + 0.1*(C*h[t-1]) - x[t]",
}
SHAPES: dict[str, dict[str, str]] = {
    "rows": {"h": "N n", "x": "N m", "A": "n n"},
    "gated columns": {"h": "n N", "A": "n n"},
    "columns": {"h": "n N", "x": "m N", "A": "n n"},
    "lengths": {"A": "p n", "B": "q n", "E": "n p", "F": "n q"},
}
SIZES = {"n": 3, "m": 2, "N": 2, "p": 2, "q": 4, "T": 5}


def net(name: str) -> wrt.Recurrence:
    return wrt.recurrence(NETS[name] + LOSS, shapes=SHAPES.get(name))


def values(variables: Any, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    sizes = {**SIZES}
    names = {n for v in variables for d in v.dims for n in d.names}
    sizes |= dict.fromkeys(names - SIZES.keys(), 3)
    return {v.name: rng.normal(size=[d.size(sizes) for d in v.dims]) / 2 for v in variables}


def loops(text: str) -> list[str]:
    """The bodies of the loops of a program."""
    return re.findall(r"for t in .*:\n((?:        .*\n)+)", text)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("backend", ["numpy", "jax", "torch"])
def test_all_gradients_are_what_the_formulas_mean(name: str, backend: str) -> None:
    jax = pytest.importorskip("jax")
    found = net(name).gradients()
    at = values(net(name).variables.values())
    with jax.enable_x64(True):
        arrays = found.compile(backend)(**at)
    for given, D in zip(arrays, found, strict=True):
        want = evaluate(D.formula, at)
        assert np.allclose(np.asarray(given), want, rtol=1e-10, atol=1e-12), D.title


@pytest.mark.parametrize("name", ["rows", "lengths", "GRU"])
def test_the_derivative_of_the_last_state(name: str) -> None:
    rnn = net(name)
    at = values(rnn.variables.values(), 1)
    for by in list(rnn.lines.shared)[:2]:
        D = rnn.total("h", by)
        got = D({k: v for k, v in at.items() if k in {a.name for a in D.arguments}})
        assert np.allclose(got, evaluate(D.formula, at), rtol=1e-10, atol=1e-12)


def test_four_gates_are_one_product_there_and_one_back() -> None:
    text = net("LSTM").gradients().source()
    forward, back = loops(text)
    assert forward.count("@") == back.count("@") == 1
    assert forward.count("sigmoid(") + forward.count("np.exp(") == 1  # of three gates
    after = text[text.index(back) + len(back) :]
    assert after.count("@") == 2  # by all W, and by all U
    assert after.count("np.sum(") == 1  # by all b
    assert text.count("np.concatenate([Wf, Wi, Wo, Wg])") == 1


def test_two_gates_and_a_candidate() -> None:
    text = net("GRU").gradients().source()
    forward, back = loops(text)
    assert forward.count("@") == back.count("@") == 2
    assert text.count("np.concatenate([Wr, Wz])") == 1
    after = text[text.index(back) + len(back) :]
    assert after.count("@") == 4


@pytest.mark.parametrize("name", ["gated", "gated columns"])
def test_a_gate_outside_a_product_leaves_one_product_there_and_one_back(name: str) -> None:
    text = net(name).gradients().source()
    forward, back = loops(text)
    assert forward.count("@") == back.count("@") == 1
    after = text[text.index(back) + len(back) :]
    products = after.count("@") + after.count("tensordot")
    assert products == (3 if name == "gated" else 1)  # by all W, by Uz and Ur, by Uh


@pytest.mark.parametrize("name", ["GRU", "gated", "rows"])
def test_a_gate_and_its_complement_are_one_exponential(name: str) -> None:
    text = net(name).gradients().source()
    assert text.count("np.exp(") + text.count("sigmoid(") == 1


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_gates_that_are_open_or_shut(backend: str) -> None:
    jax = pytest.importorskip("jax")
    found = net("gated").gradients()
    at = values(net("gated").variables.values(), 3)
    at |= {"bz": np.array([800.0, -800.0, 30.0]), "br": np.array([-800.0, 40.0, 800.0])}
    with jax.enable_x64(True):
        arrays = found.compile(backend)(**at)
    for given, D in zip(arrays, found, strict=True):
        assert np.allclose(np.asarray(given), evaluate(D.formula, at), rtol=1e-9, atol=1e-13)


def test_of_errors_side_by_side_only_those_that_are_read_are_kept() -> None:
    text = net("LSTM").total("h", "Wf").source()
    assert "(T, n, n)" in text
    assert "(T, n, 4 * n)" not in text
    both = net("LSTM").gradients("Wf", "Wi").source()
    after = both[both.rindex("for t in") :]
    assert after.count(".T @ h[:-1]") == 1
    assert "(T, 2 * n)" in both


@pytest.mark.parametrize("names", ["zrh", "hzr", "rhz"])
def test_a_program_does_not_depend_on_names(names: str) -> None:
    new = dict(zip("zrh", names, strict=True))
    text = re.sub("([WUb])([zrh])", lambda word: word[1] + new[word[2]], GATED)
    found = wrt.recurrence(text + LOSS).gradients().source()
    said = net("gated").gradients().source()
    counts = [[t.count(w) for w in ("@", "concatenate", "tanh", "exp")] for t in (found, said)]
    assert counts[0] == counts[1]


def test_states_in_rows_are_multiplied_from_the_left() -> None:
    text = net("rows").gradients().source()
    forward, back = loops(text)
    assert forward.count("@") == back.count("@") == 1
    assert "reshape(N, 2, n)" in back  # errors stand side by side, multiplied at once


@pytest.mark.parametrize(
    ("name", "by", "once"),
    [("gated", "Wz", True), ("GRU", "Wz", False), ("LSTM", "Wf", False), ("rows", "A", True)],
)
def test_errors_of_one_thing_are_multiplied_at_once(name: str, by: str, once: bool) -> None:
    """Where several gates pass on different things, they are laid side by side."""
    rnn = net(name)
    total = rnn.total("h", by)
    back = loops(total.source())[1]
    assert ("reshape" in back, "concatenate" in back) == (once, not once)
    given = values(total.arguments)
    want = evaluate(total.formula, given, {"T": 5})
    assert np.allclose(total(**given), want, rtol=1e-12, atol=1e-12)


def test_what_is_kept_and_minus_that_are_one_stack() -> None:
    """The norms read minus what the factors are; it is kept once."""
    found = net("gated").factored("h", "Wz").compile()
    assert found.source.count("np.empty((T, n, n)") == 1


def test_errors_are_kept_once_where_losses_are_sums_of_several_terms() -> None:
    rnn = wrt.recurrence("h[t] = tanh(W*h[t-1] + b); L[t] = norm2(y[t] - h[t])^2/2")
    text = rnn.gradients().source()
    assert "np.sum(δh, axis=0)" in text
    assert "δh.T @ h[:-1]" in text


def test_one_gate_alone_stays_as_it_is() -> None:
    text = wrt.recurrence("h[t] = tanh(W*h[t-1] + U*x[t])" + LOSS).gradients().source()
    assert "concatenate" not in text


def test_blocks_that_fill_an_axis_are_put_together() -> None:
    n, m = Dimension.of("n"), Dimension.of("m")
    A, x, b = Variable("A", (n, n)), Variable("x", (n,)), Variable("b", (m,))
    from wrt.programs.blocks import behind

    program = compiled(behind([A @ x, b], 0))
    assert "np.concatenate([A @ x, b])" in program.source
    assert program(A=np.eye(2), x=[1.0, 2.0], b=[3.0]).tolist() == [1, 2, 3]


def test_random_gates() -> None:
    n, T = Dimension.of("n"), Dimension.of("T")
    matrices = [Variable(f"M{k}", (n, n)) for k in range(4)]
    h, q, s0 = (Variable(k, (n,)) for k in ("h", "q", "s0"))
    words = [wrt.tanh, wrt.sin, wrt.sigmoid, wrt.cos]
    for seed in range(6):
        rng = np.random.default_rng(seed)
        parts = [words[rng.integers(4)](M @ (h if rng.integers(2) else q)) for M in matrices]
        nexts = (parts[0] * parts[1] + q, parts[2] - parts[3] * h)
        loop = Scan((h, q), (), (s0, s0, *nexts), T)
        last, first = loop[-1], loop.state(1)[0]
        f = last @ last + first @ first
        for by in (*matrices, s0):
            D = derivative(f, by)
            at = values([*matrices, s0], seed)
            got = compiled(D)(**{v.name: at[v.name] for v in D.names}, T=3)
            assert np.allclose(got, evaluate(D, at, {"T": 3}), rtol=1e-10, atol=1e-12), dedent(
                compiled(D).source
            )


def test_a_loss_by_twice_the_errors_adds_them_once() -> None:
    net = wrt.recurrence("s[t] = tanh(W*s[t-1] + x[t]); L[t] = norm2(s[t]-y[t])^2")
    text = net.gradient("W").source()
    assert text.count("- y") == 1
    assert "return δs.T @ s[:-1]" in text


def test_a_filter_inverts_once() -> None:
    filtering = """
        Q[t] = A*P[t-1]*A' + S
        G[t] = Q[t]*C'*inv(C*Q[t]*C' + R)
        h[t] = A*h[t-1] + G[t]*(x[t] - C*A*h[t-1])
        P[t] = Q[t] - G[t]*C*Q[t]
        L[t] = norm2(h[t] - y[t])^2/2
    """
    shapes = {"P0": "n n", "A": "n n", "S": "n n symmetric", "R": "m m symmetric", "C": "m n"}
    D = wrt.recurrence(filtering, shapes=shapes).gradient("A")
    assert D.source().count("np.linalg.inv") == 1
    assert D.check().passed
