"""Plans for a library that joins passes over arrays into one: where a number is multiplied in.

NumPy has a number multiplied where the fewest entries are. A library that computes entry by entry
in one pass multiplies it there for nothing, and is spared a pass of its own over a product.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from wrt.expression.dataclass import replace
from wrt.programs.plan import Plan
from wrt.programs.steps import Step, Steps

__all__ = ["fused"]

#: What is computed entry by entry, in the pass of what follows it.
ENTRYWISE = frozenset({"multiply", "divide", "add", "power", "negate"})


def fused(plan: Plan) -> Plan:
    """The plan with numbers before products that read what is computed entry by entry.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> from wrt.programs.plan import plan as planned
    >>> n, k = map(Dimension.of, "nk")
    >>> M, V = Variable("M", (n, n)), Variable("V", (n, k))
    >>> made = planned(2 * ((M * M) @ V), {"n": 100, "k": 10})
    >>> [step.op for step in made.all if step.op not in ("load", "number")]
    ['power', 'matmul', 'multiply']
    >>> [step.op for step in fused(made).all if step.op not in ("load", "number")]
    ['power', 'multiply', 'matmul']
    """
    steps = list(plan.all)
    uses = Counter(a for step in steps for a in step.args)
    uses.update(plan.results)
    kept = plan.steps.symmetric | set(plan.steps.inverses)
    found = False
    for at, step in enumerate(steps):
        if step.op == "multiply" and not kept.intersection((at, *step.args)):
            found |= _moved(steps, uses, at)
    if not found:
        return plan
    made = Steps()
    made.all, made.blocks = steps, plan.steps.blocks
    made.symmetric, made.inverses = plan.steps.symmetric, plan.steps.inverses
    return replace(plan, steps=made)


def _moved(steps: list[Step], uses: Counter[int], at: int) -> bool:
    """Whether a number times a product became the product of a factor times the number.

    The three steps keep their places: the number, the product, its multiple in that order or with
    the number between the others become the number, the factor's multiple, the product.
    """
    number, product = sorted(steps[at].args, key=lambda a: steps[a].op != "number")
    if steps[number].op != "number" or steps[product].op != "matmul" or uses[product] > 1:
        return False
    factors = steps[product].args
    for k, factor in enumerate(factors):
        if not _is_pass(steps, uses, factor, steps[at]):
            continue
        first, second = number, product
        if number > product:
            if uses[number] > 1:
                return False
            steps[product], first, second = steps[number], product, number
        one = steps[factor]
        steps[second] = Step("multiply", (first, factor), None, one.dims, one.kind, one.block)
        args = _with(factors, k, second)
        steps[at] = replace(steps[at], op="matmul", args=args)
        uses[product] = uses[second] = 1
        return True
    return False


def _is_pass(steps: Sequence[Step], uses: Counter[int], factor: int, user: Step) -> bool:
    """Whether a factor is computed entry by entry, for this alone, as often as its user."""
    one = steps[factor]
    if one.op not in ENTRYWISE or uses[factor] > 1 or one.kind != "real":
        return False
    return len(one.dims) > 1 and one.block == user.block == 0


def _with(factors: Sequence[int], k: int, place: int) -> tuple[int, ...]:
    return tuple(place if j == k else factor for j, factor in enumerate(factors))
