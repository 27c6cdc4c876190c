"""The public functions for formulas built in Python."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wrt.errors import NameMistake, ShapeMistake
from wrt.expression import build
from wrt.expression.dimensions import parse_dimensions
from wrt.expression.directions import open_directions
from wrt.expression.function import Function
from wrt.expression.nodes import Node, Variable
from wrt.functions import BOOK
from wrt.functions.matrix_functions import frechet as record_along
from wrt.language import read as read_text
from wrt.language.declarations import Declared, declared, variable

_NAME = re.compile(r"[^\W\d_]\w*")

__all__ = ["fill", "frechet", "matrix", "read", "scalar", "tensor", "vector"]


def read(text: str, shapes: Mapping[str, Any] | None = None) -> Node:
    """The formula of a text; `shapes` declares names.

    >>> read("W*x", shapes={"W": "3 4"}).shape
    (3,)
    """
    return read_text(text, shapes=shapes).formula


def frechet(function: Function, X: Node, *directions: Node) -> Node:
    """The derivative of a matrix function along directions; without any, as a tensor of four axes.

    >>> import wrt
    >>> X, E = wrt.matrix("X", "n n"), wrt.matrix("E", "n n")
    >>> frechet(wrt.expm, X, E).shape, frechet(wrt.expm, X).shape
    (('n', 'n'), ('n', 'n', 'n', 'n'))
    """
    if not isinstance(function, Function) or not function.commuting:
        said = getattr(function, "name", function)
        raise NameMistake(f"{said} is no matrix function", hint="expm, logm, sqrtm, sinm, cosm are")
    given = [build.as_node(node) for node in (X, *directions)]
    record = record_along(function.name, len(directions) or 1)
    return open_directions(record, given, 0 if directions else 1)


def tensor(name: str, shape: str | tuple[int | str, ...] = "") -> Variable:
    """A variable with any number of axes: `tensor("T", "i j k")`, properties after the dimensions.

    >>> tensor("A", "n n symmetric").properties
    frozenset({'symmetric'})
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in BOOK:
        raise NameMistake(
            f"{name!r} is no name for a variable",
            hint="a name is a letter and then letters, digits or _, and no word of the book",
        )
    made = declared(name, shape)
    if not isinstance(made, Declared):
        raise ShapeMistake(f"{shape!r} declares a function, not a tensor")
    return variable(name, made)


def scalar(name: str, properties: str = "") -> Variable:
    """A variable without axes."""
    return _with_axes(name, properties, 0)


def vector(name: str, shape: str | tuple[int | str, ...]) -> Variable:
    """A variable with one axis: `vector("x", "n")`."""
    return _with_axes(name, shape, 1)


def matrix(name: str, shape: str | tuple[int | str, ...]) -> Variable:
    """A variable with two axes: `matrix("W", "n m")`.

    >>> W, x = matrix("W", "n m"), vector("x", "m")
    >>> (W @ x).shape
    ('n',)
    """
    return _with_axes(name, shape, 2)


def _with_axes(name: str, shape: str | tuple[int | str, ...], axes: int) -> Variable:
    made = tensor(name, shape)
    if made.ndim != axes:
        kind = ("scalar", "vector", "matrix")[axes]
        raise ShapeMistake(f"a {kind} has {axes} axes, and {shape!r} says {made.ndim}")
    return made


def fill(value: Any, shape: str) -> Node:
    """A number, or a scalar formula, repeated: `fill(2, "n m")`; in text `matrix(2)`.

    >>> fill(2, "n m").shape
    ('n', 'm')
    """
    node = build.as_node(value)
    if node.ndim:
        raise ShapeMistake("fill repeats a scalar")
    return build.broadcast(node, parse_dimensions(shape))
