"""The peers' programs: jitted JAX and torch.func, of the same formula written with their arrays.

A system that is not installed, or refuses a workload, is left out of its row and named below it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.machine import threads
from benchmarks.tasks import Array, Program, Sizes, Values, function_of

if TYPE_CHECKING:
    from benchmarks.formulas import Formula

__all__ = ["SYSTEMS", "jax_run", "our_jax_program", "positional", "tensors"]


def positional(f: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    """A function by name as one by position."""
    return lambda *given: f(**dict(zip(names, given, strict=True)))


def jax_run(program: Any, given: Sequence[Array]) -> Callable[[], Any]:
    """A jitted program with its arguments on the device already, waited for."""
    import jax

    there = [jax.device_put(value) for value in given]
    return lambda: jax.block_until_ready(program(*there))


def jax_program(work: Formula, values: Values) -> Program:
    """`jax.jit` of the Hessian, the Jacobian or the gradient."""
    import jax
    import jax.numpy as jnp

    names = list(values)
    kinds = {"gradient": jax.grad, "hessian": jax.hessian}
    kinds["jacobian"] = jax.jacfwd if work.forward else jax.jacrev
    f = positional(work.meaning(jnp), names)
    program = jax.jit(kinds[work.kind](f, argnums=_places(work, names)))
    return Program(jax_run(program, list(values.values())))


def _places(work: Formula, names: Sequence[str]) -> Any:
    """Where what is differentiated by stands: one place, or several of a gradient."""
    if work.kind == "gradient" and len(work.by) > 1:
        return tuple(names.index(name) for name in work.by)
    return names.index(work.by[0])


def our_jax_program(work: Formula, sizes: Sizes, values: Values) -> Program:
    """Our program for JAX, jitted."""
    import jax

    function, names = function_of(work.answer(), "jax", sizes)
    return Program(jax_run(jax.jit(function), [values[name] for name in names]))


def tensors(values: Values, place: str = "cpu") -> dict[str, Any]:
    """The values as tensors, and as many threads as all have."""
    import torch

    torch.set_num_threads(threads())
    return {name: torch.from_numpy(np.array(value)).to(place) for name, value in values.items()}


def torch_program(work: Formula, values: Values, place: str = "cpu") -> Program:
    """`torch.func`, as it stands."""
    import torch

    names, given = list(values), list(tensors(values, place).values())
    kinds = {"gradient": torch.func.grad, "jacobian": torch.func.jacrev}
    kinds["hessian"] = torch.func.hessian
    f = positional(work.meaning(torch), names)
    program = kinds[work.kind](f, argnums=_places(work, names))
    return Program(lambda: program(*given))


SYSTEMS: Mapping[str, Callable[[Formula, Values], Program]] = {
    "jax": jax_program,
    "torch": torch_program,
}
