"""Formulas around the steps of recurrences: what stands beside a step, and one way to say sums.

Equal formulas are found by identity; so the sums of a loop and of what is computed outside it are
written alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from wrt.expression import build
from wrt.expression.coefficient import MINUS_ONE, ONE
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import LOOP, Einsum, Node, Pattern, Scan, Sum
from wrt.expression.walk import postorder

__all__ = ["around", "beside", "flat", "inside_out"]

#: A sum of more terms stays a sum by itself: written out wherever it is read it would be long.
MOST_INNER = 4


def beside(node: Node) -> tuple[Node, ...]:
    """The children that stand beside a node: not the step of a recurrence, which is inside."""
    return node.outside if isinstance(node, Scan) else node.children


def inside_out(roots: Sequence[Node]) -> Iterator[Node]:
    """Every node that is not inside a step once, children before their users."""
    if not any(root.holds & LOOP for root in roots):
        yield from postorder(*roots)
        return
    seen: set[Node] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend([(c, False) for c in reversed(beside(node)) if c not in seen])


def flat(roots: tuple[Node, ...]) -> tuple[Node, ...]:
    """The formulas with short sums in sums, and minus such, written as one sum.

    So the errors that a reverse loop reads are said as those outside it are.
    """
    done: dict[Node, Node] = {}
    for node in inside_out(roots):
        made = around(node, done)
        if isinstance(made, Einsum):
            made = _scaled_sum(made)
        elif isinstance(made, Sum):
            terms = [_terms(t) for t in made.children]
            made = _summed_once(build.add(*(one for some in terms for one in some)))
        done[node] = made
    return tuple([done[root] for root in roots])


def _terms(node: Node) -> Sequence[Node]:
    """The terms of a short sum, or of a multiple of one."""
    coefficient, inner = build.split(node)
    if _is_short(inner):
        return [build.scale(coefficient, term) for term in inner.children]
    return (node,)


def _is_short(node: Node) -> bool:
    return isinstance(node, Sum) and len(node.children) <= MOST_INNER


def around(node: Node, done: Mapping[Node, Node]) -> Node:
    """A node with the new formulas of what stands beside it."""
    parts = beside(node)
    children = [done[c] for c in parts]
    if all(a is b for a, b in zip(children, parts, strict=True)):
        return node
    return node.rebuild([*children, *node.nexts] if isinstance(node, Scan) else children)


def _scaled_sum(node: Einsum) -> Node:
    """Minus a sum as a sum; any other product as it is."""
    if len(node.children) != 1 or node.exponents != (1,) or node.indices != (node.output,):
        return node
    if node.coefficient != MINUS_ONE:
        return node
    (inner,) = node.children
    plain = _is_short(inner) and len(node.index_dims) == len(node.output)
    return build.add(*(build.scale(node.coefficient, t) for t in inner.children)) if plain else node


def _summed_once(node: Node) -> Node:
    """Sums over the steps of several things as the sum over the steps of all of them."""
    if not isinstance(node, Sum):
        return node
    groups: dict[Dimension, list[Einsum]] = {}
    for term in node.children:
        if isinstance(term, Einsum) and _is_summed_last(term):
            groups.setdefault(term.index_dims[term.summed[0]], []).append(term)
    several = [group for group in groups.values() if len(group) > 1]
    if not several:
        return node
    gone = {term for group in several for term in group}
    made = [term for term in node.children if term not in gone]
    for group in several:
        bracket = build.add(*(_unsummed(term) for term in group))
        axes = tuple(range(bracket.ndim))
        made.append(build.product(ONE, [(bracket, 1, axes)], axes[1:], bracket.dims))
    return build.add(*made)


def _is_summed_last(node: Einsum) -> bool:
    """Whether a product is formed entry by entry, and then summed over one axis."""
    if any(isinstance(c, Pattern) for c in node.children):
        return False  # only some entries are summed
    most = max((len(own) for own in node.indices), default=0)
    return len(node.summed) == 1 and not node.repeats and most == len(node.index_dims)


def _unsummed(node: Einsum) -> Node:
    output = (*node.summed, *node.output)
    return build.product(node.coefficient, node.factors, output, node.index_dims)
