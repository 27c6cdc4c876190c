"""A question put: the derivative found and printed, as the options chose.

What `wrt FORMULA NAME…` needs is here, and nothing that only options need.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from wrt.errors import SyntaxMistake, TooLarge
from wrt.expression.dataclass import dataclass, field

if TYPE_CHECKING:
    from wrt.answers import Derivative
    from wrt.apps.asked import Found
    from wrt.apps.page import Page

__all__ = ["Options", "answer_all", "answer_one", "formula_of", "in_colour", "page_of", "text_of"]

#: As much is read from standard input as the longest formula that the language reads, in bytes.
MOST_BYTES = 400_000


@dataclass(frozen=True)
class Options:
    """What was chosen beside the formula and the names."""

    shapes: Mapping[str, str] = field(default_factory=dict)
    every: bool = False
    view: str | None = None
    symmetric: str = "projected"
    entry: tuple[int, ...] | None = None
    direction: str | None = None
    #: Arrays by name where numbers are wanted, and those names that came from files.
    given: Mapping[str, Any] | None = None
    filed: frozenset[str] = frozenset()
    claim: str | None = None
    steps: bool = False
    latex: bool = False
    form: str | None = None
    bold: bool = False
    code: str | None = None
    custom: bool = False
    plan: bool = False
    sizes: Mapping[str, int] = field(default_factory=dict)
    as_data: bool = False
    full: bool = False

    @property
    def worded(self) -> bool:
        """Whether the answer is put into words, and not its program alone."""
        return self.as_data or not (self.code or self.plan)


def answer_one(text: str, names: Sequence[str], options: Options) -> None:
    """The derivative by names in order."""
    from wrt.answers import derivative
    from wrt.apps.asked import Asked, find, idle

    D = derivative(text, *map(text_of, names), shapes=options.shapes, symmetric=options.symmetric)
    D = D.view(options.view) if options.view else D
    asked = Asked(
        entry=options.entry,
        direction=options.direction,
        steps=options.steps,
        code=options.code,
        custom=options.custom,
        plan=options.plan,
        sizes=options.sizes,
        worded=options.worded,
        values=options.given,
        filed=options.filed,
        claim=None if options.claim is None else text_of(options.claim),
        notes=idle(text, names, tuple(options.shapes)),
    )
    _print(find(D, asked), options)


def _print(found: Found, options: Options) -> None:
    """What was found in the way that was chosen."""
    D = found.derivative
    if options.as_data:
        from wrt.apps.answer_json import as_json

        print(as_json(found))
    elif found.source is not None:
        print(found.source.rstrip())
    elif found.plan is not None:
        print(str(found.plan))
    elif options.latex or options.bold:
        print(_latex(D, options.steps, options.form, options.bold))
    elif options.form:
        print(_written(D, options.form))
    else:
        page = page_of(options.full)
        if found.verdict:
            from wrt.apps.claim_text import write_verdict

            write_verdict(found, page)
        else:
            from wrt.apps.answer_text import write

            write(found, page)
        print(page)


def answer_all(text: str, options: Options) -> None:
    """The derivatives by every variable of a formula."""
    from wrt.answers.several import gradients
    from wrt.apps.asked import Asked, find, find_together

    together = gradients(text, shapes=options.shapes, symmetric=options.symmetric)
    each = Asked(values=options.given, filed=options.filed, worded=options.worded)
    found = [find(D, each) for D in together]
    asked = Asked(code=options.code, custom=options.custom, plan=options.plan, sizes=options.sizes)
    source, plan = find_together(together, asked)
    if options.as_data:
        from wrt.apps.answer_json import all_as_json

        print(all_as_json(found, options.code, source, plan))
    elif source is not None:
        print(source.rstrip())
    elif plan is not None:
        print(str(plan))
    else:
        from wrt.apps.every_text import write_every

        page = page_of(options.full)
        write_every(found, page)
        print(page)


def _written(D: Derivative, form: str) -> str:
    """The answer in one form only, as text."""
    order = form.removeprefix("kronecker-")
    said = getattr(D, form) if order == form else D.kronecker(order)
    return str(said) if said is not None else _no_form(D.title, form)


def _latex(D: Derivative, with_steps: bool, form: str | None, bold: bool) -> str:
    """The shortest form as LaTeX, or the derivation as lines under each other."""
    if not with_steps:
        return D.latex(form, bold=bold) or _no_form(D.title, form)
    from wrt.answers.derivation.steps import in_latex

    return in_latex(D.steps()) or _no_form(D.title)


def _no_form(title: str, form: str | None = None) -> NoReturn:
    if form is not None:
        raise TooLarge(f"{title} has no {form} form that is short; without --form it has others")
    raise TooLarge(f"{title} has no short form in LaTeX; --code numpy gives its program")


def formula_of(given: str) -> str:
    """The text of the formula, from standard input where `-` is given."""
    if given != "-":
        return text_of(given)
    read = sys.stdin.buffer.read(MOST_BYTES + 1)
    if len(read) > MOST_BYTES:
        raise TooLarge(f"standard input holds more than {MOST_BYTES} bytes; no formula is so long")
    try:
        return read.decode("utf-8-sig").strip("\r\n")
    except UnicodeDecodeError:
        raise SyntaxMistake("standard input is no text in UTF-8") from None


def text_of(given: str) -> str:
    """An argument, refused where its bytes are no text."""
    if any("\ud800" <= c <= "\udfff" for c in given):
        raise SyntaxMistake(f"{given.encode('utf-8', 'replace').decode()!r} is no text in UTF-8")
    return given


def page_of(full: bool) -> Page:
    """A page as wide as the terminal."""
    from wrt.apps.page import Page

    return Page(width=_columns(), colour=in_colour(sys.stdout), full=full)


def in_colour(stream: TextIO) -> bool:
    """Colour only on a terminal that has some, and that nobody asked to go without."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not plain


def _columns() -> int:
    """The width of the terminal; `shutil` knows it too, and loads what packs files."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return int(told)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):  # there is no terminal
        return 80
