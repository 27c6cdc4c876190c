"""Programs for JAX and PyTorch: every word, every case, equal to the meaning in NumPy.

Most run one operation at a time; a sample is jitted, mapped, differentiated again, compiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import wrt
from bench import formula_and_point, points
from case_data import CASES, draw
from test_recurrence import ALL
from test_recurrence import values as steps
from wrt import programs
from wrt.expression.function import Function
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Node
from wrt.functions import BOOK

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")

LIBRARIES = ("jax", "torch")


@pytest.fixture(autouse=True)
def _double() -> Any:
    """JAX with float64, within these tests only."""
    with jax.enable_x64(True):
        yield


def written(text: str, name: str = "derivative") -> Any:
    """The function of a module's text."""
    space: dict[str, Any] = {}
    exec(text, space)
    return space[name]


def given(library: str, value: Any) -> Any:
    array = np.asarray(value)
    array = array if array.dtype.kind == "c" else array.astype(float)
    return torch.from_numpy(array.copy()) if library == "torch" else jax.numpy.asarray(array)


def told(value: Any) -> np.ndarray:
    return value.detach().resolve_conj().numpy() if torch.is_tensor(value) else np.asarray(value)


def close(got: Any, want: Any, allowed: float = 1e-9) -> bool:
    got, want = told(got), np.asarray(want)
    scale = max(1.0, float(np.abs(want).max(initial=0)))
    error = float(np.abs(got - want).max(initial=0)) if got.shape == want.shape else np.inf
    return error <= allowed * scale


def sizes_of(formula: Node, values: dict[str, Any]) -> dict[str, int]:
    known: dict[str, int] = {}
    for v in formula.names:
        for d, size in zip(v.dims, np.shape(values[v.name]), strict=True):
            known[str(d)] = size
    return known


def run(formula: Node, library: str, values: dict[str, Any]) -> Any:
    """The value of a formula by its program for a library."""
    text = programs.source(formula, library)
    function = written(text)
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    extra = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    sizes = sizes_of(formula, values)
    by_parameter = {v.name: values[v.name] for v in formula.names}
    arrays = [given(library, by_parameter[n if n in by_parameter else n[:-1]]) for n in names]
    return function(*arrays, **{n: sizes[n] for n in extra})


APPLIED = [f for f in BOOK.values() if not f.einsum]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("function", APPLIED, ids=lambda f: f.name)
def test_every_word(function: Function, library: str) -> None:
    for form, values in points(function, 3):
        formula, arrays = formula_and_point(function, form, values)
        for node in formula if isinstance(formula, tuple) else (formula,):
            want = evaluate(node, arrays, sizes_of(node, arrays))
            assert close(run(node, library, arrays), want)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("number", range(len(CASES)), ids=[c["id"] for c in CASES])
def test_every_case(number: int, library: str) -> None:
    case = CASES[number]
    D = wrt.derivative(
        case["text"],
        *case["wrt"],
        shapes=case["shapes"],
        symmetric=case["symmetric"] or "projected",
    )
    values = draw(case)
    want = D(values)
    function = written(D.source(library))
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    arrays = [given(library, values[n if n in values else n[:-1]]) for n in names]
    sizes = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    assert close(function(*arrays, **{n: values[n] for n in sizes}), want)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", sorted(ALL))
def test_recurrences(name: str, library: str) -> None:
    together = wrt.recurrence(ALL[name]).gradients()
    values = steps(wrt.recurrence(ALL[name]), 5)
    function = written(together.source(library), "gradients")
    code = function.__code__
    arrays = [given(library, values[n]) for n in code.co_varnames[: code.co_argcount]]
    for got, want in zip(function(*arrays), together(**values), strict=True):
        assert close(got, want)
