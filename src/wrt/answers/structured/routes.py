"""Solving with tensors of the same formula, shapes and types again and again: what is known then.

A Newton step with new arrays computes matrices, factorises them and solves. Which programs compute
them, what their forms show, and how right sides are turned was found for the first arrays.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from wrt.answers.structured.factors import Solver, factorised
from wrt.answers.structured.systems import Block, Kronecker, Turn
from wrt.programs.quiet import quietly
from wrt.programs.watching import is_suspicious

if TYPE_CHECKING:
    from wrt.answers.structured.tensor import Structured

__all__ = ["Route", "route"]


def route(D: Structured, found: Kronecker) -> Route | None:
    """How a tensor that was solved with is solved with again, with other arrays; None where it is
    no product of systems of one matrix each, or of one for each entry of tied axes.
    """
    if not found.blocks or D.backend != "numpy" or D.dtype != D.like.dtype:
        return None
    formed = all(b.thin is None and not b.sparse and b.matrix in D._ready for b in found.blocks)
    named = formed and all(D._ready[b.matrix][1] for b in found.blocks)
    return Route(D, found) if named else None


class Factor:
    """A factor of the product: the program of its matrix, and how its right sides are laid out."""

    def __init__(self, D: Structured, block: Block, turn: Turn) -> None:
        self.run, self.names, self.is_new = D._ready[block.matrix]
        self.library, self.dtype, self.known = D.library, D.like.dtype, block.known
        self.formed = (*block.shape, block.height)
        self.order, self.laid, self.made = turn

    def factorised(self, values: Any) -> Solver:
        """What solves with its matrix at some arrays."""
        matrix = self._matrix(values)
        again = partial(self._matrix, values) if self.is_new else None
        return factorised(self.library, matrix, self.known, again)

    def _matrix(self, values: Any) -> Any:
        made = self.run(*[values[name] for name in self.names]).reshape(self.formed)
        return made if made.dtype == self.dtype else made.astype(self.dtype)


class Route:
    """The way of all tensors of one formula, with right sides of their own type, one at a time."""

    def __init__(self, D: Structured, found: Kronecker) -> None:
        pairs = zip(found.blocks, found.turns, strict=True)
        self.factors = [Factor(D, block, turn) for block, turn in pairs]
        self.kind, self.dtype = type(D.like), D.like.dtype
        # right sides as they come in, with their axes apart, and as they go out
        self.taken, self.apart = D.row_shape, (1, *D.axes[: D.rows])
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
        solvers = D.__dict__.get("_solvers")
        if solvers is None:
            solvers = [factor.factorised(D.values) for factor in self.factors]
            D.__dict__["_solvers"] = solvers
        x = right.reshape(self.apart)
        for factor, solver in zip(self.factors, solvers, strict=True):
            laid = x.transpose(factor.order).reshape(factor.laid)
            x = solver.solve(laid).reshape(factor.made)
        return x.transpose(self.last).reshape(self.given)
