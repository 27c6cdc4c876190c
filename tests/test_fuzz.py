"""Two thousand random formulas: right, normal, printed and read, compiled, their structure true."""

from __future__ import annotations

import re

import pytest

from fuzzing import question
from fuzzing_recurrences import judge_steps, steps_of
from judging import Verdict, judge
from judging_further import judge_further
from wrt.functions import BOOK

COUNT, CHUNK = 2000, 100


@pytest.fixture(scope="module")
def verdicts() -> dict[int, Verdict]:
    return {}


@pytest.mark.parametrize("start", range(0, COUNT, CHUNK))
def test_random_formulas(start: int, verdicts: dict[int, Verdict]) -> None:
    for seed in range(start, start + CHUNK):
        one = question(seed)
        try:
            verdicts[seed] = judge(one)
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}\n{one}") from error


@pytest.mark.parametrize("start", range(0, COUNT, CHUNK * 5))
def test_second_derivatives(start: int) -> None:
    for seed in range(start, start + CHUNK * 5, 10):
        one = question(seed, orders=2)
        try:
            judge(one)
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}\n{one}") from error


@pytest.mark.parametrize("start", range(0, COUNT, CHUNK * 5))
def test_entries_directions_libraries_and_sizes(start: int, verdicts: dict[int, Verdict]) -> None:
    for seed in range(start, start + CHUNK * 5, 40):
        one = question(seed)
        if seed not in verdicts or verdicts[seed].is_defined:
            try:
                judge_further(one)
            except Exception as error:
                raise AssertionError(f"{type(error).__name__}: {error}\n{one}") from error


def test_recurrences_are_their_steps() -> None:
    for seed in range(40):
        one = steps_of(seed)
        try:
            judge_steps(one)
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}\n{one}") from error


def test_nearly_all_are_defined(verdicts: dict[int, Verdict]) -> None:
    """Fewer than 2 of 100 formulas are undefined near all random points that were tried."""
    undefined = [seed for seed, verdict in verdicts.items() if not verdict.is_defined]
    assert 50 * len(undefined) < max(len(verdicts), 150), undefined


def test_nearly_all_sentences_stay(verdicts: dict[int, Verdict]) -> None:
    """What is printed and read is printed as the same text again, but for 4 of 100 sentences."""
    texts = sum(len(verdict.texts) for verdict in verdicts.values())
    restless = [said for verdict in verdicts.values() for said in verdict.restless]
    assert 100 * len(restless) <= 4 * texts + 100, restless[:5]


def test_every_word_of_the_book_is_tried() -> None:
    text = "\n".join(question(seed).text for seed in range(COUNT))
    met = set(re.findall(r"[a-z_]\w*(?=\()", text))
    written = {"power", "I"}  # as ^ and .^
    tried = {BOOK[word] for word in met if word in BOOK}  # by one spelling at least
    assert {word for word in BOOK if BOOK[word] not in tried} - written == set()


def test_a_formula_is_the_same_each_time() -> None:
    assert [str(question(k)) for k in range(50)] == [str(question(k)) for k in range(50)]
    assert question(3, orders=2).wrt != ()
