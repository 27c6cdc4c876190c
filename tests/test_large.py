"""`W*x` by W with W 4096 × 4096: the structure is used, the dense tensor of 550 GB is not
formed.
"""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import wrt

N = 4096


@pytest.fixture(scope="module")
def values() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"W": rng.normal(size=(N, N)), "x": rng.normal(size=N)}


def test_maps_and_entries_cost_no_more_than_w(values: dict[str, np.ndarray]) -> None:
    D = wrt.derivative("W*x", "W")
    direction = np.ones((N, N))
    tracemalloc.start()
    forward = D.apply(direction, **values)
    back = D.pullback(np.ones(N), **values)
    entry = D.entry_value((3, 3, 7), **values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(forward, np.full(N, values["x"].sum()))
    np.testing.assert_array_equal(back, np.tile(values["x"], (N, 1)))
    assert entry == values["x"][6]
    assert peak < 4 * direction.nbytes


def test_structure_of_numbers() -> None:
    D = wrt.derivative("W*x", "W", shapes={"W": (N, N)})
    assert D.structure.entries.value == N**3
    assert D.structure.nonzero.value == N**2
    assert D.structure.numbers.value == N
    assert D.entry(3, 3, 7) == "x[7]"
    assert D.entry(3, 4, 7) == "0"


def test_dense_is_refused_with_its_size(values: dict[str, np.ndarray]) -> None:
    with pytest.raises(wrt.errors.TooLarge, match=r"68,719,476,736 entries") as refused:
        wrt.derivative("W*x", "W")(**values)
    assert "apply" in str(refused.value)
