"""Traces of products: the ways to cut a closed chain open, and the one that is said."""

from __future__ import annotations

from collections.abc import Sequence

from wrt.expression.coefficient import ONE
from wrt.notation.phrases import flip, times
from wrt.notation.tree import Tree, call

__all__ = ["least", "traces"]

#: A closed chain is cut open at this many places.
MOST_CUTS = 8


def traces(chain: Sequence[Tree]) -> list[Tree]:
    """The traces of a closed chain cut open at each place, either way round."""
    back = [flip(t) for t in reversed(chain)]
    return [
        _trace([*way[k:], *way[:k]])
        for way in (list(chain), back)
        for k in range(min(len(chain), MOST_CUTS))
    ]


def _trace(chain: Sequence[Tree]) -> Tree:
    """The trace of a chain; what begins with a row is a number already."""
    inside = times(ONE, chain)
    return call("tr", [inside], latex=r"\operatorname{tr}(@0)") if inside.is_array else inside


def least(ways: Sequence[Tree]) -> Tree:
    """The one that a person would write; the same one however the ways are ordered."""
    return min(ways, key=lambda t: (*t.cost, t.order, t.text))
