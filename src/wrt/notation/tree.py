"""The sentence as a small tree: what text and LaTeX are both printed from.

A tree says a scalar, a column, a row or a matrix by its `shape`: the dimensions of its left and
right side, None where that side has one entry only. Products are kept flat, as a coefficient,
scalars and a chain, so that common ends of terms can be seen. Trees stay shallow (deep formulas
are named in a `where`), so the functions here may go down them by calling themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from functools import cached_property

from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.dataclass import dataclass
from wrt.expression.dimensions import Dimension

__all__ = [
    "LETTER",
    "LETTERS",
    "SCALAR",
    "Exponent",
    "Shape",
    "Tree",
    "call",
    "cheaper",
    "literal",
    "name",
]

#: A letter of an index, a mark that stands for one, or a number.
LETTER = re.compile(r"[@#][\d.]+|\w+")
#: Letters of indices in the order in which they are given to axes.
LETTERS = "ijklabcdpqrsuvwmnotefghxyz"

Exponent = Fraction | int
Side = Dimension | None
Shape = tuple[Side, Side]
SCALAR: Shape = (None, None)

_WORD = re.compile(r"[^\W\d]\w*'*\(")
_COUNTED = re.compile(r"[^\W\d]\w*|\d+(?:\.\d+)?(?:e[+-]?\d+)?i?")
_REAL = frozenset({"abs", "norm1", "norm2", "norminf", "real", "imag"})
_BRACKET = re.compile(r"(?<![\w'])\(")


@dataclass(frozen=True, eq=False)
class Tree:
    """One phrase: `head` is what kind, `word` the name, `parts` what it is said of.

    Heads: name, literal, call, index, transpose, conj, product, dot, power, entry, raised, sum,
    kron; unvec holds its own text and the column that is cut, into columns where it `flips`.
    """

    head: str
    word: str = ""
    parts: tuple[Tree, ...] = ()
    shape: Shape = SCALAR
    coefficient: Coefficient = ONE
    exponent: Fraction = Fraction(1)
    flips: bool = False  # a call: f(X)' is f(X'), of one number f(X) is f(X'); a name: symmetric
    latex: str = ""  # a call: the template and the names of its arguments
    place: int = 0  # a name: where a person meets it
    is_complex: bool = False  # a name: declared complex
    axes: int = 2  # more than two: a tensor, which only the index form can say

    @cached_property
    def key(self) -> str:
        """What tells this tree from any other."""
        if not self.parts:
            sides = ",".join(str(side) for side in self.shape)
            kind = f"{self.flips} {self.is_complex} {self.axes}"
            return f"{self.head} {self.word} {self.coefficient} {self.place} {kind} {sides}"
        inside = ",".join(p.key for p in self.parts)
        return f"{self.head} {self.word} {self.coefficient} {self.exponent}({inside})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @cached_property
    def said(self) -> tuple[str, int]:
        """The text, and how tightly its outermost operator binds."""
        from wrt.notation.text import say

        return say(self)

    @cached_property
    def is_real(self) -> bool:
        """Whether all numbers in it are real, or all that it says."""
        if self.head == "name" or self.word in _REAL:
            return not self.is_complex
        return not self.coefficient.is_imaginary and all(p.is_real for p in self.parts)

    @property
    def text(self) -> str:
        """The text without brackets around it."""
        return self.said[0]

    @cached_property
    def body(self) -> Tree:
        """The phrase without the number before it."""
        from wrt.notation.phrases import times

        return times(ONE, self.parts) if self.head == "product" else self

    @cached_property
    def flipped(self) -> Tree:
        """The transpose, in the way that a person would write it."""
        from wrt.notation.phrases import transposed

        return transposed(self)

    @cached_property
    def depth(self) -> int:
        """How deeply phrases are nested."""
        return 1 + max((p.depth for p in self.parts), default=0)

    @cached_property
    def is_array(self) -> bool:
        """Whether it has entries: is no scalar."""
        return self.shape != SCALAR or self.axes > 2

    @cached_property
    def sorted_parts(self) -> tuple[tuple[Tree, ...], tuple[Tree, ...]]:
        """The scalars of a product, and its matrices and vectors in order; itself as one of them
        where it is no product.
        """
        if self.head != "product":
            return ((), (self,)) if self.is_array else ((self,), ())
        scalars = tuple([p for p in self.parts if not p.is_array])
        return scalars, tuple([p for p in self.parts if p.is_array])

    @cached_property
    def is_open(self) -> bool:
        """Whether a tensor stands in it that only its entries say."""
        return self.head == "entries" or any(p.is_open for p in self.parts)

    @cached_property
    def is_cut(self) -> bool:
        """Whether a column cut into a matrix stands in it, which is long to say."""
        return self.head == "unvec" or any(p.is_cut for p in self.parts)

    @cached_property
    def is_lettered(self) -> bool:
        """Whether an entry at letters stands in it."""
        return self.letters is not None or any(p.is_lettered for p in self.parts)

    @cached_property
    def letters(self) -> tuple[str, ...] | None:
        """The letters at which an entry is taken; None where it is at numbers or is no entry."""
        if self.head != "index":
            return None
        letters = tuple(LETTER.findall(self.word))
        return None if ":" in self.word or all(k.isdigit() for k in letters) else letters

    @cached_property
    def cost(self) -> tuple[int, int, int]:
        """Occurrences of names and numbers; marks that make reading harder; brackets among them."""
        text = self.text
        brackets = len(_BRACKET.findall(text)) + text.count("conj(")
        words = _WORD.sub("(", text).replace("^H", "'")
        invented = text.count("eye(") + text.count("ones(") + text.count("conj(")
        marks = brackets + words.count("'") + text.startswith("-") + invented
        return len(_COUNTED.findall(words)), marks, brackets

    @cached_property
    def order(self) -> tuple[tuple[int, str], ...]:
        """The names in the order they are met, for sorting what may stand in any order."""
        if self.head == "name":
            return ((self.place, self.word),)
        found: list[tuple[int, str]] = []
        for part in self.parts:
            found += part.order
            if len(found) > 8:
                break
        return tuple(found[:8])


def cheaper(a: Tree, b: Tree) -> Tree:
    """The one that a person would write; the first where nothing tells them apart."""
    return b if (*b.cost, b.order) < (*a.cost, a.order) else a


# Leaves and calls


def name(
    word: str,
    shape: Shape,
    place: int = 0,
    *,
    symmetric: bool = False,
    is_complex: bool = False,
    axes: int = 2,
) -> Tree:
    """A variable, or a phrase named in a `where`."""
    return Tree(
        "name", word, (), shape, flips=symmetric, is_complex=is_complex, place=place, axes=axes
    )


def literal(word: str) -> Tree:
    """A piece of text that is an argument only: an axis, a bound variable, a size."""
    return Tree("literal", word)


def call(
    word: str,
    parts: Iterable[Tree],
    shape: Shape = SCALAR,
    *,
    flips: bool = False,
    latex: str = "",
    axes: int = 2,
) -> Tree:
    """A function of phrases."""
    return Tree("call", word, tuple(parts), shape, flips=flips, latex=latex, axes=axes)
