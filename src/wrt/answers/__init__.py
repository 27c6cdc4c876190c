"""The answers that people hold: notation, programs and proof gathered around one derivative."""

from wrt.answers.answer import Derivative, derivative
from wrt.answers.derivation import Step
from wrt.answers.proof import Check
from wrt.answers.several import Gradients

__all__ = ["Check", "Derivative", "Gradients", "Step", "derivative"]
