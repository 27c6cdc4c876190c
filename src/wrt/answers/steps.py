"""The derivation line by line: every part of a formula that depends on x, its
differential, its rule.
"""

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


def steps(f: Node, x: Variable, names: Sequence[str], answer: Derivative) -> tuple[Step, ...]:
    """The parts of f that depend on x, innermost first: what each is, and its differential.

    Every function is a part of its own; between functions, linear and product rules act at once.
    The last
    line is the answer.
    """
    f = expand(f)
    parts = [n for n in postorder(f) if isinstance(n, Apply) and x in n.names and n is not f]
    if len(parts) > MOST_PARTS:
        return (Step(f"{len(parts)} functions: too many to write out", ""), *_last(answer))
    taken = {v.name for v in f.names} | set(names)
    known: dict[Node, Variable] = {}
    lines: list[Step] = []
    for part in parts:
        name = Variable(_fresh(taken), part.dims)
        lines += _lines(name, _in_terms_of(part, known), x, known, (*names, *taken))
        known[part] = name
    if f is not x:
        name = Variable("f" if "f" not in taken else _fresh(taken), f.dims)
        lines += _lines(name, _in_terms_of(f, known), x, known, (*names, *taken))
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
        if node in known:
            done[node] = known[node]
        else:
            children = [done[c] for c in node.children]
            same = all(a is b for a, b in zip(children, node.children, strict=True))
            done[node] = node if same else node.rebuild(children)
    return done[part]


def _lines(
    name: Variable, node: Node, x: Variable, known: dict[Node, Variable], names: Sequence[str]
) -> list[Step]:
    """`t = …` and `dt = …` for one part, in terms of itself, of the parts inside it and of dx."""
    inside = [v for v in (x, *known.values()) if v in node.names]
    if not inside:
        return []
    changes = [_contracted(derivative(node, v), Variable(f"d{v.name}", v.dims)) for v in inside]
    change = _in_terms_of(flat_form(build.add(*changes)), {node: name, flat_form(node): name})
    spoken = (*names, *(f"d{v.name}" for v in inside))
    return [
        Step(f"{name.name} = {_said(node, names)}", "given"),
        Step(f"d{name.name} = {_said(change, spoken)}", _rule_of(node)),
    ]


def _contracted(slope: Node, change: Variable) -> Node:
    """A derivative times the change of what it is by."""
    axes, cut = tuple(range(slope.ndim)), slope.ndim - change.ndim
    factors = ((slope, 1, axes), (change, 1, axes[cut:]))
    return build.product(ONE, factors, axes[:cut], slope.dims)


def _said(node: Node, names: Sequence[str]) -> str:
    text = notation.matrix(node, names=names) if node.ndim < 3 else None
    if text is None:
        whole = notation.index(node, "", names=names)
        text = whole.partition(" = ")[2] if whole else "…"
    return text


def _rule_of(node: Node) -> str:
    if isinstance(node, Apply):
        return node.function.name
    return "sum rule" if isinstance(node, Sum) else "product rule"


def _last(answer: Derivative) -> tuple[Step, ...]:
    text = answer.matrix
    said = f"D = {text}" if text is not None else (answer.index or "")
    return (Step(said, "read off the derivative"),)
