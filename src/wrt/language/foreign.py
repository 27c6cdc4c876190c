"""Words of other languages, and how what they mean is said here."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["FOREIGN", "LIBRARIES", "after_a_dot", "said_here"]

_ALONE = "a formula stands alone; the names given with it say by what"

#: A word of NumPy, MATLAB, JAX or PyTorch that has another name here, or needs none.
FOREIGN: Mapping[str, str] = {
    "absolute": "abs(x)",
    "clip": "min(max(x, a), b)",
    "clamp": "min(max(x, a), b)",
    "concat": "[x; y], or [A, B] side by side",
    "concatenate": "[x; y], or [A, B] side by side",
    "ctranspose": "X^H",
    "cumsum": "tril(ones(n,n))*x",
    "diff": _ALONE,
    "divide": "x./y",
    "eig": "eigvals(A) and eigvecs(A), of a symmetric matrix",
    "eigh": "eigvals(A) and eigvecs(A), of a symmetric matrix",
    "fro": "norm2(X)",
    "frobenius": "norm2(X)",
    "grad": _ALONE,
    "gradient": _ALONE,
    "hadamard": "x.*y",
    "hessian": "a formula stands alone; a name given twice makes the second derivative",
    "hstack": "[A, B]",
    "identity": "eye(n)",
    "inner": "x'*y",
    "jacobian": _ALONE,
    "matmul": "A*B",
    "mm": "A*B",
    "multiply": "x.*y",
    "mv": "A*x",
    "norm": "norm2(x), which of a matrix is Frobenius', norm1(x), norminf(x) or normspec(X)",
    "nuclear": "normnuc(X)",
    "ravel": "vec(X'), row after row",
    "reciprocal": "1./x",
    "reshape": "vec(X), one column below the other",
    "sq": "x.^2",
    "square": "x.^2",
    "stack": "[x, y]",
    "subtract": "x - y",
    "sumsq": "norm2(x)^2",
    "sumsqr": "norm2(x)^2",
    "svd": "svdvals(X), svdleft(X) and svdright(X)",
    "vdot": "x'*y",
    "vstack": "[A; B]",
    "where": "step(x), which is 1 where x > 0, times the one, (1-step(x)) times the other",
}

#: Before their dot stand words that stand alone here.
LIBRARIES = frozenset({"np", "numpy", "jnp", "jax", "torch", "tf", "math", "scipy", "F", "nn"})

_WORD_AFTER = re.compile(r"\.((?:\w+\.)*)([^\W\d]\w*)(\(?)(\)?)")
_WORD_BEFORE = re.compile(r"[^\W\d]\w*$")


def said_here(word: str) -> str | None:
    """What a word of another language is here, as a hint.

    >>> said_here("inner"), said_here("grad")
    ("here that is x'*y", 'a formula stands alone; the names given with it say by what')
    """
    here = FOREIGN.get(word)
    return here if here is None or here.startswith("a formula") else f"here that is {here}"


def after_a_dot(text: str, at: int) -> str | None:
    """What a dot between names would be here.

    >>> after_a_dot("X.T", 1), after_a_dot("np.linalg.inv(X)", 2), after_a_dot("x.sum()", 1)
    ("X' is the transpose", 'inv without np.linalg.', 'sum(x)')
    """
    if text.startswith(".'", at):
        return "X' is the transpose"
    after, before = _WORD_AFTER.match(text, at), _WORD_BEFORE.search(text, 0, at)
    if after is None:
        return None
    inner, word, called, empty = after.groups()
    if before and before[0] in LIBRARIES:
        return FOREIGN.get(word) or f"{word} without {before[0]}.{inner}"
    if word in ("T", "H", "mT", "mH"):
        return "X' is the transpose" if word[-1] == "T" else "X^H is the conjugate transpose"
    if not called or inner:
        return None
    return FOREIGN.get(word) or f"{word}({before[0] if before else '…'}{'' if empty else ', …'})"
