"""The one table of operators: how each is written, how tightly it binds, how it is printed.

The parser reads it, the printers write by it; nothing else knows a precedence.
"""

from __future__ import annotations

from types import MappingProxyType

from wrt.expression.dataclass import dataclass

__all__ = ["INFIX", "OPERATORS", "PREFIX", "SUPERSCRIPTS", "Operator"]


@dataclass(frozen=True)
class Operator:
    """One operator of the language.

    >>> INFIX["⊙"].name, INFIX["⊙"].plain, INFIX["*"].binds > INFIX["+"].binds
    ('entry_times', '.*', True)
    """

    name: str
    #: Every way to type it; the first is the one printed in ASCII.
    spellings: tuple[str, ...]
    #: The larger, the tighter. Equal ones are read from the left.
    binds: int
    place: str
    #: LaTeX with {0} and {1} for the operands.
    latex: str
    #: Printed with spaces around it.
    spaced: bool = False

    @property
    def plain(self) -> str:
        """The ASCII spelling, which always reads back."""
        return self.spellings[0]


#: All operators, tightest first. Powers and transposes share a level, so X^2' is (X^2)'.
OPERATORS: tuple[Operator, ...] = (
    Operator("transpose", ("'", "’", "′", "ᵀ", "⊤"), 60, "postfix", r"{0}^\top"),
    Operator("adjoint", ("^H", "ᴴ", "†"), 60, "postfix", r"{0}^{{\mathsf H}}"),
    Operator("power", ("^",), 60, "infix", r"{0}^{{{1}}}"),
    Operator("entry_power", (".^",), 60, "infix", r"{0}^{{\circ {1}}}"),
    Operator("minus", ("-", "−"), 50, "prefix", "-{0}"),
    Operator("plus", ("+",), 50, "prefix", "{0}"),
    Operator("times", ("*", "@", "·", "⋅", "∙", "•", "×"), 40, "infix", r"{0} {1}"),
    Operator("divide", ("/", "÷"), 40, "infix", r"\frac{{{0}}}{{{1}}}"),
    Operator("solve", ("\\",), 40, "infix", r"{0}^{{-1}} {1}"),
    Operator("entry_times", (".*", "⊙", "∘"), 40, "infix", r"{0} \odot {1}"),
    Operator("entry_divide", ("./", "⊘"), 40, "infix", r"{0} \oslash {1}"),
    Operator("kron", ("⊗",), 30, "infix", r"{0} \otimes {1}", spaced=True),
    Operator("add", ("+",), 20, "infix", "{0} + {1}", spaced=True),
    Operator("subtract", ("-", "−"), 20, "infix", "{0} - {1}", spaced=True),
)


def _by_spelling(place: str) -> MappingProxyType[str, Operator]:
    return MappingProxyType({s: o for o in OPERATORS if o.place == place for s in o.spellings})


#: Infix and prefix operators by any of their spellings.
INFIX = _by_spelling("infix")
PREFIX = _by_spelling("prefix")

#: What a superscript character stands for after `^`.
SUPERSCRIPTS = MappingProxyType(dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+", strict=True)))
