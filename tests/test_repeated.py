"""Calls with arrays of shapes that came in before: the same numbers, the same refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import wrt
from case_data import CASES, draw
from wrt.errors import ValueMistake

LOGISTIC = "sum(log(1 + exp(-y.*(X*w)))) + w'*w/8"
QUESTIONS: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    (LOGISTIC, ("w",), {"X": (20, 10), "y": 20, "w": 10}),
    (LOGISTIC, ("w", "w"), {"X": (20, 10), "y": 20, "w": 10}),
    ("tanh(W*s + b)", ("W",), {"W": (4, 3), "s": 3, "b": 4}),
    ("relu(W*x)", ("x",), {"W": (4, 3), "x": 3}),
    ("sum(max(x, y))", ("x",), {"x": 5, "y": 5}),
    ("a'*inv(X)*b", ("X",), {"a": 3, "b": 3, "X": (3, 3)}),
    ("x'*A*x", ("x",), {"A": (3, 3), "x": 3}),
    ("norm2(x)", ("x",), {"x": 6}),
    ("c*x'*x", ("c",), {"c": (), "x": 6}),
    ("X", ("X",), {"X": (2, 3)}),
]


def asked(question: Any, dtype: Any = float) -> tuple[Callable[..., Any], dict[str, Any]]:
    text, by, shapes = question
    rng = np.random.default_rng(4)
    values = {n: np.asarray(rng.standard_normal(s), dtype) for n, s in shapes.items()}
    return wrt.derivative(text, *by).compile(), values


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: f"{q[0]} by {','.join(q[1])}")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_calls_agree_and_share_nothing(question: Any, dtype: Any) -> None:
    program, values = asked(question, dtype)
    found = [program(values) for _ in range(4)]
    for other in found[1:]:
        assert type(other) is np.ndarray
        assert other.dtype == dtype
        np.testing.assert_array_equal(found[0], other)
        assert not np.may_share_memory(found[0], other)
        assert not any(np.may_share_memory(other, value) for value in values.values())
    moved = {name: value + dtype(1) for name, value in values.items()}
    fresh = asked(question, dtype)[0]
    np.testing.assert_array_equal(program(moved), fresh(moved))


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: f"{q[0]} by {','.join(q[1])}")
def test_nan_is_refused_in_every_array(question: Any) -> None:
    program, values = asked(question)
    for _ in range(3):
        program(values)
    for name, value in values.items():
        for place in np.ndindex(value.shape):
            spoiled = {n: v.copy() for n, v in values.items()}
            spoiled[name][place] = np.nan
            with pytest.raises(ValueMistake, match=f"{name}.*is NaN"):
                program(spoiled)
    np.testing.assert_array_equal(program(values), asked(question)[0](values))


def test_what_is_wrong_is_refused_after_many_calls() -> None:
    program, values = asked(QUESTIONS[0])
    for _ in range(3):
        program(**values)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"X": values["X"][:, :9]}, "X has 9 columns"),
        ({"y": values["y"][None]}, "y is a vector"),
        ({"w": np.ma.masked_array(values["w"], values["w"] > 0)}, "masked"),
        ({"w": values["w"].astype(complex)}, "complex"),
        ({"w": ["a"] * 10}, "w holds text"),
    ]
    for change, said in wrong:
        with pytest.raises(ValueMistake, match=said):
            program(**(values | change))
    with pytest.raises(ValueMistake, match="given twice"):
        program(values, X=values["X"])
    with pytest.raises(ValueMistake, match="no value is given for w"):
        program({n: v for n, v in values.items() if n != "w"})
    with pytest.raises(ValueMistake, match="nothing here is called q"):
        program({n.replace("w", "q"): v for n, v in values.items()})
    with pytest.raises(ValueMistake, match="by name"):
        program(*values.values())


def test_other_types_come_in_as_before() -> None:
    program, values = asked(QUESTIONS[0])
    wanted = program(values)
    for _ in range(3):
        program(values)
    np.testing.assert_allclose(program({n: v.tolist() for n, v in values.items()}), wanted)
    np.testing.assert_allclose(program(values | {"X": np.asfortranarray(values["X"])}), wanted)
    np.testing.assert_allclose(program(values | {"X": values["X"].astype(">f8")}), wanted)
    single = program({n: v.astype(np.float32) for n, v in values.items()})
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, wanted, rtol=1e-4)


def test_a_singular_matrix_is_refused_after_many_calls() -> None:
    program, values = asked(QUESTIONS[5])
    for _ in range(3):
        program(values)
    with pytest.raises(ValueMistake, match="singular"):
        program(values | {"X": np.ones((3, 3))})


def test_a_declared_property_is_looked_at_in_every_call() -> None:
    program = wrt.derivative("log(x)", "x", shapes={"x": "n positive"}).compile()
    for _ in range(3):
        program(x=np.ones(3))
    with pytest.raises(ValueMistake, match="declared positive"):
        program(x=-np.ones(3))


def test_numbers_beside_arrays() -> None:
    program = wrt.derivative("c*x'*x", "x").compile()
    for _ in range(3):
        np.testing.assert_array_equal(program(c=2.0, x=np.ones(3)), 4 * np.ones(3))
    single = program(c=2.0, x=np.ones(3, np.float32))
    assert single.dtype == np.float32
    with pytest.raises(ValueMistake, match="c is NaN"):
        program(c=float("nan"), x=np.ones(3))


@pytest.mark.parametrize("library", ["jax", "torch"])
@pytest.mark.parametrize("question", QUESTIONS[:-1], ids=lambda q: f"{q[0]} by {','.join(q[1])}")
def test_programs_of_other_libraries_called_again(question: Any, library: str) -> None:
    text, by, shapes = question
    rng = np.random.default_rng(4)
    values = {n: rng.standard_normal(s) for n, s in shapes.items()}
    wanted = wrt.derivative(text, *by)(values)
    program = wrt.derivative(text, *by).compile(library)
    made = {n: arrays_of(library)(v) for n, v in values.items()}
    for given in (made, values, made, made, values, values, made):
        found = program(given)
        assert type(found) is type(next(iter(made.values())))
        np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-9, atol=1e-12)
    name = next(iter(shapes))
    with pytest.raises(ValueMistake):
        program(made | {name: arrays_of(library)(np.ones((2, 2, 2)))})
    with pytest.raises(ValueMistake):
        program({n: v for n, v in made.items() if n != name})


@pytest.fixture(autouse=True)
def as_jax_was() -> Iterator[None]:
    """What a test sets JAX to stays with it."""
    import jax

    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


def arrays_of(library: str) -> Callable[[Any], Any]:
    if library == "torch":
        import torch

        return lambda v: torch.tensor(v)
    import jax

    jax.config.update("jax_enable_x64", True)
    return lambda v: jax.numpy.asarray(v)


def test_tensors_of_another_device_are_refused_after_many_calls() -> None:
    import torch

    program = wrt.derivative("x'*A*x", "x").compile("torch")
    values = {"A": torch.eye(3), "x": torch.ones(3)}
    for _ in range(4):
        program(values)
    with pytest.raises(ValueMistake, match="one device"):
        program(values | {"x": torch.ones(3, device="meta")})


def test_what_pytorch_and_jax_do_with_a_program_after_many_calls() -> None:
    import jax
    import torch

    program = wrt.derivative("x'*A*x", "x").compile("torch")
    A, x = torch.eye(3), torch.ones(3, requires_grad=True)
    for _ in range(4):
        program(A=A, x=x)
    (found,) = torch.autograd.grad(program(A=A, x=x).sum(), x)
    assert torch.equal(found, 2 * torch.ones(3))
    rows = torch.func.vmap(lambda row: program(A=A, x=row))(torch.ones(4, 3))
    assert rows.shape == (4, 3)
    jitted = wrt.derivative("x'*A*x", "x").compile("jax")
    for _ in range(4):
        jitted(A=jax.numpy.eye(3), x=jax.numpy.ones(3))
    J = jax.jacobian(lambda x: jitted(A=jax.numpy.eye(3), x=x))(jax.numpy.ones(3))
    np.testing.assert_allclose(J, 2 * np.eye(3))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_nan_in_real_questions_called_again(case: dict[str, Any]) -> None:
    symmetric = case["symmetric"] or "projected"
    D = wrt.derivative(case["text"], *case["wrt"], shapes=case["shapes"], symmetric=symmetric)
    program, values = D.compile(), draw(case)
    values = {v.name: np.asarray(values[v.name]) for v in D.arguments}
    first, *others = [program(values) for _ in range(4)]
    for other in others:  # a plan for these sizes may add up in another order
        np.testing.assert_allclose(first, other, rtol=1e-11, atol=1e-11 * np.abs(first).max())
    rng = np.random.default_rng(1)
    for name, value in values.items():
        spoiled = np.array(value, complex if value.dtype.kind == "c" else float)
        spoiled[tuple(rng.integers(spoiled.shape))] = np.nan
        with pytest.raises(ValueMistake):
            program(values | {name: spoiled})


def test_calls_with_many_shapes_in_turn() -> None:
    program = wrt.derivative("c*tanh(A*x)", "x").compile()
    rng = np.random.default_rng(5)
    drawn = [
        {"c": rng.normal(), "A": rng.normal(size=(1 + k, 2)), "x": rng.normal(size=2)}
        for k in range(20)
    ]
    wanted = [wrt.derivative("c*tanh(A*x)", "x").compile()(values) for values in drawn]
    for _ in range(4):
        for values, want in zip(drawn, wanted, strict=True):
            np.testing.assert_array_equal(program(values), want)
    assert 1 < len(program._repeated) < 20
    assert len(set(program._remembered)) == len(program._repeated)
    for _ in range(3):
        with pytest.raises(ValueMistake, match=r"x\[2\] is NaN"):
            program(drawn[-1] | {"x": np.array([1.0, np.nan])})
    assert len(set(program._remembered)) == len(program._repeated)
    np.testing.assert_array_equal(program(**drawn[-1]), wanted[-1])
