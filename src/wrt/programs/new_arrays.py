"""What new arrays are told: their type and device are those of a parameter.

So a program of float32 stays in float32, and runs where its arrays are.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from wrt.expression.nodes import Variable
from wrt.programs import code as py
from wrt.programs.code import Code
from wrt.programs.helpers import Put
from wrt.programs.library import Library, Made
from wrt.programs.names import Names, identifier
from wrt.programs.steps import Step, Steps

__all__ = ["NewArrays", "Sizes", "is_number"]


class Sizes(dict[str, Code]):
    """The names of sizes, remembering which were asked for."""

    def __init__(self, given: Mapping[str, str], names: Names) -> None:
        super().__init__()
        self.given, self.used, self._names = dict(given), dict[str, None](), names

    def __missing__(self, dimension: str) -> Code:
        self.used[dimension] = None
        if dimension not in self.given:
            self.given[dimension] = self._names.give(identifier(dimension))
        self[dimension] = py.name(self.given[dimension])
        return self[dimension]


class NewArrays:
    """The steps of a program, the library it is written for, and what its new arrays are told."""

    def __init__(
        self, steps: Steps, library: Library, parameters: Mapping[Variable, str], names: Names
    ) -> None:
        self.steps, self.library, self.names = steps, library, names
        self.like = _reference(parameters)
        self._dtype = ""

    def typed(self, lines: list[ast.stmt]) -> list[ast.stmt]:
        """The lines with the type of new arrays, told once."""
        count = sum(n.id == self._dtype for n in py.names(*lines)) if self._dtype else 0
        if not count:
            return lines
        assert self.like
        name, is_complex = self.like
        like = py.attribute(py.name(name), "real") if is_complex else py.name(name)
        code = self.library.dtype(like)
        if count > 1:
            return [py.assignment(self._dtype, code), *lines]
        put = Put({self._dtype: code})
        return [put.visit(line) for line in lines]

    def made(self, kind: str = "real") -> Made:
        """What a new array of floats is told; of complex numbers where a library needs it."""
        if self.like is None:
            return {}
        if kind == "complex":
            if self.library.lenient:
                return {}
            like = py.attribute(py.name(self.like[0]), "dtype")
            pair = (like, self.library.word("complex64"))
            return self.library.made(
                py.call(self.library.word("promote_types"), *pair), self.like[0]
            )
        self._dtype = self._dtype or self.names.give("dtype")
        return self.library.made(py.name(self._dtype), self.like[0])

    def constant(self, at: int, code: Code) -> Code:
        """A number of Python's as an array without axes."""
        return self.library.constant(code, self.made(self.tone(at)))

    def tone(self, at: int) -> str:
        """Whether a number is real or complex."""
        stack = [at]
        while stack:
            step = self.steps[stack.pop()]
            if step.kind == "complex":
                return "complex"
            stack.extend(step.args)
        return "real"

    def strictly(self, at: int, code: Code) -> Code:
        """An argument of a function of the library, which may want arrays only."""
        step = self.steps[at]
        if self.library.lenient or not is_number(step) or step.op == "whole":
            return code
        return self.constant(at, code)


def _reference(parameters: Mapping[Variable, str]) -> tuple[str, bool] | None:
    """The parameter whose type new arrays take: an array before a number, a real one before a
    complex one; and whether it is complex.
    """
    order = sorted(parameters, key=lambda v: ("complex" in v.properties, not v.dims))
    return (parameters[order[0]], "complex" in order[0].properties) if order else None


def is_number(step: Step) -> bool:
    """Whether the value of a step is a number of Python's own."""
    return step.kind == "number" or step.op == "number"
