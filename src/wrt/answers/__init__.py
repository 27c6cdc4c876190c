"""The answers that people hold: notation, programs and proof gathered around one derivative."""

from typing import TYPE_CHECKING

from wrt.expression.on_use import on_use

if TYPE_CHECKING:
    from wrt.answers.answer import Derivative, derivative
    from wrt.answers.derivation.steps import Step
    from wrt.answers.proof.checking import Check
    from wrt.answers.several import Gradients

__all__ = ["Check", "Derivative", "Gradients", "Step", "derivative"]

__getattr__ = on_use(
    __name__,
    {
        "Check": "proof.checking",
        "Derivative": "answer",
        "Gradients": "several",
        "Step": "derivation.steps",
        "derivative": "answer",
    },
)
