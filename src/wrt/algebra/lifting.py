"""A formula over core axes, mapped over further axes: how the sentence of a record meets its
arguments.

A record's rule or definition is read once over variables with the signature's dimensions (a
template). `lift` puts formulas in the place of the variables, their dimensions in the place of the
signature's, and carries the mapped axes through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from wrt.expression import build
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import (
    Apply,
    BoundedSum,
    Constant,
    Einsum,
    Node,
    Pattern,
    Relation,
    Reshape,
    Result,
    Scan,
    Sum,
    Variable,
)
from wrt.expression.walk import postorder

__all__ = ["Lifting", "Steps", "entry_steps", "lift", "lift_entries"]

Dims = tuple[Dimension, ...]


def lift(
    template: Node,
    arguments: Mapping[Variable, Node],
    dimensions: Mapping[str, Dimension],
    batch: Dims,
) -> Node:
    """The template with arguments of dims `batch + core`; the result has the batch axes in front.

    >>> from wrt.expression.nodes import Variable
    >>> n, m, k = map(Dimension.of, "nmk")
    >>> x, X = Variable("x", (n,)), Variable("X", (m, k))
    >>> lift(x @ x, {x: X}, {"n": k}, (m,)) is build.einsum("mk,mk->m", X, X)
    True
    """
    return Lifting(arguments, dimensions, batch).full(template)


@lru_cache(maxsize=2048)
def _order(template: Node) -> tuple[Node, ...]:
    return tuple(postorder(template))


class Lifting:
    """One instantiation of templates; subformulas that templates share are lifted once."""

    def __init__(
        self,
        arguments: Mapping[Variable, Node],
        dimensions: Mapping[str, Dimension],
        batch: Dims,
    ) -> None:
        self.dimensions, self.batch = dimensions, batch
        self.done: dict[Node, Node] = {}
        self.batched: set[Node] = set()
        for variable, node in arguments.items():
            self.done[variable] = node
            self.batched.add(variable)
        #: the names that a range's variable may not have
        self.taken = {v.name for node in arguments.values() for v in node.names}

    def full(self, template: Node) -> Node:
        """The lifted template, with the batch axes whether or not it depends on an argument."""
        node = self(template)
        return node if template in self.batched else self._broadcast(node)

    def __call__(self, template: Node) -> Node:
        """The lifted template; batch axes in front where it depends on an argument."""
        for node in _order(template):
            if node not in self.done:
                self.done[node] = self._one(node)
                # the steps of a recurrence hold variables of its own
                parts = node.names if isinstance(node, Scan) else node.children
                if any(part in self.batched for part in parts):
                    self.batched.add(node)
        return self.done[template]

    def dims(self, dims: Sequence[Dimension]) -> Dims:
        """Dimensions of the signature as those of the arguments."""
        if not self.dimensions:
            return tuple(dims)
        return tuple(d.replace(self.dimensions) for d in dims)

    def product(self, node: Einsum, split: int) -> Node:
        """An Einsum lifted with the batch axes before its first axis and again before axis
        `split`.
        """
        for child in node.children:
            self(child)
        lead = tuple(range(len(self.batch)))
        shift = len(lead)
        factors = [
            (
                self.done[child],
                exponent,
                (lead if child in self.batched else ()) + tuple(i + shift for i in indices),
            )
            for child, exponent, indices in node.factors
        ]
        output = tuple(i + shift for i in node.output)
        both = (*lead, *output[:split], *lead, *output[split:])
        dims = (*self.batch, *self.dims(node.index_dims))
        return build.product(node.coefficient.replace(self.dimensions), factors, both, dims)

    def _broadcast(self, node: Node) -> Node:
        if isinstance(node, Constant):
            return build.scale(node.coefficient, build.ones(self.batch))
        axes = tuple(range(len(self.batch), len(self.batch) + node.ndim))
        out = tuple(range(len(self.batch) + node.ndim))
        return build.product(ONE, ((node, 1, axes),), out, (*self.batch, *node.dims))

    def _one(self, node: Node) -> Node:
        children = [self.done[c] for c in node.children]
        batched = [c in self.batched for c in node.children]
        match node:
            case Variable():
                return Variable(node.name, self.dims(node.dims), node.properties)
            case Constant():
                return Constant(node.coefficient.replace(self.dimensions))
            case Pattern():
                relations = [
                    Relation(r.terms, r.constant.replace(self.dimensions), r.kind)
                    for r in node.relations
                ]
                return Pattern(self.dims(node.dims), relations)
            case Einsum():
                return self._einsum(node, children, batched)
            case Sum():
                return build.add(*self._aligned(children, batched))
            case Apply():
                arguments = self._aligned(children, batched)
                return Apply(node.function, arguments, node.batch + self._extra(batched))
            case Result():
                call = children[0]
                assert isinstance(call, Apply)
                return Result(call, node.position)
            case BoundedSum():
                return self._bounded(node)
            case Scan():
                return self._scan(node)
            case Reshape():
                lead = self.batch if batched[0] else ()
                return build.reshape(children[0], (*lead, *self.dims(node.dims)))
        raise AssertionError(node)

    def _extra(self, batched: Sequence[bool]) -> int:
        return len(self.batch) if any(batched) else 0

    def _aligned(self, children: list[Node], batched: list[bool]) -> list[Node]:
        if not any(batched):
            return children
        return [c if b else self._broadcast(c) for c, b in zip(children, batched, strict=True)]

    def _einsum(self, node: Einsum, children: list[Node], batched: list[bool]) -> Node:
        shift = len(self.batch)
        lead = tuple(range(shift))
        factors = [
            (child, exponent, (lead if b else ()) + tuple(i + shift for i in indices))
            for child, b, exponent, indices in zip(
                children, batched, node.exponents, node.indices, strict=True
            )
        ]
        output = (lead if any(batched) else ()) + tuple(i + shift for i in node.output)
        dims = (*self.batch, *self.dims(node.index_dims))
        if not any(batched):  # the batch axes are no part of this product
            factors = [(c, e, tuple(i - shift for i in idx)) for c, e, idx in factors]
            output = tuple(i - shift for i in output)
            dims = dims[shift:]
        return build.product(node.coefficient.replace(self.dimensions), factors, output, dims)

    def _bounded(self, node: BoundedSum) -> Node:
        """The bound variable is renamed where an argument uses its name."""
        name = node.variable.name
        while name in self.taken:
            name += "_"
        fresh = Variable(name, (), node.variable.properties)
        inner = Lifting({}, self.dimensions, self.batch)
        inner.done, inner.batched, inner.taken = dict(self.done), set(self.batched), self.taken
        for dependent in list(inner.done):
            if node.variable in dependent.names:
                del inner.done[dependent]
        inner.done[node.variable] = fresh
        low, high = self(node.low), self(node.high)
        body = inner(node.body)
        if node.body in inner.batched:
            self.batched.add(node)
        return build.bounded(node.kind, fresh, low, high, body)

    def _scan(self, node: Scan) -> Node:
        """A recurrence of states with the batch axes; its steps stay the first axis inside."""
        if not any(v in self.batched for v in node.names):
            return node
        inner = Lifting({}, self.dimensions, self.batch)
        inner.done, inner.batched = dict(self.done), set(self.batched)
        inner.taken = self.taken | {v.name for v in node.names}
        for dependent in list(inner.done):
            if not node.bound.isdisjoint(dependent.names):
                del inner.done[dependent]
                inner.batched.discard(dependent)
        lead = len(self.batch)
        for carry in node.carries:
            inner._bind(carry, self.batch)
        series = []
        for element, one in zip(node.elements, node.series, strict=True):
            lifted = self(one)
            if one in self.batched:
                order = (lead, *range(lead), *range(lead + 1, lifted.ndim))
                lifted = build.transpose(lifted, order)
            inner._bind(element, self.batch if one in self.batched else ())
            series.append(lifted)
        nexts = [inner.full(one) for one in node.nexts]
        starts = [self.full(one) for one in node.initials]
        made = Scan(
            [_variable(inner.done[v]) for v in node.carries],
            [_variable(inner.done[v]) for v in node.elements],
            (*starts, *series, *nexts),
            self.dims((node.length,))[0],
            node.position,
            node.before,
            node.reverse,
        )
        return build.transpose(made, (*range(1, lead + 1), 0, *range(lead + 1, made.ndim)))

    def _bind(self, variable: Variable, batch: Dims) -> None:
        """A variable that a recurrence binds, by a name that no argument uses."""
        name = variable.name
        while name in self.taken:
            name += "_"
        bound = Variable(name, (*batch, *self.dims(variable.dims)), variable.properties)
        self.done[variable] = bound
        if batch:
            self.batched.add(variable)


def _variable(node: Node) -> Variable:
    assert isinstance(node, Variable)
    return node


# Functions of one entry: most of what a long formula is made of


#: The nodes of a template in order, with the places of their children; those of variables among
#: the variables.
Steps = tuple[tuple[Node, tuple[int, ...]], ...]


def lift_entries(steps: Steps, arguments: Sequence[Node], dims: Dims) -> Node:
    """A template of scalars, by its steps, mapped over all axes of its arguments.

    >>> n = Dimension.of("n")
    >>> x, X = Variable("x", ()), Variable("X", (n,))
    >>> lift_entries(entry_steps(1 - x**2, (x,)), (X,), (n,)) is 1 - X**2
    True
    """
    axes = tuple(range(len(dims)))
    made: list[Node] = []
    for node, places in steps:
        kind = type(node)
        if kind is Variable:
            made.append(arguments[places[0]])
        elif kind is Einsum:
            exponents = node.exponents  # type: ignore[attr-defined]
            factors = [(made[p], e, axes) for p, e in zip(places, exponents, strict=True)]
            made.append(build.product(node.coefficient, factors, axes, dims))  # type: ignore[attr-defined]
        elif kind is Sum:
            made.append(build.add(*[made[p] for p in places]))
        elif kind is Constant:
            made.append(_repeated(node.coefficient, dims))  # type: ignore[attr-defined]
        else:
            assert isinstance(node, Apply)
            made.append(Apply(node.function, [made[p] for p in places], len(dims)))
    return made[-1]


@lru_cache(maxsize=256)
def _repeated(number: Coefficient, dims: Dims) -> Node:
    return build.scale(number, build.ones(dims))


@lru_cache(maxsize=2048)
def entry_steps(template: Node, variables: tuple[Variable, ...]) -> Steps | None:
    """The steps of a template of scalars; None where it is not that plain."""
    steps: list[tuple[Node, tuple[int, ...]]] = []
    place: dict[Node, int] = {}
    for node in postorder(template):
        plain = isinstance(node, Variable | Constant | Einsum | Sum | Apply) and not node.ndim
        if not plain or (isinstance(node, Variable) and node not in variables):
            return None
        mixed = isinstance(node, Einsum | Apply) and not all(c.names for c in node.children)
        if mixed or (isinstance(node, Einsum) and node.index_dims):
            return None
        place[node] = len(steps)
        if isinstance(node, Variable):
            steps.append((node, (variables.index(node),)))
        else:
            steps.append((node, tuple([place[c] for c in node.children])))
    return tuple(steps) if template.names else None
