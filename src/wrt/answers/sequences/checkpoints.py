"""Gradients of long sequences in little memory: segment by segment, states between them kept.

The steps are run forward once, and of all states only those between segments are kept. Then each
segment, the last one first, is run again from its kept state, and swept back with the costates that
arrive from the segment behind it (A. Griewank, A. Walther, Evaluating Derivatives, 12). With √T
segments the memory is that of √T steps.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from math import ceil, isqrt
from typing import TYPE_CHECKING, Any

from wrt import programs
from wrt.algebra import expand, meant, normal_form
from wrt.answers.parts import axes_said, by_name, plain_keys
from wrt.answers.sequences.given import refuse_values
from wrt.answers.sequences.moving import needed_states
from wrt.calculus import gradients
from wrt.calculus.constrained import constrain, constraint
from wrt.calculus.joined import paired
from wrt.calculus.recurrence import System, freed
from wrt.errors import NotDifferentiable, ShapeMistake, ValueMistake
from wrt.expression import build
from wrt.expression.dataclass import replace
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import variables

if TYPE_CHECKING:
    import numpy as np

    from wrt.answers.sequences.through import ThroughTime

    Array = np.ndarray[Any, Any]

__all__ = ["Checkpointed"]


class Checkpointed:
    """A gradient of a loss through time that keeps only the states between segments."""

    def __init__(self, whole: ThroughTime, segments: int | None, progress: bool | None) -> None:
        if whole.f.ndim:
            raise ShapeMistake(f"{whole.title} is of a state; segments are for a loss")
        if segments is not None and (not isinstance(segments, int) or segments < 1):
            raise ShapeMistake(f"segments={segments!r}: a whole number from 1 is wanted")
        self.whole, self.segments, self.progress = whole, segments, progress
        path = whole.way
        self.rnn, self.loss, self.by = path.rnn, path.target, path.by
        if self.by.name in self.rnn.lines.series:
            raise ShapeMistake(
                f"{self.by.name} has an entry at every step: its gradient is as long as the steps"
            )
        if "complex" in self.by.properties:
            raise NotDifferentiable(f"{self.by.name} is complex")
        at = path.place if isinstance(path.place, int) else None
        self.place = self.rnn.place_of(self.loss, at)
        self.carried = self._carried()

    def __repr__(self) -> str:
        return f"<{self.whole.title} in segments: {axes_said(self.whole.shape)}>"

    def __call__(
        self, mapping: Mapping[str, Any] | None = None, /, *unnamed: Any, **values: Any
    ) -> Array:
        """The gradient at values given by keyword."""
        given = plain_keys(by_name(mapping, values, *unnamed), tuple(self.rnn.variables.values()))
        run = _Run(self, given)
        return run.back(run.forward())

    # Formulas

    def _carried(self) -> tuple[tuple[str, int], ...]:
        """All states that the loss needs, which have to run the same way."""
        lags = self.rnn.system.lags
        names = needed_states(self.rnn, self.loss)
        if len({lags[name] > 0 for name in names}) > 1:
            said = ", ".join(map(self.rnn.said, names))
            raise ShapeMistake(
                f"{said} do not all run the same way: no segment can be left before another"
            )
        found = []
        for name in names:
            way = 1 if lags[name] > 0 else -1
            found += [(name, way * k) for k in range(1, abs(lags[name]) + 1)]
        return tuple(found)

    @property
    def reverse(self) -> bool:
        """Whether the steps go from the last to the first."""
        return any(shift > 0 for _, shift in self.carried)

    @cached_property
    def free(self) -> Variable:
        """The variable, with nothing known of it."""
        return Variable(self.by.name, self.by.dims)

    @cached_property
    def system(self) -> System:
        """One segment: the same steps, starting anywhere."""
        lines = self.rnn.lines
        lines = freed(lines, self.by.name) if self.by.name in lines.shared else lines
        # the number of all steps, by which a loss may be divided, is another one
        lines = replace(lines, length=Dimension.of(f"{lines.length} of a segment"))
        return System(lines, *self.rnn.system.batch, is_open=True)

    @cached_property
    def opened(self) -> tuple[Variable, ...]:
        """Where a segment starts."""
        found = [self.system.start(*place) for place in self.carried]
        return tuple(one for one in found if isinstance(one, Variable))

    @cached_property
    def arriving(self) -> tuple[Variable, ...]:
        """What the steps behind a segment owe to where it ends."""
        return tuple(Variable(f"λ{one.name}", one.dims) for one in self.opened)

    @cached_property
    def ends(self) -> tuple[Node, ...]:
        """Where a segment ends."""
        return tuple(self.system.left(*place) for place in self.carried)

    def segment(self, places: str | int) -> _Part:
        """What a segment owes: by where it starts, then by the variable.

        `places` tells which of its losses count: "all", "none", or that of one step.
        """
        if places not in self._segments:
            pairs = [paired(a, b) for a, b in zip(self.arriving, self.ends, strict=True)]
            if places != "none":
                at = None if isinstance(places, str) else places
                stack = (
                    self.system.stack(self.loss) if at is None else self.system.at(self.loss, at)
                )
                pairs.append(build.einsum(f"{'abcd'[: stack.ndim]}->", stack))
            shared = self.by.name in self.rnn.lines.shared
            by = [*self.opened, *([self.free] if shared else [])]
            self._segments[places] = _Part(_derived(build.add(*pairs), by))
        return self._segments[places]

    @cached_property
    def _segments(self) -> dict[str | int, _Part]:
        return {}

    @cached_property
    def start(self) -> tuple[_Part, _Part | None]:
        """Where the first segment starts, and what that owes to the variable, if anything."""
        closed = System(self.system.lines, *self.system.batch)
        starts = [closed.start(*place) for place in self.carried]
        plain = [normal_form(meant(expand(one))) for one in starts]
        free = self.free if self.by.name in self.rnn.lines.shared else self.by
        pairs = [paired(a, b) for a, b in zip(self.arriving, plain, strict=True) if free in b.names]
        moved = _Part(_derived(build.add(*pairs), [free])) if pairs else None
        return _Part(tuple(plain)), moved

    @cached_property
    def forward(self) -> _Part:
        """From where a segment starts to where it ends."""
        return _Part(tuple(normal_form(meant(expand(one))) for one in self.ends))

    @cached_property
    def projected(self) -> _Part | None:
        """What a constraint makes of a free gradient."""
        rules = constraint(self.by)
        if not rules:
            return None
        return _Part((normal_form(constrain(_gradient(self.by), rules, "projected")),))


class _Part:
    """Formulas and their program, run with what they need of some values."""

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self.nodes, self.arguments = nodes, tuple(variables(*nodes))

    @cached_property
    def program(self) -> programs.Program:
        return programs.compile(self.nodes, arguments=self.arguments, title="a segment")

    def __call__(self, values: Mapping[str, Any], sizes: Mapping[str, int]) -> tuple[Array, ...]:
        if not self.nodes:
            return ()
        given = {v.name: values[v.name] for v in self.arguments}
        given |= {name: sizes[name] for name in self.program.sizes}
        found: tuple[Array, ...] = self.program(given)
        return found


class _Run:
    """One gradient: values cut into segments, states kept between them."""

    def __init__(self, made: Checkpointed, values: Mapping[str, Any]) -> None:
        import numpy as np

        from wrt.programs.door import measured

        self.made, rnn = made, made.rnn
        wanted = [v for v in rnn.variables.values() if v in rnn.loss(made.loss).names]
        at = None if made.place is None or made.place < 0 else made.place + 1
        refuse_values(rnn, wanted, values, at)
        missing = [v.name for v in wanted if v.name not in values]
        if missing:
            raise ValueMistake(f"no value is given for {' and '.join(missing)}")
        for name in values:
            if name not in rnn.variables:
                raise ValueMistake(f"{name} is no variable of this recurrence")
        self.values = {v.name: np.asarray(values[v.name]) for v in wanted}
        self.sizes = measured({v: self.values[v.name] for v in wanted}, {})
        self.steps = rnn.system.length.size(self.sizes)
        self.cuts = self._cuts()
        self.bar = _Bar(2 * len(self.cuts), made.progress)

    def _cuts(self) -> list[tuple[int, int]]:
        """First and last steps of the segments, in the order in which they are run."""
        count = self.made.segments or isqrt(self.steps - 1) + 1
        length = ceil(self.steps / min(count, self.steps))
        found = [(k, min(k + length, self.steps)) for k in range(0, self.steps, length)]
        return found[::-1] if self.made.reverse else found

    def forward(self) -> list[tuple[Array, ...]]:
        """Where every segment starts."""
        made = self.made
        kept = [made.start[0](self.values, self.sizes)]
        for cut in self.cuts[:-1]:
            kept.append(made.forward(*self._of(cut, kept[-1])))
            self.bar.next()
        self.bar.next()
        return kept

    def back(self, kept: list[tuple[Array, ...]]) -> Array:
        """The gradient, segment by segment from the last."""
        import numpy as np

        made = self.made
        arriving: Sequence[Array] = [np.zeros(np.shape(one)) for one in kept[-1]]
        total: Any = np.zeros([d.size(self.sizes) for d in made.by.dims])
        count = len(made.opened)
        for cut in reversed(self.cuts):
            values, sizes = self._of(cut, kept.pop())
            values |= {v.name: one for v, one in zip(made.arriving, arriving, strict=True)}
            part = made.segment(self._losses(cut))
            found = part(values, sizes)
            arriving = found[:count]
            total = total + sum(found[count:])
            self.bar.next()
        if made.start[1] is not None:
            values = {**self.values}
            values |= {v.name: one for v, one in zip(made.arriving, arriving, strict=True)}
            total = total + made.start[1](values, self.sizes)[0]
        if made.projected is not None:
            total = made.projected({_gradient(made.by).name: total}, self.sizes)[0]
        return np.asarray(total)

    def _losses(self, cut: tuple[int, int]) -> str | int:
        """Which losses of a segment count."""
        place = self.made.place
        if place is None:
            return "all"
        place = place % self.steps if place < 0 else place
        return place - cut[0] if cut[0] <= place < cut[1] else "none"

    def _of(
        self, cut: tuple[int, int], start: tuple[Array, ...]
    ) -> tuple[dict[str, Any], dict[str, int]]:
        """The values and the sizes of a segment."""
        lines = self.made.system.lines
        axis = len(self.made.rnn.system.batch)
        values: dict[str, Any] = {}
        for name, one in self.values.items():
            if name in lines.series:
                low, high = lines.series[name]
                key = (slice(None),) * axis + (slice(cut[0], cut[1] + high - low),)
                values[name] = one[key]
            else:
                values[name] = one
        values |= {v.name: one for v, one in zip(self.made.opened, start, strict=True)}
        return values, {**self.sizes, str(lines.length): cut[1] - cut[0]}


class _Bar:
    """How far it is, on stderr: where that is a terminal, or where it was asked for."""

    def __init__(self, total: int, shown: bool | None) -> None:
        self.total, self.done = total, 0
        self.shown = sys.stderr.isatty() if shown is None else shown

    def next(self) -> None:
        """One segment more; drawn where the percentage changes."""
        before = 100 * self.done // self.total
        self.done += 1
        if self.shown and 100 * self.done // self.total > before:
            width = 40 * self.done // self.total
            bar = "━" * width + " " * (40 - width)
            end = "\n" if self.done == self.total else ""
            sys.stderr.write(f"\r{bar} {100 * self.done // self.total:3d} %{end}")
            sys.stderr.flush()


def _derived(f: Node, by: Sequence[Variable]) -> tuple[Node, ...]:
    found = gradients(normal_form(meant(expand(f))), by)
    return tuple(normal_form(one) for one in found)


def _gradient(by: Variable) -> Variable:
    return Variable("free", by.dims)
