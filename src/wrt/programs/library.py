"""The vocabulary of an array library: how each operation on arrays is written with it.

NumPy here, and JAX where it differs: its arrays are never written into. `like` is the parameter
whose type, and device where there are several, new arrays have.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import inf

from wrt.programs import code as py
from wrt.programs.code import Code

__all__ = ["Brisk", "Jax", "Library", "Made"]

#: `dot` is called in half the time of `@`, and fills its result with zeros first: up to so many.
MOST_ZEROS = 4096
#: The keywords of a new array: its type, and its device where there are several.
Made = Mapping[str, Code]


class Library:
    """NumPy: one method for each operation whose name or manner differs between libraries."""

    alias = "np"
    module = "numpy"
    #: how entries are written into an array: "in place", or as another one ("again", "apart")
    manner = "in place"
    #: whether Python's numbers stand for arrays anywhere
    lenient = True
    #: whether half of X' diag(d) X is computed where the other half is the same
    symmetric = True
    #: whether a product entry by entry is joined with the sum over it
    joins = False
    #: whether what is computed entry by entry is one pass with what follows it
    fuses = False
    #: whether a transpose is read entry by entry from rows far apart
    strided = True
    #: whether a vector is better multiplied from the left than by a transposed matrix
    from_the_left = False
    #: powers that are products with a root: by themselves they take ten times as long
    by_roots: frozenset[Fraction] = frozenset({Fraction(3, 2), Fraction(5, 2)})
    #: a square of so many entries is an array of its own between two steps
    most_kept = inf

    @property
    def header(self) -> str:
        """The import that a program begins with."""
        said = f"import {self.module}"
        return said if self.alias == self.module else f"{said} as {self.alias}"

    def word(self, name: str) -> Code:
        """A function of the library."""
        return py.text(f"{self.alias}.{name}")

    # New arrays

    def dtype(self, like: Code) -> Code:
        """The type of floats that go with an array, also where it holds whole numbers."""
        return py.call(self.word("result_type"), like, py.literal(1.0))

    def made(self, dtype: Code, like: str) -> Made:
        """What a new array is told."""
        return {"dtype": dtype}

    def full(self, shape: Sequence[Code], value: Code, made: Made) -> Code:
        """The same number everywhere."""
        return py.call(self.word("full"), py.tuple_of(shape), value, **made)

    def alike(self, source: Code) -> Made:
        """What a new array is told that has the type of another."""
        return {"dtype": py.attribute(source, "dtype")}

    def new(self, word: str, shape: Sequence[Code], made: Made) -> Code:
        """Zeros or ones."""
        return py.call(self.word(word), py.tuple_of(shape), **made)

    def constant(self, value: Code, made: Made) -> Code:
        """A number as an array without axes."""
        return py.call(self.word("array"), value, **made)

    def arange(self, length: Code, like: str | None) -> Code:
        """The places along an axis."""
        return py.call(self.word("arange"), length)

    def tri(self, shape: Sequence[Code], shift: Code | None, made: Made, square: bool) -> Code:
        """Ones on and below a diagonal, zeros above it."""
        said = [*(shape[:1] if square else shape), *([shift] if shift else [])]
        return py.call(self.word("tri"), *said, **made)

    def floats(self, a: Code, made: Made) -> Code:
        """True and false as numbers."""
        return py.call(py.attribute(a, "astype"), made.get("dtype") or py.name("float"))

    # Arrays seen in another way

    def transpose(self, a: Code, order: Sequence[int]) -> Code:
        """The axes in another order."""
        if tuple(order) == tuple(range(len(order)))[::-1]:
            return py.attribute(a, "T")
        return py.call(py.attribute(a, "transpose"), *map(py.literal, order))

    def diagonal(self, a: Code, first: int, second: int, ndim: int) -> Code:
        """The entries where two axes agree, as a last axis."""
        words = self.diagonal_words
        said = {} if ndim == 2 else dict(zip(words, (first, second), strict=True))
        keywords = {k: py.literal(v) for k, v in said.items()}
        return py.call(py.attribute(a, "diagonal"), **keywords)

    diagonal_words = ("axis1", "axis2")

    def reshape(self, a: Code, shape: Sequence[Code]) -> Code:
        """Other axes for an array without any, or none for an array of one entry."""
        return py.call(self.word("reshape"), a, py.tuple_of(shape))

    def broadcast(self, a: Code, shape: Sequence[Code]) -> Code:
        """The same entries along more axes."""
        return py.call(self.word("broadcast_to"), a, py.tuple_of(shape))

    def concatenate(self, parts: Sequence[Code], axis: int) -> Code:
        """Arrays one behind the other."""
        said = {self.axis: py.literal(axis)} if axis else {}
        return py.call(self.word(self.behind), py.list_of(parts), **said)

    behind = "concatenate"

    def own(self, a: Code) -> Code:
        """An array that shares its memory with no other."""
        return py.call(py.attribute(a, "copy"))

    # Sums and products

    def matmul(self, a: Code, b: Code, entries: int | None) -> Code:
        """A product of matrices and vectors; the entries of the result where they are known."""
        return py.binary("@", a, b)

    def times(self, a: Code, b: Code) -> Code:
        """A product entry by entry, of arrays or of a number and an array."""
        return py.binary("*", a, b)

    def outer(self, a: Code, b: Code) -> Code:
        """All products of entries of two vectors."""
        return py.call(self.word("outer"), a, b)

    def total(self, a: Code, axes: Sequence[int] | None) -> Code:
        """The sum over some axes, or all."""
        said = {} if axes is None else {self.axis: py.tuple_of([*map(py.literal, axes)])}
        return py.call(self.word("sum"), a, **said)

    axis = "axis"

    def inner(self, a: Code, b: Code) -> Code:
        """The sum of the products of all entries."""
        return py.call(self.word("vdot"), a, b)

    def tensordot(self, a: Code, b: Code, axes: Sequence[Sequence[int]]) -> Code:
        """The sum over several axes of both."""
        ends = [py.tuple_of([*map(py.literal, own)]) for own in axes]
        width = sum(e.width for e in ends) + 4
        pair = Code(ast.Tuple([e.expr for e in ends], ast.Load()), width)
        return py.call(self.word("tensordot"), a, b, axes=pair)

    def einsum(self, text: str, a: Code, b: Code) -> Code:
        """The product of two arrays in index notation."""
        said, _, kept = text.partition("->")
        first, _, second = said.partition(",")
        axes = [k for k, letter in enumerate(first) if letter not in kept]
        if self.joins and first == second and kept == "".join(c for c in first if c in kept):
            return self.total(py.binary("*", a, b), axes)
        return py.call(self.word("einsum"), py.literal(text), a, b)

    def joined(self, a: Code, b: Code, kinds: Sequence[str]) -> tuple[Code, Code]:
        """Two factors of a matrix product, of one type where the library wants it."""
        return a, b


class Brisk(Library):
    """NumPy in the words that take least time to call: of programs that are run and not read."""

    most_kept = 2**15  # arrays that are larger may be asked of the system in every call

    def matmul(self, a: Code, b: Code, entries: int | None) -> Code:
        if entries is None or entries > MOST_ZEROS:
            return super().matmul(a, b, entries)
        return py.call(py.attribute(a, "dot"), b)

    def times(self, a: Code, b: Code) -> Code:
        return py.binary("*", _floating(a), _floating(b))

    def outer(self, a: Code, b: Code) -> Code:
        return py.binary("*", py.subscript(a, py.colon(), py.literal(None)), b)


class Jax(Library):
    """JAX: NumPy's words; new arrays in the place of written ones."""

    alias = "jnp"
    module = "jax.numpy"
    manner = "again"
    symmetric = strided = False
    joins = fuses = True
    by_roots = frozenset[Fraction]()  # twice differentiated they would not be finite at 0
    from_the_left = True  # in a loop XLA lays the transposed matrix out anew at every step

    def own(self, a: Code) -> Code:
        return a


def _floating(a: Code) -> Code:
    """A whole number as the float that NumPy would make of it in every call."""
    value = getattr(a.expr, "value", None)
    return py.literal(float(value)) if type(value) is int and value < 2**53 else a
