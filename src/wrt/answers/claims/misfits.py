"""What a derivative of more axes is mistaken for: the factor beside its δ, the derivative of the
sum of all entries, what a gradient meets, the rule for numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import TYPE_CHECKING, Any

from wrt import notation
from wrt.algebra import flat_form, settled
from wrt.answers.claims.places import Place, agree, value_at
from wrt.answers.parts import unused
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dimensions import show_dimensions
from wrt.expression.nodes import Einsum, Node, Sum

if TYPE_CHECKING:
    import numpy as np

    from wrt.answers.answer import Derivative

    Array = np.ndarray[Any, Any]

__all__ = ["axes_said", "is_rule_for_numbers", "mistaken_for", "pulled_text"]

_COUNTS = ("no axis", "one axis", "two axes", "three axes", "four axes", "five axes", "six axes")


def axes_said(D: Derivative) -> str:
    """The axes of a derivative in a sentence, and its form.

    >>> from wrt.answers import derivative
    >>> axes_said(derivative("W*x", "W"))
    'the derivative has three axes, n × (n × m): D[i,a,b] = δ[i,a]*x[b]'
    """
    dims, parts, start = D.plain.dims, [], 0
    for count in D.groups:
        sizes = show_dimensions(dims[start : start + count])
        start += count
        if count:
            parts.append(f"({sizes})" if count > 1 else sizes)
    sizes = " × ".join(parts) if len(parts) > 1 else "".join(parts).strip("()")
    count = len(dims)
    said = _COUNTS[count] if count < len(_COUNTS) else f"{count} axes"
    form = D.matrix or D.index
    form = form if form is None or form.startswith("D[") else f"D = {form}"
    tail = f": {form}" if form else ""
    if not count:
        return f"the derivative is a number{tail}"
    return f"the derivative has {said}, {sizes}{tail}"


def mistaken_for(D: Derivative, claim: Node, found: Sequence[Place]) -> str | None:
    """What a claim of too few axes is, in a sentence, where it is something known.

    >>> from wrt.answers import derivative
    >>> from wrt.answers.claims.places import places
    >>> D = derivative("W*x", "W")
    >>> x = D.question.variables["x"]
    >>> mistaken_for(D, x, list(places(D.f, D.plain, [D.wanted[0].variable])))
    "that is only the factor which a gradient g meets: g'D = g*x'"
    """
    if not claim.ndim and D.plain.ndim and _fills(claim, found):
        return "that is what stands in every entry"
    for core, kind in _cores(D.flat):
        if _same(claim, core, found):
            return _said_core(D, kind)
    if D.f.ndim:
        axes = tuple(range(D.plain.ndim))
        total = build.product(ONE, ((D.plain, 1, axes),), axes[D.f.ndim :], D.plain.dims)
        if _same(claim, total, found):
            return "that is the derivative of the sum of all entries of f"
    return None


def _fills(claim: Node, found: Sequence[Place]) -> bool:
    """Whether every entry of the derivative is the number that is claimed."""
    values = [value_at(claim, place) for place in found[:3]]
    pairs = zip(values, found, strict=False)
    return bool(found) and all(v is not None and agree(v + 0 * p.truth, p.truth) for v, p in pairs)


def _cores(node: Node) -> Iterator[tuple[Node, str]]:
    """What stands beside the δ of a derivative: on the diagonal, and without repeated axes."""
    terms = node.children if isinstance(node, Sum) else (node,)
    if not all(isinstance(t, Einsum) and t.repeats for t in terms):
        return
    patterns = {_pattern(t) for t in terms if isinstance(t, Einsum)}
    if len(patterns) > 1:
        return
    diagonals = [_without_repeats(t) for t in terms if isinstance(t, Einsum)]
    yield build.add(*diagonals), "diagonal"
    if len(terms) == 1 and isinstance(terms[0], Einsum):
        yield _carried(terms[0]), "factor"


def _pattern(term: Einsum) -> tuple[int, ...]:
    return tuple(term.output.index(i) for i in term.output)


def _without_repeats(term: Einsum) -> Node:
    distinct = tuple(dict.fromkeys(term.output))
    return build.product(term.coefficient, term.factors, distinct, term.index_dims)


def _carried(term: Einsum) -> Node:
    """The factors of a term along the axes that they have."""
    held = {i for indices in term.indices for i in indices}
    distinct = [i for i in dict.fromkeys(term.output) if i in held]
    return build.product_carried(term.coefficient, term.factors, distinct, term.index_dims)


def _same(claim: Node, other: Node, found: Sequence[Place]) -> bool:
    """Whether two formulas agree in some order of their axes."""
    if claim.ndim != other.ndim or not claim.ndim:
        return False
    for order in permutations(range(claim.ndim)):
        if all(_agrees(claim, other, order, place) for place in found[:3]):
            return bool(found)
    return False


def _agrees(claim: Node, other: Node, order: Sequence[int], place: Place) -> bool:
    a, b = value_at(claim, place), value_at(other, place)
    return a is not None and b is not None and agree(a, b.transpose(order))


def _said_core(D: Derivative, kind: str) -> str:
    if D.plain.ndim == 2 and kind == "diagonal":
        return "those are only the entries on its diagonal; off the diagonal it is zero"
    pulled = pulled_text(D)
    if pulled is not None:
        name, product = pulled
        return f"that is only the factor which a gradient {name} meets: {product}"
    return "that is only the factor beside the δ"


def pulled_text(D: Derivative) -> tuple[str, str] | None:
    """The name of a gradient, and what it makes of the derivative, as in g'D = g*x'."""
    if not D.f.ndim or D.is_huge or len(D.wanted) > 1 or D.groups[-1] > 2:
        return None
    name = unused("g" if D.f.ndim == 1 else "G", tuple(D.question.variables))
    text = notation.matrix(
        settled(flat_form(D.pulled_back(name))), names=(*D.question.variables, name)
    )
    if text is None:
        return None
    return name, f"{name}'D = {text}" if D.f.ndim == 1 else f"⟨{name},D⟩ = {text}"


def is_rule_for_numbers(D: Derivative, claim: Node) -> bool:
    """Whether a claim agrees with the derivative where every size is 1, so that all are numbers."""
    names = {n for d in (*D.plain.dims, *claim.dims) for n in d.names}
    names |= {n for v in (*D.f.names, *claim.names) for d in v.dims for n in d.names}
    if not names or any(d.value is not None for v in D.f.names for d in v.dims):
        return False
    from wrt.answers.proof.points import points

    xs = [w.variable for w in D.wanted]
    sizes = dict.fromkeys(sorted(names), 1)
    count = 0
    for values in points(D.f, D.plain, xs, sizes):
        place = Place(sizes, values, None)
        a, b = value_at(claim, place), value_at(D.plain, place)
        if a is None or b is None or a.size != 1 or not agree(a.reshape(1), b.reshape(1)):
            return False
        count += 1
    return count > 0
