"""The canonical order of a product: equal up to names of indices means identical.

Factors are sorted by structural digest and exponent; factors that tie are told apart by where their
indices lead (colour refinement), and what still ties is interchangeable. Indices then follow by
first occurrence, the output's first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wrt.expression.dimensions import Dimension
    from wrt.expression.nodes import Factor

__all__ = ["Layout", "arranged", "ordered"]


def ordered(factors: list[Factor], output: tuple[int, ...]) -> list[Factor]:
    """The factors in canonical order."""
    if len(factors) < 2:
        return factors
    if len(factors) == 2:
        first, last = factors
        if first[0] is not last[0]:
            return factors if first[0].digest < last[0].digest else [last, first]
    if len({f[0] for f in factors}) == len(factors):
        return sorted(factors, key=_by_digest)
    return _sorted(factors, output)


class Layout:
    """How the indices of a product stand, in canonical names: one for all products laid out
    alike.

    `summed` are the indices that the output lacks; `repeats` says that one repeats in it, so that
    entries off a diagonal are zero; `light` that nothing is summed, `entrywise` that entries of
    the factors meet at the same place, `melts` that a product goes into any other; `said` tells
    layouts apart, `head` is what a product without a number says besides its factors.
    """

    __slots__ = (
        "dims",
        "entrywise",
        "exponents",
        "head",
        "index_dims",
        "indices",
        "light",
        "melts",
        "output",
        "repeats",
        "said",
        "summed",
    )

    def __init__(
        self,
        exponents: tuple[int | Fraction, ...],
        indices: tuple[tuple[int, ...], ...],
        output: tuple[int, ...],
        index_dims: tuple[Dimension, ...],
    ) -> None:
        self.exponents, self.indices = exponents, indices
        self.output, self.index_dims = output, index_dims
        self.dims = tuple([index_dims[i] for i in output])
        kept = set(output)
        self.summed = tuple([i for i in range(len(index_dims)) if i not in kept])
        self.repeats, self.light = len(kept) < len(output), not self.summed
        self.melts = self.light and len(exponents) < 2
        self.entrywise = self.light and not self.repeats and {*indices} <= {output}
        parts = (*map(str, exponents), indices, output, *[d._text for d in index_dims])
        self.said = repr(parts)[1:]
        self.head = self.head_with("1")

    def head_with(self, number: str) -> bytes:
        """What a product with a number says besides its factors."""
        return f"Einsum({number!r}, {self.said}".encode()


@lru_cache(maxsize=8192)
def arranged(
    exponents: tuple[int | Fraction, ...],
    indices: tuple[tuple[int, ...], ...],
    output: tuple[int, ...],
    index_dims: tuple[Dimension, ...],
) -> Layout:
    """The layout of factors in canonical order, whatever their indices are called."""
    names = list(dict.fromkeys(chain(output, *indices)))
    place = {old: new for new, old in enumerate(names)}
    renamed = tuple([tuple([place[i] for i in one]) for one in indices])
    dims = tuple([index_dims[i] for i in names])
    return _layout(exponents, renamed, tuple([place[i] for i in output]), dims)


_layout = lru_cache(maxsize=4096)(Layout)


def _by_digest(factor: Factor) -> bytes:
    return factor[0].digest


def _sorted(factors: list[Factor], output: tuple[int, ...]) -> list[Factor]:
    """The order where a node occurs twice."""
    heads = [(node.digest, exponent) for node, exponent, _ in factors]
    if len(set(heads)) < len(heads):
        return _untied(factors, heads, output)
    return sorted(factors, key=lambda f: (f[0].digest, f[1]))


Head = tuple[bytes, "int | Fraction"]


def _untied(factors: list[Factor], heads: list[Head], output: tuple[int, ...]) -> list[Factor]:
    order = _told_apart(tuple(heads), tuple([indices for _, _, indices in factors]), output)
    return [factors[k] for k in order]


Labels = tuple[tuple[int, ...], ...]


@lru_cache(maxsize=1024)
def _told_apart(
    heads: tuple[Head, ...], labels: Labels, output: tuple[int, ...]
) -> tuple[int, ...]:
    """Sort with ties: refine colours of indices until stable, single one out, repeat."""
    colors: dict[int, int] = _ranks({i: _places(i, output) for one in labels for i in one})
    marks = [0] * len(heads)
    while True:
        signatures, colors = _refined(heads, labels, marks, colors)
        counts = Counter(signatures)
        tied = [s for s in counts if counts[s] > 1]
        if not tied:
            return tuple(sorted(range(len(heads)), key=signatures.__getitem__))
        single = signatures.index(min(tied))
        marks[single] = max(marks) + 1


def _places(index: int, output: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(k for k, i in enumerate(output) if i == index)


def _refined(
    heads: tuple[Head, ...], labels: Labels, marks: list[int], colors: dict[int, int]
) -> tuple[list[Any], dict[int, int]]:
    while True:
        signatures = [
            (*head, mark, tuple([colors[i] for i in indices]))
            for head, mark, indices in zip(heads, marks, labels, strict=True)
        ]
        rank = {s: k for k, s in enumerate(sorted(set(signatures)))}
        seen: dict[int, list[tuple[int, int]]] = {i: [] for i in colors}
        for signature, indices in zip(signatures, labels, strict=True):
            for place, i in enumerate(indices):
                seen[i].append((rank[signature], place))
        finer = _ranks({i: (colors[i], tuple(sorted(seen[i]))) for i in colors})
        if len(set(finer.values())) == len(set(colors.values())):
            return signatures, finer
        colors = finer


def _ranks(labels: Mapping[int, Hashable]) -> dict[int, int]:
    order = {label: k for k, label in enumerate(sorted(set(labels.values())))}  # type: ignore[type-var]
    return {i: order[label] for i, label in labels.items()}
