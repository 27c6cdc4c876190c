"""What a recurrence need not compute step by step: parts that read no state are found before it.

A part of a step that reads entries of the series but no state is one product, or one call, over the
whole series: `U*x[t]` is a row of `X*U'`. What is larger than the entries that it reads stays in
the loop, so that no step gets a matrix of its own where it had a vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from wrt.algebra.lifting import Lifting
from wrt.expression import build
from wrt.expression.coefficient import MINUS_ONE, ONE
from wrt.expression.nodes import Einsum, Factor, Node, Pattern, Scan, Sum, Variable
from wrt.expression.products import product_carried, product_without
from wrt.expression.walk import postorder, users
from wrt.programs.chains import steps_one_by_one
from wrt.programs.flat import beside, flat

__all__ = ["Lighter", "hoisted", "one_product"]

Factors = Sequence[int]


class Lighter(NamedTuple):
    """What became of a recurrence: as it was, and which of its parts are which parts now."""

    before: Scan
    became: Mapping[Node, Node]


def hoisted(roots: Sequence[Node]) -> tuple[tuple[Node, ...], dict[Scan, Lighter]]:
    """The formulas with steps of recurrences that do what only they can, and what became of each.

    >>> from wrt.expression.dimensions import Dimension
    >>> n, T = Dimension.of("n"), Dimension.of("T")
    >>> W, x, s0 = Variable("W", (n, n)), Variable("x", (T, n)), Variable("s0", (n,))
    >>> s, entry = Variable("s", (n,)), Variable("x[t]", (n,))
    >>> (after,), _ = hoisted([Scan((s,), (entry,), (s0, x, W @ s + W @ entry), T)])
    >>> after.series[0] is x @ W.T
    True
    """
    order = list(postorder(*roots))
    if not any(isinstance(node, Scan) for node in order):
        return tuple(roots), {}
    done: dict[Node, Node] = {}
    loops: dict[Scan, Scan] = {}
    origins: dict[Scan, Lighter] = {}
    for node in order:
        children = [done[c] for c in node.children]
        same = all(a is b for a, b in zip(children, node.children, strict=True))
        made = node if same else node.rebuild(children)
        if isinstance(made, Scan):
            system = made.system
            if system not in loops:
                step = _Step(system)
                loops[system] = step.lighter()
                origins[loops[system]] = Lighter(system, step.became)
            made = loops[system].state(made.position, made.before)
        done[node] = made
    return tuple([done[root] for root in roots]), origins


class _Step:
    """One step of a recurrence while parts of it are taken out."""

    def __init__(self, system: Scan) -> None:
        self.system = system
        self.elements, self.carries = frozenset(system.elements), frozenset(system.carries)
        self.taken = {v.name for v in system.bound}
        self.taken |= {v.name for one in system.children for v in one.names}
        self.found: dict[Node, Variable] = {}
        self.became: Mapping[Node, Node] = {}

    def lighter(self) -> Scan:
        """The recurrence that reads what was taken out as further series."""
        system = self.system
        spread = self._spread()
        done: dict[Node, Node] = {}
        nexts = steps_one_by_one(system, [self._without(spread[one], done) for one in system.nexts])
        self.became = {one: done[now] for one, now in spread.items() if now in done}
        read = frozenset().union(*(one.names for one in nexts))
        known = dict(zip(system.elements, system.series, strict=True))
        known |= {new: self._stacked(part) for part, new in self.found.items()}
        known = {element: series for element, series in known.items() if element in read}
        children = (*system.initials, *known.values(), *nexts)
        return Scan(system.carries, known, children, system.length, reverse=system.reverse)

    def _spread(self) -> dict[Node, Node]:
        """The parts of the new states with products in products and sums in sums written as one.

        So what reads no state stands side by side. What is read twice stays.
        """
        nexts = self.system.nexts
        count = users(*nexts)
        done: dict[Node, Node] = {}
        for node in postorder(*nexts):
            children = [done[c] for c in node.children]
            if isinstance(node, Einsum):
                alone = [
                    count[c] == 1 and not self.carries.isdisjoint(c.names) for c in node.children
                ]
                done[node] = one_product(node, children, alone)
            elif isinstance(node, Sum):
                inner = zip(node.children, children, strict=True)
                terms = [
                    list(made.children) if count[c] == 1 and isinstance(made, Sum) else [made]
                    for c, made in inner
                ]
                done[node] = build.add(*(term for group in terms for term in group))
            else:
                same = all(a is b for a, b in zip(children, node.children, strict=True))
                done[node] = node if same else node.rebuild(children)
        return done

    # What may be taken out

    def fits(self, node: Node) -> bool:
        """Whether a part can be found for all steps at once, without growing."""
        return self._reads(node) and self._small(node)

    def _reads(self, node: Node) -> bool:
        return not self.elements.isdisjoint(node.names) and self.carries.isdisjoint(node.names)

    def _still(self, node: Node) -> bool:
        return self.elements.isdisjoint(node.names) and not self._moves(node)

    def _moves(self, node: Node) -> bool:
        return not self.carries.isdisjoint(node.names)

    def _small(self, root: Node) -> bool:
        """Whether no part has more axes than the entries that the whole reads."""
        most = self._most_axes(root.names)
        stack = [root]
        while stack:
            node = stack.pop()
            if self.elements.isdisjoint(node.names):
                continue
            if isinstance(node, Scan) or node.ndim > most:
                return False
            stack.extend(node.children)
        return True

    def _most_axes(self, names: Iterable[Variable]) -> int:
        return max(v.ndim for v in names if v in self.elements)

    def _variable(self, part: Node) -> Node:
        """What stands for a part in the step."""
        if isinstance(part, Variable):
            return part
        if part not in self.found:
            name = f"h{len(self.found) + 1}"
            while name in self.taken:
                name = f"{name}_"
            self.taken.add(name)
            self.found[part] = Variable(name, part.dims)
        return self.found[part]

    def _stacked(self, part: Node) -> Node:
        """A part for all steps."""
        known = dict(zip(self.system.elements, self.system.series, strict=True))
        (stack,) = flat((Lifting(known, {}, (self.system.length,)).full(part),))
        return stack

    # Taking out

    def _without(self, root: Node, done: dict[Node, Node]) -> Node:
        """A formula of a step without what can be taken out."""
        stack = [root]
        while stack:
            node = stack[-1]
            if node not in done:
                if self.elements.isdisjoint(node.names):
                    done[node] = node
                elif self.fits(node):
                    done[node] = self._variable(node)
            waiting = [] if node in done else [c for c in beside(node) if c not in done]
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            if node not in done:
                done[node] = self._lighter(node, done)
        return done[root]

    def _lighter(self, node: Node, done: dict[Node, Node]) -> Node:
        if isinstance(node, Sum):
            return self._sum(node, done)
        if isinstance(node, Einsum):
            return self._product(node, done)
        return node.rebuild([done.get(c, c) for c in node.children])

    def _sum(self, node: Sum, done: dict[Node, Node]) -> Node:
        """The terms that read no state added before: one addition is left."""
        moving = [c for c in node.children if not self.carries.isdisjoint(c.names)]
        out = [c for c in node.children if self.fits(c)]
        still = [c for c in node.children if self._still(c)]
        rest = [c for c in node.children if c not in moving and c not in out and c not in still]
        kept = [*self._bracketed([done[c] for c in moving]), *(done[c] for c in rest)]
        if len(out) + len(still) > 1 and out:
            return build.add(*kept, self._variable(build.add(*out, *still)))
        return build.add(*kept, *(done[c] for c in (*out, *still)))

    def _bracketed(self, terms: Sequence[Node]) -> list[Node]:
        """Several weights of one thing that moves added before: one product is left."""
        groups: dict[object, list[tuple[Node, Node]]] = {}
        for term in terms:
            moving, weight = self._weighted(term)
            groups.setdefault(moving, []).append((term, weight))
        kept: list[Node] = []
        for moving, found in groups.items():
            bracket = build.add(*(weight for _, weight in found)) if len(found) > 1 else None
            if bracket is None or not self.fits(bracket):
                kept += [term for term, _ in found]
                continue
            assert isinstance(moving, Node)
            axes = tuple(range(moving.ndim))
            factors: list[Factor] = [(moving, 1, axes), (self._variable(bracket), 1, axes)]
            kept.append(build.product(ONE, factors, axes, moving.dims))
        return kept

    def _weighted(self, term: Node) -> tuple[object, Node]:
        """What moves in a product of its entries with weights that do not, and the weights."""
        if not isinstance(term, Einsum) or term.summed or term.repeats:
            return term.digest, term
        moving = [k for k, c in enumerate(term.children) if self._moves(c)]
        axes = tuple(range(term.ndim))
        whole = len(moving) == 1 and term.indices[moving[0]] == term.output
        if not whole or term.exponents[moving[0]] != 1 or term.output != axes:
            return term.digest, term
        said = {new: part for part, new in self.found.items()}
        rest = [(said.get(f, f), e, own) for f, e, own in term.factors]  # type: ignore[call-overload]
        del rest[moving[0]]
        return term.children[moving[0]], build.product(term.coefficient, rest, axes, term.dims)

    def _product(self, node: Einsum, done: dict[Node, Node]) -> Node:
        """Factors that read no state multiplied before, where they make no larger array."""
        given = list(node.factors)
        groups = [[k] for k, (part, _, _) in enumerate(given) if self.fits(part)]
        groups = [self._grown(node, group) for group in groups]
        groups = self._joined(node, groups)
        coefficient = node.coefficient
        made: list[Factor] = []
        gone: set[int] = set()  # what is summed within a factor already
        for group in groups:
            ((part, exponent, own), *more) = [given[k] for k in group]
            if not more and exponent == 1:
                made.append((done[part], exponent, own))
                continue
            weight = ONE
            if coefficient not in (ONE, MINUS_ONE):
                weight, coefficient = coefficient, ONE
            kept = _laid_out(self._kept(node, group), [node.indices[k] for k in group])
            gone |= {i for k in group for i in node.indices[k]} - set(kept)
            inner = product_carried(weight, [given[k] for k in group], kept, node.index_dims)
            made.append((self._variable(inner), 1, kept))
        used = {k for group in groups for k in group}
        made += [(done[f], e, own) for k, (f, e, own) in enumerate(given) if k not in used]
        factors = self._weighted_first(made)
        return product_without(coefficient, factors, node.output, node.index_dims, gone)

    def _weighted_first(self, factors: list[Factor]) -> list[Factor]:
        """A product in which a state is weighted before it is multiplied with a matrix."""
        for k, (part, exponent, own) in enumerate(factors):
            if self.carries.isdisjoint(part.names) or exponent != 1 or len(set(own)) < len(own):
                continue
            weights = [f for f in factors if self._reads_only(f[0]) and set(f[2]) <= set(own)]
            rest = [f for f in factors if f not in weights and f is not factors[k]]
            if weights and rest:
                place = {i: axis for axis, i in enumerate(own)}
                inner = [(f, e, tuple(place[i] for i in at)) for f, e, at in (factors[k], *weights)]
                weighted = build.product(ONE, inner, range(part.ndim), part.dims)
                return [(weighted, 1, own), *rest]
        return factors

    def _reads_only(self, part: Node) -> bool:
        return isinstance(part, Variable) and (part in self.elements or part in self.found.values())

    def _kept(self, node: Einsum, group: Factors) -> tuple[int, ...]:
        """The indices of some factors that the output or other factors have."""
        inside = {i for k in group for i in node.indices[k]}
        outside = {i for k, own in enumerate(node.indices) if k not in group for i in own}
        return tuple(sorted(inside & (outside | set(node.output))))

    def _grown(self, node: Einsum, group: list[int]) -> list[int]:
        """A factor with constant ones: weights of its entries, a matrix that it is multiplied with.

        A sum that a state could take first, leaving less to multiply, stays where it is.
        """
        most = self._most_axes(v for k in group for v in node.children[k].names)
        moving = {
            i
            for part, own in zip(node.children, node.indices, strict=True)
            if not self.carries.isdisjoint(part.names)
            for i in own
        }
        changed = True
        while changed:
            changed = False
            kept = set(self._kept(node, group))
            for k, (part, _, own) in enumerate(node.factors):
                if k in group or not self._still(part) or isinstance(part, Pattern):
                    continue
                weight = set(own) <= kept
                summed = not (kept & moving - set(node.output)) and kept & set(own)
                if weight or (summed and len(self._kept(node, [*group, k])) <= most):
                    group, changed = [*group, k], True
                    break
        return group

    def _joined(self, node: Einsum, groups: list[list[int]]) -> list[list[int]]:
        """Groups that share their entries as one."""
        joined: list[list[int]] = []
        for group in groups:
            if any(k in other for other in joined for k in group):
                group = [k for k in group if not any(k in other for other in joined)]
            for place, other in enumerate(joined):
                kept = set(self._kept(node, [*other, *group]))
                if kept <= set(self._kept(node, other)) or kept <= set(self._kept(node, group)):
                    joined[place] = [*other, *group]
                    break
            else:
                joined.append(group)
        return joined


def _laid_out(kept: tuple[int, ...], held: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Indices in the order that one of the factors has them in, so that none need be turned."""
    return next((own for own in held if sorted(own) == sorted(kept)), kept)


def one_product(node: Einsum, children: Sequence[Node], alone: Sequence[bool]) -> Node:
    """A product with the factors of its factors that are products entry by entry."""
    factors: list[Factor] = []
    coefficient = node.coefficient
    for child, inline, exponent, own in zip(
        children, alone, node.exponents, node.indices, strict=True
    ):
        plain = isinstance(child, Einsum) and not child.summed and not child.repeats
        if not (inline and plain and exponent == 1):
            factors.append((child, exponent, own))
            continue
        assert isinstance(child, Einsum)
        coefficient = coefficient * child.coefficient
        place = dict(zip(child.output, own, strict=True))
        factors += [(f, e, tuple(place[i] for i in inner)) for f, e, inner in child.factors]
    return build.product(coefficient, factors, node.output, node.index_dims)
