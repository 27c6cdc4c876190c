"""What can differ from zero in a derivative, and how few numbers determine it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

from wrt.algebra.equality import Sampling, sample_sizes, seeds
from wrt.algebra.normal import flat_form
from wrt.algebra.patterns import position_of
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dataclass import dataclass
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Apply, Einsum, Node, Pattern, Reshape, Sum
from wrt.expression.products import connected
from wrt.expression.walk import is_larger, postorder, ranged_terms

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Structure", "structure"]

#: More δ-patterns than this are not counted by inclusion and exclusion; the bound is the whole
#: tensor.
MOST_PATTERNS = 8
#: Symmetry is looked for in tensors up to this many axes and, evaluated at small sizes, entries.
MOST_RANGED = 200
MOST_AXES, MOST_ENTRIES = 6, 200_000


@dataclass(frozen=True)
class Block:
    """One product of the derivative: its pattern of tied axes and the parts that give its numbers.

    `parts` are pairs of a formula without δ and the output axes that it varies along.
    """

    pattern: tuple[int, ...]
    #: the tied axes that a basis vector fixes, with their position counted from 0
    fixed: Mapping[int, Dimension]
    parts: tuple[tuple[Node, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Structure:
    """The structure of a derivative with `split` axes of f before those of x.

    `kind` is zero, constant, delta, kronecker, outer, sum or dense; `entries`, `nonzero` (an upper
    bound), `numbers` are dimensions; `given_by` the formulas whose entries determine all;
    `symmetries` pairs of groups of axes (counted from 0) that may be exchanged.
    """

    node: Node
    split: int
    kind: str
    entries: Dimension
    nonzero: Dimension
    numbers: Dimension
    given_by: tuple[Node, ...]
    blocks: tuple[Block, ...]

    @cached_property
    def counted(self) -> tuple[int, int, dict[str, int]] | None:
        """How many entries of how many differ from zero at a random point, and at which sizes.

        None where the tensor is too large to look at.
        """
        return _counted(self.node)

    @cached_property
    def symmetries(self) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
        """The exchanges of axes, or of groups of as many axes, that leave the tensor as it is."""
        return _symmetries(self.node, self.split)


def structure(node: Node, split: int) -> Structure:
    """The structure of a derivative: see `Structure`.

    >>> from wrt.expression.nodes import Variable
    >>> n, m = map(Dimension.of, "nm")
    >>> x = Variable("x", (m,))
    >>> s = structure(build.einsum("ia,b->iab", build.identity(n), x), 1)
    >>> s.kind, str(s.nonzero), str(s.entries), str(s.numbers)
    ('kronecker', 'm*n', 'm*n^2', 'm')
    """
    flat = flat_form(node)
    inner = flat.body if isinstance(flat, Reshape) else flat
    terms = inner.children if isinstance(inner, Sum) else (inner,)
    blocks = tuple(_block(t) for t in terms if not build.is_zero(t))
    entries = _volume(node.dims)
    if not blocks:
        zero = Dimension.of(0)
        return Structure(flat, split, "zero", entries, zero, zero, (), ())
    nonzero = _support(inner.dims, blocks)
    given = tuple(dict.fromkeys(_bare(part) for b in blocks for part, axes in b.parts if axes))
    scalars = (p for b in blocks for p, axes in b.parts if not axes and p.names)
    given += tuple(dict.fromkeys(map(_bare, scalars)))
    numbers = sum((_volume(part.dims) for part in given), Dimension.of(0))
    if not _fewer(numbers, nonzero):
        numbers, given = nonzero, ()
    kind = _kind(blocks, nonzero, entries, split, node.ndim)
    return Structure(flat, split, kind, entries, nonzero, numbers, given, blocks)


def _bare(part: Node) -> Node:
    """A part without its transpose: what gives the same numbers counts once."""
    if isinstance(part, Einsum) and part.exponents == (1,) and not part.summed:
        (child,), (indices,) = part.children, part.indices
        if len(set(indices)) == len(indices) == part.ndim:
            return child
    return part


def _volume(dims: Iterable[Dimension]) -> Dimension:
    product = Dimension.of(1)
    for dim in dims:
        product = product * dim
    return product


def _fewer(numbers: Dimension, nonzero: Dimension) -> bool:
    """Whether a count is below another where sizes are of some size."""
    sizes = dict.fromkeys(numbers.names | nonzero.names, 10)
    return numbers.size(sizes) < nonzero.size(sizes)


def _block(term: Node) -> Block:
    axes = tuple(range(term.ndim))
    if isinstance(term, Pattern):
        term = Einsum(ONE, ((term, 1, axes),), axes, term.dims)
    if not isinstance(term, Einsum):
        return Block(axes, {}, ((term, axes),))
    fixed: dict[int, Dimension] = {}
    for child, (*indices,) in zip(term.children, term.indices, strict=True):
        position = position_of(child)
        if position is not None and indices[0] in term.output:
            fixed[indices[0]] = position
        elif _is_section(child) and set(indices) <= set(term.output):
            fixed[indices[1]] = Dimension.of("at") + indices[0]  # it follows the first index
    return Block(term.output, fixed, tuple(_parts(term, fixed)))


def _is_section(node: Node) -> bool:
    """Whether each row of a pattern has one entry that is not zero, as in a slice."""
    if not isinstance(node, Pattern) or node.ndim != 2 or len(node.relations) != 1:
        return False
    (relation,) = node.relations
    return relation.kind == "==" and [abs(c) for _, c in relation.terms] == [1, 1]


def _parts(term: Einsum, fixed: Mapping[int, Dimension]) -> Iterator[tuple[Node, tuple[int, ...]]]:
    """The factors in groups that share indices; each group with the output axes it varies along."""
    moving = [
        (child, exponent, indices)
        for child, exponent, indices in term.factors
        if position_of(child) is None or indices[0] not in fixed
    ]
    for members in connected([indices for _, _, indices in moving]):
        factors = [moving[k] for k in members]
        held = {i for _, _, indices in factors for i in indices}
        out = [i for i in dict.fromkeys(term.output) if i in held]
        made = build.product_carried(ONE, factors, out, term.index_dims)
        yield made, tuple(a for a, i in enumerate(term.output) if i in held)


def _support(dims: Sequence[Dimension], blocks: Sequence[Block]) -> Dimension:
    """How many entries can differ from zero: inclusion and exclusion over the distinct patterns."""
    supports = list(dict.fromkeys((b.pattern, _fixed_axes(b)) for b in blocks))
    if len(supports) > MOST_PATTERNS:
        return _volume(dims)
    total = Dimension.of(0)
    for size in range(1, len(supports) + 1):
        for chosen in combinations(supports, size):
            total = total + _meet(dims, chosen) * (1 if size % 2 else -1)
    return total


def _fixed_axes(block: Block) -> tuple[tuple[int, Dimension], ...]:
    """Axes that a basis vector fixes, with the position."""
    return tuple((a, block.fixed[i]) for a, i in enumerate(block.pattern) if i in block.fixed)


def _meet(
    dims: Sequence[Dimension],
    chosen: Sequence[tuple[tuple[int, ...], tuple[tuple[int, Dimension], ...]]],
) -> Dimension:
    """The number of entries where all chosen patterns hold; none where positions may differ."""
    parent = list(range(len(dims)))

    def find(a: int) -> int:
        while parent[a] != a:
            a = parent[a]
        return a

    fixed: dict[int, Dimension] = {}
    for pattern, _ in chosen:
        first: dict[int, int] = {}
        for axis, index in enumerate(pattern):
            parent[find(axis)] = find(first.setdefault(index, axis))
    for _, held in chosen:
        for axis, position in held:
            if fixed.setdefault(find(axis), position) is not position:
                return Dimension.of(0)
    roots = {find(a) for a in range(len(dims))} - set(fixed)
    return _volume(dims[a] for a in sorted(roots))


def _kind(
    blocks: Sequence[Block], nonzero: Dimension, entries: Dimension, split: int, ndim: int
) -> str:
    block = blocks[0]
    counts = [block.pattern.count(i) for i in set(block.pattern)]
    if all(b.pattern == block.pattern for b in blocks) and min(counts, default=0) > 1:
        return "delta"
    if len(blocks) > 1:
        return "sum" if nonzero is not entries else "dense"
    tied = len(counts) < ndim
    varying = [axes for _, axes in block.parts if axes]
    if not varying:
        return "delta" if tied else "constant"
    crossing = [a for a in varying if min(a) < split <= max(a)]
    if 0 < split < ndim and not crossing and not _ties_across(block.pattern, split):
        return "outer"
    if ndim > 2 and (tied or len(varying) > 1):
        return "kronecker"
    return "delta" if tied else "dense"


def _ties_across(pattern: Sequence[int], split: int) -> bool:
    return bool(set(pattern[:split]) & set(pattern[split:]))


def _counted(node: Node) -> tuple[int, int, dict[str, int]] | None:
    import numpy as np

    sizes = sample_sizes((node,))
    entries = _volume(node.dims).size(sizes)
    if entries > MOST_ENTRIES or is_larger(500, node) or ranged_terms(node) > MOST_RANGED:
        return None
    # where signs and steps switch entries off, several points show all that can be on
    switches = any(
        isinstance(n, Apply) and n.function.analytic is not True for n in postorder(node)
    )
    seen = np.zeros([d.size(sizes) for d in node.dims], dtype=bool)
    for (value,) in map(Sampling((node,), sizes), range(16 if switches else 2)):
        if not np.all(np.isfinite(value)):
            return None
        seen |= np.abs(value) > 1e-12 * float(np.abs(value).max(initial=0))
    return int(np.count_nonzero(seen)), entries, sizes


def _symmetries(node: Node, split: int) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
    """What holds at two random points, with no size below 3: two entries of a softmax are
    special.
    """
    if (
        not 2 <= node.ndim <= MOST_AXES
        or build.is_zero(node)
        or is_larger(2000, node)
        or ranged_terms(node) > MOST_RANGED
    ):
        return ()
    sizes = sample_sizes((node,))
    if _volume(node.dims).size(sizes) > MOST_ENTRIES:
        return ()
    values = [value for (value,) in map(Sampling((node,)), seeds((node,)))]
    return tuple(
        (a, b)
        for a, b in _exchanges(node.dims, split)
        if all(_unchanged(value, a, b) for value in values)
    )


def _unchanged(value: Array, a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether a tensor, not zero, stays the same when two groups of its axes change places."""
    import numpy as np

    order = list(range(value.ndim))
    for i, j in zip(a, b, strict=True):
        order[i], order[j] = j, i
    scale = np.abs(value).max(initial=0)
    if not np.isfinite(scale):
        return False
    return bool(scale and np.abs(value - value.transpose(order)).max() <= 1e-9 * scale)


def _exchanges(
    dims: Sequence[Dimension], split: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Pairs of single axes, then of neighbouring groups behind f's axes, of the same dimensions."""
    for a, b in combinations(range(len(dims)), 2):
        if dims[a] is dims[b]:
            yield (a,), (b,)
    rest = len(dims) - split
    for width in range(2, rest // 2 + 1):
        for a in range(split, len(dims) - 2 * width + 1):
            first, second = tuple(range(a, a + width)), tuple(range(a + width, a + 2 * width))
            if [dims[i] for i in first] == [dims[i] for i in second]:
                yield first, second
    if split and 2 * split == len(dims) and split > 1 and dims[:split] == dims[split:]:
        yield tuple(range(split)), tuple(range(split, len(dims)))
