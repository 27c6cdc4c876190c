"""Brackets multiplied out where what is inside cancels: y.*(1-s) - (1-y).*s is y - s.

Sums stay whole in the normal form; here a bracket is opened only if the formula gets shorter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import partial

from wrt.algebra.merging import merged
from wrt.algebra.normal import flat_form
from wrt.expression import build
from wrt.expression.nodes import (
    Apply,
    Constant,
    Einsum,
    Exponent,
    Factor,
    Node,
    Pattern,
    Sum,
    Variable,
)
from wrt.expression.walk import is_larger, postorder, rewrite
from wrt.functions import BOOK

__all__ = ["complemented", "names_in", "spread"]

#: Formulas of more nodes, and brackets that open into more terms, are left alone.
MOST_NODES, MOST_TERMS = 100, 10


def spread(root: Node, known: dict[Node, Node] | None = None) -> Node:
    """A formula in flat form with the brackets opened that make it shorter.

    `known` keeps what is found from one call to the next.

    >>> from wrt.expression.dimensions import Dimension
    >>> x, s = (Variable(w, (Dimension.of("n"),)) for w in "xs")
    >>> spread(x * (1 - s) - (1 - x) * s) is x - s
    True
    """
    if not any(map(_has_bracket, postorder(root))) or is_larger(MOST_NODES, root):
        return root
    made = rewrite(root, partial(_opened_once, {} if known is None else known))
    return root if made is root else flat_form(made)


def _opened_once(known: dict[Node, Node], node: Node) -> Node:
    found = known.get(node)
    if found is None:
        found = known[node] = _opened(node)
    return found


def complemented(root: Node) -> Node:
    """A formula that has sigmoid(z) and sigmoid(-z), with 1 - sigmoid(z) where that is shorter.

    >>> from wrt.expression.dimensions import Dimension
    >>> sigmoid = BOOK["sigmoid"]
    >>> x, y = (Variable(w, (Dimension.of("n"),)) for w in "xy")
    >>> complemented((1 - y) * sigmoid(x) - y * sigmoid(-x)) is sigmoid(x) - y
    True
    """
    calls = [n for n in postorder(root) if isinstance(n, Apply) and n.function is BOOK["sigmoid"]]
    known = {call.children[0]: call for call in calls}
    turned = {call: known.get(flat_form(build.negative(call.children[0]))) for call in calls}
    for call, other in turned.items():
        if other is None or build.split(call.children[0])[0].value > 0:
            continue
        one = build.add(build.ones(other.dims), build.negative(other))
        made = spread(flat_form(rewrite(root, partial(_replaced, call, one))))
        root = made if names_in(made) < names_in(root) else root
    return root


def _replaced(old: Node, new: Node, node: Node) -> Node:
    return new if node is old else node


def _has_bracket(node: Node) -> bool:
    return isinstance(node, Einsum) and any(isinstance(c, Sum) for c in node.children)


def _opened(node: Node) -> Node:
    """A sum, or a product with a bracket, multiplied out where that is shorter."""
    terms = node.children if isinstance(node, Sum) else (node,)
    if not any(map(_has_bracket, terms)):
        return node
    opened = [piece for term in terms for piece in _pieces(term)]
    if not 1 < len(opened) <= MOST_TERMS or not (_may_cancel(opened) or _picks(terms)):
        return node
    made = flat_form(merged(build.add(*map(flat_form, opened))))
    return made if names_in(made) < names_in(node) else node


def _picks(terms: Sequence[Node]) -> bool:
    """Whether a unit vector picks from a bracket that is made of unit vectors."""
    return any(
        any(isinstance(c, Pattern) for c in term.children)
        and any(_holds_pattern(t) for c in term.children if isinstance(c, Sum) for t in c.children)
        for term in terms
    )


def _holds_pattern(node: Node) -> bool:
    return isinstance(node, Pattern) or any(isinstance(c, Pattern) for c in node.children)


def _may_cancel(pieces: list[Node]) -> bool:
    """Whether two terms are made of the same factors, or one holds a matrix and its inverse."""
    made_of = [_made_of(piece) for piece in pieces]
    if len({frozenset(m.items()) for m in made_of}) < len(pieces):
        return True
    return any(_is_inverted(node, m) for m in made_of for node in m)


def _is_inverted(node: Node, among: Mapping[Node, Exponent]) -> bool:
    if isinstance(node, Variable):
        return "orthogonal" in node.properties and among[node] > 1
    if not isinstance(node, Apply) or node.function is not BOOK["inv"]:
        return False
    inside = node.children[0]
    parts = inside.children if isinstance(inside, Einsum) else (inside,)
    return any(part in among for part in parts)


def _made_of(node: Node) -> dict[Node, Exponent]:
    """The factors of a product, of the products in it too, with their exponents added."""
    found: dict[Node, Exponent] = {}
    stack: list[tuple[Node, Exponent]] = [(node, 1)]
    while stack:
        one, exponent = stack.pop()
        if isinstance(one, Einsum):
            stack += [(c, e * exponent) for c, e, _ in one.factors]
        elif not isinstance(one, Constant):
            found[one] = found.get(one, 0) + exponent
    return found


def _pieces(term: Node) -> list[Node]:
    """The terms that a product with brackets is the sum of."""
    found: list[Node] = []
    left = [term]
    while left:
        one = left.pop()
        place = _bracket(one)
        if place is None or len(left) + len(found) > MOST_TERMS:
            found.append(one)
            continue
        assert isinstance(one, Einsum)
        factors: list[Factor] = list(one.factors)
        whole, _, indices = factors[place]
        for part in whole.children:
            factors[place] = (part, 1, indices)
            left.append(build.product(one.coefficient, factors, one.output, one.index_dims))
    return found


def _bracket(node: Node) -> int | None:
    if not isinstance(node, Einsum):
        return None
    pairs = zip(node.children, node.exponents, strict=True)
    return next((k for k, (c, e) in enumerate(pairs) if isinstance(c, Sum) and e == 1), None)


def names_in(root: Node) -> int:
    """How many names and numbers a formula has when it is written out."""
    count: dict[Node, int] = {}
    for node in postorder(root):
        inside = sum(count[c] for c in node.children)
        match node:
            case Variable():
                inside = 1
            case Constant():
                inside = 1
            case Einsum():
                inside += _numbers(node)
            case Apply():
                inside = max(inside, 1)
        count[node] = inside
    return count[root]


def _is_square(node: Node) -> bool:
    """Whether this is the sum of the squares of all entries of something."""
    return isinstance(node, Einsum) and node.exponents == (2,) and not node.output


def _is_under_one(node: Einsum) -> bool:
    """Whether 1 stands above the line of a product, or alone."""
    number = node.coefficient
    above = abs(Fraction(number.value).numerator) > 1 or any(p > 0 for _, p in number.powers)
    return not above and all(e < 0 for e in node.exponents)


def _numbers(node: Einsum) -> int:
    """The numbers that a product shows: its coefficient, exponents other than -1 and the 1 of
    a product of nothing.
    """
    shown = 0
    for child, exponent in zip(node.children, node.exponents, strict=True):
        if _is_square(child):  # norm2(r) is said for the root of it, and norm2(r)^2 for itself
            shown += (abs(exponent) != Fraction(1, 2)) - 1
        else:
            shown += abs(exponent) not in (1, Fraction(1, 2))
    return (
        shown
        + (abs(node.coefficient.value) != 1)
        + len(node.coefficient.powers)
        + _is_under_one(node)
    )
