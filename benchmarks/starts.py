"""Cold starts: new processes, each against an empty Python, until the first number is there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.timing import ROUNDS, alternating, table

__all__ = ["measure"]

FIRST = {
    "wrt": (
        "import numpy as np, wrt\nwrt.derivative('tanh(W*x)', 'x')(W=np.ones((3, 3)), x=np.ones(3))"
    ),
    "jax": (
        "import jax, jax.numpy as jnp\n"
        "f = jax.jit(jax.jacrev(lambda x, W: jnp.tanh(W @ x)))\n"
        "f(jnp.ones(3), jnp.ones((3, 3))).block_until_ready()"
    ),
    "torch": (
        "import torch\n"
        "W = torch.ones(3, 3)\n"
        "torch.func.jacrev(lambda x: torch.tanh(W @ x))(torch.ones(3))"
    ),
}


def process(*arguments: str) -> Callable[[], object]:
    """A new Python as work."""
    command = [sys.executable, *arguments]
    return lambda: subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def measure(quick: bool) -> dict[str, Any]:
    """The table of cold starts."""
    works = {
        "python -c pass": process("-c", "pass"),
        "import numpy": process("-c", "import numpy"),
        "import wrt": process("-c", "import wrt"),
        'wrt "W*x" W': process("-m", "wrt", "W*x", "W"),
        "wrt: import, derive, first number": process("-c", FIRST["wrt"]),
    }
    for system in ("jax", "torch"):
        try:
            process("-c", f"import {system}")()
        except subprocess.CalledProcessError:
            continue
        works[f"{system}: import, derive, first number"] = process("-c", FIRST[system])
    return table("cold starts", alternating(works, 3 if quick else ROUNDS))
