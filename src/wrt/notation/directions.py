"""Derivatives of matrix functions as phrases: `frechet(expm, X, E)`, open directions as axes.

A call with open directions has their axes first, as all mapped axes are; a person says those of f
first: `frechet(expm, X)[i,j,a,b]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from wrt.expression.directions import opened
from wrt.expression.nodes import Apply, Node
from wrt.functions.matrix_functions import of_word
from wrt.notation.signs import settled
from wrt.notation.tree import SCALAR, Shape, Tree, call, literal

__all__ = ["directions_call", "said_axes"]

One = TypeVar("One")


def said_axes(node: Node, axes: Sequence[One]) -> tuple[One, ...]:
    """What belongs to the axes of a node, in the order in which its phrase has them."""
    parts = opened(node)
    if parts is None:
        return tuple(axes)
    return (*axes[-2:], *(axes[k] for pair in parts.pairs for k in pair))


def directions_call(node: Apply, arguments: Sequence[Tree], shape: Shape) -> Tree:
    """A derivative of a matrix function, so many of its directions open as its axes tell."""
    word = literal(of_word(node.function).name)
    count = len(node.function.linear) + 1 - len(arguments)
    told = [literal(str(count))] if count > 1 or (count and len(arguments) > 1) else []
    parts = [word, *map(settled, arguments), *told]
    latex = r"L_{\operatorname{@0}}(" + ", ".join(f"@{k}" for k in range(1, len(parts))) + ")"
    if count:
        return call("frechet", parts, SCALAR, latex=latex, axes=2 + 2 * count)
    return call("frechet", parts, shape, latex=latex)
