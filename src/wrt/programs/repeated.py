"""A call with arrays of shapes that came in before: nothing is left to find but entries that are
no numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from math import isfinite
from operator import attrgetter
from typing import Any

from wrt.programs.quiet import silent
from wrt.programs.watching import is_suspicious

__all__ = ["Call", "looking", "plainly", "repeated"]

#: The value at arrays that are right but for NaN, or None: a slower call finds what is wrong.
Call = Callable[[Sequence[Any]], Any]

#: Nanoseconds that it takes to look for NaN: in any array, and for each of its entries.
LOOK, ENTRY = 600.0, 0.2
_kind = attrgetter("__class__", "dtype", "shape")
NOTHING: tuple[None, tuple[()]] = (None, ())


def repeated(
    run: Callable[..., Any],
    looked_at: Sequence[int],
    is_result_looked_at: bool,
    own: Callable[[Any, Sequence[Any]], Any] | None,
) -> Call:
    """What is left of a call: to run, and to look for NaN, in arrays at their places among the
    given ones or as they come out; `own` makes an array that comes out one of its own, None where
    it is.
    """
    room = silent()

    def call(arrays: Sequence[Any]) -> Any:
        for place in looked_at:
            flat = arrays[place].ravel("K")
            if not isfinite(flat.dot(flat)):
                return None
        try:
            found = room.copy().run(run, *arrays)
        except Exception:  # a slower call finds what it means
            return None
        if own is not None:
            found = own(found, arrays)
        results = found if type(found) is tuple else (found,)
        return None if is_result_looked_at and any(map(is_suspicious, results)) else found

    return call


def looking(entries: Sequence[int]) -> float:
    """About how many nanoseconds it takes to look for NaN in arrays of so many entries."""
    return sum(LOOK + ENTRY * count for count in entries)


def plainly(names: Sequence[str], given: Mapping[str, Any]) -> tuple[Hashable, Sequence[Any]]:
    """The kinds, types and shapes of the arrays that were given, Python's floats as NumPy's, and
    these arrays; no arrays where some value is none.
    """
    if not isinstance(given, dict) or len(given) != len(names):
        return NOTHING
    try:
        arrays = [given[name] for name in names]
        if float in map(type, arrays):
            arrays = _as_arrays(arrays)
        return tuple(map(_kind, arrays)), arrays
    except (AttributeError, KeyError):
        return NOTHING


def _as_arrays(values: Sequence[Any]) -> list[Any]:
    import numpy as np

    return [np.array(value) if type(value) is float else value for value in values]
