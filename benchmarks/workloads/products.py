"""Products of a derivative with a direction: Jacobians and Hessians times V, never formed.

Each is measured in three ways. By a program along a direction, from values to the product, as
`jax.jvp` and `torch.func.jvp` of the same map do (of the gradient for a Hessian). By an answer that
is bound and applied at once; by one that is bound already, beside what `jax.linearize` keeps and
the whole derivative, formed before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from benchmarks.by_hand import structured
from benchmarks.formulas import Formula
from benchmarks.peers import jax_program, jax_run, positional, tensors
from benchmarks.tasks import (
    MOST_ENTRIES,
    OURS,
    OURS_JAX,
    TOO_LARGE,
    Array,
    Program,
    Sizes,
    Task,
    Values,
    every,
    function_of,
)
from benchmarks.workloads.dense import DENSE

__all__ = ["ALONG", "PRODUCTS", "Floor", "Product", "named"]

#: A bound answer has had so many products before it is measured, as `jax.linearize` and the dense
#: derivative were computed before: what products read has been put together where that pays.
OFTEN = 500

Floor = Callable[[Sizes], tuple[float, float]]


def _direction(values: Values, name: str) -> Array:
    return np.random.default_rng(19).standard_normal(values[name].shape)


def _moving(work: Formula, xp: Any, values: Values) -> Callable[..., Any]:
    """The function whose Jacobian is multiplied: of the name and of the other values, in order."""
    names = [work.by[0], *(name for name in values if name != work.by[0])]
    f = positional(work.meaning(xp), names)
    if work.kind != "hessian":
        return f
    if xp.__name__ == "torch":
        gradient: Callable[..., Any] = xp.func.grad(f)
        return gradient
    import jax

    return jax.grad(f)


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
    import jax
    import jax.numpy as jnp

    d = _direction(values, work.by[0])
    J = jax_program(work, values).run()
    return Program(jax_run(jax.jit(lambda J, d: jnp.tensordot(J, d, d.ndim)), [J, d]))


# Ours


def _along(work: Formula, sizes: Sizes, values: Values) -> Program:
    """A program with the direction as one argument more."""
    function, given = _directed(work, "numpy", sizes, values)
    return Program(lambda: function(*given))


def _along_in_jax(work: Formula, sizes: Sizes, values: Values) -> Program:
    import jax

    function, given = _directed(work, "jax", sizes, values)
    return Program(jax_run(jax.jit(function), given))


def _directed(
    work: Formula, backend: str, sizes: Sizes, values: Values
) -> tuple[Callable[..., Any], list[Array]]:
    function, names = function_of(work.answer(), backend, sizes, direction="V")
    return function, [*(values[name] for name in names[:-1]), _direction(values, work.by[0])]


def _bind(work: Formula, _: Sizes, values: Values) -> Program:
    """Arrays bound, and the product with the answer."""
    bind, d = work.answer().compile(structured=True), _direction(values, work.by[0])
    return Program(lambda: bind(values).apply(d))


def _bind_in_jax(work: Formula, _: Sizes, values: Values) -> Program:
    """Both as one jitted function."""
    import jax

    bind, d = work.answer().compile("jax", structured=True), _direction(values, work.by[0])
    program = jax.jit(lambda d, *given: bind(dict(zip(values, given, strict=True))).apply(d))
    return Program(jax_run(program, [d, *values.values()]))


def _bound(work: Formula, _: Sizes, values: Values) -> Program:
    """The product with an answer that is there, and was multiplied often."""
    H, d = work.answer().compile(structured=True)(values), _direction(values, work.by[0])
    for _ in range(OFTEN):
        H.apply(d)
    return Program(lambda: H.apply(d))


def _bound_in_jax(work: Formula, _: Sizes, values: Values) -> Program:
    """The same, the answer given to a jitted function as what `jax.linearize` keeps is."""
    import jax

    H = jax.jit(work.answer().compile("jax", structured=True))(jax.device_put(dict(values)))
    times, d = jax.jit(lambda H, d: H.apply(d)), jax.device_put(_direction(values, work.by[0]))
    return Program(lambda: times(H, d).block_until_ready())


class Way(NamedTuple):
    """A way to a product: what it is called, our programs, and the peers'."""

    name: str
    ours: Mapping[str, Callable[[Formula, Sizes, Values], Program]]
    peers: Mapping[str, Callable[[Formula, Values], Program]]


ALONG = Way(
    "",
    {OURS: _along, OURS_JAX: _along_in_jax},
    {"jax": _jax_along, "torch": _torch_along, "dense": _dense},
)
BIND = Way(", bind and apply", {OURS: _bind, OURS_JAX: _bind_in_jax}, {"jax": _jax_along})
BOUND = Way(
    ", bound",
    {OURS: _bound, OURS_JAX: _bound_in_jax},
    {"jax": _jax_linear, "dense": _dense_times},
)


@dataclass(frozen=True)
class Product:
    """A derivative times a direction, in one of the ways."""

    work: Formula
    sizes: Sequence[Sizes]
    way: Way
    floor: Floor
    #: The entries of the whole derivative.
    whole: Callable[[Sizes], float]
    kept: Callable[..., Any]
    product: Callable[..., Array]
    along: Callable[..., Array]
    quick: int | None = 0
    group: str = "structured"

    @property
    def name(self) -> str:
        """The workload, by what is done with it."""
        return f"{self.work.name} · V{self.way.name}"

    def task(self, sizes: Sizes) -> Task:
        """This workload at one size."""
        work, values = self.work, self.work.values(sizes)
        large = max(self.whole(sizes), work.peer_entries(sizes)) > MOST_ENTRIES
        absent = {"dense": TOO_LARGE} if large and "dense" in self.way.peers else {}
        return Task(
            self.name,
            self.group,
            dict(sizes),
            self._hand(values),
            {name: lambda m=make: m(work, sizes, values) for name, make in self.way.ours.items()},
            {
                name: lambda make=make: make(work, values)
                for name, make in self.way.peers.items()
                if name not in absent
            },
            self.floor(sizes),
            absent=absent,
        )

    def _hand(self, values: Values) -> Program:
        d = _direction(values, self.work.by[0])
        if self.way is not BOUND:
            return Program(lambda: self.along(d, **values))
        kept = self.kept(**values)
        return Program(lambda: self.product(kept, d))


# What is multiplied


def named(name: str, of: Sequence[Formula] = DENSE) -> Formula:
    """The workload of that name, of which this is another use."""
    return next(work for work in of if work.name == name)


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
    """The products of a workload; `name` is that of the programs by hand."""
    hand = [getattr(structured, f"{name}_{part}") for part in ("kept", "product", "along")]
    return [
        Product(work, sizes, ALONG, anew, whole, *hand),
        Product(work, sizes, BIND, anew, whole, *hand, quick=None),
        Product(work, sizes, BOUND, again, whole, *hand, quick=None),
    ]


PRODUCTS: Sequence[Product] = (
    *_products(
        named("logistic Hessian"),
        "logistic",
        [{"N": 2 * n, "n": n} for n in (100, 1000, 2000)],
        lambda s: s["n"] ** 2,
        lambda s: (6 * s["N"] * s["n"], s["N"] * s["n"]),
        lambda s: (4 * s["N"] * s["n"], s["N"] * s["n"]),
    ),
    *_products(
        named("factorisation Hessian"),
        "factorisation",
        [{"n": n, "k": k} for n, k in ((50, 5), (200, 10), (500, 10))],
        lambda s: (s["n"] * s["k"]) ** 2,
        lambda s: (4 * s["n"] * s["k"] ** 2, 3 * s["n"] * s["k"]),
        lambda s: (2 * s["n"] * s["k"] ** 2, 2 * s["n"] * s["k"]),
    ),
    *_products(
        named("masked factorisation Hessian"),
        "masked_factorisation",
        [{"n": n, "k": k} for n, k in ((50, 5), (200, 10), (500, 10))],
        lambda s: (s["n"] * s["k"]) ** 2,
        lambda s: (4 * s["n"] ** 2 * s["k"], s["n"] ** 2 + 3 * s["n"] * s["k"]),
        lambda s: (2 * s["n"] * s["k"] ** 2, s["n"] * s["k"] ** 2 + 2 * s["n"] * s["k"]),
    ),
    *_products(
        named("ten-layer net, first-layer Hessian"),
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
)
