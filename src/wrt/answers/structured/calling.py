"""A product with one array after another: what a call of it costs beside its arithmetic.

Names, shapes and types are settled before the first call. After that an array is asked for its
type and its shape, and the result whether it is a number: NaN in what is bound, or in what comes
in, shows there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from math import ceil
from typing import Any, NamedTuple

from wrt import programs
from wrt.answers.structured.arrays import Library, width
from wrt.answers.structured.gathering import entries, gathered
from wrt.errors import TooLarge, ValueMistake
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import variables
from wrt.programs.sized import nanoseconds, widest
from wrt.programs.watching import COMPUTED, told

__all__ = ["Product", "Setting", "Times"]

#: A formula of a product and the variable in it that stands for what comes in.
Way = tuple[Node, Variable]


#: What many products read is looked for once they take so many nanoseconds by the model: about as
#: long as looking takes. Products are counted, not timed: the same calls give the same digits.
LOOKING = 5e6
#: Another program for the products must save this share of their time.
SAVED = 0.1


class Product:
    """The product of a tensor with one array of its own type, for all arrays of some shapes;
    `name` says what comes in.
    """

    def __init__(self, way: Way, name: str, of: Setting) -> None:
        self.way, self.name, self.of = way, name, of
        node, variable = way
        fixed = sorted(node.names - {variable}, key=lambda v: v.name)
        program = programs.compile(node, of.library.name, [*fixed, variable], limit=of.limit)
        numpy = of.library.name == "numpy"
        self.run, self.names = program.ready(width(of.like)), [v.name for v in fixed]
        self.is_numpy, self.dtype, self.kind = numpy, of.like.dtype, type(of.like)
        self.shape = tuple(d.value for d in variable.dims)
        #: whether an array can come in as it is: NaN in it shows in the result
        self.is_open = numpy and variable in told(node)
        #: whether a result can be handed out as it is
        self.is_own = numpy and program.is_new
        self.given = [v.name for v in fixed if COMPUTED not in v.properties]

    def takes(self, value: Any) -> bool:
        """Whether an array can come in as it is."""
        return (
            type(value) is self.kind
            and self.is_open
            and value.dtype == self.dtype
            and value.shape == self.shape
        )

    @property
    def patience(self) -> int | None:
        """How many products go by before one chooses; None: nothing is to be chosen."""
        if not self.is_numpy:
            return None
        if "other" not in self.__dict__:
            return self._until_looking
        return None if self.other is None else self.other.after

    @cached_property
    def _until_looking(self) -> int:
        return ceil(LOOKING / max(1.0, nanoseconds(self.way[0])))

    @cached_property
    def other(self) -> Other | None:
        """The way of many products, where there is one that takes less time and no more memory."""
        node, variable = self.way
        found = gathered(node, variable)
        if found is None:
            return None
        parts = tuple(found.parts.values())
        fixed = sorted(variables(*parts), key=lambda v: v.name)
        saved = nanoseconds(node) - nanoseconds(found.formula)
        if saved < SAVED * nanoseconds(node) or widest(parts) > sum(map(entries, fixed)):
            return None
        program = programs.compile(parts, arguments=fixed, limit=self.of.limit)
        return Other(
            ceil(nanoseconds(parts) / saved),
            Product((found.formula, variable), self.name, self.of),
            program.ready(width(self.of.like)),
            [v.name for v in fixed],
            [v.name for v in found.parts],
        )


class Setting(NamedTuple):
    """The library of a tensor, a number of its type, and the most entries that are formed."""

    library: Library
    like: Any
    limit: int


class Other(NamedTuple):
    """A way of many products: after how many of the first way it has paid to compute what it
    reads, the product with that, and what computes it of the values of some names.
    """

    after: int
    product: Product
    run: Callable[..., Any]
    names: Sequence[str]
    parts: Sequence[str]

    def read(self, values: Mapping[str, Any]) -> list[Any]:
        """The arrays that stand still in the products."""
        found = self.run(*[values[name] for name in self.names])
        several = found if len(self.parts) > 1 else (found,)
        known = {**values, **dict(zip(self.parts, several, strict=True))}
        return [known[name] for name in self.product.names]


class Times:
    """The product of one tensor, of which it has the values, with arrays of its own type.

    What many products read is computed once they have lost as much time as that takes: by the
    model of costs they take no more than twice the time of the better way, however many will come.
    """

    __slots__ = ("first", "left", "now", "values", "waited")

    def __init__(self, product: Product, values: Mapping[str, Any]) -> None:
        self.first, self.values = product, values
        self.now = product, [values[name] for name in product.names]
        #: products before one chooses, of those that are known to go by
        self.left = self.waited = product.patience

    def __call__(self, value: Any) -> Any:
        """The product with an array of the right type and shape."""
        import numpy as np

        with np.errstate(all="ignore"):
            (product, fixed), left = self.now, self.left
            found = product.run(*fixed, value)
            if left is not None:
                self.left = left - 1
                if left <= 1:
                    self._choose()
            if not (product.is_own and type(found) is product.kind):
                found = self._owned(found, value)
            if product.is_numpy:
                flat = found.ravel("K")
                square = flat.dot(flat)
                if square != square:
                    self._look(value)
        return found

    def _choose(self) -> None:
        """Another way from here on, where it has come to pay."""
        other, waited = self.first.other, self.waited or 0
        self.left = None
        if other is not None and other.after > waited:
            self.left, self.waited = other.after - waited, other.after
        elif other is not None:
            with suppress(TooLarge, ValueMistake):  # the first way is still there
                self.now = other.product, other.read(self.values)

    def _owned(self, found: Any, value: Any) -> Any:
        """A result as an array that shares no memory with what came in."""
        library, like, _ = self.first.of
        return library.own(found, {**self.values, self.first.name: value}, width(like) <= 4)

    def _look(self, value: Any) -> None:
        """Refuse NaN, where it came in."""
        library = self.first.of.library
        library.plain(self.first.name, value)
        for name in self.first.given:
            library.plain(name, self.values[name])
