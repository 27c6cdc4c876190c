"""The differential of a formula, line by line: as a good teacher writes it on a board.

A line is a product or sum rule, or the rules of the functions of one level. `d(inv(X))` stands for
a change that the next line writes out. What is repeated or long has a name of its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, count
from types import MappingProxyType
from typing import TypeGuard

from wrt import notation
from wrt.algebra import expand, flat_form, settled
from wrt.answers.derivation.rules import call_rule, structure_rule, word_rules
from wrt.calculus import differential
from wrt.expression.dataclass import dataclass
from wrt.expression.nodes import Apply, Einsum, Node, Result, Sum, Variable
from wrt.expression.walk import postorder, substitute, users
from wrt.notation.differential import Sentence, sentence, written_as

__all__ = ["Derivation", "Line"]

#: A line longer than this is shortened by naming parts, at most this often.
LONG, TRIES = 72, 4
#: Levels of functions that are written one into the other; deeper ones are named.
DEEP = 2
#: What is told beside a line is no longer than this.
TOLD = 48
#: A part is named for its length only where its text is longer than this.
SHORT = 5

_ENTRIES = re.compile(r"\[[\w,()]*\] = ")


@dataclass(frozen=True)
class Line:
    """One line: what it says of what, and why.

    `node` is the right side as a formula; it is the value of the formula `of`, or its change.
    """

    left: str
    text: str
    latex: str
    rule: str
    node: Node
    of: Node
    is_change: bool


class Derivation:
    """The lines from a formula to its differential, with all names that they use.

    `left` is what the formula is called. `meaning` tells for every name that is not the formula's
    own what it stands for, and whether it is the change of that.
    """

    def __init__(
        self,
        f: Node,
        x: Variable,
        left: str,
        names: Sequence[str],
        *,
        given: Node | None = None,
        row: bool = False,
        held: Mapping[Variable, Node] = MappingProxyType({}),
    ) -> None:
        self.given, self.f, self.x, self.row = f if given is None else given, expand(f), x, row
        self.left, self.names, self.held = left, tuple(names), held
        self.change = Variable(self._free(self._spoken()), x.dims, _kept(x))
        self.words = {expand(n): n for n in postorder(f) if _is_word(n)}
        self.is_deep = False
        self._find()

    def _find(self) -> None:
        """Write the lines; where they get long, again with more parts named."""
        levels = _levels(self.f, self.x)
        named = _repeated(self.f, self.x, ())
        order = {node: k for k, node in enumerate(postorder(self.f))}
        for _ in range(TRIES):
            self._write(named)
            longest = max((line.text for line in self.lines), key=len, default="")
            if len(longest) <= LONG:
                return
            if max(levels.values(), default=0) > DEEP and not self.is_deep:
                self.is_deep = True
                levels.pop(self.f, None)
                more = _repeated(self.f, self.x, levels)
            else:
                more = self._repeated_in(longest, named)
                if not more:
                    return
            named = sorted({*named, *more}, key=order.__getitem__)
        self._write(named)

    def _spoken(self) -> str:
        """What the change of x is called."""
        if self.x in self.held:
            return f"d(conj({self.held[self.x].children[0].name}))"  # type: ignore[attr-defined]
        return f"d{self.x.name}"

    def _free(self, name: str) -> str:
        while name in self.names:
            name += "_"
        return name

    # One try, with chosen parts named

    def _write(self, named: Sequence[Node]) -> None:
        self.lines: list[Line] = []
        self.meaning: dict[str, tuple[Node, bool]] = {}
        self.written = {self.change.name: rf"\mathrm{{d}}{_latex(self.x)}"}
        self.known: dict[Node, Variable] = {}
        self.changes: dict[Node, Node] = {self.x: self.change}
        self.pending: dict[Variable, tuple[Node, str]] = {}
        self.waiting: list[tuple[Variable, Node]] = []
        for part in named:
            self._name(part)
        self._chain(self.f, self.left)

    def _name(self, part: Node) -> None:
        """Give a part a name: what takes one line is told where it is used, a level has lines."""
        body = in_terms_of(part, self.known)
        word = self._letter(part)
        value, change = Variable(word, part.dims), Variable(f"d{word}", part.dims)
        self.meaning |= {word: (part, False), change.name: (part, True)}
        self.written[change.name] = rf"\mathrm{{d}}{_latex(value)}"
        self.known[part] = value
        stops = self._stops(body)
        if stops or (self.is_deep and isinstance(part, (Apply, Result))):
            self._chain(part, word, body)
        else:
            moved = in_terms_of(differential(body, self.changes), {body: value})
            self.waiting.append((value, body))
            if _is_plain(moved):
                self.changes[value] = moved
                return
            self.pending[change] = (moved, self._told(change, moved, body))
        self.changes[value] = change

    def _told(self, change: Variable, moved: Node, body: Node) -> str:
        """How a named part changes, where it is told beside the line that uses it."""
        text = f"{change.name} = {self.said(moved).text}"
        if len(text) <= TOLD:
            return text
        is_call = isinstance(body, (Apply, Result))
        return call_rule(body, self._moving, self.names) if is_call else f"{change.name} put in"

    def _letter(self, part: Node) -> str:
        """A letter as people choose them: r for what is left over, Y for a matrix."""
        taken = {*self.names, *self.meaning, self.left, *(v.name for v in self.f.names)}
        taken |= {d.removeprefix("d") for d in taken}
        if part.ndim == 2:
            letters = "YZUVPQ"
        elif isinstance(part, Sum) and part.ndim:
            letters = "ruvwzh"
        else:
            letters = "uvwzhs" if part.ndim else "suvwc"
        is_level = self.is_deep and isinstance(part, (Apply, Result))
        stem = "h" if is_level else letters[0]
        letters = "" if is_level else letters
        every = chain(letters, (f"{stem}{k}" for k in count(1)))
        return next(c for c in every if c not in taken and f"d{c}" not in taken)

    # The lines of one formula

    def _chain(self, whole: Node, left: str, body: Node | None = None) -> None:
        """What a formula is, where that needs to be said, and its change level by level."""
        is_root = body is None
        body = in_terms_of(whole, self.known) if body is None else body
        self._value(whole, left, body, is_root)
        stops = self._stops(body)
        node = differential(body, {**self.changes, **stops})
        if not is_root:
            node = in_terms_of(node, {body: self.known[whole]})
        moving = self._moving
        rules: list[str] = []
        if isinstance(body, (Apply, Result)):
            rules.append(call_rule(body, moving, self.names))
        elif not _is_thin(body, stops):
            words = {in_terms_of(e, self.known): c for e, c in self.words.items()}
            rules.append(structure_rule(body, moving, stops, self._text, words, self.names))
        if is_root and self.held:
            rules.append(f"{self._partner} held fixed")
        for _ in range(100):
            if rules:
                rules = self._line(f"d{left}", node, rules, whole)
            inside: dict[Variable, Node] = {}
            for v in sorted(node.names, key=lambda v: v.name):
                if v in self.pending:
                    inside[v], rule = self.pending[v]
                    rules.append(rule)
            if not inside:
                break
            node = substitute(node, inside)
        if rules:
            self._line(f"d{left}", node, rules, whole)
        self.last = node

    @property
    def _moving(self) -> list[Variable]:
        return [v for v in self.changes if isinstance(v, Variable)]

    def _used(self, body: Node) -> list[Variable]:
        return [v for v in self.known.values() if v in body.names]

    @property
    def _partner(self) -> str:
        """What is held fixed beside a complex variable: its conjugate, or the other way round."""
        ((other, bar),) = self.held.items()
        return self._text(bar.children[0] if self.x is other else bar)

    def _value(self, whole: Node, left: str, body: Node, is_root: bool) -> None:
        """The line that says what is differentiated, where it is not what was asked."""
        used = self._defined(body)
        self.waiting = [w for w in self.waiting if w not in used]
        said = self.said(body, row=is_root and self.row)
        text = said.text
        if is_root and not used:
            asked = self.said(self.given, row=self.row)
            rule = word_rules(self.given, text, self.names) if asked.text != text else ""
            if self.held and asked.text != text and not rule:
                rule = f"written in {self._text(self.x)} and {self._partner}"
            if not rule and not self.known:
                return
            rule = rule or f"in terms of {' and '.join(v.name for v in self._used(body))}"
        else:
            rule = word_rules(self.given, text, self.names) if is_root else ""
            given = [v.name for v, _ in used] + ([] if is_root else [left])
            rule = rule or f"{' and '.join(given)} named"
        latex = said.latex
        parts = [(v, b, self.said(b)) for v, b in used]
        if len(text) + sum(len(p.text) + 9 for *_, p in parts) > LONG:
            for v, b, part in parts:
                self._add(v.name, part, f"{v.name} named", b, *self.meaning[v.name])
            names = " and ".join(v.name for v, _ in used)
            rule = f"in terms of {names}" if rule.endswith(" named") and is_root else rule
            rule = f"{left} named" if not is_root else rule
            parts = []
        for k, (v, _, part) in enumerate(parts):
            text += f"{'; ' if k else ' where '}{v.name} = {part.text}"
            join = r",\; " if k else r" \quad\text{where}\quad "
            latex += f"{join}{_latex(v)} = {part.latex}"
        said = Sentence(text, latex, said.cost)
        self._add(left, said, rule, body, whole, False)

    def _add(
        self, left: str, said: Sentence, rule: str, node: Node, of: Node, changes: bool
    ) -> None:
        text, latex = said.text, said.latex
        if _ENTRIES.match(text):  # their letters belong to the left side
            indices, _, text = text.partition(" = ")
            left, latex = left + indices, latex.partition(" = ")[2]
        self.lines.append(Line(left, text, latex, rule, node, of, changes))

    def _defined(self, body: Node) -> list[tuple[Variable, Node]]:
        """The names that wait to be told and that a formula uses, directly or through others."""
        used: list[tuple[Variable, Node]] = []
        names = set(body.names)
        for v, part in reversed(self.waiting):
            if v in names:
                used.append((v, part))
                names |= part.names
        return used[::-1]

    def _line(self, left: str, node: Node, rules: list[str], whole: Node) -> list[str]:
        """A line, left out where it says what the one before says; then its rules wait."""
        said = self.said(node, row=self.row and left == f"d{self.left}")
        before = self.lines[-1] if self.lines else None
        if before and before.is_change and before.text == said.text and before.left == left:
            return rules
        rule = "; ".join(dict.fromkeys(rules))
        self._add(left, said, rule, node, whole, True)
        return []

    def _text(self, node: Node) -> str:
        return self.said(node).text

    def _stops(self, body: Node) -> dict[Node, Node]:
        """The outermost functions inside a formula that change, and what their changes are called.

        How each changes is kept for the line in which it is written out.
        """
        moving = frozenset(self._moving)
        found: dict[Node, Node] = {}
        for node in _outermost(body, moving):
            said = self.said(node)
            name = Variable(f"d({said.text})", node.dims)
            found[node] = name
            if name not in self.pending:
                self.written[name.name] = rf"\mathrm{{d}}\left({said.latex}\right)"
                self.meaning[name.name] = (self._in_full(node), True)
                inner = self._stops(node)
                moved = differential(node, {**self.changes, **inner})
                self.pending[name] = (moved, call_rule(node, self._moving, self.names))
        return found

    def _in_full(self, node: Node) -> Node:
        """A formula with the parts in the place of their names."""
        parts = {v: part for part, v in self.known.items()}
        while any(v in parts for v in node.names):
            node = substitute(node, {v: parts[v] for v in node.names if v in parts})
        return node

    def in_latex(self, latex: str) -> str:
        """LaTeX with changes written as `\\mathrm{d}x`."""
        return written_as(latex, self.written)

    def gathered(self, node: Node) -> Sentence | None:
        """A derivative times the change of x; None where matrix notation cannot say it."""
        names = (*self.names, *self.meaning)
        node = settled(substitute(node, self.held))
        return sentence(node, names=names, change=self.change, written=self.written)

    def said(self, node: Node, row: bool = False) -> Sentence:
        """A formula as a sentence."""
        names = (*self.names, *self.meaning, self.change.name)
        node = substitute(node, self.held) if self.held else node
        for form in (lambda n: n, flat_form, settled):
            said = sentence(form(node), names=names, row=row, written=self.written)
            if said is not None:
                return said
        flat = flat_form(node)
        text = notation.index(flat, "", names=names) or "…"
        latex = notation.latex_index(flat, "f", names=names) or "…"
        return Sentence(text, self.in_latex(latex), (0, 0, 0))

    # What to name

    def _repeated_in(self, longest: str, named: Sequence[Node]) -> list[Node]:
        """The part whose name would shorten a line most."""
        best: tuple[int, Node | None] = (12, None)
        for node in postorder(self.f):
            wanted = isinstance(node, (Apply, Sum, Einsum)) and node is not self.f
            if not wanted or self.x not in node.names or node in named:
                continue
            text = self.said(in_terms_of(node, self.known)).text
            saved = (len(text) - 2) * longest.count(text)
            if len(text) > SHORT and longest.count(text) > 1 and saved > best[0]:
                best = (saved, node)
        return [] if best[1] is None else [best[1]]


def in_terms_of(node: Node, known: Mapping[Node, Node]) -> Node:
    """A formula with named parts replaced by their names."""
    if not known:
        return node
    done: dict[Node, Node] = {}
    for part in postorder(node):
        if part in known and part is not node:
            done[part] = known[part]
            continue
        children = [done[c] for c in part.children]
        same = all(a is b for a, b in zip(children, part.children, strict=True))
        done[part] = part if same else part.rebuild(children)
    return done[node]


def _outermost(body: Node, moving: frozenset[Variable]) -> Iterator[Node]:
    """The functions of what moves that stand inside no other, the formula itself left out."""
    seen: set[Node] = set()
    stack = list(reversed(_inside(body)))
    while stack:
        node = stack.pop()
        if node in seen or node.names.isdisjoint(moving):
            continue
        seen.add(node)
        if isinstance(node, (Apply, Result)):
            yield node
        else:
            stack.extend(reversed(node.children))


def _inside(node: Node) -> tuple[Node, ...]:
    return node.call.children if isinstance(node, Result) else node.children


def _is_thin(body: Node, stops: Iterable[Node]) -> bool:
    """Whether a formula only adds the entries of a function, or scales it."""
    return isinstance(body, Einsum) and body.children in [(stop,) for stop in stops]


def _is_word(node: Node) -> TypeGuard[Apply]:
    return isinstance(node, Apply) and bool(node.function.definition)


def _levels(f: Node, x: Variable) -> dict[Node, int]:
    """For every function of x, how many functions of x stand one inside the other there."""
    depth: dict[Node, int] = {}
    for node in postorder(f):
        inside = max((depth.get(c, 0) for c in node.children), default=0)
        depth[node] = inside + (isinstance(node, Apply) and x in node.names)
    return {n: d for n, d in depth.items() if isinstance(n, Apply) and d}


def _repeated(f: Node, x: Variable, levels: Collection[Node]) -> list[Node]:
    """The parts with x that stand in several places, or in a sum of squares, or are levels."""
    count = users(f)
    squared = {
        child
        for node in postorder(f)
        if isinstance(node, Einsum)
        for child, exponent, _ in node.factors
        if exponent == 2 and child.ndim and isinstance(child, Sum)
    }
    return [
        node
        for node in postorder(f)
        if isinstance(node, (Sum, Apply, Einsum))
        and node is not f
        and x in node.names
        and (node in squared or node in levels or (count[node] > 1 and not _is_short(node)))
    ]


def _is_short(node: Node) -> bool:
    """Whether a part is as short as a name: a transpose, a multiple, a power."""
    return isinstance(node, Einsum) and len(set(node.children)) < 2


def _is_plain(change: Node) -> bool:
    """Whether a change is as short as a name, as in dr = dx."""
    return isinstance(change, Variable) or (
        isinstance(change, Einsum)
        and len(change.factors) == 1
        and isinstance(change.children[0], Variable)
        and change.output == change.indices[0]
    )


def _kept(x: Variable) -> frozenset[str]:
    """What the change of a variable is declared to be."""
    return frozenset({"symmetric"} if x.properties & {"symmetric", "spd"} and x.ndim == 2 else ())


def _latex(variable: Variable) -> str:
    return notation.latex(variable) or variable.name
