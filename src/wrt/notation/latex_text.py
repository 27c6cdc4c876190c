"""Trees to LaTeX: the same sentence, with the templates of the records.

What is printed is input: the language room reads it back to the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from string import ascii_letters

from wrt.expression.coefficient import Base, Coefficient
from wrt.expression.dataclass import dataclass, field
from wrt.expression.dimensions import Dimension
from wrt.notation.latex_names import latex_name, spellings
from wrt.notation.phrases import chain_of, is_ones, scalars_of, spread
from wrt.notation.runs import runs
from wrt.notation.sentence import Definition, needed
from wrt.notation.text import (
    ADD,
    ATOM,
    KRON,
    PRODUCT,
    TIGHT,
    is_repeated,
    number_text,
    plain,
    rows_of,
)
from wrt.notation.tree import Tree

__all__ = [
    "Scribe",
    "Style",
    "below",
    "every",
    "fit",
    "index_latex",
    "latex_of",
    "side_by_side",
]

Said = tuple[str, int]

_PLACE = re.compile(r"@(\d)")
_TALL = re.compile(r"\\(?:frac|sum|prod|begin|left)(?![A-Za-z])")
_MARKS = frozenset({"T", "H", "*", "+", "-"})
#: Letters for the names of ranges that LaTeX has no letter for.
_BOUND = ("j", "k", "l", "i", "r", "s", "t", "kappa", "nu", "rho", "tau", "iota", "xi", "zeta")
_BELOW = re.compile(r"_\{?([A-Za-z]+)\}?$")
_SCIENTIFIC = re.compile(r"([\d.]+)e([+-]?\d+)")


@dataclass(frozen=True)
class Style:
    """How names look: bold vectors and matrices, or the LaTeX that a person gives for a name.

    `names` are others that a reader knows, which none in the sentence may look like.
    """

    bold: bool = False
    macros: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()


def latex_of(tree: Tree, definitions: Mapping[str, Definition], style: Style | None = None) -> str:
    """A phrase in LaTeX, its definitions behind it."""
    return Scribe(tree, definitions, "", style or Style()).sentence("")


def index_latex(
    left: str,
    letters: str,
    tree: Tree,
    definitions: Mapping[str, Definition],
    style: Style | None = None,
) -> str:
    """The index form in LaTeX; `letters` with commas, those of joined axes in brackets."""
    scribe = Scribe(tree, definitions, letters, style or Style())
    if letters:
        return scribe.sentence(f"{below(scribe.name(left), letters)} = ")
    return scribe.sentence(f"{scribe.name(left)} = ", _summed(tree))


def below(base: str, items: str) -> str:
    """Indices below a base; LaTeX refuses a second subscript without braces."""
    if not items:
        return base
    single = all(len(c.strip("()")) == 1 for c in items.split(","))
    plain_letters = single and not any(c.isdigit() or c == ":" for c in items)
    base = f"{{{base}}}" if "_" in base and base[-1] not in ")]" else base
    return f"{base}_{{{items.replace(',', '') if plain_letters else items}}}"


def _summed(tree: Tree) -> list[str]:
    """What each term of a number is summed over; nothing where none has letters."""
    terms = tree.parts if tree.head == "sum" else (tree,)
    summed = [",".join(sorted(_letters(term))) for term in terms]
    return summed if any(summed) else []


def _letters(tree: Tree) -> set[str]:
    """The index letters in a term."""
    found: set[str] = set()
    stack = [tree]
    while stack:
        part = stack.pop()
        found |= {k for k in part.letters or () if not k.isdigit()}
        stack.extend(part.parts)
    return found


def every(tree: Tree, definitions: Mapping[str, Definition]) -> Iterator[Tree]:
    """Every part of a phrase and of the definitions that it needs."""
    stack = [tree, *(d.body for d in needed(tree, definitions))]
    while stack:
        part = stack.pop()
        yield part
        stack.extend(part.parts)


class Scribe:
    """Writes one sentence: its names are spelled so that no two look alike."""

    def __init__(
        self, tree: Tree, definitions: Mapping[str, Definition], letters: str, style: Style
    ) -> None:
        self.tree, self.style = tree, style
        self.definitions = needed(tree, definitions)
        parts = list(every(tree, definitions))
        apart = {k for p in parts for k in p.letters or ()}
        if letters or apart or any(d.letters for d in self.definitions):
            apart |= {*ascii_letters}  # where letters are indices, others are read as such too
        bound = {p.parts[0].word for p in parts if p.latex in ("sum", "prod")}
        apart |= bound
        self.apart = frozenset(apart)
        faces = dict.fromkeys(style.names, "")
        faces |= {p.word: self._face(p) for p in parts if p.head == "name"}
        faces |= {d.word: faces.get(d.word, "") for d in self.definitions}
        self.names = spellings(sorted(faces.items()), self.apart)
        known = {*apart, *faces}
        free = (latex_name(w) for w in _BOUND if w not in known)
        self.names |= {k: next(free, k) for k in sorted(bound) if len(latex_name(k)) > 1}
        self.has_sigma = "sigma" in faces and style.macros.get("sigma", r"\sigma") == r"\sigma"

    def _face(self, tree: Tree) -> str:
        is_array = tree.axes > 2 or any(side is not None for side in tree.shape)
        return "bold" if self.style.bold and is_array and tree.word != "δ" else ""

    def name(self, word: str) -> str:
        """A name as it is spelled here."""
        if word == "δ":
            return r"\delta"
        macro = self.style.macros.get(word)
        if macro is not None and not self._has_indices(macro):
            return macro
        return self.names.get(word) or spellings([(word, "")], self.apart)[word]

    def _has_indices(self, macro: str) -> bool:
        """Whether all that stands below a name are letters that are indices here."""
        match = _BELOW.search(macro)
        return match is not None and all(c in self.apart for c in match[1])

    # Sentences

    def sentence(self, head: str, summed: Sequence[str] = ()) -> str:
        """The whole phrase behind `head`, `where` its definitions follow."""
        return self.with_where(head + self._whole(self.tree, summed))

    def _whole(self, tree: Tree, summed: Sequence[str] = ()) -> str:
        return self._sum(tree, summed) if summed else self.say(tree)[0]

    def with_where(self, said: str) -> str:
        """A phrase with its definitions behind it."""
        lines = [
            f"{below(self.name(d.word), d.letters)} = "
            + self._whole(d.body, () if d.letters else _summed(d.body))
            for d in self.definitions
        ]
        if not lines:
            return said
        return said + r" \quad\text{where}\quad " + r",\; ".join(lines)

    # Phrases

    def say(self, tree: Tree) -> Said:
        match tree.head:
            case "unvec":
                return self.say(tree.parts[0])
            case "name":
                return self.name(tree.word), ATOM
            case "literal":
                return tree.word.replace("*", " ").replace("min(", r"\min("), ATOM
            case "call":
                return self._call(tree)
            case "index":
                return self._index(tree), ATOM
            case "conj":
                return rf"\overline{{{self.say(tree.parts[0])[0]}}}", ATOM
            case "transpose":
                return self._transposed(tree), TIGHT
            case "product":
                return self.product(tree)
            case "dot":
                return side_by_side(self._links(tree.parts)), PRODUCT
            case "power":
                return self.product(Tree("product", "", (tree,)))
            case "entry" | "raised":
                return self._entry(tree)
            case "sum":
                return self._sum(tree), ADD
            case "listed":
                return self._listed(tree), ATOM
        return r" \otimes ".join(fit(self.say(p), KRON + 1) for p in tree.parts), KRON

    def _listed(self, tree: Tree) -> str:
        rows = [[p] for p in tree.parts] if tree.shape[1] is None else rows_of(tree)
        lines = [" & ".join(self.say(p)[0] for p in row) for row in rows]
        return r"\begin{bmatrix} " + r" \\ ".join(lines) + r" \end{bmatrix}"

    def _index(self, tree: Tree) -> str:
        base = tree.parts[0]
        if is_ones(base) and base.head == "name":
            return r"\mathbf{1}" + below("", tree.word)
        said = self.say(base)
        if base.head == "name" and "," not in tree.word and tree.letters is None:
            return f"[{said[0]}]_{{{tree.word}}}"  # x_{1} is a name
        if base.head == "name" and tree.letters is not None and self._face(base):
            said = spellings([(base.word, "")], self.apart)[base.word], ATOM
        return below(fit(said, ATOM), tree.word)

    def _transposed(self, tree: Tree) -> str:
        (inner,) = tree.parts
        mark = r"\top"
        if inner.head == "conj":
            (inner,) = inner.parts
            mark = r"\mathsf H"
        if inner.head == "call" and inner.word == "inv":
            return fit(self.say(inner.parts[0]), ATOM) + rf"^{{-{mark}}}"
        mark = mark if mark == r"\top" else f"{{{mark}}}"
        return fit(self.say(inner), ATOM) + f"^{mark}"

    def _call(self, tree: Tree) -> Said:
        own = _OWN.get(tree.word)
        said = own(self, tree) if own is not None else None
        if said is not None:
            return said
        arguments = [self.say(p) for p in tree.parts]
        if tree.latex in ("sum", "prod") and len(tree.parts) == 4:
            k, low, high = self.name(tree.parts[0].word), arguments[1][0], arguments[2][0]
            signed = arguments[3][0].startswith("-")
            body = fit(arguments[3], ATOM + 1 if signed else PRODUCT)
            return rf"\{tree.latex}_{{{k}={low}}}^{{{high}}} {body}", ADD + 1
        axis = len(tree.parts) == 2 and tree.parts[1].head == "literal"
        if axis and tree.parts[0].head != "literal":
            word = rf"\operatorname{{{tree.word}}}_{{{tree.parts[1].word}}}"
            return word + _bracketed(arguments[0][0]), ATOM
        if not tree.latex or not tree.latex.strip("@0"):
            return self._undefined(tree, arguments), ATOM
        return _filled(tree.latex, arguments)

    def _undefined(self, tree: Tree, arguments: Sequence[Said]) -> str:
        word = tree.word.rstrip("'")
        primes = "'" * (len(tree.word) - len(word))
        return f"{self.name(word)}{primes}" + _bracketed(", ".join(a[0] for a in arguments))

    def _sum(self, tree: Tree, summed: Sequence[str] = ()) -> str:
        terms = tree.parts if tree.head == "sum" else (tree,)
        out = ""
        bare = any(not is_repeated(t) for t in terms)
        for k, term in enumerate(terms):
            term = plain(term) if bare and is_repeated(term) else term
            negative = term.head == "product" and term.coefficient.value < 0
            if negative:
                term = Tree("product", "", term.parts, term.shape, -term.coefficient)
            text = fit(self.say(term), ADD + 1 if not summed else PRODUCT)
            if summed and summed[k]:
                text = rf"\sum_{{{summed[k]}}} {text}"
            sign = "-" if negative else "+"
            out += (f" {sign} " if out else "-" if negative else "") + text
        return out

    # Products

    def product(self, tree: Tree) -> Said:
        if spread(tree) is not tree:
            return self.say(spread(tree))
        over, under = self._coefficient(tree.coefficient)
        for scalar in scalars_of(tree):
            is_power = scalar.head == "power"
            base, e = (scalar.parts[0], scalar.exponent) if is_power else (scalar, Fraction(1))
            (over if e > 0 else under).append(self._power(base, abs(Fraction(e))))
        chain = chain_of(tree)
        sign = "-" if tree.coefficient.value < 0 else ""
        if not under:
            if len(over) + len(chain) == 1 and not sign:
                return over[0] if over else self.say(chain[0])
            whole = self.say(chain[0]) if len(chain) == 1 else ("", 0)
            if over and whole[0].startswith("1 " + r"\oslash"):
                return sign + side_by_side(_factors(over, False)) + whole[0][1:], PRODUCT
            single = sum(s.head == "dot" for s in scalars_of(tree)) == 1 and not chain
            body = side_by_side([*_factors(over, single), *self._links(chain)])
            return sign + (body or "1"), PRODUCT if body or sign else ATOM
        links = self._links(chain)
        low = not any(map(_TALL.search, links)) and not any(t.word == "eye" for t in chain)
        if chain and low and not under[0][0][:1].isdigit():
            over, links = [*over, *((link, ATOM) for link in links)], []
        fraction = rf"\frac{{{_row(over) or '1'}}}{{{_row(under)}}}"
        return sign + side_by_side([fraction, *links]), PRODUCT

    def _links(self, chain: Sequence[Tree]) -> list[str]:
        if len(chain) == 1 and chain[0].head == "entry":  # numbers before it scale its first part
            said = self.say(chain[0])
            return [fit(said, PRODUCT + said[0].startswith("1 "))]
        links: list[str] = []
        for link, count in runs(chain):
            if count > 1:
                links.append(f"{fit(self.say(link), ATOM)}^{{{count}}}")
            else:
                links.append(fit(self.say(link), PRODUCT + 1))
        return links

    def _power(self, base: Tree, exponent: Fraction) -> Said:
        if base.word == "norm2" and exponent == 2 and base.parts[0].head == "name":
            (x,) = base.parts
            if x.shape[1] is None and x.axes == 2:
                mark = r"^{\mathsf H}" if x.is_complex else r"^\top"
                return f"{self.name(x.word)}{mark} {self.name(x.word)}", PRODUCT
        return _raised(self.say(base), exponent, "")

    def _entry(self, tree: Tree) -> Said:
        parts = tree.parts if tree.head == "entry" else (tree,)
        over: list[Said] = []
        under: list[Said] = []
        for part in parts:
            is_raised = part.head == "raised"
            base, e = (part.parts[0], part.exponent) if is_raised else (part, Fraction(1))
            (over if e > 0 else under).append(_raised(self.say(base), abs(e), r"\circ "))
        if len(over) == 1 and not under:
            return over[0]
        text = r" \odot ".join(fit(s, PRODUCT + 1) for s in over) or "1"
        return text + "".join(r" \oslash " + fit(s, PRODUCT + 1) for s in under), PRODUCT

    # Numbers

    def _coefficient(self, coefficient: Coefficient) -> tuple[list[Said], list[Said]]:
        over: list[Said] = []
        under: list[Said] = []
        top, bottom = number_text(abs(Fraction(coefficient.value)))
        if top != "1":
            over.append(_number(top))
        if bottom != "1":
            under.append(_number(bottom))
        for base, exponent in coefficient.powers:
            side = over if exponent > 0 else under
            side.append(_raised(self._base(base), abs(exponent), ""))
        return over, under

    def _base(self, base: Base) -> Said:
        if isinstance(base, Dimension):
            text = str(base).replace("*", " ").replace("min(", r"\min(")
            return text, ADD if len(base.terms) > 1 else PRODUCT if " " in text else ATOM
        if base == "pi":
            return r"\pi", ATOM
        if base == "i":
            return r"\mathrm{i}", ATOM
        assert isinstance(base, Fraction)
        if base.denominator > 1:
            return rf"\frac{{{base.numerator}}}{{{base.denominator}}}", PRODUCT
        return str(base), ATOM

    # Words that look otherwise for vectors and for matrices

    def _sized(self, tree: Tree) -> Said:
        """An identity, ones or zeros, with the sizes below."""
        sign = {"eye": "I", "ones": r"\mathbf{1}", "zeros": r"\mathbf{0}"}[tree.word]
        if self.style.bold and tree.word == "eye":
            sign = r"\mathbf{I}"
        sizes = r" \times ".join(self.say(p)[0] for p in tree.parts)
        return (f"{sign}_{{{sizes}}}" if sizes else sign), ATOM

    def _summed(self, tree: Tree) -> Said | None:
        """The sum of all entries, of each column or of each row, as a product with ones."""
        (inner, *axis), one = tree.parts, r"\mathbf{1}"
        if len(tree.parts) > 2 or inner.axes > 2:
            return None
        rows, columns = (side is not None for side in inner.shape)
        if not rows and not columns:
            return None
        said = fit(self.say(inner), PRODUCT + 1)
        left = rows and (not axis or axis[0].word == "1")
        right = columns and (not axis or axis[0].word == "2")
        return " ".join([rf"{one}^\top"] * left + [said] + [one] * right), PRODUCT

    def _norm(self, tree: Tree) -> Said:
        (inner,) = tree.parts
        said = self.say(inner)[0]
        is_matrix = None not in inner.shape or inner.axes > 2
        below = {"norm1": "_1", "norminf": r"_\infty"}.get(tree.word, "_F" if is_matrix else "")
        if is_matrix and tree.word != "norm2":
            said = rf"\operatorname{{vec}}({said})"
        wide = (r"\left", r"\right") if _TALL.search(said) else ("", "")
        return rf"{wide[0]}\lVert {said} {wide[1]}\rVert{below}", ATOM

    def _modulus(self, tree: Tree) -> Said | None:
        (inner,) = tree.parts
        said = self.say(inner)[0]
        if None not in inner.shape or inner.axes > 2:
            return r"\operatorname{abs}" + _bracketed(said), ATOM
        wide = (r"\left", r"\right") if _TALL.search(said) else ("", "")
        return rf"{wide[0]}\lvert {said} {wide[1]}\rvert", ATOM

    def _sigmoid(self, tree: Tree) -> Said | None:
        """The sigmoid by its name, where sigma is another thing."""
        if not self.has_sigma:
            return None
        return r"\operatorname{sigmoid}" + _bracketed(self.say(tree.parts[0])[0]), ATOM

    def _unit(self, tree: Tree) -> Said:
        size, place = (self.say(p)[0] for p in tree.parts)
        return rf"\mathbf{{e}}^{{({size})}}_{{{place}}}", TIGHT

    def _commutation(self, tree: Tree) -> Said:
        sizes = ",".join(self.say(p)[0] for p in tree.parts)
        return rf"\mathrm{{K}}_{{{sizes}}}", ATOM

    def _repeated(self, tree: Tree) -> Said:
        """A number beside a matrix; 1 and 2 would be axes."""
        text, binds = self.say(tree.parts[0])
        if text not in ("1", "2"):
            return text, binds
        ones = r"\mathbf{1} \mathbf{1}^\top"
        return (ones if text == "1" else f"{text} {ones}"), PRODUCT

    def _entry_power(self, tree: Tree) -> Said | None:
        """A power entry by entry whose exponent is a phrase."""
        base, exponent = tree.parts
        if all(side is None for p in tree.parts for side in p.shape) and tree.axes == 2:
            return None
        said = self.say(exponent)[0]
        return rf"{fit(self.say(base), ATOM)}^{{\circ {said}}}", TIGHT

    def _kron(self, tree: Tree) -> Said:
        return r" \otimes ".join(fit(self.say(p), KRON + 1) for p in tree.parts), KRON


_OWN = {
    "eye": Scribe._sized,
    "ones": Scribe._sized,
    "zeros": Scribe._sized,
    "sum": Scribe._summed,
    "norm1": Scribe._norm,
    "norm2": Scribe._norm,
    "norminf": Scribe._norm,
    "abs": Scribe._modulus,
    "sigmoid": Scribe._sigmoid,
    "unit": Scribe._unit,
    "commutation": Scribe._commutation,
    "matrix": Scribe._repeated,
    "kron": Scribe._kron,
    "power": Scribe._entry_power,
}


# Pieces


def _bracketed(text: str) -> str:
    """Round brackets, tall ones around what is tall."""
    return rf"\left({text}\right)" if _TALL.search(text) else f"({text})"


def fit(said: Said, level: int) -> str:
    """A phrase as an operand: in brackets where it binds less tightly than wanted."""
    text, binds = said
    return text if binds >= level else _bracketed(text)


def side_by_side(factors: Sequence[str]) -> str:
    """Factors in a row; a dot before a digit, where two numbers would run together."""
    out = ""
    for factor in factors:
        dot = out[-1:].isdigit() or out.endswith("}")
        between = r" \cdot " if factor[:1].isdigit() and dot else " "
        out += (between if out else "") + factor
    return out


def _factors(said: Sequence[Said], bare: bool) -> list[str]:
    """Factors with the brackets that they need; the last sum, and a single x'y, need none."""
    level = PRODUCT if bare else PRODUCT + 1
    made = [fit(s, level) for s in said]
    if said and said[-1][0].startswith((r"\sum", r"\prod")) and said[-1][1] == ADD + 1 and bare:
        made[-1] = said[-1][0]
    return made


def _row(said: Sequence[Said]) -> str:
    """Factors above or below a line."""
    return said[0][0] if len(said) == 1 else side_by_side([fit(s, PRODUCT + 1) for s in said])


def _raised(said: Said, exponent: Fraction, mark: str) -> Said:
    if exponent == 1:
        return said
    if exponent == Fraction(1, 2):
        return rf"\sqrt{{{said[0]}}}", ATOM
    base = f"{{{said[0]}}}" if said[0] == "e" else fit(said, ATOM)
    return f"{base}^{{{mark}{exponent}}}", TIGHT


def _number(text: str) -> Said:
    """A number; powers of ten as such."""
    figures = text.rstrip("0")
    if text.isdigit() and len(text) > 9 and len(text) - len(figures) > 5:
        point = "." if len(figures) > 1 else ""
        text = f"{figures[0]}{point}{figures[1:]}e{len(text) - 1}"
    match = _SCIENTIFIC.fullmatch(text)
    if match is None:
        return text, ATOM
    digits, power = match[1], int(match[2])
    ten = f"10^{{{power}}}"
    return (ten, TIGHT) if digits == "1" else (rf"{digits} \cdot {ten}", ATOM)


def _filled(template: str, arguments: Sequence[Said]) -> Said:
    """A record's template; an argument that the template does not enclose gets brackets."""
    out = ""
    at = 0
    bare = 0
    for match in _PLACE.finditer(template):
        before, after = template[: match.start()].rstrip(), template[match.end() :].lstrip()
        text, binds = arguments[int(match[1])]
        gap = template[at : match.start()]
        if before.endswith("+"):
            minus = text.startswith("-") and binds >= PRODUCT
            gap = gap.rstrip("+ ") + " - " if minus else gap
            out += gap + (text[1:] if minus else fit((text, binds), ADD + 1))
        elif before.endswith("(") and after.startswith(")") and _TALL.search(text):
            out += gap[: gap.rindex("(")] + r"\left(" + text + r"\right"
        elif _encloses(before, after):
            alone = text in _MARKS and before.endswith("^{")
            out += gap + (f"{{{text}}}" if alone else text)
        else:
            bare += 1
            out += gap + fit((text, binds), ATOM)
        at = match.end()
    out += template[at:]
    return out, ATOM if not bare else TIGHT if bare == 1 else PRODUCT


def _encloses(before: str, after: str) -> bool:
    opened = before.endswith(("(", "{", ",", r"\lVert", r"\lvert", r"\langle"))
    return opened and not (after.startswith("}^") or after.startswith("}_"))
