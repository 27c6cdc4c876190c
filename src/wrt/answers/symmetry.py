"""Words of symmetric matrices want to know that their argument is one."""

from __future__ import annotations

from wrt import notation
from wrt.algebra import equal, expand, is_symmetric
from wrt.errors import Mistake, ShapeMistake
from wrt.expression.build import transpose
from wrt.expression.nodes import SYMMETRIC, Apply, Node
from wrt.expression.walk import postorder
from wrt.language import Reading
from wrt.language.parser import parse
from wrt.language.syntax import Call
from wrt.language.syntax import postorder as parts_of

__all__ = ["refuse_unsymmetric"]


def refuse_unsymmetric(question: Reading) -> None:
    """Raise ShapeMistake for chol, eigvals or eigvecs of what is neither declared nor seen to be
    symmetric.

    >>> from wrt.language import read
    >>> refuse_unsymmetric(read("eigvals(X'*X)"))
    >>> refuse_unsymmetric(read("chol(X)"))
    Traceback (most recent call last):
    wrt.errors.ShapeMistake: chol wants a symmetric matrix, and X is not known to be one
        chol(X)
        ^^^^^^^
      declare it, as in --shape "X=n,n symmetric", or say it by form, as in chol((X+X')/2)
    """
    if not question.formula.holds & SYMMETRIC:
        return
    for node in postorder(question.formula):
        if isinstance(node, Apply) and not node.batch:
            for argument, child in zip(node.form.arrays, node.children, strict=True):
                if "symmetric" in argument.properties and not _is_symmetric(expand(child)):
                    raise _unsymmetric(node, child, question)


def _is_symmetric(node: Node) -> bool:
    """Whether a matrix is its own transpose, by form or by value."""
    return is_symmetric(node) or equal(node, transpose(node))


def _unsymmetric(node: Apply, child: Node, question: Reading) -> ShapeMistake:
    word, said = node.function.name, notation.matrix(child, names=tuple(question.variables))
    inner = said or "its argument"
    turned = f"{inner}+{inner}'" if said and said.isalnum() else f"{inner} + ({inner})'"
    declared = f'declare it, as in --shape "{inner}={",".join(map(str, child.dims))} symmetric", '
    hint = (declared if child in question.variables.values() else "") + "or say it by form"
    places = [p for p in _calls(question.text) if p.word == word]
    return ShapeMistake(
        f"{word} wants a symmetric matrix, and {inner} is not known to be one",
        text=question.text if len(places) == 1 else None,
        span=places[0].span if len(places) == 1 else None,
        hint=f"{hint}, as in {word}(({turned})/2)".removeprefix("or "),
    )


def _calls(text: str) -> list[Call]:
    try:
        lines = parse(text).lines
    except Mistake:  # a formula built in Python is named f, or not at all
        return []
    return [p for line in lines for p in parts_of(line.body) if isinstance(p, Call)]
