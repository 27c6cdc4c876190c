"""How factorisations, and what reads them, are written with each array library.

NumPy factorises again for every system, so its programs call LAPACK through SciPy in a few short
helpers. JAX and PyTorch have words of their own, which can be mapped and differentiated again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from wrt.programs import code as py
from wrt.programs.code import Code
from wrt.programs.steps import Step

if TYPE_CHECKING:
    from wrt.programs.emission import Emission

__all__ = ["code", "helper_names"]

# What NumPy lays out by rows LAPACK reads by columns: it is given the transpose, uncopied.
LU_FACTOR = """\
def lu_factor(X):
    \"\"\"The LU factors of X.T with their pivots, for systems that share X.\"\"\"
    (getrf,) = scipy.linalg.get_lapack_funcs(("getrf",), (X,))
    lu, pivots, info = getrf(X.T)
    if info > 0:
        raise np.linalg.LinAlgError("Singular matrix")
    return lu, pivots"""
LU_SOLVE = """\
def lu_solve(factors, b, trans=0):
    \"\"\"x with X @ x = b, or X.T @ x = b with trans=1, by the factors of X.T.\"\"\"
    lu, pivots = factors
    (getrs,) = scipy.linalg.get_lapack_funcs(("getrs",), (lu, b))
    return getrs(lu, pivots, b, trans=1 - trans)[0]"""
LU_INVERSE = """\
def lu_inverse(lu, pivots):
    \"\"\"The inverse of X by the factors of X.T, with room for LAPACK to work in blocks.\"\"\"
    getri, room = scipy.linalg.get_lapack_funcs(("getri", "getri_lwork"), (lu,))
    return getri(lu, pivots, lwork=int(room(len(lu))[0].real))[0].T"""
CHOLESKY = """\
def cholesky(X):
    \"\"\"The lower triangular L with L @ L.T = X.\"\"\"
    (potrf,) = scipy.linalg.get_lapack_funcs(("potrf",), (X,))
    upper, info = potrf(X.T)
    if info > 0:
        raise np.linalg.LinAlgError("Matrix is not positive definite")
    return upper.T"""
CHOLESKY_SOLVE = """\
def cholesky_solve(L, b):
    \"\"\"x with L @ L.T @ x = b.\"\"\"
    (potrs,) = scipy.linalg.get_lapack_funcs(("potrs",), (L, b))
    return potrs(L.T, b)[0]"""
CHOLESKY_INVERSE = """\
def cholesky_inverse(L):
    \"\"\"The inverse of L @ L.T: one half computed, the other mirrored.\"\"\"
    (potri,) = scipy.linalg.get_lapack_funcs(("potri",), (L,))
    half = potri(L.T)[0]
    out = half + half.T
    np.fill_diagonal(out, half.diagonal())
    return out"""
TRIANGULAR_SOLVE = """\
def solve_triangular(L, b, lower=False, trans=0):
    \"\"\"x with L @ x = b, or L.T @ x = b with trans=1, for a triangular L.\"\"\"
    (trtrs,) = scipy.linalg.get_lapack_funcs(("trtrs",), (L, b))
    x, info = trtrs(L.T, b, lower=not lower, trans=1 - trans)
    if info > 0:
        raise np.linalg.LinAlgError("Singular matrix")
    return x"""
TRIANGULAR_INVERSE = """\
def triangular_inverse(L, lower=False):
    \"\"\"The inverse of a triangular L.\"\"\"
    (trtri,) = scipy.linalg.get_lapack_funcs(("trtri",), (L,))
    inverse, info = trtri(L.T, lower=not lower)
    if info > 0:
        raise np.linalg.LinAlgError("Singular matrix")
    return np.tril(inverse.T) if lower else np.triu(inverse.T)"""
LU_DET = """\
def lu_det(lu, pivots):
    \"\"\"The determinant by LU factors: a change of sign for each exchange of rows.\"\"\"
    exchanges = np.count_nonzero(pivots != np.arange(len(pivots)))
    return (1 - 2 * (exchanges % 2)) * np.prod(lu.diagonal())"""
LU_DET_TORCH = """\
def lu_det(lu, pivots):
    \"\"\"The determinant by LU factors: a change of sign for each exchange of rows.\"\"\"
    rows = torch.arange(1, len(pivots) + 1, device=pivots.device)
    exchanges = torch.count_nonzero(pivots != rows)
    return (1 - 2 * (exchanges % 2)) * torch.prod(lu.diagonal())"""

#: The helpers that an operation on factors of a form may need.
HELPERS_LU = ("lu_factor", "lu_solve", "lu_inverse", "lu_det")
HELPERS_CHOLESKY = ("cholesky", "cholesky_solve", "cholesky_inverse")
HELPERS_TRIANGULAR = ("solve_triangular", "triangular_inverse")
OPERATIONS = ("factor", "solve", "inverse", "det", "logdet")


def helper_names(step: Step) -> Iterator[str]:
    """The names that programs with such a step keep for helpers."""
    if step.op in OPERATIONS and step.data is not None:
        yield from (*HELPERS_LU, *HELPERS_CHOLESKY, *HELPERS_TRIANGULAR)


def code(e: Emission, step: Step) -> Code:
    """A factorisation, or what is read of one."""
    words = WORDS[e.backend.name](e, step)
    factors = e.of(step.args[0])
    match step.op:
        case "factor":
            return words.factor(step.data, factors)
        case "inverse":
            return words.inverse(step.data, factors)
        case "solve":
            form, turned = step.data
            return words.solve(form, turned, factors, e.of(step.args[1]))
        case "det":
            return words.det(step.data, factors)
    return words.logdet(step.data, factors)


class Lapack:
    """NumPy, by the helpers above."""

    lu_det = LU_DET

    def __init__(self, e: Emission, step: Step) -> None:
        self.e, self.step = e, step

    def word(self, name: str) -> Code:
        """A word of the array library."""
        return self.e.library.word(name)

    def identity(self) -> Code:
        """The identity of the size of a matrix."""
        return self.e.identity(self.step.dims[0])

    def helper(self, text: str) -> Code:
        """The name of a helper."""
        return py.name(self.e.helpers.system(text))

    def factor(self, form: str, X: Code) -> Code:
        """The factors of a matrix."""
        if form == "lu":
            return py.call(self.helper(LU_FACTOR), X)
        solved = any(s.op in ("solve", "inverse") and s.data for s in self.e.steps.all)
        return py.call(self.helper(CHOLESKY) if solved else self.word("linalg.cholesky"), X)

    def solve(self, form: str, turned: bool, factors: Code, b: Code) -> Code:
        """What solves a system."""
        turn = {"trans": py.literal(1)} if turned else {}
        if form == "cholesky":
            return py.call(self.helper(CHOLESKY_SOLVE), factors, b)
        if form == "lu":
            return py.call(self.helper(LU_SOLVE), factors, b, **turn)
        return py.call(self.helper(TRIANGULAR_SOLVE), factors, b, **_lower(form), **turn)

    def inverse(self, form: str, factors: Code) -> Code:
        """The inverse itself."""
        if form == "cholesky":
            return py.call(self.helper(CHOLESKY_INVERSE), factors)
        if form == "lu":
            return py.call(self.helper(LU_INVERSE), py.star(factors))
        return py.call(self.helper(TRIANGULAR_INVERSE), factors, **_lower(form))

    def det(self, form: str, factors: Code) -> Code:
        """The determinant."""
        if form == "lu":
            return py.call(self.helper(self.lu_det), py.star(factors))
        product = py.call(self.word("prod"), self.diagonal(form, factors))
        return py.binary("**", product, py.literal(2)) if form == "cholesky" else product

    def logdet(self, form: str, factors: Code) -> Code:
        """The logarithm of the absolute value of the determinant."""
        entries = self.diagonal(form, factors)
        if form != "cholesky":
            entries = py.call(self.word("abs"), entries)
        total = py.call(self.word("sum"), py.call(self.word("log"), entries))
        return py.binary("*", py.literal(2), total) if form == "cholesky" else total

    def diagonal(self, form: str, factors: Code) -> Code:
        """What the determinant is the product of: but for its sign (LU), or its root (Cholesky)."""
        matrix = py.subscript(factors, py.literal(0)) if form == "lu" else factors
        return py.call(py.attribute(matrix, "diagonal"))


class Jax(Lapack):
    """JAX: `jax.scipy.linalg`."""

    lu_det = LU_DET.replace("np.", "jnp.")

    def scipy(self, word: str) -> Code:
        """A word of `jax.scipy.linalg`."""
        self.e.helpers.imports["import jax"] = None
        return py.text(f"jax.scipy.linalg.{word}")

    def factor(self, form: str, X: Code) -> Code:
        word = self.scipy("lu_factor") if form == "lu" else self.word("linalg.cholesky")
        return py.call(word, X)

    def solve(self, form: str, turned: bool, factors: Code, b: Code) -> Code:
        turn = {"trans": py.literal(1)} if turned else {}
        if form == "cholesky":
            return py.call(self.scipy("cho_solve"), py.tuple_of([factors, py.literal(True)]), b)
        if form == "lu":
            return py.call(self.scipy("lu_solve"), factors, b, **turn)
        return py.call(self.scipy("solve_triangular"), factors, b, **_lower(form), **turn)

    def inverse(self, form: str, factors: Code) -> Code:
        return self.solve(form, False, factors, self.identity())


class Torch(Lapack):
    """PyTorch: right sides are matrices of the type of the factors."""

    lu_det = LU_DET_TORCH

    def factor(self, form: str, X: Code) -> Code:
        return py.call(self.word("linalg.lu_factor" if form == "lu" else "linalg.cholesky"), X)

    def solve(self, form: str, turned: bool, factors: Code, b: Code) -> Code:
        matrix, right = (self.e.steps[a] for a in self.step.args)
        factors, b = self.e.library.joined(factors, b, (matrix.kind, right.kind))
        if len(right.dims) > 1:
            return self._solved(form, turned, factors, b)
        found = self._solved(form, turned, factors, py.subscript(b, py.colon(), py.literal(None)))
        return py.subscript(found, py.colon(), py.literal(0))

    def _solved(self, form: str, turned: bool, factors: Code, b: Code) -> Code:
        if form == "cholesky":
            return py.call(self.word("cholesky_solve"), b, factors)
        if form != "lu":
            matrix = py.attribute(factors, "T") if turned else factors
            upper = py.literal((form == "upper") != turned)
            return py.call(self.word("linalg.solve_triangular"), matrix, b, upper=upper)
        word, both = self.word("linalg.lu_solve"), py.star(factors)
        if not turned:
            return py.call(word, both, b)
        if self.step.kind != "complex":
            return py.call(word, both, b, adjoint=py.literal(True))
        found = py.call(word, both, py.call(py.attribute(b, "conj")), adjoint=py.literal(True))
        return py.call(py.attribute(found, "conj"))

    def inverse(self, form: str, factors: Code) -> Code:
        if form == "cholesky":
            return py.call(self.word("cholesky_inverse"), factors)
        kind = self.e.steps[self.step.args[0]].kind
        factors, one = self.e.library.joined(factors, self.identity(), (kind, "real"))
        return self._solved(form, False, factors, one)


WORDS: dict[str, type[Lapack]] = {"numpy": Lapack, "jax": Jax, "torch": Torch}


def _lower(form: str) -> dict[str, Code]:
    return {"lower": py.literal(True)} if form == "lower" else {}
