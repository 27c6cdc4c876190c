"""Gates and their complements: where a recurrence has sigmoid(z), sigmoid(-z) is 1 - sigmoid(z).

One exponential is left of two. The states of a gated net are averages `(1-z).*k + z.*s`, to which
the entries that are lost in the difference add nothing; elsewhere both words are called, each exact
for arguments of either sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wrt.algebra.lifting import Lifting
from wrt.expression import build
from wrt.expression.nodes import Apply, Node, Scan, Sum
from wrt.expression.walk import postorder, rebuilt
from wrt.programs.flat import flat

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
    order = list(postorder(*roots))
    loops = dict.fromkeys(n.system for n in order if isinstance(n, Scan))
    known: dict[Node, Node] = {}
    for loop in loops:
        found = _pairs(loop)
        known |= found
        known |= _outside(loop, found)
    return _written(roots, known) if known else roots


def _has_complement(call: Apply) -> bool:
    """Whether a law of the function says that f(-x) is 1 - f(x)."""
    word = call.function.name
    return f"{word}(-x) = 1 - {word}(x)" in call.function.laws


def _pairs(loop: Scan) -> dict[Node, Node]:
    """Calls of a step that go, with the calls of minus their arguments that stay."""
    calls = [n for n in postorder(*loop.nexts) if isinstance(n, Apply) and _has_complement(n)]
    calls = [call for call in calls if not call.names.isdisjoint(loop.carries)]
    by_argument = {(call.function, call.batch, call.children[0]): call for call in calls}
    gone: dict[Node, Node] = {}
    for call in calls:
        (argument,) = call.children
        other = by_argument.get((call.function, call.batch, _minus(argument)))
        if other is not None and other not in gone and _signs(argument) > 0:
            gone[call] = other
    return gone


def _outside(loop: Scan, pairs: Mapping[Node, Node]) -> dict[Node, Node]:
    """The same calls over all steps at once."""
    if not pairs:
        return {}
    stacks = dict(zip(loop.elements, loop.series, strict=True))
    stacks |= {v: loop.state(k, before=True) for k, v in enumerate(loop.carries)}
    lifting = Lifting(stacks, {}, (loop.length,))
    both = [lifting(call) for pair in pairs.items() for call in pair]
    both = list(flat(tuple(both)))
    return dict(zip(both[::2], both[1::2], strict=True))


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
