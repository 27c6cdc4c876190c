r"""Names in LaTeX and what stands above and below them: W_{hh}, \hat{x}_1, \mathbf{1}_n, X^\top."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from wrt.errors import NameMistake
from wrt.language.latex_cursor import is_raised
from wrt.language.latex_marks import Below, MarkReader
from wrt.language.latex_words import ACCENTS, FONTS, WORDS
from wrt.language.lexer import Token
from wrt.language.operators import INFIX
from wrt.language.syntax import (
    Call,
    Doubt,
    Index,
    Infix,
    Name,
    Number,
    Span,
    Syntax,
)
from wrt.language.words import all_words

__all__ = ["NameReader"]

#: Letters that are functions where a bracket follows them.
_FUNCTIONS = frozenset({"f", "g", "h", "phi", "psi"})
#: Letters side by side before a bracket.
_SPELLED = re.compile(r"([A-Za-z]{2,}\d?)\s*\(")
#: Fonts that hold to the end of the braces around them.
_SWITCHES = frozenset({r"\bf", r"\rm", r"\it", r"\sf", r"\tt", r"\cal"})


class NameReader(MarkReader):
    """Reads names, with fonts, accents and subscripts."""

    def __init__(self, tokens: list[Token], text: str, known: Mapping[str, bool]) -> None:
        super().__init__(tokens, text, known)
        #: How each name was written, to tell x from a bold x; the font around.
        self.faces: dict[str, dict[str, Span]] = {}
        self.face = ""
        #: What comes before the next name: d for a differential.
        self.prefix = ""
        #: Letters that stand without a bracket behind them, e without an exponent.
        self.bare = _bare(tokens)

    def arguments(self) -> tuple[Syntax, ...]:
        """Formulas in round brackets; what reads formulas has it."""
        raise NotImplementedError

    def words(self, said: str, token: Token) -> Syntax:
        """Upright letters; what reads formulas has it."""
        raise NotImplementedError

    # One name

    def name(self, name: str, face: str, span: Span) -> Name:
        """A name; an index that stands as a number is noted."""
        if name in self.bound:
            self.spoken.add(name)
            return Name(self.bound[name], span)
        self.faces.setdefault(name, {}).setdefault(face, span)
        self.spellings.setdefault(name, self.text[slice(*span)])
        made = Name(name, span)
        if self.by_entries and name not in self.known and name[0].isupper():
            self.doubts.append(self.without_index(made))
        return made

    def one_face_each(self) -> None:
        r"""Refuse a name in two types: x and \mathbf{x} would be one."""
        for name, faces in self.faces.items():
            if len(faces) > 1:
                first, second = list(faces)[:2]
                raise NameMistake(
                    f"{name} stands here in two types, {first or 'plain'} and {second or 'plain'},"
                    " and both would be one name",
                    text=self.text,
                    span=faces[second],
                    hint="rename one, or write both alike",
                )

    def letter(self, token: Token, face: str, name: str | None = None) -> Syntax:
        """A letter with its subscript, a function of what is in brackets, or a power of e."""
        if name is None and not face:
            self._refuse_spelled(token)
        name = token.text if name is None else name
        if name == "e" and not face and is_raised(self.tokens, self.at):
            if "e" not in self.known and "e" not in self.bare:
                return self.exponential(token)
        if name == "I" and self.token.kind == "_" and "I" not in self.known:
            return self.scripted(self.sized("eye", token, Name("I", token.span)))
        if name == "e" and self.token.kind == "^" and self.is_label(2):
            return self._unit(token)
        if name == "L" and (of := self._derivative_of()):
            return self._frechet(of, token)
        primes = self.primes_before_bracket()
        if self._applies(name, primes):
            word = "sigmoid" if name == "sigma" and name not in self.known else name
            return self.scripted(self.plain(self.applied(word, token, primes)))
        return self.scripted(self.named(name, face, token))

    def _refuse_spelled(self, token: Token) -> None:
        """Letters side by side before a bracket that spell a function: a product nobody means."""
        spelled = _SPELLED.match(self.text, token.span[0])
        if spelled is None or spelled[1] not in all_words() or self.known.keys() >= {*spelled[1]}:
            return
        word = spelled[1]
        command = f"\\{word}" if word in WORDS else rf"\operatorname{{{word}}}"
        self.refuse(
            spelled.span(1),
            f"in LaTeX {word} is a product of its letters",
            f"perhaps {command}(…), or spaces between the letters of a product",
        )

    def _unit(self, token: Token) -> Syntax:
        r"""A basis vector with its size above: \mathbf{e}^{(n)}_{k}."""
        self.at += 3
        size = self.expression()
        if (self.take().kind, self.take().kind, self.token.kind) != (")", "}", "_"):
            hint = r"as in \mathbf{e}^{(n)}_{k}"
            self.refuse(token.span, "a basis vector has its size above and its place below", hint)
        place = self.apart(self.below(self.take()))
        return self.marked(Call("unit", (size, place), self.since(token), token.span))

    def _derivative_of(self) -> Token | None:
        r"""The function of L_{\operatorname{expm}}(X, E), its derivative along E."""
        kinds = [self.ahead(k).kind for k in range(5)]
        fits = kinds == ["_", "{", "words", "}", "("] and self.ahead(2).text in all_words()
        return self.ahead(2) if fits else None

    def _frechet(self, of: Token, token: Token) -> Syntax:
        self.at += 4
        arguments = (Name(of.text, of.span), *self.arguments())
        return self.marked(Call("frechet", arguments, self.since(token), token.span))

    def primes_before_bracket(self) -> int:
        """How many primes stand before a round bracket; 0 where none follows."""
        count = 0
        while self.ahead(count).kind == "'":
            count += 1
        return count if self.ahead(count).kind == "(" else 0

    def _applies(self, name: str, primes: int) -> bool:
        """Whether a letter before a bracket is a function and no factor."""
        if self.ahead(primes).kind != "(":
            return False
        if name in self.known:
            return self.known[name]
        alone = self.ahead(primes + 1).kind == "letter" and self.ahead(primes + 2).kind == ")"
        if alone and name != "sigma" and self.ahead(primes + 3).kind not in ("^", "_", "'"):
            return True  # nobody puts one letter in brackets to multiply it
        if name in self.bare or name in self.bound:
            return False
        return name in _FUNCTIONS or (name == "sigma" and not primes)

    def applied(self, word: str, token: Token, primes: int) -> Call:
        """A function of what is in brackets."""
        self.at += primes
        arguments = self.arguments()
        return Call(word, arguments, self.since(token), token.span, primes)

    def exponential(self, token: Token) -> Syntax:
        """A power of e; of a matrix it would be unclear."""
        mark = self.mark(self.take())
        exponent = mark.exponent
        if exponent is None or mark.word != "power":
            self.refuse(self.since(token), f"{self.quoted(self.since(token))} is no exponential")
        span = self.since(token)
        self.doubts.append(
            Doubt(
                exponent,
                f"{self.quoted(span)}: e to the power of a matrix can be read in two ways",
                r"\exp(…) is entry by entry, \operatorname{expm}(…) the matrix exponential",
            )
        )
        return self.scripted(self.plain(Call("exp", (exponent,), span, token.span)))

    # Subscripts

    def named(self, stem: str, face: str, token: Token) -> Below:
        """The name that a letter and its subscript make, or the entry that they name."""

        stem, self.prefix = self.prefix + stem, ""

        def made(below: list[Token] | None) -> Syntax:
            if below is None:
                return self.name(stem, face, token.span)
            span = self.with_subscript(token, below)
            step = self._step(below)
            if step is not None:
                return Index(Name(stem, token.span), (step,), span)
            items = self.items(below)
            if items is not None:
                return Index(Name(stem, token.span), items, span)
            return self.name(self._suffixed(stem, below), face, span)

        return made

    def _step(self, below: list[Token]) -> Syntax | None:
        """The step that a subscript of a recurrence tells: t, t-1, t+2; None where it is none."""
        if not self.step or self.step not in [t.text for t in below]:
            return None
        kinds = [t.kind for t in below]
        step = Name(self.step, below[0].span)
        if kinds == ["letter"]:
            return step
        if kinds in (["letter", "-", "number"], ["letter", "+", "number"]):
            sign, number = below[1:]
            assert number.value is not None
            span = (below[0].span[0], number.span[1])
            return Infix(INFIX[sign.kind], step, Number(number.value, number.span), span)
        if {",", "+", "-", "number"} & {*kinds}:
            self.refuse(
                (below[0].span[0], below[-1].span[1]),
                f"below a name stands the step alone: {self.step} plus or minus a whole number",
                f"as in s_{{{self.step}-1}}",
            )
        return None

    def _suffixed(self, stem: str, below: list[Token]) -> str:
        """The name with its subscript: W_{hh} is W_hh, x_{1} is x1."""
        ending = ""
        for before, token in zip([None, *below], below, strict=False):
            said = _subscript_word(token)
            if said is None:
                self.refuse(
                    (below[0].span[0], below[-1].span[1]),
                    "a subscript is made of letters, numbers and words",
                    r"as in W_{hh}, x_{1} or x_{\text{max}}",
                )
            apart = before is not None and len(said) > 1 and token.kind != "number"
            ending += "_" * (apart and not ending.endswith("_")) + said
        if not ending[:1].isdigit() or f"{stem}_{ending}" in self.known:
            return f"{stem}_{ending}"
        return stem + ending

    # Fonts and accents

    def font(self, token: Token) -> Syntax:
        r"""A letter in another type, or a formula: \mathbf{x}, \boldsymbol\Sigma, \mathrm{W}."""
        face = FONTS[token.text[1:]]
        switch = token.text in _SWITCHES and self.at > 1 and self.tokens[self.at - 2].kind == "{"
        held = self._rest() if switch else self._held()
        said = "".join(t.text for t in held).replace("\\", "")
        if said in ("0", "1"):
            self.at += self._length(held)
            number = Number(Fraction(said), token.span)
            repeated = Call("vector", (number,), self.since(token), token.span)
            return self.scripted(self.sized(("zeros", "ones")[said == "1"], token, repeated))
        if said and said[0].isalpha() and (len(held) == 1 or self._is_one(said, face)):
            self.at += self._length(held)
            return self._faced(said, face, token, held)
        if self.token.kind != "{":
            self.refuse(token.span, f"{token.text} wants a letter", rf"as in {token.text}{{x}}")
        before, self.face = self.face, face if face != "plain" else self.face
        inside = self.argument(token)
        self.face = before
        return self.scripted(self.plain(inside))

    def _is_one(self, said: str, face: str) -> bool:
        """Whether letters in a font are one name; a few bold ones are a product."""
        return face == "plain" or said in self.known or (len(said) > 3 and said.islower())

    def _faced(self, said: str, face: str, token: Token, held: list[Token]) -> Syntax:
        whole = Token("letter", said, self.since(token))
        if face == "blackboard":
            what = {"E": "expectations are", "P": "probabilities are"}.get(said, "sets are")
            self.refuse(whole.span, f"{what} not read in a formula", r"\mathbb{1} is ones")
        if face == "plain" and said == "i":
            return self.scripted(self.plain(Number(Fraction(1), whole.span, imaginary=True)))
        if face == "plain" and said == "e" and is_raised(self.tokens, self.at):
            return self.exponential(whole)
        if face == "plain" and said == "d" and self.token.kind in ("letter", "font", "accent"):
            return self._change()
        if face == "plain" and said == "K" and self._has_two_below():
            return self.scripted(self.sized("commutation", whole, Name("K", whole.span)))
        face = face if face != "plain" else self.face
        return self.letter(whole, face) if len(held) == 1 else self.words(said, whole)

    def _change(self) -> Syntax:
        r"""The differential of a name: \mathrm{d}X is the name dX."""
        before, self.prefix = self.prefix, "d"
        made = self.factor()
        self.prefix = before
        return made

    def _has_two_below(self) -> bool:
        if self.token.kind != "_" or self.ahead(1).kind != "{":
            return False
        kinds = [t.kind for t in self.tokens[self.at : self.at + 40]]
        return "," in kinds[: kinds.index("}")] if "}" in kinds else False

    def _held(self) -> list[Token]:
        """The letters that a font or an accent is put on: those in braces, or one."""
        if self.token.kind != "{":
            return [self.token] if self.token.kind in ("letter", "number") else []
        found: list[Token] = []
        for token in self.tokens[self.at + 1 :]:
            if token.kind == "}":
                return found
            if token.kind not in ("letter", "number", "underscore"):
                return []
            found.append(token)
        return []

    def switched_word(self) -> Token | None:
        r"""The word of {\rm tr}, taken; None where no such thing stands here."""
        if self.token.text not in (r"\rm", r"\it", r"\sf", r"\tt"):
            return None
        letters: list[Token] = []
        while self.ahead(len(letters) + 1).kind == "letter":
            letters.append(self.ahead(len(letters) + 1))
        if len(letters) < 2 or self.ahead(len(letters) + 1).kind != "}":
            return None
        start = self.tokens[self.at - 1]
        self.at += len(letters) + 2
        return Token("words", "".join(t.text for t in letters), self.since(start))

    def _rest(self) -> list[Token]:
        r"""The letters up to the end of the braces: {\bf x}."""
        found: list[Token] = []
        while self.ahead(len(found)).kind in ("letter", "number"):
            found.append(self.ahead(len(found)))
        return found

    def _length(self, held: list[Token]) -> int:
        return len(held) + 2 * (self.token.kind == "{")

    def accent(self, token: Token) -> Syntax:
        r"""A letter with a hat is a name: \hat{x} is x_hat."""
        ending, start = ACCENTS[token.text[1:]], self.at
        flat, bold, depth = [], bool(self.face), 0
        while True:
            one = self.take()
            depth += (one.kind == "{") - (one.kind == "}")
            bold = bold or (one.kind == "font" and FONTS[one.text[1:]] == "bold")
            flat += [one] if one.kind not in ("{", "}", "font") else []
            if one.kind == "end" or (depth <= 0 and one.kind != "font"):
                break
        said = "".join(t.text for t in flat)
        fits = all(t.kind in ("letter", "words", "number") for t in flat) and said[:1].isalpha()
        if not fits or (len(flat) > 1 and said not in self.known):
            self.at = start
            message = f"{token.text} stands on one letter"
            self.refuse(token.span, message, rf"as in {token.text}{{x}}")
        face = "bold" if bold else "" if ending else "arrow"
        return self.letter(Token("letter", said, self.since(token)), face, said + ending)


def _bare(tokens: list[Token]) -> set[str]:
    """The letters that are factors: not below a name, in a font, a function or a power of e."""
    found: set[str] = set()
    depth, below = 0, 0
    for before, at, token in zip([None, *tokens], range(len(tokens)), tokens, strict=False):
        depth += (token.kind == "{") - (token.kind == "}")
        kind = before.kind if before else ""
        if kind == "_":
            below = depth if token.kind == "{" else below
            continue
        if below and depth >= below:
            continue
        below = 0
        in_font = kind == "font" or (kind == "{" and at > 1 and tokens[at - 2].kind == "font")
        if token.kind != "letter" or in_font or tokens[at + 1].kind in ("(", "'"):
            continue
        if token.text != "e" or not is_raised(tokens, at + 1):
            found.add(token.text)
    return found


def _subscript_word(token: Token) -> str | None:
    """What a token adds to a name; None for what cannot stand in one."""
    if token.kind in ("letter", "number"):
        return token.text if token.text.isalnum() else None
    if token.kind in ("words", "word"):
        said = token.text.removeprefix("\\").replace(" ", "_").replace("-", "_")
        return said if said.replace("_", "").isalnum() else None
    return {"font": "", "{": "", "}": "", ",": "_", "underscore": "_", "*": "star"}.get(
        token.kind, "infty" if token.kind == "infty" else None
    )
