"""Derivatives through all steps: what a state or a loss owes to a weight, as Σ and ∏ of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from wrt import notation
from wrt.algebra import settled
from wrt.answers.parts import axes_said, contracted_first
from wrt.answers.sequences.given import refuse_values
from wrt.answers.sequences.steps import Called, StepDerivative
from wrt.errors import ShapeMistake
from wrt.expression import build
from wrt.expression.dataclass import dataclass
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import substitute
from wrt.language.recurrence import Moment, moment

if TYPE_CHECKING:
    from wrt.answers.sequences.checkpoints import Checkpointed
    from wrt.answers.sequences.contributions import Contributions, Summands
    from wrt.answers.sequences.recurrences import Recurrence

__all__ = ["Factor", "Path", "ThroughTime"]


@dataclass(frozen=True)
class Factor:
    """One factor of a derivative through time: its sign, the answer behind it, its step's letter.

    `sign` is what it is called, as in ∂s[j]/∂s[j-1].
    """

    sign: str
    answer: StepDerivative
    step: str
    letter: str
    closed: str | None


class Path:
    """How a derivative goes through the steps: of which line, by which variable, which states.

    `states` are those that carry the change from step to step; `way` is -1 where a step reads the
    one before it, 1 where it reads the one ahead.
    """

    def __init__(
        self, rnn: Recurrence, target: str, by: Variable, at: int | str | None = None
    ) -> None:
        self.rnn, self.target, self.by, self.place = rnn, target, by, at
        self.lines, self.system = rnn.lines, rnn.system
        self.states = tuple(name for name in rnn.carried if self._carries(name))
        #: The ways of the states: -1 and 1 where some run forward and some back.
        self.ways = frozenset(map(self.way_of, self.states))
        self.way = next(iter(self.ways)) if len(self.ways) == 1 else -1
        #: Whether the steps are one chain: all states go one way, by single steps.
        lags = [abs(self.system.lags[name]) for name in self.states]
        self.is_chain = len(self.ways) < 2 and all(lag == 1 for lag in lags)
        taken = {*self.lines.shared, *self.lines.states, *self.lines.series, self.lines.step}
        self.k, self.j = [one for one in "kjlrqw" if one not in taken][:2]
        self.joint = next(one for one in ("z", "q", "v", "joint") if one not in taken)

    def way_of(self, name: str) -> int:
        """1 where a line reads itself at steps ahead, -1 otherwise."""
        return 1 if self.system.lags.get(name, 0) > 0 else -1

    def _carries(self, name: str) -> bool:
        """Whether a state depends on the variable and is what the target is made of."""
        return self.by.name in self._uses(name) and (
            name == self.target or name in self._reads(self.target)
        )

    def _reads(self, name: str) -> set[str]:
        """The lines that a line reads, at any step, directly or not."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            held = self.lines.states[waiting.pop()].names
            near = {m.name for v, m in self.lines.moments.items() if v in held}
            waiting += [one for one in near - found if one in self.lines.states]
            found |= near
        return found

    def _uses(self, name: str) -> set[str]:
        """The names of the variables that a state depends on."""
        return {v.name for v in self.system.stack(name).names}

    # The parts

    @cached_property
    def of_loss(self) -> dict[str, StepDerivative]:
        """The derivative of the target by each state of its step."""
        if self.target in self.states:
            return {}
        found = {s: self.rnn.within(self.target, s) for s in self.states}
        return {s: D for s, D in found.items() if not build.is_zero(D.told)}

    @cached_property
    def explicit(self) -> dict[str, StepDerivative]:
        """The derivative of each state by the variable, everything before its step held fixed."""
        if self.kind != "shared":
            return {}
        found = {s: self.rnn.explicit(s, self.by.name) for s in self.states}
        return {s: D for s, D in found.items() if not build.is_zero(D.told)}

    @cached_property
    def direct(self) -> StepDerivative | None:
        """The derivative of the target by the variable where the states of its step are fixed."""
        if self.target in self.states or self.kind != "shared":
            return None
        found = self.rnn.directly(self.target, self.by.name)
        return None if build.is_zero(found.told) else found

    @cached_property
    def steps(self) -> dict[tuple[str, str, int], StepDerivative]:
        """The derivative of each state by each state so many steps before."""
        found = {}
        for s in self.states:
            for other in self.states:
                for lag in range(1, abs(self.system.lags[other]) + 1):
                    D = self.rnn.step(s, other, lag)
                    if not build.is_zero(D.told):
                        found[s, other, lag] = D
        return found

    # Steps by other letters

    def at(self, node: Node, letter: str, ahead: int = 0) -> Node:
        """A formula of step t as one of step `letter` + `ahead`."""
        found = {}
        for v in node.names:
            m = self.lines.moments.get(v) or self._defined.get(v)
            if m is not None:
                name = moment(m.name, letter, m.shift + ahead)
                found[v] = Variable(name, v.dims, v.properties)
        return substitute(node, found) if found else node

    @cached_property
    def _defined(self) -> dict[Node, Moment]:
        return {self.lines.at(name): Moment(name) for name in self.lines.states}

    def text(self, node: Node, head: str = "D") -> str | None:
        """A formula as a sentence, by its indices where there is no other."""
        flat = settled(node)
        return notation.matrix(flat) or notation.index(flat, head)

    # The sentence of costates: λ[k] = dL/ds[k], line by line

    @cached_property
    def passing(self) -> tuple[str, ...]:
        """The lines that hand on what the target owes to the variable."""
        read = self._reads(self.target)
        return tuple(
            name
            for name in self.lines.states
            if name in read
            and name != self.target
            and name not in self.lines.final
            and self.by.name in self._uses(name)
        )

    def costate(self, name: str, letter: str, ahead: int = 0) -> Variable:
        """The variable that stands for what the target owes to a line at a step."""
        said = "lambda" if len(self.passing) == 1 else f"lambda_{name}"
        return Variable(moment(said, letter, ahead), self.lines.at(name).dims)

    @cached_property
    def kind(self) -> str:
        """What the variable is: "shared", the "start" of a state, a "series", or "mixed" where it
        is more than one of these."""
        if self.by.name in self.lines.series:
            return "series"
        acts = any(self.by in node.names for node in self.lines.states.values())
        begins = [name for name in self.rnn.carried if self.by in self._starts(name)]
        if not begins:
            return "shared"
        return "mixed" if acts or self.begins is None or len(begins) > 1 else "start"

    @property
    def is_at_edges(self) -> bool:
        """Whether a series is read at several shifts, so that its first and last entries differ."""
        shifts = [m for m in self.lines.moments.values() if m.name == self.by.name]
        return self.kind == "series" and len(shifts) > 1

    def _starts(self, name: str) -> frozenset[Variable]:
        """The variables of the starts of a state."""
        most = self.system.lags[name]
        way = 1 if most > 0 else -1
        nodes = [self.system.start(name, shift) for shift in range(way, most + way, way)]
        return frozenset().union(*(node.names for node in nodes))

    @cached_property
    def begins(self) -> tuple[str, int] | None:
        """The state that the variable is the start of, and its shift."""
        for name in self.rnn.carried:
            most = self.system.lags[name]
            way = 1 if most > 0 else -1
            for shift in range(way, most + way, way):
                if self.system.start(name, shift) is self.by:
                    return name, shift
        return None

    def called(self, end: str) -> str:
        """The target at a step; a line about the last step has its name alone."""
        return self.target if self.target in self.lines.final else f"{self.target}[{end}]"

    @property
    def end(self) -> str:
        """The step of the target; without one, the last."""
        return self.rnn.length if self.place is None else str(self.place)

    @property
    def seen(self) -> str:
        """The step that a state is looked at: without a place, where its run ends."""
        return "1" if self.place is None and self.way > 0 else self.end

    @property
    def first(self) -> str:
        """The first step that counts: states that run back owe nothing to what is before them."""
        return "1" if self.place is None or self.ways != {1} else str(self.place)

    @property
    def last(self) -> str:
        """The last step that counts."""
        return self.rnn.length if 1 in self.ways else self.end

    @cached_property
    def summand(self) -> Node:
        """What step k adds to the gradient, from the costates of that step; of a series, the
        gradient by its entry k; of a start, all of it."""
        if self.kind == "series":
            shifts = [m.shift for m in self.lines.moments.values() if m.name == self.by.name]
            parts = [
                self._returned(self.lines.at(self.by.name, d), -d, self._readers)
                for d in sorted(shifts)
            ]
            return build.add(*parts)
        if self.begins is not None:
            name, first = self.begins
            way = 1 if first > 0 else -1
            places = range(first, self.system.lags[name] + way, way)
            parts = [self._returned(self.lines.at(name, d), -d, self.passing) for d in places]
            return build.add(*parts)
        return self._returned(self.by, 0, self._readers)

    @property
    def _readers(self) -> tuple[str, ...]:
        """The lines that hand back: the loss too, where it counts at every step."""
        return self.passing if self.place is not None else (*self.passing, self.target)

    @cached_property
    def recursion(self) -> dict[str, Node]:
        """Every costate at step k from those of the lines that read it."""
        return {name: self._handed(name, self._readers) for name in self.passing}

    @cached_property
    def arrivals(self) -> dict[str, Node]:
        """What a loss of one step hands to the costates of that step, and to the variable."""
        if self.place is None:
            return {}
        found = {name: self._handed(name, (self.target,)) for name in self.passing}
        return {name: node for name, node in found.items() if not build.is_zero(node)}

    @cached_property
    def at_once(self) -> Node | None:
        """What a loss of one step owes to the variable by itself."""
        if self.place is None or self.kind != "shared":
            return None
        found = self._returned(self.by, 0, (self.target,))
        return None if build.is_zero(found) else found

    def _handed(self, name: str, readers: Sequence[str]) -> Node:
        """What some lines hand back to a line."""
        shifts = sorted({m.shift for m in self.lines.moments.values() if m.name == name})
        parts = [self._returned(self.lines.at(name, d), -d, readers) for d in reversed(shifts)]
        return build.add(*parts) if parts else build.zeros(self.lines.at(name).dims)

    def _formula(self, name: str) -> Node:
        """What a line is made of; those about the last step are one formula together."""
        final = name in self.lines.final
        return self.system.over(name, self.system.running) if final else self.lines.states[name]

    def _returned(self, by: Variable, ahead: int, readers: Sequence[str]) -> Node:
        """What lines of step k + `ahead` hand back to something that they read."""
        parts = [build.zeros(by.dims)]
        for name in readers:
            if by not in self._formula(name).names:
                continue
            told = self.at(self.rnn.of_line(name, by).told, self.k, ahead)
            if name != self.target:
                told = contracted_first(self.costate(name, self.k, ahead), told)
            parts.append(told)
        return build.add(*parts)


@dataclass(frozen=True, eq=False, repr=False)
class ThroughTime(Called):
    """A derivative through all steps of a recurrence.

    It is an answer like any other: shape, structure, program, proof. Its closed form names the
    steps; `path` holds the parts.
    """

    path: Path | None = None

    def __repr__(self) -> str:
        return f"<{self.title} through time: {axes_said(self.shape)}>"

    @cached_property
    def is_huge(self) -> bool:
        """A loop has no sentence; the sum over the steps has."""
        return True

    def factored(self, mapping: Mapping[str, Any] | None = None, /, **values: Any) -> Summands:
        """The derivative of a state by a weight as `Σ_k P[k] ⊗ S[k]`, never formed: its norm, what
        it does to a direction, its rows and blocks.

        >>> from wrt.answers.sequences import recurrence
        >>> rnn = recurrence("s[t] = tanh(W*s[t-1] + x[t])")
        >>> x = [[1, 0], [0, 1], [1, 1]]
        >>> found = rnn.total("s", "W").factored(W=[[0, 1], [1, 0]], s0=[1, 1], x=x)
        >>> [stack.shape for stack in found.factors[0]], round(found.norm(), 6)
        ([(3, 2, 2), (3, 2)], 0.248293)
        """
        if not self.is_state or not self.by_shared:
            raise ShapeMistake(f"{self.title}: factored are derivatives of a state by a weight")
        return self._factors(**{**(mapping or {}), **values})

    @cached_property
    def _factors(self) -> Contributions:
        """The same derivative by copies of the weight, derived once."""
        path = self.way
        at = path.place if isinstance(path.place, int) else None
        return path.rnn.factored(path.target, path.by.name, at)

    def checkpointed(
        self, segments: int | None = None, progress: bool | None = None
    ) -> Checkpointed:
        """The same gradient in the memory of one segment, for one more run forward.

        Only the states between segments are kept, by default as many as the root of the number of
        steps. `progress` shows how far it is on stderr; by default where that is a terminal.

        >>> from wrt.answers.sequences import recurrence
        >>> rnn = recurrence("s[t] = tanh(W*s[t-1] + x[t]); L[t] = norm2(s[t]-y[t])^2/2")
        >>> D = rnn.gradient("W").checkpointed(segments=2)
        >>> D(W=[[0.5]], s0=[1], x=[[1], [0], [1]], y=[[0], [0], [0]])
        array([[0.71811318]])
        """
        from wrt.answers.sequences.checkpoints import Checkpointed

        return Checkpointed(self, segments, progress)

    @property
    def way(self) -> Path:
        """The parts."""
        assert self.path is not None
        return self.path

    def _needed(
        self, values: Mapping[str, Any], arguments: Sequence[Variable] | None = None
    ) -> dict[str, Any]:
        given = super()._needed(values, arguments)
        of = self.arguments if arguments is None else arguments
        place = self.way.place
        refuse_values(self.way.rnn, of, given, place if isinstance(place, int) else None)
        return given

    @property
    def is_state(self) -> bool:
        """Whether it is of a state, not of a loss."""
        return self.way.target in self.way.lines.states and bool(self.f.ndim)

    @property
    def by_shared(self) -> bool:
        """Whether it is by a variable that all steps share."""
        return self.way.by.name in self.way.lines.shared

    @property
    def why_still(self) -> str | None:
        """Why it is zero, where it is."""
        if not build.is_zero(self.whole):
            return None
        return f"{self.question.text} does not depend on {self.way.by.name}"

    @cached_property
    def chain(self) -> str | None:
        """The sum over steps of products of steps, by the signs of its factors.

        >>> from wrt.answers.sequences import recurrence
        >>> rnn = recurrence("s[t] = tanh(W*s[t-1] + x[t]); L[t] = norm2(s[t]-y[t])^2/2")
        >>> print(rnn.total("s", "W").chain)
        ds[t]/dW = Σ_{k=1..t} (∏_{j=k+1..t} ∂s[j]/∂s[j-1]) · ∂⁺s[k]/∂W
        >>> print(rnn.gradient("W").chain)
        dL/dW = Σ_{t=1..T} ∂L[t]/∂s[t] · Σ_{k=1..t} (∏_{j=k+1..t} ∂s[j]/∂s[j-1]) · ∂⁺s[k]/∂W
        """
        from wrt.answers.sequences.signs import chain

        return chain(self)

    def expansion(self, t: int) -> str:
        """The sum written out for step `t`, the latest step leftmost; J[j] and E[k] are the steps.

        >>> from wrt.answers.sequences import recurrence
        >>> print(recurrence("s[t] = tanh(W*s[t-1] + x[t])").total("s", "W").expansion(3))
        ds[3]/dW = J[3]*J[2]*E[1] + J[3]*E[2] + E[3]
        """
        from wrt.answers.sequences.signs import expansion

        return expansion(self, t)

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The factors of the chain, each an answer of its own, with its closed form."""
        from wrt.answers.sequences.signs import factors

        return factors(self)

    @cached_property
    def matrix(self) -> str | None:
        """The gradient as a sum over steps of costates; their recursion is `costates`.

        >>> from wrt.answers.sequences import recurrence
        >>> rnn = recurrence("s[t] = tanh(W*s[t-1] + x[t]); L[t] = norm2(s[t]-y[t])^2/2")
        >>> D = rnn.gradient("W")
        >>> print(D.matrix, *D.costates, sep="\\n")
        sum(k, 1, T, (lambda[k].*(1-s[k].^2))*s[k-1]')
        lambda[k] = W'*(lambda[k+1].*(1-s[k+1].^2)) + s[k] - y[k]
        lambda[k] = 0 for k > T
        """
        from wrt.answers.sequences.signs import closed

        return closed(self)

    @cached_property
    def costates(self) -> tuple[str, ...]:
        """How the costates of the steps follow from each other: lines of text."""
        from wrt.answers.sequences.signs import costates

        return costates(self)

    @cached_property
    def index(self) -> str | None:
        """The index form of a state's derivative, over the products P[k] of the steps behind k."""
        from wrt.answers.sequences.signs import index

        return index(self)

    def kronecker(self, order: str = "rows") -> str | None:
        """The sum over steps as the matrix that takes vec(dW) to vec(ds).

        >>> from wrt.answers.sequences import recurrence
        >>> print(recurrence("s[t] = tanh(W*s[t-1] + x[t])").total("s", "W").kronecker())
        sum(k, 1, T, prod(j, k+1, T, diag(1-s[j].^2)*W)*(diag(1-s[k].^2) ⊗ s[k-1]'))
        """
        if order not in ("rows", "columns"):
            raise ShapeMistake(f"{order!r} is no order of vec; rows and columns are")
        from wrt.answers.sequences.signs import kronecker

        return kronecker(self, order)

    def latex(
        self,
        form: str | None = None,
        *,
        bold: bool = False,
        macros: Mapping[str, str] | None = None,
    ) -> str | None:
        r"""The chain as LaTeX; with form "matrix", the sum over costates.

        >>> from wrt.answers.sequences import recurrence
        >>> D = recurrence("s[t] = tanh(W*s[t-1] + x[t])").total("s", "W")
        >>> print(D.latex().partition("=")[0].strip())
        \frac{\mathrm{d} s_{t}}{\mathrm{d} W}
        """
        from wrt.answers.sequences.signs import latex

        return latex(self, form, notation.Style(bold, macros or {}))
