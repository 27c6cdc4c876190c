"""Plans by size: a program whose arrays have other sizes than it was planned for is planned again.

Which order of multiplying is cheapest depends on sizes, and these may be known only when the arrays
come in. Sizes of the same power of two share a plan; few plans are kept, and another one than the
first only where it costs less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from wrt.expression.nodes import Node
from wrt.programs.costs import PERIOD, billed, entries
from wrt.programs.module import Module
from wrt.programs.plan import Plan, plan

__all__ = ["Planned", "Plans", "nanoseconds", "widest"]

#: So many plans are kept besides the first.
MOST_PLANS = 8
#: A program that takes longer, in nanoseconds, is planned again at once, any other when it is asked
#: a second time: planning takes about as long.
LONG = 2e6
#: Another plan must save this share of the time.
SAVED = 0.05

#: Sizes that share a plan.
Class = tuple[tuple[str, int, bool], ...]


class Planned(NamedTuple):
    """A program as planned for some sizes: its bare function, and what runs it."""

    module: Module
    function: Callable[..., Any]
    run: Callable[..., Any]

    def lengths(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """The sizes that are parameters, which no argument tells."""
        return {word: sizes[n] for n, word in self.module.sizes.items()}


class Plans:
    """The plans of one program; `write` makes the program of other sizes.

    `told` are the sizes that the first one was planned for.
    """

    def __init__(
        self, first: Planned, write: Callable[[Mapping[str, int]], Planned], told: Mapping[str, int]
    ) -> None:
        self.first, self.write, self.told = first, write, told
        self._found: dict[Class, Planned | None] = {}

    def at(self, sizes: Mapping[str, int]) -> Planned:
        """The program for arrays of these sizes."""
        if all(self.told.get(n) == size for n, size in sizes.items()):
            return self.first
        key = _class(sizes)
        known = self._found.get(key)
        if known is not None:
            return known
        if key not in self._found:
            if len(self._found) >= MOST_PLANS:
                return self.first
            if _price(self.first.module.plan, sizes) < LONG:
                self._found[key] = None
                return self.first
        found = self._found[key] = self._cheaper(sizes)
        return found

    def _cheaper(self, sizes: Mapping[str, int]) -> Planned:
        """The first plan, or one for these sizes where that costs less."""
        first = self.first.module.plan
        other = plan(first.roots, sizes)
        if _price(other, sizes) > (1 - SAVED) * _price(first, sizes):
            return self.first
        found = self.write(sizes)
        return found if found.module.sizes.keys() <= self.first.module.sizes.keys() else self.first


def nanoseconds(formula: Node | tuple[Node, ...]) -> float:
    """About how long a program takes; sizes that are no numbers count as 100."""
    return _price(plan(formula, {}), {})


def widest(formula: Node | tuple[Node, ...]) -> int:
    """The entries of the largest array that a program forms."""
    return max((entries(dims, {}) for dims in plan(formula, {}).shapes()), default=0)


def _class(sizes: Mapping[str, int]) -> Class:
    return tuple([(n, size.bit_length(), size % PERIOD == 0) for n, size in sizes.items()])


def _price(plan: Plan, sizes: Mapping[str, int]) -> float:
    return billed(plan.steps, plan.results, sizes).nanoseconds
