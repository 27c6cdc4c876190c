"""The sweep: directions, patterns, sharing, depth, constraints, and what cannot be derived."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

import wrt
from wrt.algebra import equal, expand, flat_form, normal_form, structure
from wrt.answers.proof import check
from wrt.calculus import constrained_derivative, derivative, gradients
from wrt.calculus.sweep import MOST_PATTERNS, _forward
from wrt.errors import NotDifferentiable
from wrt.expression import build
from wrt.expression.dimensions import Dimension
from wrt.expression.function import Function
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import BoundedSum, Node, Variable
from wrt.expression.walk import users
from wrt.functions import BOOK
from wrt.language import read

n, m, k = map(Dimension.of, "nmk")
a, c = Variable("a", ()), Variable("c", ())
x, y, u = Variable("x", (n,)), Variable("y", (n,)), Variable("u", (m,))
A, B, W = Variable("A", (n, n)), Variable("B", (n, n)), Variable("W", (n, m))
e = build.einsum
tanh = BOOK["tanh"]

SHAPES = {"A": "n n", "B": "n n", "W": "n m", "x": "n", "y": "n", "u": "m", "a": "", "c": ""}


def formula(text: str) -> Node:
    return expand(read(text, shapes=SHAPES).formula)


# Directions

EITHER_WAY = [
    ("tanh(W*u)", "u"),
    ("tanh(W*u)", "W"),
    ("x*x'*A", "x"),
    ("inv(A)*B*inv(A)", "A"),
    ("softmax(W,2)*u", "W"),
    ("a*A + a^2*x*y'", "a"),
    ("kron(A, x)", "x"),
    ("vec(A*W)", "A"),
    ("sum(r, 0, 3, A^r*x)", "A"),
    ("prod(j, 1, 3, A + j*B)", "A"),
    ("logdet(A'*A)*x", "A"),
    ("A^3*diag(x)", "x"),
    ("max(W,2)", "W"),
    ("norm2(x)*x", "x"),
]


@pytest.mark.parametrize(("text", "name"), EITHER_WAY)
def test_both_directions_agree(text: str, name: str) -> None:
    f = formula(text)
    v = next(v for v in f.names if v.name == name)
    back, forward = gradients(f, [v])[0], _forward(f, v)
    assert back.dims == forward.dims == f.dims + v.dims
    assert equal(back, forward)


def test_the_direction_is_chosen_by_axes_or_sizes() -> None:
    """Either way the answer is the same; a scalar by which a matrix is derived goes forward."""
    f = e("i,j,->ij", x, y, a**2)
    assert equal(derivative(f, a), gradients(f, [a])[0])
    three, four = Dimension.of(3), Dimension.of(4)
    v, M = Variable("v", (four,)), Variable("M", (three, four))
    assert equal(derivative(tanh(M @ v), v), gradients(tanh(M @ v), [v])[0])


# Patterns


def test_patterns_survive_sharing() -> None:
    """W*u is used twice; the answer still knows that row i depends on row i of W alone."""
    z = W @ u
    D = derivative(tanh(z) * z, W)
    found = structure(normal_form(D), 1)
    assert str(found.nonzero) == "m*n"
    assert flat_form(D).output[:2] == (0, 0)


def test_several_patterns_stay_apart() -> None:
    """∂(A x xᵀ + x xᵀ A)/∂A has two patterns, δ_ia and δ_jb."""
    D = flat_form(derivative(A @ e("i,j->ij", x, x) + e("i,j->ij", x, x) @ A, A))
    patterns = {tuple(t.output) for t in D.children}
    assert patterns == {(0, 1, 0, 2), (0, 1, 2, 1)}


def test_more_patterns_than_are_kept_fall_back_and_are_right() -> None:
    """Sums over all ways to exchange the axes of a tensor: 24 patterns."""
    T = Variable("T", (n, n, n, n))
    turns = ["".join(p) for p in permutations("ijkl")]
    f = build.add(*(e(f"ijkl->{t}", T) * (q + 1) for q, t in enumerate(turns)))
    assert len(turns) > MOST_PATTERNS
    D = derivative(tanh(f), T)
    sizes = {"n": 2}
    values = {"T": np.random.default_rng(1).normal(size=(2, 2, 2, 2)) / 300}
    got = evaluate(D, values, sizes)
    moved = np.random.default_rng(2).normal(size=(2, 2, 2, 2))
    step = evaluate(tanh(f), {"T": values["T"] + 1e-30j * moved}, sizes).imag / 1e-30
    np.testing.assert_allclose(np.tensordot(got, moved, 4), step, rtol=1e-10)


# Depth


def chain(length: int, link: Callable[[Node], Node] = tanh) -> Node:
    node: Node = x
    for _ in range(length):
        node = link(node)
    return node


def test_the_derivative_is_linear_in_the_graph() -> None:
    counts = [len(users(derivative(chain(size), x))) for size in (100, 1000, 10_000)]
    assert counts[0] < 1000
    for size, count in zip((100, 1000, 10_000), counts, strict=True):
        assert count < counts[0] / 100 * size * 1.1 + 50


def test_a_shared_chain_is_linear_too() -> None:
    counts = []
    for size in (50, 100, 200):
        f = chain(size, lambda z: tanh(A @ z) * z + x)
        counts.append(len(users(derivative(e("i->", f), x))))
    assert counts[2] - counts[1] < 2.2 * (counts[1] - counts[0])


def test_ten_thousand_links() -> None:
    """No recursion anywhere: deriving, the normal form, pickling, printing, copying."""
    f = chain(10_000)
    D = normal_form(derivative(e("i->", f), x))
    assert D.dims == (n,)
    assert pickle.loads(pickle.dumps(D)) is D
    assert copy.deepcopy(D) is D
    assert len(repr(D)) < 100_000
    assert flat_form(f) is f


def test_a_deep_sum_and_a_deep_product() -> None:
    total: Node = x
    for _ in range(3000):
        total = tanh(total) + x
    assert derivative(e("i->", total), x).dims == (n,)
    product: Node = x
    for _ in range(1000):
        product = A @ product
    D = derivative(product, x)
    values = {"A": np.eye(3) * 0.999, "x": np.ones(3)}
    np.testing.assert_allclose(evaluate(D, values), np.eye(3) * 0.999**1000, rtol=1e-9)


# Variables


def test_a_variable_that_does_not_occur() -> None:
    D = derivative(W @ u, A)
    assert build.is_zero(D)
    assert D.dims == (n, n, n)
    assert build.is_zero(derivative(build.number(3), W))
    assert derivative(build.number(3), W).dims == (n, m)
    assert wrt.derivative("W", "s", shapes={"W": "n m", "s": "k"}).shape == ("n", "m", "k")


def test_a_variable_by_itself() -> None:
    assert derivative(x, x) is build.identity(n)
    assert derivative(a, a) is build.number(1)
    assert derivative(W, W) is e("ik,jl->ijkl", build.identity(n), build.identity(m))


def test_gradients_share_their_work() -> None:
    f = e("i->", tanh(A @ tanh(B @ x)) * y)
    together = gradients(f, [A, B, x, y])
    for D, v in zip(together, (A, B, x, y), strict=True):
        assert D is gradients(f, [v])[0]
    apart = sum(len(users(D)) for D in together)
    assert len(users(*together)) < apart


def test_gradients_of_what_does_not_occur() -> None:
    first, second = gradients(e("i->", x), [x, y])
    assert first is build.ones((n,))
    assert build.is_zero(second)


# What cannot be derived


def test_a_word_without_a_rule() -> None:
    word = Function("mystery(x) -> y", "No rule.", array="sin")
    with pytest.raises(NotDifferentiable, match="mystery has no rule"):
        derivative(word(x), x)


def test_a_whole_number() -> None:
    with pytest.raises(NotDifferentiable, match="whole number"):
        derivative(formula("A^c"), c)
    with pytest.raises(NotDifferentiable, match="bounds of a range"):
        derivative(formula("sum(r, 0, c, r*x)"), c)


def test_an_unknown_convention() -> None:
    with pytest.raises(NotDifferentiable, match="no convention"):
        constrained_derivative(x @ x, x, "loose")


def test_a_function_that_nobody_defined_has_a_prime() -> None:
    D = wrt.derivative("sum(phi(W*u))", "u", shapes={**SHAPES, "phi": "entrywise"})
    assert D.matrix == "W'*phi'(W*u)"
    twice = wrt.derivative("phi(a)", "a", "a", shapes={"a": "", "phi": "entrywise"})
    assert twice.matrix == "phi''(a)"
    assert twice.check().passed


# Ranges


def test_a_sum_over_a_range() -> None:
    f = formula("sum(r, 0, 4, a^r*x)")
    r = Variable("r", ())
    D = derivative(f, x)
    assert isinstance(D.children[0], BoundedSum)
    assert D.output == (0, 0)
    got = evaluate(D, {"a": np.asarray(1.5)}, {"n": 3})
    np.testing.assert_allclose(got, np.eye(3) * sum(1.5**j for j in range(5)), rtol=1e-12)
    assert r not in D.names


def test_a_product_over_a_range_keeps_its_order() -> None:
    """∂(M₃ M₂ M₁)/∂A, M_j = A + j B: nothing commutes."""
    f = formula("prod(j, 1, 3, A + j*B)")
    D = derivative(f, A)
    rng = np.random.default_rng(3)
    va, vb, vd = rng.normal(size=(3, 4, 4))
    M = [va + j * vb for j in (1, 2, 3)]
    want = vd @ M[1] @ M[0] + M[2] @ vd @ M[0] + M[2] @ M[1] @ vd
    got = np.tensordot(evaluate(D, {"A": va, "B": vb}), vd, 2)
    np.testing.assert_allclose(got, want, rtol=1e-10)


def test_an_empty_range() -> None:
    D = derivative(formula("sum(r, 3, 2, r*x)"), x)
    assert not evaluate(D, {}, {"n": 3}).any()


# Constrained variables


def explicit(rule: str, convention: str, G: np.ndarray) -> np.ndarray:
    """The gradient by a constrained matrix from the free one, by the formulas of the books."""
    tied = convention == "tied"
    diagonal = np.diag(np.diag(G))
    match rule:
        case "symmetric" | "spd":
            return G + G.T - diagonal if tied else (G + G.T) / 2
        case "skew":
            return G - G.T if tied else (G - G.T) / 2
        case "diagonal":
            return diagonal
        case "lower":
            return np.tril(G)
        case "upper":
            return np.triu(G)
        case _:
            i, j = np.indices(G.shape)
            sums = [np.trace(G, q) for q in range(1 - len(G), len(G))]
            lengths = len(G) - abs(i - j)
            made = np.asarray(sums)[j - i + len(G) - 1]
            return made if tied else made / lengths


RULES = ["symmetric", "skew", "diagonal", "lower", "upper", "toeplitz", "spd"]


@pytest.mark.parametrize("convention", ["projected", "tied"])
@pytest.mark.parametrize("rule", RULES)
def test_a_constrained_gradient(rule: str, convention: str) -> None:
    """By tr(B X) + xᵀX²y, whose free gradient is known."""
    X = Variable("X", (n, n), [rule])
    f = e("ij,ji->", B, X) + x @ X @ X @ y
    D = constrained_derivative(f, X, convention)
    rng = np.random.default_rng(4)
    vx, vy = rng.normal(size=(2, 4))
    vX, vB = rng.normal(size=(2, 4, 4))
    free = vB.T + np.outer(vx, vX @ vy) + np.outer(vX.T @ vx, vy)
    got = evaluate(D, {"X": vX, "B": vB, "x": vx, "y": vy})
    np.testing.assert_allclose(got, explicit(rule, convention, free), rtol=1e-12)


@pytest.mark.parametrize("convention", ["projected", "tied"])
@pytest.mark.parametrize("rule", RULES)
def test_a_constrained_derivative_is_checked(rule: str, convention: str) -> None:
    X = Variable("X", (n, n), [rule])
    f = expand(tanh(X @ x) * (X @ y))
    assert check(f, [X], constrained_derivative(f, X, convention), convention).passed


def test_a_constraint_is_not_used_before_deriving() -> None:
    """tr(S'S) by S is 2S either way, S is not replaced by its transpose first."""
    S = Variable("S", (n, n), ["symmetric"])
    D = normal_form(constrained_derivative(e("ij,ij->", S, S), S))
    assert equal(D, 2 * S)
    Q = Variable("Q", (n, n), ["orthogonal"])
    assert equal(constrained_derivative(e("ij,ij->", Q, A), Q), A)


def test_a_product_rule_with_fractions() -> None:
    D = derivative((x @ x) ** Fraction(3, 2), x)
    assert equal(D, 3 * x * (x @ x) ** Fraction(1, 2))


@pytest.mark.parametrize(
    "text", ["(solve(G, G))[1,2]", "sum(r, 0, 2, r*solve(G, G))*(solve(G, G) - eye(m))[:,1]"]
)
def test_what_only_rounding_moves_is_zero(text: str) -> None:
    """A formula that is zero wherever it is defined is proved at the scale of its parts."""
    assert wrt.derivative(text, "G", shapes={"G": "m m"}).check().passed


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("tr(kron(ones(n, n), X))", "X", "n*eye(m)"),
        ("tr(kron(x*x', X))", "X", "(x'*x)*eye(m)"),
        ("sum(outer(ones(n), x))", "x", "n*ones(m)"),
    ],
)
def test_an_axis_that_nothing_carries_counts(text: str, name: str, said: str) -> None:
    shapes = {"X": "m m", "x": "n" if "kron" in text else "m", "sizes": "n m"}
    D = wrt.derivative(text, name, shapes={k: v for k, v in shapes.items() if k in text + "sizes"})
    assert D.check().passed
    assert D.matrix == said
