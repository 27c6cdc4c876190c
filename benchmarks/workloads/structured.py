"""Answers that are kept as structure: products with a direction, Newton steps, factors by step.

`dense` is the whole derivative by jitted JAX, or what is done with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.by_hand import recurrences, structured
from benchmarks.peers import jax_program, jax_run, positional, tensors
from benchmarks.tasks import (
    MOST_ENTRIES,
    OURS,
    OURS_JAX,
    TOO_LARGE,
    Array,
    Maker,
    Program,
    Sizes,
    Task,
    Values,
    drawn,
)
from benchmarks.workloads.products import PRODUCTS, Floor, Product, named
from benchmarks.workloads.recurrences import GRU, LOSS, LSTM, RNN, THROUGH_TIME, tamed

__all__ = ["STRUCTURED"]


@dataclass(frozen=True)
class Question:
    """Something asked of us in words of its own, with programs for every system."""

    name: str
    sizes: Sequence[Sizes]
    values: Callable[[Sizes], dict[str, Array]]
    hand: Callable[..., Any]
    floor: Floor
    ours: Mapping[str, Callable[[Values], Program]]
    peers: Mapping[str, Callable[[Values], Program]]
    #: What arrays are compared, of the hand-written program's result.
    array: Callable[[Any], Array] = np.asarray
    too_large: Mapping[str, Callable[[Sizes], float]] = field(default_factory=dict)
    quick: int | None = 0
    group: str = "structured"

    def task(self, sizes: Sizes) -> Task:
        """This question at one size."""
        values = self.values(sizes)
        absent = {
            name: TOO_LARGE
            for name, entries in self.too_large.items()
            if entries(sizes) > MOST_ENTRIES
        }
        return Task(
            self.name,
            self.group,
            dict(sizes),
            Program(lambda: self.hand(**values), self.array),
            _bound(self.ours, values),
            {n: m for n, m in _bound(self.peers, values).items() if n not in absent},
            self.floor(sizes),
            absent=absent,
        )


def _bound(makers: Mapping[str, Callable[[Values], Program]], values: Values) -> dict[str, Maker]:
    return {name: lambda make=make: make(values) for name, make in makers.items()}


# Newton's steps

FACTORISATION = named("factorisation Hessian")
#: The formula of a loss, its shapes, and the variable that a step moves.
Loss = tuple[str, Mapping[str, str], str]
Meaning = Callable[[Any], Callable[..., Any]]

RIDGE = "sum(log(1+exp(-y.*(X*w)))) + w'*w/8"
FACTORISED: Loss = (FACTORISATION.text, FACTORISATION.shapes, "U")
REGRESSION: Loss = (RIDGE, {"X": "N n", "y": "N", "w": "n"}, "w")


def _ridge(xp: Any) -> Callable[..., Any]:
    return lambda X, y, w: xp.sum(xp.log(1 + xp.exp(-y * (X @ w)))) + w @ w / 8


def _factorised(values: Values) -> Program:
    gradient, hessian = _derivatives(FACTORISED, "numpy", structured=True)
    return Program(lambda: values["U"] - hessian(values).solve(gradient(values)))


def _regressed(values: Values) -> Program:
    import wrt

    text, shapes, by = REGRESSION
    newton = wrt.gradients(text, by, (by, by), shapes=shapes).compile()

    def step() -> Array:
        gradient, hessian = newton(values)
        return values[by] - structured.definite_solved(hessian, gradient)

    return Program(step)


def _derivatives(loss: Loss, backend: str, **options: Any) -> tuple[Any, Any]:
    import wrt

    text, shapes, by = loss
    gradient = wrt.derivative(text, by, shapes=shapes)
    hessian = wrt.derivative(text, by, by, shapes=shapes)
    return gradient.compile(backend), hessian.compile(backend, **options)


def _our_jax_step(loss: Loss) -> Callable[[Values], Program]:
    """The step as one jitted function."""

    def make(values: Values) -> Program:
        import jax

        gradient, hessian = _derivatives(loss, "jax", structured=True)
        by = loss[2]
        step = jax.jit(lambda given: given[by] - hessian(given).solve(gradient(given)))
        there = jax.device_put(dict(values))
        return Program(lambda: step(there).block_until_ready())

    return make


def _jax_dense_step(meaning: Meaning, by: str, assume: str = "gen") -> Callable[[Values], Program]:
    """The Hessian with every entry, and the system solved."""

    def make(values: Values) -> Program:
        import jax
        import jax.numpy as jnp

        names = [by, *(name for name in values if name != by)]
        f = positional(meaning(jnp), names)

        @jax.jit
        def step(x: Any, *rest: Any) -> Any:
            g, H = jax.grad(f)(x, *rest), jax.hessian(f)(x, *rest).reshape(x.size, x.size)
            return x - jax.scipy.linalg.solve(H, g.reshape(-1), assume_a=assume).reshape(x.shape)

        return Program(jax_run(step, [values[name] for name in names]))

    return make


def _jax_conjugate(meaning: Meaning, by: str, most: int) -> Callable[[Values], Program]:
    """Conjugate gradients, a product that `jax.linearize` keeps each, `most` of them."""

    def make(values: Values) -> Program:
        import jax
        import jax.numpy as jnp

        names = [by, *(name for name in values if name != by)]
        f = positional(meaning(jnp), names)

        @jax.jit
        def step(x: Any, *rest: Any) -> Any:
            g, times = jax.linearize(jax.grad(lambda x: f(x, *rest)), x)
            found, _ = jax.scipy.sparse.linalg.cg(times, g, tol=1e-13, maxiter=most)
            return x - found

        return Program(jax_run(step, [values[name] for name in names]))

    return make


# Factors by step


def _contributions(values: Values, backend: str = "numpy") -> Program:
    """δ[k], s[k-1] and the norms of their products."""
    import wrt

    summands = wrt.recurrence(RNN + LOSS.format("s"), shapes=SQUARE).late_contributions("W")
    if backend == "numpy":
        return Program(
            lambda: (found := summands(**values)) and (found.factors, found.norms),
            lambda found: _told((*found[0][0], found[1])),
        )
    return _jitted(summands, values, _told)


def _factored(text: str, of: str, by: str, backend: str = "numpy") -> Callable[[Values], Program]:
    """P[k] and s[k-1] with ds[T]/dW = Σ P[k] ⊗ s[k-1]."""

    def make(values: Values) -> Program:
        import wrt

        shapes = {name: "n n" for name in values if name[0] in "WU"}
        found = wrt.recurrence(text, shapes=shapes).factored(of, by)
        if backend == "numpy":
            return Program(lambda: found(**values).factors[0], _added)
        return _jitted(found, values, lambda parts: _added(parts[:2]))

    return make


def _jitted(answer: Any, values: Values, array: Callable[[Any], Array]) -> Program:
    import inspect

    import jax

    function = answer.compile("jax").function
    names = list(inspect.signature(function).parameters)
    return Program(jax_run(jax.jit(function), [values[name] for name in names]), array)


def _added(factors: Any) -> Array:
    """The sum over steps, which is the whole derivative."""
    first, second = (np.asarray(one) for one in factors)
    return np.tensordot(first, second, axes=(0, 0))


def _told(found: Any) -> Array:
    """The norms, and the sum of all contributions."""
    deltas, states, norms = (np.asarray(one) for one in found)
    return np.concatenate([norms, (deltas.T @ states).reshape(-1)])


def _jax_copies(values: Values) -> Program:
    """A copy of W for every step, the loss by all of them, and the norms of that."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    def loss(copies: Any, U: Any, s0: Any, x: Any, y: Any) -> Any:
        def once(s: Any, given: Any) -> Any:
            W, row = given
            return jnp.tanh(W @ s + row), None

        s, _ = lax.scan(once, s0, (copies, x @ U.T))
        return ((s - y[-1]) ** 2).sum() / 2

    @jax.jit
    def program(W: Any, U: Any, s0: Any, x: Any, y: Any) -> Any:
        by = jax.grad(loss)(jnp.broadcast_to(W, (len(x), *W.shape)), U, s0, x, y)
        return by, jnp.sqrt((by**2).sum((1, 2)))

    return Program(jax_run(program, [values[n] for n in ("W", "U", "s0", "x", "y")]), _summed)


def _summed(found: Any) -> Array:
    by, norms = found
    return np.concatenate([np.asarray(norms), np.asarray(by).sum(0).reshape(-1)])


def _torch_hooks(values: Values) -> Program:
    """A hook on what each step multiplies W by, as it is usually done: δ[k] and the norms."""
    import torch

    W, U, s0, x, y = (tensors(values)[name] for name in ("W", "U", "s0", "x", "y"))
    W.requires_grad_()

    def run() -> Any:
        s, read, deltas = s0, [], []
        for row in x @ U.T:
            read.append(s.detach())
            z = W @ s
            z.register_hook(deltas.append)
            s = torch.tanh(z + row)
        torch.autograd.grad(((s - y[-1]) ** 2).sum() / 2, W)
        δ, states = torch.stack(deltas[::-1]), torch.stack(read)
        return δ, states, δ.norm(dim=1) * states.norm(dim=1)

    return Program(run, lambda found: _told([one.numpy() for one in found]))


SQUARE = {"W": "n n", "U": "n n"}
LATE = {**SQUARE, "s0": "n", "x": "T n", "y": "T n"}


def _drawn(shapes: Mapping[str, str]) -> Callable[[Sizes], dict[str, Array]]:
    return lambda sizes: tamed(drawn(shapes, sizes))


def _of_recurrence(
    name: str, text: str, of: str, by: str, hand: Any, gates: int, sizes: int
) -> Question:
    """`ds[T]/dW` as factors, whose product over the steps is never formed."""
    work = named(f"{name}, last state by {by}: Jacobian", THROUGH_TIME)
    return Question(
        f"{name}, last state by {by}: factors",
        work.sizes[:sizes],
        work.values,
        hand,
        lambda s: (
            2 * gates * s["T"] * s["n"] ** 3,
            s["T"] * s["n"] ** 2 + 2 * gates * s["n"] ** 2 + s["T"] * s["n"],
        ),
        {OURS: _factored(text, of, by), OURS_JAX: _factored(text, of, by, "jax")},
        {"dense": lambda values: jax_program(work, values)},
        _added,
        quick=0 if name == "RNN" else None,
    )


STRUCTURED: Sequence[Product | Question] = (
    *PRODUCTS,
    Question(
        "factorisation, a Newton step",
        [{"n": 50, "k": 5}, {"n": 1000, "k": 10}],
        FACTORISATION.values,
        structured.factorisation_step,
        lambda s: (6 * s["n"] ** 2 * s["k"], s["n"] ** 2 + 3 * s["n"] * s["k"]),
        {OURS: _factorised, OURS_JAX: _our_jax_step(FACTORISED)},
        {
            "jax": _jax_conjugate(FACTORISATION.meaning, "U", 20),  # it has k eigenvalues
            "dense": _jax_dense_step(FACTORISATION.meaning, "U"),
        },
        too_large={"dense": lambda s: s["n"] ** 3 * s["k"]},
    ),
    Question(
        "logistic regression, a Newton step",
        [{"N": 2 * n, "n": n} for n in (100, 1000)],
        named("logistic Hessian").values,
        structured.logistic_step,
        lambda s: (s["N"] * s["n"] ** 2 + 2 / 3 * s["n"] ** 3, s["N"] * s["n"]),
        {OURS: _regressed, OURS_JAX: _our_jax_step(REGRESSION)},
        {
            "jax": _jax_conjugate(_ridge, "w", 500),
            "dense": _jax_dense_step(_ridge, "w", "pos"),
        },
    ),
    _of_recurrence("RNN", RNN, "s", "W", recurrences.rnn_factors, 1, 3),
    _of_recurrence("LSTM", LSTM, "h", "Wf", recurrences.lstm_factors, 4, 2),
    _of_recurrence("GRU", GRU, "s", "Wz", recurrences.gru_factors, 3, 2),
    Question(
        "RNN, every contribution to the last loss, and norms",
        [{"n": 32, "T": 100}, {"n": 128, "T": 1000}],
        _drawn(LATE),
        recurrences.rnn_contributions,
        lambda s: (6 * s["T"] * s["n"] ** 2, 2 * s["n"] ** 2 + 3 * s["T"] * s["n"]),
        {OURS: _contributions, OURS_JAX: lambda values: _contributions(values, "jax")},
        {"jax": _jax_copies, "torch": _torch_hooks},
        _told,
    ),
)
