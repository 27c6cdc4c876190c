"""Text of the language as people like to see it: `D[i,a,b] = δ[i,a] x[b]`, `I ⊗ xᵀ`."""

from __future__ import annotations

import re

__all__ = ["typeset"]

_SUPER = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_EYE = re.compile(r"\beye\(([^()]*)\)")
_POWER = re.compile(r"(?<!\.)\^(\d+)(?![\d.eE])")
_TIMES = re.compile(r"(?<=[\w\])'ᵀ⁰¹²³⁴⁵⁶⁷⁸⁹])\*(?=[\w(δ])")
_QUOTED = re.compile(r"\('([^'\n]*)'")
_PRIME = re.compile(r"'(?!['(])")


def typeset(text: str) -> str:
    """A text for reading: products by juxtaposition, ᵀ for the transpose, ⊙ for entry by entry.

    >>> typeset("2*A'*(A*x-b)"), typeset("eye(n) ⊗ x'"), typeset("x.^2.*y")
    ('2 Aᵀ (A x - b)', 'I ⊗ xᵀ', 'x.^2 ⊙ y')
    >>> typeset("einsum('ij,j->i',A,x)")
    'einsum("ij,j->i",A,x)'
    """
    alone = _EYE.fullmatch(text.strip()) is not None
    if not alone:
        text = _EYE.sub("I", text)
    text = re.sub(r"(?<=[\w\])'])([+-])(?=[\w(δ])", r" \1 ", text) if "[" not in text else text
    text = _PRIME.sub("ᵀ", _QUOTED.sub(r'("\1"', text))
    text = _POWER.sub(lambda m: m[1].translate(_SUPER), text)
    text = text.replace(".*", " ⊙ ").replace("./", " ⊘ ")
    return _TIMES.sub(" ", text)
