"""Loops as Python: running sums and products, and recurrences.

All states of a recurrence are found in one loop. A state that is read as a stack has an array of
one row more than the loop has steps, so that the states before the steps and after them are two
views of it; any other state is a variable of the loop.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from wrt.expression.coefficient import Coefficient
from wrt.expression.dimensions import Dimension
from wrt.programs import code as py
from wrt.programs.code import Code
from wrt.programs.into import computed_into, put
from wrt.programs.names import stem
from wrt.programs.steps import Recurrence, Step

if TYPE_CHECKING:
    from wrt.programs.emission import Emission

__all__ = ["Loops"]

#: A state before the first step that is longer than this has a line of its own.
MOST_START = 24
#: What computes an array entry by entry.
ENTRYWISE = frozenset({"add", "multiply", "divide", "call"})
ZERO = Coefficient.of(0)


class Loops:
    """Writes the loops of one program; the emission writes what stands in them."""

    def __init__(self, emission: Emission) -> None:
        self.emission, self.steps = emission, emission.steps
        #: a recurrence by the block of its body; the words of states and counters by recurrence
        self._of_block: dict[int, int] = {}
        self._words: dict[int, list[str]] = {}
        self._counters: dict[int, str] = {}
        self._stacked: dict[int, set[int]] = {}
        self._shared: list[str] = []
        self._types: dict[bool, str] = {}
        #: where arrays are not written into, states are collected in lists and stacked
        self.as_lists = emission.library.manner != "in place"
        #: a library that traces its programs has a loop of its own, which is compiled once
        self.as_function = emission.library.manner == "again"
        #: states whose row t is that of step t: there is none before the first step
        self._plain: dict[int, frozenset[int]] = {}

    # Running sums and products

    def running(self, at: int, step: Step) -> Iterator[ast.stmt]:
        """A running sum or product."""
        emission = self.emission
        low, high, counter, inner = step.args
        kind, block = step.data
        first, last = emission.read(low), emission.read(high)
        total = emission.begun(at, self._start(kind, step))

        def change() -> list[ast.stmt]:
            code = emission.read(inner)
            if kind == "sum" and step.kind != "complex" and not self.as_lists:
                return [ast.AugAssign(ast.Name(total, ast.Store()), ast.Add(), code.expr)]
            if kind == "sum":
                return [py.assignment(total, py.binary("+", py.name(total), code))]
            pair = (code, py.name(total))
            if not step.dims:
                return [py.assignment(total, py.binary("*", *pair))]
            pair = emission.library.joined(*pair, (self.steps[inner].kind, "real"))
            return [py.assignment(total, py.binary("@", *pair))]

        word = emission.counter(counter)
        lines = emission.inner(block, change)
        ends = [_after(last)]
        if not _is_literal(first, 0):
            ends.insert(0, first)
        yield _for(word, py.call(py.name("range"), *ends), lines)

    def _start(self, kind: str, step: Step) -> Code:
        emission = self.emission
        made = emission.made()
        if not step.dims:
            start = py.literal(0.0 if kind == "sum" else 1.0)
            plain = not self.as_lists or step.kind == "number"
            return start if plain else emission.library.constant(start, made)
        if kind == "sum":
            return emission.library.new("zeros", [emission.size(d) for d in step.dims], made)
        return py.call(emission.word("eye"), emission.size(step.dims[0]), **made)

    # Recurrences

    def recurrence(self, at: int, step: Step) -> Iterator[ast.stmt]:
        """Arrays for the states that are stacked, and the loop that fills them."""
        loop: Recurrence = step.data
        emission, count = self.emission, len(loop.states)
        self._of_block[loop.block] = at
        stacks = {
            s.data
            for k, s in enumerate(self.steps.all)
            if s.op == "stack" and s.args == (at,) and emission.is_used(k)
        }
        self._stacked[at] = {place for place, _ in stacks}
        self._plain[at] = loop.unread
        self._words[at] = [emission.names.give(stem(state.name)) for state in loop.states]
        if self.as_function:
            self._plain[at] |= {k for k in range(count) if (k, True) not in stacks}
            self._stacked[at] |= loop.unread
            yield from self._scanned(at, step)
            return
        for place in range(count):
            yield from self._begun(at, place)
        self._counters[at] = word = self._counter(at, step)
        lines = emission.inner(loop.block, lambda: self._ahead(at, step.args[count + 1 :]))
        steps = py.call(py.name("range"), emission.size(loop.length))
        yield _for(word, py.call(py.name("reversed"), steps) if loop.reverse else steps, lines)
        if self.as_lists:
            for place in sorted(self._stacked[at]):
                word = self._words[at][place]
                rows = py.text(f"{word}[::-1]") if loop.reverse else py.name(word)
                yield py.assignment(word, py.call(emission.word("stack"), rows))

    def _scanned(self, at: int, step: Step) -> Iterator[ast.stmt]:
        """One step as a function, and the loop of the library that takes it over and over."""
        loop: Recurrence = step.data
        emission, words, stacked = self.emission, self._words[at], self._stacked[at]
        carried = [k for k in range(len(words)) if k not in loop.unread]
        starts: dict[int, Code] = {}
        for k in carried:
            yield from self._typed(step.kind == "complex", at)
            begun = step.args[1 + k]
            start = self._told(at, begun, self.steps[begun].op not in ("load", "number"))
            long = start.width > MOST_START or (k in stacked and k not in self._plain[at])
            if long and not isinstance(start.expr, ast.Name):
                word = emission.names.give(f"{words[k]}0")
                yield py.assignment(word, start)
                start = py.name(word)
            starts[k] = start
        read = self._read_by_step(step.args[0])
        new = step.args[len(words) + 1 :]
        lines = emission.inner(loop.block, lambda: self._made(at, carried, new))
        element = emission.names.give("entries") if len(read) > 1 else "_"
        if len(read) > 1:
            lines.insert(0, _unpacked([*read], py.name(element)))
        element = next(iter(read)) if len(read) == 1 else element
        given = words[carried[0]] if carried else "_"
        if len(carried) > 1:
            given = emission.names.give("states")
            lines.insert(0, _unpacked([words[k] for k in carried], py.name(given)))
        function = emission.names.give("step")
        yield _function(function, [given, element], lines)
        emission.helpers.imports["import jax"] = None
        first = py.tuple_of(list(starts.values())) if starts else py.literal(None)
        every = [py.tuple_of(list(read.values()))] if read else []
        said = {} if read else {"length": emission.size(loop.length)}
        said |= {"reverse": py.literal(True)} if loop.reverse else {}
        scan = py.text("jax.lax.scan")
        ends = [words[k] if self._is_last(at, k) and k not in stacked else "_" for k in carried]
        targets = [_targets(ends), _targets([words[k] for k in sorted(stacked)])]
        value = py.call(scan, py.name(function), first, *every, **said)
        yield ast.Assign([ast.Tuple(targets, ast.Store())], value.expr, lineno=0)
        for k in sorted(stacked - self._plain[at]):
            edge = py.subscript(starts[k], py.literal(None))
            rows = [py.name(words[k]), edge] if loop.reverse else [edge, py.name(words[k])]
            yield py.assignment(words[k], emission.library.concatenate(rows, 0))

    def _read_by_step(self, counter: int) -> dict[str, Code]:
        """The names of the entries that a step reads, with the stacks that they are entries of."""
        emission, found = self.emission, dict[str, Code]()
        for k, step in enumerate(self.steps.all):
            if step.op == "entry" and step.args[1] == counter and emission.is_used(k):
                stack = emission.read(step.args[0])
                named = next((n.id for n in ast.walk(stack.expr) if isinstance(n, ast.Name)), "x")
                word = emission.names.give(f"{named}_t")
                emission.known[k] = word
                found[word] = stack
        return found

    def _is_last(self, at: int, place: int) -> bool:
        """Whether the state after the last step is read."""
        return any(
            s.op == "last" and s.args == (at,) and s.data == place and self.emission.is_used(k)
            for k, s in enumerate(self.steps.all)
        )

    def _told(self, at: int, value: int, known: bool) -> Code:
        """A state, of the type that the states have where its own is not `known` to be that."""
        turns_complex = self.steps[at].kind == "complex"
        if known and turns_complex == (self.steps[value].kind == "complex"):
            return self._whole(at, value)
        kind = py.name(self._types[turns_complex])
        return py.call(self.emission.word("asarray"), self.emission.read(value), kind)

    def _made(self, at: int, carried: Sequence[int], new: Sequence[int]) -> list[ast.stmt]:
        """What a step gives: the states for the next one, and those that are stacked."""
        for k in carried:
            if k in self._stacked[at]:
                self.emission.named(new[k])
        states = [self._told(at, new[k], known=True) for k in carried]
        rows = [self._whole(at, new[k]) for k in sorted(self._stacked[at])]
        both = [py.tuple_of(some) if some else py.literal(None) for some in (states, rows)]
        return [ast.Return(py.tuple_of(both).expr)]

    def _counter(self, at: int, step: Step) -> str:
        """One word counts all loops that are not inside one another."""
        emission, depth = self.emission, self.steps.blocks[step.block].depth
        while len(self._shared) <= depth:
            self._shared.append(emission.names.give("t"))
        emission.known[step.args[0]] = self._shared[depth]
        return self._shared[depth]

    def _begun(self, at: int, place: int) -> Iterator[ast.stmt]:
        """A state before the first step."""
        step, word = self.steps[at], self._words[at][place]
        loop: Recurrence = step.data
        emission = self.emission
        if place not in self._stacked[at]:
            if place not in loop.unread:
                yield py.assignment(word, emission.read(step.args[1 + place]))
            return
        if self.as_lists:
            yield from self._listed(at, place)
            return
        yield from self._typed(step.kind == "complex", at)
        shape = emission.shape((self._rows(loop, place), *loop.states[place].dims))
        kind = py.name(self._types[step.kind == "complex"])
        if place in loop.unread:
            yield py.assignment(word, py.call(emission.word("empty"), shape, kind))
            return
        inner = self._filling(step.args[1 + place])
        zero = self.steps.is_number(inner) and self.steps[inner].data == ZERO
        yield py.assignment(word, py.call(emission.word("zeros" if zero else "empty"), shape, kind))
        if not zero:
            first = py.subscript(py.name(word), py.literal(-1 if loop.reverse else 0))
            yield put(first, emission.read(inner))

    def _listed(self, at: int, place: int) -> Iterator[ast.stmt]:
        """A list for the states after every step, with that before the first where it is read."""
        step, word = self.steps[at], self._words[at][place]
        unread = place in step.data.unread
        rows = [] if unread else [self._whole(at, step.args[1 + place])]
        yield py.assignment(word, py.list_of(rows))

    def _whole(self, at: int, value: int) -> Code:
        """A state as an array with all its axes, complex where the others are."""
        emission = self.emission
        code = emission.strictly(value, emission.read(value))
        kinds = (self.steps[at].kind, self.steps[value].kind)
        return emission.library.joined(code, code, kinds)[1]

    def _rows(self, loop: Recurrence, place: int) -> Dimension:
        """One row more than steps where the state before the first step is asked for."""
        return loop.length if place in loop.unread else loop.length + 1

    def _later(self, at: int, place: int, before: bool) -> bool:
        """Whether the state of a step is in the row behind that of the step."""
        loop: Recurrence = self.steps[at].data
        return before == loop.reverse and place not in self._plain[at]

    def _filling(self, at: int) -> int:
        """What fills an array of states, without axes along which it is the same."""
        step = self.steps[at]
        return step.args[0] if step.op == "broadcast" else at

    def _typed(self, turns_complex: bool, at: int) -> Iterator[ast.stmt]:
        """The type of entries that all arguments of recurrences have together."""
        if turns_complex in self._types:
            return
        emission = self.emission
        zero = py.literal(0j if turns_complex else 0.0)
        given = [py.name(word) for word in self._arguments(turns_complex, at)]
        self._types[turns_complex] = word = emission.names.give("dtype")
        yield py.assignment(word, py.call(emission.word("result_type"), *given, zero))

    def _arguments(self, turns_complex: bool, at: int) -> list[str]:
        """The parameters that a recurrence is made of."""
        seen, stack = {at}, [at]
        while stack:
            new = [a for a in self.steps[stack.pop()].args if a not in seen]
            seen.update(new)
            stack += new
        kinds = ("real", "complex") if turns_complex else ("real",)
        loads = [k for k in sorted(seen) if self.steps[k].op == "load"]
        known = self.emission.known
        return sorted(
            known[k] for k in loads if not self.steps[k].block and self.steps[k].kind in kinds
        )

    def _ahead(self, at: int, new: Sequence[int]) -> list[ast.stmt]:
        """The states after a step: rows of their arrays first, then the variables of the loop."""
        emission = self.emission
        stacked = self._stacked[at]
        moving = [k for k in range(len(new)) if k not in stacked and not self._stays(at, k, new[k])]
        if self.as_lists:
            lists = {self._words[at][place] for place in stacked}
            for k in moving:
                if _reads(emission.read(new[k]), lists):
                    emission.named(new[k])
            values = [self._before(emission.read(new[k]), lists) for k in moving]
            lines = self._appended(at, new)
        else:
            lines = self._written(at, new)
            values = emission.together([new[k] for k in moving])
        return lines + _changed([self._words[at][k] for k in moving], values)

    def _before(self, value: Code, lists: Collection[str]) -> Code:
        """A value that reads the end of a list, by a name, as the list gets a new end."""
        return py.name(self.emission.assign(None, value)) if _reads(value, lists) else value

    def _written(self, at: int, new: Sequence[int]) -> list[ast.stmt]:
        """Rows of arrays."""
        lines: list[ast.stmt] = []
        for place in sorted(self._stacked[at]):
            value = self.emission.read(self._filling(new[place]))
            row = self._row(at, place, before=False)
            if self._fills(at, new[place]):
                lines += computed_into(self.emission.lines, row, value, self.emission.library.alias)
            else:
                lines.append(put(row, value))
        return lines

    def _fills(self, at: int, new: int) -> bool:
        """Whether a state is a new array, as large as its row: a matrix, not copied then."""
        step, loop = self.steps[new], self.steps[at]
        whole = self._filling(new) == new and len(step.dims) > 1
        return whole and step.op in ENTRYWISE and step.kind == loop.kind == "real"

    def _appended(self, at: int, new: Sequence[int]) -> list[ast.stmt]:
        """Further states in lists; what reads the last ones is computed before."""
        words = {self._words[at][place]: new[place] for place in sorted(self._stacked[at])}
        if any(_reads(self._whole(at, value), words) for value in words.values()):
            for value in words.values():
                self.emission.named(value)
        lines: list[ast.stmt] = []
        for place, (word, value) in enumerate(words.items()):
            row = self._whole(at, value)
            if place:
                row = self._before(row, list(words)[:place])
            append = py.attribute(py.name(word), "append")
            lines.append(ast.Expr(py.call(append, row).expr))
        return lines

    def _stays(self, at: int, place: int, new: int) -> bool:
        """Whether a state is never changed."""
        step = self.steps[new]
        return step.op == "carry" and step.data[0] == place and self._home(step) == at

    def _home(self, step: Step) -> int:
        return self._of_block[step.block]

    def _row(self, at: int, place: int, before: bool) -> Code:
        """The row of a state before or after the step at hand."""
        if self.as_lists:
            return py.subscript(py.name(self._words[at][place]), py.literal(-1))
        counter = py.name(self._counters[at])
        later = self._later(at, place, before)
        return py.subscript(py.name(self._words[at][place]), _after(counter) if later else counter)

    def is_variable(self, step: Step) -> bool:
        """Whether a state that a step reads is a variable of the loop."""
        return self.as_function or step.data[0] not in self._stacked[self._home(step)]

    def code(self, step: Step) -> Code:
        """What a step of a recurrence reads, and its states outside."""
        match step.op:
            case "carry":
                at, (place, _) = self._home(step), step.data
                if place in self._stacked[at] and not self.as_function:
                    return self._row(at, place, before=True)
                return py.name(self._words[at][place])
            case "entry":
                return self._entry(step)
            case "stack":
                (at,), (place, before) = step.args, step.data
                word = py.name(self._words[at][place])
                if place in self._plain[at]:
                    return word
                later = self._later(at, place, before)
                rows = py.span(py.literal(1)) if later else py.span(None, py.literal(-1))
                return py.subscript(word, rows)
        (at,), place = step.args, step.data
        word = py.name(self._words[at][place])
        if place not in self._stacked[at]:
            return word
        return py.subscript(word, py.literal(0 if self.steps[at].data.reverse else -1))

    def _entry(self, step: Step) -> Code:
        series, counter = step.args
        inner, word = self.steps[series], self.emission.read(counter)
        if inner.op != "stack":
            return py.subscript(self.emission.read(series), word)
        (at,), (place, before) = inner.args, inner.data
        later = self._later(at, place, before)
        return py.subscript(py.name(self._words[at][place]), _after(word) if later else word)


def _changed(words: Sequence[str], values: Sequence[Code]) -> list[ast.stmt]:
    """New values of variables: one by one where no value reads one that has changed already."""
    pairs = list(zip(words, values, strict=True))
    for order in (pairs, pairs[::-1]):
        later = [{w for w, _ in order[:k]} for k in range(len(order))]
        if not any(_reads(value, done) for (_, value), done in zip(order, later, strict=True)):
            return [py.assignment(word, value) for word, value in order]
    targets: list[ast.expr] = [ast.Name(word, ast.Store()) for word in words]
    return [ast.Assign([ast.Tuple(targets, ast.Store())], py.tuple_of(values).expr, lineno=0)]


def _reads(value: Code, words: Collection[str]) -> bool:
    return any(isinstance(n, ast.Name) and n.id in words for n in ast.walk(value.expr))


def _function(name: str, parameters: Sequence[str], lines: list[ast.stmt]) -> ast.stmt:
    given = ast.arguments(
        posonlyargs=[],
        args=[ast.arg(p) for p in parameters],
        vararg=None,
        kwonlyargs=[],
        kw_defaults=[],
        kwarg=None,
        defaults=[],
    )
    return ast.FunctionDef(name, given, lines, [], None, lineno=0)


def _targets(words: Sequence[str]) -> ast.expr:
    """What values are assigned to: `_` where none of them is wanted."""
    if all(word == "_" for word in words):
        return ast.Name("_", ast.Store())
    names: list[ast.expr] = [ast.Name(word, ast.Store()) for word in words]
    return names[0] if len(names) == 1 else ast.Tuple(names, ast.Store())


def _unpacked(words: Sequence[str], value: Code) -> ast.stmt:
    return ast.Assign([_targets(words)], value.expr, lineno=0)


def _for(word: str, over: Code, lines: list[ast.stmt]) -> ast.stmt:
    return ast.For(ast.Name(word, ast.Store()), over.expr, lines, [], lineno=0)


def _after(a: Code) -> Code:
    """`a + 1`."""
    if isinstance(a.expr, ast.Constant) and isinstance(a.expr.value, int):
        return py.literal(a.expr.value + 1)
    return py.binary("+", a, py.literal(1))


def _is_literal(a: Code, value: int) -> bool:
    return isinstance(a.expr, ast.Constant) and a.expr.value == value
