"""Polynomials in tanh(u) or sigmoid(u) that vanish at an end of its range, by the factor that does.

The float of tanh(20) is 1, so 1 - tanh(u)² is 0 where it is 1.7e-17: as a factor or in a logarithm
it is (1 - tanh(u))·(1 + tanh(u)), and these are 2·sigmoid(-2u) and 2·sigmoid(2u).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Apply, Constant, Einsum, Factor, Node, Sum
from wrt.functions import BOOK

__all__ = ["factored_end"]

#: The ends of a word that no float of its value tells apart from what is near: e, a and b with
#: 1 - e·word(u) = a·sigmoid(b·u).
_ENDS = {"tanh": ((1, 2, -2), (-1, 2, 2)), "sigmoid": ((1, 1, -1),)}
#: Powers above this one are left as they are.
HIGHEST = 8

#: The numbers of a polynomial, by the power that each is of.
Numbers = Mapping[int, Fraction]


def factored_end(node: Sum) -> Node | None:
    """The sum with such a factor taken out; None where it has none.

    >>> from wrt.expression.nodes import Variable
    >>> u = Variable("u", ())
    >>> factored_end(1 - BOOK["tanh"](u) ** 2)
    <{4 sigmoid({2 u[] -> })[] sigmoid({-2 u[] -> })[] -> } : scalar>
    """
    word = next((w for w in map(_word, node.children) if w is not None), None)
    numbers = None if word is None else _numbers(node, word)
    if word is None or numbers is None:
        return None
    axes = tuple(range(node.ndim))
    (u,) = word.children
    factors: list[Factor] = []
    number = Fraction(1)
    for end, times, slope in _ENDS[word.function.name]:
        while len(numbers) > 1 and not _at(numbers, end):
            numbers = _divided(numbers, end)
            number *= times
            factors.append((_sigmoid(build.scale(slope, u)), 1, axes))
    if not factors:
        return None
    factors.append((_polynomial(numbers, word), 1, axes))
    return build.scale(number, build.product(ONE, factors, axes, node.dims))


def _word(term: Node) -> Apply | None:
    """tanh(u) or sigmoid(u) of a number times one of its powers."""
    _, core = build.split(term)
    if isinstance(core, Einsum) and len(core.children) == 1 and core.indices == (core.output,):
        (core,) = core.children
    return core if isinstance(core, Apply) and core.function.name in _ENDS else None


def _numbers(node: Sum, word: Apply) -> Numbers | None:
    """The numbers by powers; None where this is no polynomial in the word with such numbers."""
    found: dict[int, Fraction] = {}
    for term in node.children:
        number, core = build.split(term)
        power = _power(core, word)
        if power is None or power > HIGHEST or not number.is_number:
            return None
        found[power] = Fraction(number.value)
    return found


def _power(core: Node, word: Apply) -> int | None:
    if isinstance(core, Constant) or core is build.ones(word.dims):
        return 0
    if core is word:
        return 1
    if _word(core) is word and isinstance(core, Einsum):
        (exponent,) = core.exponents
        return int(exponent) if exponent.denominator == 1 and exponent > 0 else None
    return None


def _at(numbers: Numbers, end: int) -> Fraction:
    """The value of a polynomial at an end."""
    return sum((c * end**k for k, c in numbers.items()), Fraction(0))


def _divided(numbers: Numbers, end: int) -> Numbers:
    """A polynomial over 1 - e·w, where it vanishes at the end e."""
    found: dict[int, Fraction] = {}
    carried = Fraction(0)
    for k in range(max(numbers)):
        carried = carried * end + numbers.get(k, 0)
        if carried:
            found[k] = carried
    return found


def _polynomial(numbers: Numbers, word: Apply) -> Node:
    ones = build.ones(word.dims)
    powers = [build.scale(c, build.power(word, k) if k else ones) for k, c in numbers.items()]
    return build.add(*powers)


def _sigmoid(u: Node) -> Node:
    return Apply(BOOK["sigmoid"], (u,), u.ndim)
