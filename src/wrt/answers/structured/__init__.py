"""Derivatives with their arrays bound: used, solved with and handed on without being formed.

Reading order: `terms` (sums of products with open indices), `binding` (what is computed when arrays
are bound), `operations` (formulas of what is done), `tensor` (the object), `entries` (where zeros
are not), `systems` (how a formula is solved with), `factors`, `solving`, `exports`; `arrays` is
what NumPy, JAX and PyTorch say differently.
"""

from typing import TYPE_CHECKING

from wrt.expression.on_use import on_use

if TYPE_CHECKING:
    from wrt.answers.structured.binder import Binder, Binders
    from wrt.answers.structured.binding import bound_to
    from wrt.answers.structured.tensor import Structured

__all__ = ["Binder", "Binders", "Structured", "bound_to"]

__getattr__ = on_use(
    __name__,
    {"Binder": "binder", "Binders": "binder", "Structured": "tensor", "bound_to": "binding"},
)
