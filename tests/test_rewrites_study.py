"""The study of rewrites on a GPU: in which order searches run, what is kept of each, and what the table says."""

import argparse
import sys
from pathlib import Path
from typing import Any

import pytest

from archives.candidate import Candidate, fingerprint
from archives.events import Judged, Measured, Proposed
from archives.journal import Journal
from evo_kernel import runs
from evo_kernel.config import Settings
from fitness.evaluation import Basis, CaseResult, Comparison, Evaluation, Failure, Stage
from suites import Task, load

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import rewrites_search
import rewrites_search_markdown
import rewrites_search_row as study
import rewrites_search_table
import rewrites_singles_table
import rewrites_singles_variants
import torch_calls


def verdict(ratio: float, confirmed: bool, program: str) -> Evaluation:
    case = CaseResult("1", 100 * ratio, 0.1, 25.0, "memory", low_us=99 * ratio, high_us=101 * ratio, samples=8)
    beside = (Comparison("baseline", ratio, ratio * 0.99, ratio * 1.01, 8),) if program != "seed" else ()
    return Evaluation(
        "h200", Basis.MEASURED, "process", None, (case,), program=program, device="GPU", confirmed=confirmed,
        against=beside,
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, double_task: Task) -> Path:
    """A run whose best was found at half the seed's time, and measured at 0.6 of it when the search ended."""
    folder = tmp_path / "run"
    runs.begin(folder, Settings(target="h200", basis="measured", pool="inline"), double_task)
    with Journal.append_to(folder) as journal:
        journal.append(Judged(0, verdict(1.0, True, "seed")), 0.1)
        failure = Evaluation("h200", Basis.MEASURED, "process", Failure(Stage.COMPILE, "compiler", "no"), device="GPU")
        verdicts = [verdict(0.9, False, "a"), verdict(0.5, True, "b"), failure, verdict(0.7, False, "b")]
        for number, one in enumerate(verdicts, 1):
            source = f"x = {number}\n"
            made = Candidate(source, "rewrite", f"family-{number}: why (here)", (), fingerprint(source), source)
            journal.append(Proposed(number, made), 0.0)
            journal.append(Judged(number, one, 0.5), 0.6)
            if number == 2:
                best = made.id
        journal.append(Measured(best, verdict(0.6, True, "b")), 1.0)
    return folder


def test_rows_are_kept_without_what_only_predictions_need_and_are_not_searched_for_again(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rewrites_search, "KEPT", tmp_path / "rows" / "kept.jsonl.xz")
    job = {"task": "softmax", "seed": 0, "arm": "tuner", "evaluations": 160, "target": "h200", "basis": "measured"}
    row = {"kind": "search", **job, "seconds": 1.0, **study.figures(run)}
    new = tmp_path / "rows.jsonl"
    rewrites_search.add(new, row)
    for _ in range(2):
        rewrites_search.keep(argparse.Namespace(rows=new))
    (kept,) = rewrites_search.read(rewrites_search.KEPT)
    assert row.keys() - kept.keys() == {"children"}
    assert {one["kind"] for one in row["credit"]} > {one["kind"] for one in kept["credit"]} == {"rewrite"}
    new.unlink()
    rewrites_search.add(new, {**row, "seed": 1})
    rewrites_search.keep(argparse.Namespace(rows=new))
    given = argparse.Namespace(
        rows=tmp_path / "none.jsonl", first_seed=0, seeds=3, tasks="softmax", arms="tuner,rewrites", evaluations=160,
        target="h200", basis="measured", workers=1, at_once=1, judges=None,
    )  # fmt: skip
    left = [(one["seed"], one["arm"]) for one in rewrites_search.jobs(given)]
    assert left == [(0, "rewrites"), (1, "rewrites"), (2, "tuner"), (2, "rewrites")]
    capsys.readouterr()
    rewrites_search.table(argparse.Namespace(rows=rewrites_search.KEPT, markdown=False))
    assert "2 searches of [160] evaluations" in capsys.readouterr().out


def test_what_a_search_found_counts_by_its_last_measurement(run: Path) -> None:
    found = study.figures(run)
    assert found["ratio"] == [0.6, pytest.approx(0.594), pytest.approx(0.606)]
    assert found["curve"] == [1.0, 0.5, 0.5, 0.5]  # only what was confirmed
    assert found["roofline"] == pytest.approx(25 / 60)
    assert [[o, r] for o, r, _ in found["children"]] == [["rewrite", 0.9], ["rewrite", 0.5]]  # each program once
    assert study.unpacked(found["source"]) == "x = 2\n"
    assert found["evaluations_done"] == 4
    assert found["gpu_seconds"] == 2.0


def row(task: str, seed: int, arm: str, found: dict[str, Any], ratio: float) -> dict[str, Any]:
    job = {"task": task, "seed": seed, "arm": arm, "evaluations": 160, "target": "h200", "basis": "measured"}
    return {"kind": "search", **job, "seconds": 1.0, **found, "ratio": [ratio] * 3}


def test_a_study_goes_on_where_its_rows_end_seed_by_seed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrites_search, "KEPT", tmp_path / "kept.jsonl.xz")
    file = tmp_path / "rows.jsonl"
    given = argparse.Namespace(
        rows=file, tasks="flip,softmax", seeds=2, first_seed=0, arms="rewrites,tuner", evaluations=160, target="h200",
        basis="measured", workers=4, at_once=3, judges=None,
    )  # fmt: skip
    assert [(j["seed"], j["task"], j["arm"]) for j in rewrites_search.jobs(given)] == [
        (seed, task, arm) for seed in (0, 1) for task in ("flip", "softmax") for arm in ("rewrites", "tuner")
    ]
    for task, arm in (("flip", "tuner"), ("softmax", "rewrites")):
        rewrites_search.add(file, row(task, 0, arm, study.figures(run), 0.5))
    left = [(j["seed"], j["task"], j["arm"]) for j in rewrites_search.jobs(given)]
    assert left[:3] == [(0, "flip", "rewrites"), (0, "softmax", "tuner"), (1, "flip", "rewrites")]
    assert len(left) == 6


def test_arms_are_compared_on_seeds_that_both_have(run: Path) -> None:
    found = study.figures(run)
    rows = [row("flip", seed, arm, found, r) for seed, arm, r in ((0, "rewrites", 0.25), (0, "tuner", 0.5))]
    rows.append(row("flip", 1, "rewrites", found, 0.01))  # its other arm is not over
    line = next(text for text in rewrites_search_table.text(rows).splitlines() if text.startswith("flip"))
    assert line.split()[1] == "1"
    assert "4.000 [4.000, 4.000]" in line
    assert line.endswith("2.000 [2.000, 2.000]")


def test_the_table_says_what_a_gain_hangs_on(run: Path) -> None:
    found = study.figures(run)
    gains = {("flip", 0): 0.125, ("flip", 1): 0.125, ("sub", 0): 0.5, ("sub", 2): 0.1}
    rows = [row(task, seed, arm, found, r) for (task, seed), own in gains.items()
            for arm, r in (("rewrites", own), ("tuner", 0.5)) if (seed, arm) != (2, "tuner")]  # fmt: skip
    said = rewrites_search_table.spread(rows)
    assert "all: 2.000 [1.000, 4.000], the middle task 2.000" in said
    assert "without flip: 1.000 [1.000, 1.000]" in said
    assert "seed 0: 2.000, 2 tasks\n  seed 1: 4.000, 1 tasks" in said
    assert "seed 2" not in said  # its other arm is not over


def test_the_table_of_tasks_has_torch_beside_where_it_was_timed_and_names_families_once(run: Path) -> None:
    found = study.figures(run)
    rows = [row("flip", seed, arm, found, r) for seed in (0, 1) for arm, r in (("rewrites", 0.25), ("tuner", 0.5))]
    rows[0]["line"] = [
        ["dispatch", "a or b"],
        ["rewrite", "b: y"],
        ["rewrite", "a: x"],
        ["rewrite", "b: z"],
        ["seed", ""],
    ]
    rows[0]["ratio"] = [0.2] * 3
    peers = [{"kind": "peer", "task": "flip", "what": w, "program": "", "cases": {"1": us, "2": us}}
             for w, us in (("eager", 30.0), ("best of rewrites", 10.0))]  # fmt: skip
    table = rewrites_search_markdown.text([*rows, *peers]).splitlines()
    assert table[0].endswith("rewritten by | eager / best |")
    task = [cell.strip() for cell in table[2].strip("|").split("|")]
    assert (task[0], task[1], task[3], task[-2:]) == ("flip", "2", "2.000 [2.000, 2.000]", ["b, a, dispatch", "3.00"])
    assert len({one.count("|") for one in table if not one.startswith("|---")}) == 1
    assert rewrites_search_markdown.text(rows).splitlines()[0].endswith("rewritten by |")
    for found, said in (("not compiled in 150 s", "too slow"), ("ValueError: no", "failed")):
        late = {**peers[0], "what": "compiled", "cases": {"1": 5.0, "2": found}}
        lines = rewrites_search_markdown.text([*rows, *peers, late]).splitlines()
        assert lines[0].endswith("eager / best | max-autotune / best |")
        assert lines[2].endswith(f"| 3.00 | {said} |")


def test_a_call_is_laid_beside_the_best_program_as_it_was_timed_with_it(run: Path) -> None:
    found = study.figures(run)
    rows = [row("flip", 0, arm, found, 0.5) for arm in ("rewrites", "tuner")]
    peers = [{"kind": "peer", "task": "flip", "what": "best of rewrites", "program": "", "cases": {"1": 10.0}},
             {"kind": "peer", "task": "flip", "what": "call", "program": "", "cases": {"1": 30.0}, "beside": {"1": 20.0}}]  # fmt: skip
    lines = rewrites_search_markdown.text([*rows, *peers]).splitlines()
    assert (lines[0].endswith("| call / best |"), lines[2].endswith("| 1.50 |")) == (True, True)


@pytest.mark.parametrize("name", torch_calls.CALLS)
def test_what_a_person_would_call_in_torch_is_right_by_the_tasks_limits(name: str) -> None:
    assert torch_calls.error(load(name), "cpu") <= 1.0


def test_a_call_that_is_off_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = torch_calls.CALLS["dot"]
    monkeypatch.setitem(torch_calls.CALLS, "dot", lambda x, y, z: right(x, y, 1.01 * z))
    assert torch_calls.error(load("dot"), "cpu") > 1.0


def test_single_rewrites_are_counted_over_what_they_change_and_only_where_they_are_right() -> None:
    def program(base: str, families: list[str], us: float, err: float = 0.0, **more: Any) -> dict[str, Any]:
        place = 1 if families else None
        return {"base": base, "families": families, "place": place, "times": [us, us], "err": [err, 0.0], **more}

    seed = load("row_sum").seeds[0].source
    variants = rewrites_singles_variants.variants(seed, {"tuner": seed.replace("num_warps=4", "num_warps=8")})
    assert [one.base for one in variants[:2]] == ["seed", "tuner"]
    assert len({one.source for one in variants}) == len(variants) > 10
    row = {
        "task": "row_sum", "kind": "reductions", "device": "GPU", "torch": "2", "triton": "3", "cases": ["a", "b"],
        "variants": [program("seed", [], 8.0), program("tuner", [], 5.0), program("seed", ["two-level-reduction"], 4.0),
                     program("tuner", ["drop-masks"], 1.0, err=float("nan")),
                     program("tuner", ["whole-row-block"], 2.0, failed="no memory")],
    }  # fmt: skip
    counted = rewrites_singles_table.families([row])
    assert "| two-level-reduction |  | 1: 100%, 2.000, 2.00 to 2.00, row_sum seed |  |" in counted
    assert "| drop-masks |  | 1 (1) |  |" in counted
    assert "| whole-row-block |  | 1 (1) |  |" in counted
    line = "| row_sum | reductions | tuner | 5.0 | none tried |  | seed, two-level-reduction | 1.250 |"
    assert line in rewrites_singles_table.tasks([row])
    assert "- row_sum: tuner, drop-masks" in rewrites_singles_table.wrong([row])
