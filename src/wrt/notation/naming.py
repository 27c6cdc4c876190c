"""Names for what a phrase says more than once, each defined behind `where`.

A definition is made only where the whole gets shorter, it counted in: a person names what is long
and returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from wrt.expression.dataclass import replace
from wrt.notation.phrases import entrywise, flip, times, wrapped
from wrt.notation.tree import Shape, Tree, name

__all__ = ["letter", "named_parts", "rebuilt"]

#: At most so many definitions, in a phrase of so many names at least and at most.
MOST_NAMES, SHORT, ENDLESS = 4, 14, 1500
#: A definition saves so many names at least, all of them this part of the whole.
LEAST_SAVED, LEAST_SHARE = 3, 0.2

#: Names for what has no name: of matrices, of vectors, of numbers.
_LETTERS: tuple[str, ...] = ("PQRSMNKLGUVWZ", "rsuvwzpqgh", "cktlgabm")


def letter(shape: Shape, taken: Iterable[str]) -> str:
    """A name for a matrix, a vector or a number that nobody uses."""
    taken = set(taken)
    free: str = _LETTERS[sum(side is None for side in shape)]
    numbered = (f"{free[0]}{k}" for k in range(1, len(taken) + 2))
    words: list[str] = [*free, *numbered]
    return next(word for word in words if word not in taken)


def named_parts(
    tree: Tree, taken: Iterable[str], place: int, ranged: Set[str] = frozenset()
) -> tuple[Tree, list[tuple[str, Tree]]]:
    """A phrase with names in the place of what it repeats, and what they stand for, in the order
    in which they are to be read.

    `taken` are words that are no free names, `place` comes after all names that it has; `ranged`
    are the variables of ranges, which nobody knows outside of these.
    """
    size = tree.cost[0]
    if not SHORT <= size <= ENDLESS:
        return tree, []
    bodies: list[Tree] = [tree]
    marks: list[Tree] = []
    while len(marks) < MOST_NAMES:
        part = _worth_naming(bodies, ranged)
        if part is None:
            break
        marks.append(name(f"#{len(marks)}", part.shape))
        bodies = [*(swapped(body, part, marks[-1]) for body in bodies), part]
    saved = size - sum(body.cost[0] for body in bodies) - len(marks)
    if not marks or saved < LEAST_SHARE * size:
        return tree, []
    return _lettered(bodies[0], _in_order(marks, bodies[1:]), set(taken), place)


def _lettered(
    tree: Tree, parts: list[tuple[Tree, Tree]], taken: set[str], place: int
) -> tuple[Tree, list[tuple[str, Tree]]]:
    """Marks replaced by letters, in the order in which the definitions are read."""
    bodies, words = [tree, *(body for _, body in parts)], []
    for k, (mark, body) in enumerate(parts):
        words.append(letter(mark.shape, taken))
        taken.add(words[-1])
        said = name(words[-1], mark.shape, place + k, is_complex=not body.is_real)
        bodies = [swapped(one, mark, said) for one in bodies]
    return bodies[0], list(zip(words, bodies[1:], strict=True))


def _worth_naming(bodies: Sequence[Tree], ranged: Set[str]) -> Tree | None:
    """The part whose name would save most; None where none saves enough."""
    counts: dict[Tree, int] = {}
    stack = list(bodies)
    while stack:
        part = stack.pop()
        stack.extend(part.parts)
        if part.parts and not part.is_lettered and part.axes == 2 and part.head != "transpose":
            counts[part] = counts.get(part, 0) + 1
    best, most = None, LEAST_SAVED - 1
    for part, count in counts.items():
        if part.cost[0] < 2:  # a name for a name saves nothing
            continue
        if ranged and _open_names(part) & ranged:
            continue
        if None not in part.shape and count:
            count += counts.get(flip(part), 0) if flip(part) != part else 0
        saving = part.cost[0] * (count - 1) - 1 - count if count > 1 else 0
        if saving > most and part not in bodies:
            best, most = part, saving
    return best


def _open_names(tree: Tree) -> set[str]:
    """The words of a phrase, without those of the ranges in it."""
    if tree.head == "name":
        return {tree.word}
    found = set().union(*map(_open_names, tree.parts))
    ranged = tree.word in ("sum", "prod") and len(tree.parts) == 4
    return found - {tree.parts[0].word} if ranged else found


def swapped(tree: Tree, part: Tree, said: Tree) -> Tree:
    """A phrase with a name wherever a part of it stands, or its transpose."""
    turned = flip(part) if part.is_array else part
    done: dict[Tree, Tree] = {part: said}
    done.setdefault(turned, flip(said))

    def swap(one: Tree) -> Tree:
        if one not in done:
            done[one] = rebuilt(one, [swap(p) for p in one.parts]) if one.parts else one
        return done[one]

    return swap(tree)


def rebuilt(tree: Tree, parts: list[Tree]) -> Tree:
    """A phrase with other parts."""
    if tuple(parts) == tree.parts:
        return tree
    match tree.head:
        case "product" | "dot":
            return times(tree.coefficient, parts)
        case "entry":
            return entrywise(parts)
        case "transpose":
            return wrapped(parts[0])
        case "unvec":
            return tree
    return replace(tree, parts=tuple(parts))


def _in_order(marks: list[Tree], bodies: Sequence[Tree]) -> list[tuple[Tree, Tree]]:
    """Definitions, each behind those that it uses."""
    waiting = dict(zip(marks, bodies, strict=True))
    found: list[tuple[Tree, Tree]] = []
    while waiting:
        mark = next(m for m, body in waiting.items() if not _names(body) & set(waiting))
        found.append((mark, waiting.pop(mark)))
    return found


def _names(tree: Tree) -> set[Tree]:
    found: set[Tree] = set()
    stack = [tree]
    while stack:
        part = stack.pop()
        stack.extend(part.parts)
        if part.head == "name":
            found.add(part)
    return found
