"""Which matrices a program factorises, and how: each once, by what is known of it.

Triangular matrices are solved with as they are, definite ones by their Cholesky factor. Any other
is factorised (LU) where several systems and determinants share it; a single one is left to the
array library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from wrt.algebra.definite import definite
from wrt.algebra.triangles import triangle
from wrt.expression.function import Function
from wrt.expression.nodes import Apply, Einsum, Node
from wrt.expression.walk import postorder
from wrt.functions import BOOK
from wrt.programs.steps import Step, Steps, reached

if TYPE_CHECKING:
    from wrt.programs.plan import Plan

__all__ = ["SYSTEMS", "TRIANGULAR", "factorises", "forms", "share"]

TRIANGULAR = ("lower", "upper")
#: The functions that factorise a matrix, and the operations that read its factors.
SYSTEMS: Mapping[Function, str] = MappingProxyType(
    {
        BOOK["inv"]: "inverse",
        BOOK["det"]: "det",
        BOOK["logdet"]: "logdet",
        BOOK["chol"]: "factor",
    }
)
#: Whether a matrix is definite is not asked of formulas of more nodes.
MOST_NODES = 100


def forms(roots: Sequence[Node]) -> dict[Node, str]:
    """How every matrix that is factorised is: lower, upper, cholesky, or lu.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> n, m = map(Dimension.of, "nm")
    >>> A, X, L = (Variable(*v) for v in [("A", (m, n)), ("X", (n, n)), ("L", (n, n), ["lower"])])
    >>> inv, gram = BOOK["inv"], A.T @ A
    >>> found = forms([inv(X) @ inv(gram) @ inv(L)])
    >>> found[X], found[gram], found[L]
    ('lu', 'cholesky', 'lower')
    """
    asked: dict[Node, set[str]] = {}
    for node in postorder(*roots):
        if isinstance(node, Apply) and not node.batch and node.function in SYSTEMS:
            asked.setdefault(node.children[0], set()).add(SYSTEMS[node.function])
    return {matrix: _form(matrix, operations) for matrix, operations in asked.items()}


def _form(matrix: Node, operations: set[str]) -> str:
    side = _side(matrix)
    if side:
        return TRIANGULAR[side < 0]
    if "factor" in operations:
        return "cholesky"
    sign = _definite(matrix)
    # what is semidefinite by its form is definite where it has an inverse
    return "cholesky" if sign == 2 or (sign == 1 and "inverse" in operations) else "lu"


def _side(node: Node) -> int:
    """1 for a lower triangular matrix, -1 for an upper one, 0 for any other."""
    found = triangle(node)
    if found or node.ndim != 2:
        return found
    if isinstance(node, Apply) and not node.batch and len(node.children) == 1:
        kept = {"lower", "upper"} <= set(node.function.keeps.split())
        return _side(node.children[0]) if kept else 0
    if isinstance(node, Einsum) and not node.summed and not node.repeats:
        for child, exponent, indices in node.factors:
            if exponent == 1 and set(indices) == set(node.output) and triangle(child):
                return triangle(child) * (1 if indices == node.output else -1)
    return 0


def _definite(matrix: Node) -> int:
    many = sum(1 for _ in postorder(matrix)) > MOST_NODES
    return 0 if many else definite(matrix)


def share(steps: Steps, results: Sequence[int]) -> None:
    """Let systems and determinants of one matrix read its LU factors, where there are several."""
    users: dict[int, list[int]] = {}
    for at in reached(steps, results):
        matrix = _factorised(steps, steps[at])
        if matrix is not None:
            users.setdefault(matrix, []).append(at)
    for matrix, places in users.items():
        # a determinant has a value where there are no factors to solve with
        solved = any(_operation(steps[at]) in ("solve", "inverse") for at in places)
        again = len(places) > 1 or any(steps[at].block != steps[matrix].block for at in places)
        if solved and again:
            factors = steps.factors(matrix, "lu")
            for at in places:
                steps.all[at] = _reading(steps, steps[at], factors)


@lru_cache(maxsize=256)
def factorises(plan: Plan) -> bool:
    """Whether a program fails where a matrix is singular, or not definite."""
    return any(
        step.op in ("factor", "solve", "inverse")
        or (step.op == "call" and step.data[0] is BOOK["inv"])
        for step in map(plan.steps.all.__getitem__, reached(plan.steps, plan.results))
    )


def _operation(step: Step) -> str:
    return step.op if step.op == "solve" else SYSTEMS[step.data[0]]


def _factorised(steps: Steps, step: Step) -> int | None:
    """The matrix that a step factorises by itself."""
    if step.op == "solve" and step.data is None:
        matrix = steps[step.args[0]]
        return matrix.args[0] if matrix.op == "transpose" else step.args[0]
    if step.op == "call" and step.data[0] in SYSTEMS and len(steps[step.args[0]].dims) == 2:
        complex_logarithm = step.kind == "complex" and step.data[0] is BOOK["logdet"]
        return None if complex_logarithm else step.args[0]
    return None


def _reading(steps: Steps, step: Step, factors: int) -> Step:
    """The same step by factors that are there."""
    if step.op == "solve":
        form = ("lu", steps[step.args[0]].op == "transpose")
        return Step("solve", (factors, step.args[1]), form, step.dims, step.kind, step.block)
    return Step(_operation(step), (factors,), "lu", step.dims, step.kind, step.block)
