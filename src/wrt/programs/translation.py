"""The functions of the book in the words of other array libraries.

A record says its program once, with NumPy's words; for JAX these words are the same, and for
PyTorch a table says which differ. Where another library has a better word of its own the record
says that too (`array` as a mapping).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import lru_cache
from textwrap import dedent
from types import MappingProxyType

from wrt.expression.function import Function

__all__ = ["program_of"]

#: NumPy's word and PyTorch's, where they differ.
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "max": "amax",
        "min": "amin",
        "power": "pow",
        "take_along_axis": "take_along_dim",
        "concatenate": "cat",
        "broadcast_arrays": "broadcast_tensors",
        "linalg.norm": "linalg.vector_norm",
    }
)
KEYWORDS: Mapping[str, str] = MappingProxyType({"axis": "dim", "keepdims": "keepdim"})
#: What makes a new array, which is told its type and its device.
NEW = frozenset({"eye", "arange", "zeros", "ones"})


@lru_cache(maxsize=1024)
def program_of(function: Function, backend: str, over_complex: bool = False) -> str:
    """The name or the `def` of a function for an array library; "" where there is none.

    A text that a record gives for a library is right for complex numbers too; NumPy's has a
    twin for them.
    """
    own = {} if isinstance(function.array, str) else function.array
    along = function.analytic if over_complex and isinstance(function.analytic, str) else ""
    text = own.get(backend, "") if backend != "numpy" else along
    text = text or along or function.code("numpy")
    if backend == "jax":
        return re.sub(r"(?<!jax\.)\bscipy\.", "jax.scipy.", re.sub(r"\bnp\.", "jnp.", text))
    return _torch(text) if backend == "torch" else text


def _torch(text: str) -> str:
    if not text.lstrip().startswith("def "):
        text = text.removeprefix("scipy.")
        return WORDS.get(text, text)
    if not re.search(r"\b(np|scipy)\.", text):
        return text
    (function,) = ast.parse(dedent(text)).body
    assert isinstance(function, ast.FunctionDef)
    return ast.unparse(_Torch(function.args.args[0].arg).visit(function))


class _Torch(ast.NodeTransformer):
    """NumPy's words as PyTorch's; new arrays are of the type and on the device of `like`."""

    def __init__(self, like: str) -> None:
        self.like = like

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """A word of the library by itself."""
        dotted = ast.unparse(node)
        library, _, word = dotted.partition(".")
        if library not in ("np", "scipy"):
            self.generic_visit(node)
            return node
        return _parsed(f"torch.{WORDS.get(word, word)}")

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """A call, its keywords as PyTorch says them."""
        word = ast.unparse(node.func).removeprefix("np.")
        if word == "block":
            joined: ast.expr = self.visit(_parsed(_cat(node.args[0])))
            return joined
        self.generic_visit(node)
        for keyword in node.keywords:
            keyword.arg = KEYWORDS.get(keyword.arg or "", keyword.arg)
        said = {k.arg: k for k in node.keywords}
        if word == "linalg.svd" and "compute_uv" in said:
            return ast.Call(_parsed("torch.linalg.svdvals"), node.args, [])
        if word in ("std", "var"):
            node.keywords.append(ast.keyword("correction", ast.Constant(0)))
        if word in NEW:
            if "dtype" not in said and word != "arange":
                node.keywords.append(ast.keyword("dtype", _parsed(f"{self.like}.dtype")))
            elif "dtype" in said and ast.unparse(said["dtype"].value) == "bool":
                said["dtype"].value = _parsed("torch.bool")
            node.keywords.append(ast.keyword("device", _parsed(f"{self.like}.device")))
        return node


def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _cat(rows: ast.expr) -> str:
    """`[[a, b], [c, d]]` as rows laid side by side and then below each other."""
    assert isinstance(rows, ast.List)
    said = [f"np.concatenate({ast.unparse(row)}, axis=-1)" for row in rows.elts]
    return f"np.concatenate([{', '.join(said)}], axis=-2)"
