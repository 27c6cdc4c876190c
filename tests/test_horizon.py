"""How far back recurrences reach: norms, bounds and shares against products formed one by one."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner

import wrt
from test_contributions import rnn, values
from wrt.answers.sequences.slopes import steepest
from wrt.apps.recurrence import recurrence_
from wrt.errors import NameMistake, ShapeMistake, ValueMistake
from wrt.expression.meaning import evaluate
from wrt.functions import BOOK
from wrt.pictures.plots import Curve, curves, page, shades

STATES = {
    "elman": ("s",),
    "lstm": ("h", "c"),
    "gru": ("h",),
    "layers": ("h", "s"),
    "backwards": ("r",),
    "lags": ("s",),
}


def jacobians(name: str, steps: int, at: dict[str, np.ndarray]) -> list[np.ndarray]:
    """∂z[t]/∂z[t-1] by complex steps of one step of the recurrence: all that a step reads moves."""
    one = rnn(name)
    system = one.system
    lags = system.lags
    way = 1 if max(lags.values()) > 0 else -1
    carried = [(s, way * k) for s in one.carried for k in range(1, abs(lags[s]) + 1)]
    sizes = {"n": 3, "m": 2, "p": 2, "k": 2, "T": steps}
    stacks = {place: evaluate(system.stack(*place), at, sizes) for place in carried}
    found = []
    for t in range(steps):
        columns = []
        for state, shift in carried:
            for entry in np.ndindex(stacks[state, shift].shape[1:]):
                point = {}
                for v, m in one.lines.moments.items():
                    if m.name in one.lines.series:
                        point[v.name] = at[m.name][t]
                for s, k in carried:
                    value = stacks[s, k][t].astype(complex)
                    if (s, k) == (state, shift):
                        value[entry] += 1e-30j
                    point[one.lines.at(s, k).name] = value
                column = []
                for s, k in carried:
                    nearer = k - way
                    node = one.inlined[s] if not nearer else one.lines.at(s, nearer)
                    column.append(np.ravel(evaluate(node, {**at, **point}, sizes).imag / 1e-30))
                columns.append(np.concatenate(column))
        found.append(np.stack(columns, axis=1))
    return found if way < 0 else found[::-1]


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("name", STATES)
def test_norms_of_all_products(name: str, steps: int) -> None:
    at = values(rnn(name), steps)
    J = jacobians(name, steps, at)
    found = rnn(name).horizon(at, pairs=True)
    assert len(found) == steps
    assert set(found.states) == set(STATES[name])
    truth = np.zeros((steps + 1, steps + 1))
    for k in range(steps + 1):
        P = np.eye(len(J[0]))
        truth[k, k] = 1.0
        for t in range(k + 1, steps + 1):
            P = J[t - 1] @ P
            truth[t, k] = np.linalg.norm(P, 2)
            if t == steps:
                d = steps - k
                assert np.isclose(found.frobenius[d], np.linalg.norm(P), rtol=1e-10)
                values_of = np.linalg.svd(P, compute_uv=False)
                assert np.allclose(found.singular[d], values_of, rtol=1e-10, atol=1e-13)
    assert np.allclose(found.spectral, truth[steps][::-1], rtol=1e-10, atol=1e-14)
    turned = truth[::-1, ::-1] if found.reverse else truth
    assert found.pairs is not None
    assert np.allclose(found.pairs, turned, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("batch", [None, "N"])
@pytest.mark.parametrize("name", STATES)
def test_bounds_hold_and_each_is_tighter_than_the_last(name: str, batch: str | None) -> None:
    one = rnn(name, batch)
    found = one.horizon(values(one, 6))
    bounds = [*found.bounds.values()]
    for bound in bounds:
        assert (found.spectral <= bound * (1 + 1e-9)).all()
    for looser, tighter in pairwise(bounds):
        assert (tighter <= looser * (1 + 1e-9)).all()
    assert [*found.bounds][-1] == "steps"
    assert ("all" in found.bounds) == (name in ("elman", "backwards"))


def test_a_batch_is_a_matrix_with_a_block_for_each_member() -> None:
    one, single = rnn("elman", "N"), rnn("elman")
    at = values(one, 4)
    both = one.horizon(at)
    series = ("x", "y", "s0")
    each = [single.horizon({k: v[i] if k in series else v for k, v in at.items()}) for i in (0, 1)]
    assert np.allclose(both.spectral, np.max([e.spectral for e in each], axis=0))
    assert np.allclose(both.frobenius**2, sum(e.frobenius**2 for e in each))


def test_the_path_along_one_state() -> None:
    one = rnn("lstm")
    at = values(one, 4)
    found = one.horizon(at)
    assert [*found.paths] == ["c", "h"]
    gates = evaluate(one.system.stack("f"), at, {"n": 3, "m": 2, "k": 2, "T": 4})
    running = np.cumprod(gates[::-1], axis=0).max(axis=1)
    assert np.allclose(found.paths["c"][1:], running, rtol=1e-10)
    assert "along one state alone" in str(found)
    assert not rnn("elman").horizon(values(rnn("elman"), 4)).paths


def test_slopes_of_words() -> None:
    for word, slope in (("sigmoid", 0.25), ("tanh", 1.0), ("relu", 1.0), ("softplus", 1.0)):
        assert abs(steepest(BOOK[word]) - slope) < 1e-12
    assert steepest(BOOK["exp"]) == np.inf
    assert abs(steepest(BOOK["atan"]) - 1) < 1e-12


def test_a_logistic_state_has_to_vanish() -> None:
    logistic = wrt.recurrence("s[t] = sigmoid(W'*s[t-1] + x[t]); L[t] = norm2(s[t]-y[t])^2")
    at = {"W": 3 * np.eye(2), "s0": [0, 0], "x": np.zeros((20, 2)), "y": np.ones((20, 2))}
    found = logistic.horizon(at)
    assert (found.gamma, found.scale) == (0.25, 3.0)
    assert found.verdict == "vanish"
    assert "γ λ < 1, so over enough steps gradients have to vanish" in str(found)
    assert np.allclose(found.bounds["all"], 0.75 ** np.arange(21))


def test_a_linear_state_explodes_and_a_rotation_does_neither() -> None:
    linear = wrt.recurrence("s[t] = W*s[t-1] + x[t]")
    at = {"s0": [1, 0], "x": np.zeros((12, 2))}
    found = linear.horizon({**at, "W": np.diag([2.0, 0.5])})
    assert found.verdict == "explode"
    assert np.isclose(found.rate, 2.0)
    assert np.allclose(found.spectral, 2.0 ** np.arange(13))
    turned = linear.horizon({**at, "W": [[0, -1], [1, 0]]})
    assert turned.verdict == "neither"
    assert np.allclose(turned.bounds["slopes"], 1.0)


def test_shares_of_weights_and_their_reach() -> None:
    one = rnn("elman")
    at = values(one, 8)
    found = one.horizon(at, by=["W", "U"])
    assert [*found.shares] == ["W", "U"]
    summands = one.contributions("W")(**at)
    assert np.allclose(found.shares["W"], summands.norms)
    assert np.allclose(found.triangles["W"], summands.triangle())
    assert np.allclose(found.late["W"], summands.triangle()[-1][::-1])
    mean = [np.diagonal(summands.triangle(), -d).mean() for d in range(8)]
    assert np.allclose(found.by_distance("W"), mean)
    reach = one.horizon(at, fraction=0.2).reach("W")
    assert reach is not None
    assert all(one < 0.2 * sum(mean) for one in mean[reach:])
    assert mean[reach - 1] >= 0.2 * sum(mean)


def test_weights_that_multiply_a_state() -> None:
    assert [*rnn("elman").horizon(values(rnn("elman"), 2)).late] == ["W"]
    assert sorted(rnn("lstm").horizon(values(rnn("lstm"), 2)).late) == ["F", "P", "W", "o"]


def test_one_of_several_states() -> None:
    one = rnn("both ways")
    at = values(one, 4)
    with pytest.raises(ShapeMistake, match="do not all run the same way"):
        one.horizon(at)
    forth, back = one.horizon(at, of="h"), one.horizon(at, of="r")
    assert not forth.reverse
    assert back.reverse
    assert [*back.late] == ["P"]
    with pytest.raises(NameMistake, match="no line reads"):
        one.horizon(at, of="L")


def test_mistakes_are_named() -> None:
    one = rnn("elman")
    at = values(one, 4)
    with pytest.raises(ValueMistake, match="x has 3 "):
        one.horizon({**at, "x": at["x"][:3]})
    with pytest.raises(ValueMistake, match="no value is given for s0"):
        one.horizon({k: v for k, v in at.items() if k != "s0"})
    with pytest.raises(ValueMistake, match="holds no step"):
        one.horizon({**at, "x": at["x"][:0], "y": at["y"][:0]})
    with pytest.raises(ValueMistake, match="between 0 and 1"):
        one.horizon(at, fraction=0)
    with pytest.raises(ShapeMistake, match="nothing reaches back"):
        wrt.recurrence("s[t] = tanh(x[t])").horizon(x=[[1]])


def test_the_text_reads_aloud() -> None:
    at = values(rnn("elman"), 30)
    said = str(rnn("elman").horizon({**at, "W": at["W"] / 4}))
    assert said.splitlines()[0] == "30 steps of the state s (3 numbers)"
    assert "gradients vanish" in said
    assert "γ = 1, the largest slope of tanh; λ = " in said
    assert re.search(r"W: what is \d+ steps? away or more does less than 1 % of all", said)
    assert "z = (c, h)" in str(rnn("lstm").horizon(values(rnn("lstm"), 3)))


# Pictures


def test_the_picture_is_text_that_stays_the_same() -> None:
    one = rnn("elman")
    first, again = (one.horizon(values(one, 12)).svg() for _ in range(2))
    assert first == again
    tree = ElementTree.fromstring(first)
    words = [t.text for t in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert "Norms of ∂s[12]/∂s[12-d]" in words
    assert "What W at step k does to the loss of step t" in words
    cells = [r for r in tree.iter("{http://www.w3.org/2000/svg}rect") if r.get("fill-opacity")]
    assert len(cells) == 12 * 13 // 2 + 24  # the triangle, and the scale
    assert "prefers-color-scheme:dark" in first


def test_pictures_stay_small_and_skip_what_cannot_be_drawn() -> None:
    rows = np.tril(np.ones((1000, 1000))).tolist()
    assert len(shades("t", "k", "t", rows, (1, 1))) < 400_000
    drawn = curves(
        "t", "d", "norm", [Curve("a", [1.0, 0.0, float("inf"), 1e-3]), Curve("b", [0.0])]
    )
    assert drawn.count("<polyline") == 2
    ElementTree.fromstring(page([drawn], "a < b"))


def test_a_picture_without_a_loss_has_one_plot() -> None:
    linear = wrt.recurrence("s[t] = W*s[t-1] + x[t]")
    at = {"s0": [1.0], "x": [[0.0]] * 3, "W": [[0.5]]}
    assert linear.horizon(at).svg().count('class="title"') == 1
    assert linear.horizon(at, pairs=True).svg().count('class="title"') == 2


def test_on_the_command_line(tmp_path: Path) -> None:
    lines = "s[t] = tanh(W*s[t-1] + x[t]); L[t] = norm2(s[t]-y[t])^2"
    at = [f"--at={given}" for given in ("W=[[0.5]]", "s0=[1]", "x=[[1],[0]]", "y=[[1],[0]]")]
    drawn = tmp_path / "reach.svg"
    said = CliRunner().invoke(recurrence_, [lines, "--horizon", *at, "--picture", str(drawn)])
    assert said.output.startswith("2 steps of the state s (1 number)")
    assert drawn.read_text("utf-8").startswith("<svg ")
    bare = CliRunner().invoke(recurrence_, [lines, "--horizon"])
    assert bare.exit_code == 2
    assert "give them with --at" in bare.output
