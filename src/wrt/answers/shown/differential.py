"""The differential of an answer, as text and as LaTeX: how f changes with x."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wrt import notation
from wrt.algebra import normal_form, settled
from wrt.answers.maps import keys
from wrt.answers.parts import contracted, fresh, picked, swept
from wrt.calculus import constraint
from wrt.expression.dataclass import replace
from wrt.expression.nodes import Node, Variable
from wrt.notation.differential import entries as in_entries
from wrt.notation.differential import sentence
from wrt.notation.latex_text import below

if TYPE_CHECKING:
    from wrt.answers.answer import Derivative
    from wrt.language import Wanted

__all__ = ["differential"]


def differential(
    D: Derivative, names: Sequence[str], style: notation.Style | None = None
) -> tuple[str, str] | None:
    """How f changes with x to first order, `df = tr(G'*dX)`; for two variables the second, `d2f`.

    The change of X is the name dX, that of an entry X[1,2] the entry dX[1,2]; where X is
    constrained, so is dX, by every convention. None where no notation says it. `names` are all
    names in the order in which a person meets them.

    >>> from wrt.answers import derivative
    >>> derivative("tr(A*inv(X))", "X").differential
    'df = -tr(inv(X)*A*inv(X)*dX)'
    >>> derivative("x'*A*x", "x", "x").differential, derivative("W*x", "W").differential
    ("d2f = 2*(dx'*A*dx)", 'df = dW*x')
    """
    if D.is_huge:
        return None
    order = len(D.wanted)
    letter = fresh("fFhy", {*names, *(f"d{name}" for name in names)})
    whole, changes = settled(_free(D)), _changes(D)
    style = style or notation.Style()
    macros = {c.name: _written(w, style) for c, w in zip(changes, D.wanted, strict=True)}
    style = replace(style, macros={**macros, **style.macros})
    if order == 1:
        return _first(D, whole, changes[0], letter, names, style)
    for change in reversed(changes):
        whole = contracted(whole, change)
    spoken = (*names, *(change.name for change in changes))
    said = sentence(settled(whole), names=spoken, style=style)
    if said is None:
        return None
    return f"d{order}{letter} = {said.text}", rf"\mathrm{{d}}^{{{order}}}{letter} = {said.latex}"


def _first(
    D: Derivative,
    whole: Node,
    change: Variable,
    letter: str,
    names: Sequence[str],
    style: notation.Style,
) -> tuple[str, str] | None:
    """The derivative times the change, in matrices where they can say it, else by entries."""
    moved = settled(contracted(whole, change))
    said = sentence(whole, names=names, change=change, style=style)
    said = said or sentence(moved, names=(*names, change.name), style=style)
    if said is not None:
        is_row = D.question.row and D.split == 1
        flip, turn = ("'", r"^\top") if is_row else ("", "")
        return f"d{letter}{flip} = {said.text}", rf"\mathrm{{d}}{letter}{turn} = {said.latex}"
    if not D.split:
        return None
    entries = in_entries(whole, D.split, change, f"d{letter}", names, style)
    if entries is None:
        return None
    left, text, latex = entries
    shown = below(rf"\mathrm{{d}}{letter}", left.partition("[")[2].rstrip("]"))
    return f"{left} = {text}", f"{shown} = {latex}"


def _free(D: Derivative) -> Node:
    """The derivative with the entries of what is constrained moving freely, as its change says."""
    if D.convention is None:
        return D.told
    node = normal_form(swept(D.f, [one.by for one in D.wanted], None))
    return picked(node, (*[slice(None)] * D.f.ndim, *keys(D.wanted)))


def _changes(D: Derivative) -> list[Variable]:
    """What the change of each variable is called."""
    found = []
    start = D.split
    for one, axes in zip(D.wanted, D.groups[1:], strict=True):
        text = one.text.replace(" ", "")
        word = f"d({text})" if one.conjugate else f"d{text}"
        rules = () if one.selection else constraint(one.variable)
        found.append(Variable(word, D.plain.dims[start : start + axes], rules))
        start += axes
    return found


def _written(wanted: Wanted, style: notation.Style) -> str:
    """The change of a variable, or of entries of one, in LaTeX."""
    moving = wanted.by if wanted.selection is None else picked(wanted.by, wanted.selection.key)
    said = notation.latex(moving, style=style)
    return rf"\mathrm{{d}}{said or wanted.variable.name}"
