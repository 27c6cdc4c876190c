"""The derivation of an answer: what is differentiated, its differential, the derivative read off.

A second derivative differentiates the first again; constraints, entries and layouts come last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from wrt import notation
from wrt.algebra import expand, flat_form, normal_form, settled
from wrt.algebra.conjugation import bar, frozen
from wrt.answers.derivation.lines import Derivation, Line, in_terms_of
from wrt.answers.derivation.proving import line_errors
from wrt.answers.derivation.rules import constraint_rule, gathering_rule, reading_rule
from wrt.answers.parts import contracted, fresh, swept
from wrt.calculus import constraint, free_derivative
from wrt.expression import build
from wrt.expression.dataclass import dataclass, replace
from wrt.expression.nodes import Apply, Node, Variable
from wrt.expression.walk import postorder
from wrt.notation.differential import entries as in_entries
from wrt.notation.differential import sentence

if TYPE_CHECKING:
    from wrt.answers.answer import Derivative
    from wrt.language import Wanted

__all__ = ["Step", "in_latex", "steps"]

_INDEX = (notation.index, notation.latex_index)

#: More functions than this are no derivation that anybody reads.
MOST_PARTS = 40


@dataclass(frozen=True)
class Step:
    """One line of a derivation, the name of its rule, and its largest error in numbers.

    `text` is a sentence of the language but for `d(…)`, the change of what stands in the brackets;
    `latex` the same line in LaTeX.
    """

    text: str
    rule: str
    error: float = 0.0
    latex: str = ""


def steps(D: Derivative, names: Sequence[str]) -> tuple[Step, ...]:
    """The derivation line by line, every line proved in numbers; the last one is the answer.

    Raises CheckFailed where a line is wrong.

    >>> from wrt.answers import derivative
    >>> for step in derivative("norm2(A*x - b)^2", "x").steps():
    ...     print(step.text.ljust(30), step.rule)
    f = r'*r where r = A*x - b     norm2(u)^2 is u'*u
    df = 2*(r'*dr)                 d(u'*u) = 2*u'*du
    df = 2*(r'*A*dx)               dr = A*dx
    D = 2*A'*(A*x-b)               df = D'*dx
    """
    functions = sum(isinstance(n, Apply) for n in postorder(D.f))
    if D.is_huge or functions > MOST_PARTS:
        what = f"{functions} functions" if functions > MOST_PARTS else "the formula is long"
        return (Step(f"{what}: too many to write out", ""),)
    found: list[Step] = []
    for order in range(len(D.wanted)):
        one = _Order(D, order, names)
        found += one.steps()
        if one.is_nothing:
            break
    return tuple(found)


_SIGNS = str.maketrans({"^": r"\^{}", "_": r"\_", "&": r"\&", "%": r"\%", "#": r"\#"})


def in_latex(steps: Sequence[Step]) -> str:
    """A derivation as LaTeX, `=` under `=`, the rules beside the lines.

    >>> from wrt.answers import derivative
    >>> print(in_latex(derivative("a'*x", "x").steps()))
    \\begin{aligned}
    \\mathrm{d}f &= a^\\top \\mathrm{d}x && \\text{linear in x} \\\\
    D &= a && \\text{df = D'*dx}
    \\end{aligned}
    """
    lines = []
    above = ""
    for step in steps:
        left, _, right = step.latex.partition(" = ")
        if step.latex:
            shown = "" if left == above else f"{left} "
            lines.append(f"{shown}&= {right} && \\text{{{step.rule.translate(_SIGNS)}}}")
        above = left
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}" if lines else ""


class _Order:
    """The steps of one differentiation: of the formula, or of the derivative so far."""

    def __init__(self, D: Derivative, order: int, names: Sequence[str]) -> None:
        self.D, self.order, self.names = D, order, names
        self.convention = D.convention or "projected"
        self.by = [one.by for one in D.wanted]
        self.taken = {*names, *(f"d{name}" for name in names)}
        self.left = fresh("fFhy" if not order else "gHTK"[min(order, 4) - 1 :], self.taken)
        given = D.f if not order else settled(self._whole(order))
        self.given, self.x, self.held = _held(given, D.wanted[order])
        self.is_nothing = self.x not in self.given.names
        self.is_last = self.is_nothing or order == len(self.by) - 1
        self.axes = (given.ndim, self.x.ndim)

    def _whole(self, order: int) -> Node:
        """The derivative by the first so many variables, whole."""
        if order == len(self.by):
            return self.D.whole
        return normal_form(swept(self.D.f, self.by[:order], self.convention))

    def steps(self) -> Iterator[Step]:
        """The lines of this differentiation."""
        if self.is_nothing:
            name = self.D.wanted[self.order].text.strip()
            why = f"{self.left} does not depend on {name}"
            yield Step(f"d{self.left} = 0", why, 0.0, rf"\mathrm{{d}}{self.left} = 0")
            left, text, latex = _answer(self.D)
            yield Step(f"{left} = {text}", "no change, so no derivative", 0.0, latex)
            return
        row = self.D.question.row and not self.order
        asked = self.D.f if not self.order else None
        made = Derivation(
            self.given, self.x, self.left, self.names, given=asked, row=row, held=self.held
        )
        free = free_derivative(normal_form(made.f), self.x)
        later = self._later()
        letters = self._letters(len(later))
        lines = [*made.lines, *self._gathered(made, free)]
        lines.append(self._read(made, free, letters, lines[-1]))
        errors = line_errors(lines, made, free)
        yield from map(_ending, map(_step, lines, errors))
        for (node, rule), letter, before in zip(later, letters[1:], letters, strict=False):
            left, text, latex = self._said(letter, node, letter == letters[-1])
            error = self.D.check().error
            yield _ending(Step(f"{left} = {text}", rule.replace("@", before), error, latex))

    # From the differential to the derivative

    def _gathered(self, made: Derivation, free: Node) -> list[Line]:
        """The differential with the change of x behind everything else, where that says more."""
        last = made.lines[-1]
        node = contracted(free, made.change)
        known = dict(pair for part, v in made.known.items() for pair in _forms(part, v))
        named = settled(in_terms_of(settled(free), known))
        said = made.gathered(named)
        if said is None:
            return self._components(made, named, last)
        if said.text.replace(" ", "") == last.text.replace(" ", ""):
            return []
        rule = gathering_rule(last.text, said.text, made.change.name, self.axes)
        if made.row and self.axes[0] == 1:
            last, rule = replace(last, left=f"{last.left}'"), "as a column"
        return [replace(last, text=said.text, latex=said.latex, rule=rule, node=node)]

    def _components(self, made: Derivation, named: Node, last: Line) -> list[Line]:
        """The differential entry by entry, for answers of three axes and more."""
        if not self.axes[0]:
            return []
        names = (*self.names, *made.meaning, made.change.name)
        name = last.left.partition("[")[0]
        said = in_entries(named, self.axes[0], made.change, name, names)
        if said is None:
            whole = flat_form(made.last)
            text, shown = (say(whole, name, names=names) for say in _INDEX)
            if text is None or shown is None:
                return []
            left, _, right = text.partition(" = ")
            said = left, right, shown.partition(" = ")[2]
        left, text, latex = said
        if (left, text) == (last.left, last.text):
            return []
        latex = made.in_latex(latex)
        rule = "entry by entry; over repeated letters is summed"
        return [replace(last, left=left, text=text, latex=latex, rule=rule)]

    def _read(self, made: Derivation, free: Node, stages: Sequence[str], last: Line) -> Line:
        """The derivative by x, all its entries free, read off the differential."""
        left, text, latex = self._said(stages[0], free, len(stages) == 1)
        is_sum = "sum(" in last.text and "tr(" not in last.text
        answer = left.partition("[")[0]
        letters = left[:-1].partition("[")[2].split(",")[-self.axes[1] :] if "[" in left else []
        change = f"{made.change.name}[{','.join(letters)}]" if letters else made.change.name
        rule = reading_rule(last.left.partition("[")[0], answer, change, self.axes, is_sum)
        node = contracted(free, made.change)
        return Line(left, text, latex.partition(" = ")[2], rule, node, made.f, True)

    def _later(self) -> list[tuple[Node, str]]:
        """What is done with the free derivative, and its rule; @ is its name."""
        found = []
        rules = constraint(self.x)
        if rules:
            found.append((self._whole(self.order + 1), constraint_rule(rules, self.convention)))
        if self.is_last and any(one.selection for one in self.D.wanted):
            entries = " and ".join(w.text.strip() for w in self.D.wanted if w.selection)
            found.append((self.D.plain, f"of @ the entries by {entries}"))
        if self.is_last and self.D.layout:
            found.append((self.D.formula, f"@ in the layout {self.D.layout}"))
        return found

    def _letters(self, later: int) -> list[str]:
        """Names for the derivative, and for what is made of it."""
        final = "D" if self.is_last else _Order(self.D, self.order + 1, self.names).left
        kept = [c for c in ("G", "P", "Q", "G1", "G2", "G3") if c not in self.taken]
        return [*kept[:later], final]

    def _said(self, letter: str, node: Node, is_final: bool) -> tuple[str, str, str]:
        """A derivative as text: left side, right side, LaTeX of the whole."""
        if is_final and self.is_last:
            return _answer(self.D)
        said = sentence(settled(node), names=self.names)
        if said is not None:
            return letter, said.text, f"{letter} = {said.latex}"
        groups = (self.D.f.ndim, *(x.ndim for x in self.by[: self.order]))
        flat = settled(node)
        text = notation.index(flat, letter, split=groups, names=self.names) or f"{letter} = …"
        latex = notation.latex_index(flat, letter, split=groups, names=self.names) or text
        left, _, right = text.partition(" = ")
        return left, right, latex


def _answer(D: Derivative) -> tuple[str, str, str]:
    """The answer as it is printed."""
    latex = D.latex() or ""
    if D.matrix is not None:
        return "D", D.matrix, f"D = {latex}"
    left, _, text = (D.index or f"D = {D.einsum}").partition(" = ")
    return left, text, latex


def _forms(part: Node, name: Variable) -> list[tuple[Node, Node]]:
    """A part, and its negative, as they may stand in a formula in normal form; what to say."""
    forms = (part, flat_form(part), settled(part))
    found: list[tuple[Node, Node]] = [(form, name) for form in forms]
    turned = build.negative(part)
    return found + [(flat_form(turned), build.negative(name)), (turned, build.negative(name))]


def _step(line: Line, error: float) -> Step:
    latex = f"{_left_in_latex(line.left)} = {line.latex}"
    return Step(f"{line.left} = {line.text}", line.rule, error, latex)


def _ending(step: Step) -> Step:
    """A step; where no notation says the answer, that."""
    if not step.text.endswith(" = None"):
        return step
    said = f"{step.text.removesuffix(' = None')} has no short form"
    return replace(step, text=said, latex="")


def _left_in_latex(left: str) -> str:
    """The left side of a line: `\\mathrm{d}f_{ij}` for df[i,j]."""
    word, _, indices = left.rstrip("'").partition("[")
    is_change = len(word) > 1 and word[0] == "d"
    name = Variable(word[1:] if is_change else word, ())
    mark = f"_{{{indices[:-1].replace(',', '')}}}" if indices else ""
    turned = r"^\top" if left.endswith("'") else ""
    sign = r"\mathrm{d}" if is_change else ""
    return f"{sign}{notation.latex(name)}{mark}{turned}"


def _held(given: Node, wanted: Wanted) -> tuple[Node, Variable, dict[Variable, Node]]:
    """The formula with a complex variable and its conjugate as two variables; that by which."""
    variable = wanted.variable
    if not wanted.is_complex:
        return given, variable, {}
    f, other = frozen(expand(given), variable)
    return f, other if wanted.conjugate else variable, {other: bar(variable)}
