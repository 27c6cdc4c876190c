"""What is printed is read like a claim and computed beside the derivative: the proof of the text.

The check of a derivative compares its formula with differences; this compares the sentences that
a person is shown with that formula, at a point of the check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product as cartesian
from typing import TYPE_CHECKING, Any

from wrt.answers.claims.claimed import Context, context
from wrt.answers.proof.points import place
from wrt.answers.proof.shrinking import small_dimensions
from wrt.errors import CheckFailed, Mistake
from wrt.expression.meaning import evaluate
from wrt.expression.walk import dimension_names, resized

if TYPE_CHECKING:
    import numpy as np

    from wrt.answers.answer import Derivative
    from wrt.expression.dimensions import Dimension

    Array = np.ndarray[Any, Any]

__all__ = ["refuse_misprints"]

#: The largest relative difference of a sentence that reads back.
PASSES = 1e-6
#: A size that nothing in a text tells is looked for up to this one.
LARGEST = 8


def refuse_misprints(D: Derivative) -> None:
    """Raise CheckFailed where a form of an answer, read back, has other numbers than the answer.

    >>> from wrt.answers import derivative
    >>> refuse_misprints(derivative("A*X*B", "X"))
    """
    xs = [one.by for one in D.wanted]
    small = small_dimensions(D.f, xs)
    f, whole, formula, *by = (resized(n, small) for n in (D.f, D.whole, D.formula, *xs))
    found = place(f, by, whole)
    if found is None:
        return
    sizes, values = found
    truth = evaluate(formula, values, sizes)
    size = float(abs(evaluate(f, values, sizes)).max(initial=0))
    scale = max(float(abs(truth).max(initial=0)), 1e-3 * min(1.0, size), 1e-300)
    reader = _Reader(context(D), small, values, sizes)
    for text, wanted in _said(D, truth):
        got = reader.value(text, wanted.shape)
        error = 0.0 if got is None else float(abs(got - wanted).max(initial=0)) / scale
        if error > PASSES:
            raise CheckFailed(
                f"{text}: read back, this form of {D.title} has other numbers than the derivative "
                f"(relative error {error:.1e}); no answer is given. Please report this formula."
            )


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

    def __init__(
        self,
        around: Context,
        small: Mapping[Dimension, Dimension],
        values: Mapping[str, Array],
        sizes: Mapping[str, int],
    ) -> None:
        self.around, self.small, self.values, self.sizes = around, small, values, sizes

    def value(self, text: str, shape: Sequence[int]) -> Array | None:
        """What a text is as an array of a shape; None where it cannot be read, or has a size that
        nothing tells."""
        try:
            node = resized(self.around.read(text).formula, self.small)
        except Mistake:
            return None
        free = [name for name in dimension_names(node) if name not in self.sizes]
        pool = sorted({*shape, *range(1, LARGEST)})
        for guess in cartesian(pool, repeat=len(free)) if len(free) < 3 else ():
            sizes = {**self.sizes, **dict(zip(free, guess, strict=True))}
            sides = [dim.size(sizes) for dim in node.dims]
            if [s for s in sides if s != 1] == [s for s in shape if s != 1]:
                return evaluate(node, self.values, sizes).reshape(shape)
        return None
