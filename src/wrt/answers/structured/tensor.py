"""A derivative with its arrays bound: a tensor that is used without being formed.

Every operation makes a formula and runs its program; there is no second algebra. Terms of sums
stay apart, so that deltas and outer products are never laid out. Formulas and programs are kept,
so that what is done a second time is only run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from math import prod
from typing import Any, NamedTuple

from wrt import programs
from wrt.algebra import normal_form
from wrt.algebra.definite import definite
from wrt.answers.parts import unused
from wrt.answers.structured import operations as said
from wrt.answers.structured.arrays import Library, library, width
from wrt.answers.structured.calling import Product, Setting, Times
from wrt.answers.structured.operations import BATCH, VECTOR
from wrt.errors import ShapeMistake, ValueMistake
from wrt.expression.dataclass import dataclass, replace
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import holds_complex, variables
from wrt.programs.watching import COMPUTED

#: An array of NumPy, JAX or PyTorch.
Array = Any

__all__ = ["Structured", "Ways"]


class Ways(NamedTuple):
    """Formulas of the map and of the transposed map that cost less than products with the tensor;
    each with the variable that stands for what comes in.
    """

    apply: tuple[Node, Variable] | None = None
    pullback: tuple[Node, Variable] | None = None


#: Products with the tensor itself are the way.
PLAIN = Ways()


@dataclass(frozen=True, eq=False)
class Structured:
    """A tensor as a formula and the arrays of its names; the first `rows` axes are those of f.

    The arrays are NumPy's, JAX's or PyTorch's, and so are the results. What `apply`, `pullback`
    and `solve` take may stand many at once along leading axes.

    >>> from wrt import derivative
    >>> D = derivative("W*x", "W").compile(structured=True)(W=[[1, 2], [3, 4]], x=[5, 6])
    >>> D.shape, D.apply([[1, 0], [0, 1]]), float(D.norm())
    ((2, 2, 2), array([5., 6.]), 11.045361017187261)
    """

    formula: Node
    values: Mapping[str, Any]
    rows: int
    limit: int = programs.MOST_ENTRIES
    backend: str = "numpy"
    like: Any = None
    ways: Ways = PLAIN
    #: how many axes of the formula are laid end to end in each axis, where some are
    groups: tuple[int, ...] = ()

    @cached_property
    def axes(self) -> tuple[int, ...]:
        """The sizes of the axes of the formula, of which `rows` are those of the rows."""
        return tuple(d.value or 0 for d in self.formula.dims)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return self.row_shape + self.column_shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.groups) or self.formula.ndim

    @property
    def size(self) -> int:
        """The number of entries, zeros counted."""
        return prod(self.shape)

    @cached_property
    def dtype(self) -> Any:
        """The type of the entries."""
        if not holds_complex(self.formula):
            return self.like.dtype
        words = self.library.words
        return self.library.cast(
            self.like, words.complex64 if self._single else words.complex128
        ).dtype

    @cached_property
    def library(self) -> Library:
        """The array library that the arrays are of."""
        return library(self.backend)

    @cached_property
    def row_shape(self) -> tuple[int, ...]:
        """The sizes of the axes of f, which `apply` gives."""
        return _laid(self.axes[: self.rows], self._row_groups)

    @cached_property
    def column_shape(self) -> tuple[int, ...]:
        """The sizes of the axes of the variable, which `apply` takes."""
        return _laid(self.axes[self.rows :], self.groups[len(self._row_groups) :])

    @cached_property
    def _row_groups(self) -> tuple[int, ...]:
        """Those of the groups that the rows are."""
        found, count = [], 0
        for size in self.groups:
            if count == self.rows:
                break
            found.append(size)
            count += size
        return tuple(found)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a structured tensor without axes has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Structured]:
        return (self[k] for k in range(len(self)))

    def __reduce__(self) -> tuple[object, ...]:
        told = (self.formula, dict(self.values), self.rows, self.limit, self.backend, self.like)
        return (Structured, (*told, self.ways, self.groups))

    def __repr__(self) -> str:
        rows = " × ".join(map(str, self.row_shape)) or "scalar"
        columns = " × ".join(map(str, self.column_shape)) or "scalar"
        return f"<structured ({rows}) × ({columns})>"

    # As a linear map

    def apply(self, direction: Any, /) -> Array:
        """The product with a tensor shaped as the last axes: a Jacobian times a vector."""
        line = self._lines.get(False) or self._line(False)
        found = None if line is None else line.of(direction)
        return self._times("the direction", direction, False) if found is None else found

    def pullback(self, gradient: Any, /) -> Array:
        """The product of a tensor shaped as the first axes with this one: a vector times it."""
        line = self._lines.get(True) or self._line(True)
        found = None if line is None else line.of(gradient)
        return self._times("the gradient", gradient, True) if found is None else found

    def _times(self, name: str, value: Any, transposed: bool) -> Array:
        taken, made = self.column_shape, self.row_shape
        if transposed:
            taken, made = made, taken
        v, lead = self.library.shaped(name, value, taken, self.like)
        if v.dtype == self.like.dtype and not lead and not self.groups:
            line = self._lines.get(transposed) or self._line(transposed)
            return (line or self._prepared(name, transposed))(v)
        node, variable = self._product(transposed, bool(lead), _is_complex(v))
        count = prod(lead)
        v = v.reshape(tuple(count if d.value is None else d.value for d in variable.dims))
        found = self._run(node, {variable.name: v}, {BATCH: count} if lead else None)
        return found.reshape((*lead, *made)) if lead or self.groups else found

    @cached_property
    def _lines(self) -> dict[bool, Times]:
        """Products that were asked for: of the columns, and of the rows."""
        return {}

    def _line(self, transposed: bool) -> Times | None:
        """A product with arrays of the tensor's own type, where tensors of these shapes know it."""
        product = self._products.get(transposed)
        if product is None:
            return None
        times = self._lines[transposed] = Times(product, self.values)
        return times

    def _prepared(self, name: str, transposed: bool) -> Times:
        """A product with arrays of the tensor's own type, known to all tensors of these shapes."""
        setting = Setting(self.library, self.like, self.limit)
        way = self._product(transposed, False, False)
        product = self._products[transposed] = Product(way, name, setting)
        times = self._lines[transposed] = Times(product, self.values)
        return times

    @cached_property
    def _products(self) -> dict[bool, Product]:
        """What the products of tensors of these shapes have in common."""
        return {}

    def at(self, values: Mapping[str, Any]) -> Structured:
        """The tensor with other arrays of the same shapes and types: what they tell is known."""
        made, known = object.__new__(Structured), self._known.copy()
        known["_known"], known["values"], known["_lines"] = self._known, values, {}
        object.__setattr__(made, "__dict__", known)
        return made

    @cached_property
    def _known(self) -> dict[str, Any]:
        """What does not depend on the entries of arrays."""
        for name in _SHARED:
            getattr(self, name)
        mine = self.__dict__
        return {name: mine[name] for name in (*self.__match_args__, *_SHARED)}

    def _product(self, transposed: bool, batch: bool, complex_: bool) -> tuple[Node, Variable]:
        """The formula of a product, and what the tensor is multiplied by in it."""
        way = self.ways.pullback if transposed else self.ways.apply
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
        how, and where the tensor is singular.
        """
        route = self._routes.get(True)
        found = None if route is None else route(self, right)
        return self._system.solve(right) if found is None else found

    def logdet(self) -> Array:
        """The logarithm of the absolute value of the determinant, where `solve` is known."""
        return self._system.logdet()

    @cached_property
    def _system(self) -> Any:
        from wrt.answers.structured.solving import system

        copy = self.at(self.values)  # what it keeps does not keep it
        copy.__dict__["_solvers"] = self.__dict__.get("_solvers")
        return system(copy)

    @cached_property
    def _routes(self) -> dict[bool, Any]:
        """How tensors of these shapes are solved with again, once it is known (True)."""
        return {}

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
        groups = self._sides[0] + other._sides[1]
        return self._made(node, values, self.rows, groups)

    @property
    def T(self) -> Structured:
        """The transposed map: rows and columns exchanged."""
        node = said.transposed(self.formula, self.rows)
        ways = Ways(self.ways.pullback, self.ways.apply)
        groups, rows = self._sides[1] + self._sides[0], len(self.axes) - self.rows
        if self.backend == "numpy":
            groups = groups if self.groups else ()
            return _alike(node, rows, self.limit, self.like.dtype, ways, groups).at(self.values)
        return replace(self, formula=node, rows=rows, ways=ways, groups=groups)

    def identity(self) -> Structured:
        """The identity between tensors shaped as the last axes: `H + 0.1 * H.identity()`."""
        dims = self.formula.dims[self.rows :]
        return self._made(said.identity(dims), {}, len(dims), 2 * self._sides[1])

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
        return self._made(said.added(self.formula, formula), values, self.rows, self.groups)

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
            return self._made(node, self.values, self.rows, self.groups)
        if isinstance(factor, float) and factor < 0:
            return -(self * -factor)
        value = self.library.taken("the factor", factor, self.like)
        known = ("positive",) if isinstance(factor, float) and factor > 0 else ()
        kind = ("complex",) if _is_complex(value) else known
        name = unused("c", list(self.values))
        node = said.scaled(self.formula, said.number(name, kind))
        return self._made(node, {**self.values, name: value}, self.rows, self.groups)

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
        """A part, axes counted from 0 as in NumPy: whole numbers, slices with any step."""
        keys = said.keys_of(key, self.shape)
        groups: tuple[int, ...] = ()
        if self.groups:
            groups = tuple(
                g for g, k in zip(self.groups, keys, strict=True) if not isinstance(k, int)
            )
            keys = said.inner_keys(keys, self.groups, self.axes)
        rows = sum(not isinstance(k, int) for k in keys[: self.rows])
        node = said.section(self.formula, keys)
        return self._made(node, self.values, rows, groups)

    def norm(self) -> Array:
        """The square root of the sum of the squares of all entries."""
        nodes = said.squares(self.formula)
        words = self.library.words
        if self.backend != "numpy":
            (square,) = self._run_all(nodes[:1])
            return words.sqrt(words.abs(square))
        square, *each = self._run_all(nodes)
        lost = (1e-3 if self._single else 1e-6) * len(each) * sum(abs(one) for one in each)
        if each and not abs(square) > lost:  # the terms nearly cancel: from the entries then
            from wrt.answers.structured.entries import entries

            return words.asarray(words.linalg.norm(entries(self, self.limit).data))
        return words.asarray(words.sqrt(words.abs(square)))

    def diagonal(self) -> Array:
        """The entries whose first axes and last axes agree."""
        return self._run(self._tied(True), {}).reshape(self.row_shape)

    def trace(self) -> Array:
        """The sum of the diagonal."""
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
        return found.reshape(self.shape) if self.groups else found

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
        """Whether the form shows that rows and columns may be exchanged."""
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
        program = self._programs.get((node, limit))
        if program is None:
            program = programs.compile(node, self.backend, limit=limit)
            self._programs[node, limit] = program
        self._seen  # noqa: B018  # refuses what is bound, the first time
        given = {**self.values, **more}
        single = self._single and all(width(v) <= 4 for v in more.values())
        result = program.bare(given, sizes, 4 if single else 8)
        if not isinstance(node, tuple):
            return self.library.own(result, given, single)
        results = result if len(node) > 1 else (result,)
        return [self.library.own(r, given, single) for r in results]

    def _value(self, node: Node) -> Any:
        """A formula of what is bound, for what is computed with it: it may be a part of that."""
        known = self._ready.get(node)
        if known is None:
            names = variables(node)
            program = programs.compile(node, self.backend, names, limit=self.limit, brisk=True)
            known = program.ready(width(self.like)), [v.name for v in names], program.is_new
            self._ready[node] = known
        run, wanted, _ = known
        result = run(*[self.values[name] for name in wanted])
        if hasattr(result, "dtype") and result.dtype == self.like.dtype:
            return result
        if not wanted:  # nothing told its program the type
            return self.library.taken("a constant", result, self.like)
        return self.library.own(result, self.values, self._single)

    @cached_property
    def _ready(self) -> dict[Node, tuple[Callable[..., Any], list[str], bool]]:
        """Programs of formulas that need no more than what is bound, its names in order, and
        whether what they give shares no memory with that.
        """
        return {}

    @cached_property
    def _programs(self) -> dict[tuple[Any, int], programs.Program]:
        """The programs that were run."""
        return {}

    @cached_property
    def _sides(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """How many axes of the formula stand in each axis of the rows and of the columns."""
        if not self.groups:
            return (1,) * self.rows, (1,) * (len(self.axes) - self.rows)
        count = len(self._row_groups)
        return self.groups[:count], self.groups[count:]

    def _made(
        self, formula: Node, values: Mapping[str, Any], rows: int, groups: tuple[int, ...] = ()
    ) -> Structured:
        """Another tensor of the same library, with the values that it needs."""
        used = {v.name for v in formula.names}
        kept = {name: value for name, value in values.items() if name in used}
        plain = () if all(count == 1 for count in groups) else groups
        if self.backend == "numpy":
            return _alike(formula, rows, self.limit, self.like.dtype, PLAIN, plain).at(kept)
        return replace(self, formula=formula, values=kept, rows=rows, ways=PLAIN, groups=plain)

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


#: What tensors of arrays of the same shapes and types share.
_SHARED = (
    *("axes", "library", "row_shape", "column_shape", "_single"),
    *("_programs", "_products", "_ready", "_routes"),
)


@lru_cache(maxsize=256)
def _alike(
    formula: Node, rows: int, limit: int, kind: Any, ways: Ways, groups: tuple[int, ...]
) -> Structured:
    """What tensors of one formula share, however often they are put together anew."""
    like = library("numpy").words.zeros((), kind)
    return Structured(formula, {}, rows, limit, "numpy", like, ways, groups)


def _laid(sizes: tuple[int, ...], groups: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of axes, some of them laid end to end."""
    if not groups:
        return sizes
    starts = [sum(groups[:k]) for k in range(len(groups))]
    return tuple(prod(sizes[s : s + g]) for s, g in zip(starts, groups, strict=True))


def _is_complex(array: Any) -> bool:
    if hasattr(array, "is_complex"):
        return bool(array.is_complex())
    return bool(array.dtype.kind == "c")
