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
from dataclasses import dataclass
from itertools import islice
from itertools import product as cartesian
from typing import TYPE_CHECKING, Any
from zlib import crc32

from wrt.algebra import conditions, expand
from wrt.algebra.conjugation import bar
from wrt.algebra.equality import RANKED, constrained_value, declared_value, even_names
from wrt.answers.proof.spectra import spectrum_holds
from wrt.calculus import constraint, variable_of
from wrt.errors import CheckFailed, TooLarge
from wrt.expression.meaning import evaluate, evaluate_all
from wrt.expression.nodes import Apply, Node, Variable
from wrt.expression.room import with_room
from wrt.expression.walk import (
    dimension_names,
    holds_complex,
    postorder,
    ranged_terms,
    users,
    variables,
    whole_variables,
)

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Check", "check", "holds", "is_analytic", "place", "places", "points", "small_sizes"]

#: How many random points, and how many tries to find each.
POINTS, TRIES = 3, 60
#: A variable with up to this many entries is checked entry by entry, a larger one along this many
#: directions.
MOST_ENTRIES, DIRECTIONS = 40, 6
#: A formula of more nodes is checked at one point and along one direction.
LARGE = 600
#: Widths of 5-point steps, beside the usual one, that are tried where it is too coarse or too fine.
WIDTHS = (1.0, 0.3, 3.0, 0.1)
#: The most terms of ranges, one inside another, that a check adds.
MOST_RANGED = 2000
#: The largest tensor that is laid out to be checked.
LARGEST = 300_000
#: Relative errors that pass, by order of the derivative: complex steps, then 5-point differences.
PASSES = {True: (1e-9, 1e-6, 1e-4, 1e-2), False: (1e-7, 1e-5, 1e-3, 3e-2)}


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


def check(f: Node, xs: Sequence[Node], derivative: Node, convention: str = "projected") -> Check:
    """Compare a derivative (axes of f, then of every x) with differences of f.

    An x is a variable or conj of one. Raises CheckFailed where no point is found at which the
    formula is defined.
    """
    analytic = is_analytic(f)
    count = ranged_terms(f, derivative)
    if count > MOST_RANGED:
        raise TooLarge(f"ranges of {count:,} terms in all are too long for the check")
    limit = PASSES[analytic][min(len(xs), 4) - 1]
    worst, count = 0.0, 0
    for sizes, values in places(f, xs, derivative):
        exact = evaluate(derivative, values, sizes)
        error = _largest_error(f, xs, exact, values, sizes, convention, analytic, limit)
        worst, count = max(worst, error), count + 1
    method = "complex steps" if analytic else "5-point differences"
    return Check(count, worst, method, worst <= limit)


def is_analytic(f: Node) -> bool:
    """Whether a formula may be differentiated by complex steps."""
    calls = (n for n in postorder(f) if isinstance(n, Apply))
    return all(n.function.analytic is not False for n in calls) and not holds_complex(f)


def places(
    f: Node, xs: Sequence[Node], derivative: Node
) -> list[tuple[dict[str, int], dict[str, Array]]]:
    """Sizes and points at which the formula is defined; other sizes are tried where one
    choice has none.
    """
    wanted = POINTS if len(users(f, derivative)) <= LARGE else 1
    by_shape = wanted > 1 and _differs_by_shape(f)
    places: list[tuple[dict[str, int], dict[str, Array]]] = []
    for sizes in small_sizes(f, xs, derivative):
        left = wanted - len(places) - (by_shape and not places)
        places += [(sizes, v) for v in islice(points(f, derivative, xs, sizes), left)]
        if places and (len(places) == wanted or not by_shape):
            return places
    if places:
        return places
    raise CheckFailed(
        "no point was found at which the formula is defined: "
        "declare what its variables are (positive, spd, …)"
    )


def place(
    f: Node, xs: Sequence[Node], derivative: Node
) -> tuple[dict[str, int], dict[str, Array]] | None:
    """Sizes and one point at which the formula is defined; None where there is none."""
    return next(
        (
            (sizes, values)
            for sizes in small_sizes(f, xs, derivative)
            for values in points(f, derivative, xs, sizes)
        ),
        None,
    )


def _differs_by_shape(f: Node) -> bool:
    """Whether a word of the formula has other derivatives of wide matrices than of tall ones."""
    return any(isinstance(n, Apply) and n.function.domain in RANKED for n in postorder(f))


def small_sizes(f: Node, xs: Sequence[Node], derivative: Node) -> Iterator[dict[str, int]]:
    """Small sizes for all dimensions: different while the tensor stays small, in several orders."""
    names = dimension_names(f, derivative, *xs)
    count = len(names)
    pools = [range(3, 3 + count), range(2, 2 + count), (2, 3, 4), (2, 3), (2,)]
    for pool in pools:
        sizes = [pool[k % len(pool)] for k in range(count)]
        if _entries(derivative, dict(zip(names, sizes, strict=True))) > LARGEST or count > 12 * len(
            pool
        ):
            continue
        turns = [sizes, sizes[::-1], sizes[1:] + sizes[:1], [max(sizes, default=1)] * count]
        even = even_names(f, derivative, *xs)
        for turn in turns:
            chosen = dict(zip(names, turn, strict=True))
            paired = {n: size + size % 2 if n in even else size for n, size in chosen.items()}
            yield with_room(paired, f, derivative, even=even)
        return
    yield with_room(dict.fromkeys(names, 2), f, derivative)


def _entries(node: Node, sizes: Mapping[str, int]) -> int:
    entries = 1
    for dim in node.dims:
        entries *= max(dim.size(sizes), 1)
    return entries


# Points


def points(
    f: Node,
    derivative: Node,
    xs: Sequence[Node],
    sizes: Mapping[str, int],
    change: Callable[[dict[str, Array]], dict[str, Array]] | None = None,
) -> Iterator[dict[str, Array]]:
    """Random values of the variables at which every condition of the formulas holds with a
    margin; `change` is what else is done to values drawn.
    """
    wanted = conditions((expand(f),), (derivative,))
    whole = whole_variables(f, derivative)
    free = tuple(dict.fromkeys((*variables(f, derivative), *map(variable_of, xs))))
    for k in range(POINTS):
        for attempt in range(TRIES):
            values = {v.name: _drawn(v, sizes, 100 * k + attempt, attempt % 5) for v in free}
            values |= {v.name: values[v.name] * 0 + 2 + k for v in whole if v in free}
            values = change(values) if change else values
            known = evaluate_all([n for _, n in wanted] + [f], values, sizes)
            fits = (holds(domain, v) for (domain, _), v in zip(wanted, known, strict=False))
            if all(fits) and _in_range(known[-1], attempt):
                break
        else:
            return
        yield values


def _in_range(value: Array, attempt: int) -> bool:
    """Whether a value leaves room for differences: finite, not huge, and, if that can be
    had, not tiny.
    """
    import numpy as np

    if not np.all(np.isfinite(value)):
        return False
    size = float(np.abs(value).max(initial=0))
    least = 1e-9 if attempt < 20 else 1e-60 if attempt < 40 else -1.0
    return least < size < 1e100


def _drawn(variable: Variable, sizes: Mapping[str, int], seed: int, style: int) -> Array:
    """One value: generic normal, positive, close to the identity, small, or (a square
    matrix) orthogonal.
    """
    import numpy as np

    rng = np.random.default_rng([seed, crc32(variable.name.encode())])
    shape = [d.size(sizes) for d in variable.dims]
    value = rng.normal(size=shape)
    properties = variable.properties
    if "whole" in properties:
        return np.asarray(float(rng.integers(2, 4)))
    if style == 1:
        value = rng.uniform(0.3, 2, size=shape)
    elif style == 3:
        value = 0.2 * value
    if "complex" in properties:
        value = value + 1j * rng.normal(size=shape) * (0.2 if style in (1, 3) else 1)
    if len(shape) == 2 and shape[0] == shape[1]:
        if style == 4:
            value = np.linalg.qr(value)[0]
        if style == 2 or _inverts(variable):
            value = value + 3 * np.eye(shape[0])
    return np.asarray(declared_value(properties, value, bool(seed % 2)))


def _inverts(variable: Variable) -> bool:
    return bool(variable.properties & {"invertible", "spd"})


def holds(domain: str, value: Array) -> bool:
    """Whether a value is in a domain with a margin."""
    import numpy as np

    if not np.all(np.isfinite(value)):
        return False
    if domain not in ("nonzero", "invertible", "slit", "inside"):
        value = np.real(value)
    if domain.endswith(" by rows"):
        rows = value.reshape(-1, value.shape[-1])
        return all(holds(domain.removesuffix(" by rows"), row) for row in rows)
    match domain:
        case "positive":
            return bool(value.min(initial=np.inf) > 0.02)
        case "nonzero":
            return bool(abs(value).min(initial=np.inf) > 0.02)
        case "slit":
            return bool(abs(value + abs(value)).min(initial=np.inf) > 0.02)
        case "inside":
            return bool(abs(value).max(initial=0) < 0.95)
        case "above":
            return bool(value.min(initial=np.inf) > -0.95)
        case "beyond":
            return bool(value.min(initial=np.inf) > 1.02)
        case "invertible":
            return bool(np.linalg.cond(value).max(initial=0) < 100)
        case "distinct" | "lowest" | "varied":
            line = np.sort(value.reshape(-1))
            gaps = np.diff(line)
            ends = {"distinct": gaps[-1:], "lowest": gaps[:1], "varied": line[-1:] - line[:1]}
            return line.size < 2 or bool(ends[domain].min() > 0.02)
        case _:
            return spectrum_holds(domain, value)


# Differences


def _largest_error(
    f: Node,
    xs: Sequence[Node],
    exact: Array,
    values: Mapping[str, Array],
    sizes: Mapping[str, int],
    convention: str,
    is_analytic: bool,
    limit: float,
) -> float:
    import numpy as np

    value = float(np.abs(evaluate(f, values, sizes)).max(initial=0))
    slope = float(np.abs(exact).max(initial=0))
    scale = max(slope, 1e-3 * min(1.0, value), _rounding(f, max(slope, value), values, sizes))
    worst = 0.0
    many = DIRECTIONS if len(users(f)) <= LARGE else 1
    for directions in _directions(xs, sizes, many):
        got = exact
        for direction in reversed(directions):
            got = np.tensordot(got, direction, axes=direction.ndim)
        moved = [_moved(x, d, convention) for x, d in zip(xs, directions, strict=True)]
        best = np.inf
        for width in WIDTHS:
            want = _difference(f, xs, moved, values, sizes, is_analytic, width)
            size = max(scale, float(np.abs(want).max(initial=0)), 1e-300)  # all is zero
            error = float(np.abs(got - want).max(initial=0)) / size
            best = min(best, error if np.isfinite(error) else np.inf)
            if best <= limit:
                break
        else:
            best *= size / max(size, _partners(f, xs, moved, values, sizes, is_analytic))
        worst = max(worst, best)
    return worst


def _partners(
    f: Node,
    xs: Sequence[Node],
    directions: Sequence[Array],
    values: Mapping[str, Array],
    sizes: Mapping[str, int],
    is_analytic: bool,
) -> float:
    """How large the derivatives are that hold the conjugates fixed instead, or do not: where one
    of them is zero, what rounding leaves of its differences is as they are.
    """
    import numpy as np

    pairs = [dict.fromkeys((x, variable_of(x), bar(variable_of(x)))) for x in xs]
    others = [by for by in cartesian(*pairs) if by != tuple(xs)]
    found = [_difference(f, by, directions, values, sizes, is_analytic, 1.0) for by in others]
    slopes = [float(np.abs(value).max(initial=0)) for value in found]
    return max((slope for slope in slopes if np.isfinite(slope)), default=0.0)


def _rounding(f: Node, size: float, values: Mapping[str, Array], sizes: Mapping[str, int]) -> float:
    """The scale of differences of a formula that is zero wherever its variables can be.

    Its parts cancel (the sum of a skew matrix): what is left of them is no number to compare with.
    """
    import numpy as np

    if size > 1e-6:
        return 1e-300
    known = set(values)
    parts = [n for n in postorder(f) if n is not f and {v.name for v in n.names} <= known]
    inside = max(
        (float(np.abs(v).max(initial=0)) for v in evaluate_all(parts, values, sizes)), default=0.0
    )
    return 1e-3 * min(1.0, inside) if size <= 1e-9 * inside else 1e-300


def _directions(
    xs: Sequence[Node], sizes: Mapping[str, int], many: int
) -> Iterator[tuple[Array, ...]]:
    """Every entry of one small variable; else random directions."""
    import numpy as np

    shapes = [[d.size(sizes) for d in x.dims] for x in xs]
    if many > 1 and len(xs) == 1 and int(np.prod(shapes[0], dtype=int)) <= MOST_ENTRIES:
        for index in cartesian(*map(range, shapes[0])):
            unit = np.zeros(shapes[0])
            unit[index] = 1.0
            yield (unit,)
        return
    rng = np.random.default_rng(7)
    for _ in range(many):
        yield tuple(rng.normal(size=shape) for shape in shapes)


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


def _difference(
    f: Node,
    xs: Sequence[Node],
    directions: Sequence[Array],
    values: Mapping[str, Array],
    sizes: Mapping[str, int],
    is_analytic: bool,
    width: float,
) -> Array:
    """∂f along one direction for each x: the first by complex step or 5 points, the others
    by 5 points.
    """

    def at(point: Mapping[str, Array]) -> Array:
        return evaluate(f, point, sizes)

    current: Callable[[Mapping[str, Array]], Array] = at
    for k, (x, direction) in enumerate(zip(xs, directions, strict=True)):
        step = _complex_step if is_analytic and k == 0 else _five_points(len(xs), width)
        variable = variable_of(x)
        if "complex" in variable.properties:
            step = _both_ways(step, -1j if x is variable else 1j)
        current = step(current, variable.name, direction)
    return current(values)


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
