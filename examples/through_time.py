"""Three recurrent networks learn the sunspots of three centuries, each gradient found by wrt.

    python examples/through_time.py                     a table, under a minute
    python examples/through_time.py --pictures docs     and the pictures of docs/through-time.md

The data are the yearly numbers of sunspots, 1700 to 2008, as statsmodels ships them (pip install
statsmodels). Every network reads a year and tells the next one. Nothing here differentiates: the
lines of a network are all that it is, and `rnn.gradients()` is one function that returns the loss
and every gradient.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import wrt

#: The lines of every network. x[t] is this year, y[t] the next, both numbers.
NETWORKS = {
    "Elman": """
        s[t] = tanh(W*s[t-1] + u*x[t] + b)
        L[t] = (v'*s[t] + d - y[t])^2/2
    """,
    "GRU": """
        z[t] = sigmoid(Wz*h[t-1] + uz*x[t] + bz)
        r[t] = sigmoid(Wr*h[t-1] + ur*x[t] + br)
        g[t] = tanh(Wg*(r[t].*h[t-1]) + ug*x[t] + bg)
        h[t] = (1 - z[t]).*h[t-1] + z[t].*g[t]
        L[t] = (v'*h[t] + d - y[t])^2/2
    """,
    "LSTM": """
        i[t] = sigmoid(Wi*h[t-1] + ui*x[t] + bi)
        f[t] = sigmoid(Wf*h[t-1] + uf*x[t] + bf)
        o[t] = sigmoid(Wo*h[t-1] + uo*x[t] + bo)
        g[t] = tanh(Wg*h[t-1] + ug*x[t] + bg)
        c[t] = f[t].*c[t-1] + i[t].*g[t]
        h[t] = o[t].*tanh(c[t])
        L[t] = (v'*h[t] + d - y[t])^2/2
    """,
}
#: The weight whose reach is compared: the one that makes what is new from the state before.
WEIGHT = {"Elman": "W", "GRU": "Wg", "LSTM": "Wg"}
UNITS, TRAINED = 8, 220
WINDOWS = (1, 2, 5, 10, 20, 40)


def sunspots() -> np.ndarray:
    """The yearly numbers, brought to mean 0 and deviation 1 by those that are trained on."""
    try:
        from statsmodels.datasets import sunspots
    except ModuleNotFoundError:
        sys.exit("the sunspots come with statsmodels: pip install statsmodels")

    years = sunspots.load_pandas().data["SUNACTIVITY"].to_numpy()
    seen = years[:TRAINED]
    return (years - seen.mean()) / seen.std()


def network(lines: str) -> wrt.Recurrence:
    """A network from its lines; letters tell all shapes; x, y and d are numbers."""
    return wrt.recurrence(lines, shapes={"x": "", "y": "", "d": ""})


def start(rnn: wrt.Recurrence, seed: int) -> dict[str, np.ndarray]:
    """Weights: W with singular values about 1, the rest small, the forget gate of an LSTM open."""
    random = np.random.default_rng(seed)
    weights = {}
    for name, variable in rnn.lines.shared.items():
        shape = [UNITS] * variable.ndim
        square = np.linalg.qr(random.normal(size=shape))[0] if len(shape) == 2 else None
        weights[name] = 0.3 * random.normal(size=shape) if square is None else square
    if "bf" in weights:
        weights["bf"] = weights["bf"] + 1
    return weights


def states(rnn: wrt.Recurrence) -> dict[str, np.ndarray]:
    """Every state starts at zero."""
    return {f"{name}0": np.zeros(UNITS) for name in rnn.carried}


def trained(rnn: wrt.Recurrence, series: np.ndarray, steps: int) -> tuple[dict, list[float]]:
    """The weights after so many steps of Adam (Kingma, Ba 2015), and the losses on the way."""
    weights = start(rnn, seed=1)
    step = rnn.gradients(*weights).compile(value=True)
    given = {"x": series[:-1], "y": series[1:], **states(rnn)}
    mean = {name: np.zeros_like(w) for name, w in weights.items()}
    square = {name: np.zeros_like(w) for name, w in weights.items()}
    losses = []
    for k in range(1, steps + 1):
        loss, *gradients = step(**weights, **given)
        losses.append(2 * float(loss) / len(given["x"]))
        for (name, w), gradient in zip(weights.items(), gradients, strict=True):
            mean[name] = 0.9 * mean[name] + 0.1 * gradient
            square[name] = 0.999 * square[name] + 0.001 * gradient**2
            size = np.sqrt(square[name] / (1 - 0.999**k)) + 1e-8
            weights[name] = w - 0.01 * mean[name] / (1 - 0.9**k) / size
    return weights, losses


def unseen(rnn: wrt.Recurrence, weights: dict, series: np.ndarray) -> float:
    """The mean squared error in the years that were not trained on, the states running on."""
    loss = rnn.gradients("d").compile(value=True)

    def total(years: np.ndarray) -> float:
        return float(loss(**weights, **states(rnn), x=years[:-1], y=years[1:])[0])

    count = len(series) - TRAINED
    return 2 * (total(series) - total(series[:TRAINED])) / count


def horizon(name: str, rnn: wrt.Recurrence, weights: dict, series: np.ndarray):
    """How far back the last 40 years of a series reach."""
    years = series[-41:]
    given = {**weights, **states(rnn), "x": years[:-1], "y": years[1:]}
    return rnn.horizon(given, by=WEIGHT[name])


def dropped(name: str, rnn: wrt.Recurrence, series: np.ndarray, window: int) -> float:
    """The part of the first gradient that a window of so many steps leaves out."""
    gradient = rnn.gradient(WEIGHT[name], truncate=window)
    return gradient(**start(rnn, seed=1), **states(rnn), x=series[:-1], y=series[1:]).fraction


def main() -> None:
    """Train, print the tables, draw."""
    parser = argparse.ArgumentParser(description="Recurrent networks on sunspots, by wrt.")
    parser.add_argument("--steps", type=int, default=200, help="steps of Adam (200)")
    parser.add_argument("--pictures", type=Path, help="a folder for one picture of each network")
    options = parser.parse_args()
    series = sunspots()
    seen = series[:TRAINED]
    networks = {name: network(lines) for name, lines in NETWORKS.items()}

    marks = [round(k * (options.steps - 1) / 4) for k in range(5)]
    print("mean squared error of the next year; 1 is the variance of the years trained on")
    print(f"{'step':7}", *(f"{k + 1:6d}" for k in marks), "  unseen years")
    same = float(np.mean((series[TRAINED:] - series[TRAINED - 1 : -1]) ** 2))
    print(f"{'as now':7}", " " * 34, f"{same:7.3f}")
    weights = {}
    for name, rnn in networks.items():
        weights[name], losses = trained(rnn, seen, options.steps)
        shown = " ".join(f"{losses[k]:6.3f}" for k in marks)
        print(f"{name:7}", shown, f"{unseen(rnn, weights[name], series):7.3f}", flush=True)

    print("\nhow far back a year reaches: the norm of ∂z[t]/∂z[t-d], z all that is carried, and")
    print("from which d on the weight adds less than 1 % to the gradient")
    print(f"{'':7} a step, untrained  a step, trained  over 40 steps  below 1 %")
    for name, rnn in networks.items():
        before = horizon(name, rnn, start(rnn, seed=1), seen)
        found = horizon(name, rnn, weights[name], seen)
        reach = found.reach(WEIGHT[name])
        steps = f"{WEIGHT[name]:>2} from {reach}" if reach else "never"
        last = float(found.spectral[-1])
        print(f"{name:7} {before.rate:17.3f}  {found.rate:15.3f}  {last:13.2g}  {steps}")
        if options.pictures:
            path = options.pictures / f"through-time-{name.lower()}.svg"
            path.write_text(found.svg(), "utf-8")

    print("\nwhat a window of so many steps leaves out of the first gradient")
    print(f"{'window':7}", *(f"{window:7d}" for window in WINDOWS))
    for name, rnn in networks.items():
        parts = (dropped(name, rnn, seen, window) for window in WINDOWS)
        print(f"{name:7}", *(f"{100 * part:5.1f} %" for part in parts))


if __name__ == "__main__":
    main()
