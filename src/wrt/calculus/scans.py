"""Recurrences, differentiated: the adjoint of a loop is a loop the other way.

With `s[t] = F(s[t-1], x[t], θ)` and `A[t]` the adjoint of what leaves the loop at step t, the
cotangents are `λ[t] = A[t] + λ[t+1]·∂s[t+1]/∂s[t]`, one reverse loop whose series are the states of
the forward one. What a step hands to θ is not added up in that loop: `Σ_t λ[t]·∂⁺s[t]/∂θ` stands
outside it as a product of stacks, so that it is one product for the whole sequence, and every
summand is at hand. (Ordered derivatives: P. Werbos, Backpropagation through time, 1990.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from wrt.algebra.lifting import Lifting
from wrt.calculus.terms import Term, terms_of
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Einsum, Node, Scan, Variable
from wrt.expression.walk import replaced, substitute

__all__ = ["Cotangents", "cotangents", "handed_on", "tangents"]

Dims = tuple[Dimension, ...]
Gradients = Callable[[Node, Sequence[Variable]], list[Node]]


class Cotangents(NamedTuple):
    """The reverse loop of a recurrence.

    `loop` is its system; `stacks` are the λ, axes length, then those of f, then those of the state;
    `symbols` stand for one step of them.
    """

    loop: Scan
    symbols: tuple[Variable, ...]
    stacks: tuple[Node, ...]
    #: Σ λ·F, what one step hands on, as a formula over the symbols.
    step: Node


def cotangents(
    system: Scan, adjoints: Mapping[Scan, Node], dims: Dims, gradients: Gradients
) -> Cotangents:
    """The reverse loop; `adjoints` have the axes of f (`dims`), then those of a member."""
    carries = system.carries
    taken = _Names(system)
    symbols = tuple(taken.like(c, "λ", dims + c.dims) for c in carries)
    going = tuple(taken.like(c, "μ", dims + c.dims) for c in carries)
    step = _paired(symbols, system.nexts, dims)
    back = gradients(step, carries)
    starts: list[Node] = [build.zeros(one.dims) for one in going]
    arriving: dict[Variable, Node] = dict(zip(symbols, going, strict=True))
    outside: list[Node | None] = [None] * len(carries)
    elements: dict[Variable, Node] = {}
    for member, adjoint in adjoints.items():
        k = member.position
        terms = [_opened(term) for term in terms_of(adjoint)]
        if not member.before:
            edge = [_at_the_edge(t, len(dims), system) for t in terms]
            starts[k] = build.add(starts[k], *(e for e in edge if e is not None))
            terms = [t for t, e in zip(terms, edge, strict=True) if e is None]
        if not terms:
            continue
        series = build.add(*(build.product(*_leading(t, len(dims))) for t in terms))
        said = "β" if member.before else "α"
        element = taken.like(carries[k], said, dims + carries[k].dims)
        elements[element] = series
        if member.before:
            back[k] = build.add(back[k], element)
        else:
            arriving[symbols[k]] = build.add(going[k], element)
            outside[k] = series
    nexts = [_stepped(substitute(one, arriving), system, taken) for one in back]
    known = {**elements, **_states(system, taken)}
    loop = _loop(going, starts, known, nexts, system.length, not system.reverse)
    stacks = []
    for k in range(len(carries)):
        stack: Node = loop.state(k, before=True)
        more = outside[k]
        stacks.append(stack if more is None else build.add(stack, more))
    return Cotangents(loop, symbols, tuple(stacks), step)


def handed_on(
    system: Scan, found: Cotangents, by: Sequence[Variable], dims: Dims, gradients: Gradients
) -> list[Node]:
    """What every step hands to variables of its formulas: axes length, those of f, the variable's.

    `by` are shared variables or elements of the system.
    """
    taken = _Names(system)
    stacked: dict[Variable, Node] = dict(zip(found.symbols, found.stacks, strict=True))
    stacked |= _states(system, taken)
    lifting = Lifting(stacked, {}, (system.length,))
    return [lifting.full(_stepped(one, system, taken)) for one in gradients(found.step, by)]


def tangents(
    system: Scan,
    starts: Sequence[Node],
    series: Mapping[Variable, Node],
    forward: Callable[[Node, Mapping[Variable, Node]], Node],
    dims: Dims,
) -> Scan:
    """The forward loop of the derivatives by x: axes length, those of a state, those of x (`dims`).

    `starts` are those of the initial states, `series` those of the elements that depend on x, axes
    length, the element's, x's; `forward` gives the derivative of a formula from those of its
    variables.
    """
    taken = _Names(system)
    moving = tuple(taken.like(c, "d", c.dims + dims) for c in system.carries)
    elements = {taken.like(e, "d", e.dims + dims): (e, one) for e, one in series.items()}
    seeds: dict[Variable, Node] = dict(zip(system.carries, moving, strict=True))
    seeds |= {e: moved for moved, (e, _) in elements.items()}
    nexts = [_stepped(forward(one, seeds), system, taken) for one in system.nexts]
    known = {moved: one for moved, (_, one) in elements.items()} | _states(system, taken)
    return _loop(moving, starts, known, nexts, system.length, system.reverse)


# Parts


class _Names:
    """Names for bound variables that nothing in a recurrence has, the same each time."""

    def __init__(self, system: Scan) -> None:
        nodes = (*system.nexts, *system.series, *system.initials)
        self.taken = {v.name for node in nodes for v in node.names}
        self.taken |= {v.name for v in system.bound}

    def like(self, variable: Variable, mark: str, dims: Dims) -> Variable:
        """A variable that is named after another one."""
        name = mark + variable.name
        while name in self.taken:
            name = mark + name
        return Variable(name, dims)


def _paired(symbols: Sequence[Variable], nexts: Sequence[Node], dims: Dims) -> Node:
    """Σ λ·F over the states: the axes of f."""
    terms = []
    count = len(dims)
    for symbol, new in zip(symbols, nexts, strict=True):
        axes = tuple(range(count, count + new.ndim))
        lead = tuple(range(count))
        factors = ((symbol, 1, lead + axes), (new, 1, axes))
        terms.append(build.product(ONE, factors, lead, symbol.dims))
    return build.add(*terms)


def _states(system: Scan, taken: _Names) -> dict[Variable, Node]:
    """What one step knows, with the stacks: its elements, the states before it and after."""
    known: dict[Variable, Node] = dict(zip(system.elements, system.series, strict=True))
    for k, carry in enumerate(system.carries):
        known[carry] = system.state(k, before=True)
        known[_after(carry, taken)] = system.state(k)
    return known


def _after(carry: Variable, taken: _Names) -> Variable:
    return taken.like(carry, "+", carry.dims)


def _stepped(node: Node, system: Scan, taken: _Names) -> Node:
    """A formula of one step in which the new states are read and not computed again."""
    new = {
        formula: _after(carry, taken)
        for carry, formula in zip(system.carries, system.nexts, strict=True)
        if formula.children
    }
    return replaced(node, new)


def _loop(
    carries: Sequence[Variable],
    starts: Sequence[Node],
    known: Mapping[Variable, Node],
    nexts: Sequence[Node],
    length: Dimension,
    reverse: bool,
) -> Scan:
    used = frozenset().union(*(one.names for one in nexts))
    elements = [v for v in known if v in used]
    children = (*starts, *(known[v] for v in elements), *nexts)
    return Scan(carries, elements, children, length, reverse=reverse)


def _leading(term: Term, split: int) -> Term:
    """The axis of the steps, which is at `split`, put in front."""
    out = term.output
    return term._replace(output=(out[split], *out[:split], *out[split + 1 :]))


def _opened(term: Term) -> Term:
    """A multiple of a product as a product: the factors of what is multiplied."""
    while len(term.factors) == 1:
        ((inner, exponent, own),) = term.factors
        if not isinstance(inner, Einsum) or exponent != 1 or own != term.output:
            break
        if term.index_dims != inner.dims or own != tuple(range(inner.ndim)):
            break
        scale = term.coefficient * inner.coefficient
        term = Term(scale, inner.factors, inner.output, inner.index_dims)
    return term


def _at_the_edge(term: Term, split: int, system: Scan) -> Node | None:
    """A term that only the last step of a recurrence has, without the axis of the steps."""
    step = term.output[split]
    if term.output.count(step) > 1:
        return None
    holders = [f for f in term.factors if step in f[2]]
    if len(holders) != 1 or holders[0][0] is not _last(system):
        return None
    factors = tuple(f for f in term.factors if f is not holders[0])
    live = [i for i in range(len(term.index_dims)) if i != step]
    place = {i: k for k, i in enumerate(live)}
    moved = [(n, e, tuple(place[i] for i in own)) for n, e, own in factors]
    output = [place[i] for k, i in enumerate(term.output) if k != split]
    return build.product(term.coefficient, moved, output, [term.index_dims[i] for i in live])


def _last(system: Scan) -> Node:
    """One at the step that is taken last, zero elsewhere."""
    return build.unit(system.length, 0 if system.reverse else system.length - 1)
