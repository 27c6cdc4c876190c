"""How arrays of the same shapes and types are bound again: what was found for the first of them.

Parts of the formula are computed, NaN is looked for where it would not show later, and the arrays
that the tensor keeps are put in order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from operator import itemgetter
from typing import Any

from wrt import programs
from wrt.answers.structured.binding import Bound
from wrt.answers.structured.frame import Frame
from wrt.answers.structured.tensor import Structured
from wrt.expression.nodes import Variable
from wrt.expression.walk import variables
from wrt.programs.door import PROPERTY, check
from wrt.programs.quiet import silent
from wrt.programs.watching import is_suspicious, told_by

__all__ = ["Form"]

Places = Sequence[int]
Taken = tuple[Any, ...]


class Form:
    """What is the same for all arrays of some shapes and types.

    Of the arguments only some are `read`, told by their places: those that the parts are computed
    of first, then others that the tensor keeps, or of which something was declared. `bound` makes
    a tensor of these; `compiled` the program of the parts, of some variables.
    """

    def __init__(
        self,
        frame: Frame,
        made: Bound,
        arguments: Sequence[Variable],
        compiled: Callable[[Sequence[Variable]], programs.Program],
    ) -> None:
        self.frame, self.room = frame, silent()
        self.declared = [v.name for v in arguments if v.properties & PROPERTY.keys()]
        places = {v.name: place for place, v in enumerate(arguments)}
        kept = [name for name in frame.names if name in places]
        used = [v for v in variables(*made.parts.values()) if v.name in places]
        names = list(dict.fromkeys([*(v.name for v in used), *kept, *self.declared]))
        self.read = [places[name] for name in names]
        self.arguments = {name: arguments[places[name]] for name in names}
        self.bound = self.kept
        if made.parts:
            self._computing(made, used, compiled(used))
        elif self.declared:
            self.bound = self.checked
        self.ordered = _picked(
            [[*names, *(v.name for v in made.parts)].index(n) for n in frame.names]
        )

    def _computing(self, made: Bound, used: Sequence[Variable], program: programs.Program) -> None:
        """Settle how parts are computed, and where NaN is looked for."""
        self.bound, self.count = self.computed, len(used)
        self.function, self.tell = program.settled(self.frame.like.itemsize)
        telling, told = told_by(made.parts, frozenset(used))
        shown = {*(v.name for v in told), *made.names, *self.declared}
        names, parts = list(self.arguments), list(made.parts)
        #: places of what was declared, and of arrays in which NaN may not show, among those read
        self.hidden = [names.index(v.name) for v in used if v.name not in shown]
        #: places of parts that tell of NaN in others, and of those that may be plain numbers
        self.telling = [parts.index(v) for v in telling]
        self.numbers = [k for k, v in enumerate(parts) if not v.ndim]
        self.is_single = len(parts) == 1

    def kept(self, *arrays: Any) -> Structured:
        """The tensor, of nothing but arrays that it keeps, which come in its order."""
        return Structured(self.frame, arrays)

    def checked(self, *arrays: Any) -> Structured:
        """The tensor, of arrays of which something was declared."""
        self._check(self.declared, arrays)
        return Structured(self.frame, self.ordered(arrays))

    def computed(self, *arrays: Any) -> Structured:
        """The tensor, with parts that are computed."""
        if self.declared:
            self._check(self.declared, arrays)
        for place in self.hidden:
            if is_suspicious(arrays[place]):
                self._check(self.arguments, arrays)
        try:
            found = self.room.copy().run(self.function, *arrays[: self.count])
        except Exception as error:
            self._check(self.arguments, arrays)
            self.tell(error)
            raise
        parts = [found] if self.is_single else list(found)
        for place in self.numbers:
            parts[place] = self.frame.library.held(parts[place], self.frame.like)
        for place in self.telling:
            if is_suspicious(parts[place]):
                self._check(self.arguments, arrays)
        return Structured(self.frame, self.ordered((*arrays, *parts)))

    def _check(self, names: Collection[str], arrays: Taken) -> None:
        """Refuse NaN, and what contradicts what was declared."""
        import numpy as np

        with np.errstate(all="ignore"):
            for (name, variable), array in zip(self.arguments.items(), arrays, strict=True):
                if name in names:
                    check(variable, array)


def _picked(places: Places) -> Callable[[Taken], Taken]:
    """What stands at some places."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda known: tuple([known[place] for place in places])
