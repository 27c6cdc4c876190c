"""Sums, means, extremes and norms: many entries to one, over all axes or along one.

An argument `x: ...` has any number of axes; its array comes with them laid out as one last axis.
`x.^0` is all ones, so `sum(x.^0)` counts the entries.
"""

from __future__ import annotations

from wrt.expression.function import Function

__all__ = ["RECORDS", "SOFTMAXES"]

_LOGSUMEXP = """\
def logsumexp(x):
    top = x.max(axis=-1, keepdims=True)
    return top[..., 0] + np.log(np.exp(x - top).sum(axis=-1))"""


_SOFTMAXES = """\
def softmaxes(x):
    top = {0}
    x = x - top
    e = {1}.exp(x)
    total = {2}
    shift = {1}.log(total)
    return e / total, x - shift, (top + shift)[..., 0]"""


def _softmaxes(library: str, axis: str, keeps: str) -> str:
    top = f"{'torch.amax' if library == 'torch' else library + '.max'}(x, {axis}=-1, {keeps}=True)"
    return _SOFTMAXES.format(top, library, f"{library}.sum(e, {axis}=-1, {keeps}=True)")


#: What softmax, logsoftmax and logsumexp have in common: programs with several compute it once.
SOFTMAXES = Function(
    "softmaxes(x: n) -> p: n, q: n, l",
    "The softmax of a vector, its logarithm, and the logarithm of the sum of the exponentials.",
    array={
        "numpy": _softmaxes("np", "axis", "keepdims"),
        "jax": _softmaxes("jnp", "axis", "keepdims"),
        "torch": _softmaxes("torch", "dim", "keepdim"),
    },
    analytic=False,
)

_HARDMAX = """\
def hardmax(x):
    top = np.ones_like(x) * (x == np.max(x, axis=-1, keepdims=True))
    return top / np.sum(top, axis=-1, keepdims=True)"""


#: squares of floats beyond 1e154, or below 1e-162, are no floats: then entries are scaled first
_NORM2 = """\
def norm2(x):
    square = np.vdot(x, x) if x.ndim == 1 else np.einsum('...i,...i->...', x, x.conj())
    if np.all((square.real > 1e-30) & (square.real < np.inf)):
        return np.sqrt(square.real)
    x = np.abs(x)
    top = np.max(x, axis=-1, keepdims=True, initial=0)
    top = np.where((top > 0) & (top < np.inf), top, 1)
    return top[..., 0] * np.sqrt(np.sum((x / top) ** 2, axis=-1))"""
_NORM2_JAX = """\
def norm2(x):
    def scaled(x):
        top = jnp.max(jnp.abs(x), axis=-1, keepdims=True, initial=0)
        top = jax.lax.stop_gradient(jnp.where((top > 0) & (top < jnp.inf), top, 1))
        return top[..., 0] * jnp.linalg.norm(x / top, axis=-1)

    square = jnp.sum((x * x.conj()).real, axis=-1)
    fine = (square > 1e-30) & (square < jnp.inf)
    root = jnp.sqrt(jnp.where(fine, square, 1))
    return jax.lax.cond(jnp.all(fine), lambda x: root, scaled, x)"""
_NORM2_TORCH = """\
def norm2(x):
    if not x.shape[-1]:
        return torch.sum(x, dim=-1)
    top = torch.linalg.vector_norm(x.detach(), torch.inf, dim=-1, keepdim=True)
    top = torch.where((top > 0) & (top < torch.inf), top, 1)
    return top[..., 0] * torch.linalg.vector_norm(x / top, dim=-1)"""


def _along(name: str, body: str) -> str:
    return f"def {name}(x):\n    return {body}"


def _picked(name: str, which: str) -> str:
    """The entry whose real part is extreme, for complex steps."""
    return (
        f"def {name}(x):\n"
        f"    place = np.{which}(x.real, axis=-1)[..., None]\n"
        "    return np.take_along_axis(x, place, axis=-1)[..., 0]"
    )


RECORDS: tuple[Function, ...] = (
    Function(
        "sum(x: ...) -> y",
        "The sum of all entries.",
        latex=r"\operatorname{sum}({x})",
        einsum="...->",
        axis="reduce",
        examples=("sum(X)", "sum(X,1)", "sum(X,2)"),
    ),
    Function(
        "mean(x: ...) -> y",
        "The sum of all entries divided by how many there are.",
        latex=r"\operatorname{mean}({x})",
        definition="sum(x)/sum(x.^0)",
        array=_along("mean", "np.mean(x, axis=-1)"),
        keeps="positive",
        curve="affine increasing",
        axis="reduce",
    ),
    Function(
        "var(x: ...) -> y",
        "The variance: the mean squared distance from the mean, divided by the number of entries.",
        latex=r"\operatorname{var}({x})",
        definition="mean((x-mean(x)).^2)",
        array=_along("var", "np.var(x, axis=-1)"),
        analytic=_along("var", "np.mean((x - np.mean(x, axis=-1)[..., None]) ** 2, axis=-1)"),
        complex_definition="mean(abs(x-mean(x)).^2)",
        values="[0, inf)",
        curve="convex",
        axis="reduce",
    ),
    Function(
        "std(x: ...) -> y",
        "The standard deviation: the square root of the variance.",
        latex=r"\operatorname{std}({x})",
        definition="var(x)^(1/2)",
        array=_along("std", "np.std(x, axis=-1)"),
        analytic=_along(
            "std", "np.mean((x - np.mean(x, axis=-1)[..., None]) ** 2, axis=-1) ** 0.5"
        ),
        complex_definition="var(x)^(1/2)",
        domain="varied",
        values="[0, inf)",
        curve="convex",
        axis="reduce",
    ),
    Function(
        "prod(x: ...) -> y",
        "The product of all entries.",
        latex=r"\operatorname{prod}({x})",
        differential="y*sum(dx./x)",
        array=_along("product", "np.prod(x, axis=-1)"),
        keeps="positive",
        domain="nonzero",
        axis="reduce",
    ),
    Function(
        "max(x: ...) -> y",
        "The largest entry.",
        latex=r"\max({x})",
        differential="sum(hardmax(x).*dx)",
        array=_along("largest", "np.max(x, axis=-1)"),
        keeps="positive",
        domain="distinct",
        analytic=_picked("largest", "argmax"),
        curve="convex increasing",
        axis="reduce",
        note="max(x, y) of two arrays is entry by entry. At a tie the largest share alike.",
    ),
    Function(
        "min(x: ...) -> y",
        "The smallest entry.",
        latex=r"\min({x})",
        differential="sum(hardmax(-x).*dx)",
        array=_along("smallest", "np.min(x, axis=-1)"),
        laws=("-max(-x) = min(x)",),
        keeps="positive",
        domain="lowest",
        analytic=_picked("smallest", "argmin"),
        curve="concave increasing",
        axis="reduce",
        note="min(x, y) of two arrays is entry by entry. At a tie the smallest share alike.",
    ),
    Function(
        "hardmax(x: ...) -> y: ...",
        "1 at the largest entry, 0 at all others: what softmax(c*x) becomes for large c.",
        latex=r"\operatorname{hardmax}({x})",
        differential="0*dx",
        array=_HARDMAX,
        laws=("sum(hardmax(x)) = 1", "sum(hardmax(x).*x) = max(x)"),
        domain="distinct",
        analytic=_HARDMAX.replace("    top", "    x = x.real\n    top", 1),
        values="[0, 1]",
        axis="map",
        note="At a tie the largest share alike.",
    ),
    Function(
        "logsumexp(x: ...) -> y",
        "The logarithm of the sum of the exponentials of all entries.",
        latex=r"\operatorname{logsumexp}({x})",
        differential="sum(exp(x-y).*dx)",
        array={
            "numpy": _LOGSUMEXP,
            "jax": _along("logsumexp", "jax.nn.logsumexp(x, -1)"),
            "torch": _along("logsumexp", "torch.logsumexp(x, -1)"),
        },
        laws=("log(sum(exp(x))) = logsumexp(x)",),
        analytic=_LOGSUMEXP.replace("x.max(", "x.real.max("),
        holomorphic=True,
        joint=(SOFTMAXES, 2),
        curve="convex increasing",
        axis="reduce",
    ),
    Function(
        "norm1(x: ...) -> y",
        "The sum of the absolute values of all entries.",
        latex=r"\lVert {x} \rVert_1",
        definition="sum(abs(x))",
        array=_along("norm1", "np.sum(np.abs(x), axis=-1)"),
        keeps="positive",
        domain="nonzero",
        analytic=_along("norm1", "np.sum(np.where(x.real < 0, -x, x), axis=-1)"),
        complex_definition="sum(abs(x))",
        values="[0, inf)",
        curve="convex increasing from 0",
    ),
    Function(
        "norm2(x: ...) -> y",
        "The Euclidean norm, of a matrix the Frobenius norm.",
        latex=r"\lVert {x} \rVert",
        definition="sum(x.^2)^(1/2)",
        array={"numpy": _NORM2, "jax": _NORM2_JAX, "torch": _NORM2_TORCH},
        keeps="positive",
        domain="nonzero",
        analytic=_along("norm2", "np.sum(x * x, axis=-1) ** 0.5"),
        complex_definition="sum(x.*conj(x))^(1/2)",
        values="[0, inf)",
        curve="convex increasing from 0",
    ),
    Function(
        "norminf(x: ...) -> y",
        "The largest absolute value of all entries.",
        latex=r"\lVert {x} \rVert_\infty",
        definition="max(abs(x))",
        array=_along("norminf", "np.max(np.abs(x), axis=-1)"),
        keeps="positive",
        domain="nonzero",
        analytic=(
            "def norminf(x):\n"
            "    x = np.where(x.real < 0, -x, x)\n"
            "    place = np.argmax(x.real, axis=-1)[..., None]\n"
            "    return np.take_along_axis(x, place, axis=-1)[..., 0]"
        ),
        complex_definition="max(abs(x))",
        values="[0, inf)",
        curve="convex increasing from 0",
    ),
)
