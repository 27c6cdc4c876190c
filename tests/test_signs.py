"""The sentences of a recurrence, computed as they stand, against its program."""

from __future__ import annotations

import math
import re
from collections import defaultdict

import numpy as np
import pytest

import wrt

BACK = "s[t] = tanh(a*s[t+1] + x[t]); L[t] = s[t]^2/2"
BOTH = """s[t] = tanh(a*s[t-1] + x[t])
r[t] = tanh(b*a*r[t+1] + x[t])
L[t] = (s[t]*r[t])^2/2"""
FED = """r[t] = tanh(a*r[t+1] + x[t])
s[t] = tanh(a*s[t-1] + r[t]*x[t])
L[t] = s[t]^2/2"""
FORWARD = "s[t] = tanh(a*s[t-1] + x[t]); L[t] = s[t]^2/2"
STEPS = 4


def _computed(text: str, names: dict[str, object]) -> float:
    """A sentence about numbers."""
    plain = text.replace(".*", "*").replace("^", "**").replace("lambda", "owed").replace("'", "")
    return float(eval(plain, {"tanh": math.tanh, **names}))


def _runs(text: str, names: dict[str, object]) -> None:
    """Every line at every step, as often as it takes until all of them have arrived."""
    lines = [line.split(" = ", 1) for line in re.split("[\n;]", text)]
    for left, _ in lines:
        names[left.strip()[0]] = defaultdict(lambda: 0.3)
    for _ in range(STEPS):
        for left, right in lines:
            for t in range(1, STEPS + 1):
                names[left.strip()[0]][t] = _computed(right, {**names, "t": t})  # type: ignore[index]


def _owed(sentences: tuple[str, ...], names: dict[str, object]) -> None:
    """The costates by their own sentences: what is said to be 0 is, the rest is met."""
    zeros = [re.fullmatch(r"(.*) = 0 for k ([<>]) (\w+)", one) for one in sentences]
    outside = [one for one in zeros if one]
    tables: dict[str, dict[int, float]] = {}
    for one in outside:
        for name in re.findall(r"(\w+)\[k\]", one[1]):
            tables[name] = defaultdict(float)
            names[name.replace("lambda", "owed")] = tables[name]
    lines = [re.fullmatch(r"(\w+)\[k\] = (.*)", one) for one in sentences if "= 0" not in one]
    for _ in range(2 * STEPS):
        for line in lines:
            assert line
            said, _, late = line[2].partition(", and at k = ")
            for k in range(1, STEPS + 1):
                if any(line[1] in one[1] and _is_outside(k, one) for one in outside):
                    continue
                value = _computed(said, {**names, "k": k})
                place, _, more = late.partition(" also ")
                if late and k == int(place.replace("T", str(STEPS))):
                    value += _computed(more, {**names, "k": k})
                tables[line[1]][k] = value


def _is_outside(k: int, said: re.Match[str]) -> bool:
    bound = STEPS if said[3] == "T" else int(said[3])
    return k < bound if said[2] == "<" else k > bound


@pytest.mark.parametrize("text", [BACK, BOTH, FED, FORWARD])
@pytest.mark.parametrize("at", [None, 1, 3])
def test_the_sum_over_costates_is_the_gradient(text: str, at: int | None) -> None:
    rnn = wrt.recurrence(text, shapes={"x": "", "s": "", "r": ""})
    D = rnn.gradient("a", at=at)
    x = [0.4, -0.7, 0.2, 0.9]
    given = {"a": 0.8, "b": 1.1, "x": x}
    names: dict[str, object] = {"a": 0.8, "b": 1.1, "T": STEPS}
    names["x"] = dict(enumerate(x, 1))
    _runs(text, names)
    _owed(D.costates, names)
    said = re.fullmatch(r"sum\(k, (\w+), (\w+), (.*)\)", D.matrix or "")
    assert said, D.matrix
    low, high = (int(place.replace("T", str(STEPS))) for place in (said[1], said[2]))
    total = sum(_computed(said[3], {**names, "k": k}) for k in range(low, high + 1))
    starts = {v.name: np.array(0.3) for v in D.arguments if v.name not in given}
    wanted = D(**starts, **{k: np.array(v) for k, v in given.items() if k in rnn.variables})
    assert total == pytest.approx(float(wanted), rel=1e-12)


@pytest.mark.parametrize(("at", "low"), [(None, "1"), (1, "1"), (2, "2")])
def test_a_state_that_runs_back_is_the_sum_from_its_step_on(at: int | None, low: str) -> None:
    rnn = wrt.recurrence("s[t] = W*s[t+1] + x[t]")
    D = rnn.total("s", "W", at=at)
    assert D.index == (
        f"D[i,a,b] = sum(k, {low}, T, P[k][i,a]*s[k+1][b]) where P[k] = prod(j, {low}, k-1, W)"
    )
    (found,) = D(W=[[2.0]], s_end=[1.0], x=np.zeros((3, 1))).ravel()
    first = int(low)
    assert found == sum(2.0 ** (k - first) * 2.0 ** (3 - k) for k in range(first, 4))
