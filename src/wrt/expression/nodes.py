"""The kinds of node that a formula is made of: closed, immutable, hash-consed.

Equal nodes are identical: every constructor looks its node up by a structural digest that is the
same in every process. Nothing here recurses over depth, so a chain of ten thousand nodes is made,
printed, pickled, copied and freed like any other. Nodes follow NumPy in Python: `W @ x`, `x * y`,
`W.T`, `x[0]`.

Reading order: `Node`, then the kinds: `Variable`, `Constant`, `Pattern`, `Einsum`, `Sum`,
`BoundedSum`, `Apply`, `Result`, `Reshape`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from wrt.expression import interning
from wrt.expression.canonical import Layout, arranged, ordered
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.dataclass import dataclass
from wrt.expression.dimensions import Dimension

if TYPE_CHECKING:
    from wrt.expression.function import Function, Signature

__all__ = [
    "COMPLEX",
    "LOOP",
    "RANGE",
    "SYMMETRIC",
    "WORD",
    "Apply",
    "BoundedSum",
    "Constant",
    "Einsum",
    "Exponent",
    "Factor",
    "Node",
    "Pattern",
    "Relation",
    "Reshape",
    "Result",
    "Scan",
    "Sum",
    "Variable",
    "whole",
]

Dims = tuple[Dimension, ...]


#: What a formula can hold: the number i, a word that abbreviates a sentence, Σ or Π over a range,
#: a recurrence, a call that wants a symmetric matrix.
COMPLEX, WORD, RANGE, LOOP, SYMMETRIC = 1, 2, 4, 8, 16


class Node:
    """A formula: a tensor-valued expression with named dimensions.

    `dims` are its axes, `children` the nodes it is made of, `names` its free variables, `digest`
    its identity.
    """

    __slots__ = ("__weakref__", "children", "digest", "dims", "holds", "names", "settled")
    __array_ufunc__ = None  # NumPy arrays leave the operators to us
    dims: Dims
    children: tuple[Node, ...]
    names: frozenset[Variable]
    digest: bytes
    #: what occurs somewhere inside, as a sum of `COMPLEX`, `WORD`, `RANGE`, …
    holds: int
    #: what the algebra has found out: in which of its normal forms this is
    settled: int

    #: the fields, in the order of the constructor, that pickling and rebuilding use
    fields: ClassVar[tuple[str, ...]] = ()
    #: whether the free variables are others than those of the children
    binds: ClassVar[bool] = False

    @classmethod
    def _intern(
        cls, said: str, children: tuple[Node, ...], dims: Dims, holds: int = 0, **fields: Any
    ) -> Any:
        digest = interning.digest_of(f"{cls.__name__}{said}".encode(), children)
        node = interning.find(digest)
        if node is not None:
            return node
        node = object.__new__(cls)
        for name, value in fields.items():
            setattr(node, name, value)
        return node._kept(digest, children, dims, holds)

    def _kept(self, digest: bytes, children: tuple[Node, ...], dims: Dims, holds: int = 0) -> Any:
        """This node, with what all kinds have, as the one of its digest."""
        self.digest, self.children, self.dims, self.settled = digest, children, dims, 0
        names: frozenset[Variable] = _NO_NAMES
        for child in children:
            holds |= child.holds
            more = child.names
            if more is not names and not more <= names:
                names = more if names <= more else names | more
        self.holds, self.names = holds, self._free(names) if self.binds else names
        return interning.keep(digest, self)

    def _free(self, names: frozenset[Variable]) -> frozenset[Variable]:
        """The free variables, given those of the children."""
        return names

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.dims)

    @property
    def shape(self) -> tuple[int | str, ...]:
        """The axes as text and whole numbers, as in ('n', 4)."""
        return tuple(d.value if d.value is not None else str(d) for d in self.dims)

    def rebuild(self, children: Sequence[Node]) -> Node:
        """The same kind of node over other children of the same dimensions."""
        raise NotImplementedError

    def __copy__(self) -> Node:
        return self

    def __deepcopy__(self, memo: object) -> Node:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        from wrt.expression.walk import flattened, unflattened

        return (unflattened, (flattened(self),))

    def __repr__(self) -> str:
        from wrt.expression.walk import outline

        return outline(self)

    # Python follows NumPy: the operators are those of expression.build.

    def __add__(self, other: Any) -> Node:
        return build.plus(self, other)

    def __radd__(self, other: Any) -> Node:
        return build.plus(other, self)

    def __sub__(self, other: Any) -> Node:
        return build.plus(self, build.negative(other))

    def __rsub__(self, other: Any) -> Node:
        return build.plus(other, build.negative(self))

    def __neg__(self) -> Node:
        return build.negative(self)

    def __pos__(self) -> Node:
        return self

    def __mul__(self, other: Any) -> Node:
        return build.multiply(self, other)

    def __rmul__(self, other: Any) -> Node:
        return build.multiply(other, self)

    def __truediv__(self, other: Any) -> Node:
        return build.divide(self, other)

    def __rtruediv__(self, other: Any) -> Node:
        return build.divide(other, self)

    def __pow__(self, exponent: Any) -> Node:
        return build.power(self, exponent)

    def __rpow__(self, base: Any) -> Node:
        return build.power(base, self)

    def __matmul__(self, other: Any) -> Node:
        return build.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Node:
        return build.matmul(other, self)

    def __getitem__(self, key: Any) -> Node:
        return build.getitem(self, key)

    def __iter__(self) -> Any:
        raise TypeError("a formula has named dimensions and cannot be iterated over")

    def __bool__(self) -> bool:
        raise TypeError("a formula has no truth value; compare formulas with `is`")

    @property
    def T(self) -> Node:
        """The transpose: the axes in reverse order."""
        return build.transpose(self)


_NO_NAMES: frozenset[Any] = frozenset()


class Variable(Node):
    """A named tensor that the person gives, with the properties that they declare of it."""

    __slots__ = ("name", "properties")
    name: str
    properties: frozenset[str]
    fields = ("name", "dims", "properties")
    binds = True

    def __new__(
        cls, name: str, dims: Iterable[Dimension], properties: Iterable[str] = ()
    ) -> Variable:
        dims, properties = tuple(dims), frozenset(properties)
        said = repr((name, [str(d) for d in dims], sorted(properties)))
        made: Variable = cls._intern(said, (), dims, name=name, properties=properties)
        return made

    def _free(self, names: frozenset[Variable]) -> frozenset[Variable]:
        return frozenset({self})

    def rebuild(self, children: Sequence[Node]) -> Node:
        return self


class Constant(Node):
    """An exact scalar: a fraction, the size of a dimension, π, the imaginary unit, their powers."""

    __slots__ = ("coefficient",)
    coefficient: Coefficient
    fields = ("coefficient",)

    def __new__(cls, coefficient: Coefficient) -> Constant:
        said, holds = f"({coefficient._text!r},)", COMPLEX * coefficient.is_imaginary
        made: Constant = cls._intern(said, (), (), holds, coefficient=coefficient)
        return made

    def rebuild(self, children: Sequence[Node]) -> Node:
        return self


@dataclass(frozen=True)
class Relation:
    """`Σ factor·i_position + constant` is zero (`==`) or not negative (`>=`); indices
    count from 0.
    """

    terms: tuple[tuple[int, int], ...]
    constant: Dimension
    kind: str = "=="

    def __str__(self) -> str:
        left = " + ".join(f"{c}*i{p}" for p, c in self.terms)
        return f"{left} + {self.constant} {self.kind} 0"


class Pattern(Node):
    """A tensor of zeros and ones: one where every relation of the indices holds."""

    __slots__ = ("relations",)
    relations: tuple[Relation, ...]
    fields = ("dims", "relations")

    def __new__(cls, dims: Iterable[Dimension], relations: Iterable[Relation]) -> Pattern:
        dims = tuple(dims)
        relations = tuple(sorted(set(relations), key=str))
        said = repr(([str(d) for d in dims], [str(r) for r in relations]))
        made: Pattern = cls._intern(said, (), dims, relations=relations)
        return made

    def rebuild(self, children: Sequence[Node]) -> Node:
        return self


Exponent = int | Fraction  # whole exponents are ints
Factor = tuple[Node, Exponent, tuple[int, ...]]


def whole(exponent: Exponent) -> Exponent:
    """An exponent in its canonical type: an int where it is whole."""
    return exponent.numerator if exponent.denominator == 1 else exponent


class Einsum(Node):
    """A product of factors, summed over the indices that its output lacks.

    `out[output] = coefficient · Σ Π node[indices]**exponent`. An index may repeat in the output:
    the value stands on that diagonal and zero elsewhere. An output index that no factor carries
    repeats the value.

    The constructor only puts into canonical form; `build.product` melts, folds and flattens.
    """

    __slots__ = (
        "_factors",
        "coefficient",
        "exponents",
        "index_dims",
        "indices",
        "layout",
        "output",
    )
    coefficient: Coefficient
    exponents: tuple[Exponent, ...]
    indices: tuple[tuple[int, ...], ...]
    index_dims: Dims
    output: tuple[int, ...]
    layout: Layout
    _factors: tuple[Factor, ...] | None
    fields = ("coefficient", "factors", "output", "index_dims")

    def __new__(
        cls,
        coefficient: Coefficient,
        factors: Iterable[Factor],
        output: Sequence[int],
        index_dims: Sequence[Dimension],
    ) -> Einsum:
        out = tuple(output)
        found = ordered(list(factors), out)
        children, exponents, indices = zip(*found, strict=True) if found else ((), (), ())
        layout = arranged(exponents, indices, out, tuple(index_dims))
        return cls._laid_out(coefficient, children, layout)

    @classmethod
    def _laid_out(
        cls, coefficient: Coefficient, children: tuple[Node, ...], layout: Layout
    ) -> Einsum:
        head = layout.head if coefficient is ONE else layout.head_with(coefficient._text)
        digest = interning.digest_of(head, children)
        made: Any = interning.find(digest)
        if made is None:
            made = object.__new__(cls)
            made.coefficient, made.layout, made._factors = coefficient, layout, None
            made.exponents, made.indices = layout.exponents, layout.indices
            made.output, made.index_dims = layout.output, layout.index_dims
            holds = COMPLEX if coefficient.powers and coefficient.is_imaginary else 0
            made = made._kept(digest, children, layout.dims, holds)
        return made  # type: ignore[no-any-return]

    def scaled(self, coefficient: Coefficient) -> Einsum:
        """The same product with another coefficient (not zero)."""
        return self._laid_out(coefficient, self.children, self.layout)

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The factors as (node, exponent, indices)."""
        if self._factors is None:
            self._factors = tuple(zip(self.children, self.exponents, self.indices, strict=True))
        return self._factors

    @property
    def summed(self) -> tuple[int, ...]:
        """The indices that are summed over."""
        return self.layout.summed

    @property
    def repeats(self) -> bool:
        """Whether an output index repeats, so that entries off a diagonal are zero."""
        return self.layout.repeats

    def rebuild(self, children: Sequence[Node]) -> Node:
        factors = tuple(zip(children, self.exponents, self.indices, strict=True))
        return build.product(self.coefficient, factors, self.output, self.index_dims)


class Sum(Node):
    """The sum of terms of the same dimensions; the terms are a set with no order of their own."""

    __slots__ = ()
    fields = ("children",)

    def __new__(cls, terms: Iterable[Node]) -> Sum:
        terms = tuple(terms)
        assert len(terms) > 1
        digest = interning.digest_of(b"Sum()", terms)
        made: Any = interning.find(digest)
        if made is None:
            made = object.__new__(cls)._kept(digest, terms, terms[0].dims)
        return made  # type: ignore[no-any-return]

    def rebuild(self, children: Sequence[Node]) -> Node:
        return build.add(*children)


class BoundedSum(Node):
    """Σ (kind "sum") or Π (kind "prod", a matrix product, the last index leftmost) over a named
    range.

    `variable` is bound in `body`, runs over whole numbers from `low` to `high`, both ends included.
    """

    __slots__ = ("kind", "variable")
    kind: str
    variable: Variable
    fields = ("kind", "variable", "low", "high", "body")
    binds = True

    def __new__(
        cls, kind: str, variable: Variable, low: Node, high: Node, body: Node
    ) -> BoundedSum:
        children = (low, high, body)
        made: BoundedSum = cls._intern(
            repr((kind, variable.name)), children, body.dims, RANGE, kind=kind, variable=variable
        )
        return made

    def _free(self, names: frozenset[Variable]) -> frozenset[Variable]:
        low, high, body = self.children
        return low.names | high.names | (body.names - {self.variable})

    @property
    def low(self) -> Node:
        """The first value of the range."""
        return self.children[0]

    @property
    def high(self) -> Node:
        """The last value of the range."""
        return self.children[1]

    @property
    def body(self) -> Node:
        """The term or factor."""
        return self.children[2]

    def rebuild(self, children: Sequence[Node]) -> Node:
        return build.bounded(self.kind, self.variable, *children)


class Apply(Node):
    """A function of the book applied to arguments; the first `batch` axes of each are
    mapped over.
    """

    __slots__ = ("batch", "form", "function", "results")
    function: Function
    batch: int
    form: Signature
    results: tuple[Dims, ...]
    fields = ("function", "children", "batch")

    def __new__(cls, function: Function, arguments: Iterable[Node], batch: int) -> Apply:
        arguments = tuple(arguments)
        digest = interning.digest_of(interning.head_of_call(function.key, batch), arguments)
        made: Any = interning.find(digest)
        if made is None:
            made = object.__new__(cls)
            made.function, made.batch = function, batch
            made.form, made.results = function.called(arguments, batch)
            made = made._kept(digest, arguments, made.results[0], function.holds)
        return made  # type: ignore[no-any-return]

    def rebuild(self, children: Sequence[Node]) -> Node:
        return Apply(self.function, children, self.batch)


class Result(Node):
    """The k-th result of a function with several; the first is the call itself."""

    __slots__ = ("position",)
    position: int
    fields = ("call", "position")

    def __new__(cls, call: Apply, position: int) -> Result:
        made: Result = cls._intern(
            f"({position},)", (call,), call.results[position], position=position
        )
        return made

    @property
    def call(self) -> Apply:
        """The call whose result this is."""
        call = self.children[0]
        assert isinstance(call, Apply)
        return call

    def rebuild(self, children: Sequence[Node]) -> Node:
        assert isinstance(children[0], Apply)
        return Result(children[0], self.position)


class Reshape(Node):
    """The same entries in the same (row-major) order under other axes."""

    __slots__ = ()
    fields = ("body", "dims")

    def __new__(cls, body: Node, dims: Iterable[Dimension]) -> Reshape:
        dims = tuple(dims)
        made: Reshape = cls._intern(repr(([str(d) for d in dims],)), (body,), dims)
        return made

    @property
    def body(self) -> Node:
        """The tensor whose entries these are."""
        return self.children[0]

    def rebuild(self, children: Sequence[Node]) -> Node:
        return build.reshape(children[0], self.dims)


class Scan(Node):
    """A state of a recurrence at every step, stacked along a first axis of size `length`.

    The states (`carries`, bound) start as `initials`. Every step replaces all of them by `nexts`,
    in which they stand beside the `elements` (bound too), the entries of that step of the
    `series`, whose first axis has the size `length`. The steps go from the first entry to the
    last, or the other way where `reverse`. The value is the state at `position`, as it was before
    each step where `before`, else after it; entry t belongs to the step that reads entry t.
    """

    __slots__ = ("before", "carries", "elements", "length", "position", "reverse")
    carries: tuple[Variable, ...]
    elements: tuple[Variable, ...]
    length: Dimension
    position: int
    before: bool
    reverse: bool
    fields = ("carries", "elements", "children", "length", "position", "before", "reverse")
    binds = True

    def __new__(
        cls,
        carries: Iterable[Variable],
        elements: Iterable[Variable],
        children: Iterable[Node],
        length: Dimension,
        position: int = 0,
        before: bool = False,
        reverse: bool = False,
    ) -> Scan:
        carries, elements, children = tuple(carries), tuple(elements), tuple(children)
        count = len(carries)
        assert len(children) == 2 * count + len(elements)
        bound = ([v.digest for v in carries], [v.digest for v in elements])
        made: Scan = cls._intern(
            repr((bound, str(length), position, before, reverse)),
            children,
            (length, *carries[position].dims),
            LOOP,
            carries=carries,
            elements=elements,
            length=length,
            position=position,
            before=before,
            reverse=reverse,
        )
        for state, start, new in zip(carries, made.initials, made.nexts, strict=True):
            assert state.dims == start.dims == new.dims, (state.dims, start.dims, new.dims)
        for element, one in zip(elements, made.series, strict=True):
            assert one.dims == (length, *element.dims), (one.dims, length, element.dims)
        return made

    def _free(self, names: frozenset[Variable]) -> frozenset[Variable]:
        outside = frozenset().union(*(c.names for c in (*self.initials, *self.series)))
        inside = frozenset().union(*(c.names for c in self.nexts))
        return outside | (inside - self.bound)

    @property
    def bound(self) -> frozenset[Variable]:
        """The variables that stand for what a step reads."""
        return frozenset((*self.carries, *self.elements))

    @property
    def initials(self) -> tuple[Node, ...]:
        """The states before the first step."""
        return self.children[: len(self.carries)]

    @property
    def series(self) -> tuple[Node, ...]:
        """What is read step by step, stacked."""
        return self.children[len(self.carries) : -len(self.carries)]

    @property
    def nexts(self) -> tuple[Node, ...]:
        """The states after a step."""
        return self.children[-len(self.carries) :]

    @property
    def outside(self) -> tuple[Node, ...]:
        """The children that hold no bound variable: initial states and series."""
        return self.children[: -len(self.carries)]

    @property
    def system(self) -> Scan:
        """The recurrence itself, told apart from others whichever of its states is asked for."""
        return self.state(0)

    def state(self, position: int, before: bool = False) -> Scan:
        """Another state of the same recurrence."""
        if position == self.position and before == self.before:
            return self
        return Scan(
            self.carries,
            self.elements,
            self.children,
            self.length,
            position,
            before,
            self.reverse,
        )

    def rebuild(self, children: Sequence[Node]) -> Node:
        return Scan(
            self.carries,
            self.elements,
            children,
            self.length,
            self.position,
            self.before,
            self.reverse,
        )


# The operators need the constructors, and those need the kinds above.
from wrt.expression import build  # noqa: E402
