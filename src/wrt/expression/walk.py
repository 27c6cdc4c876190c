"""Passing through formulas without recursion: orders, substitution, counting, pickling,
outlines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from wrt.expression import nodes
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import (
    COMPLEX,
    RANGE,
    Apply,
    BoundedSum,
    Constant,
    Einsum,
    Node,
    Pattern,
    Scan,
    Variable,
)

__all__ = [
    "bound_by",
    "dimension_names",
    "flattened",
    "holds_complex",
    "is_larger",
    "outline",
    "postorder",
    "ranged_terms",
    "rebuilt",
    "rename_dimensions",
    "replaced",
    "resized",
    "rewrite",
    "substitute",
    "unflattened",
    "users",
    "variables",
    "whole_variables",
]

#: `repr` shows this many nodes and then says how many more there are.
MOST_SHOWN = 40


def postorder(*roots: Node) -> Iterator[Node]:
    """Every node once, children before their users."""
    seen: set[Node] = set()
    stack: list[Node | None] = list(reversed(roots))
    while stack:
        node = stack.pop()
        if node is None:  # all that the next one is made of has been met
            ready = stack.pop()
            assert ready is not None
            yield ready
        elif node not in seen:
            seen.add(node)
            children = node.children
            if children:
                stack += (node, None)
                stack += children if len(children) == 1 else children[::-1]
            else:
                yield node


def users(*roots: Node) -> dict[Node, int]:
    """How many places name each node; a root counts as one."""
    named = chain.from_iterable([node.children for node in postorder(*roots)])
    return Counter(chain(roots, named))


def is_larger(most: int, *roots: Node) -> bool:
    """Whether formulas have more nodes than so many; no more of them are met than that.

    >>> from wrt.expression.nodes import Variable
    >>> x = Variable("x", ())
    >>> is_larger(1, x), is_larger(1, x, x * x)
    (False, True)
    """
    seen: set[Node] = set()
    stack = list(roots)
    while stack and len(seen) <= most:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack += node.children
    return len(seen) > most


def variables(*roots: Node) -> tuple[Variable, ...]:
    """The free variables, sorted by name."""
    free = frozenset().union(*(root.names for root in roots))
    return tuple(sorted(free, key=lambda v: (v.name, v.digest)))


def dimension_names(*roots: Node) -> tuple[str, ...]:
    """Every name of a dimension that occurs, sorted."""
    names: set[str] = set()
    for node in postorder(*roots):
        for d in (*node.dims, *getattr(node, "index_dims", ())):
            names |= d.names
        if isinstance(node, (Einsum, Constant)):
            for d in node.coefficient.dimensions:
                names |= d.names
        if isinstance(node, Pattern):
            for relation in node.relations:
                names |= relation.constant.names
    return tuple(sorted(names))


def holds_complex(*roots: Node) -> bool:
    """Whether a variable is declared complex, or a number holds the imaginary unit."""
    if any("complex" in v.properties for root in roots for v in root.names):
        return True
    return any(root.holds & COMPLEX for root in roots)


def whole_variables(*roots: Node) -> frozenset[Variable]:
    """The variables that stand where a whole number is wanted: bounds of ranges, the k of X^k."""
    found: frozenset[Variable] = frozenset()
    for node in postorder(*roots):
        if isinstance(node, BoundedSum):
            found |= node.low.names | node.high.names
        elif isinstance(node, Apply):
            for argument, child in zip(node.form.arrays, node.children, strict=True):
                if argument.kind == "whole":
                    found |= child.names
    return found


def rewrite(root: Node, rule: Callable[[Node], Node]) -> Node:
    """Rebuild bottom up, passing every rebuilt node through a rule once."""
    changed: dict[Node, Node] = {}
    for node in postorder(root):
        made = rule(rebuilt(node, changed))
        if made is not node:
            changed[node] = made
    return changed.get(root, root)


def rebuilt(node: Node, changed: Mapping[Node, Node]) -> Node:
    """A node over what its children have become."""
    if changed and not changed.keys().isdisjoint(node.children):
        return node.rebuild([changed.get(c, c) for c in node.children])
    return node


def substitute(root: Node, mapping: Mapping[Variable, Node]) -> Node:
    """The formula with other formulas of the same dimensions for some of its variables."""
    done: dict[Node, Node] = {}
    wanted = frozenset(mapping)
    for node in postorder(root):
        if isinstance(node, Variable):
            done[node] = mapping.get(node, node)
        elif node.names.isdisjoint(wanted):
            done[node] = node
        else:
            assert not _captures(node, mapping)
            done[node] = node.rebuild([done[c] for c in node.children])
    return done[root]


def replaced(root: Node, mapping: Mapping[Node, Node]) -> Node:
    """The formula with other formulas of the same dimensions for some of its parts."""
    done: dict[Node, Node] = {}
    stack = [root]
    while stack:
        node = stack[-1]
        waiting = [c for c in node.children if c not in done] if node not in mapping else []
        if waiting and node not in done:
            stack.extend(waiting)
            continue
        stack.pop()
        if node in mapping:
            done[node] = mapping[node]
        elif node not in done:
            children = [done[c] for c in node.children]
            same = all(a is b for a, b in zip(children, node.children, strict=True))
            done[node] = node if same else node.rebuild(children)
    return done[root]


def bound_by(node: Node) -> frozenset[Variable]:
    """The variables that a node binds."""
    match node:
        case BoundedSum():
            return frozenset({node.variable})
        case Scan():
            return node.bound
    return frozenset()


def _captures(node: Node, mapping: Mapping[Variable, Node]) -> bool:
    bound = bound_by(node)
    if not bound:
        return False
    return any(bound & value.names for v, value in mapping.items() if v in node.names)


def flattened(root: Node) -> tuple[tuple[str, tuple[object, ...]], ...]:
    """A formula as a flat program: each node's kind and fields, children as positions."""
    place: dict[Node, int] = {}
    lines: list[tuple[str, tuple[object, ...]]] = []
    for node in postorder(root):
        fields = tuple(_flat(getattr(node, name), place) for name in node.fields)
        place[node] = len(lines)
        lines.append((type(node).__name__, fields))
    return tuple(lines)


class _Place(int):
    """The position of a node in a flat program."""


def _flat(value: object, place: dict[Node, int]) -> object:
    if isinstance(value, Node):
        return _Place(place[value]) if value in place else value
    if isinstance(value, tuple):
        return tuple(_flat(v, place) for v in value)
    return value


def unflattened(lines: tuple[tuple[str, tuple[object, ...]], ...]) -> Node:
    """The formula of a flat program, made anew through the constructors."""
    made: list[Node] = []
    for kind, fields in lines:
        made.append(getattr(nodes, kind)(*(_deep(v, made) for v in fields)))
    return made[-1]


def _deep(value: Any, made: list[Node]) -> Any:
    if isinstance(value, _Place):
        return made[value]
    if type(value) is tuple:
        return tuple(_deep(v, made) for v in value)
    return value


def outline(root: Node) -> str:
    """A formula for programmers: one line, shared and deep parts named below it."""
    count = users(root)
    text: dict[Node, str] = {}
    lines: list[str] = []
    for node in postorder(root):
        body = _said(node, [text[c] for c in node.children])
        if node is root or not node.children or (count[node] == 1 and len(body) <= 60):
            text[node] = body
        else:
            text[node] = f"#{len(lines) + 1}"
            lines.append(f"{text[node]} = {body}")
    hidden = len(lines) - MOST_SHOWN
    if hidden > 0:
        lines = [f"… {hidden} more lines …", *lines[-MOST_SHOWN:]]
    where = "\n  where " + "\n        ".join(lines) if lines else ""
    axes = ", ".join(map(str, root.dims)) or "scalar"
    return f"<{text[root]} : {axes}{where}>"


def _said(node: Node, inside: list[str]) -> str:
    match node:
        case Variable():
            return node.name
        case Constant():
            return str(node.coefficient)
        case Pattern():
            return "[" + " and ".join(map(str, node.relations)) + "]"
        case Einsum():
            return _said_product(node, inside)
        case nodes.Sum():
            return "(" + " + ".join(inside) + ")"
        case BoundedSum():
            return f"{node.kind}({node.variable.name}, {', '.join(inside)})"
        case Apply():
            return f"{node.function.name}({', '.join(inside)})"
        case nodes.Result():
            return f"{inside[0]}.{node.position + 1}"
        case Scan():
            return _said_scan(node, inside)
        case _:
            return f"reshape({inside[0]}, {' '.join(map(str, node.dims))})"


def _said_scan(node: Scan, inside: list[str]) -> str:
    count = len(node.carries)
    names = [v.name for v in (*node.carries, *node.elements)]
    given = ", ".join(f"{name} in {text}" for name, text in zip(names, inside, strict=False))
    told = f"{'before' if node.before else 'after'}{' backwards' if node.reverse else ''}"
    asked = node.carries[node.position].name
    return f"scan({asked} {told}; {given}; {', '.join(inside[-count:])})"


def _said_product(node: Einsum, inside: Iterable[str]) -> str:
    letters = [_letter(i) for i in range(len(node.index_dims))]
    parts = [] if node.coefficient == ONE else [str(node.coefficient)]
    for text, exponent, indices in zip(inside, node.exponents, node.indices, strict=True):
        power = "" if exponent == 1 else f"^{exponent}"
        parts.append(f"{text}[{''.join(letters[i] for i in indices)}]{power}")
    return f"{{{' '.join(parts) or '1'} -> {''.join(letters[i] for i in node.output)}}}"


def _letter(index: int) -> str:
    return "ijklmnopqrstuvwxyzabcdefgh"[index] if index < 26 else f"({index})"


def ranged_terms(*roots: Node) -> int:
    """About how often the inmost term of ranges within ranges is evaluated."""
    if not any(root.holds & RANGE for root in roots):
        return 1
    often: dict[Node, int] = {}
    for node in postorder(*roots):
        often[node] = max((often[c] for c in node.children), default=1)
        if isinstance(node, BoundedSum):
            often[node] *= _length(node)
    return max(often.values())


def _length(node: BoundedSum) -> int:
    """The length of a range where its ends are numbers; where one is, at least as much as
    it says.
    """
    low, high = (
        int(end.coefficient.value) if isinstance(end, Constant) else None
        for end in (node.low, node.high)
    )
    if low is not None and high is not None:
        return max(high - low + 1, 1)
    return max(4, abs(low or 0), abs(high or 0))


def rename_dimensions(root: Node, mapping: Mapping[str, Dimension]) -> Node:
    """The same formula with other dimensions for some names."""
    return _redimensioned(root, lambda d: d.replace(mapping), lambda c: c.replace(mapping))


def resized(root: Node, sizes: Mapping[Dimension, Dimension]) -> Node:
    """The same formula with other dimensions for some; numbers in its products stay as they are."""
    return _redimensioned(root, lambda d: sizes.get(d, d), lambda c: c)


def _redimensioned(
    root: Node,
    change: Callable[[Dimension], Dimension],
    number: Callable[[Coefficient], Coefficient],
) -> Node:
    done: dict[Node, Node] = {}

    def dims(old: Iterable[Dimension]) -> tuple[Dimension, ...]:
        return tuple(map(change, old))

    for node in postorder(root):
        children = tuple(done[c] for c in node.children)
        match node:
            case Variable():
                done[node] = Variable(node.name, dims(node.dims), node.properties)
            case Constant():
                done[node] = Constant(number(node.coefficient))
            case Pattern():
                relations = [
                    nodes.Relation(r.terms, change(r.constant), r.kind) for r in node.relations
                ]
                done[node] = Pattern(dims(node.dims), relations)
            case Einsum():
                factors = zip(children, node.exponents, node.indices, strict=True)
                coefficient = number(node.coefficient)
                done[node] = Einsum(coefficient, factors, node.output, dims(node.index_dims))
            case nodes.Reshape():
                done[node] = nodes.Reshape(children[0], dims(node.dims))
            case Scan():
                done[node] = Scan(
                    [Variable(v.name, dims(v.dims), v.properties) for v in node.carries],
                    [Variable(v.name, dims(v.dims), v.properties) for v in node.elements],
                    children,
                    change(node.length),
                    node.position,
                    node.before,
                    node.reverse,
                )
            case _:
                done[node] = node.rebuild(children)
    return done[root]
