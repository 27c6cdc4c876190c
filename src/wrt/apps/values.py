"""What is given on the command line beside the formula: shapes, arrays, the place of an entry."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["arrays", "indices", "shapes", "sizes"]

#: A complex number, and one that stands in JSON without quotes.
_REAL = r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_COMPLEX = rf"[-+]?(?:{_REAL}[-+])?(?:{_REAL})?[ij]"
_BARE = rf"(?<=[\[,\s])({_COMPLEX})(?=[\],\s])"
#: A name, also in LaTeX (`W_{hh}`, `\\theta`), and what is said of it.
_GIVEN = re.compile(r"\s*((?:[^\W\d]\w*|[\\\w][\\\w{}]*)'*)\s*=(.*)", re.DOTALL)
#: A dimension and its size; no array has a side of more than 18 digits.
_SIZE = re.compile(r"\s*([^\s=]+)\s*=\s*(\d{1,18})\s*")
#: A file of values in JSON is refused beyond this many bytes.
MOST_BYTES = 100_000_000


def shapes(given: Iterable[str]) -> dict[str, str]:
    """Declarations, `NAME=AXES`, as `wrt.derivative` takes them.

    >>> shapes(["W=2,4", "A=n,n symmetric", "a=", "phi=entrywise"])
    {'W': '2 4', 'A': 'n n symmetric', 'a': '', 'phi': 'entrywise'}
    """
    found: dict[str, str] = {}
    for text in given:
        match = _GIVEN.fullmatch(text)
        if not match or re.search(r",\s*(,|$)", match[2]):
            raise click.BadParameter(
                f"{text!r} declares nothing; write NAME=AXES, as in --shape W=n,m",
                param_hint="--shape",
            )
        name, shape = _plain(match[1]), match[2]
        if name in found:
            raise click.BadParameter(f"{name} is declared twice", param_hint="--shape")
        found[name] = shape if "->" in shape else " ".join(shape.replace(",", " ").split())
    return found


def _plain(name: str) -> str:
    """A name in the text language; LaTeX is loaded only for what may be it."""
    if not any(sign in name for sign in "\\{}"):
        return name
    from wrt.language.latex_lines import plain_name

    return plain_name(name)


def sizes(given: Iterable[str]) -> dict[str, int]:
    """Sizes of dimensions, `NAME=NUMBER`, several with commas between them.

    >>> sizes(["n=1000,m=20", "k = 3"])
    {'n': 1000, 'm': 20, 'k': 3}
    """
    found: dict[str, int] = {}
    for text in given:
        for part in text.split(","):
            match = _SIZE.fullmatch(part)
            if not match:
                raise click.BadParameter(
                    f"{part!r} is no size; write NAME=NUMBER, as in --size n=1000,m=20",
                    param_hint="--size",
                )
            found[_plain(match[1])] = int(match[2])
    return found


def indices(text: str) -> tuple[int, ...]:
    """The place of an entry, counted from 1.

    >>> indices("1, 2,3"), indices("()")
    ((1, 2, 3), ())
    """
    inside = text.strip().strip("[]()").strip()
    if not inside:
        return ()
    try:
        return tuple(int(part) for part in re.split(r"[,\s]+", inside))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no entry; write whole numbers counted from 1, as in --entry 1,2,3",
            param_hint="--entry",
        ) from None


def arrays(given: Iterable[str]) -> tuple[dict[str, Any], frozenset[str]]:
    """Arrays by name, from `NAME=VALUE`, `.npz` and `.json`; and the names that came from files.

    A complex number is a text in JSON, "1+2i", its quotes left out behind `NAME=`.

    >>> arrays(["a=2", "x=[1, 2.5]", "z=[1+2i, 3i]"])
    ({'a': 2, 'x': [1, 2.5], 'z': [(1+2j), 3j]}, frozenset())
    """
    found: dict[str, Any] = {}
    filed: set[str] = set()
    for text in given:
        match = _GIVEN.fullmatch(text)
        if match:  # a file of such a name is given as ./x=1.npz
            name = _plain(match[1])
            found[name] = _inline(name, match[2])
            filed.discard(name)
        else:
            from pathlib import Path

            read = _file(Path(text))
            found.update(read)
            filed.update(read)
    return found, frozenset(filed)


def _inline(name: str, text: str) -> Any:
    import json

    try:
        return _numbers(json.loads(re.sub(_BARE, r'"\1"', f" {text} ")))
    except (ValueError, RecursionError):
        raise click.BadParameter(
            f"{name}={text} is no value; write a number or an array in JSON, as in x=[1,2,3] "
            "or z=[1+2i,3i]",
            param_hint="--at",
        ) from None


def _file(path: Path) -> dict[str, Any]:
    try:
        if path.suffix == ".json":
            return _json(path)
        if path.suffix == ".npz":
            return _npz(path)
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise click.BadParameter(f"{path}: {reason}", param_hint="--at") from None
    raise click.BadParameter(
        f"{path} is neither NAME=VALUE nor a file that ends in .npz or .json", param_hint="--at"
    )


def _json(path: Path) -> dict[str, Any]:
    import json

    if path.stat().st_size > MOST_BYTES:
        raise click.BadParameter(f"{path} is larger than {MOST_BYTES} bytes", param_hint="--at")
    try:
        read = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"{path} is no JSON: {error}", param_hint="--at") from None
    if not isinstance(read, dict):
        raise click.BadParameter(f"{path} has no names; want {{name: array}}", param_hint="--at")
    return {name: _numbers(value) for name, value in read.items()}


def _numbers(value: Any) -> Any:
    """A value of JSON with its texts as complex numbers, where they are such."""
    if isinstance(value, list):
        return [_numbers(one) for one in value]
    if isinstance(value, str) and re.fullmatch(_COMPLEX, value.replace(" ", "")):
        return complex(value.replace(" ", "").replace("i", "j"))
    return value


def _npz(path: Path) -> dict[str, Any]:
    from zipfile import BadZipFile

    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)
    except (ValueError, BadZipFile) as error:
        why = "it is no file of numpy.savez" if "allow_pickle=" in str(error) else str(error)
        raise click.BadParameter(f"{path} holds no arrays: {why}", param_hint="--at") from None
