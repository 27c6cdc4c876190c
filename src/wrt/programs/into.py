"""Rows of arrays that are computed where they stand: `np.multiply(a, b, out=c[t])`.

A matrix that a step makes for a stack of them would be a new array first, and be copied then.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from wrt.programs import code as py
from wrt.programs.code import Code

__all__ = ["computed_into", "put"]

#: Operations entry by entry, by the words that take an array for what they make.
WORDS = {ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide"}


def put(row: Code, value: Code) -> ast.stmt:
    """`row[…] = value`.

    >>> ast.unparse(ast.fix_missing_locations(put(py.text("s[t]"), py.text("a * b"))))
    's[t] = a * b'
    """
    assert isinstance(row.expr, ast.Subscript)
    row.expr.ctx = ast.Store()
    return ast.Assign([row.expr], value.expr, lineno=0)


def computed_into(lines: Sequence[ast.stmt], row: Code, value: Code, alias: str) -> list[ast.stmt]:
    """The lines that put into a row what is computed entry by entry, here or in an earlier line.

    >>> first = py.assignment("c", py.text("a * b"))
    >>> computed_into([first], py.text("s[t]"), py.name("c"), "np")
    []
    >>> ast.unparse(ast.fix_missing_locations(first))
    'c = np.multiply(a, b, out=s[t])'
    """
    line = _naming(lines, value.expr)
    made = _into(value.expr if line is None else line.value, row, alias)
    if made is None:
        return [put(row, value)]
    if line is None:
        return [ast.Expr(made)]
    line.value = made
    return []


def _naming(lines: Sequence[ast.stmt], value: ast.expr) -> ast.Assign | None:
    """The line that gives a value its name."""
    for line in lines:
        if isinstance(line, ast.Assign) and isinstance(value, ast.Name):
            (target,) = line.targets
            if isinstance(target, ast.Name) and target.id == value.id:
                return line
    return None


def _into(value: ast.expr, row: Code, alias: str) -> ast.expr | None:
    """The call that computes a value in its place; None where it is no call of that kind."""
    out = [ast.keyword("out", row.expr)]
    if isinstance(value, ast.BinOp) and type(value.op) in WORDS:
        word = py.text(f"{alias}.{WORDS[type(value.op)]}")
        return ast.Call(word.expr, [value.left, value.right], out)
    if isinstance(value, ast.Call) and not value.keywords:
        if _takes_out(value.func, alias):
            return ast.Call(value.func, value.args, out)
    return None


def _takes_out(word: ast.expr, alias: str) -> bool:
    """Whether a word of NumPy's is one for functions of single entries."""
    import numpy as np

    if not isinstance(word, ast.Attribute) or ast.unparse(word.value) != alias:
        return False
    return isinstance(getattr(np, word.attr, None), np.ufunc)
