"""Reshapes that come as close to the leaves as they can, and which axes of two shapes
belong together.
"""

from __future__ import annotations

from collections.abc import Sequence

from wrt.expression import build
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Einsum, Node, Reshape, Sum

__all__ = ["axis_groups", "reshaped"]


def reshaped(node: Node, dims: Sequence[Dimension]) -> Node:
    """A reshape that comes as close to the leaves as it can: axes split inside products and sums.

    >>> from wrt.expression.nodes import Variable
    >>> n, m = map(Dimension.of, "nm")
    >>> reshaped(build.identity(n * m), (n, m, n, m))
    <{1 -> ijij} : n, m, n, m>
    """
    dims = tuple(dims)
    if isinstance(node, Reshape):
        return reshaped(node.body, dims)
    if node.dims == dims:
        return node
    groups = axis_groups(node.dims, dims)
    if groups is None or not any(len(new) > 1 for _, new in groups):
        return build.reshape(node, dims)
    if any(len(old) > 1 and len(new) > 1 for old, new in groups):
        return build.reshape(node, dims)
    finer = tuple(
        d
        for old, new in groups
        for d in ([dims[k] for k in new] if len(old) == 1 else [node.dims[k] for k in old])
    )
    split = {
        old[0]: [dims[k] for k in new] for old, new in groups if len(old) == 1 and len(new) != 1
    }
    inner = _split_axes(node, split, finer)
    return inner if finer == dims else build.reshape(inner, dims)


def axis_groups(
    old: Sequence[Dimension], new: Sequence[Dimension]
) -> list[tuple[list[int], list[int]]] | None:
    """Which old axes together are which new ones, in order; None where they do not line up."""
    groups = []
    i = j = 0
    while i < len(old) or j < len(new):
        if i >= len(old) or j >= len(new):
            return None
        left, right = [i], [j]
        a, b = old[i], new[j]
        while a is not b:
            grow_left = _divides(a, b)
            if grow_left and i + 1 < len(old):
                i += 1
                left.append(i)
                a = a * old[i]
            elif not grow_left and j + 1 < len(new):
                j += 1
                right.append(j)
                b = b * new[j]
            else:
                return None
        groups.append((left, right))
        i, j = i + 1, j + 1
    return groups


def _divides(a: Dimension, b: Dimension) -> bool:
    """Whether the smaller side is a: by value where both are numbers, by degree else."""
    if a.value is not None and b.value is not None:
        return a.value < b.value
    degree = [max((sum(p for _, p in m) for m, _ in d.terms), default=0) for d in (a, b)]
    if degree[0] != degree[1]:
        return degree[0] < degree[1]
    return abs(a.terms[0][1]) < abs(b.terms[0][1])


def _split_axes(node: Node, split: dict[int, list[Dimension]], dims: tuple[Dimension, ...]) -> Node:
    """Axes of a node taken apart; inside a product, wherever the same index stands."""
    if isinstance(node, Sum):
        return build.add(*(reshaped(t, dims) for t in node.children))
    if not isinstance(node, Einsum) or any(
        node.output.count(i) != sum(1 for k in split if node.output[k] == i)
        for i in {node.output[k] for k in split}
    ):
        return build.reshape(node, dims)
    index_dims = list(node.index_dims)
    parts: dict[int, tuple[int, ...]] = {i: (i,) for i in range(len(index_dims))}
    for axis, pieces in split.items():
        i = node.output[axis]
        if parts[i] == (i,) or [index_dims[k] for k in parts[i]] == pieces:
            if parts[i] == (i,):
                parts[i] = tuple(range(len(index_dims), len(index_dims) + len(pieces)))
                index_dims += pieces
        else:
            return build.reshape(node, dims)
    factors = []
    for child, exponent, indices in node.factors:
        new = tuple(k for i in indices for k in parts[i])
        factors.append((reshaped(child, [index_dims[k] for k in new]), exponent, new))
    output = [k for i in node.output for k in parts[i]]
    return build.product_carried(node.coefficient, factors, output, index_dims)
