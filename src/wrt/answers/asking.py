"""What is asked: the formula, and what it is differentiated by."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from wrt import notation
from wrt.algebra.conjugation import is_conjugate
from wrt.errors import NameMistake, NotDifferentiable, ShapeMistake, kind_of
from wrt.expression import build
from wrt.expression.dataclass import replace
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import is_larger, variables
from wrt.language import Reading, Wanted, read, read_wrt

__all__ = ["MOST_SAID", "Formula", "Name", "question_of", "wanted_by"]

#: A formula of more nodes is not written out: nobody reads it.
MOST_SAID = 150

Formula = str | Node | Reading
Name = str | Node

_CONJ = re.compile(r"[\s$]*(conj\s*\(|\\overline\b)")


def question_of(
    f: Formula, shapes: Mapping[str, Any] | None, names: Sequence[Name] = ()
) -> Reading:
    """A question as it was read: text, or a formula built in Python with its variables.

    By a conjugate, what nobody declared is complex.
    """
    if isinstance(f, Reading):
        return f
    if shapes is not None and not isinstance(shapes, Mapping):
        raise ShapeMistake(
            f"shapes is {kind_of(shapes)}", hint='a mapping is wanted, as {"W": "n m"}'
        )
    if isinstance(f, str):
        barred = any(isinstance(name, str) and _CONJ.match(name) for name in names)
        return read(f, shapes=shapes, over_complex=barred)
    node = build.as_node(f)
    if shapes:
        raise ShapeMistake(
            "a formula built in Python has its shapes; declare them on its variables"
        )
    known: dict[str, Variable] = {}
    for variable in variables(node):
        if known.setdefault(variable.name, variable) is not variable:
            raise ShapeMistake(f"two different variables of the formula are called {variable.name}")
    small = not is_larger(MOST_SAID, node)
    text = (small and (notation.matrix(node) or notation.index(node, "f"))) or "f"
    sizes = frozenset().union(*(d.names for v in known.values() for d in v.dims))
    return Reading(text=text, formula=node, row=False, variables=known, dimensions=sizes)


def wanted_by(name: Name, question: Reading) -> Wanted:
    """What is differentiated by: a variable, or the text of a name, an entry or a slice."""
    if isinstance(name, Variable):
        known = question.variables.get(name.name, name)
        if known is not name:
            raise NameMistake(f"the formula's {name.name} is another variable than the one given")
        return Wanted(name.name, name)
    if isinstance(name, Node) and is_conjugate(name):
        x = name.children[0]
        if isinstance(x, Variable) and "complex" in x.properties:
            return replace(wanted_by(x, question), text=f"conj({x.name})", conjugate=True)
    if isinstance(name, Node):
        raise NameMistake(
            "a derivative is by a variable",
            hint="entries and slices are named by text, as in 'W[1,2]' or 'W[:,1]'",
        )
    wanted = read_wrt(name, question)
    if wanted.conjugate and "complex" not in wanted.variable.properties:
        raise NotDifferentiable(
            f"{wanted.variable.name} is real, so conj({wanted.variable.name}) is the same: "
            f"declare it complex, or differentiate by {wanted.variable.name}"
        )
    return wanted
