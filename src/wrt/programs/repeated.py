"""A call with arrays of shapes that came in before: nothing is left to find but entries that are
no numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from wrt.programs.quiet import quietly

__all__ = ["Repeated", "looking", "plainly"]

#: Nanoseconds that it takes to look for NaN: in any array, and for each of its entries.
LOOK, ENTRY = 600.0, 0.2
NOTHING: tuple[None, tuple[()]] = (None, ())


class Repeated(NamedTuple):
    """What is left of a call: to run, and to look at arrays, at their places among the given ones
    or as they come out; `own` makes an array that comes out one of its own, None where it is.
    """

    run: Callable[..., Any]
    looked_at: Sequence[int]
    is_result_looked_at: bool
    own: Callable[[Any, Sequence[Any]], Any] | None

    def __call__(self, arrays: Sequence[Any]) -> Any:
        """The value; None where every entry has to be looked at."""
        for place in self.looked_at:
            flat = arrays[place].ravel("K")
            if not isfinite(flat.dot(flat)):
                return None
        try:
            found = quietly(self.run, *arrays)
        except Exception:  # a slower call finds what it means
            return None
        if self.own is not None:
            found = self.own(found, arrays)
        if self.is_result_looked_at:
            for array in found if type(found) is tuple else (found,):
                flat = array.ravel("K")
                square = flat.dot(flat)
                if square != square:
                    return None
        return found


def looking(entries: Sequence[int]) -> float:
    """About how many nanoseconds it takes to look for NaN in arrays of so many entries."""
    return sum(LOOK + ENTRY * count for count in entries)


def plainly(names: Sequence[str], given: Mapping[str, Any]) -> tuple[Hashable, Sequence[Any]]:
    """The type and the shapes of what was given, and the arrays: where that is arrays of NumPy's
    of one type, and numbers of Python's. No arrays where it is not.
    """
    import numpy as np

    if not names or len(given) != len(names):
        return NOTHING
    array, arrays = np.ndarray, list[Any]()
    for name in names:
        value = given.get(name)
        if type(value) is not array:
            if type(value) is not float:
                return NOTHING
            value = np.array(value)
        arrays.append(value)
    kind = arrays[0].dtype
    for value in arrays:
        if value.dtype is not kind:
            return NOTHING
    return (kind, *[value.shape for value in arrays]), arrays
