"""Programs that somebody wrote for a derivative: called, compared, and told what is off."""

from wrt.answers.handwritten.gradients import GradientCheck, check_gradient

__all__ = ["GradientCheck", "check_gradient"]
