"""Linear systems with a structured tensor: blocks where axes are tied, Woodbury for outer products.

An axis of the rows that is tied to one of the columns in every term makes the tensor block
diagonal. A term whose rows and columns have no index in common is an outer product.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from wrt.answers.terms import Term, joined
from wrt.answers.terms import terms as terms_of
from wrt.errors import ShapeMistake, ValueMistake
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Node

if TYPE_CHECKING:
    import numpy as np

    from wrt.answers.structured import Structured

    Array = np.ndarray[Any, Any]

__all__ = ["solve"]


class Split(NamedTuple):
    """The terms that are tied along some pairs of axes, and the outer products beside them."""

    blocks: list[Term]
    pairs: list[tuple[int, int]]
    outer: list[Term]


def solve(D: Structured, right: Any) -> Array:
    """The tensor x with D.apply(x) = right; ValueMistake where the structure does not tell how."""
    import numpy as np

    rows, columns = D.shape[: D.rows], D.shape[D.rows :]
    if prod(rows) != prod(columns):
        raise ShapeMistake(f"{D} is not square")
    b = np.asarray(right)
    b = b.astype(np.result_type(b, 0.0) if b.dtype.kind in "fc" else float)
    if b.shape != rows:
        raise ShapeMistake(f"the right side has shape {b.shape}, wanted {rows}")
    split = _split(D, terms_of(D.formula))
    core = _Blocks(D, split)
    try:
        if not split.outer:
            return core.solve(b)
        return _woodbury(D, core, split.outer, b)
    except np.linalg.LinAlgError:
        raise ValueMistake(f"{D} is singular at this point") from None


def _split(D: Structured, terms: Sequence[Term]) -> Split:
    pairs = _pairs(D, terms)
    if pairs or (D.rows, D.ndim) == (1, 2):
        separable = [t for t in terms if not pairs and _apart(t, D.rows) is not None]
        if pairs or not 0 < len(separable) < len(terms):
            return Split(list(terms), pairs, [])
    outer = [t for t in terms if _apart(t, D.rows) is not None]
    rest = [t for t in terms if not any(t is o for o in outer)]
    pairs = _pairs(D, rest) if rest else []
    if pairs or ((D.rows, D.ndim) == (1, 2) and rest):
        return Split(rest, pairs, outer)
    raise ValueMistake(
        f"the structure of {D} does not tell how to solve with it: no axes are tied; "
        "dense() gives every entry, linear_operator() a map for iterative solvers"
    )


def _pairs(D: Structured, terms: Sequence[Term]) -> list[tuple[int, int]]:
    """Row axes with the column axes that are tied to them in every term."""
    found: list[tuple[int, int]] = []
    for r in range(D.rows):
        for c in range(D.rows, D.ndim):
            tied = all(t.output[r] == t.output[c] for t in terms if t.output)
            if tied and all(t.output for t in terms) and c not in {k for _, k in found}:
                found.append((r, c))
                break
    return found


class _Blocks:
    """A tensor that is block diagonal along tied axes."""

    def __init__(self, D: Structured, split: Split) -> None:
        self.D, self.pairs = D, split.pairs
        carried = [
            any(t.output[r] in own for t in split.blocks for _, _, own in t.factors)
            for r, _ in split.pairs
        ]
        self.batch = [p for p, known in zip(split.pairs, carried, strict=True) if known]
        self.equal = [p for p, known in zip(split.pairs, carried, strict=True) if not known]
        self.rest_rows = [k for k in range(D.rows) if k not in {r for r, _ in self.pairs}]
        tied = {c for _, c in self.pairs}
        self.rest_columns = [k for k in range(D.rows, D.ndim) if k not in tied]
        self.sizes = D.shape
        node = _core(split.blocks, [r for r, _ in self.batch], self.rest_rows, self.rest_columns)
        value = D._run(node, {})
        self.many = [self.sizes[r] for r, _ in self.batch]
        self.height = prod(self.sizes[k] for k in self.rest_rows)
        self.width = prod(self.sizes[k] for k in self.rest_columns)
        self.matrix = value.reshape(*self.many, self.height, self.width)

    def solve(self, b: Array) -> Array:
        """The blocks' own systems, equal blocks with all right sides at once."""
        import numpy as np

        batch, equal = [r for r, _ in self.batch], [r for r, _ in self.equal]
        laid = b.transpose(*batch, *self.rest_rows, *equal)
        laid = laid.reshape(*self.many, self.height, -1)
        if self.height == self.width == 1:
            if not self.matrix.all():
                raise np.linalg.LinAlgError
            found = laid / self.matrix
        else:
            found = np.linalg.solve(self.matrix, laid)
        columns = [c for _, c in self.batch] + self.rest_columns + [c for _, c in self.equal]
        found = found.reshape([self.sizes[c] for c in columns])
        return found.transpose(np.argsort(columns))


def _core(
    blocks: Sequence[Term], batch: Sequence[int], rows: Sequence[int], columns: Sequence[int]
) -> Node:
    """The blocks, tied axes once and only where a block depends on them."""
    output = [(0, k) for k in (*batch, *rows, *columns)]
    made = [_without_count(t, output) for t in blocks]
    return build.add(*made) if len(made) > 1 else made[0]


def _without_count(term: Term, output: Sequence[tuple[int, int]]) -> Node:
    """A term with some of its axes; the others are the same everywhere and are left out."""
    kept = tuple(term.output[k] for _, k in output)
    return joined([[term._replace(output=kept)]], [], [(0, k) for k in range(len(kept))])


# Outer products


def _apart(term: Term, rows: int) -> tuple[set[int], set[int]] | None:
    """The places of the factors of the rows and of the columns; None where they meet."""
    groups: list[tuple[set[int], set[int]]] = []
    for place, (_, _, indices) in enumerate(term.factors):
        own, members = set(indices), {place}
        for group in [g for g in groups if g[0] & own]:
            groups.remove(group)
            own, members = own | group[0], members | group[1]
        groups.append((own, members))
    above, below = set(term.output[:rows]), set(term.output[rows:])
    if not term.output or above & below:
        return None
    if any(own & above and own & below for own, _ in groups):
        return None
    columns = {k for own, members in groups if own & below for k in members}
    return set(range(len(term.factors))) - columns, columns


def _halves(D: Structured, term: Term) -> tuple[Array, Array]:
    """u and v of an outer product u v'."""
    found = _apart(term, D.rows)
    assert found is not None
    sides: list[Array] = []
    for places, output, c in zip(
        found,
        (term.output[: D.rows], term.output[D.rows :]),
        (term.coefficient, ONE),
        strict=True,
    ):
        factors = tuple(term.factors[k] for k in sorted(places))
        side = Term(c, factors, output, term.dims)
        sides.append(D._run(joined([[side]], [], [(0, k) for k in range(len(output))]), {}))
    return sides[0], sides[1]


def _woodbury(D: Structured, core: _Blocks, outer: Sequence[Term], b: Array) -> Array:
    """(B + U V') x = b by a small system, one row for each outer product."""
    import numpy as np

    halves = [_halves(D, term) for term in outer]
    first = core.solve(b)
    moved = [core.solve(np.asarray(u, dtype=b.dtype)) for u, _ in halves]
    small = np.array([[np.sum(v * z) for z in moved] for _, v in halves])
    weights = np.linalg.solve(
        np.eye(len(halves)) + small, np.array([np.sum(v * first) for _, v in halves])
    )
    for weight, z in zip(weights, moved, strict=True):
        first = first - weight * z
    return first
