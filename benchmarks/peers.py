"""The peers' programs: jitted JAX and torch.func, of the same formula written with their arrays.

A system that is not installed, or refuses a workload, is left out of its row and named below it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.machine import threads

if TYPE_CHECKING:
    from benchmarks.workloads import Workload

__all__ = ["SYSTEMS", "Program", "our_jax_program"]

Array = np.ndarray[Any, Any]
Values = Mapping[str, Array]
#: What runs, and what makes a NumPy array of its result.
Program = tuple[Callable[[], Any], Callable[[Any], Array]]


def jax_program(work: Workload, values: Values) -> Program:
    """`jax.jit` of the Hessian, the Jacobian or the gradient, arguments on the device already."""
    import jax
    import jax.numpy as jnp

    names = list(values)
    at = names.index(work.by[0])
    kinds = {"gradient": jax.grad, "jacobian": jax.jacrev, "hessian": jax.hessian}
    f = work.meaning(jnp)
    positional = lambda *given: f(**dict(zip(names, given, strict=True)))  # noqa: E731
    program = jax.jit(kinds[work.kind](positional, argnums=at))
    given = [jax.device_put(values[name]) for name in names]
    return lambda: program(*given).block_until_ready(), np.asarray


def our_jax_program(work: Workload, values: Values) -> Program:
    """Our program for JAX, jitted, arguments on the device already."""
    import jax

    D = work.derivative()
    sizes = {d: s for name, dims in work.shapes.items() for d, s in _told(dims, values[name])}
    module: dict[str, Any] = {}
    exec(D.source("jax", sizes=sizes), module)
    program = jax.jit(module["derivative"])
    given = [jax.device_put(values[v.name]) for v in D.arguments]
    return lambda: program(*given).block_until_ready(), np.asarray


def _told(dims: str, value: Array) -> list[tuple[str, int]]:
    return [(d, s) for d, s in zip(dims.split(), value.shape, strict=True) if not d.isdigit()]


def torch_program(work: Workload, values: Values) -> Program:
    """`torch.func`, as it stands."""
    import torch

    torch.set_num_threads(threads())
    names = list(values)
    at = names.index(work.by[0])
    kinds = {"gradient": torch.func.grad, "jacobian": torch.func.jacrev}
    kinds["hessian"] = torch.func.hessian
    f = work.meaning(torch)
    positional = lambda *given: f(**dict(zip(names, given, strict=True)))  # noqa: E731
    program = kinds[work.kind](positional, argnums=at)
    given = [torch.from_numpy(np.array(values[name])) for name in names]
    return lambda: program(*given), lambda result: np.asarray(result.detach().numpy())


SYSTEMS: Mapping[str, Callable[[Workload, Values], Program]] = {
    "jax": jax_program,
    "torch": torch_program,
}
