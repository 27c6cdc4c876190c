"""Formula → program: a plan, readable source, and a function that runs it.

Reading order: `steps` (the operations), `plan` (node by node), `products` with `places` and
`contraction` (what a product becomes), `additions` (sums), `apart` and `costs` (which of equal
formulas is the cheapest), `explaining` (the plan as a table), `code`, `names`, `helpers` and
`emission` (Python from steps), `module` (the text), `door` and `running` (the function).
`backends` is the table of array libraries.
"""

from __future__ import annotations

from wrt.programs.backends import BACKENDS, Backend
from wrt.programs.explaining import Explanation, explained
from wrt.programs.module import source
from wrt.programs.plan import Plan
from wrt.programs.running import MOST_ENTRIES, Program, compile  # noqa: A004  # as known

__all__ = [
    "BACKENDS",
    "MOST_ENTRIES",
    "Backend",
    "Explanation",
    "Plan",
    "Program",
    "compile",
    "explained",
    "source",
]
