"""Programs for JAX and PyTorch: every word, every case, equal to the meaning in NumPy.

Most run one operation at a time; a sample is jitted, mapped, differentiated again, compiled.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import wrt
from bench import formula_and_point, points
from case_data import CASES, draw
from test_recurrence import ALL
from test_recurrence import values as steps
from wrt import programs
from wrt.errors import ValueMistake
from wrt.expression.function import Function
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Node
from wrt.functions import BOOK
from wrt.programs import backends

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")

#: said by PyTorch about itself
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")

LIBRARIES = ("jax", "torch")


@pytest.fixture(autouse=True)
def _double() -> Any:
    """JAX with float64, within these tests only."""
    with jax.enable_x64(True):
        yield


def written(text: str, name: str = "derivative") -> Any:
    """The function of a module's text."""
    space: dict[str, Any] = {}
    exec(text, space)
    return space[name]


def given(library: str, value: Any) -> Any:
    array = np.asarray(value)
    array = array if array.dtype.kind == "c" else array.astype(float)
    return torch.from_numpy(array.copy()) if library == "torch" else jax.numpy.asarray(array)


def told(value: Any) -> np.ndarray:
    return value.detach().resolve_conj().numpy() if torch.is_tensor(value) else np.asarray(value)


def close(got: Any, want: Any, allowed: float = 1e-9) -> bool:
    got, want = told(got), np.asarray(want)
    scale = max(1.0, float(np.abs(want).max(initial=0)))
    error = float(np.abs(got - want).max(initial=0)) if got.shape == want.shape else np.inf
    return error <= allowed * scale


def sizes_of(formula: Node, values: dict[str, Any]) -> dict[str, int]:
    known: dict[str, int] = {}
    for v in formula.names:
        for d, size in zip(v.dims, np.shape(values[v.name]), strict=True):
            known[str(d)] = size
    return known


def run(formula: Node, library: str, values: dict[str, Any]) -> Any:
    """The value of a formula by its program for a library."""
    text = programs.source(formula, library)
    function = written(text)
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    extra = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    sizes = sizes_of(formula, values)
    by_parameter = {v.name: values[v.name] for v in formula.names}
    arrays = [given(library, by_parameter[n if n in by_parameter else n[:-1]]) for n in names]
    return function(*arrays, **{n: sizes[n] for n in extra})


APPLIED = [f for f in BOOK.values() if not f.einsum]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("function", APPLIED, ids=lambda f: f.name)
def test_every_word(function: Function, library: str) -> None:
    for form, values in points(function, 3):
        formula, arrays = formula_and_point(function, form, values)
        for node in formula if isinstance(formula, tuple) else (formula,):
            want = evaluate(node, arrays, sizes_of(node, arrays))
            assert close(run(node, library, arrays), want)


def device_of(function: Any, arrays: list[Any], sizes: dict[str, int]) -> str:
    """The device of a result for arrays on a device of their own, or why there is none."""
    try:
        found: str = function(*[a.to("meta") for a in arrays], **sizes).device.type
    except (NotImplementedError, RuntimeError) as error:
        return str(error)
    return found


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("number", range(len(CASES)), ids=[c["id"] for c in CASES])
def test_every_case(number: int, library: str) -> None:
    case = CASES[number]
    D = wrt.derivative(
        case["text"],
        *case["wrt"],
        shapes=case["shapes"],
        symmetric=case["symmetric"] or "projected",
    )
    values = draw(case)
    want = D(values)
    function = written(D.source(library))
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    arrays = [given(library, values[n if n in values else n[:-1]]) for n in names]
    sizes = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    assert close(function(*arrays, **{n: values[n] for n in sizes}), want)
    if library == "torch":  # nothing is made on another device than that of the arguments
        said = device_of(function, arrays, {n: values[n] for n in sizes})
        assert said == "meta" or re.search("meta|item|data-dependent", said)
        assert "same device" not in said


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", sorted(ALL))
def test_recurrences(name: str, library: str) -> None:
    together = wrt.recurrence(ALL[name]).gradients()
    values = steps(wrt.recurrence(ALL[name]), 5)
    function = written(together.source(library), "gradients")
    code = function.__code__
    arrays = [given(library, values[n]) for n in code.co_varnames[: code.co_argcount]]
    for got, want in zip(function(*arrays), together(**values), strict=True):
        assert close(got, want)


# Running


def test_compile_keeps_the_library_the_type_and_the_graph() -> None:
    D = wrt.derivative("norm2(A*x - b)^2", "x")
    A, x, b = np.arange(6.0).reshape(2, 3), np.ones(3), np.array([1.0, 2.0])
    want = D(A=A, x=x, b=b)
    in_jax = D.compile("jax")
    assert isinstance(in_jax(A=A, x=x, b=b), jax.Array)
    assert close(in_jax(A=A, x=x, b=b), want)
    single = in_jax(
        **{n: jax.numpy.asarray(v, "float32") for n, v in zip("Axb", (A, x, b), strict=True)}
    )
    assert single.dtype == np.float32
    in_torch = D.compile("torch")
    leaf = torch.ones(3, dtype=torch.float64, requires_grad=True)
    got = in_torch(A=A.tolist(), x=leaf, b=[1, 2])
    assert close(got, want)
    (second,) = torch.autograd.grad(got.sum(), leaf)
    assert close(second, (2 * A.T @ A).sum(axis=0))
    half = in_torch(A=torch.ones(2, 3).half(), x=torch.ones(3), b=torch.ones(2))
    assert half.dtype == torch.float32
    assert in_torch(A=A.T.copy().T, x=x, b=torch.tensor([1, 2])).dtype == torch.float64


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("softmax(W*x)", ["W"]),
        ("inv(X)*b", ["X"]),
        ("sum(log(1 + exp(A*x)))", ["x", "x"]),
        ("norm2(T - U*V')^2", ["U", "U"]),
        ("x*x'", ["x"]),
        ("logdet(X)", ["X", "X"]),
    ],
)
def test_programs_are_jitted_mapped_and_differentiated_again(text: str, names: list[str]) -> None:
    D = wrt.derivative(text, *names)
    rng = np.random.default_rng(4)
    sizes = dict.fromkeys("nmpk", 3)
    shapes = [[d.size(sizes) for d in v.dims] for v in D.arguments]
    many = [rng.uniform(0.5, 1, (2, *s)) + (4 * np.eye(3) if len(s) == 2 else 0) for s in shapes]
    want = np.stack(
        [D({v.name: m[k] for v, m in zip(D.arguments, many, strict=True)}) for k in range(2)]
    )
    jaxed, torched = (written(D.source(library)) for library in LIBRARIES)
    assert close(jax.jit(jax.vmap(jaxed))(*(jax.numpy.asarray(m) for m in many)), want)
    tensors = [torch.from_numpy(m) for m in many]
    assert close(torch.func.vmap(torched)(*tensors), want)
    again = jax.jacfwd(jaxed)(*(jax.numpy.asarray(m[0]) for m in many))
    assert close(torch.func.jacrev(torched)(*[t[0] for t in tensors]), again)
    assert close(torch.func.jacfwd(torched)(*[t[0] for t in tensors]), again)


def test_torch_compiles_a_program() -> None:
    function = written(wrt.derivative("softmax(W*x)", "W").source("torch"))
    compiled = torch.compile(function, backend="eager", fullgraph=True)
    W, x = torch.randn(3, 4, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    assert close(compiled(W, x), function(W, x).numpy())


@pytest.mark.parametrize("library", ["numpy", *LIBRARIES])
@pytest.mark.parametrize(
    ("text", "names"),
    [("x'*x", ["x", "x"]), ("sum(x)/3", ["x"]), ("W*x", ["W"]), ("sum(tril(A))", ["A"])],
)
def test_the_source_keeps_float32(text: str, names: list[str], library: str) -> None:
    D = wrt.derivative(text, *names)
    values = [np.ones([d.size(dict.fromkeys("nmp", 3)) for d in v.dims], "f") for v in D.arguments]
    made = {"numpy": np.asarray, "jax": jax.numpy.asarray, "torch": torch.from_numpy}[library]
    assert told(written(D.source(library))(*map(made, values))).dtype == np.float32


def test_whole_numbers_at_the_source_do_not_truncate() -> None:
    D = wrt.derivative("sum(x)/3", "x")
    for library, made in (
        ("numpy", np.asarray),
        ("jax", jax.numpy.asarray),
        ("torch", torch.tensor),
    ):
        assert close(written(D.source(library))(made([1, 2])), [1 / 3, 1 / 3], 1e-6)


def test_what_cannot_come_in_is_refused() -> None:
    D = wrt.derivative("x'*A*x", "x")
    for library in LIBRARIES:
        program = D.compile(library)
        with pytest.raises(ValueMistake, match="A has 3 rows"):
            program(A=np.eye(3), x=np.ones(2))
        with pytest.raises(ValueMistake, match="x is a masked array"):
            program(A=np.eye(3), x=np.ma.masked_array(np.ones(3)))
        with pytest.raises(ValueMistake, match="x has complex entries"):
            program(A=np.eye(3), x=given(library, np.ones(3) * 1j))
        assert told(program(A=np.zeros((0, 0)), x=np.zeros(0))).shape == (0,)
        assert close(program(A=[[2]], x=[3]), [12.0])
    with pytest.raises(ValueMistake, match=r"on one device; x on cpu, A on meta"):
        D.compile("torch")(A=torch.ones(2, 2, device="meta"), x=torch.ones(2))
    with pytest.raises(ValueMistake, match="X is singular"):
        wrt.derivative("inv(X)*b", "b").compile("torch")(X=np.zeros((2, 2)), b=[1, 2])


def test_a_library_that_is_not_installed_is_said(monkeypatch: Any) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    with pytest.raises(ValueMistake, match="pip install jax"):
        wrt.derivative("x'*A*x", "x").compile("jax", limit=77)
    assert "jnp" in wrt.derivative("x'*A*x", "x").source("jax")


def test_auto_takes_jax_where_joining_operations_pays() -> None:
    entries = wrt.derivative("sum(tanh(X).*exp(-X.^2))", "X").compile("auto")
    product = wrt.derivative("norm2(A*X)^2", "X").compile("auto")
    assert [entries.chosen({"n": n, "m": n}) for n in (10, 2000)] == ["numpy", "jax"]
    assert product.chosen(dict.fromkeys("nmp", 2000)) == "numpy"
    attention = wrt.derivative(
        "sum(G.*(softmax(Q*K'/sqrt(d),2)*V))", "Q", shapes=dict.fromkeys("QKVG", "n d")
    ).compile("auto")
    assert [attention.chosen({"n": n, "d": 64}) for n in (16, 512)] == ["numpy", "jax"]
    # a result that is only written, or is mostly zeros, is NumPy's at any size
    for text, name in (("softmax(x)", "x"), ("W*x", "W")):
        written = wrt.derivative(text, name).compile("auto")
        for n in (10, 100, 300):
            assert written.chosen({"n": n, "m": n}) == "numpy"
    X = np.random.default_rng(0).normal(size=(700, 700))
    got = entries(X=X)
    assert type(got) is np.ndarray
    assert got.dtype == np.float64
    assert close(got, wrt.derivative("sum(tanh(X).*exp(-X.^2))", "X")(X=X))


# A backward pass of one's own

CUSTOM = [
    ("norm2(A*x - b)^2", ["A", "x", "b"]),
    ("tanh(W*x + b)", ["W", "x", "b"]),
    ("softmax(W*x)", ["W", "x"]),
    ("inv(X)*b", ["X", "b"]),
    ("tr(A*X*B*X')", ["A", "X", "B"]),
]


def points_of(D: Any) -> list[np.ndarray]:
    rng = np.random.default_rng(9)
    sizes = {name: 2 + k for k, name in enumerate("nmpkqr")}
    shapes = [[d.size(sizes) for d in v.dims] for v in D[0].arguments]
    square = [len(s) == 2 and s[0] == s[1] for s in shapes]
    shift = [3 * np.eye(s[0]) if q else 0.0 for s, q in zip(shapes, square, strict=True)]
    return [rng.normal(size=s) + more for s, more in zip(shapes, shift, strict=True)]


@pytest.mark.parametrize(("text", "names"), CUSTOM, ids=[text for text, _ in CUSTOM])
def test_a_derived_backward_pass(text: str, names: list[str]) -> None:
    D = wrt.gradients(text, *names)
    values = points_of(D)
    in_torch = written(D.source("torch", custom=True), "function")
    leaves = [torch.tensor(v, requires_grad=True) for v in values]
    assert torch.autograd.gradcheck(in_torch, leaves)
    assert torch.autograd.gradgradcheck(in_torch, leaves)
    batch = [torch.stack([leaf, 2 * leaf]) for leaf in leaves]
    mapped = torch.func.vmap(torch.func.grad(lambda *a: in_torch(*a).sum()))(*batch)
    alone = torch.func.grad(lambda *a: in_torch(*a).sum())(*(2 * leaf for leaf in leaves))
    assert close(mapped[1], told(alone))
    from jax.test_util import check_grads

    in_jax = written(D.source("jax", custom=True), "function")
    check_grads(in_jax, [jax.numpy.asarray(v) for v in values], order=2, modes=["rev"])
    assert close(in_jax(*values), told(in_torch(*leaves)))


def test_a_gradient_that_was_not_derived_is_never_zero() -> None:
    D = wrt.derivative("norm2(A*x - b)^2", "x")
    A, x, b = np.ones((2, 3)), np.ones(3), np.ones(2)
    in_torch = written(D.source("torch", custom=True), "function")
    leaf = torch.tensor(b, requires_grad=True)
    with pytest.raises(RuntimeError, match="by b was not derived"):
        in_torch(torch.tensor(A), torch.tensor(x), leaf).backward()
    in_jax = written(D.source("jax", custom=True), "function")
    assert np.isfinite(jax.grad(in_jax, 1)(A, x, b)).all()
    assert np.isnan(jax.grad(in_jax, 2)(A, x, b)).all()


def test_what_has_no_backward_pass_of_its_own_says_why() -> None:
    with pytest.raises(ValueMistake, match="first derivatives by whole variables"):
        wrt.derivative("x'*A*x", "x", "x").source("torch", custom=True)
    with pytest.raises(ValueMistake, match="for jax and torch; numpy has none"):
        wrt.derivative("x'*A*x", "x").source("numpy", custom=True)
    with pytest.raises(ValueMistake, match="phi"):
        wrt.derivative("phi(x)", "x", shapes={"phi": "entrywise"}).source("jax", custom=True)


def test_arrays_of_numpy_come_in_where_jax_has_no_jit() -> None:
    import jax

    program = wrt.derivative("x/norm2(x)", "x").compile("jax")
    with jax.disable_jit():
        found = program(x=np.array([3.0, 4.0]))
    np.testing.assert_allclose(found, [[0.128, -0.096], [-0.096, 0.072]], rtol=1e-5)
