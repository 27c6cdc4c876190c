"""Trees to the text language: precedences come from the one table of operators."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from wrt.expression.coefficient import Base, Coefficient
from wrt.expression.dimensions import Dimension
from wrt.language.operators import INFIX, OPERATORS
from wrt.notation.phrases import chain_of, is_ones, scalars_of, spread
from wrt.notation.runs import runs
from wrt.notation.tree import SCALAR, Tree

__all__ = [
    "ADD",
    "ATOM",
    "KRON",
    "PRODUCT",
    "TIGHT",
    "coefficient_parts",
    "is_repeated",
    "number_text",
    "plain",
    "rows_of",
    "say",
    "spaced",
]

ATOM = 100
PRODUCT = INFIX["*"].binds
TIGHT = next(o.binds for o in OPERATORS if o.name == "transpose")
ADD = INFIX["+"].binds
KRON = INFIX["⊗"].binds

Said = tuple[str, int]


def say(tree: Tree) -> Said:
    """The text of a tree and how tightly its outermost operator binds."""
    match tree.head:
        case "name" | "literal":
            return tree.word, ATOM
        case "call":
            return _call(tree)
        case "unvec":
            return tree.parts[0].said
        case "index":
            return f"{_fit(tree.parts[0].said, ATOM)}[{tree.word}]", ATOM
        case "transpose" if tree.parts[0].head == "conj":
            return _fit(tree.parts[0].parts[0].said, TIGHT) + "^H", TIGHT - 1
        case "transpose":
            return _fit(tree.parts[0].said, TIGHT) + "'", TIGHT
        case "conj":
            return f"conj({tree.parts[0].text})", ATOM
        case "product":
            return _product(tree)
        case "dot":
            return "*".join(_links(tree.parts)), PRODUCT
        case "power":
            return _product(Tree("product", "", (tree,)))
        case "entry" | "raised":
            return _entry(tree)
        case "sum":
            return _sum(tree.parts, ""), ADD
        case "listed":
            return f"[{';'.join(','.join(p.text for p in row) for row in rows_of(tree))}]", ATOM
        case _:
            assert tree.head == "kron"
            return " ⊗ ".join(_fit(p.said, KRON + 1) for p in tree.parts), KRON


def rows_of(tree: Tree) -> list[Sequence[Tree]]:
    """The rows of what is written out entry by entry; a vector is one."""
    width = int(tree.word) or len(tree.parts)
    return [tree.parts[k : k + width] for k in range(0, len(tree.parts), width)]


def _call(tree: Tree) -> Said:
    if tree.word in ("power", "matrix_power"):
        base, exponent = tree.parts
        sign = "^" if tree.word == "matrix_power" or tree.shape == SCALAR else ".^"
        level = TIGHT if base.head == "transpose" else ATOM
        return f"{_fit(base.said, level)}{sign}{_fit(exponent.said, ATOM)}", TIGHT - 1
    space = ", " if tree.word == "einsum" else ","
    return f"{tree.word}({space.join(p.text for p in tree.parts)})", ATOM


def spaced(tree: Tree) -> str:
    """The text of a whole answer: outermost sums have spaces."""
    if tree.head == "sum":
        return _sum(tree.parts, " ")
    return tree.text


def _fit(said: Said, level: int) -> str:
    text, binds = said
    return text if binds >= level else f"({text})"


def _sum(terms: Sequence[Tree], space: str) -> str:
    out = ""
    bare = any(not is_repeated(t) for t in terms)
    for term in terms:
        sign, text = _signed(plain(term) if bare and is_repeated(term) else term)
        if not out:
            out = ("-" if sign < 0 else "") + text
        else:
            out += f"{space}{'-' if sign < 0 else '+'}{space}{text}"
    return out


def is_repeated(term: Tree) -> bool:
    """Whether a term is one number in every entry: such a term of a sum is said as the number."""
    chain = chain_of(term)
    return len(chain) == 1 and is_ones(chain[0])


def plain(term: Tree) -> Tree:
    """The number that stands in every entry of a term."""
    return Tree("product", "", scalars_of(term), SCALAR, term.coefficient)


def _signed(term: Tree) -> tuple[int, str]:
    """The sign of a term of a sum, and the rest of its text."""
    if term.head == "product" and term.coefficient.value < 0:
        positive = Tree("product", "", term.parts, term.shape, -term.coefficient)
        return -1, _fit(positive.said, PRODUCT if positive.text[0] != "-" else ATOM)
    return 1, _fit(term.said, ADD + 1)


# Products


def _over_and_under(tree: Tree) -> tuple[list[Said], list[Said]]:
    """What stands above and below the line of a product, the sign left out."""
    over, under = coefficient_parts(tree.coefficient)
    for scalar in scalars_of(tree):
        base, e = (scalar.parts[0], scalar.exponent) if scalar.head == "power" else (scalar, 1)
        (over if e > 0 else under).append(_power(base, abs(Fraction(e))))
    return over, under


def _product(tree: Tree) -> Said:
    over, under = _over_and_under(tree)
    chain = chain_of(tree)
    if not over and len(under) == 1 and _is_rooted(tree):
        sign = "-" if tree.coefficient.value < 0 else ""
        (base,), exponent = tree.parts[0].parts, tree.parts[0].exponent
        return f"{sign}{_fit(base.said, ATOM)}^({exponent})", PRODUCT if sign else TIGHT
    if len(chain) == 1 and chain[0].head == "kron":
        return spread(tree).said
    if len(chain) == 1 and over and _inverse(chain[0]):
        text = "*".join(_fit(s, PRODUCT + 1) for s in over)
        text += "".join("/" + _fit(s, PRODUCT + 1) for s in under) + chain[0].text[1:]
        return ("-" if tree.coefficient.value < 0 else "") + text, PRODUCT
    if len(chain) == 1 and over and not under and chain[0].head == "entry":
        text = "*".join([*(_fit(s, PRODUCT + 1) for s in over), chain[0].text])
        return ("-" if tree.coefficient.value < 0 else "") + text, PRODUCT
    if not tree.parts and under:
        decimal = _decimal(abs(Fraction(tree.coefficient.value)))
        if decimal and not tree.coefficient.powers:
            return ("-" if tree.coefficient.value < 0 else "") + decimal, ATOM
    if len(chain) == 1 and not over:
        top = _fit(chain[0].said, PRODUCT) if under else chain[0].text
        binds = PRODUCT if under else chain[0].said[1]
    elif len(over) == 1 and not chain:
        top, binds = _fit(over[0], PRODUCT) if under else over[0][0], over[0][1]
    else:
        links = [_fit(s, PRODUCT + 1) for s in over] + _links(chain)
        top, binds = "*".join(links) or "1", PRODUCT if links else ATOM
    if under:
        below = "*".join(_fit(s, PRODUCT + 1) for s in under)
        top += "/" + (below if len(under) == 1 else f"({below})")
        binds = PRODUCT
    if tree.coefficient.value < 0:
        return "-" + _fit((top, binds), PRODUCT), PRODUCT
    return top, binds


def _is_rooted(tree: Tree) -> bool:
    """Whether a product is one root with a power, below the line: x^(-3/2), but 1/sqrt(x)."""
    if len(tree.parts) != 1 or tree.parts[0].head != "power":
        return False
    exponent = tree.parts[0].exponent
    return exponent.denominator > 1 and exponent < 0 and exponent != Fraction(-1, 2)


def _inverse(tree: Tree) -> bool:
    """Whether a product entry by entry has nothing above the line: 1./x."""
    parts = tree.parts if tree.head == "entry" else (tree,)
    return all(p.head == "raised" and p.exponent < 0 for p in parts)


def _decimal(value: Fraction) -> str | None:
    """A fraction of a power of ten as a decimal number."""
    power = len(str(value.denominator)) - 1
    if value.denominator != 10**power or power > 12:
        return None
    return f"{Decimal(value.numerator).scaleb(-power):f}"


def _links(chain: Sequence[Tree]) -> list[str]:
    """The links of a chain, runs of them as powers."""
    links: list[str] = []
    for link, count in runs(chain):
        if count > 1:  # a power of a power wants brackets, a power of a transpose does not
            links.append(f"{_fit(link.said, TIGHT)}^{count}")
        else:
            links.append(_fit(link.said, PRODUCT + 1))
    return links


def _power(base: Tree, exponent: Fraction) -> Said:
    """A positive power of a scalar; x'*x for the squared length of a vector with a name."""
    if base.word == "norm2" and exponent == 2 and base.parts[0].head == "name":
        (x,) = base.parts
        if x.shape[1] is None and x.axes == 2:
            return f"{x.word}{'^H' if x.is_complex else chr(39)}*{x.word}", PRODUCT
    if exponent == 1:
        return base.said
    if exponent == Fraction(1, 2):
        return f"sqrt({base.text})", ATOM
    return f"{_fit(base.said, ATOM)}^{_exponent(exponent)}", TIGHT


def _exponent(exponent: Fraction) -> str:
    plain = exponent.denominator == 1 and exponent > 0
    return str(exponent) if plain else f"({exponent})"


def _entry(tree: Tree) -> Said:
    """a.*b./c, powers as .^ and sqrt."""
    parts = tree.parts if tree.head == "entry" else (tree,)
    over = [_raised(p, 1) for p in parts if p.head != "raised" or p.exponent > 0]
    under = [_raised(p, -1) for p in parts if p.head == "raised" and p.exponent < 0]
    if len(over) == 1 and not under:
        return over[0]
    text = ".*".join(_fit(s, PRODUCT + 1) for s in over) or "1"
    return text + "".join("./" + _fit(s, PRODUCT + 1) for s in under), PRODUCT


def _raised(part: Tree, sign: int) -> Said:
    if part.head != "raised":
        return part.said
    base, exponent = part.parts[0], part.exponent * sign
    if exponent == 1:
        return base.said
    if exponent == Fraction(1, 2):
        return f"sqrt({base.text})", ATOM
    # below the transposes, so that (x.^2)' keeps its brackets
    return f"{_fit(base.said, ATOM)}.^{_exponent(exponent)}", TIGHT - 1


# Numbers


def coefficient_parts(coefficient: Coefficient) -> tuple[list[Said], list[Said]]:
    """The absolute value of a number as what stands above and below the line."""
    value = abs(Fraction(coefficient.value))
    over: list[Said] = []
    under: list[Said] = []
    top, bottom = number_text(value)
    if top != "1":
        over.append((top, ATOM))
    if bottom != "1":
        under.append((bottom, ATOM))
    for base, power in coefficient.powers:
        side = over if power > 0 else under
        side.append(_root(_base(base), abs(power)))
    return over, under


def number_text(value: Fraction) -> tuple[str, str]:
    """A fraction as above and below; as a decimal number where that is what a person typed.

    >>> number_text(Fraction(3, 2)), number_text(Fraction("0.123456"))
    (('3', '2'), ('0.123456', '1'))
    """
    if value.denominator <= 64 or (value.numerator == 1 and value.denominator < 1000):
        return str(value.numerator), str(value.denominator)
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest > 1 or value.denominator > 10**30:
        return str(value.numerator), str(value.denominator)
    decimal = (Decimal(value.numerator) / Decimal(value.denominator)).normalize()
    if Fraction(decimal) != value:
        return str(value.numerator), str(value.denominator)
    text = f"{decimal:f}"
    return (text if len(text) < 14 else str(decimal).replace("E", "e")), "1"


def _base(base: Base) -> Said:
    if base == "i":
        return "1i", ATOM
    text = str(base).replace(" ", "")
    if isinstance(base, Dimension) and len(base.terms) > 1:
        return text, ADD
    return text, PRODUCT if isinstance(base, Fraction) and base.denominator > 1 else ATOM


def _root(base: Said, exponent: Fraction) -> Said:
    if exponent == 1:
        return base
    if exponent == Fraction(1, 2):
        return f"sqrt({base[0]})", ATOM
    return f"{_fit(base, ATOM)}^{_exponent(exponent)}", TIGHT
