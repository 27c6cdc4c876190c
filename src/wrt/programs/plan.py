"""From formulas to the steps of a program: shared parts once, zeros never formed.

One lowering for each kind of node; `plan` takes the nodes in order and never recurses but into
loops.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from wrt.algebra.conjugation import is_real
from wrt.algebra.properties import is_symmetric
from wrt.errors import TooLarge
from wrt.expression.coefficient import ONE
from wrt.expression.dataclass import dataclass
from wrt.expression.dimensions import Dimension
from wrt.expression.function import Function
from wrt.expression.nodes import (
    Apply,
    BoundedSum,
    Constant,
    Einsum,
    Node,
    Pattern,
    Reshape,
    Result,
    Scan,
    Sum,
    Variable,
)
from wrt.expression.walk import holds_complex, postorder, users
from wrt.functions import BOOK
from wrt.programs.additions import lower_sum
from wrt.programs.apart import apart
from wrt.programs.costs import billed
from wrt.programs.diagonals import by_diagonals
from wrt.programs.near import by_differences, by_log1p
from wrt.programs.norms import by_norms
from wrt.programs.parts import by_parts
from wrt.programs.places import sign
from wrt.programs.prepare import prepared
from wrt.programs.products import Tensor, lower_product
from wrt.programs.scaled import scaled
from wrt.programs.steps import Recurrence, Step, Steps
from wrt.programs.systems import SYSTEMS, forms, share
from wrt.programs.together import together
from wrt.programs.unlaying import unlaid

__all__ = ["Plan", "plan"]

#: Loops inside loops beyond this depth are an accident.
MOST_LOOPS = 30


@dataclass(frozen=True)
class Plan:
    """The steps of a program in order, and what its results are.

    `conditions` are whole numbers that must not be negative for the slices to exist.
    """

    roots: tuple[Node, ...]
    steps: Steps
    results: tuple[int, ...]
    conditions: tuple[Dimension, ...]

    @property
    def all(self) -> Sequence[Step]:
        """Every step."""
        return self.steps.all

    def shapes(self) -> Iterator[tuple[Dimension, ...]]:
        """The axes of every array that the program forms."""
        return iter(dict.fromkeys(self.steps[at].dims for at in self.formed()))

    def formed(self) -> Iterator[int]:
        """The steps that are needed for the results, the last first."""
        steps = self.steps.all
        needed = set(self.results)
        for at in range(len(steps) - 1, -1, -1):
            if at in needed:
                needed.update(steps[at].args)
                yield at


def plan(formula: Node | tuple[Node, ...], sizes: Mapping[str, int] | None = None) -> Plan:
    """The steps of one formula, or of several that share their work.

    `sizes` by name of dimension decide the order of multiplying; what they leave out counts as 100.

    >>> from wrt.expression.nodes import Variable
    >>> n = Dimension.of("n")
    >>> A, x = Variable("A", (n, n)), Variable("x", (n,))
    >>> [step.op for step in plan(A @ (A @ x)).all]
    ['load', 'load', 'matmul', 'matmul']
    """
    roots = formula if isinstance(formula, tuple) else (formula,)
    return _planned(roots, tuple(sorted((sizes or {}).items())))


@lru_cache(maxsize=256)
def _planned(roots: tuple[Node, ...], sizes: tuple[tuple[str, int], ...]) -> Plan:
    """The cheapest of the plans of equal formulas."""
    known = dict(sizes)

    def price(plan: Plan) -> float:
        return billed(plan.steps, plan.results, known).nanoseconds

    def lowered(ready: tuple[Node, ...]) -> Iterator[tuple[Plan, tuple[Node, ...]]]:
        solved, matrices = _solvable(ready), forms(ready)
        for chosen in (solved, frozenset[Node]()) if solved else (solved,):
            yield _lowered(roots, ready, chosen, matrices, known), ready

    ways = [prepared(*w, sizes=known, out=out) for w in _ways(roots) for out in (False, True)]
    plans = [one for ready in dict.fromkeys(ways) for one in lowered(ready)]
    best, ready = plans[0] if len(plans) == 1 else min(plans, key=lambda one: price(one[0]))
    shared = together(ready, known)
    if shared == ready:
        return best
    return min([best, *(one for one, _ in lowered(shared))], key=price)


def _ways(roots: tuple[Node, ...]) -> tuple[tuple[Node, ...], ...]:
    """The formulas in words that lose no digits near 0 and far out: as they are, with their outer
    products formed last, and with none laid out.
    """
    exact = [by_log1p(scaled(root)) for root in by_differences(*roots)]
    roots = tuple([by_diagonals(by_parts(root)) for root in exact])
    ways = dict.fromkeys((roots, *(tuple(map(apart, way)) for way in (roots, _open(roots)))))
    return tuple([tuple(map(by_norms, way)) for way in ways])


def _open(roots: tuple[Node, ...]) -> tuple[Node, ...]:
    return tuple(map(unlaid, roots))


def _lowered(
    roots: tuple[Node, ...],
    ready: tuple[Node, ...],
    solved: frozenset[Node],
    matrices: Mapping[Node, str],
    sizes: Mapping[str, int],
) -> Plan:
    planner = _Planner(ready, solved, matrices, sizes)
    results = tuple(planner.whole(planner.lower(root), root) for root in planner.roots)
    share(planner.steps, results)
    return Plan(roots, planner.steps, results, _needed(planner.conditions))


#: An inverse that is multiplied with this often is dearer than solving for each product.
MOST_SOLVED = 4


def _solvable(roots: tuple[Node, ...]) -> frozenset[Node]:
    """The inverses of which only products are wanted, few of them."""
    uses: dict[Node, int] = {}
    kept: set[Node] = set(roots)
    for node in postorder(*roots):
        factors = node.factors if isinstance(node, Einsum) else [(c, 0, ()) for c in node.children]
        for place, (child, exponent, indices) in enumerate(factors):
            if not (isinstance(child, Apply) and child.function is BOOK["inv"] and child.ndim == 2):
                continue
            others = {i for k, f in enumerate(factors) if k != place for i in f[2]}
            summed = isinstance(node, Einsum) and set(indices) & set(node.summed) & others
            if exponent == 1 and summed and len(set(indices)) == 2:
                uses[child] = uses.get(child, 0) + 1
            else:
                kept.add(child)
    return frozenset(n for n, often in uses.items() if often <= MOST_SOLVED and n not in kept)


def _needed(conditions: Sequence[Dimension]) -> tuple[Dimension, ...]:
    """The conditions without those that another one implies."""
    found: list[Dimension] = []
    for one in dict.fromkeys(conditions):
        if not any(sign(one - other) == 1 for other in found):
            found = [other for other in found if sign(other - one) != 1] + [one]
    return tuple(found)


class _Planner:
    """Takes formulas node by node; `made` holds what is known in each block."""

    def __init__(
        self,
        roots: tuple[Node, ...],
        solved: frozenset[Node],
        forms: Mapping[Node, str],
        sizes: Mapping[str, int],
    ) -> None:
        self.roots, self.solved, self.forms, self.sizes = roots, solved, forms, sizes
        self.steps = Steps()
        self.conditions: list[Dimension] = []
        self.loops: list[tuple[Variable, int]] = []
        self.made: list[dict[Node, Tensor]] = [{}]
        self.inside = _inside_sums(roots)
        self.count = users(*roots)
        self.recurrences: dict[tuple[int, Node], int] = {}
        self.asked = _asked(roots)

    # The walk

    def lower(self, root: Node) -> Tensor:
        """The steps of a formula, its parts first."""
        stack = [(root, False)]
        while stack:
            node, ready = stack.pop()
            known = self._known(node)
            if node in known:
                continue
            if ready:
                known[node] = self._lowered(node)
                continue
            stack.append((node, True))
            parts = _outside(node)
            melts = isinstance(node, Einsum)
            stack.extend(
                (c, False) for c in reversed(parts) if not (melts and isinstance(c, Pattern))
            )
        return self._known(root)[root]

    def _known(self, node: Node) -> dict[Node, Tensor]:
        """The table of the innermost loop that a node depends on."""
        for variable, block in reversed(self.loops):
            if variable in node.names:
                return self.made[block]
        return self.made[0]

    def _of(self, node: Node) -> Tensor:
        return self._known(node)[node]

    def whole(self, tensor: Tensor, node: Node) -> int:
        """The step with every axis of the formula, repeated where it was left to broadcasting."""
        steps = self.steps
        at = steps.real(tensor.step)
        if node in self.roots and steps[at].kind == "complex" and is_real(node):
            at = self._real_part(at)
        if len(tensor.axes) == node.ndim:
            return at
        laid = steps.expand(at, [k in tensor.axes for k in range(node.ndim)])
        return steps.add("broadcast", (laid,), None, node.dims)

    def _lowered(self, node: Node) -> Tensor:
        match node:
            case Variable():
                return self._variable(node)
            case Constant():
                return Tensor(self.steps.number(node.coefficient), ())
            case Pattern():
                return self._pattern(node)
            case Einsum():
                return self._product(node)
            case Sum():
                return self._sum(node)
            case BoundedSum():
                return self._bounded(node)
            case Scan():
                return self._scan(node)
            case Apply():
                return self._call(node)
            case Result():
                call = self._of(node.call)
                return self._picked(node.call, call, node.position)
            case Reshape():
                return self._reshape(node)
        raise AssertionError(node)

    # The kinds

    def _variable(self, node: Variable) -> Tensor:
        block = next((b for v, b in reversed(self.loops) if v is node), None)
        kind = "complex" if "complex" in node.properties else "real"
        if block is not None:
            kind = "number"
        at = self.steps.add("load", (), node, node.dims, kind, block)
        return Tensor(at, tuple(range(node.ndim)))

    def _pattern(self, node: Pattern) -> Tensor:
        axes = tuple(range(node.ndim))
        product = Einsum(ONE, ((node, 1, axes),), axes, node.dims)
        return self._product(product)

    def _product(self, node: Einsum) -> Tensor:
        tensors = [None if isinstance(c, Pattern) else self._of(c) for c in node.children]
        outside = node in self.inside
        return lower_product(self.steps, node, tensors, self.sizes, self.conditions, outside)

    def _sum(self, node: Sum) -> Tensor:
        steps = self.steps
        terms = [self._of(term) for term in node.children]
        axes = tuple(sorted({a for t in terms for a in t.axes}))
        signed: list[tuple[int, int]] = []
        for tensor in terms:
            sign, at = 1, tensor.step
            if steps[at].op == "negate":
                sign, at = -1, steps[at].args[0]
            elif steps[at].op == "number" and steps[at].data.value < 0:
                sign, at = -1, steps.number(-steps[at].data)
            signed.append((sign, steps.aligned(at, tensor.axes, axes)))
        return Tensor(
            lower_sum(steps, signed, tuple([node.dims[a] for a in axes]), self.sizes), axes
        )

    def _bounded(self, node: BoundedSum) -> Tensor:
        steps = self.steps
        ends = [
            steps.add("whole", (self._of(c).step,), None, (), "number") for c in node.children[:2]
        ]
        outer = self._block_of(node)
        block = self._opened(outer)
        self.loops.append((node.variable, block))
        counter = steps.add("load", (), node.variable, (), "number", block)
        body = self.lower(node.body)
        self.loops.pop()
        at = self.whole(body, node.body) if node.kind == "prod" else body.step
        if node.kind == "sum":
            at = steps.expand(steps.real(at), [k in body.axes for k in range(node.ndim)])
        kind = "complex" if steps[at].kind == "complex" else "real"
        kind = "number" if steps[body.step].kind == "number" and not node.dims else kind
        data = (node.kind, block)
        loop = steps.add("loop", (*ends, counter, at), data, node.dims, kind, outer)
        return Tensor(loop, tuple(range(node.ndim)))

    def _block_of(self, node: Node) -> int:
        """The innermost loop that a node depends on."""
        return next((b for v, b in reversed(self.loops) if v in node.names), 0)

    def _opened(self, outer: int) -> int:
        """A new loop."""
        if len({block for _, block in self.loops}) >= MOST_LOOPS:
            raise TooLarge(f"more than {MOST_LOOPS} loops inside one another are refused")
        block = self.steps.open(outer)
        self.made.append({})
        assert len(self.made) == len(self.steps.blocks)
        return block

    def _scan(self, node: Scan) -> Tensor:
        """The states of a recurrence: its loop is written once."""
        outer = self._block_of(node)
        key = (outer, node.system)
        if key not in self.recurrences:
            self.recurrences[key] = self._recurrence(node.system, outer)
        loop = self.recurrences[key]
        place = self.steps[loop].data.states.index(node.carries[node.position])
        kind = "complex" if self._turns_complex(node) else "real"
        at = self.steps.add("stack", (loop,), (place, node.before), node.dims, kind)
        return Tensor(at, tuple(range(node.ndim)))

    def _recurrence(self, node: Scan, outer: int) -> int:
        """The loop of a recurrence, with the states that somebody needs."""
        steps = self.steps
        kept = _live(node, {place for place, _ in self.asked[node]})
        states = tuple(node.carries[k] for k in kept)
        read = frozenset().union(*(node.nexts[k].names for k in kept))
        unread = [
            k for k in kept if node.carries[k] not in read and (k, True) not in self.asked[node]
        ]
        starts = [
            steps.number(ONE)
            if k in unread
            else self.whole(self._of(node.initials[k]), node.initials[k])
            for k in kept
        ]
        block = self._opened(outer)
        counter = steps.add("load", (), Variable("t", ()), (), "number", block)
        kind = "complex" if self._turns_complex(node) else "real"
        known = self.made[block]
        for place, state in enumerate(states):
            at = steps.add("carry", (), (place, state), state.dims, kind, block)
            known[state] = Tensor(at, tuple(range(state.ndim)))
        for element, series in zip(node.elements, node.series, strict=True):
            known[element] = self._entry(self._of(series), counter, element)
        before = len(self.loops)
        self.loops += [(v, block) for v in node.bound]
        new = [self.whole(self.lower(node.nexts[k]), node.nexts[k]) for k in kept]
        del self.loops[before:]
        told = frozenset(map(kept.index, unread))
        data = Recurrence(block, states, told, node.length, node.reverse)
        return steps.add("scan", (counter, *starts, *new), data, (node.length,), kind, outer)

    def _entry(self, series: Tensor, counter: int, element: Variable) -> Tensor:
        """What a step reads of a series: all of it where it is the same for every step."""
        axes = tuple(a - 1 for a in series.axes if a)
        if 0 not in series.axes:
            return Tensor(series.step, axes)
        dims = self.steps[series.step].dims[1:]
        kind = self.steps[series.step].kind
        at = self.steps.add("entry", (series.step, counter), element, dims, kind)
        return Tensor(at, axes)

    def _turns_complex(self, node: Scan) -> bool:
        """Whether a state may be complex; all states of a recurrence are where one is."""
        given = [self._of(part) for part in node.outside]
        if any(self.steps[tensor.step].kind == "complex" for tensor in given):
            return True
        return holds_complex(*node.nexts)

    def _call(self, node: Apply) -> Tensor:
        arguments = [self._of(c) for c in node.children]
        if node.function.entrywise:
            return self._entrywise(node, arguments)
        if len(arguments) == 1 and not _core_is_whole(arguments[0], node):
            arguments = [self._core_made_whole(arguments[0], node)]
        elif len(arguments) > 1:
            arguments = [
                self._argument(t, c, node) for t, c in zip(arguments, node.children, strict=True)
            ]
        return self._general(node, arguments)

    def _argument(self, tensor: Tensor, child: Node, call: Apply) -> Tensor:
        """One of several arguments, whole. What is the same for every direction along which a
        function is linear stays one array: its program does with it once what all have in common.
        """
        core = tuple(range(call.batch, child.ndim))
        if call.function.linear and tensor.axes == core:
            return tensor
        return Tensor(self.whole(tensor, child), tuple(range(child.ndim)))

    def _entrywise(self, node: Apply, arguments: Sequence[Tensor]) -> Tensor:
        steps = self.steps
        axes = tuple(sorted({a for t in arguments for a in t.axes}))
        laid = [steps.real(steps.aligned(t.step, t.axes, axes)) for t in arguments]
        laid = [
            self._parts(at, c, node.function) for at, c in zip(laid, node.children, strict=True)
        ]
        at = steps.add("call", laid, (node.function, ()), [node.dims[a] for a in axes], "real")
        return Tensor(self._kinded(at, laid, node.function), axes)

    def _parts(self, at: int, child: Node, function: Function) -> int:
        """An argument; of one that is real by its meaning, the real part."""
        if self.steps[at].kind != "complex":
            return at
        if function.is_holomorphic or function.complex_definition:
            return self._real_part(at) if is_real(child) else at
        return self._real_part(at)

    def _real_part(self, at: int) -> int:
        dims = self.steps[at].dims
        return self.steps.add("call", (at,), (BOOK["real"], (len(dims),)), dims, "real")

    def _kinded(self, at: int, arguments: Sequence[int], function: Function) -> int:
        """A call of complex arguments may be complex."""
        turns = function.is_holomorphic or function is BOOK["conj"]
        if turns and any(self.steps[a].kind == "complex" for a in arguments):
            step = self.steps[at]
            self.steps.all[at] = Step(
                step.op, step.args, step.data, step.dims, "complex", step.block
            )
        return at

    def _core_made_whole(self, tensor: Tensor, node: Apply) -> Tensor:
        """Broadcasting may stay for the axes that a function is mapped over, not for its own."""
        steps, child = self.steps, node.children[0]
        kept = tuple(a for a in range(child.ndim) if a in tensor.axes or a >= node.batch)
        laid = steps.expand(steps.real(tensor.step), [a in tensor.axes for a in kept])
        return Tensor(steps.add("broadcast", (laid,), None, [child.dims[a] for a in kept]), kept)

    def _general(self, node: Apply, arguments: Sequence[Tensor]) -> Tensor:
        """A function of whole tensors, mapped over its first axes."""
        steps, function = self.steps, node.function
        form = node.form
        lead = [sum(a < node.batch for a in argument.axes) for argument in arguments]
        batch = max(lead)
        widest = arguments[lead.index(batch)]
        given: list[int] = []
        for argument, child, tensor in zip(form.arrays, node.children, arguments, strict=True):
            at = steps.real(tensor.step)
            if argument.kind == "whole":
                at = steps.add("whole", (at,), None, (), "number")
            if argument.dims is None and not given and len(steps[at].dims) != batch + 1:
                at = self._flat(at, batch)
            given.append(self._parts(at, child, function))
        if function in SYSTEMS and not node.batch:
            return Tensor(self._system(node, given[0]), tuple(range(node.ndim)))
        dims = [self._result_dims(node, widest, k) for k in range(len(node.results))]
        call = steps.add("call", given, (function, tuple(map(len, dims))), dims[0], "real")
        call = self._kinded(call, given, function)
        axes = self._result_axes(node, widest)
        if len(node.results) > 1:
            return self._picked(node, Tensor(call, axes), 0)
        if form.arguments[0].dims is None and form.results[0].dims is None:
            return Tensor(self._shaped(call, dims[0]), axes)
        return Tensor(call, axes)

    def _system(self, node: Apply, at: int) -> int:
        """What factorises a matrix: its inverse, its determinant, its Cholesky factor."""
        steps, word = self.steps, node.function
        form = self.forms[node.children[0]]
        if word is BOOK["chol"] and form != "cholesky":
            form = "lu"
        if steps[at].kind == "complex" and (form == "cholesky" or word is BOOK["logdet"]):
            form = "lu"
        factors = steps.factors(at, form)
        if form == "lu":
            made = steps.add("call", (at,), (word, (node.ndim,)), node.dims, "real")
            made = self._kinded(made, (at,), word)
        elif word is BOOK["chol"]:
            return factors
        else:
            made = steps.add(SYSTEMS[word], (factors,), form, node.dims)
        if word is BOOK["inv"] and (form == "cholesky" or is_symmetric(node.children[0])):
            steps.symmetric |= {made, at}
        if node in self.solved:
            steps.inverses[made] = (at if form == "lu" else factors), form
        return made

    def _flat(self, at: int, batch: int) -> int:
        """The axes after the first `batch` laid out as one."""
        dims = self.steps[at].dims
        length = Dimension.of(1)
        for d in dims[batch:]:
            length = length * d
        return self.steps.add("reshape", (at,), None, (*dims[:batch], length))

    def _shaped(self, at: int, dims: Sequence[Dimension]) -> int:
        return at if len(dims) == 1 else self.steps.add("reshape", (at,), None, dims)

    def _result_axes(self, node: Apply, first: Tensor, position: int = 0) -> tuple[int, ...]:
        lead = tuple(a for a in first.axes if a < node.batch)
        return (*lead, *range(node.batch, len(node.results[position])))

    def _result_dims(self, node: Apply, first: Tensor, position: int) -> tuple[Dimension, ...]:
        axes = self._result_axes(node, first, position)
        return tuple(node.results[position][a] for a in axes)

    def _picked(self, call: Apply, made: Tensor, position: int) -> Tensor:
        step = self.steps[made.step]
        at = step.args[0] if step.op == "pick" else made.step
        lead = [a for a in made.axes if a < call.batch]
        axes = (*lead, *range(call.batch, len(call.results[position])))
        dims = [call.results[position][a] for a in axes]
        return Tensor(self.steps.add("pick", (at,), position, dims, self.steps[at].kind), axes)

    def _reshape(self, node: Reshape) -> Tensor:
        body = node.body
        kron = self._kron(node)
        if kron is not None:
            return kron
        at = self.whole(self._of(body), body)
        word = "broadcast" if self.steps[at].kind == "number" else "reshape"
        at = self.steps.add(word, (at,), None, node.dims)
        return Tensor(at, tuple(range(node.ndim)))

    def _kron(self, node: Reshape) -> Tensor | None:
        """The Kronecker product of two plain matrices or vectors."""
        body = node.body
        if not (isinstance(body, Einsum) and len(body.children) == 2 and self.count[body] == 1):
            return None
        if body.coefficient != ONE or body.exponents != (1, 1) or body.summed or body.repeats:
            return None
        for a, b in ((0, 1), (1, 0)):
            left, right = body.indices[a], body.indices[b]
            paired = tuple(i for two in zip(left, right, strict=False) for i in two)
            if len(left) != len(right) or body.output != paired:
                continue
            tensors = [self._of(body.children[k]) for k in (a, b)]
            whole = [self.whole(t, body.children[k]) for t, k in zip(tensors, (a, b), strict=True)]
            products = tuple(body.dims[2 * k] * body.dims[2 * k + 1] for k in range(len(left)))
            if products == node.dims:
                at = self.steps.add("kron", whole, None, node.dims)
                return Tensor(at, tuple(range(node.ndim)))
        return None


def _outside(node: Node) -> tuple[Node, ...]:
    """The children that are needed before a node is begun."""
    if isinstance(node, BoundedSum):
        return (node.low, node.high)
    return node.outside if isinstance(node, Scan) else node.children


def _asked(roots: Sequence[Node]) -> dict[Node, set[tuple[int, bool]]]:
    """Which states of every recurrence are read outside it, and whether before the steps."""
    asked: dict[Node, set[tuple[int, bool]]] = {}
    for node in postorder(*roots):
        if isinstance(node, Scan):
            asked.setdefault(node.system, set()).add((node.position, node.before))
    return asked


def _live(node: Scan, asked: set[int]) -> list[int]:
    """The states that are asked for, and those that these need."""
    found = set(asked)
    waiting = list(asked)
    while waiting:
        names = node.nexts[waiting.pop()].names
        for k, carry in enumerate(node.carries):
            if carry in names and k not in found:
                found.add(k)
                waiting.append(k)
    return sorted(found)


def _inside_sums(roots: Sequence[Node]) -> frozenset[Node]:
    """The products that only sums use: their minus signs belong to the sums."""
    summands: set[Node] = set()
    others: set[Node] = set(roots)
    for node in postorder(*roots):
        (summands if isinstance(node, Sum) else others).update(node.children)
    return frozenset(summands - others)


def _core_is_whole(tensor: Tensor, node: Apply) -> bool:
    return set(range(node.batch, node.children[0].ndim)) <= set(tensor.axes)
