"""Formulas to trees: every node gets its phrase from the phrases of its children.

A `Speaker` walks a formula once, children first. What is shared and long, or nested deeply,
becomes a name that a `where` defines; so the text stays linear in the size of the formula.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from wrt.algebra.normal import flat_form
from wrt.expression import build
from wrt.expression.coefficient import MINUS_ONE, ONE, Coefficient
from wrt.expression.dataclass import dataclass, field
from wrt.expression.dimensions import Dimension
from wrt.expression.directions import opened
from wrt.expression.function import Function
from wrt.expression.nodes import (
    Apply,
    BoundedSum,
    Constant,
    Einsum,
    Node,
    Pattern,
    Reshape,
    Sum,
    Variable,
)
from wrt.expression.walk import dimension_names, postorder, users
from wrt.notation.conjugates import conjugated, folded
from wrt.notation.directions import directions_call
from wrt.notation.elimination import Network, network, within
from wrt.notation.inverses import adjugates
from wrt.notation.joining import unfolded
from wrt.notation.kronecker import kronecker_tree
from wrt.notation.layout import unvec
from wrt.notation.lines import Lines, diagonals, lines_of, replaced
from wrt.notation.naming import named_parts
from wrt.notation.phrases import chain_of, flip, is_ones, ones, scalars_of, times, wrapped, zeros
from wrt.notation.polishing import polished
from wrt.notation.signs import parity, settled
from wrt.notation.sums import listed, total
from wrt.notation.text import spaced
from wrt.notation.tree import SCALAR, Shape, Tree, call, cheaper, literal, name

__all__ = ["Definition", "Speaker", "finished", "needed", "places", "shape_of", "with_where"]

#: A phrase that is used more than once is named where it is longer than this many characters,
LONG = 400
#: any phrase where it is longer than this,
ENDLESS = 2000
#: or nested more deeply than this.
DEEP = 40
#: A sum of so many terms of more than two axes is multiplied out to be said.
MOST_SPREAD = 8


#: Letters that mean something of their own: eye, e, the derivative.
_RESERVED = frozenset("DdIiTHe")
#: Letters for variables of ranges within ranges.
_RANGED = "srjlqpu"


@dataclass(frozen=True)
class Definition:
    """A line behind `where`: a name, its letters in index form, and what it stands for."""

    word: str
    body: Tree
    letters: str = ""


def places(root: Node, names: Sequence[str] = ()) -> dict[str, int]:
    """Where a person meets each name: in the order given, then capitals first."""
    found = sorted({v.name for v in root.names}, key=lambda w: (not w[0].isupper(), w))
    order = dict.fromkeys([*names, *found])
    return {word: k for k, word in enumerate(order)}


def shape_of(dims: Sequence[Dimension]) -> Shape:
    """The shape of a phrase with these axes; a vector is a column."""
    if len(dims) > 2:
        return SCALAR
    return (dims[0] if dims else None, dims[1] if len(dims) > 1 else None)


@dataclass
class Speaker:
    """The phrases of all parts of a formula; None for what matrix notation cannot say."""

    root: Node
    names: Sequence[str] = ()
    where: bool = False
    trees: dict[Node, Tree | None] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.places = places(self.root, self.names)
        self.count = users(self.root)
        self.bound = frozenset(n.variable for n in self.count if isinstance(n, BoundedSum))
        bound = {v.name for v in self.bound}
        self.taken = {*self.places, *dimension_names(self.root), *bound}
        self.ranges = self.lettered_ranges(bound)
        self.taken |= set(self.ranges.values())

    def lettered_ranges(self, bound: Iterable[str]) -> dict[str, str]:
        """A free letter for the variable of each range that is named after another one: r_."""
        free = (letter for letter in _RANGED if letter not in self.taken)
        return {word: next(free, word) for word in sorted(bound) if word.endswith("_")}

    def speak(self) -> Tree | None:
        """The phrase of the whole formula."""
        self.walk()
        tree = self.trees[self.root]
        return None if tree is None else self.shortened(finished(tree))

    def shortened(self, tree: Tree) -> Tree:
        """A whole answer with names for what it repeats, where that is shorter."""
        if self.definitions or not self.where:
            return tree
        ranged = {self.ranges.get(v.name, v.name) for v in self.bound}
        tree, parts = named_parts(tree, self.taken | _RESERVED, len(self.places), ranged)
        for word, body in parts:
            self.definitions[word] = Definition(word, settled(body))
        return tree

    def walk(self) -> None:
        """Find the phrases of all parts, children first."""
        for node in postorder(self.root):
            tree = self.phrase(node)
            if tree is not None and not tree.is_real:
                tree = folded(tree)
            if tree is not None and node is not self.root:
                tree = self.named(node, tree)
            self.trees[node] = tree

    def named(self, node: Node, tree: Tree) -> Tree | None:
        """The phrase, or a new name for it where it is too much to say twice or in one breath."""
        if not self.bound.isdisjoint(node.names):
            return tree if len(tree.text) <= ENDLESS else None  # no name may hold its variable
        if tree.depth <= DEEP:
            size = len(tree.text)
            if size <= LONG or (size <= ENDLESS and self.count[node] < 2):
                return tree
        return self.define(self.fresh("t"), tree, tree.shape)

    def define(self, word: str, body: Tree, shape: Shape, letters: str = "", axes: int = 2) -> Tree:
        """A name that stands for a phrase."""
        self.definitions[word] = Definition(word, settled(body), letters)
        place, is_complex = len(self.places) + len(self.definitions), not body.is_real
        return name(word, shape, place, is_complex=is_complex, axes=axes)

    def fresh(self, stem: str) -> str:
        """A name that nobody uses."""
        k = len(self.definitions) + 1
        while f"{stem}{k}" in self.taken:
            k += 1
        self.taken.add(f"{stem}{k}")
        return f"{stem}{k}"

    def phrase(self, node: Node) -> Tree | None:
        """The phrase of one node, its children spoken for."""
        match node:
            case Variable():
                return self.variable(node)
            case Constant():
                return times(node.coefficient, [])
            case Pattern():
                axes = range(node.ndim)
                return self.product(Einsum(ONE, ((node, 1, tuple(axes)),), axes, node.dims))
            case Einsum():
                return self.product(node)
            case Sum():
                return self.sum(node)
            case BoundedSum():
                return self.bounded(node)
            case Apply():
                return self.apply(node)
            case Reshape():
                return self.reshape(node)
            case _:
                return None

    def variable(self, node: Variable) -> Tree:
        """The name of a variable."""
        symmetric = bool(node.properties & {"symmetric", "spd", "diagonal"}) and node.ndim == 2
        place = self.places.get(node.name, len(self.places))
        shape = shape_of(node.dims)
        axes = max(node.ndim, 2)
        is_complex = "complex" in node.properties
        word = self.ranges.get(node.name, node.name)
        return name(word, shape, place, symmetric=symmetric, is_complex=is_complex, axes=axes)

    def product(self, node: Einsum) -> Tree | None:
        """A product by index elimination."""
        along = lines_of(node)
        if along is not None:
            return self.summed_lines(node, along)
        net = network(node, self.trees)
        if net is not None and (self.cut_inside(node) or _is_sum_of_sums(node)):
            spread = self.spread_product(node)
            said = net.product() if net.eliminate() else None
            return said if spread is None else spread if said is None else cheaper(spread, said)
        if net is None:
            return self.ranged_product(node) or self.spread_product(node)
        return net.product() if net.eliminate() else _scaled(net)

    def summed_lines(self, node: Einsum, along: Lines) -> Tree | None:
        """A product with the sums of the diagonals of a matrix, which stands in as a name."""
        matrix, (i, j), _ = along
        sides = (node.index_dims[i], node.index_dims[j])
        tree = ones(sides) if matrix is None else self.product(matrix)
        if tree is None:
            return None
        number = times(tree.coefficient, scalars_of(tree)) if tree.head == "product" else None
        core = diagonals(times(ONE, chain_of(tree)))
        stand_in = Variable(self.fresh("d"), sides)
        self.trees[stand_in] = core if number is None else times(ONE, [number, core])
        return self.product(replaced(node, along, stand_in))

    def is_unsaid(self, node: Node) -> bool:
        """Whether a part has no phrase, or only one with a column cut into a matrix."""
        tree = self.trees.get(node)
        return tree is None or tree.is_cut

    def cut_inside(self, node: Einsum) -> bool:
        """Whether a sum among the factors is better multiplied out to be said."""
        return any(isinstance(c, Sum) and self.is_unsaid(c) for c in node.children)

    def ranged_product(self, node: Einsum) -> Tree | None:
        """A product that holds a sum over a range of more than two axes."""
        inside = within(node)
        tree = None if inside is None else self.product(inside[1])
        return None if inside is None or tree is None else self.ranged(inside[0], tree)

    def spread_product(self, node: Einsum) -> Tree | None:
        """A product with a sum that has no phrase, term by term; joined axes in parts."""
        if node.ndim > 2:
            return None
        every = node.factors
        unsaid = [f for f in every if f[1] == 1 and self.is_unsaid(f[0])]
        unsaid = unsaid or ([*every] if _is_sum_of_sums(node) else [])
        held = next((f for f in unsaid if isinstance(f[0], Sum)), None)
        if held is None:
            apart = unfolded(node)
            return self.phrase(apart) if apart is not node else None
        rest = [f for f in every if f is not held]
        if len(held[0].children) > MOST_SPREAD:
            return None
        terms = []
        for child in held[0].children:
            factors = [*rest, (child, 1, held[2])]
            made = build.product(node.coefficient, factors, node.output, node.index_dims)
            terms.append(self.phrase(flat_form(made)))
        said = [t for t in terms if t is not None]
        return total(said) if len(said) == len(terms) else None

    def sum(self, node: Sum) -> Tree | None:
        """A sum of phrases."""
        terms = [t for t in (self.trees[c] for c in node.children) if t is not None]
        if len(terms) < len(node.children):
            return None
        return total(terms) if node.ndim < 3 else listed(terms)

    def bounded(self, node: BoundedSum) -> Tree | None:
        """Σ or Π over a named range."""
        body = self.trees[node.body]
        return None if body is None or node.ndim > 2 else self.ranged(node, body)

    def ranged(self, node: BoundedSum, body: Tree) -> Tree | None:
        """A phrase summed or multiplied over the range of a node."""
        low, high = self.trees[node.low], self.trees[node.high]
        if low is None or high is None:
            return None
        parts = [
            literal(self.ranges.get(node.variable.name, node.variable.name)),
            settled(low),
            settled(high),
            settled(body),
        ]
        return call(node.kind, parts, body.shape, latex=node.kind, axes=body.axes)

    # Functions

    def apply(self, node: Apply) -> Tree | None:
        """A function of the book or one that nobody defined."""
        if node.function.linear:
            return self.along(node)
        arguments = [t for t in (self.trees[c] for c in node.children) if t is not None]
        if len(arguments) < len(node.children):
            return None
        function = node.function
        if function.name == "conj":
            return conjugated(arguments[0])
        if function.entrywise:
            return _entry_call(function, arguments, node.dims)
        if node.ndim > 2 or any(c.ndim > 2 for c in node.children):
            return None if node.batch else _tensor_call(function, arguments, node)
        if not node.batch:
            return _whole_call(function, arguments, shape_of(node.dims))
        if node.batch == 1 and node.children[0].ndim == 2 and function.axis:
            return _axis_call(function, arguments[0], node.dims)
        return None

    def along(self, node: Apply) -> Tree | None:
        """A derivative of a matrix function, along directions or with some of them open."""
        parts = opened(node)
        given = node.children if parts is None else parts.given
        if node.batch and parts is None:
            return None
        arguments = [self.within(c) for c in given]
        said = [a for a in arguments if a is not None]
        return directions_call(node, said, shape_of(node.dims)) if len(said) == len(given) else None

    def within(self, node: Node) -> Tree | None:
        """The phrase of a node that may stand in no other: a repeated argument, taken out."""
        if node not in self.trees:
            inside = type(self)(node, self.names, False, self.trees, self.definitions)
            inside.walk()
        return self.trees[node]

    # Reshapes

    def reshape(self, node: Reshape) -> Tree | None:
        """vec and kron; None for other ways to lay out entries."""
        tree = self.trees.get(node.body)
        if node.ndim == 2 and node.body.ndim == 1:
            return None if tree is None else unvec(tree, *node.dims)
        made = self.kron(node.body, node.dims)
        if made is None and node.ndim == 1 and node.body.ndim == 2 and tree is not None:
            inside = flip(times(ONE, chain_of(tree)))
            stacked = call("vec", [inside], (node.dims[0], None), latex=r"\operatorname{vec}(@0)")
            return times(tree.coefficient, [*scalars_of(tree), stacked])
        return kronecker_tree(node, 1, "rows", self) if made is None and node.ndim == 2 else made

    def kron(self, body: Node, dims: Sequence[Dimension]) -> Tree | None:
        """A product of two factors that share no index, the first one's axes outside."""
        if isinstance(body, Sum):
            terms = [self.kron(t, dims) for t in body.children]
            kept = [t for t in terms if t is not None]
            return total(kept) if len(kept) == len(terms) else None
        if not isinstance(body, Einsum):
            return None
        net = network(body, self.trees)
        if net is None or not net.eliminate():
            return None
        for left, right in _pairings(body.dims, dims):
            parts = net.split([left, right])
            if parts is not None:
                made = [
                    _block(n, group, body, dims)
                    for n, group in zip(parts, (left, right), strict=True)
                ]
                return _kron(net, [m for m in made if m is not None], dims)
        return None


def finished(tree: Tree) -> Tree:
    """A whole answer: signs inside, one transpose about the whole where that saves several."""
    tree = settled(polished(adjugates(tree)))
    if tree.head != "product" or None in tree.shape:
        return tree
    core = flip(times(ONE, chain_of(tree)))
    turned = times(tree.coefficient, [*scalars_of(tree), wrapped(core)])
    return turned if (turned.cost[0], turned.cost[1] + 1) < tree.cost[:2] else tree


def _is_sum_of_sums(node: Einsum) -> bool:
    """Whether a number is the trace, or the total, of a sum of matrices."""
    return not node.output and node.exponents == (1,) and isinstance(node.children[0], Sum)


def _scaled(net: Network) -> Tree | None:
    """A number times a tensor, its axes in their order."""
    if len(net.tensors) != 1 or net.vectors or net.matrices or net.tensors[0][1] != net.output:
        return None
    return times(net.coefficient, [*net.scalars, net.tensors[0][0]])


Group = tuple[int, ...]


def _rows(inner: Sequence[Dimension], dims: Sequence[Dimension]) -> int | None:
    """How many axes make up the rows."""
    size = Dimension.of(1)
    for k, dim in enumerate(inner):
        size = size * dim
        if size is dims[0] and (len(dims) > 1 or k == len(inner) - 1):
            return k + 1
    return None


def _pairings(inner: Sequence[Dimension], dims: Sequence[Dimension]) -> list[tuple[Group, Group]]:
    """Which axes may belong to the left and to the right factor of kron."""
    rows = _rows(inner, dims)
    if rows is None or len(dims) > 2 or not 1 <= rows <= 2 or len(inner) - rows > 2:
        return []
    sides = [tuple(range(rows)), tuple(range(rows, len(inner)))]
    found: list[tuple[Group, Group]] = [((), ())]
    for side in sides:
        ways = [(side[:1], side[1:])] if len(side) != 1 else [(side, ()), ((), side)]
        found = [((*a, *left), (*b, *right)) for a, b in found for left, right in ways]
    return [pair for pair in found if pair[0] and pair[1]]


def _block(net: Network, group: Group, body: Node, dims: Sequence[Dimension]) -> Tree | None:
    """One factor of kron; one that has columns only is a row."""
    tree = net.product()
    rows = _rows(body.dims, dims)
    if tree is not None and rows is not None and len(group) == 1 and group[0] >= rows:
        return flip(tree)
    return tree


def _kron(net: Network, parts: list[Tree], dims: Sequence[Dimension]) -> Tree | None:
    if len(parts) < 2:
        return None
    cores = [times(ONE, chain_of(p)) for p in parts]
    made = call("kron", cores, shape_of(dims), flips=True, latex=r"@0 \otimes @1")
    coefficient = net.coefficient
    scalars = list(net.scalars)
    for part in parts:
        if part.head == "product":
            coefficient = coefficient * part.coefficient
        scalars += scalars_of(part)
    return times(coefficient, [*scalars, made])


# Calls

_SHORT = {"maximum": "max", "minimum": "min"}


def _entry_call(
    function: Function, arguments: list[Tree], dims: Sequence[Dimension]
) -> Tree | None:
    """A function mapped over entries; a repeated number among several arguments is said once."""
    sign, arguments = _upright(function.name, arguments)
    shape = shape_of(dims)
    if len(arguments) > 1 and not all(_repeated(a) for a in arguments):
        arguments = [_number(a) if _repeated(a) else a for a in arguments]
        if function.name in _SHORT and len(dims) == 2:
            arguments = [
                a if a.shape != SCALAR else call("matrix", [a], shape, latex="@0")
                for a in arguments
            ]
    word = _SHORT.get(function.name, function.name)
    axes = max(len(dims), 2)
    made = call(word, arguments, shape, flips=True, latex=_template(function), axes=axes)
    return times(sign, [made])


def _upright(word: str, arguments: list[Tree]) -> tuple[Coefficient, list[Tree]]:
    """The arguments of a word as they are said; the minus of an odd function stands before it."""
    first = arguments[0]
    turns = parity(word) if first.head == "product" and first.coefficient.value < 0 else 0
    if len(arguments) == 1 and turns:
        return (ONE if turns > 0 else MINUS_ONE), [times(MINUS_ONE, [first])]
    return ONE, [settled(a) for a in arguments]


def _repeated(tree: Tree) -> bool:
    if tree.word == "zeros":
        return True
    chain = chain_of(tree)
    return len(chain) == 1 and is_ones(chain[0])


def _number(tree: Tree) -> Tree:
    if tree.word == "zeros":
        return zeros(SCALAR)
    if tree.head != "product":
        return times(ONE, [])
    return times(tree.coefficient, scalars_of(tree))


def _template(function: Function) -> str:
    """The LaTeX of a record, its arguments numbered."""
    text = function.latex
    for k, argument in enumerate(function.forms[0].arguments):
        text = text.replace("{" + argument.name + "}", f"@{k}")
    return text


def _whole_call(function: Function, arguments: list[Tree], shape: Shape) -> Tree:
    """A function of whole arrays; one that does not care about transposes gets none."""
    sign, arguments = _upright(function.name, arguments)
    return times(sign, [_whole(function, arguments, shape)])


def _whole(function: Function, arguments: list[Tree], shape: Shape) -> Tree:
    name_, laws = function.name, {law.replace(" ", "") for law in function.laws}
    first = arguments[0]
    argument = function.forms[0].arguments[0].name
    either = f"{name_}({argument}')={name_}({argument})" in laws or _all_entries(function)
    if either and None not in first.shape:
        arguments = [cheaper(first, flip(first)), *arguments[1:]]
    flips = any(law.endswith(f"={name_}({argument})'") for law in laws) or name_ == "matrix_power"
    if name_ == "norm2":
        return call("norm2", arguments, latex=_template(function))
    made = call(name_, arguments, shape, flips=flips or either, latex=_template(function))
    if flips and first.head == "transpose" and None not in shape:
        return cheaper(wrapped(flip(made)), made)
    return made


def _tensor_call(function: Function, arguments: list[Tree], node: Node) -> Tree | None:
    """A word that takes tensors of any number of axes."""
    if len(arguments) != 1 or function.forms[0].arguments[0].dims is not None:
        return None
    shape, axes = shape_of(node.dims), max(node.ndim, 2)
    return call(function.name, arguments, shape, latex=_template(function), axes=axes)


def _all_entries(function: Function) -> bool:
    form = function.forms[0]
    return (
        len(form.arguments) == 1 and form.arguments[0].dims is None and form.results[0].dims == ()
    )


def _axis_call(function: Function, argument: Tree, dims: Sequence[Dimension]) -> Tree:
    """A function along the rows of a matrix, or down the columns of its transpose."""
    template = _template(function)
    shape = shape_of(dims)
    argument = settled(argument)
    across = call(function.name, [argument, literal("2")], shape, latex=template)
    down = call(function.name, [flip(argument), literal("1")], shape[::-1], latex=template)
    return (
        cheaper(flip(down), across) if argument.head == "transpose" else cheaper(across, flip(down))
    )


# Where


def with_where(tree: Tree, definitions: Mapping[str, Definition], head: str = "") -> str | None:
    """The text of a phrase, and behind it the definitions that it needs."""
    lines = [
        f"{d.word}{f'[{d.letters}]' if d.letters else ''} = {spaced(d.body)}"
        for d in needed(tree, definitions)
    ]
    text = f"{head}{spaced(tree)}"
    return f"{text} where {'; '.join(lines)}" if lines else text


def needed(tree: Tree, definitions: Mapping[str, Definition]) -> list[Definition]:
    """The definitions that a phrase uses, directly or through others, in the order to be read."""
    if not definitions:
        return []
    wanted: set[str] = set()
    stack = [tree]
    seen: set[int] = set()
    while stack:
        part = stack.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        stack.extend(part.parts)
        if part.head == "name" and part.word in definitions and part.word not in wanted:
            wanted.add(part.word)
            stack.append(definitions[part.word].body)
    return [d for word, d in definitions.items() if word in wanted]
