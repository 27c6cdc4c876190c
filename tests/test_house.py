"""The house: who may import whom, what an import loads, what is public, how long a file is."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest

import wrt
from wrt.answers.shown.views import VIEWS
from wrt.apps import options
from wrt.functions import BOOK

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "src" / "wrt").rglob("*.py"))
PUBLIC = [
    "Check",
    "Derivative",
    "Function",
    "GradientCheck",
    "Recurrence",
    "Verdict",
    "check_gradient",
    "derivative",
    "errors",
    "fill",
    "gradients",
    "matrix",
    "read",
    "recurrence",
    "scalar",
    "tensor",
    "vector",
]
#: Libraries that a formula does not need, and that `import wrt` must not cost.
HEAVY = ("numpy", "scipy", "opt_einsum", "jax", "torch", "click", "starlette", "IPython")


def python(code: str, timeout: float = 60) -> str:
    """What a new Python prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=timeout
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rooms_import_downwards_only() -> None:
    pytest.importorskip("importlinter")
    told = python(
        "import sys; from importlinter.cli import lint_imports; "
        "sys.exit(lint_imports(no_cache=True))"
    )
    assert re.search(r"Contracts: [1-9]\d* kept, 0 broken", told)


def test_importing_wrt_loads_no_array_library() -> None:
    loaded = python(f"import sys, wrt; print([m for m in {HEAVY} if m in sys.modules])")
    assert loaded.strip() == "[]"


def test_importing_wrt_loads_little_of_the_standard_library() -> None:
    unused = ("typing", "re", "enum", "hashlib", "fractions", "difflib")
    code = "import sys; had = set(sys.modules); import wrt; new = set(sys.modules) - had\n"
    assert python(f"{code}print([m for m in {unused} if m in new])").strip() == "[]"


def test_a_derivative_loads_no_hashes_and_no_near_words() -> None:
    code = "import sys; had = set(sys.modules); import wrt; wrt.derivative('W*x', 'W').index\n"
    code += "print([m for m in ('_hashlib', 'difflib') if m in set(sys.modules) - had])"
    assert python(code).strip() == "[]"


def test_rooms_are_found_in_the_package() -> None:
    assert python("import wrt; print(wrt.notation.__name__)").strip() == "wrt.notation"


def test_reading_and_deriving_load_no_array_library() -> None:
    code = "wrt.derivative('x*x', 'x', shapes={'x': ''}).shape"
    heavy = [name for name in HEAVY if name != "opt_einsum"]
    loaded = python(f"import sys, wrt; {code}; print([m for m in {heavy} if m in sys.modules])")
    assert loaded.strip() in ("[]", "['numpy']")  # equality of terms is decided by value


def test_an_answer_loads_no_room_that_it_does_not_need() -> None:
    unused = ("answers.claims.verdict", "answers.derivation.steps", "answers.structured.tensor")
    unused += ("language.latex_reader", "notation.latex_text", "programs.plan", "pictures.plots")
    run = "from wrt.apps.command import run; run(['W*x', 'W'])"
    told = python(f"import sys\n{run}\nprint([m for m in {unused} if 'wrt.' + m in sys.modules])")
    assert told.endswith("\n[]\n")


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT / "src")))
def test_a_module_is_short_documented_and_light(path: Path) -> None:
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    assert (ast.get_docstring(tree) or "").count(" ") > 1, "a module says what it is for"
    assert len(text.splitlines()) <= 620, "a file of about 600 lines at most"
    assert not [n for n in imported_at_once(tree) if n.partition(".")[0] in {*HEAVY} - {"click"}]


def imported_at_once(tree: ast.Module) -> list[str]:
    """What is imported when a module is, and not on use; `if TYPE_CHECKING` is not."""
    found: list[str] = []
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            found += [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            found.append(statement.module or "")
    return found


def test_click_is_met_at_the_doors_only() -> None:
    met = [p for p in SOURCES if "click" in imported_at_once(ast.parse(p.read_text("utf-8")))]
    assert {p.parent.name for p in met} == {"apps"}


def test_the_public_names_are_these() -> None:
    assert wrt.__all__ == PUBLIC
    assert all(getattr(wrt, name) is not None for name in PUBLIC)
    assert not set(PUBLIC) & set(BOOK) - {"matrix", "vector"}


def test_words_are_public_and_a_slip_is_told() -> None:
    assert wrt.tanh is BOOK["tanh"]
    with pytest.raises(AttributeError, match="did you mean"):
        _ = wrt.tahn


def test_installing_brings_four_packages_and_no_tools_for_tests() -> None:
    needed = [r for r in requires("wrt") or [] if "extra ==" not in r]
    names = {re.split(r"[<>=!~ ;\[]", r)[0].lower().replace("-", "_") for r in needed}
    assert names == {"numpy", "scipy", "opt_einsum", "click"}


def test_the_command_offers_all_views() -> None:
    assert options.VIEWS == VIEWS


def test_the_version_is_told_once() -> None:
    said = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.M)
    assert said
    assert said[1] == wrt.__version__
