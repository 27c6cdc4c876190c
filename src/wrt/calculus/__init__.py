"""Formula, variable → derivative: one sweep, rules from the records, constrained variables."""

from wrt.calculus.sweep import derivative, gradients

__all__ = ["derivative", "gradients"]
