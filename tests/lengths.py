"""How long a closed form is: the occurrences of names and numbers in its text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

__all__ = ["compared", "length", "table"]

_TOKEN = re.compile(r"\^[TH]\b|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?i?|\.\d+|[^\W\d]\w*")


def length(text: str) -> int:
    """The occurrences of names and numbers in a closed form.

    Words that stand before a bracket are not counted, nor are the T and H of `X^T`, `X^H`; a bare
    `eye` or `I` is one; a definition behind `where` is counted whole, its name too.

    >>> length("2*A'*(A*x-b)"), length("exp(-x/2)"), length("P*x where P = A*B"), length("eye(n)")
    (5, 2, 5, 1)
    """
    return sum(_counts(text, match) for match in _TOKEN.finditer(text))


def _counts(text: str, match: re.Match[str]) -> bool:
    word, behind = match.group(), text[match.end() :].lstrip()
    if word.startswith("^") or word == "where":
        return False
    return not (word[0].isalpha() and behind.startswith("("))


def compared(case: dict[str, Any], ours: str | None) -> tuple[int, int | None] | None:
    """The published length and ours (None where we have no closed form); None where nothing is
    published.
    """
    if case["answer"] is None:
        return None
    return length(case["answer"]), None if ours is None else length(ours)


def is_longer(pair: tuple[int, int | None]) -> bool:
    published, ours = pair
    return ours is None or ours > published


def table(rows: Iterable[tuple[str, bool, tuple[int, int | None] | None]]) -> str:
    """For each category: cases, right answers, closed forms published, and not longer than that."""
    counts: dict[str, list[int]] = {}
    for category, right, pair in rows:
        for name in (category, "all"):
            row = counts.setdefault(name, [0, 0, 0, 0])
            row[0] += 1
            row[1] += right
            row[2] += pair is not None
            row[3] += pair is not None and not is_longer(pair)
    last = counts.pop("all")
    lines = [f"{'category':<38}{'cases':>7}{'right':>7}{'forms':>7}{'not longer':>12}"]
    for name, row in [*sorted(counts.items()), ("all", last)]:
        lines.append(f"{name:<38}{row[0]:>7}{row[1]:>7}{row[2]:>7}{row[3]:>12}")
    return "\n".join(lines)
