"""Many searches within one budget: who gets a turn, what a kill costs, and what is reported of it."""

import json
import random
import re
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import formula
import pytest
from click.testing import CliRunner, Result
from conftest import SCALE
from formula import Formula
from llm_search import skilled
from llm_server import SECRET, LlmServer

from archives.candidate import Candidate
from archives.events import Answered, Judged, Proposed
from archives.journal import Journal, alone
from evo_kernel import talks
from evo_kernel.cli import main
from evo_kernel.config import Settings
from evo_kernel.errors import Unsettled
from evo_kernel.population import Population
from evo_kernel.progress import Progress
from evo_kernel.suite import eager, rows, standing
from evo_kernel.suite import handed as suite_handed
from evo_kernel.suite import held_out as suite_held_out
from evo_kernel.suite import report as suite_report
from evo_kernel.suite import tasks as suite_tasks
from evo_kernel.suite import timed as suite_timed
from evo_kernel.suite.cells import table
from evo_kernel.suite.differing import differing
from evo_kernel.suite.folder import EAGER, HELD_OUT, Member, SuiteRun, run_of
from evo_kernel.suite.schedule import Standing, ready
from evo_kernel.suite.stop import Stop
from fitness.evaluation import Evaluation, Failure, Stage
from suites import Task, TaskError, load


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
    formula.install(monkeypatch)
    return folder


def test_what_a_search_had_spent_is_told_at_the_first_right_program_and_at_the_best() -> None:
    judge, events = Formula(), []
    for number, (operator, block) in enumerate((("seed", 256), ("optimize", 4096), ("optimize", 128), ("knob", 512))):
        source = f"BLOCK={block} num_warps=2"
        if operator == "optimize":
            events.append(Answered(number, tokens=100 * number, dollars=number * 10**10, calls=1))
        events.append(Proposed(number, Candidate(source, operator, "", (), source, "")))
        events.append(Judged(number, judge.judge(source), gpu_seconds=0.5))
    made = rows.fold(events, events[-2].candidate.id)
    assert (made.evaluations, made.ran, made.correct) == (3, 3, 2)
    assert made.to_first == rows.Spent(evaluations=2, calls=2, tokens=300, dollars=0.03, gpu_seconds=1.5)
    assert made.to_best == made.spent == rows.Spent(evaluations=3, calls=2, tokens=300, dollars=0.03, gpu_seconds=2.0)
    seed_is_best = rows.fold(events, events[0].candidate.id)
    assert seed_is_best.to_best is None, "a search that found nothing better would draw the mean down"
    assert seed_is_best.spent == made.spent


def options(tasks: Path, out: Path, *more: object) -> tuple:
    budget = ("--budget", 18, "--population", 2, "--generations", 2, "--operators", "knob-step,knob-tune")
    return ("suite", "run", "native", "--root", tasks, "--out", out, *budget, "--quiet", *more)


def test_an_interrupted_suite_run_goes_on_and_what_cannot_be_searched_costs_nothing(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_of, lost = suite_tasks.task, iter([suite_tasks.JailLost("its jail was lost")])

    def task(suite: str, root: Path | None, name: str, stop: Stop) -> Task:
        for error in lost if name == "a" else ():
            raise error
        return made_of(suite, root, name, stop)

    monkeypatch.setattr(suite_tasks, "task", task)  # the first jail of a task is lost: it is tried once more
    for verdicts in (5, float("inf")):  # the first is interrupted; tests/test_suites.py lays two reports side by side
        Formula.left = verdicts
        made = run(*options(tasks, tmp_path / "whole"))
    assert made.exit_code == 0, made.output
    report = json.loads((tmp_path / "whole" / "report.json").read_text())
    assert [t["status"] for t in report["tasks"]] == ["open", "open", "hopeless", "hopeless"]
    assert [t["made"]["evaluations"] for t in report["tasks"]] == [8, 8, 0, 0]  # broken.py gives its turn back
    told = (tmp_path / "whole" / "report.md").read_text()
    assert "Budget: 18 evaluations, which are 4 turns of 4; 2 are less than a turn, and nobody's." in told
    assert "of one with fewer it is the chance that any of them is right: 4 of these tasks have fewer than 10." in told
    assert "seed fails at correctness" in report["tasks"][2]["why"]
    assert "held_out" in report["tasks"][3]["why"]
    assert report["all"]["execution_accuracy"] == 2 / 4
    assert {t["held_out"] for t in report["tasks"][:2]} == {"both-pass"}


def test_a_task_whose_jails_are_lost_is_left_alone_and_made_by_the_next_run(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def task(suite: str, root: Path | None, name: str, stop: Stop) -> Task:
        if name == "a":
            raise suite_tasks.JailLost("its jail was lost")
        return made_of(suite, root, name, stop)

    made_of = suite_tasks.task
    given = ("--task", "a", "--task", "b")
    assert run(*options(tasks, tmp_path / "whole", *given)).exit_code == 0
    with monkeypatch.context() as losing:
        losing.setattr(suite_tasks, "task", task)
        first = run(*options(tasks, tmp_path / "out", *given))
    assert (first.exit_code, "a was left alone: its jail was lost; run the suite again" in first.stderr) == (1, True)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [(t["status"], t["made"]["evaluations"]) for t in report["tasks"]] == [("open", 0), ("open", 8)]
    told = (tmp_path / "out" / "report.md").read_text()
    assert (report["left_alone"], "Left alone: a." in told) == (["a"], True)
    assert "\n- a: left alone: its jail was lost; run the suite again\n" in told
    assert run(*options(tasks, tmp_path / "out", *given)).exit_code == 0
    one, same = ((tmp_path / out / "report.json").read_bytes() for out in ("whole", "out"))
    assert one == same


def test_a_task_whose_run_somebody_holds_is_left_alone_and_nobody_else_works_on_the_same_suite_run(
    tasks: Path, tmp_path: Path
) -> None:
    out, given = tmp_path / "out", ("--task", "a", "--task", "b")
    assert run(*options(tasks, tmp_path / "whole", *given)).exit_code == 0
    Formula.left = 3
    assert run(*options(tasks, out, *given)).exit_code == 130
    Formula.left = float("inf")
    with Journal.append_to(out / "tasks" / "a"):
        held = run(*options(tasks, out, *given))
        assert (held.exit_code, "a was left alone: " in held.stderr, "in use by" in held.stderr) == (1, True, True)
        report = json.loads((out / "report.json").read_text())
        assert (report["left_alone"], report["tasks"][1]["made"]["evaluations"]) == (["a"], 8)
    with alone(out):  # as another process that works on it: the reasons of the last one stay
        beside = run(*options(tasks, out, *given))
        assert (beside.exit_code, beside.output.count("\n"), "in use by another" in beside.output) == (1, 1, True)
    run("suite", "report", out)
    assert json.loads((out / "report.json").read_text())["left_alone"] == ["a"]
    assert run(*options(tasks, out, *given)).exit_code == 0
    one, same = ((tmp_path / name / "report.json").read_bytes() for name in ("whole", "out"))
    assert one == same


def test_why_held_out_cases_fail_is_told_and_a_machine_that_failed_says_nothing_of_a_program(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judge(source: str, *_: object) -> Evaluation:
        return replace(Formula().judge(source), failure=said[-1])

    said: list[Failure] = []
    monkeypatch.setattr(suite_held_out, "one_judge", lambda *_: SimpleNamespace(judge=judge, close=lambda: None))
    given = options(tasks, tmp_path / "out", "--task", "a")
    for failure, found in (
        (Failure(Stage.MACHINE, "lost", "the cable"), (None, "")),
        (Failure(Stage.CORRECTNESS, "wrong", "element (3,)"), ("both-fail", "its seed fails at correctness: wrong")),
    ):
        said.append(failure)
        made = run(*given)
        assert made.exit_code == 0, made.output
        report = json.loads((tmp_path / "out" / "report.json").read_text())["tasks"][0]
        assert report["held_out"] == found[0]
        assert report["held_out_why"].startswith(found[1])
    assert (
        "- a: held out, its seed fails at correctness: wrong, element (3,); its own program fails"
        in (tmp_path / "out" / "report.md").read_text()
    )


@pytest.mark.parametrize("right", [False, True])
def test_held_out_cases_and_the_roofline_count_what_the_search_made_and_no_seed(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, right: bool
) -> None:
    def judge(self: Formula, source: str, *_: object) -> Evaluation:
        found = judged(self, source)
        if source == given or found.failure is not None:
            return found
        if not right:
            return replace(found, failure=Failure(Stage.CORRECTNESS, "wrong", "by its numbers"), cases=())
        return replace(found, cases=tuple(replace(c, time_us=10 * c.time_us) for c in found.cases))

    given, judged = load(str(tasks / "a.py")).seeds[0].source, Formula.judge
    asked: list[str] = []
    monkeypatch.setattr(Formula, "judge", judge)
    held_out = SimpleNamespace(judge=lambda s, *_: asked.append(s) or Formula().judge(s), close=lambda: None)
    monkeypatch.setattr(suite_held_out, "one_judge", lambda *_: held_out)
    made = run(*options(tasks, tmp_path / "out", "--task", "a"))
    assert made.exit_code == 0, made.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    (task,) = report["tasks"]
    assert task["best_us"] == task["seed_us"]  # the seed is the best either way
    assert task["held_out"] == ("both-pass" if right else None)
    assert report["all"]["held_out_pass_rate"] == (1.0 if right else None)
    assert (report["all"]["roofline"] is None) == (not right)
    assert not right or report["all"]["roofline"] < task["roofline"]
    assert (len(asked), given in asked) == ((2, True) if right else (0, False))


def test_an_interrupt_does_not_wait_for_the_second_of_two_held_out_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(source: str, *_: object) -> Evaluation:
        asked.append(source)
        stop.set()
        return Formula().judge(source)

    asked: list[str] = []
    stop, state = threading.Event(), SimpleNamespace(task=SimpleNamespace(held_out=()), settings=None)
    monkeypatch.setattr(suite_held_out, "one_judge", lambda *_: SimpleNamespace(judge=judge, close=lambda: None))
    programs = {"seed": "BLOCK=256", "best": "BLOCK=512"}
    assert suite_held_out._failures(state, programs, stop) is None  # type: ignore[arg-type]
    assert asked == ["BLOCK=256"]


def test_tasks_that_changed_since_a_run_began_are_noticed(tasks: Path, tmp_path: Path) -> None:
    given = options(tasks, tmp_path / "out", "--task", "a")
    assert run(*given).exit_code == 0
    about = tmp_path / "out" / "suite.json"
    text = (tasks / "a.py").read_text()
    (tasks / "a.py").write_text(f"{text}\n# changed\n")
    told = run(*given)
    assert told.exit_code == 1
    assert f"with other texts of its tasks: files in {tasks} were changed since. Ask for what" in told.stderr
    about.write_text(json.dumps({k: v for k, v in json.loads(about.read_text()).items() if k != "texts"}))
    assert run(*given).exit_code == 0  # what an older version began goes on
    (tasks / "a.py").write_text(text)


@pytest.mark.parametrize(
    ("suite", "root", "words"),
    [
        ("native", None, "texts of the tasks that come with evo-kernel, as another version of it has them"),
        ("native", "/mine", "texts of its tasks: files in /mine were changed since"),
        ("rocm", "/geak", "programs or tests in its checkout, which was changed since"),
    ],
)
def test_whose_texts_changed_is_said_as_it_is(suite: str, root: str | None, words: str) -> None:
    before = SuiteRun(suite, root, (), 8, {}, texts="0f")
    assert differing(before, replace(before, texts="a0")) == [words]


def test_tasks_whose_names_differ_in_signs_alone_have_a_folder_each(tmp_path: Path) -> None:
    names = ("a b.py", "a+b.py", "x/y", "x__y", "level1/2_Relu", "softmax", "a__b.py", "Ä/ö", "A/ö")
    folders = [run_of(tmp_path, Member(name, None, None, "")).name for name in names]
    assert len(set(folders)) == len(names)
    assert folders[4:6] == ["level1__2_Relu", "softmax"]  # as runs of older versions have them
    assert folders[2] == "x__y"


@pytest.mark.parametrize(
    "error",
    [
        Unsettled("the seed cannot be measured: the device's clocks did not settle"),
        TaskError("task a: it takes more memory than its judge's part, one of 4 of the GPU"),
    ],
)
def test_a_task_that_cannot_be_measured_now_holds_up_no_other_and_is_asked_for_again(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def advance(population: Population, seconds: float = 0.5) -> Progress:
        if population._journal.folder.name == "a":
            raise error
        return advanced(population, seconds)

    advanced = Population.advance
    monkeypatch.setattr(Population, "advance", advance)
    made = run(*options(tasks, tmp_path / "out", "--task", "a", "--task", "b"))
    assert (made.exit_code, f"a was left alone: {error}; run the suite again" in made.stderr) == (1, True)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [t["made"]["evaluations"] for t in report["tasks"]] == [0, 8]
    assert [(t["status"], t["why"]) for t in report["tasks"]] == [
        ("open", f"left alone: {error}; run the suite again"),
        ("open", ""),
    ]
    monkeypatch.setattr(Population, "advance", advanced)
    assert run(*options(tasks, tmp_path / "out", "--task", "a", "--task", "b")).exit_code == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [t["made"]["evaluations"] for t in report["tasks"]] == [8, 8]


def test_held_out_cases_without_room_are_one_tasks_and_judged_by_the_next_run(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_judge(task: Task, *_: object) -> SimpleNamespace:
        if task.name == "a":
            raise TaskError("task a: it takes more memory")
        return judge_of(task, *_)

    judge_of = suite_held_out.one_judge
    given = options(tasks, tmp_path / "out", "--task", "a", "--task", "b")
    with monkeypatch.context() as short:
        short.setattr(suite_held_out, "one_judge", one_judge)
        assert run(*given).exit_code == 1
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [t["held_out"] for t in report["tasks"]] == [None, "both-pass"]
    assert report["tasks"][0]["why"].startswith("left alone: held-out cases were not judged: task a: it takes more")
    assert run(*given).exit_code == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [(t["held_out"], t["why"]) for t in report["tasks"]] == [("both-pass", "")] * 2


def test_held_out_cases_are_judged_beside_as_many_judges_as_there_are_now(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_judge(task: Task, settings: Settings) -> SimpleNamespace:
        seen.append(settings.judges)
        return SimpleNamespace(judge=lambda source, *_: Formula().judge(source), close=lambda: None)

    seen: list[int] = []
    out, member = tmp_path / "out", Member("a")
    assert run(*options(tasks, out, "--task", "a")).exit_code == 0
    (run_of(out, member) / HELD_OUT).unlink()
    monkeypatch.setattr(suite_held_out, "one_judge", one_judge)
    place = standing.read(out, member)
    now = place.state.settings.model_copy(update={"judges": 3})
    suite_held_out.judge(out, place, now, threading.Event())
    assert (place.state.settings.judges, seen) == (1, [3])


def test_a_task_whose_run_is_anothers_or_has_lost_its_journal_is_damaged(tasks: Path, tmp_path: Path) -> None:
    given = options(tasks, tmp_path / "out", "--task", "a", "--task", "b")
    assert run(*given).exit_code == 0
    mine, other = tmp_path / "out" / "tasks" / "a", tmp_path / "out" / "tasks" / "b"
    for put, words in ((lambda: shutil.copytree(other, mine), "it is a search of b; delete tasks/a"),
                       (lambda: shutil.copytree(other, mine, ignore=shutil.ignore_patterns("journal.db*")),
                        "it has no journal.db, and yet held_out.json; delete tasks/a")):  # fmt: skip
        shutil.rmtree(mine)
        put()
        told = run("suite", "report", tmp_path / "out")
        assert (told.exit_code, f"- a: {words}" in told.stdout) == (0, True), told.output
        assert json.loads((tmp_path / "out" / "report.json").read_text())["damaged"] == ["a"]
        again = run(*given)
        assert (again.exit_code, words in again.stderr) == (1, True), again.output
    shutil.rmtree(mine)
    mine.mkdir()
    (mine / "lock").touch()  # a kill may leave that alone
    assert run(*given).exit_code == 0


RAISES = {
    "exits": ("raise SystemExit(3)", "SystemExit: 3"),
    "ends": ("raise GeneratorExit", "GeneratorExit"),
    "skips": ("class Skipped(BaseException): ...\nraise Skipped('no package')", "Skipped: no package"),
    "mute": ("class Mute(Exception):\n    def __str__(self): return 1 / 0\nraise Mute", "Mute: (what it says cannot be had"),
    "two\nlines": ("raise ValueError('a\\nb')", "ValueError: a b"),
}  # fmt: skip


def test_whatever_a_task_file_raises_leaves_out_that_task_alone(tasks: Path, tmp_path: Path) -> None:
    for name, (code, _) in RAISES.items():
        (tasks / f"{name}.py").write_text(f"{SCALE}\n{code}\n")
    wanted = [word for name in ("a", *RAISES) for word in ("--task", name)]
    told = run(*options(tasks, tmp_path / "out", *wanted, "--at-once", 1))
    assert told.exit_code == 0, told.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    found = {t["name"]: t for t in report["tasks"]}
    assert found.pop("a")["status"] == "open"
    for name, (_, words) in RAISES.items():
        assert (found[name]["status"], words in found[name]["why"]) == ("hopeless", True), found[name]
    lines = (tmp_path / "out" / "report.md").read_text().splitlines()
    assert sum(line.startswith("| two?lines | ") for line in lines) == 2, lines  # in the tables of tasks and of costs
    assert not any(line.startswith("lines") for line in lines)


def test_a_damaged_task_is_named_and_costs_the_others_nothing(tasks: Path, tmp_path: Path) -> None:
    given = options(tasks, tmp_path / "out", "--task", "a", "--task", "b")
    assert run(*given).exit_code == 0
    whole = (tmp_path / "out" / "report.json").read_bytes()
    mine, other = tmp_path / "out" / "tasks" / "a", tmp_path / "out" / "tasks" / "b"
    journal = (mine / "journal.db").read_bytes()
    noise = random.Random(0).randbytes(len(journal))
    for damaged in (b"", journal[: len(journal) // 2], noise, journal[:8192] + noise[:8192] + journal[16384:]):
        (mine / "journal.db").write_bytes(damaged)
        told = run("suite", "report", tmp_path / "out")
        assert told.exit_code == 0, told.output
        report = json.loads((tmp_path / "out" / "report.json").read_text())
        assert (report["damaged"], [t["status"] for t in report["tasks"]]) == (["a"], ["damaged", "open"])
        assert [t["made"]["evaluations"] for t in report["tasks"]] == [0, 8]
        assert re.search(r"^- a: journal\.db.*delete tasks/a and run the suite again", told.stdout, re.MULTILINE)
    again = run(*given)
    assert (again.exit_code, again.stderr.count("\n")) == (1, 1)
    assert "a is damaged and was left alone: journal.db" in again.stderr
    shutil.rmtree(mine)
    assert run(*given).exit_code == 0
    assert (tmp_path / "out" / "report.json").read_bytes() == whole  # the other had no turn that was this one's
    (other / suite_handed.THEIRS).write_text('{"candidate": "0f')
    told = run("suite", "report", tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["damaged"], report["tasks"][1]["made"]["evaluations"]) == (["b"], 8)
    assert "- b: theirs.json is damaged, run the suite again" in told.stdout


@pytest.mark.parametrize(
    "damaged", ["", '{"before": null}', '{"before": "false"}', '{"after": 1}', '{"why": "\\ud800"}', "[" * 9999]
)
def test_damaged_verdicts_on_held_out_cases_are_named_and_asked_again(
    tasks: Path, tmp_path: Path, damaged: str
) -> None:
    given = options(tasks, tmp_path / "out", "--task", "a")
    assert run(*given).exit_code == 0
    kept = tmp_path / "out" / "tasks" / "a" / HELD_OUT
    whole = kept.read_bytes()
    kept.write_text(json.dumps(json.loads(whole) | json.loads(damaged)) if damaged.endswith("}") else damaged)
    report = json.loads(run("suite", "report", tmp_path / "out", "--json").stdout)
    assert (report["damaged"], report["tasks"][0]["held_out"]) == (["a"], None)
    assert "held_out.json is damaged, run the suite again to judge" in report["tasks"][0]["why"]
    assert run(*given).exit_code == 0
    assert kept.read_bytes() == whole


def test_damaged_times_of_theirs_are_damage_whichever_number_or_word_it_is(tmp_path: Path) -> None:
    times = {"reference": [["a", 1.0]], "program": [["a", 2.0]], "why": "", "device": "x", "mode": "", "again": []}
    whole = {"candidate": "0f", "called": True, "passed": True, "why": "", "device": "x", "mode": "", "times": times}
    (tmp_path / suite_handed.THEIRS).write_text(json.dumps(whole))
    assert suite_handed.damage(tmp_path) == ""
    parts: list[dict] = [
        {"called": None},
        {"called": 1},
        {"why": "\ud800"},
        {"times": []},
        {"passed": 10**30},
        {"flagged": 1},
    ]
    parts += [{"times": {**times, "device": "\ud800"}}, {"times": {**times, "reference": [["a", 1.0], ["a", 2.0]]}}]
    for us in (0.0, -1.0, float("nan"), float("inf"), 10**400, "1", True):
        parts += [{"times": {**times, name: [["a", us]]}} for name in ("reference", "program", "again")]
    for part in parts:
        (tmp_path / suite_handed.THEIRS).write_text(json.dumps(whole | part))
        assert suite_handed.damage(tmp_path).startswith("theirs.json is damaged, run the suite again to ask"), part


def test_what_a_test_of_theirs_said_elsewhere_stays_where_it_says_another_thing_here() -> None:
    times = suite_timed.Timed((("a", 1.0),), (("a", 2.0),), "", "GPU")
    older = suite_handed.Said("0f", True, True, "", "GPU", "open", times)
    wrong = suite_handed.Said("0f", True, False, "not equal", "GPU", "open")
    nothing = suite_handed.Said("0f", False, None, "the suite's own reference fails", "GPU", "open")
    assert [suite_handed._joined(before, wrong) for before in (None, nothing)] == [wrong, wrong]
    assert [suite_handed._joined(before, nothing) for before in (older, wrong)] == [older, wrong]
    assert [one.open for one in (older, wrong, nothing, replace(older, flagged=False))] == [True, False, True, False]
    assert suite_handed._joined(older, replace(wrong, device="interpreter")) == older
    assert suite_handed._joined(older, wrong) == replace(wrong, times=times)


def test_a_folder_of_a_search_is_left_to_it(tasks: Path, tmp_path: Path) -> None:
    Journal.create(tmp_path / "search").close()
    told = run(*options(tasks, tmp_path / "search", "--task", "a"))
    assert (told.exit_code, told.output.count("\n")) == (1, 1)
    assert "holds the run of a search: name another folder for the suite run" in told.output
    assert not (tmp_path / "search" / "suite.json").exists()


@pytest.mark.parametrize("limit", ["calls", "gpu-seconds"])
def test_limits_that_limit_nothing_are_refused(tasks: Path, tmp_path: Path, limit: str) -> None:
    told = run(*options(tasks, tmp_path / "run", "--task", "a", f"--max-{limit}", "5"))
    assert (told.exit_code, told.output.count("\n")) == (2, 1)
    assert f"max_{limit.replace('-', '_')} limits nothing" in told.output
    assert not (tmp_path / "run").exists()


def test_two_runs_are_laid_side_by_side_and_another_budget_is_refused(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for out, seed in (("one", 0), ("two", 1)):
        assert run(*options(tasks, tmp_path / out, "--task", "a", "--seed", seed)).exit_code == 0
    told = run("suite", "report", tmp_path / "one", "--compare", tmp_path / "two")
    assert "| task | one, us | two, us | one / two |" in told.stdout
    with monkeypatch.context() as there:
        there.chdir(tmp_path / "one")
        assert "| task | one, us | two, us |" in run("suite", "report", ".", "--compare", "../two").stdout
    assert run(*options(tasks, tmp_path / "three", "--task", "b")).exit_code == 0
    apart = run("suite", "report", tmp_path / "one", "--compare", tmp_path / "three")
    assert (apart.exit_code, "they have no task in common" in apart.stderr) == (1, True)
    assert re.search(r"^\| a \| [1-9] / \d+ / 1\d \| 0 / 0 / 0 \| 0 / 0 / 0 \|", told.stdout, re.MULTILINE)
    assert (tmp_path / "one" / "compared" / "report.svg").read_text().count("<polyline") == 2
    about = tmp_path / "one" / "suite.json"
    older = json.loads(about.read_text())
    assert older["settings"].pop("prior") is True  # it was begun before there was such a setting
    about.write_text(json.dumps(older))
    assert run(*options(tasks, tmp_path / "one", "--task", "a", "--seed", 0)).exit_code == 0
    for part, words in ((("target",), "lack target"), (("generations", "x"), "no record of a suite run")):
        damaged = {k: v for k, v in older["settings"].items() if k != part[0]} | dict([part] if part[1:] else [])
        about.write_text(json.dumps({**older, "settings": damaged}))
        assert words in run("suite", "report", tmp_path / "one").output
    name, depth = older["members"][0], 100_000
    for changed, words in (
        ({"members": [{**name, "group": 3}]}, "the group, category or reason of 'a' is no text"),
        ({"members": [{**name, "left_out": 3}]}, "the group, category or reason of 'a' is no text"),
        ({"members": [{**name, "category": [1]}]}, "the group, category or reason of 'a' is no text"),
        ({"members": [{**name, "name": "\ud800"}]}, "is no name of a task"),
        ({"members": [{**name, "name": ".."}]}, "'..' is no name of a task"),
        ({"members": [{**name, "name": ["a"]}]}, "is no name of a task"),
        ({"members": [name, name]}, "the task 'a' is in it twice"),
        ({"settings": {**older["settings"], "generations": 1e400}}, "generations is no number"),
        ({"settings": {**older["settings"], "target": [1]}}, "target is no text"),
        ({"settings": [*older["settings"]]}, "is no record of a suite run"),
        ({"suite": 5}, "suite is no text"),
        ({"budget": True}, "budget is no number of 1 or more"),
        ({"form": [[]]}, "of another version"),
        (None, "maximum recursion depth"),
    ):
        about.write_text("[" * depth if changed is None else json.dumps({**older, **changed}))
        told = run("suite", "report", tmp_path / "one")
        assert (told.exit_code, told.output.count("\n")) == (1, 1)
        assert words in told.output
    about.write_text(json.dumps(older))
    refused = run(*options(tasks, tmp_path / "one", "--task", "b"))
    assert (refused.exit_code, refused.output.count("\n")) == (1, 1)
    assert "a suite run with other tasks: it was begun with a too, and it was begun without b. Ask" in refused.output
    given = options(tasks, tmp_path / "one", "--task", "a", "--seed", 0)
    told = run(*given, "--budget", 24, "--population", 3).output
    assert (
        "with other budget: it was begun with 18, and 24 is asked for; settings: population was 2 and is 3 now" in told
    )
    asked = [{**name, "left_out": "needs a\nthing"}]
    about.write_text(json.dumps({**older, "members": asked, "root": None}))
    told = run(*given).output
    assert "root: it was begun with none, and /" in told
    assert "tasks: a was left out (needs a thing) and is searched (level -, category -) now" in told
    assert "has no suite.json" in run("suite", "report", tmp_path).output


def test_runs_are_divided_where_their_tasks_are_the_same_and_their_times_of_one_kind(
    tasks: Path, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert run(*options(tasks, one, "--task", "a", "--task", "b")).exit_code == 0
    (tasks / "b.py").write_text(SCALE.replace("num_warps=4", "num_warps=2"))
    assert run(*options(tasks, two, "--task", "a", "--task", "b")).exit_code == 0
    told = run("suite", "report", one, "--compare", two).stdout
    assert re.search(r"^\| a \| [\d.]+ \| [\d.]+ \| 1\.000 \|$", told, re.MULTILINE)
    assert re.search(r"^\| b \| [\d.]+ \| [\d.]+ \| - \|$", told, re.MULTILINE)
    assert "other text in the two runs, so not divided: b" in told
    assert "| one | native | mi300 | predicted | sealed | 18 |" in told
    about = json.loads((two / "suite.json").read_text())
    (two / "suite.json").write_text(json.dumps({**about, "settings": {**about["settings"], "mode": "open"}}))
    told = run("suite", "report", one, "--compare", two).stdout
    assert "| two | native | mi300 | predicted | open (untrusted-host) | 18 |" in told
    assert "different chips, bases or modes: tasks are not laid side by side" in told


def test_models_write_programs_too_within_limits_that_all_tasks_share(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talks, "alike", lambda task: ())  # tests/test_knowledge.py has that: a process for each task
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with LlmServer(skilled) as server:
        models = ("--model", f"openai:tiny@{server.openai}", "--price", "openai:tiny=1/1", "--max-cost", 2)
        chosen = (*options(tasks, tmp_path / "out", *models, "--at-once", 1), "--task", "a", "--task", "b")
        refused = run(*chosen, "--budget", 8, "--max-calls", 1)
        made = run(*chosen, "--budget", 8, "--max-calls", 5)
        assert made.exit_code == 0, made.output
        asked = len(server.asked)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    calls = [t["made"]["spent"]["calls"] for t in report["tasks"]]
    assert sum(calls) == asked == report["all"]["calls"]
    assert calls == [2, 2]  # a turn each, of the two that there are, and half of five calls
    assert 0 < report["all"]["dollars"] < 2
    assert (refused.exit_code, refused.output.count("\n")) == (1, 1)
    assert "1 calls are nothing for each of 2 turns" in refused.output


def test_what_a_failed_program_says_stays_in_its_cell() -> None:
    (row,) = table({"why": lambda r: r["why"], "ours": lambda r: "right"}, [{"why": "no | for int"}])[2:]
    assert row == r"| no \| for int | right |"


def test_a_seed_that_nothing_beats_is_no_speedup_of_what_was_generated() -> None:
    handed = suite_handed.Verdicts("x", "optimize", True, True, "", "sealed", (("a", 40.0), ("b", 25.0)), None)
    made = rows.Made(evaluations=1, ran=1, correct=1)
    cases = tuple(rows.CaseRow(case, 20.0, 20.0, 10.0) for case in "ab")  # the best is the seed
    row = rows.Row("add", None, None, "open", "", made, 20.0, 20.0, speedup=1.0, cases=cases, handed=handed,
                         references=(("a", 20.0), ("b", 20.0)))  # fmt: skip
    assert suite_report.measures([row])["geak_speedup"] == pytest.approx((0.5 + 0.8) / 2)
    assert suite_report.measures([replace(row, made=replace(made, correct=0))])["geak_speedup"] is None


def test_what_came_with_pytorch_alone_is_held_against_pytorch_where_that_was_timed(tmp_path: Path) -> None:
    made = rows.Made(evaluations=2, ran=2, correct=1)
    row = rows.Row("relu", "level1", None, "open", "", made, best_us=20.0, eager_us=30.0)
    assert suite_report.measures([row])["fast_p"]["1"] is None  # nothing to be faster than
    (tmp_path / EAGER).write_text('{"theirs": 48.0, "half": 24.0}')
    times = eager.times(tmp_path)
    cases = tuple(rows.CaseRow(case, us, 20.0, 10.0) for case, us in times.items())
    timed = suite_report.measures([replace(row, cases=cases, references=tuple(times.items()))])
    assert timed["fast_p"] == {"1": 1.0, "1.5": 1.0, "2": 0.0}  # 72 us over 40
    assert timed["geak_speedup"] == pytest.approx((2.4 + 1.2) / 2)
    for torn in ("torn", '{"theirs": 0.0}', '{"theirs": null}', "[]"):
        (tmp_path / EAGER).write_text(torn)
        assert eager.times(tmp_path) == {}  # so that PyTorch is timed again
        assert suite_handed.damage(tmp_path).startswith("eager.json is damaged, run the suite again to time PyTorch")
