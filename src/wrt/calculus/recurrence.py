"""From the lines of a recurrence to formulas over all steps.

Names that need each other through time become the states of one `Scan`; whatever only looks at them
is computed for all steps at once, outside the loop. Two layers are two loops, one after the other;
states that read the step ahead of them run from the last step to the first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property

from wrt.algebra import expand, meant, normal_form
from wrt.algebra.lifting import Lifting
from wrt.calculus.sweep import derivative, forward_from
from wrt.calculus.terms import terms_of
from wrt.errors import NameMistake, SyntaxMistake
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dataclass import replace
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Einsum, Node, Scan, Variable
from wrt.expression.walk import replaced, rewrite, substitute
from wrt.language.recurrence import Lines, Moment, moment

__all__ = ["System", "copied", "freed", "uncopied"]

Dims = tuple[Dimension, ...]


def copied(lines: Lines, name: str) -> Lines:
    """The recurrence with a copy of a shared variable for every step: `W[t]` for `W`."""
    shared = lines.shared[name]
    copy = Variable(moment(name, lines.step), shared.dims, shared.properties)
    return replace(
        lines,
        states={k: substitute(node, {shared: copy}) for k, node in lines.states.items()},
        moments={**lines.moments, copy: Moment(name)},
        shared={k: v for k, v in lines.shared.items() if k != name},
        copied=lines.copied | {name},
    )


def freed(lines: Lines, name: str) -> Lines:
    """The recurrence with nothing known of a shared variable: derivatives by it leave what it is
    declared to be."""
    shared = lines.shared[name]
    free = Variable(name, shared.dims)
    if free is shared:
        return lines
    turned = {shared: free}
    return replace(
        lines,
        states={k: substitute(node, turned) for k, node in lines.states.items()},
        starts={k: substitute(node, turned) for k, node in lines.starts.items()},
        shared={**lines.shared, name: free},
    )


def uncopied(root: Node, series: Variable, shared: Variable) -> Node:
    """A formula over copies of a variable, in the variable itself: what no step changes stands
    in the loops as it is.
    """
    spread = build.broadcast(shared, series.dims)
    return rewrite(substitute(root, {series: spread}), _unread)


def _unread(node: Node) -> Node:
    """A loop without the series that are the same at every step."""
    if not isinstance(node, Scan):
        return node
    still: dict[Variable, Node] = {}
    kept: list[tuple[Variable, Node]] = []
    for element, series in zip(node.elements, node.series, strict=True):
        one = _entry(series)
        if one is None:
            kept.append((element, series))
        else:
            still[element] = one
    if not still:
        return node
    nexts = [substitute(one, still) for one in node.nexts]
    children = (*node.initials, *(s for _, s in kept), *nexts)
    elements = [e for e, _ in kept]
    return Scan(
        node.carries, elements, children, node.length, node.position, node.before, node.reverse
    )


def _entry(series: Node) -> Node | None:
    """What a stack repeats along its first axis; None where it changes."""
    if not isinstance(series, Einsum) or series.output.count(series.output[0]) > 1:
        return None
    step = series.output[0]
    if any(step in own for own in series.indices):
        return None
    live = [i for i in range(len(series.index_dims)) if i != step]
    place = {i: k for k, i in enumerate(live)}
    factors = [(n, e, tuple(place[i] for i in own)) for n, e, own in series.factors]
    output = [place[i] for i in series.output[1:]]
    return build.product(series.coefficient, factors, output, [series.index_dims[i] for i in live])


class System:
    """The formulas of a recurrence, for one step and for all of them.

    With `batch`, every series and every start has that axis in front of all others, and so have the
    states. Where it `is_open`, all states start anywhere: at variables of their own.

    >>> from wrt.language.recurrence import read_recurrence
    >>> system = System(read_recurrence("s[t] = tanh(W*s[t-1] + U*x[t])"))
    >>> system.stack("s").shape, sorted(v.name for v in system.stack("s").names)
    (('T', 'n'), ['U', 'W', 's0', 'x'])
    """

    def __init__(
        self, lines: Lines, batch: Dimension | None = None, *, is_open: bool = False
    ) -> None:
        self.lines, self.is_open = lines, is_open
        self.length = lines.length
        self.batch: Dims = () if batch is None else (batch,)
        self.groups = _groups(lines)
        self.order = {name: k for k, group in enumerate(self.groups) for name in group}
        self.lags = _lags(lines)
        for group in self.groups:
            self._one_way(group)

    # One step

    @cached_property
    def inlined(self) -> dict[str, Node]:
        """Every name's formula over what is known before its step: same-step names written out."""
        found: dict[str, Node] = {}
        for group in self.groups:
            for name in self.in_order(group):
                found[name] = self._written_out(name, found)
        return found

    def over(self, name: str, held: Collection[str]) -> Node:
        """A line's formula over the states `held` of its step, the other lines written out."""
        known: dict[str, Node] = {}
        for group in self.groups:
            for one in self.in_order(group):
                if one not in held or one == name:
                    known[one] = self._written_out(one, known)
                if one == name:
                    return known[one]
        raise AssertionError(name)

    def _written_out(self, name: str, known: Mapping[str, Node]) -> Node:
        formula = self.lines.states[name]
        inside = {
            v: known[m.name]
            for v, m in self.lines.moments.items()
            if v in formula.names and not m.shift and m.name in known
        }
        return substitute(formula, inside) if inside else formula

    def in_names(self, name: str, by: Variable, held: Collection[str] = ()) -> Node:
        """The derivative of one step by a shared variable or something before it, in the names of
        the lines: what another line of the same step gives is called by its name. The states
        `held` of the same step do not change.
        """
        found: dict[str, Node] = {}
        for group in self.groups:
            for one in self.in_order(group):
                if one not in held or one == name:
                    found[one] = self._by_names(one, by, found)
                if one == name:
                    return found[one]
        raise AssertionError(name)

    def at_end(self, name: str, by: Variable) -> Node:
        """The derivative of a line about the last step, lines like it written out."""
        formula = normal_form(meant(expand(self.over(name, self.running))))
        return derivative(formula, by)

    @property
    def running(self) -> tuple[str, ...]:
        """The names that have a value at every step."""
        return tuple(name for name in self.lines.states if name not in self.lines.final)

    def _by_names(self, name: str, by: Variable, known: Mapping[str, Node]) -> Node:
        formula = normal_form(meant(expand(self.lines.states[name])))
        moving = {
            v: terms_of(known[m.name])
            for v, m in self.lines.moments.items()
            if not m.shift and v is not by and v in formula.names and not _still(known, m.name)
        }
        found = forward_from(formula, by, moving) if moving else derivative(formula, by)
        return replaced(found, {formula: self.lines.at(name)}) if formula.children else found

    def in_order(self, group: tuple[str, ...]) -> list[str]:
        """The names of a group, each behind those that it needs at the same step."""
        order: list[str] = []
        state: dict[str, int] = {}
        stack = list(reversed(group))
        while stack:
            name = stack[-1]
            if state.get(name) == 2:
                stack.pop()
                continue
            if state.get(name) == 1:
                state[name] = 2
                order.append(stack.pop())
                continue
            state[name] = 1
            for other, shift in _uses(self.lines, name):
                if shift or other not in group or state.get(other) == 2:
                    continue
                if state.get(other) == 1:
                    self._refuse_circle(name, other)
                stack.append(other)
        return order

    def _refuse_circle(self, name: str, other: str) -> None:
        now, then = (moment(other, self.lines.step, k) for k in (0, -1))
        what = "itself" if name == other else f"{now}, which needs it"
        raise SyntaxMistake(
            f"{moment(name, self.lines.step)} is defined by {what} at the same step",
            text=self.lines.said[name],
            hint=f"perhaps {then}, the step before",
        )

    # All steps

    def stack(self, name: str, shift: int = 0) -> Node:
        """A name at every step, or at the steps before or after: axes steps, batch, its own."""
        if name in self.lines.series:
            return self.series(name, shift)
        for group in self.groups[: self.order[name]]:  # in order, so that no chain is deep
            for one in group:
                if (one, 0) not in self._stacks:
                    self._stacks[one, 0] = self._stacked(one, 0)
        key = (name, shift)
        if key not in self._stacks:
            self._stacks[key] = self._stacked(name, shift)
        return self._stacks[key]

    @cached_property
    def _stacks(self) -> dict[tuple[str, int], Node]:
        return {}

    def _stacked(self, name: str, shift: int) -> Node:
        """A carried state from its loop, another line from what it reads."""
        if name in self.lags:
            loop = self.loop(self.order[name])
            lags = self._carried(self.order[name])
            return loop.state(lags.index((name, shift or self._back(name))), before=bool(shift))
        assert not shift
        formula = self._batched(self.lines.states[name])
        return self._over_steps(formula, {})

    def at(self, name: str, place: int) -> Node:
        """A line at one step, counted from 0, or from the last as -1: axes batch, its own."""
        if name in self.lags:
            return self.stack(name)[place]
        formula = self._batched(self.lines.states[name])
        inside = {
            v: self.stack(m.name, m.shift)[place] if m.shift else self._one(m.name, place)
            for v, m in self._moments.items()
            if v in formula.names
        }
        return substitute(formula, inside)

    def _one(self, name: str, place: int) -> Node:
        """A line or a series at one step."""
        return self.series(name)[place] if name in self.lines.series else self.at(name, place)

    def _over_steps(self, formula: Node, known: Mapping[Variable, Node]) -> Node:
        """A formula of one step, for all steps at once."""
        given: dict[Variable, Node] = {
            one: known[one] if one in known else self.stack(m.name, m.shift)
            for one, m in self._moments.items()
            if one in formula.names
        }
        return Lifting(given, {}, (self.length,)).full(formula)

    def loop(self, group: int) -> Scan:
        """The recurrence of a group."""
        if group not in self._loops:
            self._loops[group] = self._looped(self.groups[group], self._carried(group))
        return self._loops[group]

    @cached_property
    def _loops(self) -> dict[int, Scan]:
        return {}

    def _looped(self, group: tuple[str, ...], carried: list[tuple[str, int]]) -> Scan:
        carries = [self._symbol(name, shift) for name, shift in carried]
        inside: dict[str, Node] = {}
        for name in self.in_order(group):
            inside[name] = self._written_out(name, inside)
        formulas = {name: self._batched(node) for name, node in inside.items()}
        nexts = []
        for name, shift in carried:
            nearer = shift + (1 if shift < 0 else -1)
            nexts.append(self._symbol(name, nearer) if nearer else formulas[name])
        used = frozenset().union(*(one.names for one in nexts))
        elements = [v for v in self._moments if v in used and v not in carries]
        series = [self.stack(self._moments[v].name, self._moments[v].shift) for v in elements]
        starts = [self.start(name, shift) for name, shift in carried]
        reverse = carried[0][1] > 0
        children = (*starts, *series, *nexts)
        return Scan(carries, elements, children, self.length, reverse=reverse)

    def _carried(self, group: int) -> list[tuple[str, int]]:
        """The states of a group as (name, shift), those that are nearest first."""
        found = []
        for name in self.groups[group]:
            if name in self.lags:
                most = self.lags[name]
                step = 1 if most > 0 else -1
                found += [(name, step * k) for k in range(1, abs(most) + 1)]
        return found

    def _back(self, name: str) -> int:
        return 1 if self.lags[name] > 0 else -1

    def reached(self, *names: str) -> frozenset[str]:
        """The lines that depend on shared variables, directly or through other lines and steps."""
        lines, met = self.lines, set(names)
        found = {k for k, node in lines.states.items() if met & {v.name for v in node.names}}
        found |= {k for (k, _), node in lines.starts.items() if met & {v.name for v in node.names}}
        new = set(found)
        while new:
            users = {k for k in lines.states if new & {other for other, _ in _uses(lines, k)}}
            new = users - found
            found |= new
        return frozenset(found)

    # Variables

    def _symbol(self, name: str, shift: int) -> Variable:
        """The variable of a name at a step, with the batch."""
        one = self.lines.at(name, shift)
        return Variable(one.name, self._lead(name) + one.dims, one.properties)

    def _lead(self, name: str) -> Dims:
        """The batch, which copies of a shared variable do not have."""
        return () if name in self.lines.copied else self.batch

    @cached_property
    def _moments(self) -> dict[Variable, Moment]:
        return {self._symbol(m.name, m.shift): m for m in self.lines.moments.values()}

    def _batched(self, formula: Node) -> Node:
        """A formula of one step over variables with the batch axis."""
        if not self.batch:
            return formula
        given: dict[Variable, Node] = {
            v: self._symbol(m.name, m.shift)
            for v, m in self.lines.moments.items()
            if v in formula.names and self._lead(m.name)
        }
        return Lifting(given, {}, self.batch).full(formula)

    def series(self, name: str, shift: int = 0) -> Node:
        """What is given for every step, seen at a shift: steps, batch, its own axes."""
        whole = self.given(name)
        axes = list(range(whole.ndim))
        turned: Node = whole
        if self._lead(name):
            order = [1, 0, *axes[2:]]
            dims = [whole.dims[k] for k in order]
            turned = build.product(ONE, ((whole, 1, tuple(axes)),), order, whole.dims)
            assert turned.dims == tuple(dims)
        low, high = self.lines.series[name]
        if low == high:
            return turned
        first = shift - low
        node: Node = turned[slice(first, self.length + first)]
        return node

    def given(self, name: str) -> Variable:
        """The variable of a series: batch, steps (all that any line reads), its own axes."""
        low, high = self.lines.series[name]
        one = self.lines.at(name)
        length = self.length + (high - low)
        return Variable(name, (*self._lead(name), length, *one.dims), one.properties)

    def start(self, name: str, shift: int) -> Node:
        """The state before the first step, or behind the last: a line's, or a variable."""
        one = self.lines.at(name)
        if self.is_open:
            return Variable(f"{start_name(name, shift)}|", self.batch + one.dims)
        told = self.lines.starts.get((name, shift))
        if told is not None:
            return self._repeated(told)
        word = start_name(name, shift)
        known = self.lines.shared.get(word)
        if known is not None and known.dims == one.dims:
            return self._repeated(known)
        if known is not None:
            raise NameMistake(
                f"{word} stands for where {name} starts, and the lines use it for something else",
                text=self.lines.text,
                hint=f"say where it starts, as in {name}[{_outside(shift)}] = …",
            )
        return Variable(word, self.batch + one.dims, one.properties)

    def _repeated(self, node: Node) -> Node:
        """The same start for every member of a batch."""
        return build.broadcast(node, self.batch + node.dims) if self.batch else node

    def left(self, name: str, shift: int) -> Node:
        """The state after the step that the loop takes last, as it would start another."""
        group = self.order[name]
        loop = self.loop(group)
        return loop.state(self._carried(group).index((name, shift)))[0 if loop.reverse else -1]

    # What is refused

    def _one_way(self, group: tuple[str, ...]) -> None:
        """States that need each other run one way, and start where that way begins."""
        lines = self.lines
        ways = {name: self.lags[name] > 0 for name in group if name in self.lags}
        inner = {
            (name, other, shift)
            for name in group
            for other, shift in _uses(lines, name)
            if other in group and shift
        }
        if len({shift > 0 for _, _, shift in inner}) > 1 or len(set(ways.values())) > 1:
            names = " and ".join(moment(k, lines.step) for k in group)
            raise SyntaxMistake(
                f"{names} need steps before and steps ahead of their own: no order computes them",
                text=lines.text,
            )
        for name, shift in lines.starts:
            if name in group and name not in ways:
                raise SyntaxMistake(
                    f"{name}[{_outside(shift)}] is given, and no line reads "
                    f"{moment(name, lines.step, -1)}",
                    text=lines.text,
                )
            if name in ways and ways[name] is not (shift > 0):
                way = "from the last step to the first" if ways[name] else "from the first step on"
                begins = f"{lines.length}+1" if ways[name] else "0"
                raise SyntaxMistake(
                    f"{name} runs {way}; it starts at {name}[{begins}], not at "
                    f"{name}[{_outside(shift)}]",
                    text=lines.text,
                )


def _still(known: Mapping[str, Node], name: str) -> bool:
    """Whether a name does not change."""
    return name not in known or build.is_zero(known[name])


def start_name(name: str, shift: int) -> str:
    """The variable of a state outside the steps: s[0] is s0, s[-1] is s_1, s[T+1] is s_end.

    >>> start_name("s", -1), start_name("s", -2), start_name("r", 1), start_name("r", 2)
    ('s0', 's_1', 'r_end', 'r_end2')
    """
    if shift < 0:
        return f"{name}0" if shift == -1 else f"{name}_{-shift - 1}"
    return f"{name}_end" if shift == 1 else f"{name}_end{shift}"


def _outside(shift: int) -> str:
    return f"T+{shift}" if shift > 0 else str(shift + 1)


def _uses(lines: Lines, name: str) -> list[tuple[str, int]]:
    """The names that lines define and a formula reads, each with its shift."""
    held = lines.states[name].names
    found = [(m.name, m.shift) for v, m in lines.moments.items() if v in held]
    return sorted((other, shift) for other, shift in found if other in lines.states)


def _lags(lines: Lines) -> dict[str, int]:
    """The largest shift at which every state is read; only those that are read at another step."""
    found: dict[str, int] = {}
    for m in lines.moments.values():
        if m.name in lines.states and m.shift:
            before = found.get(m.name, m.shift)
            if (before > 0) is not (m.shift > 0):
                both = " and ".join(moment(m.name, lines.step, k) for k in (-1, 1))
                raise SyntaxMistake(
                    f"{both}: a state is read before or ahead of a step, not both",
                    text=lines.text,
                )
            found[m.name] = max(before, m.shift, key=abs)
    return found


def _groups(lines: Lines) -> list[tuple[str, ...]]:
    """Names that need each other, directly or round a circle; each group behind what it needs.

    The strongly connected components, by R. Tarjan (1972), without recursion.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    groups: list[tuple[str, ...]] = []
    place = {name: k for k, name in enumerate(lines.states)}
    uses = {
        name: list(dict.fromkeys(other for other, _ in _uses(lines, name))) for name in lines.states
    }
    for root in lines.states:
        work = [(root, iter(uses[root]))] if root not in index else []
        while work:
            name, rest = work[-1]
            if name not in index:
                index[name] = low[name] = len(index)
                path.append(name)
                on_path.add(name)
            other = next(rest, None)
            if other is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    at = path.index(name)
                    groups.append(tuple(sorted(path[at:], key=place.__getitem__)))
                    on_path.difference_update(path[at:])
                    del path[at:]
            elif other not in index:
                work.append((other, iter(uses[other])))
            elif other in on_path:
                low[name] = min(low[name], index[other])
    return groups
