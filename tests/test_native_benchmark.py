"""The tables of native tasks: what is kept of verdicts, what happens to lost programs, and where a replay begins."""

import json
import sys
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evo_kernel.landscapes_judge import Faults
from fitness.evaluation import Basis, CaseResult, Comparison, Evaluation, Failure, Stage
from fitness.gpu.court import DeviceUnavailable
from fitness.jail import WorkerLost
from operators import knobs
from suites import load

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import native
import native_rows
import native_space
import native_table
import native_tasks
import paired
import replays
import tuner_constants

SETTINGS = native_space.settings(load("vector_add"), "cuda")
SEED = SETTINGS.source(SETTINGS.first)
TOO_SMALL = Failure(Stage.COMPILE, "compiler", "tiles of 16")


def built(settings: native_space.Settings, source: str) -> Future:
    future: Future = Future()
    future.set_result(source)
    return future


def judged(source: str) -> Evaluation:
    """Blocks of 1024 are best, twice as fast as the seed; those of 16 fail; warps change no code."""
    block = knobs.values(source)["add_kernel.BLOCK"] or 0
    failure = TOO_SMALL if block == 16 else None
    ratio = 0.5 + abs(block - 1024) / 1536
    case = CaseResult("1M", 100 * ratio * 1.3, 0.1, 1.0, "memory")  # the clock was slow; what stood beside it too
    beside = Comparison("incumbent", ratio, ratio, ratio, 8)
    return Evaluation(
        "h200", Basis.MEASURED, "process", failure, () if failure else (case,), program=str(block), against=(beside,)
    )


def measured(file: Path, judge: Any = judged, seconds: float = 60.0, most: int = 400) -> dict[str, Any]:
    tables = native_table.tables([SETTINGS], most)
    work = native_table.Measurement(tables, native_table.about("NVIDIA H200", "h200"), file, time.monotonic() + seconds)
    work.run(built, lambda settings: judge)
    document: dict[str, Any] = json.loads(file.read_text())
    return document


def test_a_table_keeps_the_ratio_to_the_seed_and_the_kind_of_each_failure(tmp_path: Path) -> None:
    assert SETTINGS.task.seeds[0].source == SEED
    document = measured(tmp_path / "native.json")
    (table,) = document["tables"]
    assert len(table["configs"]) == SETTINGS.space.size == 49
    assert document["stopped"] is None
    rows = {tuple(c): (t, r, f) for c, t, r, f in
            zip(table["configs"], table["time_ms"], table["ratio_to_seed"], table["failures"], strict=True)}  # fmt: skip
    assert rows[16, 4] == (None, None, "compile/compiler")
    assert rows[1024, 8] == (pytest.approx(0.5 * table["seed_us"] / 1000), 0.5, None)
    assert sum(f is not None for _, _, f in rows.values()) == 5
    assert len(set(table["programs"])) == 10
    assert "49 of 49 settings measured (50 legal), 5 failed, 0 lost" in native.described(document)


def test_a_program_that_is_lost_twice_is_left_out_and_one_lost_once_is_not(tmp_path: Path) -> None:
    lost: list[str] = []

    def fragile(source: str) -> Evaluation:
        block = knobs.values(source)["add_kernel.BLOCK"]
        if block == 32 or (block == 64 and source not in lost):
            lost.append(source)
            raise WorkerLost("the bench was lost")
        return judged(source)

    (table,) = measured(tmp_path / "native.json", fragile)["tables"]
    blocks = [block for block, _ in table["configs"]]
    assert (blocks.count(32), blocks.count(64), table["lost"]) == (0, 5, 5)


def test_when_the_time_is_up_or_the_device_is_lost_what_was_measured_is_kept(tmp_path: Path) -> None:
    def slow(source: str) -> Evaluation:
        time.sleep(0.03)
        return judged(source)

    document = measured(tmp_path / "late.json", slow, seconds=1.0)
    assert document["stopped"] == "the time given was up"
    assert 1 <= len(document["tables"][0]["configs"]) < 49

    def unplugged(source: str, count: list[int] = []) -> Evaluation:  # noqa: B006  it counts its calls
        count.append(1)
        if len(count) > 7:
            raise DeviceUnavailable("gone")
        return judged(source)

    document = measured(tmp_path / "gone.json", unplugged)
    assert document["stopped"] == "the device was lost: gone"
    assert len(document["tables"][0]["configs"]) == 7


def test_a_replay_begins_with_the_seed_and_ends_at_the_best_of_the_table(tmp_path: Path) -> None:
    (table,), starts = native.unpack([measured(tmp_path / "native.json")], tmp_path / "tables")
    start = starts[table.name]
    assert table.times[start] == pytest.approx(2 * table.optimum)
    for variant in (replays.Variant("archive"), replays.Variant("restarts"), replays.Variant("archive", {"tuner": 0})):
        curve = replays.curve(table, variant, 1, 40, Faults(), start)
        assert curve[0] == pytest.approx(0.5)
        assert len(curve) == 40
        assert curve[-1] == pytest.approx(1.0), variant


def test_a_file_that_cannot_be_replayed_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "native.json"
    file.write_text("[]")
    with pytest.raises(SystemExit, match="no file that `table` wrote"):
        native.read(file)
    measured(file, lambda source: Evaluation("h200", Basis.MEASURED, "process", TOO_SMALL))
    with pytest.raises(SystemExit, match="holds no table with the seed's time"):
        native.read(file)


def test_a_difference_that_is_no_number_is_not_significant_and_few_tables_cannot_say_much() -> None:
    rng = np.random.default_rng(0)
    better = np.full((6, 20), 0.1)
    assert paired.chance(np.where(better > 0, np.nan, better), rng) == 1.0
    assert paired.chance(better, rng) < 0.001
    assert paired.chance(better.mean(axis=1), rng) == 2 / 64


def test_a_constant_is_chosen_without_what_it_is_tried_on() -> None:
    scores = np.zeros((3, 2, 4))
    scores[1, 0], scores[2, 1] = 0.3, 0.1  # as shipped it is best on the first table, a larger value on the second
    gain, chosen = tuner_constants.left_out(scores, [[0], [1]])
    assert chosen == [2, 1]  # of what was best on the other one
    assert gain == pytest.approx((0.3 - 0.0 + 0.0 - 0.0) / 2)


CLOCK = """
import json, sys
case = {"case": "a", "held_out": False, "seed_error": 0.3, "bank_error": 1.5, "bank": {"reference": 1.5}}
if sys.argv[1] == "broken":
    sys.exit("the device is gone")
print(json.dumps({"task": sys.argv[1], "level": 1, "device": "D", "torch": "1", "triton": "2", "cases": [
    case | {"bank_error": 0.5, "us": {"seed": 20.0, "eager": 10.0}, "eager": "reference", "roofline_us": 5.0,
            "refusal": "not compiled after 45 s"} if sys.argv[1] == "fine" else case]}))
"""


def test_a_native_task_that_fails_is_a_row_of_the_table_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_rows, "CLOCK", tmp_path / "clock.py")
    native_rows.CLOCK.write_text(CLOCK)
    rows = {row["task"]: row for row in native_rows.clocked(["fine", "broken", "wrong"], 1, time.monotonic() + 60)}
    assert [name for name in rows if native_rows.fine(rows[name])] == ["fine"]
    table = native_rows.markdown(list(rows.values()))
    assert "| broken |  | failed: the device is gone |" in table
    assert "| fine | 1 | 20.0 | 10.0 | - (0 of 1) | 0.50 | - | 25% | 1 of 1 |" in table
    assert "- wrong: a: errors over their limits: reference 1.5" in table
    assert "- fine: a, reference: not compiled after 45 s" in table
    for row in rows.values():
        native_tasks.write(row, tmp_path / "rows")
    assert sorted(native_tasks.kept(tmp_path / "rows")) == ["fine", "wrong"]
