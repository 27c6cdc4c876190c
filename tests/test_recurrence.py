"""Recurrences: what a person asks of them, against unrolled formulas and against JAX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import wrt
from wrt.errors import Mistake, NameMistake, ShapeMistake, SyntaxMistake, ValueMistake
from wrt.expression.meaning import evaluate

Array = np.ndarray[Any, Any]

ELMAN = "s[t] = tanh(W*s[t-1] + U*x[t] + b)\nL[t] = -y[t]' * log(softmax(V*s[t] + c))"
LSTM = """i[t] = sigmoid(Wi*h[t-1] + Ui*x[t])
f[t] = sigmoid(Wf*h[t-1] + Uf*x[t])
o[t] = sigmoid(Wo*h[t-1] + Uo*x[t])
g[t] = tanh(Wg*h[t-1] + Ug*x[t])
c[t] = f[t].*c[t-1] + i[t].*g[t]
h[t] = o[t].*tanh(c[t])
L[t] = norm2(V*h[t] - y[t])^2/2"""
GRU = """z[t] = sigmoid(Wz*h[t-1] + Uz*x[t])
r[t] = sigmoid(Wr*h[t-1] + Ur*x[t])
g[t] = tanh(Wg*(r[t].*h[t-1]) + Ug*x[t])
h[t] = (1 - z[t]).*h[t-1] + z[t].*g[t]
L[t] = norm2(V*h[t] - y[t])^2/2"""
LAYERS = """h[t] = tanh(W*h[t-1] + U*x[t])
s[t] = tanh(P*s[t-1] + Q*h[t])
L[t] = norm2(V*s[t] - y[t])^2/2"""
BOTH_WAYS = """h[t] = tanh(W*h[t-1] + U*x[t])
r[t] = tanh(P*r[t+1] + Q*x[t])
L[t] = norm2(V*h[t] + K*r[t] - y[t])^2/2"""
ALL = {"Elman": ELMAN, "LSTM": LSTM, "GRU": GRU, "layers": LAYERS, "both ways": BOTH_WAYS}
WEIGHT = {"Elman": "W", "LSTM": "Wf", "GRU": "Wr", "layers": "W", "both ways": "P"}


def values(rnn: wrt.Recurrence, steps: int) -> dict[str, Array]:
    """Values for all that has to be given."""
    rng = np.random.default_rng(steps)
    sizes = {"T": steps, "n": 4, "m": 3, "p": 5, "k": 2, "N": 3}
    return {
        name: rng.normal(size=[d.size(sizes) for d in v.dims]) / 2
        for name, v in rnn.variables.items()
    }


def unrolled(name: str, steps: int) -> str:
    """The loss of a recurrence written out, a line for every step."""
    lines: list[str] = []
    rows = [line.partition(" = ")[::2] for line in ALL[name].splitlines()]
    ahead = [row for row in rows if row[0] == "r[t]" and "t+1" in row[1]]
    for order, chosen in ((range(steps, 0, -1), ahead), (range(1, steps + 1), None)):
        for t in order:
            for left, right in chosen if chosen is not None else rows:
                if chosen is None and (left, right) in ahead:
                    continue
                said = f"{left} = {right}"
                for shift, word in ((-1, "t-1"), (1, "t+1"), (0, "t")):
                    said = said.replace(f"[{word}]", f"_{t + shift}")
                lines.append(said)
    return "\n".join([*lines, " + ".join(f"L_{t}" for t in range(1, steps + 1))])


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("name", ALL)
def test_a_gradient_is_that_of_the_unrolled_formula(name: str, steps: int) -> None:
    rnn = wrt.recurrence(ALL[name])
    given, weight = values(rnn, steps), WEIGHT[name]
    flat = {k: v for k, v in given.items() if k in rnn.lines.shared}
    for k in ("x", "y"):
        flat |= {f"{k}_{t + 1}": row for t, row in enumerate(given[k])}
    flat |= {k.replace("0", "_0"): v for k, v in given.items() if k in ("s0", "h0", "c0")}
    flat |= {f"r_{steps + 1}": v for k, v in given.items() if k == "r_end"}
    shapes = {k: " ".join(map(str, v.shape)) for k, v in flat.items()}
    plain = wrt.derivative(unrolled(name, steps), weight, shapes=shapes)
    got = rnn.gradient(weight)(**given)
    assert np.allclose(got, plain(flat), rtol=1e-11, atol=1e-13)


def by_scan(name: str, at: dict[str, Any]) -> tuple[Any, Any]:
    """All states of the last line before the loss, and the loss, by `lax.scan`, by hand."""
    import jax
    from jax import numpy as jnp
    from jax.nn import log_softmax, sigmoid

    def run(step: Any, start: Any, series: Any, reverse: bool = False) -> Any:
        return jax.lax.scan(lambda s, x: (step(s, x),) * 2, start, series, reverse=reverse)[1]

    def lstm(state: Any, x: Any) -> Any:
        c, h = state
        i, f, o = (sigmoid(at[f"W{k}"] @ h + at[f"U{k}"] @ x) for k in "ifo")
        c = f * c + i * jnp.tanh(at["Wg"] @ h + at["Ug"] @ x)
        return c, o * jnp.tanh(c)

    def gru(h: Any, x: Any) -> Any:
        z, r = (sigmoid(at[f"W{k}"] @ h + at[f"U{k}"] @ x) for k in "zr")
        return (1 - z) * h + z * jnp.tanh(at["Wg"] @ (r * h) + at["Ug"] @ x)

    match name:
        case "Elman":
            plain = lambda s, x: jnp.tanh(at["W"] @ s + at["U"] @ x + at["b"])  # noqa: E731
            states = run(plain, at["s0"], at["x"])
            scores = states @ at["V"].T + at["c"]
            return states, -(at["y"] * log_softmax(scores, axis=1)).sum()
        case "LSTM":
            states = run(lstm, (at["c0"], at["h0"]), at["x"])[1]
        case "GRU":
            states = run(gru, at["h0"], at["x"])
        case "layers":
            low = run(lambda h, x: jnp.tanh(at["W"] @ h + at["U"] @ x), at["h0"], at["x"])
            states = run(lambda s, h: jnp.tanh(at["P"] @ s + at["Q"] @ h), at["s0"], low)
        case "both ways":
            states = run(lambda h, x: jnp.tanh(at["W"] @ h + at["U"] @ x), at["h0"], at["x"])
            back = lambda r, x: jnp.tanh(at["P"] @ r + at["Q"] @ x)  # noqa: E731
            other = run(back, at["r_end"], at["x"], reverse=True)
            guess = states @ at["V"].T + other @ at["K"].T
            return other[::-1], ((guess - at["y"]) ** 2).sum() / 2
    return states, ((states @ at["V"].T - at["y"]) ** 2).sum() / 2


#: The last state that is reached, and the weight by which it is differentiated.
REACHED = {"Elman": "s", "LSTM": "h", "GRU": "h", "layers": "s", "both ways": "r"}


@pytest.mark.parametrize("name", ALL)
def test_fifty_steps_against_jax(name: str) -> None:
    jax = pytest.importorskip("jax")
    rnn, weight = wrt.recurrence(ALL[name]), WEIGHT[name]
    given = values(rnn, 50)
    with jax.enable_x64(True):
        at = {k: jax.numpy.asarray(v) for k, v in given.items()}
        every = jax.grad(lambda w: by_scan(name, {**at, **w})[1])(
            {k: at[k] for k in rnn.lines.shared}
        )
        jacobian = jax.jacrev(lambda w: by_scan(name, {**at, weight: w})[0][-1])
        whole = np.asarray(jacobian(at[weight]))
    for D, got in zip(together := rnn.gradients(), together(given), strict=True):
        wanted = np.asarray(every[D.way.by.name])
        assert np.abs(got - wanted).max() <= 1e-10 * np.abs(wanted).max(), D.title
    total = rnn.total(REACHED[name], weight)
    needed = {v.name for v in total.arguments}
    got = total({k: v for k, v in given.items() if k in needed})
    assert np.abs(got - whole).max() <= 1e-10 * np.abs(whole).max()


@pytest.mark.parametrize("name", ["LSTM", "both ways"])
def test_a_batch_of_fifty_steps_against_jax(name: str) -> None:
    jax = pytest.importorskip("jax")
    rnn = wrt.recurrence(ALL[name], batch="N")
    given = values(rnn, 50)
    series = {k: v.dims for k, v in rnn.variables.items() if "N" in v.shape}
    axes = {k: [str(d) for d in series[k]].index("N") if k in series else None for k in given}
    with jax.enable_x64(True):
        at = {k: jax.numpy.asarray(v) for k, v in given.items()}

        def loss(w: Any) -> Any:
            many = jax.vmap(lambda one: by_scan(name, one)[1], ({**axes},))
            return many({**at, **w}).sum()

        every = jax.grad(loss)({k: at[k] for k in rnn.lines.shared})
    for D, got in zip(together := rnn.gradients(), together(given), strict=True):
        wanted = np.asarray(every[D.way.by.name])
        assert np.abs(got - wanted).max() <= 1e-10 * np.abs(wanted).max(), D.title


@pytest.mark.parametrize("batch", [None, "N"])
@pytest.mark.parametrize("name", ALL)
def test_the_summands_add_up_to_the_gradient(name: str, batch: str | None) -> None:
    rnn = wrt.recurrence(ALL[name], batch=batch)
    given = values(rnn, 7)
    for weight in (WEIGHT[name], "V"):
        found = rnn.contributions(weight)(**given)
        total = rnn.gradient(weight)(**given)
        letters = "tja,tjb->tab" if batch else "ta,tb->tab"
        formed = sum(
            np.einsum(letters, *term) if len(term) == 2 else term[0] for term in found.factors
        )
        assert np.allclose(formed.sum(0), total, rtol=1e-12, atol=1e-14)
        norms = np.sqrt((formed**2).sum((1, 2)))
        assert np.allclose(found.norms, norms, rtol=1e-12, atol=1e-14)


def test_a_batch_is_the_sum_of_its_members() -> None:
    one, many = wrt.recurrence(GRU), wrt.recurrence(GRU, batch="N")
    given = values(many, 6)
    series = [k for k, v in many.variables.items() if "N" in v.shape]
    parts = [
        one.gradient("Wr")(**{k: v[b] if k in series else v for k, v in given.items()})
        for b in range(3)
    ]
    assert np.allclose(many.gradient("Wr")(**given), sum(parts), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ALL)
def test_all_gradients_are_one_run_forward_and_back(name: str) -> None:
    rnn = wrt.recurrence(ALL[name])
    given = values(rnn, 5)
    together = rnn.gradients()
    weights = [D.way.by.name for D in together]
    assert weights == list(rnn.lines.shared)
    program = together.compile(value=True)
    value, *found = program(given)
    assert value == pytest.approx(loss_of(rnn, given), rel=1e-13)
    for weight, got in zip(weights, found, strict=True):
        assert np.allclose(got, rnn.gradient(weight)(given), rtol=1e-12, atol=1e-14)
    loops = 2 if name in ("layers", "both ways") else 1
    assert program.source.count("for t in range") == loops
    assert program.source.count("for t in reversed(range") == loops


def loss_of(rnn: wrt.Recurrence, given: dict[str, Array]) -> float:
    """The loss by what the formula means."""
    f = rnn.loss()
    return float(evaluate(f, {v.name: given[v.name] for v in f.names}))


def test_gradients_keep_what_was_declared() -> None:
    rnn = wrt.recurrence(ELMAN, {"W": "n n symmetric"})
    given = values(rnn, 3)
    given["W"] = given["W"] + given["W"].T
    by_W, by_U = rnn.gradients("W", "U")(given)
    assert np.allclose(by_W, by_W.T)
    assert np.allclose(by_W, rnn.gradient("W")(given))
    assert np.allclose(by_U, rnn.gradient("U")(given))


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("name", ["Elman", "LSTM", "GRU", "layers"])
def test_a_total_is_the_jacobian_of_the_unrolled_formula(name: str, steps: int) -> None:
    rnn = wrt.recurrence(ALL[name])
    given, weight, state = values(rnn, steps), WEIGHT[name], REACHED[name]
    text = unrolled(name, steps).rpartition("\n")[0]
    lines = [line for line in text.splitlines() if not line.startswith("L_")]
    flat = {k: v for k, v in given.items() if k in rnn.lines.shared and k not in "Vc"}
    flat |= {f"x_{t + 1}": row for t, row in enumerate(given["x"])}
    flat |= {k.replace("0", "_0"): v for k, v in given.items() if k in ("s0", "h0", "c0")}
    shapes = {k: " ".join(map(str, v.shape)) for k, v in flat.items()}
    plain = wrt.derivative("\n".join([*lines, f"{state}_{steps}"]), weight, shapes=shapes)
    total = rnn.total(state, weight)
    needed = {v.name for v in total.arguments}
    got = total({k: v for k, v in given.items() if k in needed})
    assert np.allclose(got, plain(flat), rtol=1e-11, atol=1e-13)


# What is read


def test_the_seed_formula() -> None:
    rnn = wrt.recurrence(ELMAN)
    explicit = rnn.explicit("s", "W")
    assert explicit.index == "D[i,a,d] = δ[i,a]*(1-s[t].^2)[i]*s[t-1][d]"
    assert explicit.kronecker("rows") == "diag(1-s[t].^2) ⊗ s[t-1]'"
    assert explicit.kronecker("columns") == "s[t-1]' ⊗ diag(1-s[t].^2)"
    assert str(explicit.structure.nonzero) == "n^2"
    assert explicit.check().passed
    assert rnn.step("s").matrix == "diag(1-s[t].^2)*W"
    assert rnn.total("s", "W").chain == (
        "ds[t]/dW = Σ_{k=1..t} (∏_{j=k+1..t} ∂s[j]/∂s[j-1]) · ∂⁺s[k]/∂W"
    )


def test_gates_keep_their_names() -> None:
    rnn = wrt.recurrence(LSTM)
    assert rnn.step("c").matrix == "diag(f[t])"
    parts = (rnn.step("h", "c").matrix or "").removeprefix("diag(").removesuffix(")").split(".*")
    assert sorted(parts) == ["(1-tanh(c[t]).^2)", "f[t]", "o[t]"]
    lines = rnn.gradient("Wf").costates
    assert "lambda_f[k] = c[k-1].*lambda_c[k]" in lines
    assert "lambda_c[k] = lambda_h[k] = 0 for k > T" in lines


def test_any_lag_and_its_starts() -> None:
    rnn = wrt.recurrence("s[t] = a*s[t-1] + b*s[t-3] + x[t]; L[t] = s[t]^2")
    assert {"s0", "s_1", "s_2"} <= set(rnn.variables)
    rng = np.random.default_rng(3)
    given = {k: rng.normal(size=5 if k == "x" else ()) for k in rnn.variables}
    s = {0: given["s0"], -1: given["s_1"], -2: given["s_2"]}
    ds = dict.fromkeys(s, 0.0)
    for t in range(1, 6):
        s[t] = given["a"] * s[t - 1] + given["b"] * s[t - 3] + given["x"][t - 1]
        ds[t] = given["a"] * ds[t - 1] + given["b"] * ds[t - 3] + s[t - 3]
    wanted = sum(2 * s[t] * ds[t] for t in range(1, 6))
    assert np.allclose(rnn.gradient("b")(**given), wanted)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (r"s_t = \tanh(W s_{t-1} + U x_t + b)", ["s[t] = tanh(W*s[t-1] + U*x[t] + b)"]),
        (r"h_k = \sigma(W h_{k-1} + x_k)", ["h[k] = sigmoid(W*h[k-1] + x[k])"]),
        (r"h_{t+1} = \tanh(W h_t + U x_t)", ["h[t] = tanh(W*h[t-1] + U*x[t-1])"]),
        (r"h^{(t)} = \tanh(W h^{(t-1)} + x^{(t)})", ["h[t] = tanh(W*h[t-1] + x[t])"]),
        (
            r"\begin{aligned} f_t &= \sigma(W_f h_{t-1}) \\ \tilde{c}_t &= \tanh(W_c h_{t-1}) \\"
            r" h_t &= f_t \odot h_{t-1} + (1 - f_t) \odot \tilde{c}_t \end{aligned}",
            [
                "f[t] = sigmoid(W_f*h[t-1])",
                "c_tilde[t] = tanh(W_c*h[t-1])",
                "h[t] = f[t].*h[t-1] + (1 - f[t]).*c_tilde[t]",
            ],
        ),
        (
            "h_t = \\tanh(W_{hh} h_{t-1})\nL_t = \\lVert h_t - y_t \\rVert^2",
            ["h[t] = tanh(W_hh*h[t-1])", "L[t] = norm2(h[t] - y[t])^2"],
        ),
    ],
)
def test_lines_in_latex(text: str, lines: list[str]) -> None:
    rnn = wrt.recurrence(text)
    assert list(rnn.lines.said.values()) == lines
    again = wrt.recurrence("\n".join(lines))
    assert {k: rnn.system.stack(k) for k in rnn.states} == {
        k: again.system.stack(k) for k in again.states
    }


def test_names_in_latex() -> None:
    rnn = wrt.recurrence(r"h_t = \tanh(W_{hh} h_{t-1} + x_t) \\ L_t = \lVert h_t \rVert^2")
    assert rnn.gradient("W_{hh}").title == "dL/dW_hh"
    assert rnn.explicit("h", "W_{hh}").title == "∂⁺h[t]/∂W_hh"
    assert rnn.gradient("x[t]").title == "dL/dx"


def test_a_start_in_latex() -> None:
    rnn = wrt.recurrence(r"s_t = \tanh(W s_{t-1}) \\ s_0 = 2 a")
    assert list(rnn.variables) == ["W", "a"]


def test_a_line_for_the_step_ahead() -> None:
    rnn = wrt.recurrence("s[t+1] = tanh(W*s[t] + U*x[t]); L[t] = norm2(s[t])^2")
    same = wrt.recurrence("s[t] = tanh(W*s[t-1] + U*x[t-1]); L[t] = norm2(s[t])^2")
    assert rnn.loss() is same.loss()
    assert rnn.lines.said["s"] == "s[t] = tanh(W*s[t-1] + U*x[t-1])"


@pytest.mark.parametrize(
    "total",
    [
        "L = sum(t, 1, T, norm2(s[t] - y[t])^2)/2",
        "E[t] = norm2(s[t] - y[t])^2; L = 1/2*sum(t, 1, T, E[t])",
        "L[t] = norm2(s[t] - y[t])^2/2; L = sum(t, 1, T, L[t])",
        r"L = \frac{1}{2} \sum_{t=1}^{T} \lVert s_t - y_t \rVert^2",
    ],
)
def test_a_loss_may_be_said_as_a_sum_over_steps(total: str) -> None:
    step = r"s_t = \tanh(W s_{t-1})" if "\\" in total else "s[t] = tanh(W*s[t-1])"
    rnn = wrt.recurrence(f"{step}; {total}")
    plain = wrt.recurrence("s[t] = tanh(W*s[t-1]); L[t] = norm2(s[t] - y[t])^2/2")
    assert rnn.losses == ("L",)
    given = values(plain, 5)
    assert np.allclose(rnn.gradient("W")(given), plain.gradient("W")(given), rtol=1e-13)


# What is refused


@pytest.mark.parametrize(
    "text",
    [
        "s[t] = tanh(W*s[t-1] + U*x[t])",
        "s[t] = tanh(W*s[t-1]); L[t] = norm2(s[t])^2",
        r"s_t = \tanh(W s_{t-1} + U x_t)",
        r"h_{t+1} = \tanh(W h_t)",
    ],
)
def test_a_recurrence_is_no_formula(text: str) -> None:
    with pytest.raises(SyntaxMistake, match="this is a recurrence") as found:
        wrt.derivative(text, "W")
    assert "wrt recurrence" in str(found.value)


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("s[t] = tanh(W*s[t] + x[t])", SyntaxMistake, "defined by itself at the same step"),
        ("a[t] = 2*b[t]; b[t] = a[t]", SyntaxMistake, "which needs it"),
        ("s[t] = W*s", SyntaxMistake, "which one is meant"),
        ("s[t] = x[2*t]", SyntaxMistake, "plus or minus a whole number"),
        ("s[t] = x[t,1]", SyntaxMistake, "the step stands alone"),
        ("s[t] = t*s[t-1]", SyntaxMistake, "in square brackets only"),
        ("s[t] = a*s[t-1]; s[t] = s[t-1]", SyntaxMistake, "defined twice"),
        ("s[t] = a*s[t-1]; L[k] = s[k]", SyntaxMistake, "the step t and k"),
        ("s[t] = W*s[t-1]; s[3] = x", SyntaxMistake, "before the first"),
        ("r[t] = W*r[t+1]; r[0] = c", SyntaxMistake, r"starts at r\[T\+1\]"),
        ("s[t] = s[t-1]*s[t+1]'*s[t-1]", SyntaxMistake, "not both"),
        ("W*s", SyntaxMistake, "no line says what happens"),
        ("", SyntaxMistake, "empty"),
        ("s[t] = a*s[t-1]; L = sum(t, 1, T, s[t])^2", SyntaxMistake, "a line of its own"),
        ("s[t] = W*s[t-1]; m = sum(t, 1, T, s[t])", ShapeMistake, "adds up a vector"),
        ("s[t] = a*s[t-1]; L = sum(t, 2, T, s[t])", SyntaxMistake, "in square brackets only"),
        (r"s_t = \tanh(W s_{t-1} + U x_{t,i})", SyntaxMistake, "the step alone"),
        (r"s_t = \tanh(W s_{2t})", SyntaxMistake, "the step alone"),
        (r"s_t = |A| s_{t-1}", ShapeMistake, "bars around a matrix"),
        ("s[t] = W*s[t-1] + y*z", ShapeMistake, "two vectors cannot be multiplied"),
    ],
)
def test_mistakes(text: str, kind: type[Mistake], said: str) -> None:
    with pytest.raises(kind, match=said):
        wrt.recurrence(text)


def test_names_that_are_not_there() -> None:
    rnn = wrt.recurrence(ELMAN)
    with pytest.raises(NameMistake, match="no line has the shared name Q"):
        rnn.gradient("Q")
    with pytest.raises(NameMistake, match="no line defines"):
        rnn.step("q")
    with pytest.raises(ShapeMistake, match="counted from 1"):
        rnn.gradient("W", at=0)
    with pytest.raises(NameMistake, match="no one loss"):
        wrt.recurrence("s[t] = tanh(W*s[t-1])").gradient("W")


def test_the_joint_step_of_an_lstm() -> None:
    rnn = wrt.recurrence(LSTM)
    D = rnn.step()
    assert D.shape == ("2*n", "2*n")
    assert (D.matrix or "").startswith("[diag(f[t]), ")
    assert r"\begin{bmatrix} \operatorname{diag}(f_{t}) & " in (D.latex() or "")
    assert D.check().passed
    blocks = wrt.recurrence(LAYERS).step()
    assert "zeros(n, p)" in (blocks.matrix or "")
    with pytest.raises(ShapeMistake, match="one step away"):
        wrt.recurrence("s[t] = a*s[t-1] + s[t-2]").step()


def test_a_loss_is_differentiated_again() -> None:
    """Hessian–vector products without the Hessian, by the derivative of the gradient's loops."""
    for text, weight in ((ELMAN, "W"), (LSTM, "Wf")):
        rnn = wrt.recurrence(text)
        given = values(rnn, 5)
        V = np.random.default_rng(1).normal(size=(4, 4))
        got = wrt.derivative(rnn.loss(), weight, weight).apply(V, **given)
        G, h = rnn.gradient(weight), 1e-5
        wanted = (
            G(**{**given, weight: given[weight] + h * V})
            - G(**{**given, weight: given[weight] - h * V})
        ) / (2 * h)
        assert np.allclose(got, wanted, rtol=1e-6, atol=1e-8)


def test_a_loss_of_the_last_step() -> None:
    text = "s[t] = tanh(W*s[t-1] + U*x[t])\nq = softmax(V*s[T])\nE = -y'*log(q)"
    rnn = wrt.recurrence(text)
    assert rnn.losses == ("E",)
    given = values(rnn, 4)
    every = wrt.recurrence("s[t] = tanh(W*s[t-1] + U*x[t]); L[t] = -y'*log(softmax(V*s[t]))")
    for weight in ("W", "V"):
        D = rnn.gradient(weight)
        assert D.check().passed
        assert np.allclose(D(**given), every.gradient(weight, at=4)(**given), rtol=1e-12)
        found = rnn.contributions(weight)(**given)
        assert found.norms.shape == (4,)
    assert rnn.gradient("V").matrix == "(sum(y)*softmax(V*s[T])-y)*s[T]'"
    assert (rnn.gradient("W").chain or "").startswith("dE/dW = ∂E/∂s[T] · Σ_{k=1..T} ")
    with pytest.raises(ShapeMistake, match="last step only"):
        rnn.gradient("W", at=2)


def test_starts_and_series_have_gradients() -> None:
    rnn = wrt.recurrence(ELMAN)
    given = values(rnn, 3)
    assert rnn.gradient("s0").matrix == "W'*(lambda[1].*(1-s[1].^2))"
    assert rnn.gradient("x").matrix == "x[k]: U'*(lambda[k].*(1-s[k].^2))"
    for name in ("s0", "x", "y"):
        D = rnn.gradient(name)
        assert D.check().passed
        assert D(**given).shape == given[name].shape


def test_a_weight_that_starts_a_state_too_has_no_chain() -> None:
    rnn = wrt.recurrence("s[t] = tanh(W*s[t-1] + x[t]); s[0] = W*c; L[t] = norm2(s[t])^2")
    D = rnn.gradient("W")
    assert D.chain is None
    assert D.matrix is None
    assert D.check().passed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"s0": None},
            r"for s0, which is s\[0\], where s starts .*np.zeros\(n\)",
        ),
        ({"x": None}, "no value is given for x"),
        ({"x": np.ones((5, 2))}, r"x has 5 rows \(T = 5\), y has 4 rows \(T = 4\)"),
        ({"x": np.ones((0, 2))}, "which holds no step: its first axis counts the steps, T × m"),
        ({"x": np.ones((4, 5, 2))}, r'say recurrence\(…, batch="N"\), and x is T × N × m'),
        ({"x": np.ones(4)}, r"x is a matrix \(T × m\), given an array of shape \(4,\)"),
        ({"s0": None, "s": np.zeros(3)}, "no value is given for s0, which is"),
        ({"s0": np.zeros(2)}, "s0 has 2 entries"),
    ],
)
def test_values_that_do_not_fit(change: dict[str, Any], said: str) -> None:
    rnn = wrt.recurrence("s[t] = tanh(W*s[t-1] + U*x[t]); L[t] = norm2(s[t] - y[t])^2")
    given = {"W": np.eye(3), "U": np.ones((3, 2)), "s0": np.zeros(3)}
    given |= {"x": np.ones((4, 2)), "y": np.ones((4, 3))} | change
    given = {k: v for k, v in given.items() if v is not None}
    for ask in (rnn.gradient("W"), rnn.gradients(), rnn.contributions("W"), rnn.horizon):
        with pytest.raises(ValueMistake, match=said):
            ask(**given)


def test_starts_further_back_and_steps_beyond_the_end() -> None:
    rnn = wrt.recurrence("s[t] = a*s[t-1] + b*s[t-2] + x[t]; L[t] = (s[t] - x[t+1])^2")
    given = {"a": 1, "b": 1, "s0": 0, "x": [1, 2, 3]}
    with pytest.raises(ValueMistake, match=r"s_1, which is s\[-1\].*a number.*s_1=0"):
        rnn.gradient("a")(given)
    with pytest.raises(ValueMistake, match="step 3 is asked for, and x has 2 steps"):
        rnn.gradient("a", at=3)({**given, "s_1": 0})
    with pytest.raises(ValueMistake, match="one at least and 1 more, as the lines read it"):
        rnn.gradient("a")({**given, "s_1": 0, "x": [1]})


def test_a_series_is_no_shared_name() -> None:
    rnn = wrt.recurrence(ELMAN)
    with pytest.raises(NameMistake, match=r"x\[t\] is a series .* not shared"):
        rnn.explicit("s", "x")
    with pytest.raises(NameMistake, match="no line reads a state of another step"):
        wrt.recurrence("s[t] = tanh(W*x[t])").step("s")


def test_a_long_chain_of_lines_in_any_order() -> None:
    links = [f"h{k}[t] = tanh(h{k - 1}[t])" for k in range(600, 0, -1)]
    lines = ["L[t] = sum(h600[t])", *links, "h0[t] = tanh(W*h0[t-1] + x[t])"]
    assert wrt.recurrence("\n".join(lines)).gradient("W").shape == ("n", "n")


AVERAGES = [
    "L = sum(t, 1, T, norm2(s[t]-y[t])^2)/T + lambda*norm2(W)^2",
    "L = 1/T*sum(t, norm2(s[t]-y[t])^2) + lambda*norm2(W)^2",
    "l[t] = norm2(s[t]-y[t])^2; L = lambda*norm2(W)^2 + sum(t, 1, T, l[t])/T",
    r"L = \frac{1}{T}\sum_{t=1}^T \|s_t-y_t\|^2 + \lambda \|W\|_F^2",
    r"L = \frac1T\sum_t \|s_t-y_t\|_2^2 + \lambda \|W\|_F^2",
]


@pytest.mark.parametrize("loss", AVERAGES)
def test_a_loss_is_an_average_with_what_is_added_once(loss: str) -> None:
    step = r"s_t = \tanh(W s_{t-1} + x_t)" if "\\" in loss else "s[t] = tanh(W*s[t-1] + x[t])"
    rnn = wrt.recurrence(f"{step}; {loss}")
    rng = np.random.default_rng(5)
    n, T = 3, 7
    at = {"W": rng.normal(size=(n, n)) / 2, "s0": rng.normal(size=n), "lambda": 0.3}
    series = {"x": rng.normal(size=(T, n)), "y": rng.normal(size=(T, n))}

    def value(W: Any) -> Any:
        s, total = at["s0"], 0.0
        for x, y in zip(series["x"], series["y"], strict=True):
            s = np.tanh(W @ s + x)
            total = total + np.sum((s - y) ** 2) / T
        return total + 0.3 * np.sum(W**2)

    want = np.empty((n, n))
    for place in np.ndindex(n, n):
        moved = at["W"].astype(complex)
        moved[place] += 1e-30j
        want[place] = value(moved).imag / 1e-30
    D = rnn.gradient("W", of="L")
    assert D.check().passed
    found, gradient = rnn.gradients("W", of="L").compile(value=True)({**at, **series})
    assert np.allclose(found, value(at["W"]), rtol=1e-13)
    for got in (
        gradient,
        D({**at, **series}),
        D.checkpointed(segments=3)({**at, **series}),
        rnn.contributions("W", of="L")(**at, **series).sum(),
    ):
        assert np.allclose(got, want, rtol=1e-11, atol=1e-13)
    with pytest.raises(ValueMistake, match="reads the number of steps T"):
        rnn.stream("L", "W", at)
    stream = rnn.stream("L", "W", {**at, "T": T})
    for t in range(T):
        stream.push({k: one[t] for k, one in series.items()})
    assert np.allclose(stream.gradient, want, rtol=1e-11, atol=1e-13)


def test_a_name_is_no_number_of_steps() -> None:
    rnn = wrt.recurrence("s[t] = T*s[t-1] + x[t]; L = sum(t, norm2(s[t])^2)", shapes={"T": "n n"})
    assert rnn.gradient("T").shape == ("n", "n")
    assert rnn.length == "steps"
