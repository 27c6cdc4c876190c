"""The command line: `wrt FORMULA NAME…`, `wrt recurrence FILE NAME…`, `wrt check FILE:FUNCTION
FORMULA NAME…`, `wrt help WORD`, `wrt functions`.

Exit codes: 0 answered (with any verdict on a claim), 1 a mistake in the question, 2 wrong use of
the command, 3 a failed check.
Everything is loaded on use, so that a cold start is short: a formula and names alone need nothing
that reads options.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from wrt.errors import CheckFailed, Mistake, TooLarge, WrtError
from wrt.expression.collecting import postponed

__all__ = ["main"]

ANSWERED, MISTAKE, FAILED, INTERRUPTED = 0, 1, 3, 130
#: What a first word may be that is no formula.
COMMANDS = frozenset({"recurrence", "check", "help", "functions"})


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code.

    Of all that a question makes, little is freed before the process ends: a search for rings in it
    would find nothing, and took a fifth of the time.
    """
    with postponed:
        code = run(list(map(_decoded, sys.argv[1:]) if arguments is None else arguments))
        gc.freeze()
    sys.exit(code)


def run(given: list[str]) -> int:
    """Run the command line; the exit code.

    >>> run(["A*x", "x", "--latex"])
    A
    0
    >>> run(["A*x"])
    2
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = _run(given)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ANSWERED
    return code


def _run(given: list[str]) -> int:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an answer or a mistake, not NumPy's asides
            return _dispatched(given)
    except CheckFailed as failure:
        return _told(failure, FAILED)
    except WrtError as mistake:
        return _told(_of_a_command(mistake, given), MISTAKE)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except MemoryError as error:
        return _told(TooLarge(f"this does not fit into memory: {error}"), MISTAKE)
    except Exception as fault:
        if os.environ.get("WRT_DEBUG"):
            raise
        return _apology(given, fault)


def _decoded(word: str) -> str:
    """An argument in UTF-8, whatever the locale says of the terminal."""
    try:
        return word if word.isascii() else os.fsencode(word).decode("utf-8")
    except UnicodeError:
        return word


def _of_a_command(mistake: WrtError, given: list[str]) -> WrtError:
    """The mistake, with the command that was meant where a first word is nearly one."""
    from difflib import get_close_matches

    near = get_close_matches(given[0], COMMANDS, 1, 0.8) if given else []
    if near and given[0] != near[0] and isinstance(mistake, Mistake):
        mistake.hint = f"did you mean wrt {near[0]}?"
    return mistake


def _dispatched(given: list[str]) -> int:
    if len(given) < 2 or given[0] in COMMANDS or any(word.startswith("--") for word in given):
        from wrt.apps.options import by_options

        return by_options(given)
    from wrt.apps.question import Options, answer_one, formula_of

    answer_one(formula_of(given[0]), given[1:], Options())
    return ANSWERED


def _told(error: WrtError, code: int) -> int:
    """Tell a mistake as its room has worded it, what is wrong in bold on a terminal."""
    from wrt.apps.page import printable
    from wrt.apps.question import in_colour

    text = str(error)
    if in_colour(sys.stderr) and isinstance(error, Mistake):
        text = f"\x1b[1m{printable(error.message)}\x1b[0m" + printable(text[len(error.message) :])
        print(text, file=sys.stderr)
        return code
    print(printable(text), file=sys.stderr)
    return code


def _apology(given: list[str], fault: Exception) -> int:
    """A fault of ours: no traceback, but enough to report it by."""
    from wrt.apps.page import printable

    question = " ".join(given)
    question = question if len(question) <= 72 else question[:71] + "…"
    said = " ".join(str(fault).split())[:200]
    print(
        printable(
            f"wrt failed on: {question}\n"
            f"  this is a fault of wrt and not of the question; please report it\n"
            f"  ({type(fault).__name__}: {said}; WRT_DEBUG=1 shows where)"
        ),
        file=sys.stderr,
    )
    return MISTAKE
