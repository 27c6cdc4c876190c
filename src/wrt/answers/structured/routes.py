"""Solving with tensors of the same formula, shapes and types again and again: what is known then.

A Newton step with new arrays computes a matrix, factorises it and solves. Which program computes
it, what its form shows, and how right sides are turned was found for the first arrays.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from wrt.answers.structured.factors import Solver, factorised
from wrt.answers.structured.systems import Kronecker
from wrt.programs.quiet import quietly
from wrt.programs.watching import is_suspicious

if TYPE_CHECKING:
    from wrt.answers.structured.tensor import Structured

__all__ = ["Route", "route"]


def route(D: Structured, found: Kronecker) -> Route | None:
    """How a tensor that was solved with is solved with again, with other arrays; None where it is
    no system of one matrix, or of one for each entry of tied axes.
    """
    if len(found.blocks) != 1 or D.backend != "numpy" or D.dtype != D.like.dtype:
        return None
    block = found.blocks[0]
    formed = block.thin is None and not block.sparse and block.matrix in D._ready
    return Route(D, found) if formed and D._ready[block.matrix][1] else None


class Route:
    """The way of all tensors of one formula, with right sides of their own type, one at a time."""

    def __init__(self, D: Structured, found: Kronecker) -> None:
        (self.block,), (turn,) = found.blocks, found.turns
        self.run, self.names, self.is_new = D._ready[self.block.matrix]
        self.formed = (*self.block.shape, self.block.height)
        self.library, self.kind, self.dtype = D.library, type(D.like), D.like.dtype
        # right sides as they come in, with their axes apart, turned, solved for, turned back
        self.taken, self.apart = D.row_shape, (1, *D.axes[: D.rows])
        self.order, self.laid, self.made = turn
        self.last, self.given = found.last, D.column_shape

    def __call__(self, D: Structured, right: Any) -> Any:
        """The solution; None where something asks for a closer look."""
        if type(right) is not self.kind or right.dtype != self.dtype or right.shape != self.taken:
            return None
        try:
            x = quietly(self._solved, D, right)
        except Exception:  # it will be raised again, and told
            return None
        return None if is_suspicious(x) else x

    def _solved(self, D: Structured, right: Any) -> Any:
        solver = D.__dict__.get("_solver")
        if solver is None:
            solver = D.__dict__["_solver"] = self._factorised(D.values)
        laid = right.reshape(self.apart).transpose(self.order).reshape(self.laid)
        x = solver.solve(laid).reshape(self.made).transpose(self.last)
        return x.reshape(self.given)

    def _factorised(self, values: Any) -> Solver:
        matrix = self._matrix(values)
        again = partial(self._matrix, values) if self.is_new else None
        return factorised(self.library, matrix, self.block.known, again)

    def _matrix(self, values: Any) -> Any:
        made = self.run(*[values[name] for name in self.names]).reshape(self.formed)
        return made if made.dtype == self.dtype else made.astype(self.dtype)
