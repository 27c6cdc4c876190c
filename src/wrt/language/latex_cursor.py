"""A place in the tokens of LaTeX, and what is refused there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from wrt.errors import NameMistake, SyntaxMistake
from wrt.language.latex_words import COMMANDS, REFUSED
from wrt.language.lexer import Token
from wrt.language.mistakes import did_you_mean
from wrt.language.syntax import Doubt, Line, Span, Syntax
from wrt.language.words import all_words

__all__ = ["CLOSERS", "Cursor", "end_after", "is_raised", "shown"]

CLOSERS = {"(": ")", "[": "]", "⟨": "⟩", "{": "}", "|": "|", "‖": "‖"}
#: Signs that want a factor on their right.
_JOINING = frozenset("* @ / .* ./ ⊙ ⊘ solve + - ⊗".split())


class Cursor:
    """The tokens of one line and how far they are read; what was met on the way."""

    def __init__(self, tokens: list[Token], text: str, known: Mapping[str, bool]) -> None:
        self.tokens, self.text, self.at = tokens, text, 0
        #: Declared names, and whether each is a function.
        self.known = known
        #: Letters that stand for indices, and the name of each in the tree.
        self.bound: dict[str, str] = {}
        #: Those of them met below a name, and those met as a number.
        self.entered: set[str] = set()
        self.spoken: set[str] = set()
        #: Index names that the line has, so that each sum has its own.
        self.indices: set[str] = set()
        #: Whether all is said entry by entry: inside a sum over entries.
        self.by_entries = False
        #: Lines with the terms of sums over entries, and the numbers of ranges said in them.
        self.lines: list[Line] = []
        self.said_in_lines: set[str] = set()
        #: The letter of the steps of a recurrence: below a name it tells which step.
        self.step = ""
        #: All tokens of the text.
        self.every = tokens
        self.doubts: list[Doubt] = []
        self.notes: list[str] = []
        #: Names and how they were written.
        self.spellings: dict[str, str] = {}
        #: Open brackets.
        self.frames: list[str] = []

    @property
    def token(self) -> Token:
        """The token that comes next."""
        return self.tokens[self.at]

    def take(self) -> Token:
        """The next token, taken; the end stays."""
        token = self.token
        self.at += self.at < len(self.tokens) - 1
        return token

    def ahead(self, count: int) -> Token:
        """The token that comes after so many others."""
        return self.tokens[min(self.at + count, len(self.tokens) - 1)]

    def since(self, start: Token | Span) -> Span:
        """The place from a token up to the last one taken."""
        first = start.span[0] if isinstance(start, Token) else start[0]
        return first, max(self.tokens[self.at - 1].span[1] if self.at else 0, first)

    def quoted(self, span: Span) -> str:
        """What was written at a place."""
        return " ".join(self.text[slice(*span)].split())

    # What is refused

    def refuse(self, span: Span, message: str, hint: str | None = None) -> NoReturn:
        """Refuse what stands at a place."""
        raise SyntaxMistake(message, text=self.text, span=span, hint=hint)

    def no_factor(self, token: Token) -> NoReturn:
        """A token where a factor is wanted."""
        if token.kind == "command":
            self.unknown_command(token)
        if token.kind == "refused":
            self.refused(token)
        before = self.tokens[self.at - 2] if self.at > 1 else None
        if token.kind == "end" and not token.text:
            before = self.tokens[self.at - 1] if self.at else None
        if before is not None and before.kind in _JOINING:
            self.refuse(before.span, f"{shown(before)} has nothing on its right")
        if token.kind == "end" and token.text:
            self.refuse(token.span, f"{shown(token)} has nothing before it")
        if token.kind == "end" and self.frames:
            self.refuse(token.span, f"{self.frames[-1]} is never closed")
        if token.kind == "end":
            self.refuse((0, len(self.text)), "the formula is missing here")
        if token.kind.removeprefix("close ") in CLOSERS.values():
            said = "closes nothing" if not self.frames else "has nothing before it"
            self.refuse(token.span, f"{shown(token)} {said}")
        if token.kind == "over":
            self.refuse(token.span, r"\over is not read", r"write \frac{a}{b}")
        if token.kind == "infty":
            self.refuse(token.span, r"\infty is no number here")
        self.refuse(token.span, f"{shown(token)} has nothing on its left")

    def refused(self, token: Token) -> NoReturn:
        """A command that papers have and formulas do not."""
        name = token.text.removeprefix("\\")
        if name in ("partial", "nabla"):
            self.refuse(token.span, REFUSED[name])
        self.refuse(token.span, f"{token.text} {REFUSED[name]}")

    def stray(self, token: Token) -> NoReturn:
        """A token that nothing expects behind a formula."""
        kind = token.kind
        if kind in ("end", "environment") and not token.text:
            self.refuse(token.span, f"{self.frames[-1] if self.frames else 'it'} is never closed")
        if kind == "end":
            self.refuse(token.span, rf"\end{{{token.text}}} closes nothing")
        if kind.removeprefix("close ") in CLOSERS.values():
            self.refuse(token.span, f"{shown(token)} closes nothing")
        if kind == "=":
            self.refuse(token.span, "= stands once, behind the name that a line defines")
        if kind == "over":
            self.refuse(token.span, r"\over is not read", r"write \frac{a}{b}")
        if kind in ("<", ">"):
            self.refuse(token.span, f"{token.text} compares, and a formula is wanted here")
        if kind in ("⊤", "†"):
            self.refuse(token.span, f"{token.text} stands above", rf"as in x^{token.text}")
        if kind == "," and self.frames[-1:] == ["["]:
            self.refuse(
                token.span,
                r"a matrix is written out between \begin{bmatrix} and \end{bmatrix}",
                r"as in \begin{bmatrix} a & b \\ c & d \end{bmatrix}",
            )
        if kind == ":":
            self.refuse(
                token.span, "a colon means nothing here", r"perhaps \operatorname{tr}(A^\top B)"
            )
        self.refuse(token.span, f"{shown(token)} means nothing here")

    def unknown_command(self, token: Token) -> NoReturn:
        """A command that is in no table."""
        name = token.text[1:]
        if not name.isalpha():
            self.refuse(token.span, f"{token.text} is no command that is known")
        hint: str | None = rf"perhaps \operatorname{{{name}}}"
        if name not in all_words():
            hint = did_you_mean(name, [c for c in (*COMMANDS, *all_words()) if len(c) > 1])
            hint = hint and hint.replace("mean ", "mean \\")
        raise NameMistake(
            f"nobody knows the command {token.text}", text=self.text, span=token.span, hint=hint
        )

    def expression(self) -> Syntax:
        """A sum; what reads formulas has it."""
        raise NotImplementedError

    def factor(self) -> Syntax:
        """One factor; what reads formulas has it."""
        raise NotImplementedError

    def inside(self, opened: Token, closer: str) -> Syntax:
        """A formula up to the sign that closes it."""
        self.frames.append(opened.text.removeprefix("\\") if opened.kind != "[" else "[")
        if self.token.kind.removeprefix("close ") == closer:
            span = (opened.span[0], self.token.span[1])
            self.refuse(span, "there is nothing between these brackets")
        made = self.expression()
        self.close(opened, closer)
        return made

    def close(self, opened: Token, closer: str) -> None:
        """The sign that closes a bracket, taken."""
        kind = self.token.kind
        if kind.removeprefix("close ") != closer:
            if kind == "end":
                self.refuse(opened.span, f"{shown(opened)} is never closed")
            if kind in (")", "]", "⟩", "}"):
                message = f"{shown(self.token)} does not close the {shown(opened)} before it"
                self.refuse(self.token.span, message)
            self.stray(self.token)
        self.take()
        self.frames.pop()


def shown(token: Token) -> str:
    """A token as a person sees it."""
    if token.kind == "end":
        return rf"\end{{{token.text}}}" if token.text else "the end"
    return rf"\begin{{{token.text}}}" if token.kind == "begin" else token.text


def end_after(token: Token) -> Token:
    """The end of tokens that were taken out."""
    return Token("end", "", (token.span[1], token.span[1]))


def is_raised(tokens: list[Token], at: int) -> bool:
    """Whether an exponent follows that is no transpose."""
    return tokens[at].kind == "^" and not mark_above(tokens[at + 1 : at + 9])[0]


_MARKS = {
    "T": "transpose",
    "⊤": "transpose",
    "'": "transpose",
    "H": "adjoint",
    "*": "adjoint",
    "†": "pinv",
    "+": "pinv",
    "- T": "inverse transpose",
    "- ⊤": "inverse transpose",
    "- 1 ⊤": "inverse transpose",
    "- H": "inverse adjoint",
}


def mark_above(tokens: list[Token]) -> tuple[str, int]:
    r"""The mark that tokens behind ^ are, as ^\top or ^{-T}, and how many; "" for a formula.

    >>> from wrt.language.latex_tokens import latex_tokens
    >>> mark_above(latex_tokens(r"{\mathsf{T}} A")), mark_above(latex_tokens("{{T}}"))
    (('transpose', 6), ('', 0))
    """
    said: list[str] = []
    depth = 0
    before = ""
    for count, token in enumerate(tokens, 1):
        kind = token.kind
        depth += (kind == "{") - (kind == "}")
        if depth > 1 and kind == "{" and before != "font":
            return "", 0
        if kind not in ("{", "}", "font"):
            said.append(token.text if kind in ("letter", "words", "number") else kind)
        before = kind
        if depth <= 0 and kind != "font":
            mark = _MARKS.get(" ".join(said), "")
            return mark, count if mark else 0
    return "", 0
