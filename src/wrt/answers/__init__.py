"""The answers that people hold: notation, programs and proof gathered around one derivative."""

from wrt.answers.answer import Derivative, derivative, derivatives
from wrt.answers.checking import Check

__all__ = ["Check", "Derivative", "derivative", "derivatives"]
