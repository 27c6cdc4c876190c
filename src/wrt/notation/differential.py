"""The differential of an answer: `df = tr(G'*dX)`, with the change of x behind everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from wrt.expression import build
from wrt.expression.coefficient import ONE
from wrt.expression.dataclass import replace
from wrt.expression.nodes import Einsum, Node, Pattern, Sum, Variable
from wrt.functions import BOOK
from wrt.notation.indexed import IndexSpeaker, axis_letters
from wrt.notation.latex_text import Style, latex_of
from wrt.notation.phrases import chain_of, entrywise, flip, is_ones, scalars_of, times
from wrt.notation.sentence import Speaker, shape_of, with_where
from wrt.notation.signs import settled
from wrt.notation.sums import listed
from wrt.notation.text import spaced
from wrt.notation.tree import SCALAR, Tree, call, name

__all__ = ["Sentence", "entries", "gathered", "sentence", "written_as"]

_TRACE, _SUM = r"\operatorname{tr}(@0)", r"\operatorname{sum}(@0)"
#: Functions of one entry keep their argument's place: their sums are read entry by entry.
_ENTRY = ("entry", "raised")


def gathered(node: Node, change: Variable, speaker: Speaker) -> Tree | None:
    """A derivative times the change of x, as a phrase; None where it takes more than matrices.

    `node` has the axes of f and then those of x.
    """
    axes = node.ndim - change.ndim
    tree = speaker.speak() if node.ndim < 3 else None
    if tree is None:
        return None
    moved = name(change.name, shape_of(change.dims), 10**6)
    if not change.ndim:
        return times(ONE, [moved, tree]) if axes < 3 else None
    if axes == 1:
        return _by_vector(tree, moved)
    if change.ndim == 1:
        return _by_row(tree, moved)
    return _by_matrix(tree, moved)


def _by_vector(tree: Tree, moved: Tree) -> Tree:
    """A matrix times the change of a vector; a diagonal one entry by entry."""
    chain = chain_of(tree)
    if len(chain) != 1 or chain[0].word not in ("eye", "diag"):
        return times(ONE, [tree, moved])
    if chain[0].word == "diag":
        moved = entrywise([chain[0].parts[0], moved])
    return times(tree.coefficient if tree.head == "product" else ONE, [*scalars_of(tree), moved])


def _by_row(tree: Tree, moved: Tree) -> Tree:
    """The inner product of a vector with the change of one, which stands last."""
    coefficient = tree.coefficient if tree.head == "product" else ONE
    if not coefficient.value:
        return times(coefficient, [])
    chain = chain_of(flip(times(ONE, chain_of(tree))))
    core = Tree("dot", "", (*chain, moved))
    if is_ones(chain_of(tree)[0]):
        core = call("sum", [moved], latex=_SUM)
    return times(coefficient, [*scalars_of(tree), core])


def _by_matrix(tree: Tree, moved: Tree) -> Tree:
    """The inner product of a matrix with the change of one, as a trace or a sum."""
    coefficient = tree.coefficient if tree.head == "product" else ONE
    if not coefficient.value:
        return tree
    chain = chain_of(tree)
    if len(chain) == 1 and is_ones(chain[0]):
        core = call("sum", [moved], latex=_SUM)
    elif len(chain) == 1 and chain[0].word == "eye":
        core = call("tr", [moved], latex=_TRACE)
    elif len(chain) == 1 and _is_entrywise(chain[0]):
        core = call("sum", [entrywise([chain[0], moved])], latex=_SUM)
    else:
        core = call("tr", [settled(times(ONE, [flip(times(ONE, chain)), moved]))], latex=_TRACE)
    return times(coefficient, [*scalars_of(tree), core])


def _is_entrywise(tree: Tree) -> bool:
    """Whether a phrase is said entry by entry, as in exp(X) or A.*B."""
    word = BOOK.get({"max": "maximum", "min": "minimum"}.get(tree.word, tree.word))
    return tree.head in _ENTRY or (tree.head == "call" and word is not None and word.entrywise)


def entries(
    node: Node,
    axes: int,
    change: Variable,
    left: str,
    names: Sequence[str] = (),
    style: Style | None = None,
) -> tuple[str, str, str] | None:
    """A derivative times the change of x, entry by entry: left side, text, LaTeX of the right side.

    The letters of x stand where the change has them; a letter that is not on the left is summed.

    >>> from wrt.expression import build
    >>> from wrt.expression.dimensions import Dimension
    >>> n, m = Dimension.of("n"), Dimension.of("m")
    >>> eye, x, dW = build.identity(n), Variable("x", (m,)), Variable("dW", (n, m))
    >>> entries(build.einsum("ia,b->iab", eye, x), 1, dW, "df")[:2]
    ('df[i]', 'dW[i,b]*x[b]')
    """
    terms = node.children if isinstance(node, Sum) else (node,)
    taken = {v.name for v in node.names} | set(names)
    letters = axis_letters([axes, node.ndim - axes], frozenset(taken))
    made = [_entry(term, axes, change, letters, names) for term in terms]
    trees = [tree for tree in made if tree is not None]
    if len(trees) < len(made):
        return None
    tree = settled(listed(trees))
    left = f"{left}[{','.join(letters[:axes])}]"
    return left, spaced(tree), latex_of(tree, {}, style)


def _entry(
    term: Node, axes: int, change: Variable, letters: Sequence[str], names: Sequence[str]
) -> Tree | None:
    """One product of a derivative with the change of x, no index of either removed."""
    if not isinstance(term, (Einsum, Pattern)) and term.ndim > 2:
        return None
    if not isinstance(term, Einsum):
        whole = tuple(range(term.ndim))
        term = Einsum(ONE, ((term, 1, whole),), whole, term.dims)
    output = term.output
    kept = dict(zip(reversed(output), reversed(letters), strict=True))
    extra = [i for i in dict.fromkeys(output[axes:]) if i not in output[:axes]]
    shown = (*output[:axes], *extra)
    factors = (*term.factors, (change, 1, output[axes:]))
    made = build.product(term.coefficient, factors, shown, term.index_dims)
    speaker = IndexSpeaker(made, (*names, change.name))
    speaker.letters = [*letters[:axes], *(kept[i] for i in extra)]
    tree = speaker.written()
    if tree is None or speaker.definitions:
        return None
    held = {i for indices in term.indices for i in indices}
    alone = [i for i in extra if i not in held and output.count(i) == 1]
    ones = [Tree("index", kept[i], (name("ones", SCALAR, 10**6),)) for i in alone]
    return times(ONE, [tree, *ones])


class Sentence(NamedTuple):
    """A formula said in both ways, and what it costs to read."""

    text: str
    latex: str
    cost: tuple[int, int, int]


def sentence(
    node: Node,
    *,
    names: Sequence[str] = (),
    row: bool = False,
    change: Variable | None = None,
    written: Mapping[str, str] | None = None,
    style: Style | None = None,
) -> Sentence | None:
    """The matrix sentence as text and as LaTeX; None where matrix notation cannot say it.

    With `change`, the formula is a derivative and the sentence its product with the change of x.
    `written` says how names are written in LaTeX that are not written as names are.

    >>> from wrt.expression.dimensions import Dimension
    >>> n = Dimension.of("n")
    >>> A, x, dx = Variable("A", (n, n)), Variable("x", (n,)), Variable("dx", (n,))
    >>> sentence((A + A.T) @ x, change=dx, written={"dx": r"\\mathrm{d}x"})[:2]
    ("x'*(A+A')*dx", 'x^\\\\top (A + A^\\\\top) \\\\mathrm{d}x')
    """
    if node.ndim > 2 and change is None:
        return None
    speaker = Speaker(node, names)
    tree = speaker.speak() if change is None else gathered(node, change, speaker)
    if tree is None:
        return None
    tree = flip(tree) if row and tree.shape[1] is None else tree
    text = with_where(tree, speaker.definitions)
    if text is None:
        return None
    style = style or Style()
    style = replace(style, macros={**style.macros, **(written or {})})
    latex = latex_of(tree, speaker.definitions, style)
    return Sentence(text, latex, tree.cost)


def written_as(latex: str, written: Mapping[str, str]) -> str:
    """LaTeX with some names written in another way.

    >>> written_as(r"\\mathrm{dry} + 1", {"dry": r"\\mathrm{d}x"})
    '\\\\mathrm{d}x + 1'
    """
    for word, better in written.items():
        latex = latex.replace(latex_of(name(word, SCALAR), {}), better)
    return latex
