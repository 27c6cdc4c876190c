"""What a derivative is made of and taken apart into: sweeps in order, inner products, entries."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from numbers import Integral
from typing import Any

from wrt import notation
from wrt.algebra import expand, meant, normal_form
from wrt.calculus import constrained_derivative, free_derivative, variable_of
from wrt.errors import NameMistake, ValueMistake, kind_of
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Node, Sum, Variable
from wrt.expression.walk import substitute
from wrt.language import Reading
from wrt.language.mistakes import did_you_mean

__all__ = [
    "axes_said",
    "by_name",
    "inner",
    "needed",
    "picked",
    "swept",
    "told_sizes",
    "unused",
]


#: Properties that no linear constraint says: derivatives by such a variable are free.
_CURVED = frozenset({"orthogonal", "simplex"})


def swept(f: Node, xs: Sequence[Node], convention: str | None) -> Node:
    """The derivative by several variables in order, words written out first; without a
    convention, all entries of constrained variables move freely.

    A variable may leave the orthogonal matrices, or the simplex: what holds only there is not
    used before all derivatives are taken.
    """
    bound = released(xs)
    node = meant(substitute(expand(f), bound) if bound else f)
    for x in xs:
        node, x = normal_form(node), substitute(x, bound)
        if convention is None:
            node = free_derivative(node, x)
        else:
            node = constrained_derivative(node, x, convention)
    return substitute(node, {free: x for x, free in bound.items()}) if bound else node


def released(xs: Sequence[Node]) -> dict[Variable, Variable]:
    """The variables that may leave the orthogonal matrices, or the simplex, as free ones."""
    bound = {x: Variable(x.name, x.dims, x.properties - _CURVED) for x in map(variable_of, xs)}
    return {x: free for x, free in bound.items() if x is not free}


def inner(node: Node, other: Node) -> Node:
    """The sum over all entries of the product of two tensors of the same axes, term by term."""
    axes = tuple(range(node.ndim))
    terms = node.children if isinstance(node, Sum) else (node,)
    return build.add(
        *(build.product(ONE, ((t, 1, axes), (other, 1, axes)), (), node.dims) for t in terms)
    )


def contracted(node: Node, change: Node) -> Node:
    """A derivative times the change of what it is by: its last axes summed away."""
    axes, cut = tuple(range(node.ndim)), node.ndim - change.ndim
    moved = (change, 1, axes[cut:])
    terms = node.children if isinstance(node, Sum) else (node,)
    return build.add(
        *(build.product(ONE, ((t, 1, axes), moved), axes[:cut], node.dims) for t in terms)
    )


def contracted_first(change: Node, node: Node) -> Node:
    """A derivative multiplied from the left by what comes back to its first axes."""
    cut, rest = change.ndim, tuple(range(change.ndim, node.ndim))
    terms = node.children if isinstance(node, Sum) else (node,)
    parts = [
        build.product(
            ONE,
            ((change, 1, tuple(range(cut))), (term, 1, tuple(range(node.ndim)))),
            rest,
            node.dims,
        )
        for term in terms
    ]
    return build.add(*parts)


def fresh(wanted: str, taken: Container[str]) -> str:
    """The first of some letters that is free, and whose change is, else the first with a number."""
    letters: list[str] = [*wanted, *(f"{wanted[0]}{k}" for k in range(1, 100))]
    return next(c for c in letters if c not in taken and f"d{c}" not in taken)


def unused(name: str, taken: Sequence[str]) -> str:
    """A name that nobody has, by underscores behind it."""
    while name in taken:
        name += "_"
    return name


def picked(node: Node, key: tuple[Any, ...]) -> Node:
    """Entries of a derivative, taken term by term so that every δ meets its index."""
    terms = node.children if isinstance(node, Sum) else (node,)
    return normal_form(build.add(*(build.getitem(term, key) for term in terms)))


def axes_said(shape: Sequence[int | str]) -> str:
    """The axes of an answer in a line."""
    return " × ".join(map(str, shape)) or "scalar"


def plain_keys(values: Mapping[str, Any], known: Sequence[Variable]) -> dict[str, Any]:
    """Keyword names as names of variables: a trailing underscore keeps a Python word apart."""
    names = {v.name for v in known}
    return {
        (k[:-1] if k.endswith("_") and k not in names and k[:-1] in names else k): v
        for k, v in values.items()
    }


def by_name(mapping: object, values: Mapping[str, Any], *unnamed: object) -> dict[str, Any]:
    """All values by name, of one mapping and of keywords; ValueMistake for any without a name."""
    if unnamed or not isinstance(mapping, Mapping | None):
        first = next((one for one in (mapping, *unnamed) if not _is_named(one)), mapping)
        raise ValueMistake(
            f"values are given by name, as in D(x=[1, 2]) or D({{'x': [1, 2]}}); "
            f"{kind_of(first)} came without one"
        )
    return {**(mapping or {}), **values}


def _is_named(value: object) -> bool:
    return isinstance(value, Mapping)


def told_sizes(question: Reading, sizes: Mapping[str, int] | None) -> dict[str, int]:
    """Sizes of dimensions as a person gives them; NameMistake and ValueMistake for what is none."""
    found: dict[str, int] = {}
    known = {n for v in question.variables.values() for d in v.dims for n in d.names}
    known |= question.dimensions
    for name, size in (sizes or {}).items():
        if name not in known:
            listed = ", ".join(sorted(known)) or "none: they are all numbers"
            hint = did_you_mean(name, known) or f"the sizes that have a name are {listed}"
            raise NameMistake(f"no axis has the size {name}", hint=hint)
        if isinstance(size, bool) or not isinstance(size, Integral) or size < 0:
            raise ValueMistake(f"{name} = {size!r}: a size is a whole number from 0 on")
        found[name] = int(size)
    return found


def needed(
    question: Reading,
    known: Sequence[tuple[str, Node]],
    arguments: Sequence[Variable],
    values: Mapping[str, Any],
) -> dict[str, Any]:
    """The values by name, without those of variables that an answer does not depend on."""
    given = plain_keys(values, tuple(question.variables.values()))
    for domain, node in known:
        if domain == "whole":
            refuse_fraction(node, given)
    idle = set(question.variables) - {v.name for v in arguments}
    return {name: value for name, value in given.items() if name not in idle}


def refuse_fraction(node: Node, given: Mapping[str, Any]) -> None:
    """Refuse a power, or the end of a range, that is no whole number from 0 on."""
    names = {v.name for v in node.names}
    if not names <= set(given) or any(getattr(given[name], "ndim", 0) for name in names):
        return  # the program says what is missing or has axes
    value = complex(evaluate(node, {name: given[name] for name in names}))
    if value.imag or value.real < 0 or value.real != round(value.real):
        text = notation.matrix(node) or "it"
        raise ValueMistake(f"{text} is {value.real:g}; a whole number from 0 on is wanted")
