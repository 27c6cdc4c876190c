"""Where a tensor has entries, and which: coordinates from its structure, never from a dense array.

The indices of a term that its axes are tied to are counted through; an affine pattern gives one of
them by the others, or tells which to leave out. What the factors have there is looked up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from wrt.answers.structured.operations import terms
from wrt.answers.structured.terms import Term
from wrt.errors import TooLarge, ValueMistake
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Factor, Node, Pattern, Relation
from wrt.expression.products import connected
from wrt.programs.memory import told

if TYPE_CHECKING:
    import numpy as np

    from wrt.answers.structured.tensor import Structured

    Array = np.ndarray[Any, Any]

__all__ = ["count", "entries", "is_zero", "pattern"]

#: Where so many entries are is kept for the next arrays of the same shapes.
MOST_KEPT = 3_000_000

Condition = tuple[tuple[tuple[int, int], ...], int, str]


def entries(D: Structured, limit: int) -> Any:
    """The entries by rows and columns, equal places added, as SciPy's coo_array."""
    import numpy as np
    from scipy.sparse import coo_array

    if D.backend != "numpy":
        raise ValueMistake(f'entries are listed with NumPy; to("numpy") moves from {D.backend}')
    plans = _plans(D.formula)
    most = count(D.formula)
    if most > limit:
        raise TooLarge(
            f"{D} would have {most:,} entries that are not zero by its structure, "
            f"about {told(most * 16)}; apply and pullback need none of them"
        )
    sites = (_kept if most <= MOST_KEPT else _sites)(D.formula, D.rows)
    nodes = tuple(dict.fromkeys(node for plan in plans for node in plan.nodes))
    known = dict(zip(nodes, D._run_all(nodes), strict=True)) if nodes else {}
    parts = [plan.values(known, *found) for plan, found in zip(plans, sites.found, strict=True)]
    data = _added(np.concatenate([np.empty(0), *parts]), sites.into, len(sites.rows))
    shape = (prod(D.row_shape), prod(D.column_shape))
    made = coo_array((data.astype(D.dtype, copy=False), (sites.rows, sites.columns)), shape=shape)
    made.has_canonical_format = True
    return made


class _Sites(NamedTuple):
    """What the open indices of each term are at its entries, and how many it has; rows and columns
    of all, each place once; which of the places each entry is at.
    """

    found: Sequence[tuple[Mapping[int, Array], int]]
    rows: Array
    columns: Array
    into: Array


def _sites(formula: Node, rows: int) -> _Sites:
    """Where a tensor has entries."""
    import numpy as np

    plans, width = _plans(formula), max(prod(d.value or 0 for d in formula.dims[rows:]), 1)
    found = [plan.places() for plan in plans]
    laid = [plan.laid(rows, *places) for plan, places in zip(plans, found, strict=True)]
    flat = [above * width + below for above, below in laid]
    places, into = np.unique(np.concatenate([np.empty(0, np.int64), *flat]), return_inverse=True)
    return _Sites(found, places // width, places % width, into)


_kept = lru_cache(maxsize=8)(_sites)


def _added(values: Array, into: Array, count: int) -> Array:
    """The sums of the values at equal places."""
    import numpy as np

    if values.dtype.kind == "c":
        return _added(values.real, into, count) + 1j * _added(values.imag, into, count)
    return np.bincount(into, values, count)


def count(formula: Node) -> int:
    """How many entries may differ from zero by the structure, those of each term by themselves."""
    return sum(plan.count for plan in _plans(formula))


def is_zero(formula: Node) -> bool:
    """Whether all entries are zero by the structure."""
    return not _plans(formula)


def pattern(formula: Node, rows: int) -> Any:
    """Where a tensor may have entries, each place once, as SciPy's csr_array of ones."""
    import numpy as np
    from scipy.sparse import coo_array

    sizes = [d.value or 0 for d in formula.dims]
    sites = (_kept if count(formula) <= MOST_KEPT else _sites)(formula, rows)
    ones = np.ones(len(sites.rows), np.int8)
    shape = (prod(sizes[:rows]), prod(sizes[rows:]))
    return coo_array((ones, (sites.rows, sites.columns)), shape).tocsr()


@lru_cache(maxsize=128)
def _plans(formula: Node) -> tuple[_Plan, ...]:
    return tuple(_Plan(term) for term in terms(formula) if term.coefficient.value)


class _Plan:
    """How the entries of one term are counted through."""

    def __init__(self, term: Term) -> None:
        self.term = term
        masks = [f for f in term.factors if isinstance(f[0], Pattern)]
        self.factors = [f for f in term.factors if not isinstance(f[0], Pattern)]
        self.open = list(dict.fromkeys(term.output))
        # a pattern that touches the axes brings its other indices along
        touching = True
        while touching:
            touching = False
            for _, _, indices in masks:
                fresh = set(indices) - set(self.open)
                if fresh and fresh != set(indices):
                    self.open += sorted(fresh)
                    touching = True
        inside = set(self.open)
        self.factors += [f for f in masks if not set(f[2]) <= inside]
        self.sizes = {i: term.dims[i].value or 0 for i in self.open}
        conditions = [c for f in masks if set(f[2]) <= inside for c in _conditions(f)]
        self.given, self.rest = _solved(self.open, conditions)
        self.free = [i for i in self.open if i not in self.given]
        self.count = prod(self.sizes[i] for i in self.free)

    def laid(self, rows: int, at: Mapping[int, Array], count: int) -> tuple[Array, Array]:
        """Rows and columns of places, the axes of each laid end to end."""
        output, sizes = self.term.output, self.sizes
        above = _laid([(at[i], sizes[i]) for i in output[:rows]], count)
        return above, _laid([(at[i], sizes[i]) for i in output[rows:]], count)

    def places(self) -> tuple[Mapping[int, Array], int]:
        """What each open index is at the entries, and how many of them there are."""
        import numpy as np

        at: dict[int, Array] = {}
        grid = np.indices([self.sizes[i] for i in self.free]).reshape(len(self.free), self.count)
        at.update(zip(self.free, grid, strict=True))
        keep = np.ones(self.count, dtype=bool)
        for i in reversed(self.given):  # what is given by others comes after them
            sign, condition = self.given[i]
            at[i] = np.broadcast_to(-sign * _sum(condition, at, without=i), self.count)
            keep &= (at[i] >= 0) & (at[i] < self.sizes[i])
        for condition in self.rest:
            value = _sum(condition, at)
            keep &= (value == 0) if condition[2] == "==" else (value >= 0)
        if not keep.all():
            at = {i: where[keep] for i, where in at.items()}
        return at, int(keep.sum())

    def values(self, known: Mapping[Node, Any], at: Mapping[int, Array], count: int) -> Array:
        """The product of what the factors have at these places, the arrays of all `nodes` given."""
        import numpy as np

        found = np.full(count, known[self.number])
        for node, held in self.pieces:
            value = known[node]
            found = found * (value[tuple(at[i] for i in held)] if held else value)
        return found

    @property
    def nodes(self) -> Iterator[Node]:
        """The formulas of the arrays that its entries are of."""
        yield self.number
        yield from (node for node, _ in self.pieces)

    @cached_property
    def number(self) -> Node:
        """What the product is multiplied by."""
        return build.number(self.term.coefficient)

    @cached_property
    def pieces(self) -> Sequence[tuple[Node, Sequence[int]]]:
        """Factors that hang together by what is summed, with the indices that are open in each."""
        inside, found = set(self.open), []
        for places in connected(
            [set(f[2]) - inside or {-1 - k} for k, f in enumerate(self.factors)]
        ):
            factors: list[Factor] = [self.factors[k] for k in places]
            held = [i for i in dict.fromkeys(i for f in factors for i in f[2]) if i in inside]
            found.append((build.product_carried(ONE, factors, held, self.term.dims), held))
        return found


def _conditions(factor: Factor) -> list[Condition]:
    """The relations of a pattern in the indices of the term."""
    mask, _, indices = factor
    assert isinstance(mask, Pattern)
    return [_condition(relation, indices) for relation in mask.relations]


def _condition(relation: Relation, indices: Sequence[int]) -> Condition:
    totals: dict[int, int] = {}
    for place, factor in relation.terms:
        totals[indices[place]] = totals.get(indices[place], 0) + factor
    terms = tuple((i, c) for i, c in totals.items() if c)
    constant = relation.constant.value
    assert constant is not None
    return terms, constant, relation.kind


def _solved(
    open_: Sequence[int], conditions: Sequence[Condition]
) -> tuple[dict[int, tuple[int, Condition]], list[Condition]]:
    """Which index each equation gives by the others, as far as one can, and what is left to ask."""
    given: dict[int, tuple[int, Condition]] = {}
    rest: list[Condition] = []
    held: set[int] = set()  # what a given index needs, so that none is given by itself
    for condition in conditions:
        terms, _, kind = condition
        candidates = [(i, c) for i, c in terms if abs(c) == 1 and i not in given and i not in held]
        if kind != "==" or not candidates or any(i in given for i, _ in terms):
            rest.append(condition)
            continue
        index, sign = candidates[-1]
        given[index] = (sign, condition)
        held |= {i for i, _ in terms if i != index}
    return given, rest


def _sum(condition: Condition, at: Mapping[int, Array], without: int | None = None) -> Any:
    terms, constant, _ = condition
    return sum((c * at[i] for i, c in terms if i != without), constant)


def _laid(axes: Sequence[tuple[Array, int]], count: int) -> Array:
    """One position for several axes laid end to end."""
    import numpy as np

    found = np.zeros(count, dtype=np.int64)
    for where, size in axes:
        found = found * size + where
    return found
