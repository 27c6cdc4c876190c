"""Large sizes that are numbers, made small: the same question where it can be evaluated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wrt.errors import TooLarge
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Node, Pattern
from wrt.expression.walk import postorder, resized, variables

__all__ = ["shrunk", "small_dimensions"]

#: Sizes up to this number are kept as they were declared.
SMALL = 12


def shrunk(f: Node, xs: Sequence[Node]) -> tuple[Node, list[Node], bool]:
    """A formula and variables with every larger size that is a number replaced by a small one.

    Different sizes stay different and leave room for every entry that the formula names. The last
    result says whether anything changed.

    >>> from wrt.expression.nodes import Variable
    >>> W, x = (Variable(w, map(Dimension.of, d)) for w, d in (("W", (4096, 512)), ("x", (512,))))
    >>> shrunk(W @ x, [W])[0].shape
    (13,)
    """
    small = small_dimensions(f, xs)
    if not small:
        return f, list(xs), False
    f, *moved = (resized(node, small) for node in (f, *xs))
    return f, moved, True


def small_dimensions(f: Node, xs: Sequence[Node]) -> dict[Dimension, Dimension]:
    """For every larger size of a formula that is a number, the small one in its place."""
    known = (*variables(f), *xs)
    large = dict.fromkeys(d.value for v in known for d in v.dims if (d.value or 0) > SMALL)
    if not large:
        return {}
    named = _named(f)
    small: dict[Dimension, Dimension] = {}
    taken: set[int] = set()
    for value in large:
        assert value is not None
        size = max(SMALL + 1, named.get(value, 0))
        while size in taken:
            size += 1
        taken.add(size)
        small[Dimension.of(value)] = Dimension.of(min(size, value))
    left = [d for d in _dims((f,)) if d not in small and (d.value or 0) > SMALL**2]
    if left:
        raise TooLarge(f"a size of {left[0]} is too large for the check")
    return small


def _dims(roots: Iterable[Node]) -> Iterable[Dimension]:
    return (d for node in postorder(*roots) for d in (*node.dims, *getattr(node, "index_dims", ())))


def _named(f: Node) -> dict[int, int]:
    """For every size, how many entries the formula's own entries and slices need."""
    found: dict[int, int] = {}
    for node in postorder(f):
        if isinstance(node, Pattern):
            for relation in node.relations:
                for position, _ in relation.terms:
                    size = node.dims[position].value
                    if size is not None and relation.constant.value is not None:
                        found[size] = max(found.get(size, 0), abs(relation.constant.value) + 2)
    return found
