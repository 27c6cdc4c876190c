"""Lines on a page: labels in one column, text in the other, nothing wider than the page.

Long formulas break at their spaces and operators and hang under their column; what is longer than a
page has patience for is cut, with a note on how to get the whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from wrt.expression.dataclass import dataclass, field

__all__ = ["LABELS", "Page", "printable", "unbroken", "wrapped"]

#: The column in which the text begins.
LABELS = 17
#: Rows of more lines than this are cut, unless the whole was asked for.
MOST_LINES = 6
#: A page is never wider than this, so that lines stay readable on a wide screen.
WIDEST = 100

_STYLES = {"head": "\x1b[1m", "label": "\x1b[36m", "faint": "\x1b[2m", "good": "\x1b[32m"}
_END = "\x1b[0m"
#: A space at which no line ends.
_KEPT = "\u00a0"
#: Where a long word may be broken: after a comma, an opening bracket or an operator.
_PIECES = re.compile(rf"[^,;(*/+{_KEPT}-]*[,;(*/+{_KEPT}-]+|.+")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(text: str) -> str:
    """The text without characters that would steer a terminal.

    >>> printable("a\\x1b[31m + b")
    'a�[31m + b'
    """
    return _CONTROL.sub("�", text)


def unbroken(text: str) -> str:
    """The text as one word, which is kept on one line where that is possible."""
    return text.replace(" ", _KEPT)


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most this width: broken at spaces, long words after their operators.

    >>> wrapped("2*A'*(A*x - b) + diag(exp(x))", 11)
    ["2*A'*(A*x -", 'b) + diag(', 'exp(x))']
    """
    return [line for paragraph in text.split("\n") for line in _lines(paragraph, width)]


def _lines(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        gap = " " if lines[-1] else ""
        if len(lines[-1]) + len(gap) + len(word) <= width:
            lines[-1] += gap + word
        elif len(word) <= width:
            lines.append(word)
        else:
            lines[-1] += gap
            for piece in _pieces(word, width):
                if len(lines[-1]) + len(piece) > width:
                    lines.append("")
                lines[-1] += piece
    return [line.replace(_KEPT, " ").rstrip() for line in lines if line.strip()] or [""]


def _pieces(word: str, width: int) -> Iterable[str]:
    for match in _PIECES.finditer(word):
        for start in range(0, len(match[0]), width):
            yield match[0][start : start + width]


@dataclass
class Page:
    """A page being written.

    >>> page = Page(width=40)
    >>> page.row("structure", "8 of 16 entries can differ from 0")
    >>> print(page)
      structure      8 of 16 entries can
                     differ from 0
    """

    width: int = 80
    colour: bool = False
    #: Whether long rows are given whole.
    full: bool = False
    lines: list[str] = field(default_factory=list)
    #: Whether a row was cut.
    cut: bool = False

    def __post_init__(self) -> None:
        self.width = max(30, min(self.width, WIDEST))

    def __str__(self) -> str:
        return "\n".join(self.lines)

    @property
    def room(self) -> int:
        """The width of the column of text."""
        return self.width - LABELS

    def head(self, title: str, text: str) -> None:
        """The first line: what was asked, and what kind of thing the answer is."""
        title, text = printable(title), printable(text)
        gap = " " * max(2, LABELS - len(title))
        if len(title) + len(gap) + len(text) <= self.width:
            self.lines.append(self.styled("head", title) + gap + text)
            return
        self.lines += [self.styled("head", line) for line in wrapped(title, self.width)]
        self.lines += [" " * LABELS + line for line in wrapped(text, self.room)]

    def row(self, label: str, text: str, style: str = "") -> None:
        """A label and its text, wrapped under its column and cut where it is very long."""
        self.block(label, self.shortened(wrapped(printable(text), self.room)), style)

    def shortened(self, lines: Sequence[str]) -> list[str]:
        """At most so many lines as a page has patience for, and how to get the others."""
        if self.full or len(lines) <= MOST_LINES:
            return list(lines)
        self.cut = True
        total = sum(len(line) for line in lines)
        kept = [*lines[: MOST_LINES - 1]]
        return [*kept, *wrapped(f"… {total} characters; --full or --json give all", self.room)]

    def block(self, label: str, lines: Iterable[str], style: str = "") -> None:
        """A label and lines that are laid out already."""
        first = f"  {label}".ljust(LABELS - 1) + " "
        for line in lines:
            shown = self.styled(style, line) if style else line
            self.lines.append((self.styled("label", first) + shown).rstrip())
            first = " " * LABELS

    def styled(self, style: str, text: str) -> str:
        """The text in a style, on a page in colour."""
        return f"{_STYLES[style]}{text}{_END}" if self.colour and text.strip() else text
