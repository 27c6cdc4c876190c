"""What products with one array after another read again and again, multiplied together once.

A direction moves, the factors that it meets stand still. Those of them that are summed over
indices of their own become one array, where that has no more entries than they: X'*diag(d)*X of
a logistic regression, the block of each row of a masked factorisation, the layers of a network.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import NamedTuple

from wrt.answers.parts import unused
from wrt.answers.structured.terms import Term, inlined
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Einsum, Factor, Node, Pattern, Sum, Variable
from wrt.expression.walk import holds_complex, postorder
from wrt.programs.watching import COMPUTED

__all__ = ["Gathered", "entries", "gathered"]

#: Sums of more products than this are left as they are.
MOST_TERMS = 8


class Gathered(NamedTuple):
    """A formula over variables and parts, and what the parts are."""

    formula: Node
    parts: Mapping[Variable, Node]


@lru_cache(maxsize=128)
def gathered(formula: Node, moving: Variable) -> Gathered | None:
    """A formula that is linear in a variable, all else in it put together; None where that gives
    nothing.

    >>> from wrt.expression.dimensions import Dimension
    >>> n, N = Dimension.of(3), Dimension.of(9)
    >>> X, d, v = Variable("X", (N, n)), Variable("d", (N,)), Variable("v", (n,))
    >>> found = gathered(build.einsum("ki,k,kj,j->i", X, d, X, v), v)
    >>> found.formula, list(found.parts.values())
    (<{t[ij] v[j] -> i} : 3>, [<{d[k] X[ki] X[kj] -> ij} : 3, 3>])
    """
    known: dict[Node, list[Term] | None] = {}
    for node in postorder(formula):
        if moving in node.names:
            known[node] = _terms(node, moving, known)
    found = known.get(formula)
    return None if found is None else _named(found, formula, moving)


def _terms(
    node: Node, moving: Variable, known: Mapping[Node, list[Term] | None]
) -> list[Term] | None:
    """The products that a formula is the sum of, in each of which the variable stands once."""
    found: list[Term] | None = None
    match node:
        case Variable():
            axes = tuple(range(node.ndim))
            found = [Term(ONE, ((node, 1, axes),), axes, node.dims)]
        case Sum():
            parts = [known.get(child) for child in node.children]
            if all(part is not None for part in parts):
                found = [term for part in parts if part is not None for term in part]
        case Einsum():
            found = _product(node, moving, known)
    if found is None:
        return None
    merged = _merged([_combined(term, moving) for term in found], moving)
    return merged if len(merged) <= MOST_TERMS else None


def _product(
    node: Einsum, moving: Variable, known: Mapping[Node, list[Term] | None]
) -> list[Term] | None:
    """A product, with the sum in it that moves multiplied out."""
    places = [k for k, (child, _, _) in enumerate(node.factors) if moving in child.names]
    inner = known.get(node.factors[places[0]][0])
    if len(places) != 1 or node.factors[places[0]][1] != 1 or inner is None:
        return None
    whole = Term(node.coefficient, node.factors, node.output, node.index_dims)
    return [inlined(whole, places[0], one) for one in inner]


# One product


def _combined(term: Term, moving: Variable) -> Term:
    """The factors that are summed over indices of their own as one, with those that scale it."""
    still = [f for f in term.factors if f[0] is not moving and not isinstance(f[0], Pattern)]
    other = [f for f in term.factors if f[0] is moving or isinstance(f[0], Pattern)]
    ends = {i for f in other for i in f[2]} | set(term.output)
    row = _row(term, moving)
    made, coefficient = list[Factor](), term.coefficient
    for group in _groups(still, ends):
        own = dict.fromkeys((*term.output, *(i for f in other for i in f[2])))
        kept = tuple(i for i in own if any(i in f[2] for f in group))  # what comes out first
        if row and row[0] not in kept:
            kept = tuple(sorted(kept, key=lambda i: i not in row))
        if _is_one(group, kept) or _volume(kept, term) > sum(entries(f[0]) for f in group):
            made += group
        else:
            made.append((build.product_carried(coefficient, group, kept, term.dims), 1, kept))
            coefficient = ONE
    return term._replace(coefficient=coefficient, factors=(*made, *other))


def _row(term: Term, moving: Variable) -> tuple[int, ...]:
    """The indices of a matrix that moves and has rows of the result: what it meets is multiplied
    from the right, and has what is summed first.
    """
    (indices,) = (f[2] for f in term.factors if f[0] is moving)
    return indices if len(indices) == 2 and indices[0] in term.output else ()


def _groups(factors: Sequence[Factor], ends: Collection[int]) -> list[list[Factor]]:
    """Factors that share an index which is summed between them, and what only scales them."""
    found: list[tuple[set[int], list[Factor]]] = []
    for factor in factors:
        met = [g for g in found if not g[0].intersection(factor[2]) <= set(ends)]
        found = [g for g in found if g not in met]
        found.append(
            (set(factor[2]).union(*(g[0] for g in met)), [f for g in met for f in g[1]] + [factor])
        )
    homes = [g for g in found if len(g[1]) > 1]
    for indices, group in found:
        home = next((h for h in homes if len(group) == 1 and indices <= h[0] & set(ends)), None)
        if home is None and len(group) == 1:
            homes.append((set(), group))
        elif home is not None:
            home[1].extend(group)
    return [group for _, group in homes]


def _is_one(group: Sequence[Factor], kept: tuple[int, ...]) -> bool:
    """Whether a group is a factor as it is."""
    return len(group) == 1 and group[0][1] == 1 and group[0][2] == kept


def _volume(indices: Sequence[int], term: Term) -> int:
    return prod(term.dims[i].value or 1 for i in indices)


def entries(node: Node) -> int:
    """How many entries an array of numbered dimensions has."""
    return prod(d.value or 1 for d in node.dims)


# Several


def _merged(terms: Sequence[Term], moving: Variable) -> list[Term]:
    """Products that differ in what was put together alone, as one: where that has no more entries
    than in one of them.
    """
    alike: dict[Hashable, list[Term]] = {}
    for term in terms:
        named = _renamed(term, moving)
        alike.setdefault(_frame(named), []).append(named)
    found = list[Term]()
    for group in alike.values():
        own = {i for f in group[0].factors if _is_put(f) for i in f[2]}
        indices = tuple(i for i in dict.fromkeys((*group[0].output, *sorted(own))) if i in own)
        wide = any(set(f[2]) == set(indices) for t in group for f in t.factors if _is_put(f))
        found += [_sum(group, indices)] if len(group) > 1 and indices and wide else group
    return found


def _is_put(factor: Factor) -> bool:
    """Whether a factor was put together of others."""
    return factor[1] == 1 and not isinstance(factor[0], (Variable, Pattern))


def _renamed(term: Term, moving: Variable) -> Term:
    """The same with its indices numbered as they are met: by the variable, the output, the rest."""
    first = next(f for f in term.factors if f[0] is moving)
    order = dict.fromkeys((*first[2], *term.output))
    rest = [f for f in term.factors if f is not first]
    places = {i: k for k, i in enumerate(order)}
    rest.sort(key=lambda f: (_is_put(f), id(f[0]), [places.get(i, len(places)) for i in f[2]]))
    order |= dict.fromkeys(i for f in rest for i in f[2])
    number = {i: k for k, i in enumerate(order)}
    factors = [(n, e, tuple(number[i] for i in indices)) for n, e, indices in (first, *rest)]
    output = tuple(number[i] for i in term.output)
    return Term(term.coefficient, tuple(factors), output, tuple(term.dims[i] for i in order))


def _frame(term: Term) -> Hashable:
    """What a product has that was not put together, and the indices of all that was."""
    plain = tuple((id(n), e, i) for n, e, i in term.factors if not _is_put((n, e, i)))
    return plain, term.output, frozenset(i for f in term.factors if _is_put(f) for i in f[2])


def _sum(terms: Sequence[Term], indices: tuple[int, ...]) -> Term:
    """Products of one frame as one."""
    nodes = [
        build.product_carried(t.coefficient, [f for f in t.factors if _is_put(f)], indices, t.dims)
        for t in terms
    ]
    plain = [f for f in terms[0].factors if not _is_put(f)]
    return terms[0]._replace(coefficient=ONE, factors=(*plain, (build.add(*nodes), 1, indices)))


# Names


def _named(terms: Sequence[Term], formula: Node, moving: Variable) -> Gathered | None:
    """The formula with a name for all that was put together."""
    parts: dict[Node, Variable] = {}
    taken = [v.name for v in formula.names]
    for node in dict.fromkeys(f[0] for t in terms for f in t.factors if _is_put(f)):
        name = unused("t", taken)
        taken.append(name)
        kind = ["complex"] if holds_complex(node) else []
        parts[node] = Variable(name, node.dims, [COMPUTED, *kind])
    if not parts:
        return None
    made = [
        build.product_carried(
            t.coefficient, [(parts.get(n, n), e, i) for n, e, i in t.factors], t.output, t.dims
        )
        for t in terms
    ]
    return Gathered(build.add(*made), {v: node for node, v in parts.items()})
