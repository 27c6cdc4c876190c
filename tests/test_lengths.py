"""Closed forms against the published ones: `python tests/test_lengths.py` prints the table.

It lists for each category how many cases there are, how many are right and how many closed forms
are not longer than the published one, and every one that is longer.
"""

from __future__ import annotations

import pytest

from case_data import answer, draw
from lengths import compared, is_longer, length, table
from test_cases import COVERED, asked, close

#: Of a hundred published closed forms, at least so many are matched or beaten.
FLOOR = 99

PAIRS = {
    number: pair for number, case in enumerate(COVERED) if (pair := compared(case, "")) is not None
}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("(A+A')*x", 3),
        ("2*A'*(A*x-b)", 5),
        ("-inv(X)'*a*b'*inv(X)'", 4),
        ("x^2/2 + 1e-3*y", 5),
        ("X^T*X^H", 2),
        ("vector(1)+eye+eye(n)+I", 4),
        ("2*diag(t)*A where t = tanh(W*x)", 6),
        ("sum(r, 0, k-1, X^r)", 6),
        ("unit(3,2)*x[1]", 4),
        ("0.5*σ(W₁*x)", 3),
    ],
)
def test_what_is_counted(text: str, names: int) -> None:
    assert length(text) == names


def test_forms_are_as_short_as_published() -> None:
    longer = [
        f"{COVERED[k]['id']}: {pair[0]} published, {pair[1]} ours: {asked(k).matrix}"
        for k in PAIRS
        if (pair := compared(COVERED[k], asked(k).matrix)) and is_longer(pair)
    ]
    matched = 100 * (1 - len(longer) / len(PAIRS))
    assert matched >= FLOOR, "\n".join(longer)


def main() -> None:
    """Print the table and what is longer."""
    rows, longer = [], []
    for number, case in enumerate(COVERED):
        derivative, values = asked(number), draw(case)
        pair = compared(case, derivative.matrix)
        rows.append((case["category"], close(derivative(values), answer(case, values), case), pair))
        if pair and is_longer(pair):
            longer.append((case, pair, derivative.matrix))
    print(table(rows))
    for case, (published, ours), form in longer:
        print(f"\n{case['id']}  {case['text']}  by {', '.join(case['wrt'])}")
        print(f"  published {published:>3}  {case['answer']}")
        print(f"  ours      {ours or '-':>3}  {form}")


if __name__ == "__main__":
    main()
