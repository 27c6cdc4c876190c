"""Formula → simpler equal formula: definitions, properties, normal form, equality, structure."""

from wrt.algebra.equality import equal
from wrt.algebra.expand import expand
from wrt.algebra.laws import meant, simplified
from wrt.algebra.merging import merged
from wrt.algebra.normal import flat_form, normal_form
from wrt.algebra.properties import conditions, distinct, is_diagonal, is_symmetric
from wrt.algebra.reading import settled
from wrt.algebra.structure import Structure, structure

__all__ = [
    "Structure",
    "conditions",
    "distinct",
    "equal",
    "expand",
    "flat_form",
    "is_diagonal",
    "is_symmetric",
    "meant",
    "merged",
    "normal_form",
    "settled",
    "simplified",
    "structure",
]
