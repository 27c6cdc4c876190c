"""A horizon as sentences that a learner reads aloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wrt.answers.sequences.horizon import Horizon

__all__ = ["joint", "product", "told"]


def joint(found: Horizon) -> str:
    """What the state is called: its own name, or z for several."""
    return found.states[0] if len(found.states) == 1 else "z"


def product(found: Horizon, distance: str = "d") -> str:
    """What a product of steps is called, as in ∂s[50]/∂s[50-d]."""
    name = joint(found)
    if found.reverse:
        return f"∂{name}[1]/∂{name}[1+{distance}]"
    return f"∂{name}[{len(found)}]/∂{name}[{len(found)}-{distance}]"


def told(found: Horizon) -> str:
    """The whole text."""
    parts = [*_norms(found), *_paths(found), *_bounds(found), *_weights(found)]
    return "\n".join([_head(found), *parts])


def _head(found: Horizon) -> str:
    name = joint(found)
    steps = "1 step" if len(found) == 1 else f"{len(found)} steps"
    said = f"the state {name}"
    if len(found.states) > 1:
        said = f"z = ({', '.join(found.states)})"
    numbers = "1 number" if found.count == 1 else f"{found.count} numbers"
    return f"{steps} of {said} ({numbers})"


def _norms(found: Horizon) -> list[str]:
    name, last = product(found), float(found.spectral[-1])
    lines = [
        f"the largest singular value of {name} changes by a factor {_number(found.rate)} a step:"
    ]
    for d in sorted({1, min(10, len(found)), len(found)}):
        steps = "1 step" if d == 1 else f"{d} steps"
        lines.append(f"  over {steps} it is {_number(float(found.spectral[d]))}")
    verdict = {
        "vanish": f"below {_number(found.fraction)}: gradients vanish",
        "explode": f"above {_number(1 / found.fraction)}: gradients explode",
        "neither": "over so few steps gradients neither vanish nor explode",
    }[found.verdict]
    lines.append(
        f"  {_number(last)} is {verdict}" if found.verdict != "neither" else f"  {verdict}"
    )
    return lines


def _paths(found: Horizon) -> list[str]:
    if not found.paths:
        return []
    said = ", ".join(f"{name} {_number(float(one[-1]))}" for name, one in found.paths.items())
    return [f"  along one state alone, one of very many paths: {said}"]


def _bounds(found: Horizon) -> list[str]:
    last = {name: float(one[-1]) for name, one in found.bounds.items()}
    steps = f"∏ of the norms of the single steps: at most {_number(last['steps'])}"
    if found.scale is None:
        return [f"bound: {steps}"]
    lines = []
    scale = f"λ = {_number(found.scale)}, the largest singular value of the matrix"
    if found.gamma is not None:
        lines += [
            f"γ = {_number(found.gamma)}, the largest slope of {found.word}; {scale}:",
            f"  (γ λ)^d bounds it, {_number(last['all'])} over all steps; {_must(found)}",
        ]
    else:
        lines.append(f"{scale}:")
    lines.append(f"  ∏ of the largest slopes times λ: at most {_number(last['slopes'])}")
    return [*lines, f"  {steps}"]


def _must(found: Horizon) -> str:
    assert found.gamma is not None
    assert found.scale is not None
    if found.gamma * found.scale < 1:
        return "γ λ < 1, so over enough steps gradients have to vanish"
    return "γ λ ≥ 1, so they may explode and need not"


def _weights(found: Horizon) -> list[str]:
    lines = []
    percent = f"{100 * found.fraction:g} %"
    for name in found.late:
        reach = found.reach(name)
        if reach is None and len(found.late[name]) < 2:
            lines.append(f"{name} acts in the step of the loss alone: there is no other")
        elif reach is None:
            lines.append(
                f"{name}: a step does more than {percent} of the whole to a loss "
                f"{len(found) - 1} steps away"
            )
        elif not reach:
            lines.append(f"{name} does nothing to the loss")
        else:
            steps = "1 step" if reach == 1 else f"{reach} steps"
            lines.append(f"{name}: what is {steps} away or more does less than {percent} of all")
    return lines


def _number(value: float) -> str:
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    return f"{value:.3g}"
