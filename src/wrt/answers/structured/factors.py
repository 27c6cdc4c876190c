"""What systems are solved by: matrices factorised once, and terms cut into two thin sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

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
    "Cut",
    "Solver",
    "cut",
    "factorised",
    "finite",
    "in_common",
    "is_hermitian",
    "is_lost",
    "rank",
    "singular",
    "turned",
]

#: This part of all digits may be lost by a difference: what is left is refined once.
LOST = 0.36
#: Of smaller matrices it is not asked whether their entries are those of a triangle or symmetric.
FEW_ROWS = 32
#: Right sides of more entries are solved for in several threads.
WIDE = 2000


class Solver(NamedTuple):
    """A factorised matrix, or many: what solves with it, and the logarithm of |det| of each."""

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


def turned(matrix: Any) -> Any:
    """The last two axes exchanged."""
    return matrix.swapaxes(-1, -2)


# Matrices


def factorised(library: Library, matrix: Any, known: str = "") -> Solver:
    """A matrix, or many, factorised once; `known` is what the form of a single one shows."""
    words = library.words
    plain = library.name == "numpy"
    if matrix.shape[-1] == 1:
        if plain:
            finite(matrix)
            if not matrix.all():
                raise singular()
        return Solver(
            lambda b: b / matrix, lambda: words.log(words.abs(matrix)).reshape(matrix.shape[:-2])
        )
    if plain and matrix.ndim == 2:
        return _of_one(matrix, known)
    if isinstance(library, (Jax, Torch)) and known == "definite":
        L = words.linalg.cholesky(matrix)
        return Solver(library.cholesky_solver(L), lambda: 2 * words.log(L.diagonal()).sum())
    return Solver(library.lu_solver(matrix), lambda: words.linalg.slogdet(matrix)[1])


def _of_one(matrix: Array, known: str) -> Solver:
    """One matrix of NumPy: triangular, symmetric and definite, or any."""
    found = _cholesky(matrix, 1) if known == "definite" else None
    if found is not None:
        return found
    finite(matrix)
    known = known or (_seen(matrix) if len(matrix) >= FEW_ROWS else "")
    if known in ("lower", "upper"):
        return _triangular(matrix, known == "lower")
    sign = _sign(matrix) if known else 0
    found = _cholesky(matrix, sign) if sign else None
    return found or _lu(matrix)


def finite(matrix: Array) -> None:
    """Refuse what cannot be solved with."""
    from cmath import isfinite

    import numpy as np

    if not isfinite(np.add.reduce(matrix, axis=None)) and not np.isfinite(matrix).all():
        raise ValueMistake("what is to be solved with has entries that are no numbers")


def _sign(matrix: Array) -> int:
    """Which sign a symmetric matrix has if it is definite; 0 where it is not."""
    entries = matrix.diagonal().real
    return int(entries.min() > 0) - int(entries.max() < 0)


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

    least = 4 * np.finfo(matrix.dtype).eps * np.abs(matrix).max()
    if np.abs(matrix[0] - matrix[:, 0].conj()).max() > least:
        return False
    return bool(np.abs(matrix - matrix.conj().T).max() <= least)


@lru_cache(maxsize=32)
def _words(kind: str, names: tuple[str, ...]) -> dict[str, Any]:
    """LAPACK's functions for entries of a type: said directly, for a step of a few microseconds."""
    from scipy.linalg import get_lapack_funcs

    return dict(zip(names, get_lapack_funcs(names, dtype=kind), strict=True))


def in_common(matrix: Array, b: Array, *names: str) -> tuple[Array, dict[str, Any]]:
    """Right sides in the type that both have in common, and LAPACK's functions for it."""
    import numpy as np

    kind = matrix.dtype if b.dtype == matrix.dtype else np.result_type(matrix, b)
    return b.astype(kind, copy=False), _words(kind.char, names)


# What NumPy lays out by rows LAPACK reads by columns: it is given the transpose, uncopied.


def _triangular(matrix: Array, lower: bool) -> Solver:
    import numpy as np

    pivots = np.abs(matrix.diagonal())
    if not pivots.all():
        raise singular()

    def solve(b: Array) -> Array:
        b, words = in_common(matrix, b, "trtrs")
        return words["trtrs"](matrix.T, b, lower=not lower, trans=1)[0]  # type: ignore[no-any-return]

    return Solver(solve, lambda: np.log(pivots).sum())


def _cholesky(matrix: Array, sign: int) -> Solver | None:
    """By Cholesky's factors, of the negative for a negative sign; None where there are none."""
    import numpy as np

    laid = matrix if matrix.dtype.kind == "c" else matrix.T
    factor, info = _words(matrix.dtype.char, ("potrf", "potrs"))["potrf"](
        laid if sign > 0 else -laid
    )
    if info:
        return None
    pivots = factor.diagonal().real
    _watch(matrix, np.minimum.reduce(pivots) ** 2, np.maximum.reduce(pivots) ** 2)

    def solve(b: Array) -> Array:
        if _is_wide(matrix, b):
            return np.linalg.solve(matrix, b)
        b, words = in_common(matrix, b, "potrf", "potrs")
        return words["potrs"](factor, b if sign > 0 else -b)[0]  # type: ignore[no-any-return]

    return Solver(solve, lambda: 2 * np.log(pivots).sum())


def _lu(matrix: Array) -> Solver:
    import numpy as np

    lu, exchanges, _ = _words(matrix.dtype.char, ("getrf", "getrs"))["getrf"](matrix.T)
    pivots = np.abs(lu.diagonal())
    _watch(matrix, np.minimum.reduce(pivots), np.maximum.reduce(pivots))

    def solve(b: Array) -> Array:
        if _is_wide(matrix, b):
            return np.linalg.solve(matrix, b)
        b, words = in_common(matrix, b, "getrf", "getrs")
        return words["getrs"](lu, exchanges, b, trans=1)[0]  # type: ignore[no-any-return]

    return Solver(solve, lambda: np.log(pivots).sum())


def _is_wide(matrix: Array, b: Array) -> bool:
    """Whether right sides are so many that factors count for nothing: then NumPy solves, in the
    threads that multiplied before. SciPy has threads of its own, which wait for those.
    """
    return b.ndim == 2 and b.shape[1] > 2 * len(matrix) and b.size > WIDE


def _watch(matrix: Array, least: float, most: float) -> None:
    """Refuse a matrix with which no digit of a solution is right, whatever the units of its rows
    and columns are.
    """
    import numpy as np

    if not least:
        raise singular()
    eps = np.finfo(matrix.dtype).eps
    if least > len(matrix) * eps * most:
        return
    finite(matrix)
    even = matrix / np.abs(matrix).max(axis=1, keepdims=True)
    even = even / np.abs(even).max(axis=0)
    condition = float(np.linalg.cond(even, 1))
    if not 10 * condition * eps < 1:
        raise singular(condition)


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
    indices of its axes and others; infinity where a factor or a tie has both.
    """
    sides = _sides(term, rows, columns) if term.output else None
    return float("inf") if sides is None else prod(_sizes(term, sides))


def cut(term: Term, rows: Sequence[int], columns: Sequence[int], shared: Sequence[int] = ()) -> Cut:
    """U and V of a term between indices of rows and of columns, a row for each column that is
    added; for each of the indices that both share.
    """
    sides = _sides(term, rows, columns)
    assert sides is not None
    link = _link(term, sides)
    lead = tuple(term.dims[i].value or 0 for i in shared)
    found = []
    for places, ends, number in zip(sides, (rows, columns), (term.coefficient, ONE), strict=True):
        node = build.scale(number, component(term, places, (*shared, *link, *ends)))
        size = prod(term.dims[i].value or 0 for i in ends)
        found.append((node, (*lead, prod(_sizes(term, sides)), size)))
    (U, height), (V, width) = found
    return Cut(U, V, height, width)


Sides = tuple[list[int], list[int]]


def _sides(term: Term, rows: Sequence[int], columns: Sequence[int]) -> Sides | None:
    """Factors on the side of the rows and the others; None where they hang together by an axis.

    The cut goes through the fewer numbers: behind the factors of the rows, or before those of the
    columns.
    """
    above, below = set(rows), set(columns)
    if above & below:
        return None
    held = [set(f[2]) for f in term.factors]
    first = [k for k, own in enumerate(held) if own & above]
    last = [k for k, own in enumerate(held) if own & below]
    if set(first) & set(last):
        return None
    cuts = [(first, [k for k in range(len(held)) if k not in first])]
    cuts.append(([k for k in range(len(held)) if k not in last], last))
    return min(cuts, key=lambda sides: prod(_sizes(term, sides)))


def _link(term: Term, sides: Sides) -> list[int]:
    """The indices that both sides of a cut have."""
    one, two = ({i for k in side for i in term.factors[k][2]} for side in sides)
    return sorted((one & two) - set(term.output))


def _sizes(term: Term, sides: Sides) -> list[int]:
    return [term.dims[i].value or 0 for i in _link(term, sides)]
