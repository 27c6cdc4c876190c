"""The index form: `D[i,a,b] = δ[i,a]*x[b]`.

Summed indices are removed by matrix products where that can be, so `(A'*A)[i,j]`; what has no
phrase in matrix notation is named with its indices in a `where`.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import count

from wrt.expression.coefficient import ONE, ZERO, Coefficient
from wrt.expression.dataclass import dataclass, field, replace
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import BoundedSum, Einsum, Exponent, Node, Pattern, Sum
from wrt.notation.conjugates import conjugated
from wrt.notation.directions import said_axes
from wrt.notation.elimination import Network, network
from wrt.notation.phrases import chain_of, flip, is_ones, ones, power, scalars_of, times
from wrt.notation.sentence import Speaker, finished, shape_of
from wrt.notation.signs import difference, settled
from wrt.notation.splits import sized_letters, tells_sizes
from wrt.notation.sums import collected, listed, total
from wrt.notation.tree import LETTER, LETTERS, SCALAR, Tree, cheaper, name

__all__ = ["IndexSpeaker", "axis_letters", "free_letters"]

#: The letters of the axes of f, of x, of the second x, and so on; and those of sums.
GROUPS = ("ijkl", "abcd", "pqrs", "uvw")
SUMMED = "klmnopqrstuvwxyzabcdefghij"

#: Entries of more characters than this get a name where they are factors.
LONGEST_INSIDE = 200

Letters = Sequence[str]
#: What is said by its entries where matrix notation cannot say it.
_OPEN = (Einsum, Sum, BoundedSum)


def axis_letters(groups: Sequence[int], taken: frozenset[str]) -> list[str]:
    """A letter for each axis, none that is a name: i, j, … for f, a, b, … for x, p, q, … after."""
    letters: list[str] = []
    for k, size in enumerate(groups):
        wanted = free_letters(GROUPS[min(k, len(GROUPS) - 1)], taken.union(letters))
        letters += [next(wanted) for _ in range(size)]
    return letters


def free_letters(first: str, taken: frozenset[str] | set[str]) -> Iterator[str]:
    """Letters that are no names, some first."""
    later = [c for c in LETTERS if c not in first]
    yield from (c for c in (*first, *later) if c not in taken)
    yield from (w for w in (f"i{k}" for k in count(1)) if w not in taken)


@dataclass
class IndexSpeaker(Speaker):
    """Phrases for all parts; those without one in matrix notation are said by their entries."""

    letters: Letters = ()
    bodies: dict[Node, Tree] = field(default_factory=dict)
    #: the size of every mark, and the lines in letters with the sizes of theirs
    sizes: dict[str, Dimension] = field(default_factory=dict)
    lines: list[tuple[Tree, dict[str, Dimension]]] = field(default_factory=list)

    def phrase(self, node: Node) -> Tree | None:
        """The phrase of one node; where only its entries can be said, those are kept."""
        tree = super().phrase(node)
        if tree is not None or isinstance(node, Pattern):
            return tree
        for child in node.children if not isinstance(node, _OPEN) else ():
            self._close(child)
        tree = super().phrase(node)
        if tree is None and node is not self.root and isinstance(node, _OPEN):
            letters = [f"@{len(self.bodies)}.{k}" for k in range(node.ndim)]
            self.sizes.update(zip(letters, node.dims, strict=True))
            body = self.entries(node, letters)
            if body is not None:
                self.bodies[node] = _tensor(body, letters)
        return tree

    def written(self) -> Tree | None:
        """The entry of the whole formula at the letters of its axes."""
        self.walk()
        whole = self.trees.get(self.root)
        if whole is not None and not self.root.ndim:
            return self.shortened(finished(whole))
        if whole is not None and not whole.is_cut and self.root.ndim < 3:
            said = entries_of(finished(whole), self.letters)
        else:
            made = self.entries(self.root, self.letters)
            if made is None:
                return None
            said = made
        self.lines.append((said, dict(zip(self.letters, self.root.dims, strict=True))))
        if not self._tells_sizes():
            return None
        taken = frozenset(self.taken) | set(self.letters)
        return self.shortened(settled(lettered(joined(said), taken)))

    def _tells_sizes(self) -> bool:
        """Whether a reader can tell how long every letter is."""
        whole = [line for line, _ in self.lines] + [d.body for d in self.definitions.values()]
        return all(tells_sizes(line, whole, self.sizes | of) for line, of in self.lines)

    def entries(self, node: Node, letters: Letters) -> Tree | None:
        """The entry of a node at letters: sums of products of entries, common ones taken out."""
        terms = node.children if isinstance(node, Sum) else (node,)
        made = [self.entry(term, letters) for term in terms]
        kept = [t for t in made if t is not None]
        return settled(collected(kept)) if len(kept) == len(made) else None

    def entry(self, node: Node, letters: Letters) -> Tree | None:
        """The entry of one term."""
        if isinstance(node, BoundedSum) and self.trees.get(node) is None:
            body = self.bodies.get(node.body)
            inside = self.entries(node.body, letters) if body is None else entry_of(body, letters)
            return None if inside is None else self.ranged(node, inside)
        if not isinstance(node, (Einsum, Pattern)):
            tree = self.trees.get(node) or self.bodies.get(node)
            return None if tree is None else entry_of(tree, said_axes(node, letters))
        axes = tuple(range(node.ndim))
        if isinstance(node, Pattern):
            node = Einsum(ONE, ((node, 1, axes),), axes, node.dims)
        parts = self._inside(node)
        net = None if parts is None else network(node, parts)
        if net is None:
            return None
        net.cuts = False
        net.eliminate()
        return _entries(net, letters, self._mark)

    def _mark(self, dim: Dimension) -> str:
        """A letter of its own for a summed index; its name is found when all is said."""
        mark = f"#{len(self.sizes) + 1}"
        self.sizes[mark] = dim
        return mark

    def _inside(self, node: Einsum) -> Mapping[Node, Tree | None] | None:
        """The phrases of the factors; entries stand where they are, or under a name. None where
        they need a name and hold the variable of a range, which a name outside would not know.
        """
        unsaid = [c for c in node.children if c in self.bodies and self.trees.get(c) is None]
        if not unsaid:
            return self.trees
        pinned = any(isinstance(c, Pattern) for c in node.children)
        for child, exponent, indices in node.factors:
            power_of_diagonal = exponent != 1 and len(set(indices)) < len(indices)
            named = pinned or power_of_diagonal
            if child in self.bodies and (named or not self._fits(child, exponent)):
                self._close(child)
                unnamed = self.trees.get(child) is None
                if unnamed and (named or "#" in _inner(self.bodies[child]).text):
                    return None
        inside: dict[Node, Tree | None] = {
            c: self.bodies[c] for c in unsaid if self.trees.get(c) is None
        }
        return ChainMap(inside, self.trees) if inside else self.trees

    def _fits(self, node: Node, exponent: Exponent) -> bool:
        """Whether the entries of a factor may stand where it is: said once, summed once."""
        body = self.bodies[node]
        short = self.count[node] == 1 and len(_inner(body).text) <= LONGEST_INSIDE
        return short and (exponent == 1 or "#" not in _inner(body).text)

    def _close(self, node: Node) -> None:
        """Give the entries of a node a name; not where they change with the variable of a range."""
        if node not in self.bodies or self.trees.get(node) is not None:
            return
        if not self.bound.isdisjoint(node.names):
            return
        letters = axis_letters([node.ndim], frozenset(self.taken))
        said = entry_of(self.bodies[node], letters)
        sizes = dict(zip(letters, node.dims, strict=True))
        self.lines.append((said, sizes))
        body = settled(lettered(joined(said), {*self.taken, *letters}))
        known = sized_letters(said)
        untold = [_entry_of_ones(k, dim) for k, dim in sizes.items() if k not in known]
        if untold and body.coefficient is ZERO:
            return
        word, shape, axes = self.fresh("t"), shape_of(node.dims), max(node.ndim, 2)
        body = times(ONE, [body, *untold]) if untold else body
        self.trees[node] = self.define(word, body, shape, ",".join(letters), axes)


def _entry_of_ones(letter: str, dim: Dimension) -> Tree:
    """1 at every place of an axis: nothing but its length."""
    return Tree("index", letter, (ones((dim, None)),))


def _inner(body: Tree) -> Tree:
    return body.parts[0] if body.head == "entries" else body


def _tensor(body: Tree, letters: Letters) -> Tree:
    """A tensor said by its entry at letters; a scalar is that entry."""
    if not letters:
        return body
    return Tree("entries", ",".join(letters), (body,), axes=max(len(letters), 3))


def _entries(net: Network, letters: Letters, mark: Callable[[Dimension], str]) -> Tree:
    """What is left of a product, each factor entered at its letters."""
    said: dict[int, str] = {}
    deltas: list[Tree] = []
    for i, letter in zip(net.output, letters, strict=True):
        if i in said:
            deltas.append(_delta(said[i], letter))
        else:
            said[i] = letter
    items = net.items()
    whole = {i for _, indices in items for i in indices}
    carried = {p for i in whole for p in net.joints.get(i, (i,))}
    for i in sorted(carried - set(said)):
        said[i] = mark(net.dims[i])
    for c, pieces in net.joints.items():
        said[c] = f"({','.join(said[p] for p in pieces)})"
    repeated = [
        i for i in dict.fromkeys(net.output) if i not in carried and net.output.count(i) == 1
    ]
    # an index that stands once is summed by ones
    places = [p for _, indices in items for i in indices for p in net.joints.get(i, (i,))]
    repeated += [i for i in sorted(carried - {*net.output}) if places.count(i) == 1]
    parts = [_at(name("ones", SCALAR, 10**6), [said[i]]) for i in repeated]
    parts += [entry_of(tree, [said[i] for i in indices]) for tree, indices in items]
    return times(net.coefficient, [*net.scalars, *deltas, *parts])


def _delta(first: str, second: str) -> Tree:
    return _at(name("δ", SCALAR, -1), [first, second])


def _at(tree: Tree, letters: Letters) -> Tree:
    return Tree("index", ",".join(letters), (tree,))


def entries_of(tree: Tree, letters: Letters) -> Tree:
    """The entry of a whole answer: its outermost sum term by term."""
    if tree.head == "sum":
        return collected([entry_of(t, letters) for t in tree.parts])
    return entry_of(tree, letters)


def entry_of(tree: Tree, letters: Letters) -> Tree:
    """The entry of a phrase at letters, as a scalar.

    >>> from wrt.notation.phrases import wrapped
    >>> from wrt.notation.tree import name
    >>> from wrt.expression.dimensions import Dimension
    >>> A = name("A", (Dimension.of("n"), Dimension.of("m")))
    >>> entry_of(wrapped(A), ["i", "j"]).text
    'A[j,i]'
    """
    if not letters:
        return tree
    if tree.head == "conj":
        return conjugated(entry_of(tree.parts[0], letters))
    if tree.head == "product":
        entered = _chain_entries(chain_of(tree), letters)
        return times(tree.coefficient, [*scalars_of(tree), *entered])
    return _entry(tree, letters)


def _chain_entries(chain: Sequence[Tree], letters: Letters) -> list[Tree]:
    """The entry of a product: columns beside rows and diagonal matrices at its ends apart."""
    if not chain:
        return []
    if len(chain) == 1:
        return [_entry(chain[0], letters)]
    cut = next((k for k, t in enumerate(chain[:-1]) if t.shape[1] is None), None)
    if cut is not None and len(letters) == 2:
        left, right = times(ONE, chain[: cut + 1]), times(ONE, chain[cut + 1 :])
        return [entry_of(left, letters[:1]), entry_of(flip(right), letters[1:])]
    if _is_diagonal(chain[0]):
        return [entry_of(chain[0].parts[0], letters[:1]), *_chain_entries(chain[1:], letters)]
    if _is_diagonal(chain[-1]):
        return [*_chain_entries(chain[:-1], letters), entry_of(chain[-1].parts[0], letters[1:])]
    return [_entry(times(ONE, chain), letters)]


def _is_diagonal(tree: Tree) -> bool:
    return tree.word == "diag" and None not in tree.shape


def _entry(tree: Tree, letters: Letters) -> Tree:
    if tree.head == "product":
        return _bare_entry(tree, letters)
    if tree.head == "entries":
        return reletter(tree.parts[0], dict(zip(tree.word.split(","), letters, strict=True)))
    if tree.head == "transpose":
        return entry_of(tree.parts[0], letters[::-1])
    if tree.head == "unvec":
        pair = letters[::-1] if tree.flips else letters
        return entry_of(tree.parts[1], [f"({','.join(pair)})"])
    if tree.head == "raised" and len(set(letters)) == len(letters):  # X[k,k]^2 is (Σ X[k,k])^2
        return power(entry_of(tree.parts[0], letters), tree.exponent)
    if tree.head == "entry":
        return times(ONE, [entry_of(p, letters) for p in tree.parts])
    if tree.word == "eye":
        return _delta(*letters)
    if tree.word == "unit" and tree.parts[1].word.isdigit():
        return _delta(letters[0], tree.parts[1].word)
    if is_ones(tree):
        ones = (_at(name("ones", SCALAR, 10**6), [letter]) for letter in letters)
        return times(ONE, list(ones))
    if tree.word == "diag" and len(letters) == 1:
        return entry_of(tree.parts[0], [*letters, *letters])
    if tree.word == "diag":
        return times(ONE, [_delta(*letters), entry_of(tree.parts[0], letters[:1])])
    if tree.word == "zeros":
        return times(Coefficient.of(0), [])
    if tree.head == "sum" and any(_opens(t, letters) for t in tree.parts):
        return collected([entry_of(t, letters) for t in tree.parts])
    return _bare_entry(tree, letters)


def _opens(term: Tree, letters: Letters) -> bool:
    """Whether the entry of a phrase is a product of entries, or a δ."""
    chain = chain_of(term)
    if not chain or len(letters) == 1:
        return any(t.word == "unit" or flip(t).word == "unit" for t in chain)
    if len(chain) > 1:
        ends = (chain[0], chain[-1])
        return any(t.shape[1] is None for t in chain[:-1]) or any(map(_is_diagonal, ends))
    return chain[0].word == "eye" or _is_diagonal(chain[0])


def _bare_entry(tree: Tree, letters: Letters) -> Tree:
    ahead = _at(tree, letters)
    if len(letters) == 2 and tree.axes == 2:
        back = flip(tree)
        if back.head == "product":
            core = _at(times(ONE, chain_of(back)), letters[::-1])
            turned = times(back.coefficient, [*scalars_of(back), core])
        else:
            turned = _at(back, letters[::-1])
        return cheaper(ahead, turned) if back.head != "transpose" else ahead
    return ahead


# Sums of entries


def joined(tree: Tree) -> Tree:
    """A phrase where sums of entries at the same letters are entries of sums: (A*x-b)[i]."""
    if not tree.is_lettered or tree.head == "index":
        return tree
    parts = [joined(p) for p in tree.parts]
    if tree.head == "product":
        return times(tree.coefficient, parts)
    if tree.head == "sum":
        return listed(_signed(t) for t in _joined_terms(_unrepeated(parts)))
    return replace(tree, parts=tuple(parts))


def _signed(term: Tree) -> Tree:
    """A term with its minus in a difference; 1-x is not turned into x-1."""
    inside = (difference(p) for p in term.parts)
    plain = any(not t.order for d in inside if d is not None for t in d.parts)
    return term if plain else settled(term)


def _unrepeated(terms: Sequence[Tree]) -> list[Tree]:
    """Terms without ones at letters that another term has: a sum repeats what lacks them."""
    carried = [_carried(t) for t in terms]
    kept = []
    for k, term in enumerate(terms):
        others = set().union(*(c for j, c in enumerate(carried) if j != k))
        parts = [p for p in scalars_of(term) if not (_repeats(p) and p.word in others)]
        kept.append(times(_coefficient(term), [*parts, *chain_of(term)]))
    return kept


def _repeats(part: Tree) -> bool:
    return part.head == "index" and part.parts[0].word == "ones" and part.word[0] != "#"


def _carried(tree: Tree) -> set[str]:
    """The letters of the entries in a phrase, those of ones left out."""
    found: set[str] = set()
    stack = [tree]
    while stack:
        part = stack.pop()
        if part.letters is not None and not _repeats(part):
            found.update(part.letters)
        if part.is_lettered:
            stack.extend(part.parts)
    return found


def _joined_terms(terms: Sequence[Tree]) -> list[Tree]:
    alike: dict[frozenset[str], list[Tree]] = {}
    for term in terms:
        place = _place_of(term)
        if place is not None:
            alike.setdefault(frozenset(place.word.split(",")), []).append(term)
    gone: set[Tree] = set()
    made: list[Tree] = []
    for group in alike.values():
        places = [p for p in map(_place_of, group) if p is not None]
        if len(group) < 2 or all(p.parts[0].head == "name" for p in places):
            continue
        letters = places[0].word.split(",")
        inside = []
        for term, place in zip(group, places, strict=True):
            whole = place.parts[0]
            turned = place.word.split(",") != letters if len(letters) > 1 else _is_row(whole)
            whole = flip(whole) if turned else whole
            rest = [p for p in scalars_of(term) if p != place]
            inside.append(times(_coefficient(term), [*rest, whole]))
        made.append(entry_of(settled(total(inside)), letters))
        gone.update(group)
    return [*made, *(t for t in terms if t not in gone)]


def _is_row(tree: Tree) -> bool:
    return tree.shape[0] is None


def _coefficient(term: Tree) -> Coefficient:
    return term.coefficient if term.head == "product" else ONE


def _place_of(term: Tree) -> Tree | None:
    """The entry of a term that has just one, all else being without letters."""
    found = [p for p in scalars_of(term) if p.is_lettered]
    if len(found) != 1 or found[0].letters is None or found[0].parts[0].axes > 2:
        return None
    if chain_of(term):
        return None
    letters = found[0].letters
    plain = "(" not in found[0].word and not any(k.isdigit() for k in letters)
    special = found[0].parts[0].word in ("δ", "ones")
    return found[0] if plain and len(set(letters)) == len(letters) and not special else None


# Letters


def reletter(tree: Tree, letters: Mapping[str, str]) -> Tree:
    """A phrase with other letters at its entries."""
    if not tree.is_lettered:
        return tree
    if tree.head == "index":
        return replace(tree, word=LETTER.sub(lambda k: letters.get(k[0], k[0]), tree.word))
    parts = [reletter(p, letters) for p in tree.parts]
    if tree.head == "product":
        return times(tree.coefficient, parts)
    return replace(tree, parts=tuple(parts))


def lettered(tree: Tree, taken: AbstractSet[str]) -> Tree:
    """A phrase whose summed indices have letters, each its own and none that is taken."""
    marks: dict[str, str] = {}
    fresh = free_letters(SUMMED, set(taken))
    stack = [tree]
    while stack:
        part = stack.pop()
        if not part.is_lettered:
            continue
        if part.head == "index":
            for k in LETTER.findall(part.word):
                if k[0] == "#" and k not in marks:
                    marks[k] = next(fresh)
        stack.extend(reversed(part.parts))
    return reletter(tree, marks) if marks else tree
