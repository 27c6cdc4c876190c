"""Entries written where they belong: on a diagonal, in a slice, at one place; zeros elsewhere.

NumPy writes into a new array, through a view where an index is repeated; JAX makes another one
(`.at[…].set`); PyTorch writes into a new one along axes that stand first, so that programs can be
mapped, and adds out of place.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from wrt.expression.coefficient import ONE
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Dims
from wrt.programs import code as py
from wrt.programs.code import Code
from wrt.programs.places import NONE
from wrt.programs.steps import VIEWS, Step

if TYPE_CHECKING:
    from wrt.programs.emission import Emission

__all__ = ["added", "increment", "write"]


class Target(NamedTuple):
    """The places of an array that are written: a key for each axis, the axes of what is written."""

    keys: tuple[tuple[int | None, Dimension, Dimension | None], ...]
    order: tuple[int, ...]
    dims: Dims

    @property
    def repeated(self) -> list[int]:
        """The indices that stand at two axes or more."""
        bases = [base for base, _, _ in self.keys]
        return [b for b in self.order if bases.count(b) > 1]

    @property
    def layout(self) -> tuple[int, ...]:
        """The axes, those whose index is repeated first."""
        first = [k for b in self.repeated for k, key in enumerate(self.keys) if key[0] == b]
        return (*first, *(k for k in range(len(self.keys)) if k not in first))

    def laid(self) -> Target:
        """The same places with the axes in that layout."""
        keys = tuple(self.keys[k] for k in self.layout)
        plain = [b for b, _, _ in keys if b is not None and b not in self.repeated]
        dims = tuple(self.dims[k] for k in self.layout)
        return Target(keys, (*self.repeated, *plain), dims)


def write(e: Emission, at: int, step: Step) -> None:
    """Zeros, then the entries that are not."""
    (source,) = step.args
    keys, order = step.data
    target = Target(keys, order, step.dims)
    if e.library.manner == "apart":
        _apart(e, at, source, target)
        return
    number = _is_number(e, source)
    value = e.of(source) if number else e.named(source)
    zeros = _zeros(e, source, target.dims)
    if e.library.manner == "again":
        e.assign(at, _at(zeros, _keys(e, target), "set", value))
        return
    if any(s.op == "increment" and s.args[0] == at for s in e.steps.all):
        # what is added later may be of another type than what is written first
        zeros = e.library.new("zeros", [e.size(d) for d in target.dims], e.made())
    word = e.assign(at, zeros)
    e.inside.add(at)
    e.line(ast.Assign([_view(e, py.name(word), target)], value.expr, lineno=0))


def increment(e: Emission, at: int, step: Step) -> None:
    """Entries added inside an array that is new, or inside a copy."""
    base, core = step.args
    sign, keys, order = step.data
    value = e.of(core)
    if e.is_own(base, step):
        word = e.known[at] = e.called(base, "out")
    else:
        word = e.assign(at, e.library.own(e.of(base)), "out")
    e.inside.add(at)
    place = _view(e, py.name(word), Target(keys, order, step.dims))
    change = ast.Add() if sign > 0 else ast.Sub()
    e.line(ast.AugAssign(place, change, value.expr))


def added(e: Emission, at: int, step: Step) -> Code:
    """The sum of an array and of few entries, as a new array."""
    base, core = step.args
    sign, keys, order = step.data
    target = Target(keys, order, step.dims)
    again = e.library.manner == "again"
    on_diagonal = target.keys == ((0, NONE, target.dims[0]),) * 2
    if again and not (on_diagonal and _may_be_whole(e.steps.all, base)):
        value = e.of(core) if sign > 0 else py.negative(e.of(core))
        return _at(e.of(base), _keys(e, target), "add", value)
    if on_diagonal:
        few = _diagonal(e, core, target.dims[0])
    else:
        if ("few", at) not in e.ranges:
            e.ranges["few", at] = _apart(e, None, core, target)
        few = py.name(e.ranges["few", at])
    return py.binary("+" if sign > 0 else "-", e.of(base), few)


def _diagonal(e: Emission, core: int, size: Dimension) -> Code:
    """A diagonal matrix: of the entries of a vector, or of one number again and again."""
    if e.steps[core].dims:
        return py.call(e.library.word("diag"), e.of(core))
    eye = e.eye(size)
    return (
        eye
        if e.steps.is_number(core) and e.steps[core].data == ONE
        else py.binary("*", e.of(core), eye)
    )


#: Steps whose entries are whole numbers where those are that they read.
WHOLE = VIEWS | frozenset(
    {
        "add transposed",
        *"""
    load add negate multiply outer matmul vdot einsum tensordot gram kron sum trace concatenate
    write diag increment diagonal reshape pick index transpose expand tril triu mask
""".split(),
    }
)


def _may_be_whole(steps: Sequence[Step], at: int) -> bool:
    """Whether an array has whole numbers for entries where every array that came in has; floats
    that are written into it would be cut off.
    """
    stack, seen = [at], {at}
    while stack:
        step = steps[stack.pop()]
        if step.op == "power" and step.data.denominator == 1 and step.data > 0:
            pass
        elif step.op == "number":
            if step.data.powers or step.data.value.denominator != 1:
                return False
        elif step.op not in WHOLE:
            return False
        stack += [a for a in step.args if a not in seen]
        seen.update(step.args)
    return True


def _apart(e: Emission, at: int | None, source: int, target: Target) -> str:
    """A new array with the repeated axes first, then these where they belong."""
    laid, layout = target.laid(), target.layout
    number = _is_number(e, source)
    value = e.of(source) if number else e.named(source)
    turned = [target.order.index(b) for b in laid.order]
    if not number and turned != sorted(turned):
        missing = len(target.order) - len(e.steps[source].dims)
        value = py.subscript(value, *[py.literal(None)] * missing) if missing else value
        value = e.library.transpose(value, turned)
    word = e.assign(at, _zeros(e, source, laid.dims), "" if at is not None else "few")
    place = _place(py.name(word), _keys(e, laid))
    e.line(ast.Assign([place], value.expr, lineno=0))
    back = [layout.index(k) for k in range(len(layout))]
    if back != sorted(back):
        turned_back = e.library.transpose(py.name(word), back)
        e.line(ast.Assign([ast.Name(word, ast.Store())], turned_back.expr, lineno=0))
    return word


def _is_number(e: Emission, at: int) -> bool:
    return e.steps[at].kind == "number" or e.steps[at].op == "number"


def _zeros(e: Emission, source: int, dims: Dims) -> Code:
    number = _is_number(e, source)
    tone = e.tone(source) if number else "real"
    like = e.of(e.base(source))
    made = e.made(tone) if number else e.library.alike(like)
    if e.library.lenient and e.steps[source].kind == "complex" and not e.steps[source].dims:
        made = {"dtype": e.library.dtype(like)}  # 1j times a number of NumPy's is Python's own
    if tone == "complex" and e.library.lenient:  # zeros are real, and take no complex entries
        made = {"dtype": py.name("complex")}
    return e.library.new("zeros", [e.size(d) for d in dims], made)


def _keys(e: Emission, target: Target) -> list[Code]:
    said: list[Code] = []
    for (base, offset, length), dim in zip(target.keys, target.dims, strict=True):
        if base in target.repeated:
            place = target.repeated.index(base)
            assert length is not None
            grid = e.range(length, "ijkl"[place % 4], len(target.repeated) - 1 - place)
            said.append(grid if offset is NONE else py.binary("+", grid, e.size(offset)))
        else:
            said.append(e.key(base is None, offset, length, dim))
    return py.short(said)


def _view(e: Emission, array: Code, target: Target) -> ast.Subscript:
    """The places of an array: a slice, or what `einsum` shows where an index is repeated."""
    if not target.repeated:
        return _place(array, _keys(e, target))
    plain = [b for b in target.order if b not in target.repeated]
    letters = dict(zip(target.repeated, "ijklmnop", strict=False))
    letters |= dict(zip(plain, "abcdefgh", strict=False))
    said = "".join(letters[b] for b, _, _ in target.keys if b is not None)
    kept = "".join(letters[b] for b in target.order)
    keys = [
        e.key(base is None, offset, length, dim)
        for (base, offset, length), dim in zip(target.keys, target.dims, strict=True)
    ]
    whole = all(isinstance(k.expr, ast.Slice) and k.width == 1 for k in keys)
    part = array if whole else py.subscript(array, *py.short(keys))
    view = py.call(e.word("einsum"), py.literal(f"{said}->{kept}"), part)
    return _place(view, [py.colon()])


def _place(array: Code, keys: Sequence[Code]) -> ast.Subscript:
    place = py.subscript(array, *keys).expr
    assert isinstance(place, ast.Subscript)
    place.ctx = ast.Store()
    return place


def _at(array: Code, keys: Sequence[Code], word: str, value: Code) -> Code:
    """`array.at[keys].set(value)`."""
    place = py.subscript(py.attribute(array, "at"), *keys)
    return py.call(py.attribute(place, word), value)
