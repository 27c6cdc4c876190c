"""Structured tensors for others: SciPy, lineax, JAX as a tree, another array library."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from wrt.answers.structured.arrays import library
from wrt.errors import ValueMistake
from wrt.expression.dataclass import replace

if TYPE_CHECKING:
    from wrt.answers.structured.tensor import Structured

__all__ = ["linear_operator", "lineax_operator", "moved"]


def linear_operator(D: Structured) -> Any:
    """SciPy's LinearOperator; many columns are multiplied by one program."""
    from scipy.sparse.linalg import LinearOperator

    if D.backend != "numpy":
        raise ValueMistake(f'SciPy\'s operators are of NumPy; to("numpy") moves from {D.backend}')
    rows, columns = D.row_shape, D.column_shape

    def times(v: Any) -> Any:
        return D.apply(v.reshape(columns)).reshape(-1)

    def back(g: Any) -> Any:
        return D.pullback(g.conj().reshape(rows)).reshape(-1).conj()

    def times_many(V: Any) -> Any:
        return D.apply(V.T.reshape((-1, *columns))).reshape(V.shape[1], -1).T

    def back_many(G: Any) -> Any:
        return D.pullback(G.conj().T.reshape((-1, *rows))).reshape(G.shape[1], -1).T.conj()

    return LinearOperator(
        (prod(rows), prod(columns)),
        matvec=times,
        rmatvec=back,
        matmat=times_many,
        rmatmat=back_many,
        dtype=D.dtype,
    )


def lineax_operator(D: Structured) -> Any:
    """lineax's operator between JAX's arrays, tagged with what the formula shows."""
    try:
        import lineax
    except ImportError:
        raise ValueMistake("lineax is not installed: pip install lineax") from None
    import jax

    J = moved(D, "jax")
    words: Any = jax
    shape = words.ShapeDtypeStruct(J.column_shape, words.dtypes.canonicalize_dtype(J.dtype))
    tags = []
    if J.is_symmetric:
        tags.append(lineax.symmetric_tag)
    if J.definite > 0:
        tags.append(lineax.positive_semidefinite_tag)
    elif J.definite < 0:
        tags.append(lineax.negative_semidefinite_tag)
    return lineax.FunctionLinearOperator(J.apply, shape, tags=frozenset(tags))


def moved(D: Structured, backend: str) -> Structured:
    """The same tensor with its arrays in another library."""
    from wrt.programs.backends import find, installed

    installed(find(backend))
    if backend == D.backend:
        return D
    if backend == "jax":
        as_tree()
    there = library(backend)
    like = there.like([D.like])
    plain = {name: _plain(value) for name, value in D.values.items()}
    values = {name: there.taken(name, value, like) for name, value in plain.items()}
    return replace(D.frame, backend=backend, like=like, computes="").over(values)


def _plain(value: Any) -> Any:
    import numpy as np

    return value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)


@lru_cache(maxsize=1)
def as_tree() -> None:
    """Make JAX know structured tensors as trees of their arrays, to be traced and mapped."""
    import jax
    import numpy as np

    from wrt.answers.structured.frame import Frame
    from wrt.answers.structured.joint import Joint
    from wrt.answers.structured.tensor import Structured

    def taken_apart(D: Structured) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        frame = D.frame
        kind = str(frame.like.dtype)
        return D.arrays, (frame.formula, frame.rows, frame.limit, kind, frame.ways, frame.groups)

    def put_together(told: tuple[Any, ...], arrays: Any) -> Structured:
        formula, rows, limit, kind, ways, groups = told
        like = np.zeros((), kind)
        return Structured(Frame(formula, rows, limit, "jax", like, ways, groups), tuple(arrays))

    def joint_apart(J: Joint) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        told = (J.row_shapes, J.column_shapes, J.rows_apart, J.columns_apart)
        return (J.blocks, J.one, J.products), told

    def joint_together(told: tuple[Any, ...], parts: Any) -> Joint:
        (blocks, one, products), (rows, columns, above, below) = parts, told
        return Joint(blocks, rows, columns, one, above, below, products)

    jax.tree_util.register_pytree_node(Structured, taken_apart, put_together)
    jax.tree_util.register_pytree_node(Joint, joint_apart, joint_together)
