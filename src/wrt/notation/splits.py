"""Joined indices, as in x[(i,j)]: whether a reader can tell the size of each.

A letter is as long as the axis where it stands alone. Letters that only stand joined are as long
as what vec or kron joined to an axis of that size; one letter is what the others leave.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from math import prod

from wrt.expression.dimensions import Dimension
from wrt.notation.tree import LETTER, Tree

__all__ = ["sized_letters", "tells_sizes"]

_ITEM = re.compile(r"\([^)]*\)|[^,]+")
_ONE = Dimension.of(1)
Way = tuple[Dimension, ...]


def sized_letters(line: Tree) -> set[str]:
    """The letters of a line that stand at an axis of a known length."""
    found: set[str] = set()
    for part in _parts([line]):
        if part.letters is not None and _is_sized(part):
            found.update(LETTER.findall(part.word))
    return found


def _is_sized(part: Tree) -> bool:
    return part.parts[0].word not in ("δ", "ones")


def tells_sizes(line: Tree, whole: Sequence[Tree], sizes: Mapping[str, Dimension]) -> bool:
    """Whether the sizes of all letters that stand joined in one line of a whole can be told, and
    those of sums (#) at all: δ and ones do not say how many terms there are.

    >>> from wrt.notation.layout import vec
    >>> from wrt.notation.tree import name
    >>> n, m = map(Dimension.of, "nm")
    >>> X, sizes = name("X", (n, m)), {"i": n, "j": m}
    >>> entries = [Tree("index", word, (vec(X),)) for word in ("(j,i)", "(i,j)")]
    >>> [tells_sizes(entry, [entry], sizes) for entry in entries]
    [True, False]
    """
    joined: set[tuple[str, ...]] = set()
    alone: set[str] = set()
    summed: set[str] = set()
    for part in _parts([line]):
        if part.letters is None:
            continue
        summed.update(k for k in part.letters if k.startswith("#"))
        for item in _ITEM.findall(part.word) if _is_sized(part) else ():
            letters = tuple(LETTER.findall(item))
            if item.startswith("("):
                joined.add(letters)
            else:
                alone.update(letters)
    if not summed <= alone.union(*joined):
        return False
    if all(alone.issuperset(group) for group in joined):
        return True
    ways = {way for part in _parts(whole) for way in _ways(part)}
    return all(_is_told(group, alone, ways, sizes) for group in joined)


def _is_told(
    group: tuple[str, ...], alone: set[str], ways: set[Way], sizes: Mapping[str, Dimension]
) -> bool:
    if alone.issuperset(group):
        return True
    if not sizes.keys() >= set(group):
        return False
    dims = tuple(sizes[k] for k in group)
    known = {k: dim for k, dim in zip(group, dims, strict=True) if k in alone}
    size = prod(dims, start=_ONE)
    fitting = {
        way
        for way in ways
        if len(way) == len(group)
        and prod(way, start=_ONE) is size
        and all(known.get(k, dim) is dim for k, dim in zip(group, way, strict=True))
    }
    if len(fitting) == 1:
        return fitting == {dims}
    return len(known) == len(group) - 1 and len(prod(known.values(), start=_ONE).terms) == 1


def _parts(said: Sequence[Tree]) -> Iterator[Tree]:
    stack = list(said)
    while stack:
        part = stack.pop()
        yield part
        stack.extend(part.parts)


def _ways(part: Tree) -> Iterator[Way]:
    """The sizes that vec and kron join to one, the slowest first."""
    if part.head == "call" and part.word == "vec":
        rows, columns = part.parts[0].shape
        if rows is not None and columns is not None:
            yield (columns, rows)
    elif part.head == "call" and part.word == "kron":
        left, right = part.parts
        for pair in zip(left.shape, right.shape, strict=True):
            if pair[0] is not None and pair[1] is not None and _ONE not in pair:
                yield (pair[0], pair[1])
