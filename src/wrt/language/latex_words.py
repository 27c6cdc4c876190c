r"""The commands of LaTeX that formulas are written with, as tables; reading them is elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from wrt.language.lexer import GREEK

__all__ = [
    "ACCENTS",
    "COMMANDS",
    "ENVIRONMENTS",
    "FONTS",
    "GREEK_COMMANDS",
    "IGNORED",
    "MATRICES",
    "REFUSED",
    "SIZING",
    "WORDS",
]

_VARIANTS = ("epsilon", "theta", "phi", "rho", "sigma", "kappa")

#: Greek letters by command, in the spelling of the text language.
GREEK_COMMANDS: Mapping[str, str] = MappingProxyType(
    {word: word for word in GREEK.values()}
    | {"var" + word: word for word in _VARIANTS}
    | {"var" + word: word for word in GREEK.values() if word[0].isupper()}
    | {"varpi": "pi", "ell": "l", "imath": "i", "jmath": "j"}
)

#: What only moves, sizes or spaces a formula.
IGNORED = frozenset(
    ", ; : ! > / quad qquad thinspace medspace thickspace negthinspace enspace displaystyle"
    " textstyle scriptstyle scriptscriptstyle limits nolimits nonumber notag mathstrut strut"
    " left right middle allowbreak nobreak hfill noindent ( ) [ ] relax boldmath".split()
) | {" "}

SIZING = frozenset(
    "big Big bigg Bigg bigl bigr bigm Bigl Bigr Bigm biggl biggr biggm Biggl Biggr Biggm".split()
)

#: Environments that only number or align lines.
ENVIRONMENTS = frozenset(
    "equation align aligned alignat gather gathered split multline displaymath".split()
) | {"math", "eqnarray"}

#: Environments that are matrices; the determinant of one.
MATRICES = frozenset("matrix bmatrix pmatrix Bmatrix smallmatrix array vmatrix".split())

#: Fonts whose argument is a formula in that type: the kind of type.
FONTS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys("mathbf boldsymbol bm pmb symbf mathbfit vb symbfit".split(), "bold")
    | {"bf": "bold", "cal": "script", "it": "plain", "sf": "plain", "tt": "plain"}
    | dict.fromkeys("mathcal mathscr mathfrak".split(), "script")
    | {"mathbb": "blackboard"}
    | dict.fromkeys("mathrm mathit mathsf mathtt mathnormal rm symup".split(), "plain")
)

#: Accents and the ending that they give to a name; an arrow says no more than that it is a vector.
ACCENTS: Mapping[str, str] = MappingProxyType(
    {
        "hat": "_hat",
        "widehat": "_hat",
        "bar": "_bar",
        "tilde": "_tilde",
        "widetilde": "_tilde",
        "dot": "_dot",
        "ddot": "_ddot",
        "check": "_check",
        "breve": "_breve",
        "vec": "",
    }
)

#: Functions with a command of their own or one that papers define, and the word of the language.
WORDS: Mapping[str, str] = MappingProxyType(
    {w: w for w in "sin cos tan arcsin arccos arctan sinh cosh tanh exp log det max min".split()}
    | {"ln": "log", "Tr": "tr", "tr": "tr", "trace": "tr", "Trace": "tr", "diag": "diag"}
    | {"sgn": "sign", "sign": "sign", "rank": "rank", "Diag": "diag", "Vec": "vec"}
    | {"arctg": "arctan", "tg": "tan", "lg": "log10", "cot": "cot", "sec": "sec", "csc": "csc"}
    | {"Re": "real", "Im": "imag"}
    | {"coth": "coth", "Det": "det", "lse": "logsumexp", "LSE": "logsumexp"}
)

#: Signs: the command and the token of the language that it is.
_SIGNS = {
    "cdot": "*",
    "times": "*",
    "ast": "*",
    "bullet": "*",
    "circ": "⊙",
    "odot": "⊙",
    "otimes": "⊗",
    "oslash": "⊘",
    "div": "/",
    "over": "over",
    "backslash": "solve",
    "setminus": "solve",
    "{": "(",
    "}": ")",
    "lbrace": "(",
    "rbrace": ")",
    "lbrack": "[",
    "rbrack": "]",
    "lparen": "(",
    "rparen": ")",
    "langle": "⟨",
    "rangle": "⟩",
    "vert": "|",
    "mid": "|",
    "Vert": "‖",
    "|": "‖",
    "parallel": "‖",
    "lvert": "open |",
    "rvert": "close |",
    "lVert": "open ‖",
    "rVert": "close ‖",
    "top": "⊤",
    "intercal": "⊤",
    "transpose": "⊤",
    "dagger": "†",
    "dag": "†",
    "prime": "'",
    "colon": ":",
    "coloneqq": "=",
    "triangleq": "=",
    "equiv": "=",
    "in": "in",
    "\\": "\\\\",
    "newline": "\\\\",
    "_": "underscore",
    "infty": "infty",
    "sum": "sum",
    "prod": "prod",
    "frac": "frac",
    "dfrac": "frac",
    "tfrac": "frac",
    "cfrac": "frac",
    "nicefrac": "frac",
    "sfrac": "frac",
    "sqrt": "sqrt",
    "overline": "overline",
}

#: What stands in papers but is no part of a formula that can be differentiated, and why.
REFUSED: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        ("partial", "nabla"),
        "a formula stands here; name the variable of the derivative after it",
    )
    | dict.fromkeys(
        (
            "underbrace",
            "overbrace",
            "underset",
            "overset",
            "stackrel",
            "underline",
            "overrightarrow",
        ),
        "is a remark on a formula and no part of it; leave it out",
    )
    | dict.fromkeys(
        ("dots", "cdots", "ldots", "vdots", "ddots", "dotsc", "dotsb"),
        "leaves out what is meant; say it as a sum over an index, or by a matrix",
    )
    | dict.fromkeys(("int", "iint", "oint", "lim", "limsup", "liminf"), "is not known here")
    | dict.fromkeys(
        ("arg", "argmin", "argmax", "sup", "inf", "mathop"),
        "has no formula that could be differentiated",
    )
    | dict.fromkeys(
        ("le", "leq", "ge", "geq", "neq", "ne", "approx", "sim", "propto", "to", "mapsto"),
        "is no part of a formula; the right side alone is",
    )
    | dict.fromkeys(
        ("begingroup", "def", "newcommand", "renewcommand", "let", "input", "include", "write"),
        "is not read: no macros, only formulas",
    )
    | {
        "oplus": "is not known here; + adds",
        "star": "is not known here; * multiplies, \\odot entry by entry",
        "pm": "means two formulas; write + or -",
        "mp": "means two formulas; write + or -",
        "wedge": "is not known here",
        "cases": "is not known here; step, max and abs make such functions",
        "color": "is not read: leave colours out",
        "textcolor": "is not read: leave colours out",
    }
)

#: Every command that is known, and the kind of token that it makes.
COMMANDS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(FONTS, "font")
    | dict.fromkeys(ACCENTS, "accent")
    | dict.fromkeys(WORDS, "word")
    | dict.fromkeys(REFUSED, "refused")
    | dict.fromkeys(
        ("text", "textrm", "textit", "textbf", "textsf", "texttt", "mbox", "operatorname"), "raw"
    )
    | dict.fromkeys(("begin", "end"), "environment")
    | dict.fromkeys(GREEK_COMMANDS, "letter")
    | dict.fromkeys((w for w in (*IGNORED, *SIZING) if w.isalpha()), "ignored")
    | _SIGNS
)
