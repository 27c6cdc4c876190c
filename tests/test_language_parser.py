"""Texts to syntax: operators, names, lines, limits, and how a slip is told."""

from __future__ import annotations

import time

import pytest

from wrt.errors import SyntaxMistake, TooLarge, WrtError
from wrt.language import read
from wrt.language.lexer import tokens
from wrt.language.operators import OPERATORS
from wrt.language.parser import parse
from wrt.language.syntax import (
    Bracket,
    Call,
    Index,
    Infix,
    Name,
    Number,
    Postfix,
    Prefix,
    Slice,
    Syntax,
    Words,
    postorder,
)


def shown(part: Syntax | Slice | None) -> str:
    """A tree with every bracket written."""
    match part:
        case None:
            return ""
        case Number():
            return f"{part.value}{'i' * part.imaginary}"
        case Name():
            return part.name
        case Words():
            return f'"{part.text}"'
        case Prefix():
            return f"({part.operator.plain}{shown(part.operand)})"
        case Postfix():
            return f"{shown(part.operand)}{part.operator.plain}"
        case Infix():
            return f"({shown(part.left)} {part.operator.plain} {shown(part.right)})"
        case Call():
            marks = "'" * part.primes
            return f"{part.word}{marks}({', '.join(map(shown, part.arguments))})"
        case Index():
            return f"{shown(part.base)}[{','.join(map(shown, part.items))}]"
        case Slice():
            return f"{shown(part.low)}:{shown(part.high)}"
        case Bracket():
            return "[" + "; ".join(", ".join(map(shown, row)) for row in part.rows) + "]"


def tree(text: str) -> str:
    return shown(parse(text).lines[-1].body)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("W*x+b", "((W * x) + b)"),
        ("a-b-c", "((a - b) - c)"),
        ("a/b*c", "((a / b) * c)"),
        ("A*B.*C", "((A * B) .* C)"),
        ("-x'*A*y", "(((-x') * A) * y)"),
        ("-x.^2", "(-(x .^ 2))"),
        ("X^2'", "(X ^ 2)'"),
        ("X'^2", "(X' ^ 2)"),
        ("x.^2'", "(x .^ 2)'"),
        ("X^-1'*b", "((X ^ (-1))' * b)"),
        ("X^-T", "(X ^ (-1))'"),
        ("X^T", "X'"),
        ("Xᵀ", "X'"),
        ("X^⊤", "X'"),
        ("X^H", "X^H"),
        ("x²+X⁻¹ᵀ", "((x ^ 2) + (X ^ (-1))')"),
        ("2.*X", "(2 .* X)"),
        ("2.5*X", "(5/2 * X)"),
        ("2.*X'+1./x.^3", "((2 .* X') + (1 ./ (x .^ 3)))"),
        ("1e-3*1i", "(1/1000 * 1i)"),
        ("A·B@C⊙D∘E⊘F", "(((((A * B) * C) .* D) .* E) ./ F)"),
        ("A*x ⊗ y + z", "(((A * x) ⊗ y) + z)"),
        ("A\\b", "(A \\ b)"),
        ("x[1]^2", "(x[1] ^ 2)"),
        ("X[1,:]+X[:,2]'+x[2:4]", "((X[1,:] + X[:,2]') + x[2:4])"),
        ("(A*B)[i,j]", "(A * B)[i,j]"),
        ("[a, b; c, d]", "[a, b; c, d]"),
        ("‖x-‖y‖*z‖", "norm2((x - (norm2(y) * z)))"),
        ("||x||", "norm2(x)"),
        ("phi''(x)'", "phi''(x)'"),
        ('einsum("ij->ji", A)', 'einsum("ij->ji", A)'),
        ("Σ*λ₁", "(Sigma * lambda1)"),
        ("A −\n B", "(A - B)"),
        ("f(\n x\n)", "f(x)"),
        ("𝐱+1", "(x + 1)"),
    ],
)
def test_trees(text, wanted):
    assert tree(text) == wanted


def test_lines_where_and_declarations():
    program = parse("phi: entrywise\nh = W*x\n\nphi(h); ")
    assert [line.target for line in program.lines] == ["h", None]
    assert [(d.name, d.shape) for d in program.declarations] == [("phi", "entrywise")]
    program = parse("y'*Q where Q = P*P; P = A'")
    assert [line.target for line in program.lines] == ["Q", "P", None]
    program = parse("D[i,a,b] = δ[i,a]*x[b]")
    assert program.lines[0].indices == ("i", "a", "b")


def test_every_operator_is_read_by_every_spelling():
    for operator in OPERATORS:
        for spelling in operator.spellings:
            text = {"prefix": f"{spelling}A", "postfix": f"A{spelling}"}.get(
                operator.place, f"A{spelling}B"
            )
            found = {p.operator.name for p in postorder(parse(text).lines[0].body) if p.children}
            assert found == {operator.name}, text


def test_spans_point_into_the_text():
    body = parse("a + (b*c)'").lines[0].body
    assert isinstance(body, Infix)
    text = "a + (b*c)'"
    assert text[slice(*body.right.span)] == "(b*c)'"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no formula: the text is empty\n  perhaps W*x + b, or x'*A*x"),
        (" \n ", "there is no formula: the text is empty\n  perhaps W*x + b, or x'*A*x"),
        ("W*", "* has nothing on its right\n    W*\n     ^"),
        ("*x", "* has nothing on its left\n    *x\n    ^"),
        ("(a*b", "( is never closed\n    (a*b\n    ^"),
        ("f(a;b)", "( is never closed\n    f(a;b)\n     ^"),
        ("a)", ") closes nothing\n    a)\n     ^"),
        ("[a)", ") does not close the [ before it\n    [a)\n      ^\n  perhaps ]"),
        (
            "2x",
            "an operator is missing between 2 and x\n    2x\n    ^^\n  perhaps 2*x",
        ),
        (
            "log x",
            "an operator is missing between log and x\n    log x\n    ^^^^^\n  perhaps log(x)",
        ),
        (
            "a^b^c",
            "a power of a power wants brackets\n    a^b^c\n    ^^^^^\n  (a^b)^c or a^(b^c)",
        ),
        (
            "a**b",
            "** is no operator here\n    a**b\n     ^^\n  a power is written x^2 or x.^2",
        ),
        ("f(a,,b)", "something is missing before ,\n    f(a,,b)\n        ^"),
        ("()", "there is nothing between these brackets\n    ()\n    ^^"),
        (
            "a\nb",
            "this line defines nothing\n    a\n    ^\n"
            "  only the last line stands without a name, as in `h = W*x` and then `tanh(h)`",
        ),
        ("a=b=c", "= stands once, behind the name that a line defines\n    a=b=c\n       ^"),
        ("x where", "nothing is defined behind where\n    x where\n          ^"),
        ("‖x", "‖ is never closed\n    ‖x\n    ^"),
        (
            "|x|",
            "the character | means nothing here\n    |x|\n    ^\n"
            "  perhaps abs(x), norm2(x) or ‖x‖, det(X)",
        ),
        ("x + $", "the character $ means nothing here\n    x + $\n        ^"),
    ],
)
def test_slips_are_quoted_pointed_at_and_explained(text, message):
    with pytest.raises(SyntaxMistake) as caught:
        parse(text)
    assert str(caught.value) == message


DEEP = {
    "brackets": "(" * 10_000 + "x" + ")" * 10_000,
    "open brackets": "[" * 10_000,
    "calls": "tanh(" * 10_000 + "x" + ")" * 10_000,
    "signs": "-" * 10_000 + "x",
    "dashes": "x" + "'" * 10_000,
    "sum": "+".join(["x"] * 10_000),
    "different names": "+".join(f"x{k}" for k in range(10_000)),
    "product": "A" + "*A" * 9_999,
    "exponents": "a^(" * 5000 + "b" + ")" * 5000,
    "slices": "x" + "[1:2]" * 3000,
    "lines": "\n".join(f"h{k} = tanh(W*h{k - 1})" for k in range(1, 2000)),
    "definitions": "a0 where " + ";".join(f"a{k}=a{k + 1}" for k in range(3000)),
    "100 kB of letters": "x" * 100_000,
    "100 kB of signs": "x+" * 49_999 + "x",
    "too long": "x" * 100_001,
    "digits": "1" * 100_000,
    "great exponent": "1e999999999",
    "great power": "2^99999999999",
    "tower": "((((9^9)^9)^9)^9)^9",
    "great matrix power": "X^99999999999",
    "zero byte": "x\0y",
    "written vector": "[" + ",".join(f"x{k}" for k in range(1500)) + "]",
    "undecided": "+".join(f"a{k}*b{k}'*c{k}" for k in range(60)),
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_long_and_hostile_texts_are_read_or_refused_at_once(name):
    start = time.perf_counter()
    assert len(outcome(DEEP[name])) < 400
    assert time.perf_counter() - start < 5, "one second on an idle machine"


def outcome(text: str) -> str:
    try:
        return str(read(text).formula.ndim)
    except WrtError as mistake:
        return str(mistake)


def test_limits_are_named():
    with pytest.raises(TooLarge, match=r"100,001 characters is refused; the limit is 100,000"):
        tokens("x" * 100_001)
    with pytest.raises(TooLarge, match=r"more than 30,000 names, numbers and signs is refused"):
        tokens("x+" * 49_999 + "x")
