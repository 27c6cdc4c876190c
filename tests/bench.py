"""The bench on which a record is tested: generic points, numerical truth, what disagrees with it.

Points are unsymmetric and every dimension has a size of its own: on symmetric samples a missing
transpose is invisible. The truth is the record's array code; rules are held against its 5-point
differences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

from sentences import PRODUCTS, says, side, syntax
from wrt.algebra.equality import RANKED
from wrt.errors import WrtError
from wrt.expression.function import Function, Signature
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Apply, Node, Variable
from wrt.functions import BOOK

__all__ = [
    "RECORDS",
    "SIZES",
    "Bench",
    "bench",
    "call",
    "close",
    "direction_of",
    "draw",
    "five_point",
    "shapes_of",
]

#: Every record once, in the order of the book.
RECORDS: tuple[Function, ...] = tuple(dict.fromkeys(BOOK.values()))
SIZES: Mapping[str, int] = {"n": 3, "m": 4, "p": 2, "q": 5, "axis": 6}
TRIALS = 4
#: What a sentence that says nothing sensible raises.
MISFIT = (ValueError, TypeError, WrtError, np.linalg.LinAlgError)

Values = dict[str, Any]


def draw(domain: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A generic array where a function with this domain is smooth, all entries well apart."""
    size = int(np.prod(shape, dtype=int))
    spread = (rng.permutation(size).reshape(shape) + rng.uniform(0.2, 0.8, shape)) / size
    signs = rng.choice([-1.0, 1.0], shape)
    match domain:
        case "positive":
            return rng.uniform(0.3, 2.0, shape)
        case "nonzero":
            return np.asarray(signs * (0.3 + 1.2 * spread))
        case "inside":
            return rng.uniform(-0.85, 0.85, shape)
        case "above":
            return rng.uniform(-0.7, 1.5, shape)
        case "beyond":
            return rng.uniform(1.3, 3.0, shape)
        case "invertible" if len(shape) == 2 and shape[0] == shape[1]:
            return rng.uniform(-0.7, 0.7, shape) + 2 * np.eye(shape[0])
        case "principal":
            return rng.uniform(-0.7, 0.7, shape) + 2 * np.eye(shape[0])
        case "definite" | "simple":
            X = rng.uniform(-0.5, 0.5, shape) + np.diag(1.0 + np.arange(shape[0]))
            return (X + X.T) / 2
        case "separate":
            return rng.permutation(size) - size / 2 + rng.uniform(-0.3, 0.3, size)
        case _ if domain in RANKED and len(shape) == 2:
            left, _, right = np.linalg.svd(rng.uniform(-1, 1, shape), full_matrices=False)
            return left * (2.0 - 1.5 * np.arange(min(shape)) / min(shape)) @ right
    return np.asarray(signs * (0.1 + 1.2 * spread))


def shapes_of(form: Signature, ranked: bool = False) -> list[dict[str, tuple[int, ...]]]:
    """The shapes of the arguments at which a form is tried: any axes means one, two and three."""
    if ranked:  # a tall matrix and a wide one
        (X,) = form.arrays
        assert X.dims is not None
        tall = tuple(d.size(SIZES) for d in X.dims)
        return [{X.name: tall}, {X.name: tall[::-1]}]
    free = [()] if all(a.dims is not None for a in form.arrays) else [(5,), (3, 4), (2, 3, 4)]
    return [
        {
            a.name: more if a.dims is None else tuple(d.size(SIZES) for d in a.dims)
            for a in form.arrays
        }
        for more in free
    ]


def points(function: Function, seed: int) -> Iterator[tuple[Signature, Values]]:
    """Samples of the arguments for every signature; sizes and whole numbers among them."""
    rng = np.random.default_rng([seed, sum(map(ord, function.name))])
    for form in function.forms:
        for shapes in shapes_of(form, function.domain in RANKED):
            for trial in range(TRIALS * 3 if function.entrywise else TRIALS):
                yield form, _point(function, form, shapes, trial, rng)


def _point(
    function: Function,
    form: Signature,
    shapes: Mapping[str, tuple[int, ...]],
    trial: int,
    rng: np.random.Generator,
) -> Values:
    values: Values = {}
    for k, a in enumerate(form.arguments):
        if a.kind == "size":
            values[a.name] = {"n": 3, "m": 4, "p": 2, "k": 2}[a.name]
        elif a.kind == "whole":
            values[a.name] = np.asarray((3, 2, 4, 1)[trial])
        else:
            values[a.name] = draw("" if k else function.domain, shapes[a.name], rng)
            if function.domain == "invertible" and not k:  # determinants of either sign in turn
                wanted = (-1) ** trial
                values[a.name][0] *= wanted * np.sign(np.linalg.det(values[a.name]))
    return values


def call(function: Function, form: Signature, values: Values) -> np.ndarray:
    """The record's value at a point, through a formula and its meaning."""
    arguments: list[Any] = []
    for a in form.arguments:
        if a.kind == "size":
            arguments.append(values[a.name])
        else:
            array = np.asarray(values[a.name])
            dims = [_named(a, k, size) for k, size in enumerate(array.shape)]
            arguments.append(Variable(a.name, dims))
    return evaluate(function(*arguments), values)


def _named(argument: Any, axis: int, size: int) -> Any:
    from wrt.expression.dimensions import Dimension

    return Dimension.of(f"{argument.name}{axis}") if argument.dims is None else argument.dims[axis]


def direction_of(argument: Any, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A generic direction in which an argument may move."""
    direction = rng.uniform(-1, 1, shape)
    return (direction + direction.T) / 2 if "symmetric" in argument.properties else direction


def five_point(f: Any, h: float = 2e-3) -> np.ndarray:
    """The derivative of a function of one number at 0."""
    near, far = f(h) - f(-h), f(2 * h) - f(-2 * h)
    return np.asarray((8 * near - far) / (12 * h))


def close(a: Any, b: Any, tolerance: float = 1e-8) -> bool:
    """Equal shapes, both finite, and equal to a tolerance that grows with the larger value."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or not np.all(np.isfinite(a)) or not np.all(np.isfinite(b)):
        return False
    return bool(np.all(np.abs(a - b) <= tolerance * (1 + np.max(np.abs(b), initial=0))))


class Bench:
    """One record at its points, with its values and their differences along random directions."""

    def __init__(self, function: Function, seed: int = 1) -> None:
        self.function = function
        self.samples: list[tuple[Signature, Values, np.ndarray]] = []
        self.moves: list[tuple[Values, np.ndarray, str]] = []
        rng = np.random.default_rng([seed, 77])
        for form, values in points(function, seed):
            value = call(function, form, values)
            self.samples.append((form, values, value))
            if function.differential:
                self._differences(form, values, value, rng)

    def _differences(
        self, form: Signature, values: Values, value: np.ndarray, rng: np.random.Generator
    ) -> None:
        arrays = [a for a in form.arguments if a.kind == "array"]
        still = {f"d{a.name}": np.zeros(np.shape(values[a.name])) for a in arrays}
        sizes = sizes_at(form, values)
        for a in arrays:
            direction = direction_of(a, np.shape(values[a.name]), rng)
            moved = lambda h, n=a.name, d=direction: call(  # noqa: E731
                self.function, form, {**values, n: values[n] + h * d}
            )
            known = {
                **sizes,
                **values,
                **still,
                f"d{a.name}": direction,
                form.results[0].name: value,
            }
            self.moves.append((known, five_point(moved), f"d{a.name}"))

    def rule_faults(self, rule: str) -> list[str]:
        """Where a rule disagrees with the differences of the array code."""
        part = syntax(rule)
        return [
            f"{self.function.name}: the rule by {by} at point {k}"
            for k, (known, truth, by) in enumerate(self.moves)
            if not _agrees(part, known, truth, spreads=self.function.entrywise)
        ]

    def rules_agree(self, rule: str, other: str) -> bool:
        """Whether two rules say the same at all points of this bench."""
        return all(
            _same(_said(syntax(rule), known), _said(syntax(other), known))
            for known, _, _ in self.moves
        )

    def definition_faults(self, definition: str) -> list[str]:
        """Where the sentence that a word abbreviates is not its array code."""
        part = syntax(definition)
        return [
            f"{self.function.name}: the definition at point {k}"
            for k, (_, values, value) in enumerate(self.samples)
            if not _agrees(part, values, value)
        ]

    def definitions_agree(self, definition: str, other: str) -> bool:
        """Whether two definitions say the same at all points."""
        return all(
            _same(_said(syntax(definition), known), _said(syntax(other), known))
            for _, known, _ in self.samples
        )

    def law_faults(self, law: str) -> list[str]:
        """Where the two sides of a law differ, or nowhere meet; a side that is NaN says nothing."""
        left, right = map(syntax, side(law))
        faults, met = [], 0
        for k, (form, values, _) in enumerate(self.samples):
            known = {**values, **sizes_at(form, values)}
            a, b = _said(left, known), _said(right, known)
            if a is None or b is None:
                faults.append(f"{law}: makes no sense at point {k}")
            elif np.all(np.isfinite(a)) and np.all(np.isfinite(b)):
                met += 1
                if not close(a, np.broadcast_to(b, a.shape) if not b.ndim else b, 1e-9):
                    faults.append(f"{law}: {a} against {b} at point {k}")
        return faults if met >= 2 else [*faults, f"{law}: both sides are finite nowhere"]


@cache
def bench(function: Function, seed: int = 1) -> Bench:
    """The bench of a record; another seed means other points."""
    return Bench(function, seed)


def sizes_at(form: Signature, values: Values) -> Values:
    """The sizes that the values have, by name."""
    found: Values = {}
    for a in form.arrays:
        for d, size in zip(a.dims or (), np.shape(values[a.name]), strict=False):
            found[str(d)] = np.asarray(size)
    return found


def _said(part: Any, known: Values) -> np.ndarray | None:
    try:
        return says(part, known)
    except MISFIT:
        return None


def _agrees(part: Any, known: Values, truth: np.ndarray, spreads: bool = True) -> bool:
    said = _said(part, known)
    if said is None:
        return False
    if spreads and not said.ndim and truth.ndim:  # the rule "0" of a function of one entry
        said = np.broadcast_to(said, truth.shape)
    return close(said, truth)


def _same(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    if a is None or b is None:
        return a is b
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-10, atol=1e-12, equal_nan=True))


def products_agree(function: Function, form: Signature, values: Values) -> bool:
    """Whether a word that is a product is what NumPy says."""
    expected = PRODUCTS[function.name](*(values[a.name] for a in form.arguments))
    return close(call(function, form, values), expected, 1e-12)


def formula_and_point(
    function: Function, form: Signature, values: Values
) -> tuple[Node, dict[str, np.ndarray]]:
    """A call of the record over variables, and their values."""
    variables = {
        a.name: Variable(a.name, [_named(a, k, 0) for k in range(np.ndim(values[a.name]))])
        for a in form.arrays
    }
    arguments = [variables.get(a.name, values[a.name]) for a in form.arguments]
    return function(*arguments), {n: np.asarray(values[n], float) for n in variables}


def mapped(
    function: Function, form: Signature, batch: tuple[int, ...]
) -> tuple[Node, list[Variable]]:
    """A call with mapped axes of the given sizes in front of every array argument."""
    from wrt.expression.dimensions import Dimension

    lead = [Dimension.of(size) for size in batch]
    variables = []
    for a in form.arrays:
        core = [Dimension.of(5)] if a.dims is None else a.dims
        variables.append(Variable(a.name, [*(lead if a.kind == "array" else ()), *core]))
    return Apply(function, variables, len(batch)), variables
