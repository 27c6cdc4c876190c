"""The terms of a derivative multiplied out, each with a text of its own."""

from __future__ import annotations

from collections.abc import Sequence

from wrt import notation
from wrt.algebra import flat_form, settled
from wrt.expression import build
from wrt.expression.nodes import Einsum, Node, Sum

__all__ = ["said_terms", "summands"]

#: A formula of more terms than this is not multiplied out.
MOST_TERMS = 12


def said_terms(node: Node, names: Sequence[str]) -> list[tuple[str, Node]]:
    """The terms multiplied out, with their texts; those without a text are left out.

    >>> from wrt.language import read
    >>> f = read("2*A'*(A*x - b)")
    >>> [text for text, _ in said_terms(f.formula, list(f.variables))]
    ["2*A'*A*x", "-2*A'*b"]
    """
    found = []
    for term in summands(node):
        flat = settled(term)
        text = notation.matrix(flat, names=names) if flat.ndim < 3 else None
        text = text or notation.index(flat, names=names)
        if text is not None:
            found.append((text, term))
    return sorted(found, key=lambda pair: (pair[0].startswith("-"), pair[0]))


def summands(node: Node) -> list[Node]:
    """The terms of a formula with its products of sums multiplied out, as far as that is short."""
    terms, done = [settled(node)], False
    while not done:
        done = True
        for k, term in enumerate(terms):
            parts = _opened(term)
            if len(parts) > 1 and len(terms) + len(parts) <= MOST_TERMS + 1:
                terms[k : k + 1] = parts
                done = False
                break
    total = settled(build.add(*terms))
    again = list(total.children) if isinstance(total, Sum) else [total]
    return again if len(again) >= len(terms) else terms


def _opened(term: Node) -> list[Node]:
    """A sum as its terms; a product with a sum among its factors as its products."""
    if isinstance(term, Sum):
        return list(term.children)
    if not isinstance(term, Einsum):
        return [term]
    for k, (child, exponent, indices) in enumerate(term.factors):
        if isinstance(child, Sum) and exponent == 1:
            made = []
            for one in child.children:
                factors = list(term.factors)
                factors[k] = (one, 1, indices)
                made.append(build.product(term.coefficient, factors, term.output, term.index_dims))
            return [flat_form(one) for one in made]
    return [term]
