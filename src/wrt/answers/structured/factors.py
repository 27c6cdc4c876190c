"""What systems are solved by: matrices factorised once, and terms cut into two thin sides."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from wrt.answers.structured.terms import Term, component
from wrt.errors import ValueMistake
from wrt.expression import build
from wrt.expression.coefficient import ONE

if TYPE_CHECKING:
    from wrt.answers.structured.tensor import Structured

__all__ = ["factorised", "halves", "is_lost", "rank", "singular", "turned"]

#: This part of all digits may be lost by a difference: what is left is refined once.
LOST = 0.36

Cut = tuple[list[int], list[int]]


def singular() -> Exception:
    """The mistake that NumPy knows for this."""
    import numpy as np

    return np.linalg.LinAlgError("singular")


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


def factorised(D: Structured, matrix: Any) -> Any:
    """A function that solves with a matrix, or with many, factorised once."""
    words = D.library.words
    if matrix.shape[-1] == 1:
        if D.backend == "numpy" and not matrix.all():
            raise singular()
        return lambda b: b / matrix
    if D.backend != "numpy" or matrix.ndim > 2:
        return lambda b: words.linalg.solve(matrix, b)
    return _factorised_once(matrix)


def _factorised_once(matrix: Any) -> Any:
    """One matrix of NumPy: triangular, symmetric positive definite, or any."""
    import warnings

    import numpy as np
    from scipy import linalg

    if not np.isfinite(matrix).all():
        raise ValueMistake("what is to be solved with has entries that are no numbers")
    lower, upper = np.array_equal(matrix, np.tril(matrix)), np.array_equal(matrix, np.triu(matrix))
    if lower or upper:
        return lambda b: linalg.solve_triangular(matrix, b, lower=lower, check_finite=False)
    mirrored = matrix.conj().T
    if np.abs(matrix - mirrored).max() <= 4 * np.finfo(matrix.dtype).eps * np.abs(matrix).max():
        try:
            factor = linalg.cho_factor(matrix, check_finite=False)
            return lambda b: linalg.cho_solve(factor, b, check_finite=False)
        except linalg.LinAlgError:
            pass  # symmetric, and not positive definite
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", linalg.LinAlgWarning)
        lu = linalg.lu_factor(matrix, check_finite=False)
    if not np.diagonal(lu[0]).all():
        raise singular()
    return lambda b: linalg.lu_solve(lu, b, check_finite=False)


# Few columns


def rank(term: Term, rows: Sequence[int], columns: Sequence[int]) -> float:
    """How many products of a column and a row a term is made of at most, between some of the
    indices of its axes and others; infinity where a factor or a tie has both.
    """
    cut = _sides(term, rows, columns) if term.output else None
    return float("inf") if cut is None else prod(_sizes(term, cut))


def _sides(term: Term, rows: Sequence[int], columns: Sequence[int]) -> Cut | None:
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
    return min(cuts, key=lambda cut: prod(_sizes(term, cut)))


def _link(term: Term, cut: Cut) -> list[int]:
    """The indices that both sides of a cut have."""
    one, two = ({i for k in side for i in term.factors[k][2]} for side in cut)
    return sorted((one & two) - set(term.output))


def _sizes(term: Term, cut: Cut) -> list[int]:
    return [term.dims[i].value or 0 for i in _link(term, cut)]


def halves(D: Structured, terms: Sequence[tuple[Any, ...]]) -> tuple[Any, Any]:
    """U and V of terms between indices of rows and of columns, a row for each column that is
    added; along indices that both have, where a fourth entry tells some, for each of these.
    """
    found = [_halves(D, *one) for one in terms]
    words = D.library.words
    if len(found) == 1:
        return found[0]
    axis = found[0][0].ndim - 2
    return words.concatenate([u for u, _ in found], axis), words.concatenate(
        [v for _, v in found], axis
    )


def _halves(
    D: Structured,
    term: Term,
    rows: Sequence[int],
    columns: Sequence[int],
    shared: Sequence[int] = (),
) -> tuple[Any, Any]:
    cut = _sides(term, rows, columns)
    assert cut is not None
    link = _link(term, cut)
    lead = [term.dims[i].value or 0 for i in shared]
    sides = []
    for places, ends, number in zip(cut, (rows, columns), (term.coefficient, ONE), strict=True):
        node = build.scale(number, component(term, places, (*shared, *link, *ends)))
        size = prod(term.dims[i].value or 0 for i in ends)
        sides.append(D._run(node, {}).reshape((*lead, prod(_sizes(term, cut)), size)))
    return sides[0], sides[1]
