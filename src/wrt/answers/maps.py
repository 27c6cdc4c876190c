"""A derivative as a linear map in its last variable, as formulas that never form it.

The directional derivative is that of ⟨pullback of g, V⟩ by g: two sweeps back of scalars.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from wrt.algebra import expand, merged, normal_form
from wrt.answers.parts import inner, picked, released, swept, unused
from wrt.calculus import constrained_derivative, constraint, derivative, free_derivative
from wrt.errors import NameMistake
from wrt.expression.dataclass import dataclass
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import holds_complex, substitute
from wrt.language import Wanted

__all__ = ["Maps", "keys"]


def keys(wanted: Sequence[Wanted]) -> tuple[Any, ...]:
    """The entries that are asked for of each variable, as `build.getitem` takes them."""
    found: list[Any] = []
    for one in wanted:
        found += one.selection.key if one.selection else [slice(None)] * one.variable.ndim
    return tuple(found)


@dataclass(frozen=True)
class Maps:
    """The maps of a derivative: `plain` is the whole of it, `groups` its axes by name."""

    f: Node
    wanted: tuple[Wanted, ...]
    convention: str
    plain: Node
    groups: tuple[int, ...]

    @property
    def first(self) -> tuple[Dimension, ...]:
        """The axes of f and of the variables before the last."""
        return self.plain.dims[: self.plain.ndim - self.groups[-1]]

    @property
    def last(self) -> tuple[Dimension, ...]:
        """The axes of (the entries asked for of) the last variable."""
        return self.plain.dims[self.plain.ndim - self.groups[-1] :]

    def direction(self, name: str) -> Variable:
        """A direction of the last variable, with its linear properties. Raises NameMistake for what
        is no name.
        """
        if not (isinstance(name, str) and name.isidentifier()):
            raise NameMistake(
                f"{name or 'nothing'} is no name for a direction",
                hint="a name as V stands for it; its numbers are given with the other values",
            )
        one = self.wanted[-1]
        rules = () if one.selection else constraint(one.variable)
        return Variable(name, self.last, [*rules, *self._numbers])

    def moving(self, name: str) -> Variable:
        """A change of the last variable, of any kind."""
        return Variable(name, self.last, self._numbers)

    def gradient(self, name: str) -> Variable:
        """A gradient by what is before the last variable."""
        return Variable(name, self.first, self._numbers)

    @cached_property
    def _numbers(self) -> tuple[str, ...]:
        """What a direction and a gradient may be: complex where anything is."""
        return ("complex",) if holds_complex(self.f, self.plain) else ()

    @cached_property
    def _found(self) -> dict[tuple[str, str], Node]:
        """Maps that were found before: what, and the name of what it multiplies."""
        return {}

    def _once(self, what: str, name: str, find: Callable[[], Node]) -> Node:
        if (what, name) not in self._found:
            self._found[what, name] = find()
        return self._found[what, name]

    def contracted(self, name: str) -> Node:
        """D times a variable of that name, shaped as the last: the sum over its entries."""
        return self._once("contracted", name, lambda: self._twice(self.moving(name), free=False))

    def along(self, name: str) -> Node:
        """How f changes along `direction`: by the free derivative where that is constrained."""
        direction = self.direction(name)
        free = bool(constraint(direction))
        return self._once("along", name, lambda: self._twice(direction, free))

    def _twice(self, direction: Variable, free: bool) -> Node:
        if not self.first and not free:
            return normal_form(inner(self.plain, direction))
        taken = [direction.name, *(v.name for v in self.f.names | self.plain.names)]
        g = self.gradient(unused("g", taken))
        moved = inner(self._pulled(g, free), direction)
        return normal_form(merged(normal_form(derivative(moved, g))))

    def pulled_back(self, name: str) -> Node:
        """A variable of that name, shaped as what is before the last, times D."""
        g = self.gradient(name)
        return self._once(
            "pulled back", name, lambda: normal_form(merged(normal_form(self._pulled(g))))
        )

    @cached_property
    def _released(self) -> dict[Variable, Variable]:
        """Variables of curved sets as free ones: what holds only there is used after the sweeps."""
        return released([one.by for one in self.wanted])

    @cached_property
    def _before(self) -> Node:
        """The derivative by all variables but the last, of the entries that are asked for."""
        others, f = self.wanted[:-1], self.f
        f = substitute(expand(f), self._released) if self._released else f
        node = swept(f, [substitute(one.by, self._released) for one in others], self.convention)
        if not any(one.selection for one in others):
            return normal_form(node)
        return picked(node, (*[slice(None)] * self.f.ndim, *keys(others)))

    def _pulled(self, g: Variable, free: bool = False) -> Node:
        """The derivative of the scalar ⟨g, what is before⟩ by the last variable."""
        one = self.wanted[-1]
        scalar, by = inner(self._before, g), substitute(one.by, self._released)
        if free:
            found = free_derivative(scalar, by)
        else:
            found = constrained_derivative(scalar, by, self.convention)
        found = substitute(found, {twin: x for x, twin in self._released.items()})
        return picked(found, one.selection.key) if one.selection else found
