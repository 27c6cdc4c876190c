"""Programs that run with JAX and PyTorch: values at their door, and where they are computed.

Names, shapes, types and devices are checked; values are not, for they may be traced, mapped or on
a device. A program for JAX is jitted by itself where nothing forbids it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from wrt.errors import ValueMistake
from wrt.expression.nodes import Variable
from wrt.programs import door
from wrt.programs.costs import PRODUCTS, WHOLE, billed
from wrt.programs.module import Module
from wrt.programs.running import Program, singular
from wrt.programs.sized import Planned
from wrt.programs.steps import whole_by_form

__all__ = ["Automatic", "JaxProgram", "TorchProgram"]

#: Floats of less than four bytes become float32: no linear algebra is done with them.
HALF = ("float16", "bfloat16")


class Jitted:
    """A function compiled by JAX, which is loaded when it is first called."""

    def __init__(self, function: Callable[..., Any], static: tuple[str, ...]) -> None:
        self.function, self.static = function, static

    @cached_property
    def compiled(self) -> Callable[..., Any]:
        import jax

        jitted: Callable[..., Any] = jax.jit(self.function, static_argnames=self.static)
        return jitted

    def __call__(self, *arguments: Any, **sizes: int) -> Any:
        return self.compiled(*arguments, **sizes)


class JaxProgram(Program):
    """A formula as a function of JAX's arrays, in the types that JAX is set to."""

    backend = "jax"

    def __call__(self, mapping: Mapping[str, Any] | None = None, /, **values: Any) -> Any:
        arrays, functions, sizes = self._entered(mapping, values)
        given = [*arrays.values(), *functions]
        return self._as_asked(self._run(self._fit(sizes, 8), given, sizes))

    def _run(self, planned: Planned, arguments: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        try:
            return planned.run(*arguments, **planned.lengths(sizes))
        except ZeroDivisionError:
            raise ValueMistake("division by zero at this point") from None

    def _planned(self, made: Module) -> Planned:
        """The function compiled, where no step asks for a number of Python's."""
        plain = super()._planned(made)
        steps = made.plan.steps.all
        asks = [s for s in steps if s.op == "whole" and not whole_by_form(steps, s.args[0])]
        if asks or made.functions:
            return plain
        return plain._replace(run=Jitted(plain.function, tuple(made.sizes.values())))

    def _arrays(self, given: Mapping[Variable, Any]) -> dict[Variable, Any]:
        import jax
        import jax.numpy as jnp

        found = {v: _plain(v, x, isinstance(x, jax.Array)) for v, x in given.items()}
        firm = [
            x.dtype
            for v, x in found.items()
            if hasattr(given[v], "dtype") and x.dtype.kind not in "biu"
        ]
        double = not firm or any(d.itemsize // (1 + (d.kind == "c")) == 8 for d in firm)
        wanted = (jnp.float64, jnp.complex128) if double else (jnp.float32, jnp.complex64)
        canonical = jax.dtypes.canonicalize_dtype
        for v, x in found.items():
            kind = wanted["complex" in v.properties]
            found[v] = jnp.asarray(x, canonical(kind))
        return found


class TorchProgram(Program):
    """A formula as a function of tensors, on the device that they are on."""

    backend = "torch"

    def __call__(self, mapping: Mapping[str, Any] | None = None, /, **values: Any) -> Any:
        arrays, functions, sizes = self._entered(mapping, values)
        given = [*arrays.values(), *functions]
        return self._as_asked(self._run(self._fit(sizes, 8), given, sizes))

    def _run(self, planned: Planned, arguments: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        try:
            return planned.run(*arguments, **planned.lengths(sizes))
        except RuntimeError as error:
            if "linalg" not in str(error):
                raise
            text = planned.module.text
            raise ValueMistake(singular(error, text, self._wanted.values())) from None
        except ZeroDivisionError:
            raise ValueMistake("division by zero at this point") from None

    def _arrays(self, given: Mapping[Variable, Any]) -> dict[Variable, Any]:
        import torch

        tensors = {v: x for v, x in given.items() if torch.is_tensor(x)}
        device = _one_device(tensors)
        found = {v: x if v in tensors else _plain(v, x, known=False) for v, x in given.items()}
        floats = [
            torch.finfo(x.dtype).bits
            for x in tensors.values()
            if x.is_floating_point() or x.is_complex()
        ]
        floats += [
            8 * x.dtype.itemsize // (1 + (x.dtype.kind == "c"))
            for v, x in found.items()
            if v not in tensors and hasattr(given[v], "dtype") and x.dtype.kind in "fc"
        ]
        double = not floats or max(floats) == 64
        wanted = (torch.float64, torch.complex128) if double else (torch.float32, torch.complex64)
        for v, x in found.items():
            if v in tensors and x.is_complex() and "complex" not in v.properties:
                raise ValueMistake(door.undeclared(v))
            kind = wanted["complex" in v.properties]
            found[v] = torch.as_tensor(x).to(device=device, dtype=kind)
        return found


def _one_device(tensors: Mapping[Variable, Any]) -> Any:
    """The device that all tensors are on; None where there is none."""
    places = {v.name: x.device for v, x in tensors.items()}
    devices = dict.fromkeys(places.values())
    if len(devices) > 1:
        said = ", ".join(f"{name} on {device}" for name, device in places.items())
        raise ValueMistake(f"all arrays are wanted on one device; {said}")
    return next(iter(devices), None)


def _plain(variable: Variable, value: Any, known: bool) -> Any:
    """What is no array of the library yet, as NumPy's; complex entries must be declared."""
    if not known:
        return door.plain_array(variable, value)
    if value.dtype.kind == "c" and "complex" not in variable.properties:
        raise ValueMistake(door.undeclared(variable))
    return value


class Automatic(Program):
    """A formula as a function of NumPy's arrays, run by NumPy or by JAX, whichever pays.

    JAX joins operations entry by entry into one pass over memory. So it is asked where at least
    `LARGE` entries are computed so, and more time goes there than into products, which NumPy does
    as fast; only where it is installed.
    """

    LARGE = 300_000
    backend = "auto"
    other: JaxProgram | None = None

    def __call__(self, mapping: Mapping[str, Any] | None = None, /, **values: Any) -> Any:
        if self.other is None or self._module.functions:
            return super().__call__(mapping, **values)
        given = door.collected(self._wanted, mapping, values)
        arrays = door.arrays({v: given[v.name] for v in self._module.arguments})
        sizes = door.measured(arrays, {n: given[key] for key, n in self._lengths.items()})
        if self.chosen(sizes) == "numpy":
            return super().__call__(mapping, **values)
        import jax
        import numpy as np

        for variable, array in arrays.items():
            door.check(variable, array)
        with jax.enable_x64(True):
            result = self.other({v.name: a for v, a in arrays.items()} | self._sizes_of(given))
            if isinstance(result, tuple):
                return tuple(np.asarray(r) for r in result)
            return np.asarray(result)

    def _sizes_of(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {key: given[key] for key in self._lengths}

    def chosen(self, sizes: Mapping[str, int]) -> str:
        """The library for these sizes: "numpy" or "jax"."""
        if self.other is None:
            return "numpy"
        plan = self._plans.at(sizes).module.plan
        bill = billed(plan.steps, plan.results, sizes)
        heavy = [at for at in bill.steps if plan.steps[at].op in PRODUCTS | WHOLE - {"call"}]
        calls = [at for at in bill.steps if _is_whole_call(plan.steps[at])]
        light = bill.total.bytes - sum(bill.steps[at].bytes for at in (*heavy, *calls))
        fused = light / 24  # two numbers read and one written for each
        work = sum(bill.steps[at].flops for at in (*heavy, *calls))
        return "jax" if fused >= self.LARGE and 10 * fused > work else "numpy"


def _is_whole_call(step: Any) -> bool:
    """Whether a step is a function of whole matrices, which JAX does as NumPy does."""
    return step.op == "call" and not step.data[0].entrywise and len(step.dims) > 1
