"""What must hold of any formula and its derivative: how random formulas are judged.

Every function takes an answer and fails with an AssertionError that says what is wrong. Nothing
here knows how a formula was made: `judge` is for a question of `fuzzing`, `judge_answer` for any
answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import wrt
from wrt.algebra import expand, flat_form, normal_form, settled
from wrt.answers.proof.points import points, small_sizes
from wrt.errors import CheckFailed
from wrt.expression import build
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import dimension_names, rename_dimensions, variables
from wrt.language import read
from wrt.notation import einsum, index, matrix

__all__ = ["Verdict", "judge", "judge_answer"]

Array = np.ndarray[Any, Any]
Values = Mapping[str, Array]

#: Agreement of two ways to compute one number, relative to the largest entry.
TOLERANCE = 1e-8
#: What is smaller than this beside numbers near 1 may be a zero that rounding spoiled.
NOTHING = 1e-4


@dataclass
class Verdict:
    """What was found of one formula: is it defined anywhere, what its sentences print as again."""

    is_defined: bool = True
    texts: list[tuple[str, str, str | None]] = field(default_factory=list)

    @property
    def restless(self) -> list[tuple[str, str, str | None]]:
        """The sentences that print in another way once they are read."""
        return [said for said in self.texts if said[1] != said[2]]


def judge(question: Any) -> Verdict:
    """Derive and judge; a risky formula may be defined at no random point."""
    D = wrt.derivative(question.text, *question.wrt, shapes=question.shapes)
    return judge_answer(D, question.risky)


def judge_answer(D: wrt.Derivative, risky: bool = False) -> Verdict:
    """All properties of one answer."""
    try:
        found = D.check()
    except CheckFailed as failure:
        if not risky or not str(failure).startswith("no point"):
            raise
        return Verdict(is_defined=False)
    assert found.passed
    sizes, values = place(D)
    judge_forms(D, values, sizes)
    texts = judge_notation(D, values, sizes)
    judge_structure(D, values, sizes)
    judge_programs(D, values, sizes)
    return Verdict(texts=texts)


def place(D: wrt.Derivative) -> tuple[dict[str, int], dict[str, Array]]:
    """Sizes and a point at which the formula and its derivative are defined."""
    xs = [w.variable for w in D.wanted]
    for sizes in small_sizes(D.f, xs, D.whole):
        for values in points(D.f, D.whole, xs, sizes):
            return sizes, values
    raise AssertionError("the check found a point, and now there is none")


def close(got: Array, wanted: Array, what: str, scale: float = 0.0) -> None:
    """Equal up to rounding, relative to the largest entry."""
    assert got.shape == wanted.shape, f"{what}: shape {got.shape}, wanted {wanted.shape}"
    scale = max(scale, float(np.abs(wanted).max(initial=0)), NOTHING)
    error = float(np.abs(got - wanted).max(initial=0)) / scale
    assert error <= TOLERANCE, f"{what}: off by {error:.1e}"


# Forms


def judge_forms(D: wrt.Derivative, values: Values, sizes: Mapping[str, int]) -> None:
    """Definitions written out, normal and flat form: the same value, and nothing more to do."""
    known = [("f", D.f)]  # of a derivative that is known to be zero, terms leave rounding only
    known += [] if build.is_zero(D.flat) else [("the derivative", D.whole)]
    for name, node in known:
        wanted = evaluate(node, values, sizes)
        plain = expand(node)
        close(evaluate(plain, values, sizes), wanted, f"{name} written out")
        for form in (normal_form, flat_form):
            made = form(plain)
            close(evaluate(made, values, sizes), wanted, f"{form.__name__} of {name}")
            assert form(made) is made, f"{form.__name__} of {name} is not settled: {made!r}"


# Notation


def judge_notation(
    D: wrt.Derivative, values: Values, sizes: Mapping[str, int]
) -> list[tuple[str, str, str | None]]:
    """What is printed reads back to the same numbers.

    The matrix sentences, each with what it prints as when it is read: nearly always the same.
    """
    texts: list[tuple[str, str, str | None]] = []
    names = (*D.question.variables, *sorted(D.question.dimensions))
    f = flat_form(expand(D.f))
    said = [
        ("f", f, matrix(f, names=names)),
        ("f by index", f, index(f, "f", names=names)),
        ("f by einsum", f, einsum(f, names=names)),
        ("matrix", D.flat, D.matrix),
        ("index", D.flat, D.index),
        ("einsum", D.flat, D.einsum),
    ]
    for what, node, text in said:
        if text is not None:
            made, wanted = read_back(D, text, node), D.f if what.startswith("f") else D.formula
            close(evaluate(made, values, sizes), evaluate(wanted, values, sizes), f"{what}: {text}")
            if what in ("f", "matrix"):
                answer = what == "matrix"
                shown = settled(made) if answer else flat_form(expand(made))
                again = matrix(shown, names=names, where=answer)
                texts.append((what, text, again))
    judge_kronecker(D, values, sizes)
    return texts


def declared(D: wrt.Derivative, *nodes: Node) -> dict[str, str]:
    """The declarations of all names of an answer, and the names of its dimensions."""
    known = {v.name: v for v in (*D.question.variables.values(), *variables(*nodes))}
    shapes = {v.name: said_shape(v) for v in known.values()}
    shapes |= dict.fromkeys(D.question.functions, "entrywise")
    shapes["Sizes"] = " ".join(dimension_names(*nodes, *known.values()))
    return {name: shape for name, shape in shapes.items() if name != "Sizes" or shape}


def said_shape(variable: Variable) -> str:
    """The declaration of a variable."""
    return " ".join(
        [
            *(str(d).replace(" ", "") for d in variable.dims),
            *sorted(variable.properties - {"whole"}),
        ]
    )


def read_back(D: wrt.Derivative, text: str, node: Node) -> Node:
    """The formula of a printed text, sizes that only stand in δ named as in the original."""
    made = read(text, shapes=declared(D, node)).formula
    assert made.ndim == node.ndim, f"{text} reads back as {made.shape}, wanted {node.shape}"
    pairs = zip(made.dims, node.dims, strict=True)
    other = {str(one): two for one, two in pairs if one is not two and str(one) in one.names}
    made = rename_dimensions(made, other) if other else made
    assert made.dims == node.dims, f"{text} reads back as {made.shape}, wanted {node.shape}"
    return made


def judge_kronecker(D: wrt.Derivative, values: Values, sizes: Mapping[str, int]) -> None:
    """The ⊗ forms are the matrix that takes vec(dX) to vec(df), by rows and by columns."""
    tensor = evaluate(D.plain, values, sizes)
    axes = list(range(tensor.ndim))
    first, last = axes[: D.rows], axes[D.rows :]
    for order in ("rows", "columns"):
        text = D.kronecker(order)
        if text is None:
            continue
        rows, columns = (first, last) if order == "rows" else (first[::-1], last[::-1])
        height = int(np.prod([tensor.shape[k] for k in rows], dtype=int))
        big = tensor.transpose(rows + columns).reshape(height, -1)
        made = read(text, shapes=declared(D, D.plain)).formula
        small = evaluate(made, values, {**dict.fromkeys(dimension_names(made), 3), **sizes})
        close(small.reshape(big.shape), big, f"Kronecker by {order}: {text}")


# Structure


def judge_structure(D: wrt.Derivative, values: Values, sizes: Mapping[str, int]) -> None:
    """The counts bound what is there, the symmetries hold."""
    known = D.structure
    tensor = evaluate(D.formula, values, sizes)
    assert known.entries.size(sizes) == tensor.size, f"{known.entries} entries"
    nonzero = known.nonzero.size(sizes)
    assert nonzero <= tensor.size, f"{known.nonzero} of {known.entries}"
    # what is zero by its form may be computed as a difference of numbers near 1
    floor = 1e-12 if build.is_zero(D.flat) else 1e-13 * float(np.abs(tensor).max(initial=0))
    found = int((np.abs(tensor) > floor).sum())
    assert nonzero >= found, f"{known.nonzero} = {nonzero} can differ from 0, {found} do"
    assert (known.kind == "zero") == build.is_zero(D.flat)
    assert known.numbers.size(sizes) >= 0
    for a, b in known.symmetries:
        order = list(range(tensor.ndim))
        for i, j in zip(a, b, strict=True):
            order[i], order[j] = j, i
        close(tensor.transpose(order), tensor, f"symmetry {a} {b}")
    assert D.structure_sentence


# Programs


def judge_programs(D: wrt.Derivative, values: Values, sizes: Mapping[str, int]) -> None:
    """The NumPy program, the map and its transpose agree with the meaning."""
    if D.question.functions:  # a function that nobody defined has no program here
        return
    given = {**values, **{name: sizes[name] for name in D.compile().sizes}}
    tensor = evaluate(D.formula, values, sizes)
    nothing = float(np.abs(evaluate(D.f, values, sizes)).max(initial=0))  # that of which 0 is left
    floor = nothing if build.is_zero(D.flat) else 0.0
    close(D(given), tensor, "the program", floor)
    rng = np.random.default_rng(5)
    dense = evaluate(D.plain, values, sizes)
    cut = dense.ndim - D.groups[-1]
    direction = rng.normal(size=dense.shape[cut:])
    gradient = rng.normal(size=dense.shape[:cut])
    scale = max(float(np.abs(dense).max(initial=0)), floor)
    moved = np.tensordot(dense, direction, axes=direction.ndim)
    close(D.apply(direction, **given), moved, "apply", scale)
    pulled = np.tensordot(gradient, dense, axes=gradient.ndim)
    close(D.pullback(gradient, **given), pulled, "pullback", scale)
