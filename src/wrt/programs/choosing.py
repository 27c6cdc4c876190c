"""Which library is the faster one at given sizes: NumPy or JAX, by what a plan does.

Both multiply matrices at one rate. JAX joins operations entry by entry into one pass over memory,
computes exponentials several at a time, and runs a loop without Python. NumPy starts at once,
writes few entries into zeros that are never touched, multiplies a matrix by its transpose at half
the cost, and solves faster. The rates are those of an ordinary processor; only their proportions
matter. A result of JAX's is copied once, so that it can be written into.
"""

from __future__ import annotations

from collections.abc import Mapping

from wrt.expression.dataclass import dataclass
from wrt.programs.costs import (
    CALL,
    ITEM,
    PRODUCTS,
    WHOLE,
    Bill,
    Cost,
    billed,
    entries,
    is_gram,
)
from wrt.programs.plan import Plan

__all__ = ["faster"]

#: Nanoseconds that a call of a jitted program takes, its arrays coming in and out.
JITTED = 200_000.0
#: What of NumPy's time must be saved, for rates are rough.
SAVED = 0.2
#: Solving and factorising take so many times as long in JAX.
SOLVED = 2.0


@dataclass(frozen=True)
class Rates:
    """Operations and bytes a nanosecond: of a product, entry by entry, of a function of entries;
    read, written to new memory, and written to more of it than a cache holds.
    """

    product: float
    plain: float
    function: float
    read: float
    written: float
    far: float


NUMPY = Rates(product=40, plain=2, function=2, read=32, written=16, far=6)
JAX = Rates(product=40, plain=8, function=8, read=32, written=8, far=3)
#: Arrays of more bytes than this are new memory every time.
FAR = 32e6


def faster(plan: Plan, sizes: Mapping[str, int]) -> str:
    """The library for these sizes: "numpy" or "jax"."""
    bill = billed(plan.steps, plan.results, sizes)
    return "jax" if _jax(plan, bill, sizes) < (1 - SAVED) * _numpy(plan, bill, sizes) else "numpy"


def _written(rates: Rates, size: float) -> float:
    return size / (rates.far if size > FAR else rates.written)


def _work(plan: Plan, at: int, cost: Cost, rates: Rates) -> float:
    """The time of the operations of a step."""
    op = plan.steps[at].op
    if op in PRODUCTS or _is_whole(plan, at):
        return cost.flops / rates.product
    return cost.flops / (rates.function if op == "call" else rates.plain)


def _is_whole(plan: Plan, at: int) -> bool:
    """Whether a step solves, factorises or is another function of whole matrices."""
    step = plan.steps[at]
    if step.op == "call":
        return any(len(a.dims or ()) == 2 for a in step.data[0].forms[0].arrays)
    return step.op in WHOLE


def _numpy(plan: Plan, bill: Bill, sizes: Mapping[str, int]) -> float:
    """One step after another, each with a result of its own."""
    total = 0.0
    for at, cost in bill.steps.items():
        step, often = plan.steps[at], bill.rounds[at]
        made: float = ITEM * entries(step.dims, sizes)
        read = max(cost.bytes / often - made, 0.0)
        if step.op in ("write", "diag", "eye"):
            made = read  # zeros are not touched
        total += _work(plan, at, cost, NUMPY)
        total += often * (CALL + read / NUMPY.read + _written(NUMPY, made))
    return total


def _jax(plan: Plan, bill: Bill, sizes: Mapping[str, int]) -> float:
    """Products one after another, all else joined; results written, and copied."""
    total = JITTED
    for at, cost in bill.steps.items():
        step, work = plan.steps[at], _work(plan, at, cost, JAX)
        if step.op in PRODUCTS:
            half = step.op == "gram" or is_gram(plan.steps, *step.args[:2])
            work = work * (1 + half) + cost.bytes / JAX.read
        total += work * (SOLVED if _is_whole(plan, at) else 1)
    for at in dict.fromkeys(plan.results):
        made = ITEM * entries(plan.steps[at].dims, sizes)
        total += _written(JAX, made) + _written(NUMPY, made)
    return total
