"""Runs of the same links in a product, which are said as powers: A*A is A^2, A*B*A*B is (A*B)^2."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wrt.expression.coefficient import ONE
from wrt.notation.conjugates import joined
from wrt.notation.phrases import times
from wrt.notation.tree import Tree

__all__ = ["runs"]

#: A run of several links is looked for up to so many of them.
MOST_LINKS = 6


def runs(chain: Sequence[Tree]) -> Iterator[tuple[Tree, int]]:
    """The links of a chain, and how often each stands there in a row; several that return
    together are one.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.notation.tree import name
    >>> n = Dimension.of("n")
    >>> A, B = (name(word, (n, n)) for word in "AB")
    >>> [(link.text, count) for link, count in runs([A, B, A, B, A, A])]
    [('A*B', 2), ('A', 2)]
    """
    links = joined(chain)
    k = 0
    while k < len(links):
        size, count = _longest(links, k)
        piece = links[k : k + size]
        yield (piece[0] if size == 1 else times(ONE, piece)), count
        k += size * count


def _longest(links: Sequence[Tree], start: int) -> tuple[int, int]:
    """How many links from a place return, and how often they stand there: what saves most."""
    best, saved = (1, 1), 0
    for size in range(1, min((len(links) - start) // 2, MOST_LINKS) + 1):
        piece = links[start : start + size]
        if piece[0].shape[0] is None or piece[0].shape[0] is not piece[-1].shape[1]:
            continue
        count = 1
        while links[start + size * count : start + size * (count + 1)] == piece:
            count += 1
        saving = sum(t.cost[0] for t in piece) * (count - 1) - 1
        if count > 1 and (saving > saved or (size == 1 and saving >= saved)):
            best, saved = (size, count), saving
    return best
