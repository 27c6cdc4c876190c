"""`python -m benchmarks`: the table of programs, then deriving, growth and cold starts.

`--quick` takes the smaller sizes and fewer sections, `--only TEXT` the workloads whose name has it,
`--sections programs,deriving` some of the parts; `--threads 1` steadies times on a busy machine.
`--json FILE`, `--svg FILE` and `--docs FILE` write what was measured.
"""

from __future__ import annotations

import argparse
import json
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.machine import described, limit_threads, versions

SECTIONS = ("programs", "deriving", "growth", "starts")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, a few minutes")
    parser.add_argument("--only", default="", metavar="TEXT", help="workloads with this name")
    parser.add_argument("--sections", default=",".join(SECTIONS), metavar="NAMES")
    parser.add_argument("--threads", type=int, metavar="N", help="fewer, on a busy machine")
    for word in ("json", "svg", "docs"):
        parser.add_argument(f"--{word}", type=Path, metavar="FILE")
    options = parser.parse_args()
    limit_threads(options.threads)
    line = described()
    installed = ", ".join(f"{name} {number}" for name, number in versions().items())
    print(f"{line}\n{installed}\n")
    found: dict[str, Any] = {"machine": line, "versions": versions(), "date": f"{date.today()}"}
    for section in options.sections.split(","):
        found[section] = measure(section, options.quick, options.only)
    write(found, options)


def measure(section: str, quick: bool, only: str) -> Any:
    """One part, printed as it goes; what it found as plain data."""
    if section == "programs":
        from benchmarks import machine, programs

        rates = machine.rates()
        print(
            f"floor: {rates.flops / 1e9:.0f} GFlop/s in a product,"
            f" {rates.bytes / 1e9:.1f} GB/s in a copy, float64\n{programs.heading()}"
        )
        rows = []
        for row in programs.rows(quick, only, rates):
            rows.append(row)
            print(programs.show(row), flush=True)
        lines = programs.summary(rows) if rows else []
        print("\n" + "\n".join(lines))
        return {"rates": rates.__dict__, "rows": [r.plain() for r in rows], "summary": lines}
    from benchmarks import deriving, growth, starts

    module = {"deriving": deriving, "growth": growth, "starts": starts}[section]
    return module.measure(quick)


def write(found: dict[str, Any], options: argparse.Namespace) -> None:
    """The files that were asked for."""
    if options.json:
        options.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    if options.svg or options.docs:
        from benchmarks import report
    if options.svg:
        options.svg.write_text(report.chart(found))
    if options.docs:
        options.docs.write_text(report.page(found))


if __name__ == "__main__":
    main()
