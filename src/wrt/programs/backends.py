"""The array libraries that a program can be written for, as a table.

A backend is a name, what its programs say (`library`), and the line that installs it. The emission
speaks only through this table, so that another library is a row here.

>>> BACKENDS["numpy"].library.alias, BACKENDS["numpy"].library.header
('np', 'import numpy as np')
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType

from wrt.errors import ValueMistake
from wrt.expression.dataclass import dataclass, replace
from wrt.programs.library import Brisk, Jax, Library
from wrt.programs.library_torch import Torch

__all__ = ["BACKENDS", "Backend", "brisker", "find", "installed", "is_installed"]


@dataclass(frozen=True)
class Backend:
    """One array library: what its programs say, and the package that they import."""

    name: str
    package: str
    library: Library


BACKENDS: Mapping[str, Backend] = MappingProxyType(
    {
        b.name: b
        for b in (
            Backend("numpy", "numpy", Library()),
            Backend("jax", "jax", Jax()),
            Backend("torch", "torch", Torch()),
        )
    }
)


def find(name: str, chosen: str = "") -> Backend:
    """The backend of a name; ValueMistake where there is none, which tells what else is `chosen`.

    >>> find("numpi")
    Traceback (most recent call last):
    wrt.errors.ValueMistake: no array library is called numpi; numpy, jax and torch are
    """
    backend = BACKENDS.get(name)
    if backend is None:
        if name == "auto":
            raise ValueMistake("auto is chosen at each call; a text is for numpy, jax or torch")
        raise ValueMistake(f"no array library is called {name}; numpy, jax and torch are{chosen}")
    return backend


def brisker(backend: Backend) -> Backend:
    """The same library in the words that take least time to call: another choice for NumPy."""
    return replace(backend, library=Brisk()) if backend.name == "numpy" else backend


def is_installed(backend: Backend) -> bool:
    """Whether programs for a library can run here."""
    return find_spec(backend.package) is not None


def installed(backend: Backend) -> Backend:
    """The backend, where its programs can run here; ValueMistake says how to install it."""
    if not is_installed(backend):
        raise ValueMistake(
            f"{backend.name} is not installed: pip install {backend.package}; "
            f'source("{backend.name}") writes the program without it'
        )
    return backend
