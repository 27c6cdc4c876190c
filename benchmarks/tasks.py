"""What is measured: a workload at one size is a task, which every system does in its own way.

A task has the hand-written program, ours and the peers', and the fewest operations and entries
moved that it can be done with. Its results are compared before anything is timed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

__all__ = [
    "GROUPS",
    "MOST_ENTRIES",
    "OURS",
    "OURS_JAX",
    "TOO_LARGE",
    "Array",
    "Maker",
    "Program",
    "Sizes",
    "Task",
    "Values",
    "Workload",
    "as_arrays",
    "drawn",
    "every",
    "function_of",
]

Array = np.ndarray[Any, Any]
Sizes = Mapping[str, int]
Values = Mapping[str, Array]

#: Kinds of answers, which are told apart in every table.
GROUPS = ("dense", "through time", "structured")
#: Our program for NumPy, and the one for JAX, jitted.
OURS, OURS_JAX = "wrt", "wrt, jax"
#: Peers are left out where they would form more entries than this on the way.
MOST_ENTRIES = 2e8
TOO_LARGE = "too large for it"


def as_arrays(result: Any) -> Array:
    """One array, or several of one shape on top of each other."""
    if isinstance(result, (tuple, list)):
        return np.stack([as_arrays(one) for one in result])
    return np.asarray(result.detach().numpy() if hasattr(result, "detach") else result)


@dataclass(frozen=True)
class Program:
    """What runs, and what makes arrays that can be compared of its result."""

    run: Callable[[], Any]
    array: Callable[[Any], Array] = as_arrays


Maker = Callable[[], Program]


@dataclass(frozen=True)
class Task:
    """A workload at one size; `floor` is the fewest operations and the fewest entries moved."""

    name: str
    group: str
    sizes: Sizes
    hand: Program
    ours: Mapping[str, Maker]
    peers: Mapping[str, Maker]
    floor: tuple[float, float]
    dtype: str = "float64"
    absent: Mapping[str, str] = field(default_factory=dict)


class Workload(Protocol):
    """Something that is measured at several sizes."""

    @property
    def name(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def sizes(self) -> Sequence[Sizes]: ...
    @property
    def quick(self) -> int | None:
        """Which of the sizes is measured where it has to be quick."""

    def task(self, sizes: Sizes) -> Task: ...


def every(name: str, *sizes: int) -> list[dict[str, int]]:
    """Sizes that are one number."""
    return [{name: size} for size in sizes]


def drawn(shapes: Mapping[str, str], sizes: Sizes, dtype: str = "float64") -> dict[str, Array]:
    """Generic values, the same in every process."""
    rng = np.random.default_rng(17)
    found = {}
    for name, dims in shapes.items():
        shape = tuple(sizes[d] for d in dims.split() if d in sizes)  # not what is declared
        found[name] = np.asarray(rng.standard_normal(shape), dtype)
    return found


def function_of(
    answer: Any, backend: str, sizes: Sizes, **options: Any
) -> tuple[Callable[..., Any], list[str]]:
    """The program of an answer as a plain function, and the names of its arguments in order."""
    plans = "sizes" in inspect.signature(answer.compile).parameters
    program = answer.compile(backend, **({"sizes": sizes} if plans else {}), **options)
    return program.function, list(inspect.signature(program.function).parameters)
