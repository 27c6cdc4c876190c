"""What is known of a formula without numbers: symmetry, sign, and where it is defined."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import inf

from wrt.algebra.bounds import Interval, bounds
from wrt.algebra.conjugation import is_real
from wrt.algebra.equality import equal
from wrt.algebra.moduli import Sign, is_modulus, over_complex
from wrt.expression import build
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.directions import opened
from wrt.expression.nodes import (
    Apply,
    BoundedSum,
    Constant,
    Einsum,
    Exponent,
    Node,
    Pattern,
    Result,
    Sum,
    Variable,
)
from wrt.expression.walk import holds_complex, postorder
from wrt.functions import BOOK

__all__ = ["conditions", "distinct", "is_diagonal", "is_symmetric", "positive_nodes"]


def is_symmetric(node: Node) -> bool:
    """Whether a square matrix is declared or plainly seen to be its own transpose."""
    from wrt.algebra.normal import normal_form
    from wrt.expression.build import transpose

    if node.ndim != 2 or node.dims[0] is not node.dims[1]:
        return False
    return normal_form(transpose(node)) is normal_form(node)


def is_diagonal(node: Node) -> bool:
    """Whether all entries off the diagonal are plainly zero."""
    match node:
        case Variable():
            return "diagonal" in node.properties
        case Einsum():
            return node.ndim == 2 and node.output[0] == node.output[1]
        case Sum():
            return all(is_diagonal(t) for t in node.children)
        case _:
            return False


def positive_nodes(root: Node) -> dict[Node, Sign]:
    """For every node: 2 where all entries are above zero, 1 where none is below, -1 where they
    may be complex, 0 else.
    """
    signs: dict[Node, Sign] = {}
    bars: dict[Node, Node] | None = {} if holds_complex(root) else None
    for node in postorder(root):
        if bars is not None and not is_real(node, bars):
            signs[node] = -1
        else:
            signs[node] = _sign(node, signs)
            if bars is not None and not signs[node]:
                signs[node] = int(is_modulus(node, bars, signs))
    return signs


def _sign(node: Node, signs: dict[Node, Sign]) -> Sign:
    match node:
        case Variable():
            return 2 if "positive" in node.properties else int("simplex" in node.properties)
        case Constant():
            number = node.coefficient
            return 2 * int(number.value > 0 and all(b != "i" for b, _ in number.powers))
        case Pattern():
            return 1
        case Apply():
            if node.function.name == "det" and _is_cholesky(node.children[0]):
                return 2
            low, included, *_ = node.function.interval or (-1.0, True)
            return 2 if low > 0 or (low == 0 and not included) else int(low == 0)
        case Sum():
            known = [max(signs[t], 0) for t in node.children]
            return max(known) if min(known) else 0
        case Einsum():
            return _product_sign(node, signs)
        case Result():
            return 0
        case _:
            return max(0, min((signs[c] for c in node.children), default=0))


def _product_sign(node: Einsum, signs: dict[Node, Sign]) -> Sign:
    number = node.coefficient
    if number.value <= 0 or any(b == "i" for b, _ in number.powers):
        return int(number.value == 0)
    known = [
        2 if len(set(i)) < len(i) and _is_cholesky(c) else _power_sign(signs[c], e)
        for c, e, i in node.factors
    ]
    sign = min(known, default=2)
    if not sign and not node.output:
        sign = int(_is_square(node))
    return min(sign, 1) if node.repeats else sign


def _is_cholesky(node: Node) -> bool:
    """Whether the diagonal of a matrix is that of a Cholesky factor, above zero."""
    return isinstance(node, Apply) and node.function.name == "chol"


def _power_sign(sign: Sign, exponent: Exponent) -> Sign:
    if sign < 0 or sign == 2 or exponent.denominator != 1:
        return max(sign, 0)
    return max(sign, 1) if exponent % 2 == 0 else sign


def _is_square(node: Einsum) -> bool:
    """x'x and tr(A'A): factors that pair off index by index."""
    return all(
        sum(1 for n, e, i in node.factors if (n, e, i) == factor) % 2 == 0
        for factor in node.factors
    )


#: Conditions without which a function has no derivative, though it may have a value.
_SMOOTH = frozenset(
    {
        "nonzero",
        "distinct",
        "lowest",
        "varied",
        "constant rank",
        "full rank",
        "simple",
        "separate",
        "distinct values",
        "leading",
    }
)


def conditions(
    formulas: Iterable[Node],
    derivatives: Iterable[Node] = (),
    by: Collection[Variable] | None = None,
) -> list[tuple[str, Node]]:
    """What has to hold for formulas to be differentiable and for derivatives to be defined.

    Pairs such as ("positive", node) or ("invertible", node), in the order of the formulas. A kink
    that no variable of `by` can reach is none.
    Conditions that plainly hold (exp(x) > 0) are left out; where a derivative holds sign(x), it has
    a value at 0 too.
    """
    found: dict[tuple[str, Node], None] = {}
    marked = [*((f, True) for f in formulas), *((d, False) for d in derivatives)]
    for root, is_formula in marked:
        signs = positive_nodes(root)
        ranges = [n for n in postorder(root) if isinstance(n, BoundedSum)]
        squared = _squared(root)
        for node in postorder(root):
            if node in squared:
                continue
            if isinstance(node, Apply) and node.function.domain in _SMOOTH:
                if not is_formula or (by is not None and node.names.isdisjoint(by)):
                    continue
            for condition in _wanted(node, ranges):
                inside = condition[1].names - root.names  # it holds the index of a range
                if inside or not condition[1].names or _holds(condition, signs):
                    continue
                condition = over_complex(condition, signs)
                if is_formula or not _is_count(condition[1]):
                    found[condition] = None
    found = dict.fromkeys(map(_of_base, found))
    wholes = [node for domain, node in found if domain == "whole"]
    strict = {node for domain, node in found if domain in ("positive", "slit")}
    regular = {node for domain, node in found if domain in ("principal", "definite")}
    known = {node: _INTERVALS[domain] for domain, node in found if domain in _INTERVALS}
    return [
        (d, node)
        for d, node in found
        if not (d == "nonzero" and (node in strict or _opposite(node, strict)))
        and not (d == "whole" and any(_is_below(other, node) for other in wholes))
        and not (d == "invertible" and _is_regular(node, regular))
        and not (known and d in ("positive", "nonzero") and _follows(d, node, known))
    ]


def distinct(found: Sequence[tuple[str, Node]]) -> list[tuple[str, Node]]:
    """Conditions as a person says them: none that always holds or that others say.

    >>> from wrt.functions import BOOK
    >>> x = Variable("x", ())
    >>> distinct([("positive", 1 - BOOK["sigmoid"](x)), ("positive", x), ("nonzero", x * x)])
    [('positive', <x : scalar>)]
    """
    strict = {node for domain, node in found if _is_strict(domain, node)}
    kept: list[tuple[str, Node]] = []
    for domain, node in found:
        others = strict - {node}
        if domain in ("positive", "nonzero") and not holds_complex(node):
            sign = bounds(node, others)[node].sign
            if sign == 2 or (domain == "nonzero" and sign == -2):
                strict = others
                continue
        same = [k for k, other in enumerate(kept) if _is_said((domain, node), other)]
        if not same:
            kept.append((domain, node))
        elif _length(node) < _length(kept[same[0]][1]):
            kept[same[0]] = (kept[same[0]][0], node)
    return kept


def _length(node: Node) -> int:
    return sum(1 for _ in postorder(node))


def _is_strict(domain: str, node: Node) -> bool:
    """Whether a condition says that something is above zero."""
    if domain == "nonzero" and not holds_complex(node):
        return bounds(node)[node].sign > 0
    return domain == "positive"


def _is_said(condition: tuple[str, Node], other: tuple[str, Node]) -> bool:
    """Whether a condition is another in other words: X' is invertible where X is."""
    (domain, node), (known, said) = condition, other
    if domain != known and (domain, known) != ("nonzero", "positive"):
        return False
    if domain == "invertible" and node.ndim == 2 and equal(build.transpose(node), said):
        return True
    return node.dims == said.dims and equal(node, said)


def _squared(root: Node) -> set[Node]:
    """The absolute values of which only even powers are wanted: they have no kink."""
    absolute = BOOK["abs"]
    found: set[Node] = {
        n for n in postorder(root) if isinstance(n, Apply) and n.function is absolute
    }
    if not found:
        return found
    found.discard(root)
    for node in postorder(root):
        if isinstance(node, Einsum):
            pairs = zip(node.children, node.exponents, strict=True)
            found -= {c for c, e in pairs if e <= 0 or e % 2}
        else:
            found.difference_update(node.children)
    return found


#: The intervals that domains of functions say.
_INTERVALS = {
    "inside": Interval(-1, 1, True, True),
    "above": Interval(-1, inf, True),
    "beyond": Interval(1, inf, True),
}


def _opposite(node: Node, strict: Collection[Node]) -> bool:
    """Whether minus a sum is among what is above zero."""
    from wrt.algebra.normal import normal_form

    others = [s for s in strict if isinstance(s, Sum) and s.dims == node.dims]
    return isinstance(node, Sum) and any(
        build.is_zero(normal_form(build.add(node, other))) for other in others
    )


def _follows(domain: str, node: Node, known: Mapping[Node, Interval]) -> bool:
    """Whether a condition holds wherever others do: 1 - x^2 > 0 where |x| < 1."""
    sign = bounds(node, (), known)[node].sign
    return sign == 2 or (domain == "nonzero" and sign == -2)


def _of_base(condition: tuple[str, Node]) -> tuple[str, Node]:
    """That a power or an inverse is invertible is said of the matrix."""
    domain, node = condition
    while domain == "invertible" and isinstance(node, Apply):
        if node.function.name not in ("matrix_power", "inv", "adj"):
            break
        node = node.children[0]
    return domain, node


def _is_below(a: Node, b: Node) -> bool:
    """Whether one number is another less a positive whole number."""
    gap = build.plus(b, build.negative(a))
    return isinstance(gap, Constant) and gap.coefficient.is_number and gap.coefficient.value > 0


def _is_regular(node: Node, regular: set[Node]) -> bool:
    """Whether a matrix is invertible because of another condition, or always."""
    if isinstance(node, Apply) and node.function.name in ("sqrtm", "chol"):
        (node,) = node.children
    return node in regular or (isinstance(node, Apply) and node.function.name == "expm")


def _is_count(node: Node) -> bool:
    """Whether variables enter through signs and steps only, as where equal largest entries
    are counted.
    """
    stack, seen = [node], {node}
    while stack:
        one = stack.pop()
        if isinstance(one, Variable):
            return False
        if not (isinstance(one, Apply) and one.function.name in ("sign", "step")):
            stack += [c for c in one.children if c not in seen]
            seen.update(one.children)
    return bool(node.names)


def _wanted(node: Node, ranges: Sequence[BoundedSum]) -> Iterable[tuple[str, Node]]:
    if isinstance(node, Apply):
        for argument, child in zip(node.form.arrays, node.children, strict=True):
            if argument.kind == "whole":
                yield "whole", child
    if isinstance(node, Apply) and node.function.name == "power" and _is_whole(node, ranges):
        lowest: dict[Node, Interval] = {
            one.variable: Interval(_lowest(one.low), inf) for one in ranges
        }
        if bounds(node.children[1], (), lowest)[node.children[1]].low < 0:
            yield "nonzero", node.children[0]
    elif isinstance(node, Apply) and node.function.domain == "apart":
        yield "nonzero", build.plus(node.children[0], build.negative(node.children[1]))
    elif isinstance(node, Apply) and node.function.linear and node.function.domain:
        parts = opened(node)
        yield node.function.domain, (parts.given if parts else node.children)[0]
    elif isinstance(node, Apply) and node.function.domain:
        ranked = node.function.domain in ("distinct", "lowest", "varied") and node.batch
        yield node.function.domain + (" by rows" if ranked else ""), node.children[0]
    if isinstance(node, Einsum):
        for child, exponent, indices in node.factors:
            if exponent.denominator != 1:
                yield "positive", _entries(child, indices)
            elif exponent < 0:
                yield "nonzero", _entries(child, indices)


def _is_whole(power: Apply, ranges: Sequence[BoundedSum]) -> bool:
    """Whether an exponent counts along ranges: sums and products of whole numbers, of letters of
    ranges and of those of their ends.
    """
    if not ranges:
        return False
    counting = {v for one in ranges for v in (one.variable, *one.low.names, *one.high.names)}
    return all(
        node in counting
        or isinstance(node, Sum)
        or (isinstance(node, Constant) and _counts(node.coefficient))
        or (isinstance(node, Einsum) and _counts(node.coefficient) and _are_counts(node.exponents))
        for node in postorder(power.children[1])
    )


def _counts(number: Coefficient) -> bool:
    return number.is_number and isinstance(number.value, int)


def _are_counts(exponents: Sequence[Exponent]) -> bool:
    return all(e > 0 and e.denominator == 1 for e in exponents)


def _lowest(low: Node) -> float:
    if not isinstance(low, Constant) or not low.coefficient.is_number:
        return -inf
    return float(low.coefficient.value)


def _entries(node: Node, indices: tuple[int, ...]) -> Node:
    """The entries of a factor that a product uses: its diagonal where indices repeat."""
    distinct = tuple(dict.fromkeys(indices))
    if len(distinct) == len(indices):
        return node
    place = tuple(distinct.index(i) for i in indices)
    dims = [node.dims[indices.index(i)] for i in distinct]
    return build.product(ONE, ((node, 1, place),), range(len(distinct)), dims)


def _holds(condition: tuple[str, Node], signs: dict[Node, Sign]) -> bool:
    domain, node = condition
    if domain in ("positive", "nonzero", "above"):
        return signs.get(node) == 2 or (domain == "above" and signs.get(node) == 1)
    return False
