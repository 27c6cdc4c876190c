"""Recurrences and their derivatives through time: the formula of each factor, and of the whole."""

from wrt.answers.sequences.recurrences import Recurrence, recurrence
from wrt.answers.sequences.steps import StepDerivative
from wrt.answers.sequences.through import ThroughTime

__all__ = ["Recurrence", "StepDerivative", "ThroughTime", "recurrence"]
