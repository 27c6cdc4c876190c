"""Names in LaTeX: W_hh is W_{hh}, x1 is x_{1}, x_hat is \\hat{x}, hidden is \\mathrm{hidden}."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from wrt.language.lexer import GREEK

__all__ = ["dressed", "latex_name", "spellings"]

_SPELLED = {word: "\\" + word for word in GREEK.values()}
#: Greek capitals, and omicron, that LaTeX has no command for.
_LATIN = {
    "omicron": "o",
    "Alpha": "A",
    "Beta": "B",
    "Epsilon": "E",
    "Zeta": "Z",
    "Eta": "H",
    "Iota": "I",
    "Kappa": "K",
    "Mu": "M",
    "Nu": "N",
    "Omicron": "O",
    "Rho": "P",
    "Tau": "T",
    "Chi": "X",
}
_ACCENTS = ("hat", "bar", "tilde", "dot", "ddot", "check", "breve")
_PARTS = re.compile(r"([A-Za-z]+)((?:_(?:" + "|".join(_ACCENTS) + r"))?)(_?)(\w*)")
#: The differential of a name of one letter: dx, dtheta1.
_CHANGE = re.compile(
    rf"d(?:[A-Za-z]|{'|'.join(w for w in _SPELLED if w not in _LATIN)})(?![A-Za-z])"
)


#: A state of a recurrence at a step: s[t-1].
_AT_STEP = re.compile(r"(.+)\[(\w+(?:[+-]\d+)?)\]")


def latex_name(word: str, face: str = "", apart: Collection[str] = ()) -> str:
    r"""A name in LaTeX; `apart` are letters that are indices, which a subscript must not be.

    >>> print(latex_name("s[t-1]"), latex_name("h1[t]"))
    s_{t-1} h_{1,t}

    >>> print(*map(latex_name, ("x", "Sigma", "W_hh", "x1", "beta_hat1", "hidden", "dX")))
    x \Sigma W_{hh} x_{1} \hat{\beta}_{1} \mathrm{hidden} \mathrm{d}X
    """
    at_step = _AT_STEP.fullmatch(word)
    if at_step:
        shown = latex_name(at_step[1], face, apart)
        inside = f",{at_step[2]}}}" if shown.endswith("}") and "_{" in shown else None
        return shown[:-1] + inside if inside else f"{shown}_{{{at_step[2]}}}"
    if _CHANGE.match(word):
        return r"\mathrm{d}" + latex_name(word[1:], face, apart)
    match = _PARTS.fullmatch(word)
    is_identity = match is not None and match[1] == "I" and word != "I"
    if match is None or (match[3] and not match[4]) or is_identity:
        return rf"\mathrm{{{word.replace('_', chr(92) + '_')}}}"
    stem, accent, line, rest = match.groups()
    if accent and (rest[:1].isalpha() and not line):
        accent, rest = "", accent[1:] + rest
        line = "_"
    shown = dressed(stem, face)
    if accent:
        shown = rf"\{accent[1:]}{{{shown}}}"
    return shown + _below(rest, apart)


def dressed(stem: str, face: str = "") -> str:
    """The letters of a name, bold where asked for."""
    shown = _SPELLED.get(stem, stem)
    if stem in _LATIN:
        return rf"\mathrm{{{stem}}}"
    if len(stem) > 1 and stem not in _SPELLED:
        return rf"\textbf{{{stem}}}" if face else rf"\mathrm{{{stem}}}"
    if not face:
        return shown
    return rf"\boldsymbol{{{shown}}}" if stem in _SPELLED else rf"\mathbf{{{shown}}}"


def _below(rest: str, apart: Collection[str]) -> str:
    if not rest:
        return ""
    if rest in _SPELLED and rest not in _LATIN:
        return rf"_{{{_SPELLED[rest]}}}"
    said = rest.replace("_", r"\_")
    letters = [c for c in rest if c.isalpha()]
    word = len(letters) > 2 or (letters and all(c in apart for c in letters)) or "_" in rest
    return rf"_{{\mathrm{{{said}}}}}" if word else f"_{{{said}}}"


def spellings(words: Iterable[tuple[str, str]], apart: Collection[str] = ()) -> dict[str, str]:
    """Names with their faces in LaTeX, no two alike: beside x1, x_1 is spelled out."""
    found: dict[str, str] = {}
    for word, face in words:
        shown = latex_name(word, face, apart)
        if shown in found.values():
            shown = rf"\mathrm{{{word.replace('_', chr(92) + '_')}}}"
        found[word] = shown
    return found
