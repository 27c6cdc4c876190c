"""The ways in which one and the same derivative may be written down: its axes in any order, or
joined into a matrix between the entries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations, product
from math import prod
from typing import TYPE_CHECKING, Any

from wrt.expression.dataclass import dataclass
from wrt.expression.dimensions import Dimension

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Layout", "layouts", "united"]
#: Beyond this many axes only the layouts that have a name are tried.
MOST_TURNED = 5


@dataclass(frozen=True)
class Layout:
    """The axes of a derivative in an order; where `joined` is set, those of f and those of x
    joined into one axis each.
    """

    name: str
    sentence: str
    order: tuple[int, ...]
    #: How many of the ordered axes make up each axis of the result; None: nothing is joined.
    joined: tuple[int, ...] | None = None

    def dims(self, dims: Sequence[Dimension]) -> tuple[Dimension, ...]:
        """The axes in this layout."""
        turned = [dims[a] for a in self.order]
        if self.joined is None:
            return tuple(turned)
        rest = iter(turned)
        one = Dimension.of(1)
        return tuple(prod((next(rest) for _ in range(k)), start=one) for k in self.joined)

    def of(self, array: Array) -> Array:
        """An array in this layout."""
        turned = array.transpose(self.order)
        if self.joined is None:
            return turned
        rest = iter(turned.shape)
        return turned.reshape([prod(next(rest) for _ in range(k)) for k in self.joined])

    @property
    def is_plain(self) -> bool:
        """Whether the axes stand as they are."""
        return self.joined is None and self.order == tuple(range(len(self.order)))


def layouts(groups: Sequence[int]) -> Iterator[Layout]:
    """The layouts of a derivative whose axes are those of f, then of each variable: first as it
    is, then those that books use.

    >>> [layout.name for layout in layouts((1, 1))]
    ['', 'denominator']
    """
    seen: set[tuple[Any, ...]] = set()
    for layout in _all(groups):
        key = (layout.order, layout.joined)
        if key not in seen and not (layout.joined and set(layout.joined) == {1}):
            seen.add(key)
            yield layout


def _all(groups: Sequence[int]) -> Iterator[Layout]:
    count, cut = sum(groups), groups[0]
    f, x = list(range(cut)), list(range(cut, count))
    yield Layout("", "as it is", tuple(range(count)))
    numerator = "the axes of f, then those of x in reverse (numerator layout)"
    denominator = "the axes of x, then those of f in reverse (denominator layout)"
    if count == 2:
        numerator, denominator = (
            f"the transpose ({n} layout)" for n in ("numerator", "denominator")
        )
    yield Layout("numerator", numerator, tuple(f + x[::-1]))
    yield Layout("denominator", denominator, tuple(x + f[::-1]))
    gradient = "the axes of x, then those of f (gradient layout)"
    yield Layout("gradient", gradient, tuple(x + f))
    yield from _vectors(f, x, groups)
    yield from _blocks(f, x, groups)
    if count <= MOST_TURNED:
        for a, b in product(permutations(f), permutations(x)):
            yield Layout("f first", "the axes of f and then of x, each in another order", a + b)
            yield Layout("x first", "the axes of x and then of f, each in another order", b + a)


def _blocks(f: list[int], x: list[int], groups: Sequence[int]) -> Iterator[Layout]:
    """Matrices of blocks: a block for each entry of one, laid out as the other."""
    if len(groups) > 2 or not 0 < len(f) < 3 or len(x) != 2:
        return
    for outer, inner, said in ((x, f, "x, laid out as f"), (f, x, "f, laid out as x")):
        rows = [axes[0] for axes in (outer, inner)]
        columns = [axes[1] for axes in (outer, inner) if len(axes) > 1]
        sentence = f"a matrix of blocks, one for each entry of {said}"
        yield Layout("blocks", sentence, tuple(rows + columns), (len(rows), len(columns)))


def _vectors(f: list[int], x: list[int], groups: Sequence[int]) -> Iterator[Layout]:
    """The matrices between the entries of f and of x, each laid end to end by rows or columns."""
    if len(groups) > 2 or len(f) + len(x) < 2:
        return
    for rows, columns in ((f, x), (x, f)):
        for a, b in product((1, -1), repeat=2):
            if (len(rows) < 2 and a < 0) or (len(columns) < 2 and b < 0):
                continue
            order = tuple(rows[::a] + columns[::b])
            joined = tuple(k for k in (len(rows), len(columns)) if k)
            name, said = _vector_name(rows is f, (a, rows), (b, columns))
            yield Layout(name, said, order, joined)


def _vector_name(
    plain: bool, rows: tuple[int, list[int]], columns: tuple[int, list[int]]
) -> tuple[str, str]:
    steps = {step for step, axes in (rows, columns) if len(axes) > 1}
    ways = {1: "row by row", -1: "column by column"}
    if len(steps) < 2:
        step = steps.pop() if steps else 1
        name = "vec-rows" if step > 0 else "vec-columns"
        said = f"entries taken {ways[step]}"
    else:
        name = "vec-mixed"
        said = f"those of the rows taken {ways[rows[0]]}, of the columns {ways[columns[0]]}"
    if not (rows[1] and columns[1]):
        return name, f"a vector of all entries, {said}"
    if plain:
        return name, f"a matrix, entries of f by entries of x, {said}"
    return f"{name} transposed", f"a matrix, entries of x by entries of f, {said}"


def united(
    dims: Sequence[Dimension], wanted: Sequence[Dimension], fresh: Sequence[str]
) -> Mapping[str, Dimension] | None:
    """What sizes that a text invented have to be, so that its axes are those wanted.

    >>> n, m, p = map(Dimension.of, "nmp")
    >>> united((p, m * p), (n, n * m), ["p"])
    {'p': Dimension('n')}
    """
    if len(dims) != len(wanted):
        return None
    free = [name for name in fresh if any(name in d.names for d in dims)]
    names = [Dimension.of(n) for d in wanted for n in sorted(d.names)]
    choices = list(dict.fromkeys([*wanted, *names]))
    for chosen in product(choices, repeat=len(free)):
        mapping = dict(zip(free, chosen, strict=True))
        if all(d.replace(mapping) is w for d, w in zip(dims, wanted, strict=True)):
            return mapping
    return None
