"""The laws of the records used to rewrite: what shortens a formula is done.

A law says that two sentences are equal, and the shorter one is kept: `exp(x)/sum(exp(x))` becomes
softmax(x) wherever it stands, along rows and columns too. What a person means by a formula is the
word: `meant` finds words before a formula is differentiated, so that the answer is in them and its
programs are stable. `abbreviated` also folds words that abbreviate a sentence, as var.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache, cached_property, lru_cache, partial
from itertools import chain, islice

from wrt.algebra.expand import Template, expand
from wrt.algebra.lifting import lift
from wrt.algebra.matching import Found, Held, Matcher, Ratio
from wrt.algebra.normal import flat_form, is_minus, normal_form, scalars_opened
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dataclass import dataclass
from wrt.expression.function import Function
from wrt.expression.nodes import Apply, Einsum, Exponent, Factor, Node, Sum, Variable, whole
from wrt.expression.walk import is_larger, postorder, rewrite, users
from wrt.functions import BOOK

__all__ = ["abbreviated", "meant", "shortened", "simplified"]

#: Formulas of more nodes are left as they are spelled.
MOST_NODES = 500
#: A law that makes another one fit is followed by it; so often at most.
MOST_PASSES = 6
#: Ways to apply a law in one place that are compared.
MOST_WAYS = 6

Kind = tuple[type, Function | None]

_WORD = re.compile(r"([^\W\d]\w*)\(")
_SUM = re.compile(r"[\w)] ?[+-] ?[\w(]")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[^\W\d]\w*")


def meant(root: Node) -> Node:
    """A formula, its words written out, in the words that it spells.

    >>> from wrt.language import read
    >>> meant(read("sum(log(1 + exp(A*x)))").formula)
    <{softplus({A[ij] x[j] -> i})[i] -> } : scalar>
    """
    return _rewritten(normal_form(expand(root)), _laws, flat=False)


def simplified(root: Node) -> Node:
    """A formula in normal form, with the laws applied that leave fewer words to compute.

    >>> from wrt.language import read
    >>> simplified(normal_form(read("sum(softmax(A*x))*A").formula))
    <A : n, m>
    """
    return _rewritten(root, _saving, flat=False)


def shortened(root: Node) -> Node:
    """A formula in flat form, laws applied."""
    return _rewritten(root, _laws, flat=True)


def abbreviated(root: Node) -> Node:
    """A formula in flat form, with the words that abbreviate a sentence folded too."""
    folded = _rewritten(root, _folding, flat=True)
    return rewrite(folded, _deviations)


def _deviations(node: Node) -> Node:
    """A product with std(x) for the square root of var(x)."""
    if not isinstance(node, Einsum) or all(e.denominator != 2 for e in node.exponents):
        return node
    factors: list[Factor] = []
    for child, exponent, indices in node.factors:
        if isinstance(child, Apply) and child.function is BOOK["var"] and exponent.denominator == 2:
            root = 1 if exponent > 0 else -1
            rest = whole(exponent - Fraction(root, 2))
            factors += [(child, rest, indices)] if rest else []
            child, exponent = Apply(BOOK["std"], child.children, child.batch), root
        factors.append((child, exponent, indices))
    return build.product(node.coefficient, factors, node.output, node.index_dims)


def _rewritten(root: Node, laws: Callable[[], tuple[Law, ...]], flat: bool) -> Node:
    if is_larger(MOST_NODES, root) or any("complex" in v.properties for v in root.names):
        return root
    for _ in range(MOST_PASSES):
        usable = _usable(laws, _words_of(root))
        if not usable:
            break
        before, root = root, rewrite(root, partial(_by_laws, usable))
        if root is before:
            break
        root = flat_form(root) if flat else normal_form(root)
    return root


def _words_of(root: Node) -> frozenset[str]:
    """The words of a formula, and a sign where it has a bracket."""
    calls = [n.function.name if type(n) is Apply else "+" for n in postorder(root) if _tells(n)]
    return frozenset(calls)


def _tells(node: Node) -> bool:
    return type(node) is Apply or type(node) is Sum


Rules = Mapping[type, Sequence["Rule"]]


@lru_cache(maxsize=256)
def _usable(laws: Callable[[], tuple[Law, ...]], words: frozenset[str]) -> Rules:
    """The rules that formulas of some words can need, by the kind of node that they rewrite."""
    found: dict[type, list[Rule]] = {}
    for law in laws():
        for rule in law.rules if law.words <= words else ():
            found.setdefault(type(rule.left), []).append(rule)
    return found


def _by_laws(rules: Rules, node: Node) -> Node:
    spellings = [node]
    if isinstance(node, Einsum) and scalars_opened(node) is not node:
        spellings.append(scalars_opened(node))
    told = [(spelling, _heads(spelling)) for spelling in spellings if type(spelling) in rules]
    if not told:
        return node
    ways = (rules[kind] for kind in dict.fromkeys(type(spelling) for spelling, _ in told))
    for rule in chain.from_iterable(ways):
        for spelling, held in told:
            made = rule.applied(spelling) if rule.may_fit(spelling, held) else None
            if made is not None:
                return made
    return node


@dataclass(frozen=True)
class Rule:
    """One side of a law and what takes its place."""

    left: Node
    right: Node
    variables: tuple[Variable, ...]
    #: whether only signs are gained: then -x stands for what has a minus, and for nothing else
    signs: bool = False

    @cached_property
    def heads(self) -> tuple[tuple[Kind, Exponent], ...]:
        """The factors or terms that are no variables: their kinds, functions and exponents."""
        return tuple(h for h in _heads(self.left) if h[0][0] in (Apply, Sum))

    def may_fit(self, node: Node, held: Sequence[tuple[Kind, Exponent]]) -> bool:
        """A quick look at what a node is made of, before anything is matched."""
        if type(node) is not type(self.left):
            return False
        return all(any(_holds(h, wanted) for h in held) for wanted in self.heads)

    def applied(self, node: Node) -> Node | None:
        """The node with what the law says in the place of the sentence; None where it is not there.

        Of several ways the one with the fewest minus signs and transposes is taken.
        """
        ways = list(islice(self.ways(node), MOST_WAYS))
        if len(ways) < 2:
            return ways[0][1] if ways else None
        return min(ways, key=lambda way: (way[0], len(users(way[1])), way[1].digest))[1]

    def ways(self, node: Node) -> Iterator[tuple[int, Node]]:
        """The ways to apply the law, with how many arguments have a minus."""
        match self.left, node:
            case Apply(), Apply():
                yield from self.call(node)
            case Sum(), Sum():
                yield from self.terms(node)
            case Einsum(), Einsum():
                yield from self.factors(node)

    def call(self, node: Apply) -> Iterator[tuple[int, Node]]:
        matcher = Matcher(node.dims)
        axes = tuple(range(node.ndim))
        at = self.opened(matcher, self.left.ndim)
        for _, found in matcher.match(self.left, at, node, axes, matcher.start()):
            made = self.made(matcher, found, at, set(axes))
            if made is not None:
                yield _minus(found), build.product(ONE, (made,), axes, node.dims)

    def terms(self, node: Sum) -> Iterator[tuple[int, Node]]:
        assert isinstance(self.left, Sum)
        matcher = Matcher(node.dims)
        axes = tuple(range(node.ndim))
        at = self.opened(matcher, self.left.ndim)
        found = matcher.start()
        for ratio, rest, known in matcher.terms(self.left, at, node.children, axes, found):
            made = self.made(matcher, known, at, set(axes))
            if made is not None:
                number = ratio.number(known.sizes)
                said = build.product(number, (made,), axes, node.dims)
                yield _minus(known), build.add(said, *rest)

    def factors(self, node: Einsum) -> Iterator[tuple[int, Node]]:
        assert isinstance(self.left, Einsum)
        matcher = Matcher(node.index_dims, node.summed)
        at = self.opened(matcher, self.left.ndim)
        bound = {i: matcher.pattern_label() for i in self.left.summed}
        wanted = matcher.wanted(
            self.left, {**dict(zip(self.left.output, at, strict=True)), **bound}
        )
        held = [Held(*factor) for factor in node.factors]
        found = matcher.start()
        for ratio, rest, known in matcher.factors(wanted, held, found, partly=True):
            used = {i for _, _, labels in rest for i in labels} | set(node.output)
            used.update(i for value in known.values.values() for i in value.lead)
            if any(known.places.get(b) in used for b in (*bound.values(), *matcher.spent)):
                continue
            made = self.made(matcher, known, at, set(range(len(node.index_dims))))
            if made is not None:
                ratio = ratio.times(Ratio(node.coefficient, self.left.coefficient))
                yield _minus(known), _product(ratio, known, [*rest, made], node)

    def opened(self, matcher: Matcher, count: int) -> tuple[int, ...]:
        """Labels for the axes of the left side, which may be placed anywhere."""
        labels = tuple([matcher.pattern_label() for _ in range(count)])
        matcher.open.update(labels)
        return labels

    def made(
        self, matcher: Matcher, found: Found, at: tuple[int, ...], outer: set[int]
    ) -> Factor | None:
        """The right side as a factor."""
        if any(p not in found.places for p in at) or set(found.values) != set(self.variables):
            return None
        lead = tuple(sorted({i for value in found.values.values() for i in value.lead}))
        where = tuple(found.places[p] for p in at)
        if not {*lead, *where} <= outer:
            return None
        if self.signs and _minus(found):  # -x stands for what has no minus: nothing is gained
            return None
        arguments: dict[Variable, Node] = {}
        for variable, value in found.values.items():
            core = tuple(range(len(matcher.dims), len(matcher.dims) + variable.ndim))
            matcher.dims |= dict(zip(core, value.node.dims[len(value.lead) :], strict=True))
            arguments[variable] = matcher.laid_out(
                ONE, value.node, (*value.lead, *core), (*lead, *core)
            )
        dims = tuple(matcher.dims[i] for i in lead)
        return lift(self.right, arguments, found.sizes, dims), 1, (*lead, *where)


def _product(ratio: Ratio, found: Found, factors: Sequence[Factor], node: Einsum) -> Node:
    """The product over other factors."""
    number = ratio.number(found.sizes)
    return build.product_carried(number, factors, node.output, node.index_dims)


def _minus(found: Found) -> int:
    """How many arguments have a minus sign."""
    return sum(_is_negative(value.node) for value in found.values.values())


def _is_negative(node: Node) -> bool:
    number, core = build.split(node)
    return (number.value < 0) ^ (isinstance(core, Sum) and is_minus(core))


def _heads(node: Node) -> list[tuple[Kind, Exponent]]:
    """The kinds of a product's factors, of a sum's terms, or of a call."""
    if isinstance(node, Einsum):
        bare = [build.split(c)[1] for c in node.children]
        return [(_kind(c), e) for c, e in zip(bare, node.exponents, strict=True)]
    terms = node.children if isinstance(node, Sum) else (node,)
    return [(_kind(build.split(t)[1]), 1) for t in terms]


def _kind(node: Node) -> Kind:
    return type(node), node.function if isinstance(node, Apply) else None


def _holds(have: tuple[Kind, Exponent], want: tuple[Kind, Exponent]) -> bool:
    enough = have[1] >= want[1] if want[1] > 0 else have[1] <= want[1]
    return have[0] == want[0] and enough


# Which laws


@dataclass(frozen=True)
class Law:
    """A law of a record, from the longer side to the shorter one; made into rules when needed."""

    function: Function
    left: str
    right: str
    signs: bool = False

    @cached_property
    def words(self) -> frozenset[str]:
        """The words that a formula must hold, where others are written out; where there are none,
        the sign of a bracket.
        """
        return _words_within(self.left) or frozenset("+" if _SUM.search(self.left) else "")

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The law for every number of axes that it may have."""
        return tuple(rule for known in _templates(self.function) for rule in self.read(known))

    def read(self, known: Template) -> Iterator[Rule]:
        left = normal_form(known.read(self.left))
        right = self.called(known) if self.folds else normal_form(known.read(self.right))
        plain = isinstance(left, (Apply, Einsum, Sum)) and left.dims == right.dims
        if plain and not getattr(left, "repeats", False) and left.names == {*known.arguments}:
            yield Rule(left, right, known.arguments, self.signs)

    @property
    def folds(self) -> bool:
        """Whether this folds a sentence into the word that abbreviates it."""
        return self.right == self.function.name

    def called(self, known: Template) -> Node:
        """The word applied to its arguments, not written out."""
        batch = known.arguments[0].ndim if self.function.entrywise else 0
        return Apply(self.function, known.arguments, batch)


def _words_within(sentence: str) -> frozenset[str]:
    """The words of a sentence that are neither products nor written out."""
    said = [BOOK[word] for word in _WORD.findall(sentence) if word in BOOK]
    plain = frozenset(f.name for f in said if not (f.einsum or f.definition))
    return plain.union(*(_words_within(f.definition) for f in said if f.definition))


def _templates(function: Function) -> Iterator[Template]:
    form = function.forms[0]
    anything = any(a.dims is None for a in form.arrays)
    for rank in (1, 2) if anything else (1,):
        ranks = tuple(rank if a.dims is None else len(a.dims) for a in form.arrays)
        if len(form.arrays) == len(form.arguments):
            yield Template(function, form, ranks, over_complex=False)


@cache
def _laws() -> tuple[Law, ...]:
    """The laws of all records that shorten or lose a sign; what says most comes first."""
    found = [law for f in dict.fromkeys(BOOK.values()) for law in map(partial(_law, f), f.laws)]
    return tuple(sorted((law for law in found if law), key=lambda law: -_size(law.left)))


@cache
def _saving() -> tuple[Law, ...]:
    """The laws that leave fewer words to compute: not 1 - sigmoid(x), which is there already."""
    return tuple(
        law for law in _laws() if len(_WORD.findall(law.right)) < len(_WORD.findall(law.left))
    )


def _law(function: Function, sentence: str) -> Law | None:
    left, _, right = sentence.partition(" = ")
    a, b = _size(left), _size(right)
    if a == b:
        return Law(function, left, right, signs=True) if _sign_goes(left, right) else None
    return Law(function, left, right) if a > b else Law(function, right, left)


def _size(sentence: str) -> int:
    return len(_TOKEN.findall(sentence))


def _sign_goes(left: str, right: str) -> bool:
    """Whether a law is sin(-x) = -sin(x) or cos(-x) = cos(x)."""
    return left.count("(-") == 1 and "(-" not in right


@cache
def _folding() -> tuple[Law, ...]:
    """All laws, then the words that abbreviate a sentence and are folded again where an answer
    spells them.
    """
    words = (BOOK[word] for word in ("silu", "var"))
    return (*_laws(), *(Law(f, f.definition, f.name) for f in words))
