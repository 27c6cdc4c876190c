"""Derivatives with their arrays bound: used, solved with and handed on without being formed.

Reading order: `terms` (sums of products with open indices), `binding` (what is computed when arrays
are bound), `operations` (formulas of what is done), `tensor` (the object), `entries` (where zeros
are not), `solving`, `exports`; `arrays` is what NumPy, JAX and PyTorch say differently.
"""

from wrt.answers.structured.binding import bound_to
from wrt.answers.structured.tensor import Structured

__all__ = ["Structured", "bound_to"]
