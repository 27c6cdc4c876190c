"""Structured answers: everything that they say equals the dense array, at the cost of structure."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

import wrt
from wrt.errors import ShapeMistake, TooLarge, ValueMistake

RNG = np.random.default_rng(12)
QUESTIONS = [
    ("W*x", ["W"]),
    ("A*X*B", ["X"]),
    ("tanh(W*x)", ["W"]),
    ("norm2(T - U*V')^2", ["U", "U"]),
    ("norm2(T - U*V')^2", ["U", "V"]),
    ("softmax(x)", ["x"]),
    ("inv(X)", ["X"]),
    ("X'", ["X"]),
    ("sum(log(1 + exp(A*x)))", ["x", "x"]),
]


def bound(text: str, names: list[str]) -> tuple[Any, np.ndarray, int]:
    D = wrt.derivative(text, *names)
    sizes = {name: 3 + k for k, name in enumerate(("n", "m", "p", "k"))}
    values = {
        v.name: RNG.normal(size=[d.size(sizes) for d in v.dims])
        + (
            2 * np.eye(3)
            if v.name == "X" and D.arguments == (v,) and len(v.dims) == 2 and v.dims[0] is v.dims[1]
            else 0
        )
        for v in D.arguments
    }
    S = D.compile(structured=True)(**values)
    return S, D(**values), S.rows


def close(got: Any, want: Any) -> bool:
    return np.shape(got) == np.shape(want) and np.allclose(got, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("text", "names"), QUESTIONS)
def test_every_operation_is_that_of_the_dense_array(text: str, names: list[str]) -> None:
    S, dense, rows = bound(text, names)
    columns = dense.ndim - rows
    v, g = RNG.normal(size=dense.shape[rows:]), RNG.normal(size=dense.shape[:rows])
    assert S.shape == dense.shape
    assert close(S.dense(), dense)
    assert close(S.apply(v), np.tensordot(dense, v, columns))
    assert close(S.pullback(g), np.tensordot(g, dense, rows))
    assert close(S.norm(), np.linalg.norm(dense))
    assert close((S + S * 2 - 0.5 * S).dense(), 2.5 * dense)
    part = S[0, 1:]
    assert close(part.dense(), dense[0, 1:])
    assert close(S.linear_operator() @ v.ravel(), np.tensordot(dense, v, columns).ravel())
    assert close(S.linear_operator().rmatvec(g.ravel()), np.tensordot(g, dense, rows).ravel())
    assert close(S.sparse().toarray(), dense.reshape(g.size, v.size))
    if dense.shape[:rows] == dense.shape[rows:]:
        square = dense.reshape(g.size, g.size)
        assert close(S.trace(), np.trace(square))
        assert close(S.diagonal(), square.diagonal().reshape(g.shape))
        assert close((S @ S).dense(), np.tensordot(dense, dense, columns))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("norm2(T - U*V')^2", ["U", "U"]),
        ("sum(exp(X))", ["X", "X"]),
        ("A*X", ["X"]),
        ("X*A", ["X"]),
        ("sum(exp(x)) + (a'*x)^2", ["x", "x"]),
        ("sum(exp(X)) + sum(A.*X)^2 + sum(X)^2", ["X", "X"]),
        ("sum(logsumexp(X)) + norm2(x)^2", ["x", "x"]),
        ("norm2(A*x - b)^2", ["x", "x"]),
        ("sum(exp(X*w)) + sum(X.^4)", ["X", "X"]),
    ],
)
def test_systems_are_solved_by_structure(text: str, names: list[str]) -> None:
    D = wrt.derivative(text, *names)
    sizes = dict.fromkeys("nmpkqr", 3)
    values = {v.name: RNG.uniform(0.5, 2, [d.size(sizes) for d in v.dims]) for v in D.arguments}
    S = D.compile(structured=True)(**values)
    right = RNG.normal(size=S.shape[: S.rows])
    found = S.solve(right)
    assert close(S.apply(found), right)
    dense = S.dense().reshape(right.size, right.size)
    assert np.allclose(found.ravel(), np.linalg.solve(dense, right.ravel()), rtol=1e-7)


def test_what_no_structure_solves_is_refused() -> None:
    inverse = wrt.derivative("inv(X)", "X").compile(structured=True)(X=np.eye(3))
    with pytest.raises(ValueMistake, match="no axes are tied"):
        inverse.solve(np.eye(3))
    with pytest.raises(ShapeMistake, match="not square"):
        wrt.derivative("W*x", "W").compile(structured=True)(W=np.eye(2), x=[1, 2]).solve([1, 2])
    singular = wrt.derivative("A*X", "X").compile(structured=True)(A=np.ones((2, 2)), X=np.eye(2))
    with pytest.raises(ValueMistake, match="singular"):
        singular.solve(np.eye(2))
    with pytest.raises(TooLarge):
        singular.dense(limit=10)


def test_views_and_complex_numbers_have_no_structured_answer() -> None:
    with pytest.raises(ValueMistake, match="real tensors without a view"):
        wrt.derivative("W*x", "W").view("vec-rows").compile(structured=True)
    with pytest.raises(ValueMistake, match="real tensors without a view"):
        wrt.derivative("A*x", "x", shapes={"A": "n m complex"}).compile(structured=True)
    with pytest.raises(ValueMistake, match="computed by numpy"):
        wrt.derivative("W*x", "W").compile("jax", structured=True)


def test_two_tensors_with_one_name_for_different_arrays() -> None:
    D = wrt.derivative("W*x", "x").compile(structured=True)
    A, B = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 4))
    both = D(W=A, x=np.ones(3)) @ D(W=B, x=np.ones(4))
    assert close(both.dense(), A @ B)
    again = D(W=A, x=np.ones(3)) + D(W=2 * A, x=np.ones(3))
    assert close(again.dense(), 3 * A)


def test_a_newton_step_of_a_factorisation_costs_no_more_than_its_blocks() -> None:
    n, k = 2000, 10  # a Hessian of 3 GB
    D = wrt.derivative("norm2(T - U*V')^2", "U", "U").compile(structured=True)
    U, V = RNG.normal(size=(n, k)), RNG.normal(size=(n, k))
    T = RNG.normal(size=(n, n))
    G = RNG.normal(size=(n, k))
    S = D(T=T, U=U, V=V)
    began = time.perf_counter()
    step = S.solve(G)
    assert time.perf_counter() - began < 2  # (nk)³ would be 10¹² operations
    assert np.allclose(step, G @ np.linalg.inv(2 * V.T @ V), rtol=1e-8)
