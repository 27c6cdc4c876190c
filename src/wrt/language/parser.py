"""Tokens to syntax: precedence climbing with a stack of its own, so depth costs memory only.

A frame is an open bracket, call, entry or ‖; it holds the operands and operators met since it was
opened.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import NoReturn

from wrt.errors import SyntaxMistake
from wrt.expression.dataclass import dataclass, field, replace
from wrt.language.lexer import Token, tokens
from wrt.language.operators import INFIX, OPERATORS, PREFIX, Operator
from wrt.language.syntax import (
    Bracket,
    Call,
    Declaration,
    Index,
    Infix,
    Joined,
    Line,
    Name,
    Number,
    Postfix,
    Prefix,
    Program,
    Slice,
    Span,
    Syntax,
    Words,
)

__all__ = ["parse"]

_POSTFIX = {s: o for o in OPERATORS if o.place == "postfix" for s in o.spellings}
_TRANSPOSE, _ADJOINT = _POSTFIX["'"], _POSTFIX["ᴴ"]
_MINUS = PREFIX["-"]
_POWER = INFIX["^"].binds
_AFTER_CARET = {"T": _TRANSPOSE, "⊤": _TRANSPOSE, "H": _ADJOINT, "†": _ADJOINT}
_CLOSER = {"(": ")", "call": ")", "[": "]", "index": "]", "‖": "‖"}
_OPENERS = frozenset("([")


@dataclass
class _Frame:
    kind: str
    opened: Token
    operands: list[Syntax] = field(default_factory=list)
    operators: list[tuple[Operator, Token]] = field(default_factory=list)
    items: list[Syntax | Slice | Joined] = field(default_factory=list)
    rows: list[tuple[Syntax, ...]] = field(default_factory=list)
    base: Syntax | None = None
    primes: int = 0
    colon: Token | None = None
    low: Syntax | None = None


@lru_cache(maxsize=256)
def parse(text: str, starts: bool = False) -> Program:
    """The lines of a text as syntax, what `where` defines before the formula.

    With `starts`, a line may also define the state before the first step of a recurrence, `s[0]`.

    >>> program = parse("h = W*x; tanh(h)")
    >>> [line.target for line in program.lines]
    ['h', None]
    """
    found = tokens(text)
    if len(found) == 1 or all(t.kind in ("line", "end", ";") for t in found):
        raise SyntaxMistake(
            "there is no formula: the text is empty", hint="perhaps W*x + b, or x'*A*x"
        )
    declarations: list[Declaration] = []
    lines: list[Line] = []
    formula: Line | None = None
    for segment, after_where in _segments(found, text):
        declared = _declaration(segment, text)
        if declared is not None:
            declarations.append(declared)
            continue
        line = _line(segment, text, starts)
        if after_where and formula is None:
            if not lines:
                _refuse(text, segment[0].span, "where stands behind a formula")
            formula = lines.pop()
        if after_where and line.target is None:
            _refuse(text, line.span, "behind where stand definitions only, as in `where P = A*B`")
        lines.append(line)
    if formula is not None:
        lines.append(formula)
    elif any(t.kind == "name" and t.text == "where" for t in found):
        _refuse(text, _back(text, found[-1].span), "nothing is defined behind where")
    if not lines:
        raise SyntaxMistake(
            "there is no formula, only declarations", text=text, span=(0, len(text))
        )
    for line in lines[:-1]:
        if line.target is None:
            _refuse(
                text,
                line.span,
                "this line defines nothing",
                "only the last line stands without a name, as in `h = W*x` and then `tanh(h)`",
            )
    return Program(tuple(lines), tuple(declarations), text)


def _refuse(text: str, span: Span, message: str, hint: str | None = None) -> NoReturn:
    raise SyntaxMistake(message, text=text, span=span, hint=hint)


def _segments(found: list[Token], text: str) -> list[tuple[list[Token], bool]]:
    """The token lists of the lines, each with whether it stands behind `where`."""
    segments: list[tuple[list[Token], bool]] = []
    current: list[Token] = []
    depth, behind = 0, False
    for token in found:
        kind = token.kind
        is_where = kind == "name" and token.text == "where"
        if kind in _OPENERS:
            depth += 1
        elif kind in (")", "]"):
            depth = max(0, depth - 1)
        if kind == "line" and (depth or (current and _goes_on(current[-1]))):
            continue
        if kind == "end" or (not depth and (kind in ("line", ";") or is_where)):
            if current:
                end = (token.span[0], token.span[0])
                segments.append(([*current, Token("end", "", end)], behind))
                current = []
            if is_where:
                if behind:
                    _refuse(text, token.span, "there is a second where")
                if not segments:
                    _refuse(text, token.span, "where stands behind a formula")
                behind = True
            continue
        current.append(token)
    return segments


def _goes_on(token: Token) -> bool:
    """Whether a line that ends with this token goes on in the next."""
    return token.kind in INFIX or token.kind in ("=", ",")


def _declaration(segment: list[Token], text: str) -> Declaration | None:
    if len(segment) < 3 or segment[0].kind != "name" or segment[1].kind != ":":
        return None
    start, stop = segment[1].span[1], segment[-1].span[0]
    return Declaration(segment[0].text, text[start:stop].strip(), (segment[0].span[0], stop))


def _line(segment: list[Token], text: str, starts: bool) -> Line:
    span = (segment[0].span[0], segment[-2].span[1])
    equals = next((k for k, t in enumerate(segment) if t.kind == "="), None)
    if equals is None:
        return Line(None, None, _Parser(segment, text).expression(), span)
    if segment[equals + 1].kind == "=":
        both = (segment[equals].span[0], segment[equals + 1].span[1])
        _refuse(text, both, "== compares, and a formula compares nothing", _NO_TRUTH)
    target, indices, groups = _target(segment[:equals], segment[equals], text, starts)
    body = _Parser(segment[equals + 1 :], text).expression()
    return Line(target, indices, body, span, groups)


Target = tuple[str, tuple[str, ...] | None, tuple[int, ...]]

_NO_TRUTH = "perhaps =, behind a name that a line defines; or x - y, which is 0 where they agree"


def _target(left: list[Token], equals: Token, text: str, starts: bool) -> Target:
    kinds = [t.kind for t in left]
    if kinds == ["name"] or re.fullmatch(_ARGUMENTS, " ".join(kinds)):
        return left[0].text, None, ()
    if starts and " ".join(kinds) in _STARTS:
        return "".join(t.text for t in left), None, ()
    if kinds[:2] == ["name", "["] and kinds[-1] == "]":
        said = "".join("n" if t.kind == "name" else t.kind for t in left[2:-1])
        if re.fullmatch(_INDICES, said):
            groups = tuple(one.count("n") for one in re.findall(r"\([n,]*\)|n", said))
            return left[0].text, tuple(t.text for t in left[2:-1] if t.kind == "name"), groups
    if kinds.count("(") > kinds.count(")") and kinds[-1] == "name":
        span, word = (left[-1].span[0], equals.span[1]), left[0].text
        _refuse(
            text,
            span,
            "the arguments of a function have no names",
            f"perhaps {word}(X,1), over each column, or {word}(X,2), over each row"
            if left[-1].text in ("axis", "dim")
            else "they are told apart by their places, as in f(x, y)",
        )
    span = (left[0].span[0], left[-1].span[1]) if left else equals.span
    _refuse(
        text,
        span,
        "left of = stands a name, or a name with indices",
        "as in `h = W*x`, `f(x) = x'*x` or `D[i,a] = A[i,k]*B[k,a]`",
    )


#: `f(x, y)` left of =: what f is said to depend on is left aside.
_ARGUMENTS = r"name \( name(?: , name)* \)"
#: Where a state starts: s[0], s[-1], or behind the last step, s[T+1].
_STARTS = ("name [ number ]", "name [ - number ]", "name [ name + number ]")
#: One name for each axis, or several in brackets for an axis that runs over all their values.
_INDICES = r"(?:n|\(n(?:,n)+\))(?:,(?:n|\(n(?:,n)+\)))*"


class _Parser:
    """One line: a stack of frames and whether an operand or an operator comes next."""

    def __init__(self, segment: list[Token], text: str) -> None:
        self.tokens, self.text, self.at = segment, text, 0
        self.frames = [_Frame("top", segment[0])]
        self.wants_operand = True

    def expression(self) -> Syntax:
        while True:
            token = self.tokens[self.at]
            if self.wants_operand:
                self._operand(token)
            elif token.kind == "end":
                return self._finish(token)
            else:
                self._operator(token)
            self.at += 1

    # What may begin an operand

    def _operand(self, token: Token) -> None:
        kind, frame = token.kind, self.frames[-1]
        if kind in ("number", "imaginary"):
            assert token.value is not None
            self._push(Number(token.value, token.span, kind == "imaginary"))
        elif kind == "name":
            self._name(token)
        elif kind == "words":
            self._push(Words(token.text, token.span))
        elif kind in ("(", "[", "‖"):
            self.frames.append(_Frame(kind, token))
        elif kind in PREFIX:
            frame.operators.append((_tight(PREFIX[kind], frame), token))
        elif kind == ":" and frame.kind == "index" and self._nothing_yet(frame):
            frame.colon = token
            self.wants_operand = self.tokens[self.at + 1].kind not in (",", "]")
        elif kind == "⊤" and frame.operators and frame.operators[-1][0].name == "power":
            self._caret_word(_TRANSPOSE, token)
        else:
            self._no_operand(token, frame)

    def _nothing_yet(self, frame: _Frame) -> bool:
        return not frame.operands and not frame.operators and frame.colon is None

    def _push(self, part: Syntax) -> None:
        self.frames[-1].operands.append(part)
        self.wants_operand = False

    def _name(self, token: Token) -> None:
        frame = self.frames[-1]
        if token.text in _AFTER_CARET and self._after_caret(frame):
            return self._caret_word(_AFTER_CARET[token.text], token)
        ahead = self.at + 1
        while self.tokens[ahead].kind in ("'", "’", "′"):
            ahead += 1
        if self.tokens[ahead].kind == "(":
            primes = ahead - self.at - 1
            self.frames.append(_Frame("call", token, primes=primes))
            self.at = ahead
            if self.tokens[ahead + 1].kind == ")":
                self._close_call(self.tokens[ahead + 1], self.frames.pop())
                self.at += 1
            return None
        return self._push(Name(token.text, token.span))

    def _after_caret(self, frame: _Frame) -> bool:
        """Whether `^`, or `^-` as in X^-T, stands just before."""
        names = [o.name for o, _ in frame.operators[-2:]]
        return names[-1:] == ["power"] or names == ["power", "minus"]

    def _caret_word(self, operator: Operator, token: Token) -> None:
        """X^T and X^H transpose; X^-T is inv(X)'."""
        frame = self.frames[-1]
        sign, sign_token = frame.operators.pop()
        if sign.name == "minus":
            power, _ = frame.operators.pop()
            one = Prefix(_MINUS, _one(token), sign_token.span)
            frame.operands.append(self._infix(power, frame.operands.pop(), one))
        operand = frame.operands.pop()
        span = (operand.span[0], token.span[1])
        self._push(Postfix(operator, operand, span))

    def _no_operand(self, token: Token, frame: _Frame) -> NoReturn:
        if frame.operators:
            operator = frame.operators[-1][1]
            before = self.tokens[self.at - 1]
            if before.kind == token.kind == "*":
                span = (before.span[0], token.span[1])
                _refuse(self.text, span, "** is no operator here", "a power is written x^2 or x.^2")
            message = f"{operator.text} has nothing on its right"
            _refuse(self.text, operator.span, message)
        if token.kind in (")", "]", "‖", ",", ";") and frame.kind != "top":
            opened = frame.opened
            span = (opened.span[0], token.span[1])
            if token.kind == _CLOSER[frame.kind] and not frame.items and not frame.rows:
                _refuse(self.text, span, "there is nothing between these brackets")
            _refuse(self.text, token.span, f"something is missing before {token.text}")
        if token.kind == "end":
            if frame.kind != "top":
                self._never_closed(frame)
            _refuse(self.text, _back(self.text, token.span), "the formula is missing here")
        if token.kind in (")", "]"):
            _refuse(self.text, token.span, f"{token.text} closes nothing")
        hint = "perhaps ' behind what is transposed, as in x'" if token.text == "'" else None
        _refuse(self.text, token.span, f"{token.text} has nothing on its left", hint)

    # What may follow an operand

    def _operator(self, token: Token) -> None:
        kind, frame = token.kind, self.frames[-1]
        if kind in _POSTFIX or kind == "⊤":
            self._postfix(_POSTFIX.get(kind, _TRANSPOSE), token, frame)
        elif kind in INFIX:
            self._reduce(frame, INFIX[kind], token)
            frame.operators.append((INFIX[kind], token))
            self.wants_operand = True
        elif kind == "[":
            base = frame.operands.pop()
            self.frames.append(_Frame("index", token, base=base))
            self.wants_operand = True
        elif kind in (")", "]", "‖"):
            self._close(token, frame)
        elif kind in (",", ";", ":"):
            self._separator(token, frame)
        else:
            self._side_by_side(token, frame)

    def _postfix(self, operator: Operator, token: Token, frame: _Frame) -> None:
        self._reduce(frame, operator, token)
        operand = frame.operands.pop()
        frame.operands.append(Postfix(operator, operand, (operand.span[0], token.span[1])))

    def _reduce(self, frame: _Frame, coming: Operator | None, token: Token) -> None:
        """Apply what binds at least as tightly as the coming operator."""
        while frame.operators and (coming is None or frame.operators[-1][0].binds >= coming.binds):
            operator, place = frame.operators.pop()
            if operator.place == "prefix":
                operand = frame.operands.pop()
                span = (place.span[0], operand.span[1])
                frame.operands.append(Prefix(operator, operand, span))
                continue
            right, left = frame.operands.pop(), frame.operands.pop()
            frame.operands.append(self._infix(operator, left, right))
            if operator.binds == _POWER and coming in (INFIX["^"], INFIX[".^"]):
                self._power_of_power(left, token)

    def _infix(self, operator: Operator, left: Syntax, right: Syntax) -> Infix:
        return Infix(operator, left, right, (left.span[0], right.span[1]))

    def _power_of_power(self, left: Syntax, token: Token) -> NoReturn:
        following = self.tokens[min(self.at + 1, len(self.tokens) - 1)]
        _refuse(
            self.text,
            (left.span[0], following.span[1]),
            "a power of a power wants brackets",
            "(a^b)^c or a^(b^c)",
        )

    def _separator(self, token: Token, frame: _Frame) -> None:
        kind = token.kind
        self._reduce(frame, None, token)
        if kind == "," and (frame.kind in ("call", "[", "index") or self._joins(frame)):
            self._item(frame, token)
        elif kind == ";" and frame.kind == "[":
            self._item(frame, token)
            frame.rows.append(_plain(frame.items))
            frame.items = []
        elif kind == ":" and frame.kind == "index" and frame.colon is None:
            frame.colon, frame.low = token, frame.operands.pop()
            self.wants_operand = self.tokens[self.at + 1].kind not in (",", "]")
            return
        elif kind == ",":
            _refuse(self.text, token.span, "a comma stands only in f(x, y), X[i,j] and [a, b]")
        elif kind == ";":
            self._never_closed(frame)
        else:
            _refuse(
                self.text,
                token.span,
                "a colon stands only in slices, as in x[2:4], and in declarations on a line",
            )
        self.wants_operand = True

    def _joins(self, frame: _Frame) -> bool:
        """Whether a bracket is an item of an entry, as in x[(i,j)]."""
        around = self.frames[-2] if len(self.frames) > 1 else None
        if frame.kind != "(" or around is None or around.kind != "index":
            return False
        return not around.operands and not around.operators and around.colon is None

    def _join(self, token: Token, frame: _Frame) -> None:
        """Take in the indices that make up one axis."""
        names = tuple(item for item in frame.items if isinstance(item, Name))
        span = (frame.opened.span[0], token.span[1])
        ends = self.tokens[self.at + 1].kind in (",", "]")
        if len(names) < len(frame.items) or not ends:
            _refuse(self.text, span, "(i,j) between [ ] joins index names", "as in x[(i,j)]")
        self.frames[-1].items.append(Joined(names, span))
        self.wants_operand = False

    def _item(self, frame: _Frame, token: Token) -> None:
        """Close one item of a call, an entry or a matrix."""
        self._reduce(frame, None, token)
        if not frame.operands and frame.colon is None and isinstance(frame.items[-1], Joined):
            return
        operand = frame.operands.pop() if frame.operands else None
        if frame.colon is not None:
            start = frame.low.span[0] if frame.low else frame.colon.span[0]
            stop = operand.span[1] if operand else frame.colon.span[1]
            frame.items.append(Slice(frame.low, operand, (start, stop)))
            frame.colon = frame.low = None
        else:
            assert operand is not None
            frame.items.append(operand)

    def _close(self, token: Token, frame: _Frame) -> None:
        if frame.kind == "top" and token.kind != "‖":
            _refuse(self.text, token.span, f"{token.text} closes nothing")
        if frame.kind == "top" or token.kind != _CLOSER[frame.kind]:
            if token.kind == "‖":
                self._side_by_side(token, frame)
            opened = frame.opened.text if frame.kind != "call" else "("
            message = f"{token.text} does not close the {opened} before it"
            _refuse(self.text, token.span, message, f"perhaps {_CLOSER[frame.kind]}")
        self._item(frame, token)
        self.frames.pop()
        self._closed(token, frame)

    def _closed(self, token: Token, frame: _Frame) -> None:
        span = (frame.opened.span[0], token.span[1])
        if frame.kind == "(":
            if len(frame.items) > 1:
                self._join(token, frame)
                return
            part = frame.items[0]
            assert not isinstance(part, (Slice, Joined))
            self._push(replace(part, span=span))
        elif frame.kind == "call":
            self._close_call(token, frame)
        elif frame.kind == "[":
            self._push(Bracket((*frame.rows, _plain(frame.items)), span))
        elif frame.kind == "index":
            assert frame.base is not None
            span = (frame.base.span[0], token.span[1])
            self._push(Index(frame.base, tuple(frame.items), span))
        else:
            self._push(Call("norm2", _plain(frame.items), span, frame.opened.span))

    def _close_call(self, token: Token, frame: _Frame) -> None:
        span, opened = (frame.opened.span[0], token.span[1]), frame.opened
        self._push(Call(opened.text, _plain(frame.items), span, opened.span, frame.primes))

    def _side_by_side(self, token: Token, frame: _Frame) -> NoReturn:
        if token.kind == "=":
            _refuse(self.text, token.span, "= stands once, behind the name that a line defines")
        if token.kind == "end":
            self._never_closed(frame)
        left = frame.operands[-1]
        before = self.text[left.span[0] : left.span[1]]
        span = (left.span[0], token.span[1])
        shown = f"{_short(before)} and {token.text}"
        hint = None
        if token.kind in ("name", "number", "imaginary", "("):
            hint = self._between(left, _short(before), token, frame)
        _refuse(self.text, span, f"an operator is missing between {shown}", hint)

    def _between(self, left: Syntax, before: str, token: Token, frame: _Frame) -> str:
        """What could stand between two parts: a product, the brackets of a function, a comma."""
        from wrt.language.words import all_words

        words, rest = all_words(), token.text if token.kind != "(" else "(…)"
        if isinstance(left, Name) and before in words:
            return f"perhaps {before}({rest}{'(…)' if rest in words else ''})"
        power = frame.operators and frame.operators[-1][0].name == "power"
        raised = frame.operands[-2] if power else None
        if isinstance(raised, Name) and raised.name in words and token.kind == "(":
            return f"perhaps {raised.name}(…)^{before}"
        if frame.kind == "[":
            return f"perhaps {before}, {rest}"
        call = isinstance(left, Name) and len(before) > 2 and "_" not in before
        more = f", or {before}({rest})" if call and token.kind == "name" else ""
        return f"perhaps {before}*{rest}{more}"

    def _finish(self, token: Token) -> Syntax:
        frame = self.frames[-1]
        if frame.kind != "top":
            self._never_closed(frame)
        self._reduce(frame, None, token)
        return frame.operands[0]

    def _never_closed(self, frame: _Frame) -> NoReturn:
        opened = frame.opened
        start = opened.span[0]
        if frame.kind == "call":
            start = self.text.index("(", opened.span[1])
        _refuse(self.text, (start, start + 1), f"{self.text[start]} is never closed")


def _tight(operator: Operator, frame: _Frame) -> Operator:
    """A sign in an exponent belongs to the exponent: X^-1' is (X^-1)'."""
    if frame.operators and frame.operators[-1][0].binds >= _POWER:
        return replace(operator, binds=_POWER + 1)
    return operator


def _plain(items: list[Syntax | Slice | Joined]) -> tuple[Syntax, ...]:
    return tuple(item for item in items if not isinstance(item, (Slice, Joined)))


def _one(token: Token) -> Number:
    return Number(Fraction(1), token.span)


def _back(text: str, span: Span) -> Span:
    start = max(0, min(span[0], len(text)) - 1)
    return (start, start + 1)


def _short(piece: str) -> str:
    return piece if len(piece) <= 24 else "…" + piece[-20:]
