"""Answers as a person would write them: whole questions, and the sentences that they get."""

from __future__ import annotations

import pytest

import wrt
from case_data import CASES
from lengths import length
from test_notation import same
from wrt import notation
from wrt.algebra import settled
from wrt.errors import Mistake
from wrt.language import read

INDEX = [
    ("A'*A*h-A'*t", "A", {"A": "m n", "h": "n", "t": "m"}, "δ[i,b]*(A*h-t)[a] + A[a,i]*h[b]"),
    ("softmax(x)", "x", {"x": "n"}, "softmax(x)[i]*(δ[i,a]-softmax(x)[a])"),
    ("A*X*B", "X", {}, "A[i,a]*B[b,j]"),
    ("inv(F)", "F", {"F": "n n"}, "-inv(F)[i,a]*inv(F)[b,j]"),
    ("x'*A*x", "x", {}, "((A+A')*x)[a]"),
    ("norm2(x)^3*x", "x", {}, "norm2(x)^3*δ[i,a] + 3*norm2(x)*x[i]*x[a]"),
    ("v.*(W*x)", "W", {"v": "n"}, "δ[i,a]*v[i]*x[b]"),
    ("A*x+t*unit(3,1)", "t", {"A": "3 n", "t": ""}, "δ[i,1]"),
    (
        "softmax(Q*K'/sqrt(d),2)*V",
        "K",
        {"Q": "m d", "K": "p d", "V": "p k"},
        "softmax(Q*K'/sqrt(d),2)[i,a]*Q[i,b]*(V[a,j]-(softmax(Q*K'/sqrt(d),2)*V)[i,j])/sqrt(d)",
    ),
    ("log(q)'*q", "q", {"q": "n"}, "log(q)[a] + 1"),
    ("vec(X)'*S*vec(X)", "X", {}, "((S+S')*vec(X))[(b,a)]"),
    ("vec(X)'*S*vec(X)", "X", {"X": "3 2"}, "((S+S')*vec(X))[(b,a)]"),
    ("norm2(kron(A,B)-C)^2", "A", {}, "2*B[l,o]*(B[l,o]*A[a,b]-C[(a,l),(b,o)])"),
]


@pytest.mark.parametrize(("text", "name", "shapes", "wanted"), INDEX)
def test_index_forms(text: str, name: str, shapes: dict[str, str], wanted: str) -> None:
    D = wrt.derivative(text, name, shapes=shapes)
    assert D.index is not None
    assert D.index.partition(" = ")[2] == wanted
    assert same(D.index, D.flat)
    assert same(D.latex("index"), D.flat)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("vec(X')'*S*vec(X)", "X"),  # two ways to take m*n apart
        ("vec(kron(A,X))'*c", "X"),  # nothing tells how c is made of its parts
    ],
)
def test_joined_indices_that_nobody_could_size_are_not_said(text: str, name: str) -> None:
    D = wrt.derivative(text, name)
    assert D.index is None
    assert D.latex("index") is None


@pytest.mark.parametrize(
    ("text", "shapes", "wanted"),
    [
        ("D[a,b] = ((S+S')*vec(X))[(b,a)]", {"X": "3 2"}, (3, 2)),
        ("D[a,b] = c[(b,a)] where c = (S+S')*vec(X)", {"X": "p q"}, ("p", "q")),
        ("D[a,b] = ((S+S')*kron(x,y))[(a,b)]", {"x": "3", "y": "2"}, (3, 2)),
        ("D[a,b] = x[a]*c[(a,b)]", {"x": "n", "c": "n*m+2*n"}, ("n", "m + 2")),
        ("D[a,b] = x[a]*c[(a,b)]", {"x": "3", "c": "6*n"}, (3, "2*n")),
    ],
)
def test_joined_indices_are_as_long_as_what_was_joined(
    text: str, shapes: dict[str, str], wanted: tuple[object, ...]
) -> None:
    assert read(text, shapes=shapes).formula.shape == wanted


LAID_OUT = [
    (
        "d'*A*kron(d,d)",
        "d",
        {"d": "3", "A": "3 9"},
        "(kron(eye(3),d)+kron(d,eye(3)))'*A'*d + A*kron(d,d)",
    ),
    ("kron(x,x)'*Q*kron(x,x)", "x", {}, "(kron(eye(n),x)+kron(x,eye(n)))'*(Q+Q')*kron(x,x)"),
    ("kron(a,b)'*c", "a", {"a": "n", "b": "m", "c": "n*m"}, "kron(eye(n),b)'*c"),
    (
        "tr(A*kron(x',eye(3))*B*kron(x',eye(3))')",
        "x",
        {"A": "3 3 symmetric", "B": "9 9", "x": "3"},
        "kron(eye(3),vec(eye(3)))'*vec(A*kron(x,eye(3))'*(B+B'))",
    ),
    (
        "vec(X)'*S*vec(X)",
        "X",
        {"X": "n m"},
        "kron(vec(eye(m)),eye(n))'*kron(eye(m),(S+S')*vec(X))",
    ),
]


@pytest.mark.parametrize(("text", "name", "shapes", "wanted"), LAID_OUT)
def test_joined_axes(text: str, name: str, shapes: dict[str, str], wanted: str) -> None:
    D = wrt.derivative(text, name, shapes=shapes)
    assert D.matrix == wanted
    assert D.check().passed
    assert same(wanted, D.flat)


def test_ones_that_are_laid_out_count() -> None:
    """A summed index that no factor carries is worth its size."""
    made = read("tr(kron(ones(m,m),tril(A)*B))", shapes={"A": "n n", "B": "n n"}).formula
    text = notation.index(settled(made), "f")
    assert text is not None
    assert same(text, made)


def test_joined_indices_are_read() -> None:
    made = read("D[i,j] = x[(i,j)]*y[i]", shapes={"y": "3", "x": "6"}).formula
    assert made.shape == (3, 2)
    with pytest.raises(Mistake, match="stand in index form only"):
        read("x[(i,j)]")
    with pytest.raises(Mistake, match=r"joins index names"):
        read("D[i,j] = x[(i,2)]*y[j]")
    with pytest.raises(Mistake, match="runs over"):
        read("D[i,j] = x[(i,j)]*y[i]", shapes={"y": "3", "x": "7"})


def test_the_same_names_with_other_properties() -> None:
    """What was said of symmetric matrices is not said of any."""
    text = "tr(inv(A+X'*C*X)*(X'*B*X))"
    shapes = {"A": "n n", "B": "m m", "C": "m m", "X": "m n"}
    tied = {**shapes, **{k: f"{shapes[k]} symmetric" for k in "ABC"}}
    for some in (tied, shapes):
        D = wrt.derivative(text, "X", shapes=some)
        assert D.matrix is not None
        assert same(D.matrix, D.flat)


FACTORED = [
    # a diagonal matrix at the left or at the right, powers split
    (
        "gamma.*(x-mean(x))/sqrt(var(x)+0.01)+beta",
        "x",
        {"x": "p", "gamma": "p", "beta": "p"},
        "diag(gamma)*(eye(p)-(x-mean(x))*(x-mean(x))'/(p*(var(x)+0.01))-1/p)/sqrt(var(x)+0.01)",
    ),
    # traces that share links, wherever they stand
    ("tr(A*X*B)*t+t^2*tr(X*B*C)", "t", {"A": "n n", "C": "n n", "t": ""}, "tr(X*B*(A+2*t*C))"),
    # what cancels is multiplied first
    (
        "y'*log(x*exp(theta)/sum(exp(theta)))",
        "theta",
        {"x": "m n positive", "theta": "n", "y": "m"},
        "(x'*(y./(x*softmax(theta)))-sum(y)).*softmax(theta)",
    ),
    # a whole diagonal
    ("A[1,1]+A[2,2]+A[3,3]", "A", {"A": "3 3"}, "eye(3)"),
]


@pytest.mark.parametrize(("text", "name", "shapes", "wanted"), FACTORED)
def test_factoring(text: str, name: str, shapes: dict[str, str], wanted: str) -> None:
    D = wrt.derivative(text, name, shapes=shapes)
    assert D.matrix == wanted
    assert same(wanted, D.flat)


INVERSES = [
    (
        "norm2(v*(p-B*inv(B'*v'*v*B)*B'*v'*(v*p-w))-w)^2",
        "B",
        {"v": "m n", "p": "n", "B": "n k", "w": "m"},
        "2*v'*(v*B*pinv(v*B)-eye(m))*(v*p-w)*(v*p-w)'*pinv(v*B)'",
    ),
    ("norm2(y-X*inv(X'*X)*X'*y)^2", "y", {}, "2*(y-X*pinv(X)*y)"),
    ("det(X)", "X", {"X": "n n"}, "adj(X)'"),
    ("3*det(A*X*B)", "X", {"A": "k m", "B": "n k"}, "3*A'*adj(A*X*B)'*B'"),
    ("det(X)^2", "X", {"X": "n n"}, "2*det(X)^2*inv(X)'"),
]


@pytest.mark.parametrize(("text", "name", "shapes", "wanted"), INVERSES)
def test_words_for_products_with_inverses(
    text: str, name: str, shapes: dict[str, str], wanted: str
) -> None:
    D = wrt.derivative(text, name, shapes=shapes)
    assert D.matrix == wanted
    assert D.check().passed
    assert same(wanted, D.flat)


def test_a_complex_matrix_has_another_pseudoinverse() -> None:
    """X'*X is not X^H*X: no pinv without conjugates."""
    D = wrt.derivative("inv(X'*X)*X'*y", "y", shapes={"X": "n m complex", "y": "n complex"})
    assert D.matrix == "inv(X'*X)*X'"


NAMED = [
    (
        "sum(softmax(Q*K'/sqrt(d),2)*V)",
        "Q",
        {"Q": "m d", "K": "p d", "V": "p k"},
        "(P*diag(sum(V,2))-diag(P*sum(V,2))*P)*K/sqrt(d) where P = softmax(Q*K'/sqrt(d),2)",
    ),
    (
        "det(A+t*B+t^2*C)",
        ("t", "t"),
        {"A": "n n", "B": "n n", "C": "n n", "t": ""},
        "det(P)*tr(inv(P)*(2*C-Q*(inv(P)*Q-tr(inv(P)*Q)*eye(n)))) "
        "where P = A + t*(t*C+B); Q = 2*t*C + B",
    ),
]


@pytest.mark.parametrize(("text", "names", "shapes", "wanted"), NAMED)
def test_what_is_long_and_returns_has_a_name(
    text: str, names: str | tuple[str, ...], shapes: dict[str, str], wanted: str
) -> None:
    D = wrt.derivative(text, *names, shapes=shapes)
    assert D.matrix == wanted
    assert same(wanted, D.flat)


def test_definitions_stand_behind_those_they_use() -> None:
    D = wrt.derivative(
        "tanh(W*tanh(W*tanh(W*g+U*x1)+U*x2)+U*x3)",
        "W",
        shapes={"W": "n n", "U": "n m", "g": "n", "x1": "m", "x2": "m", "x3": "m"},
    )
    assert D.index is not None
    assert D.index.endswith(" where r = tanh(W*g+U*x1); s = tanh(W*r+U*x2)")
    assert same(D.index, D.flat)


def test_short_forms_have_no_definitions() -> None:
    for text in ("(x-a)/norm2(x-a)", "softmax(x)", "norm2(A*x-b)^2", "x'*A*x/(x'*B*x)"):
        D = wrt.derivative(text, "x", shapes={"a": "n", "b": "m"} if "A" in text else {"a": "n"})
        assert "where" not in f"{D.matrix} {D.index}"


def test_rows_divided_by_a_column_keep_their_ones() -> None:
    """In A*diag(s) - A*s*s' the s at the right leaves ones behind: A - A*s*ones'."""
    D = wrt.derivative("A*softmax(B*x)", "B", shapes={"A": "n m", "B": "m p", "x": "p"})
    assert D.index is not None
    assert same(D.index, D.flat)
    D = wrt.derivative("A*softmax(x)", "x", shapes={"A": "n m", "x": "m"})
    assert D.matrix is not None
    assert same(D.matrix, D.flat)


def test_shortening_the_published_answer_is_no_shorter() -> None:
    """What people wrote, read and printed again: shorter than ours in at most 2 of 100 cases."""
    worse, seen = [], 0
    for case in CASES:
        if not case["answer"]:
            continue
        try:
            D = wrt.derivative(
                case["text"],
                *case["wrt"],
                shapes=case["shapes"],
                symmetric=case["symmetric"] or "projected",
            )
            published = read(case["answer"], shapes=case["shapes"]).formula
        except Mistake:
            continue
        again = notation.matrix(settled(published), names=tuple(D.question.variables), where=True)
        seen += 1
        if D.matrix is None or (again is not None and length(again) < length(D.matrix)):
            worse.append(f"{case['id']}: {again} against {D.matrix}")
    assert seen > 200
    assert 100 * len(worse) <= 2 * seen, "\n".join(worse)
