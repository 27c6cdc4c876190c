"""Values for a recurrence that do not fit, said in the words of its lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from wrt.calculus.recurrence import start_name
from wrt.errors import ValueMistake
from wrt.expression.dimensions import Dimension, show_dimensions
from wrt.expression.nodes import Variable

if TYPE_CHECKING:
    from wrt.answers.sequences.recurrences import Recurrence

__all__ = ["refuse_values"]


def refuse_values(
    rnn: Recurrence, arguments: Iterable[Variable], values: Mapping[str, Any], at: int | None = None
) -> None:
    """Refuse a start that is missing, a series without steps or with an axis too many, and a step
    `at` that is not there."""
    starts = _starts(rnn)
    for variable in arguments:
        name = variable.name
        if name not in values:
            if name in starts:
                raise ValueMistake(_missing(rnn, variable, *starts[name]))
        elif name in rnn.lines.series:
            shape = _shape(values[name])
            if shape is not None:
                _refuse_series(rnn, variable, shape, at)
        if name in values and 0 in (_shape(values[name]) or ()):
            raise ValueMistake(f"{name} has no entries: its shape is {_shape(values[name])}")


def _starts(rnn: Recurrence) -> dict[str, tuple[str, int]]:
    """The variables that stand for states outside the steps, by name."""
    found = {}
    for name, lag in rnn.system.lags.items():
        for k in range(1, abs(lag) + 1):
            shift = k if lag > 0 else -k
            found[start_name(name, shift)] = (name, shift)
    return found


def _missing(rnn: Recurrence, variable: Variable, state: str, shift: int) -> str:
    place = f"{rnn.length}+{shift}" if shift > 0 else str(shift + 1)
    axes = show_dimensions(variable.dims) if variable.ndim else "a number"
    zeros = "0" if not variable.ndim else f"np.zeros({axes})"
    if variable.ndim > 1:
        zeros = f"np.zeros(({', '.join(map(str, variable.dims))}))"
    return (
        f"no value is given for {variable.name}, which is {state}[{place}], where {state} starts "
        f"({axes}): perhaps {variable.name}={zeros}, or a line {state}[{place}] = …"
    )


def _shape(value: Any) -> tuple[int, ...] | None:
    import numpy as np

    try:
        shape: tuple[int, ...] = tuple(getattr(value, "shape", ())) or np.shape(value)
    except ValueError:  # lists of different lengths; the program says so
        return None
    return shape


def _refuse_series(
    rnn: Recurrence, variable: Variable, shape: tuple[int, ...], at: int | None
) -> None:
    name, axes = variable.name, show_dimensions(variable.dims)
    if len(shape) == variable.ndim + 1 and not rnn.system.batch:
        batch = (variable.dims[0], Dimension.of("N"), *variable.dims[1:])
        spread = show_dimensions(batch)
        raise ValueMistake(
            f"{name} has shape {shape}, an axis more than {axes}; for a batch of sequences say "
            f'recurrence(…, batch="N"), and {name} is {spread}'
        )
    if len(shape) != variable.ndim:
        return
    low, high = rnn.lines.series[name]
    steps = shape[len(rnn.system.batch)] - (high - low)
    if steps < 1:
        more = f" and {high - low} more, as the lines read it" if high > low else ""
        which = "second" if rnn.system.batch else "first"
        raise ValueMistake(
            f"{name} has shape {shape}, which holds no step: its {which} axis counts the steps, "
            f"{axes}, one at least{more}"
        )
    if at is not None and at > steps:
        counted = "1 step" if steps == 1 else f"{steps} steps"
        raise ValueMistake(f"step {at} is asked for, and {name} has {counted}")
