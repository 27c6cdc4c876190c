"""Einsums in LaTeX: products of entries behind the signs of their sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wrt.expression.coefficient import ONE, Coefficient
from wrt.notation.latex_text import Scribe, Style, below, every, fit, side_by_side
from wrt.notation.phrases import chain_of, is_ones, scalars_of, times
from wrt.notation.sentence import Definition
from wrt.notation.text import PRODUCT
from wrt.notation.tree import Tree

__all__ = ["einsum_latex"]


def einsum_latex(
    left: str, tree: Tree, definitions: Mapping[str, Definition], style: Style | None = None
) -> str | None:
    """A sum of einsums with the signs of their sums; None where a phrase is no einsum."""
    style = style or Style()
    taken = {*style.names, *definitions, *(p.word for p in every(tree, definitions))}
    letters = [c for c in "ijklpqrstuvwabcdefghmnoxyz" if c not in taken]
    scribe = Scribe(tree, definitions, ",".join(letters), style)
    said = [_einsum(scribe, term, letters) for term in _opened(tree)]
    if None in said:
        return None
    body, axes = "", 0
    for count, sign, text in filter(None, said):
        body += (f" {sign} " if body else "-" if sign == "-" else "") + text
        axes = count
    head = below(scribe.name(left), ",".join(letters[:axes]))
    return scribe.with_where(f"{head} = {body}")


def _opened(tree: Tree) -> list[Tree]:
    """The terms of a sum, products with sums of einsums multiplied out."""
    done: list[Tree] = []
    stack = [tree]
    while stack:
        term = stack.pop()
        if term.head == "sum":
            stack += reversed(term.parts)
            continue
        k = next((k for k, p in enumerate(term.parts) if p.head == "sum" and _is_einsum(p)), None)
        if term.head != "product" or k is None:
            done.append(term)
            continue
        others = [*term.parts[:k], *term.parts[k + 1 :]]
        stack += [times(term.coefficient, [*others, p]) for p in reversed(term.parts[k].parts)]
    return done


def _is_einsum(tree: Tree) -> bool:
    return tree.word == "einsum" or any(p.head != "index" and _is_einsum(p) for p in tree.parts)


def _einsum(scribe: Scribe, term: Tree, letters: Sequence[str]) -> tuple[int, str, str] | None:
    """One einsum: how many axes it has, its sign, its factors behind the sign of their sum."""
    calls = [p for p in (*chain_of(term), *scalars_of(term)) if p.word == "einsum"]
    if len(calls) > 1:
        return None
    if calls:
        held: Tree | None = calls[0]
        groups, _, output = calls[0].parts[0].word.strip('"').partition("->")
        factors = list(zip(calls[0].parts[1:], groups.split(","), strict=True))
    else:
        chain = chain_of(term)
        held = times(ONE, chain) if chain else None
        output = "ijklmnopqrst"[: _axes(term)] if chain else ""
        factors = [] if held is None else [(held, output)]
    met = dict.fromkeys([*output, *sorted({*"".join(g for _, g in factors)})])
    if len(met) > len(letters):
        return None
    spelled = dict(zip(met, letters, strict=False))
    said = [_factor(scribe, part, [spelled[k] for k in group]) for part, group in factors]
    summed = ",".join(spelled[k] for k in met if k not in output)
    others = tuple(p for p in scalars_of(term) if p is not held)
    rest = Tree("product", "", others, coefficient=_size(term))
    bare = not others and rest.coefficient == ONE
    ahead = "" if bare else fit(scribe.product(rest), PRODUCT)
    sign = "+" if rest.coefficient == term.coefficient or term.head != "product" else "-"
    total = rf"\sum_{{{summed}}}" if summed else ""
    text = side_by_side([piece for piece in (ahead, total, *said) if piece])
    return len(output), sign, text or "1"


def _factor(scribe: Scribe, part: Tree, group: Sequence[str]) -> str:
    """One factor of an einsum at its letters."""
    if part.word == "eye":
        return below(r"\delta", ",".join(group))
    if is_ones(part):
        return below(r"\mathbf{1}", ",".join(group))
    entry = Tree("index", ",".join(group), (part,)) if group else part
    return fit(scribe.say(entry), PRODUCT + 1)


def _axes(tree: Tree) -> int:
    """How many axes a phrase has."""
    return tree.axes if tree.axes > 2 else sum(side is not None for side in tree.shape)


def _size(tree: Tree) -> Coefficient:
    """The coefficient of a term without its sign."""
    if tree.head != "product":
        return ONE
    return -tree.coefficient if tree.coefficient.value < 0 else tree.coefficient
