"""What a recurrence computes on its way is kept for those who would compute it again afterwards.

The reverse loop of a derivative reads the gates that the forward loop has computed, and a gradient
`Σ_t δ[t]·s[t-1]'` the errors that the reverse loop has: they become states that no step reads, rows
of an array that are written when they are at hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from wrt.algebra.lifting import Lifting
from wrt.expression import build
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.nodes import (
    Apply,
    BoundedSum,
    Einsum,
    Exponent,
    Factor,
    Node,
    Scan,
    Sum,
    Variable,
)
from wrt.expression.walk import postorder
from wrt.programs.alike import without_brackets
from wrt.programs.chains import one_by_one, stack_first
from wrt.programs.flat import around, beside, flat, inside_out
from wrt.programs.hoisting import Lighter, one_product

__all__ = ["kept"]


def kept(roots: tuple[Node, ...], origins: Mapping[Scan, Lighter]) -> tuple[Node, ...]:
    """The formulas with stacks of what their recurrences compute in place of the same once more.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.functions import BOOK
    >>> from wrt.programs.hoisting import hoisted
    >>> n, T = Dimension.of("n"), Dimension.of("T")
    >>> x, s, s0 = Variable("x", (T, n)), Variable("s", (n,)), Variable("s0", (n,))
    >>> entry, sin = Variable("x[t]", (n,)), BOOK["sin"]
    >>> S = Scan((s,), (entry,), (s0, x, Apply(sin, (s,), 1) + entry), T)
    >>> again = Apply(sin, (S.state(0, before=True),), 2)
    >>> (found,) = kept(*hoisted([again]))
    >>> found is again, type(found).__name__, len(found.carries)
    (False, 'Scan', 2)
    """
    if not origins:
        return roots
    found = _kept(*_spread(roots, origins))
    again = one_by_one(found)
    if all(a is b for a, b in zip(found, again, strict=True)):
        return found
    loops = dict.fromkeys(node.system for node in inside_out(again) if isinstance(node, Scan))
    return _kept(again, {loop: Lighter(loop, {}) for loop in loops})


def _kept(roots: tuple[Node, ...], origins: Mapping[Scan, Lighter]) -> tuple[Node, ...]:
    order = list(inside_out(roots))
    loops = dict.fromkeys(node.system for node in order if isinstance(node, Scan))
    keeping = _Keeping([_Known(loop, origins[loop]) for loop in loops if loop in origins])
    keeping.look(roots)
    return keeping.written(order, roots)


def _spread(
    roots: tuple[Node, ...], origins: Mapping[Scan, Lighter]
) -> tuple[tuple[Node, ...], Mapping[Scan, Lighter]]:
    """Products in products, where nothing else reads them, written as one; what the loops were."""
    became: dict[Scan, Lighter] = {}
    order = list(inside_out(roots))
    count = Counter([*roots, *(c for node in order for c in beside(node))])
    done: dict[Node, Node] = {}
    for node in order:
        children = [done[c] for c in beside(node)]
        if isinstance(node, Einsum):
            made = one_product(node, children, [count[c] == 1 for c in node.children])
            done[node] = stack_first(made) if isinstance(made, Einsum) else made
            continue
        done[node] = made = around(node, done)
        if isinstance(node, Scan) and isinstance(made, Scan) and node.system in origins:
            became[made.system] = origins[node.system]
    return tuple([done[root] for root in roots]), became


class _Product(NamedTuple):
    """A product of entries, over its own axes: factors that are no such products themselves."""

    coefficient: Coefficient
    factors: Mapping[tuple[Node, tuple[int, ...]], Exponent]


def _factors(node: Node, axes: tuple[int, ...]) -> _Product:
    """A formula as a product of entries."""
    coefficient = ONE
    found: dict[tuple[Node, tuple[int, ...]], Exponent] = {}
    stack: list[Factor] = [(node, 1, axes)]
    while stack:
        part, exponent, at = stack.pop()
        if isinstance(part, Einsum) and not part.summed and not part.repeats and exponent == 1:
            place = dict(zip(part.output, at, strict=True))
            coefficient = coefficient * part.coefficient
            stack += [(f, e, tuple(place[i] for i in own)) for f, e, own in part.factors]
        else:
            found[part, at] = found.get((part, at), 0) + exponent
    return _Product(coefficient, found)


class _Known:
    """What one recurrence computes, and what it is called outside: the stack over all steps."""

    def __init__(self, loop: Scan, origin: Lighter) -> None:
        self.loop = loop
        carries = frozenset(loop.carries)
        states = [loop.state(k, before=True) for k in range(len(loop.carries))]
        self.whole: dict[Node, Node] = {}
        self.products: dict[Node, _Product] = {}
        after = [loop.state(k) for k in range(len(loop.carries))]
        parts = [p for p in inside_out(loop.nexts) if p.children]
        asked = dict.fromkeys(c for p in parts if _is_contracted(p, carries) for c in p.children)
        moving = [c for c in asked if not carries.isdisjoint(c.names)]
        work = [p for p in parts if _is_work(p, carries) and not _is_slight(p)]
        for known in ((), after):
            outside = self._outside(origin, states, known)
            sums = [c for c in moving if isinstance(outside[c], Sum)]
            self.whole |= {outside[part]: part for part in (*work, *sums)}
            less = flat(tuple([build.negative(outside[part]) for part in sums]))
            self.whole |= dict(zip(less, map(build.negative, sums), strict=True))
        for stack in after:
            self.whole.pop(stack, None)
        for part in parts:
            if isinstance(part, Einsum) and _is_weighted(part, carries):
                axes = tuple(range(1, part.ndim + 1))
                place = dict(zip(part.output, axes, strict=True))
                self.products[part] = _joined(
                    part.coefficient,
                    [
                        (_factors(outside[f], _axes(f, loop, [place[i] for i in own])), e)
                        for f, e, own in part.factors
                    ],
                )

    def _outside(
        self, origin: Lighter, states: Sequence[Node], after: Sequence[Node]
    ) -> Mapping[Node, Node]:
        """The parts of a step over all steps, as they were said before the loop was made lighter.

        With `after`, parts of new states are parts of their stacks.
        """
        lifted = self._lifted(origin.before, states, after)
        said = {new: lifted[part] for part, new in origin.became.items() if part in lifted}
        found = {**self._lifted(self.loop, states, after), **said}
        return dict(zip(found, flat(tuple(found.values())), strict=True))

    def _lifted(
        self, loop: Scan, states: Sequence[Node], after: Sequence[Node]
    ) -> Mapping[Node, Node]:
        stacks: dict[Variable, Node] = dict(zip(loop.elements, loop.series, strict=True))
        stacks.update(zip(loop.carries, states, strict=True))
        lifting = Lifting(stacks, {}, (loop.length,))
        for new, stack in zip(loop.nexts, after, strict=False):
            if new.children:
                lifting.done[new] = stack
                lifting.batched.add(new)
        for one in loop.nexts:
            lifting(one)
            for part in one.children:
                lifting(part)
        return lifting.done


def _axes(part: Node, loop: Scan, own: Sequence[int]) -> tuple[int, ...]:
    """The axes of a stack, that of the steps first; what is the same for all steps has no such."""
    return tuple(own) if loop.bound.isdisjoint(part.names) else (0, *own)


def _joined(coefficient: Coefficient, parts: Sequence[tuple[_Product, Exponent]]) -> _Product:
    found: dict[tuple[Node, tuple[int, ...]], Exponent] = {}
    for part, exponent in parts:
        coefficient = coefficient * part.coefficient**exponent
        for key, own in part.factors.items():
            found[key] = found.get(key, 0) + own * exponent
    return _Product(coefficient, {key: e for key, e in found.items() if e})


def _is_work(part: Node, carries: frozenset[Variable]) -> bool:
    """Whether a part is more than sums and products of entries of the states."""
    for node in postorder(part):
        if not carries.isdisjoint(node.names):
            if isinstance(node, Apply | Scan | BoundedSum):
                return True
            if isinstance(node, Einsum) and node.summed:
                return True
    return False


def _is_slight(part: Node) -> bool:
    """Whether a part is a call with a sign, or taken from a number: that the call is kept is
    enough.
    """
    terms = part.children if isinstance(part, Sum) else (part,)
    moving = [t for t in terms if t.names]
    if len(moving) != 1 or isinstance(part, Apply):
        return False
    return isinstance(build.split(moving[0])[1], Apply)


def _is_contracted(part: Node, carries: frozenset[Variable]) -> bool:
    return isinstance(part, Einsum) and bool(part.summed) and not carries.isdisjoint(part.names)


def _is_weighted(part: Einsum, carries: frozenset[Variable]) -> bool:
    """Whether a product is a state, or what it becomes, with weights that the step is given."""
    moving = [k for k, c in enumerate(part.children) if not carries.isdisjoint(c.names)]
    given = all(isinstance(c, Variable) for k, c in enumerate(part.children) if k not in moving)
    plain = not part.summed and not part.repeats and all(e.denominator == 1 for e in part.exponents)
    return plain and given and len(moving) == 1 < len(part.children)


class _Found(NamedTuple):
    """Where a product stands in another: what is left of its factors, and the axes of the stack.

    `power` is how often it is a factor there.
    """

    loop: Scan
    part: Node
    power: int
    coefficient: Coefficient
    left: tuple[Factor, ...]
    axes: tuple[int, ...]


class _Keeping:
    """What is kept of the recurrences of some formulas."""

    def __init__(self, known: Sequence[_Known]) -> None:
        #: every formula as it is said without brackets, by which it is found
        self.said: dict[Node, Node] = {}
        without_brackets((out for one in known for out in one.whole), self.said)
        self.whole = {
            self.said[out]: (one.loop, part) for one in known for out, part in one.whole.items()
        }
        self.products: dict[Node, list[tuple[Scan, Node, _Product, tuple[int, ...]]]] = {}
        for one in known:
            for part, product in one.products.items():
                for (factor, axes), _ in product.factors.items():
                    if len(set(axes)) == len(axes) == part.ndim + 1:
                        found = self.products.setdefault(factor, [])
                        found.append((one.loop, part, product, axes))
                        break
        #: what is kept of each recurrence, in order
        self.parts: dict[Scan, dict[Node, None]] = {one.loop: {} for one in known}
        self.met: dict[Node, _Found] = {}

    # Reading

    def look(self, roots: Sequence[Node]) -> None:
        """Find what is computed again outside."""
        without_brackets(roots, self.said)
        seen: set[Node] = set()
        stack = list(reversed(roots))
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if self._said(node) in self.whole:
                loop, part = self.whole[self._said(node)]
                if part not in loop.nexts:
                    self._keep(loop, part)
                stack.extend(reversed(loop.outside))
                continue
            found = self._match(node) if isinstance(node, Einsum) else None
            if found is None:
                stack.extend(reversed(beside(node)))
            else:
                self.met[node] = found
                self._keep(found.loop, found.part)
                stack.extend(c for c, _, _ in reversed(found.left))
                stack.extend(reversed(found.loop.outside))

    def _said(self, node: Node) -> Node:
        if node not in self.said:
            without_brackets((node,), self.said)
        return self.said[node]

    def _keep(self, loop: Scan, part: Node) -> None:
        """Keep a part, unless minus that is kept."""
        if build.negative(part) not in self.parts[loop]:
            self.parts[loop][part] = None

    def _match(self, node: Einsum) -> _Found | None:
        """A product that a step computes among the factors of another."""
        groups = [_factors(child, own) if e == 1 else None for child, e, own in node.factors]
        every: dict[tuple[Node, tuple[int, ...]], Exponent] = {}
        coefficient = node.coefficient
        for group, (child, e, own) in zip(groups, node.factors, strict=True):
            if group is None:
                every[child, own] = every.get((child, own), 0) + e
                continue
            coefficient = coefficient * group.coefficient
            for key, exponent in group.factors.items():
                every[key] = every.get(key, 0) + exponent
        best: _Found | None = None
        most = 0
        for factor, own in every:
            for loop, part, product, axes in self.products.get(factor, ()):
                place = dict(zip(axes, own, strict=True))
                left, power = every, 0
                while (rest := _without(left, product, place)) is not None:
                    left, power = rest, power + 1
                if power and len(product.factors) > most:
                    most = len(product.factors)
                    scale = coefficient * product.coefficient**-power
                    factors = tuple((f, e, at) for (f, at), e in left.items() if e)
                    whole = tuple(place[k] for k in range(part.ndim + 1))
                    best = _Found(loop, part, power, scale, factors, whole)
        return best

    # Writing

    def written(self, order: Sequence[Node], roots: Sequence[Node]) -> tuple[Node, ...]:
        """The formulas that read what is kept."""
        done: dict[Node, Node] = {}
        loops: dict[Scan, tuple[Scan, dict[Node, int]]] = {}
        for node in order:
            if isinstance(node, Scan):
                loop = node.system
                if loop not in loops:
                    outside = [done[c] for c in loop.outside]
                    loops[loop] = _longer(loop, outside, self.parts.get(loop, {}))
                done[node] = loops[loop][0].state(node.position, node.before)
            elif self._said(node) in self.whole:
                loop, part = self.whole[self._said(node)]
                stack = _stack(loops, loop, part)
                done[node] = _again(node, done) if stack is None else stack
            elif node in self.met:
                assert isinstance(node, Einsum)
                found = self.met[node]
                kept = _stack(loops, found.loop, found.part)
                assert kept is not None
                factors: list[Factor] = [(kept, found.power, found.axes)]
                factors += [(done[f], e, own) for f, e, own in found.left]
                done[node] = build.product(found.coefficient, factors, node.output, node.index_dims)
            else:
                done[node] = _again(node, done)
        return tuple([done[root] for root in roots])


def _without(
    every: Mapping[tuple[Node, tuple[int, ...]], Exponent],
    product: _Product,
    place: Mapping[int, int],
) -> dict[tuple[Node, tuple[int, ...]], Exponent] | None:
    """What is left of factors without those of a product, if they are all there."""
    left = dict(every)
    for (factor, own), exponent in product.factors.items():
        if not all(axis in place for axis in own):
            return None
        key = (factor, tuple(place[axis] for axis in own))
        most = left.get(key, 0)
        if most < exponent if exponent > 0 else most > exponent:
            return None
        left[key] = most - exponent
    return left


def _again(node: Node, done: Mapping[Node, Node]) -> Node:
    children = [done[c] for c in node.children]
    same = all(a is b for a, b in zip(children, node.children, strict=True))
    return node if same else node.rebuild(children)


def _stack(
    loops: Mapping[Scan, tuple[Scan, dict[Node, int]]], loop: Scan, part: Node
) -> Node | None:
    """The stack of what a step computes, where it is kept."""
    made, places = loops[loop]
    if part in places:
        return made.state(places[part])
    less = build.negative(part)
    if less in places:
        return build.negative(made.state(places[less]))
    return made.state(loop.nexts.index(part)) if part in loop.nexts else None


def _longer(
    loop: Scan, outside: Sequence[Node], parts: Mapping[Node, None]
) -> tuple[Scan, dict[Node, int]]:
    """A recurrence with states for what is kept, and their positions."""
    count = len(loop.carries)
    new = [_named(part, loop, count + number) for number, part in enumerate(parts)]
    children = [
        *outside[:count],
        *(build.zeros(v.dims) for v in new),
        *outside[count:],
        *loop.nexts,
        *parts,
    ]
    made = Scan((*loop.carries, *new), loop.elements, children, loop.length, reverse=loop.reverse)
    return made, {part: count + k for k, part in enumerate(parts)}


def _named(part: Node, loop: Scan, number: int) -> Variable:
    """A variable for what is kept: errors are the δ of cotangents μ."""
    if isinstance(part, Apply):
        word = f"{part.function.name}s"
    else:
        names = sorted(v.name for v in part.names if v in loop.carries)
        word = f"δ{names[0][1:]}" if names[0].startswith("μ") else "kept"
    return Variable(f"{word}[{number}]", part.dims)
