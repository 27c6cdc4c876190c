"""A formula to be read: flat, in the shortest words, equal terms merged, brackets opened."""

from __future__ import annotations

from wrt.algebra.clearing import cleared
from wrt.algebra.laws import abbreviated, shortened
from wrt.algebra.merging import merged
from wrt.algebra.normal import flat_form
from wrt.algebra.powers import parted
from wrt.algebra.spreading import complemented, spread
from wrt.expression.nodes import Node

__all__ = ["settled"]


def settled(node: Node) -> Node:
    """A formula to read: flat, its terms merged by value, in the shortest words.

    Words that abbreviate come last: no more is compared by value after them.
    """
    flat = flat_form(merged(shortened(flat_form(node))))
    return flat_form(parted(abbreviated(complemented(cleared(spread(flat))))))
