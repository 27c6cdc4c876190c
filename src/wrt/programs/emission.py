"""Steps become Python statements: one small function of code for each operation.

A step that is used once is written where it is used while the line stays readable; any other gets
a name. Loops are blocks of their own. The array library is met only through `Backend.library`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from math import prod
from typing import Any

from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Dims, Variable
from wrt.programs import code as py
from wrt.programs import factors, writing
from wrt.programs.backends import Backend
from wrt.programs.code import Code
from wrt.programs.helpers import Helpers
from wrt.programs.loops import Loops
from wrt.programs.names import Names
from wrt.programs.new_arrays import NewArrays, Sizes, is_number
from wrt.programs.places import NONE
from wrt.programs.plan import Plan
from wrt.programs.steps import Step, whole_by_form

__all__ = ["Emission"]

#: A line holds this many columns and operations before a part of it is named.
MOST_WIDTH = 72
MOST_WEIGHT = 7
#: Results that are returned on one line.
MOST_LINE = 84

FREE = frozenset({"load", "number"})
VIEW = frozenset({"transpose", "expand", "stack", "last"})
#: what is read of a recurrence, inside its loop and outside
LOOPED = frozenset({"carry", "entry", "stack", "last"})
HALF = Fraction(1, 2)


class Emission(NewArrays):
    """Writes the statements of one plan; `sizes.used` are the dimensions that they name."""

    def __init__(
        self,
        plan: Plan,
        backend: Backend,
        parameters: Mapping[Variable, str],
        sizes: Mapping[str, str],
        helpers: Helpers,
        names: Names,
    ) -> None:
        super().__init__(plan.steps, backend.library, parameters, names)
        self.results, self.backend = plan.results, backend
        self.parameters, self.helpers = parameters, helpers
        self.sizes = Sizes(sizes, names)
        self.known: dict[int, str] = {}
        self.temporaries: set[str] = set()
        self.inside: set[int] = set()
        self._pending: dict[int, Code] = {}
        self._lines: list[ast.stmt] = []
        self.ranges: dict[object, str] = {}
        self._loops = Loops(self)
        self._uses, self._crossing = self._counted()

    # Statements

    def body(self) -> list[ast.stmt]:
        """The statements of the program, its `return` last."""
        lines = self._block(0)
        self._lines = lines
        if sum(self.of(at).width for at in self.results) > MOST_LINE:
            for at in self.results[:-1]:
                self.named(at)
        results = [self._returned(at) for at in self.results]
        value = py.tuple_of(results) if len(results) > 1 else results[0]
        return self.typed([*self._lines, ast.Return(value.expr)])

    def conditions(self, conditions: Sequence[Dimension]) -> list[ast.stmt]:
        """What must hold of the sizes, so that no slice reads beside its axis."""
        lines: list[ast.stmt] = []
        for dim in conditions:
            above = Dimension(tuple(t for t in dim.terms if t[1] > 0))
            left, right = self.size(above), self.size(above - dim)
            lines.append(ast.Assert(py.compare(left, ">=", right).expr, None))
        return lines

    def _returned(self, at: int) -> Code:
        """A result of its own: nothing that only looks at another array."""
        code = self.of(at)
        step = self.steps[at]
        if step.op == "broadcast" and self.steps[step.args[0]].kind != "number":
            return self.library.own(code)
        if self.backend.name != "numpy" and is_number(step):
            return self.constant(at, code)
        return code

    def _counted(self) -> tuple[list[int], set[int]]:
        """How often each step is written, and which are read from inside a loop."""
        steps = self.steps.all
        uses = [0] * len(steps)
        where: list[set[int]] = [set() for _ in steps]
        for at in self.results:
            uses[at] += 1
            where[at].add(0)
        for at in range(len(steps) - 1, -1, -1):
            step = steps[at]
            if not uses[at]:
                continue
            for k, arg in enumerate(step.args):
                uses[arg] += uses[at] if step.op in VIEW else 1
                inner = _reader(step, k)
                where[arg] |= where[at] if step.op in VIEW else {inner}
        return uses, {at for at, step in enumerate(steps) if where[at] - {step.block}}

    def _block(self, block: int) -> list[ast.stmt]:
        saved, self._lines = self._lines, []
        for at in self.steps.blocks[block].order:
            step = self.steps[at]
            if step.op == "load":
                self._load(at, step)
            elif at in self.known and step.op == "entry":
                continue  # the loop of a library gives it
            elif self._uses[at] and step.op not in FREE and step.op not in VIEW:
                self._emit(at, step)
        lines, self._lines = self._lines, saved
        return lines

    def _load(self, at: int, step: Step) -> None:
        if step.block == 0:
            self.known[at] = self.parameters[step.data]
        elif at not in self.known:
            self.known[at] = self.names.give(step.data.name)

    def _emit(self, at: int, step: Step) -> None:
        if step.op == "write":
            writing.write(self, at, step)
        elif step.op == "increment" and self.library.manner == "in place":
            writing.increment(self, at, step)
        elif step.op == "loop":
            self._add(self._loops.running(at, step))
        elif step.op == "scan":
            self._add(self._loops.recurrence(at, step))
        elif step.op == "call" and len(step.data[1]) > 1:
            self._results(at, step)
        elif step.op != "pick":
            self._pending[at] = self._fitted(at)
            if at in self._crossing or (self._uses[at] > 1 and not self._is_short(step)):
                self._assign(at)

    def _is_short(self, step: Step) -> bool:
        """Whether a step is written again wherever it is read: a state, zeros to begin with."""
        if step.op == "carry":
            return self._loops.is_variable(step)
        return step.op == "broadcast" and self.steps[step.args[0]].op == "number"

    def _add(self, lines: Iterator[ast.stmt]) -> None:
        """Statements, between which others may be written meanwhile."""
        for line in lines:
            self._lines.append(line)

    def _fitted(self, at: int) -> Code:
        """The code of a step, with parts named until it is short."""
        while True:
            code = self._code(at)
            if code.width <= MOST_WIDTH and code.weight <= MOST_WEIGHT:
                return code
            inside = [a for a in map(self.base, self.steps[at].args) if a in self._pending]
            if not inside:
                return code
            self._assign(max(inside, key=lambda a: self._pending[a].width))

    def base(self, at: int) -> int:
        while self.steps[at].op in VIEW - LOOPED:
            (at,) = self.steps[at].args
        return at

    def _assign(self, at: int) -> None:
        """Name a step."""
        code = self._pending.pop(at)
        self.assign(at, code)

    def assign(self, at: int | None, code: Code, wanted: str = "") -> str:
        """A line that names a step, or some other value."""
        names = self.names
        if wanted or at is None:
            word = names.give(wanted)
        else:
            word = names.of(self.steps, self.steps[at], self.known)
        self.temporaries.add(word)
        if at is not None:
            self.known[at] = word
        self._lines.append(py.assignment(word, code))
        return word

    def named(self, at: int) -> Code:
        """A step by name, named now where it had none."""
        base = self.base(at)
        if base in self._pending:
            self._assign(base)
        return self.of(at)

    def of(self, at: int) -> Code:
        """The code by which a step is read."""
        step = self.steps[at]
        if at in self.known:
            return py.name(self.known[at])
        if at in self._pending:
            return self._pending[at]
        assert step.op in FREE or step.op in VIEW, step
        return self._code(at)

    # What loops and writing are written with

    def is_own(self, at: int, user: Step) -> bool:
        """Whether an array is new and only this step reads it."""
        new = at in self._pending or at in self.inside
        return new and self._uses[at] == 1 and self.steps[at].block == user.block

    def called(self, at: int, wanted: str) -> str:
        """The name of a step, named now where it had none."""
        return self.known.get(at) or self.assign(at, self._pending.pop(at), wanted)

    def line(self, statement: ast.stmt) -> None:
        """One more statement."""
        self._lines.append(statement)

    def read(self, at: int) -> Code:
        """A step as it is read."""
        return self.of(at)

    def together(self, places: Sequence[int]) -> list[Code]:
        """Several steps that are read on one line."""
        if sum(self.of(at).width for at in places) > MOST_WIDTH:
            return [self.named(at) for at in places]
        return [self.of(at) for at in places]

    def begun(self, at: int, start: Code) -> str:
        """The name of a step that begins with a value."""
        return self.assign(at, start)

    def counter(self, at: int) -> str:
        """The name of what counts a loop."""
        self._load(at, self.steps[at])
        return self.known[at]

    def inner(self, block: int, finish: Callable[[], list[ast.stmt]]) -> list[ast.stmt]:
        """The body of a loop with the statements that end it."""
        ranges = dict(self.ranges)
        lines = self._block(block)
        saved, self._lines = self._lines, lines
        lines.extend(finish())
        self._lines, self.ranges = saved, ranges
        return lines

    @property
    def lines(self) -> list[ast.stmt]:
        """The statements of the block at hand."""
        return self._lines

    def is_used(self, at: int) -> bool:
        """Whether something of the program reads a step."""
        return self._uses[at] > 0

    # Statements of several lines

    def _results(self, at: int, step: Step) -> None:
        """`l, V = eigh(X)`."""
        function, axes = step.data
        picks = {
            s.data: k for k, s in enumerate(self.steps.all) if s.op == "pick" and s.args == (at,)
        }
        targets: list[ast.expr] = []
        for position in range(len(axes)):
            pick = picks.get(position)
            word = "_"
            if pick is not None and self._uses[pick]:
                word = self.names.give(function.forms[0].results[position].name)
                self.known[pick] = word
            targets.append(ast.Name(word, ast.Store()))
        value = self._fitted(at)
        self._lines.append(ast.Assign([ast.Tuple(targets, ast.Store())], value.expr, lineno=0))

    def range(self, length: Dimension, letter: str, trailing: int) -> Code:
        """The places along an axis, as a grid with some axes behind it."""
        key = (length, letter, trailing)
        places = self._arange(length)
        if trailing:
            places = py.subscript(places, py.colon(), *[py.literal(None)] * trailing)
        return self._once(key, places, letter)

    def _once(self, key: object, code: Code, wanted: str) -> Code:
        """A value that is made once in a block, by its name."""
        if key not in self.ranges:
            word = self.ranges[key] = self.names.give(wanted)
            self._lines.append(py.assignment(word, code))
        return py.name(self.ranges[key])

    def key(
        self, pinned: bool, offset: Dimension, length: Dimension | None, dim: Dimension
    ) -> Code:
        if pinned or length is None:
            return self.size(offset)
        if offset is NONE and length is dim:
            return py.colon()
        start = None if offset is NONE else self.size(offset)
        end = offset + length
        return py.span(start, None if end is dim else self.size(end))

    # Expressions

    def _arange(self, length: Dimension) -> Code:
        return self.library.arange(self.size(length), self.like and self.like[0])

    def word(self, word: str) -> Code:
        """A word of the array library."""
        return self.library.word(word)

    def size(self, dim: Dimension) -> Code:
        """A size as it is computed."""
        return py.size(dim, self.sizes)

    def shape(self, dims: Dims) -> Code:
        """The tuple of the sizes of an array."""
        return py.tuple_of([self.size(d) for d in dims])

    def eye(self, length: Dimension) -> Code:
        """An identity matrix."""
        return py.call(self.word("eye"), self.size(length), **self.made())

    def identity(self, length: Dimension) -> Code:
        """An identity matrix, by a name of its own."""
        return self._once(("eye", length), self.eye(length), "eye")

    def _number(self, c: Coefficient) -> Code:
        return py.number(c, self.sizes, self.word("pi"))

    def _code(self, at: int) -> Code:
        step = self.steps[at]
        if step.op in LOOPED:
            return self._loops.code(step)
        arguments = [self.of(a) for a in step.args]
        match step.op:
            case "load":
                return py.name(self.parameters[step.data])
            case "number":
                return self._number(step.data)
            case "negate":
                return py.negative(arguments[0])
            case "add":
                return _sum(step.data, arguments)
            case "multiply":
                return self._multiply(step, arguments)
            case "divide":
                return self._divide(step, arguments)
            case "power":
                return self._power(step, arguments[0])
            case "matmul":
                return self._matmul(step, arguments)
            case "solve" if step.data is None:
                return py.call(self.word("linalg.solve"), *self._joined(step, arguments))
            case "factor" | "solve" | "inverse" | "det" | "logdet":
                return factors.code(self, step)
            case "outer":
                return self.library.outer(*arguments)
            case "kron" | "diag" | "trace":
                return py.call(self.word(step.op), *arguments)
            case "concatenate":
                return self.library.concatenate(arguments, step.data)
            case "vdot":
                return self.library.inner(*arguments)
            case "gram":
                return self._gram(step, arguments)
            case "add transposed":
                return self._add_transposed(step, arguments)
            case "increment":
                return writing.added(self, at, step)
            case "einsum":
                pair = self._joined(step, arguments)
                return self.library.einsum(step.data, *pair)
            case "tensordot":
                return self.library.tensordot(*self._joined(step, arguments), step.data)
            case "sum":
                return self.library.total(arguments[0], step.data)
            case "tril" | "triu":
                shift = [] if step.data is NONE else [self.size(step.data)]
                return py.call(self.word(step.op), arguments[0], *shift)
            case "eye":
                return self.eye(step.dims[0])
            case "mask":
                return self._mask(step)
            case "asfloat":
                return self._asfloat(step, arguments[0])
            case "whole":
                return self._whole(step.args[0], arguments[0])
            case "call":
                return self._call(step, arguments)
        return self._view(step, arguments[0])

    def _view(self, step: Step, a: Code) -> Code:
        """Operations that only look at an array in another way."""
        match step.op:
            case "transpose":
                return self.library.transpose(a, step.data)
            case "expand":
                return py.subscript(a, *[py.colon() if k else py.literal(None) for k in step.data])
            case "index":
                dims = self.steps[step.args[0]].dims
                return py.subscript(a, *py.short(self._keys(step.data, dims)))
            case "diagonal":
                return self.library.diagonal(a, *step.data)
            case "reshape":
                return self._reshape(step, a)
            case "broadcast":
                return self._broadcast(step, a)
        raise AssertionError(step)

    def _keys(self, keys: Sequence[Any], dims: Dims) -> list[Code]:
        return [
            py.colon() if k is None else self.key(len(k) == 1, k[0], k[-1], dim)
            for k, dim in zip(keys, dims, strict=True)
        ]

    def _multiply(self, step: Step, arguments: Sequence[Code]) -> Code:
        """A product entry by entry; by a square that nothing else reads, twice by its base where
        the library would rather not have another large array.
        """
        for at, other in zip(step.args, arguments[::-1], strict=True):
            square = self.steps[at]
            if square.op == "power" and square.data == 2 and at in self._pending:
                base, entries = self.of(square.args[0]), _entries(square.dims) or 0
                if isinstance(base.expr, ast.Name) and entries > self.library.most_kept:
                    return py.binary("*", base, py.binary("*", base, other))
        return self.library.times(*arguments) if step.dims else py.binary("*", *arguments)

    def _divide(self, step: Step, arguments: Sequence[Code]) -> Code:
        bottom = self.steps[step.args[1]]
        top, below = arguments
        if bottom.op == "number" and bottom.data.value == 0:
            below = self.constant(step.args[1], below)
        return py.binary("/", top, below)

    def _power(self, step: Step, base: Code) -> Code:
        if self.steps[step.args[0]].op == "number":
            base = self.constant(step.args[0], base)
        elif step.data == HALF:
            base = self.strictly(step.args[0], base)
        elif step.dims and step.data in self.library.by_roots:
            base = self.named(step.args[0])
        if step.data == HALF:
            return py.call(self.word("sqrt"), base)
        if step.dims and step.data in self.library.by_roots:
            root = py.call(self.word("sqrt"), base)
            whole = base if step.data < 2 else py.binary("**", base, py.literal(2))
            return py.binary("*", whole, root)
        return py.binary("**", base, py.exponent(step.data))

    def _matmul(self, step: Step, arguments: Sequence[Code]) -> Code:
        """A product; `W' v` is `v W` where the library is faster from the left."""
        left, right = (self.steps[a] for a in step.args)
        turned = left.op == "transpose" and len(left.dims) == 2 and len(right.dims) == 1
        if not (turned and self.library.from_the_left):
            flat = max(len(left.dims), len(right.dims)) <= 2
            entries = _entries(step.dims) if flat else None
            return self.library.matmul(*self._joined(step, arguments), entries)
        pair = (arguments[1], self.of(left.args[0]))
        kinds = [right.kind, self.steps[left.args[0]].kind]
        return py.binary("@", *self.library.joined(*pair, kinds))

    def _joined(self, step: Step, arguments: Sequence[Code]) -> tuple[Code, Code]:
        """The two factors of a product, of one type where the library wants it."""
        a, b = arguments
        return self.library.joined(a, b, [self.steps[k].kind for k in step.args])

    def _gram(self, step: Step, arguments: Sequence[Code]) -> Code:
        """X' diag(d) X."""
        if self.library.symmetric:
            return py.call(py.name(self.helpers.gram()), *arguments)
        X, d = self.named(step.args[0]), arguments[1]
        weights = py.subscript(d, py.colon(), py.literal(None))
        return py.binary("@", self.library.transpose(X, (1, 0)), py.binary("*", weights, X))

    def _add_transposed(self, step: Step, arguments: Sequence[Code]) -> Code:
        """A + B.T, by strips where the library would read far apart."""
        A, B = arguments
        if not self.library.strided:
            return py.binary("+" if step.data > 0 else "-", A, self.library.transpose(B, (1, 0)))
        minus = [] if step.data > 0 else [self.word("subtract")]
        return py.call(py.name(self.helpers.add_transposed()), A, B, *minus)

    def _mask(self, step: Step) -> Code:
        (relation,) = step.data
        sides: list[list[Code]] = [[], []]
        for position, c in relation.terms:
            grid = self._places(step.dims[position], named=len(step.dims) > 2)
            behind = len(step.dims) - 1 - position
            if behind:
                grid = py.subscript(grid, py.colon(), *[py.literal(None)] * behind)
            scaled = grid if abs(c) == 1 else py.binary("*", py.literal(abs(c)), grid)
            sides[c < 0].append(scaled)
        constant = relation.constant
        if constant is not NONE:
            below = constant.terms[0][1] < 0
            sides[below].append(self.size(constant * -1 if below else constant))
        left, right = (_sum([1] * len(s), s) if s else py.literal(0) for s in sides)
        return py.compare(left, relation.kind, right)

    def _places(self, length: Dimension, named: bool) -> Code:
        if named:
            return self.range(length, "i", 0)
        return self._arange(length)

    def _asfloat(self, step: Step, a: Code) -> Code:
        inner = self.steps[step.args[0]]
        if not step.dims:
            return py.call(py.name("float"), a)
        if inner.op == "mask" and len(step.dims) == 2:
            (relation,) = inner.data
            if relation.kind == ">=" and relation.terms == ((0, 1), (1, -1)):
                shift = self.size(relation.constant) if relation.constant is not NONE else None
                shape = [self.size(d) for d in step.dims]
                square = step.dims[0] is step.dims[1] and shift is None
                return self.library.tri(shape, shift, self.made(), square=square)
        return self.library.floats(a, self.made())

    def _whole(self, at: int, a: Code) -> Code:
        if whole_by_form(self.steps.all, at):
            return a
        return py.call(py.name("round"), py.call(py.name("float"), a))

    def _call(self, step: Step, arguments: Sequence[Code]) -> Code:
        function, _ = step.data
        given = list(arguments)
        if function.forms[0].arguments[0].dims is None and len(self.steps[step.args[0]].dims) == 1:
            reduced = self.helpers.reduction(function)
            if reduced is not None:
                return py.call(reduced, self._unflattened(step.args[0]))
        for k, at in enumerate(step.args):
            inner = self.steps[at]
            if inner.op == "load" and inner.block and self.library.lenient:
                given[k] = py.call(py.name("float"), given[k])
            elif self.library.lenient and inner.op != "whole" and inner.kind == "number":
                if self.helpers.is_text(function):
                    given[k] = self.constant(at, given[k])
            else:
                given[k] = self.strictly(at, given[k])
        if len(given) == 2 and not function.entrywise:
            given[:] = self._joined(step, given)
        over_complex = step.kind == "complex" and isinstance(function.analytic, str)
        return self.helpers.call(function, given, over_complex)

    def _unflattened(self, at: int) -> Code:
        """An array before all its axes were laid out as one, where only a reduction sees it."""
        step, code = self.steps[at], self.of(at)
        if step.op == "reshape" and at in self._pending:
            assert isinstance(code.expr, ast.Call)
            assert isinstance(code.expr.func, ast.Attribute)
            return Code(code.expr.func.value, code.width - len(".reshape(-1)"), code.weight)
        return code

    def _reshape(self, step: Step, a: Code) -> Code:
        first = self.steps[step.args[0]].dims
        if not first or not step.dims:
            whole = self.strictly(step.args[0], a)
            return self.library.reshape(whole, [self.size(d) for d in step.dims])
        if len(step.dims) == 1:
            return py.call(py.attribute(a, "reshape"), py.literal(-1))
        sizes = [self.size(d) for d in step.dims]
        if first and step.dims[:-1] == first[: len(step.dims) - 1]:
            sizes[-1] = py.literal(-1)
        return py.call(py.attribute(a, "reshape"), *sizes)

    def _broadcast(self, step: Step, a: Code) -> Code:
        shape, at = [self.size(d) for d in step.dims], step.args[0]
        inner = self.steps[at]
        if inner.op == "number" and inner.data.value == 0:
            return self.library.new("zeros", shape, self.made())
        if inner.op == "number" and inner.data == ONE:
            return self.library.new("ones", shape, self.made())
        if is_number(inner):
            return self.library.full(shape, a, self.made(self.tone(at)))
        return self.library.broadcast(a, shape)


def _reader(step: Step, place: int) -> int:
    """The block that an argument is read in: some stand in the body of a loop."""
    if step.op == "loop" and place > 1:
        block: int = step.data[1]
        return block
    if step.op == "scan" and not 1 <= place <= len(step.data.states):
        return int(step.data.block)
    return step.block


def _entries(dims: Dims) -> int | None:
    """How many entries an array has; None where a name stands for a size."""
    sizes = [d.value for d in dims]
    return None if None in sizes else prod(size or 0 for size in sizes)


def _sum(signs: Sequence[int], terms: Sequence[Code]) -> Code:
    total = terms[0] if signs[0] > 0 else py.negative(terms[0])
    for sign, term in zip(signs[1:], terms[1:], strict=True):
        total = py.binary("+" if sign > 0 else "-", total, term)
    return total
