"""Constant tensors: identities, ones, zeros, a number repeated, basis vectors, commutation."""

from __future__ import annotations

from wrt.expression.function import Function

__all__ = ["RECORDS"]

RECORDS: tuple[Function, ...] = (
    Function(
        "eye(size n) -> Y: n n",
        "The identity matrix.",
        latex="I_{{n}}",
        einsum="->ii",
        examples=("X + eye(n)",),
    ),
    Function(
        (
            "ones(size n) -> y: n",
            "ones(size n, size m) -> Y: n m",
            "ones(size n, size m, size p) -> Y: n m p",
        ),
        "A tensor of ones.",
        latex=r"\mathbf{1}",
        einsum=("->i", "->ij", "->ijk"),
    ),
    Function(
        (
            "zeros(size n) -> y: n",
            "zeros(size n, size m) -> Y: n m",
            "zeros(size n, size m, size p) -> Y: n m p",
        ),
        "A tensor of zeros.",
        latex=r"\mathbf{0}",
        einsum=("0->i", "0->ij", "0->ijk"),
    ),
    Function(
        "vector(c, size n) -> y: n",
        "A vector with the same number in every place.",
        latex=r"{c} \mathbf{1}",
        einsum="->i",
        note="In text the size is inferred: vector(1).",
    ),
    Function(
        "matrix(c, size n, size m) -> Y: n m",
        "A matrix with the same number in every place.",
        latex=r"{c} \mathbf{1}\mathbf{1}^\top",
        einsum="->ij",
        note="In text the sizes are inferred: matrix(1).",
    ),
    Function(
        "unit(size n, size k) -> y: n",
        "The k-th basis vector of n entries, counted from 1.",
        latex="e_{{k}}",
        einsum="->i where i = k",
        examples=("unit(n, 1)'*X*unit(m, 2)",),
    ),
    Function(
        "commutation(size n, size m) -> K: n*m n*m",
        "The commutation matrix: it takes vec(X) to vec(X') for every X of n rows and m columns.",
        latex="K_{{{n},{m}}}",
        einsum="->nmmn",
        note="The letters of its product are its sizes.",
        examples=("commutation(n, m)*vec(X)",),
    ),
)
