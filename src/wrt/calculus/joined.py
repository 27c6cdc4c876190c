"""The states of a recurrence that run the same way, taken together as one state.

Such a state z has one Jacobian a step, `∂z[t]/∂z[t-1]`, in blocks; what a loss owes to earlier
states are products of these. Formulas here are those of one step, derived without a batch and
lifted over the steps (and the batch) at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from wrt.algebra import expand, meant, normal_form
from wrt.algebra.lifting import Lifting
from wrt.calculus.recurrence import System
from wrt.calculus.sweep import derivative, forward_from, gradients
from wrt.calculus.terms import Term, terms_of
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Node, Scan, Variable
from wrt.expression.walk import replaced, substitute
from wrt.language.recurrence import Moment

__all__ = ["Joined", "paired", "squares", "summed"]

Carried = tuple[str, int]


class Joined:
    """Some of the carried states of a system, all of which run the same way.

    `carried` names them as seen from a step, (s, -1) for s[t-1]; where lines look back further,
    the steps between are states too.

    >>> from wrt.language.recurrence import read_recurrence
    >>> lines = read_recurrence("c[t] = a*c[t-1] + x[t]; h[t] = tanh(c[t]).*h[t-1] + h[t-2]")
    >>> joined = Joined(System(lines), ["c", "h"])
    >>> joined.carried
    (('c', -1), ('h', -1), ('h', -2))
    >>> joined.jacobian(1, 0).shape
    ('T', 'n', 'n')
    """

    def __init__(self, system: System, names: Sequence[str]) -> None:
        self.system, self.names = system, tuple(names)
        found: list[Carried] = []
        for name in self.names:
            most = system.lags[name]
            way = 1 if most > 0 else -1
            found += [(name, way * k) for k in range(1, abs(most) + 1)]
        self.carried = tuple(found)

    @property
    def reverse(self) -> bool:
        """Whether the steps go from the last to the first."""
        return self.carried[0][1] > 0

    # One step

    @cached_property
    def before(self) -> tuple[Variable, ...]:
        """The state before a step."""
        return tuple(self.system.lines.at(name, shift) for name, shift in self.carried)

    @cached_property
    def after(self) -> tuple[Variable, ...]:
        """The state after a step."""
        way = 1 if self.reverse else -1
        return tuple(self.system.lines.at(name, shift - way) for name, shift in self.carried)

    @cached_property
    def nexts(self) -> tuple[Node, ...]:
        """The formulas of the state after a step over the one before it."""
        inner = self._written(frozenset())
        pairs = zip(self.carried, self.after, strict=True)
        return tuple(inner[name] if abs(shift) == 1 else one for (name, shift), one in pairs)

    def line(self, name: str) -> Node:
        """The formula of a line, over the states before its step and after it."""
        return meant(expand(self._written(frozenset(self.names))[name]))

    def _written(self, kept: frozenset[str]) -> dict[str, Node]:
        """The lines, what the same step gives written out but for states that are kept, and for
        those of other loops."""
        system = self.system
        others = frozenset(system.lags) - frozenset(self.names)
        found: dict[str, Node] = {}
        for group in system.groups:
            for name in system.in_order(group):
                formula = system.lines.states[name]
                inside = {
                    v: found[m.name]
                    for v, m in system.lines.moments.items()
                    if v in formula.names and not m.shift and m.name in found
                    if m.name not in kept | others
                }
                found[name] = substitute(formula, inside) if inside else formula
        return found

    # All steps

    def stacked(self, formula: Node, more: Mapping[Variable, Node] | None = None) -> Node:
        """A formula of one step for all steps and the whole batch: these axes first.

        `more` gives stacks for variables that are no names of the lines.
        """
        system = self.system
        given: dict[Variable, Node] = dict(more or {})
        for one, at in self.moments.items():
            if one in formula.names and one not in given:
                given[one] = system.stack(at.name, at.shift)
        return Lifting(given, {}, (system.length, *system.batch)).full(formula)

    @cached_property
    def moments(self) -> dict[Variable, Moment]:
        """Every name at a step that formulas may read."""
        lines = self.system.lines
        way = 1 if self.reverse else -1
        met = dict(lines.moments)
        for name, shift in self.carried:
            met.setdefault(lines.at(name, shift), Moment(name, shift))
            met.setdefault(lines.at(name, shift - way), Moment(name, shift - way))
        return met

    def settled(self, node: Node) -> Node:
        """A formula of one step in which the new states are read and not computed again."""
        new = {
            formula: one
            for one, formula in zip(self.after, self._plain, strict=True)
            if formula.children
        }
        return replaced(node, new)

    @cached_property
    def _plain(self) -> tuple[Node, ...]:
        """The formulas with their words written out, as rules meet them."""
        return tuple(normal_form(meant(expand(one))) for one in self.nexts)

    def block(self, row: int, column: int) -> Node:
        """`∂z[t]/∂z[t-1]` from one state to another, for one step."""
        return self.settled(derivative(self._plain[row], self.before[column]))

    def jacobian(self, row: int, column: int) -> Node:
        """`∂z[t]/∂z[t-1]` from one state to another, for all steps."""
        return self.stacked(self.block(row, column))

    # What comes back

    def truncated(self, loss: Node, by: Variable, window: int, weight: Node | None = None) -> Node:
        """The derivative of `Σ_t loss[t]` by a shared variable, in which every loss counts what
        acted within the last `window` steps up to its own.

        `λ[k] ← ∂loss[k]/∂z[k] + (∂loss[k+1] + λ[k+1]·∂z[k+1])/∂z[k]`, for all k at once, adds one
        step to the window. `loss` is a line over the states before and after its step; `weight`
        counts the losses of the steps.
        """
        symbols = self._symbols("λ")
        step = self._step(symbols, loss, weight)
        own = self._loss(loss, weight)
        first = gradients(own, self.after)
        near = [abs(shift) == 1 for _, shift in self.carried]
        direct = [g if k else build.zeros(g.dims) for g, k in zip(first, near, strict=True)]
        back = [self.settled(one) for one in gradients(step, self.before)]
        more = self._weights(weight)
        start = [self.stacked(one, more) for one in direct]
        lead = (self.system.length, *self.system.batch)
        carries = [Variable(one.name, lead + one.dims) for one in symbols]
        given = dict(zip(symbols, carries, strict=True))
        moved = [self.shifted(self.stacked(one, {**more, **given})) for one in back]
        nexts = [build.add(a, b) for a, b in zip(start, moved, strict=True)]
        stacks: list[Node] = list(start)
        total: list[Node] = []
        if window > 1:
            loop = Scan(carries, (), (*start, *nexts), Dimension.of(window - 1))
            every = range(len(carries))
            stacks = [loop.state(k)[-1] for k in every]
            earlier = [loop.state(k, before=True)[-1] for k in every]
            total += self._at_the_start(
                back, {**more, **dict(zip(symbols, earlier, strict=True))}, by
            )
        handed = self.settled(gradients(step, [by])[0])
        summands = self.stacked(handed, {**more, **dict(zip(symbols, stacks, strict=True))})
        return build.add(summed(summands, len(lead)), *total)

    def by_distance(self, loss: Node, by: Variable) -> tuple[Node, Node]:
        """The squared norms of what a shared variable does at step k to the loss of its own step,
        and to those 1, 2, … steps further along the way: axes k; distance, k.

        `v[k] ← v[k']·∂z[k']/∂z[k]`, with k' the next step, adds one step to the distance, for all k
        at once; no more than one distance is held at a time.
        """
        symbols, count = self._symbols("λ"), 1 + len(self.system.batch)
        near = [abs(shift) == 1 for _, shift in self.carried]
        first = zip(gradients(loss, self.after), near, strict=True)
        direct = [self.stacked(g if k else build.zeros(g.dims)) for g, k in first]
        pairs = zip(symbols, self._plain, strict=True)
        step = build.add(*(paired(a, b) for a, b in pairs))
        both = build.add(loss, step)
        given = dict(zip(symbols, direct, strict=True))
        own = self._squared(both, by, given, count)
        starts = [self._back(one, given) for one in gradients(both, self.before)]
        lead = (self.system.length, *self.system.batch)
        carries = [Variable(one.name, lead + one.dims) for one in symbols]
        held = dict(zip(symbols, carries, strict=True))
        nexts = [self._back(one, held) for one in gradients(step, self.before)]
        norms = self.named("ν", lead[:1])
        found = self._squared(step, by, held, count)
        children = (*starts, build.zeros(norms.dims), *nexts, found)
        loop = Scan((*carries, norms), (), children, self.system.length)
        return own, loop.state(len(carries))

    def _back(self, node: Node, given: Mapping[Variable, Node]) -> Node:
        return self.shifted(self.stacked(self.settled(node), given))

    def _squared(self, step: Node, by: Variable, given: Mapping[Variable, Node], lead: int) -> Node:
        """The squared norms of what every step hands to a variable, added up over the batch."""
        handed = self.stacked(self.settled(gradients(step, [by])[0]), given)
        axes = tuple(range(handed.ndim))
        terms = [build.product(*term) for term in terms_of(handed)]
        kept = (0, *axes[lead:])
        one_batch = [build.product(ONE, ((term, 1, axes),), kept, handed.dims) for term in terms]
        return squares(one_batch, 1) if one_batch else build.zeros(handed.dims[:1])

    def _at_the_start(
        self, back: Sequence[Node], given: Mapping[Variable, Node], by: Variable
    ) -> list[Node]:
        """What the variable does where the states begin, one step before the first."""
        found = []
        for (name, shift), one in zip(self.carried, back, strict=True):
            start = self.system.start(name, shift)
            if by in start.names:
                arriving = self.stacked(one, given)[-1 if self.reverse else 0]
                moved = derivative(normal_form(meant(expand(start))), by)
                axes, count = tuple(range(moved.ndim)), start.ndim
                factors = ((arriving, 1, axes[:count]), (moved, 1, axes))
                found.append(build.product(ONE, factors, axes[count:], moved.dims))
        return found

    def shifted(self, stack: Node) -> Node:
        """A stack seen one step ahead along the way, zero where there is none."""
        length = self.system.length
        ahead, behind = (0, 1) if self.reverse else (1, 0)
        axes = tuple(range(2, stack.ndim + 1))
        section = (
            (build.section(length - 1, length, ahead), 1, (0, 1)),
            (build.section(length - 1, length, behind), 1, (0, stack.ndim + 1)),
        )
        factors = (*section, (stack, 1, (1, *axes)))
        dims = (length - 1, *stack.dims, length)
        return build.product(ONE, factors, (stack.ndim + 1, *axes), dims)

    def _step(self, symbols: Sequence[Variable], loss: Node, weight: Node | None) -> Node:
        """`loss + Σ λ·F`: what one step hands back and on."""
        pairs = [paired(a, b) for a, b in zip(symbols, self._plain, strict=True)]
        return build.add(self._loss(loss, weight), *pairs)

    def _loss(self, loss: Node, weight: Node | None) -> Node:
        return loss if weight is None else loss * self._weight

    @cached_property
    def _weight(self) -> Variable:
        return self.named("ω", ())

    def _weights(self, weight: Node | None) -> dict[Variable, Node]:
        if weight is None:
            return {}
        lead = (self.system.length, *self.system.batch)
        spread = build.product(ONE, ((weight, 1, (0,)),), range(len(lead)), lead)
        return {self._weight: spread}

    def _symbols(self, mark: str) -> tuple[Variable, ...]:
        """A variable for what belongs to each state."""
        pairs = zip(self.carried, self.after, strict=True)
        return tuple(self.named(mark + n + "'" * (abs(k) - 1), one.dims) for (n, k), one in pairs)

    def named(self, name: str, dims: Sequence[Dimension]) -> Variable:
        """A variable by a name that no line has."""
        lines = self.system.lines
        taken = {*lines.states, *lines.shared, *lines.kinds}
        while name in taken:
            name += "_"
        return Variable(name, dims)

    # What goes on

    def tangent(self, formula: Node, by: Variable, moving: Mapping[Variable, Node]) -> Node:
        """The derivative of a formula of one step by a shared variable through the states.

        `moving` gives their derivatives, axes the state's, then the variable's.
        """
        plain = normal_form(meant(expand(formula)))
        seeds: dict[Variable, list[Term]] = {v: terms_of(node) for v, node in moving.items()}
        return forward_from(plain, by, {v: t for v, t in seeds.items() if v in plain.names})


def paired(symbol: Node, new: Node) -> Node:
    """The inner product of two tensors of the same axes."""
    axes = tuple(range(new.ndim))
    return build.product(ONE, ((symbol, 1, axes), (new, 1, axes)), (), new.dims)


def summed(stack: Node, lead: int) -> Node:
    """A stack added up over its first axes, term by term."""
    return build.add(
        *(build.product(*one._replace(output=one.output[lead:])) for one in terms_of(stack))
    )


def squares(terms: Sequence[Node], kept: int) -> Node:
    """The sum of the squares of a sum over all but its first axes, products taken one by one."""
    axes = tuple(range(terms[0].ndim))
    pairs = [((a, 1, axes), (b, 1, axes)) for a in terms for b in terms]
    return build.add(*(build.product(ONE, pair, axes[:kept], terms[0].dims) for pair in pairs))
