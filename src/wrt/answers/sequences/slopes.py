"""Steps of the form s[t] = σ(W*s[t-1] + …): the matrix, the slopes, and how steep σ can be."""

from __future__ import annotations

from functools import lru_cache

from wrt import programs
from wrt.algebra import normal_form
from wrt.calculus import derivative
from wrt.calculus.joined import Joined
from wrt.calculus.terms import Term, terms_of
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dataclass import dataclass
from wrt.expression.function import Function
from wrt.expression.nodes import Apply, Node, Variable

__all__ = ["Slopes", "slopes", "steepest"]


@dataclass(frozen=True, eq=False)
class Slopes:
    """`∂s[t]/∂s[t-1] = diag(slope)·matrix`, with a matrix that all steps share.

    `word` is σ where the step is one word of something whose derivative is the matrix.
    """

    slope: Node
    matrix: Node
    word: Function | None


def slopes(joined: Joined) -> Slopes | None:
    """The slopes and the matrix of a step; None where it has another form."""
    if len(joined.carried) != 1 or joined.before[0].ndim != 1:
        return None
    shared = frozenset(joined.system.lines.shared.values())
    parts = [_parted(term, shared) for term in terms_of(normal_form(joined.block(0, 0)))]
    if not parts or any(one is None for one in parts):
        return None
    found = [one for one in parts if one is not None]
    if any(matrix is not found[0][1] for _, matrix in found):
        return None
    slope, matrix = build.add(*(one for one, _ in found)), found[0][1]
    return Slopes(slope, matrix, _word(joined, matrix))


def _parted(term: Term, shared: frozenset[Variable]) -> tuple[Node, Node] | None:
    """A term as the diagonal that scales the rows of a matrix of shared variables, and that."""
    if len(set(term.output)) < 2:
        return None
    row = term.output[0]
    scales = [one for one in term.factors if set(one[2]) <= {row}]
    rest = [one for one in term.factors if not set(one[2]) <= {row}]
    if not rest or not all(node.names <= shared for node, _, _ in rest):
        return None
    dims = term.index_dims
    slope = build.product(
        term.coefficient, [(n, e, (0,) * len(own)) for n, e, own in scales], (0,), (dims[row],)
    )
    return slope, build.product(ONE, rest, term.output, dims)


def _word(joined: Joined, matrix: Node) -> Function | None:
    """The word that a step is of what it reads."""
    step = joined.nexts[0]
    if not isinstance(step, Apply) or len(step.children) != 1 or step.batch != 1:
        return None
    inner = normal_form(derivative(normal_form(step.children[0]), joined.before[0]))
    return step.function if inner is normal_form(matrix) else None


@lru_cache(maxsize=64)
def steepest(word: Function) -> float:
    """The largest |σ'| over the real numbers, searched numerically; infinite where it grows.

    >>> from wrt.functions import BOOK
    >>> steepest(BOOK["sigmoid"]), steepest(BOOK["tanh"]), steepest(BOOK["exp"])
    (0.25, 1.0, inf)
    """
    import numpy as np

    z = Variable("z", ())
    slope = programs.compile(derivative(normal_form(word(z)), z), arguments=(z,))

    def at(x: float) -> float:
        found = abs(float(slope(z=x)))
        return float("inf") if np.isnan(found) else found

    points = np.sinh(np.linspace(-6.5, 6.5, 521))
    values = [at(float(x)) for x in points]
    best = int(np.argmax(values))
    top = values[best]
    if not np.isfinite(top) or max(at(1e6), at(-1e6)) > 1.5 * top:
        return float("inf")
    low, high = points[max(best - 1, 0)], points[min(best + 1, len(points) - 1)]
    for _ in range(100):  # the peak lies between its neighbours
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (left, high) if at(float(left)) < at(float(right)) else (low, right)
    return max(top, at(float((low + high) / 2)))
