"""What somebody meets in a first hour: what things print as, and what slips are answered with."""

from __future__ import annotations

import numpy as np
import pytest

import wrt
from wrt.errors import NameMistake, ShapeMistake, SyntaxMistake, TooLarge, ValueMistake

RNN = "s[t] = tanh(W*s[t-1] + U*x[t]); L[t] = norm2(s[t] - y[t])^2/2"
GIVEN = {
    "W": np.eye(2) / 2,
    "U": np.eye(2),
    "s0": np.zeros(2),
    "x": np.ones((5, 2)),
    "y": np.zeros((5, 2)),
}


# What things print as


def test_answers_through_time_print_in_a_line():
    rnn = wrt.recurrence(RNN)
    assert repr(rnn.gradient("W")) == "<dL/dW through time: n × n>"
    assert repr(rnn.gradients("W", "U")).count("<dL/d") == 2
    assert repr(rnn.step("s")) == "<∂s[t]/∂s[t-1]: n × n; diag(1-s[t].^2)*W>"
    assert repr(rnn.contributions("W")) == "<dL/dW step by step: T × n × n>"
    assert repr(rnn.contributions("W")(GIVEN)) == "<summands of 5 steps, 2 × 2 each>"
    total = {name: array for name, array in GIVEN.items() if name != "y"}
    assert repr(rnn.total("s", "W").factored(total)) == "<summands of 5 steps, 2 × 2 × 2 each>"
    assert repr(rnn.gradient("W", truncate=2)) == "<dL/dW within 2 steps: n × n>"
    assert repr(rnn.gradient("W", truncate=1)(GIVEN)).startswith("dL/dW within 1 step: what is")
    assert repr(rnn.gradient("W").checkpointed()) == "<dL/dW in segments: n × n>"
    assert repr(rnn.horizon(GIVEN)).startswith("5 steps of the state s")


def test_what_waits_for_arrays_says_for_which():
    binder = wrt.derivative("W*x", "W").compile(structured=True)
    assert repr(binder) == "<∂(W*x)/∂W, structured, of W, x>"
    both = wrt.gradients("x'*A*x", "A", "x").compile(structured=True)
    assert repr(both).count("structured, of") == 2
    first, second = both(A=np.eye(2), x=[1, 2])
    np.testing.assert_allclose(first.dense()[0], [[1, 2], [2, 4]][0])
    np.testing.assert_allclose(second.dense().ravel(), [2, 4])


# Values without a name


@pytest.mark.parametrize("structured", [False, True])
def test_arrays_by_place_are_told_to_have_names(structured):
    D = wrt.derivative("norm2(A*x)^2", "x")
    A, x = np.eye(2), np.ones(2)
    with pytest.raises(ValueMistake, match=r"given by name, as in D.*an? ndarray came without"):
        D.compile(structured=True)(A, x) if structured else D(A, x)
    with pytest.raises(ValueMistake, match=r"function takes them by place \(A, x\)"):
        D.compile()(A, x)
    with pytest.raises(ValueMistake, match="given by name"):
        wrt.gradients("norm2(A*x)^2", "x")(A, x)
    with pytest.raises(ValueMistake, match="no value is given for A and x; A has shape"):
        D.compile()()
    with pytest.raises(ValueMistake, match="given by name"):
        wrt.recurrence(RNN).gradient("W").checkpointed()(GIVEN, 1)


def test_what_is_no_name_is_said_with_what_would_work():
    with pytest.raises(NameMistake, match="the text is empty\n  as in W"):
        wrt.gradients("W*x", " ")
    with pytest.raises(NameMistake, match=r"this is a list\n  names stand one by one"):
        wrt.derivative("W*x", ["W", "x"])
    with pytest.raises(NameMistake, match="this is an int"):
        wrt.derivative("W*x", 3)
    with pytest.raises(SyntaxMistake, match=r"no lines: the text is empty\n  as in s\[t\]"):
        wrt.recurrence("\n")
    with pytest.raises(ValueMistake, match="an int came without one"):
        wrt.derivative("W*x", "W")(3)


def test_a_word_of_python_is_given_with_an_underscore():
    D = wrt.derivative("lambda*norm2(x)^2", "x")
    with pytest.raises(ValueMistake, match=r"given for lambda \(as a keyword lambda_\); lambda is"):
        D(x=[1, 2])
    assert D(x=[1, 2], lambda_=3).tolist() == D({"x": [1, 2], "lambda": 3}).tolist() == [6, 12]


def test_gaps_and_ragged_lists_are_refused_with_what_would_work():
    D = wrt.derivative("norm2(x)^2", "x")
    with pytest.raises(ValueMistake, match=r"by 0 in the formula .*, as in M\.\*"):
        D(x=np.ma.masked_array([1.0, 2.0], [0, 1]))
    with pytest.raises(ValueMistake, match="x is not an array of numbers: its rows have different"):
        D(x=[[1], [2, 3]])


def test_a_window_over_all_steps_drops_nothing():
    rnn = wrt.recurrence(RNN)
    assert str(rnn.gradient("W", truncate=9)(GIVEN)) == "dL/dW within 9 steps: nothing is dropped"
    assert "nothing" not in str(rnn.gradient("W", truncate=3)(GIVEN))


def test_a_structured_tensor_is_run_through():
    bound = wrt.derivative("norm2(T-U*V')^2", "U", "U").compile(structured=True)
    H = bound(T=np.ones((3, 2)), U=np.ones((3, 2)), V=np.eye(2))
    layers = [layer.dense() for layer in H]
    np.testing.assert_array_equal(np.stack(layers), H.dense())
    few = wrt.derivative("norm2(T-U*V')^2", "U", "U").compile(structured=True, limit=11)
    with pytest.raises(TooLarge, match=r"12 entries .* about 192 bytes"):
        few(T=np.ones((3, 2)), U=np.ones((3, 2)), V=np.eye(2)).sparse()


def test_libraries_are_listed():
    for ask in (lambda: wrt.derivative("x'*x", "x").source("tensorflow"),):
        with pytest.raises(ValueMistake, match="tensorflow; numpy, jax and torch are"):
            ask()


# Plans


def test_sizes_that_a_formula_does_not_have_are_refused():
    D = wrt.derivative("norm2(A*x)^2", "x")
    for ask in (D.plan, lambda **sizes: D.compile(sizes=sizes), lambda **s: D.source(sizes=s)):
        with pytest.raises(NameMistake, match="no axis has the size N") as told:
            ask(N=3)
        assert "did you mean n?" in str(told.value)
        for size in (-1, 2.5, True, "3"):
            with pytest.raises(ValueMistake, match="a size is a whole number from 0 on"):
                ask(n=size)
    with pytest.raises(NameMistake):
        wrt.gradients("norm2(A*x)^2").plan(k=2)
    assert D.plan(n=np.int64(7)).sizes == {"n": 7}
    assert wrt.recurrence(RNN).gradients("W", "U").plan(T=10, n=4, m=2).assumed == ()


def test_a_plan_counts_what_is_touched():
    diagonal = wrt.derivative("norm2(A*x)^2 + norm2(x)^2", "x", "x").plan(n=50, m=40)
    (added,) = [line for line in diagonal.lines if "+=" in line.text]
    assert added.cost == (40, 8 * 81)  # the 40 entries read and written, and one number
    trace = wrt.derivative("tr(V)*x'*x", "x").plan(n=50)
    (summed,) = [line for line in trace.lines if line.text.startswith("trace")]
    assert summed.cost == (50, 8 * 51)
    assert trace.floor.bytes <= trace.total.bytes


def test_a_plan_of_all_gradients_is_that_of_their_program():
    both = wrt.gradients("norm2(A*x - b)^2", "A", "x")
    alone = [D.plan(n=300, m=200).total.flops for D in both]
    assert max(alone) < both.plan(n=300, m=200).total.flops < sum(alone)


# Structured answers


def bound(backend="numpy", kind="float64"):
    words = {"numpy": np, "torch": __import__("torch")}[backend] if backend != "jax" else np
    A = np.array([[2.0, 1], [1, 3]]).astype(kind)
    return wrt.derivative("x'*A*x", "x", "x").compile(backend, structured=True)(
        A=A if words is np else words.tensor(A), x=np.ones(2, kind)
    )


def test_structured_tensors_are_added_to_their_like_only():
    H = bound()
    for ask in (lambda: H + np.eye(2), lambda: np.eye(2) - H, lambda: 1 + H, lambda: H - 1):
        with pytest.raises(ShapeMistake, match=r"added to structured tensors(.|\n)*identity\(\)"):
            ask()
    np.testing.assert_array_equal(sum([H, H]).dense(), 2 * H.dense())
    np.testing.assert_array_equal((0 - H).dense(), -H.dense())
    for key in (np.ones(2, bool), np.array([0, 1]), [0, 1]):
        with pytest.raises(ShapeMistake, match="is no index of a structured tensor"):
            H[key]
    np.testing.assert_array_equal(H[np.int64(1)].dense(), H.dense()[1])


def test_pytorch_tensors_of_another_type_or_place_are_told():
    import torch

    H = bound("torch", "float32")
    for ask in (H.apply, H.solve, H.pullback):
        for value in (np.ones(2), [1, 1], np.ones(2, int), torch.ones(2), torch.ones(2).half()):
            assert ask(value).dtype == torch.float32
        with pytest.raises(ValueMistake, match="is of float64, and what is bound of float32"):
            ask(torch.ones(2, dtype=torch.float64))
        with pytest.raises(ValueMistake, match="is on meta, and what is bound on cpu"):
            ask(torch.ones(2, device="meta"))
    with pytest.raises(ValueMistake, match=r"one tensor is of torch\.float32"):
        H + bound("torch", "float64")
    assert bound("torch").solve(torch.ones(2)).dtype == torch.float64


# Programs that were pasted into a file


@pytest.mark.parametrize(
    ("text", "by"),
    [
        ("norm2(A*x)^2 + l*norm2(x)^2", ("x", "x")),
        ("norm2(A*x)^2 + sum(d.*x.^2)", ("x", "x")),
        ("norm2(A*x)^2 + norm2(x)^2/2", ("x", "x")),
        ("A'*A*x + l*x", ("x",)),
    ],
)
def test_pasted_programs_take_whole_numbers_and_numbers_of_python(text, by):
    import jax
    import torch

    shapes = {"A": "n m", "x": "m", "d": "m", "l": ""}
    D = wrt.derivative(text, *by, shapes={k: s for k, s in shapes.items() if k in text})
    given = {"A": np.arange(6).reshape(3, 2), "x": [1, 1], "d": [0.5, 0.25], "l": 0.25}
    given = {v.name: given[v.name] for v in D.arguments}
    wanted = D(given)
    for library, array in (("jax", jax.numpy.asarray), ("torch", torch.tensor)):
        space = {}
        exec(D.source(library), space)
        arrays = [v if isinstance(v, float) else array(v) for v in given.values()]
        np.testing.assert_allclose(np.asarray(space["derivative"](*arrays)), wanted)


def test_a_program_says_in_a_line_what_it_returns():
    both = wrt.gradients("norm2(A*x - b)^2")
    assert '"""Arrays of n × m, m and n, for g (scalar), A' in both.source("jax", custom=True)
    assert "A scalar, an array of n × m, an array of m and an array of n, for" in both.source(
        value=True
    )
    assert '"""An array of m, for ' in wrt.programs.source(both[1].formula)
