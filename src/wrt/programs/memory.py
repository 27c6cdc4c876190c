"""What a program is sure to hold in memory at once, and what the machine has.

Counted are the results together, and every step with what it reads, whichever is more; what was
given is there already. The true need lies above, by what waits meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from math import prod
from pathlib import Path

from wrt.programs.costs import LOOKS
from wrt.programs.plan import Plan
from wrt.programs.steps import Steps

__all__ = ["held", "installed", "told"]

#: Steps whose result may take the place of an array that they read.
IN_PLACE = frozenset({"negate", "add", "multiply", "divide", "power", "increment", "call"})
#: Where Linux tells how much memory a container may use.
ALLOWED = Path("/sys/fs/cgroup/memory.max")


def held(plan: Plan, sizes: Mapping[str, int], itemsize: int, joins: bool = False) -> int:
    """The bytes of arrays that the program has at once, at the least; where steps are joined into
    passes, the results alone are sure to be there.
    """
    steps = plan.steps
    results = sum(
        _bytes(steps, at, sizes, itemsize) for at in {_base(steps, r) for r in plan.results}
    )
    if joins:
        return results
    most = max((_during(steps, at, sizes, itemsize) for at in plan.formed()), default=0)
    return max(results, most)


def _during(steps: Steps, at: int, sizes: Mapping[str, int], itemsize: int) -> int:
    """The bytes of a step and of the arrays that it reads."""
    step = steps[at]
    if step.op in LOOKS:
        return 0
    made = _bytes(steps, at, sizes, itemsize)
    read = [_bytes(steps, a, sizes, itemsize) for a in {_base(steps, a) for a in step.args}]
    if step.op in IN_PLACE:
        return max(made + sum(read) - max(read, default=0), sum(read))
    return made + sum(read)


def _base(steps: Steps, at: int) -> int:
    """The step whose memory a step looks at."""
    while steps[at].op in LOOKS and steps[at].args:
        at = steps[at].args[0]
    return at


def _bytes(steps: Steps, at: int, sizes: Mapping[str, int], itemsize: int) -> int:
    step = steps[at]
    if step.op == "load" or not all(d.names <= sizes.keys() for d in step.dims):
        return 0
    each = 1 if step.kind == "bool" else itemsize * (1 + (step.kind == "complex"))
    return each * prod(d.size(sizes) for d in step.dims)


@lru_cache(maxsize=1)
def installed() -> int | None:
    """The bytes of memory that this machine has, or this container may use; None where nothing
    tells.
    """
    known = []
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        known.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(OSError, ValueError):  # no Linux, or no limit
        known.append(int(ALLOWED.read_text()))
    return min((k for k in known if k > 0), default=None)


def told(count: int) -> str:
    """A number of bytes as people say it.

    >>> told(2_000_000_000), told(1234)
    ('2.0 GB', '1,234 bytes')
    """
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            many = count >= 10 * size
            return f"{round(count / size):,} {unit}" if many else f"{count / size:.1f} {unit}"
    return f"{count:,} bytes"
