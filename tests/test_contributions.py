"""Summands by step, triangles and truncated gradients, against copies moved one by one."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import wrt
from wrt.calculus.recurrence import copied
from wrt.errors import NameMistake, ShapeMistake, ValueMistake, WrtError
from wrt.expression.meaning import evaluate

Array = np.ndarray[Any, Any]

TEXTS = {
    "elman": "s[t] = tanh(W*s[t-1] + U*x[t] + b); L[t] = -y[t]'*log(softmax(V*s[t] + c))",
    "lstm": """i[t] = sigmoid(W*h[t-1] + U*x[t])
        f[t] = sigmoid(F*h[t-1] + G*x[t])
        c[t] = f[t].*c[t-1] + i[t].*tanh(P*h[t-1])
        h[t] = o.*tanh(c[t])
        L[t] = norm2(V*h[t] - y[t])^2/2""",
    "gru": """r[t] = sigmoid(R*h[t-1] + U*x[t])
        h[t] = (1-r[t]).*h[t-1] + r[t].*tanh(W*(r[t].*h[t-1]) + G*x[t])
        L[t] = norm2(V*h[t] - y[t])^2/2""",
    "layers": """h[t] = tanh(W*h[t-1] + U*x[t])
        s[t] = tanh(P*s[t-1] + Q*h[t])
        L[t] = norm2(V*s[t]-y[t])^2""",
    "both ways": """h[t] = tanh(W*h[t-1] + U*x[t])
        r[t] = tanh(P*r[t+1] + Q*x[t])
        L[t] = norm2(V*h[t] + K*r[t] - y[t])^2""",
    "backwards": "r[t] = tanh(W*r[t+1] + U*x[t]); L[t] = norm2(V*r[t]-y[t])^2 + sum(r[t+1])",
    "lags": """s[t] = a*s[t-1] + b*s[t-2] + tanh(W*x[t])
        L[t] = norm2(s[t]-y[t])^2 + sum(s[t-2].^3)""",
    "often": """h[t] = tanh(W*h[t-1] + P*s[t-2] + U*x[t])
        s[t] = tanh(P*s[t-1] + W*h[t] + W'*h[t-1])
        L[t] = norm2(V*s[t]-y[t])^2 + h[t-1]'*W*s[t-1] + sum(s[t-2].^3)""",
    "start": "s[t] = tanh(W*s[t-1] + x[t])\ns[0] = W*c\nL[t] = norm2(s[t]-y[t])^2",
}
CASES = [
    ("elman", "W"),
    ("elman", "b"),
    ("elman", "V"),
    ("lstm", "W"),
    ("lstm", "P"),
    ("gru", "R"),
    ("gru", "W"),
    ("layers", "W"),
    ("layers", "P"),
    ("both ways", "W"),
    ("both ways", "P"),
    ("backwards", "W"),
    ("lags", "a"),
    ("lags", "W"),
    ("often", "W"),
    ("often", "P"),
]
BATCHED = [(*case, None) for case in CASES] + [(*case, "N") for case in CASES[::3]]
SIZES = {"n": 3, "m": 2, "p": 2, "k": 2, "N": 2}


@cache
def rnn(name: str, batch: str | None = None) -> wrt.Recurrence:
    return wrt.recurrence(TEXTS[name], batch=batch)


def values(one: wrt.Recurrence, steps: int) -> dict[str, Array]:
    rng = np.random.default_rng(7)
    sizes = {**SIZES, "T": steps}
    shapes = {k: [d.size(sizes) for d in v.dims] for k, v in one.variables.items()}
    return {k: rng.normal(size=shape) / 2 for k, shape in shapes.items()}


def moved(one: wrt.Recurrence, name: str, at: dict[str, Array], steps: int) -> Array:
    """∂L[t]/∂W[k] for all t and k by complex steps of the plain meaning: axes t, k, those of W."""
    copies = wrt.Recurrence(copied(one.lines, name), *one.system.batch)
    stack = copies.system.stack(one.losses[0])
    series = np.repeat(at[name][None], steps, axis=0)
    found = np.empty((steps, *series.shape))
    for place in np.ndindex(series.shape):
        turned = series.astype(complex)
        turned[place] += 1e-30j
        losses = evaluate(stack, {**at, name: turned}, {**SIZES, "T": steps}).imag / 1e-30
        found[(slice(None), *place)] = losses.reshape(steps, -1).sum(1)
    return found


@pytest.mark.parametrize(("text", "name", "batch"), BATCHED)
def test_summands_add_up(text: str, name: str, batch: str | None) -> None:
    one = rnn(text, batch)
    summands, gradient = one.contributions(name), one.gradient(name)
    for steps in (1, 2, 4):
        at = values(one, steps)
        truth = moved(one, name, at, steps)
        found = summands(**at)
        axes = tuple(range(1, truth.ndim - 1))
        assert len(found) == steps
        assert np.allclose(found.sum(), gradient(**at), rtol=1e-12, atol=1e-14)
        assert np.allclose(found.sum(), truth.sum((0, 1)), rtol=1e-12, atol=1e-14)
        for k in range(steps):
            assert np.allclose(found.at(k + 1), truth.sum(0)[k], rtol=1e-12, atol=1e-14)
        norms = np.sqrt((truth.sum(0) ** 2).sum(axes))
        assert np.allclose(found.norms, norms, rtol=1e-10, atol=1e-14)
        triangle = np.sqrt((truth**2).sum(tuple(range(2, truth.ndim))))
        assert np.allclose(found.triangle(), triangle, rtol=1e-10, atol=1e-12)
        assert np.isclose(found.norm(), np.linalg.norm(found.sum()), rtol=1e-12)


@pytest.mark.parametrize(("text", "name", "batch"), BATCHED)
def test_windows(text: str, name: str, batch: str | None) -> None:
    one = rnn(text, batch)
    truths = {steps: moved(one, name, values(one, steps), steps) for steps in (1, 4)}
    for window in (1, 2, 3, 9):
        some = one.gradient(name, truncate=window)
        for steps, truth in truths.items():
            t, k = np.indices((steps, steps))
            inside = (np.abs(t - k) < window).reshape(steps, steps, *[1] * (truth.ndim - 2))
            found = some(**values(one, steps))
            assert np.allclose(found.kept, (truth * inside).sum((0, 1)), rtol=1e-11, atol=1e-13)
            whole = truth.sum((0, 1))
            assert np.allclose(found.kept + found.dropped, whole, rtol=1e-12, atol=1e-14)
            if window >= steps:
                assert found.fraction < 1e-12


def test_a_window_for_one_loss() -> None:
    one = rnn("elman")
    at = values(one, 5)
    truth = moved(one, "W", at, 5)
    for window in (1, 3):
        found = one.gradient("W", at=4, truncate=window)(**at)
        assert np.allclose(found.kept, truth[3, 4 - window : 4].sum(0), rtol=1e-12)
        assert np.allclose(found.kept + found.dropped, truth[3].sum(0), rtol=1e-12)


def test_a_start_acts_one_step_before_the_first() -> None:
    one = rnn("start")
    at = values(one, 3)
    whole = one.gradient("W")(**at)
    four, three = (one.gradient("W", truncate=k)(**at) for k in (4, 3))
    assert np.allclose(four.kept, whole, rtol=1e-12)
    assert three.fraction > 1e-6
    fixed = wrt.recurrence(TEXTS["start"].replace("W*c", "c"))
    c = at["W"] @ at["c"]
    within = fixed.gradient("W")(**{**at, "c": c})
    reached = [fixed.gradient("c", at=t)(**{**at, "c": c}) for t in (1, 2)]
    wanted = within + np.outer(sum(reached), at["c"])
    assert np.allclose(three.kept, wanted, rtol=1e-12)


def test_a_window_is_a_program_of_so_many_products() -> None:
    text = rnn("elman").gradient("W", truncate=20).source()
    assert "for t in range(19):" in text
    assert text.count("\n    for t in ") == 2


def test_windows_that_cannot_be() -> None:
    with pytest.raises(ShapeMistake, match="truncate=0: a window is a whole number"):
        rnn("elman").gradient("W", truncate=0)
    both = "h[t] = tanh(W*h[t-1] + x[t]); r[t] = tanh(W*r[t+1] + h[t]); L[t] = sum(r[t])"
    with pytest.raises(ShapeMistake, match=r"h\[t\], which runs from the first step on"):
        wrt.recurrence(both).gradient("W", truncate=2)
    with pytest.raises(NameMistake):
        rnn("elman").gradient("s0", truncate=2)


def test_what_is_dropped_is_told() -> None:
    one = rnn("elman")
    found = one.gradient("W", truncate=1)(**values(one, 4))
    assert str(found).startswith("dL/dW within 1 step: what is dropped has norm ")
    assert np.isclose(found.norm, np.linalg.norm(found.dropped))


@pytest.mark.parametrize(
    ("text", "state", "name"),
    [
        ("elman", "s", "W"),
        ("elman", "s", "U"),
        ("elman", "s", "b"),
        ("layers", "s", "W"),
        ("gru", "h", "R"),
        ("lstm", "c", "P"),
        ("backwards", "r", "W"),
        ("often", "s", "W"),
    ],
)
def test_a_state_by_a_weight_stays_factored(text: str, state: str, name: str) -> None:
    one = rnn(text)
    for steps in (1, 4):
        at = values(one, steps)
        dense = one.total(state, name)(**at)
        found = one.factored(state, name)(**at)
        assert np.allclose(found.sum(), dense, rtol=1e-12, atol=1e-14)
        assert np.isclose(found.norm(), np.linalg.norm(dense), rtol=1e-10)
        direction = np.random.default_rng(1).normal(size=at[name].shape)
        along = np.tensordot(dense, direction, direction.ndim)
        assert np.allclose(found.apply(direction), along, rtol=1e-12, atol=1e-14)
        assert np.allclose(found.rows(2), dense[1], rtol=1e-12, atol=1e-14)
        for rows in (1, 2, 9):
            laid = np.zeros_like(dense)
            for place, block in found.blocks(rows):
                laid[place] += block
            assert np.allclose(laid, dense, rtol=1e-12, atol=1e-14)
        same = one.total(state, name).factored(at)
        assert np.array_equal(same.sum(), found.sum())
        parts = np.stack([found.at(k + 1) for k in range(steps)])
        assert np.allclose(
            found.norms, np.sqrt((parts**2).sum((1, 2, 3) if parts.ndim > 3 else (1, 2)))
        )


def test_factors_of_a_state_are_not_formed() -> None:
    at = values(rnn("elman"), 4)
    found = rnn("elman").factored("s", "W")(**at)
    assert [stack.shape for stack in found.factors[0]] == [(4, 3, 3), (4, 3)]
    with pytest.raises(ShapeMistake, match="one sequence"):
        rnn("elman", "N").factored("s", "W")


def test_steps_that_are_not_there() -> None:
    found = rnn("elman").contributions("W")(**values(rnn("elman"), 4))
    for step in (0, 5, 1.5):
        with pytest.raises(WrtError, match="counted from 1 to 4"):
            found.at(step)  # type: ignore[arg-type]


def test_a_loss_of_the_last_step() -> None:
    last = wrt.recurrence("s[t] = tanh(W*s[t-1] + x[t])\nE = norm2(s[T]-y)^2")
    each = wrt.recurrence("s[t] = tanh(W*s[t-1] + x[t])\nE[t] = norm2(s[t]-y)^2")
    at = values(last, 4)
    found, truth = last.contributions("W")(**at), each.contributions("W", at=4)(**at)
    assert np.allclose(found.sum(), last.gradient("W")(**at), rtol=1e-12)
    assert np.allclose(found.norms, truth.norms, rtol=1e-12)
    with pytest.raises(ShapeMistake, match="a loss at every step"):
        found.triangle()
    for window in (1, 2, 9):
        some = last.gradient("W", truncate=window)(**at)
        wanted = each.gradient("W", at=4, truncate=window)(**at)
        assert np.allclose(some.kept, wanted.kept, rtol=1e-12)
    reach = last.horizon(at)
    assert not reach.triangles
    assert np.allclose(reach.late["W"], truth.norms[::-1], rtol=1e-12)


def test_a_weight_that_is_a_start_too_is_no_sum_over_steps() -> None:
    with pytest.raises(ShapeMistake, match="W is where s starts too, which is no step"):
        rnn("start").contributions("W")
    at = values(rnn("start"), 3)
    assert not rnn("start").horizon(at).late


def test_a_triangle_holds_one_distance_at_a_time() -> None:
    shapes = [node.shape for node in rnn("elman").contributions("W").triangle.squares]
    assert shapes == [("T",), ("T", "T")]
    assert len(rnn("both ways").contributions("Q").triangle.squares) == 2
    mixed = "h[t] = tanh(W*h[t-1] + x[t]); r[t] = tanh(W*r[t+1] + h[t]); L[t] = norm2(r[t])^2"
    one = wrt.recurrence(mixed)
    at = values(one, 4)
    truth = moved(one, "W", at, 4)
    found = one.contributions("W")(**at).triangle()
    assert np.allclose(found, np.sqrt((truth**2).sum((2, 3))), rtol=1e-10)


def test_what_is_no_structured_answer_says_what_is() -> None:
    one = rnn("elman")
    with pytest.raises(ValueMistake, match="the whole gradient, without truncate, is bound"):
        one.gradient("W", truncate=2).compile(structured=True)
    with pytest.raises(ValueMistake, match="kept as factors already"):
        one.contributions("W").compile(structured=True)
