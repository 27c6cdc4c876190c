"""Words that abbreviate a sentence (mean, var, norm2, solve …) written out, and templates
read once.
"""

from __future__ import annotations

from functools import lru_cache

from wrt.algebra.conjugation import Known, conjugate, is_conjugate, is_real, refuse_kinks
from wrt.algebra.lifting import lift
from wrt.expression.dimensions import Dimension
from wrt.expression.function import Argument, Function, Signature
from wrt.expression.nodes import WORD, Apply, Node, Variable
from wrt.expression.walk import holds_complex, rewrite
from wrt.language import read

__all__ = ["Template", "expand", "template", "template_of"]


class Template:
    """A sentence of a record over the variables of one signature, with axes of one number.

    `variables` are its arguments in order, then its results; `dimensions` the names to be replaced.
    """

    def __init__(
        self, function: Function, form: Signature, ranks: tuple[int, ...], over_complex: bool
    ) -> None:
        self.function, self.form, self.over_complex = function, form, over_complex
        self.arguments = tuple(
            _variable(a, rank, over_complex) for a, rank in zip(form.arguments, ranks, strict=True)
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
        shapes = {v.name: " ".join([*map(str, v.dims), *v.properties]) for v in known}
        return expand(read(sentence, shapes=shapes).formula)

    def bindings(self, node: Apply) -> dict[str, Dimension]:
        """What the template's dimensions are in a call."""
        found: dict[str, Dimension] = {}
        for variable, argument in zip(self.arguments, node.children, strict=True):
            core = argument.dims[node.batch :] if variable.dims else ()
            for name, dim in zip(variable.dims, core, strict=True):
                found[str(name)] = dim
        return found


def _variable(argument: Argument, rank: int, over_complex: bool = False) -> Variable:
    properties = {"complex"} if over_complex else set()
    if argument.dims is None:
        return Variable(argument.name, [Dimension.of(f"axis{k}") for k in range(rank)], properties)
    properties |= argument.properties - {"symmetric"}
    return Variable(argument.name, argument.dims, properties)


def template(node: Apply, over_complex: bool = False) -> Template:
    """The template for a call: one for each signature and number of axes."""
    form = node.form
    ranks = tuple(
        max(child.ndim - node.batch, 0) if argument.dims is None else len(argument.dims)
        for child, argument in zip(node.children, form.arrays, strict=True)
    )
    return template_of(node.function, form, ranks, over_complex)


@lru_cache(maxsize=1024)
def template_of(
    function: Function, form: Signature, ranks: tuple[int, ...], over_complex: bool
) -> Template:
    """The template of a signature whose arguments have so many axes."""
    return Template(function, form, ranks, over_complex)


@lru_cache(maxsize=1024)
def _definition(known: Template) -> Node:
    function = known.function
    return known.read(function.complex_definition if known.over_complex else function.definition)


def expand(root: Node) -> Node:
    """The same formula with every abbreviating word written out, `conj` at variables only.

    Raises NotDifferentiable for a word of complex arguments that has no complex derivative.
    """
    bars: Known | None = {} if holds_complex(root) else None
    if bars is None and not root.holds & WORD:
        return root
    return rewrite(root, lambda node: _plain(node, bars) if isinstance(node, Apply) else node)


def _plain(node: Apply, bars: Known | None) -> Node:
    """A call written out, where its word is an abbreviation; `bars` where numbers are complex."""
    if is_conjugate(node):
        return node.children[0] if bars is None else conjugate(node.children[0], bars)
    function = node.function
    if bars is not None and not function.is_holomorphic:
        over_complex = not all(is_real(c, bars) for c in node.children)
        if over_complex and function.complex_definition:
            return _settled(_written_out(node, True), bars)
        refuse_kinks(node, bars)
    return _written_out(node) if function.definition else node


def _settled(root: Node, bars: Known) -> Node:
    """A definition with its conjugates at variables."""
    return rewrite(root, lambda n: conjugate(n.children[0], bars) if is_conjugate(n) else n)


def _written_out(node: Apply, over_complex: bool = False) -> Node:
    known = template(node, over_complex)
    arguments = dict(zip(known.arguments, node.children, strict=True))
    lead = node.children[0].dims[: node.batch]
    return lift(_definition(known), arguments, known.bindings(node), lead)
