"""The derivation line by line: every part of a formula that depends on x, its differential, its rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wrt import notation
from wrt.algebra import expand, flat_form
from wrt.calculus import derivative
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Apply, Node, Sum, Variable
from wrt.expression.walk import postorder

if TYPE_CHECKING:
    from wrt.answers.answer import Derivative

__all__ = ["Step", "steps"]

#: More parts than this are no derivation that anybody reads.
MOST_PARTS = 40


@dataclass(frozen=True)
class Step:
    """One line of a derivation and the name of its rule."""

    text: str
    rule: str


def steps(
    f: Node, x: Variable, names: Sequence[str], answer: Derivative
) -> tuple[Step, ...]:
    """The parts of f that depend on x, innermost first: what each is, and its differential.

    Every function is a part of its own; between functions, linear and product rules act at once. The last
    line is the answer.
    """
    f = expand(f)
    parts = [n for n in postorder(f) if isinstance(n, Apply) and x in n.names]
    if len(parts) > MOST_PARTS:
        return (Step(f"{len(parts)} functions: too many to write out", ""), *_last(answer))
    taken = {v.name for v in f.names} | set(names)
    lines: list[Step] = []
    known: dict[Node, Variable] = {}
    for part in parts:
        inner = _in_terms_of(part, known)
        name = _fresh(taken)
        word = part.function.name
        lines += _lines(name, inner, x, known, (*names, *taken), word)
        known[part] = Variable(name, part.dims)
    whole = _in_terms_of(f, known)
    if not isinstance(whole, Variable) or whole is x:
        lines += _lines("f", whole, x, known, (*names, *taken), _rule_of(whole))
    return (*lines, *_last(answer))


def _fresh(taken: set[str]) -> str:
    k = 1
    while f"t{k}" in taken:
        k += 1
    taken.add(f"t{k}")
    return f"t{k}"


def _in_terms_of(part: Node, known: dict[Node, Variable]) -> Node:
    """A part with the parts inside it replaced by their names."""
    done: dict[Node, Node] = {}
    for node in postorder(part):
        if node in known and node is not part:
            done[node] = known[node]
        else:
            children = [done[c] for c in node.children]
            same = all(a is b for a, b in zip(children, node.children, strict=True))
            done[node] = node if same else node.rebuild(children)
    return done[part]


def _lines(
    name: str, node: Node, x: Variable, known: dict[Node, Variable], names: Sequence[str], rule: str
) -> list[Step]:
    """`t = …` and `dt = …` for one part, in terms of the parts inside it and of dx."""
    inside = [v for v in (x, *known.values()) if v in node.names]
    total: list[Node] = []
    for variable in inside:
        moved = Variable(f"d{variable.name}", variable.dims)
        slope = derivative(node, variable)
        axes = tuple(range(slope.ndim))
        cut = node.ndim
        total.append(
            build.product(ONE, ((slope, 1, axes), (moved, 1, axes[cut:])), axes[:cut], slope.dims)
        )
    if not total:
        return []
    change = flat_form(build.add(*total))
    all_names = (*names, *(f"d{v.name}" for v in inside))
    return [
        Step(f"{name} = {_said(node, names)}", "name"),
        Step(f"d{name} = {_said(change, all_names)}", rule),
    ]


def _said(node: Node, names: Sequence[str]) -> str:
    text = notation.matrix(node, names=names) if node.ndim < 3 else None
    if text is None:
        whole = notation.index(node, "", names=names)
        text = whole.partition(" = ")[2] if whole else "…"
    return text


def _rule_of(node: Node) -> str:
    return "sum" if isinstance(node, Sum) else "product"


def _last(answer: Derivative) -> tuple[Step, ...]:
    text = answer.matrix
    said = f"D = {text}" if text is not None else (answer.index or "")
    return (Step(said, "read off the derivative"),)


