"""An answer for a machine: one JSON object whose schema is named in it.

The schemas `wrt.answer/1` and `wrt.answers/1` are those of docs/json.md. A key may be added without
a new version; none is renamed or removed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wrt import __version__, notation
from wrt.apps.claim_text import claim_as_dict
from wrt.expression.dimensions import Dimension

if TYPE_CHECKING:
    from wrt.answers import Derivative
    from wrt.apps.asked import Found
    from wrt.programs import Explanation
    from wrt.programs.costs import Cost

__all__ = ["SCHEMA", "all_as_json", "as_dict", "as_json", "program"]

SCHEMA = "wrt.answer/1"


def as_json(found: Found) -> str:
    """The answer as text in JSON, keys in the order of the schema."""
    return json.dumps(as_dict(found), ensure_ascii=False, indent=1, allow_nan=False)


def all_as_json(
    found: Sequence[Found], library: str | None, source: str | None, plan: Explanation | None
) -> str:
    """Several answers as text in JSON, with the program of all of them and its plan."""
    answers = [as_dict(one) for one in found]
    made: dict[str, Any] = {"schema": "wrt.answers/1", "answers": answers}
    made |= program(library, source, plan)
    return json.dumps(made, ensure_ascii=False, indent=1, allow_nan=False)


def as_dict(found: Found) -> dict[str, Any]:
    """The answer as its schema says.

    >>> from wrt.answers import derivative
    >>> from wrt.apps.asked import Asked, find
    >>> made = as_dict(find(derivative("W*x", "W"), Asked()))
    >>> made["schema"], made["shape"], made["kronecker"]["rows"]
    ('wrt.answer/1', ['n', 'n', 'm'], "eye(n) ⊗ x'")
    """
    D = found.derivative
    made: dict[str, Any] = {
        "schema": SCHEMA,
        "version": __version__,
        "question": {
            "text": D.question.text,
            "by": [one.text.strip() for one in D.wanted],
            "shape": [_size(d) for d in D.f.dims],
            "latex": D.question.source,
        },
        "shape": list(D.shape),
        "axes": list(D.groups),
        "view": D.layout,
        "matrix": D.matrix,
        "index": D.index,
        "einsum": D.einsum,
        "differential": D.differential,
        "kronecker": _kronecker(D),
        "latex": D.latex(),
        "structure": _structure(D),
        "zero": D.why_zero,
        "valid": list(D.valid),
        "convention": D.convention,
        "held": D.held,
        "assumed": list(D.assumed),
        "runner_up": D.runner_up,
        "check": {
            "points": found.check.points,
            "error": float(found.check.error),
            "method": found.check.method,
            "passed": bool(found.check.passed),
        },
    }
    return made | _beside(found)


def _size(dim: Dimension) -> int | str:
    return str(dim) if dim.value is None else dim.value


def _kronecker(D: Derivative) -> dict[str, str | None] | None:
    if len(D.wanted) > 1 and (D.split or len(D.wanted) > 2 or D.wanted[0] != D.wanted[1]):
        return None
    return {"rows": D.kronecker("rows"), "columns": D.kronecker("columns")}


def _structure(D: Derivative) -> dict[str, Any]:
    found = D.structure
    names = tuple(D.question.variables)
    return {
        "kind": found.kind,
        "sentence": D.structure_sentence,
        "entries": _size(found.entries),
        "nonzero": _size(found.nonzero),
        "numbers": _size(found.numbers),
        "symmetries": [
            [[axis + 1 for axis in group] for group in pair] for pair in found.symmetries
        ],
        "given_by": [
            notation.matrix(node, names=names) or notation.index(node, "f", names=names)
            for node in found.given_by
        ],
    }


def _beside(found: Found) -> dict[str, Any]:
    """What was asked for beside the answer."""
    asked, D = found.asked, found.derivative
    made: dict[str, Any] = {"remarks": list(D.remarks)} if D.remarks else {}
    if asked.steps:
        made["steps"] = [
            {"text": s.text, "rule": s.rule, "error": float(s.error), "latex": s.latex}
            for s in D.steps()
        ]
    if asked.entry is not None:
        made["entry"] = {"indices": list(asked.entry), "text": found.entry}
        if found.entry_value is not None:
            made["entry"]["value"] = plain(found.entry_value.tolist())
    if asked.direction is not None:
        made["direction"] = {"name": asked.direction, "text": found.direction}
        if found.direction_value is not None:
            made["direction"]["value"] = plain(found.direction_value.tolist())
    if found.verdict is not None:
        made["claim"] = claim_as_dict(found.asked.claim or "", found.verdict)
    if found.value is not None:
        made["value"] = plain(found.value.tolist())
    return made | program(asked.code, found.source, found.plan)


def program(
    library: str | None, source: str | None, plan: Explanation | None
) -> dict[str, dict[str, Any]]:
    """A program and its plan, where they were asked for."""
    made: dict[str, dict[str, Any]] = {}
    if source is not None:
        made["code"] = {"library": library, "source": source}
    if plan is not None:
        steps = [
            {"name": one.name, "text": one.text, "shape": one.shape, **_cost(one.cost)}
            for one in plan.lines
        ]
        made["plan"] = {
            "steps": steps,
            "total": _cost(plan.total),
            "floor": _cost(plan.floor),
            "sizes": dict(plan.sizes),
            "assumed": list(plan.assumed),
        }
    return made


def _cost(cost: Cost) -> dict[str, int]:
    return {"operations": round(cost.flops), "bytes": round(cost.bytes)}


def plain(value: Any) -> Any:
    """Numbers and nested lists as JSON can say them.

    >>> plain([1.5, float("nan"), 1 + 2j])
    [1.5, None, [1.0, 2.0]]
    """
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, complex):
        return [plain(value.real), plain(value.imag)]
    return value if math.isfinite(value) else None
