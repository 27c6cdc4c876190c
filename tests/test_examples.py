"""The examples run, and reach what they promise."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

pytest.importorskip("sklearn")
EXAMPLES = Path(__file__).parents[1] / "examples"


def main(name: str) -> float:
    return float(runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]())


def test_newton_reaches_the_coefficients_of_scikit_learn() -> None:
    assert main("logistic_newton") < 1e-6


def test_structured_newton_reaches_the_best_approximation() -> None:
    assert main("factorisation_newton") < 1e-6
