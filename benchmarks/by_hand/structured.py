"""Products with a derivative that is never formed, by hand: from values, and with what it keeps.

For each there are `…_kept`, what a person would keep of the derivative for many products, and
`…_product` of that with a direction; `…_along` goes from values to one product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from benchmarks.by_hand.dense import _sigmoid, _softmax, network_core
from benchmarks.tasks import Array

Kept = tuple[Array, ...]


def logistic_kept(X: Array, y: Array, w: Array) -> Kept:
    s = _sigmoid(y * (X @ w))
    return X, y**2 * s * (1 - s)


def logistic_product(kept: Kept, v: Array) -> Array:
    X, d = kept
    return (d * (X @ v)) @ X


def logistic_along(v: Array, **values: Array) -> Array:
    return logistic_product(logistic_kept(**values), v)


def factorisation_kept(T: Array, U: Array, V: Array) -> Kept:
    return (2 * (V.T @ V),)


def factorisation_product(kept: Kept, v: Array) -> Array:
    return v @ kept[0]


def factorisation_along(v: Array, T: Array, U: Array, V: Array) -> Array:
    return (2 * v) @ (V.T @ V)


def masked_factorisation_kept(M: Array, T: Array, U: Array, V: Array) -> Kept:
    n, k = U.shape
    squares = (V[:, :, None] * V[:, None, :]).reshape(-1, k * k)
    return ((2 * M**2 @ squares).reshape(n, k, k),)


def masked_factorisation_product(kept: Kept, v: Array) -> Array:
    return (kept[0] @ v[:, :, None])[:, :, 0]


def masked_factorisation_along(v: Array, M: Array, T: Array, U: Array, V: Array) -> Array:
    moved = (2 * v) @ V.T
    moved *= M
    moved *= M
    return moved @ V


def network_kept(x: Array, y: Array, **W: Array) -> Kept:
    """H = S ⊗ x x': S is J'(diag(p) - p p')J of the layers behind the first."""
    return network_core(x, y, **W), x


def network_product(kept: Kept, v: Array) -> Array:
    S, x = kept
    return np.outer(S @ (v @ x), x)


def network_along(v: Array, x: Array, y: Array, **W: Array) -> Array:
    """Forward with the direction beside it, and back: vectors only."""
    layers = [W[f"W{k}"] for k in range(1, 11)]
    h, moved = layers[0] @ x, v @ x
    active = []
    for matrix in layers[1:]:
        active.append(h > 0)
        h, moved = matrix @ np.maximum(h, 0), matrix @ (moved * active[-1])
    p = _softmax(h)
    back = p * moved - p * (p @ moved)
    for matrix, on in zip(reversed(layers[1:]), reversed(active), strict=True):
        back = (back @ matrix) * on
    return np.outer(back, x)


def batched_kept(X: Array, W: Array) -> Kept:
    return (X,)


def batched_product(kept: Kept, v: Array) -> Array:
    return kept[0] @ v.T


def batched_along(v: Array, X: Array, W: Array) -> Array:
    return X @ v.T


def factorisation_step(T: Array, U: Array, V: Array) -> Array:
    """U after a step of Newton's in it."""
    gradient = 2 * ((U @ V.T - T) @ V)
    step: Any = np.linalg.solve(2 * (V.T @ V), gradient.T)
    return U - step.T


def logistic_step(X: Array, y: Array, w: Array) -> Array:
    """`w` after a step of Newton's, with a quarter of |w|²/2 added to the loss."""
    s = _sigmoid(y * (X @ w))
    gradient = w / 4 - X.T @ (y * (1 - s))
    Y = (np.abs(y) * np.sqrt(s * (1 - s)))[:, None] * X
    H = Y.T @ Y
    H.reshape(-1)[:: len(w) + 1] += 1 / 4
    return w - definite_solved(H, gradient)


def definite_solved(H: Array, g: Array) -> Array:
    """The system by Cholesky's factors; what is given is used up, as LAPACK lays it."""
    _, step, _ = scipy.linalg.lapack.dposv(H.T, g, overwrite_a=True, overwrite_b=True)
    found: Array = step
    return found
