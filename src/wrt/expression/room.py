"""Sizes that have room for the entries that a formula names: x[9] needs nine of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Node, Pattern
from wrt.expression.walk import postorder

__all__ = ["with_room"]


def with_room(sizes: Mapping[str, int], *roots: Node, even: Collection[str] = ()) -> dict[str, int]:
    """The sizes, raised where entries at fixed places would not be there; different ones stay
    different, and those of `even` names even.

    >>> from wrt.expression.nodes import Variable
    >>> n, m = Dimension.of("n"), Dimension.of("m")
    >>> x, y = Variable("x", (n,)), Variable("y", (m,))
    >>> with_room({"m": 3, "n": 4}, x[2] + y[7])
    {'m': 8, 'n': 4}
    """
    found = dict(sizes)
    for dim, least in _needs(*roots):
        names = sorted(dim.names)
        if not names or not dim.names <= found.keys() or dim.size(found) >= least:
            continue
        for _ in range(least + 1):  # sizes of several names rise in turn
            for name in names:
                _raise(found, name, 2 if name in even else 1)
            if dim.size(found) >= least:
                break
    return found


def _raise(sizes: dict[str, int], name: str, step: int) -> None:
    others = {size for other, size in sizes.items() if other != name}
    distinct = sizes[name] not in others
    sizes[name] += step
    while distinct and sizes[name] in others:
        sizes[name] += step


def _needs(*roots: Node) -> Iterator[tuple[Dimension, int]]:
    """The dimensions of patterns, each with the least size at which no relation is empty."""
    for node in postorder(*roots):
        if not isinstance(node, Pattern):
            continue
        for dim in node.dims:
            if len(dim.terms) > 1:  # a rest such as n - 4
                yield dim, 1
        for relation in node.relations:
            constant = relation.constant.value
            if not constant or relation.kind != "==":
                continue
            known = [node.dims[i].value or 1 for i, _ in relation.terms]
            least = abs(constant) + 1
            for (i, _), own in zip(relation.terms, known, strict=True):
                yield node.dims[i], least + max(sum(k - 1 for k in known) - (own - 1), 0)
