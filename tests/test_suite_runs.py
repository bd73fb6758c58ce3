"""Many searches within one budget: who gets a turn, what a kill costs, and what is reported of it."""

import json
import random
import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result
from conftest import SCALE

from archives.candidate import Candidate
from archives.events import Answered, Judged, Proposed
from evo_kernel import api, suite_drive, suite_rows
from evo_kernel.cli import main
from evo_kernel.pools import Done
from evo_kernel.suite_schedule import Standing, ready
from fitness.evaluation import Basis, CaseResult, Evaluation, Failure, Resources, Stage


class TestTheSchedule:
    def test_every_task_has_its_first_turn_before_any_has_its_second(self) -> None:
        assert ready([Standing(1), Standing(0), Standing(0)], 3) == [1, 2]
        assert ready([Standing(1), Standing(1), Standing(0, closed=True)], 3) == [0]

    def test_a_turn_waits_while_one_before_it_may_still_use_the_budget(self) -> None:
        assert ready([Standing(1, busy=True), Standing(1)], 3) == []
        assert ready([Standing(1, closed=True), Standing(1)], 3) == [1]
        assert ready([Standing(1, busy=True), Standing(1)], 4) == [1]

    def test_whichever_search_ends_first_the_turns_are_the_same(self) -> None:
        closes = [2, 9, 1, 3, 9]  # turns after which each task is over
        found = set()
        for seed in range(40):
            chance, standings = random.Random(seed), [Standing() for _ in closes]
            while True:
                for place in ready(standings, 14)[: 1 + chance.randrange(3)]:
                    standings[place] = Standing(standings[place].turns + 1, busy=True)
                busy = [place for place, s in enumerate(standings) if s.busy]
                if not busy:
                    break
                place = chance.choice(busy)
                turns = standings[place].turns
                standings[place] = Standing(turns, closed=turns >= closes[place])
            found.add(tuple(s.turns for s in standings))
        assert found == {(2, 4, 1, 3, 4)}


class Formula:
    """Judges in place of the interpreter, by the numbers in a program; raises KeyboardInterrupt when it is told to."""

    left: float = float("inf")  # verdicts until an interrupt

    def __init__(self, *_: object) -> None:
        self.tickets: list[tuple[int, str]] = []

    def free(self) -> int:
        return 1 - len(self.tickets)

    def submit(self, ticket: int, source: str, against: Mapping[str, str]) -> None:
        self.tickets.append((ticket, source))

    def wait(self, seconds: float) -> list[Done]:
        Formula.left -= 1
        if Formula.left < 0:
            raise KeyboardInterrupt
        return [Done(ticket, self.judge(source), 0.0) for ticket, source in (self.tickets.pop(),) if self.tickets == []]

    def judge(self, source: str, *_: object) -> Evaluation:
        block, warps = (int(re.search(rf"{name}=(\d+)", source)[1]) for name in ("BLOCK", "num_warps"))
        failure = None
        if block >= 2048 or "broken" in source:
            failure = Failure(Stage.CORRECTNESS, "wrong", "by its numbers")
        times = (2.0 + abs(block - 512) / 64 + abs(warps - 2), 3.0 + warps)
        named = zip(("1M", "1M-fp16"), times, strict=True)
        cases = () if failure else tuple(CaseResult(name, us, 0.1, 0.5, "memory") for name, us in named)
        kernels = (Resources("k", 32, 30, 0, 0, 0, 4, 8, 0, 4.0, "code"),)
        return Evaluation("mi300", Basis.PREDICTED, "process", failure, cases, kernels, f"{block} {warps}")

    def close(self) -> None:
        self.tickets.clear()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of four task files: one whose seed fails, and one that cannot be read."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "a.py").write_text(SCALE)
    (folder / "b.py").write_text(SCALE.replace("num_warps=4", "num_warps=8"))
    (folder / "broken.py").write_text(SCALE.replace("a comment that must survive", "broken"))
    (folder / "torn.py").write_text(SCALE.replace("held_out =", "left_out ="))
    monkeypatch.setattr(api, "inline", Formula)
    monkeypatch.setattr(suite_drive, "one_judge", lambda *_: SimpleNamespace(judge=Formula().judge, close=lambda: None))
    monkeypatch.setattr(Formula, "left", float("inf"))
    return folder


def test_what_a_search_had_spent_is_told_at_the_first_right_program_and_at_the_best() -> None:
    judge, events = Formula(), []
    for number, (operator, block) in enumerate((("seed", 256), ("optimize", 4096), ("optimize", 128), ("knob", 512))):
        source = f"BLOCK={block} num_warps=2"
        if operator == "optimize":
            events.append(Answered(number, tokens=100 * number, dollars=number * 10**10, calls=1))
        events.append(Proposed(number, Candidate(source, operator, "", (), source, "")))
        events.append(Judged(number, judge.judge(source), gpu_seconds=0.5))
    made = suite_rows.fold(events, events[-2].candidate.id)
    assert (made.evaluations, made.ran, made.correct) == (3, 3, 2)
    assert made.to_first == suite_rows.Spent(evaluations=2, tokens=300, dollars=0.03, gpu_seconds=1.5)
    assert made.to_best == made.spent == suite_rows.Spent(evaluations=3, tokens=300, dollars=0.03, gpu_seconds=2.0)
    seed_is_best = suite_rows.fold(events, events[0].candidate.id)
    assert seed_is_best.to_best == suite_rows.Spent(gpu_seconds=0.5)


def options(tasks: Path, out: Path, *more: object) -> tuple:
    budget = ("--budget", 18, "--population", 2, "--generations", 2, "--operators", "knob-step,knob-tune")
    return ("suite", "run", "native", "--root", tasks, "--out", out, *budget, "--quiet", *more)


def test_a_suite_run_interrupted_anywhere_gives_the_report_of_one_that_was_not(tasks: Path, tmp_path: Path) -> None:
    whole = run(*options(tasks, tmp_path / "whole"))
    assert whole.exit_code == 0, whole.output
    report = json.loads((tmp_path / "whole" / "report.json").read_text())
    assert [t["status"] for t in report["tasks"]] == ["open", "open", "hopeless", "hopeless"]
    assert [t["made"]["evaluations"] for t in report["tasks"]] == [8, 8, 0, 0]  # broken.py gives its turn back
    assert "seed fails at correctness" in report["tasks"][2]["why"]
    assert "held_out" in report["tasks"][3]["why"]
    assert report["all"]["execution_accuracy"] == 2 / 4
    assert {t["held_out"] for t in report["tasks"][:2]} == {"both-pass"}
    for verdicts in (1, 5):
        Formula.left = verdicts
        stopped = run(*options(tasks, tmp_path / "torn", "--at-once", 1 + verdicts % 2))
        assert stopped.exit_code in (0, 130), stopped.output
    Formula.left = float("inf")
    assert run(*options(tasks, tmp_path / "torn")).exit_code == 0
    for name in ("report.json", "report.svg"):
        one, other = ((tmp_path / out / name).read_text() for out in ("whole", "torn"))
        assert one == other.replace(">torn<", ">whole<")


def test_two_runs_are_laid_side_by_side_and_another_budget_is_refused(tasks: Path, tmp_path: Path) -> None:
    for out, seed in (("one", 0), ("two", 1)):
        assert run(*options(tasks, tmp_path / out, "--task", "a", "--seed", seed)).exit_code == 0
    told = run("suite", "report", tmp_path / "one", "--compare", tmp_path / "two")
    assert "| task | one, us | two, us | one / two |" in told.stdout
    assert re.search(r"^\| a \| [1-9] / \d+ / 1\d \| 0 / 0 / 0 \| 0 / 0 / 0 \|", told.stdout, re.MULTILINE)
    assert (tmp_path / "one" / "compared" / "report.svg").read_text().count("<polyline") == 2
    refused = run(*options(tasks, tmp_path / "one", "--task", "b"))
    assert (refused.exit_code, refused.output.count("\n")) == (1, 1)
    assert "a suite run with other tasks: " in refused.output
    assert "has no suite.json" in run("suite", "report", tmp_path).output
