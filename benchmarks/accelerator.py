"""Programs on a GPU: ours for JAX and PyTorch beside jitted JAX and `torch.func`, where one is.

Nothing in them names a device: they run where their arrays lie. Every result is compared with the
program by hand, which NumPy runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import peers, rows
from benchmarks.formulas import Formula
from benchmarks.tasks import (
    MOST_ENTRIES,
    Array,
    Program,
    Sizes,
    Values,
    as_arrays,
    function_of,
)
from benchmarks.timing import alternating

__all__ = ["NONE", "devices", "measure", "measured"]

NONE = "No GPU was at hand: JAX and PyTorch ran on the processor."
OURS, THEIRS = ("wrt, jax", "wrt, torch"), ("jax", "torch")


def devices() -> dict[str, str]:
    """The accelerators that JAX and PyTorch see, each by what it calls them."""
    found = {}
    try:
        import jax

        first = jax.devices()[0]
        if first.platform != "cpu":
            found["jax"] = str(first.device_kind)
    except (ImportError, RuntimeError):
        pass
    try:
        import torch

        if torch.cuda.is_available():
            found["torch"] = torch.cuda.get_device_name()
    except ImportError:
        pass
    return found


def measure(quick: bool, only: str = "") -> dict[str, Any]:
    """The rows of formulas, on the accelerator of each library; none where there is none."""
    there = devices()
    if not there:
        print(f"\n{NONE}")
        return {"devices": {}, "rows": []}
    print(f"\n{'on ' + ', '.join(sorted(set(there.values()))):<60}" + "".join(_heads()))
    found = []
    for work, sizes in rows.chosen(quick, only):
        if isinstance(work, Formula):
            row = measured(work, sizes, {"torch": "cuda"} if "torch" in there else {}, set(there))
            if row["seconds"]:
                print(_line(row), flush=True)
                found.append(row)
    return {"devices": there, "rows": found}


def measured(
    work: Formula, sizes: Sizes, places: dict[str, str], libraries: set[str]
) -> dict[str, Any]:
    """The medians of every system in one row, those that refuse or give other numbers left out."""
    values = work.values(sizes)
    wanted = as_arrays(work.hand(**values))
    runs: dict[str, Callable[[], object]] = {}
    absent: dict[str, str] = {}
    for system, make in _makers(work, sizes, values, places):
        if system.rpartition(" ")[2] not in libraries:
            continue
        try:
            program = make()
            rows.compare(system, program, wanted, work.name, work.dtype)
        except (RuntimeError, NotImplementedError, AssertionError) as error:
            absent[system] = f"{type(error).__name__}: {error}"[:80]
            continue
        runs[system] = program.run
    times = alternating(runs)
    return {
        "name": work.name,
        "sizes": dict(sizes),
        "seconds": {name: times.median(name) for name in runs},
        "absent": absent,
    }


def _makers(
    work: Formula, sizes: Sizes, values: Values, places: dict[str, str]
) -> Iterator[tuple[str, Callable[[], Program]]]:
    place = places.get("torch", "cpu")
    yield "wrt, jax", lambda: peers.our_jax_program(work, sizes, values)
    yield "wrt, torch", lambda: _ours(work, sizes, values, place)
    if not work.peer_entries(sizes) > MOST_ENTRIES:
        yield "jax", lambda: peers.jax_program(work, values)
        yield "torch", lambda: _waited(peers.torch_program(work, values, place), place)


def _ours(work: Formula, sizes: Sizes, values: Values, place: str) -> Program:
    """Our program for PyTorch, as it stands."""
    function, names = function_of(work.answer(), "torch", sizes)
    given = list(peers.tensors({name: values[name] for name in names}, place).values())
    return _waited(Program(lambda: function(*given)), place)


def _waited(program: Program, place: str) -> Program:
    """The same, done when it returns; its result compared on the processor."""
    import torch

    def run() -> Any:
        found = program.run()
        if place != "cpu":
            torch.cuda.synchronize()
        return found

    return Program(run, _fetched)


def _fetched(result: Any) -> Array:
    import torch

    return as_arrays(torch.utils._pytree.tree_map(lambda a: a.detach().cpu(), result))


def _heads() -> Iterator[str]:
    for name in (*OURS, *THEIRS):
        yield f"{name + ', ms':>14}"


def _line(row: dict[str, Any]) -> str:
    sizes = ", ".join(f"{n}={s}" for n, s in row["sizes"].items())
    cells = [row["seconds"].get(name) for name in (*OURS, *THEIRS)]
    told = [f"{'–':>14}" if t is None else f"{1e3 * t:14.3f}" for t in cells]
    return f"{row['name'] + '  ' + sizes:<60}" + "".join(told)
