"""Systems that are sums of Kronecker products of two matrices for each axis: A X B + C X D.

Symmetric matrices have eigenvectors, also two at once of which one is definite: in these every
entry is a system of its own. Others have Schur's triangular form: two axes are solved a column at
a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from wrt.answers.structured.factors import is_hermitian, singular, turned
from wrt.answers.structured.summed import Commuting
from wrt.expression.nodes import Node

if TYPE_CHECKING:
    from wrt.answers.structured.tensor import Structured

__all__ = ["commuting"]


#: Both matrices of an axis; None is the identity.
Two = tuple[Any, Any]


def commuting(D: Structured, found: Commuting) -> Any:
    """By eigenvectors where all matrices are symmetric; None where that is not known, nor what else
    to do.
    """
    sizes = D.axes[: D.rows]
    pairs = [
        (_matrix(D, one, size), None if other is None else _matrix(D, other, size))
        for (one, other, _), size in zip(found.pairs, sizes, strict=True)
    ]
    numpy = D.backend == "numpy"
    if found.symmetric or (numpy and all(is_hermitian(M) for M in chain(*pairs) if M is not None)):
        alike = dict(zip(found.pairs, pairs, strict=True))  # axes of the same matrices
        spectra = {told: _spectrum(D, *pair, told.definite) for told, pair in alike.items()}
        own = [spectra[told] for told in found.pairs]
        if all(own):
            return _Commuting(D, found, [one for one in own if one])
    if not numpy or len(pairs) != 2:
        return None
    if found.otherwise is None:
        return _Triangular(D, found, pairs)
    P, Q = (D._value(node).reshape([d.value or 0 for d in node.dims]) for node in found.otherwise)
    return _Sylvester(D, P, Q)


def _matrix(D: Structured, node: Node, size: int) -> Any:
    return D._value(node).reshape((size, size))


class Spectrum(NamedTuple):
    """Vectors in which both matrices of an axis are diagonal, with what each has there; and the
    logarithm of the square of their determinant.
    """

    one: Any
    other: Any
    vectors: Any
    logdet: Any


def _spectrum(D: Structured, one: Any, other: Any, sure: bool) -> Spectrum | None:
    """Those of two symmetric matrices of which one is definite; None where that is not known."""
    import numpy as np

    words, library = D.library.words, D.library
    if other is None:
        values, vectors = words.linalg.eigh(one)
        return Spectrum(values, words.ones_like(values), vectors, 0)
    if D.backend != "numpy" and not sure:
        return None
    for swapped in (False, True) if D.backend == "numpy" else (False,):
        P, Q = (other, one) if swapped else (one, other)
        try:
            L = words.linalg.cholesky(Q)
        except np.linalg.LinAlgError:
            continue
        half = words.linalg.solve(L, P)
        values, turns = words.linalg.eigh(words.linalg.solve(L, library.conj(turned(half))))
        vectors = words.linalg.solve(library.conj(turned(L)), turns)
        units, size = words.ones_like(values), -2 * words.log(words.abs(L.diagonal())).sum()
        both = (units, values) if swapped else (values, units)
        return Spectrum(*both, vectors, size)
    return None


class _Commuting:
    """A sum of Kronecker products of symmetric matrices, by vectors in which all are diagonal."""

    def __init__(self, D: Structured, found: Commuting, spectra: Sequence[Spectrum]) -> None:
        self.D, self.found, self.spectra = D, found, spectra

    @cached_property
    def values(self) -> Any:
        """The eigenvalues of the sum, an axis for those of each matrix."""
        count, total = len(self.spectra), 0
        for number, chosen in self.found.weights:
            product = self.D._value(number).reshape((1,) * count)
            for at, (spectrum, first) in enumerate(zip(self.spectra, chosen, strict=True)):
                spread = [1] * count
                spread[at] = -1
                product = product * (spectrum.one if first else spectrum.other).reshape(spread)
            total = total + product
        return _regular(self.D, total, max(len(s.one) for s in self.spectra))

    def solve(self, b: Any) -> Any:
        """Many right sides along the first axis."""
        values, library = self.values, self.D.library
        vectors = [spectrum.vectors for spectrum in self.spectra]
        x = self._turned([library.conj(Q) for Q in vectors], b) / values
        return library.permuted(self._turned([turned(Q) for Q in vectors], x), self.last)

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
        words, values = self.D.library.words, self.values
        found = words.log(words.abs(values)).sum()
        for size, spectrum in zip(values.shape, self.spectra, strict=True):
            found = found - spectrum.logdet * prod(values.shape) / size
        return found


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
    """A sum of products c P X Q', with two choices of P and of Q, by Schur's form of both."""

    def __init__(self, D: Structured, found: Commuting, pairs: Sequence[Two]) -> None:
        self.D, self.found, self.pairs = D, found, pairs

    @cached_property
    def forms(self) -> tuple[Form, Form]:
        """Schur's forms of the matrices of the rows, and of the transposed ones of the columns."""
        (P, Q), (R, S) = self.pairs
        return _form(P, Q), _form(R.T, None if S is None else S.T)

    @cached_property
    def numbers(self) -> Any:
        """How much of each product is added, by which of the matrices it takes."""
        import numpy as np

        found = np.zeros((2, 2), self.forms[0].both.dtype)
        for number, chosen in self.found.weights:
            found[chosen] += self.D._value(number)
        return found

    @cached_property
    def values(self) -> Any:
        """The eigenvalues."""
        import numpy as np

        left, right = (np.diagonal(form.both, axis1=1, axis2=2) for form in self.forms)
        found = np.einsum("ab,ai,bj->ij", self.numbers, left, right)
        return _regular(self.D, found, max(found.shape))

    def solve(self, b: Any) -> Any:
        """Many right sides along the first axis."""
        import numpy as np

        left, right = self.forms
        turn = left.rows.conj().T @ b @ right.columns
        laid = turn.transpose(2, 1, 0)  # columns first, then entries, then many
        found = left.columns @ self._columns(laid).transpose(2, 1, 0) @ right.rows.conj().T
        kind = np.result_type(b, *(M for M in chain(*self.pairs) if M is not None))
        found = found if kind.kind == "c" else found.real
        return found.astype(kind, copy=False).transpose(self.found.last)

    def _columns(self, right: Any) -> Any:
        """One column after another: what came before, times the triangle above, is known."""
        import numpy as np
        from scipy.linalg import get_lapack_funcs

        left, above = (form.both for form in self.forms)
        (trtrs,) = get_lapack_funcs(("trtrs",), (left,))
        values, found = self.values, np.empty(right.shape, trtrs.dtype)
        for k, column in enumerate(right):
            before = np.tensordot(self.numbers @ above[:, :k, k], found[:k], 1)
            triangle = np.tensordot(self.numbers @ above[:, k, k], left, 1)
            np.fill_diagonal(triangle, values[:, k])
            found[k] = trtrs(triangle, column - (left @ before).sum(axis=0))[0]
        return found

    def logdet(self) -> Any:
        """By the eigenvalues: the changes of axes have determinants of size 1."""
        import numpy as np

        return np.log(np.abs(self.values)).sum()


class Form(NamedTuple):
    """Two matrices, the other one first, as upper triangles between two changes of axes."""

    both: Any
    rows: Any
    columns: Any


def _form(one: Any, other: Any) -> Form:
    """Schur's form of a matrix beside the identity, or of two matrices."""
    import numpy as np
    from scipy.linalg import qz, schur

    if other is None:
        triangle, change = schur(one, output="complex")
        return Form(np.stack([np.eye(len(one)), triangle]), change, change)
    first, second, rows, columns = qz(other, one, output="complex")
    return Form(np.stack([first, second]), rows, columns)
