"""What tensors of one formula, of arrays of the same shapes and types, have in common.

A tensor is a frame and the arrays of its names. Whatever is found for the first of them (shapes,
programs, how products are computed and systems solved) is there for all that come after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from wrt import programs
from wrt.answers.structured.arrays import Library, library, width
from wrt.answers.structured.calling import Line, Unknown
from wrt.expression.dataclass import dataclass
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import holds_complex

if TYPE_CHECKING:
    from wrt.answers.structured.tensor import Structured

__all__ = ["PLAIN", "Frame", "Route", "Ways", "alike", "closer", "unknown"]


class Ways(NamedTuple):
    """Formulas of the map and of the transposed map that cost less than products with the tensor;
    each with the variable that stands for what comes in.
    """

    apply: tuple[Node, Variable] | None = None
    pullback: tuple[Node, Variable] | None = None


#: The solution with a right side; None where one has to look closer.
Route = Callable[["Structured", Any], Any]


def unknown(tensor: Structured, right: Any) -> Any:
    """No way to solve is known so far."""


def closer(tensor: Structured, right: Any) -> Any:
    """Each system is looked at by itself."""


#: Products with the tensor itself are the way.
PLAIN = Ways()


class Known:
    """What the first tensors of a frame tell of all: how a first product by columns and by rows is
    computed, and how a system is solved.
    """

    forward: Line = Unknown()
    backward: Line = Unknown()
    route: Route = staticmethod(unknown)


@dataclass(eq=False)
class Frame(Known):
    """A tensor without its arrays; the first `rows` axes are those of f."""

    formula: Node
    rows: int
    limit: int = programs.MOST_ENTRIES
    backend: str = "numpy"
    #: a number of the type of the arrays
    like: Any = None
    ways: Ways = PLAIN
    #: how many axes of the formula are laid end to end in each axis, where some are
    groups: tuple[int, ...] = ()
    #: what computes products, where it is not the library of the arrays: "auto"
    computes: str = ""

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """What arrays are wanted for, in order."""
        found = {v.name: v for v in self.formula.names}
        for node, variable in filter(None, self.ways):
            found |= {v.name: v for v in node.names if v is not variable}
        return tuple(found[name] for name in sorted(found))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the arrays, in order."""
        return tuple(v.name for v in self.variables)

    def over(self, values: Mapping[str, Any]) -> Structured:
        """The tensor of these arrays; there may be more of them."""
        from wrt.answers.structured.tensor import Structured

        return Structured(self, tuple([values[name] for name in self.names]))

    @cached_property
    def axes(self) -> tuple[int, ...]:
        """The sizes of the axes of the formula, of which `rows` are those of the rows."""
        return tuple(d.value or 0 for d in self.formula.dims)

    @cached_property
    def row_shape(self) -> tuple[int, ...]:
        """The sizes of the axes of f, which `apply` gives."""
        return _laid(self.axes[: self.rows], self.sides[0] if self.groups else ())

    @cached_property
    def column_shape(self) -> tuple[int, ...]:
        """The sizes of the axes of the variable, which `apply` takes."""
        return _laid(self.axes[self.rows :], self.sides[1] if self.groups else ())

    @cached_property
    def sides(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """How many axes of the formula stand in each axis of the rows and of the columns."""
        if not self.groups:
            return (1,) * self.rows, (1,) * (len(self.axes) - self.rows)
        count = 0
        while sum(self.groups[:count]) < self.rows:
            count += 1
        return self.groups[:count], self.groups[count:]

    @cached_property
    def dtype(self) -> Any:
        """The type of the entries."""
        if not holds_complex(self.formula):
            return self.like.dtype
        words = self.library.words
        return self.library.cast(
            self.like, words.complex64 if self.single else words.complex128
        ).dtype

    @cached_property
    def single(self) -> bool:
        """Whether it is computed in numbers of four bytes."""
        return width(self.like) <= 4

    @cached_property
    def library(self) -> Library:
        """The array library that the arrays are of."""
        return library(self.backend)

    @cached_property
    def programs(self) -> dict[tuple[Any, int], programs.Program]:
        """The programs that were run."""
        return {}

    @cached_property
    def ready(self) -> dict[Node, tuple[Callable[..., Any], list[str], bool]]:
        """Programs of formulas that need no more than what is bound, its names in order, and
        whether what they give shares no memory with that.
        """
        return {}


@lru_cache(maxsize=256)
def alike(
    formula: Node,
    rows: int,
    limit: int,
    kind: Any,
    ways: Ways,
    groups: tuple[int, ...],
    computes: str,
) -> Frame:
    """The frame of tensors of NumPy's, however often they are put together anew."""
    like = library("numpy").words.zeros((), kind)
    return Frame(formula, rows, limit, "numpy", like, ways, groups, computes)


def _laid(sizes: tuple[int, ...], groups: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of axes, some of them laid end to end."""
    if not groups:
        return sizes
    starts = [sum(groups[:k]) for k in range(len(groups))]
    return tuple(prod(sizes[s : s + g]) for s, g in zip(starts, groups, strict=True))
