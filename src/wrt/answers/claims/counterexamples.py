"""The smallest place at which a claim and a derivative differ: small sizes, small whole numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from wrt.algebra import conditions, expand
from wrt.algebra.equality import constrained_value
from wrt.answers.claims.layouts import Layout
from wrt.answers.claims.places import Place, agree, value_at
from wrt.answers.proof.points import holds
from wrt.expression.dataclass import dataclass
from wrt.expression.nodes import Node, Variable
from wrt.expression.room import with_room
from wrt.expression.walk import dimension_names, variables, whole_variables

if TYPE_CHECKING:
    import numpy as np

    from wrt.answers.answer import Derivative

    Array = np.ndarray[Any, Any]

__all__ = ["Counterexample", "counterexample"]

#: How many choices of values are tried for each choice of sizes.
TRIES = 40


@dataclass(frozen=True)
class Counterexample:
    """Sizes and values at which an entry (counted from 1) is claimed to be what it is not."""

    sizes: Mapping[str, int]
    values: Mapping[str, Any]
    entry: tuple[int, ...]
    claimed: Any
    truth: Any

    def __str__(self) -> str:
        at = [f"{name} = {size}" for name, size in self.sizes.items()]
        at += [f"{name} = {_said(value)}" for name, value in self.values.items()]
        entry = f"D[{','.join(map(str, self.entry))}]" if self.entry else "D"
        said = f"claimed {entry} = {_said(self.claimed)}, in truth {_said(self.truth)}"
        return f"at {', '.join(at)}: {said}" if at else said


def _said(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_said, value))}]"
    if isinstance(value, complex):
        return f"{value:.4g}" if value.imag else _said(value.real)
    return f"{value + 0.0:.4g}"


def counterexample(
    D: Derivative, truth: Node, claim: Node, layout: Layout
) -> Counterexample | None:
    """A small place at which a claim in a layout differs from the derivative, where one is found.

    Sizes and values are as small and as often zero as they can be made one by one.
    """
    free = tuple(dict.fromkeys((*variables(D.f, truth, claim), *(w.variable for w in D.wanted))))
    wanted = conditions((expand(D.f),), (truth,))
    whole = {v.name for v in whole_variables(D.f, truth, claim)}

    for small in _sizes(dimension_names(D.f, truth, claim, *free)):
        sizes = with_room(small, D.f, truth, claim)

        def differs(values: Mapping[str, Any], sizes: Mapping[str, int] = sizes) -> _Found | None:
            return _difference(truth, claim, layout, Place(sizes, values, None), wanted)

        for attempt in range(TRIES):
            values = {v.name: _small(v, sizes, attempt, v.name in whole) for v in free}
            if differs(values) is None:
                continue
            for v in free:
                if v.name not in whole and not v.properties - {"positive", "invertible"}:
                    values = _smaller(values, v, differs)
            found = differs(values)
            assert found is not None
            return Counterexample(sizes, {v.name: values[v.name].tolist() for v in free}, *found)
    return None


_Found = tuple[tuple[int, ...], Any, Any]


def _smaller(
    values: dict[str, Any], variable: Variable, differs: Callable[[dict[str, Any]], _Found | None]
) -> dict[str, Any]:
    """Each entry of a variable made 0 or 1 where claim and derivative differ there too."""
    import numpy as np

    value = values[variable.name]
    for at in np.ndindex(value.shape):
        for simple in (1.0,) if "positive" in variable.properties else (0.0, 1.0):
            if value[at] == simple:
                break
            changed = value.copy()
            changed[at] = simple
            if differs({**values, variable.name: changed}) is not None:
                value = changed
                values = {**values, variable.name: value}
                break
    return values


def _sizes(names: Sequence[str]) -> Iterator[dict[str, int]]:
    """Small sizes: all 1, all 2, then different."""
    yield dict.fromkeys(names, 1)
    if not names:
        return
    if len(names) <= 4:
        choices = sorted(product((1, 2), repeat=len(names)), key=lambda c: (sum(c), c))
        yield from (dict(zip(names, c, strict=True)) for c in choices[1:])
    else:
        yield dict.fromkeys(names, 2)
    yield {name: 2 + k % 2 for k, name in enumerate(names)}
    yield dict.fromkeys(names, 3)


def _small(variable: Variable, sizes: Mapping[str, int], attempt: int, whole: bool) -> Array:
    """A small value of whole numbers, fixed by name and attempt, of the declared kind."""
    from zlib import crc32

    import numpy as np

    shape = [d.size(sizes) for d in variable.dims]
    rng = np.random.default_rng([attempt, crc32(variable.name.encode())])
    low, high = ((0, 2), (0, 2), (-1, 3), (1, 4))[attempt % 4]
    value = rng.integers(low, high, size=shape).astype(float)
    properties = variable.properties
    if attempt == 0:
        value = np.ones(shape)
    if whole:
        return np.full(shape, 2.0 + attempt % 2)
    if properties & {"positive", "simplex"}:
        value = np.abs(value) + 1
    if "simplex" in properties:
        return np.asarray(value / value.sum())
    if len(shape) == 2 and shape[0] == shape[1]:
        if attempt % 3 == 2 or properties & {"invertible", "spd"}:
            value = value + np.eye(shape[0]) * (2 if "spd" in properties else 1)
        value = constrained_value(
            properties, np.round(2 * value) if "toeplitz" in properties else value
        )
        if "spd" in properties:
            value = value @ value.T + np.eye(shape[0])
        if "orthogonal" in properties:
            value = np.eye(shape[0])[rng.permutation(shape[0])]
    return np.asarray(value)


def _difference(
    truth: Node,
    claim: Node,
    layout: Layout,
    place: Place,
    wanted: Sequence[tuple[str, Node]],
) -> _Found | None:
    """The entry that differs most plainly, and both its values."""
    import numpy as np

    known = [(domain, value_at(node, place)) for domain, node in wanted]
    if not all(value is not None and holds(domain, value) for domain, value in known):
        return None
    want, got = value_at(truth, place), value_at(claim, place)
    if want is None or got is None:
        return None
    want = layout.of(want)
    if got.shape != want.shape or agree(got, want) or not np.all(np.isfinite(want)):
        return None
    apart = np.abs(got - want)
    if apart.max(initial=0) < 1e-3 * max(1.0, float(np.abs(want).max(initial=0))):
        return None
    at = np.unravel_index(int(np.argmax(apart > 1e-3)), apart.shape)
    entry = tuple(int(i) + 1 for i in at)
    return entry, got[at].item(), want[at].item()
