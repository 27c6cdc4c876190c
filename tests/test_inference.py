"""The kinds of names, found without declarations, against what people who asked had meant."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

import pytest

from wrt.errors import ShapeMistake, TooLarge, WrtError
from wrt.expression.dimensions import Dimension
from wrt.expression.function import PROPERTIES, Function
from wrt.functions import BOOK
from wrt.language import read, read_wrt

CASES = json.loads((Path(__file__).parent / "data" / "cases_open.json").read_text())

#: Words that the book may not have yet; the inference needs no more than their signatures.
LATER = {
    word: Function(f"{word}({signature}", "A word of a later day.")
    for word, signature in {
        "expm": "X: n n) -> Y: n n",
        "logm": "X: n n) -> Y: n n",
        "chol": "X: n n) -> Y: n n",
        "eigvecs": "X: n n) -> Y: n n",
        "eigvals": "X: n n) -> y: n",
        "svdvals": "X: n m) -> y: n",
        "normspec": "X: n m) -> y",
        "conj": "x) -> y",
    }.items()
    if word not in BOOK
}


def axes(shape: str) -> int:
    return sum(word not in PROPERTIES for word in shape.split())


def as_declared(case: dict) -> bool:
    """Whether every declared name comes out with its number of axes."""
    try:
        reading = read(case["text"].replace("^H", "'"), functions=LATER)
    except WrtError:
        return False
    for name, shape in case["shapes"].items():
        if name not in reading.variables:
            variable = read_wrt(name, reading).variable
        else:
            variable = reading.variables[name]
        if variable.ndim != axes(shape):
            return False
    return True


def test_kinds_of_the_open_cases():
    cases = [c for c in CASES if all(axes(s) <= 2 for s in c["shapes"].values())]
    good = [case["id"] for case in cases if as_declared(case)]
    print(f"\n{len(good)} of {len(cases)} cases have every kind as declared")
    assert len(cases) == 316
    assert len(good) >= 300


def test_reading_takes_milliseconds():
    times = []
    for case in CASES:
        start = time.perf_counter()
        as_declared(case)
        times.append(time.perf_counter() - start)
    assert statistics.median(times) < 0.01, "3 ms are wanted; a busy machine gets more"


def kinds(text: str, shapes: dict | None = None) -> dict[str, int]:
    return {name: v.ndim for name, v in read(text, shapes).variables.items()}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("W*x + b", {"W": 2, "x": 1, "b": 1}),
        ("a*x + b*y", {"a": 0, "x": 1, "b": 0, "y": 1}),
        ("x^2", {"x": 0}),
        ("1/x", {"x": 0}),
        ("x*unit(2,1)", {"x": 0}),
        ("a'*X*b", {"a": 1, "X": 2, "b": 1}),
        ("sum(a)", {"a": 1}),
        ("exp(a)", {"a": 0}),
        ("lambda*x", {"lambda": 0, "x": 1}),
        ("Σ*x", {"Sigma": 2, "x": 1}),
        ("phi*phi'", {"phi": 1}),
        ("det(a)", {"a": 2}),
        ("T[1,2,3]", {"T": 3}),
        ("x + y + 1", {"x": 1, "y": 1}),
        ("y^2 + y*z", {"y": 0, "z": 1}),
    ],
)
def test_kinds_by_letter_and_use(text, wanted):
    assert kinds(text) == wanted


def test_a_declaration_settles_it():
    assert kinds("a*x", {"a": "n n"}) == {"a": 2, "x": 1}
    assert kinds("x*y", {"x": ""}) == {"x": 0, "y": 1}


def test_the_runner_up_is_named_where_it_was_close():
    assert read("W*x + b").runner_up == "b could also be a scalar"
    assert read("x'*A*x").runner_up is None


def test_wide_formulas_are_inferred_at_once():
    reading = read("W*x + " + " + ".join(f"b{k}" for k in range(500)))
    assert all(v.ndim == 1 for name, v in reading.variables.items() if name != "W")


def test_hopeless_formulas_are_refused_by_count():
    with pytest.raises(TooLarge, match="declare some of a0, b0"):
        read("+".join(f"a{k}*b{k}'*c{k}" for k in range(60)))


def test_a_square_kronecker_product_makes_its_factors_square():
    reading = read("tr(kron(A,X))")
    assert reading.variables["A"].shape == ("n", "n")
    assert reading.variables["X"].shape == ("m", "m")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n*m + 1", "m*n + 1"),
        (" -1+n ", "n - 1"),
        ("min(m,min(n,2*k+1))^2*3 - n", "3*min(m,min(2*k + 1,n))^2 - n"),
        ("n^20", "n^20"),
    ],
)
def test_dimensions_are_read(text: str, said: str) -> None:
    assert str(Dimension.parse(text)) == said


@pytest.mark.parametrize(
    "text", ["", "n+", "n m", "(n)", "+n", "n--m", "2n", "n^21", "min(n", "min(" * 60 + "n"]
)
def test_what_is_no_dimension_is_refused(text: str) -> None:
    with pytest.raises(ShapeMistake, match="is not a dimension"):
        Dimension.parse(text)
