"""What a recurrence computes on its way is kept for those who would compute it again afterwards.

The reverse loop of a derivative reads the gates that the forward loop has computed, and a gradient
`Σ_t δ[t]·s[t-1]'` the errors that the reverse loop has: they become states that no step reads, rows
of an array that are written when they are at hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from wrt.algebra.lifting import Lifting
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Apply, BoundedSum, Einsum, Factor, Node, Scan, Variable
from wrt.expression.walk import postorder

__all__ = ["beside", "inside_out", "kept"]


def beside(node: Node) -> tuple[Node, ...]:
    """The children that stand beside a node: not the step of a recurrence, which is inside."""
    return node.outside if isinstance(node, Scan) else node.children


def inside_out(roots: Sequence[Node]) -> Iterator[Node]:
    """Every node that is not inside a step once, children before their users."""
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


def kept(roots: tuple[Node, ...]) -> tuple[Node, ...]:
    """The formulas with stacks of what their recurrences compute in place of the same once more.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.functions import BOOK
    >>> n, T = Dimension.of("n"), Dimension.of("T")
    >>> x, s, s0 = Variable("x", (T, n)), Variable("s", (n,)), Variable("s0", (n,))
    >>> entry, sin = Variable("x[t]", (n,)), BOOK["sin"]
    >>> S = Scan((s,), (entry,), (s0, x, Apply(sin, (s,), 1) + entry), T)
    >>> (after,) = kept((S.state(0) + Apply(sin, (S.state(0, before=True),), 2),))
    >>> len(after.children[0].carries), {type(part).__name__ for part in after.children}
    (2, {'Scan'})
    """
    order = list(inside_out(roots))
    loops = dict.fromkeys(node.system for node in order if isinstance(node, Scan))
    if not loops:
        return roots
    keeping = _Keeping([_Known(loop) for loop in loops])
    keeping.look(roots)
    return keeping.written(order, roots)


class _Product(NamedTuple):
    """Factors of a product in a step, at `places`: a state or what it becomes, and its weights."""

    product: Einsum
    places: tuple[int, ...]

    @property
    def indices(self) -> tuple[int, ...]:
        """The indices of the first factor, which has those of the others."""
        return self.product.indices[self.places[0]]


Part = Node | _Product


class _Known:
    """What one recurrence computes, and what it is called outside: the stack over all steps."""

    def __init__(self, loop: Scan) -> None:
        self.loop = loop
        carries, elements = frozenset(loop.carries), frozenset(loop.elements)
        stacks: dict[Variable, Node] = dict(zip(loop.elements, loop.series, strict=True))
        for k, carry in enumerate(loop.carries):
            stacks[carry] = loop.state(k, before=True)
        lifting = Lifting(stacks, {}, (loop.length,))
        self.outside = lifting.done
        for one in loop.nexts:
            lifting(one)
        self.whole: dict[Node, Node] = {}
        self.products: dict[Node, list[_Product]] = {}
        for part in inside_out(loop.nexts):
            if carries.isdisjoint(part.names) or not part.children:
                continue
            if _is_work(part, carries):
                self.whole[self.outside[part]] = part
            if isinstance(part, Einsum):
                self._weighted(part, carries, elements)

    def _weighted(
        self, part: Einsum, carries: frozenset[Variable], elements: frozenset[Variable]
    ) -> None:
        """The products of one factor that moves with weights that the step is given."""
        given = [
            k
            for k, child in enumerate(part.children)
            if carries.isdisjoint(child.names) and not elements.isdisjoint(child.names)
        ]
        for k, (child, exponent, own) in enumerate(part.factors):
            if carries.isdisjoint(child.names) or exponent != 1 or len(set(own)) < len(own):
                continue
            weights = [w for w in given if set(part.indices[w]) <= set(own)]
            if weights:
                found = self.products.setdefault(self.outside[child], [])
                found.append(_Product(part, (k, *weights)))


def _is_work(part: Node, carries: frozenset[Variable]) -> bool:
    """Whether a part is more than sums and products of entries of the states."""
    for node in postorder(part):
        if not carries.isdisjoint(node.names):
            if isinstance(node, Apply | Scan | BoundedSum):
                return True
            if isinstance(node, Einsum) and node.summed:
                return True
    return False


class _Keeping:
    """What is kept of the recurrences of some formulas."""

    def __init__(self, known: Sequence[_Known]) -> None:
        self.known = {one.loop: one for one in known}
        self.whole = {out: (one, part) for one in known for out, part in one.whole.items()}
        self.products: dict[Node, list[tuple[_Known, _Product]]] = {}
        for one in known:
            for out, found in one.products.items():
                self.products.setdefault(out, []).extend((one, part) for part in found)
        #: what is kept of each recurrence, in order
        self.parts: dict[Scan, dict[Part, None]] = {one.loop: {} for one in known}
        self.met: dict[Einsum, tuple[_Known, _Product, tuple[int, ...]]] = {}

    # Reading

    def look(self, roots: Sequence[Node]) -> None:
        """Find what is computed again outside."""
        seen: set[Node] = set()
        stack = list(reversed(roots))
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if node in self.whole:
                one, part = self.whole[node]
                if part not in one.loop.nexts:
                    self.parts[one.loop][part] = None
                stack.extend(reversed(one.loop.outside))
                continue
            left = list(beside(node))
            if isinstance(node, Einsum):
                found = self._match(node)
                if found is not None:
                    one, product, places = found
                    self.met[node] = found
                    self.parts[one.loop][product] = None
                    left = [c for k, c in enumerate(left) if k not in places]
                    left += one.loop.outside
            stack.extend(reversed(left))

    def _match(self, node: Einsum) -> tuple[_Known, _Product, tuple[int, ...]] | None:
        """A product that a step computes among the factors of another."""
        for place, (child, exponent, own) in enumerate(node.factors):
            if exponent != 1 or child not in self.products or len(set(own)) < len(own):
                continue
            for one, product in self.products[child]:
                places = self._weights(node, place, one, product)
                if places is not None:
                    return one, product, (place, *places)
        return None

    def _weights(
        self, node: Einsum, place: int, one: _Known, product: _Product
    ) -> list[int] | None:
        """Where the weights of a product stand among other factors."""
        step, *own = node.indices[place]
        outer = dict(zip(product.indices, own, strict=True))
        inner = product.product
        found: list[int] = []
        for k in product.places[1:]:
            wanted = (
                one.outside[inner.children[k]],
                inner.exponents[k],
                (step, *(outer[i] for i in inner.indices[k])),
            )
            free = (
                p for p, f in enumerate(node.factors) if f == wanted and p not in (place, *found)
            )
            at = next(free, None)
            if at is None:
                return None
            found.append(at)
        return found

    # Writing

    def written(self, order: Sequence[Node], roots: Sequence[Node]) -> tuple[Node, ...]:
        """The formulas that read what is kept."""
        done: dict[Node, Node] = {}
        loops: dict[Scan, tuple[Scan, dict[Part, int]]] = {}
        for node in order:
            if isinstance(node, Scan):
                loop = node.system
                if loop not in loops:
                    loops[loop] = _longer(loop, [done[c] for c in loop.outside], self.parts[loop])
                done[node] = loops[loop][0].state(node.position, node.before)
            elif node in self.whole:
                one, part = self.whole[node]
                done[node] = self._stack(loops, one, part)
            elif isinstance(node, Einsum) and node in self.met:
                one, product, places = self.met[node]
                axes = node.indices[places[0]]
                factors: list[Factor] = [(self._stack(loops, one, product), 1, axes)]
                factors += [
                    (done[f], e, own)
                    for k, (f, e, own) in enumerate(node.factors)
                    if k not in places
                ]
                done[node] = build.product(node.coefficient, factors, node.output, node.index_dims)
            else:
                children = [done[c] for c in node.children]
                same = all(a is b for a, b in zip(children, node.children, strict=True))
                done[node] = node if same else node.rebuild(children)
        return tuple([done[root] for root in roots])

    def _stack(
        self, loops: dict[Scan, tuple[Scan, dict[Part, int]]], one: _Known, part: Part
    ) -> Node:
        loop, places = loops[one.loop]
        if part in places:
            return loop.state(places[part])
        assert isinstance(part, Node)
        return loop.state(one.loop.nexts.index(part)) if part in one.loop.nexts else part


def _longer(
    loop: Scan, outside: Sequence[Node], parts: dict[Part, None]
) -> tuple[Scan, dict[Part, int]]:
    """A recurrence with states for what is kept, and their positions."""
    done: dict[Node, Node] = {}
    weighted = {p.product: p for p in parts if isinstance(p, _Product)}
    values: dict[Part, Node] = {}
    for node in inside_out(loop.nexts):
        children = [done[c] for c in beside(node)]
        if isinstance(node, Scan):
            children += node.nexts
        if isinstance(node, Einsum) and node in weighted:
            product = weighted[node]
            values[product] = _weighted(product, children)
            done[node] = _with(product, values[product], children)
        else:
            same = all(a is b for a, b in zip(children, node.children, strict=True))
            done[node] = node if same else node.rebuild(children)
    for part in parts:
        if isinstance(part, Node):
            values[part] = done[part]
    count = len(loop.carries)
    taken = {v.name for v in loop.bound} | {v.name for one in loop.children for v in one.names}
    new = [_named(part, loop, taken) for part in parts]
    children = [
        *outside[:count],
        *(build.zeros(v.dims) for v in new),
        *outside[count:],
        *(done[one] for one in loop.nexts),
        *(values[part] for part in parts),
    ]
    made = Scan((*loop.carries, *new), loop.elements, children, loop.length, reverse=loop.reverse)
    return made, {part: count + k for k, part in enumerate(parts)}


def _weighted(part: _Product, children: Sequence[Node]) -> Node:
    """The product itself, axes as its first factor has them."""
    inner = part.product
    place = {i: k for k, i in enumerate(part.indices)}
    factors = [
        (children[k], inner.exponents[k], tuple(place[i] for i in inner.indices[k]))
        for k in part.places
    ]
    dims = [inner.index_dims[i] for i in part.indices]
    return build.product(ONE, factors, range(len(dims)), dims)


def _with(part: _Product, value: Node, children: Sequence[Node]) -> Node:
    """The product that a part belongs to, with the part as one factor."""
    inner = part.product
    factors: list[Factor] = [(value, 1, part.indices)]
    factors += [
        (children[k], inner.exponents[k], own)
        for k, own in enumerate(inner.indices)
        if k not in part.places
    ]
    return build.product(inner.coefficient, factors, inner.output, inner.index_dims)


def _named(part: Part, loop: Scan, taken: set[str]) -> Variable:
    """A variable for what is kept: errors are the δ of cotangents μ."""
    if isinstance(part, _Product):
        first = part.product.children[part.places[0]]
        dims = first.dims
        names = sorted(v.name for v in first.names if v in loop.carries)
        word = f"δ{names[0][1:]}" if names[0].startswith("μ") else f"{names[0]}_weighted"
    else:
        dims = part.dims
        word = part.function.name if isinstance(part, Apply) else "kept"
    name, number = word, 1
    while name in taken:
        number += 1
        name = f"{word}{number}"
    taken.add(name)
    return Variable(name, dims)
