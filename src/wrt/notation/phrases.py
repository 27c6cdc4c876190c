"""Phrases made of others, each put as a person would: matrices with a name, products, powers,
transposes.

A number comes out to the front of a product, a row times a column is a number, a transpose goes to
the parts where that needs fewer marks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from wrt.expression.coefficient import ONE, ZERO, Coefficient
from wrt.expression.dataclass import replace
from wrt.expression.dimensions import Dimension
from wrt.notation.tree import LETTERS, SCALAR, Exponent, Shape, Tree, call, cheaper, literal

__all__ = [
    "chain_of",
    "diagonal",
    "diagonal_of",
    "entrywise",
    "eye",
    "flip",
    "is_ones",
    "ones",
    "pick",
    "power",
    "raised",
    "scalars_of",
    "spread",
    "times",
    "transposed",
    "wrapped",
    "zeros",
]


# Matrices with a name


def eye(dim: Dimension) -> Tree:
    """The identity matrix, with its size."""
    return call("eye", [literal(_tight(dim))], (dim, dim), latex="I")


def ones(shape: Shape) -> Tree:
    """A column, row or matrix of ones."""
    rows, columns = shape
    if rows is None:
        assert columns is not None
        return wrapped(ones((columns, None)))
    sizes = [rows] if columns is None else [rows, columns]
    return call("ones", [literal(_tight(d)) for d in sizes], shape, latex=r"\mathbf{1}")


def zeros(shape: Shape) -> Tree:
    """Zero: the number, or a column, row or matrix of zeros."""
    if shape == SCALAR:
        return Tree("product", coefficient=ZERO)
    if shape[0] is None:
        return wrapped(zeros(shape[::-1]))
    sizes = [literal(_tight(d)) for d in shape if d is not None]
    return call("zeros", sizes, shape, latex=r"\mathbf{0}")


def _tight(dim: Dimension) -> str:
    return str(dim).replace(" ", "")


def is_ones(tree: Tree) -> bool:
    """Whether this is ones, as a column, a row or a matrix."""
    return tree.word == "ones" or (tree.head == "transpose" and is_ones(tree.parts[0]))


def diagonal(vector: Tree) -> Tree:
    """The diagonal matrix of a column; a coefficient comes out."""
    side = vector.shape[0]
    assert side is not None
    if is_ones(vector):
        return eye(side)
    if vector.head == "product" and (vector.coefficient != ONE or scalars_of(vector)):
        return times(vector.coefficient, [*scalars_of(vector), diagonal(_bare(vector))])
    if vector.head == "transpose" and vector.parts[0].head == "call":
        vector = vector.parts[0]  # diag of a row is that of the column
    return call("diag", [vector], (side, side), flips=True, latex=r"\operatorname{diag}(@0)")


def _bare(tree: Tree) -> Tree:
    """A product without its coefficient and scalars."""
    return times(ONE, chain_of(tree)) if chain_of(tree) else times(ONE, [])


def diagonal_of(matrix: Tree) -> Tree:
    """The diagonal of a matrix as a column."""
    if matrix.head == "product":
        return times(matrix.coefficient, [*scalars_of(matrix), _diagonal(_bare(matrix))])
    return _diagonal(matrix)


def _diagonal(matrix: Tree) -> Tree:
    matrix = cheaper(matrix, flip(matrix))
    if matrix.head == "transpose":
        matrix = matrix.parts[0]
    return call("diag", [matrix], (matrix.shape[0], None), latex=r"\operatorname{diag}(@0)")


def pick(tree: Tree, items: Sequence[str], shape: Shape, axes: int = 2) -> Tree:
    """Entries or slices; `items` is what stands in the square brackets."""
    if tree.head == "product" and not tree.coefficient.is_one:
        rest = times(ONE, [*scalars_of(tree), *chain_of(tree)])
        return times(tree.coefficient, [pick(rest, items, shape, axes)])
    if tree.head == "conj":
        inner = pick(tree.parts[0], items, shape, axes)
        return Tree("conj", "", (inner,), inner.shape, axes=axes)
    if tree.head == "transpose" and len(items) == 2:
        return flip(pick(tree.parts[0], items[::-1], shape[::-1]))
    return Tree("index", ",".join(items), (tree,), shape, axes=axes)


# Products


def scalars_of(tree: Tree) -> tuple[Tree, ...]:
    """The scalar parts of a product; of anything else, itself where it is a scalar."""
    return tree.sorted_parts[0]


def chain_of(tree: Tree) -> tuple[Tree, ...]:
    """The matrices and vectors of a product in order; of anything else, itself where it is one."""
    return tree.sorted_parts[1]


def times(coefficient: Coefficient, parts: Iterable[Tree]) -> Tree:
    """The product, flat: scalars may stand anywhere, matrices and vectors multiply in order."""
    scalars: dict[Tree, Exponent] = {}
    chain: list[Tree] = []
    stack = list(parts)[::-1]
    while stack:
        part = stack.pop()
        if part.head == "product":
            if not part.coefficient.is_one:
                coefficient = coefficient * part.coefficient
            stack.extend(reversed(part.parts))
        elif not part.is_array:
            base, exponent = (part.parts[0], part.exponent) if part.head == "power" else (part, 1)
            scalars[base] = scalars.get(base, 0) + exponent
        else:
            chain.append(part)
            if part.axes == 2 and part.shape[1] is None:
                closed = _closed(chain)
                if closed is not None:
                    scalars[closed] = scalars.get(closed, 0) + 1
    if coefficient.value == 0:
        return zeros(_shape(chain))
    chain = _recognized(chain)
    if coefficient.powers:
        coefficient, scalars, chain = _means(coefficient, scalars, chain)
    if len(scalars) > 1 and not all(b.is_real for b in scalars):
        scalars = _moduli(scalars)
    kept = sorted((_powered(b, e) for b, e in scalars.items() if e), key=_names_first)
    if coefficient == ONE and len(kept) + len(chain) == 1:
        return (kept + chain)[0]
    axes = max((p.axes for p in chain), default=2)
    return Tree("product", "", (*kept, *chain), _shape(chain), coefficient, axes=axes)


def _is_inverse(link: Tree) -> bool:
    return link.word == "inv" or (link.head == "transpose" and link.parts[0].word == "inv")


def _recognized(chain: list[Tree]) -> list[Tree]:
    """The links of a product; inv(Y'*Y)*Y' has a word."""
    if len(chain) < 2 or not any(map(_is_inverse, chain)):
        return chain
    from wrt.notation.inverses import pseudoinverses

    return pseudoinverses(chain)


def _means(
    coefficient: Coefficient, scalars: dict[Tree, Exponent], chain: list[Tree]
) -> tuple[Coefficient, dict[Tree, Exponent], list[Tree]]:
    """A sum over entries divided by how many there are is their mean."""
    powers: dict[Tree, Exponent] = {}
    for base, e in scalars.items():
        if e == 1:
            coefficient, base = _mean(coefficient, base)
        powers[base] = powers.get(base, 0) + e
    links = []
    for link in chain:
        coefficient, link = _mean(coefficient, link)
        links.append(link)
    return coefficient, powers, links


def _mean(coefficient: Coefficient, part: Tree) -> tuple[Coefficient, Tree]:
    if part.head == "transpose":
        coefficient, inner = _mean(coefficient, part.parts[0])
        return coefficient, wrapped(inner)
    if part.word != "sum" or len(part.parts) > 2:
        return coefficient, part
    shape = part.parts[0].shape
    sides = {"1": shape[:1], "2": shape[1:]}.get(part.parts[-1].word, shape)
    counted = [d for d in sides if d is not None]
    powers = dict(coefficient.powers)
    if not counted or any(powers.get(d, 0) > -counted.count(d) for d in counted):
        return coefficient, part
    for d in counted:
        coefficient = coefficient * Coefficient.of(d)
    template = r"\operatorname{mean}(@0)" if part.latex else ""
    return coefficient, replace(part, word="mean", latex=template)


def _names_first(scalar: Tree) -> tuple[object, ...]:
    """Names, then what is made of them, then entries, δ first, in the order of their letters."""
    base = scalar.parts[0] if scalar.head == "power" else scalar
    if base.letters is not None:
        rank = 3 if base.parts[0].word == "δ" else 4
        return rank, sorted(map(_letter_rank, base.letters)), scalar.order, scalar.key
    rank = 5 if base.is_lettered else {"name": 0, "index": 1, "dot": 1}.get(base.head, 2)
    return rank, [], scalar.order, scalar.key


def _letter_rank(letter: str) -> tuple[int, str]:
    """Letters of f before those of x, and these before those of a second x."""
    return LETTERS.find(letter) % 100, letter


def _shape(chain: Sequence[Tree]) -> Shape:
    return (chain[0].shape[0], chain[-1].shape[1]) if chain else SCALAR


def _closed(chain: list[Tree]) -> Tree | None:
    """Take a finished row-times-column off the end of a chain."""
    for start in range(len(chain) - 1, -1, -1):
        if chain[start].shape[0] is None:
            segment = chain[start:]
            del chain[start:]
            return _dot(segment)
    return None


def _dot(chain: Sequence[Tree]) -> Tree:
    """Row times … times column, the way round that needs fewer transposes."""
    chain = _recognized(list(chain))
    ahead = Tree("dot", "", tuple(chain))
    back = Tree("dot", "", tuple(flip(p) for p in reversed(chain)))
    return cheaper(ahead, back)


def power(base: Tree, exponent: Exponent) -> Tree:
    """A power of a scalar."""
    exponent = Fraction(exponent)
    if base.head == "product":
        c = base.coefficient
        if not c.value and exponent > 0:
            return base
        whole = exponent.denominator == 1
        if whole or (c.has_real_root() and len(base.parts) <= 1):
            return times(c**exponent, [power(p, exponent) for p in base.parts])
        if c.has_real_root() and c != ONE:
            rest = times(ONE, base.parts)
            return times(c**exponent, [_powered(rest, exponent)])
        return _powered(_upright(base), exponent)
    if base.head == "power":
        inner = base.parts[0]
        if exponent.denominator == 1 or inner.word in ("norm2", "abs"):
            return _powered(inner, base.exponent * exponent)
    return _powered(base, exponent)


def _upright(base: Tree) -> Tree:
    """What stands below a root: x^2-1, not -(1-x^2)."""
    from wrt.notation.signs import settled

    return settled(base) if base.coefficient.value < 0 else base


def _powered(base: Tree, exponent: Exponent) -> Tree:
    return base if exponent == 1 else Tree("power", "", (base,), exponent=Fraction(exponent))


def spread(tree: Tree) -> Tree:
    """Numbers before a ⊗ taken into its first factor."""
    chain = chain_of(tree)
    if tree.head != "product" or len(chain) != 1 or chain[0].head != "kron":
        return tree
    first, *rest = chain[0].parts
    first = times(tree.coefficient, [*scalars_of(tree), first])
    return replace(chain[0], parts=(first, *rest))


# Entry by entry


def raised(base: Tree, exponent: Exponent) -> Tree:
    """A power entry by entry."""
    exponent = Fraction(exponent)
    if not base.is_array:
        return power(base, exponent)
    if exponent == 1 or is_ones(base):
        return base
    whole = exponent.denominator == 1
    if base.head == "product":
        c, scalars = base.coefficient, scalars_of(base)
        if (c != ONE or scalars) and (whole or (c.has_real_root() and not scalars)):
            inside = raised(_bare(base), exponent)
            return times(c**exponent, [*(power(s, exponent) for s in scalars), inside])
        base = _upright(base)
    if base.head == "raised" and (whole or base.parts[0].word == "abs"):
        return raised(base.parts[0], base.exponent * exponent)
    if base.head == "entry" and whole:
        return entrywise([raised(p, exponent) for p in base.parts])
    return Tree("raised", "", (base,), base.shape, exponent=exponent, axes=base.axes)


def entrywise(parts: Iterable[Tree]) -> Tree:
    """The product entry by entry of phrases of one shape; scalars among them come out."""
    coefficient = ONE
    scalars: list[Tree] = []
    powers: dict[Tree, Exponent] = {}
    shape = SCALAR
    stack = list(parts)[::-1]
    while stack:
        part = stack.pop()
        shape = part.shape if part.is_array else shape
        if part.head == "product" and (part.coefficient != ONE or scalars_of(part)):
            coefficient = coefficient * part.coefficient
            scalars += scalars_of(part)
            part = _bare(part)
        if not part.is_array:
            scalars.append(part)
        elif part.head == "entry":
            stack.extend(reversed(part.parts))
        elif not is_ones(part):
            base, e = (part.parts[0], part.exponent) if part.head == "raised" else (part, 1)
            powers[base] = powers.get(base, 0) + e
    if len(powers) > 1 and not all(b.is_real for b in powers):
        powers = _moduli(powers)
    kept = sorted((raised(b, e) for b, e in powers.items() if e), key=lambda t: t.order)
    if not kept:
        made = [ones(shape)] if shape != SCALAR else []
        return times(coefficient, [*scalars, *made])
    made = kept if len(kept) == 1 else [Tree("entry", "", tuple(kept), kept[0].shape)]
    return times(coefficient, [*scalars, *made])


def _moduli(powers: dict[Tree, Exponent]) -> dict[Tree, Exponent]:
    from wrt.notation.conjugates import moduli

    return moduli(powers)


# Transposes


def wrapped(tree: Tree) -> Tree:
    """The transpose as a mark behind the phrase."""
    if tree.head == "transpose":
        return tree.parts[0]
    if tree.head == "product" and tree.is_array and not tree.coefficient.is_one:
        rest = times(ONE, [*scalars_of(tree), *chain_of(tree)])
        return times(tree.coefficient, [wrapped(rest)])
    return Tree("transpose", "", (tree,), tree.shape[::-1])


def flip(tree: Tree) -> Tree:
    """The transpose, in the way that a person would write it."""
    return tree.flipped if tree.is_array else tree


def transposed(tree: Tree) -> Tree:
    """The transpose of a matrix or vector; `flip` remembers it."""
    if tree.head == "transpose":
        return tree.parts[0]
    if tree.head == "product":
        chain = [flip(p) for p in reversed(chain_of(tree))]
        return times(tree.coefficient, [*scalars_of(tree), *chain])
    if None in tree.shape:
        return wrapped(tree)
    if tree.head == "name":
        return tree if tree.flips else wrapped(tree)
    if tree.head == "conj":
        return tree if flip(tree.parts[0]) == tree.parts[0] else wrapped(tree)
    if tree.word in ("eye", "diag"):
        return tree
    if is_ones(tree):
        return ones(tree.shape[::-1])
    if tree.head == "unvec":
        said, column = tree.parts
        return replace(
            tree, parts=(flip(said), column), shape=tree.shape[::-1], flips=not tree.flips
        )
    pushed = _pushed(tree)
    if pushed is None:
        return wrapped(tree)
    if pushed == tree:
        return tree
    held, names, marks = wrapped(tree), *pushed.cost[:2]
    marks += tree.head == pushed.head == "sum"  # which has brackets where it is a factor
    return pushed if (names, marks) < held.cost[:2] else held


def _pushed(tree: Tree) -> Tree | None:
    """The transpose with its mark on the parts, where that means the same."""
    if tree.head == "sum":
        from wrt.notation.sums import collected

        return collected([flip(p) for p in tree.parts])
    if tree.head == "entry":
        return entrywise([flip(p) for p in tree.parts])
    if tree.head in ("raised", "kron") or (tree.head == "call" and tree.flips):
        parts = tuple(flip(p) for p in tree.parts)
        return replace(tree, parts=parts, shape=tree.shape[::-1])
    return None
