"""Equal by value: two formulas agree at random complex points where all sizes differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import dimension_names, variables

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["constrained_value", "equal", "sample_point", "sample_sizes"]

#: Relative agreement of two values that are equal, and of values worth nothing.
TOLERANCE = 1e-9


def sample_sizes(roots: Sequence[Node], start: int = 3) -> dict[str, int]:
    """A size for every dimension that occurs, all different."""
    return {name: start + k for k, name in enumerate(dimension_names(*roots))}


def sample_point(
    roots: Sequence[Node], sizes: Mapping[str, int], seed: int, is_complex: bool = True
) -> dict[str, Any]:
    """Values for the free variables: generic, fixed by name and seed, with what they are declared to be."""
    import numpy as np

    values = {}
    for variable in variables(*roots):
        rng = np.random.default_rng([seed, crc32(variable.name.encode())])
        shape = [d.size(sizes) for d in variable.dims]
        value = rng.normal(size=shape)
        if is_complex:
            value = value + 0.3j * rng.normal(size=shape)
        values[variable.name] = _declared(variable, value)
    return values


def _declared(variable: Variable, value: Array) -> Array:
    """A value with the linear properties of a variable; inverses stay regular."""
    import numpy as np

    properties = variable.properties
    if "positive" in properties or "simplex" in properties:
        value = 0.5 + abs(np.real(value)) + 1j * np.imag(value) * 0.3
    if "whole" in properties:
        return np.asarray(3.0)
    if value.ndim == 2 and value.shape[0] == value.shape[1]:
        value = value + 2 * np.eye(len(value))
        value = constrained_value(properties, value)
    return value


def constrained_value(properties: frozenset[str], value: Array) -> Array:
    """A square matrix made symmetric, skew, diagonal, triangular or Toeplitz as its properties say."""
    import numpy as np

    if "toeplitz" in properties:
        i, j = np.indices(value.shape)
        means = [np.diagonal(value, -k).mean() for k in range(1 - len(value), len(value))]
        value = np.asarray(means)[i - j + len(value) - 1]
    if properties & {"symmetric", "spd"}:
        value = (value + value.T) / 2
    if "skew" in properties:
        value = (value - value.T) / 2
    if "diagonal" in properties:
        value = np.diag(np.diag(value))
    if "lower" in properties:
        value = np.tril(value)
    if "upper" in properties:
        value = np.triu(value)
    return value


def equal(a: Node, b: Node, points: int = 2) -> bool:
    """Whether two formulas have the same value wherever both are defined.

    >>> from wrt.expression.dimensions import Dimension
    >>> n = Dimension.of("n")
    >>> A, x = Variable("A", (n, n)), Variable("x", (n,))
    >>> equal(x @ A @ x, x @ A.T @ x), equal(A @ x, x @ A)
    (True, False)
    """
    import numpy as np

    from wrt.expression.meaning import evaluate

    if a.dims != b.dims:
        return False
    if a is b:
        return True
    sizes = sample_sizes((a, b))
    for seed in range(points):
        values = sample_point((a, b), sizes, seed)
        left, right = evaluate(a, values, sizes), evaluate(b, values, sizes)
        scale = max(np.abs(left).max(initial=0), np.abs(right).max(initial=0), 1e-300)
        if not np.all(np.abs(left - right) <= TOLERANCE * scale):
            return False
    return True
