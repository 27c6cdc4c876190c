"""Quotients and logarithms of exponentials without their overflow.

What grows like exp(s) is kept as a pair, m and s with m·exp(s): products add the scales, a sum
takes the largest one out, a sum over an axis the largest along it, and a logarithm is log(m) + s.
So exp(x)/(2 + exp(x))² is exp(-|x|)/(2·exp(-max(x, 0)) + exp(x - max(x, 0)))², which is right
where exp(x) is no float. Only what could be ∞/∞, 0/0 or log(∞) is written so; a sum of
exponentials by itself is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from wrt.expression import build
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.nodes import Apply, Dims, Einsum, Exponent, Factor, Node, Sum
from wrt.expression.walk import holds_complex, postorder
from wrt.functions import BOOK
from wrt.programs.ends import factored_end

__all__ = ["scaled"]

_GROWING = ("exp", "expm1", "sinh", "cosh", "erfcx")
_VANISHING = ("sigmoid", "erfc", "softplus")
#: softplus(x) and 1 - exp(-exp(x)) are exp(x) in floats below this.
FAR = -40
#: That a scale is at least another one is looked for so deep.
MOST_STEPS = 3
#: A scale is the largest of what holds largest scales, so often. A formula that is normalised again
#: and again is left as it is written: every time all entries would be searched anew.
MOST_NESTED = 2


class Pair(NamedTuple):
    """m·exp(s); no scale is zero."""

    rest: Node
    scale: Node | None


def scaled(root: Node) -> Node:
    """The same formula with the exponentials of its quotients and logarithms scaled.

    >>> from wrt.expression.meaning import evaluate
    >>> from wrt.expression.nodes import Variable
    >>> x = Variable("x", ())
    >>> float(evaluate(scaled(BOOK["log"](2 + BOOK["exp"](x))), {"x": 800.0}))
    800.0
    >>> scaled(1 / (2 + BOOK["exp"](x))) is 1 / (2 + BOOK["exp"](x))
    True
    """
    growing_words, vanishing_words = ({BOOK[w] for w in s} for s in (_GROWING, _VANISHING))
    scaled_words = growing_words | vanishing_words | {BOOK["tanh"]}
    order = list(postorder(root))
    words = {n.function for n in order if isinstance(n, Apply)}
    if words.isdisjoint(scaled_words):
        return root
    if words.isdisjoint(growing_words | {BOOK["log"]}) and not any(map(_divides, order)):
        return root  # what vanishes is only multiplied
    growing, vanishing = set[Node](), set[Node]()
    #: what grows by itself, not as a sum over an axis: 0·∞ is looked for entry by entry
    near = set[Node]()
    for node in order:
        parts = node.children if isinstance(node, (Einsum, Sum)) else ()
        entrywise = not (isinstance(node, Einsum) and node.summed)
        near |= {node} if entrywise and not near.isdisjoint(parts) else set()
        if isinstance(node, Apply):
            near |= {node} if node.function in growing_words else set()
            growing |= {node} if node.function in growing_words else set()
            vanishing |= {node} if node.function in vanishing_words or _is_double(node) else set()
            growing -= {node} if _is_double(node) else set()
            near -= {node} if _is_double(node) else set()
        elif not growing.isdisjoint(parts):
            growing.add(node)
        elif isinstance(node, Einsum) and entrywise:
            small = [e for c, e in zip(parts, node.exponents, strict=True) if c in vanishing]
            vanishing |= {node} if small and min(small) > 0 else set()
            growing |= {node} if small and min(small) < 0 else set()
            near |= {node} if small and min(small) < 0 else set()
        elif isinstance(node, Sum):
            vanishes = vanishing.issuperset(parts) or factored_end(node) is not None
            vanishing |= {node} if vanishes else set()
    wanted = {node for node in order if _overflows(node, growing, near, vanishing)}
    return _Scaling(wanted).of(order) if wanted and not holds_complex(root) else root


def _is_double(node: Node) -> bool:
    """Whether a node is expm1(-exp(z)), which vanishes with exp(z)."""
    if not isinstance(node, Apply) or node.function is not BOOK["expm1"]:
        return False
    number, core = build.split(node.children[0])
    of_exp = isinstance(core, Apply) and core.function is BOOK["exp"]
    return of_exp and number.is_number and -1 <= number.value < 0


def _divides(node: Node) -> bool:
    return isinstance(node, Einsum) and any(exponent < 0 for exponent in node.exponents)


def _overflows(node: Node, growing: set[Node], near: set[Node], vanishing: set[Node]) -> bool:
    """Whether a quotient or a logarithm is of what may be infinite or 0, and need not be."""
    if isinstance(node, Apply) and node.function is BOOK["log"]:
        (inner,) = node.children
        return inner in growing or inner in vanishing
    if not isinstance(node, Einsum):
        return False
    small = [e for c, e in zip(node.children, node.exponents, strict=True) if c in vanishing]
    if growing.isdisjoint(node.children):
        return len(small) > 1 and min(small) < 0
    held = [factor for factor in node.factors if factor[0] in growing]
    powers = [e for _, e, _ in held]
    several = len(held) > 1 and (min(powers) < 0 or len({(*own,) for _, _, own in held}) == 1)
    roots = any(e.denominator != 1 for e in powers)
    losing = any(e < 0 and _difference(c) for c, e, _ in held)
    return several or roots or losing or _meet(node, near, vanishing)


def _meet(node: Einsum, near: set[Node], vanishing: set[Node]) -> bool:
    """Whether what grows and what vanishes are multiplied entry by entry."""
    grow, vanish = ({own for c, _, own in node.factors if c in s} for s in (near, vanishing))
    return bool(grow & vanish if node.summed else grow and vanish)


def _difference(node: Node) -> bool:
    """Whether a sum is exp(x) - 1, or a number times that."""
    if not isinstance(node, Sum) or len(node.children) != 2:
        return False
    (c, one), (d, other) = map(build.split, node.children)
    words = {n.function.name for n in (one, other) if isinstance(n, Apply)}
    return c == -d and words == {"exp"} and not (one.children and other.children)


class _Scaling:
    """Of every node what takes its place, and of those that may overflow the pair."""

    def __init__(self, wanted: set[Node]) -> None:
        self.wanted = wanted
        self.plain: dict[Node, Node] = {}
        self.pairs: dict[Node, Pair] = {}
        #: the scales that are the largest of several
        self.largest: dict[Node, tuple[Node, ...]] = {}
        #: of a pair how often its scale is the largest along axes of what is such a largest one
        self.nested: dict[Node, int] = {}

    def of(self, order: Sequence[Node]) -> Node:
        """What takes the place of the last node of an order; that node where scales nest."""
        for node in order:
            self.settle(node)
        nested = any(often > MOST_NESTED for often in self.nested.values())
        return order[-1] if nested else self.plain[order[-1]]

    def settle(self, node: Node) -> None:
        """Find what takes the place of a node whose parts have theirs."""
        children = [self.plain[c] for c in node.children]
        same = all(a is b for a, b in zip(children, node.children, strict=True))
        self.plain[node] = node if same else node.rebuild(children)
        pair = self.pair(node)
        if pair is not None:
            self.pairs[node] = pair
            inner = () if isinstance(node, Apply) else node.children
            often = max((self.nested.get(c, 0) for c in inner), default=0)
            self.nested[node] = max(often, self.nested.get(node, 0))
        if node in self.wanted:
            self.plain[node] = self.written(node)

    def written(self, node: Node) -> Node:
        """A quotient or a logarithm, from the pairs of what it is made of."""
        if isinstance(node, Apply):
            pair = self.pairs.get(node.children[0])
            if pair is None or pair.scale is None:
                return self.plain[node]
            return build.add(_call("log", pair.rest), pair.scale)
        pair = self.pairs.get(node)
        return self.plain[node] if pair is None else _whole(pair)

    def pair(self, node: Node) -> Pair | None:
        """What a node is, with its exponentials as scales; None where it has none."""
        match node:
            case Apply():
                return self.call(node)
            case Einsum() if not build.is_zero(node):
                return self.product(node)
            case Sum():
                return self.sum(node)
        return None

    def call(self, node: Apply) -> Pair | None:
        """The words that grow, and sigmoid, which vanishes, as exp does."""
        if node.function.name not in (*_GROWING, *_VANISHING):
            return None
        x = self.plain[node.children[0]]
        size = _size(x)
        match node.function.name:
            case "exp":
                return Pair(build.ones(node.dims), x)
            case "softplus":
                return self.like_exp("softplus", x, x)
            case "expm1" if _is_double(node):
                (z,) = build.split(x)[1].children
                return self.like_exp("expm1", x, z)
            case "expm1":
                return Pair(_signed(x), _call("relu", x))
            case "sigmoid":
                minus = _call("relu", build.negative(x))
                self.largest[minus] = (build.zeros(x.dims), build.negative(x))
                return Pair(_call("sigmoid", size), build.negative(minus))
            case "erfc" | "erfcx":
                return self.tail(x, node.function.name)
            case "sinh":
                self.largest[size] = (x, build.negative(x))
                return Pair(build.divide(_signed(build.scale(2, x)), 2), size)
        self.largest[size] = (x, build.negative(x))
        less = _call("exp", build.scale(-2, size))
        return Pair(build.divide(build.add(build.ones(x.dims), less), 2), size)

    def like_exp(self, word: str, x: Node, z: Node) -> Pair:
        """softplus(z), or expm1(-exp(z)), where x is -exp(z): like exp(z) far out."""
        far = build.scale(FAR, build.ones(z.dims))
        least = Apply(BOOK["maximum"], (z, far), z.ndim)
        minus = _call("relu", build.negative(z))
        self.largest[minus] = (build.zeros(z.dims), build.negative(z))
        inner = least if x is z else build.scale(build.coefficient_of(x), _call("exp", least))
        shift = _call("exp", _call("relu", build.negative(least)))
        return Pair(build.multiply(_call(word, inner), shift), build.negative(minus))

    def tail(self, x: Node, word: str) -> Pair:
        """erfc(x), or exp(x^2)*erfc(x): what vanishes of it on the right, and grows on the left."""
        plus, minus = _call("relu", x), _call("relu", build.negative(x))
        rest = build.multiply(_call("erfc", build.negative(minus)), _call("erfcx", plus))
        far = build.negative(build.power(plus, 2)) if word == "erfc" else build.power(minus, 2)
        return Pair(rest, far)

    def product(self, node: Einsum) -> Pair | None:
        """Scales are added; the largest along axes that are summed is taken out."""
        if all(c not in self.pairs for c in node.children):
            return None
        dims = node.index_dims
        factors: list[Factor] = []
        terms: list[Node] = []
        for child, exponent, indices in node.factors:
            rest, scale = self.pairs.get(child, Pair(self.plain[child], None))
            factors.append((rest, exponent, indices))
            terms += [_placed(t, exponent, indices, dims) for t in _terms(scale)]
        scale = _added(terms)
        summed = set(node.summed)
        inner = [t for t in _terms(scale) if _carried(t) & summed]
        outer = [t for t in _terms(scale) if not _carried(t) & summed]
        if inner:
            axes = sorted(frozenset().union(*map(_carried, inner)), key=lambda i: (i in summed, i))
            if not any(set(axes) <= set(indices) for _, _, indices in factors):
                return None
            lengths = tuple([dims[i] for i in axes])
            place = {i: k for k, i in enumerate(axes)}
            whole = _added([_moved(t, place, lengths) for t in inner])
            assert whole is not None
            kept = sum(i not in summed for i in axes)
            top = Apply(BOOK["max"], (whole,), kept)
            self.nested[node] = 1 + max(self.nested.get(c, 0) for c in node.children)
            least = _placed(top, -1, tuple(range(kept)), lengths)
            shift = _added([*_terms(whole), least])
            if shift is not None:
                factors.append((_call("exp", shift), 1, tuple(axes)))
            outer.append(_placed(top, 1, tuple(axes[:kept]), dims))
        place = {}
        for axis, i in enumerate(node.output):
            place.setdefault(i, axis)
        rest = build.product(node.coefficient, factors, node.output, dims)
        return Pair(rest, _added([_moved(t, place, node.dims) for t in outer]))

    def sum(self, node: Sum) -> Pair | None:
        """The largest of the scales is taken out of a sum, or the factor that vanishes."""
        by_end = factored_end(node)
        if by_end is not None:
            for part in postorder(by_end):
                if part not in self.plain:
                    self.settle(part)
            return self.pairs.get(by_end)
        pairs = [self.pairs.get(c, Pair(self.plain[c], None)) for c in node.children]
        if all(pair.scale is None for pair in pairs):
            return None
        zero = build.zeros(node.dims)
        scales = [_terms(pair.scale) for pair in pairs]
        common = [t for t in scales[0] if all(t in terms for terms in scales)]
        lots = [_added([t for t in terms if t not in common]) for terms in scales]
        top = self.most([zero if lot is None else lot for lot in lots])
        if len(pairs) == 2 and build.negative(pairs[0].rest) is pairs[1].rest:
            rest = self.difference(*pairs)
            return Pair(rest, _added([*common, *_terms(top)]))
        terms = []
        for (rest, _), lot in zip(pairs, lots, strict=True):
            shift = _added([*_terms(lot), *map(build.negative, _terms(top))])
            terms.append(rest if shift is None else build.multiply(rest, _call("exp", shift)))
        return Pair(build.add(*terms), _added([*common, *_terms(top)]))

    def difference(self, one: Pair, other: Pair) -> Node:
        """c·(exp(a) - exp(b)) over the larger of the two, by expm1: no digits are lost where a is
        near b.
        """
        apart = _added([*_terms(one.scale), *map(build.negative, _terms(other.scale))])
        return (
            build.zeros(one.rest.dims)
            if apart is None
            else build.multiply(one.rest, _signed(apart))
        )

    def most(self, scales: Sequence[Node]) -> Node:
        """The largest of scales, those left out that never are."""
        kept = list(dict.fromkeys(scales))
        for scale in tuple(kept):
            if any(other is not scale and self.exceeds(other, scale) for other in kept):
                kept.remove(scale)
        return kept[0] if len(kept) == 1 else self.top(kept)

    def top(self, scales: Sequence[Node]) -> Node:
        """The largest of scales, by the shortest word."""
        zeros = [s for s in scales if build.is_zero(s)]
        others = [s for s in scales if not build.is_zero(s)]
        if len(scales) == 2 and zeros:
            top = _call("relu", others[0])
        elif len(scales) == 2 and build.negative(scales[0]) is scales[1]:
            top = _size(scales[0])
        else:
            top = scales[0]
            for scale in scales[1:]:
                top = Apply(BOOK["maximum"], (top, scale), scale.ndim)
        self.largest[top] = tuple(scales)
        return top

    def exceeds(self, a: Node, b: Node) -> bool:
        """Whether a scale is at least another one wherever they are."""
        waiting = [_added([*_terms(a), *map(build.negative, _terms(b))])]
        for _ in range(MOST_STEPS):
            if None in waiting:
                return True
            waiting = [less for one in waiting if one is not None for less in self.lessened(one)]
        return None in waiting

    def lessened(self, scale: Node) -> Iterable[Node | None]:
        """A scale with one of the numbers in the place of the largest of them."""
        terms = _terms(scale)
        for k, term in enumerate(terms):
            number, core, axes = _core(term)
            if core in self.largest and number.value > 0:
                for member in self.largest[core]:
                    put = [_placed(t, 1, axes, scale.dims) for t in _terms(member)]
                    others = [*terms[:k], *terms[k + 1 :]]
                    yield _added([*others, *(build.scale(number, t) for t in put)])


def _call(word: str, argument: Node) -> Node:
    return Apply(BOOK[word], (argument,), argument.ndim)


def _size(x: Node) -> Node:
    """abs(x), the same for x and -x."""
    return _call("abs", build.negative(x) if build.coefficient_of(x).value < 0 else x)


def _signed(x: Node) -> Node:
    """(exp(x) - 1)/exp(max(x, 0)), which is between -1 and 1."""
    less = _call("expm1", build.negative(_call("abs", x)))
    return build.negative(build.multiply(_call("sign", x), less))


def _whole(pair: Pair) -> Node:
    """m·exp(s), with an exponential for each of the terms that have no axes in common."""
    rest, scale = pair
    axes = tuple(range(rest.ndim))
    groups: list[tuple[frozenset[int], list[Node]]] = []
    for term in sorted(_terms(scale), key=lambda t: -len(_carried(t))):
        carried = _carried(term)
        held = [g for g in groups if carried <= g[0]]
        if not held:
            groups.append((carried, [term]))
            continue
        inside = set(postorder(_core(term)[1]))
        told = [g for g in held if any(_core(t)[1] in inside for t in g[1])] or held[:1]
        for _, terms in told:
            terms.append(build.scale(Fraction(1, len(told)), term))
    powers = [_added(terms) for _, terms in groups]
    factors: list[Factor] = [(rest, 1, axes)]
    factors += [(_call("exp", p), 1, axes) for p in powers if p is not None]
    return build.product(ONE, factors, axes, rest.dims)


# Scales: sums of terms, each of which is the same along the axes that it does not carry


def _terms(scale: Node | None) -> tuple[Node, ...]:
    """The terms of a scale, a number times a sum term by term."""
    if scale is None or build.is_zero(scale):
        return ()
    number, core = build.split(scale)
    if not isinstance(core, Sum):
        return (scale,)
    return tuple([build.scale(number, t) for t in core.children])


def _added(terms: Sequence[Node]) -> Node | None:
    """The sum of terms; None where nothing is left."""
    total = build.add(*terms) if terms else None
    return None if total is None or build.is_zero(total) else total


def _core(term: Node) -> tuple[Coefficient, Node, tuple[int, ...]]:
    """A term as a number times what is laid out along some axes."""
    number, core = build.split(term)
    if isinstance(core, Einsum) and core.exponents == (1,) and not (core.summed or core.repeats):
        ((inner, _, indices),) = core.factors
        return number, inner, tuple([core.output.index(i) for i in indices])
    return number, core, tuple(range(term.ndim))


def _carried(term: Node) -> frozenset[int]:
    return frozenset(_core(term)[2])


def _placed(term: Node, times: Exponent, indices: Sequence[int], dims: Dims) -> Node:
    """A term times a number, its axes at indices of a larger space."""
    return _moved(build.scale(times, term), dict(enumerate(indices)), dims)


def _moved(term: Node, place: Mapping[int, int], dims: Dims) -> Node:
    """A term with its axes elsewhere."""
    number, core, axes = _core(term)
    at = tuple([place[a] for a in axes])
    return build.product(number, ((core, 1, at),), tuple(range(len(dims))), tuple(dims))
