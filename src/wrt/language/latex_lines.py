r"""The lines of a LaTeX text: a formula, what \text{where} defines, what \in declares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NoReturn

from wrt.errors import SyntaxMistake
from wrt.expression.dataclass import dataclass
from wrt.language.latex_cursor import end_after, shown
from wrt.language.latex_reader import FormulaReader
from wrt.language.latex_tokens import latex_tokens
from wrt.language.lexer import Token
from wrt.language.syntax import Declaration, Doubt, Index, Line, Name, Program, Span, Syntax

__all__ = ["parse_latex", "plain_name"]

_WHERE = frozenset({"where", "with", "for", "given"})
_JOINS = frozenset({"and", "so that", "such that"})
_SPACES = {"R": "", "C": "complex", "S": "symmetric"}


@dataclass
class _Found:
    """What the lines give together."""

    lines: list[Line]
    declarations: list[Declaration]
    doubts: list[Doubt]
    notes: list[str]
    spellings: dict[str, str]


@lru_cache(maxsize=256)
def parse_latex(
    text: str, known: frozenset[tuple[str, bool]] = frozenset(), steps: bool = False
) -> Program:
    r"""The lines of a LaTeX text as syntax; `known` are declared names, and which are functions.

    With `steps` they are those of a recurrence: in s_{t-1} stands a step below the name.

    >>> program = parse_latex(r"\lVert P x \rVert_2 \quad\text{where}\quad P = A B")
    >>> [line.target for line in program.lines]
    ['P', None]
    """
    tokens = latex_tokens(text)
    segments = _segments(tokens, text)
    if not segments:
        raise SyntaxMistake(
            "there is no formula: the text is empty", hint=r"perhaps W x + b, or x^\top A x"
        )
    found = _Found([], [], [], [], {})
    formula: Line | None = None
    names = dict(known)
    waiting: list[Token] = []
    step = _step_letter([segment for segment, _ in segments]) if steps else ""
    for segment, behind in segments:
        kinds = [t.kind for t in segment]
        if "in" in kinds:
            found.declarations += _declared([*waiting, *segment], text)
            waiting = []
            continue
        if behind and "=" not in kinds:
            waiting += segment
            continue
        line = _line(segment, tokens, names, found, text, step)
        defined = found.lines and found.lines[-1].target is not None
        if behind and formula is None and found.lines and not (behind == "," and defined):
            formula = found.lines.pop()
        found.lines.append(line)
    if waiting:
        span = (waiting[0].span[0], waiting[-1].span[1])
        _refuse(text, span, "behind the formula stand definitions only", r"as in P = A B")
    return _program(found, formula, text)


def _program(found: _Found, formula: Line | None, text: str) -> Program:
    lines = found.lines + ([formula] if formula else [])
    if not lines:
        _refuse(text, (0, len(text)), "there is no formula, only declarations")
    for line in lines[:-1]:
        if line.target is None:
            _refuse(text, line.span, "this line defines nothing", r"as in h = W x \\ h^\top h")
    return Program(
        tuple(lines),
        tuple(found.declarations),
        text,
        tuple(found.doubts),
        tuple(found.notes),
        tuple(found.spellings.items()),
    )


def _refuse(text: str, span: Span, message: str, hint: str | None = None) -> NoReturn:
    raise SyntaxMistake(message, text=text, span=span, hint=hint)


def _segments(tokens: list[Token], text: str) -> list[tuple[list[Token], str]]:
    """The tokens of each line, and behind what it stands: a comma, a word such as `where`."""
    segments: list[tuple[list[Token], str]] = []
    current: list[Token] = []
    behind, depth = "", 0
    for token in tokens:
        depth += _opens(token)
        is_end = token.kind == "end" and not token.text
        word = token.text.strip(" ,.:;").lower() if token.kind == "words" else ""
        joins = word in _WHERE or word in _JOINS
        if is_end or (depth <= 0 and (token.kind in ("\\\\", ";", ",") or joins)):
            while current and current[-1].kind == ".":  # a sentence ends here
                current.pop()
            if current:
                segments.append((current, behind))
            elif word in _WHERE and not segments:
                _refuse(text, token.span, f"{word} stands behind a formula")
            current = []
            if word in _WHERE or (joins and segments):
                behind = "where"
            elif token.kind == "," and segments:
                behind = behind or ","
        elif token.kind != "&" or depth > 0:
            current.append(token)
    return segments


def _opens(token: Token) -> int:
    if token.kind in ("(", "[", "{", "⟨", "begin"):
        return 1
    if token.kind in (")", "]", "}", "⟩") or (token.kind == "end" and token.text):
        return -1
    return 0


def _line(
    segment: list[Token],
    every: list[Token],
    known: Mapping[str, bool],
    found: _Found,
    text: str,
    step: str,
) -> Line:
    depth = 0
    equals: int | None = None
    for k, token in enumerate(segment):
        depth += _opens(token)
        if token.kind == "=" and not depth:
            equals = k
            break
    target: str | None = None
    indices: tuple[str, ...] | None = None
    groups: tuple[int, ...] = ()
    if equals is not None:
        target, below = _target(segment[:equals], segment[equals], text, known)
        if step and [t.text for t in below] == [step]:
            indices, groups = (step,), (1,)
        elif step and [t.kind for t in below] == ["letter", "+", "number"]:
            target = f"{target}[{''.join(t.text for t in below)}]"
        elif below and step:
            target = _with_subscript(target, below, text, known)
        elif below:
            indices, groups = _indices(below, segment[equals + 1 :])
            if indices is None:
                target = _with_subscript(target, below, text, known)
    body = segment if equals is None else segment[equals + 1 :]
    last = body[-1] if body else segment[-1]
    reader = FormulaReader([*body, end_after(last)], text, known)
    reader.every, reader.lines, reader.step = every, found.lines, step
    if indices is not None and not step:
        _enter(reader, indices, body)
    made = reader.whole()
    found.doubts += reader.doubts
    found.spellings |= reader.spellings
    found.notes += [note for note in reader.notes if note not in found.notes]
    span = (segment[0].span[0], segment[-1].span[1])
    if equals is None and indices is None:
        return Line(None, None, made, span)
    return Line(target, indices, made, span, groups)


def _step_letter(segments: list[list[Token]]) -> str:
    """The letter below the names that lines of a recurrence define; t where there is none."""
    met: list[str] = []
    for segment in segments:
        kinds = [t.kind for t in segment]
        head = segment[: kinds.index("=")] if "=" in kinds else []
        if "_" in kinds[: len(head)]:
            below = [t for t in head[kinds.index("_") + 1 :] if t.kind not in ("{", "}")]
            said = [t.kind for t in below]
            met += [below[0].text] if said in (["letter"], ["letter", "+", "number"]) else []
    return max(met, key=met.count) if met else "t"


def _enter(reader: FormulaReader, indices: Iterable[str], body: list[Token]) -> None:
    """Index form: the letters on the left are indices, and those that stand twice on the right."""
    counts = Counter(k for group in _subscripts(body) for k in group)
    counts -= Counter({k: 10**6 for k in counts if k not in _below_names(body)})
    summed = _summed(body)
    twice = (k for k, count in counts.items() if count > 1 and k not in summed)
    letters = [*indices, *twice]
    reader.bound = {letter: letter for letter in letters}
    reader.indices = set(letters)
    reader.by_entries = True


def _summed(tokens: list[Token]) -> set[str]:
    r"""The letters below the signs of sums."""
    found: set[str] = set()
    for k, token in enumerate(tokens):
        if token.kind in ("sum", "prod"):
            for one in tokens[k + 2 : k + 10]:
                found |= {one.text} if one.kind == "letter" else set()
                if one.kind not in ("{", ",", "letter"):
                    break
    return found


def _below_names(tokens: list[Token]) -> set[str]:
    """The letters that stand below more than an identity or ones, where they may be sizes."""
    return {k for group in _subscripts(tokens, sizes=False) for k in group}


def _subscripts(tokens: list[Token], sizes: bool = True) -> list[list[str]]:
    """The letters of every subscript that is made of letters only."""
    found: list[list[str]] = []
    for k, token in enumerate(tokens[:-1]):
        if token.kind != "_" or (k and tokens[k - 1].kind in ("sum", "prod")):
            continue
        before = [t.text for t in tokens[max(k - 2, 0) : k] if t.kind != "}"][-1:]
        if not sizes and before in (["I"], ["0"], ["1"]):
            continue
        group: list[str] = []
        braced = tokens[k + 1].kind == "{"
        for one in tokens[k + 1 + braced :]:
            if one.kind not in ("letter", "number", ",", "(", ")"):
                group = group if one.kind == "}" or not braced else []
                break
            group += [one.text] if one.kind == "letter" else []
            if not braced:
                break
        found.append(group)
    return found


def _target(
    left: list[Token], equals: Token, text: str, known: Mapping[str, bool]
) -> tuple[str, list[Token]]:
    r"""The name left of =, and what stands below it; the arguments in f(x) = … are left aside."""
    hint = r"as in h = W x, f(x) = x^\top x or D_{ij} = A_{ik} B_{kj}"
    if not left:
        _refuse(text, equals.span, "= has nothing on its left", hint)
    depth, cut = 0, len(left)
    for k, token in enumerate(left):
        if token.kind == "(" and not depth and k:
            cut = k
            break
        depth += _opens(token)
    head = left[:cut]
    below: list[Token] = []
    depth = 0
    for k, token in enumerate(head):
        depth += _opens(token)
        if token.kind == "_" and k and not depth:
            below = head[k + 1 :]
            head = head[:k]
            if below and below[0].kind == "{" and below[-1].kind == "}":
                below = below[1:-1]
            break
    span = (left[0].span[0], left[-1].span[1])
    made = _name_of(head, text, known) if head else None
    if made is None:
        _refuse(text, span, "left of = stands a name", hint)
    return made, below


def _name_of(head: list[Token], text: str, known: Mapping[str, bool]) -> str | None:
    try:
        made = FormulaReader([*head, end_after(head[-1])], text, known).whole()
    except SyntaxMistake:
        return None
    return made.name if isinstance(made, Name) else None


def _with_subscript(stem: str, below: list[Token], text: str, known: Mapping[str, bool]) -> str:
    head = Token("letter", stem, (below[0].span[0], below[0].span[0]))
    reader = FormulaReader([*below, end_after(below[-1])], text, known)
    made = reader.named(stem, "", head)(below)
    if not isinstance(made, Name):
        _refuse(text, (below[0].span[0], below[-1].span[1]), "left of = stands a name")
    return made.name


def _indices(
    below: list[Token], body: list[Token]
) -> tuple[tuple[str, ...] | None, tuple[int, ...]]:
    """The index letters on the left, and how many make up each axis; None: a name."""
    kept = [t for t in below if t.kind in ("letter", "(", ")")]
    letters = [t.text for t in kept if t.kind == "letter"]
    if len(kept) + sum(t.kind == "," for t in below) < len(below) or not letters:
        return None, ()
    met = {k for group in _subscripts(body) for k in group}
    zero = [t.text for t in body] == ["0"]
    if not zero and not met & set(letters):
        return None, ()
    groups: list[int] = []
    within = False
    for token in kept:
        if token.kind == "letter":
            if within:
                groups[-1] += 1
            else:
                groups.append(1)
        else:
            within = token.kind == "("
            groups += [0] * within
    return tuple(letters), tuple(groups)


def _declared(segment: list[Token], text: str) -> list[Declaration]:
    r"""`x, y \in \mathbb{R}^n` declares names."""
    k = next(k for k, t in enumerate(segment) if t.kind == "in")
    span = (segment[0].span[0], segment[-1].span[1])
    hint = r"as in A \in \mathbb{R}^{n \times m}"
    space = [t for t in segment[k + 1 :] if t.kind not in ("{", "}", "font", "^")]
    if not space or space[0].text not in _SPACES or segment[k + 1].text != r"\mathbb":
        _refuse(text, span, r"behind \in stands a space of vectors or matrices", hint)
    sizes, rest = [], space[1:]
    positive = [t for t in rest if t.kind in ("+", "_")]
    for token in rest:
        if token.kind in ("letter", "number", "words"):
            sizes.append(token.text)
        elif token.kind not in ("*", ",", "+", "_"):
            _refuse(text, token.span, f"{shown(token)} is no size", hint)
    word = "spd" if positive and space[0].text == "S" else _SPACES[space[0].text]
    if space[0].text == "S":
        sizes = sizes * 2 if len(sizes) == 1 else sizes
    if positive and space[0].text == "R":
        word = "positive"
    shape = " ".join([*sizes, word]).strip()
    names = [t for t in segment[:k] if t.kind != ","]
    return [
        Declaration(name, shape, span) for name in _names_of(names, text) or _no_name(text, span)
    ]


def _no_name(text: str, span: Span) -> NoReturn:
    _refuse(text, span, r"left of \in stand names", r"as in x, y \in \mathbb{R}^{n}")


def _names_of(tokens: list[Token], text: str) -> list[str]:
    """The names that stand side by side."""
    if not tokens:
        return []
    reader = FormulaReader([*tokens, end_after(tokens[-1])], text, {})
    found: list[str] = []
    while reader.token.kind != "end":
        made: Syntax = reader.factor()
        if isinstance(made, Index) or not isinstance(made, Name):
            return []
        found.append(made.name)
    return found


def plain_name(text: str) -> str:
    r"""A name in LaTeX as the text language has it.

    >>> plain_name("W_{hh}"), plain_name(r"\theta_1"), plain_name(r"\hat{\mathbf{x}}")
    ('W_hh', 'theta1', 'x_hat')
    """
    program = parse_latex(f"${text}$")
    body = program.lines[-1].body
    if len(program.lines) > 1 or not isinstance(body, Name):
        _refuse(text, (0, len(text)), f"{text} is no name", r"as in W_{hh} or \theta")
    return body.name
