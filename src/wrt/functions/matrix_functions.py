"""Functions of a square matrix by its eigenvalues, and their derivatives along directions.

The derivative of f at X along E is the upper right block of f([X E; 0 X]); every further direction
doubles the matrix once more. So `frechet` is exact at every order, whatever the eigenvalues. JAX
carries the direction through f beside X, which costs less than half.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from wrt.expression.function import BACKENDS, Function

__all__ = ["ABOUT", "RECORDS", "frechet", "of_word"]

_ALL = "symmetric diagonal lower upper"
_EXPM_ALONG = """\
def expm_along(X):
    doublings = 1 + int(max(0, np.ceil(np.log2(1e-9 + np.abs(X).sum(axis=-1).max()))))
    X = X / 2.0**doublings
    term = Y = np.eye(X.shape[-1]) + 0 * X
    for k in range(1, 18):
        term = term @ X / k
        Y = Y + term
    for _ in range(doublings):
        Y = Y @ Y
    return Y"""
_SQRTM_ALONG = """\
def sqrtm_along(X):
    Y, Z = X, np.eye(X.shape[-1]) + 0 * X
    for _ in range(20):
        Y, Z = (Y + np.linalg.inv(Z)) / 2, (Z + np.linalg.inv(Y)) / 2
    return Y"""
_LOGM = """\
def logm(X):
    import warnings

    with warnings.catch_warnings():  # its estimate of the error is far too large
        warnings.simplefilter("ignore")
        Y = scipy.linalg.logm(X)
    return Y if np.any(Y.imag) else Y.real.astype(X.dtype)"""
_LOGM_ALONG = """\
def logm_along(X):
    one, halvings = np.eye(X.shape[-1]), 0
    while np.abs(X - one).max() > 0.2 and halvings < 40:
        Y, Z = X, one + 0 * X
        for _ in range(20):
            Y, Z = (Y + np.linalg.inv(Z)) / 2, (Z + np.linalg.inv(Y)) / 2
        X, halvings = Y, halvings + 1
    Z = (X - one) @ np.linalg.inv(X + one)
    square, total = Z @ Z, 0 * Z
    for k in range(25, 0, -2):
        total = total @ square + one / k
    return 2 ** (halvings + 1) * Z @ total"""
_TRIGONOMETRIC_ALONG = """\
def along(X):
    doublings = 2 + int(max(0, np.ceil(np.log2(1 + np.abs(X).sum(axis=-1).max()))))
    one, X = np.eye(X.shape[-1]), X / 2.0**doublings
    S, C, square = 0 * X, 0 * X, X @ X
    for k in range(18, 0, -2):
        C, S = one - C @ square / (k * (k - 1)), one - S @ square / (k * (k + 1))
    S = S @ X
    for _ in range(doublings):
        S, C = 2 * S @ C, 2 * C @ C - one
    return """
# JAX and PyTorch have no square root or logarithm of a matrix that can be differentiated and
# compiled. These are real where X is: NaN where that root is not.
_SQRTM_JAX = """\
def sqrtm(X):
    def step(_, roots):
        Y, Z = roots
        return (Y + jnp.linalg.inv(Z)) / 2, (Z + jnp.linalg.inv(Y)) / 2

    one = jnp.broadcast_to(jnp.eye(X.shape[-1], dtype=X.dtype), X.shape)
    Y, _ = jax.lax.fori_loop(0, 30, step, (X, one))
    error = jnp.max(jnp.abs(Y @ Y - X), axis=(-2, -1), keepdims=True)
    size = jnp.max(jnp.abs(X), axis=(-2, -1), keepdims=True)
    return jnp.where(error > 1e-3 * size, jnp.nan, Y)"""
_SQRTM_TORCH = """\
def sqrtm(X):
    Y, Z = X, torch.eye(X.shape[-1], dtype=X.dtype, device=X.device).expand(X.shape)
    for _ in range(30):
        Y, Z = (Y + torch.linalg.inv(Z)) / 2, (Z + torch.linalg.inv(Y)) / 2
    error = torch.amax(torch.abs(Y @ Y - X), dim=(-2, -1), keepdim=True)
    size = torch.amax(torch.abs(X), dim=(-2, -1), keepdim=True)
    return torch.where(error > 1e-3 * size, torch.nan, Y)"""
_LOGM_OF_ROOT = """\
def logm(X):
{root}
    for _ in range(6):
        X = sqrtm(X)
    one = {one}
    Z = (X - one) @ {library}.linalg.inv(X + one)
    square, total = Z @ Z, 0 * Z
    for k in range(27, 0, -2):
        total = total @ square + one / k
    return 128 * Z @ total"""


def _indented(text: str) -> str:
    return "".join(f"    {line}".rstrip() + "\n" for line in text.splitlines())


_LOGM_JAX = _LOGM_OF_ROOT.format(
    root=_indented(_SQRTM_JAX), one="jnp.eye(X.shape[-1], dtype=X.dtype)", library="jnp"
)
_LOGM_TORCH = _LOGM_OF_ROOT.format(
    root=_indented(_SQRTM_TORCH),
    one="torch.eye(X.shape[-1], dtype=X.dtype, device=X.device)",
    library="torch",
)
_EXPM = {"jax": "jax.scipy.linalg.expm", "torch": "torch.linalg.matrix_exp"}
_IS_COMPLEX = {"jax": "jnp.iscomplexobj(X)", "torch": "X.is_complex()"}


def _sine(backend: str) -> str:
    """By the exponentials of ±iX."""
    exp = _EXPM[backend]
    return (
        f"def sinm(X):\n    S = ({exp}(1j * X) - {exp}(-1j * X)) / 2j\n"
        f"    return S if {_IS_COMPLEX[backend]} else S.real"
    )


def _cosine(backend: str) -> str:
    exp = _EXPM[backend]
    return (
        f"def cosm(X):\n    C = ({exp}(1j * X) + {exp}(-1j * X)) / 2\n"
        f"    return C if {_IS_COMPLEX[backend]} else C.real"
    )


_BLOCKS = """\
def frechet_{name}(X, *directions):
{inner}    n = X.shape[-1]
{shortcut}    X, *directions = np.broadcast_arrays(X, *directions)
    for E in directions:
        while E.shape[-1] < X.shape[-1]:
            zero = np.zeros_like(E)
            E = np.block([[E, zero], [zero, E]])
        X = np.block([[X, E], [np.zeros_like(X), X]])
    return {call}(X)[..., :n, -n:]"""
# Al-Mohy and Higham (2009); for a small matrix, the blocks are faster than its Python.
_SHORTCUT = {
    "scipy.linalg.expm": """\
    if n > 30 and X.ndim == 2 and [E.ndim for E in directions] == [2]:
        return scipy.linalg.expm_frechet(X, *directions, compute_expm=False)
"""
}
_ALONG_JAX = """\
def frechet_{name}(X, *directions):
{inner}    dtype = jnp.result_type(X, 1.0, *directions)

    def along(f, E):
        return lambda X: jax.jvp(f, (X,), (E.astype(dtype),))[1]

    def of(X, *directions):
        f = {call}
        for E in directions:
            f = along(f, E)
        return f(X.astype(dtype))

    signature = ",".join(["(n,n)"] * (1 + len(directions))) + "->(n,n)"
    return jnp.vectorize(of, signature=signature)(X, *directions)"""

RECORDS: tuple[Function, ...] = (
    Function(
        "expm(X: n n) -> Y: n n",
        "The exponential of a matrix, the sum of X^k/k!.",
        latex=r"\operatorname{expm}({X})",
        differential="frechet(expm, X, dX)",
        commuting="Y*dX",
        array={"numpy": "scipy.linalg.expm", "torch": "linalg.matrix_exp"},
        laws=(
            "expm(X') = expm(X)'",
            "expm(-X) = inv(expm(X))",
            "det(expm(X)) = exp(tr(X))",
        ),
        keeps=f"{_ALL} spd invertible",
        analytic=_EXPM_ALONG,
        holomorphic=True,
        examples=("expm(A*t)",),
    ),
    Function(
        "logm(X: n n) -> Y: n n",
        "The principal logarithm of a matrix.",
        latex=r"\operatorname{logm}({X})",
        differential="frechet(logm, X, dX)",
        commuting="inv(X)*dX",
        array={"numpy": _LOGM, "jax": _LOGM_JAX, "torch": _LOGM_TORCH},
        laws=("expm(logm(X)) = X", "logm(X') = logm(X)'", "logm(inv(X)) = -logm(X)"),
        keeps=_ALL,
        domain="principal",
        analytic=_LOGM_ALONG,
        holomorphic=True,
        note="Complex where X has a negative eigenvalue.",
    ),
    Function(
        "sqrtm(X: n n) -> Y: n n",
        "The principal square root of a matrix, Y*Y = X.",
        latex=r"{X}^{1/2}",
        differential="frechet(sqrtm, X, dX)",
        commuting="inv(Y)*dX/2",
        array={"numpy": "scipy.linalg.sqrtm", "jax": _SQRTM_JAX, "torch": _SQRTM_TORCH},
        laws=(
            "sqrtm(X)*sqrtm(X) = X",
            "inv(sqrtm(X))*inv(sqrtm(X)) = inv(X)",
            "sqrtm(X') = sqrtm(X)'",
            "sqrtm(inv(X)) = inv(sqrtm(X))",
        ),
        keeps=f"{_ALL} spd",
        domain="principal",
        analytic=_SQRTM_ALONG,
        holomorphic=True,
        note="Complex where X has a negative eigenvalue.",
    ),
    Function(
        "sinm(X: n n) -> Y: n n",
        "The sine of a matrix, X - X^3/3! + X^5/5! and so on.",
        latex=r"\operatorname{sinm}({X})",
        differential="frechet(sinm, X, dX)",
        commuting="cosm(X)*dX",
        array={"numpy": "scipy.linalg.sinm", "jax": _sine("jax"), "torch": _sine("torch")},
        laws=("sinm(X') = sinm(X)'", "sinm(-X) = -sinm(X)", "sinm(X)^2 + cosm(X)^2 = eye(n)"),
        keeps=f"{_ALL} skew",
        analytic=_TRIGONOMETRIC_ALONG + "S",
        holomorphic=True,
    ),
    Function(
        "cosm(X: n n) -> Y: n n",
        "The cosine of a matrix, I - X^2/2! + X^4/4! and so on.",
        latex=r"\operatorname{cosm}({X})",
        differential="frechet(cosm, X, dX)",
        commuting="-sinm(X)*dX",
        array={"numpy": "scipy.linalg.cosm", "jax": _cosine("jax"), "torch": _cosine("torch")},
        laws=("cosm(X') = cosm(X)'", "cosm(-X) = cosm(X)"),
        keeps=_ALL,
        analytic=_TRIGONOMETRIC_ALONG + "C",
        holomorphic=True,
    ),
)

#: What a person may read about the word itself: its first argument is a word.
ABOUT = Function(
    "frechet(f, X: n n, E: n n) -> Y: n n",
    "The derivative of a matrix function f at X along E, linear in E.",
    latex=r"L_{{f}}({X}, {E})",
    note="f is expm, logm, sqrtm, sinm or cosm. frechet(f, X) has four axes, those of f and then "
    "those of X; frechet(f, X, E, F) is the second derivative along E and F; a number at the end "
    "leaves so many directions open.",
    examples=("frechet(expm, X, E)", "frechet(expm, X)", "frechet(expm, X, E, 1)"),
)

_BY_NAME: Mapping[str, Function] = MappingProxyType({f.name: f for f in RECORDS})


@lru_cache(maxsize=64)
def frechet(name: str, order: int) -> Function:
    """The record of the derivative of a matrix function along so many directions.

    It is linear in each of them, and does not mind their order.

    >>> frechet("expm", 1).rules
    ('frechet(expm, X, E1, dX)',)
    """
    function = _BY_NAME[name]
    words = [f"E{k}" for k in range(1, order + 1)]
    arguments = ", ".join(f"{word}: n n" for word in ("X", *words))
    given = ", ".join(("X", *words))
    shown = ", ".join("{" + word + "}" for word in ("X", *words))
    return Function(
        f"frechet_{name}({arguments}) -> Y: n n",
        f"The derivative of {name} at X along {' and '.join(words)}.",
        latex=rf"L_{{\operatorname{{{name}}}}}({shown})",
        differential=f"frechet({name}, {given}, dX)",
        linear=tuple(words),
        array={b: _blocks(name, function.code(b) or function.code("numpy"), b) for b in BACKENDS},
        keeps="symmetric",
        domain=function.domain,
        analytic=function.analytic
        if isinstance(function.analytic, bool)
        else _blocks(name, function.analytic),
        holomorphic=function.holomorphic,
    )


def of_word(record: Function) -> Function:
    """The matrix function that a derivative is of.

    >>> of_word(frechet("expm", 2)).name
    'expm'
    """
    return _BY_NAME[record.name.removeprefix("frechet_")]


def _blocks(name: str, code: str, backend: str = "numpy") -> str:
    """The program of the derivative, along many directions at once or at many matrices."""
    inner = ""
    if code.startswith("def "):
        inner = "".join(f"    {line}".rstrip() + "\n" for line in code.splitlines()) + "\n"
        code = code[4 : code.index("(")]
    elif backend == "torch":
        code = f"torch.{code}"
    if backend == "jax":
        return _ALONG_JAX.format(name=name, inner=inner, call=code)
    return _BLOCKS.format(
        name=name,
        inner=inner,
        shortcut=_SHORTCUT.get(code, ""),
        call=code,
    )
