"""Two runs made one: what both hold is there once, and what they may still spend is what they had."""

from dataclasses import replace
from pathlib import Path

import pytest

from archives.candidate import Candidate, digest, fingerprint
from archives.events import Answered, Asked, Judged, Proposed
from archives.journal import Journal
from evo_kernel import merging, runs
from evo_kernel.config import Settings
from evo_kernel.credit import Credit, Outcome, joined
from evo_kernel.errors import RunError
from fitness.evaluation import Basis, CaseResult, Evaluation, Resources
from operators.catalogue import REWRITE
from suites import Task

KNOWN: tuple[Outcome, ...] = (
    ("mi300", "pointwise", "blocks-by-bytes", 3.0, 1.0, 0.4),
    ("mi300", "pointwise", "rows-per-program", 0.0, 12.0, 0.0),
)


def settled(**values: object) -> Settings:
    return Settings(**{"target": "mi300", "basis": "predicted", **values})


def verdict(time_us: float) -> Evaluation:
    cases = (CaseResult("a", time_us, 0.1, 0.1, "memory"),)
    kernels = (Resources("k", 32, 30, 0, 0, 0, 4, 8, 0, 4.0, "code"),)
    return Evaluation("mi300", Basis.PREDICTED, "process", None, cases, kernels, digest(repr(time_us)))


def candidate(text: str, operator: str = "knob-step") -> Candidate:
    return Candidate(text, operator, text, (), fingerprint(text), "structure")


def begin(folder: Path, task: Task, start: runs.Start | None = None, **values: object) -> Path:
    runs.begin(folder, settled(**values), task, start or runs.Start())
    return folder


def judge(folder: Path, *times_us: float) -> None:
    """Write down verdicts: on the seed, then on programs of these times."""
    with Journal.append_to(folder) as journal:
        journal.append(Judged(0, verdict(100.0)))
        for number, time_us in enumerate(times_us, 1):
            journal.append(Proposed(number, candidate(f"x = {time_us}")))
            journal.append(Judged(number, verdict(time_us)))


def test_the_budget_is_the_evaluations_of_both_as_they_were_given(tmp_path: Path, double_task: Task) -> None:
    one = begin(tmp_path / "one", double_task, generations=2, population=8)
    other = begin(tmp_path / "other", double_task, generations=3, population=4)
    runs.extend(other, 10)
    merged = merging.merge(one, other, tmp_path / "both").search
    assert (merged.budget, merged.population) == (16 + 40, 8)


def test_the_time_of_both_is_added_up_and_a_run_is_not_merged_with_itself(tmp_path: Path, double_task: Task) -> None:
    one, other = (begin(tmp_path / name, double_task) for name in ("one", "other"))
    for folder, seconds in ((one, 30.0), (other, 12.0)):
        with Journal.append_to(folder) as journal:
            journal.spend(seconds)
    (tmp_path / "link").symlink_to(one)
    for again in (one, tmp_path / "link"):
        with pytest.raises(RunError, match=r"are the same run: name two$"):
            merging.merge(one, again, tmp_path / "both")
    assert merging.merge(one, other, tmp_path / "both").wall_seconds == 42.0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"mode": "open"}, "open mode"),
        ({"also": ("mi250",)}, "target mi300 and also mi250"),
        ({"objectives": ("latency", "error")}, "for error, latency"),
    ],
)
def test_runs_that_were_judged_otherwise_are_not_merged(
    tmp_path: Path, double_task: Task, values: dict[str, object], said: str
) -> None:
    one, other = begin(tmp_path / "one", double_task), begin(tmp_path / "other", double_task, **values)
    with pytest.raises(RunError, match=f"were judged differently: .*; .*{said}"):
        merging.merge(one, other, tmp_path / "both")
    assert not (tmp_path / "both").exists()


def test_the_first_runs_limits_and_prices_stand_as_they_are_now_and_others_are_named(
    tmp_path: Path, double_task: Task, caplog: pytest.LogCaptureFixture
) -> None:
    model = {"model": "openai:m", "price_input": "1", "price_output": "1"}
    one = begin(tmp_path / "one", double_task, max_gpu_seconds=10.0, models=(model,))
    other = begin(tmp_path / "other", double_task, max_gpu_seconds=10.0, max_minutes=5.0)
    runs.extend(one, 30, {"max_gpu_seconds": 90.0}, {"openai:m": {"price_input": "2", "price_output": "4"}})
    merged = merging.merge(one, other, tmp_path / "both")
    assert (merged.search.limits.max_gpu_seconds, merged.search.limits.max_minutes) == (90.0, None)
    assert merged.settings.models == runs.read(one).settings.models
    assert f"limits of {other} that the merged run does not have: max_minutes 5.0, max_gpu_seconds 10.0" in caplog.text


def test_what_is_not_judged_yet_is_there_with_what_was_said_of_it(tmp_path: Path, double_task: Task) -> None:
    elite = candidate("x = 5", "imported")
    one = begin(tmp_path / "one", double_task)
    other = begin(tmp_path / "other", double_task, runs.Start((elite,)))
    with Journal.append_to(other) as journal:
        journal.append(Asked(2, "optimize", "m", ()))
        journal.append(Answered(2, 7, 0, 1))
        journal.append(Proposed(2, candidate("x = 6", "optimize")))
    merged = merging.merge(one, other, tmp_path / "both").search
    assert [c.operator for c in merged.pending.values()] == ["seed", "imported", "optimize"]
    assert len(merged.seeds) == 2
    assert merged.letters.used["optimize", "m"].tokens == 7


def test_a_verdict_of_either_run_stands_before_no_verdict(tmp_path: Path, double_task: Task) -> None:
    one, other = (begin(tmp_path / name, double_task) for name in ("one", "other"))
    judge(other, 8.0)
    merged = merging.merge(one, other, tmp_path / "both").search
    assert (len(merged.archive), len(merged.pending), len(merged.seeds)) == (2, 0, 1)


def test_what_seeds_brought_of_rewrites_is_there_once(tmp_path: Path, double_task: Task) -> None:
    more = ("mi300", "reductions", "split-k", 1.0, 0.0, 0.2)
    one = begin(tmp_path / "one", double_task, runs.Start((), KNOWN))
    other = begin(tmp_path / "other", double_task, runs.Start((), (*KNOWN, more)))
    merged = merging.merge(one, other, tmp_path / "both").search.credit
    assert (merged.earlier, merged.shipped) == ((*KNOWN, more), ())
    again = merging.merge(tmp_path / "both", one, tmp_path / "again").search.credit
    assert again.earlier == (*KNOWN, more)


def test_what_is_shipped_is_there_once(tmp_path: Path, double_task: Task) -> None:
    one, other = (begin(tmp_path / name, double_task, target="h200", basis="measured") for name in ("one", "other"))
    shipped = runs.read(one).search.credit.shipped
    assert shipped
    assert merging.merge(one, other, tmp_path / "both").search.credit.shipped == shipped


def test_what_one_run_told_the_other_is_not_counted_a_second_time() -> None:
    one, other, stranger = Credit(), Credit(), Credit()
    one.learn(KNOWN, False)
    rewritten = replace(candidate("x = 1", REWRITE), intent="blocks-by-bytes: x")
    one.tell(REWRITE, rewritten, True, 2.0, 2.0, ("mi300", "pointwise"))
    other.learn(one.passed_on(), False)
    assert joined(one, other) == joined(other, one) == KNOWN
    stranger.learn((("mi300", "pointwise", "blocks-by-bytes", 2.0, 2.0, 0.5),), False)
    assert joined(one, stranger)[0] == ("mi300", "pointwise", "blocks-by-bytes", 5.0, 3.0, 0.9)
