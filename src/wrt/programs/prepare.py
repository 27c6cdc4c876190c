"""What a formula needs before it is planned: equal formulas that cost less to run than to read.

Diagonal factors become equal indices, so that their zeros are never formed; terms of a sum that
share an array are added before they are multiplied with it, and products of sums are multiplied
out, where that costs less. What a recurrence need not compute step by step is taken out of its
loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from wrt.expression import build
from wrt.expression.coefficient import MINUS_ONE, ONE
from wrt.expression.function import Function
from wrt.expression.nodes import (
    LOOP,
    Apply,
    Einsum,
    Factor,
    Node,
    Result,
    Scan,
    Sum,
    Variable,
)
from wrt.expression.walk import holds_complex, postorder, rewrite
from wrt.functions.reductions import SOFTMAXES
from wrt.programs.adjoints import turned
from wrt.programs.brackets import absorbed, bracketed, multiplied_out
from wrt.programs.chains import one_by_one
from wrt.programs.complements import complemented
from wrt.programs.flat import beside, flat, inside_out
from wrt.programs.gates import gathered
from wrt.programs.hoisting import hoisted
from wrt.programs.keeping import kept
from wrt.programs.opening import opened, unfolded

__all__ = ["prepared"]


def prepared(
    *roots: Node, sizes: Mapping[str, int] = MappingProxyType({}), out: bool = False
) -> tuple[Node, ...]:
    """The same formulas, cheaper to run together; `out` multiplies sums out where that may pay.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> n, m = Dimension.of("n"), Dimension.of("m")
    >>> X, d, e = Variable("X", (n, m)), Variable("d", (m,)), Variable("e", (m,))
    >>> prepared(X * d + X * e)[0] is X * (d + e)
    True
    """
    joint = _joint(roots)
    known = tuple(sorted(sizes.items()))
    if not any(root.holds & LOOP for root in joint):
        return _each_together(joint, known, out)
    return _gathered(_each_together(_kept(joint), known, out))


@lru_cache(maxsize=64)
def _kept(roots: tuple[Node, ...]) -> tuple[Node, ...]:
    """Recurrences that do only what each step has to, and keep what is read of them."""
    return kept(*hoisted(flat(one_by_one(complemented(flat(unfolded(roots)))))))


@lru_cache(maxsize=64)
def _gathered(roots: tuple[Node, ...]) -> tuple[Node, ...]:
    """Steps with their gates together; brackets that were formed may hold no state either."""
    found, _ = hoisted(roots)
    return gathered(found)


def _each_together(
    roots: tuple[Node, ...], known: tuple[tuple[str, int], ...], out: bool
) -> tuple[Node, ...]:
    return tuple([one for root in roots for one in _together((root,), known, out)])


@lru_cache(maxsize=256)
def _together(
    roots: tuple[Node, ...], known: tuple[tuple[str, int], ...], out: bool
) -> tuple[Node, ...]:
    """Formulas that are computed in one place: what a program returns, or what a step makes."""
    sizes = dict(known)
    roots = unfolded(roots)
    open_ = multiplied_out(opened(roots, sizes), sizes) if out else roots
    order = list(inside_out(open_))
    if out and open_ == roots and not any(root.holds & LOOP for root in roots):
        return _together(roots, known, False)
    roots = open_
    count = Counter([*roots, *(c for node in order for c in beside(node))])
    done: dict[Node, Node] = {}
    factored: set[Node] = set()
    for node in order:
        parts = beside(node)
        children = [done[c] for c in parts]
        same = all(a is b for a, b in zip(children, parts, strict=True))
        if isinstance(node, Scan):
            # a step is looked at by itself, so that all states of a recurrence stay in one loop
            children += _together(node.nexts, known, out)
            done[node] = node.rebuild(children)
            continue
        made = node if same else node.rebuild(children)
        if isinstance(made, Einsum) and not build.is_zero(made):
            shared = [done[c] for c in parts if count[c] > 1]
            made = _united(absorbed(made, factored))
            made = turned(made, shared, sizes) if isinstance(made, Einsum) else made
            made = _placed(_led(made, count), count)
        elif isinstance(made, Sum):
            common = bracketed(made, sizes)
            if common is not made and count[node] == 1:
                factored.add(common)
            made = common
        done[node] = made
    return tuple([done[root] for root in roots])


# Decompositions


def _joint(roots: tuple[Node, ...]) -> tuple[Node, ...]:
    """Eigenvalues with their vectors, singular values with theirs, softmax with its logarithm: of
    one array, computed once.
    """
    several: dict[Node, set[Function]] = {}
    for node in postorder(*roots):
        if isinstance(node, Apply) and node.function.joint is not None:
            several.setdefault(_whole(node), set()).add(node.function)
    if not any(len(words) > 1 for words in several.values()):
        return roots
    return tuple([rewrite(root, lambda node: _picked(node, several)) for root in roots])


def _whole(node: Apply) -> Apply:
    """The call that finds this and what it has in common with others; itself where none does, and
    where numbers are complex, of which none is the largest.
    """
    assert node.function.joint is not None
    if node.function.joint[0] is SOFTMAXES and holds_complex(node):
        return node
    whole, _ = node.function.joint
    (argument,) = whole.forms[0].arrays
    fits = argument.dims is not None and node.children[0].ndim - node.batch == len(argument.dims)
    return Apply(whole, node.children, node.batch) if fits else node


def _picked(node: Node, several: Mapping[Node, set[Function]]) -> Node:
    if not isinstance(node, Apply) or node.function.joint is None:
        return node
    call, (_, position) = _whole(node), node.function.joint
    if len(several.get(call, ())) < 2:
        return node
    return Result(call, position) if position else call


# Diagonals


def _united(node: Node) -> Node:
    """A product with the factors that are diagonal replaced by what stands on their diagonals."""
    if not isinstance(node, Einsum):
        return node
    inner = [isinstance(c, Einsum) and c.repeats for c in node.children]
    if not any(inner):
        return node
    same: dict[int, int] = {}

    def find(i: int) -> int:
        while i in same:
            i = same[i]
        return i

    factors: list[Factor] = []
    for (factor, exponent, indices), diagonal in zip(node.factors, inner, strict=True):
        if not diagonal or exponent < 0:
            factors.append((factor, exponent, indices))
            continue
        assert isinstance(factor, Einsum)
        distinct = tuple(dict.fromkeys(factor.output))
        core = build.product(factor.coefficient, factor.factors, distinct, factor.index_dims)
        outer: dict[int, int] = {}
        for own, index in zip(factor.output, indices, strict=True):
            first = outer.setdefault(own, index)
            a, b = sorted((find(first), find(index)))
            if a != b:
                same[b] = a
        factors.append((core, exponent, tuple(outer[i] for i in distinct)))
    moved = [(f, e, tuple(find(i) for i in indices)) for f, e, indices in factors]
    output = [find(i) for i in node.output]
    gone = set(range(len(node.index_dims))) - {find(i) for i in range(len(node.index_dims))}
    return build.product_without(node.coefficient, moved, output, node.index_dims, gone)


# Signs


def _led(node: Node, count: Mapping[Node, int]) -> Node:
    """A product whose number takes the sign of a bracket, so that what is computed comes first in
    that: `-2*(T - U*V')*V` is `2*(U*V' - T)*V`, and T is taken from an array that is at hand.
    """
    if not isinstance(node, Einsum) or node.coefficient == ONE:
        return node
    for place, (bracket, exponent, own) in enumerate(node.factors):
        if exponent == 1 and count[bracket] == 1 and _follows(bracket):
            signed = build.add(*(build.scale(-1, term) for term in bracket.children))
            factors = list(node.factors)
            factors[place] = (signed, 1, own)
            coefficient = node.coefficient * MINUS_ONE
            return build.product(coefficient, factors, node.output, node.index_dims)
    return node


def _placed(node: Node, count: Mapping[Node, int]) -> Node:
    """A number before a sum of terms that all stand in few places goes to each term, to be
    multiplied with what they are made of and not with the zeros around them.
    """
    if not isinstance(node, Einsum) or node.coefficient == ONE or len(node.factors) != 1:
        return node
    ((bracket, exponent, own),) = node.factors
    if exponent != 1 or not isinstance(bracket, Sum) or count[bracket] > 1:
        return node
    plain = own == node.output == tuple(range(bracket.ndim))
    if not plain or not all(isinstance(t, Einsum) and t.repeats for t in bracket.children):
        return node
    return build.add(*(build.scale(node.coefficient, term) for term in bracket.children))


def _follows(bracket: Node) -> bool:
    """Whether only negative terms of a sum are computed, and the first one stands ready."""
    if not isinstance(bracket, Sum) or bracket.ndim < 2:
        return False
    positive = [t for t in bracket.children if build.coefficient_of(t).value > 0]
    ready = all(isinstance(t, (Variable, Result)) for t in positive)
    return ready and any(isinstance(t, Einsum) and t.summed for t in bracket.children)
