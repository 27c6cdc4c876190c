"""Random recurrences, and how they are judged: by their steps written out as one formula.

A recurrence has one to three states that run forward, perhaps one that runs back, lags up to two,
and a loss of every step or of the last. What is judged is compared with complex steps of the plain
meaning of the lines, a line for every step. A long run, with the seed of every failure printed:
`python tests/fuzzing_recurrences.py 1000 --start 100000`.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import traceback
from dataclasses import dataclass
from typing import Any

import numpy as np

import wrt
from judging import Array, close
from wrt.expression.meaning import evaluate

__all__ = ["Steps", "judge_steps", "steps_of"]

SIZES = {"n": 3, "m": 2, "p": 4}
#: Every name that a recurrence may share, as it is declared; series and states by step.
SHARED = {"W": "n n", "A": "n n", "V": "m n", "K": "m m", "U": "n p", "Q": "m p", "b": "n", "a": ""}
SERIES = {"x": "p", "y": "n", "u": "m", "w": ""}
STATES = {"s": "n", "h": "m", "q": "n", "r": "n"}
WORDS = "tanh sigmoid sin softplus arctan softmax".split()
_MOMENT = re.compile(r"([a-zA-Z]\w*)\[t([+-]\d+)?\]")


@dataclass(frozen=True)
class Steps:
    """Lines of a recurrence: states that run back, states that run forward, the loss."""

    seed: int
    back: tuple[tuple[str, str], ...]
    forward: tuple[tuple[str, str], ...]
    loss: tuple[str, str]

    @property
    def text(self) -> str:
        """The lines as they are read."""
        lines = [f"{name}[t] = {said}" for name, said in (*self.back, *self.forward)]
        head = "E" if "[T]" in self.loss[1] else "L[t]"
        return "\n".join([*lines, f"{head} = {self.loss[1]}"])

    @property
    def shapes(self) -> dict[str, str]:
        """The declarations of what the lines name."""
        words = set(re.findall(r"[A-Za-z]\w*", self.text))
        return {k: v for k, v in (SHARED | SERIES | STATES).items() if k in words}

    def unrolled(self, steps: int) -> str:
        """A line for every step, and the sum of the losses."""
        lines = [
            f"{name}_{t} = {_at(said, t)}"
            for order, some in (
                (range(steps, 0, -1), self.back),
                (range(1, steps + 1), self.forward),
            )
            for t in order
            for name, said in some
        ]
        said = self.loss[1].replace("[T]", f"[t+{steps - 1}]")
        losses = [_at(said, t) for t in range(1, 2 if "[T]" in self.loss[1] else steps + 1)]
        return "\n".join([*lines, " + ".join(f"({loss})" for loss in losses)])

    def __str__(self) -> str:
        return f"wrt.recurrence({self.text!r}, {self.shapes!r})  # seed {self.seed}"


def _at(said: str, t: int) -> str:
    return _MOMENT.sub(lambda m: _name(m[1], t + int(m[2] or 0)), said)


def _name(name: str, t: int) -> str:
    return f"{name}_{t}" if t >= 0 else f"{name}_m{-t}"


class StepWriter:
    """Writes the lines of one recurrence."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.near: dict[str, list[str]] = {"n": [], "m": [], "p": [], "": []}

    def vector(self, size: str, depth: int) -> str:
        atoms = [*self.near[size], *(["b"] if size == "n" else [])]
        if depth <= 0 and atoms:
            return self.dice.choice(atoms)
        kind = self.dice.choice(
            ("product", "product", "word", "word", "sum", "dot", "scaled", "gate")
        )
        v = lambda: self.vector(size, depth - 1)  # noqa: E731
        match kind:
            case "word":
                return f"{self.dice.choice(WORDS)}({v()})"
            case "sum":
                return f"({v()} {self.dice.choice('+-')} {v()})"
            case "dot":
                return f"({v()}).*({v()})"
            case "scaled":
                return f"{self.scalar(depth - 1)}*({v()})"
            case "gate":
                return f"(1 - sigmoid({v()})).*({v()})"
        return self.product(size, depth)

    def product(self, size: str, depth: int) -> str:
        """A shared matrix, or the transpose of one, times a vector."""
        fitting = [(name, *dims.split()) for name, dims in SHARED.items() if size in dims.split()]
        matrices = [row for row in fitting if len(row) == 3 and self.reaches(row, size)]
        name, rows, columns = self.dice.choice(matrices)
        if rows == size and (columns != size or self.dice.random() < 0.7):
            return f"{name}*({self.vector(columns, depth - 1)})"
        return f"{name}'*({self.vector(rows, depth - 1)})"

    def reaches(self, row: tuple[str, ...], size: str) -> bool:
        """Whether there is a vector to multiply this matrix with."""
        other = row[2] if row[1] == size else row[1]
        return bool(self.near[other]) or other == "n"

    def scalar(self, depth: int) -> str:
        size = self.dice.choice([s for s in "nmp" if self.near[s] or s == "n"])
        v = lambda: self.vector(size, depth - 1)  # noqa: E731
        kind = self.dice.choice(("name", "name", "sum", "inner", "norm", "logsumexp"))
        match kind:
            case "sum":
                return f"tanh(sum({v()}))"
            case "inner":
                return f"sin(({v()})'*({v()}))"
            case "norm":
                return f"exp(-norm2({v()})^2)"
            case "logsumexp":
                return f"logsumexp({v()})"
        return self.dice.choice(["a", *self.near[""]])


def steps_of(seed: int) -> Steps:
    """The recurrence of a seed."""
    dice = random.Random(f"recurrence {seed}")
    series = dice.sample(sorted(SERIES), dice.choice((1, 2, 2, 3)))
    states = ["s", *dice.sample(["h", "q"], dice.choice((0, 0, 1, 1, 2)))]
    given = StepWriter(dice)
    for name in series:
        given.near[SERIES[name]].append(f"{name}[t]")
    back: tuple[tuple[str, str], ...] = ()
    if dice.random() < 0.2:
        writer = _beside(given, {"r[t+1]": "n"}, dice)
        back = (("r", _tame(writer.vector("n", 2), "r[t+1]", dice)),)
        given.near["n"].append("r[t]")
    before = {f"{name}[t-1]": STATES[name] for name in states}
    before |= {f"{states[-1]}[t-2]": STATES[states[-1]]} if dice.random() < 0.2 else {}
    writer = _beside(given, before, dice)
    forward = []
    for name in states:
        said = _tame(writer.vector(STATES[name], dice.choice((1, 2, 2, 3))), f"{name}[t-1]", dice)
        forward.append((name, said))
        writer.near[STATES[name]].append(f"{name}[t]")
    now = {f"{name}[t]": STATES[name] for name in states}
    last = _beside(given if dice.random() < 0.8 else StepWriter(dice), now, dice)
    loss = (
        last.scalar(2) + " + " + f"norm2({' + '.join(k for k, d in now.items() if d == 'n')})^2/2"
    )
    if dice.random() < 0.2 and not back and not any(f"{n}[t]" in loss for n in SERIES):
        loss = loss.replace("[t]", "[T]")
    return Steps(seed, back, tuple(forward), ("L", loss))


def _beside(given: StepWriter, moments: dict[str, str], dice: random.Random) -> StepWriter:
    """A writer that knows more moments."""
    writer = StepWriter(dice)
    writer.near = {size: list(names) for size, names in given.near.items()}
    for moment, size in moments.items():
        writer.near[size].append(moment)
    return writer


def _tame(said: str, moment: str, dice: random.Random) -> str:
    """A line that does not grow, and reads its own past."""
    return f"tanh({said})" + (f" + {moment}/2" if moment not in said or dice.random() < 0.2 else "")


# Judging


def judge_steps(steps: Steps, count: int = 3) -> None:
    """The loss, the gradients and a Jacobian of a recurrence are those of its steps written out."""
    dice = random.Random(f"judged {steps.seed}")
    rnn = wrt.recurrence(steps.text, steps.shapes)
    values = _values(rnn, steps.seed, count)
    flat = _flat(values, count)
    shapes = {k: " ".join(map(str, np.shape(v))) for k, v in flat.items()}
    formula = wrt.read(steps.unrolled(count), shapes=_shapes_of_steps(count) | shapes)

    def loss(point: dict[str, Any]) -> Array:
        needed = {v.name: point[v.name] for v in formula.names}
        return np.asarray(evaluate(formula, needed))

    names = [v.name for v in rnn.loss().names]
    names = dice.sample(sorted(names), min(3, len(names)))
    together = rnn.gradients(*names)
    program = together.compile(value=True)
    value, *arrays = program(_told(values, together, program, count))
    close(np.asarray(value), loss(flat), "the loss")
    for name, array in zip(names, arrays, strict=True):
        _judge_slope(array, name, values, loss, count)
        alone = rnn.gradient(name)
        told = _told(values, [alone], alone.compile(), count)
        close(alone(told), array, f"the gradient by {name} alone")
    if steps.seed % 4 == 0:
        _judge_libraries(together, values, arrays, count)
    if steps.seed % 3 == 0:
        _judge_jacobian(rnn, steps, values, count, dice)


def _judge_slope(array: Array, name: str, values: dict[str, Array], loss: Any, count: int) -> None:
    rng = np.random.default_rng(3)
    for _ in range(2):
        direction = rng.normal(size=np.shape(values[name]))
        moved = {**values, name: values[name] + 1e-30j * direction}
        slope = loss(_flat(moved, count)).imag / 1e-30
        scale = float(np.abs(array).max(initial=0)) * np.sqrt(direction.size)
        got = np.asarray(np.sum(array * direction))
        close(got, slope, f"the gradient by {name}", scale)


def _judge_jacobian(
    rnn: wrt.Recurrence, steps: Steps, values: dict[str, Array], count: int, dice: random.Random
) -> None:
    """The derivative of the last state by what all steps share."""
    state = dice.choice(steps.forward)[0]
    lines = steps.unrolled(count).splitlines()
    flat = _flat(values, count)
    shapes = {k: " ".join(map(str, np.shape(v))) for k, v in flat.items()}
    shapes = _shapes_of_steps(count) | shapes
    formula = wrt.read("\n".join([*lines[:-1], f"{state}_{count}*1"]), shapes=shapes)
    names = sorted(set(steps.shapes) & {v.name for v in formula.names} & set(SHARED))
    if not names:
        return
    name = dice.choice(names)
    D = rnn.total(state, name)
    whole = D(_told(values, [D], D.compile(), count))
    direction = np.random.default_rng(4).normal(size=np.shape(values[name]))
    moved = _flat({**values, name: values[name] + 1e-30j * direction}, count)
    slope = evaluate(formula, {v.name: moved[v.name] for v in formula.names}).imag / 1e-30
    got = np.tensordot(whole, direction, np.ndim(direction))
    close(got, slope, f"d{state}[T]/d{name}", float(np.abs(whole).max(initial=0)))


def _judge_libraries(
    together: Any, values: dict[str, Array], arrays: list[Array], count: int
) -> None:
    """The program for PyTorch gives the same."""
    program = together.compile("torch")
    told = _told(values, together, program, count)
    for got, wanted in zip(program(told), arrays, strict=True):
        close(np.asarray(got), wanted, "gradients by PyTorch")


def _told(values: dict[str, Array], answers: Any, program: Any, count: int) -> dict[str, Any]:
    """What is needed of the values, and the sizes that no array tells."""
    needed = {v.name for D in answers for v in D.arguments}
    told = {name: value for name, value in values.items() if name in needed}
    return {**told, **{size: SIZES.get(size, count) for size in program.sizes}}


def _values(rnn: wrt.Recurrence, seed: int, count: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    sizes = {**SIZES, rnn.length: count}
    return {
        name: rng.normal(size=[d.size(sizes) for d in v.dims]) / 2
        for name, v in rnn.variables.items()
    }


def _shapes_of_steps(count: int) -> dict[str, str]:
    """The declarations of the series, step by step."""
    shapes = {name: str(SIZES.get(size, "")) for name, size in SERIES.items()}
    return {f"{name}_{t}": said for name, said in shapes.items() for t in range(1, count + 1)}


def _flat(values: dict[str, Array], count: int) -> dict[str, Any]:
    """The values by the names of single steps."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if name in SERIES:
            flat |= {f"{name}_{t + 1}": row for t, row in enumerate(value)}
        elif name.endswith("_end"):
            flat[f"{name[:-4]}_{count + 1}"] = value
        elif match := re.fullmatch(r"([a-z])(0|_1)", name):
            flat[_name(match[1], 0 if match[2] == "0" else -1)] = value
        else:
            flat[name] = value
    return flat


def main() -> int:
    """A long run over seeds; every failure is one line with its seed."""
    asked = argparse.ArgumentParser(description=main.__doc__)
    asked.add_argument("count", type=int)
    asked.add_argument("--start", type=int, default=0)
    asked.add_argument("--loud", action="store_true", help="tracebacks")
    told = asked.parse_args()
    failed = 0
    for seed in range(told.start, told.start + told.count):
        one = steps_of(seed)
        try:
            judge_steps(one)
        except Exception as error:  # whatever goes wrong is what this run looks for
            failed += 1
            said = str(error).splitlines() or [""]
            print(f"{seed}: {type(error).__name__}: {said[0][:200]}\n    {one}", flush=True)
            if told.loud:
                traceback.print_exc()
    print(f"{told.count} recurrences: {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
