"""Linear systems with a structured tensor: the way that its formula tells, with arrays in it.

Matrices are computed and factorised when they are first needed, and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from wrt.answers.structured import systems
from wrt.answers.structured.entries import entries
from wrt.answers.structured.factors import (
    Cut,
    Solver,
    factorised,
    is_lost,
    is_noise,
    is_vanishing,
    singular,
    turned,
)
from wrt.answers.structured.frame import closer, unknown
from wrt.answers.structured.routes import route
from wrt.answers.structured.sparse import sparse_factorised
from wrt.answers.structured.summed import Commuting
from wrt.answers.structured.sums import commuting
from wrt.errors import ShapeMistake, ValueMistake
from wrt.expression.dataclass import replace
from wrt.expression.nodes import Node, Variable
from wrt.programs.quiet import quietly
from wrt.programs.watching import COMPUTED, is_suspicious, told

if TYPE_CHECKING:
    from wrt.answers.structured.arrays import Library
    from wrt.answers.structured.tensor import Structured

__all__ = ["System", "system"]


class System:
    """A tensor and the way to solve with it."""

    def __init__(self, D: Structured, way: Any, plain: systems.Way | None) -> None:
        self.D, self.way, self.plain = D, way, plain

    def solve(self, right: Any) -> Any:
        """The solution, of many right sides along leading axes at once."""
        D = self.D
        b, lead = self._entered(right)
        try:
            x = self._run(self.solved, b.reshape((prod(lead), *D.axes[: D.rows])))
        except Exception as error:
            self._look(b)
            raise _told(D, error) from None
        if D.backend == "numpy" and is_suspicious(x):
            self._look(b)
            _numbers(D, b, x)
        self._learn()
        return x.reshape((*lead, *D.column_shape))

    def _entered(self, right: Any) -> tuple[Any, tuple[int, ...]]:
        """Right sides, and how many along which axes; NaN in them shows in what comes out."""
        D = self.D
        if (
            D.backend == "numpy"
            and type(right) is type(D.like)
            and right.dtype == D.like.dtype
            and right.shape == D.row_shape
        ):
            return right, ()
        return D.library.shaped("the right side", right, D.row_shape, D.like)

    def _learn(self) -> None:
        """Tensors of its frame are solved with in one step from here on, where that is known."""
        frame = self.D.frame
        if frame.route is unknown:
            plain = self.plain
            known = isinstance(plain, systems.Kronecker) and route(frame, plain)
            frame.route = known or closer

    def _look(self, b: Any = None) -> None:
        """Refuse NaN, where it came in."""
        if self.D.backend == "numpy":
            self.D._seen  # noqa: B018
            if b is not None:
                self.D.library.plain("the right side", b)

    def _run(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Without NumPy's warnings: what is no number is looked for in what comes out."""
        return quietly(work, *arguments) if self.D.backend == "numpy" else work(*arguments)

    def solved(self, b: Any) -> Any:
        """PyTorch multiplies no real matrix with a complex one: both parts are solved apart."""
        D = self.D
        if D.backend != "torch" or not b.is_complex() or D.dtype.is_complex:
            return self.way.solve(b)
        real, imaginary = (self.way.solve(part) for part in (b.real, b.imag))
        return D.library.words.complex(real, imaginary)

    def logdet(self) -> Any:
        """The logarithm of the absolute value of the determinant."""
        D = self.D
        try:
            found = self._run(self.way.logdet)
        except Exception as error:
            self._look()
            raise _told(D, error) from None
        if D.backend == "numpy" and found != found:
            self._look()
        return D.like.dtype.type(found) if D.backend == "numpy" else found


def _numbers(D: Structured, b: Any, x: Any) -> None:
    """Refuse a solution that is no number."""
    import numpy as np

    if np.isnan(x).any():
        infinite = np.isinf(b).any()
        what = "the right side has infinite entries" if infinite else f"{D} is too near overflow"
        raise ValueMistake(f"{what}: the solution is no number")


def _told(D: Structured, error: Exception) -> Exception:
    """What cannot be factorised, by the name of the tensor; any other mistake as it is."""
    import numpy as np

    # PyTorch's own is no error of linear algebra to NumPy
    if not isinstance(error, np.linalg.LinAlgError) and type(error).__name__ != "_LinAlgError":
        return error
    more = f": {error.args[1]}" if len(error.args) > 1 else ""
    return ValueMistake(f"{D} is singular at this point{more}")


def system(D: Structured) -> System:
    """The way to solve with a tensor; ValueMistake where the structure does not tell one."""
    if prod(D.row_shape) != prod(D.column_shape):
        raise ShapeMistake(f"{D} is not square")
    try:
        found = _told_ways(D.formula, D.rows)
        for way, hidden in found:
            made = _way(D, way)
            if made is not None:
                for name in hidden if D.backend == "numpy" else ():
                    D.library.plain(name, D.values[name])
                return System(D, made, way if not hidden else None)
    except Exception as error:
        raise _told(D, error) from None
    raise ValueMistake(
        f"the structure of {D} does not tell how to solve with it: it is no product of systems in "
        "single axes, with few columns added to it; linear_operator() is a map for iterative "
        "solvers such as scipy.sparse.linalg.cg, dense() gives every entry"
    )


def _way(D: Structured, found: systems.Way) -> Any:
    """A way with arrays in it; None where they are of another library, or show something else."""
    match found:
        case systems.Kronecker():
            return _Kronecker(D, found)
        case Commuting():
            return commuting(D, found)
        case systems.Sparse():
            return _Sparse(D, found) if D.backend == "numpy" else None
        case systems.Woodbury():
            core = _way(D, found.core)
            return None if core is None else _Woodbury(D, found, core)
        case systems.Scaled():
            inner = next((w for w in (_way(D, way) for way in found.ways) if w is not None), None)
            return None if inner is None else _Scaled(D, found, inner)


@lru_cache(maxsize=256)
def _told_ways(formula: Node, rows: int) -> Sequence[tuple[systems.Way, Sequence[str]]]:
    """The ways to solve with a tensor, each with the names of the arrays in which NaN may not show
    then, neither in a solution nor because there is none.
    """
    given = {v for v in formula.names if COMPUTED not in v.properties}
    found = []
    for way in systems.ways(formula, rows):
        blocks = way.blocks if isinstance(way, systems.Kronecker) else ()
        shown = frozenset[Variable]().union(*(told(block.matrix) for block in blocks))
        found.append((way, sorted(v.name for v in given - shown)))
    return found


def _value(D: Structured, node: Node, shape: Sequence[int]) -> Any:
    return D._value(node).reshape(shape)


def _flat(many: Any) -> Any:
    """Each of many laid end to end."""
    return many.reshape((len(many), prod(many.shape[1:])))


def _halves(D: Structured, cuts: Sequence[Cut]) -> tuple[Any, Any]:
    """U and V of several terms, their columns side by side."""
    U = [_value(D, cut.U, cut.height) for cut in cuts]
    V = [_value(D, cut.V, cut.width) for cut in cuts]
    if len(cuts) == 1:
        return U[0], V[0]
    words, axis = D.library.words, U[0].ndim - 2
    return words.concatenate(U, axis), words.concatenate(V, axis)


# Kronecker products of blocks


class _Kronecker:
    """Factors that are solved one after another."""

    def __init__(self, D: Structured, found: systems.Kronecker) -> None:
        self.D, self.found = D, found
        self.blocks = [_Block(D, block, place) for place, block in enumerate(found.blocks)]

    def solve(self, b: Any) -> Any:
        """Many right sides along the first axis."""
        permuted, x = self.D.library.permuted, b
        for block, turn in zip(self.blocks, self.found.turns, strict=True):
            x = block.solve(permuted(x, turn.order).reshape(turn.laid)).reshape(turn.made)
        x = permuted(x, self.found.last)
        return x if self.blocks else self.D.library.own(x, {"": b}, self.D.frame.single)

    def logdet(self) -> Any:
        """The sum over the factors, each as often as the others have entries."""
        pairs = zip(self.blocks, self.found.often, strict=True)
        found = sum(block.logdet().sum() * often for block, often in pairs)
        return found if self.blocks else self.D.library.words.zeros_like(self.D.like)


class _Block:
    """A factor with its matrix, or with a matrix for each entry of tied axes."""

    def __init__(self, D: Structured, found: systems.Block, place: int) -> None:
        self.D, self.found, self.place = D, found, place

    def solve(self, b: Any) -> Any:
        """Right sides along the last axis of each block."""
        thin = None if self.found.thin is None else self.thin
        found = None if thin is None else thin.solve(b)
        return self.formed.solve(b) if found is None else found

    def logdet(self) -> Any:
        """Of each block."""
        found = None if self.thin is None else self.thin.logdet()
        return self.formed.logdet() if found is None else found

    @cached_property
    def formed(self) -> Solver:
        """What solves with the blocks formed, where they may be diagonals with columns added."""
        if self.thin is not None and self.D.backend == "numpy":
            _refuse_noise(self.whole, self.matrix(), self.thin.U, self.thin.V)
        return self.whole

    @cached_property
    def thin(self) -> _Thin | None:
        """The blocks as diagonals with few columns added; None where they are not, or where one of
        these diagonals is singular.
        """
        D, found = self.D, self.found.thin
        if found is None:
            return None
        diagonal = _value(D, found.diagonal, self.found.shape)
        if D.backend == "numpy" and not diagonal.all():
            return None
        return _Thin(D.library, diagonal, *_halves(D, found.cuts))

    @cached_property
    def whole(self) -> Solver:
        """What solves with the blocks formed."""
        if self.found.sparse is not None and self.D.backend == "numpy":
            return _Sparse(self.D, self.found.sparse, 1).solver
        if self.D.solvers is not None:
            return self.D.solvers[self.place]
        matrix = self.matrix()
        _, _, is_new = self.D.frame.ready[self.found.matrix]
        return factorised(self.D.library, matrix, self.found.known, self.matrix if is_new else None)

    def matrix(self) -> Any:
        """The blocks."""
        return _value(self.D, self.found.matrix, (*self.found.shape, self.found.height))


# Few columns added


class _Woodbury:
    """A system with U V' added, by a small system with as many rows as U has columns.

    `whole` is the one matrix that it is, where the core alone is nearly singular.
    """

    def __init__(self, D: Structured, found: systems.Woodbury, core: Any) -> None:
        self.D, self.core = D, core
        self.whole = None if found.whole is None else _Kronecker(D, found.whole)
        self.U, self.V = _halves(D, found.cuts)

    @cached_property
    def moved(self) -> Any:
        """The columns of U, solved with the core and laid end to end."""
        found = self.core.solve(self.U.reshape((-1, *self.D.axes[: self.D.rows])))
        return found.reshape((len(self.U), -1))

    @cached_property
    def small(self) -> Any:
        """The small matrix."""
        return self.D.library.eye(len(self.U), self.U) + self.V @ turned(self.moved)

    @cached_property
    def solver(self) -> Solver | None:
        """The small matrix, factorised; None where the core is singular, and where it is singular
        itself and the whole may be regular.
        """
        import numpy as np

        try:
            small = self.small
        except np.linalg.LinAlgError:
            return None
        try:
            return _regular(self.D.library, small, self.V, self.moved)
        except np.linalg.LinAlgError:
            if self.whole is None:
                raise
            return None

    def solve(self, b: Any) -> Any:
        """Many right sides along the first axis; refined once."""
        if self.solver is None:
            return self.formed.solve(b)
        first, x = self.once(self.solver, b)
        if self.D.backend == "numpy" and is_lost(first, x):
            return self.formed.solve(b)
        return x + self.once(self.solver, b - self.applied(x))[1]

    @cached_property
    def formed(self) -> _Kronecker:
        """The one matrix that it is, where it is regular."""
        if self.whole is None:
            raise ValueMistake(
                f"{self.D} without what has few columns is singular, or nearly: no way to solve "
                "with it is told by that; linear_operator() is a map for iterative solvers"
            )
        if self.whole.found.dense and self.D.backend == "numpy":
            (block,) = self.whole.blocks
            _refuse_noise(block.whole, block.matrix(), self.U, self.V)
        return self.whole

    def once(self, solver: Solver, b: Any) -> tuple[Any, Any]:
        """The solution with the core, and what the small system makes of it."""
        first = self.core.solve(b)
        flat = _flat(first)
        weights = solver.solve(self.V @ turned(flat))
        return first, (flat - turned(weights) @ self.moved).reshape(first.shape)

    def applied(self, x: Any) -> Any:
        """What the tensor makes of many at once, by the axes of its formula."""
        D = self.D
        found = D.apply(x.reshape((len(x), *D.column_shape)))
        return found.reshape((len(x), *D.axes[: D.rows]))

    def logdet(self) -> Any:
        """That of the core and that of the small matrix."""
        if self.solver is None:
            return self.formed.logdet()
        return self.core.logdet() + self.solver.logdet().sum()


def _regular(library: Library, small: Any, V: Any, moved: Any) -> Solver:
    """A small matrix factorised; refused where rounding may be all that is left of it."""
    if library.name == "numpy" and is_vanishing(small, V, moved):
        raise singular()
    return factorised(library, small)


def _refuse_noise(whole: Any, matrix: Any, U: Any, V: Any) -> None:
    """Refuse a matrix, to which U' V was added, that is singular but for rounding: its own entries
    need not tell.
    """
    import numpy as np

    sizes = abs(matrix - turned(U) @ V) + turned(abs(U)) @ abs(V)
    unit = np.broadcast_to(np.eye(matrix.shape[-1], dtype=matrix.dtype), matrix.shape)
    if is_noise(whole.solve(unit), sizes):
        raise singular()


class _Thin:
    """Blocks that are diagonals with few columns added each, never formed."""

    def __init__(self, library: Library, diagonal: Any, U: Any, V: Any) -> None:
        self.library, self.diagonal, self.U, self.V = library, diagonal, U, V
        self.moved = U / diagonal[..., None, :]

    @cached_property
    def solver(self) -> Solver | None:
        """A small matrix for each block; None where one is singular."""
        import numpy as np

        small = self.library.eye(self.U.shape[-2], self.U) + self.V @ turned(self.moved)
        try:
            return _regular(self.library, small, self.V, self.moved)
        except np.linalg.LinAlgError:
            return None

    def solve(self, b: Any) -> Any | None:
        """Right sides along the last axis of each block, refined once; None where digits are lost
        because a diagonal alone is nearly singular.
        """
        import numpy as np

        if self.solver is None:
            return None
        try:
            first, x = self.once(self.solver, b)
        except np.linalg.LinAlgError:
            return None
        if self.library.name == "numpy" and is_lost(first, x):
            return None
        added = turned(self.U) @ (self.V @ x)
        return x + self.once(self.solver, b - self.diagonal[..., None] * x - added)[1]

    def once(self, solver: Solver, b: Any) -> tuple[Any, Any]:
        """The solution with the diagonals, and what the small systems make of it."""
        first = b / self.diagonal[..., None]
        return first, first - turned(self.moved) @ solver.solve(self.V @ first)

    def logdet(self) -> Any | None:
        """Of each block; None where it is that of the blocks formed."""
        if self.solver is None:
            return None
        words = self.library.words
        return words.log(words.abs(self.diagonal)).sum(-1) + self.solver.logdet()


# Factors of rows and columns


class _Scaled:
    """A simpler system of which rows and columns are multiplied by numbers."""

    def __init__(self, D: Structured, found: systems.Scaled, inner: Any) -> None:
        self.D, self.found, self.inner = D, found, inner

    @cached_property
    def scales(self) -> tuple[Any, Any]:
        """The numbers of the rows and of the columns, 1 where there are none."""
        one, other = (self._scale(found) for found in (self.found.rows, self.found.columns))
        return one, other

    def _scale(self, found: systems.Scale | None) -> Any:
        if found is None:
            return self.D.library.words.ones_like(self.D.like)
        scale = _value(self.D, found.formula, found.shape)
        if self.D.backend == "numpy" and not scale.all():
            raise singular()
        return scale

    def solve(self, b: Any) -> Any:
        """Many right sides along the first axis."""
        rows, columns = self.scales
        return self.inner.solve(b / rows) / columns

    def logdet(self) -> Any:
        """That of the simpler system, and of every number as often as it counts."""
        words, found = self.D.library.words, self.inner.logdet()
        count = prod(self.D.axes[: self.D.rows])
        for scale in self.scales:
            found = found + words.log(words.abs(scale)).sum() * count / max(prod(scale.shape), 1)
        return found


# Few entries


class _Sparse:
    """A matrix with few entries in each row, between tensors laid end to end."""

    def __init__(self, D: Structured, found: systems.Sparse, rows: int | None = None) -> None:
        frame = replace(D.frame, formula=found.formula, rows=rows or D.rows, groups=())
        self.D, self.order = frame.over(D.values), found.layout.order

    @cached_property
    def solver(self) -> Solver:
        """The entries, factorised."""
        return sparse_factorised(entries(self.D, self.D.limit), self.order)

    def solve(self, b: Any) -> Any:
        """Many right sides along the first axis."""
        flat = turned(_flat(b))
        return turned(self.solver.solve(flat)).reshape((len(b), *self.D.axes[self.D.rows :]))

    def logdet(self) -> Any:
        """Of the whole matrix."""
        return self.solver.logdet()
