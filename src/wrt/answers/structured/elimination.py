"""Systems in several variables: which are eliminated, and what is left of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from wrt.answers.structured.entries import count, pattern
from wrt.answers.structured.factors import (
    Solver,
    factorised,
    is_lost,
    is_noise,
    is_vanishing,
    singular,
    turned,
)
from wrt.answers.structured.joint import Array, Joint, apart
from wrt.answers.structured.sparse import Layout, layout, sparse_factorised
from wrt.answers.structured.systems import LARGE, MANY_TIMES, ROOM
from wrt.errors import ValueMistake
from wrt.expression.dataclass import replace
from wrt.expression.nodes import Node
from wrt.programs.quiet import quietly
from wrt.programs.watching import is_suspicious

if TYPE_CHECKING:
    from wrt.answers.structured.tensor import Structured

__all__ = ["Elimination"]


class Elimination:
    """A joint map and the ways to solve with it, the best first: the next where digits are lost."""

    def __init__(self, J: Joint) -> None:
        self.J, self.start = J, 0
        self.made: dict[int, Way | None] = {}

    def way(self, place: int) -> Way | None:
        """One of the ways, where it is one; it is looked for once it is wanted."""
        if place not in self.made:
            self.made[place] = WAYS[place](self.J)
        return self.made[place]

    @property
    def best(self) -> Way | None:
        """The first way that is known to keep digits so far."""
        found = (self.way(place) for place in range(self.start, len(WAYS)))
        return next((way for way in found if way is not None), None)

    def solve(self, given: Sequence[Array]) -> list[Array]:
        """The solution for each of the right sides along leading axes."""
        import numpy as np

        shapes = self.J.row_shapes
        lead = given[0].shape[: given[0].ndim - len(shapes[0])]
        b = self.J.laid([g.reshape((prod(lead), *s)) for g, s in zip(given, shapes, strict=True)])
        if self.J.one.backend == "numpy" and self.J._seen and not np.isfinite(b).all():
            raise ValueMistake("the right side has infinite entries: the solution is no number")
        x = self._asked(lambda way: way.solve(b))
        if self.J.one.backend == "numpy" and is_suspicious(x):
            raise ValueMistake(f"{self.J} is too near overflow: the solution is no number")
        return [v.reshape((*lead, *s)) for v, s in zip(apart(x, shapes), shapes, strict=True)]

    def logdet(self) -> Array:
        """The logarithm of the absolute value of the determinant."""
        self.J._seen  # noqa: B018  # refuses what is bound, the first time
        return self._asked(lambda way: way.logdet())

    def _asked(self, question: Callable[[Way], Any]) -> Any:
        """By the first way that keeps its digits."""
        import numpy as np

        asked = False
        for place in range(self.start, len(WAYS)):
            way = self.way(place)
            if way is None:
                continue
            asked = True
            try:
                found = quietly(question, way)
            except (np.linalg.LinAlgError, ValueMistake):
                found = None
            if found is not None:
                return found
            self.start = place + 1
        if asked or self.start:
            raise ValueMistake(f"{self.J} is singular at this point, or nearly")
        raise ValueMistake(
            f"the structure of {self.J} does not tell how to solve with it: what is left when the "
            "variables are eliminated whose blocks are solved with is too large; linear_operator() "
            "is a map for iterative solvers such as scipy.sparse.linalg.cg, dense() gives every "
            "entry"
        )


def _room(J: Joint) -> int:
    """How many entries one matrix may have."""
    tensors = (
        b for K in (J, *(one for two in J.products for one in two)) for r in K.blocks for b in r
    )
    arrays = {id(v): prod(v.shape) for b in tensors if b is not None for v in b.values.values()}
    return max(ROOM, int(sum(arrays.values())))


# One matrix


class _Matrix:
    """All of it as one matrix, factorised once."""

    def __init__(self, J: Joint) -> None:
        self.J = J

    @cached_property
    def solver(self) -> Solver:
        """The matrix, factorised."""
        return factorised(self.J.one.library, self.J.dense())

    def solve(self, b: Array) -> Array:
        """Many right sides along the first axis."""
        return turned(self.solver.solve(turned(b)))

    def logdet(self) -> Array:
        """Of the matrix."""
        return self.solver.logdet()


def _formed(J: Joint) -> _Matrix | None:
    return _Matrix(J) if prod(J.shape) <= _room(J) else None


class _Few(_Matrix):
    """The same of few entries in each row."""

    def __init__(self, J: Joint, order: Any) -> None:
        super().__init__(J)
        self.order = order

    @cached_property
    def solver(self) -> Solver:
        """The entries, factorised."""
        return sparse_factorised(self.J.sparse("coo"), self.order)


def _sparse(J: Joint) -> _Few | None:
    """Where few entries may stand in each row."""
    if J.one.backend != "numpy" or J.shape[0] < LARGE:
        return None
    told = tuple(
        tuple(None if b is None else (b.formula, b.rows) for b in row) for row in J.opened.blocks
    )
    found = _layout(told, tuple(map(prod, J.row_shapes)))
    return None if found is None else _Few(J, found.order)


@lru_cache(maxsize=64)
def _layout(
    told: tuple[tuple[tuple[Node, int] | None, ...], ...], sizes: tuple[int, ...]
) -> Layout | None:
    """How rows and columns of blocks are ordered where there are few entries in each."""
    size = sum(sizes)
    total = sum(count(block[0]) for row in told for block in row if block is not None)
    if total > min(MANY_TIMES * size, size**2):
        return None
    from scipy.sparse import block_array, csr_array

    grid = [
        [csr_array((h, w)) if b is None else pattern(*b) for b, w in zip(row, sizes, strict=True)]
        for row, h in zip(told, sizes, strict=True)
    ]
    return layout(block_array(grid, format="csr"))


class _Refined:
    """A way by simpler systems, whose solution is refined once."""

    def __init__(self, J: Joint) -> None:
        self.J = J

    def once(self, b: Array) -> tuple[Array, Array]:
        """What a simpler system alone would give, and the solution, for rows laid end to end."""
        raise NotImplementedError

    def solve(self, b: Array) -> Array | None:
        """Many right sides along the first axis; None where digits are lost."""
        first, x = self.once(b)
        if self.J.one.backend == "numpy" and is_lost(first, x):
            return None
        made = self.J.laid(self.J._applied(apart(x, self.J.column_shapes)))
        return x + self.once(b - made)[1]


# A product with few numbers in between


class _Added(_Refined):
    """A simpler map with a product U' V of few rows added, by a small system."""

    def __init__(self, J: Joint, core: Elimination) -> None:
        super().__init__(J)
        self.core = core

    @cached_property
    def halves(self) -> tuple[Array, Array]:
        """U and V, the arrays of each row laid end to end."""
        library, like = self.J.one.library, self.J.one.like
        U, V = [], []
        for left, right in self.J.products:
            unit = library.eye(right.shape[0], like)
            rows = apart(unit, right.row_shapes)
            U.append(self.J.laid(left._applied(rows)))
            V.append(self.J.laid(right.T._applied(rows)))
        words = library.words
        return words.concatenate(U, 0), words.concatenate(V, 0)

    def under(self, b: Array) -> Array:
        """What the simpler map takes to these."""
        return self.J.laid(self.core.solve(apart(b, self.J.row_shapes)))

    @cached_property
    def moved(self) -> Array:
        """The rows of U, solved with the simpler map."""
        return self.under(self.halves[0])

    @cached_property
    def solver(self) -> Solver:
        """The small matrix, factorised."""
        library, (U, V) = self.J.one.library, self.halves
        small = library.eye(len(U), U) + V @ turned(self.moved)
        if library.name == "numpy" and is_vanishing(small, V, self.moved):
            raise singular()
        return factorised(library, small)

    def once(self, b: Array) -> tuple[Array, Array]:
        """The solution with the simpler map, and what the small system makes of it."""
        first, (_, V) = self.under(b), self.halves
        weights = self.solver.solve(V @ turned(first))
        return first, first - turned(weights) @ self.moved

    def logdet(self) -> Array:
        """That of the simpler map and that of the small matrix."""
        return self.core.logdet() + self.solver.logdet()


def _thin(J: Joint) -> _Added | None:
    """Where all products have few numbers in between."""
    between = sum(right.shape[0] for _, right in J.products)
    if not J.products or 2 * between > J.shape[0]:
        return None
    core = Elimination(replace(J, products=()))
    return None if core.best is None or type(core.best) is _Matrix else _Added(J, core)


# Variables eliminated


class _Schur(_Refined):
    """Variables that do not meet one another, eliminated; the others are one matrix."""

    def __init__(self, J: Joint, gone: Sequence[int]) -> None:
        super().__init__(J)
        self.gone = gone
        self.kept = [k for k in range(len(J.row_shapes)) if k not in gone]

    @cached_property
    def parts(self) -> tuple[Joint, Joint, Joint]:
        """The blocks from what is kept to what is eliminated, back, and within what is kept."""
        return (
            _part(self.J, self.gone, self.kept),
            _part(self.J, self.kept, self.gone),
            _part(self.J, self.kept, self.kept),
        )

    def under(self, given: Sequence[Array]) -> list[Array]:
        """What the eliminated variables alone are, for right sides along the first axis."""
        blocks = self.J.blocks
        return [blocks[k][k].solve(g) for k, g in zip(self.gone, given, strict=True)]  # type: ignore[union-attr]

    @cached_property
    def moved(self) -> list[Array]:
        """What each number that is kept adds to the eliminated ones, along the first axis."""
        across, _, within = self.parts
        unit = self.J.one.library.eye(within.shape[0], self.J.one.like)
        return self.under(across._applied(apart(unit, within.column_shapes)))

    @cached_property
    def solver(self) -> Solver:
        """What is left for the variables that are kept, factorised."""
        import numpy as np

        _, back, within = self.parts
        own, less = within.dense(), turned(self.J.laid(back._applied(self.moved)))
        left, library = own - less, self.J.one.library
        solver = factorised(library, left)
        if library.name == "numpy":
            inverse = solver.solve(np.eye(len(left), dtype=left.dtype))
            if is_noise(inverse, np.abs(own) + np.abs(less)):
                raise singular()
        return solver

    def once(self, b: Array) -> tuple[Array, Array]:
        """What the eliminated variables alone would be, and the solution."""
        shapes = self.J.row_shapes
        given = apart(b, shapes)
        first = self.under([given[k] for k in self.gone])
        _, back, within = self.parts
        rest = self.J.laid([given[k] for k in self.kept]) - self.J.laid(back._applied(first))
        x = turned(self.solver.solve(turned(rest)))
        found = dict(zip(self.kept, apart(x, within.column_shapes), strict=True))
        whole = self.J.laid(first) - x @ self.J.laid(self.moved)
        gone = apart(whole, [shapes[k] for k in self.gone])
        found.update(zip(self.gone, gone, strict=True))
        return self.J.laid(first), self.J.laid([found[k] for k in range(len(shapes))])

    def logdet(self) -> Array:
        """Of the blocks that are eliminated, and of what is left."""
        own = [self.J.blocks[k][k].logdet() for k in self.gone]  # type: ignore[union-attr]
        return sum(own, self.solver.logdet())


class _Apart:
    """Variables that do not meet: each is a system of its own."""

    def __init__(self, J: Joint) -> None:
        self.J = J

    def solve(self, b: Array) -> Array:
        """Many right sides along the first axis."""
        given = apart(b, self.J.row_shapes)
        own = [row[k] for k, row in enumerate(self.J.blocks)]
        return self.J.laid([block.solve(g) for block, g in zip(own, given, strict=True)])  # type: ignore[union-attr]

    def logdet(self) -> Array:
        """The sum over the variables."""
        return sum(row[k].logdet() for k, row in enumerate(self.J.blocks))  # type: ignore[union-attr]


def _part(J: Joint, rows: Sequence[int], columns: Sequence[int]) -> Joint:
    """Some of the rows and columns of blocks."""
    return replace(
        J,
        blocks=tuple(tuple(J.blocks[r][c] for c in columns) for r in rows),
        row_shapes=tuple(J.row_shapes[r] for r in rows),
        column_shapes=tuple(J.column_shapes[c] for c in columns),
    )


def _eliminating(J: Joint) -> _Schur | _Apart | None:
    """The largest variables that are solved with, as long as they do not meet one another."""
    J = J.opened
    gone: list[int] = []
    for k in sorted(range(len(J.row_shapes)), key=lambda k: -prod(J.row_shapes[k])):
        if not any(_meets(J, k, other) for other in gone) and _is_solved(J.blocks[k][k]):
            gone.append(k)
    rest = J.shape[0] - sum(prod(J.row_shapes[k]) for k in gone)
    if len(gone) == len(J.row_shapes):
        return _Apart(J)
    if not gone or rest**2 > _room(J) or rest * (J.shape[0] - rest) > J.one.limit:
        return None
    return _Schur(J, gone)


def _meets(J: Joint, one: int, other: int) -> bool:
    return J.blocks[one][other] is not None or J.blocks[other][one] is not None


def _is_solved(block: Structured | None) -> bool:
    """Whether the structure of a block tells how to solve with it, and not as one matrix."""
    if block is None:
        return False
    try:
        way = block._system.way
    except ValueMistake:
        return False
    return not getattr(getattr(way, "found", None), "dense", False)


#: A way to solve, and what finds each of them; None where it is none.
Way = _Matrix | _Added | _Schur | _Apart
WAYS: tuple[Callable[[Joint], Way | None], ...] = (_thin, _sparse, _eliminating, _formed)
