"""Several derivatives of one formula: the first ones found in one sweep, all run in one program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wrt import programs
from wrt.algebra import meant, normal_form
from wrt.answers.answer import Derivative, derivative
from wrt.answers.asking import Formula, Name, question_of, wanted_by
from wrt.answers.custom import with_backward
from wrt.answers.parts import by_name, told_sizes
from wrt.answers.symmetry import refuse_unsymmetric
from wrt.calculus import gradients as swept_together
from wrt.errors import NameMistake, ValueMistake
from wrt.expression.nodes import Node, Variable
from wrt.language import Reading, Wanted

__all__ = ["Gradients", "gradients"]


class Gradients(tuple[Derivative, ...]):
    """Several derivatives of one formula, in order: a tuple that also runs.

    Called with values it gives all arrays at once, by one program that shares their work.
    """

    __slots__ = ()

    def compile(
        self,
        backend: str = "numpy",
        *,
        value: bool = False,
        structured: bool = False,
        sizes: Mapping[str, int] | None = None,
    ) -> Callable[..., Any]:
        """One function for all of them, which returns a tuple; with `value`, of f's value first;
        with `structured`, of tensors that are used without being formed. `sizes` of dimensions
        help to plan it.

        >>> both = gradients("x'*A*y", "x", "y")
        >>> both.compile(value=True)(x=[1, 0], A=[[1, 2], [3, 4]], y=[1, 1])
        (array(3.), array([3., 7.]), array([1., 2.]))
        """
        if structured:
            if value:
                raise ValueMistake("structured answers are derivatives: compile(value=True) apart")
            from wrt.answers.structured import Binder, Binders

            return Binders(Binder(D, backend, programs.MOST_ENTRIES) for D in self)
        formulas, arguments, title = self.part(value)
        told = told_sizes(self[0].question, sizes)
        return programs.compile(
            formulas, backend, arguments=arguments, title=title, sizes=told, name="gradients"
        )

    def part(self, value: bool = False) -> tuple[tuple[Node, ...], tuple[Variable, ...], str]:
        """The formulas, of f's value first where it is wanted; their variables in order; and what
        they are called.
        """
        return self._formulas(value), self._arguments, ", ".join(D.title for D in self)

    def source(
        self,
        backend: str = "numpy",
        *,
        value: bool = False,
        custom: bool = False,
        sizes: Mapping[str, int] | None = None,
    ) -> str:
        """The text of a standalone module with one function, which returns all of them, planned
        for `sizes`; with `custom` f itself, with the derived backward pass (torch, jax).

        >>> print(gradients("norm2(A*x)^2", "A", "x").source().split("Ax = ")[1].rstrip())
        A @ x
            return (np.outer(2 * Ax, x), 2 * (A.T @ Ax))
        """
        if custom:
            if value or sizes:
                raise ValueMistake("a backward pass has its value beside it, and no sizes")
            return with_backward(self, backend)
        formulas, arguments = self._formulas(value), self._arguments
        text = " ".join(self[0].question.text.split())
        names = ", ".join(_by(D.wanted) for D in self)
        doc = f"{'The value and the' if value else 'The'} derivatives of {text} by {names}."
        told = told_sizes(self[0].question, sizes)
        return programs.source(
            formulas, backend, "gradients", arguments=arguments, doc=doc, sizes=told
        )

    def plan(self, *, value: Any = False, **sizes: int) -> programs.Explanation:
        """The steps of the program for all of them (with `value`, of f too), with what each costs
        at these sizes.

        >>> gradients("norm2(A*x)^2", "A", "x").plan(n=1000, m=1000)
        step               shape  operations  bytes
        t1 = A @ x         n      2.0 M       8.0 MB
        t2 = 2 * t1        n      1.0 k       16 kB
        t3 = outer(t2, x)  n × m  1.0 M       8.0 MB
        t4 = A.T @ t1      m      2.0 M       8.0 MB
        t5 = 2 * t4        m      1.0 k       16 kB
        total                     5.0 M       24 MB
        floor                     5.0 M       16 MB
        at n = 1000, m = 1000
        """
        return programs.explained(self._formulas(value), told_sizes(self[0].question, sizes))

    def __call__(
        self, mapping: Mapping[str, Any] | None = None, /, *unnamed: Any, **values: Any
    ) -> tuple[Any, ...]:
        """All arrays at given values: by keyword, or by one mapping of names."""
        given = by_name(mapping, values, *unnamed)
        found: tuple[Any, ...] = self.compile()(self[0]._needed(given, self._arguments))
        return found

    def _formulas(self, value: bool) -> tuple[Node, ...]:
        of_f = (normal_form(meant(self[0].f)),) if value else ()
        return (*of_f, *(D.formula for D in self))

    @property
    def _arguments(self) -> tuple[Variable, ...]:
        return tuple(dict.fromkeys(v for D in self for v in D.arguments))


def gradients(
    f: Formula,
    *names: Name | Sequence[Name],
    shapes: Mapping[str, Any] | None = None,
    symmetric: str = "projected",
) -> Gradients:
    """Several first derivatives of one formula that share their work; by all of its variables
    where none is named. Several names in brackets are a higher derivative.

    >>> [D.matrix for D in gradients("x'*A*y", "x", "y")]
    ['A*y', "A'*x"]
    >>> [D.title for D in gradients("norm2(A*x-b)^2")]
    ['∂(norm2(A*x-b)^2)/∂A', '∂(norm2(A*x-b)^2)/∂x', '∂(norm2(A*x-b)^2)/∂b']
    >>> newton = gradients("log(1 + exp(a'*x))", "x", ("x", "x")).compile(value=True)
    >>> value, gradient, hessian = newton(a=[2.0, 0.0], x=[0.0, 1.0])
    >>> gradient, hessian
    (array([1., 0.]), array([[1., 0.],
           [0., 0.]]))
    """
    asked = [name if isinstance(name, tuple | list) else (name,) for name in names]
    if not all(asked):
        raise NameMistake("a derivative is with respect to something: name a variable")
    question = question_of(f, shapes, [name for several in asked for name in several])
    refuse_unsymmetric(question)
    wanted = [tuple(wanted_by(name, question) for name in one) for one in asked or _all(question)]
    plain = [first for first, *others in wanted if not others and _is_plain(first)]
    together = swept_together(meant(question.formula), [w.variable for w in plain])
    shared = {id(w): node for w, node in zip(plain, together, strict=True)}
    return Gradients(
        Derivative(question, one, shared[id(one[0])], None)
        if id(one[0]) in shared
        else derivative(question, *(w.text for w in one), symmetric=symmetric)
        for one in wanted
    )


def _by(wanted: Sequence[Wanted]) -> str:
    """What a derivative is by: a name, or several in brackets."""
    names = ", ".join(one.text.strip() for one in wanted)
    return names if len(wanted) == 1 else f"({names})"


def _all(question: Reading) -> list[tuple[Variable]]:
    """The variables of a formula in the order in which they are met."""
    found = [v for v in question.variables.values() if v in question.formula.names]
    if not found:
        raise NameMistake("the formula has no variable to differentiate by")
    return [(v,) for v in found]


def _is_plain(wanted: Wanted) -> bool:
    """Whether the sweep over all variables at once knows what to do with this one."""
    free = not wanted.variable.properties - {"positive", "invertible"}
    return free and wanted.selection is None and wanted.by is wanted.variable
