"""The best NumPy program (with SciPy where it shares work) that a person would write for each.

Every function takes the values of its workload by name and returns a new array.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

Array = np.ndarray[Any, Any]


def _sigmoid(z: Array) -> Array:
    e = np.exp(-np.abs(z))
    return np.where(z < 0, e, 1) / (1 + e)


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def logistic_gradient(X: Array, y: Array, w: Array) -> Array:
    return -(X.T @ (y * _sigmoid(-y * (X @ w))))


def logistic_hessian(X: Array, y: Array, w: Array) -> Array:
    s = _sigmoid(y * (X @ w))
    Y = (np.abs(y) * np.sqrt(s * (1 - s)))[:, None] * X
    return Y.T @ Y


def quadratic_hessian(A: Array, x: Array) -> Array:
    return A + A.T


def factorisation_hessian(T: Array, U: Array, V: Array) -> Array:
    n, k = U.shape
    H = np.zeros((n, k, n, k), U.dtype)
    i = np.arange(n)
    H[i, :, i] = 2 * (V.T @ V)
    return H


def masked_factorisation_hessian(M: Array, T: Array, U: Array, V: Array) -> Array:
    n, k = U.shape
    squares = (V[:, :, None] * V[:, None, :]).reshape(-1, k * k)
    H = np.zeros((n, k, n, k), U.dtype)
    i = np.arange(n)
    H[i, :, i] = (2 * M**2 @ squares).reshape(n, k, k)
    return H


def softmax_jacobian(x: Array) -> Array:
    s = _softmax(x)
    J = np.outer(s, -s)
    J.reshape(-1)[:: len(s) + 1] += s
    return J


def layernorm_jacobian(x: Array, eps: Array) -> Array:
    n = len(x)
    r = x - x.mean()
    z = r @ r / n + eps
    J = np.outer(r, r * (-1 / (n * z**1.5)))
    J -= 1 / (n * np.sqrt(z))
    J.reshape(-1)[:: n + 1] += 1 / np.sqrt(z)
    return J


def network_core(x: Array, y: Array, **W: Array) -> Array:
    """J' (diag(p) - p p') J of the layers behind the first of ten; only the last is curved."""
    layers = [W[f"W{k}"] for k in range(1, 11)]
    h, J = layers[0] @ x, None
    for matrix in layers[1:]:
        active = (h > 0).astype(h.dtype)
        step = matrix * active if J is None else matrix @ (active[:, None] * J)
        h, J = matrix @ np.maximum(h, 0), step
    assert J is not None
    p = _softmax(h)
    q = p @ J
    Y = np.sqrt(p)[:, None] * J
    return Y.T @ Y - np.outer(q, q)


def network_hessian(x: Array, y: Array, **W: Array) -> Array:
    """The core between units of the first layer, times x x' between its inputs."""
    H = network_core(x, y, **W)
    return H[:, None, :, None] * np.outer(x, x)[:, None, :]


def attention_gradient(Q: Array, K: Array, V: Array, G: Array) -> Array:
    K = K / Q.shape[1] ** 0.5
    P = Q @ K.T
    P -= P.max(axis=-1, keepdims=True)
    np.exp(P, out=P)
    P /= P.sum(axis=-1, keepdims=True)
    S = G @ V.T
    S -= np.einsum("ij,ij->i", P, S)[:, None]
    S *= P
    return S @ K


def gaussian_gradient(S: Array, x: Array, m: Array) -> Array:
    """The inverse from its factors, less work than `inv`; LAPACK is given room for blocks."""
    factors, swaps, _ = scipy.linalg.lapack.dgetrf(S.T)
    inverse, _ = scipy.linalg.lapack.dgetri(factors, swaps, 64 * len(S), True)
    r = x - m  # the array is inv(S') as LAPACK lays it, which is the gradient's first term
    inverse -= np.outer(inverse @ r, r @ inverse)
    found: Array = inverse
    return found


def definite_gaussian_gradient(S: Array, x: Array, m: Array) -> Array:
    factor, _ = scipy.linalg.lapack.dpotrf(S)
    half, _ = scipy.linalg.lapack.dpotri(factor)
    inverse = half + np.triu(half, 1).T
    t = inverse @ (x - m)
    inverse -= np.outer(t, t)
    return inverse


def projection_gradient(A: Array, y: Array) -> Array:
    c = np.linalg.solve(A.T @ A, A.T @ y)
    return np.outer(2 * (A @ c - y), c)


def quadratic_inverse_gradient(X: Array, a: Array, b: Array) -> Array:
    """One factorisation for both systems."""
    from scipy.linalg import lu_factor, lu_solve

    factors = lu_factor(X, check_finite=False)
    left = lu_solve(factors, -a, trans=1, check_finite=False)
    return np.outer(left, lu_solve(factors, b, check_finite=False))
