"""A sum becomes steps: terms with signs, and few entries added where they belong.

A diagonal, or what else stands in few places, is not laid out in zeros to be added: the rest of the
sum is a new array, and the few entries are added inside it. Blocks that fill an axis one behind the
other are put together and never added. A large transpose whose rows collide in the cache is a step
of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Dims
from wrt.programs.costs import collides
from wrt.programs.places import NONE
from wrt.programs.steps import Steps

__all__ = ["lower_sum"]

#: A step with its sign.
Term = tuple[int, int]


class Few(NamedTuple):
    """Entries for some places of an array: their step, the keys of the places, its axes."""

    sign: int
    core: int
    places: tuple[object, tuple[int, ...]]


def lower_sum(steps: Steps, terms: Sequence[Term], dims: Dims, sizes: Mapping[str, int]) -> int:
    """The sum of aligned steps."""
    turned = _colliding(steps, terms, dims, sizes)
    if turned:
        rest = [term for term in terms if term not in turned]
        alone = len(rest) == 1 and rest[0][0] > 0
        total = steps.real(rest[0][1]) if alone else lower_sum(steps, rest, dims, sizes)
        for sign, at in turned:
            (source,) = steps[at].args
            total = steps.add("add transposed", (total, steps.real(source)), sign, dims)
        return total
    terms = sorted(terms, key=lambda term: _reading_order(steps, *term))
    row = _in_a_row(steps, terms, dims)
    if row is not None:
        return row
    split = _split(steps, terms, dims)
    if split is None:
        return steps.plus(terms, dims)
    rest, few = split
    total = _fresh(steps, rest, dims)
    for sign, core, places in few:
        total = steps.add("increment", (total, core), (sign, *places), dims)
    return total


def _colliding(
    steps: Steps, terms: Sequence[Term], dims: Dims, sizes: Mapping[str, int]
) -> list[Term]:
    """The transposes in a sum with a matrix as it stands, where these are dear to read."""
    if len(dims) != 2:
        return []
    turned = [t for t in terms if steps[t[1]].op == "transpose" and steps[t[1]].dims == dims]
    plain = any(steps[at].dims == dims for sign, at in terms if (sign, at) not in turned)
    return turned if plain and collides(dims[::-1], sizes) else []


def _reading_order(steps: Steps, sign: int, at: int) -> tuple[bool, bool, bool]:
    """Positive terms first, numbers after arrays, what a step of a loop is given after its work."""
    return (sign < 0, steps[at].op == "number", steps[at].op == "entry")


def _in_a_row(steps: Steps, terms: Sequence[Term], dims: Dims) -> int | None:
    """Blocks that fill an axis one behind the other, as one array; None where terms overlap."""
    if len(terms) < 2 or not all(steps[at].op == "write" for _, at in terms):
        return None
    blocks = {}
    axes = set()
    for sign, at in terms:
        keys, order = steps[at].data
        cut = [k for k, (_, _, length) in enumerate(keys) if length is not dims[k]]
        if len(cut) != 1 or len(order) < len(keys) or keys[cut[0]][2] is None:
            return None
        _, start, length = keys[cut[0]]
        axes.add(cut[0])
        blocks[start] = (sign, steps[at].args[0], length)
    axis, start = axes.pop(), NONE
    found: list[int] = []
    while not axes and start in blocks:
        sign, core, length = blocks.pop(start)
        shape = (*dims[:axis], length, *dims[axis + 1 :])
        if steps[core].dims != shape:
            core = steps.add("broadcast", (core,), None, shape)
        found.append(core if sign > 0 else steps.negate(core))
        start = start + length
    if axes or blocks or start != dims[axis] or len(found) < len(terms):
        return None
    return steps.add("concatenate", found, axis, dims)


def _split(steps: Steps, terms: Sequence[Term], dims: Dims) -> tuple[list[Term], list[Few]] | None:
    """The terms that make a whole new array, and those that stand in few of its places."""
    if len(dims) < 2:
        return None
    few: list[Few] = []
    rest: list[Term] = []
    for sign, at in terms:
        found = _few(steps, sign, at)
        if found is None:
            rest.append((sign, at))
        else:
            few.append(found)
    if not rest:
        first = next((k for k, (sign, _) in enumerate(terms) if sign > 0), len(terms))
        rest, few = list(terms[first : first + 1]), few[:first] + few[first + 1 :]
    elif not any(_makes_all(steps, at, dims) for _, at in rest):
        return None
    if not (few and rest):
        return None
    kinds = {steps[at].kind for _, at in rest} | {steps[f.core].kind for f in few}
    return None if "complex" in kinds else (rest, few)


def _few(steps: Steps, sign: int, at: int) -> Few | None:
    """What a step writes into zeros."""
    step = steps[at]
    if step.op == "write":
        return Few(sign, step.args[0], step.data)
    if step.op == "diag":
        return Few(sign, step.args[0], _diagonal(step.dims))
    if step.op == "eye":
        return Few(sign, steps.number(ONE), _diagonal(step.dims))
    if step.op in ("multiply", "divide"):
        a, b = step.args
        for eye, scale in ((a, b), (b, a)):
            if steps[eye].op == "eye" and not steps[scale].dims:
                if step.op == "multiply":
                    return Few(sign, scale, _diagonal(step.dims))
                if eye == a:
                    return Few(sign, steps.over(steps.number(ONE), scale, ()), _diagonal(step.dims))
    return None


def _diagonal(dims: Dims) -> tuple[object, tuple[int, ...]]:
    key = (0, NONE, dims[0])
    return (key, key), (0,)


#: Operations whose result is an array that nothing else holds.
NEW = frozenset({"outer", "matmul", "multiply", "divide", "power", "einsum", "tensordot", "gram"})


def _makes_all(steps: Steps, at: int, dims: Dims) -> bool:
    """Whether a step computes an array of all the axes."""
    step = steps[at]
    return step.op in NEW and step.dims == dims


def _fresh(steps: Steps, terms: list[Term], dims: Dims) -> int:
    """The sum of the rest, its signs put where the fewest entries are."""
    if all(sign < 0 for sign, _ in terms):
        at = next(k for k, (_, at) in enumerate(terms) if _makes_all(steps, at, dims))
        first = _negated(steps, terms.pop(at)[1])
        terms.insert(0, (1, first))
    return terms[0][1] if len(terms) == 1 else steps.plus(terms, dims)


def _negated(steps: Steps, at: int) -> int:
    """Minus a product, with the sign on the factor of fewer entries."""
    step = steps[at]
    if step.op in ("outer", "multiply"):
        a, b = step.args
        if len(steps[a].dims) < len(steps[b].dims):
            return steps.add(step.op, (steps.negate(a), b), None, step.dims)
        return steps.add(step.op, (a, steps.negate(b)), None, step.dims)
    return steps.negate(at)
