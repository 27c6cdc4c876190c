"""The steps of a program: few operations on arrays, in order, each said once.

A step names an operation, the earlier steps that it reads, what else it needs, and the axes of
its array. Equal steps are one step (value numbering), and a step that does not depend on a loop
stands outside it.

Operations: load number | negate add "add transposed" multiply divide power | matmul outer vdot
einsum tensordot | sum trace | transpose expand index diagonal reshape flatten broadcast | diag eye
concatenate kron tril triu mask asfloat write increment | call pick whole | factor (of a matrix)
inverse det logdet, solve (`data` tells of which factors, None of the matrix itself) | loop | scan
(a recurrence) carry entry (what a step reads) stack last (its states outside).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from fractions import Fraction
from typing import Any

from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.dataclass import dataclass, field
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Dims, Variable

__all__ = [
    "VIEWS",
    "Block",
    "Recurrence",
    "Step",
    "Steps",
    "is_new",
    "looks_at_a_load",
    "reached",
    "whole_by_form",
]

#: Steps that cost nothing: they are written again wherever they are used.
VIEWS = frozenset({"load", "number", "transpose", "expand"})

UNIT = Dimension.of(1)
NONE = Dimension.of(0)

#: Whole powers that are products of at most six squares and factors: libraries take thirty times
#: as long for a power as for a product.
BY_PRODUCTS = range(3, 17)

#: A sum is written this many terms at a time.
MOST_TERMS = 6


@dataclass(frozen=True)
class Step:
    """One operation. `kind` says what entries are: number (Python's own), bool, real, complex."""

    op: str
    args: tuple[int, ...]
    data: Any
    dims: Dims
    kind: str
    block: int


@dataclass(frozen=True)
class Recurrence:
    """What a scan step knows: the body of its loop, the states that it keeps, how it goes.

    `unread` are the places of states that nobody asks for before a step: results of the steps.
    """

    block: int
    states: tuple[Variable, ...]
    unread: frozenset[int]
    length: Dimension
    reverse: bool


def _end(stack: Step, loop: Recurrence) -> Dimension | None:
    """The place of the last state in a stack, where the stack holds it."""
    _, before = stack.data
    if before:
        return None
    return NONE if loop.reverse else loop.length - 1


@dataclass
class Block:
    """The steps of the program itself (block 0) or of the body of a loop, in order."""

    parent: int
    depth: int
    order: list[int] = field(default_factory=list)


class Steps:
    """Collects the steps of one program.

    `symmetric` are steps that are their own transposes; `inverses` those that are wanted for
    products only, with what solves instead: a matrix or its factors, and their form.
    """

    def __init__(self) -> None:
        self.all: list[Step] = []
        self.symmetric: set[int] = set()
        self.inverses: dict[int, tuple[int, str]] = {}
        self.blocks = [Block(0, 0)]
        self._known: dict[Hashable, int] = {}

    def __getitem__(self, at: int) -> Step:
        return self.all[at]

    def add(
        self,
        op: str,
        args: Sequence[int] = (),
        data: Any = None,
        dims: Sequence[Dimension] = (),
        kind: str | None = None,
        block: int | None = None,
    ) -> int:
        """The place of a step, made where it is new."""
        args, dims = tuple(args), tuple(dims)
        key = (op, args, data, dims, block)
        known = self._known.get(key)
        if known is not None:
            return known
        inner = max((self.all[a].block for a in args), key=self._depth, default=0)
        home = inner if block is None else block
        self.all.append(Step(op, args, data, dims, kind or self._kind(args, dims), home))
        place = self._known[key] = len(self.all) - 1
        self.blocks[home].order.append(place)
        return place

    def found(
        self, op: str, args: Sequence[int], data: Any, dims: Sequence[Dimension]
    ) -> int | None:
        """The place of a step that was made before."""
        return self._known.get((op, tuple(args), data, tuple(dims), None))

    def seen(self, at: int, turned: bool) -> int | None:
        """The place of a matrix, or of its transpose where that was made before."""
        step = self.all[at]
        if not turned or at in self.symmetric:
            return at
        if step.op == "transpose":
            return step.args[0]
        return self.found("transpose", (at,), (1, 0), step.dims[::-1])

    def _depth(self, block: int) -> int:
        return self.blocks[block].depth

    def _kind(self, args: Sequence[int], dims: Dims) -> str:
        kinds = {self.all[a].kind for a in args}
        if "complex" in kinds:
            return "complex"
        return "number" if kinds == {"number"} and not dims else "real"

    def open(self, parent: int) -> int:
        """A new block for the body of a loop."""
        self.blocks.append(Block(parent, self.blocks[parent].depth + 1))
        return len(self.blocks) - 1

    # What needs a word more than `add`

    def number(self, coefficient: Coefficient) -> int:
        """An exact number."""
        imaginary = any(base == "i" for base, _ in coefficient.powers)
        return self.add("number", (), coefficient, (), "complex" if imaginary else "number")

    def is_number(self, at: int) -> bool:
        """Whether a step is a literal."""
        return self.all[at].op == "number"

    def real(self, at: int) -> int:
        """Zeros and ones as numbers where a step is true or false."""
        step = self.all[at]
        return self.add("asfloat", (at,), None, step.dims, "real") if step.kind == "bool" else at

    def factors(self, at: int, form: str) -> int:
        """The factors of a matrix: "lu" or "cholesky"; a triangular one is its own."""
        step = self.all[at]
        triangular = form in ("lower", "upper")
        return at if triangular else self.add("factor", (at,), form, step.dims, step.kind)

    def negate(self, at: int) -> int:
        """Minus a step."""
        step = self.all[at]
        if step.op == "negate":
            return step.args[0]
        if step.op == "number":
            return self.number(-step.data)
        return self._alike(self.add("negate", (self.real(at),), None, step.dims), at)

    def power(self, at: int, exponent: Fraction | int) -> int:
        """A power entry by entry; a whole one of an array by few products, which cost far less."""
        if exponent == 1:
            return at
        if self.all[at].dims and exponent in BY_PRODUCTS:
            if exponent % 2:
                return self.times(at, self.power(at, exponent - 1), self.all[at].dims)
            return self.power(self.power(at, Fraction(exponent, 2)), 2)
        made = self.add("power", (self.real(at),), Fraction(exponent), self.all[at].dims)
        return self._alike(made, at)

    def _alike(self, made: int, *parts: int) -> int:
        """A step made entry by entry of its own transposes and of numbers is one too."""
        shaped = [at for at in parts if self.all[at].dims]
        if len(self.all[made].dims) == 2 and shaped and self.symmetric.issuperset(shaped):
            self.symmetric.add(made)
        return made

    def transpose(self, at: int, order: Sequence[int]) -> int:
        """The axes in another order."""
        order = tuple(order)
        if order == tuple(range(len(order))) or at in self.symmetric:
            return at
        step = self.all[at]
        if step.op == "transpose":
            return self.transpose(step.args[0], [step.data[k] for k in order])
        dims = [step.dims[k] for k in order]
        return self.add("transpose", (at,), order, dims, step.kind)

    def expand(self, at: int, axes: Sequence[bool]) -> int:
        """New axes of one entry where `axes` says False; leading ones are left to broadcasting."""
        kept = list(axes)
        while kept and not kept[0]:
            kept.pop(0)
        if all(kept) or not self.all[at].dims:
            return at
        own = iter(self.all[at].dims)
        dims = [next(own) if real else UNIT for real in kept]
        return self.add("expand", (at,), tuple(kept), dims, self.all[at].kind)

    def aligned(self, at: int, indices: Sequence[int], order: Sequence[int]) -> int:
        """A step with axes `indices`, laid out to broadcast against the axes `order`."""
        wanted = [i for i in order if i in indices]
        turned = self.transpose(at, [list(indices).index(i) for i in wanted])
        return self.expand(turned, [i in indices for i in order])

    def times(self, a: int, b: int, dims: Sequence[Dimension]) -> int:
        """The product of two aligned steps."""
        for one, other in ((a, b), (b, a)):
            if self.is_number(one) and self.all[one].data == ONE:
                return other
        a, b = sorted((a, b), key=self._said_first)
        both = self.all[a].kind == self.all[b].kind == "bool"
        return self._alike(self.add("multiply", (a, b), None, dims, "bool" if both else None), a, b)

    def _said_first(self, at: int) -> tuple[bool, int, bool, str]:
        """Numbers, then what has fewer axes, then names, stand first in a product."""
        step = self.all[at]
        axes = sum(d is not UNIT for d in step.dims)
        while step.op in ("expand", "transpose"):
            step = self.all[step.args[0]]
        name = step.data.name if step.op == "load" else ""
        return (step.op != "number", axes, step.op != "load", name)

    def over(self, a: int, b: int, dims: Sequence[Dimension]) -> int:
        """The quotient of two aligned steps."""
        if self.is_number(b) and self.all[b].data == ONE:
            return a
        return self._alike(self.add("divide", (self.real(a), self.real(b)), None, dims), a, b)

    def plus(self, terms: Sequence[tuple[int, int]], dims: Sequence[Dimension]) -> int:
        """The sum of aligned steps with their signs."""
        terms = [(sign, self.real(at)) for sign, at in terms]
        total, rest = terms[:MOST_TERMS], terms[MOST_TERMS:]
        while True:
            signs = tuple(sign for sign, _ in total)
            at = self.add("add", [at for _, at in total], signs, dims)
            if not rest:
                return at
            total, rest = [(1, at), *rest[: MOST_TERMS - 1]], rest[MOST_TERMS - 1 :]

    def total(self, at: int, axes: Sequence[int]) -> int:
        """The sum over some axes."""
        if not axes:
            return at
        step = self.all[at]
        if step.op == "diagonal" and len(step.dims) == 1 and len(self.all[step.args[0]].dims) == 2:
            return self.add("trace", step.args, None, ())
        kept = [d for k, d in enumerate(step.dims) if k not in axes]
        data = tuple(axes) if kept else None
        return self.add("sum", (self.real(at),), data, kept)

    def index(self, at: int, keys: Sequence[Any], dims: Sequence[Dimension]) -> int:
        """Slices and single places; of a recurrence the state after its last step by itself."""
        step = self.all[at]
        if step.op == "stack" and keys[0] == (_end(step, self.all[step.args[0]].data),):
            at = self.add("last", step.args, step.data[0], step.dims[1:], step.kind)
            keys = keys[1:]
        if all(key is None for key in keys):
            return at
        return self.add("index", (at,), tuple(keys), dims, step.kind)

    def diagonal(self, at: int, first: int, second: int) -> int:
        """The entries where two axes agree, as a last axis."""
        dims = self.all[at].dims
        kept = [d for k, d in enumerate(dims) if k not in (first, second)]
        data = (first, second, len(dims))
        return self.add("diagonal", (at,), data, [*kept, dims[first]], self.all[at].kind)


def reached(steps: Steps, results: Sequence[int]) -> list[int]:
    """The steps that the results need, in order."""
    found, stack = set(results), list(results)
    while stack:
        fresh = [a for a in steps[stack.pop()].args if a not in found]
        found.update(fresh)
        stack.extend(fresh)
    return sorted(found)


#: Steps whose array may be that of the step that they read.
LOOKS = (VIEWS - {"number"}) | {"diagonal", "reshape", "flatten", "index"}
#: Steps whose array is new, whatever the library and the types.
NEW = frozenset(
    {
        *("multiply", "divide", "add", "negate", "power", "sum"),
        *("matmul", "outer", "einsum", "tensordot", "gram", "write", "concatenate"),
    }
)


def looks_at_a_load(steps: Sequence[Step], at: int) -> bool:
    """Whether a step is an argument, or shares its memory."""
    at = _looked_at(steps, at)
    return steps[at].op == "load"


def is_new(steps: Sequence[Step], at: int) -> bool:
    """Whether a step is an array that shares no memory with any argument, for certain."""
    return steps[_looked_at(steps, at)].op in NEW


def _looked_at(steps: Sequence[Step], at: int) -> int:
    """The step whose array is looked at."""
    while steps[at].op in LOOKS and steps[at].op != "load":
        at = steps[at].args[0]
    return at


def whole_by_form(steps: Sequence[Step], at: int) -> bool:
    """Whether a step is a whole number by form."""
    stack = [at]
    while stack:
        step = steps[stack.pop()]
        if step.op in ("add", "multiply", "negate"):
            stack.extend(step.args)
        elif step.op == "number":
            whole = all(isinstance(b, Dimension) and p > 0 for b, p in step.data.powers)
            powers = all(p.denominator == 1 for _, p in step.data.powers)
            if not (whole and powers and step.data.value.denominator == 1):
                return False
        elif not (step.op == "load" and step.block):
            return False
    return True
