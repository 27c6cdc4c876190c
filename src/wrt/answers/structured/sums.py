"""Systems that are sums of Kronecker products, each of one matrix for an axis or none: A X B + c X.

Symmetric matrices have eigenvectors: in these every entry is a system of its own. Others have
Schur's triangular form: two axes are solved a column at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from wrt.answers.structured import systems
from wrt.answers.structured.factors import is_hermitian, singular, turned

if TYPE_CHECKING:
    from wrt.answers.structured.tensor import Structured

__all__ = ["commuting"]


def commuting(D: Structured, found: systems.Commuting) -> Any:
    """By eigenvectors where all matrices are symmetric; None where that is not known, nor what else
    to do.
    """
    sizes = D.axes[: D.rows]
    matrices = [
        D._value(node).reshape((size, size))
        for node, size in zip(found.matrices, sizes, strict=True)
    ]
    if found.symmetric or (D.backend == "numpy" and all(map(is_hermitian, matrices))):
        return _Commuting(D, found, matrices)
    if D.backend != "numpy" or len(matrices) != 2:
        return None
    if found.otherwise is None:
        return _Triangular(D, found, matrices)
    P, Q = (D._value(node).reshape([d.value or 0 for d in node.dims]) for node in found.otherwise)
    return _Sylvester(D, P, Q)


class _Commuting:
    """A sum of Kronecker products of symmetric matrices, one for each axis: by eigenvectors."""

    def __init__(self, D: Structured, found: systems.Commuting, matrices: Sequence[Any]) -> None:
        self.D, self.found = D, found
        self.spectra = [D.library.words.linalg.eigh(M) for M in matrices]

    @cached_property
    def values(self) -> Any:
        """The eigenvalues of the sum, an axis for those of each matrix."""
        count, total = len(self.spectra), 0
        for number, places in self.found.weights:
            product = self.D._value(number).reshape((1,) * count)
            for at in places:
                spread = [1] * count
                spread[at] = -1
                product = product * self.spectra[at][0].reshape(spread)
            total = total + product
        return _regular(self.D, total, max(len(p) for p, _ in self.spectra))

    def solve(self, b: Any) -> Any:
        """Many right sides along the first axis."""
        values, library = self.values, self.D.library
        x = self._turned([library.conj(Q) for _, Q in self.spectra], b) / values
        return library.permuted(self._turned([turned(Q) for _, Q in self.spectra], x), self.last)

    @property
    def last(self) -> tuple[int, ...]:
        """The order of the axes at the end."""
        return self.found.last

    def _turned(self, changes: Sequence[Any], x: Any) -> Any:
        """A change of axes along each but the first; each comes to the end when its turn is."""
        order = (0, *range(2, x.ndim), 1)
        for change in changes:
            x = self.D.library.permuted(x, order) @ change
        return x

    def logdet(self) -> Any:
        """By the eigenvalues."""
        words = self.D.library.words
        return words.log(words.abs(self.values)).sum()


def _regular(D: Structured, values: Any, size: int) -> Any:
    """Eigenvalues, none of which is zero in all its digits."""
    import numpy as np

    if D.backend == "numpy":
        sizes = np.abs(values)
        if sizes.min() <= size * np.finfo(sizes.dtype).eps * sizes.max():
            raise singular()
    return values


class _Sylvester:
    """P X + X Q = B in two axes, by Schur's form of both."""

    def __init__(self, D: Structured, P: Any, Q: Any) -> None:
        self.D, self.P, self.Q = D, P, Q

    @cached_property
    def forms(self) -> tuple[Any, Any]:
        """Schur's form of both, with the change of axes."""
        from scipy.linalg import schur

        return schur(self.P), schur(self.Q)

    @cached_property
    def sums(self) -> Any:
        """Every sum of an eigenvalue of P and one of Q."""
        import numpy as np

        p, q = (np.linalg.eigvals(form) for form, _ in self.forms)
        return _regular(self.D, p[:, None] + q, max(len(p), len(q)))

    def solve(self, b: Any) -> Any:
        """Many right sides along the first axis."""
        import numpy as np
        from scipy.linalg import get_lapack_funcs

        ((P, A), (Q, B)), _ = self.forms, self.sums
        if b.dtype.kind == "c" and P.dtype.kind != "c" and Q.dtype.kind != "c":
            return self.solve(b.real) + 1j * self.solve(b.imag)
        (trsyl,) = get_lapack_funcs(("trsyl",), (P, Q, b))
        x = np.empty(b.shape, trsyl.dtype)
        for place, one in enumerate(A.conj().T @ b @ B):
            found, scale, _ = trsyl(P, Q, one)
            x[place] = found / scale
        return A @ x @ B.conj().T

    def logdet(self) -> Any:
        """By the eigenvalues of both."""
        import numpy as np

        return np.log(np.abs(self.sums)).sum()


class _Triangular:
    """A sum of products c P X Q', with or without P and Q, in two axes, by Schur's form of both."""

    def __init__(self, D: Structured, found: systems.Commuting, matrices: Sequence[Any]) -> None:
        self.D, self.found, self.matrices = D, found, matrices

    @cached_property
    def forms(self) -> tuple[Any, Any]:
        """Schur's forms of P and of Q', upper triangles, with the changes of axes."""
        from scipy.linalg import schur

        P, Q = self.matrices
        return schur(P, output="complex"), schur(Q.T, output="complex")

    @cached_property
    def numbers(self) -> Any:
        """How much of X, X Q', P X and P X Q' is added."""
        import numpy as np

        found = np.zeros((2, 2), np.result_type(*(form for form, _ in self.forms)))
        for number, places in self.found.weights:
            found[int(0 in places), int(1 in places)] += self.D._value(number)
        return found

    @cached_property
    def values(self) -> Any:
        """The eigenvalues."""
        (p, q), ((a, b), (c, d)) = (form.diagonal() for form, _ in self.forms), self.numbers
        found = a + b * q + (c + d * q) * p[:, None]
        return _regular(self.D, found, max(found.shape))

    def solve(self, b: Any) -> Any:
        """Many right sides along the first axis."""
        import numpy as np

        (_, U), (_, V) = self.forms
        right = (U.conj().T @ b @ V).transpose(2, 1, 0)  # columns first, then entries, then many
        found = U @ self._columns(right).transpose(2, 1, 0) @ V.conj().T
        kind = np.result_type(b, *self.matrices)
        found = found if kind.kind == "c" else found.real
        return found.astype(kind, copy=False).transpose(self.found.last)

    def _columns(self, right: Any) -> Any:
        """One column after another: what came before, times the triangle above, is known."""
        import numpy as np
        from scipy.linalg import get_lapack_funcs

        (P, _), (Q, _) = self.forms
        (trtrs,) = get_lapack_funcs(("trtrs",), (P, Q))
        (a, b), (c, d) = self.numbers
        unit, values, found = np.eye(len(P)), self.values, np.empty(right.shape, trtrs.dtype)
        for k, column in enumerate(right):
            before = np.tensordot(Q[:k, k], found[:k], 1)
            triangle = (a + b * Q[k, k]) * unit + (c + d * Q[k, k]) * P
            np.fill_diagonal(triangle, values[:, k])
            found[k] = trtrs(triangle, column - b * before - d * (P @ before))[0]
        return found

    def logdet(self) -> Any:
        """By the eigenvalues."""
        import numpy as np

        return np.log(np.abs(self.values)).sum()
