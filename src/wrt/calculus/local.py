"""The derivative of a node by one of its children, as products: the one place where rules
are met.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from wrt.algebra.expand import Template, template, template_of
from wrt.algebra.lifting import Lifting, Steps, entry_steps, lift_entries
from wrt.algebra.normal import normal_form
from wrt.calculus.terms import Term, hoist, terms_of
from wrt.errors import NotDifferentiable
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.directions import along_units
from wrt.expression.function import Function, Signature
from wrt.expression.nodes import Apply, Einsum, Exponent, Node, Result, Sum

__all__ = ["local"]

#: Terms of a rule over more axes are not added up: each is contracted for itself.
MOST_AXES = 2


def local(node: Node, position: int) -> list[Term]:
    """`∂node/∂child`, axes of the node and then of the child, the other children held fixed.

    Raises NotDifferentiable for a function without a rule.
    """
    match node:
        case Sum():
            axes = tuple(range(node.ndim))
            return [Term(ONE, (), axes + axes, node.dims)]
        case Einsum():
            return [_without(node, position)]
        case Apply():
            return _rule(node, 0, position)
        case Result():
            return _rule(node.call, node.position, position)
    raise AssertionError(node)


def _without(node: Einsum, position: int) -> Term:
    """A product by one of its factors: what is left, the factor's indices joining the output."""
    factors = list(zip(node.children, node.exponents, node.indices, strict=True))
    child, exponent, indices = factors.pop(position)
    coefficient = node.coefficient
    if exponent != 1:
        coefficient = coefficient * Coefficient.of(exponent)
        factors.append((child, exponent - 1, indices))
    return Term(coefficient, tuple(factors), node.output + indices, node.index_dims)


def _rule(node: Apply, result: int, position: int) -> list[Term]:
    function = node.function
    if not function.defined:
        return [_prime(node)]
    if not function.rules[0]:
        raise NotDifferentiable(f"{function.name} has no rule for its derivative")
    if function.scalars and len(node.results) == 1:
        quick = _entry_rule(function, node.form, position)
        if quick is not None:
            return [_entry_term(*term, node) for term in quick]
    asked = node.form.arrays[position]
    if asked.kind == "whole":
        name = asked.name
        raise NotDifferentiable(
            f"{function.name} has no derivative by {name}, which is a whole number"
        )
    if asked.name in function.linear:
        return [_linear(node, position)]
    known = template(node)
    values = (
        [node]
        if len(node.results) == 1
        else [Result(node, k) if k else node for k in range(len(node.results))]
    )
    terms = _jacobian(known, result, position)
    arguments = dict(zip(known.variables, [*node.children, *values], strict=True))
    lead = node.children[0].dims[: node.batch]
    lifting = Lifting(arguments, known.bindings(node), lead)
    split = len(node.results[result]) - node.batch
    return [_lifted(term, split, lifting) for term in terms]


def _linear(node: Apply, position: int) -> Term:
    """A function that is linear in an argument: its value along each entry of that argument."""
    along = along_units(node, position)
    axes, count = tuple(range(along.ndim)), along.batch
    lead, units, core = axes[: node.batch], axes[node.batch : count], axes[count:]
    return Term(ONE, ((along, 1, axes),), (*lead, *core, *lead, *units), along.dims)


@lru_cache(maxsize=1024)
def _jacobian(known: Template, result: int, position: int) -> list[Term]:
    """The derivative of a rule by the differential of an argument: linear, so found by one
    sweep.
    """
    from wrt.calculus.sweep import Adjoint, derivative

    differential = known.differential(position)
    rule = known.read(known.function.rules[result])
    jacobian = normal_form(derivative(rule, differential))
    grouped, alone = Adjoint(jacobian.dims), []
    for term in terms_of(jacobian):
        pattern, core = hoist(term)
        if len(core.carried) > MOST_AXES:
            alone.append(grouped.product(pattern, core))
        else:
            grouped.add(pattern, core)
    return grouped.products() + alone


Rule = tuple[Coefficient, tuple[tuple[Steps, Exponent], ...]]


@lru_cache(maxsize=1024)
def _entry_rule(function: Function, form: Signature, position: int) -> list[Rule] | None:
    """The derivative of a function of one entry, each factor as steps from arguments and value;
    None where the rule is not that plain.
    """
    known = template_of(function, form, (0,) * len(form.arrays), over_complex=False)
    if form.arrays[position].name in function.linear:
        return None
    found: list[Rule] = []
    for term in _jacobian(known, 0, position):
        factors = [(entry_steps(n, known.variables), e) for n, e, _ in term.factors]
        if not all(steps for steps, _ in factors):
            return None
        found.append((term.coefficient, tuple(factors)))  # type: ignore[arg-type]
    return found


def _entry_term(
    coefficient: Coefficient, factors: Sequence[tuple[Steps, Exponent]], node: Apply
) -> Term:
    """A term of such a rule, mapped over all axes of a call."""
    axes, arguments = tuple(range(len(node.dims))), (*node.children, node)
    made = [(lift_entries(steps, arguments, node.dims), e, axes) for steps, e in factors]
    return Term(coefficient, tuple(made), axes + axes, node.dims)


def _lifted(term: Term, split: int, lifting: Lifting) -> Term:
    """A term of a rule's Jacobian with the mapped axes before the result's and before the
    argument's.
    """
    shift = len(lifting.batch)
    lead = tuple(range(shift))
    factors = []
    for child, exponent, indices in term.factors:
        node = lifting(child)
        mapped = lead if child in lifting.batched else ()
        factors.append((node, exponent, mapped + tuple(i + shift for i in indices)))
    output = tuple(i + shift for i in term.output)
    return Term(
        term.coefficient.replace(lifting.dimensions),
        tuple(factors),
        (*lead, *output[:split], *lead, *output[split:]),
        (*lifting.batch, *lifting.dims(term.index_dims)),
    )


def _prime(node: Apply) -> Term:
    """A function that nobody defined: its prime, along the mapped axes."""
    (argument,) = node.children
    prime: Node = Apply(node.function.prime(), (argument,), node.batch)
    lead, inner = tuple(range(node.batch)), argument.ndim - node.batch
    result = tuple(range(node.batch, node.ndim))
    core = tuple(range(node.ndim, node.ndim + inner))
    indices = lead + result + core
    return Term(ONE, ((prime, 1, indices),), lead + result + lead + core, prime.dims)
