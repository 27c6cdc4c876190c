"""The normal form: δ melted, products flat, equal terms merged, constants folded, zeros and ones
gone.

Products absorb the products that only they use, up to sixteen factors; scalars that are sums of
products stay whole, as do sums (`r = A*x - b` is one factor). `normal_form` keeps what several
places share, for programs; `flat_form` multiplies shared products out too, to be read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wrt.algebra.cancelling import cancelled, counted, divided, ranged, turned
from wrt.algebra.composed import composed
from wrt.algebra.conjugation import order_of
from wrt.algebra.directions import closed, upright
from wrt.algebra.patterns import resolved
from wrt.algebra.reshaping import reshaped
from wrt.algebra.triangles import met, triangle
from wrt.expression import build
from wrt.expression.coefficient import MINUS_ONE, ONE, Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import (
    Apply,
    BoundedSum,
    Constant,
    Einsum,
    Exponent,
    Factor,
    Node,
    Reshape,
    Result,
    Sum,
    Variable,
    whole,
)
from wrt.expression.products import connected
from wrt.expression.walk import is_larger, postorder, users

__all__ = ["flat_form", "is_minus", "normal_form", "scalars_opened"]

#: A formula of more nodes is nobody's to read: it stays as the constructors and the sweep made it.
MOST_NODES = 500
#: A product takes in others up to this many factors.
MOST_FACTORS = 16
#: A sum is multiplied out only into this many terms.
MOST_TERMS = 30
#: The form is reached when a pass changes nothing; a formula that moves longer than this is left
#: there.
MOST_PASSES = 8


def normal_form(root: Node) -> Node:
    """The formula in normal form; shared subformulas stay shared.

    >>> from wrt.expression.nodes import Variable
    >>> A, x = Variable("A", map(Dimension.of, "mn")), Variable("x", [Dimension.of("n")])
    >>> normal_form(build.add(A @ x, A @ x, build.negative((2 * A) @ x))) is build.zeros(A.dims[:1])
    True
    """
    return _settled(root, flat=False)


def flat_form(root: Node) -> Node:
    """The normal form with shared products multiplied out, for reading."""
    return _settled(root, flat=True)


#: How a formula is marked that is in normal form, and in flat form.
_NORMAL, _FLAT = 1, 2


def _settled(root: Node, flat: bool) -> Node:
    mark = _FLAT if flat else _NORMAL
    if root.settled & mark or is_larger(MOST_NODES, root):
        return root
    settled: dict[Node, tuple[bool, ...]] = {}
    for _ in range(MOST_PASSES):
        before, root = root, _Pass(root, flat, settled).run()
        if root is before:
            root.settled |= mark
            break
    return root


class _Pass:
    """One walk from the leaves to the root; every node is rebuilt from normal children."""

    def __init__(self, root: Node, flat: bool, settled: dict[Node, tuple[bool, ...]]) -> None:
        self.root, self.flat, self.settled = root, flat, settled
        self.count = users(root)
        self.done: dict[Node, Node] = {}
        self.shared: set[Node] = set()
        self.symmetric: dict[Node, bool] = {}

    def run(self) -> Node:
        for node in postorder(self.root):
            shared = self.count[node] > 1
            sharing = self.sharing(node)
            same = self.settled.get(node) == sharing
            made = node if same and self.untouched(node) else self.one(node)
            self.done[node] = made
            if shared:
                self.shared.add(made)
            if made is node:
                self.settled[node] = sharing
            self.symmetric[made] = self.is_symmetric(made)
        return self.done[self.root]

    def sharing(self, node: Node) -> tuple[bool, ...]:
        """Which of the nodes that decide about this one are shared: what one pass did can
        change that.
        """
        near = [node, *node.children]
        near += [c.children[0] for c in node.children if len(c.children) == 1]
        return tuple([self.count[n] > 1 for n in near])

    def untouched(self, node: Node) -> bool:
        return all(self.done[c] is c for c in node.children)

    def one(self, node: Node) -> Node:
        children = [self.done[c] for c in node.children]
        same = all(a is b for a, b in zip(children, node.children, strict=True))
        match node:
            case Einsum():
                if same:
                    return self.distributed(self.flattest(node))
                factors = list(zip(children, node.exponents, node.indices, strict=True))
                made = self.product(node.coefficient, factors, node.output, node.index_dims)
                return self.distributed(made)
            case Sum():
                return self.sum(children, node if same else None)
            case Apply():
                made = _folded(node if same else node.rebuild(children))
                return upright(made) if isinstance(made, Apply) else made
            case Result():
                return node if same else node.rebuild(children)
            case BoundedSum():
                return counted(node if same else node.rebuild(children))
            case Reshape():
                return reshaped(children[0], node.dims)
            case _:
                return node.rebuild(children) if children else node

    # Products

    def product(
        self,
        coefficient: Coefficient,
        factors: list[Factor],
        output: Sequence[int],
        dims: Sequence[Dimension],
    ) -> Node:
        return self.flattest(build.product(coefficient, self.oriented(factors), output, dims))

    def flattest(self, made: Node) -> Node:
        """The product with all that it may take in taken in."""
        while isinstance(made, Einsum):
            flatter = self.flatter(made)
            if flatter is made:
                return self.settled_turn(made)
            made = flatter
        return made

    def settled_turn(self, node: Einsum) -> Node:
        """The product with symmetric factors and sums turned the way that is kept: where turning
        goes round in a circle, the least of it by digest.
        """
        seen: dict[Node, None] = {}
        made: Node = node
        while isinstance(made, Einsum) and made not in seen and self.turns(made):
            seen[made] = None
            made = self.turned(made)
        if made not in seen:
            return made
        order = list(seen)
        return min(order[order.index(made) :], key=_digest)

    def oriented(self, factors: Sequence[Factor]) -> list[Factor]:
        """The indices of symmetric factors in order: A[j,i] is A[i,j]."""
        return [
            (n, e, (i[1], i[0]))
            if len(i) == 2 and i[0] > i[1] and self.symmetric.get(n)
            else (n, e, i)
            for n, e, i in factors
        ]

    def turned(self, node: Einsum) -> Node:
        """The product with symmetric factors in order and the signs of sums as they are kept."""
        coefficient, factors = node.coefficient, self.oriented(node.factors)
        for k, (child, exponent, indices) in enumerate(factors):
            if isinstance(child, Sum) and exponent.denominator == 1 and is_minus(child):
                factors[k] = (build.add(*map(build.negative, child.children)), exponent, indices)
                coefficient = coefficient * MINUS_ONE**exponent
        if factors == list(node.factors):
            return node
        return build.product(coefficient, factors, node.output, node.index_dims)

    def flatter(self, node: Einsum) -> Node:
        """One step: what the first of the rewrites makes of it, itself where none fits."""
        for rewrite in _REWRITES:
            made = rewrite(self, node)
            if made is not None:
                return made
        return node

    def unwrapped(self, node: Einsum) -> Node | None:
        """A number times a scalar product is that product with another number."""
        if len(node.children) == 1 and not node.index_dims and node.exponents == (1,):
            (scalar,) = node.children
            if isinstance(scalar, Einsum) and (self.flat or scalar not in self.shared):
                return build.scale(node.coefficient, scalar)
        return None

    def absorbed(self, node: Einsum) -> Node | None:
        """Factors that are products, written into the product."""
        room = MOST_FACTORS - len(node.children)
        chosen = []
        for k, (child, exponent, _) in enumerate(node.factors):
            if isinstance(child, Einsum) and self.absorbs(child, exponent, room):
                room -= len(child.children) - 1
                chosen.append(k)
        return _inlined(node, chosen) if chosen else None

    def known_symmetric(self, node: Node) -> bool:
        return self.symmetric.get(node, False)

    def turns(self, node: Einsum) -> bool:
        """Whether a factor is a symmetric matrix or a sum whose sign has to be looked at."""
        return any(
            isinstance(n, Sum) or (n.ndim == 2 and self.symmetric.get(n)) for n in node.children
        )

    def absorbs(self, child: Einsum, exponent: Exponent, room: int) -> bool:
        plain = not child.summed
        if exponent != 1 and (exponent.denominator != 1 or not plain or child.repeats):
            return False
        if not child.ndim and not plain:
            return False
        light = len(child.children) < 2 and plain
        if not light and len(child.children) - 1 > room:
            return False
        return light or self.flat or child not in self.shared

    def distributed(self, node: Node) -> Node:
        """A product of many axes over a sum that holds δ is multiplied out, so that δ can melt."""
        if not self.flat or not isinstance(node, Einsum) or node.ndim < 3:
            return node
        alone = len(node.children) == 1
        for k, (child, exponent, _) in enumerate(node.factors):
            if isinstance(child, Sum) and exponent == 1 and len(child.children) <= MOST_TERMS:
                if not child.names and triangle(child):
                    continue
                if alone or any(isinstance(t, Einsum) and t.repeats for t in child.children):
                    return self.sum(
                        [self.distributed(self.replaced(node, k, t)) for t in child.children]
                    )
        return node

    def replaced(self, node: Einsum, position: int, term: Node) -> Node:
        factors = list(node.factors)
        factors[position] = (term, 1, factors[position][2])
        return self.product(node.coefficient, factors, node.output, node.index_dims)

    # Sums

    def sum(self, children: Sequence[Node], total: Sum | None = None) -> Node:
        terms: list[Node] = []
        for child in children:
            terms += self.flattened(child)
        if total is not None and len(terms) == len(total.children):
            made: Node = total  # nothing opened: it is merged already
        else:
            made = build.add(*terms)
        if not isinstance(made, Sum):
            return made
        narrower = _narrower(made)
        if narrower is not None:
            return narrower
        return made if self.flat and made.ndim > 2 else _content(made)

    def diagonals(self, node: Einsum) -> Node | None:
        """A sum of numbers and masks on its diagonal: each term's diagonal, so masks can go."""
        for k, (child, exponent, indices) in enumerate(node.factors):
            repeats = len(set(indices)) < len(indices)
            if repeats and exponent == 1 and isinstance(child, Sum) and not child.names:
                distinct = tuple(dict.fromkeys(indices))
                dims = [node.index_dims[i] for i in distinct]
                place = [distinct.index(i) for i in indices]
                terms = [
                    self.product(ONE, [(t, 1, tuple(place))], range(len(distinct)), dims)
                    for t in child.children
                ]
                factors = list(node.factors)
                factors[k] = (self.sum(terms), 1, distinct)
                return build.product(node.coefficient, factors, node.output, node.index_dims)
        return None

    def flattened(self, term: Node) -> list[Node]:
        """The terms of a term: sums within sums open up, with their coefficient and transpose."""
        if isinstance(term, Sum) and (self.flat or term not in self.shared):
            return list(term.children)
        if isinstance(term, Einsum) and len(term.children) == 1:
            child, exponent, indices = term.factors[0]
            opens = isinstance(child, Sum) and exponent == 1 and not term.summed
            if opens and len(set(term.output)) == len(set(indices)) == len(indices):
                if self.flat or child not in self.shared:
                    return [self.replaced(term, 0, t) for t in child.children]
        return [term]

    def is_symmetric(self, node: Node) -> bool:
        """Whether a node is its own transpose, from what is declared and derived of its
        children.
        """
        if node.ndim != 2 or node.dims[0] is not node.dims[1]:
            return False
        match node:
            case Variable():
                return bool(node.properties & {"symmetric", "spd", "diagonal"})
            case Apply():
                kept = "symmetric" in node.function.keeps or node.function.entrywise
                return kept and all(self.symmetric.get(c) for c in node.children if c.ndim)
            case Einsum():
                return self.may_turn(node) and self.transposed_product(node) is node
            case Sum():
                terms = set(node.children)
                return all(self.transposed(t) in terms for t in node.children)
            case _:
                return False

    def may_turn(self, node: Einsum) -> bool:
        """Whether the same factors stand at both ends of a product: a quick look."""
        i, j = node.output
        return i == j or self.ending(node, i) == self.ending(node, j)

    def ending(self, node: Einsum, index: int) -> set[tuple[Node, Exponent, int]]:
        """The factors that carry an index, and at which of their axes where that matters."""
        return {
            (child, exponent, -1 if self.symmetric.get(child) else indices.index(index))
            for child, exponent, indices in node.factors
            if index in indices
        }

    def transposed_product(self, node: Einsum) -> Node:
        made = build.product(node.coefficient, node.factors, node.output[::-1], node.index_dims)
        return self.settled_turn(made) if isinstance(made, Einsum) else made

    def transposed(self, term: Node) -> Node:
        if self.symmetric.get(term):
            return term
        if isinstance(term, Einsum):
            return self.transposed_product(term)
        return build.transpose(term)


#: What makes a product simpler, each on its own or None where it does not fit: in this order.
_REWRITES: tuple[Callable[[_Pass, Einsum], Node | None], ...] = (
    _Pass.unwrapped,
    _Pass.absorbed,
    lambda _, node: _scalars_apart(node),
    lambda run, node: cancelled(node, run.known_symmetric),
    lambda _, node: closed(node),
    lambda _, node: divided(node),
    lambda run, node: ranged(node, run.flattest),
    lambda _, node: resolved(node),
    _Pass.diagonals,
    lambda _, node: met(node),
)


def _digest(node: Node) -> bytes:
    return node.digest


def _inlined(node: Einsum, positions: list[int]) -> Node:
    """A product with some of its factors, themselves products, written into it."""
    coefficient, dims = node.coefficient, list(node.index_dims)
    factors: list[Factor] = []
    for k, (child, exponent, indices) in enumerate(node.factors):
        if k not in positions:
            factors.append((child, exponent, indices))
            continue
        assert isinstance(child, Einsum)
        place: dict[int, int] = {}
        for inner, outer in zip(child.output, indices, strict=True):
            if place.setdefault(inner, outer) != outer:  # δ unites what the child's output repeats
                factors.append((build.identity(dims[outer]), 1, (place[inner], outer)))
        for i in child.summed:
            place[i] = len(dims)
            dims.append(child.index_dims[i])
        factors += [
            (n, whole(e * exponent), tuple([place[i] for i in idx])) for n, e, idx in child.factors
        ]
        coefficient = coefficient * child.coefficient**exponent
    return build.product(coefficient, factors, node.output, dims)


def _scalars_apart(node: Einsum) -> Node | None:
    """Factors that hang together by summed indices only are a scalar of their own."""
    if len(node.children) < 2 or not node.summed:
        return None
    groups = connected(node.indices)
    kept = set(node.output)
    loose = [g for g in groups if g and not any(i in kept for k in g for i in node.indices[k])]
    loose = [g for g in loose if any(node.indices[k] for k in g)]
    whole_net = len(loose) == 1 and len(loose[0]) == len(node.children) and not node.output
    if not loose or whole_net:
        return None
    factors = list(node.factors)
    apart: list[Factor] = []
    gone: set[int] = set()
    for group in loose:
        inside = [factors[k] for k in group]
        scalar = build.product_carried(ONE, inside, (), node.index_dims)
        apart.append((scalar, 1, ()))
        gone.update(group)
    kept_factors = [f for k, f in enumerate(factors) if k not in gone]
    return build.product_carried(
        node.coefficient, [*kept_factors, *apart], node.output, node.index_dims
    )


def scalars_opened(node: Einsum) -> Node:
    """A product with the scalars in it that are sums of products multiplied out."""
    loose = [
        k
        for k, (child, exponent, _) in enumerate(node.factors)
        if isinstance(child, Einsum) and exponent == 1 and child.summed and not child.ndim
    ]
    return _inlined(node, loose) if loose else node


def _narrower(total: Sum) -> Node | None:
    """Terms that are all repeated along an axis are added first and repeated then: k*1 - 1
    is (k-1)*1.
    """
    if not all(isinstance(t, Einsum) for t in total.children):
        return None
    free = [a for a in range(total.ndim) if all(_repeats_along(t, a) for t in total.children)]
    if not free:
        return None
    kept = [a for a in range(total.ndim) if a not in free]
    inner = build.add(*(_at_any(t, kept) for t in total.children))
    return build.product(ONE, ((inner, 1, tuple(kept)),), range(total.ndim), total.dims)


def _repeats_along(term: Node, axis: int) -> bool:
    assert isinstance(term, Einsum)
    index = term.output[axis]
    carried = any(index in indices for indices in term.indices)
    return not carried and term.output.count(index) == 1


def _at_any(term: Node, axes: Sequence[int]) -> Node:
    """A term without the axes along which it is repeated."""
    assert isinstance(term, Einsum)
    output = [term.output[a] for a in axes]
    gone = set(term.output) - set(output)
    return build.product_without(term.coefficient, term.factors, output, term.index_dims, gone)


def is_minus(total: Sum) -> bool:
    """Whether minus this sum is the one to keep.

    A number is kept as it is positive, as in 1 - y^2; else the sign of most terms decides, and
    where as many are negative, that of the first in an order without signs, which conjugates share.
    """
    numbers = [t for t in total.children if isinstance(t, (Einsum, Constant)) and not t.children]
    if len(numbers) == 1:
        return numbers[0].coefficient.value < 0
    parts = [build.split(t) for t in total.children]
    minus = sum(number.value < 0 for number, _ in parts)
    if 2 * minus != len(parts):
        return 2 * minus > len(parts)
    return min((order_of(core), number.value < 0) for number, core in parts)[1]


def _content(total: Sum) -> Node:
    """A coefficient that all terms share stands before the sum."""
    parts = [build.coefficient_of(t) for t in total.children]
    sizes = {abs(c.value) for c in parts}
    powers = {c.powers for c in parts}
    sign = -1 if all(c.value < 0 for c in parts) else 1
    common = Coefficient(sign, parts[0].powers if len(powers) == 1 else ())
    if len(sizes) == 1:
        first = parts[0].value
        common = common * Coefficient(first if first > 0 else -first)
    if common.is_one:
        return total
    inverse = common**-1
    return build.scale(common, build.add(*(build.scale(inverse, t) for t in total.children)))


def _folded(node: Node) -> Node:
    """A function of repeated numbers is repeated; of 0 or 1, where it is whole, a number."""
    simpler = turned(node)
    if simpler is None and isinstance(node, Apply):
        simpler = composed(node)
    if simpler is not None:
        return simpler
    if not isinstance(node, Apply) or not node.function.entrywise or not node.function.defined:
        return node
    narrower = _narrower_call(node)
    if narrower is not None:
        return narrower
    value = _plain(node.children[0])
    if len(node.children) > 1 or value not in (0, 1) or not node.function.code("numpy"):
        return node
    from wrt.expression.meaning import evaluate

    result = complex(evaluate(Apply(node.function, (build.number(value),), 0), {}))
    if result.imag == 0 and result.real in (-1, 0, 1):
        return build.scale(int(result.real), build.ones(node.dims))
    return node


def _narrower_call(node: Apply) -> Node | None:
    """A function of arguments that are all repeated along an axis, applied before repeating."""
    arguments = node.children
    if not all(isinstance(a, Einsum) for a in arguments):
        return None
    free = [k for k in range(node.ndim) if all(_repeats_along(a, k) for a in arguments)]
    if not free:
        return None
    kept = [k for k in range(node.ndim) if k not in free]
    inner = _folded(Apply(node.function, [_at_any(a, kept) for a in arguments], len(kept)))
    return build.product(ONE, ((inner, 1, tuple(kept)),), range(node.ndim), node.dims)


def _plain(node: Node) -> int | None:
    """The number that every entry of a node is, where it plainly is 0 or 1."""
    if isinstance(node, Constant) or (isinstance(node, Einsum) and not node.children):
        if not (isinstance(node, Einsum) and node.repeats) and node.coefficient.is_number:
            value = node.coefficient.value
            return int(value) if value in (0, 1) else None
    return None
