"""Formula, variable → derivative: one sweep, rules from the records, constrained variables."""

from wrt.calculus.constrained import (
    CONVENTIONS,
    constrain,
    constrained_derivative,
    constraint,
    free_derivative,
    variable_of,
)
from wrt.calculus.differentials import differential
from wrt.calculus.sweep import derivative, gradients

__all__ = [
    "CONVENTIONS",
    "constrain",
    "constrained_derivative",
    "constraint",
    "derivative",
    "differential",
    "free_derivative",
    "gradients",
    "variable_of",
]
