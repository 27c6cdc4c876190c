"""Formula → program: a plan, readable source, and a function that runs it.

Reading order: `steps` (the operations), `plan` (node by node), `products` with `places` and
`contraction` (what a product becomes), `additions` (sums), `apart` and `costs` (which of equal
formulas is the cheapest), `explaining` (the plan as a table), `code`, `names`, `helpers` and
`emission` (Python from steps), `module` (the text), `door` and `running` (the function).
`backends` is the table of array libraries, `library`, `library_torch` and `translation` are their
words, `writing` and `new_arrays` what they do differently; `elsewhere` runs JAX and PyTorch,
`custom` writes backward passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wrt.expression.on_use import on_use

if TYPE_CHECKING:
    from wrt.programs.backends import BACKENDS, Backend
    from wrt.programs.explaining import Explanation, explained
    from wrt.programs.module import source
    from wrt.programs.plan import Plan
    from wrt.programs.running import Program, compile  # noqa: A004  # as known

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

#: A dense array of more entries than this is refused: 2 GB of float64.
MOST_ENTRIES = 250_000_000

#: Loaded when they are first asked for: an answer that nobody runs needs none of them.
__getattr__ = on_use(
    __name__,
    {
        "BACKENDS": "backends",
        "Backend": "backends",
        "Explanation": "explaining",
        "Plan": "plan",
        "Program": "running",
        "compile": "running",
        "explained": "explaining",
        "source": "module",
    },
)
