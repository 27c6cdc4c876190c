"""Questions from regression, Gaussians, networks, control: answers as short as a person's."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

import wrt
from lengths import compared, is_longer
from wrt.algebra import equal

FORMS = json.loads((Path(__file__).parent / "data" / "more_forms.json").read_text())
#: Where ours is a name or two longer still; the test fails when one of them is mended.
LONGER: frozenset[str] = frozenset()


@cache
def asked(number: int) -> wrt.Derivative:
    form = FORMS[number]
    symmetric = form["symmetric"] or "projected"
    return wrt.derivative(form["text"], *form["wrt"], shapes=form["shapes"], symmetric=symmetric)


@pytest.mark.parametrize("number", range(len(FORMS)), ids=[form["id"] for form in FORMS])
def test_right_and_as_short(number: int) -> None:
    form, D = FORMS[number], asked(number)
    assert D.check().passed
    if form["answer"] is None:
        return
    assert equal(wrt.read(form["answer"], shapes=form["shapes"]), D.formula), "the answer"
    pair = compared(form, D.matrix)
    assert pair is not None
    assert is_longer(pair) == (form["id"] in LONGER), f"{pair}: {D.matrix}"


def test_questions_are_many() -> None:
    assert sum(form["answer"] is not None for form in FORMS) >= 110
    assert 20 * len(LONGER) < len(FORMS)
