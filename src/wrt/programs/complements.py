"""Gates and their complements: where a recurrence has sigmoid(z), sigmoid(-z) is 1 - sigmoid(z).

One exponential is left of two. The states of a gated net are averages `(1-z).*k + z.*s`, to which
the entries that are lost in the difference add nothing; elsewhere both words are called, each exact
for arguments of either sign.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from wrt.algebra.lifting import Lifting
from wrt.expression import build
from wrt.expression.nodes import Apply, Node, Scan, Sum, Variable
from wrt.expression.walk import postorder, rebuilt
from wrt.programs.flat import flat, inside_out

__all__ = ["complemented"]


def complemented(roots: tuple[Node, ...]) -> tuple[Node, ...]:
    """The formulas with one call of two that are each other's complements.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> from wrt.functions import BOOK
    >>> n, T = Dimension.of("n"), Dimension.of("T")
    >>> W, s, s0 = Variable("W", (n, n)), Variable("s", (n,)), Variable("s0", (n,))
    >>> z, other = (Apply(BOOK["sigmoid"], (sign * (W @ s),), 1) for sign in (1, -1))
    >>> (found,) = complemented((Scan((s,), (), (s0, z * s + other * s0), T),))
    >>> found.nexts[0] is z * s + (1 - z) * s0
    True
    """
    loops = dict.fromkeys(n.system for n in postorder(*roots) if isinstance(n, Scan))
    gone: dict[Node, Node] = {}
    stacked: set[Node] = set()
    for loop in loops:
        found = _pairs(loop)
        gone |= found
        stacked.update(_over_all_steps(loop, loop.carries, found.values()))
    if not gone:
        return roots
    outside = [n for n in inside_out(roots) if isinstance(n, Apply) and _has_complement(n)]
    gone |= _opposite(outside, outside, stacked)
    for loop in loops:
        read = [c for c in _calls(loop) if c not in gone and c.names.isdisjoint(loop.carries)]
        gone |= _opposite(read, _over_all_steps(loop, (), read), stacked)
    return _written(roots, gone)


def _has_complement(call: Apply) -> bool:
    """Whether a law of the function says that f(-x) is 1 - f(x)."""
    word = call.function.name
    return f"{word}(-x) = 1 - {word}(x)" in call.function.laws


def _calls(loop: Scan) -> list[Apply]:
    """The calls in a step that read something of that step."""
    found = [n for n in postorder(*loop.nexts) if isinstance(n, Apply) and _has_complement(n)]
    return [call for call in found if not call.names.isdisjoint(loop.bound)]


def _pairs(loop: Scan) -> dict[Node, Node]:
    """Calls of states that go, with the calls of minus their arguments that stay."""
    calls = [call for call in _calls(loop) if not call.names.isdisjoint(loop.carries)]
    gone: dict[Node, Node] = {}
    for call in calls:
        other = _of_minus(call)
        if other in calls and other not in gone and _signs(call.children[0]) > 0:
            gone[call] = other
    return gone


def _over_all_steps(
    loop: Scan, carries: Sequence[Variable], calls: Iterable[Node]
) -> Sequence[Node]:
    """Calls in a step as calls over all steps at once."""
    stacks: dict[Variable, Node] = dict(zip(loop.elements, loop.series, strict=True))
    stacks |= {v: loop.state(k, before=True) for k, v in enumerate(carries)}
    lifting = Lifting(stacks, {}, (loop.length,))
    return flat(tuple([lifting(call) for call in calls]))


def _opposite(
    calls: Sequence[Apply], over_all: Sequence[Node], stacked: set[Node]
) -> dict[Node, Node]:
    """The calls of minus what a loop calls the function of."""
    pairs = zip(calls, over_all, strict=True)
    return {
        call: _of_minus(call)
        for call, whole in pairs
        if isinstance(whole, Apply) and whole not in stacked and _of_minus(whole) in stacked
    }


def _of_minus(call: Apply) -> Apply:
    return Apply(call.function, [_minus(call.children[0])], call.batch)


def _minus(node: Node) -> Node:
    terms = node.children if isinstance(node, Sum) else (node,)
    return build.add(*map(build.negative, terms))


def _signs(node: Node) -> int:
    """How many more terms are subtracted than added."""
    terms = node.children if isinstance(node, Sum) else (node,)
    signs = [build.split(term)[0].value < 0 for term in terms]
    return 2 * sum(signs) - len(signs)


def _written(roots: tuple[Node, ...], known: Mapping[Node, Node]) -> tuple[Node, ...]:
    """The formulas with complements in them, and sums of such in sums written as one."""
    done: dict[Node, Node] = {}
    made: set[Node] = set()
    stack = list(roots)
    while stack:
        node = stack[-1]
        children = (known[node],) if node in known else node.children
        waiting = [c for c in children if c not in done] if node not in done else []
        if waiting:
            stack += waiting
            continue
        stack.pop()
        if node in done:
            continue
        if node in known:
            done[node] = build.add(build.ones(node.dims), build.negative(done[known[node]]))
            made.add(done[node])
            continue
        done[node] = now = rebuilt(node, done)
        if isinstance(now, Sum):
            done[node] = build.add(
                *(piece for term in now.children for piece in _pieces(term, made))
            )
    return tuple([done[root] for root in roots])


def _pieces(term: Node, made: set[Node]) -> Sequence[Node]:
    """The terms of a complement, or of minus one; any other term as it is."""
    scale, whole = build.split(term)
    return [build.scale(scale, piece) for piece in whole.children] if whole in made else (term,)
