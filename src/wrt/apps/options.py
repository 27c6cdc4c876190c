"""The options of the command line, read by click: `wrt FORMULA NAME… --latex`, `wrt check`,
`wrt help WORD`, `wrt functions`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from wrt import __version__
from wrt.apps import values
from wrt.apps.question import Options, answer_all, answer_one, formula_of, page_of, text_of

__all__ = ["CODE", "PLAN", "SIZES", "Question", "by_options"]

ANSWERED, WRONG_USE, FAILED, INTERRUPTED = 0, 2, 3, 130
FORMS = (
    "matrix",
    "index",
    "einsum",
    "kronecker-rows",
    "kronecker-columns",
    "differential",
)
VIEWS = ("numerator", "denominator", "gradient", "vec-rows", "vec-columns")

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
    _refuse_apart(chosen, names, ctx)
    text, options = formula_of(formula), _options(**chosen)
    if options.every:
        answer_all(text, options)
    elif names:
        answer_one(text, names, options)
    else:
        raise click.UsageError(_nameless(text, options.shapes), ctx)


def _options(
    shapes: Sequence[str],
    entry: str | None,
    given: Sequence[str],
    claim: str | None,
    sizes: Sequence[str],
    **chosen: Any,
) -> Options:
    """The options as they are meant."""
    numbers, filed = values.arrays(given)
    return Options(
        shapes=values.shapes(shapes),
        entry=None if entry is None else values.indices(entry),
        given=numbers if given else None,
        filed=filed,
        claim=None if claim is None else text_of(claim),
        sizes=values.sizes(sizes),
        **chosen,
    )


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


def _refuse_apart(chosen: Mapping[str, Any], names: Sequence[str], ctx: click.Context) -> None:
    """Refuse options that do not go together."""
    if chosen["every"] and names:
        raise click.UsageError(f"--all does not go together with {names[0]}", ctx)
    if chosen["custom"] and chosen["code"] is None:
        raise click.UsageError("--custom goes with --code torch or --code jax", ctx)
    if chosen["sizes"] and not (chosen["code"] or chosen["plan"]):
        raise click.UsageError("--size goes with --code or --plan", ctx)
    for one in _APART | _ALONE:
        others = _APART.get(one, ()) + (() if chosen["as_data"] else _ALONE.get(one, ()))
        for other in others if chosen[one] else ():
            if chosen[other]:
                said = [f"--{_SPELLED.get(name, name)}" for name in (one, other)]
                raise click.UsageError(f"{said[0]} does not go together with {said[1]}", ctx)


def _nameless(text: str, declared: Mapping[str, str]) -> str:
    """What to say to a formula without a name: the names that it has."""
    from wrt.language import read

    known = list(read(text, shapes=declared).variables)
    listed = f"; its variables are {', '.join(known)}" if known else ""
    example = known[0] if known else "x"
    return f"with respect to what? Name a variable, as in: wrt FORMULA {example}{listed}"


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
        print(as_json(target, found))
    else:
        page = page_of(full)
        write_check(target, found, page)
        print(page)
    return ANSWERED if found.passed else FAILED


@click.command(name="help")
@click.argument("words", nargs=-1, metavar="[WORD]")
@click.option("--full", is_flag=True, help="Shorten nothing.")
@click.help_option("--help")
def help_(words: tuple[str, ...], full: bool) -> None:
    """All about a function of the language: what it is, its rule, its laws."""
    if not words:
        with click.Context(answer, info_name="wrt") as ctx:
            print(answer.get_help(ctx))
        return
    from wrt.apps.book_text import write_record

    page = page_of(full)
    for word in words:
        page.lines += [""] * bool(page.lines)
        write_record(text_of(word), page)
    print(page)


@click.command(name="functions")
@click.help_option("--help")
def functions() -> None:
    """All functions of the language, a line each."""
    from wrt.apps.book_text import write_book

    page = page_of(False)
    write_book(page)
    print(page)


_COMMANDS = {"check": check_, "help": help_, "functions": functions}


def by_options(given: list[str]) -> int:
    """Run the command that the words begin with; the exit code."""
    try:
        return _dispatched(given)
    except click.UsageError as mistake:
        mistake.show()
        return WRONG_USE
    except click.Abort:
        return INTERRUPTED


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
            print(answer.get_help(ctx), file=sys.stdout if given else sys.stderr)
        return ANSWERED if given else WRONG_USE
    name = "wrt" if command is answer else f"wrt {command.name}"
    try:
        with command.make_context(name, rest) as ctx:
            code = command.invoke(ctx)
    except click.exceptions.Exit as done:  # --help and --version
        return done.exit_code
    return code if isinstance(code, int) else ANSWERED
