"""The numerical proof of an answer: differences of the formula at points where it is defined."""

from wrt.answers.proof.checking import Check, check

__all__ = ["Check", "check"]
