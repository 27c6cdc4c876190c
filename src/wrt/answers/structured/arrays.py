"""The array library of a structured answer: the few words that the three say differently."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from wrt.errors import ShapeMistake, ValueMistake
from wrt.expression.nodes import Variable
from wrt.programs import incoming
from wrt.programs.watching import is_suspicious

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Library", "library", "width"]


@lru_cache(maxsize=4)
def library(name: str) -> Library:
    """The library of that name."""
    return {"numpy": Library, "jax": Jax, "torch": Torch}[name]()


class Library:
    """NumPy, and what the others have in common with it."""

    name = "numpy"

    @property
    def words(self) -> Any:
        """The module of functions."""
        import numpy as np

        return np

    # What comes in

    def like(self, arrays: Sequence[Any]) -> Any:
        """A number in the type of the arrays, float64 where there are none."""
        import numpy as np

        single = bool(arrays) and all(width(a) <= 4 for a in arrays)
        return np.zeros((), np.float32 if single else np.float64)

    def held(self, value: Any, like: Any) -> Any:
        """What a program computed as an array, which a plain number is not yet."""
        if hasattr(value, "dtype"):
            return value
        return self.cast(self.words.asarray(value), self.kind(like, isinstance(value, complex)))

    def taken(self, name: str, value: Any, like: Any) -> Any:
        """A value as an array of floats, in the type of `like` where it has none of its own."""
        if type(value) is type(like) and value.dtype == like.dtype:
            return self.plain(name, value)
        if type(value) is float and value == value and self.name == "numpy":
            return self.words.asarray(value, like.dtype)
        array = self.plain(name, value)
        firm = hasattr(value, "dtype") and _kind(array) != "i"
        wide = firm and width(array) > 4
        return self.cast(array, self.kind(array if wide else like, _kind(array) == "c"))

    def kind(self, like: Any, of_complex: bool) -> Any:
        """The type that is computed in beside an array: of four bytes or of eight."""
        bits = 32 if width(like) <= 4 else 64
        return getattr(self.words, f"complex{2 * bits}" if of_complex else f"float{bits}")

    def plain(self, name: str, value: Any) -> Any:
        """A value as an array; no NaN in it."""
        import numpy as np

        array = value
        if type(value) is not np.ndarray or value.dtype.kind not in "fc":
            array = incoming.plain_array(Variable(name, (), ["complex"]), value)
        with np.errstate(all="ignore"):
            suspicious = array.dtype.kind in "fc" and is_suspicious(array)
        if suspicious and np.isnan(array).any():  # and not only infinity less infinity
            raise ValueMistake(f"{name} has entries that are NaN")
        return array

    def cast(self, array: Any, kind: Any) -> Any:
        """An array in another type."""
        return array.astype(kind, copy=False)

    def shaped(
        self, name: str, value: Any, shape: Sequence[int], like: Any
    ) -> tuple[Any, tuple[int, ...]]:
        """An array of this shape, or of any number of them along leading axes, which come apart."""
        array = self.taken(name, value, like)
        given = tuple(array.shape)
        lead = len(given) - len(shape)
        if lead < 0 or given[lead:] != tuple(shape):
            said = " × ".join(map(str, shape)) or "a number"
            raise ShapeMistake(
                f"{name} has shape {given}, wanted {said}",
                hint="many at once stand along leading axes",
            )
        return array, given[:lead]

    # Words

    def permuted(self, array: Any, axes: Sequence[int]) -> Any:
        """The axes in another order."""
        return array.transpose(tuple(axes))

    def conj(self, array: Any) -> Any:
        """The conjugate; a real array is its own."""
        return self.words.conj(array) if _kind(array) == "c" else array

    def eye(self, size: int, like: Any) -> Any:
        """The identity matrix, in the type of another array."""
        return self.words.eye(size, dtype=like.dtype)

    def lu_solver(self, matrix: Any) -> Callable[[Any], Any]:
        """What solves with a matrix, or with many."""
        return lambda b: self.words.linalg.solve(matrix, b)

    def own(self, result: Any, given: Mapping[str, Any], single: bool) -> Any:
        """A result as an array of floats that shares no memory with what is bound."""
        import numpy as np

        array = np.asarray(result)
        wide, narrow = ("c16", "c8") if array.dtype.kind == "c" else ("f8", "f4")
        array = array.astype(narrow if single else wide, copy=False)
        if array.base is None and not any(array is a for a in given.values()):
            return array
        shared = any(np.may_share_memory(array, a) for a in given.values())
        return array.copy() if shared else array


class Jax(Library):
    """JAX: arrays may be traced, so nothing is asked of their entries."""

    name = "jax"

    @property
    def words(self) -> Any:
        import jax.numpy as jnp

        return jnp

    def plain(self, name: str, value: Any) -> Any:
        import jax

        if isinstance(value, jax.Array):
            return value
        return super().plain(name, value)

    def cast(self, array: Any, kind: Any) -> Any:
        import jax

        return self.words.asarray(array, jax.dtypes.canonicalize_dtype(kind))

    def own(self, result: Any, given: Mapping[str, Any], single: bool) -> Any:
        return self.words.asarray(result)

    def cholesky_solver(self, L: Any) -> Callable[[Any], Any]:
        """What solves with L L'."""
        from jax.scipy.linalg import cho_solve

        return lambda b: cho_solve((L, True), b)

    def lu_solver(self, matrix: Any) -> Callable[[Any], Any]:
        """What solves with a matrix, or with many."""
        from jax.scipy.linalg import lu_factor, lu_solve

        factors = lu_factor(matrix)
        return lambda b: lu_solve(factors, b)


class Torch(Library):
    """PyTorch: on the device of what is bound."""

    name = "torch"

    @property
    def words(self) -> Any:
        import torch

        return torch

    def like(self, arrays: Sequence[Any]) -> Any:
        kind = super().like(arrays).dtype.name
        device = arrays[0].device if arrays else None
        return self.words.zeros((), dtype=getattr(self.words, kind), device=device)

    def plain(self, name: str, value: Any) -> Any:
        import torch

        if torch.is_tensor(value):
            return value
        array = super().plain(name, value)
        return torch.as_tensor(array if array.flags.writeable else array.copy())

    def held(self, value: Any, like: Any) -> Any:
        return super().held(value, like).to(like.device)

    def taken(self, name: str, value: Any, like: Any) -> Any:
        if not self.words.is_tensor(value):  # takes the type of what is bound, as numbers do
            array = self.plain(name, value)
            return self.cast(array, self.kind(like, _kind(array) == "c")).to(like.device)
        if width(value) > width(like) and _kind(value) != "i":
            ours, theirs = (str(a.dtype).removeprefix("torch.") for a in (like, value))
            raise ValueMistake(f"{name} is of {theirs}, and what is bound of {ours}")
        if value.device != like.device:
            raise ValueMistake(f"{name} is on {value.device}, and what is bound on {like.device}")
        return super().taken(name, value, like)

    def cast(self, array: Any, kind: Any) -> Any:
        return array.to(kind)

    def permuted(self, array: Any, axes: Sequence[int]) -> Any:
        return array.permute(tuple(axes))

    def eye(self, size: int, like: Any) -> Any:
        return self.words.eye(size, dtype=like.dtype, device=like.device)

    def own(self, result: Any, given: Mapping[str, Any], single: bool) -> Any:
        if given:
            return self.words.as_tensor(result)
        # nothing told PyTorch the type: it takes the one that is set for all programs
        return self.words.as_tensor(result).to(self.words.float32 if single else self.words.float64)

    def cholesky_solver(self, L: Any) -> Callable[[Any], Any]:
        """What solves with L L'."""
        return lambda b: self.words.cholesky_solve(*self._alike(b, L))

    def lu_solver(self, matrix: Any) -> Callable[[Any], Any]:
        """What solves with a matrix, or with many."""
        lu, exchanges = self.words.linalg.lu_factor(matrix)

        def solve(b: Any) -> Any:
            alike, right = self._alike(lu, b)
            return self.words.linalg.lu_solve(alike, exchanges, right)

        return solve

    def _alike(self, one: Any, other: Any) -> tuple[Any, Any]:
        """Two tensors in the type that both have in common."""
        kind = self.words.promote_types(one.dtype, other.dtype)
        return one.to(kind), other.to(kind)


def _kind(array: Any) -> str:
    """The kind of number in an array: f for real floats, c for complex ones, i for others."""
    if hasattr(array, "is_floating_point"):
        return "c" if array.is_complex() else "f" if array.is_floating_point() else "i"
    kind: str = array.dtype.kind
    return kind if kind in "fc" else "f" if kind == "V" else "i"


def width(array: Any) -> int:
    """The bytes of a real number of an array."""
    found: int = array.element_size() if hasattr(array, "element_size") else array.dtype.itemsize
    return found // 2 if _kind(array) == "c" else found
