"""The lines of a recurrence as syntax, before their shapes are found.

LaTeX is read, s[t+1] = … becomes a line for s[t], and lines about the last step become lines of
every step.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from fractions import Fraction

from wrt.expression.dataclass import dataclass, replace
from wrt.expression.function import Function
from wrt.language.operators import INFIX
from wrt.language.parser import parse
from wrt.language.reader import is_latex_text
from wrt.language.syntax import (
    Bracket,
    Call,
    Index,
    Infix,
    Line,
    Name,
    Number,
    Postfix,
    Prefix,
    Program,
    Slice,
    Syntax,
    postorder,
)
from wrt.language.written import written

__all__ = ["LENGTHS", "Parsed", "names_in", "parsed", "renamed", "shift_of", "start_of"]

#: Names for the number of steps, in the order of preference.
LENGTHS = ("T", "steps", "length")

#: A line for a later step, s[t+1] = …; s[T+1] = … says where a state starts.
_LATER = re.compile(rf"(\w+)\[((?!{LENGTHS[0]}\b)[^\W\d]\w*)([+-]\d+)\]")

#: Steps that stand above names: h^{(t-1)}.
_ABOVE = re.compile(r"\^\{\(([a-z](?:[+-]\d+)?)\)\}")


@dataclass(frozen=True)
class Parsed:
    """Lines with what was done to them: `final` are the names about the last step, `totals` those
    that were defined as sums over all steps, `said` the text of every line that defines a name for
    every step, `counts` tells whether the number of steps is a number in some line."""

    program: Program
    final: frozenset[str]
    totals: frozenset[str]
    said: Mapping[str, str]
    counts: bool


def parsed(text: str, declared: Mapping[str, object]) -> Parsed:
    """The lines of a text, in LaTeX or in the text language.

    >>> parsed("s[t+1] = W*s[t] + x[t]", {}).said
    {'s': 's[t] = W*s[t-1] + x[t-1]'}
    """
    program = _program(text, declared)
    program = replace(program, lines=_without_totals(program.lines))
    before = program.lines
    runs = _runs_to_the_end(before, before)
    moved = tuple(_added(_shifted(line), program.lines) for line in program.lines)
    told = {}
    for line, now in zip(program.lines, moved, strict=True):
        if now is not line or is_latex_text(text):
            told[now] = written(replace(program, lines=(now,), declarations=()))
        else:
            told[now] = " ".join(text[slice(*line.span)].split())
    program, final = _with_ends(replace(program, lines=moved))
    said = {
        str(line.target): told[one]
        for one, line in zip(moved, program.lines, strict=True)
        if line.indices is not None
    }
    totals = {x.target for x in before if x.indices is None and x.target in said} - final
    bodies = [p for line in program.lines for p in postorder(line.body)]
    counts = any(isinstance(p, Name) and p.name == LENGTHS[0] for p in bodies)
    counts = counts and runs and LENGTHS[0] not in {*declared, *said}
    return Parsed(program, final, frozenset(map(str, totals)), said, counts)


def _runs_to_the_end(some: Sequence[Line], lines: Sequence[Line]) -> bool:
    """Whether lines are about all steps: a sum over the steps is there, or a state s[T]."""
    parts = [p for line in some for p in postorder(line.body)]
    return any(_summand(p, lines) is not None or _at_end(p, ()) for p in parts)


def _program(text: str, declared: Mapping[str, object]) -> Program:
    """The lines of a text, in LaTeX or in the text language."""
    if not is_latex_text(text):
        return parse(text, True)
    from wrt.language.latex_lines import parse_latex

    known = frozenset((name, isinstance(one, Function)) for name, one in declared.items())
    below = _ABOVE.sub(r"_{\1}  ", text.replace("\n", ";"))  # places stay as they are
    program = parse_latex(below, known, True)
    states = {one.target for one in program.lines if one.indices}
    lines = [
        replace(one, target=f"{start_of(Name(one.target, one.span))}[0]")
        if one.target is not None and start_of(Name(one.target, one.span)) in states
        else one
        for one in program.lines
    ]
    return replace(program, lines=tuple(lines), text=text)


def _without_totals(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines without L = sum(t, 1, T, L[t]): a loss is added up over the steps as it is."""
    kept = []
    for line in lines:
        summand = _summand(line.body, lines)
        same = isinstance(summand, Index) and isinstance(summand.base, Name)
        if line.indices is not None or not same or summand.base.name != line.target:  # type: ignore[union-attr]
            kept.append(line)
    return tuple(kept)


def _added(line: Line, lines: Sequence[Line]) -> Line:
    """A line that adds up over all steps, L = sum(t, 1, T, …)/T + λ*norm2(W)^2, as one for every
    step: what is added once is added by its Tth part at each."""
    if line.target is None or line.indices is not None or "[" in line.target:
        return line
    terms = list(_terms(line.body))
    summed = {term: found for term in terms if (found := _in_factors(term, lines)) is not None}
    still = [term for term in terms if term not in summed]
    if not summed or not all(_is_still(term, lines) for term in still):
        return line
    step = _step_of(lines)

    def rule(part: Syntax) -> Syntax:
        if part in summed:
            place, found = summed[part]
            return renamed(part, lambda inner: found if inner is place else inner)
        if part in still:
            return Infix(INFIX["/"], part, Name(LENGTHS[0], part.span), part.span)
        return part

    return replace(line, indices=(step,), groups=(1,), body=_mapped(line.body, rule, {*terms}))


def _terms(body: Syntax) -> Iterator[Syntax]:
    """The terms of a sum, their signs apart."""
    stack = [body]
    while stack:
        part = stack.pop()
        if isinstance(part, Infix) and part.operator.name in ("add", "subtract"):
            stack += [part.right, part.left]
        elif isinstance(part, Prefix) and part.operator.name == "minus":
            stack.append(part.operand)
        else:
            yield part


def _mapped(body: Syntax, rule: Callable[[Syntax], Syntax], terms: Collection[Syntax]) -> Syntax:
    """A sum with every term passed through a rule."""
    if body in terms:
        return rule(body)
    if isinstance(body, Prefix):
        return replace(body, operand=_mapped(body.operand, rule, terms))
    assert isinstance(body, Infix)
    left, right = (_mapped(one, rule, terms) for one in (body.left, body.right))
    return replace(body, left=left, right=right)


def _in_factors(term: Syntax, lines: Sequence[Line]) -> tuple[Syntax, Syntax] | None:
    """A sum over all steps in a product with what is the same at every step, and its summand."""
    path: Syntax | None = term
    while path is not None:
        found = _summand(path, lines)
        if found is not None:
            return path, found
        path = _factored(path, lines)
    return None


def _summand(part: Syntax, lines: Sequence[Line]) -> Syntax | None:
    """What is added up over all steps; None where something else is."""
    if not isinstance(part, Call) or part.word != "sum":
        return None
    if len(part.arguments) == 2:
        letter, body = part.arguments
        whole = True
    elif len(part.arguments) == 4:
        letter, low, high, body = part.arguments
        first = isinstance(low, Number) and low.value == 1
        whole = first and isinstance(high, Name) and high.name == LENGTHS[0]
    else:
        return None
    return body if whole and isinstance(letter, Name) and letter.name == _step_of(lines) else None


def _factored(part: Syntax, lines: Sequence[Line]) -> Syntax | None:
    """The part of a product that may hold a sum over steps, its factor the same at every step."""
    match part:
        case Prefix(operand=operand) if part.operator.name == "minus":
            return operand
        case Infix(left=left, right=right) if part.operator.name in ("times", "divide"):
            if _is_still(right, lines):
                return left
            return right if part.operator.name == "times" and _is_still(left, lines) else None
    return None


def _is_still(part: Syntax, lines: Sequence[Line]) -> bool:
    """Whether a factor does not change with the step."""
    moving = {_step_of(lines)}
    moving |= {str(one.target) for one in lines if one.indices or _runs_to_the_end([one], lines)}
    return not any(isinstance(p, Name) and p.name in moving for p in postorder(part))


def _step_of(lines: Sequence[Line]) -> str:
    """The letter of the steps."""
    return next((x.indices[0] for x in lines if x.indices and len(x.indices) == 1), "t")


def _shifted(line: Line) -> Line:
    """A line for s[t+1] as one for s[t]: every step in it is one less."""
    found = _LATER.fullmatch(str(line.target))
    if found is None:
        return line
    name, step, ahead = found[1], found[2], int(found[3])

    def rule(part: Syntax) -> Syntax:
        if not isinstance(part, Index) or len(part.items) != 1 or isinstance(part.items[0], Slice):
            return part
        (item,) = part.items
        shift = shift_of(item, step)  # type: ignore[arg-type]
        return part if shift is None else replace(part, items=(_moment(step, shift - ahead, part),))

    return replace(line, target=name, indices=(step,), groups=(1,), body=renamed(line.body, rule))


def _moment(step: str, shift: int, part: Syntax) -> Syntax:
    name = Name(step, part.span)
    if not shift:
        return name
    sign = INFIX["-" if shift < 0 else "+"]
    return Infix(sign, name, Number(Fraction(abs(shift)), part.span), part.span)


def _with_ends(program: Program) -> tuple[Program, frozenset[str]]:
    """The lines about the last step, E = norm2(s[T])^2, as lines of every step; and their names."""
    steps = [line.indices[0] for line in program.lines if line.indices and len(line.indices) == 1]
    if not steps:
        return program, frozenset()
    final: set[str] = set()
    plain = [x for x in program.lines if x.target and x.indices is None and "[" not in x.target]
    count = -1
    while count < len(final):
        count = len(final)
        final |= {str(x.target) for x in plain if any(_at_end(p, final) for p in postorder(x.body))}

    done: set[Syntax] = set()

    def turned(part: Syntax) -> Syntax:
        if isinstance(part, Index) and _at_end(part, ()):
            return replace(part, items=(Name(steps[0], part.span),))
        if isinstance(part, Name) and part.name in final and part not in done:
            done.add(part)
            return Index(part, (Name(steps[0], part.span),), part.span)
        return part

    lines = tuple(
        replace(x, indices=(steps[0],), body=renamed(x.body, turned)) if x.target in final else x
        for x in program.lines
    )
    return replace(program, lines=lines), frozenset(final)


def _at_end(part: Syntax, final: Collection[str]) -> bool:
    """Whether a part is s[T], or the name of a line about the last step."""
    if isinstance(part, Name):
        return part.name in final
    if not isinstance(part, Index) or len(part.items) != 1:
        return False
    (item,) = part.items
    return isinstance(item, Name) and item.name == LENGTHS[0]


def start_of(part: Syntax) -> str | None:
    """The state whose start a name is: s of s0."""
    return part.name[:-1] if isinstance(part, Name) and part.name.endswith("0") else None


def names_in(item: object) -> list[str]:
    """The names in what stands between square brackets."""
    if isinstance(item, Slice):
        return [n for end in (item.low, item.high) if end is not None for n in names_in(end)]
    if isinstance(item, Number | Name | Infix | Prefix | Postfix | Call | Index | Bracket):
        return [p.name for p in postorder(item) if isinstance(p, Name)]
    return [one.name for one in getattr(item, "names", ())]


def shift_of(item: Syntax, step: str) -> int | None:
    """The whole number that is added to the step; None where it is anything else."""
    if isinstance(item, Name):
        return 0 if item.name == step else None
    if not isinstance(item, Infix) or item.operator.name not in ("add", "subtract"):
        return None
    left, right = item.left, item.right
    if isinstance(left, Number) and item.operator.name == "add":
        left, right = right, left
    if not (isinstance(left, Name) and left.name == step and isinstance(right, Number)):
        return None
    if right.value.denominator != 1 or right.imaginary:
        return None
    return int(right.value) * (1 if item.operator.name == "add" else -1)


def renamed(
    root: Syntax, rule: Callable[[Syntax], Syntax], done: dict[Syntax, Syntax] | None = None
) -> Syntax:
    """The tree with every part passed through a rule, parents before what stands in them; `done`
    takes what became of each."""
    done = {} if done is None else done
    stack: list[tuple[Syntax, Syntax | None]] = [(root, None)]
    while stack:
        part, turned = stack.pop()
        if turned is None:
            turned = rule(part)
            stack.append((part, turned))
            stack.extend((child, None) for child in turned.children)
            continue
        done[part] = _rebuilt(turned, [done[c] for c in turned.children])
    return done[root]


def _rebuilt(part: Syntax, children: Sequence[Syntax]) -> Syntax:
    if all(a is b for a, b in zip(children, part.children, strict=True)):
        return part
    match part:
        case Prefix() | Postfix():
            return replace(part, operand=children[0])
        case Infix():
            return replace(part, left=children[0], right=children[1])
        case Call():
            return replace(part, arguments=tuple(children))
        case Index():
            return replace(part, base=children[0])
        case Bracket():
            rest = iter(children)
            return replace(part, rows=tuple(tuple(next(rest) for _ in row) for row in part.rows))
    raise AssertionError(part)
