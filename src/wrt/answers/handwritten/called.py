"""Calling a person's function: which of its parameters are which variables, in the arrays of its
library, and what it gives back as plain arrays.
"""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wrt.errors import ValueMistake
from wrt.expression.dataclass import dataclass
from wrt.expression.nodes import Variable

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["COTANGENTS", "Called", "called"]

#: Names of a parameter that takes the gradient by the result, where no variable has them.
COTANGENTS = (
    "g grad gradient grad_output grad_outputs grad_out gy dy dY dz dout upstream cotangent ct "
    "delta dL_df G".split()
)
_PLAIN = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class Called:
    """A function with the order in which it takes variables, and its gradient parameter."""

    function: Callable[..., Any]
    name: str
    #: The parameters in order: names of variables, or None for the gradient.
    order: tuple[str | None, ...]
    keywords: Mapping[str, str | None]
    library: str

    @property
    def takes_gradient(self) -> bool:
        """Whether it wants the gradient by the result, and gives back a pullback."""
        return None in self.order or None in self.keywords.values()

    def at(self, values: Mapping[str, Any], gradient: Any, count: int) -> tuple[Array, ...]:
        """What it gives back, an array for each variable; ValueMistake where it fails."""
        known: dict[str | None, Any] = dict(values.items())
        known[None] = gradient
        try:
            result = self._result(known, self.library)
        except Exception as error:
            if self.library == "torch" or "torch" not in sys.modules:
                raise ValueMistake(_told(self.name, error)) from None
            try:  # nothing in its own code said so, but it may want tensors
                result = self._result(known, "torch")
            except Exception as again:
                wanted = again if "Tensor" in str(error) else error
                raise ValueMistake(_told(self.name, wanted)) from None
        return _arrays(result, self.name, count)

    def _result(self, known: Mapping[str | None, Any], library: str) -> Any:
        arguments = [_given(known[name], library) for name in self.order]
        keywords = {k: _given(known[n], library) for k, n in self.keywords.items()}
        return self.function(*arguments, **keywords)


def called(function: Any, variables: Sequence[Variable], by: Sequence[Variable]) -> Called:
    """How to call a function for a formula's variables: by its parameters' names where they are
    those of the variables, else in the order of the formula.

    A class of `torch.autograd.Function` and a function of `jax.custom_vjp` give what their backward
    computes. Raises ValueMistake where parameters and variables do not match.
    """
    if isinstance(function, type) and hasattr(function, "backward"):
        return _torch_function(function, variables, by)
    if hasattr(function, "defvjp") and hasattr(function, "fun"):
        return _jax_function(function, variables, by)
    name = getattr(function, "__name__", type(function).__name__)
    if not callable(function):
        raise ValueMistake(f"{function!r} is no function")
    parameters = _parameters(function)
    order, keywords = _matched(name, parameters, [v.name for v in variables])
    return Called(function, name, order, keywords, _library(function))


def _parameters(function: Any) -> list[inspect.Parameter] | None:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def _matched(
    name: str, parameters: list[inspect.Parameter] | None, variables: Sequence[str]
) -> tuple[tuple[str | None, ...], dict[str, str | None]]:
    """The variables in the order of the parameters, and those that go by keyword."""
    if parameters is None or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return tuple(variables), {}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return (), {v: v for v in variables}
    found = {p.name: _variable_of(p.name, variables) for p in parameters}
    gradients = [n for n in found if found[n] is None and n in COTANGENTS][:1]
    wanted = [p for p in parameters if p.default is p.empty]
    unknown = [p.name for p in wanted if found[p.name] is None and p.name not in gradients]
    if not unknown:
        used = [p for p in parameters if found[p.name] is not None or p.name in gradients]
        plain = [p for p in used if p.kind in _PLAIN]
        skipped = {p.name for p in parameters if p not in used and p.kind in _PLAIN}
        if not skipped:
            order = tuple(found[p.name] for p in plain)
            return order, {p.name: found[p.name] for p in used if p.kind not in _PLAIN}
        return (), {p.name: found[p.name] for p in used}
    named = [p.name for p in parameters if found[p.name] is not None]
    positional = [p.name for p in parameters if p.name not in gradients]
    if not named and len([n for n in positional if n in unknown]) == len(variables):
        rest = iter(variables)
        return tuple(None if p.name in gradients else next(rest) for p in wanted), {}
    raise ValueMistake(
        f"{name} takes {', '.join(p.name for p in parameters)}, and the formula's variables are "
        f"{', '.join(variables)}: give the parameters these names, in any order; a parameter "
        f"called {COTANGENTS[0]} takes the gradient by the formula"
    )


def _variable_of(parameter: str, variables: Sequence[str]) -> str | None:
    """The variable that a parameter is named after; `lambda_` is lambda."""
    plain = parameter[:-1] if parameter.endswith("_") else parameter
    return next((v for v in (parameter, plain) if v in variables), None)


# Array libraries


def _library(function: Any) -> str:
    """The library whose arrays a function wants, by the modules that its code names."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    space = getattr(inspect.unwrap(function), "__globals__", {})
    names = list(code.co_names) if code else []
    for name in names:
        module = getattr(space.get(name), "__name__", "")
        module = module if inspect.ismodule(space.get(name)) else ""
        if module.partition(".")[0] == "torch":
            return "torch"
    return "numpy"


def _given(value: Any, library: str) -> Any:
    """A value as the function wants it, its own copy."""
    import numpy as np

    if callable(value) and not hasattr(value, "shape"):
        return value
    array = np.asarray(value)
    if library == "torch":
        import torch

        return torch.tensor(array)
    if not array.ndim:
        return array.item()
    return array.copy()


def _arrays(result: Any, name: str, count: int) -> tuple[Array, ...]:
    """What came back, as so many arrays of numbers."""
    if isinstance(result, Mapping):
        result = tuple(result.values())
    if count == 1:
        alone = isinstance(result, tuple) and len(result) == 1
        return (_array(result[0] if alone else result, name),)
    if not isinstance(result, (tuple, list)) or len(result) != count:
        got = f"{len(result)}" if isinstance(result, (tuple, list)) else "one"
        raise ValueMistake(f"{name} gave back {got}, and {count} gradients are wanted, as a tuple")
    return tuple(_array(one, name) for one in result)


def _array(value: Any, name: str) -> Array:
    import numpy as np

    if value is None:
        raise ValueMistake(f"{name} gave back None: does it end with a return?")
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "biufc":
        raise ValueMistake(f"{name} gave back {type(value).__name__}, and numbers are wanted")
    return array if array.dtype.kind in "fc" else array.astype(float)


def _told(name: str, error: Exception) -> str:
    """What a function raised, and at which of its lines."""
    frames = traceback.extract_tb(error.__traceback__)[2:]
    said = f"{name} raised {type(error).__name__}: {error}"
    if not frames:
        return said
    own = [f for f in frames if "site-packages" not in f.filename] or frames
    last = own[-1]
    return f"{said}\n  {last.filename}, line {last.lineno}: {last.line}"


# Backwards of other libraries


def _torch_function(function: Any, variables: Sequence[Variable], by: Sequence[Variable]) -> Called:
    """The backward of an autograd.Function, through autograd."""
    names = [v.name for v in variables]
    parameters = (_parameters(function.forward) or [])[1:]
    order, _ = _matched(function.__name__, parameters, names)

    def pulled(*values: Any) -> Any:
        import torch

        gradient, inputs = values[-1], [v.requires_grad_() for v in values[:-1]]
        result = function.apply(*inputs)
        chosen = [inputs[order.index(x.name)] for x in by]
        zeros = torch.autograd.grad(result, chosen, gradient, allow_unused=True)
        return tuple(
            torch.zeros_like(x) if z is None else z for z, x in zip(zeros, chosen, strict=True)
        )

    return Called(pulled, function.__name__, (*order, None), {}, "torch")


def _jax_function(function: Any, variables: Sequence[Variable], by: Sequence[Variable]) -> Called:
    """The backward of a custom_vjp, through jax.vjp."""
    names = [v.name for v in variables]
    order, _ = _matched(function.fun.__name__, _parameters(function.fun), names)

    def pulled(*values: Any) -> Any:
        import jax

        gradient, inputs = values[-1], [jax.numpy.asarray(v, float) for v in values[:-1]]
        result, pull = jax.vjp(function, *inputs)
        found = pull(jax.numpy.asarray(gradient, result.dtype))
        return tuple(found[order.index(x.name)] for x in by)

    return Called(pulled, function.fun.__name__, (*order, None), {}, "numpy")
