"""Reading a recurrence: lines such as `s[t] = tanh(W*s[t-1] + U*x[t] + b)`.

`s[t]`, `s[t-1]`, `x[t+1]` become names of their own, and the lines are read together like any other
text, with the one demand more that the same state has the same shape at every step.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import NoReturn

from wrt.errors import ShapeMistake, SyntaxMistake, kind_of
from wrt.expression.dataclass import dataclass, replace
from wrt.expression.dimensions import Dimension, show_dimensions
from wrt.expression.function import Function
from wrt.expression.nodes import Node, Variable
from wrt.language import mistakes
from wrt.language.builder import Builder
from wrt.language.declarations import Declared, Shapes, declared, declared_shapes, variable
from wrt.language.elaboration import Constraint, Elaboration, elaborate
from wrt.language.inference import infer
from wrt.language.operators import INFIX, PREFIX
from wrt.language.reader import assumption, undoubted
from wrt.language.recurrence_lines import (
    LENGTHS,
    names_in,
    parsed,
    renamed,
    shift_of,
    start_of,
)
from wrt.language.shapes import size_parts
from wrt.language.syntax import (
    Call,
    Index,
    Infix,
    Line,
    Name,
    Prefix,
    Slice,
    Span,
    Syntax,
    postorder,
)

__all__ = ["Lines", "Moment", "moment", "read_recurrence"]


@dataclass(frozen=True)
class Moment:
    """A name at a step: `s[t-1]` is ("s", -1)."""

    name: str
    shift: int = 0


@dataclass(frozen=True)
class Lines:
    """A recurrence as it was read.

    `states` are the formulas of all names that a line defines for every step, over variables whose
    moments `moments` tells; `starts` those of states outside the steps, by name and shift: s[0] is
    ("s", -1), seen from the first step, and s[T+1] is ("s", 1), seen from the last.
    """

    text: str
    #: The letter of the steps, and their number.
    step: str
    length: Dimension
    states: Mapping[str, Node]
    starts: Mapping[tuple[str, int], Node]
    moments: Mapping[Variable, Moment]
    #: Every variable that is declared or occurs and has no step, by name.
    shared: Mapping[str, Variable]
    #: The text of every line, by the name that it defines.
    said: Mapping[str, str]
    assumed: tuple[str, ...] = ()
    functions: Mapping[str, Function] | None = None
    #: Shared variables of which every step has a copy.
    copied: frozenset[str] = frozenset()
    #: Names that count at the last step only, as E = norm2(s[T])^2.
    final: frozenset[str] = frozenset()

    def at(self, name: str, shift: int = 0) -> Variable:
        """The variable that stands for a state or series at a step."""
        dims, properties = self.kinds[name]
        return Variable(moment(name, self.step, shift), dims, properties)

    @cached_property
    def kinds(self) -> dict[str, tuple[tuple[Dimension, ...], frozenset[str]]]:
        """The axes and the properties of every name that has a step."""
        found = {m.name: (v.dims, v.properties) for v, m in self.moments.items()}
        return {**{k: (n.dims, frozenset[str]()) for k, n in self.states.items()}, **found}

    @cached_property
    def series(self) -> dict[str, tuple[int, int]]:
        """The names that are given for every step, each with the least and the largest shift."""
        found: dict[str, tuple[int, int]] = {}
        for one in self.moments.values():
            if one.name not in self.states:
                low, high = found.get(one.name, (one.shift, one.shift))
                found[one.name] = (min(low, one.shift), max(high, one.shift))
        return found


def moment(name: str, step: str, shift: int = 0) -> str:
    """A name at a step as text.

    >>> moment("s", "t", -1), moment("x", "t")
    ('s[t-1]', 'x[t]')
    """
    return f"{name}[{step}{shift:+d}]" if shift else f"{name}[{step}]"


def read_recurrence(text: str, shapes: Shapes | None = None) -> Lines:
    """Read the lines of a recurrence; `shapes` declares names, those of states and series for one
    step.

    Raises SyntaxMistake, NameMistake and ShapeMistake with their place.

    >>> lines = read_recurrence("s[t] = tanh(W*s[t-1] + x[t])")
    >>> lines.assumed
    ('s[t] is a vector (n)', 'W is a matrix (n × n)', 'x[t] is a vector (n)')
    """
    if not isinstance(text, str):
        raise SyntaxMistake(f"a recurrence is text, and this is {kind_of(text)}")
    if not text.strip():
        raise SyntaxMistake(
            "there are no lines: the text is empty", hint="as in s[t] = tanh(W*s[t-1] + U*x[t])"
        )
    return _Reader(text, shapes).read()


class _Reader:
    """One text on its way from syntax to formulas."""

    def __init__(self, text: str, shapes: Shapes | None) -> None:
        self.text = text
        self.declared = dict(declared_shapes(shapes))
        self.parsed = parsed(text, self.declared)
        self.program, self.final = self.parsed.program, self.parsed.final
        self.turned: dict[Syntax, Syntax] = {}
        for one in self.program.declarations:
            self.declared[one.name] = declared(one.name, one.shape)
        self.step = self._step()
        self.targets = [one.target for one in self.program.lines if self._is_step(one)]
        self.met: dict[str, tuple[Moment, Span]] = {}
        self.starts: dict[str, tuple[str, int]] = {}

    def refuse(self, message: str, span: Span, hint: str | None = None) -> NoReturn:
        raise SyntaxMistake(message, text=self.text, span=span, hint=hint)

    # Which lines there are

    def _step(self) -> str:
        letters: dict[str, Line] = {}
        for line in self.program.lines:
            if line.target is not None and line.indices is not None:
                if len(line.indices) != 1:
                    self.refuse(
                        f"{line.target}[{','.join(line.indices)}] has {len(line.indices)} indices",
                        line.span,
                        "a line of a recurrence has one, the step, as in s[t] = …",
                    )
                letters.setdefault(line.indices[0], line)
        if not letters:
            self.refuse(
                "no line says what happens at a step",
                (0, len(self.text)),
                "as in s[t] = tanh(W*s[t-1] + U*x[t])",
            )
        if len(letters) > 1:
            first, other, *_ = letters
            self.refuse(
                f"the lines call the step {first} and {other}",
                letters[other].span,
                "all lines use one letter",
            )
        (step,) = letters
        return step

    def _is_step(self, line: Line) -> bool:
        return line.indices is not None

    def read(self) -> Lines:
        lines = [self._line(line) for line in self.program.lines]
        doubled = [k for k in self.targets if self.targets.count(k) > 1]
        if doubled:
            two = [x for x in self.program.lines if x.target == doubled[0] and self._is_step(x)]
            self.refuse(f"{doubled[0]}[{self.step}] is defined twice", two[1].span)
        pairs = self._pairs(lines)
        last = self._together(pairs, lines)
        program = replace(self.program, lines=(*lines, last), declarations=())
        known, words = self._known()
        sizes = LENGTHS[:1] if self.parsed.counts else ()
        made = elaborate(program, known, words, sizes=sizes)
        for one, other in pairs:
            slots = (made.slots[one], made.slots[other])
            made.constraints.append(Constraint(_alike, slots, made.fresh(), other))
        choice = infer(made)
        doubts = (replace(d, part=self.turned.get(d.part, d.part)) for d in self.program.doubts)
        undoubted(replace(self.program, doubts=tuple(doubts)), made, choice)
        builder = Builder(made, size_parts(made, choice.kinds), self._is_complex(known))
        builder.formula()
        return self._lines(made, builder)

    def _is_complex(self, known: Mapping[str, Declared]) -> bool:
        return any("complex" in one.properties for one in known.values())

    def _line(self, line: Line) -> Line:
        """A line whose names at steps are names of their own."""
        if line.target is None:
            self.refuse(
                "this line defines nothing",
                line.span,
                f"every line of a recurrence does, as in L[{self.step}] = …",
            )
        if self._is_step(line):
            target = _defined(moment(line.target, self.step))
        else:
            target = self._start(line) if "[" in line.target else line.target
        body = renamed(line.body, self._moment, self.turned)
        stray = next((p for p in postorder(body) if self._is_stray(p)), None)
        if isinstance(stray, Name):
            self._refuse_stray(stray)
        if not self._is_step(line):
            late = next((p for p in postorder(body) if self._is_moment(p)), None)
            if late is not None:
                self.refuse(
                    f"{line.target} is the same at every step and cannot use "
                    f"{mistakes.quoted(self.text, late)}",
                    late.span,
                    f"perhaps {line.target}[{self.step}] = …",
                )
        return Line(target, None, body, line.span)

    def _is_moment(self, part: Syntax) -> bool:
        return isinstance(part, Name) and part.name in self.met

    def _is_stray(self, part: Syntax) -> bool:
        return isinstance(part, Name) and part.name in (self.step, *self.targets)

    def _refuse_stray(self, part: Name) -> NoReturn:
        if part.name == self.step:
            self.refuse(
                f"{self.step} is the step and stands in square brackets only",
                part.span,
                f"a number that changes with the step is a series, as in a[{self.step}]; a sum "
                f"over all steps is a line of its own, as in L = sum({self.step}, 1, T, …)/2",
            )
        name = part.name
        self.refuse(
            f"{name} has a value at every step: which one is meant?",
            part.span,
            f"{moment(name, self.step)} or {moment(name, self.step, -1)}",
        )

    def _start(self, line: Line) -> str:
        """The name of `s[0] = …`, `s[-1] = …`, or behind the last step `s[T+1] = …`."""
        name, _, inside = str(line.target).rstrip("]").partition("[")
        if name not in self.targets:
            self.refuse(
                f"{line.target} is where a state starts, and no line defines {name}[{self.step}]",
                line.span,
            )
        ahead, _, number = inside.rpartition("+")
        shift = int(number) if ahead else int(number) - 1
        if not (shift > 0 if ahead else shift < 0):
            self.refuse(
                f"{line.target} is no step before the first or behind the last",
                line.span,
                f"as in {name}[0] = …",
            )
        said = _defined(str(line.target))
        self.starts[said] = (name, shift)
        return said

    def _moment(self, part: Syntax) -> Syntax:
        """s[t-1] as one name; other entries stay."""
        if not isinstance(part, Index):
            return part
        held = [p for item in part.items for p in names_in(item)]
        if self.step not in held:
            if isinstance(part.base, Name) and part.base.name in self.targets:
                self._refuse_fixed(part)
            return part
        item = part.items[0]
        said = mistakes.quoted(self.text, part)
        if len(part.items) > 1 or not isinstance(part.base, Name):
            base = mistakes.quoted(self.text, part.base)
            self.refuse(
                f"{said} mixes the step with other indices",
                part.span,
                f"the step stands alone, other indices behind it, as in {base}[{self.step}][1]",
            )
        shift = None if isinstance(item, Slice) else shift_of(item, self.step)  # type: ignore[arg-type]
        if shift is None:
            self.refuse(
                f"{said}: a step is {self.step} plus or minus a whole number",
                part.span,
                f"as in {part.base.name}[{self.step}-1]",
            )
        name = moment(part.base.name, self.step, shift)
        self.met.setdefault(name, (Moment(part.base.name, shift), part.span))
        return Name(name, part.span)

    def _refuse_fixed(self, part: Index) -> NoReturn:
        name = mistakes.quoted(self.text, part.base)
        self.refuse(
            f"{mistakes.quoted(self.text, part)}: {name} has a value at every step",
            part.span,
            f"a step is {self.step} plus or minus a whole number; an entry of the state is "
            f"{name}[{self.step}][1]",
        )

    # Equal shapes at every step

    def _pairs(self, lines: Sequence[Line]) -> list[tuple[Syntax, Syntax]]:
        """What must have the same shape: a state as it is defined and as it is used."""
        minus = PREFIX["-"]
        pairs: list[tuple[Syntax, Syntax]] = []
        first: dict[str, tuple[str, Span]] = {}
        for line in lines:
            if line.target is not None and line.target.endswith(":"):
                base = line.target.partition("[")[0]
                self._pair(pairs, first, base, line.target, line.span)
        for name, (one, span) in self.met.items():
            self._pair(pairs, first, one.name, name, span)
        for line in lines:
            for part in postorder(line.body):
                start = start_of(part)
                if start in first and start in self.targets:
                    self._pair(pairs, first, start, part.name, part.span)  # type: ignore[union-attr]
        return [(Prefix(minus, a, a.span), Prefix(minus, b, b.span)) for a, b in pairs]

    def _pair(
        self,
        pairs: list[tuple[Syntax, Syntax]],
        first: dict[str, tuple[str, Span]],
        base: str,
        name: str,
        span: Span,
    ) -> None:
        if base not in first:
            first[base] = (name, span)
        elif first[base][0] != name:
            pairs.append((Name(first[base][0], first[base][1]), Name(name, span)))

    def _together(self, pairs: Sequence[tuple[Syntax, Syntax]], lines: Sequence[Line]) -> Line:
        """A last line that names every line, so that all of them are read."""
        total: Syntax | None = None
        sides: list[Syntax] = [Infix(INFIX["-"], a, b, b.span) for a, b in pairs]
        minus = PREFIX["-"]
        sides += [Prefix(minus, Name(str(one.target), one.span), one.span) for one in lines]
        for side in sides:
            one = Call("sum", (Prefix(minus, side, side.span),), side.span, side.span)
            total = one if total is None else Infix(INFIX["+"], total, one, side.span)
        assert total is not None
        return Line(None, None, total, lines[-1].span)

    def _known(self) -> tuple[dict[str, Declared], dict[str, Function]]:
        """The declarations, those of states and series for each of their steps."""
        words = {n: d for n, d in self.declared.items() if isinstance(d, Function)}
        known: dict[str, Declared] = {}
        for name, one in self.declared.items():
            if not isinstance(one, Declared):
                continue
            moments = [k for k, (m, _) in self.met.items() if m.name == name]
            known |= dict.fromkeys(moments, one)
            if not moments and name not in self.targets:
                known[name] = one
        return known, words

    # Formulas

    def _lines(self, made: Elaboration, builder: Builder) -> Lines:
        states, starts = {}, {}
        for line in self.program.lines:
            if self._is_step(line):
                name = str(line.target)
                states[name] = builder.lines[_defined(moment(name, self.step))]
                if name in self.parsed.totals and states[name].ndim:
                    raise ShapeMistake(
                        f"{name} adds up {_shaped(states[name])} over all steps; a sum over all "
                        "steps is of scalars, a loss",
                        text=self.text,
                        span=line.span,
                        hint=f"as a state of its own, {name}[{self.step}] = {name}"
                        f"[{self.step}-1] + …, it may have any shape",
                    )
        for said, place in self.starts.items():
            starts[place] = builder.lines[said]
        found = {n: builder.variable(n) for n in made.variables if n not in made.lines}
        moments = {v: self.met[n][0] for n, v in found.items() if n in self.met}
        self._agree(states, starts, moments)
        declared_ones = {n: variable(n, d) for n, d in made.declared.items() if n not in self.met}
        shared = declared_ones | {n: v for n, v in found.items() if n not in self.met}
        shared = {n: shared[n] for n in sorted(shared, key=self._place)}
        return Lines(
            text=self.text,
            step=self.step,
            length=self._length(made, [*shared, *states]),
            states=states,
            starts=starts,
            moments=moments,
            shared=shared,
            said=self.parsed.said,
            assumed=tuple(self._assumed(made, found)),
            functions=dict(made.functions),
            final=self.final,
        )

    def _length(self, made: Elaboration, names: Iterable[str]) -> Dimension:
        if self.parsed.counts:
            return Dimension.of(LENGTHS[0])
        taken = {*names, *made.sizes, *(m.name for m, _ in self.met.values())}
        return Dimension.of(next(one for one in LENGTHS if one not in taken))

    def _agree(
        self,
        states: Mapping[str, Node],
        starts: Mapping[tuple[str, int], Node],
        moments: Mapping[Variable, Moment],
    ) -> None:
        """The same shape at every step."""
        for one, at in moments.items():
            wanted = states.get(at.name)
            if wanted is not None and wanted.dims != one.dims:
                said = f"{moment(at.name, self.step)} is {_shaped(wanted)}"
                raise ShapeMistake(
                    f"{said}, and {one.name} is {_shaped(one)}",
                    text=self.text,
                    span=self.met[one.name][1],
                )
        for (name, _), node in starts.items():
            if node.dims != states[name].dims:
                raise ShapeMistake(
                    f"{name} starts as {_shaped(node)}, and {moment(name, self.step)} "
                    f"is {_shaped(states[name])}",
                    text=self.text,
                )

    def _assumed(self, made: Elaboration, found: Mapping[str, Variable]) -> list[str]:
        said: dict[str, str] = {}
        for name in made.open:
            one = found[name]
            if name in self.met:
                base = self.met[name][0].name
                said_so = base if base in self.final else moment(base, self.step)
                one = Variable(said_so, one.dims, one.properties)
            said.setdefault(one.name, assumption(one))
        return [said[name] for name in sorted(said, key=self._place)]

    def _place(self, name: str) -> int:
        """Where a name is met first in the text."""
        text = " ".join((*self.parsed.said.values(), self.text))
        found = re.search(rf"\b{re.escape(name.partition('[')[0])}\b", text)
        return found.start() if found else len(text)


def _alike(kinds: tuple[int, ...]) -> int | None:
    """The same kind on both sides."""
    return kinds[0] if kinds[0] == kinds[1] else None


def _shaped(node: Node) -> str:
    kind = ("a scalar", "a vector", "a matrix")[node.ndim] if node.ndim < 3 else "a tensor"
    return f"{kind} ({show_dimensions(node.dims)})" if node.ndim else kind


def _defined(name: str) -> str:
    """The name of a definition, told apart from its uses."""
    return f"{name}:"
