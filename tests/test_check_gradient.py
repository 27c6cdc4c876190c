"""Gradients in code: right ones pass, wrong ones are refuted with the term that is off."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wrt
from wrt.apps.command import run
from wrt.errors import NameMistake, ValueMistake

check = wrt.check_gradient


def tanh_back(g: Any, W: Any, x: Any, b: Any) -> Any:
    d = g * (1 - np.tanh(W @ x + b) ** 2)
    return np.outer(d, x), W.T @ d, d


# Right


def test_a_right_gradient_passes() -> None:
    found = check(lambda A, x: (A + A.T) @ x, "x'*A*x", "x")
    assert found.passed
    assert found.kind == "right"
    assert found.error < 1e-12
    assert found.places >= 6
    assert found


def test_several_gradients_at_once() -> None:
    found = check(tanh_back, "tanh(W*x+b)", "W", "x", "b")
    assert found.passed
    assert [part.name for part in found.parts] == ["W", "x", "b"]


def test_a_derivative_in_its_shape_and_in_views() -> None:
    dense = check(lambda W, x: np.einsum("ia,b->iab", np.eye(len(W)), x), "W*x", "W")
    assert dense.kind == "right"
    rows = check(lambda W, x: np.kron(np.eye(len(W)), x), "W*x", "W")
    assert rows.kind == "layout"
    assert "row by row" in rows.sentence
    assert check(lambda A, x: A.T, "A*x", "x").kind == "layout"
    column = check(lambda A, x: ((A + A.T) @ x)[:, None], "x'*A*x", "x")
    assert (column.kind, column.passed) == ("layout", True)


def test_names_or_order_give_the_arguments() -> None:
    assert check(lambda x, A: (A + A.T) @ x, "x'*A*x", "x").passed  # by name
    assert check(lambda p, q: (q + q.T) @ p, "x'*A*x", "x").passed  # by order: x, then A
    assert check(lambda **values: 2 * values["x"], "x'*x", "x").passed
    assert check(lambda lambda_, x: lambda_ * np.ones_like(x), "lambda*sum(x)", "x").passed
    assert check(lambda x, scale=2: scale * x, "x'*x", "x").passed


def test_given_values_are_used() -> None:
    seen = []

    def gradient(A: Any, x: Any) -> Any:
        seen.append((A.shape, x.tolist()))
        return (A + A.T) @ x

    assert check(gradient, "x'*A*x", "x", A=np.ones((2, 2)), x=[1.0, 2.0]).passed
    assert seen == [((2, 2), [1.0, 2.0])]
    assert check(gradient, "x'*A*x", "x", x=[1.0, 2.0]).passed  # A is drawn, of the size of x
    assert {shape for shape, _ in seen} == {((2, 2))}


def test_values_drawn_are_in_the_domain() -> None:
    seen = []

    def gradient(x: Any) -> Any:
        seen.append(x.min())
        return 1 / x

    assert check(gradient, "sum(log(x))", "x").passed
    assert min(seen) > 0
    assert check(lambda C: np.linalg.inv(C), "logdet(C)", "C", shapes={"C": "n n spd"}).passed


def test_single_precision_is_judged_by_its_own_rounding() -> None:
    x = np.linspace(1, 2, 5, dtype=np.float32)
    assert check(lambda x: np.exp(x) / np.exp(x).sum(), "logsumexp(x)", "x", x=x).passed
    almost = check(lambda x: np.exp(x) / np.exp(x).sum() * 1.0001, "logsumexp(x)", "x")
    assert not almost.passed


# Wrong: what is off is named


@pytest.mark.parametrize(
    ("function", "f", "reason"),
    [
        (lambda A, x, b: A.T @ (A @ x - b), "norm2(A*x-b)^2", "the result lacks a factor 2"),
        (lambda A, x, b: -2 * A.T @ (A @ x - b), "norm2(A*x-b)^2", "the result has the wrong sign"),
        (
            lambda A, x, b: 2 * A.T @ (A @ x + b),
            "norm2(A*x-b)^2",
            "the sign before b should be minus",
        ),
        (lambda A, x, b: 2 * A.T @ A @ x, "norm2(A*x-b)^2", "b is missing"),
        (lambda A, x, b: 2 * A.T @ A @ x - A.T @ b, "norm2(A*x-b)^2", "2*A'*b lacks a factor 2"),
        (lambda A, x, b: 2 * A.T @ (A @ x - b) / len(b), "norm2(A*x-b)^2", "lacks a factor"),
        (lambda A, x: A @ x, "x'*A*x", "A'"),
        (lambda A, x: A.T @ np.sin(A @ x), "sum(sin(A*x))", "sin(A*x) should be cos(A*x)"),
        (lambda A, x: A.T @ np.ones(len(A)), "sum(sin(A*x))", "the factor cos(A*x) is missing"),
        (lambda x: 2 * x, "mean(x.^2)", "the result has a factor n too many"),
        (lambda x: x / (x @ x), "norm2(x)", "norm2(x)"),
        (lambda a, x: a * np.exp(a @ x), "log(1 + exp(a'*x))", ""),
    ],
)
def test_what_is_off_is_named(function: Callable[..., Any], f: str, reason: str) -> None:
    found = check(function, f, "x")
    assert not found.passed
    assert reason in str(found)
    assert len(found.sentence) > len("wrong: ")
    assert found.where is not None
    _, got, wanted = found.where
    assert got != wanted


def test_a_missing_chain_factor_in_a_backward() -> None:
    said = str(check(lambda g, W, x, b: np.outer(g, x), "tanh(W*x+b)", "W"))
    assert "the factor (1-tanh(W*x+b).^2) is missing" in said
    said = str(check(lambda g, W, x: W @ g if len(W) == len(x) else W.T @ g, "W*x", "x"))
    assert "right" in said


def test_a_transpose_is_no_layout_of_a_gradient() -> None:
    found = check(lambda g, W, x: np.outer(x, g), "W*x", "W")
    assert not found.passed
    assert "should be transposed" in found.sentence
    assert "(4, 3) came back" in str(found) or "(3, 4) came back" in str(found)
    square = check(lambda X: np.linalg.inv(X), "logdet(X)", "X")
    assert "should be transposed" in square.sentence


def test_axes_that_were_added() -> None:
    found = check(lambda X: 2 * X.sum(axis=0), "sum(X.^2)", "X")
    assert "summed over axis 1" in found.sentence
    found = check(lambda A, x: A.sum(axis=0), "A*x", "x")
    assert "derivative of the sum of all entries" in found.sentence
    found = check(lambda x: 1 - np.tanh(x) ** 2, "tanh(x)", "x")
    assert "only the diagonal" in found.sentence


def test_a_condition_that_makes_it_right_is_told() -> None:
    said = str(check(lambda A, x: 2 * A @ x, "x'*A*x", "x"))
    assert "it is right only where A is symmetric" in said


def test_a_convention_is_told() -> None:
    shapes = {"S": "n n symmetric"}
    found = check(lambda A, S: A + A.T - np.diag(np.diag(A)), "tr(A*S)", "S", shapes=shapes)
    assert "another convention" in found.sentence
    assert check(lambda A, S: (A + A.T) / 2, "tr(A*S)", "S", shapes=shapes).passed


def test_numbers_that_are_not_finite() -> None:
    found = check(lambda x: x * np.nan, "x'*x", "x")
    assert "not finite" in found.sentence


# What cannot be checked


def test_a_function_that_fails_is_quoted_with_its_line() -> None:
    def broken(A: Any, x: Any) -> Any:
        return A @ nothing  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ValueMistake, match="broken raised NameError") as told:
        check(broken, "A*x", "x")
    assert "return A @ nothing" in str(told.value)
    assert "test_check_gradient.py, line" in str(told.value)


def test_a_function_of_other_names() -> None:
    def f(A: Any, c: Any) -> Any:
        return A

    with pytest.raises(ValueMistake, match="f takes A, c, and the formula's variables are A, x"):
        check(f, "A*x", "x")
    with pytest.raises(ValueMistake, match="gave back None"):
        check(lambda x: None, "x'*x", "x")
    with pytest.raises(ValueMistake, match="gave back one, and 2 gradients are wanted"):
        check(lambda A, x: x, "x'*A*x", "x", "A")
    with pytest.raises(ValueMistake, match="no function"):
        check(3, "x'*x", "x")
    with pytest.raises(ValueMistake, match="the formula has no name xs; did you mean x"):
        check(lambda x: x, "x'*x", "x", xs=[1.0])
    with pytest.raises(ValueMistake, match="n cannot be both"):
        check(lambda A, x: x, "x'*A*x", "x", A=np.ones((2, 2)), x=np.ones(3))
    with pytest.raises(NameMistake):
        check(lambda x: x, "x'*x")


# Other libraries


def test_torch() -> None:
    torch = pytest.importorskip("torch")

    def right(A: Any, x: Any) -> Any:
        return torch.matmul(A + A.T, x)

    assert check(right, "x'*A*x", "x").passed
    assert not check(lambda A, x: torch.matmul(A, x), "x'*A*x", "x").passed

    class Tanh(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, W: Any, x: Any) -> Any:
            y = torch.tanh(W @ x)
            ctx.save_for_backward(W, x, y)
            return y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            W, x, y = ctx.saved_tensors
            d = g * (1 - y**2)
            return torch.outer(d, x), W @ d if len(W) == len(x) else W.T @ d * 2

    found = check(Tanh, "tanh(W*x)", "W", "x")
    assert [part.kind for part in found.parts] == ["right", "wrong"]
    assert "the result has a factor 2 too many" in found.parts[1].sentence


@pytest.mark.filterwarnings("ignore")
def test_jax() -> None:
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    assert check(lambda A, x: jnp.dot(A + A.T, x), "x'*A*x", "x").passed
    found = check(jax.grad(lambda x: jnp.sum(jnp.sin(x))), "sum(cos(x))", "x")
    assert not found.passed

    @jax.custom_vjp  # type: ignore[untyped-decorator]
    def f(A: Any, x: Any) -> Any:
        return x @ A @ x

    def forward(A: Any, x: Any) -> Any:
        return f(A, x), (A, x)

    def backward(kept: Any, g: Any) -> Any:
        A, x = kept
        return g * jnp.outer(x, x), g * 2 * A @ x

    f.defvjp(forward, backward)
    found = check(f, "x'*A*x", "A", "x")
    assert [part.kind for part in found.parts] == ["right", "wrong"]
    assert "A is symmetric" in str(found.parts[1])


# The command

CODE = """
import numpy as np

def right(A, x):
    return (A + A.T) @ x

def wrong(A, x):
    return 2 * A @ x

def fails(A, x):
    return A.nothing
"""


@pytest.fixture
def code(tmp_path: Path) -> str:
    path = tmp_path / "some_gradients.py"
    path.write_text(CODE, "utf-8")
    return str(path)


def test_the_command(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", f"{code}:right", "x'*A*x", "x"]) == 0
    assert "right: it computes the derivative" in capsys.readouterr().out
    assert run(["check", f"{code}:wrong", "x'*A*x", "x"]) == 3
    out = capsys.readouterr().out
    assert "derivative     (A + A')*x" in out
    assert "it is right only where A is symmetric" in out
    assert run(["check", f"{code}:wrong", "x'*A*x", "x", "--json", "--at", "x=[1,2]"]) == 3
    said = json.loads(capsys.readouterr().out)
    assert said["schema"] == "wrt.check/1"
    assert said["passed"] is False
    assert said["parts"][0]["verdict"] == "wrong"
    assert (
        run(["check", f"{code}:right", "x'*A*x", "x", "--at", "x=[1,2]", "--shape", "A=n,n"]) == 0
    )


def test_the_command_tells_mistakes(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", f"{code}:rigth", "x'*A*x", "x"]) == 1
    assert "did you mean right?" in capsys.readouterr().err
    assert run(["check", f"{code}:fails", "x'*A*x", "x"]) == 1
    assert "return A.nothing" in capsys.readouterr().err
    assert run(["check", "nothing", "x'*A*x", "x"]) == 2
    assert run(["check", "nothing.py:f", "x'*A*x", "x"]) == 2
    assert run(["check", f"{code}:right", "x'*A*x"]) == 2
    Path(code).write_text("import nothing_at_all", "utf-8")
    assert run(["check", f"{code}:right", "x'*A*x", "x"]) == 1
    assert "ModuleNotFoundError" in capsys.readouterr().err
