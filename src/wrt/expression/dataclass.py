"""Classes of named fields, as `dataclasses` of the standard library makes them, but at once.

The library writes and compiles half a dozen functions for every class: with as many small classes
as there are here, that was a quarter of a cold start. Here all classes share them, but for the one
that makes an instance, written when the first instance is made. A type checker takes them for the
library's.

>>> @dataclass(frozen=True)
... class Point:
...     x: int
...     y: int = 0
>>> Point(1), replace(Point(1), y=2), Point(1, 0) == Point(1)
(Point(x=1, y=0), Point(x=1, y=2), True)
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass", "field", "replace"]

if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace


class _Field:
    """A default that every instance has made for itself, or one that `repr` leaves out."""

    def __init__(
        self,
        default: object = None,
        default_factory: Callable[[], object] | None = None,
        **options: bool,
    ) -> None:
        self.made = default_factory or (lambda: default)
        self.shown = options.get("repr", True)


def _dataclass(kind: Any = None, /, **options: bool) -> Any:
    """Fields by annotation, those of the class above first; `frozen`, `eq` and `repr` are the
    library's.
    """
    return (lambda one: _made(one, **options)) if kind is None else _made(kind, **options)


def _replace(one: Any, /, **changes: object) -> Any:
    """The same with other values for some of its fields."""
    return type(one)(**{name: getattr(one, name) for name in one.__match_args__} | changes)


def _made(kind: Any, **options: bool) -> Any:
    assert options.keys() <= {"frozen", "eq", "repr"}, options
    own, frozen = dict(vars(kind)), options.get("frozen", False)
    annotated = own.get("__annotations__", ())
    names = tuple(dict.fromkeys([*getattr(kind, "__match_args__", ()), *annotated]))
    kind.__match_args__ = names  # type: ignore[misc]
    kind._defaults = getattr(kind, "_defaults", {}) | {n: own[n] for n in names if n in own}
    methods: dict[str, object] = {"__init__": _first(kind, frozen)}
    if options.get("repr", True):
        methods["__repr__"] = _representation
    if options.get("eq", True):
        methods |= _equality(names, frozen)
    if frozen:
        methods |= {"__setattr__": _refused, "__delattr__": _refused}
    for name, method in methods.items():
        if name not in own:
            setattr(kind, name, method)
    return kind


def _first(kind: Any, frozen: bool) -> Callable[..., None]:
    """What makes the first instance: it writes what makes the others."""

    def first(self: object, *values: object, **named: object) -> None:
        kind.__init__ = written = _initializer(kind, frozen)
        written(self, *values, **named)

    return first


def _initializer(kind: Any, frozen: bool) -> Callable[..., None]:
    head, fields = ["self"], []
    for name in kind.__match_args__:
        default, value = kind._defaults.get(name, _Field), name
        if isinstance(default, _Field):
            value = f"_defaults[{name!r}].made() if {name} is _defaults else {name}"
        given = "_defaults" if isinstance(default, _Field) else f"_defaults[{name!r}]"
        head.append(name if default is _Field else f"{name}={given}")
        fields.append((name, value))
    if frozen:  # setting each past the class that refuses takes half as long again
        body = [f"self.__dict__.update({', '.join(f'{n}={v}' for n, v in fields)})"]
    else:
        body = [f"self.{name} = {value}" for name, value in fields]
    if hasattr(kind, "__post_init__"):
        body.append("self.__post_init__()")
    known: dict[str, Any] = {"_defaults": kind._defaults}
    exec(f"def __init__({', '.join(head)}):\n    " + "\n    ".join(body or ["pass"]), known)
    known["__init__"].__qualname__ = f"{kind.__qualname__}.__init__"
    made: Callable[..., None] = known["__init__"]
    return made


def _representation(self: Any) -> str:
    shown = [n for n in self.__match_args__ if getattr(self._defaults.get(n), "shown", True)]
    return f"{type(self).__qualname__}({', '.join(f'{n}={getattr(self, n)!r}' for n in shown)})"


def _equality(names: tuple[str, ...], frozen: bool) -> dict[str, object]:
    """Equal where the class is the same and the values are; a hash where they cannot change."""
    values: Callable[[object], object] = attrgetter(*names) if names else type

    def equal(self: object, other: object) -> bool:
        return values(self) == values(other) if type(other) is type(self) else NotImplemented

    def hashed(self: object) -> int:
        return hash(values(self))

    return {"__eq__": equal, "__hash__": hashed if frozen else None}


def _refused(self: object, name: str, value: object = None) -> None:
    raise AttributeError(f"{type(self).__name__} cannot change, so its {name} stays")


if not TYPE_CHECKING:
    dataclass, field, replace = _dataclass, _Field, _replace
