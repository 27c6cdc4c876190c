"""A product with one array after another: what a call of it costs beside its arithmetic.

Names, shapes and types are settled before the first call. After that an array is asked for its
type and its shape, and the result whether it is a number: NaN in what is bound, or in what comes
in, shows there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from math import ceil
from typing import Any, NamedTuple

from wrt import programs
from wrt.answers.structured.arrays import Library, width
from wrt.answers.structured.gathering import entries, gathered
from wrt.errors import TooLarge, ValueMistake
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import variables
from wrt.programs.quiet import quietly, silent
from wrt.programs.sized import nanoseconds, widest
from wrt.programs.watching import COMPUTED, is_suspicious, told

__all__ = ["Product", "Setting", "Times"]

#: A formula of a product and the variable in it that stands for what comes in.
Way = tuple[Node, Variable]


#: What many products read is looked for once they take so many nanoseconds by the model: about as
#: long as looking takes. Products are counted, not timed: the same calls give the same digits.
LOOKING = 2e6
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
        self.run, self.tell = program.settled(width(of.like))
        self.names = [v.name for v in fixed]
        self.is_numpy, self.kind = numpy, type(of.like)
        self.shape = tuple(d.value for d in variable.dims)
        #: whether an array can come in as it is, NaN in it showing in the result, and the result
        #: be handed out as it is
        self.is_plain = numpy and variable in told(node) and program.is_new and node.ndim > 0
        self.given = [v.name for v in fixed if COMPUTED not in v.properties]

    @property
    def patience(self) -> int:
        """How many products go by before one chooses; 0: nothing is to be chosen."""
        if not self.is_numpy:
            return 0
        if "other" not in self.__dict__:
            return self._until_looking
        return 0 if self.other is None else self.other.after

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

    __slots__ = (
        "dtype",
        "first",
        "kind",
        "left",
        "now",
        "run",
        "shape",
        "still",
        "values",
        "waited",
    )

    def __init__(self, product: Product, values: Mapping[str, Any]) -> None:
        self.first, self.values = product, values
        #: where the program runs
        self.still = silent()
        #: after so many products one chooses; 0: nothing is to be chosen
        self.waited = product.patience
        #: of these, those that are left and the one that is chosen for
        self.left = self.waited and self.waited + 1
        self._go(product, [values[name] for name in product.names])

    def _go(self, product: Product, fixed: Sequence[Any]) -> None:
        """Take one way from here on."""
        self.now, self.run = product, partial(product.run, *fixed)
        #: what an array is that comes in as it is
        self.kind = product.kind if product.is_plain else None
        self.dtype, self.shape = product.of.like.dtype, product.shape

    def of(self, value: Any) -> Any:
        """The product with an array that is right as it is; None where one has to look closer."""
        kind = type(value)
        if kind is not self.kind or value.dtype is not self.dtype or value.shape != self.shape:
            return None
        if self.left:
            self._count()
        try:
            found = self.still.copy().run(self.run, value)
        except Exception as error:
            self.now.tell(error)
            raise
        flat = found.ravel("K")
        highest = flat.item(flat.argmax())
        if highest != highest:  # as NaN is, which is above all numbers to NumPy
            self._look(value)
        return found

    def __call__(self, value: Any) -> Any:
        """The product with an array of the right type and shape, in any library."""
        found = self.of(value)
        if found is not None:
            return found
        if self.left:
            self._count()
        try:
            found = quietly(self.run, value)
        except Exception as error:
            self.now.tell(error)
            raise
        found = self._owned(found, value)
        if self.now.is_numpy and is_suspicious(found):
            self._look(value)
        return found

    def _count(self) -> None:
        """One product more; another way from here on, where it has come to pay."""
        self.left -= 1
        other = None if self.left else self.first.other
        if other is None:
            return
        if other.after > self.waited:
            self.left, self.waited = other.after - self.waited, other.after
            return
        with suppress(TooLarge, ValueMistake):  # the first way is still there
            self._go(other.product, quietly(other.read, self.values))

    def _owned(self, result: Any, value: Any) -> Any:
        """A result as an array that shares no memory with what came in."""
        library, like, _ = self.first.of
        return library.own(result, {**self.values, self.first.name: value}, width(like) <= 4)

    def _look(self, value: Any) -> None:
        """Refuse NaN, where it came in."""
        library = self.first.of.library
        library.plain(self.first.name, value)
        for name in self.first.given:
            library.plain(name, self.values[name])
