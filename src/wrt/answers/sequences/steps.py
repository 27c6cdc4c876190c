"""Derivatives of one step of a recurrence: explicit ones, and from a state to the next."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property

from wrt.algebra import merged, normal_form, simplified
from wrt.answers.answer import Derivative
from wrt.answers.maps import keys
from wrt.answers.parts import picked, swept
from wrt.calculus.recurrence import System
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dataclass import dataclass, field
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import dimension_names, substitute
from wrt.language import Reading, Wanted
from wrt.language.recurrence import moment

__all__ = ["Called", "JointStep", "StepDerivative", "joint_step", "of_step"]


@dataclass(frozen=True, eq=False, repr=False)
class Called(Derivative):
    """A derivative that has a name of its own, as ∂⁺s[t]/∂W or dL/dW."""

    called: str = ""

    @property
    def title(self) -> str:
        """What the derivative is called."""
        return self.called


@dataclass(frozen=True, eq=False, repr=False)
class StepDerivative(Called):
    """A derivative of one step, in which what the lines name is called by its name.

    `named` is the derivative in these names, `written` what they stand for.
    """

    named: Node | None = None
    written: Mapping[Variable, Node] = field(default_factory=dict)

    @property
    def _forms(self) -> tuple[Node, ...]:
        """The answer in the names of the lines, with what these stand for, is the same."""
        given = self.f.names | self.formula.names
        out = {v: one for v, one in self.written.items() if v not in given}
        told = substitute(self.flat, out)
        return (self.formula, told) if told.names <= given else ()

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
    final = name in lines.final
    named = system.at_end(name, by) if final else system.in_names(name, by, held)
    written = {lines.at(line): one for line, one in system.inlined.items()}
    return StepDerivative(question, (wanted,), node, None, None, called, named, written)


def _variables(system: System) -> dict[str, Variable]:
    """Everything that a step may read, and what its lines define, by name."""
    lines = system.lines
    found = {v.name: v for v in lines.moments}
    found |= {lines.at(name).name: lines.at(name) for name in lines.states}
    return {**lines.shared, **found}


@dataclass(frozen=True, eq=False, repr=False)
class JointStep(StepDerivative):
    """The derivative of all states of a step by those of the step before, as one matrix.

    `blocks` are its rows of blocks, each an answer of its own.
    """

    blocks: tuple[tuple[StepDerivative, ...], ...] = ()

    @cached_property
    def told(self) -> Node:
        """The joint matrix has no other form for reading than its blocks."""
        return self.plain

    @cached_property
    def matrix(self) -> str | None:
        """The blocks row by row, as in `[diag(f[t]), A; B, C]`."""
        rows = [[_block(D) for D in row] for row in self.blocks]
        if self.layout is not None or any(one is None for row in rows for one in row):
            return None
        return f"[{'; '.join(', '.join(map(str, row)) for row in rows)}]"

    @cached_property
    def index(self) -> str | None:
        """Blocks are no products of entries."""
        return None

    @property
    def is_huge(self) -> bool:
        """What is written is written by blocks."""
        return True

    def latex(
        self,
        form: str | None = None,
        *,
        bold: bool = False,
        macros: Mapping[str, str] | None = None,
    ) -> str | None:
        """The blocks as a matrix in LaTeX; None in other notations."""
        if form not in (None, "matrix") or self.layout is not None:
            return None
        rows = [[_in_latex(D, bold, macros) for D in row] for row in self.blocks]
        if any(one is None for row in rows for one in row):
            return None
        said = r" \\ ".join(" & ".join(map(str, row)) for row in rows)
        return rf"\begin{{bmatrix}} {said} \end{{bmatrix}}"


def _in_latex(D: StepDerivative, bold: bool, macros: Mapping[str, str] | None) -> str | None:
    return "0" if build.is_zero(D.told) else D.latex("matrix", bold=bold, macros=macros)


def _block(D: StepDerivative) -> str | None:
    if build.is_zero(D.told):
        return f"zeros({', '.join(map(str, D.shape))})"
    return D.matrix


def joint_step(
    system: System, name: str, states: Sequence[str], blocks: tuple[tuple[StepDerivative, ...], ...]
) -> JointStep:
    """The derivative of the states of a step, end to end, by those of the step before, which are
    one vector `name`.
    """
    lines = system.lines
    sizes = [lines.at(state).dims[0] for state in states]
    length = sum(sizes[1:], sizes[0])
    shift = 1 if system.lags[states[0]] > 0 else -1
    before = Variable(moment(name, lines.step, shift), (length,))
    inside: dict[Variable, Node] = {}
    parts: list[Node] = []
    start = Dimension.of(0)
    for state, size in zip(states, sizes, strict=True):
        inside[lines.at(state, shift)] = before[slice(start, start + size)]
        place = build.section(size, length, start)
        formula = system.inlined[state]
        parts.append(build.product(ONE, ((place, 1, (0, 1)), (formula, 1, (0,))), (1,), place.dims))
        start = start + size
    formula = substitute(build.add(*parts), inside)
    called = f"∂{moment(name, lines.step)}/∂{before.name}"
    question = Reading(
        text=f"{name} = [{'; '.join(moment(s, lines.step) for s in states)}]",
        formula=formula,
        row=False,
        variables={**_variables(system), before.name: before},
        dimensions=frozenset(dimension_names(formula, before)),
        functions=dict(lines.functions or {}),
    )
    node = swept(formula, [before], "projected")
    wanted = (Wanted(before.name, before),)
    return JointStep(question, wanted, node, None, None, called, None, {}, blocks)
