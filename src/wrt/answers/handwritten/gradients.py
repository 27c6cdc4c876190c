"""Is the backward that somebody wrote by hand right, and if not, which term is off?

A function is called at random places, or at values that are given, and what it gives back is
compared with the derivative: in its shape, in a view, or as the pullback of a gradient.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from wrt import notation
from wrt.algebra import settled
from wrt.answers.asking import Formula, Name
from wrt.answers.claims.claimed import Context, context
from wrt.answers.claims.faults import Faults
from wrt.answers.claims.layouts import Layout, layouts, united
from wrt.answers.claims.places import Place, agree, places
from wrt.answers.claims.summands import said_terms
from wrt.answers.claims.suppositions import suppositions
from wrt.answers.claims.verdict import CONVENTIONS, by_convention
from wrt.answers.handwritten.called import Called, called
from wrt.answers.handwritten.faults import code_faults
from wrt.answers.parts import plain_keys, unused
from wrt.errors import NameMistake, ValueMistake, WrtError
from wrt.expression.dataclass import dataclass
from wrt.expression.dimensions import show_dimensions
from wrt.expression.meaning import evaluate, measured
from wrt.expression.nodes import Node, Variable
from wrt.expression.walk import rename_dimensions, whole_variables

if TYPE_CHECKING:
    import numpy as np

    from wrt.answers.answer import Derivative

    Array = np.ndarray[Any, Any]

__all__ = ["GradientCheck", "check_gradient"]

#: Relative errors that pass, by the bytes of a real number: half, single, double precision.
PASSES = {2: 3e-2, 4: 1e-3, 8: 1e-7}


@dataclass(frozen=True)
class GradientCheck:
    """What was found of a function that should compute a derivative.

    `kind` is "right", "layout" (right in another layout) or "wrong"; `error` the largest relative
    error; `faults` what is off, the plainest first; `truth` what the derivative is.
    """

    name: str
    kind: str
    sentence: str
    error: float
    truth: str
    faults: tuple[str, ...] = ()
    places: int = 0
    #: The entry (counted from 1) that is worst, what came back there, and what should have.
    where: tuple[tuple[int, ...], Any, Any] | None = None
    #: What the derivative is called, as in ∂(W*x)/∂W.
    title: str = ""
    #: The same for every variable, where there are several.
    parts: tuple[GradientCheck, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the function is right, as it stands or in another layout."""
        return self.kind in ("right", "layout")

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        if self.parts:
            return "\n".join(map(str, self.parts))
        lines = [f"{self.name}: {self.sentence}", *self.faults]
        if self.where:
            lines.append(self.said_where)
        return "\n".join(lines)

    @property
    def said_where(self) -> str:
        """The worst entry in words; empty where none is wrong."""
        return said_place(*self.where) if self.where else ""


def said_place(entry: Sequence[int], got: Any, wanted: Any) -> str:
    """An entry, what came back there and what should have.

    >>> said_place((1, 2), 0.5, -0.5)
    'entry [1,2] is 0.5, and should be -0.5'
    """
    at = f"entry [{','.join(map(str, entry))}]" if entry else "it"
    return f"{at} is {got:.6g}, and should be {wanted:.6g}"


def check_gradient(
    function: Any,
    formula: Formula,
    *names: Name,
    shapes: Mapping[str, Any] | None = None,
    symmetric: str = "projected",
    **values: Any,
) -> GradientCheck:
    """Whether a function computes the derivative of a formula by a name, and if not what is off.

    `function` takes the formula's variables, by the names of its parameters or in their order, and
    gives back an array in the shape of the derivative or of a view. With a parameter called `g`,
    `grad`, `grad_output`, … it takes a gradient by the formula and gives back that by the name
    (a pullback). For several names it gives back a tuple. Values that are not given are drawn at
    random; an `autograd.Function` or a `custom_vjp` is taken as well.
    `values={"lambda": …}` gives values by a mapping. Raises ValueMistake where the function cannot
    be called or fails.

    >>> print(check_gradient(lambda A, x: 2 * A @ x, "x'*A*x", "x").sentence)
    wrong: A should be transposed: A'
    >>> check_gradient(lambda A, x: (A + A.T) @ x, "x'*A*x", "x").passed
    True
    """
    from wrt.answers.answer import derivative

    if not names:
        raise NameMistake("a gradient is by something: name a variable")
    each = [derivative(formula, name, shapes=shapes, symmetric=symmetric) for name in names]
    for D in each:
        D.check()
    more = values.pop("values", {})
    known = plain_keys({**more, **values}, tuple(context(each[0]).variables.values()))
    by = [D.wanted[0].variable for D in each]
    caller = called(function, arguments_of(each[0], by), by)
    found = [_Check(D, caller, known, k, len(names)).result() for k, D in enumerate(each)]
    return found[0] if len(found) == 1 else _together(found)


def arguments_of(D: Derivative, by: Sequence[Variable]) -> list[Variable]:
    """The variables that a function of the formula takes, in order."""
    met = [v for v in D.question.variables.values() if v in D.f.names]
    return list(dict.fromkeys((*met, *by)))


def _together(found: Sequence[GradientCheck]) -> GradientCheck:
    wrong = [one for one in found if not one.passed]
    first = (wrong or [one for one in found if one.kind == "layout"] or list(found))[0]
    name = ", ".join(one.name for one in found)
    error = max(one.error for one in found)
    count = sum(one.places for one in found)
    sentence = "right" if first.passed else f"{len(wrong)} of {len(found)} are wrong"
    return GradientCheck(name, first.kind, sentence, error, "", places=count, parts=tuple(found))


class _Check:
    """One derivative beside what a function gave back for it."""

    def __init__(
        self, D: Derivative, caller: Called, values: Mapping[str, Any], part: int, count: int
    ) -> None:
        self.D, self.caller, self.given, self.part, self.count = D, caller, values, part, count
        self.around: Context = context(D)
        self.x = D.wanted[0].variable
        taken = tuple(self.around.variables)
        self.g = Variable(unused("g", taken), D.f.dims)
        self.pulls = caller.takes_gradient
        self.node = D.pulled_back(self.g.name) if self.pulls and D.f.ndim else D.plain
        if self.pulls and not D.f.ndim:
            self.node = self.g * D.plain
        self.groups = (0, self.node.ndim) if self.pulls else D.groups
        self.names = (*taken, self.g.name)
        self.truth = (
            notation.matrix(settled(self.node), names=self.names)
            or notation.index(settled(self.node), names=self.names, split=self.groups[:-1])
            or "no short form"
        )
        self.name = D.wanted[0].text.strip()

    # Values

    @cached_property
    def found(self) -> list[Place]:
        """Places, with the derivative there."""
        self.refuse_unknown()
        given = {name: _array(value) for name, value in self.given.items()}
        fixed = self.fixed_sizes(given)
        xs = [self.D.wanted[0].by, *([self.g] if self.pulls else [])]
        needed = {v.name for v in (*self.D.f.names, self.x)}
        if needed <= set(given) and not (self.pulls and self.g.name not in given):
            return [Place(fixed, given, evaluate(self.node, given, fixed))]

        def change(values: dict[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
            return values | given

        made = list(places(self.D.f, self.node, xs, change=change, fixed=fixed))
        if not made:
            raise ValueMistake(
                "no place was found at which the formula is defined: give values, or declare what "
                "its variables are (positive, spd, …)"
            )
        return made if not needed <= set(given) else made[:2]

    def refuse_unknown(self) -> None:
        from difflib import get_close_matches

        known = [*self.around.variables, self.g.name, *self.D.question.functions]
        for name in self.given:
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = (
                    f"; did you mean {near[0]}?" if near else f"; its names are {', '.join(known)}"
                )
                raise ValueMistake(f"the formula has no name {name}{hint}")

    def fixed_sizes(self, given: Mapping[str, Array]) -> dict[str, int]:
        fixed: dict[str, int] = {}
        for name, value in given.items():
            variable = self.g if name == self.g.name else self.around.variables.get(name)
            if variable is None:
                continue
            sizes = measured(variable, {name: value})
            for size, count in sizes.items():
                if fixed.setdefault(size, count) != count:
                    raise ValueMistake(
                        f"{name} has shape {value.shape}: {size} cannot be both {fixed[size]} "
                        f"and {count}"
                    )
        return fixed

    @cached_property
    def got(self) -> list[Array]:
        """What the function gave back at every place."""
        whole = {v.name for v in whole_variables(self.D.f)}
        made = []
        for place in self.found:
            values = {n: int(v.item()) if n in whole else v for n, v in place.values.items()}
            gradient = values.get(self.g.name)
            made.append(self.caller.at(values, gradient, self.count)[self.part])
        return made

    @cached_property
    def tolerance(self) -> float:
        """What may be rounding in numbers of the precision that came back."""
        import numpy as np

        return max(PASSES.get(np.real(v).dtype.itemsize, 1e-7) for v in self.got)

    # The verdict

    def result(self) -> GradientCheck:
        import numpy as np

        if not all(np.all(np.isfinite(v)) for v in self.got):
            return self.made("wrong", "wrong: it gave back numbers that are not finite", np.inf)
        for layout in layouts(self.groups):
            if self.allowed(layout) and self.agrees(layout):
                return self.right(layout)
        if self.same_shapes(next(layouts(self.groups))):
            return self.wrong()
        return self.another_shape()

    def allowed(self, layout: Layout) -> bool:
        """Whether a layout is as good: of a gradient, laid out as x, no transpose is."""
        is_gradient = not self.groups[0] and self.node.ndim > 1
        return layout.is_plain or not is_gradient

    def agrees(self, layout: Layout) -> bool:
        pairs = zip(self.got, self.found, strict=True)
        return all(agree(v, layout.of(p.truth), self.tolerance) for v, p in pairs)

    def same_shapes(self, layout: Layout) -> bool:
        pairs = zip(self.got, self.found, strict=True)
        return all(v.shape == layout.of(p.truth).shape for v, p in pairs)

    def error(self, layout: Layout) -> float:
        return max(
            _relative(v, layout.of(p.truth)) for v, p in zip(self.got, self.found, strict=True)
        )

    def right(self, layout: Layout) -> GradientCheck:
        error = self.error(layout)
        if layout.is_plain:
            what = "the pullback of the derivative" if self.pulls else "the derivative"
            return self.made("right", f"right: it computes {what}", error)
        return self.made("layout", f"right in another layout, {layout.sentence}", error)

    def made(self, kind: str, sentence: str, error: float, **more: Any) -> GradientCheck:
        return GradientCheck(
            self.name,
            kind,
            sentence,
            float(error),
            self.truth,
            places=len(self.found),
            title=self.D.title,
            **more,
        )

    def wrong(self) -> GradientCheck:
        layout = next(layouts(self.groups))
        found = self.convention() or code_faults(_Beside(self)) or self.partly() or Faults("")
        head = found.head or f"the derivative is {self.truth}"
        supposed = self.supposed()
        return self.made(
            "wrong",
            f"wrong: {head}",
            self.error(layout),
            faults=(*found.lines, *([supposed] if supposed else [])),
            where=self.worst(layout),
        )

    def supposed(self) -> str | None:
        """What would have to hold of the variables so that the function were right."""
        if set(self.given) & {v.name for v in self.D.f.names}:
            return None
        plain = [v for v in self.D.f.names if v not in whole_variables(self.D.f)]
        xs = [self.D.wanted[0].by, *([self.g] if self.pulls else [])]
        for one in suppositions(sorted(plain, key=lambda v: v.name), [self.x], {}):
            found = places(self.D.f, self.node, xs, change=one.change)
            if self.holds_at(islice(found, 3)):
                return f"it is right only where {one.sentence}"
        return None

    def holds_at(self, found: Iterable[Place]) -> bool:
        """Whether the function is right at other places."""
        import numpy as np

        compared = False
        for place in found:
            compared = True
            try:
                gradient = place.values.get(self.g.name)
                value = self.caller.at(place.values, gradient, self.count)[self.part]
            except ValueMistake:
                return False
            if not agree(value, place.truth, self.tolerance) or not np.any(place.truth):
                return False
        return compared

    def convention(self) -> Faults | None:
        """Another convention for a constrained variable."""
        if self.D.convention is None or self.pulls:
            return None
        for convention in ("tied", "projected", "free"):
            if convention == self.D.convention:
                continue
            node = by_convention(self.D, convention)
            values = [evaluate(node, p.values, p.sizes) for p in self.found]
            if all(agree(a, b, self.tolerance) for a, b in zip(values, self.got, strict=True)):
                said = f"it is the derivative by another convention: {CONVENTIONS[convention]}"
                return Faults(said)
        return None

    def partly(self) -> Faults | None:
        """Where some entries are right: on the diagonal, off it, or so many of all."""
        import numpy as np

        near = [
            np.abs(v - p.truth) <= self.tolerance * max(np.abs(p.truth).max(initial=0), 1e-300)
            for v, p in zip(self.got, self.found, strict=True)
        ]
        if all(one.ndim == 2 and one.shape[0] == one.shape[1] for one in near):
            on = all(np.diag(one).all() for one in near)
            off = all((one | np.eye(len(one), dtype=bool)).all() for one in near)
            if on or off:
                return Faults(f"only its entries {'on' if on else 'off'} the diagonal are right")
        return None

    def worst(self, layout: Layout) -> tuple[tuple[int, ...], Any, Any] | None:
        import numpy as np

        for value, place in zip(self.got, self.found, strict=True):
            wanted = layout.of(place.truth)
            apart = np.abs(value - wanted)
            if _relative(value, wanted) > self.tolerance:
                at = np.unravel_index(int(apart.argmax()), apart.shape)
                return tuple(int(i) + 1 for i in at), value[at].item(), wanted[at].item()
        return None

    # Another shape

    def another_shape(self) -> GradientCheck:
        import numpy as np

        shape, wanted = self.got[0].shape, self.found[0].truth.shape
        said = (
            f"the {'gradient' if not self.groups[0] else 'derivative'} has shape {_said(wanted)} "
            f"({show_dimensions(self.node.dims)}), and {_said(shape)} came back"
        )
        head = ""
        for layout in layouts(self.groups):
            if self.agrees(layout):
                head = "the result should be transposed" if layout.joined is None else ""
        pairs = list(zip(self.got, self.found, strict=True))
        if all(agree(np.squeeze(v), np.squeeze(p.truth), self.tolerance) for v, p in pairs):
            return self.made(
                "layout",
                f"right but for axes of length 1: {_said(shape)} for {_said(wanted)}",
                0.0,
            )
        head = head or self.summed() or ""
        sentence = f"wrong: {head or said}"
        return self.made("wrong", sentence, np.inf, faults=(said,) if head else ())

    def summed(self) -> str | None:
        """What axes have been added or left out, where that explains the shape."""
        import numpy as np

        if self.node.ndim == 2:
            diagonals = [np.diagonal(p.truth) for p in self.found]
            if all(agree(v, w, self.tolerance) for v, w in zip(self.got, diagonals, strict=True)):
                return "it is only the diagonal of the derivative"
        for said, axes, mean in self.reductions():
            reduce = np.mean if mean else np.sum
            values = [reduce(p.truth, axis=axes) for p in self.found]
            if all(agree(v, w, self.tolerance) for v, w in zip(self.got, values, strict=True)):
                return said
        return None

    def reductions(self) -> Iterator[tuple[str, tuple[int, ...], bool]]:
        """Sums and means over axes: what they are called, the axes, whether it is a mean."""
        if self.groups[0]:
            total = "it is the derivative of the sum of all entries of the formula"
            yield total, tuple(range(self.groups[0])), False
        for axis in range(self.node.ndim):
            yield f"it has been summed over axis {axis + 1}", (axis,), False
            yield f"the mean has been taken over axis {axis + 1}", (axis,), True


class _Beside:
    """What a function gave back, for the search of what is off in the derivative's text."""

    def __init__(self, checked: _Check) -> None:
        self.checked = checked
        self.found = checked.found
        self.wholes = checked.got
        self.truth = checked.truth
        self.tolerance = checked.tolerance

    @property
    def terms(self) -> list[tuple[str, Node]]:
        """The terms of the derivative multiplied out."""
        return said_terms(self.checked.node, self.checked.names)

    def node(self, text: str) -> Node | None:
        """A text read beside the question."""
        checked = self.checked
        try:
            read = checked.around.read(text, beside=(checked.g,))
        except WrtError:
            return None
        if not read.formula.ndim:
            return read.formula
        sizes = united(read.formula.dims, checked.node.dims, read.fresh)
        return None if sizes is None else rename_dimensions(read.formula, sizes)


def _array(value: Any) -> Any:
    import numpy as np

    if callable(value) and not hasattr(value, "shape"):
        return value
    return value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)


def _relative(value: Array, wanted: Array) -> float:
    import numpy as np

    if value.shape != wanted.shape:
        return float("inf")
    scale = max(np.abs(wanted).max(initial=0), 1e-300)
    return float(np.abs(value - wanted).max(initial=0) / scale)


def _said(shape: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
