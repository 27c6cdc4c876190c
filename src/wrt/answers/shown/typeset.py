"""The derivative in LaTeX, in any notation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wrt import notation
from wrt.algebra import settled
from wrt.answers.parts import unused
from wrt.errors import ShapeMistake
from wrt.expression.nodes import Variable

if TYPE_CHECKING:
    from wrt.answers.answer import Derivative

__all__ = ["LATEX_FORMS", "latex"]

LATEX_FORMS = (
    "matrix",
    "index",
    "einsum",
    "kronecker-rows",
    "kronecker-columns",
    "differential",
)


def latex(D: Derivative, form: str | None, style: notation.Style) -> str | None:
    """One notation as LaTeX; without one, the matrix form or else the index form."""
    if form is not None and form not in LATEX_FORMS:
        raise ShapeMistake(f"{form!r} is no form in LaTeX; {', '.join(LATEX_FORMS)} are")
    if D.is_huge:
        return None
    names = (*D.question.variables, *sorted(D.question.dimensions))
    spellings = {} if style.bold else dict(D.question.spellings)
    style = replace(style, names=(*names, *style.names), macros={**spellings, **style.macros})
    if form in (None, "matrix"):
        said = notation.latex(D.flat, names=names, where=True, style=style)
        if said is None and D.layout in ("vec-rows", "vec-columns"):
            said = latex(D, f"kronecker-{D.layout.removeprefix('vec-')}", style)
        if said is not None or form is not None:
            return said
    if form == "einsum":
        return notation.latex_einsum(D.flat, names=names, style=style)
    if form == "differential":
        return _differential(D, names, style)
    if form in ("kronecker-rows", "kronecker-columns"):
        order = form.removeprefix("kronecker-")
        node = settled(D.told)
        return notation.latex_kronecker(node, D.rows, order, names=names, style=style)
    split = D.groups[:-1] if D.layout is None else D.formula.ndim
    return notation.latex_index(D.flat, split=split, names=names, where=True, style=style)


def _differential(D: Derivative, names: tuple[str, ...], style: notation.Style) -> str | None:
    """df in terms of dx, for a first derivative."""
    if len(D.wanted) > 1:
        return None
    x = D.wanted[0].variable
    change = unused(f"d{x.name}", tuple(D.question.variables))
    known = (*names, change)
    if x.name in style.macros:
        spelled = rf"\mathrm{{d}}{style.macros[x.name]}"
        style = replace(style, macros={change: spelled, **style.macros})
    if D.convention is None and D.layout is None:
        whole = D.f.ndim == 0 and D.whole is D.plain
        moving = Variable(change, x.dims)
        made = notation.sentence(D.flat, names=known, change=moving, style=style) if whole else None
        if made is not None:
            return rf"\mathrm{{d}}f = {made.latex}"
    node = D.along(change)
    said = notation.latex(node, names=known, row=D.question.row, style=style)
    if said is not None:
        return rf"\mathrm{{d}}f = {said}"
    return notation.latex_index(node, "df", names=known, style=style)
