"""Recurrences as formulas: loops differentiated against differences, once and twice."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import wrt
from wrt.calculus import derivative
from wrt.expression import build
from wrt.expression.dimensions import Dimension
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Node, Scan, Variable

Array = np.ndarray[Any, Any]

n, m, T = map(Dimension.of, "nmT")
W, V, U = Variable("W", (n, n)), Variable("V", (n, n)), Variable("U", (n, m))
x, s0, c0 = Variable("x", (T, m)), Variable("s0", (n,)), Variable("c0", (n,))
a = Variable("a", ())
s, c, now = Variable("s", (n,)), Variable("c", (n,)), Variable("now", (m,))

#: One state; two that need each other; the steps taken the other way; a state two steps back.
ELMAN = Scan((s,), (now,), (s0, x, wrt.tanh(W @ s + U @ now)), T)
PAIR = Scan(
    (s, c),
    (now,),
    (s0, c0, x, wrt.sigmoid(W @ c) * wrt.tanh(U @ now + V @ s), wrt.sin(V @ c) + W @ s),
    T,
)
BACKWARDS = Scan((s,), (now,), (a * s0, a * x, wrt.tanh(a * (W @ s) + U @ now)), T, reverse=True)
LAGGED = Scan((s, c), (now,), (s0, c0, x, wrt.tanh(W @ c + U @ now), s), T)
SECOND = Scan((c,), (s,), (c0, ELMAN, wrt.tanh(V @ c + W @ s)), T)
LOOPS = {"one": ELMAN, "two": PAIR, "reverse": BACKWARDS, "lag": LAGGED, "layers": SECOND}


def values(steps: int) -> dict[str, Array]:
    rng = np.random.default_rng(steps)
    shapes = {"W": (3, 3), "V": (3, 3), "U": (3, 2), "x": (steps, 2), "s0": 3, "c0": 3, "a": 1}
    made = {name: rng.normal(size=shape) / 2 for name, shape in shapes.items()}
    return made | {"a": made["a"][0]}


def differences(f: Node, by: Variable, at: dict[str, Array]) -> Array:
    """The derivative by complex steps, axes of f and then of the variable."""
    found = []
    for place in np.ndindex(at[by.name].shape):
        moved = np.array(at[by.name], dtype=complex)
        moved[place] += 1e-30j
        found.append(evaluate(f, {**at, by.name: moved}).imag / 1e-30)
    wanted = np.stack(found, axis=-1)
    return wanted.reshape(wanted.shape[:-1] + at[by.name].shape)


def readings(loop: Scan) -> dict[str, Node]:
    """What may be asked of a recurrence: all states, one of them, a loss of all."""
    return {
        "all": loop,
        "last": loop[-1],
        "first": loop[0],
        "before": loop.state(0, before=True),
        "loss": build.einsum("ti,ti->", loop, loop) + build.einsum("i->", loop[-1]),
    }


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("name", LOOPS)
def test_first_derivatives(name: str, steps: int) -> None:
    at = values(steps)
    for f in readings(LOOPS[name]).values():
        for by in sorted(f.names, key=lambda v: v.name):
            got = evaluate(derivative(f, by), at)
            assert np.allclose(got, differences(f, by, at), rtol=1e-11, atol=1e-13), by


@pytest.mark.parametrize("name", LOOPS)
def test_second_derivatives(name: str) -> None:
    at = values(3)
    f = readings(LOOPS[name])["loss"]
    for one, other in ((W, W), (W, x), (x, s0)):
        first = derivative(f, one)
        got = evaluate(derivative(first, other), at)
        assert np.allclose(got, differences(first, other, at), rtol=1e-10, atol=1e-12)


def test_a_variable_with_few_entries_goes_forward() -> None:
    found = derivative(BACKWARDS, a)
    assert isinstance(found, Scan)
    assert found.reverse
    assert np.allclose(evaluate(found, values(4)), differences(BACKWARDS, a, values(4)))


def test_the_states_of_one_recurrence_share_their_loop_backwards() -> None:
    both = build.einsum("ti,ti->", PAIR, PAIR.state(1))
    loops = {n.system for n in _scans(derivative(both, W))}
    assert len(loops) == 2  # forward and back


def _scans(f: Node) -> list[Scan]:
    from wrt.expression.walk import postorder

    return [node for node in postorder(f) if isinstance(node, Scan)]


def test_equal_recurrences_are_one_formula() -> None:
    again = Scan((s,), (now,), (s0, x, wrt.tanh(U @ now + W @ s)), T)
    assert again is ELMAN
    assert pickle.loads(pickle.dumps(SECOND)) is SECOND
    assert ELMAN.names == {W, U, x, s0}


def test_every_answer_is_proved() -> None:
    for f in readings(PAIR).values():
        assert wrt.derivative(f, "W").check().passed
