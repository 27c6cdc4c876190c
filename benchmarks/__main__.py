"""`python -m benchmarks`: the table of programs, then deriving, growth and cold starts.

`--quick` takes small sizes and few of them, `--only TEXT` the programs whose name or kind has it
(`dense`, `through time`, `structured`), `--sections programs,deriving` some of the parts;
`--threads 1` steadies times on a busy machine. `--json FILE`, `--svg FILE` (and beside it the file
of the curves, `…-growth.svg`) and `--docs FILE` write what was measured.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.machine import described, limit_threads, versions

__all__ = ["main"]

SECTIONS = ("programs", "deriving", "growth", "starts")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, two minutes")
    parser.add_argument("--only", default="", metavar="TEXT", help="programs with this name")
    parser.add_argument("--sections", type=_sections, default=SECTIONS, metavar="NAMES")
    parser.add_argument("--threads", type=_count, metavar="N", help="fewer, on a busy machine")
    for word in ("json", "svg", "docs"):
        parser.add_argument(f"--{word}", type=_writable, metavar="FILE")
    options = parser.parse_args(arguments)
    limit_threads(options.threads)
    if options.only and not _names(options.only):
        parser.error(f"no program is called {options.only!r}; there are\n  " + _every_name())
    line = described()
    installed = ", ".join(f"{name} {number}" for name, number in versions().items())
    print(f"{line}\n{installed}")
    found: dict[str, Any] = {"machine": line, "versions": versions(), "date": f"{date.today()}"}
    found["quick"] = options.quick
    for section in options.sections:
        start = time.perf_counter()
        found[section] = measure(section, options.quick, options.only)
        print(f"\n{section} measured in {time.perf_counter() - start:.0f} s", flush=True)
    write(found, options)


def measure(section: str, quick: bool, only: str = "") -> Any:
    """One part, printed as it goes; what it found as plain data."""
    if section == "programs":
        return _programs(quick, only)
    from benchmarks import deriving, growth, starts

    module = {"deriving": deriving, "growth": growth, "starts": starts}[section]
    return module.measure(quick)


def _programs(quick: bool, only: str) -> dict[str, Any]:
    from benchmarks import machine, rows

    rates = machine.rates()
    print(
        f"floor: {rates.flops / 1e9:.0f} GFlop/s in a product,"
        f" {rates.bytes / 1e9:.1f} GB/s in a copy, float64"
    )
    found: list[rows.Row] = []
    for row in rows.rows(quick, only, rates):
        if not found or found[-1].group != row.group:
            print(rows.heading(row.group))
        found.append(row)
        print(rows.show(row), flush=True)
    told = rows.summary(found)
    for group, lines in told.items():
        print(f"\n{group}\n  " + "\n  ".join(lines))
    return {"rates": rates.__dict__, "rows": [r.plain() for r in found], "summary": told}


def write(found: dict[str, Any], options: argparse.Namespace) -> None:
    """The files that were asked for."""
    from benchmarks import chart, report

    if options.json:
        options.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    if options.svg:
        options.svg.write_text(chart.chart(found))
        options.svg.with_stem(f"{options.svg.stem}-growth").write_text(chart.curves(found))
    if options.docs:
        options.docs.write_text(report.page(found))


# What may be asked


def _sections(text: str) -> tuple[str, ...]:
    wanted = tuple(text.split(","))
    for name in wanted:
        if name not in SECTIONS:
            raise argparse.ArgumentTypeError(f"{name!r} is none; {', '.join(SECTIONS)} are")
    return wanted


def _count(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of threads, 1 or more")
    return int(text)


def _writable(text: str) -> Path:
    """A file that can be written when all is measured, not found out then."""
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no file in a folder that is there")
    return path


def _names(only: str) -> list[str]:
    from benchmarks import rows

    return [work.name for work, _ in rows.chosen(False, only)]


def _every_name() -> str:
    return "\n  ".join(dict.fromkeys(_names("")))


if __name__ == "__main__":
    main()
