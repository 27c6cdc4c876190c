"""The benchmarks: every system gives the same at small sizes, and what was measured is told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from benchmarks import accelerator, aims, chart, growth, kept, report, rows, tasks
from benchmarks.__main__ import main
from benchmarks.formulas import Formula
from benchmarks.machine import Rates
from benchmarks.timing import Spread, Times, alternating
from benchmarks.workloads import WORKLOADS

from wrt.expression.walk import postorder

#: What PyTorch says of itself when its maps of derivatives are loaded.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

SMALL = {"N": 11, "n": 8, "k": 2, "d": 3, "T": 5, "B": 3, "p": 6}
BY_NAME = {work.name: work for work in WORKLOADS}


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    """JAX as the benchmarks set it."""
    jax = pytest.importorskip("jax")
    pytest.importorskip("torch")
    with jax.enable_x64(True):
        yield


def small(work: tasks.Workload) -> tasks.Task:
    """A workload at sizes that are all different."""
    return work.task({name: SMALL[name] for name in work.sizes[0]})


@pytest.mark.parametrize("name", BY_NAME)
def test_every_system_gives_what_the_program_by_hand_gives(name: str) -> None:
    task = small(BY_NAME[name])
    wanted = task.hand.array(task.hand.run())
    assert np.abs(wanted).max() > 0
    assert not task.absent
    for system, make in {**task.ours, **task.peers}.items():
        program = make()
        found = program.array(program.run())
        tolerance = rows.TOLERANCE[task.dtype] * np.abs(wanted).max()
        assert found.shape == wanted.shape, system
        assert np.abs(found - wanted).max() <= tolerance, system


def test_names_and_kinds_tell_workloads_apart() -> None:
    assert len(BY_NAME) == len(WORKLOADS)
    assert {work.group for work in WORKLOADS} == set(tasks.GROUPS)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_workload_has_several_sizes_and_a_floor(name: str) -> None:
    work = BY_NAME[name]
    assert len(work.sizes) > 1
    assert work.quick is None or work.quick < len(work.sizes)
    assert {frozenset(sizes) for sizes in work.sizes} == {frozenset(work.sizes[0])}
    assert len({frozenset(sizes.items()) for sizes in work.sizes}) == len(work.sizes)
    first, twice = (work.task({d: SMALL[d] * k for d in work.sizes[0]}).floor for k in (1, 2))
    assert all(0 < a < b for a, b in zip(first, twice, strict=True))


def test_every_kind_has_quick_rows() -> None:
    quick = [work for work, _ in rows.chosen(True, "")]
    assert {work.group for work in quick} == set(tasks.GROUPS)
    assert len(quick) == len({work.name for work in quick})


def test_programs_are_chosen_by_name_or_by_kind() -> None:
    assert {work.name for work, _ in rows.chosen(False, "SOFTMAX")} == {"softmax Jacobian"}
    assert {work.group for work, _ in rows.chosen(False, "structured")} == {"structured"}
    assert not list(rows.chosen(False, "no such thing"))


@pytest.mark.parametrize("name", [w.name for w in WORKLOADS if isinstance(w, Formula)])
def test_a_question_is_asked_anew_with_other_names(name: str) -> None:
    work = BY_NAME[name]
    assert isinstance(work, Formula)
    sizes = {d: SMALL[d] for d in work.sizes[0]}
    values = work.values(sizes)
    found, called = [], []
    for answer in (work.asked_anew(), work.asked_anew(), work.answer()):
        function, names = tasks.function_of(answer, "numpy", sizes)
        called.append(set(names))
        found.append(function(*(values[re.sub(r"q\d+z", "", name)] for name in names)))
    assert not called[0] & called[1]
    assert not called[0] & called[2]
    want = tasks.as_arrays(found[2])
    for one in found[:2]:
        assert np.allclose(tasks.as_arrays(one), want, rtol=rows.TOLERANCE[work.dtype])


# Rows


def made_row(**changes: Any) -> rows.Row:
    """A row that was measured: ours takes 1 s, by hand 0.5 s, JAX 3 s."""
    given: dict[str, Any] = {
        "name": "softmax Jacobian",
        "group": "dense",
        "sizes": {"n": 1000},
        "dtype": "float64",
        "best": tasks.OURS,
        "hand": Spread(1.9, 2.0, 2.1),
        "seconds": {tasks.OURS: 1.0, rows.HAND: 0.5, "jax": 3.0},
        "ratios": {"jax": Spread(2.5, 3.0, 3.5)},
        "floor": 0.25,
        "absent": {"torch": tasks.TOO_LARGE},
    }
    return rows.Row(**{**given, **changes})


def program(value: Any) -> tasks.Program:
    return tasks.Program(lambda: value)


def task_of(hand: Any, ours: Any, **peers: Any) -> tasks.Task:
    makers = {name: (lambda value=value: program(value)) for name, value in peers.items()}
    return tasks.Task(
        "some",
        "dense",
        {"n": 2},
        program(hand),
        {tasks.OURS: lambda: program(ours)},
        makers,
        (1, 1),
    )


def test_a_row_has_its_ratios() -> None:
    one = np.ones(2)
    row, took = rows.measured(task_of(one, one, jax=one, torch=one), Rates(1e9, 1e9))
    assert set(row.seconds) == {tasks.OURS, rows.HAND, "jax", "torch"}
    assert set(row.ratios) == set(took) == {"jax", "torch"}
    assert row.best_peer is not None
    assert row.best_peer.median == min(s.median for s in row.ratios.values())
    assert row.floor == 8e-9
    assert json.loads(json.dumps(row.plain()))["best_peer"] == row.best_peer.median


def test_what_is_not_equal_is_not_timed() -> None:
    one = np.ones(2)
    with pytest.raises(AssertionError, match="some: wrt gives other numbers"):
        rows.measured(task_of(one, one + 1e-6), Rates(1e9, 1e9))
    with pytest.raises(AssertionError, match="some: jax gives other numbers"):
        rows.measured(task_of(one, one, jax=one * np.nan), Rates(1e9, 1e9))
    with pytest.raises(AssertionError, match=r"some: jax gives \(3,\), not \(2,\)"):
        rows.measured(task_of(one, one, jax=np.ones(3)), Rates(1e9, 1e9))


def test_who_does_not_take_part_is_told() -> None:
    one = np.ones(2)

    def missing() -> tasks.Program:
        raise ImportError("no module named jax")

    task = task_of(one, one, torch=one)
    task = tasks.Task(**{**vars(task), "peers": {**task.peers, "jax": missing}})
    row, _ = rows.measured(task, Rates(1e9, 1e9), {"torch"})
    assert row.absent == {"torch": rows.LATE, "jax": "ImportError: no module named jax"}
    assert row.best_peer is None
    (group,) = rows.summary([row]).values()
    assert f"left out: torch ({rows.LATE}): some  n=2" in group


def test_a_peer_that_would_be_late_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Slow:
        name, group, quick = "slow", "dense", 0
        sizes = ({"n": 1}, {"n": 100})

        def task(self, sizes: Any) -> tasks.Task:
            one = np.ones(2)
            made = task_of(one, one)

            def peer() -> tasks.Program:
                asked.append(sizes["n"])
                return program(one)

            changed = {"peers": {"jax": peer}, "floor": (sizes["n"] * 1e9, 1)}
            return tasks.Task(**{**vars(made), **changed})

    monkeypatch.setattr(rows, "WORKLOADS", [Slow()])
    monkeypatch.setattr(rows, "seconds", lambda work: 1.0)
    first, second = rows.rows(False, "", Rates(1e9, 1e9))
    assert asked == [1]
    assert (first.absent, second.absent) == ({}, {"jax": rows.LATE})


def test_the_summary_is_apart_for_each_kind() -> None:
    behind = made_row(group="structured", ratios={"jax": Spread(0.5, 0.5, 0.5)})
    whole = made_row(group="structured", ratios={"dense": Spread(8, 8, 8)}, hand=Spread(1, 1, 1))
    told = rows.summary([made_row(), behind, whole])
    assert told["dense"] == [
        "ahead of the best peer by 3.00× in the geometric mean, 3.00× at least",
        "2.00 times as long as by hand in the geometric mean, 2.00 at most",
        "more than 1.25 times as long as by hand: softmax Jacobian  n=1000",
        "left out: torch (too large for it): softmax Jacobian  n=1000",
    ]
    assert told["structured"][:4] == [
        "ahead of the best peer by 2.00× in the geometric mean, 0.50× at least",
        "ahead of the whole derivative by 8.00× in the geometric mean, 8.00× at most",
        "1.41 times as long as by hand in the geometric mean, 2.00 at most",
        "behind a peer: softmax Jacobian  n=1000",
    ]


def test_systems_take_turns() -> None:
    order: list[str] = []
    works = {name: (lambda name=name: order.append(name)) for name in "ab"}
    found = alternating(works, rounds=3)
    assert {name: len(took) for name, took in found.rounds.items()} == {"a": 3, "b": 3}
    turns = re.findall("a+|b+", "".join(order))
    assert len(turns) > 4


def test_ratios_are_within_a_round() -> None:
    times = Times({"a": [1.0, 10.0, 100.0], "b": [2.0, 20.0, 200.0]})
    assert times.ratio("b", "a") == Spread(2.0, 2.0, 2.0)
    assert times.median("a") == 10.0


# Growth


def test_the_exponent_of_a_power_is_found() -> None:
    assert growth.exponent([1, 10, 100], [3.0, 30.0, 300.0]) == pytest.approx(1)
    assert growth.exponent([2, 4, 8], [4.0, 16.0, 64.0]) == pytest.approx(2)


@pytest.mark.skipif(not hasattr(growth.signal, "setitimer"), reason="no alarm here")
def test_work_that_takes_too_long_is_stopped() -> None:
    def endless() -> None:
        while True:
            pass

    with pytest.raises(growth.Late):
        growth.limited(endless, 0.05)
    assert growth.limited(lambda: None, 10) < 10


@pytest.mark.parametrize("make", [*growth.DAGS.values(), growth.unrolled])
def test_formulas_of_any_length_are_derived(make: Any) -> None:
    assert make(3) is not None


@pytest.mark.parametrize("name", growth.DAGS)
def test_formulas_have_as_many_nodes_as_is_said(name: str) -> None:
    derived: Any = growth._of(name, growth.DAGS[name])(600)
    assert abs(len(list(postorder(derived.f))) - 600) <= 5


@pytest.mark.parametrize("name", growth.PROGRAMS)
def test_curves_are_of_workloads_that_are_there(name: str) -> None:
    point = {d: SMALL[d] for d in growth.PROGRAMS[name][0]}
    growth._workload(name).task(point).ours[tasks.OURS]().run()
    assert all(len(set(p)) == len(p) for p in map(dict.items, growth.PROGRAMS[name]))


# The page and the picture


def found(*more: rows.Row) -> dict[str, Any]:
    """A run with a row of every kind."""
    measured = [
        made_row(),
        made_row(name="RNN | a net", group="through time", seconds={"wrt": 1.2, "wrt, jax": 1e-4}),
        made_row(name="H · V", group="structured", ratios={"dense": Spread(900, 1234, 2000)}),
        *more,
    ]
    one = {"median": 0.001, "fastest": 0.0005, "slowest": 1.5}
    curve = {"sizes": [10, 1000], "seconds": [0.1, 10.0], "exponent": 1.0, "end": ""}
    return {
        "date": "2026-01-02",
        "machine": "a machine",
        "versions": {"python": "3.11"},
        "programs": {
            "rates": {"flops": 5e10, "bytes": 2e10},
            "rows": [json.loads(json.dumps(row.plain())) for row in measured],
            "summary": rows.summary(measured),
        },
        "deriving": {
            "reading": {"norm2(a|b)": one},
            "peers": {"wrt": one},
            "cases": {"asked first": {"median": 0.004, "slowest": 0.25}},
        },
        "growth": {
            "a chain": curve,
            "SymPy, a chain": {**curve, "exponent": None, "end": "3,000: RecursionError"},
        },
        "starts": {"import wrt": one},
    }


def test_the_page_tells_every_kind_apart() -> None:
    text = report.page(found())
    headings = re.findall(r"^#+ (.*)", text, re.M)
    assert headings == [
        "Benchmarks",
        "What was asked for, and what is reached",
        "Programs",
        "Dense answers",
        "Through time",
        "Structured answers",
        "On a GPU",
        "Deriving",
        "Reading",
        "Least squares, the gradient by x, with peers",
        "Growth",
        "Cold starts",
    ]
    assert "| softmax Jacobian | n = 1,000 | 1,000 | 3.00 (2.50–3.50) | 2.00 | 4.00 |" in text
    assert r"| RNN \| a net | n = 1,000 | 1,200 | 0.1 | 3.00 (2.50–3.50) | 2.00 | 4.80 |" in text
    assert "| H · V | n = 1,000 | 1,000 | 1,234 (900–2,000) | 2.00 | 4.00 |" in text
    assert "| SymPy, a chain | 10, 1,000; 3,000: RecursionError | 100, 10,000 | – |" in text
    assert "quick" not in text.splitlines()[2].rpartition(".")[0].partition(";")[0]


def test_every_table_of_the_page_is_whole() -> None:
    tables = re.findall(r"(?:^\|.*\n)+", report.page(found()), re.M)
    assert len(tables) == 8
    for table in tables:
        counts = {len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(counts) == 1, table


@pytest.mark.parametrize("part", ["programs", "deriving", "growth", "starts"])
def test_a_page_of_some_parts(part: str) -> None:
    some = {
        k: v for k, v in found().items() if k not in ("programs", "deriving", "growth", "starts")
    }
    text = report.page({**some, part: found()[part], "quick": True})
    assert "This is a quick run" in text
    assert len(re.findall(r"^## (?!What was asked for)", text, re.M)) == 1


def test_the_picture_has_a_bar_for_every_row_with_a_peer() -> None:
    behind = made_row(name="a < b & c", ratios={"jax": Spread(0.02, 0.03, 0.04)})
    alone = made_row(ratios={})
    root = ElementTree.fromstring(chart.chart(found(behind, alone)))
    space = "{http://www.w3.org/2000/svg}"
    bars = [bar for bar in root.iter(f"{space}rect") if "y" in bar.attrib]
    texts = [t.text or "" for t in root.iter(f"{space}text")]
    assert len(bars) == 4
    assert "a < b & c  n = 1,000" in texts
    assert {"Dense answers", "Through time", "Structured answers"} <= set(texts)
    assert [bar.get("class") for bar in bars].count("behind") == 1
    width = float(root.attrib["viewBox"].split()[2])
    for bar in bars:
        assert (
            0
            < float(bar.attrib["x"])
            <= float(bar.attrib["x"]) + float(bar.attrib["width"])
            < width
        )


def test_a_picture_of_nothing_is_one() -> None:
    for picture in (chart.chart, chart.curves):
        assert ElementTree.fromstring(picture({})).tag.endswith("svg")


def test_curves_go_up_with_their_exponents_beside_them() -> None:
    one = {"sizes": [10, 100, 1000], "seconds": [0.002, 0.02, 0.2], "exponent": 1.0, "end": ""}
    short = {**one, "sizes": [10], "seconds": [0.1], "exponent": None}
    growth = {"deriving a & b": one, "SymPy, a chain": short, "running c": {**one, "exponent": 2.5}}
    root = ElementTree.fromstring(chart.curves({"growth": growth}))
    space = "{http://www.w3.org/2000/svg}"
    lines = [line.attrib["points"] for line in root.iter(f"{space}polyline")]
    assert len(lines) == 2
    (x0, y0), (x1, y1), (x2, y2) = (map(float, p.split(",")) for p in lines[0].split())
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert y0 > y1
    texts = {t.text for t in root.iter(f"{space}text")}
    assert {"wrt, a & b: 1.00", "c: 2.50", "1 s", "1 ms", "1,000"} <= texts


# The command


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["--sections", "programs,nothing"],
            "'nothing' is none; programs, deriving, growth, starts",
        ),
        (["--threads", "0"], "'0' is no number of threads"),
        (["--threads", "few"], "'few' is no number of threads"),
        (["--only", "no such program"], "no program is called 'no such program'; there are"),
        (["--json", "no/such/folder/file.json"], "is no file in a folder that is there"),
    ],
)
def test_a_wrong_question_is_told_at_once(
    arguments: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.__main__.limit_threads", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def measured(section: str, options: Any, run: dict[str, Any]) -> None:
    """In place of measuring."""
    run[section] = found()[section]


def test_a_run_writes_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.__main__.limit_threads", lambda *_: None)
    monkeypatch.setattr("benchmarks.__main__.measure", measured)
    files = {word: tmp_path / f"bench.{word}" for word in ("json", "svg", "docs")}
    asked = [part for word, file in files.items() for part in (f"--{word}", str(file))]
    main(["--sections", "programs,growth", *asked])
    assert set(json.loads(files["json"].read_text())) >= {"programs", "growth", "machine"}
    assert files["svg"].read_text().startswith("<svg")
    assert (tmp_path / "bench-growth.svg").read_text().startswith("<svg")
    assert files["docs"].read_text().startswith("# Benchmarks\n")


# Runs that were written


def test_a_row_is_read_as_it_was_written() -> None:
    row = made_row()
    assert rows.Row.of(json.loads(json.dumps(row.plain()))) == row


def test_rows_of_several_runs_come_together_in_the_order_of_the_table() -> None:
    late, early = made_row(sizes={"n": 4000}), made_row(sizes={"n": 100})
    again = made_row(sizes={"n": 4000}, ratios={"jax": Spread(0.4, 0.5, 0.6)})
    first, second = found(), found()
    first["programs"] = kept.programs([late], {"flops": 1.0, "bytes": 1.0})
    second["programs"] = kept.programs([early, again], {"flops": 2.0, "bytes": 2.0})
    del first["growth"]
    joined = kept.joined([first, second])
    assert [row["sizes"]["n"] for row in joined["programs"]["rows"]] == [100, 4000]
    assert joined["programs"]["rows"][1]["best_peer"] == 0.5
    assert joined["programs"]["rates"]["flops"] == 2.0
    assert "behind a peer: softmax Jacobian  n=4000" in joined["programs"]["summary"]["dense"]
    assert joined["growth"] == found()["growth"]


def test_runs_that_were_not_measured_alike_are_not_joined() -> None:
    loaded = {**found(), "machine": "a machine, load 3.0 at the start"}
    assert kept.joined([found(), loaded])["machine"] == loaded["machine"]
    with pytest.raises(kept.Mixed, match="versions"):
        kept.joined([found(), {**found(), "versions": {"python": "3.12"}}])
    with pytest.raises(kept.Mixed, match="machine: a machine in one file, another in another"):
        kept.joined([found(), {**found(), "machine": "another"}])


def test_a_run_goes_on_where_it_broke_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("benchmarks.__main__.limit_threads", lambda *_: None)
    monkeypatch.setattr("benchmarks.__main__.described", lambda: "a machine, load 1.0 at the start")
    monkeypatch.setattr("benchmarks.__main__.versions", lambda: {"python": "3.11"})

    def measure(section: str, options: Any, run: dict[str, Any]) -> None:
        asked.append(section)
        measured(section, options, run)

    monkeypatch.setattr("benchmarks.__main__.measure", measure)
    file, page = tmp_path / "run.json", tmp_path / "page.md"
    main(["--sections", "growth", "--json", str(file)])
    main(["--sections", "growth,starts", "--from", str(file), "--json", str(file)])
    assert asked == ["growth", "starts"]
    main(["--sections", "growth,starts", "--from", str(file), "--docs", str(page)])
    assert asked == ["growth", "starts"]
    assert "## Growth" in page.read_text()
    assert "## Cold starts" in page.read_text()


def test_rows_that_are_there_are_not_measured_again() -> None:
    there = {rows.place(work, sizes) for work, sizes in rows.chosen(False, "")}
    assert len(there) == sum(len(work.sizes) for work in WORKLOADS)
    assert not list(rows.rows(False, "", Rates(1e9, 1e9), there))


def test_a_file_without_a_run_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.__main__.limit_threads", lambda *_: None)
    (tmp_path / "no.json").write_text("no run")
    with pytest.raises(SystemExit):
        main(["--from", str(tmp_path / "no.json")])
    assert "holds no run" in capsys.readouterr().err


# Aims


def told(**changes: Any) -> dict[str, aims.Aim]:
    """The aims of a run of one row, by their first words."""
    run = found()
    run["programs"] = kept.programs([made_row(**changes)], {"flops": 1.0, "bytes": 1.0})
    return {" ".join(aim.asked.split()[:2]): aim for aim in aims.aims(run)}


def test_an_aim_is_met_or_missed_by_what_was_measured() -> None:
    far = told(ratios={"jax": Spread(2.9, 3.1, 3.2)}, hand=Spread(1.0, 1.2, 1.3))
    assert all(far[word].met for word in ("every program", "dense answers", "every NumPy"))
    near = told(ratios={"jax": Spread(0.8, 0.9, 1.0)}, hand=Spread(1.0, 1.3, 1.3))
    assert not any(near[word].met for word in ("every program", "dense answers", "every NumPy"))
    assert near["every program"].missed == "softmax Jacobian (n = 1,000): 0.90×"
    assert near["every NumPy"].measured.startswith("0 of 1 rows; ")


def test_aims_of_single_programs_are_of_rows_that_there_are() -> None:
    for name, sizes, system, wanted in aims.BY_HAND:
        work = BY_NAME[name]
        assert any(sizes.items() <= one.items() for one in work.sizes)
        assert system in small(work).peers
        assert wanted > 1


def test_aims_without_measurements_are_left_out() -> None:
    assert not list(aims.aims({}))
    assert not list(aims.told({}))


# On a GPU


@pytest.mark.parametrize("name", ["attention gradient", "RNN, loss by W: gradient"])
def test_programs_run_where_their_arrays_lie(name: str) -> None:
    work = BY_NAME[name]
    assert isinstance(work, Formula)
    sizes = {d: SMALL[d] for d in work.sizes[0]}
    row = accelerator.measured(work, sizes, {"torch": "cpu"}, {"jax", "torch"})
    assert set(row["seconds"]) == {"wrt, jax", "wrt, torch", "jax", "torch"}
    assert row["absent"] == {}
    row = accelerator.measured(work, sizes, {"torch": "no such place"}, {"torch"})
    assert not row["seconds"]
    assert set(row["absent"]) == {"wrt, torch", "torch"}


def test_without_a_gpu_nothing_is_measured_and_that_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerator, "devices", dict)
    assert accelerator.measure(True) == {"devices": {}, "rows": []}
    assert accelerator.NONE in capsys.readouterr().out
    text = report.page({**found(), "accelerator": {"devices": {}, "rows": []}})
    assert accelerator.NONE in text


def test_the_page_has_what_was_measured_on_a_gpu() -> None:
    row = {"name": "softmax", "sizes": {"n": 1000}, "seconds": {"wrt, jax": 0.001, "jax": 0.002}}
    text = report.page({**found(), "accelerator": {"devices": {"jax": "H"}, "rows": [row]}})
    assert "Milliseconds on H" in text
    assert "| softmax | n = 1,000 | 1 | 2 | – | – |" in text
