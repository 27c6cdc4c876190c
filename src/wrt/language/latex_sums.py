r"""Sums and products in LaTeX: over the entries of arrays (x_i), or over a range of numbers.

The terms of a sum over entries are a line of their own in index form: \sum_i x_i y_i is
`sum(terms) where terms[i] = x[i]*y[i]`. Within another sum the terms have its index too.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from wrt.expression.dataclass import dataclass, replace
from wrt.language.latex_reader import FormulaReader
from wrt.language.lexer import Token
from wrt.language.operators import INFIX
from wrt.language.syntax import Call, Index, Infix, Line, Name, Number, Span, Syntax

__all__ = ["ranged"]

#: The number of steps of a recurrence: a sum over its steps need not say where it ends.
LENGTH = "T"


@dataclass(frozen=True)
class _Range:
    """A letter, and where it begins and ends, where that is said."""

    letter: str
    low: Syntax | None
    high: Syntax | None
    span: Span


def ranged(reader: FormulaReader, token: Token) -> Syntax:
    r"""What stands behind \sum or \prod, with its range; sums directly behind it are joined."""
    ranges = _ranges(reader, token)
    while token.kind == "sum" and reader.token.kind == "sum":
        ranges += _ranges(reader, reader.take())
    if reader.token.kind == "end":
        reader.refuse(token.span, f"{token.text} has nothing behind it")
    twice = [k for k, count in Counter(one.letter for one in ranges).items() if count > 1]
    if twice:
        reader.refuse(token.span, f"{twice[0]} runs over two ranges here")
    bound, entered, spoken = dict(reader.bound), reader.entered, reader.spoken
    lines, within = len(reader.lines), reader.by_entries
    for one in ranges:
        reader.bound[one.letter] = _fresh(one.letter, reader)
    names = dict(reader.bound)
    reader.entered, reader.spoken, reader.by_entries = set(), set(), True
    body = reader.product()
    span = reader.since(token)
    own = {one.letter for one in ranges}
    met, numbers = reader.entered & own, reader.spoken & own
    outer = sorted(reader.entered - own)
    reader.bound, reader.by_entries = bound, within
    entered |= reader.entered - own
    spoken |= reader.spoken - own
    _refuse_mixed(reader, span, met, numbers)
    if met:
        made = _over_entries(reader, token, ranges, outer, names, body, span)
        reader.said_in_lines |= {names[k] for k in reader.spoken - own}
    else:
        made = _over_numbers(reader, token, ranges, names, body, span)
        if reader.said_in_lines & {names[k] for k in own} and len(reader.lines) > lines:
            reader.refuse(span, "a sum over entries inside a sum over its numbers is not read")
    reader.entered, reader.spoken = entered, spoken
    return replace(made, span=span)


def _ranges(reader: FormulaReader, token: Token) -> list[_Range]:
    """The letters below the sign, and where they begin and end."""
    below: list[Token] = []
    high: Syntax | None = None
    while reader.token.kind in ("_", "^"):
        sign = reader.take()
        if sign.kind == "_":
            below = reader.below(sign)
        else:
            high = reader.argument(sign)
    equals = next((k for k, t in enumerate(below) if t.kind == "="), len(below))
    names = [t for t in below[:equals] if t.kind != ","]
    if not names or any(t.kind != "letter" for t in names):
        span = (token.span[0], below[-1].span[1] if below else token.span[1])
        hint = rf"as in {token.text}_{{i=1}}^{{n}} x_i or {token.text}_{{i}} x_i"
        reader.refuse(span, f"below {token.text} stands the letter that it runs over", hint)
    low = reader.apart(below[equals + 1 :]) if below[equals + 1 :] else None
    if low is None and equals < len(below):
        reader.refuse(below[equals].span, "= has nothing on its right")
    return [_Range(t.text, low, high, t.span) for t in {t.text: t for t in names}.values()]


def _fresh(letter: str, reader: FormulaReader) -> str:
    """A name for an index that no other sum of the line has."""
    name, count = letter, 1
    while name in reader.indices:
        name = f"{letter}{count}"
        count += 1
    reader.indices.add(name)
    return name


def _refuse_mixed(reader: FormulaReader, span: Span, met: set[str], numbers: set[str]) -> None:
    for letter in sorted(met & numbers):
        reader.refuse(
            span,
            f"{letter} stands here as an index and as a number",
            "an array with the entries 1, 2, … can stand for the number",
        )


def _over_numbers(
    reader: FormulaReader,
    token: Token,
    ranges: list[_Range],
    names: dict[str, str],
    body: Syntax,
    span: Span,
) -> Syntax:
    """A sum or product over ranges of whole numbers, the last range inside the others."""
    for one in reversed(ranges):
        if one.letter == reader.step and one.low is None and one.high is None:
            one = replace(one, low=Number(Fraction(1), span), high=Name(LENGTH, span))
        if one.low is None or one.high is None:
            reader.refuse(span, f"nothing behind this sign has the index {one.letter}")
        parts = (Name(names[one.letter], one.span), one.low, one.high, body)
        body = Call(token.kind, parts, span, token.span)
    return body


def _over_entries(
    reader: FormulaReader,
    token: Token,
    ranges: list[_Range],
    outer: list[str],
    names: dict[str, str],
    body: Syntax,
    span: Span,
) -> Syntax:
    """A sum or product over entries: a line with its terms, and their sum."""
    for one in ranges:
        if one.letter not in reader.entered:
            message = f"nothing behind this sign has the index {one.letter}"
            if one.letter in reader.spoken:
                message = f"{one.letter} is a number here, and the other letters are indices"
            reader.refuse(span, message)
        if one.low is not None and not (isinstance(one.low, Number) and one.low.value == 1):
            hint = r"as in \sum_{i=1}^{n} x_i"
            reader.refuse(one.low.span, "a sum over entries begins at 1", hint)
        if one.high is not None and _is_said(one.high, reader):
            size = Call("ones", (one.high,), one.high.span, token.span)
            body = _times(body, Index(size, (Name(names[one.letter], token.span),), token.span))
    letters = [*(names[k] for k in outer), *(names[one.letter] for one in ranges)]
    terms = _line(reader, body, tuple(letters), token, span)
    if not outer:
        return Call(token.kind, (terms,), span, token.span)
    if token.kind == "prod":
        reader.refuse(span, "a product over entries inside another sum or product is not read")
    made: Syntax = Index(terms, tuple(Name(k, token.span) for k in letters), span)
    for one in ranges:
        ones = Index(Name("ones", token.span), (Name(names[one.letter], token.span),), token.span)
        made = _times(made, ones)
    return made


def _times(left: Syntax, right: Syntax) -> Syntax:
    return Infix(INFIX["*"], left, right, left.span)


def _is_said(high: Syntax, reader: FormulaReader) -> bool:
    """Whether the end of a range is a number or a name that stands elsewhere too."""
    if not isinstance(high, Name):
        return True
    return Counter(t.text for t in reader.every if t.kind == "letter")[high.name] > 1


def _line(
    reader: FormulaReader, body: Syntax, indices: tuple[str, ...], token: Token, span: Span
) -> Name:
    """A line of its own, and the name that stands for it."""
    first = "terms" if token.kind == "sum" else "factors"
    taken = {line.target for line in reader.lines} | set(reader.known)
    name, count = first, 1
    while name in taken or name in reader.text:
        count += 1
        name = f"{first}{count}"
    reader.lines.append(Line(name, indices, body, span, (1,) * len(indices)))
    return Name(name, span)
