"""The vocabulary of PyTorch: every new array on the device of its parameters, every type said.

Arrays are written into only where they are new, and along axes that stand first: so programs can
be mapped (`torch.func.vmap`), differentiated again and compiled.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from fractions import Fraction

from wrt.programs import code as py
from wrt.programs.code import Code
from wrt.programs.library import Library, Made

__all__ = ["Torch"]


class Torch(Library):
    """PyTorch, where it is not NumPy."""

    alias = module = "torch"
    manner = "apart"
    lenient = symmetric = strided = False
    joins = True
    by_roots = frozenset[Fraction]()
    axis = "dim"
    behind = "cat"
    diagonal_words = ("dim1", "dim2")

    def dtype(self, like: Code) -> Code:
        said = py.attribute(like, "dtype")
        return py.call(self.word("promote_types"), said, self.word("float32"))

    def made(self, dtype: Code, like: str) -> Made:
        return {"dtype": dtype, "device": py.attribute(py.name(like), "device")}

    def alike(self, source: Code) -> Made:
        device = py.attribute(source, "device")
        return {"dtype": py.attribute(source, "dtype"), "device": device}

    def full(self, shape: Sequence[Code], value: Code, made: Made) -> Code:
        return py.call(self.word("full"), _tuple(shape), value, **made)

    def new(self, word: str, shape: Sequence[Code], made: Made) -> Code:
        source = made.get("device")
        if source is None or not _of_one_array(made):
            return py.call(self.word(word), _tuple(shape), **made)
        assert isinstance(source.expr, ast.Attribute)
        array = Code(source.expr.value, source.width - len(".device"), source.weight)
        return py.call(py.attribute(array, f"new_{word}"), _tuple(shape))

    def constant(self, value: Code, made: Made) -> Code:
        return py.call(self.word("tensor"), value, **made)

    def arange(self, length: Code, like: str | None) -> Code:
        device = {"device": py.attribute(py.name(like), "device")} if like else {}
        return py.call(self.word("arange"), length, **device)

    def tri(self, shape: Sequence[Code], shift: Code | None, made: Made, square: bool) -> Code:
        ones = self.new("ones", shape, made)
        return py.call(self.word("tril"), ones, *([shift] if shift else []))

    def floats(self, a: Code, made: Made) -> Code:
        return py.call(py.attribute(a, "to"), made.get("dtype") or self.word("float64"))

    def transpose(self, a: Code, order: Sequence[int]) -> Code:
        if tuple(order) == (1, 0):
            return py.attribute(a, "T")
        return py.call(py.attribute(a, "permute"), *map(py.literal, order))

    def reshape(self, a: Code, shape: Sequence[Code]) -> Code:
        return py.call(py.attribute(a, "reshape"), _tuple(shape))

    def broadcast(self, a: Code, shape: Sequence[Code]) -> Code:
        return py.call(self.word("broadcast_to"), a, _tuple(shape))

    def own(self, a: Code) -> Code:
        return py.call(py.attribute(a, "clone"))

    def inner(self, a: Code, b: Code) -> Code:
        return py.call(self.word("sum"), py.binary("*", a, b))

    def tensordot(self, a: Code, b: Code, axes: Sequence[Sequence[int]]) -> Code:
        ends: list[ast.expr] = [
            ast.List([ast.Constant(k) for k in own], ast.Load()) for own in axes
        ]
        pair = Code(ast.Tuple(ends, ast.Load()), 3 * sum(map(len, axes)) + 6)
        return py.call(self.word("tensordot"), a, b, dims=pair)

    def joined(self, a: Code, b: Code, kinds: Sequence[str]) -> tuple[Code, Code]:
        if ("complex" in kinds) and kinds[0] != kinds[1]:
            return (a, _complex(b)) if kinds[0] == "complex" else (_complex(a), b)
        return a, b


def _complex(a: Code) -> Code:
    return py.binary("+", a, py.literal(0j))


def _tuple(items: Sequence[Code]) -> Code:
    """A shape; one of a single axis too is a tuple."""
    width = sum(i.width + 2 for i in items) + 1
    return Code(ast.Tuple([i.expr for i in items], ast.Load()), width)


def _of_one_array(made: Made) -> bool:
    """Whether type and device are those of one array."""
    ends = [made[k].expr for k in ("dtype", "device") if k in made]
    said = [ast.unparse(e.value) if isinstance(e, ast.Attribute) else "" for e in ends]
    return len(said) == 2 and said[0] == said[1] != ""
