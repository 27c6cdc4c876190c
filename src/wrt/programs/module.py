"""The text of a program: a module that stands alone, as a person would have written it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import count
from textwrap import wrap

from wrt.expression.collecting import postponed
from wrt.expression.dataclass import dataclass
from wrt.expression.dimensions import Dimension, show_dimensions
from wrt.expression.function import Function
from wrt.expression.nodes import Apply, Node, Variable
from wrt.expression.walk import postorder, variables
from wrt.programs import code as py
from wrt.programs import factors
from wrt.programs.backends import Backend, brisker, find
from wrt.programs.code import Code
from wrt.programs.emission import Emission
from wrt.programs.fusing import fused
from wrt.programs.helpers import Helpers
from wrt.programs.names import Names, identifier
from wrt.programs.plan import Plan, plan
from wrt.programs.translation import program_of

__all__ = ["Module", "module", "source"]

#: A program with more named values uses the names again, so that it frees what it is done with.
MOST_NAMED = 100


@dataclass(frozen=True)
class Module:
    """A program as text, and what its parameters are.

    `arguments` are the variables with the names of their parameters, `functions` those that
    nobody defined, `sizes` the dimensions that no argument tells, which are parameters by
    keyword.
    """

    text: str
    name: str
    plan: Plan
    arguments: Mapping[Variable, str]
    functions: Mapping[Function, str]
    sizes: Mapping[str, str]


def source(
    formula: Node | tuple[Node, ...],
    backend: str = "numpy",
    name: str = "derivative",
    arguments: Sequence[Variable] | None = None,
    doc: str | None = None,
    sizes: Mapping[str, int] | None = None,
) -> str:
    """The text of a module with one function of the formula's variables.

    `arguments` gives their order and may hold more than occur; `doc` begins the docstring. Raises
    ValueMistake for a function that the array library has no program for.

    >>> from wrt.expression.nodes import Variable
    >>> n, m = Dimension.of("n"), Dimension.of("m")
    >>> A, x, b = Variable("A", (n, m)), Variable("x", (m,)), Variable("b", (n,))
    >>> print(source(2 * (A.T @ (A @ x - b)), name="gradient"))
    import numpy as np
    <BLANKLINE>
    <BLANKLINE>
    def gradient(A, b, x):
        \"\"\"An array of m, for A (n × m), b (n), x (m).\"\"\"
        return 2 * (A.T @ (A @ x - b))
    <BLANKLINE>
    """
    given = None if arguments is None else tuple(arguments)
    return module(formula, backend, name, given, doc, tuple(sorted((sizes or {}).items()))).text


@lru_cache(maxsize=256)
def module(
    formula: Node | tuple[Node, ...],
    backend: str,
    name: str,
    arguments: tuple[Variable, ...] | None,
    doc: str | None,
    sizes: tuple[tuple[str, int], ...],
    brisk: bool = False,
) -> Module:
    """The program of a formula, or of several at once, with its text; `brisk`: in the words that
    take least time to call, where nobody reads it.
    """
    library = brisker(find(backend)) if brisk else find(backend)
    with postponed:
        return _written(formula, library, name, arguments, doc, dict(sizes))


def _written(
    formula: Node | tuple[Node, ...],
    library: Backend,
    name: str,
    arguments: tuple[Variable, ...] | None,
    doc: str | None,
    sizes: Mapping[str, int],
) -> Module:
    planned = plan(formula, sizes)
    if library.library.fuses:
        planned = fused(planned)
    words = Names()
    free = variables(*planned.roots)
    given = _parameters([*(arguments or ()), *(v for v in free if v not in (arguments or ()))])
    words.taken |= set(given.values())
    functions = {f: words.give(identifier(f.name)) for f in _undefined(planned.roots)}
    told = dict.fromkeys(n for v in given for d in v.dims for n in d.names)
    lengths = {n: words.give(identifier(n)) for n in _dimension_names(planned, told)}
    helpers = Helpers(library, words.taken)
    words.taken |= set(_helper_names(planned, library.name))
    emission = Emission(planned, library, given, lengths, helpers, words)
    body = [*emission.conditions(planned.conditions), *emission.body()]
    if len(emission.temporaries) > MOST_NAMED:
        body = _recycled(body, emission.temporaries, words.taken - emission.temporaries)
    lengths = emission.sizes.given
    header, missing = _measured(emission.sizes.used, given, lengths)
    parameters = [*given.values(), *functions.values()]
    text = _docstring(doc, planned.roots, given)
    function = _definition(name, parameters, [lengths[n] for n in missing], text, [*header, *body])
    imports = _imports([library.library.header, *helpers.imports])
    parts = [imports, *helpers.texts.values(), function]
    return Module(
        "\n\n\n".join(parts) + "\n",
        name,
        planned,
        given,
        functions,
        {n: lengths[n] for n in missing},
    )


def _imports(lines: Sequence[str]) -> str:
    """The import lines, in order."""
    return "\n".join(sorted(lines))


def _parameters(found: Sequence[Variable]) -> dict[Variable, str]:
    """A parameter for each variable; the name of a variable is kept where Python allows it."""
    taken: set[str] = set()
    given: dict[Variable, str] = {}
    for variable in found:
        word = identifier(variable.name)
        while word in taken:
            word += "_"
        taken.add(word)
        given[variable] = word
    return given


def _undefined(roots: Sequence[Node]) -> list[Function]:
    found = {
        n.function: None
        for n in postorder(*roots)
        if isinstance(n, Apply) and not n.function.defined
    }
    return sorted(found, key=lambda f: f.name)


def _helper_names(planned: Plan, backend: str) -> Iterator[str]:
    for step in planned.all:
        if step.op == "gram":
            yield "weighted_gram"
        elif step.op in factors.OPERATIONS:
            yield from factors.helper_names(step)
        elif step.op == "add transposed":
            yield "add_transposed"
        elif step.op == "call":
            word = re.match(r"\s*def (\w+)", program_of(step.data[0], backend))
            if word:
                yield word.group(1)


def _dimension_names(planned: Plan, told: Mapping[str, None]) -> list[str]:
    names = dict(told)
    for step in planned.all:
        for d in step.dims:
            names.update(dict.fromkeys(d.names))
        if step.op == "number":
            for d in step.data.dimensions:
                names.update(dict.fromkeys(d.names))
    for condition in planned.conditions:
        names.update(dict.fromkeys(condition.names))
    for root in planned.roots:
        for d in root.dims:
            names.update(dict.fromkeys(d.names))
    return sorted(names)


# Sizes


def _measured(
    used: Mapping[str, None], given: Mapping[Variable, str], names: Mapping[str, str]
) -> tuple[list[ast.stmt], list[str]]:
    """The lines that read sizes off arguments, and the names of those that no argument tells."""
    lines: list[ast.stmt] = []
    left = list(used)
    for variable, word in given.items():
        plain = [str(d) if str(d) in d.names else None for d in variable.dims]
        if (
            len(plain) > 1
            and None not in plain
            and set(plain) <= set(left)
            and len(set(plain)) == len(plain)
        ):
            targets: list[ast.expr] = [ast.Name(names[str(p)], ast.Store()) for p in plain]
            shape = py.attribute(py.name(word), "shape").expr
            lines.append(ast.Assign([ast.Tuple(targets, ast.Store())], shape, lineno=0))
            left = [n for n in left if n not in plain]
    known = [n for n in used if n not in left]
    for dimension in list(left):
        read = _read_off(dimension, given)
        if read is not None:
            target = ast.Name(names[dimension], ast.Store())
            lines.append(ast.Assign([target], read.expr, lineno=0))
            known.append(dimension)
    return lines, sorted(n for n in used if n not in known)


def _read_off(dimension: str, given: Mapping[Variable, str]) -> Code | None:
    """`x.shape[0]`, or from the length of an axis that is c·n + k."""
    best: Code | None = None
    for variable, word in given.items():
        for axis, d in enumerate(variable.dims):
            solved = linear(d, dimension)
            if solved is None:
                continue
            factor, constant = solved
            code = py.subscript(py.attribute(py.name(word), "shape"), py.literal(axis))
            if constant:
                code = py.binary("-" if constant > 0 else "+", code, py.literal(abs(constant)))
            if factor != 1:
                code = py.binary("//", code, py.literal(factor))
            if best is None or code.weight < best.weight:
                best = code
    return best


def linear(d: Dimension, name: str) -> tuple[int, int] | None:
    """c and k where a dimension is c·name + k."""
    factor = constant = 0
    for mono, c in d.terms:
        if not mono:
            constant = c
        elif mono == ((name, 1),):
            factor = c
        else:
            return None
    return (factor, constant) if factor > 0 else None


# The function


def _docstring(doc: str | None, roots: Sequence[Node], given: Mapping[Variable, str]) -> str:
    shapes = _shapes(roots)
    said = ", ".join(f"{word} ({show_dimensions(v.dims)})" for v, word in given.items())
    line = f"{shapes}, for {said}." if said else f"{shapes}."
    if doc is None:
        parts = _wrapped(line[0].upper() + line[1:], 88)
        return "\n    ".join(parts if len(parts) == 1 else [*parts, ""])
    first = "\n    ".join(_folded(doc.strip(), 92))
    single = f"{first.removesuffix('.')}: {line}"
    whole = line[0].upper() + line[1:]
    if len(single) < 84 and "\n" not in first:
        return single
    lines = "\n    ".join(_wrapped(whole, 92))
    return f"{first}\n\n    {lines}\n    "


def _wrapped(text: str, width: int) -> list[str]:
    """A sentence in lines; shapes are not broken."""
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in wrap(_unbroken(text), width)]


def _unbroken(text: str) -> str:
    return re.sub(" (×|\\() ?", lambda m: m[0].replace(" ", "\N{NO-BREAK SPACE}"), text)


def _folded(text: str, width: int) -> list[str]:
    """A text in lines of so many letters where it can be parted: at spaces, behind + and *."""
    lines = [""]
    for line in text.split("\n"):
        for piece in re.findall(r".+?(?:[+*,]|\s|$)", line):
            if lines[-1] and len(lines[-1] + piece.rstrip()) > width:
                lines.append("")
            lines[-1] += piece
        lines.append("")
    return [line.strip() for line in lines[:-1]]


def _shapes(roots: Sequence[Node]) -> str:
    """What a program returns: `an array of n`, `arrays of n × m and n`."""
    several = len(roots) > 1 and all(r.dims for r in roots)
    said = [show_dimensions(r.dims) for r in roots]
    if not several:
        said = [
            f"an array of {s}" if r.dims else "a scalar" for r, s in zip(roots, said, strict=True)
        ]
    listed = " and ".join(filter(None, (", ".join(said[:-1]), said[-1])))
    return f"arrays of {listed}" if several else listed


def _definition(
    name: str, parameters: Sequence[str], sizes: Sequence[str], text: str, body: list[ast.stmt]
) -> str:
    """`def name(…)` with its docstring, as text."""
    arguments = ast.arguments(
        posonlyargs=[],
        args=[ast.arg(p) for p in parameters],
        vararg=None,
        kwonlyargs=[ast.arg(s) for s in sizes],
        kw_defaults=[None] * len(sizes),
        kwarg=None,
        defaults=[],
    )
    whole = ast.FunctionDef(name, arguments, [ast.Pass()], [], None, lineno=0)
    head = ast.unparse(whole).partition("\n")[0]
    if len(head) > 96:
        inside = [*parameters, *(["*"] if sizes else []), *sizes]
        head = f"def {name}(\n    " + ",\n    ".join(inside) + ",\n):"
    safe = text.replace("\\", "\\\\").replace('"""', "'''")
    lines = [head, f'    """{safe}"""']
    apart = False
    for statement in body:
        inner = isinstance(statement, ast.FunctionDef)
        lines += [""] if apart or inner else []
        lines += ["    " + line for line in _lines(statement).split("\n")]
        apart = inner
    return "\n".join(lines)


def _lines(statement: ast.stmt) -> str:
    """A statement; several results that fill more than a line stand below each other."""
    text = ast.unparse(statement)
    if len(text) <= 96 or not isinstance(statement, ast.Return):
        return text
    if not isinstance(statement.value, ast.Tuple):
        return text
    results = [f"    {ast.unparse(one)},\n" for one in statement.value.elts]
    return f"return (\n{''.join(results)})"


def _recycled(body: list[ast.stmt], temporaries: set[str], taken: set[str]) -> list[ast.stmt]:
    """The same statements with few names: one is used again once its value is not needed."""
    said = [_temporaries(statement, temporaries) for statement in body]
    last = {word: k for k, found in enumerate(said) for _, word in found}
    fresh = (f"t{number}" for number in count(1) if f"t{number}" not in taken)
    free: list[str] = []
    now: dict[str, str] = {}
    for k, (statement, found) in enumerate(zip(body, said, strict=True)):
        words = dict.fromkeys(word for _, word in found)
        done = [now[w] for w in words if last[w] == k and w in now]
        # inside a loop a name that is read again must not be given away
        later, done = (done, []) if isinstance(statement, ast.For | ast.FunctionDef) else ([], done)
        free += done
        for word in words:
            if word not in now:
                now[word] = free.pop() if free else next(fresh)
        free += later
        for node, word in found:
            node.id = now[word]
    return body


def _temporaries(statement: ast.stmt, temporaries: set[str]) -> list[tuple[ast.Name, str]]:
    nodes = {id(n): n for n in py.names(statement)}
    return [(n, n.id) for n in nodes.values() if n.id in temporaries]
