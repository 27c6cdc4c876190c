"""Derivatives through all steps: what a state or a loss owes to a weight, as Σ and ∏ of steps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from wrt.answers.answer import Derivative
from wrt.expression.nodes import Variable

if TYPE_CHECKING:
    from wrt.answers.sequences.recurrences import Recurrence

__all__ = ["Path", "ThroughTime"]


@dataclass(frozen=True)
class Path:
    """How a derivative goes through the steps: which line it is of, which variable it is by."""

    rnn: Recurrence
    target: str
    by: Variable


@dataclass(frozen=True, eq=False)
class ThroughTime(Derivative):
    """A derivative through all steps of a recurrence.

    It is an answer like any other: shape, structure, program, proof. Its closed form names the
    steps.
    """

    path: Path | None = None
    called: str = ""

    @property
    def title(self) -> str:
        """What the derivative is called, as in ds[T]/dW."""
        return self.called

    @cached_property
    def is_huge(self) -> bool:
        """A loop has no sentence; the sum over the steps has."""
        return True
