r"""Names in LaTeX and what stands above and below them: W_{hh}, \hat{x}_1, \mathbf{1}_n, X^\top."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from wrt.errors import NameMistake
from wrt.language.latex_cursor import Cursor, end_after, is_raised, mark_above
from wrt.language.latex_words import ACCENTS, FONTS
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

__all__ = ["Below", "Mark", "NameReader"]

#: What stands below decides what a factor is.
Below = Callable[["list[Token] | None"], Syntax]

_POSTFIX = {o.name: o for o in OPERATORS if o.place == "postfix"}
#: Letters that are functions where a bracket follows them.
_FUNCTIONS = frozenset({"f", "g", "h", "phi", "psi"})
#: Fonts that hold to the end of the braces around them.
_SWITCHES = frozenset({r"\bf", r"\rm", r"\it", r"\sf", r"\tt", r"\cal"})
_DAGGER = r"^\dagger is the pseudo-inverse (^{\mathsf H} is the conjugate transpose)"


@dataclass(frozen=True)
class Mark:
    """What stands above: a transpose, the pseudo-inverse, or a power with its exponent."""

    word: str
    stop: int
    exponent: Syntax | None = None


class NameReader(Cursor):
    """Reads names, with fonts, accents and subscripts, and the marks of any factor."""

    def __init__(self, tokens: list[Token], text: str, known: Mapping[str, bool]) -> None:
        super().__init__(tokens, text, known)
        #: How each name was written, to tell x from a bold x; the font around.
        self.faces: dict[str, dict[str, Span]] = {}
        self.face = ""
        #: What comes before the next name: d for a differential.
        self.prefix = ""
        #: Letters that stand without a bracket behind them, e without an exponent.
        self.bare = _bare(tokens)

    def argument(self, command: Token) -> Syntax:
        """What a command takes; what reads formulas has it."""
        raise NotImplementedError

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
        made = Name(name, span)
        if self.by_entries and name not in self.known and name[0].isupper():
            self.doubts.append(self._without_index(made))
        return made

    def _without_index(self, part: Name) -> Doubt:
        """A matrix, or a vector that is transposed, beside entries would become a number."""
        shown = self.quoted(part.span)
        return Doubt(
            part,
            f"{shown} stands beside entries without an index, and would be a number",
            rf"an entry has all its indices, as in {shown}_{{ij}} or (X w)_{{i}}; "
            "declare a scalar to use it so",
            "scalar",
        )

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
        name = token.text if name is None else name
        if name == "e" and not face and is_raised(self.tokens, self.at):
            if "e" not in self.known and "e" not in self.bare:
                return self.exponential(token)
        if name == "I" and self.token.kind == "_" and "I" not in self.known:
            return self.scripted(self._sized("eye", token, Name("I", token.span)))
        if name == "e" and self.token.kind == "^" and self._is_label(2):
            return self._unit(token)
        if name == "L" and (of := self._derivative_of()):
            return self._frechet(of, token)
        primes = self.primes_before_bracket()
        if self._applies(name, primes):
            word = "sigmoid" if name == "sigma" and name not in self.known else name
            return self.scripted(self._plain(self.applied(word, token, primes)))
        return self.scripted(self.named(name, face, token))

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
        mark = self._mark(self.take())
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
        return self.scripted(self._plain(Call("exp", (exponent,), span, token.span)))

    # Subscripts

    def named(self, stem: str, face: str, token: Token) -> Below:
        """The name that a letter and its subscript make, or the entry that they name."""

        stem, self.prefix = self.prefix + stem, ""

        def made(below: list[Token] | None) -> Syntax:
            if below is None:
                return self.name(stem, face, token.span)
            span = self._with_subscript(token, below)
            items = self.items(below)
            if items is not None:
                return Index(Name(stem, token.span), items, span)
            return self.name(self._suffixed(stem, below), face, span)

        return made

    def _with_subscript(self, token: Token, below: list[Token]) -> Span:
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
            return self.scripted(self._sized(("zeros", "ones")[said == "1"], token, repeated))
        if said and said[0].isalpha() and (len(held) == 1 or self._is_one(said, face)):
            self.at += self._length(held)
            return self._faced(said, face, token, held)
        if self.token.kind != "{":
            self.refuse(token.span, f"{token.text} wants a letter", rf"as in {token.text}{{x}}")
        before, self.face = self.face, face if face != "plain" else self.face
        inside = self.argument(token)
        self.face = before
        return self.scripted(self._plain(inside))

    def _is_one(self, said: str, face: str) -> bool:
        """Whether letters in a font are one name; a few bold ones are a product."""
        return face == "plain" or said in self.known or (len(said) > 3 and said.islower())

    def _faced(self, said: str, face: str, token: Token, held: list[Token]) -> Syntax:
        whole = Token("letter", said, self.since(token))
        if face == "blackboard":
            what = {"E": "expectations are", "P": "probabilities are"}.get(said, "sets are")
            self.refuse(whole.span, f"{what} not read in a formula", r"\mathbb{1} is ones")
        if face == "plain" and said == "i" and "i" not in self.bound:
            return self.scripted(self._plain(Number(Fraction(1), whole.span, imaginary=True)))
        if face == "plain" and said == "e" and is_raised(self.tokens, self.at):
            return self.exponential(whole)
        if face == "plain" and said == "d" and self.token.kind in ("letter", "font", "accent"):
            return self._change()
        if face == "plain" and said == "K" and self._has_two_below():
            return self.scripted(self._sized("commutation", whole, Name("K", whole.span)))
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

    # Marks

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
                marks.append(self._mark(token))
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
            self.doubts.append(self._without_index(made))
        for mark in marks:
            made = _marked(made, mark)
        return made

    def _plain(self, base: Syntax) -> Below:
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
        return self.scripted(self._plain(base))

    def _sized(self, word: str, token: Token, bare: Syntax) -> Below:
        """An identity, ones or zeros with its size below; without one its neighbours tell it."""

        def made(below: list[Token] | None) -> Syntax:
            if below is None:
                return bare
            items = self.items(below) if word == "ones" else None
            if items is not None:
                return Index(Name("ones", token.span), items, self._with_subscript(token, below))
            parts = [p for group in _split(below, ",") for p in _split(group, "*")]
            if not all(parts):
                self.refuse(below[0].span, "a size is missing here")
            sizes = [self.apart(part) for part in parts]
            return Call(word, tuple(sizes), self._with_subscript(token, below), token.span)

        return made

    def apart(self, part: list[Token]) -> Syntax:
        """The formula of tokens that were taken out."""
        reader = type(self)([*part, end_after(part[-1])], self.text, self.known)
        made = reader.expression()
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

    def _mark(self, sign: Token) -> Mark:
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
        if token.kind == "{" and self._is_label(1):
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

    def _is_label(self, start: int) -> bool:
        """Whether braces hold a number or a letter in brackets: W^{(1)}."""
        kinds = [self.ahead(k).kind for k in range(start, start + 4)]
        return kinds[0] == "(" and kinds[1] in ("number", "letter") and kinds[2:] == [")", "}"]


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
