"""Programs that run: a formula as a function of arrays, with everything checked at its door."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Collection, Hashable, Mapping, MutableMapping, Sequence
from functools import lru_cache
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from wrt.errors import TooLarge, ValueMistake
from wrt.expression.dimensions import Dimension
from wrt.expression.function import Function
from wrt.expression.nodes import Dims, Node, Variable
from wrt.programs import MOST_ENTRIES, door, incoming, memory
from wrt.programs.backends import find, installed, is_installed
from wrt.programs.module import Module, linear, module
from wrt.programs.plan import Plan
from wrt.programs.quiet import quietly
from wrt.programs.repeated import Call, Taken, alike, looking, repeated, taken
from wrt.programs.sized import Planned, Plans
from wrt.programs.steps import is_new
from wrt.programs.watching import told

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Program", "compile", "singular"]

#: What a refusal of an array that is too large recommends.
INSTEAD = "; apply, pullback, entry and structure answer without forming it"
#: How many shapes of arrays a program remembers to have found right.
MOST_KNOWN = 64
#: Of how many of them, the last ones, it remembers what is left to do.
MOST_REPEATED = 16


def compile(  # noqa: A001  # the word that people know for this
    formula: Node | tuple[Node, ...],
    backend: str = "numpy",
    arguments: Sequence[Variable] | None = None,
    *,
    limit: int = MOST_ENTRIES,
    sizes: Mapping[str, int] | None = None,
    name: str = "derivative",
    doc: str | None = None,
    title: str = "the result",
    instead: str = INSTEAD,
    brisk: bool = False,
) -> Program:
    """The program of a formula: a function of its variables by keyword, or by one mapping.

    Several formulas in a tuple share their work and give a tuple. `arguments` may hold variables
    that do not occur; `sizes` help the order of multiplying; `limit` is the most entries that an
    array may have, `title` what a refusal calls the result and `instead` what it recommends;
    `brisk` programs are not written to be read.

    >>> import numpy as np
    >>> n = Dimension.of("n")
    >>> A, x = Variable("A", (n, n)), Variable("x", (n,))
    >>> program = compile(A @ x)
    >>> program(A=[[1, 2], [3, 4]], x=[1, 1])
    array([3., 7.])
    >>> program(A=np.eye(3), x=np.ones(2))
    Traceback (most recent call last):
    wrt.errors.ValueMistake: A has 3 rows (n = 3), x has 2 entries (n = 2)
    """
    given = None if arguments is None else tuple(arguments)
    known = tuple(sorted((sizes or {}).items()))
    return _compiled(formula, backend, given, limit, known, name, doc, (title, instead), brisk)


@lru_cache(maxsize=256)
def _compiled(
    formula: Node | tuple[Node, ...],
    backend: str,
    arguments: tuple[Variable, ...] | None,
    limit: int,
    sizes: tuple[tuple[str, int], ...],
    name: str,
    doc: str | None,
    title: tuple[str, str],
    brisk: bool = False,
) -> Program:
    told = dict(sizes)
    if backend == "numpy":
        made = module(formula, backend, name, arguments, doc, sizes, brisk)
        return Program(formula, made, limit, title, told)
    from wrt.programs import elsewhere

    if backend == "auto":
        made = module(formula, "numpy", name, arguments, doc, sizes, brisk)
        automatic = elsewhere.Automatic(formula, made, limit, title, told)
        if is_installed(find("jax")):
            other = module(formula, "jax", name, arguments, doc, sizes)
            automatic.other = elsewhere.JaxProgram(formula, other, limit, title, told)
        return automatic
    library = installed(find(backend, ", and auto chooses"))
    kind = {"jax": elsewhere.JaxProgram, "torch": elsewhere.TorchProgram}[library.name]
    made = module(formula, backend, name, arguments, doc, sizes)
    return kind(formula, made, limit, title, told)


class Entered(NamedTuple):
    """What has come in: the plan for it, the arrays, the functions, the size of every dimension."""

    planned: Planned
    arrays: Mapping[Variable, Any]
    called: Sequence[Any]
    sizes: Mapping[str, int]


class Program:
    """A formula as a function of arrays.

    `source` is its text, `function` the bare function of that text: positional, unchecked, for
    hot loops. Called with arrays by keyword (a name that is a Python word with a trailing
    underscore), or with one mapping of names. A function that nobody defined is given as a
    callable of whole arrays, its primes as `phi_prime` or, in a mapping, `phi'`. Where the arrays
    have other sizes than those that `source` was planned for, a call runs the plan for theirs.

    Arrays are computed in float64, or in float32 where every array of floats has that type or
    less; whole numbers, lists and Python's numbers take the type of the arrays beside them. What
    is given is never changed, and what comes back is no part of it. One program may run in
    several threads at once.

    Raises ValueMistake for values of the wrong name, shape, type or property, for NaN, and where
    a matrix is singular; TooLarge, before computing, for arrays beyond the limit and for more
    than the machine's memory.
    """

    def __init__(
        self,
        formula: Node | tuple[Node, ...],
        made: Module,
        limit: int,
        title: tuple[str, str],
        told: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.formula, self.source, self.limit = formula, made.text, limit
        self.title, self.instead = title
        self._module = made
        self._wanted = {
            **{v.name: word for v, word in made.arguments.items()},
            **{f.name: word for f, word in made.functions.items()},
        }
        # a size that shares its name with a variable is given by the name of its parameter
        self._lengths = {w if n in self._wanted else n: n for n, w in made.sizes.items()}
        self._wanted |= {key: made.sizes[n] for key, n in self._lengths.items()}
        first = self._planned(made)
        self.function = first.function
        self._plans = Plans(first, self._again, told)
        self._fits: tuple[object, ...] = ()
        #: of shapes and types that came in before: the sizes, and the plan that was found to fit
        self._known: dict[Hashable, Mapping[str, int]] = {}
        self._fitting: dict[Hashable, Planned] = {}
        #: what is left to do where arrays of the last types and shapes come in once more, and these
        self._repeated: tuple[Taken, ...] = ()
        self._remembered: tuple[Hashable, ...] = ()

    #: the array library that the program is for, and the one that its text is written for
    backend = library = "numpy"
    #: whether steps are joined into passes, so that not each of them is an array
    joins = False

    @property
    def is_new(self) -> bool:
        """Whether what the first plan gives shares no memory with what comes in, for certain."""
        plan = self._module.plan
        return all(is_new(plan.steps.all, at) for at in plan.results)

    @property
    def sizes(self) -> tuple[str, ...]:
        """The dimensions that no argument tells, which are given by name as well."""
        return tuple(self._lengths)

    def __repr__(self) -> str:
        return f"<program {self._module.name}({', '.join(self._wanted)})>"

    def __reduce__(self) -> tuple[object, ...]:
        made = self._module
        arguments = tuple(made.arguments)
        said = (
            self.formula,
            self.backend,
            arguments,
            self.limit,
            made.name,
            self.title,
            self.instead,
        )
        return (_again, (*said, tuple(self._plans.told.items())))

    def _planned(self, made: Module) -> Planned:
        """A module with what runs it."""
        function = _function(made.text, made.name)
        return Planned(made, function, function)

    def _again(self, sizes: Mapping[str, int]) -> Planned:
        """The program planned for other sizes."""
        first = self._module
        said = (self.formula, self.library, first.name, tuple(first.arguments))
        return self._planned(module(*said, None, tuple(sorted(sizes.items()))))

    def __call__(
        self, mapping: Mapping[str, Any] | None = None, /, *unnamed: Any, **values: Any
    ) -> Any:
        """The value at these arrays: an array, 0-dimensional for a scalar."""
        if not unnamed and (mapping is None or not values):
            asked = values if mapping is None else mapping
            for once_more in self._repeated if type(asked) is dict else ():
                found = once_more(asked)
                if found is not None:
                    return found
        given = door.collected(self._wanted, mapping, values, self._module.arguments, unnamed)
        arrays, sizes, planned = self._measured(given)
        called = [given[f.name] for f in self._module.functions]
        return self._computed(Entered(planned, arrays, called, sizes))

    def _computed(self, given: Entered) -> Any:
        """The value at what has come in."""
        import numpy as np

        planned, arrays, called, sizes = given
        with np.errstate(all="ignore"):
            infinite = [v.name for v, array in arrays.items() if door.check(v, array)]
            pairs = zip(self._module.functions, called, strict=True)
            functions = [_checked(f, one, sizes) for f, one in pairs]
            result = self._run(planned, [*arrays.values(), *functions], sizes)
        asked, single = self._as_asked(result), _is_single(arrays)
        results = asked if isinstance(asked, tuple) else (asked,)
        own = tuple(_owned(r, arrays.values(), single) for r in results)
        if (infinite or 0 in sizes.values()) and any(np.isnan(r).any() for r in own):
            raise ValueMistake(
                f"{infinite[0]} has infinite entries; {self.title} is no number there"
                if infinite
                else empty(self.title, sizes)
            )
        return own if isinstance(self.formula, tuple) else own[0]

    def _as_asked(self, result: Any) -> Any:
        """A tuple where formulas came in a tuple: the program returns a single one by itself."""
        single = isinstance(self.formula, tuple) and len(self.formula) == 1
        return (result,) if single else result

    def entered(
        self, mapping: Mapping[str, Any]
    ) -> tuple[dict[Variable, Array], dict[str, Any], Mapping[str, int]]:
        """The arrays that were given, of one type, the functions, and the size of every dimension;
        their entries are not looked at.
        """
        given = door.collected(self._wanted, mapping, {}, self._module.arguments)
        arrays = self._arrays({v: given[v.name] for v in self._module.arguments})
        _, sizes = self._sizes(arrays, given)
        none = [n for n, size in sizes.items() if size == 0]
        if none:
            raise ValueMistake(f"structured answers have entries, and here {none[0]} = 0")
        return arrays, {f.name: given[f.name] for f in self._module.functions}, sizes

    def bare(self, given: Mapping[str, Any], sizes: Mapping[str, int], itemsize: int = 8) -> Any:
        """The value at arrays that are known to be right, by name, in the type that it comes in.

        `sizes` are those of dimensions that have a name; nothing is looked at but what would be
        too large.
        """
        import numpy as np

        planned = self._fit(sizes, itemsize)
        made = self._module
        arguments = [given[v.name] for v in made.arguments]
        functions = [given[f.name] for f in made.functions]
        if not functions:
            return quietly(self._run, planned, arguments, sizes)
        if self.backend == "numpy":
            functions = [_checked(f, given[f.name], sizes) for f in made.functions]
        with np.errstate(all="ignore"):
            return self._run(planned, [*arguments, *functions], sizes)

    def ready(self, itemsize: int = 8) -> Callable[..., Any]:
        """The program as a function of its arguments in order, which are known to be right, where
        these tell every size: see `bare`. What NumPy warns of is left to who calls it.
        """
        function, tell = self.settled(itemsize)

        def run(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except Exception as error:
                tell(error)
                raise

        return run

    def settled(self, itemsize: int = 8) -> tuple[Callable[..., Any], Callable[[Exception], None]]:
        """The same as nothing but the function, and what raises a mistake for its errors."""
        planned = self._fit({}, itemsize)
        return planned.run, lambda error: self._tell(error, planned, {})

    def measured(self, mapping: Mapping[str, Any]) -> Mapping[str, int]:
        """The size of every dimension at these values."""
        return self._measured(door.collected(self._wanted, mapping, {}, self._module.arguments))[1]

    def _measured(
        self, given: Mapping[str, Any]
    ) -> tuple[dict[Variable, Any], Mapping[str, int], Planned]:
        """The arrays and the size of every dimension, found to agree, and the plan for them."""
        arrays = self._arrays({v: given[v.name] for v in self._module.arguments})
        key, sizes = self._sizes(arrays, given)
        planned = self._fitting.get(key)
        if planned is None or planned is not self._plans.at(sizes):
            planned = self._fit(sizes, 4 if _is_single(arrays) else 8, arrays)
            keep(self._fitting, key, planned)
        else:  # the plan is settled
            self._remember(given, Entered(planned, arrays, (), sizes))
        return arrays, sizes, planned

    def _remember(self, given: Mapping[str, Any], entered: Entered) -> None:
        """Keep what is left of a call with such arrays, if they are computed with as they came."""
        planned, arrays, _, sizes = entered
        values = [given[v.name] for v in arrays]
        key = tuple([alike(value) for value in values])
        if len(values) < len(self._wanted) or key in self._remembered or 0 in sizes.values():
            return
        pairs = zip(values, arrays.values(), strict=True)
        as_they_came = all(a is value or type(value) is float for value, a in pairs)
        if as_they_came and len({kind for _, kind, _ in key}) == 1 and self._is_plain(entered):
            names = [v.name for v in arrays]
            known = taken(names, values, self._once_more(planned, arrays, sizes))
            self._repeated = (known, *self._repeated[: MOST_REPEATED - 1])
            self._remembered = (key, *self._remembered[: MOST_REPEATED - 1])

    def _is_plain(self, given: Entered) -> bool:
        """Whether nothing but NaN can be wrong with the entries of arrays."""
        watched = door.PROPERTY.keys() | {"complex"}
        return not any(v.properties & watched for v in given.arrays)

    def _once_more(
        self, planned: Planned, arrays: Mapping[Variable, Array], sizes: Mapping[str, int]
    ) -> Call:
        """What is left of a call with arrays of these shapes: NaN is looked for where there is
        less to read.
        """
        plan, single = planned.module.plan, _is_single(arrays)
        roots = self.formula if isinstance(self.formula, tuple) else (self.formula,)
        written = [prod(d.size(sizes) for d in root.dims) for root in roots]
        shown = frozenset[Variable]()
        if looking(written) < looking([array.size for array in arrays.values()]):
            shown = shown.union(*map(told, roots))

        def own(found: Any, given: Sequence[Array]) -> Any:
            if isinstance(self.formula, tuple):
                return tuple([_owned(r, given, single) for r in self._as_asked(found)])
            return _owned(found, given, single)

        new = all(is_new(plan.steps.all, at) for at in plan.results)
        bare = not isinstance(self.formula, tuple) or len(roots) > 1
        is_own = new and bare and not single and all(root.ndim for root in roots)
        looked_at = [k for k, v in enumerate(arrays) if v not in shown]
        return repeated(
            planned.run, looked_at, len(looked_at) < len(arrays), None if is_own else own
        )

    def _sizes(
        self, arrays: Mapping[Variable, Any], given: Mapping[str, Any]
    ) -> tuple[Hashable, Mapping[str, int]]:
        """Shapes and types, and the size of every dimension, found to agree once for all."""
        told = self._given_lengths(given)
        key = (*((a.shape, a.dtype) for a in arrays.values()), *told.values())
        sizes = self._known.get(key)
        if sizes is None:
            sizes = door.measured(arrays, told)
            keep(self._known, key, sizes)
        return key, sizes

    def _given_lengths(self, given: Mapping[str, Any]) -> dict[str, int]:
        return {n: _size(key, given[key]) for key, n in self._lengths.items()}

    def _arrays(self, given: Mapping[Variable, Any]) -> dict[Variable, Any]:
        return incoming.arrays(given)

    def _run(self, planned: Planned, arguments: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        try:
            return planned.run(*arguments, **planned.lengths(sizes))
        except Exception as error:
            self._tell(error, planned, sizes)
            raise

    def _tell(self, error: Exception, planned: Planned, sizes: Mapping[str, int]) -> None:
        """Raise a mistake where it is known what an error means."""
        import numpy as np

        none = 0 in sizes.values()
        match error:
            case np.linalg.LinAlgError():
                text = planned.module.text
                raise ValueMistake(singular(error, text, self._wanted.values())) from None
            case MemoryError():
                raise TooLarge(f"{self.title} does not fit in memory: {error}") from None
            case ZeroDivisionError():
                raise ValueMistake(by_zero(self.title, sizes)) from None
            case ValueMistake():
                return
            case ValueError() | IndexError() | OverflowError():
                raise ValueMistake(empty(self.title, sizes) if none else str(error)) from error
        if none:  # LAPACK knows no matrix without entries
            raise ValueMistake(empty(self.title, sizes)) from error

    def _fit(
        self,
        sizes: Mapping[str, int],
        itemsize: int,
        arrays: Mapping[Variable, Any] = MappingProxyType({}),
    ) -> Planned:
        """The plan for these sizes; what would be too large is refused before it is computed."""
        planned = self._plans.at(sizes)
        plan = planned.module.plan
        key = (id(plan), *sizes.items())
        if key == self._fits:
            return planned
        steps = [s.data.length - 1 for s in plan.all if s.op == "scan"]  # a sequence has a step
        for condition in (*plan.conditions, *steps):
            if condition.names <= sizes.keys() and condition.size(sizes) < 0:
                raise ValueMistake(_needed(condition))
        for root in plan.roots:
            self._small(root.dims, sizes, itemsize, self.title)
        for dims in plan.shapes():
            self._small(dims, sizes, itemsize, f"a step on the way to {self.title}")
        self._room(plan, sizes, itemsize, arrays)
        self._fits = key
        return planned

    def _room(
        self, plan: Plan, sizes: Mapping[str, int], itemsize: int, arrays: Mapping[Variable, Any]
    ) -> None:
        """Refuse what needs more than the memory of where it is computed."""
        place, there = self._memory(arrays)
        wanted = memory.held(plan, sizes, itemsize, self.joins)
        if there is not None and wanted > there:
            raise TooLarge(
                f"{self.title} needs {memory.told(wanted)} at once, and {place} has "
                f"{memory.told(there)} of memory{self.instead}"
            )

    def _memory(self, arrays: Mapping[Variable, Any]) -> tuple[str, int | None]:
        """Where arrays are computed with, and the bytes that it has; None where nothing tells."""
        return "this machine", memory.installed()

    def _small(self, dims: Dims, sizes: Mapping[str, int], itemsize: int, what: str) -> None:
        if not all(d.names <= sizes.keys() for d in dims):
            return  # a length that only the program's arrays will tell
        lengths = [d.size(sizes) for d in dims]
        entries = prod(lengths)
        if entries > self.limit:
            shape, size = " × ".join(map(str, lengths)), memory.told(entries * itemsize)
            raise TooLarge(
                f"{what} would have {shape} = {entries:,} entries ({size}){self.instead}"
            )


def _is_single(arrays: Mapping[Variable, Any]) -> bool:
    """Whether the arrays, which are of one type, have numbers of four bytes."""
    return incoming.is_single([a.dtype for a in arrays.values()][:1])


def _owned(result: Any, given: Collection[Array], single: bool) -> Array:
    """An array of its own, of the type of what came in."""
    import numpy as np

    array = np.asarray(result)
    kinds = (np.float32, np.float64) if array.dtype.kind != "c" else (np.complex64, np.complex128)
    own = array.astype(kinds[not single], copy=False)
    if own is result and any(np.may_share_memory(own, a) for a in given):
        own = own.copy()
    return own


def empty(title: str, sizes: Mapping[str, int]) -> str:
    """What is said where nothing is defined of arrays without entries."""
    none = next(n for n, size in sizes.items() if size == 0)
    return f"{title} has no value at {none} = 0"


def by_zero(title: str, sizes: Mapping[str, int]) -> str:
    """What is said of a division of numbers by zero."""
    return empty(title, sizes) if 0 in sizes.values() else "division by zero at this point"


def keep(table: MutableMapping[Hashable, Any], key: Hashable, value: object) -> None:
    """Put what was found for some shapes and types into a table, which stays small."""
    if len(table) >= MOST_KNOWN:
        table.clear()
    table[key] = value


def _again(
    formula: Node | tuple[Node, ...],
    backend: str,
    arguments: tuple[Variable, ...],
    limit: int,
    name: str,
    title: str,
    instead: str,
    sizes: tuple[tuple[str, int], ...],
) -> Program:
    return _compiled(formula, backend, arguments, limit, sizes, name, None, (title, instead))


@lru_cache(maxsize=256)
def _function(text: str, name: str) -> Callable[..., Any]:
    """The function of a text, the same for all who ask for it."""
    space: dict[str, Any] = {}
    exec(builtins.compile(text, f"<{name}>", "exec"), space)
    function: Callable[..., Any] = space[name]
    return function


def _size(name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < 1:
        raise ValueMistake(f"the size {name} is a whole number of at least 1, given {value!r}")
    return int(value)


def _checked(function: Function, given: Any, sizes: Mapping[str, int]) -> Callable[..., Any]:
    """What a person gave for a function that nobody defined, its shapes watched."""
    if not callable(given):
        kind = type(given).__name__
        raise ValueMistake(f"{function.name} is a function of arrays, given a {kind}")
    form = function.forms[0]
    core = [len(a.dims or ()) for a in form.arguments]

    def watched(*arrays: Any) -> Any:
        import numpy as np

        shapes = [np.shape(a) for a in arrays]
        lead = shapes[0][: len(shapes[0]) - core[0]]
        known = dict(sizes)
        for argument, shape, count in zip(form.arguments, shapes, core, strict=True):
            inner = shape[len(shape) - count :]
            known.update({str(d): s for d, s in zip(argument.dims or (), inner, strict=True)})
        wanted = (*lead, *(d.size(known) for d in form.results[0].dims or ()))
        got = np.asarray(given(*arrays))
        if got.shape != wanted:
            raise ValueMistake(f"{function.name} gave shape {got.shape}, wanted {wanted}")
        return got

    return watched


def _needed(condition: Dimension) -> str:
    names = sorted(condition.names)
    solved = linear(condition, names[0]) if len(names) == 1 else None
    if solved is None:
        return f"{condition} must not be negative"
    factor, constant = solved
    return f"{names[0]} must be at least {-(constant // factor)}"


#: The line on which a factorisation or a system failed: its word, and the matrix by name.
_LINE = re.compile(
    r"(?:(?:np|torch)\.linalg\.|\b(?=(?:lu_factor|cholesky|solve_triangular|triangular_inverse)\())"
    r"(\w+)\((?:([^\W\d]\w*)(?:\.T)?[,)])?"
)


def singular(error: Exception, source: str, parameters: Collection[str]) -> str:
    """What could not be inverted or factorised, by its name where it has one."""
    line = _failed_line(error, source)
    match = _LINE.search(line)
    word, name = (match.group(1), match.group(2)) if match else ("", None)
    what = name if name else "a matrix inside"
    where = "" if name in parameters else f" (in {line.strip()})"
    if "positive definite" in str(error) or "positive-definite" in str(error):
        return f"{what} is not positive definite at this point{where}"
    if "ingular" in str(error) or "lu_solve" in str(error):
        said = f"inv({name})" if name else "its inverse"
        return f"{what} is singular: {said} does not exist at this point{where}"
    return f"{word or 'a function'} of {what}: {error}{where}"


def _failed_line(error: Exception, source: str) -> str:
    trace, number = error.__traceback__, 0
    lines = source.split("\n")
    while trace is not None:
        inside = trace.tb_frame.f_code.co_filename.startswith("<")
        if inside and not lines[trace.tb_lineno - 1].lstrip().startswith("raise"):
            number = trace.tb_lineno
        trace = trace.tb_next
    return lines[number - 1] if 0 < number <= len(lines) else ""
