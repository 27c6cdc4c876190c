"""Why a claim is wrong: the term, factor, sign, transpose or axis that is off, in a sentence.

The faults are looked for in this order: one number before a term of the claim; one change of its
text; several numbers; term against term, with a change in each. A claim of another shape is
compared with what a derivative is mistaken for: the factor beside a δ, the derivative of the sum
of all entries, the rule for numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from wrt.answers.claims.editing import Edit, Term, edits, inserted, terms
from wrt.answers.claims.places import TOLERANCE, Place, agree, value_at
from wrt.answers.claims.proportions import Multiple, multiples, ratio_of
from wrt.errors import WrtError
from wrt.expression.dataclass import dataclass, field
from wrt.expression.nodes import Node

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = [
    "Comparison",
    "Faults",
    "Search",
    "ordinal",
    "parallel",
    "said_multiple",
    "said_of",
    "text_faults",
    "values_of",
]

#: The most changes of one text that are tried.
MOST_EDITS = 400
#: More terms that are not known again are not looked at one by one.
MOST_PAIRED = 3
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth".split()


@dataclass(frozen=True)
class Faults:
    """What is off: the plainest sentence, and what else there is to say."""

    head: str
    lines: list[str] = field(default_factory=list)


class Comparison(Protocol):
    """What a claim is compared by: places, the truth there in the claim's layout, and reading."""

    @property
    def found(self) -> Sequence[Place]:
        """Places where both are compared."""

    @property
    def wholes(self) -> Sequence[Array]:
        """The derivative at every place, laid out as the claim."""

    @property
    def tolerance(self) -> float:
        """How much of a value may be rounding."""

    @property
    def truth(self) -> str:
        """The derivative as a text."""

    @property
    def terms(self) -> Sequence[tuple[str, Node]]:
        """The terms of the derivative multiplied out, each with its text."""

    def node(self, text: str) -> Node | None:
        """A text read in the same way; None where it cannot be."""


def said_of(edit: Edit, *, fixing: bool) -> str:
    """A change as a sentence: of a claim that it makes right, or (not `fixing`) of a derivative
    that it makes into what was claimed.

    >>> said_of(Edit("A*x", "A'", "A", "turn"), fixing=True)
    "A' should not be transposed: A"
    """
    has, puts = (edit.has, edit.puts) if fixing else (edit.puts, edit.has)
    match edit.kind:
        case "sign":
            sign, _, what = edit.has.partition(" before ")
            wanted = edit.puts if fixing else sign
            return f"the sign before {what} should be {'plus' if wanted == '+' else 'minus'}"
        case "turn":
            turned = len(puts) > len(has)
            return f"{has} should {'' if turned else 'not '}be transposed: {puts}"
        case "drop" | "missing":
            missing = (edit.kind == "missing") is fixing
            factor = edit.puts if edit.kind == "missing" else edit.has
            return f"the factor {factor} {'is missing' if missing else 'does not belong'}"
        case "term":
            return f"the term {edit.has} {'does not belong' if fixing else 'is missing'}"
        case "product":
            way = "entry by entry" if ".*" in puts else "as a matrix product"
            return f"{has} should be multiplied {way}: {puts}"
        case _:
            return f"{has} should be {puts}"


def ordinal(k: int, count: int) -> str:
    """How the k-th of so many terms is called.

    >>> ordinal(1, 2), ordinal(0, 1)
    ('the second term', 'the claim')
    """
    if count < 2:
        return "the claim"
    return f"the {_ORDINALS[k]} term" if k < len(_ORDINALS) else f"term {k + 1}"


def text_faults(text: str, at: Comparison) -> Faults | None:
    """What is off in a claim that has the shape of the derivative in some layout."""
    if not at.found:
        return None
    return Search(text, at).faults()


class Search:
    """The search for what is off in one text."""

    def __init__(self, text: str, at: Comparison) -> None:
        self.text, self.at = text, at
        self.read: dict[str, Node | None] = {}
        self.loose = 10 * at.tolerance

    def faults(self) -> Faults | None:
        by_number = self.by_numbers()
        if by_number is not None and len(by_number) == 1:
            return Faults(by_number[0])
        edit = self.by_edit()
        if edit is not None:
            return edit
        if by_number:
            return Faults(by_number[0], by_number[1:])
        return self.by_terms() or self.by_spoiling()

    # Numbers before the claim's own terms

    @cached_property
    def terms(self) -> list[Term]:
        return terms(self.text)

    @cached_property
    def arrays(self) -> list[list[Array]] | None:
        """The terms of the claim at every place; None where one cannot be read alone."""
        nodes = [self.at.node(term.text) for term in self.terms]
        return (
            values_of([n for n in nodes if n is not None], self.at)
            if all(nodes_read(nodes))
            else None
        )

    def by_numbers(self) -> list[str] | None:
        if self.arrays is None:
            return None
        found = multiples(self.arrays, self.at.wholes, self.at.found, self.loose)
        if found is None:
            return None
        return self.said_numbers(found)

    def said_numbers(self, found: Sequence[Multiple]) -> list[str]:
        lines = []
        for k, (term, number) in enumerate(zip(self.terms, found, strict=True)):
            if not number.is_one:
                lines.append(said_number(number, term, k, len(self.terms)))
        return lines

    # One change of the text

    def by_edit(self) -> Faults | None:
        for edit in islice(self.changes(self.text), MOST_EDITS):
            number = self.proportion(edit.text)
            if number is None:
                continue
            said = said_of(edit, fixing=True)
            if number.is_one:
                return Faults(said)
            if len(self.terms) == 1:
                return Faults(said, [said_number(number, self.terms[0], 0, 1)])
        return None

    def changes(self, text: str) -> Iterator[Edit]:
        words, names, factors = vocabulary(self.at.truth, text)
        yield from edits(text, words, names)
        yield from inserted(text, factors)

    def proportion(self, text: str) -> Multiple | None:
        """The number by which a text has to be multiplied to be right."""
        node = self.node(text)
        if node is None:
            return None
        first = _value(node, self.at.found[0], self.at.wholes[0])
        if first is None or not parallel(first, self.at.wholes[0], self.at.tolerance):
            return None
        arrays = self.values(text)
        return (
            None if arrays is None else ratio_of(arrays, self.at.wholes, self.at.found, self.loose)
        )

    def node(self, text: str) -> Node | None:
        """A text read, once."""
        if text not in self.read:
            self.read[text] = self.at.node(text)
        return self.read[text]

    def values(self, text: str) -> list[Array] | None:
        """A text's values at every place."""
        node = self.node(text)
        arrays = None if node is None else values_of([node], self.at)
        return None if arrays is None else [a[0] for a in arrays]

    def by_spoiling(self) -> Faults | None:
        """One change of the derivative's text that makes it what is claimed."""
        claimed = self.values(self.text)
        if claimed is None:
            return None
        for edit in islice(edits(self.at.truth), MOST_EDITS):
            arrays = self.values(edit.text)
            if arrays is None or not parallel(arrays[0], claimed[0]):
                continue
            number = ratio_of(claimed, arrays, self.at.found)
            if number is not None:
                said = said_of(edit, fixing=False)
                lines = [f"beside that, it should be multiplied by {number}"]
                return Faults(said, [] if number.is_one else lines)
        return None

    # Term against term

    def by_terms(self) -> Faults | None:
        """Every term of the claim beside the one of the derivative that it is, or nearly is."""
        truth = self.truth_terms()
        if self.arrays is None or truth is None:
            return None
        match = _Matching(
            self, truth, [[a[j] for a in self.arrays] for j in range(len(self.terms))]
        )
        match.by_number()
        match.by_change()
        return match.faults()

    def truth_terms(self) -> list[tuple[str, list[Array]]] | None:
        """The terms of the derivative with their values."""
        made = []
        for said, node in self.at.terms:
            arrays = values_of([node], self.at)
            if arrays is None:
                return None
            made.append((said, [a[0] for a in arrays]))
        return made


class _Matching:
    """The terms of a claim and those of the derivative, paired one by one."""

    def __init__(
        self, search: Search, truth: list[tuple[str, list[Array]]], claim: list[list[Array]]
    ) -> None:
        self.search, self.truth, self.claim = search, truth, claim
        self.ours, self.theirs = list(range(len(truth))), list(range(len(claim)))
        self.lines: dict[int, list[str]] = {}

    def pair(self, j: int, k: int, lines: list[str]) -> None:
        self.ours.remove(k)
        self.theirs.remove(j)
        self.lines[j] = lines

    def numbered(self, number: Multiple, j: int) -> list[str]:
        terms = self.search.terms
        return [] if number.is_one else [said_number(number, terms[j], j, len(terms))]

    def by_number(self) -> None:
        """Terms that are the same but for a number."""
        for j in list(self.theirs):
            for k in self.ours:
                number = ratio_of(self.claim[j], self.truth[k][1], self.search.at.found)
                if number is not None:
                    self.pair(j, k, self.numbered(number, j))
                    break

    def by_change(self) -> None:
        """Terms that are the same but for one change, and perhaps a number."""
        at, count = self.search.at, len(self.search.terms)
        for j in list(self.theirs):
            if not self.ours or len(self.theirs) > MOST_PAIRED:
                return
            for edit in islice(self.search.changes(self.search.terms[j].text), MOST_EDITS // 2):
                arrays = self.search.values(edit.text)
                if arrays is None:
                    continue
                near = [k for k in self.ours if parallel(arrays[0], self.truth[k][1][0])]
                numbers = [(k, ratio_of(arrays, self.truth[k][1], at.found)) for k in near]
                known = [(k, number) for k, number in numbers if number is not None]
                if known:
                    k, number = known[0]
                    said = f"in {ordinal(j, count)}, {said_of(edit, fixing=True)}"
                    said = said_of(edit, fixing=True) if count < 2 else said
                    self.pair(j, k, [said, *self.numbered(number, j)])
                    break

    def faults(self) -> Faults | None:
        terms, count = self.search.terms, len(self.search.terms)
        if len(self.theirs) == count:
            return None
        lines = [line for j in sorted(self.lines) for line in self.lines[j]]
        if len(self.ours) == len(self.theirs) == 1:
            j, wanted = self.theirs[0], self.truth[self.ours[0]][0]
            lines.append(f"{_named(terms[j], j, count)} should be {wanted}")
        else:
            lines += [f"the term {self.truth[k][0]} is missing" for k in self.ours]
            lines += [f"{_named(terms[j], j, count)} does not belong" for j in self.theirs]
        return Faults(lines[0], lines[1:]) if lines else None


def nodes_read(nodes: Sequence[Node | None]) -> list[bool]:
    """Which texts could be read."""
    return [node is not None for node in nodes]


def values_of(nodes: Sequence[Node], at: Comparison) -> list[list[Array]] | None:
    """The values of formulas at every place, in the shape of the derivative there."""
    made: list[list[Array]] = []
    for place, whole in zip(at.found, at.wholes, strict=True):
        row = [_value(node, place, whole) for node in nodes]
        if any(v is None for v in row):
            return None
        made.append([v for v in row if v is not None])
    return made


def _value(node: Node, place: Place, whole: Array) -> Array | None:
    import numpy as np

    try:
        value = value_at(node, place)
    except (WrtError, ValueError, IndexError):
        return None
    if value is None or value.shape not in ((), whole.shape):
        return None
    return np.broadcast_to(value, whole.shape)


def parallel(a: Array, b: Array, tolerance: float = TOLERANCE) -> bool:
    """Whether one array is a number times another, at one place."""
    import numpy as np

    inner = np.vdot(a, a)
    if not abs(inner):
        return False
    return agree(a * (np.vdot(a, b) / inner), b, tolerance)


def _named(term: Term, k: int, count: int) -> str:
    said = ordinal(k, count)
    return f"{said}, {term.said}," if count > 1 and len(term.said) <= 50 else said


def said_number(number: Multiple, term: Term, k: int, count: int) -> str:
    """What a wrong number before a term means."""
    return said_multiple(number, _named(term, k, count), term.sign)


def said_multiple(number: Multiple, name: str, sign: int = 1) -> str:
    """What it means that something with a sign has to be multiplied by a number.

    >>> from fractions import Fraction
    >>> said_multiple(Multiple(Fraction(1, 2)), "the term")
    'the term has a factor 2 too many'
    """
    value = number.number
    if not value:
        return f"{name} does not belong"
    if not number.sizes and value == -1:
        if sign > 0:
            return f"a minus is missing before {name.rstrip(',')}"
        return f"the minus before {name} should be a plus"
    if number.sizes.startswith("1/") and value == 1:
        return f"{name} has a factor {number.sizes[2:].strip('()')} too many"
    if value.denominator == 1 or number.sizes:
        return f"{name} lacks a factor {number}"
    if abs(value.numerator) == 1:
        also = "" if value > 0 else " and the wrong sign"
        return f"{name} has a factor {value.denominator} too many{also}"
    return f"{name} should be multiplied by {number}"


def vocabulary(truth: str, text: str) -> tuple[list[str], list[str], list[str]]:
    """The words, names and factors of the derivative's text that a change may put in."""
    from wrt.language.parser import parse
    from wrt.language.syntax import Call, Infix, Name, Number, postorder

    words: dict[str, None] = {}
    names: dict[str, None] = {}
    factors: dict[str, None] = {}
    for source in (truth, text):
        for line in parse(source).lines:
            for part in postorder(line.body):
                said = source[slice(*part.span)]
                if isinstance(part, Call) and len(part.arguments) == 1:
                    words[part.word] = None
                if isinstance(part, Name):
                    names[part.name] = None
                known = isinstance(part, Infix) and part.operator.name in ("add", "subtract")
                if (
                    source is truth
                    and not isinstance(part, Number)
                    and (not known or said[0] == "(")
                ):
                    factors[said] = None
    for word in ("inv", "diag"):
        words[word] = None
    return list(words), list(names), sorted(factors, key=len)[:30]
