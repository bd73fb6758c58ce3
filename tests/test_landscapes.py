"""Replays on tables that somebody measured, here small ones made up for the test."""

import gzip
import json
import struct
import sys
import zlib
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from archives.events import Judged, Started
from archives.journal import Journal
from evo_kernel import font, landscapes, runs
from evo_kernel.cli import main
from evo_kernel.landscapes_judge import Faults, TableJudge
from evo_kernel.landscapes_replay import Replay
from operators.tune.table import Programs

PARAMS = {"block": [16, 32, 64, 128, 256], "tile": [1, 2, 3, 4], "unroll": [0, 1], "order": ["rows", "columns"]}


def time_ms(block: int, tile: int, unroll: int, order: str) -> float | None:
    if block * tile > 512:
        return None
    return 1 + abs(block - 64) / 64 + 0.3 * abs(tile - 3) + 0.5 * (1 - unroll) + 0.2 * (order == "rows")


def document(**changes: Any) -> dict[str, Any]:
    configs = [list(row) for row in product(*PARAMS.values())]
    whole = {"kernel": "toy", "gpu": "CHIP", "params": PARAMS, "configs": configs}
    return {**whole, "time_ms": [time_ms(*row) for row in configs], **changes}


def write(folder: Path, table: dict[str, Any], name: str = "toy_CHIP") -> Path:
    folder.mkdir(exist_ok=True)
    with gzip.open(folder / f"{name}.json.gz", "wt") as file:
        json.dump(table, file)
    return folder


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    folder = write(tmp_path / "tables", document())
    peer = {
        "kernel": "toy",
        "gpu": "CHIP",
        "strategy": "pso",
        "fraction_of_optimum": dict.fromkeys(landscapes.COUNTS, 0.5),
    }
    (folder / "kernel_tuner_1.json").write_text(json.dumps([peer]))
    return folder


def bench(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["bench", "landscapes", *map(str, arguments)])


def pixels(picture: bytes) -> np.ndarray:
    """Read a PNG of this package's making: which dots are dark."""
    wide, high = struct.unpack(">II", picture[16:24])
    end = picture.index(b"IDAT") + 4
    (size,) = struct.unpack(">I", picture[end - 8 : end - 4])
    rows = np.frombuffer(zlib.decompress(picture[end : end + size]), dtype=np.uint8).reshape(high, 1 + 3 * wide)
    return rows[:, 1:].reshape(high, wide, 3).max(axis=2) < 100


def shown(dots: np.ndarray, word: str) -> bool:
    """Tell whether a word's letters stand anywhere."""
    high, wide = dots.shape[0] - font.HEIGHT, dots.shape[1] - font.width(word)
    return bool(np.all([dots[d : d + high, r : r + wide] for r, d in font.dots(word)], axis=0).any())


class TestReplay:
    def test_the_tuner_finds_the_optimum_of_a_small_table(self, tables: Path) -> None:
        (table,) = landscapes.load(tables)
        curve = Replay(table, "tuner", 1, 40).run()
        assert len(curve) == 40
        assert curve == sorted(curve)
        assert curve[-1] == 1.0

    def test_it_is_a_run_with_a_journal_whose_times_are_recorded(self, tables: Path, tmp_path: Path) -> None:
        (table,) = landscapes.load(tables)
        curve = Replay(table, "archive", 3, 20).run(tmp_path / "run")
        with Journal.read(tmp_path / "run") as journal:
            events = list(journal.events())
        assert isinstance(events[0], Started)
        assert events[0].settings["basis"] == "recorded"
        verdicts = [e.evaluation for e in events if isinstance(e, Judged)]
        assert {v.basis.value for v in verdicts} == {"recorded"}
        assert len(verdicts) <= 20 == len(curve)

    def test_a_replay_that_was_cut_off_goes_on_as_if_it_had_not_been(self, tables: Path, tmp_path: Path) -> None:
        (table,) = landscapes.load(tables)
        faults = Faults(0.05, 0.2)
        whole = Replay(table, "tuner", 2, 32, faults).run(tmp_path / "whole")
        cut = tmp_path / "cut"
        Replay(table, "tuner", 2, 32, faults).begin(cut)
        for count in (7, 19, 32):
            again = Replay(table, "tuner", 2, 32, faults).run(cut, count)
        assert again == whole
        first, second = (runs.read(tmp_path / name).search for name in ("whole", "cut"))
        assert first.archive.history == second.archive.history

    def test_noise_changes_what_is_told_and_not_what_is_scored(self, tables: Path) -> None:
        (table,) = landscapes.load(tables)
        curve = Replay(table, "tuner", 0, 30, Faults(0.3)).run()
        assert set(curve) <= {0.0} | {table.optimum / t for t in table.times.values() if t is not None}

    def test_an_injected_failure_is_final_and_the_bound_is_the_best_that_may_succeed(self, tables: Path) -> None:
        (table,) = landscapes.load(tables)
        programs = Programs(table.space, table.name)
        judge = TableJudge(table, programs, Faults(failures=0.6), 0)
        passed = {c: judge.judge(programs.write(c)).passed for c in table.times}
        first = next(c for c, done in passed.items() if done)
        assert judge.reachable_ms(first) == min(table.times[c] for c, done in passed.items() if done) > table.optimum
        assert Replay(table, "tuner", 0, 80, Faults(failures=0.6)).run()[-1] == 1.0


class TestCommand:
    def test_json_has_every_count_for_each_table_and_the_mean(self, tables: Path) -> None:
        done = bench(tables, "--seeds", 2, "--evaluations", 20, "--json")
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        for name in ("toy_CHIP", "mean"):
            assert all(0 < found[name][n] <= 1 for n in landscapes.COUNTS)
            assert found[name]["kernel_tuner"] == {"pso": dict.fromkeys(landscapes.COUNTS, 0.5)}

    def test_the_table_shows_intervals_beside_kernel_tuner(self, tables: Path) -> None:
        done = bench(tables, "--seeds", 2, "--evaluations", 12, "--policy", "best-of-n")
        assert done.exit_code == 0, done.output
        assert "policy best-of-n, 2 seeds" in done.stdout
        assert "pso 0.500" in done.stdout
        assert "searches had 12 evaluations" in done.stdout

    def test_the_curves_can_be_drawn_with_words(self, tables: Path, tmp_path: Path) -> None:
        for name in ("p.svg", "p.png"):
            done = bench(tables, "--seeds", 1, "--evaluations", 4, "--plot", tmp_path / name)
            assert done.exit_code == 0, done.output
        text = (tmp_path / "p.svg").read_text()
        words = ("toy_CHIP", "evaluations", "optimum / best so far", "policy tuner")
        assert all(word in text for word in words)
        dots = pixels((tmp_path / "p.png").read_bytes())
        for word in words:
            assert shown(dots, word), word
        assert not shown(dots, "nonsense")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"configs": [], "time_ms": []}, "no legal configuration"),
            ({"time_ms": [1.0]}, "80 configurations but 1 times"),
            ({"time_ms": [None] * 80}, "no configuration ran"),
            ({"time_ms": [-1.0] * 80}, "times must be positive"),
            ({"params": {**PARAMS, "tile": [1, 2]}}, "is no value of tile"),
            ({"time_ms": [True] * 80}, "times must be positive"),
            ({"params": {"a b": [16]}}, "'a b' cannot be a parameter"),
            ({"params": {"block": [16]}}, "has 4 values, the table 1 parameters"),
            ({"constraints": ["tile > 2", "tile < 2"]}, "both 'tile > 2' and 'tile < 2': they contradict each other"),
            ({"constraints": ["block * tile > 9999"]}, "none of 80 configurations meets 'block * tile > 9999'"),
            ({"constraints": ["tiel > 2"]}, "names tiel, which is none of block, tile, unroll, order"),
            ({"constraints": ["open('x')"]}, "may hold names, numbers, arithmetic and comparisons alone"),
            ({"constraints": "tile > 2"}, "constraints must be a list"),
            ({"params": [1]}, "params must give every parameter a list of values"),
            ({"configs": [[[16], 1, 0, "rows"]] * 80}, "configs must be a list of configurations"),
            ({"time_ms": 1.0}, "time_ms must be a list of times"),
        ],
    )
    def test_a_bad_table_is_refused_in_one_line(self, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
        self.refused(bench(write(tmp_path / "bad", document(**changes))), message)

    def test_what_does_not_meet_a_tables_constraints_is_left_out(self, tmp_path: Path) -> None:
        table = document(constraints=["block * tile <= 128 and not order == 'rows'"])
        (read,) = landscapes.load(write(tmp_path / "tables", table))
        values = [read.space.values(config) for config in read.times]
        assert 0 < len(values) < 80
        assert all(v["block"] * v["tile"] <= 128 and v["order"] == "columns" for v in values)

    def test_a_missing_column_is_named(self, tmp_path: Path) -> None:
        table = document()
        del table["params"]
        self.refused(bench(write(tmp_path / "bad", table)), "lacks params")

    def test_what_cannot_be_run_is_refused_in_one_line(self, tables: Path, tmp_path: Path) -> None:
        self.refused(bench(tables, "--policy", "magic"), "no policy named 'magic'; known: archive, best-of-n")
        self.refused(bench(tables, "--table", "x"), "no table 'x'")
        self.refused(bench(tmp_path / "nowhere"), "no folder of landscapes")
        self.refused(bench(tables, "--plot", "p.pdf"), "expected a plot named .svg or .png")
        for few in ({"300": 0.5}, {"20": "nan"}):
            row = {"strategy": "pso", "kernel": "toy", "gpu": "CHIP", "fraction_of_optimum": few}
            (tables / "kernel_tuner_1.json").write_text(json.dumps([row]))
            done = bench(tables, "--seeds", 1, "--evaluations", 2)
            assert ("unknown" if "300" in few else "is no table of Kernel Tuner's results") in done.output
        (tmp_path / "empty").mkdir()
        self.refused(bench(tmp_path / "empty"), "holds no tables")
        (tmp_path / "empty" / "x.json.gz").write_text("{}")
        self.refused(bench(tmp_path / "empty"), "is no gzip JSON file")

    def test_kept_runs_are_those_of_the_same_question(self, tables: Path, tmp_path: Path) -> None:
        given = ("--seeds", 1, "--evaluations", 10, "--json")
        for trouble in ((), ("--noise", 0.3, "--failures", 0.5)):
            kept, fresh = (bench(tables, *given, *trouble, *where) for where in (("--runs", tmp_path / "k"), ()))
            assert kept.stdout == fresh.stdout
        write(tables, document(time_ms=[1.0 + n for n in range(80)]))  # another table under the same name
        kept, fresh = (bench(tables, *given, *where) for where in (("--runs", tmp_path / "k"), ()))
        assert kept.stdout == fresh.stdout

    def test_figures_are_printed_though_the_plot_cannot_be_written(self, tables: Path, tmp_path: Path) -> None:
        (tmp_path / "x.svg").mkdir()
        done = bench(tables, "--seeds", 1, "--evaluations", 5, "--plot", tmp_path / "x.svg")
        assert done.exit_code == 1
        assert "the plot cannot be written" in done.stderr
        assert "toy_CHIP" in done.stdout

    def test_kernel_tuner_is_asked_for_where_it_is_not_installed(
        self, tables: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "kernel_tuner", None)
        self.refused(bench(tables, "--kernel-tuner", "pso"), "pip install kernel_tuner")

    def test_kernel_tuner_searches_the_same_table_and_meets_the_same_failures(self, tables: Path) -> None:
        pytest.importorskip("kernel_tuner", reason="kernel_tuner is not installed")
        self.refused(bench(tables, "--kernel-tuner", "magic"), "has no strategy 'magic'; it has: ")
        given = ("--seeds", 2, "--evaluations", 80, "--failures", 0.3, "--kernel-tuner", "random_sample")
        done = bench(tables, *given, "--json")
        found = json.loads(done.stdout)
        assert found["kernel_tuner_live"] == ["random_sample"]
        live = found["toy_CHIP"]["kernel_tuner"]
        assert list(live) == ["pso", "random_sample"]
        assert 0 < live["random_sample"]["20"] <= live["random_sample"]["100"] == 1.0  # 80 configurations are all

    @pytest.mark.parametrize("option", ["--noise", "--failures"])
    def test_a_negative_noise_is_a_usage_error(self, tables: Path, option: str) -> None:
        done = bench(tables, option, "-0.1")
        assert done.exit_code == 2
        assert "at least 0" in done.output

    @staticmethod
    def refused(done: Any, message: str) -> None:
        assert done.exit_code == 1
        assert message in done.output
        assert len(done.stderr.strip().splitlines()) == 1
