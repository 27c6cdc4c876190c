"""Programs with a backward pass of their own: gradients by it, mapped, jitted, in small types."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import wrt

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")

#: said by PyTorch about itself
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")


@pytest.fixture(autouse=True)
def _double() -> Any:
    """JAX with float64, within these tests only."""
    with jax.enable_x64(True):
        yield


def written(text: str, name: str = "function") -> Any:
    """The function of a module's text."""
    space: dict[str, Any] = {}
    exec(text, space)
    return space[name]


FORMULAS = [
    ("logdet(X)", ["X"]),
    ("sum(log(1 + exp(-y.*(X*w))))", ["w"]),
    ("logsumexp(A*x)", ["A", "x"]),
    ("(x - c)'*inv(X)*(x - c)/2 + logdet(X)/2", ["x", "c", "X"]),
    ("norm2(X - U*V')^2", ["U", "V"]),
    ("X*X'", ["X"]),
    ("x/norm2(x)", ["x"]),
    ("sum(relu(A*x))", ["A", "x"]),
    ("kron(x, y)", ["x", "y"]),
    ("a*x", ["a", "x"]),
    ("X", ["X"]),
    ("X'", ["X"]),
]


def values_of(D: Any) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    sizes = {"n": 3, "m": 2, "p": 4, "k": 5}
    shapes = [[d.size(sizes) for d in v.dims] for v in D[0].arguments]
    return [
        rng.uniform(0.3, 1, s) + (2 * np.eye(s[0]) if len(s) == 2 and s[0] == s[1] else 0)
        for s in shapes
    ]


@pytest.mark.parametrize(("text", "names"), FORMULAS, ids=[text for text, _ in FORMULAS])
def test_gradients_by_the_derived_backward_pass(text: str, names: list[str]) -> None:
    D = wrt.gradients(text, *names)
    values, asked = values_of(D), [v.name in names for v in D[0].arguments]
    places = tuple(k for k, wanted in enumerate(asked) if wanted)
    in_torch = written(D.source("torch", custom=True))
    leaves = [torch.tensor(v, requires_grad=w) for v, w in zip(values, asked, strict=True)]
    assert torch.autograd.gradcheck(in_torch, leaves)
    assert torch.autograd.gradgradcheck(in_torch, leaves)
    want = torch.autograd.grad(in_torch(*leaves).sum(), [leaves[k] for k in places])

    small = [leaf.detach().float().requires_grad_(leaf.requires_grad) for leaf in leaves]
    got = torch.autograd.grad(in_torch(*small).sum(), [small[k] for k in places])
    for one, other in zip(got, want, strict=True):
        assert one.dtype == torch.float32
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)

    in_jax = written(D.source("jax", custom=True))
    slopes = jax.grad(lambda *given: in_jax(*given).sum(), argnums=places)
    many = [np.stack([v, v, v]) for v in values]
    for ones, one, other in zip(
        jax.jit(jax.vmap(slopes))(*many), slopes(*values), want, strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ones, np.stack([other] * 3), rtol=1e-9, atol=1e-12)
    single = [jax.numpy.asarray(v, "float32") for v in values]
    assert all(one.dtype == np.float32 for one in slopes(*single))


def test_a_part_may_be_mapped_and_the_rest_held() -> None:
    D = wrt.gradients("norm2(A*x - b)^2", "x")
    A, x, b = np.eye(2, 3), np.ones((4, 3)), np.ones(2)
    in_jax = written(D.source("jax", custom=True))
    mapped = jax.vmap(jax.grad(in_jax, 1), in_axes=(None, 0, None))(A, x, b)
    in_torch = written(D.source("torch", custom=True))
    tensors = [torch.tensor(v) for v in (A, x, b)]
    slopes = torch.func.vmap(torch.func.grad(in_torch, argnums=1), in_dims=(None, 0, None))
    np.testing.assert_allclose(slopes(*tensors), mapped)


@pytest.mark.parametrize(
    "names", [("value", "Function"), ("pullback", "saved"), ("ctx", "forward")]
)
def test_variables_may_have_the_names_of_its_parts(names: tuple[str, str]) -> None:
    D = wrt.gradients(f"norm2({names[0]}.*{names[1]})^2", *names, shapes=dict.fromkeys(names, "n"))
    in_torch = written(D.source("torch", custom=True))
    leaf, other = torch.ones(2, requires_grad=True), torch.full((2,), 2.0)
    assert torch.autograd.grad(in_torch(leaf, other), leaf)[0].tolist() == [8, 8]
    in_jax = written(D.source("jax", custom=True))
    assert jax.grad(in_jax)(np.ones(2), np.full(2, 2.0)).tolist() == [8, 8]


# Alone

ALONE = """\
import sys
for name in {others}:
    sys.modules[name] = None  # cannot be imported
{source}
import {library}
given = {given}
print(float({total}))
"""
TOTALS = {"numpy": "np.sum", "jax": "jnp.sum", "torch": "torch.sum"}
MADE = {
    "numpy": "np.asarray({}, float)",
    "jax": "jnp.asarray({}, float)",
    "torch": "torch.tensor({}).double()",
}


@pytest.mark.parametrize("library", TOTALS)
def test_programs_run_alone(library: str) -> None:
    """A fresh interpreter in which neither wrt nor another array library can be imported."""
    one = wrt.derivative("sum(log(1 + exp(A*x)))", "x", "x")
    values = {"A": [[1, 2], [3, 4], [5, 7]], "x": [0.5, -0.25]}
    source, name = one.source(library), "derivative"
    others = [n for n in ("wrt", "torch", "jax", "scipy") if n != library]
    others = [n for n in others if not (library == "jax" and n == "scipy")]
    given = [MADE[library].format(values[v.name]) for v in one.arguments]
    script = ALONE.format(
        others=others,
        source=source,
        library=library,
        given=f"({', '.join(given)})",
        total=f"{TOTALS[library]}({name}(*given))",
    )
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert abs(float(done.stdout) / one(values).sum() - 1) < 1e-6


@pytest.mark.parametrize("library", ["jax", "torch"])
def test_backward_passes_run_alone(library: str) -> None:
    D = wrt.gradients("norm2(A*x)^2", "A", "x")
    values = {"A": [[1, 2], [3, 4]], "x": [5, 6]}
    given = [MADE[library].format(values[v.name]) for v in D[0].arguments]
    script = ALONE.format(
        others=["wrt", "jax" if library == "torch" else "torch"],
        source=D.source(library, custom=True),
        library=library,
        given=f"({', '.join(given)})",
        total="function(*given)",
    )
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == 17**2 + 39**2
