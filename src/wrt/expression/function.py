"""The record of a function: all that is known of one word, in one place, as text.

A signature speaks of the core axes; Python callers and the parser map a word over further axes
(`batch`). The rule is a sentence of the text language, the differential as Magnus and Neudecker
state them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

from wrt.errors import ShapeMistake
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dataclass import dataclass, field
from wrt.expression.dimensions import Dimension, parse_dimensions, show_dimensions
from wrt.expression.interning import blake2b
from wrt.expression.nodes import SYMMETRIC, WORD, Apply, Node, Pattern, Relation, Result

__all__ = ["POWER", "PROPERTIES", "Argument", "Function", "Signature", "undefined"]

#: What can be declared of a variable or wanted of an argument.
PROPERTIES = frozenset(
    "symmetric skew diagonal lower upper orthogonal spd toeplitz positive simplex invertible "
    "complex".split()
)
#: Where a function may be sampled, and the sentence for "valid where"; {x} is the argument.
DOMAINS: Mapping[str, str] = {
    "": "",
    "whole": "{x} is a whole number, 0 or more",
    "positive": "{x} > 0",
    "slit": "{x} is neither 0 nor a negative number",
    "nonzero": "{x} ≠ 0",
    "inside": "|{x}| < 1",
    "above": "{x} > -1",
    "beyond": "{x} > 1",
    "invertible": "{x} is invertible",
    "distinct": "{x} has one largest entry",
    "lowest": "{x} has one smallest entry",
    "varied": "{x} has two different entries",
    "apart": "{x} ≠ {y}",
    "principal": "{x} has no eigenvalue on the negative real axis",
    "constant rank": "{x} keeps its rank",
    "full rank": "{x} has full rank",
    "definite": "{x} is positive definite",
    "simple": "{x} has no eigenvalue twice",
    "separate": "{x} has no entry twice",
    "distinct values": "{x} has full rank and no singular value twice",
    "leading": "{x} has one largest singular value",
}
BACKENDS = ("numpy", "jax", "torch")


@dataclass(frozen=True)
class Argument:
    """One argument: its core dimensions (None: any axes), what it is, what it must be."""

    name: str
    dims: tuple[Dimension, ...] | None
    kind: str = "array"  # or "size", a size such as the n of eye(n); or "whole", a whole number
    properties: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Signature:
    """One form of a word: `name(arguments) -> results`."""

    text: str
    name: str
    arguments: tuple[Argument, ...]
    results: tuple[Argument, ...]

    @cached_property
    def arrays(self) -> tuple[Argument, ...]:
        """The arguments that are formulas."""
        return tuple(a for a in self.arguments if a.kind != "size")

    def bind(self, arguments: Sequence[Node], batch: int) -> dict[str, Dimension] | None:
        """What the names of the signature's dimensions stand for; None where it does not fit."""
        if len(arguments) != len(self.arrays):
            return None
        found: dict[str, Dimension] = {}
        for argument, node in zip(self.arrays, arguments, strict=True):
            if argument.dims is None:
                continue
            core = node.dims[batch:] if argument.kind == "array" else ()
            if len(core) != len(argument.dims):
                return None
            for name, dim in zip(argument.dims, core, strict=True):
                if name.value is not None:
                    fits = name is dim
                else:
                    fits = found.setdefault(str(name), dim) is dim
                if not fits:
                    return None
        return found


#: A comma that is not inside min(m,n).
_COMMA = re.compile(r",(?![^()]*\))")
_INTERVAL = re.compile(r"([(\[])(-?(?:\d+|inf)), (-?(?:\d+|inf))([)\]])")
_CURVE = re.compile(r"(convex|concave|affine)( increasing( from 0)?| decreasing)?( on spd)?")
_SIGNATURE = re.compile(r"\s*([\w']+)\s*\((.*?)\)\s*->\s*(.+)", re.DOTALL)


def _signature(text: str) -> Signature:
    match = _SIGNATURE.fullmatch(text)
    if not match:
        raise ShapeMistake(f"{text!r} is not a signature", hint="as in inv(X: n n) -> Y: n n")
    name, inside, results = match.groups()
    arguments = tuple(_argument(part) for part in _COMMA.split(inside) if part.strip())
    return Signature(text, name, arguments, tuple(map(_argument, _COMMA.split(results))))


@lru_cache(maxsize=4096)
def _argument(text: str) -> Argument:
    head, _, tail = text.partition(":")
    words = head.split()
    if not words or len(words) > 2 or (len(words) == 2 and words[0] not in ("size", "whole")):
        raise ShapeMistake(f"{text!r} is not an argument of a signature")
    kind, name = ("array", words[0]) if len(words) == 1 else (words[0], words[1])
    if tail.strip() == "...":
        return Argument(name, None, kind)
    properties = [w for w in tail.split() if w in PROPERTIES]
    dims = parse_dimensions(" ".join(w for w in tail.split() if w not in PROPERTIES))
    return Argument(name, dims, kind, frozenset(properties))


@dataclass(frozen=True, eq=False, repr=False)
class Function:
    """Everything about one word; validated when it is created.

    `signature` one text, or several for a word that means another product for other axes;
    `differential` the rule (one for each result); `definition` a sentence that the word
    abbreviates; `einsum` the product that it is (`"ii->"`, `"->i where i = k"`), given for each
    signature; `array` a name in the array library (`"linalg.inv"`) or the text of a `def`, or a
    mapping from library to these; `axis` says that a trailing axis may be given: "reduce" (it goes)
    or "map" (it stays); `complex_definition` the sentence that it abbreviates where an argument is
    complex (its array is right for both); `holomorphic` whether it has a complex derivative and
    f(conj(z)) = conj(f(z)), as every analytic word has that says nothing.
    """

    signature: str | tuple[str, ...]
    doc: str
    latex: str = ""
    differential: str | tuple[str, ...] = ""
    definition: str = ""
    einsum: str | tuple[str, ...] = ""
    array: str | Mapping[str, str] = ""
    laws: tuple[str, ...] = ()
    keeps: str = ""
    domain: str = ""
    analytic: bool | str = True
    complex_definition: str = ""
    holomorphic: bool | None = None
    axis: str | None = None
    aliases: tuple[str, ...] = ()
    note: str = ""
    examples: tuple[str, ...] = field(default=())
    linear: tuple[str, ...] = ()
    commuting: str = ""
    joint: tuple[Function, int] | None = None
    values: str = ""
    curve: str = ""

    def __post_init__(self) -> None:
        def wanted(condition: object, what: str) -> None:
            if not condition:
                raise ShapeMistake(f"the record {self.signature!r}: {what}")

        names = {form.name for form in self.forms}
        wanted(len(names) == 1, "its signatures name different words")
        wanted(self.doc.strip().endswith("."), "its docstring is no sentence")
        wanted(self.domain in DOMAINS, f"{self.domain!r} is no known domain")
        wanted(self.axis in (None, "reduce", "map"), f"{self.axis!r} is no kind of axis")
        wanted(set(self.keeps.split()) <= PROPERTIES, f"keeps {self.keeps!r}")
        wanted(not (self.einsum and self.differential), "a product needs no rule")
        if self.einsum:
            wanted(len(self.products) == len(self.forms), "one product for each signature")
        if self.differential:
            rules = len(self.rules) == len(self.forms[0].results)
            wanted(rules, "one rule for each result")
            differentials = {f"d{a.name}" for form in self.forms for a in form.arrays}
            said = set(re.findall(r"\bd[A-Za-z]\w*", " ".join(self.rules)))
            wanted(said & differentials or self.rules == ("0",), "its rule has no differential")
        wanted(not self.values or self.interval, f"values {self.values!r} is no interval")
        wanted(not self.curve or _CURVE.fullmatch(self.curve), f"curve {self.curve!r}")
        if isinstance(self.array, Mapping):
            wanted(set(self.array) <= set(BACKENDS), "an unknown array library")

    @cached_property
    def forms(self) -> tuple[Signature, ...]:
        """The signatures, parsed."""
        texts = (self.signature,) if isinstance(self.signature, str) else self.signature
        return tuple(map(_signature, texts))

    @cached_property
    def name(self) -> str:
        """The word."""
        return self.forms[0].name

    @cached_property
    def products(self) -> tuple[str, ...]:
        """The product for each signature."""
        return (self.einsum,) if isinstance(self.einsum, str) else self.einsum

    @cached_property
    def rules(self) -> tuple[str, ...]:
        """The differential of each result."""
        return (self.differential,) if isinstance(self.differential, str) else self.differential

    @cached_property
    def interval(self) -> tuple[float, bool, float, bool] | None:
        """The interval of the values: the ends, and whether each is itself a value."""
        match = _INTERVAL.fullmatch(self.values)
        if not match:
            return None
        return float(match[2]), match[1] == "[", float(match[3]), match[4] == "]"

    @cached_property
    def key(self) -> str:
        """What tells this record from any other, the same in every process."""
        said = {name: getattr(self, name) for name in self.__match_args__} | {
            "array": self.code("numpy")
        }
        parts = [f"{name}={value!r}" for name, value in said.items()]
        return f"{self.name}:{blake2b(repr(parts).encode(), digest_size=8).hexdigest()}"

    @cached_property
    def entrywise(self) -> bool:
        """Whether this is a function of scalars, mapped over all entries."""
        return all(a.dims == () for a in (*self.forms[0].arguments, *self.forms[0].results))

    @cached_property
    def scalars(self) -> int:
        """How many arguments a function of scalars that has one form takes; 0 for any other."""
        (form, *others) = self.forms
        arrays = all(a.kind == "array" for a in form.arguments)
        return len(form.arguments) if self.entrywise and arrays and not others else 0

    @cached_property
    def holds(self) -> int:
        """What a formula with a call of it holds: see `Node.holds`."""
        wanting = any("symmetric" in a.properties for form in self.forms for a in form.arguments)
        return WORD * (bool(self.definition) or self.name == "conj") + SYMMETRIC * wanting

    @property
    def is_holomorphic(self) -> bool:
        """Whether it may be applied to complex numbers and differentiated there."""
        known = self.analytic is True if self.holomorphic is None else self.holomorphic
        return known and self.defined

    @property
    def defined(self) -> bool:
        """Whether anything but a name is known of this function."""
        return bool(self.differential or self.definition or self.einsum or self.array)

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        texts = "\n    ".join(form.text for form in self.forms)
        return f"{self.doc}\n\n    {texts}"

    def __repr__(self) -> str:
        return f"<function {' | '.join(form.text for form in self.forms)}>"

    def code(self, backend: str) -> str:
        """The name or the `def` for an array library."""
        return self.array if isinstance(self.array, str) else self.array.get(backend, "")

    def form_of(
        self, arguments: Sequence[Node], batch: int
    ) -> tuple[Signature, dict[str, Dimension]]:
        """The signature that fits, and its dimensions; ShapeMistake where none does."""
        for form in self.forms:
            bound = form.bind(arguments, batch)
            if bound is not None:
                return form, bound
        got = ", ".join(show_dimensions(a.dims[batch:]) for a in arguments)
        raise ShapeMistake(
            f"{self.name} does not take ({got})",
            hint="it is " + " or ".join(form.text for form in self.forms),
        )

    def called(
        self, arguments: Sequence[Node], batch: int
    ) -> tuple[Signature, tuple[tuple[Dimension, ...], ...]]:
        """The signature that a call fits, and the dimensions of its results."""
        lead = arguments[0].dims
        if len(arguments) == self.scalars and len(lead) == batch:
            if all(a.dims == lead for a in arguments):
                return self.forms[0], (lead,) * len(self.forms[0].results)
        form, bound = self.form_of(arguments, batch)
        lead = lead[:batch]
        assert all(a.dims[:batch] == lead for a in arguments if a.ndim), self.name
        rest = arguments[0].dims[batch:]
        return form, tuple(
            lead + (rest if r.dims is None else tuple([d.replace(bound) for d in r.dims]))
            for r in form.results
        )

    def __call__(self, *arguments: Any, axis: int | None = None) -> Any:
        """The formula of a call, following NumPy: functions of scalars broadcast, axes
        count from 0.
        """
        if self.einsum:
            return self._product(arguments, axis)
        nodes = [build.as_node(a) for a in arguments]
        if len(nodes) != len(self.forms[0].arguments):
            raise ShapeMistake(
                f"{self.name} takes {len(self.forms[0].arguments)} arguments, {len(nodes)} given",
                hint=f"it is {self.forms[0].text}",
            )
        if self.entrywise:
            return build.entrywise(self, nodes)
        if axis is not None:
            return self._along(nodes, axis)
        call = Apply(self, nodes, 0)
        if len(self.forms[0].results) == 1:
            return call
        return (call, *(Result(call, k) for k in range(1, len(call.results))))

    def _along(self, nodes: list[Node], axis: int) -> Node:
        """The word along one axis: the others are mapped over."""
        if self.axis is None or len(nodes) != 1:
            raise ShapeMistake(f"{self.name} takes no axis")
        (node,) = nodes
        axis = _axis(self.name, axis, node.ndim)
        order = [k for k in range(node.ndim) if k != axis] + [axis]
        moved = Apply(self, [build.transpose(node, order)], node.ndim - 1)
        if self.axis == "reduce":
            return moved
        return build.transpose(moved, [order.index(k) for k in range(node.ndim)])

    def _product(self, arguments: Sequence[Any], axis: int | None) -> Node:
        """A word that is a product: tr, diag, outer, kron, eye, unit…"""
        if axis is not None:
            return self._product_along(build.as_node(arguments[0]), axis)
        for form, product in zip(self.forms, self.products, strict=True):
            if product == "...->" and len(arguments) == 1:
                return _added_up(build.as_node(arguments[0]))
            made = _built(form, product, arguments)
            if made is not None:
                return made
        nodes = [build.as_node(a) for a in arguments]
        return self.form_of(nodes, 0)[1]  # type: ignore[return-value]  # raises

    def _product_along(self, node: Node, axis: int) -> Node:
        if self.axis != "reduce" or not self.products[0].startswith("..."):
            raise ShapeMistake(f"{self.name} takes no axis")
        axis = _axis(self.name, axis, node.ndim)
        kept = [k for k in range(node.ndim) if k != axis]
        return build.product(ONE, ((node, 1, tuple(range(node.ndim))),), kept, node.dims)

    def prime(self) -> Function:
        """The derivative of a function that nobody defined: one more dash, the argument's
        axes added.
        """
        form = self.forms[0]
        argument, result = form.arguments[0], form.results[0]
        assert not self.defined
        assert len(form.arguments) == 1
        inner, outer = argument.dims or (), result.dims or ()
        return undefined(self.name + "'", (inner,), outer + inner)


def _axis(name: str, axis: int, ndim: int) -> int:
    if not isinstance(axis, int):
        raise ShapeMistake(f"{name}: an axis is a whole number, and this is {axis!r}")
    if not -ndim <= axis < ndim:
        raise ShapeMistake(f"{name}: axis {axis} of a tensor with {ndim} axes")
    return axis % ndim


def _added_up(node: Node) -> Node:
    """The sum of all entries."""
    return build.product(ONE, ((node, 1, tuple(range(node.ndim))),), (), node.dims)


def _built(form: Signature, text: str, arguments: Sequence[Any]) -> Node | None:
    """One form of a word that is a product, or None where the arguments do not fit it."""
    if len(arguments) != len(form.arguments):
        return None
    nodes: list[Node] = []
    bound: dict[str, Dimension] = {}
    for argument, value in zip(form.arguments, arguments, strict=True):
        if argument.kind == "size":
            bound[argument.name] = Dimension.of(value)
        else:
            nodes.append(build.as_node(value))
    shapes = form.bind(nodes, 0)
    if shapes is None:
        return None
    bound = {**shapes, **bound}
    product, _, where = text.partition(" where ")
    left, _, right = product.replace(" ", "").partition("->")
    if left == "...":
        left = right = "abcdefghijklmnopqrstuvwxyz"[: nodes[0].ndim]
        right = "" if product.endswith("->") else right
    wanted = form.results[0].dims
    dims = tuple(d.replace(bound) for d in wanted) if wanted is not None else nodes[0].dims
    if left == "0":
        return build.zeros(dims)
    letters = _letters(left, nodes)
    for letter, dim in zip(right, dims, strict=False) if len(right) == len(dims) else ():
        letters.setdefault(letter, dim)
    for letter in right:
        if letter in bound:  # a letter that no operand has may be the name of a size
            letters.setdefault(letter, bound[letter])
    if where:
        nodes.append(_pattern(where, letters, bound))
        inside = [c for c in letters if c in where.split()]
        left = f"{left},{''.join(inside)}" if left else "".join(inside)
    made = build.einsum(f"{left}->{right}", *nodes, dims=letters)
    return build.reshape(made, dims)


def _letters(left: str, nodes: Sequence[Node]) -> dict[str, Dimension]:
    """The dimensions of the letters that the operands carry."""
    letters: dict[str, Dimension] = {}
    for group, node in zip(left.split(","), nodes, strict=False):
        letters.update(zip(group, node.dims, strict=False))
    return letters


def _pattern(where: str, letters: Mapping[str, Dimension], bound: Mapping[str, Dimension]) -> Node:
    """`i >= j` or `i = k` of a product's letters and the whole numbers that were given."""
    left, sign, right = re.split(r" (=|>=) ", where)
    terms: dict[str, int] = {}
    constant = Dimension.of(0)
    for side, turn in ((left, 1), (right, -1)):
        for minus, word in re.findall(r"(-?) ?(\w+)", side):
            factor = -turn if minus else turn
            if word in letters:
                terms[word] = factor
            else:  # counted from 1 by people, from 0 by relations
                constant = constant + (_place(bound[word], letters) - 1) * factor
    inside = [c for c in letters if c in terms]
    placed = tuple((k, terms[c]) for k, c in enumerate(inside))
    relation = Relation(placed, constant, "==" if sign == "=" else sign)
    return Pattern([letters[c] for c in inside], [relation])


def _place(place: Dimension, letters: Mapping[str, Dimension]) -> Dimension:
    """A place counted from 1, refused where it is known to lie outside."""
    (size,) = {d.value for d in letters.values()}
    at = place.value
    if at is not None and (at < 1 or (size is not None and at > size)):
        raise ShapeMistake(f"there is no place {at} among {size or 'the'} entries")
    return place


def undefined(
    name: str, arguments: Sequence[tuple[Dimension, ...]], result: tuple[Dimension, ...]
) -> Function:
    """The record of a function that nobody defined: it differentiates to its prime."""
    said = ", ".join(f"x{k}: {' '.join(map(str, dims))}" for k, dims in enumerate(arguments, 1))
    said = "x" if list(arguments) == [()] else said
    out = f"y: {' '.join(map(str, result))}" if result else "y"
    return Function(f"{name}({said}) -> {out}", "A function that nobody defined.", latex="")


POWER = Function(
    "power(x, y) -> z",
    "x to the power y, entry by entry.",
    latex="{x}^{{y}}",
    differential="y*x^(y-1)*dx + log(x)*z*dy",
    array="power",
    laws=("x*power(x, y-1) = power(x, y)", "power(x, y)/x = power(x, y-1)"),
    domain="positive",
)
