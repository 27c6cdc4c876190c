"""A product with one array after another: what a call of it costs beside its arithmetic.

Names, shapes and types are settled before the first call. After that an array is asked for its
type and its shape, and the result whether it is a number: NaN in what is bound, or in what comes
in, shows there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from math import ceil
from types import FunctionType
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
        program = programs.compile(
            node, of.library.name, [variable, *fixed], limit=of.limit, brisk=True
        )
        numpy = of.library.name == "numpy"
        self.function, self.tell = program.settled(width(of.like))
        self.names = [v.name for v in fixed]
        self.is_numpy, self.room = numpy, silent()
        #: whether NaN in what comes in shows in the result, which can be handed out as it is
        self.is_plain = variable in told(node) and program.is_new and node.ndim > 0
        #: what an array is that comes in as it is
        self.kind = type(of.like) if numpy else None
        self.dtype, self.shape = of.like.dtype, tuple(d.value for d in variable.dims)
        self.given = [v.name for v in fixed if COMPUTED not in v.properties]

    def bound(self, fixed: Iterable[Any]) -> Callable[[Any], Any]:
        """The product with arrays that stand still, as a function of the one that does not."""
        function = self.function
        if isinstance(function, FunctionType) and self.is_numpy:  # a default is given at no cost
            code, space = function.__code__, function.__globals__
            return FunctionType(code, space, function.__name__, tuple(fixed))
        given = tuple(fixed)
        return lambda value: function(value, *given)

    @cached_property
    def patience(self) -> int:
        """Before which product one chooses, counted from 1: where looking for another way takes no
        longer than the products did, then where this has paid; 0: nothing is to be chosen.
        """
        return 1 + ceil(LOOKING / max(1.0, nanoseconds(self.way[0]))) if self.is_numpy else 0

    @cached_property
    def other(self) -> Other | None:
        """The way of many products, where there is one that takes less time and no more memory."""
        found = self._found()
        self.patience = 0 if found is None else found.after
        return found

    def _found(self) -> Other | None:
        node, variable = self.way
        found = gathered(node, variable)
        if found is None:
            return None
        parts = tuple(found.parts.values())
        fixed = sorted(variables(*parts), key=lambda v: v.name)
        saved = nanoseconds(node) - nanoseconds(found.formula)
        if saved < SAVED * nanoseconds(node) or widest(parts) > sum(map(entries, fixed)):
            return None
        program = programs.compile(parts, arguments=fixed, limit=self.of.limit, brisk=True)
        return Other(
            1 + ceil(nanoseconds(parts) / saved),
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
    """A way of many products: before which product it has paid to compute what it reads, the
    product with that, and what computes it of the values of some names.
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

    __slots__ = ("first", "left", "now", "run", "values", "waited")

    def __init__(self, product: Product, values: Mapping[str, Any]) -> None:
        self.first = self.now = product
        self.values = values
        self.run = product.bound(map(values.__getitem__, product.names))
        #: products up to the one before which one chooses, of those in all; 0: nothing is chosen
        self.left = self.waited = product.patience

    def of(self, value: Any) -> Any:
        """The product with an array that is right as it is; None where one has to look closer."""
        now = self.now
        if type(value) is not now.kind or value.dtype is not now.dtype or value.shape != now.shape:
            return None
        if self.left:
            now = self._counted()
        try:
            found = now.room.copy().run(self.run, value)
        except Exception as error:
            now.tell(error)
            raise
        if not now.is_plain:
            found = self._owned(found, value)
            if is_suspicious(value):
                self._look(value)
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
        now = self._counted() if self.left else self.now
        try:
            found = quietly(self.run, value)
        except Exception as error:
            now.tell(error)
            raise
        found = self._owned(found, value)
        if now.is_numpy and is_suspicious(found):
            self._look(value)
        return found

    def _counted(self) -> Product:
        """The way of one product more: another one from here on, where that has come to pay."""
        self.left -= 1
        other = None if self.left else self.first.other
        if other is None:
            return self.now
        if other.after > self.waited:
            self.left, self.waited = other.after - self.waited, other.after
            return self.now
        with suppress(TooLarge, ValueMistake):  # the first way is still there
            self.run = other.product.bound(quietly(other.read, self.values))
            self.now = other.product
        return self.now

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
