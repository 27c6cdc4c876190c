"""A product becomes steps: patterns melt into slices, diagonals are read, the rest multiplies.

What is left of the output is written where it belongs: on a diagonal, in a slice, at one place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from wrt.expression.coefficient import MINUS_ONE, ONE, Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Dims, Einsum, Pattern
from wrt.programs.contraction import Operand, order, pair, upright
from wrt.programs.costs import length
from wrt.programs.places import NONE, Places, Spot
from wrt.programs.steps import Steps

__all__ = ["Tensor", "lower_product"]


class Tensor(NamedTuple):
    """A step and which axes of a formula it has; along the others the formula repeats it."""

    step: int
    axes: tuple[int, ...]


def lower_product(
    steps: Steps,
    node: Einsum,
    tensors: Sequence[Tensor | None],
    sizes: Mapping[str, int],
    conditions: list[Dimension],
    outside: bool,
) -> Tensor:
    """The steps of a product of factors that are steps already (None for patterns).

    `outside` asks for a minus sign as the last step, where a sum can take it.
    """
    places = Places(node.index_dims)
    patterns, operands = _sorted(steps, node, tensors)
    places.melt(patterns)
    spots = [places[i] for i in node.output]
    if places.zero:
        return Tensor(steps.number(Coefficient.of(0)), ())
    conditions.extend(places.conditions)
    operands = [_read(steps, o, places) for o in operands]
    operands = _masked(steps, operands, places)
    coefficient = _counted(node, operands, places)
    negative = coefficient.value < 0 and outside
    coefficient = -coefficient if negative else coefficient
    bases = tuple(dict.fromkeys(s.base for s in spots if s.base is not None))
    carried = tuple(b for b in bases if any(b in o.indices for o in operands))
    core = _multiplied(steps, coefficient, operands, carried, places.dims, sizes)
    if negative:
        core = steps.negate(core)
    return _placed(steps, node, core, carried, bases, spots, places)


#: Powers whose sum is taken as a product of two arrays.
HALVED = range(2, 9)


def _sorted(
    steps: Steps, node: Einsum, tensors: Sequence[Tensor | None]
) -> tuple[list[tuple[Pattern, Sequence[int]]], list[Operand]]:
    """The factors as patterns and as operands with their powers."""
    patterns: list[tuple[Pattern, Sequence[int]]] = []
    operands: list[Operand] = []
    for (factor, exponent, indices), tensor in zip(node.factors, tensors, strict=True):
        if tensor is None:
            assert isinstance(factor, Pattern)
            patterns.append((factor, indices))
            continue
        own = tuple(indices[axis] for axis in tensor.axes)
        operands.append(Operand(tensor.step, own, exponent < 0))
        summed = exponent in HALVED and len(node.factors) == 1 and not node.output
        if summed and len(set(own)) == len(own) and steps[tensor.step].kind == "real":
            parts = (exponent - exponent // 2, exponent // 2)
            operands = [Operand(steps.power(tensor.step, e), own, False) for e in parts]
        elif abs(exponent) != 1:
            powered = steps.power(tensor.step, abs(Fraction(exponent)))
            operands[-1] = Operand(powered, own, exponent < 0)
    return patterns, operands


def _read(steps: Steps, operand: Operand, places: Places) -> Operand:
    """Slices and single places where indices have moved, then diagonals where they meet."""
    if not places.moved and len(set(operand.indices)) == len(operand.indices):
        return operand
    at, indices = operand.step, list(operand.indices)
    spots = [places[i] for i in indices]
    if any(s.base is None or s.offset is not NONE for s in spots) or any(
        s.base is not None and places.dims[s.base] is not places.dims[i]
        for s, i in zip(spots, indices, strict=True)
    ):
        keys = tuple(_key(s, places.dims[i], places) for s, i in zip(spots, indices, strict=True))
        dims = [places.dims[s.base] for s in spots if s.base is not None]
        at = steps.index(at, keys, dims)
    indices = [s.base for s in spots if s.base is not None]
    while len(set(indices)) < len(indices):
        first, second = _repeated(indices)
        at = steps.diagonal(at, first, second)
        index = indices[first]
        indices = [i for k, i in enumerate(indices) if k not in (first, second)] + [index]
    return Operand(at, tuple(indices), operand.under)


#: A place, a start and a length, or all of an axis.
Key = tuple[Dimension] | tuple[Dimension, Dimension] | None


def _key(spot: Spot, dim: Dimension, places: Places) -> Key:
    if spot.base is None:
        return (spot.offset,)
    length = places.dims[spot.base]
    if spot.offset is NONE and length is dim:
        return None
    return (spot.offset, length)


def _repeated(indices: Sequence[int]) -> tuple[int, int]:
    seen: dict[int, int] = {}
    for k, i in enumerate(indices):
        if i in seen:
            return seen[i], k
        seen[i] = k
    raise AssertionError(indices)


def _masked(steps: Steps, operands: list[Operand], places: Places) -> list[Operand]:
    """Triangles by tril and triu of a factor that has both axes; other patterns as masks."""
    for indices, pattern in places.masks:
        for k, operand in enumerate(operands):
            cut = _triangle(steps, operand, indices, pattern)
            if cut is not None:
                operands[k] = cut
                break
        else:
            mask = steps.add("mask", (), pattern.relations, pattern.dims, "bool")
            operands.append(Operand(mask, indices))
    return operands


def _triangle(
    steps: Steps, operand: Operand, indices: tuple[int, ...], pattern: Pattern
) -> Operand | None:
    (relation,) = pattern.relations
    factors = [c for _, c in relation.terms]
    ends = operand.indices[-2:]
    if operand.under or relation.kind != ">=" or sorted(factors) != [-1, 1]:
        return None
    if set(ends) != set(indices) or len(ends) != 2:
        return None
    row = factors[indices.index(ends[0])]
    word, shift = ("tril", relation.constant) if row == 1 else ("triu", relation.constant * -1)
    whole = steps.real(operand.step)
    cut = steps.add(word, (whole,), shift, steps[whole].dims)
    return Operand(cut, operand.indices)


def _counted(node: Einsum, operands: Sequence[Operand], places: Places) -> Coefficient:
    """The coefficient, times the size of every summed index that nothing carries."""
    coefficient = node.coefficient
    carried = {i for o in operands for i in o.indices}
    kept = {places[i].base for i in node.output}
    for base in dict.fromkeys(places[i].base for i in node.summed):
        if base is not None and base not in carried and base not in kept:
            coefficient = coefficient * Coefficient.of(places.dims[base])
    return coefficient


# Multiplying


def _multiplied(
    steps: Steps,
    coefficient: Coefficient,
    operands: Sequence[Operand],
    out: tuple[int, ...],
    dims: Sequence[Dimension],
    sizes: Mapping[str, int],
) -> int:
    """The product of all, with axes `out`; scalars join where the fewest entries are."""
    scalars = [o for o in operands if not o.indices]
    tensors = [_summed(steps, o, k, operands, out) for k, o in enumerate(operands) if o.indices]
    scalars += [o for o in tensors if not o.indices]
    tensors = [o for o in tensors if o.indices]
    # of orders that cost the same the last is taken: weights go to the factor on the right
    tensors.sort(key=lambda o: max((out.index(i) for i in o.indices if i in out), default=len(out)))
    scale = _Scale(steps, coefficient, scalars)
    if not tensors:
        return scale.alone()
    lengths = tuple([length(d, sizes) for d in dims]) if len(operands) > 1 else ()
    inverses = tuple(k for k, o in enumerate(tensors) if o.step in steps.inverses)
    path = order(tuple([o.indices for o in tensors]), out, lengths, inverses)
    best = -1 if scale.trivial else _smallest(tensors, path, out, lengths)
    for k, o in enumerate(tensors):
        if k == best:
            tensors[k] = scale.onto(o)
    made = len(tensors)
    for places in path:
        chosen = [tensors[k] for k in places]
        tensors = [o for k, o in enumerate(tensors) if k not in places]
        keep = {*out, *(i for o in tensors for i in o.indices)}
        result = chosen[0]
        for other in chosen[1:]:
            result = pair(steps, result, other, keep, dims, out)
        tensors.append(scale.onto(result) if made == best else result)
        made += 1
    (last,) = tensors
    last = upright(steps, last) if last.under else last
    return steps.transpose(last.step, [last.indices.index(i) for i in out])


def _smallest(
    operands: Sequence[Operand],
    path: Sequence[Sequence[int]],
    out: tuple[int, ...],
    lengths: Sequence[int],
) -> int:
    """Which operand or intermediate result has the fewest entries, the last of those that tie."""
    if not path:
        return 0
    counts = _counts(operands, path, out, lengths)
    return min(range(len(counts)), key=lambda k: (counts[k], -k))


def _summed(
    steps: Steps, operand: Operand, at: int, operands: Sequence[Operand], out: tuple[int, ...]
) -> Operand:
    """Sum over the indices that no other operand has and nobody needs."""
    needed = {*out, *(i for k, o in enumerate(operands) if k != at for i in o.indices)}
    axes = [k for k, i in enumerate(operand.indices) if i not in needed]
    if not axes:
        return operand
    above = upright(steps, operand)
    kept = tuple(i for i in operand.indices if i in needed)
    return Operand(steps.total(above.step, axes), kept)


def _counts(
    operands: Sequence[Operand],
    path: Sequence[Sequence[int]],
    out: tuple[int, ...],
    lengths: Sequence[int],
) -> list[int]:
    """How many entries each operand and each intermediate result has, in order of making."""
    live = [(frozenset(o.indices), o.under) for o in operands]
    counts: list[int] = [_entries(s, lengths) if not under else 2**200 for s, under in live]
    for places in path:
        chosen = [live[k] for k in places]
        live = [s for k, s in enumerate(live) if k not in places]
        needed = frozenset(out).union(*(s for s, _ in live))
        under = all(u for _, u in chosen)
        kept = frozenset().union(*(s for s, _ in chosen)) & needed
        live.append((kept, under))
        counts.append(_entries(kept, lengths) if not under else 2**200)
    if len(counts) and counts[-1] == 2**200:
        counts[-1] = _entries(live[-1][0], lengths)
    return counts


def _entries(indices: frozenset[int], lengths: Sequence[int]) -> int:
    product = 1
    for i in indices:
        product *= lengths[i]
    return product


class _Scale:
    """What every entry is multiplied with: a number, scalars above and below the fraction bar."""

    def __init__(self, steps: Steps, coefficient: Coefficient, scalars: Sequence[Operand]) -> None:
        self.steps, self.coefficient = steps, coefficient
        self.above = self._product([o.step for o in scalars if not o.under])
        self.below = self._product([o.step for o in scalars if o.under])

    @property
    def trivial(self) -> bool:
        """Whether there is nothing to multiply with."""
        return self.coefficient is ONE and self.above is None and self.below is None

    def _product(self, factors: Sequence[int]) -> int | None:
        if not factors:
            return None
        total = self.steps.real(factors[0])
        for factor in factors[1:]:
            total = self.steps.times(total, self.steps.real(factor), ())
        return total

    def alone(self) -> int:
        """The scale itself."""
        if self.above is None:
            number = self.steps.number(self.coefficient)
            return number if self.below is None else self.steps.over(number, self.below, ())
        return self._scaled(self.above, (), self.below)

    def onto(self, operand: Operand) -> Operand:
        """The operand times the scale."""
        steps = self.steps
        dims = steps[operand.step].dims
        if operand.under:
            return Operand(steps.over(self.alone(), operand.step, dims), operand.indices)
        if self.above is None:
            return Operand(self._scaled(operand.step, dims, self.below), operand.indices)
        if self.below is None or self.coefficient != ONE:
            return Operand(steps.times(self.alone(), operand.step, dims), operand.indices)
        top = steps.over(self.above, self.below, ())
        return Operand(steps.times(top, operand.step, dims), operand.indices)

    def _scaled(self, at: int, dims: Dims, below: int | None) -> int:
        """`c · at / below`, with one operation on the array where that can be."""
        steps, c = self.steps, self.coefficient
        if below is None:
            if _is_unit_fraction(c):
                return steps.over(at, steps.number(c**-1), dims)
            if c == MINUS_ONE:
                return steps.negate(at)
            return at if c == ONE else steps.times(steps.number(c), at, dims)
        if c in (ONE, MINUS_ONE):
            return steps.over(at if c == ONE else steps.negate(at), below, dims)
        if _is_unit_fraction(c):
            return steps.over(at, steps.times(steps.number(c**-1), below, ()), dims)
        return steps.times(steps.over(steps.number(c), below, ()), at, dims)


def _is_unit_fraction(c: Coefficient) -> bool:
    """Whether a number reads better as a divisor: 1/3 and 1/n do, 0.5 and 2/n do not."""
    if c == ONE or c.value.numerator != 1 or any(base == "i" for base, _ in c.powers):
        return False
    if c.powers:
        return all(power < 0 for _, power in c.powers)
    return len(repr(float(c.value))) > 5


# Writing


def _placed(
    steps: Steps,
    node: Einsum,
    core: int,
    carried: tuple[int, ...],
    bases: tuple[int, ...],
    spots: Sequence[Spot],
    places: Places,
) -> Tensor:
    """The core as it stands, or in zeros where the output repeats, shifts or pins an index."""
    whole = all(
        s.base is not None and s.offset is NONE and places.dims[s.base] is dim
        for s, dim in zip(spots, node.dims, strict=True)
    )
    if whole and len(bases) == len(spots):
        return Tensor(core, tuple(k for k, s in enumerate(spots) if s.base in carried))
    axes = tuple(range(len(spots)))
    if whole and len(spots) == 2:
        if carried:
            core = steps.real(core)
            return Tensor(steps.add("diag", (core,), None, node.dims), axes)
        return Tensor(_scaled_eye(steps, steps.real(core), node.dims), axes)
    order = _written_order(spots)
    laid = steps.aligned(steps.real(core), carried, order)
    keys = tuple((s.base, s.offset, None if s.base is None else places.dims[s.base]) for s in spots)
    return Tensor(steps.add("write", (laid,), (keys, tuple(order)), node.dims), axes)


def _scaled_eye(steps: Steps, core: int, dims: Dims) -> int:
    eye = steps.add("eye", (), None, dims, "real")
    step = steps[core]
    if step.op == "divide" and steps[step.args[0]].data == ONE:
        return steps.over(eye, step.args[1], dims)
    return steps.times(core, eye, dims)


def _written_order(spots: Sequence[Spot]) -> list[int]:
    """The axes of `out[keys]` in NumPy's order: index arrays together, first if they are apart."""
    bases = [s.base for s in spots]
    arrays = [k for k, b in enumerate(bases) if b is None or bases.count(b) > 1]
    repeated = [b for b in dict.fromkeys(bases) if b is not None and bases.count(b) > 1]
    slices = [b for b in bases if b is not None and bases.count(b) == 1]
    if not repeated:
        return slices
    together = arrays[-1] - arrays[0] == len(arrays) - 1
    ahead = [b for b in bases[: arrays[0]] if b is not None] if together else []
    return [*ahead, *repeated, *(b for b in slices if b not in ahead)]
