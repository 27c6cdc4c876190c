"""Entries at far places are there wherever formulas are compared, proved or refuted."""

from __future__ import annotations

import numpy as np
import pytest

import wrt
from wrt.expression.meaning import evaluate


def test_terms_of_far_entries_do_not_vanish() -> None:
    D = wrt.derivative("x[9]^2 + x[2]*x[9]", "x")
    assert D.matrix == "x[9]*unit(n,2) + (x[2]+2*x[9])*unit(n,9)"
    x = np.arange(1.0, 11.0)
    wanted = np.zeros(10)
    wanted[[1, 8]] = x[8], x[1] + 2 * x[8]
    assert np.array_equal(D(x=x), wanted)


@pytest.mark.parametrize(
    ("f", "n"), [("(A*x)[7]*exp(x[7])", 8), ("A[1,7]*x[5] + x[1]*A[6,1]", 8), ("x[12]*x[12]", 12)]
)
def test_far_entries_by_differences(f: str, n: int) -> None:
    D = wrt.derivative(f, "x")
    assert D.check().passed
    rng = np.random.default_rng(0)
    at = {v.name: rng.normal(size=[n] * v.ndim) for v in D.question.variables.values()}
    gap = 1e-6
    for k in range(n):
        up, down = (at["x"] + s * gap * np.eye(n)[k] for s in (1, -1))
        two = [evaluate(D.f, {**at, "x": x}) for x in (up, down)]
        assert np.isclose(D(at)[k], (two[0] - two[1]) / (2 * gap), atol=1e-7)


def test_a_claim_is_refuted_where_its_entries_are() -> None:
    verdict = wrt.derivative("x[6]^2", "x").judge("x[6]*unit(n,6)")
    assert "wrong" in verdict.sentence
    assert wrt.derivative("x[6]^2", "x").judge("2*x[6]*unit(n,6)").sentence.startswith("right")
