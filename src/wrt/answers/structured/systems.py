"""What a tensor is as a system of equations, told by its formula: how `solve` goes about it.

Axes that no term connects belong to different factors of a Kronecker product, each solved by
itself; an axis of the rows that is tied to one of the columns in every term makes a factor block
diagonal. A term that goes through few numbers between its rows and its columns is added to that by
Woodbury's identity. A X + X B is Sylvester's equation. What is found here is kept for each formula:
`solving` puts arrays in.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import NamedTuple

from wrt.algebra import is_symmetric, normal_form
from wrt.algebra.definite import definite
from wrt.algebra.triangles import triangle
from wrt.answers.structured.entries import count, pattern
from wrt.answers.structured.factors import Cut, cut, rank, singular
from wrt.answers.structured.operations import terms as terms_of
from wrt.answers.structured.operations import transposed
from wrt.answers.structured.sparse import Layout, layout
from wrt.answers.structured.summed import Commuting, Row, commuting
from wrt.answers.structured.terms import Term, component, flattened, joined
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Factor, Node, Pattern
from wrt.expression.products import connected
from wrt.expression.walk import holds_complex

__all__ = [
    "Block",
    "Kronecker",
    "Scale",
    "Scaled",
    "Sparse",
    "Thin",
    "Turn",
    "Way",
    "Woodbury",
    "ways",
]

Axes = tuple[int, ...]
#: A matrix of at least so many rows may be sparse: where terms have entries so often for a row.
LARGE, MANY_TIMES = 64, 128
#: A matrix between several axes at once is formed where it has so many entries.
ROOM = 2**20
#: About how many products of numbers it costs to find eigenvectors, for every n³.
EIGEN = 10
#: Where right sides stand among the axes while factors are solved one after another; as many as
#: there are.
MANY = -1


class Thin(NamedTuple):
    """Diagonals with products of few columns added: a formula, and both sides of each product."""

    diagonal: Node
    cuts: tuple[Cut, ...]


class Sparse(NamedTuple):
    """So few entries in each row that they tell how to solve, in some order."""

    formula: Node
    layout: Layout


class Block(NamedTuple):
    """A factor: one matrix, or one for each entry of tied axes of the sizes `many`.

    `matrix` has these axes and then rows and columns, of the length `height`; `known` is what its
    form shows: lower, upper, definite or symmetric; `sparse` where it has few entries in a row.
    """

    matrix: Node
    many: Axes
    height: int
    known: str
    thin: Thin | None
    sparse: Sparse | None

    @property
    def shape(self) -> Axes:
        """That of a diagonal of each."""
        return (*self.many, self.height)


class Turn(NamedTuple):
    """How a factor takes right sides: the order of the axes, their shape with the factor's own
    first and all others as one, and the shape with what its own become, the others apart again.
    """

    order: Axes
    laid: Axes
    made: Axes


class Kronecker(NamedTuple):
    """Factors that are solved one after another, each with how it takes what came before; `last`
    is the order of the axes at the end. Each counts in the determinant so `often`.
    """

    blocks: tuple[Block, ...]
    turns: tuple[Turn, ...]
    last: Axes
    often: tuple[int, ...]
    #: whether one matrix is as large as all of it
    dense: bool


class Woodbury(NamedTuple):
    """A simpler system with U V' added; `whole` is the one matrix that it is, if it is one, for
    where the simpler system alone is singular.
    """

    core: Kronecker | Sparse | Commuting
    cuts: tuple[Cut, ...]
    whole: Kronecker | None


class Scale(NamedTuple):
    """A factor of every row, or of every column: a formula, and its shape beside their axes."""

    formula: Node
    shape: Axes


class Scaled(NamedTuple):
    """A simpler system, told in several ways, of which every row and every column is multiplied by
    a number.
    """

    ways: tuple[Way, ...]
    rows: Scale | None
    columns: Scale | None


Way = Kronecker | Woodbury | Commuting | Sparse | Scaled


@lru_cache(maxsize=256)
def ways(formula: Node, rows: int) -> tuple[Way, ...]:
    """The ways to solve with a tensor whose first axes are rows, the best first; none where the
    structure does not tell one. Raises NumPy's LinAlgError where there is none whatever the
    numbers are.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> two, three = map(Dimension.of, (2, 3))
    >>> A, B = Variable("A", (two, two)), Variable("B", (three, three))
    >>> (found,) = ways(build.einsum("ij,kl->ikjl", A, B), 2)
    >>> [(block.matrix, often) for block, often in zip(found.blocks, found.often)]
    [(<A : 2, 2>, 3), (<B : 3, 3>, 2)]
    """
    return _Shape(formula, rows).ways()


class Group(NamedTuple):
    """Axes that belong together: a system of its own."""

    rows: Axes
    columns: Axes


class _Shape:
    """A tensor with known sizes, cut into rows and columns."""

    def __init__(self, formula: Node, rows: int) -> None:
        self.formula, self.rows = formula, rows
        self.axes = tuple(d.value or 0 for d in formula.dims)
        self.size = prod(self.axes[:rows])
        self.terms = [flattened(t) for t in terms_of(formula) if t.coefficient.value]

    def ways(self) -> tuple[Way, ...]:
        if not self.terms or not all(part.is_square for part in self.parts(self.terms)):
            raise singular()
        whole = self.kronecker(self.terms)
        if whole is not None and not whole.dense:
            tall = (b for b in whole.blocks if b.many and b.height >= LARGE)
            large = any(block.thin is None for block in tall)
            few = self.sparse(self.formula) if large else None
            return (whole,) if few is None else (few, whole)
        dense = whole or self.kronecker(self.terms, self.room)
        first = self.woodbury(dense, plain=True)
        if first is not None and type(first.core) is Kronecker:
            return (first,)
        found: list[Way | None] = [first, whole]
        if whole is None:
            found += [*self.summed(), self.woodbury(dense, plain=False), self.scaled(), dense]
        return tuple(way for way in found if way is not None)

    @property
    def room(self) -> int:
        """How many entries one matrix may have."""
        return max(ROOM, sum(prod(d.value or 0 for d in v.dims) for v in self.formula.names))

    # Kronecker products of blocks

    def kronecker(self, terms: Sequence[Term], room: int = 0) -> Kronecker | None:
        """The terms as a Kronecker product of systems; None where they are none: in several axes
        at once they may have so many entries.
        """
        parts = self.parts(terms)
        return self.route(parts) if all(part.is_solved(room) for part in parts) else None

    def parts(self, terms: Sequence[Term]) -> list[_Part]:
        """The factors of a Kronecker product."""
        groups = self.groups(terms)
        parts = [[_inside(t, g) for t in terms] for g in groups]
        alike = [all(p is own[0] for p in own) for own in parts]
        if len(terms) > 1 and alike.count(False) > 1:
            together = [g for g, same in zip(groups, alike, strict=True) if not same]
            merged = Group(
                tuple(sorted(r for g in together for r in g.rows)),
                tuple(sorted(c for g in together for c in g.columns)),
            )
            groups = [merged, *(g for g, same in zip(groups, alike, strict=True) if same)]
            alike = [False, *([True] * (len(groups) - 1))]
        # the numbers in front, and factors without an axis, belong to the group that differs
        filled = [place for place, own in enumerate(parts) if own[0].names]
        heavy = alike.index(False) if False in alike else next(iter(filled), 0)
        made = []
        for place, group in enumerate(groups):
            if place == heavy:
                node = build.add(*(_inside(t, group, numbers=True) for t in terms))
            else:
                node = _inside(terms[0], group)
            made.append(_Part(self.axes, group, node))
        return made

    def groups(self, terms: Sequence[Term]) -> list[Group]:
        """The finest grouping of the axes that all terms respect."""
        if not self.axes:
            return [Group((), ())]
        links: list[set[int]] = []
        for term in terms:
            held = [set(f[2]) for f in term.factors]
            for places in connected(held):
                own = set().union(*(held[k] for k in places))
                links.append({a for a, i in enumerate(term.output) if i in own})
            links += [{a for a, i in enumerate(term.output) if i == j} for j in set(term.output)]
        links = [one for one in links if one]
        found = [sorted(set().union(*(links[k] for k in own))) for own in connected(links)]
        return [
            Group(tuple(a for a in own if a < self.rows), tuple(a for a in own if a >= self.rows))
            for own in sorted(found)
        ]

    def route(self, parts: Sequence[_Part]) -> Kronecker:
        """The factors one after another, and the axes in between."""
        labels = [MANY, *range(self.rows)]
        turns, solved = [], [part for part in parts if not part.is_identity]
        for part in parts:
            now = dict(part.pairs)
            if part.is_identity:
                labels = [now.get(a, a) for a in labels]
                continue
            own = [r for r, _ in part.pairs] + part.rows
            others = [a for a in labels if a not in own]
            order = [labels.index(a) for a in (*own, *others)]
            made = [c for _, c in part.pairs] + part.columns
            labels = made + others
            apart = tuple(MANY if a == MANY else self.axes[a] for a in labels)
            turns.append(Turn(tuple(order), (*part.many, part.height, MANY), apart))
        last = [labels.index(a) for a in (MANY, *range(self.rows, len(self.axes)))]
        often = tuple(self.size // (prod(p.many) * p.height) for p in solved)
        blocks = tuple(part.block() for part in solved)
        dense = any(b.height == self.size > 1 and not b.sparse for b in blocks)
        return Kronecker(blocks, tuple(turns), tuple(last), often, dense)

    # Few columns added

    def woodbury(self, whole: Kronecker | None, plain: bool) -> Woodbury | None:
        """A simpler system with few columns added, one of factors or of few entries where `plain`,
        else a sum; None where it is none.
        """
        ends = [(t.output[: self.rows], t.output[self.rows :]) for t in self.terms]
        ranks = [rank(t, *sides) for t, sides in zip(self.terms, ends, strict=True)]
        thin = [k for k, found in enumerate(ranks) if 2 * found <= self.size]
        rest = [t for k, t in enumerate(self.terms) if k not in thin]
        if not thin or not rest or 2 * sum(ranks[k] for k in thin) > self.size:
            return None
        core: Kronecker | Sparse | Commuting | None
        if plain:
            core = self.kronecker(rest)
            if not isinstance(core, Kronecker) or core.dense:
                core = self.sparse(build.add(*(build.product_carried(*t) for t in rest)))
        else:
            core = self.commuting(rest)
        if core is None:
            return None
        return Woodbury(core, tuple(cut(self.terms[k], *ends[k]) for k in thin), whole)

    # Factors of rows and columns

    def scaled(self) -> Scaled | None:
        """What is left where all terms have factors of rows alone, or of columns; None where they
        have none.
        """
        found = [self.beside(term) for term in self.terms]
        gone: list[set[int]] = [set() for _ in found]
        common: list[Factor] = []
        for key in found[0]:
            places = [own.get(key, -1) for own in found]
            if all(k >= 0 and k not in out for k, out in zip(places, gone, strict=True)):
                common.append(key)
                for k, out in zip(places, gone, strict=True):
                    out.add(k)
        if not common:
            return None
        rest = []
        for term, out in zip(self.terms, gone, strict=True):
            factors = tuple(f for k, f in enumerate(term.factors) if k not in out)
            rest.append(build.product_carried(*term._replace(factors=factors)))
        inner = ways(build.add(*rest), self.rows)
        sides = range(self.rows), range(self.rows, len(self.axes))
        above, below = ([k for k in common if k[2][0] in side] for side in sides)
        rows, columns = map(self.scale, (above, below), sides)
        return Scaled(inner, rows, columns) if inner else None

    def beside(self, term: Term) -> dict[Factor, int]:
        """The places of the factors that have axes of the rows alone, or of the columns: by these
        axes. What is tied may be on either side.
        """
        found: dict[Factor, int] = {}
        sides = term.output[: self.rows], term.output[self.rows :]
        for start, side in zip((0, self.rows), sides, strict=True):
            for place, (node, exponent, indices) in enumerate(term.factors):
                if indices and not isinstance(node, Pattern) and set(indices) <= set(side):
                    axes = tuple(start + side.index(i) for i in indices)
                    found.setdefault((node, exponent, axes), place)
        return found

    def scale(self, factors: Sequence[Factor], side: Sequence[int]) -> Scale | None:
        """The product of factors along axes of one side."""
        if not factors:
            return None
        own = sorted({axis for _, _, axes in factors for axis in axes})
        node = build.product_carried(ONE, factors, own, self.formula.dims)
        return Scale(node, tuple(self.axes[k] if k in own else 1 for k in side))

    # Few entries

    def sparse(self, formula: Node) -> Sparse | None:
        """A formula with few entries in each row; None where there may be many."""
        return _sparse(formula, self.rows, self.size)

    # Sums of Kronecker products

    def summed(self) -> list[Way]:
        """Ways by eigenvectors and by few entries, what costs less first."""
        found, few = self.commuting(self.terms), self.sparse(self.formula)
        ways: list[Way] = [way for way in (found, few) if way is not None]
        if found is None or few is None:
            return ways
        by_vectors = EIGEN * sum(n**3 for n in self.axes[: self.rows])
        return ways[::-1] if few.layout.operations < by_vectors else ways

    def commuting(self, terms: Sequence[Term]) -> Commuting | None:
        """A sum of products of one matrix or two for each axis; None where there are others."""
        groups = self.groups(terms)
        if any(len(g.rows) != 1 or len(g.columns) != 1 for g in groups):
            return None
        rows = []
        for term in terms:
            nodes = [_inside(term, group) for group in groups]
            plain = [
                _pairs(group, node) and not getattr(node, "children", ())
                for group, node in zip(groups, nodes, strict=True)
            ]
            matrices = [None if same else n for same, n in zip(plain, nodes, strict=True)]
            rows.append(Row(_inside(term, Group((), ()), numbers=True), tuple(matrices)))
        meets = {group.columns[0]: 1 + place for place, group in enumerate(groups)}
        last = (0, *(meets[a] for a in range(self.rows, len(self.axes))))
        return commuting(rows, [self.formula.dims[g.rows[0]] for g in groups], last)


def _inside(term: Term, group: Group, numbers: bool = False) -> Node:
    """What a term has along the axes of a group; with its number, and factors without axes."""
    held = [set(f[2]) for f in term.factors]
    own = {term.output[a] for a in (*group.rows, *group.columns)}
    free = set(term.output)
    places: list[int] = []
    for members in connected(held):
        reached = set().union(*(held[k] for k in members))
        if reached & own or (numbers and not reached & free):
            places += members
    output = [term.output[a] for a in (*group.rows, *group.columns)]
    node = component(term, sorted(places), output)
    return build.scale(term.coefficient, node) if numbers else node


class _Part:
    """A factor while it is found: which of its axes are tied, and which make a matrix."""

    def __init__(self, axes: Axes, group: Group, node: Node) -> None:
        self.node, self.pairs = node, _pairs(group, node)
        tied_rows, tied_columns = {r for r, _ in self.pairs}, {c for _, c in self.pairs}
        self.rows = [r for r in group.rows if r not in tied_rows]
        self.columns = [c for c in group.columns if c not in tied_columns]
        self.height = prod(axes[k] for k in self.rows)
        self.width = prod(axes[k] for k in self.columns)
        self.many = tuple(axes[r] for r, _ in self.pairs)
        self.places = {a: k for k, a in enumerate((*group.rows, *group.columns))}
        height, width = (prod(axes[a] for a in own) for own in group)
        self.is_square = height == width

    def is_solved(self, room: int) -> bool:
        """Whether it is no system in several axes at once, or one of no more entries than these."""
        if self.height != self.width:
            return False
        single = len(self.rows) < 2 and len(self.columns) < 2
        return single or prod(self.many) * self.height**2 <= room

    @property
    def is_identity(self) -> bool:
        """Whether it only gives axes other places."""
        node = self.node
        plain = not self.rows and not node.names and getattr(node, "children", ()) == ()
        return plain and build.coefficient_of(node).is_one

    def block(self) -> Block:
        """The factor with its formulas."""
        output = [self.places[r] for r, _ in self.pairs]
        tied = len(output)
        output += [self.places[k] for k in (*self.rows, *self.columns)]
        matrix = build.add(*(_along(t, output) for t in terms_of(self.node)))
        known = _known(matrix, len(self.rows)) if self.rows and not tied else ""
        large = len(self.rows) == len(self.columns) == 1 and not tied and self.height >= LARGE
        sparse = _sparse(matrix, 1, self.height) if large else None
        return Block(matrix, self.many, self.height, known, self.thin(), sparse)

    def thin(self) -> Thin | None:
        """The blocks as diagonals with few columns added; None where they are of another kind."""
        if self.height == 1 or len(self.rows) != 1 or len(self.columns) != 1:
            return None
        row, column = self.places[self.rows[0]], self.places[self.columns[0]]
        many = [self.places[r] for r, _ in self.pairs]
        terms = terms_of(self.node)
        flat = [t for t in terms if t.output[row] == t.output[column]]
        thin = [t for t in terms if t.output[row] != t.output[column]]
        ends = [((t.output[row],), (t.output[column],)) for t in thin]
        ranks = sum(rank(t, *sides) for t, sides in zip(thin, ends, strict=True))
        if not flat or not thin or 2 * ranks > self.height:
            return None
        shared = [tuple(t.output[k] for k in many) for t in thin]
        cuts = [cut(t, *sides, own) for t, sides, own in zip(thin, ends, shared, strict=True)]
        return Thin(build.add(*(_along(t, (*many, row)) for t in flat)), tuple(cuts))


def _sparse(formula: Node, rows: int, size: int) -> Sparse | None:
    """A formula with few entries in each row; None where there may be many."""
    if count(formula) > min(MANY_TIMES * size, size**2):
        return None
    found = layout(pattern(formula, rows))
    return None if found is None else Sparse(formula, found)


def _along(term: Term, output: Sequence[int]) -> Node:
    """A term along some of its axes, where others are tied to these."""
    kept = tuple(term.output[k] for k in output)
    return joined([[term._replace(output=kept)]], [], [(0, k) for k in range(len(kept))])


def _pairs(group: Group, node: Node) -> list[tuple[int, int]]:
    """Row axes with the column axes that are tied to them in every term of a factor."""
    terms = terms_of(node)
    places = {a: k for k, a in enumerate((*group.rows, *group.columns))}
    found: list[tuple[int, int]] = []
    for r in group.rows:
        for c in group.columns:
            tied = all(t.output[places[r]] == t.output[places[c]] for t in terms)
            if tied and c not in {k for _, k in found}:
                found.append((r, c))
                break
    return found


def _known(matrix: Node, rows: int) -> str:
    """What the form of a matrix shows that makes it easier to solve with."""
    if rows > 1 or matrix.ndim != 2:
        same = normal_form(transposed(matrix, rows)) is normal_form(matrix)
        return "definite" if same and not holds_complex(matrix) and definite(matrix) > 0 else ""
    side = triangle(matrix)
    if side:
        return "lower" if side > 0 else "upper"
    if holds_complex(matrix) or not is_symmetric(matrix):
        return ""
    return "definite" if definite(matrix) > 0 else "symmetric"
