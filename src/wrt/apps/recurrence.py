"""The command `wrt recurrence FILE NAME`: a derivative through all steps, factor by factor."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wrt import __version__
from wrt.apps import values
from wrt.apps.answer_text import described, numbers, proof, spaced
from wrt.apps.options import CODE, PLAN, SIZES, Question
from wrt.apps.question import formula_of, page_of, text_of
from wrt.errors import NameMistake, SyntaxMistake, TooLarge

if TYPE_CHECKING:
    from wrt.answers.sequences import Recurrence, ThroughTime
    from wrt.answers.sequences.through import Factor
    from wrt.apps.page import Page

__all__ = ["recurrence_"]

#: Signs longer than this stand above their factor.
SIGN = 14

EXAMPLES = """\b
Examples:
  wrt recurrence rnn.txt W
  wrt recurrence "s[t] = tanh(W*s[t-1] + U*x[t])" W --state s
  wrt recurrence 's_t = \\tanh(W s_{t-1} + U x_t)' W --expand 3
  cat lstm.txt | wrt recurrence - Wf --step 5
"""


@click.command(name="recurrence", cls=Question, epilog=EXAMPLES)
@click.argument("lines", metavar="FILE")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="NAME=AXES",
    help="Declare a name, a state or series for one step: W=n,n or x=m.",
)
@click.option("--of", "loss", metavar="L", help="The loss; without it, the one scalar line.")
@click.option("--state", metavar="S", help="The derivative of the last state S, not of a loss.")
@click.option("--step", "place", type=int, metavar="T", help="Of this step, counted from 1.")
@click.option("--batch", metavar="N", help="Every series and start has this axis in front.")
@click.option("--expand", type=int, metavar="T", help="The sum written out for step T.")
@click.option("--steps", is_flag=True, help="Derive every factor line by line.")
@click.option("--at", "given", multiple=True, metavar="VALUES", help="Numbers at these arrays.")
@click.option("--horizon", is_flag=True, help="How far back it reaches, at the values of --at.")
@click.option("--picture", metavar="FILE", help="Draw the horizon as an SVG.")
@click.option("--latex", is_flag=True, help="Print LaTeX only.")
@CODE
@PLAN
@SIZES
@click.option("--json", "as_data", is_flag=True, help="Print the answer for a machine.")
@click.option("--full", is_flag=True, help="Shorten nothing.")
@click.help_option("--help")
def recurrence_(
    lines: str,
    names: tuple[str, ...],
    shapes: tuple[str, ...],
    loss: str | None,
    state: str | None,
    place: int | None,
    batch: str | None,
    expand: int | None,
    steps: bool,
    given: tuple[str, ...],
    horizon: bool,
    picture: str | None,
    latex: bool,
    code: str | None,
    plan: bool,
    sizes: tuple[str, ...],
    as_data: bool,
    full: bool,
) -> None:
    """The derivative of a recurrence through all its steps with respect to each NAME.

    FILE holds the lines, such as "s[t] = tanh(W*s[t-1] + U*x[t])" and "L[t] = norm2(s[t]-y[t])",
    as text or LaTeX;
    - reads them from standard input, and lines may stand in the place of FILE. Without a NAME it
    tells what the recurrence is made of.
    """
    from wrt.answers.sequences import recurrence

    if state and loss:
        raise click.UsageError("--state does not go together with --of")
    _refuse_apart(as_data, code=code, plan=plan, latex=latex, at=given, steps=steps, expand=expand)
    if sizes and not (code or plan):
        raise click.UsageError("--size goes with --code or --plan")
    rnn = recurrence(_lines(lines), values.shapes(shapes), batch=batch)
    page = page_of(full)
    if horizon or picture:
        _refuse_beside("horizon", code=code, plan=plan, json=as_data, latex=latex, steps=steps)
        _reach(rnn, names, loss, state, given, picture)
        return
    if not names and as_data:
        known = ", ".join(rnn.lines.shared)
        raise click.UsageError(f"with respect to what? --json wants a name: {known}")
    if not names and (code or plan) and not state:
        names = tuple(D.wanted[0].variable.name for D in rnn.gradients(of=loss, at=place))
    if not names:
        _overview(rnn, page)
        print(page)
        return
    filled, _ = values.arrays(given)
    found = [_found(rnn, text_of(name), loss, state, place) for name in names]
    told = values.sizes(sizes)
    if as_data:
        made = [
            _as_dict(D, steps)
            | _beside(rnn, D, expand, filled if given else None)
            | _program(D, code, plan, told)
            for D in found
        ]
        print(json.dumps(made, indent=2, ensure_ascii=False))
        return
    if code or plan:
        print(_programmed(found, code, told))
        return
    for k, D in enumerate(found):
        if latex:
            print(_latex(D))
        else:
            page.lines += [""] * bool(k)
            _write(D, page, expand, steps)
            if given:
                page.block("value", page.shortened(numbers(D(_needed(rnn, filled)), page)))
    if page.lines:
        print(page)


def _refuse_apart(as_data: bool, **chosen: Any) -> None:
    """Refuse what would be lost beside what is printed alone; --json holds it all."""
    for one in ("code", "plan", "latex"):
        if chosen.pop(one) and not as_data:
            _refuse_beside(one, **chosen)


def _refuse_beside(one: str, **others: Any) -> None:
    for other, value in others.items():
        if value not in (None, False, ()):
            raise click.UsageError(f"--{one} does not go together with --{other}")


def _needed(rnn: Recurrence, filled: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the names of a recurrence; what files hold beside them is left aside."""
    return {n: v for n, v in filled.items() if n in rnn.variables or v is None}


def _reach(
    rnn: Recurrence,
    names: tuple[str, ...],
    loss: str | None,
    state: str | None,
    given: tuple[str, ...],
    picture: str | None,
) -> None:
    """How far back a recurrence reaches at given values, as text and as a picture."""
    if not given:
        raise click.UsageError("--horizon is about numbers: give them with --at")
    filled, _ = values.arrays(given)
    by = [text_of(name) for name in names] or None
    found = rnn.horizon(filled, of=state, by=by, loss=loss)
    print(str(found))
    if picture:
        try:
            Path(picture).write_text(found.svg(), "utf-8")
        except OSError as error:
            why = (error.strerror or "it cannot be written").lower()
            raise SyntaxMistake(f"{picture}: {why}") from None


def _lines(given: str) -> str:
    """The text of the lines: a file's, standard input's, or the argument itself."""
    said = not given.strip() or any(sign in given for sign in "=\n")
    if given == "-" or (said and not Path(given or "-").exists()):
        return formula_of(given)
    path = Path(text_of(given))
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise SyntaxMistake(f"{given} is no text in UTF-8") from None
    except OSError as error:
        why = error.strerror or "it cannot be read"
        raise SyntaxMistake(
            f"{given}: {why.lower()}",
            hint='a file with lines such as s[t] = tanh(W*s[t-1]), or the lines themselves in ""',
        ) from None


def _found(
    rnn: Recurrence, name: str, loss: str | None, state: str | None, place: int | None
) -> ThroughTime:
    if state is not None:
        return rnn.total(state, name, place)
    if loss is None and not rnn.losses:
        if len(rnn.carried) == 1:
            return rnn.total(rnn.carried[0], name, place)
        raise NameMistake(
            "no line defines a scalar of its own, a loss",
            hint=f"--state names a state: {', '.join(rnn.states)}",
        )
    return rnn.gradient(name, loss, place)


def _programmed(found: Sequence[ThroughTime], code: str | None, sizes: Mapping[str, int]) -> str:
    """One program for all, proved before it is printed; or its plan."""
    from wrt.answers.claims.printed import point_of, refuse_misprograms
    from wrt.answers.several import Gradients

    for D in found:
        D.check()
    whole = found[0] if len(found) == 1 else Gradients(found)
    if code is None:
        return str(whole.plan(**sizes))
    refuse_misprograms(whole, point_of(found[0]))
    return whole.source(code, sizes=sizes).rstrip()


def _latex(D: ThroughTime) -> str:
    said = D.latex() or D.latex("matrix")
    if said is None:
        raise TooLarge(f"{D.title} has no short form in LaTeX; --code numpy gives its program")
    return said


# On a page


def _overview(rnn: Recurrence, page: Page) -> None:
    """What a recurrence is made of."""
    count = "1 line" if len(rnn.states) == 1 else f"{len(rnn.states)} lines"
    page.head("recurrence", f"{count}, steps 1 to {rnn.length}")
    _said(rnn, page)
    for label, names in (
        ("carried", rnn.carried),
        ("losses", rnn.losses),
    ):
        if names:
            page.row(label, ", ".join(map(rnn.said, names)))
    sizes = {n: " × ".join(map(str, v.shape)) for n, v in rnn.variables.items()}
    given = [f"{name} ({size})" if size else name for name, size in sizes.items()]
    page.row("to be given", ", ".join(given))
    _ending(rnn, page)


def _said(rnn: Recurrence, page: Page) -> None:
    page.block("lines", rnn.lines.said.values())


def _ending(rnn: Recurrence, page: Page) -> None:
    if rnn.assumed:
        page.row("assumed", "; ".join(rnn.assumed))
    for remark in rnn.remarks:
        page.row("note", remark)


def _write(D: ThroughTime, page: Page, expand: int | None, steps: bool) -> None:
    """A derivative through time: the chain, its factors, its costates, what it is as a whole."""
    from wrt.answers.sequences.signs import BOOKS

    path = D.way
    page.head(D.title, described(D))
    _said(path.rnn, page)
    if D.why_still:
        page.row("zero", f"every entry is 0: {D.why_still}")
    elif D.chain:
        page.row("chain", D.chain)
        if len(path.states) > 1:
            page.row("", f"{path.joint} is all of {', '.join(path.states)}; blocks not named are 0")
        if path.states:
            last = "latest" if path.way < 0 else "earliest"
            page.row("", f"in ∏ the {last} step stands leftmost")
    if expand is not None:
        page.row("expanded", D.expansion(expand))
    for factor in D.factors:
        _factor(factor, page)
        if steps:
            page.block("", [f"    {one.text}   {one.rule}" for one in factor.answer.steps()])
    if D.matrix:
        page.row("closed form", spaced(D.matrix))
        for line in D.costates:
            page.row("", spaced(line))
    elif D.index:
        page.row("closed form", spaced(D.index))
        for order in ("rows", "columns"):
            said = D.kronecker(order)
            if said:
                page.row(f"by {order}", spaced(said))
    elif not D.why_still:
        page.row("closed form", _without(D))
    page.row("structure", D.structure_sentence)
    if path.states and D.by_shared:
        state = path.states[0]
        both = (path.by.shape, path.rnn.lines.at(state).shape)
        axes = " × ".join(f"({' × '.join(map(str, one))})" for one in both if one)
        page.row(
            f"∂{path.by.name}/∂{state}[{path.k}]",
            f"zero, {axes}: {path.by.name} is given and depends on no state; this is no inverse "
            f"of ∂⁺{state}[{path.k}]/∂{path.by.name}",
        )
    if path.explicit or path.direct:
        page.row("signs", BOOKS)
    if path.rnn.system.batch:
        page.row("batch", "the factors are those of one sequence; the gradient adds all of them up")
    _ending(path.rnn, page)
    page.row("checked", proof(D.check()), "good")


def _without(D: ThroughTime) -> str:
    """Why there is no closed form."""
    path = D.way
    if path.kind == "mixed":
        why = f"none: {path.by.name} acts in the steps and where a state starts"
    elif path.is_at_edges:
        why = f"none for all steps alike: {path.by.name} is read at several, and its ends differ"
    elif not path.is_chain:
        why = "none as a product of single steps: a state is read more than one step away"
    else:
        why = "none that is short"
    return f"{why}; --code numpy gives the program"


def _factor(factor: Factor, page: Page) -> None:
    """A factor: its sign, its shape, its closed form, where its zeros are."""
    answer = factor.answer
    axes = described(answer).rpartition(", ")[2] if answer.shape else "one number"
    closed = spaced(factor.closed) if factor.closed else "no short form"
    text = f"{axes}:  {closed}"
    if len(factor.sign) > SIGN:
        page.row(factor.sign, "")
        page.row("", text)
    else:
        page.row(factor.sign, text)
    if len(answer.shape) > 2:
        rows, columns = (answer.kronecker(order) for order in ("rows", "columns"))
        if rows and columns:
            path_text = f"by rows {spaced(rows)}, by columns {spaced(columns)}"
            page.row("", path_text.replace(f"[{factor.step}", f"[{factor.letter}"))
        page.row("", answer.structure_sentence.replace(f"[{factor.step}", f"[{factor.letter}"))


# For a machine


def _program(
    D: ThroughTime, code: str | None, plan: bool, sizes: Mapping[str, int]
) -> dict[str, dict[str, Any]]:
    """The program that is wanted and its plan, in the schema of every answer."""
    from wrt.apps.answer_json import program

    source = D.source(code, sizes=sizes) if code else None
    return program(code, source, D.plan(**sizes) if plan else None)


def _beside(
    rnn: Recurrence, D: ThroughTime, expand: int | None, filled: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What was asked for beside a derivative: the sum written out, and numbers."""
    from wrt.apps.answer_json import plain

    made: dict[str, Any] = {} if expand is None else {"expanded": D.expansion(expand)}
    if filled is not None:
        made["value"] = plain(D(_needed(rnn, filled)).tolist())
    return made


def _as_dict(D: ThroughTime, steps: bool = False) -> dict[str, Any]:
    """One derivative through time, schema `wrt.recurrence/1` (docs/json.md)."""
    path, check = D.way, D.check()
    return {
        "schema": "wrt.recurrence/1",
        "version": __version__,
        "lines": dict(path.rnn.lines.said),
        "title": D.title,
        "shape": list(D.shape),
        "chain": D.chain,
        "factors": [
            {"sign": f.sign, "shape": list(f.answer.shape), "closed": f.closed}
            | ({"steps": [f"{s.text}   {s.rule}" for s in f.answer.steps()]} if steps else {})
            for f in D.factors
        ],
        "matrix": D.matrix,
        "costates": list(D.costates),
        "index": D.index,
        "kronecker": {order: D.kronecker(order) for order in ("rows", "columns")},
        "latex": D.latex(),
        "structure": D.structure_sentence,
        "given": {name: list(v.shape) for name, v in path.rnn.variables.items()},
        "assumed": list(path.rnn.assumed),
        "remarks": list(path.rnn.remarks),
        "check": {
            "points": check.points,
            "error": float(check.error),
            "method": check.method,
            "passed": bool(check.passed),
        },
    }
