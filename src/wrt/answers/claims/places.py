"""Places at which a derivative and what somebody says it is are compared: sizes, values, truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from wrt.algebra.equality import seeds
from wrt.answers.proof.points import points, small_sizes
from wrt.errors import ValueMistake
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dataclass import dataclass
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Node

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["TOLERANCE", "Change", "Place", "agree", "places", "value_at"]

#: Relative agreement of two values that are the same, and what rounding leaves of zero.
TOLERANCE, NOTHING = 1e-8, 1e-13

Change = Callable[[dict[str, Any], Mapping[str, int]], dict[str, Any]]


@dataclass(frozen=True)
class Place:
    """Sizes, values of the variables, and the derivative there."""

    sizes: Mapping[str, int]
    values: Mapping[str, Any]
    truth: Any


def places(
    f: Node,
    truth: Node,
    xs: Sequence[Node],
    *,
    equal: Sequence[frozenset[str]] = (),
    change: Change | None = None,
    within: Sequence[Node] = (),
    fixed: Mapping[str, int] | None = None,
) -> Iterator[Place]:
    """Places where the formula is defined, at more than one choice of sizes.

    `equal` are groups of sizes that are the same, `change` is done to values drawn, and `within`
    are formulas that have to be defined there too, `fixed` sizes that are known. Where
    signs decide, there are more places.
    """
    many = len(seeds((f, truth, *within))) > 2
    derivative = truth if not within else _beside(truth, within)
    wanted = 4 if many else 2
    for sizes in islice(_sizes(f, xs, truth, equal, fixed or {}), 8):

        def changed(values: dict[str, Any], sizes: Mapping[str, int] = sizes) -> dict[str, Any]:
            return change(values, sizes) if change else values

        found = False
        for values in points(f, derivative, xs, sizes, changed):
            found = True
            yield Place(sizes, values, evaluate(truth, values, sizes))
        wanted -= found
        if not wanted:
            return


def _beside(truth: Node, others: Sequence[Node]) -> Node:
    """A scalar that holds several formulas, for what they want of their variables."""
    return build.add(*(_entries(node) for node in (truth, *others)))


def _entries(node: Node) -> Node:
    axes = tuple(range(node.ndim))
    return build.product(ONE, ((node, 1, axes),), (), node.dims)


def _sizes(
    f: Node,
    xs: Sequence[Node],
    truth: Node,
    equal: Sequence[frozenset[str]],
    fixed: Mapping[str, int],
) -> Iterator[dict[str, int]]:
    seen: list[dict[str, int]] = []
    for first in islice(small_sizes(f, xs, truth), 4):
        for more in (0, 1):
            made = {name: size + more for name, size in first.items()} | dict(fixed)
            for group in equal:
                held = [n for n in made if n in group]
                made |= dict.fromkeys(held, made[held[0]])
            if made not in seen:
                seen.append(made)
                yield made


def value_at(node: Node, place: Place) -> Array | None:
    """The value of a formula at a place; None where it has none."""
    import numpy as np

    try:
        value = evaluate(node, place.values, place.sizes)
    except ValueMistake:
        return None
    return value if np.all(np.isfinite(value)) else None


def agree(left: Array, right: Array, tolerance: float = TOLERANCE) -> bool:
    """Whether two arrays are the same but for rounding."""
    import numpy as np

    if left.shape != right.shape:
        return False
    scale = max(np.abs(left).max(initial=0), np.abs(right).max(initial=0), 1e-300)
    return bool(np.all(np.abs(left - right) <= tolerance * scale + NOTHING))
