"""What `compile(structured=True)` returns: called with arrays, it binds them to a derivative."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

from wrt import programs
from wrt.answers.parts import by_name
from wrt.answers.structured.arrays import library, width
from wrt.answers.structured.binding import Bound, bound, unlaid
from wrt.answers.structured.exports import as_tree
from wrt.answers.structured.tensor import Structured
from wrt.errors import ValueMistake
from wrt.expression.dataclass import dataclass
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import variables
from wrt.programs.door import PROPERTY, check
from wrt.programs.quiet import quietly
from wrt.programs.running import keep
from wrt.programs.watching import is_suspicious, told_by

if TYPE_CHECKING:
    from wrt.answers.answer import Derivative

__all__ = ["Binder", "Binders"]

#: What arrays of one form have in common.
_kind = attrgetter("__class__", "shape", "dtype")


class Binder:
    """A function that binds arrays to a tensor: `D.compile(structured=True)`.

    What does not depend on their entries is found for the first arrays of some shapes and types.
    With the backend "auto" it is a tensor of NumPy's, of which JAX computes the parts where that
    pays.
    """

    def __init__(self, derivative: Derivative, backend: str, limit: int) -> None:
        self.derivative, self.limit, self.computes = derivative, limit, backend
        self.backend = "numpy" if backend == "auto" else backend
        self._forms: dict[Hashable, Form] = {}

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

    @cached_property
    def _open(self) -> Mapping[Hashable, Form]:
        """The forms of arrays that are found by the names of the arguments as they are given."""
        return {} if self.derivative._counted else self._forms

    @cached_property
    def _in_order(self) -> Callable[[Mapping[str, Any]], Sequence[Any]]:
        """The values of all arguments."""
        names = [v.name for v in self.arguments]
        if len(names) > 1:
            return itemgetter(*names)
        return lambda given: [given[name] for name in names]

    def __call__(
        self, mapping: Mapping[str, Any] | None = None, /, *unnamed: Any, **values: Any
    ) -> Structured:
        """The tensor at these arrays: by keyword, or by one mapping of names."""
        given = values if mapping is None else mapping
        if type(given) is dict and not unnamed and (given is values or not values):
            try:
                ordered = self._in_order(given)
                known = self._open.get(tuple(map(_kind, ordered)))
            except (KeyError, AttributeError, TypeError):  # what is wrong is told of below
                known = None
            if known is not None and len(given) == len(ordered):
                return known.bound(ordered)
        named = self.derivative._needed(by_name(mapping, values, *unnamed))
        arrays, functions, sizes = self._door.entered(named)
        if self.backend != "numpy" or functions:
            return self._bound(arrays, functions, sizes)
        key = tuple(map(_kind, arrays.values()))
        form = self._forms.get(key)
        if form is None:
            form = self._form(arrays, sizes)
            keep(self._forms, key, form)
        return form.bound([*arrays.values()])

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
        return self._tensor(made, {name: values[name] for name in made.names}, like)

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

    def _tensor(self, made: Bound, values: Mapping[str, Any], like: Any) -> Structured:
        _, rows, groups = self._laid
        told = self.limit, self.backend, like, made.ways, groups
        return Structured(made.formula, values, rows, *told)

    def _form(self, arrays: Mapping[Variable, Any], sizes: Mapping[str, int]) -> Form:
        """What is the same for all arrays of these shapes and types."""
        made, home = self._made(sizes), library("numpy")
        like = home.like(list(arrays.values()))
        places = {v.name: at for at, v in enumerate(arrays)}
        used = [v for v in variables(*made.parts.values()) if v.name in places]
        run = self._parts(made, used).ready(like.itemsize) if made.parts else None
        kept = tuple((name, places[name]) for name in made.names if name in places)
        telling, told = told_by(made.parts, frozenset(used))
        known = {v.name for v in told} | set(made.names)
        hidden = {v.name for v in used if v.name not in known}
        checked = {v.name for v in arrays if v.properties & PROPERTY.keys()}
        return Form(
            self._tensor(made, {}, like),
            tuple(arrays),
            kept,
            tuple(places[v.name] for v in used),
            tuple(v.name for v in made.parts),
            run,
            tuple(sorted(places[name] for name in checked)),
            tuple(sorted(places[name] for name in hidden - checked)),
            tuple(v.name for v in telling),
        )


@dataclass(frozen=True, eq=False)
class Form:
    """What is the same for all arrays of some shapes and types: a tensor, and how others are bound.

    `kept` and `read` are places among the arguments: of the arrays that the tensor keeps by their
    names, and of those that the parts are computed of; `checked` are those of which something was
    declared, `hidden` those in which NaN may not show, `telling` the parts that tell of others.
    """

    tensor: Structured
    arguments: Sequence[Variable]
    kept: Sequence[tuple[str, int]]
    read: Sequence[int]
    parts: Sequence[str]
    run: Callable[..., Any] | None
    checked: Sequence[int]
    hidden: Sequence[int]
    telling: Sequence[str]

    def bound(self, arrays: Sequence[Any]) -> Structured:
        """The tensor of other arrays, by the places of the arguments."""
        values = {name: arrays[at] for name, at in self.kept}
        if self.checked:
            self._check(arrays, self.checked)
        if self.run is not None:
            if any(map(is_suspicious, map(arrays.__getitem__, self.hidden))):
                self._check(arrays, self.hidden)
            self._compute(self.run, arrays, values)
        return self.tensor.at(values)

    def _compute(
        self, run: Callable[..., Any], arrays: Sequence[Any], values: dict[str, Any]
    ) -> None:
        """The parts, among the values."""
        try:
            found = quietly(run, *[arrays[at] for at in self.read])
        except ValueMistake:
            self._check(arrays, self.read)
            raise
        several = found if len(self.parts) > 1 else (found,)
        like = self.tensor.like
        for name, part in zip(self.parts, several, strict=True):
            values[name] = part if hasattr(part, "dtype") else library("numpy").held(part, like)
        for name in self.telling:
            if is_suspicious(values[name]):
                self._check(arrays, self.read)

    def _check(self, arrays: Sequence[Any], places: Sequence[int]) -> None:
        """Refuse NaN, and what contradicts what was declared."""
        import numpy as np

        with np.errstate(all="ignore"):
            for at in places:
                check(self.arguments[at], arrays[at])


class Binders(tuple[Binder, ...]):
    """Several derivatives that wait for the same arrays."""

    __slots__ = ()

    def __call__(
        self, mapping: Mapping[str, Any] | None = None, /, *unnamed: Any, **values: Any
    ) -> tuple[Structured, ...]:
        """All of the tensors at these arrays."""
        given = by_name(mapping, values, *unnamed)
        return tuple(one(given) for one in self)
