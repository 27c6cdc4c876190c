"""Runs that were written: joined into one, and continued where they broke off."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.rows import Row, key, ordered, summary

__all__ = ["Mixed", "joined", "programs", "read"]

#: What has to be the same in runs that are joined.
SAME = ("machine", "versions", "quick")


class Mixed(ValueError):
    """Runs that were not measured alike."""


def read(path: Path) -> dict[str, Any]:
    """What a run wrote."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def joined(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One run of several: of what two have, the later has it; rows of programs come together."""
    found: dict[str, Any] = {}
    for run in runs:
        for word in SAME:
            if word in found and _plain(found[word]) != _plain(run.get(word)):
                raise Mixed(f"{word}: {found[word]} in one file, {run.get(word)} in another")
        before = found.get("programs", {})
        found |= run
        if before and "programs" in run:
            rows = [Row.of(row) for part in (before, run["programs"]) for row in part["rows"]]
            found["programs"] = programs(rows, run["programs"]["rates"])
    return found


def _plain(told: Any) -> Any:
    """The machine without its load."""
    return told.partition(", load")[0] if isinstance(told, str) else told


def programs(rows: Sequence[Row], rates: Mapping[str, float]) -> dict[str, Any]:
    """Rows in the order of the table, the later of two at one size, and what they come to."""
    last = ordered({key(row): row for row in rows}.values())
    return {"rates": dict(rates), "rows": [r.plain() for r in last], "summary": summary(last)}
