"""Systems whose matrix has few entries in each row: band matrices by LAPACK, others by SuperLU."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from wrt.answers.structured.factors import (
    SCREEN,
    Factorised,
    Solver,
    finite,
    in_common,
    signs,
    singular,
)

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Layout", "layout", "sparse_factorised"]

#: A matrix with so many diagonals is a band; with more of them, what is between may be zeros.
MOST_DIAGONALS = 256
#: A matrix with so few entries in each row, or whose band takes so small a part of the rows, is
#: solved with as it is.
FEW, PART = 16, 4


class Layout(NamedTuple):
    """How the rows and columns of a matrix with few entries are ordered to be near the diagonal,
    None: as they are; how many diagonals it has then; about what it costs to factorise.
    """

    order: Array | None
    diagonals: int
    operations: float


def layout(pattern: Any) -> Layout | None:
    """How to solve with a matrix that has entries where the pattern has; None where they are too
    many for that to pay.

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> ring = np.eye(90) + np.roll(np.eye(90), 1, 0) + np.roll(np.eye(90), -1, 0)
    >>> layout(csr_array(ring)).diagonals
    5
    """
    rows, entries = pattern.shape[0], pattern.nnz
    order, diagonals = None, _diagonals(pattern)
    if diagonals > 3 + 2 * entries // max(rows, 1):
        found = _near(pattern)
        closer = _diagonals(pattern[found][:, found])
        if 2 * closer < diagonals:
            order, diagonals = found, closer
    few = entries <= min(FEW * rows, rows**2 // 4)
    if not few and PART * diagonals > rows:
        return None
    return Layout(order, diagonals, rows * min(diagonals, rows) ** 2)


def _diagonals(pattern: Any) -> int:
    """How many diagonals there are between the outermost ones."""
    found = pattern.tocoo()
    offsets = found.col - found.row
    return 1 + int(offsets.max(initial=0)) - int(offsets.min(initial=0))


def _near(pattern: Any) -> Array:
    """An order in which rows and columns that meet are near one another: Cuthill's and McKee's."""
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    found: Array = reverse_cuthill_mckee((pattern + pattern.T).tocsr(), symmetric_mode=True)
    return found


def sparse_factorised(matrix: Any, order: Array | None = None) -> Solver:
    """A matrix given by its entries (SciPy's coo_array), factorised once; its rows and columns in
    the order that is given.

    >>> import numpy as np
    >>> from scipy.sparse import coo_array
    >>> T = coo_array([[2.0, 1, 0], [1, 3, 1], [0, 1, 4]])
    >>> sparse_factorised(T).solve(T @ np.array([[1.0], [2], [3]])).ravel()
    array([1., 2., 3.])
    """
    finite(matrix.data)
    if order is not None:
        return _ordered(matrix, order)
    offsets = matrix.col - matrix.row
    above, below = int(offsets.max(initial=0)), -int(offsets.min(initial=0))
    if above + below >= MOST_DIAGONALS:
        return _scattered(matrix)
    even = _symmetric_band(matrix, below) if above == below else None
    return even or _band(matrix, above, below)


def _ordered(matrix: Any, order: Array) -> Solver:
    """With rows and columns in another order."""
    import numpy as np
    from scipy.sparse import coo_array

    back = np.argsort(order)
    inner = sparse_factorised(
        coo_array((matrix.data, (back[matrix.row], back[matrix.col])), matrix.shape)
    )
    return Factorised(lambda b: inner.solve(b[order])[back], inner.logdet)


def _symmetric_band(matrix: Any, below: int) -> Solver | None:
    """By Cholesky's factors of the lower half; None where it is not positive definite."""
    import numpy as np

    row, col, data = matrix.row, matrix.col, matrix.data
    lower, upper = col <= row, col >= row
    half, other = (np.zeros((below + 1, matrix.shape[0]), matrix.dtype) for _ in range(2))
    half[(row - col)[lower], col[lower]] = data[lower]
    other[(col - row)[upper], row[upper]] = data[upper].conj()
    if np.abs(half - other).max() > 4 * np.finfo(matrix.dtype).eps * np.abs(data).max(initial=0):
        return None
    _, words = in_common(half, half)
    factor, info = words["pbtrf"](half, lower=1)
    if info:
        return None

    def solve(b: Array) -> Array:
        b, words = in_common(factor, b)
        return words["pbtrs"](factor, b, lower=1)[0]  # type: ignore[no-any-return]

    _watch(matrix, factor[0].real ** 2, solve)
    return Factorised(solve, lambda: 2 * np.log(factor[0].real).sum())


def _band(matrix: Any, above: int, below: int) -> Solver:
    import numpy as np

    band = np.zeros((2 * below + above + 1, matrix.shape[0]), matrix.dtype)
    band[below + above + matrix.row - matrix.col, matrix.col] = matrix.data
    _, words = in_common(band, band)
    lu, exchanges, info = words["gbtrf"](band, below, above)
    if info:
        raise singular()

    def solve(b: Array) -> Array:
        b, words = in_common(lu, b)
        return words["gbtrs"](lu, below, above, b, exchanges)[0]  # type: ignore[no-any-return]

    pivots = np.abs(lu[below + above])
    _watch(matrix, pivots, solve)
    return Factorised(solve, lambda: np.log(pivots).sum())


def _scattered(matrix: Any) -> Solver:
    import numpy as np
    from scipy.sparse.linalg import splu

    kind = np.result_type(matrix.dtype, np.float64)  # what SuperLU is best at
    try:
        factors = splu(matrix.astype(kind).tocsc())
    except RuntimeError:
        raise singular() from None

    def solve(b: Array) -> Array:
        if b.dtype.kind == "c" and kind.kind != "c":
            return solve(b.real) + 1j * solve(b.imag)
        found: Array = factors.solve(np.ascontiguousarray(b, kind))
        return found.astype(np.result_type(matrix, b), copy=False)

    pivots = np.abs(factors.U.diagonal())
    _watch(matrix, pivots, solve)
    return Factorised(solve, lambda: np.log(pivots).sum())


def _watch(matrix: Any, pivots: Array, solve: Callable[[Array], Array]) -> None:
    """Refuse a matrix with which no digit of a solution is right, whatever the units of its rows
    and columns are: by what becomes of ones of both signs, as a rule nearly the most.
    """
    import numpy as np

    eps = float(np.finfo(matrix.dtype).eps)
    if pivots.min() > SCREEN * len(pivots) * eps * pivots.max():
        return
    rows = abs(matrix).max(axis=1).toarray()
    even = abs(matrix).multiply(1 / rows[:, None])
    columns = even.max(axis=0).toarray()
    most = even.multiply(1 / columns).sum(axis=1).max()
    asked = signs(len(rows), matrix.dtype.char) * rows
    condition = float(np.abs(solve(asked[:, None])[:, 0] * columns).max() * most)
    if not 10 * condition * eps < 1:
        raise singular(condition)
