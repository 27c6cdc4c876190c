"""What is computed when arrays are bound: the parts of a formula that every use of it needs.

What is left is linear in those parts: sums of products with patterns, of which every operation
makes another. Functions are always computed; sums and products where that costs no more than
looking at what they are made of, so that nothing larger than its parts is formed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

from wrt import programs
from wrt.algebra import is_symmetric
from wrt.algebra.properties import positive_nodes
from wrt.answers.parts import unused
from wrt.answers.structured.arrays import library, width
from wrt.answers.structured.exports import as_tree
from wrt.answers.structured.tensor import Structured
from wrt.answers.structured.terms import terms
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Constant, Einsum, Factor, Node, Pattern, Sum, Variable
from wrt.expression.walk import holds_complex, rename_dimensions

__all__ = ["Bound", "bound", "bound_to"]

#: A sum or a product is computed where it takes this times the entries of its parts at most.
LOOKS = 2


class Bound(NamedTuple):
    """A formula over variables and parts, and what the parts are."""

    formula: Node
    parts: Mapping[Variable, Node]


@lru_cache(maxsize=128)
def bound(formula: Node, sizes: tuple[tuple[str, int], ...]) -> Bound:
    """The formula at these sizes, its parts named; sums in it are multiplied out to show zeros.

    >>> from wrt.functions import BOOK
    >>> from wrt.expression.nodes import Apply
    >>> n = Dimension.of("n")
    >>> A, x = Variable("A", (n, n)), Variable("x", (n,))
    >>> weights = Apply(BOOK["exp"], [A @ x], 1)
    >>> made = bound(build.einsum("ki,k,kj->ij", A, weights, A), (("n", 3),))
    >>> made.formula, list(made.parts.values())
    (<{A[ki] A[kj] t[k] -> ij} : 3, 3>, [<exp({A[ij] x[j] -> i}) : 3>])
    """
    numbered = {name: Dimension.of(size) for name, size in sizes}
    found = _Binding(rename_dimensions(formula, numbered))
    made = found.run()
    opened = terms(made)
    if len(opened) > 1 or (isinstance(made, Einsum) and opened[0].factors != made.factors):
        made = build.add(*(build.product_carried(*term) for term in opened))
    used = {v: node for node, v in found.parts.items() if v in made.names}
    return Bound(made, used)


def bound_to(
    formula: Node,
    rows: int,
    arguments: Sequence[Variable],
    given: Mapping[str, Any],
    backend: str,
    limit: int,
    title: str,
) -> Structured:
    """A tensor with arrays bound to the names of its formula, all of them checked."""
    door = programs.compile(formula, backend, arguments=tuple(arguments), title=title)
    arrays, functions, sizes = door.entered(given)
    made = bound(formula, tuple(sorted(sizes.items())))
    values: dict[str, Any] = {v.name: a for v, a in arrays.items()}
    if made.parts:
        program = programs.compile(tuple(made.parts.values()), backend, limit=limit, title=title)
        found = program.bare({**values, **functions}, sizes, _itemsize(values))
        found = found if len(made.parts) > 1 else (found,)
        values |= {v.name: a for v, a in zip(made.parts, found, strict=True)}
    used = {v.name for v in made.formula.names}
    kept = {name: value for name, value in values.items() if name in used}
    like = library(backend).like(list(arrays.values()))
    if backend == "jax":
        as_tree()
    return Structured(made.formula, kept, rows, limit, backend, like)


def _itemsize(values: Mapping[str, Any]) -> int:
    return max(map(width, values.values()), default=8)


class _Binding:
    """One walk over the sums and products of a formula, from its root to its parts."""

    def __init__(self, root: Node) -> None:
        self.root = root
        self.parts: dict[Node, Variable] = {}
        self.done: dict[Node, Node] = {}
        self.cheap: dict[Node, bool] = {}
        self.taken = [v.name for v in root.names]

    def run(self) -> Node:
        stack = [self.root]
        while stack:
            node = stack[-1]
            waiting = [c for c in self.inner(node) if c not in self.done]
            if node in self.done or not waiting:
                stack.pop()
                if node not in self.done:
                    self.done[node] = self.one(node)
            else:
                stack += waiting
        return self.done[self.root]

    def inner(self, node: Node) -> tuple[Node, ...]:
        """The sums and products that stay formulas."""
        if not isinstance(node, (Sum, Einsum)) or self.is_cheap(node):
            return ()
        if isinstance(node, Sum):
            return node.children
        return tuple(n for n, e, _ in node.factors if e == 1)

    def one(self, node: Node) -> Node:
        if isinstance(node, (Variable, Constant, Pattern)):
            return node
        if not isinstance(node, (Sum, Einsum)) or self.is_cheap(node):
            return self.part(node)
        if isinstance(node, Sum):
            return build.add(*(self.done[c] for c in node.children))
        return build.product(node.coefficient, self.factors(node), node.output, node.index_dims)

    def factors(self, node: Einsum) -> list[Factor]:
        """The factors, those of the same indices as one part, powers computed."""
        found: list[Factor] = []
        groups: dict[frozenset[int], list[Factor]] = {}
        for child, e, indices in node.factors:
            made = self.done[child] if e == 1 else None
            if isinstance(child, Pattern) or (made is not None and not isinstance(made, Variable)):
                found.append((child if made is None else made, e, indices))
            else:
                groups.setdefault(frozenset(indices), []).append((child, e, indices))
        for group in groups.values():
            ((child, e, indices), *others) = group
            if not others and e == 1 and len(set(indices)) == len(indices):
                found.append((self.done[child], 1, indices))
                continue
            axes = tuple(dict.fromkeys(indices))
            made = self.part(build.product_carried(ONE, group, axes, node.index_dims))
            found.append((made, 1, axes))
        return found

    def part(self, node: Node) -> Node:
        """A name for a part."""
        if isinstance(node, Variable):
            return node
        if node not in self.parts:
            name = unused("t", self.taken)
            self.taken.append(name)
            self.parts[node] = Variable(name, node.dims, _properties(node))
        return self.parts[node]

    def is_cheap(self, node: Node) -> bool:
        """Whether computing a sum or a product costs no more than looking at its parts."""
        if node not in self.cheap:
            self.cheap[node] = _is_cheap(node)
        return self.cheap[node]


def _is_cheap(root: Node) -> bool:
    """Whether sums and products multiply and add hardly more entries than their parts have;
    nothing is that has zeros by its form.
    """
    spent, there, stack, seen = 0, 0, [root], {root}
    while stack:
        node = stack.pop()
        if isinstance(node, Pattern) or (isinstance(node, Einsum) and node.repeats):
            return False
        if not isinstance(node, (Sum, Einsum)):
            there += _volume(node.dims)
            continue
        spent += _volume(node.index_dims if isinstance(node, Einsum) else node.dims)
        fresh = {c for c in node.children if c not in seen}
        seen |= fresh
        stack += fresh
    return spent <= LOOKS * there


def _volume(dims: tuple[Dimension, ...]) -> int:
    return prod(d.value or 0 for d in dims)


def _properties(node: Node) -> list[str]:
    """What a part is known to be."""
    found = ["complex"] if holds_complex(node) else []
    if node.ndim == 2 and is_symmetric(node):
        found.append("symmetric")
    if not found and positive_nodes(node).get(node) == 2:
        found.append("positive")
    return found
