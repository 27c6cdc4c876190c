"""Formula to the shortest sentence: matrix, index, einsum and Kronecker form, as text and as LaTeX.

What is printed is input: the language room reads every text back to the same numbers. Reading
order: `tree` (the sentence as a small tree), `text`, `latex_names` and `latex_text` (printing it),
`signs`, `sums` (the factoring move), `elimination` (a product over indices becomes matrices),
`sentence` (whole formulas), `differential`, `indexed` and `splits`, `einsums` and `latex_products`,
`kronecker`, `typeset`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from wrt.algebra.reshaping import axis_groups
from wrt.expression.nodes import Einsum, Node, Reshape
from wrt.expression.on_use import on_use
from wrt.notation.indexed import IndexSpeaker, axis_letters
from wrt.notation.joining import unfolded
from wrt.notation.kronecker import kronecker_tree
from wrt.notation.phrases import flip
from wrt.notation.sentence import Definition, Speaker, with_where
from wrt.notation.tree import Tree
from wrt.notation.typeset import typeset

if TYPE_CHECKING:
    from wrt.notation.latex_text import Style

__all__ = [
    "Style",
    "einsum",
    "index",
    "kronecker",
    "latex",
    "latex_einsum",
    "latex_index",
    "latex_kronecker",
    "matrix",
    "typeset",
]

__getattr__ = on_use(__name__, {"Style": "latex_text"})


def matrix(
    node: Node, *, names: Sequence[str] = (), row: bool = False, where: bool = False
) -> str | None:
    """The matrix sentence of a formula of up to two axes; None where matrix notation cannot say it.

    `names` is the order in which a person met the names; with `row`, a vector is said as a row;
    with `where`, what is long and returns has a name.

    >>> from wrt.expression import build
    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> n, m = Dimension.of("n"), Dimension.of("m")
    >>> A, x, b = Variable("A", (n, m)), Variable("x", (m,)), Variable("b", (n,))
    >>> matrix(2 * A.T @ (A @ x - b))
    "2*A'*(A*x-b)"
    >>> matrix(build.einsum("i,j->ij", b, x))
    "b*x'"
    """
    said = _in_matrices(node, names, row, where)
    return None if said is None else with_where(said.tree, said.definitions)


def index(
    node: Node,
    left: str = "D",
    *,
    split: int | Sequence[int] | None = None,
    letters: Sequence[str] | None = None,
    names: Sequence[str] = (),
    where: bool = False,
) -> str | None:
    """The index form: letters i, j, … for axes of f, a, b, … for those of x, p, q, … of a second x.

    `split` says how many axes are f's, or how many are f's, the first x's and so on. None where a
    part has neither a phrase nor entries that the language can say.

    >>> from wrt.expression import build
    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> n, m = Dimension.of("n"), Dimension.of("m")
    >>> eye, x = build.identity(n), Variable("x", (m,))
    >>> index(build.einsum("ia,b->iab", eye, x), split=1)
    'D[i,a,b] = δ[i,a]*x[b]'
    """
    said = _in_entries(node, split, letters, names, where)
    if said is None:
        return None
    left = _free_name(left, said.speaker)
    head = f"{left}[{said.letters}]" if node.ndim else left
    return with_where(said.tree, said.definitions, f"{head} = ")


def einsum(node: Node, *, names: Sequence[str] = ()) -> str | None:
    """The formula as einsum over its factors; None where a factor has no phrase.

    >>> from wrt.expression import build
    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> n, m = Dimension.of("n"), Dimension.of("m")
    >>> A, B = Variable("A", (n, m)), Variable("B", (m, n))
    >>> einsum(build.einsum("ik,lj->ijkl", A, B))
    'einsum("ik,lj->ijkl", A, B)'
    """
    said = _in_einsums(node, names)
    return None if said is None else with_where(said.tree, said.definitions)


def kronecker(
    node: Node, split: int, order: str = "rows", *, names: Sequence[str] = ()
) -> str | None:
    """The matrix that takes vec(dX) to vec(df), by "rows" or by "columns", as ⊗ of small matrices.

    `split` says how many axes are f's. None where nothing of this form fits.

    >>> from wrt.expression import build
    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> A, B = (Variable(w, map(Dimension.of, d)) for w, d in (("A", "nm"), ("B", "pq")))
    >>> D = build.einsum("ik,lj->ijkl", A, B)
    >>> kronecker(D, 2, "rows"), kronecker(D, 2, "columns")
    ("A ⊗ B'", "B' ⊗ A")
    """
    said = _in_kroneckers(node, split, order, names)
    return None if said is None else with_where(said.tree, said.definitions)


def latex(
    node: Node,
    *,
    names: Sequence[str] = (),
    row: bool = False,
    where: bool = False,
    style: Style | None = None,
) -> str | None:
    """The matrix sentence as LaTeX; None where matrix notation cannot say the formula.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> A, x = Variable("A", map(Dimension.of, "nm")), Variable("x", [Dimension.of("m")])
    >>> print(latex(2 * A.T @ (A @ x)))
    2 A^\\top A x
    >>> from wrt.notation import Style
    >>> print(latex(2 * A.T @ (A @ x), style=Style(bold=True)))
    2 \\mathbf{A}^\\top \\mathbf{A} \\mathbf{x}
    """
    from wrt.notation.latex_text import latex_of

    said = _in_matrices(node, names, row, where)
    return None if said is None else latex_of(said.tree, said.definitions, style)


def latex_index(
    node: Node,
    left: str = "D",
    *,
    split: int | Sequence[int] | None = None,
    names: Sequence[str] = (),
    where: bool = False,
    style: Style | None = None,
) -> str | None:
    """The index form as LaTeX, indices as subscripts.

    >>> from wrt.expression import build
    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> n, m = Dimension.of("n"), Dimension.of("m")
    >>> eye, x = build.identity(n), Variable("x", (m,))
    >>> print(latex_index(build.einsum("ia,b->iab", eye, x), split=1))
    D_{iab} = \\delta_{ia} x_{b}
    """
    from wrt.notation.latex_text import index_latex

    said = _in_entries(node, split, None, names, where)
    if said is None:
        return None
    left = _free_name(left, said.speaker)
    return index_latex(left, said.letters, said.tree, said.definitions, style)


def latex_einsum(
    node: Node, left: str = "D", *, names: Sequence[str] = (), style: Style | None = None
) -> str | None:
    """The formula as products of entries behind the signs of their sums, as LaTeX.

    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> n, m = Dimension.of("n"), Dimension.of("m")
    >>> A, B = Variable("A", (n, m)), Variable("B", (m, n))
    >>> print(latex_einsum(A @ B))
    D_{ij} = \\sum_{k} A_{ik} B_{kj}
    """
    from wrt.notation.latex_products import einsum_latex

    said = _in_einsums(node, names)
    if said is None:
        return None
    return einsum_latex(_free_name(left, said.speaker), said.tree, said.definitions, style)


def latex_kronecker(
    node: Node,
    split: int,
    order: str = "rows",
    *,
    names: Sequence[str] = (),
    style: Style | None = None,
) -> str | None:
    """The Kronecker form as LaTeX; None where nothing of this form fits.

    >>> from wrt.expression import build
    >>> from wrt.expression.dimensions import Dimension
    >>> from wrt.expression.nodes import Variable
    >>> A, B = (Variable(w, map(Dimension.of, d)) for w, d in (("A", "nm"), ("B", "pq")))
    >>> print(latex_kronecker(build.einsum("ik,lj->ijkl", A, B), 2))
    A \\otimes B^\\top
    """
    from wrt.notation.latex_text import latex_of

    said = _in_kroneckers(node, split, order, names)
    return None if said is None else latex_of(said.tree, said.definitions, style)


# What both text and LaTeX are written from


class _Said(NamedTuple):
    """A phrase, the speaker that knows its definitions, and the letters of its axes, those of
    joined ones in brackets.
    """

    tree: Tree
    speaker: Speaker
    letters: str = ""

    @property
    def definitions(self) -> Mapping[str, Definition]:
        return self.speaker.definitions


def _in_matrices(node: Node, names: Sequence[str], row: bool, where: bool) -> _Said | None:
    if node.ndim > 2:
        return None
    speaker = Speaker(node, names, where)
    tree = speaker.speak()
    if tree is None:
        return None
    return _Said(flip(tree) if row and node.ndim == 1 else tree, speaker)


def _in_einsums(node: Node, names: Sequence[str]) -> _Said | None:
    from wrt.notation.einsums import einsum_text

    speaker = IndexSpeaker(node, names)
    speaker.walk()
    tree = einsum_text(node, speaker)
    return None if tree is None else _Said(tree, speaker)


def _in_kroneckers(node: Node, split: int, order: str, names: Sequence[str]) -> _Said | None:
    speaker = Speaker(node, names)
    speaker.walk()
    tree = kronecker_tree(node, split, order, speaker)
    return None if tree is None else _Said(tree, speaker)


def _in_entries(
    node: Node,
    split: int | Sequence[int] | None,
    letters: Sequence[str] | None,
    names: Sequence[str],
    where: bool,
) -> _Said | None:
    groups = _groups(node, split)
    if isinstance(node, Einsum):
        node = unfolded(node)
    joined = _joined_axes(node)
    if joined is not None:
        assert isinstance(node, Reshape)
        counts = iter(joined)
        groups = [sum(next(counts) for _ in range(group)) for group in groups]
        node = node.body
    speaker = IndexSpeaker(node, names, where)
    speaker.letters = letters or axis_letters(groups, frozenset(speaker.taken))
    tree = speaker.written()
    return None if tree is None else _Said(tree, speaker, _said_axes(speaker.letters, joined))


def _free_name(left: str, speaker: Speaker) -> str:
    while left in speaker.taken:
        left += "1"
    return left


def _joined_axes(node: Node) -> list[int] | None:
    """How many axes of the tensor inside make up each axis of a reshape that only joins axes."""
    if not isinstance(node, Reshape):
        return None
    groups = axis_groups(node.body.dims, node.dims)
    if groups is None or any(len(new) != 1 for _, new in groups):
        return None
    return [len(old) for old, _ in groups]


def _said_axes(letters: Sequence[str], joined: Sequence[int] | None) -> str:
    rest = iter(letters)
    parts = [[next(rest) for _ in range(count)] for count in joined or [1] * len(letters)]
    return ",".join(p[0] if len(p) == 1 else f"({','.join(p)})" for p in parts)


def _groups(node: Node, split: int | Sequence[int] | None) -> list[int]:
    if split is None:
        return [node.ndim]
    groups = [split] if isinstance(split, int) else list(split)
    return [*groups, node.ndim - sum(groups)] if sum(groups) < node.ndim else groups
