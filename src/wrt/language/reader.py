"""Reading: a text, with what is declared of its names, to a formula and what was assumed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from wrt.errors import Mistake, NameMistake, ShapeMistake, SyntaxMistake, kind_of
from wrt.expression.dataclass import dataclass, field, replace
from wrt.expression.dimensions import Dimension, show_dimensions
from wrt.expression.function import Function
from wrt.expression.nodes import Apply, Node, Variable
from wrt.expression.walk import substitute, whole_variables
from wrt.language import kinds, mistakes
from wrt.language.builder import Builder
from wrt.language.declarations import Declared, Shapes, declared, declared_shapes, variable
from wrt.language.elaboration import Elaboration, elaborate, size_of
from wrt.language.inference import Choice, infer
from wrt.language.kinds import MATRIX, ROW, SCALAR
from wrt.language.lexer import letter_class, spelled
from wrt.language.parser import parse
from wrt.language.shapes import size_parts
from wrt.language.syntax import (
    Call,
    Index,
    Infix,
    Joined,
    Name,
    Number,
    Postfix,
    Program,
    Slice,
    Syntax,
)
from wrt.language.words import book

__all__ = ["Reading", "Selection", "Wanted", "in_text", "read", "read_wrt"]


@dataclass(frozen=True)
class Reading:
    """A formula as it was read: what its names are, and what nobody said but was assumed.

    >>> reading = read("W*x + b", shapes={"W": "n m"})
    >>> reading.formula.shape, reading.assumed
    (('n',), ('x is a vector (m)', 'b is a vector (n)'))
    """

    text: str
    formula: Node
    #: Whether the formula is a row by notation, as x'*A is.
    row: bool
    #: Every variable that is declared or occurs, by name.
    variables: Mapping[str, Variable]
    #: What was found for names without a declaration, as sentences.
    assumed: tuple[str, ...] = ()
    #: The next best reading, where it was close, as a sentence.
    runner_up: str | None = None
    #: The names of sizes.
    dimensions: frozenset[str] = frozenset()
    #: The formula of every line with a name.
    lines: Mapping[str, Node] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)
    #: The LaTeX that was given, where `text` is what it says in the text language.
    source: str | None = None
    #: How that LaTeX writes names.
    spellings: Mapping[str, str] = field(default_factory=dict)


def read(
    text: str,
    shapes: Shapes | None = None,
    functions: Mapping[str, Function] | None = None,
    *,
    line: str | None = None,
    over_complex: bool = False,
) -> Reading:
    """Read a formula.

    `shapes` declares names: `{"W": "n m", "a": "", "S": "n n spd", "phi": "entrywise"}`;
    `functions` are further words; `line` names the line that is asked for, the last one otherwise.
    Where a name is declared complex, or the formula speaks of conjugates (conj, real, imag, X^H),
    or `over_complex`, the names that nobody declared are read as complex.
    Raises SyntaxMistake, NameMistake and ShapeMistake with their place, TooLarge beyond the stated
    limits.

    >>> read("x'*A*x").formula.shape, read("x*x'").formula.shape
    ((), ('n', 'n'))
    >>> read("y*z")
    Traceback (most recent call last):
    wrt.errors.ShapeMistake: y*z: two vectors cannot be multiplied (y and z read as vectors by ...
        y*z
        ^^^
      perhaps y'*z (inner product), y*z' (outer product) or y.*z (entry by entry)
    """
    if not isinstance(text, str):
        raise SyntaxMistake(f"a formula is text, and this is {kind_of(text)}")
    try:
        return _read(text, shapes, functions, line, over_complex)
    except Mistake:
        if mistakes.is_recurrence(text):
            raise mistakes.recurrence(text) from None
        raise


#: What is the exponential function on paper, and here a power of a name.
_POWER_OF_E = re.compile(r"(?<!\w)e\s*\.?\^")


def _read(
    text: str,
    shapes: Shapes | None,
    functions: Mapping[str, Function] | None,
    line: str | None,
    over_complex: bool,
) -> Reading:
    said = declared_shapes(shapes)
    program = _parsed(text, said, functions)
    for one in program.declarations:
        if one.name in said:
            raise NameMistake(f"{one.name} is declared twice", text=text, span=one.span)
        said[one.name] = _placed(text, one.span, one.name, one.shape)
    known = {n: d for n, d in said.items() if isinstance(d, Declared)}
    words = dict(functions or {})
    words |= {n: d for n, d in said.items() if isinstance(d, Function)}
    line = None if line is None else spelled(line)
    made = elaborate(program, known, words, line)
    choice = infer(made)
    undoubted(program, made, choice)
    over_complex = over_complex or any("complex" in d.properties for d in known.values())
    reading = _reading(made, choice, over_complex or any(map(_is_conjugate, made.parts)))
    if not is_latex_text(text):
        if "e" in reading.variables and "e" not in known and _POWER_OF_E.search(text):
            return replace(reading, assumed=(*reading.assumed, "e is a name: e^x is no exp(x)"))
        return reading
    from wrt.language.written import written

    assumed = reading.assumed + program.notes
    return replace(
        reading,
        text=written(program),
        source=text,
        assumed=assumed,
        spellings=dict(program.spellings),
    )


def is_latex_text(text: str) -> bool:
    """Whether a text is LaTeX; what reads LaTeX is loaded only where a text may be it."""
    if not any(sign in text for sign in "\\{}$"):
        return False
    from wrt.language.latex_tokens import is_latex

    return is_latex(text)


def _parsed(
    text: str,
    said: Mapping[str, Declared | Function],
    functions: Mapping[str, Function] | None = None,
) -> Program:
    """The syntax of a text, in LaTeX or in the text language."""
    if not is_latex_text(text):
        return parse(text)
    from wrt.language.latex_lines import parse_latex

    known = {name: isinstance(shape, Function) for name, shape in said.items()}
    return parse_latex(text, frozenset((known | dict.fromkeys(functions or (), True)).items()))


#: What stands left of = in a claim: the derivative itself.
_DERIVATIVE = re.compile(r"[^=]*\\(?:partial|nabla)\b[^=]*=")


def in_text(text: str, reading: Reading) -> str:
    r"""What a text says in the text language, where it is LaTeX; its names are those of a reading.

    Beside a question in LaTeX, what the text language refuses is read as LaTeX too.

    >>> in_text(r"\frac{\partial f}{\partial x} = 2 A x", read("x'*A*x"))
    '2*A*x'
    """
    if not isinstance(text, str) or not (is_latex_text(text) or _in_latex_only(text, reading)):
        return text
    from wrt.language.latex_lines import parse_latex
    from wrt.language.written import written

    known = dict.fromkeys(reading.variables, False) | dict.fromkeys(reading.functions, True)
    return written(parse_latex(_DERIVATIVE.sub("", text, count=1), frozenset(known.items())))


def _in_latex_only(text: str, reading: Reading) -> bool:
    if reading.source is None:
        return False
    try:
        parse(text)
    except SyntaxMistake:
        return True
    return False


def undoubted(program: Program, made: Elaboration, choice: Choice) -> None:
    """Refuse notation with two meanings where it is about a matrix, or a scalar."""
    for doubt in program.doubts:
        slot = made.slots.get(doubt.part)
        refused = MATRIX if doubt.kind == "matrix" else SCALAR
        if slot and choice.kinds[slot] == refused:  # the slot of sizes and of numbers is 0
            raise ShapeMistake(
                doubt.message, text=program.text, span=doubt.part.span, hint=doubt.hint
            )


def _is_conjugate(part: Syntax) -> bool:
    """Whether a part means something else for complex numbers only."""
    if isinstance(part, Call):
        return part.word in ("conj", "real", "imag")
    return isinstance(part, Postfix) and part.operator.name == "adjoint"


def _placed(text: str, span: tuple[int, int], name: str, shape: str) -> Declared | Function:
    try:
        return declared(name, shape)
    except Mistake as mistake:
        mistake.text, mistake.span = text, span
        raise


def _reading(made: Elaboration, choice: Choice, over_complex: bool) -> Reading:
    sizes = size_parts(made, choice.kinds)
    builder = Builder(made, sizes, over_complex)
    formula = _counted(builder.formula(), made, builder)
    declared_ones = {name: variable(name, shape) for name, shape in made.declared.items()}
    found = {n: builder.variable(n) for n in made.variables if n not in made.lines}
    variables = found | {n: v for n, v in declared_ones.items() if n not in found}
    names = {n for v in variables.values() for d in v.dims for n in d.names}
    return Reading(
        text=made.text,
        formula=formula,
        row=choice.kinds[made.root] == ROW,
        variables=variables,
        assumed=tuple(assumption(found[name]) for name in made.open),
        runner_up=_runner_up(choice),
        dimensions=frozenset(names | made.sizes),
        lines=dict(builder.lines),
        functions=dict(made.functions),
    )


def _counted(formula: Node, made: Elaboration, builder: Builder) -> Node:
    """The formula with real numbers where nobody declared one and a whole one is wanted."""
    wanted = [v for v in whole_variables(formula) if v.name in made.open]
    real = {v: Variable(v.name, v.dims) for v in wanted if v.properties}
    if not real:
        return formula
    builder.variables |= {v.name: v for v in real.values()}
    builder.lines = {name: substitute(node, real) for name, node in builder.lines.items()}
    return substitute(formula, real)


def assumption(variable: Variable) -> str:
    """What a variable was taken for, as a sentence.

    >>> assumption(Variable("x", (Dimension.of("n"),)))
    'x is a vector (n)'
    """
    number = "complex " if "complex" in variable.properties else ""
    kind = number + kinds.described(kinds.kind_of(variable.ndim))
    size = f" ({show_dimensions(variable.dims)})" if variable.ndim else ""
    return f"{variable.name} is a {kind}{size}"


def _runner_up(choice: Choice) -> str | None:
    if not choice.runner_up:
        return None
    said = [f"{name} a {kinds.described(kind)}" for name, kind in choice.runner_up.items()]
    first, *others = said
    return " and ".join([first.replace(" a ", " could also be a ", 1), *others])


# With respect to


@dataclass(frozen=True)
class Selection:
    """Entries of a variable: for each axis a position from 0, or (start, length)."""

    items: tuple[Dimension | tuple[Dimension, Dimension], ...]

    @property
    def key(self) -> tuple[Dimension | slice, ...]:
        """What `build.getitem` takes."""
        return tuple(
            item if isinstance(item, Dimension) else slice(item[0], item[0] + item[1])
            for item in self.items
        )


@dataclass(frozen=True)
class Wanted:
    """What is differentiated by: a variable, entries of it, or its conjugate."""

    text: str
    variable: Variable
    selection: Selection | None = None
    conjugate: bool = False
    #: Set where the name neither occurs nor is declared, and went by its letter.
    assumed: str | None = None

    @property
    def is_complex(self) -> bool:
        """Whether the variable is declared complex, so that it and its conjugate are two."""
        return "complex" in self.variable.properties

    @property
    def by(self) -> Node:
        """The variable, or its conjugate, as a formula."""
        x = self.variable
        return Apply(book()["conj"], (x,), x.ndim) if self.conjugate else x


def read_wrt(text: str, reading: Reading) -> Wanted:
    """Read the name that a derivative is taken by: `W`, `X[1,2]`, `X[:,1]`, `conj(X)`.

    NameMistake for a word or size. A name that does not occur is taken by its letter, and said so,
    unless it looks like a slip of the pen.

    >>> read_wrt("W[1,:]", read("W*x")).selection.key
    (Dimension('0'), slice(Dimension('0'), Dimension('m'), None))
    """
    if not isinstance(text, str):
        several = isinstance(text, (list, tuple))
        raise NameMistake(
            f"a derivative is by a name, and this is {kind_of(text)}",
            hint='names stand one by one, as in derivative(f, "x", "x")' if several else None,
        )
    if not text.strip():
        raise NameMistake(
            "there is no name to differentiate by: the text is empty", hint="as in W or X[1,2]"
        )
    program, name = _name_parsed(text, reading)
    body, conjugate = _unbarred(program.lines[-1].body)
    base = body.base if isinstance(body, Index) else body
    if len(program.lines) > 1 or program.lines[0].target or not isinstance(base, Name):
        hint = "as in W, X[1,2], X[:,1] or conj(X)"
        if isinstance(body, Postfix | Infix | Number | Call):
            hint = "a derivative by an expression is no derivative; name a variable, " + hint
        raise NameMistake(f"{text.strip()} is no variable", text=text, span=body.span, hint=hint)
    variable, assumed = _named(base.name, text, base, reading, conjugate)
    sizes = Elaboration(text, program, {}, {}, reading.dimensions)
    selection = _selection(body, variable, sizes) if isinstance(body, Index) else None
    return Wanted(name, variable, selection, conjugate, assumed)


#: x_1, which is x1 behind LaTeX.
_LATEX_NAME = re.compile(r"\s*[^\W\d_]_\w\s*")


def _name_parsed(text: str, reading: Reading) -> tuple[Program, str]:
    """The syntax of a name and its spelling; behind LaTeX x_1 is x1, as it is in the formula."""
    if not is_latex_text(text) and not (reading.source and _LATEX_NAME.fullmatch(text)):
        return parse(text), text
    from wrt.language.latex_lines import parse_latex
    from wrt.language.written import written

    program = parse_latex(text, frozenset((name, False) for name in reading.variables))
    line = program.lines[-1]
    if isinstance(line.body, Name):
        body = _entry(line.body, reading)
        program = replace(program, lines=(*program.lines[:-1], replace(line, body=body)))
    return program, written(program)


def _entry(part: Name, reading: Reading) -> Name | Index:
    """X_{12} is an entry where X is a matrix and nothing has the name X12."""
    stem = part.name.rstrip("0123456789")
    digits = part.name[len(stem) :]
    known = reading.variables.get(stem)
    if part.name in reading.variables or known is None or known.ndim != len(digits) or not digits:
        return part
    places = tuple(Number(Fraction(digit), part.span) for digit in digits)
    return Index(Name(stem, part.span), places, part.span)


def _unbarred(body: Syntax) -> tuple[Syntax, bool]:
    """What stands in conj(X), conj(X[1,:]) or conj(X)[1,:], and whether it is a conjugate."""
    base = body.base if isinstance(body, Index) else body
    if not (isinstance(base, Call) and base.word == "conj" and len(base.arguments) == 1):
        return body, False
    inside = base.arguments[0]
    return (replace(body, base=inside) if isinstance(body, Index) else inside), True


def _named(
    name: str, text: str, part: Name, reading: Reading, conjugate: bool
) -> tuple[Variable, str | None]:
    if name in reading.variables:
        return reading.variables[name], None
    known = list(reading.variables)
    if name in reading.lines:
        raise NameMistake(
            f"{name} is defined by a line and no variable",
            text=text,
            span=part.span,
            hint=f"the variables are {', '.join(sorted(known))}",
        )
    if name in reading.dimensions:
        raise NameMistake(
            f"{name} is a size, and sizes have no derivative", text=text, span=part.span
        )
    if name == "sigma" and reading.source and "sigmoid(" in reading.text:
        raise NameMistake(
            "sigma(…) is read as the sigmoid function, so the formula has no name sigma",
            text=text,
            span=part.span,
            hint=r"write \sigma \cdot (…) for a product",
        )
    run_on = next((k for k in known if len(k) == 2 and name in (k[0], k[1]) and k.isalpha()), None)
    if run_on:
        raise NameMistake(
            f"the formula has no name {name}; {run_on} is one name",
            text=reading.text,
            span=_first_place(run_on, reading.text),
            hint=f"perhaps {run_on[0]}*{run_on[1]}",
        )
    near = mistakes.did_you_mean(name, known) if len(name) > 1 else None
    same = [k for k in known if k.lower() == name.lower()]
    if near or same:
        hint = near or f"did you mean {same[0]}?"
        raise NameMistake(f"the formula has no name {name}", text=text, span=part.span, hint=hint)
    made = by_letter(name, reading, conjugate)
    return made, assumption(made)


def _first_place(name: str, text: str) -> tuple[int, int] | None:
    at = text.find(name)
    return (at, at + len(name)) if at >= 0 else None


def by_letter(name: str, reading: Reading, is_complex: bool = False) -> Variable:
    """A variable that nobody spoke of, by its letter."""
    taken = reading.dimensions | set(reading.variables)
    free = [n for n in ("n", "m", "p", "k", "q", "r", "l") if n not in taken]
    count = {"scalar": 0, "vector": 1, "matrix": 2}[letter_class(name)]
    properties = ["complex"] if is_complex else []
    return Variable(name, tuple(Dimension.of(n) for n in free[:count]), properties)


def _selection(body: Index, variable: Variable, sizes: Elaboration) -> Selection:
    if len(body.items) != variable.ndim:
        raise ShapeMistake(
            f"{variable.name} has {variable.ndim} axes, and {len(body.items)} indices are given",
            text=body_text(body, variable),
        )
    found: list[Dimension | tuple[Dimension, Dimension]] = []
    one = Dimension.of(1)
    for item, dim in zip(body.items, variable.dims, strict=True):
        if isinstance(item, Joined):
            raise ShapeMistake(f"one axis of {variable.name} has one index", text=sizes.text)
        if not isinstance(item, Slice):
            found.append(_inside(size_of(item, sizes), dim, variable) - 1)
            continue
        low = one if item.low is None else _inside(size_of(item.low, sizes), dim, variable)
        high = dim if item.high is None else _inside(size_of(item.high, sizes), dim, variable)
        found.append((low - 1, high - low + 1))
    return Selection(tuple(found))


def body_text(body: Index, variable: Variable) -> str:
    """How the entry would be written."""
    return f"{variable.name}[{','.join('…' for _ in body.items)}]"


def _inside(place: Dimension, dim: Dimension, variable: Variable) -> Dimension:
    if place.value is not None and not 1 <= place.value <= (dim.value or place.value):
        raise ShapeMistake(
            f"{variable.name} has no entry {place}; entries are counted from 1 to {dim}"
        )
    return place
