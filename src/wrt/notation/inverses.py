"""Products with inverses that have a word of their own: pinv and adj."""

from __future__ import annotations

from collections.abc import Sequence

from wrt.expression.coefficient import ONE
from wrt.expression.dataclass import replace
from wrt.notation.phrases import chain_of, flip, scalars_of, times, wrapped
from wrt.notation.tree import Tree, call

__all__ = ["adjugates", "pseudoinverses"]


def pseudoinverses(chain: Sequence[Tree]) -> list[Tree]:
    """The links of a product, with pinv(Y) for inv(Y'*Y)*Y' and its transpose.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.notation.tree import name
    >>> n, m = Dimension.of("n"), Dimension.of("m")
    >>> Y, y = name("Y", (m, n)), name("y", (m, None))
    >>> inverse = call("inv", [times(ONE, [flip(Y), Y])], (n, n), flips=True)
    >>> times(ONE, [inverse, flip(Y), y]).text
    'pinv(Y)*y'
    """
    links = list(chain)
    k = 0
    while k < len(links):
        halves = _halves(links[k])
        if halves is not None:
            front, back = halves
            size = len(front)
            if tuple(links[k + 1 : k + 1 + size]) == front:
                links[k : k + 1 + size] = [_pinv(back)]
            elif k >= size and tuple(links[k - size : k]) == back:
                links[k - size : k + 1] = [flip(_pinv(back))]
                k -= size
        k += 1
    return links


def _halves(link: Tree) -> tuple[tuple[Tree, ...], tuple[Tree, ...]] | None:
    """Y' and Y of inv(Y'*Y), as links."""
    link = link.parts[0] if link.head == "transpose" else link
    if link.word != "inv" or link.parts[0].head != "product" or not link.is_real:
        return None
    inside = link.parts[0]
    links, half = chain_of(inside), len(inside.parts) // 2
    if inside.parts != links or len(links) != 2 * half:
        return None
    front, back = links[:half], links[half:]
    mirrored = tuple(flip(t) for t in reversed(front)) == back
    return (front, back) if mirrored and front != back else None


def _pinv(links: Sequence[Tree]) -> Tree:
    """The pseudoinverse of a product of links."""
    whole = times(ONE, links)
    if whole.head == "transpose":
        return flip(_pinv([whole.parts[0]]))
    return call("pinv", [whole], whole.shape[::-1], flips=True, latex="@0^{+}")


def adjugates(tree: Tree) -> Tree:
    """A whole answer with adj(X) for det(X)*inv(X)."""
    if tree.head == "sum":
        terms = tuple(adjugates(t) for t in tree.parts)
        return tree if terms == tree.parts else replace(tree, parts=terms)
    found = [k for k, link in enumerate(chain_of(tree)) if _inverted(link) is not None]
    if tree.head != "product" or len(found) != 1:
        return tree
    links = list(chain_of(tree))
    (k,) = found
    inside = _inverted(links[k])
    scalars = [s for s in scalars_of(tree) if not (s.word == "det" and s.parts[0] == inside)]
    if inside is None or len(scalars) == len(scalars_of(tree)):
        return tree
    made = call("adj", [inside], links[k].shape, flips=True, latex=r"\operatorname{adj}(@0)")
    links[k] = wrapped(made) if links[k].head == "transpose" else made
    return times(tree.coefficient, [*scalars, *links])


def _inverted(link: Tree) -> Tree | None:
    link = link.parts[0] if link.head == "transpose" else link
    return link.parts[0] if link.word == "inv" and link.head == "call" else None
