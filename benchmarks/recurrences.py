"""The workloads through time: what a recurrent net's last state and loss are by its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.workloads import Array, Sizes, Workload

__all__ = ["WORKLOADS"]

RNN = "s[t] = tanh(W*s[t-1] + U*x[t])"
LOSS = "L[t] = norm2(s[t]-y[t])^2/2"
GRU = (
    "z[t] = sigmoid(W*s[t-1] + U*x[t]); h[t] = tanh(V*s[t-1] + U*x[t]);"
    " s[t] = (1-z[t]).*s[t-1] + z[t].*h[t]"
)
SQUARE: Mapping[str, str] = {"W": "n n", "V": "n n", "U": "n n"}


def _derived(text: str, of: str, state: str = "") -> Callable[[], Any]:
    """`total` of a state or `gradient` of the loss, by W."""

    def work() -> Any:
        import wrt

        names = {name: dims for name, dims in SQUARE.items() if f"{name}*" in text}
        net = wrt.recurrence(text, shapes=names)
        return net.gradient("W") if of == "gradient" else net.total(state, "W")

    return work


def _tamed(values: dict[str, Array]) -> dict[str, Array]:
    n = len(values["W"])
    return {k: v / n**0.5 if k in SQUARE else v for k, v in values.items()}


def _unrolled(step: Callable[..., Any]) -> Callable[[Any], Callable[..., Any]]:
    """A recurrence in the words of an array library: `lax.scan` in JAX, a loop in torch."""

    def meaning(xp: Any) -> Callable[..., Any]:
        def f(x: Any, **rest: Any) -> Any:
            states = tuple(rest[name] for name in rest if name.endswith("0"))
            weights = {k: v for k, v in rest.items() if not k.endswith("0")}
            if xp.__name__ == "torch":
                for row in x:
                    states = step(xp, states, row, weights)
                return states[-1]
            from jax import lax

            once = lambda carry, row: (step(xp, carry, row, weights), None)  # noqa: E731
            return lax.scan(once, states, x)[0][-1]

        return f

    return meaning


def _rnn_step(xp: Any, states: Any, x: Any, w: Mapping[str, Any]) -> Any:
    return (xp.tanh(w["W"] @ states[0] + w["U"] @ x),)


def _sigmoid(xp: Any, z: Any) -> Any:
    return 1 / (1 + xp.exp(-z))


def _gru_step(xp: Any, states: Any, x: Any, w: Mapping[str, Any]) -> Any:
    (s,) = states
    z = _sigmoid(xp, w["W"] @ s + w["U"] @ x)
    return ((1 - z) * s + z * xp.tanh(w["V"] @ s + w["U"] @ x),)


def _loss(xp: Any) -> Callable[..., Any]:
    def f(x: Any, y: Any, W: Any, U: Any, s0: Any) -> Any:
        if xp.__name__ == "torch":
            total, s = 0.0, s0
            for row, wanted in zip(x, y, strict=True):
                s = xp.tanh(W @ s + U @ row)
                total = total + ((s - wanted) ** 2).sum() / 2
            return total
        from jax import lax

        def once(s: Any, rows: Any) -> Any:
            row, wanted = rows
            s = xp.tanh(W @ s + U @ row)
            return s, xp.sum((s - wanted) ** 2) / 2

        return xp.sum(lax.scan(once, s0, (x, y))[1])

    return f


# By hand


def _states(W: Array, U: Array, s0: Array, x: Array) -> Array:
    inputs = x @ U.T
    s = np.empty((len(x) + 1, len(s0)))
    s[0] = s0
    for t, row in enumerate(inputs):
        s[t + 1] = np.tanh(W @ s[t] + row)
    return s


def rnn_total(W: Array, U: Array, s0: Array, x: Array) -> Array:
    s = _states(W, U, s0, x)
    n = len(s0)
    slopes = 1 - s[1:] ** 2
    factors = np.empty((len(x), n, n))
    chain = np.eye(n)
    for t in reversed(range(len(x))):
        np.multiply(chain, slopes[t], out=factors[t])
        chain = factors[t] @ W
    return np.tensordot(factors, s[:-1], axes=(0, 0))


def rnn_gradient(W: Array, U: Array, s0: Array, x: Array, y: Array) -> Array:
    s = _states(W, U, s0, x)
    errors = s[1:] - y
    slopes = 1 - s[1:] ** 2
    deltas = np.empty_like(errors)
    back = np.zeros_like(s0)
    for t in reversed(range(len(x))):
        deltas[t] = slopes[t] * (errors[t] + back)
        back = deltas[t] @ W
    return deltas.T @ s[:-1]


def gru_total(W: Array, V: Array, U: Array, s0: Array, x: Array) -> Array:
    inputs = x @ U.T
    T, n = x.shape[0], len(s0)
    s, z, h = np.empty((T + 1, n)), np.empty((T, n)), np.empty((T, n))
    s[0] = s0
    for t in range(T):
        z[t] = 1 / (1 + np.exp(-(W @ s[t] + inputs[t])))
        h[t] = np.tanh(V @ s[t] + inputs[t])
        s[t + 1] = (1 - z[t]) * s[t] + z[t] * h[t]
    gate, candidate = (h - s[:-1]) * z * (1 - z), z * (1 - h**2)
    factors = np.empty((T, n, n))
    chain = np.eye(n)
    for t in reversed(range(T)):
        np.multiply(chain, gate[t], out=factors[t])
        chain = factors[t] @ W + (chain * candidate[t]) @ V + chain * (1 - z[t])
    return np.tensordot(factors, s[:-1], axes=(0, 0))


def _total_floor(s: Sizes) -> tuple[float, float]:
    n, T = s["n"], s["T"]
    return 2 * T * n**3 * 2, n**3 + 2 * T * n


def _gradient_floor(s: Sizes) -> tuple[float, float]:
    n, T = s["n"], s["T"]
    return 8 * T * n**2, 2 * n**2 + 2 * T * n


WORKLOADS: Sequence[Workload] = (
    Workload(
        "RNN, last state by W: Jacobian",
        RNN,
        ("W",),
        {"W": "n n", "U": "n n", "s0": "n", "x": "T n"},
        [{"n": 64, "T": 100}, {"n": 128, "T": 200}, {"n": 256, "T": 256}],
        _unrolled(_rnn_step),
        rnn_total,
        _total_floor,
        prepare=_tamed,
        derive=_derived(RNN, "total", "s"),
    ),
    Workload(
        "GRU, last state by W: Jacobian",
        GRU,
        ("W",),
        {"W": "n n", "V": "n n", "U": "n n", "s0": "n", "x": "T n"},
        [{"n": 64, "T": 100}, {"n": 128, "T": 200}],
        _unrolled(_gru_step),
        gru_total,
        lambda s: (6 * s["T"] * s["n"] ** 3, s["n"] ** 3 + 2 * s["T"] * s["n"]),
        prepare=_tamed,
        derive=_derived(GRU, "total", "s"),
    ),
    Workload(
        "RNN, loss by W: gradient",
        f"{RNN}; {LOSS}",
        ("W",),
        {"W": "n n", "U": "n n", "s0": "n", "x": "T n", "y": "T n"},
        [{"n": 64, "T": 100}, {"n": 256, "T": 500}],
        _loss,
        rnn_gradient,
        _gradient_floor,
        prepare=_tamed,
        derive=_derived(f"{RNN}; {LOSS}", "gradient"),
    ),
)
