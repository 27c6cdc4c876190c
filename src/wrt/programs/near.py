"""Differences of numbers that are almost equal, in words that lose no digits.

exp(x) - 1 is expm1(x) and 1 - cos(x) is 2*sin(x/2)^2, which are right near 0; sqrt(x+1) - sqrt(x)
is 1/(sqrt(x+1) + sqrt(x)), and 1/(x+1) - 1/x is -1/(x*(x+1)), which are right far out. A
difference is written so only where its terms cancel by their form.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import permutations, product

from wrt.algebra.bounds import bounds
from wrt.algebra.normal import flat_form
from wrt.expression import build
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.nodes import Apply, Einsum, Factor, Node, Sum, whole
from wrt.expression.walk import holds_complex, postorder, rewrite, users
from wrt.functions import BOOK

__all__ = ["by_differences", "by_log1p"]

#: Sums of more terms are left as they are.
MOST_TERMS = 6
#: Words whose value at 0 is 1.
_ONE_AT_ZERO = ("exp", "cos", "cosh")
_HALF = Fraction(1, 2)


def by_differences(*roots: Node) -> tuple[Node, ...]:
    """The same formulas with differences that cancel in other words.

    >>> from wrt.expression.nodes import Variable
    >>> x = Variable("x", ())
    >>> by_differences(BOOK["exp"](x) - 1, 1 - BOOK["sigmoid"](x))
    (<expm1(x) : scalar>, <sigmoid({-1 x[] -> }) : scalar>)
    >>> by_differences(1 / (x + 1) - 1 / x)
    (<{-1 (1 + x)[]^-1 x[]^-1 -> } : scalar>,)
    """
    if not any(map(_may_cancel, postorder(*roots))) or any(map(holds_complex, roots)):
        return roots
    alone = frozenset(node for node, count in users(*roots).items() if count == 1)
    return tuple([rewrite(root, partial(_different, alone=alone)) for root in roots])


def by_log1p(root: Node) -> Node:
    """The same formula with logarithms of 1 + x by the word that is exact near 0.

    >>> from wrt.expression.nodes import Variable
    >>> by_log1p(BOOK["log"](1 + Variable("x", ()) ** 2))
    <log1p({x[]^2 -> }) : scalar>
    """
    if not any(_one_more(node) is not None for node in postorder(root)) or holds_complex(root):
        return root
    return rewrite(root, _by_log1p)


def _may_cancel(node: Node) -> bool:
    return isinstance(node, Sum) and any(map(_is_delicate, node.children))


def _is_delicate(term: Node) -> bool:
    """Whether a term may be almost another one: a root, a fraction, a word that is 1 at 0."""
    if isinstance(term, Apply):
        return term.function.name in (*_ONE_AT_ZERO, "log", "sigmoid")
    if not isinstance(term, Einsum):
        return False
    if any(e.denominator == 2 or e < 0 for e in term.exponents):
        return True
    return len(term.children) == 1 and _is_delicate(term.children[0])


def _different(node: Node, alone: frozenset[Node]) -> Node:
    if not isinstance(node, Sum) or len(node.children) > MOST_TERMS:
        return node
    for way in (partial(_less_one, alone=alone), _pairs, _over_one):
        made = way(node)
        if made is not node:
            return made
    opened = [part for term in node.children for part in _opened(term)]
    if not len(node.children) < len(opened) <= MOST_TERMS:
        return node
    whole_sum = build.add(*opened)
    made = _over_one(whole_sum) if isinstance(whole_sum, Sum) else whole_sum
    return node if made is whole_sum else made


def _opened(term: Node) -> Sequence[Node]:
    """The parts of a term that has a bracket of fractions."""
    own = tuple(range(term.ndim))
    for bracket, e, axes in _laid_out(term):
        if isinstance(bracket, Sum) and e == 1 and next(_denominators(bracket), None) is not None:
            factors: list[Factor] = [(term, 1, own), (bracket, -1, axes)]
            rest = build.product(ONE, factors, own, term.dims)
            parts = [((rest, 1, own), (t, 1, axes)) for t in bracket.children]
            return [flat_form(build.product(ONE, part, own, term.dims)) for part in parts]
    return [term]


# A number and a word


def _less_one(node: Sum, alone: frozenset[Node]) -> Node:
    """exp(x) - 1 and its like, each beside other terms too; 1 - sigmoid(x) where nothing else reads
    sigmoid(x), which would cost a second exponential.
    """
    split = list(map(build.split, node.children))
    one = build.ones(node.dims)
    for k, (number, core) in enumerate(split):
        if core is not one:
            continue
        for j, (times, call) in enumerate(split):
            if times != -number or not isinstance(call, Apply):
                continue
            name = call.function.name
            if name in _ONE_AT_ZERO or (name == "sigmoid" and call in alone):
                rest = [t for i, t in enumerate(node.children) if i not in (j, k)]
                return build.add(build.scale(times, _less_than_one(call)), *rest)
    return node


def _less_than_one(call: Apply) -> Node:
    """exp(x), cos(x), cosh(x) or sigmoid(x), less 1."""
    (x,) = call.children
    if call.function is BOOK["sigmoid"]:
        return build.negative(_call("sigmoid", build.negative(x)))
    if call.function is BOOK["exp"]:
        return _call("expm1", x)
    word, sign = ("sin", -2) if call.function is BOOK["cos"] else ("sinh", 2)
    return build.scale(sign, build.power(_call(word, build.scale(_HALF, x)), 2))


# Two terms of one kind


def _pairs(node: Sum) -> Node:
    """Differences of two roots, logarithms or exponentials of what differs little."""
    for j, k in permutations(range(len(node.children)), 2):
        one, other = node.children[j], node.children[k]
        made = _difference(*build.split(one), *build.split(other))
        if made is not None:
            rest = [t for i, t in enumerate(node.children) if i not in (j, k)]
            return build.add(made, *rest)
    return node


def _difference(c: Coefficient, one: Node, d: Coefficient, other: Node) -> Node | None:
    """The difference c*one - c*other in other words."""
    if c != -d:
        return None
    if isinstance(one, Apply) and isinstance(other, Apply) and one.function is other.function:
        (a, b) = (*one.children[:1], *other.children[:1])
        if one.function is BOOK["exp"] and build.negative(a) is b and c.value > 0:
            return build.scale(c, build.scale(2, _call("sinh", a)))
        return _of_logarithms(c, a, b) if one.function is BOOK["log"] else None
    (a, p), (b, q) = _root(one), _root(other)
    apart = _apart(a, b) if p in (_HALF, -_HALF) else None
    if apart is None or (q != p and b is not build.ones(b.dims)) or _is_longer(apart, a):
        return None
    if b is not build.ones(b.dims) and abs(bounds(apart)[apart].sign) < 2:
        return None  # both could be 0
    both = build.add(*(build.power(x, _HALF) for x in (a, b)))
    if p > 0:
        return build.scale(c, build.divide(apart, both))
    roots = build.multiply(build.power(a, _HALF), build.power(b, _HALF))
    return build.negative(build.scale(c, build.divide(apart, build.multiply(roots, both))))


def _root(node: Node) -> tuple[Node, Fraction]:
    """What a node is a power of, entry by entry, and the exponent."""
    if isinstance(node, Einsum) and len(node.children) == 1 and node.indices == (node.output,):
        return node.children[0], Fraction(node.exponents[0])
    return node, Fraction(1)


def _of_logarithms(c: Coefficient, a: Node, b: Node) -> Node | None:
    """log(x+1) - log(x) as log1p(1/x); what is added is positive, or digits were lost at 0."""
    apart = _apart(a, b)
    if isinstance(b, Sum) or _is_longer(apart, a) or bounds(apart)[apart].sign < 2:
        return None
    return build.scale(c, _call("log1p", build.divide(apart, b)))


def _apart(a: Node, b: Node) -> Node:
    return flat_form(build.add(a, build.negative(b)))


def _is_longer(apart: Node, a: Node) -> bool:
    """Whether a difference is no single term, or nothing cancelled in it."""
    return isinstance(apart, Sum) or not isinstance(a, Sum)


# Fractions


def _over_one(node: Sum) -> Node:
    """Fractions over one denominator, where fewer terms are left above it."""
    for below, least, axes in _denominators(node):
        above: list[Node] = []
        for term in node.children:
            parts = _times(term, below, least, axes)
            if parts is None:
                break
            above += parts
        else:
            total = build.add(*above)
            left = len(total.children) if isinstance(total, Sum) else 1
            shorter = left <= len(node.children) and left + 2 <= len(above)
            if shorter and not _grows(total, node):
                own = tuple(range(node.ndim))
                factors: tuple[Factor, ...] = ((total, 1, own), (below, whole(least), axes))
                return build.product(ONE, factors, own, node.dims)
    return node


def _grows(total: Node, node: Sum) -> bool:
    """Whether a square stands above that stood nowhere: it leaves the floats sooner."""
    known = {factor for term in node.children for factor in _laid_out(term)}
    terms = total.children if isinstance(total, Sum) else (total,)
    held = [factor for term in terms for factor in _laid_out(term)]
    return any(e > 1 and (c, e, axes) not in known for c, e, axes in held)


def _denominators(node: Sum) -> Iterator[tuple[Sum, Fraction, tuple[int, ...]]]:
    """The sums that terms are divided by, the least of their exponents, and at which axes."""
    found: dict[tuple[Sum, tuple[int, ...]], Fraction] = {}
    for term in node.children:
        for child, e, axes in _laid_out(term):
            if isinstance(child, Sum) and e < 0:
                key = child, axes
                found[key] = min(Fraction(e), found.get(key, Fraction(0)))
    for (child, axes), least in found.items():
        yield child, least, axes


def _laid_out(term: Node) -> Sequence[Factor]:
    """The factors of a term that sums and repeats nothing, at the axes of the term."""
    if not isinstance(term, Einsum) or term.summed or term.repeats:
        return ()
    place = {i: axis for axis, i in enumerate(term.output)}
    return [(child, e, tuple([place[i] for i in own])) for child, e, own in term.factors]


def _times(term: Node, below: Sum, least: Fraction, axes: tuple[int, ...]) -> list[Node] | None:
    """A term times its denominator, multiplied out; None where that is no plain sum."""
    own = tuple(range(term.ndim))
    held = next((e for c, e, at in _laid_out(term) if c is below and at == axes), 0)
    left = Fraction(held) - least
    if left.denominator != 1 or not 0 <= left <= 2:
        return None
    factors: list[Factor] = [(term, 1, own), (below, whole(-Fraction(held)), axes)]
    plain = build.product(ONE, factors, own, term.dims) if held else term
    terms = [(plain, 1, own)]
    more = product([(t, 1, axes) for t in below.children], repeat=int(left))
    parts = [[*terms, *chosen] for chosen in more]
    return [flat_form(build.product(ONE, part, own, term.dims)) for part in parts]


# Logarithms


def _by_log1p(node: Node) -> Node:
    rest = _one_more(node)
    return node if rest is None else _call("log1p", rest)


def _one_more(node: Node) -> Node | None:
    """The x of log(1 + x)."""
    if not isinstance(node, Apply) or node.function is not BOOK["log"]:
        return None
    (total,) = node.children
    one = build.ones(total.dims)
    if not isinstance(total, Sum) or one not in total.children:
        return None
    return build.add(*(t for t in total.children if t is not one))


def _call(word: str, argument: Node) -> Node:
    return Apply(BOOK[word], (argument,), argument.ndim)
