"""What is known of complex formulas: sums of conj(z)*z are not below zero, conj(z) ≠ 0 is z ≠ 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from wrt.algebra.conjugation import conjugate, is_conjugate
from wrt.algebra.normal import normal_form
from wrt.expression import build
from wrt.expression.nodes import Einsum, Factor, Node, Sum
from wrt.expression.walk import holds_complex, postorder

__all__ = ["Sign", "is_modulus", "over_complex"]

Sign = int  # 2 above zero, 1 not below zero, 0 nothing known, -1 not known to be real

Condition = tuple[str, Node]


class _Turn(NamedTuple):
    """Where conjugation takes each index, and the half of the product that it belongs to."""

    to: Mapping[int, int]
    side: Mapping[int, int]


def is_modulus(node: Node, bars: dict[Node, Node], signs: Mapping[Node, Sign]) -> bool:
    """Whether a product is a sum of conj(z)*z, or of these times what is not below zero.

    >>> from wrt.algebra.conjugation import bar
    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> n = Dimension.of("n")
    >>> A, x = Variable("A", (n, n), ["complex"]), Variable("x", (n,), ["complex"])
    >>> [is_modulus(bar(x) @ y, {}, {}) for y in (x, A @ x)]
    [True, False]
    """
    if not isinstance(node, Einsum) or node.coefficient.value < 0:
        return False
    kept = dict.fromkeys(node.output, 0)
    return _pairs_off(node.factors, _Turn({i: i for i in kept}, kept), bars, signs)


def _pairs_off(
    factors: tuple[Factor, ...],
    turn: _Turn,
    bars: dict[Node, Node],
    signs: Mapping[Node, Sign],
) -> bool:
    """Whether every factor has its conjugate, at indices that are turned alike."""
    if not factors:
        return True
    (node, exponent, indices), *others = factors
    other = conjugate(node, bars)
    if other is node and (exponent % 2 == 0 or signs.get(node, 0) > 0):
        further = _turned(turn, indices, indices)
        if further and _pairs_off(tuple(others), further, bars, signs):
            return True
    for k, (child, power, places) in enumerate(others):
        further = _turned(turn, indices, places) if (child, power) == (other, exponent) else None
        rest = (*others[:k], *others[k + 1 :])
        if further and _pairs_off(rest, further, bars, signs):
            return True
    return False


def _turned(turn: _Turn, left: tuple[int, ...], right: tuple[int, ...]) -> _Turn | None:
    """The turn that also takes these indices to those; None where it cannot.

    Indices that move belong to one half each, and no factor joins the two.
    """
    to, side = dict(turn.to), dict(turn.side)
    moving = [(i, j) for i, j in zip(left, right, strict=True) if i != j]
    half = next((side[i] for i, _ in moving if side.get(i)), 1)
    for i, j in zip(left, right, strict=True):
        if to.setdefault(i, j) != j or to.setdefault(j, i) != i:
            return None
        mine = half if i != j else 0
        if side.setdefault(i, mine) != mine or side.setdefault(j, -mine) != -mine:
            return None
    return _Turn(to, side)


def over_complex(condition: Condition, signs: Mapping[Node, Sign]) -> Condition:
    """A condition on a real number, as it is wanted of a complex one, in its plainest form."""
    domain, node = condition
    if not holds_complex(node):
        return condition
    if signs.get(node) == -1 and domain == "above":
        domain, node = "slit", build.add(node, build.ones(node.dims))
    elif signs.get(node) == -1 and domain == "positive":
        domain = "slit"
    elif domain in ("positive", "nonzero"):
        inside = _inside(node)
        domain, node = (domain, node) if inside is None else ("nonzero", inside)
    if domain in ("nonzero", "slit", "invertible", "principal"):
        node = min(node, conjugate(node), key=_bars)
    node = normal_form(node)
    other = build.add(*map(build.negative, node.children)) if isinstance(node, Sum) else node
    return domain, min(node, other, key=_minus) if domain == "nonzero" else node


def _inside(node: Node) -> Node | None:
    """The z of conj(z)*z."""
    if not isinstance(node, Einsum) or node.summed or len(node.children) != 2:
        return None
    first, second = node.children
    alike = conjugate(first) is second and node.exponents == (1, 1)
    return first if alike and node.indices[0] == node.indices[1] else None


def _minus(node: Node) -> tuple[int, bytes]:
    """How many terms are negative; where as many are, the sign of the least by digest."""
    parts = sorted((core.digest, c.value < 0) for c, core in map(build.split, node.children))
    return sum(negative for _, negative in parts), bytes(negative for _, negative in parts)


def _bars(node: Node) -> tuple[int, bytes]:
    return sum(map(is_conjugate, postorder(node))), node.digest
