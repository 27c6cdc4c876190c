"""Joined axes: entries laid out by vec and kron, where an index is made of parts.

`unfolded` takes joined axes apart in the formula; `opened` says in matrices what a network holds
of them: kron of columns where all parts are summed, kron with eye where one part stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wrt.algebra.reshaping import axis_groups
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Einsum, Exponent, Node, Reshape
from wrt.notation.layout import kron, unvec, vec
from wrt.notation.phrases import diagonal, entrywise, eye, flip, ones, times
from wrt.notation.tree import Tree

if TYPE_CHECKING:
    from wrt.notation.elimination import Network

__all__ = ["is_split", "opened", "unfolded"]


# In the formula


def is_split(node: Node) -> bool:
    """Whether a reshape only takes axes apart."""
    if not isinstance(node, Reshape):
        return False
    groups = axis_groups(node.body.dims, node.dims)
    return groups is not None and all(len(old) == 1 for old, _ in groups)


def unfolded(node: Einsum) -> Node:
    """A product whose reshaped factors are products: their indices and its own, in parts.

    >>> from wrt.expression.nodes import Variable
    >>> n, m = map(Dimension.of, "nm")
    >>> x, A = Variable("x", (n,)), Variable("A", (n * n, m))
    >>> column = build.reshape(build.einsum("i,j->ij", x, x), (n * n,))
    >>> unfolded(build.einsum("i,ij->ij", column, A))
    <reshape({reshape(A, n n m)[ijk] x[i] x[j] -> ijk}, n^2 m) : n^2, m>
    """
    work = _Unfolding(list(node.index_dims))
    pending = list(node.factors)
    while pending:
        child, exponent, indices = pending.pop()
        inside = work.inside(child, indices) if _opens(child, exponent) else None
        if inside is None:
            work.factors.append((child, exponent, indices))
            continue
        assert isinstance(child, Reshape)
        assert isinstance(child.body, Einsum)
        pending += work.taken_in(child.body, inside)
        work.coefficient = work.coefficient * child.body.coefficient
    if len(work.factors) == len(node.factors) and not work.parts:
        return node
    return work.made(node)


def _opens(child: Node, exponent: Exponent) -> bool:
    return exponent == 1 and isinstance(child, Reshape) and isinstance(child.body, Einsum)


class _Unfolding:
    """Factors over indices that may be made of parts, or be the same as another."""

    def __init__(self, dims: list[Dimension]) -> None:
        self.dims = dims
        self.coefficient = ONE
        self.factors: list[tuple[Node, Exponent, tuple[int, ...]]] = []
        self.parts: dict[int, tuple[int, ...]] = {}
        self.same: dict[int, int] = {}

    def fresh(self, dim: Dimension) -> int:
        self.dims.append(dim)
        return len(self.dims) - 1

    def fine(self, index: int) -> tuple[int, ...]:
        """The parts of an index, theirs in turn."""
        while index in self.same:
            index = self.same[index]
        if index not in self.parts:
            return (index,)
        return tuple(k for part in self.parts[index] for k in self.fine(part))

    def unite(self, a: int, b: int) -> bool:
        """Make two indices the same; whether their parts fit."""
        left, right = self.fine(a), self.fine(b)
        if left == right:
            return True
        if len(left) == 1 < len(right):
            self.parts[left[0]] = right
        elif len(right) == 1 < len(left):
            self.parts[right[0]] = left
        elif [self.dims[i] for i in left] == [self.dims[i] for i in right]:
            self.same.update((i, j) for i, j in zip(right, left, strict=True) if i != j)
        else:
            return False
        return True

    def inside(self, child: Node, indices: Sequence[int]) -> list[int] | None:
        """The indices of what is reshaped, in the order of its axes; None where they cross."""
        assert isinstance(child, Reshape)
        groups = axis_groups(child.body.dims, child.dims)
        if groups is None or any(len(old) > 1 and len(new) > 1 for old, new in groups):
            return None
        found: list[int] = []
        for old, new in groups:
            if len(old) == 1:
                index = indices[new[0]]
                if len(new) > 1:
                    index = self.fresh(child.body.dims[old[0]])
                    self.parts[index] = tuple(indices[k] for k in new)
                found.append(index)
                continue
            parts = [self.fresh(child.body.dims[k]) for k in old]
            whole = self.fresh(child.dims[new[0]])
            self.parts[whole] = tuple(parts)
            if not self.unite(indices[new[0]], whole):
                return None
            found += parts
        return found

    def taken_in(
        self, body: Einsum, indices: Sequence[int]
    ) -> list[tuple[Node, Exponent, tuple[int, ...]]]:
        """The factors of a product at the indices of its output."""
        place: dict[int, int] = {}
        for i, index in zip(body.output, indices, strict=True):
            if not self.unite(place.setdefault(i, index), index):
                raise AssertionError("parts of one size that do not fit")
        for i in body.summed:
            place[i] = self.fresh(body.index_dims[i])
        return [(n, e, tuple(place[i] for i in idx)) for n, e, idx in body.factors]

    def made(self, node: Einsum) -> Node:
        """The product over parts; axes made of parts joined about the whole."""
        factors = []
        for child, exponent, indices in self.factors:
            fine = tuple(k for i in indices for k in self.fine(i))
            factors.append((build.reshape(child, [self.dims[k] for k in fine]), exponent, fine))
        output = tuple(k for i in node.output for k in self.fine(i))
        coefficient = node.coefficient * self.coefficient
        every = range(len(self.dims))
        joint = set(every).difference(*[self.fine(i) for i in every])
        whole = build.product_without(coefficient, factors, output, self.dims, joint)
        return build.reshape(whole, node.dims)


# In a network


def opened(net: Network) -> bool:
    """Say one of the joined indices by kron; whether there was one to be said."""
    return any(_opened(net, c) for c in list(net.joints))


def _opened(net: Network, c: int) -> bool:
    parts = net.joints[c]
    stay = [p for p in parts if not _is_summed(net, p)]
    if len(stay) > 1 and len(parts) == 2:
        return _cut(net, c) or _traced(net, c) or _moved(net, c)
    if len(stay) > 1:
        return False
    columns = [eye(net.dims[p]) if p in stay else _column(net, p) for p in parts]
    whole = columns[0]
    for column in columns[1:]:
        whole = kron(whole, column)
    del net.joints[c]
    net.add(whole, (c, *stay))
    return True


def _column(net: Network, p: int) -> Tree:
    """The product of the columns at a part; ones where there are none."""
    columns = net.vectors.pop(p, [])
    return entrywise(columns) if columns else ones((net.dims[p], None))


def _is_summed(net: Network, p: int) -> bool:
    """Whether only columns carry a part, and it is summed."""
    alone = sum(parts.count(p) for parts in net.joints.values()) == 1
    return p not in net.output and alone and not net.at(p) and not _in_tensors(net, p)


def _in_tensors(net: Network, p: int) -> bool:
    return any(p in indices for _, indices in net.tensors)


def _cut(net: Network, c: int) -> bool:
    """Columns at a joined index are the rows of a matrix."""
    if not net.cuts or net.at(c) or _in_tensors(net, c) or c not in net.vectors:
        return False
    p, q = net.joints.pop(c)
    net.add(unvec(entrywise(net.vectors.pop(c)), net.dims[p], net.dims[q]), (p, q))
    return True


def _moved(net: Network, c: int) -> bool:
    """A matrix at a summed part is multiplied in: the joined index has its other end for part."""
    parts = net.joints[c]
    for k, p in enumerate(parts):
        other = parts[1 - k]
        here = net.at(p)
        alone = sum(p in joint for joint in net.joints.values()) == 1
        if len(here) != 1 or p in net.output or not alone or _in_tensors(net, p):
            continue
        (matrix,) = here
        a = matrix[1] if matrix[2] == p else matrix[2]
        if a not in net.output or a in parts:
            continue
        (turned,), columns = net.take(p, here)
        inner = flip(turned)  # from p to a
        if columns:
            inner = times(ONE, [diagonal(entrywise(columns)), inner])
        pair = [inner, eye(net.dims[other])]
        new = (a, other)
        made = kron(*(pair if k == 0 else pair[::-1]))
        del net.joints[c]
        net.add(made, (c, net.joint(new if k == 0 else new[::-1])))
        return True
    return False


def _traced(net: Network, c: int) -> bool:
    """A matrix between a joined index and one of its parts, summed: vec and kron with vec(eye)."""
    parts, here = net.joints[c], net.at(c)
    if len(here) != 1 or c in net.vectors or c in net.output or _in_tensors(net, c):
        return False
    (matrix,) = here
    j = matrix[1] if matrix[2] == c else matrix[2]
    alone = sum(j in joint for joint in net.joints.values()) == 1
    if j not in parts or j in net.output or len(net.at(j)) != 1 or not alone:
        return False
    other = parts[1 - parts.index(j)]
    (turned,), _ = net.take(c, here)  # from j to c
    columns = net.vectors.pop(j, [])
    if columns:
        turned = times(ONE, [diagonal(entrywise(columns)), turned])
    whole, piece = eye(net.dims[other]), vec(eye(net.dims[j]))
    first = parts[0] == j
    stacked = vec(flip(turned) if first else turned)
    joiner = kron(piece, whole) if first else kron(whole, piece)
    del net.joints[c]
    net.add(times(ONE, [flip(joiner), stacked]), (other,))
    return True
