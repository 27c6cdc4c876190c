"""The einsum form: `einsum("ik,lj->ijkl", A, B)`, a product of phrases at their letters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from wrt.expression.build import is_zero
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.nodes import Einsum, Node, Pattern, Sum
from wrt.notation.directions import said_axes
from wrt.notation.elimination import pattern_phrase
from wrt.notation.indexed import free_letters
from wrt.notation.phrases import chain_of, eye, flip, ones, raised, scalars_of, times, zeros
from wrt.notation.sentence import Speaker, shape_of
from wrt.notation.signs import settled
from wrt.notation.sums import listed
from wrt.notation.tree import Tree, call, literal

__all__ = ["einsum_text"]

#: Letters, one for each index.
MOST_LETTERS = 26

Operand = tuple[str, Tree]


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
    if len(node.index_dims) + node.ndim > MOST_LETTERS:
        return None
    letters = list(islice(free_letters("ijkl", set()), MOST_LETTERS))
    output, deltas = _output(node, letters)
    found = _factors(node, letters, speaker)
    if found is None:
        return None
    coefficient, scalars, operands = found
    carried = {i for indices in node.indices for i in indices} | {i for i, _ in deltas}
    alone = [i for i in dict.fromkeys(node.output) if i not in carried]
    operands += [(letters[i] + c, eye(node.index_dims[i])) for i, c in deltas]
    operands += [(letters[i], ones((node.index_dims[i], None))) for i in alone]
    said = [_together(operands, output)] if operands else []
    return times(coefficient, [*scalars, *said])


def _factors(
    node: Einsum, letters: Sequence[str], speaker: Speaker
) -> tuple[Coefficient, list[Tree], list[Operand]] | None:
    """The factors of a product: numbers, and phrases at their letters; None where one has none."""
    coefficient = node.coefficient
    scalars: list[Tree] = []
    operands: list[Operand] = []
    for child, exponent, places in node.factors:
        tree = pattern_phrase(child) if isinstance(child, Pattern) else speaker.trees.get(child)
        if tree is None:
            return None
        tree, indices = raised(tree, exponent), said_axes(child, places)
        scalars += scalars_of(tree)
        coefficient = coefficient * (tree.coefficient if tree.head == "product" else ONE)
        if indices:
            tree, group = times(ONE, chain_of(tree)), [letters[i] for i in indices]
            if tree.head == "transpose":
                tree, group = tree.parts[0], group[::-1]
            operands.append(("".join(group), tree))
    return coefficient, scalars, operands


def _together(operands: Sequence[Operand], output: str) -> Tree:
    """The call, or the one phrase that is the whole as it stands."""
    if len(operands) == 1 and operands[0][0] == output:
        whole = operands[0][1]
        return flip(whole) if len(output) == 1 and whole.shape[0] is None else whole
    subscripts = ",".join(group for group, _ in operands) + "->" + output
    return call("einsum", [literal(f'"{subscripts}"'), *(t for _, t in operands)])


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
