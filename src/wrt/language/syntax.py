"""The syntax tree: what was written, with its place in the text, before anybody asks for shapes.

Trees may be ten thousand deep, so everything here iterates; equality is identity.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from wrt.expression.dataclass import dataclass

from .operators import Operator

__all__ = [
    "Bracket",
    "Call",
    "Declaration",
    "Doubt",
    "Index",
    "Infix",
    "Line",
    "Name",
    "Number",
    "Postfix",
    "Prefix",
    "Program",
    "Slice",
    "Span",
    "Syntax",
    "Words",
    "postorder",
]

Span = tuple[int, int]


class _Leaf:
    """What has no formula inside."""

    __slots__ = ()

    @property
    def children(self) -> tuple[Syntax, ...]:
        """The formulas inside."""
        return ()


@dataclass(frozen=True, eq=False)
class _Around:
    """An operator with one operand."""

    operator: Operator
    operand: Syntax
    span: Span

    @property
    def children(self) -> tuple[Syntax, ...]:
        """The formulas inside."""
        return (self.operand,)


@dataclass(frozen=True, eq=False)
class Number(_Leaf):
    """An exact number, times i where `imaginary`."""

    value: Fraction
    span: Span
    imaginary: bool = False


@dataclass(frozen=True, eq=False)
class Name(_Leaf):
    """A name in its spelled form: λ is lambda."""

    name: str
    span: Span


@dataclass(frozen=True, eq=False)
class Words(_Leaf):
    """A quoted text, as in einsum("ij,j->i", A, x)."""

    text: str
    span: Span


@dataclass(frozen=True, eq=False)
class Prefix(_Around):
    """A sign before its operand."""


@dataclass(frozen=True, eq=False)
class Postfix(_Around):
    """A transpose or conjugate transpose behind its operand."""


@dataclass(frozen=True, eq=False)
class Infix:
    """An operator between two operands."""

    operator: Operator
    left: Syntax
    right: Syntax
    span: Span

    @property
    def children(self) -> tuple[Syntax, ...]:
        """The formulas inside."""
        return (self.left, self.right)


@dataclass(frozen=True, eq=False)
class Call:
    """A word with its arguments; `primes` counts the marks of phi''(x)."""

    word: str
    arguments: tuple[Syntax, ...]
    span: Span
    word_span: Span
    primes: int = 0

    @property
    def children(self) -> tuple[Syntax, ...]:
        """The formulas inside."""
        return self.arguments


@dataclass(frozen=True, eq=False)
class Slice:
    """`low:high` between the square brackets of an entry; both None for a bare colon."""

    low: Syntax | None
    high: Syntax | None
    span: Span


@dataclass(frozen=True, eq=False)
class Joined:
    """`(i,j)` between the square brackets of an entry: the indices that make up one axis."""

    names: tuple[Name, ...]
    span: Span


@dataclass(frozen=True, eq=False)
class Index:
    """Entries or slices: X[1,2], X[1,:], x[2:4]; in index form the items are index names."""

    base: Syntax
    items: tuple[Syntax | Slice | Joined, ...]
    span: Span

    @property
    def names(self) -> list[str]:
        """The names among the items, those of joined indices one by one."""
        found: list[str] = []
        for item in self.items:
            if isinstance(item, Name):
                found.append(item.name)
            elif isinstance(item, Joined):
                found += [one.name for one in item.names]
        return found

    @property
    def children(self) -> tuple[Syntax, ...]:
        """The formulas inside."""
        return (self.base,)


@dataclass(frozen=True, eq=False)
class Bracket:
    """A matrix or vector written out by rows: [a, b; c, d]."""

    rows: tuple[tuple[Syntax, ...], ...]
    span: Span

    @property
    def children(self) -> tuple[Syntax, ...]:
        """The formulas inside."""
        return tuple(item for row in self.rows for item in row)


Syntax = Number | Name | Words | Prefix | Postfix | Infix | Call | Index | Bracket


@dataclass(frozen=True, eq=False)
class Line:
    """`target = body`, `target[indices] = body`, or a bare formula (target None).

    `groups` says how many indices make up each axis: two in `K[(i,k),j]`, where the axis runs over
    all pairs, the last index fastest.
    """

    target: str | None
    indices: tuple[str, ...] | None
    body: Syntax
    span: Span
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Declaration:
    """`phi: entrywise` or `W: n m` on a line of its own."""

    name: str
    shape: str
    span: Span


@dataclass(frozen=True, eq=False)
class Doubt:
    """A part whose notation is unclear should it be a matrix, or a scalar: then it is refused."""

    part: Syntax
    message: str
    hint: str
    kind: str = "matrix"


@dataclass(frozen=True, eq=False)
class Program:
    """All lines of a text, the formula last; definitions after `where` come before it."""

    lines: tuple[Line, ...]
    declarations: tuple[Declaration, ...]
    text: str
    doubts: tuple[Doubt, ...] = ()
    #: How notation with several meanings was read.
    notes: tuple[str, ...] = ()
    #: Names and how LaTeX wrote them.
    spellings: tuple[tuple[str, str], ...] = ()


def postorder(root: Syntax) -> list[Syntax]:
    """Every part of a tree, children before parents, from the left.

    >>> from wrt.language.parser import parse
    >>> [type(part).__name__ for part in postorder(parse("A*x'").lines[0].body)]
    ['Name', 'Name', 'Postfix', 'Infix']
    """
    found: list[Syntax] = []
    stack: list[Syntax] = [root]
    while stack:
        part = stack.pop()
        found.append(part)
        stack.extend(part.children)
    found.reverse()
    return found


def names(root: Syntax) -> Iterator[Name]:
    """The names of a tree from the left, those inside square brackets not included."""
    return (part for part in postorder(root) if isinstance(part, Name))
