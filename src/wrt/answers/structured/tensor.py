"""A derivative with its arrays bound: a tensor that is used without being formed.

Every operation makes a formula and runs its program; there is no second algebra. Terms of sums
stay apart, so that deltas and outer products are never laid out. Formulas and programs are kept,
so that what is done a second time is only run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from wrt import programs
from wrt.algebra import normal_form
from wrt.algebra.definite import definite
from wrt.answers.parts import unused
from wrt.answers.structured import operations as said
from wrt.answers.structured.arrays import Library, width
from wrt.answers.structured.calling import First, Line, Product, Times, Unknown
from wrt.answers.structured.frame import PLAIN, Frame, Ways, alike
from wrt.answers.structured.operations import BATCH, VECTOR
from wrt.errors import ShapeMistake, ValueMistake
from wrt.expression.dataclass import replace
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import variables
from wrt.programs.watching import COMPUTED

if TYPE_CHECKING:
    from wrt.answers.structured.factors import Solver

#: An array of NumPy, JAX or PyTorch.
Array = Any

__all__ = ["Structured"]


class Structured:
    """A tensor as a formula and the arrays of its names; the first `rows` axes are those of f.

    The arrays are NumPy's, JAX's or PyTorch's, and so are the results. What `apply`, `pullback`
    and `solve` take may stand many at once along leading axes.

    >>> from wrt import derivative
    >>> D = derivative("W*x", "W").compile(structured=True)(W=[[1, 2], [3, 4]], x=[5, 6])
    >>> D.shape, D.apply([[1, 0], [0, 1]]), float(D.norm())
    ((2, 2, 2), array([5., 6.]), 11.045361017187261)

    A Hessian is composed, solved with and looked into, and is not formed:

    >>> quadratic = derivative("norm2(A*x)^2", "x", "x").compile(structured=True)
    >>> H = quadratic(A=[[1, 2], [0, 1]], x=[1, 1])
    >>> H, H.is_symmetric, H.definite
    (<structured (2) × (2)>, True, 1)
    >>> H.pullback([1, 0]), (H.T @ H).apply([1, 0]), (2 * H + H.identity()).dense()
    (array([2., 4.]), array([20., 48.]), array([[ 5.,  8.],
           [ 8., 21.]]))
    >>> H.solve([2, 4]).round(9) + 0, round(float(H.logdet()), 9)
    (array([1., 0.]), 1.386294361)
    >>> H.trace(), H.diagonal(), H[0].dense()
    (array(12.), array([ 2., 10.]), array([2., 4.]))
    >>> H.sparse().nnz, H.linear_operator().shape, H.to("numpy").dtype
    (4, (2, 2), dtype('float64'))
    """

    def __init__(self, frame: Frame, arrays: tuple[Any, ...]) -> None:
        self.frame, self.arrays = frame, arrays

    #: what gives the next product, by the columns and by the rows, once there was one
    forward: Line | None = None
    backward: Line | None = None

    @property
    def formula(self) -> Node:
        """The formula, over the names of the arrays."""
        return self.frame.formula

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """The arrays by their names."""
        return dict(zip(self.frame.names, self.arrays, strict=True))

    @property
    def rows(self) -> int:
        """How many axes of the formula are those of f."""
        return self.frame.rows

    @property
    def limit(self) -> int:
        """The most entries that an array may have."""
        return self.frame.limit

    @property
    def backend(self) -> str:
        """The name of the array library."""
        return self.frame.backend

    @property
    def library(self) -> Library:
        """The array library that the arrays are of."""
        return self.frame.library

    @property
    def like(self) -> Any:
        """A number of the type of the arrays."""
        return self.frame.like

    @property
    def dtype(self) -> Any:
        """The type of the entries."""
        return self.frame.dtype

    @property
    def axes(self) -> tuple[int, ...]:
        """The sizes of the axes of the formula, of which `rows` are those of the rows."""
        return self.frame.axes

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The sizes of the axes of f, which `apply` gives."""
        return self.frame.row_shape

    @property
    def column_shape(self) -> tuple[int, ...]:
        """The sizes of the axes of the variable, which `apply` takes."""
        return self.frame.column_shape

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return self.row_shape + self.column_shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of entries, zeros counted."""
        return prod(self.shape)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a structured tensor without axes has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Structured]:
        return (self[k] for k in range(len(self)))

    def __reduce__(self) -> tuple[object, ...]:
        frame = self.frame
        told = [getattr(frame, name) for name in frame.__match_args__]
        return (_again, (told, self.arrays))

    def __repr__(self) -> str:
        rows = " × ".join(map(str, self.row_shape)) or "scalar"
        columns = " × ".join(map(str, self.column_shape)) or "scalar"
        return f"<structured ({rows}) × ({columns})>"

    # As a linear map

    def apply(self, direction: Any, /) -> Array:
        """The product with a tensor shaped as the last axes: a Jacobian times a vector. Raises
        ShapeMistake for any other shape, ValueMistake for NaN.

        >>> from wrt import derivative
        >>> J = derivative("X'", "X").compile(structured=True)(X=[[1, 2, 3], [4, 5, 6]])
        >>> J.apply([[0, 1, 0], [0, 0, 2]])
        array([[0., 0.],
               [1., 0.],
               [0., 2.]])
        """
        found = (self.forward or self.frame.forward).of(self, direction)
        return self._times("the direction", direction, False) if found is None else found

    def pullback(self, gradient: Any, /) -> Array:
        """The product of a tensor shaped as the first axes with this one: a vector times it."""
        found = (self.backward or self.frame.backward).of(self, gradient)
        return self._times("the gradient", gradient, True) if found is None else found

    def _times(self, name: str, value: Any, transposed: bool) -> Array:
        frame = self.frame
        taken, made = frame.column_shape, frame.row_shape
        if transposed:
            taken, made = made, taken
        v, lead = frame.library.shaped(name, value, taken, frame.like)
        if v.dtype == frame.like.dtype and not lead and not frame.groups:
            return self._counted(name, transposed).any(self, v)
        node, variable = self._product(transposed, bool(lead), _is_complex(v))
        count = prod(lead)
        v = v.reshape(tuple(count if d.value is None else d.value for d in variable.dims))
        found = self._run(node, {variable.name: v}, {BATCH: count} if lead else None)
        return found.reshape((*lead, *made)) if lead or frame.groups else found

    def _counted(self, name: str, transposed: bool) -> Times:
        """Products with arrays of the tensor's own type, known to all tensors of its frame."""
        place, frame = "backward" if transposed else "forward", self.frame
        known = getattr(self, place)
        if isinstance(known, Times):
            return known
        if isinstance(getattr(frame, place), Unknown):
            way = self._product(transposed, False, False)
            setattr(frame, place, First(Product(way, name, frame, frame.variables), place))
        times = Times(getattr(frame, place).product, self.arrays, int(known is not None))
        setattr(self, place, times)
        return times

    def _product(self, transposed: bool, batch: bool, complex_: bool) -> tuple[Node, Variable]:
        """The formula of a product, and what the tensor is multiplied by in it."""
        ways = self.frame.ways
        way = ways.pullback if transposed else ways.apply
        if way is not None and not batch and not complex_:
            return way
        axes = range(self.formula.ndim)
        summed = tuple(axes[: self.rows] if transposed else axes[self.rows :])
        word = unused(VECTOR, list(self.values))
        return said.product(self.formula, summed, word, batch, complex_)

    def solve(self, right: Any, /) -> Array:
        """The tensor that `apply` takes to this one, where the structure tells how.

        Diagonal and block diagonal tensors, Kronecker products and permutations are solved block
        by block, equal blocks once, symmetric definite ones by Cholesky's factorisation; with
        products of few columns added by Woodbury's identity; sums as A ⊗ B + c I and A X + X B by
        eigenvectors or triangular forms; what has few entries in each row as a band, or by
        SuperLU. What is factorised is kept. Raises ValueMistake where the structure does not tell
        how, and where the tensor is singular; ShapeMistake where it is not square.

        >>> from wrt import derivative
        >>> S = derivative("A*X*B", "X").compile(structured=True)
        >>> S(A=[[2, 0], [0, 1]], B=[[4, 0], [0, 1]], X=[[0, 0], [0, 0]]).solve([[8, 2], [4, 1]])
        array([[1., 1.],
               [1., 1.]])
        """
        found = self.frame.route(self, right)
        return self._system.solve(right) if found is None else found

    def logdet(self) -> Array:
        """The logarithm of the absolute value of the determinant, where `solve` is known."""
        return self._system.logdet()

    @cached_property
    def _system(self) -> Any:
        from wrt.answers.structured.solving import system

        copy = Structured(self.frame, self.arrays)  # what it keeps does not keep it
        copy.solvers = self.solvers
        return system(copy)

    #: what solves with its matrices, one for each factor of a product, once they are factorised
    solvers: Sequence[Solver] | None = None

    # Composed

    def __matmul__(self, other: Any) -> Any:
        """One map after another; of an array, the product with its first axes."""
        if isinstance(other, Structured):
            return self._after(other)
        columns = self.column_shape
        if getattr(other, "shape", None) == columns:
            return self.apply(other)
        v = self.library.taken("the array", other, self.like)
        inner, more = len(columns), v.ndim - len(columns)
        if more < 0 or tuple(v.shape[:inner]) != columns:
            raise ShapeMistake(f"the axes {columns} meet an array of shape {tuple(v.shape)}")
        if not more:
            return self.apply(v)
        turned = self.library.permuted(v, [*range(inner, v.ndim), *range(inner)])
        found = self.apply(turned)
        return self.library.permuted(found, [*range(more, found.ndim), *range(more)])

    def __rmatmul__(self, other: Any) -> Array:
        """An array times the map: the product with its last axes."""
        return self.pullback(other)

    __array_ufunc__ = None  # NumPy arrays leave the operators to us

    def _after(self, other: Structured) -> Structured:
        inner = len(self.axes) - self.rows
        if self.column_shape != other.row_shape:
            raise ShapeMistake(f"the axes {self.column_shape} meet {other.row_shape}")
        if self.axes[self.rows :] != other.axes[: other.rows]:
            raise ShapeMistake(f"{self} and {other} are laid end to end in other ways")
        formula, values = self._beside(other)
        node = said.composed(self.formula, self.rows, formula, inner)
        groups = self.frame.sides[0] + other.frame.sides[1]
        return self._made(node, values, self.rows, groups)

    @property
    def T(self) -> Structured:
        """The transposed map: rows and columns exchanged."""
        node = said.transposed(self.formula, self.rows)
        frame, ways = self.frame, self.frame.ways
        groups = frame.sides[1] + frame.sides[0] if frame.groups else ()
        turned = Ways(ways.pullback, ways.apply)
        rows = len(self.axes) - self.rows
        return self._framed(node, rows, groups, turned).over(self.values)

    def identity(self) -> Structured:
        """The identity between tensors shaped as the last axes: `H + 0.1 * H.identity()`."""
        dims = self.formula.dims[self.rows :]
        return self._made(said.identity(dims), {}, len(dims), 2 * self.frame.sides[1])

    # As a tensor

    def __add__(self, other: Any) -> Structured:
        if not isinstance(other, Structured):
            raise ShapeMistake(
                "a structured tensor is added to structured tensors with +",
                hint="identity() is one to scale and add; dense() gives an array",
            )
        if (self.row_shape, self.column_shape) != (other.row_shape, other.column_shape):
            raise ShapeMistake(f"{self} and {other} are not of one shape")
        if self.axes != other.axes:
            raise ShapeMistake(f"{self} and {other} are laid end to end in other ways")
        formula, values = self._beside(other)
        return self._made(said.added(self.formula, formula), values, self.rows, self.frame.groups)

    def __neg__(self) -> Structured:
        return self * -1

    def __sub__(self, other: Any) -> Structured:
        return self + (-other if isinstance(other, Structured) else other)

    def __radd__(self, other: Any) -> Structured:
        """What `sum` begins with is 0."""
        return self if type(other) is int and other == 0 else self + other

    def __rsub__(self, other: Any) -> Structured:
        return (-self).__radd__(other)

    def __mul__(self, factor: Any) -> Structured:
        """Every entry times a number."""
        if isinstance(factor, Structured) or getattr(factor, "shape", ()) != ():
            raise ShapeMistake(
                "a structured tensor is multiplied by numbers with *",
                hint="@ composes it with another, and applies it to an array",
            )
        if isinstance(factor, int) and not isinstance(factor, bool):
            node = said.scaled(self.formula, factor)
            return self._made(node, self.values, self.rows, self.frame.groups)
        if isinstance(factor, float) and factor < 0:
            return -(self * -factor)
        value = self.library.taken("the factor", factor, self.like)
        known = ("positive",) if isinstance(factor, float) and factor > 0 else ()
        kind = ("complex",) if _is_complex(value) else known
        name = unused("c", list(self.values))
        node = said.scaled(self.formula, said.number(name, kind))
        return self._made(node, {**self.values, name: value}, self.rows, self.frame.groups)

    __rmul__ = __mul__

    def __truediv__(self, factor: Any) -> Structured:
        if isinstance(factor, Structured):
            return NotImplemented
        if isinstance(factor, (int, float)):
            if not factor:
                raise ValueMistake(f"{self} cannot be divided by zero")
            return self * (1.0 / factor)
        divisor: Any = self.library.taken("the divisor", factor, self.like)
        scaled: Structured = self * (1 / divisor)
        return scaled

    def __getitem__(self, key: Any) -> Structured:
        """A part, axes counted from 0 as in NumPy: whole numbers, slices with any step. Raises
        ShapeMistake for what is none of these, outside an axis or empty.

        >>> from wrt import derivative
        >>> J = derivative("W*x", "W").compile(structured=True)(W=[[1, 2], [3, 4]], x=[5, 6])
        >>> J[0].dense(), J[:, 1, ::-1].dense()
        (array([[5., 6.],
               [0., 0.]]), array([[0., 0.],
               [6., 5.]]))
        """
        keys = said.keys_of(key, self.shape)
        groups: tuple[int, ...] = ()
        if self.frame.groups:
            groups = tuple(
                g for g, k in zip(self.frame.groups, keys, strict=True) if not isinstance(k, int)
            )
            keys = said.inner_keys(keys, self.frame.groups, self.axes)
        rows = sum(not isinstance(k, int) for k in keys[: self.rows])
        node = said.section(self.formula, keys)
        return self._made(node, self.values, rows, groups)

    def norm(self) -> Array:
        """The square root of the sum of the squares of all entries.

        >>> from wrt import derivative
        >>> J = derivative("W*x", "W").compile(structured=True)(W=[[1, 2]] * 4, x=[3, 4])
        >>> float(J.norm())
        10.0
        """
        nodes = said.squares(self.formula)
        words = self.library.words
        if self.backend != "numpy":
            (square,) = self._run_all(nodes[:1])
            return words.sqrt(words.abs(square))
        square, *each = self._run_all(nodes)
        lost = (1e-3 if self.frame.single else 1e-6) * len(each) * sum(abs(one) for one in each)
        if each and not abs(square) > lost:  # the terms nearly cancel: from the entries then
            from wrt.answers.structured.entries import entries

            return words.asarray(words.linalg.norm(entries(self, self.limit).data))
        return words.asarray(words.sqrt(words.abs(square)))

    def diagonal(self) -> Array:
        """The entries whose first axes and last axes agree; ShapeMistake where it is not square.

        >>> from wrt import derivative
        >>> H = derivative("sum(x.^3)/6", "x", "x").compile(structured=True)(x=[1, 2, 3])
        >>> H.diagonal(), float(H.trace())
        (array([1., 2., 3.]), 6.0)
        """
        return self._run(self._tied(True), {}).reshape(self.row_shape)

    def trace(self) -> Array:
        """The sum of the diagonal; ShapeMistake where it is not square."""
        return self._run(self._tied(False), {})

    def _tied(self, kept: bool) -> Node:
        if self.row_shape != self.column_shape:
            raise ShapeMistake(f"{self} is not square")
        if self.axes[: self.rows] != self.axes[self.rows :]:
            raise ShapeMistake(f"rows and columns of {self} are laid end to end in other ways")
        return said.tied(self.formula, self.rows, kept)

    # As arrays

    def dense(self, limit: int | None = None) -> Array:
        """Every entry; raises TooLarge beyond `limit` of them."""
        found = self._run(self.formula, {}, limit=limit)
        return found.reshape(self.shape) if self.frame.groups else found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        import numpy as np

        if copy is False:
            raise ValueError("a structured tensor has no array that is not made")  # as NumPy says
        return np.asarray(self.dense(), dtype)

    def linear_operator(self) -> Any:
        """The map as SciPy's LinearOperator, between tensors laid end to end."""
        from wrt.answers.structured.exports import linear_operator

        return linear_operator(self)

    def lineax(self) -> Any:
        """The map as an operator of lineax, between tensors of JAX; symmetric ones are tagged."""
        from wrt.answers.structured.exports import lineax_operator

        return lineax_operator(self)

    def sparse(self, format: str = "csr", limit: int | None = None) -> Any:  # noqa: A002  # SciPy's
        """The map as SciPy's sparse array between tensors laid end to end, from the structure:
        zeros are never laid out. Raises TooLarge beyond `limit` entries.

        >>> from wrt import derivative
        >>> J = derivative("W*x", "W").compile(structured=True)(W=[[1, 2], [3, 4]], x=[5, 6])
        >>> J.sparse().nnz, J.sparse("coo").shape
        (4, (2, 4))
        """
        from wrt.answers.structured.entries import entries

        found = entries(self, self.limit if limit is None else limit)
        made = found.tocsr()
        made.eliminate_zeros()
        return made.asformat(format)

    def to(self, backend: str) -> Structured:
        """The same tensor with its arrays in another library: "numpy", "jax" or "torch"."""
        from wrt.answers.structured.exports import moved

        return moved(self, backend)

    # What the form shows

    @cached_property
    def is_symmetric(self) -> bool:
        """Whether the form shows that rows and columns may be exchanged.

        >>> from wrt import derivative
        >>> H = derivative("norm2(A*x)^2", "x", "x").compile(structured=True)(A=[[1, 2]], x=[1, 1])
        >>> H.is_symmetric, H.definite, (H + 0.1 * H.identity()).definite
        (True, 1, 2)
        """
        if self.axes[: self.rows] != self.axes[self.rows :]:
            return False
        return normal_form(self.T.formula) is normal_form(self.formula)

    @cached_property
    def definite(self) -> int:
        """2 and 1 where the form shows a positive definite and semidefinite map, -2 and -1 a
        negative one; 0 where it shows nothing.
        """
        return definite(self.formula) if self.is_symmetric else 0

    # How it runs

    @cached_property
    def _seen(self) -> bool:
        """That no NaN is bound; products look for it in what they give."""
        for v in self.formula.names if self.backend == "numpy" else ():
            if COMPUTED not in v.properties:
                self.library.plain(v.name, self.values[v.name])
        return True

    @cached_property
    def _single(self) -> bool:
        return width(self.like) <= 4

    def _run(
        self,
        node: Node,
        more: Mapping[str, Any],
        sizes: Mapping[str, int] | None = None,
        limit: int | None = None,
    ) -> Array:
        return self._ran(node, more, sizes or {}, self.limit if limit is None else limit)

    def _run_all(self, nodes: Sequence[Node]) -> list[Array]:
        found: list[Array] = self._ran(tuple(nodes), {}, {}, self.limit)
        return found

    def _ran(self, node: Any, more: Mapping[str, Any], sizes: Mapping[str, int], limit: int) -> Any:
        program = self.frame.programs.get((node, limit))
        if program is None:
            program = programs.compile(node, self.backend, limit=limit)
            self.frame.programs[node, limit] = program
        self._seen  # noqa: B018  # refuses what is bound, the first time
        given = {**self.values, **more}
        single = self.frame.single and all(width(v) <= 4 for v in more.values())
        result = program.bare(given, sizes, 4 if single else 8)
        if not isinstance(node, tuple):
            return self.library.own(result, given, single)
        results = result if len(node) > 1 else (result,)
        return [self.library.own(r, given, single) for r in results]

    def _value(self, node: Node) -> Any:
        """A formula of what is bound, for what is computed with it: it may be a part of that."""
        known = self.frame.ready.get(node)
        if known is None:
            names = variables(node)
            program = programs.compile(node, self.backend, names, limit=self.limit, brisk=True)
            known = program.ready(width(self.like)), [v.name for v in names], program.is_new
            self.frame.ready[node] = known
        run, wanted, _ = known
        result = run(*[self.values[name] for name in wanted])
        if hasattr(result, "dtype") and result.dtype == self.like.dtype:
            return result
        if not wanted:  # nothing told its program the type
            return self.library.taken("a constant", result, self.like)
        return self.library.own(result, self.values, self.frame.single)

    def _made(
        self, formula: Node, values: Mapping[str, Any], rows: int, groups: tuple[int, ...] = ()
    ) -> Structured:
        """Another tensor of the same library, with the values that it needs."""
        plain = () if all(count == 1 for count in groups) else groups
        return self._framed(formula, rows, plain).over(values)

    def _framed(
        self, formula: Node, rows: int, groups: tuple[int, ...], ways: Ways = PLAIN
    ) -> Frame:
        frame = self.frame
        if frame.backend == "numpy":
            told = frame.limit, frame.like.dtype, ways, groups, frame.computes
            return alike(formula, rows, *told)
        return replace(frame, formula=formula, rows=rows, ways=ways, groups=groups)

    def _beside(self, other: Structured) -> tuple[Node, dict[str, Any]]:
        """The formula of another with names of its own, and the values of both."""
        if self.backend != other.backend:
            raise ValueMistake(f"one tensor is of {self.backend}, the other of {other.backend}")
        if self.backend == "torch" and self.like.dtype != other.like.dtype:
            raise ValueMistake(
                f"one tensor is of {self.like.dtype}, the other of {other.like.dtype}"
            )
        values, moved = dict(self.values), list[tuple[Variable, str]]()
        for v in sorted(other.formula.names, key=lambda v: v.name):
            name, value = v.name, other.values[v.name]
            if name in values and (values[name] is not value or v not in self.formula.names):
                name = unused(name, [*values, *other.values])
                moved.append((v, name))
            values[name] = value
        return said.renamed(other.formula, tuple(moved)) if moved else other.formula, values


def _again(told: Sequence[Any], arrays: tuple[Any, ...]) -> Structured:
    return Structured(Frame(*told), arrays)


def _is_complex(array: Any) -> bool:
    if hasattr(array, "is_complex"):
        return bool(array.is_complex())
    return bool(array.dtype.kind == "c")
