"""Programs that run with JAX and PyTorch: values at their door, and where they are computed.

Names, shapes, types and devices are checked; values are not (NaN goes in and comes out), for they
may be traced, mapped or on a device, and to look at them would wait for it. Arrays of other
libraries come in as by the door of NumPy's programs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import cached_property
from typing import Any

from wrt.errors import TooLarge, ValueMistake
from wrt.expression.nodes import Variable
from wrt.programs import door, incoming, running
from wrt.programs.choosing import faster
from wrt.programs.module import Module
from wrt.programs.plan import Plan
from wrt.programs.repeated import Call
from wrt.programs.running import Entered, Program, by_zero, empty, keep, singular
from wrt.programs.sized import Planned
from wrt.programs.steps import looks_at_a_load, whole_by_form
from wrt.programs.systems import factorises

__all__ = ["Automatic", "JaxProgram", "TorchProgram"]


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
        import jax

        # without jit, arrays of NumPy's would stay what they are
        if jax.config.jax_disable_jit:  # type: ignore[attr-defined]
            arguments = tuple(map(jax.numpy.asarray, arguments))
        return self.compiled(*arguments, **sizes)


class Elsewhere(Program):
    """A program whose values are not looked at."""

    def _is_plain(self, given: Entered) -> bool:
        return True

    def _once_more(
        self, planned: Planned, arrays: Mapping[Variable, Any], sizes: Mapping[str, int]
    ) -> Call:
        def once_more(*given: Any) -> Any:
            try:
                return self._as_asked(planned.run(*given))
            except Exception:  # a slower call finds what it means
                return None

        return once_more

    def _computed(self, given: Entered) -> Any:
        arguments = [*given.arrays.values(), *given.called]
        return self._as_asked(self._run(given.planned, arguments, given.sizes))


class JaxProgram(Elsewhere):
    """A formula as a function of JAX's arrays, jitted by itself where nothing forbids it.

    Under `jax.jit`, `vmap` and `grad` it is part of what these trace. It computes in the types
    that JAX is set to: without `jax_enable_x64` in float32, whatever is given. JAX has no errors
    for singular matrices but entries that are no numbers; outside traces these are looked for.
    """

    backend = library = "jax"
    joins = True

    def _memory(self, arrays: Mapping[Variable, Any]) -> tuple[str, int | None]:
        import jax

        known = [a for a in arrays.values() if not isinstance(a, jax.core.Tracer)]
        devices = {d for a in known if _is_jax(a) for d in a.devices()} or {*jax.local_devices()}
        if all(d.platform == "cpu" for d in devices):
            return super()._memory(arrays)
        stats = [d.memory_stats() or {} for d in devices]
        limits = [s["bytes_limit"] for s in stats if "bytes_limit" in s]
        place = str(next(iter(devices))) if len(devices) == 1 else f"{len(devices)} devices"
        return place, sum(limits) if len(limits) == len(devices) else None

    def _is_plain(self, given: Entered) -> bool:
        return not factorises(given.planned.module.plan)

    def _computed(self, given: Entered) -> Any:
        found = super()._computed(given)
        if factorises(given.planned.module.plan) and _is_infinite(found):
            self._refuse_singular(given)
        return found

    def _refuse_singular(self, given: Entered) -> None:
        """ValueMistake where NumPy meets a matrix that cannot be inverted or factorised."""
        import numpy as np

        made = self._module
        plain = running.compile(self.formula, arguments=tuple(made.arguments), limit=self.limit)
        values = {v.name: np.asarray(a) for v, a in given.arrays.items()}
        values |= {f.name: one for f, one in zip(made.functions, given.called, strict=True)}
        plain.bare(values, given.sizes)

    def _tell(self, error: Exception, planned: Planned, sizes: Mapping[str, int]) -> None:
        if isinstance(error, ZeroDivisionError):
            raise ValueMistake(by_zero(self.title, sizes)) from None
        if isinstance(error, (ValueError, IndexError, RuntimeError, TypeError)):
            raise _told_of(error, self.title, sizes) from None

    def entered(
        self, mapping: Mapping[str, Any]
    ) -> tuple[dict[Variable, Any], dict[str, Any], Mapping[str, int]]:
        import jax.numpy as jnp

        arrays, functions, sizes = super().entered(mapping)
        return {v: jnp.asarray(a) for v, a in arrays.items()}, functions, sizes

    def _planned(self, made: Module) -> Planned:
        """The function compiled, where no step asks for a number of Python's."""
        plain = super()._planned(made)
        steps = made.plan.steps.all
        asks = [s for s in steps if s.op == "whole" and not whole_by_form(steps, s.args[0])]
        if not asks and not made.functions:
            return plain._replace(run=Jitted(plain.function, tuple(made.sizes.values())))

        def run(*given: Any, **lengths: int) -> Any:
            import jax.numpy as jnp

            count = len(made.arguments)
            arrays = map(jnp.asarray, given[:count])
            return plain.function(*arrays, *given[count:], **lengths)

        return plain._replace(run=run)

    def _arrays(self, given: Mapping[Variable, Any]) -> dict[Variable, Any]:
        import jax

        found = {v: x if _is_jax(x) else incoming.plain_array(v, x) for v, x in given.items()}
        single = incoming.is_single(
            found[v].dtype for v, x in given.items() if type(x) not in incoming.LOOSE
        )
        single = single or jax.dtypes.canonicalize_dtype(float).itemsize == 4
        for variable, x in found.items():
            if x.dtype.kind == "c" and "complex" not in variable.properties:
                raise ValueMistake(incoming.undeclared(variable))
            wanted = KINDS[single, "complex" in variable.properties]
            if x.dtype != wanted:
                cast = x.astype(wanted) if _is_jax(x) else incoming.cast(variable, x, wanted)
                found[variable] = cast
        return found


#: The types that are computed in: of four bytes or of eight, real or complex.
KINDS = {
    (True, False): "float32",
    (True, True): "complex64",
    (False, False): "float64",
    (False, True): "complex128",
}


def _is_infinite(found: Any) -> bool:
    """Whether a result that is known has entries that are no numbers."""
    import jax
    import jax.numpy as jnp

    results = found if isinstance(found, tuple) else (found,)
    known = not any(isinstance(r, jax.core.Tracer) for r in results)
    return known and not all(bool(jnp.isfinite(r).all()) for r in results)


def _is_jax(value: Any) -> bool:
    """Whether a value is an array of numbers of JAX's, traced or not."""
    import jax

    return isinstance(value, jax.Array) and hasattr(value.dtype, "kind")


class TorchProgram(Elsewhere):
    """A formula as a function of tensors, on the device that they are on, in their type.

    Gradients are recorded where the tensors ask for it; `torch.func` and `torch.compile` take the
    program as they take any function.
    """

    backend = library = "torch"

    def _memory(self, arrays: Mapping[Variable, Any]) -> tuple[str, int | None]:
        import torch

        device = next((a.device for a in arrays.values()), None)
        if device is None or device.type == "cpu":
            return super()._memory(arrays)
        if device.type == "meta":  # shapes without numbers
            return "it", None
        tell = getattr(torch.get_device_module(device), "mem_get_info", None)
        return str(device), tell(device)[1] if tell else None

    def __call__(
        self, mapping: Mapping[str, Any] | None = None, /, *unnamed: Any, **values: Any
    ) -> Any:
        import torch

        if unnamed or not torch.compiler.is_compiling():
            return super().__call__(mapping, *unnamed, **values)
        given = door.collected(self._wanted, mapping, values)  # in one graph: with the first plan
        arrays = self._arrays({v: given[v.name] for v in self._module.arguments})
        sizes = door.measured(arrays, self._given_lengths(given))
        called = [given[f.name] for f in self._module.functions]
        return self._computed(Entered(self._plans.first, arrays, called, sizes))

    def _planned(self, made: Module) -> Planned:
        """The function, whose results share no memory with its arguments."""
        plain, lent = super()._planned(made), _lent(made.plan)
        if not any(lent):
            return plain

        def run(*given: Any, **lengths: int) -> Any:
            result = plain.function(*given, **lengths)
            if not isinstance(result, tuple):
                return result.clone()
            return tuple([r.clone() if own else r for r, own in zip(result, lent, strict=True)])

        return plain._replace(run=run)

    def _tell(self, error: Exception, planned: Planned, sizes: Mapping[str, int]) -> None:
        if isinstance(error, ZeroDivisionError):
            raise ValueMistake(by_zero(self.title, sizes)) from None
        if isinstance(error, (IndexError, RuntimeError)):
            if "linalg" in str(error):
                said = singular(error, planned.module.text, self._wanted.values())
                raise ValueMistake(said) from None
            raise _told_of(error, self.title, sizes) from None

    def _arrays(self, given: Mapping[Variable, Any]) -> dict[Variable, Any]:
        import torch

        tensors = {v: x for v, x in given.items() if torch.is_tensor(x)}
        others = {v: incoming.plain_array(v, x) for v, x in given.items() if v not in tensors}
        device = _one_device(tensors)
        firm = [x.dtype for v, x in others.items() if type(given[v]) not in incoming.LOOSE]
        single = incoming.is_single([*(x.dtype for x in tensors.values()), *firm])
        found = {}
        for variable in given:
            wanted = KINDS[single, "complex" in variable.properties]
            if variable in tensors:
                tensor = tensors[variable]
                incoming.refuse_kind(variable.name, tensor)
                if tensor.dtype.is_complex and "complex" not in variable.properties:
                    raise ValueMistake(incoming.undeclared(variable))
                found[variable] = tensor.to(getattr(torch, wanted))
            else:
                array = incoming.cast(variable, others[variable], wanted)
                found[variable] = torch.from_numpy(array.copy()).to(device)
        return found


def _one_device(tensors: Mapping[Variable, Any]) -> Any:
    """The device that all tensors are on; None where there is none."""
    places = {v.name: x.device for v, x in tensors.items()}
    if len({str(device) for device in places.values()}) > 1:
        said = ", ".join(f"{name} on {device}" for name, device in places.items())
        raise ValueMistake(f"all arrays are wanted on one device; {said}")
    return next(iter(places.values()), None)


def _lent(plan: Plan) -> tuple[bool, ...]:
    """Which results are an argument, or a part of one, seen in another way."""
    return tuple(looks_at_a_load(plan.steps.all, at) for at in plan.results)


def _told_of(error: Exception, title: str, sizes: Mapping[str, int]) -> Exception:
    """An error of a library as a mistake, where it is known what it means."""
    said = str(error).partition("\n")[0]
    if "out of memory" in said.lower() or "RESOURCE_EXHAUSTED" in said:
        return TooLarge(f"{title} does not fit in the device's memory: {said}")
    if 0 in sizes.values():
        return ValueMistake(empty(title, sizes))
    if "omplex" in said and isinstance(error, (NotImplementedError, TypeError)):
        return ValueMistake(
            f"{title} has a word that this library knows of real numbers only "
            f"({said.rstrip('.')}); "
            'compile("numpy") computes it'
        )
    return error


class Automatic(Program):
    """A formula as a function of NumPy's arrays, run by NumPy or by JAX, whichever pays.

    What each of them does better is counted by `choosing`; JAX only where it is installed.
    """

    backend = "auto"
    other: JaxProgram | None = None

    def _is_plain(self, given: Entered) -> bool:
        return super()._is_plain(given) and self._chosen(given.sizes) == "numpy"

    def _computed(self, given: Entered) -> Any:
        arrays, sizes = given.arrays, given.sizes
        if self.other is None or self._module.functions or self._chosen(sizes) == "numpy":
            return super()._computed(given)
        import numpy as np

        with np.errstate(all="ignore"):
            for variable, array in arrays.items():
                door.check(variable, array)
        lengths = {key: sizes[n] for key, n in self._lengths.items()}
        return _in_jax(self.other, {v.name: a for v, a in arrays.items()} | lengths)

    def settled(self, itemsize: int = 8) -> tuple[Callable[..., Any], Callable[[Exception], None]]:
        other = self.other
        if other is None or self._chosen({}) == "numpy":
            return super().settled(itemsize)
        names = [v.name for v in self._module.arguments]

        def run(*arguments: Any) -> Any:
            found = _in_jax(other, dict(zip(names, arguments, strict=True)))
            return found[0] if type(found) is tuple and len(found) == 1 else found

        return run, lambda error: None

    def _chosen(self, sizes: Mapping[str, int]) -> str:
        """The library for these sizes, counted once."""
        key = tuple(sizes.items())
        if key not in self._choices:
            keep(self._choices, key, self.chosen(sizes))
        return self._choices[key]

    @cached_property
    def _choices(self) -> dict[Hashable, str]:
        return {}

    def chosen(self, sizes: Mapping[str, int]) -> str:
        """The library for these sizes: "numpy" or "jax"."""
        if self.other is None:
            return "numpy"
        return faster(self._plans.at(sizes).module.plan, sizes)


def _in_jax(program: JaxProgram, given: Mapping[str, Any]) -> Any:
    """What a program of JAX's gives of NumPy's arrays, in such arrays and in their precision."""
    import jax
    import numpy as np

    with jax.enable_x64(True):
        found = program(given)
    return tuple(map(np.array, found)) if isinstance(found, tuple) else np.array(found)
