"""Kinds: how many axes a part of a formula has, if it lies as a row, what operators make of it.

A kind is a small whole number, a set of kinds a bit mask. A rule takes the kinds of the operands
and gives the kind of the result, or None where they do not fit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import product

__all__ = [
    "ANY",
    "COLUMN",
    "MATRIX",
    "MOST_AXES",
    "ROW",
    "SCALAR",
    "Rule",
    "axes",
    "bit",
    "described",
    "fixed",
    "kind_of",
    "kinds_in",
    "narrow",
    "only",
]

SCALAR, COLUMN, ROW, MATRIX = range(4)
#: Tensors of more axes are the kinds that follow.
MOST_AXES = 12
ANY = (1 << (MOST_AXES + 2)) - 1

Rule = Callable[[tuple[int, ...]], int | None]

#: Rules of many operands are narrowed only when few combinations are left.
MOST_COMBINATIONS = 256


def axes(kind: int) -> int:
    """How many axes a kind has.

    >>> [axes(kind) for kind in (SCALAR, COLUMN, ROW, MATRIX, MATRIX + 1)]
    [0, 1, 1, 2, 3]
    """
    return kind if kind < ROW else kind - 1


def kind_of(count: int) -> int:
    """The kind of a tensor with so many axes; a single axis is a column."""
    return count if count < 2 else count + 1


def described(kind: int) -> str:
    """A kind in words.

    >>> described(ROW), described(kind_of(3))
    ('row', 'tensor of 3 axes')
    """
    if kind <= MATRIX:
        return ("scalar", "vector", "row", "matrix")[kind]
    return f"tensor of {axes(kind)} axes"


def bit(kind: int) -> int:
    """The set of one kind."""
    return 1 << kind


@lru_cache(maxsize=65536)
def kinds_in(mask: int) -> tuple[int, ...]:
    """The kinds of a set."""
    return tuple(k for k in range(mask.bit_length()) if mask >> k & 1)


def only(mask: int) -> int | None:
    """The one kind of a set, or None while it has several."""
    return mask.bit_length() - 1 if mask and not mask & (mask - 1) else None


@lru_cache(maxsize=65536)
def narrow(rule: Rule, inputs: tuple[int, ...], output: int) -> tuple[tuple[int, ...], int] | None:
    """The sets that are left of the operands' kinds and the result's; None where nothing fits.

    >>> narrow(times, (bit(MATRIX), bit(SCALAR) | bit(COLUMN)), bit(COLUMN))
    ((8, 2), 2)
    """
    choices = [kinds_in(mask) for mask in inputs]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > MOST_COMBINATIONS:
        return inputs, output
    left, right = [0] * len(inputs), 0
    for kinds in product(*choices):
        made = rule(kinds)
        if made is not None and output >> made & 1:
            right |= 1 << made
            for k, kind in enumerate(kinds):
                left[k] |= 1 << kind
    return (tuple(left), right) if right else None


# The rules of the operators


def entrywise(kinds: tuple[int, ...]) -> int | None:
    """Entry by entry: the same kind, any scalar repeated."""
    made = SCALAR
    for kind in kinds:
        if made == SCALAR:
            made = kind
        elif kind not in (SCALAR, made):
            return None
    return made


def times(kinds: tuple[int, ...]) -> int | None:
    """The product contracts the last axis of the left with the first of the right."""
    left, right = kinds
    if left == SCALAR or right == SCALAR:
        return left + right
    if left == COLUMN:
        return MATRIX if right == ROW else None
    if right == ROW:
        return None
    if left == ROW:
        return {COLUMN: SCALAR, MATRIX: ROW}.get(right, right - 1)
    count = axes(left) + axes(right) - 2
    return kind_of(count) if count <= MOST_AXES else None


def divide(kinds: tuple[int, ...]) -> int | None:
    """Division by a scalar."""
    return kinds[0] if kinds[1] == SCALAR else None


def solve(kinds: tuple[int, ...]) -> int | None:
    """A\\b and A\\B."""
    left, right = kinds
    return right if left == MATRIX and right in (COLUMN, MATRIX) else None


def kron(kinds: tuple[int, ...]) -> int | None:
    """The Kronecker product of vectors, rows and matrices."""
    left, right = kinds
    if max(kinds) > MATRIX:
        return None
    if left == SCALAR or right == SCALAR:
        return left + right
    return left if left == right else MATRIX


def power(kinds: tuple[int, ...]) -> int | None:
    """The power of a scalar, or of a square matrix."""
    base, exponent = kinds
    return base if exponent == SCALAR and base in (SCALAR, MATRIX) else None


def same(kinds: tuple[int, ...]) -> int | None:
    """The kind of the operand."""
    return kinds[0]


def transpose(kinds: tuple[int, ...]) -> int | None:
    """Rows for columns."""
    return (SCALAR, ROW, COLUMN, MATRIX)[kinds[0]] if kinds[0] <= MATRIX else None


#: The rule of each operator by its name.
RULES: dict[str, Rule] = {
    "transpose": transpose,
    "adjoint": transpose,
    "power": power,
    "entry_power": entrywise,
    "minus": same,
    "plus": same,
    "times": times,
    "divide": divide,
    "solve": solve,
    "entry_times": entrywise,
    "entry_divide": entrywise,
    "kron": kron,
    "add": entrywise,
    "subtract": entrywise,
}


@lru_cache(maxsize=1024)
def fixed(wanted: tuple[int, ...], result: int, keeps_row: bool = False) -> Rule:
    """A rule by sets of kinds: each operand in its set; a lone row may stay a row."""

    def rule(kinds: tuple[int, ...]) -> int | None:
        if any(not mask >> kind & 1 for mask, kind in zip(wanted, kinds, strict=True)):
            return None
        return ROW if keeps_row and kinds[0] == ROW else result

    return rule


@lru_cache(maxsize=1024)
def entries(items: tuple[bool, ...]) -> Rule:
    """Entries and slices: True for an axis that stays."""

    def rule(kinds: tuple[int, ...]) -> int | None:
        if axes(kinds[0]) != len(items):
            return None
        if kinds[0] == ROW:
            return ROW if items[0] else SCALAR
        if items == (False, True):
            return ROW
        return kind_of(sum(items))

    return rule


@lru_cache(maxsize=1024)
def bracket(columns: int) -> Rule:
    """A matrix written out with so many columns: scalars, or blocks."""

    def rule(kinds: tuple[int, ...]) -> int | None:
        rows = [kinds[k : k + columns] for k in range(0, len(kinds), columns)]
        if max(kinds) > MATRIX:
            return None
        if max(kinds) == SCALAR:
            return COLUMN if len(rows) == 1 or columns == 1 else MATRIX
        for row in rows:
            for k, kind in enumerate(row):
                column = {other[k] for other in rows}
                if kind in (SCALAR, ROW) and {COLUMN, MATRIX} & set(row):
                    return None
                if kind in (SCALAR, COLUMN) and {ROW, MATRIX} & column:
                    return None
        if columns == 1 and set(kinds) <= {SCALAR, COLUMN}:
            return COLUMN
        return ROW if len(rows) == 1 and set(kinds) <= {SCALAR, ROW} else MATRIX

    return rule


@lru_cache(maxsize=64)
def along(axis: int) -> Rule:
    """A reduction down the columns (1, a row) or along the rows (2, a column)."""

    def rule(kinds: tuple[int, ...]) -> int | None:
        kind = kinds[0]
        if kind == MATRIX:
            return ROW if axis == 1 else COLUMN
        return SCALAR if kind == (COLUMN if axis == 1 else ROW) else None

    return rule


@lru_cache(maxsize=256)
def either(*rules: Rule) -> Rule:
    """The first rule that fits."""

    def rule(kinds: tuple[int, ...]) -> int | None:
        return next((made for r in rules if (made := r(kinds)) is not None), None)

    return rule


def matrix_only(kinds: tuple[int, ...]) -> int | None:
    """A word over each row or column of a matrix."""
    return MATRIX if kinds[0] == MATRIX else None


def scalar_or_matrix(kinds: tuple[int, ...]) -> int | None:
    """Factors of a bounded product."""
    return kinds[0] if kinds[0] in (SCALAR, MATRIX) else None
