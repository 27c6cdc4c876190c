"""Every example of README and CONTRIBUTING is run: what they show is what people get.

`python tests/test_docs.py` writes the real output of the commands into the pages; with `--lesson`,
that of examples/through_time.py and its pictures too.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import pytest

from wrt.apps.command import run
from wrt.expression.function import Function

ROOT = Path(__file__).resolve().parent.parent
LESSON = "docs/through-time.md"
PAGES = (
    "README.md",
    LESSON,
    "docs/structured.md",
    "docs/programs.md",
    "docs/json.md",
    "CONTRIBUTING.md",
)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
#: How large the largest error is depends on the machine's arithmetic.
ERROR = re.compile(r"largest error (\S+)")


def blocks(page: str, kind: str) -> list[str]:
    return [body for k, body in FENCE.findall((ROOT / page).read_text("utf-8")) if k == kind]


def commands(block: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output that is shown."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
    assert not parts[0].strip(), "a console block begins with a command"
    return [
        (command, shown.rstrip("\n"))
        for command, shown in zip(parts[1::2], parts[2::2], strict=True)
    ]


def output(command: str) -> str:
    """What a command prints at 80 columns, messages included."""
    word, *arguments = shlex.split(command)
    assert word == "wrt"
    said = io.StringIO()
    with (
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
        mock.patch.dict(os.environ, {"COLUMNS": "80"}),
    ):
        run(arguments)
    return said.getvalue().rstrip("\n")


def output_after_adding(record: str, into: str, command: str, folder: Path) -> str:
    """The same, by a copy of the package to whose list a record was added."""
    copy = folder / "src"
    if not copy.exists():
        shutil.copytree(ROOT / "src", copy, ignore=shutil.ignore_patterns("__pycache__"))
        book = copy.parent / into
        text = book.read_text("utf-8")
        head = re.search(r"^RECORDS.* = \($", text, re.MULTILINE)
        assert head, into
        book.write_text(f"{text[: head.end()]}\n{record.rstrip()},{text[head.end() :]}", "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "80", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command)],
        capture_output=True,
        encoding="utf-8",
        env=environment,
        timeout=60,
    )
    return (done.stdout + done.stderr).rstrip("\n")


def comparable(text: str) -> str:
    for error in ERROR.findall(text):
        assert float(error) < 1e-7, text
    return ERROR.sub("largest error …", text)


@pytest.mark.parametrize(
    ("command", "shown"),
    [c for page in PAGES[:-1] for b in blocks(page, "console") for c in commands(b)],
)
def test_pages_show_what_commands_print(command: str, shown: str) -> None:
    assert comparable(output(command)) == comparable(shown)


@pytest.mark.parametrize("page", PAGES[:-1])
def test_pages_show_what_python_prints(page: str) -> None:
    text = "\n".join(blocks(page, "python"))
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    found = doctest.DocTestParser().get_doctest(text, {}, page, page, 0)
    assert len(found.examples) > 3
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=flags).run(found, out=said.append)
    assert not result.failed, "".join(said)


def test_the_first_screen_shows_a_command_and_the_same_in_python() -> None:
    first = (ROOT / "README.md").read_text("utf-8").splitlines()[:36]
    assert "```console" in first
    assert ">>> import wrt" in first


def lesson(*options: str) -> str:
    """What the networks of the lesson print."""
    script = str(ROOT / "examples" / "through_time.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUTF8": "1"}
    command = [sys.executable, script, *options]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", env=environment, timeout=300
    )
    assert not done.returncode, done.stderr
    return done.stdout.rstrip("\n")


def table(text: str) -> list[list[str]]:
    """The lines, a sign for every number; what is said of a reach is a number too."""
    said = re.sub(r"\b(W|Wg) from \d+|\bnever\b", "#", text)
    return [re.sub(r"\d[\d.e+-]*", "#", line).split() for line in said.splitlines()]


def test_the_networks_of_the_lesson_learn(tmp_path: Path) -> None:
    pytest.importorskip("statsmodels")
    said = lesson("--steps", "25", "--pictures", str(tmp_path))
    (shown,) = blocks(LESSON, "text")
    assert table(said) == table(shown.partition("\n")[2])
    for text in (said, shown):
        losses = re.findall(r"^(?:Elman|GRU|LSTM) +(\d.*\d)$", text, re.MULTILINE)[:3]
        for row in losses:
            first, *_, last, unseen = map(float, row.split())
            assert last < first
        assert len(losses) == 3
    as_now = float(re.findall(r"as now +(\S+)", shown)[0])
    assert unseen < as_now
    for name in ("elman", "gru", "lstm"):
        drawn = (tmp_path / f"through-time-{name}.svg").read_text("utf-8")
        kept = (ROOT / "docs" / f"through-time-{name}.svg").read_text("utf-8")
        titles = [re.findall(r'class="title"[^>]*>([^<]*)<', one) for one in (drawn, kept)]
        assert titles[0] == titles[1]
        assert len(titles[0]) == 2


def added() -> tuple[str, str]:
    """The record that CONTRIBUTING adds, and the file that it names."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    (record,) = blocks("CONTRIBUTING.md", "python")
    named = re.search(r"`(src/wrt/functions/\w+\.py)`", text)
    assert named
    return record, named[1]


def test_a_record_added_as_contributing_says_works(tmp_path: Path) -> None:
    record, into = added()
    function = eval(record, {"Function": Function})
    shown = [c for b in blocks("CONTRIBUTING.md", "console") for c in commands(b)]
    for command, expected in [*shown, (f"wrt help {function.name}", "")]:
        said = output_after_adding(record, into, command, tmp_path)
        assert comparable(said) == comparable(expected) or not expected
    assert function.doc in said


def test_contributing_is_short() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text("utf-8").splitlines()) < 50


def test_the_changelog_has_a_place_for_what_is_new() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def refreshed(page: str, folder: Path) -> str:
    """A page with the real output of its commands."""

    def block(match: re.Match[str]) -> str:
        if match[1] == "text" and "--lesson" in sys.argv:
            said = lesson("--pictures", str(ROOT / "docs"))
            return f"```text\n$ python examples/through_time.py\n{said}\n```"
        if match[1] != "console":
            return match[0]
        told = ""
        for command, _ in commands(match[2]):
            said = (
                output(command)
                if page != "CONTRIBUTING.md"
                else output_after_adding(*added(), command, folder)
            )
            told += f"$ {command}\n{said}\n\n"
        return f"```console\n{told.rstrip()}\n```"

    return FENCE.sub(block, (ROOT / page).read_text("utf-8"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        for name in PAGES:
            text = refreshed(name, Path(temporary))
            (ROOT / name).write_text(text, "utf-8")


def keys(found: object) -> set[str]:
    """The names in an answer, but for those that people gave."""
    if isinstance(found, list):
        return set().union(*map(keys, found))
    if not isinstance(found, dict):
        return set()
    inner = {k: v for k, v in found.items() if k not in ("lines", "given", "sizes", "values")}
    return {*found}.union(*map(keys, inner.values()))


ELMAN = '"s[t]=tanh(W*s[t-1]+x[t]); L[t]=norm2(s[t])^2" W'


@pytest.mark.parametrize(
    ("section", "questions"),
    [
        (
            "wrt.answer/1",
            [
                '"W*x" W --direction V --plan --size n=3',
                '"norm2(x)^2" x x --code numpy --steps --at "x=[1,2]" --entry 1,1',
                '"x\'*A*x" x --claim "2*A*x"',
            ],
        ),
        ("wrt.answers/1", ['"x\'*A*x" --all --plan --code numpy']),
        (
            "wrt.recurrence/1",
            [
                f"recurrence {ELMAN} --plan --expand 2 --steps --code numpy",
                f"recurrence {ELMAN} --at W=[[1]] --at s0=[0] --at x=[[1],[2]]",
            ],
        ),
        ("wrt.check/1", ['check FILE:slip "x\'*x" x']),
    ],
)
def test_every_key_of_an_answer_is_told(
    section: str, questions: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hand.py").write_text("def slip(x):\n    return x\n", "utf-8")
    page = (ROOT / "docs" / "json.md").read_text("utf-8")
    told = set(re.findall(r"`(\w+)`", page))
    (here,) = (part for part in page.split("\n## ")[1:] if f"`{section}`" in part.splitlines()[0])
    own = re.findall(r"^\| (`.*?) \|", here, re.MULTILINE) or re.findall(
        r"^(`.*)", here, re.MULTILINE
    )
    wanted = set(re.findall(r"`(\w+)`", " ".join(own)))
    found: set[str] = set()
    for question in questions:
        run([*shlex.split(question.replace("FILE", str(tmp_path / "hand.py"))), "--json"])
        answer = json.loads(capsys.readouterr().out)
        found |= keys(answer)
    assert found <= told
    assert wanted <= found | {"wrt"}
