"""Linear functions along every unit matrix, of which only a few sums are wanted: their adjoint.

For f of a matrix, L(X, E) the derivative at X along E, and E_ac the matrix whose only one is at
a, c: the sum of G[i,k]*L(X, E_ac)[i,k] over i and k is L(X', G)[a,c] (Higham, Functions of
Matrices, 2008, chapter 3), one call instead of n². Further directions are transposed like X.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from math import prod

from wrt.expression import build
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.nodes import Apply, Einsum, Factor, Node
from wrt.programs.costs import length

__all__ = ["turned"]


def turned(node: Einsum, shared: Container[Node], sizes: Mapping[str, int]) -> Node:
    """A product with a linear function of units as one of its adjoint, where that has fewer calls.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> from wrt.expression.walk import postorder
    >>> from wrt.functions.matrix_functions import frechet
    >>> n = Dimension.of("n")
    >>> X, b = Variable("X", (n, n)), Variable("b", (n,))
    >>> everywhere = build.product(ONE, [(X, 1, (2, 3))], (0, 1, 2, 3), (n,) * 4)
    >>> units = build.product(ONE, [], (0, 1, 0, 1), (n, n))
    >>> along = Apply(frechet("expm", 1), (everywhere, units), 2)
    >>> D = build.product(ONE, [(along, 1, (1, 2, 0, 3)), (b, 1, (3,))], (0, 1, 2), (n,) * 4)
    >>> [call.batch for call in postorder(turned(D, (), {})) if isinstance(call, Apply)]
    [1]
    """
    for place, (child, exponent, _) in enumerate(node.factors):
        if exponent == 1 and isinstance(child, Apply) and child not in shared:
            for position in range(1, len(child.children)):
                made = _Turn(node, place, position).made(sizes) if child.function.linear else None
                if made is not None:
                    return made
    return node


class _Turn:
    """One factor of a product, a call along units, and what is summed with its entries."""

    def __init__(self, node: Einsum, place: int, position: int) -> None:
        self.node, self.position = node, position
        call, _, self.own = node.factors[place]
        assert isinstance(call, Apply)
        self.call = call
        self.core = self.own[call.batch :]
        others = [f for k, f in enumerate(node.factors) if k != place]
        self.summed = [f for f in others if set(f[2]) & set(self.core)]
        self.beside = [f for f in others if not set(f[2]) & set(self.core)]
        self.dims = list(node.index_dims)

    def made(self, sizes: Mapping[str, int]) -> Node | None:
        """The product by the adjoint; None where it is none, or has no fewer calls."""
        units = self._units()
        if units is None:
            return None
        lead = self._lead(units)
        if any(set(f[2]) & set(units) for f in self.summed) or set(units) & set(lead):
            return None
        if self._calls(lead, sizes) >= self._calls(self.own[: self.call.batch], sizes):
            return None
        arguments = []
        for k, child in enumerate(self.call.children):
            made = self._weights(lead) if k == self.position else self._over(child, units, lead)
            if made is None:
                return None
            arguments.append(made)
        turned = Apply(self.call.function, tuple(arguments), len(lead))
        factors = [*self.beside, (turned, 1, (*lead, *units))]
        return self._product(self.node.coefficient, factors, self.node.output)

    def _units(self) -> tuple[int, int] | None:
        """The indices that count the units, where the argument is every unit and nothing else."""
        argument, batch = self.call.children[self.position], self.call.batch
        if len(set(self.own)) < len(self.own) or not isinstance(argument, Einsum):
            return None
        output = argument.output
        ties = [output.index(i) for i in output[batch:]]
        if argument.factors or argument.coefficient != ONE or len(set(output)) != batch:
            return None
        if len(set(ties)) < 2 or max(ties) >= batch:
            return None
        return self.own[ties[0]], self.own[ties[1]]

    def _lead(self, units: tuple[int, int]) -> tuple[int, ...]:
        """What the calls of the adjoint are mapped over: what is not summed with the entries."""
        lead = [i for i in self.own[: self.call.batch] if i not in units]
        outside = {*self.node.output, *(i for f in self.beside for i in f[2])}
        inside = [*self.core, *(i for f in self.summed for i in f[2])]
        return tuple(dict.fromkeys([*lead, *(i for i in inside if i in outside)]))

    def _calls(self, lead: tuple[int, ...], sizes: Mapping[str, int]) -> int:
        return prod([length(self.dims[i], sizes) for i in lead])

    def _weights(self, lead: tuple[int, ...]) -> Node:
        """What is summed with the entries; an index of theirs that is kept ties two axes."""
        return self._product(ONE, self.summed, (*lead, *self.core))

    def _over(self, child: Node, units: tuple[int, int], lead: tuple[int, ...]) -> Node | None:
        """Another argument, transposed; None where it is not the same for all units."""
        if not isinstance(child, Einsum):
            return None
        batch, core = self.call.batch, child.output[self.call.batch :]
        place = dict(zip(child.output[:batch], self.own, strict=False))
        used = {place.get(i) for own in (*child.indices, core) for i in own}
        if len(place) < batch or used & set(units):
            return None
        for i in (*core, *child.summed):
            if i not in place:
                place[i] = len(self.dims)
                self.dims.append(child.index_dims[i])
        factors = [(f, e, tuple(place[i] for i in own)) for f, e, own in child.factors]
        transposed = [place[i] for i in reversed(core)]
        return self._product(child.coefficient, factors, (*lead, *transposed))

    def _product(
        self, coefficient: Coefficient, factors: Sequence[Factor], output: Sequence[int]
    ) -> Node:
        """A product over the indices that it has, of all that there are."""
        used = {*output, *(i for _, _, own in factors for i in own)}
        gone = set(range(len(self.dims))) - used
        return build.product_without(coefficient, factors, output, self.dims, gone)
