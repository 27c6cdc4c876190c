"""What may be supposed of variables so that a claim holds: symmetric, positive, with the sum 1,
commuting, of equal sizes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from wrt.algebra.equality import constrained_value
from wrt.answers.claims.places import Change
from wrt.expression.dataclass import dataclass
from wrt.expression.nodes import Variable

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Supposition", "equal_sizes", "suppositions"]

#: With more square matrices than this, no pairs are tried.
MOST_PAIRED = 5
#: Square matrices of these kinds are their own transposes.
_SYMMETRIC = frozenset({"symmetric", "spd", "diagonal", "symtoeplitz"})


@dataclass(frozen=True)
class Supposition:
    """A condition in words, and what it does to values drawn at random."""

    sentence: str
    change: Change


def suppositions(
    variables: Sequence[Variable], by: Sequence[Variable], equal: Mapping[str, Any]
) -> Iterator[Supposition]:
    """Conditions on the variables, the mildest first; `by` are those differentiated by.

    >>> from wrt.language import read
    >>> A, x = read("A*A*x").variables.values()
    >>> [one.sentence for one in suppositions((A, x), (x,), {})][:2]
    ['A is symmetric', 'A is positive']
    """
    square = [v for v in variables if _is_square(v, equal)]
    free = [v.name for v in square if not v.properties & (_SYMMETRIC | {"skew"})]
    free.sort(key=lambda name: name in {v.name for v in by})
    yield from (_made([n], "symmetric") for n in free)
    if len(free) <= MOST_PAIRED:
        yield from (_made(list(pair), "symmetric") for pair in combinations(free, 2))
    if len(free) > 2:
        yield _made(free, "symmetric")
    plain = [v.name for v in variables if not v.properties & {"positive", "simplex", "complex"}]
    yield from (_positive([n]) for n in plain)
    if len(plain) > 1:
        yield _positive(plain)
    yield from _summing(variables, by)
    if len(square) <= MOST_PAIRED:
        for a, b in combinations(square, 2):
            if a.dims[0].replace(equal) is b.dims[0].replace(equal):
                yield from _commuting(a, b)
    fixed = [n for n in free if n not in {v.name for v in by}]
    for word in ("diagonal", "orthogonal", "skew"):
        yield from (_made([n], word) for n in fixed)


def _is_square(variable: Variable, equal: Mapping[str, Any]) -> bool:
    if variable.ndim != 2:
        return False
    rows, columns = (d.replace(equal) for d in variable.dims)
    return rows is columns


def _made(names: Sequence[str], word: str) -> Supposition:
    import numpy as np

    def change(values: dict[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
        made = dict(values)
        for name in names:
            if word == "orthogonal":
                made[name] = np.linalg.qr(values[name])[0]
            else:
                made[name] = constrained_value(frozenset({word}), values[name])
        return made

    return Supposition(f"{_listed(names)} {_are(names)} {word}", change)


def _positive(names: Sequence[str]) -> Supposition:
    def change(values: dict[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
        return values | {n: abs(values[n]) + 0.1 for n in names}

    return Supposition(f"{_listed(names)} {_are(names)} positive", change)


def _summing(variables: Sequence[Variable], by: Sequence[Variable]) -> Iterator[Supposition]:
    """Entries that sum to 1, or one that is 1, of what is given."""
    moving = {v.name for v in by}
    for v in variables:
        if v.properties & {"simplex", "complex"} or v.name in moving:
            continue
        if v.ndim == 1:
            yield _summed(v.name, f"{v.name} sums to 1", None)
            yield _picked(v.name)
        if v.ndim == 2 and not v.properties:
            yield _summed(v.name, f"every row of {v.name} sums to 1", 1)
            yield _summed(v.name, f"every column of {v.name} sums to 1", 0)


def _summed(name: str, sentence: str, axis: int | None) -> Supposition:
    def change(values: dict[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
        value = values[name]
        count = value.size if axis is None else value.shape[axis]
        lacking = (1 - value.sum(axis=axis, keepdims=True)) / max(count, 1)
        return values | {name: value + lacking}

    return Supposition(sentence, change)


def _picked(name: str) -> Supposition:
    def change(values: dict[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
        value = values[name]
        return values | {name: 1.0 * (value == value.max(initial=-float("inf")))}

    return Supposition(f"one entry of {name} is 1 and all others are 0", change)


def _commuting(a: Variable, b: Variable) -> Iterator[Supposition]:
    """The second a polynomial in the first: as it is, then both symmetric."""
    if b.properties & _SYMMETRIC:
        a, b = b, a
    if b.properties - {"invertible"}:
        return
    first, second = sorted((a.name, b.name))
    if a.properties & _SYMMETRIC:
        yield _polynomial(a, b, f"{b.name} is symmetric and commutes with {a.name}", False)
        return
    yield _polynomial(a, b, f"{first} and {second} commute", False)
    yield _polynomial(a, b, f"{first} and {second} are symmetric and commute", True)


def _polynomial(a: Variable, b: Variable, sentence: str, symmetric: bool) -> Supposition:
    import numpy as np

    def change(values: dict[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
        base = values[a.name]
        base = (base + base.T) / 2 if symmetric else base
        made = 0.3 * base @ base + 0.7 * base + 0.9 * np.eye(len(base))
        return values | {a.name: base, b.name: made}

    return Supposition(sentence, change)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def equal_sizes(names: Sequence[str]) -> Iterator[frozenset[str]]:
    """Sizes that may be supposed equal: two of them, then more.

    >>> [" = ".join(sorted(group)) for group in equal_sizes(("m", "n", "p"))]
    ['m = n', 'm = p', 'n = p', 'm = n = p']
    """
    for count in range(2, min(len(names), 4) + 1):
        yield from map(frozenset, combinations(names, count))
