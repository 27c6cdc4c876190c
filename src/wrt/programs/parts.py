"""Real and imaginary parts: z + conj(z) is 2·real(z), which is read and not computed.

What is a sum of conjugates by its form is real from there on, and goes on in real numbers.
"""

from __future__ import annotations

from wrt.algebra.conjugation import conjugate, is_conjugate
from wrt.expression import build
from wrt.expression.coefficient import Coefficient
from wrt.expression.nodes import Apply, Node, Sum
from wrt.expression.walk import holds_complex, postorder, rebuilt
from wrt.functions import BOOK

__all__ = ["by_parts"]

_I, _TWO = Coefficient.of("i"), Coefficient.of(2)


def by_parts(root: Node) -> Node:
    """The same formula with sums of conjugates as real and imaginary parts.

    >>> from wrt.expression.nodes import Variable
    >>> z = Variable("z", (), ["complex"])
    >>> by_parts(z + BOOK["conj"](z))
    <{2 real(z)[] -> } : scalar>
    """
    if not holds_complex(root):
        return root
    changed: dict[Node, Node] = {}
    known: dict[Node, Node] = {}
    for node in postorder(root):
        made = rebuilt(node, changed)
        if isinstance(node, Sum):
            parts = _sum(node, changed, known)
            made = made if parts is None else parts
        if made is not node:
            changed[node] = made
    return changed.get(root, root)


def _sum(node: Sum, changed: dict[Node, Node], known: dict[Node, Node]) -> Node | None:
    """A sum with the parts of what stands in it with its conjugate; None where nothing does."""
    left = dict.fromkeys(node.children)
    kept: list[Node] = []
    found = False
    while left:
        term = next(iter(left))
        del left[term]
        other = conjugate(term, known) if holds_complex(term) else term
        sign = 1 if other in left else -1
        other = other if sign > 0 else build.negative(other)
        if other is not term and other in left:
            del left[other]
            found = True
            kept.append(_part(min(term, other, key=_conjugates), sign, changed))
        else:
            kept.append(changed.get(term, term))
    return build.add(*kept) if found else None


def _conjugates(term: Node) -> int:
    return sum(map(is_conjugate, postorder(term)))


def _part(term: Node, sign: int, changed: dict[Node, Node]) -> Node:
    """A term and its conjugate added, or the conjugate taken away."""
    number, core = build.split(term)
    inner = changed.get(core, core)
    is_real = (sign > 0) != number.is_imaginary
    part = Apply(BOOK["real" if is_real else "imag"], (inner,), inner.ndim)
    return build.scale((number if is_real else number * _I) * _TWO, part)
