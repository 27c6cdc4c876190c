"""What is computed when arrays are bound: the parts of a formula that every use of it needs.

What is left is linear in those parts: sums of products with patterns, of which every operation
makes another. Functions are always computed; sums and products where nothing is formed that their
parts do not have already.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import NamedTuple

from wrt.algebra import is_symmetric, normal_form
from wrt.algebra.bounds import bounds
from wrt.algebra.definite import definite
from wrt.algebra.reshaping import axis_groups, reshaped
from wrt.answers.parts import unused
from wrt.answers.structured.frame import PLAIN, Ways
from wrt.answers.structured.operations import product
from wrt.answers.structured.terms import terms
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import (
    Constant,
    Einsum,
    Factor,
    Node,
    Pattern,
    Reshape,
    Sum,
    Variable,
)
from wrt.expression.walk import holds_complex, rename_dimensions, variables
from wrt.programs.sized import nanoseconds
from wrt.programs.watching import COMPUTED

__all__ = ["Bound", "bound", "unlaid"]


#: Arrays of fewer entries are scaled when they are bound, and read once in every product.
WIDE = 5000

#: A formula and the variable in it that stands for what comes in.
Way = tuple[Node, Variable]


class Bound(NamedTuple):
    """A formula over variables and parts, what the parts are, and cheaper ways of the map."""

    formula: Node
    parts: Mapping[Variable, Node]
    ways: Ways = PLAIN

    @property
    def names(self) -> tuple[str, ...]:
        """The variables and parts that are met in formulas of the map."""
        nodes = (self.formula, *(way[0] for way in self.ways if way is not None))
        moving = {way[1] for way in self.ways if way is not None}
        return tuple(v.name for v in variables(*nodes) if v not in moving)

    @property
    def is_nested(self) -> bool:
        """Whether there is something left within products, or brackets of slices were multiplied
        out: sweeps may do with less.
        """
        found = [[f[0] for f in t.factors] for t in terms(self.formula)]
        sliced = [any(isinstance(node, Pattern) for node in own) for own in found]
        plain = all(isinstance(node, (Variable, Pattern)) for own in found for node in own)
        return not plain or sum(sliced) > 2


@lru_cache(maxsize=128)
def bound(
    formula: Node,
    sizes: tuple[tuple[str, int], ...],
    rows: int = 0,
    maps: tuple[Way, ...] = (),
) -> Bound:
    """The formula at these sizes, its parts named; sums in it are multiplied out to show zeros.

    `maps` are formulas of the map and of the transposed map as sweeps found them: they are the
    ways where they cost less than products with the tensor, of which `rows` axes are rows.

    >>> from wrt.functions import BOOK
    >>> from wrt.expression.nodes import Apply
    >>> n = Dimension.of("n")
    >>> A, x = Variable("A", (n, n)), Variable("x", (n,))
    >>> weights = Apply(BOOK["exp"], [A @ x], 1)
    >>> made = bound(build.einsum("ki,k,kj->ij", A, weights, A), (("n", 3),))
    >>> made.formula, list(made.parts.values())
    (<{A[ki] A[kj] t[k] -> ij} : 3, 3>, [<exp({A[ij] x[j] -> i}) : 3>])
    """
    numbered = {name: Dimension.of(size) for name, size in sizes}
    whole = rename_dimensions(formula, numbered)
    swept = [(rename_dimensions(n, numbered), _numbered(v, numbered)) for n, v in maps]
    found = _Binding([whole, *(node for node, _ in swept)], [v for _, v in swept])
    made = found.run(whole)
    opened = terms(made)
    if len(opened) > 1 or (isinstance(made, Einsum) and opened[0].factors != made.factors):
        made = build.add(*(build.product_carried(*term) for term in opened))
    used = set(made.names)
    ways: list[Way | None] = []
    for node, variable in swept:
        way = found.run(node)
        cheaper = nanoseconds(way) < nanoseconds(
            _product(made, rows, variable, transposed=bool(ways))
        )
        ways.append((way, variable) if cheaper else None)
        used |= way.names if cheaper else frozenset()
    parts = {v: node for node, v in found.parts.items() if v in used}
    return Bound(made, parts, Ways(*ways))


def _numbered(v: Variable, sizes: Mapping[str, Dimension]) -> Variable:
    return Variable(v.name, [d.replace(sizes) for d in v.dims], v.properties)


def _product(formula: Node, rows: int, variable: Variable, transposed: bool) -> Node:
    """A tensor times a variable along its columns, or along its rows."""
    axes = range(formula.ndim)
    summed = tuple(axes[:rows] if transposed else axes[rows:])
    return product(formula, summed, variable.name, False, "complex" in variable.properties)[0]


@lru_cache(maxsize=128)
def unlaid(formula: Node) -> tuple[Node, tuple[int, ...]]:
    """A tensor with the axes that stand end to end in its axes, and how many stand in each.

    >>> n, m = map(Dimension.of, "nm")
    >>> X = Variable("X", (n, m))
    >>> unlaid(build.reshape(X, (n * m,)))
    (<X : n, m>, (2,))
    """
    found = [_laid_in(formula, axis) for axis in range(formula.ndim)]
    groups = tuple(map(len, found))
    if max(groups, default=1) < 2:
        return formula, groups
    inner = normal_form(reshaped(formula, [d for dims in found for d in dims]))
    return inner, groups


def _laid_in(root: Node, axis: int) -> tuple[Dimension, ...]:
    """The axes that stand end to end in an axis: those of the first reshape that it comes from."""
    stack = [(root, axis)]
    while stack:
        node, at = stack.pop()
        match node:
            case Reshape():
                for old, new in axis_groups(node.body.dims, node.dims) or ():
                    if new == [at] and len(old) > 1:
                        return tuple(node.body.dims[k] for k in old)
            case Sum():
                stack += [(child, at) for child in node.children]
            case Einsum():
                index = node.output[at]
                for child, e, indices in node.factors:
                    if e == 1 and index in indices:
                        stack.append((child, indices.index(index)))
    return (root.dims[axis],)


class _Binding:
    """Walks over the sums and products of formulas, from their roots to their parts."""

    def __init__(self, roots: Sequence[Node], moving: Collection[Variable]) -> None:
        self.moving = frozenset(moving)
        self.parts: dict[Node, Variable] = {}
        self.done: dict[Node, Node] = {}
        self.cheap: dict[Node, bool] = {}
        self.taken = [v.name for root in roots for v in root.names]

    def run(self, root: Node) -> Node:
        """A formula over variables and parts."""
        stack = [root]
        while stack:
            node = stack[-1]
            waiting = [c for c in self.inner(node) if c not in self.done]
            if node in self.done or not waiting:
                stack.pop()
                if node not in self.done:
                    self.done[node] = self.one(node)
            else:
                stack += waiting
        return self.done[root]

    def inner(self, node: Node) -> tuple[Node, ...]:
        """The sums and products that stay formulas."""
        if not isinstance(node, (Sum, Einsum)) or self.is_cheap(node):
            return ()
        if isinstance(node, Sum):
            return node.children
        return tuple(n for n, e, _ in node.factors if e == 1)

    def one(self, node: Node) -> Node:
        if isinstance(node, (Variable, Constant, Pattern)):
            return node
        if not isinstance(node, (Sum, Einsum)) or self.is_cheap(node):
            return node if self.moves(node) or _is_large(node) else self.part(node)
        if isinstance(node, Sum):
            return build.add(*(self.done[c] for c in node.children))
        return build.product(node.coefficient, self.factors(node), node.output, node.index_dims)

    def factors(self, node: Einsum) -> list[Factor]:
        """The factors, those of the same indices as one part, powers computed."""
        found: list[Factor] = []
        groups: dict[frozenset[int], list[Factor]] = {}
        for child, e, indices in node.factors:
            made = self.done[child] if e == 1 else None
            whole = isinstance(child, Pattern) or self.moves(child) or _is_large(child)
            if whole or (made is not None and not isinstance(made, Variable)):
                found.append((child if made is None else made, e, indices))
            else:
                groups.setdefault(frozenset(indices), []).append((child, e, indices))
        for group in groups.values():
            ((child, e, indices), *others) = group
            if not others and len(set(indices)) == len(indices):
                if e == 1:
                    found.append((self.done[child], 1, indices))
                    continue
                if e == 2 and _is_widest(child, node):
                    found.append((child, 2, indices))
                    continue
            axes = tuple(dict.fromkeys(indices))
            made = self.part(build.product_carried(ONE, group, axes, node.index_dims))
            found.append((made, 1, axes))
        return found

    def moves(self, node: Node) -> bool:
        """Whether a node has what is only known when it is multiplied."""
        return not self.moving.isdisjoint(node.names)

    def part(self, node: Node) -> Node:
        """A name for a part."""
        if isinstance(node, Variable):
            return node
        if node not in self.parts:
            name = unused("t", self.taken)
            self.taken.append(name)
            self.parts[node] = Variable(name, node.dims, _properties(node))
        return self.parts[node]

    def is_cheap(self, node: Node) -> bool:
        """Whether computing a sum or a product costs no more than looking at its parts."""
        if node not in self.cheap:
            scaled = isinstance(node, Einsum) and node.exponents == (1,) and not node.summed
            apart = scaled or _is_wide(node)
            self.cheap[node] = not apart and not self.moves(node) and _is_cheap(node)
        return self.cheap[node]


def _is_cheap(root: Node) -> bool:
    """Whether every product within sums and products has a factor with all of its indices: then
    nothing is formed that its parts have not, nor much computed. Nothing is cheap that has zeros
    by its form; a slice has none.
    """
    stack, seen = [root], {root}
    while stack:
        node = stack.pop()
        if isinstance(node, Pattern) or (isinstance(node, Einsum) and not _is_covered(node)):
            return False
        if isinstance(node, (Sum, Einsum)):
            fresh = {c for c in node.children if c not in seen}
            if isinstance(node, Einsum):
                fresh -= {f[0] for f in node.factors if isinstance(f[0], Pattern)}
            seen |= fresh
            stack += fresh
    return not isinstance(root, Einsum) or bool(root.children)


def _is_wide(node: Node) -> bool:
    """Whether an array that is there is only scaled along some of its axes, and so large that a
    product with both sooner ends than one with the scaled array begins.
    """
    if not isinstance(node, Einsum) or node.summed or _volume(node.dims) < WIDE:
        return False
    wide = [f for f in node.factors if len(f[2]) == node.ndim]
    thin = [f for f in node.factors if len(f[2]) < node.ndim]
    return len(wide) == 1 and bool(thin) and isinstance(wide[0][0], Variable) and wide[0][1] == 1


def _is_large(node: Node) -> bool:
    """Whether something has more axes than any array that it is made of, and more entries than
    they: the derivative of a matrix function, which maps what it meets without being formed.
    """
    if isinstance(node, (Variable, Constant, Pattern)):
        return False
    if node.ndim <= max((v.ndim for v in node.names), default=0):
        return False
    return _volume(node.dims) > sum(_volume(v.dims) for v in node.names)


def _is_widest(node: Node, product: Einsum) -> bool:
    """Whether an array has more entries than all others of a product: its square is read once or
    twice from it sooner than kept.
    """
    others = {c for c in product.children if c is not node and not isinstance(c, Pattern)}
    return isinstance(node, Variable) and _volume(node.dims) > sum(_volume(c.dims) for c in others)


def _volume(dims: Sequence[Dimension]) -> int:
    return prod(d.value or 0 for d in dims)


def _is_covered(node: Einsum) -> bool:
    """Whether one factor has all indices, but for those that others pick an entry by."""
    if node.repeats:
        return False
    picked = _picked(node)
    if picked is None:
        return False
    wanted = set(range(len(node.index_dims))) - picked.keys()
    found = [{picked.get(i, i) for i in f[2]} for f in node.factors]
    return not node.children or any(wanted <= own for own in found)


def _picked(node: Einsum) -> dict[int, int | None] | None:
    """The summed indices that patterns give by one other index, wherever that is, or by a number;
    None where patterns say anything else: there are zeros.
    """
    found: dict[int, int | None] = {}
    for mask, _, indices in node.factors:
        if not isinstance(mask, Pattern):
            continue
        place = _slice(mask)
        if place is None or indices[place] in node.output or indices[place] in found:
            return None
        found[indices[place]] = indices[1 - place] if len(indices) == 2 else None
    return None if any(i in found for i in found.values()) else found


@lru_cache(maxsize=512)
def _slice(mask: Pattern) -> int | None:
    """The axis of a pattern that is given by the other one, each of whose entries is met."""
    if len(mask.relations) != 1 or mask.ndim > 2 or mask.relations[0].kind != "==":
        return None
    (relation,) = mask.relations
    slopes, start = dict(relation.terms), relation.constant.value
    sizes = [d.value for d in mask.dims if d.value is not None]
    if start is None or len(sizes) < mask.ndim or len(slopes) < mask.ndim:
        return None
    for place in reversed(range(mask.ndim)):
        slope, steps = slopes[place], [slopes[k] * (sizes[k] - 1) for k in slopes if k != place]
        ends = start, start + sum(steps)
        if abs(slope) == 1 and all(0 <= -slope * end < sizes[place] for end in ends):
            return place
    return None


def _properties(node: Node) -> list[str]:
    """What a part is known to be."""
    if holds_complex(node):
        return [COMPUTED, "complex"]
    found = ["symmetric"] if node.ndim == 2 and is_symmetric(node) else []
    if found and definite(node) == 2:
        return [COMPUTED, "spd"]
    sign = bounds(node)[node].sign
    told = ["positive"] if sign == 2 else ["nonnegative"] if sign == 1 else []
    return [COMPUTED, *found, *told]
