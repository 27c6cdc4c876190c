"""Complex formulas as formulas of x and conj(x): the conjugate goes to the variables.

Every word here but `conj` is holomorphic and real on the real axis, or has real arguments; so
conj(f(z)) = f(conj(z)), and `x` and `conj(x)` can be differentiated by as two variables. An
analytic identity of the two holds for all their values if it holds where one is the conjugate of
the other (these points are a totally real space of full dimension). So equality is decided at
true conjugates; a conjugate of a real variable is gone before, as those are sampled off the axis.
"""

from __future__ import annotations

from functools import lru_cache

from wrt.algebra.equality import equal
from wrt.errors import NotDifferentiable
from wrt.expression import build
from wrt.expression.coefficient import Coefficient
from wrt.expression.nodes import Apply, Constant, Einsum, Node, Variable
from wrt.expression.walk import postorder, substitute
from wrt.functions import BOOK

__all__ = [
    "bar",
    "conjugate",
    "frozen",
    "has_real_values",
    "is_conjugate",
    "is_real",
    "order_of",
    "refuse_kinks",
    "thawed",
]

Known = dict[Node, Node]


def is_conjugate(node: Node) -> bool:
    """Whether a node is conj of something."""
    return isinstance(node, Apply) and node.function is BOOK["conj"]


def bar(x: Variable) -> Node:
    """conj(x) of a variable; a real one is its own.

    >>> bar(Variable("z", (), ["complex"]))
    <conj(z) : scalar>
    """
    return Apply(BOOK["conj"], (x,), x.ndim) if "complex" in x.properties else x


def conjugate(root: Node, known: Known | None = None) -> Node:
    """The conjugate, with `conj` at variables only; words that abbreviate are written out before.

    `known` keeps what is found from one call to the next.

    >>> z = Variable("z", (), ["complex"])
    >>> conjugate(2 * bar(z)) is 2 * z, conjugate(z + bar(z)) is z + bar(z)
    (True, True)
    """
    known = {} if known is None else known
    stack = [root]
    while stack:
        node = stack[-1]
        if node in known:
            stack.pop()
            continue
        waiting = [] if is_conjugate(node) else [c for c in node.children if c not in known]
        if waiting:
            stack += waiting
            continue
        known[stack.pop()] = _one(node, known)
    return known[root]


def _one(node: Node, known: Known) -> Node:
    match node:
        case Variable():
            return bar(node)
        case Constant():
            return Constant(node.coefficient.conjugate)
        case Apply() if is_conjugate(node):
            return node.children[0]
        case Apply() if node.function in (BOOK["real"], BOOK["imag"]):
            return node
        case Einsum() if node.coefficient.is_imaginary:
            return _turned(node, known)
    children = [known[c] for c in node.children]
    same = all(a is b for a, b in zip(children, node.children, strict=True))
    return node if same else node.rebuild(children)


def _turned(node: Einsum, known: Known) -> Node:
    made = node.scaled(Coefficient(1)).rebuild([known[c] for c in node.children])
    return build.scale(node.coefficient.conjugate, made)


def is_real(node: Node, known: Known | None = None) -> bool:
    """Whether a formula is plainly its own conjugate."""
    from wrt.algebra.normal import normal_form

    turned = conjugate(node, known)
    return turned is node or normal_form(turned) is normal_form(node)


def refuse_kinks(node: Apply, known: Known) -> None:
    """NotDifferentiable for a word of complex arguments that has no complex derivative."""
    function = node.function
    if function.is_holomorphic or is_conjugate(node):
        return
    if all(has_real_values(child, known) for child in node.children):
        return
    why = "is defined for real numbers" if function.defined else "is not known to be holomorphic"
    raise NotDifferentiable(f"{function.name} {why}, and its argument is complex")


def has_real_values(node: Node, known: Known | None = None) -> bool:
    """Whether a formula equals its conjugate, seen plainly or by value at random points."""
    return is_real(node, known) or equal(node, conjugate(node, known))


@lru_cache(maxsize=1024)
def order_of(node: Node) -> tuple[bytes, ...]:
    """A place in an order that a formula and its conjugate share, then one of its own."""
    if not any("complex" in v.properties for v in node.names):
        return (node.digest,)
    return min(node.digest, conjugate(node).digest), node.digest


# One of the two held fixed


def frozen(root: Node, x: Variable) -> tuple[Node, Variable]:
    """The formula with another variable in the place of conj(x), and that variable.

    >>> z = Variable("z", (), ["complex"])
    >>> f, other = frozen(z * bar(z), z)
    >>> f is z * other
    True
    """
    name = x.name + "_"
    taken = {v.name for v in root.names}
    while name in taken:
        name += "_"
    other = Variable(name, x.dims, x.properties)
    return _replaced(root, bar(x), other), other


def thawed(root: Node, x: Variable, other: Variable) -> Node:
    """The formula with conj(x) again where `frozen` put another variable."""
    return substitute(root, {other: bar(x)})


def _replaced(root: Node, part: Node, other: Node) -> Node:
    done: Known = {part: other}
    for node in postorder(root):
        if node not in done:
            children = [done[c] for c in node.children]
            same = all(a is b for a, b in zip(children, node.children, strict=True))
            done[node] = node if same else node.rebuild(children)
    return done[root]
