"""A plan for people: its steps with what each costs, their sum, and the least there is."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from wrt.expression.dataclass import dataclass
from wrt.expression.dimensions import show_dimensions
from wrt.expression.nodes import Node
from wrt.programs import code
from wrt.programs.costs import ASSUMED, Cost, billed
from wrt.programs.places import NONE
from wrt.programs.plan import plan
from wrt.programs.steps import Steps

__all__ = ["Explanation", "Line", "explained"]


@dataclass(frozen=True)
class Line:
    """One step: its name, what it says, its shape, its cost."""

    name: str
    text: str
    shape: str
    cost: Cost


@dataclass(frozen=True)
class Explanation:
    """A plan at given sizes; `str` is a table.

    `floor` is the least there is: the operations of the plan, every input read and every result
    written once.
    """

    lines: tuple[Line, ...]
    total: Cost
    floor: Cost
    sizes: Mapping[str, int]
    assumed: tuple[str, ...]

    def __str__(self) -> str:
        rows = [(f"{one.name} = {one.text}", one.shape, *_amounts(one.cost)) for one in self.lines]
        rows += [("total", "", *_amounts(self.total)), ("floor", "", *_amounts(self.floor))]
        heads = ("step", "shape", "operations", "bytes")
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        said = [_line(row, widths) for row in (heads, *rows)]
        return "\n".join([*said, *self._at()])

    __repr__ = __str__

    def _at(self) -> list[str]:
        told = ", ".join(f"{n} = {s}" for n, s in self.sizes.items() if n not in self.assumed)
        guessed = ", ".join(f"{n} = {ASSUMED}" for n in self.assumed)
        said = [told, f"assumed: {guessed}" if guessed else ""]
        text = "; ".join(filter(None, said))
        return [f"at {text}" if told else text] if text else []


def explained(formula: Node | tuple[Node, ...], sizes: Mapping[str, int]) -> Explanation:
    """What the program of a formula does and costs at these sizes.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> n = Dimension.of("n")
    >>> A, x = Variable("A", (n, n)), Variable("x", (n,))
    >>> explained(A @ (A @ x), {"n": 1000})
    step         shape  operations  bytes
    t1 = A @ x   n      2.0 M       8.0 MB
    t2 = A @ t1  n      2.0 M       8.0 MB
    total               4.0 M       16 MB
    floor               4.0 M       8.0 MB
    at n = 1000
    """
    made = plan(formula, sizes)
    bill = billed(made.steps, made.results, sizes)
    names = {k: s.data.name for k, s in enumerate(made.all) if s.op == "load"}
    lines: list[Line] = []
    for at, cost in bill.steps.items():
        step = made.all[at]
        if step.op in ("load", "number"):
            continue
        text = _said(made.steps, at, names)
        names[at] = f"t{len(lines) + 1}"
        lines.append(Line(names[at], text, show_dimensions(step.dims), cost))
    used = dict.fromkeys(n for step in made.all for d in step.dims for n in sorted(d.names))
    assumed = tuple(n for n in used if n not in sizes)
    known = {n: sizes[n] for n in used if n in sizes}
    return Explanation(tuple(lines), bill.total, bill.least, known, assumed)


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _amounts(cost: Cost) -> tuple[str, str]:
    return _amount(cost.flops), f"{_amount(cost.bytes)}B"


def _amount(value: float) -> str:
    """Three digits at most, and a letter."""
    for letter, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            scaled = value / size
            return f"{scaled:.1f} {letter}" if scaled < 10 else f"{scaled:.0f} {letter}"
    return f"{value:.0f} "


def _said(steps: Steps, at: int, names: Mapping[int, str]) -> str:
    """A step in a few signs: what it reads by name."""
    step = steps[at]
    if at in names:
        return names[at]
    inner = [_said(steps, a, names) for a in step.args]
    match step.op:
        case "number":
            return ast.unparse(code.number(step.data, _Names(), code.name("pi")).expr)
        case "transpose":
            return f"{inner[0]}.T"
        case "matmul":
            return " @ ".join(inner)
        case "multiply":
            return f"{inner[0]} * {_bracketed(inner[1])}"
        case "divide":
            return f"{inner[0]} / {_bracketed(inner[1])}"
        case "add":
            signs = ["+" if s > 0 else "-" for s in step.data]
            text = " ".join(f"{s} {a}" for s, a in zip(signs, inner, strict=True))
            return text.removeprefix("+ ")
        case "add transposed":
            return f"{inner[0]} {'+' if step.data > 0 else '-'} {inner[1]}.T"
        case "negate":
            return f"-{inner[0]}"
        case "power":
            return f"{_bracketed(inner[0])} ** {_bracketed(str(step.data))}"
        case "gram":
            return f"{inner[0]}.T @ diag({inner[1]}) @ {inner[0]}"
        case "einsum":
            return f"einsum('{step.data}', {', '.join(inner)})"
        case "loop":
            word = {"sum": "sum", "prod": "product"}[step.data[0]]
            return f"{word} of {inner[3]} for {inner[2]} = {inner[0]}…{inner[1]}"
        case "call":
            return f"{step.data[0].name}({', '.join(inner)})"
        case "factor":
            return f"{step.data}({inner[0]})"
        case "solve" if step.data is not None and step.data[1]:
            return f"solve({inner[0]}.T, {inner[1]})"
        case "expand" | "reshape" | "whole" | "pick" | "index" | "asfloat" | "broadcast":
            return inner[0]
        case "scan":
            return f"loop of {', '.join(v.name for v in step.data.states)}"
        case "carry":
            return str(step.data[1].name)
        case "entry":
            return f"{inner[0]}[t]"
        case "stack" | "last":
            return f"{inner[0]}.{_state(steps, at)}"
        case "diagonal":
            return f"diagonal({inner[0]})"
        case "tril" | "triu" if step.data is NONE:
            return f"{step.op}({inner[0]})"
        case "increment":
            return f"{inner[0]}[…] {'+' if step.data[0] > 0 else '-'}= {inner[1]}"
    return f"{step.op}({', '.join(inner)})"


class _Names(dict[str, code.Code]):
    """The names of sizes, as they are."""

    def __missing__(self, dimension: str) -> code.Code:
        return code.name(dimension)


def _bracketed(text: str) -> str:
    """A number that is computed, in brackets."""
    return f"({text})" if " " in text or "/" in text else text


def _state(steps: Steps, at: int) -> str:
    """The name of a state of a recurrence, before a step or after it."""
    step = steps[at]
    place: int = step.data if step.op == "last" else step.data[0]
    name = str(steps[step.args[0]].data.states[place].name)
    before = step.op == "stack" and step.data[1]
    return name if before else name.replace("[t-1]", "[t]")
