"""Gates: weights that multiply the same state in a step of a recurrence are one matrix.

`W_i*h`, `W_f*h`, … are one product with the weights put one behind the other, once before the loop,
and a function of several of them is called once. On the way back `W_i'*δ_i + W_f'*δ_f + …` is one
product too; and the gradients by all of these weights are parts of one product of stacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from wrt.algebra.lifting import Lifting
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Apply, Einsum, Node, Pattern, Scan, Sum, Variable
from wrt.expression.walk import postorder
from wrt.programs.blocks import Part, behind, part, resized
from wrt.programs.flat import around, inside_out
from wrt.programs.multiples import multiples_behind

__all__ = ["gathered"]

NONE = Dimension.of(0)
#: A sum of a product and of what a step is given for it, and that which is given.
Rest = tuple[Node, Node] | None


def gathered(roots: tuple[Node, ...]) -> tuple[Node, ...]:
    """The formulas with one product where a step multiplies one state with several matrices.

    >>> n, T = Dimension.of("n"), Dimension.of("T")
    >>> A, B, s0 = Variable("A", (n, n)), Variable("B", (n, n)), Variable("s0", (n,))
    >>> s = Variable("s", (n,))
    >>> (found,) = gathered((Scan((s,), (), (s0, (A @ s) * (B @ s)), T),))
    >>> found.nexts[0] is (behind([A, B], 0) @ s)[:n] * (behind([A, B], 0) @ s)[n:]
    True
    """
    early = {(n.system, n.position) for n in inside_out(roots) if isinstance(n, Scan) and n.before}
    orders: dict[Any, Sequence[Node]] = {}
    loops: dict[Scan, _Step] = {}
    done: dict[Node, Node] = {}
    for node in inside_out(roots):
        if not isinstance(node, Scan):
            done[node] = around(node, done)
            continue
        system = node.system
        if system not in loops:
            kept = {k for k in range(len(system.carries)) if (system, k) in early}
            now = around(system, done)
            assert isinstance(now, Scan)
            loops[system] = _Step(now, kept, orders)
        done[node] = loops[system].state(node.position, node.before)
    return _stacked_once(tuple([done[root] for root in roots]))


class _Weighted(NamedTuple):
    """A product of a matrix that all steps share with what moves: which axes are of the matrix.

    `kind` is all else that two products of one group have in common.
    """

    node: Einsum
    matrix: int
    kind: Any

    @property
    def weights(self) -> Node:
        """The matrix."""
        return self.node.children[self.matrix]

    @property
    def moving(self) -> Node:
        """What it is multiplied with."""
        return self.node.children[1 - self.matrix]


class _Place(NamedTuple):
    """A part of an array along one axis, or minus that."""

    whole: Node
    axis: int
    at: Part
    sign: int = 1

    @property
    def node(self) -> Node:
        """The part itself."""
        return build.scale(self.sign, part(self.whole, self.axis, self.at))


class _Step:
    """One recurrence with its gates together.

    `early` are the states that are read before a step, `orders` the order of the matrices that have
    been put together, so that it is the same on the way back.
    """

    def __init__(self, system: Scan, early: set[int], orders: dict[Any, Sequence[Node]]) -> None:
        self.system, self.early, self.orders = system, early, orders
        self.series = dict(zip(system.elements, system.series, strict=True))
        self.taken = {v.name for v in system.bound}
        self.taken |= {v.name for one in system.children for v in one.names}
        #: what stands for parts of the step now
        self.now: dict[Node, Node] = {}
        self.places: dict[Node, _Place] = {}
        #: of sums, the products that several of their terms have become
        self.joint: dict[Node, dict[Node, Node]] = {}
        self.order = list(postorder(*system.nexts))
        self.users = _users(self.order)
        self._gather()
        self.loop, self.found = self._rewritten()

    def state(self, position: int, before: bool) -> Node:
        """A state by its old position."""
        made = self.found[position]
        if isinstance(made, _Place):
            assert not before
            return made.node
        return self.loop.state(made, before)

    # Groups

    def _gather(self) -> None:
        """Products of one vector by several matrices, then sums of products, innermost first."""
        rank = {node: k for k, node in enumerate(self.order)}
        groups: dict[Any, list[_Weighted]] = {}
        for node in self.order:
            if isinstance(node, Einsum):
                found = _forward(node, self._still)
                if found is not None:
                    groups.setdefault(("to", found.kind), []).append(found)
            elif isinstance(node, Sum):
                for term in node.children:
                    back = _backward(term, self._still)
                    if back is not None:
                        groups.setdefault(("from", node, back.kind), []).append(back)
        several = [(key, group) for key, group in groups.items() if len(group) > 1]
        several.sort(key=lambda one: max(rank[w.moving] for w in one[1]))
        for key, group in several:
            if key[0] == "to":
                self._to_many(group)
            else:
                self._from_many(key[1], group)

    def _still(self, node: Node) -> bool:
        return self.system.bound.isdisjoint(node.names)

    def _of(self, root: Node) -> Node:
        """A part of the step with what is known by now."""
        stack = [root]
        while stack:
            node = stack[-1]
            waiting = [c for c in node.children if c not in self.now]
            if waiting and node not in self.now:
                stack.extend(waiting)
                continue
            stack.pop()
            if node not in self.now:
                children = [self.now[c] for c in node.children]
                same = all(a is b for a, b in zip(children, node.children, strict=True))
                self.now[node] = node if same else node.rebuild(children)
        return self.now[root]

    def _put(self, node: Node, place: _Place) -> None:
        self.now[node], self.places[node] = place.node, place

    # On the way there

    def _to_many(self, group: list[_Weighted]) -> None:
        """One product with all matrices, what is added to each, one call of each function."""
        node, at, _ = group[0]
        index = _own_index(node, at)
        axis, inner = node.output.index(index), node.indices[at].index(index)
        group = self._sorted(group, inner)
        matrix = behind([build.scale(one.node.coefficient, one.weights) for one in group], inner)
        made = _with(node, at, index, matrix, self._of(group[0].moving))
        start = NONE
        for run in self._runs(group):
            length = sum((one.node.dims[axis] for one, _ in run), start=NONE)
            self._put_run(run, _Place(made, axis, (start, length)))
            start = start + length

    def _sorted(self, group: list[_Weighted], inner: int) -> list[_Weighted]:
        """An order of matrices: those before the same function side by side, then by name."""
        key = (inner, frozenset(one.weights for one in group))
        if key not in self.orders:
            self.orders[key] = [one.weights for one in sorted(group, key=self._rank)]
        order = self.orders[key]
        return sorted(group, key=lambda one: order.index(one.weights))

    def _rank(self, one: _Weighted) -> Any:
        whole = self._with_rest(one.node)
        call = self._call(one.node if whole is None else whole[0])
        names = sorted(v.name for v in one.weights.names)
        word = "" if call is None else call.function.name
        return (call is None, word, names, one.weights.digest)

    def _runs(self, group: Sequence[_Weighted]) -> list[list[tuple[_Weighted, Rest]]]:
        """Products side by side: those that something is added to, and those as they are."""
        runs: list[list[tuple[_Weighted, Rest]]] = []
        for one in group:
            found = self._with_rest(one.node)
            if runs and (runs[-1][0][1] is None) == (found is None):
                runs[-1].append((one, found))
            else:
                runs.append([(one, found)])
        return [
            [(one, None) for one, _ in run] if len(run) == 1 else run  # nothing to add together
            for run in runs
        ]

    def _put_run(self, run: Sequence[tuple[_Weighted, Rest]], place: _Place) -> None:
        """Products side by side with what is added to each, as parts of one sum."""
        whole, axis, (start, _) = place.whole, place.axis, place.at
        rests = [rest[1] for _, rest in run if rest is not None]
        if rests:
            whole = build.add(place.node, self._element(behind(self._stacks(rests), axis + 1)))
            start = NONE
        calls = list[tuple[Apply | None, Node, Part]]()
        for one, rest in run:
            node = one.node if rest is None else rest[0]
            length = node.dims[axis]
            self._put(node, _Place(whole, axis, (start, length)))
            calls.append((self._call(node), node, (start, length)))
            start = start + length
        self._called(whole, axis, calls)

    def _with_rest(self, node: Node) -> Rest:
        """The sum of a product and of what a step is given for it; that which is given."""
        users = self.users[node]
        if len(users) != 1 or not isinstance(users[0], Sum):
            return None
        (whole,) = users
        rest = [c for c in whole.children if c is not node]
        if not all(c in self.series or self._still(c) for c in rest):
            return None
        return whole, build.add(*rest)

    def _stacks(self, rests: Sequence[Node]) -> list[Node]:
        """What is given for single steps, for all of them."""
        lifting = Lifting(dict(self.series), {}, (self.system.length,))
        return [lifting.full(one) for one in rests]

    def _element(self, stack: Node) -> Variable:
        """One more series that the step reads."""
        name = "z"
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        element = Variable(name, stack.dims[1:])
        self.series[element] = stack
        return element

    def _weights(self, weights: Sequence[Node], axis: int) -> Node:
        """What a step reads of weights that are given for it, one behind the other."""
        return self._element(behind(self._stacks(weights), axis + 1))

    def _call(self, node: Node) -> Apply | None:
        """The function entry by entry of a part, if there is one."""
        for user in self.users[node]:
            if isinstance(user, Apply) and user.function.entrywise and len(user.children) == 1:
                return user
        return None

    def _called(
        self, whole: Node, axis: int, runs: Sequence[tuple[Apply | None, Node, Part]]
    ) -> None:
        """One call for parts that stand side by side and meet the same function."""
        for found in _side_by_side(runs):
            call = found[0][0]
            assert call is not None
            start = found[0][2][0]
            length = sum((at[1] for _, _, at in found), start=NONE)
            inside = part(whole, axis, (start, length))
            made = Apply(call.function, [inside], call.batch)
            for one, _, (first, own) in found:
                assert one is not None
                self._put(one, _Place(made, axis, (first - start, own)))

    # On the way back

    def _from_many(self, total: Sum, group: list[_Weighted]) -> None:
        """A sum of products as one product of what is put together."""
        node, at, _ = group[0]
        (index,) = node.summed
        inner, outer = (node.indices[k].index(index) for k in (at, 1 - at))
        group = self._sorted(group, inner)
        matrix = behind([one.weights for one in group], inner)
        parts = [build.scale(one.node.coefficient, self._of(one.moving)) for one in group]
        once = multiples_behind(parts, outer, self.system.carries, self._weights)
        moving = behind(parts, outer, 0) if once is None else once
        made = _with(node, at, index, matrix, moving)
        joint = self.joint.setdefault(total, {})
        joint.update({one.node: made for one in group})
        terms = {c: joint[c] if c in joint else self._of(c) for c in total.children}
        self.now[total] = build.add(*dict.fromkeys(terms.values()))
        start = NONE
        for one in group:
            length = one.moving.dims[outer]
            weighted = build.scale(one.node.coefficient, one.moving)
            for sign in (1, -1):
                place = _Place(moving, outer, (start, length), sign)
                self.places.setdefault(build.scale(sign, weighted), place)
            if once is not None and one.node.coefficient == ONE:
                self.now[one.moving] = part(once, outer, (start, length))
            start = start + length

    # The recurrence

    def _rewritten(self) -> tuple[Scan, dict[int, int | _Place]]:
        """The recurrence, and where its states are now."""
        system = self.system
        read = frozenset().union(*(one.names for one in system.nexts))
        moved = {
            k: self.places[new]
            for k, (state, new) in enumerate(zip(system.carries, system.nexts, strict=True))
            if new in self.places and state not in read and k not in self.early
        }
        if not self.places:
            return system, {k: k for k in range(len(system.carries))}
        moved = _joined(moved)
        nexts = {k: self._of(one) for k, one in enumerate(system.nexts) if k not in moved}
        kept = list(nexts)
        wholes = list(dict.fromkeys(place.whole for place in moved.values()))
        new = [Variable(self._named(whole, moved), whole.dims) for whole in wholes]
        carries = [*(system.carries[k] for k in kept), *new]
        starts = [*(system.initials[k] for k in kept), *(build.zeros(v.dims) for v in new)]
        steps = [*nexts.values(), *wholes]
        names = frozenset().union(*(one.names for one in steps))
        known = {e: stack for e, stack in self.series.items() if e in names}
        children = [*starts, *known.values(), *steps]
        loop = Scan(carries, known, children, system.length, reverse=system.reverse)
        found: dict[int, int | _Place] = {old: k for k, old in enumerate(kept)}
        for k, place in moved.items():
            stack = loop.state(len(kept) + wholes.index(place.whole))
            found[k] = place._replace(whole=stack, axis=place.axis + 1)
        return loop, found

    def _named(self, whole: Node, moved: Mapping[int, _Place]) -> str:
        """The name of what is put together: that of its first part."""
        first = next(k for k, place in moved.items() if place.whole is whole)
        return self.system.carries[first].name


def _joined(moved: Mapping[int, _Place]) -> dict[int, _Place]:
    """The places as parts of what they fill together; those that fill nothing are left out."""
    groups: dict[tuple[Node, int], dict[Part, None]] = {}
    for place in moved.values():
        groups.setdefault((place.whole, place.axis), {})[place.at] = None
    hulls = {key: _hull(parts) for key, parts in groups.items()}
    found: dict[int, _Place] = {}
    for k, (whole, axis, at, sign) in moved.items():
        hull = hulls[whole, axis]
        if hull is not None and (len(groups[whole, axis]) > 1 or hull[1] is whole.dims[axis]):
            found[k] = _Place(part(whole, axis, hull), axis, (at[0] - hull[0], at[1]), sign)
    return found


def _hull(parts: Mapping[Part, None]) -> Part | None:
    """What parts that stand one behind the other fill together; None where there are gaps."""
    starts = dict(list(parts))
    ends = {start + length for start, length in parts}
    begins = [start for start in starts if start not in ends]
    if len(begins) != 1 or len(starts) < len(parts):
        return None
    first = end = begins[0]
    while end in starts:
        end = end + starts.pop(end)
    return None if starts else (first, end - first)


def _users(order: Sequence[Node]) -> dict[Node, list[Node]]:
    found: dict[Node, list[Node]] = {node: [] for node in order}
    for node in order:
        for child in dict.fromkeys(node.children):
            found[child].append(node)
    return found


def _side_by_side(
    runs: Sequence[tuple[Apply | None, Node, Part]],
) -> Iterator[list[tuple[Apply | None, Node, Part]]]:
    """Runs of two parts or more that meet the same function."""
    run: list[tuple[Apply | None, Node, Part]] = []
    for one in [*runs, (None, runs[0][1], runs[0][2])]:
        if run and one[0] is not None and run[-1][0] is not None:
            if one[0].function is run[-1][0].function and one[0].batch == run[-1][0].batch:
                run.append(one)
                continue
        if len(run) > 1:
            yield run
        run = [one]


def _pair(node: Node, still: Any) -> tuple[Einsum, int] | None:
    """A product of a matrix that no step changes with what moves; which factor the matrix is."""
    if not isinstance(node, Einsum) or node.exponents != (1, 1) or node.repeats or not node.summed:
        return None
    fixed = [k for k, c in enumerate(node.children) if still(c)]
    if len(fixed) != 1 or any(len(set(own)) < len(own) for own in node.indices):
        return None
    return None if isinstance(node.children[fixed[0]], Pattern) else (node, fixed[0])


def _own_index(node: Einsum, at: int) -> int:
    """The first index that only one factor has, and the output; -1 for none."""
    other = node.indices[1 - at]
    return next((i for i in node.indices[at] if i in node.output and i not in other), -1)


def _forward(node: Node, still: Any) -> _Weighted | None:
    """A product with a matrix that has an axis of its own."""
    found = _pair(node, still)
    if found is None or _own_index(*found) < 0:
        return None
    made, at = found
    return _Weighted(made, at, (made.children[1 - at], _kind(made, at, _own_index(made, at))))


def _backward(node: Node, still: Any) -> _Weighted | None:
    """A product with a matrix that is summed over one axis of both."""
    found = _pair(node, still)
    if found is None or len(found[0].summed) != 1:
        return None
    made, at = found
    (index,) = made.summed
    if not all(index in own for own in made.indices):
        return None
    return _Weighted(made, at, _kind(made, at, index))


def _with(node: Einsum, at: int, index: int, matrix: Node, moving: Node) -> Node:
    """A product with another matrix, longer at one index, and with another thing that moves."""
    factors = [*node.factors]
    factors[at] = (matrix, 1, node.indices[at])
    factors[1 - at] = (moving, 1, node.indices[1 - at])
    length = matrix.dims[node.indices[at].index(index)]
    return build.product(ONE, factors, node.output, resized(node.index_dims, index, length))


def _kind(node: Einsum, at: int, free: int) -> tuple[Any, ...]:
    """The indices and sizes of a product, whichever of its factors stands first, one size aside."""
    names: dict[int, int] = {}
    said = []
    for own in (node.indices[1 - at], node.indices[at], node.output):
        said.append(tuple([names.setdefault(i, len(names)) for i in own]))
    return (*said, *(node.index_dims[i] for i in names if i != free))


# Outside


def _stacked_once(roots: tuple[Node, ...]) -> tuple[Node, ...]:
    """Products of parts of one stack with the same as parts of one product."""
    found: dict[Node, tuple[Node, int]] = {}
    groups: dict[tuple[Node, int], dict[Part, None]] = {}
    order = list(inside_out(roots))
    for node in order:
        held = _held(node) if isinstance(node, Einsum) else None
        if held is not None:
            at, cut = held
            assert isinstance(node, Einsum)
            axis = node.output.index(node.indices[at][cut.axis])
            found[node] = key = (_wider(node, at, cut.whole, {}), axis)
            groups.setdefault(key, {})[cut.at] = None
    hulls = {key: _hull(parts) for key, parts in groups.items() if len(parts) > 1}
    done: dict[Node, Node] = {}
    for node in order:
        hull = hulls.get(found[node]) if node in found else None
        done[node] = around(node, done) if hull is None else _taken(node, hull, done)
    return tuple([done[root] for root in roots])


def _taken(node: Node, hull: Part, done: Mapping[Node, Node]) -> Node:
    """A product with a part of a stack as a part of the product with a longer part."""
    assert isinstance(node, Einsum)
    held = _held(node)
    assert held is not None
    at, cut = held
    whole = _wider(node, at, part(done[cut.whole], cut.axis, hull), done)
    start, length = cut.at
    axis = node.output.index(node.indices[at][cut.axis])
    return part(whole, axis, (start - hull[0], length))


def _held(node: Einsum) -> tuple[int, _Place] | None:
    """The factor of a product that is a part of a stack of a recurrence, along an axis that the
    output has from it alone.
    """
    if node.repeats:
        return None
    cuts = [(k, _cut(c)) for k, c in enumerate(node.children)]
    found = [(k, cut) for k, cut in cuts if cut is not None]
    if len(found) != 1:
        return None
    ((at, cut),) = found
    index = node.indices[at][cut.axis]
    held = sum(own.count(index) for own in node.indices)
    return (at, cut) if held == 1 and index in node.output else None


def _wider(node: Einsum, at: int, stack: Node, done: Mapping[Node, Node]) -> Node:
    """A product with something longer in the place of one factor."""
    own = node.indices[at]
    factors = [(done.get(f, f), e, idx) for f, e, idx in node.factors]
    factors[at] = (stack, node.exponents[at], own)
    dims = list(node.index_dims)
    for index, length in zip(own, stack.dims, strict=True):
        dims[index] = length
    return build.product(node.coefficient, factors, node.output, dims)


def _cut(node: Node) -> _Place | None:
    """A part of a stack of a recurrence."""
    if not isinstance(node, Einsum) or len(node.children) != 2 or node.exponents != (1, 1):
        return None
    (pattern, cut), (stack, own) = sorted(
        zip(node.children, node.indices, strict=True), key=lambda f: not isinstance(f[0], Pattern)
    )
    if not isinstance(pattern, Pattern) or not isinstance(stack, Scan) or pattern.ndim != 2:
        return None
    _, long = cut
    length, total = pattern.dims
    start = NONE - pattern.relations[0].constant
    if long not in own or pattern is not build.section(length, total, start):
        return None
    axis = own.index(long)
    made = part(stack, axis, (start, length))
    return _Place(stack, axis, (start, length)) if made is node else None
