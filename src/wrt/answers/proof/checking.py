"""The numerical proof that every answer carries.

A derivative is contracted with directions and compared, at random points where the formula is
defined, with a difference of the formula's slow meaning: a complex step where every word is
analytic, else 5-point differences; for higher orders the further variables by 5-point differences.
A complex variable moves along the real and the imaginary axis: ∂/∂x is (∂/∂re - i ∂/∂im)/2,
∂/∂conj(x) is (∂/∂re + i ∂/∂im)/2. Formula and derivative share no code here but the meaning of a
node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product as cartesian
from typing import TYPE_CHECKING, Any

from wrt.algebra.conjugation import bar
from wrt.algebra.equality import constrained_value
from wrt.answers.proof.points import LARGE, places
from wrt.calculus import constraint, variable_of
from wrt.errors import CheckFailed, TooLarge
from wrt.expression.dataclass import dataclass
from wrt.expression.meaning import Evaluation, evaluate, evaluate_all
from wrt.expression.nodes import Apply, Node
from wrt.expression.walk import holds_complex, is_larger, postorder, ranged_terms

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["PASSES", "WIDTHS", "Check", "check", "is_analytic"]

#: A variable with up to this many entries is checked entry by entry, a larger one along this many
#: directions.
MOST_ENTRIES, DIRECTIONS = 40, 6
#: Widths of 5-point steps, beside the usual one, that are tried where it is too coarse or too fine.
WIDTHS = (1.0, 0.3, 3.0, 0.1)
#: The most terms of ranges, one inside another, that a check adds.
MOST_RANGED = 2000
#: Relative errors that pass, by order of the derivative: complex steps, then 5-point differences.
PASSES = {True: (1e-9, 1e-6, 1e-4, 1e-2), False: (1e-7, 1e-5, 1e-3, 3e-2)}
#: Two forms of one derivative differ by rounding only, up to this much.
FORMS = 1e-5


@dataclass(frozen=True)
class Check:
    """What a check found: at how many points, the largest relative error, by which differences."""

    points: int
    error: float
    method: str
    passed: bool

    def __str__(self) -> str:
        plural = "" if self.points == 1 else "s"
        return f"{self.points} random point{plural}, largest error {self.error:.0e}"


def check(
    f: Node,
    xs: Sequence[Node],
    derivative: Node,
    convention: str = "projected",
    forms: Sequence[Node] = (),
) -> Check:
    """Compare a derivative (axes of f, then of every x) with differences of f, and the `forms` in
    which it is told with one another.

    An x is a variable or conj of one. Raises CheckFailed where no point is found at which the
    formula is defined, or where forms differ; TooLarge for ranges of very many terms.
    """
    analytic = is_analytic(f)
    count = ranged_terms(f, derivative)
    if count > MOST_RANGED:
        raise TooLarge(f"ranges of {count:,} terms in all are too long for the check")
    limit = PASSES[analytic][min(len(xs), 4) - 1]
    worst, count = 0.0, 0
    value = Evaluation((f,))
    for sizes, values in places(f, xs, derivative):
        here = _Place(f, value, xs, convention, analytic, sizes, values)
        worst, count = max(worst, here.largest_error(derivative, limit)), count + 1
        _refuse_other_forms(forms, sizes, values)
    method = "complex steps" if analytic else "5-point differences"
    return Check(count, worst, method, worst <= limit)


def is_analytic(f: Node) -> bool:
    """Whether a formula may be differentiated by complex steps."""
    calls = (n for n in postorder(f) if isinstance(n, Apply))
    return all(n.function.analytic is not False for n in calls) and not holds_complex(f)


def _refuse_other_forms(
    forms: Sequence[Node], sizes: Mapping[str, int], values: Mapping[str, Array]
) -> None:
    """CheckFailed where a form of an answer has another value than the first."""
    import numpy as np

    if len(set(forms)) < 2:
        return
    first, *others = evaluate_all(forms, values, sizes)
    for other in others:
        if np.all(np.isfinite(first)) and np.all(np.isfinite(other)):
            scale = max(float(np.abs(first).max(initial=0)), 1e-3)
            error = float(np.abs(first - other).max(initial=0)) / scale
            if error > FORMS:
                raise CheckFailed(
                    "the derivative and the form in which it is told disagree "
                    f"(relative error {error:.1e}); no answer is given. "
                    "Please report this formula."
                )


# Differences


@dataclass(frozen=True)
class _Place:
    """A formula at one point, and what it is differentiated by."""

    f: Node
    value: Evaluation
    xs: Sequence[Node]
    convention: str
    is_analytic: bool
    sizes: Mapping[str, int]
    values: Mapping[str, Array]

    def largest_error(self, derivative: Node, limit: float) -> float:
        """The largest relative error of a derivative along directions; past the first width that
        is within the limit no other is tried.
        """
        import numpy as np

        exact = evaluate(derivative, self.values, self.sizes)
        value = _largest(self.value(self.values, self.sizes)[0])
        slope = _largest(exact)
        # of a slope that is zero the differences leave what rounding leaves of the value
        least = 1e-3 * (value if slope == 0 else min(1.0, value))
        scale = max(slope, least, self.rounding(max(slope, value)))
        worst = 0.0
        for directions in self.directions():
            got = exact
            for direction in reversed(directions):
                got = np.tensordot(got, direction, axes=direction.ndim)
            moved = [
                _moved(x, d, self.convention) for x, d in zip(self.xs, directions, strict=True)
            ]
            worst = max(worst, self.error(got, moved, scale, limit))
        return worst

    def error(self, got: Array, moved: Sequence[Array], scale: float, limit: float) -> float:
        """How far a slope along directions is from the differences, by the best width."""
        import numpy as np

        best, size = np.inf, scale
        for width in WIDTHS:
            want = self.difference(self.xs, moved, width)
            size = max(scale, _largest(want), 1e-300)  # all is zero
            error = _largest(got - want) / size
            best = min(best, error if np.isfinite(error) else np.inf)
            if best <= limit:
                return best
        return best * size / max(size, self.partners(moved))

    def partners(self, directions: Sequence[Array]) -> float:
        """How large the derivatives are that hold the conjugates fixed instead, or do not: where
        one of them is zero, what rounding leaves of its differences is as they are.
        """
        import numpy as np

        pairs = [dict.fromkeys((x, variable_of(x), bar(variable_of(x)))) for x in self.xs]
        others = [by for by in cartesian(*pairs) if by != tuple(self.xs)]
        slopes = [_largest(self.difference(by, directions, 1.0)) for by in others]
        return max((slope for slope in slopes if np.isfinite(slope)), default=0.0)

    def rounding(self, size: float) -> float:
        """The scale of differences of a formula that is zero wherever its variables can be.

        Its parts cancel (the sum of a skew matrix): what is left of them is no number to compare
        with.
        """
        if size > 1e-6:
            return 1e-300
        known = set(self.values)
        parts = [
            n for n in postorder(self.f) if n is not self.f and {v.name for v in n.names} <= known
        ]
        inside = max(map(_largest, evaluate_all(parts, self.values, self.sizes)), default=0.0)
        return 1e-3 * min(1.0, inside) if size <= 1e-9 * inside else 1e-300

    def directions(self) -> Iterator[tuple[Array, ...]]:
        """Every entry of one small variable; else random directions, one for a large formula."""
        import numpy as np

        many = 1 if is_larger(LARGE, self.f) else DIRECTIONS
        shapes = [[d.size(self.sizes) for d in x.dims] for x in self.xs]
        if many > 1 and len(self.xs) == 1 and int(np.prod(shapes[0], dtype=int)) <= MOST_ENTRIES:
            for index in cartesian(*map(range, shapes[0])):
                unit = np.zeros(shapes[0])
                unit[index] = 1.0
                yield (unit,)
            return
        rng = np.random.default_rng(7)
        for _ in range(many):
            yield tuple(rng.normal(size=shape) for shape in shapes)

    def difference(self, xs: Sequence[Node], directions: Sequence[Array], width: float) -> Array:
        """∂f along one direction for each x: the first by complex step or 5 points, the others
        by 5 points.
        """

        def at(point: Mapping[str, Array]) -> Array:
            return self.value(point, self.sizes)[0]

        current: Function = at
        for k, (x, direction) in enumerate(zip(xs, directions, strict=True)):
            by_complex_step = self.is_analytic and k == 0
            step = _complex_step if by_complex_step else _five_points(len(xs), width)
            variable = variable_of(x)
            if "complex" in variable.properties:
                step = _both_ways(step, -1j if x is variable else 1j)
            current = step(current, variable.name, direction)
        return current(self.values)


def _largest(value: Array) -> float:
    """The largest absolute value of an entry; of none, 0."""
    import numpy as np

    return float(np.abs(value).max(initial=0))


def _moved(x: Node, direction: Array, convention: str) -> Array:
    """How x moves along a direction: freely, projected on its constraint, or tied."""
    import numpy as np

    rules = constraint(x)
    if not rules:
        return direction
    if convention == "projected":
        return constrained_value(frozenset(rules), direction)
    basis = np.array(_parameters(rules, direction.shape))
    return np.asarray(
        np.tensordot(basis, direction, axes=2) @ basis.reshape(len(basis), -1)
    ).reshape(direction.shape)


def _parameters(rules: tuple[str, ...], shape: tuple[int, ...]) -> list[Array]:
    """The matrices along which the free parameters of a constrained matrix move it."""
    import numpy as np

    found: dict[bytes, Array] = {}
    for i, j in np.ndindex(shape):
        unit = np.zeros(shape)
        unit[i, j] = 1.0
        moved = constrained_value(frozenset(rules), unit)
        moved = moved / max(np.abs(moved).max(), 1e-300)
        sign = 1 if moved.ravel()[np.abs(moved).argmax()] > 0 else -1
        key = (sign * moved + 0.0).tobytes()  # no -0.0
        if np.abs(moved).max() > 0:
            found.setdefault(key, moved)
    return list(found.values())


Function = Callable[[Mapping[str, "Array"]], "Array"]
Step = Callable[[Function, str, "Array"], Function]


def _both_ways(step: Step, turn: complex) -> Step:
    """Half the slope along a direction, and half that along i times it, turned."""

    def wirtinger(f: Function, name: str, direction: Array) -> Function:
        along, across = step(f, name, direction), step(f, name, 1j * direction)
        return lambda values: (along(values) + turn * across(values)) / 2

    return wirtinger


def _complex_step(f: Function, name: str, direction: Array) -> Function:
    import numpy as np

    def derivative(values: Mapping[str, Array]) -> Array:
        h = 1e-30
        return np.imag(f({**values, name: values[name] + 1j * h * direction})) / h

    return derivative


def _five_points(order: int, width: float) -> Step:
    import numpy as np

    def step(f: Function, name: str, direction: Array) -> Function:
        def derivative(values: Mapping[str, Array]) -> Array:
            h = width * (1e-3, 1e-3, 3e-3, 1e-2)[min(order, 4) - 1]
            h /= max(1.0, float(np.abs(direction).max(initial=0)))

            def at(k: int) -> Array:
                return f({**values, name: values[name] + k * h * direction})

            slope: Array = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)
            return slope

        return derivative

    return step
