"""The layouts in which books write one and the same tensor."""

from __future__ import annotations

from collections.abc import Sequence

from wrt.algebra.reshaping import axis_groups, reshaped
from wrt.expression import build
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Node, Reshape

__all__ = ["VIEWS", "laid_out"]

VIEWS = ("numerator", "denominator", "gradient", "vec-rows", "vec-columns")


def laid_out(node: Node, cut: int, groups: Sequence[int], view: str) -> Node:
    """A derivative with axes of f and then of x, in another layout; see `Derivative.view`.

    `cut` is how many axes are the rows, `groups` how many axes f and each variable have.
    """
    f, x = list(range(cut)), list(range(cut, node.ndim))
    match view:
        case "numerator":
            return build.transpose(node, f + x[::-1])
        case "denominator":
            return build.transpose(node, x + f[::-1])
        case "gradient":
            return build.transpose(node, x + f)
        case "vec-columns":
            node = _turned(node, _columns(_parts(groups)))
    rows, columns = _volume(node.dims[:cut]), _volume(node.dims[cut:])
    return reshaped(node, (rows, columns))


def _turned(node: Node, order: Sequence[int]) -> Node:
    """A transpose; axes that are made of several others are turned with those inside."""
    groups = axis_groups(node.body.dims, node.dims) if isinstance(node, Reshape) else None
    if groups is None or any(len(new) > 1 for _, new in groups):
        return build.transpose(node, order)
    assert isinstance(node, Reshape)
    inner = build.transpose(node.body, [k for axis in order for k in groups[axis][0]])
    return build.reshape(inner, [node.dims[axis] for axis in order])


def _parts(groups: Sequence[int]) -> list[range]:
    starts = [sum(groups[:k]) for k in range(len(groups))]
    return [range(s, s + g) for s, g in zip(starts, groups, strict=True)]


def _columns(groups: Sequence[range]) -> list[int]:
    """The axes in the order that lays each group out by columns."""
    return [axis for group in groups for axis in reversed(group)]


def _volume(dims: Sequence[Dimension]) -> Dimension:
    product = Dimension.of(1)
    for dim in dims:
        product = product * dim
    return product
