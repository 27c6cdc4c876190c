"""Derivatives with their arrays bound: used, solved with and handed on without being formed.

Reading order: `terms` (sums of products with open indices), `binding` (the parts that are computed
when arrays are bound), `binder` (what binds them), `operations` (formulas of what is done),
`tensor` (the object), `calling` (what a product costs), `entries` (where zeros are not), `systems`
(how a formula is solved with), `summed`, `factors`, `sparse`, `sums`, `solving`, `routes`; `joint`
(several variables at once), `elimination`; `exports`;
`arrays` what NumPy, JAX and PyTorch say differently.
"""

from typing import TYPE_CHECKING

from wrt.expression.on_use import on_use

if TYPE_CHECKING:
    from wrt.answers.structured.binder import Binder, Binders
    from wrt.answers.structured.joint import Joint
    from wrt.answers.structured.tensor import Structured

__all__ = ["Binder", "Binders", "Joint", "Structured"]

__getattr__ = on_use(
    __name__, {"Binder": "binder", "Binders": "binder", "Joint": "joint", "Structured": "tensor"}
)
