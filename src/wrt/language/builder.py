"""Syntax with known kinds and sizes to a formula, by the constructors of `expression.build`."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial

from wrt.errors import Mistake, ShapeMistake, TooLarge
from wrt.expression import build
from wrt.expression.coefficient import IMAGINARY, ONE, PI
from wrt.expression.dimensions import Dimension
from wrt.expression.directions import open_directions
from wrt.expression.nodes import Constant, Factor, Node, Variable
from wrt.language import indexform, mistakes
from wrt.language.elaboration import Elaboration, size_of
from wrt.language.kinds import COLUMN, MATRIX, ROW, SCALAR
from wrt.language.shapes import Sizes, block_plane
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
    Slice,
    Syntax,
    Words,
)
from wrt.language.words import Use, book

__all__ = ["Builder"]

F1 = Fraction(1)
#: Whole powers of a matrix up to here become products; larger ones stay a power.
LARGEST_PRODUCT = 64
#: Entries of a matrix that is written out.
MOST_WRITTEN = 2000


class Builder:
    """Builds every part once, operands first."""

    def __init__(self, made: Elaboration, sizes: Sizes, over_complex: bool = False) -> None:
        self.made, self.sizes, self.kinds = made, sizes, sizes.kinds
        #: what names are that nobody declared
        self.numbers = frozenset({"complex"}) if over_complex else frozenset()
        self.nodes: dict[Syntax, Node] = {}
        self.lines: dict[str, Node] = {}
        self.variables: dict[str, Variable] = {}
        #: sums under construction: a chain of a thousand signs becomes one sum
        self._open: dict[Syntax, list[Node]] = {}

    def formula(self) -> Node:
        """The formula of the last line."""
        bodies = {id(line.body): line for line in self.made.lines.values()}
        inside = indexform.letters_within(self.made.parts, self) if self.made.indexed else {}
        made: Node | None = None
        for part in self.made.parts:
            if part not in inside:
                self.nodes[part] = self._guarded(part, partial(self._node, part))
            line = bodies.get(id(part))
            if line is not None:
                indexed = line.indices is not None
                whole = partial(self._index_line, line) if indexed else partial(self.of, part)
                made = self._guarded(part, whole)
                if line.target is not None:
                    self.lines[line.target] = made
        assert made is not None
        return made

    def of(self, part: Syntax) -> Node:
        """The formula of a part, a sum closed where it was still open."""
        if part in self._open:
            self.nodes[part] = self._sum(part, self._open.pop(part))
        return self.nodes[part]

    def kind(self, part: Syntax) -> int:
        """The kind of a part."""
        return self.kinds[self.made.slots[part]]

    def dims(self, part: Syntax) -> tuple[Dimension, ...]:
        """The axes of a part."""
        return self.sizes.known(self.sizes.dims[part])

    def _guarded(self, part: Syntax, make: Callable[[], Node]) -> Node:
        """Mistakes that a constructor raises get their place in the text."""
        try:
            return make()
        except Mistake as mistake:
            if mistake.text is None:
                mistake.text, mistake.span = self.made.text, part.span
            raise

    def _node(self, part: Syntax) -> Node:
        match part:
            case Number():
                number = build.number(part.value)
                return build.scale(IMAGINARY, number) if part.imaginary else number
            case Name():
                return self._name(part)
            case Prefix():
                inside = self.of(part.operand)
                return build.negative(inside) if part.operator.name == "minus" else inside
            case Postfix():
                return self._postfix(part)
            case Infix():
                return self._infix(part)
            case Call():
                return self._call(part, self.made.uses[part])
            case Index():
                return self._entries(part)
            case Bracket():
                return self._bracket(part)
            case Words():
                raise AssertionError(part)

    # Names

    def _name(self, part: Name) -> Node:
        role, name = self.made.roles[part], part.name
        if role == "bound":
            return Variable(name, ())
        if role == "size":
            return build.number(Dimension.of(name))
        if role == "line":
            return self.lines[name]
        if role == "constant":
            if name == "pi":
                return Constant(PI)
            return build.identity(self.dims(part)[0])
        return self.variable(name)

    def variable(self, name: str) -> Variable:
        """The variable of a name, with the properties that were declared."""
        if name not in self.variables:
            shape = self.made.declared.get(name)
            dims = self.sizes.known(self.sizes.variables[name])
            properties = shape.properties if shape else self.numbers
            self.variables[name] = Variable(name, dims, properties)
        return self.variables[name]

    # Operators

    def _postfix(self, part: Postfix) -> Node:
        node = build.transpose(self.of(part.operand))
        if part.operator.name == "transpose":
            return node
        return self._word("conj", part)(node)

    def _word(self, word: str, part: Syntax) -> Callable[..., Node]:
        function = book().get(word)
        if function is None:
            raise ShapeMistake(f"the word {word} is not known", text=self.made.text, span=part.span)
        return function

    def _infix(self, part: Infix) -> Node:
        name = part.operator.name
        if name in ("add", "subtract"):
            return self._chain(part, name == "subtract")
        left, right = self.of(part.left), self.of(part.right)
        if name == "times":
            return self._times(part, left, right)
        if name == "entry_times":
            return build.multiply(left, right)
        if name in ("divide", "entry_divide"):
            return build.divide(left, right)
        if name == "entry_power":
            return build.power(left, right)
        if name == "power":
            return self._power(part, left, right)
        if name == "solve":
            return self._word("solve", part)(left, right)
        return self._kron(part, (part.left, part.right))

    def _chain(self, part: Infix, minus: bool) -> Node:
        """One more term; the sum itself is made when somebody needs it."""
        terms = self._open.pop(part.left, None) if self._is_chain(part.left) else None
        terms = [self.of(part.left)] if terms is None else terms
        right = self.of(part.right)
        terms.append(build.negative(right) if minus else right)
        self._open[part] = terms
        return right  # a place holder: `of` puts the sum here

    def _is_chain(self, part: Syntax) -> bool:
        """Whether a sum goes on from here; one in brackets is a term of its own."""
        if part not in self._open or not isinstance(part, Infix):
            return False
        return part.span == (part.left.span[0], part.right.span[1])

    def _sum(self, part: Syntax, terms: list[Node]) -> Node:
        dims = self.dims(part)
        return build.add(*(build.broadcast(term, dims) for term in terms))

    def _times(self, part: Infix, left: Node, right: Node) -> Node:
        a, b = self.kind(part.left), self.kind(part.right)
        if SCALAR in (a, b):
            return build.multiply(left, right)
        inner = 0 if (a == COLUMN and b == ROW) else 1
        first = tuple(range(left.ndim))
        second = tuple(range(left.ndim - inner, left.ndim - inner + right.ndim))
        dims = left.dims + right.dims[inner:]
        output = [i for i in (*first, *second) if not inner or i != left.ndim - 1]
        return build.product(ONE, ((left, F1, first), (right, F1, second)), output, dims)

    def _power(self, part: Infix, base: Node, exponent: Node) -> Node:
        if self.kind(part.left) == SCALAR:
            return build.power(base, exponent)
        if isinstance(exponent, Constant) and exponent.coefficient.is_number:
            value = exponent.coefficient.value
            if value.denominator == 2:
                base, value = self._word("sqrtm", part)(base), value * 2
            if value.denominator != 1:
                what = mistakes.quoted(self.made.text, part)
                raise ShapeMistake(
                    f"{what}: a matrix has whole powers only",
                    hint="perhaps X^(1/2), or X.^(1/3) entry by entry",
                )
            if value < 0:
                base, value = self._word("inv", part)(base), -value
            if value <= LARGEST_PRODUCT:
                return _whole_power(base, int(value))
            exponent = build.number(value)
        raised = self._word("matrix_power", part)
        if build.coefficient_of(exponent).value < 0:  # X^(-k)
            turned: Node = self._word("inv", part)(raised(base, build.negative(exponent)))
            return turned
        power: Node = raised(base, exponent)
        return power

    def _kron(self, part: Syntax, operands: tuple[Syntax, ...]) -> Node:
        """The Kronecker product of planes; a vector is one column, a row one row."""
        left, right = (self.of(p) for p in operands)
        a, b = (self.kind(p) for p in operands)
        if SCALAR in (a, b):
            return build.multiply(left, right)
        first = _plane_axes(a, 0)
        second = _plane_axes(b, left.ndim)
        rows = [i for i in (first[0], second[0]) if i is not None]
        columns = [i for i in (first[1], second[1]) if i is not None]
        inside = range(left.ndim), range(left.ndim, left.ndim + right.ndim)
        factors = ((left, F1, tuple(inside[0])), (right, F1, tuple(inside[1])))
        dims = left.dims + right.dims
        made = build.product(ONE, factors, [*rows, *columns], dims)
        return build.reshape(made, self.dims(part))

    # Calls

    def _call(self, part: Call, use: Use) -> Node:
        operands = [self.of(p) for p in use.operands]
        match use.how:
            case "sized":
                return self._sized(part)
            case "fill":
                return build.broadcast(operands[0], self.dims(part))
            case "bounded":
                return self._bounded(part, operands)
            case "einsum":
                assert isinstance(part.arguments[0], Words)
                return build.einsum(part.arguments[0].text, *operands)
            case "kron":
                return self._kron(part, use.operands)
            case "frechet":
                assert use.function is not None
                return open_directions(use.function, operands, use.axis or 0)
        assert use.function is not None
        if use.how == "axis" or (use.how == "either" and self.kind(use.operands[0]) == MATRIX):
            assert use.axis is not None
            axis = use.axis - 1 if operands[0].ndim == 2 else 0
            along: Node = use.function(operands[0], axis=axis)
            return along
        if use.how == "either":
            return self._word({"max": "maximum", "min": "minimum"}[part.word], part)(*operands)
        if part.word == "sqrt" and use.function is book().get("sqrt"):
            return build.power(operands[0], Fraction(1, 2))
        made = use.function(*operands)
        first: Node = made[0] if isinstance(made, tuple) else made
        return first

    def _sized(self, part: Call) -> Node:
        dims = self.dims(part)
        match part.word:
            case "eye" | "I":
                return build.identity(dims[0])
            case "ones":
                return build.ones(dims)
            case "zeros":
                return build.zeros(dims)
            case "commutation":
                made: Node = book()["commutation"](*(size_of(p, self.made) for p in part.arguments))
                return made
        place = size_of(part.arguments[1], self.made)
        size = dims[0].value
        if place.value is not None and not 1 <= place.value <= (size or place.value):
            raise ShapeMistake(f"there is no basis vector {place} of {dims[0]}")
        return build.unit(dims[0], place - 1)

    def _bounded(self, part: Call, operands: list[Node]) -> Node:
        name = part.arguments[0]
        assert isinstance(name, Name)
        return build.bounded(part.word, Variable(name.name, ()), *operands)

    # Entries and written matrices

    def _entries(self, part: Index) -> Node:
        keys: list[Dimension | slice] = []
        base = self.of(part.base)
        for item, dim in zip(part.items, base.dims, strict=True):
            assert not isinstance(item, Joined)  # elaboration refused it
            if isinstance(item, Slice):
                low = None if item.low is None else self.place(item.low, dim) - 1
                high = None if item.high is None else self.place(item.high, dim)
                keys.append(slice(low, high))
            else:
                keys.append(self.place(item, dim) - 1)
        return build.getitem(base, tuple(keys))

    def place(self, item: Syntax, dim: Dimension) -> Dimension:
        """A position, counted from 1."""
        place = size_of(item, self.made)
        if place.value is not None and not 1 <= place.value <= (dim.value or place.value):
            raise ShapeMistake(
                f"there is no entry {place}; entries are counted from 1 to {dim}",
                text=self.made.text,
                span=item.span,
            )
        return place

    def _bracket(self, part: Bracket) -> Node:
        dims, items = self.dims(part), part.children
        if len(items) > MOST_WRITTEN:
            raise TooLarge(f"a matrix of {len(items)} written entries is refused")
        if all(self.kind(p) == SCALAR for p in items):
            return self._written(part, dims)
        terms: list[Node] = []
        top = Dimension.of(0)
        for row in part.rows:
            left = Dimension.of(0)
            for item in row:
                terms.append(self._block(part, item, top, left))
                left = left + self.sizes.resolved(block_plane(self.sizes, item)[1])
            top = top + self.sizes.resolved(block_plane(self.sizes, row[0])[0])
        return build.add(*terms)

    def _written(self, part: Bracket, dims: tuple[Dimension, ...]) -> Node:
        """A vector or matrix of scalars: each times its unit matrix."""
        width = len(part.rows[0])
        terms = []
        for k, item in enumerate(part.children):
            at = (k,) if len(dims) == 1 else divmod(k, width)
            units = [
                (build.unit(dim, place), F1, (axis,))
                for axis, (dim, place) in enumerate(zip(dims, at, strict=True))
            ]
            factors = [(self.of(item), F1, ()), *units]
            terms.append(build.product(ONE, factors, range(len(dims)), dims))
        return build.add(*terms)

    def _block(self, part: Bracket, item: Syntax, top: Dimension, left: Dimension) -> Node:
        """A block in its place: rows and columns of the whole picked by 0/1 sections."""
        node, kind, whole = self.of(item), self.kind(item), self.dims(part)
        lengths = [self.sizes.resolved(d) for d in block_plane(self.sizes, item)]
        offsets = (top, left)
        wanted = {COLUMN: (0,), ROW: (1,)}.get(self.kind(part), (0, 1))
        own = {COLUMN: (0,), ROW: (1,), SCALAR: ()}.get(kind, (0, 1))
        dims: list[Dimension] = []
        factors: list[Factor] = []
        output: list[int] = []
        indices: list[int] = []
        for axis in wanted:
            target = whole[wanted.index(axis)]
            dims.append(target)
            output.append(len(dims) - 1)
            if axis in own:
                dims.append(lengths[axis])
                indices.append(len(dims) - 1)
                pattern = build.section(lengths[axis], target, offsets[axis])
                factors.append((pattern, F1, (len(dims) - 1, output[-1])))
            else:
                factors.append((build.unit(target, offsets[axis]), F1, (output[-1],)))
        factors.append((node, F1, tuple(indices)))
        return build.product(ONE, factors, output, dims)

    # Index form

    def _index_line(self, line: Line) -> Node:
        return indexform.built(line, self)


def _plane_axes(kind: int, start: int) -> tuple[int | None, int | None]:
    if kind == MATRIX:
        return start, start + 1
    return (start, None) if kind == COLUMN else (None, start)


def _whole_power(base: Node, exponent: int) -> Node:
    """Repeated squaring, so that X^64 is six products."""
    if exponent == 0:
        return build.identity(base.dims[0])
    made: Node | None = None
    while exponent:
        if exponent & 1:
            made = base if made is None else build.matmul(made, base)
        exponent >>= 1
        base = build.matmul(base, base) if exponent else base
    assert made is not None
    return made
