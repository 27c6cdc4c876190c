"""Formula, variable → derivative: one sweep, rules from the records, constrained variables."""

from wrt.calculus.constrained import (
    CONVENTIONS,
    constrain,
    constrained_derivative,
    constraint,
)
from wrt.calculus.sweep import derivative, gradients

__all__ = [
    "CONVENTIONS",
    "constrain",
    "constrained_derivative",
    "constraint",
    "derivative",
    "gradients",
]
