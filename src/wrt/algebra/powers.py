"""Powers with an exponent that is no number: x^(a-1) beside x^a is x^a/x, and back."""

from __future__ import annotations

from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Apply, Constant, Node, Sum
from wrt.expression.walk import rewrite

__all__ = ["parted"]


def parted(root: Node) -> Node:
    """A formula with the whole numbers in exponents of scalar powers apart: x^(a-1) as x^a/x.

    >>> from wrt.language import read
    >>> parted(read("a^(b-1)").formula) is read("a^b/a").formula
    True
    """
    return rewrite(root, _parted)


def _parted(node: Node) -> Node:
    if not isinstance(node, Apply) or node.function.name != "power" or node.ndim:
        return node
    base, exponent = node.children
    if not isinstance(exponent, Sum):
        return node
    numbers = [t for t in exponent.children if isinstance(t, Constant) and t.coefficient.is_number]
    if len(numbers) != 1 or numbers[0].coefficient.value.denominator != 1:
        return node
    rest = build.add(*(t for t in exponent.children if t is not numbers[0]))
    power = Apply(node.function, (base, rest), 0)
    whole = int(numbers[0].coefficient.value)
    return build.product(ONE, ((power, 1, ()), (base, whole, ())), (), ())
