"""Formulas of one line, with their sizes, values, peers' spelling and fewest operations.

`floor` counts by hand the fewest operations and the fewest entries moved (what is read once, what
is written once).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.by_hand import dense as by_hand
from benchmarks.formulas import Formula
from benchmarks.tasks import Array, every

__all__ = ["DENSE"]


def _logistic(xp: Any) -> Callable[..., Any]:
    return lambda X, y, w: xp.sum(xp.log(1 + xp.exp(-y * (X @ w))))


def _scaled(values: dict[str, Array]) -> dict[str, Array]:
    """Weights small enough that nothing saturates."""
    return {n: v if n != "w" else v / np.sqrt(len(v)) for n, v in values.items()}


def _quadratic(xp: Any) -> Callable[..., Any]:
    return lambda A, x: x @ A @ x


def _factorisation(xp: Any) -> Callable[..., Any]:
    return lambda T, U, V: xp.sum((T - U @ V.T) ** 2)


def _masked(xp: Any) -> Callable[..., Any]:
    return lambda M, T, U, V: xp.sum((M * (T - U @ V.T)) ** 2)


def _softmax(xp: Any) -> Callable[..., Any]:
    if xp.__name__ == "torch":
        return lambda x: xp.softmax(x, 0)
    import jax

    return lambda x: jax.nn.softmax(x)


def _layernorm(xp: Any) -> Callable[..., Any]:
    def f(x: Any, eps: Any) -> Any:
        r = x - xp.mean(x)
        return r / xp.sqrt(xp.mean(r**2) + eps)

    return f


def _logsumexp(xp: Any) -> Callable[..., Any]:
    if xp.__name__ == "torch":
        return lambda x: xp.logsumexp(x, 0)
    import jax

    return lambda x: jax.nn.logsumexp(x)


LAYERS = 10


def _net_text() -> str:
    z = "x"
    for k in range(1, LAYERS):
        z = f"relu(W{k}*{z})"
    return f"W{LAYERS}*{z}"


def _net(xp: Any) -> Callable[..., Any]:
    logsumexp = _logsumexp(xp)

    def relu(z: Any) -> Any:
        return xp.relu(z) if xp.__name__ == "torch" else xp.maximum(z, 0)

    def f(x: Any, y: Any, **W: Any) -> Any:
        z = x
        for k in range(1, LAYERS):
            z = relu(W[f"W{k}"] @ z)
        z = W[f"W{LAYERS}"] @ z
        return logsumexp(z) - y @ z

    return f


def _tamed(values: dict[str, Array]) -> dict[str, Array]:
    """Weights as networks begin with."""
    return {n: v if v.ndim < 2 else v * (1.5 / len(v)) ** 0.5 for n, v in values.items()}


def _attention(xp: Any) -> Callable[..., Any]:
    def f(Q: Any, K: Any, V: Any, G: Any) -> Any:
        Z = Q @ K.T / Q.shape[1] ** 0.5
        if xp.__name__ == "torch":
            P = xp.softmax(Z, -1)
        else:
            import jax

            P = jax.nn.softmax(Z, -1)
        return xp.sum(G * (P @ V))

    return f


def _gaussian(xp: Any) -> Callable[..., Any]:
    def f(S: Any, x: Any, m: Any) -> Any:
        return xp.linalg.slogdet(S)[1] + (x - m) @ xp.linalg.solve(S, x - m)

    return f


def _definite(values: dict[str, Array]) -> dict[str, Array]:
    S = values["S"]
    return {**values, "S": S @ S.T / len(S) + np.eye(len(S))}


def _projection(xp: Any) -> Callable[..., Any]:
    """The normal equations by Cholesky's factors."""

    def solved(S: Any, b: Any) -> Any:
        if xp.__name__ == "torch":
            return xp.cholesky_solve(b[:, None], xp.linalg.cholesky(S))[:, 0]
        import jax

        return jax.scipy.linalg.solve(S, b, assume_a="pos")

    def f(A: Any, y: Any) -> Any:
        r = y - A @ solved(A.T @ A, A.T @ y)
        return r @ r

    return f


def _inverse_form(xp: Any) -> Callable[..., Any]:
    return lambda X, a, b: a @ xp.linalg.solve(X, b)


def _invertible(values: dict[str, Array]) -> dict[str, Array]:
    X = values["X"]
    return {**values, "X": X / len(X) ** 0.5 + 2 * np.eye(len(X))}


FACTORISED = [{"n": n, "k": k} for n, k in ((50, 5), (100, 10), (200, 5), (500, 5))]

DENSE: Sequence[Formula] = (
    Formula(
        "logistic Hessian",
        "sum(log(1+exp(-y.*(X*w))))",
        ("w", "w"),
        {"X": "N n", "y": "N", "w": "n"},
        [{"N": 2 * n, "n": n} for n in (100, 500, 1000, 2000)],
        _logistic,
        by_hand.logistic_hessian,
        lambda s: (s["N"] * s["n"] ** 2, s["N"] * s["n"] + s["n"] ** 2),
        prepare=_scaled,
    ),
    Formula(
        "logistic gradient",
        "sum(log(1+exp(-y.*(X*w))))",
        ("w",),
        {"X": "N n", "y": "N", "w": "n"},
        [{"N": 2 * n, "n": n} for n in (100, 1000)],
        _logistic,
        by_hand.logistic_gradient,
        lambda s: (4 * s["N"] * s["n"], 2 * s["N"] * s["n"]),
        prepare=_scaled,
    ),
    Formula(
        "quadratic Hessian",
        "x'*A*x",
        ("x", "x"),
        {"A": "n n", "x": "n"},
        every("n", 512, 2048),
        _quadratic,
        by_hand.quadratic_hessian,
        lambda s: (s["n"] ** 2, 2 * s["n"] ** 2),
        dtype="float32",
    ),
    Formula(
        "factorisation Hessian",
        "norm2(T-U*V')^2",
        ("U", "U"),
        {"T": "n n", "U": "n k", "V": "n k"},
        FACTORISED,
        _factorisation,
        by_hand.factorisation_hessian,
        lambda s: (s["n"] * s["k"] ** 2, s["n"] * s["k"] + s["n"] * s["k"] ** 2),
        peer_entries=lambda s: s["n"] ** 3 * s["k"],
    ),
    Formula(
        "masked factorisation Hessian",
        "norm2(M.*(T-U*V'))^2",
        ("U", "U"),
        {"M": "n n", "T": "n n", "U": "n k", "V": "n k"},
        FACTORISED,
        _masked,
        by_hand.masked_factorisation_hessian,
        lambda s: (s["n"] ** 2 * s["k"] * (s["k"] + 1), s["n"] ** 2 + s["n"] * s["k"] ** 2),
        peer_entries=lambda s: s["n"] ** 3 * s["k"],
    ),
    Formula(
        "ten-layer net, first-layer Hessian",
        f"logsumexp({_net_text()}) - y'*({_net_text()})",
        ("W1", "W1"),
        {**{f"W{k}": "n n" for k in range(1, LAYERS + 1)}, "x": "n", "y": "n"},
        every("n", 20, 50, 80),
        _net,
        by_hand.network_hessian,
        lambda s: (16 * s["n"] ** 3, 9 * s["n"] ** 2 + s["n"] ** 4),
        prepare=_tamed,
    ),
    Formula(
        "softmax Jacobian",
        "softmax(x)",
        ("x",),
        {"x": "n"},
        every("n", 100, 1000, 4000),
        _softmax,
        by_hand.softmax_jacobian,
        lambda s: (s["n"] ** 2, s["n"] ** 2),
        forward=True,
    ),
    Formula(
        "layernorm Jacobian",
        "(x-mean(x))/sqrt(mean((x-mean(x)).^2)+eps)",
        ("x",),
        {"x": "n", "eps": ""},
        every("n", 100, 1000, 4000),
        _layernorm,
        by_hand.layernorm_jacobian,
        lambda s: (2 * s["n"] ** 2, s["n"] ** 2),
        prepare=lambda v: {**v, "eps": np.asarray(1e-5)},
    ),
    Formula(
        "logsumexp Hessian",
        "logsumexp(x)",
        ("x", "x"),
        {"x": "n"},
        every("n", 100, 1000, 4000),
        _logsumexp,
        by_hand.softmax_jacobian,
        lambda s: (s["n"] ** 2, s["n"] ** 2),
    ),
    Formula(
        "attention gradient",
        "sum(G.*(softmax(Q*K'/sqrt(d),2)*V))",
        ("Q",),
        {"Q": "n d", "K": "n d", "V": "n d", "G": "n d"},
        [{"n": 128, "d": 64}, {"n": 512, "d": 64}],
        _attention,
        by_hand.attention_gradient,
        lambda s: (6 * s["n"] ** 2 * s["d"], 5 * s["n"] * s["d"]),
    ),
    Formula(
        "Gaussian log-likelihood gradient",
        "logdet(S) + (x-m)'*inv(S)*(x-m)",
        ("S",),
        {"S": "n n", "x": "n", "m": "n"},
        every("n", 50, 300),
        _gaussian,
        by_hand.gaussian_gradient,
        lambda s: (2 * s["n"] ** 3, 2 * s["n"] ** 2),
        prepare=_definite,
    ),
    Formula(
        "Gaussian log-likelihood gradient, S definite",
        "logdet(S) + (x-m)'*inv(S)*(x-m)",
        ("S",),
        {"S": "n n spd", "x": "n", "m": "n"},
        every("n", 50, 300),
        _gaussian,
        by_hand.definite_gaussian_gradient,
        lambda s: (s["n"] ** 3, 2 * s["n"] ** 2),
        prepare=_definite,
    ),
    Formula(
        "variable projection gradient",
        "norm2(y - A*inv(A'*A)*A'*y)^2",
        ("A",),
        {"A": "N n", "y": "N"},
        [{"N": 200, "n": 20}, {"N": 2000, "n": 100}],
        _projection,
        by_hand.projection_gradient,
        lambda s: (s["N"] * s["n"] ** 2, 2 * s["N"] * s["n"]),
    ),
    Formula(
        "a'X⁻¹b gradient",
        "a'*inv(X)*b",
        ("X",),
        {"X": "n n", "a": "n", "b": "n"},
        every("n", 50, 400),
        _inverse_form,
        by_hand.quadratic_inverse_gradient,
        lambda s: (2 / 3 * s["n"] ** 3, 2 * s["n"] ** 2),
        prepare=_invertible,
    ),
)
