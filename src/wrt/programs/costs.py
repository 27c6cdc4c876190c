"""What a plan costs: operations and bytes of every step, and about how long it takes.

One model for every choice of the planner. Sizes that nobody gave count as 100; rates are those of
an ordinary processor, of which only the proportions matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import NamedTuple

from wrt.expression.dataclass import dataclass
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Dims
from wrt.programs.steps import VIEWS, Step, Steps, reached

__all__ = ["ASSUMED", "Bill", "Cost", "billed", "collides", "entries", "is_gram", "length"]

#: What an unnamed size is taken for.
ASSUMED = 100

#: Operations a nanosecond in a product of large matrices, and in anything else; bytes a nanosecond;
#: nanoseconds for saying a step at all.
PRODUCT_RATE, PLAIN_RATE, BANDWIDTH, CALL = 20.0, 1.0, 8.0, 1000.0
ITEM = 8

#: Operations of what works on whole matrices, in n³; everything else of that kind counts as 10.
CUBIC = {
    "inv": 2.0,
    "det": 2 / 3,
    "logdet": 2 / 3,
    "logabsdet": 2 / 3,
    "cholesky": 1 / 3,
    "matrix_power": 6.0,
}
OTHER_CUBIC = 10.0
#: Operations of an elementwise function, an entry.
ENTRY = 8.0
PRODUCTS = frozenset({"matmul", "gram", "einsum", "tensordot", "vdot"})
#: What works on whole matrices.
WHOLE = frozenset({"call", "factor", "solve", "inverse"})
#: Steps that look at an array in another way, or read a part of it.
LOOKS = VIEWS | {"diagonal", "reshape", "pick", "index", "whole", "carry", "entry", "last"}


class Cost(NamedTuple):
    """Operations and bytes moved."""

    flops: float
    bytes: float

    def __add__(self, other: tuple[float, ...]) -> Cost:  # type: ignore[override]
        """Both together."""
        return Cost(self.flops + other[0], self.bytes + other[1])

    def times(self, rounds: float) -> Cost:
        """Again and again."""
        return Cost(self.flops * rounds, self.bytes * rounds)


NOTHING = Cost(0, 0)


#: Rows so many entries apart share their places in a cache, and that many of them fill it; then
#: a line of so many entries is fetched for each.
PERIOD, ROWS, LINE = 256, 512, 8


@dataclass(frozen=True)
class Bill:
    """The cost of every step that runs, their sum, the least there is, and about how long it takes.

    `least` are the operations of the plan with every input read and every result written once;
    `rounds` tells how often a step runs.
    """

    steps: Mapping[int, Cost]
    total: Cost
    least: Cost
    nanoseconds: float
    rounds: Mapping[int, float]


def length(dim: Dimension, sizes: Mapping[str, int]) -> int:
    """The size of a dimension, as given or assumed.

    >>> n, m = Dimension.of("n"), Dimension.of("m")
    >>> length(n, {"n": 7}), length(n * m + 1, {"n": 7})
    (7, 701)
    """
    if len(dim.terms) == 1 and len(dim.names) == 1 and str(dim) in dim.names:
        return sizes.get(str(dim), ASSUMED)
    return max(1, dim.size({**dict.fromkeys(dim.names, ASSUMED), **sizes}))


def collides(dims: Dims, sizes: Mapping[str, int]) -> bool:
    """Whether reading a matrix along its columns meets few places of a cache again and again.

    >>> n = Dimension.of("n")
    >>> collides((n, n), {"n": 2048}), collides((n, n), {"n": 2000})
    (True, False)
    """
    rows, columns = (length(d, sizes) for d in dims)
    return rows >= ROWS and columns >= ROWS and columns % PERIOD == 0


def billed(steps: Steps, results: Sequence[int], sizes: Mapping[str, int]) -> Bill:
    """The bill of a program with these results."""
    live = reached(steps, results)
    rounds = _rounds(steps, live, sizes)
    found: dict[int, Cost] = {}
    time = 0.0
    for at in live:
        step = steps[at]
        if step.op in LOOKS:
            continue
        again = rounds.get(step.block, 1.0)
        cost = _cost(steps, step, sizes)
        found[at] = cost.times(again)
        time += again * _nanoseconds(step.op, cost)
    total = sum(found.values(), NOTHING)
    loads = [at for at in live if steps[at].op == "load" and not steps[at].block]
    moved = sum(ITEM * entries(steps[at].dims, sizes) for at in [*loads, *dict.fromkeys(results)])
    often = {at: rounds.get(steps[at].block, 1.0) for at in found}
    least = Cost(total.flops, min(moved, total.bytes))
    return Bill(found, total, least, time, often)


def _rounds(steps: Steps, live: Sequence[int], sizes: Mapping[str, int]) -> dict[int, float]:
    """How often the body of every loop runs, outer loops first."""
    rounds: dict[int, float] = {}
    for at in reversed(live):
        step = steps[at]
        if step.op == "loop":
            ends = [_number(steps, a, sizes) for a in step.args[:2]]
            known = None not in ends
            here = max(1.0, (ends[1] or 0) - (ends[0] or 0) + 1) if known else float(ASSUMED)
            rounds[step.data[1]] = here * rounds.get(step.block, 1.0)
        elif step.op == "scan":
            here = length(step.data.length, sizes)
            rounds[step.data.block] = here * rounds.get(step.block, 1.0)
    return rounds


def _number(steps: Steps, at: int, sizes: Mapping[str, int]) -> float | None:
    """A number that is known while planning."""
    step = steps[at]
    if step.op == "whole":
        return _number(steps, step.args[0], sizes)
    if step.op != "number":
        return None
    value = float(step.data.value)
    for base, power in step.data.powers:
        if not isinstance(base, Dimension):
            return None
        value *= float(length(base, sizes)) ** float(power)
    return value


def _nanoseconds(op: str, cost: Cost) -> float:
    rate = PRODUCT_RATE if op in PRODUCTS or op in WHOLE else PLAIN_RATE
    return CALL + cost.flops / rate + cost.bytes / BANDWIDTH


def entries(dims: Dims, sizes: Mapping[str, int]) -> int:
    """How many entries an array has."""
    return prod(length(d, sizes) for d in dims)


def _cost(steps: Steps, step: Step, sizes: Mapping[str, int]) -> Cost:
    """One step, run once."""
    made = entries(step.dims, sizes)
    read = [entries(steps[a].dims, sizes) for a in step.args]
    if step.op == "add":
        read = [_touched(steps, a, step, sizes) for a in step.args]
    moved = ITEM * (made + sum(read))
    match step.op:
        case "matmul" | "tensordot" | "einsum" | "vdot":
            half = step.op == "matmul" and is_gram(steps, *step.args)
            return Cost((1 if half else 2) * _cells(steps, step, sizes), moved)
        case "gram":
            return Cost(_cells(steps, step, sizes), moved + 2 * ITEM * read[0])
        case "factor" | "solve" | "inverse":
            return Cost(_system(step, length(steps[step.args[0]].dims[-1], sizes), made), moved)
        case "det" | "logdet":
            return Cost(read[0] ** 0.5, ITEM * read[0] ** 0.5)
        case "call":
            return Cost(_called(steps, step, sizes, made), moved)
        case "sum":
            return Cost(sum(read), moved)
        case "trace":
            diagonal = length(steps[step.args[0]].dims[0], sizes)
            return Cost(diagonal, ITEM * (made + diagonal))
        case "increment":
            changed = _places(step, sizes)
            return Cost(changed, ITEM * (2 * changed + read[1]))
        case "write" | "diag" | "concatenate":
            return Cost(0, moved)
        case "add":
            return Cost(made * (len(step.args) - 1), moved)
        case "add transposed":
            return Cost(made, moved + 2 * ITEM * made)
        case "loop":
            return Cost(made, 0)
        case "scan":
            return NOTHING
        case "stack":
            return Cost(0, ITEM * made)
    return Cost(made, moved)


def is_gram(steps: Steps, a: int, b: int) -> bool:
    """Whether two matrices are transposes of one another: half of their product is enough."""
    for one, other in ((a, b), (b, a)):
        if steps[one].op == "transpose" and steps[one].args == (other,):
            return len(steps[other].dims) == 2
    return False


def _places(step: Step, sizes: Mapping[str, int]) -> int:
    """How many entries of an array are added to: axes that are tied count once."""
    keys: Iterable[tuple[int | None, Dimension, Dimension]] = step.data[1]
    tied = {base: extent for base, _, extent in keys if base is not None}
    return entries(tuple(tied.values()), sizes)


def _touched(steps: Steps, at: int, user: Step, sizes: Mapping[str, int]) -> int:
    """The entries read for those of one term: whole lines of a cache where rows collide."""
    dims = steps[at].dims
    plain = any(steps[a].op != "transpose" and steps[a].dims == user.dims for a in user.args)
    far = plain and steps[at].op == "transpose" and len(dims) == 2
    return entries(dims, sizes) * (LINE if far and collides(dims[::-1], sizes) else 1)


#: Operations of factorising a matrix, in n³, and of inverting it then.
FACTOR = {"lu": 2 / 3, "cholesky": 1 / 3}
INVERSE = {"lu": 4 / 3, "cholesky": 2 / 3, "lower": 1 / 3, "upper": 1 / 3}


def _system(step: Step, n: int, made: int) -> float:
    """Factors of an n × n matrix, or what reads them."""
    if step.op == "factor":
        return FACTOR[step.data] * n**3
    if step.op == "inverse":
        return INVERSE[step.data] * n**3
    if step.data is None:
        return FACTOR["lu"] * n**3 + 2 * n * made
    form, _ = step.data
    return (2 if form in FACTOR else 1) * n * made


def _cells(steps: Steps, step: Step, sizes: Mapping[str, int]) -> float:
    """How many pairs of entries a product multiplies."""
    first, second = (steps[a].dims for a in step.args[:2])
    if step.op == "gram":
        return entries((*first, step.dims[0]), sizes)
    if step.op == "matmul":
        summed = first[-1:]
    elif step.op == "tensordot":
        summed = tuple(first[k] for k in step.data[0])
    elif step.op == "vdot":
        return entries(first, sizes)
    else:
        left = step.data.partition("->")[0]
        letters = dict(zip(left.replace(",", ""), (*first, *second), strict=True))
        return entries(tuple(letters.values()), sizes)
    return entries((*step.dims, *summed), sizes)


def _called(steps: Steps, step: Step, sizes: Mapping[str, int], made: int) -> float:
    function, _ = step.data
    form = function.forms[0]
    squares = [a for a in form.arrays if a.dims is not None and len(a.dims) == 2]
    if not squares:
        first = entries(steps[step.args[0]].dims, sizes) if step.args else made
        return ENTRY * max(made, first)
    n = max(length(d, sizes) for d in steps[step.args[0]].dims[-2:])
    batch = entries(steps[step.args[0]].dims[:-2], sizes)
    return CUBIC.get(function.name, OTHER_CUBIC) * batch * n**3
