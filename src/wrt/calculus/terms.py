"""Products that are not yet nodes: what a sweep multiplies, two at a time.

A `Term` is a product over named indices whose output may repeat an index. `compose` contracts two
of them; `hoist` takes a term apart into its δ-pattern (which output axes are tied) and a core that
knows no δ.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from wrt.expression import build
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Einsum, Factor, Node, Sum

__all__ = [
    "Core",
    "Pattern",
    "Term",
    "along",
    "beside",
    "compose",
    "hoist",
    "is_entrywise",
    "onward",
    "terms_of",
]

Dims = tuple[Dimension, ...]
#: For every axis, which class of tied axes it belongs to, numbered by first occurrence.
Pattern = tuple[int, ...]


class Term(NamedTuple):
    """`coefficient · Σ Π node[indices]**exponent`, laid out along `output`."""

    coefficient: Coefficient
    factors: tuple[Factor, ...]
    output: tuple[int, ...]
    index_dims: tuple[Dimension, ...]


class Core(NamedTuple):
    """The part of a term that knows no δ: a node, and the class of tied axes that each axis is."""

    node: Node
    carried: tuple[int, ...]


def terms_of(node: Node) -> list[Term]:
    """A formula as a list of products: its terms where it is a sum."""
    parts = node.children if isinstance(node, Sum) else (node,)
    return [_term(part) for part in parts if not build.is_zero(part)]


def _term(node: Node) -> Term:
    if isinstance(node, Einsum):
        return Term(node.coefficient, node.factors, node.output, node.index_dims)
    axes = tuple(range(node.ndim))
    return Term(ONE, ((node, 1, axes),), axes, node.dims)


def compose(left: Term, right: Term, inner: int) -> Term:
    """Contract the last `inner` axes of one term with the first `inner` of another."""
    shift = len(left.index_dims)
    dims = left.index_dims + right.index_dims
    united: dict[int, int] = {}

    def find(i: int) -> int:
        while i in united:
            i = united[i]
        return i

    # which index of the left each axis of the right is; then both under one numbering
    cut = len(left.output) - inner
    for a, b in zip(left.output[cut:], right.output[:inner], strict=True):
        i, j = find(a), find(b + shift)
        if i != j:
            assert dims[i] is dims[j], (dims[i], dims[j])
            united[max(i, j)] = min(i, j)
    live = [i for i in range(len(dims)) if i not in united]
    place = {i: k for k, i in enumerate(live)}
    label = [place[find(i)] for i in range(len(dims))]
    factors = [(n, e, tuple([label[i] for i in idx])) for n, e, idx in left.factors]
    factors += [(n, e, tuple([label[i + shift] for i in idx])) for n, e, idx in right.factors]
    output = [label[i] for i in left.output[:cut]]
    output += [label[i + shift] for i in right.output[inner:]]
    kept = tuple([dims[i] for i in live])
    return Term(left.coefficient * right.coefficient, tuple(factors), tuple(output), kept)


def onward(core: Core, local: Term, axes: int) -> Term:
    """The derivative of a scalar by a node whose axes are not tied, times that of the node by a
    child.
    """
    output, dims = local.output, local.index_dims
    if core.node is _ONE:
        return Term(local.coefficient, local.factors, output[axes:], dims)
    factors = ((core.node, 1, tuple([output[k] for k in core.carried])), *local.factors)
    return Term(local.coefficient, factors, output[axes:], dims)


_ONE = build.number(1)


def is_entrywise(local: Term, axes: int) -> bool:
    """Whether a derivative ties every axis of a node to the same axis of its child."""
    output = local.output
    return len(output) == 2 * axes and output[:axes] == output[axes:] == _axes(axes)


@lru_cache(maxsize=64)
def _axes(count: int) -> tuple[int, ...]:
    return tuple(range(count))


def along(pattern: Pattern, core: Core, local: Term, axes: int, dims: Dims) -> Core:
    """The core behind a derivative that is entry by entry: the pattern stays, the core takes its
    factors.

    `axes` are those of the node, the last of the pattern; `dims` the dimensions of the pattern's
    classes.
    """
    summed = local.index_dims[axes:]
    if not summed and len(pattern) == axes == len(dims):  # f is a scalar, and no axes are tied
        return _entry_by_entry(core, local)
    place = (*pattern[len(pattern) - axes :], *range(len(dims), len(dims) + len(summed)))
    moved = [(n, e, tuple([place[i] for i in idx])) for n, e, idx in local.factors]
    factors: list[Factor] = [(core.node, 1, core.carried), *moved]
    held = set().union(*[indices for _, _, indices in factors])
    kept = tuple([i for i in range(len(dims)) if i in held])
    node = build.product_carried(local.coefficient, factors, kept, (*dims, *summed))
    return Core(node, kept)


def beside(pattern: Pattern, core: Core, node: Einsum, position: int, dims: Dims) -> Core:
    """The same behind a product entry by entry, by one of its factors: the others are taken in."""
    place = pattern[len(pattern) - len(node.dims) :]
    coefficient, exponent = node.coefficient, node.exponents[position]
    factors: list[Factor] = [] if core.node is _ONE else [(core.node, 1, core.carried)]
    for k, child in enumerate(node.children):
        if k != position:
            factors.append((child, node.exponents[k], place))
    if exponent != 1:
        coefficient = coefficient * Coefficient.of(exponent)
        factors.append((node.children[position], exponent - 1, place))
    narrow = len(node.children) == 1 == exponent
    kept = core.carried if narrow else tuple(sorted({*core.carried, *place}))
    if len(kept) == len(dims):
        return Core(build.product(coefficient, factors, kept, dims), kept)
    return Core(build.product_carried(coefficient, factors, kept, dims), kept)


def _entry_by_entry(core: Core, local: Term) -> Core:
    """A core that is no wider than a node, times an entry by entry derivative of it."""
    dims = local.index_dims
    own: tuple[Factor, ...] = () if core.node is _ONE else ((core.node, 1, core.carried),)
    factors = own + local.factors
    kept = _axes(len(dims))
    wide = core.carried == kept or kept in [indices for _, _, indices in local.factors]
    if not wide:
        held = set().union(*[indices for _, _, indices in factors])
        wide = len(held) == len(dims)
    if wide:
        return Core(build.product(local.coefficient, factors, kept, dims), kept)
    kept = tuple([i for i in kept if i in held])
    return Core(build.product_carried(local.coefficient, factors, kept, dims), kept)


def hoist(term: Term) -> tuple[Pattern, Core]:
    """The pattern of a term, and its core over the classes that it depends on."""
    output = term.output
    count = len(output)
    if len(set(output)) == count and len(term.index_dims) == count:
        if not term.factors:  # a number, repeated along every axis
            return tuple(range(count)), Core(build.number(term.coefficient), ())
        bare = set(output).difference(*[indices for _, _, indices in term.factors])
        if not bare:  # no δ, nothing summed, nothing repeated
            axes = tuple(range(count))
            return axes, Core(build.product(*term), axes)
    classes = {i: k for k, i in enumerate(dict.fromkeys(output))}
    held = {i for _, _, indices in term.factors for i in indices}
    kept = [i for i in classes if i in held]
    gone = classes.keys() - held
    node = build.product_without(term.coefficient, term.factors, kept, term.index_dims, gone)
    carried = tuple([k for i, k in classes.items() if i in held])
    return tuple([classes[i] for i in output]), Core(node, carried)
