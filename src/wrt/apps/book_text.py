"""The book of functions for a person: one record in full, or all words with a line each."""

from __future__ import annotations

from collections.abc import Mapping

from wrt.apps.page import Page
from wrt.expression.function import DOMAINS, Function
from wrt.functions import (
    BOOK,
    activations,
    conjugates,
    elementwise,
    find,
    linalg,
    matrix_functions,
    patterns,
    reductions,
    spectral,
)
from wrt.functions.matrix_functions import ABOUT
from wrt.language.words import BOUNDED

__all__ = ["GRAMMAR", "write_book", "write_record"]

_ROOMS = (
    ("entry by entry", elementwise),
    ("complex numbers", conjugates),
    ("activations", activations),
    ("many entries to one", reductions),
    ("linear algebra", linalg),
    ("eigenvalues, singular values, factors", spectral),
    ("functions of a matrix", matrix_functions),
    ("made from sizes", patterns),
)


#: What is no function and stands in formulas: what it is, and how it is written.
GRAMMAR: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "*": ("The product of numbers, matrices and vectors.", ("A*x", "2*X*Y")),
    ".*": ("The product entry by entry.", ("x.*y", "A.*B")),
    "/": ("The quotient by a number.", ("x/n", "x/norm2(x)")),
    "./": ("The quotient entry by entry.", ("x./y", "1./x")),
    "\\": ("The solution of a linear system: A \\ b solves A*x = b.", ("A \\ b",)),
    "^": ("The power of a number or of a square matrix.", ("x^2", "X^3", "X^-1")),
    ".^": ("The power of every entry.", ("x.^2", "A.^-1")),
    "'": ("The transpose; of a vector, the row.", ("A'", "x'*y")),
    "^H": ("The conjugate transpose.", ("A^H", "x^H*y")),
    "⊗": ("The Kronecker product, also kron(A, B).", ("A ⊗ B",)),
    "+": ("The sum; a number is added to every entry.", ("A + B", "x + 1")),
    "-": ("The difference; a number is taken from every entry.", ("A - B", "1 - x", "-x")),
    "einsum": (
        "A product over indices, as NumPy writes it.",
        ('einsum("ij,jk->ik", A, B)', 'einsum("ii->i", A)'),
    ),
    "where": ("Names for what stands in a formula, behind it.", ("x'*P*x where P = A*B",)),
    "delta": (
        "In index form, 1 where two indices are equal and 0 elsewhere; also δ.",
        ("D[i,a,b] = δ[i,a]*x[b]",),
    ),
    "I": ("The identity matrix, as large as its place wants; eye(n) says its size.", ("A + I",)),
    "pi": ("The number π.", ("2*pi*x",)),
}
#: Other spellings of these.
_SPELLED = {"@": "*", "δ": "delta", "π": "pi", "ᵀ": "'"}


def write_record(word: str, page: Page) -> None:
    """Everything about one word. Raises NameMistake for a word that nobody knows.

    >>> page = Page()
    >>> write_record("inv", page)
    >>> print(page)
    inv              The inverse of a square matrix.
      written        inv(X: n n) -> Y: n n
      rule           dY = -Y*dX*Y
      laws           inv(inv(X)) = X
                     ...
      valid where    X is invertible
      ...
    """
    if _SPELLED.get(word, word) in GRAMMAR:
        doc, written = GRAMMAR[_SPELLED.get(word, word)]
        page.head(word, doc)
        page.row("written", "\n".join(written))
        return
    record = ABOUT if word == "frechet" else find(word)
    page.head(word, record.doc)
    if word != record.name:
        page.row("also", f"{record.name}, of which {word} is another spelling")
    elif record.aliases:
        page.row("also", ", ".join(record.aliases))
    page.block("written", [form.text for form in record.forms])
    _rules(record, page)
    if record.laws:
        page.row("laws", "\n".join(record.laws))
    if DOMAINS[record.domain]:
        page.row("valid where", _domain(record))
    if record.values:
        page.row("values", f"in {record.values}")
    if record.curve:
        page.row("curve", record.curve)
    if record.keeps:
        page.row("keeps", ", ".join(record.keeps.split()))
    if record.axis:
        page.row("axes", _axis(record))
    if word in BOUNDED:
        page.row("range", f"{word}(k, 1, n, x^k) over the whole numbers from 1 to n")
    if record.latex:
        page.row("LaTeX", record.latex)
    if record.code("numpy"):
        page.block("in NumPy", _code(record.code("numpy")))
    if record.examples:
        page.row("examples", "\n".join(record.examples))
    if record.note:
        page.row("note", record.note)


def _rules(record: Function, page: Page) -> None:
    if record.definition:
        page.row("means", record.definition)
    if record.einsum:
        page.row("product", "\n".join(record.products))
    for result, rule in zip(record.forms[0].results, record.rules, strict=False):
        if rule:
            page.row("rule", f"d{result.name} = {rule}")


def _domain(record: Function) -> str:
    names = [argument.name for argument in record.forms[0].arguments]
    return DOMAINS[record.domain].format(x=names[0], y=names[-1])


def _axis(record: Function) -> str:
    name = record.name
    if record.axis == "reduce":
        return f"{name}(X,1) down the columns, {name}(X,2) along the rows"
    return f"{name}(X,1) of each column, {name}(X,2) of each row"


def _code(text: str) -> list[str]:
    if text.startswith("def "):
        return text.splitlines()
    return [text if text.startswith("scipy.") else f"np.{text}"]


def write_book(page: Page) -> None:
    """All words of the book, by what they are for.

    >>> page = Page()
    >>> write_book(page)
    >>> print(page)
    entry by entry
      ...
      tanh           The hyperbolic tangent.
    ...
    """
    for name, room in _ROOMS:
        page.lines += [""] * bool(page.lines)
        page.lines.append(page.styled("head", name))
        for record in room.RECORDS:
            page.row(record.name, record.doc)
        if room is matrix_functions:
            page.row(ABOUT.name, ABOUT.doc)
    page.lines += ["", page.styled("head", "signs and other words")]
    for word, (doc, _) in GRAMMAR.items():
        page.row(word, doc)
    others = {w: r.name for w, r in BOOK.items() if w != r.name}
    page.lines += ["", page.styled("head", "other spellings")]
    for word in sorted(others):
        page.row(word, others[word])
