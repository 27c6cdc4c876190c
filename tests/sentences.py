"""What a sentence of a record says, in plain NumPy: an oracle that shares nothing with the reader.

It walks the syntax and multiplies arrays, so a rule is tested by itself, before any formula is made
of it. A value is an array with a mark: a vector behind a transpose is a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from wrt.expression.meaning import library
from wrt.functions import BOOK
from wrt.language.parser import parse
from wrt.language.syntax import (
    Call,
    Index,
    Infix,
    Name,
    Number,
    Postfix,
    Prefix,
    Slice,
    Syntax,
)

__all__ = ["PRODUCTS", "says", "side", "syntax"]

Value = tuple[np.ndarray, bool]

#: Every word that is a product, by hand.
PRODUCTS: Mapping[str, Callable[..., Any]] = {
    "tr": np.trace,
    "sum": np.sum,
    "diag": np.diag,
    "vec": lambda x: x.flatten("F"),
    "kron": lambda a, b: np.kron(_column(a), _column(b)).reshape(
        -1 if a.ndim == b.ndim == 1 else (a.shape[0] * b.shape[0], -1)
    ),
    "tril": np.tril,
    "triu": np.triu,
    "dot": lambda x, y: np.sum(x * y),
    "outer": np.outer,
    "transpose": np.transpose,
    "diagonals": lambda X: np.array(
        [[np.trace(X, k - i) for k in range(X.shape[1])] for i in range(X.shape[0])]
    ),
    "eye": np.eye,
    "ones": lambda *shape: np.ones(shape),
    "zeros": lambda *shape: np.zeros(shape),
    "vector": lambda c, n: np.full(n, c),
    "matrix": lambda c, n, m: np.full((n, m), c),
    "unit": lambda n, k: np.eye(n)[k - 1],
    "commutation": lambda n, m: np.eye(n * m)[np.arange(n * m).reshape(m, n).T.ravel()],
}


def _column(a: np.ndarray) -> np.ndarray:
    return a[:, None] if a.ndim == 1 else a


def syntax(text: str) -> Syntax:
    """The syntax of one sentence."""
    return parse(text).lines[0].body


def side(law: str) -> tuple[str, str]:
    """The left and the right of a law."""
    left, sign, right = law.partition(" = ")
    assert sign, law
    return left, right


def says(part: Syntax, values: Mapping[str, Any]) -> np.ndarray:
    """The value of a sentence; ValueError where shapes do not fit."""
    with np.errstate(all="ignore"):
        return _value(part, {k: np.asarray(v) for k, v in values.items()})[0]


def _value(part: Syntax, env: Mapping[str, np.ndarray]) -> Value:
    match part:
        case Number():
            return np.asarray(float(part.value)), False
        case Name():
            if part.name == "pi" and "pi" not in env:
                return np.asarray(np.pi), False
            if part.name not in env:
                raise ValueError(f"{part.name} is not known here")
            return env[part.name], False
        case Prefix():
            value, row = _value(part.operand, env)
            return (-value if part.operator.name == "minus" else value), row
        case Postfix():
            value, row = _value(part.operand, env)
            return value.T, (value.ndim == 1) ^ row
        case Infix():
            return _infix(part.operator.name, _value(part.left, env), _value(part.right, env))
        case Call():
            return _call(part, env)
        case Index():
            return _entries(part, env), False
    raise ValueError(f"{part} stands in no rule")


def _infix(name: str, left: Value, right: Value) -> Value:
    a, b = left[0], right[0]
    if name == "times":
        return _times(left, right)
    if name == "power":
        return _power(a, b), False
    if name == "divide" and b.ndim:
        raise ValueError("a division by an array")
    if a.ndim and b.ndim and (a.shape != b.shape or left[1] != right[1]):
        raise ValueError(f"shapes {a.shape} and {b.shape}")
    row = left[1] if a.ndim else right[1]
    return np.asarray(_ENTRIES[name](a, b)), row


_ENTRIES: Mapping[str, Callable[..., Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "divide": np.divide,
    "entry_times": np.multiply,
    "entry_divide": np.divide,
    "entry_power": np.power,
}


def _times(left: Value, right: Value) -> Value:
    (a, row), (b, other) = left, right
    if not a.ndim or not b.ndim:
        return a * b, row if a.ndim else other
    if a.ndim == b.ndim == 1:
        if row == other:
            raise ValueError("two columns or two rows")
        return np.asarray(a @ b if row else np.outer(a, b)), False
    if (a.ndim == 1 and not row) or (b.ndim == 1 and other):
        raise ValueError("a column times a matrix, or a matrix times a row")
    return a @ b, row and b.ndim == 2


def _power(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if b.ndim:
        raise ValueError("an exponent that is no scalar")
    if not a.ndim:
        return np.asarray(np.power(a, b))
    if a.ndim != 2 or a.shape[0] != a.shape[1] or float(b) != round(float(b)):
        raise ValueError("a power of what is no square matrix")
    return np.linalg.matrix_power(a, round(float(b)))


def _call(part: Call, env: Mapping[str, np.ndarray]) -> Value:
    if part.word in ("sum", "prod") and len(part.arguments) == 4:
        return _bounded(part, env), False
    if part.word == "min" and len(part.arguments) == 2:
        return np.minimum(*(_value(a, env)[0] for a in part.arguments)), False
    if part.word == "frechet":
        return _along(part, env), False
    values = [_value(a, env) for a in part.arguments]
    arrays = [v for v, _ in values]
    record = BOOK.get(part.word)
    if record is None:
        raise ValueError(f"{part.word} is no word")
    if record.einsum:
        whole = [int(a) if a.dtype.kind == "i" else a for a in arrays]
        return np.asarray(PRODUCTS[record.name](*whole)), False
    form = next((f for f in record.forms if _fits(f, arrays)), None)
    if form is None:
        raise ValueError(f"{part.word} does not take this")
    if form.arguments[0].dims is None:
        arrays[0] = arrays[0].reshape(-1)
    made = np.asarray(library(record.code("numpy"))(*arrays))
    if form.results[0].dims is None:
        made = made.reshape(values[0][0].shape)
    return made, values[0][1] and made.ndim == 1


def _along(part: Call, env: Mapping[str, np.ndarray]) -> np.ndarray:
    """The derivative of a matrix function along a direction, by Cauchy's integral in a circle."""
    word, *rest = part.arguments
    X, E = (_value(p, env)[0] for p in rest)
    record = BOOK.get(word.name if isinstance(word, Name) else "")
    if record is None or not record.commuting or X.shape != E.shape:
        raise ValueError("no matrix function")
    analytic = record.analytic if isinstance(record.analytic, str) else record.code("numpy")
    f, size = library(analytic), 0.1 / max(1.0, float(np.abs(E).max()))
    turns = size * np.exp(2j * np.pi * np.arange(16) / 16)
    return np.asarray(np.mean([f(X + t * E) / t for t in turns], axis=0).real)


def _entries(part: Index, env: Mapping[str, np.ndarray]) -> np.ndarray:
    """X[:,1]: whole axes and places counted from 1."""
    base = _value(part.base, env)[0]
    if base.ndim != len(part.items):
        raise ValueError("another number of axes")
    keys = []
    for item in part.items:
        if isinstance(item, Slice) and item.low is None and item.high is None:
            keys.append(slice(None))
        elif isinstance(item, Number) and 1 <= item.value <= base.shape[len(keys)]:
            keys.append(int(item.value) - 1)
        else:
            raise ValueError("an entry that no rule has")
    return np.asarray(base[tuple(keys)])


def _fits(form: Any, arrays: list[np.ndarray]) -> bool:
    if len(form.arguments) != len(arrays):
        return False
    sizes: dict[str, int] = {}
    for argument, array in zip(form.arguments, arrays, strict=True):
        if argument.dims is None or argument.dims == ():
            continue
        if len(argument.dims) != array.ndim:
            return False
        for dim, size in zip(argument.dims, array.shape, strict=True):
            if sizes.setdefault(str(dim), size) != size:
                return False
    return True


def _bounded(part: Call, env: Mapping[str, np.ndarray]) -> np.ndarray:
    name, low, high, body = part.arguments
    assert isinstance(name, Name)
    first, last = (round(float(_value(p, env)[0])) for p in (low, high))
    if last - first > 50:
        raise ValueError("a range that no rule has")
    shape = np.shape(next(v for k, v in env.items() if np.ndim(v) == 2))
    total = np.zeros(shape)
    for k in range(first, last + 1):
        total = total + _value(body, {**env, name.name: np.asarray(k)})[0]
    return total
