"""Two tensors with named indices become one: by `@`, by broadcasting, by einsum at last.

The order over a whole product is the cheapest there is (`ordering`), that of many factors
opt_einsum's; what one step of it looks like is decided here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache, reduce
from operator import mul
from typing import NamedTuple

from wrt.expression.coefficient import ONE
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Dims
from wrt.programs.costs import is_gram
from wrt.programs.ordering import cheapest
from wrt.programs.steps import Steps

__all__ = ["Operand", "order", "pair", "upright"]

Indices = tuple[int, ...]

#: With more operands than these the order is opt_einsum's proof, then its best guess, which is far
#: off where one index is in most of them, as that of the rows of data.
MOST_OPTIMAL, MOST_PROVED = 8, 14
LETTERS = "ijklmnopqrstuvwxyzabcdefgh"


class Operand(NamedTuple):
    """A step whose axes are indices of a product; `under` if it is below the fraction bar."""

    step: int
    indices: Indices
    under: bool = False


@lru_cache(maxsize=4096)
def order(
    inputs: tuple[Indices, ...],
    output: Indices,
    sizes: tuple[int, ...],
    inverses: tuple[int, ...] = (),
) -> tuple[tuple[int, ...], ...]:
    """Which to multiply next, as places in a list that shrinks; `sizes` by index. Those at the
    places `inverses` are solved with rather than formed.

    >>> order(((0, 1), (1, 2), (2,)), (0,), (100, 100, 100))
    ((1, 2), (0, 1))
    """
    if len(inputs) < 3:
        return ((0, 1),) if len(inputs) == 2 else ()
    if len(inputs) <= MOST_OPTIMAL:
        return cheapest(inputs, output, sizes, inverses)
    from opt_einsum import paths

    sets = [frozenset(map(str, i)) for i in inputs]
    lengths = {str(k): size for k, size in enumerate(sizes)}
    find = paths.dynamic_programming if len(inputs) <= MOST_PROVED else paths.auto
    path = find(sets, frozenset(map(str, output)), lengths, None)
    return tuple(tuple(sorted(places)) for places in path)


def upright(steps: Steps, a: Operand) -> Operand:
    """The operand above the fraction bar, true and false as numbers."""
    if not a.under:
        return Operand(steps.real(a.step), a.indices)
    one = steps.number(ONE)
    return Operand(steps.over(one, a.step, steps[a.step].dims), a.indices)


def pair(
    steps: Steps,
    a: Operand,
    b: Operand,
    keep: Collection[int],
    dims: Sequence[Dimension],
    wanted: Indices | None = None,
) -> Operand:
    """The product of two operands, summed over what is not kept; `wanted` is the best axis order.

    An index that only one of them has is kept.
    """
    shared = [i for i in a.indices if i in b.indices]
    summed = [i for i in shared if i not in keep]
    batch = [i for i in shared if i in keep]
    left = [i for i in a.indices if i not in shared]
    right = [i for i in b.indices if i not in shared]
    out = wanted or ()
    if wanted is not None and set(wanted) != {*batch, *left, *right}:
        wanted = None
    if not summed:
        return _entrywise(steps, a, b, dims, wanted)
    if not (batch or left or right):
        return _inner(steps, a, b, dims)
    a, b = upright(steps, a), upright(steps, b)
    if not batch and len(summed) == 1:
        for inverse, other in ((a, b), (b, a)):
            if inverse.step in steps.inverses and len(other.indices) < 3:
                return _solved(steps, inverse, other, summed[0], dims)
    if _swapped(a, b, left, right, summed[0], wanted, out):
        a, b, left, right = b, a, right, left
    if not batch:
        turned = _transposed(steps, a, b, left, right, summed)
        if turned is not None:
            return turned
        return _matrices(steps, a, b, left, right, summed, dims)
    if len(left) == len(right) == len(summed) == 1:
        first = steps.aligned(a.step, a.indices, [*batch, *left, *summed])
        second = steps.aligned(b.step, b.indices, [*batch, *summed, *right])
        out = (*batch, *left, *right)
        return Operand(steps.add("matmul", (first, second), None, [dims[i] for i in out]), out)
    return _einsum(steps, a, b, wanted or (*batch, *left, *right), dims)


def _swapped(
    a: Operand,
    b: Operand,
    left: Sequence[int],
    right: Sequence[int],
    summed: int,
    wanted: Indices | None,
    out: Indices,
) -> bool:
    """Whether b @ a reads better than a @ b."""
    if not right:
        return False
    if len(a.indices) == 1:  # a person writes W @ x and A.T @ r
        return True
    if wanted is not None:
        return wanted[-1:] == tuple(left[-1:])
    straight = (a.indices[-1] == summed) + (b.indices[0] == summed)
    swapped = (b.indices[-1] == summed) + (a.indices[0] == summed)
    return _turns(left, right, out) if swapped == straight else swapped > straight


def _turns(left: Sequence[int], right: Sequence[int], out: Indices) -> bool:
    """Whether what stays to the end would not stand at the end where it is wanted in the end."""
    if not len(left) == len(right) == 1:
        return False
    if right[0] in out:
        return left[0] not in out and out[-1] != right[0]
    return left[0] in out and out[0] != left[0]


def _transposed(
    steps: Steps,
    a: Operand,
    b: Operand,
    left: Sequence[int],
    right: Sequence[int],
    summed: Sequence[int],
) -> Operand | None:
    """A product of matrices whose transpose is there already: (a @ b)' is b' @ a'."""
    if not len(left) == len(right) == len(summed) == 1:
        return None
    first = steps.seen(b.step, b.indices.index(right[0]) == 1)
    second = steps.seen(a.step, a.indices.index(left[0]) == 0)
    if first is None or second is None:
        return None
    dims = (steps[first].dims[0], steps[second].dims[1])
    made = steps.found("matmul", (first, second), None, dims)
    return None if made is None else Operand(made, (*right, *left))


def _entrywise(
    steps: Steps, a: Operand, b: Operand, dims: Sequence[Dimension], wanted: Indices | None
) -> Operand:
    """No sum: a product or a quotient with broadcasting."""
    longer, other = (b, a) if len(b.indices) > len(a.indices) else (a, b)
    out = wanted or (*longer.indices, *(i for i in other.indices if i not in longer.indices))
    shape = [dims[i] for i in out]
    if a.under != b.under:
        top, bottom = (b, a) if a.under else (a, b)
        over = steps.over(
            steps.aligned(top.step, top.indices, out),
            steps.aligned(bottom.step, bottom.indices, out),
            shape,
        )
        return Operand(over, out)
    if len(out) == 2 and len(a.indices) == len(b.indices) == 1:
        row, column = (a, b) if a.indices[0] == out[0] else (b, a)
        ends = steps.real(row.step), steps.real(column.step)
        return Operand(steps.add("outer", ends, None, shape), out, a.under)
    thin, thick = sorted((a, b), key=lambda o: len(o.indices))
    first = steps.aligned(thin.step, thin.indices, out)
    second = steps.aligned(thick.step, thick.indices, out)
    return Operand(steps.times(first, second, shape), out, a.under)


def _inner(steps: Steps, a: Operand, b: Operand, dims: Sequence[Dimension]) -> Operand:
    """Everything is summed."""
    if a.under or b.under:
        both = _entrywise(steps, a, b, dims, None)
        both = upright(steps, both)
        return Operand(steps.total(both.step, range(len(both.indices))), ())
    first, second = steps.real(a.step), steps.real(b.step)
    if len(a.indices) == 1:
        return Operand(steps.add("matmul", (first, second), None, ()), ())
    real = steps[first].kind == steps[second].kind == "real"
    if a.indices == b.indices and real:
        return Operand(steps.add("vdot", (first, second), None, ()), ())
    both = _entrywise(steps, Operand(first, a.indices), Operand(second, b.indices), dims, None)
    return Operand(steps.total(both.step, range(len(both.indices))), ())


def _solved(
    steps: Steps, inverse: Operand, other: Operand, summed: int, dims: Sequence[Dimension]
) -> Operand:
    """A product with an inverse, as the linear system that it solves."""
    matrix, form = steps.inverses[inverse.step]
    turned = inverse.indices[0] == summed
    kept = inverse.indices[turned]
    rest = [i for i in other.indices if i != summed]
    right = steps.aligned(other.step, other.indices, [summed, *rest])
    out = (kept, *rest)
    if form == "lu":
        given, data = steps.transpose(matrix, (1, 0)) if turned else matrix, None
    else:
        given, data = matrix, (form, turned and form != "cholesky")
    return Operand(steps.add("solve", (given, right), data, [dims[i] for i in out]), out)


def _matrices(
    steps: Steps,
    a: Operand,
    b: Operand,
    left: Sequence[int],
    right: Sequence[int],
    summed: Sequence[int],
    dims: Sequence[Dimension],
) -> Operand:
    """A sum without a batch: `@` for matrices and what can be laid flat, tensordot for the rest."""
    out = (*left, *right)
    shape = tuple(dims[i] for i in out)
    weighted = _gram(steps, a, b, summed)
    if weighted is not None:
        return Operand(steps.add("gram", weighted, None, shape), out)
    last = len(left) < 2 or a.indices[-1:] == tuple(summed)
    first = len(right) < 2 or b.indices[:1] == tuple(summed)
    if len(summed) == 1 and last and first:
        upper = steps.aligned(a.step, a.indices, [*left, *summed])
        lower = steps.aligned(b.step, b.indices, [*summed, *right])
        return Operand(_flat_product(steps, upper, lower, shape), out)
    axes = (
        tuple(a.indices.index(i) for i in summed),
        tuple(b.indices.index(i) for i in summed),
    )
    return Operand(steps.add("tensordot", (a.step, b.step), axes, shape), out)


def _flat_product(steps: Steps, a: int, b: int, shape: Dims) -> int:
    """`a @ b` over the last axis of a and the first of b; several others are laid out as one."""
    rows, columns = _as_one(steps[a].dims[:-1]), _as_one(steps[b].dims[1:])
    a = _laid(steps, a, (*rows, *steps[a].dims[-1:]))
    b = _laid(steps, b, (*steps[b].dims[:1], *columns))
    made = steps.add("matmul", (a, b), None, (*rows, *columns))
    if is_gram(steps, a, b):
        steps.symmetric.add(made)
    return _laid(steps, made, shape)


def _as_one(dims: Dims) -> Dims:
    return (reduce(mul, dims),) if len(dims) > 1 else dims


def _laid(steps: Steps, at: int, dims: Dims) -> int:
    return at if len(steps[at].dims) == len(dims) else steps.add("reshape", (at,), None, dims)


def _gram(steps: Steps, a: Operand, b: Operand, summed: Sequence[int]) -> tuple[int, int] | None:
    """X and d where the product is X' diag(d) X of real arrays: half of it is enough."""
    if len(a.indices) != 2 or len(b.indices) != 2:
        return None
    at = a.indices.index(summed[0])
    for plain, weighted in ((a, b), (b, a)):
        step = steps[weighted.step]
        if step.op != "multiply" or b.indices.index(summed[0]) != at or step.kind != "real":
            continue
        thin, thick = step.args
        if thick != plain.step:
            continue
        if at == 0 and steps[thin].op == "expand":
            (thin,) = steps[thin].args
        elif at == 0:
            continue
        if len(steps[thin].dims) == 1:
            return steps.transpose(thick, (at, 1 - at)), thin
    return None


def _einsum(
    steps: Steps, a: Operand, b: Operand, out: Indices, dims: Sequence[Dimension]
) -> Operand:
    letters = dict(zip(dict.fromkeys((*out, *a.indices, *b.indices)), LETTERS, strict=False))
    said = ["".join(letters[i] for i in group) for group in (a.indices, b.indices, out)]
    text = f"{said[0]},{said[1]}->{said[2]}"
    return Operand(steps.add("einsum", (a.step, b.step), text, [dims[i] for i in out]), out)
