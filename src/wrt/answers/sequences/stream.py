"""Derivatives that go along with a sequence: one step at a time, in memory that does not grow.

Real-time recurrent learning (R. J. Williams, D. Zipser, 1989): next to the state stands its
derivative by the weight, `M[t] = ∂s[t]/∂s[t-1]·M[t-1] + ∂⁺s[t]/∂W`. It costs more than the sweep
back and never needs the past. A matrix W that mixes the entries of the state fills M, n³ numbers;
where every entry goes its own way, M stays on its diagonal and only that is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from wrt import programs
from wrt.algebra import expand, meant, normal_form
from wrt.algebra.lifting import Lifting
from wrt.answers.parts import plain_keys
from wrt.answers.sequences.moving import free_system, needed_states, run
from wrt.answers.sequences.tied import core, laid, shortened, spread, ties
from wrt.calculus import derivative
from wrt.calculus.constrained import constrain, constraint
from wrt.calculus.joined import Joined, summed
from wrt.errors import ShapeMistake, ValueMistake
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import substitute, variables
from wrt.language.recurrence import Moment

if TYPE_CHECKING:
    import numpy as np

    from wrt.answers.sequences.recurrences import Recurrence

    Array = np.ndarray[Any, Any]

__all__ = ["Stream"]


class Stream:
    """A recurrence on its way: what a state or a loss is, and its derivative by a weight, now.

    `value` and `derivative` are those of the last step; of a loss, `total` and `gradient` are the
    sums over all steps so far.
    """

    def __init__(
        self, rnn: Recurrence, target: str, by: Variable, values: Mapping[str, Any]
    ) -> None:
        self.rnn, self.target, self.by = rnn, target, by
        self.steps = 0
        self._system = free_system(rnn, by.name)
        self._free = self._system.lines.shared[by.name]
        self._joined = self._states()
        self._given = self._checked(values)
        self._ties = self._tied()
        self._moving = self._symbols()
        self._program = self._compiled()
        self._read = {v.name for v in self._arguments}
        read = {*self._read, *self._program.sizes}
        self._fixed = {k: v for k, v in self._given.items() if k in read}
        self._refuse_length()
        self._state: dict[str, Any] = {}
        self._waits = not self._tells_batch()
        if not self._waits:
            self._begin({})

    # What a person asks for

    value: Any = None
    total: Any = 0.0
    gradient: Any = 0.0

    def push(self, mapping: Mapping[str, Any] | None = None, /, **series: Any) -> Any:
        """Take one step with the entries of the series at it; the state or the loss there.

        A series of which a step reads several entries (x[t], x[t+1]) is given as the stack of
        these.
        """
        given = {**(mapping or {}), **series}
        entries = self._entries(given)
        if self._waits:
            self._waits = False
            self._begin({str(self._system.batch[0]): self._members(given)})
        states = {k: v for k, v in self._state.items() if k in self._read}
        arrays = self._program({**self._fixed, **states, **entries})
        count = len(self._joined.carried) if self._joined else 0
        names = [*self._before, *(v.name for v in self._moving)]
        self._state = dict(zip(names, arrays[: 2 * count], strict=True))
        self.value, self._last = arrays[2 * count :]
        self.steps += 1
        if not self.rnn.lines.states[self.target].ndim:
            final = self.target in self.rnn.lines.final
            self.total = self.value if final else self.total + self.value
            self.gradient = self.derivative if final else self.gradient + self.derivative
        return self.value

    @property
    def derivative(self) -> Any:
        """The derivative at the last step."""
        if self._last is None or self._tie is None:
            return self._last
        return laid(self._last, self._tie, len(self.rnn.system.batch))

    _last: Any = None
    _tie: int | None = None

    @property
    def state(self) -> dict[str, Array]:
        """The states after the last step, by name."""
        if self._joined is None:
            return {}
        near = [abs(shift) == 1 for _, shift in self._joined.carried]
        pairs = zip(self._joined.carried, self._before, near, strict=True)
        return {name: self._state[word] for (name, _), word, is_near in pairs if is_near}

    def __repr__(self) -> str:
        said = self.rnn.said(self.target)
        return f"<stream of {said} and d{said}/d{self.by.name} after {self.steps} steps>"

    # One step

    def _symbols(self) -> tuple[Variable, ...]:
        """The variables of the derivatives of the states, batch first."""
        joined = self._joined
        if joined is None:
            return ()
        lead = self.rnn.system.batch
        found = []
        for (name, shift), v in zip(joined.carried, joined.before, strict=True):
            dims = (*self.rnn.lines.at(name).dims, *self.by.dims)
            dims = (*lead, *(shortened(dims, self._ties[v]) if v in self._ties else dims))
            found.append(joined.named(f"d{name}" + "_" * (abs(shift) - 1), dims))
        return tuple(found)

    @property
    def _before(self) -> tuple[str, ...]:
        return () if self._joined is None else tuple(v.name for v in self._joined.before)

    def _compiled(self) -> programs.Program:
        """One step: new states, their derivatives, then the target and its derivative."""
        system, joined, lead = self._system, self._joined, self._system.batch
        before, nexts = (joined.before, joined.nexts) if joined else ((), ())
        target = system.inlined[self.target]
        inner = {
            v: Variable(one.name, one.dims[len(lead) :])
            for v, one in zip(before, self._moving, strict=True)
        }
        moved = [*self._moved(inner, self._ties).values()]
        carrier = joined or Joined(system, ())
        whole = {v: self._whole(v, one, self._ties) for v, one in inner.items()}
        last = _plain(self._constrained(carrier.tangent(target, self._free, whole)))
        self._tie = next(iter(self._ties.values()), None) if target.ndim else None
        short = None if self._tie is None else core(last, self._tie)
        self._tie = None if short is None else self._tie
        moved = self._cores(moved)
        moved.append(last if short is None else short)
        nodes = [*nexts, *moved[:-1], target, moved[-1]]
        if lead:
            free = [*before, *system.lines.moments, *inner.values()]
            nodes = self._in_batches(nodes, free)
        made = tuple(substitute(_plain(one), self._turned) for one in nodes)
        self._arguments = tuple(variables(*made))
        title = f"d{self.rnn.said(self.target)}/d{self.by.name}"
        return programs.compile(made, arguments=self._arguments, title=title)

    def _tied(self) -> Mapping[Variable, int]:
        """The states whose derivatives stay on a diagonal, with the axis of the weight."""
        joined = self._joined
        if joined is None:
            return {}
        starts = dict(zip(joined.before, self._started[1], strict=True))

        def moved(found: Mapping[Variable, int]) -> Mapping[Variable, Node]:
            symbols = {}
            for v in joined.before:
                dims = (*v.dims, *self.by.dims)
                dims = shortened(dims, found[v]) if v in found else dims
                symbols[v] = joined.named(f"d{v.name}", dims)
            return self._moved(symbols, found)

        return ties(self.by, starts, moved, len(self._system.batch))

    def _moved(
        self, symbols: Mapping[Variable, Variable], found: Mapping[Variable, int]
    ) -> dict[Variable, Node]:
        """The derivatives of the states after a step by those before it, cores of what is found."""
        joined = self._joined
        if joined is None:
            return {}
        whole = {v: self._whole(v, one, found) for v, one in symbols.items()}
        return {
            v: _plain(joined.tangent(one, self._free, whole))
            for v, one in zip(joined.before, joined.nexts, strict=True)
        }

    def _cores(self, moved: Sequence[Node], lead: int = 0) -> list[Node]:
        """Derivatives of all states, those that stay on a diagonal as their cores."""
        found = []
        for v, one in zip(self._joined.before if self._joined else (), moved, strict=True):
            short = core(one, self._ties[v], lead) if v in self._ties else one
            assert short is not None
            found.append(short)
        return found

    def _whole(self, v: Variable, symbol: Variable, found: Mapping[Variable, int]) -> Node:
        return spread(symbol, found[v]) if v in found else symbol

    @property
    def _turned(self) -> dict[Variable, Node]:
        return {} if self._free is self.by else {self._free: self.by}

    def _constrained(self, node: Node) -> Node:
        rules = constraint(self.by)
        return constrain(node, rules, "projected") if rules else node

    def _in_batches(self, nodes: Sequence[Node], moving: Sequence[Variable]) -> list[Node]:
        """Formulas for all members of a batch; a loss is added up over it."""
        lead = self._system.batch
        given = {v: Variable(v.name, lead + v.dims, v.properties) for v in moving}
        lifting = Lifting(dict(given), {}, lead)
        found = [lifting.full(one) for one in nodes]
        if self.rnn.lines.states[self.target].ndim:
            return found
        return [*found[:-2], *(summed(normal_form(one), 1) for one in found[-2:])]

    def _tells_batch(self) -> bool:
        """Whether what no step changes tells how large the batch is."""
        held = [self.rnn.variables[k].dims for k in self._given if k in self.rnn.variables]
        batch = self._system.batch
        return not batch or bool(batch[0].value) or any(batch[0] in dims for dims in held)

    def _members(self, given: Mapping[str, Any]) -> int:
        """How many members a batch has, by the first series that is pushed."""
        import numpy as np

        name, entry = next(iter(given.items()))
        low, high = self.rnn.lines.series[name]
        return int(np.shape(entry)[0 if low == high else 1])

    def _begin(self, told: Mapping[str, int]) -> None:
        """The states before the first step, and what they owe to the weight."""
        if self._joined is None:
            return
        plain, moved = self._started
        nodes = [*plain, *self._cores(moved, len(self._system.batch))]
        made = [substitute(one, self._turned) for one in nodes]
        given = {k: v for k, v in self._given.items() if k in self.rnn.variables}
        found = run(self.rnn, made, given, "the start", told)
        names = [*self._before, *(v.name for v in self._moving)]
        self._state = dict(zip(names, found, strict=True))

    @cached_property
    def _started(self) -> tuple[list[Node], list[Node]]:
        """The states before the first step, and their derivatives by the weight."""
        assert self._joined is not None
        starts = [self._system.start(*place) for place in self._joined.carried]
        plain = [_plain(one) for one in starts]
        return plain, [derivative(one, self._free) for one in plain]

    def _states(self) -> Joined | None:
        """All states that the target needs, which have to run along with the sequence."""
        names = needed_states(self.rnn, self.target)
        for name in names:
            if self._system.lags[name] > 0:
                raise ShapeMistake(
                    f"{self.rnn.said(name)} runs from the last step to the first: "
                    "it is not known before the sequence has ended"
                )
        return Joined(self._system, names) if names else None

    # Values

    def _checked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of shared variables and of starts."""
        given = plain_keys(values, tuple(self.rnn.variables.values()))
        for name in given:
            if name == self.rnn.length:
                continue
            if name in self.rnn.lines.series:
                raise ValueMistake(f"{name} has an entry at every step: push it step by step")
            if name not in self.rnn.variables:
                raise ValueMistake(f"{name} is no variable of this recurrence")
        return given

    def _refuse_length(self) -> None:
        """A loss that is an average wants the number of steps, which no step tells."""
        length = self.rnn.length
        if length in self._program.sizes and length not in self._given:
            raise ValueMistake(
                f"{self.rnn.said(self.target)} reads the number of steps {length}, which is not "
                f"known before the sequence has ended; give it beforehand, as in {length}=100"
            )

    def _entries(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The entries of series at the moments that the step reads."""
        series = self.rnn.lines.series
        for name in given:
            if name not in series:
                raise ValueMistake(f"{name} is no series of this recurrence")
        found = {}
        for v, m in self.rnn.lines.moments.items():
            if m.name in series and v.name in self._read:
                if m.name not in given:
                    raise ValueMistake(f"no entry of {m.name} is given for step {self.steps + 1}")
                found[v.name] = self._entry(m, given[m.name])
        return found

    def _entry(self, at: Moment, given: Any) -> Any:
        """The entry of a series at one moment, of those that a step reads."""
        low, high = self.rnn.lines.series[at.name]
        count = high - low + 1
        if count == 1:
            return given
        if len(given) != count:
            raise ValueMistake(f"a step reads {count} entries of {at.name}, {len(given)} are given")
        return given[at.shift - low]


def _plain(node: Node) -> Node:
    return normal_form(meant(expand(node)))
