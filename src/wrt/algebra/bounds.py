"""Between which numbers all entries of a formula lie, as its form shows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf

from wrt.expression.coefficient import Coefficient
from wrt.expression.dataclass import dataclass
from wrt.expression.nodes import (
    Apply,
    Constant,
    Einsum,
    Exponent,
    Node,
    Pattern,
    Reshape,
    Sum,
    Variable,
)
from wrt.expression.walk import postorder

__all__ = ["ANYTHING", "Interval", "bounds"]


@dataclass(frozen=True)
class Interval:
    """Numbers from `low` to `high`; `above` and `below`: the end itself is not among them."""

    low: float
    high: float
    above: bool = False
    below: bool = False

    @property
    def sign(self) -> int:
        """2 above zero, 1 not below, -1 not above, -2 below zero, 0 where nothing is known."""
        if self.low >= 0:
            return 2 if self.low > 0 or self.above else 1
        if self.high <= 0:
            return -2 if self.high < 0 or self.below else -1
        return 0

    def __add__(self, other: Interval) -> Interval:
        return Interval(
            self.low + other.low,
            self.high + other.high,
            self.above or other.above,
            self.below or other.below,
        )

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low, self.below, self.above)

    def __mul__(self, other: Interval) -> Interval:
        a, b = (-self if self.sign < 0 else self), (-other if other.sign < 0 else other)
        if not (a.sign and b.sign):
            return ANYTHING
        open_ = (a.above or a.low > 0) and (b.above or b.low > 0)
        made = Interval(
            a.low * b.low,
            _times(a.high, b.high),
            (a.above or b.above) if a.low * b.low else open_,
            a.below or b.below,
        )
        return -made if (self.sign < 0) != (other.sign < 0) else made

    def raised(self, exponent: Exponent) -> Interval:
        """The power of each number, where that is defined."""
        if exponent == 1:
            return self
        if exponent.denominator == 1 and exponent % 2 == 0 and self.sign < 1:
            size = max(-self.low, self.high)
            end = self.below if self.high == size else self.above
            magnitude = -self if self.sign < 0 else Interval(0, size, False, end)
            return magnitude.raised(exponent)
        base = self
        if exponent.denominator != 1 and base.sign < 1:  # where it is defined, it is above zero
            base = Interval(0, max(self.high, 0), True, self.below)
        if base.sign < 1:
            return -(-base).raised(exponent) if base.sign < 0 else ANYTHING
        if exponent < 0:
            low = 0.0 if base.high == inf else base.high ** float(exponent)
            high = inf if base.low == 0 else base.low ** float(exponent)
            return Interval(low, high, base.below or base.high == inf, base.above)
        return Interval(
            base.low ** float(exponent), base.high ** float(exponent), base.above, base.below
        )

    def hull(self, number: float) -> Interval:
        """The interval with one more number in it."""
        return Interval(
            min(self.low, number),
            max(self.high, number),
            self.above and self.low < number,
            self.below and self.high > number,
        )


ANYTHING = Interval(-inf, inf)
_ZERO_TO_ONE = Interval(0, 1)
_ZERO_OR_ABOVE = Interval(0, inf)
_ABOVE_ZERO = Interval(0, inf, True)


def _times(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


def bounds(
    root: Node, positive: Collection[Node] = (), known: Mapping[Node, Interval] | None = None
) -> dict[Node, Interval]:
    """The interval of every node of a formula; those of `positive` are known to be above zero,
    those of `known` to lie in an interval.

    >>> from wrt.functions import BOOK
    >>> x = Variable("x", ())
    >>> f = 1 - BOOK["tanh"](x) ** 2
    >>> found = bounds(f)[f]
    >>> found.low, found.above, found.high
    (0.0, True, 1.0)
    """
    found: dict[Node, Interval] = {}
    for node in postorder(root):
        made = (known or {}).get(node) or _interval(node, found)
        found[node] = made if node not in positive or made.sign == 2 else _ABOVE_ZERO
    return found


def _interval(node: Node, found: dict[Node, Interval]) -> Interval:
    match node:
        case Variable():
            if "positive" in node.properties:
                return _ABOVE_ZERO
            if "nonnegative" in node.properties:  # of what was computed, none declares it
                return _ZERO_OR_ABOVE
            return _ZERO_TO_ONE if "simplex" in node.properties else ANYTHING
        case Constant():
            return _number(node.coefficient)
        case Pattern():
            return _ZERO_TO_ONE
        case Apply():
            return _value(node, found)
        case Sum():
            total = Interval(0, 0)
            for child in node.children:
                total = total + found[child]
            return total
        case Einsum():
            return _product(node, found)
        case Reshape():
            return found[node.body]
        case _:
            return ANYTHING


def _number(number: Coefficient) -> Interval:
    """A number: exactly, or its sign where sizes are part of it."""
    if number.is_imaginary:
        return ANYTHING
    if not number.powers:
        return Interval(float(number.value), float(number.value))
    if number.value == 0:
        return Interval(0, 0)
    return _ABOVE_ZERO if number.value > 0 else -_ABOVE_ZERO


def _value(node: Apply, found: dict[Node, Interval]) -> Interval:
    if node.function.interval is not None:
        low, is_low, high, is_high = node.function.interval
        return Interval(low, high, not is_low, not is_high)
    if "positive" in node.function.keeps.split() and node.children:
        if min(found[c].sign for c in node.children) == 2:
            return _ABOVE_ZERO
    return ANYTHING


def _product(node: Einsum, found: dict[Node, Interval]) -> Interval:
    made = _number(node.coefficient)
    for child, exponent, _ in node.factors:
        made = made * found[child].raised(exponent)
    if not made.sign and not node.output and _is_square(node):
        made = _number(node.coefficient) * Interval(0, inf)
    if node.summed:  # of at least one term
        if made.sign > 0:
            made = Interval(made.low, inf, made.above)
        elif made.sign < 0:
            made = Interval(-inf, made.high, False, made.below)
        else:
            made = ANYTHING
    return made.hull(0) if node.repeats else made


def _is_square(node: Einsum) -> bool:
    """x'x and tr(A'A): factors that pair off index by index."""
    factors = list(node.factors)
    return all(factors.count(factor) % 2 == 0 for factor in factors)
