"""Systems with structured tensors: told once for each formula, solved by what has structure."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest

import wrt
from wrt.answers.structured import Structured
from wrt.answers.structured.frame import Frame
from wrt.answers.structured.sparse import sparse_factorised
from wrt.errors import ValueMistake
from wrt.expression import build
from wrt.expression.coefficient import Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Variable

RNG = np.random.default_rng(31)


def close(got: Any, want: Any) -> bool:
    return np.shape(got) == np.shape(want) and np.allclose(got, want, rtol=1e-9, atol=1e-9)


SYSTEMS = [
    ("norm2(T - U*V')^2", ["U", "U"]),
    ("norm2(M.*(T - U*V'))^2", ["U", "U"]),
    ("sum(exp(x)) + (a'*x)^2", ["x", "x"]),
    ("A*X + X*B", ["X"]),
    ("sum(exp(X*w)) + sum(X.^4)", ["X", "X"]),
]


@pytest.mark.parametrize(("text", "names"), SYSTEMS)
def test_a_system_is_told_once_for_all_values(
    text: str, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    D = wrt.derivative(text, *names)
    bind, sizes = D.compile(structured=True), dict(zip("nmpk", (5, 5, 2, 2), strict=True))

    def values() -> dict[str, Any]:
        return {v.name: RNG.uniform(1, 2, [d.size(sizes) for d in v.dims]) for v in D.arguments}

    def used(S: Structured) -> None:
        S.solve(np.ones(S.row_shape))
        S.logdet()
        S.norm()
        S.trace()
        S.diagonal()
        S.dense()

    for _ in range(3):  # programs are planned for sizes that come again
        used(bind(values()))

    def refused(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr("wrt.programs.module.plan", refused)
    monkeypatch.setattr("wrt.expression.build.product_carried", refused)
    monkeypatch.setattr("wrt.expression.build.product", refused)
    monkeypatch.setattr("wrt.expression.build.add", refused)
    used(bind(values()))


DIFFERENCES = "norm2(x[2:90]-x[1:89])^2"


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        (f"norm2(x - y)^2 + 5*{DIFFERENCES}", "90"),
        (f"sum(exp(x)) - {DIFFERENCES}", "90"),
        ("norm2(D.*X)^2 + norm2(X[2:9,:]-X[1:8,:])^2 + norm2(X[:,2:10]-X[:,1:9])^2", "9 10"),
        ("norm2(D.*X)^2 + norm2(X[2,:]-X[1,:])^2 + norm2(X[:,2:300]-X[:,1:299])^2", "2 300"),
    ],
)
@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_few_entries_in_each_row_are_a_system(text: str, shape: str, kind: str) -> None:
    name = "x" if "x" in text else "X"
    D = wrt.derivative(text, name, name, shapes={name: shape})
    values = {v.name: RNG.uniform(1, 2, [d.value for d in v.dims]) for v in D.arguments}
    S = D.compile(structured=True)({n: v.astype(kind) for n, v in values.items()})
    want = RNG.normal(size=(3, *S.row_shape)).astype(kind)
    right = S.apply(want)
    found = S.solve(right)
    digits = 1e-9 if kind == "float64" else 1e-3
    assert found.dtype == kind
    assert np.allclose(found, want, rtol=digits, atol=digits)
    dense = D(values).reshape(want[0].size, -1)
    assert np.allclose(S.logdet(), np.linalg.slogdet(dense)[1], rtol=digits)


def test_a_long_chain_is_solved_without_its_matrix() -> None:
    n = 20000
    D = wrt.derivative(f"norm2(x-y)^2 + norm2(x[2:{n}]-x[1:{n - 1}])^2", "x", "x")
    S, b = D.compile(structured=True)(x=np.ones(n), y=np.ones(n)), RNG.normal(size=n)
    tracemalloc.start()
    found = S.solve(b)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 * b.nbytes
    assert close(S.apply(found), b)
    flat = wrt.derivative(f"norm2(x[2:{n}]-x[1:{n - 1}])^2", "x", "x").compile(structured=True)
    with pytest.raises(ValueMistake, match="singular"):
        flat(x=b).solve(b)


@pytest.mark.parametrize("seed", range(6))
def test_bands_and_scattered_entries_are_factorised(seed: int) -> None:
    from scipy.sparse import coo_array, eye_array, random_array

    rng, n = np.random.default_rng(seed), 400
    far = 5 if seed % 2 else n
    M = coo_array(random_array((n, n), density=0.01, rng=rng) + 4 * eye_array(n))
    near = abs(M.row - M.col) < far
    M = coo_array((M.data[near], (M.row[near], M.col[near])), M.shape)
    if seed > 3:
        M = coo_array(M + 1j * M.T)
    solver, want = sparse_factorised(M), rng.normal(size=(n, 2)) + 1j * (seed > 1)
    assert close(solver.solve(M @ want), want)
    assert close(solver.logdet(), np.linalg.slogdet(M.toarray())[1])


def test_composing_again_is_only_running(monkeypatch: pytest.MonkeyPatch) -> None:
    bind = wrt.derivative("tanh(W*x)", "W").compile(structured=True)

    def gauss_newton() -> None:
        given = {"W": RNG.normal(size=(3, 4)), "x": RNG.normal(size=4)}
        J, other, right = (
            bind(given),
            bind(W=-given["W"], x=2 * given["x"]),
            RNG.normal(size=(3, 4)),
        )
        N = J.T @ J
        damped = N + 0.5 * N.identity() - 2 * N / 7
        assert close(damped.apply(damped.solve(right)), right)
        assert close(
            (J @ other.T).dense(), np.tensordot(J.dense(), other.dense(), ([1, 2], [1, 2]))
        )
        assert close(J[1, :, ::2].norm(), np.linalg.norm(J.dense()[1, :, ::2]))

    for _ in range(3):
        gauss_newton()

    def refused(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr("wrt.programs.module.plan", refused)
    monkeypatch.setattr("wrt.programs.compile", refused)
    for word in ("product_carried", "product", "add", "scale"):
        monkeypatch.setattr(f"wrt.expression.build.{word}", refused)
    gauss_newton()


@pytest.mark.parametrize(("text", "names"), SYSTEMS)
def test_what_was_solved_with_is_freed_at_once(text: str, names: list[str]) -> None:
    D, sizes = wrt.derivative(text, *names), dict(zip("nmpk", (5, 5, 2, 2), strict=True))
    values = {v.name: RNG.uniform(1, 2, [d.size(sizes) for d in v.dims]) for v in D.arguments}
    S = D.compile(structured=True)(values)
    S.solve(np.ones(S.row_shape))
    kept = weakref.ref(next(iter(S._system.D.values.values())))
    gc.disable()  # no circle that waits for the collector
    try:
        del S, values
        assert kept() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("units", [1.0, 1e-13])
def test_what_is_singular_in_all_its_digits_is_refused(units: float) -> None:
    """Whatever units its rows and columns have; units alone are no reason."""
    A = RNG.normal(size=(40, 3))
    A[:, 2] = 2 * A[:, 0]
    B = RNG.normal(size=(3, 3))
    scale = np.array([1, units, units**2])
    X = wrt.derivative("A*X", "X").compile(structured=True)
    with pytest.raises(ValueMistake, match="singular at this point"):
        X(A=A.T @ A * np.outer(scale, scale), X=np.ones((3, 2))).solve(np.ones((3, 2)))
    S = X(A=B * np.outer(scale, scale), X=np.ones((3, 2)))
    want = np.linalg.solve(B, RNG.normal(size=(3, 2))) / scale[:, None]
    assert np.allclose(S.solve(S.apply(want)), want, rtol=1e-6)


@pytest.mark.parametrize("backend", ["numpy", "jax", "torch"])
@pytest.mark.parametrize(
    "text", ["A*X*B + 2*X", "A*X + X*B - c*X", "A*X*B + s*A*X + X*B", "(A*X*B)' + X'"]
)
def test_matrices_with_eigenvectors_in_common_are_a_system(text: str, backend: str) -> None:
    shapes = {"A": "n n symmetric", "B": "m m symmetric", "X": "n m"}
    D, sizes = wrt.derivative(text, "X", shapes=shapes), {"n": 4, "m": 3}
    values = {v.name: RNG.normal(size=[d.size(sizes) for d in v.dims]) for v in D.arguments}
    values |= {name: values[name] + values[name].T for name in "AB"}
    S = D.compile(structured=True)(values)
    dense = S.dense().reshape(12, 12)
    if backend == "jax":
        jax = pytest.importorskip("jax")
        with jax.enable_x64(True):
            S = S.to("jax")
            solved, size = jax.jit(lambda S, b: (S.solve(b), S.logdet()))(S, np.ones(S.row_shape))
    else:
        if backend == "torch":
            pytest.importorskip("torch")
        S = S.to(backend)
        solved, size = S.solve(np.ones(S.row_shape)), S.logdet()
    assert close(np.asarray(solved).ravel(), np.linalg.solve(dense, np.ones(12)))
    assert close(size, np.linalg.slogdet(dense)[1])


@pytest.mark.parametrize("kind", ["symmetric", "hermitian", "any"])
def test_sums_of_products_along_three_axes(kind: str) -> None:
    rng, sizes = np.random.default_rng(4), (2, 3, 4)
    complex_ = ["complex"] if kind == "hermitian" else []
    dims = [Dimension.of(size) for size in sizes]
    names = [Variable(f"A{k}", (d, d), complex_) for k, d in enumerate(dims)]
    values = {v.name: rng.normal(size=[d.value for d in v.dims]) for v in names}
    if kind == "hermitian":
        values = {n: v + 1j * rng.normal(size=v.shape) for n, v in values.items()}
    if kind != "any":
        values = {n: v + v.conj().T for n, v in values.items()}
    terms = []
    for taken in ((0, 1), (1, 2), (2,), ()):
        rows, columns = list(range(3)), list(range(3))
        lengths, factors = list(dims), []
        for k in taken:
            columns[k] = len(lengths)
            lengths.append(dims[k])
            factors.append((names[k], 1, (k, columns[k])))
        columns = [columns[k] for k in (2, 0, 1)]
        terms.append(build.product(Coefficient.of(3), factors, (*rows, *columns), lengths))
    S = Frame(build.add(*terms), 3, like=np.zeros(())).over(values)
    dense, right = S.dense().reshape(24, 24), rng.normal(size=(2, *sizes)) + 1j
    want = np.linalg.solve(dense, right.reshape(2, 24).T).T.reshape(2, 4, 2, 3)
    assert close(S.solve(right), want)
    assert close(S.logdet(), np.linalg.slogdet(dense)[1])
    values["A2"] = 0 * values["A2"]
    one, other = (Frame(term, 3, like=np.zeros(())).over(values) for term in terms[1:3])
    flat = one + other
    with pytest.raises(ValueMistake, match="singular"):
        flat.solve(np.ones(sizes))


def test_the_equation_of_sylvester_takes_complex_right_sides() -> None:
    D = wrt.derivative("A*X + X*B", "X").compile(structured=True)
    A, B = RNG.normal(size=(4, 4)), RNG.normal(size=(3, 3))  # with complex eigenvalues
    X = RNG.normal(size=(2, 4, 3)) + 1j * RNG.normal(size=(2, 4, 3))
    S = D(A=A, B=B, X=np.ones((4, 3)))
    assert close(S.solve(A @ X + X @ B), X)
    opposite = D(A=B[:3, :3], B=-B, X=np.ones((3, 3)))
    with pytest.raises(ValueMistake, match="singular"):
        opposite.solve(np.ones((3, 3)))


def test_few_columns_are_added_to_few_entries() -> None:
    n = 5000
    text = f"norm2(x-y)^2 + norm2(x[2:{n}]-x[1:{n - 1}])^2 + (a'*x)^2"
    D = wrt.derivative(text, "x", "x", shapes={"x": str(n)}).compile(structured=True)
    S, b = D(x=np.ones(n), y=np.ones(n), a=RNG.normal(size=n)), RNG.normal(size=n)
    tracemalloc.start()
    found = S.solve(b)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300 * b.nbytes
    assert close(S.apply(found), b)
    X = wrt.derivative(
        "norm2(D.*X)^2 + norm2(X[2:20,:]-X[1:19,:])^2 + norm2(X[:,2:9]-X[:,1:8])^2 + sum(X)^2/2",
        "X",
        "X",
        shapes={"X": "20 9"},
    ).compile(structured=True)(D=RNG.uniform(1, 2, (20, 9)), X=np.ones((20, 9)))
    right = RNG.normal(size=(20, 9))
    assert close(X.apply(X.solve(right)), right)
    assert close(X.logdet(), np.linalg.slogdet(X.dense().reshape(180, 180))[1])


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize(("text", "names"), SYSTEMS[:3])
def test_complex_right_sides_and_constants_keep_their_digits(
    text: str, names: list[str], backend: str
) -> None:
    D, sizes = wrt.derivative(text, *names), dict(zip("nmpk", (5, 5, 2, 2), strict=True))
    values = {v.name: RNG.uniform(1, 2, [d.size(sizes) for d in v.dims]) for v in D.arguments}
    S = D.compile(structured=True)(values)
    if len(S.shape) == 2:
        S = (
            S
            + S.identity()
            + wrt.derivative("sum(x)^2", "x", "x").compile(structured=True)(x=np.ones(5))
        )
    right = RNG.normal(size=S.row_shape) + 1j * RNG.normal(size=S.row_shape)
    want, size = S.solve(right), S.logdet()
    if backend == "torch":
        torch = pytest.importorskip("torch")
        T = S.to("torch")
        assert close(T.solve(torch.as_tensor(right)).numpy(), want)
        assert abs(float(T.logdet()) - size) < 1e-12 * abs(size)
        return
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        T = S.to("jax")
        assert close(np.asarray(T.solve(right)), want)
        assert abs(float(T.logdet()) - size) < 1e-12 * abs(size)


def test_what_is_no_number_is_refused() -> None:
    linear = wrt.derivative("A*x", "x").compile(structured=True)
    with pytest.raises(ValueMistake, match="the right side has infinite entries"):
        linear(A=RNG.normal(size=(3, 3)), x=np.ones(3)).solve([1, np.inf, 2])
    curved = wrt.derivative("sum(exp(x))", "x", "x").compile(structured=True)
    with pytest.raises(ValueMistake, match="entries that are no numbers"):
        curved(x=np.array([1.0, 800])).solve(np.ones(2))
    with pytest.raises(ValueMistake, match="entries that are no numbers"):
        curved(x=np.array([1.0, 800])).logdet()


# What is looked at


@pytest.mark.parametrize("size", [3, 40])
def test_nan_is_refused_wherever_it_came_in(size: int) -> None:
    A = RNG.normal(size=(size, size)) + size * np.eye(size)
    good, broken = np.ones((size, 2)), np.ones((size, 2))
    broken[1, 1] = np.nan
    plain = wrt.derivative("A*X", "X").compile(structured=True)
    gram = wrt.derivative("norm2(A*X)^2", "X", "X").compile(structured=True)
    definite = wrt.derivative("A*X", "X", shapes={"A": "n n spd"}).compile(structured=True)
    lower = wrt.derivative("A*X", "X", shapes={"A": "n n lower"}).compile(structured=True)
    for bind, M in (
        (plain, A),
        (gram, A),
        (definite, A @ A.T),
        (lower, np.tril(A)),
    ):
        S = bind(A=M, X=good)
        with pytest.raises(ValueMistake, match="the right side has entries that are NaN"):
            S.solve(broken)
        assert close(S.apply(S.solve(good)), good)
        hidden = M.copy()
        hidden[size - 1, 0] = np.nan  # in the half that Cholesky's factorisation never reads
        with pytest.raises(ValueMistake, match=r"A.* NaN"):
            bind(A=hidden, X=good).solve(good)
        with pytest.raises(ValueMistake, match=r"A.* NaN"):
            bind(A=hidden, X=good).logdet()


@pytest.mark.parametrize("count", [1, 3000])
@pytest.mark.parametrize("size", [4, 60])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_is_bound_is_never_written_over(count: int, size: int, order: Any) -> None:
    B = RNG.normal(size=(size, size))
    A = np.array(B @ B.T + np.eye(size), order=order)
    kept, right = A.copy(), RNG.normal(size=(count, size))
    for kind in ("", " spd", " symmetric"):
        D = wrt.derivative("A*x", "x", shapes={"A": f"n n{kind}", "x": "n"})
        S = D.compile(structured=True)(A=A, x=np.ones(size))
        for _ in range(2):
            assert close(S.solve(right) @ A, right)
        S.logdet()
        assert np.array_equal(A, kept)


@pytest.mark.parametrize("condition", [1e1, 1e4, 1e8, 1e11])
@pytest.mark.parametrize("kind", [float, complex])
def test_many_right_sides_lose_no_digits(condition: float, kind: type) -> None:
    size, count = 8, 1000
    turn = 1j if kind is complex else 0
    Q = np.linalg.qr(RNG.normal(size=(size, size)).astype(kind) + turn)[0]
    A = Q * np.geomspace(1, 1 / condition, size) @ Q.conj().T
    said = {"A": "n n complex"} if turn else {}
    S = wrt.derivative("A*X", "X", shapes=said).compile(structured=True)(
        A=A, X=np.ones((size, count))
    )
    right = RNG.normal(size=(size, count)).astype(kind) + turn
    found, want = S.solve(right), np.linalg.solve(A, right)
    assert np.abs(found - want).max() < 1e-14 * condition * np.abs(want).max()
    rest = np.abs(A @ found - right).max()
    assert rest < 1e-12 * np.abs(found).max()


@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_a_row_that_tells_too_little_is_refused(kind: str) -> None:
    """With two of its entries seen, three numbers of a row are not told."""
    mask = np.ones((9, 7), kind)
    given = {"M": mask, "T": RNG.normal(size=(9, 7)), "U": np.ones((9, 3))}
    given = {n: v.astype(kind) for n, v in {**given, "V": RNG.normal(size=(7, 3))}.items()}
    bind = wrt.derivative("norm2(M.*(T - U*V'))^2", "U", "U").compile(structured=True)
    right = RNG.normal(size=(9, 3)).astype(kind)
    S, digits = bind(given), 1e-9 if kind == "float64" else 1e-3
    for _ in range(3):  # by factors, then by what is kept
        assert np.allclose(S.apply(S.solve(right)), right, rtol=digits, atol=digits)
    mask[4, 2:] = 0
    with pytest.raises(ValueMistake, match="singular at this point: its condition number is"):
        bind({**given, "M": mask}).solve(right)
    damped = bind({**given, "M": mask})
    damped = damped + 0.5 * damped.identity()
    assert np.allclose(damped.apply(damped.solve(right)), right, rtol=digits, atol=digits)


NEWTON = [
    ("norm2(T - U*V')^2", "U"),
    ("norm2(M.*(T - U*V'))^2", "U"),
    ("sum(log(1 + exp(-y.*(X*w)))) + w'*w/8", "w"),
    ("sum(exp(X*w)) + sum(w.^4)", "w"),
    ("norm2(A*X*B - C)^2", "X"),
    ("sum(exp(x))", "x"),
]


@pytest.mark.parametrize(("text", "name"), NEWTON)
def test_a_step_with_new_arrays_is_one_way_that_was_found_before(
    text: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    D = wrt.derivative(text, name, name, shapes={"y": "N"} if "y." in text else {})
    bind, sizes = D.compile(structured=True), {"N": 9, **dict.fromkeys("nmkpqr", 4)}

    def values() -> dict[str, Any]:
        return {v.name: RNG.normal(size=[d.size(sizes) for d in v.dims]) for v in D.arguments}

    S = bind(values())
    S.solve(np.ones(S.row_shape))
    if not any(block.found.thin for block in S._system.way.blocks):
        monkeypatch.setattr("wrt.answers.structured.solving._way", None)
    for _ in range(3):  # then nothing is asked of the formula
        given, right = values(), RNG.normal(size=S.row_shape)
        dense = D(given).reshape(right.size, right.size)
        T = bind(given)
        for b in (right, right.T.copy().T, 2 * right):
            got = T.solve(b).ravel()
            assert np.allclose(got, np.linalg.solve(dense, b.ravel()), rtol=1e-6)
        assert T.solve(right).dtype == right.dtype
    monkeypatch.undo()
    assert close(T.logdet(), np.linalg.slogdet(dense)[1])
    many = RNG.normal(size=(2, *S.row_shape))
    assert np.allclose(T.solve(many)[1], T.solve(many[1]), rtol=1e-6)
    with pytest.raises(ValueMistake, match="the right side has entries that are NaN"):
        T.solve(right * np.nan)
    broken = dict(given)
    read = min(set(T.values) & set(broken), default=name)
    broken[read] = broken[read] * np.nan
    with pytest.raises(ValueMistake, match=rf"{read}.* NaN"):
        bind(broken).solve(right)


@pytest.mark.parametrize("text", ["A*X", "D.*X", "D.*X + tr(B'*X)*C", "A*X + X*E"])
def test_no_right_sides_have_no_solutions(text: str) -> None:
    D = wrt.derivative(text, "X")
    values = {v.name: RNG.uniform(1, 2, [7] * len(v.dims)) for v in D.arguments}
    S = D.compile(structured=True)(values)
    assert S.solve(np.ones((0, 7, 7))).shape == (0, 7, 7)
    assert S.solve(np.ones((2, 0, 7, 7))).shape == (2, 0, 7, 7)


@pytest.mark.parametrize("kind", ["", " complex"])
@pytest.mark.parametrize(
    "text",
    ["A*X*B + 2*X", "A*X*B - c*X", "(A*X*B)' + X'", "A*X*B + s*A*X + 3*X*B - X", "A*X*A' - X"],
)
def test_any_two_matrices_for_two_axes_are_a_system(text: str, kind: str) -> None:
    shapes = {"A": f"n n{kind}", "X": f"n {'n' if 'B' not in text else 'm'}{kind}"}
    shapes |= {"B": f"m m{kind}"} if "B" in text else {}
    D, sizes = wrt.derivative(text, "X", shapes=shapes), {"n": 5, "m": 4}
    values = {v.name: RNG.normal(size=[d.size(sizes) for d in v.dims]) for v in D.arguments}
    if kind:
        values |= {n: v + 1j * RNG.normal(size=v.shape) for n, v in values.items() if v.ndim}
    S = D.compile(structured=True)(values)
    size = int(np.prod(S.row_shape))
    dense = S.dense().reshape(size, size)
    for right in (RNG.normal(size=S.row_shape), RNG.normal(size=(2, *S.row_shape)) + 1j):
        want = np.linalg.solve(dense, right.reshape(-1, size).T).T
        got = S.solve(right)
        assert got.dtype == want.dtype
        assert np.allclose(got.reshape(-1, size), want, rtol=1e-8, atol=1e-8)
    assert close(S.logdet(), np.linalg.slogdet(dense)[1])


def test_a_stein_equation_without_one_solution_is_refused() -> None:
    """Two eigenvalues of a rotation have the product one."""
    turn = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
    S = wrt.derivative("A*X*A' - X", "X").compile(structured=True)(A=turn, X=np.eye(4))
    with pytest.raises(ValueMistake, match="singular at this point"):
        S.solve(np.eye(4))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", ["", " symmetric", " spd", " complex"])
def test_either_library_factorises_alike(
    threads: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In several threads NumPy does it, which multiplied before."""
    monkeypatch.setattr("wrt.answers.structured.factors.threads", lambda: threads)
    size = 130
    A = RNG.normal(size=(size, size))
    A = {"": A, " symmetric": A + A.T, " spd": A @ A.T + np.eye(size), " complex": A + 1j * A.T}[
        kind
    ]
    D = wrt.derivative(
        "A*x", "x", shapes={"A": f"n n{kind}", "x": f"n{kind[:8] * (kind[1:2] == 'c')}"}
    )
    bind = D.compile(structured=True)
    given = A.copy()
    S = bind(A=given, x=np.ones(size))
    for count in (1, 3, 400):
        right = RNG.normal(size=(count, size))
        for _ in range(3):
            assert np.allclose(S.solve(right) @ A.T, right, rtol=1e-8, atol=1e-8)
    assert np.array_equal(given, A)
    assert close(S.logdet(), np.linalg.slogdet(A)[1])
    if kind in ("", " symmetric"):
        A[:, 3] = A[3] = 0
        A[3, 5] = A[5, 3] = A[5, 5] = 0  # one row is zero
        for asked in (lambda T: T.solve(np.ones(size)), lambda T: T.logdet()):
            with pytest.raises(ValueMistake, match="singular at this point"):
                asked(bind(A=A, x=np.ones(size)))
