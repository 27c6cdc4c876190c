"""The summands of a gradient through time, by the step at which a weight acts.

The weight is given a copy for every step (I. Goodfellow, Y. Bengio, A. Courville, Deep Learning,
10.2.2); the derivative by the copies is the stack of the summands, a product of what comes back to
a step and of what the step read, and stays one.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from wrt import programs
from wrt.algebra import normal_form
from wrt.calculus.terms import terms_of
from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.nodes import Dims, Einsum, Node

if TYPE_CHECKING:
    import numpy as np

    from wrt.answers.sequences.through import ThroughTime

    Array = np.ndarray[Any, Any]

__all__ = ["Contributions", "Summands"]


@dataclass(frozen=True)
class Summands:
    """The summands at given values: `factors` are pairs of stacks (steps first), or single stacks
    where a summand is no product of two; `norms` the Frobenius norm of every summand.
    """

    factors: tuple[tuple[Array, ...], ...]
    norms: Array

    def __len__(self) -> int:
        return len(self.norms)


class Contributions:
    """The summands of `dL/dW` by step: axes steps, then the variable's."""

    def __init__(self, formula: Node, gradient: ThroughTime, batch: Dims = ()) -> None:
        self.formula, self.gradient, self.batch = formula, gradient, batch

    @property
    def shape(self) -> tuple[int | str, ...]:
        """The axes: the steps, then those of the variable."""
        return self.formula.shape

    @cached_property
    def factors(self) -> tuple[tuple[Node, ...], ...]:
        """The terms, each as stacks that it is the product of: steps, the batch (summed), then
        axes of the variable.
        """
        terms = [build.product(*term) for term in terms_of(self.formula)]
        return tuple(_factors(term, self.batch) for term in terms)

    @cached_property
    def squares(self) -> Node:
        """The squared Frobenius norm of every summand, without forming one."""
        terms = terms_of(self.formula)
        total = []
        for one in terms:
            for other in terms:
                shift, count = len(one.index_dims), self.formula.ndim
                united = dict(zip(other.output, one.output, strict=True))
                place = [united.get(i, i + shift) for i in range(len(other.index_dims))]
                factors = [*one.factors]
                factors += [(n, e, tuple(place[i] for i in own)) for n, e, own in other.factors]
                dims = [*one.index_dims, *other.index_dims]
                used = sorted({i for _, _, own in factors for i in own} | set(one.output))
                order = {i: k for k, i in enumerate(used)}
                moved = [(n, e, tuple(order[i] for i in own)) for n, e, own in factors]
                assert len(set(one.output)) == count
                total.append(
                    build.product(
                        one.coefficient * other.coefficient,
                        moved,
                        (order[one.output[0]],),
                        [dims[i] for i in used],
                    )
                )
        return normal_form(build.add(*total))

    def compile(self, backend: str = "numpy") -> programs.Program:
        """One program: all factors in order, then the norms."""
        parts = [stack for term in self.factors for stack in term]
        norms = self.squares ** Fraction(1, 2)
        return programs.compile(
            (*parts, norms), backend, arguments=self.gradient.arguments, title="the summands"
        )

    def __call__(self, **values: Any) -> Summands:
        """The summands at values given by keyword."""
        *parts, norms = self.compile()(self.gradient._needed(values))
        rest = iter(parts)
        return Summands(tuple(tuple(next(rest) for _ in term) for term in self.factors), norms)


def _factors(node: Node, batch: Dims) -> tuple[Node, ...]:
    """A stack of products taken apart: factors that share the step and the batch alone."""
    if not isinstance(node, Einsum) or node.repeats:
        return (node,)
    lead = [node.output[0], *(i for i in node.summed if node.index_dims[i] in batch)]
    groups: list[tuple[set[int], list[int]]] = []
    for k, own in enumerate(node.indices):
        held = set(own) - set(lead)
        near = [g for g in groups if g[0] & held]
        merged = (held.union(*(g[0] for g in near)), [k, *(p for g in near for p in g[1])])
        groups = [g for g in groups if g not in near] + [merged]
    loose = [g for g in groups if not g[0] & set(node.output)]
    firm = [g for g in groups if g[0] & set(node.output)]
    if len(firm) < 2:
        return (node,)
    firm.sort(key=lambda g: min(node.output.index(i) for i in g[0] & set(node.output)))
    firm[0][1].extend(p for _, places in loose for p in places)
    made = []
    for k, (held, places) in enumerate(firm):
        output = (*lead, *(i for i in node.output if i in held))
        factors = [node.factors[p] for p in sorted(places)]
        used = sorted({i for _, _, own in factors for i in own} | set(output))
        order = {i: j for j, i in enumerate(used)}
        made.append(
            build.product(
                node.coefficient if not k else ONE,
                [(n, e, tuple(order[i] for i in own)) for n, e, own in factors],
                [order[i] for i in output],
                [node.index_dims[i] for i in used],
            )
        )
    return tuple(made)
