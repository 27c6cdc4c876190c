"""The seed formula of backpropagation through time, in words, text and LaTeX.

`∂⁺` is the explicit derivative, everything but the named occurrence held fixed, as R. Pascanu,
T. Mikolov and Y. Bengio write it (2013); P. Werbos (1990) writes that sign for the total one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from wrt import notation
from wrt.algebra import settled
from wrt.errors import ShapeMistake
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Node, Variable
from wrt.notation.latex_names import latex_name

if TYPE_CHECKING:
    from wrt.answers.sequences.steps import StepDerivative
    from wrt.answers.sequences.through import Factor, Path, ThroughTime

__all__ = [
    "BOOKS",
    "chain",
    "closed",
    "costates",
    "expansion",
    "factors",
    "index",
    "kronecker",
    "latex",
]

#: Which book writes which sign.
BOOKS = (
    "∂⁺ is the explicit derivative here, everything before its step held fixed (Pascanu, Mikolov "
    "and Bengio 2013); Werbos 1990 writes ∂⁺ for the total one, here d; Goodfellow, Bengio and "
    "Courville give each step a copy W[t] instead"
)

#: The signs of the chain, as text and as LaTeX: total, partial and explicit derivatives, sums and
#: products from one step to another, brackets, one thing times another.
TEXT = {
    "d": "d{}/d{}",
    "∂": "∂{}/∂{}",
    "∂⁺": "∂⁺{}/∂{}",
    "Σ": "Σ_{{{}={}..{}}} {}",
    "∏": "∏_{{{}={}..{}}} {}",
    "()": "({})",
    "·": "{} · {}",
}
LATEX = {
    "d": r"\frac{{\mathrm{{d}} {}}}{{\mathrm{{d}} {}}}",
    "∂": r"\frac{{\partial {}}}{{\partial {}}}",
    "∂⁺": r"\frac{{\partial^{{+}} {}}}{{\partial {}}}",
    "Σ": r"\sum_{{{}={}}}^{{{}}} {}",
    "∏": r"\prod_{{{}={}}}^{{{}}} {}",
    "()": r"\Bigl({}\Bigr)",
    "·": "{} {}",
}


def chain(D: ThroughTime) -> str | None:
    """Σ over steps of products of steps, by signs."""
    path = D.way
    if path.kind in ("series", "mixed") or (not path.states and path.direct is None):
        return None
    if path.states and (not path.is_chain or (path.kind == "start" and len(path.states) > 1)):
        return None
    return _chain(D, TEXT, str)


def _chain(D: ThroughTime, signs: Mapping[str, str], named: Callable[[str], str]) -> str:
    """The chain in one way to write signs and names."""

    def said(sign: str, *parts: str) -> str:
        return signs[sign].format(*parts)

    path, end = D.way, _end(D)
    whole, by = named(path.called(end)), named(path.by.name)
    parts = []
    if path.states:
        z, k, j = _joint(path), path.k, path.j
        low, high, first, last, back = _bounds(path, end)
        step = said("∂", named(f"{z}[{j}]"), named(f"{z}[{j}{back}]"))
        if path.kind == "start":
            first, last = ("1", end) if path.way < 0 else (end, path.rnn.length)
            inner = said("∏", j, first, last, step)
        else:
            steps = said("()", said("∏", j, first, last, step))
            term = said("·", steps, said("∂⁺", named(f"{z}[{k}]"), by))
            inner = said("Σ", k, low, high, term)
        outer = said("∂", whole, named(f"{z}[{end}]"))
        parts.append(inner if D.is_state else said("·", outer, inner))
    if path.direct is not None:
        parts.append(said("∂⁺", whole, by))
    total = " + ".join(parts)
    if D.is_state or path.place is not None:
        return f"{said('d', whole, by)} = {total}"
    total = said("()", total) if len(parts) > 1 else total
    return f"{said('d', named(path.target), by)} = {said('Σ', end, '1', path.rnn.length, total)}"


def closed(D: ThroughTime) -> str | None:
    """The gradient from costates."""
    path = D.way
    if D.f.ndim or D.layout is not None or path.kind == "mixed" or path.is_at_edges:
        return None
    said = path.text(path.summand, "G")
    if said is None:
        return None
    if path.kind == "series":
        return f"{path.by.name}[{path.k}]: {said}"
    if path.begins is not None:
        outside = path.begins[1]
        place = str(outside + 1) if outside < 0 else f"{path.rnn.length}+{outside}"
        return _stepped(said, path.k, place)
    total = f"sum({path.k}, {path.first}, {path.last}, {said})"
    if path.at_once is None:
        return total
    once = _stepped(path.text(path.at_once) or "", path.k, path.end)
    return once if build.is_zero(path.summand) else f"{total} + {once}"


def _stepped(text: str, letter: str, place: str) -> str:
    """A sentence of step k as one of a step with a number: s[k+1] at 0 is s[1]."""

    def one(match: re.Match[str]) -> str:
        shift = int(match[1] or 0)
        if place.isdecimal() or place.startswith("-"):
            return f"[{int(place) + shift}]"
        base, sign, more = place.partition("+")
        total = int(f"{sign}{more}" or 0) + shift
        return f"[{base}{total:+d}]" if total else f"[{base}]"

    return re.sub(rf"\[{letter}([+-]\d+)?\]", one, text)


def expansion(D: ThroughTime, t: int) -> str:
    """The sum over steps written out."""
    path = D.way
    if not isinstance(t, int) or not 1 <= t <= 12:
        raise ShapeMistake(f"the sum is written out for steps 1 to 12, not for {t!r}")
    if not path.is_chain or path.way > 0 or not path.states:
        raise ShapeMistake("the sum is written out where each step reads the one before it")
    terms = ["*".join([*(f"J[{j}]" for j in range(t, k, -1)), f"E[{k}]"]) for k in range(1, t + 1)]
    left = f"d{_joint(path)}[{t}]/d{path.by.name}"
    return f"{left} = {' + '.join(terms)}"


def factors(D: ThroughTime) -> tuple[Factor, ...]:
    """The factors in the order of the chain."""
    from wrt.answers.sequences.through import Factor

    path, found = D.way, []
    end = _end(D)
    back = path.way

    def one(sign: str, answer: StepDerivative, letter: str) -> None:
        node = path.at(answer.told, letter)
        closed = notation.matrix(settled(node), where=True) if node.ndim <= 2 else None
        closed = closed or notation.index(settled(node), split=answer.split)
        found.append(Factor(sign, answer, path.lines.step, letter, closed))

    for s, answer in path.of_loss.items():
        one(f"∂{path.called(end)}/∂{s}[{end}]", answer, end)
    for (new, old, lag), answer in path.steps.items():
        one(f"∂{new}[{path.j}]/∂{old}[{path.j}{back * lag:+d}]", answer, path.j)
    for s, answer in path.explicit.items():
        one(f"∂⁺{s}[{path.k}]/∂{path.by.name}", answer, path.k)
    if path.direct is not None:
        one(f"∂⁺{path.called(end)}/∂{path.by.name}", path.direct, end)
    return tuple(found)


def costates(D: ThroughTime) -> tuple[str, ...]:
    """λ[k] from the costates of the steps that read step k, and where they end."""
    path = D.way
    lines = []
    for name, node in path.recursion.items():
        left = path.costate(name, path.k).name
        here = path.arrivals.get(name)
        line = f"{left} = {path.text(node)}"
        if here is not None:
            line += f", and at {path.k} = {path.end} also {path.text(here)}"
        lines.append(line)
    states = [s for s in path.passing if s in path.rnn.carried] or list(path.passing)
    for way, behind in ((-1, f"{path.k} > {path.last}"), (1, f"{path.k} < {path.first}")):
        names = [path.costate(s, path.k).name for s in states if path.way_of(s) == way]
        if names:
            lines.append(f"{' = '.join(names)} = 0 for {behind}")
    return tuple(lines)


def index(D: ThroughTime) -> str | None:
    """`D[i,a,b] = sum(k, 1, T, …)` over the product of the steps behind k."""
    path = D.way
    state = _only(D)
    if state is None or state not in path.explicit or path.lines.at(state).ndim != 1:
        return None
    dims = path.lines.at(state).dims
    steps = Variable(f"P[{path.k}]", dims + dims)
    node = _product(steps, path.at(path.explicit[state].told, path.k))
    said = notation.index(settled(node), split=1)
    if said is None:
        return None
    left, _, right = said.partition(" = ")
    jacobian = notation.matrix(settled(path.at(path.steps[state, state, 1].told, path.j)))
    low, high, first, last, _ = _bounds(path, path.seen)
    product = f"prod({path.j}, {first}, {last}, {jacobian})" if jacobian else "the steps"
    return f"{left} = sum({path.k}, {low}, {high}, {right}) where P[{path.k}] = {product}"


def kronecker(D: ThroughTime, order: str) -> str | None:
    """The sum over steps in Kronecker products."""
    path = D.way
    state = _only(D)
    if state is None or state not in path.explicit or path.way > 0:
        return None
    jacobian = notation.matrix(settled(path.at(path.steps[state, state, 1].told, path.j)))
    explicit = path.explicit[state]
    node = settled(path.at(explicit.told, path.k))
    inner = notation.kronecker(node, explicit.rows, order)
    if jacobian is None or inner is None:
        return None
    low, high, first, last, _ = _bounds(path, path.seen)
    product = f"prod({path.j}, {first}, {last}, {jacobian})"
    return f"sum({path.k}, {low}, {high}, {product}*({inner}))"


def latex(D: ThroughTime, form: str | None, style: notation.Style) -> str | None:
    """The chain in LaTeX, or the sum over costates."""
    path = D.way
    if path.kind != "shared":
        return None
    if form == "matrix":
        said = notation.latex(settled(path.summand), style=style) if not D.f.ndim else None
        if said is None or path.at_once is not None:
            return None
        total = rf"\sum_{{{path.k}={path.first}}}^{{{path.last}}}"
        return f"{total} {said}"
    if form is not None or chain(D) is None:
        return None
    return _chain(D, LATEX, latex_name)


# Parts


def _end(D: ThroughTime) -> str:
    """The last step that is looked at."""
    place = D.way.place
    return D.way.lines.step if place is None else str(place)


def _joint(path: Path) -> str:
    """One state by its name, several by a letter for all of them."""
    return path.states[0] if len(path.states) == 1 else path.joint


def _bounds(path: Path, end: str) -> tuple[str, str, str, str, str]:
    """The bounds of the sum over k and of the product over j, and the step behind j."""
    if path.way < 0:
        return "1", end, f"{path.k}+1", end, "-1"
    return end, path.rnn.length, end, f"{path.k}-1", "+1"


def _only(D: ThroughTime) -> str | None:
    """The one state that a sentence over single steps is about."""
    path = D.way
    single = path.states == (path.target,) and path.kind == "shared"
    if D.layout is not None or not path.is_chain or not single:
        return None
    return path.target if (path.target, path.target, 1) in path.steps else None


def _product(steps: Variable, node: Node) -> Node:
    """What comes behind a step, times what the step does."""
    axes = tuple(range(1, node.ndim + 1))
    factors = ((steps, 1, (0, 1)), (node, 1, axes))
    dims = (steps.dims[0], *node.dims)
    return build.product(ONE, factors, (0, *axes[1:]), dims)
