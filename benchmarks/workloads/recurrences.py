"""What a recurrent net's last state and loss are by its weights.

The peers' nets are `lax.scan` in JAX, all inputs multiplied before it; in torch a loop for
Jacobians, which `torch.func` needs, and `torch.nn` with autograd for the gradients of losses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.by_hand import recurrences as by_hand
from benchmarks.formulas import Formula
from benchmarks.peers import tensors
from benchmarks.tasks import Array, Program, Sizes, Values

__all__ = ["GRU", "LOSS", "LSTM", "RNN", "THROUGH_TIME", "derived", "tamed"]

RNN = "s[t] = tanh(W*s[t-1] + U*x[t])"
LSTM = (
    "i[t] = sigmoid(Wi*h[t-1] + Ui*x[t]); f[t] = sigmoid(Wf*h[t-1] + Uf*x[t]);"
    " o[t] = sigmoid(Wo*h[t-1] + Uo*x[t]); g[t] = tanh(Wg*h[t-1] + Ug*x[t]);"
    " c[t] = f[t].*c[t-1] + i[t].*g[t]; h[t] = o[t].*tanh(c[t])"
)
GRU = (
    "r[t] = sigmoid(Wr*s[t-1] + Ur*x[t]); z[t] = sigmoid(Wz*s[t-1] + Uz*x[t]);"
    " k[t] = tanh(r[t].*(Wk*s[t-1]) + Uk*x[t]); s[t] = (1-z[t]).*k[t] + z[t].*s[t-1]"
)
#: The line of the loss, of the states of each net.
LOSS = "; L[t] = norm2({}[t]-y[t])^2/2"


def derived(
    text: str, by: Sequence[str], shapes: Mapping[str, str], of: str, batch: str | None = None
) -> Any:
    """`total` of the state `of`, or without one the gradients of the loss."""
    import wrt

    square = {name: dims for name, dims in shapes.items() if dims == "n n"}
    net = wrt.recurrence(text, shapes=square, batch=batch)
    if of:
        return net.total(of, by[0])
    return net.gradients(*by) if len(by) > 1 else net.gradient(by[0])


def _in_batches(text: str, by: Sequence[str], shapes: Mapping[str, str], of: str) -> Any:
    return derived(text, by, shapes, of, "B")


def tamed(values: dict[str, Array]) -> dict[str, Array]:
    """Weights as networks begin with."""
    return {k: v / len(v) ** 0.5 if k[0] in "WU" else v for k, v in values.items()}


# The nets in the words of an array library: states, what each gate makes of them by its weights
# and what came into it go in, states come out

Gates = Mapping[str, Any]
Step = Callable[[Any, Any, Callable[[Any], Gates], Gates], Any]


def _rnn(xp: Any, states: Any, by_weights: Callable[[Any], Gates], rows: Gates) -> Any:
    return (xp.tanh(by_weights(states[0])[""] + rows[""]),)


def _sigmoid(xp: Any, z: Any) -> Any:
    if xp.__name__ == "torch":
        return xp.sigmoid(z)
    import jax

    return jax.nn.sigmoid(z)


def _lstm(xp: Any, states: Any, by_weights: Callable[[Any], Gates], rows: Gates) -> Any:
    c, h = states
    a = by_weights(h)
    i, f, o = (_sigmoid(xp, a[gate] + rows[gate]) for gate in "ifo")
    c = f * c + i * xp.tanh(a["g"] + rows["g"])
    return c, o * xp.tanh(c)


def _gru(xp: Any, states: Any, by_weights: Callable[[Any], Gates], rows: Gates) -> Any:
    (s,) = states
    a = by_weights(s)
    r, z = (_sigmoid(xp, a[gate] + rows[gate]) for gate in "rz")
    k = xp.tanh(r * a["k"] + rows["k"])
    return ((1 - z) * k + z * s,)


def _states(xp: Any, step: Step, x: Any, given: Mapping[str, Any], stacked: bool) -> Any:
    """All states that a net has shown, steps first; the gates of a step one product or several.

    One is what peers take less time for in a gradient, several in a Jacobian by one of them.
    """
    ahead = x if x.ndim < 3 else xp.swapaxes(x, 0, 1)
    names = [name[1:] for name in given if name[0] == "W"]
    states = tuple(given[name] for name in sorted(given) if name.endswith("0"))
    n = states[0].shape[-1]

    def parted(z: Any) -> Gates:
        return {gate: z[..., k * n : (k + 1) * n] for k, gate in enumerate(names)}

    if stacked:
        W, U = (xp.concatenate([given[f"{c}{gate}"] for gate in names]) for c in "WU")
        inputs = ahead @ U.T

        def once(states: Any, row: Any) -> Any:
            return step(xp, states, lambda h: parted(h @ W.T), parted(row))
    else:
        inputs = xp.stack([ahead @ given[f"U{gate}"].T for gate in names], 1)

        def once(states: Any, row: Any) -> Any:
            apart = lambda h: {gate: h @ given[f"W{gate}"].T for gate in names}  # noqa: E731
            return step(xp, states, apart, dict(zip(names, row, strict=True)))

    return _shown(xp, once, states, inputs)


def _shown(xp: Any, once: Callable[[Any, Any], Any], states: Any, inputs: Any) -> Any:
    if xp.__name__ == "torch":
        shown = []
        for row in inputs:
            states = once(states, row)
            shown.append(states[-1])
        return xp.stack(shown)
    from jax import lax

    def carried(carry: Any, row: Any) -> Any:
        found = once(carry, row)
        return found, found[-1]

    return lax.scan(carried, states, inputs)[1]


def _last(step: Step) -> Callable[[Any], Callable[..., Any]]:
    def meaning(xp: Any) -> Callable[..., Any]:
        return lambda x, **given: _states(xp, step, x, given, False)[-1]

    return meaning


def _loss(step: Step) -> Callable[[Any], Callable[..., Any]]:
    def meaning(xp: Any) -> Callable[..., Any]:
        def f(x: Any, y: Any, **given: Any) -> Any:
            wanted = y if y.ndim < 3 else xp.swapaxes(y, 0, 1)
            return ((_states(xp, step, x, given, True) - wanted) ** 2).sum() / 2

        return f

    return meaning


def _module(kind: str, gates: str) -> Callable[[Formula, Values], Program]:
    """`torch.nn.RNN`, `LSTM` or `GRU`, the loss by its weights of the state; gates in its order."""

    def make(work: Formula, values: Values) -> Program:
        import torch

        given = tensors(values)
        weights = {c: torch.cat([given[f"{c}{g.strip()}"] for g in gates]) for c in "WU"}
        n = weights["W"].shape[1]
        net = getattr(torch.nn, kind)(n, n, bias=False, batch_first=True, dtype=torch.float64)
        net.weight_hh_l0.data, net.weight_ih_l0.data = weights["W"], weights["U"]
        starts = [given[name][None] for name in ("h0", "c0", "s0") if name in given]
        state = tuple(starts) if len(starts) > 1 else starts[0]

        def run() -> Any:
            shown, _ = net(given["x"], state)
            loss = ((shown - given["y"]) ** 2).sum() / 2
            return torch.autograd.grad(loss, net.weight_hh_l0)[0]

        def array(found: Any) -> Array:
            blocks = found.numpy().reshape(len(gates), n, n)
            places = [f"W{g.strip()}" for g in gates]
            ordered: Array = blocks[[places.index(name) for name in work.by]]
            return ordered if len(gates) > 1 else ordered[0]

        return Program(run, array)

    return make


def _all(*gates: str) -> dict[str, str]:
    return {f"{c}{gate}": "n n" for gate in gates for c in "WU"}


#: Entries of a floor: weights, inputs and outputs once.
def _total_floor(gates: int) -> Callable[[Sizes], tuple[float, float]]:
    return lambda s: (
        2 * s["T"] * s["n"] ** 3 * (gates + 1),
        s["n"] ** 3 + gates * 2 * s["n"] ** 2 + s["T"] * s["n"],
    )


def _gradient_floor(gates: int) -> Callable[[Sizes], tuple[float, float]]:
    """Inputs, forward, back and the sum of the outer products: a product of n × n each."""
    return lambda s: (
        8 * gates * s.get("B", 1) * s["T"] * s["n"] ** 2,
        3 * gates * s["n"] ** 2 + 2 * s.get("B", 1) * s["T"] * s["n"],
    )


def _long(*pairs: tuple[int, int], B: int = 0) -> list[dict[str, int]]:
    return [{**({"B": B} if B else {}), "n": n, "T": T} for n, T in pairs]


def _total(name: str, text: str, by: str, of: str, gates: str, step: Step, hand: Any) -> Formula:
    starts = {"c0": "n", "h0": "n"} if of == "h" else {"s0": "n"}
    return Formula(
        f"{name}, last state by {by}: Jacobian",
        text,
        (by,),
        {**_all(*gates.split("|")), **starts, "x": "T n"},
        _long((64, 100), (128, 200), (256, 256)),
        _last(step),
        hand,
        _total_floor(len(gates.split("|"))),
        group="through time",
        quick=0 if name == "RNN" else None,
        prepare=tamed,
        derive=derived,
        of=of,
    )


def _gradients(
    kind: str, text: str, gates: str, step: Step, hand: Any, sizes: Any, quick: int | None = None
) -> Formula:
    """The loss of a net, of one sequence or of a batch, by the weights of its state."""
    names = gates.split("|")
    batch = "B" in sizes[0]
    starts = ("c0", "h0") if kind == "LSTM" else ("s0",)
    lead = "B " if batch else ""
    by = tuple(f"W{gate}" for gate in names)
    said = "W: gradient" if len(by) == 1 else "its weights: gradients"
    return Formula(
        f"{kind}{', batch' if batch else ''}, loss by {said}",
        text + LOSS.format("h" if kind == "LSTM" else "s"),
        by,
        {**_all(*names), **dict.fromkeys(starts, f"{lead}n"), "x": f"{lead}T n", "y": f"{lead}T n"},
        sizes,
        _loss(step),
        hand,
        _gradient_floor(len(names)),
        group="through time",
        quick=quick,
        prepare=tamed,
        derive=_in_batches if batch else derived,
        peers={"torch": _module(kind, {"RNN": " ", "LSTM": "ifgo", "GRU": "rzk"}[kind])},
    )


THROUGH_TIME: Sequence[Formula] = (
    _total("RNN", RNN, "W", "s", "", _rnn, by_hand.rnn_total),
    _total("LSTM", LSTM, "Wf", "h", "i|f|o|g", _lstm, by_hand.lstm_total),
    _total("GRU", GRU, "Wz", "s", "r|z|k", _gru, by_hand.gru_total),
    _gradients(
        "RNN",
        RNN,
        "",
        _rnn,
        by_hand.rnn_gradient,
        _long((64, 100), (128, 1000), (256, 500), (512, 2000)),
        quick=0,
    ),
    _gradients(
        "RNN",
        RNN,
        "",
        _rnn,
        by_hand.rnn_gradient,
        _long((64, 100), (128, 1000), (256, 500), (512, 500), B=32),
        quick=0,
    ),
    _gradients(
        "LSTM",
        LSTM,
        "i|f|o|g",
        _lstm,
        by_hand.lstm_gradients,
        _long((64, 100), (256, 500)),
        quick=0,
    ),
    _gradients(
        "LSTM",
        LSTM,
        "i|f|o|g",
        _lstm,
        by_hand.lstm_gradients,
        _long((64, 100), (256, 200), B=32),
    ),
    _gradients(
        "GRU", GRU, "r|z|k", _gru, by_hand.gru_gradients, _long((64, 100), (256, 500)), quick=0
    ),
    _gradients(
        "GRU", GRU, "r|z|k", _gru, by_hand.gru_gradients, _long((64, 100), (256, 200), B=32)
    ),
)
