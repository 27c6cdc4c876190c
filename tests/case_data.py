"""The open cases: real questions with verified answers, and how to draw their variables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

CASES = json.loads((Path(__file__).parent / "data" / "cases_open.json").read_text())

#: Sizes for names of dimensions, all different.
SIZES = {"n": 4, "m": 5, "p": 6, "k": 3, "N": 7, "d": 2}


def draw(case: dict[str, Any], seed: int = 0) -> dict[str, np.ndarray]:
    """Values of a case's variables, as its kinds say."""
    rng = np.random.default_rng(seed + sum(map(ord, case["id"])))
    sizes = dict(SIZES)
    if case["id"].startswith("sympy") or case["id"] == "u164":  # their answers fix the sizes
        sizes = dict.fromkeys(SIZES, 3) | ({"k": 2} if "np.eye(2)" in case["answer_numpy"] else {})
    if case["id"].startswith("cb_51b"):  # det(A*X*B) with A wide needs k ≤ m, n
        sizes = {"k": 2, "m": 4, "n": 3}
    if case["id"] in ("u097", "u100", "u098", "u081", "sympy_270", "sympy_271"):
        sizes |= {"m": 6, "n": 4} if case["id"].startswith("u0") or case["id"] == "u100" else {}
    values = {}
    for name, declared in case["shapes"].items():
        words = [w for w in declared.split() if w.isdigit() or w in sizes]
        shape = [int(w) if w.isdigit() else sizes[w] for w in words]
        values[name] = _value(case["kinds"].get(name, "tensor"), shape, rng)
    return values


def _value(kind: str, shape: list[int], rng: np.random.Generator) -> np.ndarray:
    normal = rng.normal(size=shape)
    square = len(shape) == 2 and shape[0] == shape[1]
    match kind:
        case "pscalar" | "pvector" | "pmatrix":
            return np.asarray(rng.uniform(0.3, 2, size=shape))
        case "simplex":
            value = rng.uniform(0.3, 2, size=shape)
            return value / value.sum(axis=0)  # a distribution, or one in every column
        case "cscalar" | "cvector" | "cmatrix":
            return normal + 1j * rng.normal(size=shape)
        case "inv":
            return normal + 2 * np.eye(shape[0])
        case "spdlike":
            return 3 * np.eye(shape[0]) + normal / 2
        case "symmetric":
            return (normal + normal.T) / 2
        case "spd":
            return normal @ normal.T / shape[0] + np.eye(shape[0])
        case "skew":
            return (normal - normal.T) / 2
        case "diag":
            return np.diag(np.diag(normal)) + 2 * np.eye(shape[0])
        case "toeplitz" | "symtoeplitz":
            return _toeplitz(rng, shape[0], kind)
        case "near_ones":
            value = 1 + 0.3 * normal
            return value + 2 * np.eye(shape[0]) if square else np.asarray(value)
        case "whole":
            return np.asarray(3.0)
        case _:
            return np.asarray(normal)


def _toeplitz(rng: np.random.Generator, n: int, kind: str) -> np.ndarray:
    line = rng.normal(size=2 * n - 1)
    if kind == "symtoeplitz":
        line = (line + line[::-1]) / 2
    return np.array([[line[n - 1 + i - j] for j in range(n)] for i in range(n)])


def answer(case: dict[str, Any], values: dict[str, np.ndarray]) -> np.ndarray:
    """The verified tensor at these values."""
    import scipy.linalg as sla

    held = {f"{name}0": value for name, value in values.items()}
    space = {"np": np, "sla": sla, **held, **values}
    return np.asarray(eval(case["answer_numpy"], space))
