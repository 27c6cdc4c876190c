r"""What stands above and below a factor in LaTeX: X^\top, A_{ij}, \mathbf{1}_n, x^{\circ 2}."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from wrt.expression.dataclass import dataclass
from wrt.language.latex_cursor import Cursor, end_after, mark_above
from wrt.language.lexer import Token
from wrt.language.operators import INFIX, OPERATORS, PREFIX
from wrt.language.syntax import (
    Call,
    Doubt,
    Index,
    Infix,
    Joined,
    Name,
    Number,
    Postfix,
    Prefix,
    Slice,
    Span,
    Syntax,
)
from wrt.language.words import all_words

__all__ = ["Below", "Mark", "MarkReader"]

#: What stands below decides what a factor is.
Below = Callable[["list[Token] | None"], Syntax]

_POSTFIX = {o.name: o for o in OPERATORS if o.place == "postfix"}
_DAGGER = r"^\dagger is the pseudo-inverse (^{\mathsf H} is the conjugate transpose)"


@dataclass(frozen=True)
class Mark:
    """What stands above: a transpose, the pseudo-inverse, or a power with its exponent."""

    word: str
    stop: int
    exponent: Syntax | None = None


class MarkReader(Cursor):
    """Reads the marks of any factor, and what they make of it."""

    def argument(self, command: Token) -> Syntax:
        """What a command takes; what reads formulas has it."""
        raise NotImplementedError

    def scripted(self, make: Below) -> Syntax:
        """A factor with all its marks: what is below chooses it, what is above acts on it."""
        below: list[Token] | None = None
        marks: list[Mark] = []
        while self.token.kind in ("_", "^", ".^", "'", "ᵀ"):
            token = self.take()
            if token.kind == "_":
                if below is not None:
                    self.refuse(token.span, "there is a second subscript", "braces join them")
                below = self.below(token)
            elif token.kind in ("'", "ᵀ"):
                marks.append(Mark("transpose", token.span[1]))
            else:
                if any(mark.exponent is not None or mark.word != "transpose" for mark in marks):
                    self.refuse(token.span, "there is a second exponent", "brackets join them")
                marks.append(self.mark(token))
        made = make(below)
        turned = any(mark.exponent is None for mark in marks)
        if turned and self.by_entries and isinstance(made, Index) and made.names:
            shown = self.quoted(made.span)
            self.refuse(
                self.since(made.span),
                f"{shown} is an entry here, a number, and has no transpose",
                rf"where {shown} is a row of a matrix X, its product with w is (X w)_{{i}}",
            )
        if turned and self.by_entries and isinstance(made, Name) and made.name not in self.known:
            self.doubts.append(self.without_index(made))
        for mark in marks:
            made = _marked(made, mark)
        return made

    def plain(self, base: Syntax) -> Below:
        """A factor below which only the numbers of an entry can stand."""

        def made(below: list[Token] | None) -> Syntax:
            if below is None:
                return base
            items = self.items(below)
            if items is None and all(t.kind not in ("words", "font", "=") for t in below):
                items = tuple(self.apart(p) for p in _split(below, ",") if p)
            if items is None or not items:
                self.refuse(
                    (base.span[0], below[-1].span[1]),
                    "below a bracket stand the numbers or the summed indices of an entry",
                    r"as in (A x)_{1}, or \sum_{i} (A x)_{i}",
                )
            return Index(base, items, (base.span[0], self.since(base.span)[1]))

        return made

    def marked(self, base: Syntax) -> Syntax:
        """A factor with what stands above and below it."""
        return self.scripted(self.plain(base))

    def sized(self, word: str, token: Token, bare: Syntax) -> Below:
        """An identity, ones or zeros with its size below; without one its neighbours tell it."""

        def made(below: list[Token] | None) -> Syntax:
            if below is None:
                return bare
            items = self.items(below) if word == "ones" else None
            if items is not None:
                return Index(Name("ones", token.span), items, self.with_subscript(token, below))
            parts = [p for group in _split(below, ",") for p in _split(group, "*")]
            if not all(parts):
                self.refuse(below[0].span, "a size is missing here")
            sizes = [self.apart(part) for part in parts]
            return Call(word, tuple(sizes), self.with_subscript(token, below), token.span)

        return made

    def apart(self, part: list[Token]) -> Syntax:
        """The formula of tokens that were taken out."""
        reader = type(self)([*part, end_after(part[-1])], self.text, self.known)
        reader.step, reader.bound = self.step, self.bound
        made = reader.expression()
        self.spoken |= reader.spoken
        if reader.token.kind != "end":
            reader.stray(reader.token)
        return made

    def below(self, sign: Token) -> list[Token]:
        """The tokens of a subscript."""
        token = self.take()
        if token.kind == "font":
            inner = self.take()
            return [token, *(self._braced(inner) if inner.kind == "{" else [inner])]
        if token.kind == "{":
            return self._braced(token)
        if token.kind == "number" and len(token.text) > 1:
            hint = f"write _{{{token.text}}}"
            self.refuse(token.span, f"without braces {token.text[0]} alone stands below", hint)
        if token.kind not in ("letter", "number", "words", "*", "infty", "word"):
            self.refuse(sign.span, "a subscript is missing here")
        return [token]

    def _braced(self, opened: Token) -> list[Token]:
        found: list[Token] = []
        depth = 1
        while True:
            token = self.take()
            depth += (token.kind == "{") - (token.kind == "}")
            if token.kind == "end" and not token.text:
                self.refuse(opened.span, "{ is never closed")
            if not depth:
                break
            found.append(token)
        if not found:
            self.refuse(opened.span, "there is nothing in these braces")
        return found

    def mark(self, sign: Token) -> Mark:
        """What stands above: a mark such as the transpose, or an exponent."""
        token = self.token
        word, length = mark_above(self.tokens[self.at : self.at + 8])
        if word:
            self.at += length
            if word == "pinv" and word not in all_words():
                self.refuse(token.span, "the pseudo-inverse is not known", "perhaps ^{-1}")
            if any(t.kind == "†" for t in self.tokens[self.at - length : self.at]):
                self.notes.append(_DAGGER)
            return Mark(word, self.since(token)[1])
        power = "power" if sign.kind == "^" else "entry_power"
        if token.kind == "⊙":
            self.refuse(token.span, f"{token.text} alone is no power", r"as in x^{\circ 2}")
        if token.kind == "{" and self.ahead(1).kind == "⊙":
            self.take()
            self.take()
            return Mark("entry_power", self.since(token)[1], self.inside(token, "}"))
        if token.kind == "{" and self.is_label(1):
            self.refuse(
                token.span,
                "a number in brackets above a name is no power",
                "write it below, as in W_{1}; or without brackets where a power is meant",
            )
        if token.kind == "number" and len(token.text) > 1 and token.text.isdecimal():
            hint = f"write ^{{{token.text}}}"
            self.refuse(token.span, f"without braces {token.text[0]} alone stands above", hint)
        if token.kind == "(" and sign.kind == ".^":
            self.take()
            exponent = self.inside(token, ")")
        else:
            exponent = self.argument(sign)
        return Mark(power, self.since(token)[1], exponent)

    def is_label(self, start: int) -> bool:
        """Whether braces hold a number or a letter in brackets: W^{(1)}."""
        kinds = [self.ahead(k).kind for k in range(start, start + 4)]
        return kinds[0] == "(" and kinds[1] in ("number", "letter") and kinds[2:] == [")", "}"]

    # Below

    def with_subscript(self, token: Token, below: list[Token]) -> Span:
        stop = below[-1].span[1]
        stop += self.text[stop : stop + 1] == "}"
        return token.span[0], stop

    def items(self, below: list[Token]) -> tuple[Syntax | Slice | Joined, ...] | None:
        """Indices and whole numbers below a name; None where they are a part of it."""
        if any(t.kind == ":" for t in below):
            return self._slices(below)
        kept = [t for t in below if t.kind not in (",", "(", ")")]
        letters = [t for t in kept if t.kind == "letter"]
        numbers = [t for t in kept if t.kind == "number"]
        met = [t for t in letters if t.text in self.bound]
        if not letters and any(t.kind == "(" for t in below):
            return None
        if met and any(t.kind in ("+", "-", "*") for t in kept):
            self.refuse(
                (below[0].span[0], below[-1].span[1]),
                "an index stands alone below a name; i+1 and the like are not read",
            )
        if len(met) + len(numbers) < len(kept) or not (met or len(kept) < len(below)):
            return None
        self.entered |= {t.text for t in met}
        found: list[Syntax | Joined] = []
        opened: list[Name] | None = None
        for token in below:
            if token.kind == "letter":
                one = Name(self.bound[token.text], token.span)
                (found if opened is None else opened).append(one)
            elif token.kind == "number":
                found.append(Number(token.value or Fraction(0), token.span))
            elif token.kind == "(":
                opened = []
            elif token.kind == ")" and opened:
                found.append(Joined(tuple(opened), (opened[0].span[0], token.span[1])))
                opened = None
        return tuple(found)

    def _slices(self, below: list[Token]) -> tuple[Syntax | Slice, ...]:
        """Entries and slices, as in X_{1,:} and x_{2:n}."""
        found: list[Syntax | Slice] = []
        for part in _split(below, ","):
            ends = [self.apart(p) if p else None for p in _split(part, ":")]
            if len(ends) > 2 or (len(ends) == 1 and ends[0] is None):
                self.refuse((below[0].span[0], below[-1].span[1]), "this is no slice", "as x_{2:4}")
            if len(ends) == 2:
                span = (below[0].span[0], below[-1].span[1])
                found.append(Slice(ends[0], ends[1], span))
            elif ends[0] is not None:
                found.append(ends[0])
        return tuple(found)

    def without_index(self, part: Name) -> Doubt:
        """A matrix, or a vector that is transposed, beside entries would become a number."""
        shown = self.quoted(part.span)
        return Doubt(
            part,
            f"{shown} stands beside entries without an index, and would be a number",
            rf"an entry has all its indices, as in {shown}_{{ij}} or (X w)_{{i}}; "
            "declare a scalar to use it so",
            "scalar",
        )


def _split(tokens: list[Token], kind: str) -> list[list[Token]]:
    """The tokens between those of a kind."""
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if token.kind == kind:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _marked(base: Syntax, mark: Mark) -> Syntax:
    span = (base.span[0], max(mark.stop, base.span[1]))
    if mark.exponent is not None:
        return Infix(INFIX["^" if mark.word == "power" else ".^"], base, mark.exponent, span)
    if mark.word == "pinv":
        return Call("pinv", (base,), span, span)
    if mark.word.startswith("inverse "):
        one = Number(Fraction(1), span)
        base = Infix(INFIX["^"], base, Prefix(PREFIX["-"], one, span), span)
    return Postfix(_POSTFIX[mark.word.removeprefix("inverse ")], base, span)
