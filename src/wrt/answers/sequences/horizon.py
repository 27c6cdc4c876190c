"""How far back a recurrence reaches: norms of the products of its steps, against their bounds.

The states that run the same way are taken as one, z, with one Jacobian a step. `∂z[T]/∂z[T-d]` is a
product of d of them; whether it vanishes or explodes with d is whether gradients do (R. Pascanu,
T. Mikolov, Y. Bengio, On the difficulty of training recurrent neural networks, 2013).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from math import prod
from typing import TYPE_CHECKING, Any

from wrt.answers.sequences.contributions import HALF, Contributions
from wrt.answers.sequences.moving import run, sizes
from wrt.answers.sequences.slopes import Slopes, slopes, steepest
from wrt.calculus.joined import Joined
from wrt.expression import build
from wrt.expression.dataclass import dataclass
from wrt.expression.nodes import Node

if TYPE_CHECKING:
    import numpy as np

    from wrt.answers.sequences.recurrences import Recurrence

    Array = np.ndarray[Any, Any]

__all__ = ["Horizon", "Reach"]

#: Up to so many steps the triangle over (t, k) is found unasked.
FEW_STEPS = 100


@dataclass(frozen=True, eq=False, repr=False)
class Horizon:
    """The norms of the products of steps at given values, and what of a gradient comes from when.

    Arrays over distances d = 0 … T: `spectral` and `frobenius` are the norms of `∂z[T]/∂z[T-d]`
    (with a batch, those of the matrix with one block for each member), `singular` its singular
    values, `bounds` what bounds the spectral norm, by name. `shares` are, by weight, the norms of
    what it does at a step to the whole loss (steps from the first on), `late` to the loss of the
    step that the states come to last (by distance), `triangles` to the loss of every step t (rows)
    at every step k (columns). `pairs` are the spectral norms of all `∂z[t]/∂z[k]`, steps from 0 on.

    >>> from wrt import recurrence
    >>> rnn = recurrence("s[t] = W*s[t-1] + x[t]; L[t] = norm2(s[t])^2/2")
    >>> found = rnn.horizon(W=[[0.5]], s0=[1], x=[[0], [0], [0]])
    >>> found.spectral, found.rate, found.verdict
    (array([1.   , 0.5  , 0.25 , 0.125]), 0.5, 'neither')
    >>> found.by_distance("W"), found.svg()[:4]
    (array([0.21875 , 0.078125, 0.03125 ]), '<svg')
    """

    states: tuple[str, ...]
    count: int
    spectral: Array
    frobenius: Array
    singular: Array
    bounds: Mapping[str, Array]
    shares: Mapping[str, Array]
    late: Mapping[str, Array]
    triangles: Mapping[str, Array]
    pairs: Array | None
    fraction: float
    #: Of several states, the spectral norms of the products of the blocks from each to itself: one
    #: of very many paths, such as ∏ diag(f[t]) of an LSTM.
    paths: Mapping[str, Array]
    #: γ, the largest slope of the word of the step over the reals, and λ, the largest singular
    #: value of its matrix; None where the step has another form.
    gamma: float | None = None
    scale: float | None = None
    word: str = ""
    reverse: bool = False

    def __len__(self) -> int:
        return len(self.spectral) - 1

    @property
    def rate(self) -> float:
        """The factor by which the spectral norm changes a step, on average."""
        from math import exp, log

        last = float(self.spectral[-1])
        return exp(log(last) / len(self)) if last > 0 else 0.0

    @property
    def verdict(self) -> str:
        """Whether gradients "vanish", "explode", or do "neither" over all these steps."""
        last = float(self.spectral[-1])
        if last < self.fraction:
            return "vanish"
        return "explode" if last > 1 / self.fraction else "neither"

    def by_distance(self, name: str) -> Array:
        """What a weight does to a loss d steps later, d = 0 …: the mean over all losses where the
        triangle is known, else what it does to the last."""
        import numpy as np

        if name not in self.triangles:
            return self.late[name]
        whole = self.triangles[name]
        whole = whole.T if self.reverse else whole
        return np.array([np.diagonal(whole, -d).mean() for d in range(len(whole))])

    def reach(self, name: str) -> int | None:
        """The distance from which on a weight does less than `fraction` of what it does in all;
        None where it does more up to the first step.
        """
        import numpy as np

        found = self.by_distance(name)
        large = np.flatnonzero(found >= self.fraction * found.sum())
        first = int(large[-1]) + 1 if len(large) and found.any() else 0
        return first if first < len(found) else None

    def __str__(self) -> str:
        from wrt.answers.sequences.horizon_text import told

        return told(self)

    __repr__ = __str__

    def svg(self) -> str:
        """Norms over the distance on a logarithmic axis with their bounds, and the triangle over
        (t, k) where it is known, as an SVG.
        """
        from wrt.answers.sequences.horizon_picture import drawn

        return drawn(self)

    def _repr_svg_(self) -> str:
        return self.svg()


class Reach:
    """The formulas behind a horizon: the blocks of a step, the slopes, the shares of weights."""

    def __init__(
        self, rnn: Recurrence, joined: Joined, weights: Sequence[str], loss: str | None
    ) -> None:
        self.rnn, self.joined, self.loss = rnn, joined, loss
        self.weights = tuple(weights) if loss is not None else ()

    @cached_property
    def blocks(self) -> dict[tuple[int, int], Node]:
        """The blocks of the step that are not zero, for all steps."""
        every = range(len(self.joined.carried))
        found = {(i, j): self.joined.jacobian(i, j) for i in every for j in every}
        return {place: node for place, node in found.items() if not build.is_zero(node)}

    @cached_property
    def slopes(self) -> Slopes | None:
        """The form diag(slope)·matrix of a step, where it has it."""
        return slopes(self.joined)

    @cached_property
    def whole(self) -> dict[str, Contributions]:
        """The summands of the gradient of the whole loss by each weight."""
        return {name: self.rnn.contributions(name, self.loss) for name in self.weights}

    @cached_property
    def _late(self) -> dict[str, Contributions]:
        return {name: self.rnn.late_contributions(name, self.loss) for name in self.weights}

    @cached_property
    def formulas(self) -> tuple[Node, ...]:
        """Blocks, then slope and matrix, then the shares of every weight."""
        found = [*self.blocks.values()]
        if self.slopes is not None:
            found += [self.joined.stacked(self.slopes.slope), self.slopes.matrix]
        for name in self.weights:
            found += [self.whole[name].squares ** HALF, self._late[name].squares ** HALF]
        return tuple(found)

    def __call__(self, values: Mapping[str, Any], pairs: bool, fraction: float) -> Horizon:
        """The horizon at values by name."""
        import numpy as np

        arrays = iter(run(self.rnn, self.formulas, values, "the norms of the steps"))
        blocks = {place: next(arrays) for place in self.blocks}
        form = None if self.slopes is None else (next(arrays), next(arrays))
        shares, late = {}, {}
        for name in self.weights:
            shares[name], late[name] = next(arrays), next(arrays)
        way = -1 if self.joined.reverse else 1
        J = self._joined(blocks, values)[::-way]  # the step that comes last is first
        singular = _singular(J)
        spectral = singular.max(axis=(1, 2))
        steps = len(J)
        triangles: dict[str, Array] = {}
        if pairs or steps <= FEW_STEPS:
            named = [name for name in self.weights if self.whole[name].has_triangle]
            for name in named:
                triangle = self.whole[name].triangle
                found = run(self.rnn, triangle.squares, values, "the triangle")
                triangles[name] = triangle.laid(found)
        bounds, gamma, scale = self._bounds(J, form, way)
        edges = self._edges(values)
        return Horizon(
            states=self.joined.names,
            count=J.shape[-1],
            spectral=spectral,
            frobenius=np.sqrt((singular**2).sum(axis=(1, 2))),
            singular=singular if J.shape[1] > 1 else singular[:, 0],
            bounds=bounds,
            shares=shares,
            late={name: one[::-way] for name, one in late.items()},
            triangles=triangles,
            pairs=_pairs(J, way) if pairs else None,
            fraction=fraction,
            paths=self._paths(J, edges),
            gamma=gamma,
            scale=scale,
            word=self.slopes.word.name if self.slopes and self.slopes.word else "",
            reverse=self.joined.reverse,
        )

    def _joined(self, blocks: Mapping[tuple[int, int], Array], values: Mapping[str, Any]) -> Array:
        """The Jacobian of all states: axes steps, members of the batch, rows, columns."""
        import numpy as np

        lead = 1 + len(self.rnn.system.batch)
        known = sizes(self.rnn, values)
        edges = self._edges(values)
        counts = [high - low for low, high in pairwise(edges)]
        front = [d.size(known) for d in (self.rnn.system.length, *self.rnn.system.batch)]
        total = np.zeros((*front, sum(counts), sum(counts)))
        for (i, j), block in blocks.items():
            part = block.reshape(*front, counts[i], counts[j])
            total[..., edges[i] : edges[i + 1], edges[j] : edges[j + 1]] = part
        return total if lead == 2 else total[:, None]

    def _edges(self, values: Mapping[str, Any]) -> list[int]:
        """Where every state stands in the joint one."""
        known = sizes(self.rnn, values)
        counts = [prod(d.size(known) for d in one.dims) for one in self.joined.before]
        return list(accumulate(counts, initial=0))

    def _paths(self, J: Array, edges: Sequence[int]) -> dict[str, Array]:
        """The norms of the products of the blocks from a state to itself."""
        if len(self.joined.names) == 1:
            return {}
        found = {}
        for k, (name, shift) in enumerate(self.joined.carried):
            if abs(shift) == 1:
                own = slice(edges[k], edges[k + 1])
                found[name] = _singular(J[:, :, own, own]).max(axis=(1, 2))
        return found

    def _bounds(
        self, J: Array, form: tuple[Array, Array] | None, way: int
    ) -> tuple[dict[str, Array], float | None, float | None]:
        """What bounds the spectral norm of the products, the tightest last."""
        import numpy as np

        own = np.linalg.norm(J, 2, axis=(2, 3))
        found = {"steps": _running(own)}
        if form is None:
            return found, None, None
        assert self.slopes is not None
        slope, matrix = form
        scale = float(np.linalg.norm(matrix, 2))
        steep = np.abs(slope).reshape(len(J), J.shape[1], -1).max(axis=2)[::-way]
        found = {"slopes": _running(steep * scale), **found}
        if self.slopes.word is None:
            return found, None, scale
        gamma = steepest(self.slopes.word)
        distances = np.arange(len(J) + 1)
        with np.errstate(over="ignore"):
            return {"all": (gamma * scale) ** distances, **found}, gamma, scale


def _running(factors: Array) -> Array:
    """Products of the first d factors, the largest over the batch."""
    import numpy as np

    with np.errstate(over="ignore", under="ignore"):
        running = np.cumprod(factors, axis=0).max(axis=1)
    return np.concatenate([[1.0], running])


def _singular(J: Array) -> Array:
    """Singular values of the products of the first d Jacobians: axes d, batch, values."""
    import numpy as np

    P = np.broadcast_to(np.eye(J.shape[-1]), J.shape[1:])
    found = np.empty((len(J) + 1, *J.shape[1:3]))
    found[0] = 1.0
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for d, one in enumerate(J):
            P = P @ one
            found[d + 1] = _values(P)
    return found


def _values(P: Array) -> Array:
    """Singular values; infinite where a product is."""
    import numpy as np

    if not np.isfinite(P).all():
        return np.full(P.shape[:-1], np.inf)
    found: Array = np.linalg.svd(P, compute_uv=False)
    return found


def _pairs(J: Array, way: int) -> Array:
    """Spectral norms of all products, for all t at once from one distance to the next."""
    import numpy as np

    steps = len(J)
    J = J[::-1]  # the step that comes first is first
    found = np.eye(steps + 1)
    P = J
    for d in range(1, steps + 1):
        norms = _values(P).max(axis=(1, 2))
        t = np.arange(d, steps + 1)
        found[t, t - d] = norms
        P = P[1:] @ J[: steps - d]  # ∂z[t]/∂z[t-d] · ∂z[t-d]/∂z[t-d-1]
    return found if way > 0 else found[::-1, ::-1]
