"""Kronecker products that meet a sum are multiplied factor by factor: (A ⊗ B) vec(X) is A X Bᵀ.

Axes that stand end to end in an outer product come apart in every product with it: the other
factors are seen under the same axes, and the result is laid out again.
"""

from __future__ import annotations

from wrt.algebra.reshaping import axis_groups, reshaped
from wrt.expression import build
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Dims, Einsum, Factor, Node, Reshape, Sum
from wrt.expression.walk import postorder, rewrite
from wrt.programs.apart import groups

__all__ = ["unlaid"]


def unlaid(root: Node) -> Node:
    """The same formula, in which no Kronecker product is formed to be multiplied.

    >>> from wrt.expression.nodes import Variable
    >>> n, m = Dimension.of("n"), Dimension.of("m")
    >>> A, B, X = Variable("A", (n, n)), Variable("B", (m, m)), Variable("X", (n, m))
    >>> outer = build.einsum("ij,kl->ikjl", A, B)
    >>> found = unlaid(build.reshape(outer, (n * m, n * m)) @ build.reshape(X, (n * m,)))
    >>> found is build.reshape(build.einsum("ij,jl,kl->ik", A, X, B), (n * m,))
    True
    """
    if not any(_is_laid(node) for node in postorder(root)):
        return root
    return rewrite(root, _multiplied)


def _is_laid(node: Node) -> bool:
    """Whether an array lays out products of parts that share no index, or sums of such."""
    if isinstance(node, Sum):
        return all(_is_laid(term) for term in node.children)
    inner = node.body if isinstance(node, Reshape) else None
    return isinstance(inner, Einsum) and (inner.repeats or len(groups(inner.factors)) > 1)


def _multiplied(node: Node) -> Node:
    """A product with the axes of its Kronecker products apart."""
    made = node
    while isinstance(made, Einsum) and (cut := _cut(made)):
        made = _apart(made, cut)
    return made if made is node else build.reshape(made, node.dims)


def _cut(node: Einsum) -> dict[int, Dims]:
    """The indices along which a Kronecker product is laid out, with the axes that stand in each;
    none where it is not multiplied along any.
    """
    for factor, exponent, own in node.factors:
        if exponent == 1 and _is_laid(factor) and set(own) & set(node.summed):
            found = _inside(factor)
            if found:
                return {own[k]: dims for k, dims in found.items()}
    return {}


def _inside(factor: Node) -> dict[int, Dims]:
    """Of each axis that is laid out the axes that stand in it."""
    first = factor.children[0] if isinstance(factor, Sum) else factor
    assert isinstance(first, Reshape)
    body = first.body
    found = {}
    for old, new in axis_groups(body.dims, first.dims) or ():
        if len(old) > 1 and len(new) == 1:
            found[new[0]] = tuple(body.dims[k] for k in old)
    return found


def _apart(node: Einsum, cut: dict[int, Dims]) -> Node:
    """A product with some of its indices cut into several."""
    dims: list[Dimension] = []
    places: list[tuple[int, ...]] = []
    for index, dim in enumerate(node.index_dims):
        inner = cut.get(index, (dim,))
        places.append(tuple(range(len(dims), len(dims) + len(inner))))
        dims += inner
    coefficient, factors = node.coefficient, list[Factor]()
    for factor, exponent, own in node.factors:
        inside = tuple(k for i in own for k in places[i])
        part = reshaped(factor, [dims[k] for k in inside])
        if exponent == 1 and isinstance(part, Einsum) and not (part.summed or part.repeats):
            coefficient = coefficient * part.coefficient
            at = dict(zip(part.output, inside, strict=True))
            factors += [(f, e, tuple(at[k] for k in axes)) for f, e, axes in part.factors]
        else:
            factors.append((part, exponent, inside))
    output = [k for i in node.output for k in places[i]]
    return build.product(coefficient, factors, output, dims)
