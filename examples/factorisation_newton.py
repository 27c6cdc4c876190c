"""Matrix factorisation by Newton's method in each factor, with Hessians that are never formed.

The Hessian of norm2(T - U*V')^2 by U has (n k)² entries; its structure is I ⊗ 2 V'V, and that is
what it is solved by. On the digits of scikit-learn (pip install scikit-learn) this reaches the best
rank-k approximation.
"""

from __future__ import annotations

import sys

import numpy as np

import wrt

LOSS = "norm2(T - U*V')^2"


def factorised(T: np.ndarray, k: int, rounds: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """U and V of rank k, one Newton step in each by turns."""
    rng = np.random.default_rng(0)
    values = {
        "T": T,
        "U": rng.normal(size=(T.shape[0], k)),
        "V": rng.normal(size=(T.shape[1], k)),
    }
    gradients = {x: wrt.derivative(LOSS, x).compile() for x in "UV"}
    hessians = {x: wrt.derivative(LOSS, x, x).compile(structured=True) for x in "UV"}
    for _ in range(rounds):
        for x in "UV":
            step = hessians[x](**values).solve(gradients[x](**values))
            values[x] = values[x] - step
    return values["U"], values["V"]


def main() -> float:
    """How much more is left than by the singular values, in proportion."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError:
        sys.exit("the data come with scikit-learn: pip install scikit-learn")

    T, k = load_digits().data, 10
    U, V = factorised(T, k)
    left = np.linalg.norm(T - U @ V.T)
    best = np.sqrt((np.linalg.svd(T, compute_uv=False)[k:] ** 2).sum())
    print(f"rank {k}: {left:.6f} is left, {best:.6f} at best")
    return float(left / best - 1)


if __name__ == "__main__":
    main()
