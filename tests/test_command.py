"""The command line: what it prints, how it ends, what it refuses."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest

from wrt import programs
from wrt.answers import Derivative, derivative
from wrt.answers.claims import printed
from wrt.answers.proof import Check
from wrt.answers.sequences import recurrence
from wrt.apps import answer_text, book_text, command
from wrt.apps.page import Page
from wrt.errors import CheckFailed
from wrt.functions import BOOK
from wrt.language import read

STEP = "tanh(W*s + U*x + b)"


def wrt(*arguments: str, stdin: bytes = b"", width: int = 80) -> SimpleNamespace:
    """Run the command line in this process: its exit code, what it says, what it complains of."""
    out, err = io.StringIO(), io.StringIO()
    given = io.TextIOWrapper(io.BytesIO(stdin))
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "stdin", given),
        mock.patch.dict(os.environ, {"COLUMNS": str(width)}),
    ):
        code = command.run(list(arguments))
    return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())


def answered(*arguments: str, **options: Any) -> str:
    """What is printed, the largest error checked and left out."""
    done = wrt(*arguments, **options)
    assert done.code == 0, done.err
    assert not done.err
    assert "Traceback" not in done.out
    said, _, error = done.out.rpartition(", largest error ")
    assert float(error) < 1e-7
    return said


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "wrt", *arguments], capture_output=True, timeout=60, **options
    )


# The questions of the thread


def test_a_vector_by_a_matrix_as_in_the_design() -> None:
    assert (
        answered("W*x", "W", "--shape", "W=2,4", width=100)
        == """\
∂(W x)/∂W        a vector by a matrix: 3 axes, 2 × (2 × 4)
  index          D[i,a,b] = δ[i,a] x[b]
  Kronecker      I ⊗ xᵀ            rows of W laid end to end;  xᵀ ⊗ I  column by column
  structure      8 of 16 entries can differ from 0; all of them are given by 4 numbers (x)
  layers         i = 1             i = 2
                 x₁ x₂ x₃ x₄       ·  ·  ·  ·
                 ·  ·  ·  ·        x₁ x₂ x₃ x₄
  why no matrix  autodiff multiplies it by a gradient g from the left at once: gᵀD = g xᵀ
  assumed        x is a vector (4)
  checked        3 random points"""
    )


def test_a_step_of_a_network_by_its_state_and_bias() -> None:
    by_state = answered(STEP, "s")
    assert "∂s  a vector by a vector: 2 axes, n × m\n" in by_state
    assert "  matrix         diag(1 - tanh(W*s + U*x + b).^2)*W\n" in by_state
    by_bias = answered(STEP, "b")
    assert "  matrix         diag(1 - tanh(W*s + U*x + b).^2)\n" in by_bias


def test_a_step_of_a_network_by_its_weights() -> None:
    said = answered(STEP, "W")
    assert "a vector by a matrix: 3 axes, n × (n × m)" in said
    assert "  structure      m*n of m*n^2 entries can differ from 0" in said
    assert "W is a matrix (n × m); s is a vector (m);" in said


def test_a_product_of_three() -> None:
    said = answered("A*X*b", "X", "--shape", "A=2,3", "--shape", "X=3,4")
    assert "3 axes, 2 × (3 × 4)" in said
    assert "A ⊗ bᵀ            rows of X laid end to end" in said
    assert "bᵀ ⊗ A            column by column" in said
    assert "i = 1                            i = 2\n" in said
    assert "A₁₃ b₁  A₁₃ b₂  A₁₃ b₃  A₁₃ b₄   A₂₃ b₁  A₂₃ b₂  A₂₃ b₃  A₂₃ b₄" in said
    assert "gᵀD = Aᵀ g bᵀ" in said


@pytest.mark.parametrize(("text", "by"), [("W", "s"), ("x", "W")])
def test_what_does_not_depend_is_zero_and_says_why(text: str, by: str) -> None:
    assert f"  zero           every entry is 0: {text} does not depend on {by}" in answered(
        text, by
    )


def test_a_matrix_by_a_vector() -> None:
    said = answered("x*x'", "x")
    assert said.startswith("∂(x xᵀ)/∂x       a matrix by a vector: 3 axes, (n × n) × n\n")
    assert "δ[i,a] x[j]" in said
    assert "δ[j,a] x[i]" in said


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (("sum(exp(A*x))", "x", "x", "x"), "a scalar by a vector 3 times: 3 axes, m × m × m\n"),
        (("sum(exp(A*x))", "x", "x", "x"), "the same under exchange of any of the axes 1, 2, 3\n"),
        (("x'*A*y", "x", "y", "x"), "a scalar by a vector and a vector and a vector"),
        (("W*x", "W", "W"), "every entry is 0: its derivative by W does not depend on W\n"),
        (("sum(sign(x))", "x"), "every entry is 0: it is zero wherever it is defined\n"),
    ],
)
def test_higher_orders_are_told_in_short(question: tuple[str, ...], said: str) -> None:
    assert said in answered(*question, width=100)


def test_a_direction_has_a_name_of_its_own() -> None:
    done = wrt("W*x", "W", "--direction", "W", "--code", "numpy")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("W is a variable of the formula, and a direction has its own name")


def test_a_direction() -> None:
    said = answered(STEP, "W", "--direction", "V")
    assert "(V*s)" in said.partition("along V")[2].partition("\n")[0]
    values = ["--at", "W=[[1,2],[3,4]]", "--at", "s=[1,2]", "--at", "V=[[0,1],[1,0]]"]
    assert "  value          [2. 1.]" in answered("W*s", "W", "--direction", "V", *values)


def test_one_entry() -> None:
    assert "  entry          D[2,1,3] = 0\n" in answered(STEP, "W", "--entry", "2,1,3")
    assert "  entry          D[2,2,3] = s[3]\n" in answered("W*s", "W", "--entry", "2,2,3")
    assert "(2 × 2 × 2)" not in answered("W*s", "W", "--entry", "1,1,1")


def test_a_hessian_has_two_names() -> None:
    said = answered("x'*A*x", "x", "x")
    assert said.startswith("∂²(xᵀ A x)/∂x∂x  a scalar by a vector twice: 2 axes, n × n\n")
    assert "  matrix         A + A'\n" in said


# Layouts, conventions, notations


def test_views_are_named_and_shown() -> None:
    assert "  matrix         A'" in answered("A*x", "x", "--view", "denominator")
    said = answered("A*X*B", "X", "--view", "vec-columns")
    assert "  view           vec-columns: a matrix" in said
    assert "(B',A)" in said or "B' ⊗ A" in said


def test_a_constrained_matrix_says_its_convention() -> None:
    free = ("tr(A*S)", "S", "--shape", "S=n,n symmetric")
    assert "projected" in answered(*free)
    assert "tied" in answered(*free, "--symmetric", "tied")


def test_where_it_is_valid() -> None:
    assert "  valid where    X is invertible" in answered("inv(X)*b", "X")


def test_a_long_formula_is_called_f() -> None:
    said = answered("h = tanh(W*x + b)\nh'*h", "b")
    assert said.startswith("∂f/∂b            a scalar by a vector: 1 axis, n\n")
    assert "  f              h = tanh(W*x + b)\n                 h'*h\n" in said


def test_steps_name_their_rules() -> None:
    said = answered("log(1 + exp(a'*x))", "x", "--steps")
    assert "  steps          df = d(exp(a'*x))/(exp(a'*x) + 1)        d log(u) = du/u\n" in said
    assert "  = (a'*dx)*exp(a'*x)/(exp(a'*x) + 1)   d exp(u) = du*exp(u)\n" in said
    assert "  D  = sigmoid(a'*x)*a                     df = D'*dx\n" in said


def test_steps_in_latex_stand_under_each_other() -> None:
    said = wrt("A*x", "x", "--steps", "--latex").out.splitlines()
    assert said[0] == r"\begin{aligned}"
    assert said[1] == r"\mathrm{d}f &= A \mathrm{d}x && \text{linear in x} \\"
    assert said[2] == r"D &= A && \text{df = D*dx}"
    assert said[3] == r"\end{aligned}"


def test_latex_in_other_forms() -> None:
    assert wrt("x'*A*x", "x", "--bold").out == "(\\mathbf{A} + \\mathbf{A}^\\top) \\mathbf{x}\n"
    said = wrt("A*X*B", "X", "--latex", "--form", "kronecker-rows").out
    assert said == "A \\otimes B^\\top\n"
    refused = wrt("W*x", "W", "--latex", "--form", "matrix")
    assert refused.code == 1
    assert "no matrix form that is short" in refused.err
    assert wrt("x'*x", "x", "--bold", "--steps").code == 2


def test_latex_is_read() -> None:
    said = wrt(r"\frac{1}{2} \mathbf{x}^\top \mathbf{A} \mathbf{x}", r"\mathbf{x}").out
    assert said.splitlines()[1:3] == [
        "  read as        1/2*x'*A*x",
        "  matrix         (A + A')*x/2",
    ]
    claimed = wrt(r"x^\top A x", "x", "--claim", r"\frac{\partial f}{\partial x} = 2 A x").out
    assert "right only where A is symmetric" in claimed
    assert "read as        2*A*x" in claimed
    declared = (r"\theta^\top W_{hh} \theta", r"\theta", "--shape", "W_{hh}=n,n symmetric")
    given = wrt(*declared, "--at", r"\theta=[1]", "--at", "W_{hh}=[[3]]").out
    assert "value          [6.]" in given
    assert "matrix         2*W_hh*theta" in wrt(*declared).out
    assert "read as        theta'*W_hh*theta" in wrt(*declared[:1], "--all").out
    assert wrt(r"\frac{1}{2", "x").err.splitlines() == [
        "{ is never closed",
        r"    \frac{1}{2",
        "            ^",
    ]


def test_latex_and_code_stand_alone() -> None:
    assert wrt("x'*A*x", "x", "--latex").out == "(A + A^\\top) x\n"
    code = wrt("norm2(A*x-b)^2", "x", "--code", "numpy").out
    scope: dict[str, Any] = {}
    exec(code, scope)
    A, x, b = np.eye(2), np.array([1.0, 2.0]), np.zeros(2)
    np.testing.assert_allclose(scope["derivative"](A=A, x=x, b=b), 2 * x)


def test_code_with_its_own_backward_pass() -> None:
    one = wrt("norm2(A*x-b)^2", "x", "--code", "torch", "--custom").out
    assert "class Function(torch.autograd.Function)" in one
    assert "the gradient by A was not derived" in one
    every = wrt("norm2(A*x-b)^2", "--all", "--code", "jax", "--custom").out
    assert "@jax.custom_vjp" in every
    assert "g_A, g_x, g_b = pullback" in every
    done = wrt("norm2(A*x-b)^2", "x", "--code", "numpy", "--custom")
    assert (done.code, done.err) == (
        1,
        "a backward pass of one's own is for jax and torch; numpy has none\n",
    )


def test_a_plan_alone_is_that_of_the_answer() -> None:
    from wrt.answers.several import gradients

    question = "norm2(A*x-b)^2"
    sized = ("--size", "n=1000,m=20")
    D = derivative(question, "x")
    assert wrt(question, "x", "--plan", *sized).out == f"{D.plan(n=1000, m=20)}\n"
    assert wrt(question, "x", "--plan").out == f"{D.plan()}\n"
    assert wrt(question, "--all", "--plan").out == f"{gradients(question).plan()}\n"
    along = wrt(question, "x", "x", "--plan", "--direction", "V", *sized)
    assert "t1 = A @ V" in along.out
    assert "A.T @ A" not in along.out
    entry = wrt("W*x", "W", "--plan", "--entry", "2,2,1", *sized).out
    assert "n × n × m" not in entry
    unknown = wrt(question, "x", "--plan", "--size", "q=3")
    assert (unknown.code, unknown.out) == (1, "")
    assert "no axis has the size q" in unknown.err


def test_code_is_planned_for_sizes() -> None:
    tall, wide = (
        wrt("X*P*X'*b", "b", "--code", "numpy", "--size", sizes).out
        for sizes in ("n=1000,m=2", "n=2,m=1000")
    )
    for text in (tall, wide):
        scope: dict[str, Any] = {}
        exec(text, scope)
        X, P = np.arange(6.0).reshape(2, 3), np.eye(3)
        np.testing.assert_allclose(scope["derivative"](X=X, P=P, b=np.ones(2)), X @ P @ X.T)


def test_json_holds_the_program_that_code_prints_and_its_plan() -> None:
    question = ("norm2(A*x-b)^2", "x")
    for more in ([], ["--direction", "V"], ["--custom"], ["--size", "n=9"]):
        asked = [*question, "--code", "jax", *more]
        said = json.loads(wrt(*asked, "--json").out)
        assert said["code"] == {"library": "jax", "source": wrt(*asked).out}
    asked = [question[0], "--all", "--code", "torch"]
    said = json.loads(wrt(*asked, "--plan", "--json", "--size", "n=9").out)
    assert said["code"]["source"] == wrt(*asked, "--size", "n=9").out
    assert (said["plan"]["sizes"], said["plan"]["assumed"]) == ({"n": 9}, ["m"])
    assert said["plan"]["steps"][0] == {
        "name": "t1",
        "text": "A @ x",
        "shape": "n",
        "operations": 2 * 9 * 100,
        "bytes": 8 * (9 * 100 + 100 + 9),
    }
    assert said["plan"]["total"]["operations"] == said["plan"]["floor"]["operations"]
    assert "plan" not in json.loads(wrt(*question, "--json").out)


def test_the_programs_by_all_variables_are_proved_too() -> None:
    plain = programs.compile
    with mock.patch.object(
        printed.programs, "compile", lambda fs, **told: plain((fs[0], 2 * fs[1]), **told)
    ):
        done = wrt("norm2(A*x)^2", "--all", "--code", "numpy")
    assert (done.code, done.out) == (3, "")
    assert "gives other numbers than its formula" in done.err


def test_a_program_alone_searches_for_one_point_and_no_words() -> None:
    from wrt.answers.claims import printed as proof

    place = mock.Mock(side_effect=proof.place)
    with (
        mock.patch.object(proof, "place", place),
        mock.patch.object(Derivative, "matrix", property(lambda D: pytest.fail("put into words"))),
    ):
        assert wrt("norm2(A*x)^2", "x", "--code", "numpy").code == 0
    assert place.call_count == 1


def test_recurrences_have_plans_and_json_holds_their_programs() -> None:
    lines = "s[t]=tanh(W*s[t-1]+U*x[t]); L[t]=norm2(s[t]-y[t])^2/2"
    rnn = recurrence(lines)
    asked = ("recurrence", lines)
    planned = wrt(*asked, "W", "--plan", "--size", "n=8,T=9")
    assert planned.out == f"{rnn.gradient('W').plan(n=8, T=9)}\n"
    both = wrt(*asked, "W", "U", "--code", "numpy")
    assert both.out == rnn.gradients("W", "U").source()
    assert wrt(*asked, "W", "U", "--plan").out == f"{rnn.gradients('W', 'U').plan()}\n"
    (said,) = json.loads(wrt(*asked, "W", "--json", "--code", "jax", "--plan").out)
    assert said["code"] == {"library": "jax", "source": rnn.gradient("W").source("jax")}
    assert sorted(said["plan"]["assumed"]) == ["T", "m", "n"]
    for apart in ("--steps", "--plan", "--latex"):
        done = wrt(*asked, "W", "--code", "numpy", apart)
        assert (done.code, done.out) == (2, "")
        assert f"--code does not go together with {apart}" in done.err


def test_a_recurrence_without_names_is_programmed_by_all_its_weights() -> None:
    lines = "s[t]=tanh(W*s[t-1]+U*x[t]); L[t]=norm2(s[t]-y[t])^2/2"
    rnn = recurrence(lines)
    assert wrt("recurrence", lines, "--code", "jax").out == rnn.gradients().source("jax")
    assert wrt("recurrence", lines, "--plan").out == f"{rnn.gradients().plan()}\n"
    done = wrt("recurrence", lines, "--json")
    assert (done.code, done.out) == (2, "")
    assert "--json wants a name: W, U" in done.err


def test_json_of_a_recurrence_holds_what_was_asked_for_beside() -> None:
    lines = "s[t]=W*s[t-1]+x[t]; L[t]=sum(s[t])"
    values = ("--at", "W=[[2]]", "--at", "s0=[1]", "--at", "x=[[0],[0]]")
    asked = ("recurrence", lines, "W", "--json")
    (said,) = json.loads(wrt(*asked, *values, "--expand", "2", "--steps").out)
    assert said["value"] == [[1.0 + 2 * 2.0]]
    assert said["expanded"] == "ds[2]/dW = J[2]*E[1] + E[2]"
    assert all(len(factor["steps"]) > 0 for factor in said["factors"])
    (plain,) = json.loads(wrt(*asked).out)
    assert plain.keys().isdisjoint({"value", "expanded"})
    done = wrt(*asked, *values, "--horizon")
    assert (done.code, done.out) == (2, "")
    assert "--horizon does not go together with --json" in done.err


@pytest.mark.parametrize(
    ("batch", "complaint"),
    [
        ("", "'' is no size of a batch"),
        ("-1", "'-1' is no size of a batch"),
        ("0", "'0' is no size of a batch"),
        ("a b", "'a b' is no size of a batch"),
        ("T", "T is a size of the lines"),
        ("n", "n is a size of the lines"),
    ],
)
def test_a_batch_has_a_size_of_its_own(batch: str, complaint: str) -> None:
    done = wrt("recurrence", "s[t]=tanh(W*s[t-1]); L[t]=sum(s[t])", "W", "--batch", batch)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(complaint)
    assert (
        "32 × n"
        in wrt(
            "recurrence", "s[t]=tanh(W*s[t-1]); L[t]=sum(s[t])", "W", "--batch", "32", "--plan"
        ).out
    )


def test_a_program_of_a_recurrence_is_proved_before_it_is_printed() -> None:
    asked = ("recurrence", "s[t]=tanh(W*s[t-1]); L[t]=sum(s[t])", "W", "--code", "numpy")
    plain = programs.compile
    with mock.patch.object(printed.programs, "compile", lambda f, **told: plain(2 * f, **told)):
        done = wrt(*asked)
    assert (done.code, done.out) == (3, "")
    assert "gives other numbers than its formula" in done.err
    with mock.patch.object(Derivative, "check", side_effect=CheckFailed("disagree")):
        assert wrt(*asked).code == wrt(*asked[:-2], "--plan").code == 3


# Numbers


def test_values_from_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "values.npz", A=np.eye(2), x=np.array([1.0, 2.0]), other=np.zeros(3))
    (tmp_path / "values.json").write_text('{"A": [[1, 0], [0, 1]], "x": [1, 2]}')
    for name in ("values.npz", "values.json"):
        assert "  value          [2. 4.]" in answered("x'*A*x", "x", "--at", str(tmp_path / name))


def test_later_values_replace_those_of_files(tmp_path: Path) -> None:
    (tmp_path / "values.json").write_text('{"a": 1, "x": [1, 2]}')
    said = answered("sum(a*x.^2)", "x", "--at", str(tmp_path / "values.json"), "--at", "a=3")
    assert "  value          [ 6. 12.]" in said


def test_a_large_array_is_shown_by_its_corners() -> None:
    x = json.dumps(list(range(3000)))
    said = answered("sum(x.^2)", "x", "--at", f"x={x}")
    assert "..." in said
    assert len(said.splitlines()) < 12


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (["x=[1,2,3]"], "A"),
        (["x=[1,2,3]", "A=[[1,2],[3,4]]"], "3 entries"),
        (["x=[1,2]", "A=[[1,2],[3,4]]", "y=[1]"], "y"),
        (["x=[1,null]", "A=[[1,2],[3,4]]"], "x"),
        (['x="two"', "A=[[1,2],[3,4]]"], "x holds text"),
        (["x=[1,NaN]", "A=[[1,2],[3,4]]"], "x[2] is NaN"),
    ],
)
def test_values_that_do_not_fit_are_mistakes(values: list[str], complaint: str) -> None:
    given = [part for value in values for part in ("--at", value)]
    done = wrt("x'*A*x", "x", *given)
    assert done.code == 1
    assert complaint in done.err
    assert not done.out


def test_a_singular_matrix_is_told() -> None:
    done = wrt("inv(A)*b", "A", "--at", "A=[[1,1],[1,1]]", "--at", "b=[1,2]")
    assert done.code == 1
    assert "A is singular" in done.err


# For machines

KEYS = [
    "schema",
    "version",
    "question",
    "shape",
    "axes",
    "view",
    "matrix",
    "index",
    "einsum",
    "differential",
    "kronecker",
    "latex",
    "structure",
    "zero",
    "valid",
    "convention",
    "held",
    "assumed",
    "runner_up",
    "check",
]


def test_json_has_the_keys_of_its_schema() -> None:
    said = json.loads(wrt("W*x", "W", "--shape", "W=2,m", "--json").out)
    assert list(said) == KEYS
    assert said["schema"] == "wrt.answer/1"
    assert said["question"] == {"text": "W*x", "by": ["W"], "shape": [2], "latex": None}
    assert said["shape"] == [2, 2, "m"]
    assert said["axes"] == [1, 2]
    assert said["index"] == "D[i,a,b] = δ[i,a]*x[b]"
    assert said["kronecker"] == {"rows": "eye(2) ⊗ x'", "columns": "x' ⊗ eye(2)"}
    assert said["structure"]["numbers"] == "m"
    assert said["check"]["passed"] is True
    assert said["assumed"] == ["x is a vector (m)"]


def test_json_holds_what_was_asked_for_beside() -> None:
    values = ["--at", "W=[[1,2]]", "--at", "s=[3,4]", "--at", "V=[[1,1]]"]
    asked = ["--entry", "1,1,2", "--direction", "V", "--steps", "--code", "numpy", "--json"]
    said = json.loads(wrt("W*s", "W", *asked, *values).out)
    assert said["entry"] == {"indices": [1, 1, 2], "text": "s[2]", "value": 4.0}
    assert said["direction"] == {"name": "V", "text": "V*s", "value": [7.0]}
    assert {"text", "rule", "error", "latex"} == set(said["steps"][0])
    assert "import numpy" in said["code"]["source"]
    dense = json.loads(wrt("W*s", "W", "--json", *values[:4]).out)
    assert dense["value"] == [[[3.0, 4.0]]]


# How it is asked


@pytest.mark.parametrize(
    "arguments", [("-x", "x"), ("--", "-x", "x"), ("-x", "x", "--full"), ("--full", "-x", "x")]
)
def test_a_formula_may_begin_with_a_minus(arguments: tuple[str, ...]) -> None:
    assert "  matrix         -eye(n)" in answered(*arguments)


def test_a_formula_from_standard_input() -> None:
    said = answered("-", "x", stdin="Σ = A'*A\nx'*Σ*x\n".encode())
    assert "∂f/∂x" in said
    assert wrt("-", "x", stdin=b"\xff\xfe").code == 1
    assert wrt("-", "x", stdin=b"").code == 1


def test_options_may_stand_anywhere() -> None:
    first = answered("--shape", "W=2,4", "W*x", "W")
    assert first == answered("W*x", "--shape=W=2,4", "W")


def test_declared_functions() -> None:
    assert "phi'" in answered("phi(W*x)", "x", "--shape", "phi=entrywise")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "Usage"),
        (("W*x",), "its variables are W, x"),
        (("W*x", "W", "--jsn"), "did you mean --json?"),
        (("W*x", "W", "--view", "sideways"), "denominator"),
        (("W*x", "W", "--shape", "W"), "NAME=AXES"),
        (("W*x", "W", "--shape", "W=n,m", "--shape", "W=2"), "declared twice"),
        (("W*x", "W", "--entry", "a,b,c"), "counted from 1"),
        (("W*x", "W", "--at", "missing.npz"), "No such file"),
        (("W*x", "W", "--at", "values.txt"), ".npz or .json"),
        (("W*x", "W", "--at", "x=[1,"), "JSON"),
        (("W*x", "W", "--shape"), "requires an argument"),
        (("W*x", "W", "--custom"), "--custom goes with --code torch or --code jax"),
        (("W*x", "W", "--code", "jax", "--custom", "--direction", "V"), "--custom does not go"),
        (("W*x", "W", "--size", "n=3"), "--size goes with --code or --plan"),
        (("W*x", "W", "--plan", "--size", "n"), "NAME=NUMBER"),
        (("W*x", "W", "--plan", "--size", "n=-1"), "NAME=NUMBER"),
        (("W*x", "W", "--code", "jax", "--custom", "--size", "n=1"), "--custom does not go"),
        (("help", "--jsn"), "--jsn"),
    ],
)
def test_wrong_use_ends_with_two(arguments: tuple[str, ...], complaint: str) -> None:
    done = wrt(*arguments)
    assert done.code == 2
    assert complaint in done.err
    assert not done.out


# Mistakes


def test_a_mistake_points_at_its_place() -> None:
    done = wrt("W*x + y*z", "W")
    assert done.code == 1
    assert done.out == ""
    assert (
        done.err
        == """\
y*z: two vectors cannot be multiplied (y and z read as vectors by their letters)
    W*x + y*z
          ^^^
  perhaps y'*z (inner product), y*z' (outer product) or y.*z (entry by entry)
"""
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("", "x"), "no formula"),
        (("   ", "x"), "no formula"),
        (("(x", "x"), "("),
        (("x)", "x"), ")"),
        (("sofmax(x)", "x"), "did you mean softmax?"),
        (("x'*A*x", "y+z"), "y+z"),
        (("W*x", "W", "--shape", "W=2,4", "--shape", "x=3"), "3 entries"),
        (("inv(X)", "X", "--shape", "X=2,3"), "2"),
        (("W*x", "W", "--entry", "1"), "3 axes"),
        (("W*x", "W", "--entry", "0,1,1"), "counted from 1"),
        (("W*x", "W", "--shape", "W=2,4", "--entry", "9,1,1"), ""),
        (("W*x", "W", "--direction", "1+2"), "no name"),
        (("x\x1b[31m", "x"), "�"),
        (("x\udcff", "x"), "UTF-8"),
    ],
)
def test_mistakes_end_with_one(arguments: tuple[str, ...], complaint: str) -> None:
    done = wrt(*arguments)
    assert done.code == 1, done
    assert complaint in done.err
    assert not done.out
    assert "Traceback" not in done.err
    assert "fault of wrt" not in done.err
    assert "\x1b" not in done.err


@pytest.mark.parametrize(
    "text",
    [
        "x+" * 50_000 + "x",
        "(" * 10_000 + "x" + ")" * 10_000,
        "(" * 100_001,
        "tanh(" * 10_000 + "x" + ")" * 10_000,
        "x" * 100_000,
        "[" * 20_000,
        "-" * 20_000 + "x",
        "x'" * 5_000,
        "2^" * 3_000 + "2",
        "x" + "'" * 30_000,
        "9" * 90_000 + "*x",
        "x^99999999999",
        "X^" + "9" * 200,
        "sum(k, 1, 10^12, k*x)",
    ],
    ids=lambda t: f"{t[:6]}…{len(t)}",
)
def test_a_hostile_formula_is_refused_or_answered_soon(text: str) -> None:
    start = time.process_time()
    done = wrt("-", "x", stdin=text.encode())
    assert done.code in (0, 1, 3)
    assert "fault of wrt" not in done.err
    assert len(done.err) < 1500
    assert time.process_time() - start < 10  # a second on a quiet machine


def test_endless_standard_input_is_refused() -> None:
    with Path(os.devnull.replace("null", "zero")).open("rb") as endless:
        done = process("-", "x", stdin=endless)
    assert done.returncode == 1
    assert b"standard input" in done.stderr


def test_a_dense_result_that_fills_the_memory_is_refused() -> None:
    done = wrt("W*x", "W", "--at", "W=[[1,2]]", "--at", "x=[1,2]", "--shape", "W=1,2")
    assert done.code == 0
    x = json.dumps([1] * 700)
    done = wrt("kron(x, kron(x, x*x'))", "x", "--at", f"x={x}")
    assert done.code == 1
    assert "entries" in done.err


def test_a_large_layer_is_answered_at_once() -> None:
    question = ("W*x", "W", "--shape", "W=4096,4096")
    assert "16777216 of 68719476736 entries can differ from 0" in answered(*question)
    assert "  entry          D[7,7,9] = x[9]\n" in answered(*question, "--entry", "7,7,9")


def test_what_does_not_fit_into_memory_is_told() -> None:
    with mock.patch.object(Derivative, "check", side_effect=MemoryError("7 TiB")):
        done = wrt("2*x", "x")
    assert done.code == 1
    assert done.err == "this does not fit into memory: 7 TiB\n"


def test_an_answer_whose_check_fails_is_not_printed() -> None:
    failed = CheckFailed("∂x/∂x: the derivative and its complex steps disagree")
    with mock.patch.object(Derivative, "check", side_effect=failed):
        for more in ((), ("--json",), ("--latex",), ("--code", "numpy"), ("--entry", "1,1")):
            done = wrt("2*x", "x", *more)
            assert done.code == 3
            assert done.out == ""
            assert "disagree" in done.err


def test_a_fault_of_ours_is_an_apology_and_no_traceback() -> None:
    with mock.patch.object(Derivative, "check", side_effect=ZeroDivisionError("oh")):
        done = wrt("2*x", "x")
        assert done.code == 1
        assert done.err.startswith("wrt failed on: 2*x x\n")
        assert "Traceback" not in done.err
        with mock.patch.dict(os.environ, {"WRT_DEBUG": "1"}), pytest.raises(ZeroDivisionError):
            wrt("2*x", "x")


# The page


LONG = "tanh(A*x + b).*exp(-x.*x/2) + log(1 + exp(B*x)).*sigmoid(C*x + d)./(1 + x.^2)"


@pytest.mark.parametrize("width", [40, 80, 100, 200])
@pytest.mark.parametrize("question", [(LONG, "x"), (STEP, "W", "--steps"), ("A*X*B", "X")])
def test_no_line_is_wider_than_the_page(question: tuple[str, ...], width: int) -> None:
    for line in wrt(*question, width=width).out.splitlines():
        assert len(line) <= min(width, 100), line


def test_what_is_long_is_cut_and_says_so() -> None:
    text = " + ".join(f"sin(x*a{k})" for k in range(60))
    short, full = wrt(text, "x", width=60), wrt(text, "x", "--full", width=60)
    assert "--full or --json give all" in short.out
    assert len(full.out) > 2 * len(short.out) > 0


def test_labels_stand_in_one_column() -> None:
    for line in answered(STEP, "W").splitlines()[1:]:
        assert line[16] == " "
        assert line[17] != " " or not line[:17].strip()


def test_colour_is_for_terminals() -> None:
    assert "\x1b" not in wrt("2*x", "x").out
    page = Page(colour=True)
    page.row("matrix", "2*eye(n)")
    assert str(page) == "\x1b[36m  matrix         \x1b[0m2*eye(n)"


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_gets_colour_unless_it_asks_not_to(
    environment: dict[str, str], coloured: bool
) -> None:
    import pty

    ours, theirs = pty.openpty()
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")}
    subprocess.run(
        [sys.executable, "-m", "wrt", "2*x", "x"],
        stdout=theirs,
        env={**kept, "TERM": "xterm", **environment},
        timeout=60,
        check=True,
    )
    os.close(theirs)
    said = os.read(ours, 10_000).decode("utf-8", "ignore")
    os.close(ours)
    assert "checked" in said
    assert ("\x1b[" in said) is coloured


@pytest.mark.skipif(os.name != "posix", reason="pipes of a shell")
def test_a_reader_who_leaves_is_no_error() -> None:
    python = sys.executable
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {python} -m wrt functions | true"],
        capture_output=True,
        timeout=60,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    )
    assert done.returncode == 0
    assert done.stderr == b""


# The book


def test_help_tells_all_about_a_word() -> None:
    said = wrt("help", "inv").out
    for line in (
        "  written        inv(X: n n) -> Y: n n",
        "  rule           dY = -Y*dX*Y",
        "  laws           inv(inv(X)) = X",
        "  valid where    X is invertible",
    ):
        assert line in said
    assert "another spelling" in wrt("help", "trace").out
    unknown = wrt("help", "tahn")
    assert unknown.code == 1
    assert "tanh" in unknown.err


@pytest.mark.parametrize("word", sorted(BOOK))
def test_help_knows_every_word(word: str) -> None:
    page = Page(width=80)
    book_text.write_record(word, page)
    assert BOOK[word].doc.split()[0] in str(page)


def test_functions_lists_every_word() -> None:
    said = wrt("functions").out
    words = {
        line.split()[0] for line in said.splitlines() if line.startswith("  ") and line[2] != " "
    }
    assert words == {*BOOK, "frechet", *book_text.GRAMMAR}
    assert all(len(line) <= 80 for line in said.splitlines())


@pytest.mark.parametrize("word", book_text.GRAMMAR)
def test_help_knows_the_signs(word: str) -> None:
    said = wrt("help", word).out
    for formula in book_text.GRAMMAR[word][1]:
        assert formula in said
        read(formula)


def test_help_tells_of_ranges() -> None:
    assert "sum(k, 1, n, x^k)" in wrt("help", "sum").out


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("X.T @ X", "X' is the transpose"),
        ("np.exp(x)", "exp without np."),
        ("x.y", "entry by entry is"),
    ],
)
def test_python_is_told_how_it_is_written_here(text: str, hint: str) -> None:
    assert hint in wrt(text, "x").err


def test_help_and_version() -> None:
    for arguments in (("help",), ("--help",), ("-h",)):
        done = wrt(*arguments)
        assert done.code == 0
        assert "FORMULA NAME..." in done.out
    assert wrt("--version").out.startswith("wrt ")
    assert wrt("functions", "--help").code == 0


# A process of its own


def test_a_process_ends_with_the_code() -> None:
    assert process("2*x", "x").returncode == 0
    assert process("2*", "x").returncode == 1
    assert process("2*x").returncode == 2


def test_a_machine_without_unicode_still_gets_an_answer() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = process("W*x", "W", env=environment)
    assert done.returncode == 0
    assert b"3 random points" in done.stdout


def test_a_question_loads_only_what_it_needs() -> None:
    heavy = ("scipy", "jax", "torch", "opt_einsum", "click", "shutil")
    code = (
        "import sys; from wrt.apps.command import run; run(['W*x', 'W']); "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


# Pieces


def test_proofs_are_said_in_a_sentence() -> None:
    assert (
        answer_text.proof(Check(2, 0.0, "complex steps", True))
        == "2 random points, largest error 0"
    )


def test_a_declaration_to_no_use_is_noted() -> None:
    said = answered("W*x", "W", "--shape", "X=3")
    assert "  note           X is declared and does not occur; did you mean x?" in said
    assert "note" not in answered("W*x", "s", "--shape", "s=3")
    assert "note" not in answered("Σ*x", "x", "--shape", "Sigma=n,n symmetric")


def test_a_direction_of_a_constrained_variable() -> None:
    shape = ("--shape", "S=n,n symmetric", "--symmetric", "tied")
    said = answered("norm2(S*x)^2", "S", *shape, "--direction", "V")
    assert "  where          V is symmetric, as S is" in said
    assert "where" not in answered("norm2(A*x)^2", "x", "--direction", "V")


@pytest.mark.parametrize(
    ("question", "form", "said"),
    [
        (("tr(A*X*B)", "X"), "differential", "df = tr(B*A*dX)"),
        (("x'*A*x", "x", "x"), "differential", "d2f = 2*(dx'*A*dx)"),
        (("A*X*B", "X"), "differential", "df = A*dX*B"),
        (("softmax(W*x)", "W"), "differential", "df = softmax(W*x).*(dW*x-softmax(W*x)'*dW*x)"),
        (('einsum("ijk,k->ij",T,x)', "T"), "differential", "df[i,j] = dT[i,j,c]*x[c]"),
        (("x'*A", "x"), "differential", "df' = A'*dx"),
        (("A*X*B", "X"), "kronecker-columns", "B' ⊗ A"),
        (("A*x", "x"), "matrix", "A"),
        (("W*x", "W"), "index", "D[i,a,b] = δ[i,a]*x[b]"),
    ],
)
def test_one_form_stands_alone(question: tuple[str, ...], form: str, said: str) -> None:
    assert wrt(*question, "--form", form).out == f"{said}\n"


def test_a_form_that_cannot_say_it_says_so() -> None:
    done = wrt("W*x", "W", "--form", "matrix")
    assert done.code == 1
    assert "no matrix form that is short" in done.err


@pytest.mark.parametrize(
    ("option", "other"),
    [
        (("--form", "index"), "--steps"),
        (("--form", "index"), "--json"),
        (("--code", "numpy"), "--latex"),
        (("--claim", "A"), "--latex"),
        (("--code", "numpy"), "--steps"),
        (("--code", "numpy"), "--plan"),
        (("--code", "numpy"), ("--at", "x=[1]")),
        (("--plan",), "--steps"),
        (("--plan",), "--bold"),
        (("--latex",), ("--at", "x=[1]")),
        (("--form", "index"), ("--at", "x=[1]")),
        (("--claim", "A"), "--plan"),
        (("--latex",), ("--entry", "1")),
    ],
)
def test_options_that_do_not_go_together(option: tuple[str, ...], other: str | tuple[str]) -> None:
    words = (other,) if isinstance(other, str) else other
    done = wrt("A*x", "x", *option, *words)
    assert done.code == 2
    assert f"{option[0]} does not go together with {words[0]}" in done.err


@pytest.mark.parametrize(
    ("form", "text"), [("matrix", "2*A*x"), ("index", "D[a] = (A*x)[a]"), ("matrix", "(A-A')*x")]
)
def test_a_form_that_reads_back_to_other_numbers_is_never_printed(form: str, text: str) -> None:
    with mock.patch.object(Derivative, form, text):
        done = wrt("x'*A*x", "x")
    assert done.code == 3
    assert done.out == ""
    assert f"{text}: read back, this form of ∂(x'*A*x)/∂x has other numbers" in done.err
    assert "no answer is given" in done.err


@pytest.mark.parametrize("order", ["rows", "columns"])
def test_kronecker_forms_are_proved_too(order: str) -> None:
    plain = Derivative.kronecker

    def other(self: Derivative, asked: str = "rows") -> str | None:
        return "A ⊗ B" if asked == order else plain(self, asked)

    with mock.patch.object(Derivative, "kronecker", other):
        done = wrt("A*X*B", "X", "--shape", "A=n,n", "--shape", "B=n,n")
    assert done.code == 3
    assert "A ⊗ B: read back" in done.err


@pytest.mark.parametrize("options", [[], ["--direction", "V"], ["--custom"]])
@pytest.mark.parametrize("library", ["jax", "torch"])
def test_a_program_that_gives_other_numbers_is_never_printed(
    library: str, options: list[str]
) -> None:
    question = ["norm2(A*x-b)^2", "x", "--code", library, *options]
    assert wrt(*question).code == 0
    plain = programs.compile
    with mock.patch.object(printed.programs, "compile", lambda f, **told: plain(2 * f, **told)):
        done = wrt(*question)
    assert done.code == 3
    assert done.out == ""
    assert "the program of ∂(norm2(A*x-b)^2)/∂x" in done.err
    assert "gives other numbers than its formula" in done.err


def test_forms_of_large_sizes_are_proved_at_small_ones() -> None:
    begun = time.perf_counter()
    assert "checked" in wrt("W*x", "W", "--shape", "W=4096,512").out
    assert time.perf_counter() - begun < 2
    with mock.patch.object(Derivative, "index", "D[i,a,b] = δ[i,a]*x[b]*2"):
        assert wrt("W*x", "W", "--shape", "W=4096,512").code == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["recurence", "s[t]=W*s[t-1]", "W"], "did you mean wrt recurrence?"),
        (["W*x", "W", "--shape", "W=n,,m"], "'W=n,,m' declares nothing"),
        (["W*x", "W", "--shape", "W=n,"], "'W=n,' declares nothing"),
        (["norm2(x)^2", "x", "--entry", "1,1"], "has 1 axis, 2 indices were given"),
        (["W*x", "W", "--entry", "1"], "has 3 axes, 1 index was given"),
    ],
)
def test_what_was_meant(arguments: list[str], told: str) -> None:
    assert told in wrt(*arguments).err


def test_a_file_that_holds_no_arrays(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_text("1, 2, 3", "utf-8")
    said = wrt("x'*x", "x", "--at", str(tmp_path / "x.npz")).err
    assert "x.npz holds no arrays: it is no file of numpy.savez" in said


def test_letters_of_any_locale() -> None:
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    asked = [sys.executable, "-m", "wrt", "θ*x'*x", "x", "--form", "matrix"]
    said = subprocess.run(asked, env=plain, capture_output=True, check=True)
    assert said.stdout.decode().strip() == "2*theta*x"


def test_errors_are_found_by_name() -> None:
    import wrt as package

    with pytest.raises(AttributeError, match=r"it is wrt\.errors\.WrtError"):
        package.WrtError  # noqa: B018
