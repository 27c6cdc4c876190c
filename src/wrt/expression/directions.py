"""Functions that are linear in some arguments, along the basis of one: a direction left open.

The value along every unit tensor is one call, mapped over the axes of the units. These axes come
behind the mapped axes that the call has already, before its result's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.function import Function
from wrt.expression.nodes import Apply, Dims, Einsum, Node

__all__ = ["Opened", "along_units", "open_directions", "opened"]


def along_units(node: Apply, position: int) -> Apply:
    """The call with the units of one argument in its place, mapped over them.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> from wrt.functions.matrix_functions import frechet
    >>> n = Dimension.of("n")
    >>> X, E = Variable("X", (n, n)), Variable("E", (n, n))
    >>> along_units(Apply(frechet("expm", 1), (X, E), 0), 1).shape
    ('n', 'n', 'n', 'n')
    """
    batch, units = node.batch, node.children[position].dims[node.batch :]
    lead = node.children[0].dims[:batch]
    arguments = [
        _units(lead, units) if k == position else _repeated(child, batch, units)
        for k, child in enumerate(node.children)
    ]
    return Apply(node.function, arguments, batch + len(units))


def _units(lead: Dims, units: Dims) -> Node:
    """The basis of a space of tensors: δ between the axes of the choice and of the tensor."""
    first = tuple(range(len(lead)))
    both = tuple(range(len(lead), len(lead) + len(units)))
    return build.product(ONE, (), (*first, *both, *both), (*lead, *units))


def _repeated(node: Node, batch: int, units: Dims) -> Node:
    """A tensor repeated along new axes behind its mapped ones."""
    dims = (*node.dims[:batch], *units, *node.dims[batch:])
    axes = (*range(batch), *range(batch + len(units), len(dims)))
    return build.product(ONE, ((node, 1, axes),), range(len(dims)), dims)


def open_directions(function: Function, given: Sequence[Node], count: int) -> Node:
    """A derivative of a matrix function, so many of its directions open behind its axes."""
    X = given[0]
    blank = build.zeros(X.dims)
    node = Apply(function, [*given, *[blank] * count], 0)
    for k in range(count):
        node = along_units(node, len(given) + k)
    axes = tuple(range(node.ndim))
    return build.product(ONE, ((node, 1, axes),), (*axes[-2:], *axes[:-2]), node.dims)


class Opened(NamedTuple):
    """A call taken apart: the arguments that are given, and the mapped axes of each open one."""

    given: tuple[Node, ...]
    pairs: tuple[tuple[int, ...], ...]


def opened(node: Node) -> Opened | None:
    """What `open_directions` was made of; None for any other node."""
    if not isinstance(node, Apply) or not node.function.linear or not node.batch:
        return None
    given: list[Node] = []
    pairs: list[tuple[int, ...]] = []
    for child in node.children:
        units = _open_axes(child, node.batch)
        if units is not None:
            pairs.append(units)
            continue
        core = _core(child, node.batch)
        if core is None:
            return None
        given.append(core)
    every = sorted(axis for pair in pairs for axis in pair)
    return Opened(tuple(given), tuple(pairs)) if every == list(range(node.batch)) else None


def _open_axes(node: Node, batch: int) -> tuple[int, ...] | None:
    """The mapped axes over which an argument runs through the units."""
    if not isinstance(node, Einsum) or node.children or not node.coefficient.is_one:
        return None
    core = node.output[batch:]
    if len(set(core)) < len(core) or any(node.output.count(i) != 2 for i in core):
        return None
    return tuple(node.output[:batch].index(i) for i in core)


def _core(node: Node, batch: int) -> Node | None:
    """An argument that is the same for all mapped axes, without them."""
    if not isinstance(node, Einsum):
        return None
    lead, core = node.output[:batch], node.output[batch:]
    if any(node.output.count(i) > 1 or any(i in idx for idx in node.indices) for i in lead):
        return None
    return build.product_without(node.coefficient, node.factors, core, node.index_dims, lead)
