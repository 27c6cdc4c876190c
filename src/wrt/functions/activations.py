"""The nonlinearities of neural networks, each stable for large arguments of either sign."""

from __future__ import annotations

from wrt.expression.function import Function
from wrt.functions.elementwise import ANY, ZERO
from wrt.functions.reductions import SOFTMAXES

__all__ = ["RECORDS"]

#: exp is finite up to 709
_SIGMOID = """\
def sigmoid(x):
    return 1 / (1 + np.exp(np.minimum(-x, 709)))"""
_SIGMOID_ALONG = """\
def sigmoid_along(x):
    e = np.exp(np.where(x.real < 0, x, -x))
    return np.where(x.real < 0, e, 1) / (1 + e)"""
_SILU = """\
def silu(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e * x, x) / (1 + e)"""
_SILU_ALONG = """\
def silu_along(x):
    e = np.exp(np.where(x.real < 0, x, -x))
    return np.where(x.real < 0, e * x, x) / (1 + e)"""
_SOFTPLUS_ALONG = """\
def softplus_along(x):
    e = np.exp(np.where(x.real < 0, x, -x))
    return np.where(x.real < 0, 0, x) + np.log1p(e)"""
_LOGADDEXP_ALONG = """\
def logaddexp_along(x, y):
    top = np.where(x.real < y.real, y, x)
    return top + np.log(np.exp(x - top) + np.exp(y - top))"""
_SOFTMAX = """\
def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    e /= e.sum(axis=-1, keepdims=True)
    return e"""
_LOGSOFTMAX = """\
def logsoftmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))"""
_SOFTMAX_TORCH = """\
def softmax(x):
    e = torch.exp(x - torch.amax(x.real, dim=-1, keepdim=True))
    return e / torch.sum(e, dim=-1, keepdim=True)"""
_LOGSOFTMAX_TORCH = """\
def logsoftmax(x):
    x = x - torch.amax(x.real, dim=-1, keepdim=True)
    return x - torch.log(torch.sum(torch.exp(x), dim=-1, keepdim=True))"""

RECORDS: tuple[Function, ...] = (
    Function(
        "relu(x) -> y",
        "The positive part: x for positive x, 0 for any other.",
        latex=r"\operatorname{relu}({x})",
        differential="step(x)*dx",
        array={
            "numpy": "def relu(x):\n    return np.maximum(x, 0)",
            "jax": "jax.nn.relu",
            "torch": "relu",
        },
        laws=(
            "relu(relu(x)) = relu(x)",
            "relu(x)*step(x) = relu(x)",
            "maximum(x, 0) = relu(x)",
            "maximum(0, x) = relu(x)",
            "minimum(x, 0) = -relu(-x)",
            "minimum(0, x) = -relu(-x)",
        ),
        keeps=f"{ZERO} positive",
        domain="nonzero",
        analytic="def relu_along(x):\n    return np.where(x.real > 0, x, 0)",
        values="[0, inf)",
        curve="convex increasing",
        examples=("relu(W*x + b)",),
    ),
    Function(
        "sigmoid(x) -> y",
        "The logistic function, 1/(1 + exp(-x)).",
        latex=r"\sigma({x})",
        differential="y*(1-y)*dx",
        array={"numpy": _SIGMOID, "jax": "jax.nn.sigmoid", "torch": "sigmoid"},
        laws=(
            "sigmoid(-x) = 1 - sigmoid(x)",
            "sigmoid(0) = 1/2",
            "1/(1+exp(-x)) = sigmoid(x)",
            "exp(x)/(1+exp(x)) = sigmoid(x)",
            "exp(x)*sigmoid(-x) = sigmoid(x)",
            "log(sigmoid(x)) = -softplus(-x)",
        ),
        keeps=f"{ANY} positive",
        analytic=_SIGMOID_ALONG,
        holomorphic=True,
        aliases=("logistic",),
        values="(0, 1)",
        examples=("sigmoid(W*x + b)",),
    ),
    Function(
        "softplus(x) -> y",
        "The logarithm of 1 + exp(x).",
        latex=r"\operatorname{softplus}({x})",
        differential="sigmoid(x)*dx",
        array={
            "numpy": "def softplus(x):\n    return np.logaddexp(0, x)",
            "jax": "jax.nn.softplus",
            "torch": "def softplus(x):\n    return torch.logaddexp(x, torch.zeros_like(x))",
        },
        laws=(
            "log(1+exp(x)) = softplus(x)",
            "log1p(exp(x)) = softplus(x)",
            "softplus(x) - softplus(-x) = x",
        ),
        keeps=f"{ANY} positive",
        analytic=_SOFTPLUS_ALONG,
        holomorphic=True,
        values="(0, inf)",
        curve="convex increasing",
    ),
    Function(
        "logaddexp(x, y) -> z",
        "The logarithm of exp(x) + exp(y).",
        latex=r"\operatorname{logaddexp}({x}, {y})",
        differential="sigmoid(x-y)*dx + sigmoid(y-x)*dy",
        array="logaddexp",
        laws=(
            "log(exp(x)+exp(y)) = logaddexp(x, y)",
            "exp(x)/(exp(x)+exp(y)) = sigmoid(x-y)",
            "logaddexp(x, y) = logaddexp(y, x)",
        ),
        analytic=_LOGADDEXP_ALONG,
        holomorphic=True,
        curve="convex increasing",
        examples=("logaddexp(A*x, y)",),
    ),
    Function(
        "gelu(x) -> y",
        "x times the normal distribution function at x, exact (by erf).",
        latex=r"\operatorname{gelu}({x})",
        differential="(erfc(-x/sqrt(2))/2 + x*exp(-x^2/2)/sqrt(2*pi))*dx",
        array="def gelu(x):\n    return x * scipy.special.erfc(-x / 2**0.5) / 2",
        laws=("gelu(0) = 0", "gelu(x) - gelu(-x) = x"),
        keeps=f"{ZERO} positive",
    ),
    Function(
        "silu(x) -> y",
        "x times sigmoid(x), also called swish.",
        latex=r"\operatorname{silu}({x})",
        definition="x*sigmoid(x)",
        array={
            "numpy": _SILU,
            "jax": "jax.nn.silu",
            "torch": "def silu(x):\n    return x * torch.sigmoid(x)",
        },
        laws=("silu(x) - silu(-x) = x",),
        keeps=f"{ZERO} positive",
        analytic=_SILU_ALONG,
        holomorphic=True,
        aliases=("swish",),
    ),
    Function(
        "softmax(x: n) -> y: n",
        "The exponentials divided by their sum: positive entries that sum to 1.",
        latex=r"\operatorname{softmax}({x})",
        differential="y.*dx - y*(y'*dx)",
        array={"numpy": _SOFTMAX, "jax": "jax.nn.softmax", "torch": _SOFTMAX_TORCH},
        laws=(
            "sum(softmax(x)) = 1",
            "log(softmax(x)) = logsoftmax(x)",
            "exp(x)/sum(exp(x)) = softmax(x)",
            "exp(x - logsumexp(x)) = softmax(x)",
        ),
        keeps="positive",
        analytic=_SOFTMAX.replace("x.max(", "x.real.max("),
        holomorphic=True,
        joint=(SOFTMAXES, 0),
        values="(0, 1]",
        axis="map",
        examples=("softmax(W*x)", "softmax(X,2)"),
    ),
    Function(
        "logsoftmax(x: n) -> y: n",
        "The logarithm of softmax.",
        aliases=("log_softmax",),
        latex=r"\operatorname{logsoftmax}({x})",
        differential="dx - exp(y)'*dx",
        array={"numpy": _LOGSOFTMAX, "jax": "jax.nn.log_softmax", "torch": _LOGSOFTMAX_TORCH},
        laws=(
            "exp(logsoftmax(x)) = softmax(x)",
            "x - logsumexp(x) = logsoftmax(x)",
            "softmax(logsoftmax(x)) = softmax(x)",
            "logsoftmax(logsoftmax(x)) = logsoftmax(x)",
            "logsumexp(logsoftmax(x)) = 0",
        ),
        analytic=_LOGSOFTMAX.replace("x.max(", "x.real.max("),
        holomorphic=True,
        joint=(SOFTMAXES, 1),
        values="(-inf, 0]",
        curve="concave",
        axis="map",
    ),
)
