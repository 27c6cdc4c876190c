"""Derivations: every line read back and compared with differences of the question itself.

The texts are read, and what a name or a `d(…)` in them stands for is found from the texts alone.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import wrt
from case_data import CASES, SIZES, draw
from wrt.expression.meaning import evaluate
from wrt.functions import BOOK

Values = dict[str, Any]

#: Words that the book does not hold yet; a case that needs one is not asked.
UNKNOWN = "expm logm chol eigvals eigvecs svdvals normspec pinv adj sqrtm sinm cosm normnuc".split()
_CHANGE = re.compile(r"(?<![\w'])d\(")


def is_covered(case: dict[str, Any]) -> bool:
    text = " ".join([case["text"], *case["wrt"]])
    return not any(f"{word}(" in text for word in UNKNOWN if word not in BOOK)


COVERED = [case for case in CASES if is_covered(case)]
REAL = [case for case in COVERED if "complex" not in " ".join(case["shapes"].values())]


def asked(case: dict[str, Any]) -> wrt.Derivative:
    symmetric = case["symmetric"] or "projected"
    return wrt.derivative(case["text"], *case["wrt"], shapes=case["shapes"], symmetric=symmetric)


class Board:
    """What the lines of a derivation say, read as a pupil reads them.

    `definitions` are the names in the order in which they were told, with their texts.
    """

    def __init__(self, values: Values, sizes: dict[str, int], moved: str) -> None:
        self.values, self.sizes, self.moved = values, sizes, moved
        self.direction = np.random.default_rng(3).normal(size=np.shape(values[moved]))
        self.definitions: dict[str, str] = {}

    def at(self, step: float) -> Values:
        """All names' values when x has moved a step along the direction."""
        values = dict(self.values)
        values[self.moved] = values[self.moved] + step * self.direction
        for name, text in self.definitions.items():
            values[name] = self.read(text, values)
        return values

    def change(self, text: str) -> np.ndarray:
        """How the value of a text changes along the direction."""
        h = 1e-4
        ahead, back, far, behind = (self.read(text, self.at(k * h)) for k in (1, -1, 2, -2))
        return (8 * (ahead - back) - (far - behind)) / (12 * h)

    def said(self, text: str, shape: tuple[int, ...]) -> np.ndarray:
        """The value of a text in which changes occur."""
        values = self.at(0)
        while found := _CHANGE.search(text):
            end = closing(text, found.end() - 1)
            name = f"change{len(values)}"
            values[name] = self.change(text[found.end() : end])
            text = text[: found.start()] + name + text[end + 1 :]
        for name in [*self.definitions, *self.values]:
            if f"d{name}" not in values and occurs(f"d{name}", text):
                moves = self.direction if name == self.moved else self.change(name)
                values[f"d{name}"] = moves
        return self.read(text, values, shape)

    def read(self, text: str, values: Values, shape: tuple[int, ...] = ()) -> np.ndarray:
        """The number of a text of the language; names of sizes are sizes outside of indices.

        Axes that the text does not size have the given shape.
        """
        parts = re.split(r"(\[[^\]]*\])", text)
        for name in self.sizes.keys() - values.keys():
            size = re.compile(rf"(?<![\w']){name}(?![\w(])")
            parts[::2] = [size.sub(str(self.sizes[name]), part) for part in parts[::2]]
        plain = "".join(parts)
        used = {n: np.asarray(v) for n, v in values.items() if occurs(n, plain)}
        shapes = {n: " ".join(map(str, v.shape)) for n, v in used.items()}
        node = wrt.read(plain, shapes=shapes)
        sizes = dict(
            size for dim, n in zip(node.dims, shape, strict=False) for size in fits(dim, n)
        )
        return np.asarray(evaluate(node, used, sizes))


def fits(dim: Any, size: int) -> list[tuple[str, int]]:
    """The size of the only name of a dimension, where it has one."""
    names = list(dim.names)
    return [
        (names[0], n)
        for n in range(1, size + 1)
        if len(names) == 1 and dim.size({names[0]: n}) == size
    ]


def occurs(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w']){re.escape(name)}(?!\w)", text) is not None


def closing(text: str, start: int) -> int:
    """The place of the bracket that closes the one at a place."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if not depth:
            return place
    raise AssertionError(text)


def board(case: dict[str, Any], moved: str) -> Board:
    values = draw(case)
    sizes: dict[str, int] = {}
    for name, declared in case["shapes"].items():
        words = [w for w in declared.split() if w.isdigit() or w in SIZES]
        sizes |= {w: n for w, n in zip(words, np.shape(values[name]), strict=True) if w in SIZES}
    made = Board(values, sizes, moved)
    kind = case["shapes"].get(moved, "")
    if "symmetric" in kind or "spd" in kind:
        made.direction = made.direction + made.direction.T
    if "toeplitz" in kind:
        made.direction = made.values[moved] ** 2
    return made


def close(got: np.ndarray, want: np.ndarray, scale: float) -> bool:
    scale = max(scale, float(np.abs(want).max(initial=0)), 1e-6)
    return got.shape == want.shape and float(np.abs(got - want).max(initial=0)) <= 1e-6 * scale


@pytest.mark.parametrize("case", REAL, ids=[case["id"] for case in REAL])
def test_every_line_is_right(case: dict[str, Any]) -> None:
    """A change is that of its left side, a named part is told before it is used."""
    D = asked(case)
    names = [re.sub(r"\[.*", "", name) for name in case["wrt"]]
    texts = [step.text for step in D.steps()]
    if texts[0].endswith("= 0"):
        assert len(texts) == 2
        return
    here = board(case, names.pop(0))
    f = next(c for c in "fFhy" if any(re.match(rf"d{c}\W", text) for text in texts))
    here.definitions[f] = case["text"]
    for step in D.steps():
        left, sign, right = step.text.partition(" = ")
        name = re.sub(r"[\['].*", "", left)
        whole = f"{left} = {right}" if "[" in left else right
        if not sign:
            continue
        if name[0] == "d" and name[1:] in here.definitions:
            want = here.change(name[1:])
            assert close(here.said(whole, want.shape), want, size(here, name[1:])), step
        elif step.rule.startswith(("df", "dF", "dg", "dH", "the coefficient of")):
            want = here.change(f)
            shape = (*want.shape, *here.direction.shape)
            got = here.read(whole, here.at(0), shape)
            along = np.tensordot(got, here.direction, axes=here.direction.ndim)
            assert close(along, want, size(here, f)), step
            if name not in "DGPQ" and names:
                here = board(case, names.pop(0))
                f, here.definitions[name] = name, whole
        elif name not in "DGPQ":
            tell(here, name, f, right)


def tell(here: Board, name: str, f: str, text: str) -> None:
    """Take in what a name stands for; the formula itself only gets shorter."""
    text, _, where = text.partition(" where ")
    for part in where.split("; ") if where else []:
        short, _, meaning = part.partition(" = ")
        tell(here, short, f, meaning)
    whole = here.definitions.pop(f, None)
    if name != f:
        here.definitions[name] = text
    elif whole:
        assert close(here.read(text, here.at(0)), here.read(whole, here.at(0)), 1.0), text
    if whole:
        here.definitions[f] = whole


def size(here: Board, name: str) -> float:
    return 1e-2 * float(np.abs(here.read(name, here.at(0))).max(initial=0))


@pytest.mark.parametrize("case", COVERED, ids=[case["id"] for case in COVERED])
def test_a_derivation_ends_at_the_answer_and_is_short(case: dict[str, Any]) -> None:
    D = asked(case)
    steps = D.steps()
    texts = [step.text for step in steps]
    short = f"D = {D.matrix}" if D.matrix is not None else D.index
    assert texts[-1] == (short or f"D = {D.einsum}") or "has no short form" in texts[-1]
    assert len(set(texts)) == len(texts)
    assert len(texts) <= 6 + 9 * len(D.wanted)
    assert all(step.rule and step.error < 1e-5 for step in steps)
    assert all(step.latex.count("{") == step.latex.count("}") for step in steps)
