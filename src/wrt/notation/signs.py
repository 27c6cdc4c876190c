"""Signs of phrases: b-a for -(a-b), and minus a sum term by term."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from wrt.expression.coefficient import MINUS_ONE, ONE
from wrt.expression.dataclass import replace
from wrt.functions import BOOK
from wrt.notation.phrases import times
from wrt.notation.tree import Tree

__all__ = ["difference", "negated", "parity", "settled"]


@lru_cache(maxsize=1024)
def parity(word: str) -> int:
    """1 for an even function of one argument, -1 for an odd one, 0 for any other.

    >>> parity("cos"), parity("tanh"), parity("exp")
    (1, -1, 0)
    """
    function = BOOK.get(word)
    for law in function.laws if function else ():
        left, _, right = law.partition(" = ")
        head, _, argument = left.removesuffix(")").partition("(-")
        if head == word and argument.isidentifier():
            said = f"{word}({argument})"
            return 1 if right == said else -1 if right == f"-{said}" else 0
    return 0


def settled(tree: Tree) -> Tree:
    """A whole phrase with its minus inside a difference, where that saves the sign.

    So b-a, not -(a-b).
    """
    if _all_negative(tree):
        terms = [settled(t) for t in tree.parts]
        return Tree("sum", "", tuple(terms), tree.shape, axes=tree.axes)
    if not _is_negative(tree):
        return tree
    if len(tree.parts) == 1 and tree.parts[0].head == "sum":
        whole = settled(negated(tree.parts[0]))
        rest = -tree.coefficient
        return times(rest, [whole]) if rest == ONE or not _all_negative(whole) else tree
    for k, part in enumerate(tree.parts):
        turned = _turned(part)
        inside = difference(part)
        if turned is None or inside is None or _holds(tree, inside) > 1:
            continue
        return times(-tree.coefficient, [*tree.parts[:k], turned, *tree.parts[k + 1 :]])
    return tree


def _is_negative(tree: Tree) -> bool:
    return tree.head == "product" and tree.coefficient.value < 0


def _all_negative(tree: Tree) -> bool:
    return tree.head == "sum" and all(_is_negative(t) for t in tree.parts)


def _signs_sorted(terms: Sequence[Tree], tree: Tree) -> Tree:
    ranked = sorted(terms, key=_is_negative)
    return Tree("sum", "", tuple(ranked), tree.shape, axes=tree.axes)


def negated(tree: Tree) -> Tree:
    """Minus a sum, term by term."""
    return _signs_sorted([times(MINUS_ONE, [t]) for t in tree.parts], tree)


#: What changes its sign with each of its parts, or with its only one.
_LINEAR = ("transpose", "conj", "entry", "index", "dot", "product")


def _is_odd(word: str) -> bool:
    return word in ("diag", "sum", "tr") or parity(word) < 0


def difference(part: Tree) -> Tree | None:
    """The difference that a factor is, or is linear in."""
    while part.parts and (_is_odd(part.word) or part.head in _LINEAR):
        part = part.parts[_odd(part)]
    return part if part.head == "sum" and any(map(_is_negative, part.parts)) else None


def _turned(part: Tree) -> Tree | None:
    """A factor with the sign of its difference changed."""
    inside = difference(part)
    if inside is None:
        return None
    if part is inside:
        return negated(inside)
    k = _odd(part)
    inner = _turned(part.parts[k])
    if inner is None:
        return None
    return replace(part, parts=(*part.parts[:k], inner, *part.parts[k + 1 :]))


def _odd(part: Tree) -> int:
    """The part of a product that is a difference; the only one of other phrases, or the last."""
    if part.word == "sum":
        return 3 if len(part.parts) == 4 else 0
    if part.head not in ("entry", "dot", "product"):
        return 0
    return next((k for k, p in enumerate(part.parts) if difference(p) is not None), 0)


def _holds(tree: Tree, inside: Tree) -> int:
    """How often a phrase occurs within another."""
    found, stack = 0, [tree]
    while stack:
        part = stack.pop()
        found += part == inside
        stack.extend(part.parts)
    return found
