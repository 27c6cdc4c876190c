"""What comes in at the doors of programs, in three libraries: right, or told what is wrong."""

from __future__ import annotations

import copy
import pickle
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import wrt
from case_data import CASES, draw
from wrt.errors import TooLarge, ValueMistake
from wrt.programs import memory

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")
pandas = pytest.importorskip("pandas")

#: said by PyTorch about itself, and by NumPy about a class of its own
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*quantize:UserWarning"),
    pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning"),
]

LIBRARIES = ("numpy", "jax", "torch")
D = wrt.derivative("norm2(A*x - b)^2", "x")
A, x, b = np.arange(6.0).reshape(2, 3), np.array([1.0, -1.0, 2.0]), np.array([1.0, 2.0])
WANT = 2 * A.T @ (A @ x - b)


@pytest.fixture(autouse=True)
def _double() -> Any:
    """JAX with float64, within these tests only."""
    with jax.enable_x64(True):
        yield


def told(value: Any) -> np.ndarray:
    return value.detach().numpy() if torch.is_tensor(value) else np.asarray(value)


class Own:
    """An array of some other library."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return A


def read_only() -> np.ndarray:
    array = A.copy()
    array.flags.writeable = False
    return array


RIGHT = {
    "columns first": lambda: np.asfortranarray(A),
    "strides": lambda: np.repeat(A, 2, axis=1)[:, ::2],
    "negative strides": lambda: A[::-1, ::-1].copy()[::-1, ::-1],
    "whole numbers": lambda: A.astype(int),
    "bytes": lambda: A.astype(np.uint8),
    "float16": lambda: A.astype(np.float16),
    "long double": lambda: A.astype(np.longdouble),
    "the other byte order": lambda: A.astype(">f8"),
    "whole numbers in the other byte order": lambda: A.astype(">i4"),
    "objects that are numbers": lambda: A.astype(object),
    "fractions": lambda: [[Fraction(int(a)) for a in row] for row in A],
    "a matrix": lambda: np.matrix(A),
    "read-only": read_only,
    "a frame": lambda: pandas.DataFrame(A),
    "a frame of whole numbers": lambda: pandas.DataFrame(A.astype(int)),
    "something with an array": Own,
    "a list": lambda: A.tolist(),
    "a list of arrays": lambda: list(A),
    "a memory view": lambda: memoryview(A),
    "JAX": lambda: jax.numpy.asarray(A),
    "JAX's bfloat16": lambda: jax.numpy.asarray(A, "bfloat16"),
    "JAX's whole numbers": lambda: jax.numpy.asarray(A, int),
    "PyTorch": lambda: torch.tensor(A),
    "PyTorch's bfloat16": lambda: torch.tensor(A).bfloat16(),
    "PyTorch's whole numbers": lambda: torch.tensor(A).int(),
    "a negated view": lambda: (
        torch.complex(torch.zeros(2, 3).double(), -torch.tensor(A)).conj().imag
    ),
}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", RIGHT)
def test_what_holds_numbers_comes_in(kind: str, library: str) -> None:
    got = D.compile(library)(A=RIGHT[kind](), x=x, b=b)
    assert str(got.dtype).removeprefix("torch.") == "float64"
    np.testing.assert_allclose(told(got), WANT)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_file_of_numbers_comes_in(library: str, tmp_path: Path) -> None:
    np.save(tmp_path / "A.npy", A)
    held = np.load(tmp_path / "A.npy", mmap_mode="r")
    np.testing.assert_allclose(told(D.compile(library)(A=held, x=x, b=b)), WANT)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (A + 0j, "A has complex entries, but is not declared complex"),
        (A.astype(str), r"A holds text \(ndarray\), not numbers"),
        (np.array([[1, None]]), r"A holds objects \(ndarray\), not numbers"),
        (pandas.DataFrame(A.astype(str)), r"A holds objects \(DataFrame\), not numbers"),
        (A.astype("M8[s]"), "A holds datetime64"),
        (np.zeros((2, 3), "f8,f8"), r"A holds \[\('f0'"),
        ([[10**400, 1, 1]] * 2, "A is not an array of floats: int too large"),
        (scipy.sparse.csr_array(A), r"A is sparse \(csr_array\); give A.toarray\(\)"),
        (scipy.sparse.coo_matrix(A), r"A is sparse \(coo_matrix\); give A.toarray\(\)"),
        (torch.tensor(A).to_sparse(), r"A is a sparse tensor; give A.to_dense\(\)"),
        (np.ma.array(A), "A is a masked array; fill its gaps"),
        ([np.ma.array(A[0]), A[1]], "A is a masked array; fill its gaps"),
        (None, r"A holds objects \(NoneType\)"),
        ((row for row in A), r"A holds objects \(generator\)"),
        (jax.random.key(0), "A is not an array of numbers: JAX array with PRNGKey"),
        (np.float64(1), r"A is a matrix \(n × m\), given an array of shape \(\)"),
        (np.array([[1, 2, 3], [4, 5, 6]])[:, :2], "A has 2 columns"),
    ],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
def test_what_holds_none_is_told_why(value: Any, message: str, library: str) -> None:
    with pytest.raises(ValueMistake, match=message):
        D.compile(library)(A=value, x=x, b=b)


def test_a_quantized_tensor_is_told_what_to_do() -> None:
    small = torch.quantize_per_tensor(torch.tensor(A).float(), 0.1, 0, torch.qint8)
    for library in LIBRARIES:
        with pytest.raises(ValueMistake, match=r"A is quantized; give A.dequantize\(\)"):
            D.compile(library)(A=small, x=x, b=b)


@pytest.mark.parametrize("library", ["numpy", "jax"])
def test_tensors_that_only_pytorch_takes(library: str) -> None:
    program = D.compile(library)
    with pytest.raises(ValueMistake, match=r'records its gradient.*compile\("torch"\) does'):
        program(A=torch.tensor(A, requires_grad=True), x=x, b=b)
    with pytest.raises(ValueMistake, match=r"A is a tensor on meta.*give A.cpu\(\)"):
        program(A=torch.empty(2, 3, device="meta"), x=x, b=b)
    with pytest.raises(ValueMistake, match=r"A is a tensor that NumPy cannot read"):
        torch.func.vmap(lambda one: program(A=one, x=x, b=b))(torch.ones(4, 2, 3))
    with torch.no_grad():
        assert told(program(A=torch.tensor(A), x=x, b=b)).tolist() == WANT.tolist()


@pytest.mark.parametrize("library", ["numpy", "torch", "auto"])
@pytest.mark.parametrize("way", [jax.jit, jax.jacfwd, jax.jacrev, jax.vmap])
def test_tracers_that_only_jax_takes(library: str, way: Any) -> None:
    program = D.compile(library)
    with pytest.raises(ValueMistake, match=r'A is traced by JAX.*compile\("jax"\) is'):
        way(lambda one: program(A=one, x=x, b=b))(np.stack([A, A]) if way is jax.vmap else A)


# Traced from outside


def test_a_program_is_part_of_what_jax_traces() -> None:
    program, point = D.compile("jax"), {"A": A, "x": x, "b": b}
    np.testing.assert_allclose(jax.jit(program)(point), WANT)
    slopes = jax.jit(jax.grad(lambda given: program(given).sum()))(point)
    np.testing.assert_allclose(slopes["b"], -2 * A.sum(axis=1))
    many = np.stack([x, 2 * x, 3 * x])
    want = [D(A=A, x=one, b=b) for one in many]
    mapped = jax.vmap(program, in_axes=({"A": None, "x": 0, "b": None},))
    np.testing.assert_allclose(mapped(point | {"x": many}), want)
    twice = jax.vmap(jax.vmap(lambda one: program(A=A, x=one, b=b)))(many.reshape(1, 3, 3))
    np.testing.assert_allclose(twice[0], want)
    step = jax.lax.scan(lambda at, _: (at - program(A=A, x=at, b=b), None), x + 0.0, length=1)[0]
    np.testing.assert_allclose(step, x - WANT)
    with pytest.raises(ValueMistake, match="A has 3 columns"):
        jax.jit(program)(point | {"x": np.ones(2)})


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_program_is_one_graph_of_pytorch(backend: str) -> None:
    program = wrt.gradients("norm2(A*x - b)^2 + a'*x", "x", "a").compile("torch")
    values = {"A": A, "x": x, "b": b, "a": x}
    given = {name: torch.tensor(value) for name, value in values.items()}
    compiled = torch.compile(lambda g: program(g), backend=backend, fullgraph=True)
    for got, want in zip(compiled(given), (WANT + x, x), strict=True):
        np.testing.assert_allclose(got, want)
    parted = torch.compile(lambda g: program(g), backend=backend)
    with pytest.raises(ValueMistake, match=r"A has 3 columns \(m = 3\), x has 2 entries"):
        parted(given | {"x": torch.ones(2).double()})


def test_a_program_is_part_of_what_torch_func_maps() -> None:
    program = D.compile("torch")
    given = {name: torch.tensor(value) for name, value in {"A": A, "x": x, "b": b}.items()}

    def at(one: Any) -> Any:
        return program(given | {"x": one})

    many = torch.stack([given["x"], 2 * given["x"]])
    want = [D(A=A, x=np.asarray(one), b=b) for one in many]
    np.testing.assert_allclose(torch.func.vmap(at)(many), want)
    np.testing.assert_allclose(torch.func.vmap(torch.func.vmap(at))(many[None])[0], want)
    for way in (torch.func.jacrev, torch.func.jacfwd):
        np.testing.assert_allclose(way(at)(given["x"]), 2 * A.T @ A)
    np.testing.assert_allclose(torch.func.hessian(lambda one: at(one).sum())(given["x"]), 0)


# Numbers of every size


@pytest.mark.parametrize("library", LIBRARIES)
def test_numbers_of_every_size(library: str) -> None:
    program = wrt.derivative("c*x", "c").compile(library)

    def through(*entries: float) -> list[float]:
        found: list[float] = told(program(c=1.0, x=np.array(entries))).tolist()
        return found

    assert through(1e308, -1e-300) == [1e308, -1e-300]
    assert str(through(-0.0)) == "[-0.0]"
    assert through(np.inf, -np.inf) == [np.inf, -np.inf]
    assert through(5e-324) == [5e-324]


def test_not_a_number_is_refused_by_numpy_and_passes_elsewhere() -> None:
    values = {"A": A, "x": np.array([1, np.nan, 2]), "b": b}
    with pytest.raises(ValueMistake, match=r"x\[2\] is NaN"):
        D(**values)
    for library in ("jax", "torch"):
        assert np.isnan(told(D.compile(library)(**values))).all()


def test_a_type_that_cannot_hold_a_number_is_refused() -> None:
    program = wrt.derivative("c*x", "x").compile()
    with pytest.raises(ValueMistake, match=r"c has entries as large as 1e\+200, which float32"):
        program(c=1e200, x=np.ones(2, np.float32))
    with (
        jax.enable_x64(False),
        pytest.raises(ValueMistake, match=r"as large as 1e\+200, .*float32"),
    ):
        D.compile("jax")(A=A * 1e200 / 5, x=x, b=b)


def test_jax_computes_in_the_types_that_it_is_set_to() -> None:
    program = D.compile("jax")
    twice = jax.numpy.asarray(A)
    with jax.enable_x64(False):
        assert program(A=A, x=x, b=b).dtype == np.float32
        assert program(A=twice, x=x, b=b).dtype == np.float32
    assert program(A=twice, x=x, b=b).dtype == np.float64
    single = program(A=jax.numpy.asarray(A, "float32"), x=[1, 2, 3], b=jax.numpy.ones(2, "float16"))
    assert single.dtype == np.float32


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", ["int64", "bool", "float16", "bfloat16", "float32"])
def test_small_types_of_the_library_itself(kind: str, library: str) -> None:
    values = {}
    for name, value in {"A": A > 2, "x": x > 0, "b": b > 1}.items():
        if library == "torch":
            values[name] = torch.tensor(value).to(getattr(torch, kind))
        else:
            values[name] = jax.numpy.asarray(value, kind)
            values[name] = np.asarray(values[name]) if library == "numpy" else values[name]
    got = D.compile(library)(values)
    wanted = "float64" if kind in ("int64", "bool") else "float32"
    assert str(got.dtype).removeprefix("torch.") == wanted
    zeros_and_ones = D(A=A > 2, x=x > 0, b=b > 1)
    np.testing.assert_allclose(told(got), zeros_and_ones)


def test_a_tensor_keeps_its_device_its_type_and_its_graph() -> None:
    program = D.compile("torch")
    empty = torch.empty(2, 3, device="meta", dtype=torch.float32)
    far = program(A=empty, x=[1, 2, 3], b=[1, 2])
    assert (far.device.type, far.dtype) == ("meta", torch.float32)
    leaf = torch.tensor(x, requires_grad=True)
    assert program(A=A, x=leaf, b=b).requires_grad
    with torch.no_grad():
        assert not program(A=A, x=leaf, b=b).requires_grad
    with torch.inference_mode():
        assert told(program(A=A, x=leaf, b=b)).tolist() == WANT.tolist()
    assert program(A=A.tolist(), x=[1, 2, 3], b=[1, 2]).dtype == torch.float64


# Axes without entries, and of one


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("text", "name", "values", "want"),
    [
        ("norm2(A*x - b)^2", "x", {"A": np.ones((0, 2)), "x": [1, 2], "b": []}, [0, 0]),
        ("norm2(A*x - b)^2", "x", {"A": np.ones((2, 0)), "x": [], "b": [1, 2]}, []),
        ("W*x", "W", {"W": np.ones((2, 0)), "x": []}, np.zeros((2, 2, 0))),
        ("sum(log(1 + exp(A*x)))", "x", {"A": np.ones((0, 1)), "x": [3]}, [0]),
        ("softmax(x)", "x", {"x": [5]}, [[0]]),
        ("x'*A*x", "A", {"A": [[2]], "x": [3]}, [[9]]),
    ],
)
def test_axes_without_entries_and_of_one(
    text: str, name: str, values: dict[str, Any], want: Any, library: str
) -> None:
    got = told(wrt.derivative(text, name).compile(library)(values))
    np.testing.assert_array_equal(got, np.asarray(want, float))


def test_what_has_no_value_without_entries_says_so() -> None:
    with pytest.raises(ValueMistake, match=r"∂\(mean\(x\)\)/∂x has no value at n = 0"):
        wrt.derivative("mean(x)", "x")(x=[])
    with pytest.raises(ValueMistake, match=r"∂\(c\*max\(x\)\)/∂c has no value at n = 0"):
        wrt.derivative("c*max(x)", "c")(x=[], c=1.0)
    with pytest.raises(ValueMistake, match="structured answers have entries, and here n = 0"):
        wrt.derivative("W*x", "W").compile(structured=True)(W=np.ones((0, 1)), x=[1])
    with pytest.raises(ValueMistake, match="the size n is a whole number of at least 1, given 0"):
        wrt.derivative("c*eye(n)", "c").compile()(c=1.0, n=0)


def test_an_entry_that_is_not_there_is_refused() -> None:
    with pytest.raises(wrt.errors.ShapeMistake, match="axis 1 has no entry 3: n = 2"):
        wrt.derivative("W*x", "W").entry_value((3, 3, 1), W=np.ones((2, 2)), x=[1, 2])


# Programs as things


@pytest.mark.parametrize("library", [*LIBRARIES, "auto"])
def test_programs_are_pickled_and_copied(library: str) -> None:
    program = D.compile(library)
    for again in (pickle.loads(pickle.dumps(program)), copy.copy(program), copy.deepcopy(program)):
        np.testing.assert_allclose(told(again(A=A, x=x, b=b)), WANT)
        assert (again.source, again.backend) == (program.source, library)


@pytest.mark.parametrize("library", [*LIBRARIES, "auto"])
def test_a_result_shares_no_memory_with_what_was_given(library: str) -> None:
    both = wrt.gradients("tr(A*X') + a'*x", "X", "x", "A", "a").compile(library)
    values = {n: np.ones((2, 2)) if n.isupper() else np.ones(2) for n in "AXax"}
    if library == "torch":
        values = {n: torch.tensor(v) for n, v in values.items()}
    for result in both(values):
        if library != "jax":  # whose arrays nobody changes
            result += 5
    assert all((told(v) == 1).all() for v in values.values())


@pytest.mark.parametrize("case", CASES[::6], ids=lambda case: case["id"])
def test_nothing_that_is_given_is_changed(case: dict[str, Any]) -> None:
    f = wrt.derivative(case["text"], *case["wrt"], shapes=case["shapes"])
    values = draw(case)
    for value in values.values():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    first = f(values)
    first_as_it_was = first.copy()
    assert np.array_equal(f(values), first_as_it_was)
    single = {n: v.astype("F" if v.dtype.kind == "c" else "f") for n, v in values.items()}
    exact = f({n: v.astype("D" if v.dtype.kind == "c" else "d") for n, v in single.items()})
    for library in LIBRARIES:
        made = torch.tensor if library == "torch" else np.asarray
        got = f.compile(library)({n: made(v) for n, v in single.items() if n in given_to(f)})
        assert got.dtype.itemsize == (8 if "complex" in str(got.dtype) else 4)
        scale = np.abs(exact).max(initial=1e-30)
        np.testing.assert_allclose(told(got) / scale, exact / scale, atol=1e-4)


def given_to(f: Any) -> set[str]:
    return {v.name for v in f.arguments}


def test_two_threads_run_one_program() -> None:
    f = wrt.derivative("sum(log(1 + exp(A*x)))", "x", "x")
    program, wrong = f.compile(), []
    points = [(np.full((40, 30), k / 50), np.linspace(0, k, 30)) for k in range(1, 5)]
    want = [f(A=A, x=x) for A, x in points]

    def work(k: int) -> None:
        for _ in range(100):
            if not np.array_equal(program(A=points[k][0], x=points[k][1]), want[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_program_calls_a_program() -> None:
    inner = wrt.derivative("sin(t)", "t", shapes={"t": ""}).compile()
    outer = wrt.derivative("phi(x)", "x", shapes={"phi": "entrywise"}).compile()

    def slope(values: np.ndarray) -> np.ndarray:
        return np.array([inner(t=t) for t in values])

    got = outer({"x": [0.0, 1.0], "phi'": slope})
    np.testing.assert_allclose(got, np.diag(np.cos([0, 1])))


# Beyond what fits


def test_what_needs_more_than_the_machines_memory_is_refused_before_computing(
    monkeypatch: Any,
) -> None:
    square = wrt.derivative("X*X*X", "X")
    monkeypatch.setattr(memory, "installed", lambda: 10_000_000)
    with pytest.raises(TooLarge) as caught:
        square.compile(limit=10**12)(X=np.ones((40, 40)))
    assert str(caught.value) == (
        "∂(X*X*X)/∂X needs 20 MB at once, and this machine has 10 MB of memory; "
        "apply, pullback, entry and structure answer without forming it"
    )
    one = np.ones((40, 40), np.float32)
    with pytest.raises(TooLarge, match=r"needs 10 MB at once"):
        square.compile(limit=10**12)(X=one)
    assert square.apply(one, X=one).shape == (40, 40)
    monkeypatch.setattr(memory, "installed", lambda: 10_000)
    one = np.ones((41, 41))
    with pytest.raises(
        TooLarge, match=r"^a product with ∂\(X\*X\*X\)/∂X needs .* 10,000 bytes of memory$"
    ):
        square.apply(one, X=one)


@pytest.mark.parametrize("library", ["jax", "torch"])
def test_other_libraries_refuse_what_needs_more_than_there_is(
    library: str, monkeypatch: Any
) -> None:
    D = wrt.derivative("W*tanh(x)", "W")
    program = D.compile(library, limit=10**12)
    W, x = np.ones((100, 10), np.float32), np.ones(10, np.float32)
    assert program(W=W, x=x).shape == (100, 100, 10)
    monkeypatch.setattr(memory, "installed", lambda: 1_000_000)
    assert program(W=W[:50], x=x).shape == (50, 50, 10)
    with pytest.raises(TooLarge) as caught:
        program(W=np.ones((200, 10), np.float32), x=x)
    assert str(caught.value) == (
        "∂(W*tanh(x))/∂W needs 1.6 MB at once, and this machine has 1.0 MB of memory; "
        "apply, pullback, entry and structure answer without forming it"
    )


def test_what_is_traced_is_refused_too(monkeypatch: Any) -> None:
    jax = pytest.importorskip("jax")
    program = wrt.derivative("W*tanh(x)", "W").compile("jax", limit=10**12)
    monkeypatch.setattr(memory, "installed", lambda: 1_000_000)
    x = np.ones(10, np.float32)
    with pytest.raises(TooLarge, match=r"needs 1\.6 MB at once"):
        jax.jit(lambda W: program(W=W, x=x))(np.ones((200, 10), np.float32))


class Chip:
    """A device of JAX's that tells its memory, or does not."""

    platform = "gpu"

    def __init__(self, stats: dict[str, int] | None) -> None:
        self.stats = stats

    def memory_stats(self) -> dict[str, int] | None:
        return self.stats

    def __str__(self) -> str:
        return "chip 0"


def test_the_memory_of_devices_counts(monkeypatch: Any) -> None:
    jax = pytest.importorskip("jax")
    program = wrt.derivative("W*tanh(x)", "W").compile("jax", limit=10**12)
    W, x = np.ones((200, 10), np.float32), np.ones(10, np.float32)
    monkeypatch.setattr(memory, "installed", lambda: 1_000_000)
    monkeypatch.setattr(jax, "local_devices", lambda: [Chip({"bytes_limit": 1_500_000})])
    with pytest.raises(TooLarge, match=r"needs 1\.6 MB at once, and chip 0 has 1\.5 MB of memory"):
        jax.jit(lambda W: program(W=W, x=x))(W)
    for stats in ({"bytes_limit": 2_000_000}, None):
        monkeypatch.setattr(jax, "local_devices", lambda stats=stats: [Chip(stats)])
        assert jax.jit(lambda W: program(W=W, x=x))(W).shape == (200, 200, 10)


def test_steps_that_are_larger_than_the_result_count(monkeypatch: Any) -> None:
    trace = wrt.derivative("sum(expm(A*B))", "A")
    monkeypatch.setattr(memory, "installed", lambda: 2_000_000)
    values = {"A": np.ones((1000, 2)) / 1e3, "B": np.ones((2, 1000)) / 1e3}
    with pytest.raises(TooLarge, match="at once, and this machine has 2"):
        trace(**values)


def test_the_memory_of_this_machine_is_known() -> None:
    there = memory.installed()
    assert there is None or 10**8 < there < 10**15
