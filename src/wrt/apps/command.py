"""The command line: `wrt FORMULA NAME…`, `wrt recurrence FILE NAME…`, `wrt check FILE:FUNCTION
FORMULA NAME…`, `wrt help WORD`, `wrt functions`.

Exit codes: 0 answered (with any verdict on a claim), 1 a mistake in the question, 2 wrong use of
the command, 3 a failed check.
Everything beyond click is loaded on use, so that a cold start is short.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import click

from wrt import __version__
from wrt.apps import values
from wrt.errors import CheckFailed, Mistake, SyntaxMistake, TooLarge, WrtError
from wrt.expression.dataclass import dataclass

if TYPE_CHECKING:
    from wrt.answers import Derivative
    from wrt.apps.asked import Found
    from wrt.apps.page import Page

__all__ = ["main"]

ANSWERED, MISTAKE, WRONG_USE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130
FORMS = (
    "matrix",
    "index",
    "einsum",
    "kronecker-rows",
    "kronecker-columns",
    "differential",
)
VIEWS = ("numerator", "denominator", "gradient", "vec-rows", "vec-columns")
#: As much is read from standard input as the longest formula that the language reads, in bytes.
MOST_BYTES = 400_000

_OPTION = re.compile(r"--[a-z][a-z-]+(=.*)?", re.DOTALL)

EXAMPLES = """\b
Examples:
  wrt "W*x" W
  wrt "x'*A*x" x x
  wrt "\\frac{1}{2} x^\\top A x" x
  wrt "norm2(A*x - b)^2" --all
  wrt "A*X*b" X --shape A=2,3 --shape X=3,4
  wrt "sum(x.^2)" x --at "x=[1,2,3]"
  wrt "x'*A*x" x --claim "2*A*x"
  wrt "norm2(A*x - b)^2" --all --code torch --custom
  echo "log(det(X))" | wrt - X

\b
wrt recurrence FILE NAME differentiates through time (wrt recurrence --help),
wrt help WORD tells all about a function, wrt functions lists them, and
wrt check FILE:FUNCTION FORMULA NAME… tells whether a gradient in code is right.
"""


class Question(click.Command):
    """A command whose formula may begin with a minus sign."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Sort the options before the formula and the names."""
        return super().parse_args(ctx, self._sorted(args, ctx))

    def _sorted(self, args: Sequence[str], ctx: click.Context) -> list[str]:
        """Options, then `--`, then the rest: only what looks like a long option is one."""
        valued = {
            o: bool(p.nargs and not getattr(p, "is_flag", False))
            for p in self.get_params(ctx)
            if isinstance(p, click.Option)
            for o in p.opts
        }
        options: list[str] = []
        rest: list[str] = []
        waiting = list(reversed(args))
        while waiting:
            word = waiting.pop()
            if word == "--":
                rest += reversed(waiting)
                break
            if not _OPTION.fullmatch(word):
                rest.append(word)
                continue
            name = word.partition("=")[0]
            if name not in valued:
                raise self._unknown(name, valued, ctx)
            options.append(word)
            if valued[name] and "=" not in word:
                if not waiting:
                    raise click.BadOptionUsage(name, f"{name} requires an argument", ctx)
                options.append(waiting.pop())
        return [*options, "--", *rest]

    def _unknown(self, name: str, known: Any, ctx: click.Context) -> click.UsageError:
        from difflib import get_close_matches

        near = get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else "a formula that begins so stands behind --"
        return click.UsageError(f"no option is called {name}; {hint}", ctx)


#: What is asked of programs, of a formula as of the lines of a recurrence.
CODE = click.option(
    "--code", type=click.Choice(["numpy", "jax", "torch"]), help="Print a program only."
)
PLAN = click.option(
    "--plan", is_flag=True, help="Print the steps of the program with their costs only."
)
SIZES = click.option(
    "--size",
    "sizes",
    multiple=True,
    metavar="N=NUMBER,…",
    help="With --code and --plan: the sizes to plan for.",
)


@click.command(name="wrt", cls=Question, epilog=EXAMPLES)
@click.argument("formula")
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="NAME=AXES",
    help='Declare a name: W=n,m or x=3 or "A=n,n symmetric" or phi=entrywise.',
)
@click.option("--all", "every", is_flag=True, help="By every variable, sharing the work.")
@click.option("--view", type=click.Choice(VIEWS), help="The same tensor in another layout.")
@click.option(
    "--symmetric",
    type=click.Choice(["projected", "tied"]),
    default="projected",
    help="How a constrained variable is treated.",
)
@click.option("--entry", metavar="I,J,…", help="One entry only, counted from 1.")
@click.option("--direction", metavar="V", help="The directional derivative along V only.")
@click.option(
    "--at",
    "given",
    multiple=True,
    metavar="VALUES",
    help="Numbers at these arrays: a .npz or .json file, or x=[1,2,3].",
)
@click.option("--claim", metavar="FORMULA", help="Judge this answer: is it right, and if not, why?")
@click.option("--steps", is_flag=True, help="Derive it line by line.")
@click.option(
    "--latex", is_flag=True, help="Print LaTeX only, with --steps that of the derivation."
)
@click.option("--form", type=click.Choice(FORMS), help="Print this form only, as text or LaTeX.")
@click.option("--bold", is_flag=True, help="Print LaTeX, vectors and matrices in bold type.")
@CODE
@click.option(
    "--custom", is_flag=True, help="With --code: FORMULA itself, with the derived backward pass."
)
@PLAN
@SIZES
@click.option("--json", "as_data", is_flag=True, help="Print the answer for a machine.")
@click.option("--full", is_flag=True, help="Shorten nothing.")
@click.version_option(__version__, prog_name="wrt", message="%(prog)s %(version)s")
@click.help_option("--help")
@click.pass_context
def answer(ctx: click.Context, /, formula: str, names: tuple[str, ...], **chosen: Any) -> None:
    """The derivative of FORMULA with respect to each NAME in order.

    FORMULA is a sentence of mathematics, such as "tanh(W*s + U*x + b)", or LaTeX, such as
    "\\tanh(W s + U x + b)", or - to read it from standard input. A NAME is a variable or entries
    of one, such as W, X[1,2] or X[:,1]; two give the second derivative.
    """
    options = Options(**chosen)
    _refuse_apart(options, names, ctx)
    text, declared = formula_of(formula), values.shapes(options.shapes)
    if options.every:
        _answer_all(text, declared, options)
    elif names:
        _answer_one(text, names, declared, options)
    else:
        raise click.UsageError(_nameless(text, declared), ctx)


@dataclass(frozen=True)
class Options:
    """What was chosen beside the formula and the names."""

    shapes: tuple[str, ...]
    every: bool
    view: str | None
    symmetric: str
    entry: str | None
    direction: str | None
    given: tuple[str, ...]
    claim: str | None
    steps: bool
    latex: bool
    form: str | None
    bold: bool
    code: str | None
    custom: bool
    plan: bool
    sizes: tuple[str, ...]
    as_data: bool
    full: bool


#: What an option has no use for: it would print something else, or of something else.
_APART = {
    "every": ("view", "entry", "direction", "claim", "steps", "form", "latex", "bold"),
    "claim": ("steps", "form", "latex", "bold", "code", "plan", "entry", "direction"),
    "code": ("form", "latex", "bold"),
    "custom": ("entry", "direction", "sizes"),
    "plan": ("form", "latex", "bold"),
    "form": ("steps", "entry", "direction", "as_data"),
    "latex": ("entry", "direction"),
    "bold": ("entry", "direction", "steps"),
}
#: What is lost beside what is printed alone; --json holds both.
_ALONE = {
    "code": ("plan", "steps", "given"),
    "plan": ("steps", "given", "custom"),
    "form": ("given",),
    "latex": ("given",),
    "bold": ("given",),
}
_SPELLED = {"every": "all", "as_data": "json", "given": "at", "sizes": "size"}


def _refuse_apart(options: Options, names: Sequence[str], ctx: click.Context) -> None:
    """Refuse options that do not go together."""
    if options.every and names:
        raise click.UsageError(f"--all does not go together with {names[0]}", ctx)
    if options.custom and options.code is None:
        raise click.UsageError("--custom goes with --code torch or --code jax", ctx)
    if options.sizes and not (options.code or options.plan):
        raise click.UsageError("--size goes with --code or --plan", ctx)
    for one in _APART | _ALONE:
        others = _APART.get(one, ()) + (() if options.as_data else _ALONE.get(one, ()))
        for other in others if getattr(options, one) else ():
            if getattr(options, other):
                said = [f"--{_SPELLED.get(name, name)}" for name in (one, other)]
                raise click.UsageError(f"{said[0]} does not go together with {said[1]}", ctx)


def _answer_one(
    text: str, names: Sequence[str], declared: dict[str, str], options: Options
) -> None:
    """The derivative by names in order."""
    from wrt.answers import derivative
    from wrt.apps.asked import Asked, find, idle

    entry = None if options.entry is None else values.indices(options.entry)
    numbers, filed = values.arrays(options.given)
    D = derivative(text, *map(text_of, names), shapes=declared, symmetric=options.symmetric)
    D = D.view(options.view) if options.view else D
    asked = Asked(
        entry=entry,
        direction=options.direction,
        steps=options.steps,
        code=options.code,
        custom=options.custom,
        plan=options.plan,
        sizes=values.sizes(options.sizes),
        worded=options.as_data or not (options.code or options.plan),
        values=numbers if options.given else None,
        filed=filed,
        claim=None if options.claim is None else text_of(options.claim),
        notes=idle(text, names, tuple(declared)),
    )
    _print(find(D, asked), options)


def _print(found: Found, options: Options) -> None:
    """What was found in the way that was chosen."""
    D = found.derivative
    if options.as_data:
        from wrt.apps.answer_json import as_json

        click.echo(as_json(found))
    elif found.source is not None:
        click.echo(found.source.rstrip())
    elif found.plan is not None:
        click.echo(str(found.plan))
    elif options.latex or options.bold:
        click.echo(_latex(D, options.steps, options.form, options.bold))
    elif options.form:
        click.echo(_written(D, options.form))
    else:
        page = page_of(options.full)
        if found.verdict:
            from wrt.apps.claim_text import write_verdict

            write_verdict(found, page)
        else:
            from wrt.apps.answer_text import write

            write(found, page)
        click.echo(page, color=page.colour)


def _answer_all(text: str, declared: dict[str, str], options: Options) -> None:
    """The derivatives by every variable of a formula."""
    from wrt.answers.several import gradients
    from wrt.apps.asked import Asked, find, find_together

    numbers, filed = values.arrays(options.given)
    together = gradients(text, shapes=declared, symmetric=options.symmetric)
    worded = options.as_data or not (options.code or options.plan)
    each = Asked(values=numbers if options.given else None, filed=filed, worded=worded)
    found = [find(D, each) for D in together]
    sizes = values.sizes(options.sizes)
    asked = Asked(code=options.code, custom=options.custom, plan=options.plan, sizes=sizes)
    source, plan = find_together(together, asked)
    if options.as_data:
        from wrt.apps.answer_json import all_as_json

        click.echo(all_as_json(found, options.code, source, plan))
    elif source is not None:
        click.echo(source.rstrip())
    elif plan is not None:
        click.echo(str(plan))
    else:
        from wrt.apps.every_text import write_every

        page = page_of(options.full)
        write_every(found, page)
        click.echo(page, color=page.colour)


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


def _nameless(text: str, declared: dict[str, str]) -> str:
    """What to say to a formula without a name: the names that it has."""
    from wrt.language import read

    known = list(read(text, shapes=declared).variables)
    listed = f"; its variables are {', '.join(known)}" if known else ""
    example = known[0] if known else "x"
    return f"with respect to what? Name a variable, as in: wrt FORMULA {example}{listed}"


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

    return Page(width=shutil.get_terminal_size().columns, colour=in_colour(sys.stdout), full=full)


def in_colour(stream: TextIO) -> bool:
    """Colour only on a terminal that has some, and that nobody asked to go without."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not plain


@click.command(name="check", cls=Question)
@click.argument("target", metavar="FILE:FUNCTION")
@click.argument("formula")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--shape", "shapes", multiple=True, metavar="NAME=AXES", help="Declare a name.")
@click.option(
    "--symmetric",
    type=click.Choice(["projected", "tied"]),
    default="projected",
    help="How a constrained variable is treated.",
)
@click.option("--at", "given", multiple=True, metavar="VALUES", help="Call it at these arrays.")
@click.option("--json", "as_data", is_flag=True, help="Print what was found for a machine.")
@click.option("--full", is_flag=True, help="Shorten nothing.")
@click.help_option("--help")
def check_(
    target: str,
    formula: str,
    names: tuple[str, ...],
    shapes: tuple[str, ...],
    symmetric: str,
    given: tuple[str, ...],
    as_data: bool,
    full: bool,
) -> int:
    """Is the gradient right that the function FUNCTION of the Python file FILE computes?

    It takes the variables of FORMULA, by the names of its parameters or in their order, and returns
    the derivative by NAME; with a parameter called g or grad it takes the gradient by the formula
    and returns that by NAME, as a backward does. For several names it returns a tuple. NumPy, JAX
    and PyTorch are known. Exit codes: 0 right, 3 wrong, 1 where it cannot be called.
    """
    from wrt.answers.handwritten import check_gradient
    from wrt.apps.check_text import as_json, loaded, write_check

    numbers, _ = values.arrays(given)
    function = loaded(text_of(target))
    declared, asked = values.shapes(shapes), [text_of(name) for name in names]
    found = check_gradient(
        function, formula_of(formula), *asked, shapes=declared, symmetric=symmetric, values=numbers
    )
    if as_data:
        click.echo(as_json(target, found))
    else:
        page = page_of(full)
        write_check(target, found, page)
        click.echo(page, color=page.colour)
    return ANSWERED if found.passed else FAILED


@click.command(name="help")
@click.argument("words", nargs=-1, metavar="[WORD]")
@click.option("--full", is_flag=True, help="Shorten nothing.")
@click.help_option("--help")
def help_(words: tuple[str, ...], full: bool) -> None:
    """All about a function of the language: what it is, its rule, its laws."""
    if not words:
        with click.Context(answer, info_name="wrt") as ctx:
            click.echo(answer.get_help(ctx))
        return
    from wrt.apps.book_text import write_record

    page = page_of(full)
    for word in words:
        page.lines += [""] * bool(page.lines)
        write_record(text_of(word), page)
    click.echo(page, color=page.colour)


@click.command(name="functions")
@click.help_option("--help")
def functions() -> None:
    """All functions of the language, a line each."""
    from wrt.apps.book_text import write_book

    page = page_of(False)
    write_book(page)
    click.echo(page, color=page.colour)


_COMMANDS = {"check": check_, "help": help_, "functions": functions}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(given))


def run(given: list[str]) -> int:
    """Run the command line; the exit code.

    >>> run(["A*x", "x", "--latex"])
    A
    0
    >>> run(["A*x"])
    2
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = _run(given)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ANSWERED
    return code


def _run(given: list[str]) -> int:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an answer or a mistake, not NumPy's asides
            return _dispatched(given)
    except click.UsageError as mistake:
        mistake.show()
        return WRONG_USE
    except CheckFailed as failure:
        return _told(failure, FAILED)
    except WrtError as mistake:
        return _told(mistake, MISTAKE)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except MemoryError as error:
        return _told(TooLarge(f"this does not fit into memory: {error}"), MISTAKE)
    except Exception as fault:
        if os.environ.get("WRT_DEBUG"):
            raise
        return _apology(given, fault)


def _dispatched(given: list[str]) -> int:
    command: click.Command = answer
    rest = given
    if given and given[0] == "recurrence":
        from wrt.apps.recurrence import recurrence_

        command, rest = recurrence_, given[1:]
    elif given and given[0] in _COMMANDS:
        command, rest = _COMMANDS[given[0]], given[1:]
    elif not given or given == ["-h"]:
        with click.Context(answer, info_name="wrt") as ctx:
            click.echo(answer.get_help(ctx), err=not given)
        return ANSWERED if given else WRONG_USE
    name = "wrt" if command is answer else f"wrt {command.name}"
    try:
        with command.make_context(name, rest) as ctx:
            code = command.invoke(ctx)
    except click.exceptions.Exit as done:  # --help and --version
        return done.exit_code
    return code if isinstance(code, int) else ANSWERED


def _told(error: WrtError, code: int) -> int:
    """Tell a mistake as its room has worded it, what is wrong in bold on a terminal."""
    from wrt.apps.page import printable

    text = str(error)
    if in_colour(sys.stderr) and isinstance(error, Mistake):
        text = f"\x1b[1m{printable(error.message)}\x1b[0m" + printable(text[len(error.message) :])
        click.echo(text, err=True, color=True)
        return code
    click.echo(printable(text), err=True)
    return code


def _apology(given: list[str], fault: Exception) -> int:
    """A fault of ours: no traceback, but enough to report it by."""
    from wrt.apps.page import printable

    question = " ".join(given)
    question = question if len(question) <= 72 else question[:71] + "…"
    said = " ".join(str(fault).split())[:200]
    click.echo(
        printable(
            f"wrt failed on: {question}\n"
            f"  this is a fault of wrt and not of the question; please report it\n"
            f"  ({type(fault).__name__}: {said}; WRT_DEBUG=1 shows where)"
        ),
        err=True,
    )
    return MISTAKE
