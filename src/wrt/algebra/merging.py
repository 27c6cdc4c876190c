"""Terms of a sum that are equal by value, however they are spelled, become one."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations
from math import prod
from typing import TYPE_CHECKING, Any

from wrt.algebra.equality import Sampling, ratio, seeds
from wrt.expression import build
from wrt.expression.nodes import LOOP, Einsum, Node, Scan, Sum, Variable
from wrt.expression.walk import is_larger, postorder, ranged_terms, replaced, rewrite, users

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["merged"]

#: Formulas with more nodes, sums with more terms, terms with more axes are left as they are
#: spelled.
MOST_NODES, MOST_TERMS, MOST_AXES = 1500, 40, 5
#: Nor are sums that have so many entries by sizes given as numbers.
MOST_ENTRIES = 500_000
#: Nor are formulas where so many nodes would be evaluated, all for every sum.
MOST_EVALUATED = 20_000
#: Ranges of more terms in all are not evaluated to compare.
MOST_RANGED = 200
#: A term this much smaller than another of its sum, at two generic points, is zero.
NOTHING = 1e-13


def merged(root: Node) -> Node:
    """The formula with every sum's terms merged where they are equal up to a simple factor.

    Equality is by value at random complex points, and confirmed at another.

    >>> from wrt.functions import BOOK
    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> n = Dimension.of("n")
    >>> x, y, exp = Variable("x", (n,)), Variable("y", (n,)), BOOK["exp"]
    >>> merged(exp(x + y) - exp(x) * exp(y)) is build.zeros((n,))
    True
    """
    if is_larger(MOST_NODES, root) or ranged_terms(root) > MOST_RANGED:
        return root
    order = list(postorder(root))
    alike = sum(isinstance(node, Sum) and _worth_it(node) for node in order)
    if not alike or alike * len(order) > MOST_EVALUATED:
        return root
    return rewrite(root, _merged_sum)


def _worth_it(total: Sum) -> bool:
    """Whether two terms hold the same variables, so that they could be equal."""
    if len(total.children) > MOST_TERMS or total.ndim > MOST_AXES:
        return False
    if prod(d.value or 1 for d in total.dims) > MOST_ENTRIES:
        return False
    names = [term.names for term in total.children if term.names]
    return len(set(names)) < len(names)


def _merged_sum(node: Node) -> Node:
    if not isinstance(node, Sum) or not _worth_it(node):
        return node
    terms = sorted(node.children, key=_simplest)
    told = _without_loops(terms)
    points = _points(told)
    if not points:
        return node
    kept: list[int] = []
    total: dict[int, list[Node]] = {}
    gone = _nothing(sorted(set.intersection(*map(_vanishing, points))), told)
    for k, term in enumerate(terms):
        if k in gone:
            continue
        for j in kept:
            if term.names != terms[j].names:
                continue
            c = ratio(points[0][k], points[0][j])
            if c is not None and all(ratio(at[k], at[j]) == c for at in points[1:]):
                total[j].append(build.scale(c, terms[j]))
                break
        else:
            kept.append(k)
            total[k] = [term]
    if len(kept) == len(terms):
        return node
    merged_terms = [build.add(*alike) for alike in total.values()]
    return build.add(*merged_terms) if merged_terms else build.zeros(node.dims)


def _points(terms: list[Node]) -> list[list[Array]]:
    """The values of terms at all points that decide; none where they tell all apart."""
    found: list[list[Array]] = []
    pairs = [
        (j, k) for j, k in combinations(range(len(terms)), 2) if terms[j].names == terms[k].names
    ]
    known: dict[tuple[int, int], Fraction | None] = {}
    gone = set(range(len(terms)))
    for values in map(Sampling(terms), seeds(terms)):
        found.append(values)
        gone &= _vanishing(values)
        same = {(j, k): ratio(values[k], values[j]) for j, k in pairs}
        pairs = [p for p in pairs if same[p] is not None and same[p] == known.get(p, same[p])]
        known = same
        if not gone and not pairs:
            return []
    return found


def _without_loops(terms: list[Node]) -> list[Node]:
    """The terms with a variable for every loop: to compare them, no recurrence is run."""
    if not any(term.holds & LOOP for term in terms):
        return terms
    loops = {n for n in postorder(*terms) if isinstance(n, Scan)}
    known: dict[Node, Node] = {n: Variable(f"loop {n.digest.hex()}", n.dims) for n in loops}
    return [replaced(term, known) for term in terms]


def _vanishing(values: list[Array]) -> set[int]:
    """Which terms are zero beside the largest."""
    import numpy as np

    sizes = [float(np.abs(v).max(initial=0)) for v in values]
    if not np.all(np.isfinite(sizes)):
        return set()
    return {k for k, size in enumerate(sizes) if size <= NOTHING * max(sizes)}


def _nothing(small: Sequence[int], terms: list[Node]) -> set[int]:
    """Which small terms are zero beside what they are made of, and not only beside the others."""
    import numpy as np

    left = set(small)
    parts = list(dict.fromkeys(part for k in small for part in _parts(terms[k])))
    for values in map(Sampling([*terms, *parts]), seeds(terms)) if small else ():
        found = values[len(terms) :]
        sizes = dict(zip(parts, (float(np.abs(v).max(initial=0)) for v in found), strict=True))
        left = {
            k for k in left if np.abs(values[k]).max(initial=0) <= NOTHING * _scale(terms[k], sizes)
        }
        if not left:
            break
    return left


def _parts(term: Node) -> list[Node]:
    """What a term is made of by products and sums alone."""
    found: list[Node] = []
    stack, seen = [term], {term}
    while stack:
        node = stack.pop()
        if isinstance(node, Einsum | Sum) and node.children:
            fresh = [c for c in dict.fromkeys(node.children) if c not in seen]
            seen.update(fresh)
            stack += fresh
        else:
            found.append(node)
    return found


def _scale(term: Node, sizes: dict[Node, float]) -> float:
    """How large a term would be if nothing in it cancelled."""
    known = dict(sizes)
    for node in postorder(term):
        if node in known or not all(c in known for c in node.children):
            continue
        if isinstance(node, Sum):
            known[node] = max(known[c] for c in node.children)
        elif isinstance(node, Einsum):
            number = abs(float(node.coefficient.value))
            for child, exponent, _ in node.factors:
                number *= known[child] ** float(exponent)
            known[node] = number
    return known[term]


def _simplest(term: Node) -> tuple[int, bytes]:
    """The fewest nodes first; then by digest, the same in every process."""
    return sum(users(term).values()), term.digest
