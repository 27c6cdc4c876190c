"""The derivative that a person holds: what it is, how it reads, how it runs, why it is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from wrt import notation, programs
from wrt.algebra import normal_form, settled, simplified
from wrt.answers.asking import Formula, Name, question_of, wanted_by
from wrt.answers.found import Found
from wrt.answers.maps import Maps
from wrt.answers.parts import axes_said, by_name, needed, picked, swept, told_sizes, unused
from wrt.answers.proof import Check, check
from wrt.answers.proof.shrinking import shrunk
from wrt.answers.shown.layers import Layer, layers
from wrt.answers.shown.views import VIEWS
from wrt.answers.symmetry import refuse_unsymmetric
from wrt.calculus import CONVENTIONS, constraint
from wrt.errors import (
    CheckFailed,
    NameMistake,
    NotDifferentiable,
    ShapeMistake,
    TooLarge,
    ValueMistake,
)
from wrt.expression.dataclass import replace
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import dimension_names
from wrt.language import Reading, Wanted

if TYPE_CHECKING:
    import numpy as np

    from wrt.answers.claims import Verdict
    from wrt.answers.derivation.steps import Step

    Array = np.ndarray[Any, Any]

__all__ = ["Derivative", "derivative"]


def derivative(
    f: Formula,
    *names: Name,
    shapes: Mapping[str, Any] | None = None,
    symmetric: str = "projected",
) -> Derivative:
    """The derivative of a formula with respect to one name, or to several in order (higher
    derivatives).

    `f` is text of the language or a formula built in Python; `names` are variables, or texts such
    as `W`, `X[1,2]`, `X[:,1]`; `shapes` declares names, as in `{"W": "n m", "S": "n n symmetric"}`;
    `symmetric` is the convention for constrained variables, "projected" or "tied". The result has
    the axes of f followed by those of each name. Raises Mistake for a question that cannot be,
    NotDifferentiable for a function without a rule.

    >>> D = derivative("W*x", "W")
    >>> D.shape, D.index
    (('n', 'n', 'm'), 'D[i,a,b] = δ[i,a]*x[b]')
    >>> derivative("x'*A*x", "x").matrix
    "(A+A')*x"
    >>> derivative("x'*A*x", "x", "x").matrix
    "A + A'"
    """
    if not names:
        raise NameMistake("a derivative is with respect to something: name a variable")
    question = question_of(f, shapes, names)
    refuse_unsymmetric(question)
    wanted = tuple(wanted_by(name, question) for name in names)
    return _made(question, wanted, symmetric)


def _made(question: Reading, wanted: tuple[Wanted, ...], convention: str) -> Derivative:
    if convention not in CONVENTIONS:
        raise NotDifferentiable(
            f"{convention!r} is no convention for constrained matrices; "
            f"{' and '.join(CONVENTIONS)} are"
        )
    node = swept(question.formula, [w.by for w in wanted], convention)
    tied = any(constraint(w.by) for w in wanted)
    return Derivative(question, wanted, node, convention if tied else None)


class Derivative(Found):
    """A derivative: what was found, how it reads, how it runs, why it is right."""

    # How it reads

    @cached_property
    def matrix(self) -> str | None:
        """The closed form in matrix notation, text of the language; None where there is none, or
        where the formula is huge.
        """
        if self.formula.ndim > 2 or self.is_huge:
            return None
        said = notation.matrix(self.flat, names=self._names, where=True)
        if said is None and self.layout in ("vec-rows", "vec-columns"):
            return self.kronecker(self.layout.removeprefix("vec-"))
        return said

    @cached_property
    def index(self) -> str | None:
        """The index form, as in `D[i,a,b] = δ[i,a]*x[b]`."""
        if self.is_huge:
            return None
        split = self.groups[:-1] if self.layout is None else self.formula.ndim
        return notation.index(self.flat, split=split, names=self._names, where=True)

    @cached_property
    def einsum(self) -> str | None:
        """The derivative as einsum over its factors; None where a factor has no phrase."""
        if self.is_huge:
            return None
        return notation.einsum(self.flat, names=self._names)

    @property
    def differential(self) -> str | None:
        """How f changes with x, as in `df = tr(G'*dX)`; None where no notation says it."""
        from wrt.answers.shown.differential import differential

        said = differential(self, self._names)
        return said and said[0]

    def kronecker(self, order: str = "rows") -> str | None:
        """The matrix that takes vec(dX) to vec(df), x and f laid out by "rows" or by "columns".

        Of a scalar twice by one variable it is the Hessian, entries of that by entries of that.
        None where it is no sum of Kronecker products. Raises ShapeMistake for another order.

        >>> D = derivative("A*X*B", "X")
        >>> D.kronecker("rows"), D.kronecker("columns")
        ("A ⊗ B'", "B' ⊗ A")
        """
        if order not in ("rows", "columns"):
            raise ShapeMistake(f"{order!r} is no order of vec; rows and columns are")
        if self.is_huge:
            return None
        return notation.kronecker(self.spoken, self.rows, order, names=self._names)

    def latex(
        self,
        form: str | None = None,
        *,
        bold: bool = False,
        macros: Mapping[str, str] | None = None,
    ) -> str | None:
        r"""The derivative as LaTeX, in matrix notation or else by its indices.

        `form` asks for one notation: "matrix", "index", "einsum" (sums with their signs),
        "kronecker-rows", "kronecker-columns" or "differential"; None where that cannot say it.
        With `bold`, vectors and matrices are; `macros` gives the LaTeX of names.

        >>> D = derivative("x'*A*x", "x")
        >>> print(D.latex("differential"))
        \mathrm{d}f = x^\top (A + A^\top) \mathrm{d}x
        >>> print(D.latex(bold=True), "and", D.latex(macros={"A": r"\mA"}))
        (\mathbf{A} + \mathbf{A}^\top) \mathbf{x} and (\mA + \mA^\top) x
        """
        from wrt.answers.shown.typeset import latex
        from wrt.notation.latex_text import Style

        return latex(self, form, Style(bold, macros or {}))

    def steps(self) -> tuple[Step, ...]:
        """The derivation line by line, each with the rule that gave it."""
        from wrt.answers.derivation.steps import steps

        return steps(self, self._names)

    def entry(self, *indices: int) -> str:
        """The closed form of one entry, indices counted from 1; where that is a sum over letters,
        as an equation, which says that they are summed.

        >>> derivative("W*s + U*x", "W").entry(2, 1, 3), derivative("W*s", "W").entry(2, 2, 3)
        ('0', 's[3]')
        """
        node = settled(self._entry(indices))
        text = notation.matrix(node, names=self._names)
        said = text or notation.index(node, "D", names=self._names)
        if said is None:
            raise TooLarge("the entry has no short form; entry_value gives its number")
        return said

    def entry_value(self, indices: Sequence[int], /, **values: Any) -> Array:
        """One entry as a number (0-d), without forming the others."""
        made = programs.compile(normal_form(self._entry(indices)), arguments=self.arguments)
        given = self._told(made, values)
        sizes = made.measured(given)
        for place, (i, dim) in enumerate(zip(indices, self.formula.dims, strict=True), 1):
            if dim.names <= sizes.keys() and i > dim.size(sizes):
                raise ShapeMistake(f"axis {place} has no entry {i}: {dim} = {dim.size(sizes)}")
        result: Array = made(given)
        return result

    def _entry(self, indices: Sequence[int]) -> Node:
        if len(indices) != self.formula.ndim:
            axes, count = self.formula.ndim, len(indices)
            raise ShapeMistake(
                f"the derivative has {axes} ax{'i' if axes == 1 else 'e'}s, "
                f"{count} ind{'ex was' if count == 1 else 'ices were'} given"
            )
        for place, (i, dim) in enumerate(zip(indices, self.formula.dims, strict=True), 1):
            if not isinstance(i, int) or i < 1 or i > (dim.value or i):
                raise ShapeMistake(
                    f"axis {place} has no entry {i!r}: its entries are counted from 1 to {dim}"
                )
        return picked(self.formula, tuple(i - 1 for i in indices)) if indices else self.formula

    def layers(self) -> tuple[Layer, ...] | None:
        """One table for each entry of f, laid out as x: the text of every cell; None where
        too large.
        """
        return layers(self) if self.layout is None else None

    def view(self, name: str) -> Derivative:
        """The same tensor in another layout.

        `numerator` (f's axes, then x's reversed), `denominator` (x's axes, then f's reversed),
        `gradient` (x's axes, then f's), `vec-rows` and `vec-columns` (a matrix: entries of f by
        entries of x, both laid end to end by rows or by columns). Raises ShapeMistake for another
        name.

        >>> D = derivative("A*x", "x", shapes={"A": "m n"})
        >>> D.view("denominator").matrix, D.view("gradient").shape
        ("A'", ('n', 'm'))
        """
        if name not in VIEWS:
            raise ShapeMistake(f"{name!r} is no view; {', '.join(VIEWS)} are")
        return replace(self, layout=name)

    # How it runs

    @cached_property
    def arguments(self) -> tuple[Variable, ...]:
        """The variables in the order of the question, then those that only the derivative is by."""
        met = self.question.variables.values()
        used = [v for v in met if v in self.f.names or v in self.formula.names]
        by = [w.variable for w in self.wanted]
        return tuple(dict.fromkeys((*used, *by)))

    def compile(
        self,
        backend: str = "numpy",
        *,
        structured: bool = False,
        limit: int = programs.MOST_ENTRIES,
        sizes: Mapping[str, int] | None = None,
        direction: str | None = None,
    ) -> Callable[..., Any]:
        """A function of the variables by keyword that returns the dense array; with `structured`
        a tensor that is used without being formed; the derivative along a `direction` of that
        name, which is one argument more.

        `sizes` of dimensions help to plan it; it runs for others too. Raises TooLarge when called
        for more entries than `limit`.

        >>> D = derivative("x'*A*x", "x")
        >>> D.compile()(A=[[1, 2], [3, 4]], x=[1, 0])
        array([2., 5.])
        >>> D.compile(direction="V")(A=[[1, 2], [3, 4]], x=[1, 0], V=[0, 1])
        array(5.)
        """
        if structured:
            if direction is not None:
                raise ValueMistake("a structured answer takes any direction: bind(…).apply(V)")
            from wrt.answers.structured import Binder

            return Binder(self, backend, limit)
        node, arguments, title = self.part(direction=direction)
        told = told_sizes(self.question, sizes)
        return programs.compile(
            node, backend, arguments=arguments, limit=limit, sizes=told, title=title
        )

    def part(
        self, entry: Sequence[int] | None = None, direction: str | None = None
    ) -> tuple[Node, tuple[Variable, ...], str]:
        """The formula of the whole, of one entry or along a direction of a name; its variables in
        order; and what it is called.

        >>> derivative("x'*A*x", "x").part(direction="V")[1:]
        ((<x : n>, <A : n, n>, <V : n>), "∂(x'*A*x)/∂x along V")
        """
        if entry is not None:
            title = f"Entry {tuple(entry)} of {self.title}"
            return normal_form(self._entry(entry)), self.arguments, title
        if direction is not None:
            node, moving = self._along(direction)
            return node, (*self.arguments, moving), f"{self.title} along {moving.name}"
        return self.formula, self.arguments, self.title

    def _along(self, name: str) -> tuple[Node, Variable]:
        """The derivative along a direction, and the direction, of that name where it is free."""
        moving = self.maps.direction(unused(name, tuple(self.question.variables)))
        return self.maps.along(moving.name), moving

    @property
    def _split(self) -> int:
        """How many axes are the rows of the map: all but those of the last variable; of a view
        those that it puts first.
        """
        match self.layout:
            case None:
                return self.formula.ndim - self.groups[-1]
            case "vec-rows" | "vec-columns":
                return 1
            case "numerator":
                return self.rows
        return self.formula.ndim - self.rows

    def _ways(self) -> tuple[tuple[Node, Variable], ...]:
        """The map and the transposed map as sweeps give them, with what comes in."""
        taken = tuple(self.question.variables)
        v, g = unused("v", taken), unused("g", taken)
        maps = self.maps
        return (
            (simplified(maps.contracted(v)), maps.moving(v)),
            (simplified(maps.pulled_back(g)), maps.gradient(g)),
        )

    @property
    def title(self) -> str:
        """What the derivative is called, as in ∂(W*x)/∂W."""
        names = "∂".join(w.text.strip() for w in self.wanted)
        order = "" if len(self.wanted) == 1 else "²³⁴⁵⁶⁷⁸⁹"[min(len(self.wanted), 9) - 2]
        text = " ".join(self.question.text.split())
        if self.name is not None and len(self.question.lines) == 1:
            text = text.partition("=")[2].strip()
        said = text if text.isidentifier() else f"({text})"
        return f"∂{order}{said}/∂{names}"

    def source(
        self,
        backend: str = "numpy",
        *,
        entry: Sequence[int] | None = None,
        direction: str | None = None,
        sizes: Mapping[str, int] | None = None,
        custom: bool = False,
    ) -> str:
        """The text of a standalone module with one function: the dense derivative, one entry of
        it, or the derivative along a direction that is one argument more; planned for `sizes`.
        With `custom` f itself, with the derived backward pass (torch, jax).

        >>> print(derivative("x'*A*x", "x").source(direction="V").split("return ")[1].strip())
        x @ (A.T @ V) + x @ (A @ V)
        """
        if custom:
            if entry is not None or direction is not None or sizes:
                raise ValueMistake("a backward pass has no entry, no direction and no sizes")
            from wrt.answers.custom import with_backward

            return with_backward([self], backend)
        node, arguments, doc = self.part(entry, direction)
        told = told_sizes(self.question, sizes)
        return programs.source(node, backend, arguments=arguments, doc=f"{doc}.", sizes=told)

    # `Any`, because checkers of types would not let `**sizes` pass beside anything narrower
    def plan(
        self, *, entry: Any = None, direction: Any = None, **sizes: int
    ) -> programs.Explanation:
        """The steps of the program (of one `entry`, or along a `direction`) with what each costs,
        at these sizes of dimensions; NameMistake for a size that the formula does not have.

        >>> derivative("x'*A*x", "x").plan(n=1000)
        step          shape  operations  bytes
        t1 = A.T @ x  n      2.0 M       8.0 MB
        t2 = A @ x    n      2.0 M       8.0 MB
        t3 = t1 + t2  n      1.0 k       24 kB
        total                4.0 M       16 MB
        floor                4.0 M       8.0 MB
        at n = 1000
        """
        node, _, _ = self.part(entry, direction)
        return programs.explained(node, told_sizes(self.question, sizes))

    def __call__(
        self, mapping: Mapping[str, Any] | None = None, /, *unnamed: Any, **values: Any
    ) -> Array:
        """The dense array at given values: by keyword, or `D({"lambda": …})`."""
        result: Array = self._program(self._needed(by_name(mapping, values, *unnamed)))
        return result

    @cached_property
    def _program(self) -> Callable[..., Any]:
        return self.compile()

    def _needed(
        self, values: Mapping[str, Any], arguments: Sequence[Variable] | None = None
    ) -> dict[str, Any]:
        """The values of the arguments by name, without those on which nothing depends."""
        of = self.arguments if arguments is None else arguments
        return needed(self.question, self._counted, of, values)

    def apply(self, direction: Any, /, **values: Any) -> Array:
        """The linear map in the last variable: D contracted with a direction, without forming D.

        `direction` has the shape of the last variable; the result that of f and the variables
        before. It is how f changes along the direction, but for a tied matrix, whose D counts
        every pair of tied entries twice; `direction_value` is, there too.

        >>> derivative("W*x", "W").apply([[1, 0], [0, 0]], W=[[1, 2], [3, 4]], x=[5, 6])
        array([5., 0.])
        """
        moving = self.maps.moving("direction")
        return self._mapped(self.maps.contracted("direction"), moving, direction, values)

    def pullback(self, gradient: Any, /, **values: Any) -> Array:
        """The transposed map: a gradient by f (and the variables before) becomes one by the last
        variable.

        >>> derivative("W*x", "W").pullback([1, 2], W=[[1, 2], [3, 4]], x=[5, 6])
        array([[ 5.,  6.],
               [10., 12.]])
        """
        moving = self.maps.gradient("gradient")
        return self._mapped(self.pulled_back("gradient"), moving, gradient, values)

    @cached_property
    def maps(self) -> Maps:
        """The derivative as a linear map in its last variable."""
        convention = self.convention or "projected"
        return Maps(self.f, self.wanted, convention, self.plain, self.groups)

    def pulled_back(self, name: str = "g") -> Node:
        """The product of a variable of that name, shaped as f, with the derivative, as a
        formula.
        """
        return self.maps.pulled_back(name)

    def along(self, name: str) -> Node:
        """The directional derivative along a variable of that name."""
        return settled(self.maps.along(name))

    def direction(self, name: str = "V") -> str | None:
        """The directional derivative in matrix notation; None where there is none.

        Where the last variable is constrained, so is the direction: a symmetric matrix moves
        along symmetric ones, by either convention.

        >>> derivative("A*X*b", "X").direction("V")
        'A*V*b'
        >>> tied = derivative("tr(A*S)", "S", shapes={"S": "n n symmetric"}, symmetric="tied")
        >>> tied.direction("V")
        'sum(A.*V)'
        """
        name = unused(name, tuple(self.question.variables))
        node = self.along(name)
        known = (*self._names, name)
        return notation.matrix(node, names=known) or notation.index(node, "D", names=known)

    def direction_value(self, direction: Any, /, **values: Any) -> Array:
        """The directional derivative in numbers; a direction that leaves the constraint is refused.

        >>> tied = derivative("tr(A*S)", "S", shapes={"S": "n n symmetric"}, symmetric="tied")
        >>> tied.direction_value([[0, 1], [1, 0]], A=[[1, 2], [3, 4]], S=[[0, 0], [0, 0]])
        array(5.)
        """
        moving = self.maps.direction("direction")
        return self._mapped(self.maps.along("direction"), moving, direction, values)

    def _mapped(self, node: Node, moving: Variable, value: Any, values: Mapping[str, Any]) -> Array:
        arguments = (moving, *self.arguments)
        title = f"a product with {self.title}"
        program = programs.compile(node, arguments=arguments, title=title, instead="")
        result: Array = program({moving.name: value, **self._told(program, values)})
        return result

    def _told(self, program: programs.Program, values: Mapping[str, Any]) -> dict[str, Any]:
        """What a program for a part of the answer needs: no sizes that its arrays tell."""
        told = self._lengths - set(program.sizes)
        return {k: v for k, v in self._needed(values).items() if k not in told}

    @cached_property
    def _lengths(self) -> frozenset[str]:
        """The names of all dimensions."""
        return frozenset((*self.question.dimensions, *dimension_names(self.plain)))

    # Why it is right

    @cached_property
    def _check(self) -> Check:
        """The check; where sizes are large numbers, of the same question at small ones."""
        xs = [w.by for w in self.wanted]
        f, xs, small = shrunk(self.f, xs)
        whole = swept(f, xs, self.convention or "projected") if small else self.whole
        forms = () if small else self._forms
        return check(f, xs, whole, self.convention or "projected", forms)

    @property
    def _forms(self) -> tuple[Node, ...]:
        """The forms of the answer that are said to be equal."""
        return (self.formula, self.flat)

    def check(self) -> Check:
        """The comparison with differences of the formula at random points.

        Raises CheckFailed where they disagree, or where no point is found at which the formula is
        defined.

        >>> derivative("tanh(W*x)", "W").check().passed
        True
        """
        found = self._check
        if not found.passed:
            raise CheckFailed(
                f"{self.title}: the derivative and its {found.method} disagree "
                f"(relative error {found.error:.1e}); no answer is given. "
                "Please report this formula."
            )
        return found

    def judge(self, claim: str) -> Verdict:
        """What is thought of a claim that this derivative is something: right, right in another
        layout, right under a condition, or wrong, and why.

        Raises Mistake where the claim cannot be read beside the question.

        >>> print(derivative("norm2(A*x-b)^2", "x").judge("2*A'*A*x - A'*b"))
        wrong: the second term, A'*b, lacks a factor 2
        at m = 1, n = 1, A = [[1]], b = [1], x = [0]: claimed D[1] = -1, in truth -2
        """
        from wrt.answers.claims import judge

        return judge(self, claim)

    def __repr__(self) -> str:
        said = self.matrix or self.index or "no short form"
        return f"<{self.title}: {axes_said(self.shape)}; {said}>"

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(
            "a derivative is called with values; its layers, steps and views are methods"
        )
