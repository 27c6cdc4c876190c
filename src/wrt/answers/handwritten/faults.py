"""What is off in numbers that a program computed instead of a derivative: of the derivative's text
the term, sign, factor, transpose or axis that would have to be other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from wrt.answers.claims.faults import (
    MOST_EDITS,
    Comparison,
    Faults,
    Search,
    parallel,
    said_multiple,
    said_of,
    values_of,
)
from wrt.answers.claims.places import agree
from wrt.answers.claims.proportions import Multiple, multiples, ratio_of

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["code_faults"]


def code_faults(at: Comparison) -> Faults | None:
    """What is off where the values of `at` are what a program computed, and `at.truth` is the
    derivative's text.
    """
    if not at.found:
        return None
    return _CodeSearch(at.truth, at).faults()


class _CodeSearch(Search):
    """The search in the derivative's own text for what a program has done instead."""

    def faults(self) -> Faults | None:
        several = self.by_terms_of(self.term_values())
        if several and len(several.lines) == 0:
            return several
        changed = self.turned() or self.by_change()
        if changed and not changed.lines:
            return changed
        opened = several or self.by_terms_of(self.opened_values())
        return opened or changed or self.by_change_of_a_term()

    # Numbers before the terms

    def term_values(self) -> list[tuple[str, list[Array]]] | None:
        """The terms as they are written, with their values."""
        if self.arrays is None:
            return None
        count = len(self.terms)
        names = [f"the term {t.said}" if count > 1 else "the result" for t in self.terms]
        return [(name, [a[j] for a in self.arrays]) for j, name in enumerate(names)]

    def opened_values(self) -> list[tuple[str, list[Array]]] | None:
        """The terms multiplied out, with their values."""
        made = []
        for said, node in self.at.terms:
            arrays = values_of([node], self.at)
            if arrays is None:
                return None
            made.append((f"the term {said.removeprefix('-')}", [a[0] for a in arrays]))
        return made if len(made) > 1 else None

    def by_terms_of(self, parts: list[tuple[str, list[Array]]] | None) -> Faults | None:
        """Terms that were taken with other numbers."""
        if not parts:
            return None
        at, count = self.at, len(self.at.found)
        arrays = [[values[k] for _, values in parts] for k in range(count)]
        found = multiples(arrays, at.wholes, at.found, self.loose)
        if found is None:
            return None
        lines = [_taken(n, name) for n, (name, _) in zip(found, parts, strict=True) if not n.is_one]
        return Faults(lines[0], lines[1:]) if lines else None

    # One change

    def turned(self) -> Faults | None:
        """A result that is the transpose."""
        values = self.values(self.text)
        if values is None or values[0].ndim != 2:
            return None
        if values[0].shape[0] != values[0].shape[1]:
            return None
        pairs = zip(values, self.at.wholes, strict=True)
        if all(agree(v.T, w, self.at.tolerance) for v, w in pairs):
            return Faults("the result should be transposed")
        return None

    def by_change(self) -> Faults | None:
        """One change, rather than one beside a number."""
        near: Faults | None = None
        for edit in islice(self.changes(self.text), MOST_EDITS):
            number = self.proportion(edit.text)
            if number is None:
                continue
            head = said_of(edit, fixing=False)
            if number.is_one:
                return Faults(head)
            if len(self.terms) == 1:
                near = near or Faults(head, [_taken(number, "the result")])
        return near

    def by_change_of_a_term(self) -> Faults | None:
        """One term spoiled, all others as they should be."""
        parts = self.term_values()
        if parts is None or len(parts) < 2:
            return None
        for j, term in enumerate(self.terms):
            rest = self.without(j, parts)
            for edit in islice(self.changes(term.text), MOST_EDITS // len(parts)):
                arrays = self.values(edit.text)
                if arrays is None or not parallel(arrays[0], rest[0], self.at.tolerance):
                    continue
                number = ratio_of(arrays, rest, self.at.found, self.loose)
                if number is not None:
                    more = [] if number.is_one else [_taken(number, f"the term {term.said}")]
                    return Faults(f"in the term {term.said}, {said_of(edit, fixing=False)}", more)
        return None

    def without(self, j: int, parts: Sequence[tuple[str, list[Array]]]) -> list[Array]:
        """What is left of the values when all terms but one are taken away."""
        left = list(self.at.wholes)
        for k, (_, values) in enumerate(parts):
            if k != j:
                left = [a - b for a, b in zip(left, values, strict=True)]
        return left


def _taken(number: Multiple, name: str) -> str:
    """What it means that a term was taken so many times."""
    if not number.number:
        return f"{name} is missing"
    if not number.sizes and number.number == -1:
        return f"{name} has the wrong sign"
    return said_multiple(number.inverse, name)
