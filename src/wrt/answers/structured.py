"""A derivative with its arrays bound: a tensor that is used without being formed.

Every operation makes a formula and runs its program; there is no second algebra. Terms of sums
stay apart, so that deltas and outer products are never laid out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

from wrt import programs
from wrt.answers.parts import unused
from wrt.answers.solving import solve
from wrt.answers.terms import joined, terms
from wrt.errors import ShapeMistake
from wrt.expression import build
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import substitute

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Structured"]


@dataclass(frozen=True, eq=False)
class Structured:
    """A tensor as a formula and the arrays of its names; the first `rows` axes are those of f.

    >>> from wrt import derivative
    >>> D = derivative("W*x", "W").compile(structured=True)(W=[[1, 2], [3, 4]], x=[5, 6])
    >>> D.shape, D.apply([[1, 0], [0, 1]]), float(D.norm())
    ((2, 2, 2), array([5., 6.]), 11.045361017187261)
    """

    formula: Node
    values: Mapping[str, Any]
    rows: int
    limit: int = programs.MOST_ENTRIES

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return tuple(d.value or 0 for d in self.formula.dims)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.formula.ndim

    def __repr__(self) -> str:
        rows = " × ".join(map(str, self.shape[: self.rows])) or "scalar"
        columns = " × ".join(map(str, self.shape[self.rows :])) or "scalar"
        return f"<structured ({rows}) × ({columns})>"

    # As a linear map

    def apply(self, direction: Any, /) -> Array:
        """The product with a tensor shaped as the last axes: a Jacobian times a vector."""
        columns = range(self.rows, self.ndim)
        return self._times(direction, columns, range(self.rows))

    def pullback(self, gradient: Any, /) -> Array:
        """The product of a tensor shaped as the first axes with this one: a vector times it."""
        return self._times(gradient, range(self.rows), range(self.rows, self.ndim))

    def _times(self, value: Any, summed: Sequence[int], kept: Sequence[int]) -> Array:
        v = self._fresh(tuple(self.formula.dims[k] for k in summed))
        ties = [((0, k), (1, place)) for place, k in enumerate(summed)]
        node = joined([terms(self.formula), terms(v)], ties, [(0, k) for k in kept])
        return self._run(node, {v.name: value})

    def solve(self, right: Any, /) -> Array:
        """The tensor that `apply` takes to this one, where the structure tells how.

        Diagonal, block diagonal and I ⊗ A are solved block by block, a block once where all are
        equal; such a tensor plus outer products by Woodbury. Raises ValueMistake elsewhere.
        """
        return solve(self, right)

    def __matmul__(self, other: Structured) -> Structured:
        """One map after another."""
        if not isinstance(other, Structured):
            return NotImplemented
        inner = self.ndim - self.rows
        if self.shape[self.rows :] != other.shape[: other.rows] or inner != other.rows:
            raise ShapeMistake(
                f"the axes {self.shape[self.rows :]} meet {other.shape[: other.rows]}"
            )
        formula, values = self._beside(other)
        ties = [((0, self.rows + k), (1, k)) for k in range(inner)]
        output = [(0, k) for k in range(self.rows)]
        output += [(1, k) for k in range(other.rows, other.ndim)]
        node = joined([terms(self.formula), terms(formula)], ties, output)
        return replace(self, formula=node, values=values)

    # As a tensor

    def __add__(self, other: Structured) -> Structured:
        if not isinstance(other, Structured):
            return NotImplemented
        if self.shape != other.shape or self.rows != other.rows:
            raise ShapeMistake(f"{self} and {other} are not of one shape")
        formula, values = self._beside(other)
        return replace(self, formula=build.add(self.formula, formula), values=values)

    def __sub__(self, other: Structured) -> Structured:
        return self + other * -1

    def __mul__(self, factor: float) -> Structured:
        """Every entry times a number."""
        c = self._fresh(())
        node = joined([terms(self.formula), terms(c)], [], [(0, k) for k in range(self.ndim)])
        return replace(self, formula=node, values={**self.values, c.name: float(factor)})

    __rmul__ = __mul__

    def __getitem__(self, key: Any) -> Structured:
        """A part, axes counted from 0 as in NumPy."""
        keys = key if isinstance(key, tuple) else (key,)
        first = sum(not isinstance(k, int) for k in keys[: self.rows])
        rows = first + max(0, self.rows - len(keys))
        return replace(self, formula=self.formula[key], rows=rows)

    def norm(self) -> Array:
        """The square root of the sum of the squares of all entries."""
        import numpy as np

        both = terms(self.formula)
        ties = [((0, k), (1, k)) for k in range(self.ndim)]
        return np.sqrt(np.maximum(self._run(joined([both, both], ties, []), {}), 0))

    def diagonal(self) -> Array:
        """The entries whose first axes and last axes agree."""
        return self._run(self._tied([(0, k) for k in range(self.rows)]), {})

    def trace(self) -> Array:
        """The sum of the diagonal."""
        return self._run(self._tied([]), {})

    def _tied(self, output: Sequence[tuple[int, int]]) -> Node:
        if self.shape[: self.rows] != self.shape[self.rows :]:
            raise ShapeMistake(f"{self} is not square")
        ties = [((0, k), (0, self.rows + k)) for k in range(self.rows)]
        return joined([terms(self.formula)], ties, output)

    # As arrays

    def dense(self, limit: int | None = None) -> Array:
        """Every entry; raises TooLarge beyond `limit` of them."""
        return self._run(self.formula, {}, self.limit if limit is None else limit)

    def linear_operator(self) -> Any:
        """The map as SciPy's LinearOperator, between tensors laid end to end."""
        from scipy.sparse.linalg import LinearOperator

        rows, columns = self.shape[: self.rows], self.shape[self.rows :]
        return LinearOperator(
            (prod(rows), prod(columns)),
            matvec=lambda v: self.apply(v.reshape(columns)).reshape(-1),
            rmatvec=lambda v: self.pullback(v.reshape(rows)).reshape(-1),
            dtype=float,
        )

    def sparse(self, limit: int | None = None) -> Any:
        """The map as SciPy's sparse matrix, its zeros dropped; formed once, within the limit."""
        from scipy.sparse import csr_array

        rows = prod(self.shape[: self.rows])
        return csr_array(self.dense(limit).reshape(rows, -1))

    # How it runs

    def _run(
        self, node: Node, more: Mapping[str, Any], limit: int = programs.MOST_ENTRIES
    ) -> Array:
        known = {**self.values, **more}
        program = programs.compile(node, limit=limit)
        moved = {v.name for v in node.names}
        result: Array = program({name: known[name] for name in known if name in moved})
        return result

    def _fresh(self, dims: tuple[Any, ...]) -> Variable:
        """A name that nothing here bears."""
        return Variable(unused("v", list(self.values)), dims)

    def _beside(self, other: Structured) -> tuple[Node, dict[str, Any]]:
        """The formula of another with names of its own, and the values of both."""
        values, moved = dict(self.values), dict[Variable, Node]()
        for v in other.formula.names:
            name, value = v.name, other.values[v.name]
            if name in values and values[name] is not value:
                name = unused(name, [*values, *other.values])
                moved[v] = Variable(name, v.dims, v.properties)
            values[name] = value
        return substitute(other.formula, moved) if moved else other.formula, values
