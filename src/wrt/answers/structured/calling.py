"""A product with one array after another: what a call of it costs beside its arithmetic.

Names, shapes and types are settled before the first call. After that an array is asked for its
type and its shape, and the result whether it is a number: NaN in what is bound, or in what comes
in, shows there.

What gives the next product of a tensor changes with how many there were: of the first one nothing
is kept, for arrays are often bound for a single product; with the second they are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from math import ceil
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from wrt import programs
from wrt.answers.structured.arrays import width
from wrt.answers.structured.gathering import entries, gathered
from wrt.errors import TooLarge, ValueMistake
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import variables
from wrt.programs.quiet import quietly, silent
from wrt.programs.sized import nanoseconds, widest
from wrt.programs.watching import COMPUTED, is_suspicious, told

if TYPE_CHECKING:
    from wrt.answers.structured.frame import Frame
    from wrt.answers.structured.tensor import Structured

__all__ = ["First", "Line", "Product", "Times", "Unknown"]

#: A formula of a product and the variable in it that stands for what comes in.
Way = tuple[Node, Variable]
Of = Callable[["Structured", Any], Any]


#: What many products read is looked for once they take so many nanoseconds by the model: about as
#: long as looking takes. Products are counted, not timed: the same calls give the same digits.
LOOKING = 2e6
#: Another program for the products must save this share of their time.
SAVED = 0.1


class Line(Protocol):
    """What gives the next product of a tensor."""

    def of(self, tensor: Structured, value: Any, /) -> Any:
        """The product with an array that is right as it is; None where one has to look closer."""


class Unknown:
    """Before the first product of all."""

    def of(self, tensor: Structured, value: Any) -> Any:
        """Nothing is known of these shapes."""


class Product:
    """The product of a tensor with one array of its own type, for all arrays of some shapes, as a
    function of that and of what stands still; `name` says what comes in.
    """

    def __init__(self, way: Way, name: str, frame: Frame, fixed: Sequence[Variable]) -> None:
        self.way, self.name, self.frame = way, name, frame
        node, variable = way
        backend = frame.computes or frame.backend
        program = programs.compile(node, backend, [variable, *fixed], limit=frame.limit, brisk=True)
        self.function, self.tell = program.settled(width(frame.like))
        self.names = [v.name for v in fixed]
        self.is_numpy, self.room = frame.backend == "numpy", silent()
        #: whether NaN in what comes in shows in the result, which can be handed out as it is
        self.is_plain = variable in told(node) and program.is_new and node.ndim > 0
        #: what an array is that comes in as it is
        self.kind = type(frame.like) if self.is_numpy else None
        self.dtype, self.shape = frame.like.dtype, tuple(d.value for d in variable.dims)
        given = [v for v in fixed if v in node.names and COMPUTED not in v.properties]
        #: the names of arrays that came in, NaN in which shows in the result
        self.given: Collection[str] = [v.name for v in given]

    def bound(self, fixed: Iterable[Any]) -> Callable[[Any], Any]:
        """The product with arrays that stand still, as a function of the one that does not."""
        function = self.function
        plain = isinstance(function, FunctionType) and not function.__closure__
        if plain and self.is_numpy:  # a default is given at no cost
            code, space = function.__code__, function.__globals__
            return FunctionType(code, space, function.__name__, tuple(fixed))
        given = tuple(fixed)
        return lambda value: function(value, *given)

    def owned(self, result: Any, value: Any, tensor: Structured) -> Any:
        """A result as an array that shares no memory with what came in."""
        given = {**tensor.values, self.name: value}
        return self.frame.library.own(result, given, self.frame.single)

    def apart(self, found: Any, value: Any, tensor: Structured) -> Any:
        """A result that is not plain, as an array of its own; NaN that it may hide is refused
        where it came in.
        """
        if is_suspicious(value):
            self.look(value, tensor)
        return self.owned(found, value, tensor)

    def look(self, value: Any, tensor: Structured) -> None:
        """Refuse NaN, where it came in."""
        library = self.frame.library
        library.plain(self.name, value)
        for name in self.given:
            library.plain(name, tensor.values[name])

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
        program = programs.compile(parts, arguments=fixed, limit=self.frame.limit, brisk=True)
        still = sorted(found.formula.names - {variable}, key=lambda v: v.name)
        product = Product((found.formula, variable), self.name, self.frame, still)
        product.given = self.given
        return Other(
            1 + ceil(nanoseconds(parts) / saved),
            product,
            program.ready(width(self.frame.like)),
            [v.name for v in fixed],
            [v.name for v in found.parts],
        )


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


class First:
    """The first product of every tensor of a frame: all that stands still is handed in.

    What it asks for is found once: a third of what a small product costs would be looking it up.
    """

    def __init__(self, product: Product, place: str) -> None:
        self.product, self.second = product, Second(product, place)
        kind, dtype, shape = product.kind, product.dtype, product.shape
        function, room, is_plain = product.function, product.room, product.is_plain
        second = self.second

        def of(tensor: Structured, value: Any) -> Any:
            if type(value) is not kind or value.dtype is not dtype or value.shape != shape:
                return None
            setattr(tensor, place, second)
            try:
                found = room.copy().run(function, value, *tensor.arrays)
            except Exception as error:
                product.tell(error)
                raise
            if not is_plain:
                found = product.apart(found, value, tensor)
            flat = found.ravel("K")
            highest = flat.item(flat.argmax())
            if highest != highest:  # as NaN is, which is above all numbers to NumPy
                product.look(value, tensor)
            return found

        #: the product with an array that is right as it is; None where one has to look closer
        self.of: Of = of


class Second(NamedTuple):
    """The second product, from which on they are counted."""

    product: Product
    place: str

    def of(self, tensor: Structured, value: Any) -> Any:
        """The same."""
        times = Times(self.product, tensor.arrays, 1)
        setattr(tensor, self.place, times)
        return times.of(tensor, value)


class Times:
    """The product of one tensor, of which it has the values, with arrays of its own type.

    What many products read is computed once they have lost as much time as that takes: by the
    model of costs they take no more than twice the time of the better way, however many will come.
    """

    __slots__ = ("first", "left", "now", "run", "waited")

    def __init__(self, product: Product, arrays: Sequence[Any], done: int = 0) -> None:
        self.first = self.now = product
        self.run = product.bound(arrays)
        #: products up to the one before which one chooses, of those in all; 0: nothing is chosen
        self.waited = product.patience
        self.left = max(0, self.waited - done)

    def of(self, tensor: Structured, value: Any) -> Any:
        """The product with an array that is right as it is; None where one has to look closer."""
        now = self.now
        if type(value) is not now.kind or value.dtype is not now.dtype or value.shape != now.shape:
            return None
        if self.left:
            now = self._counted(tensor)
        try:
            found = now.room.copy().run(self.run, value)
        except Exception as error:
            now.tell(error)
            raise
        if not now.is_plain:
            found = now.apart(found, value, tensor)
        flat = found.ravel("K")
        highest = flat.item(flat.argmax())
        if highest != highest:  # as NaN is, which is above all numbers to NumPy
            now.look(value, tensor)
        return found

    def any(self, tensor: Structured, value: Any) -> Any:
        """The product with an array of the right type and shape, in any library."""
        found = self.of(tensor, value)
        if found is not None:
            return found
        now = self._counted(tensor) if self.left else self.now
        try:
            found = quietly(self.run, value)
        except Exception as error:
            now.tell(error)
            raise
        found = now.owned(found, value, tensor)
        if now.is_numpy and is_suspicious(found):
            now.look(value, tensor)
        return found

    def _counted(self, tensor: Structured) -> Product:
        """The way of one product more: another one from here on, where that has come to pay."""
        self.left -= 1
        other = None if self.left else self.first.other
        if other is None:
            return self.now
        if other.after > self.waited:
            self.left, self.waited = other.after - self.waited, other.after
            return self.now
        with suppress(TooLarge, ValueMistake):  # the first way is still there
            self.run = other.product.bound(quietly(other.read, tensor.values))
            self.now = other.product
        return self.now
