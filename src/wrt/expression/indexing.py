"""Entries and slices as NumPy counts them: from 0, the end left out, step 1."""

from __future__ import annotations

from typing import Any

from wrt.errors import ShapeMistake
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Node

__all__ = ["getitem"]


def getitem(node: Node, key: Any) -> Node:
    """Entries and slices as NumPy counts them: from 0, the end left out, step 1."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if Ellipsis in keys:
        at = keys.index(Ellipsis)
        keys[at : at + 1] = [slice(None)] * (node.ndim - len(keys) + 1)
    if len(keys) > node.ndim:
        raise ShapeMistake(f"{len(keys)} indices for {node.ndim} axes")
    dims, factors, output = list(node.dims), [], []
    factors.append((node, 1, tuple(range(node.ndim))))
    for axis, one in enumerate(keys + [slice(None)] * (node.ndim - len(keys))):
        if isinstance(one, slice):
            start, length = _slice(one, node.dims[axis])
            if length is node.dims[axis]:
                output.append(axis)
                continue
            dims.append(length)
            output.append(len(dims) - 1)
            pattern = build.section(length, node.dims[axis], start)
            factors.append((pattern, 1, (len(dims) - 1, axis)))
        else:
            position = _position(one, node.dims[axis])
            factors.append((build.unit(node.dims[axis], position), 1, (axis,)))
    return build.product(ONE, factors, output, dims)


def _position(index: Any, dim: Dimension) -> Dimension:
    if not isinstance(index, (int, Dimension)) or isinstance(index, bool):
        raise ShapeMistake(f"{index!r} is not an index; whole numbers and slices are")
    position = Dimension.of(index)
    size, at = dim.value, position.value
    if at is not None and at < 0:
        position = dim + at
        at = position.value
    if at is not None and (at < 0 or (size is not None and at >= size)):
        raise ShapeMistake(f"index {index} is outside an axis of {dim} entries")
    return position


def _slice(key: slice, dim: Dimension) -> tuple[Dimension, Dimension]:
    if key.step not in (None, 1):
        raise ShapeMistake("slices have step 1")
    start = Dimension.of(0) if key.start is None else _bound(key.start, dim)
    stop = dim if key.stop is None else _bound(key.stop, dim)
    length = stop - start
    if length.value is not None and length.value < 1:
        raise ShapeMistake(f"the slice {key.start}:{key.stop} is empty")
    return start, length


def _bound(index: Any, dim: Dimension) -> Dimension:
    bound = Dimension.of(index)
    if bound.value is not None and bound.value < 0:
        bound = dim + bound.value
    low, size = bound.value, dim.value
    if low is not None and (low < 0 or (size is not None and low > size)):
        raise ShapeMistake(f"{index} is outside an axis of {dim} entries")
    return bound
