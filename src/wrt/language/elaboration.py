"""Syntax to a network: every part a slot with a set of kinds, every operator a rule between slots.

Names are resolved here: bound ones, those that a line defines, variables, sizes, constants. What
costs a reading something is noted beside the rules. Nothing is decided yet: the inference does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from wrt.errors import NameMistake, SyntaxMistake
from wrt.expression.dataclass import dataclass, field, replace
from wrt.expression.dimensions import Dimension, smaller
from wrt.expression.function import Function
from wrt.language import kinds, mistakes
from wrt.language.declarations import Declared
from wrt.language.kinds import ANY, COLUMN, MATRIX, SCALAR, Rule, bit
from wrt.language.lexer import letter_class
from wrt.language.syntax import (
    Bracket,
    Call,
    Index,
    Infix,
    Joined,
    Line,
    Name,
    Number,
    Postfix,
    Prefix,
    Program,
    Slice,
    Syntax,
    Words,
)
from wrt.language.words import CONSTANTS, FILLS, LETTERS, SIZED, Use, book, use_of

__all__ = ["Elaboration", "elaborate"]

#: What the kinds of an undeclared name may be.
_OPEN = bit(SCALAR) | bit(COLUMN) | bit(MATRIX)


@dataclass(frozen=True)
class Constraint:
    """A rule between the slots of the operands and of the result."""

    rule: Rule
    inputs: tuple[int, ...]
    output: int
    part: Syntax
    #: Whether the part stands in index form without indices and so must be a scalar.
    bare: bool = False


@dataclass
class Elaboration:
    """A text whose names are resolved, as a network of kinds."""

    text: str
    program: Program
    declared: Mapping[str, Declared]
    functions: Mapping[str, Function]
    #: Names that are sizes, declared or standing where sizes stand.
    sizes: frozenset[str]
    lines: dict[str | None, Line] = field(default_factory=dict)
    #: All parts, operands first, each definition before its users.
    parts: list[Syntax] = field(default_factory=list)
    slots: dict[Syntax, int] = field(default_factory=dict)
    masks: list[int] = field(default_factory=list)
    constraints: list[Constraint] = field(default_factory=list)
    uses: dict[Call, Use] = field(default_factory=dict)
    #: What each name in the text is: "variable", "line", "bound", "size", "index" or "constant".
    roles: dict[Name, str] = field(default_factory=dict)
    #: Names without a declaration and their slots, by first meeting.
    open: dict[str, int] = field(default_factory=dict)
    variables: dict[str, int] = field(default_factory=dict)
    #: (a, b): costs 1 where the name of slot a is a scalar and b (if any) is none.
    events: list[tuple[int, int | None]] = field(default_factory=list)
    #: Misfits by the letters that must not be read away, as y*z: the rule and the names' kinds.
    clashes: list[tuple[Constraint, dict[int, int]]] = field(default_factory=list)
    #: Parts in index form, with the line that they stand in.
    indexed: dict[Syntax, Line] = field(default_factory=dict)
    root: int = 0

    def fresh(self, mask: int = ANY) -> int:
        """A new slot."""
        self.masks.append(mask)
        return len(self.masks) - 1

    def rule(self, rule: Rule, inputs: tuple[int, ...], part: Syntax) -> int:
        """A rule from operands to a new slot."""
        output = self.fresh()
        self.constraints.append(Constraint(rule, inputs, output, part))
        return output


def elaborate(
    program: Program,
    declared: Mapping[str, Declared],
    functions: Mapping[str, Function],
    target: str | None = None,
    sizes: Collection[str] = (),
) -> Elaboration:
    """Resolve the names of a program and write down what its operators ask; `sizes` are names of
    sizes beside those that are declared or stand where sizes stand."""
    sizes = _size_names(program, declared) | {*sizes}
    made = Elaboration(program.text, program, declared, functions, sizes)
    made.fresh(bit(SCALAR))
    program = made.program = _with_sums(_formula_last(program), made)
    for line in _ordered(program, made, target):
        _line(made, line)
    return made


def _size_names(program: Program, declared: Mapping[str, Declared]) -> frozenset[str]:
    """Names in the declared shapes and in places where sizes stand, if they are no variables."""
    found = {name for shape in declared.values() for dim in shape.dims for name in dim.names}
    stack: list[Syntax] = [line.body for line in program.lines]
    while stack:
        part = stack.pop()
        if isinstance(part, Call) and part.word in SIZED:
            found |= {p.name for p in _under(part.arguments) if isinstance(p, Name)}
        if isinstance(part, Call) and part.word in FILLS:
            found |= {p.name for p in _under(part.arguments[1:]) if isinstance(p, Name)}
        stack.extend(part.children)
    taken = {line.target for line in program.lines}
    return frozenset(name for name in found if name not in declared and name not in taken)


def _under(parts: tuple[Syntax, ...]) -> list[Syntax]:
    found, stack = [], list(parts)
    while stack:
        found.append(stack.pop())
        stack.extend(found[-1].children)
    return found


def _formula_last(program: Program) -> Program:
    """The lines with the formula at the end: the last line, unless an earlier one uses what it
    defines; then the one line that no other uses, as in `L = -y'*log(p); p = softmax(z)`.
    """
    *earlier, last = program.lines
    used = [{p.name for p in _under((line.body,)) if isinstance(p, Name)} for line in earlier]
    if not any(last.target in names for names in used):
        return program
    everywhere = set().union(*used, (p.name for p in _under((last.body,)) if isinstance(p, Name)))
    unused = [line for line in earlier if line.target not in everywhere]
    if len(unused) != 1:
        return program
    others = [line for line in program.lines if line is not unused[0]]
    return replace(program, lines=(*others, unused[0]))


def _with_sums(program: Program, made: Elaboration) -> Program:
    """`d = x[i]*y[i]` is index form without indices on the left: letters stand twice, all
    are summed.
    """
    known = {*made.sizes, *made.declared, *(line.target for line in program.lines)}
    lines = tuple(
        replace(line, indices=()) if _is_sum(line, known) else line for line in program.lines
    )
    return replace(program, lines=lines)


def _is_sum(line: Line, known: Collection[str | None]) -> bool:
    if line.target is None or line.indices is not None:
        return False
    parts = _under((line.body,))
    if not any(isinstance(p, Index) for p in parts):
        return False
    powers = [p.left for p in parts if isinstance(p, Infix) and p.operator.name == "power"]
    entries = [p for p in (*parts, *_under(tuple(powers))) if isinstance(p, Index)]
    letters = Counter(name for p in entries for name in p.names)
    return any(k not in known and often > 1 for k, often in letters.items())


# Lines: each after those that it names


def _ordered(program: Program, made: Elaboration, target: str | None) -> list[Line]:
    """The lines that the formula needs, each after what it names."""
    by_name: dict[str, Line] = {}
    for line in program.lines:
        if line.target is not None:
            if line.target in by_name:
                raise mistakes.defined_twice(program.text, line)
            by_name[line.target] = line
    last = program.lines[-1]
    if target is not None:
        if target not in by_name:
            raise mistakes.unknown_line(target, by_name)
        last = by_name[target]
    made.lines = dict(by_name) | ({None: last} if last.target is None else {})
    order: list[Line] = []
    state: dict[Line, int] = {}
    stack = [last]
    while stack:
        line = stack[-1]
        if state.get(line) == 2:
            stack.pop()
            continue
        if state.get(line) == 1:
            state[line] = 2
            order.append(stack.pop())
            continue
        state[line] = 1
        for part in _under((line.body,)):
            needed = by_name.get(part.name) if isinstance(part, Name) else None
            if needed is not None and state.get(needed) != 2:
                if state.get(needed) == 1:
                    raise mistakes.defined_by_itself(program.text, needed)
                stack.append(needed)
    return order


def _line(made: Elaboration, line: Line) -> None:
    parts = _in_order(made, line)
    for part in parts:
        made.slots[part] = _slot(made, part, line)
    made.parts += parts
    if line.indices is not None:
        _scalars_beside_letters(made, parts)
        made.fresh(bit(kinds.kind_of(len(line.groups))))
        made.root = len(made.masks) - 1
    else:
        made.root = made.slots[line.body]
    if line.target is not None:
        made.variables[line.target] = made.root


def _in_order(made: Elaboration, line: Line) -> list[Syntax]:
    """The parts of a line that are formulas, operands first; names get their roles on the way."""
    found: list[Syntax] = []
    letters = _letters(made, line)
    stack: list[tuple[Syntax, frozenset[str]]] = [(line.body, frozenset())]
    while stack:
        part, bound = stack.pop()
        found.append(part)
        if isinstance(part, Name):
            made.roles[part] = _role(made, part, bound)
        elif isinstance(part, Call):
            use = made.uses[part] = _use(made, part)
            stack.extend((p, bound) for p in use.operands)
            if use.how == "bounded":
                variable = part.arguments[0]
                assert isinstance(variable, Name)
                stack[-1] = (stack[-1][0], bound | {variable.name})
        elif isinstance(part, Index) and not letters.isdisjoint(part.names) and _by_letters(part):
            made.indexed[part] = line
            if not _delta(made, part):
                stack.append((part.base, bound))
        else:
            stack.extend((p, bound) for p in part.children)
    found.reverse()
    return found


def _scalars_beside_letters(made: Elaboration, parts: list[Syntax]) -> None:
    """In index form whatever has no indices is a number."""
    lettered: set[Syntax] = set()
    rule = kinds.fixed((bit(SCALAR),), SCALAR)
    for part in parts:
        inside = made.uses[part].operands if isinstance(part, Call) else part.children
        if part in made.indexed:
            lettered.add(part)
        elif any(p in lettered for p in inside):
            lettered.add(part)
            for p in inside:
                if p not in lettered:
                    made.constraints.append(Constraint(rule, (made.slots[p],), 0, p, bare=True))
    if parts[-1] not in lettered:
        slot = made.slots[parts[-1]]
        made.constraints.append(Constraint(rule, (slot,), 0, parts[-1], bare=True))


def _letters(made: Elaboration, line: Line) -> frozenset[str]:
    """The index letters of a line in index form: those on its left, names that are no sizes, and
    what stands beside a letter, so that dimensions may be called like the letters of their axes.
    """
    if line.indices is None:
        return frozenset()
    entries = [p for p in _under((line.body,)) if isinstance(p, Index) and _by_letters(p)]
    names = [frozenset(part.names) for part in entries]
    found = frozenset(line.indices).union(*names) - (made.sizes - frozenset(line.indices))
    while True:
        beside = found.union(*(one for one in names if not one.isdisjoint(found)))
        if beside == found:
            return found
        found = beside


def _by_letters(part: Index) -> bool:
    """Whether every item of an entry is a name or a whole number."""
    return all(isinstance(i, (Name, Number, Joined)) for i in part.items)


def _delta(made: Elaboration, part: Index) -> bool:
    """Whether this is δ[i,a] or ones[k]."""
    base = part.base
    if not isinstance(base, Name) or base.name in made.declared or base.name in made.lines:
        return False
    return (base.name == "delta" and len(part.items) == 2) or base.name == "ones"


def _role(made: Elaboration, part: Name, bound: frozenset[str]) -> str:
    name = part.name
    if name in bound:
        return "bound"
    if name in made.lines:
        return "line"
    if name in made.declared:
        return "variable"
    if name in made.sizes:
        return "size"
    if name in CONSTANTS:
        return "constant"
    if name in made.functions or name in book():
        raise mistakes.word_without_brackets(made.text, part)
    return "variable"


def _use(made: Elaboration, call: Call) -> Use:
    use = use_of(call, made.functions)
    if use is None or (call.word in LETTERS and call.word in made.declared):
        raise mistakes.call(made.text, call, made.functions, {**made.declared, **made.variables})
    if use.how == "einsum" and not (call.arguments and isinstance(call.arguments[0], Words)):
        raise mistakes.einsum(made.text, call)
    return use


# Slots


def _slot(made: Elaboration, part: Syntax, line: Line) -> int:
    match part:
        case Number():
            return 0
        case Name():
            return _name_slot(made, part)
        case Words():
            raise mistakes.stray_words(made.text, part)
        case Prefix():
            return made.slots[part.operand]
        case Postfix():
            inside = made.slots[part.operand]
            _event(made, part.operand, None)
            return made.rule(kinds.transpose, (inside,), part)
        case Infix():
            return _infix_slot(made, part)
        case Call():
            return _call_slot(made, part)
        case Index():
            return _index_slot(made, part)
        case Bracket():
            return _bracket_slot(made, part)


def _name_slot(made: Elaboration, part: Name) -> int:
    role, name = made.roles[part], part.name
    if role in ("bound", "size"):
        return 0
    if role == "constant":
        return 0 if name == "pi" else made.fresh(bit(MATRIX))
    if name in made.variables:
        return made.variables[name]
    shape = made.declared.get(name)
    if shape is None:
        slot = made.open[name] = made.fresh(_OPEN)
    else:
        slot = made.fresh(bit(kinds.kind_of(len(shape.dims))))
    made.variables[name] = slot
    return slot


def _event(made: Elaboration, part: Syntax, other: Syntax | None) -> None:
    """A named scalar here counts against a reading, if the other operand is an array."""
    if isinstance(part, Name) and made.roles[part] == "variable" and part.name in made.open:
        made.events.append((made.slots[part], None if other is None else made.slots[other]))


def _infix_slot(made: Elaboration, part: Infix) -> int:
    name, left, right = part.operator.name, part.left, part.right
    inputs = (made.slots[left], made.slots[right])
    if name in ("add", "subtract", "entry_times", "entry_divide", "entry_power"):
        _event(made, left, right)
        _event(made, right, left)
    elif name == "times":
        _event(made, right, left)
    elif name == "kron":
        _event(made, left, None)
        _event(made, right, None)
    return _clash(made, part) or made.rule(kinds.RULES[name], inputs, part)


def _clash(made: Elaboration, part: Infix) -> int | None:
    """Two names with vector letters, plain or transposed, whose vectors do not fit: `y*z`, `x'+y`.

    The rule is kept aside; the inference refuses it unless another part forbids the vectors.
    """
    rule, of, names = kinds.RULES[part.operator.name], [], {}
    for side in (part.left, part.right):
        turned = isinstance(side, Postfix)
        name = side.operand if isinstance(side, Postfix) else side
        if not isinstance(name, Name) or made.roles[name] != "variable":
            return None
        if name.name not in made.open or letter_class(name.name) != "vector":
            return None
        of.append(kinds.ROW if turned else COLUMN)
        names[made.slots[name]] = COLUMN
    if rule(tuple(of)) is not None:
        return None
    inputs = (made.slots[part.left], made.slots[part.right])
    return _aside(made, rule, inputs, part, names)


def _aside(
    made: Elaboration, rule: Rule, inputs: tuple[int, ...], part: Syntax, names: dict[int, int]
) -> int:
    output = made.fresh()
    made.clashes.append((Constraint(rule, inputs, output, part), names))
    return output


def _call_slot(made: Elaboration, call: Call) -> int:
    use = made.uses[call]
    inputs = tuple(made.slots[p] for p in use.operands)
    if use.how == "einsum":
        return _einsum_slot(made, call, use)
    if use.how == "bounded":
        for k in inputs[:2]:
            made.constraints.append(Constraint(kinds.fixed((bit(SCALAR),), SCALAR), (k,), 0, call))
        return made.rule(use.rule, inputs[2:], call)
    if use.wants_array:
        for part in use.operands:
            _event(made, part, None)
    if use.how == "function" and use.function and use.function.axis == "map":
        (part,) = use.operands
        if isinstance(part, Name) and part.name in made.open and part.name[0].isupper():
            return _aside(made, use.rule, inputs, call, {inputs[0]: MATRIX})
    return made.rule(use.rule, inputs, call)


def _einsum_slot(made: Elaboration, call: Call, use: Use) -> int:
    assert isinstance(call.arguments[0], Words)
    groups, output = einsum_groups(call.arguments[0].text)
    if groups is None or len(groups) != len(use.operands):
        raise mistakes.einsum(made.text, call)
    wanted = []
    for group, part in zip(groups, use.operands, strict=True):
        _widen(made, part, len(group))
        one = bit(kinds.kind_of(len(group)))
        wanted.append(one | bit(kinds.ROW) if len(group) == 1 else one)
    rule = kinds.fixed(tuple(wanted), kinds.kind_of(len(output)))
    return made.rule(rule, tuple(made.slots[p] for p in use.operands), call)


def einsum_groups(text: str) -> tuple[list[str] | None, str]:
    """The letters of the operands and of the result; None where the text is no such thing."""
    left, arrow, right = text.replace(" ", "").partition("->")
    groups = left.split(",") if left else []
    letters = "".join(groups)
    fits = bool(arrow) and letters.isalpha() | (not letters) and set(right) <= set(letters)
    fits = fits and all(len(g) <= kinds.MOST_AXES for g in (*groups, right))
    return (groups if fits else None), right


def _widen(made: Elaboration, part: Syntax, count: int) -> None:
    """An undeclared name with so many indices may be a tensor of so many axes."""
    if isinstance(part, Name) and part.name in made.open and 2 < count <= kinds.MOST_AXES:
        made.masks[made.slots[part]] |= bit(kinds.kind_of(count))


def _index_slot(made: Elaboration, part: Index) -> int:
    if part in made.indexed and _delta(made, part):
        return 0
    if len(part.items) > kinds.MOST_AXES:
        raise SyntaxMistake(
            f"{len(part.items)} indices are refused; the limit is {kinds.MOST_AXES}",
            text=made.text,
            span=part.span,
        )
    joined = next((i for i in part.items if isinstance(i, Joined)), None)
    if joined is not None and part not in made.indexed:
        raise SyntaxMistake(
            "joined indices stand in index form only",
            text=made.text,
            span=joined.span,
            hint="as in D[i,j] = x[(i,j)]",
        )
    _widen(made, part.base, len(part.items))
    rule = kinds.entries(tuple(isinstance(i, Slice) for i in part.items))
    return made.rule(rule, (made.slots[part.base],), part)


def _bracket_slot(made: Elaboration, part: Bracket) -> int:
    widths = {len(row) for row in part.rows}
    if len(widths) != 1:
        raise mistakes.ragged(made.text, part)
    inputs = tuple(made.slots[p] for p in part.children)
    return made.rule(kinds.bracket(widths.pop()), inputs, part)


def size_of(part: Syntax, made: Elaboration) -> Dimension:
    """The dimension that a size says: whole numbers and names of sizes, their sums and products."""
    values: dict[Syntax, Dimension] = {}
    for one in reversed(_under((part,))):
        match one:
            case Number() if one.value.denominator == 1 and not one.imaginary:
                values[one] = Dimension.of(int(one.value))
            case Name() if one.name in made.sizes:
                values[one] = Dimension.of(one.name)
            case Name():
                raise mistakes.variable_as_size(made.text, one)
            case Prefix():
                sign = -1 if one.operator.name == "minus" else 1
                values[one] = values[one.operand] * sign
            case Infix() if one.operator.name in ("add", "subtract", "times"):
                values[one] = _combined(one, values)
            case Infix() if one.operator.name == "power" and values[one.right].value in range(1, 9):
                values[one] = values[one.left]
                for _ in range(1, values[one.right].value or 1):
                    values[one] = values[one] * values[one.left]
            case Call() if one.word == "min" and len(one.arguments) == 2:
                values[one] = smaller(*(values[p] for p in one.arguments))
            case _:
                raise mistakes.no_size(made.text, one)
    return values[part]


def _combined(one: Infix, values: Mapping[Syntax, Dimension]) -> Dimension:
    left, right = values[one.left], values[one.right]
    if one.operator.name == "times":
        return left * right
    return left + right if one.operator.name == "add" else left - right


def unknown_name(made: Elaboration, name: str) -> NameMistake:
    """A name that the formula does not have."""
    return mistakes.unknown_name(name, [*made.variables, *made.declared])
