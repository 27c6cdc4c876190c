"""Dimensions: with the kinds known, every part gets its axes by unification.

An unknown size is a dimension named by a number, `?3`; two that must be equal are united. What
stays open at the end is named n, m, p, k, … in the order in which a person meets it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain, count, islice
from math import prod

from wrt.errors import ShapeMistake
from wrt.expression.dimensions import Dimension
from wrt.language import mistakes
from wrt.language.elaboration import Elaboration, einsum_groups, size_of
from wrt.language.kinds import COLUMN, MATRIX, ROW, SCALAR, axes
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
from wrt.language.words import FILLS, Use, form_for

__all__ = ["Sizes", "size_parts"]

Dims = tuple[Dimension, ...]
ONE = Dimension.of(1)

#: Names for sizes that nobody named, in the order of preference.
NAMES = ("n", "m", "p", "k", "q", "r", "l", "s", "t", "u", "v", "w", "a", "b", "c", "d")
#: A size that must solve an equation is looked for up to here.
LARGEST_SOLVED = 1000


class Sizes:
    """The unification table of one text."""

    def __init__(self, made: Elaboration, kinds: Sequence[int]) -> None:
        self.made, self.kinds = made, kinds
        self.dims: dict[Syntax, Dims] = {}
        self.bound: dict[Dimension, Dimension] = {}
        self.variables: dict[str, Dims] = {}
        #: index names by the line that they belong to
        self.letters: dict[tuple[Line, str], Dimension] = {}
        #: sizes of which one index is made, the slowest first: by vec and kron, by letters x[(i,j)]
        self.laid: list[Dims] = []
        self.joined: list[tuple[Dims, Dimension]] = []
        self._later: list[tuple[Dimension, Dimension, Callable[[], ShapeMistake]]] = []
        self._count = count()

    def fresh(self, count: int = 1) -> Dims:
        """Unknown sizes."""
        return tuple(Dimension.of(f"?{next(self._count)}") for _ in range(count))

    def find(self, dim: Dimension) -> Dimension:
        """What is known of a size; the way there is shortened for the next time."""
        root = dim
        while root in self.bound:
            root = self.bound[root]
        while dim is not root:
            self.bound[dim], dim = root, self.bound[dim]
        return root

    def same(self, a: Dimension, b: Dimension) -> bool:
        """Make two sizes one; False where they differ, or where that is open yet."""
        a, b = self.find(a), self.find(b)
        if a is b:
            return True
        for one, other in ((a, b), (b, a)):
            # a size is never bound to a polynomial that holds it, however deep
            if _is_open(one) and str(one) not in self.resolved(other).names:
                self.bound[one] = other
                return True
        return self.resolved(a) is self.resolved(b)

    def unite(
        self, a: Sequence[Dimension], b: Sequence[Dimension], mistake: Callable[[], ShapeMistake]
    ) -> None:
        """Make axes equal, raising the mistake where they are not."""
        for one, other in zip(a, b, strict=True):
            if self.same(one, other):
                continue
            if not (_has_open(self.find(one)) or _has_open(self.find(other))):
                raise mistake()
            self._later.append((one, other, mistake))

    def known(self, dims: Iterable[Dimension]) -> Dims:
        """Axes with all that is known put in."""
        return tuple(self.resolved(d) for d in dims)

    def resolved(self, dim: Dimension) -> Dimension:
        """A size with all that is known put in, polynomials included."""
        dim = self.find(dim)
        while _has_open(dim):
            inside = {name: Dimension.of(name) for name in dim.names if name[0] == "?"}
            found = {name: self.find(d) for name, d in inside.items()}
            if all(found[name] is inside[name] for name in inside):
                break
            dim = self.find(dim.replace(found))
        return dim

    def settle(self) -> None:
        """Solve what was put off, then name what is open."""
        self._solve_all()
        self._invent()
        for one, other, mistake in self._later:
            if self.resolved(one) is not self.resolved(other):
                raise mistake()

    def _solve_all(self) -> None:
        again = True
        while again and self._later:
            taken_apart = [_taken_apart(self, *one) for one in self.joined]
            again = any(taken_apart)
            for one, other, _ in self._later:
                a, b = self.resolved(one), self.resolved(other)
                if a is not b and (
                    _solved(self, a, b) or _solved(self, b, a) or _matched(self, a, b)
                ):
                    again = True

    def _invent(self) -> None:
        """Names for open sizes: first those of variables in the order of the text."""
        made = self.made
        taken = {*made.variables, *made.declared, *made.functions, *made.sizes, *made.lines}
        taken |= {name.name for name in made.roles}
        names = chain(NAMES, (f"n{k}" for k in count(1)))
        free = (name for name in names if name not in taken)
        ordered = sorted(
            (name for name in made.roles if name.name in self.variables), key=lambda n: n.span
        )
        seen = [d for (line, k), d in self.letters.items() if k in (line.indices or ())]
        seen += [d for name in ordered for d in self.variables[name.name]]
        seen += [d for dims in self.dims.values() for d in dims]
        seen += list(self.letters.values())
        for dim in seen:
            for name in sorted(self.resolved(dim).names, key=_age):
                if name[0] == "?":
                    self.bound[Dimension.of(name)] = Dimension.of(next(free))


def _age(name: str) -> int:
    return int(name[1:]) if name[0] == "?" else -1


def _is_open(dim: Dimension) -> bool:
    text = str(dim)
    return text[0] == "?" and text[1:].isdecimal()


def _has_open(dim: Dimension) -> bool:
    return any(name[0] == "?" for name in dim.names)


def _solved(sizes: Sizes, open_side: Dimension, known: Dimension) -> bool:
    """Solve n*m = 9 or n + 2 = 5 for the one open size, if a whole number does it."""
    names = [name for name in open_side.names if name[0] == "?"]
    if len(open_side.names) != 1 or len(names) != 1 or known.value is None:
        return False
    for size in range(1, LARGEST_SOLVED):
        value = open_side.size({names[0]: size})
        if value == known.value:
            return sizes.same(Dimension.of(names[0]), Dimension.of(size))
        if value > known.value:
            break
    return False


def _taken_apart(sizes: Sizes, letters: Dims, whole: Dimension) -> bool:
    """Give joined letters their sizes: as vec or kron laid out an axis of that size, or what the
    other letters leave of it.
    """
    letters, whole = sizes.known(letters), sizes.resolved(whole)
    if not any(map(_has_open, letters)) or _has_open(whole):
        return False
    ways = {sizes.known(way) for way in sizes.laid if len(way) == len(letters)}
    ways = {way for way in ways if prod(way, start=ONE) is whole and _fits(letters, way)}
    if len(ways) == 1:
        united = [sizes.same(*pair) for pair in zip(letters, ways.pop(), strict=True)]
        return any(united)
    open_ones = [dim for dim in letters if _has_open(dim)]
    rest = prod((dim for dim in letters if not _has_open(dim)), start=ONE)
    left = whole.over(rest)
    return len(open_ones) == 1 and left is not None and sizes.same(open_ones[0], left)


def _fits(letters: Dims, way: Dims) -> bool:
    return all(_has_open(a) or a is b for a, b in zip(letters, way, strict=True))


def _matched(sizes: Sizes, a: Dimension, b: Dimension) -> bool:
    """Solve n + 1 = m + 1 and n*p = k*m for open sizes: the first of each pair, then the second.

    The last is a choice, the one that makes both factors of a square Kronecker product square.
    """
    terms = (a - b).terms
    left = [mono for mono, factor in terms if factor == 1]
    right = [mono for mono, factor in terms if factor == -1]
    if len(left) != 1 or len(right) != 1 or len(terms) != 2:
        return False
    shared = dict(left[0]).keys() & dict(right[0]).keys()
    pairs = [
        sorted((str(atom) for atom, power in mono if atom not in shared and power == 1), key=_age)
        for mono in (left[0], right[0])
    ]
    if not pairs[0] or len(pairs[0]) != len(pairs[1]):
        return False
    if any(len(pairs[k]) + len(shared) != len(side[0]) for k, side in enumerate((left, right))):
        return False
    united = [sizes.same(Dimension.of(x), Dimension.of(y)) for x, y in zip(*pairs, strict=True)]
    return any(united)


def size_parts(made: Elaboration, kinds: Sequence[int]) -> Sizes:
    """The axes of every part; ShapeMistake where sizes do not fit.

    >>> from wrt.language.reader import read
    >>> read("kron(A, x)").formula.shape
    ('n*p', 'm')
    """
    sizes = Sizes(made, kinds)
    lines = {id(line.body): line for line in made.lines.values()}
    for one in made.lines.values():  # so that their sizes are named in this order
        for name in one.indices or ():
            letter(sizes, one, name)
    for part in made.parts:
        sizes.dims[part] = _dims_of(sizes, part)
        line = lines.get(id(part))
        if line is not None and line.target is not None:
            sizes.variables[line.target] = _line_dims(sizes, line, sizes.dims[part])
    sizes.settle()
    return sizes


def _line_dims(sizes: Sizes, line: Line, body: Dims) -> Dims:
    if line.indices is None:
        return body
    letters = iter([letter(sizes, line, name) for name in line.indices])
    return tuple(prod(islice(letters, width), start=ONE) for width in line.groups)


def letter(sizes: Sizes, line: Line, name: str) -> Dimension:
    """The size that an index name runs over."""
    if (line, name) not in sizes.letters:
        (sizes.letters[line, name],) = sizes.fresh()
    return sizes.letters[line, name]


def _dims_of(sizes: Sizes, part: Syntax) -> Dims:
    match part:
        case Number() | Words():
            return ()
        case Name():
            return _name_dims(sizes, part)
        case Prefix():
            return sizes.dims[part.operand]
        case Postfix():
            return sizes.dims[part.operand][::-1]
        case Infix():
            return _infix_dims(sizes, part)
        case Call():
            return _call_dims(sizes, part, sizes.made.uses[part])
        case Index():
            return _index_dims(sizes, part)
        case Bracket():
            return _bracket_dims(sizes, part)


def _name_dims(sizes: Sizes, part: Name) -> Dims:
    made, name = sizes.made, part.name
    role = made.roles[part]
    if role in ("bound", "size") or (role == "constant" and name == "pi"):
        return ()
    if role == "constant":
        (n,) = sizes.fresh()
        return (n, n)
    if name not in sizes.variables:
        shape = made.declared.get(name)
        kind = sizes.kinds[made.variables[name]]
        sizes.variables[name] = sizes.fresh(axes(kind)) if shape is None else shape.dims
    return sizes.variables[name]


def _infix_dims(sizes: Sizes, part: Infix) -> Dims:
    name, left, right = part.operator.name, sizes.dims[part.left], sizes.dims[part.right]
    slots = sizes.made.slots
    a, b = sizes.kinds[slots[part.left]], sizes.kinds[slots[part.right]]
    if name == "times":
        return _times(sizes, part, a, b)
    if name in ("divide", "power"):
        if name == "power" and a == MATRIX:
            _square(sizes, part.left, left, "a power")
        return left
    if name == "solve":
        _square(sizes, part.left, left, "A\\b")
        _contract(sizes, part, left, right)
        return right
    if name == "kron":
        return kron_dims(sizes, left, right, a, b)
    return _alike(sizes, part, part.left, part.right)


def _alike(sizes: Sizes, part: Syntax, one: Syntax, two: Syntax) -> Dims:
    """Entry by entry: equal axes, or a scalar."""
    left, right = sizes.dims[one], sizes.dims[two]
    if not left or not right:
        return left or right
    if left == right:
        return left
    sizes.unite(left, right, lambda: _different(sizes, part, one, two))
    return left


def _different(sizes: Sizes, part: Syntax, one: Syntax, two: Syntax) -> ShapeMistake:
    a, b = sizes.known(sizes.dims[one]), sizes.known(sizes.dims[two])
    return mistakes.sizes(sizes.made.text, part, one, a, two, b)


def _times(sizes: Sizes, part: Infix, a: int, b: int) -> Dims:
    left, right = sizes.dims[part.left], sizes.dims[part.right]
    if SCALAR in (a, b) or (a == COLUMN and b == ROW):
        return left + right
    _contract(sizes, part, left, right)
    return left[:-1] + right[1:]


def _contract(sizes: Sizes, part: Infix, left: Dims, right: Dims) -> None:
    if left[-1] is right[0]:
        return
    sizes.unite(
        left[-1:],
        right[:1],
        lambda: mistakes.product_sizes(
            sizes.made.text, part, sizes.known(left), sizes.known(right)
        ),
    )


def _square(sizes: Sizes, part: Syntax, dims: Dims, what: str) -> None:
    sizes.unite(
        dims[:1],
        dims[1:],
        lambda: mistakes.not_square(sizes.made.text, part, what, sizes.known(dims)),
    )


def kron_dims(sizes: Sizes, left: Dims, right: Dims, a: int, b: int) -> Dims:
    """Rows times rows, columns times columns; a vector has one column, a row one row."""
    if SCALAR in (a, b):
        return left + right
    first, second = _plane(left, a), _plane(right, b)
    sizes.laid += [pair for pair in zip(first, second, strict=True) if ONE not in pair]
    made = [sizes.resolved(x) * sizes.resolved(y) for x, y in zip(first, second, strict=True)]
    has_rows, has_columns = {a, b} != {ROW}, {a, b} != {COLUMN}
    return tuple(d for d, keep in zip(made, (has_rows, has_columns), strict=True) if keep)


def _plane(dims: Dims, kind: int) -> tuple[Dimension, Dimension]:
    if kind == MATRIX:
        return dims[0], dims[1]
    return (dims[0], ONE) if kind == COLUMN else (ONE, dims[0])


def _call_dims(sizes: Sizes, part: Call, use: Use) -> Dims:
    operands = [sizes.dims[p] for p in use.operands]
    of = tuple(sizes.kinds[sizes.made.slots[p]] for p in use.operands)
    match use.how:
        case "sized":
            return _sized_dims(sizes, part)
        case "fill":
            if len(part.arguments) > 1:
                return tuple(size_of(p, sizes.made) for p in part.arguments[1:])
            return sizes.fresh(axes(FILLS[part.word]))
        case "bounded":
            if of[-1] == MATRIX and part.word == "prod":
                _square(sizes, use.operands[-1], operands[-1], "a product over a range")
            return operands[-1]
        case "einsum":
            return _einsum_dims(sizes, part, use)
        case "kron":
            return kron_dims(sizes, operands[0], operands[1], *of)
        case "frechet":
            return _frechet_dims(sizes, part, use)
    if use.how == "axis" or (use.how == "either" and of[0] == MATRIX):
        return _axis_dims(use, operands[0], of[0])
    assert use.function is not None
    if part.word == "vec" and of == (MATRIX,):
        sizes.laid.append(operands[0][::-1])  # column by column: rows change fastest
    if use.how == "either" or use.function.entrywise:
        return _entrywise_dims(sizes, part, use)
    return _signature_dims(sizes, part, use, of)


def _entrywise_dims(sizes: Sizes, part: Call, use: Use) -> Dims:
    arrays = [p for p in use.operands if sizes.dims[p]]
    for other in arrays[1:]:
        _alike(sizes, part, arrays[0], other)
    return sizes.dims[arrays[0]] if arrays else ()


def _sized_dims(sizes: Sizes, part: Call) -> Dims:
    made = sizes.made
    found = [size_of(p, made) for p in part.arguments[: 1 if part.word == "unit" else None]]
    for dim, p in zip(found, part.arguments, strict=False):
        if dim.value is not None and dim.value < 1:
            raise mistakes.no_size(made.text, p)
    if part.word == "commutation":
        return (found[0] * found[1], found[0] * found[1])
    return (found[0], found[0]) if part.word in ("eye", "I") else tuple(found)


def _axis_dims(use: Use, dims: Dims, kind: int) -> Dims:
    assert use.function is not None
    if use.function.axis == "map":
        return dims
    if kind in (COLUMN, ROW):
        return ()
    return (dims[1],) if use.axis == 1 else (dims[0],)


def _einsum_dims(sizes: Sizes, part: Call, use: Use) -> Dims:
    words = part.arguments[0]
    assert isinstance(words, Words)
    groups, output = einsum_groups(words.text)
    assert groups is not None
    seen: dict[str, tuple[Dimension, Syntax]] = {}
    for group, operand in zip(groups, use.operands, strict=True):
        for name, dim in zip(group, sizes.dims[operand], strict=True):
            first, where = seen.setdefault(name, (dim, operand))
            sizes.unite((first,), (dim,), partial(_different, sizes, part, where, operand))
    return tuple(seen[name][0] for name in output)


def _signature_dims(sizes: Sizes, part: Call, use: Use, of: tuple[int, ...]) -> Dims:
    """The result by the record's signature, its names standing for the arguments' sizes."""
    assert use.function is not None
    form = form_for(use.function, of)
    assert form is not None
    bound: dict[str, Dimension] = {}
    operands = [sizes.dims[p] for p in use.operands]
    mistake = partial(_argument_mistake, sizes, part, use)
    for argument, dims in zip(form.arguments, operands, strict=True):
        if argument.dims is None or argument.kind != "array":
            continue
        for name, dim in zip(argument.dims, dims, strict=True):
            fixed = name if name.value is not None else bound.setdefault(str(name), dim)
            sizes.unite((fixed,), (dim,), mistake)
    result = form.results[0].dims
    if result is None:
        return operands[0]
    return tuple(d.replace({n: sizes.resolved(b) for n, b in bound.items()}) for d in result)


def _frechet_dims(sizes: Sizes, part: Call, use: Use) -> Dims:
    """Square matrices of one size; two more axes for every direction that is left open."""
    first = use.operands[0]
    _square(sizes, first, sizes.dims[first], part.word)
    for other in use.operands[1:]:
        _alike(sizes, part, first, other)
    return sizes.dims[first] * (1 + (use.axis or 0))


def _argument_mistake(sizes: Sizes, part: Call, use: Use) -> ShapeMistake:
    assert use.function is not None
    text, known = sizes.made.text, [sizes.known(sizes.dims[p]) for p in use.operands]
    if len(known) == 1 and len(known[0]) == 2 and known[0][0] is not known[0][1]:
        return mistakes.not_square(text, use.operands[0], part.word, known[0])
    return mistakes.argument_sizes(text, part, use.function, known)


def _index_dims(sizes: Sizes, part: Index) -> Dims:
    line = sizes.made.indexed.get(part)
    if line is not None:
        _letter_dims(sizes, part, line)
        return ()
    dims, found = sizes.dims[part.base], []
    for item, dim in zip(part.items, dims, strict=True):
        if isinstance(item, Slice):
            found.append(_slice_length(sizes, item, dim))
        else:
            assert not isinstance(item, Joined)  # elaboration refused it
            size_of(item, sizes.made)
    return tuple(found)


def _slice_length(sizes: Sizes, item: Slice, dim: Dimension) -> Dimension:
    low = ONE if item.low is None else size_of(item.low, sizes.made)
    high = dim if item.high is None else size_of(item.high, sizes.made)
    if low is ONE:
        return high
    return sizes.resolved(high) - low + 1


def _letter_dims(sizes: Sizes, part: Index, line: Line) -> None:
    """In index form equal letters run over equal axes."""
    if part.base in sizes.dims:
        dims = sizes.dims[part.base]
    else:  # δ and ones have the axes of their letters
        dims = sizes.fresh() * len(part.items) if _is_delta(part) else sizes.fresh(len(part.items))
    for item, dim in zip(part.items, dims, strict=True):
        if isinstance(item, (Name, Joined)):
            names = [item] if isinstance(item, Name) else item.names
            other = prod((letter(sizes, line, n.name) for n in names), start=ONE)
            if isinstance(item, Joined):
                sizes.joined.append((tuple(letter(sizes, line, n.name) for n in names), dim))
            said = ",".join(n.name for n in names)
            sizes.unite((other,), (dim,), partial(_two_ranges, sizes, part, said, other, dim))


def _two_ranges(
    sizes: Sizes, part: Index, name: str, one: Dimension, other: Dimension
) -> ShapeMistake:
    a, b = sizes.known((one, other))
    return ShapeMistake(
        f"the index {name} runs over {a} and over {b}", text=sizes.made.text, span=part.span
    )


def _is_delta(part: Index) -> bool:
    return isinstance(part.base, Name) and part.base.name == "delta"


def _bracket_dims(sizes: Sizes, part: Bracket) -> Dims:
    kinds, slots = sizes.kinds, sizes.made.slots
    rows, columns = len(part.rows), len(part.rows[0])
    if all(kinds[slots[p]] == SCALAR for p in part.children):
        whole = (Dimension.of(rows), Dimension.of(columns))
        return whole if kinds[slots[part]] == MATRIX else (whole[0] * whole[1],)
    heights: list[Dimension] = [ONE] * rows
    widths: list[Dimension] = [ONE] * columns
    first: dict[tuple[str, int], Syntax] = {}
    for r, row in enumerate(part.rows):
        for c, item in enumerate(row):
            height, width = block_plane(sizes, item)
            for axis, at, table, dim in (("row", r, heights, height), ("col", c, widths, width)):
                if (axis, at) in first:
                    other = first[axis, at]
                    sizes.unite((table[at],), (dim,), partial(_different, sizes, part, other, item))
                else:
                    first[axis, at], table[at] = item, dim
    total = [sum((sizes.resolved(d) for d in t), Dimension.of(0)) for t in (heights, widths)]
    kind = kinds[slots[part]]
    return tuple(total) if kind == MATRIX else (total[0 if kind == COLUMN else 1],)


def block_plane(sizes: Sizes, item: Syntax) -> tuple[Dimension, Dimension]:
    """The rows and columns of a block."""
    kind = sizes.kinds[sizes.made.slots[item]]
    return (ONE, ONE) if kind == SCALAR else _plane(sizes.dims[item], kind)
