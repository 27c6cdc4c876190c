"""Checking a gradient in code from the command line: finding the function, showing what was found.

The schema of `--json` is `wrt.check/1`, as docs/json.md tells.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from wrt import __version__
from wrt.apps.answer_json import plain
from wrt.apps.answer_text import spaced, typeset
from wrt.errors import ValueMistake

if TYPE_CHECKING:
    from wrt.answers.handwritten import GradientCheck
    from wrt.apps.page import Page

__all__ = ["as_json", "loaded", "write_check"]


def loaded(target: str) -> Any:
    """The function of `file.py:function` or `package.module:function`.

    Raises ValueMistake where the file cannot be run or lacks the function.
    """
    place, colon, name = target.rpartition(":")
    if not colon or not name or not place:
        raise click.BadParameter(
            f"{target!r} names no function; write FILE:FUNCTION, as in gradients.py:backward",
            param_hint="FILE:FUNCTION",
        )
    found: Any = _module(place)
    for part in name.split("."):
        if not hasattr(found, part):
            from difflib import get_close_matches

            near = get_close_matches(part, [n for n in vars(found) if not n.startswith("_")], 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueMistake(f"{place} has no function {name}{hint}")
        found = getattr(found, part)
    return found


def _module(place: str) -> ModuleType:
    path = Path(place)
    if path.suffix == ".py":
        if not path.is_file():
            raise click.BadParameter(f"{place}: no such file", param_hint="FILE:FUNCTION")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.path.insert(0, str(path.resolve().parent))
        sys.modules.setdefault(path.stem, module)
        _run(place, lambda: spec.loader.exec_module(module))
        return module
    sys.path.insert(0, "")
    made: list[ModuleType] = []
    _run(place, lambda: made.append(importlib.import_module(place)))
    return made[0]


def _run(place: str, action: Any) -> None:
    """Run a person's module; what it raises is told with its line."""
    try:
        action()
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "importlib" not in f[0]]
        last = frames[-1] if len(frames) > 2 else None
        at = f"\n  {last.filename}, line {last.lineno}: {last.line}" if last else ""
        raise ValueMistake(f"{place} raised {type(error).__name__}: {error}{at}") from None


def write_check(target: str, found: GradientCheck, page: Page) -> None:
    """Write what was found on a page, for each variable in turn."""
    for one in found.parts or (found,):
        page.lines += [""] * bool(page.lines)
        page.head(f"{target}", f"beside {one.title}")
        page.row("verdict", one.sentence, "good" if one.passed else "head")
        for fault in one.faults:
            page.row("", fault)
        if not one.passed:
            written = one.truth
            page.row("derivative", typeset(written) if "D[" in written else spaced(written))
        if one.where:
            page.row("worst", one.said_where)
        count = "1 place" if one.places == 1 else f"{one.places} places"
        page.row("checked", f"{count}, largest relative error {one.error:.0e}")


def as_json(target: str, found: GradientCheck) -> str:
    """What was found, as the schema of this module says."""
    made = {
        "schema": "wrt.check/1",
        "version": __version__,
        "target": target,
        "passed": found.passed,
        "parts": [_part(one) for one in found.parts or (found,)],
    }
    return json.dumps(made, ensure_ascii=False, indent=1, allow_nan=False)


def _part(one: GradientCheck) -> dict[str, Any]:
    worst = None
    if one.where:
        entry, got, wanted = one.where
        worst = {"entry": list(entry), "got": plain(got), "wanted": plain(wanted)}
    return {
        "name": one.name,
        "verdict": one.kind,
        "sentence": one.sentence,
        "faults": list(one.faults),
        "derivative": one.truth,
        "error": plain(one.error),
        "places": one.places,
        "worst": worst,
    }
