"""Names for the values of a program: a person's where one suggests itself, else t1, t2…"""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import takewhile

from wrt.programs.steps import Step, Steps

__all__ = ["Names", "identifier", "stem"]

#: What a program itself says, so that no variable can hide it.
RESERVED = frozenset(
    ("np", "jnp", "jax", "torch", "scipy", "float", "complex", "range", "min", "round", "_")
)

#: Products of two names of this many letters join them: Wx = W @ x.
SHORT = 2


def identifier(name: str) -> str:
    """The Python name of a variable: keywords get a trailing underscore, dashes become words.

    >>> identifier("lambda"), identifier("phi'"), identifier("x")
    ('lambda_', 'phi_prime', 'x')
    """
    word = unicodedata.normalize("NFKC", name.replace("'", "_prime"))
    word = re.sub(r"\W", "_", word)
    if not word.isidentifier():
        word = f"x_{word}" if word else "x_"
    return f"{word}_" if keyword.iskeyword(word) or word in RESERVED else word


def stem(name: str) -> str:
    """The Python name of a sequence by that of one of its entries.

    >>> stem("s[t-1]"), stem("+h")
    ('s', 'h')
    """
    return identifier(name.partition("[")[0].lstrip("+")) if name else "x"


class Names:
    """The names of one program, each given once."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken: set[str] = {*taken, *RESERVED}
        self._again: dict[str, int] = {}

    def give(self, wanted: str) -> str:
        """The wanted name, or with a number where it is taken."""
        found = wanted
        while found in self.taken or keyword.iskeyword(found):
            self._again[wanted] = self._again.get(wanted, 1) + 1
            found = f"{wanted}{'_' if wanted[-1:].isdigit() else ''}{self._again[wanted]}"
        self.taken.add(found)
        return found

    def numbered(self, stem: str) -> str:
        """The stem with the first number that is free: t1, t2…"""
        while True:
            self._again[stem] = self._again.get(stem, 0) + 1
            found = f"{stem}{self._again[stem]}"
            if found not in self.taken:
                self.taken.add(found)
                return found

    def temporary(self) -> str:
        """A name where nothing better suggests itself."""
        return self.numbered("t")

    def of(self, steps: Steps, step: Step, known: dict[int, str]) -> str:
        """A name for the value of a step."""
        wanted = _suggested(steps, step, known)
        if wanted.endswith("_"):
            return self.numbered(wanted)
        return self.give(wanted) if wanted else self.temporary()


def _suggested(steps: Steps, step: Step, known: dict[int, str]) -> str:
    match step.op:
        case "call":
            return _called(steps, step, known)
        case "factor":
            return "lu" if step.data == "lu" else "L"
        case "inverse":
            (at,) = step.args
            (matrix,) = steps[at].args if steps[at].op == "factor" else (at,)
            return _with("inv", known.get(matrix))
        case "matmul":
            sides = [_short(steps, a, known) for a in step.args]
            return "".join(sides) if all(sides) else ""
        case "add" if sum(sign < 0 for sign in step.data) == 1 and len(step.data) == 2:
            return "r"
        case "add":
            return "z"
        case "loop":
            return "total" if step.data[0] == "sum" else "product"
        case "entry":
            return f"{stem(step.data.name)}_{'next' if step.data.name[0] == '+' else 't'}"
        case "carry":
            return f"{stem(step.data[1].name)}_t"
        case "write":
            return "out"
        case "concatenate":
            return _common([known.get(a, "") for a in step.args])
        case _:
            return ""


def _common(words: Sequence[str]) -> str:
    """What the names of several arrays begin with, as W of W_i and W_f."""
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*words, strict=False))
    return "".join(first for first, *_ in same).rstrip("_")


def _called(steps: Steps, step: Step, known: dict[int, str]) -> str:
    function, _ = step.data
    word = identifier(function.name)
    return _with(word, known.get(step.args[0]) if len(step.args) == 1 else None)


def _with(word: str, inner: str | None) -> str:
    """A function with its argument, or to be numbered."""
    return f"{word}_{inner}" if inner and len(inner) <= SHORT else f"{word}_"


def _short(steps: Steps, at: int, known: dict[int, str]) -> str:
    step = steps[at]
    if step.op == "transpose":
        inner = known.get(step.args[0], "")
        return f"{inner}t" if len(inner) == 1 else ""
    word = known.get(at, "")
    return word if len(word) <= SHORT and not word[-1:].isdigit() else ""
