"""A formula with its derived backward pass, as a module for PyTorch or JAX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wrt.algebra import meant, normal_form
from wrt.answers.parts import unused
from wrt.errors import ValueMistake

if TYPE_CHECKING:
    from wrt.answers.answer import Derivative

__all__ = ["with_backward"]


def with_backward(answers: Sequence[Derivative], backend: str) -> str:
    """The module of a formula whose first derivatives these are."""
    from wrt.programs.custom import custom_source

    first = answers[0]
    for D in answers:
        if len(D.wanted) != 1 or D.wanted[0].selection or D.layout is not None:
            raise ValueMistake(
                "a backward pass is made of first derivatives by whole variables, "
                f"and {D.title} is not one"
            )
    arguments = tuple(dict.fromkeys(v for D in answers for v in D.arguments))
    g = unused("g", [v.name for v in arguments])
    return custom_source(
        normal_form(meant(first.f)),
        [(D.wanted[0].variable, D.pulled_back(g)) for D in answers],
        first.maps.gradient(g),
        backend,
        arguments,
        " ".join(first.question.text.split()),
    )
