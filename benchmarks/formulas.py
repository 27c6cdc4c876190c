"""Formulas whose derivative is written with every entry: most of the table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.tasks import (
    MOST_ENTRIES,
    OURS,
    OURS_JAX,
    TOO_LARGE,
    Array,
    Program,
    Sizes,
    Task,
    Values,
    drawn,
    function_of,
)

__all__ = ["Formula", "plain"]


def plain(text: str, by: Sequence[str], shapes: Mapping[str, str], _: str) -> Any:
    """The derivative of a formula."""
    import wrt

    return wrt.derivative(text, *by, shapes=shapes)


FRESH = count(1)


@dataclass(frozen=True)
class Formula:
    """A formula by one or two names, the answer with every entry written.

    `meaning` is the formula in the words of an array library, `derive` the question that we are
    asked (of the line `of`, where there are several), `peers` are makers for systems that have
    words of their own for it.
    """

    name: str
    text: str
    by: tuple[str, ...]
    shapes: Mapping[str, str]
    sizes: Sequence[Sizes]
    meaning: Callable[[Any], Callable[..., Any]]
    hand: Callable[..., Any]
    floor: Callable[[Sizes], tuple[float, float]]
    dtype: str = "float64"
    group: str = "dense"
    quick: int | None = 0
    #: Properties of values that the formula needs.
    prepare: Callable[[dict[str, Array]], dict[str, Array]] = dict
    derive: Callable[[str, Sequence[str], Mapping[str, str], str], Any] = plain
    of: str = ""
    peers: Mapping[str, Callable[[Formula, Values], Program]] = field(default_factory=dict)
    #: Whether JAX forms a Jacobian column by column, where that is faster for it than by rows.
    forward: bool = False
    #: Peers form arrays of about so many entries on the way.
    peer_entries: Callable[[Sizes], float] = lambda sizes: 0.0

    @property
    def kind(self) -> str:
        """What peers call the derivative."""
        if "Hessian" in self.name:
            return "hessian"
        return "jacobian" if "Jacobian" in self.name else "gradient"

    def answer(self) -> Any:
        """The derivative that a person holds."""
        return self.derive(self.text, self.by, self.shapes, self.of)

    def asked_anew(self) -> Any:
        """The same question with names that nobody has met, so that nothing is remembered."""
        k = next(FRESH)
        own = {*self.shapes, *re.findall(r"[A-Za-z]\w*(?=\[t)", self.text)}

        def renamed(text: str) -> str:
            return re.sub(r"[A-Za-z]\w*", lambda m: f"{m[0]}q{k}z" if m[0] in own else m[0], text)

        shapes = {renamed(name): dims for name, dims in self.shapes.items()}
        by = [renamed(name) for name in self.by]
        return self.derive(renamed(self.text), by, shapes, renamed(self.of))

    def values(self, sizes: Sizes) -> dict[str, Array]:
        """Generic values of this size."""
        made = self.prepare(drawn(self.shapes, sizes, self.dtype))
        return {name: np.asarray(value, self.dtype) for name, value in made.items()}

    def task(self, sizes: Sizes) -> Task:
        """This workload at one size."""
        values = self.values(sizes)
        makers = {**peers.SYSTEMS, **self.peers}
        large = self.peer_entries(sizes) > MOST_ENTRIES
        return Task(
            self.name,
            self.group,
            dict(sizes),
            Program(lambda: self.hand(**values)),
            {
                OURS: lambda: self._ours(sizes, values),
                OURS_JAX: lambda: peers.our_jax_program(self, sizes, values),
            },
            {} if large else {n: lambda m=m: m(self, values) for n, m in makers.items()},
            self.floor(sizes),
            self.dtype,
            dict.fromkeys(makers, TOO_LARGE) if large else {},
        )

    def _ours(self, sizes: Sizes, values: Values) -> Program:
        function, names = function_of(self.answer(), "numpy", sizes)
        given = [values[name] for name in names]
        return Program(lambda: function(*given))
