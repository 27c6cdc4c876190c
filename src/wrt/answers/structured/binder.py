"""What `compile(structured=True)` returns: called with arrays, it binds them to a derivative."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from wrt import programs
from wrt.answers.parts import by_name
from wrt.answers.structured.arrays import library, width
from wrt.answers.structured.binding import Bound, bound, unlaid
from wrt.answers.structured.exports import as_tree
from wrt.answers.structured.forms import Form
from wrt.answers.structured.frame import Frame
from wrt.answers.structured.tensor import Structured
from wrt.errors import ShapeMistake
from wrt.expression.nodes import Node, Variable
from wrt.programs.door import check
from wrt.programs.repeated import Taken, taken
from wrt.programs.running import MOST_REPEATED, keep

if TYPE_CHECKING:
    from wrt.answers.answer import Derivative
    from wrt.answers.structured.joint import Joint

__all__ = ["Binder", "Binders"]

#: What arrays of one form have in common.
_kind = attrgetter("__class__", "shape", "dtype")


class Binder:
    """A function that binds arrays to a tensor: `D.compile(structured=True)`.

    What does not depend on their entries is found for the first arrays of some shapes and types.
    With the backend "auto" it is a tensor of NumPy's, of which JAX computes the parts and the
    products where that pays.
    """

    def __init__(self, derivative: Derivative, backend: str, limit: int) -> None:
        self.derivative, self.limit, self.computes = derivative, limit, backend
        self.backend = "numpy" if backend == "auto" else backend
        self._forms: dict[Hashable, Form] = {}
        #: how arrays of the last shapes and types are bound that came in again, and these
        self._repeated: tuple[Taken, ...] = ()
        self._remembered: tuple[Hashable, ...] = ()

    def __repr__(self) -> str:
        names = ", ".join(v.name for v in self.arguments)
        return f"<{self.derivative.title}, structured, of {names}>"

    @cached_property
    def arguments(self) -> tuple[Variable, ...]:
        """The variables, in order."""
        return self.derivative.arguments

    @cached_property
    def _laid(self) -> tuple[Node, int, tuple[int, ...]]:
        """The tensor with every axis apart, how many of them are rows, and how many stand in each
        axis that is asked for.
        """
        D = self.derivative
        inner, groups = unlaid(D.formula)
        return inner, sum(groups[: D._split]), () if inner is D.formula else groups

    @cached_property
    def _door(self) -> programs.Program:
        """What checks names, shapes and types."""
        D = self.derivative
        return programs.compile(D.formula, self.backend, self.arguments, title=D.title)

    def __call__(
        self, mapping: Mapping[str, Any] | None = None, /, *unnamed: Any, **values: Any
    ) -> Structured:
        """The tensor at these arrays: by keyword, or by one mapping of names."""
        if not unnamed and (mapping is None or not values):
            given = values if mapping is None else mapping
            for once_more in self._repeated if type(given) is dict else ():
                known = once_more(given)
                if known is not None:
                    return known  # type: ignore[no-any-return]
        named = self.derivative._needed(by_name(mapping, values, *unnamed))
        arrays, functions, sizes = self._door.entered(named)
        if self.backend != "numpy" or functions:
            return self._bound(arrays, functions, sizes)
        key = tuple(map(_kind, arrays.values()))
        form = self._forms.get(key)
        if form is None:
            form = self._form(arrays, sizes)
            keep(self._forms, key, form)
        every = [*arrays.values()]
        if key not in self._remembered and all(arrays[v] is named[v.name] for v in arrays):
            self._remember(key, form, every)
        return form.bound(*[every[place] for place in form.read])

    def _remember(self, key: Hashable, form: Form, arrays: Sequence[Any]) -> None:
        """Arrays as these are bound at once from here on, where they are given by their names."""
        if not self.derivative._counted:
            names = [v.name for v in self.arguments]
            known = taken(names, arrays, form.bound, form.read)
            self._repeated = (known, *self._repeated[: MOST_REPEATED - 1])
            self._remembered = (key, *self._remembered[: MOST_REPEATED - 1])

    def _made(self, sizes: Mapping[str, int]) -> Bound:
        """The formula and its parts at these sizes."""
        D, key = self.derivative, tuple(sorted(sizes.items()))
        inner, rows, _ = self._laid
        made = bound(inner, key, rows)
        swept = made.is_nested and D.layout is None
        return bound(inner, key, rows, D._ways()) if swept else made

    def _bound(
        self, arrays: Mapping[Variable, Any], functions: Mapping[str, Any], sizes: Mapping[str, int]
    ) -> Structured:
        """The tensor of these arrays, with functions that nobody defined, or of other libraries."""
        import numpy as np

        made, home = self._made(sizes), library(self.backend)
        if self.backend == "numpy":
            with np.errstate(all="ignore"):
                for variable, array in arrays.items():
                    check(variable, array)
        if self.backend == "jax":
            as_tree()
        values: dict[str, Any] = {v.name: a for v, a in arrays.items()}
        like = home.like(list(arrays.values()))
        if made.parts:
            found = self._parts(made).bare({**values, **functions}, sizes, width(like))
            found = found if len(made.parts) > 1 else (found,)
            values |= {v.name: home.held(a, like) for v, a in zip(made.parts, found, strict=True)}
        return self._frame(made, like).over(values)

    def _parts(self, made: Bound, arguments: Sequence[Variable] | None = None) -> programs.Program:
        nodes = tuple(made.parts.values())
        return programs.compile(
            nodes,
            self.computes,
            arguments,
            limit=self.limit,
            title=self.derivative.title,
            brisk=True,
        )

    def _frame(self, made: Bound, like: Any) -> Frame:
        _, rows, groups = self._laid
        told = self.limit, self.backend, like, made.ways, groups
        return Frame(made.formula, rows, *told, "auto" if self.computes == "auto" else "")

    def _form(self, arrays: Mapping[Variable, Any], sizes: Mapping[str, int]) -> Form:
        """What is the same for all arrays of these shapes and types."""
        made, like = self._made(sizes), library("numpy").like(list(arrays.values()))
        return Form(self._frame(made, like), made, list(arrays), partial(self._parts, made))


class Binders(tuple[Binder, ...]):
    """Several derivatives that wait for the same arrays."""

    __slots__ = ()

    def __call__(
        self, mapping: Mapping[str, Any] | None = None, /, *unnamed: Any, **values: Any
    ) -> tuple[Structured, ...]:
        """All of the tensors at these arrays."""
        given = by_name(mapping, values, *unnamed)
        return tuple(one(given) for one in self)

    def joint(
        self, mapping: Mapping[str, Any] | None = None, /, *unnamed: Any, **values: Any
    ) -> Joint:
        """All of the tensors at these arrays as one linear map between tuples of arrays: first
        derivatives as one Jacobian, second ones of a number as one Hessian.

        >>> from wrt import gradients
        >>> J = gradients("A*x", "A", "x").compile(structured=True).joint(A=[[1, 2]], x=[3, 4])
        >>> J.apply(([[1, 0]], [0, 1])), J.pullback([1])
        (array([5.]), (array([[3., 4.]]), array([1., 2.])))
        """
        from wrt.answers.structured.joint import joined_blocks

        order = max(len(one.derivative.wanted) for one in self)
        if order > 2 or (order == 2 and self[0].derivative.f.ndim):
            raise ShapeMistake(
                "first derivatives are one map together, and second ones of a number"
            )
        tensors = self(by_name(mapping, values, *unnamed))
        asked = ([w.text.strip() for w in one.derivative.wanted] for one in self)
        return joined_blocks(list(zip(asked, tensors, strict=True)))
