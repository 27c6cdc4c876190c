"""The derivatives by every variable on one page: a block for each, what holds of all below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wrt.answers import Check
from wrt.apps.answer_text import described, formula, numbers, proof, spaced, title, typeset
from wrt.apps.page import Page, unbroken

if TYPE_CHECKING:
    from wrt.apps.asked import Found

__all__ = ["write_every"]


def write_every(found: Sequence[Found], page: Page) -> None:
    """Write the derivatives of one formula on a page.

    >>> from wrt.answers.several import gradients
    >>> from wrt.apps.asked import Asked, find
    >>> page = Page()
    >>> write_every([find(D, Asked()) for D in gradients("x'*A*x")], page)
    >>> print(page)
    ∂(xᵀ A x)/∂x     a scalar by a vector: 1 axis, n
      matrix         (A + A')*x
    ∂(xᵀ A x)/∂A     a scalar by a matrix: 2 axes, n × n
      matrix         x*x'
      ...
    """
    for one in found:
        _block(one, page)
    derivatives = [one.derivative for one in found]
    formula(derivatives[0], page)
    valid = dict.fromkeys(v for D in derivatives for v in D.valid)
    if valid:
        page.row("valid where", "; ".join(map(unbroken, valid)))
    said = dict.fromkeys(a for D in derivatives for a in (*D.assumed, D.runner_up) if a)
    if said:
        page.row("assumed", "; ".join(map(unbroken, said)))
    checks = [one.check for one in found]
    worst = max(checks, key=lambda check: check.error)
    points = min(check.points for check in checks)
    page.row("checked", proof(Check(points, worst.error, worst.method, True)), "good")


def _block(found: Found, page: Page) -> None:
    """One derivative: what it is, and its shortest form."""
    D = found.derivative
    page.head(title(D), described(D))
    if D.why_zero:
        page.row("zero", f"every entry is 0: {D.why_zero}")
    elif D.matrix is not None:
        page.row("matrix", spaced(D.matrix))
    elif D.index is not None:
        page.row("index", typeset(D.index))
    else:
        page.row("formula", "too large for one sentence; --code numpy gives its program")
    if D.convention:
        page.row("convention", D.convention)
    if found.value is not None:
        page.block("value", page.shortened(numbers(found.value, page)))
