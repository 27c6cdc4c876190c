"""Claims: what somebody says a derivative is, judged; wrong ones refuted with the reason."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wrt
from test_cases import COVERED
from wrt.answers.claims import Verdict
from wrt.answers.claims.editing import edits, terms
from wrt.apps.command import run
from wrt.errors import NameMistake, SyntaxMistake
from wrt.functions import BOOK
from wrt.language import read

CLAIMS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "claims.json").read_text("utf-8")
)
KNOWN = [c for c in CLAIMS if not set(re.findall(r"(\w+)\(", c["text"])) - {*BOOK, "tr"}]


def judged(f: str, x: str, claim: str, /, **shapes: str) -> Verdict:
    return asked(f, x, tuple(shapes.items())).judge(claim)


@cache
def asked(f: str, x: str, shapes: tuple[tuple[str, str], ...]) -> wrt.Derivative:
    return wrt.derivative(f, *x.split(), shapes=dict(shapes))


#: Words that a learner has to meet in the reason of each verdict of the published claims.
REASONS = {
    "claim_01": ["three axes", "n × (n × m)", "δ[i,a]*x[b]"],
    "claim_02": ["a gradient g meets", "g'D = g*x'", "δ[i,a]*x[b]"],
    "claim_03": ["A is symmetric"],
    "claim_05": ["transpose", "numerator"],
    "claim_06": ["the first term", "lacks a factor 2", "the second term", "does not belong"],
    "claim_07": ["in the first term", "should be x'*y", "a minus is missing before the second"],
    "claim_08": ["four axes", "every size is 1"],
    "claim_09": ["four axes", "inv(X)[i,a]"],
    "claim_12": ["m = n", "X is invertible"],
    "claim_13": ["A is symmetric"],
    "claim_14": ["B is symmetric and commutes with A"],
    "claim_16": ["the second term", "lacks a factor 2"],
}


@pytest.mark.parametrize("claim", KNOWN, ids=lambda c: str(c["id"]))
def test_published_claims_are_judged_as_they_should(claim: dict[str, Any]) -> None:
    D = wrt.derivative(claim["text"], claim["wrt"], shapes=claim["shapes"])
    verdict = D.judge(claim["claim"])
    assert verdict.kind == claim["verdict"]
    said = str(verdict)
    for word in REASONS.get(claim["id"], []):
        assert word in said
    if verdict.kind == "wrong" and len(D.shape) < 3:
        assert verdict.where is not None
        holds_at(verdict, D)


def holds_at(verdict: Verdict, D: wrt.Derivative) -> None:
    """The counterexample is one: the derivative has that value there, and the claim another."""
    where = verdict.where
    assert where is not None
    known = {n: v for n, v in where.values.items() if n in D.question.variables}
    value = D(known)[tuple(i - 1 for i in where.entry)]
    assert np.isclose(value, where.truth)
    assert not np.isclose(where.claimed, where.truth)


PUBLISHED = [c for c in COVERED if c["answer"]]


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda c: str(c["id"]))
def test_every_published_answer_is_right(case: dict[str, Any]) -> None:
    if set(re.findall(r"(pinv|adj)\(", case["answer"])) - {*BOOK}:
        pytest.skip("a word that the book does not hold yet")
    symmetric = case["symmetric"] or "projected"
    D = wrt.derivative(case["text"], *case["wrt"], shapes=case["shapes"], symmetric=symmetric)
    verdict = D.judge(case["answer"])
    assert verdict.kind == "right", str(verdict)


# Faults: each spoiled answer is refuted, and the reason names what was spoiled


@pytest.mark.parametrize(
    ("f", "x", "claim", "reason"),
    [
        ("norm2(A*x-b)^2", "x", "2*A'*(A*x+b)", "the sign before b should be minus"),
        ("norm2(A*x-b)^2", "x", "A'*(A*x-b)", "the claim lacks a factor 2"),
        ("norm2(A*x-b)^2", "x", "-2*A'*(A*x-b)", "the minus before the claim should be a plus"),
        ("norm2(A*x-b)^2", "x", "2*A*(A*x-b)", "A should be transposed: A'"),
        ("norm2(A*x-b)^2", "x", "2*A'*A*x", "the term -2*A'*b is missing"),
        ("norm2(A*x-b)^2", "x", "2*A'*A*x - 2*A'*b + x", "the third term, x, does not belong"),
        ("tr(A*X*B)", "X", "A'*B", "B should be transposed: B'"),
        ("tr(A*X*B)", "X", "B'*A'", "B'*A' should be A'*B'"),
        ("a'*inv(X)*b", "X", "inv(X)'*a*b'*inv(X)'", "a minus is missing before the claim"),
        ("a'*inv(X)*b", "X", "-inv(X)'*a*b'", "the factor inv(X)' is missing"),
        ("sum(sin(A*x))", "x", "A'*sin(A*x)", "sin(A*x) should be cos(A*x)"),
        ("sum(sin(A*x))", "x", "cos(A*x)", "the factor A' is missing"),
        ("norm2(x)", "x", "x/norm2(x)^2", "norm2(x)^2 should be norm2(x)"),
        ("sum(x.^3)", "x", "3*x.^3", "x.^3 should be x.^2"),
        ("x'*A*x", "x", "A*x - A'*x", "the minus before the second term, A'*x, should be a plus"),
        ("mean(x.^2)", "x", "2*x", "the claim has a factor n too many"),
        ("sum(x)^2", "x", "2*mean(x)*ones(n)", "the claim lacks a factor n"),
        ("log(x'*x)", "x", "2*x", "the factor 1/(x'*x) is missing"),
        ("exp(-x'*x)", "x", "2*exp(-x'*x)*x", "a minus is missing before the claim"),
        ("exp(-x'*x)", "x", "-2*exp(x'*x)*x", "x'*x should be -"),
        ("A*diag(x)*b", "x", "A.*b'", ""),
        ("sum(softmax(X,2)*v)", "X", "softmax(X,1).*(ones(n)*v')", ""),
    ],
)
def test_what_is_off_is_named(f: str, x: str, claim: str, reason: str) -> None:
    shapes = {"x": "n"} if "A" not in f and "X" not in f else {}
    verdict = judged(f, x, claim, **shapes)
    assert verdict.kind == "wrong"
    assert reason in str(verdict)
    assert len(verdict.sentence) > len("wrong: ")


def test_a_second_fault_is_named_too() -> None:
    said = str(judged("norm2(A*x-b)^2", "x", "A'*A*x + 2*A'*b"))
    assert "the first term, A'*A*x, lacks a factor 2" in said
    assert "a minus is missing before the second term" in said


@pytest.mark.parametrize(("f", "claim"), [("sum(x)", "1"), ("c*sum(x)", "c"), ("mean(x)", "1/n")])
def test_a_number_for_equal_entries(f: str, claim: str) -> None:
    verdict = judged(f, "x", claim, x="n", c="")
    assert verdict.sentence == "wrong: that is what stands in every entry"
    assert "the derivative has one axis" in verdict.faults[0]


# Layouts


@pytest.mark.parametrize(
    ("f", "x", "claim", "layout"),
    [
        ("tr(A*X)", "X", "A", "numerator"),
        ("A*x", "x", "A'", "denominator"),
        ("x'*A*x", "x", "x'*(A+A')", "numerator"),
        ("W*x", "W", "eye ⊗ x'", "vec-rows"),
        ("W*x", "W", "kron(x', eye(n))", "vec-columns"),
        ("W*x", "W", "kron(x, eye(n))", "vec-columns transposed"),
        ("A*X*B", "X", "kron(B', A)", "vec-columns"),
        ("A*X*B", "X", "kron(A, B')", "vec-rows"),
        ("a'*X*b", "X", "vec(a*b')", "vec-columns"),
        ("A*X", "X", "D[a,b,i,j] = A[i,a]*δ[j,b]", "gradient"),
        ("W*x", "W", "D[b,a,i] = δ[i,a]*x[b]", "x first"),
        ("A*X*B", "X", "D[i,j,b,a] = A[i,a]*B[b,j]", "numerator"),
    ],
)
def test_another_layout_is_found(f: str, x: str, claim: str, layout: str) -> None:
    verdict = judged(f, x, claim)
    assert (verdict.kind, verdict.layout) == ("layout", layout)


def test_a_view_that_was_asked_for_is_the_layout_to_be_right_in() -> None:
    D = wrt.derivative("A*X*B", "X").view("vec-columns")
    assert D.judge("kron(B',A)").kind == "right"
    assert D.judge("kron(A',B)").kind != "right"


# Conditions


@pytest.mark.parametrize(
    ("f", "x", "claim", "condition"),
    [
        ("x'*A*x", "x", "2*A*x", "A is symmetric"),
        ("x'*A*x + x'*B*x", "x", "2*A*x + 2*B*x", "A and B are symmetric"),
        ("det(X'*X)", "X", "2*det(X'*X)*inv(X)'", "m = n and X is invertible"),
        ("sum(abs(x))", "x", "ones(n)", "x is positive"),
        ("log(abs(a))", "a", "exp(-log(a))", "a > 0"),
        ("tr(A*X*B + X)", "X", "B'*A' + eye", "A and B commute"),
        ("-y'*log(softmax(z))", "z", "softmax(z) - y", "y sums to 1"),
        ("-log(y'*softmax(z))", "z", "softmax(z) - y", "one entry of y is 1 and all others are 0"),
        ("-sum(Y.*log(softmax(X,2)))", "X", "softmax(X,2) - Y", "every row of Y sums to 1"),
        ("-sum(Y.*log(softmax(X,1)))", "X", "softmax(X,1) - Y", "every column of Y sums to 1"),
        ("U*inv(U)*x + inv(U)*x", "x", "eye + U'", "U is orthogonal"),
    ],
)
def test_the_condition_under_which_a_claim_is_right(
    f: str, x: str, claim: str, condition: str
) -> None:
    verdict = judged(f, x, claim)
    assert verdict.kind == "if"
    assert verdict.condition == condition


def test_another_convention_is_a_condition() -> None:
    verdict = judged("logdet(C)", "C", "2*inv(C) - inv(C).*eye(n)", C="n n symmetric")
    assert verdict.kind == "if"
    assert "tied" in str(verdict.condition)
    assert judged("tr(A*S)", "S", "A'", S="n n symmetric").kind == "if"
    assert judged("tr(A*S)", "S", "(A+A')/2", S="n n symmetric").kind == "right"


def test_a_condition_under_which_all_is_zero_is_none() -> None:
    assert judged("x'*A*x", "x", "A*x").kind == "wrong"
    assert judged("tr(A*X) - tr(A'*X)", "X", "3*A' - 3*A").kind == "wrong"


# What cannot be judged, and shapes


def test_a_gradient_in_a_claim_is_known() -> None:
    said = str(judged("W*x", "W", "g*x'"))
    assert "that is the product g'D of a gradient g with the derivative" in said


def test_entries_on_the_diagonal_and_sums_are_told() -> None:
    assert "on its diagonal" in str(judged("tanh(x)", "x", "1-tanh(x).^2"))
    assert "sum of all entries" in str(judged("A*x", "x", "A'*ones(n)", A="n m"))
    assert "A.*" not in str(judged("A*x", "x", "2", A="n m")).splitlines()[0]


def test_names_that_the_question_lacks() -> None:
    with pytest.raises(NameMistake, match="the question has no name beto") as told:
        judged("alpha*x + beta*y", "x", "beto")
    assert told.value.hint == "did you mean beta?"
    assert told.value.span == (0, 4)
    with pytest.raises(SyntaxMistake):
        judged("x'*A*x", "x", "(A+A'*x")


def test_lines_of_the_question_may_be_named() -> None:
    D = wrt.derivative("h = tanh(W*x)\nsum(h)", "x")
    assert D.judge("W'*(1 - h.^2)").kind == "right"
    assert D.judge("W'*(1 - h)").kind == "wrong"


def test_forms_of_the_language_are_claims() -> None:
    assert judged("x'*A*x", "x", "B*x where B = A + A'").kind == "right"
    assert judged("x'*A*x", "x", "D[i] = A[i,j]*x[j] + A[j,i]*x[j]").kind == "right"
    assert judged("x'*A*x", "x x", "A + A'").kind == "right"
    assert judged("W*x", "W", "D[i,a,b] = δ[i,a]*x[b]").kind == "right"
    assert judged("x", "x", "I").kind == "right"


def test_index_letters_that_are_off() -> None:
    verdict = judged("A*X*B", "X", "D[i,j,a,b] = A[i,a]*B[j,b]")
    assert verdict.kind == "wrong"
    assert "B[j,b] should be B[b,j]" in str(verdict)
    assert "B should be transposed: B'" in str(judged("A*X*B", "X", "A ⊗ B"))


# Edits and terms


def test_terms_keep_their_signs() -> None:
    said = [(t.sign, t.said) for t in terms("-a*(b - c) - (d + e)")]
    assert said == [(-1, "a*(b - c)"), (-1, "d"), (-1, "e")]


@pytest.mark.parametrize("text", ["2*A'*(A*x-b)", "A*diag(x)*B", "D[i,a] = A[i,a]*x[a]"])
def test_every_edit_is_another_text(text: str) -> None:
    made = [edit.text for edit in edits(text)]
    assert len(made) == len(set(made))
    assert text not in made
    readable = 0
    for one in made:
        try:
            read(one, shapes={"A": "n n", "B": "n n", "x": "n", "b": "n"})
        except wrt.errors.WrtError:
            continue
        readable += 1
    assert readable > len(made) // 4


# The command


def test_the_command_judges(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["x'*A*x", "x", "--claim", "2*A*x"]) == 0
    out = capsys.readouterr().out
    assert "verdict        right only where A is symmetric" in out
    assert "derivative     (A + A')*x" in out
    assert run(["x'*A*x", "x", "--claim", "2*A*x", "--json"]) == 0
    claim = json.loads(capsys.readouterr().out)["claim"]
    assert claim["verdict"] == "if"
    assert claim["condition"] == "A is symmetric"
    assert claim["differs"]["truth"] != claim["differs"]["claimed"]
    assert run(["x'*A*x", "x", "--claim", "2*A*("]) == 1
