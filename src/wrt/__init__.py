"""wrt: the derivative of any scalar, vector, matrix or tensor with respect to any other.

>>> import wrt
>>> D = wrt.derivative("tanh(W*s + U*x + b)", "s")
>>> D.shape, D.matrix
(('n', 'm'), 'diag(1-tanh(W*s+U*x+b).^2)*W')

Text is read as mathematics (`A*x`, `x'`); formulas built in Python follow NumPy (`A @ x`, `x.T`).
Every word of the language is here as well: `wrt.tanh(x)`, `wrt.inv(X)`.
"""

from __future__ import annotations

from wrt import errors

TYPE_CHECKING = False  # as type checkers read it: `typing` is most of what an import would cost
if TYPE_CHECKING:
    from typing import Any

    from wrt.answers import Check, Derivative, derivative
    from wrt.answers.claims import Verdict
    from wrt.answers.handwritten import GradientCheck, check_gradient
    from wrt.answers.public import fill, matrix, read, scalar, tensor, vector
    from wrt.answers.sequences import Recurrence, recurrence
    from wrt.answers.several import gradients
    from wrt.expression.function import Function

__all__ = [
    "Check",
    "Derivative",
    "Function",
    "GradientCheck",
    "Recurrence",
    "Verdict",
    "check_gradient",
    "derivative",
    "errors",
    "fill",
    "gradients",
    "matrix",
    "read",
    "recurrence",
    "scalar",
    "tensor",
    "vector",
]

__version__ = "0.1.0"

_HOMES = {
    "Check": "wrt.answers",
    "Derivative": "wrt.answers",
    "Function": "wrt.expression.function",
    "GradientCheck": "wrt.answers.handwritten",
    "Recurrence": "wrt.answers.sequences",
    "Verdict": "wrt.answers.claims",
    "check_gradient": "wrt.answers.handwritten",
    "derivative": "wrt.answers",
    "fill": "wrt.answers.public",
    "frechet": "wrt.answers.public",
    "gradients": "wrt.answers.several",
    "matrix": "wrt.answers.public",
    "read": "wrt.answers.public",
    "recurrence": "wrt.answers.sequences",
    "scalar": "wrt.answers.public",
    "tensor": "wrt.answers.public",
    "vector": "wrt.answers.public",
}

_ROOMS = frozenset(
    "algebra answers apps calculus expression functions language notation pictures programs".split()
)


def __getattr__(name: str) -> Any:
    """Public names and the words of the book, loaded when they are first used."""
    from importlib import import_module

    if name in _ROOMS:
        return import_module(f"wrt.{name}")
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    if name.startswith("_"):
        raise AttributeError(f"module 'wrt' has no attribute {name!r}")
    from wrt.functions import BOOK

    if name in BOOK:
        globals()[name] = word = BOOK[name]
        return word
    from difflib import get_close_matches

    if name in errors.__all__:
        raise AttributeError(f"wrt has no {name!r}; it is wrt.errors.{name}")
    near = get_close_matches(name, [*__all__, *BOOK], n=3)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    raise AttributeError(f"wrt has no name or function {name!r}{hint}")


def __dir__() -> list[str]:
    from wrt.functions import BOOK

    return sorted({*__all__, *BOOK})
