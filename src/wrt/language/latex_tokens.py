r"""LaTeX to tokens: commands, letters, numbers and signs, every token with its place.

One letter is one token, as in TeX. What only moves or sizes a formula is left out here.
"""

from __future__ import annotations

import re
from fractions import Fraction

from wrt.errors import SyntaxMistake, TooLarge
from wrt.language.latex_words import COMMANDS, ENVIRONMENTS, GREEK_COMMANDS, IGNORED, SIZING
from wrt.language.lexer import (
    GREEK,
    MOST_CHARACTERS,
    MOST_DIGITS,
    MOST_TOKENS,
    Token,
    spelled,
)

__all__ = ["is_latex", "latex_tokens"]

_LETTER = "A-Za-z" + "".join(GREEK)
_NUMBER = r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_TOKEN = re.compile(
    rf"(?P<space>\s+|%[^\n]*|~|\$+)|(?P<raw>\\(?:text|textrm|textit|textbf|textsf|texttt|mbox"
    rf"|operatorname\*?|begin|end|label|tag|hspace|vspace)\s*\{{[^{{}}]*\}})"
    rf"|(?P<command>\\(?:[A-Za-z]+|[^A-Za-z]|$))"
    rf"|(?P<number>{_NUMBER})|(?P<letter>[{_LETTER}])|(?P<prime>['’′])"
    rf"|(?P<sign>\.\*|\./|\.\^|\|\||[-+*/=,.;:(){{}}\[\]|_^&<>!?@·⋅×−⊙∘⊘⊗‖∥ᵀ])"
)
_RAW = re.compile(r"\\([a-z]+)\*?\s*\{([^{}]*)\}")
#: Spellings of one sign.
_SAME = {"||": "‖", "∥": "‖", "−": "-", "·": "*", "⋅": "*", "×": "*", "∘": "⊙"}
_WORD = re.compile(r"\\([A-Za-z]{2,})")
_BRACES = re.compile(r"[{}$]|\\[,;:!>|\\%&_#/]|\\[\[(](?=.*\\[\])])")
#: A word of both languages that is called right behind an array: A\sin(x) solves A y = sin(x).
_SOLVED = re.compile(r"[\w)\]'’′ᵀ]\\[A-Za-z]{2,}\w*\(")
_BEFORE_SOLVE = re.compile(r"[\w)\]'’′ᵀ]\s*\\[A-Za-z]")


def is_latex(text: str) -> bool:
    r"""Whether a text is LaTeX and no sentence of the text language.

    LaTeX has braces, dollars or commands. A\b is a sentence: it solves A x = b, as A\sin(b) does.

    >>> [is_latex(t) for t in (r"x^\top A x", "W_{hh}", "$x$", "x'*A*x", r"A\sin(b)")]
    [True, True, True, False, False]
    """
    if not isinstance(text, str):
        return False
    if _BRACES.search(text):
        return True
    if "\\" not in text:
        return False
    met = (m[1] for m in _WORD.finditer(text) if not _SOLVED.match(text, max(m.start() - 1, 0)))
    if any(word in COMMANDS for word in met):
        return True
    starts = len(re.findall(r"\\[A-Za-z]", text))
    return starts > len(_BEFORE_SOLVE.findall(text))


def latex_tokens(text: str) -> list[Token]:
    r"""The tokens of LaTeX, an end token last.

    >>> [token.text for token in latex_tokens(r"\left(A + B\right)^{-1}\,\operatorname{tr} x")]
    ['(', 'A', '+', 'B', ')', '^', '{', '-', '1', '}', 'tr', 'x', '']
    """
    if len(text) > MOST_CHARACTERS:
        raise TooLarge(
            f"a text of {len(text):,} characters is refused; the limit is {MOST_CHARACTERS:,}"
        )
    found: list[Token] = []
    at, end, side = 0, len(text), ""
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unknown(text, at)
        at = match.end()
        if match.lastgroup == "space":
            continue
        made = _token(match, text)
        if made is None:
            side = {r"\left": "open", r"\right": "close"}.get(match.group(), side)
            continue
        if side:
            made, side = _sided(made, side, text), ""
        found.append(made)
        if len(found) > MOST_TOKENS:
            raise TooLarge(
                f"a text of more than {MOST_TOKENS:,} names, numbers and signs is refused"
            )
    found.append(Token("end", "", (end, end)))
    return found


def _token(match: re.Match[str], text: str) -> Token | None:
    """The token of a piece; None for what is passed over."""
    kind, piece, span = match.lastgroup, match.group(), match.span()
    if kind == "raw":
        return _raw(piece, span, text)
    if kind == "command":
        return _command(piece, span)
    if kind == "number":
        return _number(piece, span, text)
    if kind == "letter":
        return Token("letter", spelled(piece), span)
    if kind == "prime":
        return Token("'", "'", span)
    piece = _SAME.get(piece, piece)
    return Token(piece, piece, span)


def _command(piece: str, span: tuple[int, int]) -> Token | None:
    name = piece[1:]
    if name in IGNORED or name in SIZING:
        return None
    if name in GREEK_COMMANDS:
        return Token("letter", GREEK_COMMANDS[name], span)
    kind = COMMANDS.get(name, "command")
    return Token(kind, piece, span)


def _raw(piece: str, span: tuple[int, int], text: str) -> Token | None:
    """A command whose braces hold words: `\\operatorname{tr}`, `\\begin{bmatrix}`."""
    match = _RAW.fullmatch(piece)
    assert match is not None
    name, inside = match.groups()
    if name in ("label", "tag", "hspace", "vspace"):
        return None
    if name in ("begin", "end"):
        environment = inside.rstrip("*")
        if environment in ENVIRONMENTS:
            return None
        return Token(name, environment, span)
    return Token("words", "\\" + name, span, None) if not inside else _words(name, inside, span)


def _words(name: str, inside: str, span: tuple[int, int]) -> Token:
    said = " ".join(inside.replace("\\_", "_").replace("~", " ").split())
    return Token("words", said if name != "operatorname" else said.replace("\\,", ""), span)


def _number(piece: str, span: tuple[int, int], text: str) -> Token:
    mantissa, _, exponent = piece.lower().partition("e")
    large = exponent and (len(exponent) > 6 or abs(int(exponent)) > MOST_DIGITS)
    if len(mantissa) > MOST_DIGITS or large:
        raise SyntaxMistake(
            f"a number of more than {MOST_DIGITS} digits is refused", text=text, span=span
        )
    return Token("number", piece, span, Fraction(piece))


def _sided(token: Token, side: str, text: str) -> Token:
    r"""The delimiter behind \left or \right: of a bar it says on which side it stands."""
    if token.kind in ("|", "‖"):
        return Token(f"{side} {token.kind}", token.text, token.span)
    if token.kind in ("(", "[", ")", "]", "⟨", "⟩", "open |", "close |", "open ‖", "close ‖"):
        return token
    raise SyntaxMistake(
        f"{token.text or 'nothing'} is no bracket, and one stands behind "
        + (r"\left" if side == "open" else r"\right"),
        text=text,
        span=token.span,
        hint=r"as in \left( x \right) or \left\lVert x \right\rVert",
    )


def _unknown(text: str, at: int) -> SyntaxMistake:
    char = text[at]
    said = char if char.isprintable() else f"that cannot be printed ({ord(char):#06x})"
    return SyntaxMistake(
        f"the character {said} means nothing in LaTeX", text=text, span=(at, at + 1)
    )
