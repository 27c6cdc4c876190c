"""Python expressions with a size, so that a statement is broken before it grows too long to read.

Thin constructors over `ast`; nothing here knows about arrays but for the alias of their library.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

from wrt.expression.coefficient import Base, Coefficient
from wrt.expression.dataclass import dataclass
from wrt.expression.dimensions import Dimension, Smaller

__all__ = [
    "Code",
    "attribute",
    "binary",
    "call",
    "list_of",
    "literal",
    "name",
    "names",
    "number",
    "size",
    "star",
    "subscript",
    "text",
    "tuple_of",
]

#: Whole numbers beyond this are written as floats.
MOST_EXACT = 2**53


@dataclass(frozen=True)
class Code:
    """An expression, about how many columns it takes, and how many operations it is."""

    expr: ast.expr
    width: int
    weight: int = 0


OPERATORS: dict[str, type[ast.operator]] = {
    "+": ast.Add,
    "-": ast.Sub,
    "*": ast.Mult,
    "/": ast.Div,
    "//": ast.FloorDiv,
    "**": ast.Pow,
    "@": ast.MatMult,
    "&": ast.BitAnd,
}


def name(word: str) -> Code:
    """A name."""
    return Code(ast.Name(word, ast.Load()), len(word))


def names(*trees: ast.AST) -> list[ast.Name]:
    """The names in trees of syntax, in no order; one that stands in several places comes as often.

    >>> sorted(node.id for node in names(ast.parse("y = f(x[1:n]) + 2")))
    ['f', 'n', 'x', 'y']
    """
    found: list[ast.Name] = []
    stack: list[object] = list(trees)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Name):
            found.append(node)
        elif isinstance(node, list):
            stack += node
        elif isinstance(node, ast.AST) and not isinstance(node, _WORDLESS):
            stack += node.__dict__.values()
    return found


#: What ends most branches of a tree and holds nothing.
_WORDLESS = (ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.Constant)


def literal(value: int | float | complex | str | bool | None) -> Code:
    """A literal; a negative number is written as minus a literal."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0:
        inner = literal(-value)
        return Code(ast.UnaryOp(ast.USub(), inner.expr), inner.width + 1)
    return Code(ast.Constant(value), len(repr(value)))


@lru_cache(maxsize=512)
def text(source: str) -> Code:
    """An expression from its text."""
    return Code(ast.parse(source, mode="eval").body, len(source), source.count("(") or 0)


def binary(sign: str, a: Code, b: Code) -> Code:
    """`a sign b`; Python's own brackets are added when the tree is written out."""
    width = a.width + b.width + 3 + 2 * (a.weight > 1) + 2 * (b.weight > 1)
    return Code(ast.BinOp(a.expr, OPERATORS[sign](), b.expr), width, a.weight + b.weight + 1)


def negative(a: Code) -> Code:
    """Minus an expression."""
    return Code(ast.UnaryOp(ast.USub(), a.expr), a.width + 1, a.weight)


def compare(a: Code, sign: str, b: Code) -> Code:
    """`a == b` or `a >= b`."""
    operator: ast.cmpop = ast.Eq() if sign == "==" else ast.GtE()
    expr = ast.Compare(a.expr, [operator], [b.expr])
    return Code(expr, a.width + b.width + 4, a.weight + b.weight + 1)


def attribute(a: Code, word: str) -> Code:
    """`a.word`."""
    return Code(ast.Attribute(a.expr, word, ast.Load()), a.width + len(word) + 1, a.weight)


def call(function: Code, *arguments: Code, **keywords: Code) -> Code:
    """`function(…)`."""
    said = [ast.keyword(word, value.expr) for word, value in keywords.items()]
    expr = ast.Call(function.expr, [a.expr for a in arguments], said)
    width = function.width + 2 + sum(a.width + 2 for a in arguments)
    width += sum(len(word) + value.width + 3 for word, value in keywords.items())
    every = (*arguments, *keywords.values())
    return Code(expr, width, function.weight + 1 + sum(a.weight for a in every))


def star(a: Code) -> Code:
    """`*a` among arguments."""
    return Code(ast.Starred(a.expr, ast.Load()), a.width + 1, a.weight)


def subscript(a: Code, *keys: Code) -> Code:
    """`a[…]`."""
    inside = keys[0].expr if len(keys) == 1 else ast.Tuple([k.expr for k in keys], ast.Load())
    width = a.width + 2 + sum(k.width + 2 for k in keys)
    return Code(ast.Subscript(a.expr, inside, ast.Load()), width, a.weight)


def span(start: Code | None = None, stop: Code | None = None) -> Code:
    """`start:stop` inside a subscript."""
    ends = [None if e is None else e.expr for e in (start, stop)]
    return Code(ast.Slice(*ends), 1 + sum(e.width for e in (start, stop) if e))


def assignment(word: str, code: Code) -> ast.stmt:
    """`word = …`."""
    return ast.Assign([ast.Name(word, ast.Store())], code.expr, lineno=0)


def colon() -> Code:
    """`:` inside a subscript."""
    return span()


def short(keys: Sequence[Code]) -> list[Code]:
    """A subscript without the colons that end it."""
    kept = list(keys)
    while len(kept) > 1 and isinstance(kept[-1].expr, ast.Slice) and kept[-1].width == 1:
        kept.pop()
    return kept


def tuple_of(items: Sequence[Code]) -> Code:
    """`(a, b)`, the one item alone, `()` for none."""
    if len(items) == 1:
        return items[0]
    width = sum(i.width + 2 for i in items)
    return Code(ast.Tuple([i.expr for i in items], ast.Load()), width)


def list_of(items: Sequence[Code]) -> Code:
    """`[a, b]`."""
    width = sum(i.width + 2 for i in items)
    weight = sum(i.weight for i in items)
    return Code(ast.List([i.expr for i in items], ast.Load()), width, weight)


def product(factors: Sequence[Code]) -> Code:
    """`a * b * c`; 1 for none."""
    if not factors:
        return literal(1)
    total = factors[0]
    for factor in factors[1:]:
        total = binary("*", total, factor)
    return total


# Sizes


def size(dim: Dimension, names: dict[str, Code]) -> Code:
    """A dimension as an expression in the sizes of its names."""
    if not dim.terms:
        return literal(0)
    total: Code | None = None
    for mono, c in sorted(dim.terms, key=lambda term: term[1] < 0):
        factors = [_atom(atom, power, names) for atom, power in mono]
        if abs(c) != 1 or not factors:
            factors.insert(0, literal(abs(c)))
        term = product(factors)
        if total is None:
            total = negative(term) if c < 0 else term
        else:
            total = binary("-" if c < 0 else "+", total, term)
    assert total is not None
    return total


def _atom(atom: str | Smaller, power: int, names: dict[str, Code]) -> Code:
    base = names[atom] if isinstance(atom, str) else _smaller(atom, names)
    return base if power == 1 else binary("**", base, literal(power))


def _smaller(atom: Smaller, names: dict[str, Code]) -> Code:
    return call(name("min"), size(atom[0], names), size(atom[1], names))


# Numbers


def number(c: Coefficient, names: dict[str, Code], pi: Code) -> Code:
    """An exact number as Python writes it, of Python's own types so that float32 stays float32."""
    above, below = _parts(c, names, pi)
    top = product(above)
    return binary("/", top, product(below)) if below else top


def _parts(c: Coefficient, names: dict[str, Code], pi: Code) -> tuple[list[Code], list[Code]]:
    """What stands above the fraction bar and below it."""
    above: list[Code] = []
    below: list[Code] = []
    value = Fraction(max(c.value, -c.value))
    decimal = _decimal(value)
    if decimal is None:
        below.append(literal(value.denominator))
        above += [literal(value.numerator)] if value.numerator != 1 else []
    elif value != 1:
        above.append(decimal)
    for base, power in c.powers:
        code = _base(base, names, pi)
        if abs(power) != 1:
            code = binary("**", code, exponent(abs(power)))
        (above if power > 0 else below).append(code)
    if c.value < 0:
        above[:1] = [negative(above[0] if above else literal(1))]
    return above, below


def _decimal(value: Fraction) -> Code | None:
    """A positive number as a whole number or a decimal; None where only a fraction is exact."""
    if value.denominator == 1 and value < MOST_EXACT:
        return literal(value.numerator)
    try:
        decimal = float(value)
    except OverflowError:
        return text("float('inf')")
    long = max(value.numerator, value.denominator) >= MOST_EXACT
    return literal(decimal) if long or Fraction(repr(decimal)) == value else None


def exponent(power: Fraction) -> Code:
    """A positive exponent."""
    return _decimal(power) or binary("/", literal(power.numerator), literal(power.denominator))


def _base(base: Base, names: dict[str, Code], pi: Code) -> Code:
    if isinstance(base, Dimension):
        return size(base, names)
    if isinstance(base, Fraction):
        plain = exponent(abs(base))
        return plain if base > 0 else call(name("complex"), negative(plain))
    return pi if base == "pi" else literal(1j)
