"""The differential of an answer, as text: how f changes with x."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wrt import notation
from wrt.algebra import settled
from wrt.answers.parts import contracted, fresh
from wrt.expression.nodes import Node, Variable

if TYPE_CHECKING:
    from wrt.answers.answer import Derivative

__all__ = ["differential"]


def differential(D: Derivative, names: Sequence[str]) -> str | None:
    """How f changes with x to first order, `df = tr(G'*dX)`; for two variables the second, `d2f`.

    The change of X is the name dX, that of an entry X[1,2] the entry dX[1,2]. None where no
    notation says it. `names` are all names in the order in which a person meets them.

    >>> from wrt.answers import derivative
    >>> derivative("tr(A*inv(X))", "X").differential
    'df = -tr(inv(X)*A*inv(X)*dX)'
    >>> derivative("x'*A*x", "x", "x").differential, derivative("W*x", "W").differential
    ("d2f = dx'*(A+A')*dx", 'df[i] = dW[i,b]*x[b]')
    """
    if D.is_huge:
        return None
    order = len(D.wanted)
    letter = fresh("fFhy", {*names, *(f"d{name}" for name in names)})
    plain, changes = settled(D.plain), _changes(D)
    if order == 1:
        return _first(D, plain, changes[0], f"d{letter}", names)
    for change in reversed(changes):
        plain = contracted(plain, change)
    spoken = (*names, *(change.name for change in changes))
    said = notation.matrix(settled(plain), names=spoken)
    return said and f"d{order}{letter} = {said}"


def _first(
    D: Derivative, plain: Node, change: Variable, left: str, names: Sequence[str]
) -> str | None:
    said = notation.sentence(plain, names=names, change=change)
    if said is not None:
        is_row = D.question.row and D.split == 1
        return f"{left}{chr(39) * is_row} = {said.text}"
    entries = notation.entries(plain, D.split, change, left, names) if D.split else None
    return entries and f"{entries[0]} = {entries[1]}"


def _changes(D: Derivative) -> list[Variable]:
    """What the change of each variable is called."""
    found = []
    start = D.split
    for one, axes in zip(D.wanted, D.groups[1:], strict=True):
        text = one.text.replace(" ", "")
        word = f"d({text})" if one.conjugate else f"d{text}"
        found.append(Variable(word, D.plain.dims[start : start + axes]))
        start += axes
    return found
