"""Equal by value: two formulas agree at random complex points where all sizes differ."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zlib import crc32

from wrt.errors import TooLarge
from wrt.expression.function import Function
from wrt.expression.nodes import Apply, Node, Variable
from wrt.expression.room import with_room
from wrt.expression.walk import dimension_names, postorder, variables, whole_variables

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = [
    "RANKED",
    "Sampling",
    "constrained_value",
    "declared_value",
    "equal",
    "even_names",
    "ratio",
    "sample_point",
    "sample_sizes",
    "seeds",
]

#: Relative agreement of two values that are equal, and of values worth nothing.
TOLERANCE = 1e-9
#: Domains of words of which a wide matrix has other identities than a tall one.
RANKED = frozenset({"constant rank", "full rank", "distinct values", "leading"})
#: Points that decide for smooth formulas, and where signs decide: each halves the chance of being
#: misled.
FEW, MANY = range(11, 13), range(11, 35)
#: Every sixth point, the second of each, is this much nearer to zero: where a sigmoid of a large
#: number is 1 to the last digit, far from there, formulas agree that are not equal.
NEAR = 0.3


def seeds(roots: Iterable[Node]) -> range:
    """The points at which formulas are compared: more of them where a sign can change what they
    are.

    >>> from wrt.functions import BOOK
    >>> x = Variable("x", ())
    >>> len(seeds((x,))), len(seeds((BOOK["abs"](x),)))
    (2, 24)
    """
    calls = (n.function for n in postorder(*roots) if isinstance(n, Apply))
    return MANY if any(map(_turns_with_a_sign, calls)) else FEW


def _turns_with_a_sign(function: Function) -> bool:
    said = f"{function.differential} {function.definition}"
    signs = any(word in said for word in ("sign(", "step(", "abs(", "hardmax("))
    return signs or function.rules[0] in ("0", "0*dx") or function.name == "logdet"


def sample_sizes(roots: Sequence[Node], start: int = 3) -> dict[str, int]:
    """A size for every dimension that occurs, all different, even where a matrix is skew."""
    names = dimension_names(*roots)
    even = even_names(*roots)
    if not even:
        return with_room({name: start + k for k, name in enumerate(names)}, *roots)
    free = iter(range(start, start + 2 * len(names) + 2))
    taken = {name: start + start % 2 + 2 * k for k, name in enumerate(sorted(even))}
    odd = (size for size in free if size not in taken.values())
    sizes = {name: taken[name] if name in taken else next(odd) for name in names}
    return with_room(sizes, *roots, even=even)


def even_names(*roots: Node) -> frozenset[str]:
    """The dimensions of skew matrices: of odd size these have no inverse."""
    skew = [v for v in variables(*roots) if "skew" in v.properties]
    return frozenset(str(v.dims[0]) for v in skew if v.dims[0].value is None)


def sample_point(
    roots: Sequence[Node], sizes: Mapping[str, int], seed: int, is_complex: bool = True
) -> dict[str, Any]:
    """Values for the free variables: generic, fixed by name and seed, with what they are
    declared to be.
    """
    return _point(variables(*roots), whole_variables(*roots), sizes, seed, is_complex)


def _point(
    free: Sequence[Variable],
    wholes: Collection[Variable],
    sizes: Mapping[str, int],
    seed: int,
    is_complex: bool,
) -> dict[str, Any]:
    import numpy as np

    values = {}
    for variable in free:
        shape = tuple([d.size(sizes) for d in variable.dims])
        value = _generic(variable.name, shape, seed, is_complex)
        value = value * NEAR if seed % 6 == 0 else value
        values[variable.name] = _declared(variable, value, seed)
    counts = [v for v in free if v in wholes]
    for k, v in enumerate(counts):  # where whole numbers are wanted, all different
        values[v.name] = np.full([1] * v.ndim, 2.0 + (k + seed) % (len(counts) + 1))
    return values


@lru_cache(maxsize=512)
def _generic(name: str, shape: tuple[int, ...], seed: int, is_complex: bool) -> Array:
    """A value by name and seed: sums of one formula are compared at the same points."""
    import numpy as np

    rng = np.random.default_rng([seed, crc32(name.encode())])
    value: Array = np.asarray(rng.normal(size=shape))
    if is_complex:
        value = np.asarray(value + 0.3j * rng.normal(size=shape))
    value.setflags(write=False)
    return value


def _declared(variable: Variable, value: Array, seed: int) -> Array:
    """A value with the properties of a variable; every other one is far from singular.

    The rest has no heavy diagonal, which would look symmetric to `max`.
    """
    import numpy as np

    if value.ndim == 2 and value.shape[0] == value.shape[1]:
        value = value + 2 * np.eye(len(value)) * (seed % 2)
    return declared_value(variable.properties, value, bool(seed % 2))


def declared_value(properties: frozenset[str], value: Array, turned: bool = False) -> Array:
    """A value near a generic one, real or complex, with all properties that are declared.

    Orthogonal is meant without conjugation: Q'*Q is the identity. `turned` changes the sign of
    its determinant.
    """
    import numpy as np

    if properties & {"positive", "simplex"}:
        small = 0.3j * np.imag(value) if np.iscomplexobj(value) else 0
        value = 0.3 + abs(np.real(value)) + small
    if value.ndim == 2:
        value = constrained_value(properties, value)
    if "spd" in properties:
        lowest = float(np.linalg.eigvalsh(np.real(value))[0])
        value = value + (0.5 - min(lowest, 0.0)) * np.eye(len(value))
    if "simplex" in properties:
        value = np.asarray(value / value.sum())
    if "orthogonal" in properties:
        value = _orthogonal(properties, value, turned)
    return value


def _orthogonal(properties: frozenset[str], value: Array, turned: bool) -> Array:
    """An orthogonal matrix by Cayley's map, symmetric, skew or diagonal where it has to be."""
    import numpy as np

    n = len(value)
    signs = np.where(np.arange(n) % 3 == int(turned), -1.0, 1.0)
    if "toeplitz" in properties:
        return _cyclic(properties, n)
    if "diagonal" in properties:
        return np.diag(signs)
    above = np.triu(value, 1)
    apart = above - above.T
    turn: Array = np.linalg.solve(np.eye(n) + apart, np.eye(n) - apart)
    if properties & {"symmetric", "spd"}:
        return np.asarray(turn @ np.diag(signs) @ turn.T)
    if "skew" in properties:  # pairs of rows, each turned by a quarter
        pairs = np.kron(np.eye(n // 2 + 1), np.array([[0.0, 1.0], [-1.0, 0.0]]))[:n, :n]
        return np.asarray(turn @ pairs @ turn.T)
    return turn * np.where(np.arange(n) == 0, -1.0 if turned else 1.0, 1.0)


def _cyclic(properties: frozenset[str], n: int) -> Array:
    """An orthogonal Toeplitz matrix: every one is a cyclic matrix, up to signs."""
    import numpy as np

    whole = np.eye(n)
    if "diagonal" in properties:
        return -whole
    if "skew" in properties:
        return np.asarray(np.roll(whole, n // 2, 1) * np.sign(np.arange(n)[None] - n / 2 + 0.5))
    mirror = whole - 2 / n
    return mirror if properties & {"symmetric", "spd"} else np.roll(mirror, 1, 1)


def constrained_value(properties: frozenset[str], value: Array) -> Array:
    """A matrix made symmetric, skew, diagonal, triangular or Toeplitz as its properties say."""
    import numpy as np

    if "toeplitz" in properties:
        i, j = np.indices(value.shape)
        rows, columns = value.shape
        means = [np.diagonal(value, k).mean() for k in range(1 - rows, columns)]
        value = np.asarray(means)[j - i + rows - 1]
    if properties & {"symmetric", "spd"}:
        value = (value + value.T) / 2
    if "skew" in properties:
        value = (value - value.T) / 2
    if "diagonal" in properties:
        value = np.diag(np.diag(value))
    if "lower" in properties:
        value = np.tril(value)
    if "upper" in properties:
        value = np.triu(value)
    return value


def equal(a: Node, b: Node) -> bool:
    """Whether two formulas have the same value wherever both are defined.

    >>> from wrt.expression.dimensions import Dimension
    >>> n = Dimension.of("n")
    >>> A, x = Variable("A", (n, n)), Variable("x", (n,))
    >>> equal(x @ A @ x, x @ A.T @ x), equal(A @ x, x @ A)
    (True, False)
    """
    import numpy as np

    if a.dims != b.dims:
        return False
    if a is b:
        return True
    for left, right in map(Sampling((a, b)), seeds((a, b))):
        if not (np.all(np.isfinite(left)) and np.all(np.isfinite(right))):
            return False
        if not _same(left, right):
            return False
    return True


def _same(left: Array, right: Array) -> bool:
    import numpy as np

    scale = max(np.abs(left).max(initial=0), np.abs(right).max(initial=0), 1e-300)
    return bool(np.all(np.abs(left - right) <= TOLERANCE * scale))


class Sampling:
    """Formulas evaluated at random complex points, at given sizes or at sizes where every inverse
    is regular if any are; what is the same at all points is found once.
    """

    def __init__(self, roots: Sequence[Node], given: Mapping[str, int] | None = None) -> None:
        from wrt.expression.meaning import Evaluation

        self.roots, self.evaluation = roots, Evaluation(roots)
        self.free, self.wholes = variables(*roots), whole_variables(*roots)
        rising, falling = _sizes_to_try(roots) if given is None else (dict(given), dict(given))
        self.sizes = (rising,) if rising == falling else (rising, falling)
        calls = (n.function.domain for n in postorder(*roots) if isinstance(n, Apply))
        #: a matrix that is wide and one that is tall differ, as for pinv: they come in turn
        self.in_turn = any(domain in RANKED for domain in calls)

    def __call__(self, seed: int) -> list[Array]:
        """The values at one point; NaN where there are none."""
        import numpy as np

        for sizes in self.sizes[::-1] if self.in_turn and seed % 2 else self.sizes:
            regular = [True]

            def watch(node: Node, arguments: list[Array], regular: list[bool] = regular) -> None:
                regular[0] = regular[0] and _is_regular(node, arguments)

            values = _point(self.free, self.wholes, sizes, seed, is_complex=True)
            try:
                found = self.evaluation(values, sizes, watch)
            except (
                ValueError,
                TooLarge,
            ):  # a power X^(k-r) that would be negative here; an outer product
                shapes = [[d.size(sizes) for d in root.dims] for root in self.roots]
                return [np.broadcast_to(np.nan, shape) for shape in shapes]
            if regular[0]:
                break
        return found


def _sizes_to_try(roots: Sequence[Node]) -> tuple[dict[str, int], dict[str, int]]:
    """Sizes that rise with the names and that fall."""
    rising = sample_sizes(roots)
    turned = dict(zip(rising, reversed(rising.values()), strict=True))
    return rising, with_room(turned, *roots)


def _is_regular(node: Node, arguments: list[Array]) -> bool:
    import numpy as np

    assert isinstance(node, Apply)
    if node.function.domain != "invertible" or not np.all(np.isfinite(arguments[0])):
        return True
    return bool(np.linalg.cond(arguments[0]).max(initial=0) < 1e8)


def ratio(left: Array, right: Array) -> Fraction | None:
    """The simple number c with left = c·right; None where there is none."""
    import numpy as np

    at = np.unravel_index(int(np.abs(right).argmax()), right.shape)
    if not (np.all(np.isfinite(left)) and np.all(np.isfinite(right))) or not abs(right[at]):
        return None
    found = complex(left[at] / right[at])
    number = Fraction(found.real).limit_denominator(64)
    if not number or abs(found - float(number)) > TOLERANCE * abs(found):
        return None
    return number if _same(left, float(number) * right) else None
