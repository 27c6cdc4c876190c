"""The wording of what is wrong with a text: quoted, pointed at, explained, with what would work."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from wrt.errors import Mistake, NameMistake, ShapeMistake, SyntaxMistake
from wrt.expression.dimensions import Dimension, show_dimensions
from wrt.language.kinds import COLUMN, MATRIX, ROW, SCALAR, axes, described
from wrt.language.lexer import letter_class
from wrt.language.syntax import (
    Bracket,
    Call,
    Index,
    Infix,
    Line,
    Name,
    Number,
    Postfix,
    Syntax,
    Words,
    postorder,
)

if TYPE_CHECKING:
    from wrt.expression.function import Function
    from wrt.language.elaboration import Elaboration

#: Quoted parts longer than this are cut.
QUOTED = 40


def quoted(text: str, part: Syntax) -> str:
    """A part as it was written, cut where it is long."""
    written = " ".join(text[part.span[0] : part.span[1]].split())
    return written if len(written) <= QUOTED else written[: QUOTED - 1] + "…"


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The known word that is nearest.

    >>> did_you_mean("sofmax", ["softmax", "sum"])
    'did you mean softmax?'
    """
    import difflib

    near = difflib.get_close_matches(word, sorted(set(known)), 3, 0.6)
    near = [k for k in near if k[0] == word[0] or _likeness(k, word) > 0.7][:1]
    swapped = [k for k in known if sorted(k.lower()) == sorted(word.lower())]
    chosen = sorted(swapped)[:1] or near
    return f"did you mean {chosen[0]}?" if chosen and chosen[0] != word else None


def _likeness(one: str, other: str) -> float:
    import difflib

    return difflib.SequenceMatcher(None, one, other).ratio()


# Names and words


def unknown_name(name: str, known: Sequence[str]) -> NameMistake:
    """A name asked for that the formula lacks."""
    listed = ", ".join(sorted(dict.fromkeys(known))[:12]) or "none"
    hint = did_you_mean(name, known) or f"its names are {listed}"
    return NameMistake(f"the formula has no name {name}", text=name, span=(0, len(name)), hint=hint)


def unknown_line(target: str, lines: Mapping[str, Line]) -> NameMistake:
    """A line asked for that no line defines."""
    hint = did_you_mean(target, lines) or f"the lines define {', '.join(lines) or 'nothing'}"
    return NameMistake(f"no line defines {target}", hint=hint)


def word_without_brackets(text: str, part: Name) -> NameMistake:
    """A word of the book standing alone."""
    name = part.name
    return NameMistake(
        f"{name} is a function and wants its arguments in brackets",
        text=text,
        span=part.span,
        hint=f"perhaps {name}(…); declare {name} to use it as a name",
    )


def call(
    text: str, part: Call, functions: Mapping[str, Function], variables: Iterable[str]
) -> Mistake:
    """A call of something that is no function, or with another number of arguments."""
    from wrt.language.foreign import said_here
    from wrt.language.words import BOUNDED, SIZED, all_words, book

    word = part.word
    function = functions.get(word) or book().get(word)
    if function is not None and part.primes and word not in functions:
        return NameMistake(
            f"{word}' is written for functions that nobody defined; {word} has a derivative",
            text=text,
            span=part.span,
        )
    if function is not None or word in all_words():
        wanted = [form.text for form in function.forms] if function else []
        if word in SIZED:
            wanted = {"unit": ["unit(n, k)"], "eye": ["eye(n)"], "I": ["I or eye(n)"]}.get(
                word, [f"{word}(n)"] * (word != "commutation") + [f"{word}(n, m)"]
            )
        count = len(part.arguments)
        message = f"{word} does not take {count} argument{'s' * (count != 1)}"
        hint = "it is " + " or ".join(wanted) if wanted else None
        if function is not None and function.axis:
            hint = f"perhaps {word}(x), {word}(X,1) over each column or {word}(X,2) over each row"
        if word in BOUNDED and count == 3:
            hint = f"perhaps {word}(k, 1, n, …), with the term last"
        return SyntaxMistake(message, text=text, span=part.span, hint=hint)
    if word in variables:
        inside = text[part.word_span[1] : part.span[1]]
        inside = inside if len(inside) <= QUOTED else "(…)"
        return NameMistake(
            f"{word} is a variable here and no function",
            text=text,
            span=part.word_span,
            hint=f"perhaps {word}*{inside.lstrip(chr(39))}",
        )
    if part.arguments and all(isinstance(one, Number) for one in part.arguments):
        entry = text[part.word_span[1] + 1 : part.span[1] - 1]
        if letter_class(word) != "scalar" and entry.strip():
            return NameMistake(
                f"nobody knows a function {word}",
                text=text,
                span=part.word_span,
                hint=f"perhaps {word}[{entry}], an entry",
            )
    near = said_here(word) or did_you_mean(word, [*all_words(), *functions])
    declare = f"declare it, as in `{word}: entrywise` on a line of its own"
    if _is_latex(text):
        shown = text[slice(*part.word_span)]
        declare = f"declare it, as in --shape {word}=entrywise; a product is {shown} \\cdot (…)"
    hint = near or declare
    if letter_class(word) == "matrix" or len(word) == 1:
        hint = near or f"perhaps {word}*(…), a product; or declare `{word}: entrywise`"
    return NameMistake(f"nobody knows a function {word}", text=text, span=part.word_span, hint=hint)


def _is_latex(text: str) -> bool:
    if "\\" not in text:
        return False
    from wrt.language.latex_tokens import is_latex

    return is_latex(text)


def einsum(text: str, part: Call) -> SyntaxMistake:
    """An einsum whose letters do not fit."""
    message = "einsum wants its letters first, one group for each array"
    letters = (
        part.arguments[0].text if part.arguments and isinstance(part.arguments[0], Words) else ""
    )
    left, arrow, right = letters.partition("->")
    lost = "".join(sorted({*right} - {*left}))
    if letters and not arrow:
        message = "einsum wants an arrow and the letters of the result"
    elif lost:
        message = f"the letter {lost[0]} of the result stands on none of the arrays"
    return SyntaxMistake(
        message,
        text=text,
        span=part.span,
        hint='as in einsum("ijk,k->ij", T, x)',
    )


def stray_words(text: str, part: Words) -> SyntaxMistake:
    """A quoted text where a formula belongs."""
    return SyntaxMistake(
        "a quoted text stands only in einsum",
        text=text,
        span=part.span,
        hint='as in einsum("ijk,k->ij", T, x)',
    )


def defined_twice(text: str, line: Line) -> NameMistake:
    """A second line for one name."""
    return NameMistake(f"{line.target} is defined twice", text=text, span=line.span)


def defined_by_itself(text: str, line: Line) -> NameMistake:
    """A line that needs its own result."""
    return NameMistake(f"{line.target} is defined by itself", text=text, span=line.span)


#: A name at a step: s[t-1], s_{t-1}; what follows may be the = that defines it.
_STEPS = (r"\b(\w+)\[(\w)([+-]\d+)?\](\s*=)?", r"(\w\}?)_\{?(\w)([+-]\d+)?\}?(\s*&?=)?")


def is_recurrence(text: str) -> bool:
    r"""Whether a text says what happens from step to step.

    >>> [is_recurrence(t) for t in ("s[t] = W*s[t-1]", r"s_t = \tanh(s_{t-1})", "C[i] = x[i]; C")]
    [True, True, False]
    """
    for pattern in _STEPS:
        met = [m.groups() for m in re.finditer(pattern, text)]
        defined = [(name, step, shift) for name, step, shift, equals in met if equals]
        for name, step, shift in defined:
            shifts = {one[2] for one in met if one[:2] == (name, step)}
            if shifts - {shift}:
                return True
    return False


def recurrence(text: str) -> SyntaxMistake:
    """Lines of a recurrence where a formula is wanted."""
    return SyntaxMistake(
        "this is a recurrence: a line that reads its own step before",
        text=text,
        hint='wrt recurrence "…" NAME differentiates it through all steps, in Python '
        'wrt.recurrence("…")',
    )


# Sizes


def variable_as_size(text: str, part: Name) -> NameMistake:
    """A variable where a size belongs; perhaps that of a range, which picks no entries."""
    if re.search(rf"\b(sum|prod)\(\s*{re.escape(part.name)}\s*,", text):
        return NameMistake(
            f"{part.name} runs over a range, and such a name is a number: it picks no entries",
            text=text,
            span=part.span,
            hint="sums over entries have letters and no range, as in f = x[i]*y[i], "
            "or are sums of arrays, as sum(x.*y)",
        )
    before = text[: part.span[0]]
    hint = "sizes are whole numbers and the names of dimensions"
    if before.count("[") > before.count("]"):
        hint = "entries by letters need a line that says which are kept, as in y[i] = A[i,j]*x[j]"
    return NameMistake(
        f"a size is wanted here, and {part.name} is none", text=text, span=part.span, hint=hint
    )


def no_size(text: str, part: Syntax) -> ShapeMistake:
    """An expression where a size belongs."""
    return ShapeMistake(
        f"a size is wanted here, and {quoted(text, part)} is none",
        text=text,
        span=part.span,
        hint="sizes are whole numbers and names of dimensions, as n, 3 or n*m+1",
    )


def ragged(text: str, part: Bracket) -> ShapeMistake:
    """A matrix whose rows are of different lengths."""
    lengths = ", ".join(str(len(row)) for row in part.rows)
    return ShapeMistake(
        f"the rows of a matrix are equally long, and these have {lengths} entries",
        text=text,
        span=part.span,
    )


# Kinds


def by_letters(names: Iterable[str], kinds: Mapping[str, str] | None = None) -> str:
    """`(y and z read as vectors by their letters)` for the undeclared ones of some names."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(letter_class(name), []).append(name)
    said = []
    for kind, members in groups.items():
        plural = {"matrix": "matrices"}.get(kind, kind + "s")
        one = len(members) == 1
        listed = members[0] if one else ", ".join(members[:-1]) + " and " + members[-1]
        said.append(f"{listed} read as {'a ' + kind if one else plural}")
    letters = "its letter" if sum(map(len, groups.values())) == 1 else "their letters"
    return f" ({', '.join(said)} by {letters})" if said else ""


def _three_products(text: str, part: Infix) -> str:
    left, right = quoted(text, part.left), quoted(text, part.right)
    if isinstance(part.left, Postfix) and isinstance(part.right, Postfix):
        plain = (quoted(text, part.left.operand), quoted(text, part.right.operand))
        return (
            f"perhaps {left}*{plain[1]} (inner product), {plain[0]}*{right} (outer product) "
            f"or {plain[0]}.*{plain[1]} (entry by entry)"
        )
    left = f"({left})" if isinstance(part.left, Infix) and left[0] != "(" else left
    return (
        f"perhaps {_turned(left)}*{right} (inner product), {left}*{_turned(right)} (outer product) "
        f"or {left}.*{right} (entry by entry)"
    )


def _turned(text: str) -> str:
    """The transpose of a factor; twice transposed it is itself."""
    return text.removesuffix("'") if text.endswith("'") else f"{text}'"


def _undeclared(part: Syntax, undeclared: Mapping[str, object]) -> list[str]:
    """The undeclared names right under an operator."""
    found = [p.name for p in postorder(part) if isinstance(p, Name)]
    return [n for n in dict.fromkeys(found) if n in undeclared][:6]


def misfit(text: str, part: Syntax, of: tuple[int, ...], made: Elaboration) -> Mistake:
    """Operands whose kinds no operator joins."""
    letters = by_letters(_undeclared(part, made.open))
    if isinstance(part, Infix):
        message, hint = _infix_misfit(text, part, of)
    elif isinstance(part, Call):
        message, hint = _call_misfit(text, part, of, made)
    elif isinstance(part, Index):
        message, hint = _index_misfit(text, part, of)
    elif isinstance(part, Postfix):
        what = quoted(text, part.operand)
        message = f"{what} is a {described(of[0])}, and only vectors and matrices have a transpose"
        hint = "einsum permutes the axes of a tensor"
    else:
        message = f"{quoted(text, part)}: these blocks do not fit together"
        hint = "a vector is a column of a matrix, x' a row, and a number stands beside vectors only"
    return ShapeMistake(message + letters, text=text, span=part.span, hint=hint)


def without_indices(
    text: str, part: Syntax, kind: int, undeclared: Mapping[str, object]
) -> ShapeMistake:
    """An array without its indices in index form."""
    what = quoted(text, part)
    letters = ",".join("ijkl"[: axes(kind)])
    return ShapeMistake(
        f"in index form {what}, a {described(kind)}, wants its indices"
        + by_letters(_undeclared(part, undeclared)),
        text=text,
        span=part.span,
        hint=f"perhaps {_wrapped(part, what)}[{letters}]",
    )


def _infix_misfit(text: str, part: Infix, of: tuple[int, ...]) -> tuple[str, str | None]:
    whole, left, right = quoted(text, part), quoted(text, part.left), quoted(text, part.right)
    name, (a, b) = part.operator.name, of
    if name == "times":
        return _product_misfit(text, part, of)
    if name in ("add", "subtract", "entry_times", "entry_divide", "entry_power"):
        verb = {"add": "added to", "subtract": "subtracted from"}.get(name, "combined with")
        if {a, b} == {ROW, COLUMN}:
            turned, other = (left, right) if a == ROW else (right, left)
            bare = turned[:-1] if turned.endswith("'") else f"({turned})'"
            sign = part.operator.plain
            pair = f"{bare}{sign}{other}" if a == ROW else f"{other}{sign}{bare}"
            return f"{whole}: a row and a column do not fit", f"perhaps {pair}"
        first, second = (b, a) if name == "subtract" else (a, b)
        said = f"{whole}: a {described(first)} cannot be {verb} a {described(second)}"
        return said, _repeated(part, left, right, of)
    if name == "divide":
        hint = f"perhaps {left}./{right} (entry by entry)" if b != MATRIX else None
        hint = hint or f"perhaps {left}*inv({right}), {left}./{right} or {right}\\{left}"
        return f"{whole}: division by a {described(b)}", hint
    if name == "power":
        if b != SCALAR:
            return f"{whole}: a power with a {described(b)} as exponent", f"perhaps {left}.^{right}"
        return (
            f"{whole}: the power of a {described(a)}",
            f"perhaps {left}.^{right} (entry by entry)",
        )
    if name == "solve":
        return f"{whole}: A\\b wants a square matrix and a vector or a matrix", None
    return f"{whole}: the Kronecker product is of vectors and matrices", None


def _repeated(part: Infix, left: str, right: str, of: tuple[int, ...]) -> str | None:
    """A row under every row of a matrix, or a column beside every column, as a product."""
    if MATRIX not in of or not {ROW, COLUMN} & set(of):
        return None
    ones = {ROW: "ones(n)*{}", COLUMN: "{}*ones(m)'"}
    sides = [
        ones[kind].format(text if isinstance(side, Postfix) else _wrapped(side, text))
        if kind in ones
        else text
        for side, text, kind in zip((part.left, part.right), (left, right), of, strict=True)
    ]
    if part.operator.name.startswith("entry_"):
        sides = [f"({side})" if k in ones else side for side, k in zip(sides, of, strict=True)]
    spaced = " " if part.operator.name in ("add", "subtract") else ""
    return f"perhaps {sides[0]}{spaced}{part.operator.plain}{spaced}{sides[1]}"


def _product_misfit(text: str, part: Infix, of: tuple[int, ...]) -> tuple[str, str | None]:
    whole, left, right = quoted(text, part), quoted(text, part.left), quoted(text, part.right)
    a, b = of
    if a == b and a in (COLUMN, ROW):
        kind = "vectors" if a == COLUMN else "rows"
        return f"{whole}: two {kind} cannot be multiplied", _three_products(text, part)
    if a == COLUMN:
        row = _row_of_ones(text, part.right)
        meant = f"{left}*{row}" if row else f"{left}'*{right}"
        return f"{whole}: a vector stands left of a {described(b)}", f"perhaps {meant}"
    if b == ROW:
        bare = right[:-1] if right.endswith("'") else f"({right})'"
        return f"{whole}: a {described(a)} stands left of a row", f"perhaps {left}*{bare}"
    return f"{whole}: a {described(a)} and a {described(b)} have no product", None


def _row_of_ones(text: str, part: Syntax) -> str | None:
    """`ones(1,m)`, a matrix of one row, as the row `ones(m)'` that was meant."""
    if not isinstance(part, Call) or part.word not in ("ones", "zeros"):
        return None
    sizes = [quoted(text, size) for size in part.arguments]
    return f"{part.word}({sizes[1]})'" if len(sizes) == 2 and sizes[0] == "1" else None


def _call_misfit(
    text: str, part: Call, of: tuple[int, ...], made: Elaboration
) -> tuple[str, str | None]:
    use = made.uses[part]
    got = " and ".join(f"a {described(k)}" for k in of)
    if use.how == "bounded":
        return f"{quoted(text, part)}: the range and the terms do not fit, {got}", None
    forms = use.function.forms if use.function else ()
    hint = "it is " + " or ".join(form.text for form in forms) if forms else None
    if use.function is not None and use.function.axis and MATRIX in of:
        hint = f"perhaps {part.word}(X,1) over each column or {part.word}(X,2) over each row"
    return f"{part.word} does not take {got}", hint


def _index_misfit(text: str, part: Index, of: tuple[int, ...]) -> tuple[str, str | None]:
    count, base = len(part.items), quoted(text, part.base)
    wants = f"{axes(of[0])} ind{'ex' if axes(of[0]) == 1 else 'ices'}" if of[0] else "no index"
    message = f"{base} is a {described(of[0])} and takes {wants}, {count} given"
    hint = f"perhaps {base}[1,2], {base}[1,:] or {base}[:,1]" if of[0] == MATRIX else None
    return message, hint


def no_reading(text: str, part: Syntax, undeclared: Mapping[str, object]) -> ShapeMistake:
    """Nothing fits, though each operator would by the letters."""
    names = ", ".join(list(undeclared)[:8])
    hint = f"declare some of {names}, as in shapes={{{names.split(',')[0]!r}: 'n'}}"
    return ShapeMistake(
        f"no shapes of the undeclared names make {quoted(text, part)} fit",
        text=text,
        span=part.span,
        hint=hint if names else None,
    )


# Dimensions


def product_sizes(
    text: str, part: Infix, left: Sequence[Dimension], right: Sequence[Dimension]
) -> ShapeMistake:
    """`A has 4 columns, x has 3 entries`."""
    a, b = quoted(text, part.left), quoted(text, part.right)
    one = _said(a, left[-1], "columns" if len(left) > 1 else "entries", len(left) > 2)
    two = _said(b, right[0], "rows" if len(right) > 1 else "entries", len(right) > 2)
    hint = None
    if len(left) == 2 and left[0] is right[0]:
        hint = f"perhaps {_wrapped(part.left, a)}'*{b}"
    elif len(right) == 2 and left[-1] is right[-1]:
        hint = f"perhaps {a}*{_wrapped(part.right, b)}'"
    return ShapeMistake(f"{quoted(text, part)}: {one}, {two}", text=text, span=part.span, hint=hint)


def _wrapped(part: Syntax, written: str) -> str:
    return written if isinstance(part, (Name, Call)) or written[0] == "(" else f"({written})"


def _said(name: str, dim: Dimension, what: str, tensor: bool) -> str:
    what = "entries along this axis" if tensor else what
    if dim.value == 1:
        what = {"columns": "column", "rows": "row", "entries": "entry"}.get(what, what)
    return f"{name} has {dim} {what}"


def sizes(
    text: str,
    part: Syntax,
    one: Syntax,
    a: Sequence[Dimension],
    two: Syntax,
    b: Sequence[Dimension],
) -> ShapeMistake:
    """Two operands of different shapes."""
    left, right = quoted(text, one), quoted(text, two)
    turned = len(a) == 2 and tuple(a) == tuple(b)[::-1] and isinstance(part, Infix)
    hint = f"perhaps {left}{part.operator.plain}{_wrapped(two, right)}'" if turned else None  # type: ignore[union-attr]
    return ShapeMistake(
        f"{quoted(text, part)}: {_shaped(left, a)}, {_shaped(right, b)}",
        text=text,
        span=part.span,
        hint=hint,
    )


def _shaped(name: str, dims: Sequence[Dimension]) -> str:
    if len(dims) == 1:
        return _said(name, dims[0], "entries", False)
    return f"{name} is {show_dimensions(dims)}"


def not_square(text: str, part: Syntax, what: str, dims: Sequence[Dimension]) -> ShapeMistake:
    """A word or a power that wants a square matrix."""
    return ShapeMistake(
        f"{what} wants a square matrix, and {quoted(text, part)} is {show_dimensions(dims)}",
        text=text,
        span=part.span,
    )


def argument_sizes(
    text: str, part: Call, function: Function, dims: Sequence[Sequence[Dimension]]
) -> ShapeMistake:
    """Arguments whose sizes do not fit the signature."""
    got = ", ".join(show_dimensions(d) for d in dims)
    wants = " or ".join(form.text for form in function.forms)
    return ShapeMistake(
        f"{part.word} does not take {got}", text=text, span=part.span, hint=f"it is {wants}"
    )
