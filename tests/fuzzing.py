"""Random well-typed formulas as text of the language, seeded, over all words of the book.

A `Writer` makes one formula; `question(seed)` a formula, what its names are declared as, and what
it is differentiated by. What is written is always a legal text; `risky` says that it may be
defined nowhere near a random point (a logarithm of anything, an inverse of a product). A long run,
with the seed of every failure printed: `python tests/fuzzing.py 20000 --start 100000`.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass

from fuzzing_wide import COMPLEX_NAMES, WIDE_NAMES, Complex, Wide
from fuzzing_writer import NAMES, Writer

__all__ = ["Question", "Writer", "question"]

#: Who writes the formula of a seed, with what names: one of three is of the wider kinds.
KINDS = ((4, Writer, NAMES), (1, Wide, WIDE_NAMES), (1, Complex, COMPLEX_NAMES))


@dataclass(frozen=True)
class Question:
    """A formula as text, the declarations of its names, what it is differentiated by."""

    seed: int
    text: str
    shapes: dict[str, str]
    wrt: tuple[str, ...]
    risky: bool

    def __str__(self) -> str:
        names = ", ".join(map(repr, self.wrt))
        return f"wrt.derivative({self.text!r}, {names}, shapes={self.shapes!r})  # seed {self.seed}"


_WORD = re.compile(r"[A-Za-z]\w*")


def question(seed: int, orders: int = 1) -> Question:
    """The formula of a seed, declared, and what it is differentiated by.

    >>> question(7) == question(7)
    True
    """
    dice = random.Random(f"formula {seed}")
    kinds = random.Random(f"kind {seed}").choices(KINDS, [kind[0] for kind in KINDS])
    ((_, kind, names),) = kinds
    while True:
        writer = kind(dice)
        depth = dice.choice((1, 2, 2, 3, 3, 4, 5)) if orders == 1 else dice.choice((1, 2, 2))
        text = writer.whole(depth)
        words = set(_WORD.findall(re.sub(r'"[^"]*"|\^T\b', "", text)))
        used = [w for w in names if w in words and w not in writer.taken]
        if len(text) < 400:
            break
    by = [w for w in used if w not in ("e", "phi", "y" if "y" in writer.taken else "")]
    by = by if by and dice.random() > 0.02 else ["u", "A"]
    wrt = tuple(_asked(dice.choice(by), names, dice) for _ in range(orders))
    shapes = {w: names[w] for w in names if w in used or any(w in _WORD.findall(n) for n in wrt)}
    told = " ".join(shapes.values()).split()
    shapes |= {"sizes": "n m k"} if (words & {"n", "m"}) - set(told) else {}
    return Question(seed, text, shapes, wrt, writer.risky)


def _asked(name: str, names: Mapping[str, str], dice: random.Random) -> str:
    """A name, or now and then an entry or a slice of it; a complex one or its conjugate."""
    said = names[name].split()
    axes = sum(word in ("n", "m", "k") for word in said)
    if axes and dice.random() < 0.06 and set(said) <= {"n", "m", "k", "positive", "complex"}:
        name += "[" + ",".join(dice.choice(("1", "2", ":", ":")) for _ in range(axes)) + "]"
    return f"conj({name})" if "complex" in said and dice.random() < 0.5 else name


def main() -> int:
    """A long run over seeds; every failure is one line with its seed."""
    import judging
    import judging_further

    asked = argparse.ArgumentParser(description=main.__doc__)
    asked.add_argument("count", type=int)
    asked.add_argument("--start", type=int, default=0)
    asked.add_argument("--second", action="store_true", help="second derivatives")
    asked.add_argument("--further", type=int, default=0, help="further judgements of each")
    asked.add_argument("--loud", action="store_true", help="tracebacks, slow ones, restless texts")
    told = asked.parse_args()
    failed, undefined, restless, texts = 0, 0, 0, 0
    for seed in range(told.start, told.start + told.count):
        one = question(seed, 2 if told.second else 1)
        begun = time.perf_counter()
        try:
            verdict = judging.judge(one)
            if told.further and verdict.is_defined:
                judging_further.judge_further(one, told.further)
        except Exception as error:  # whatever goes wrong is what this run looks for
            failed += 1
            said = str(error).splitlines() or [""]
            print(f"{seed}: {type(error).__name__}: {said[0][:200]}\n    {one}", flush=True)
            if told.loud:
                traceback.print_exc()
            continue
        undefined += not verdict.is_defined
        restless, texts = restless + len(verdict.restless), texts + len(verdict.texts)
        if told.loud:
            for what, text, again in verdict.restless:
                print(f"{seed}: {what}: {text} prints again as {again}")
            if time.perf_counter() - begun > 2:
                print(f"{seed}: {time.perf_counter() - begun:.1f} s\n    {one}", flush=True)
    print(f"{told.count} formulas: {failed} failed, {undefined} undefined near random points,")
    print(f"{restless} of {texts} sentences print in another way when they are read")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
