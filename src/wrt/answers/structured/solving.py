"""Linear systems with a structured tensor, taken apart by what its terms have in common.

Axes that no term connects belong to different factors of a Kronecker product, each solved by
itself; an axis of the rows that is tied to one of the columns in every term makes a factor block
diagonal. A term that goes through few numbers between its rows and its columns is added to that by
Woodbury's identity. A X + X B is Sylvester's equation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from wrt.answers.structured.factors import (
    factorised,
    halves,
    is_lost,
    rank,
    singular,
    turned,
)
from wrt.answers.structured.operations import terms as terms_of
from wrt.answers.structured.terms import Term, component, joined
from wrt.errors import ShapeMistake, ValueMistake
from wrt.expression import build
from wrt.expression.dataclass import dataclass
from wrt.expression.nodes import Node
from wrt.expression.products import connected

if TYPE_CHECKING:
    from wrt.answers.structured.tensor import Structured

__all__ = ["System", "system"]

Axes = tuple[int, ...]


@dataclass(frozen=True)
class System:
    """A tensor and the way to solve with it."""

    D: Structured
    way: Any

    def solve(self, right: Any) -> Any:
        """The solution, of many right sides along leading axes at once."""
        D = self.D
        b, lead = D.library.shaped("the right side", right, D.row_shape, D.like)
        b = b.reshape((prod(lead), *D.axes[: D.rows]))
        with _told(D):
            x = self.way.solve(b)
        return x.reshape((*lead, *D.column_shape))

    def logdet(self) -> Any:
        """The logarithm of the absolute value of the determinant."""
        with _told(self.D):
            return self.way.logdet()


@contextmanager
def _told(D: Structured) -> Iterator[None]:
    """What cannot be factorised is told by the name of the tensor."""
    import numpy as np

    try:
        yield
    except np.linalg.LinAlgError:
        raise ValueMistake(f"{D} is singular at this point") from None
    except RuntimeError as error:  # PyTorch's own is one of these
        if type(error).__name__ != "_LinAlgError":
            raise
        raise ValueMistake(f"{D} is singular at this point") from None


def system(D: Structured) -> System:
    """The way to solve with a tensor; ValueMistake where the structure does not tell one."""
    if prod(D.row_shape) != prod(D.column_shape):
        raise ShapeMistake(f"{D} is not square")
    terms = [t for t in terms_of(D.formula) if t.coefficient.value]
    with _told(D):
        if not terms:
            raise singular()
        whole = _kronecker(D, terms)
        if whole is not None and not whole.dense:
            return System(D, whole)
        thin = [t for t in terms if _rank(t, D.rows) * 2 <= prod(D.row_shape)]
        rest = [t for t in terms if not any(t is one for one in thin)]
        core = _kronecker(D, rest) if rest and thin else None
        few = sum(_rank(t, D.rows) for t in thin) * 2 <= prod(D.row_shape)
        if core is not None and not core.dense and few:
            if whole is None or core.is_regular:
                return System(D, _Woodbury(D, core, thin, whole))
        if whole is not None:
            return System(D, whole)
        sylvester = _sylvester(D, terms)
        if sylvester is not None:
            return System(D, sylvester)
    raise ValueMistake(
        f"the structure of {D} does not tell how to solve with it: it is no product of systems in "
        "single axes, with few columns added to it; linear_operator() is a map for iterative "
        "solvers such as scipy.sparse.linalg.cg, dense() gives every entry"
    )


def _rank(term: Term, rows: int) -> float:
    return rank(term, term.output[:rows], term.output[rows:])


# Kronecker products of blocks


class Group(NamedTuple):
    """Axes that belong together: a system of its own."""

    rows: Axes
    columns: Axes


def _kronecker(D: Structured, terms: Sequence[Term]) -> _Kronecker | None:
    """The terms as a Kronecker product of systems; None where they are none."""
    if any(not t.output for t in terms):
        return _Kronecker(D, [_Block(D, Group((), ()), build.add(*map(_whole, terms)))])
    groups = _groups(D, terms)
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
    blocks = []
    for place, group in enumerate(groups):
        if place == heavy:
            node = build.add(*(_inside(t, group, numbers=True) for t in terms))
        else:
            node = _inside(terms[0], group)
        block = _Block.of(D, group, node)
        if block is None:
            return None
        blocks.append(block)
    return _Kronecker(D, blocks)


def _whole(term: Term) -> Node:
    return build.product_carried(*term)


def _groups(D: Structured, terms: Sequence[Term]) -> list[Group]:
    """The finest grouping of the axes that all terms respect."""
    links: list[set[int]] = []
    for term in terms:
        held = [set(f[2]) for f in term.factors]
        for places in connected(held):
            own = set().union(*(held[k] for k in places))
            links.append({a for a, i in enumerate(term.output) if i in own})
        links += [{a for a, i in enumerate(term.output) if i == j} for j in set(term.output)]
    found = connected([one for one in links if one])
    axes = [sorted(set().union(*([x for x in links if x][k] for k in places))) for places in found]
    return [
        Group(tuple(a for a in own if a < D.rows), tuple(a for a in own if a >= D.rows))
        for own in sorted(axes)
    ]


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


class _Block:
    """One factor: block diagonal along tied axes, a matrix in the others."""

    def __init__(self, D: Structured, group: Group, node: Node) -> None:
        self.D, self.node = D, node
        self.pairs = _pairs(group, node)
        tied_rows, tied_columns = {r for r, _ in self.pairs}, {c for _, c in self.pairs}
        self.rest_rows = [r for r in group.rows if r not in tied_rows]
        self.rest_columns = [c for c in group.columns if c not in tied_columns]
        self.height = prod(D.axes[k] for k in self.rest_rows)
        self.width = prod(D.axes[k] for k in self.rest_columns)
        self.many = tuple(D.axes[r] for r, _ in self.pairs)
        self.group = group

    @staticmethod
    def of(D: Structured, group: Group, node: Node) -> _Block | None:
        """The factor; None where it is a system in several axes at once."""
        made = _Block(D, group, node)
        if made.height != made.width:
            if prod(D.axes[r] for r in group.rows) != prod(D.axes[c] for c in group.columns):
                raise singular()
            return None
        return made if len(made.rest_rows) < 2 and len(made.rest_columns) < 2 else None

    @property
    def is_identity(self) -> bool:
        """Whether it only gives axes other places."""
        node = self.node
        return (
            not self.rest_rows
            and not node.names
            and getattr(node, "children", ()) == ()
            and (build.coefficient_of(node).is_one)
        )

    @cached_property
    def matrix(self) -> Any:
        """The blocks: one matrix, or one for each entry of the tied axes."""
        places = {a: k for k, a in enumerate((*self.group.rows, *self.group.columns))}
        output = [places[r] for r, _ in self.pairs]
        output += [places[k] for k in (*self.rest_rows, *self.rest_columns)]
        kept = [_along(t, output) for t in terms_of(self.node)]
        value = self.D._run(build.add(*kept), {})
        return value.reshape((*self.many, self.height, self.width))

    @cached_property
    def thin(self) -> _Thin | None:
        """The blocks as diagonals and few columns added; None where they are not."""
        if self.height == 1 or not self.rest_rows:
            return None
        return _Thin.of(self)

    @cached_property
    def solver(self) -> Any:
        """A function that solves with the blocks, factorised once."""
        return self.whole if self.thin is None else self.thin.solve

    @cached_property
    def whole(self) -> Any:
        """A function that solves with the matrix itself."""
        return factorised(self.D, self.matrix)

    def solve(self, x: Any, labels: list[int]) -> tuple[Any, list[int]]:
        """An array whose axes behind the first are those of `labels`, solved along its own."""
        now = dict(self.pairs)
        if self.is_identity:
            return x, [now.get(a, a) for a in labels]
        own = [r for r, _ in self.pairs] + self.rest_rows
        others = [a for a in labels if a not in own]
        order = [1 + labels.index(a) for a in own]
        order += [0] + [1 + labels.index(a) for a in others]
        turned = self.D.library.permuted(x, order)
        outer = tuple(turned.shape[len(own) :])
        found = self.solver(turned.reshape((*self.many, self.height, -1)))
        sizes = [self.D.axes[k] for k in self.rest_columns]
        found = found.reshape((*self.many, *sizes, *outer))
        lead = len(self.many) + len(sizes)
        back = self.D.library.permuted(
            found, [lead, *range(lead), *range(lead + 1, lead + len(outer))]
        )
        return back, [c for _, c in self.pairs] + self.rest_columns + others

    def logdet(self) -> Any:
        """Of the block, all blocks together."""
        words = self.D.library.words
        if self.is_identity:
            return words.zeros((), dtype=self.D.like.dtype)
        if self.thin is not None:
            return self.thin.logdet()
        if self.height == 1:
            return words.log(words.abs(self.matrix)).sum()
        return words.linalg.slogdet(self.matrix)[1].sum()


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


class _Kronecker:
    """Factors that are solved one after another."""

    def __init__(self, D: Structured, blocks: Sequence[_Block]) -> None:
        self.D, self.blocks = D, blocks

    @property
    def dense(self) -> bool:
        """Whether one matrix is as large as all of it."""
        return any(b.height == prod(self.D.row_shape) > 1 for b in self.blocks)

    @property
    def is_regular(self) -> bool:
        """Whether all factors can be factorised."""
        import numpy as np

        try:
            return all(block.is_identity or block.solver is not None for block in self.blocks)
        except np.linalg.LinAlgError:
            return False

    def solve(self, b: Any) -> Any:
        """Many right sides along the first axis."""
        labels = list(range(self.D.rows))
        for block in self.blocks:
            b, labels = block.solve(b, labels)
        order = [0, *(1 + labels.index(c) for c in range(self.D.rows, len(self.D.axes)))]
        return self.D.library.permuted(b, order)

    def logdet(self) -> Any:
        """The sum over the factors, each as often as the others have entries."""
        size = prod(self.D.row_shape)
        each = [(b, size // (prod(b.many) * b.height)) for b in self.blocks]
        return sum(block.logdet() * often for block, often in each)


# Few columns added


class _Woodbury:
    """A system with U V' added, by a small system with as many rows as U has columns.

    `whole` is the one matrix that it is, where the core alone is nearly singular.
    """

    def __init__(
        self, D: Structured, core: _Kronecker, thin: Sequence[Term], whole: _Kronecker | None
    ) -> None:
        self.D, self.core, self.whole = D, core, whole
        rows = D.rows
        self.U, self.V = halves(D, [(t, t.output[:rows], t.output[rows:]) for t in thin])

    @cached_property
    def moved(self) -> Any:
        """The columns of U, solved with the core and laid end to end."""
        found = self.core.solve(self.U.reshape((-1, *self.D.axes[: self.D.rows])))
        return found.reshape((len(self.U), -1))

    @cached_property
    def small(self) -> Any:
        """The small matrix."""
        return self.D.library.eye(len(self.U), self.U) + self.V @ turned(self.moved)

    @cached_property
    def solver(self) -> Any:
        """The small matrix, factorised."""
        return factorised(self.D, self.small)

    def solve(self, b: Any) -> Any:
        """Many right sides along the first axis; refined once."""
        first, x = self.once(b)
        if self.D.backend == "numpy" and is_lost(first, x):
            if self.whole is None:
                raise ValueMistake(f"{self.D} without what has few columns is nearly singular")
            return self.whole.solve(b)
        return x + self.once(b - self.applied(x))[1]

    def once(self, b: Any) -> tuple[Any, Any]:
        """The solution with the core, and what the small system makes of it."""
        first = self.core.solve(b)
        flat = first.reshape((len(b), -1))
        weights = self.solver(self.V @ turned(flat))
        return first, (flat - turned(weights) @ self.moved).reshape(first.shape)

    def applied(self, x: Any) -> Any:
        """What the tensor makes of many at once, by the axes of its formula."""
        D = self.D
        found = D.apply(x.reshape((len(x), *D.column_shape)))
        return found.reshape((len(x), *D.axes[: D.rows]))

    def logdet(self) -> Any:
        """That of the core and that of the small matrix."""
        return self.core.logdet() + self.D.library.words.linalg.slogdet(self.small)[1]


class _Thin:
    """Blocks that are diagonals with few columns added each, never formed."""

    def __init__(self, block: _Block, diagonal: Any, U: Any, V: Any) -> None:
        self.block, self.diagonal, self.U, self.V = block, diagonal, U, V
        self.moved = U / diagonal[..., None, :]

    @staticmethod
    def of(block: _Block) -> _Thin | None:
        """The blocks apart; None where they are of another kind, or singular without columns."""
        D, group = block.D, block.group
        places = {a: k for k, a in enumerate((*group.rows, *group.columns))}
        (row,), (column,) = block.rest_rows, block.rest_columns
        many = [places[r] for r, _ in block.pairs]
        terms = terms_of(block.node)
        flat = [t for t in terms if t.output[places[row]] == t.output[places[column]]]
        thin = [t for t in terms if t.output[places[row]] != t.output[places[column]]]
        ends = [((t.output[places[row]],), (t.output[places[column]],)) for t in thin]
        ranks = sum(rank(t, *sides) for t, sides in zip(thin, ends, strict=True))
        if not flat or not thin or 2 * ranks > block.height:
            return None
        output = [*many, places[row]]
        diagonal = D._run(build.add(*(_along(t, output) for t in flat)), {})
        if D.backend == "numpy" and not diagonal.all():
            return None
        shared = [tuple(t.output[k] for k in many) for t in thin]
        cut = [(t, *sides, own) for t, sides, own in zip(thin, ends, shared, strict=True)]
        return _Thin(block, diagonal, *halves(D, cut))

    @cached_property
    def small(self) -> Any:
        """A small matrix for each block."""
        return self.block.D.library.eye(self.U.shape[-2], self.U) + self.V @ turned(self.moved)

    def solve(self, b: Any) -> Any:
        """Right sides along the last axis of each block; refined once."""
        first, x = self.once(b)
        if self.block.D.backend == "numpy" and is_lost(first, x):
            return self.block.whole(b)
        added = turned(self.U) @ (self.V @ x)
        return x + self.once(b - self.diagonal[..., None] * x - added)[1]

    def once(self, b: Any) -> tuple[Any, Any]:
        """The solution with the diagonals, and what the small systems make of it."""
        first = b / self.diagonal[..., None]
        weights = self.block.D.library.words.linalg.solve(self.small, self.V @ first)
        return first, first - turned(self.moved) @ weights

    def logdet(self) -> Any:
        """Of all blocks together."""
        words = self.block.D.library.words
        small = words.linalg.slogdet(self.small)[1]
        return words.log(words.abs(self.diagonal)).sum() + small.sum()


# Sylvester's equation


class _Sylvester:
    """P X + X Q = B in two axes."""

    def __init__(self, D: Structured, P: Any, Q: Any) -> None:
        self.D, self.P, self.Q = D, P, Q

    def solve(self, b: Any) -> Any:
        """Many right sides along the first axis, one after another."""
        import numpy as np
        from scipy.linalg import solve_sylvester

        values = np.add.outer(np.linalg.eigvals(self.P), np.linalg.eigvals(self.Q))
        size = np.finfo(self.P.dtype).eps * np.abs(values).max()
        if np.abs(values).min() <= size * len(values):
            raise singular()
        return np.array([solve_sylvester(self.P, self.Q, one) for one in b], dtype=None)

    def logdet(self) -> Any:
        """By the eigenvalues of both."""
        import numpy as np

        values = np.add.outer(np.linalg.eigvals(self.P), np.linalg.eigvals(self.Q))
        return np.log(np.abs(values)).sum()


def _sylvester(D: Structured, terms: Sequence[Term]) -> _Sylvester | None:
    """Two axes, each term the identity along one of them."""
    if D.backend != "numpy" or D.rows != 2 or D.axes[:2] != D.axes[2:]:
        return None
    if not all(t.output for t in terms):
        return None
    right = [t for t in terms if t.output[0] == t.output[2] and t.output[1] != t.output[3]]
    left = [t for t in terms if t.output[1] == t.output[3]]
    if len(left) + len(right) != len(terms) or not left or not right:
        return None
    if any(t.output[0] in {i for f in t.factors for i in f[2]} for t in right):
        return None
    if any(t.output[1] in {i for f in t.factors for i in f[2]} for t in left):
        return None
    P = D._run(build.add(*(_along(t, (0, 2)) for t in left)), {})
    Q = D._run(build.add(*(_along(t, (3, 1)) for t in right)), {})
    return _Sylvester(D, P, Q)
