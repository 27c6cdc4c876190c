"""What was measured as a page: docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks import aims
from benchmarks.tasks import GROUPS

__all__ = ["page", "times"]

Found = Mapping[str, Any]

#: The heading of a kind of answers, what its peers are, and which columns it has.
KINDS: Mapping[str, tuple[str, str]] = {
    "dense": (
        "Dense answers",
        "Every entry written. `jax` is jitted `jax.hessian`, `jax.jacrev` (`jax.jacfwd` where that"
        " is faster) or `jax.grad` in the precision of the row, with its arguments on the device;"
        " `torch` is `torch.func` as it stands: `torch.compile`, tried on attention, made a tenth"
        " of difference, either way. tensorgrad's programs want a PyTorch of named tensors, which"
        " this one is not; SymPy, CasADi, UFL and tensorgrad stand under Deriving.",
    ),
    "through time": (
        "Through time",
        "T steps of a state of n entries, B sequences at once in a batch. `jax` is jitted"
        " `jax.jacrev` or `jax.grad` of `lax.scan`, inputs multiplied before it, for a gradient the"
        " gates as one product; `torch` is"
        " `torch.func.jacrev` of a loop, and for gradients of a loss `torch.nn.RNN`, `LSTM` or"
        " `GRU` with autograd.",
    ),
    "structured": (
        "Structured answers",
        "What is not formed: products with a direction V; Newton steps; derivatives through time as"
        ' factors. `· V` is the program along a direction, `compile(direction="V")`; `bind and'
        " apply` takes the same values, binds a structured answer to them and applies it, in JAX as"
        " one jitted function; `bound` applies one that is bound. `jax` and `torch` are `jax.jvp`"
        " (jitted) and `torch.func.jvp` of the same map, for a bound answer what `jax.linearize`"
        " keeps; for a Newton step conjugate gradients on that; for contributions a copy of W for"
        " every step, and hooks. `dense` is the whole derivative by jitted JAX, or what is done"
        " with it.",
    ),
}


def page(found: Found) -> str:
    """The page of the latest run."""
    installed = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    small = " This is a quick run, of few sizes." if found.get("quick") else ""
    parts = [
        "# Benchmarks",
        "",
        "`make bench` measures all of this again and writes this page; `make bench-quick` measures"
        " small sizes in two minutes. A run that broke off goes on with `make bench"
        " BENCH='--from docs/benchmarks.json'`, and parts that were measured one by one (`python -m"
        " benchmarks --sections programs --only dense --json dense.json`) become one page by"
        " `--from dense.json rest.json`." + small,
        "",
        f"Measured on {found['date']}: {found['machine']}.",
        f"With {installed}.",
        "",
        *aims.told(found),
        *_programs(found.get("programs")),
        *(_accelerator(found.get("accelerator")) if "programs" in found else ()),
        *_deriving(found.get("deriving")),
        *_growth(found.get("growth")),
        *_starts(found.get("starts")),
    ]
    return "\n".join(parts).rstrip() + "\n"


# Programs


def _programs(found: Found | None) -> Iterable[str]:
    if not found or not found["rows"]:
        return
    rates = found["rates"]
    yield from (
        "## Programs",
        "",
        "How many times as long as ours each system takes, in the same round: medians of seven"
        " alternating rounds, results checked"
        " equal first (1e-9, in single precision 1e-4). Ours is the faster of our programs for"
        " NumPy and for JAX (jitted). `by hand` and `floor` are the time of the one for NumPy over"
        " that of the best that a person would write in NumPy, and over the least that this machine"
        " needs for the operations and the bytes"
        f" ({rates['flops'] / 1e9:.0f} GFlop/s in a product, {rates['bytes'] / 1e9:.0f} GB/s in a"
        " copy, in the same run). A peer's column has its quartiles; – is where it does not take"
        " part, would not fit, or takes more than ten seconds.",
        "",
        "![how far ahead](benchmarks.svg)",
        "",
    )
    for group in GROUPS:
        rows = [row for row in found["rows"] if row["group"] == group]
        if rows:
            yield from _group(group, rows, found["summary"].get(group, ()))


def _group(group: str, rows: Iterable[Found], summary: Iterable[str]) -> Iterable[str]:
    rows = list(rows)
    heading, peers = KINDS[group]
    systems = [s for s in ("jax", "torch", "dense") if any(s in r["ratios"] for r in rows)]
    ours = "NumPy, ms | JAX, ms" if any("wrt, jax" in r["seconds"] for r in rows) else "NumPy, ms"
    columns = ["program", "sizes", *ours.split(" | "), *systems, "by hand", "floor"]
    yield from (f"### {heading}", "", peers, "")
    yield f"| {' | '.join(columns)} |"
    yield f"|---|---|{'--:|' * (len(columns) - 2)}"
    for row in rows:
        cells = [row["name"], ", ".join(f"{n} = {s:,}" for n, s in row["sizes"].items())]
        cells += [_milliseconds(row["seconds"].get(name)) for name in _names(ours)]
        cells += [_spread(row["ratios"].get(s)) for s in systems]
        cells += [f"{row['to_hand']:.2f}", times(row["to_floor"])]
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""
    yield from (f"- {line}" for line in summary)
    yield ""


def _names(ours: str) -> tuple[str, ...]:
    return ("wrt", "wrt, jax") if "JAX" in ours else ("wrt",)


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{1e3 * seconds:,.0f}" if seconds >= 1 else f"{1e3 * seconds:.3g}"


def _spread(ratio: Mapping[str, float] | None) -> str:
    if ratio is None:
        return "–"
    return f"{times(ratio['median'])} ({times(ratio['low'])}–{times(ratio['high'])})"


def times(ratio: float) -> str:
    """How many times, as short as it says enough."""
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:,.0f}"


# On a GPU


def _accelerator(found: Found | None) -> Iterable[str]:
    yield from ("### On a GPU", "")
    if not found or not found["rows"]:
        yield (
            "No GPU was at hand: JAX and PyTorch ran on the processor. Programs name no device and"
            " run where their arrays lie; `python -m benchmarks --device gpu` measures them there."
        )
        yield ""
        return
    where = ", ".join(sorted(set(found["devices"].values())))
    yield f"Milliseconds on {where}, results compared with those by hand first."
    systems = ("wrt, jax", "jax", "wrt, torch", "torch")
    yield from ("", f"| program | sizes | {' | '.join(systems)} |", f"|---|---|{'--:|' * 4}")
    for row in found["rows"]:
        sizes = ", ".join(f"{n} = {s:,}" for n, s in row["sizes"].items())
        cells = (_milliseconds(row["seconds"].get(name)) for name in systems)
        yield f"| {row['name'].replace('|', chr(92) + '|')} | {sizes} | {' | '.join(cells)} |"
    yield ""


# Deriving, growth, starts


def _table(found: Mapping[str, Mapping[str, float]]) -> Iterable[str]:
    yield "| | median | fastest | slowest |"
    yield "|---|--:|--:|--:|"
    for name, one in found.items():
        cells = " | ".join(f"{1e3 * t:,.2f} ms" for t in one.values())
        yield f"| {name.replace('|', chr(92) + '|')} | {cells} |"
    yield ""


def _deriving(found: Found | None) -> Iterable[str]:
    if not found:
        return
    yield from ("## Deriving", "")
    for title, one in found.items():
        if title == "cases":
            for kind, numbers in one.items():
                yield (
                    f"Every question of the tests, {kind}: median {1e3 * numbers['median']:.1f} ms,"
                    f" slowest {1e3 * numbers['slowest']:.0f} ms."
                )
            yield ""
            continue
        heading = "Least squares, the gradient by x, with peers" if title == "peers" else title
        yield from (f"### {heading[0].upper()}{heading[1:]}", "", *_table(one))


def _growth(found: Found | None) -> Iterable[str]:
    if not found:
        return
    yield from (
        "## Growth",
        "",
        "Time against a size (nodes of a formula, n, or steps T), and the power of the size that it"
        " grows with, fitted to the larger sizes (two of two or three, three of four), for of the"
        " smaller ones fixed costs are a part. Peers go on until they take too long or fail, which"
        " is told; SymPy derives scalars, tensorgrad simplifies once.",
        "",
        "![how time grows](benchmarks-growth.svg)",
        "",
        "| | sizes | milliseconds | exponent |",
        "|---|---|---|--:|",
    )
    for name, curve in found.items():
        sizes = ", ".join(f"{s:,}" for s in curve["sizes"])
        took = ", ".join(_milliseconds(t) for t in curve["seconds"]) or "–"
        slope = "–" if curve["exponent"] is None else f"{curve['exponent']:.2f}"
        told = "; ".join(filter(None, (sizes, curve["end"])))
        yield f"| {name} | {told} | {took} | {slope} |"
    yield ""


def _starts(found: Found | None) -> Iterable[str]:
    if found:
        yield from (
            "## Cold starts",
            "",
            "A new process each, until the gradient of `norm2(A*x - b)^2` by x is a number (for UFL"
            " and tensorgrad: a formula).",
            "",
            *_table(found),
        )
