"""Building formulas: the constructors that keep what is always simpler.

Constants fold, zeros and ones go, δ melts into repeated indices, transposes are absorbed, equal
factors and
equal terms merge. Nothing here looks deeper than one level: the normal form is the algebra's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from wrt.errors import ShapeMistake
from wrt.expression.coefficient import MINUS_ONE, ONE, ZERO, Coefficient
from wrt.expression.dimensions import Dimension, show_dimensions
from wrt.expression.nodes import (
    Apply,
    BoundedSum,
    Constant,
    Einsum,
    Exponent,
    Factor,
    Node,
    Pattern,
    Relation,
    Reshape,
    Scan,
    Sum,
    Variable,
    whole,
)

if TYPE_CHECKING:
    from wrt.expression.function import Function

__all__ = [
    "add",
    "as_node",
    "bounded",
    "broadcast",
    "coefficient_of",
    "divide",
    "einsum",
    "getitem",
    "identity",
    "is_zero",
    "matmul",
    "multiply",
    "negative",
    "number",
    "ones",
    "plus",
    "power",
    "product",
    "reshape",
    "scale",
    "section",
    "split",
    "transpose",
    "unit",
    "zeros",
]


def number(value: int | float | Fraction | Dimension | Coefficient) -> Constant:
    """An exact scalar.

    >>> from wrt.expression.build import number
    >>> number(0.1) is number(Fraction(1, 10))
    True
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ShapeMistake(f"{value} is not a number that a formula can hold")
    return Constant(Coefficient.of(value))


def as_node(value: Any) -> Node:
    """A formula for what a person wrote in Python: a formula, a whole number, a fraction,
    a float.
    """
    if isinstance(value, Node):
        return value
    if isinstance(value, (int, float, Fraction, Dimension)) and not isinstance(value, bool):
        return number(value)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):  # a NumPy scalar
        return as_node(value.item())
    if isinstance(value, complex):
        return add(number(value.real), scale(Coefficient.of("i"), number(value.imag)))
    kind = type(value).__name__
    raise ShapeMistake(
        f"a formula cannot be combined with a value of type {kind}",
        hint="name it with wrt.matrix, wrt.vector, wrt.scalar or wrt.tensor, "
        "and give its value later",
    )


def ones(dims: Iterable[Dimension]) -> Node:
    """A tensor of ones."""
    return _ones(tuple(dims))


@lru_cache(maxsize=256)
def _ones(dims: tuple[Dimension, ...]) -> Node:
    return product(ONE, (), range(len(dims)), dims)


def zeros(dims: Iterable[Dimension]) -> Node:
    """A tensor of zeros."""
    dims = tuple(dims)
    return Einsum(ZERO, (), range(len(dims)), dims) if dims else Constant(ZERO)


def is_zero(node: Node) -> bool:
    """Whether this is the zero tensor, plainly."""
    return isinstance(node, (Einsum, Constant)) and node.coefficient.value == 0


def identity(dim: Dimension) -> Node:
    """The identity matrix."""
    return Einsum(ONE, (), (0, 0), (dim,))


def unit(dim: Dimension, position: int | Dimension) -> Pattern:
    """The basis vector with a one at a position counted from 0."""
    relation = Relation(((0, 1),), Dimension.of(0) - position)
    return Pattern((dim,), (relation,))


def section(length: Dimension, dim: Dimension, start: int | Dimension) -> Pattern:
    """The matrix (length × dim) that takes `length` entries from `start`, counted from 0."""
    relation = Relation(((0, -1), (1, 1)), Dimension.of(0) - start)
    return Pattern((length, dim), (relation,))


# Products

#: Kinds that no product looks into.
_WHOLE = frozenset({Variable, Apply, Sum, Reshape, BoundedSum, Scan})


def product(
    coefficient: Coefficient,
    factors: Iterable[Factor],
    output: Sequence[int],
    index_dims: Sequence[Dimension],
) -> Node:
    """The product of factors over named indices, with all that is always simpler done.

    `output` may repeat an index (a diagonal) and may hold one that no factor carries (ones).
    """
    output, factors = tuple(output), tuple(factors)
    if _is_plain(coefficient, factors, output, len(index_dims)):
        if len(factors) == 1 and coefficient.is_one:
            ((node, exponent, indices),) = factors
            if exponent == 1 and indices == output and len(set(output)) == len(output):
                return node
        return Einsum(coefficient, factors, output, index_dims)
    coefficient, kept, output, dims = _gathered(coefficient, factors, output, index_dims)
    if coefficient.value == 0:
        return zeros([dims[i] for i in output])
    carried = {i for _, _, indices in kept for i in indices}
    for i in _free_indices(carried, output, dims):
        coefficient = coefficient * Coefficient.of(dims[i])
    if not kept and not output:
        return Constant(coefficient)
    if len(kept) == 1 and coefficient.is_one:
        node, exponent, indices = kept[0]
        if exponent == 1 and indices == output and len(set(output)) == len(output):
            return node
    return Einsum(coefficient, kept, output, [dims[i] for i in range(len(dims))])


def _is_plain(
    coefficient: Coefficient, factors: tuple[Factor, ...], output: tuple[int, ...], count: int
) -> bool:
    """Whether there is nothing to fold, absorb, melt or merge."""
    if not factors or not coefficient.value:
        return False
    held = set(output)
    for node, exponent, indices in factors:
        if type(node) is Einsum:
            light = len(node.children) < 2 and len(node.index_dims) == len(set(node.output))
            if light or not node.coefficient.is_one:
                return False
        elif type(node) not in _WHOLE:
            return False
        if not exponent:
            return False
        held.update(indices)
    if len(held) < count:
        return False
    return len(factors) == 1 or len({f[0] for f in factors}) == len(factors)


def _free_indices(carried: set[int], output: tuple[int, ...], dims: _Dims) -> list[int]:
    """Summed indices that no factor carries: each is worth the size of its dimension."""
    return [i for i in dims.order if i not in carried and i not in output]


class _Dims(dict[int, Dimension]):
    """Dimensions by index, indices united where a δ melts."""

    def __init__(self, dims: Sequence[Dimension]) -> None:
        super().__init__(enumerate(dims))
        self.united: dict[int, int] = {}

    def find(self, i: int) -> int:
        while i in self.united:
            i = self.united[i]
        return i

    def unite(self, i: int, j: int) -> None:
        i, j = self.find(i), self.find(j)
        if i != j:
            assert self[i] is self[j], f"{self[i]} and {self[j]} cannot be one index"
            self.united[max(i, j)] = min(i, j)

    def fresh(self, dim: Dimension) -> int:
        self[len(self)] = dim
        return len(self) - 1

    @property
    def order(self) -> list[int]:
        return [i for i in self if i not in self.united]


def _gathered(
    coefficient: Coefficient,
    factors: Iterable[Factor],
    output: tuple[int, ...],
    index_dims: Sequence[Dimension],
) -> tuple[Coefficient, list[Factor], tuple[int, ...], _Dims]:
    """Fold constants, absorb what costs nothing, melt δ, add exponents of equal factors."""
    dims = _Dims(index_dims)
    found: list[Factor] = []
    stack = list(factors)[::-1]
    while stack:
        node, exponent, indices = stack.pop()
        if isinstance(node, Constant):
            if exponent.denominator == 1 or node.coefficient.has_real_root():
                if node.coefficient.value == 0 and exponent < 0:
                    found.append((node, exponent, indices))
                else:
                    coefficient = coefficient * node.coefficient**exponent
                continue
        elif isinstance(node, Einsum):
            left, factor, more = _absorbed(node, exponent, indices, dims)
            coefficient = coefficient * factor
            stack.extend(more)
            if left is None:
                continue
            node = left
        found.append((node, exponent, indices))
    if dims.united:
        find = dims.find
        found = [(n, e, tuple([find(i) for i in idx])) for n, e, idx in found]
        output = tuple([find(i) for i in output])
    return coefficient, _merged(found), output, dims


def _absorbed(
    node: Einsum, exponent: Exponent, indices: tuple[int, ...], dims: _Dims
) -> tuple[Node | None, Coefficient, list[Factor]]:
    """Take in a factor that is a coefficient, a δ, ones, a transpose or a power of one factor."""
    plain = exponent.denominator == 1
    factor = ONE
    if not node.coefficient.is_one and (plain or node.coefficient.has_real_root()):
        if node.coefficient.value == 0 and exponent < 0:
            return node, ONE, []
        factor = node.coefficient**exponent
        if node.coefficient.value == 0:
            return None, factor, []
        node = node.scaled(ONE)
    light = len(node.children) < 2 and len(node.index_dims) == len(set(node.output))
    if not light or not (exponent == 1 or (plain and not node.repeats)):
        return _unwrapped(node), factor, []
    place: dict[int, int] = {}
    for inner, outer in zip(node.output, indices, strict=True):
        if inner in place:
            dims.unite(place[inner], outer)
        else:
            place[inner] = outer
    more = [(n, whole(e * exponent), tuple([place[i] for i in idx])) for n, e, idx in node.factors]
    return None, factor, more


def _unwrapped(node: Einsum) -> Node:
    """The factor itself where only a coefficient was around it."""
    if len(node.children) == 1 and node.coefficient.is_one and node.exponents[0] == 1:
        if node.indices[0] == node.output and not node.repeats:
            return node.children[0]
    return node


def _merged(factors: list[Factor]) -> list[Factor]:
    if len(factors) < 2:
        return [f for f in factors if f[1] != 0] if factors else factors
    powers: dict[tuple[Node, tuple[int, ...]], Exponent] = {}
    for node, exponent, indices in factors:
        key = (node, indices)
        if isinstance(node, Pattern):
            powers[key] = 1
        else:
            powers[key] = powers.get(key, 0) + exponent
    return [(node, whole(e), indices) for (node, indices), e in powers.items() if e]


def einsum(subscripts: str, *operands: Node, dims: dict[str, Dimension] | None = None) -> Node:
    """A product by subscripts, as NumPy writes it; a repeated output letter is a diagonal.

    `dims` gives the dimension of letters that no operand carries. ShapeMistake where a letter
    would need
    two dimensions.
    """
    left, _, right = subscripts.replace(" ", "").partition("->")
    groups = left.split(",") if left or operands else []
    if len(groups) != len(operands):
        raise ShapeMistake(f"einsum {subscripts!r} names {len(groups)} operands of {len(operands)}")
    sizes = dict(dims or {})
    for group, operand in zip(groups, operands, strict=True):
        _match_letters(subscripts, group, operand, sizes)
    for letter in right:
        if letter not in sizes:
            raise ShapeMistake(f"einsum {subscripts!r}: nothing gives {letter} a size")
    letters = {letter: k for k, letter in enumerate(sizes)}
    factors = [
        (node, 1, tuple(letters[c] for c in group))
        for group, node in zip(groups, operands, strict=True)
    ]
    return product(ONE, factors, [letters[c] for c in right], list(sizes.values()))


def _match_letters(subscripts: str, group: str, operand: Node, sizes: dict[str, Dimension]) -> None:
    if len(group) != operand.ndim:
        raise ShapeMistake(
            f"einsum {subscripts!r}: {group!r} has {len(group)} letters, "
            f"its operand {operand.ndim} axes ({show_dimensions(operand.dims)})"
        )
    for letter, dim in zip(group, operand.dims, strict=True):
        if sizes.setdefault(letter, dim) is not dim:
            raise ShapeMistake(
                f"einsum {subscripts!r}: {letter} cannot be both {sizes[letter]} and {dim}"
            )


def split(node: Node) -> tuple[Coefficient, Node]:
    """A formula as a coefficient times a formula without one."""
    if isinstance(node, Constant):
        return node.coefficient, Constant(ONE)
    if isinstance(node, Einsum) and not node.coefficient.is_one and node.coefficient.value != 0:
        return node.coefficient, unscaled(node)
    return ONE, node


def unscaled(node: Einsum, coefficient: Coefficient = ONE) -> Node:
    """A product with another coefficient; its only factor where nothing else is left."""
    if coefficient.is_one and len(node.children) == 1 and node.exponents[0] == 1:
        if node.indices[0] == node.output and not node.repeats:
            return node.children[0]
    return node.scaled(coefficient)


def scale(coefficient: Coefficient | int | Fraction, node: Node) -> Node:
    """A number times a formula."""
    coefficient = Coefficient.of(coefficient)
    if coefficient.is_one:
        return node
    if isinstance(node, Einsum) and coefficient.value != 0 and node.coefficient.value != 0:
        return unscaled(node, coefficient * node.coefficient)
    axes = tuple(range(node.ndim))
    return product(coefficient, ((node, 1, axes),), axes, node.dims)


def negative(value: Any) -> Node:
    """Minus a formula."""
    return scale(MINUS_ONE, as_node(value))


def transpose(node: Node, axes: Sequence[int] | None = None) -> Node:
    """The axes in another order; reversed where none is given."""
    order = tuple(range(node.ndim))[::-1] if axes is None else tuple(axes)
    return product(ONE, ((node, 1, tuple(range(node.ndim))),), order, node.dims)


def reshape(node: Node, dims: Iterable[Dimension]) -> Node:
    """The same entries in row-major order under other axes."""
    dims = tuple(dims)
    if dims == node.dims:
        return node
    if isinstance(node, Reshape):
        return reshape(node.body, dims)
    if is_zero(node):
        return zeros(dims)
    return Reshape(node, dims)


# Sums


def add(*terms: Node) -> Node:
    """The sum of formulas of the same dimensions, equal terms merged and zeros gone."""
    dims = terms[0].dims
    groups: dict[Any, list[Node]] = {}
    for term in terms:
        assert term.dims == dims, (term.dims, dims)
        if not is_zero(term):
            groups.setdefault(_likeness(term), []).append(term)
    kept: list[Node] = []
    for alike in groups.values():
        kept += alike if len(alike) == 1 else _together(alike)
    if not kept:
        return zeros(dims)
    if len(kept) == 1:
        return kept[0]
    return Sum(sorted(kept, key=_by_digest))


def _likeness(term: Node) -> Any:
    """What terms that differ by a coefficient only have in common."""
    if isinstance(term, Einsum):
        return (term.children, term.exponents, term.indices, term.output, term.index_dims)
    if isinstance(term, Constant):
        return ()
    axes = tuple(range(term.ndim))
    return ((term,), (1,), (axes,), axes, term.dims)


def _together(alike: list[Node]) -> list[Node]:
    """Terms that differ by a coefficient only, added."""
    core = split(alike[0])[1]
    sums: dict[tuple[Any, ...], int | Fraction] = {}
    for term in alike:
        coefficient = coefficient_of(term)
        powers = coefficient.powers
        sums[powers] = sums.get(powers, 0) + coefficient.value
    return [scale(Coefficient(whole(v), p), core) for p, v in sums.items() if v]


def coefficient_of(node: Node) -> Coefficient:
    """The number in front of a formula."""
    return node.coefficient if isinstance(node, (Einsum, Constant)) else ONE


def _by_digest(node: Node) -> bytes:
    return node.digest


def bounded(kind: str, variable: Variable, low: Node, high: Node, body: Node) -> Node:
    """Σ or Π over a named range; a zero term makes a zero sum."""
    if kind == "sum" and is_zero(body):
        return body
    return BoundedSum(kind, variable, low, high, body)


# NumPy's operators


def _aligned(
    a: Node, b: Node, what: str
) -> tuple[tuple[int, ...], tuple[int, ...], list[Dimension], list[int]]:
    """Indices of two operands under NumPy's broadcasting, the index dimensions, the output."""
    dims: list[Dimension] = []
    left: list[int] = []
    right: list[int] = []
    out: list[int] = []
    for k in range(max(a.ndim, b.ndim), 0, -1):
        da = a.dims[a.ndim - k] if k <= a.ndim else None
        db = b.dims[b.ndim - k] if k <= b.ndim else None
        if da is not None and db is not None and da is not db:
            if da.value != 1 and db.value != 1:
                raise ShapeMistake(
                    f"{what}: shapes ({show_dimensions(a.dims)}) and "
                    f"({show_dimensions(b.dims)}) do not fit: {da} against {db}"
                )
            dims += [da, db]
            left.append(len(dims) - 2)
            right.append(len(dims) - 1)
            out.append(len(dims) - 1 if da.value == 1 else len(dims) - 2)
            continue
        dims.append(da if da is not None else _dim(db))
        out.append(len(dims) - 1)
        if da is not None:
            left.append(len(dims) - 1)
        if db is not None:
            right.append(len(dims) - 1)
    return tuple(left), tuple(right), dims, out


def _dim(dim: Dimension | None) -> Dimension:
    assert dim is not None
    return dim


def multiply(a: Any, b: Any) -> Node:
    """The product entry by entry, with NumPy's broadcasting."""
    a, b = as_node(a), as_node(b)
    left, right, dims, out = _aligned(a, b, "*")
    return product(ONE, ((a, 1, left), (b, 1, right)), out, dims)


def divide(a: Any, b: Any) -> Node:
    """The quotient entry by entry, with NumPy's broadcasting."""
    a, b = as_node(a), as_node(b)
    if is_zero(b):
        raise ShapeMistake("division by zero")
    left, right, dims, out = _aligned(a, b, "/")
    return product(ONE, ((a, 1, left), (b, -1, right)), out, dims)


def broadcast(node: Node, dims: tuple[Dimension, ...]) -> Node:
    """A formula repeated along new leading axes, as NumPy broadcasts it."""
    if node.dims == dims:
        return node
    left, _, all_dims, out = _aligned(node, ones(dims), "broadcasting")
    return product(ONE, ((node, 1, left),), out, all_dims)


def plus(a: Any, b: Any) -> Node:
    """The sum, with NumPy's broadcasting."""
    a, b = as_node(a), as_node(b)
    _, _, dims, out = _aligned(a, b, "+")
    shape = tuple(dims[i] for i in out)
    return add(broadcast(a, shape), broadcast(b, shape))


def power(base: Any, exponent: Any) -> Node:
    """The power entry by entry: a rational exponent is exact, any other is a function of both."""
    base, exponent = as_node(base), as_node(exponent)
    if isinstance(exponent, Constant) and exponent.coefficient.is_number:
        axes = tuple(range(base.ndim))
        fraction = whole(exponent.coefficient.value)
        if is_zero(base) and fraction <= 0:
            raise ShapeMistake("a power of zero with an exponent that is not positive")
        if not fraction:
            return ones(base.dims)
        return product(ONE, ((base, fraction, axes),), axes, base.dims)
    from wrt.expression.function import POWER

    return entrywise(POWER, (base, exponent))


def entrywise(function: Function, arguments: Sequence[Node]) -> Node:
    """A function of scalars mapped over every axis of its arguments, with NumPy's broadcasting."""
    shape: tuple[Dimension, ...] = ()
    for argument in arguments:
        _, _, dims, out = _aligned(ones(shape), argument, function.name)
        shape = tuple(dims[i] for i in out)
    return Apply(function, [broadcast(a, shape) for a in arguments], len(shape))


def matmul(a: Any, b: Any) -> Node:
    """The matrix product as NumPy's `@`: the last axis of a with the last but one (or
    only) of b.
    """
    a, b = as_node(a), as_node(b)
    if not a.ndim or not b.ndim:
        raise ShapeMistake("@ wants two arrays; a scalar multiplies with *")
    inner = b.dims[-2] if b.ndim > 1 else b.dims[0]
    if a.dims[-1] is not inner:
        raise ShapeMistake(
            f"@: shapes ({show_dimensions(a.dims)}) and ({show_dimensions(b.dims)}) do not fit: "
            f"{a.dims[-1]} against {inner}"
        )
    letters = "abcdefghijklmnopqrstuvw"
    batch = max(a.ndim, b.ndim) - 2
    if batch > 20:
        raise ShapeMistake("@ of more than 22 axes is refused")
    lead = letters[:batch] if batch > 0 else ""
    first = (lead[len(lead) - max(a.ndim - 2, 0) :] if a.ndim > 2 else "") + (
        "x" if a.ndim > 1 else ""
    )
    last = lead[len(lead) - max(b.ndim - 2, 0) :] if b.ndim > 2 else ""
    column = "y" if b.ndim > 1 else ""
    out = lead + ("x" if a.ndim > 1 else "") + column
    return einsum(f"{first}z,{last}z{column}->{out}", a, b)


# Indexing needs the constructors above.
from wrt.expression.indexing import getitem  # noqa: E402
