"""Cold starts: new processes, each against an empty Python, until the first number is there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.timing import ROUNDS, alternating, table

__all__ = ["FIRST", "measure"]

#: The gradient of |A x - b|² by x, and its value, as each system says it. UFL and tensorgrad give a
#: formula without a number.
FIRST = {
    "wrt": (
        "import numpy as np, wrt\n"
        "D = wrt.derivative('norm2(A*x - b)^2', 'x')\n"
        "D(A=np.ones((3, 2)), x=np.ones(2), b=np.ones(3))"
    ),
    "jax": (
        "import jax, jax.numpy as jnp\n"
        "f = jax.jit(jax.grad(lambda x, A, b: jnp.sum((A @ x - b) ** 2)))\n"
        "f(jnp.ones(2), jnp.ones((3, 2)), jnp.ones(3)).block_until_ready()"
    ),
    "torch": (
        "import torch\n"
        "A, b = torch.ones(3, 2), torch.ones(3)\n"
        "torch.func.grad(lambda x: ((A @ x - b) ** 2).sum())(torch.ones(2))"
    ),
    "sympy": (
        "import sympy\n"
        "n, m = sympy.symbols('n m', positive=True, integer=True)\n"
        "A = sympy.MatrixSymbol('A', n, m)\n"
        "x, b = sympy.MatrixSymbol('x', m, 1), sympy.MatrixSymbol('b', n, 1)\n"
        "r = A * x - b\n"
        "f = sympy.lambdify((A, x, b), (r.T * r).diff(x))\n"
        "import numpy as np\n"
        "f(np.ones((3, 2)), np.ones((2, 1)), np.ones((3, 1)))"
    ),
    "casadi": (
        "import casadi\n"
        "A, b = casadi.MX.sym('A', 3, 2), casadi.MX.sym('b', 3)\n"
        "x = casadi.MX.sym('x', 2)\n"
        "g = casadi.gradient(casadi.sumsqr(A @ x - b), x)\n"
        "casadi.Function('g', [A, x, b], [g])(1, 1, 1)"
    ),
    "ufl": "from benchmarks.others import ufl\nufl()()",
    "tensorgrad": "from benchmarks.others import tensorgrad\ntensorgrad()()",
}
#: What these never give.
WITHOUT_NUMBERS = ("ufl", "tensorgrad")
#: What takes seconds to import.
SLOW = ("torch", "tensorgrad")


def process(*arguments: str) -> Callable[[], object]:
    """A new Python as work, that keeps its bytecode as an installed one does."""
    command, quiet = [sys.executable, *arguments], subprocess.DEVNULL
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return lambda: subprocess.run(command, check=True, stdout=quiet, stderr=quiet, env=kept)


def measure(quick: bool) -> dict[str, Any]:
    """The table of cold starts."""
    works = {
        "python -c pass": process("-c", "pass"),
        "import numpy": process("-c", "import numpy"),
        "import wrt": process("-c", "import wrt"),
        'wrt "W*x" W': process("-m", "wrt", "W*x", "W"),
    }
    for system, text in FIRST.items():
        if quick and system in SLOW:
            continue
        work = process("-c", text)
        try:
            work()
        except subprocess.CalledProcessError:
            print(f"left out: {system} does not run here")
            continue
        ends = "formula" if system in WITHOUT_NUMBERS else "first number"
        works[f"{system}: import, derive, {ends}"] = work
    return table("cold starts", alternating(works, 3 if quick else ROUNDS, 1))
