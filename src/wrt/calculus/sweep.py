"""One sweep over the graph of a formula, from the result back or from the variable forward.

The adjoint of a node is a small map from δ-pattern to core, `Σ_p δ_p · C_p`, over the axes of f and
then of the node (forward: of the node and then of x). It starts as deltas, which melt by renaming;
what is left of them in the answer is its structure. The sweep multiplies two at a time and never
flattens, so its result is linear in the size of the graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from wrt.algebra.reshaping import reshaped
from wrt.calculus.local import local
from wrt.calculus.scans import cotangents, handed_on, tangents
from wrt.calculus.terms import (
    Core,
    Pattern,
    Term,
    along,
    beside,
    compose,
    hoist,
    is_entrywise,
    onward,
    terms_of,
)
from wrt.errors import NotDifferentiable
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.collecting import postponed
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import (
    LOOP,
    BoundedSum,
    Einsum,
    Node,
    Reshape,
    Result,
    Scan,
    Sum,
    Variable,
)
from wrt.expression.walk import postorder, substitute

__all__ = ["derivative", "forward_from", "gradients"]

#: Beyond this many δ-patterns a node falls back to one dense core.
MOST_PATTERNS = 8

Dims = tuple[Dimension, ...]


def derivative(f: Node, x: Variable) -> Node:
    """`D[i…, j…] = ∂f[i…]/∂x[j…]`: the axes of f followed by those of x.

    >>> from wrt.expression.dimensions import Dimension
    >>> n, m = Dimension.of("n"), Dimension.of("m")
    >>> W, x = Variable("W", (n, m)), Variable("x", (m,))
    >>> derivative(W @ x, W)
    <{x[j] -> iij} : n, n, m>
    """
    if isinstance(f, Reshape):
        return reshaped(derivative(f.body, x), f.dims + x.dims)
    if x not in f.names:
        return build.zeros(f.dims + x.dims)
    with postponed:
        return _forward(f, x) if _fewer(x, f) else _gradients(f, (x,))[0]


def _fewer(x: Node, f: Node) -> bool:
    """Whether x certainly has fewer entries than f; sizes unknown: fewer axes."""
    sizes = [[d.value for d in node.dims] for node in (x, f)]
    if None in sizes[0] or None in sizes[1]:
        return x.ndim < f.ndim
    counts = [1, 1]
    for k, dims in enumerate(sizes):
        for size in dims:
            counts[k] *= size or 1
    return counts[0] < counts[1]


class Adjoint:
    """`Σ_p δ_p · C_p` over given axes, collected term by term."""

    __slots__ = ("cores", "dims")

    def __init__(self, dims: Dims) -> None:
        self.dims = dims
        self.cores: dict[Pattern, list[Core]] = {}

    def add(self, pattern: Pattern, core: Core) -> None:
        """Add one term."""
        if build.is_zero(core.node):
            return
        found = self.cores.get(pattern)
        if found is None:
            self.cores[pattern] = [core]
        else:
            found.append(core)

    def terms(self) -> list[tuple[Pattern, Core]]:
        """One core for each pattern; a single dense one where there are too many patterns."""
        if len(self.cores) == 1:
            ((only, cores),) = self.cores.items()
            if len(cores) == 1:
                return [(only, cores[0])]
        merged = [(p, self._merged(p, cores)) for p, cores in self.cores.items()]
        merged = [(p, core) for p, core in merged if not build.is_zero(core.node)]
        if len(merged) <= MOST_PATTERNS:
            return merged
        whole = build.add(*(self._laid_out(p, core) for p, core in merged))
        axes = tuple(range(len(self.dims)))
        return [(axes, Core(whole, axes))]

    def products(self) -> list[Term]:
        """The terms as products."""
        return [self.product(p, core) for p, core in self.terms()]

    def node(self) -> Node:
        """The whole as a formula."""
        laid = [self._laid_out(p, core) for p, core in self.terms()]
        return build.add(*laid) if laid else build.zeros(self.dims)

    def class_dims(self, pattern: Pattern) -> Dims:
        """The dimension of every class of tied axes."""
        if len(set(pattern)) == len(pattern):
            return self.dims
        dims: dict[int, Dimension] = {}
        for k, dim in zip(pattern, self.dims, strict=True):
            dims.setdefault(k, dim)
        return tuple(dims.values())

    def _merged(self, pattern: Pattern, cores: list[Core]) -> Core:
        if len(cores) == 1:
            return cores[0]
        dims = self.class_dims(pattern)
        carried = cores[0].carried
        if any(core.carried != carried for core in cores):
            carried = tuple(sorted(set().union(*(c.carried for c in cores))))
        elif len(carried) == len(dims):
            return Core(build.add(*[core.node for core in cores]), carried)
        place = {k: i for i, k in enumerate(carried)}
        kept = [dims[k] for k in carried]
        out = tuple(range(len(carried)))
        spread = [
            c.node
            if c.carried == carried
            else build.product(ONE, ((c.node, 1, tuple([place[k] for k in c.carried])),), out, kept)
            for c in cores
        ]
        return Core(build.add(*spread), carried)

    def product(self, pattern: Pattern, core: Core) -> Term:
        """One term as a product."""
        return Term(ONE, ((core.node, 1, core.carried),), pattern, self.class_dims(pattern))

    def _laid_out(self, pattern: Pattern, core: Core) -> Node:
        return build.product(*self.product(pattern, core))


def arguments_of(node: Node) -> tuple[Node, ...]:
    """What a node is differentiated by: for one of several results, the arguments of the call."""
    return node.call.children if isinstance(node, Result) else node.children


def _identity(dims: Dims) -> tuple[Pattern, Core]:
    axes = tuple(range(len(dims)))
    return axes + axes, Core(build.number(1), ())


def gradients(f: Node, xs: Sequence[Variable]) -> list[Node]:
    """The derivatives of f by several variables in one sweep back that shares their work."""
    with postponed:
        return _gradients(f, xs)


def _gradients(f: Node, xs: Sequence[Variable]) -> list[Node]:
    wanted = frozenset(xs)
    adjoints: dict[Node, Adjoint] = {f: Adjoint(f.dims + f.dims)}
    adjoints[f].add(*_identity(f.dims))
    found: dict[Node, Adjoint] = {x: Adjoint(f.dims + x.dims) for x in xs}
    order = list(postorder(f))
    loops = _Loops(order if f.holds & LOOP else ())
    for node in reversed(order):
        if type(node) is Scan:
            states = loops.met(node, adjoints.pop(node, None))
            if states and not node.names.isdisjoint(wanted):
                _through_loop(node.system, states, f, wanted, adjoints)
            continue
        if node not in adjoints or node.names.isdisjoint(wanted):
            continue
        adjoint = adjoints.pop(node)
        if node in wanted:
            found[node] = adjoint
        elif type(node) is BoundedSum:
            _through_range(node, adjoint, f, xs, adjoints)
        else:
            _back(node, adjoint, f, wanted, adjoints)
    return [found[x].node() for x in xs]


def _adjoint(adjoints: dict[Node, Adjoint], f: Node, node: Node) -> Adjoint:
    found = adjoints.get(node)
    if found is None:
        found = adjoints[node] = Adjoint(f.dims + node.dims if f.dims else node.dims)
    return found


def _back(
    node: Node,
    adjoint: Adjoint,
    f: Node,
    wanted: frozenset[Variable],
    adjoints: dict[Node, Adjoint],
) -> None:
    """Hand the adjoint of a node on to its children."""
    if isinstance(node, Sum):
        terms = adjoint.terms()
        for child in node.children:
            if not child.names.isdisjoint(wanted):
                target = _adjoint(adjoints, f, child)
                for pattern, core in terms:
                    target.add(pattern, core)
        return
    if isinstance(node, Reshape):
        body = node.body
        target = adjoints.setdefault(body, Adjoint(f.dims + body.dims))
        for term in terms_of(reshaped(adjoint.node(), f.dims + body.dims)):
            target.add(*hoist(term))
        return
    axes, terms = len(node.dims), adjoint.terms()
    plain = isinstance(node, Einsum) and node.layout.entrywise
    for position, child in enumerate(arguments_of(node)):
        if child.names.isdisjoint(wanted):
            continue
        target = _adjoint(adjoints, f, child)
        if plain:
            for pattern, core in terms:
                dims = adjoint.class_dims(pattern)
                target.add(pattern, beside(pattern, core, node, position, dims))  # type: ignore[arg-type]
            continue
        for inner in local(node, position):
            entrywise = is_entrywise(inner, axes)
            for pattern, core in terms:
                if entrywise:
                    dims = adjoint.class_dims(pattern)
                    target.add(pattern, along(pattern, core, inner, axes, dims))
                elif (
                    len(pattern) == axes == len(set(pattern))
                ):  # f is a scalar, and no axes are tied
                    target.add(*hoist(onward(core, inner, axes)))
                else:
                    outer = adjoint.product(pattern, core)
                    target.add(*hoist(compose(outer, inner, axes)))


def _through_range(
    node: BoundedSum,
    adjoint: Adjoint,
    f: Node,
    xs: Sequence[Variable],
    adjoints: dict[Node, Adjoint],
) -> None:
    """A sum or product over a range hands on to the variables themselves."""
    for x in xs:
        if x in node.names:
            target = adjoints.setdefault(x, Adjoint(f.dims + x.dims))
            for inner in ranged(node, x):
                for outer in adjoint.products():
                    target.add(*hoist(compose(outer, inner, node.ndim)))


# Recurrences


class _Loops:
    """The states of each recurrence, met one by one: a loop is taken once all of them are."""

    def __init__(self, order: Sequence[Node]) -> None:
        self.left = Counter([node.system for node in order if type(node) is Scan])
        self.states: dict[Scan, dict[Scan, Node]] = {}

    def met(self, node: Scan, adjoint: Adjoint | None) -> dict[Scan, Node]:
        """The adjoints of all states, where this was the last one; else nothing."""
        states = self.states.setdefault(node.system, {})
        if adjoint is not None and adjoint.cores:
            states[node] = adjoint.node()
        self.left[node.system] -= 1
        return {} if self.left[node.system] else states


def _through_loop(
    system: Scan,
    states: Mapping[Scan, Node],
    f: Node,
    wanted: frozenset[Variable],
    adjoints: dict[Node, Adjoint],
) -> None:
    """A recurrence hands on to its initial states, its series and what its formulas share."""

    def hand(target: Node, terms: Sequence[Term]) -> None:
        adjoint = adjoints.setdefault(target, Adjoint(f.dims + target.dims))
        for term in terms:
            adjoint.add(*hoist(term))

    found = cotangents(system, states, f.dims, gradients)
    shared = frozenset().union(*(one.names for one in system.nexts)) - system.bound
    by = sorted(shared & wanted, key=lambda v: (v.name, v.digest))
    moving = [
        (e, s)
        for e, s in zip(system.elements, system.series, strict=True)
        if not s.names.isdisjoint(wanted)
    ]
    steps = handed_on(system, found, [*by, *(e for e, _ in moving)], f.dims, gradients)
    for x, stack in zip(by, steps, strict=False):
        hand(x, [t._replace(output=t.output[1:]) for t in terms_of(stack)])
    split = f.ndim
    for (_, series), stack in zip(moving, steps[len(by) :], strict=True):
        hand(series, [_step_behind(t, split) for t in terms_of(stack)])
    for k, start in enumerate(system.initials):
        if not start.names.isdisjoint(wanted):
            end = found.loop.state(k)[-1 if system.reverse else 0]
            hand(start, terms_of(end))


def _step_behind(term: Term, split: int) -> Term:
    """The first axis put behind the `split` axes that follow it."""
    out = term.output
    return term._replace(output=(*out[1 : split + 1], out[0], *out[split + 1 :]))


def _loop_forward(node: Scan, x: Variable, tangents_of: Mapping[Node, list[Term]]) -> Scan:
    """The derivatives of the states of a recurrence by x, as a loop the same way."""

    def whole(part: Node) -> Node:
        found = [build.product(*term) for term in tangents_of.get(part, ())]
        return build.add(*found) if found else build.zeros(part.dims + x.dims)

    def forward(formula: Node, seeds: Mapping[Variable, Node]) -> Node:
        known = {v: terms_of(one) for v, one in seeds.items()}
        return forward_from(formula, x, known)

    system = node.system
    series = {
        e: whole(s) for e, s in zip(system.elements, system.series, strict=True) if x in s.names
    }
    loop = tangents(system, [whole(s) for s in system.initials], series, forward, x.dims)
    return loop.state(node.position, node.before)


def _forward(f: Node, x: Variable) -> Node:
    """The sweep from the variable: for x with fewer entries than f."""
    return forward_from(f, x, {})


def forward_from(f: Node, x: Variable, known: Mapping[Variable, list[Term]]) -> Node:
    """The sweep from x and from variables whose derivatives by x are known."""
    found: dict[Node, list[Term]] = {v: terms for v, terms in known.items()}  # noqa: C416
    moving = {x, *known}
    for node in postorder(f):
        if node.names.isdisjoint(moving):
            continue
        tangent = Adjoint(node.dims + x.dims)
        if node is x:
            tangent.add(*_identity(x.dims))
        elif node in known:
            for term in known[node]:  # type: ignore[index]
                tangent.add(*hoist(term))
        elif isinstance(node, Scan):
            for term in terms_of(_loop_forward(node, x, found)):
                tangent.add(*hoist(term))
        elif isinstance(node, BoundedSum):
            for term in ranged(node, x):
                tangent.add(*hoist(term))
        else:
            _onward(node, moving, tangent, found)
        if node is f:
            return tangent.node()
        found[node] = tangent.products()
    return build.zeros(f.dims + x.dims)


def _onward(
    node: Node,
    moving: Iterable[Variable],
    tangent: Adjoint,
    tangents: Mapping[Node, list[Term]],
) -> None:
    if isinstance(node, Reshape):
        if not tangents[node.body]:  # an inner derivative that cancels
            return
        inner = build.add(*(build.product(*t) for t in tangents[node.body]))
        for term in terms_of(reshaped(inner, tangent.dims)):
            tangent.add(*hoist(term))
        return
    for position, child in enumerate(arguments_of(node)):
        if not child.names.isdisjoint(moving):
            for outer in local(node, position):
                for term in tangents[child]:
                    tangent.add(*hoist(compose(outer, term, child.ndim)))


# Sums and products over a named range


def ranged(node: BoundedSum, x: Variable) -> list[Term]:
    """The derivative of a sum or product over a range, as products."""
    if x in node.low.names or x in node.high.names:
        raise NotDifferentiable(f"the bounds of a range are whole numbers and hold {x.name}")
    inner = terms_of(derivative(node.body, x))
    if node.kind == "sum":
        return [_summed(node, hoist(term), node.dims + x.dims) for term in inner]
    return [_product_rule(node, term, node.dims + x.dims) for term in inner]


def _summed(node: BoundedSum, term: tuple[Pattern, Core], dims: Dims) -> Term:
    """Σ over the range goes into the core, the δ stay outside."""
    pattern, core = term
    total = build.bounded("sum", node.variable, node.low, node.high, core.node)
    holder = Adjoint(dims)
    holder.add(pattern, Core(total, core.carried))
    (product,) = holder.products()
    return product


def _product_rule(node: BoundedSum, term: Term, dims: Dims) -> Term:
    """Σ_j (Π above j) · dA_j · (Π below j), as one term whose only factor is a sum over j."""
    variable = node.variable
    one = build.number(1)
    taken = {v.name for v in node.body.names} | {v.name for v in node.low.names | node.high.names}
    name = variable.name + "_"
    while name in taken:
        name += "_"
    inner = Variable(name, (), variable.properties)
    body = substitute(node.body, {variable: inner})
    above = build.bounded("prod", inner, build.plus(variable, one), node.high, body)
    below = build.bounded("prod", inner, node.low, build.plus(variable, build.negative(one)), body)
    middle = build.product(*term)
    if node.ndim:
        letters = "uv" + "abcdefghijklmnop"[: middle.ndim - 2]
        made = build.einsum(f"iu,{letters},vj->ij{letters[2:]}", above, middle, below)
    else:
        made = build.multiply(build.multiply(above, below), middle)
    total = build.bounded("sum", variable, node.low, node.high, made)
    axes = tuple(range(total.ndim))
    return Term(ONE, ((total, 1, axes),), axes, dims)
