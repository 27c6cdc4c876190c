"""Real questions with verified answers: `python tests/test_cases.py` prints how many of
how many.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import wrt
from case_data import CASES, answer, draw

#: The cases that are asked: every one.
COVERED = CASES
IDS = [case["id"] for case in COVERED]


@cache
def asked(number: int) -> wrt.Derivative:
    case = CASES[number]
    symmetric = case["symmetric"] or "projected"
    return wrt.derivative(case["text"], *case["wrt"], shapes=case["shapes"], symmetric=symmetric)


def close(got: Any, want: Any, case: dict[str, Any]) -> bool:
    got, want = np.asarray(got), np.asarray(want)
    allowed = 1e-7 if case["order"] == 1 else 1e-5
    scale = max(1.0, float(np.abs(want).max(initial=0)))
    return got.shape == want.shape and float(np.abs(got - want).max(initial=0)) <= allowed * scale


def used(derivative: wrt.Derivative, values: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The values in the order of the emitted function's arguments."""
    space: dict[str, Any] = {}
    exec(derivative.source("numpy"), space)
    code = space["derivative"].__code__
    names = code.co_varnames[: code.co_argcount]
    return [values[name if name in values else name[:-1]] for name in names]


@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_the_answer_through_every_door(number: int) -> None:
    case, derivative = CASES[number], asked(number)
    for seed in range(2):
        values = draw(case, seed)
        want = answer(case, values)
        assert close(derivative(values), want, case), "the dense array"
        assert close(run_source(derivative, values), want, case), "the emitted source"
        name = case["wrt"][-1].removeprefix("conj(").removesuffix(")").split("[")[0]
        axes = want.ndim - values[name].ndim
        rng = np.random.default_rng(seed)
        along = rng.normal(size=want.shape[axes:])
        assert close(derivative.apply(along, **values), np.tensordot(want, along, along.ndim), case)
        back = rng.normal(size=want.shape[:axes])
        pulled = np.tensordot(back, want, axes)
        assert close(derivative.pullback(back, **values), pulled, case)


def run_source(derivative: wrt.Derivative, values: dict[str, np.ndarray]) -> np.ndarray:
    space: dict[str, Any] = {}
    exec(derivative.source("numpy"), space)
    return np.asarray(space["derivative"](*used(derivative, values)))


@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_the_answer_proves_itself(number: int) -> None:
    assert asked(number).check().passed


def test_every_case_is_asked() -> None:
    assert len(CASES) == 318


def main() -> None:
    """Print how many of the cases are answered right."""
    right = 0
    for number, case in enumerate(CASES):
        values = draw(case)
        right += close(asked(number)(values), answer(case, values), case)
    print(f"{right} of {len(CASES)} cases right")


if __name__ == "__main__":
    main()
