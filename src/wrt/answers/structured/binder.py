"""What `compile(structured=True)` returns: called with arrays, it binds them to a derivative."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wrt.answers.parts import by_name
from wrt.answers.structured.binding import bound_to

if TYPE_CHECKING:
    from wrt.answers.answer import Derivative
    from wrt.answers.structured.tensor import Structured

__all__ = ["Binder", "Binders"]


class Binder:
    """A derivative that waits for its arrays."""

    def __init__(self, derivative: Derivative, backend: str, limit: int) -> None:
        self.derivative, self.backend, self.limit = derivative, backend, limit

    def __call__(
        self, mapping: Mapping[str, Any] | None = None, /, *unnamed: Any, **values: Any
    ) -> Structured:
        """The tensor at these arrays: by keyword, or by one mapping of names."""
        D = self.derivative
        return bound_to(
            D.formula,
            D._split,
            D.arguments,
            D._needed(by_name(mapping, values, *unnamed)),
            backend=self.backend,
            limit=self.limit,
            title=D.title,
            maps=D._ways if D.layout is None else tuple,
        )

    def __repr__(self) -> str:
        names = ", ".join(v.name for v in self.derivative.arguments)
        return f"<{self.derivative.title}, structured, of {names}>"


class Binders(tuple[Binder, ...]):
    """Several derivatives that wait for the same arrays."""

    __slots__ = ()

    def __call__(
        self, mapping: Mapping[str, Any] | None = None, /, *unnamed: Any, **values: Any
    ) -> tuple[Structured, ...]:
        """All of the tensors at these arrays."""
        given = by_name(mapping, values, *unnamed)
        return tuple(one(given) for one in self)
