"""Plans for a library that joins passes over arrays into one: where a number is multiplied in.

NumPy has a number multiplied where the fewest entries are. A library that computes entry by entry
in one pass multiplies it there for nothing, and is spared a pass of its own: over the result of a
product where a factor is computed so, over a factor where the result is read so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from wrt.expression.dataclass import replace
from wrt.programs.plan import Plan
from wrt.programs.steps import Step, Steps

__all__ = ["fused"]

#: What is computed entry by entry, in the pass of what follows it.
ENTRYWISE = frozenset({"multiply", "divide", "add", "power", "negate"})
#: Multiples by a number.
MULTIPLES = frozenset({"multiply", "negate"})


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
        if kept.intersection((at, *step.args)):
            continue
        if step.op in MULTIPLES:
            found |= _before(steps, uses, at)
        elif step.op == "matmul":
            found |= _behind(steps, uses, at, plan.results)
    if not found:
        return plan
    made = Steps()
    made.all, made.blocks = steps, plan.steps.blocks
    made.symmetric, made.inverses = plan.steps.symmetric, plan.steps.inverses
    return replace(plan, steps=made)


def _before(steps: list[Step], uses: Counter[int], at: int) -> bool:
    """Whether a number times a product became the product of a factor times the number.

    The steps keep their places: the number, the product, its multiple in that order or with the
    number between the others become the number, the factor's multiple, the product.
    """
    numbers, product = _by_number(steps, steps[at])
    if product is None or steps[product].op != "matmul" or uses[product] > 1:
        return False
    factors = steps[product].args
    for k, factor in enumerate(factors):
        if not _is_pass(steps, uses, factor, steps[at]):
            continue
        second = product
        if numbers and numbers[0] > product:
            if uses[numbers[0]] > 1:
                return False
            steps[product], second = steps[numbers[0]], numbers[0]
            numbers = [product]
        steps[second] = _multiple(steps[factor], steps[at], (*numbers, factor))
        args = _with(factors, k, second)
        steps[at] = replace(steps[at], op="matmul", args=args)
        uses[product] = uses[second] = 1
        return True
    return False


def _behind(steps: list[Step], uses: Counter[int], at: int, results: Iterable[int]) -> bool:
    """Whether a product of a factor times a number became the number times the product.

    The factor's multiple and the product become the product and its multiple.
    """
    product = steps[at]
    for k, a in enumerate(product.args):
        one = steps[a]
        numbers, factor = _by_number(steps, one)
        if factor is None or uses[a] > 1 or one.block != product.block or one.kind != "real":
            continue
        args = _with(product.args, k, factor)
        if max(args) > a or _is_pass(steps, uses, factor, one):
            continue
        if at in results or not all(_joins(s, product) for s in steps if at in s.args):
            return False
        steps[a] = replace(product, args=args)
        steps[at] = _multiple(product, one, (*numbers, a))
        return True
    return False


def _by_number(steps: Sequence[Step], one: Step) -> tuple[list[int], int | None]:
    """The number by which a step is a multiple of another, no number for its negative, and that."""
    if one.op not in MULTIPLES:
        return [], None
    *numbers, factor = sorted(one.args, key=lambda a: steps[a].op != "number")
    return numbers, factor if all(steps[a].op == "number" for a in numbers) else None


def _multiple(of: Step, like: Step, args: tuple[int, ...]) -> Step:
    """A multiple of one step, by the number that another is a multiple by."""
    return Step(like.op, args, None, of.dims, of.kind, of.block)


def _joins(user: Step, one: Step) -> bool:
    """Whether a step computes entry by entry what it reads of another, and as often."""
    return _is_entrywise(user) and user.block == one.block


def _is_entrywise(step: Step) -> bool:
    return step.op in ENTRYWISE or (step.op == "call" and not step.data[1])


def _is_pass(steps: Sequence[Step], uses: Counter[int], factor: int, user: Step) -> bool:
    """Whether a factor is computed entry by entry, for this alone, as often as its user."""
    one = steps[factor]
    alone = uses[factor] == 1 and one.kind == "real" and bool(one.dims)
    return alone and _is_entrywise(one) and one.block == user.block


def _with(factors: Sequence[int], k: int, place: int) -> tuple[int, ...]:
    return tuple(place if j == k else factor for j, factor in enumerate(factors))
