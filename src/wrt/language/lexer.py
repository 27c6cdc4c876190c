"""Text to tokens: names in one spelling, exact numbers, operators, every token with its place."""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType

from wrt.errors import Mistake, SyntaxMistake, TooLarge
from wrt.expression.dataclass import dataclass
from wrt.language.operators import OPERATORS, SUPERSCRIPTS
from wrt.language.syntax import Span

__all__ = ["GREEK", "MOST_CHARACTERS", "MOST_TOKENS", "Token", "letter_class", "spelled", "tokens"]

#: Longer texts are refused: nobody typed them.
MOST_CHARACTERS = 100_000
#: So are texts of more tokens than this.
MOST_TOKENS = 30_000
#: Digits of one number.
MOST_DIGITS = 300

_SMALL = [
    "α",
    "alpha",
    "β",
    "beta",
    "γ",
    "gamma",
    "δ",
    "delta",
    "ε",
    "epsilon",
    "ζ",
    "zeta",
    "η",
    "eta",
    "θ",
    "theta",
    "ι",
    "iota",
    "κ",
    "kappa",
    "λ",
    "lambda",
    "μ",
    "mu",
    "ν",
    "nu",
    "ξ",
    "xi",
    "ο",
    "omicron",
    "π",
    "pi",
    "ρ",
    "rho",
    "σ",
    "sigma",
    "τ",
    "tau",
    "υ",
    "upsilon",
    "φ",
    "phi",
    "χ",
    "chi",
    "ψ",
    "psi",
    "ω",
    "omega",
]
_VARIANTS = {"ϵ": "epsilon", "ϕ": "phi", "ϑ": "theta", "ς": "sigma", "µ": "mu", "ϱ": "rho"}

#: Greek letters and how each is spelled.
GREEK = MappingProxyType(
    dict(zip(_SMALL[::2], _SMALL[1::2], strict=True))
    | {c.upper(): w.capitalize() for c, w in zip(_SMALL[::2], _SMALL[1::2], strict=True)}
    | _VARIANTS
)
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_SPELLING = str.maketrans(dict(GREEK) | _SUBSCRIPTS)
_GREEK_WORDS = frozenset(GREEK.values())
_LETTERS = re.compile("[A-Za-z]*")


@dataclass(frozen=True)
class Token:
    """A piece of the text: kind is name, number, words, line, end, or the operator itself."""

    kind: str
    text: str
    span: Span
    value: Fraction | None = None


def _operator_pattern() -> str:
    spellings = {s for o in OPERATORS for s in o.spellings if s[0] not in "^" or len(s) == 1}
    others = {"(", ")", "[", "]", ",", ";", ":", "=", "->", "→", "‖", "∥", "||", "⊤"}
    ordered = sorted(spellings | others, key=lambda s: (-len(s), s))
    return "|".join(re.escape(s) for s in ordered)


_LETTER = "A-Za-z" + "".join(GREEK)
_NAME = f"[{_LETTER}][{_LETTER}0-9_{''.join(_SUBSCRIPTS)}]*"
_NUMBER = r"(?:[0-9]+(?:\.(?![*/^\\'])[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_TOKEN = re.compile(
    rf"(?P<space>[^\S\n]+)|(?P<line>\n)|(?P<number>{_NUMBER})|(?P<name>{_NAME})"
    rf"|(?P<super>[{''.join(SUPERSCRIPTS)}]+)|(?P<words>\"[^\"\n]*\"|(?<=\()'[^'\n]*')"
    rf"|(?P<operator>{_operator_pattern()})"
)

#: One spelling for operators that are written in several ways and are no entry of the table.
_SAME = {"∥": "‖", "||": "‖", "→": "->"}

_HINTS = {
    "|": "abs(x), norm2(x) or ‖x‖, det(X)",
    "√": "sqrt(x)",
    "∂": "a formula stands here; name the variable of the derivative after it",
    "∇": "a formula stands here; name the variable of the derivative after it",
    "∑": "sum(k, 1, n, …)",
    "∏": "prod(k, 1, n, …)",
    "{": "round brackets, as in 2*(x+y)",
    "}": "round brackets, as in 2*(x+y)",
    ".": "entry by entry is .* ./ .^",
    "<": "step(x), which is 1 where x > 0; relu(x); max(x, y)",
    ">": "step(x), which is 1 where x > 0; relu(x); max(x, y)",
    "!": "the words of the language are listed by `wrt functions`",
    '"': 'a quoted text ends with the same mark, as in einsum("ij,j->i", A, x)',
}


def spelled(name: str) -> str:
    """A name in its one spelling, Greek letters as words and subscripts as digits.

    >>> spelled("Σ"), spelled("x₁"), spelled("lambda")
    ('Sigma', 'x1', 'lambda')
    """
    return name if name.isascii() else name.translate(_SPELLING)


@lru_cache(maxsize=4096)
def letter_class(name: str) -> str:
    """What a name is by its letter: "matrix", "vector" or "scalar".

    >>> [letter_class(name) for name in ("W", "Sigma", "x1", "hidden", "a", "rho", "λ")]
    ['matrix', 'matrix', 'vector', 'vector', 'scalar', 'scalar', 'scalar']
    """
    first = name[0]
    if first.isupper():
        return "matrix"
    if not first.isascii() or _LETTERS.match(name)[0] in _GREEK_WORDS:  # type: ignore[index]
        return "scalar"
    return "vector" if first == "h" or "o" <= first <= "z" else "scalar"


def tokens(text: str) -> list[Token]:
    """The tokens of a text, an end token last.

    >>> [token.text for token in tokens("2.*Σ'x²")]
    ['2', '.*', 'Sigma', "'", 'x', '^', '2', '']
    """
    if len(text) > MOST_CHARACTERS:
        raise TooLarge(
            f"a text of {len(text):,} characters is refused; the limit is {MOST_CHARACTERS:,}"
        )
    found: list[Token] = []
    at, end = 0, len(text)
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            at = _stray(text, at, found)
            continue
        if match.lastgroup != "space":
            _take(match, text, found)
        at = match.end()
        if len(found) > MOST_TOKENS:
            raise TooLarge(
                f"a text of more than {MOST_TOKENS:,} names, numbers and signs is refused"
            )
    found.append(Token("end", "", (end, end)))
    return found


def _take(match: re.Match[str], text: str, found: list[Token]) -> None:
    kind, piece, span = match.lastgroup, match.group(), match.span()
    if kind == "number":
        found.append(_number(piece, span, text))
    elif kind == "name":
        found.append(_name(spelled(piece), span, found))
    elif kind == "super":
        found.extend(_superscript(piece, span, text))
    elif kind == "words":
        found.append(Token("words", piece[1:-1], span))
    elif kind == "line":
        found.append(Token("line", "\n", span))
    else:
        piece = _SAME.get(piece, piece)
        found.append(Token(piece, piece, span))


def _name(name: str, span: Span, found: list[Token]) -> Token:
    """A name; an i that touches a number makes it imaginary."""
    if name == "i" and found and found[-1].kind == "number" and found[-1].span[1] == span[0]:
        number = found.pop()
        return Token("imaginary", number.text + "i", (number.span[0], span[1]), number.value)
    return Token("name", name, span)


def _number(piece: str, span: Span, text: str) -> Token:
    mantissa, _, exponent = piece.lower().partition("e")
    if len(mantissa) > MOST_DIGITS or (exponent and abs(_whole(exponent)) > MOST_DIGITS):
        raise SyntaxMistake(
            f"a number of more than {MOST_DIGITS} digits is refused", text=text, span=span
        )
    return Token("number", piece, span, Fraction(piece.rstrip(".") if not exponent else piece))


def _whole(digits: str) -> int:
    return int(digits) if len(digits) < 10 else MOST_DIGITS + 1


def _superscript(piece: str, span: Span, text: str) -> list[Token]:
    """x² is x^2 and X⁻¹ is X^-1."""
    plain = "".join(SUPERSCRIPTS[c] for c in piece)
    sign, digits = (plain[0], plain[1:]) if plain[0] in "+-" else ("", plain)
    if not digits.isdecimal() or len(digits) > MOST_DIGITS:
        raise SyntaxMistake(f"{piece} is not a power", text=text, span=span, hint="perhaps x^2")
    signs = [Token("-", "-", span)] if sign == "-" else []
    return [Token("^", "^", span), *signs, Token("number", digits, span, Fraction(int(digits)))]


def _stray(text: str, at: int, found: list[Token]) -> int:
    """A character of no token: a styled letter is read as the plain one, any other is refused."""
    char = text[at]
    plain = unicodedata.normalize("NFKC", char)
    if plain != char and len(plain) == 1 and re.fullmatch(f"[{_LETTER}0-9]", plain):
        match = _TOKEN.match(plain)
        assert match is not None
        token = Token("name", spelled(plain), (at, at + 1))
        found.append(token if plain.isalpha() else _number(plain, (at, at + 1), text))
        return at + 1
    raise _unknown(text, at)


def _unknown(text: str, at: int) -> Mistake:
    char = text[at]
    if char.isprintable():
        message = f"the character {char} means nothing here"
    else:
        message = f"a character that cannot be printed ({ord(char):#06x}) means nothing here"
    hint = _HINTS.get(char)
    if char == ".":
        from wrt.language.foreign import after_a_dot

        hint = after_a_dot(text, at) or hint
    return SyntaxMistake(
        message, text=text, span=(at, at + 1), hint=f"perhaps {hint}" if hint else None
    )
