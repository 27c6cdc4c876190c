"""The machine: what it is, and the rates that bound every program on it."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from benchmarks.timing import seconds

__all__ = ["Rates", "described", "limit_threads", "rates", "threads", "versions"]

PACKAGES = ("numpy", "scipy", "jax", "torch", "sympy", "casadi", "fenics-ufl", "tensorgrad")


def threads() -> int:
    """How many threads every system may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads(most: int | None, device: str = "cpu") -> None:
    """The same processors and number of threads for all, said before their libraries are loaded."""
    if most is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:most])
    for word in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[word] = str(threads())
    os.environ["JAX_ENABLE_X64"] = "1"
    if device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"


def versions() -> dict[str, str]:
    """What is installed of what takes part."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def described() -> str:
    """One line about the machine."""
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return f"{_processor()}, threads for every system: {threads()}, {sys.platform}{load}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@dataclass(frozen=True)
class Rates:
    """Operations a second of a large matrix product, bytes a second of a large copy."""

    flops: float
    bytes: float

    def floor(self, flops: float, entries: float, itemsize: int) -> float:
        """The least seconds for so many operations and so many entries moved."""
        scale = itemsize / 8  # a product in single precision is twice as fast
        return max(flops * scale / self.flops, entries * itemsize / self.bytes)


def rates(n: int = 1500, entries: int = 20_000_000) -> Rates:
    """The rates, measured now: the best of a few, which is what the machine can do."""
    import numpy as np

    A = np.random.default_rng(0).standard_normal((n, n))
    source, target = np.ones(entries), np.zeros(entries)
    out = np.empty_like(A)
    product = min(seconds(lambda: np.matmul(A, A, out=out)) for _ in range(5))
    copy = min(seconds(lambda: np.copyto(target, source)) for _ in range(5))
    return Rates(2 * n**3 / product, 16 * entries / copy)


def geometric_mean(values: list[float]) -> float:
    """The mean of ratios."""
    return statistics.geometric_mean(values) if values else float("nan")
