"""Index form: `D[i,a,b] = δ[i,a]*x[b]`, where an index that the left lacks is summed.

A part with index letters is a tensor with a letter for each axis. An index is summed in the
smallest term that holds all its places: an addend, the argument of a function, or the whole right
side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from itertools import islice
from math import prod
from typing import TYPE_CHECKING, NoReturn

from wrt.errors import ShapeMistake
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Node, Variable
from wrt.language.mistakes import quoted
from wrt.language.syntax import (
    Call,
    Index,
    Infix,
    Joined,
    Line,
    Name,
    Postfix,
    Prefix,
    Slice,
    Syntax,
)

if TYPE_CHECKING:
    from wrt.language.builder import Builder

__all__ = ["built", "letters_within"]

F1 = Fraction(1)
Letters = tuple[str, ...]
#: A product under construction: factors with their letters and exponents, nothing summed yet.
Value = list[tuple[Node, Letters, Fraction]]
_JOINED = ("times", "entry_times")
_OVER = ("divide", "entry_divide")


def letters_within(parts: Iterable[Syntax], builder: Builder) -> dict[Syntax, frozenset[str]]:
    """The index letters inside every part that has some."""
    made, found = builder.made, dict[Syntax, frozenset[str]]()
    for part in parts:
        if part in made.indexed:
            assert isinstance(part, Index)
            found[part] = frozenset(part.names)
            continue
        inside = made.uses[part].operands if isinstance(part, Call) else part.children
        letters = frozenset().union(*(found.get(p, frozenset()) for p in inside))
        if letters:
            found[part] = letters
    return found


def built(line: Line, builder: Builder) -> Node:
    """The tensor that a line in index form defines.

    >>> from wrt.language.reader import read
    >>> read("D[i,a,b] = δ[i,a]*x[b]", shapes={"x": "m"}).formula.shape
    ('n', 'n', 'm')
    """
    assert line.indices is not None
    made = builder.made
    inside = letters_within(made.parts, builder)
    target = frozenset(line.indices)
    if len(target) < len(line.indices):
        raise ShapeMistake(
            f"an index stands twice on the left of {line.target}", text=made.text, span=line.span
        )
    closings = _closings(line, inside, builder)
    values = _Values(builder)
    for part in made.parts:
        if part in closings.parts:
            value = _value(part, values, builder)
            gone = closings.sums.get(part)
            values.made[part] = [(*_closed(value, gone), F1)] if gone else value
    node, letters = _closed(values.of(line.body))
    missing = [name for name in line.indices if name not in letters]
    if missing and build.is_zero(node):
        sizes = builder.sizes
        found = sizes.known(sizes.letters[line, name] for name in line.indices)
        return _grouped(build.zeros(found), line)
    if missing:
        raise ShapeMistake(
            f"the index {missing[0]} stands on the left only",
            text=made.text,
            span=line.span,
            hint=f"perhaps …*ones[{missing[0]}], which repeats along it",
        )
    order = [letters.index(name) for name in line.indices]
    return _grouped(node if order == sorted(order) else build.transpose(node, order), line)


def _grouped(node: Node, line: Line) -> Node:
    """The axes that brackets on the left join, joined."""
    dims, one = iter(node.dims), Dimension.of(1)
    return build.reshape(node, [prod(islice(dims, count), start=one) for count in line.groups])


class _Closings:
    """Where each index is summed, and which parts belong to the line."""

    def __init__(self) -> None:
        self.sums: dict[Syntax, frozenset[str]] = {}
        self.parts: set[Syntax] = set()
        #: the factors of every term, terms before those inside them
        self.factors: dict[Syntax, list[Syntax]] = {}
        #: letters that a term leaves for the terms around it
        self.open: dict[Syntax, frozenset[str]] = {}


def _closings(line: Line, inside: dict[Syntax, frozenset[str]], builder: Builder) -> _Closings:
    assert line.indices is not None
    found = _Closings()
    stack: list[Syntax] = [line.body]
    while stack:
        part = stack.pop()
        if part in inside:
            found.factors[part] = _factors(part, inside, found)
            for factor in found.factors[part]:
                stack += _terms(factor, part, builder)
    target = frozenset(line.indices)
    kept: dict[Syntax, frozenset[str]] = {}
    for part in reversed(found.factors):
        _close(part, target, frozenset(), found, builder)
    for part in found.factors:
        _keep_open(part, kept, found, builder)
    for part in reversed(found.factors):
        _close(part, target, kept.get(part, frozenset()), found, builder)
    _last_chance(line.body, found, builder)
    return found


def _keep_open(
    part: Syntax, kept: dict[Syntax, frozenset[str]], found: _Closings, builder: Builder
) -> None:
    """What a factor beside a bracket has is not summed inside it: x[k]*(A[i,k]*y[k] + B[i,k])."""
    has = {f: _left_open(f, part, found, builder) for f in found.factors[part]}
    count = Counter(name for names in has.values() for name in names)
    for factor, own in has.items():
        terms = _terms(factor, part, builder)
        if terms:
            others = frozenset(k for k, n in count.items() if n > (k in own))
            for term in terms:
                kept[term] = others | kept.get(part, frozenset())


def _close(
    part: Syntax,
    target: frozenset[str],
    kept: frozenset[str],
    found: _Closings,
    builder: Builder,
) -> None:
    """Sum in a term what two of its factors share, leave what one has to the terms around."""
    once: set[str] = set()
    here: set[str] = set()
    for factor in found.factors[part]:
        for k in _left_open(factor, part, found, builder) - target:
            (here if k in once else once).add(k)
        if isinstance(factor, Index):
            here |= {k for k in factor.names if factor.names.count(k) > 1} - target
    here -= kept
    found.sums[part] = frozenset(here)
    found.open[part] = frozenset(once - here)


def _left_open(factor: Syntax, root: Syntax, found: _Closings, builder: Builder) -> frozenset[str]:
    if isinstance(factor, Index):
        return frozenset(factor.names)
    terms = _terms(factor, root, builder)
    return frozenset().union(*(found.open.get(p, frozenset()) for p in terms))


def _last_chance(body: Syntax, found: _Closings, builder: Builder) -> None:
    """x[k]^2 sums over k by itself; any other index that is left alone is a mistake."""
    stack = [(body, k) for k in sorted(found.open.get(body, ()))]
    while stack:
        part, k = stack.pop()
        for factor in found.factors[part]:
            if k not in _left_open(factor, part, found, builder):
                continue
            if isinstance(factor, Index):
                _single(k, factor, builder)
            if _power_of_entry(factor):  # abs(x[k])^2 is a product of entries that share k
                found.sums[factor] = found.sums.get(factor, frozenset()) | {k}
                continue
            inner = _terms(factor, part, builder)
            stack += [(p, k) for p in inner if k in found.open.get(p, ())]


def _power_of_entry(factor: Syntax) -> bool:
    if not isinstance(factor, Infix) or not isinstance(factor.left, (Index, Call)):
        return False
    return factor.operator.name in ("power", "entry_power")


def _factors(part: Syntax, inside: dict[Syntax, frozenset[str]], found: _Closings) -> list[Syntax]:
    """The factors of a term, signs and products opened, denominators kept as they are."""
    factors: list[Syntax] = []
    stack = [part]
    while stack:
        one = stack.pop()
        if one in inside:
            found.parts.add(one)
        else:
            continue
        if isinstance(one, Infix) and one.operator.name in _JOINED:
            stack += [one.left, one.right]
        elif isinstance(one, Infix) and one.operator.name in _OVER:
            stack.append(one.left)
            if one.right in inside:
                found.parts.add(one.right)
                factors.append(one.right)
        elif isinstance(one, (Prefix, Postfix)):
            stack.append(one.operand)
        else:
            factors.append(one)
    return factors


def _single(k: str, holder: Index, builder: Builder) -> NoReturn:
    raise ShapeMistake(
        f"the index {k} stands once on the right and not on the left",
        text=builder.made.text,
        span=holder.span,
        hint=f"perhaps …*ones[{k}], which sums along it",
    )


def _terms(factor: Syntax, root: Syntax, builder: Builder) -> tuple[Syntax, ...]:
    """What inside a factor is a term of its own."""
    if isinstance(factor, Infix):
        if factor.operator.name in (*_JOINED, *_OVER):
            return (factor,) if factor is not root else ()
        return (factor.left, factor.right)
    if isinstance(factor, Call):
        return builder.made.uses[factor].operands
    if isinstance(factor, (Prefix, Postfix)):
        return (factor,) if factor is not root else ()
    return ()


# Values


class _Values:
    """What is made so far; a chain of signs stays a list of terms until somebody needs the sum."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.made: dict[Syntax, Value] = {}
        self.sums: dict[Syntax, list[Value]] = {}

    def of(self, part: Syntax) -> Value:
        """The value of a part, given away."""
        if part in self.sums:
            nodes, letters = _aligned(self.sums.pop(part))
            return [(build.add(*nodes), letters, F1)]
        return self.made.pop(part, None) or [(self.builder.of(part), (), F1)]

    def chain(self, part: Infix) -> Value:
        """One more term of a sum; one in brackets is a term of its own."""
        left = part.left
        goes_on = isinstance(left, Infix) and left.span == (left.left.span[0], left.right.span[1])
        terms = self.sums.pop(left, None) if goes_on else None
        terms = [self.of(left)] if terms is None else terms
        minus = part.operator.name == "subtract"
        sign: Value = [(build.number(-1), (), F1)] if minus else []
        terms.append(self.of(part.right) + sign)
        self.sums[part] = terms
        return []


def _value(part: Syntax, values: _Values, builder: Builder) -> Value:
    of = values.of
    match part:
        case Index():
            return [(*_leaf(part, builder), F1)]
        case Prefix():
            minus = [(build.number(-1), (), F1)] if part.operator.name == "minus" else []
            return of(part.operand) + minus
        case Postfix():
            return of(part.operand)
        case Infix() if part.operator.name in ("add", "subtract"):
            return values.chain(part)
        case Infix():
            return _infix(part, of(part.left), of(part.right), builder)
        case Call():
            return _call(part, [of(p) for p in builder.made.uses[part].operands], builder)
        case _:
            return _refused(part, builder)


def _refused(part: Syntax, builder: Builder) -> NoReturn:
    raise ShapeMistake(
        f"{quoted(builder.made.text, part)} cannot stand in index form",
        text=builder.made.text,
        span=part.span,
        hint="sums, products, quotients, powers and functions of entries can",
    )


def _leaf(part: Index, builder: Builder) -> tuple[Node, Letters]:
    """An entry with letters: the tensor itself, whole numbers already taken."""
    line = builder.made.indexed[part]
    letters = tuple(part.names)
    dims = [builder.sizes.resolved(builder.sizes.letters[line, k]) for k in letters]
    if part.base not in builder.made.slots:
        assert isinstance(part.base, Name)
        if part.base.name != "delta":
            return build.ones(dims), letters
        numbers = [i for i in part.items if not isinstance(i, (Name, Slice, Joined))]
        places = [builder.place(i, dims[0]) - 1 for i in numbers]
        return (build.unit(dims[0], places[0]) if places else build.identity(dims[0])), letters
    node = builder.of(part.base)
    if not all(isinstance(i, Name) for i in part.items):
        keys = [
            slice(None) if isinstance(i, (Name, Joined)) else builder.place(i, dim) - 1
            for i, dim in zip(part.items, node.dims, strict=True)
            if not isinstance(i, Slice)
        ]
        node = build.reshape(build.getitem(node, tuple(keys)), dims)
    return node, letters


def _places(values: Iterable[tuple[Node, Letters]]) -> tuple[dict[str, int], list[Dimension]]:
    places: dict[str, int] = {}
    dims: list[Dimension] = []
    for node, letters in values:
        for k, dim in zip(letters, node.dims, strict=True):
            if k not in places:
                places[k] = len(dims)
                dims.append(dim)
    return places, dims


def _closed(value: Value, gone: frozenset[str] = frozenset()) -> tuple[Node, Letters]:
    """The product of the factors, summed over the letters that go."""
    node, letters, exponent = value[0]
    if len(value) == 1 and exponent == 1 and not gone and len(set(letters)) == len(letters):
        return node, letters
    places, dims = _places((node, letters) for node, letters, _ in value)
    kept = tuple(k for k in places if k not in gone)
    factors = [(node, e, tuple(places[k] for k in letters)) for node, letters, e in value]
    return build.product(ONE, factors, [places[k] for k in kept], dims), kept


def _aligned(values: list[Value]) -> tuple[list[Node], Letters]:
    """All values over the same letters, repeated along those that they lack."""
    closed = [_closed(value) for value in values]
    places, dims = _places(closed)
    nodes = []
    for node, letters in closed:
        if letters == tuple(places):
            nodes.append(node)
            continue
        factor = (node, F1, tuple(places[k] for k in letters))
        nodes.append(build.product(ONE, (factor,), range(len(dims)), dims))
    return nodes, tuple(places)


def _infix(part: Infix, left: Value, right: Value, builder: Builder) -> Value:
    name = part.operator.name
    if name in _JOINED:
        left += right
        return left
    if name in _OVER:
        left += [(node, letters, -e) for node, letters, e in right]
        return left
    if name not in ("power", "entry_power"):
        _refused(part, builder)
    nodes, letters = _aligned([left, right])
    power, repeated = _closed(right)
    if repeated:
        return [(build.power(*nodes), letters, F1)]
    return [(build.power(_closed(left)[0], power), _closed(left)[1], F1)]


def _ranged(part: Call, values: list[Value]) -> Value:
    """A sum over a named range, entry by entry."""
    name = part.arguments[0]
    assert isinstance(name, Name)
    (low, _), (high, _), (body, letters) = map(_closed, values)
    return [(build.bounded("sum", Variable(name.name, ()), low, high, body), letters, F1)]


def _call(part: Call, values: list[Value], builder: Builder) -> Value:
    use = builder.made.uses[part]
    if use.how == "bounded" and part.word == "sum":
        return _ranged(part, values)
    if use.function is None or not use.function.entrywise or use.how != "function":
        _refused(part, builder)
    nodes, letters = _aligned(values)
    if part.word == "sqrt":
        return [(build.power(nodes[0], Fraction(1, 2)), letters, F1)]
    return [(use.function(*nodes), letters, F1)]
