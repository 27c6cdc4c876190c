"""A recurrence that a person holds: what a step does, and what a weight does in all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, overload

from wrt.algebra import meant, normal_form
from wrt.answers.parts import plain_keys, swept
from wrt.answers.sequences.contributions import Contributions, Triangle
from wrt.answers.sequences.given import refuse_values
from wrt.answers.sequences.horizon import Horizon, Reach
from wrt.answers.sequences.moving import as_one, between, multiplied, triangle_near
from wrt.answers.sequences.steps import StepDerivative, joint_step, of_step
from wrt.answers.sequences.stream import Stream
from wrt.answers.sequences.through import Path, ThroughTime
from wrt.answers.sequences.truncated import Truncated
from wrt.answers.several import Gradients
from wrt.calculus import gradients as swept_together
from wrt.calculus.constrained import constrain, constraint
from wrt.calculus.joined import Joined
from wrt.calculus.recurrence import System, copied, start_name, uncopied
from wrt.calculus.terms import terms_of
from wrt.errors import NameMistake, ShapeMistake, ValueMistake
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import dimension_names, variables
from wrt.language import Reading, Wanted
from wrt.language.latex_lines import plain_name
from wrt.language.mistakes import did_you_mean
from wrt.language.reader import is_latex_text
from wrt.language.recurrence import Lines, moment, read_recurrence

__all__ = ["Recurrence", "recurrence"]


def recurrence(
    text: str, shapes: Mapping[str, Any] | None = None, *, batch: str | int | None = None
) -> Recurrence:
    """A recurrence from its lines, such as `s[t] = tanh(W*s[t-1] + U*x[t] + b)`.

    A name with `[t]`, `[t-1]`, `[t+1]` is a state, where a line defines it, or a series that is
    given for every step; one without is shared by all steps. `s[0]` is the variable `s0` unless a
    line says it. `shapes` declares names, states and series for one step: `{"W": "n n", "x": "m"}`.
    With `batch`, a size or its name, every series, state and start has that axis in front. A line
    without a further use, such as `L[t] = …` or `E = norm2(s[T]-y)^2`, is a loss. Raises Mistake
    for lines that cannot be.

    >>> rnn = recurrence("s[t] = tanh(W*s[t-1] + U*x[t]); L[t] = norm2(s[t]-y[t])^2")
    >>> rnn.step("s").matrix
    'diag(1-s[t].^2)*W'
    >>> rnn.explicit("s", "W").index
    'D[i,a,b] = δ[i,a]*(1-s[t].^2)[i]*s[t-1][b]'
    """
    lines = read_recurrence(text, shapes)
    return Recurrence(lines, None if batch is None else _batch_of(batch, lines))


def _batch_of(said: str | int, lines: Lines) -> Dimension:
    """The size of a batch, or its name, which is that of no other size."""
    size = int(said) if isinstance(said, str) and said.isdecimal() else said
    if isinstance(size, bool) or not (isinstance(size, int) and size > 0):
        if not (isinstance(size, str) and size.isidentifier()):
            raise ShapeMistake(f"{said!r} is no size of a batch: a whole number is, or a name as N")
    taken = {n for v in (*lines.shared.values(), *lines.moments) for d in v.dims for n in d.names}
    if size in taken | {str(lines.length)}:
        raise ShapeMistake(f"{size} is a size of the lines: the batch has a name of its own")
    return Dimension.of(size)


class Recurrence:
    """A recurrence: its lines, the formulas of all its steps, and their derivatives.

    >>> rnn = recurrence("s[t] = tanh(W*s[t-1] + U*x[t]); L[t] = norm2(s[t] - y[t])^2/2")
    >>> rnn.states, rnn.carried, rnn.losses, rnn.length
    (('s', 'L'), ('s',), ('L',), 'T')
    >>> {name: v.shape for name, v in rnn.variables.items()}["x"], rnn.assumed[:2]
    (('T', 'm'), ('s[t] is a vector (n)', 'W is a matrix (n × n)'))
    >>> rnn.remarks
    ("W is square: W' would fit as well, so shapes cannot tell a slip",)
    """

    def __init__(self, lines: Lines, batch: Dimension | None = None) -> None:
        self.lines = lines
        self.system = System(lines, batch)
        self.inlined = self.system.inlined

    # What there is

    @property
    def states(self) -> tuple[str, ...]:
        """The names that a line defines for every step."""
        return tuple(self.lines.states)

    @property
    def carried(self) -> tuple[str, ...]:
        """The states that another step reads."""
        return tuple(name for name in self.lines.states if name in self.system.lags)

    @cached_property
    def losses(self) -> tuple[str, ...]:
        """The scalars of every step that no other line reads."""
        read = {m.name for m in self.lines.moments.values()}
        return tuple(k for k, f in self.lines.states.items() if not f.ndim and k not in read)

    @cached_property
    def variables(self) -> dict[str, Variable]:
        """What has to be given: shared variables, starts, and series with their steps."""
        stacks = [self.system.stack(name) for name in self.states]
        found = {v.name: v for v in variables(*stacks)}
        order = [*self.lines.shared, *sorted(set(found) - set(self.lines.shared))]
        return {name: found[name] for name in order if name in found}

    @property
    def assumed(self) -> tuple[str, ...]:
        """What was assumed of names that nobody declared."""
        return self.lines.assumed

    @property
    def length(self) -> str:
        """The name of the number of steps."""
        return str(self.lines.length)

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """What shapes cannot tell: a square matrix fits the other way round too."""
        square = [
            name
            for name, v in self.lines.shared.items()
            if v.ndim == 2 and v.dims[0] is v.dims[1] and "symmetric" not in v.properties
        ]
        if not square:
            return ()
        names = ", ".join(square)
        turned = ", ".join(f"{name}'" for name in square)
        verb = "is square" if len(square) == 1 else "are square"
        return (f"{names} {verb}: {turned} would fit as well, so shapes cannot tell a slip",)

    # One step

    def explicit(self, state: str, name: str) -> StepDerivative:
        """`∂⁺s[t]/∂W`: the derivative of one step by a shared variable, the past held fixed.

        It is the immediate derivative of R. Pascanu, T. Mikolov, Y. Bengio (2013). Raises
        NameMistake for names that the recurrence does not have.

        >>> recurrence("s[t] = tanh(W*s[t-1])").explicit("s", "W").index
        'D[i,a,b] = δ[i,a]*(1-s[t].^2)[i]*s[t-1][b]'
        """
        state, by = self.state_named(state), self._shared(name)
        called = f"∂⁺{self.said(state)}/∂{by.name}"
        return of_step(self.system, state, self.inlined[state], by, called)

    def step(
        self, state: str | None = None, other: str | None = None, lag: int = 1
    ) -> StepDerivative:
        """`∂s[t]/∂s[t-1]`: from a state to the next, or from `other`, `lag` steps before.

        Without a state, from all carried states to all of them: one matrix of blocks.

        >>> lstm = recurrence("c[t] = f[t].*c[t-1]; f[t] = sigmoid(W*h[t-1]); h[t] = tanh(c[t])")
        >>> lstm.step("c").matrix, lstm.step("h", "c").matrix
        ('diag(f[t])', 'diag(f[t].*(1-h[t].^2))')
        """
        if state is None:
            return self._joint_step()
        state, other = self.state_named(state), self.state_named(other or state)
        if other not in self.system.lags:
            raise NameMistake(
                f"no line reads {moment(other, self.lines.step, -1)}",
                hint=f"the states that another step reads are {', '.join(self.carried)}"
                if self.carried
                else "no line reads a state of another step",
            )
        by = self.lines.at(other, lag if self.system.lags[other] > 0 else -lag)
        called = f"∂{self.said(state)}/∂{by.name}"
        return of_step(self.system, state, self.inlined[state], by, called)

    def _joint_step(self) -> StepDerivative:
        """All carried states as one vector."""
        states = self.carried
        ways = {self.system.lags[s] for s in states}
        shapes = {self.lines.at(s).ndim for s in states}
        if len(ways) != 1 or abs(min(ways, default=0)) != 1 or shapes != {1}:
            raise ShapeMistake(
                "the states of a step are one vector where all are vectors and read one step away",
                hint="step('s') is the derivative of one of them",
            )
        if len(states) == 1:
            return self.step(states[0])
        taken = {*self.lines.shared, *self.states, *self.lines.series}
        name = next(one for one in ("z", "q", "v", "joint") if one not in taken)
        blocks = tuple(tuple(self.step(s, o) for o in states) for s in states)
        return joint_step(self.system, name, states, blocks)

    def within(self, state: str, other: str) -> StepDerivative:
        """`∂L[t]/∂s[t]`: from a line to one of its step, other states of the step held fixed.

        >>> recurrence("s[t] = tanh(W*s[t-1]); L[t] = norm2(s[t])^2/2").within("L", "s").matrix
        's[t]'
        """
        state, other = self.state_named(state), self.state_named(other)
        by = self.lines.at(other)
        called = f"∂{self.said(state)}/∂{by.name}"
        return of_step(self.system, state, self._over_states(state), by, called, self.carried)

    def directly(self, state: str, name: str) -> StepDerivative:
        """`∂⁺L[t]/∂V`: from a line to a shared variable, the states of its step held fixed.

        >>> recurrence("s[t] = s[t-1] + x[t]; L[t] = v'*s[t]").directly("L", "v").matrix
        's[t]'
        """
        state, by = self.state_named(state), self._any(name)
        called = f"∂⁺{self.said(state)}/∂{by.name}"
        return of_step(self.system, state, self._over_states(state), by, called, self.carried)

    def of_line(self, name: str, by: Variable) -> StepDerivative:
        """The derivative of one line by something that it reads, all else held fixed."""
        called = f"∂{self.said(name)}/∂{by.name}"
        final = name in self.lines.final
        formula = self._over_states(name) if final else self.lines.states[name]
        return of_step(self.system, name, formula, by, called, self.states)

    def _over_states(self, name: str) -> Node:
        """The formula of a line over the states of its step, the other lines written out."""
        held = self.system.running if name in self.lines.final else self.carried
        return self.system.over(name, held)

    # All steps

    def total(self, state: str, name: str, at: int | None = None) -> ThroughTime:
        """`ds[T]/dW`: the derivative of the last state (or that of step `at`) through all steps.

        Of a state that runs backwards it is the state at the first step. `name` is a shared
        variable, a start such as `s0`, or a series. Axes: the state's, then the variable's.

        >>> rnn = recurrence("s[t] = tanh(W*s[t-1] + U*x[t])")
        >>> D = rnn.total("s", "W")
        >>> D.shape, D.check().passed
        (('n', 'n', 'n'), True)
        """
        state = self.state_named(state)
        stack = self.system.stack(state)
        place = self._last(state, at)
        said = str(at) if at is not None else self.length if place else "1"
        by = self._any(name)
        return self._through(stack[place], f"{state}[{said}]", by, state, at)

    @overload
    def gradient(
        self, name: str, of: str | None = None, at: int | None = None, *, truncate: None = None
    ) -> ThroughTime: ...

    @overload
    def gradient(
        self, name: str, of: str | None = None, at: int | None = None, *, truncate: int
    ) -> Truncated: ...

    def gradient(
        self,
        name: str,
        of: str | None = None,
        at: int | None = None,
        *,
        truncate: int | None = None,
    ) -> ThroughTime | Truncated:
        """`dL/dW` for the sum of a loss over all steps (and the batch), or for the step `at`.

        `of` names the loss; without it, the scalar line that no other line reads. With `truncate`,
        every loss counts only what the weight did within so many steps up to its own.

        >>> rnn = recurrence("s[t] = tanh(W*s[t-1] + x[t]); L[t] = norm2(s[t]-y[t])^2/2")
        >>> rnn.gradient("W").shape
        ('n', 'n')
        >>> some = rnn.gradient("W", truncate=2)
        >>> print(some(W=[[0.5]], s0=[1], x=[[1], [0], [1]], y=[[0], [0], [0]]))
        dL/dW within 2 steps: what is dropped has norm 0.00928, 1.29 % of the whole
        """
        loss = self._loss(of)
        by = self._any(name)
        if loss in self.lines.final:
            if at is not None:
                raise ShapeMistake(
                    f"{loss} is of the last step only: it has no other step",
                    hint=f"as a loss of every step, {moment(loss, self.lines.step)} = …, it can be",
                )
            whole = self._through(self.loss(loss), loss, by, loss, self.length)
        else:
            whole = self._through(self.loss(loss, at), self._said(loss, at), by, loss, at)
        if truncate is None:
            return whole
        joined = between(self, self._shared(name).name)
        return Truncated(whole, joined, truncate, self.place_of(loss, at))

    def place_of(self, loss: str, at: int | None) -> int | None:
        """Where the one step that a loss is asked for, or is about, stands in a stack."""
        if loss in self.lines.final:
            return -1
        return None if at is None else self._place(at)

    def gradients(self, *names: str, of: str | None = None, at: int | None = None) -> Gradients:
        """The gradients by several names, by all shared variables where none is named: one sweep
        back for all of them, one program that runs the steps once forward and once back.

        >>> rnn = recurrence("s[t] = tanh(W*s[t-1] + U*x[t]); L[t] = norm2(s[t]-y[t])^2/2")
        >>> [D.title for D in rnn.gradients()]
        ['dL/dW', 'dL/dU']
        >>> step = rnn.gradients("W", "U").compile(value=True)
        >>> x, y, s0 = [[1], [1]], [[1], [1]], [0]
        >>> step(W=[[0]], U=[[0]], x=x, y=y, s0=s0)          # the loss, then its gradients
        (array(1.), array([[0.]]), array([[-2.]]))
        """
        loss = self._loss(of)
        variables = [self._any(name) for name in names or self._weights(loss)]
        f, said = self.loss(loss, at), self._said(loss, at)
        free = [by for by in variables if not by.properties - {"positive", "invertible"}]
        nodes = dict(zip(free, swept_together(meant(f), free), strict=True))
        nodes |= {by: swept(f, [by], "projected") for by in variables if by not in nodes}
        return Gradients(self._answer(f, said, by, loss, at, nodes[by]) for by in variables)

    def _weights(self, loss: str) -> list[str]:
        """The shared variables that a loss depends on."""
        names = {v.name for v in self.loss(loss).names}
        return [name for name in self.lines.shared if name in names]

    def loss(self, of: str | None = None, at: int | None = None) -> Node:
        """The sum of a loss over all steps and the batch, or its value at one, as a formula."""
        name = self._loss(of)
        return _total(self.system, name, self.place_of(name, at))

    def contributions(
        self, name: str, of: str | None = None, at: int | None = None
    ) -> Contributions:
        """The summands of `dL/dW` by the step at which the weight acts, never formed as a whole.

        >>> rnn = recurrence("s[t] = tanh(W*s[t-1] + x[t]); L[t] = norm2(s[t]-y[t])^2/2")
        >>> rnn.contributions("W").shape
        ('T', 'n', 'n')
        """
        loss = self._loss(of)
        by = self._shared(name)
        return self._summands(
            loss, by, self.place_of(loss, at), lambda: self.gradient(name, loss, at)
        )

    def _summands(
        self, loss: str, by: Variable, place: int | None, whole: Callable[[], ThroughTime]
    ) -> Contributions:
        copies, series = self._copies(by)

        def by_loss() -> Triangle:
            near = None if constraint(by) else triangle_near(self, loss, by)
            if near is not None:
                return near
            stack = copies.system.stack(loss)
            axes = tuple(range(stack.ndim))
            lost = build.product(ONE, ((stack, 1, axes),), (0,), stack.dims)
            return Triangle.of(self._of_copies(lost, series, by))

        formula = self._of_copies(_total(copies.system, loss, place), series, by)
        every = None if loss in self.lines.final else by_loss
        return Contributions(formula, whole, self.system.batch, by_loss=every)

    def stream(
        self, of: str, name: str, mapping: Mapping[str, Any] | None = None, /, **values: Any
    ) -> Stream:
        """A state or a loss and its derivative by a weight, one step at a time, in memory that does
        not grow with the steps. Values are those of shared variables and of starts.

        >>> rnn = recurrence("s[t] = tanh(W*s[t-1] + x[t]); L[t] = norm2(s[t]-y[t])^2/2")
        >>> stream = rnn.stream("L", "W", W=[[0.5]], s0=[1])
        >>> for x in (1, 0, 1):
        ...     loss = stream.push(x=[x], y=[0])
        >>> stream.gradient
        array([[0.71811318]])
        """
        target, by = self.state_named(of), self._shared(name)
        return Stream(self, target, by, {**(mapping or {}), **values})

    def late_contributions(self, name: str, of: str | None = None) -> Contributions:
        """The summands of `dL[T]/dW` alone: what a weight does to the loss of the last step, or to
        that of the first where its states run backwards."""
        loss, by = self._loss(of), self._shared(name)
        moved = [self.system.lags[one] > 0 for one in self.carried]
        back = any(moved) and all(moved) and loss not in self.lines.final
        place = 0 if back else -1
        return self._summands(loss, by, place, lambda: self.gradient(name, loss))

    def horizon(
        self,
        mapping: Mapping[str, Any] | None = None,
        /,
        *,
        of: str | None = None,
        by: str | Sequence[str] | None = None,
        loss: str | None = None,
        pairs: bool = False,
        fraction: float = 0.01,
        **values: Any,
    ) -> Horizon:
        """How far back the recurrence reaches at given values: whether gradients vanish or explode.

        All states are taken as one, or those that need each other with the state `of`. `by` names
        the weights whose shares are told; without it, those that multiply a state. With `pairs`,
        the norms for all pairs of steps are found, which costs as many products as there are pairs.

        >>> rnn = recurrence("s[t] = tanh(W*s[t-1] + x[t]); L[t] = norm2(s[t]-y[t])^2/2")
        >>> found = rnn.horizon(W=[[0.5]], s0=[0], x=[[0], [0], [0]], y=[[1], [1], [1]])
        >>> found.spectral.tolist(), found.gamma, found.scale
        ([1.0, 0.5, 0.25, 0.125], 1.0, 0.5)
        """
        if not 0 < fraction < 1:
            raise ValueMistake(f"fraction={fraction!r}: a part of the whole lies between 0 and 1")
        joined = Joined(self.system, as_one(self, of))
        named = None if loss is None and len(self.losses) != 1 else self._loss(loss)
        wanted = (by,) if isinstance(by, str) else by
        weights = multiplied(self, joined) if wanted is None else [*wanted]
        names = tuple(self._shared(name).name for name in weights)
        key = (joined.names, names, named)
        if key not in self._reaches:
            self._reaches[key] = Reach(self, joined, names, named)
        given = plain_keys({**(mapping or {}), **values}, tuple(self.variables.values()))
        starts = {start_name(state, shift) for state, shift in joined.carried}
        known = [v for k, v in self.variables.items() if k in given or k in starts]
        refuse_values(self, known, given)
        return self._reaches[key](given, pairs, fraction)

    @cached_property
    def _reaches(self) -> dict[Any, Reach]:
        return {}

    def factored(self, state: str, name: str, at: int | None = None) -> Contributions:
        """`ds[T]/dW` as its summands by step, `P[k] ⊗ s[k-1]`, which stay factors.

        >>> rnn = recurrence("s[t] = tanh(W*s[t-1] + x[t])")
        >>> [stack.shape for stack in rnn.factored("s", "W").factors[0]]
        [('T', 'n', 'n'), ('T', 'n')]
        """
        if self.system.batch:
            raise ShapeMistake("a factored derivative is that of one sequence, without a batch")
        state, by = self.state_named(state), self._shared(name)
        copies, series = self._copies(by)
        target = copies.system.stack(state)[self._last(state, at)]
        found = self._of_copies(target, series, by)
        split = target.ndim
        order = (split, *range(split), *range(split + 1, found.ndim))
        terms = [
            term._replace(output=tuple(term.output[k] for k in order)) for term in terms_of(found)
        ]
        turned = build.add(*(build.product(*term) for term in terms))
        return Contributions(turned, lambda: self.total(state, name, at), (), split)

    def _copies(self, by: Variable) -> tuple[Recurrence, Variable]:
        """The recurrence with a copy of a variable for every step, and the series of these."""
        starting = [k for k, node in self.lines.starts.items() if by in node.names]
        if starting:
            name = starting[0][0]
            raise ShapeMistake(
                f"{by.name} is where {name} starts too, which is no step: its summands by step are "
                f"not all of it",
                hint=f"with the start as a variable of its own, {name}0, they are",
            )
        copies = Recurrence(copied(self.lines, by.name), *self.system.batch)
        return copies, copies.system.given(by.name)

    def _of_copies(self, f: Node, series: Variable, by: Variable) -> Node:
        """The derivative by the copies of a variable, in the variable, which may be constrained."""
        free = uncopied(swept(f, [series], "projected"), series, by)
        rules = constraint(by)
        return normal_form(constrain(free, rules, "projected") if rules else free)

    # Names

    def _through(
        self, f: Node, said: str, by: Variable, target: str, at: int | str | None
    ) -> ThroughTime:
        return self._answer(f, said, by, target, at, swept(f, [by], "projected"))

    def _answer(
        self, f: Node, said: str, by: Variable, target: str, at: int | str | None, node: Node
    ) -> ThroughTime:
        question = Reading(
            text=said,
            formula=f,
            row=False,
            variables=self.variables,
            assumed=self.assumed,
            dimensions=frozenset(dimension_names(f, by)),
            functions=dict(self.lines.functions or {}),
        )
        wanted = Wanted(by.name, by)
        path = Path(self, target, by, at)
        return ThroughTime(question, (wanted,), node, None, None, f"d{said}/d{by.name}", path)

    def _said(self, loss: str, at: int | None) -> str:
        return loss if at is None else f"{loss}[{at}]"

    def said(self, name: str) -> str:
        """A line's name as it is written: s[t], or E where it is about the last step."""
        if name in self.lines.final:
            return name
        return moment(name, self.lines.step)

    def _last(self, state: str, at: int | None) -> int:
        """Where a step stands in a stack; without one, the step that the state comes to last."""
        if at is not None:
            return self._place(at)
        return 0 if self.system.lags.get(state, -1) > 0 else -1

    def _place(self, at: int) -> int:
        if not isinstance(at, int) or at < 1:
            raise ShapeMistake(f"{at!r} is no step: steps are counted from 1")
        return at - 1

    def state_named(self, name: str) -> str:
        """The name of a state, however it is written; NameMistake where no line defines it.

        >>> recurrence("s[t] = tanh(W*s[t-1])").state_named("s[t]")
        's'
        """
        name = name.partition("[")[0]
        if name not in self.lines.states:
            near = did_you_mean(name, self.states)
            said = f"the lines define {', '.join(map(self.said, self.states))}"
            raise NameMistake(f"no line defines {self.said(name)}", hint=near or said)
        return name

    def _loss(self, of: str | None) -> str:
        if of is not None:
            name = self.state_named(of)
            if self.lines.states[name].ndim:
                raise ShapeMistake(f"{self.said(name)} is no scalar, so it is no loss")
            return name
        if len(self.losses) != 1:
            found = ", ".join(map(self.said, self.losses)) or "no line defines a scalar of its own"
            raise NameMistake(
                f"there is no one loss: {found}",
                hint=f"name it, as in of='L', or add a line such as L[{self.lines.step}] = …",
            )
        return self.losses[0]

    def _shared(self, name: str) -> Variable:
        name = self._plain(name)
        if name in self.lines.shared:
            return self.lines.shared[name]
        if name in self.lines.states:
            raise NameMistake(
                f"{self.said(name)} is defined by a line and no variable",
                hint=f"step({name!r}) is its derivative by the step before; what a loss owes to it "
                "at a step is the lambda of the closed form by a weight",
            )
        if name.partition("[")[0] in self.lines.series:
            one = name.partition("[")[0]
            raise NameMistake(
                f"{self.said(one)} is a series with a value for every step, not shared by all",
                hint=f"gradient({one!r}) and total(…, {one!r}) are by all of its steps",
            )
        known = list(self.lines.shared)
        near = did_you_mean(name, known)
        raise NameMistake(
            f"no line has the shared name {name}", hint=near or f"there are {', '.join(known)}"
        )

    def _any(self, name: str) -> Variable:
        """A shared variable, a start or a series, which may be called x[t] too."""
        name = self._plain(name)
        whole = name.removesuffix(f"[{self.lines.step}]")
        if whole in self.lines.series:
            name = whole
        return self.variables[name] if name in self.variables else self._shared(name)

    def _plain(self, name: str) -> str:
        """A name as the lines have it: W_hh for W_{hh}."""
        return plain_name(name) if is_latex_text(name) else name

    def __repr__(self) -> str:
        return f"<recurrence of {', '.join(map(self.said, self.states))}>"


def _total(system: System, name: str, place: int | None) -> Node:
    """The sum of a loss over the batch, and over all steps or of one."""
    whole = system.stack(name) if place is None else system.at(name, place)
    return build.einsum(f"{'abcd'[: whole.ndim]}->", whole)
