"""Systems as they come up: each is solved by the structure it has, and as the dense one is."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wrt
from wrt.answers.structured import Structured, solving, sums
from wrt.answers.structured.frame import PLAIN
from wrt.errors import ValueMistake
from wrt.expression.dataclass import replace
from wrt.programs.sized import nanoseconds

RNG = np.random.default_rng(71)


def definite(n: int) -> np.ndarray:
    B = RNG.normal(size=(n, n))
    return B @ B.T + n * np.eye(n)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


STATES = "norm2(Y - X*C')^2 + norm2(X[2:30,:] - X[1:29,:]*A')^2"
SPRINGS = "(sqrt((X[2:30,1]-X[1:29,1]).^2 + (X[2:30,2]-X[1:29,2]).^2) - 1).^2"

#: The formula, by what, shapes, arrays, what it is solved by.
SYSTEMS: list[tuple[str, list[str], dict[str, str], dict[str, Any], type]] = [
    # two matrices for each axis
    (
        "M*X*K + K*X*M",
        ["X"],
        {"M": "n n spd"},
        {"M": definite(4), "K": definite(4)},
        sums._Commuting,
    ),
    (
        "A*X*B + C*X*D",
        ["X"],
        {},
        {n: normal(4, 4) if n in "AC" else normal(3, 3) for n in "ABCD"} | {"X": normal(4, 3)},
        sums._Triangular,
    ),
    ("tr(X'*A*X*B)", ["X", "X"], {}, {"A": definite(4), "B": definite(3)}, sums._Commuting),
    (
        "A'*X + X*A - X*S*X",
        ["X"],
        {"S": "n n symmetric"},
        {"A": normal(4, 4), "S": definite(4), "X": definite(4)},
        sums._Sylvester,
    ),
    (
        "logdet(X) + tr(S*inv(X))",
        ["X", "X"],
        {"S": "n n symmetric"},
        {"X": definite(4), "S": 9 * definite(4)},
        sums._Commuting,
    ),
    # few columns beside them
    (
        "norm2(T - X*X')^2 + 3*norm2(X)^2",
        ["X", "X"],
        {"T": "n n symmetric"},
        {"X": normal(9, 2), "T": definite(9)},
        solving._Woodbury,
    ),
    (
        "norm2(X'*X - I)^2 + norm2(X)^2",
        ["X", "X"],
        {"I": "2 2"},
        {"X": normal(9, 2), "I": np.eye(2)},
        solving._Woodbury,
    ),
    # rows and columns multiplied by numbers
    (
        "tanh(A*X*B)",
        ["X"],
        {},
        {"A": definite(4) / 9, "B": definite(3) / 9, "X": normal(4, 3)},
        solving._Scaled,
    ),
    (
        "E.*(A*(D.*X)*B + 9*A*(X.*D))",
        ["X"],
        {},
        {
            "A": definite(4),
            "B": definite(3),
            "D": RNG.uniform(1, 2, (4, 3)),
            "E": RNG.uniform(1, 2, (4, 3)),
            "X": normal(4, 3),
        },
        solving._Scaled,
    ),
    # chains
    (
        STATES,
        ["X", "X"],
        {"X": "30 7"},
        {"A": normal(7, 7), "C": normal(2, 7), "Y": normal(30, 2)},
        solving._Sparse,
    ),
    (
        "norm2(Y - C*X)^2 + norm2(X[:,2:30] - A*X[:,1:29])^2",
        ["X", "X"],
        {"X": "7 30"},
        {"A": normal(7, 7), "C": normal(2, 7), "Y": normal(2, 30)},
        solving._Sparse,
    ),
    (f"sum({SPRINGS}) + norm2(X)^2", ["X", "X"], {"X": "30 2"}, {}, solving._Sparse),
    # one matrix between several axes
    (
        "norm2(Y - tanh(X*A')*B')^2 + 50*norm2(A)^2",
        ["A", "A"],
        {},
        {"A": normal(4, 3), "B": normal(2, 4), "X": normal(9, 3), "Y": normal(9, 2)},
        solving._Kronecker,
    ),
    (
        "sum(log(exp(X*W')*e)) - sum(Y.*(X*W')) + norm2(W)^2",
        ["W", "W"],
        {"e": "k"},
        {"X": normal(20, 4), "W": normal(3, 4), "Y": normal(20, 3), "e": np.ones(3)},
        solving._Kronecker,
    ),
]


def made(
    text: str, names: list[str], shapes: dict[str, str], given: dict[str, Any]
) -> tuple[Structured, np.ndarray]:
    D = wrt.derivative(text, *names, shapes=shapes)
    sizes = {"n": 4, "m": 3}
    values = {
        v.name: given[v.name] if v.name in given else normal(*(d.size(sizes) for d in v.dims))
        for v in D.arguments
    }
    S = D.compile(structured=True)(values)
    return S, D(values).reshape(np.prod(S.row_shape), -1)


@pytest.mark.parametrize(("text", "names", "shapes", "given", "kind"), SYSTEMS)
def test_each_is_solved_by_the_structure_it_has(
    text: str, names: list[str], shapes: dict[str, str], given: dict[str, Any], kind: type
) -> None:
    S, dense = made(text, names, shapes, given)
    for right in (normal(*S.row_shape), normal(2, 3, *S.row_shape), 1j * normal(*S.row_shape)):
        want = np.linalg.solve(dense, right.reshape(-1, len(dense)).T).T
        found = S.solve(right)
        assert found.shape == right.shape[: right.ndim - len(S.row_shape)] + S.column_shape
        assert np.allclose(found.reshape(want.shape), want, rtol=1e-8, atol=1e-9)
    assert type(S._system.way) is kind
    assert np.allclose(S.logdet(), np.linalg.slogdet(dense)[1], rtol=1e-9)
    assert S.solve(np.ones((0, *S.row_shape))).shape == (0, *S.column_shape)
    right = np.ones(S.row_shape)
    assert np.allclose((S + S).solve(right), S.solve(right) / 2, rtol=1e-7, atol=1e-9)
    assert np.allclose(S.T.solve(right).ravel(), np.linalg.solve(dense.T, right.ravel()))


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize(("text", "names", "shapes", "given", "kind"), SYSTEMS)
def test_other_libraries_solve_alike_or_refuse(
    text: str, names: list[str], shapes: dict[str, str], given: Any, kind: type, backend: str
) -> None:
    pytest.importorskip(backend)
    S, dense = made(text, names, shapes, given)
    right = normal(*S.row_shape)
    want = np.linalg.solve(dense, right.ravel())
    if backend == "torch":
        T = S.to("torch")
        found, size = T.solve(right), T.logdet()
    else:
        import jax

        with jax.enable_x64(True):
            T = S.to("jax")
            found, size = jax.jit(lambda T, b: (T.solve(b), T.logdet()))(T, right)
    assert np.allclose(np.asarray(found).ravel(), want, rtol=1e-7, atol=1e-9)
    assert np.allclose(float(size), np.linalg.slogdet(dense)[1], rtol=1e-9)


@pytest.mark.parametrize(("text", "names", "shapes", "given", "kind"), SYSTEMS)
def test_single_precision_stays_single(
    text: str, names: list[str], shapes: dict[str, str], given: dict[str, Any], kind: type
) -> None:
    S, dense = made(text, names, shapes, given)
    single = {n: v.astype("float32") for n, v in S.values.items()}
    like = np.zeros((), "float32")
    T = Structured(replace(S.frame, like=like, ways=PLAIN), tuple(single[n] for n in S.frame.names))
    right = np.ones(S.row_shape, "float32")
    want = np.linalg.solve(dense, right.ravel())
    assert T.solve(right).dtype == T.logdet().dtype == np.dtype("float32")
    assert np.abs(T.solve(right).ravel() - want).max() < 1e-2 * np.abs(want).max()


def test_states_through_time_take_time_in_proportion() -> None:
    """10,000 states of 6 numbers: no more memory than a few bands, and a right solution."""
    T, k = 10000, 6
    text = f"norm2(Y - X*C')^2 + norm2(X[2:{T},:] - X[1:{T - 1},:]*A')^2"
    D = wrt.derivative(text, "X", "X", shapes={"X": f"{T} {k}"}).compile(structured=True)
    S = D(X=np.ones((T, k)), Y=np.ones((T, 2)), C=normal(2, k), A=normal(k, k) / 3)
    b = normal(T, k)
    S.solve(b)
    tracemalloc.start()
    found = S.frame.over(S.values).solve(b)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400 * b.nbytes
    assert np.allclose(S.apply(found), b, rtol=1e-8, atol=1e-8)


def test_a_grid_is_solved_by_what_costs_less() -> None:
    def way(n: int, m: int) -> type:
        along = f"norm2(X[2:{n},:]-X[1:{n - 1},:])^2", f"norm2(X[:,2:{m}]-X[:,1:{m - 1}])^2"
        text = " + ".join(["norm2(X-Y)^2", *along])
        D = wrt.derivative(text, "X", "X", shapes={"X": f"{n} {m}"}).compile(structured=True)
        S, b = D(X=np.ones((n, m)), Y=np.ones((n, m))), normal(n, m)
        assert np.allclose(S.apply(S.solve(b)), b)
        return type(S._system.way)

    assert way(30, 40) is sums._Commuting
    assert way(3, 4000) is solving._Sparse


@pytest.mark.parametrize("n", [2, 3, 9, 50])
def test_what_is_singular_but_for_rounding_is_refused(n: int) -> None:
    """The direction of a vector does not change with its length."""
    bind = wrt.derivative("x/norm2(x)", "x").compile(structured=True)
    for _ in range(20):
        S = bind(x=normal(n) * 10.0 ** RNG.integers(-3, 4, size=n))
        with pytest.raises(ValueMistake, match="singular"):
            S.solve(np.ones(n))
        with pytest.raises(ValueMistake, match="singular"):
            S.logdet()
        damped = S + 1e-3 * S.identity()
        assert np.allclose(damped.apply(damped.solve(np.ones(n))), 1)


def test_a_layer_of_a_net_is_blocks_for_its_units_and_few_columns() -> None:
    """1500 units of 5 weights each, 16 numbers that come out of them."""
    bind = wrt.derivative("norm2(Y - tanh(X*A')*B')^2", "A", "A").compile(structured=True)
    A, B = normal(1500, 5), normal(2, 1500)
    S = bind(A=A, B=B, X=normal(8, 5), Y=normal(8, 2))
    S = S + 9000 * S.identity()
    tracemalloc.start()
    found = S.solve(A)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert type(S._system.way) is solving._Woodbury
    assert peak < 300 * A.nbytes
    assert np.allclose(S.apply(found), A)


#: What the page of structured answers says that a system is solved by, and what that is here.
SAID = {
    "blocks": solving._Kronecker,
    "Woodbury's": solving._Woodbury,
    "eigenvectors": sums._Commuting,
    "triangular": sums._Triangular,
    "Sylvester's": sums._Sylvester,
    "numbers": solving._Scaled,
    "bands": solving._Sparse,
}


def told() -> list[tuple[str, str]]:
    """The examples of the page, and the first word of what each is solved by."""
    page = (Path(__file__).parent.parent / "docs" / "structured.md").read_text()
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")]
    return [(row[1].strip(), row[2].split()[0].strip(":,")) for row in rows if "`" in row[1]]


@pytest.mark.parametrize(("example", "word"), told())
def test_the_page_tells_what_each_is_solved_by(example: str, word: str) -> None:
    _, text, names = example.split("`")
    asked = names.removeprefix(" by ").split(", ") if names else ["X"]
    rows = 90 if "90" in text else 4
    given = {"X": normal(rows, 3) if "X*S*X" not in text else normal(4, 4)}
    given |= {n: definite(4) for n in "MKACS"} | {n: definite(3) for n in "BD"}
    if ".*" in text:
        given |= {n: RNG.uniform(1, 2, (rows, 3)) for n in "DEF"}
        given |= {"D": given["D"].T} if "X'" in text and "tr" not in text else {}
    if "*K" in text:
        given["X"] = normal(4, 4)
    if "*D" in text:
        given |= {n: normal(4, 4) if n in "AC" else normal(3, 3) for n in "ABCD"}
    if "tanh" in text:
        given |= {"A": definite(4) / 9, "B": definite(3) / 9}
    if "Y" in text:
        given |= {"A": normal(4, 3), "B": normal(2, 4), "X": normal(9, 3), "Y": normal(9, 2)}
    shapes = {"X": "90 3"} if rows == 90 else {}
    S, dense = made(text, asked, shapes, given)
    right = normal(*S.row_shape)
    assert np.allclose(S.solve(right).ravel(), np.linalg.solve(dense, right.ravel()), rtol=1e-7)
    assert type(S._system.way) is SAID[word]


def test_blocks_of_few_entries_are_never_formed() -> None:
    n = 20000
    text = f"norm2(D.*X)^2 + norm2(X[2:{n},:] - X[1:{n - 1},:])^2"
    D = wrt.derivative(text, "X", "X", shapes={"X": f"{n} 3"}).compile(structured=True)
    S, b = D(X=np.ones((n, 3)), D=RNG.uniform(1, 2, (n, 3))), normal(n, 3)
    assert np.allclose(S.apply(S.solve(b)), b)
    assert type(S._system.way) is solving._Sparse


def test_products_with_differences_are_not_multiplied_out() -> None:
    """41 terms tell where a chain of springs has entries; a product goes through the chain."""
    D = wrt.derivative(f"sum({SPRINGS}) + norm2(X)^2", "X", "X", shapes={"X": "30 2"})
    X, v = normal(30, 2), normal(30, 2)
    S = D.compile(structured=True)(X=X)
    way, _ = S.frame.ways.apply or (S.formula, None)
    assert nanoseconds(way) < nanoseconds(S._product(False, True, False)[0]) / 2
    assert np.allclose(S.apply(v), np.tensordot(D(X=X), v, 2))
    assert np.allclose(S.pullback(v), S.apply(v))
