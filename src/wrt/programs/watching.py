"""Where NaN shows: what comes in need not be read for it where a result would tell of it.

NaN in a sum or a product is NaN, and so it is in most functions; comparisons forget it, and what a
pattern cuts away was never read.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import prod
from typing import Any

from wrt.expression.function import Function
from wrt.expression.meaning import library
from wrt.expression.nodes import Apply, Einsum, Node, Pattern, Reshape, Sum, Variable
from wrt.expression.walk import postorder

__all__ = ["COMPUTED", "is_suspicious", "told", "told_by"]

#: A part of a tensor that was computed when arrays were bound is known by this property.
COMPUTED = "computed"
#: A part is read instead of what it tells of where that has so many times its entries.
FEWER = 2

Names = frozenset[Variable]
NONE: Names = frozenset()


def told(root: Node) -> Names:
    """The variables of which any entry that is NaN makes an entry of the formula NaN.

    >>> from wrt.expression.dimensions import Dimension
    >>> n = Dimension.of("n")
    >>> A, x = Variable("A", (n, n)), Variable("x", (n,))
    >>> sorted(v.name for v in told(A @ x))
    ['A', 'x']
    """
    found: dict[Node, Names] = {}
    for node in postorder(root):
        found[node] = _told(node, found)
    return found[root]


def _told(node: Node, known: Mapping[Node, Names]) -> Names:
    match node:
        case Variable():
            return frozenset([node])
        case Sum() | Reshape():
            return NONE.union(*(known[c] for c in node.children))
        case Einsum():
            if any(isinstance(child, Pattern) for child in node.children):
                return NONE
            whole = (c for c, _, indices in node.factors if len(set(indices)) == len(indices))
            return NONE.union(*(known[c] for c in whole))
        case Apply():
            pairs = enumerate(node.children)
            return NONE.union(*(known[c] for k, c in pairs if _passes(node.function, k)))
    return NONE


@lru_cache(maxsize=512)
def _passes(function: Function, place: int) -> bool:
    """Whether NaN in an argument is NaN in the result: tried, for functions of numbers and rows."""
    import numpy as np

    form = function.forms[0]
    row = len(form.arguments) == 1 and len(form.arguments[0].dims or ()) < 2
    plain = all(a.kind == "array" for a in form.arguments) and len(form.results) == 1
    if not (function.defined and plain and (function.entrywise or row)):
        return False
    arguments = [np.ones(3) for _ in form.arguments]
    arguments[place][1] = np.nan
    with np.errstate(all="ignore"):
        return bool(np.isnan(library(function.code("numpy"))(*arguments)).any())


def told_by(parts: Mapping[Variable, Node], asked: Names) -> tuple[list[Variable], Names]:
    """Small parts that tell of what is asked, and what they tell of."""
    places, done = list[Variable](), NONE
    for tells, variable in sorted(
        ((told(node) & asked, v) for v, node in parts.items()),
        key=lambda pair: (-len(pair[0]), _entries(pair[1])),
    ):
        fresh = tells - done
        if FEWER * _entries(variable) <= sum(map(_entries, fresh)):
            places.append(variable)
            done |= fresh
    return places, done


def _entries(v: Variable) -> int:
    return prod(d.value or 1 for d in v.dims)


def is_suspicious(array: Any) -> bool:
    """Whether an array of floats has NaN in it, which is above all numbers to NumPy: one pass, and
    nothing new is formed.
    """
    flat = array.ravel("K")
    highest = flat.item(flat.argmax()) if flat.size else 0.0
    return highest != highest
