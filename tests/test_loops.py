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
from wrt.expression.nodes import Node, Scan, Variable
from wrt.programs import compile as compiled
from wrt.programs import source

Array = np.ndarray[Any, Any]


def agrees(f: Node, at: dict[str, Array], tolerance: float = 1e-12) -> None:
    """A program gives what its formula means."""
    program = compiled(f)
    got = program({v.name: at[v.name] for v in f.names})
    want = evaluate(f, at)
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
    assert "s, c = (c, s + " in body(turned[-1])
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
    agrees(derivative(outer[-1], s0), at)


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
