"""The sentence as a small tree: what text and LaTeX are both printed from.

A tree says a scalar, a column, a row or a matrix by its `shape`: the dimensions of its left and
right side, None where that side has one entry only. Products are kept flat, as a coefficient,
scalars and a chain, so that common ends of terms can be seen. Trees stay shallow (deep formulas
are named in a `where`), so the functions here may go down them by calling themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cached_property

from wrt.expression.coefficient import ONE, ZERO, Coefficient
from wrt.expression.dataclass import dataclass, replace
from wrt.expression.dimensions import Dimension

__all__ = [
    "LETTER",
    "LETTERS",
    "SCALAR",
    "Shape",
    "Tree",
    "call",
    "chain_of",
    "cheaper",
    "diagonal",
    "diagonal_of",
    "entrywise",
    "eye",
    "flip",
    "is_ones",
    "literal",
    "name",
    "ones",
    "pick",
    "power",
    "raised",
    "scalars_of",
    "spread",
    "times",
    "wrapped",
    "zeros",
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
        return times(ONE, self.parts) if self.head == "product" else self

    @cached_property
    def flipped(self) -> Tree:
        """The transpose, in the way that a person would write it."""
        return _flipped(self)

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


def eye(dim: Dimension) -> Tree:
    """The identity matrix, with its size."""
    return call("eye", [literal(_tight(dim))], (dim, dim), latex="I")


def ones(shape: Shape) -> Tree:
    """A column, row or matrix of ones."""
    rows, columns = shape
    if rows is None:
        assert columns is not None
        return wrapped(ones((columns, None)))
    sizes = [rows] if columns is None else [rows, columns]
    return call("ones", [literal(_tight(d)) for d in sizes], shape, latex=r"\mathbf{1}")


def zeros(shape: Shape) -> Tree:
    """Zero: the number, or a column, row or matrix of zeros."""
    if shape == SCALAR:
        return Tree("product", coefficient=ZERO)
    if shape[0] is None:
        return wrapped(zeros(shape[::-1]))
    sizes = [literal(_tight(d)) for d in shape if d is not None]
    return call("zeros", sizes, shape, latex=r"\mathbf{0}")


def _tight(dim: Dimension) -> str:
    return str(dim).replace(" ", "")


def is_ones(tree: Tree) -> bool:
    """Whether this is ones, as a column, a row or a matrix."""
    return tree.word == "ones" or (tree.head == "transpose" and is_ones(tree.parts[0]))


def diagonal(vector: Tree) -> Tree:
    """The diagonal matrix of a column; a coefficient comes out."""
    side = vector.shape[0]
    assert side is not None
    if is_ones(vector):
        return eye(side)
    if vector.head == "product" and (vector.coefficient != ONE or scalars_of(vector)):
        return times(vector.coefficient, [*scalars_of(vector), diagonal(_bare(vector))])
    if vector.head == "transpose" and vector.parts[0].head == "call":
        vector = vector.parts[0]  # diag of a row is that of the column
    return call("diag", [vector], (side, side), flips=True, latex=r"\operatorname{diag}(@0)")


def _bare(tree: Tree) -> Tree:
    """A product without its coefficient and scalars."""
    return times(ONE, chain_of(tree)) if chain_of(tree) else times(ONE, [])


def diagonal_of(matrix: Tree) -> Tree:
    """The diagonal of a matrix as a column."""
    if matrix.head == "product":
        return times(matrix.coefficient, [*scalars_of(matrix), _diagonal(_bare(matrix))])
    return _diagonal(matrix)


def _diagonal(matrix: Tree) -> Tree:
    matrix = cheaper(matrix, flip(matrix))
    if matrix.head == "transpose":
        matrix = matrix.parts[0]
    return call("diag", [matrix], (matrix.shape[0], None), latex=r"\operatorname{diag}(@0)")


def pick(tree: Tree, items: Sequence[str], shape: Shape, axes: int = 2) -> Tree:
    """Entries or slices; `items` is what stands in the square brackets."""
    if tree.head == "product" and not tree.coefficient.is_one:
        rest = times(ONE, [*scalars_of(tree), *chain_of(tree)])
        return times(tree.coefficient, [pick(rest, items, shape, axes)])
    if tree.head == "conj":
        inner = pick(tree.parts[0], items, shape, axes)
        return Tree("conj", "", (inner,), inner.shape, axes=axes)
    if tree.head == "transpose" and len(items) == 2:
        return flip(pick(tree.parts[0], items[::-1], shape[::-1]))
    return Tree("index", ",".join(items), (tree,), shape, axes=axes)


# Products


def scalars_of(tree: Tree) -> tuple[Tree, ...]:
    """The scalar parts of a product; of anything else, itself where it is a scalar."""
    return tree.sorted_parts[0]


def chain_of(tree: Tree) -> tuple[Tree, ...]:
    """The matrices and vectors of a product in order; of anything else, itself where it is one."""
    return tree.sorted_parts[1]


def times(coefficient: Coefficient, parts: Iterable[Tree]) -> Tree:
    """The product, flat: scalars may stand anywhere, matrices and vectors multiply in order."""
    scalars: dict[Tree, Exponent] = {}
    chain: list[Tree] = []
    stack = list(parts)[::-1]
    while stack:
        part = stack.pop()
        if part.head == "product":
            if not part.coefficient.is_one:
                coefficient = coefficient * part.coefficient
            stack.extend(reversed(part.parts))
        elif not part.is_array:
            base, exponent = (part.parts[0], part.exponent) if part.head == "power" else (part, 1)
            scalars[base] = scalars.get(base, 0) + exponent
        else:
            chain.append(part)
            if part.axes == 2 and part.shape[1] is None:
                closed = _closed(chain)
                if closed is not None:
                    scalars[closed] = scalars.get(closed, 0) + 1
    if coefficient.value == 0:
        return zeros(_shape(chain))
    chain = _recognized(chain)
    if coefficient.powers:
        coefficient, scalars, chain = _means(coefficient, scalars, chain)
    if len(scalars) > 1 and not all(b.is_real for b in scalars):
        scalars = _moduli(scalars)
    kept = sorted((_powered(b, e) for b, e in scalars.items() if e), key=_names_first)
    if coefficient == ONE and len(kept) + len(chain) == 1:
        return (kept + chain)[0]
    axes = max((p.axes for p in chain), default=2)
    return Tree("product", "", (*kept, *chain), _shape(chain), coefficient, axes=axes)


def _is_inverse(link: Tree) -> bool:
    return link.word == "inv" or (link.head == "transpose" and link.parts[0].word == "inv")


def _recognized(chain: list[Tree]) -> list[Tree]:
    """The links of a product; inv(Y'*Y)*Y' has a word."""
    if len(chain) < 2 or not any(map(_is_inverse, chain)):
        return chain
    from wrt.notation.inverses import pseudoinverses

    return pseudoinverses(chain)


def _means(
    coefficient: Coefficient, scalars: dict[Tree, Exponent], chain: list[Tree]
) -> tuple[Coefficient, dict[Tree, Exponent], list[Tree]]:
    """A sum over entries divided by how many there are is their mean."""
    powers: dict[Tree, Exponent] = {}
    for base, e in scalars.items():
        if e == 1:
            coefficient, base = _mean(coefficient, base)
        powers[base] = powers.get(base, 0) + e
    links = []
    for link in chain:
        coefficient, link = _mean(coefficient, link)
        links.append(link)
    return coefficient, powers, links


def _mean(coefficient: Coefficient, part: Tree) -> tuple[Coefficient, Tree]:
    if part.head == "transpose":
        coefficient, inner = _mean(coefficient, part.parts[0])
        return coefficient, wrapped(inner)
    if part.word != "sum" or len(part.parts) > 2:
        return coefficient, part
    shape = part.parts[0].shape
    sides = {"1": shape[:1], "2": shape[1:]}.get(part.parts[-1].word, shape)
    counted = [d for d in sides if d is not None]
    powers = dict(coefficient.powers)
    if not counted or any(powers.get(d, 0) > -counted.count(d) for d in counted):
        return coefficient, part
    for d in counted:
        coefficient = coefficient * Coefficient.of(d)
    template = r"\operatorname{mean}(@0)" if part.latex else ""
    return coefficient, replace(part, word="mean", latex=template)


def _names_first(scalar: Tree) -> tuple[object, ...]:
    """Names, then what is made of them, then entries, δ first, in the order of their letters."""
    base = scalar.parts[0] if scalar.head == "power" else scalar
    if base.letters is not None:
        rank = 3 if base.parts[0].word == "δ" else 4
        return rank, sorted(map(_letter_rank, base.letters)), scalar.order, scalar.key
    rank = 5 if base.is_lettered else {"name": 0, "index": 1, "dot": 1}.get(base.head, 2)
    return rank, [], scalar.order, scalar.key


def _letter_rank(letter: str) -> tuple[int, str]:
    """Letters of f before those of x, and these before those of a second x."""
    return LETTERS.find(letter) % 100, letter


def _shape(chain: Sequence[Tree]) -> Shape:
    return (chain[0].shape[0], chain[-1].shape[1]) if chain else SCALAR


def _closed(chain: list[Tree]) -> Tree | None:
    """Take a finished row-times-column off the end of a chain."""
    for start in range(len(chain) - 1, -1, -1):
        if chain[start].shape[0] is None:
            segment = chain[start:]
            del chain[start:]
            return _dot(segment)
    return None


def _dot(chain: Sequence[Tree]) -> Tree:
    """Row times … times column, the way round that needs fewer transposes."""
    chain = _recognized(list(chain))
    ahead = Tree("dot", "", tuple(chain))
    back = Tree("dot", "", tuple(flip(p) for p in reversed(chain)))
    return cheaper(ahead, back)


def power(base: Tree, exponent: Exponent) -> Tree:
    """A power of a scalar."""
    exponent = Fraction(exponent)
    if base.head == "product":
        c = base.coefficient
        if not c.value and exponent > 0:
            return base
        whole = exponent.denominator == 1
        if whole or (c.has_real_root() and len(base.parts) <= 1):
            return times(c**exponent, [power(p, exponent) for p in base.parts])
        if c.has_real_root() and c != ONE:
            rest = times(ONE, base.parts)
            return times(c**exponent, [_powered(rest, exponent)])
        return _powered(_upright(base), exponent)
    if base.head == "power":
        inner = base.parts[0]
        if exponent.denominator == 1 or inner.word in ("norm2", "abs"):
            return _powered(inner, base.exponent * exponent)
    return _powered(base, exponent)


def _upright(base: Tree) -> Tree:
    """What stands below a root: x^2-1, not -(1-x^2)."""
    from wrt.notation.signs import settled

    return settled(base) if base.coefficient.value < 0 else base


def _powered(base: Tree, exponent: Exponent) -> Tree:
    return base if exponent == 1 else Tree("power", "", (base,), exponent=Fraction(exponent))


def spread(tree: Tree) -> Tree:
    """Numbers before a ⊗ taken into its first factor."""
    chain = chain_of(tree)
    if tree.head != "product" or len(chain) != 1 or chain[0].head != "kron":
        return tree
    first, *rest = chain[0].parts
    first = times(tree.coefficient, [*scalars_of(tree), first])
    return replace(chain[0], parts=(first, *rest))


# Entry by entry


def raised(base: Tree, exponent: Exponent) -> Tree:
    """A power entry by entry."""
    exponent = Fraction(exponent)
    if not base.is_array:
        return power(base, exponent)
    if exponent == 1 or is_ones(base):
        return base
    whole = exponent.denominator == 1
    if base.head == "product":
        c, scalars = base.coefficient, scalars_of(base)
        if (c != ONE or scalars) and (whole or (c.has_real_root() and not scalars)):
            inside = raised(_bare(base), exponent)
            return times(c**exponent, [*(power(s, exponent) for s in scalars), inside])
        base = _upright(base)
    if base.head == "raised" and (whole or base.parts[0].word == "abs"):
        return raised(base.parts[0], base.exponent * exponent)
    if base.head == "entry" and whole:
        return entrywise([raised(p, exponent) for p in base.parts])
    return Tree("raised", "", (base,), base.shape, exponent=exponent, axes=base.axes)


def entrywise(parts: Iterable[Tree]) -> Tree:
    """The product entry by entry of phrases of one shape; scalars among them come out."""
    coefficient = ONE
    scalars: list[Tree] = []
    powers: dict[Tree, Exponent] = {}
    shape = SCALAR
    stack = list(parts)[::-1]
    while stack:
        part = stack.pop()
        shape = part.shape if part.is_array else shape
        if part.head == "product" and (part.coefficient != ONE or scalars_of(part)):
            coefficient = coefficient * part.coefficient
            scalars += scalars_of(part)
            part = _bare(part)
        if not part.is_array:
            scalars.append(part)
        elif part.head == "entry":
            stack.extend(reversed(part.parts))
        elif not is_ones(part):
            base, e = (part.parts[0], part.exponent) if part.head == "raised" else (part, 1)
            powers[base] = powers.get(base, 0) + e
    if len(powers) > 1 and not all(b.is_real for b in powers):
        powers = _moduli(powers)
    kept = sorted((raised(b, e) for b, e in powers.items() if e), key=lambda t: t.order)
    if not kept:
        made = [ones(shape)] if shape != SCALAR else []
        return times(coefficient, [*scalars, *made])
    made = kept if len(kept) == 1 else [Tree("entry", "", tuple(kept), kept[0].shape)]
    return times(coefficient, [*scalars, *made])


def _moduli(powers: dict[Tree, Exponent]) -> dict[Tree, Exponent]:
    from wrt.notation.conjugates import moduli

    return moduli(powers)


# Transposes


def wrapped(tree: Tree) -> Tree:
    """The transpose as a mark behind the phrase."""
    if tree.head == "transpose":
        return tree.parts[0]
    if tree.head == "product" and tree.is_array and not tree.coefficient.is_one:
        rest = times(ONE, [*scalars_of(tree), *chain_of(tree)])
        return times(tree.coefficient, [wrapped(rest)])
    return Tree("transpose", "", (tree,), tree.shape[::-1])


def flip(tree: Tree) -> Tree:
    """The transpose, in the way that a person would write it."""
    return tree.flipped if tree.is_array else tree


def _flipped(tree: Tree) -> Tree:
    if tree.head == "transpose":
        return tree.parts[0]
    if tree.head == "product":
        chain = [flip(p) for p in reversed(chain_of(tree))]
        return times(tree.coefficient, [*scalars_of(tree), *chain])
    if None in tree.shape:
        return wrapped(tree)
    if tree.head == "name":
        return tree if tree.flips else wrapped(tree)
    if tree.head == "conj":
        return tree if flip(tree.parts[0]) == tree.parts[0] else wrapped(tree)
    if tree.word in ("eye", "diag"):
        return tree
    if is_ones(tree):
        return ones(tree.shape[::-1])
    if tree.head == "unvec":
        said, column = tree.parts
        return replace(
            tree, parts=(flip(said), column), shape=tree.shape[::-1], flips=not tree.flips
        )
    pushed = _pushed(tree)
    if pushed is None:
        return wrapped(tree)
    if pushed == tree:
        return tree
    held, names, marks = wrapped(tree), *pushed.cost[:2]
    marks += tree.head == pushed.head == "sum"  # which has brackets where it is a factor
    return pushed if (names, marks) < held.cost[:2] else held


def _pushed(tree: Tree) -> Tree | None:
    """The transpose with its mark on the parts, where that means the same."""
    if tree.head == "sum":
        from wrt.notation.sums import collected

        return collected([flip(p) for p in tree.parts])
    if tree.head == "entry":
        return entrywise([flip(p) for p in tree.parts])
    if tree.head in ("raised", "kron") or (tree.head == "call" and tree.flips):
        parts = tuple(flip(p) for p in tree.parts)
        return replace(tree, parts=parts, shape=tree.shape[::-1])
    return None
