"""Structured answers: everything that they say equals the dense array, at the cost of structure."""

from __future__ import annotations

import copy
import pickle
import sys
import tracemalloc
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import wrt
from wrt.answers.structured import Structured
from wrt.answers.structured.frame import Frame
from wrt.errors import ShapeMistake, TooLarge, ValueMistake
from wrt.expression import build
from wrt.expression.coefficient import Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Node, Variable

RNG = np.random.default_rng(12)
QUESTIONS = [
    ("W*x", ["W"], ""),
    ("A*X*B", ["X"], ""),
    ("tanh(W*x)", ["W"], ""),
    ("norm2(T - U*V')^2", ["U", "U"], ""),
    ("norm2(T - U*V')^2", ["U", "V"], ""),
    ("norm2(M.*(T - U*V'))^2", ["U", "U"], ""),
    ("softmax(x)", ["x"], ""),
    ("inv(X)", ["X"], ""),
    ("X'", ["X"], ""),
    ("sum(log(1 + exp(A*x)))", ["x", "x"], ""),
    ("tril(X)*b", ["X"], ""),
    ("X[1:2,:]*w", ["X"], ""),
    ("X^2", ["X"], ""),
    ("x/norm2(x)", ["x"], ""),
    ("norm2(A*x - b)^2", ["conj(x)", "x"], "complex"),
    ("A*x", ["x"], "complex"),
    ("log(1 + abs(h^H*w)^2)", ["conj(w)"], "complex"),
    ("1i*X*b", ["X"], "complex"),
    ("sum(r, 0, 2, r*W)*x", ["W"], ""),
    ("phi: entrywise\nphi(W*x)", ["W"], "function"),
]


def drawn(dims: Any, complex_: bool = False) -> Any:
    value = RNG.normal(size=dims)
    return value + 1j * RNG.normal(size=dims) if complex_ else value


def bound(text: str, names: list[str], kind: str = "") -> tuple[Structured, np.ndarray]:
    shapes = {"x": "m complex", "X": "n m complex"} if kind == "complex" else {}
    D = wrt.derivative(text, *names, shapes={n: s for n, s in shapes.items() if n in text})
    sizes = {name: 3 + k for k, name in enumerate(("n", "m", "p", "k"))}
    values: dict[str, Any] = {}
    for v in D.arguments:
        value = drawn([d.size(sizes) for d in v.dims], "complex" in v.properties)
        square = v.ndim == 2 and v.dims[0] is v.dims[1]
        values[v.name] = value + 4 * np.eye(3) if square else value
    if kind == "function":
        values |= {"phi": np.sin, "phi'": np.cos}
        wanted = {"W", "x", "phi'"}
        values = {n: v for n, v in values.items() if n in wanted}
    S = D.compile(structured=True)(values)
    return S, D(values)


def close(got: Any, want: Any) -> bool:
    return np.shape(got) == np.shape(want) and np.allclose(got, want, rtol=1e-9, atol=1e-9)


def all_equal(S: Structured, dense: np.ndarray, rows: int) -> None:
    """Every operation of a structured tensor is that of an array."""
    columns, complex_ = dense.ndim - rows, np.iscomplexobj(dense)
    v, g = drawn(dense.shape[rows:], complex_), drawn(dense.shape[:rows], complex_)
    assert S.shape == dense.shape
    assert S.size == dense.size
    assert close(S.dense(), dense)
    assert close(np.asarray(S), dense)
    assert S.dense().dtype == S.dtype == dense.dtype
    assert close(S.apply(v), np.tensordot(dense, v, columns))
    assert close(S @ v, np.tensordot(dense, v, columns))
    assert close(S.pullback(g), np.tensordot(g, dense, rows))
    assert close(g @ S, np.tensordot(g, dense, rows))
    many, back = drawn((2, 3, *v.shape)), drawn((2, *g.shape))
    assert close(
        S.apply(many),
        np.moveaxis(
            np.tensordot(dense, np.moveaxis(many, [0, 1], [-2, -1]), columns), [-2, -1], [0, 1]
        ),
    )
    assert close(S.pullback(back), np.tensordot(back, dense, rows))
    wide = drawn((*v.shape, 2))
    assert close(S @ wide, np.tensordot(dense, wide, columns))
    assert close(S.norm(), np.linalg.norm(dense))
    assert close((S + S * 2 - 0.5 * S + -S / 4).dense(), 2.25 * dense)
    assert close(S.T.dense(), dense.transpose(*range(rows, dense.ndim), *range(rows)))
    gram = S.T @ S
    assert close(gram.dense(), np.tensordot(S.T.dense(), dense, rows))
    matrix = dense.reshape(g.size, v.size)
    operator = S.linear_operator()
    assert operator.dtype == dense.dtype
    assert close(operator @ v.ravel(), matrix @ v.ravel())
    assert close(operator @ np.eye(v.size), matrix)
    assert close(operator.H @ g.ravel(), matrix.conj().T @ g.ravel())
    assert close(operator.H @ np.eye(g.size), matrix.conj().T)
    for kind in ("csr", "coo", "csc"):
        sparse = S.sparse(kind)
        assert sparse.format == kind
        assert close(sparse.toarray(), matrix)
        assert np.count_nonzero(sparse.data) == sparse.nnz
    if dense.shape[:rows] == dense.shape[rows:]:
        square = dense.reshape(g.size, g.size)
        assert close(S.trace(), np.trace(square))
        assert close(S.diagonal(), square.diagonal().reshape(g.shape))
        assert close((S @ S).dense(), np.tensordot(dense, dense, columns))
        assert close(
            (S + 2 * S.identity()).dense().reshape(square.shape), square + 2 * np.eye(g.size)
        )
        assert not S.is_symmetric or close(square, square.T)
    for key in (0, -1, slice(1, None), slice(None, None, -1), slice(0, None, 2), Ellipsis):
        sliced = isinstance(key, slice)
        if S.ndim and not (sliced and (S.frame.groups or 1 in S.shape)):
            assert close(S[key].dense(), dense[key])
            if key is not Ellipsis:
                assert close(S[..., key].dense(), dense[..., key])
    if S.ndim > 1 and not S.frame.groups and 1 not in S.shape:
        part = S[::2, 1:]
        assert close(part.dense(), dense[::2, 1:])
        assert part.rows == rows
        assert S[0].rows == max(0, rows - 1)


@pytest.mark.parametrize(("text", "names", "kind"), QUESTIONS)
def test_every_operation_is_that_of_the_dense_array(text: str, names: list[str], kind: str) -> None:
    S, dense = bound(text, names, kind)
    all_equal(S, dense, S.rows)


def test_terms_that_are_the_same_steps_all_count() -> None:
    S = wrt.derivative("tr([G, G; G, G])", "G", shapes={"G": "m m"}).compile(structured=True)
    bound_ = S(G=np.eye(3))
    all_equal(bound_, 2 * np.eye(3), 0)
    assert close((bound_.T @ bound_).apply(np.eye(3)), 12 * np.eye(3))


def random_tensor(rng: np.random.Generator) -> tuple[Node, dict[str, np.ndarray], int]:
    """A sum of products of vectors, matrices and tensors with δ, ones and patterns between axes."""
    axes = int(rng.integers(2, 7))
    most = {2: 5, 3: 4, 4: 4, 5: 3, 6: 3}[axes]
    size = Dimension.of(int(rng.integers(2, most + 1)))
    other = Dimension.of(int(rng.integers(2, most + 1)))
    classes = [int(rng.integers(2)) for _ in range(axes)]
    dims = [(size, other)[k] for k in classes]
    values: dict[str, np.ndarray] = {}
    made = []
    for _ in range(int(rng.integers(1, 4))):
        output, index_dims = [], list[Dimension]()
        for axis in range(axes):
            tied = [i for i in output if index_dims[i] is dims[axis]]
            if tied and rng.random() < 0.5:
                output.append(int(rng.choice(tied)))
            else:
                index_dims.append(dims[axis])
                output.append(len(index_dims) - 1)
        index_dims += [size] * int(rng.integers(0, 3))
        factors = []
        for _ in range(int(rng.integers(1, 5))):
            chosen = tuple(int(i) for i in rng.integers(len(index_dims), size=rng.integers(1, 4)))
            if rng.random() < 0.25 and len(chosen) > 1:
                i, j = chosen[:2]
                if i != j:
                    pattern = build.section(index_dims[i], index_dims[j], int(rng.integers(-1, 2)))
                    factors.append((pattern, 1, (i, j)))
                continue
            name = f"A{len(values)}"
            variable = Variable(name, [index_dims[i] for i in chosen])
            values[name] = rng.normal(size=[d.value for d in variable.dims])
            factors.append((variable, 1, chosen))
        made.append(
            build.product(Coefficient.of(int(rng.integers(1, 4))), factors, output, index_dims)
        )
    return build.add(*made), values, int(rng.integers(0, axes + 1))


@pytest.mark.parametrize("seed", range(25))
def test_random_tensors_are_what_they_are_made_of(seed: int) -> None:
    node, values, rows = random_tensor(np.random.default_rng(seed))
    dense = np.asarray(evaluate(node, values), dtype=float)
    all_equal(Frame(node, rows, like=np.zeros(())).over(values), dense, rows)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("norm2(T - U*V')^2", ["U", "U"]),
        ("norm2(M.*(T - U*V'))^2", ["U", "U"]),
        ("sum(exp(X))", ["X", "X"]),
        ("A*X", ["X"]),
        ("X*A", ["X"]),
        ("A*X*B", ["X"]),
        ("X'", ["X"]),
        ("tril(A)*X", ["X"]),
        ("inv(X)", ["X"]),
        ("X^2", ["X"]),
        ("A*X + X*B + 2*X", ["X"]),
        ("logdet(X)", ["X", "X"]),
        ("sum(exp(x)) + (a'*x)^2", ["x", "x"]),
        ("sum(exp(X)) + sum(A.*X)^2 + sum(X)^2", ["X", "X"]),
        ("sum(logsumexp(X)) + norm2(x)^2", ["x", "x"]),
        ("norm2(A*x - b)^2", ["x", "x"]),
        ("sum(exp(X*w)) + sum(X.^4)", ["X", "X"]),
        ("sum(log(1 + exp(A*x))) + lambda*norm2(x)^2", ["x", "x"]),
    ],
)
def test_systems_are_solved_by_structure(text: str, names: list[str]) -> None:
    D = wrt.derivative(text, *names, shapes={"A": "p m", "x": "m"} if "lambda" in text else None)
    sizes = {**dict.fromkeys("nmqkr", 6), "p": 2 if "lambda" in text else 6}
    values = {v.name: RNG.uniform(0.5, 2, [d.size(sizes) for d in v.dims]) for v in D.arguments}
    S = D.compile(structured=True)(values)
    dense = S.dense().reshape(np.prod(S.row_shape), -1)
    right = RNG.normal(size=S.row_shape)
    found = S.solve(right)
    assert np.allclose(found.ravel(), np.linalg.solve(dense, right.ravel()), rtol=1e-7)
    assert close(S.apply(found), right)
    many = RNG.normal(size=(2, 3, *S.row_shape))
    assert close(S.apply(S.solve(many)), many)
    assert close(S.logdet(), np.linalg.slogdet(dense)[1])


def test_a_product_of_few_columns_is_added_by_a_small_system() -> None:
    n, r = 400, 3
    D = wrt.derivative("sum(exp(x)) + norm2(A*x)^2", "x", "x", shapes={"A": "r n"})
    S = D.compile(structured=True)(x=RNG.normal(size=n), A=RNG.normal(size=(r, n)))
    assert S._system.way.small.shape == (r, r)
    b = RNG.normal(size=n)
    assert close(S.apply(S.solve(b)), b)
    damped = S + 0.5 * S.identity()
    assert damped._system.way.small.shape == (r, r)
    assert close(damped.apply(damped.solve(b)), b)


def exactly_solved(matrix: list[list[Fraction]], right: list[Fraction]) -> list[float]:
    """Gauss, in fractions."""
    rows = [[*row, b] for row, b in zip(matrix, right, strict=True)]
    for k in range(len(rows)):
        swap = next(i for i in range(k, len(rows)) if rows[i][k])
        rows[k], rows[swap] = rows[swap], rows[k]
        for i in range(len(rows)):
            if i != k:
                factor = rows[i][k] / rows[k][k]
                rows[i] = [a - factor * c for a, c in zip(rows[i], rows[k], strict=True)]
    return [float(row[-1] / row[k]) for k, row in enumerate(rows)]


def test_blocks_with_few_columns_added_are_not_formed() -> None:
    n, m = 300, 400  # 300 blocks of 160,000 entries
    J = wrt.derivative("tanh(W*x)", "W").compile(structured=True)
    S = J(W=RNG.normal(size=(n, m)) / m, x=RNG.normal(size=m))
    damped = S.T @ S + 0.1 * (S.T @ S).identity()
    b = RNG.normal(size=(n, m))
    tracemalloc.start()
    found = damped.solve(b)
    determinant = damped.logdet()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * b.nbytes
    assert close(damped.apply(found), b)
    rows = (S.pullback(np.ones(n)) ** 2).sum(axis=1)
    assert close(determinant, n * m * np.log(0.1) + np.log1p(rows / 0.1).sum())


@pytest.mark.parametrize(("scale", "least"), [(1e6, 1.0), (1.0, 1e-18), (1.0, 0.0)])
def test_a_solution_keeps_its_digits(scale: float, least: float) -> None:
    """Where what is added is large; where the diagonal alone is nearly singular, or is."""
    D = wrt.derivative("sum(d.*x.^2)/2 + (a'*x)^2/2", "x", "x").compile(structured=True)
    d, a, b = RNG.uniform(1, 2, size=6), scale * RNG.normal(size=6), RNG.normal(size=6)
    d[0] = min(d[0], least)
    outer = [[Fraction(p) * Fraction(q) for q in a] for p in a]
    for k in range(6):
        outer[k][k] += Fraction(d[k])
    S = D(d=d, a=a, x=np.ones(6))
    assert np.allclose(S.solve(b), exactly_solved(outer, [Fraction(v) for v in b]), rtol=1e-9)


def test_digits_that_would_be_lost_are_refused() -> None:
    D = wrt.derivative("sum(D.*X.^2)/2 + sum(A.*X)^2/2", "X", "X").compile(structured=True)
    A, weights = RNG.normal(size=(40, 30)), np.ones((40, 30))
    assert D(D=weights, A=A, X=A).solve(A).shape == (40, 30)
    weights[1, 2] = 1e-20
    with pytest.raises(ValueMistake, match="singular, or nearly"):
        D(D=weights, A=A, X=A).solve(A)
    A, weights = A[:3, :4], weights[:3, :4]  # one matrix of so many entries is formed
    S, right = D(D=weights, A=A, X=A), RNG.normal(size=(3, 4))
    assert close(S.apply(S.solve(right)), right)


def test_what_no_structure_solves_is_refused() -> None:
    gram = wrt.derivative("X'*X", "X", shapes={"X": "n n"}).compile(structured=True)
    with pytest.raises(ValueMistake, match="does not tell how to solve"):
        gram(X=np.eye(40)).solve(np.eye(40))
    with pytest.raises(ShapeMistake, match="not square"):
        wrt.derivative("W*x", "W").compile(structured=True)(W=np.eye(2), x=[1, 2]).solve([1, 2])
    singular = wrt.derivative("A*X", "X").compile(structured=True)(A=np.ones((2, 2)), X=np.eye(2))
    with pytest.raises(ValueMistake, match="singular"):
        singular.solve(np.eye(2))
    with pytest.raises(ShapeMistake, match="the right side has shape"):
        singular.solve(np.eye(3))
    with pytest.raises(TooLarge):
        singular.dense(limit=10)
    nothing = wrt.derivative("sum(x)", "x", "x", shapes={"x": "n"}).compile(structured=True)
    with pytest.raises(ValueMistake, match="singular"):
        nothing(x=np.zeros(3)).solve(np.ones(3))
    endless = wrt.derivative("A*x", "x").compile(structured=True)
    with pytest.raises(ValueMistake, match="no numbers"):
        endless(A=np.full((2, 2), np.inf), x=[1, 1]).solve([1, 1])


@pytest.mark.parametrize(
    "view", ["numerator", "denominator", "gradient", "vec-rows", "vec-columns"]
)
@pytest.mark.parametrize(
    ("text", "names"),
    [("A*X*B", ["X"]), ("W*x", ["W"]), ("x'*A*x", ["x"]), ("norm2(X - B)^4", ["X", "X"])],
)
def test_views_are_laid_out_so(text: str, names: list[str], view: str) -> None:
    D = wrt.derivative(text, *names).view(view)
    sizes = dict(zip("nmpk", (3, 4, 2, 5), strict=True))
    values = {v.name: RNG.normal(size=[d.size(sizes) for d in v.dims]) for v in D.arguments}
    S = D.compile(structured=True)(values)
    all_equal(S, D(values), len(S.row_shape))
    if len(names) == 2 and view.startswith("vec"):
        b = RNG.normal(size=len(S))
        assert close(S.solve(b), np.linalg.solve(S.dense(), b))


@pytest.mark.parametrize(
    "text",
    ["vec(X)", "vec(A*X*B) + 2*vec(X)", "kron(A,X)", "kron(A,X) + 3*kron(X,A)", "vec(inv(X))"],
)
def test_axes_laid_end_to_end_keep_their_structure(text: str) -> None:
    D = wrt.derivative(text, "X", shapes={"A": "n n"} if "3*" in text else None)
    sizes = dict(zip("nmpk", (3, 3 if "inv" in text else 4, 2, 5), strict=True))
    values = {v.name: RNG.normal(size=[d.size(sizes) for d in v.dims]) for v in D.arguments}
    S, dense = D.compile(structured=True)(values), D(values)
    all_equal(S, dense, dense.ndim - 2)


def test_a_long_vector_of_entries_is_never_formed() -> None:
    n = 1000
    S = wrt.derivative("vec(A*X)", "X", shapes={"X": "n n", "A": "n n"}).compile(structured=True)
    A, V = RNG.normal(size=(n, n)) + 99 * np.eye(n), RNG.normal(size=(n, n))
    bound_ = S(A=A, X=np.eye(n))
    assert bound_.shape == (n * n, n, n)
    assert close(bound_.apply(V), (A @ V).T.ravel())
    assert close(bound_.apply(bound_.solve(V.ravel())), V.ravel())
    same = wrt.derivative("vec(X)", "X").compile(structured=True)(X=V)
    assert same.sparse().nnz == n * n
    with pytest.raises(ShapeMistake, match="taken whole"):
        _ = same[:5]
    assert same[:, 3].shape == (n * n, n)


def test_two_tensors_with_one_name_for_different_arrays() -> None:
    D = wrt.derivative("W*x", "x").compile(structured=True)
    A, B = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 4))
    both = D(W=A, x=np.ones(3)) @ D(W=B, x=np.ones(4))
    assert close(both.dense(), A @ B)
    again = D(W=A, x=np.ones(3)) + D(W=2 * A, x=np.ones(3))
    assert close(again.dense(), 3 * A)


def test_mistakes_are_told() -> None:
    S, _ = bound("W*x", ["W"])
    with pytest.raises(ShapeMistake, match=r"the direction has shape \(2, 2\), wanted 3 × 4"):
        S.apply(np.eye(2))
    with pytest.raises(ValueMistake, match="NaN"):
        S.apply(np.full((3, 4), np.nan))
    with pytest.raises(ShapeMistake, match="no index of a structured tensor"):
        _ = S[[0, 1]]
    with pytest.raises(ShapeMistake, match="outside axis 0"):
        _ = S[7]
    with pytest.raises(ShapeMistake, match="is empty"):
        _ = S[1:1]
    with pytest.raises(ShapeMistake, match="not square"):
        S.trace()
    with pytest.raises(ShapeMistake, match="multiplied by numbers"):
        _ = S * np.ones(3)
    with pytest.raises(ValueMistake, match="by zero"):
        _ = S / 0
    with pytest.raises(ShapeMistake, match="added to structured tensors"):
        _ = S + 1
    with pytest.raises(ValueMistake, match="no array library"):
        S.to("cupy")


def test_they_can_be_kept_and_sent() -> None:
    S, dense = bound("norm2(T - U*V')^2", ["U", "V"])
    V = RNG.normal(size=S.column_shape)
    want = S.apply(V)
    for again in (
        pickle.loads(pickle.dumps(S)),
        copy.deepcopy(S),
        pickle.loads(pickle.dumps(S.T)).T,
    ):
        assert close(again.apply(V), want)
        assert close(again.dense(), dense)


# What it costs


def test_a_newton_step_of_a_factorisation_costs_no_more_than_its_blocks() -> None:
    k, peaks, systems = 10, [], []
    D = wrt.derivative("norm2(T - U*V')^2", "U", "U").compile(structured=True)
    for n in (1000, 2000):  # Hessians of 0.8 and 3.2 GB
        U, V = RNG.normal(size=(n, k)), RNG.normal(size=(n, k))
        G = RNG.normal(size=(n, k))
        S = D(T=np.empty((n, n)) * 0, U=U, V=V)
        tracemalloc.start()
        step = S.solve(G)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        systems.append([b.matrix().shape for b in S._system.way.blocks])
        assert np.allclose(step, G @ np.linalg.inv(2 * V.T @ V), rtol=1e-8)
    assert systems == [[(k, k)], [(k, k)]]  # one system of ten, whatever n is
    assert peaks[1] < 10 * G.nbytes


def test_nothing_is_formed_that_is_larger_than_its_parts() -> None:
    n = 2000  # 8·10⁹ entries, of which 4·10⁶ can differ from zero
    S = wrt.derivative("W*x", "W").compile(structured=True)(W=np.eye(n), x=RNG.normal(size=n))
    assert S.size == n**3
    V, g = RNG.normal(size=(n, n)), RNG.normal(size=n)
    tracemalloc.start()
    S.apply(V)
    float(S.norm())
    (S.T @ S).apply(V)
    S[5].apply(V)
    S[:, ::2, 1:5].norm()
    below = tracemalloc.get_traced_memory()[1]
    S.pullback(g)
    above = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert below < 3 * V.nbytes
    assert above < 4 * V.nbytes
    with pytest.raises(TooLarge, match="4,000,000 entries"):
        S.sparse(limit=10**6)
    assert S[:100].sparse().nnz == 100 * n


def test_a_second_use_is_only_run(monkeypatch: pytest.MonkeyPatch) -> None:
    D = wrt.derivative("tanh(W*x)", "W").compile(structured=True)
    given = {"W": RNG.normal(size=(3, 4)), "x": RNG.normal(size=4)}
    V = RNG.normal(size=(3, 4))
    first = D(given).apply(V)

    def refused(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr("wrt.programs.module.plan", refused)
    monkeypatch.setattr("wrt.answers.structured.terms.build.product_carried", refused)
    assert close(D(given).apply(V), first)


def test_a_sum_that_nearly_cancels_keeps_its_norm() -> None:
    D = wrt.derivative("softmax(x)", "x").compile(structured=True)
    S = D(x=[0.0, -30.0])
    assert np.allclose(float(S.norm()), np.linalg.norm(S.dense()), rtol=1e-9)


def test_types_are_kept() -> None:
    x = RNG.normal(size=4).astype(np.float32)
    W = RNG.normal(size=(3, 4)).astype(np.float32)
    S = wrt.derivative("tanh(W*x)", "W").compile(structured=True)(W=W, x=x)
    assert S.dtype == np.float32
    assert S.apply(W).dtype == S.dense().dtype == S.norm().dtype == S.sparse().dtype == np.float32
    assert S.apply(np.ones((3, 4))).dtype == np.float64
    assert S.apply(np.ones((3, 4), int)).dtype == np.float32
    assert (0.5 * S).dtype == np.float32
    still = wrt.derivative("X'", "X").compile(structured=True)(X=W)
    assert still.dtype == still.dense().dtype == still.norm().dtype == np.float32


def test_what_comes_back_is_its_own() -> None:
    S = wrt.derivative("sum(A.*X)", "X").compile(structured=True)(A=np.eye(2), X=np.eye(2))
    V = np.eye(2)
    same = wrt.derivative("X + A", "X").compile(structured=True)(A=V, X=V)
    same.apply(V)[:] = 7
    assert close(V, np.eye(2))
    S.dense()[:] = 7
    S.pullback(1.0)[:] = 7
    assert close(S.dense(), np.eye(2))


def test_what_is_large_is_not_formed_when_arrays_are_bound() -> None:
    n = 60  # the derivative of expm has 13 million entries
    X, V, g = (RNG.normal(size=(n, n)) / n for _ in range(3))
    D = wrt.derivative("expm(X)", "X")
    tracemalloc.start()
    S = D.compile(structured=True)(X=X)
    along, back = S.apply(V), S.pullback(g)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < n**4 * 8 / 5
    assert close(along, D.apply(V, X=X))
    assert close(back, D.pullback(g, X=X))


def test_recurrences_and_gradients_bind_too() -> None:
    rnn = wrt.recurrence("s[t] = tanh(W*s[t-1] + U*x[t]); L[t] = norm2(s[t]-y[t])^2/2")
    given = {"W": RNG.normal(size=(3, 3)), "U": RNG.normal(size=(3, 2)), "s0": RNG.normal(size=3)}
    given |= {"x": RNG.normal(size=(5, 2)), "y": RNG.normal(size=(5, 3))}
    total, no_y = rnn.total("s", "W"), {k: v for k, v in given.items() if k != "y"}
    S, dense, V = total.compile(structured=True)(no_y), total(no_y), RNG.normal(size=(3, 3))
    assert close(S.dense(), dense)
    assert close(S.apply(V), np.tensordot(dense, V, 2))
    both = rnn.gradients("W", "U")
    for made, plain in zip(both.compile(structured=True)(given), both(given), strict=True):
        assert close(made.dense(), plain)
    A, B = wrt.gradients("A*x", "A", "x").compile(structured=True)(A=np.eye(2), x=[1, 2])
    assert (A.shape, B.shape) == ((2, 2, 2), (2, 2))
    with pytest.raises(ValueMistake, match="apart"):
        both.compile(structured=True, value=True)


# Other libraries


LIBRARIES = [
    ("tanh(W*x)", ["W"]),
    ("norm2(M.*(T - U*V'))^2", ["U", "U"]),
    ("softmax(x)", ["x"]),
    ("X'", ["X"]),
    ("A*X", ["X"]),
    ("sum(exp(x)) + (a'*x)^2", ["x", "x"]),
]


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize(("text", "names"), LIBRARIES)
def test_other_libraries_say_the_same(text: str, names: list[str], backend: str) -> None:
    if backend == "jax":
        jax = pytest.importorskip("jax")
        with jax.enable_x64(True):
            say_the_same(text, names, backend, jax.numpy.asarray)
    else:
        say_the_same(text, names, backend, pytest.importorskip("torch").as_tensor)


def say_the_same(text: str, names: list[str], backend: str, array: Any) -> None:
    D = wrt.derivative(text, *names)
    sizes = dict(zip("nmpk", (3, 4, 2, 5), strict=True)) | (
        {"n": 3, "m": 3} if "A*" in text else {}
    )
    values = {v.name: RNG.uniform(0.5, 2, [d.size(sizes) for d in v.dims]) for v in D.arguments}
    plain = D.compile(structured=True)(values)
    S = D.compile(backend, structured=True)({k: array(v) for k, v in values.items()})
    v, g = RNG.normal(size=plain.column_shape), RNG.normal(size=plain.row_shape)

    def same(got: Any, want: Any) -> bool:
        return type(got) is type(array(v)) and close(np.asarray(got), want)

    assert same(S.dense(), plain.dense())
    assert same(S.apply(array(v)), plain.apply(v))
    assert same(S.apply(v), plain.apply(v))
    assert same(S.apply(array(np.stack([v, v]))), [plain.apply(v)] * 2)
    assert same(S.pullback(array(g)), plain.pullback(g))
    assert same(S @ array(v), plain @ v)
    assert same(S.norm(), plain.norm())
    assert same((S.T @ S * 2 - S.T @ S / 2).apply(v), 1.5 * (plain.T @ plain).apply(v))
    assert same(S[0].dense(), plain[0].dense())
    assert close(S.to("numpy").sparse().toarray(), plain.sparse().toarray())
    assert same(plain.to(backend).dense(), plain.dense())
    if text not in ("tanh(W*x)", "softmax(x)"):
        assert same(S.solve(array(g)), plain.solve(g))
        assert same(S.logdet(), plain.logdet())
    with pytest.raises(ValueMistake, match="moves from"):
        S.linear_operator()
    with pytest.raises(ValueMistake, match="moves from"):
        S.sparse()


def test_jax_traces_maps_and_differentiates_them() -> None:
    jax = pytest.importorskip("jax")
    bind = wrt.derivative("tanh(W*x)", "W").compile("jax", structured=True)
    W, x, V, g = (RNG.normal(size=s) for s in ((3, 4), 4, (3, 4), 3))
    with jax.enable_x64(True):
        S = bind(W=W, x=x)
        want = S.apply(V)
        assert close(jax.jit(lambda S, v: S.apply(v))(S, V), want)  # a tree of its arrays
        assert close(jax.jit(lambda W, x, v: bind(W=W, x=x).apply(v))(W, x, V), want)
        assert close(jax.vmap(S.apply)(np.stack([V, 2 * V])), [want, 2 * want])
        slope = jax.grad(lambda v: (S.apply(v) * g).sum())(jax.numpy.asarray(V))
        assert close(slope, S.pullback(g))
        moved = jax.grad(lambda x: (bind(W=W, x=x).apply(V) * g).sum())(jax.numpy.asarray(x))
        step = 1e-6 * RNG.normal(size=4)
        change = (bind(W=W, x=x + step).apply(V) - bind(W=W, x=x - step).apply(V)) / 2 @ g
        assert np.allclose(moved @ step, change, rtol=1e-4)


def test_pytorch_differentiates_them() -> None:
    torch = pytest.importorskip("torch")
    bind = wrt.derivative("tanh(W*x)", "W").compile("torch", structured=True)
    W, x, V, g = (torch.as_tensor(RNG.normal(size=s)) for s in ((3, 4), 4, (3, 4), 3))
    S = bind(W=W, x=x)
    assert close(
        torch.func.vmap(S.apply)(torch.stack([V, 2 * V])), S.apply(torch.stack([V, 2 * V]))
    )
    assert torch.autograd.gradcheck(lambda x, V: bind(W=W, x=x).apply(V), (x.requires_grad_(), V))
    slope = torch.func.grad(lambda V: (S.apply(V) * g).sum())(V)
    assert close(slope.detach(), S.pullback(g).detach())
    single = bind(W=W.float(), x=x.detach().float())
    assert single.apply(V.float()).dtype == single.norm().dtype == torch.float32


def test_lineax_solves_with_them() -> None:
    jax = pytest.importorskip("jax")
    lineax = pytest.importorskip("lineax")
    D = wrt.derivative("sum(log(1 + exp(A*x))) + norm2(x)^2", "x", "x")
    A, x, b = RNG.normal(size=(9, 4)), RNG.normal(size=4), RNG.normal(size=4)
    with jax.enable_x64(True):
        S = D.compile(structured=True)(A=A, x=x)
        operator = S.lineax()
        assert lineax.is_positive_semidefinite(operator)
        found = lineax.linear_solve(operator, jax.numpy.asarray(b), lineax.CG(1e-12, 1e-12)).value
        assert close(S.apply(np.asarray(found)), b)
        assert close(jax.jit(lambda b: operator.mv(b))(jax.numpy.asarray(b)), S.apply(b))
        U = wrt.derivative("norm2(T - U*V')^2", "U", "V").compile("jax", structured=True)
        mixed = U(T=np.eye(3), U=np.ones((3, 2)), V=np.ones((3, 2))).lineax()
        assert not lineax.is_symmetric(mixed)
        assert mixed.as_matrix().shape == (6, 6)


def test_lineax_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lineax", None)
    S, _ = bound("softmax(x)", ["x"])
    with pytest.raises(ValueMistake, match="pip install lineax"):
        S.lineax()


def test_what_the_form_shows_is_told() -> None:
    H = wrt.derivative("norm2(M.*(T - U*V'))^2", "U", "U").compile(structured=True)
    S = H({name: RNG.normal(size=(3, 3)) for name in "MTUV"})
    assert S.is_symmetric
    assert S.definite == 1
    assert (-S).definite == -1
    assert (S + S.identity()).definite == 2
    assert not S[:, :, 0].is_symmetric
    assert S[0].definite == 0
