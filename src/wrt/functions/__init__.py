"""The book of functions: one record for each word of the language, pure text.

Reading order: `elementwise` (functions of one entry), `conjugates` (complex numbers),
`activations`, `reductions` (many entries to one), `linalg` (square matrices and products),
`spectral` (eigenvalues and the like), `matrix_functions`, `patterns` (eye, ones, unit…). A new word
is one more record there.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from wrt.errors import NameMistake
from wrt.expression.function import Function
from wrt.functions import (
    activations,
    conjugates,
    elementwise,
    linalg,
    matrix_functions,
    patterns,
    reductions,
    spectral,
)

__all__ = ["BOOK", "find"]


def _book() -> dict[str, Function]:
    book: dict[str, Function] = {}
    for room in (
        elementwise,
        conjugates,
        activations,
        reductions,
        linalg,
        spectral,
        matrix_functions,
        patterns,
    ):
        for record in room.RECORDS:
            for word in (record.name, *record.aliases):
                assert word not in book, word
                book[word] = record
    return book


#: Every word that is known, other spellings included, with its record.
BOOK: Mapping[str, Function] = MappingProxyType(_book())


def find(word: str) -> Function:
    """The record of a word; NameMistake with the nearest words where there is none.

    >>> find("trace") is find("tr"), find("inv").differential
    (True, '-Y*dX*Y')
    >>> find("tahn")
    Traceback (most recent call last):
    wrt.errors.NameMistake: no function is called tahn
      perhaps tan or tanh
    """
    record = BOOK.get(word)
    if record is None:
        from difflib import get_close_matches

        near = get_close_matches(word, BOOK, n=2)
        hint = "perhaps " + " or ".join(near) if near else None
        raise NameMistake(f"no function is called {word}", hint=hint)
    return record
