"""What is asked for beside a derivative: an entry, a direction, steps, numbers; what was found."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wrt.answers.claims.printed import point_of, refuse_misprints, refuse_misprograms
from wrt.errors import NameMistake, ValueMistake
from wrt.expression.dataclass import dataclass, field
from wrt.language.lexer import spelled

if TYPE_CHECKING:
    from wrt.answers import Check, Derivative
    from wrt.answers.claims import Verdict
    from wrt.answers.claims.printed import Point
    from wrt.answers.several import Gradients
    from wrt.programs import Explanation

__all__ = ["Asked", "Found", "find", "find_together", "idle"]

_NAME = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class Asked:
    """What a person wants to see beside the formula."""

    entry: tuple[int, ...] | None = None
    direction: str | None = None
    steps: bool = False
    #: The name of an array library whose program is wanted; of f with its backward pass.
    code: str | None = None
    custom: bool = False
    #: Whether the steps of the program are wanted with what they cost, and the sizes that are told.
    plan: bool = False
    sizes: Mapping[str, int] = field(default_factory=dict)
    #: Whether the answer is put into words, and not its program alone.
    worded: bool = True
    #: Arrays by name, where numbers are wanted, and those names that came from files.
    values: Mapping[str, Any] | None = None
    filed: frozenset[str] = frozenset()
    #: What somebody says the derivative is.
    claim: str | None = None
    #: What was declared to no use, as sentences.
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """A derivative with its proof, and all that was asked for beside it."""

    derivative: Derivative
    check: Check
    asked: Asked = field(default_factory=Asked)
    entry: str | None = None
    entry_value: Any = None
    direction: str | None = None
    direction_value: Any = None
    value: Any = None
    verdict: Verdict | None = None
    source: str | None = None
    plan: Explanation | None = None

    @property
    def alone(self) -> bool:
        """Whether one entry or one direction is wanted, and not the whole answer."""
        return self.asked.entry is not None or self.asked.direction is not None


def find(D: Derivative, asked: Asked) -> Found:
    """Find what was asked for. Raises CheckFailed, before anything else, where the proof fails.

    >>> from wrt.answers import derivative
    >>> values = {"W": [[1, 2, 3], [1, 2, 3]], "s": [4, 5, 6]}
    >>> found = find(derivative("W*s", "W"), Asked(entry=(2, 2, 3), values=values))
    >>> found.entry, found.entry_value
    ('s[3]', array(6.))
    """
    if asked.direction is not None and asked.direction in D.question.variables:
        raise NameMistake(
            f"{asked.direction} is a variable of the formula, and a direction has its own name",
            hint="as in --direction V",
        )
    check, point = D.check(), point_of(D)
    if asked.worded:
        refuse_misprints(D, point)
    values = None if asked.values is None else _known(D, asked)
    made: dict[str, Any] = {}
    if asked.entry is not None:
        made["entry"] = D.entry(*asked.entry)
        if values is not None:
            made["entry_value"] = D.entry_value(asked.entry, **values)
    if asked.direction is not None:
        made |= _along(D, asked.direction, asked.values or {}, values)
    if asked.claim is not None:
        made["verdict"] = D.judge(asked.claim)
    if values is not None and not made:
        made["value"] = D(values)
    return Found(D, check, asked, **made, **_program(D, asked, point))


def find_together(found: Gradients, asked: Asked) -> tuple[str | None, Explanation | None]:
    """The one program of several derivatives, and its plan, where they are wanted."""
    source = plan = None
    if asked.code is not None:
        source = found.source(asked.code, custom=asked.custom, sizes=asked.sizes)
        refuse_misprograms(found, point_of(found[0]))
    if asked.plan:
        plan = found.plan(**asked.sizes)
    return source, plan


def _program(D: Derivative, asked: Asked, point: Point | None) -> dict[str, Any]:
    """The program that is wanted and its plan: of one entry, along a direction, or of the whole."""
    made: dict[str, Any] = {}
    if asked.code is not None:
        made["source"] = D.source(
            asked.code,
            entry=asked.entry,
            direction=asked.direction,
            sizes=asked.sizes,
            custom=asked.custom,
        )
        if asked.entry is None:
            refuse_misprograms(D, point, asked.direction)
    if asked.plan:
        made["plan"] = D.plan(entry=asked.entry, direction=asked.direction, **asked.sizes)
    return made


def idle(text: str, names: Sequence[str], declared: Sequence[str]) -> tuple[str, ...]:
    """Names that are declared, and neither occur in the formula nor are differentiated by.

    >>> idle("W*x", ["W"], ["W", "X"])
    ('X is declared and does not occur; did you mean x?',)
    """
    said = " ".join([text, *names])
    words = {spelled(word) for word in _NAME.findall(said)}
    notes = []
    for name in declared:
        if spelled(name) not in words:
            from difflib import get_close_matches

            near = [w for w in sorted(words - set(declared)) if w.lower() == name.lower()]
            close = near or get_close_matches(name, sorted(words - set(declared)), 1, 0.7)
            hint = f"; did you mean {close[0]}?" if close else ""
            notes.append(f"{name} is declared and does not occur{hint}")
    return tuple(notes)


def _known(D: Derivative, asked: Asked) -> dict[str, Any]:
    """The values of the formula's names; what a file holds beside them is left aside."""
    question = D.question
    known = {*question.variables, *question.dimensions, *question.functions}
    known |= {one.variable.name for one in D.wanted}
    aside = asked.filed | {asked.direction}
    return {n: v for n, v in (asked.values or {}).items() if n in known or n not in aside}


def _along(
    D: Derivative, name: str, given: Mapping[str, Any], values: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The directional derivative, and its numbers where there are values."""
    text = D.direction(name)
    if values is None:
        return {"direction": text}
    if name not in given:
        raise ValueMistake(f"no value is given for {name}, the direction")
    return {"direction": text, "direction_value": D.direction_value(given[name], **values)}
