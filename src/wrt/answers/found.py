"""What was found: the tensor of a derivative in normal form, its axes, structure and validity."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from wrt.algebra import (
    Structure,
    conditions,
    distinct,
    expand,
    merged,
    normal_form,
    settled,
    simplified,
    structure,
)
from wrt.answers.asking import MOST_SAID
from wrt.answers.maps import keys
from wrt.answers.parts import picked
from wrt.answers.shown.sentences import (
    free_sentences,
    held_sentence,
    structure_sentence,
    symmetry_sentence,
    valid_sentences,
    zero_sentence,
)
from wrt.answers.shown.views import laid_out
from wrt.expression import build
from wrt.expression.dataclass import dataclass
from wrt.expression.nodes import Node
from wrt.expression.walk import is_larger
from wrt.language import Reading, Wanted

if TYPE_CHECKING:
    from wrt.answers.shown.remarks import Bend

__all__ = ["Found"]


@dataclass(frozen=True, eq=False)
class Found:
    """A tensor with structure, with the axes of f and then of every variable.

    `question` is the formula as it was read, `wanted` what it is differentiated by, `swept` the
    derivative by the whole variables as the sweep left it, `convention` how a constrained variable
    was treated, `layout` the name of the view.
    """

    question: Reading
    wanted: tuple[Wanted, ...]
    swept: Node
    convention: str | None
    layout: str | None = None

    @property
    def f(self) -> Node:
        """The formula that was differentiated."""
        return self.question.formula

    @property
    def name(self) -> str | None:
        """What the question calls f, as s in `s = tanh(W*x)`; None where it has no name."""
        lines = list(self.question.lines.items())[::-1]
        return next((name for name, node in lines if node is self.f), None)

    @cached_property
    def whole(self) -> Node:
        """The derivative by the whole variables, in normal form."""
        return normal_form(merged(simplified(normal_form(self.swept))))

    @cached_property
    def plain(self) -> Node:
        """The derivative by what was asked for, entries of variables selected, before any view."""
        if not any(one.selection for one in self.wanted):
            return self.whole
        return picked(self.whole, (*[slice(None)] * self.f.ndim, *keys(self.wanted)))

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """The number of axes of f, then of each variable (of the entries asked for)."""
        counts = [sum(isinstance(k, slice) for k in keys((one,))) for one in self.wanted]
        return (self.f.ndim, *counts)

    @property
    def split(self) -> int:
        """How many of the axes are those of f."""
        return self.f.ndim

    @cached_property
    def formula(self) -> Node:
        """The derivative in the layout of this view, in normal form."""
        if self.layout is None:
            return self.plain
        return normal_form(laid_out(self.plain, self.rows, self.groups, self.layout))

    @property
    def told(self) -> Node:
        """The derivative that is put into words, before any view."""
        return self.plain

    @cached_property
    def spoken(self) -> Node:
        """What is put into words, for reading, before any view."""
        return settled(self.told)

    @cached_property
    def flat(self) -> Node:
        """The same formula for reading: products of shared parts multiplied out."""
        if self.layout is None:
            return self.spoken
        return settled(normal_form(laid_out(self.told, self.rows, self.groups, self.layout)))

    @cached_property
    def is_huge(self) -> bool:
        """Whether the formula has too many parts to be written as a sentence; its program
        still runs.
        """
        return is_larger(MOST_SAID, self.flat)

    @property
    def shape(self) -> tuple[int | str, ...]:
        """The axes: sizes as whole numbers where they are known, else as text."""
        return self.formula.shape

    @cached_property
    def structure(self) -> Structure:
        """What can differ from zero, how few numbers determine it, under which exchanges
        it is symmetric.
        """
        node = self.flat if build.is_zero(self.flat) else self.formula
        return structure(node, self.split if self.layout is None else 0)

    @cached_property
    def structure_sentence(self) -> str:
        """The structure in a sentence."""
        return structure_sentence(self.structure, self._names)

    @cached_property
    def symmetry_sentence(self) -> str | None:
        """Under which exchanges of axes the tensor stays as it is; None where there is
        none to tell.
        """
        return symmetry_sentence(self.structure)

    @cached_property
    def held(self) -> str | None:
        """What is held fixed where a variable is complex: conj(x) by x, and the other way round."""
        return held_sentence(self.f, self.wanted)

    @cached_property
    def why_zero(self) -> str | None:
        """Why the derivative is zero, where it is."""
        if not build.is_zero(self.flat):
            return None
        return zero_sentence(self.question.text.strip(), self.f, self.wanted)

    @cached_property
    def bend(self) -> Bend | None:
        """How a scalar formula bends in the variable that it is differentiated by, once or twice;
        None where the form does not show it.

        >>> from wrt.answers import derivative
        >>> derivative("sum(exp(A*x))", "x").bend.kind
        'convex'
        """
        xs = {one.variable for one in self.wanted}
        if self.f.ndim or len(xs) > 1 or len(self.wanted) > 2 or self.layout:
            return None
        hessian = (self.whole, self.flat) if len(self.wanted) == 2 else ()
        if any(one.selection or one.conjugate for one in self.wanted):
            return None
        from wrt.answers.shown.remarks import bend

        return bend(self.f, xs.pop(), hessian, self._conditions, self._names)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What else the form shows, as sentences: a semidefinite Hessian, a convex formula."""
        return (self.bend.sentence,) if self.bend else ()

    @cached_property
    def _conditions(self) -> list[tuple[str, Node]]:
        # either form tells where the derivative is defined: the one that asks for less
        plain, whole = (expand(self.f),), self.whole
        read = self.spoken if self.told is whole else settled(whole)
        by = {one.variable for one in self.wanted}
        return min((distinct(conditions(plain, (one,), by)) for one in (read, whole)), key=len)

    @cached_property
    def _counted(self) -> list[tuple[str, Node]]:
        """What has to be a whole number, found without a form for reading."""
        known = conditions((expand(self.f),), (self.whole,))
        return [one for one in known if one[0] == "whole"]

    @cached_property
    def valid(self) -> tuple[str, ...]:
        """Where the formula and its derivative are defined, as sentences; empty: everywhere."""
        return valid_sentences(self._conditions, self._names)

    @property
    def assumed(self) -> tuple[str, ...]:
        """What was assumed of names that nobody declared."""
        more = tuple(w.assumed for w in self.wanted if w.assumed)
        return self.question.assumed + more + free_sentences(self.wanted)

    @property
    def runner_up(self) -> str | None:
        """The next best reading of the shapes, where it was close."""
        return self.question.runner_up

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """The names in the order they are met, then those of sizes, which no index may take."""
        return (*self.question.variables, *sorted(self.question.dimensions))

    @property
    def rows(self) -> int:
        """How many axes make up the rows of a matrix: those of f; of a Hessian, those of x."""
        twice = len(self.wanted) == 2 and self.wanted[0].variable is self.wanted[1].variable
        return self.groups[1] if twice and not self.split else self.split
