r"""LaTeX to syntax: the same tree that the text language has, places pointing into the LaTeX.

Products are by juxtaposition, one letter is one name, `\mathrm{}` makes longer ones. Brackets in
LaTeX are few levels deep, so the functions here go down them by calling themselves, to a limit.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NoReturn

from wrt.errors import TooLarge
from wrt.expression.dataclass import replace
from wrt.language.latex_cursor import CLOSERS, shown
from wrt.language.latex_marks import Below
from wrt.language.latex_names import NameReader
from wrt.language.latex_words import MATRICES, REFUSED, WORDS
from wrt.language.lexer import Token
from wrt.language.operators import INFIX, PREFIX
from wrt.language.syntax import (
    Bracket,
    Call,
    Doubt,
    Infix,
    Name,
    Number,
    Prefix,
    Span,
    Syntax,
    postorder,
)
from wrt.language.words import all_words

__all__ = ["FormulaReader"]

#: Brackets, fractions and functions within each other beyond this are refused.
MOST_DEPTH = 60

_PRODUCTS = {"*": "*", "@": "@", "/": "/", ".*": ".*", "./": "./", "⊙": ".*", "⊘": "./"}
_PRODUCTS |= {"solve": "\\"}
_OPERANDS = frozenset("( [ { ⟨ number letter words word font accent begin".split())
_OPERANDS |= {"overline", "frac", "sqrt", "sum", "prod", "infty", "refused", "command"}
_NORMS = {
    "op": "normspec",
    "F": "norm2",
    "2": "norm2",
    "1": "norm1",
    "infty": "norminf",
    "*": "normnuc",
}
_MATRIX = r"as in \begin{bmatrix} a & b \\ c & d \end{bmatrix}"


class FormulaReader(NameReader):
    """Reads the formula of one line."""

    depth = 0

    def whole(self) -> Syntax:
        """The formula to the end of the line."""
        made = self.expression()
        if self.token.kind != "end" or self.token.text:
            self.stray(self.token)
        self.one_face_each()
        return made

    # Operators

    def expression(self) -> Syntax:
        """A sum."""
        left = self._kron()
        while self.token.kind in ("+", "-"):
            left = _infix(self.take().kind, left, self._kron())
        return left

    def _kron(self) -> Syntax:
        left = self.product()
        while self.token.kind == "⊗":
            self.take()
            left = _infix("⊗", left, self.product())
        return left

    def product(self) -> Syntax:
        """Factors side by side, or with signs of multiplication and division between them."""
        signs = self._signs()
        left = self.factor()
        divided: Infix | None = None
        while True:
            kind = self.token.kind
            if kind in _PRODUCTS:
                self.take()
                left = _infix(_PRODUCTS[kind], left, self._signed())
                divided = left if kind == "/" else None
            elif self._starts(self.token):
                if divided is not None and not _is_fraction(divided):
                    self._unclear_quotient(divided)
                left, divided = _infix("*", left, self.factor()), None
            else:
                return _with_signs(signs, left)

    def _signs(self) -> list[Token]:
        signs = []
        while self.token.kind in ("+", "-"):
            signs.append(self.take())
        return signs

    def _signed(self) -> Syntax:
        signs = self._signs()
        return _with_signs(signs, self.factor())

    def _unclear_quotient(self, divided: Infix) -> NoReturn:
        self.refuse(
            (divided.right.span[0], self.token.span[1]),
            "a quotient with a factor behind it can be read in two ways",
            r"write \frac{…}{…}, or brackets: a/(b c) or (a/b) c",
        )

    def _starts(self, token: Token) -> bool:
        """Whether a factor begins here; a bar may close the bar before it."""
        kind = token.kind
        if kind in ("|", "‖"):
            return self.frames[-1:] != [kind]
        return kind in _OPERANDS or kind in ("open |", "open ‖")

    # Factors

    def factor(self) -> Syntax:
        """One factor with all that stands above, below and behind it."""
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise TooLarge(f"more than {MOST_DEPTH} brackets within each other are refused")
        made = self._factor(self.take())
        self.depth -= 1
        return made

    def _factor(self, token: Token) -> Syntax:
        match token.kind:
            case "number":
                assert token.value is not None
                return self.marked(Number(token.value, token.span))
            case "letter":
                return self.letter(token, self.face)
            case "font":
                return self.font(token)
            case "accent" if token.text == r"\vec" and self.token.kind == "(":
                return self._function("vec", token)
            case "accent":
                return self.accent(token)
            case "word":
                return self._function(WORDS[token.text[1:]], token)
            case "words":
                return self.words(token.text, token)
            case "{" if (word := self.switched_word()) is not None:
                return self.words(word.text, word)
            case "(" | "[" | "{":
                inside = self.inside(token, CLOSERS[token.kind])
                return self.marked(replace(inside, span=self.since(token)))
            case "|" | "‖" | "open |" | "open ‖":
                return self._bars(token)
            case "⟨":
                return self._inner_product(token)
            case "frac":
                return self._fraction(token)
            case "sqrt":
                return self._root(token)
            case "overline":
                inside = self.argument(token)
                self.notes.append(r"\overline is the complex conjugate, and \bar part of a name")
                return self.marked(Call("conj", (inside,), self.since(token), token.span))
            case "sum" | "prod":
                from wrt.language.latex_sums import ranged

                return ranged(self, token)
            case "begin":
                return self._matrix(token)
        return self.no_factor(token)

    # Brackets

    def _bars(self, token: Token) -> Syntax:
        kind = token.kind.removeprefix("open ")
        self.frames.append(kind)
        inside = self.expression()
        self.close(token, kind)
        span = self.since(token)
        if kind == "‖":
            return self.scripted(self._norm(inside, token))
        hint = r"\det(…) is the determinant, \operatorname{abs}(…) every entry without its sign"
        self._doubt(inside, span, "bars around a matrix", hint)
        self._doubt_numbers(inside, span, "bars around a matrix", hint)
        return self.marked(Call("abs", (inside,), span, token.span))

    def _doubt(self, part: Syntax, span: Span, what: str, hint: str) -> None:
        """What is refused should a part turn out to be a matrix."""
        message = f"{self.quoted(span)}: {what} can be read in two ways"
        self.doubts.append(Doubt(part, message, hint))

    def _doubt_numbers(self, part: Syntax, span: Span, what: str, hint: str) -> None:
        """What is refused should a capital in a part turn out to be a number."""
        for one in postorder(part):
            if isinstance(one, Name) and one.name[0].isupper() and one.name not in self.known:
                message = f"{self.quoted(span)}: {what} can be read in two ways"
                self.doubts.append(Doubt(one, message, hint, "scalar"))

    def _norm(self, inside: Syntax, opened: Token) -> Below:
        """Which norm it is, by what stands below it."""

        def made(below: list[Token] | None) -> Syntax:
            span = self.since(opened)
            said = "".join(t.text for t in below or () if t.kind not in ("font", "{", "}"))
            said = said.removeprefix("\\")
            word = "norm2" if below is None else _NORMS.get(said)
            if word is None or word not in all_words():
                self.refuse(span, f"the norm with {said} below it is not known", _KNOWN_NORMS)
            if said in ("1", "2", "infty"):
                sign = r"\infty" if said == "infty" else said
                self._doubt(
                    inside,
                    span,
                    "this norm of a matrix",
                    rf"\lVert \operatorname{{vec}}(X) \rVert_{sign} is that of all its entries;"
                    r" \lVert X \rVert_F the root of the sum of squares",
                )
            return Call(word, (inside,), span, opened.span)

        return made

    def _inner_product(self, token: Token) -> Syntax:
        self.frames.append("⟨")
        first = self.expression()
        if self.token.kind not in (",", "|"):
            self.refuse(self.token.span, r"two formulas are wanted, as in \langle x, y \rangle")
        self.take()
        second = self.expression()
        self.close(token, "⟩")
        if self.token.kind == "_" and self.ahead(1).text == "F":
            self.at += 2
        return self.marked(Call("dot", (first, second), self.since(token), token.span))

    def argument(self, command: Token) -> Syntax:
        """What a command takes: a formula in braces, or the one sign behind it."""
        token = self.token
        if token.kind == "{":
            self.take()
            made = self.inside(token, "}")
            return replace(made, span=self.since(token))
        if token.kind == "number":
            return self._digit(token)
        if token.kind == "letter":
            self.take()
            return self.name(token.text, self.face, token.span)
        if token.kind in ("frac", "sqrt", "overline", "words", "font", "accent", "("):
            return self.factor()
        if token.kind in ("command", "refused"):
            self.no_factor(token)
        what = "an exponent is missing here" if command.kind in ("^", ".^") else None
        return self.refuse(
            command.span,
            what or f"{command.text} wants {_WANTS.get(command.kind, 'a formula in braces')}",
            _EXAMPLES.get(command.kind),
        )

    def _digit(self, token: Token) -> Syntax:
        r"""One digit: \frac12 is 1/2."""
        start, stop = token.span
        if len(token.text) == 1 or not token.text.isdecimal():
            self.take()
            assert token.value is not None
            return Number(token.value, token.span)
        rest = token.text[1:]
        self.tokens[self.at] = Token("number", rest, (start + 1, stop), Fraction(rest))
        return Number(Fraction(token.text[0]), (start, start + 1))

    def _fraction(self, token: Token) -> Syntax:
        above = self.argument(token)
        below = self.argument(token)
        return self.marked(Infix(INFIX["/"], above, below, self.since(token)))

    def _root(self, token: Token) -> Syntax:
        degree = None
        if self.token.kind == "[":
            degree = self.inside(self.take(), "]")
        inside = self.argument(token)
        span = self.since(token)
        if degree is None:
            return self.marked(Call("sqrt", (inside,), span, token.span))
        power = Infix(INFIX["/"], Number(Fraction(1), degree.span), degree, degree.span)
        return self.marked(Infix(INFIX[".^"], inside, power, span))

    def _matrix(self, token: Token) -> Syntax:
        if token.text not in MATRICES:
            why = REFUSED.get(token.text, "is no environment that is read")
            self.refuse(token.span, f"{token.text} {why}", _MATRIX)
        if token.text == "array" and self.token.kind == "{":
            while self.take().kind not in ("}", "end"):
                pass
        self.frames.append("begin")
        rows: list[tuple[Syntax, ...]] = []
        row: list[Syntax] = []
        while self.token.kind != "end" or row or not rows:
            row.append(self.expression())
            if self.token.kind == "&":
                self.take()
                continue
            rows.append(tuple(row))
            row = []
            if self.token.kind != "\\\\":
                break
            self.take()
        if self.token.kind != "end" or self.token.text != token.text:
            if self.token.kind == "end" and self.token.text:
                message = f"{shown(self.token)} does not close the {shown(token)} before it"
                self.refuse(self.token.span, message)
            if self.token.kind == "end":
                self.refuse(token.span, f"{shown(token)} is never closed")
            self.stray(self.token)
        self.at += 1
        self.frames.pop()
        made = Bracket(tuple(rows), self.since(token))
        if token.text == "vmatrix":
            return self.marked(Call("det", (made,), made.span, token.span))
        return self.marked(made)

    # Functions

    def words(self, said: str, token: Token) -> Syntax:
        """A word in upright letters: a function, or a longer name."""
        plain = said.replace("-", "_")
        word = self._word(said)
        if word is not None and not (plain in self.known and not self.known[plain]):
            return self._function(word, token)
        if said.lower() in REFUSED:
            self.refused(Token("refused", said.lower(), token.span))
        if " " in said or not plain.replace("_", "").isalnum() or not plain[0].isalpha():
            hint = "words stand only as functions and as names"
            self.refuse(token.span, f"{said or token.text!r} is no name", hint)
        primes = self.primes_before_bracket()
        if self.ahead(primes).kind == "(" and self.known.get(plain, True):
            return self.marked(self.applied(plain, token, primes))
        return self.scripted(self.named(plain, self.face, token))

    def _word(self, said: str) -> str | None:
        """The word of the language that upright letters spell."""
        words = {*all_words(), *(n for n, is_function in self.known.items() if is_function)}
        tight = said.replace(" ", "").replace("-", "")
        for one in (said, WORDS.get(said, ""), tight, tight.lower(), WORDS.get(tight.lower(), "")):
            if one in words and one not in ("I", "vector", "matrix", "einsum"):
                return one
        return None

    def _function(self, word: str, token: Token) -> Syntax:
        """A function with its argument, in brackets or not."""
        power: Syntax | None = None
        below: list[Token] | None = None
        while self.token.kind in ("^", "_"):
            sign = self.take()
            if sign.kind == "_":
                below = self.below(sign)
                continue
            power = self.mark(sign).exponent
            if not isinstance(power, Number):
                self.refuse(
                    self.since(sign),
                    "only a number stands above the name of a function",
                    r"an inverse has a name, as \arcsin; other powers stand behind: (\sin x)^{k}",
                )
        if word == "log" and self._next_word() == "det" and power is None and below is None:
            self.take()
            word = "logdet"
        arguments = self._behind(token)
        if word in ("softmax", "logsoftmax") and below is None:
            hint = rf"\operatorname{{{word}}}_{{2}}(…) is over each row, _{{1}} over each column"
            self._doubt_numbers(arguments[0], self.since(token), f"{word} of a matrix", hint)
        made = self._called(word, arguments, token, below)
        if power is not None:
            made = Infix(INFIX[".^"], made, power, made.span)
        return self.marked(made)

    def _next_word(self) -> str | None:
        if self.token.kind == "word":
            return WORDS[self.token.text[1:]]
        return self._word(self.token.text) if self.token.kind == "words" else None

    def _called(
        self, word: str, arguments: tuple[Syntax, ...], token: Token, below: list[Token] | None
    ) -> Syntax:
        span = self.since(token)
        if word == "log10" or (word == "log" and below):
            base: Syntax = Number(Fraction(10), token.span)
            base = self.apart(below) if below else base
            over, under = (Call("log", (a,), span, token.span) for a in (arguments[0], base))
            return Infix(INFIX["/"], over, under, span)
        if below is not None:
            number = below[0]
            if word in ("max", "min") and number.kind == "letter":
                message = f"an optimum over {number.text} is no formula that is differentiated here"
                self.refuse((token.span[0], below[-1].span[1]), message)
            if len(below) > 1 or number.value not in (1, 2):
                self.refuse(
                    (token.span[0], below[-1].span[1]),
                    f"below {shown(token)} stands 1 (over each column) or 2 (over each row)",
                )
            arguments = (*arguments, Number(number.value, number.span))
        return Call(word, arguments, span, token.span)

    def _behind(self, token: Token) -> tuple[Syntax, ...]:
        r"""The argument of a function: what is in brackets, or the product behind it."""
        kind = self.token.kind
        if kind == "(":
            return self.arguments()
        if kind == "[":
            return (self.inside(self.take(), "]"),)
        if not self._starts(self.token):
            self.refuse(token.span, f"{shown(token)} wants its argument behind it")
        made = self.factor()
        if kind == "{":
            return (made,)
        while self.token.kind in ("letter", "number", "font", "accent", "frac"):
            made = _infix("*", made, self.factor())
        if self.token.kind in ("(", "["):
            self.refuse(
                (token.span[0], self.token.span[1]),
                f"where the argument of {shown(token)} ends can be read in two ways",
                "put it in brackets",
            )
        return (made,)

    def arguments(self) -> tuple[Syntax, ...]:
        """Formulas in round brackets with commas between them."""
        opened = self.take()
        self.frames.append("(")
        if self.token.kind == ")":
            span = (opened.span[0], self.token.span[1])
            self.refuse(span, "there is nothing between these brackets")
        found = [self.expression()]
        while self.token.kind == ",":
            self.take()
            found.append(self.expression())
        self.close(opened, ")")
        return tuple(found)


_KNOWN_NORMS = r"F, 1, 2 and \infty may stand there, as in \lVert x \rVert_2"
_WANTS = {"frac": "two formulas in braces"}
_EXAMPLES = {"frac": r"as in \frac{a}{b}", "sqrt": r"as in \sqrt{x}", "^": "as in x^{2}"}


def _infix(spelling: str, left: Syntax, right: Syntax) -> Infix:
    return Infix(INFIX[spelling], left, right, (left.span[0], right.span[1]))


def _is_fraction(divided: Infix) -> bool:
    """Whether a quotient is of two numbers, which 1/2 x leaves no doubt about."""
    return isinstance(divided.left, Number) and isinstance(divided.right, Number)


def _with_signs(signs: list[Token], made: Syntax) -> Syntax:
    for sign in reversed(signs):
        made = Prefix(PREFIX[sign.kind], made, (sign.span[0], made.span[1]))
    return made
