"""A call without NumPy's warnings: what is no number is told of by who calls."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from functools import cache
from typing import Any

__all__ = ["quietly"]


def quietly(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function gives, NumPy's warnings of overflow and the like switched off.

    A context in which they are off is made once and entered anew by each call: a tenth of what
    `np.errstate` takes.

    >>> import numpy as np
    >>> quietly(np.exp, 1000.0)
    np.float64(inf)
    """
    context = _silent()
    if context is not None:
        return context.copy().run(function, *arguments)
    import numpy as np

    with np.errstate(all="ignore"):
        return function(*arguments)


@cache
def _silent() -> Context | None:
    """A context without warnings; None where NumPy keeps them by thread, as it did before 2.0."""
    import numpy as np

    before, found = np.geterr(), Context()
    found.run(np.seterr, all="ignore")
    if np.geterr() == before:
        return found
    np.seterr(**before)
    return None
