"""Patterns in a product: basis vectors fix an index, and masks at fixed indices are 0 or 1."""

from __future__ import annotations

from wrt.expression import build
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Einsum, Factor, Node, Pattern, Relation

__all__ = ["position_of", "resolved"]


def position_of(node: Node) -> Dimension | None:
    """Where a basis vector has its one, counted from 0; None for anything else."""
    if isinstance(node, Pattern) and node.ndim == 1 and len(node.relations) == 1:
        (relation,) = node.relations
        if relation.kind == "==" and relation.terms == ((0, 1),):
            return relation.constant * -1
    return None


def resolved(node: Einsum) -> Node | None:
    """The product with its patterns simplified; None where there is nothing to do."""
    patterns = [k for k, c in enumerate(node.children) if isinstance(c, Pattern)]
    if not patterns:
        return None
    fixed: dict[int, Dimension] = {}
    for k in patterns:
        position = position_of(node.children[k])
        if position is not None:
            (index,) = node.indices[k]
            known = fixed.setdefault(index, position)
            if _differ(known, position):
                return build.zeros(node.dims)
    made = _diagonal(node, patterns)
    if made is None:
        made = _substituted(node, patterns, fixed)
    return made if made is not None else _loose_units(node, patterns)


def _differ(a: Dimension, b: Dimension) -> bool:
    gap = (a - b).value
    return gap is not None and gap != 0


def _substituted(node: Einsum, patterns: list[int], fixed: dict[int, Dimension]) -> Node | None:
    """Masks whose indices are fixed lose those indices; all fixed, they are 0 or 1."""
    for k in patterns:
        mask, _, indices = node.factors[k]
        assert isinstance(mask, Pattern)
        known = [p for p, i in enumerate(indices) if i in fixed]
        if position_of(mask) is not None or not known:
            continue
        made = _fixed(mask, {p: fixed[indices[p]] for p in known})
        if made is None:
            continue
        factors: list[Factor] = [f for j, f in enumerate(node.factors) if j != k]
        left = tuple(i for p, i in enumerate(indices) if p not in known)
        factors.append((made, 1, left))
        return build.product(node.coefficient, factors, node.output, node.index_dims)
    return None


def _diagonal(node: Einsum, patterns: list[int]) -> Node | None:
    """A mask two of whose indices are one is a mask of fewer axes."""
    for k in patterns:
        mask, _, indices = node.factors[k]
        assert isinstance(mask, Pattern)
        distinct = tuple(dict.fromkeys(indices))
        if len(distinct) == len(indices):
            continue
        factors: list[Factor] = [f for j, f in enumerate(node.factors) if j != k]
        narrower = _narrower(mask, indices)
        if narrower is None:
            continue
        factors.append((narrower, 1, distinct))
        return build.product(node.coefficient, factors, node.output, node.index_dims)
    return None


def _narrower(mask: Pattern, indices: tuple[int, ...]) -> Node | None:
    """A mask at indices of which some are one, over those that differ; None where undecided."""
    distinct = list(dict.fromkeys(indices))
    dims = [mask.dims[indices.index(i)] for i in distinct]
    relations = []
    for relation in mask.relations:
        total = dict.fromkeys(range(len(distinct)), 0)
        for position, factor in relation.terms:
            total[distinct.index(indices[position])] += factor
        terms = tuple((p, c) for p, c in total.items() if c)
        if terms:
            relations.append(Relation(terms, relation.constant, relation.kind))
        elif relation.constant.value is None:
            return None
        elif relation.constant.value != 0 if relation.kind == "==" else relation.constant.value < 0:
            return build.zeros(dims)
    return Pattern(dims, relations) if relations else build.ones(dims)


def _fixed(mask: Pattern, at: dict[int, Dimension]) -> Node | None:
    """A mask at given positions of some of its axes; None where a relation stays undecided."""
    left = [p for p in range(mask.ndim) if p not in at]
    relations = []
    for relation in mask.relations:
        constant = relation.constant
        for position, factor in relation.terms:
            if position in at:
                constant = constant + at[position] * factor
        terms = tuple((left.index(p), c) for p, c in relation.terms if p not in at)
        if len(terms) == 1 and relation.kind == "==" and terms[0][1] == -1:
            terms, constant = ((terms[0][0], 1),), constant * -1  # i = c, not -i = -c
        if len(terms) == 1 and relation.kind == "==" and terms[0][1] == 1:
            if _is_outside(constant * -1, mask.dims[left[terms[0][0]]]):
                return build.zeros([mask.dims[p] for p in left])
        if terms:
            relations.append(Relation(terms, constant, relation.kind))
        elif constant.value is None:
            return None
        elif constant.value != 0 if relation.kind == "==" else constant.value < 0:
            return build.zeros([mask.dims[p] for p in left])
    dims = [mask.dims[p] for p in left]
    return Pattern(dims, relations) if relations else build.ones(dims)


def _is_outside(position: Dimension, dim: Dimension) -> bool:
    """Whether a place, counted from 0, is certainly none of an axis."""
    at, over = position.value, (position - dim).value
    return (at is not None and at < 0) or (over is not None and over >= 0)


def _loose_units(node: Einsum, patterns: list[int]) -> Node | None:
    """A basis vector summed with nothing else is 1."""
    for k in patterns:
        if position_of(node.children[k]) is None:
            continue
        (index,) = node.indices[k]
        others = sum(indices.count(index) for j, indices in enumerate(node.indices) if j != k)
        if not others and index not in node.output:
            keep = [i for i in range(len(node.index_dims)) if i != index]
            place = {i: p for p, i in enumerate(keep)}
            factors = [
                (n, e, tuple(place[i] for i in idx))
                for j, (n, e, idx) in enumerate(node.factors)
                if j != k
            ]
            output = [place[i] for i in node.output]
            return build.product(
                node.coefficient, factors, output, [node.index_dims[i] for i in keep]
            )
    return None
