"""Conjugates of phrases, as a person writes them.

conj(A*x-b) for conj(A)*conj(x)-conj(b), x^H for conj(x)', abs(z)^2 for conj(z)*z, 2*real(z) for
z+conj(z). A formula has `conj` at variables only; here it goes outwards where that reads better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

from wrt.expression.coefficient import IMAGINARY, MINUS_ONE, ONE, Coefficient
from wrt.expression.dataclass import replace
from wrt.notation.phrases import chain_of, entrywise, flip, pick, power, raised, scalars_of, times
from wrt.notation.traces import least, traces
from wrt.notation.tree import SCALAR, Exponent, Tree, call, cheaper

__all__ = ["conjugated", "folded", "joined", "moduli", "modulus", "parts_of_pairs"]

_ABS = r"\lvert @0 \rvert"


def conjugated(tree: Tree) -> Tree:
    """The conjugate, `conj` inside or outside.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.notation.tree import name
    >>> n, m = Dimension.of("n"), Dimension.of("m")
    >>> A, x = name("A", (m, n), is_complex=True), name("x", (n, None), is_complex=True)
    >>> conjugated(times(ONE, [A, x])).text, conjugated(flip(x)).text
    ('conj(A*x)', 'x^H')
    """
    if tree.is_real:
        return tree
    if tree.head == "conj":
        return tree.parts[0]
    return _conjugated(tree)


@lru_cache(maxsize=512)
def _conjugated(tree: Tree) -> Tree:
    match tree.head:
        case "name":
            return _over(tree)
        case "transpose":
            return flip(conjugated(tree.parts[0]))
        case "product" | "dot":
            return times(tree.coefficient.conjugate, map(conjugated, tree.parts))
        case "power":
            return power(conjugated(tree.parts[0]), tree.exponent)
        case "entry":
            return entrywise(map(conjugated, tree.parts))
        case "raised":
            return raised(conjugated(tree.parts[0]), tree.exponent)
        case "index":
            inner = pick(conjugated(tree.parts[0]), tree.word.split(","), tree.shape, tree.axes)
            return cheaper(inner, _over(tree))
    return cheaper(_inside(tree), _over(tree))


def _inside(tree: Tree) -> Tree:
    """The conjugate of a sum or a call, `conj` at its parts."""
    parts = tuple(conjugated(p) for p in tree.parts)
    if tree.head == "sum":
        from wrt.notation.sums import listed

        return listed(parts)
    if tree.word == "tr" and _is_chain(parts[0]):
        return least(traces(chain_of(parts[0])))
    if tree.word == "sum" and len(parts) == 1 and None not in parts[0].shape:
        return replace(tree, parts=(least([parts[0], flip(parts[0])]),))
    if tree.flips and tree.shape == SCALAR and None not in parts[0].shape:
        parts = (cheaper(parts[0], flip(parts[0])), *parts[1:])
    return replace(tree, parts=parts)


def _is_chain(tree: Tree) -> bool:
    return tree.coefficient == ONE and not scalars_of(tree)


def _over(tree: Tree) -> Tree:
    return Tree("conj", "", (tree,), tree.shape, axes=tree.axes)


def folded(tree: Tree) -> Tree:
    """A phrase, or the conjugate of its conjugate where that reads better."""
    if tree.is_real:
        return tree
    if tree.head == "product":
        return times(tree.coefficient, [folded(p) for p in tree.parts])
    if tree.head == "transpose" and tree.parts[0].head == "sum":
        from wrt.notation.sums import listed

        return cheaper(tree, folded(listed([flip(p) for p in tree.parts[0].parts])))
    if tree.head != "sum" or "conj(" not in tree.text:
        return tree
    return cheaper(tree, _over(_inside(tree)))


def joined(chain: Sequence[Tree]) -> list[Tree]:
    """The links of a product, conjugates that follow each other under one `conj`."""
    links: list[Tree] = []
    run: list[Tree] = []
    for link in (*chain, None):
        if link is not None and (link.head == "conj" or (run and link.is_real)):
            run.append(link)
            continue
        links += _run(run)
        run = []
        links += [link] if link is not None else []
    return links


def _run(run: list[Tree]) -> list[Tree]:
    rest: list[Tree] = []
    while run and run[-1].head != "conj":
        rest.insert(0, run.pop())
    if len(run) < 2:
        return run + rest
    return [_over(times(ONE, map(conjugated, run))), *rest]


# z and conj(z) together


def modulus(tree: Tree) -> Tree:
    """The absolute value of every entry."""
    tree = cheaper(tree, conjugated(tree))
    return call("abs", [tree], tree.shape, flips=True, latex=_ABS, axes=tree.axes)


def moduli(powers: Mapping[Tree, Exponent]) -> dict[Tree, Exponent]:
    """Bases with their exponents; conj(z)*z is abs(z)^2."""
    found = dict(powers)
    for base in powers:
        if base.is_real or not found.get(base):
            continue
        other = conjugated(base)
        e, f = found[base], found.get(other, Fraction(0))
        if e * f <= 0 or other == base:
            continue
        least = min(e, f, key=lambda e: abs(Fraction(e)))
        found[base], found[other] = e - least, f - least
        size = modulus(base)
        found[size] = found.get(size, Fraction(0)) + 2 * least
    return {base: e for base, e in found.items() if e}


def parts_of_pairs(terms: Sequence[Tree]) -> list[Tree]:
    """The terms of a sum; c*z+conj(c*z) is twice a real part, c*z-conj(c*z) an imaginary one."""
    kept = list(terms)
    if all(t.is_real for t in kept):
        return kept
    k = 0
    while k < len(kept):
        found = None if kept[k].is_real else _paired(kept, k)
        if found is not None:
            j, made = found
            kept[k] = made
            del kept[j]
        k += 1
    return kept


def _paired(terms: Sequence[Tree], k: int) -> tuple[int, Tree] | None:
    """Another term that is the conjugate of one, up to a sign, and what both are together."""
    c, body = _split(terms[k])
    other = conjugated(body)
    for j in range(k + 1, len(terms)):
        d, rest = _split(terms[j])
        if rest == other and d in (c.conjugate, -c.conjugate):
            return j, _part(c, body, d == c.conjugate)
    return None


def _split(term: Tree) -> tuple[Coefficient, Tree]:
    if term.head == "product":
        return term.coefficient, times(ONE, term.parts)
    return ONE, term


def _part(c: Coefficient, body: Tree, adds: bool) -> Tree:
    """c*z + conj(c*z), or c*z - conj(c*z)."""
    two = Coefficient.of(2)
    outside = [s for s in scalars_of(body) if s.is_real] if body.head == "product" else []
    inner = [s for s in scalars_of(body) if not s.is_real]
    z = times(ONE, [*inner, *chain_of(body)])
    z = cheaper(z, conjugated(z))
    turned = z != times(ONE, [*inner, *chain_of(body)])
    if c.is_imaginary is adds:  # i*(z - conj(z)) = -2 imag(z), z - conj(z) = 2i imag(z)
        sign = MINUS_ONE if turned else ONE
        return times(c * sign * two * IMAGINARY, [*outside, _word("imag", "Im", z)])
    return times(c * two, [*outside, _word("real", "Re", z)])


def _word(word: str, sign: str, tree: Tree) -> Tree:
    latex = rf"\operatorname{{{sign}}}(@0)"
    return call(word, [tree], tree.shape or SCALAR, flips=True, latex=latex, axes=tree.axes)
