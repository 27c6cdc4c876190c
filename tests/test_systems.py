"""Systems and determinants: each matrix factorised once, by what is known of it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import wrt
from wrt.errors import ValueMistake
from wrt.expression.meaning import evaluate
from wrt.programs.costs import billed
from wrt.programs.plan import plan

LIBRARIES = ["numpy", "jax", "torch"]
GAUSSIAN = "-0.5*logdet(S) - 0.5*(x-m)'*inv(S)*(x-m)"
SPD = {"S": "n n spd", "x": "n", "m": "n"}
PLAIN = {"S": "n n", "x": "n", "m": "n"}
NOISY = {"K": "n n spd", "s": "positive", "y": "n"}
#: A formula, by what, its declarations, and how often its program says each of some words.
SYSTEMS: list[tuple[str, list[str], dict[str, str], dict[str, int]]] = [
    (GAUSSIAN, ["S", "m"], SPD, {"cholesky(": 1, "linalg.inv": 0, "slogdet": 0}),
    (GAUSSIAN, ["m"], SPD, {"cholesky(": 1, "_inverse": 0, "slogdet": 0}),
    (GAUSSIAN, ["S", "m"], PLAIN, {"lu_factor(S)": 1, "slogdet": 0, "linalg.solve(": 0}),
    (GAUSSIAN, ["m"], PLAIN, {"lu_factor(S)": 1, "slogdet": 0, "linalg.solve(": 0}),
    ("det(S)*((x-m)'*inv(S)*(x-m))", ["m"], PLAIN, {"lu_factor(S)": 1, "linalg.det": 0}),
    ("det(S)*((x-m)'*inv(S)*(x-m))", ["m"], SPD, {"cholesky(": 1, "linalg.det": 0}),
    ("a'*inv(X)*b", ["X"], {}, {"lu_factor(X)": 1, "linalg.solve(": 0}),
    ("a'*inv(X)*B*inv(X)'*a", ["X", "B"], {}, {"lu_factor(X)": 1, "linalg.inv": 0}),
    (
        "0.5*y'*inv(K + s*eye(n))*y + 0.5*logdet(K + s*eye(n))",
        ["s", "y"],
        NOISY,
        {"cholesky(": 1, "linalg.inv": 0},
    ),
    (
        "y'*A*inv(A'*A + c*eye(m))*A'*y",
        ["A", "y", "c"],
        {"A": "n m", "y": "n", "c": "positive"},
        {"cholesky(": 1, "linalg.inv": 0},
    ),
    (
        "norm2(y - A*inv(A'*A)*A'*y)^2",
        ["A"],
        {"A": "N n", "y": "N"},
        {"cholesky(": 1, "linalg.inv": 0},
    ),
    (
        "logdet(H*P*H' + R) + (z - H*x)'*inv(H*P*H' + R)*(z - H*x)",
        ["x", "P"],
        {"H": "m n", "P": "n n spd", "R": "m m spd", "z": "m", "x": "n"},
        {"cholesky(": 1, "linalg.inv": 0},
    ),
    ("b'*inv(L)*a + logdet(L)", ["a", "b"], {"L": "n n lower"}, {"solve_triangular(L": 2}),
    ("b'*inv(L)*a + det(L)", ["a", "b"], {"L": "n n upper"}, {"linalg.": 0, "det(": 1}),
    ("norm2(inv(L)*B)^2", ["L", "B"], {"L": "n n lower", "B": "n m"}, {"linalg.inv": 0}),
    ("logdet(tril(X)) + b'*inv(tril(X))*b", ["X", "b"], {"X": "n n"}, {"linalg.inv": 0}),
    ("b'*inv(D)*b + logdet(D)", ["D", "b"], {"D": "n n diagonal"}, {"linalg.": 0, "solve": 0}),
    ("b'*inv(D*E)*a + det(D)", ["a"], {"D": "n n diagonal", "E": "n n diagonal"}, {"g.": 0}),
    ("norm2(A*D*x)^2", ["A", "x"], {"D": "n n diagonal"}, {"D.diagonal()": 1, "D @": 0}),
    ("a'*chol(S)*b + b'*inv(S)*a", ["a"], {"S": "n n spd"}, {"cholesky(": 1}),
    ("a'*inv(X)*b", ["X"], {"X": "n n complex", "a": "n complex"}, {"lu_factor(X)": 1}),
    ("a'*inv(L)*b", ["a", "b"], {"L": "n n complex lower"}, {"solve_triangular(L": 2}),
]
IDS = [f"{text} by {', '.join(by)} {shapes}" for text, by, shapes, _ in SYSTEMS]


CUTS = {"lower": np.tril, "upper": np.triu, "diagonal": lambda a: np.diag(np.diag(a))}


def values_of(D: Any) -> dict[str, Any]:
    """Values that fit what was declared, all sizes different."""
    rng = np.random.default_rng(3)
    sizes: dict[str, int] = {}
    found: dict[str, Any] = {}
    for v in {v: None for one in D for v in one.arguments}:
        shape = [sizes.setdefault(str(d), 3 + len(sizes)) for d in v.dims]
        if str(v.dims[:1]) and "N" in sizes:
            sizes["N"] = 7
            shape = [sizes[str(d)] for d in v.dims]
        a = rng.standard_normal(shape)
        if "complex" in v.properties:
            a = a + 1j * rng.standard_normal(shape)
        if len(shape) == 2 and shape[0] == shape[1]:
            a = a / 3 + 2 * np.eye(len(a))
        if "spd" in v.properties:
            a = a @ a.T
        found[v.name] = np.abs(a) + 0.1 if "positive" in v.properties else a
        for word, cut in CUTS.items():
            if word in v.properties:
                found[v.name] = cut(a)
    return found


def told(value: Any) -> np.ndarray:
    return value.detach().resolve_conj().numpy() if hasattr(value, "detach") else np.asarray(value)


def given(library: str, value: Any) -> Any:
    if library == "numpy":
        return value
    if library == "torch":
        import torch

        return torch.as_tensor(value)
    import jax.numpy as jnp

    return jnp.asarray(value)


def meant(D: Any, values: dict[str, Any]) -> list[np.ndarray]:
    """The value and the derivatives by the plain meaning of their formulas."""
    nodes = D._formulas(True)
    sizes = {str(d): n for v in D[0].arguments for d, n in _lengths(v, values)}
    return [evaluate(node, values, sizes) for node in nodes]


def _lengths(v: Any, values: dict[str, Any]) -> list[tuple[Any, int]]:
    return list(zip(v.dims, np.shape(values[v.name]), strict=True))


@pytest.fixture(autouse=True)
def _double() -> Any:
    import jax

    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("text", "by", "shapes", "words"), SYSTEMS, ids=IDS)
def test_each_matrix_is_factorised_once(
    text: str, by: list[str], shapes: dict[str, str], words: dict[str, int], library: str
) -> None:
    D = wrt.gradients(text, *by, shapes=shapes)
    source = D.source(library, value=True)
    program = source[source.index("def gradients") :]
    if library == "numpy":
        for word, times in words.items():
            assert program.count(word) == times, program
    factorised = re.findall(
        r"\.cholesky\(|lu_factor\(|\.inv\(|slogdet|\.det\(|lg\.solve\(", program
    )
    assert len(factorised) <= 1
    values = values_of(D)
    found = D.compile(library, value=True)({n: given(library, v) for n, v in values.items()})
    for got, want in zip(found, meant(D, values), strict=True):
        np.testing.assert_allclose(told(got), want, rtol=0, atol=1e-9 * np.abs(want).max())


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("text", "by", "shapes", "_"), SYSTEMS, ids=IDS)
def test_single_precision_stays_single(
    text: str, by: list[str], shapes: dict[str, str], _: Any, library: str
) -> None:
    D = wrt.gradients(text, *by, shapes=shapes)
    values = values_of(D)
    small = {n: v.astype("F" if v.dtype.kind == "c" else "f") for n, v in values.items() if v.ndim}
    small |= {n: v for n, v in values.items() if not v.ndim}
    found = D.compile(library, value=True)(
        {n: given(library, v) if np.ndim(v) else float(v) for n, v in small.items()}
    )
    for got, want in zip(found, meant(D, values), strict=True):
        assert told(got).dtype.itemsize == (8 if told(got).dtype.kind == "c" else 4)
        np.testing.assert_allclose(told(got), want, rtol=0, atol=1e-3 * np.abs(want).max())


def operations(D: Any, **sizes: int) -> float:
    made = plan(D._formulas(True), sizes)
    return billed(made.steps, made.results, sizes).total.flops


def test_definite_matrices_cost_half() -> None:
    n = 300
    plain = operations(wrt.gradients(GAUSSIAN, "S", shapes=PLAIN), n=n)
    definite = operations(wrt.gradients(GAUSSIAN, "S", shapes=SPD), n=n)
    assert definite < n**3 + 30 * n**2
    assert plain < 2 * n**3 + 30 * n**2
    assert plain > 1.8 * definite


def test_triangles_are_solved_with_in_n_squared() -> None:
    D = wrt.gradients("b'*inv(L)*a + logdet(L)", "a", "b", shapes={"L": "n n lower"})
    assert operations(D, n=300) < 3 * 300**2


def test_diagonals_cost_n() -> None:
    D = wrt.gradients("b'*inv(D)*b + logdet(D)", "b", shapes={"D": "n n diagonal"})
    assert operations(D, n=1000) < 30_000
    trace = wrt.derivative("logdet(K + s*eye(n)) - y'*inv(K + s*eye(n))*y", "s", shapes=NOISY)
    assert "np.outer" not in trace.source()
    assert trace.check().passed


def test_a_plan_tells_the_factorisation() -> None:
    D = wrt.derivative("a'*inv(X)*b", "X")
    said = str(D.plan(n=200))
    assert said.count("lu(X)") == 1
    assert "solve(t1.T, a)" in said
    assert "solve(t1, b)" in said
    assert said.count("5.3 M") == 1


def test_many_right_sides_take_the_inverse_only_where_it_is_cheaper() -> None:
    D = wrt.gradients("tr(B'*inv(S)*B)", "B", shapes={"S": "n n spd", "B": "n m"})
    assert "cholesky_solve" in D.source()
    assert "cholesky_inverse" not in D.source()


SPECIAL = {"S": np.diag([1.0, -1.0]), "x": [1.0, 2.0], "m": [0.0, 0.0]}


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_what_cannot_be_factorised_is_named(library: str) -> None:
    D = wrt.gradients("logdet(S) + (x-m)'*inv(S)*(x-m)", "m", shapes=PLAIN)
    program = D.compile(library, value=True)
    with pytest.raises(ValueMistake, match=r"^S is singular: inv\(S\) does not exist"):
        program(S=np.ones((2, 2)), x=[1.0, 2.0], m=[0.0, 0.0])
    A = np.ones((3, 2))
    fitted = wrt.derivative("norm2(y - A*inv(A'*A)*A'*y)^2", "A", shapes={"A": "N n", "y": "N"})
    with pytest.raises(
        ValueMistake, match=r"is not positive definite at this point \(in .*A\.T @ A"
    ):
        fitted.compile(library)(A=A, y=np.ones(3))
    with pytest.raises(ValueMistake, match="L is singular"):
        wrt.derivative("inv(L)*b", "b", shapes={"L": "n n lower"}).compile("numpy")(
            L=np.diag([1.0, 0.0]), b=np.ones(2)
        )
    indefinite = wrt.derivative("logdet(S)", "S", shapes=SPD).compile("torch")
    with pytest.raises(ValueMistake, match="S is not positive definite at this point"):
        indefinite(S=np.diag([1.0, -1.0]))


def test_a_determinant_of_a_singular_matrix_has_a_value() -> None:
    square = wrt.gradients("det(X) + logdet(X)", "X").compile(value=False)
    with pytest.raises(ValueMistake, match="X is singular"):
        square(X=np.ones((2, 2)))
    values = wrt.programs.compile(wrt.read("det(X)*logdet(X'*X + eye(n))"))
    assert values(X=np.zeros((2, 2))) == 0
    assert wrt.programs.compile(wrt.read("logdet(X'*X)"))(X=np.zeros((2, 2))) == -np.inf


def test_what_is_singular_in_jax_is_refused_where_it_is_known() -> None:
    import jax

    program = wrt.derivative("inv(X)*b", "b").compile("jax")
    zeros, b = np.zeros((2, 2)), np.ones(2)
    with pytest.raises(ValueMistake, match=r"^X is singular: inv\(X\) does not exist"):
        program(X=zeros, b=b)
    assert not np.isfinite(jax.jit(lambda X: program(X=X, b=b))(zeros)).any()
    definite = wrt.derivative("x'*inv(S)*x", "x", shapes={"S": "n n spd", "x": "n"})
    with pytest.raises(ValueMistake, match="S is not positive definite at this point"):
        definite.compile("jax")(S=np.diag([1.0, -1.0]), x=b)
    single = wrt.gradients("a'*inv(L)*b", "a", shapes={"L": "n n lower"}).compile("jax")
    with pytest.raises(ValueMistake, match="L is singular"):
        single(L=np.diag([1.0, 0.0]), a=b, b=b)
    assert np.isnan(wrt.derivative("inv(X)*b", "X").compile("jax")(X=np.eye(2), b=b * np.nan)).any()


def test_matrices_without_entries_have_a_value_or_are_refused() -> None:
    D = wrt.gradients("norm2(y - A*inv(A'*A)*A'*y)^2", "y", shapes={"A": "N n", "y": "N"})
    empty = {"A": np.zeros((3, 0)), "y": np.ones(3)}
    for library in ("jax", "torch"):
        assert float(D.compile(library, value=True)(empty)[0]) == 3
    with pytest.raises(ValueMistake, match="n = 0"):
        D.compile()(empty)


AGAIN = [SYSTEMS[k] for k in (0, 2, 3, 4, 6, 8, 9, 12, 14)]


@pytest.mark.parametrize(("text", "by", "shapes", "_"), AGAIN, ids=[a[0] for a in AGAIN])
def test_programs_are_mapped_and_differentiated_again(
    text: str, by: list[str], shapes: dict[str, str], _: Any
) -> None:
    import jax
    import torch

    D = wrt.gradients(text, *by, shapes=shapes)
    values = values_of(D)
    spaces: dict[str, Any] = {}
    for library in ("jax", "torch"):
        space: dict[str, Any] = {}
        exec(D.source(library), space)
        spaces[library] = space["gradients"]
    one = list(values.values())
    many = [np.stack([v, 1.5 * v]) for v in one]
    wanted = [D.compile()(dict(zip(values, [m[k] for m in many], strict=True))) for k in range(2)]
    jaxed = jax.jit(jax.vmap(spaces["jax"]))(*many)
    torched = torch.func.vmap(spaces["torch"])(*map(torch.as_tensor, many))
    for place in range(len(D)):
        want = np.stack([w[place] for w in wanted])
        for found in (jaxed, torched):
            got = told(found[place] if len(D) > 1 else found)
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-9 * np.abs(want).max())

    def total(library: str, *arrays: Any) -> Any:
        made = spaces[library](*arrays)
        return sum((r**2).sum() for r in (made if isinstance(made, tuple) else (made,)))

    places = tuple(range(len(one)))
    in_jax = jax.grad(lambda *a: total("jax", *a), places)(*map(jax.numpy.asarray, one))
    in_torch = torch.func.grad(lambda *a: total("torch", *a), places)(*map(torch.as_tensor, one))
    for a, b in zip(in_jax, in_torch, strict=True):
        np.testing.assert_allclose(told(b), a, rtol=0, atol=1e-8 * max(1, np.abs(a).max()))
    compiled = torch.compile(spaces["torch"], backend="eager", fullgraph=True)
    first = compiled(*map(torch.as_tensor, one))
    np.testing.assert_allclose(told(first[0]), told(spaces["torch"](*map(torch.as_tensor, one))[0]))
