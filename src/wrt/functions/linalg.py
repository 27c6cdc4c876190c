"""Linear algebra: functions of square matrices, and the words that are products.

A word with `einsum` is no function at run time: it is that product, built at once.
"""

from __future__ import annotations

from wrt.expression.function import Function

__all__ = ["RECORDS"]

_LOGDET_ALONG = """\
def logdet_along(X):
    phase, size = np.linalg.slogdet(X)
    return size + np.log(np.where(phase.real < 0, -phase, phase))"""
_SOLVE = """\
def solve(A, B):
    if B.ndim < A.ndim:
        return np.linalg.solve(A, B[..., None])[..., 0]
    return np.linalg.solve(A, B)"""
_POWER = """\
def matrix_power(X, k):
    if k.real < 0:
        raise ValueError("X^k wants a whole k that is not negative")
    return np.linalg.matrix_power(X, round(float(k.real)))"""

RECORDS: tuple[Function, ...] = (
    Function(
        "tr(X: n n) -> y",
        "The trace: the sum of the diagonal.",
        latex=r"\operatorname{tr}({X})",
        einsum="ii->",
        aliases=("trace",),
        examples=("tr(A*X)",),
    ),
    Function(
        "det(X: n n) -> y",
        "The determinant of a square matrix.",
        latex=r"\det({X})",
        differential="y*tr(inv(X)*dX)",
        array="linalg.det",
        laws=("det(X') = det(X)", "det(inv(X)) = 1/det(X)"),
        domain="invertible",
        examples=("det(X)",),
    ),
    Function(
        "logdet(X: n n) -> y",
        "The logarithm of the determinant, of its absolute value where it is negative.",
        latex=r"\log\det({X})",
        differential="tr(inv(X)*dX)",
        array="def logdet(X):\n    return np.linalg.slogdet(X)[1]",
        laws=(
            "logdet(X') = logdet(X)",
            "logdet(inv(X)) = -logdet(X)",
            "log(det(X)) = logdet(X)",
            "log(abs(det(X))) = logdet(X)",
            "exp(logdet(X)) = abs(det(X))",
        ),
        domain="invertible",
        analytic=_LOGDET_ALONG,
        holomorphic=True,
        curve="concave on spd",
        examples=("logdet(X)",),
    ),
    Function(
        "inv(X: n n) -> Y: n n",
        "The inverse of a square matrix.",
        latex=r"{X}^{-1}",
        differential="-Y*dX*Y",
        array="linalg.inv",
        laws=(
            "inv(inv(X)) = X",
            "inv(X') = inv(X)'",
            "X*inv(X) = eye(n)",
            "inv(X)*X = eye(n)",
        ),
        keeps="symmetric skew diagonal lower upper orthogonal spd invertible",
        domain="invertible",
        curve="convex on spd",
        examples=("a'*inv(X)*b",),
    ),
    Function(
        ("solve(A: n n, B: n m) -> X: n m", "solve(A: n n, B: n) -> x: n"),
        "The X with A*X = B, for a matrix or a vector B.",
        latex=r"{A}^{-1} {B}",
        definition="inv(A)*B",
        array=_SOLVE,
        domain="invertible",
        examples=("solve(A, b)",),
    ),
    Function(
        "matrix_power(X: n n, whole k) -> Y: n n",
        "The product of k factors X, for a whole k that is not negative.",
        latex=r"{X}^{{k}}",
        differential="sum(r, 0, k-1, X^r*dX*X^(k-1-r))",
        array=_POWER,
        laws=("matrix_power(X', k) = matrix_power(X, k)'",),
        keeps="symmetric diagonal lower upper orthogonal spd invertible",
        note="Written X^k.",
        examples=("X^k", "X^3"),
    ),
    Function(
        (
            "kron(A: n m, B: p q) -> C: n*p m*q",
            "kron(A: n, B: m) -> C: n*m",
            "kron(A: n m, B: p) -> C: n*p m",
            "kron(A: p, B: n m) -> C: p*n m",
        ),
        "The Kronecker product: every entry of A times all of B, vectors being columns.",
        latex=r"{A} \otimes {B}",
        einsum=("ij,kl->ikjl", "i,j->ij", "ij,k->ikj", "k,ij->kij"),
        examples=("kron(A, B)",),
    ),
    Function(
        ("vec(X: n m) -> y: n*m", "vec(X: n) -> y: n"),
        "The columns of a matrix, stacked into one vector.",
        latex=r"\operatorname{vec}({X})",
        einsum=("ij->ji", "i->i"),
        examples=("vec(A*X*B)",),
    ),
    Function(
        ("diag(x: n) -> Y: n n", "diag(x: n n) -> y: n"),
        "The diagonal matrix of a vector, or the diagonal of a square matrix.",
        latex=r"\operatorname{diag}({x})",
        einsum=("i->ii", "ii->i"),
        examples=("diag(x)", "diag(X)"),
    ),
    Function(
        "diagonals(X: n m) -> Y: n m",
        "Every entry the sum of the diagonal that it stands on.",
        latex=r"\operatorname{diagonals}({X})",
        einsum="kl->ij where i - j = k - l",
        note="What a Toeplitz matrix moves: diagonals(X)./diagonals(ones(n,m)) is the nearest one.",
        examples=("diagonals(A*X)",),
    ),
    Function(
        "tril(X: n m) -> Y: n m",
        "The lower triangle with the diagonal, zeros above.",
        latex=r"\operatorname{tril}({X})",
        einsum="ij->ij where i >= j",
    ),
    Function(
        "triu(X: n m) -> Y: n m",
        "The upper triangle with the diagonal, zeros below.",
        latex=r"\operatorname{triu}({X})",
        einsum="ij->ij where j >= i",
    ),
    Function(
        "transpose(X: n m) -> Y: m n",
        "The transpose: rows become columns.",
        latex=r"{X}^\top",
        einsum="ij->ji",
        note="Written X'.",
        examples=("transpose(X)*a",),
    ),
    Function(
        ("dot(x: n, y: n) -> z", "dot(x: n m, y: n m) -> z"),
        "The inner product: the sum of the products of entries.",
        latex=r"\langle {x}, {y} \rangle",
        einsum=("i,i->", "ij,ij->"),
        examples=("dot(x, A*y)",),
    ),
    Function(
        "outer(x: n, y: m) -> Z: n m",
        "The outer product: all products of an entry of x and one of y.",
        latex=r"{x} {y}^\top",
        einsum="i,j->ij",
        examples=("outer(x, y)",),
    ),
)
