"""What a person declares: the shape of a name, its properties, or that it is a function."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from wrt.errors import ShapeMistake, SyntaxMistake
from wrt.expression.dataclass import dataclass
from wrt.expression.dimensions import Dimension, parse_dimensions, spaced_out
from wrt.expression.function import PROPERTIES, Function, undefined
from wrt.expression.nodes import Variable
from wrt.language.kinds import MOST_AXES
from wrt.language.lexer import spelled

__all__ = ["Shape", "Shapes", "declared", "declared_shapes"]

#: A shape as a person gives it: text, one size, or a sequence of names and sizes.
Shape = str | int | Dimension | Sequence[str | int | Dimension]
Shapes = Mapping[str, Shape]

_NAME = re.compile(r"[^\W\d]\w*")
#: Properties that speak of a square matrix.
_SQUARE = PROPERTIES - {"positive", "simplex", "complex"}
#: What properties are called elsewhere.
_ELSEWHERE = {
    **dict.fromkeys(("definite", "posdef", "psd", "semidefinite", "hpd", "covariance"), "spd"),
    **dict.fromkeys(("antisymmetric", "skewsymmetric"), "skew"),
    "sym": "symmetric",
    "diag": "diagonal",
    "triangular": "lower or upper",
    "nonsingular": "invertible",
    "probability": "simplex",
}
#: What follows of a property that is declared, as far as contradictions go.
_FOLLOWS = {"spd": ("symmetric", "invertible"), "orthogonal": ("invertible",)}
#: Pairs that no matrix of more than one entry has, and why.
_CONTRADICTIONS: tuple[tuple[str, str, str], ...] = (
    ("skew", "spd", "a skew matrix has x'*A*x = 0, an spd one x'*A*x > 0"),
    ("skew", "symmetric", "only the zero matrix is both"),
    (
        "skew",
        "diagonal",
        "only the zero matrix is both",
    ),
    ("skew", "lower", "only the zero matrix is both"),
    ("skew", "upper", "only the zero matrix is both"),
    ("skew", "positive", "the diagonal of a skew matrix is 0"),
    ("skew", "simplex", "only the zero matrix is skew with no entry below 0"),
    ("positive", "diagonal", "positive says that every entry is above 0, also off the diagonal"),
    ("positive", "lower", "positive says that every entry is above 0, also above the diagonal"),
    ("positive", "upper", "positive says that every entry is above 0, also below the diagonal"),
    ("positive", "orthogonal", "the columns of a matrix of positive entries are not orthogonal"),
    ("simplex", "orthogonal", "the squares of an orthogonal matrix sum to 1 in every column"),
    ("spd", "orthogonal", "only the identity is both"),
    ("complex", "positive", "positive entries are real"),
    ("complex", "simplex", "the entries of a simplex are real"),
    ("complex", "spd", "spd matrices are real"),
)


@dataclass(frozen=True)
class Declared:
    """The dimensions and properties of a variable."""

    dims: tuple[Dimension, ...]
    properties: frozenset[str] = frozenset()


#: What people put between two axes.
_CROSS = re.compile(r"\b(\d+)x(?=\d)|(\w)\s+x\s+(?=\w)|(\w)\s*×\s*(?=\w)")


def declared_shapes(shapes: Shapes | None) -> dict[str, Declared | Function]:
    """What is declared of every name, by its spelled form.

    >>> declared_shapes({"Σ": "n n symmetric"})["Sigma"].properties
    frozenset({'symmetric'})
    """
    found: dict[str, Declared | Function] = {}
    for name, shape in (shapes or {}).items():
        plain = _plain(str(name))
        if not _NAME.fullmatch(plain):
            raise SyntaxMistake(f"{name!r} is declared, but it is no name")
        found[plain] = declared(plain, shape)
    return found


def _plain(name: str) -> str:
    """A name in its spelled form, that of LaTeX too."""
    if not any(sign in name for sign in "\\{}"):
        return spelled(name)
    from wrt.language.latex_lines import plain_name

    return plain_name(name)


def declared(name: str, shape: Shape) -> Declared | Function:
    """A declaration read: `"n m"`, `"n n symmetric"`, `""`, `(3, "n")`, `"entrywise"`, `"n -> m"`.

    >>> declared("W", "n 3").dims
    (Dimension('n'), Dimension('3'))
    >>> declared("phi", "n -> m").name
    'phi'
    """
    if isinstance(shape, str):
        if "->" in shape or "→" in shape:
            return _function(name, shape.replace("→", "->"))
        if shape.strip() == "entrywise":
            return undefined(name, [()], ())
        return _text(name, shape)
    sizes = (shape,) if isinstance(shape, (int, Dimension)) else tuple(shape)
    return _checked(name, tuple(_size(name, size) for size in sizes), frozenset())


def _size(name: str, size: str | int | Dimension) -> Dimension:
    if isinstance(size, bool) or not isinstance(size, (str, int, Dimension)):
        raise ShapeMistake(f"{name}: {size!r} is no size; a name or a whole number is")
    return _one(name, size) if isinstance(size, str) else Dimension.of(size)


def _function(name: str, shape: str) -> Function:
    left, _, right = shape.partition("->")
    groups = [_dims(name, part) for part in left.split(",")]
    return undefined(name, groups, _dims(name, right))


def _dims(name: str, text: str) -> tuple[Dimension, ...]:
    words = [] if text.strip() in ("", "scalar") else text.split()
    return _checked(name, tuple(_one(name, w) for w in words), frozenset()).dims


def _text(name: str, shape: str) -> Declared:
    words = spaced_out(shape)
    if words == ["scalar"]:
        return Declared(())
    properties = frozenset(w for w in words if w in PROPERTIES)
    axes = [w for w in words if w not in PROPERTIES]
    if _CROSS.search(shape):
        raise ShapeMistake(
            f"{name}: the axes in {shape!r} stand side by side, without a sign between them",
            hint=f'as in "{_CROSS.sub(lambda sign: f"{sign[sign.lastindex or 0]} ", shape)}"',
        )
    return _checked(name, tuple(_one(name, w) for w in axes), properties)


def _known_words_like(word: str) -> list[str]:
    from difflib import get_close_matches

    last = re.split("[-_]", word)[-1]
    for known in (word.replace("-", "").replace("_", ""), last):
        if known in _ELSEWHERE:
            return [_ELSEWHERE[known]]
    return get_close_matches(word, sorted([*PROPERTIES, "entrywise", "scalar"]), 1, 0.75)


def _one(name: str, word: str) -> Dimension:
    close = _known_words_like(word) if len(word) > 3 or word in _ELSEWHERE else []
    if close:
        raise ShapeMistake(f"{name}: {word!r} is no property", hint=f"did you mean {close[0]}?")
    try:
        (dim,) = parse_dimensions(spelled(word))
    except (ShapeMistake, ValueError) as error:
        raise ShapeMistake(
            f'{name}: {word!r} is no dimension; a name or a whole number is, as in "n 4"'
        ) from error
    return dim


def _checked(name: str, dims: tuple[Dimension, ...], properties: frozenset[str]) -> Declared:
    for dim in dims:
        if dim.value is not None and dim.value < 1:
            raise ShapeMistake(f"{name}: a dimension of {dim} is refused; sizes begin at 1")
    if len(dims) > MOST_AXES:
        raise ShapeMistake(f"{name}: {len(dims)} axes are refused; the limit is {MOST_AXES}")
    square = sorted(properties & _SQUARE)
    if square and not (len(dims) == 2 and (dims[0] is dims[1] or square == ["toeplitz"])):
        shown = " ".join(map(str, dims)) or "a scalar"
        raise ShapeMistake(f"{name}: only a square matrix is {square[0]}, and {shown} is not")
    return Declared(dims, _consistent(name, properties))


def _consistent(name: str, properties: frozenset[str]) -> frozenset[str]:
    """Properties that can hold together; a triangular matrix that is symmetric, orthogonal or
    triangular the other way is diagonal.
    """
    follows = {p: by for by in sorted(properties) for p in _FOLLOWS.get(by, ())}
    held = properties | set(follows)
    for one, other, why in _CONTRADICTIONS:
        if {one, other} <= held:
            said = sorted({follows.get(one, one), follows.get(other, other)})
            raise ShapeMistake(f"{name}: no matrix is {said[0]} and {said[1]}: {why}")
    triangular = {"lower", "upper"} & held
    more = {"lower", "upper", "symmetric", "orthogonal"} & held
    return properties | {"diagonal"} if triangular and len(more) > 1 else properties


def variable(name: str, declaration: Declared) -> Variable:
    """The variable of a declaration."""
    return Variable(name, declaration.dims, declaration.properties)
