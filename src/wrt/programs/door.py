"""What comes in at the door of a program: names, shapes and values, checked before it runs.

NaN is refused, infinity passes, and so do arrays without entries.
"""

from __future__ import annotations

from cmath import isfinite
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wrt.errors import ValueMistake, kind_of
from wrt.expression.dimensions import Dimension, show_dimensions
from wrt.expression.nodes import Variable
from wrt.programs.module import linear

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["check", "collected", "measured"]


# Names


def collected(
    wanted: Mapping[str, str],
    mapping: Mapping[str, Any] | None,
    values: Mapping[str, Any],
    variables: Iterable[Variable] = (),
    unnamed: Sequence[Any] = (),
) -> dict[str, Any]:
    """What was given, by the names of the formula; `wanted` maps these to keywords."""
    if mapping is None and values.keys() == wanted.keys():
        return dict(values)
    if unnamed or not isinstance(mapping, Mapping | None):
        raise ValueMistake(_nameless(mapping, unnamed, wanted))
    spelled = {**{word: name for name, word in wanted.items()}, **{name: name for name in wanted}}
    found: dict[str, Any] = {}
    for given, value in [*(mapping or {}).items(), *values.items()]:
        if given not in spelled:
            raise ValueMistake(_unknown(str(given), wanted))
        if spelled[given] in found:
            raise ValueMistake(f"{given} is given twice")
        found[spelled[given]] = value
    missing = [name for name in wanted if name not in found]
    if missing:
        said = [
            f"{v.name} has shape {show_dimensions(v.dims)}" if v.dims else f"{v.name} is a number"
            for v in variables
            if v.name in missing
        ]
        shapes = f"; {', '.join(said)}" if said else ""
        missing = [n if wanted[n] == n else f"{n} (as a keyword {wanted[n]})" for n in missing]
        names = " and ".join(filter(None, (", ".join(missing[:-1]), missing[-1])))
        raise ValueMistake(f"no value is given for {names}{shapes}")
    return found


def _nameless(mapping: object, unnamed: Sequence[Any], wanted: Mapping[str, str]) -> str:
    if unnamed:
        order = ", ".join(wanted)
        return f"values are given by name, as in x=…; function takes them by place ({order})"
    return f"values are given by name, as in x=…, or as one mapping; got {kind_of(mapping)}"


def _unknown(given: str, wanted: Mapping[str, str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(given, wanted, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    names = f"the names are {', '.join(wanted)}" if wanted else "it takes no values"
    return f"nothing here is called {given}{hint} ({names})"


# Shapes


def measured(values: Mapping[Variable, Array], sizes: Mapping[str, int]) -> dict[str, int]:
    """The size of every dimension, all shapes agreeing; ValueMistake names the two that do not."""
    told: dict[str, tuple[int, str]] = {n: (s, f"{n} = {s} was given") for n, s in sizes.items()}
    for variable, array in values.items():
        _axes_fit(variable, array)
    for plain in (True, False):
        for variable, array in values.items():
            for axis, (dim, size) in enumerate(zip(variable.dims, array.shape, strict=True)):
                if (str(dim) in dim.names) is plain:
                    _one_axis(variable, axis, dim, size, told)
    return {n: size for n, (size, _) in told.items()}


def _axes_fit(variable: Variable, array: Array) -> None:
    if array.ndim != variable.ndim:
        wanted = {0: "a number", 1: "a vector", 2: "a matrix"}
        kind = wanted.get(variable.ndim, f"a tensor of {variable.ndim} axes")
        axes = f" ({show_dimensions(variable.dims)})" if variable.ndim else ""
        said = f"{variable.name} is {kind}{axes}, given an array of shape {tuple(array.shape)}"
        if not variable.ndim:  # names are read as numbers by their letters
            other = "n" if array.ndim == 1 else "n m"
            said += f'; shapes={{"{variable.name}": "{other}"}} reads it as an array'
        raise ValueMistake(said)


def _one_axis(
    variable: Variable, axis: int, dim: Dimension, size: int, told: dict[str, tuple[int, str]]
) -> None:
    """Take one size in, or find that it disagrees."""
    saying = f"{variable.name} has {size} {_axis_name(variable, axis, size)} ({dim} = {size})"
    unknown = [n for n in sorted(dim.names) if n not in told]
    if len(unknown) == 1 and len(dim.names) == 1:
        solved = linear(dim, unknown[0])
        if solved is not None:
            factor, constant = solved
            whole, rest = divmod(size - constant, factor)
            if rest or whole < 0:
                raise ValueMistake(f"{saying}, which no whole {unknown[0]} makes")
            told[unknown[0]] = (whole, saying)
            return
    if unknown:
        return
    expected = dim.size({n: s for n, (s, _) in told.items()})
    if expected == size:
        return
    short = saying.rpartition(" (")[0]
    if not dim.names:
        raise ValueMistake(f"{short}, declared with {expected}")
    others = dict.fromkeys(told[n][1] for n in sorted(dim.names))
    raise ValueMistake(f"{', '.join(others)}, {saying}")


def _axis_name(variable: Variable, axis: int, size: int) -> str:
    if variable.ndim > 2:
        return f"{'entry' if size == 1 else 'entries'} along axis {axis + 1}"
    if variable.ndim == 1:
        return "entry" if size == 1 else "entries"
    word = "column" if axis else "row"
    return word if size == 1 else f"{word}s"


# Values


def check(variable: Variable, array: Array) -> bool:
    """Refuse NaN, and entries that contradict what was declared; whether some are infinite."""
    import numpy as np

    suspicious = not isfinite(np.add.reduce(array, axis=None))
    if suspicious and np.isnan(array).any():
        raise ValueMistake(f"{_entry(variable.name, np.argwhere(np.isnan(array))[0])} is NaN")
    for word in sorted(variable.properties) if array.size else ():
        wrong = PROPERTY.get(word, _nothing)(variable.name, array)
        if wrong:
            raise ValueMistake(f"{variable.name} was declared {word}, and {wrong}")
    return suspicious and bool(np.isinf(array).any())


def _entry(name: str, place: Sequence[Any]) -> str:
    """An entry as the language writes it, counted from 1."""
    return f"{name}[{','.join(str(int(k) + 1) for k in place)}]" if len(place) else name


def _nothing(name: str, X: Array) -> str:
    return ""


def _tolerance(X: Array) -> float:
    """How far entries may be apart that should be equal: rounding in the type they came in."""
    import numpy as np

    return float(np.sqrt(np.finfo(X.dtype).eps) * np.abs(X).max())


def _apart(name: str, X: Array, Y: Array, mirrored: bool) -> str:
    """Where X differs most from what it should be, the mirrored entry or zero."""
    import numpy as np

    gap = np.abs(X - Y)
    if not gap.max() > _tolerance(X):
        return ""
    i, j = np.unravel_index(int(gap.argmax()), gap.shape)
    first = f"{_entry(name, (i, j))} = {X[i, j]:g}"
    if not mirrored or i == j:
        return f"{first}, not 0"
    second = f"{_entry(name, (j, i))} = {X[j, i]:g}"
    return f"{first} but {second} (largest difference {gap[i, j]:g})"


def _symmetric(name: str, X: Array) -> str:
    return _apart(name, X, X.T, True)


def _skew(name: str, X: Array) -> str:
    found = _apart(name, X, -X.T, True)
    return found.replace("difference", "sum")


def _diagonal(name: str, X: Array) -> str:
    import numpy as np

    return _apart(name, X, np.diag(np.diag(X)), False)


def _lower(name: str, X: Array) -> str:
    import numpy as np

    return _apart(name, X, np.tril(X), False)


def _upper(name: str, X: Array) -> str:
    import numpy as np

    return _apart(name, X, np.triu(X), False)


def _toeplitz(name: str, X: Array) -> str:
    import numpy as np

    gap = np.abs(X[1:, 1:] - X[:-1, :-1])
    if not gap.size or not gap.max() > _tolerance(X):
        return ""
    i, j = np.unravel_index(int(gap.argmax()), gap.shape)
    return (
        f"{_entry(name, (i, j))} = {X[i, j]:g} but "
        f"{_entry(name, (i + 1, j + 1))} = {X[i + 1, j + 1]:g} (largest difference {gap[i, j]:g})"
    )


def _orthogonal(name: str, X: Array) -> str:
    import numpy as np

    rest = X.T @ X - np.eye(len(X))
    if np.abs(rest).max() <= 10 * np.sqrt(np.finfo(X.dtype).eps) * len(X):
        return ""
    i, j = np.unravel_index(int(np.abs(rest).argmax()), rest.shape)
    return f"the entry [{i + 1},{j + 1}] of {name}'*{name} - eye({len(X)}) is {rest[i, j]:.3g}"


def _spd(name: str, X: Array) -> str:
    import numpy as np

    if _symmetric(name, X):
        return _symmetric(name, X)
    try:
        np.linalg.cholesky(X)
    except np.linalg.LinAlgError:
        return f"its smallest eigenvalue is {np.linalg.eigvalsh(X)[0]:.3g}"
    return ""


def _positive(name: str, X: Array) -> str:
    import numpy as np

    if X.min() > 0:
        return ""
    place = np.unravel_index(int(X.argmin()), X.shape)
    return f"{_entry(name, place)} = {X.min():g}"


def _simplex(name: str, X: Array) -> str:
    import numpy as np

    if X.min() < 0:
        place = np.unravel_index(int(X.argmin()), X.shape)
        return f"{_entry(name, place)} = {X.min():g}"
    total, loose = float(X.sum()), 10 * float(np.sqrt(np.finfo(X.dtype).eps))
    return f"its entries sum to {total:g}, not 1" if abs(total - 1) > loose else ""


def _invertible(name: str, X: Array) -> str:
    import numpy as np

    try:
        condition = np.linalg.norm(X, 1) * np.linalg.norm(np.linalg.inv(X), 1)
    except np.linalg.LinAlgError:
        return "it is singular"
    singular = condition * np.finfo(X.dtype).eps > 1
    return f"it is singular: its condition number is {condition:.1g}" if singular else ""


PROPERTY = {
    "symmetric": _symmetric,
    "skew": _skew,
    "diagonal": _diagonal,
    "lower": _lower,
    "upper": _upper,
    "toeplitz": _toeplitz,
    "orthogonal": _orthogonal,
    "spd": _spd,
    "positive": _positive,
    "simplex": _simplex,
    "invertible": _invertible,
}
