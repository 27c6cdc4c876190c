"""A call with arrays of shapes that came in before: nothing is left to find but entries that are
no numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import isfinite
from typing import Any

from wrt.programs.quiet import silent
from wrt.programs.watching import is_suspicious

__all__ = ["Call", "Taken", "alike", "looking", "repeated", "taken"]

#: The value at arrays that are right but for NaN, or None: a slower call finds what is wrong.
Call = Callable[..., Any]
#: The same of a mapping of names; None as well where something else came in.
Taken = Callable[[Mapping[str, Any]], Any]

#: Nanoseconds that it takes to look for NaN: in any array, and for each of its entries.
LOOK, ENTRY = 600.0, 0.2


def alike(value: Any) -> tuple[type, Any, Any]:
    """What arrays have in common that come in alike; a float of Python's is an array of NumPy's."""
    import numpy as np

    if type(value) is float:
        return float, np.dtype(float), ()
    return type(value), getattr(value, "dtype", None), getattr(value, "shape", None)


def taken(
    names: Sequence[str], values: Sequence[Any], then: Call, read: Sequence[int] | None = None
) -> Taken:
    """What hands on the values of some names, in order, where they are of the kinds, types and
    shapes of these: written out for the names, for this is half of what a small call costs.
    `read` are the places of those that are wanted, if not all are.

    >>> import numpy as np
    >>> once_more = taken(["x", "n"], [np.ones(2), 3.0], lambda x, n: x * n)
    >>> once_more({"n": 2.0, "x": np.ones(2)}), once_more({"n": 2.0, "x": np.ones(3)})
    (array([2., 2.]), None)
    """
    import numpy as np

    known: dict[str, Any] = {"then": then, "asarray": np.asarray}
    floats = frozenset(k for k, value in enumerate(values) if type(value) is float)
    for k, value in enumerate(values):
        if k not in floats:
            known |= {f"kind{k}": type(value), f"type{k}": value.dtype, f"shape{k}": value.shape}
    exec(_text(tuple(names), floats, tuple(range(len(names)) if read is None else read)), known)
    made: Taken = known["taken"]
    return made


@lru_cache(maxsize=256)
def _text(names: tuple[str, ...], floats: frozenset[int], read: tuple[int, ...]) -> Any:
    """The function of `taken`, compiled: kinds, types and shapes are found where it is run."""
    tests, arrays = [f"len(given) == {len(names)}"], []
    for k in range(len(names)):
        if k in floats:
            tests.append(f"type(a{k}) is float")
            arrays.append(f"asarray(a{k})")
        else:
            tests.append(
                f"type(a{k}) is kind{k} and a{k}.dtype is type{k} and a{k}.shape == shape{k}"
            )
            arrays.append(f"a{k}")
    lines = [
        "def taken(given):",
        "    try:",
        *(f"        a{k} = given[{name!r}]" for k, name in enumerate(names)),
        "    except KeyError:",
        "        return None",
        f"    if {' and '.join(tests)}:",
        f"        return then({', '.join(arrays[k] for k in read)})",
    ]
    return compile("\n".join(lines), "<taken>", "exec")


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

    def call(*arrays: Any) -> Any:
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
        if is_result_looked_at:
            for result in found if type(found) is tuple else (found,):
                if is_suspicious(result):
                    return None
        return found

    return call


def looking(entries: Sequence[int]) -> float:
    """About how many nanoseconds it takes to look for NaN in arrays of so many entries."""
    return sum(LOOK + ENTRY * count for count in entries)
