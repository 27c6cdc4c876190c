"""The numerical proof of a derivation: every line against values and differences of the formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from wrt.algebra.equality import constrained_value
from wrt.answers.derivation.lines import Derivation, Line
from wrt.answers.proof.checking import PASSES, WIDTHS, is_analytic
from wrt.answers.proof.points import places
from wrt.answers.proof.shrinking import small_dimensions
from wrt.calculus import constraint
from wrt.errors import CheckFailed
from wrt.expression.meaning import evaluate, evaluate_all
from wrt.expression.nodes import Node
from wrt.expression.walk import resized

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["line_errors"]

#: At so many of the random points of a check the lines are proved too.
POINTS = 2


def line_errors(lines: Sequence[Line], made: Derivation, derivative: Node) -> list[float]:
    """For every line of a derivation the largest relative error at random points.

    `derivative` is the answer, which tells where the formula has one. Raises CheckFailed where a
    line is wrong.
    """
    small = small_dimensions(made.f, [made.x])
    f, x, derivative = (resized(n, small) for n in (made.f, made.x, derivative))
    name = made.x.name
    told = {name: (resized(of, small), changes) for name, (of, changes) in made.meaning.items()}
    sides = [(resized(line.node, small), resized(line.of, small)) for line in lines]
    nodes = list(dict.fromkeys([*(of for of, _ in told.values()), *(of for _, of in sides)]))
    worst = [0.0] * len(lines)
    analytic = is_analytic(f)
    for sizes, values in islice(places(f, [x], derivative), POINTS):
        values |= {v.name: evaluate(bar, values, sizes) for v, bar in made.held.items()}
        direction = _direction(x, sizes)
        for width in WIDTHS:
            found = _at(nodes, values, name, direction, sizes, width, analytic)
            known = {name: found[of][changes] for name, (of, changes) in told.items()}
            place = {**values, **known, made.change.name: direction}
            got = evaluate_all([node for node, _ in sides], place, sizes)
            want = [found[of][line.is_change] for line, (_, of) in zip(lines, sides, strict=True)]
            now = [_error(a, b, found[of]) for a, b, (_, of) in zip(got, want, sides, strict=True)]
            if max(now, default=0.0) <= PASSES[analytic][0]:
                break
        worst = list(map(max, worst, now))
    _refuse_wrong(lines, worst, PASSES[analytic][0])
    return worst


def _refuse_wrong(lines: Sequence[Line], errors: Sequence[float], limit: float) -> None:
    for line, error in zip(lines, errors, strict=True):
        if not error <= limit:
            raise CheckFailed(
                f"{line.text}: this line of the derivation is wrong "
                f"(relative error {error:.1e}). Please report this formula."
            )


def _direction(x: Node, sizes: Mapping[str, int]) -> Array:
    """A random change of x, of the kind that x is declared to be."""
    import numpy as np

    rng = np.random.default_rng(5)
    value = np.asarray(rng.normal(size=[d.size(sizes) for d in x.dims]))
    rules = constraint(x)
    return constrained_value(frozenset(rules), value) if rules else value


def _at(
    nodes: Sequence[Node],
    values: Mapping[str, Array],
    x: str,
    direction: Array,
    sizes: Mapping[str, int],
    width: float,
    analytic: bool,
) -> dict[Node, tuple[Array, Array]]:
    """Every formula's value, and its change when x moves along a direction."""
    import numpy as np

    def along(step: complex) -> list[Array]:
        return evaluate_all(nodes, {**values, x: values[x] + step * direction}, sizes)

    here = evaluate_all(nodes, values, sizes)
    if analytic:
        changes = [np.imag(v) / 1e-30 for v in along(1e-30j)]
    else:
        h = width * 1e-3 / max(1.0, float(np.abs(direction).max(initial=0)))
        points = zip(along(h), along(-h), along(2 * h), along(-2 * h), strict=True)
        changes = [(8 * (a - b) - (c - d)) / (12 * h) for a, b, c, d in points]
    return dict(zip(nodes, zip(here, changes, strict=True), strict=True))


def _error(got: Array, want: Array, scales: tuple[Array, Array]) -> float:
    import numpy as np

    value, change = (float(np.abs(s).max(initial=0)) for s in scales)
    size = max(float(np.abs(want).max(initial=0)), change, 1e-3 * min(1.0, value), 1e-300)
    error = float(np.abs(got - want).max(initial=0)) / size
    return error if np.isfinite(error) else float("inf")
