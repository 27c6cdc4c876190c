"""Products over indices, with all that is always simpler done: constants fold, δ melts into
repeated indices, transposes are absorbed, equal factors merge.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from wrt.errors import ShapeMistake
from wrt.expression.coefficient import ONE, ZERO, Coefficient
from wrt.expression.dimensions import Dimension, show_dimensions
from wrt.expression.nodes import (
    Apply,
    BoundedSum,
    Constant,
    Einsum,
    Exponent,
    Factor,
    Node,
    Pattern,
    Reshape,
    Scan,
    Sum,
    Variable,
    whole,
)

__all__ = ["connected", "einsum", "product", "product_carried", "product_without", "zeros"]


def zeros(dims: Iterable[Dimension]) -> Node:
    """A tensor of zeros."""
    dims = tuple(dims)
    return Einsum(ZERO, (), range(len(dims)), dims) if dims else Constant(ZERO)


#: Kinds that no product looks into.
_WHOLE = frozenset({Variable, Apply, Sum, Reshape, BoundedSum, Scan})


def product(
    coefficient: Coefficient,
    factors: Iterable[Factor],
    output: Sequence[int],
    index_dims: Sequence[Dimension],
) -> Node:
    """The product of factors over named indices, with all that is always simpler done.

    `output` may repeat an index (a diagonal) and may hold one that no factor carries (ones).
    """
    output, factors = tuple(output), tuple(factors)
    if _is_plain(coefficient, factors, output, len(index_dims)):
        if len(factors) == 1 and (coefficient is ONE or coefficient.is_one):
            ((node, exponent, indices),) = factors
            if exponent == 1 and indices == output and len(set(output)) == len(output):
                return node
        return Einsum(coefficient, factors, output, index_dims)
    coefficient, kept, output, dims = _gathered(coefficient, factors, output, index_dims)
    if coefficient.value == 0:
        return zeros([dims[i] for i in output])
    carried = {i for _, _, indices in kept for i in indices}
    for i in _free_indices(carried, output, dims):
        coefficient = coefficient * Coefficient.of(dims[i])
    if not kept and not output:
        return Constant(coefficient)
    if len(kept) == 1 and coefficient.is_one:
        node, exponent, indices = kept[0]
        if exponent == 1 and indices == output and len(set(output)) == len(output):
            return node
    return Einsum(coefficient, kept, output, [dims[i] for i in range(len(dims))])


def product_carried(
    coefficient: Coefficient,
    factors: Sequence[Factor],
    output: Sequence[int],
    index_dims: Sequence[Dimension],
) -> Node:
    """The product over those of many indices that its factors or its axes carry: the others are
    left out, not summed.

    >>> from wrt.expression.nodes import Variable
    >>> n, m, p = map(Dimension.of, "nmp")
    >>> x, y = Variable("x", (n,)), Variable("y", (p,))
    >>> product_carried(ONE, [(x, 1, (0,)), (y, 1, (2,))], (2, 0), (n, m, p))
    <{x[j] y[i] -> ij} : p, n>
    """
    live = dict.fromkeys([*output, *(i for _, _, indices in factors for i in indices)])
    place = {i: k for k, i in enumerate(live)}
    moved = [(node, e, tuple([place[i] for i in indices])) for node, e, indices in factors]
    return product(coefficient, moved, [place[i] for i in output], [index_dims[i] for i in live])


def product_without(
    coefficient: Coefficient,
    factors: Sequence[Factor],
    output: Sequence[int],
    index_dims: Sequence[Dimension],
    gone: Collection[int],
) -> Node:
    """The product over many indices but some: any other that nothing carries is summed, which
    counts it.

    >>> from wrt.expression.nodes import Variable
    >>> n, m, p = map(Dimension.of, "nmp")
    >>> x = Variable("x", (n,))
    >>> product_without(ONE, [(x, 1, (0,))], (0,), (n, m, p), {2})
    <{m x[i] -> i} : n>
    """
    live = [i for i in range(len(index_dims)) if i not in gone]
    place = {i: k for k, i in enumerate(live)}
    moved = [(node, e, tuple([place[i] for i in indices])) for node, e, indices in factors]
    return product(coefficient, moved, [place[i] for i in output], [index_dims[i] for i in live])


def _is_plain(
    coefficient: Coefficient, factors: tuple[Factor, ...], output: tuple[int, ...], count: int
) -> bool:
    """Whether there is nothing to fold, absorb, melt or merge."""
    if not factors or not coefficient.value:
        return False
    for node, exponent, _ in factors:
        kind = type(node)
        if kind is Einsum:
            number = node.coefficient  # type: ignore[attr-defined]
            if node.layout.melts or not (number is ONE or number.is_one):  # type: ignore[attr-defined]
                return False
        elif kind not in _WHOLE:
            return False
        if not exponent:
            return False
    if count:
        held = set(output)
        if len(held) < count:
            for _, _, indices in factors:
                held.update(indices)
            if len(held) < count:
                return False
    if len(factors) == 2:
        return factors[0][0] is not factors[1][0]
    return len(factors) == 1 or len({f[0] for f in factors}) == len(factors)


def _free_indices(carried: set[int], output: tuple[int, ...], dims: _Dims) -> list[int]:
    """Summed indices that no factor carries: each is worth the size of its dimension."""
    return [i for i in dims.order if i not in carried and i not in output]


class _Dims(dict[int, Dimension]):
    """Dimensions by index, indices united where a δ melts."""

    def __init__(self, dims: Sequence[Dimension]) -> None:
        super().__init__(enumerate(dims))
        self.united: dict[int, int] = {}

    def find(self, i: int) -> int:
        while i in self.united:
            i = self.united[i]
        return i

    def unite(self, i: int, j: int) -> None:
        i, j = self.find(i), self.find(j)
        if i != j:
            assert self[i] is self[j], f"{self[i]} and {self[j]} cannot be one index"
            self.united[max(i, j)] = min(i, j)

    def fresh(self, dim: Dimension) -> int:
        self[len(self)] = dim
        return len(self) - 1

    @property
    def order(self) -> list[int]:
        return [i for i in self if i not in self.united]


def _gathered(
    coefficient: Coefficient,
    factors: Iterable[Factor],
    output: tuple[int, ...],
    index_dims: Sequence[Dimension],
) -> tuple[Coefficient, list[Factor], tuple[int, ...], _Dims]:
    """Fold constants, absorb what costs nothing, melt δ, add exponents of equal factors."""
    dims = _Dims(index_dims)
    found: list[Factor] = []
    stack = list(factors)[::-1]
    while stack:
        node, exponent, indices = stack.pop()
        if isinstance(node, Constant):
            if node.coefficient.value == 0:
                if exponent > 0:
                    coefficient = ZERO
                    break
                found.append((node, exponent, indices))
                continue
            if exponent.denominator == 1 or node.coefficient.has_real_root():
                coefficient = coefficient * node.coefficient**exponent
                continue
        elif isinstance(node, Einsum):
            left, factor, more = _absorbed(node, exponent, indices, dims)
            coefficient = coefficient * factor
            stack.extend(more)
            if left is None:
                continue
            node = left
        found.append((node, exponent, indices))
    if dims.united:
        find = dims.find
        found = [(n, e, tuple([find(i) for i in idx])) for n, e, idx in found]
        output = tuple([find(i) for i in output])
    return coefficient, _merged(found), output, dims


def _absorbed(
    node: Einsum, exponent: Exponent, indices: tuple[int, ...], dims: _Dims
) -> tuple[Node | None, Coefficient, list[Factor]]:
    """Take in a factor that is a coefficient, a δ, ones, a transpose or a power of one factor."""
    plain = exponent.denominator == 1
    factor = ONE
    if node.coefficient.value == 0:
        return (None, ZERO, []) if exponent > 0 else (node, ONE, [])
    if not node.coefficient.is_one and (plain or node.coefficient.has_real_root()):
        factor = node.coefficient**exponent
        node = node.scaled(ONE)
    light = len(node.children) < 2 and node.layout.light
    if not light or not (exponent == 1 or (plain and not node.repeats)):
        return _unwrapped(node), factor, []
    place: dict[int, int] = {}
    for inner, outer in zip(node.output, indices, strict=True):
        if inner in place:
            dims.unite(place[inner], outer)
        else:
            place[inner] = outer
    more = [(n, whole(e * exponent), tuple([place[i] for i in idx])) for n, e, idx in node.factors]
    return None, factor, more


def _unwrapped(node: Einsum) -> Node:
    """The factor itself where only a coefficient was around it."""
    if len(node.children) == 1 and node.coefficient.is_one and node.exponents[0] == 1:
        if node.indices[0] == node.output and not node.repeats:
            return node.children[0]
    return node


def _merged(factors: list[Factor]) -> list[Factor]:
    if len(factors) < 2:
        return [f for f in factors if f[1] != 0] if factors else factors
    powers: dict[tuple[Node, tuple[int, ...]], Exponent] = {}
    for node, exponent, indices in factors:
        key = (node, indices)
        if isinstance(node, Pattern):
            powers[key] = 1
        else:
            powers[key] = powers.get(key, 0) + exponent
    return [(node, whole(e), indices) for (node, indices), e in powers.items() if e]


def connected(held: Iterable[Collection[int]]) -> list[tuple[int, ...]]:
    """Which of some sets of indices hang together by the indices that they share.

    >>> connected([{0, 1}, {2}, {1, 3}, {3}])
    [(1,), (0, 2, 3)]
    """
    groups: list[tuple[set[int], list[int]]] = []
    for k, indices in enumerate(held):
        together, members = set(indices), [k]
        rest = []
        for other, others in groups:
            if together & other:
                together, members = together | other, [*others, *members]
            else:
                rest.append((other, others))
        groups = [*rest, (together, members)]
    return [tuple(sorted(members)) for _, members in groups]


def einsum(subscripts: str, *operands: Node, dims: dict[str, Dimension] | None = None) -> Node:
    """A product by subscripts, as NumPy writes it; a repeated output letter is a diagonal.

    `dims` gives the dimension of letters that no operand carries. ShapeMistake where a letter would
    need two dimensions.
    """
    left, _, right = subscripts.replace(" ", "").partition("->")
    groups = left.split(",") if left or operands else []
    if len(groups) != len(operands):
        raise ShapeMistake(f"einsum {subscripts!r} names {len(groups)} operands of {len(operands)}")
    sizes = dict(dims or {})
    for group, operand in zip(groups, operands, strict=True):
        _match_letters(subscripts, group, operand, sizes)
    for letter in right:
        if letter not in sizes:
            raise ShapeMistake(f"einsum {subscripts!r}: nothing gives {letter} a size")
    letters = {letter: k for k, letter in enumerate(sizes)}
    factors = [
        (node, 1, tuple(letters[c] for c in group))
        for group, node in zip(groups, operands, strict=True)
    ]
    return product(ONE, factors, [letters[c] for c in right], list(sizes.values()))


def _match_letters(subscripts: str, group: str, operand: Node, sizes: dict[str, Dimension]) -> None:
    if len(group) != operand.ndim:
        raise ShapeMistake(
            f"einsum {subscripts!r}: {group!r} has {len(group)} letters, "
            f"its operand {operand.ndim} axes ({show_dimensions(operand.dims)})"
        )
    for letter, dim in zip(group, operand.dims, strict=True):
        if sizes.setdefault(letter, dim) is not dim:
            raise ShapeMistake(
                f"einsum {subscripts!r}: {letter} cannot be both {sizes[letter]} and {dim}"
            )
