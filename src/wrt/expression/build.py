"""Building formulas: the constructors that keep what is always simpler.

Constants fold, zeros and ones go, δ melts into repeated indices, transposes are absorbed, equal
factors and equal terms merge. Nothing here looks deeper than one level: the normal form is the
algebra's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from wrt.errors import ShapeMistake
from wrt.expression.canonical import arranged
from wrt.expression.coefficient import MINUS_ONE, ONE, Coefficient
from wrt.expression.dimensions import Dimension, show_dimensions
from wrt.expression.nodes import (
    Apply,
    BoundedSum,
    Constant,
    Einsum,
    Node,
    Pattern,
    Relation,
    Reshape,
    Sum,
    Variable,
    whole,
)
from wrt.expression.products import einsum, product, product_carried, product_without, zeros

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
    "product_carried",
    "product_without",
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


def is_zero(node: Node) -> bool:
    """Whether this is the zero tensor, plainly."""
    kind = type(node)
    return (kind is Einsum or kind is Constant) and not node.coefficient.value  # type: ignore[attr-defined]


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
    if len(terms) == 2:
        first, last = terms
        if not (is_zero(first) or is_zero(last) or _likeness(first) == _likeness(last)):
            assert first.dims == last.dims, (first.dims, last.dims)
            return Sum(terms if first.digest < last.digest else (last, first))
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
        return (term.children, term.layout.said)
    return () if isinstance(term, Constant) else ((term,), _as_it_is(term.dims))


@lru_cache(maxsize=256)
def _as_it_is(dims: tuple[Dimension, ...]) -> str:
    """How a product of one factor is laid out that is that factor."""
    axes = tuple(range(len(dims)))
    return arranged((1,), (axes,), axes, dims).said


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
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[Dimension, ...], tuple[int, ...]]:
    """Indices of two operands under NumPy's broadcasting, the index dimensions, the output."""
    return _broadcast(a.dims, b.dims, what)


@lru_cache(maxsize=1024)
def _broadcast(
    a: tuple[Dimension, ...], b: tuple[Dimension, ...], what: str
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[Dimension, ...], tuple[int, ...]]:
    dims: list[Dimension] = []
    left: list[int] = []
    right: list[int] = []
    out: list[int] = []
    for k in range(max(len(a), len(b)), 0, -1):
        da = a[-k] if k <= len(a) else None
        db = b[-k] if k <= len(b) else None
        if da is not None and db is not None and da is not db:
            if da.value != 1 and db.value != 1:
                raise ShapeMistake(
                    f"{what}: shapes ({show_dimensions(a)}) and "
                    f"({show_dimensions(b)}) do not fit: {da} against {db}"
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
    return tuple(left), tuple(right), tuple(dims), tuple(out)


def _dim(dim: Dimension | None) -> Dimension:
    assert dim is not None
    return dim


#: Kinds with a number of their own.
_NUMBERED = frozenset({Einsum, Constant})


def multiply(a: Any, b: Any) -> Node:
    """The product entry by entry, with NumPy's broadcasting."""
    for value, other in ((a, b), (b, a)):
        if type(value) is int and isinstance(other, Node) and type(other) not in _NUMBERED:
            return scale(Coefficient(value), other)
    a, b = as_node(a), as_node(b)
    for number, other in ((a, b), (b, a)):
        if isinstance(number, Constant) and not isinstance(other, (Einsum, Constant)):
            return scale(number.coefficient, other)
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
    if a.dims == b.dims:
        return add(a, b)
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
        _, _, dims, out = _broadcast(shape, argument.dims, function.name)
        shape = tuple([dims[i] for i in out])
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
