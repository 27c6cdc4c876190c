"""Whether a formula is convex or concave in a variable, by the rules of composition.

Every node is affine, convex, concave or unknown in the variable, entry by entry; a function of the
book says in its record how it bends and whether it rises. So a convex function that rises, of a
convex function, is convex. Functions of a definite matrix (`inv`, `logdet`) bend in the order of
matrices: A'*inv(X)*A is convex as a matrix is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction

from wrt.algebra.bounds import Interval, bounds
from wrt.algebra.definite import definite
from wrt.expression import build
from wrt.expression.nodes import Apply, Einsum, Exponent, Factor, Node, Reshape, Sum, Variable
from wrt.expression.walk import postorder

__all__ = ["Curvature", "curvature"]


@dataclass(frozen=True)
class Curvature:
    """How a formula bends: "constant", "affine", "convex", "concave" or "unknown".

    `reasons` are the functions that bend it, each with the argument that it bends.
    """

    kind: str
    reasons: tuple[tuple[Node, Node], ...] = ()
    #: A symmetric matrix that is convex or concave in the order of matrices, not entry by entry.
    matrix: bool = False
    #: A sum of squares of affine formulas and of numbers that are not negative: its root is convex.
    squared: bool = False

    @property
    def flipped(self) -> Curvature:
        """How minus the formula bends."""
        other = {"convex": "concave", "concave": "convex"}.get(self.kind, self.kind)
        return Curvature(other, self.reasons, self.matrix)

    def signed(self, sign: int) -> Curvature:
        """How it bends times numbers of a sign, as `Interval.sign` tells it."""
        if self.kind in ("constant", "affine") or sign > 0:
            return self
        return self.flipped if sign < 0 else UNKNOWN


CONSTANT, AFFINE, UNKNOWN = map(Curvature, ("constant", "affine", "unknown"))


def curvature(f: Node, x: Variable, positive: Collection[Node] = ()) -> Curvature:
    """How a formula bends in a variable, as its form shows; `positive` nodes are above zero.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.functions import BOOK
    >>> n, m = map(Dimension.of, "nm")
    >>> A, x = Variable("A", (m, n)), Variable("x", (n,))
    >>> curvature(BOOK["logsumexp"](A @ x), x).kind
    'convex'
    >>> curvature(BOOK["sin"](A @ x), x).kind
    'unknown'
    """
    known = bounds(f, positive)
    found: dict[Node, Curvature] = {}
    for node in postorder(f):
        found[node] = _of(node, x, found, known, positive)
    return found[f]


def _of(
    node: Node,
    x: Variable,
    found: dict[Node, Curvature],
    known: dict[Node, Interval],
    positive: Collection[Node],
) -> Curvature:
    if node is x:
        return AFFINE
    if x not in node.names:
        return CONSTANT
    match node:
        case Sum():
            return _sum(node, found, known)
        case Einsum():
            return _product(node, x, found, known, positive)
        case Reshape():
            inner = found[node.body]
            return UNKNOWN if inner.matrix else inner
        case Apply():
            return _call(node, found, known, positive)
        case _:
            return UNKNOWN


def _sum(node: Sum, found: dict[Node, Curvature], known: dict[Node, Interval]) -> Curvature:
    terms = [found[c] for c in node.children]
    kinds = {t.kind for t in terms} - {"constant"}
    bent = kinds - {"affine"}
    ways = {t.matrix for t in terms if t.kind in bent}
    if "unknown" in kinds or len(bent) > 1 or len(ways) > 1:
        return UNKNOWN
    if not bent:
        return AFFINE
    reasons = tuple(dict.fromkeys(r for t in terms for r in t.reasons))
    squared = all(
        found[c].squared or (found[c].kind == "constant" and known[c].sign > 0)
        for c in node.children
    )
    return Curvature(bent.pop(), reasons, ways.pop(), squared)


# Functions


def _call(
    node: Apply,
    found: dict[Node, Curvature],
    known: dict[Node, Interval],
    positive: Collection[Node],
) -> Curvature:
    words = node.function.curve.split()
    if not words:
        return UNKNOWN
    if words[-1] == "spd":
        return _of_matrix(node, words[0], found, positive)
    kinds = [found[c] for c in node.children]
    if any(k.matrix for k in kinds):
        return UNKNOWN
    rises = "increasing" in words
    if "from" in words:
        rises = all(known[c].sign > 0 for c in node.children)
    outer = {"convex", "concave"} if words[0] == "affine" else {words[0]}
    for kind in kinds:
        if kind.kind == "unknown" or (kind.kind in ("convex", "concave") and not rises):
            return UNKNOWN
        if kind.kind in ("convex", "concave"):
            outer &= {kind.kind}
    if not outer:
        return UNKNOWN
    inner = tuple(dict.fromkeys(r for k in kinds for r in k.reasons))
    if words[0] == "affine":
        return Curvature(outer.pop(), inner) if len(outer) == 1 else AFFINE
    own = next(c for c, k in zip(node.children, kinds, strict=True) if k.kind != "constant")
    return Curvature(outer.pop(), ((node, own), *inner))


def _of_matrix(
    node: Apply, bends: str, found: dict[Node, Curvature], positive: Collection[Node]
) -> Curvature:
    """logdet and inv of a definite matrix; both fall, or rise, with it in the order of matrices."""
    (inside,) = node.children
    kind = found[inside]
    if node.batch or definite(inside, positive) < 1:
        return UNKNOWN
    fits = kind.kind == "affine" or (kind.kind == "concave" and kind.matrix)
    if not fits:  # logdet rises and is concave, inv falls and is convex: both want a concave matrix
        return UNKNOWN
    return Curvature(bends, ((node, inside), *kind.reasons), node.ndim == 2)


# Products


def _product(
    node: Einsum,
    x: Variable,
    found: dict[Node, Curvature],
    known: dict[Node, Interval],
    positive: Collection[Node],
) -> Curvature:
    if node.coefficient.is_imaginary:
        return UNKNOWN
    moving = [f for f in node.factors if x in f[0].names]
    still = [f for f in node.factors if x not in f[0].names]
    if len(moving) == 1:
        return _one(node, moving[0], still, found, known, positive)
    if len(moving) == 2:
        return _two(node, moving, still, found, positive)
    return UNKNOWN


def _one(
    node: Einsum,
    factor: Factor,
    still: list[Factor],
    found: dict[Node, Curvature],
    known: dict[Node, Interval],
    positive: Collection[Node],
) -> Curvature:
    """One part that moves, under a power, times what does not move."""
    child, exponent, _ = factor
    kind = found[child]
    if kind.matrix:
        return _sandwich(node, factor, still, kind, positive) if exponent == 1 else UNKNOWN
    bent = kind if exponent == 1 else _power(child, exponent, kind, known[child])
    if bent.kind == "unknown":
        return UNKNOWN
    weight = Interval(1, 1) if node.coefficient.value > 0 else Interval(-1, -1)
    for other, power, _ in still:
        weight = weight * known[other].raised(power)
    return bent.signed(weight.sign)


def _power(child: Node, exponent: Exponent, kind: Curvature, interval: Interval) -> Curvature:
    """A power, entry by entry, of a formula that bends so and lies in an interval."""
    even = exponent.denominator == 1 and exponent % 2 == 0
    sign = interval.sign
    if exponent.denominator != 1:
        sign = 2  # elsewhere it is not defined
    reasons = ((build.power(child, exponent), child), *kind.reasons)
    if kind.kind == "affine":
        if even and exponent > 0:
            return Curvature("convex", reasons, squared=exponent == 2)
        if sign <= 0:
            return UNKNOWN
        return Curvature("concave" if 0 < exponent < 1 else "convex", reasons)
    if kind.squared and exponent == Fraction(1, 2):
        return Curvature("convex", reasons)
    if kind.kind == "convex" and exponent > 1 and sign > 0:
        return Curvature("convex", reasons)
    if kind.kind == "concave" and sign > 0 and exponent < 1:
        return Curvature("convex" if exponent < 0 else "concave", reasons)
    if kind.kind == "concave" and even and exponent > 0 and sign < 0:
        return Curvature("convex", reasons)
    return UNKNOWN


def _sandwich(
    node: Einsum,
    factor: Factor,
    still: list[Factor],
    kind: Curvature,
    positive: Collection[Node],
) -> Curvature:
    """A matrix that bends in the order of matrices, times a semidefinite one, summed: tr(P*Y)."""
    i, j = factor[2]
    if i == j and not node.output and not still:  # its trace
        return Curvature(kind.signed(node.coefficient.value > 0 or -1).kind, kind.reasons)
    if i == j:
        return UNKNOWN
    turned = (i, j) if not node.output else node.output
    matrix = bool(node.output)
    if matrix and (len(node.output) != 2 or set(node.output) != {i, j} or still):
        return UNKNOWN
    if matrix:
        return Curvature(
            kind.signed(1 if node.coefficient.value > 0 else -1).kind, kind.reasons, True
        )
    rest = _rest(node, still, turned)
    sign = definite(rest, positive) if rest is not None else 0
    bent = kind.signed(sign)
    return Curvature(bent.kind, bent.reasons)


def _rest(node: Einsum, still: list[Factor], output: tuple[int, ...]) -> Node | None:
    """What stands beside the moving part, its axes those of that part."""
    return build.product_carried(node.coefficient, still, output, node.index_dims)


def _two(
    node: Einsum,
    moving: list[Factor],
    still: list[Factor],
    found: dict[Node, Curvature],
    positive: Collection[Node],
) -> Curvature:
    """A quadratic form: one affine formula twice, a semidefinite tensor between."""
    (a, one, left), (b, two, right) = moving
    if a is not b or one != 1 or two != 1 or found[a].kind != "affine" or node.output:
        return UNKNOWN
    rest = _rest(node, still, (*left, *right))
    sign = definite(rest, positive) if rest is not None else 0
    if not sign:
        return UNKNOWN
    return Curvature("convex" if sign > 0 else "concave", ((node, a),), squared=sign > 0)
