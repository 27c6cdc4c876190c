"""An answer laid out for a person: what it is, how it reads, what was assumed, the proof."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from wrt import notation
from wrt.algebra import flat_form
from wrt.apps.page import LABELS, Page, unbroken, wrapped
from wrt.calculus import constraint

if TYPE_CHECKING:
    from wrt.answers import Check, Derivative, Step
    from wrt.answers.shown.layers import Layer
    from wrt.apps.asked import Found

__all__ = ["described", "numbers", "proof", "remarks", "spaced", "title", "typeset", "write"]

#: A formula longer than this stands on a line of its own, and is called f.
LONG = 40
#: Where the second column of a row with two begins.
COLUMN = 18
#: Left sides of a derivation up to this width stand in a column of their own.
WIDE = 10
#: A stack of layers that would take more lines than this is left out.
MOST_ROWS = 40
#: Arrays of more entries than this are shown by their corners.
MOST_ENTRIES = 1000

_KINDS = ("scalar", "vector", "matrix")
_POWERS = "²³⁴⁵⁶⁷⁸⁹"
_SUBSCRIPTS = str.maketrans("0123456789,", "₀₁₂₃₄₅₆₇₈₉,")
_NUMBER = re.compile(r"\d[eE][+-]")
_PLACE = re.compile(r"\b([^\W\d]\w*)\[(\d+|\d(?:,\d)+)\]")
_SIGN = re.compile(r"(?<=[\w\])'])([+-])(?=[\w(]|$)")

_VIEWS = {
    "numerator": "the axes of f, then those of x in reverse (numerator layout)",
    "denominator": "the axes of x, then those of f in reverse (denominator layout)",
    "gradient": "the axes of x, then those of f (the shape of x first)",
    "vec-rows": "a matrix: entries of f by entries of x, both taken row by row",
    "vec-columns": "a matrix: entries of f by entries of x, both taken column by column",
}


def write(found: Found, page: Page) -> None:
    """Write an answer on a page."""
    D = found.derivative
    page.head(title(D), described(D))
    formula(D, page)
    if found.alone:
        _one(found, page)
    elif D.why_zero:
        page.row("zero", f"every entry is 0: {D.why_zero}")
    else:
        _forms(D, page)
    if found.asked.steps:
        _steps(D, page)
    if found.value is not None:
        page.block("value", page.shortened(numbers(found.value, page)))
    remarks(D, page)
    if found.asked.notes:
        page.row("note", "; ".join(found.asked.notes))
    page.row("checked", proof(found.check), "good")


def typeset(text: str) -> str:
    """A text for reading; numbers in scientific notation stay as they are."""
    text = spaced(text)
    return text if _NUMBER.search(text) else notation.typeset(text)


# The first line


def title(D: Derivative) -> str:
    """What was asked, as one writes it: `∂(W x)/∂W`."""
    text = D.name or ("f" if _is_long(D) else " ".join(D.question.text.split()))
    text = typeset(text)
    inner = text if text.isidentifier() else f"({text})"
    names = [f"∂{one.text.strip()}" for one in D.wanted]
    order = _POWERS[min(len(names), 9) - 2] if len(names) > 1 else ""
    return f"∂{order}{inner}/{''.join(names)}"


def formula(D: Derivative, page: Page) -> None:
    """The formula as it was read, where the first line does not say it."""
    text = D.question.text.strip()
    left, _, body = text.partition("=")
    if D.question.source is not None:
        page.row("read as", spaced(text))
    elif D.name is not None and len(D.question.lines) == 1:
        page.row(left.strip(), spaced(body.strip()))
    elif D.name is not None or _is_long(D):
        label = "f" if D.name is None else "with"
        page.row(label, "\n".join(line.strip() for line in text.splitlines()))


def _is_long(D: Derivative) -> bool:
    text = D.question.text.strip()
    if D.question.source is not None and set("=;") & set(D.question.text):
        return True  # several lines, which stand under `read as`
    return len(text) > LONG or bool(D.question.lines)


def described(D: Derivative) -> str:
    """What kind of thing it is: `a vector by a matrix: 3 axes, n × (n × m)`.

    >>> from wrt.answers import derivative
    >>> described(derivative("W*x", "W")), described(derivative("x'*A*x", "x", "x"))
    ('a vector by a matrix: 3 axes, n × (n × m)', 'a scalar by a vector twice: 2 axes, n × n')
    """
    f, *xs = [_kind(count) for count in D.groups]
    if D.question.row and D.groups[0] == 1:
        f = "a row"
    again = len(xs) > 1 and len({one.text.strip() for one in D.wanted}) == 1
    times = "twice" if len(xs) == 2 else f"{len(xs)} times"
    by = f"{xs[0]} {times}" if again else " and ".join(xs)
    axes = len(D.shape)
    if not axes:
        return f"{f} by {by}: one number"
    count = "1 axis" if axes == 1 else f"{axes} axes"
    groups = D.groups if D.layout is None else (axes,)
    return f"{f} by {by}: {count}, {_axes(D.shape, groups)}"


def _kind(axes: int) -> str:
    return f"a {_KINDS[axes]}" if axes < 3 else f"a tensor of {axes} axes"


def _axes(shape: Sequence[int | str], groups: Sequence[int]) -> str:
    """The sizes, those of a variable in brackets where another's stand beside them."""
    parts, start = [], 0
    for count in groups:
        sizes = " × ".join(map(str, shape[start : start + count]))
        start += count
        if count:
            parts.append(f"({sizes})" if count > 1 else sizes)
    return " × ".join(parts) if len(parts) > 1 else parts[0].strip("()")


# The forms


def _forms(D: Derivative, page: Page) -> None:
    if D.layout:
        page.row("view", f"{D.layout}: {_VIEWS.get(D.layout, '')}")
    matrix, index = D.matrix, D.index
    if matrix:
        page.row("matrix", spaced(matrix))
    short = index and not D.layout and len(typeset(index)) <= page.room
    if index and D.shape and (not matrix or short):
        page.row("index", typeset(index))
    if not matrix and not index:
        why = "too large for one sentence" if D.is_huge else "no matrix or index notation says it"
        page.row("formula", f"{why}; --code numpy gives its program")
    if len(D.shape) > 2 and D.layout is None and (len(D.wanted) == 1 or _is_hessian(D)):
        _kronecker(D, page)
    page.row("structure", D.structure_sentence)
    if D.symmetry_sentence:
        page.row("symmetry", D.symmetry_sentence)
    if len(D.wanted) == 2:
        for remark in D.remarks:
            page.row("remark", remark)
    _layers(D, page)
    _why_no_matrix(D, page)


def _is_hessian(D: Derivative) -> bool:
    """Whether a scalar is differentiated twice by one variable."""
    return not D.split and len(D.wanted) == 2 and D.wanted[0] == D.wanted[1]


def spaced(text: str) -> str:
    """A text of the language with room around + and -; it still reads as the same formula.

    >>> spaced("2*A'*(A*x-b)"), spaced("x.^-1+1e-3"), spaced("[a-b, c]")
    ("2*A'*(A*x - b)", 'x.^-1 + 1e-3', '[a-b, c]')
    """
    parts = re.split(r"(\[[^\[\]]*\])", text)
    parts[::2] = [_SIGN.sub(_with_room, part) for part in parts[::2]]
    return "".join(parts)


def _with_room(sign: re.Match[str]) -> str:
    exponent = _NUMBER.match(sign.string, max(sign.start() - 2, 0))
    return sign[1] if exponent else f" {sign[1]} "


def _kronecker(D: Derivative, page: Page) -> None:
    """The forms by rows and by columns, in one line where they are short."""
    rows, columns = (form and typeset(form) for form in map(D.kronecker, ("rows", "columns")))
    laid = f"rows of {_laid_out(D)} laid end to end"
    forms = [(rows, laid), (columns, "column by column")]
    if rows and rows == columns:
        forms = [(rows, "by rows and by columns alike")]
    shown = [(form, remark) for form, remark in forms if form]
    lines = [form.ljust(COLUMN) + remark for form, remark in shown]
    short = (
        all(len(form) < COLUMN for form, _ in shown)
        and max(map(len, lines), default=0) <= page.room
    )
    if short and len(shown) == 2:
        together = f"{lines[0]};  {shown[1][0]}  {shown[1][1]}"
        lines = [together] if len(together) <= page.room else lines
    if not short:
        lines = [
            line
            for form, remark in shown
            for line in (*page.shortened(wrapped(form, page.room)), *_indented(remark, page))
        ]
    page.block("Kronecker", lines)


def _indented(remark: str, page: Page) -> list[str]:
    return [f"  {line}" for line in wrapped(remark, page.room - 2)]


def _laid_out(D: Derivative) -> str:
    """Whose rows are laid end to end: those of x, of f, or of both."""
    name = D.wanted[0].text.strip()
    if _is_hessian(D):
        return name
    several = [n for n, axes in zip(("f", name), D.groups, strict=True) if axes > 1]
    return " and ".join(several) or name


def _why_no_matrix(D: Derivative, page: Page) -> None:
    """What autodiff does with a derivative that is no matrix: multiply it from the left at once."""
    if len(D.shape) < 3 or D.is_huge or D.layout or len(D.wanted) > 1:
        return
    if not D.split or D.groups[1] > 2:
        return
    letters = ("g", "h", "u", "v") if D.split == 1 else ("G", "H", "U", "V")
    name = next((n for n in letters if n not in D.question.variables), "gradient")
    node = flat_form(D.pulled_back(name))
    text = notation.matrix(node, names=(*D.question.variables, name))
    if text is None:
        return
    product = f"{name}ᵀD" if D.split == 1 else f"⟨{name}, D⟩"
    page.row(
        "why no matrix",
        f"autodiff multiplies it by a gradient {name} from the left at once: "
        f"{product} = {typeset(text)}",
    )


# Layers


def _layers(D: Derivative, page: Page) -> None:
    """The stack of layers side by side, while they fit on the page."""
    found = D.layers()
    if not found:
        return
    pictures = [_picture(layer) for layer in found]
    widest = max(len(line) for picture in pictures for line in picture)
    step = max(COLUMN, widest + 3)
    beside = 1 + (page.room - widest) // step
    height = len(pictures) / max(beside, 1) * len(pictures[0])
    if beside < 1 or (height > MOST_ROWS and not page.full):
        return
    lines: list[str] = []
    for start in range(0, len(pictures), beside):
        lines += [""] * bool(lines)
        for row in zip(*pictures[start : start + beside], strict=True):
            lines.append("".join(line.ljust(step) for line in row).rstrip())
    page.block("layers", lines)


def _picture(layer: Layer) -> list[str]:
    """The lines of one layer: which entry of f, then the cells."""
    letters = "ijkl"[: len(layer.indices)] if len(layer.indices) <= 4 else "f"
    head = f"{','.join(letters)} = {','.join(map(str, layer.indices))}"
    cells = [[cell(text) for text in row] for row in layer.rows]
    width = max(len(text) for row in cells for text in row)
    gap = "  " if any(" " in text for row in cells for text in row) else " "
    return [head, *(gap.join(text.ljust(width) for text in row).rstrip() for row in cells)]


def cell(text: str) -> str:
    """The formula of one entry in a table.

    >>> cell("0"), cell("A[1,2]*b[3]"), cell("x[12]")
    ('·', 'A₁₂ b₃', 'x₁₂')
    """
    if text == "0":
        return "·"
    small = _PLACE.sub(lambda m: m[1] + m[2].replace(",", "").translate(_SUBSCRIPTS), text)
    return typeset(re.sub(r"(?<=[₀-₉])\*(?=\w)", " ", small))


# What was asked for beside it


def _one(found: Found, page: Page) -> None:
    """One entry, or one direction, and its number."""
    asked = found.asked
    if asked.entry is not None:
        place = f"D[{','.join(map(str, asked.entry))}]" if asked.entry else "D"
        page.row("entry", f"{place} = {spaced((found.entry or '').removeprefix('D = '))}")
        if found.entry_value is not None:
            page.row("value", _number(found.entry_value))
    if asked.direction is not None:
        page.row(f"along {asked.direction}"[: LABELS - 3], _sentence(found.direction))
        x = found.derivative.wanted[-1]
        rules = constraint(x.variable) if x.selection is None else ()
        if rules:
            page.row(
                "where", f"{asked.direction} is {' and '.join(rules)}, as {x.variable.name} is"
            )
        if found.direction_value is not None:
            page.block("value", page.shortened(numbers(found.direction_value, page)))


def _sentence(text: str | None) -> str:
    if text is None:
        return "no short form; --at gives its numbers"
    return typeset(text) if text.startswith("D[") else spaced(text)


def _steps(D: Derivative, page: Page) -> None:
    """The derivation, `=` under `=`, the rules in a column of their own while there is room."""
    steps = list(_aligned(D.steps()))
    fitting = [len(text) + 3 for text, rule in steps if len(text) + 3 + len(rule) <= page.room]
    column = max(fitting, default=0)
    lines: list[str] = []
    for text, rule in steps:
        *before, last = page.shortened(wrapped(text, page.room))
        beside = len(last) + 3 <= column and column + len(rule) <= page.room
        lines += [*before, last.ljust(column) + page.styled("faint", rule) if beside else last]
        if rule and not beside:
            lines += [page.styled("faint", part) for part in _at_right(rule, page.room)]
    page.block("steps", lines)


def _aligned(steps: Sequence[Step]) -> Iterator[tuple[str, str]]:
    """Every line and its rule, a left side that stands above already left out."""
    sides = [step.text.partition(" = ") for step in steps]
    width = max((len(left) for left, sign, _ in sides if sign and len(left) <= WIDE), default=0)
    above = ""
    for (left, sign, right), step in zip(sides, steps, strict=True):
        shown = "" if left == above else left
        yield f"{unbroken(shown.ljust(width) + sign)}{spaced(right)}", step.rule
        above = left


def _at_right(rule: str, room: int) -> list[str]:
    return [line.rjust(room) for line in wrapped(rule, room)]


def _number(value: Any) -> str:
    return str(value.item())


def numbers(value: Any, page: Page) -> list[str]:
    """An array as NumPy prints it, large ones by their corners."""
    import numpy as np

    if not value.ndim:
        return [_number(value)]
    threshold = value.size + 1 if page.full else MOST_ENTRIES
    if value.size > threshold:
        page.cut = True
    with np.printoptions(precision=6, threshold=threshold, linewidth=page.room):
        return str(value).split("\n")


# Where it holds, and why


def remarks(D: Derivative, page: Page) -> None:
    """The convention, where the answer is valid, what was assumed."""
    if D.convention:
        page.row("convention", _convention(D))
    if D.held:
        page.row("convention", D.held)
    if D.valid:
        page.row("valid where", "; ".join(map(unbroken, D.valid)))
    assumed = [*D.assumed, *([D.runner_up] if D.runner_up else [])]
    if assumed:
        page.row("assumed", "; ".join(map(unbroken, assumed)))


def _convention(D: Derivative) -> str:
    said = []
    for one in D.wanted:
        words = sorted(one.variable.properties - {"positive", "invertible", "complex", "simplex"})
        said += [f"{one.variable.name} is {' and '.join(words)}"] if words else []
    names = ", ".join(dict.fromkeys(said))
    if D.convention == "tied":
        return f"{names}; tied: by each free entry, its tied entries moving with it"
    return f"{names}; projected: the free derivative, projected on what {_these(D)} can be"


def _these(D: Derivative) -> str:
    return " and ".join(dict.fromkeys(one.variable.name for one in D.wanted))


def proof(check: Check) -> str:
    """What the check found, in a sentence.

    >>> from wrt.answers import Check
    >>> proof(Check(3, 1.2e-16, "complex steps", True))
    '3 random points, largest error 1e-16'
    """
    error = f"{check.error:.0e}" if check.error else "0"
    plural = "" if check.points == 1 else "s"
    return f"{check.points} random point{plural}, largest error {error}"
