"""Spoiled rules, definitions, laws and products: the tests of the records must notice every one.

Each sentence of each record is spoiled in all the small ways in which people spoil them. A spoiled
sentence is let off only where it says the same as the right one at fresh points, with directions of
their own; any other that the bench does not report is a survivor, and there must be none.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

from bench import RECORDS, Bench, bench, points, products_agree
from sentences import says, side, syntax
from wrt.errors import WrtError
from wrt.expression.dataclass import replace
from wrt.expression.function import Function
from wrt.functions import BOOK
from wrt.language.operators import INFIX, OPERATORS
from wrt.language.syntax import Call, Infix, Name, Number, Postfix, Prefix, Syntax, postorder
from wrt.language.written import formula_text

HERE, FRESH = 1, 2026
_TRANSPOSE = next(o for o in OPERATORS if o.name == "transpose")
_MINUS = next(o for o in OPERATORS if o.name == "minus")
_OTHERS = {
    "+": "-",
    "-": "+",
    "*": "/",
    "/": "*",
    ".*": "./",
    "./": ".*",
    "^": "*",
    ".^": ".*",
}
_ENTRYWISE = [f.name for f in RECORDS if f.entrywise and len(f.forms[0].arguments) == 1]
_WHOLE = ["sum", "max", "min", "mean", "logsumexp", "prod"]
_SQUARE = ["tr", "det", "logdet"]


def mutants(part: Syntax, names: list[str]) -> Iterator[Syntax]:
    """Every sentence that differs from this one in a single place."""
    yield from _here(part, names)
    match part:
        case Prefix() | Postfix():
            yield from (replace(part, operand=m) for m in mutants(part.operand, names))
        case Infix():
            yield from (replace(part, left=m) for m in mutants(part.left, names))
            yield from (replace(part, right=m) for m in mutants(part.right, names))
        case Call():
            bound = len(part.arguments) == 4  # sum(r, 0, k-1, …): the first names the range
            for k, argument in enumerate(part.arguments):
                if bound and not k:
                    continue
                for m in mutants(argument, names):
                    yield replace(
                        part, arguments=(*part.arguments[:k], m, *part.arguments[k + 1 :])
                    )


def _here(part: Syntax, names: list[str]) -> Iterator[Syntax]:
    """The ways to spoil one place: flip, drop, swap, change, replace."""
    span = part.span
    yield Prefix(_MINUS, part, span)
    match part:
        case Number():
            for change in (1, -1, Fraction(1, 2)):
                number = Number(abs(part.value + change), span)
                yield number if part.value + change >= 0 else Prefix(_MINUS, number, span)
        case Name():
            yield Postfix(_TRANSPOSE, part, span)
            yield from (Name(name, span) for name in names if name != part.name)
        case Prefix() | Postfix():
            yield part.operand
        case Infix():
            yield part.left
            yield part.right
            yield replace(part, left=part.right, right=part.left)
            yield replace(part, operator=INFIX[_OTHERS[part.operator.plain]])
        case Call():
            yield from part.arguments[:1]
            for group in (_ENTRYWISE, _WHOLE, _SQUARE, ["inv", "diag"]):
                if part.word in group and len(part.arguments) == 1:
                    yield from (replace(part, word=word) for word in group if word != part.word)


def spoiled(text: str, function: Function) -> list[str]:
    """The texts of all mutants of a sentence of a record."""
    part = syntax(text)
    form = function.forms[0]
    names = [a.name for a in (*form.arguments, *form.results)]
    if function.differential:
        names += [f"d{a.name}" for a in form.arguments]
    names += [p.arguments[0].name for p in postorder(part) if _is_bounded(p)]
    found = dict.fromkeys(formula_text(m) for m in mutants(part, names))
    found.pop(formula_text(part), None)
    return list(found)


def _is_bounded(part: Syntax) -> bool:
    return isinstance(part, Call) and len(part.arguments) == 4


def named(condition):
    return pytest.mark.parametrize(
        "function", [f for f in RECORDS if condition(f)], ids=lambda f: f.name
    )


@named(lambda f: f.differential)
def test_no_spoiled_rule_survives(function: Function) -> None:
    (rule,) = function.rules
    assert not bench(function, HERE).rule_faults(formula_text(syntax(rule)))
    texts = spoiled(rule, function)
    assert texts
    survivors = [text for text in texts if _rule_survives(function, rule, text)]
    assert not survivors


def _rule_survives(function: Function, rule: str, text: str) -> bool:
    if bench(function, FRESH).rules_agree(text, rule):
        return False
    try:
        record = replace(function, differential=text)
    except WrtError:  # refused when the record is made
        return False
    return not bench(function, HERE).rule_faults(record.rules[0])


@named(lambda f: f.definition)
def test_no_spoiled_definition_survives(function: Function) -> None:
    texts = spoiled(function.definition, function)
    assert texts
    fresh, here = bench(function, FRESH), bench(function, HERE)
    right = function.definition
    assert not here.definition_faults(formula_text(syntax(right)))
    survivors = [
        text
        for text in texts
        if not fresh.definitions_agree(text, right) and not here.definition_faults(text)
    ]
    assert not survivors


LAWS = [(f, law) for f in RECORDS for law in f.laws]


@pytest.mark.parametrize(("function", "law"), LAWS, ids=[law for _, law in LAWS])
def test_no_spoiled_law_survives(function: Function, law: str) -> None:
    """A spoiled law is let off only where it is true at the fresh points too."""
    left, right = side(law)
    texts = [f"{text} = {right}" for text in spoiled(left, function)]
    texts += [f"{left} = {text}" for text in spoiled(right, function)]
    assert texts
    fresh, here = bench(function, FRESH), bench(function, HERE)
    survivors = [t for t in texts if fresh.law_faults(t) and not here.law_faults(t)]
    assert not survivors


@named(lambda f: f.einsum and "..." not in f.einsum and f.forms[0].arrays)
def test_no_spoiled_product_survives(function: Function) -> None:
    """Other orders of the result's axes, other axes contracted, the other triangle."""
    survivors = []
    for products in _spoiled_products(function):
        record = replace(function, einsum=products)
        if not _product_faults(record) and _product_differs(record, function):
            survivors.append(products)
    assert not survivors


def _spoiled_products(function: Function) -> Iterator[tuple[str, ...]]:
    for k, product in enumerate(function.products):
        for other in _other_subscripts(product):
            yield (*function.products[:k], other, *function.products[k + 1 :])


def _other_subscripts(product: str) -> Iterator[str]:
    body, sign, where = product.partition(" where ")
    left, _, right = body.partition("->")
    for order in permutations(right):
        if "".join(order) != right:
            yield f"{left}->{''.join(order)}{sign}{where}"
    for k, letter in enumerate(left):
        for other in sorted({*left} - {",", letter}):
            yield f"{left[:k]}{other}{left[k + 1 :]}->{right}{sign}{where}"
    if ">=" in where:
        first, second = where.split(" >= ")
        yield f"{body}{sign}{second} >= {first}"
        yield f"{body}{sign}{first} = {second}"
        yield body


def _product_faults(record: Function) -> bool:
    """Whether the record's products differ from NumPy, or the record makes no sense."""
    try:
        return not all(products_agree(record, form, v) for form, v in points(record, HERE))
    except (WrtError, ValueError, AssertionError, KeyError):
        return True


def _product_differs(record: Function, function: Function) -> bool:
    from bench import call

    return any(
        not np.array_equal(call(record, form, v), call(function, form, v))
        for form, v in points(function, FRESH)
    )


# The mutation test itself can fail


def test_symmetric_points_would_hide_a_missing_transpose() -> None:
    """Why the points are generic: on symmetric ones a wrong law holds."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(3, 3))
    X = X + X.T + 4 * np.eye(3)
    left, right = map(syntax, side("inv(X') = inv(X)"))
    assert np.allclose(says(left, {"X": X}), says(right, {"X": X}))
    assert bench(BOOK["inv"], HERE).law_faults("inv(X') = inv(X)")


def test_known_mistakes_are_noticed() -> None:
    for word, rule in {
        "inv": "-Y'*dX*Y'",
        "tanh": "(1-y)*dx",
        "softmax": "y.*dx - y'*dx",
        "det": "y*tr(inv(X)'*dX)",
        "maximum": "step(x-y)*dx - step(y-x)*dy",
        "matrix_power": "k*X^(k-1)*dX",
        "logdet": "tr(inv(X))*dX",
    }.items():
        assert bench(BOOK[word], HERE).rule_faults(rule), word


def test_the_ways_to_spoil_a_sentence() -> None:
    texts = spoiled("inv(X)'*2", BOOK["inv"])
    for one in ("inv(X)*2", "2*inv(X)'", "inv(X)'*3", "X'*2", "inv(Y)'*2"):
        assert one in texts


def test_most_spoiled_sentences_are_really_wrong() -> None:
    """The excuse of saying the same must stay the exception."""
    excused = total = 0
    for function in RECORDS:
        if function.differential:
            for text in spoiled(function.rules[0], function):
                total += 1
                excused += bench(function, FRESH).rules_agree(text, function.rules[0])
    assert total > 1000
    assert excused < total / 5


def test_a_bench_has_points_of_its_own() -> None:
    one, other = Bench(BOOK["inv"], 1), Bench(BOOK["inv"], 2)
    assert not np.allclose(one.samples[0][2], other.samples[0][2])
