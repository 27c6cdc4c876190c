"""Gradients that look back only so far: what is kept, what is dropped, how large that is."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from wrt import programs
from wrt.algebra import normal_form
from wrt.answers.parts import axes_said, by_name
from wrt.calculus.constrained import constrain, constraint
from wrt.calculus.joined import Joined
from wrt.errors import ShapeMistake, ValueMistake
from wrt.expression import build
from wrt.expression.dataclass import dataclass
from wrt.expression.nodes import Node
from wrt.expression.walk import substitute

if TYPE_CHECKING:
    import numpy as np

    from wrt.answers.sequences.through import ThroughTime

    Array = np.ndarray[Any, Any]

__all__ = ["Kept", "Truncated"]


@dataclass(frozen=True, eq=False, repr=False)
class Kept:
    """A truncated gradient at given values: what is kept, and what is dropped."""

    kept: Array
    dropped: Array
    window: int
    called: str = ""

    @property
    def norm(self) -> float:
        """The Frobenius norm of what is dropped."""
        import numpy as np

        return float(np.linalg.norm(self.dropped))

    @property
    def fraction(self) -> float:
        """The norm of what is dropped as a fraction of that of the whole gradient."""
        import numpy as np

        whole = float(np.linalg.norm(self.kept + self.dropped))
        return self.norm / whole if whole else 0.0

    def __str__(self) -> str:
        steps = "1 step" if self.window == 1 else f"{self.window} steps"
        if self.fraction < 1e-13:
            return f"{self.called} within {steps}: nothing is dropped"
        return (
            f"{self.called} within {steps}: what is dropped has norm {self.norm:.3g}, "
            f"{100 * self.fraction:.3g} % of the whole"
        )

    __repr__ = __str__


class Truncated:
    """The gradient in which every loss counts only what a weight did within the last steps.

    With a window of 1 a weight acts on the loss of its own step alone. All steps are moved at once:
    a window costs as many products of stacks, whatever the number of steps.
    """

    def __init__(self, whole: ThroughTime, joined: Joined | None, window: int, place: int | None):
        if isinstance(window, bool) or not isinstance(window, int) or window < 1:
            raise ShapeMistake(f"truncate={window!r}: a window is a whole number of steps from 1")
        self.whole, self.joined, self.window, self.place = whole, joined, window, place

    def __repr__(self) -> str:
        steps = "1 step" if self.window == 1 else f"{self.window} steps"
        return f"<{self.whole.title} within {steps}: {axes_said(self.shape)}>"

    @cached_property
    def formula(self) -> Node:
        """What is kept."""
        assert self.whole.path is not None
        if self.joined is None:
            return self.whole.formula
        length = self.joined.system.length
        weight = None
        if self.place is not None:
            weight = build.unit(length, length - 1 if self.place < 0 else self.place)
        line = self.joined.line(self.whole.path.target)
        by = self.whole.path.by
        free = self.joined.system.lines.shared[by.name]
        kept = substitute(self.joined.truncated(line, free, self.window, weight), {free: by})
        rules = constraint(by)
        return normal_form(constrain(kept, rules, "projected") if rules else kept)

    @property
    def shape(self) -> tuple[int | str, ...]:
        """The axes: those of the variable."""
        return self.whole.shape

    def compile(self, backend: str = "numpy", *, structured: bool = False) -> programs.Program:
        """The program of what is kept."""
        if structured:
            raise ValueMistake(
                "what a window keeps has every entry: compile(); the whole gradient, "
                "without truncate, is bound as structure"
            )
        arguments, title = self.whole.arguments, self.whole.title
        return programs.compile(self.formula, backend, arguments=arguments, title=title)

    def source(self, backend: str = "numpy") -> str:
        """The text of a standalone module with one function: what is kept."""
        doc = f"{self.whole.title}, what acted within {self.window} steps."
        return programs.source(self.formula, backend, arguments=self.whole.arguments, doc=doc)

    def __call__(
        self, mapping: Mapping[str, Any] | None = None, /, *unnamed: Any, **values: Any
    ) -> Kept:
        """What is kept and what is dropped at values by keyword, or by one mapping of names."""
        given = self.whole._needed(by_name(mapping, values, *unnamed))
        both = programs.compile(
            (self.formula, self.whole.formula),
            arguments=self.whole.arguments,
            title=self.whole.title,
        )
        kept, whole = both(given)
        return Kept(kept, whole - kept, self.window, self.whole.title)
