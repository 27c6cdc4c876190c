"""The mistakes a person can make, as a tree.

WrtError
├── Mistake               something said that cannot be; quoted, pointed at, with what would work
│   ├── SyntaxMistake     the text is not a sentence of the language
│   ├── NameMistake       a name or word that nobody knows
│   └── ShapeMistake      shapes that do not fit
├── ValueMistake          arrays of the wrong name, shape, type or size for a formula
├── NotDifferentiable     a derivative that does not exist or has no rule
├── TooLarge              a result or an input beyond a stated limit
└── CheckFailed           a derivative that disagrees with its own numerical proof
"""

from __future__ import annotations

__all__ = [
    "CheckFailed",
    "Mistake",
    "NameMistake",
    "NotDifferentiable",
    "ShapeMistake",
    "SyntaxMistake",
    "TooLarge",
    "ValueMistake",
    "WrtError",
    "kind_of",
]

#: How much of a long text is quoted around the place of a mistake.
QUOTED = 72


def kind_of(value: object) -> str:
    """The type of a value with its article.

    >>> kind_of([1, 2]), kind_of(3)
    ('a list', 'an int')
    """
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIO' else 'a'} {name}"


class WrtError(Exception):
    """The root of everything that wrt raises on purpose."""


class Mistake(WrtError):
    """A mistake in what was said: the message, the text, the place, what would work.

    >>> print(Mistake("y*z: two vectors cannot be multiplied", text="W*x + y*z", span=(6, 9),
    ...               hint="perhaps y'*z, y*z' or y.*z"))
    y*z: two vectors cannot be multiplied
        W*x + y*z
              ^^^
      perhaps y'*z, y*z' or y.*z
    """

    def __init__(
        self,
        message: str,
        *,
        text: str | None = None,
        span: tuple[int, int] | None = None,
        hint: str | None = None,
    ) -> None:
        self.message, self.text, self.span, self.hint = message, text, span, hint
        super().__init__(message)

    def __str__(self) -> str:
        lines = [self.message]
        if self.text is not None and self.span is not None:
            lines += _quoted(self.text, *self.span)
        if self.hint:
            lines.append(f"  {self.hint}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        state = {"text": self.text, "span": self.span, "hint": self.hint}
        return (_rebuild, (type(self), self.message, state))


def _rebuild(kind: type[Mistake], message: str, state: dict[str, object]) -> Mistake:
    return kind(message, **state)  # type: ignore[arg-type]


def _quoted(text: str, start: int, stop: int) -> list[str]:
    """The line of the text that holds the place, cut to a readable width, and carets under it."""
    begin = text.rfind("\n", 0, start) + 1
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    stop = min(max(stop, start + 1), max(end, start + 1))
    left = begin if stop - begin <= QUOTED else max(begin, start - QUOTED // 2)
    right = min(end, left + QUOTED)
    before, after = ("…" if left > begin else ""), ("…" if right < end else "")
    carets = "^" * max(1, min(stop, right + 1) - start)
    line = (before + text[left:right] + after).replace("\t", " ")
    return ["    " + line, "    " + " " * (start - left + len(before)) + carets]


class SyntaxMistake(Mistake):
    """The text is not a sentence of the language."""


class NameMistake(Mistake):
    """A name or a word that nobody knows."""


class ShapeMistake(Mistake):
    """Shapes that do not fit."""


class ValueMistake(WrtError, ValueError):
    """Arrays of the wrong name, shape, type or size."""


class NotDifferentiable(WrtError):
    """A derivative that does not exist, or a function without a rule."""


class TooLarge(WrtError):
    """A result or an input beyond a stated limit."""


class CheckFailed(WrtError):
    """A derivative disagreed with its own numerical proof; it is reported, never printed."""
