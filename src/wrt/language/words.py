"""Words: what a call means before any shape is known, and the rule for its kinds.

Everything about a word comes from its record. Only the words that take sizes, bind a name, or have
their shape from their surroundings are met here by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from wrt.expression.dataclass import dataclass
from wrt.expression.function import Function, Signature
from wrt.language import kinds
from wrt.language.kinds import ANY, COLUMN, MATRIX, ROW, SCALAR, Rule, bit
from wrt.language.syntax import Call, Name, Number, Syntax

__all__ = [
    "BOUNDED",
    "CONSTANTS",
    "FILLS",
    "LETTERS",
    "SIZED",
    "Use",
    "all_words",
    "book",
    "form_for",
    "use_of",
]

#: Words whose arguments are sizes, and how many of them they take.
SIZED: Mapping[str, tuple[int, ...]] = {
    "eye": (1,),
    "I": (1,),
    "ones": tuple(range(1, 9)),
    "zeros": tuple(range(1, 9)),
    "unit": (2,),
    "commutation": (2,),
}
#: Words that repeat a number over a shape, given or from the surroundings.
FILLS: Mapping[str, int] = {"vector": COLUMN, "matrix": MATRIX}
#: Letters that people write for a function, where no variable and no function has that name.
LETTERS: Mapping[str, str] = {"sigma": "sigmoid"}
#: Words over a named range.
BOUNDED = frozenset({"sum", "prod"})
#: Names that are constants where no variable has them.
CONSTANTS = frozenset({"pi", "I", "eye"})
#: Words that mean another record between two arrays.
BETWEEN: Mapping[str, str] = {"max": "maximum", "min": "minimum"}

#: Directions of a derivative of a matrix function that may be left open.
MOST_OPEN = 5

_VECTOR = bit(COLUMN) | bit(ROW)


@dataclass(frozen=True, eq=False)
class Use:
    """What a call means: how it is built, its operands (those that are formulas), its rule."""

    how: str
    operands: tuple[Syntax, ...]
    rule: Rule
    function: Function | None = None
    axis: int | None = None
    #: Whether a named scalar as an argument counts against a reading.
    wants_array: bool = False


def book() -> Mapping[str, Function]:
    """The records by word, loaded on first use."""
    from wrt.functions import BOOK

    return BOOK


def all_words() -> tuple[str, ...]:
    """Every word that can stand before a bracket."""
    return tuple(sorted({*book(), *SIZED, *FILLS, *BOUNDED, "einsum", "frechet"}))


def use_of(call: Call, functions: Mapping[str, Function]) -> Use | None:
    """What a call means; None for an unknown word or another number of arguments."""
    word, arguments = call.word, call.arguments
    if word in functions:
        return _undefined(functions[word], call)
    if call.primes:
        return None
    if word in BOUNDED and len(arguments) == 4 and isinstance(arguments[0], Name):
        rule = kinds.same if word == "sum" else kinds.scalar_or_matrix
        return Use("bounded", arguments[1:], rule)
    if word in SIZED:
        return _sized(word, arguments)
    if word in FILLS and len(arguments) in (1, 1 + kinds.axes(FILLS[word])):
        return Use("fill", arguments[:1], kinds.fixed((bit(SCALAR),), FILLS[word]))
    if word == "frechet":
        return _frechet(arguments)
    if word == "einsum":
        return Use("einsum", arguments[1:], kinds.same)
    if word == "kron" and len(arguments) == 2:
        return Use("kron", arguments, kinds.kron, wants_array=True)
    return _recorded(word, arguments)


def _undefined(function: Function, call: Call) -> Use | None:
    if len(call.arguments) != len(function.forms[0].arguments):
        return None
    if call.primes and (len(call.arguments) > 1 or function.defined):
        return None
    for _ in range(call.primes):
        function = function.prime()
    return Use("function", call.arguments, _rule(function), function)


def _sized(word: str, arguments: tuple[Syntax, ...]) -> Use | None:
    if len(arguments) not in SIZED[word]:
        return None
    made = {"unit": COLUMN}.get(word, MATRIX if word not in ("ones", "zeros") else None)
    kind = kinds.kind_of(len(arguments)) if made is None else made
    return Use("sized", (), kinds.fixed((), kind))


def _frechet(arguments: tuple[Syntax, ...]) -> Use | None:
    """`frechet(f, X, E, …)` along directions; a number at the end leaves so many of them open.

    What is open adds two axes each behind the first two; `frechet(f, X)` leaves one open.
    """
    from wrt.functions.matrix_functions import frechet

    first, *rest = arguments or (None,)
    if not isinstance(first, Name) or not rest:
        return None
    function = book().get(first.name)
    if function is None or not function.commuting:
        return None
    last = rest[-1]
    count = 1 if len(rest) == 1 else 0
    if len(rest) > 1 and isinstance(last, Number) and not last.imaginary:
        if last.value not in range(1, MOST_OPEN + 1):
            return None
        count, rest = int(last.value), rest[:-1]
    result = kinds.kind_of(2 + 2 * count)
    rule = kinds.fixed((bit(MATRIX),) * len(rest), result)
    return Use("frechet", tuple(rest), rule, frechet(first.name, len(rest) - 1 + count), count)


def _recorded(word: str, arguments: tuple[Syntax, ...]) -> Use | None:
    word = LETTERS.get(word, word)
    function, other = book().get(word), book().get(BETWEEN.get(word, ""))
    if function is None:
        return None
    count = len(arguments)
    if count == 2 and function.axis and _axis(arguments[1]):
        axis = _axis(arguments[1])
        assert axis is not None
        along = kinds.along(axis) if function.axis == "reduce" else kinds.matrix_only
        if other is None:
            return Use("axis", arguments[:1], along, function, axis, True)
        return Use("either", arguments, _along_or_between(axis), function, axis)
    if count == 2 and other is not None:
        return Use("function", arguments, kinds.entrywise, other)
    if not any(len(form.arguments) == count for form in function.forms):
        return None
    return Use("function", arguments, _rule(function), function, None, not function.entrywise)


def _axis(part: Syntax) -> int | None:
    if isinstance(part, Number) and part.value in (1, 2) and not part.imaginary:
        return int(part.value)
    return None


@lru_cache(maxsize=8)
def _along_or_between(axis: int) -> Rule:
    """max(X, 1) goes down the columns of a matrix; max(x, 1) is entry by entry elsewhere."""
    along = kinds.along(axis)

    def rule(of: tuple[int, ...]) -> int | None:
        return along(of[:1]) if of[0] == MATRIX else kinds.entrywise(of)

    return rule


@lru_cache(maxsize=512)
def _rule(function: Function) -> Rule:
    """The rule for kinds that the signatures of a record say."""
    if function.entrywise:
        return kinds.entrywise
    return kinds.either(*(_form_rule(form) for form in function.forms))


def _form_rule(form: Signature) -> Rule:
    wanted = tuple(_wanted(a.dims) if a.kind == "array" else bit(SCALAR) for a in form.arguments)
    result = form.results[0].dims
    if result is None and len(form.arguments) == 1:
        return kinds.same
    made = SCALAR if result is None else kinds.kind_of(len(result))
    lone_vector = wanted == (_VECTOR,) and made == COLUMN
    rule = kinds.fixed(wanted, made, lone_vector)

    def counted(of: tuple[int, ...]) -> int | None:
        return rule(of) if len(of) == len(wanted) else None

    return counted


def _wanted(dims: tuple[object, ...] | None) -> int:
    if dims is None:
        return ANY
    return _VECTOR if len(dims) == 1 else bit(kinds.kind_of(len(dims)))


def form_for(function: Function, of: tuple[int, ...]) -> Signature | None:
    """The signature that fits the kinds of the arguments."""
    return next((form for form in function.forms if _form_rule(form)(of) is not None), None)
