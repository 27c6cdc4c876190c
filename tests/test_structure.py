"""Structure: what can differ from zero, of what kind, by how few numbers, under which exchanges."""

from __future__ import annotations

from itertools import permutations

import pytest

import wrt
from wrt.algebra import structure
from wrt.calculus import derivative
from wrt.expression import build
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Variable

n, m = map(Dimension.of, "nm")
e = build.einsum
SHAPES = {"A": "n n", "B": "n n", "W": "n m", "V": "n m", "x": "n", "y": "n", "u": "m", "a": ""}

KINDS = [
    ("W*u", "W", "kronecker", "m*n", "m*n^2", "m"),
    ("W", "u", "zero", "0", "m^2*n", "0"),
    ("x", "x", "delta", "n", "n^2", "0"),
    ("W", "W", "delta", "m*n", "m^2*n^2", "0"),
    ("tanh(x)", "x", "delta", "n", "n^2", "n"),
    ("tanh(W)", "W", "delta", "m*n", "m^2*n^2", "m*n"),
    ("A*x", "x", "dense", "n^2", "n^2", "n^2"),
    ("x'*A*x", "x", "dense", "n", "n", "n"),
    ("sum(W)", "W", "constant", "m*n", "m*n", "0"),
    ("A*W", "W", "kronecker", "m*n^2", "m^2*n^2", "n^2"),
    ("inv(A)", "A", "kronecker", "n^4", "n^4", "n^2"),
    ("x*x'", "x", "sum", "2*n^2 - n", "n^3", "n"),
    ("diag(x)", "x", "delta", "n", "n^3", "0"),
    ("W.^3", "W", "delta", "m*n", "m^2*n^2", "m*n"),
    ("a*x", "x", "delta", "n", "n^2", "1"),
]


@pytest.mark.parametrize(("text", "name", "kind", "nonzero", "entries", "numbers"), KINDS)
def test_kinds(text: str, name: str, kind: str, nonzero: str, entries: str, numbers: str) -> None:
    found = wrt.derivative(text, name, shapes=SHAPES).structure
    assert (found.kind, str(found.nonzero), str(found.entries)) == (kind, nonzero, entries)
    assert str(found.numbers) == numbers


def test_an_outer_product() -> None:
    """a·tr(A) by A: x yᵀ over all axes is rank one."""
    found = wrt.derivative("(x'*A*y)*u", "A", shapes=SHAPES).structure
    assert found.kind == "outer"
    assert str(found.numbers) == "m + 2*n"


def test_a_union_of_patterns_is_counted_once() -> None:
    """δ_ia and δ_ja meet where i = j = a."""
    x, eye = Variable("x", (n,)), build.identity(n)
    both = e("ia,j->ija", eye, x) + e("ja,i->ija", eye, x)
    assert structure(both, 2).nonzero is n * n * 2 - n
    three = both + e("ij,a->ija", eye, x)
    assert structure(three, 2).nonzero.size({"n": 5}) == 3 * 25 - 3 * 5 + 5


def test_places_are_told_apart() -> None:
    """Two basis vectors are two entries; the same one twice is one."""
    first, second = build.unit(n, 0), build.unit(n, 1)
    a, b = Variable("a", ()), Variable("b", ())
    assert str(structure(a * first + b * second, 0).nonzero) == "2"
    assert str(structure(a * first + b**2 * first, 0).nonzero) == "1"
    D = wrt.derivative("abs((x*x')[1,2])", "x", shapes={"x": "n"})
    assert str(D.structure.nonzero) == "2"


def test_a_row_and_a_column() -> None:
    """e₁ xᵀ + x e₁ᵀ: a row and a column that share one entry."""
    x, first = Variable("x", (n,)), build.unit(n, 0)
    f = e("i,j->ij", first, x) + e("i,j->ij", x, first * 2)
    assert structure(f, 1).nonzero.size({"n": 7}) == 13


SYMMETRIES = [
    ("x'*A*x", ("x", "x"), (((0,), (1,)),)),
    ("norm2(x)", ("x", "x"), (((0,), (1,)),)),
    ("sum(tanh(x))", ("x", "x", "x"), (((0,), (1,)), ((0,), (2,)), ((1,), (2,)))),
    ("logdet(A)", ("A", "A"), (((0, 1), (2, 3)),)),
    ("A*x", ("x",), ()),
    ("softmax(std(A,2))", ("A",), ()),
    ("max(A)", ("A",), ()),
    ("tr(A)", ("A",), (((0,), (1,)),)),
]


@pytest.mark.parametrize(("text", "names", "wanted"), SYMMETRIES)
def test_symmetries(text: str, names: tuple[str, ...], wanted: tuple[object, ...]) -> None:
    assert wrt.derivative(text, *names, shapes=SHAPES).structure.symmetries == wanted


def test_what_gives_the_numbers() -> None:
    found = wrt.derivative("A*W*B", "W", shapes={"A": "n n", "W": "n m", "B": "m m"}).structure
    assert {repr(part) for part in found.given_by} == {"<A : n, n>", "<B : m, m>"}


def test_many_patterns_are_bounded_by_the_whole() -> None:
    T = Variable("T", (n, n, n, n))
    terms = ["".join(p) for p in permutations("ijkl")]
    f = build.add(*(e(f"ijkl->{t}", T) * (k + 1) for k, t in enumerate(terms)))
    found = structure(derivative(f, T), 4)
    assert found.nonzero is found.entries


def test_symmetry_is_said_where_it_is_not_plain() -> None:
    hessian = wrt.derivative("logdet(X)", "X", "X")
    assert hessian.structure.symmetries == (((0, 1), (2, 3)),)
    assert hessian.symmetry_sentence == ("the same under exchange of axes (1, 2) and axes (3, 4)")
    assert wrt.derivative("W*x", "W").symmetry_sentence is None
    assert wrt.derivative("A*x", "x").symmetry_sentence is None


def test_what_is_only_a_bound_is_counted() -> None:
    D = wrt.derivative("prod(x)", "x", "x")
    assert D.structure_sentence == "6 of 9 entries differ from 0 where n = 3"
    assert wrt.derivative("X-X'", "X").structure_sentence == (
        "12 of 81 entries differ from 0 where n = 3; at most 2*n^2 - n of n^4 can"
    )
    assert wrt.derivative("x[1]", "x").structure_sentence.startswith("1 of n entries")
