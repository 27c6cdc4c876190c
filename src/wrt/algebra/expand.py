"""Words that abbreviate a sentence (mean, var, norm2, solve …) written out, and templates
read once.
"""

from __future__ import annotations

from functools import lru_cache

from wrt.algebra.lifting import lift
from wrt.expression.dimensions import Dimension
from wrt.expression.function import Argument, Function, Signature
from wrt.expression.nodes import Apply, Node, Variable
from wrt.expression.walk import postorder
from wrt.language import read

__all__ = ["Template", "expand", "template"]


class Template:
    """A sentence of a record over the variables of one signature, with axes of one number.

    `variables` are its arguments in order, then its results; `dimensions` the names to be replaced.
    """

    def __init__(self, function: Function, form: Signature, ranks: tuple[int, ...]) -> None:
        self.function, self.form = function, form
        self.arguments = tuple(
            _variable(a, rank) for a, rank in zip(form.arguments, ranks, strict=True)
        )
        self.results = tuple(
            _variable(r, ranks[0]) if r.dims is None else _variable(r, len(r.dims))
            for r in form.results
        )

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The arguments, then the results."""
        return (*self.arguments, *self.results)

    def differential(self, argument: int) -> Variable:
        """The variable that stands for the differential of an argument."""
        variable = self.arguments[argument]
        return Variable(f"d{variable.name}", variable.dims)

    def read(self, sentence: str) -> Node:
        """A sentence about these variables and their differentials, words written out."""
        known = [*self.variables, *map(self.differential, range(len(self.arguments)))]
        shapes = {v.name: tuple(map(str, v.dims)) for v in known}
        return expand(read(sentence, shapes=shapes).formula)

    def bindings(self, node: Apply) -> dict[str, Dimension]:
        """What the template's dimensions are in a call."""
        found: dict[str, Dimension] = {}
        for variable, argument in zip(self.arguments, node.children, strict=True):
            core = argument.dims[node.batch :] if variable.dims else ()
            for name, dim in zip(variable.dims, core, strict=True):
                found[str(name)] = dim
        return found


def _variable(argument: Argument, rank: int) -> Variable:
    if argument.dims is None:
        return Variable(argument.name, [Dimension.of(f"axis{k}") for k in range(rank)])
    return Variable(argument.name, argument.dims, argument.properties - {"symmetric"})


def template(node: Apply) -> Template:
    """The template for a call: one for each signature and number of axes."""
    form = node.form
    ranks = tuple(
        max(child.ndim - node.batch, 0) if argument.dims is None else len(argument.dims)
        for child, argument in zip(node.children, form.arrays, strict=True)
    )
    return _template(node.function, form, ranks)


@lru_cache(maxsize=1024)
def _template(function: Function, form: Signature, ranks: tuple[int, ...]) -> Template:
    return Template(function, form, ranks)


@lru_cache(maxsize=1024)
def _definition(known: Template) -> Node:
    return known.read(known.function.definition)


def expand(root: Node) -> Node:
    """The same formula with every abbreviating word written out."""
    done: dict[Node, Node] = {}
    for node in postorder(root):
        children = [done[c] for c in node.children]
        same = all(a is b for a, b in zip(children, node.children, strict=True))
        made = node if same else node.rebuild(children)
        if isinstance(made, Apply) and made.function.definition:
            made = _written_out(made)
        done[node] = made
    return done[root]


def _written_out(node: Apply) -> Node:
    known = template(node)
    arguments = dict(zip(known.arguments, node.children, strict=True))
    lead = node.children[0].dims[: node.batch]
    return lift(_definition(known), arguments, known.bindings(node), lead)
