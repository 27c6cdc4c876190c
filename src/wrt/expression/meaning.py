"""What a formula means: slow, obvious NumPy that everything else is tested against.

Every node is evaluated once, in order, for arrays of floats or of complex numbers. This is the
yardstick, not the product: programs are the business of `wrt.programs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from wrt.errors import TooLarge, ValueMistake
from wrt.expression.coefficient import Coefficient
from wrt.expression.function import Function
from wrt.expression.nodes import (
    Apply,
    BoundedSum,
    Constant,
    Einsum,
    Node,
    Pattern,
    Reshape,
    Result,
    Scan,
    Sum,
    Variable,
)
from wrt.expression.walk import holds_complex, postorder, users

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Evaluation", "evaluate", "evaluate_all", "library", "measured", "stand_in"]

#: The most entries that one intermediate array may have here.
MOST_ENTRIES = 50_000_000


def evaluate(
    root: Node,
    values: Mapping[str, Array],
    sizes: Mapping[str, int] | None = None,
    watch: Callable[[Node, list[Array]], None] | None = None,
) -> Array:
    """The value of a formula, an array of shape `root.dims` at the given sizes.

    `values` by name of variable, `sizes` by name of dimension (those of the variables' axes are
    read off). `watch` is called with every Apply node and the values of its arguments. Raises
    ValueMistake for a value that is missing, TooLarge for an array that would not fit.

    >>> import numpy as np
    >>> from wrt.expression.dimensions import Dimension
    >>> n = Dimension.of("n")
    >>> x = Variable("x", (n,))
    >>> evaluate(x @ x, {"x": np.array([3.0, 4.0])})
    array(25.)
    """
    return evaluate_all((root,), values, sizes, watch)[0]


def evaluate_all(
    roots: Sequence[Node],
    values: Mapping[str, Array],
    sizes: Mapping[str, int] | None = None,
    watch: Callable[[Node, list[Array]], None] | None = None,
) -> list[Array]:
    """The values of several formulas, what they share evaluated once; see `evaluate`."""
    return Evaluation(roots)(values, sizes, watch)


class Evaluation:
    """Several formulas to be evaluated for many values: what comes after what is found once."""

    def __init__(self, roots: Sequence[Node]) -> None:
        needed = _needed(roots)
        self.roots, self.users = tuple(roots), users(*roots)
        self.order = [node for node in postorder(*roots) if node in needed]

    def __call__(
        self,
        values: Mapping[str, Array],
        sizes: Mapping[str, int] | None = None,
        watch: Callable[[Node, list[Array]], None] | None = None,
    ) -> list[Array]:
        """The values of the formulas, as of `evaluate_all`."""
        import numpy as np

        arrays = {name: np.asarray(value) for name, value in values.items() if not callable(value)}
        known = [measured(root, arrays) for root in self.roots]
        sizes = {**{name: n for one in known for name, n in one.items()}, **(sizes or {})}
        left = dict(self.users)
        done: dict[Node, Array] = {}
        with np.errstate(all="ignore"):
            for node in self.order:
                done[node] = _value(node, done, values, sizes, watch)
                for child in node.children:
                    left[child] -= 1
                    if not left[child]:
                        done.pop(child, None)
        return [done[root] for root in self.roots]


def _needed(roots: Sequence[Node]) -> set[Node]:
    """All nodes but those that hold a bound variable: their values come with each term."""
    needed: set[Node] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in needed:
            needed.add(node)
            stack.extend(_outside(node))
    return needed


def _outside(node: Node) -> tuple[Node, ...]:
    if isinstance(node, BoundedSum):
        return (node.low, node.high)
    return node.outside if isinstance(node, Scan) else node.children


def measured(root: Node, arrays: Mapping[str, Array]) -> dict[str, int]:
    """The sizes that the shapes of the variables' values tell."""
    sizes: dict[str, int] = {}
    for variable in root.names:
        if variable.name in arrays:
            shape = arrays[variable.name].shape
            if len(shape) != variable.ndim:
                wanted = f"{variable.ndim} axes"
                raise ValueMistake(f"{variable.name} has shape {shape}, wanted {wanted}")
            for dim, size in zip(variable.dims, shape, strict=True):
                if len(dim.names) == 1 and str(dim) in dim.names:
                    sizes.setdefault(str(dim), size)
    return sizes


def _value(
    node: Node,
    done: Mapping[Node, Array],
    values: Mapping[str, Array],
    sizes: Mapping[str, int],
    watch: Callable[[Node, list[Array]], None] | None,
) -> Array:
    import numpy as np

    children = [done[c] for c in _outside(node)]
    match node:
        case Variable():
            if node.name not in values:
                raise ValueMistake(f"no value was given for {node.name}")
            return np.asarray(values[node.name])
        case Constant():
            return np.asarray(_number(node.coefficient, sizes))
        case Pattern():
            return _pattern(node, sizes)
        case Einsum():
            return _product(node, children, sizes)
        case Sum():
            total = children[0]
            for child in children[1:]:
                total = total + child
            return total
        case BoundedSum():
            return _bounded(node, children, values, sizes)
        case Scan():
            return _states(node, children, values, sizes)
        case Apply():
            if watch:
                watch(node, children)
            return _call(node, children, values, sizes)[0]
        case Result():
            arguments = [evaluate(c, values, sizes) for c in node.call.children]
            return _call(node.call, arguments, values, sizes)[node.position]
        case Reshape():
            return children[0].reshape([d.size(sizes) for d in node.dims])
    raise AssertionError(node)


def _shape(dims: Sequence[Any], sizes: Mapping[str, int]) -> list[int]:
    shape = [d.size(sizes) for d in dims]
    entries = 1
    for size in shape:
        if size < 0:
            raise ValueMistake(f"a dimension would have the size {size}")
        entries *= size
    if entries > MOST_ENTRIES:
        raise TooLarge(f"an intermediate array of {entries:,} entries is refused here")
    return shape


def _pattern(node: Pattern, sizes: Mapping[str, int]) -> Array:
    import numpy as np

    shape = _shape(node.dims, sizes)
    grid = np.indices(shape, sparse=True)
    mask = np.ones(shape, dtype=bool)
    for relation in node.relations:
        total = relation.constant.size(sizes) + sum(c * grid[p] for p, c in relation.terms)
        mask = mask & (total == 0 if relation.kind == "==" else total >= 0)
    return mask.astype(float)


def _product(node: Einsum, children: Sequence[Array], sizes: Mapping[str, int]) -> Array:
    """Multiply factor by factor over the union of indices, sum what nobody needs any more."""
    import numpy as np

    lengths = _shape_of(node, sizes)
    distinct = tuple(dict.fromkeys(node.output))
    result = np.asarray(_number(node.coefficient, sizes))
    held: tuple[int, ...] = ()
    order = _smallest_first(node.indices, distinct, tuple(lengths))
    for count, k in enumerate(order, 1):
        needed = set(distinct).union(*[node.indices[j] for j in order[count:]])
        factor = _powered(children[k], node.exponents[k])
        result, held = _times(result, held, factor, node.indices[k], needed)
    shape = [lengths[i] if i in held else 1 for i in distinct]
    axes = [held.index(i) for i in distinct if i in held]
    block = result.transpose(axes).reshape(shape)
    if not node.repeats:
        full = tuple(_shape(node.dims, sizes))
        return block.copy() if block.shape == full else np.broadcast_to(block, full).copy()
    out = np.zeros(_shape(node.dims, sizes), dtype=block.dtype)
    grid = np.indices([lengths[i] for i in distinct], sparse=True)
    place = {i: grid[k] for k, i in enumerate(distinct)}
    out[tuple(place[i] for i in node.output)] = block
    return out


@lru_cache(maxsize=1024)
def _smallest_first(
    factors: tuple[tuple[int, ...], ...], kept: tuple[int, ...], lengths: tuple[int, ...]
) -> tuple[int, ...]:
    """The order of multiplying in which every next product has the fewest entries."""
    if len(factors) < 3:
        return tuple(range(len(factors)))
    waiting, held, order = list(range(len(factors))), frozenset[int](), list[int]()

    def after(k: int) -> frozenset[int]:
        needed = set(kept).union(*[factors[j] for j in waiting if j != k])
        return (held | set(factors[k])) & needed

    while waiting:
        best = min(waiting, key=lambda k: prod([lengths[i] for i in after(k)]))
        held = after(best)
        waiting.remove(best)
        order.append(best)
    return tuple(order)


def _shape_of(node: Einsum, sizes: Mapping[str, int]) -> list[int]:
    return [d.size(sizes) for d in node.index_dims]


def _times(
    a: Array, left: tuple[int, ...], b: Array, right: tuple[int, ...], needed: set[int]
) -> tuple[Array, tuple[int, ...]]:
    import numpy as np

    lengths = dict(zip((*left, *right), (*a.shape, *b.shape), strict=True))
    out = tuple(i for i in lengths if i in needed)
    entries = prod([lengths[i] for i in out])
    if entries > MOST_ENTRIES:
        raise TooLarge(f"an intermediate array of {entries:,} entries is refused here")
    order = {i: k for k, i in enumerate(lengths)}
    args = (a, [order[i] for i in left], b, [order[i] for i in right], [order[i] for i in out])
    product: Array = np.asarray(np.einsum(*args))
    return product, out


def _number(coefficient: Coefficient, sizes: Mapping[str, int]) -> complex | float:
    try:
        return coefficient.number(sizes)
    except ZeroDivisionError:
        return float("nan")


def _powered(base: Array, exponent: Any) -> Array:
    import numpy as np

    if exponent == 1:
        return base
    if exponent.denominator == 1:
        base = base if base.dtype.kind in "fc" else base.astype(float)
        return np.asarray(base ** int(exponent))
    if exponent.denominator == 2:
        return np.asarray(np.sqrt(base) ** exponent.numerator)
    return np.asarray(base ** float(exponent))


def _bounded(
    node: BoundedSum,
    bounds: Sequence[Array],
    values: Mapping[str, Array],
    sizes: Mapping[str, int],
) -> Array:
    import numpy as np

    low, high = map(_whole, bounds)
    if high < low - 1:
        raise ValueMistake(f"a range from {low} to {high} is no range")
    if high - low >= 100_000:
        raise TooLarge(f"a range of {high - low + 1:,} terms is refused here")
    shape = _shape(node.dims, sizes)
    total = np.zeros(shape) if node.kind == "sum" else np.eye(shape[0]) if shape else np.ones(())
    term = Evaluation((node.body,))
    for k in range(low, high + 1):
        (one,) = term({**values, node.variable.name: np.asarray(float(k))}, sizes)
        if node.kind == "sum":
            total = total + one
        else:
            total = one @ total if one.ndim else one * total
    return total


def _states(
    node: Scan, outside: Sequence[Array], values: Mapping[str, Array], sizes: Mapping[str, int]
) -> Array:
    import numpy as np

    count, length = len(node.carries), node.length.size(sizes)
    if length < 1:
        raise ValueMistake(f"a sequence of {length} steps has no states")
    states, series = list(outside[:count]), outside[count:]
    kept: list[Array] = [np.zeros(0)] * length
    order = range(length)[::-1] if node.reverse else range(length)
    step = Evaluation(node.nexts)
    for t in order:
        inner = {v.name: one for v, one in zip(node.carries, states, strict=True)}
        inner |= {v.name: one[t] for v, one in zip(node.elements, series, strict=True)}
        before = states[node.position]
        states = step({**values, **inner}, sizes)
        kept[t] = before if node.before else states[node.position]
    return np.stack([np.asarray(one) for one in kept])


def _whole(value: Array) -> int:
    import numpy as np

    number = float(np.real(value))
    if abs(number - round(number)) > 1e-9:
        raise ValueMistake(f"{number} is not a whole number")
    return round(number)


def _call(
    node: Apply, arguments: Sequence[Array], values: Mapping[str, Any], sizes: Mapping[str, int]
) -> tuple[Array, ...]:
    import numpy as np

    function, batch = node.function, node.batch
    if not function.defined:
        return (_unknown(node, arguments[0], values, sizes),)
    is_complex = any(a.dtype.kind == "c" for a in arguments)
    if is_complex and function.complex_definition and holds_complex(node):
        is_complex = False  # its array knows complex numbers
    elif is_complex and function.analytic is False:
        arguments = [np.real(a) for a in arguments]
        is_complex = False
    form = node.form
    flat = list(arguments)
    if form.arguments[0].dims is None:
        flat[0] = arguments[0].reshape(*arguments[0].shape[:batch], -1)
    code = function.analytic if is_complex and isinstance(function.analytic, str) else None
    try:
        got = library(code or function.code("numpy"))(*flat)
    except np.linalg.LinAlgError:
        shape = [[d.size(sizes) for d in dims] for dims in node.results]
        got = tuple(np.full(s, np.nan) for s in shape)
        got = got if len(got) > 1 else got[0]
    results = got if isinstance(got, tuple) else (got,)
    return tuple(
        np.asarray(r).reshape([d.size(sizes) for d in dims])
        for r, dims in zip(results, node.results, strict=True)
    )


@lru_cache(maxsize=1024)
def library(code: str) -> Callable[..., Any]:
    """The NumPy function of a record: by its dotted name, or made from the text of its `def`."""
    import numpy as np

    if code.lstrip().startswith("def "):
        space: dict[str, Any] = {"np": np}
        if "scipy" in code:
            import scipy.linalg
            import scipy.special

            space["scipy"] = scipy
        exec(code, space)  # the text is that of a record of the book, never a person's
        made: Callable[..., Any] = next(
            v for k, v in space.items() if callable(v) and k not in ("np", "scipy")
        )
        return made
    target: Any = np
    names = code.split(".")
    if names[0] == "scipy":
        from importlib import import_module

        target, names = import_module(".".join(names[:2])), names[2:]
    for name in names:
        target = getattr(target, name)
    found: Callable[..., Any] = target
    return found


# Functions that nobody defined


def _unknown(
    node: Apply, argument: Array, values: Mapping[str, Any], sizes: Mapping[str, int]
) -> Array:
    import numpy as np

    given = values.get(node.function.name)
    shape = _shape(node.dims, sizes)
    if given is None:
        return stand_in(node.function, argument, shape, node.batch)
    got = np.asarray(given(argument))
    if list(got.shape) != shape:
        raise ValueMistake(
            f"{node.function.name} gave an array of shape {got.shape}, wanted {tuple(shape)}"
        )
    return got


def stand_in(function: Function, x: Array, shape: Sequence[int], batch: int) -> Array:
    """A smooth function fixed by its name, where a formula holds one that nobody defined.

    `f_i(x) = Σ_k sin(a_k·x + i + k)` over the core axes of x; the primes are its exact derivatives.
    """
    import numpy as np

    order = len(function.name) - len(function.name.rstrip("'"))
    core = x.shape[batch:]
    plain = tuple(shape[batch : len(shape) - order * len(core)])
    seed = sum(ord(c) * (k + 1) for k, c in enumerate(function.name.rstrip("'")))
    flat = x.reshape(*x.shape[:batch], -1)
    count = int(np.prod(plain, dtype=int))
    total: Any = 0.0
    for k in range(3):
        weights = 0.5 + 0.4 * np.sin(seed + 1.7 * k + np.arange(flat.shape[-1]))
        phase = (flat @ weights)[..., None] + np.arange(count) + 0.4 * k
        wave = np.sin(phase + order * np.pi / 2)
        for _ in range(order):
            wave = wave[..., None] * weights
        total = total + wave
    return np.asarray(total.reshape(shape))
