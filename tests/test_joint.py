"""Several variables at once: one linear map between tuples, and its system by elimination."""

from __future__ import annotations

import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest

import wrt
from wrt.answers.structured import Joint, Structured, elimination
from wrt.errors import ShapeMistake, TooLarge, ValueMistake

RNG = np.random.default_rng(83)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def hessian(text: str, *names: str, shapes: Any = None, **values: Any) -> Joint:
    """By all pairs of variables in order, each once."""
    pairs = [(a, b) for k, a in enumerate(names) for b in names[k:]]
    found = wrt.gradients(text, *pairs, shapes=shapes)
    return found.compile(structured=True).joint(values)


def jacobian(text: str, *names: str, **values: Any) -> Joint:
    return wrt.gradients(text, *names).compile(structured=True).joint(values)


def net(samples: int, units: int, weights: int) -> dict[str, np.ndarray]:
    return {"X": normal(samples, weights), "A": normal(units, weights), "B": normal(2, units)}


def factors(n: int, m: int, k: int) -> dict[str, np.ndarray]:
    return {"T": normal(n, m), "U": normal(n, k), "V": normal(m, k)}


def gauss_newton(J: Joint) -> Joint:
    return J.T @ J + 0.5 * (J.T @ J).identity()


def chain() -> Joint:
    text = "norm2(x-a)^2 + norm2(x[2:40]-x[1:39]-y[1:39])^2 + norm2(y[2:40]-y[1:39])^2 + y[1]^2"
    values = {"x": normal(40), "y": normal(40), "a": normal(40)}
    return hessian(text, "x", "y", shapes={"x": "40", "y": "40"}, **values)


def arrow() -> Joint:
    text = "sum(exp(X)) + sum(exp(Y)) + norm2(z)^4 + norm2(X*z)^2 + norm2(Y*z)^2"
    return hessian(text, "X", "Y", "z", X=normal(9, 3), Y=normal(7, 3), z=normal(3))


MAPS = {
    "a net": (lambda: jacobian("tanh(X*A')*B'", "A", "B", **net(5, 4, 3)), None),
    "a factorisation": (
        lambda: hessian(
            "norm2(T-U*V')^2 + 9*norm2(U)^2 + 9*norm2(V)^2", "U", "V", **factors(8, 6, 2)
        ),
        elimination._Schur,
    ),
    "Gauss and Newton": (
        lambda: gauss_newton(jacobian("tanh(X*A')*B'", "A", "B", **net(9, 4, 3))),
        elimination._Schur,
    ),
    "few samples": (
        lambda: gauss_newton(jacobian("tanh(X*A')*B'", "A", "B", **net(2, 8, 5))),
        elimination._Added,
    ),
    "a chain": (chain, elimination._Few),
    "an arrow": (arrow, elimination._Schur),
    "variables apart": (
        lambda: hessian("sum(exp(x)) + sum(exp(y))", "x", "y", x=normal(4), y=normal(3)),
        elimination._Apart,
    ),
    "one matrix": (
        lambda: hessian(
            "(x'*A*y)^2 + exp(x'*B*y)",
            "x",
            "y",
            A=normal(3, 4),
            B=normal(3, 4) / 9,
            x=normal(3),
            y=normal(4),
        ),
        elimination._Matrix,
    ),
}


def close(got: Any, want: Any) -> bool:
    return np.shape(got) == np.shape(want) and np.allclose(got, want, rtol=1e-8, atol=1e-8)


def laid(arrays: Any) -> np.ndarray:
    arrays = arrays if isinstance(arrays, tuple) else (arrays,)
    return np.concatenate([np.asarray(a).ravel() for a in arrays])


def drawn(shapes: Any, apart: bool) -> Any:
    made = tuple(normal(*shape) for shape in shapes)
    return made if apart else made[0]


@pytest.mark.parametrize("name", MAPS)
def test_every_operation_is_that_of_the_dense_matrix(name: str) -> None:
    J = MAPS[name][0]()
    M = J.dense()
    v, g = drawn(J.column_shapes, J.columns_apart), drawn(J.row_shapes, J.rows_apart)
    assert J.shape == M.shape == np.asarray(J).shape
    assert close(laid(J.apply(v)), M @ laid(v))
    assert close(laid(J @ v), M @ laid(v))
    assert close(laid(J.pullback(g)), M.T @ laid(g))
    assert close(J.T.dense(), M.T)
    assert close((J + 2 * J - J / 4).dense(), 2.75 * M)
    assert close((J.T @ J).dense(), M.T @ M)
    assert close((J.T @ J @ J.T).dense(), M.T @ M @ M.T)
    assert close((J.identity() + J.T @ J).dense(), np.eye(M.shape[1]) + M.T @ M)
    assert close(J.norm(), np.linalg.norm(M))
    assert close((J.T @ J).norm(), np.linalg.norm(M.T @ M))
    assert close((J.T @ J).trace(), np.trace(M.T @ M))
    assert close(laid((J.T @ J).diagonal()), np.diag(M.T @ M))
    assert close(J.sparse().toarray(), M)
    operator = J.linear_operator()
    assert close(operator @ laid(v), M @ laid(v))
    assert close(operator.H @ laid(g), M.T @ laid(g))
    again = pickle.loads(pickle.dumps(J))
    assert close(laid(again.apply(v)), M @ laid(v))
    many = tuple(np.stack([a, 2 * a]) for a in (v if J.columns_apart else (v,)))
    for found, one in zip(J._applied(many), J._applied(many), strict=True):
        assert close(found[1], 2 * one[0])


@pytest.mark.parametrize("name", [name for name, (_, way) in MAPS.items() if way])
def test_systems_are_solved_by_the_structure_they_have(name: str) -> None:
    make, way = MAPS[name]
    J = make()
    M, right = J.dense(), drawn(J.row_shapes, True)
    assert close(laid(J.solve(right)), np.linalg.solve(M, laid(right)))
    many = tuple(np.stack([a, -a, 3 * a])[None] for a in right)
    found = J.solve(many)
    assert found[0].shape == (1, 3, *J.row_shapes[0])
    assert close(laid(tuple(a[0, 2] for a in found)), 3 * np.linalg.solve(M, laid(right)))
    assert close(J.logdet(), np.linalg.slogdet(M)[1])
    assert type(J._way.best) is way


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("name", [name for name, (_, way) in MAPS.items() if way])
def test_other_libraries_say_the_same(name: str, backend: str) -> None:
    library: Any = pytest.importorskip(backend)
    J = MAPS[name][0]()
    right = drawn(J.row_shapes, True)
    made, solved, size = J.apply(right), J.solve(right), J.logdet()
    if backend == "torch":
        T = J.to("torch")
        found = T.apply(right), T.solve(right), T.logdet()
    else:
        with library.enable_x64(True):
            T = J.to("jax")
            found = library.jit(lambda T, b: (T.apply(b), T.solve(b), T.logdet()))(T, right)
    assert close(laid(found[0]), laid(made))
    assert close(laid(found[1]), laid(solved))
    assert close(float(found[2]), size)


def test_steps_by_both_factors_find_them() -> None:
    """Levenberg's and Marquardt's steps, damped less and less."""
    U, V = normal(30, 3), normal(20, 3)
    bind, T = wrt.gradients("U*V'", "U", "V").compile(structured=True), U @ V.T
    U, V = U + 0.1 * normal(30, 3), V + 0.1 * normal(20, 3)
    for step in range(8):
        J = bind.joint(U=U, V=V)
        G, slope = J.T @ J, J.pullback(U @ V.T - T)
        move = (G + 10.0**-step * G.identity()).solve(slope)
        U, V = U - move[0], V - move[1]
    assert np.abs(U @ V.T - T).max() < 1e-10


def test_masked_factors_are_never_one_matrix() -> None:
    """2,000 rows and 10 columns of 3 numbers each, as points and cameras are in a bundle."""
    n, m, k = 2000, 10, 3
    bind = wrt.gradients("M.*(U*V')", "U", "V").compile(structured=True)
    values = {"M": (RNG.random((n, m)) < 0.8) * 1.0, "U": normal(n, k), "V": normal(m, k)}
    J = bind.joint(values)
    G = J.T @ J
    G = G + 0.1 * G.identity()
    right = (normal(n, k), normal(m, k))
    G.solve(right)
    G = bind.joint(values)
    G = G.T @ G + 0.1 * G.identity()
    tracemalloc.start()
    found = G.solve(right)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert type(G._way.best) is elimination._Schur
    assert peak < 16 * 8 * (n * k) * (m * k)  # what the points have with the cameras, a few times
    assert close(laid(G.apply(found)), laid(right))


def test_a_direction_in_which_nothing_changes_is_refused() -> None:
    """U and V turned together leave U V' as it is."""
    U, V = normal(9, 2), normal(7, 2)
    H = hessian("norm2(T-U*V')^2", "U", "V", T=U @ V.T, U=U, V=V)
    for asked in (lambda: H.solve((U, V)), H.logdet):
        with pytest.raises(ValueMistake, match="singular at this point"):
            asked()
    damped = H + 0.1 * H.identity()
    assert close(laid(damped.apply(damped.solve((U, V)))), laid((U, V)))


def test_what_is_too_large_is_refused_with_a_way_out() -> None:
    values = {"A": normal(40, 40), "B": normal(40, 40), "C": normal(40, 40)}
    text = "sum(exp(A*X)) + sum(exp(X*B)) + sum(exp(A*Y)) + sum(exp(Y*B)) + tr(X*C*Y)"
    H = hessian(text, "X", "Y", X=normal(40, 40) / 99, Y=normal(40, 40) / 99, **values)
    with pytest.raises(ValueMistake, match=r"linear_operator\(\) is a map for iterative"):
        H.solve((np.ones((40, 40)), np.ones((40, 40))))
    with pytest.raises(TooLarge):
        H.dense(limit=100)


def test_mistakes_are_told() -> None:
    both = wrt.gradients("norm2(T-U*V')^2", ("U", "U"), ("V", "V")).compile(structured=True)
    values = factors(4, 3, 2)
    with pytest.raises(ValueMistake, match="the derivative by U and V is missing"):
        both.joint(values)
    with pytest.raises(ShapeMistake, match="second ones of a number"):
        wrt.gradients("U*V'", ("U", "U"), ("U", "V"), ("V", "V")).compile(structured=True).joint(
            {n: values[n] for n in "UV"}
        )
    J = jacobian("U*V'", "U", "V", U=values["U"], V=values["V"])
    for wrong, said in (
        (np.ones((4, 2)), "a tuple of 2 arrays"),
        ((np.ones((4, 2)),), "has 1 arrays, wanted 2"),
        ((np.ones((4, 2)), np.ones(3)), "wanted 3 × 2"),
        ((np.ones((2, 4, 2)), np.ones((3, 2))), "different leading axes"),
    ):
        with pytest.raises(ShapeMistake, match=said):
            J.apply(wrong)
    for wrong_sum in (lambda: J + 1, lambda: J + J.T, lambda: J @ J, lambda: J.trace()):
        with pytest.raises(ShapeMistake):
            wrong_sum()
    with pytest.raises(ShapeMistake, match="not square"):
        J.solve(np.ones((4, 3)))
    with pytest.raises(ValueMistake, match="divided by zero"):
        J / 0
    H = gauss_newton(J)
    ones = (np.ones((4, 2)), np.ones((3, 2)))
    with pytest.raises(ValueMistake, match="NaN"):
        H.solve((ones[0] * np.nan, ones[1]))
    with pytest.raises(ValueMistake, match="infinite"):
        H.solve((ones[0] * np.inf, ones[1]))
    assert close(laid(H.apply(H.solve(ones))), 1 + 0 * laid(ones))
    broken = jacobian("U*V'", "U", "V", U=values["U"] * np.nan, V=values["V"])
    with pytest.raises(ValueMistake, match="NaN"):
        gauss_newton(broken).solve(ones)


def test_gradients_beside_them_are_left_out() -> None:
    asked = wrt.gradients("exp(x'*y)", "x", ("x", "x"), "y", ("x", "y"), ("y", "y"))
    values = {"x": normal(3), "y": normal(3)}
    H = asked.compile(structured=True).joint(values)
    assert H.shape == (6, 6)
    assert close(H.dense(), H.dense().T)
    assert all(isinstance(b, Structured) for row in H.blocks for b in row)
