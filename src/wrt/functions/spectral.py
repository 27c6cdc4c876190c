"""Eigenvalues, singular values, factorisations: what a matrix is made of.

Eigenvalues ascend, singular values descend; the largest entry of each eigenvector and of each left
singular vector is positive. Where two values are equal their vectors have no derivative: `gaps` is
0 there, so that a program gives the part of the derivative that does not turn them.
"""

from __future__ import annotations

import re

from wrt.expression.function import Function

__all__ = ["RECORDS"]

_SIGNED = """\
    places = np.argmax(np.abs({0}), axis=-2)[..., None, :]
    signs = np.sign(np.take_along_axis({0}, places, axis=-2))
"""
_EIGH = (
    "def eigh(A):\n    values, vectors = np.linalg.eigh(A)\n"
    + _SIGNED.format("vectors")
    + "    return values, vectors * signs"
)
_SVD = (
    "def svd(X):\n    left, values, right = np.linalg.svd(X, full_matrices=False)\n"
    + _SIGNED.format("left")
    + "    return left * signs, values, np.swapaxes(right, -1, -2) * signs"
)
#: What the words for single results have in common: programs that need several compute it once.
EIGH = Function(
    "eigh(A: n n symmetric) -> l: n, V: n n",
    "The eigenvalues and eigenvectors of a symmetric matrix.",
    array=_EIGH,
    analytic=False,
)
SVD = Function(
    "svd(X: m n) -> U: m min(m,n), s: min(m,n), V: n min(m,n)",
    "The singular vectors and values of a matrix.",
    array=_SVD,
    analytic=False,
)


def _one(name: str, text: str, which: int) -> str:
    """The text of a decomposition that gives one of its results."""
    head, _, results = text.rpartition("    return ")
    each = re.split(r", (?![^()]*\))", results)
    word = text[4 : text.index("(")]
    return f"{head.replace(word, name, 1)}    return {each[which]}"


_PINV_ALONG = """\
def pinv_along(X):
    rank = np.linalg.matrix_rank(X.real).max()
    m, n = X.shape[-2:]
    right = np.cos(1.0 + np.arange(n)[:, None] * (1 + np.arange(rank)) ** 2)
    left = np.sin(2.0 + np.arange(m) * (1 + np.arange(rank)[:, None]) ** 2)
    tall, wide, core = X @ right, left @ X, left @ X @ right
    up, down = np.swapaxes(tall, -1, -2), np.swapaxes(wide, -1, -2)
    return down @ np.linalg.inv(wide @ down) @ core @ np.linalg.inv(up @ tall) @ up"""
_ADJ = """\
def adj(X):
    left, values, right = np.linalg.svd(X)
    others = np.where(np.eye(X.shape[-1], dtype=bool), 1, values[..., None, :])
    sign = (np.linalg.det(left) * np.linalg.det(right))[..., None, None]
    turned = np.swapaxes(right, -1, -2) * np.prod(others, axis=-1)[..., None, :]
    return sign * turned @ np.swapaxes(left, -1, -2)"""
_CHOL_ALONG = """\
def chol_along(A):
    L = np.zeros_like(A)
    for j in range(A.shape[-1]):
        rest = A[..., j:, j] - np.sum(L[..., j:, :j] * L[..., j : j + 1, :j], axis=-1)
        L[..., j:, j] = rest / np.sqrt(rest[..., :1])
    return L"""
_GAPS = """\
def gaps(x):
    d = x[..., None, :] - x[..., :, None]
    return np.where(d == 0, 0, 1 / np.where(d == 0, 1, d))"""
_POLAR = """\
def polar(X):
    left, _, right = np.linalg.svd(X, full_matrices=False)
    return left @ right"""
_NUCLEAR = "def normnuc(X):\n    return np.sum(np.linalg.svd(X, compute_uv=False), axis=-1)"
_SPECTRAL = "def normspec(X):\n    return np.linalg.svd(X, compute_uv=False)[..., 0]"
_SINGULAR = "def svdvals(X):\n    return np.linalg.svd(X, compute_uv=False)"

#: A function of the eigenvalues, and the same function of the matrix.
_SPECTRA = (
    ("eigvals(A)", "A"),
    ("1./eigvals(A)", "inv(A)"),
    ("eigvals(A).^2", "A^2"),
    ("eigvals(A).^3", "A^3"),
    ("1./eigvals(A).^2", "inv(A)^2"),
    ("eigvals(A).^(1/2)", "sqrtm(A)"),
    ("1./eigvals(A).^(1/2)", "inv(sqrtm(A))"),
    ("exp(eigvals(A))", "expm(A)"),
    ("log(eigvals(A))", "logm(A)"),
    ("sin(eigvals(A))", "sinm(A)"),
    ("cos(eigvals(A))", "cosm(A)"),
)
_FRAME = "svdleft(X)'*dX*svdright(X)"
_TURNED = "svdright(X)'*dX'*svdleft(X)"
_VALUES = "diag(svdvals(X))"

RECORDS: tuple[Function, ...] = (
    Function(
        "pinv(X: m n) -> P: n m",
        "The Moore-Penrose inverse.",
        latex=r"{X}^{+}",
        differential=("-P*dX*P + P*P'*dX'*(eye(m) - X*P) + (eye(n) - P*X)*dX'*P'*P"),
        array="linalg.pinv",
        laws=("X*pinv(X)*X = X", "pinv(pinv(X)) = X", "pinv(X') = pinv(X)'"),
        keeps="symmetric skew diagonal orthogonal spd invertible",
        domain="constant rank",
        analytic=_PINV_ALONG,
        examples=("pinv(A)*b",),
    ),
    Function(
        "adj(X: n n) -> Y: n n",
        "The adjugate: X*adj(X) is det(X) times the identity.",
        latex=r"\operatorname{adj}({X})",
        definition="det(X)*inv(X)",
        array=_ADJ,
        laws=("adj(X') = adj(X)'",),
        keeps="symmetric diagonal lower upper spd invertible",
        domain="invertible",
        analytic="def adj(X):\n    return np.linalg.det(X)[..., None, None] * np.linalg.inv(X)",
        holomorphic=True,
    ),
    Function(
        "chol(A: n n symmetric) -> L: n n",
        "The lower triangular L with a positive diagonal and L*L' = A.",
        aliases=("cholesky",),
        latex=r"\operatorname{chol}({A})",
        differential="L*((tril(ones(n, n)) - eye(n)/2).*(inv(L)*dA*inv(L)'))",
        array="linalg.cholesky",
        laws=(
            "chol(A)*chol(A)' = A",
            "inv(chol(A))'*inv(chol(A)) = inv(A)",
            "det(chol(A))^2 = det(A)",
        ),
        keeps="diagonal invertible",
        domain="definite",
        analytic=_CHOL_ALONG,
        examples=("chol(A)",),
    ),
    Function(
        "eigvals(A: n n symmetric) -> l: n",
        "The eigenvalues of a symmetric matrix, ascending.",
        latex=r"\operatorname{eigvals}({A})",
        differential="diag(eigvecs(A)'*dA*eigvecs(A))",
        array="linalg.eigvalsh",
        laws=(
            "eigvals(A') = eigvals(A)",
            "sum(eigvals(A)) = tr(A)",
            "prod(eigvals(A)) = det(A)",
            "sum(eigvals(A).^2) = tr(A^2)",
            "sum(1./eigvals(A)) = tr(inv(A))",
        ),
        domain="simple",
        analytic=False,
        joint=(EIGH, 0),
    ),
    Function(
        "eigvecs(A: n n symmetric) -> V: n n",
        "The eigenvectors of a symmetric matrix as columns, in the order of eigvals.",
        latex=r"\operatorname{eigvecs}({A})",
        differential="V*(gaps(eigvals(A)).*(V'*dA*V))",
        array=_one("eigvecs", _EIGH, 1),
        laws=(
            "eigvecs(A)'*eigvecs(A) = eye(n)",
            "eigvecs(A)*eigvecs(A)' = eye(n)",
            *(f"eigvecs(A)*diag({by_one})*eigvecs(A)' = {whole}" for by_one, whole in _SPECTRA),
        ),
        domain="simple",
        analytic=False,
        note="The largest entry of each is positive. Equal eigenvalues are not turned.",
        joint=(EIGH, 1),
    ),
    Function(
        "gaps(x: n) -> F: n n",
        "The reciprocal differences 1/(x[j] - x[i]), 0 where two entries are equal.",
        latex=r"\operatorname{gaps}({x})",
        differential="F.^2.*(dx*(x.^0)' - (x.^0)*dx')",
        array=_GAPS,
        laws=("gaps(-x) = -gaps(x)", "gaps(x)' = -gaps(x)"),
        domain="separate",
    ),
    Function(
        "svdvals(X: m n) -> s: min(m,n)",
        "The singular values, descending.",
        latex=r"\operatorname{svdvals}({X})",
        differential=f"diag({_FRAME})",
        array=_SINGULAR,
        laws=("svdvals(X') = svdvals(X)",),
        domain="distinct values",
        analytic=False,
        values="[0, inf)",
        joint=(SVD, 1),
    ),
    Function(
        "svdleft(X: m n) -> U: m min(m,n)",
        "The left singular vectors as columns, in the order of svdvals.",
        latex=r"\operatorname{svdleft}({X})",
        differential=(
            f"U*(gaps(svdvals(X).^2).*({_FRAME}*{_VALUES} + {_VALUES}*{_TURNED}))"
            " + (eye(m) - U*U')*dX*svdright(X)*diag(1./svdvals(X))"
        ),
        array=_one("svdleft", _SVD, 0),
        laws=(
            "svdleft(X)'*svdleft(X) = eye(min(m,n))",
            "svdleft(X)*diag(svdvals(X))*svdright(X)' = X",
            "svdleft(X)*diag(svdvals(X).^3)*svdright(X)' = X*X'*X",
            "svdleft(X)*diag(1./svdvals(X))*svdright(X)' = pinv(X)'",
        ),
        domain="distinct values",
        analytic=False,
        note="The largest entry of each is positive.",
        joint=(SVD, 0),
    ),
    Function(
        "svdright(X: m n) -> V: n min(m,n)",
        "The right singular vectors as columns, in the order of svdvals.",
        latex=r"\operatorname{svdright}({X})",
        differential=(
            f"V*(gaps(svdvals(X).^2).*({_VALUES}*{_FRAME} + {_TURNED}*{_VALUES}))"
            " + (eye(n) - V*V')*dX'*svdleft(X)*diag(1./svdvals(X))"
        ),
        array=_one("svdright", _SVD, 2),
        laws=(
            "svdright(X)'*svdright(X) = eye(min(m,n))",
            "svdleft(X)*svdright(X)' = polar(X)",
        ),
        domain="distinct values",
        analytic=False,
        joint=(SVD, 2),
    ),
    Function(
        "polar(X: m n) -> Q: m n",
        "The orthogonal factor of X = Q*S, the product of the singular vectors U*V'.",
        latex=r"\operatorname{polar}({X})",
        differential=(
            f"svdleft(X)*(({_FRAME} - {_TURNED})"
            "./(svdvals(X)*(svdvals(X).^0)' + (svdvals(X).^0)*svdvals(X)'))*svdright(X)'"
            " + (eye(m) - Q*Q')*dX*pinv(X)*Q + Q*pinv(X)*dX*(eye(n) - Q'*Q)"
        ),
        array=_POLAR,
        laws=("polar(X') = polar(X)'", "polar(polar(X)) = polar(X)", "polar(-X) = -polar(X)"),
        domain="full rank",
        analytic=False,
    ),
    Function(
        "normspec(X: m n) -> y",
        "The spectral norm: the largest singular value.",
        latex=r"\lVert {X} \rVert_{\mathrm{op}}",
        differential="svdleft(X)[:,1]'*dX*svdright(X)[:,1]",
        array=_SPECTRAL,
        laws=("normspec(X') = normspec(X)", "normspec(-X) = normspec(X)"),
        domain="leading",
        analytic=False,
        values="[0, inf)",
        curve="convex",
    ),
    Function(
        "normnuc(X: m n) -> y",
        "The nuclear norm: the sum of the singular values.",
        latex=r"\lVert {X} \rVert_*",
        differential="tr(polar(X)'*dX)",
        array=_NUCLEAR,
        laws=("normnuc(X') = normnuc(X)", "sum(svdvals(X)) = normnuc(X)"),
        domain="full rank",
        analytic=False,
        values="[0, inf)",
        curve="convex",
    ),
)
