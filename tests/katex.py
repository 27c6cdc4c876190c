"""KaTeX itself, run by an embedded JavaScript engine: what it says of a formula."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import files
from pathlib import Path

from py_mini_racer import MiniRacer

_SAID = """
function said(text) {
  try { katex.renderToString(text, {strict: "error", throwOnError: true}); return ""; }
  catch (mistake) { return String(mistake.message); }
}
0"""


@contextmanager
def katex() -> Iterator[Callable[[str], str]]:
    """A function that gives what strict KaTeX finds wrong with a formula, "" for nothing."""
    found = next(f for f in files("sphinxcontrib-katex") or () if f.name == "katex.min.js")
    engine = MiniRacer()
    try:
        engine.eval(Path(str(found.locate())).read_text(encoding="utf-8") + ";0")
        engine.eval(_SAID)
        yield lambda text: str(engine.call("said", text))
    finally:
        engine.close()
