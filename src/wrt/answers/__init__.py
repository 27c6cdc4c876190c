"""The answers that people hold: notation, programs and proof gathered around one derivative."""

from wrt.answers.checking import Check
from wrt.answers.answer import Derivative, derivative, derivatives

__all__ = ["Check", "Derivative", "derivative", "derivatives"]
