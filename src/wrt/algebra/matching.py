"""Where the left side of a law stands in a formula.

A law is a sentence over the variables of a record. Its left side, in normal form, is matched with a
formula in normal form: the factors of a product and the terms of a sum in any order, up to a
number, and mapped along any axes that the sentence knows nothing of. `sum(exp(x))` is found in the
column sums of exp(W*X), where x is a column of W*X.

Every axis has a label. Those of the sentence are *placed* on labels of the formula; what an
argument of the sentence stands for is laid out with the labels that are left in front: the axes
that it is mapped along.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import NamedTuple

from wrt.expression import build
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Apply, Constant, Einsum, Exponent, Node, Sum, Variable, whole

__all__ = ["Found", "Held", "Matcher", "Wanted"]

Labels = tuple[int, ...]


class Value(NamedTuple):
    """What a variable of the sentence stands for; it is mapped along the axes `lead`, its first."""

    node: Node
    lead: Labels


class Found(NamedTuple):
    """What is known so far; matching branches, so nothing of it is changed."""

    places: dict[int, int]  # a label of the sentence: the label of the formula
    values: dict[Variable, Value]
    sizes: dict[str, Dimension]  # what the sentence's dimensions are


class Held(NamedTuple):
    """A factor of the formula, with its labels."""

    node: Node
    exponent: Exponent
    labels: Labels


class Wanted(NamedTuple):
    """A factor of the sentence; `exact` where it is no pattern but a formula that must be there."""

    node: Node
    exponent: Exponent
    labels: Labels
    exact: bool = False


class Ratio(NamedTuple):
    """By what the formula is more than the sentence: a number over one in the sentence's sizes."""

    ours: Coefficient = ONE
    theirs: Coefficient = ONE

    def times(self, other: Ratio, exponent: Exponent = 1) -> Ratio:
        return Ratio(self.ours * other.ours**exponent, self.theirs * other.theirs**exponent)

    def number(self, sizes: dict[str, Dimension]) -> Coefficient:
        return self.ours * self.theirs.replace(sizes) ** -1


class Matcher:
    """One attempt to find a sentence in a formula; it knows the labels of both."""

    def __init__(self, dims: Sequence[Dimension], summed: Sequence[int] = ()) -> None:
        self.dims = dict(enumerate(dims))  # of the formula's labels
        self.inner = set(summed)  # labels of the formula that are summed over
        self.open: set[int] = set()  # labels of the sentence that may be placed anywhere
        self.spent: set[int] = set()  # labels of the sentence that a spelled value sums over
        self.count = 0

    def start(self) -> Found:
        """Nothing known."""
        return Found({}, {}, {})

    def fixed(self, labels: Labels) -> tuple[Found, Labels]:
        """Labels of the sentence that stand where those of the formula do."""
        at = tuple([self.pattern_label() for _ in labels])
        return self.start()._replace(places=dict(zip(at, labels, strict=True))), at

    def pattern_label(self) -> int:
        """A new label of the sentence."""
        self.count += 1
        return -self.count

    def label(self, dim: Dimension) -> int:
        """A new label of the formula, summed over inside."""
        made = len(self.dims)
        self.dims[made] = dim
        self.inner.add(made)
        return made

    def match(
        self, p: Node, at: Labels, s: Node, on: Labels, found: Found
    ) -> Iterator[tuple[Ratio, Found]]:
        """All ways in which `s[on] = ratio * p[at]`."""
        linear = _linear(p)
        if linear is not None:
            number, variable, order = linear
            yield from self.bind(variable, number, tuple(at[k] for k in order), s, on, found)
            return
        if build.is_zero(p) or build.is_zero(s):
            if build.is_zero(p) and build.is_zero(s):
                yield Ratio(), found
            return
        ours, s, on = _bare(s, on)
        theirs, p, at = _bare(p, at)
        ratio = Ratio(ours, theirs)
        if _is_one(p):
            if _is_one(s):
                yield ratio, found
        elif isinstance(p, Sum):
            if isinstance(s, Sum) and len(s.children) == len(p.children):
                for more, rest, known in self.terms(p, at, s.children, on, found):
                    if not rest:
                        yield ratio.times(more), known
        elif isinstance(p, Apply):
            if isinstance(s, Apply):
                for known in self.call(p, at, s, on, found):
                    yield ratio, known
        elif isinstance(p, Einsum):
            for more, known in self.whole(p, at, s, on, found):
                yield ratio.times(more), known

    # Variables

    def bind(
        self, variable: Variable, number: Coefficient, at: Labels, s: Node, on: Labels, found: Found
    ) -> Iterator[tuple[Ratio, Found]]:
        """A variable of the sentence, times a number, is a part of the formula."""
        for places in self.placings(at, on, found.places):
            where = tuple(places[p] for p in at)
            if len(set(where)) < len(where):
                continue
            sizes = self.sized(variable, where, found.sizes)
            if sizes is None:
                continue
            lead = tuple(sorted(set(on) - set(where)))
            value = Value(self.laid_out(number**-1, s, on, (*lead, *where)), lead)
            known = found.values.get(variable)
            if known is None:
                yield Ratio(), Found(places, {**found.values, variable: value}, sizes)
            elif known == value:
                yield Ratio(), Found(places, found.values, sizes)

    def placings(self, at: Labels, on: Labels, places: dict[int, int]) -> Iterator[dict[int, int]]:
        """The ways to place labels of the sentence that have no place yet."""
        free = [p for p in at if p not in places]
        if not free:
            yield places
            return
        taken = set(places.values())
        left = [i for i in dict.fromkeys(on) if i not in taken]
        for chosen in permutations(left, len(free)):
            pairs = list(zip(free, chosen, strict=True))
            if all(p in self.open or i in self.inner for p, i in pairs):
                yield {**places, **dict(pairs)}

    def sized(
        self, variable: Variable, where: Labels, sizes: dict[str, Dimension]
    ) -> dict[str, Dimension] | None:
        """What the variable's dimensions are, or None where that is not what is known of them."""
        sizes = dict(sizes)
        for dim, label in zip(variable.dims, where, strict=True):
            if sizes.setdefault(str(dim), self.dims[label]) is not self.dims[label]:
                return None
        return sizes

    def laid_out(self, number: Coefficient, node: Node, on: Labels, axes: Labels) -> Node:
        """A part of the formula with its labels as axes in a given order."""
        place = {label: k for k, label in enumerate(axes)}
        indices = tuple([place[i] for i in on])
        dims = [self.dims[i] for i in axes]
        if indices == tuple(range(len(axes))):
            return build.scale(number, node)
        return build.product(number, ((node, 1, indices),), range(len(axes)), dims)

    def place(self, p: int, label: int, places: dict[int, int]) -> dict[int, int] | None:
        """A label of the sentence placed on one of the formula, where that can be."""
        if p in places:
            return places if places[p] == label else None
        if label in places.values() or not (p in self.open or label in self.inner):
            return None
        return {**places, p: label}

    # Calls

    def call(self, p: Apply, at: Labels, s: Apply, on: Labels, found: Found) -> Iterator[Found]:
        """A call of the same function, perhaps mapped along further axes."""
        if p.function is not s.function:
            return
        lead: Labels = on
        if not p.function.entrywise:
            if p.batch or s.ndim - s.batch != p.ndim:
                return
            lead = on[: s.batch]
            for own, label in zip(at, on[s.batch :], strict=True):
                places = self.place(own, label, found.places)
                if places is None:
                    return
                found = found._replace(places=places)
        states = [found]
        for pattern, argument in zip(p.children, s.children, strict=True):
            states = [
                known
                for state in states
                for known in self.argument(pattern, at, argument, lead, p, state)
            ]
        yield from states

    def argument(
        self, pattern: Node, at: Labels, argument: Node, lead: Labels, p: Apply, found: Found
    ) -> Iterator[Found]:
        """An argument: the axes of its own are those of the sentence, in order."""
        on = lead
        if not p.function.entrywise:
            own = argument.dims[len(lead) :]
            if len(own) != pattern.ndim or (not own and argument.ndim < len(lead)):
                return
            labels = tuple([self.label(d) for d in own])
            at = tuple([self.pattern_label() for _ in own])
            places = {**found.places, **dict(zip(at, labels, strict=True))}
            found, on = found._replace(places=places), (*lead, *labels)
        for ratio, known in self.match(pattern, at, argument, on, found):
            if ratio.number(known.sizes).is_one:
                yield known

    # Products

    def whole(
        self, p: Einsum, at: Labels, s: Node, on: Labels, found: Found
    ) -> Iterator[tuple[Ratio, Found]]:
        """A product whose factors are those of the sentence, all of them."""
        held, summed = self.held(s, on)
        if held is None:
            return
        own = dict(zip(p.output, at, strict=True))
        bound = {i: self.pattern_label() for i in p.summed}
        wanted = self.wanted(p, {**own, **bound})
        for ratio, rest, known in self.factors(wanted, held, found, partly=False):
            inside = self.spent & known.places.keys() - found.places.keys()
            if rest or any(known.places[b] in on for b in inside):
                continue
            if all(known.places.get(b) in summed for b in bound.values()):
                yield ratio, known

    def held(self, s: Node, on: Labels) -> tuple[list[Held] | None, set[int]]:
        """The factors of a part of the formula, and the labels that it sums over."""
        if not isinstance(s, Einsum):
            return [Held(s, 1, on)], set()
        if s.repeats:
            return None, set()
        label = dict(zip(s.output, on, strict=True))
        summed = {i: self.label(s.index_dims[i]) for i in s.summed}
        label |= summed
        factors = [Held(n, e, tuple([label[i] for i in idx])) for n, e, idx in s.factors]
        return factors, set(summed.values())

    def wanted(self, p: Einsum, label: dict[int, int]) -> list[Wanted]:
        """The factors of the sentence, those that say most first."""
        factors = [Wanted(n, e, tuple([label[i] for i in idx])) for n, e, idx in p.factors]
        return sorted(factors, key=lambda f: _tells(f.node))

    def factors(
        self, wanted: Sequence[Wanted], held: list[Held], found: Found, partly: bool
    ) -> Iterator[tuple[Ratio, list[Held], Found]]:
        """All ways to find the wanted factors among those held, with what is left of these."""
        if not wanted:
            yield Ratio(), held, found
            return
        first, *others = wanted
        if isinstance(first.node, Variable) and first.node in found.values and not first.exact:
            for number, more, known in self.spelled(first, found):
                ratio = Ratio(ONE, number)
                for rest_ratio, rest, at_last in self.factors(
                    [*more, *others], held, known, partly
                ):
                    yield rest_ratio.times(ratio), rest, at_last
            return
        for k, one in enumerate(held):
            if first.exact and one.node is not first.node:
                continue
            left = _left(first, one, partly or first.exact)
            if left is None:
                continue
            rest_held = held[:k] + ([] if not left.exponent else [left]) + held[k + 1 :]
            for ratio, known in self.factor(first, one, found):
                if first.exponent.denominator != 1 and not ratio.ours.has_real_root():
                    continue
                for more_ratio, rest, at_last in self.factors(others, rest_held, known, partly):
                    yield more_ratio.times(ratio, first.exponent), rest, at_last

    def factor(self, want: Wanted, have: Held, found: Found) -> Iterator[tuple[Ratio, Found]]:
        """Whether one factor is the wanted one, turned if that makes no difference."""
        yield from self.one_factor(want, have, found)
        turned = have.labels[::-1]
        if len(turned) == 2 and turned[0] != turned[1] and _may_turn(want.node, have.node):
            yield from self.one_factor(want, have._replace(labels=turned), found)

    def one_factor(self, want: Wanted, have: Held, found: Found) -> Iterator[tuple[Ratio, Found]]:
        if not want.exact:
            yield from self.match(want.node, want.labels, have.node, have.labels, found)
        elif want.node is have.node:
            places: dict[int, int] | None = found.places
            for own, label in zip(want.labels, have.labels, strict=True):
                if places is not None:
                    places = self.place(own, label, places)
            if places is not None:
                yield Ratio(), found._replace(places=places)

    def spelled(
        self, want: Wanted, found: Found
    ) -> Iterator[tuple[Coefficient, list[Wanted], Found]]:
        """A variable that is known: what it stands for as one factor, or as its factors."""
        assert isinstance(want.node, Variable)
        value = found.values[want.node]
        if build.is_zero(value.node):  # it has no factors, and no product that is not 0 holds it
            return
        lead = {self.pattern_label(): label for label in value.lead}
        found = found._replace(places={**found.places, **lead})
        number, core = build.split(value.node)
        number, e, at = number**want.exponent, want.exponent, (*lead, *want.labels)
        yield number, [Wanted(core, e, at, True)], found
        if not isinstance(core, Einsum) or core.repeats:
            return
        if e == 1 or (not core.summed and e.denominator == 1):
            label = dict(zip(core.output, at, strict=True))
            bound = {i: self.pattern_label() for i in core.summed}
            self.spent.update(bound.values())
            label |= bound
            more = [
                Wanted(n, whole(own * e), tuple([label[i] for i in idx]), True)
                for n, own, idx in core.factors
            ]
            yield number, more, found

    # Sums

    def terms(
        self, p: Sum, at: Labels, held: Sequence[Node], on: Labels, found: Found
    ) -> Iterator[tuple[Ratio, list[Node], Found]]:
        """All ways to find the terms of the sentence among those held, and what is left."""
        wanted = sorted(p.children, key=_says)
        yield from self.some_terms(wanted, at, list(held), on, None, found)

    def some_terms(
        self,
        wanted: Sequence[Node],
        at: Labels,
        held: list[Node],
        on: Labels,
        ratio: Ratio | None,
        found: Found,
    ) -> Iterator[tuple[Ratio, list[Node], Found]]:
        if not wanted:
            assert ratio is not None
            yield ratio, held, found
            return
        first, *others = wanted
        linear = _linear(first)
        if linear is not None and linear[1] in found.values and ratio is not None:
            for places in self.placings(at, on, found.places):
                known = found._replace(places=places)
                rest = self.spelled_terms(first, at, held, on, ratio, known)
                if rest is not None:
                    yield from self.some_terms(others, at, rest, on, ratio, known)
            return
        for k, term in enumerate(held):
            for more, known in self.match(first, at, term, on, found):
                if ratio is None or more.number(known.sizes) == ratio.number(known.sizes):
                    left = held[:k] + held[k + 1 :]
                    yield from self.some_terms(others, at, left, on, ratio or more, known)

    def spelled_terms(
        self, p: Node, at: Labels, held: list[Node], on: Labels, ratio: Ratio, found: Found
    ) -> list[Node] | None:
        """What is left of the terms without those of a variable that is known."""
        linear = _linear(p)
        assert linear is not None
        number, variable, order = linear
        value = found.values[variable]
        axes = (*value.lead, *(found.places[at[k]] for k in order))
        if set(axes) != set(on):
            return None
        scale = ratio.number(found.sizes) * number
        node = self.laid_out(scale, value.node, axes, on)
        rest = list(held)
        for term in _terms_of(node):
            if term not in rest:
                return None
            rest.remove(term)
        return rest


def _may_turn(p: Node, s: Node) -> bool:
    """Whether a matrix may stand the other way round: one that is its own transpose."""
    from wrt.algebra.properties import is_symmetric

    if isinstance(p, Apply) and isinstance(s, Apply) and not p.function.entrywise:
        return p.function is s.function and is_symmetric(s)
    return p is s and isinstance(s, Variable) and is_symmetric(s)


def _terms_of(node: Node) -> list[Node]:
    """The terms of a sum, of one with a number or of one transposed too."""
    if isinstance(node, Sum):
        return list(node.children)
    if isinstance(node, Einsum) and len(node.children) == 1 and not node.summed:
        (child,), (exponent,), (indices,) = node.children, node.exponents, node.indices
        if isinstance(child, Sum) and exponent == 1 and len(indices) == len(node.output):
            return [
                build.product(node.coefficient, ((t, 1, indices),), node.output, node.index_dims)
                for t in child.children
            ]
    return [node]


def _tells(factor: Node) -> int:
    """How soon to look for a factor: words of a variable itself tell what that is, any other
    variable fits anything.
    """
    if isinstance(factor, Variable):
        return 2
    return 0 if isinstance(factor, Apply) and all(map(_linear, factor.children)) else 1


def _says(term: Node) -> tuple[bool, bool]:
    """Which terms of a sentence to look for first: those that say most."""
    return _linear(term) is not None, _is_one(build.split(term)[1])


def _left(want: Wanted, have: Held, partly: bool) -> Held | None:
    """What is left of a factor; None where it is not enough."""
    p, e = want.exponent, have.exponent
    enough = (e >= p > 0 or e <= p < 0) if partly else p == e
    return have._replace(exponent=whole(e - p)) if enough else None


def _linear(p: Node) -> tuple[Coefficient, Variable, Labels] | None:
    """A variable of the sentence with a number and its axes in some order, as in -x and X'."""
    if isinstance(p, Variable):
        return ONE, p, tuple(range(p.ndim))
    if isinstance(p, Einsum) and len(p.children) == 1 and p.exponents == (1,):
        (child,), (indices,) = p.children, p.indices
        if isinstance(child, Variable) and sorted(indices) == sorted(p.output):
            return p.coefficient, child, tuple([p.output.index(i) for i in indices])
    return None


def _is_one(node: Node) -> bool:
    """Whether a node is ones, times a number."""
    if isinstance(node, Constant):
        return True
    return isinstance(node, Einsum) and not node.children and not node.repeats


def _bare(node: Node, labels: Labels) -> tuple[Coefficient, Node, Labels]:
    """A node without its number, its transpose, its repetition along axes."""
    number, node = build.split(node)
    while isinstance(node, Einsum) and len(node.children) == 1 and node.exponents == (1,):
        if node.summed or node.repeats:
            break
        place = dict(zip(node.output, labels, strict=True))
        labels = tuple([place[i] for i in node.indices[0]])
        more, node = build.split(node.children[0])
        number = number * more
    return number, node, labels
