"""Judging what somebody says a derivative is: right, right in another layout, right under a
condition, or wrong.

A claim is read beside the question, compared with the derivative at random places, laid out in
every way, then under every condition; what is left is wrong, and `faults` says why. Layouts come
before conditions, and equal sizes before the verdict that a claim is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from wrt import notation
from wrt.algebra import conditions, normal_form, settled
from wrt.answers.claims.claimed import Claimed, Context, context
from wrt.answers.claims.counterexamples import Counterexample, counterexample
from wrt.answers.claims.faults import Faults, text_faults
from wrt.answers.claims.layouts import Layout, layouts, united
from wrt.answers.claims.misfits import axes_said, is_rule_for_numbers, mistaken_for
from wrt.answers.claims.places import TOLERANCE, Place, agree, places, value_at
from wrt.answers.claims.summands import said_terms
from wrt.answers.claims.suppositions import equal_sizes, suppositions
from wrt.answers.parts import swept
from wrt.answers.proof.points import holds
from wrt.answers.shown.sentences import valid_sentences
from wrt.calculus import constraint
from wrt.errors import NameMistake, ShapeMistake, WrtError
from wrt.expression import build
from wrt.expression.dataclass import dataclass, replace
from wrt.expression.dimensions import Dimension, show_dimensions
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import rename_dimensions, whole_variables
from wrt.language import in_text

if TYPE_CHECKING:
    from wrt.answers.answer import Derivative

__all__ = ["CONVENTIONS", "Verdict", "by_convention", "judge"]


@dataclass(frozen=True)
class Verdict:
    """What is thought of a claim: `kind` is "right", "layout", "if" or "wrong".

    `sentence` says it in words; `layout` and `condition` name what makes it right; `faults` what is
    off, the first line the plainest; `truth` is the derivative; `where` a place at which the claim
    fails.
    """

    kind: str
    sentence: str
    truth: str
    layout: str | None = None
    condition: str | None = None
    faults: tuple[str, ...] = ()
    where: Counterexample | None = None
    #: At how many random places the claim was compared.
    places: int = 0

    @property
    def is_right(self) -> bool:
        """Whether the claim holds as it stands or in another layout."""
        return self.kind in ("right", "layout")

    def __str__(self) -> str:
        said = [self.sentence, *self.faults, *([str(self.where)] if self.where else [])]
        return "\n".join(said)


def judge(D: Derivative, text: str) -> Verdict:
    """What is thought of a claim; see `Derivative.judge`."""
    D.check()
    return _Judge(D, in_text(text, D.question)).verdict()


@dataclass(frozen=True)
class _Fit:
    """A claim in a layout that its axes fit, its sizes named as those of the question."""

    layout: Layout
    formula: Node
    row: bool


class _Judge:
    """One claim about one derivative."""

    def __init__(self, D: Derivative, text: str) -> None:
        self.D, self.text = D, text
        self.xs = [w.variable for w in D.wanted]
        self.truth = D.formula
        self.groups = D.groups if D.layout is None else (D.formula.ndim,)
        self.around: Context = context(D)
        self.names = tuple(self.around.variables)
        self.said = D.matrix or (D.index or "").removeprefix("D = ") or "no short form"

    def in_layout(self, layout: Layout) -> str:
        """The derivative as a text in a layout."""
        if layout.name in ("vec-rows", "vec-columns") and len(self.D.wanted) == 1:
            return self.D.kronecker(layout.name.removeprefix("vec-")) or self.said
        if layout.is_plain or layout.joined is not None or self.truth.ndim != 2:
            return self.said
        return notation.matrix(settled(build.transpose(self.truth)), names=self.names) or self.said

    def verdict(self) -> Verdict:
        """The first of right, another layout, a condition, equal sizes, wrong that applies."""
        misfit: ShapeMistake | None = None
        fits: list[_Fit] = []
        claim: Claimed | None = None
        try:
            claim = self.around.read(self.text)
            fits = list(self.fits(claim, {}))
        except ShapeMistake as mistake:
            misfit = mistake
        except NameMistake:
            found = self.pulled_back()
            if found is None:
                raise
            return found
        found = self.plain(fits) or self.by_condition(fits, {})
        if found:
            return found
        remark: str | None = None
        for equal in self.equalities():
            found = self.with_equal(equal)
            if found and found.kind == "if":
                return found
            remark = remark or (found.sentence if found else None)
        return self.wrong(claim, fits, misfit, remark)

    def fits(self, claim: Claimed, equal: Mapping[str, Dimension]) -> Iterator[_Fit]:
        """The claim in every layout that its axes allow."""
        truth = [d.replace(equal) for d in self.truth.dims]
        formula = claim.formula
        for layout in layouts(self.groups):
            wanted = layout.dims(truth)
            sizes = united(formula.dims, wanted, claim.fresh)
            if sizes is not None:
                yield _Fit(layout, rename_dimensions(formula, sizes), claim.row)
        if any(d.value == 1 for d in formula.dims):
            squeezed = build.reshape(formula, [d for d in formula.dims if d.value != 1])
            if squeezed.dims == tuple(d for d in truth if d.value != 1):
                layout = replace(next(layouts(self.groups)), name="one row or column")
                yield _Fit(layout, build.reshape(formula, truth), False)

    def pulled_back(self) -> Verdict | None:
        """A claim that holds one more name, a gradient shaped as f."""
        if not self.D.f.ndim or self.D.layout or len(self.D.wanted) > 1:
            return None
        for name in self.around.unknown(self.text):
            g = Variable(name, self.D.f.dims)
            try:
                claim = self.around.read(self.text, beside=(g,))
            except WrtError:
                return None
            node = self.D.pulled_back(name)
            found = list(places(self.D.f, node, [*self.xs, g]))
            fit = _Fit(Layout("", "", tuple(range(node.ndim))), claim.formula, False)
            if claim.formula.dims == node.dims and self.holds(fit, found):
                product = f"{name}'D" if self.D.f.ndim == 1 else f"⟨{name},D⟩"
                head = f"that is the product {product} of a gradient {name} with the derivative"
                return Verdict("wrong", f"wrong: {head}", self.said, faults=(axes_said(self.D),))
        return None

    # Right, and right in another layout

    @cached_property
    def generic(self) -> list[Place]:
        """Places with nothing supposed."""
        return list(places(self.D.f, self.truth, self.xs))

    def plain(self, fits: Sequence[_Fit]) -> Verdict | None:
        for fit in fits:
            if self.holds(fit, self.generic):
                return self.right(fit, len(self.generic))
        return None

    def holds(self, fit: _Fit, found: Sequence[Place], least: float = -1.0) -> bool:
        """Whether a claim agrees with the derivative at all places."""
        import numpy as np

        compared = False
        for place in found:
            got = value_at(fit.formula, place)
            if got is None or not agree(got, fit.layout.of(place.truth)):
                if self.degenerate(fit, place):
                    continue
                return False
            if float(np.abs(place.truth).max(initial=0)) <= least:
                return False
            compared = True
        return compared

    def degenerate(self, fit: _Fit, place: Place) -> bool:
        """Whether a claim's matrices are singular at a place, as X'*X is where X is wide, so that
        its value there means nothing.
        """
        wanted = [(d, n) for d, n in conditions((fit.formula,)) if d.split(" by ")[0] not in SIGNS]
        known = [(domain, value_at(node, place)) for domain, node in wanted]
        return not all(value is not None and holds(domain, value) for domain, value in known)

    def right(self, fit: _Fit, count: int) -> Verdict:
        turned = self.turned(fit)
        if fit.layout.is_plain and not fit.layout.name and not turned:
            said = "right: it is the derivative"
            return Verdict("right", said, self.said, places=count)
        name = turned or fit.layout.name
        said = fit.layout.sentence
        if turned:
            said = "a row (numerator layout); here it is written as a column"
        if fit.layout.name == "one row or column":
            said = "as a matrix with one row or one column"
        sentence = f"right in another layout, {said}"
        return Verdict("layout", sentence, self.said, layout=name, places=count)

    def turned(self, fit: _Fit) -> str | None:
        """The layout in which a gradient is a row, where the claim is one."""
        alone = fit.formula.ndim == 1 and not self.D.f.ndim
        return "numerator" if fit.row and alone and not self.D.layout else None

    # Right under a condition

    def by_condition(
        self, fits: Sequence[_Fit], equal: Mapping[str, Dimension], also: str = ""
    ) -> Verdict | None:
        fits = [f for f in fits if f.layout.joined is None][:3]
        if not fits:
            return None
        found = None if equal else self.under_convention(fits) or self.where_defined(fits)
        if found:
            return found
        return self.supposing(fits[:1], equal, also) or self.supposing(fits[1:], equal, also)

    def supposing(
        self, fits: Sequence[_Fit], equal: Mapping[str, Dimension], also: str
    ) -> Verdict | None:
        """The first condition on the variables under which a claim is right in one of its fits."""
        if not fits:
            return None
        groups = _groups(equal)
        whole = whole_variables(self.D.f, self.truth, *(f.formula for f in fits))
        variables = sorted(self.D.f.names - frozenset(whole), key=lambda v: v.name)
        for one in suppositions(variables, self.xs, equal):
            at = places(self.D.f, self.truth, self.xs, equal=groups, change=one.change)
            first = list(islice(at, 1))
            near = [fit for fit in fits if self.holds(fit, first, 1e-9)]
            more = list(at) if near else []
            for fit in near:
                if self.holds(fit, [*first, *more], 1e-9):
                    said = " and ".join(filter(None, [also, one.sentence]))
                    return self.conditional(said, fit, equal)
        return None

    def under_convention(self, fits: Sequence[_Fit]) -> Verdict | None:
        """Another convention for a constrained variable."""
        if self.D.convention is None or self.D.layout:
            return None
        for convention in ("tied", "projected", "free"):
            if convention == self.D.convention:
                continue
            node = by_convention(self.D, convention)
            found = list(places(self.D.f, node, self.xs))
            for fit in fits:
                if self.holds(fit, found):
                    names = " and ".join(v.name for v in self.xs if constraint(v))
                    said = f"{CONVENTIONS[convention]} ({names})"
                    return self.conditional(said, fit)
        return None

    def where_defined(self, fits: Sequence[_Fit]) -> Verdict | None:
        """A claim that is not defined everywhere that the derivative is, and right where it is."""
        for fit in fits:
            if all(value_at(fit.formula, place) is not None for place in self.generic):
                continue
            found = list(places(self.D.f, self.truth, self.xs, within=[fit.formula]))
            if self.holds(fit, found):
                wanted = conditions((fit.formula,))
                said = valid_sentences(wanted, tuple(self.around.variables))
                return self.conditional("; ".join(said) or "the claim is defined", fit)
        return None

    def conditional(
        self, condition: str, fit: _Fit, equal: Mapping[str, Dimension] | None = None
    ) -> Verdict:
        wanted = valid_sentences(conditions((fit.formula,)), self.names) if equal else ()
        more = [said for said in wanted if said not in self.D.valid]
        condition = " and ".join([condition, *more])
        there = "" if fit.layout.is_plain else f", in another layout, {fit.layout.sentence}"
        return Verdict(
            "if",
            f"right only where {condition}{there}",
            self.said,
            layout=fit.layout.name or None,
            condition=condition,
            where=None if equal else self.counterexample(fit),
        )

    def counterexample(self, fit: _Fit) -> Counterexample | None:
        """A small place where the claim fails."""
        return counterexample(self.D, self.truth, fit.formula, fit.layout)

    # Equal sizes

    def equalities(self) -> Iterator[Mapping[str, Dimension]]:
        for group in equal_sizes(self.around.sizes):
            first, *others = sorted(group)
            yield {name: Dimension.of(first) for name in others}

    def with_equal(self, equal: Mapping[str, Dimension]) -> Verdict | None:
        """A claim where some sizes are the same, and perhaps under one more condition."""
        try:
            claim = self.around.read(self.text, equal)
        except ShapeMistake:
            return None
        fits = list(self.fits(claim, equal))
        said = " = ".join(sorted({*equal, *(str(d) for d in equal.values())}))
        found = list(places(self.D.f, self.truth, self.xs, equal=_groups(equal))) if fits else []
        for fit in fits:
            if self.holds(fit, found):
                return self.conditional(said, fit, equal)
        both = self.by_condition(fits, equal, said)
        return replace(both, kind="wrong") if both else None

    # Wrong

    def wrong(
        self,
        claim: Claimed | None,
        fits: Sequence[_Fit],
        misfit: ShapeMistake | None,
        remark: str | None,
    ) -> Verdict:
        """What is off, a place where it shows, and what else there is to say."""
        first = fits[0] if fits else None
        found = self.faults(first)
        head, lines = (found.head, list(found.lines)) if found else ("", [])
        if first is None:
            head, lines = self.another_shape(claim, misfit, head, lines)
        where = first and self.counterexample(first)
        if claim and not where and is_rule_for_numbers(self.D, claim.formula):
            remark = remark or "it is right only where every size is 1: the rule for numbers"
        if remark:
            lines.append(remark if remark.startswith("it is ") else f"it is {remark}")
        return Verdict(
            "wrong",
            f"wrong: {head or f'the derivative is {self.said}'}",
            self.said,
            faults=tuple(lines),
            where=where or None,
            places=len(self.generic),
        )

    def faults(self, fit: _Fit | None) -> Faults | None:
        """What is off in the text, in the layout that it has, or has nearly."""
        if fit:
            return text_faults(self.text, _Beside(self, fit.layout))
        joined = "kron" in self.text or "⊗" in self.text
        if self.truth.ndim > 2 and "[" not in self.text and not joined:
            return None
        for layout in layouts(self.groups):
            named = layout.name in ("", "numerator", "denominator", "vec-rows", "vec-columns")
            if named and (layout.joined is not None) is joined:
                found = text_faults(self.text, _Beside(self, layout))
                if found:
                    return found
        return None

    def another_shape(
        self, claim: Claimed | None, misfit: ShapeMistake | None, head: str, lines: list[str]
    ) -> tuple[str, list[str]]:
        """What there is to say of a claim that has not the shape of the derivative."""
        shape = axes_said(self.D)
        if claim is None:
            why = f"as it stands, it cannot be formed: {misfit.message}" if misfit else ""
            return (head, [*lines, why]) if head else (why, [shape])
        is_what = mistaken_for(self.D, claim.formula, self.generic)
        if is_what:
            return is_what, [shape]
        kind = "a number" if not claim.formula.ndim else show_dimensions(claim.formula.dims)
        said = f"{shape}; the claim is {kind}"
        return (head, [*lines, said]) if head else (said, lines)


class _Beside:
    """What the texts near a claim are compared with: the derivative in one layout."""

    def __init__(self, judged: _Judge, layout: Layout) -> None:
        self.judged, self.layout = judged, layout
        self.tolerance = TOLERANCE
        self.found = judged.generic
        self.wholes = [layout.of(place.truth) for place in self.found]
        self.truth = judged.in_layout(layout)

    @property
    def terms(self) -> list[tuple[str, Node]]:
        """The terms of the derivative multiplied out, each with its text."""
        node = build.transpose(self.judged.truth, self.layout.order)
        return said_terms(node, self.judged.names)

    def node(self, text: str) -> Node | None:
        """A text read beside the question, its sizes those of the layout; None where it fails."""
        try:
            claim = self.judged.around.read(text)
        except WrtError:
            return None
        if not claim.formula.ndim:
            return claim.formula
        wanted = self.layout.dims(self.judged.truth.dims)
        sizes = united(claim.formula.dims, wanted, claim.fresh)
        return None if sizes is None else rename_dimensions(claim.formula, sizes)


#: Domains that begin where a number changes its sign: half of all values are outside of them.
SIGNS = ("positive", "inside", "above", "beyond", "slit", "whole")
CONVENTIONS: dict[str, Any] = {
    "tied": "tied entries move together (--symmetric tied)",
    "projected": "the derivative is projected on the constraint (--symmetric projected)",
    "free": "the entries of the variable move freely, its constraint left aside",
}


def by_convention(D: Derivative, convention: str) -> Node:
    """The derivative under another convention for constrained variables, or under none."""
    given = None if convention == "free" else convention
    return normal_form(swept(D.f, [w.by for w in D.wanted], given))


def _groups(equal: Mapping[str, Dimension]) -> list[frozenset[str]]:
    if not equal:
        return []
    return [frozenset({*equal, *(str(d) for d in equal.values())})]
