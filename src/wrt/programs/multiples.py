"""Weights of one thing that moves, one behind the other: `[a.*z; b.*z]` is z times a and b at once.

The weights of all steps are put together before the loop, and a step multiplies once where it would
multiply several times and lay the results side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from wrt.expression import build
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Einsum, Factor, Node, Variable
from wrt.programs.blocks import resized

__all__ = ["multiples_behind"]

Axes = tuple[int, ...]


class _Multiple(NamedTuple):
    """A product entry by entry of what moves and of a weight that has some of its axes."""

    moving: Node
    weight: Node
    axes: Axes


def multiples_behind(
    parts: Sequence[Node],
    axis: int,
    carries: Collection[Variable],
    element: Callable[[Sequence[Node], int], Node],
) -> Node | None:
    """Parts of a step one behind the other, where all are multiples of one thing that moves.

    `element` gives what a step reads of their weights, put one behind the other along an axis.
    """
    found = [_multiple(part, axis, carries) for part in parts]
    one, first = found[0], parts[0]
    if one is None or any(m is None or m[::2] != one[::2] for m in found):
        return None
    if any(part.dims != first.dims for part in parts):
        return None
    length, count, at = first.dims[axis], Dimension.of(len(parts)), one.axes.index(axis)
    weights = element([m.weight for m in found if m is not None], at)
    held, axes, new = weights.dims, tuple(range(first.ndim)), first.ndim
    apart = build.reshape(weights, (*held[:at], count, length, *held[at + 1 :]))
    own = (*one.axes[:at], new, *one.axes[at:])
    output = (*axes[:axis], new, *axes[axis:])
    factors: list[Factor] = [(one.moving, 1, axes), (apart, 1, own)]
    whole = build.product(ONE, factors, output, (*first.dims, count))
    return build.reshape(whole, resized(first.dims, axis, held[at]))


def _multiple(part: Node, axis: int, carries: Collection[Variable]) -> _Multiple | None:
    """A part as a multiple: one factor that moves, the others given for the step."""
    coefficient, factors = _entrywise(part)
    moving = [f for f in factors if not f[0].names.isdisjoint(carries)]
    axes = tuple(range(part.ndim))
    if len(moving) != 1 or moving[0][1:] != (1, axes):
        return None
    rest = [f for f in factors if f is not moving[0]]
    used = tuple(sorted({i for _, _, own in rest for i in own}))
    if axis not in used:
        return None
    place = {i: k for k, i in enumerate(used)}
    inner = [(f, e, tuple([place[i] for i in own])) for f, e, own in rest]
    weight = build.product(coefficient, inner, range(len(used)), [part.dims[i] for i in used])
    return _Multiple(moving[0][0], weight, used)


def _entrywise(part: Node) -> tuple[Coefficient, Sequence[Factor]]:
    """The factors of a product entry by entry, and of such products in it, over the axes of it."""
    coefficient, found = ONE, list[Factor]()
    stack: list[Factor] = [(part, 1, tuple(range(part.ndim)))]
    while stack:
        node, exponent, at = stack.pop()
        if isinstance(node, Einsum) and exponent == 1 and not node.summed and not node.repeats:
            place = dict(zip(node.output, at, strict=True))
            coefficient = coefficient * node.coefficient
            stack += [(f, e, tuple([place[i] for i in own])) for f, e, own in node.factors]
        else:
            found.append((node, exponent, at))
    return coefficient, found
