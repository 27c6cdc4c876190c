"""The functions of the book inside a program: by their name in the array library, or written out.

A record whose text is one `return` is written in place; a longer one becomes a helper above the
program.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from textwrap import dedent
from typing import Any

from wrt.errors import ValueMistake
from wrt.expression.function import Function
from wrt.programs import code as py
from wrt.programs.backends import Backend
from wrt.programs.code import Code
from wrt.programs.names import identifier
from wrt.programs.translation import program_of

__all__ = ["Helpers", "Put"]

SCIPY = re.compile(r"(?<!jax\.)\bscipy\.([a-z]\w*)\.")
REDUCTION = re.compile(r"def (\w+)\((\w+)\):\s+return ([\w.]+)\(\2, (?:axis|dim)=-1\)")


#: numpy multiplies Y.T @ Y by symmetry; weights of both signs are two such products
GRAM = """\
def weighted_gram(X, d):
    \"\"\"X.T @ diag(d) @ X by symmetric products, at half the cost of a plain one.\"\"\"
    Y = np.sqrt(np.abs(d))[:, None] * X
    negative = d < 0
    if not negative.any():
        return Y.T @ Y
    plus, minus = Y[~negative], Y[negative]
    return plus.T @ plus - minus.T @ minus"""


#: rows whose distance is a power of two share cache lines: columns are copied together first
ADD_TRANSPOSED = """\
def add_transposed(A, B, add=np.add):
    \"\"\"A + B.T; columns of B are copied side by side, for far apart they are slow to read.\"\"\"
    out = np.empty(A.shape, np.result_type(A, B))
    strip = np.empty((len(B), 72), B.dtype)
    for i in range(0, len(A), 64):
        columns = strip[:, : min(64, len(A) - i)]
        columns[:] = B[:, i : i + 64]
        add(A[i : i + 64], columns.T, out=out[i : i + 64])
    return out"""


class Helpers:
    """The helpers that one program needs, and the imports of what they say."""

    def __init__(self, backend: Backend, taken: Iterable[str]) -> None:
        self.backend, self.taken = backend, set(taken)
        self.texts: dict[str, str] = {}
        self.imports: dict[str, None] = {}
        #: the names of helpers by their texts: of one word there is a text for complex entries too
        self._names: dict[str, str] = {}

    def is_text(self, function: Function) -> bool:
        """Whether a function is given by the text of a `def`."""
        return program_of(function, self.backend.name).lstrip().startswith("def ")

    def reduction(self, function: Function) -> Code | None:
        """The function of the array library that a record calls along one last axis, and only that.

        Without an axis it takes all entries, which is the same of the entries laid out as one axis.
        """
        text = program_of(function, self.backend.name)
        match = REDUCTION.fullmatch(dedent(text).strip()) if self.is_text(function) else None
        return py.text(match.group(3)) if match else None

    def call(
        self, function: Function, arguments: Sequence[Code], over_complex: bool = False
    ) -> Code:
        """The call of a function, of complex numbers by a text of its own; ValueMistake where it
        has nothing to run.
        """
        if not function.defined:
            return py.call(py.name(identifier(function.name)), *arguments)
        text = program_of(function, self.backend.name, over_complex)
        if not text:
            raise ValueMistake(f"{function.name} has no program for {self.backend.name}")
        self.imports.update(dict.fromkeys(f"import scipy.{m}" for m in SCIPY.findall(text)))
        if re.search(r"\bjax\.", text):
            self.imports["import jax"] = None
        if not text.lstrip().startswith("def "):
            known = text.startswith(("scipy.", "jax."))
            dotted = text if known else f"{self.backend.library.alias}.{text}"
            return py.call(py.text(dotted), *arguments)
        inlined = self._inlined(text, arguments)
        return inlined or py.call(py.name(self._helper(text, function.doc)), *arguments)

    def gram(self) -> str:
        """The name of the helper for X' diag(d) X."""
        return self._helper(GRAM)

    def add_transposed(self) -> str:
        """The name of the helper that adds a transpose by strips."""
        return self._helper(ADD_TRANSPOSED)

    def system(self, text: str) -> str:
        """The name of a helper that factorises or solves."""
        self.imports.update(dict.fromkeys(f"import scipy.{m}" for m in SCIPY.findall(text)))
        return self._helper(text)

    def _helper(self, text: str, doc: str = "") -> str:
        """The name of a helper, its text put above the program; it says what it is."""
        if text not in self._names:
            plain = _told(dedent(text).strip(), doc)
            word = re.match(r"def (\w+)", plain)
            assert word, plain
            name = given = word.group(1)
            while name in self.taken:
                name += "_"
            self.taken.add(name)
            self._names[text] = name
            self.texts[name] = re.sub(rf"(?<![\w.]){given}(?=\()", name, plain)
        return self._names[text]

    def _inlined(self, text: str, arguments: Sequence[Code]) -> Code | None:
        """The one expression that a helper returns, with the arguments in it."""
        returned = _returned(text)
        if returned is None:
            return None
        words, value, said, width = returned
        values = dict(zip(words, arguments, strict=True))
        for word, code in values.items():
            if said.count(word) > 1 and not isinstance(code.expr, ast.Name):
                return None
            width += said.count(word) * (code.width - len(word))
        return Code(_filled(value, values), width, 1 + sum(c.weight for c in arguments))


def _told(text: str, doc: str) -> str:
    """The text of a `def` with a docstring, where it has none."""
    head, line, body = text.partition(":\n")
    body = body.lstrip("\n")  # a function inside one may stand apart
    inside = body[: len(body) - len(body.lstrip(" "))]
    if not doc or body.lstrip().startswith('"""'):
        return text
    safe = doc.strip().replace("\\", "\\\\").replace('"""', "'''")
    return f'{head}{line}{inside}"""{safe}"""\n{body}'


@lru_cache(maxsize=512)
def _returned(text: str) -> tuple[list[str], ast.expr, list[str], int] | None:
    """The arguments of a helper, the one expression that it returns, the names in it, its width."""
    (function,) = ast.parse(dedent(text)).body
    assert isinstance(function, ast.FunctionDef)
    lines = [s for s in function.body if not _is_text(s)]
    if len(lines) != 1 or not isinstance(lines[0], ast.Return) or lines[0].value is None:
        return None
    value = lines[0].value
    words = [a.arg for a in function.args.args]
    return words, value, [n.id for n in py.names(value)], len(ast.unparse(value))


def _filled(tree: Any, values: Mapping[str, Code]) -> Any:
    """A copy of a tree of syntax with expressions in the place of names."""
    if isinstance(tree, ast.Name):
        known = values.get(tree.id)
        return ast.Name(tree.id, tree.ctx) if known is None else known.expr
    if isinstance(tree, list):
        return [_filled(part, values) for part in tree]
    if not isinstance(tree, ast.AST):
        return tree
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        inner = _filled(tree.operand, values)
        if isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.USub):
            return inner.operand
        return ast.UnaryOp(tree.op, inner)
    return type(tree)(**{name: _filled(part, values) for name, part in ast.iter_fields(tree)})


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


class Put(ast.NodeTransformer):
    """Expressions in the place of names."""

    def __init__(self, values: dict[str, Code]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """A name, or what stands for it."""
        return self.values[node.id].expr if node.id in self.values else node
