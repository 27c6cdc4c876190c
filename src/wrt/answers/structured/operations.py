"""The formulas of what is done with a structured tensor, made once for each tensor."""

from __future__ import annotations

from functools import lru_cache

from wrt.algebra import normal_form
from wrt.algebra.conjugation import conjugate
from wrt.answers.structured.terms import Term, joined
from wrt.answers.structured.terms import terms as terms_of
from wrt.errors import ShapeMistake
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Dims, Factor, Node, Pattern, Relation, Sum, Variable
from wrt.expression.walk import holds_complex, substitute

__all__ = [
    "BATCH",
    "VECTOR",
    "Key",
    "added",
    "composed",
    "identity",
    "number",
    "product",
    "renamed",
    "scaled",
    "section",
    "squares",
    "terms",
    "tied",
    "transposed",
]

#: The name of what is multiplied, and of the size of the axis that many of them stand along.
VECTOR, BATCH = "v", "batch"

#: Where a slice starts, how far it steps, how many entries it has; or one entry.
Key = tuple[int, int, int] | int


@lru_cache(maxsize=512)
def terms(formula: Node) -> tuple[Term, ...]:
    """The terms of a tensor."""
    return terms_of(formula)


@lru_cache(maxsize=512)
def product(
    formula: Node, summed: tuple[int, ...], name: str, batch: bool, complex_: bool
) -> tuple[Node, Variable]:
    """A tensor times a variable along some of its axes, and that variable; many at once along a
    leading axis.
    """
    dims = tuple(formula.dims[k] for k in summed)
    kind = ("complex",) if complex_ else ()
    v = Variable(name, ((Dimension.of(BATCH),) if batch else ()) + dims, kind)
    lead = int(batch)
    ties = [((0, k), (1, lead + place)) for place, k in enumerate(summed)]
    output = [(1, 0)] * lead + [(0, k) for k in range(formula.ndim) if k not in summed]
    return joined([terms(formula), terms(v)], ties, output), v


@lru_cache(maxsize=512)
def transposed(formula: Node, rows: int) -> Node:
    """The transposed map."""
    order = [(0, k) for k in (*range(rows, formula.ndim), *range(rows))]
    return joined([terms(formula)], [], order)


@lru_cache(maxsize=512)
def composed(formula: Node, rows: int, other: Node, inner: int) -> Node:
    """One map after another, whose `inner` first axes are the last ones of this."""
    ties = [((0, rows + k), (1, k)) for k in range(inner)]
    output = [(0, k) for k in range(rows)] + [(1, k) for k in range(inner, other.ndim)]
    return joined([terms(formula), terms(other)], ties, output)


@lru_cache(maxsize=512)
def identity(dims: Dims) -> Node:
    """The identity between tensors of these sizes."""
    axes = tuple(range(len(dims)))
    return build.product(ONE, (), (*axes, *axes), dims)


@lru_cache(maxsize=512)
def added(formula: Node, other: Node) -> Node:
    """The sum of two tensors."""
    return build.add(*_plain(formula), *_plain(other))


@lru_cache(maxsize=512)
def scaled(formula: Node, factor: int | Variable) -> Node:
    """Every entry times a number."""
    if isinstance(factor, int):
        return build.add(*(build.scale(factor, one) for one in _plain(formula)))
    axes = [(0, k) for k in range(formula.ndim)]
    return joined([terms(formula), terms(factor)], [], axes)


@lru_cache(maxsize=64)
def number(name: str, kind: tuple[str, ...]) -> Variable:
    """A number by a name."""
    return Variable(name, (), kind)


@lru_cache(maxsize=512)
def renamed(formula: Node, names: tuple[tuple[Variable, str], ...]) -> Node:
    """A tensor whose variables have other names."""
    moved = {v: Variable(name, v.dims, v.properties) for v, name in names}
    return substitute(formula, moved)


def _plain(formula: Node) -> tuple[Node, ...]:
    return formula.children if isinstance(formula, Sum) else (formula,)


@lru_cache(maxsize=512)
def tied(formula: Node, rows: int, kept: bool) -> Node:
    """The diagonal of a square map, or its sum."""
    ties = [((0, k), (0, rows + k)) for k in range(rows)]
    return joined([terms(formula)], ties, [(0, k) for k in range(rows) if kept])


@lru_cache(maxsize=512)
def squares(formula: Node) -> tuple[Node, ...]:
    """The sum of the squares of all entries; then, of several terms, that of the entries of each:
    where the first is far less than the others, digits were lost.
    """
    axes = range(formula.ndim)
    ties = [((0, k), (1, k)) for k in axes]
    made = [formula]
    several = terms(formula)
    if len(several) > 1:
        made += [joined([[t]], [], [(0, k) for k in axes]) for t in several]
    bars = [conjugate(node) if holds_complex(node) else node for node in made]
    return tuple(
        joined([terms(node), terms(bar)], ties, []) for node, bar in zip(made, bars, strict=True)
    )


@lru_cache(maxsize=512)
def section(formula: Node, keys: tuple[Key | None, ...]) -> Node:
    """A part of a tensor, a key for each axis; None is the whole of it."""
    return normal_form(build.add(*(_section(term, keys) for term in terms(formula))))


def _section(term: Term, keys: tuple[Key | None, ...]) -> Node:
    dims, output = list(term.dims), list[int]()
    factors: list[Factor] = list(term.factors)
    for index, key in zip(term.output, keys, strict=True):
        if key is None:
            output.append(index)
        elif isinstance(key, int):
            factors.append((build.unit(dims[index], key), 1, (index,)))
        else:
            start, step, count = key
            dims.append(Dimension.of(count))
            output.append(len(dims) - 1)
            at = Relation(((0, -step), (1, 1)), Dimension.of(-start))
            factors.append((Pattern((dims[-1], dims[index]), (at,)), 1, (len(dims) - 1, index)))
    return build.product_carried(term.coefficient, factors, output, dims)


def keys_of(key: object, shape: tuple[int, ...]) -> tuple[Key | None, ...]:
    """What stands in brackets as a key for each axis, counted from 0 as in NumPy."""
    given = list(key) if isinstance(key, tuple) else [key]
    dots = [k for k, one in enumerate(given) if one is Ellipsis]
    if len(dots) > 1:
        raise ShapeMistake("an index has one ... at most")
    if dots:
        given[dots[0] : dots[0] + 1] = [slice(None)] * (len(shape) - len(given) + 1)
    if len(given) > len(shape):
        raise ShapeMistake(f"{len(given)} indices for {len(shape)} axes")
    given += [slice(None)] * (len(shape) - len(given))
    return tuple(
        _key(one, size, axis) for axis, (one, size) in enumerate(zip(given, shape, strict=True))
    )


def inner_keys(
    keys: tuple[Key | None, ...], groups: tuple[int, ...], axes: tuple[int, ...]
) -> tuple[Key | None, ...]:
    """Keys for the axes that are laid end to end: an entry is one of each, a slice is none."""
    found: list[Key | None] = []
    for key, count in zip(keys, groups, strict=True):
        sizes = axes[len(found) : len(found) + count]
        if count > 1 and isinstance(key, tuple):
            raise ShapeMistake(
                "an axis in which several are laid end to end is taken whole, or one entry of it",
                hint="dense() and sparse() give arrays of it",
            )
        places: list[Key | None] = []
        for size in reversed(sizes):
            inside = count > 1 and isinstance(key, int)
            places.append(key % size if inside and isinstance(key, int) else key)
            key = key // size if inside and isinstance(key, int) else key
        found += reversed(places)
    return tuple(found)


def _key(one: object, size: int, axis: int) -> Key | None:
    if isinstance(one, slice):
        found = range(*one.indices(size))
        if not found:
            raise ShapeMistake(f"the slice of axis {axis} is empty: it has {size} entries")
        if found == range(size):
            return None
        return (found.start, found.step, len(found))
    whole = hasattr(one, "__index__") and not getattr(one, "shape", ())
    if isinstance(one, bool) or not whole:
        raise ShapeMistake(
            f"{one!r} is no index of a structured tensor; whole numbers, slices and ... are",
            hint="dense() gives an array that takes any",
        )
    position: int = one.__index__()  # type: ignore[attr-defined]
    if not -size <= position < size:
        raise ShapeMistake(f"index {position} is outside axis {axis} of {size} entries")
    return position % size
