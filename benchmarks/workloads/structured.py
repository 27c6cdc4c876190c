"""Answers that are kept as structure: products with a direction, Newton steps, factors by step.

A product is measured from values, which takes everything that determines the derivative, and again
with an answer that is bound already. The peers' products are `jax.jvp` and `torch.func.jvp` (of
their gradients), with an answer at hand `jax.linearize`; `dense` is their whole derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.by_hand import recurrences, structured
from benchmarks.formulas import Formula
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
    every,
)
from benchmarks.workloads.dense import DENSE
from benchmarks.workloads.recurrences import LOSS, LSTM, RNN, THROUGH_TIME, tamed

__all__ = ["STRUCTURED"]

Floor = Callable[[Sizes], tuple[float, float]]


def _direction(values: Values, name: str) -> Array:
    return np.random.default_rng(19).standard_normal(values[name].shape)


def _moving(work: Formula, xp: Any, values: Values) -> Callable[..., Any]:
    """The function whose Jacobian is multiplied: of the name and of the other values, in order."""
    names = [work.by[0], *(name for name in values if name != work.by[0])]
    f = positional(work.meaning(xp), names)
    if work.kind != "hessian":
        return f
    gradient: Callable[..., Any] = xp.func.grad(f) if xp.__name__ == "torch" else _jax().grad(f)
    return gradient


def _jax() -> Any:
    import jax

    return jax


def _given(work: Formula, values: Values) -> list[Array]:
    name = work.by[0]
    return [values[name], *(v for n, v in values.items() if n != name)]


def _jax_along(work: Formula, values: Values) -> Program:
    import jax
    import jax.numpy as jnp

    f = _moving(work, jnp, values)
    along = jax.jit(lambda d, x, *rest: jax.jvp(lambda x: f(x, *rest), (x,), (d,))[1])
    return Program(jax_run(along, [_direction(values, work.by[0]), *_given(work, values)]))


def _jax_linear(work: Formula, values: Values) -> Program:
    """What `jax.linearize` keeps, made once, times a direction."""
    import jax
    import jax.numpy as jnp

    f = _moving(work, jnp, values)
    kept = jax.jit(lambda x, *rest: jax.linearize(lambda x: f(x, *rest), x)[1])(
        *_given(work, values)
    )
    times = jax.jit(lambda kept, d: kept(d))
    direction = jax.device_put(_direction(values, work.by[0]))
    return Program(lambda: times(kept, direction).block_until_ready())


def _torch_along(work: Formula, values: Values) -> Program:
    import torch

    f = _moving(work, torch, values)
    x, *rest = tensors(dict(enumerate(_given(work, values)))).values()
    d = torch.from_numpy(_direction(values, work.by[0]))
    return Program(lambda: torch.func.jvp(lambda x: f(x, *rest), (x,), (d,))[1])


def _dense(work: Formula, values: Values) -> Program:
    """The whole derivative by JAX, and nothing with it; compared by its product."""
    whole = jax_program(work, values)
    d = _direction(values, work.by[0])
    return Program(whole.run, lambda J: np.tensordot(np.asarray(J), d, d.ndim))


def _dense_times(work: Formula, values: Values) -> Program:
    """The whole derivative, formed before, times a direction."""
    import jax.numpy as jnp

    jax, d = _jax(), _direction(values, work.by[0])
    J = jax_program(work, values).run()
    return Program(jax_run(jax.jit(lambda J, d: jnp.tensordot(J, d, d.ndim)), [J, d]))


@dataclass(frozen=True)
class Product:
    """A derivative times a direction: from values, or `bound` to them before."""

    work: Formula
    sizes: Sequence[Sizes]
    bound: bool
    floor: Floor
    #: The entries of the whole derivative.
    whole: Callable[[Sizes], float]
    kept: Callable[..., Any]
    product: Callable[..., Array]
    along: Callable[..., Array]
    quick: int | None = 1
    group: str = "structured"

    @property
    def name(self) -> str:
        """The workload, by what is done with it."""
        return f"{self.work.name} · V{', bound' if self.bound else ''}"

    def task(self, sizes: Sizes) -> Task:
        """This workload at one size."""
        values = self.work.values(sizes)
        large = max(self.whole(sizes), self.work.peer_entries(sizes)) > MOST_ENTRIES
        makers: dict[str, Callable[[Formula, Values], Program]]
        if self.bound:
            makers = {"jax": _jax_linear, "dense": _dense_times}
        else:
            makers = {"jax": _jax_along, "torch": _torch_along, "dense": _dense}
        return Task(
            self.name,
            self.group,
            dict(sizes),
            self._hand(values),
            {OURS: lambda: self._ours(values)},
            {
                name: lambda make=make: make(self.work, values)
                for name, make in makers.items()
                if not (large and name == "dense")
            },
            self.floor(sizes),
            absent={"dense": TOO_LARGE} if large else {},
        )

    def _hand(self, values: Values) -> Program:
        d = _direction(values, self.work.by[0])
        if not self.bound:
            return Program(lambda: self.along(d, **values))
        kept = self.kept(**values)
        return Program(lambda: self.product(kept, d))

    def _ours(self, values: Values) -> Program:
        bind = self.work.answer().compile(structured=True)
        d = _direction(values, self.work.by[0])
        if not self.bound:
            return Program(lambda: bind(values).apply(d))
        H = bind(values)
        return Program(lambda: H.apply(d))


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
    quick: int | None = 1
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


def _factorised(values: Values) -> Program:
    import wrt

    loss, shapes = FACTORISATION.text, FACTORISATION.shapes
    gradient = wrt.derivative(loss, "U", shapes=shapes).compile()
    hessian = wrt.derivative(loss, "U", "U", shapes=shapes).compile(structured=True)
    return Program(lambda: values["U"] - hessian(values).solve(gradient(values)))


RIDGE = "sum(log(1+exp(-y.*(X*w)))) + w'*w/8"


def _logistic(values: Values) -> Program:
    import wrt

    shapes = {"X": "N n", "y": "N", "w": "n"}
    gradient = wrt.derivative(RIDGE, "w", shapes=shapes).compile()
    hessian = wrt.derivative(RIDGE, "w", "w", shapes=shapes).compile()
    return Program(lambda: values["w"] - np.linalg.solve(hessian(values), gradient(values)))


def _ridge(xp: Any) -> Callable[..., Any]:
    return lambda X, y, w: xp.sum(xp.log(1 + xp.exp(-y * (X @ w)))) + w @ w / 8


def _jax_dense_step(meaning: Callable[[Any], Callable[..., Any]], by: str) -> Any:
    def make(values: Values) -> Program:
        import jax
        import jax.numpy as jnp

        names = [by, *(name for name in values if name != by)]
        f = positional(meaning(jnp), names)

        @jax.jit
        def step(x: Any, *rest: Any) -> Any:
            g, H = jax.grad(f)(x, *rest), jax.hessian(f)(x, *rest)
            return x - jnp.linalg.solve(H.reshape(x.size, x.size), g.reshape(-1)).reshape(x.shape)

        return Program(jax_run(step, [values[name] for name in names]))

    return make


def _jax_conjugate(values: Values) -> Program:
    """Conjugate gradients, a product by `jax.jvp` each: as many as there are columns do."""
    import jax
    import jax.numpy as jnp

    f, k = FACTORISATION.meaning(jnp), values["U"].shape[1]

    @jax.jit
    def step(T: Any, U: Any, V: Any) -> Any:
        gradient = jax.grad(lambda U: f(T, U, V))
        times = lambda d: jax.jvp(gradient, (U,), (d,))[1]  # noqa: E731
        found, _ = jax.scipy.sparse.linalg.cg(times, gradient(U), tol=1e-13, maxiter=2 * k)
        return U - found

    return Program(jax_run(step, [values[name] for name in "TUV"]))


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
FACTORISATION = next(w for w in DENSE if w.name == "factorisation Hessian")
LATE = {**SQUARE, "s0": "n", "x": "T n", "y": "T n"}


def _named(name: str, of: Sequence[Formula] = DENSE) -> Formula:
    return next(work for work in of if work.name == name)


def _drawn(shapes: Mapping[str, str]) -> Callable[[Sizes], dict[str, Array]]:
    return lambda sizes: tamed(drawn(shapes, sizes))


BATCHED = Formula(
    "X*W' by W: Jacobian",
    "X*W'",
    ("W",),
    {"X": "B n", "W": "p n"},
    [],
    lambda xp: lambda X, W: X @ W.T,
    structured.batched_along,
    lambda s: (0, 0),
)


def _products(
    work: Formula, name: str, sizes: Sequence[Sizes], whole: Any, anew: Floor, again: Floor
) -> list[Product]:
    """The two products of a workload; `name` is that of the programs by hand."""
    hand = [getattr(structured, f"{name}_{part}") for part in ("kept", "product", "along")]
    return [
        Product(work, sizes, False, anew, whole, *hand),
        Product(work, sizes, True, again, whole, *hand, quick=None),
    ]


def _of_recurrence(
    name: str, text: str, of: str, by: str, hand: Any, gates: int, sizes: int
) -> Question:
    """`ds[T]/dW` as factors, whose product over the steps is never formed."""
    work = _named(f"{name}, last state by {by}: Jacobian", THROUGH_TIME)
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
        quick=1 if name == "RNN" else None,
    )


STRUCTURED: Sequence[Product | Question] = (
    *_products(
        _named("logistic Hessian"),
        "logistic",
        [{"N": 2 * n, "n": n} for n in (100, 1000, 2000)],
        lambda s: s["n"] ** 2,
        lambda s: (6 * s["N"] * s["n"], s["N"] * s["n"]),
        lambda s: (4 * s["N"] * s["n"], s["N"] * s["n"]),
    ),
    *_products(
        FACTORISATION,
        "factorisation",
        [{"n": n, "k": k} for n, k in ((50, 5), (200, 10), (500, 10))],
        lambda s: (s["n"] * s["k"]) ** 2,
        lambda s: (4 * s["n"] * s["k"] ** 2, 3 * s["n"] * s["k"]),
        lambda s: (2 * s["n"] * s["k"] ** 2, 2 * s["n"] * s["k"]),
    ),
    *_products(
        _named("masked factorisation Hessian"),
        "masked_factorisation",
        [{"n": n, "k": k} for n, k in ((50, 5), (200, 10), (500, 10))],
        lambda s: (s["n"] * s["k"]) ** 2,
        lambda s: (4 * s["n"] ** 2 * s["k"], s["n"] ** 2 + 3 * s["n"] * s["k"]),
        lambda s: (2 * s["n"] * s["k"] ** 2, s["n"] * s["k"] ** 2 + 2 * s["n"] * s["k"]),
    ),
    *_products(
        _named("ten-layer net, first-layer Hessian"),
        "network",
        every("n", 20, 50, 80),
        lambda s: s["n"] ** 4,
        lambda s: (58 * s["n"] ** 2, 12 * s["n"] ** 2),
        lambda s: (5 * s["n"] ** 2, 3 * s["n"] ** 2),
    ),
    *_products(
        BATCHED,
        "batched",
        [{"B": 64, "n": n, "p": n} for n in (64, 512)],
        lambda s: s["B"] * s["n"] * s["p"] ** 2,
        lambda s: (2 * s["B"] * s["n"] * s["p"], s["B"] * (s["n"] + s["p"]) + s["n"] * s["p"]),
        lambda s: (2 * s["B"] * s["n"] * s["p"], s["B"] * (s["n"] + s["p"]) + s["n"] * s["p"]),
    ),
    Question(
        "factorisation, a Newton step",
        [{"n": 50, "k": 5}, {"n": 1000, "k": 10}],
        FACTORISATION.values,
        structured.factorisation_step,
        lambda s: (6 * s["n"] ** 2 * s["k"], s["n"] ** 2 + 3 * s["n"] * s["k"]),
        {OURS: _factorised},
        {"jax": _jax_conjugate, "dense": _jax_dense_step(FACTORISATION.meaning, "U")},
        too_large={"dense": lambda s: s["n"] ** 3 * s["k"]},
    ),
    Question(
        "logistic regression, a Newton step",
        [{"N": 2 * n, "n": n} for n in (100, 1000)],
        _named("logistic Hessian").values,
        structured.logistic_step,
        lambda s: (s["N"] * s["n"] ** 2 + 2 / 3 * s["n"] ** 3, s["N"] * s["n"]),
        {OURS: _logistic},
        {"dense": _jax_dense_step(_ridge, "w")},
    ),
    _of_recurrence("RNN", RNN, "s", "W", recurrences.rnn_factors, 1, 3),
    _of_recurrence("LSTM", LSTM, "h", "Wf", recurrences.lstm_factors, 4, 2),
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
