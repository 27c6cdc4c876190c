"""Reading what somebody says a derivative is, beside the question that it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wrt.errors import NameMistake
from wrt.expression.dataclass import dataclass
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import dimension_names, rename_dimensions, substitute
from wrt.language import read
from wrt.language.mistakes import did_you_mean
from wrt.language.parser import parse
from wrt.language.syntax import Name, postorder
from wrt.language.words import CONSTANTS

if TYPE_CHECKING:
    from wrt.answers.answer import Derivative

__all__ = ["Claimed", "Context", "context"]

Sizes = Mapping[str, Dimension]


@dataclass(frozen=True)
class Claimed:
    """A text that was read: its formula, whether it is a row, the sizes that it invented."""

    text: str
    formula: Node
    row: bool
    fresh: tuple[str, ...]


@dataclass(frozen=True)
class Context:
    """What a text beside a question may speak of: its variables, its lines, its sizes."""

    derivative: Derivative
    variables: Mapping[str, Variable]
    sizes: tuple[str, ...]

    def read(
        self, text: str, equal: Sizes | None = None, beside: Sequence[Variable] = ()
    ) -> Claimed:
        """Read a text whose names are those of the question, and variables beside them; `equal`
        makes sizes the same.

        Raises the Mistakes of reading, and NameMistake for a name that the question lacks.
        """
        equal = equal or {}
        question = self.derivative.question
        lines = {n: node for n, node in question.lines.items() if n not in self.variables}
        known_ones = {**self.variables, **{v.name: v for v in beside}}
        told = {n: _shape(v.dims, v.properties, equal) for n, v in known_ones.items()}
        told |= {n: _shape(node.dims, frozenset(), equal) for n, node in lines.items()}
        targets = {line.target for line in parse(text).lines}
        shapes = {n: shape for n, shape in told.items() if n not in targets}
        reading = read(text, shapes=shapes, functions=question.functions)
        self._refuse_unknown(text, [n for n in reading.variables if n not in shapes])
        node = reading.formula
        for name, line in lines.items():
            stands = reading.variables.get(name)
            if name not in targets and stands is not None:
                node = substitute(node, {stands: rename_dimensions(line, equal)})
        known = {str(equal.get(n, n)) for n in self.sizes} | question.dimensions
        fresh = tuple(n for n in dimension_names(node) if n not in known)
        return Claimed(text, node, reading.row, fresh)

    def unknown(self, text: str) -> list[str]:
        """The names of a text that the question does not know, where there is one only."""
        parts = [p for line in parse(text).lines for p in postorder(line.body)]
        names = dict.fromkeys(p.name for p in parts if isinstance(p, Name))
        taken = {*self.variables, *self.sizes, *self.derivative.question.lines, *CONSTANTS}
        found = [name for name in names if name not in taken]
        return found if len(found) == 1 else []

    def _refuse_unknown(self, text: str, names: Sequence[str]) -> None:
        if not names:
            return
        known = [*self.variables, *self.derivative.question.lines]
        parts = [p for line in parse(text).lines for p in postorder(line.body)]
        span = next((p.span for p in parts if isinstance(p, Name) and p.name == names[0]), None)
        listed = f"its names are {', '.join(known)}"
        sizes = f"; its sizes are {', '.join(self.sizes)}" if self.sizes else ""
        raise NameMistake(
            f"the question has no name {names[0]}",
            text=text,
            span=span,
            hint=did_you_mean(names[0], known) or listed + sizes,
        )


def context(derivative: Derivative) -> Context:
    """What may be spoken of beside a question."""
    question = derivative.question
    by = {w.variable.name: w.variable for w in derivative.wanted}
    variables = {**question.variables, **by}
    sizes = dimension_names(question.formula, derivative.plain, *variables.values())
    return Context(derivative, variables, tuple(sizes))


def _shape(dims: Sequence[Dimension], properties: frozenset[str], equal: Sizes) -> str:
    axes = [str(d.replace(equal)).replace(" ", "") for d in dims]
    return " ".join([*axes, *sorted(properties)])
