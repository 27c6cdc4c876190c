"""Index elimination: a product over indices becomes matrix notation, one summed index at a time.

Each step removes the summed index that fewest matrices carry: none is `x'*y` or a sum, one is
`A'*v`, two in line are `A'*diag(v)*B`, two side by side are `tr`, `diag` or `.*`. What cannot be
removed is left for the index form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import prod

from wrt.algebra.reshaping import axis_groups
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.dataclass import dataclass, field
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import BoundedSum, Einsum, Node, Pattern, Reshape
from wrt.notation.conjugates import conjugated
from wrt.notation.directions import said_axes
from wrt.notation.joining import is_split, opened
from wrt.notation.phrases import (
    chain_of,
    diagonal,
    diagonal_of,
    entrywise,
    eye,
    flip,
    ones,
    pick,
    power,
    raised,
    scalars_of,
    times,
)
from wrt.notation.traces import least, traces
from wrt.notation.tree import SCALAR, Shape, Tree, call, cheaper, literal

__all__ = ["Network", "network", "pattern_phrase", "within"]

Matrix = tuple[Tree, int, int]

_SUM = r"\operatorname{sum}(@0)"


@dataclass
class Network:
    """What is left of a product: scalars, columns at an index, matrices between two, tensors."""

    dims: list[Dimension]
    output: tuple[int, ...]
    coefficient: Coefficient = ONE
    scalars: list[Tree] = field(default_factory=list)
    vectors: dict[int, list[Tree]] = field(default_factory=dict)
    matrices: list[Matrix] = field(default_factory=list)
    tensors: list[tuple[Tree, tuple[int, ...]]] = field(default_factory=list)
    joints: dict[int, tuple[int, ...]] = field(default_factory=dict)
    cuts: bool = True  # whether a column may be cut into a matrix, or is entered at (i,j)

    def joint(self, parts: tuple[int, ...]) -> int:
        """The index that is made of these parts."""
        for index, held in self.joints.items():
            if held == parts:
                return index
        self.dims.append(prod((self.dims[p] for p in parts), start=Dimension.of(1)))
        self.joints[len(self.dims) - 1] = parts
        return len(self.dims) - 1

    def add(self, tree: Tree, indices: tuple[int, ...]) -> None:
        """Take in a phrase whose axes are these indices."""
        if not indices:
            self.scalars.append(tree)
        elif len(indices) > 2 or tree.axes > 2:
            self.tensors.append((tree, indices))
        elif len(indices) == 1:
            self.vectors.setdefault(indices[0], []).append(tree)
        elif indices[0] == indices[1]:
            self.add(diagonal_of(tree), indices[:1])
        else:
            self.matrices.append((tree, indices[0], indices[1]))

    def items(self) -> list[tuple[Tree, tuple[int, ...]]]:
        """All phrases with the indices of their axes, scalars left out."""
        found: list[tuple[Tree, tuple[int, ...]]] = []
        for i, trees in sorted(self.vectors.items()):
            found += [(t, (i,)) for t in trees]
        found += [(t, (i, j)) for t, i, j in self.matrices]
        return found + self.tensors

    def at(self, index: int) -> list[Matrix]:
        """The matrices that carry an index."""
        return [m for m in self.matrices if index in m[1:]]

    def take(self, index: int, pair: Sequence[Matrix]) -> tuple[list[Tree], list[Tree]]:
        """Remove matrices and the columns at an index; the matrices come with the index last."""
        for m in pair:
            self.matrices.remove(m)
        turned = [t if j == index else flip(t) for t, _, j in pair]
        return turned, self.vectors.pop(index, [])

    def merge(self, index: int) -> bool:
        """Multiply two matrices side by side entry by entry."""
        seen: dict[frozenset[int], Matrix] = {}
        for m in self.at(index):
            other = seen.setdefault(frozenset(m[1:]), m)
            if other is not m:
                self.matrices.remove(m)
                self.matrices.remove(other)
                turned = m[0] if m[1] == other[1] else flip(m[0])
                self.matrices.append((entrywise([other[0], turned]), *other[1:]))
                return True
        return False

    def eliminate(self) -> bool:
        """Remove summed indices as long as matrix notation can; whether all are gone."""
        self._whole_tensors()
        while True:
            self.joints = {c: parts for c, parts in self.joints.items() if self._carries(c)}
            joined = {i for c, parts in self.joints.items() for i in (c, *parts)}
            held = {i for _, indices in self.tensors for i in indices} | set(self.output)
            carried = {*self.vectors, *(i for _, *pair in self.matrices for i in pair)}
            summed = sorted(carried - held - joined, key=self._urgency)
            if opened(self) or any(self._remove(i) for i in summed):
                continue
            return not summed and not self.tensors and not self.joints

    def _urgency(self, i: int) -> tuple[int, bool, int]:
        """The fewest matrices first; before others what then cancels, as A*x in y./(A*x)."""
        here = self.at(i)
        return len(here), not (len(here) == 1 and self._cancels(i, here[0])), i

    def _cancels(self, i: int, here: Matrix) -> bool:
        j = here[1] if here[2] == i else here[2]
        factors = [p for t in self.vectors.get(j, ()) for p in chain_of(t)]
        factors = [p for t in factors for p in (t.parts if t.head == "entry" else (t,))]
        bases = [p.parts[0] for p in factors if p.head == "raised" and p.exponent < 0]
        if not bases or i not in self.vectors:
            return False
        matrix = here[0] if here[2] == i else flip(here[0])
        return times(ONE, [matrix, entrywise(self.vectors[i])]) in bases

    def _carries(self, index: int) -> bool:
        return any(index in indices for _, indices in self.items())

    def _whole_tensors(self) -> None:
        """A tensor of which all entries are summed is a scalar."""
        for tree, indices in list(self.tensors):
            places = [i for _, held in self.items() for i in held]
            alone = all(places.count(i) == 1 and i not in self.output for i in indices)
            if alone and not tree.is_open:
                self.tensors.remove((tree, indices))
                coefficient, scalars, body = _apart(tree)
                square = body.head == "raised" and body.exponent == 2
                whole = self._summed(body) if square else call("sum", [body], latex=_SUM)
                self.scalars.append(times(coefficient, [*scalars, whole]))

    def _remove(self, i: int) -> bool:
        here = self.at(i)
        if len(here) > 2 or not self._ready(i, here):
            return self.merge(i)
        turned, vectors = self.take(i, here)
        others = [m[1] if m[2] == i else m[2] for m in here]
        if not here:
            self.scalars.append(self._inner(vectors))
        elif len(here) == 1:
            self._project(turned[0], vectors, others[0])
        elif others[0] != others[1]:
            middle = [diagonal(entrywise(vectors))] if vectors else []
            chain = times(ONE, [turned[0], *middle, flip(turned[1])])
            self.add(chain, (others[0], others[1]))
        elif self._closed(others[0]):
            self.scalars.append(self._trace(turned[0], turned[1]))
        else:
            self.add(diagonal_of(times(ONE, [turned[0], flip(turned[1])])), (others[0],))
        return True

    def _ready(self, i: int, here: Sequence[Matrix]) -> bool:
        """Two matrices side by side with a column at them are better multiplied entry by entry."""
        if len(here) < 2 or frozenset(here[0][1:]) != frozenset(here[1][1:]):
            return True
        return i not in self.vectors

    def _closed(self, j: int) -> bool:
        """Whether an index is summed and nothing carries it any more."""
        held = any(j in indices for _, indices in self.tensors) or j in self.output
        return not held and j not in self.vectors and not self.at(j)

    def _inner(self, vectors: Sequence[Tree]) -> Tree:
        """The sum over an index of the product of columns."""
        joint = entrywise(vectors)
        core = chain_of(joint)
        outside = [times(joint.coefficient, scalars_of(joint))] if joint.head == "product" else []
        body = times(ONE, core)
        return times(ONE, [*outside, self._summed(body)])

    def _summed(self, body: Tree) -> Tree:
        if body.head == "raised" and body.exponent == 2:
            base = body.parts[0]
            if base.is_real:
                return power(_length(base), 2)
            if base.axes > 2:
                return call("sum", [body], latex=_SUM)
            if None not in base.shape:
                return self._trace(base, base)
            return times(ONE, [flip(base), base])
        pair = body.head == "entry" and len(body.parts) == 2 and body.shape[1] is None
        if pair and all(p.head != "raised" for p in body.parts):
            return self._dot(*body.parts)
        return _sum_of(body)

    def _dot(self, a: Tree, b: Tree) -> Tree:
        made = times(ONE, [flip(a), b])
        dots = [s for s in scalars_of(made) if s.head == "dot"]
        if len(dots) != 1 or made.head != "dot":
            return made
        chain = dots[0].parts
        half = len(chain) // 2
        front, back = times(ONE, chain[:half]), times(ONE, chain[half:])
        if len(chain) % 2 or conjugated(flip(front)) != back:
            return made
        return cheaper(made, power(_length(back), 2))

    def _project(self, matrix: Tree, vectors: Sequence[Tree], j: int) -> None:
        """Sum a matrix over its last index, columns on it multiplied in."""
        if vectors:
            column = entrywise(vectors)
            self.add(times(ONE, [matrix, column]), (j,))
        elif self._closed(j):
            coefficient, scalars, body = _apart(matrix)
            body = body.parts[0] if body.head == "transpose" else body
            whole = self._summed(body) if body.head in ("raised", "entry") else _sum_of(body)
            self.scalars.append(times(coefficient, [*scalars, whole]))
        else:
            coefficient, scalars, body = _apart(matrix)
            self.add(times(coefficient, [*scalars, _sums(body)]), (j,))

    def _trace(self, a: Tree, b: Tree) -> Tree:
        """Σ a[i,j]·b[i,j]: a trace, or the sum of the product entry by entry."""
        ca, sa, core_a = _apart(a)
        cb, sb, core_b = _apart(b)
        flat = _sum_of(entrywise([core_a, core_b]))
        if core_a == conjugated(core_b):
            flat = power(_length(core_a), 2)
        best = flat
        closed = traces([*chain_of(core_a), *chain_of(flip(core_b))])
        if best.is_real:
            for trace in closed:
                best = cheaper(best, trace)
        else:  # the same one for the conjugate
            best = cheaper(best, least(closed))
        return times(ca * cb, [*sa, *sb, best])

    def product(self) -> Tree | None:
        """The product in matrix notation, once all sums are gone; None where it has no sentence."""
        distinct = tuple(dict.fromkeys(self.output))
        if self.tensors or len(self.output) > 2 or not {*self.vectors} <= set(distinct):
            return None
        if any(i not in distinct or j not in distinct for _, i, j in self.matrices):
            return None
        return times(self.coefficient, [*self.scalars, *self._block(distinct)])

    def split(self, groups: Sequence[tuple[int, ...]]) -> list[Network] | None:
        """The network in parts by groups of axes; None where an index or a factor joins two groups.

        Coefficient and scalars stay with the whole.
        """
        parts = [Network(self.dims, tuple(self.output[k] for k in group)) for group in groups]
        owner: dict[int, int] = {}
        for k, part in enumerate(parts):
            for i in part.output:
                if owner.setdefault(i, k) != k:
                    return None
        for tree, indices in self.items():
            owners = {owner.get(i, -1) for i in indices}
            if len(owners) > 1 or -1 in owners:
                return None
            parts[owners.pop()].add(tree, indices)
        return None if self.tensors else parts

    def _block(self, distinct: tuple[int, ...]) -> list[Tree]:
        if not distinct:
            return []
        first = entrywise(self.vectors[distinct[0]]) if distinct[0] in self.vectors else None
        if len(distinct) == 1:
            column = first or ones((self.dims[distinct[0]], None))
            return [diagonal(column)] if len(self.output) == 2 else [column]
        i, j = distinct
        last = entrywise(self.vectors[j]) if j in self.vectors else None
        if not self.matrices and first is None and last is None:
            return [ones((self.dims[i], self.dims[j]))]
        if not self.matrices:
            return [
                first or ones((self.dims[i], None)),
                flip(last or ones((self.dims[j], None))),
            ]
        matrix = entrywise([t if a == i else flip(t) for t, a, _ in self.matrices])
        left = [diagonal(first)] if first else []
        return [*left, matrix, *([diagonal(last)] if last else [])]


def _apart(tree: Tree) -> tuple[Coefficient, tuple[Tree, ...], Tree]:
    """A phrase as coefficient, scalars and the rest."""
    if tree.head != "product":
        return ONE, (), tree
    return tree.coefficient, scalars_of(tree), times(ONE, chain_of(tree))


def _length(tree: Tree) -> Tree:
    """The Euclidean length; that of a transpose, or a conjugate, is that of the matrix."""
    while tree.head in ("conj", "transpose") or tree.word == "abs":
        tree = tree.parts[0]
    inside = _either_way(tree)
    if not tree.is_real:
        inside = cheaper(inside, _either_way(conjugated(tree)))
    return call("norm2", [inside], latex=r"\lVert @0 \rVert")


def _sum_of(tree: Tree) -> Tree:
    if tree.word == "diag" and tree.shape[1] is None:
        return call("tr", tree.parts, latex=r"\operatorname{tr}(@0)")
    return call("sum", [_either_way(tree)], latex=_SUM)


def _either_way(tree: Tree) -> Tree:
    """A matrix or its transpose, whichever reads better; always the same one of the two."""
    if None in tree.shape:
        return tree
    back = flip(tree)
    return min((tree, back), key=lambda t: (*t.cost, t.order, t.text))


def _sums(matrix: Tree) -> Tree:
    """The sums along the rows of a matrix, as a column."""
    across = call("sum", [matrix, literal("2")], (matrix.shape[0], None))
    turned = flip(matrix)
    down = call("sum", [turned, literal("1")], (None, matrix.shape[0]))
    return (
        cheaper(flip(down), across) if matrix.head == "transpose" else cheaper(across, flip(down))
    )


# From nodes


def within(node: Einsum) -> tuple[BoundedSum, Einsum] | None:
    """The bounded sum of many axes among the factors of a product, and the product inside it."""
    for k, (child, exponent, indices) in enumerate(node.factors):
        if not isinstance(child, BoundedSum) or child.kind != "sum" or exponent != 1:
            continue
        body = child.body
        if child.ndim < 3 or not isinstance(body, Einsum) or body.repeats:
            continue
        if any(child.variable in other.names for j, other in enumerate(node.children) if j != k):
            continue
        dims = list(node.index_dims)
        place = dict(zip(body.output, indices, strict=True))
        for i in body.summed:
            place[i] = len(dims)
            dims.append(body.index_dims[i])
        factors = [f for n, f in enumerate(node.factors) if n != k]
        factors += [(n, e, tuple(place[i] for i in idx)) for n, e, idx in body.factors]
        coefficient = node.coefficient * body.coefficient
        return child, Einsum(coefficient, factors, node.output, dims)
    return None


def network(node: Einsum, trees: Mapping[Node, Tree | None]) -> Network | None:
    """The phrases of a product's factors at their indices; None where one has no phrase."""
    net = Network(list(node.index_dims), node.output, node.coefficient)
    pins, cuts, factors = _selections(node)
    for i, position in pins.items():
        if i in node.output:
            net.add(_unit(node.index_dims[i], position), (i,))
    for child, exponent, indices in factors:
        made = pattern_phrase(child) if isinstance(child, Pattern) else trees.get(child)
        if is_split(child):
            child, made, indices = _joined(child, trees, indices, net)
        if made is None:
            return None
        places, sizes = said_axes(child, indices), said_axes(child, child.dims)
        tree, kept = _picked(made, sizes, places, pins, cuts, node.index_dims)
        net.add(raised(tree, exponent), kept)
    _triangles(net)
    return net


def _joined(
    child: Node, trees: Mapping[Node, Tree | None], indices: tuple[int, ...], net: Network
) -> tuple[Node, Tree | None, tuple[int, ...]]:
    """What is cut into more axes, at indices made of theirs."""
    assert isinstance(child, Reshape)
    groups = axis_groups(child.body.dims, child.dims)
    assert groups is not None
    parts = [tuple(indices[k] for k in new) for _, new in groups]
    joined = tuple(p[0] if len(p) == 1 else net.joint(p) for p in parts)
    return child.body, trees.get(child.body), joined


Pins = dict[int, Dimension]
Cuts = dict[int, tuple[int, Dimension, Dimension]]


def _selections(
    node: Einsum,
) -> tuple[Pins, Cuts, list[tuple[Node, Fraction | int, tuple[int, ...]]]]:
    """Indices that a unit vector pins, summed indices that are slices of others, other factors."""
    pins: Pins = {}
    cuts: Cuts = {}
    rest = []
    for factor in node.factors:
        child, _, indices = factor
        position = unit_of(child)
        if position is not None and indices[0] not in pins:
            pins[indices[0]] = position
            continue
        rest.append(factor)
    kept = []
    for factor in rest:
        child, _, indices = factor
        section = section_of(child) if isinstance(child, Pattern) else None
        if section is not None:
            short, long = indices[section[0]], indices[section[1]]
            free = {short, long}.isdisjoint(pins) and long not in node.output
            if free and long not in cuts and _sliceable(node, factor, long):
                cuts[long] = (short, section[2], child.dims[section[0]])
                continue
        kept.append(factor)
    return pins, cuts, kept


def _sliceable(node: Einsum, factor: object, long: int) -> bool:
    """Whether everything else at an index has entries to slice."""
    others = [f for f in node.factors if long in f[2] and f != factor]
    return bool(others) and not any(isinstance(f[0], Pattern) for f in others)


def _picked(
    tree: Tree,
    dims: Sequence[Dimension],
    indices: tuple[int, ...],
    pins: Pins,
    cuts: Cuts,
    index_dims: Sequence[Dimension],
) -> tuple[Tree, tuple[int, ...]]:
    """A factor with its pinned axes entered and its cut axes sliced."""
    if not any(i in pins or i in cuts for i in indices):
        return tree, indices
    items: list[str] = []
    kept: list[int] = []
    sides: list[Dimension] = []
    for i in indices:
        if i in pins:
            items.append(_place(pins[i] + 1))
            continue
        if i in cuts:
            i, start, length = cuts[i]
            items.append(f"{_place(start + 1)}:{_place(start + length)}")
        else:
            items.append(":")
        kept.append(i)
        sides.append(index_dims[i])
    shape = _picked_shape([i in pins for i in indices], sides)
    made = pick(tree, items, shape, max(len(sides), 2))
    if made.shape[0] is None and made.shape[1] is not None:
        made = flip(made)
    return made, tuple(kept)


def _picked_shape(pinned: Sequence[bool], sides: Sequence[Dimension]) -> Shape:
    if len(sides) == 2:
        return (sides[0], sides[1])
    if len(sides) != 1:
        return SCALAR
    return (None, sides[0]) if len(pinned) == 2 and pinned[0] else (sides[0], None)


def _place(position: Dimension) -> str:
    return str(position).replace(" ", "")


def _unit(dim: Dimension, position: Dimension) -> Tree:
    parts = [literal(_place(dim)), literal(_place(position + 1))]
    return call("unit", parts, (dim, None), latex="e_{@1}")


def unit_of(node: Node) -> Dimension | None:
    """The position, counted from 0, of the one entry of a unit vector."""
    if not isinstance(node, Pattern) or node.ndim != 1 or len(node.relations) != 1:
        return None
    (relation,) = node.relations
    if relation.kind != "==" or len(relation.terms) != 1 or abs(relation.terms[0][1]) != 1:
        return None
    return relation.constant * -relation.terms[0][1]


def section_of(node: Pattern) -> tuple[int, int, Dimension] | None:
    """The short axis, the long axis and the start of a pattern that takes a slice."""
    if node.ndim != 2 or len(node.relations) != 1 or node.relations[0].kind != "==":
        return None
    (relation,) = node.relations
    factors = dict(relation.terms)
    if sorted(factors.values()) != [-1, 1]:
        return None
    for short in (0, 1):
        long = 1 - short
        start = relation.constant * -factors[long]
        room = node.dims[long] - node.dims[short] - start
        low, left = start.value, room.value
        fits = (low is None or low >= 0) and (left is None or left >= 0)
        if fits and node.dims[0] is not node.dims[1] and not _negative(start):
            return short, long, start
    return None


def _negative(start: Dimension) -> bool:
    return bool(start.terms) and all(c < 0 for _, c in start.terms)


def pattern_phrase(node: Pattern) -> Tree | None:
    """The phrase of a pattern that is no selection of another factor."""
    position = unit_of(node)
    if position is not None:
        return _unit(node.dims[0], position)
    if node.ndim != 2 or len(node.relations) != 1:
        return None
    section = section_of(node)
    if section is not None:
        short, long, start = section
        item = f"{_place(start + 1)}:{_place(start + node.dims[short])}"
        rows = Tree(
            "index", f"{item},:", (eye(node.dims[long]),), (node.dims[short], node.dims[long])
        )
        return rows if short == 0 else flip(rows)
    word = _triangle(node)
    if word is None:
        return None
    rows_columns = (node.dims[0], node.dims[1])
    return call(word, [ones(rows_columns)], rows_columns, latex=rf"\operatorname{{{word}}}(@0)")


def _triangle(node: Pattern) -> str | None:
    (relation,) = node.relations
    if relation.kind != ">=" or relation.constant.value != 0 or len(relation.terms) != 2:
        return None
    factors = dict(relation.terms)
    return {(1, -1): "tril", (-1, 1): "triu"}.get((factors[0], factors[1]))


def _triangles(net: Network) -> None:
    """A triangle of ones beside a matrix is tril or triu of the matrix."""
    for mask in [m for m in net.matrices if m[0].word in ("tril", "triu") and _hollow(m[0])]:
        if mask not in net.matrices:  # taken in by another triangle
            continue
        pair = [m for m in net.matrices if {*m[1:]} == {*mask[1:]} and m is not mask]
        if pair:
            net.matrices.remove(mask)
            for m in pair:
                net.matrices.remove(m)
            turned = [t if i == mask[1] else flip(t) for t, i, _ in pair]
            joint = entrywise(turned)
            made = call(mask[0].word, [joint], joint.shape, latex=mask[0].latex)
            net.matrices.append((made, mask[1], mask[2]))


def _hollow(tree: Tree) -> bool:
    return tree.parts[0].word == "ones"
