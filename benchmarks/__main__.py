"""`python -m benchmarks`: the table of programs, then deriving, growth and cold starts.

`--quick` takes small sizes and few of them, `--only TEXT` the programs whose name or kind has it
(`dense`, `through time`, `structured`), `--sections programs,deriving` some of the parts;
`--threads 1` steadies times on a busy machine. `--json FILE`, `--svg FILE` (and beside it the file
of the curves, `…-growth.svg`) and `--docs FILE` write what was measured; the first of them as it
goes, row by row.

`--device gpu` measures our programs and the peers' for JAX and PyTorch on an accelerator, where
there is one, and nothing else.

`--from FILE …` takes what such files hold and measures the rest of what is asked for: a run that
broke off goes on with `--from run.json --json run.json`, and parts that were measured one by one
become a page with `--from dense.json rest.json --docs FILE`.
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
#: What `--device gpu` measures, and nothing else.
ACCELERATED = ("accelerator",)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, two minutes")
    parser.add_argument("--only", default="", metavar="TEXT", help="programs with this name")
    parser.add_argument("--sections", type=_sections, default=SECTIONS, metavar="NAMES")
    parser.add_argument("--threads", type=_count, metavar="N", help="fewer, on a busy machine")
    parser.add_argument("--from", dest="there", nargs="+", type=_run, default=[], metavar="FILE")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    for word in ("json", "svg", "docs"):
        parser.add_argument(f"--{word}", type=_writable, metavar="FILE")
    options = parser.parse_args(arguments)
    if options.device == "gpu":
        options.sections = ACCELERATED
    limit_threads(options.threads, options.device)
    if options.only and not _names(options.only):
        parser.error(f"no program is called {options.only!r}; there are\n  " + _every_name())
    found: dict[str, Any] = {"machine": described(), "versions": versions()}
    found |= {"date": f"{date.today()}", "quick": options.quick}
    if options.there:
        found = _joined(found, options, parser)
    installed = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    print(f"{found['machine']}\n{installed}")
    for section in _lacking(found, options):
        start = time.perf_counter()
        measure(section, options, found)
        print(f"\n{section} measured in {time.perf_counter() - start:.0f} s", flush=True)
        _keep(found, options)
    write(found, options)


def _joined(
    now: dict[str, Any], options: argparse.Namespace, parser: argparse.ArgumentParser
) -> dict[str, Any]:
    """What the files hold, and where something is to be measured still, this machine's lines."""
    from benchmarks import kept

    try:
        there = kept.joined(options.there)
        return kept.joined([there, now]) if _lacking(there, options) else there
    except kept.Mixed as error:
        parser.error(f"these were not measured alike: {error}")


def _lacking(found: dict[str, Any], options: argparse.Namespace) -> list[str]:
    """The sections that are asked for and not there, or not whole."""
    from benchmarks import rows

    there = {rows.key(rows.Row.of(row)) for row in found.get("programs", {}).get("rows", ())}
    asked = (rows.place(work, sizes) for work, sizes in rows.chosen(options.quick, options.only))
    whole = "programs" in options.sections and all(one in there for one in asked)
    return [s for s in options.sections if not (whole if s == "programs" else s in found)]


def measure(section: str, options: argparse.Namespace, found: dict[str, Any]) -> None:
    """One part, printed as it goes, into what was found, as plain data."""
    from benchmarks import accelerator, deriving, growth, starts

    if section == "programs":
        _programs(options, found)
    elif section == "accelerator":
        found[section] = accelerator.measure(options.quick, options.only)
    else:
        module = {"deriving": deriving, "growth": growth, "starts": starts}[section]
        found[section] = module.measure(options.quick)


def _programs(options: argparse.Namespace, found: dict[str, Any]) -> None:
    """The rows that are asked for and not there, each kept when it is measured."""
    from benchmarks import kept, machine, rows

    have = [rows.Row.of(row) for row in found.get("programs", {}).get("rows", ())]
    there = {rows.key(row) for row in have}
    rates, group = machine.rates(), ""
    print(
        f"floor: {rates.flops / 1e9:.0f} GFlop/s in a product,"
        f" {rates.bytes / 1e9:.1f} GB/s in a copy, float64"
    )
    for row in rows.rows(options.quick, options.only, rates, there):
        if row.group != group:
            group = row.group
            print(rows.heading(group))
        print(rows.show(row), flush=True)
        have.append(row)
        found["programs"] = kept.programs(have, rates.__dict__)
        _keep(found, options)
    for group, lines in found.get("programs", {}).get("summary", {}).items():
        print(f"\n{group}\n  " + "\n  ".join(lines))


def _keep(found: dict[str, Any], options: argparse.Namespace) -> None:
    """What was measured so far: nothing is lost where a run breaks off."""
    if options.json:
        text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
        half = options.json.with_name(f"{options.json.name}.part")
        half.write_text(text)
        half.replace(options.json)


def write(found: dict[str, Any], options: argparse.Namespace) -> None:
    """The files that were asked for."""
    from benchmarks import chart, report

    _keep(found, options)
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


def _run(text: str) -> dict[str, Any]:
    """What a run wrote."""
    from benchmarks import kept

    try:
        return kept.read(Path(text))
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} holds no run ({error})") from None


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
