"""The array libraries that a program can be written for, as a table.

A backend is a name, the import that its programs begin with and what differs in its vocabulary. The
emission speaks only through this table, so that another library is a row here.

>>> BACKENDS["numpy"].alias, BACKENDS["numpy"].header
('np', 'import numpy as np')
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from wrt.errors import ValueMistake

__all__ = ["BACKENDS", "Backend", "find"]


@dataclass(frozen=True)
class Backend:
    """One array library: `alias` is its name in programs, `ready` says that they can be emitted."""

    name: str
    module: str
    alias: str
    ready: bool

    @property
    def header(self) -> str:
        """The import that a program begins with."""
        return (
            f"import {self.module} as {self.alias}" if self.alias != self.module else "import torch"
        )


BACKENDS: Mapping[str, Backend] = MappingProxyType(
    {
        b.name: b
        for b in (
            Backend("numpy", "numpy", "np", ready=True),
            Backend("jax", "jax.numpy", "jnp", ready=False),
            Backend("torch", "torch", "torch", ready=False),
        )
    }
)


def find(name: str) -> Backend:
    """The backend of a name; ValueMistake where there is none, or none yet.

    >>> find("numpi")
    Traceback (most recent call last):
    wrt.errors.ValueMistake: no array library is called numpi (perhaps numpy)
    """
    backend = BACKENDS.get(name)
    if backend is None:
        near = get_close_matches(str(name), BACKENDS, n=1) or ["numpy"]
        raise ValueMistake(f"no array library is called {name} (perhaps {near[0]})")
    if not backend.ready:
        raise ValueMistake(f"programs for {name} are not written yet; numpy is")
    return backend
