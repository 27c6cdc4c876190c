"""Arrays bound again and again: what is found once for their shapes never answers for others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import wrt
from wrt import programs
from wrt.answers.structured.calling import Second
from wrt.answers.structured.gathering import gathered
from wrt.errors import ShapeMistake, ValueMistake
from wrt.programs.watching import is_suspicious, told

RNG = np.random.default_rng(11)


def close(got: Any, want: Any) -> bool:
    return np.shape(got) == np.shape(want) and np.allclose(got, want, rtol=1e-9, atol=1e-9)


LOGISTIC = "sum(log(1+exp(-y.*(X*w))))"


def logistic(N: int, n: int) -> dict[str, np.ndarray]:
    return {"X": RNG.normal(size=(N, n)), "y": RNG.normal(size=N), "w": RNG.normal(size=n)}


def test_every_binding_has_arrays_of_its_own() -> None:
    D = wrt.derivative(LOGISTIC, "w", "w")
    bind = D.compile(structured=True)
    kept = []
    for N, n in ((5, 3), (5, 3), (7, 3), (5, 3), (3, 5)):
        values = logistic(N, n)
        kept.append((bind(values), D(values)))
        assert close(bind(**values).dense(), D(values))
    for H, dense in kept:
        v = RNG.normal(size=dense.shape[1])
        for _ in range(3):
            assert close(H.apply(v), dense @ v)
            assert close(H.pullback(v), v @ dense)
        assert close(H.trace(), dense.trace())


def test_arrays_come_in_any_order_layout_and_type() -> None:
    D = wrt.derivative(LOGISTIC, "w", "w")
    bind = D.compile(structured=True)
    values = logistic(6, 4)
    dense, v = D(values), RNG.normal(size=4)
    backwards = dict(reversed(values.items()))
    turned = {**values, "X": np.asfortranarray(values["X"]), "w": np.repeat(values["w"], 2)[::2]}
    lists = {name: value.tolist() for name, value in values.items()}
    for given in (values, backwards, turned, lists, values):
        assert close(bind(given).apply(v), dense @ v)
    single = {name: value.astype(np.float32) for name, value in values.items()}
    for given, kind in ((single, np.float32), (values, np.float64), (single, np.float32)):
        H = bind(given)
        assert H.dtype == kind
        assert H.apply(v.astype(kind)).dtype == kind
        assert np.allclose(H.apply(v.astype(kind)), dense @ v, rtol=1e-4)
    whole = {**values, "X": np.ones((6, 4), int)}
    assert close(bind(whole).apply(v), D(whole) @ v)


def test_what_is_wrong_is_told_of_shapes_that_came_in_before() -> None:
    bind = wrt.derivative(LOGISTIC, "w", "w").compile(structured=True)
    values = logistic(6, 4)
    bind(values)
    with pytest.raises(ValueMistake, match="no value is given for w"):
        bind(X=values["X"], y=values["y"])
    with pytest.raises(ValueMistake, match="nothing here is called z"):
        bind(values, z=1)
    with pytest.raises(ValueMistake, match="nothing here is called z"):
        bind(X=values["X"], y=values["y"], z=values["w"])
    with pytest.raises(ValueMistake, match="X has 6 rows"):
        bind({**values, "y": np.ones(4)})
    with pytest.raises(ValueMistake, match="masked"):
        bind({**values, "y": np.ma.masked_array(values["y"], values["y"] > 0)})
    with pytest.raises(ShapeMistake, match="wanted 4"):
        bind(values).apply(np.ones(6))


def test_a_declared_property_is_looked_at_every_time() -> None:
    bind = wrt.derivative("x'*S*x", "x", "x", shapes={"S": "n n symmetric"})
    make = bind.compile(structured=True)
    x, S = np.ones(2), np.array([[1.0, 2.0], [2.0, 3.0]])
    assert close(make(S=S, x=x).dense(), 2 * S)
    with pytest.raises(ValueMistake, match="S was declared symmetric"):
        make(S=np.array([[1.0, 2.0], [4.0, 3.0]]), x=x)


@pytest.mark.parametrize("name", ["X", "y", "w"])
def test_nan_in_what_parts_are_made_of_is_refused_at_once(name: str) -> None:
    bind = wrt.derivative(LOGISTIC, "w", "w").compile(structured=True)
    values = logistic(6, 4)
    for _ in range(2):
        bind(values)
        broken = {**values, name: values[name].copy()}
        broken[name][(1,) * broken[name].ndim] = np.nan
        with pytest.raises(ValueMistake, match=rf"{name}\[2(,2)?\] is NaN"):
            bind(broken)


@pytest.mark.parametrize("operation", ["apply", "pullback", "solve", "dense", "norm", "trace"])
def test_nan_in_what_is_only_kept_is_refused_where_it_is_used(operation: str) -> None:
    bind = wrt.derivative("norm2(T - U*V')^2", "U", "U").compile(structured=True)
    values = {"T": np.eye(5), "U": RNG.normal(size=(5, 2)), "V": RNG.normal(size=(5, 2))}
    V = values["V"].copy()
    V[3, 1] = np.nan
    H, good = bind({**values, "V": V}), bind(values)
    given = [RNG.normal(size=(5, 2))] if operation in ("apply", "pullback", "solve") else []
    for _ in range(2):
        getattr(good, operation)(*given)
        with pytest.raises(ValueMistake, match="V has entries that are NaN"):
            getattr(H, operation)(*given)


def test_nan_that_a_comparison_forgets_is_refused() -> None:
    loss = "sum(relu(W*x).*c)"
    bind = wrt.derivative(loss, "W").compile(structured=True)
    values = {"W": RNG.normal(size=(3, 4)), "x": RNG.normal(size=4), "c": np.ones(3)}
    for _ in range(2):
        bind(values)
        W = values["W"].copy()
        W[0, 2] = np.nan
        with pytest.raises(ValueMistake, match=r"W\[1,3\] is NaN"):
            bind({**values, "W": W})


def test_a_direction_is_looked_at_where_zeros_would_hide_it() -> None:
    J = wrt.derivative("W*x", "W").compile(structured=True)
    D = J(W=np.ones((3, 2)), x=np.array([1.0, 2.0]))[0]
    direction = np.ones((3, 2))
    assert close(D.apply(direction), 3.0)
    direction[2, 1] = np.nan  # the first entry of W*x knows nothing of it
    for _ in range(2):
        with pytest.raises(ValueMistake, match="the direction has entries that are NaN"):
            D.apply(direction)


@pytest.mark.parametrize("text", [LOGISTIC, "sum(exp(x)) + c*x'*x", "x'*S*x + y'*x", "x'*x"])
def test_arrays_that_came_in_often_are_kept_by_their_own_names(text: str) -> None:
    D = wrt.derivative(
        text,
        *(["w"] if "w" in text else ["x"]) * 2,
        shapes={"S": "n n symmetric"} if "S" in text else {},
    )
    bind = D.compile(structured=True)
    for turn in range(12):
        n = 2 + turn % 3
        values: dict[str, Any] = logistic(5, n) if "w" in text else {"x": RNG.normal(size=n)}
        if "S" in text:
            S = RNG.normal(size=(n, n))
            values |= {"S": S + S.T, "y": RNG.normal(size=n)}
        if "c" in text:
            values["c"] = RNG.normal() if turn % 2 else np.array(RNG.normal())
        dense, v = D(values), RNG.normal(size=n)
        for H in (bind(values), bind(**values), bind(dict(reversed(values.items())))):
            assert close(H.apply(v), dense @ v)
            assert set(H.values) == {u.name for u in H.formula.names}
            assert close(H.dense(), dense)


def test_infinity_passes() -> None:
    bind = wrt.derivative("norm2(T - U*V')^2", "U", "U").compile(structured=True)
    H = bind(T=np.eye(2), U=np.ones((2, 1)), V=np.array([[np.inf], [1.0]]))
    assert np.isinf(H.apply(np.ones((2, 1)))).all()
    assert H.apply(np.full((2, 1), 1e300)).shape == (2, 1)
    assert H.apply(np.full((1, 2, 1), 1e300)).shape == (1, 2, 1)  # the square of which is none
    assert np.isnan(H.apply(np.array([[0.0], [1.0]]))).any()  # 0·∞, which nobody gave
    with np.errstate(all="ignore"):
        assert not is_suspicious(np.array([np.inf, -np.inf, 1e300]))
    assert is_suspicious(np.array([[1.0, np.nan]]).T)
    assert is_suspicious(np.array([1.0, np.inf + 0j, complex(0, np.nan), np.inf]))
    assert not is_suspicious(np.array([1.0, complex(np.inf, -np.inf)]))
    assert not is_suspicious(np.ones((0, 3)))


def test_results_are_new_arrays() -> None:
    J = wrt.derivative("x", "x").compile(structured=True)(x=np.ones(3))
    v = np.array([1.0, 2.0, 3.0])
    for _ in range(2):
        found = J.apply(v)
        assert close(found, v)
        found[0] = 7.0
        assert v[0] == 1.0
    f = wrt.derivative("a'*x", "x").compile(structured=True)
    a = np.array([1.0, 2.0])
    one = f(a=a, x=a).pullback(np.array(1.0))
    one[:] = 5.0
    assert close(a, [1.0, 2.0])


FACTORS = "norm2(M.*(T - U*V'))^2"


def factors(n: int = 6, k: int = 3) -> dict[str, np.ndarray]:
    shapes = {"M": (n, n), "T": (n, n), "U": (n, k), "V": (n, k)}
    return {name: RNG.normal(size=shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("operation", ["apply", "pullback"])
@pytest.mark.parametrize("often", [1, 400])
def test_every_kind_of_array_comes_in_after_many_products(operation: str, often: int) -> None:
    D, values = wrt.derivative(FACTORS, "U", "U"), factors(30, 2)
    H, dense = D.compile(structured=True)(values), D(values)
    times, v = getattr(H, operation), RNG.normal(size=(30, 2))
    want = np.tensordot(dense, v, 2)
    for _ in range(often):
        times(v)
    assert getattr(H, "backward" if operation == "pullback" else "forward").now.is_plain
    whole = RNG.integers(-3, 4, size=(30, 2))
    turned = np.asfortranarray(v)
    strided = np.repeat(v, 2, axis=0)[::2]
    for given in (v, turned, strided, v.tolist(), v.astype(">f8"), v[::-1][::-1]):
        assert close(times(given), want)
    for given in (whole, whole.tolist(), whole.astype(np.int8)):
        assert close(times(given), np.tensordot(dense, whole, 2))
    assert np.allclose(times(v.astype(np.float32)), want, rtol=1e-5, atol=1e-4)
    assert close(times(v + 1j), want + 1j * np.tensordot(dense, np.ones_like(v), 2))
    assert close(times(np.stack([v, 2 * v])), np.stack([want, 2 * want]))
    for wrong in (v.T, v[:29], v.ravel(), 1.0):
        with pytest.raises(ShapeMistake, match="wanted 30 × 2"):
            times(wrong)
    with pytest.raises(ValueMistake, match="masked"):
        times(np.ma.masked_array(v, v > 0))
    with pytest.raises(ValueMistake, match="text"):
        times(np.full((30, 2), "a"))
    for at in np.ndindex(v.shape):
        broken = v.copy()
        broken[at] = np.nan
        for given in (broken, np.asfortranarray(broken), broken.tolist()):
            with pytest.raises(ValueMistake, match="has entries that are NaN"):
                times(given)
    assert close(times(v), want)


@pytest.mark.parametrize("often", [1, 900])
def test_products_share_no_memory_with_anything(often: int) -> None:
    values = factors(30, 2)
    H = wrt.derivative(FACTORS, "U", "U").compile(structured=True)(values)
    v = RNG.normal(size=(30, 2))
    for _ in range(often):
        last = H.apply(v)
    found, line = H.apply(v), H.forward
    assert (line.now is line.first) == (often == 1)
    for other in (v, last, *H.values.values(), *line.run.__defaults__):
        assert not np.shares_memory(found, other)


def test_products_neither_warn_nor_heed_what_numpy_was_told() -> None:
    H = wrt.derivative("norm2(T - U*V')^2", "U", "U").compile(structured=True)(
        T=np.eye(2), U=np.ones((2, 1)), V=np.array([[1e200], [1.0]])
    )
    for _ in range(3):
        with np.errstate(all="raise"):
            assert np.isinf(H.apply(np.full((2, 1), 1e200))).all()
            assert np.geterr()["over"] == "raise"


def test_products_in_several_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor

    D, values = wrt.derivative(FACTORS, "U", "U"), factors(30, 2)
    H, dense = D.compile(structured=True)(values), D(values)

    def work(seed: int) -> bool:
        rng, right = np.random.default_rng(seed), True
        for _ in range(300):
            v = rng.normal(size=(30, 2))
            right &= close(H.apply(v), np.tensordot(dense, v, 2))
            v[seed, 1] = np.nan
            with pytest.raises(ValueMistake, match="has entries that are NaN"):
                H.apply(v)
        return right

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
    assert H.forward.now is not H.forward.first


def test_what_is_written_into_bound_arrays_is_met() -> None:
    V = np.ones((2, 1))
    H = wrt.derivative("norm2(T - U*V')^2", "U", "U").compile(structured=True)(
        T=np.eye(2), U=np.ones((2, 1)), V=V
    )
    one = np.ones((2, 1))
    assert close(H.apply(one), 4 * one)
    V[:] = np.nan
    with pytest.raises(ValueMistake, match="V has entries that are NaN"):
        H.apply(one)


def test_one_product_never_pays_for_the_next() -> None:
    bind = wrt.derivative(FACTORS, "U", "U").compile(structured=True)
    values, v = factors(30, 2), np.ones((30, 2))
    H = bind(values)
    H.apply(v)
    after = H.forward.first.other.after
    for _ in range(3):
        fresh = bind(values)
        for _ in range(after - 1):
            fresh.apply(v)
        line = fresh.forward
        assert isinstance(line, Second) or line.now is line.first
        fresh.apply(v)
        assert fresh.forward.now is fresh.forward.first.other.product


def test_what_a_formula_tells_of() -> None:
    from wrt.expression import build
    from wrt.expression.dimensions import Dimension
    from wrt.expression.nodes import Variable

    n = Dimension.of("n")
    A, x = Variable("A", (n, n)), Variable("x", (n,))
    assert told(A @ x) == {A, x}
    assert told(build.einsum("ii->i", A)) == frozenset()  # what stands beside the diagonal
    assert told(build.einsum("ii,i->i", A, x)) == {x}
    f = wrt.derivative("sum(tanh(A*x))", "x").f
    assert told(f) == f.names
    assert told(wrt.derivative("logdet(A)", "A").f) == frozenset()  # may read half of it


def test_programs_that_nobody_reads_say_the_same_in_other_words() -> None:
    from wrt.expression import build
    from wrt.expression.dimensions import Dimension
    from wrt.expression.nodes import Variable

    def one(size: int) -> tuple[Any, dict[str, Any]]:
        n, m = Dimension.of(size), Dimension.of(3)
        A, B = Variable("A", (n, m)), Variable("B", (m, n))
        u, w = Variable("u", (n,)), Variable("w", (m,), ["complex"])
        values = {v.name: RNG.normal(size=[d.value or 0 for d in v.dims]) for v in (A, B, u)}
        return (2 * (A @ B), B @ u, A @ w, u @ (A @ w), build.einsum("i,j->ij", u, w)), {
            **values,
            "w": RNG.normal(size=3) + 1j,
        }

    for size in (4, 70):
        nodes, values = one(size)
        plain, brisk = programs.compile(nodes), programs.compile(nodes, brisk=True)
        assert ".dot(" not in plain.source
        assert ".dot(" in brisk.source
        assert "2.0 * " in brisk.source
        assert ("A @ B" in brisk.source) == (size == 70)  # dot would fill it with zeros first
        for a, b in zip(plain(values), brisk(values), strict=True):
            assert close(a, b)
    for size in (100, 200):
        n, k = Dimension.of(size), Dimension.of(2)
        M, V = Variable("M", (n, n)), Variable("V", (n, k))
        node = build.einsum("ij,ij,ia,ja->ij", M, M, V, V)
        twice = programs.compile((node, build.power(M, 2) + V @ V.T), brisk=True)
        plain, brisk = programs.compile(node), programs.compile(node, brisk=True)
        assert "M ** 2" in plain.source
        assert "M ** 2" in twice.source
        assert ("M * (M * " in brisk.source) == (size == 200)
        values = {"M": RNG.normal(size=(size, size)), "V": RNG.normal(size=(size, 2))}
        assert close(brisk(values), plain(values))
        assert close(twice(values)[0], plain(values))


@pytest.mark.parametrize("text", [LOGISTIC, "sum(tanh(w)) + w'*w"])
def test_parts_are_computed_by_jax_where_that_pays(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jax")
    from wrt.programs import elsewhere

    D = wrt.derivative(text, "w", "w")
    values = logistic(6, 4) if "X" in text else {"w": RNG.normal(size=4)}
    v = RNG.normal(size=4)
    assert close(D.compile("auto", structured=True)(values).apply(v), D(values) @ v)
    monkeypatch.setattr(elsewhere, "faster", lambda plan, sizes: "jax")
    programs.running._compiled.cache_clear()
    bind = D.compile("auto", structured=True)
    for given in (values, values, {n: a + 0.5 for n, a in values.items()}):
        H = bind(given)
        assert type(H.apply(v)) is np.ndarray
        assert H.backend == "numpy"
        assert close(H.apply(v), D(given) @ v)
    (form,) = bind._forms.values()
    assert "Automatic" in form.function.__qualname__
    with pytest.raises(ValueMistake, match=r"w\[2\] is NaN"):
        bind({**values, "w": np.array([0, np.nan, 0, 0])})
    programs.running._compiled.cache_clear()


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_products_are_computed_by_jax_where_that_pays(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jax")
    import pickle

    from wrt.programs import elsewhere

    D = wrt.derivative("norm2(x - y)^2 + 5*norm2(x[2:6] - x[1:5])^2", "x", "x", shapes={"x": "6"})
    monkeypatch.setattr(elsewhere, "faster", lambda plan, sizes: "jax")
    programs.running._compiled.cache_clear()
    values = {"x": RNG.normal(size=6).astype(kind), "y": RNG.normal(size=6).astype(kind)}
    dense, v = D(values), RNG.normal(size=6).astype(kind)
    H = D.compile("auto", structured=True)(values)
    again = pickle.loads(pickle.dumps(H))
    near = {"rtol": 1e-9 if kind is np.float64 else 1e-5, "atol": 1e-6}
    for one, factor in ((H, 1), (H.T, 1), (2 * H, 2), (H - 3 * H, -2), (again, 1)):
        for _ in range(4):
            found = one.apply(v)
            assert type(found) is np.ndarray
            assert found.dtype == kind
            np.testing.assert_allclose(found, factor * (dense @ v), **near)
            found[0] = 7.0  # it is an array of one's own
        assert one.forward.first.function.__qualname__.startswith("Automatic")
        np.testing.assert_allclose(one.solve(v), np.linalg.solve(factor * dense, v), **near)
    broken = v.copy()
    broken[2] = np.nan
    for _ in range(2):
        with pytest.raises(ValueMistake, match="the direction has entries that are NaN"):
            H.apply(broken)
    assert type(D.compile(structured=True)(values).apply(v)) is np.ndarray
    moved = H.to("jax").apply(v)
    np.testing.assert_allclose(moved, dense @ v, rtol=1e-5, atol=1e-5)
    programs.running._compiled.cache_clear()


# Many products


NET = "W3*tanh(W2*tanh(W1*x))"
MANY = [
    (LOGISTIC, ["w", "w"], {"X": "N n", "y": "N", "w": "n"}),
    ("norm2(T - U*V')^2", ["U", "U"], {"T": "n m", "U": "n k", "V": "m k"}),
    ("norm2(M.*(T - U*V'))^2", ["U", "U"], {"M": "n m", "T": "n m", "U": "n k", "V": "m k"}),
    ("norm2(M.*(T - U*V'))^2", ["V", "V"], {"M": "n m", "T": "n m", "U": "n k", "V": "m k"}),
    (NET, ["x"], {"W1": "m n", "W2": "m m", "W3": "k m", "x": "n"}),
    (f"sum(log(1+exp({NET})))", ["x", "x"], {"W1": "m n", "W2": "m m", "W3": "k m", "x": "n"}),
    (f"logsumexp({NET})", ["W1", "W1"], {"W1": "m n", "W2": "m m", "W3": "k m", "x": "n"}),
    ("A*X*B + X", ["X"], {"A": "n n", "B": "m m", "X": "n m"}),
    ("x + W*tanh(x + W*tanh(x))", ["x"], {"W": "n n", "x": "n"}),
    ("A*inv(X)*b", ["X"], {"A": "k n", "X": "n n", "b": "n"}),
    ("sum((tril(A)*x).^3)", ["x", "x"], {"A": "n n", "x": "n"}),
    ("(c'*x)^3*norm2(A*x)^2", ["x", "x"], {"A": "m n", "x": "n", "c": "n"}),
    ("kron(A,X)", ["X"], {"A": "k m", "X": "n n"}),
]
SIZES = {"N": 40, "n": 6, "m": 7, "k": 3}


@pytest.mark.parametrize(("text", "names", "shapes"), MANY)
def test_what_many_products_read_is_put_together_rightly(
    text: str, names: list[str], shapes: dict[str, str]
) -> None:
    D = wrt.derivative(text, *names, shapes=shapes)
    values = {
        name: RNG.normal(size=[SIZES[d] for d in dims.split()]) for name, dims in shapes.items()
    }
    H, dense = D.compile(structured=True)(values), D(values)
    dense, columns = dense.reshape(H.axes), len(H.axes) - H.rows
    for transposed in (False, True):
        node, v = H._product(transposed, False, False)
        value = RNG.normal(size=[d.value or 0 for d in v.dims])
        want = (
            np.tensordot(value, dense, dense.ndim - columns)
            if transposed
            else np.tensordot(dense, value, columns)
        )
        found = gathered(node, v)
        if found is None:
            continue
        parts = programs.compile(tuple(found.parts.values()))
        made = parts.bare(H.values, {})
        made = made if len(found.parts) > 1 else (made,)
        known = {**H.values, **{u.name: a for u, a in zip(found.parts, made, strict=True)}}
        got = programs.compile(found.formula).bare({**known, v.name: value}, {})
        assert close(got, want)
        entries = sum(a.size for a in made)
        read = {u.name for part in found.parts.values() for u in part.names}
        assert entries <= 2 * sum(H.values[name].size for name in read)


def test_what_is_put_together_is_what_a_person_would_keep() -> None:
    def asked(text: str, names: list[str], shapes: dict[str, str]) -> list[Any]:
        D = wrt.derivative(text, *names, shapes=shapes)
        values = {
            name: RNG.normal(size=[SIZES[d] for d in dims.split()]) for name, dims in shapes.items()
        }
        found = gathered(*D.compile(structured=True)(values)._product(False, False, False))
        return [] if found is None else [tuple(d.value for d in v.dims) for v in found.parts]

    assert [asked(*row) for row in MANY[:3]] == [[(6, 6)], [(3, 3)], [(6, 3, 3)]]
    assert asked("A*X", ["X"], {"A": "n n", "X": "n m"}) == []  # nothing is read twice
    few = {"X": "k N", "y": "k", "w": "N"}
    assert asked(LOGISTIC, ["w", "w"], few) == []  # 3 rows have fewer entries than 40 × 40


def test_products_go_over_to_what_they_read_once_it_has_paid() -> None:
    n = 30
    D = wrt.derivative("norm2(M.*(T - U*V'))^2", "U", "U")
    bind = D.compile(structured=True)
    values = {name: RNG.normal(size=(n, n)) for name in "MT"}
    values |= {name: RNG.normal(size=(n, 2)) for name in "UV"}
    H, v = bind(values), RNG.normal(size=(n, 2))
    first = H.apply(v)
    times = H.forward
    other = times.first.other
    assert 0 < times.left <= times.waited
    while times.left:
        assert times.now is times.first
        assert close(H.apply(v), first)
    assert times.waited >= other.after
    assert times.now is other.product
    assert close(H.apply(v), first)
    again = bind(values)
    again.apply(v)
    assert again.forward is again.frame.forward.second  # nothing is kept for one product
    again.apply(v)
    assert again.forward.waited == other.after  # found for these shapes
    V = values["V"].copy()
    V[0, 0] = np.nan
    broken = bind({**values, "V": V})
    with pytest.raises(ValueMistake, match="V has entries that are NaN"):
        broken.apply(v)
    for left in (0, 1, 1, 0):
        with pytest.raises(ValueMistake, match="V has entries that are NaN"):
            broken.apply(v)
        broken.forward.left = left


def test_products_that_went_over_hold_no_circle() -> None:
    import gc
    import weakref

    bind = wrt.derivative(LOGISTIC, "w", "w").compile(structured=True)
    H = bind(logistic(40, 6))
    H.apply(np.ones(6))
    there = weakref.ref(H)
    gc.disable()
    try:
        del H
        assert there() is None
    finally:
        gc.enable()


# Systems, again and again


@pytest.mark.parametrize("n", [1, 3, 40])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_definite_systems_with_new_arrays(n: int, kind: Any) -> None:
    D = wrt.derivative("norm2(T - U*V')^2 + norm2(U)^2", "U", "U")
    bind, shapes = D.compile(structured=True), {"T": (7, 5), "U": (7, n), "V": (5, n)}
    for _ in range(4):
        values = {name: RNG.normal(size=shape).astype(kind) for name, shape in shapes.items()}
        H, right = bind(values), RNG.normal(size=(7, n)).astype(kind)
        S = 2 * np.eye(n) + 2 * values["V"].T.astype(float) @ values["V"]
        kept, near = right.copy(), {"rtol": 1e-3 if kind is np.float32 else 1e-9, "atol": 1e-4}
        for given in (right, np.asfortranarray(right), right, np.stack([right, 2 * right])):
            found = H.solve(given)
            assert found.dtype == kind
            np.testing.assert_allclose(found, np.linalg.solve(S, given.mT).mT, **near)
        assert (right == kept).all()
        np.testing.assert_allclose(H.logdet(), 7 * np.linalg.slogdet(S)[1], rtol=1e-4)


def test_definite_systems_that_turn_out_singular() -> None:
    bind = wrt.derivative("norm2(T - U*V')^2 + c^2*norm2(U)^2", "U", "U").compile(structured=True)
    values = {"T": np.ones((4, 3)), "U": np.ones((4, 2)), "V": RNG.normal(size=(3, 2))}
    right = RNG.normal(size=(4, 2))
    for _ in range(3):
        for c in (1.0, 0.5):
            H = bind(**values, c=np.array(c))
            assert close(H.apply(H.solve(right)), right)
        for V in (np.ones((3, 2)), np.ones((3, 2)) + 1e-14 * np.eye(3, 2)):
            with pytest.raises(ValueMistake, match="singular"):
                bind(**(values | {"V": V}), c=np.array(1e-170)).solve(right)
        far = bind(**(values | {"V": np.diag([1e-9, 1e9])[[0, 1, 1]]}), c=np.array(0.0))
        assert close(far.apply(far.solve(right)), right)  # in other units it is regular
        broken = right.copy()
        broken[2, 1] = np.nan
        with pytest.raises(ValueMistake, match="the right side has entries that are NaN"):
            bind(**values, c=np.array(1.0)).solve(broken)


def test_right_sides_are_laid_out_in_few_words() -> None:
    from math import prod

    from wrt.answers.structured.routes import laying

    rng = np.random.default_rng(3)
    for _ in range(300):
        apart = tuple(int(size) for size in rng.choice([1, 1, 2, 3, 5], rng.integers(1, 6)))
        order = tuple(int(axis) for axis in rng.permutation(len(apart)))
        size = prod(apart)
        now = tuple(size for size in apart if size > 1) if rng.random() < 0.5 else (size,)
        cut = int(rng.integers(0, len(apart) + 1))
        turned = [apart[axis] for axis in order]
        laid = (prod(turned[:cut]), prod(turned[cut:]))
        x = rng.normal(size=now)
        want = x.reshape(apart).transpose(order).reshape(laid)
        np.testing.assert_array_equal(laying(now, apart, order, laid)(x), want)


def test_large_arrays_are_not_scaled_when_they_are_bound() -> None:
    D = wrt.derivative("tanh(W*x + b)", "x")
    bind = D.compile(structured=True)
    for n, is_kept in ((5, False), (90, True)):
        values = {
            "W": RNG.normal(size=(n, n)) / n,
            "x": RNG.normal(size=n),
            "b": RNG.normal(size=n),
        }
        J, dense, v = bind(values), D(values), RNG.normal(size=n)
        assert any(array is values["W"] for array in J.arrays) == is_kept
        for _ in range(3):
            assert close(J.apply(v), dense @ v)
            assert close(J.pullback(v), v @ dense)
            assert close(dense @ J.solve(v), v)
        assert close(J.dense(), dense)
        values["W"][1, 2] = np.nan
        with pytest.raises(ValueMistake, match="NaN"):
            bind(values).apply(v)
