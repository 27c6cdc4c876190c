"""Single changes of a formula's text: a sign, a transpose, a factor, a function, an exponent.

One change that makes a wrong formula right says what was wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wrt.expression.dataclass import dataclass
from wrt.language.parser import parse
from wrt.language.syntax import (
    Call,
    Index,
    Infix,
    Name,
    Number,
    Postfix,
    Prefix,
    Program,
    Span,
    Syntax,
    postorder,
)

__all__ = ["Edit", "Term", "edits", "inserted", "spliced", "terms"]

#: Functions that are taken for one another.
_FAMILIES: tuple[tuple[str, ...], ...] = (
    ("sin", "cos"),
    ("sinh", "cosh", "tanh", "sigmoid"),
    ("exp", "log", "expm", "logm"),
    ("inv", "pinv", "adj"),
    ("norm1", "norm2", "norminf"),
    ("sum", "mean", "tr"),
    ("sigmoid", "softmax"),
    ("det", "logdet", "tr"),
    ("step", "sign", "relu"),
    ("abs", "sign"),
    ("tril", "triu"),
)
_TIGHT = (Name, Number, Call, Index)
_PRODUCTS = {"times": ".*", "entry_times": "*"}
_QUOTIENTS = ("divide", "entry_divide")
_POWERS = ("power", "entry_power")
#: Parts of a formula beyond this are not changed.
MOST_PARTS = 120


@dataclass(frozen=True)
class Edit:
    """A changed text: what stands there, what is put there, and what kind of change it is."""

    text: str
    has: str
    puts: str
    kind: str


@dataclass(frozen=True)
class Term:
    """One term of a sum: its sign, its place, and the whole text with nothing but this term."""

    sign: int
    span: Span
    said: str
    text: str


def spliced(text: str, span: Span, new: str) -> str:
    """A text with something else at a place."""
    return text[: span[0]] + new + text[span[1] :]


def terms(text: str) -> list[Term]:
    """The terms of a formula as they are written.

    >>> [(term.sign, term.said) for term in terms("2*A'*A*x - A'*b")]
    [(1, "2*A'*A*x"), (-1, "A'*b")]
    """
    body = parse(text).lines[-1].body
    found: list[Term] = []
    stack: list[tuple[Syntax, int]] = [(body, 1)]
    while stack:
        part, sign = stack.pop()
        if isinstance(part, Infix) and part.operator.name in ("add", "subtract"):
            right = -sign if part.operator.name == "subtract" else sign
            stack += [(part.right, right), (part.left, sign)]
        elif isinstance(part, Prefix):
            stack.append((part.operand, -sign if part.operator.name == "minus" else sign))
        else:
            said = text[slice(*part.span)]
            if said[0] in "-−" and isinstance(part, Infix):  # -A*x is read as (-A)*x
                said, sign = said[1:].lstrip(), -sign
            alone = spliced(text, body.span, said if sign > 0 else f"-({said})")
            found.append(Term(sign, part.span, said, alone))
    return found


def edits(text: str, words: Sequence[str] = (), names: Sequence[str] = ()) -> Iterator[Edit]:
    """Every single change of a formula, the plainest first; `words` and `names` may be put in.

    >>> [edit.text for edit in edits("A'*x")][:3]
    ['A*x', "A'*x'", "x*A'"]
    """
    program = parse(text)
    body = program.lines[-1].body
    whole = _parts(program)
    bases = {p.base for p in whole if isinstance(p, Index)}
    parts = [p for p in whole if p not in bases and (p is not body or not isinstance(p, Number))]
    parts = parts[-MOST_PARTS:]
    makers = (_signs, _turns, _products, _addends, _powers_changed, _calls, _indices)
    seen: set[str] = {text}
    for maker in makers:
        for part in parts:
            for edit in maker(text, part):
                if edit.text not in seen:
                    seen.add(edit.text)
                    yield edit
    for part in parts:
        for edit in (
            *_numbers(text, part),
            *_wrapped(text, part, words),
            *_renamed(text, part, names),
        ):
            if edit.text not in seen:
                seen.add(edit.text)
                yield edit


def _parts(program: Program) -> list[Syntax]:
    """The parts of all lines, the definitions behind `where` too."""
    return [part for line in program.lines for part in postorder(line.body)]


def _edit(text: str, span: Span, new: str, kind: str, has: str = "", puts: str = "") -> Edit:
    old = text[slice(*span)]
    return Edit(spliced(text, span, new), has or old, puts or new, kind)


def _loose(text: str, part: Syntax) -> str:
    """A part, in brackets where something tighter is put around it."""
    said = text[slice(*part.span)]
    closed = said.startswith("(") and isinstance(part, Infix) and _is_closed(said)
    return said if isinstance(part, (*_TIGHT, Postfix)) or closed else f"({said})"


def _bare(said: str) -> str:
    """A part without the brackets around it."""
    return said[1:-1] if said.startswith("(") and _is_closed(said) else said


def _is_closed(said: str) -> bool:
    """Whether the first bracket of a text closes at its end."""
    depth = 0
    for place, letter in enumerate(said):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return place == len(said) - 1
    return False


def _said(text: str, part: Syntax) -> str:
    return text[slice(*part.span)]


def _signs(text: str, part: Syntax) -> Iterator[Edit]:
    if isinstance(part, Infix) and part.operator.name in ("add", "subtract"):
        between = text[part.left.span[1] : part.right.span[0]]
        minus = part.operator.name == "subtract"
        turned = (
            between.replace("−", "-").replace("-", "+", 1)
            if minus
            else between.replace("+", "-", 1)
        )
        place = (part.left.span[1], part.right.span[0])
        right = _said(text, part.right)
        has, puts = ("-", "+") if minus else ("+", "-")
        yield Edit(spliced(text, place, turned), f"{has} before {right}", puts, "sign")
    if isinstance(part, Prefix) and part.operator.name == "minus":
        yield _edit(
            text, part.span, _said(text, part.operand), "minus", puts=_said(text, part.operand)
        )
    if isinstance(part, Call):
        for argument in part.arguments:
            if not isinstance(argument, Number):
                yield _edit(text, argument.span, f"-{_loose(text, argument)}", "minus")


def _addends(text: str, part: Syntax) -> Iterator[Edit]:
    if not (isinstance(part, Infix) and part.operator.name in ("add", "subtract")):
        return
    minus = part.operator.name == "subtract"
    opened = _bare(_said(text, part)) != _said(text, part)
    for kept, gone in ((part.left, part.right), (part.right, part.left)):
        new = _said(text, kept)
        new = f"-{_loose(text, kept)}" if minus and kept is part.right else new
        yield _edit(text, part.span, f"({new})" if opened else new, "term", _said(text, gone))


def _turns(text: str, part: Syntax) -> Iterator[Edit]:
    if isinstance(part, Postfix):
        yield _edit(text, part.span, _said(text, part.operand), "turn")
    elif isinstance(part, (Name, Call)) or (
        isinstance(part, Infix) and _said(text, part)[0] == "("
    ):
        if text[part.span[1] : part.span[1] + 1] != "'":
            yield _edit(text, part.span, f"{_loose(text, part)}'", "turn")


def _products(text: str, part: Syntax) -> Iterator[Edit]:
    if not isinstance(part, Infix):
        return
    name = part.operator.name
    left, right = _said(text, part.left), _said(text, part.right)
    opened, closed = (
        ("(", ")")
        if _said(text, part).startswith("(") and _is_closed(_said(text, part))
        else ("", "")
    )

    def made(new: str, kind: str, has: str = "", puts: str = "") -> Edit:
        return _edit(text, part.span, f"{opened}{new}{closed}", kind, has, puts)

    if name in _PRODUCTS or name == "kron":
        sign = part.operator.plain
        tight = _loose(text, part.left) if isinstance(part.left, Infix) else left
        yield made(f"{_loose(text, part.right)}{sign}{tight}", "order")
        yield made(right, "drop", left, "")
        yield made(left, "drop", right, "")
    if name == "times":
        yield made(f"{left}*vector(1)", "drop", right, "")
        yield made(f"vector(1)'*{right}", "drop", left, "")
    if name in _PRODUCTS:
        yield made(f"{left}{_PRODUCTS[name]}{right}", "product")
        if name == "entry_times":
            plain = _loose(text, part.left) if isinstance(part.left, Infix) else left
            yield made(f"diag({_bare(right)})*{plain}", "other")
            yield made(f"{plain}*diag({_bare(right)})", "other")
            yield made(f"diag({_bare(left)})*{_loose(text, part.right)}", "other")
        if not isinstance(part.right, Number):
            yield made(f"{left}/{_loose(text, part.right)}", "other")
    if name in _QUOTIENTS:
        times = "*" if name == "divide" else ".*"
        yield made(left, "drop", f"1/{_loose(text, part.right)}", "")
        yield made(f"{left}{times}{_loose(text, part.right)}", "other")
        yield made(f"{right}{part.operator.plain}{_loose(text, part.left)}", "other")


def _powers_changed(text: str, part: Syntax) -> Iterator[Edit]:
    if not isinstance(part, Infix) or part.operator.name not in _POWERS:
        return
    base = _said(text, part.left)
    yield _edit(text, part.span, base, "power")
    exponent = part.right
    written = _said(text, exponent)
    for new in (f"(({written})-1)", f"(({written})+1)", f"(-({written}))"):
        changed = spliced(text, exponent.span, new)
        said = f"{text[part.span[0] : exponent.span[0]]}{_plain_power(written, new)}"
        yield Edit(changed, _said(text, part), said, "power")


def _plain_power(written: str, new: str) -> str:
    """An exponent one more, one less or negative, as a person writes it."""
    try:
        value = int(written.strip("()"))
    except ValueError:
        return new.replace("((", "(").replace(")-", "-").replace(")+", "+")
    other = {"-1": value - 1, "+1": value + 1}.get(new[-3:-1], -value)
    return str(other) if other >= 0 else f"({other})"


def _calls(text: str, part: Syntax) -> Iterator[Edit]:
    if not isinstance(part, Call):
        return
    whole = _said(text, part)
    if len(part.arguments) == 1:
        inside = _said(text, part.arguments[0])
        yield _edit(text, part.span, f"({inside})", "function", puts=inside)
    for family in _FAMILIES:
        for other in family if part.word in family else ():
            if other != part.word:
                new = other + text[part.word_span[1] : part.span[1]]
                yield _edit(text, part.span, new, "function")
    if len(part.arguments) == 2:
        first, second = (_said(text, a) for a in part.arguments)
        if second in ("1", "2"):
            other = "2" if second == "1" else "1"
            new = f"{part.word}({first},{other})"
            yield _edit(text, part.span, new, "axis")
            yield _edit(text, part.span, f"{part.word}({first})", "axis")
        else:
            yield _edit(text, part.span, f"{part.word}({second},{first})", "order")
    elif len(part.arguments) == 1 and part.word in ("sum", "mean", "softmax", "logsumexp"):
        for axis in "12":
            yield _edit(text, part.span, f"{whole[:-1]},{axis})", "axis")


def _indices(text: str, part: Syntax) -> Iterator[Edit]:
    """Index form: two letters of one entry exchanged."""
    if not isinstance(part, Index):
        return
    items = [text[slice(*item.span)] for item in part.items]
    base = _said(text, part.base)
    for a in range(len(items)):
        for b in range(a + 1, len(items)):
            if items[a] != items[b]:
                swapped = list(items)
                swapped[a], swapped[b] = items[b], items[a]
                yield _edit(text, part.span, f"{base}[{','.join(swapped)}]", "index")
    letters = sorted({c for c in "abcdefghijklmnopqrst" if f"{c}," in text or f"{c}]" in text})
    for a, item in enumerate(items):
        for letter in letters:
            if letter not in items and item.isalpha():
                new = [*items[:a], letter, *items[a + 1 :]]
                yield _edit(text, part.span, f"{base}[{','.join(new)}]", "index")


def _numbers(text: str, part: Syntax) -> Iterator[Edit]:
    if isinstance(part, Number):
        said = _said(text, part)
        value = part.value
        for new in (value + 1, value - 1, value * 2, value / 2, -value):
            written = str(new) if new.denominator == 1 and new >= 0 else f"({new})"
            if new and written != said:
                yield _edit(text, part.span, written, "number")


def _wrapped(text: str, part: Syntax, words: Sequence[str]) -> Iterator[Edit]:
    if isinstance(part, (Name, Call, Infix, Postfix)):
        said = _said(text, part)
        inside = _bare(said)
        for word in words:
            yield _edit(text, part.span, f"{word}({inside})", "function")
        if not isinstance(part, Infix):
            yield _edit(text, part.span, f"{said}^2" if "." not in said else said, "power")
            yield _edit(text, part.span, f"{said}.^2", "power")


def _renamed(text: str, part: Syntax, names: Sequence[str]) -> Iterator[Edit]:
    if isinstance(part, Name):
        for name in names:
            if name != part.name:
                yield _edit(text, part.span, name, "name")


def _inverse(factor: str) -> str:
    plain = factor.isalnum() or (factor.endswith(")") and factor.find("(") == factor.rfind("("))
    plain = plain or (factor.startswith("(") and _is_closed(factor))
    return f"1/{factor}" if plain else f"1/({factor})"


def inserted(text: str, factors: Sequence[str]) -> Iterator[Edit]:
    """A factor put into each term: before it, behind it, entry by entry, below it."""
    for term in terms(text):
        said = term.said
        inner = f"({said})"
        for factor in factors:
            ways = {
                f"({factor})*{inner}": factor,
                f"{inner}*({factor})": factor,
                f"({factor}).*{inner}": factor,
                f"{inner}/({factor})": _inverse(factor),
                f"diag({factor})*{inner}": f"diag({factor})",
            }
            for new, name in ways.items():
                yield _edit(text, term.span, new, "missing", said, name)
