"""The answers that people hold: notation, programs and proof gathered around one derivative."""

from wrt.answers.answer import Derivative, derivative
from wrt.answers.checking import Check
from wrt.answers.several import Gradients
from wrt.answers.steps import Step

__all__ = ["Check", "Derivative", "Gradients", "Step", "derivative"]
