"""Numbers between what is there and what should be: which multiples of some terms add up to a
tensor, as fractions and sizes that a person can name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING, Any

from wrt.expression.dataclass import dataclass

if TYPE_CHECKING:
    import numpy as np

    from wrt.answers.claims.places import Place

    Array = np.ndarray[Any, Any]

__all__ = ["Multiple", "multiples", "ratio_of"]

#: A combination that leaves more than this part of a tensor over is none.
LEFT_OVER = 1e-7
#: Fractions with larger denominators are no numbers that a person forgets.
LARGEST = 36


@dataclass(frozen=True)
class Multiple:
    """A fraction times a power of sizes, as in 2 or 1/n."""

    number: Fraction
    sizes: str = ""

    @property
    def is_one(self) -> bool:
        """Whether nothing is off."""
        return self.number == 1 and not self.sizes

    @property
    def inverse(self) -> Multiple:
        """What makes up for this one; that of nothing is nothing."""
        sizes = self.sizes.removeprefix("1/").strip("()")
        above = self.sizes.startswith("1/")
        below = f"1/({sizes})" if "*" in sizes else f"1/{sizes}"
        said = "" if not sizes else sizes if above else below
        return Multiple(1 / self.number if self.number else self.number, said)

    def __str__(self) -> str:
        if not self.sizes:
            return str(self.number)
        below = self.sizes.startswith("1/")
        if self.number == 1:
            return self.sizes
        if below:
            return f"{self.number}/{self.sizes[2:]}"
        return f"-{self.sizes}" if self.number == -1 else f"{self.number}*{self.sizes}"


def multiples(
    parts: Sequence[Sequence[Array]],
    wholes: Sequence[Array],
    found: Sequence[Place],
    tolerance: float = LEFT_OVER,
) -> list[Multiple] | None:
    """The numbers c with Σ c·part = whole at every place; None where there are none that can be
    named, or more than one choice of them. `parts` are the arrays of each place in turn; what is
    left over may be `tolerance` of the whole.
    """
    groups: list[tuple[Mapping[str, int], list[float]]] = []
    order = sorted(range(len(found)), key=lambda k: sorted(found[k].sizes.items()))
    for _, members in groupby(order, key=lambda k: sorted(found[k].sizes.items())):
        at = list(members)
        solved = _solved([parts[k] for k in at], [wholes[k] for k in at], tolerance)
        if solved is None:
            return None
        groups.append((found[at[0]].sizes, solved))
    if not groups:
        return None
    made = [
        _named([values[j] for _, values in groups], [sizes for sizes, _ in groups], tolerance)
        for j in range(len(groups[0][1]))
    ]
    named = [one for one in made if one is not None]
    return named if len(named) == len(made) else None


def ratio_of(
    part: Sequence[Array],
    whole: Sequence[Array],
    found: Sequence[Place],
    tolerance: float = LEFT_OVER,
) -> Multiple | None:
    """The number c with whole = c·part at every place."""
    solved = multiples([[one] for one in part], whole, found, tolerance)
    return solved[0] if solved else None


def _solved(
    parts: Sequence[Sequence[Array]], wholes: Sequence[Array], tolerance: float
) -> list[float] | None:
    import numpy as np

    columns = []
    for j in range(len(parts[0])):
        made = [np.broadcast_to(p[j], w.shape).ravel() for p, w in zip(parts, wholes, strict=True)]
        columns.append(np.concatenate(made))
    matrix = _real(np.stack(columns, axis=1))
    wanted = _real(np.concatenate([w.ravel() for w in wholes]))
    if not (np.all(np.isfinite(matrix)) and np.all(np.isfinite(wanted))):
        return None
    scales = np.abs(matrix).max(axis=0, initial=0)
    if matrix.shape[0] < matrix.shape[1] or scales.min(initial=1) <= 0:
        return None
    solution, _, rank, _ = np.linalg.lstsq(matrix / scales, wanted, rcond=1e-9)
    if rank < matrix.shape[1]:
        return None
    left = np.abs(matrix / scales @ solution - wanted).max(initial=0)
    if left > tolerance * max(np.abs(wanted).max(initial=0), np.abs(solution).max(initial=0)):
        return None
    return [float(v) for v in solution / scales]


def _real(array: Array) -> Array:
    import numpy as np

    return np.concatenate([array.real, array.imag]) if array.dtype.kind == "c" else array


def _named(
    values: Sequence[float], sizes: Sequence[Mapping[str, int]], tolerance: float
) -> Multiple | None:
    """One fraction, or one times a size or its inverse, that all values are."""
    near = max(1e-6, 10 * tolerance)
    names = list(sizes[0]) if sizes else []
    pairs = [(a, b) for k, a in enumerate(names) for b in names[k:]]
    choices: list[tuple[str, list[float]]] = [("", [1.0] * len(values))]
    for chosen in (*((n,) for n in names), *pairs):
        product = [float(_volume(one, chosen)) for one in sizes]
        said = "*".join(chosen)
        choices.append((said, product))
        choices.append(
            (f"1/{said}" if len(chosen) == 1 else f"1/({said})", [1 / p for p in product])
        )
    for text, weights in choices if len(sizes) > 1 else choices[:1]:
        number = _fraction(values[0] / weights[0], near)
        if number is None:
            continue
        alike = (
            abs(v - float(number) * w) <= near * max(1, abs(v))
            for v, w in zip(values, weights, strict=True)
        )
        if all(alike):
            return Multiple(number, text)
    return None


def _volume(sizes: Mapping[str, int], names: Sequence[str]) -> int:
    product = 1
    for name in names:
        product *= sizes[name]
    return product


def _fraction(value: float, near: float) -> Fraction | None:
    number = Fraction(value).limit_denominator(LARGEST)
    return number if abs(float(number) - value) <= near * max(1.0, abs(value)) else None
