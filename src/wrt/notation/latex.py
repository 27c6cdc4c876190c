"""Trees to LaTeX: the same sentence, with the templates of the records."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import groupby

from wrt.expression.coefficient import Base, Coefficient
from wrt.expression.dimensions import Dimension
from wrt.language.lexer import GREEK
from wrt.notation.conjugates import joined
from wrt.notation.sentence import Definition, needed
from wrt.notation.text import ADD, ATOM, KRON, PRODUCT, TIGHT, is_repeated, number_text, plain
from wrt.notation.tree import Tree, chain_of, scalars_of, spread

__all__ = ["index_latex", "latex_of"]

Said = tuple[str, int]

_SPELLED = {word: "\\" + word for word in GREEK.values()}
_PLACE = re.compile(r"@(\d)")
_NAME = re.compile(r"([^\W\d_]+?)_?(\d*)$")


def latex_of(tree: Tree, definitions: Mapping[str, Definition]) -> str:
    """A phrase in LaTeX, its definitions behind it."""
    lines = [
        f"{{{_name(d.word)}}}{_subscript(d.letters)} = {_say(d.body)[0]}"
        for d in needed(tree, definitions)
    ]
    body = _say(tree)[0]
    return body + r" \quad\text{where}\quad " + ",\\; ".join(lines) if lines else body


def index_latex(left: str, letters: str, tree: Tree, definitions: Mapping[str, Definition]) -> str:
    """The index form in LaTeX; `letters` with commas, those of joined axes in brackets."""
    return f"{_name(left)}{_subscript(letters)} = {latex_of(tree, definitions)}"


def _subscript(items: str) -> str:
    if not items:
        return ""
    single = all(len(c.strip("()")) == 1 for c in items.split(","))
    return f"_{{{items.replace(',', '') if single else items}}}"


def _fit(said: Said, level: int) -> str:
    text, binds = said
    return text if binds >= level else rf"\left({text}\right)"


def _name(word: str) -> str:
    match = _NAME.fullmatch(word)
    if not match:
        return rf"\mathit{{{word.replace('_', chr(92) + '_')}}}"
    stem, digits = match.groups()
    if word == "δ":
        return r"\delta"
    shown = _SPELLED.get(stem) or (stem if len(stem) == 1 else rf"\mathit{{{stem}}}")
    return shown + (f"_{{{digits}}}" if digits else "")


def _say(tree: Tree) -> Said:
    match tree.head:
        case "unvec":
            return _say(tree.parts[0])
        case "name":
            return _name(tree.word), ATOM
        case "literal":
            return tree.word.replace("*", " "), ATOM
        case "call":
            return _call(tree)
        case "index":
            base = tree.parts[0]
            if base.word == "ones" and base.head == "name":
                return r"\mathbf{1}" + _subscript(tree.word), ATOM
            text = _fit(_say(base), ATOM)
            if "_" in text and text[0] != "(" and not text.endswith(")"):
                text = f"{{{text}}}"  # LaTeX refuses a second subscript
            return text + _subscript(tree.word), TIGHT
        case "transpose" if tree.parts[0].head == "conj":
            return _fit(_say(tree.parts[0].parts[0]), ATOM) + r"^{\mathsf H}", TIGHT
        case "conj":
            return rf"\overline{{{_say(tree.parts[0])[0]}}}", ATOM
        case "transpose":
            return _fit(_say(tree.parts[0]), ATOM) + r"^\top", TIGHT
        case "product":
            return _product(tree)
        case "dot":
            return " ".join(_links(tree.parts)), PRODUCT
        case "power":
            return _product(_alone(tree))
        case "entry" | "raised":
            return _entry(tree)
        case "sum":
            return _sum(tree), ADD
        case _:
            return r" \otimes ".join(_fit(_say(p), KRON + 1) for p in tree.parts), KRON


def _alone(tree: Tree) -> Tree:
    """A product of one part."""
    return Tree("product", "", (tree,))


def _call(tree: Tree) -> Said:
    arguments = [_say(p) for p in tree.parts]
    if tree.latex in ("sum", "prod") and len(tree.parts) == 4:
        sign = r"\sum" if tree.latex == "sum" else r"\prod"
        k, low, high = (a[0] for a in arguments[:3])
        return f"{sign}_{{{k}={low}}}^{{{high}}} {_fit(arguments[3], PRODUCT)}", PRODUCT
    axis = len(tree.parts) == 2 and tree.parts[1].head == "literal"
    if axis and tree.parts[0].head != "literal":
        word = rf"\operatorname{{{tree.word}}}_{{{tree.parts[1].word}}}"
        return rf"{word}\left({arguments[0][0]}\right)", ATOM
    if not tree.latex:
        inside = ", ".join(a[0] for a in arguments)
        primes = len(tree.word) - len(tree.word.rstrip("'"))
        return rf"{_name(tree.word.rstrip(chr(39)))}{chr(39) * primes}\left({inside}\right)", ATOM
    return _filled(tree.latex, arguments)


def _filled(template: str, arguments: Sequence[Said]) -> Said:
    """A record's template; an argument that the template does not enclose gets brackets."""
    out = ""
    at = 0
    bare = False
    for match in _PLACE.finditer(template):
        before, after = template[: match.start()].rstrip(), template[match.end() :].lstrip()
        enclosed = before.endswith(("(", "{", ",", r"\lVert", r"\lvert", r"\langle")) and not (
            after.startswith("}^") or after.startswith("}_")
        )
        text, binds = arguments[int(match[1])]
        bare = bare or not enclosed
        out += template[at : match.start()] + (text if enclosed else _fit((text, binds), ATOM))
        at = match.end()
    return out + template[at:], TIGHT if bare else ATOM


def _sum(tree: Tree) -> str:
    out = ""
    bare = any(not is_repeated(t) for t in tree.parts)
    for term in tree.parts:
        term = plain(term) if bare and is_repeated(term) else term
        negative = term.head == "product" and term.coefficient.value < 0
        if negative:
            term = Tree("product", "", term.parts, term.shape, -term.coefficient)
        text = _fit(_say(term), ADD + 1)
        sign = "-" if negative else "+"
        out += (f" {sign} " if out else "-" if negative else "") + text
    return out


def _product(tree: Tree) -> Said:
    if spread(tree) is not tree:
        return _say(spread(tree))
    over, under = _coefficient(tree.coefficient)
    for scalar in scalars_of(tree):
        base, e = (scalar.parts[0], scalar.exponent) if scalar.head == "power" else (scalar, 1)
        (over if e > 0 else under).append(_power(base, abs(Fraction(e))))
    chain = chain_of(tree)
    sign = "-" if tree.coefficient.value < 0 else ""
    if not under:
        if len(over) + len(chain) == 1 and not sign:
            return over[0] if over else _say(chain[0])
        body = " ".join([*(_fit(s, PRODUCT + 1) for s in over), *_links(chain)])
        return sign + (body or "1"), PRODUCT if body or sign else ATOM
    below = " ".join(_fit(s, PRODUCT + 1) for s in under) if len(under) > 1 else under[0][0]
    above = (
        " ".join(_fit(s, PRODUCT + 1) for s in over)
        if len(over) > 1
        else (over[0][0] if over else "1")
    )
    fraction = rf"\frac{{{above}}}{{{below}}}"
    return sign + " ".join([fraction, *_links(chain)]), PRODUCT


def _links(chain: Sequence[Tree]) -> list[str]:
    links: list[str] = []
    for link, run in groupby(joined(chain)):
        count = len(list(run))
        if count > 1 and None not in link.shape:
            links.append(f"{_fit(_say(link), ATOM)}^{{{count}}}")
        else:
            links += [_fit(_say(link), PRODUCT + 1)] * count
    return links


def _power(base: Tree, exponent: Fraction) -> Said:
    if base.word == "norm2" and exponent == 2 and base.parts[0].head == "name":
        (x,) = base.parts
        if x.shape[1] is None and x.axes == 2:
            mark = r"^{\mathsf H}" if x.is_complex else r"^\top"
            return f"{_name(x.word)}{mark} {_name(x.word)}", PRODUCT
    return _raised(_say(base), exponent, "")


def _raised(said: Said, exponent: Fraction, mark: str) -> Said:
    if exponent == 1:
        return said
    if exponent == Fraction(1, 2):
        return rf"\sqrt{{{said[0]}}}", ATOM
    return f"{_fit(said, ATOM)}^{{{mark}{exponent}}}", TIGHT


def _entry(tree: Tree) -> Said:
    parts = tree.parts if tree.head == "entry" else (tree,)
    over: list[Said] = []
    under: list[Said] = []
    for part in parts:
        base, e = (part.parts[0], part.exponent) if part.head == "raised" else (part, Fraction(1))
        (over if e > 0 else under).append(_raised(_say(base), abs(e), r"\circ "))
    if len(over) == 1 and not under:
        return over[0]
    text = r" \odot ".join(_fit(s, PRODUCT + 1) for s in over) or "1"
    return text + "".join(r" \oslash " + _fit(s, PRODUCT + 1) for s in under), PRODUCT


def _coefficient(coefficient: Coefficient) -> tuple[list[Said], list[Said]]:
    over: list[Said] = []
    under: list[Said] = []
    top, bottom = number_text(abs(Fraction(coefficient.value)))
    if top != "1":
        over.append((top, ATOM))
    if bottom != "1":
        under.append((bottom, ATOM))
    for base, exponent in coefficient.powers:
        side = over if exponent > 0 else under
        side.append(_raised(_base(base), abs(exponent), ""))
    return over, under


def _base(base: Base) -> Said:
    if isinstance(base, Dimension):
        text = str(base).replace("*", " ")
        return text, ADD if len(base.terms) > 1 else ATOM
    if base == "pi":
        return r"\pi", ATOM
    if base == "i":
        return r"\mathrm{i}", ATOM
    assert isinstance(base, Fraction)
    if base.denominator > 1:
        return rf"\frac{{{base.numerator}}}{{{base.denominator}}}", PRODUCT
    return str(base), ATOM
