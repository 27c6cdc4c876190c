"""Several variables: gradients at once, higher derivatives, entries, products with Hessians."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest

import wrt
from judging import judge_answer
from wrt.apps.command import run
from wrt.errors import NameMistake, ValueMistake

RNG = np.random.default_rng(11)
LAYER = "norm2(tanh(W*x+b)-y)^2"


def layer_values(n: int = 3, m: int = 4) -> dict[str, np.ndarray]:
    sizes = {"W": (n, m), "x": (m,), "b": (n,), "y": (n,)}
    return {name: RNG.normal(size=shape) for name, shape in sizes.items()}


def test_gradients_by_all_variables() -> None:
    together = wrt.gradients(LAYER)
    assert [D.title[-1] for D in together] == ["W", "x", "b", "y"]
    values = layer_values()
    for D, array in zip(together, together(**values), strict=True):
        assert np.allclose(array, wrt.derivative(LAYER, D.wanted[0].text)(**values))
        assert D.check().passed


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("tr(A*S)+norm2(S*x)^2", {"S": "n n symmetric"}),
        ("sum(p.*log(p./q))", {"p": "n simplex", "q": "n positive"}),
        ("tr(Q'*A*Q)", {"Q": "n n orthogonal"}),
        ("tanh(W*x)", {}),
    ],
)
def test_gradients_are_the_derivatives_one_by_one(text, shapes) -> None:
    for symmetric in ("projected", "tied"):
        for D in wrt.gradients(text, shapes=shapes, symmetric=symmetric):
            one = wrt.derivative(text, D.wanted[0].text, shapes=shapes, symmetric=symmetric)
            assert D.convention == one.convention
            assert D.matrix == one.matrix
            assert D.check().passed


def test_a_hessian_beside_the_gradient_shares_its_work() -> None:
    text = "sum(log(1 + exp(-y.*(X*w))))"
    values = {"X": RNG.normal(size=(5, 3)), "y": RNG.normal(size=5), "w": RNG.normal(size=3)}
    gradient, hessian, mixed = together = wrt.gradients(text, "w", ("w", "w"), ["w", "y"])
    assert (gradient.shape, hessian.shape, mixed.shape) == (("m",), ("m", "m"), ("m", "n"))
    for backend in ("numpy", "jax", "torch"):
        value, *found = together.compile(backend, value=True)(**values)
        assert np.isclose(
            float(value), np.log(1 + np.exp(-values["y"] * (values["X"] @ values["w"]))).sum()
        )
        for D, array in zip(together, found, strict=True):
            assert np.allclose(
                np.asarray(array), D(**values), rtol=1e-4 if backend == "jax" else 1e-9
            )
    source = together[:2] and wrt.gradients(text, "w", ("w", "w")).source()
    assert source.count("X @ w") + source.count("X @ ") == 2
    assert " by w, (w, w)." in source
    G, H = wrt.gradients(text, "w", ("w", "w")).compile(structured=True)(**values)
    assert np.allclose(H.solve(G.dense()), np.linalg.solve(hessian(**values), gradient(**values)))
    with pytest.raises(ValueMistake, match="first derivatives"):
        together.source("torch", custom=True)
    for nothing in ((), []):
        with pytest.raises(NameMistake, match="with respect to something"):
            wrt.gradients(text, "w", nothing)


def test_entries_beside_whole_variables() -> None:
    first, second = wrt.gradients("x'*A*x", "A[1,:]", "x")
    assert (first.shape, second.matrix) == (("n",), "(A+A')*x")


def test_one_program_for_all() -> None:
    together = wrt.gradients(LAYER, "W", "b")
    values = layer_values()
    value, *found = together.compile(value=True)(**values)
    assert np.isclose(
        value, ((np.tanh(values["W"] @ values["x"] + values["b"]) - values["y"]) ** 2).sum()
    )
    for array, D in zip(found, together, strict=True):
        assert np.allclose(array, D(**values))
    source = together.source(value=True)
    assert source.count("np.tanh(") == 1
    assert "The value and the derivatives of norm2(tanh(W*x+b)-y)^2 by W, b." in source
    space: dict = {}
    exec(source, space)
    assert np.allclose(space["gradients"](**values)[1], found[0])


def test_no_variable_to_differentiate_by() -> None:
    with pytest.raises(wrt.errors.NameMistake, match="no variable"):
        wrt.gradients("2+3")


# The command line


def test_all_on_one_page(capsys) -> None:
    assert run(["norm2(A*x - b)^2", "--all"]) == 0
    said = capsys.readouterr().out
    assert said.count("  matrix  ") == 3
    assert said.count("checked") == said.count("assumed") == 1
    assert "2*(A*x - b)*x'" in said


def test_all_as_data_and_as_a_program(capsys) -> None:
    assert run(["x'*A*x", "--all", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert [one["question"]["by"] for one in made["answers"]] == [["x"], ["A"]]
    assert run(["x'*A*x", "--all", "--code", "numpy"]) == 0
    assert "def gradients(x, A):" in capsys.readouterr().out
    assert run(["x'*y", "--all", "--at", "x=[1,2]", "--at", "y=[3,4]"]) == 0
    said = capsys.readouterr().out
    assert "[3. 4.]" in said
    assert "[1. 2.]" in said


@pytest.mark.parametrize("more", [["x"], ["--steps"], ["--entry", "1"], ["--view", "gradient"]])
def test_what_does_not_go_with_all(more, capsys) -> None:
    assert run(["x'*A*x", "--all", *more]) == 2
    assert f"--all does not go together with {more[0]}" in capsys.readouterr().err


def test_programs_of_an_entry_and_of_a_direction(capsys) -> None:
    assert run(["norm2(A*x-b)^2", "x", "--entry", "2", "--code", "numpy"]) == 0
    assert "A[:, 1]" in capsys.readouterr().out
    assert run(["A*x", "x", "--direction", "V", "--code", "numpy"]) == 0
    assert "def derivative(A, x, V):" in capsys.readouterr().out
    assert run(["A*x", "x", "--direction", "V", "--latex"]) == 2
    assert "--latex does not go together with --direction" in capsys.readouterr().err


# Higher orders


MIXED = [
    ("x'*A*y", ("x", "y"), "A"),
    ("norm2(A*x-b)^2", ("x", "b"), "-2*A'"),
    ("norm2(A*x-b)^2", ("b", "x"), "-2*A"),
    ("log(a'*x)", ("x", "a"), None),
    ("sum(exp(A*x))", ("x", "A"), None),
    ("a'*inv(X)*b", ("X", "a"), None),
    ("sum(tanh(x))", ("x", "x", "x"), None),
    ("x'*A*x", ("x", "x", "A"), None),
    ("exp(a'*x)", ("x", "a", "x"), None),
    ("prod(x)", ("x", "x", "x"), None),
    ("(a'*x)^4", ("x", "x", "x", "x"), None),
    ("a'*X*b", ("a", "X", "b"), None),
]


@pytest.mark.parametrize(("text", "names", "matrix"), MIXED)
def test_mixed_and_third_derivatives(text, names, matrix) -> None:
    D = wrt.derivative(text, *names)
    assert matrix is None or D.matrix == matrix
    judge_answer(D)


def test_the_order_of_two_names_is_that_of_the_axes() -> None:
    one = wrt.derivative("sum(exp(A*x))", "x", "A")
    two = wrt.derivative("sum(exp(A*x))", "A", "x")
    values = {"A": RNG.normal(size=(3, 4)), "x": RNG.normal(size=4)}
    assert np.allclose(one(**values), np.moveaxis(two(**values), -1, 0))


@pytest.mark.parametrize(
    ("text", "names", "place"),
    [
        ("W*x", ("W[1,2]",), np.s_[:, 0, 1]),
        ("W*x", ("W[:,1]",), np.s_[:, :, 0]),
        ("x'*A*x", ("x[2:3]",), np.s_[1:3]),
        ("tanh(W*x)", ("W[2,:]",), np.s_[:, 1, :]),
        ("x'*A*x", ("x[1]", "x[2]"), np.s_[0, 1]),
        ("sum(exp(W*x))", ("W[1,:]", "x"), np.s_[0, :, :]),
        ("sum(exp(W*x))", ("x[1:2]", "W[:,2]"), np.s_[0:2, :, 1]),
        ("tr(A*S*S)", ("S[1,2]",), np.s_[0, 1]),
    ],
)
def test_by_entries_and_slices(text, names, place) -> None:
    """A part of the whole derivative; its maps agree with that part."""
    shapes = {"S": "n n symmetric"} if "S" in text else None
    D = wrt.derivative(text, *names, shapes=shapes)
    whole = wrt.derivative(text, *(n.split("[")[0] for n in names), shapes=shapes)
    sizes = {"W": (3, 4), "x": (4,), "A": (4, 4), "S": (4, 4)}
    values = {n: RNG.normal(size=sizes[n]) for n in whole.question.variables}
    if "S" in values:
        values["S"] = values["S"] + values["S"].T
    part = whole(**values)[place]
    assert np.allclose(D(**values), part)
    direction = RNG.normal(size=part.shape[part.ndim - D.groups[-1] :])
    wanted = np.tensordot(part, direction, direction.ndim)
    assert np.allclose(D.apply(direction, **values), wanted)
    back = RNG.normal(size=part.shape[: part.ndim - D.groups[-1]])
    assert np.allclose(D.pullback(back, **values), np.tensordot(back, part, back.ndim))


def test_a_hessian_times_a_vector_never_forms_the_hessian() -> None:
    n = 100_000
    text = "sum(log(1+exp(a.*tanh(b.*x).^2)))+norm2(x)^4"
    D = wrt.derivative(text, "x", "x", shapes=dict.fromkeys("abx", "n"))
    values = {name: RNG.normal(size=n) for name in "abx"}
    v = RNG.normal(size=n)
    D.apply(v, **values)
    tracemalloc.start()
    found = D.apply(v, **values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * v.nbytes  # the Hessian would take n times as much
    gradient = wrt.derivative(text, "x", shapes=dict.fromkeys("abx", "n"))
    h = 1e-6
    ahead, behind = (gradient(**{**values, "x": values["x"] + s * h * v}) for s in (1, -1))
    assert np.allclose(found, (ahead - behind) / (2 * h), rtol=1e-4, atol=1e-3)
    with pytest.raises(wrt.errors.TooLarge):
        D(**values)


def test_a_chain_of_layers_times_a_vector() -> None:
    """Two hidden layers: nothing of the size of the square of a matrix of weights."""
    text = "norm2(U*tanh(V*tanh(W*x))-y)^2"
    n = 150
    shapes = {"U": "n n", "V": "n n", "W": "n n", "x": "n", "y": "n"}
    values = {
        name: RNG.normal(size=(n, n)[: len(s.split())]) / n**0.5 for name, s in shapes.items()
    }
    D = wrt.derivative(text, "W", "W", shapes=shapes)
    direction = RNG.normal(size=(n, n))
    tracemalloc.start()
    found = D.apply(direction, **values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 * direction.nbytes
    gradient = wrt.derivative(text, "W", shapes=shapes)
    h = 1e-6
    ahead, behind = (gradient(**{**values, "W": values["W"] + s * h * direction}) for s in (1, -1))
    assert np.allclose(found, (ahead - behind) / (2 * h), atol=1e-5)
