"""Recurrent nets by hand: one product for all inputs, one for all steps, gates stacked into one.

Series have steps in front, a batch (if any) before them, as in torch with `batch_first`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.tasks import Array

__all__ = [
    "gru_factors",
    "gru_gradients",
    "gru_total",
    "lstm_factors",
    "lstm_gradients",
    "lstm_total",
    "rnn_contributions",
    "rnn_factors",
    "rnn_gradient",
    "rnn_total",
]


def _steps_first(x: Array) -> Array:
    return x if x.ndim < 3 else x.transpose(1, 0, 2)


def _squash(z: Array, out: Array) -> None:
    """The logistic function of all entries."""
    falling = np.negative(z)
    np.exp(falling, out=falling)
    falling += 1
    np.reciprocal(falling, out=out)


def _added(deltas: Array, states: Array) -> Array:
    """The sum over steps and batch of outer products, as one product."""
    return deltas.reshape(-1, deltas.shape[-1]).T @ states.reshape(-1, states.shape[-1])


# s[t] = tanh(W*s[t-1] + U*x[t])


def _rnn_states(W: Array, U: Array, s0: Array, x: Array) -> Array:
    inputs = np.ascontiguousarray(_steps_first(x @ U.T))
    s = np.empty((len(inputs) + 1, *s0.shape))
    s[0] = s0
    for t, row in enumerate(inputs):
        step = s[t] @ W.T
        step += row
        np.tanh(step, out=s[t + 1])
    return s


def rnn_factors(W: Array, U: Array, s0: Array, x: Array) -> tuple[Array, Array]:
    """P and s with ds[T]/dW = Σ P[t] ⊗ s[t-1]."""
    s = _rnn_states(W, U, s0, x)
    n = len(s0)
    slopes = 1 - s[1:] ** 2
    factors = np.empty((len(x), n, n))
    chain = np.eye(n)
    for t in reversed(range(len(x))):
        np.multiply(chain, slopes[t], out=factors[t])
        chain = factors[t] @ W
    return factors, s[:-1]


def rnn_total(W: Array, U: Array, s0: Array, x: Array) -> Array:
    return np.tensordot(*rnn_factors(W, U, s0, x), axes=(0, 0))


def _rnn_back(W: Array, s: Array, errors: Array) -> Array:
    slopes = 1 - s[1:] ** 2
    deltas = np.empty_like(slopes)
    back = np.zeros_like(s[0])
    for t in reversed(range(len(slopes))):
        np.multiply(slopes[t], errors[t] + back, out=deltas[t])
        back = deltas[t] @ W
    return deltas


def rnn_gradient(W: Array, U: Array, s0: Array, x: Array, y: Array) -> Array:
    """Of Σ |s[t] - y[t]|²/2 by W."""
    s = _rnn_states(W, U, s0, x)
    return _added(_rnn_back(W, s, s[1:] - _steps_first(y)), s[:-1])


def rnn_contributions(
    W: Array, U: Array, s0: Array, x: Array, y: Array
) -> tuple[Array, Array, Array]:
    """What each step does to |s[T] - y[T]|²/2, as δ[k] s[k-1]', and the norms of these."""
    s = _rnn_states(W, U, s0, x)
    errors = np.zeros_like(s[1:])
    errors[-1] = s[-1] - y[-1]
    deltas = _rnn_back(W, s, errors)
    norms = np.sqrt((deltas**2).sum(1) * (s[:-1] ** 2).sum(1))
    return deltas, s[:-1], norms


# c[t] = f.*c[t-1] + i.*g, h[t] = o.*tanh(c[t])


def _lstm_run(W: Array, U: Array, h0: Array, c0: Array, x: Array) -> tuple[Array, ...]:
    """The states, the gates i f o g side by side, and tanh(c); W and U have the gates stacked."""
    inputs = np.ascontiguousarray(_steps_first(x @ U.T))
    T, n = len(inputs), h0.shape[-1]
    h, c = np.empty((T + 1, *h0.shape)), np.empty((T + 1, *h0.shape))
    gates, curved = np.empty_like(inputs), np.empty((T, *h0.shape))
    h[0], c[0] = h0, c0
    for t in range(T):
        z, now = h[t] @ W.T, gates[t]
        z += inputs[t]
        _squash(z[..., : 3 * n], now[..., : 3 * n])
        np.tanh(z[..., 3 * n :], out=now[..., 3 * n :])
        i, f, o, g = _quarters(now)
        np.multiply(f, c[t], out=c[t + 1])
        c[t + 1] += i * g
        np.tanh(c[t + 1], out=curved[t])
        np.multiply(o, curved[t], out=h[t + 1])
    return h, c, gates, curved


def _quarters(z: Array) -> Sequence[Array]:
    n = z.shape[-1] // 4
    return [z[..., k * n : (k + 1) * n] for k in range(4)]


def _lstm_slopes(c: Array, gates: Array, curved: Array) -> tuple[Array, Array]:
    """What a change of c[t] does through each gate before it is squashed; of h[t] through c[t]."""
    i, f, o, g = _quarters(gates)
    slopes = np.empty_like(gates)
    for part, value in zip(
        _quarters(slopes),
        (g * i * (1 - i), c[:-1] * f * (1 - f), curved * o * (1 - o), i * (1 - g**2)),
        strict=True,
    ):
        part[...] = value
    return slopes, o * (1 - curved**2)


def lstm_gradients(x: Array, y: Array, h0: Array, c0: Array, **weights: Array) -> list[Array]:
    """Of Σ |h[t] - y[t]|²/2 by the weights of the gates i, f, o, g."""
    W, U = (np.concatenate([weights[f"{c}{gate}"] for gate in "ifog"]) for c in "WU")
    h, c, gates, curved = _lstm_run(W, U, h0, c0, x)
    slopes, through = _lstm_slopes(c, gates, curved)
    n, errors = h0.shape[-1], h[1:] - _steps_first(y)
    deltas = np.empty_like(gates)
    back_h, back_c = np.zeros_like(h0), np.zeros_like(c0)
    for t in reversed(range(len(gates))):
        by_h = np.add(errors[t], back_h, out=back_h)
        by_c = back_c
        by_c += by_h * through[t]
        now = deltas[t]
        for k, by in enumerate((by_c, by_c, by_h, by_c)):
            part = slice(k * n, (k + 1) * n)
            np.multiply(slopes[t][..., part], by, out=now[..., part])
        back_h = now @ W
        by_c *= gates[t][..., n : 2 * n]
    return np.split(_added(deltas, h[:-1]), 4)


def lstm_factors(x: Array, h0: Array, c0: Array, **weights: Array) -> tuple[Array, Array]:
    """P and h with dh[T]/dWf = Σ P[t] ⊗ h[t-1]."""
    W, U = (np.concatenate([weights[f"{c}{gate}"] for gate in "ifog"]) for c in "WU")
    h, c, gates, curved = _lstm_run(W, U, h0, c0, x)
    slopes, through = _lstm_slopes(c, gates, curved)
    T, n = len(x), len(h0)
    found, deltas = np.empty((T, n, n)), np.empty((n, 4 * n))
    by_h, by_c = np.eye(n), np.zeros((n, n))
    for t in reversed(range(T)):
        by_c += by_h * through[t]
        for k, by in enumerate((by_c, by_c, by_h, by_c)):
            part = slice(k * n, (k + 1) * n)
            np.multiply(by, slopes[t, part], out=deltas[:, part])
        found[t] = deltas[:, n : 2 * n]
        by_h = deltas @ W
        by_c *= gates[t, n : 2 * n]
    return found, h[:-1]


def lstm_total(x: Array, h0: Array, c0: Array, **weights: Array) -> Array:
    return np.tensordot(*lstm_factors(x, h0, c0, **weights), axes=(0, 0))


# z = sigmoid(…), r = sigmoid(…), k = tanh(… + r.*(Wk*s)), s[t] = (1-z).*k + z.*s[t-1]


def _gru_run(W: Array, U: Array, s0: Array, x: Array) -> tuple[Array, ...]:
    """The states, the gates r z k side by side, and what r multiplies."""
    inputs = np.ascontiguousarray(_steps_first(x @ U.T))
    T, n = len(inputs), s0.shape[-1]
    s = np.empty((T + 1, *s0.shape))
    gates, gated = np.empty_like(inputs), np.empty((T, *s0.shape))
    s[0] = s0
    for t in range(T):
        z = s[t] @ W.T
        row, now = inputs[t], gates[t]
        _squash(z[..., : 2 * n] + row[..., : 2 * n], now[..., : 2 * n])
        gated[t] = z[..., 2 * n :]
        keep, new = now[..., n : 2 * n], now[..., 2 * n :]
        np.multiply(now[..., :n], gated[t], out=new)
        new += row[..., 2 * n :]
        np.tanh(new, out=new)
        s[t + 1] = new + keep * (s[t] - new)
    return s, gates, gated


def _gru_slopes(s: Array, gates: Array, gated: Array) -> tuple[Array, Array]:
    """What a change of s[t] does through each gate before it is squashed, and by itself."""
    n = s.shape[-1]
    r, z, k = (gates[..., j * n : (j + 1) * n] for j in range(3))
    slopes = np.empty_like(gates)
    new = (1 - z) * (1 - k**2)
    slopes[..., :n] = new * gated * r * (1 - r)
    slopes[..., n : 2 * n] = (s[:-1] - k) * z * (1 - z)
    slopes[..., 2 * n :] = new * r
    return slopes, z


def gru_gradients(x: Array, y: Array, s0: Array, **weights: Array) -> list[Array]:
    """Of Σ |s[t] - y[t]|²/2 by the weights of r, z and k."""
    W, U = (np.concatenate([weights[f"{c}{gate}"] for gate in "rzk"]) for c in "WU")
    s, gates, gated = _gru_run(W, U, s0, x)
    slopes, kept = _gru_slopes(s, gates, gated)
    errors = s[1:] - _steps_first(y)
    deltas, back = np.empty_like(gates), np.zeros_like(s0)
    apart = (*s0.shape[:-1], 3, s0.shape[-1])
    for t in reversed(range(len(gates))):
        back += errors[t]
        parts = slopes[t].reshape(apart), deltas[t].reshape(apart)
        np.multiply(parts[0], back[..., None, :], out=parts[1])
        back *= kept[t]
        back += deltas[t] @ W
    return np.split(_added(deltas, s[:-1]), 3)


def gru_factors(x: Array, s0: Array, **weights: Array) -> tuple[Array, Array]:
    """P and s with ds[T]/dWz = Σ P[t] ⊗ s[t-1]."""
    W, U = (np.concatenate([weights[f"{c}{gate}"] for gate in "rzk"]) for c in "WU")
    s, gates, gated = _gru_run(W, U, s0, x)
    slopes, kept = _gru_slopes(s, gates, gated)
    T, n = len(x), len(s0)
    found, deltas, chain = np.empty((T, n, n)), np.empty((n, 3 * n)), np.eye(n)
    for t in reversed(range(T)):
        for k in range(3):
            part = slice(k * n, (k + 1) * n)
            np.multiply(chain, slopes[t, part], out=deltas[:, part])
        found[t] = deltas[:, n : 2 * n]
        chain *= kept[t]
        chain += deltas @ W
    return found, s[:-1]


def gru_total(x: Array, s0: Array, **weights: Array) -> Array:
    """Of the last state by the weight of z."""
    return np.tensordot(*gru_factors(x, s0, **weights), axes=(0, 0))
