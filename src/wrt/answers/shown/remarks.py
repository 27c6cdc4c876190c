"""What the form of an answer shows besides: a semidefinite Hessian, a convex or concave formula.

Two roads lead there. The Hessian may be a sum of squares by its form, as A'*diag(w)*A with w ≥ 0;
or the formula may be composed of convex functions. Nothing is said where neither shows it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from wrt import notation
from wrt.algebra import conditions, expand, flat_form, meant, normal_form
from wrt.algebra.bounds import bounds
from wrt.algebra.curvature import Curvature, curvature
from wrt.algebra.definite import Square, definite, squares
from wrt.expression import build
from wrt.expression.dataclass import dataclass
from wrt.expression.nodes import Apply, Node, Sum, Variable
from wrt.expression.walk import is_larger

__all__ = ["Bend", "bend"]

#: A formula of more nodes is not looked at.
MOST_NODES = 150
#: A part is quoted while it is this short, and no more reasons are given than this.
SHORT, MOST_REASONS = 32, 3
#: Domains outside which a formula has no value, where a condition is more than a kink.
_BOUNDED = frozenset({"positive", "above", "beyond", "inside", "invertible"})

Conditions = Sequence[tuple[str, Node]]


@dataclass(frozen=True)
class Bend:
    """How a scalar formula bends in a variable, and a sentence with the reason."""

    #: "convex", "strictly convex", "concave", "strictly concave"
    kind: str
    sentence: str


@dataclass(frozen=True)
class _Question:
    """The formula, the variable, what is known to be above zero, the names in their order."""

    f: Node
    x: Variable
    known: Conditions
    positive: Collection[Node]
    names: Sequence[str]

    def text(self, node: Node) -> str | None:
        """A part in a few words; None where it is longer."""
        text = notation.matrix(node, names=self.names) if node.ndim < 3 else None
        return text if text and len(text) <= SHORT and " where " not in text else None


def bend(
    f: Node,
    x: Variable,
    hessian: Sequence[Node],
    known: Conditions,
    names: Sequence[str],
) -> Bend | None:
    """How f bends in x: by the form of its Hessian (in one of several forms), else by composition.

    `known` are the conditions under which both are defined; without a Hessian only composition is
    looked at.
    """
    if f.ndim or any(is_larger(MOST_NODES, node) for node in (f, *hessian)):
        return None
    if any("complex" in v.properties for v in f.names | {x}):
        return None
    positive = {n for domain, node in known if domain == "positive" for n in _forms(node)}
    asked = _Question(f, x, known, positive, names)
    for form in hessian:
        sign = 0 if build.is_zero(form) else definite(form, positive)
        if sign:
            return _by_form(asked, form, sign)
    found = _composed(asked)
    return None if found is None else _by_composition(asked, *found, bool(hessian))


def _forms(node: Node) -> tuple[Node, ...]:
    return node, normal_form(node), flat_form(normal_form(expand(node)))


def _composed(asked: _Question) -> tuple[Curvature, str] | None:
    """How the formula bends by composition, and where."""
    for form in (normal_form(asked.f), meant(asked.f)):
        found = curvature(form, asked.x, asked.positive)
        if found.kind in ("convex", "concave"):
            inside = [c for c in conditions((form,)) if c[0] in _BOUNDED]  # others are kinks
            return found, _where(asked, inside)
    return None


def _by_form(asked: _Question, form: Node, sign: int) -> Bend:
    kind = "convex" if sign > 0 else "concave"
    where = _where(asked, asked.known)
    composed = _composed(asked) if where else None
    if composed and composed[0].kind == kind and not composed[1]:
        where = ""
    elif abs(sign) == 2:
        kind = f"strictly {kind}"
    reason = _square_reason(asked, form)
    said = f"{_definiteness(asked, sign)}{reason}"
    return Bend(kind, f"{said}; so f is {kind} in {asked.x.name}{where}")


def _definiteness(asked: _Question, sign: int) -> str:
    word = "positive" if sign > 0 else "negative"
    if asked.x.ndim:
        return f"{word} {'definite' if abs(sign) == 2 else 'semidefinite'}"
    return word if abs(sign) == 2 else f"{word} or 0"


def _by_composition(asked: _Question, found: Curvature, where: str, has_hessian: bool) -> Bend:
    said = dict.fromkeys(_said(asked, node) for node, _ in found.reasons)
    reasons = [reason for reason in said if reason]
    because = f": {', '.join(reasons[:MOST_REASONS])}" if reasons else ""
    sign = 1 if found.kind == "convex" else -1
    what = "Hessian" if asked.x.ndim else "second derivative"
    so = f"; so the {what} is {_definiteness(asked, sign)}" if has_hessian else ""
    return Bend(found.kind, f"f is {found.kind} in {asked.x.name}{where}{because}{so}")


def _where(asked: _Question, known: Conditions) -> str:
    """Where a formula bends so: everywhere, where it is defined, or on each convex part of that."""
    inside = [
        (d, n)
        for d, n in known
        if asked.x in n.names and not (d == "invertible" and definite(n, asked.positive) > 0)
    ]
    if not inside:
        return ""
    straight = all(
        d in ("positive", "above", "beyond")
        and curvature(n, asked.x, asked.positive).kind in ("affine", "concave")
        for d, n in inside
    )
    return " where it is defined" if straight else " on convex sets where it is defined"


# Reasons


def _said(asked: _Question, node: Node) -> str:
    """Why a part bends: `logsumexp is convex`, `x'*S*x is convex`."""
    if isinstance(node, Apply):
        return f"{node.function.name} is {node.function.curve.split()[0]}"
    text = asked.text(node)
    kind = curvature(node, asked.x, asked.positive).kind
    return f"{text} is {kind}" if text and kind in ("convex", "concave") else ""


def _square_reason(asked: _Question, form: Node) -> str:
    """The square that a Hessian is: `A'*diag(w)*A with w = exp(A*x) > 0`; what a sum adds."""
    found = squares(flat_form(form), asked.positive)
    while found is not None and len(found) == 1 and found[0].rows is None:
        (inside, *others) = found[0].kernels or (None,)
        if others or not isinstance(inside, Sum):
            break
        found = squares(flat_form(inside), asked.positive)
    if found is None:
        return ""
    if len(found) > 1:
        some = any(abs(one.sign) == 2 for one in found)
        more = "one term of the sum is, the others are semidefinite"
        return f": {more if some else 'every term of the sum is'}"
    said = _square(asked, found[0])
    return f": {said}" if said else ""


def _square(asked: _Question, one: Square) -> str | None:
    """One square with its weights; None where it has no short phrase."""
    left = None if one.rows is None else asked.text(one.rows)
    if left is None and one.rows is not None:
        return None
    if one.kernels:
        (kernel, *others) = one.kernels
        plain = not others and isinstance(kernel, Variable) and one.rows is None
        return f"{kernel.name} is spd" if plain and isinstance(kernel, Variable) else None
    if left is None or one.rows is None:
        return _weights(asked, one, "diag(w)") if one.weights.names else None
    left = left if left.isidentifier() else f"({left})"
    if one.rows.ndim == 1 and not one.weights.ndim:
        weight = asked.text(one.weights) if one.weights.names else None
        symbol = _SIGNS[bounds(one.weights, asked.positive)[one.weights].sign]
        return f"{left}*{left}'" + (f", {weight} {symbol}" if weight else "")
    if one.rows.ndim == 2 and not one.weights.names:
        sign = bounds(one.weights, asked.positive)[one.weights].sign
        return f"{'-' * (sign < 0)}{left}'*{left}"
    if one.rows.ndim == 2 and one.weights.ndim == 1:
        return _weights(asked, one, f"{left}'*diag(w)*{left}")
    return None


_SIGNS = {2: "> 0", 1: "≥ 0", -1: "≤ 0", -2: "< 0"}


def _weights(asked: _Question, one: Square, phrase: str) -> str | None:
    """A phrase with diag(w), and what w is; a letter that nobody has."""
    if one.weights.ndim != 1:
        return None
    letter = next(w for w in ("w", "d", "v", "weights") if w not in asked.names)
    sign = _SIGNS[bounds(one.weights, asked.positive)[one.weights].sign]
    text = asked.text(one.weights)
    weights = f"{letter} = {text} {sign}" if text else f"{letter} {sign}"
    return f"{phrase.replace('diag(w)', f'diag({letter})')} with {weights}"
