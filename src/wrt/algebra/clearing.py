"""Denominators inside a sum multiplied out where a product gets shorter: v*(q/v + 1) is q + v.

Fractions within fractions are what the chain rule leaves: a person multiplies them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from math import lcm

from wrt.algebra.normal import flat_form
from wrt.algebra.spreading import names_in, spread
from wrt.expression import build
from wrt.expression.coefficient import ONE, Base, Coefficient
from wrt.expression.nodes import Constant, Einsum, Exponent, Factor, Node, Sum, whole
from wrt.expression.walk import is_larger, postorder, rewrite, users

__all__ = ["cleared"]

#: Formulas of more nodes are left alone.
MOST_NODES = 100
#: What one pass clears can let another one clear more.
MOST_PASSES = 3
#: The squares of the numbers of nodes of all forms that are tried.
MOST_WORK = 3000
#: Denominators of one sum that are tried.
MOST_TRIED = 4
#: Sums of more terms are not brought on one denominator.
MOST_SHARED = 4


def cleared(root: Node) -> Node:
    """A formula in flat form with the denominators of its sums multiplied out where that is
    shorter.

    >>> from wrt.expression.nodes import Variable
    >>> q, v = Variable("q", ()), Variable("v", ())
    >>> cleared(flat_form(1 / (v * (q / v + 1)))) is 1 / (q + v)
    True
    """
    if not any(map(_may_clear, postorder(root))) or is_larger(MOST_NODES, root):
        return root
    run = _Clearing()
    for _ in range(MOST_PASSES):
        made = rewrite(root, run.cleared)
        if made is root:
            break
        root = flat_form(made)
    return root


def _may_clear(node: Node) -> bool:
    if isinstance(node, Sum):
        return len(node.children) <= MOST_SHARED and any(map(_sums_of, node.children))
    sums = [c for c in node.children if isinstance(c, Sum)] if isinstance(node, Einsum) else []
    return any(next(_below(total), None) for total in sums)


class _Clearing:
    """A search among forms of products and sums that ends after so much work."""

    def __init__(self) -> None:
        self.left = MOST_WORK
        self.opened: dict[Node, Node] = {}

    def tried(self, forms: Iterable[Node]) -> Iterator[Node]:
        """The forms with their brackets opened, as long as there is work left: a form of twice
        the nodes is four times the work.
        """
        if self.left > 0:
            for form in forms:
                self.left -= len(users(form)) ** 2
                yield spread(flat_form(form), self.opened)
                if self.left <= 0:
                    return

    def cleared(self, node: Node) -> Node:
        """A product with a sum in it without its denominators, as long as that makes it shorter."""
        made = self.shortest(node)
        if isinstance(node, Sum):
            over = [self.shortest(way) for way in self.tried(_shares(node))]
            over += [self.shortest(way, thorough=True) for way in self.tried(_refolded(node))]
            made = min((node, *over), key=names_in)
        return made

    def shortest(self, node: Node, thorough: bool = False) -> Node:
        """A product as long as a way makes it shorter."""
        while isinstance(node, Einsum):
            best = min(self.tried(_ways(node, thorough)), key=names_in, default=node)
            if names_in(best) >= names_in(node):
                break
            node = best
        return node


def _shares(total: Sum) -> Iterator[Node]:
    """A sum over each of the sums that its terms are divided by, and over all of them."""
    below = list(_shared(total))
    for one in below:
        yield _over(total, [one])
    if len(below) > 1:
        yield _over(total, below)


def _shared(total: Sum) -> Iterator[Factor]:
    """The sums that terms are divided by, the least of their exponents, and at which axes."""
    if len(total.children) > MOST_SHARED or any(getattr(t, "repeats", ()) for t in total.children):
        return
    held = [_sums_of(t) for t in total.children]
    for key in dict.fromkeys(key for one in held for key in one):
        least = min(one.get(key, 0) for one in held)
        if least < 0:
            yield key[0], least, key[1]


def _sums_of(term: Node) -> dict[tuple[Node, tuple[int, ...]], Exponent]:
    """The sums among the factors of a term, with the axes where they stand."""
    if not isinstance(term, Einsum):
        return {}
    return {
        (child, tuple([term.output.index(i) for i in indices])): exponent
        for child, exponent, indices in term.factors
        if isinstance(child, Sum) and set(indices) <= set(term.output)
    }


def _refolded(total: Sum) -> Iterator[Node]:
    """A sum whose terms make up a sum that all others hold as a factor: r - r^3/s is r*(1-r^2/s),
    where r is itself a sum whose terms stand alone.
    """
    own = tuple(range(total.ndim))
    loose = set(total.children)
    if any(getattr(t, "repeats", ()) for t in loose):
        return
    inner = dict.fromkeys(key[0] for t in total.children for key in _sums_of(t) if key[1] == own)
    for part in inner:
        assert isinstance(part, Sum)
        for sign in (1, -1):
            terms = {build.scale(sign, t) for t in part.children}
            others = [t for t in total.children if t not in terms]
            if terms <= loose and all(_sums_of(t).get((part, own), 0) > 0 for t in others):
                one = build.scale(sign, build.ones(total.dims))
                inside = build.add(one, *(_times(t, part, -1, own) for t in others))
                factors = ((inside, 1, own), (part, 1, own))
                yield flat_form(build.product(ONE, factors, own, total.dims))


def _over(total: Sum, shared: Sequence[Factor]) -> Node:
    """A sum as the sum of what is left of its terms, over what they are divided by; what all
    hold stands before it.
    """
    own = tuple(range(total.ndim))
    held = [_sums_of(t) for t in total.children]
    least = {key: min(one.get(key, 0) for one in held) for key in held[0]}
    common = [*shared, *((node, e, axes) for (node, axes), e in least.items() if e > 0)]
    terms = list(total.children)
    for base, exponent, axes in common:
        terms = [_times(t, base, whole(-exponent), axes) for t in terms]
    return build.product(ONE, ((build.add(*terms), 1, own), *common), own, total.dims)


def _times(term: Node, base: Node, exponent: Exponent, axes: tuple[int, ...]) -> Node:
    own = tuple(range(term.ndim))
    return flat_form(build.product(ONE, ((term, 1, own), (base, exponent, axes)), own, term.dims))


def _ways(node: Einsum, thorough: bool) -> Iterator[Node]:
    for k, (child, exponent, _) in enumerate(node.factors):
        if isinstance(child, Sum):
            for tried, factor in enumerate(_below(child)):
                able = tried < MOST_TRIED and _may_leave(factor, exponent)
                if able and (thorough or _may_meet(node, k, factor)):
                    yield _without(node, k, factor)


def _may_meet(node: Einsum, k: int, factor: Factor) -> bool:
    """Whether a denominator that leaves a sum meets itself, or makes the sum another one."""
    total, exponent, indices = node.factors[k]
    base, _, axes = factor
    if isinstance(base, Constant):
        sizes = {b for b, p in node.coefficient.powers if p * exponent > 0}
        below = Fraction(node.coefficient.value)
        numbers = below.numerator if exponent > 0 else below.denominator
        if abs(numbers) > 1 or any(b in sizes for b, _ in base.coefficient.powers):
            return True
    for j, (child, e, at) in enumerate(node.factors):
        if child is base and e * exponent > 0 and at == tuple([indices[a] for a in axes]):
            return True
        if j != k and isinstance(child, Sum) and at == indices and e * exponent < 0:
            if len(child.children) == len(total.children):
                return True
    return False


def _may_leave(factor: Factor, exponent: Exponent) -> bool:
    """Whether a denominator may leave a root: only where it is a positive number."""
    return exponent.denominator == 1 or (not factor[0].children and not factor[0].names)


def _below(total: Sum) -> Iterator[Factor]:
    """What the terms of a sum are divided by, with its exponent and at which axes of the sum."""
    found: dict[tuple[Node, tuple[int, ...]], Exponent] = {}
    below = 1
    sizes: dict[Base, Exponent] = {}
    for term in total.children:
        number = build.coefficient_of(term)
        below = lcm(below, Fraction(number.value).denominator)
        for base, power in number.powers:
            if power < 0 and base != "i":
                sizes[base] = min(power, sizes.get(base, 0))
        if not isinstance(term, Einsum) or term.repeats:
            continue
        for child, exponent, indices in term.factors:
            if exponent < 0 and set(indices) <= set(term.output):
                key = child, tuple([term.output.index(i) for i in indices])
                found[key] = min(exponent, found.get(key, 0))
    for (child, axes), exponent in found.items():
        yield child, -exponent, axes
    powers = tuple([(base, Fraction(-power)) for base, power in sizes.items()])
    if below > 1 or powers:
        yield build.number(Coefficient(Fraction(below), powers)), 1, ()


def _without(node: Einsum, k: int, factor: Factor) -> Node:
    """A product with the terms of one sum times a factor, and divided by it."""
    total, exponent, indices = node.factors[k]
    base, power, axes = factor
    terms = [_times(t, base, power, axes) for t in total.children]
    factors = list(node.factors)
    factors[k] = (build.add(*terms), exponent, indices)
    outside = tuple([indices[a] for a in axes])
    factors.append((base, whole(-power * exponent), outside))
    return build.product(node.coefficient, factors, node.output, node.index_dims)
