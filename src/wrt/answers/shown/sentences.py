"""Sentences about an answer: its structure, where it is valid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from wrt import notation
from wrt.algebra import Structure, expand
from wrt.algebra.conjugation import frozen, has_real_values
from wrt.answers.parts import swept
from wrt.expression import build
from wrt.expression.dimensions import Dimension
from wrt.expression.function import DOMAINS
from wrt.expression.nodes import Apply, Node, Variable
from wrt.language import Wanted

__all__ = [
    "free_sentences",
    "held_sentence",
    "structure_sentence",
    "symmetry_sentence",
    "valid_sentences",
    "zero_sentence",
]

#: Conditions on numbers, which of an array mean every entry.
_ENTRYWISE = frozenset(
    {"positive", "nonzero", "inside", "above", "beyond", "whole", "apart", "slit"}
)
#: Where a variable is by a property that no linear constraint says.
_CURVED = {
    "orthogonal": "the orthogonal matrices",
    "invertible": "the invertible matrices",
    "simplex": "the simplex",
}
#: A part of an answer is named in a sentence only while it is this short.
SHORT = 24


def free_sentences(wanted: Sequence[Wanted]) -> tuple[str, ...]:
    """Of which variables the derivative is free, though what they obey is no linear constraint."""
    return tuple(
        f"{v.name} may leave {place}: this is the free derivative"
        for v in dict.fromkeys(one.variable for one in wanted)
        for word, place in _CURVED.items()
        if word in v.properties
    )


def structure_sentence(found: Structure, names: Sequence[str]) -> str:
    """What can differ from zero and what determines it."""
    if found.kind == "zero":
        return f"all {found.entries} entries are 0"
    exact = found.counted
    if exact and exact[0] < found.nonzero.size(exact[2]):
        return _counted(found, *exact)
    numbers, given = _given(found, names)
    if found.nonzero is found.entries:
        if found.entries.value == 1 or found.node.ndim == 0:
            return "one number"
        head = f"all {found.entries} entries can differ from 0"
    else:
        head = f"{found.nonzero} of {found.entries} entries can differ from 0"
    if found.numbers is found.nonzero:
        return head
    return f"{head}; {_all(found.nonzero)} given by {numbers}{given}"


def symmetry_sentence(found: Structure) -> str | None:
    """Under which exchanges of axes a tensor stays as it is, where that is not plain from its δ."""
    tied = any(len(set(b.pattern)) < len(b.pattern) for b in found.blocks)
    plain = found.kind in ("delta", "constant", "zero") or (found.kind == "kronecker" and tied)
    if plain or not found.symmetries:
        return None
    pairs = [(a, b) for a, b in found.symmetries if len(a) == 1] or found.symmetries
    alike = _alike(pairs)
    said = [f"{_axes(a)} and {_axes(b)}" for a, b in pairs if not any(a[0] in s for s in alike)]
    every = [f"any of the axes {', '.join(str(k + 1) for k in sorted(s))}" for s in alike]
    return f"the same under exchange of {'; of '.join([*every, *said])}"


def _alike(pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[set[int]]:
    """Three single axes and more that may all be exchanged: those that pairs of them connect."""
    found: list[set[int]] = []
    for a, b in pairs:
        if len(a) == 1:
            joined = [one for one in found if one & {*a, *b}]
            found = [one for one in found if one not in joined] + [{*a, *b}.union(*joined)]
    return [one for one in found if len(one) > 2]


def _axes(axes: Sequence[int]) -> str:
    """Axes as a person counts them."""
    numbers = ", ".join(str(a + 1) for a in axes)
    return f"axis {numbers}" if len(axes) == 1 else f"axes ({numbers})"


def _counted(found: Structure, count: int, entries: int, sizes: Mapping[str, int]) -> str:
    """What was counted at small sizes, where the formula tells no more than a bound."""
    where = ", ".join(f"{name} = {size}" for name, size in sizes.items())
    said = f"{count} of {entries} entries differ from 0" + (f" where {where}" if where else "")
    if found.nonzero is found.entries:
        return said
    return f"{said}; at most {found.nonzero} of {found.entries} can"


def _all(nonzero: Dimension) -> str:
    return "it is" if nonzero.value == 1 else "all of them are"


def _given(found: Structure, names: Sequence[str]) -> tuple[str, str]:
    if not found.given_by:
        return "constants alone", ""
    texts = [notation.matrix(node, names=names) for node in found.given_by]
    known = all(t is not None and len(t) <= SHORT for t in texts) and len(texts) <= 4
    given = f" ({', '.join(map(str, texts))})" if known else ""
    count = found.numbers
    return f"{count} number{'' if count.value == 1 else 's'}", given


def held_sentence(f: Node, wanted: Sequence[Wanted]) -> str | None:
    """What is held fixed where a variable is complex, and that a gradient ascends."""
    pairs = dict.fromkeys(_pair(one.variable, one.conjugate) for one in wanted if one.is_complex)
    if not pairs:
        return None
    if len(wanted) > 1:
        each = "; ".join(f"by {by}, {fixed} is held fixed" for by, fixed in pairs)
        return f"{each} (Wirtinger)"
    ((_, fixed),) = pairs
    ascends = wanted[0].conjugate and not f.ndim and has_real_values(expand(f))
    steepest = "; f is real, and its steepest ascent is along this" if ascends else ""
    return f"{fixed} is held fixed (Wirtinger){steepest}"


def _pair(x: Variable, conjugate: bool) -> tuple[str, str]:
    """What is differentiated by, and what is held fixed."""
    return (f"conj({x.name})", x.name) if conjugate else (x.name, f"conj({x.name})")


def zero_sentence(text: str, f: Node, wanted: Sequence[Wanted]) -> str:
    """Why a derivative is zero."""
    for one in wanted:
        x = one.variable
        if x not in f.names:
            return f"{text} does not depend on {x.name}"
        if one.is_complex:
            apart, other = frozen(expand(f), x)
            if (other if one.conjugate else x) not in apart.names:
                by, fixed = _pair(x, one.conjugate)
                return f"{text} depends on {fixed} only, which is held fixed by {by}"
    for k in range(1, len(wanted)):
        x = wanted[k].variable
        if x not in swept(f, [one.by for one in wanted[:k]], "projected").names:
            by = " and ".join(one.text.strip() for one in wanted[:k])
            return f"its derivative by {by} does not depend on {x.name}"
    return "it is zero wherever it is defined"


def valid_sentences(found: Sequence[tuple[str, Node]], names: Sequence[str]) -> tuple[str, ...]:
    """Conditions as sentences; the domain of an array means every entry of it."""
    told = [(domain, node) for domain, node in found if not _is_told(domain, node, found)]
    said = dict.fromkeys(_sentence(domain, node, names) for domain, node in told)
    return tuple(s for s in said if s)


#: What is known of a matrix by each of its declared properties.
_DECLARED = {
    "spd": {"invertible", "definite", "principal", "full rank", "constant rank"},
    "invertible": {"invertible", "full rank", "constant rank"},
    "orthogonal": {"invertible", "full rank", "constant rank"},
}


def _is_told(domain: str, node: Node, found: Sequence[tuple[str, Node]]) -> bool:
    """Whether a declaration says a condition, or another condition does: det(X) > 0 says that X
    is invertible.
    """
    if isinstance(node, Variable):
        declared = (_DECLARED.get(word, set()) for word in node.properties)
        if domain in set().union(*declared):
            return True
    if domain in ("positive", "nonzero", "slit"):
        return _is_det(node) and "spd" in getattr(node.children[0], "properties", ())
    signed = [n for d, n in found if d in ("positive", "nonzero", "slit") and _is_det(n)]
    return domain == "invertible" and any(n.children[0] is node for n in signed)


def _is_det(node: Node) -> bool:
    return isinstance(node, Apply) and node.function.name == "det"


def _sentence(domain: str, node: Node, names: Sequence[str]) -> str:
    text = notation.matrix(node, names=names) if node.ndim < 3 else None
    if domain == "positive" and node.ndim < 3:  # x'*x > 0 is better said of the norm
        root = notation.matrix(build.power(node, Fraction(1, 2)), names=names) or ""
        text = root if root.startswith("norm2(") and not node.ndim else text
        inside = _inside(root) or _inside(text or "")
        domain, text = ("nonzero", inside) if inside else (domain, text)
    text = text or notation.index(node, "", names=names) or "a part of the formula"
    each = "each row of " if domain.endswith(" by rows") else ""
    domain = domain.removesuffix(" by rows")
    said = each + DOMAINS[domain].format(x=text)
    of_entries = node.ndim and domain in _ENTRYWISE
    return f"{said} in every entry" if of_entries else said


def _inside(text: str) -> str | None:
    """The z of abs(z), of which being above zero is that z is not zero."""
    if not (text.startswith("abs(") and text.endswith(")")):
        return None
    depth = 0
    for k, letter in enumerate(text[3:], 4):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return text[4:-1] if k == len(text) else None
    return None
