"""Formulas put one behind the other along an axis, and parts of an axis.

Blocks that are the same products of different weights are the product of the weights put one behind
the other: `[x*U'; x*V']` is `x*[U; V]'`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Dims, Einsum, Factor, Node, Sum, Variable

__all__ = ["Part", "behind", "part", "resized"]

#: Blocks are looked into this deep.
MOST_LEVELS = 4
NONE = Dimension.of(0)

#: Where a block stands along an axis: its start, and its length.
Part = tuple[Dimension, Dimension]


def resized(dims: Sequence[Dimension], axis: int, length: Dimension) -> Dims:
    """Dimensions with another length at one axis."""
    return (*dims[:axis], length, *dims[axis + 1 :])


def part(node: Node, axis: int, place: Part) -> Node:
    """Some entries along an axis.

    >>> n, m = Dimension.of("n"), Dimension.of("m")
    >>> x = Variable("x", (n + m,))
    >>> part(x, 0, (n, m)) is x[slice(n, n + m)]
    True
    """
    start, length = place
    if length is node.dims[axis]:
        return node
    axes = tuple(range(node.ndim))
    taken = build.section(length, node.dims[axis], start)
    output = resized_axes(axes, axis, node.ndim)
    dims = (*node.dims, length)
    return build.product(ONE, [(node, 1, axes), (taken, 1, (node.ndim, axis))], output, dims)


def resized_axes(axes: tuple[int, ...], axis: int, new: int) -> tuple[int, ...]:
    """Indices with another one at one axis."""
    return (*axes[:axis], new, *axes[axis + 1 :])


def behind(blocks: Sequence[Node], axis: int, levels: int = MOST_LEVELS) -> Node:
    """Blocks one behind the other.

    >>> n, m, k = Dimension.of("n"), Dimension.of("m"), Dimension.of("k")
    >>> U, V, x = Variable("U", (n, k)), Variable("V", (m, k)), Variable("x", (k,))
    >>> behind([U @ x, V @ x], 0) is behind([U, V], 0) @ x
    True
    """
    total = sum((one.dims[axis] for one in blocks), start=NONE)
    if levels:
        shared = _alike(blocks, axis, total, levels)
        if shared is not None:
            return shared
    start, terms = NONE, []
    for one in blocks:
        length, axes = one.dims[axis], tuple(range(one.ndim))
        put = build.section(length, total, start)
        factors: list[Factor] = [(one, 1, axes), (put, 1, (axis, one.ndim))]
        output = resized_axes(axes, axis, one.ndim)
        terms.append(build.product(ONE, factors, output, (*one.dims, total)))
        start = start + length
    return build.add(*terms)


def _alike(blocks: Sequence[Node], axis: int, total: Dimension, levels: int) -> Node | None:
    """Blocks that are the same formula of different weights as that formula of all of them."""
    parted = [_Terms(one, axis, total) for one in blocks]
    if any(not one.holes or one.holes.keys() != parted[0].holes.keys() for one in parted):
        return None
    filled = []
    for shape, (_, inner) in parted[0].holes.items():
        held = [one.holes[shape][0] for one in parted]
        whole = behind(held, inner, levels - 1)
        filled.append(_filled(shape, whole))
    return build.add(*filled)


class _Terms:
    """The terms of a formula with a hole where the axis comes from, by what is round the hole."""

    def __init__(self, node: Node, axis: int, total: Dimension) -> None:
        self.holes: Mapping[Node, tuple[Node, int]] = {}
        found: dict[Node, tuple[Node, int]] = {}
        for term in node.children if isinstance(node, Sum) else (node,):
            made = _hole(term, axis, total)
            if made is None or made[0] in found:
                return
            found[made[0]] = made[1:]
        self.holes = found


def _hole(term: Node, axis: int, total: Dimension) -> tuple[Node, Node, int] | None:
    """What is round the one factor that has the axis, that factor, and its own axis for it."""
    if not isinstance(term, Einsum) or term.repeats:
        return None
    index = term.output[axis]
    holders = [k for k, own in enumerate(term.indices) if index in own]
    if len(holders) != 1 or term.indices[holders[0]].count(index) > 1:
        return None
    (at,) = holders
    held, exponent, own = term.factors[at]
    inner = own.index(index)
    hole = Variable("·", resized(held.dims, inner, total))
    factors = [f for k, f in enumerate(term.factors) if k != at]
    dims = resized(term.index_dims, index, total)
    made = build.product(term.coefficient, [*factors, (hole, exponent, own)], term.output, dims)
    return made, held, inner


def _filled(shape: Node, whole: Node) -> Node:
    """A formula with its hole filled."""
    assert isinstance(shape, Einsum)
    children = [whole if isinstance(c, Variable) and c.name == "·" else c for c in shape.children]
    return shape.rebuild(children)
