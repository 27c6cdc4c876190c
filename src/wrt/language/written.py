"""Syntax to the text language: how a formula that came from elsewhere would be typed."""

from __future__ import annotations

from wrt.language.operators import INFIX
from wrt.language.syntax import (
    Bracket,
    Call,
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
    Syntax,
    Words,
    postorder,
)

__all__ = ["formula_text", "written"]

Said = tuple[str, int]

_ATOM = 100
_POWER, _TIMES, _ADD = INFIX["^"].binds, INFIX["*"].binds, INFIX["+"].binds


def written(program: Program) -> str:
    """The lines of a program as text: the formula, then its definitions behind `where`.

    >>> from wrt.language.parser import parse
    >>> written(parse("P=A*B; x'*((P))*x^(-1)"))
    "x'*P*x^-1 where P = A*B"
    """
    *definitions, formula = (_line(line) for line in program.lines)
    declared = [f"{one.name}: {one.shape}" for one in program.declarations]
    if program.lines[-1].target is not None or declared:
        return "; ".join([*declared, *definitions, formula])
    return f"{formula} where {'; '.join(definitions)}" if definitions else formula


def _line(line: Line) -> str:
    body = formula_text(line.body)
    if line.target is None:
        return body
    letters = iter(line.indices or ())
    parts = [[next(letters) for _ in range(count)] for count in line.groups]
    said = ",".join(p[0] if len(p) == 1 else f"({','.join(p)})" for p in parts)
    return f"{line.target}{f'[{said}]' if said else ''} = {body}"


def formula_text(root: Syntax) -> str:
    """One formula as text."""
    said: dict[Syntax, Said] = {}
    for part in postorder(root):
        said[part] = _said(part, said)
    return said[root][0]


def _said(part: Syntax, said: dict[Syntax, Said]) -> Said:
    match part:
        case Number():
            return _number(part)
        case Name():
            return part.name, _ATOM
        case Words():
            return f'"{part.text}"', _ATOM
        case Prefix():
            return part.operator.plain + _fit(said[part.operand], _TIMES), _TIMES
        case Postfix():
            return _fit(said[part.operand], _POWER) + part.operator.plain, _POWER
        case Infix():
            return _infix(part, said)
        case Call():
            inside = ", ".join(said[a][0] for a in part.arguments)
            return f"{part.word}{chr(39) * part.primes}({inside})", _ATOM
        case Index():
            items = ",".join(_item(item) for item in part.items)
            return f"{_fit(said[part.base], _ATOM)}[{items}]", _ATOM
        case Bracket():
            rows = (", ".join(said[item][0] for item in row) for row in part.rows)
            return f"[{'; '.join(rows)}]", _ATOM


def _infix(part: Infix, said: dict[Syntax, Said]) -> Said:
    operator, binds = part.operator, part.operator.binds
    left, right = said[part.left], said[part.right]
    if binds == _POWER:
        base = left if isinstance(part.left, Postfix) else (left[0], min(left[1], _ATOM))
        level = _POWER if isinstance(part.left, Postfix) else _ATOM
        inside = right[0] if _is_inverse(part.right) else _fit(right, _ATOM)
        return f"{_fit(base, level)}{operator.plain}{inside}", _POWER
    space = " " if operator.spaced else ""
    return f"{_fit(left, binds)}{space}{operator.plain}{space}{_fit(right, binds + 1)}", binds


def _is_inverse(exponent: Syntax) -> bool:
    """Whether an exponent is a number with a minus, which needs no brackets: X^-1."""
    if not isinstance(exponent, Prefix) or not isinstance(exponent.operand, Number):
        return False
    return exponent.operator.name == "minus" and not exponent.operand.imaginary


def _fit(said: Said, level: int) -> str:
    text, binds = said
    return text if binds >= level else f"({text})"


def _number(part: Number) -> Said:
    value = part.value
    ending = "i" if part.imaginary else ""
    if value.denominator == 1:
        return str(value) + ending, _ATOM
    assert value.numerator > 0, "numbers are decimal and have no sign"
    places = next(k for k in range(1, 2000) if (value * 10**k).denominator == 1)
    digits = str((value * 10**places).numerator).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}{ending}", _ATOM


def _item(item: Syntax | Slice | Joined) -> str:
    if isinstance(item, Joined):
        return f"({','.join(one.name for one in item.names)})"
    if isinstance(item, Slice):
        low, high = (formula_text(p) if p else "" for p in (item.low, item.high))
        return f"{low}:{high}"
    return formula_text(item).replace(" ", "") if isinstance(item, Infix) else formula_text(item)
