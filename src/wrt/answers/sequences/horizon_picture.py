"""A horizon as two plots: norms over the distance with their bounds, and the triangle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wrt.answers.sequences.horizon_text import joint, product
from wrt.pictures.plots import Curve, curves, page, shades

if TYPE_CHECKING:
    from wrt.answers.sequences.horizon import Horizon

__all__ = ["drawn"]

BOUNDS = {"all": "(γλ)^d", "slopes": "∏ max σ′ · λ", "steps": "∏ ‖J‖₂"}


def drawn(found: Horizon) -> str:
    """The SVG."""
    plots = [_norms(found)]
    triangle = _triangle(found)
    if triangle:
        plots.append(triangle)
    return page(plots, f"how far back {joint(found)} reaches")


def _norms(found: Horizon) -> str:
    lines = [
        Curve("largest singular value", found.spectral.tolist()),
        Curve("Frobenius norm", found.frobenius.tolist()),
    ]
    lines += [Curve(f"along {k} alone", one.tolist()) for k, one in found.paths.items()][:2]
    lines += [Curve(BOUNDS[k], one.tolist(), True) for k, one in found.bounds.items()]
    return curves(f"Norms of {product(found)}", "d, steps back", "norm", lines)


def _triangle(found: Horizon) -> str | None:
    name = joint(found)
    if found.triangles:
        weight, rows = next(iter(found.triangles.items()))
        title = f"What {weight} at step k does to the loss of step t"
        return shades(title, "k", "t", rows.tolist(), (1, 1))
    if found.pairs is not None:
        title = f"Largest singular value of ∂{name}[t]/∂{name}[k]"
        first = 1 if found.reverse else 0
        return shades(title, "k", "t", found.pairs.tolist(), (first, first))
    return None
