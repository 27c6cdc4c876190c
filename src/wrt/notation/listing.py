"""Vectors and matrices of few entries, written out: [x[2], x[1]] for what is a sum of units.

Only a phrase that names unit vectors is written out, and only where that is shorter.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from wrt.expression.coefficient import ONE
from wrt.notation.phrases import chain_of, flip, pick, scalars_of, times, wrapped, zeros
from wrt.notation.signs import settled
from wrt.notation.sums import total
from wrt.notation.tree import SCALAR, Tree

__all__ = ["listed"]

#: Larger vectors and matrices are not written out.
MOST_ENTRIES, MOST_ROWS = 9, 4

Table = list[list[Tree]]


def listed(tree: Tree) -> Tree | None:
    """A phrase as the list of its entries; None where they are not known one by one.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.notation.tree import call, literal, name
    >>> two = Dimension.of(2)
    >>> first = call("unit", [literal("2"), literal("1")], (two, None))
    >>> listed(times(ONE, [name("a", SCALAR), first])).text
    '[a,0]'
    """
    sizes = [side.value for side in tree.shape if side is not None]
    if not sizes or tree.axes > 2 or "unit(" not in tree.text:
        return None
    if any(size is None or size > MOST_ROWS for size in sizes):
        return None
    if tree.shape[0] is None:
        column = listed(flip(tree))
        return None if column is None else wrapped(column)
    table = _entries(tree)
    if table is None or len(table) * len(table[0]) > MOST_ENTRIES:
        return None
    parts = [settled(entry) for entry in chain.from_iterable(table)]
    columns = len(table[0]) if tree.shape[1] is not None else 0
    return Tree("listed", str(columns), tuple(parts), tree.shape)


def _entries(tree: Tree) -> Table | None:
    """All entries, row by row; a row has one row, a column one column."""
    match tree.head:
        case "product":
            return _product(tree)
        case "sum":
            return _sum(tree.parts)
        case "transpose":
            inner = _entries(tree.parts[0])
            return None if inner is None else [list(row) for row in zip(*inner, strict=True)]
        case "name" if tree.shape[1] is None and tree.shape[0] is not None:
            count = tree.shape[0].value or 0
            return [[pick(tree, [str(k + 1)], SCALAR)] for k in range(count)]
        case "call":
            return _call(tree)
    return None


def _call(tree: Tree) -> Table | None:
    count = next((side.value for side in tree.shape if side is not None), None)
    if count is None or count > MOST_ROWS:
        return None
    one, nothing = times(ONE, []), zeros(SCALAR)
    if tree.word == "unit" and tree.parts[1].word.isdigit():
        place = int(tree.parts[1].word) - 1
        return [[one if k == place else nothing] for k in range(count)]
    if tree.word == "eye":
        return [[one if i == j else nothing for j in range(count)] for i in range(count)]
    if tree.word == "diag" and None not in tree.shape:
        inner = _entries(tree.parts[0])
        entries = None if inner is None else [*chain.from_iterable(inner)]
        if entries is None or len(entries) != count:
            return None
        return [[entries[i] if i == j else nothing for j in range(count)] for i in range(count)]
    return None


def _product(tree: Tree) -> Table | None:
    links = chain_of(tree)
    found = [_entries(link) for link in links]
    tables = [t for t in found if t is not None]
    if len(tables) < len(links) or not links:
        return None
    made = tables[0]
    for table in tables[1:]:
        if len(made[0]) != len(table):
            return None
        columns = [*zip(*table, strict=True)]
        made = [[_dot(row, column) for column in columns] for row in made]
    number = times(tree.coefficient, scalars_of(tree))
    return [[times(ONE, [number, entry]) for entry in row] for row in made]


def _dot(row: Sequence[Tree], column: Sequence[Tree]) -> Tree:
    pairs = zip(row, column, strict=True)
    return _added([times(ONE, [a, b]) for a, b in pairs])


def _added(terms: Sequence[Tree]) -> Tree:
    kept = [t for t in terms if t.head != "product" or t.coefficient.value]
    return total(kept, inside=False) if kept else zeros(SCALAR)


def _sum(terms: Sequence[Tree]) -> Table | None:
    found = [_entries(term) for term in terms]
    tables = [t for t in found if t is not None]
    if len(tables) < len(terms):
        return None
    return [
        [_added(entries) for entries in zip(*rows, strict=True)]
        for rows in zip(*tables, strict=True)
    ]
