"""Derivatives of a vector that are zero off a diagonal, `D[i,a,…]` unless i is a: their cores.

A weight that acts on each entry of a state by itself, `w.*s`, moves that entry alone, and so it
stays where no step mixes the entries: n numbers tell n² of them, n·m of an input's weight n²·m.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from wrt.calculus.terms import terms_of
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Node, Variable

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["core", "laid", "shortened", "spread", "ties"]

T = TypeVar("T")


def shortened(dims: tuple[T, ...], axis: int, lead: int = 0) -> tuple[T, ...]:
    """The axes of a core: a batch's, the state's, the variable's but the tied one."""
    at = lead + axis + 1
    return (*dims[:at], *dims[at + 1 :])


def spread(short: Node, axis: int) -> Node:
    """The derivative that a core tells; `axis` of the variable is tied to that of the state.

    >>> from wrt.expression.dimensions import Dimension
    >>> n, m = Dimension.of("n"), Dimension.of("m")
    >>> M = Variable("M", (n, m))
    >>> core(spread(M, 0), 0) is M
    True
    """
    own = tuple(range(short.ndim))
    output = (*own[: axis + 1], 0, *own[axis + 1 :])
    return build.product(ONE, [(short, 1, own)], output, short.dims)


def core(node: Node, axis: int, lead: int = 0) -> Node | None:
    """The core of a derivative whose every term is zero off the diagonal; None of any other."""
    found = []
    for term in terms_of(node):
        if term.output[lead] != term.output[lead + axis + 1]:
            return None
        found.append(build.product(*term._replace(output=shortened(term.output, axis, lead))))
    return build.add(*found) if found else build.zeros(shortened(node.dims, axis, lead))


def laid(short: Array, axis: int, lead: int) -> Array:
    """The whole array of the values of a core, behind the axes of a batch."""
    import numpy as np

    at = lead + axis + 1
    shape = (*short.shape[:at], short.shape[lead], *short.shape[at:])
    whole = np.zeros(shape, short.dtype)
    letters = "abcdefgh"[: short.ndim]
    repeated = letters[:at] + letters[lead] + letters[at:]
    np.einsum(f"{repeated}->{letters}", whole)[...] = short
    return whole


def ties(
    by: Variable,
    starts: Mapping[Variable, Node],
    moved: Callable[[Mapping[Variable, int]], Mapping[Variable, Node]],
    lead: int,
) -> dict[Variable, int]:
    """Which states move with an axis of the variable tied to their own, and stay so.

    `starts` are the derivatives before the first step, behind the axes of a batch, `moved(found)`
    those after a step where those of some states are so before it.
    """
    for axis, length in enumerate(by.dims):
        found = {
            state: axis
            for state, start in starts.items()
            if state.dims == (length,) and core(start, axis, lead) is not None
        }
        while found:
            new = moved(found)
            kept = {state: axis for state in found if core(new[state], axis) is not None}
            if kept == found:
                return found
            found = kept
    return {}
