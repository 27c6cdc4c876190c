"""The summands of a derivative through time, by the step at which a weight acts.

The weight is given a copy for every step (I. Goodfellow, Y. Bengio, A. Courville, Deep Learning,
10.2.2); the derivative by the copies is the stack of the summands, a product of what comes back to
a step and of what the step read, and stays one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from wrt import programs
from wrt.algebra import normal_form
from wrt.answers.parts import axes_said, by_name
from wrt.calculus.joined import squares
from wrt.calculus.terms import terms_of
from wrt.errors import ShapeMistake, ValueMistake
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dataclass import dataclass, field
from wrt.expression.nodes import Dims, Einsum, Node

if TYPE_CHECKING:
    import numpy as np

    from wrt.answers.sequences.through import ThroughTime

    Array = np.ndarray[Any, Any]

__all__ = ["Contributions", "Summands", "Triangle"]

HALF = Fraction(1, 2)
#: The stacks of a term, and which axes of a summand each has.
Term = tuple[tuple[Any, ...], tuple[tuple[int, ...], ...]]


@dataclass(frozen=True, eq=False, repr=False)
class Summands:
    """The summands at given values.

    `factors` are tuples of stacks (steps first, then a batch that is summed, then axes of a
    summand) whose product over the rest is a term of the summands.

    >>> from wrt import recurrence
    >>> rnn = recurrence("s[t] = W*s[t-1] + x[t]; L[t] = norm2(s[t])^2/2")
    >>> each = rnn.contributions("W")(W=[[2]], s0=[1], x=[[0], [1]])
    >>> each, each.norms, each.at(2), each.sum()
    (<summands of 2 steps, 1 × 1 each>, array([12., 10.]), array([[10.]]), array([[22.]]))
    >>> each.triangle()                     # what W at step k (across) does to L[t] (up)
    array([[ 2.,  0.],
           [10., 10.]])
    >>> each.apply([[0.5]]), each.norm()
    (array(11.), 22.0)
    """

    factors: tuple[tuple[Array, ...], ...]
    #: For every stack, which axes of a summand it has.
    places: tuple[tuple[tuple[int, ...], ...], ...]
    #: How many axes of a summand are those of f.
    split: int = 0
    _triangle: Callable[[], Array] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.factors[0][0])

    def __repr__(self) -> str:
        return f"<summands of {len(self)} steps, {axes_said(self._sizes)} each>"

    @cached_property
    def norms(self) -> Array:
        """The Frobenius norms of every summand, found in one pass, no summand formed."""
        import numpy as np

        total: Any = 0.0
        terms = list(self._pairs())
        for k, term in enumerate(terms):
            for other in terms[k:]:
                total = total + (1 if term is other else 2) * _products(term, other)
        found: Array = np.sqrt(np.maximum(total, 0.0))
        return found

    def sum(self) -> Array:
        """The whole derivative: one product of stacks for each term."""
        return self._added(self.factors)

    def at(self, step: int) -> Array:
        """The summand of one step, counted from 1."""
        if not isinstance(step, int) or not 1 <= step <= len(self):
            raise ShapeMistake(f"{step!r} is no step: steps are counted from 1 to {len(self)}")
        one = slice(step - 1, step)
        return self._added([tuple(stack[one] for stack in term) for term in self.factors])

    def triangle(self) -> Array:
        """The norms of what the weight at step k (columns) does to the loss of step t (rows)."""
        if self._triangle is None:
            raise ShapeMistake("a triangle is of a loss at every step; ask for contributions")
        return self._triangle()

    def rows(self, *indices: int) -> Array:
        """The part of the whole for one entry of f, indices counted from 1."""
        if len(indices) != self.split or any(not isinstance(i, int) or i < 1 for i in indices):
            raise ShapeMistake(f"f has {self.split} axes, its entries are counted from 1")
        cut = []
        for stacks, places in zip(self.factors, self.places, strict=True):
            cut.append(
                tuple(_cut(s, p, indices) for s, p in zip(stacks, places, strict=True)),
            )
        whole = self._added(cut)
        return whole.reshape(whole.shape[self.split :])

    def blocks(self, rows: int) -> Iterator[tuple[slice, Array]]:
        """The whole in blocks of some entries of the first axis of f, each one product of stacks:
        pairs of where a block stands and the block.
        """
        if not self.split or not isinstance(rows, int) or rows < 1:
            raise ShapeMistake("blocks are of so many entries of f, one or more")
        sizes = [
            stack.shape[stack.ndim - len(own) + own.index(0)]
            for stack, own in zip(self.factors[0], self.places[0], strict=True)
            if 0 in own
        ]
        for start in range(0, sizes[0], rows):
            place = slice(start, min(start + rows, sizes[0]))
            yield place, self._added([_block(*pair, place) for pair in self._pairs()])

    def _pairs(self) -> Iterator[Term]:
        yield from zip(self.factors, self.places, strict=True)

    def apply(self, direction: Any) -> Array:
        """How f changes along a direction of the variable, the whole never formed."""
        import numpy as np

        moved = np.asarray(direction, float)
        total: Any = 0.0
        for stacks, places in zip(self.factors, self.places, strict=True):
            count = self._axes
            said, out = _spelled(stacks, places)
            inner = _letters(range(self.split, count))
            front = out[: self.split]
            operands = (*stacks, moved)
            total = total + np.einsum(f"{said},{inner}->{front}", *operands, optimize=True)
        return np.asarray(total)

    def norm(self) -> float:
        """The Frobenius norm of the whole, by the inner products of its factors."""
        import numpy as np

        total = 0.0
        for k, (stacks, places) in enumerate(zip(self.factors, self.places, strict=True)):
            for others, spots in zip(self.factors[k:], self.places[k:], strict=True):
                twice = 1 if stacks is others else 2
                if len(stacks) == 1 or len(others) == 1 or places != spots:
                    return float(np.linalg.norm(self.sum()))
                gram: Any = 1.0
                for a, b, p in zip(stacks, others, places, strict=True):
                    gram = gram * (_rows(a, p) @ _rows(b, p).T)
                total += twice * float(gram.sum())
        return float(np.sqrt(max(total, 0.0)))

    @property
    def _sizes(self) -> tuple[int, ...]:
        """The shape of a summand."""
        pairs = zip(self.factors[0], self.places[0], strict=True)
        found = {k: n for s, own in pairs for k, n in zip(own[::-1], s.shape[::-1], strict=False)}
        return tuple(found[k] for k in sorted(found))

    @property
    def _axes(self) -> int:
        return 1 + max((k for term in self.places for p in term for k in p), default=-1)

    def _added(self, factors: Any) -> Array:
        import numpy as np

        total: Any = 0.0
        for stacks, places in zip(factors, self.places, strict=True):
            said, out = _spelled(stacks, places)
            total = total + np.einsum(f"{said}->{out}", *stacks, optimize=True)
        return np.asarray(total)


def _letters(places: Any) -> str:
    return "".join("abcdefghijklmnop"[k] for k in places)


def _products(term: Term, other: Term) -> Array:
    """The inner products of the summands of two terms, step by step."""
    import numpy as np

    if term[1] == other[1] and _is_parted(*term) and _is_parted(*other):
        found: Any = 1.0
        for a, b, own in zip(term[0], other[0], term[1], strict=True):
            letters = f"t{_letters(own)}"
            found = found * np.einsum(f"{letters},{letters}->t", a, b)
        return np.asarray(found)
    said = [_spelled(*term)[0], _spelled(*other, lead="txyz")[0]]
    return np.asarray(np.einsum(f"{','.join(said)}->t", *term[0], *other[0], optimize=True))


def _is_parted(stacks: Sequence[Array], places: Sequence[tuple[int, ...]]) -> bool:
    """Whether the stacks of a term have no axis together but that of the steps."""
    held = [k for own in places for k in own]
    alone = all(s.ndim == 1 + len(own) for s, own in zip(stacks, places, strict=True))
    return alone and len(held) == len(set(held))


def _spelled(stacks: Any, places: Any, lead: str = "tuvw") -> tuple[str, str]:
    """The letters of the stacks of a term, and those of a summand."""
    words = []
    for stack, own in zip(stacks, places, strict=True):
        words.append(lead[: stack.ndim - len(own)] + _letters(own))
    return ",".join(words), _letters(sorted(k for own in places for k in own))


def _rows(stack: Array, own: tuple[int, ...]) -> Array:
    """Steps and batch as rows, all the rest as columns."""
    lead = stack.shape[: stack.ndim - len(own)]
    count = 1
    for size in lead:
        count *= size
    return stack.reshape(count, -1)


def _block(
    stacks: tuple[Array, ...], places: tuple[tuple[int, ...], ...], rows: slice
) -> tuple[Array, ...]:
    """The stacks of a term at some entries of the first axis of a summand."""
    found = []
    for stack, own in zip(stacks, places, strict=True):
        key: list[slice] = [slice(None)] * stack.ndim
        if 0 in own:
            key[stack.ndim - len(own) + own.index(0)] = rows
        found.append(stack[tuple(key)])
    return tuple(found)


def _cut(stack: Array, own: tuple[int, ...], indices: tuple[int, ...]) -> Array:
    """The entries of a stack that belong to one entry of f."""
    lead = stack.ndim - len(own)
    key = [slice(None)] * lead
    key += [slice(indices[k] - 1, indices[k]) if k < len(indices) else slice(None) for k in own]
    return stack[tuple(key)]


class Triangle:
    """The squared norms of what a weight does at step k to the loss of step t.

    They are one formula over (t, k); or two, those of a step's own loss and those by distance,
    which are found without all of them at once, where all states run one way.
    """

    def __init__(self, squares: tuple[Node, ...], reverse: bool = False) -> None:
        self.squares, self.reverse = squares, reverse

    @classmethod
    def of(cls, by_loss: Node) -> Triangle:
        """From the derivative of all losses by all copies of the weight."""
        return cls((_squares(by_loss, 2),))

    def laid(self, found: Sequence[Array]) -> Array:
        """The norms, rows t and columns k, from the values of the squares."""
        import numpy as np

        if len(found) == 1:
            return np.sqrt(found[0])
        own, further = (np.sqrt(np.maximum(one, 0)) for one in found)
        laid = np.diag(own)
        steps = len(own)
        for d in range(1, steps):
            k = np.arange(d, steps) if self.reverse else np.arange(steps - d)
            laid[k - d if self.reverse else k + d, k] = further[d - 1, k]
        return laid


class Contributions:
    """The summands of a derivative by step, as formulas: axes steps, those of f, the variable's."""

    def __init__(
        self,
        formula: Node,
        whole: Callable[[], ThroughTime],
        batch: Dims = (),
        split: int = 0,
        by_loss: Callable[[], Triangle] | None = None,
    ) -> None:
        self.formula, self.batch, self.split = formula, batch, split
        self._whole, self._by_loss = whole, by_loss

    def __repr__(self) -> str:
        return f"<{self.whole.title} step by step: {axes_said(self.shape)}>"

    @cached_property
    def whole(self) -> ThroughTime:
        """The derivative that the summands add up to."""
        return self._whole()

    @property
    def shape(self) -> tuple[int | str, ...]:
        """The axes: the steps, then those of a summand."""
        return self.formula.shape

    @cached_property
    def _parted(self) -> tuple[tuple[tuple[Node, tuple[int, ...]], ...], ...]:
        terms = [build.product(*term) for term in terms_of(self.formula)] or [self.formula]
        return tuple(_factors(term, self.batch) for term in terms)

    @property
    def factors(self) -> tuple[tuple[Node, ...], ...]:
        """The terms, each as stacks that it is the product of: steps, the batch (summed), then
        axes of a summand.
        """
        return tuple(tuple(node for node, _ in term) for term in self._parted)

    @cached_property
    def squares(self) -> Node:
        """The squared Frobenius norm of every summand, without forming one."""
        return _squares(self.formula, 1)

    @property
    def has_triangle(self) -> bool:
        """Whether there is a loss at every step."""
        return self._by_loss is not None

    @cached_property
    def triangle(self) -> Triangle:
        """What the weight at step k does to the loss of step t."""
        assert self._by_loss is not None
        return self._by_loss()

    def compile(self, backend: str = "numpy", *, structured: bool = False) -> programs.Program:
        """One program: all factors in order, then the norms."""
        if structured:
            raise ValueMistake(
                "summands are kept as factors already: compile() gives the factors and the norms, "
                "and called with values they have .factors, .norms and single summands"
            )
        parts = [stack for term in self.factors for stack in term]
        return self._compiled((*parts, self.squares**HALF), backend)

    def _compiled(self, nodes: tuple[Node, ...], backend: str = "numpy") -> programs.Program:
        return programs.compile(
            nodes, backend, arguments=self.whole.arguments, title="the summands"
        )

    def __call__(
        self, mapping: Mapping[str, Any] | None = None, /, *unnamed: Any, **values: Any
    ) -> Summands:
        """The summands at values by keyword, or by one mapping of names."""
        given = self.whole._needed(by_name(mapping, values, *unnamed))
        rest = iter(
            self._compiled(tuple([stack for term in self.factors for stack in term]))(given)
        )
        factors = tuple(tuple(next(rest) for _ in term) for term in self._parted)
        places = tuple(tuple(own for _, own in term) for term in self._parted)

        def triangle() -> Array:
            return self.triangle.laid(self._compiled(self.triangle.squares)(given))

        return Summands(factors, places, self.split, None if self._by_loss is None else triangle)


def _squares(node: Node, kept: int) -> Node:
    """The sum of the squares over all but the first axes, products taken term by term."""
    terms = [build.product(*term) for term in terms_of(node)]
    return normal_form(squares(terms, kept)) if terms else build.zeros(node.dims[:kept])


def _factors(node: Node, batch: Dims) -> tuple[tuple[Node, tuple[int, ...]], ...]:
    """A stack of products taken apart: factors that share the step and the batch alone, each with
    the axes of a summand that it has."""
    whole = ((node, tuple(range(node.ndim - 1))),)
    if not isinstance(node, Einsum) or node.repeats:
        return whole
    lead = [node.output[0], *(i for i in node.summed if node.index_dims[i] in batch)]
    groups: list[tuple[set[int], list[int]]] = []
    for k, own in enumerate(node.indices):
        held = set(own) - set(lead)
        near = [g for g in groups if g[0] & held]
        merged = (held.union(*(g[0] for g in near)), [k, *(p for g in near for p in g[1])])
        groups = [g for g in groups if g not in near] + [merged]
    loose = [g for g in groups if not g[0] & set(node.output)]
    firm = [g for g in groups if g[0] & set(node.output)]
    if len(firm) < 2:
        return whole
    firm.sort(key=lambda g: min(node.output.index(i) for i in g[0] & set(node.output)))
    firm[0][1].extend(p for _, places in loose for p in places)
    made = []
    for k, (held, places) in enumerate(firm):
        own_axes = [i for i in node.output[1:] if i in held]
        output = (*lead, *own_axes)
        factors = [node.factors[p] for p in sorted(places)]
        used = sorted({i for _, _, axes in factors for i in axes} | set(output))
        order = {i: j for j, i in enumerate(used)}
        stack = build.product(
            ONE if k else node.coefficient,
            [(n, e, tuple(order[i] for i in axes)) for n, e, axes in factors],
            [order[i] for i in output],
            [node.index_dims[i] for i in used],
        )
        made.append((stack, tuple(node.output.index(i) - 1 for i in own_axes)))
    return tuple(made)
