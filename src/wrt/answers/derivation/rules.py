"""The rule that justifies a line of a derivation, in words and in the formula's own letters."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from fractions import Fraction
from itertools import chain, count
from types import MappingProxyType

from wrt.algebra import expand, flat_form
from wrt.calculus import differential
from wrt.expression import build
from wrt.expression.nodes import Apply, BoundedSum, Einsum, Node, Result, Variable
from wrt.expression.walk import postorder
from wrt.functions import BOOK
from wrt.notation.differential import sentence

__all__ = [
    "call_rule",
    "constraint_rule",
    "gathering_rule",
    "reading_rule",
    "structure_rule",
    "word_rules",
]

#: A rule longer than this is called by the name of its function.
LONG = 60

#: A word of a formula; and how a call of one begins, a minus sign before its argument included.
_CALL = re.compile(r"\b[a-z]\w*\(-?")
_WORD = re.compile(r"\b([a-z]\w*)\(")
#: A sum over all entries, and not over a range.
_SUM = re.compile(r"sum\((?!\w+,)")

Moving = Collection[Variable]


def call_rule(call: Node, moving: Moving, taken: Collection[str]) -> str:
    """The rule of a function as a call uses it; what stands inside it is called u.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.functions import BOOK
    >>> n = Dimension.of("n")
    >>> x, X = Variable("x", (n,)), Variable("X", (n, n))
    >>> call_rule(BOOK["exp"](-2 * x), [x], ["x"]), call_rule(BOOK["inv"](X), [X], ["X"])
    ('d exp(u) = exp(u).*du', 'd inv(X) = -inv(X)*dX*inv(X)')
    """
    apply = call.call if isinstance(call, Result) else call
    assert isinstance(apply, Apply)
    general = apply.rebuild([_letter(c, moving, taken) for c in apply.children])
    assert isinstance(general, Apply)
    node = Result(general, call.position) if isinstance(call, Result) else general
    pairs = zip(apply.children, general.children, strict=True)
    inside = {v for c, v in pairs if isinstance(v, Variable) and not c.names.isdisjoint(moving)}
    changes: dict[Node, Node] = {v: Variable(f"d{v.name}", v.dims) for v in inside}
    change = differential(expand(node), changes)
    names = (*taken, *sorted(v.name for v in inside), *sorted(f"d{v.name}" for v in inside))
    said = [_said(n, names) for n in (node, change)]
    if None in said or len(" = ".join(map(str, said))) > LONG:
        return f"differential of {apply.function.name}"
    return f"d {said[0]} = {said[1]}"


def _letter(child: Node, moving: Moving, taken: Collection[str]) -> Node:
    """An argument of a call, called u where it moves and has no name."""
    if child.names.isdisjoint(moving):
        return child
    if isinstance(child, Variable):
        return Variable(child.name, child.dims, child.properties - {"symmetric", "spd"})
    numbered = (f"u{k}" for k in count(1))
    letters = chain("UVYZ" if child.ndim == 2 else "uvwz", numbered)
    return Variable(next(c for c in letters if c not in taken), child.dims)


def _said(node: Node, names: Collection[str]) -> str | None:
    said = sentence(node, names=tuple(names))
    said = said or sentence(flat_form(node), names=tuple(names))
    return said and said.text


def structure_rule(
    body: Node,
    moving: Moving,
    stops: Collection[Node],
    said: Callable[[Node], str],
    words: Mapping[Node, Apply] = MappingProxyType({}),
    taken: Collection[str] = (),
) -> str:
    """The rule for what is no function: products, powers, sums; `stops` are not looked into.

    `said` gives the text of a part, `words` are the parts that a word of the language abbreviates.

    >>> from wrt.expression.dimensions import Dimension
    >>> n = Dimension.of("n")
    >>> A, x = Variable("A", (n, n)), Variable("x", (n,))
    >>> structure_rule(A @ x, [x], (), str), structure_rule(x @ (A @ x), [x], (), str)
    ('linear in <x : n>', 'product rule')
    """
    found: dict[str, None] = {}
    for node in _reached(body, (*stops, *words)):
        if node in words and not node.names.isdisjoint(moving):
            found |= dict.fromkeys(_word_rules(node, words, moving, stops, taken))
        elif node not in stops:
            found |= dict.fromkeys(_rules(node, moving))
    if "product rule" in found or "quotient rule" in found:
        found.pop("d(u'*u) = 2*u'*du", None)
    if found:
        return ", ".join(found)
    reached = set(_reached(body, stops))
    inside = [n for n in (*moving, *stops) if n in reached]
    return f"linear in {said(inside[0])}" if len(inside) == 1 else "term by term"


def _word_rules(
    node: Node,
    words: Mapping[Node, Apply],
    moving: Moving,
    stops: Collection[Node],
    taken: Collection[str],
) -> list[str]:
    """The rule of the word that a part is, where that is more than a sum."""
    inside = [rule for n in _reached(node, stops) for rule in _rules(n, moving)]
    said = call_rule(words[node], moving, taken) if inside else ""
    return [said] if said.startswith("d ") else inside


def _reached(body: Node, stops: Collection[Node]) -> Iterator[Node]:
    """The nodes of a formula from the top down to the stops."""
    seen: set[Node] = set()
    stack = [body]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        yield node
        if node not in stops:
            stack.extend(node.children)


def _rules(node: Node, moving: Moving) -> list[str]:
    """The rules that a product takes."""
    if isinstance(node, BoundedSum):
        return ["product rule" if node.kind == "prod" else "term by term"]
    if not isinstance(node, Einsum):
        return []
    factors = [(c, e, i) for c, e, i in node.factors if not c.names.isdisjoint(moving)]
    if any(e == -1 for _, e, _ in factors):
        return ["quotient rule" if len(factors) > 1 else "d(1/u) = -du/u^2"]
    if len(factors) > 1:
        return ["product rule"]
    if not factors or factors[0][1] == 1:
        return []
    _, exponent, indices = factors[0]
    summed = set(indices) - set(node.output)
    if exponent == 2 and summed:
        return ["d(u'*u) = 2*u'*du" if len(indices) == 1 else "d sum(U.^2) = 2*sum(U.*dU)"]
    return ["power rule"]


def word_rules(f: Node, text: str, names: Collection[str]) -> str:
    """What the words mean that stand in a formula and no longer in its text written out.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.functions import BOOK
    >>> r = Variable("r", [Dimension.of("n")])
    >>> word_rules(BOOK["norm2"](r) ** 2, "r'*r", ["r"])
    "norm2(r)^2 is r'*r"
    """
    found: dict[str, None] = {}
    for call, exponent in _calls(f):
        if f"{call.function.name}(" in text:
            continue
        general = call.rebuild([_letter(c, c.names, ()) for c in call.children])
        node = general if exponent == 1 else build.power(general, exponent)
        before, after = _said(general, names), _said(expand(node), names)
        before = before if exponent == 1 else f"{before}^{exponent}"
        if before and after and before != after:
            found[f"{before} is {after}"] = None
    return "; ".join(list(found)[:2])


def _calls(f: Node) -> Iterator[tuple[Apply, Fraction | int]]:
    """The words that abbreviate a sentence, with the powers in which they stand."""
    powers: dict[Node, Fraction | int] = {}
    for node in postorder(f):
        if isinstance(node, Einsum):
            powers |= {child: e for child, e, _ in node.factors if e == 2 and not child.ndim}
        if isinstance(node, Apply) and node.function.definition:
            powers.setdefault(node, 1)
    return ((n, e) for n, e in powers.items() if isinstance(n, Apply) and n.function.definition)


# From the differential to the derivative


def gathering_rule(before: str, after: str, change: str, axes: tuple[int, int]) -> str:
    """How the change of x came behind everything else; `axes` are those of f and of x.

    >>> gathering_rule("tr(A*inv(X)*dX)", "tr(inv(X)*A*dX)", "dX", (0, 2))
    'cyclic trace'
    >>> gathering_rule("dx'*A*x+x'*A*dx", "x'*(A+A')*dx", "dx", (0, 1))
    'a scalar is its own transpose'
    """
    if law := _law(before, after):
        return law
    if axes == (0, 2):
        return _trace_rule(before, after, change)
    if "unit(" in after and "unit(" not in before:
        return "u[k] = unit(n,k)'*u"
    if f"{change}'" in before and axes[0] == 0:
        return "a scalar is its own transpose"
    if _SUM.search(before) and not _SUM.search(after):
        return "sum(u.*v) = u'*v"
    if ".*" in before and "diag(" in after:
        return "u.*v = diag(u)*v"
    return f"{change} factored out"


def _law(before: str, after: str) -> str:
    """The law of a word that only the second text has, said with the words of the first."""
    for word in dict.fromkeys(_WORD.findall(after)):
        if f"{word}(" in before or word not in BOOK:
            continue
        for law in BOOK[word].laws:
            left, _, right = law.partition(" = ")
            known = all(call in before for call in _CALL.findall(left))
            if right.startswith(f"{word}(") and known and _WORD.search(left):
                return law
    return ""


def _trace_rule(before: str, after: str, change: str) -> str:
    """How the differential became the trace, or the sum, of a product with the change of X."""
    if "kron(" in before and "kron(" not in after:
        return "tr(kron(U,V)) = tr(U)*tr(V)"
    rules = []
    if _SUM.search(before) and "tr(" in after:
        rules.append("sum(U.*V) = tr(U'*V)")
    elif "tr(" in before and _SUM.search(after):
        rules.append("tr(U'*V) = sum(U.*V)")
    elif "tr(" not in before and "tr(" in after:
        rules.append("u = tr(u)")
    if f"{change}'" in before:
        rules.append("tr(U') = tr(U)")
    if "tr(" in after and len(rules) < 2:
        rules.append("cyclic trace")
    return ", ".join(rules) or f"{change} factored out"


def reading_rule(left: str, answer: str, change: str, axes: tuple[int, int], is_sum: bool) -> str:
    """How the derivative is read off the differential.

    >>> reading_rule("df", "D", "dX", (0, 2), False), reading_rule("df", "D", "dx", (1, 1), False)
    ("df = tr(D'*dX)", 'df = D*dx')
    """
    match axes:
        case (0, 1):
            return f"{left} = {answer}'*{change}"
        case (0, 2):
            return (
                f"{left} = sum({answer}.*{change})"
                if is_sum
                else f"{left} = tr({answer}'*{change})"
            )
        case (_, 0) | (1, 1):
            return f"{left} = {answer}*{change}"
    return f"the coefficient of {change}"


def constraint_rule(rules: Collection[str], convention: str) -> str:
    """How a free derivative becomes one by a constrained matrix; @ stands for its name.

    >>> constraint_rule(["symmetric"], "projected"), constraint_rule(["symmetric"], "tied")
    ("projected on symmetric matrices: (@+@')/2", "entries tied: @ + @' - diag(diag(@))")
    """
    tied = convention == "tied"
    said = []
    if "toeplitz" in rules:
        said.append(f"the {'sum' if tied else 'mean'} along every diagonal of @")
    if "diagonal" in rules:
        said.append("what stands on the diagonal of @")
    elif "symmetric" in rules:
        projected = "projected on symmetric matrices: (@+@')/2"
        said.append("entries tied: @ + @' - diag(diag(@))" if tied else projected)
    elif "skew" in rules:
        projected = "projected on skew matrices: (@-@')/2"
        said.append("entries tied: @ - @'" if tied else projected)
    else:
        said += [f"the {side} triangle of @" for side in ("lower", "upper") if side in rules]
    return ", then ".join(said)
