"""Several tensors as one linear map: a Jacobian or a Hessian by all variables at once.

What comes in and goes out is a tuple, one array for each variable. A product of two maps, as J' J
of a step by Gauss and Newton, stays a product until its blocks are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from wrt.answers.structured.entries import is_zero
from wrt.answers.structured.tensor import Array, Structured
from wrt.errors import ShapeMistake, TooLarge, ValueMistake
from wrt.expression.dataclass import dataclass, replace

if TYPE_CHECKING:
    from wrt.answers.structured.elimination import Elimination

__all__ = ["Array", "Joint", "apart", "joined_blocks"]

Shape = tuple[int, ...]
Row = tuple[Structured | None, ...]


@dataclass(frozen=True, eq=False)
class Joint:
    """Rows of blocks, None where all entries are zero, with products of such maps added to them.

    What `apply`, `pullback` and `solve` take and give is a tuple of arrays, one for each variable;
    one array where all rows are those of f (`rows_apart`, `columns_apart`: tuples stand there).

    >>> from wrt import gradients
    >>> second = gradients("x'*A*y + y'*y", ("x", "x"), ("x", "y"), ("y", "y"))
    >>> H = second.compile(structured=True).joint(A=[[1, 2], [3, 4]], x=[1, 0], y=[0, 1])
    >>> H, H.solve(([1, 0], [0, 1]))
    (<joint (2) + (2) by (2) + (2)>, (array([-11.,   5.]), array([-2. ,  1.5])))
    """

    blocks: tuple[Row, ...]
    row_shapes: tuple[Shape, ...]
    column_shapes: tuple[Shape, ...]
    one: Structured
    rows_apart: bool = True
    columns_apart: bool = True
    products: tuple[tuple[Joint, Joint], ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """How many entries go out and come in."""
        return sum(map(prod, self.row_shapes)), sum(map(prod, self.column_shapes))

    def __repr__(self) -> str:
        sides = (
            " + ".join(f"({' × '.join(map(str, shape))})" for shape in shapes)
            for shapes in (self.row_shapes, self.column_shapes)
        )
        return f"<joint {' by '.join(sides)}>"

    # As a linear map

    def apply(self, direction: Any, /) -> Any:
        """The product with a tuple of arrays shaped as the variables; many along leading axes."""
        given = self._taken("the direction", direction, self.column_shapes, self.columns_apart)
        return self._given(self._applied(given), self.rows_apart)

    def pullback(self, gradient: Any, /) -> Any:
        """The product of a tuple of arrays shaped as what goes out with the map."""
        return self.T.apply(gradient)

    def _applied(self, given: Sequence[Array]) -> list[Array]:
        words, found = self.one.library.words, list[Array]()
        lead = given[0].shape[: given[0].ndim - len(self.column_shapes[0])] if given else ()
        between = [left._applied(right._applied(given)) for left, right in self.products]
        for place, (row, shape) in enumerate(zip(self.blocks, self.row_shapes, strict=True)):
            parts = [b.apply(v) for b, v in zip(row, given, strict=True) if b is not None]
            parts += [product[place] for product in between]
            zero = words.zeros((*lead, *shape), dtype=self.one.like.dtype)
            found.append(sum(parts[1:], parts[0]) if parts else zero)
        return found

    def _taken(self, name: str, value: Any, shapes: Sequence[Shape], apart: bool) -> list[Array]:
        """The arrays of one side, many at once along the same leading axes."""
        several = [value] if not apart else value
        if apart and not isinstance(value, tuple | list):
            raise ShapeMistake(f"{name} is a tuple of {len(shapes)} arrays, one for each variable")
        if len(several) != len(shapes):
            raise ShapeMistake(f"{name} has {len(several)} arrays, wanted {len(shapes)}")
        library, like = self.one.library, self.one.like
        found = [
            library.shaped(name, one, shape, like)
            for one, shape in zip(several, shapes, strict=True)
        ]
        if len({lead for _, lead in found}) > 1:
            raise ShapeMistake(f"the arrays of {name} have different leading axes")
        return [array for array, _ in found]

    def laid(self, arrays: Sequence[Array]) -> Array:
        """Many tuples along the first axis, each laid end to end."""
        rows = [a.reshape((len(a), prod(a.shape[1:]))) for a in arrays]
        return self.one.library.words.concatenate(rows, 1) if len(rows) > 1 else rows[0]

    def _given(self, found: Sequence[Array], apart: bool) -> Any:
        return tuple(found) if apart else found[0]

    @property
    def T(self) -> Joint:
        """The transposed map."""
        turned = [
            tuple(None if row[k] is None else row[k].T for row in self.blocks)  # type: ignore[union-attr]
            for k in range(len(self.column_shapes))
        ]
        return replace(
            self,
            blocks=tuple(turned),
            row_shapes=self.column_shapes,
            column_shapes=self.row_shapes,
            rows_apart=self.columns_apart,
            columns_apart=self.rows_apart,
            products=tuple((right.T, left.T) for left, right in self.products),
        )

    def __matmul__(self, other: Any) -> Any:
        """One map after another; of arrays, the product with them."""
        if not isinstance(other, Joint):
            return self.apply(other)
        if self.column_shapes != other.row_shapes:
            raise ShapeMistake(f"{self} and {other} do not meet")
        empty = self._without(len(self.row_shapes), len(other.column_shapes))
        return replace(
            self,
            blocks=empty,
            column_shapes=other.column_shapes,
            columns_apart=other.columns_apart,
            products=((self, other),),
        )

    @staticmethod
    def _without(rows: int, columns: int) -> tuple[Row, ...]:
        return ((None,) * columns,) * rows

    def identity(self) -> Joint:
        """The identity between tuples shaped as the variables."""
        from wrt.answers.structured import operations as said
        from wrt.expression.dimensions import Dimension

        count = len(self.column_shapes)
        rows = [list(row) for row in self._without(count, count)]
        for k, shape in enumerate(self.column_shapes):
            node = said.identity(tuple(map(Dimension.of, shape)))
            rows[k][k] = self.one._made(node, {}, len(shape))
        return replace(
            self,
            blocks=tuple(map(tuple, rows)),
            row_shapes=self.column_shapes,
            rows_apart=self.columns_apart,
            products=(),
        )

    def __add__(self, other: Any) -> Joint:
        if not isinstance(other, Joint):
            raise ShapeMistake(
                "a joint map is added to joint maps with +", hint="identity() is one to scale"
            )
        if (self.row_shapes, self.column_shapes) != (other.row_shapes, other.column_shapes):
            raise ShapeMistake(f"{self} and {other} are not of one shape")
        blocks = tuple(
            tuple(map(_sum_of, one, two))
            for one, two in zip(self.blocks, other.blocks, strict=True)
        )
        return replace(self, blocks=blocks, products=self.products + other.products)

    def __neg__(self) -> Joint:
        return self * -1

    def __sub__(self, other: Any) -> Joint:
        return self + (-other if isinstance(other, Joint) else other)

    def __mul__(self, factor: Any) -> Joint:
        """Every entry times a number."""
        blocks = tuple(tuple(None if b is None else b * factor for b in row) for row in self.blocks)
        products = tuple((left * factor, right) for left, right in self.products)
        return replace(self, blocks=blocks, products=products)

    __rmul__ = __mul__

    def __truediv__(self, factor: Any) -> Joint:
        if isinstance(factor, Structured | Joint):
            return NotImplemented
        if isinstance(factor, int | float) and not factor:
            raise ValueMistake(f"{self} cannot be divided by zero")
        scaled: Joint = self * (1.0 / factor)
        return scaled

    # As blocks

    @cached_property
    def opened(self) -> Joint:
        """The same with its products multiplied out, block by block."""
        found = replace(self, products=())
        for left, right in self.products:
            one, two = left.opened.blocks, right.opened.blocks
            columns = range(len(right.column_shapes))
            blocks = tuple(
                tuple(_product(row, [below[k] for below in two]) for k in columns) for row in one
            )
            found = found + replace(found, blocks=blocks)
        return found

    def diagonal(self) -> tuple[Array, ...]:
        """The diagonal of each block on the diagonal."""
        self._refuse_oblong()
        words, dtype = self.one.library.words, self.one.like.dtype
        own = [row[k] for k, row in enumerate(self.opened.blocks)]
        return tuple(
            words.zeros(shape, dtype=dtype) if block is None else block.diagonal()
            for block, shape in zip(own, self.row_shapes, strict=True)
        )

    def trace(self) -> Array:
        """The sum of the diagonal."""
        return sum(one.sum() for one in self.diagonal())

    def norm(self) -> Array:
        """The square root of the sum of the squares of all entries."""
        words = self.one.library.words
        squares = [b.norm() ** 2 for row in self.opened.blocks for b in row if b is not None]
        return words.sqrt(sum(squares, words.zeros_like(self.one.like)))

    def dense(self, limit: int | None = None) -> Array:
        """Every entry as one matrix, the arrays of each side laid end to end; raises TooLarge
        beyond `limit` of them.
        """
        most = self.one.limit if limit is None else limit
        if prod(self.shape) > most:
            raise TooLarge(f"{self} would have {prod(self.shape):,} entries, more than {most:,}")
        words, rows = self.one.library.words, []
        for row, above in zip(self.opened.blocks, self.row_shapes, strict=True):
            pieces = []
            for block, below in zip(row, self.column_shapes, strict=True):
                sizes = prod(above), prod(below)
                zero = words.zeros(sizes, dtype=self.one.like.dtype)
                pieces.append(zero if block is None else block.dense().reshape(sizes))
            rows.append(words.concatenate(pieces, 1))
        return words.concatenate(rows, 0)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        import numpy as np

        if copy is False:
            raise ValueError("a joint map has no array that is not made")  # as NumPy says
        return np.asarray(self.dense(), dtype)

    def sparse(self, format: str = "csr") -> Any:  # noqa: A002  # SciPy's
        """The map as SciPy's sparse array, the arrays of each side laid end to end."""
        from scipy.sparse import block_array, coo_array

        sizes = [prod(shape) for shape in self.column_shapes]
        rows = []
        for row, shape in zip(self.opened.blocks, self.row_shapes, strict=True):
            empty = (coo_array((prod(shape), size)) for size in sizes)
            rows.append([e if b is None else b.sparse() for b, e in zip(row, empty, strict=True)])
        return block_array(rows, format=format)

    def linear_operator(self) -> Any:
        """The map as SciPy's LinearOperator, the arrays of each side laid end to end."""
        from scipy.sparse.linalg import LinearOperator

        if self.one.backend != "numpy":
            raise ValueMistake(f"SciPy's operators are of NumPy, and {self} of {self.one.backend}")
        back = self.T

        def product(one: Joint, v: Array) -> Array:
            return one.laid(one._applied(apart(v.reshape(1, -1), one.column_shapes)))[0]

        return LinearOperator(
            self.shape,
            matvec=lambda v: product(self, v),
            rmatvec=lambda g: product(back, g.conj()).conj(),
            dtype=self.one.dtype,
        )

    def to(self, backend: str) -> Joint:
        """The same map with its arrays in another library: "numpy", "jax" or "torch"."""
        from wrt.answers.structured.exports import as_tree

        if backend == "jax":
            as_tree()
        return replace(
            self,
            blocks=tuple(
                tuple(None if b is None else b.to(backend) for b in row) for row in self.blocks
            ),
            one=self.one.to(backend),
            products=tuple((left.to(backend), right.to(backend)) for left, right in self.products),
        )

    # As a system

    def solve(self, right: Any, /) -> Any:
        """The arrays that `apply` takes to these: by few entries in each row; by eliminating the
        variables whose own block is solved with (Schur's complement of the others, which are
        small); by a small system for a product with few numbers in between (Woodbury); as one
        matrix of a million entries at most. ValueMistake where it is none of these, or singular.
        """
        given = self._taken("the right side", right, self.row_shapes, self.rows_apart)
        return self._given(self._way.solve(given), self.columns_apart)

    def logdet(self) -> Array:
        """The logarithm of the absolute value of the determinant, where `solve` is known."""
        return self._way.logdet()

    @cached_property
    def _seen(self) -> bool:
        """That no NaN is bound."""
        parts = [part for product in self.products for part in product]
        return all(b._seen for row in self.blocks for b in row if b is not None) and all(
            part._seen for part in parts
        )

    @cached_property
    def _way(self) -> Elimination:
        from wrt.answers.structured.elimination import Elimination

        self._refuse_oblong()
        return Elimination(self)

    def _refuse_oblong(self) -> None:
        if self.row_shapes != self.column_shapes:
            raise ShapeMistake(f"{self} is not square")


def apart(matrix: Array, shapes: Iterable[Shape]) -> list[Array]:
    """The arrays that stand end to end in each row."""
    found, start = [], 0
    for shape in shapes:
        end = start + prod(shape)
        found.append(matrix[:, start:end].reshape((len(matrix), *shape)))
        start = end
    return found


def _sum_of(one: Structured | None, other: Structured | None) -> Structured | None:
    return other if one is None else one if other is None else one + other


def _product(row: Row, column: Sequence[Structured | None]) -> Structured | None:
    """A row of blocks times a column of them."""
    found: Structured | None = None
    for one, other in zip(row, column, strict=True):
        if one is not None and other is not None:
            found = _sum_of(found, one @ other)
    return found


def joined_blocks(asked: Sequence[tuple[Sequence[str], Structured]]) -> Joint:
    """The map of several derivatives, each with what it is by: the first ones as one Jacobian, or
    the second ones of a number as one Hessian; mixed ones hold in either order.
    """
    order = max(len(names) for names, _ in asked)
    own = {tuple(names): tensor for names, tensor in asked if len(names) == order}
    one = next(iter(own.values()))
    if order == 1:
        shapes = tuple(tensor.column_shape for tensor in own.values())
        row = tuple(None if is_zero(t.formula) else t for t in own.values())
        return Joint((row,), (one.row_shape,), shapes, one, rows_apart=False)
    names = list(dict.fromkeys(name for pair in own for name in pair))
    blocks = tuple(tuple(_block(own, above, below) for below in names) for above in names)
    shapes = tuple(_shape_of(own, name) for name in names)
    return Joint(blocks, shapes, shapes, one)


def _shape_of(own: dict[tuple[str, ...], Structured], name: str) -> Shape:
    above = next((t.row_shape for pair, t in own.items() if pair[0] == name), None)
    if above is not None:
        return above
    return next(t.column_shape for pair, t in own.items() if pair[1] == name)


def _block(own: dict[tuple[str, ...], Structured], above: str, below: str) -> Structured | None:
    """A block, or the transposed one across the diagonal."""
    found = own.get((above, below))
    if found is None and (below, above) in own:
        found = own[below, above].T
    if found is None:
        raise ValueMistake(
            f"the derivative by {above} and {below} is missing among those that are one map: "
            f'gradients(f, …, ("{above}", "{below}")) has it'
        )
    return None if is_zero(found.formula) else found
