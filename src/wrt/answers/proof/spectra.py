"""Whether conditions on eigenvalues and singular values hold at a point, with a margin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["spectrum_holds"]

#: How far apart values must be, and from zero, beside the largest of them.
MARGIN = 0.02
#: What is no larger, beside the largest of them, is a zero with the error of its computation.
ROUNDING = 1e-15


def spectrum_holds(domain: str, value: Array) -> bool:
    """Whether a condition that is told by eigenvalues or singular values holds of a matrix.

    >>> import numpy as np
    >>> spectrum_holds("simple", np.eye(2)), spectrum_holds("definite", np.eye(2))
    (False, True)
    """
    import numpy as np

    flat = value.reshape(-1, *value.shape[-2:]) if value.ndim > 2 else value[None]
    match domain:
        case "principal":
            return all(_off_the_cut(np.linalg.eigvals(one)) for one in flat)
        case "definite":
            return all(_positive(np.linalg.eigvalsh(one)) for one in flat)
        case "simple":
            return all(_distinct(np.linalg.eigvalsh(one)) for one in flat)
        case "separate":
            return all(_distinct(np.sort(one)) for one in value.reshape(-1, value.shape[-1]))
        case "constant rank":
            return all(_rank_is_plain(_singular(one)) for one in flat)
        case "full rank":
            return all(_positive(_singular(one)) for one in flat)
        case "distinct values":
            return all(_positive(s := _singular(one)) and _distinct(s) for one in flat)
        case "leading":
            return all(_distinct(_singular(one)[:2]) for one in flat)
    return True


def _singular(value: Array) -> Array:
    import numpy as np

    found: Array = np.linalg.svd(value, compute_uv=False)
    return found


def _off_the_cut(values: Array) -> bool:
    import numpy as np

    scale = float(np.abs(values).max(initial=0))
    behind = values.real < 0
    beside = np.where(behind, np.abs(values.imag) / 5, np.abs(values))
    return bool(beside.min(initial=np.inf) > MARGIN * scale)


def _positive(values: Array) -> bool:
    """Whether the smallest value is above zero."""
    return bool(values.size == 0 or values.min() > MARGIN * abs(values).max())


def _distinct(values: Array) -> bool:
    import numpy as np

    if values.size < 2:
        return True
    return bool(np.abs(np.diff(values)).min() > MARGIN * np.abs(values).max())


def _rank_is_plain(values: Array) -> bool:
    import numpy as np

    largest = values.max(initial=0)
    return not np.any((values > ROUNDING * largest) & (values < MARGIN * largest))
