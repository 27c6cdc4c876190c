"""A product with one array after another: what a call of it costs beside its arithmetic.

Names, shapes and types are settled before the first call. After that an array is asked for its
type and its shape, and the result whether it is a number: NaN in what is bound, or in what comes
in, shows there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wrt import programs
from wrt.answers.structured.arrays import width
from wrt.answers.structured.watching import COMPUTED, told
from wrt.expression.nodes import Node, Variable

if TYPE_CHECKING:
    from wrt.answers.structured.tensor import Structured

__all__ = ["Product", "Times"]


class Product:
    """The product of a tensor with one array of its own type, for all arrays of some shapes;
    `name` says what comes in.
    """

    def __init__(self, way: tuple[Node, Variable], name: str, tensor: Structured) -> None:
        node, variable = way
        fixed = sorted(node.names - {variable}, key=lambda v: v.name)
        told_of = tensor.backend, [*fixed, variable]
        program = programs.compile(node, *told_of, limit=tensor.limit)
        like, numpy = tensor.like, tensor.backend == "numpy"
        self.name, self.names = name, [v.name for v in fixed]
        self.run = program.ready(width(like))
        self.is_numpy, self.dtype, self.kind = numpy, like.dtype, type(like)
        self.shape = tuple(d.value for d in variable.dims)
        #: whether an array can come in as it is: NaN in it shows in the result
        self.is_open = numpy and variable in told(node)
        #: whether a result can be handed out as it is
        self.is_own = numpy and program.is_new
        self.library, self.single = tensor.library, width(like) <= 4
        self.given = [v.name for v in fixed if COMPUTED not in v.properties]

    def takes(self, value: Any) -> bool:
        """Whether an array can come in as it is."""
        return (
            type(value) is self.kind
            and self.is_open
            and value.dtype == self.dtype
            and value.shape == self.shape
        )


class Times:
    """The product of one tensor, of which it has the values, with arrays of its own type."""

    __slots__ = ("fixed", "product", "run", "values")

    def __init__(self, product: Product, values: Mapping[str, Any]) -> None:
        self.product, self.values, self.run = product, values, product.run
        self.fixed = [values[name] for name in product.names]

    def __call__(self, value: Any) -> Any:
        """The product with an array of the right type and shape."""
        import numpy as np

        product = self.product
        with np.errstate(all="ignore"):
            found = self.run(*self.fixed, value)
            if not (product.is_own and type(found) is product.kind):
                found = self._owned(found, value)
            if product.is_numpy:
                flat = found.ravel("K")
                square = flat.dot(flat)
                if square != square:
                    self._look(value)
        return found

    def _owned(self, found: Any, value: Any) -> Any:
        """A result as an array that shares no memory with what came in."""
        product = self.product
        return product.library.own(found, {**self.values, product.name: value}, product.single)

    def _look(self, value: Any) -> None:
        """Refuse NaN, where it came in."""
        product = self.product
        product.library.plain(product.name, value)
        for name in product.given:
            product.library.plain(name, self.values[name])
