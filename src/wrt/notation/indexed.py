"""The index form: `D[i,a,b] = δ[i,a]*x[b]`, and the same as an einsum.

Summed indices are removed by matrix products where that can be, so `(A'*A)[i,j]`; what has no
phrase in matrix notation is named with its indices in a `where`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from wrt.expression.build import is_zero
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import BoundedSum, Einsum, Node, Pattern, Sum
from wrt.notation.elimination import Network, network, pattern_phrase
from wrt.notation.sentence import Speaker, shape_of
from wrt.notation.sums import listed
from wrt.notation.tree import (
    SCALAR,
    Tree,
    call,
    chain_of,
    cheaper,
    eye,
    flip,
    is_ones,
    literal,
    name,
    ones,
    power,
    raised,
    scalars_of,
    settled,
    times,
    zeros,
)

__all__ = ["IndexSpeaker", "axis_letters", "einsum_text"]

#: The letters of the axes of f, of x, of the second x, and so on; and those of sums.
GROUPS = ("ijkl", "abcd", "pqrs", "uvw")
SUMMED = "klmnopqrstuvwxyzabcdefghij"

Letters = Sequence[str]


def axis_letters(groups: Sequence[int], taken: frozenset[str]) -> list[str]:
    """A letter for each axis, none that is a name: i, j, … for f, a, b, … for x, p, q, … after."""
    letters: list[str] = []
    for k, size in enumerate(groups):
        wanted = _letters(GROUPS[min(k, len(GROUPS) - 1)], taken.union(letters))
        letters += [next(wanted) for _ in range(size)]
    return letters


def _letters(first: str, taken: frozenset[str] | set[str]) -> Iterator[str]:
    later = [c for c in "ijklabcdpqrsuvwmnotefghxyz" if c not in first]
    yield from (c for c in (*first, *later) if c not in taken)
    yield from (w for w in (f"i{k}" for k in count(1)) if w not in taken)


@dataclass
class IndexSpeaker(Speaker):
    """Phrases for all parts; those without one in matrix notation are defined by their entries."""

    letters: Letters = ()

    def phrase(self, node: Node) -> Tree | None:
        """The phrase of one node, or the name of what its entries define."""
        tree = super().phrase(node)
        if tree is not None or node is self.root or isinstance(node, Pattern):
            return tree
        if not isinstance(node, (Einsum, Sum)):
            return None
        letters = axis_letters([node.ndim], frozenset(self.taken))
        body = self.entries(node, letters)
        if body is None:
            return None
        return self.define(
            self.fresh("t"), body, shape_of(node.dims), ",".join(letters), max(node.ndim, 2)
        )

    def written(self) -> Tree | None:
        """The entry of the whole formula at the letters of its axes."""
        self.walk()
        return self.entries(self.root, self.letters)

    def entries(self, node: Node, letters: Letters) -> Tree | None:
        """The entry of a node at letters: sums of products of entries."""
        terms = node.children if isinstance(node, Sum) else (node,)
        made = [self.entry(term, letters) for term in terms]
        kept = [t for t in made if t is not None]
        return settled(listed(kept)) if len(kept) == len(made) else None

    def entry(self, node: Node, letters: Letters) -> Tree | None:
        """The entry of one term."""
        if isinstance(node, BoundedSum) and self.trees.get(node) is None:
            body = self.entries(node.body, letters)
            return None if body is None else self.ranged(node, body)
        if not isinstance(node, (Einsum, Pattern)):
            tree = self.trees.get(node)
            return None if tree is None else entry_of(tree, letters)
        axes = tuple(range(node.ndim))
        if isinstance(node, Pattern):
            node = Einsum(ONE, ((node, 1, axes),), axes, node.dims)
        net = network(node, self.trees, self.is_complex)
        if net is None:
            return None
        net.eliminate()
        return _entries(net, letters, frozenset(self.taken) | set(letters))


def _entries(net: Network, letters: Letters, taken: frozenset[str]) -> Tree:
    """What is left of a product, each factor entered at its letters."""
    said: dict[int, str] = {}
    deltas: list[Tree] = []
    for i, letter in zip(net.output, letters, strict=True):
        if i in said:
            deltas.append(_delta(said[i], letter))
        else:
            said[i] = letter
    fresh = (c for c in _letters(SUMMED, taken))
    items = net.items()
    carried = {i for _, indices in items for i in indices}
    for i in sorted(carried - set(said)):
        said[i] = next(fresh)
    repeated = [
        i for i in dict.fromkeys(net.output) if i not in carried and net.output.count(i) == 1
    ]
    places = [
        i for _, indices in items for i in indices
    ]  # an index that stands once is summed by ones
    repeated += [i for i in sorted(carried - {*net.output}) if places.count(i) == 1]
    parts = [_at(name("ones", SCALAR, 10**6), [said[i]]) for i in repeated]
    parts += [entry_of(tree, [said[i] for i in indices]) for tree, indices in items]
    return times(net.coefficient, [*net.scalars, *deltas, *parts])


def _delta(first: str, second: str) -> Tree:
    return _at(name("δ", SCALAR, -1), [first, second])


def _at(tree: Tree, letters: Letters) -> Tree:
    return Tree("index", ",".join(letters), (tree,))


def entry_of(tree: Tree, letters: Letters) -> Tree:
    """The entry of a phrase at letters, as a scalar.

    >>> from wrt.notation.tree import name, wrapped
    >>> from wrt.expression.dimensions import Dimension
    >>> A = name("A", (Dimension.of("n"), Dimension.of("m")))
    >>> entry_of(wrapped(A), ["i", "j"]).text
    'A[j,i]'
    """
    if not letters:
        return tree
    if tree.head == "product":
        chain = chain_of(tree)
        cut = next((k for k, t in enumerate(chain[:-1]) if t.shape[1] is None), None)
        if cut is None:
            entered = [_entry(times(ONE, chain), letters)]
        else:
            left, right = times(ONE, chain[: cut + 1]), times(ONE, chain[cut + 1 :])
            entered = [entry_of(left, letters[:1]), entry_of(flip(right), letters[1:])]
        return times(tree.coefficient, [*scalars_of(tree), *entered])
    return _entry(tree, letters)


def _entry(tree: Tree, letters: Letters) -> Tree:
    if tree.head == "transpose":
        return entry_of(tree.parts[0], letters[::-1])
    if tree.head == "raised" and len(set(letters)) == len(letters):  # X[k,k]^2 is (Σ X[k,k])^2
        return power(entry_of(tree.parts[0], letters), tree.exponent)
    if tree.head == "entry":
        return times(ONE, [entry_of(p, letters) for p in tree.parts])
    if tree.word == "eye":
        return _delta(*letters)
    if is_ones(tree):
        return _at(name("ones", SCALAR, 10**6), letters)
    if tree.word == "diag" and len(letters) == 1:
        return entry_of(tree.parts[0], [*letters, *letters])
    if tree.word == "diag":
        return times(ONE, [_delta(*letters), entry_of(tree.parts[0], letters[:1])])
    ahead = _at(tree, letters)
    if len(letters) == 2 and tree.axes == 2:
        back = flip(tree)
        return cheaper(ahead, _at(back, letters[::-1])) if back.head != "transpose" else ahead
    return ahead


# einsum


def einsum_text(node: Node, speaker: Speaker) -> Tree | None:
    """A formula as einsum over its factors, a sum as a sum of such.

    Zeros of three axes and more have no phrase.
    """
    if is_zero(node):
        return zeros(shape_of(node.dims)) if node.ndim < 3 else None
    terms = node.children if isinstance(node, Sum) else (node,)
    made = [_einsum(t, speaker) for t in terms]
    kept = [t for t in made if t is not None]
    return settled(listed(kept)) if len(kept) == len(made) else None


def _einsum(node: Node, speaker: Speaker) -> Tree | None:
    axes = tuple(range(node.ndim))
    if not isinstance(node, Einsum):
        node = Einsum(ONE, ((node, 1, axes),), axes, node.dims)
    scalars: list[Tree] = []
    operands: list[tuple[str, Tree]] = []
    letters = [c for c, _ in zip(_letters("ijkl", set()), range(60), strict=False)]
    if len(node.index_dims) + node.ndim > 26:
        return None
    output, deltas = _output(node, letters)
    coefficient = node.coefficient
    for child, exponent, indices in node.factors:
        tree = pattern_phrase(child) if isinstance(child, Pattern) else speaker.trees.get(child)
        if tree is None:
            return None
        tree = raised(tree, exponent)
        scalars += scalars_of(tree)
        coefficient = coefficient * (tree.coefficient if tree.head == "product" else ONE)
        if indices:
            tree, group = times(ONE, chain_of(tree)), [letters[i] for i in indices]
            if tree.head == "transpose":
                tree, group = tree.parts[0], group[::-1]
            operands.append(("".join(group), tree))
    carried = {i for indices in node.indices for i in indices} | {i for i, _ in deltas}
    operands += [(letters[i] + c, eye(node.index_dims[i])) for i, c in deltas]
    operands += [
        (letters[i], ones((node.index_dims[i], None)))
        for i in dict.fromkeys(node.output)
        if i not in carried
    ]
    if not operands:
        return times(coefficient, scalars)
    subscripts = ",".join(group for group, _ in operands) + "->" + output
    if len(operands) == 1 and operands[0][0] == output:
        whole = operands[0][1]
        column = flip(whole) if len(output) == 1 and whole.shape[0] is None else whole
        return times(coefficient, [*scalars, column])
    made = call("einsum", [literal(f'"{subscripts}"'), *(t for _, t in operands)])
    return times(coefficient, [*scalars, made])


def _output(node: Einsum, letters: list[str]) -> tuple[str, list[tuple[int, str]]]:
    """The letters of the axes; a repeated index gets a letter of its own, tied by δ."""
    fresh = iter(letters[len(node.index_dims) :])
    seen: set[int] = set()
    output = ""
    deltas: list[tuple[int, str]] = []
    for i in node.output:
        if i in seen:
            letter = next(fresh)
            deltas.append((i, letter))
            output += letter
        else:
            output += letters[i]
        seen.add(i)
    return output, deltas
