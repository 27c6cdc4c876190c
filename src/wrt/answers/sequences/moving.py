"""Which states move together in a recurrence, which weights move them, and formulas at values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wrt import programs
from wrt.algebra import normal_form
from wrt.answers.sequences.contributions import Triangle
from wrt.calculus.joined import Joined
from wrt.calculus.recurrence import System, freed
from wrt.errors import NameMistake, NotDifferentiable, ShapeMistake
from wrt.expression.nodes import Einsum, Node, Variable
from wrt.expression.walk import postorder, substitute

if TYPE_CHECKING:
    from wrt.answers.sequences.recurrences import Recurrence

__all__ = ["as_one", "between", "free_system", "multiplied", "needed_states", "run", "sizes"]


def as_one(rnn: Recurrence, of: str | None) -> tuple[str, ...]:
    """Carried states that run the same way: all of them, or the group of one."""
    if not rnn.carried:
        raise ShapeMistake("no line reads another step, so nothing reaches back")
    if of is not None:
        name = rnn.state_named(of)
        group = rnn.system.groups[rnn.system.order[name]]
        found = tuple(one for one in group if one in rnn.system.lags)
        if found:
            return found
        raise NameMistake(
            f"no line reads {rnn.said(name)} at another step",
            hint=f"the states are {', '.join(rnn.carried)}",
        )
    if len({rnn.system.lags[one] > 0 for one in rnn.carried}) > 1:
        raise ShapeMistake(
            f"{', '.join(map(rnn.said, rnn.carried))} do not all run the same way",
            hint=f"name one of them, as in of={rnn.carried[0]!r}",
        )
    return rnn.carried


def needed_states(rnn: Recurrence, target: str) -> tuple[str, ...]:
    """The carried states that a line needs, at any step, directly or not."""
    found: set[str] = set()
    waiting = [target]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            held = rnn.lines.states[name].names
            near = {m.name for v, m in rnn.lines.moments.items() if v in held}
            waiting += [one for one in near if one in rnn.lines.states]
    return tuple(name for name in rnn.carried if name in found)


def free_system(rnn: Recurrence, name: str) -> System:
    """The system with nothing known of a weight, so that it moves freely."""
    by = rnn.lines.shared[name]
    if "complex" in by.properties:
        raise NotDifferentiable(
            f"{name} is complex: {name} and conj({name}) do not move apart here"
        )
    return System(freed(rnn.lines, name), *rnn.system.batch)


def between(rnn: Recurrence, name: str) -> Joined | None:
    """The carried states by which a shared variable acts on later steps, as one; None where
    there are none."""
    reached = rnn.system.reached(name)
    moved = [one for one in rnn.carried if one in reached]
    ways = {one: rnn.system.lags[one] > 0 for one in moved}
    if len(set(ways.values())) > 1:
        one, other = (next(k for k in moved if ways[k] is way) for way in (False, True))
        raise ShapeMistake(
            f"{name} acts through {rnn.said(one)}, which runs from the first step "
            f"on, and through {rnn.said(other)}, which runs from the last: no window of steps "
            "holds both"
        )
    return Joined(free_system(rnn, name), moved) if moved else None


def triangle_near(rnn: Recurrence, loss: str, by: Variable) -> Triangle | None:
    """The triangle by distances, where the weight acts through states that run one way."""
    reached = rnn.system.reached(by.name)
    moved = {one for one in rnn.carried if one in reached}
    if len({rnn.system.lags[one] > 0 for one in moved}) != 1 or "complex" in by.properties:
        return None
    joined = between(rnn, by.name)
    assert joined is not None
    free = joined.system.lines.shared[by.name]
    found = joined.by_distance(joined.line(loss), free)
    return Triangle(
        tuple(normal_form(substitute(one, {free: by})) for one in found), joined.reverse
    )


def multiplied(rnn: Recurrence, joined: Joined) -> list[str]:
    """The shared variables that multiply a state; where there are none, all that move one."""
    moved = {k for k in rnn.lines.shared if rnn.system.reached(k) & set(joined.names)}
    states = {v for v, m in rnn.lines.moments.items() if m.name in rnn.states}
    found: set[str] = set()
    for name in rnn.states:
        for node in postorder(rnn.lines.states[name]):
            if isinstance(node, Einsum) and not node.names.isdisjoint(states):
                found |= {c.name for c in node.children if isinstance(c, Variable)}
    starting = {v.name for node in rnn.lines.starts.values() for v in node.names}
    order = [k for k in rnn.lines.shared if k in moved - starting]
    return [k for k in order if k in found] or order


def run(
    rnn: Recurrence,
    formulas: Sequence[Node],
    values: Mapping[str, Any],
    title: str,
    told: Mapping[str, int] | None = None,
) -> Any:
    """Formulas at values by name; values of variables that they do not read are not used.

    Sizes are those of the values, and those that are `told`.
    """
    used = frozenset().union(*(one.names for one in formulas))
    arguments = [v for v in rnn.variables.values() if v in used]
    idle = set(rnn.variables) - {v.name for v in arguments}
    given = {name: value for name, value in values.items() if name not in idle}
    program = programs.compile(tuple(formulas), arguments=arguments, title=title)
    if program.sizes:
        known = {**sizes(rnn, values), **(told or {})}
        given |= {name: known[name] for name in program.sizes if name in known}
    return program(given)


def sizes(rnn: Recurrence, values: Mapping[str, Any]) -> dict[str, int]:
    """The sizes that values have."""
    import numpy as np

    from wrt.programs.door import measured

    known = {v: np.asarray(values[k]) for k, v in rnn.variables.items() if k in values}
    return measured(known, {})
