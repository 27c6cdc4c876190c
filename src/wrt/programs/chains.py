"""Products in a row, `A*diag(d)*B*v`, taken from the inside: one matrix at a time.

So what the first of them makes is there for others that need it, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Einsum, Factor, Node, Scan, Variable
from wrt.expression.products import product_carried
from wrt.expression.walk import postorder, rebuilt
from wrt.programs.flat import around, inside_out

__all__ = ["in_a_row", "one_by_one", "stack_first", "steps_one_by_one"]


def one_by_one(roots: tuple[Node, ...]) -> tuple[Node, ...]:
    """The formulas with one matrix at a time that multiplies a state, in a step or a stack of it.

    So a step and what stands outside say the same product alike, and it is found to be one.
    """
    done: dict[Node, Node] = {}
    loops: dict[Scan, Scan] = {}
    for node in inside_out(roots):
        made = around(node, done)
        if isinstance(made, Scan):
            system = made.system
            if system not in loops:
                nexts = steps_one_by_one(system, system.nexts, system.elements)
                loop = system.rebuild([*system.outside, *nexts])
                assert isinstance(loop, Scan)
                loops[system] = loop
            made = loops[system].state(made.position, made.before)
        elif isinstance(made, Einsum):
            made = stack_first(made)
        done[node] = made
    return tuple([done[root] for root in roots])


def steps_one_by_one(
    system: Scan, nexts: Iterable[Node], first: Collection[Variable] = ()
) -> list[Node]:
    """New states of a recurrence with one matrix at a time that multiplies what moves.

    What reads `first` is multiplied before what reads a state.
    """
    bound = system.bound
    kinds = [frozenset(one) for one in (first, system.carries)]

    def still(factor: Factor) -> bool:
        return bound.isdisjoint(factor[0].names)

    roots = list(nexts)
    changed: dict[Node, Node] = {}
    for node in postorder(*roots):
        made = rebuilt(node, changed)
        if isinstance(made, Einsum) and not bound.isdisjoint(made.names):
            for kind in kinds:
                moving = [k for k, c in enumerate(made.children) if not kind.isdisjoint(c.names)]
                made = _first(made, moving, still) if isinstance(made, Einsum) else made
        if made is not node:
            changed[node] = made
    return [changed.get(root, root) for root in roots]


def stack_first(node: Einsum) -> Node:
    """A product of the stack of a state with matrices, the stack times the first of them inside."""
    for k, child in enumerate(node.children):
        if isinstance(child, Scan):
            step = node.indices[k][0]
            made = in_a_row(node, k, _without(step))
            if made is not node:
                return made
    return node


def _first(node: Einsum, moving: Sequence[int], is_matrix: Callable[[Factor], bool]) -> Node:
    """The first change that one of the factors that move makes possible."""
    found = (in_a_row(node, k, is_matrix) for k in moving)
    return next((made for made in found if made is not node), node)


def in_a_row(node: Einsum, moving: int, is_matrix: Callable[[Factor], bool]) -> Node:
    """A product of one factor that moves with matrices and weights, from the inside.

    >>> from wrt.expression import build
    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> n = Dimension.of("n")
    >>> A, B, v = Variable("A", (n, n)), Variable("B", (n, n)), Variable("v", (n,))
    >>> chain = build.einsum("ij,jk,k->i", A, B, v)
    >>> in_a_row(chain, chain.children.index(v), lambda f: f[0] is not v) is A @ (B @ v)
    True
    """
    core, exponent, own = node.factors[moving]
    if node.repeats or exponent != 1 or len(set(own)) < len(own):
        return node
    rest = [f for k, f in enumerate(node.factors) if k != moving]
    count = len(rest)
    while (step := _next(core, own, rest, node, is_matrix)) is not None:
        core, own, rest = step
    if len(rest) == count:
        return node
    return product_carried(node.coefficient, [(core, 1, own), *rest], node.output, node.index_dims)


def _next(
    core: Node,
    own: tuple[int, ...],
    rest: Sequence[Factor],
    node: Einsum,
    is_matrix: Callable[[Factor], bool],
) -> tuple[Node, tuple[int, ...], list[Factor]] | None:
    """The core with its weights and the matrix that it is summed with; the other factors."""
    for matrix in rest:
        _, exponent, at = matrix
        others = [f for f in rest if f is not matrix]
        if exponent != 1 or len(set(at)) < len(at) or not others or not is_matrix(matrix):
            continue
        weights = [f for f in others if set(f[2]) <= set(own)]
        left = [f for f in others if f not in weights]
        outside = {*node.output, *(i for _, _, there in left for i in there)}
        summed = set(own) & set(at) - outside
        free = [i for i in at if i not in own]
        if not summed or len(free) != len(summed):
            continue
        inner = core
        if weights:  # axes of the weights that nothing else has are summed with them
            wanted = outside.union(at)
            kept = tuple([i for i in own if i in wanted])
            inner, own = _product([(core, 1, own), *weights], kept, node), kept
        if not left:
            return inner, own, [matrix]
        new = iter(free)  # where the axes were that are gone
        output = tuple([next(new) if i in summed else i for i in own])
        return _product([(inner, 1, own), matrix], output, node), output, left
    return None


def _product(factors: Sequence[Factor], output: Sequence[int], node: Einsum) -> Node:
    return product_carried(ONE, factors, output, node.index_dims)


def _without(step: int) -> Callable[[Factor], bool]:
    return lambda factor: step not in factor[2]
