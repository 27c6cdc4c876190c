"""Solving with tensors of the same formula, shapes and types again and again: what is known then.

A Newton step with new arrays computes matrices, factorises them and solves. Which programs compute
them, what their forms show, and how right sides are turned was found for the first arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from wrt.answers.structured.factors import FEW_ROWS, Solver, at_once, factorised, is_at_once
from wrt.answers.structured.systems import MANY, Block, Kronecker
from wrt.programs.quiet import silent

if TYPE_CHECKING:
    from wrt.answers.structured.frame import Frame, Route
    from wrt.answers.structured.tensor import Structured

__all__ = ["laying", "route"]

Laying = Callable[[Any], Any]
Shape = tuple[int, ...]


def route(frame: Frame, found: Kronecker) -> Route | None:
    """How tensors of a frame that was solved with are solved with again, for right sides of their
    own type, one at a time; None where it is no product of systems of one matrix each, or of one
    for each entry of tied axes.
    """
    if not found.blocks or frame.backend != "numpy" or frame.dtype != frame.like.dtype:
        return None
    ready = [frame.ready.get(b.matrix) for b in found.blocks if b.thin is None and b.sparse is None]
    if len(ready) < len(found.blocks) or not all(known and known[1] for known in ready):
        return None
    factors = [Factor(frame, block) for block in found.blocks]
    work = _one(factors[0], frame, found) if len(factors) == 1 else _several(factors, frame, found)
    kind, dtype, shape, room = type(frame.like), frame.like.dtype, frame.row_shape, silent()

    def solved(tensor: Structured, right: Any) -> Any:
        if type(right) is not kind or right.dtype is not dtype or right.shape != shape:
            return None
        try:
            x = room.copy().run(work, tensor, right)
        except Exception:  # it will be raised again, and told
            return None
        flat = x.ravel("K")
        highest = flat.item(flat.argmax())
        if highest == highest:
            return x
        tensor.solvers = None  # they may be no numbers
        return None

    return solved


class Factor:
    """A factor of the product: the program of its matrix."""

    def __init__(self, frame: Frame, block: Block) -> None:
        self.run, names, is_new = frame.ready[block.matrix]
        self.places = [frame.names.index(name) for name in names]
        self.library, self.dtype, self.known = frame.library, frame.like.dtype, block.known
        self.formed = (*block.shape, block.height)
        self.is_spare = is_new and block.height > FEW_ROWS
        self.is_shaped = tuple(d.value for d in block.matrix.dims) == self.formed

    def factorised(self, arrays: Sequence[Any]) -> Solver:
        """What solves with its matrix at some arrays."""
        again = partial(self.matrix, arrays) if self.is_spare else None
        return factorised(self.library, self.matrix(arrays), self.known, again)

    def matrix(self, arrays: Sequence[Any]) -> Any:
        """Its matrix, or many."""
        made = self.run(*[arrays[place] for place in self.places])
        if not self.is_shaped:
            made = made.reshape(self.formed)
        return made if made.dtype is self.dtype else made.astype(self.dtype)


def _one(factor: Factor, frame: Frame, found: Kronecker) -> Route:
    """A single factor: what most systems are."""
    enter, leave = _layings(frame, found)
    *_, height, width = _filled(found.turns[0].laid, prod(frame.row_shape))
    is_definite = factor.known == "definite"
    is_single = (is_definite or factor.known == "symmetric") and len(factor.formed) == 2
    together = is_single and height > 1 and is_at_once(height, width, factor.dtype)

    def work(tensor: Structured, right: Any) -> Any:
        b, solvers = enter(right), tensor.solvers
        if solvers is None:
            if together:
                matrix = factor.matrix(tensor.arrays)
                first = at_once(matrix, b, factor.is_spare, is_definite)
                if first is not None:
                    tensor.solvers = first[:1]
                    return leave(first[1])
            tensor.solvers = solvers = (factor.factorised(tensor.arrays),)
        return leave(solvers[0].solve(b))

    return work


def _several(factors: Sequence[Factor], frame: Frame, found: Kronecker) -> Route:
    """Factors that are solved one after another."""
    *enter, leave = _layings(frame, found)

    def work(tensor: Structured, right: Any) -> Any:
        if tensor.solvers is None:
            tensor.solvers = tuple([factor.factorised(tensor.arrays) for factor in factors])
        for laid, solver in zip(enter, tensor.solvers, strict=True):
            right = solver.solve(laid(right))
        return leave(right)

    return work


def _layings(frame: Frame, found: Kronecker) -> list[Laying]:
    """How a right side is laid out for each factor, and the solution at last."""
    size, now, steps = prod(frame.row_shape), frame.row_shape, []
    apart = (1, *frame.axes[: frame.rows])
    for turn in found.turns:
        laid = _filled(turn.laid, size)
        steps.append(laying(now, apart, turn.order, laid))
        now, apart = laid, _filled(turn.made, size)
    return [*steps, laying(now, apart, found.last, frame.column_shape)]


def laying(now: Shape, apart: Shape, order: Shape, laid: Shape) -> Laying:
    """An array of one shape with its axes apart, in another order, in another shape, in as few
    words as that takes.

    >>> import numpy as np
    >>> x = np.zeros((2, 6))
    >>> laying((2, 6), (1, 2, 6), (2, 0, 1), (6, 2))(x).shape
    (6, 2)
    """
    wide = [axis for axis, size in enumerate(apart) if size != 1]
    runs: list[list[int]] = []
    for place in (wide.index(axis) for axis in order if axis in wide):
        if runs and runs[-1][-1] == place - 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    if len(runs) < 2:
        return (lambda x: x) if now == laid else (lambda x: x.reshape(laid))
    firsts = sorted(run[0] for run in runs)
    turned = tuple(firsts.index(run[0]) for run in runs)
    merged = tuple(prod(apart[wide[place]] for place in run) for run in sorted(runs))
    if turned == (1, 0) and now == merged and laid == merged[::-1]:
        return attrgetter("T")
    return lambda x: x.reshape(merged).transpose(turned).reshape(laid)


def _filled(shape: Shape, size: int) -> Shape:
    """A shape with the axis that was left open."""
    known = prod(length for length in shape if length != MANY)
    return tuple(size // known if length == MANY else length for length in shape)
