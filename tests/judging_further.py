"""What else must hold of an answer: its entries, directions, LaTeX, other sizes, libraries, types.

Each judgement takes an answer, a place, and dice for what is drawn. They cost more than those of
`judging`, so `judge_further` makes some of them, chosen by a seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

import numpy as np

import wrt
from judging import Array, Values, close, declared, place
from wrt.algebra.equality import declared_value
from wrt.answers.proof.points import points, small_sizes
from wrt.errors import TooLarge, ValueMistake
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import dimension_names, holds_complex, rename_dimensions, variables
from wrt.language import read

__all__ = ["JUDGEMENTS", "judge_further"]

Judgement = Callable[[wrt.Derivative, Values, Mapping[str, int], random.Random], None]


def judge_further(question: Any, count: int = 3) -> None:
    """Some of the judgements below, chosen by the seed of a question of `fuzzing`."""
    dice = random.Random(f"judged {question.seed}")
    D = wrt.derivative(question.text, *question.wrt, shapes=question.shapes)
    sizes, values = place(D)
    for judgement in _chosen(dice, count):
        try:
            judgement(D, values, sizes, dice)
        except Exception as error:
            error.add_note(f"by {judgement.__name__}")
            raise


def _chosen(dice: random.Random, count: int) -> list[Judgement]:
    """Different judgements; one that costs seconds stands for all but seldom."""
    chosen = dice.sample(JUDGEMENTS, count)
    return [j for j in chosen if j is not judge_jax or dice.random() < 0.1]


def given(D: wrt.Derivative, values: Values, sizes: Mapping[str, int]) -> dict[str, Any]:
    """What the programs of an answer are called with."""
    return {**values, **{name: sizes[name] for name in D.compile().sizes}}


def drawn(node: Variable, sizes: Mapping[str, int], dice: random.Random) -> Array:
    """A value for a variable without conditions."""
    rng = np.random.default_rng(dice.randrange(2**32))
    shape = [d.size(sizes) for d in node.dims]
    value = rng.normal(size=shape)
    return value + 1j * rng.normal(size=shape) if "complex" in node.properties else value


def equal_as_text(
    D: wrt.Derivative, text: str, wanted: Node, values: Values, sizes: Mapping[str, int], what: str
) -> None:
    """A text reads as a formula with the value of another, its names as that declares them."""
    shapes = declared(D, wanted)
    made = read(text, shapes=shapes).formula
    pairs = zip(made.dims, wanted.dims, strict=True)
    other = {str(a): b for a, b in pairs if a is not b and str(a) in a.names}
    made = rename_dimensions(made, other) if other else made
    close(
        evaluate(made, values, {**dict.fromkeys(dimension_names(made), 3), **sizes}),
        evaluate(wanted, values, sizes),
        f"{what}: {text}",
    )


# Parts and directions


def judge_entry(
    D: wrt.Derivative, values: Values, sizes: Mapping[str, int], dice: random.Random
) -> None:
    """The closed form of an entry, read back, is that entry of the tensor."""
    tensor = evaluate(D.formula, values, sizes)
    if not tensor.size:
        return
    at = tuple(dice.randrange(k) for k in tensor.shape)
    try:
        text = D.entry(*(k + 1 for k in at))
    except TooLarge:
        return
    made = read(text, shapes=declared(D, D.formula)).formula
    scale = float(np.abs(tensor).max(initial=0))
    close(evaluate(made, values, sizes), tensor[at], f"entry {at}: {text}", scale)
    if not D.question.functions:
        got = D.entry_value([k + 1 for k in at], **given(D, values, sizes))
        close(got, tensor[at], f"entry_value {at}", scale)


def judge_direction(
    D: wrt.Derivative, values: Values, sizes: Mapping[str, int], dice: random.Random
) -> None:
    """The derivative along a direction, as text and as a program, is the tensor times it."""
    text = D.direction("V_")
    node = D.along("V_")
    moved = next((v for v in variables(node) if v.name == "V_"), None)
    if text is not None:
        point = dict(values)
        if moved is not None:
            point["V_"] = declared_value(moved.properties, drawn(moved, sizes, dice))
        equal_as_text(D, text, node, point, sizes, "direction")


def judge_structured(
    D: wrt.Derivative, values: Values, sizes: Mapping[str, int], dice: random.Random
) -> None:
    """A structured answer says what the dense array says."""
    if D.question.functions or holds_complex(D.formula):
        return
    S = D.compile(structured=True)(given(D, values, sizes))
    dense = evaluate(D.formula, values, sizes)
    rng = np.random.default_rng(dice.randrange(2**32))
    rows, columns = dense.shape[: S.rows], dense.shape[S.rows :]
    scale = float(np.abs(dense).max(initial=0))
    close(S.dense(), dense, "structured", scale)
    v, g = rng.normal(size=columns), rng.normal(size=rows)
    close(S.apply(v), np.tensordot(dense, v, len(columns)), "apply of structured", scale)
    close(S.pullback(g), np.tensordot(g, dense, len(rows)), "pullback of structured", scale)
    close(S.norm(), np.asarray(np.linalg.norm(dense)), "norm of structured", scale)
    close((S * 3 - S).dense(), 2 * dense, "scale and sum of structured", scale)
    if dense.size and dense.ndim:
        at = dice.randrange(dense.shape[0])
        close(S[at].dense(), dense[at], "part of structured", scale)
    if rows == columns:
        square = dense.reshape(g.size, g.size)
        close(S.diagonal(), square.diagonal().reshape(rows), "diagonal of structured", scale)
        close(S.trace(), np.asarray(np.trace(square)), "trace of structured", scale)
        judge_solve(S, square, rng)


def judge_solve(S: Any, square: Array, rng: np.random.Generator) -> None:
    """Where the structure tells how, the solution solves."""
    if not square.size or not np.linalg.cond(square) < 1e6:
        return
    right = rng.normal(size=S.shape[: S.rows])
    try:
        found = S.solve(right)
    except ValueMistake:  # no structure, or a part of it is singular alone
        return
    assert np.allclose(square @ found.ravel(), right.ravel(), atol=1e-6), "solve of structured"


# Notation


def judge_latex(
    D: wrt.Derivative, values: Values, sizes: Mapping[str, int], dice: random.Random
) -> None:
    """LaTeX reads back to the same numbers."""
    for form in ("matrix", "index"):
        text = D.latex(form)
        if text is not None:
            equal_as_text(D, f"${text}$", D.formula, values, sizes, f"LaTeX, {form}")


# Programs


def judge_gradients(
    D: wrt.Derivative, values: Values, sizes: Mapping[str, int], dice: random.Random
) -> None:
    """Derivatives by several variables, found together, are those found one by one."""
    question = D.question
    names = [v.name for v in question.variables.values() if v in D.f.names and v.name != "e"]
    names = dice.sample(names, min(len(names), 3))
    if not names or question.functions or sum(v.ndim for v in D.f.names) + D.f.ndim > 12:
        return
    f = question.formula
    both = wrt.gradients(f, *(v for v in f.names if v.name in names))
    wanted = [wrt.derivative(f, one.wanted[0].variable).formula for one in both]
    arrays = [evaluate(node, values, sizes) for node in wanted]
    program = both.compile(value=True)
    needed = {v.name for one in both for v in one.arguments}
    told = {k: v for k, v in values.items() if k in needed}
    scale = float(np.abs(evaluate(D.f, values, sizes)).max(initial=0))
    made = program({**told, **{name: sizes[name] for name in program.sizes}})
    close(made[0], evaluate(D.f, values, sizes), "the value beside gradients")
    for one, got, array in zip(both, made[1:], arrays, strict=True):
        close(got, array, f"{one.title} among gradients", scale)


def judge_other_sizes(
    D: wrt.Derivative, values: Values, sizes: Mapping[str, int], dice: random.Random
) -> None:
    """One program, compiled for the sizes of one place, is right at others."""
    if D.question.functions:
        return
    program = D.compile(sizes=dict(sizes))
    xs = [w.variable for w in D.wanted]
    for other in islice(small_sizes(D.f, xs, D.whole), 4):
        for point in islice(points(D.f, D.whole, xs, other), 1):
            more = {name: other[name] for name in program.sizes}
            floor = float(np.abs(evaluate(D.f, point, other)).max(initial=0)) * 1e-3
            wanted = evaluate(D.formula, point, other)
            known = {v.name for v in D.arguments}
            told = {k: v for k, v in point.items() if k in known}
            close(program({**told, **more}), wanted, f"the program at {other}", floor)


def judge_torch(
    D: wrt.Derivative, values: Values, sizes: Mapping[str, int], dice: random.Random
) -> None:
    """The program for PyTorch: in double precision, and in single as far as that can tell."""
    _judge_library("torch", D, values, sizes)


def judge_jax(
    D: wrt.Derivative, values: Values, sizes: Mapping[str, int], dice: random.Random
) -> None:
    """The program for JAX, an operation at a time: jit costs seconds."""
    if len(D.source("jax").splitlines()) < 40:
        import jax

        with jax.enable_x64(True), jax.disable_jit():
            _judge_library("jax", D, values, sizes)


def _judge_library(
    library: str, D: wrt.Derivative, values: Values, sizes: Mapping[str, int]
) -> None:
    if D.question.functions:
        return
    wanted = evaluate(D.formula, values, sizes)
    program = D.compile(library)
    known = {v.name for v in D.arguments}
    told = {k: np.asarray(v) for k, v in values.items() if k in known}
    more = {name: sizes[name] for name in program.sizes}
    floor = float(np.abs(evaluate(D.f, values, sizes)).max(initial=0))
    made = _made_by(library)
    try:
        got = program({**made(told), **more})
    except ValueMistake as refused:
        if holds_complex(D.formula) and "of real numbers only" in str(refused):
            return
        raise
    close(_plain(got), wanted, f"the program for {library}", floor)
    single = {k: _single(v) for k, v in told.items()}
    rounded = {**values, **{k: v.astype(np.asarray(values[k]).dtype) for k, v in single.items()}}
    moved = evaluate(D.formula, rounded, sizes) - wanted
    scale = max(floor, float(np.abs(wanted).max(initial=0)), 1e-3)
    if not np.abs(moved).max(initial=0) < 1e-5 * scale:  # near a pole: nothing to ask
        return
    got = _plain(program({**made(single), **more}))
    assert got.dtype.itemsize <= 8, f"{library} made {got.dtype} of single precision"
    error = float(np.abs(got - wanted).max(initial=0)) / scale
    assert error < 1e-3, f"the program for {library} in single precision: off by {error:.1e}"


def _made_by(library: str) -> Callable[[Mapping[str, Array]], dict[str, Any]]:
    """What makes arrays those of a library: JAX without jit wants its own."""
    if library != "jax":
        return dict
    import jax.numpy as jnp

    return lambda values: {name: jnp.asarray(value) for name, value in values.items()}


def _plain(value: Any) -> Array:
    """An array of another library as NumPy's."""
    return np.asarray(value.resolve_conj() if hasattr(value, "resolve_conj") else value)


def _single(value: Array) -> Array:
    kind = np.complex64 if np.iscomplexobj(value) else np.float32
    return np.asarray(value).astype(kind)


#: Every judgement; the cheap ones and those of other libraries.
JUDGEMENTS: tuple[Judgement, ...] = (
    judge_entry,
    judge_direction,
    judge_structured,
    judge_latex,
    judge_gradients,
    judge_other_sizes,
    judge_torch,
    judge_jax,
)
