"""Derivatives of one step of a recurrence: explicit ones, and from a state to the next."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from wrt.algebra import merged, normal_form, simplified
from wrt.answers.answer import Derivative
from wrt.answers.maps import keys
from wrt.answers.parts import picked, swept
from wrt.calculus.recurrence import System
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import dimension_names
from wrt.language import Reading, Wanted

__all__ = ["StepDerivative", "of_step"]


@dataclass(frozen=True, eq=False)
class StepDerivative(Derivative):
    """A derivative of one step, in which what the lines name is called by its name.

    `named` is the derivative in these names, `called` what it is called itself.
    """

    named: Node | None = None
    called: str = ""

    @property
    def title(self) -> str:
        """What the derivative is called, as in ∂⁺s[t]/∂W."""
        return self.called

    @cached_property
    def told(self) -> Node:
        """The derivative in the names of the lines: `1 - s[t]^2` for `1 - tanh(…)^2`."""
        assert self.named is not None
        whole = normal_form(merged(simplified(normal_form(self.named))))
        if not any(one.selection for one in self.wanted):
            return whole
        return picked(whole, (*[slice(None)] * self.f.ndim, *keys(self.wanted)))


def of_step(
    system: System,
    name: str,
    formula: Node,
    by: Variable,
    called: str,
    held: Collection[str] = (),
) -> StepDerivative:
    """The derivative of the formula of one step, `name` its line, by a shared variable or a state
    before it; the states `held` of the same step do not change.
    """
    lines = system.lines
    text = lines.said[name].partition("=")[2].strip()
    question = Reading(
        text=text,
        formula=formula,
        row=False,
        variables=_variables(system),
        dimensions=frozenset(dimension_names(formula, by)),
        functions=dict(lines.functions or {}),
    )
    wanted = Wanted(by.name, by)
    node = swept(formula, [by], "projected")
    return StepDerivative(
        question, (wanted,), node, None, None, system.in_names(name, by, held), called
    )


def _variables(system: System) -> dict[str, Variable]:
    """Everything that a step may read, and what its lines define, by name."""
    lines = system.lines
    found = {v.name: v for v in lines.moments}
    found |= {lines.at(name).name: lines.at(name) for name in lines.states}
    return {**lines.shared, **found}
