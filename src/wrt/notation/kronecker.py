"""The Kronecker form: the matrix that takes vec(dX) to vec(df), as ⊗ of small matrices.

Axes that share an index stand in one factor of ⊗; the factors follow the axes of f and of x in
order. Where those two orders cross, only a commutation matrix would help, and there is no such
form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wrt.expression.build import is_zero
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import BoundedSum, Einsum, Node, Reshape, Sum
from wrt.notation.elimination import Network, network
from wrt.notation.sentence import Speaker
from wrt.notation.signs import settled
from wrt.notation.sums import collected
from wrt.notation.tree import (
    Tree,
    call,
    chain_of,
    diagonal,
    flip,
    scalars_of,
    times,
    zeros,
)

__all__ = ["kronecker_tree"]


@dataclass(frozen=True)
class _Block:
    """One factor of ⊗: which axes of f and of x it takes, and its matrix."""

    f: tuple[int, ...]
    x: tuple[int, ...]
    tree: Tree


def kronecker_tree(node: Node, split: int, order: str, speaker: Speaker) -> Tree | None:
    """The Kronecker form of a derivative with `split` axes of f; `order` is "rows" or "columns"."""
    assert order in ("rows", "columns"), order
    first, last = list(range(split)), list(range(split, node.ndim))
    if order == "columns":
        first, last = first[::-1], last[::-1]
    return _form(node, first, last, speaker)


def _form(node: Node, first: list[int], last: list[int], speaker: Speaker) -> Tree | None:
    """The form with the axes of f and of x in the orders in which they are laid end to end."""
    if is_zero(node):
        return zeros((_size([node.dims[k] for k in first]), _size([node.dims[k] for k in last])))
    if isinstance(node, BoundedSum) and node.kind == "sum":
        body = _form(node.body, first, last, speaker)
        return None if body is None else speaker.ranged(node, body)
    if isinstance(node, Reshape):
        axes = node.ndim - len(first)
        if len(first) != 1 or node.dims[1:] != node.body.dims[node.body.ndim - axes :]:
            return None
        more = node.body.ndim - node.ndim
        return _form(node.body, list(range(1 + more)), [k + more for k in last], speaker)
    terms = node.children if isinstance(node, Sum) else (node,)
    made = [
        _term(t, first, last, speaker)
        if t is node or isinstance(t, Einsum)
        else _form(t, first, last, speaker)
        for t in terms
    ]
    kept = [t for t in made if t is not None]
    return settled(collected(kept)) if len(kept) == len(made) else None


def _term(node: Node, first: list[int], last: list[int], speaker: Speaker) -> Tree | None:
    axes = tuple(range(node.ndim))
    if not isinstance(node, Einsum):
        node = Einsum(ONE, ((node, 1, axes),), axes, node.dims)
    net = network(node, speaker.trees, speaker.is_complex)
    if net is None or not net.eliminate():
        return None
    groups = _groups(net)
    parts = net.split(groups)
    if parts is None:
        return None
    blocks = [_block(p, g, first, last) for p, g in zip(parts, groups, strict=True)]
    found = [b for b in blocks if b is not None]
    if len(found) < len(blocks):
        return None
    ordered = _ordered(found, first, last)
    return None if ordered is None else _joined(ordered, net.coefficient, net.scalars)


def _groups(net: Network) -> list[tuple[int, ...]]:
    """Axes of the output that hang together by an index or by a matrix."""
    links = [{i, j} for _, i, j in net.matrices]
    groups: list[tuple[set[int], list[int]]] = []
    for axis, index in enumerate(net.output):
        held = {index}.union(*(link for link in links if index in link))
        members = [axis]
        rest = []
        for other, others in groups:
            if held & other:
                held, members = held | other, [*others, *members]
            else:
                rest.append((other, others))
        groups = [*rest, (held, members)]
    return [tuple(sorted(members)) for _, members in groups]


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
    elif len(f) == len(x) == 2 and net.output[:2] == net.output[2:] and _alike(first, last):
        net.output = net.output[:2]
        stacked = _stacked(net, rows)
        tree = None if stacked is None else diagonal(stacked)
    else:
        tree = None
    return None if tree is None else _Block(f, x, tree)


def _alike(first: list[int], last: list[int]) -> bool:
    return (first[0] < first[-1]) == (last[0] < last[-1])


def _stacked(net: Network, rows: bool) -> Tree | None:
    """A matrix as one column, its rows or its columns end to end."""
    matrix = net.product()
    if matrix is None:
        return None
    inside = times(ONE, chain_of(matrix))
    size = net.dims[net.output[0]] * net.dims[net.output[1]]
    made = _vec(flip(inside) if rows else inside, size)
    return times(matrix.coefficient, [*scalars_of(matrix), made])


def _vec(matrix: Tree, size: Dimension) -> Tree:
    return call("vec", [matrix], (size, None), latex=r"\operatorname{vec}(@0)")


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


def _size(dims: Sequence[Dimension]) -> Dimension | None:
    total: Dimension | None = None
    for dim in dims:
        total = dim if total is None else total * dim
    return total


def _side(parts: Sequence[Tree], side: int) -> Dimension | None:
    return _size([d for d in (p.shape[side] for p in parts) if d is not None])
