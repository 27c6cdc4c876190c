"""Gradients segment by segment equal those of all steps at once."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import wrt
from test_contributions import rnn, values
from wrt.errors import ShapeMistake, ValueMistake

CASES = [
    ("elman", "W"),
    ("elman", "V"),
    ("elman", "s0"),
    ("lstm", "P"),
    ("gru", "R"),
    ("layers", "W"),
    ("lags", "a"),
    ("often", "W"),
    ("backwards", "W"),
    ("start", "W"),
    ("start", "c"),
]


@pytest.mark.parametrize("batch", [None, "N"])
@pytest.mark.parametrize(("text", "name"), CASES)
def test_segments_give_the_whole(text: str, name: str, batch: str | None) -> None:
    one = rnn(text, batch)
    whole = one.gradient(name)
    for steps in (1, 2, 7):
        at = values(one, steps)
        truth = whole(**at)
        for segments in (None, 1, 3, 50):
            found = whole.checkpointed(segments)(**at)
            assert np.allclose(found, truth, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("place", [1, 4, 7])
@pytest.mark.parametrize("text", ["elman", "backwards"])
def test_the_loss_of_one_step(text: str, place: int) -> None:
    one = rnn(text)
    at = values(one, 7)
    whole = one.gradient("W", at=place)
    for segments in (None, 2):
        assert np.allclose(whole.checkpointed(segments)(at), whole(at), rtol=1e-12, atol=1e-14)


def test_the_loss_of_one_step_of_a_batch() -> None:
    one = rnn("elman", "N")
    at = values(one, 7)
    whole = one.gradient("W", at=5)  # more steps than members
    assert np.allclose(whole.checkpointed(3)(at), whole(at), rtol=1e-12, atol=1e-14)
    assert np.abs(whole(at)).max() > 0
    with pytest.raises(ValueMistake, match="step 8 is asked for, and x has 7 steps"):
        one.gradient("W", at=8).checkpointed()(at)


def test_the_loss_of_the_last_step() -> None:
    one = wrt.recurrence("s[t] = tanh(W*s[t-1] + x[t] + x[t+1])\nE = norm2(s[T]-y)^2")
    at = values(one, 6)
    whole = one.gradient("W")
    for segments in (None, 1, 4):
        assert np.allclose(whole.checkpointed(segments)(at), whole(at), rtol=1e-12, atol=1e-14)


def test_what_is_declared_is_kept() -> None:
    text = "s[t] = tanh(W*s[t-1] + x[t]); L[t] = norm2(s[t]-y[t])^2"
    one = wrt.recurrence(text, {"W": "n n symmetric"})
    at = values(one, 6)
    at["W"] = at["W"] + at["W"].T
    whole = one.gradient("W")
    assert np.allclose(whole.checkpointed()(at), whole(at), rtol=1e-12, atol=1e-14)


def test_memory_is_that_of_a_segment() -> None:
    one = wrt.recurrence("s[t] = tanh(W*s[t-1] + x[t]); L[t] = sum(s[t])", {"x": ""})
    n, steps = 32, 2500
    rng = np.random.default_rng(0)
    at = {"W": rng.normal(size=(n, n)) / 8, "s0": np.zeros(n), "x": rng.normal(size=steps)}
    whole, parts = one.gradient("W"), one.gradient("W").checkpointed()
    peaks, found = [], []
    for D in (whole, parts):
        D(**{**at, "x": at["x"][:4]})  # compiled
        tracemalloc.start()
        found.append(D(**at))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert np.allclose(found[0], found[1], rtol=1e-10)
    assert peaks[1] < peaks[0] / 5


def test_progress_is_shown_where_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    one = rnn("elman")
    at = values(one, 9)
    one.gradient("W").checkpointed()(at)
    assert not capsys.readouterr().err
    one.gradient("W").checkpointed(progress=True)(at)
    shown = capsys.readouterr().err
    assert shown.count("\r") == 6
    assert shown.endswith("100 %\n")


def test_segments_that_cannot_be() -> None:
    with pytest.raises(ShapeMistake, match="do not all run the same way"):
        rnn("both ways").gradient("W").checkpointed()
    with pytest.raises(ShapeMistake, match="x has an entry at every step"):
        rnn("elman").gradient("x").checkpointed()
    with pytest.raises(ShapeMistake, match="segments=0"):
        rnn("elman").gradient("W").checkpointed(0)
    with pytest.raises(ShapeMistake, match="is of a state"):
        rnn("elman").total("s", "W").checkpointed()
    at = values(rnn("elman"), 4)
    with pytest.raises(ValueMistake, match="no value is given for s0"):
        rnn("elman").gradient("W").checkpointed()({k: v for k, v in at.items() if k != "s0"})
    with pytest.raises(ValueMistake, match="x has 3 "):
        rnn("elman").gradient("W").checkpointed()({**at, "x": at["x"][:3]})
    with pytest.raises(ValueMistake, match="holds no step"):
        rnn("elman").gradient("W").checkpointed()({**at, "x": at["x"][:0], "y": at["y"][:0]})
