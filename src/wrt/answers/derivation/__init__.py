"""How an answer is derived: its steps, each with the rule that gave it, each proved."""

from wrt.answers.derivation.steps import Step, in_latex, steps

__all__ = ["Step", "in_latex", "steps"]
