"""The Kronecker form: the matrix that takes vec(dX) to vec(df), as ⊗ of small matrices.

Axes that share an index stand in one factor of ⊗; the factors follow the axes of f and of x in
order. Where those two orders cross, a commutation matrix puts the rows or the columns in order:
vec(X') = K*vec(X). A matrix of weights over the axes of f is a diagonal matrix to the left of the
rest, one over the axes of x to its right.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import TYPE_CHECKING

from wrt.algebra.reshaping import axis_groups
from wrt.expression.build import is_zero
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.dataclass import dataclass
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import BoundedSum, Einsum, Node, Reshape, Sum
from wrt.expression.products import connected
from wrt.notation.elimination import Network, network
from wrt.notation.joining import unfolded
from wrt.notation.layout import size, vec
from wrt.notation.phrases import chain_of, diagonal, entrywise, eye, flip, scalars_of, times, zeros
from wrt.notation.signs import settled
from wrt.notation.sums import collected
from wrt.notation.tree import Tree, call, literal

if TYPE_CHECKING:
    from wrt.notation.sentence import Speaker

__all__ = ["kronecker_tree"]


#: The orders of more factors of ⊗ than this are not tried.
MOST_FACTORS = 5


@dataclass(frozen=True)
class _Term:
    """One product: a number, what orders the rows, ⊗ of matrices, what orders the columns."""

    number: Tree
    left: Tree | None
    core: Tree
    right: Tree | None

    @property
    def swap(self) -> Tree | None:
        """The only matrix that orders anything; None where there are two or none."""
        return None if self.left and self.right else self.left or self.right

    def tree(self) -> Tree:
        """The whole product; an identity beside a commutation matrix is not said."""
        swaps = [t for t in (self.left, self.right) if t is not None]
        core = [] if swaps and _is_identity(self.core) else [self.core]
        left, right = swaps[: self.left is not None], swaps[self.left is not None :]
        return times(ONE, [self.number, *left, *core, *right])


def _term_of(tree: Tree, left: Tree | None = None, right: Tree | None = None) -> _Term:
    number = times(tree.coefficient, scalars_of(tree)) if tree.head == "product" else times(ONE, [])
    return _Term(number, left, times(ONE, chain_of(tree)), right)


def _is_identity(tree: Tree) -> bool:
    return tree.word == "eye" or (tree.head == "kron" and all(map(_is_identity, tree.parts)))


@dataclass(frozen=True)
class _Block:
    """One factor of ⊗: which axes of f and of x it takes, and its matrix."""

    f: tuple[int, ...]
    x: tuple[int, ...]
    tree: Tree


def kronecker_tree(node: Node, split: int, order: str, speaker: Speaker) -> Tree | None:
    """The Kronecker form of a derivative with `split` axes of f; `order` is "rows" or "columns"."""
    assert order in ("rows", "columns"), order
    if not node.ndim:
        return speaker.trees.get(node)
    first, last = list(range(split)), list(range(split, node.ndim))
    if order == "columns":
        first, last = first[::-1], last[::-1]
    return _form(node, first, last, speaker)


def _form(node: Node, first: list[int], last: list[int], speaker: Speaker) -> Tree | None:
    """The form with the axes of f and of x in the orders in which they are laid end to end."""
    if is_zero(node):
        return zeros((size([node.dims[k] for k in first]), size([node.dims[k] for k in last])))
    if isinstance(node, BoundedSum) and node.kind == "sum":
        body = _form(node.body, first, last, speaker)
        return None if body is None else speaker.ranged(node, body)
    if isinstance(node, Einsum):
        node = unfolded(node)
    if isinstance(node, Reshape):
        groups = axis_groups(node.body.dims, node.dims)
        if groups is None or any(len(new) != 1 for _, new in groups):
            return None
        inside = {new[0]: old for old, new in groups}
        rows, columns = ([k for axis in side for k in inside[axis]] for side in (first, last))
        return _form(node.body, rows, columns, speaker)
    terms = node.children if isinstance(node, Sum) else (node,)
    found: list[list[_Term]] = []
    for term in terms:
        if term is node or isinstance(term, Einsum):
            found.append(_ways(term, first, last, speaker))
        else:
            made = _form(term, first, last, speaker)
            found.append([] if made is None else [_term_of(made)])
    return settled(collected(_together(found))) if all(found) else None


def _together(found: Sequence[Sequence[_Term]]) -> list[Tree]:
    """The terms as phrases: T + K*T is (I + K)*T, and T + T*K is T*(I + K)."""
    plain: dict[Tree, _Term] = {}
    for term, *_ in found:
        if not (term.left or term.right):
            plain.setdefault(term.core, term)
    made: list[Tree] = []
    taken: set[Tree] = set()
    for ways in found:
        beside = next((t for t in ways if t.swap and t.core in plain.keys() - taken), None)
        if beside is not None:
            taken.add(beside.core)
            made.append(_both(plain[beside.core], beside))
        elif plain.get(ways[0].core) is not ways[0]:
            made.append(ways[0].tree())
    return [t.tree() for core, t in plain.items() if core not in taken] + made


def _both(plain: _Term, beside: _Term) -> Tree:
    """A product and the same with its rows, or columns, in another order."""
    swap = beside.swap
    assert swap is not None
    assert swap.shape[0] is not None
    numbers, common = [plain.number, beside.number], times(ONE, [])
    if numbers[0] == numbers[1]:
        numbers, common = [times(ONE, [])] * 2, plain.number
    terms = (times(ONE, [numbers[0], eye(swap.shape[0])]), times(ONE, [numbers[1], swap]))
    whole = settled(Tree("sum", "", terms, swap.shape))
    if _is_identity(plain.core):
        return times(ONE, [common, whole])
    chain = [whole, plain.core] if beside.left else [plain.core, whole]
    return times(ONE, [common, *chain])


def _ways(node: Node, first: list[int], last: list[int], speaker: Speaker) -> list[_Term]:
    """The ways to say one product; those that turn fewer axes around come first."""
    axes = tuple(range(node.ndim))
    if not isinstance(node, Einsum):
        node = Einsum(ONE, ((node, 1, axes),), axes, node.dims)
    net = network(node, speaker.trees)
    if net is None or not net.eliminate():
        return []
    whole = _in_blocks(net, first, last)
    if whole:
        return whole
    left, right = _weights(net, first, last), _weights(net, last, first)
    if left is None and right is None:
        return []
    return [_Term(t.number, *_weighted(left, t, right)) for t in _in_blocks(net, first, last)]


def _weighted(
    left: Tree | None, term: _Term, right: Tree | None
) -> tuple[Tree | None, Tree, Tree | None]:
    """Diagonal matrices about a product, and its commutation matrices inside them."""
    inside = [t for t in (term.left, term.core, term.right) if t is not None]
    kept = [t for t in inside if not _is_identity(t)]
    around = [t for t in (left, *kept, right) if t is not None]
    return None, times(ONE, around), None


def _weights(net: Network, side: list[int], other: list[int]) -> Tree | None:
    """The weights over the axes of one side, taken out of the product, as a diagonal matrix."""
    if len(side) != 2:
        return None
    i, j = (net.output[k] for k in side)
    found = [m for m in net.matrices if i != j and {m[1], m[2]} == {i, j}]
    if not found:
        return None
    for m in found:
        net.matrices.remove(m)
    # laid end to end in the order of the axes: vec stacks columns, the first axis running fastest
    matrix = entrywise([t if a == j else flip(t) for t, a, _ in found])
    return diagonal(vec(matrix))


def _in_blocks(net: Network, first: list[int], last: list[int]) -> list[_Term]:
    """A product whose indices are gone, in factors of ⊗."""
    groups = _groups(net)
    parts = net.split(groups)
    if parts is None:
        return []
    blocks = [_block(p, g, first, last) for p, g in zip(parts, groups, strict=True)]
    found = [b for b in blocks if b is not None]
    if len(found) < len(blocks):
        return []
    ordered = _ordered(found, first, last)
    if ordered is not None:
        return [_term_of(_joined(ordered, net.coefficient, net.scalars))]
    return _reordered(net, found, first, last)


def _reordered(
    net: Network, blocks: list[_Block], first: list[int], last: list[int]
) -> list[_Term]:
    """The factors in every order that one commutation matrix on a side, or two, put right."""
    if len(blocks) > MOST_FACTORS:
        return []
    dims = [net.dims[i] for i in net.output]
    found: list[tuple[tuple[int, bool], _Term]] = []
    for chosen in permutations(blocks):
        rows = [k for b in chosen for k in sorted(b.f, key=first.index)]
        columns = [k for b in chosen for k in sorted(b.x, key=last.index)]
        left, right = _turned(first, rows, dims), _turned(columns, last, dims)
        if left is not None and right is not None:
            tree = _joined(list(chosen), net.coefficient, net.scalars)
            term = _term_of(tree, *(t if t.word != "eye" else None for t in (left, right)))
            cost = bool(term.left) + bool(term.right)
            found.append(((cost, term.left is not None), term))
    found.sort(key=lambda pair: pair[0])
    return [term for (cost, _), term in found if cost == found[0][0][0]]


def _turned(rows: list[int], columns: list[int], dims: Sequence[Dimension]) -> Tree | None:
    """The matrix that takes axes laid end to end in one order to another order.

    None where more than two blocks of axes would have to change places; an identity where none.
    """
    side = size([dims[k] for k in rows]) or Dimension.of(1)
    if rows == columns:
        return eye(side)
    start = next(k for k, (a, b) in enumerate(zip(rows, columns, strict=True)) if a != b)
    middle, end = columns.index(rows[start]), len(rows)
    while rows[end - 1] == columns[end - 1]:
        end -= 1
    ahead, behind = rows[start : start + end - middle], rows[start + end - middle : end]
    if columns[start:end] != behind + ahead:
        return None
    sizes = [size([dims[k] for k in part]) for part in (ahead, behind)]
    assert sizes[0] is not None
    assert sizes[1] is not None
    swap = _commutation(sizes[0], sizes[1])
    around = [size([dims[k] for k in part]) for part in (rows[:start], rows[end:])]
    parts = [eye(around[0])] if around[0] else []
    parts += [swap, *([eye(around[1])] if around[1] else [])]
    return parts[0] if len(parts) == 1 else Tree("kron", "", tuple(parts), (side, side))


def _groups(net: Network) -> list[tuple[int, ...]]:
    """Axes of the output that hang together by an index or by a matrix."""
    links = [{i, j} for _, i, j in net.matrices]
    return connected([{i}.union(*(link for link in links if i in link)) for i in net.output])


def _block(net: Network, group: Sequence[int], first: list[int], last: list[int]) -> _Block | None:
    """The matrix of one group of axes: rows by its axes of f, columns by those of x."""
    f = tuple(k for k in group if k in first)
    x = tuple(k for k in group if k in last)
    rows = (first if len(f) == 2 else last)[:1] < (first if len(f) == 2 else last)[-1:]
    if len(f) <= 1 and len(x) <= 1:
        tree = net.product()
        if tree is not None and not f:
            tree = flip(tree)
    elif len(f) == 2 and not x:
        tree = _stacked(net, rows)
    elif len(x) == 2 and not f:
        stacked = _stacked(net, rows)
        tree = None if stacked is None else flip(stacked)
    elif len(f) == len(x) == 2 and _is_diagonal(net, group, first, last):
        net.output = net.output[:2]
        stacked = _stacked(net, rows)
        tree = None if stacked is None else diagonal(stacked)
    else:
        tree = None
    return None if tree is None else _Block(f, x, tree)


def _is_diagonal(net: Network, group: Sequence[int], first: list[int], last: list[int]) -> bool:
    """Whether the axes of f and those of x, each in their order, have the same indices."""
    place = dict(zip(group, net.output, strict=True))
    rows, columns = ([place[k] for k in side if k in place] for side in (first, last))
    return rows == columns


def _stacked(net: Network, rows: bool) -> Tree | None:
    """A matrix as one column, its rows or its columns end to end."""
    matrix = net.product()
    if matrix is None:
        return None
    return vec(flip(matrix) if rows else matrix)


def _commutation(rows: Dimension, columns: Dimension) -> Tree:
    """The matrix K with vec(X') = K*vec(X) for an X of these sizes."""
    sizes = [literal(str(dim).replace(" ", "")) for dim in (rows, columns)]
    side = rows * columns
    return call("commutation", sizes, (side, side), latex="K_{@0,@1}")


def _ordered(blocks: list[_Block], first: list[int], last: list[int]) -> list[_Block] | None:
    """The factors in the order of both f's and x's axes; None where those cross."""
    ordered: list[_Block] = []
    left = list(blocks)
    while left:
        free = [
            b
            for b in left
            if sorted(b.f, key=first.index) == first[: len(b.f)]
            and sorted(b.x, key=last.index) == last[: len(b.x)]
        ]
        if not free:
            return None
        block = min(free, key=lambda b: (bool(b.f) and bool(b.x), not b.f))
        ordered.append(block)
        left.remove(block)
        first, last = first[len(block.f) :], last[len(block.x) :]
    return ordered


def _joined(blocks: list[_Block], coefficient: Coefficient, scalars: list[Tree]) -> Tree:
    """A ⊗ B ⊗ …, numbers with the first; a column beside a row is their product."""
    parts: list[Tree] = []
    for block in blocks:
        tree = block.tree
        if parts and parts[-1].shape[1] is None and tree.shape[0] is None:
            parts[-1] = times(ONE, [parts[-1], tree])
        elif parts and parts[-1].shape[0] is None and tree.shape[1] is None:
            parts[-1] = times(ONE, [tree, parts[-1]])
        else:
            parts.append(tree)
    if not parts:
        return times(coefficient, scalars)
    cores = []
    for part in parts:
        if part.head == "product":
            coefficient = coefficient * part.coefficient
            scalars = [*scalars, *scalars_of(part)]
            part = times(ONE, chain_of(part))
        cores.append(part)
    if len(cores) > 1:
        cores = [Tree("kron", "", tuple(cores), (_side(cores, 0), _side(cores, 1)))]
    return times(coefficient, [*scalars, *cores])


def _side(parts: Sequence[Tree], side: int) -> Dimension | None:
    return size([d for d in (p.shape[side] for p in parts) if d is not None])
