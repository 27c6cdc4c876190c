"""The derivative in LaTeX, in any notation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wrt import notation
from wrt.answers.shown.differential import differential
from wrt.errors import ShapeMistake
from wrt.expression.dataclass import replace

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
        written = differential(D, names, style)
        return written and written[1]
    if form in ("kronecker-rows", "kronecker-columns"):
        order = form.removeprefix("kronecker-")
        node = D.spoken
        return notation.latex_kronecker(node, D.rows, order, names=names, style=style)
    split = D.groups[:-1] if D.layout is None else D.formula.ndim
    return notation.latex_index(D.flat, split=split, names=names, where=True, style=style)
