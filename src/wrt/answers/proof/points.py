"""Points at which a formula is defined: random, at small sizes that are all different.

What a variable is declared to be holds at every point, and every condition of the formula and its
derivative (an argument of log is positive, a matrix is invertible) holds with a margin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any
from zlib import crc32

from wrt.algebra import conditions, expand
from wrt.algebra.equality import RANKED, declared_value, even_names
from wrt.answers.proof.spectra import spectrum_holds
from wrt.calculus import variable_of
from wrt.errors import CheckFailed
from wrt.expression.meaning import evaluate_all
from wrt.expression.nodes import Apply, Node, Variable
from wrt.expression.room import with_room
from wrt.expression.walk import (
    dimension_names,
    holds_complex,
    is_larger,
    postorder,
    variables,
    whole_variables,
)

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["LARGE", "holds", "place", "places", "points", "small_sizes"]

#: How many random points, and how many tries to find each.
POINTS, TRIES = 3, 60
#: A formula of more nodes is checked at one point and along one direction.
LARGE = 600
#: The largest tensor that is laid out to be checked.
LARGEST = 300_000


def places(
    f: Node, xs: Sequence[Node], derivative: Node
) -> list[tuple[dict[str, int], dict[str, Array]]]:
    """Sizes and points at which the formula is defined; other sizes are tried where one
    choice has none.
    """
    wanted = 1 if is_larger(LARGE, f, derivative) else POINTS
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
        turns += [] if min(sizes, default=2) == 2 else [[2] * count]
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
    turns = holds_complex(f)
    for k in range(POINTS):
        for attempt in range(TRIES):
            values = {v.name: _drawn(v, sizes, 100 * k + attempt, attempt % 5) for v in free}
            values |= {v.name: values[v.name] * 0 + 2 + k for v in whole if v in free}
            values = change(values) if change else values
            known = evaluate_all([n for _, n in wanted] + [f], values, sizes)
            fits = (holds(domain, v) for (domain, _), v in zip(wanted, known, strict=False))
            if all(fits) and _in_range(known[-1], attempt, turns):
                break
        else:
            return
        yield values


def _in_range(value: Array, attempt: int, turns: bool) -> bool:
    """Whether a value leaves room for differences: finite, not huge, and, if that can be
    had, not tiny; of complex numbers, which may turn past the cut of a logarithm, small.
    """
    import numpy as np

    if not np.all(np.isfinite(value)):
        return False
    size = float(np.abs(value).max(initial=0))
    least = 1e-9 if attempt < 20 else 1e-60 if attempt < 40 else -1.0
    most = 10 ** (2 + attempt // 10) if turns and attempt < 20 else 1e100
    return least < size < most


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
