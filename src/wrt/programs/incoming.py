"""Values of every kind as arrays: what holds numbers comes in, what does not is told why not.

Arrays of other libraries are known by what they can do; none of these libraries is imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from numbers import Complex
from typing import TYPE_CHECKING, Any

from wrt.errors import ValueMistake
from wrt.expression.dimensions import show_dimensions
from wrt.expression.nodes import Variable

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["LOOSE", "arrays", "cast", "is_single", "plain_array", "refuse_kind", "undeclared"]

#: Values of Python's own, which take the type of the arrays beside them.
LOOSE = frozenset({bool, int, float, complex, list, tuple})


def arrays(given: Mapping[Variable, Any]) -> dict[Variable, Array]:
    """The values as arrays of one floating type."""
    import numpy as np

    double = np.dtype(float)
    plain = all(type(x) is np.ndarray and x.dtype is double for x in given.values())
    if plain and not any("complex" in v.properties for v in given):
        return dict(given)
    found = {v: plain_array(v, value) for v, value in given.items()}
    single = is_single(a.dtype for v, a in found.items() if type(given[v]) not in LOOSE)
    real, complex_ = (np.float32, np.complex64) if single else (np.float64, np.complex128)
    for variable, array in found.items():
        wanted = complex_ if "complex" in variable.properties else real
        if array.dtype != wanted:
            found[variable] = cast(variable, array, wanted)
    return found


def is_single(types: Iterable[Any]) -> bool:
    """Whether there are floats among the types, and none of them has eight bytes or more."""
    most = max([0, *map(_float_bytes, types)])
    return 0 < most <= 4


def _float_bytes(kind: Any) -> int:
    """The bytes of a number of a type of NumPy's, JAX's or PyTorch's; 0 for whole numbers."""
    if hasattr(kind, "is_floating_point"):
        plain = kind.is_floating_point or kind.is_complex
        return kind.itemsize // (1 + kind.is_complex) if plain else 0
    return 0 if kind.kind in "biu" else kind.itemsize // (1 + (kind.kind == "c"))


def cast(variable: Variable, array: Array, wanted: Any) -> Array:
    """An array in another type; ValueMistake where that cannot hold its numbers."""
    import numpy as np

    with np.errstate(all="ignore", over="raise"):
        try:
            return array.astype(wanted, copy=False)
        except FloatingPointError:
            kind = np.dtype(wanted).name
            raise ValueMistake(
                f"{variable.name} has entries as large as {np.abs(array).max():.1g}, which "
                f"{kind} cannot hold, the type that is computed in"
            ) from None


def plain_array(variable: Variable, value: Any) -> Array:
    """A value as an array of numbers of any type."""
    import numpy as np

    if type(value) is not np.ndarray:
        value = _open(variable, value)
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        said = str(error).partition("\n")[0]
        if "inhomogeneous" in said:
            said = "its rows have different lengths"
        raise ValueMistake(f"{variable.name} is not an array of numbers: {said}") from None
    if array.dtype.kind not in "fiubc":
        array = _as_numbers(variable.name, array, value)
    if array.dtype.kind == "c" and "complex" not in variable.properties:
        raise ValueMistake(undeclared(variable))
    return array


def undeclared(variable: Variable) -> str:
    """What is said of complex entries where real ones were declared."""
    dims = " ".join(map(str, variable.dims))
    return (
        f"{variable.name} has complex entries, but is not declared complex"
        f" (as in {variable.name}: {dims} complex)"
    )


def _as_numbers(name: str, array: Array, value: Any) -> Array:
    """Numbers of Python's that NumPy has no type for, and floats of few bytes, as NumPy's."""
    import numpy as np

    kind = array.dtype.kind
    if kind == "O" and array.size and all(isinstance(e, Complex) for e in array.flat):
        is_complex = any(np.iscomplexobj(e) for e in array.flat)
        try:
            return array.astype(complex if is_complex else float)
        except OverflowError as error:
            raise ValueMistake(f"{name} is not an array of floats: {error}") from None
    if kind == "V" and array.dtype.names is None and np.can_cast(array.dtype, np.float32):
        return array.astype(np.float32)  # bfloat16 and what is shorter
    what = "objects" if kind == "O" else "text" if kind in "US" else str(array.dtype)
    raise ValueMistake(f"{name} holds {what} ({type(value).__name__}), not numbers")


# Other libraries


def _open(variable: Variable, value: Any) -> Any:
    """What NumPy can make an array of, if need be by way of its own library."""
    name, torch = variable.name, sys.modules.get("torch")
    if torch is not None and torch.is_tensor(value):
        return _of_torch(name, value)
    if _is_traced(value):
        raise ValueMistake(
            f"{name} is traced by JAX (jit, vmap or grad), and this program is not for JAX; "
            'compile("jax") is'
        )
    if _is_masked(value):
        raise ValueMistake(
            f"{name} is a masked array; fill its gaps with a number, and weigh them "
            "by 0 in the formula where they should not count, as in M.*(…)"
        )
    for dense in ("toarray", "todense"):
        if hasattr(value, dense):
            kind = type(value).__name__
            raise ValueMistake(f"{name} is sparse ({kind}); give {name}.{dense}()")
    if callable(value) and not hasattr(value, "__array__"):
        wanted = show_dimensions(variable.dims)
        raise ValueMistake(f"{name} is a function; wanted an array of {wanted}")
    return value


def _is_traced(value: Any) -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.core.Tracer)


def _is_masked(value: Any) -> bool:
    """Whether a masked array is given, or a list that holds one."""
    import numpy as np

    layer = [value]
    while layer:
        if any(isinstance(one, np.ma.MaskedArray) for one in layer):
            return True
        layer = [e for one in layer if isinstance(one, list | tuple) for e in one]
    return False


def _of_torch(name: str, tensor: Any) -> Any:
    """A tensor as an array of NumPy's, where nothing is lost by that."""
    import torch

    refuse_kind(name, tensor)
    if tensor.requires_grad:
        raise ValueMistake(
            f"{name} records its gradient, which this program would not pass on; "
            f'compile("torch") does, or give {name}.detach()'
        )
    if tensor.device.type != "cpu":
        raise ValueMistake(
            f"{name} is a tensor on {tensor.device}, and this program is not for PyTorch; "
            f'compile("torch") is, or give {name}.cpu()'
        )
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    try:
        return tensor.resolve_conj().resolve_neg().numpy()
    except (RuntimeError, TypeError) as error:
        said = str(error).partition("\n")[0]
        raise ValueMistake(
            f'{name} is a tensor that NumPy cannot read ({said}); compile("torch") takes it'
        ) from None


def refuse_kind(name: str, tensor: Any) -> None:
    """Refuse tensors of PyTorch's that hold no plain numbers."""
    import torch

    if tensor.layout is not torch.strided:
        raise ValueMistake(f"{name} is a sparse tensor; give {name}.to_dense()")
    if tensor.is_quantized:
        raise ValueMistake(f"{name} is quantized; give {name}.dequantize()")
