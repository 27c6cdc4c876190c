"""Whether a formula is convex or concave in a variable, by the rules of composition.

Every node is affine, convex, concave or unknown in the variable, entry by entry; a function of the
book says in its record how it bends and whether it rises. So a convex function that rises, of a
convex function, is convex. Functions of a definite matrix (`inv`, `logdet`) bend in the order of
matrices: A'*inv(X)*A is convex as a matrix is.
"""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction

from wrt.algebra.bounds import Interval, bounds
from wrt.algebra.definite import definite
from wrt.expression import build
from wrt.expression.dataclass import dataclass
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
    parts = _Parts(f, x, positive)
    for node in postorder(f):
        parts.found[node] = parts.of(node)
    return parts.found[f]


class _Parts:
    """How the parts of a formula bend in a variable, each found after what stands in it."""

    def __init__(self, f: Node, x: Variable, positive: Collection[Node]) -> None:
        self.x, self.positive = x, positive
        self.known = bounds(f, positive)
        self.found: dict[Node, Curvature] = {}

    def of(self, node: Node) -> Curvature:
        """How one part bends."""
        if node is self.x:
            return AFFINE
        if self.x not in node.names:
            return CONSTANT
        match node:
            case Sum():
                return self.sum(node)
            case Einsum():
                return self.product(node)
            case Reshape():
                inner = self.found[node.body]
                return UNKNOWN if inner.matrix else inner
            case Apply():
                return self.call(node)
            case _:
                return UNKNOWN

    def sum(self, node: Sum) -> Curvature:
        terms = [self.found[c] for c in node.children]
        kinds = {t.kind for t in terms} - {"constant"}
        bent = kinds - {"affine"}
        ways = {t.matrix for t in terms if t.kind in bent}
        if "unknown" in kinds or len(bent) > 1 or len(ways) > 1:
            return UNKNOWN
        if not bent:
            return AFFINE
        reasons = tuple(dict.fromkeys(r for t in terms for r in t.reasons))
        squared = all(
            t.squared or (t.kind == "constant" and self.known[c].sign > 0)
            for c, t in zip(node.children, terms, strict=True)
        )
        return Curvature(bent.pop(), reasons, ways.pop(), squared)

    def call(self, node: Apply) -> Curvature:
        words = node.function.curve.split()
        if not words:
            return UNKNOWN
        if words[-1] == "spd":
            return self.of_matrix(node, words[0])
        kinds = [self.found[c] for c in node.children]
        if any(k.matrix for k in kinds):
            return UNKNOWN
        rises = "increasing" in words
        if "from" in words:
            rises = all(self.known[c].sign > 0 for c in node.children)
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

    def of_matrix(self, node: Apply, bends: str) -> Curvature:
        """logdet and inv of a definite matrix: monotone in the order of matrices."""
        (inside,) = node.children
        kind = self.found[inside]
        if node.batch or definite(inside, self.positive) < 1:
            return UNKNOWN
        fits = kind.kind == "affine" or (kind.kind == "concave" and kind.matrix)
        if not fits:  # logdet rises and is concave, inv falls and is convex: concave it must be
            return UNKNOWN
        return Curvature(bends, ((node, inside), *kind.reasons), node.ndim == 2)

    def product(self, node: Einsum) -> Curvature:
        if node.coefficient.is_imaginary:
            return UNKNOWN
        moving = [f for f in node.factors if self.x in f[0].names]
        still = [f for f in node.factors if self.x not in f[0].names]
        if len(moving) == 1:
            return self.one(node, moving[0], still)
        if len(moving) == 2:
            return self.two(node, moving, still)
        return UNKNOWN

    def one(self, node: Einsum, factor: Factor, still: list[Factor]) -> Curvature:
        """One part that moves, under a power, times what does not move."""
        child, exponent, _ = factor
        kind = self.found[child]
        if kind.matrix:
            return self.sandwich(node, factor, still, kind) if exponent == 1 else UNKNOWN
        bent = kind if exponent == 1 else _power(child, exponent, kind, self.known[child])
        if bent.kind == "unknown":
            return UNKNOWN
        weight = Interval(1, 1) if node.coefficient.value > 0 else Interval(-1, -1)
        for other, power, _ in still:
            weight = weight * self.known[other].raised(power)
        return bent.signed(weight.sign)

    def sandwich(
        self, node: Einsum, factor: Factor, still: list[Factor], kind: Curvature
    ) -> Curvature:
        """A matrix that bends in the order of matrices beside a semidefinite one: tr(P*Y)."""
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
        bent = kind.signed(self.sign_beside(node, still, turned))
        return Curvature(bent.kind, bent.reasons)

    def sign_beside(self, node: Einsum, still: list[Factor], output: tuple[int, ...]) -> int:
        """The sign, as a form, of what stands beside the moving part, over the axes of that."""
        rest = build.product_carried(node.coefficient, still, output, node.index_dims)
        return definite(rest, self.positive)

    def two(self, node: Einsum, moving: list[Factor], still: list[Factor]) -> Curvature:
        """A quadratic form: one affine formula twice, a semidefinite tensor between."""
        (a, one, left), (b, two, right) = moving
        if a is not b or one != 1 or two != 1 or self.found[a].kind != "affine" or node.output:
            return UNKNOWN
        sign = self.sign_beside(node, still, (*left, *right))
        if not sign:
            return UNKNOWN
        return Curvature("convex" if sign > 0 else "concave", ((node, a),), squared=sign > 0)


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
