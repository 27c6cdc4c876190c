"""Deriving and reading take work in proportion to what is asked: counted in calls, not in time."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from contextlib import nullcontext
from threading import Thread

import numpy as np
import pytest

import wrt
from wrt.expression.collecting import postponed

MORE = 3  # times as much is asked


def calls(work: Callable[[], object]) -> int:
    """How many functions of Python a piece of work calls."""
    count = 0

    def called(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def chain(length: int) -> wrt.Derivative:
    x = wrt.scalar(f"x{length}")
    formula = x
    for _ in range(length):
        formula = wrt.tanh(formula)
    return wrt.derivative(formula, x)


def wide(length: int) -> wrt.Derivative:
    x, a = wrt.vector(f"x{length}", "n"), wrt.vector(f"a{length}", "n")
    formula = wrt.sum(x)
    for k in range(length):
        formula = formula + wrt.sum(wrt.tanh(x * (k + 2)) * a)
    return wrt.derivative(formula, x)


def shared(length: int) -> wrt.Derivative:
    """Every step uses the last one twice."""
    x, a = wrt.scalar(f"x{length}"), wrt.scalar(f"a{length}")
    formula = wrt.sin(x)
    for _ in range(length):
        formula = wrt.sin(formula) * (formula + a)
    return wrt.derivative(formula, x)


def long_text(length: int) -> wrt.Derivative:
    text = " + ".join(f"sum(tanh({k}*x).*a)" for k in range(2, length + 2))
    return wrt.derivative(text, "x", shapes={"x": "n", "a": "n"})


def nested_text(length: int) -> wrt.Derivative:
    return wrt.derivative("sin(" * length + "x" + ")" * length, "x", shapes={"x": ""})


def lines(length: int) -> wrt.Derivative:
    steps = "; ".join(f"h{k} = tanh(W*h{k - 1})" for k in range(1, length + 1))
    return wrt.derivative(f"h{length} where h0 = x; {steps}", "x", shapes={"W": "n n", "x": "n"})


@pytest.mark.parametrize(
    ("ask", "length"),
    [(chain, 600), (wide, 300), (shared, 300), (long_text, 200), (nested_text, 600), (lines, 200)],
)
def test_work_grows_with_what_is_asked(ask: Callable[[int], object], length: int) -> None:
    ask(length - 1)  # rules are read once
    few, many = (calls(lambda n=n: ask(n)) for n in (length, MORE * length))
    assert many < 1.1 * MORE * few


@pytest.mark.parametrize("ask", [chain, wide, shared])
def test_programs_grow_with_what_they_compute(ask: Callable[[int], wrt.Derivative]) -> None:
    ask(149).source()  # words of the library are read once
    few, many = (calls(ask(n).source) for n in (150, MORE * 150))
    assert many < 1.1 * MORE * few


@pytest.mark.parametrize("error", [None, ZeroDivisionError])
def test_the_search_for_rings_goes_on_as_before(error: type[Exception] | None) -> None:
    before = gc.get_threshold()
    try:
        gc.set_threshold(500, 7, 8)
        with pytest.raises(error) if error else nullcontext(), postponed:
            with postponed:
                assert gc.get_threshold() == (1_000_000, 7, 8)
            assert gc.get_threshold() == (1_000_000, 7, 8)
            if error:
                raise error
        assert gc.get_threshold() == (500, 7, 8)
        gc.set_threshold(0)  # switched off by the person: it stays off
        with postponed:
            assert gc.get_threshold()[0] == 0
        assert gc.get_threshold()[0] == 0
    finally:
        gc.set_threshold(*before)


def test_threads_that_derive_leave_the_search_as_it_was() -> None:
    before = gc.get_threshold()
    threads = [Thread(target=chain, args=(300 + k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gc.get_threshold() == before


@pytest.mark.parametrize("ask", [chain, nested_text])
def test_ten_thousand_deep_is_no_recursion(ask: Callable[[int], wrt.Derivative]) -> None:
    deep = 10_000 if ask is chain else 5_000
    assert len(ask(deep).arguments) == 1


def test_what_is_in_normal_form_is_found_so_at_once() -> None:
    D = wrt.derivative("norm2(A*x - b)^2 + norm2(B*x)^2", "x")
    first = calls(lambda: D.matrix)
    again = wrt.derivative("norm2(A*x - b)^2 + norm2(B*x)^2", "x")
    assert again.matrix == D.matrix
    assert calls(lambda: again.view("gradient").matrix) < first


def test_memory_stays_level_over_many_questions() -> None:
    from wrt.expression import interning

    def ask(k: int) -> None:
        D = wrt.derivative(f"tanh(W{k}*s + u{k})", f"W{k}")
        assert D.index is not None

    for k in range(300):
        ask(k)
    gc.collect()
    before = interning.alive()
    for k in range(300, 600):
        ask(k)
    gc.collect()
    assert interning.alive() < before + 300  # a node or less for every question


def test_nodes_go_with_the_last_formula_that_holds_them() -> None:
    from wrt.expression import interning

    gc.collect()
    before = interning.alive()
    D = wide(200)
    assert interning.alive() > before + 1000
    del D
    gc.collect()
    assert interning.alive() < before + 200


@pytest.mark.parametrize("names", ["ABCD", "BDAC", "CADB", "PQRS", "SQPR", "WXYZ"])
def test_products_are_evaluated_smallest_first(names: str) -> None:
    from wrt.expression import build
    from wrt.expression.meaning import evaluate

    factors = [wrt.matrix(name, "n n") for name in names]
    chained = build.einsum("ab,bc,cd,de->ae", *factors)  # two that do not meet: n^4 entries
    values = {
        name: np.random.default_rng(k).normal(size=(100, 100)) for k, name in enumerate(names)
    }
    wanted = np.linalg.multi_dot([values[name] for name in names])
    assert np.allclose(evaluate(chained, values), wanted)
