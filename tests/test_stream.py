"""Derivatives along with a sequence equal the sweep back at every step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import wrt
from test_contributions import TEXTS, rnn, values
from wrt.errors import ShapeMistake, ValueMistake

STEPS = 5


def parted(
    one: wrt.Recurrence, at: dict[str, Any], batch: bool
) -> tuple[dict[str, Any], list[Any]]:
    """What no step changes, and the entries of the series step by step."""
    series = one.lines.series
    fixed = {k: v for k, v in at.items() if k not in series}
    stacks = {k: v.swapaxes(0, 1) if batch else v for k, v in at.items() if k in series}
    return fixed, [{k: v[t] for k, v in stacks.items()} for t in range(STEPS)]


def prefix(one: wrt.Recurrence, at: dict[str, Any], count: int, batch: bool) -> dict[str, Any]:
    """The first steps of all series."""
    cut = (slice(None), slice(0, count)) if batch else slice(0, count)
    return {k: v[cut] if k in one.lines.series else v for k, v in at.items()}


@pytest.mark.parametrize("batch", [None, "N"])
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("elman", "W"),
        ("elman", "V"),
        ("lstm", "P"),
        ("gru", "R"),
        ("layers", "W"),
        ("lags", "a"),
        ("often", "W"),
        ("start", "W"),
    ],
)
def test_a_loss_along_with_its_sequence(text: str, name: str, batch: str | None) -> None:
    one = rnn(text, batch)
    at = values(one, STEPS)
    fixed, steps = parted(one, at, bool(batch))
    stream = one.stream("L", name, fixed)
    gradient, single = one.gradient(name), one.gradient(name, at=1)
    for t, entries in enumerate(steps, 1):
        stream.push(entries)
        truth = gradient(**prefix(one, at, t, bool(batch)))
        assert np.allclose(stream.gradient, truth, rtol=1e-10, atol=1e-13)
        if t == 1:
            assert np.allclose(stream.derivative, single(**at), rtol=1e-10, atol=1e-13)
    assert stream.steps == STEPS


@pytest.mark.parametrize(
    ("text", "state", "name"),
    [("elman", "s", "W"), ("lstm", "c", "W"), ("layers", "s", "W"), ("lags", "s", "b")],
)
def test_a_state_along_with_its_sequence(text: str, state: str, name: str) -> None:
    one = rnn(text)
    at = values(one, STEPS)
    fixed, steps = parted(one, at, False)
    stream = one.stream(state, name, fixed)
    total = one.total(state, name)
    for t, entries in enumerate(steps, 1):
        moved = {k: v for k, v in entries.items() if k in {"x", "g"}}
        here = stream.push(moved)
        assert np.allclose(stream.derivative, total(**prefix(one, at, t, False)), rtol=1e-10)
        assert np.array_equal(stream.state[state], here)


def test_memory_does_not_grow() -> None:
    one = rnn("elman")
    fixed, steps = parted(one, values(one, STEPS), False)
    stream = one.stream("L", "W", fixed)
    for _ in range(40):
        for entries in steps:
            stream.push(entries)
    held = sum(np.asarray(v).size for v in stream._state.values())
    assert held == 3 + 3 * 3 * 3
    assert stream.steps == 40 * STEPS


def test_what_is_declared_of_a_weight_is_kept() -> None:
    text, shapes = "s[t] = tanh(W*s[t-1] + x[t]); L[t] = norm2(s[t]-y[t])^2", {"W": "n n symmetric"}
    one = wrt.recurrence(text, shapes)
    at = values(one, STEPS)
    at["W"] = at["W"] + at["W"].T
    truth = one.gradient("W")(**at)
    fixed, steps = parted(one, at, False)
    stream = one.stream("L", "W", fixed)
    for entries in steps:
        stream.push(entries)
    assert np.allclose(stream.gradient, truth, rtol=1e-10)
    assert np.allclose(one.contributions("W")(**at).sum(), truth, rtol=1e-12)
    assert np.allclose(one.gradient("W", truncate=9)(**at).kept, truth, rtol=1e-12)


def test_a_series_that_is_read_ahead_is_pushed_as_a_window() -> None:
    one = wrt.recurrence("s[t] = tanh(W*s[t-1] + x[t]); L[t] = norm2(s[t]-x[t+1])^2")
    at = values(one, STEPS)
    stream = one.stream("L", "W", {k: at[k] for k in ("W", "s0")})
    for t in range(STEPS):
        stream.push(x=at["x"][t : t + 2])
    assert np.allclose(stream.gradient, one.gradient("W")(**at), rtol=1e-10)
    with pytest.raises(ValueMistake, match="a step reads 2 entries of x, 3 are given"):
        stream.push(x=at["x"][:3])


def test_a_loss_of_the_last_step_is_that_of_now() -> None:
    one = wrt.recurrence("s[t] = tanh(W*s[t-1] + x[t])\nE = norm2(s[T]-y)^2")
    at = values(one, STEPS)
    stream = one.stream("E", "W", {k: at[k] for k in ("W", "s0", "y")})
    for t in range(STEPS):
        stream.push(x=at["x"][t])
        truth = one.gradient("W")(**{**at, "x": at["x"][: t + 1]})
        assert np.allclose(stream.gradient, truth, rtol=1e-10)


def test_streams_that_cannot_be() -> None:
    with pytest.raises(ShapeMistake, match=r"r\[t\] runs from the last step to the first"):
        rnn("backwards").stream("L", "W")
    at = values(rnn("elman"), STEPS)
    with pytest.raises(ValueMistake, match="x has an entry at every step"):
        rnn("elman").stream("L", "W", at)
    fixed, steps = parted(rnn("elman"), at, False)
    with pytest.raises(ValueMistake, match="no value is given for s0"):
        rnn("elman").stream("L", "W", {k: v for k, v in fixed.items() if k != "s0"})
    stream = rnn("elman").stream("L", "W", fixed)
    with pytest.raises(ValueMistake, match="no entry of y is given for step 1"):
        stream.push(x=steps[0]["x"])
    with pytest.raises(ValueMistake, match="z is no series"):
        stream.push(**steps[0], z=1)
    assert TEXTS["elman"].count("s[t]") == 2


@pytest.mark.parametrize(
    ("text", "name", "kept"),
    [
        ("s[t] = tanh(w.*s[t-1] + U*x[t])", "w", 1),
        ("s[t] = tanh(w.*s[t-1] + U*x[t])", "U", 2),
        ("f[t] = sigmoid(U*x[t] + w.*s[t-1]); s[t] = f[t].*s[t-1] + x[t]", "U", 2),
        ("s[t] = tanh(W*s[t-1] + U*x[t])", "W", 3),  # W mixes the entries: all n³ can differ from 0
        ("s[t] = tanh(W*s[t-1] + U*x[t])", "U", 3),
    ],
)
def test_what_stays_on_a_diagonal_is_kept_so(text: str, name: str, kept: int) -> None:
    rnn = wrt.recurrence(text)
    rng = np.random.default_rng(3)
    sizes = {"n": 4, "m": 3, "T": 5}
    at = {
        v.name: rng.normal(size=[sizes[str(d)] for d in v.dims]) / 2 for v in rnn.variables.values()
    }
    series = {k: at.pop(k) for k in list(at) if k in rnn.lines.series}
    stream = rnn.stream("s", name, at)
    for t in range(5):
        stream.push({k: one[t] for k, one in series.items()})
    D = rnn.total("s", name)
    assert np.allclose(stream.derivative, D({**at, **series}), rtol=1e-12, atol=1e-14)
    assert {one.ndim for one in stream._moving} == {kept}
