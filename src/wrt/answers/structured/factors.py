"""What systems are solved by: matrices factorised once, and terms cut into two thin sides."""

from __future__ import annotations

from cmath import isfinite
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from wrt.answers.structured.arrays import Jax, Library, Torch
from wrt.answers.structured.terms import Term, component
from wrt.errors import ValueMistake
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Node

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = [
    "SCREEN",
    "Cut",
    "Factorised",
    "Solver",
    "at_once",
    "cut",
    "factorised",
    "finite",
    "in_common",
    "is_at_once",
    "is_hermitian",
    "is_lost",
    "is_noise",
    "is_vanishing",
    "rank",
    "signs",
    "singular",
    "turned",
]

#: This part of all digits may be lost by a difference: what is left is refined once.
LOST = 0.36
#: Of smaller matrices it is not asked whether their entries are those of a triangle or symmetric.
FEW_ROWS = 32
#: Right sides of fewer entries are solved for by factors at once.
WIDE = 2000
#: The most that norms of a matrix and its inverse may be together, for products with the inverse.
EVEN = 300
#: Matrices of so many rows to so many SciPy factorises in threads that wait for those of NumPy.
TORN = (128, 600)
#: Pivots that differ by less than so many roundings of each row say that a matrix is regular.
SCREEN = 100
#: So many factors that both sides might have are tried on each.
MOST_FREE = 8
#: The functions of LAPACK that are called here.
LAPACK = (
    *("potrf", "potrs", "posv", "getrf", "getrs", "trtrs"),
    *("pbtrf", "pbtrs", "gbtrf", "gbtrs"),
)


class Solver(Protocol):
    """A factorised matrix, or many: what solves with it, and the logarithm of |det| of each."""

    def solve(self, b: Any, /) -> Any:
        """The solutions of right sides along the last axis but one."""

    def logdet(self) -> Any:
        """Of each."""


class Factorised(NamedTuple):
    """The same as two functions."""

    solve: Callable[[Any], Any]
    logdet: Callable[[], Any]


def singular(condition: float | None = None) -> Exception:
    """The mistake that NumPy knows for this."""
    import numpy as np

    if condition is None:
        return np.linalg.LinAlgError("singular")
    return np.linalg.LinAlgError("singular", f"its condition number is {condition:.1g}")


def is_lost(first: Any, x: Any) -> bool:
    """Whether a small solution is the difference of large ones, so that no digits are left: what
    was solved with first is nearly singular.
    """
    import numpy as np

    much = np.finfo(x.dtype).eps ** -LOST
    return not abs(first).max(initial=0) <= much * abs(x).max(initial=0)


def is_vanishing(small: Array, V: Array, moved: Array) -> bool:
    """Whether a small matrix I + V U, of U that was solved with, may be what rounding left of
    more: no digit of its inverse is right then.
    """
    import numpy as np

    if not small.size:
        return False
    one, other = (np.linalg.norm(half, axis=-1) for half in (V, moved))
    sizes = np.eye(small.shape[-1]) + one[..., :, None] * other[..., None, :]
    return is_noise(np.linalg.inv(small), sizes)


def is_noise(inverse: Array, sizes: Array) -> bool:
    """Whether a matrix is singular but for rounding, whatever the units of its rows and columns
    are: by its inverse, and by how large the numbers are that its entries are the sums of.
    """
    import numpy as np

    lost = (np.abs(inverse) @ sizes).max(initial=0) * _kind(inverse.dtype.char).grain
    return not 10 * lost < 1


def turned(matrix: Any) -> Any:
    """The last two axes exchanged."""
    return matrix.swapaxes(-1, -2)


# Matrices


def factorised(
    library: Library, matrix: Any, known: str = "", again: Callable[[], Any] | None = None
) -> Solver:
    """A matrix, or many, factorised once; `known` is what the form of a single one shows, `again`
    what computes it again where its array may be written over.
    """
    words = library.words
    plain = library.name == "numpy"
    if matrix.shape[-1] == 1:
        if plain:
            finite(matrix)
            if not matrix.all():
                raise singular()
        return Factorised(
            lambda b: b / matrix, lambda: words.log(words.abs(matrix)).reshape(matrix.shape[:-2])
        )
    if plain:
        return _of_one(matrix, known, again) if matrix.ndim == 2 else _of_many(matrix)
    if isinstance(library, (Jax, Torch)) and known == "definite":
        L = words.linalg.cholesky(matrix)
        return Factorised(library.cholesky_solver(L), lambda: 2 * words.log(L.diagonal()).sum())
    return Factorised(library.lu_solver(matrix), lambda: words.linalg.slogdet(matrix)[1])


def _of_one(matrix: Array, known: str, again: Callable[[], Array] | None) -> Solver:
    """One matrix of NumPy: triangular, symmetric and definite, or any."""
    if known == "definite":
        spent = again if len(matrix) > FEW_ROWS and not _is_torn(matrix) else None
        found = _cholesky(matrix, 1, spent)
        if found is not None:
            return found
        matrix = matrix if spent is None else spent()
    finite(matrix)
    known = known or (_seen(matrix) if len(matrix) >= FEW_ROWS else "")
    if known in ("lower", "upper"):
        return _triangular(matrix, known == "lower")
    sign = _sign(matrix) if known else 0
    found = _cholesky(matrix, sign) if sign else None
    return found or (_of_many(matrix) if _is_torn(matrix) else _lu(matrix))


def _is_torn(matrix: Array) -> bool:
    """Whether SciPy would factorise in several threads, and not so long that this pays: the threads
    in which NumPy multiplied before still hold the processors. NumPy factorises in these.
    """
    return TORN[0] <= len(matrix) < TORN[1] and threads() > 1


@cache
def threads() -> int:
    """In how many threads matrices may be multiplied."""
    import os

    said = (os.environ.get(f"{name}_NUM_THREADS", "") for name in ("OPENBLAS", "OMP"))
    told = next((int(number) for number in said if number.isdecimal()), 0)
    return told or len(getattr(os, "sched_getaffinity", lambda _: (0, 1))(0))


def finite(matrix: Array) -> None:
    """Refuse what cannot be solved with."""
    flat = matrix.ravel("K")
    if isfinite(flat.dot(flat)):
        return

    import numpy as np

    if not np.isfinite(matrix).all():  # and not only too large to be squared
        raise ValueMistake("what is to be solved with has entries that are no numbers")


def _sign(matrix: Array) -> int:
    """Which sign a symmetric matrix has if it is definite; 0 where it is not."""
    entries = matrix.diagonal().real.tolist()
    return int(min(entries) > 0) - int(max(entries) < 0)


def _seen(matrix: Array) -> str:
    """What the entries of a matrix show."""
    import numpy as np

    if not matrix[0, 1:].any() and not np.triu(matrix, 1).any():
        return "lower"
    if not matrix[1:, 0].any() and not np.tril(matrix, -1).any():
        return "upper"
    return "hermitian" if is_hermitian(matrix) else ""


def is_hermitian(matrix: Array) -> bool:
    """Whether a matrix is its own conjugate transpose, but for rounding."""
    import numpy as np

    least = 4 * _kind(matrix.dtype.char).grain * np.abs(matrix).max()
    if np.abs(matrix[0] - matrix[:, 0].conj()).max() > least:
        return False
    return bool(np.abs(matrix - matrix.conj().T).max() <= least)


class Kind(NamedTuple):
    """What is known of the type of entries: how fine it is, and LAPACK's functions for it, said
    directly: for a step of a few microseconds.
    """

    grain: float
    words: Mapping[str, Any]


@lru_cache(maxsize=8)
def _kind(char: str) -> Kind:
    import numpy as np
    from scipy.linalg import get_lapack_funcs

    words = get_lapack_funcs(LAPACK, dtype=char)
    return Kind(float(np.finfo(char).eps), dict(zip(LAPACK, words, strict=True)))


def in_common(matrix: Array, b: Array) -> tuple[Array, Mapping[str, Any]]:
    """Right sides in the type that both have in common, and LAPACK's functions for it."""
    import numpy as np

    if b.dtype == matrix.dtype:
        return b, _kind(b.dtype.char).words
    kind = np.result_type(matrix, b)
    return b.astype(kind, copy=False), _kind(kind.char).words


# What NumPy lays out by rows LAPACK reads by columns: it is given the transpose, uncopied.


def _triangular(matrix: Array, lower: bool) -> Solver:
    import numpy as np

    pivots = np.abs(matrix.diagonal())
    if not pivots.all():
        raise singular()

    def solve(b: Array) -> Array:
        b, words = in_common(matrix, b)
        return words["trtrs"](matrix.T, b, lower=not lower, trans=1)[0]  # type: ignore[no-any-return]

    return Factorised(solve, lambda: np.log(pivots).sum())


class Cholesky:
    """A definite matrix, or its negative, by its factor above the diagonal; the matrix itself where
    many right sides might go another way.
    """

    __slots__ = ("_often", "factor", "matrix", "sign")

    def __init__(self, factor: Array, matrix: Array | None, sign: int = 1) -> None:
        self.factor, self.matrix, self.sign = factor, matrix, sign
        self._often: Callable[[Array], Array] | None = None

    def solve(self, b: Array) -> Array:
        """The solutions of right sides along the last axis but one."""
        if self.matrix is None or b.shape[1] == 1 or (b.size <= WIDE and len(b) < TORN[0]):
            return self.by_factors(b)
        if self._often is None:
            self._often = _often(self.matrix, self.by_factors)
        return self._often(b)

    def by_factors(self, b: Array) -> Array:
        """The same, by the factor."""
        b, words = in_common(self.factor, b)
        found: Array = words["potrs"](self.factor, b if self.sign > 0 else -b)[0]
        return found

    def logdet(self) -> Any:
        """The logarithm of the determinant's absolute value."""
        import numpy as np

        return 2 * np.log(self.factor.diagonal().real).sum()


def _cholesky(matrix: Array, sign: int, again: Callable[[], Array] | None = None) -> Solver | None:
    """By Cholesky's factors, of the negative for a negative sign; None where there are none.

    Where there is a way to compute the matrix `again`, its array is written over.
    """
    factor = _upper(matrix, sign, again is not None)
    if factor is None:
        return None
    pivots = factor.diagonal().real.tolist()
    _watch(min(pivots) ** 2, max(pivots) ** 2, matrix, again)
    is_asked = again is None and (len(matrix) <= FEW_ROWS or _is_torn(matrix))
    return Cholesky(factor, matrix if is_asked else None, sign)


def is_at_once(height: int, width: int, dtype: Any) -> bool:
    """Whether a positive definite matrix of NumPy's is best factorised and solved with in one call,
    for so many right sides.
    """
    if dtype.kind == "c" or (TORN[0] <= height < TORN[1] and threads() > 1):
        return False
    return height > FEW_ROWS or width <= 2 * height or height * width <= WIDE


def at_once(
    matrix: Array, b: Array, is_spare: bool, is_definite: bool = True
) -> tuple[Solver, Array] | None:
    """The factors of such a matrix, and the solutions; None where it is not definite, or nearly
    singular. Its array may be written over where it `is_spare`.
    """
    grain, words = _kind(matrix.dtype.char)
    if not is_definite and not min(matrix.diagonal().tolist()) > 0:
        return None
    factor, x, info = words["posv"](matrix.T, b, overwrite_a=is_spare)
    if info:
        return None
    pivots, size = factor.diagonal().tolist(), len(factor)
    if not min(pivots) ** 2 > SCREEN * size * grain * max(pivots) ** 2:
        return None
    return Cholesky(factor, matrix if size <= FEW_ROWS else None), x


def _upper(matrix: Array, sign: int, spare: bool) -> Array | None:
    """Cholesky's factor above the diagonal, laid out by columns."""
    if _is_torn(matrix):
        import numpy as np

        try:
            return np.linalg.cholesky(matrix if sign > 0 else -matrix).conj().T
        except np.linalg.LinAlgError:
            return None
    laid = matrix if matrix.dtype.kind == "c" else matrix.T
    factor, info = _kind(matrix.dtype.char).words["potrf"](
        laid if sign > 0 else -laid, overwrite_a=spare or sign < 0
    )
    return None if info else factor


def _lu(matrix: Array) -> Solver:
    import numpy as np

    lu, exchanges, _ = _kind(matrix.dtype.char).words["getrf"](matrix.T)
    pivots = list(map(abs, lu.diagonal().tolist()))
    _watch(min(pivots), max(pivots), matrix)

    def by_factors(b: Array) -> Array:
        b, words = in_common(lu, b)
        return words["getrs"](lu, exchanges, b, trans=1)[0]  # type: ignore[no-any-return]

    return Factorised(_often(matrix, by_factors), lambda: np.log(pivots).sum())


def _often(matrix: Array, by_factors: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Many right sides of a small matrix are multiplied by its inverse, where that loses no digits:
    a product takes a third of the time. Where it might, NumPy solves, in the threads that
    multiplied before: SciPy has threads of its own, which wait for those.
    """
    torn = _is_torn(matrix)
    if len(matrix) > FEW_ROWS and not torn:
        return by_factors
    inverses: list[Array | None] = []

    def solve(b: Array) -> Array:
        if b.shape[1] == 1 or (not torn and (b.shape[1] <= 2 * len(matrix) or b.size <= WIDE)):
            return by_factors(b)
        import numpy as np

        if torn:
            return np.linalg.solve(matrix, b)
        if not inverses:
            inverse = np.linalg.inv(matrix)
            inverses.append(inverse if _size(matrix) * _size(inverse) < EVEN else None)
        (known,) = inverses
        # rows stay rows in memory
        return np.linalg.solve(matrix, b) if known is None else turned(turned(b) @ turned(known))

    return solve


def _size(matrix: Array) -> float:
    """The root of the sum of all squares."""
    flat = matrix.ravel("K")
    return float(abs(flat.dot(flat.conj())) ** 0.5)


def _watch(
    least: float, most: float, matrix: Array, again: Callable[[], Array] | None = None
) -> None:
    """Refuse a matrix with which no digit of a solution is right, whatever the units of its rows
    and columns are; by its pivots first.
    """
    import numpy as np

    if not least:
        raise singular()
    eps = _kind(matrix.dtype.char).grain
    if least > SCREEN * len(matrix) * eps * most:
        return
    matrix = matrix if again is None else again()
    finite(matrix)
    even = matrix / np.abs(matrix).max(axis=1, keepdims=True)
    even = even / np.abs(even).max(axis=0)
    condition = float(np.linalg.cond(even, 1))
    if not 10 * condition * eps < 1:
        raise singular(condition)


def _of_many(matrices: Array) -> Solver:
    """Many matrices of NumPy, which keeps no factors of them: by their inverses, refined once, from
    the second time on.
    """
    import numpy as np

    eps = _kind(matrices.dtype.char).grain
    conditions: list[float] = []
    inverses: list[Array] = []

    def solve(b: Array) -> Array:
        if not conditions:
            first, condition = _conditioned(matrices, b)
            conditions.append(condition)
            return first
        if not conditions[0] ** 2 * eps < 1:
            return np.linalg.solve(matrices, b)
        if not inverses:
            inverses.append(np.linalg.inv(matrices))
        x: Array = inverses[0] @ b
        x += inverses[0] @ (b - matrices @ x)
        return x

    def logdet() -> Any:
        if not conditions:
            solve(matrices[..., :0])
        return np.linalg.slogdet(matrices)[1]

    return Factorised(solve, logdet)


@lru_cache(maxsize=16)
def signs(size: int, char: str) -> Array:
    """Ones of both signs in no order."""
    import numpy as np

    found: Array = np.random.default_rng(0).choice([-1.0, 1.0], size).astype(char)
    return found


def _conditioned(matrices: Array, b: Array) -> tuple[Array, float]:
    """The solutions of many systems, with the largest condition number of rows and columns in
    even units: by what becomes of ones of both signs, as a rule nearly the most.
    """
    import numpy as np

    size = matrices.shape[-1]
    sizes = np.abs(matrices)
    asked = (signs(size, matrices.dtype.char) * sizes.max(axis=-1))[..., None]
    x = np.linalg.solve(matrices, np.concatenate([b, asked], axis=-1))
    condition = size * float((np.abs(x[..., -1]) * sizes.max(axis=-2)).max())
    if not 10 * condition * _kind(matrices.dtype.char).grain < 1:
        finite(matrices)
        raise singular(condition)
    return x[..., :-1], condition


# Few columns


class Cut(NamedTuple):
    """A term as a product of few columns and rows: U and V with the axes in front that both share,
    then the numbers between them, then rows or columns; and how these are laid out.
    """

    U: Node
    V: Node
    height: tuple[int, ...]
    width: tuple[int, ...]


def rank(term: Term, rows: Sequence[int], columns: Sequence[int]) -> float:
    """How many products of a column and a row a term is made of at most, between some of the
    indices of its axes and others; infinity where a tie has both.
    """
    sides = _sides(term, rows, columns) if term.output else None
    return float("inf") if sides is None else prod(_sizes(term, sides, rows, columns))


def cut(term: Term, rows: Sequence[int], columns: Sequence[int], shared: Sequence[int] = ()) -> Cut:
    """U and V of a term between indices of rows and of columns, a row for each column that is
    added; for each of the indices that both share.
    """
    sides = _sides(term, rows, columns)
    assert sides is not None
    link, sizes = _link(term, sides, rows, columns), _sizes(term, sides, rows, columns)
    lead = tuple(term.dims[i].value or 0 for i in shared)
    found = []
    for places, ends, number in zip(sides, (rows, columns), (term.coefficient, ONE), strict=True):
        node = build.scale(number, component(term, places, (*shared, *link, *ends)))
        size = prod(term.dims[i].value or 0 for i in ends)
        found.append((node, (*lead, prod(sizes), size)))
    (U, height), (V, width) = found
    return Cut(U, V, height, width)


Sides = tuple[list[int], list[int]]


def _sides(term: Term, rows: Sequence[int], columns: Sequence[int]) -> Sides | None:
    """Factors on the side of the rows and the others, so that the cut between them goes through the
    fewest numbers; None where an axis of the rows is tied to one of the columns.
    """
    above, below = set(rows), set(columns)
    if above & below:
        return None
    held = [set(f[2]) for f in term.factors]
    free = [k for k, own in enumerate(held) if bool(own & above) == bool(own & below)]
    first = [k for k, own in enumerate(held) if own & above and k not in free]
    if len(free) > MOST_FREE:
        others = [k for k in range(len(held)) if k not in first]
        return first, others
    cuts = []
    for chosen in product((True, False), repeat=len(free)):
        moved = {k for k, taken in zip(free, chosen, strict=True) if taken}
        one = sorted({*first, *moved})
        cuts.append((one, [k for k in range(len(held)) if k not in one]))
    return min(cuts, key=lambda sides: prod(_sizes(term, sides, rows, columns)))


def _link(term: Term, sides: Sides, rows: Sequence[int], columns: Sequence[int]) -> list[int]:
    """The indices that a cut goes through: those that both sides have, those of rows in factors on
    the side of the columns, and the other way about.
    """
    one, two = ({i for k in side for i in term.factors[k][2]} for side in sides)
    shared = set(term.output) - set(rows) - set(columns)
    return sorted((one & two | set(rows) & two | set(columns) & one) - shared)


def _sizes(term: Term, sides: Sides, rows: Sequence[int], columns: Sequence[int]) -> list[int]:
    return [term.dims[i].value or 0 for i in _link(term, sides, rows, columns)]
