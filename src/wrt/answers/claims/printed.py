"""What is printed is computed beside the derivative: the proof of the text.

The check of a derivative compares its formula with differences; this compares what a person is
shown with that formula, at a point of the check: sentences are read like a claim, programs run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product as cartesian
from typing import TYPE_CHECKING, Any, NamedTuple

from wrt import programs
from wrt.answers.claims.claimed import Context, context
from wrt.answers.proof.points import place
from wrt.answers.proof.shrinking import small_dimensions
from wrt.errors import CheckFailed, Mistake
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Apply, Node, Variable
from wrt.expression.walk import dimension_names, postorder, resized, variables

if TYPE_CHECKING:
    import numpy as np

    from wrt.answers.answer import Derivative
    from wrt.answers.several import Gradients
    from wrt.expression.dimensions import Dimension

    Array = np.ndarray[Any, Any]

__all__ = ["Point", "point_of", "refuse_misprints", "refuse_misprograms"]

#: The largest relative difference of a sentence that reads back.
PASSES = 1e-6
#: A size that nothing in a text tells is looked for up to this one.
LARGEST = 8


def refuse_misprints(D: Derivative, point: Point | None) -> None:
    """Raise CheckFailed where a form of an answer, read back, has other numbers than the answer.

    >>> from wrt.answers import derivative
    >>> D = derivative("A*X*B", "X")
    >>> refuse_misprints(D, point_of(D))
    """
    if point is None:
        return
    truth, scale = point.value(D.formula), point.scale
    reader = _Reader(context(D), point)
    for text, wanted in _said(D, truth):
        got = reader.value(text, wanted.shape)
        error = 0.0 if got is None else _error(got, wanted, scale)
        if error > PASSES:
            raise CheckFailed(
                f"{text}: read back, this form of {D.title} has other numbers than the derivative "
                f"(relative error {error:.1e}); no answer is given. Please report this formula."
            )


def refuse_misprograms(
    D: Derivative | Gradients, point: Point | None, direction: str | None = None
) -> None:
    """Raise CheckFailed where the program of an answer, of its product with a direction or of
    several answers together gives other numbers than the formula. Every library is given the same
    steps, run here with NumPy.

    >>> from wrt.answers import derivative
    >>> D = derivative("A*X*B", "X")
    >>> refuse_misprograms(D, point_of(D), direction="V")
    """
    node, arguments, title = _part(D, direction)
    roots = node if isinstance(node, tuple) else (node,)
    calls = (n.function for root in roots for n in postorder(root) if isinstance(n, Apply))
    if point is None or not all(function.defined for function in calls):
        return
    import numpy as np

    small = [v for given in arguments for v in variables(resized(given, point.small))]
    if direction is not None:
        moving = small[-1]
        shape = [d.size(point.sizes) for d in moving.dims]
        values = {**point.values, moving.name: np.random.default_rng(1).standard_normal(shape)}
        point = point._replace(values=values)
    formulas = tuple(resized(root, point.small) for root in roots)
    program = programs.compile(formulas[0] if len(roots) == 1 else formulas, arguments=small)
    given = [point.values.get(v.name, 0.0) for v in small]
    with np.errstate(all="ignore"):
        got = program.function(*given, **{name: point.sizes[name] for name in program.sizes})
    for part, root in zip((got,) if len(roots) == 1 else got, roots, strict=True):
        truth = point.value(root)
        scale = max(point.scale, float(abs(truth).max(initial=0)))
        error = _error(np.asarray(part), truth, scale)
        if error > PASSES:
            raise CheckFailed(
                f"the program of {title} gives other numbers than its formula (relative error "
                f"{error:.1e}); it is not printed. Please report this formula."
            )


def _part(
    D: Derivative | Gradients, direction: str | None
) -> tuple[Node | tuple[Node, ...], tuple[Variable, ...], str]:
    from wrt.answers.several import Gradients

    return D.part() if isinstance(D, Gradients) else D.part(direction=direction)


class Point(NamedTuple):
    """Where a derivative is computed: small numbers for large sizes, sizes by name, and values."""

    small: Mapping[Dimension, Dimension]
    sizes: Mapping[str, int]
    values: Mapping[str, Array]
    #: what errors are compared with
    scale: float

    def value(self, node: Node) -> Array:
        """The value of a formula of the question."""
        return evaluate(resized(node, self.small), self.values, self.sizes)


def point_of(D: Derivative) -> Point | None:
    """The first point of the check of a derivative."""
    xs = [one.by for one in D.wanted]
    small = small_dimensions(D.f, xs)
    f, whole, formula, *by = (resized(n, small) for n in (D.f, D.whole, D.formula, *xs))
    found = place(f, by, whole)
    if found is None:
        return None
    sizes, values = found
    truth = evaluate(formula, values, sizes)
    size = float(abs(evaluate(f, values, sizes)).max(initial=0))
    scale = max(float(abs(truth).max(initial=0)), 1e-3 * min(1.0, size), 1e-300)
    return Point(small, sizes, values, scale)


def _error(got: Array, wanted: Array, scale: float) -> float:
    """The largest difference; that of what is no number is infinite."""
    error = float(abs(got - wanted).max(initial=0)) / scale
    return error if error == error else float("inf")


def _said(D: Derivative, truth: Array) -> Iterator[tuple[str, Array]]:
    """The forms of an answer, each with what it should be."""
    for text in (D.matrix, D.index):
        if text is not None:
            yield text, truth
    if D.layout is not None or truth.ndim < 3:
        return
    axes = tuple(range(truth.ndim))
    rows, columns = axes[: D.rows], axes[D.rows :]
    for order, turn in (("rows", 1), ("columns", -1)):
        text = D.kronecker(order)
        if text is not None:
            laid = truth.transpose((*rows[::turn], *columns[::turn]))
            height = 1
            for size in laid.shape[: D.rows]:
                height *= size
            yield text, laid.reshape(height, -1)


class _Reader:
    """Reads texts beside a question and computes them at one point."""

    def __init__(self, around: Context, point: Point) -> None:
        self.around, self.point = around, point

    def value(self, text: str, shape: Sequence[int]) -> Array | None:
        """What a text is as an array of a shape; None where it cannot be read, or has a size that
        nothing tells."""
        try:
            node = resized(self.around.read(text).formula, self.point.small)
        except Mistake:
            return None
        free = [name for name in dimension_names(node) if name not in self.point.sizes]
        pool = sorted({*shape, *range(1, LARGEST)})
        for guess in cartesian(pool, repeat=len(free)) if len(free) < 3 else ():
            sizes = {**self.point.sizes, **dict(zip(free, guess, strict=True))}
            sides = [dim.size(sizes) for dim in node.dims]
            if [s for s in sides if s != 1] == [s for s in shape if s != 1]:
                return evaluate(node, self.point.values, sizes).reshape(shape)
        return None
