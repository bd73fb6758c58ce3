"""Searches by a suite's own test, where no task of ours can be made: what is right, what is not, and what is reported."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import their_clock
from click.testing import CliRunner, Result

from archives.journal import FILE, Journal
from evo_kernel import config_files, prompts, runs
from evo_kernel.cli import main
from evo_kernel.errors import Unsettled
from evo_kernel.pools import InlinePool
from evo_kernel.suite import tasks as suite_tasks
from fitness import by_theirs as judging
from fitness import evaluation, targets
from fitness.by_theirs import TheirsJudge
from fitness.evaluation import Failure, Mode, Stage
from fitness.gpu import discover
from fitness.jail import Jail
from operators.llm import launcher
from suites import TaskError, foreign
from suites import task as tasks
from suites.foreign import Loaded, by_theirs
from suites.parsing import parse

HERE = Path(__file__).parent
GEAK = HERE / "suites" / "geak"
TARGET = targets.find("h200")

MODULE = """import torch
import triton
import triton.language as tl


@triton.jit
def count_kernel(y, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + at, at, mask=at < n)


def count(n):
    y = torch.empty(n, dtype=torch.int32, device="cuda")
    count_kernel[(triton.cdiv(n, 16),)](y, n, BLOCK=16)
    return y
"""


def loaded(suite: str, name: str) -> Loaded:
    return next(t for t in foreign.loader(suite).load(GEAK) if t.name == name)


@pytest.fixture(scope="module")
def halve() -> Loaded:
    return loaded("rocm", "halve")


@pytest.fixture(scope="module")
def make(jails: Callable[[str], Jail]) -> Iterator[Callable[[Loaded], TheirsJudge]]:
    """Make judges under the interpreter, in a jail that they share."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(judging, "Jail", jails)
        yield lambda found: TheirsJudge(by_theirs.task("rocm", found, by_theirs.UNHELD), TARGET)


@pytest.fixture(scope="module")
def judge(halve: Loaded, make: Callable[[Loaded], TheirsJudge]) -> TheirsJudge:
    return make(halve)


def test_a_program_is_right_and_timed_by_the_suites_own_tests(judge: TheirsJudge, halve: Loaded) -> None:
    for source in (judge.task.seeds[0].source, halve.source.replace("/ 2", "* 0.5")):
        found = judge.judge(source)
        assert found.passed, found.failure
        assert [c.case for c in found.cases] == ["n=5", "n=16"]
        assert {(c.floor_us, c.error, c.share) for c in found.cases} == {(None, None, None)}
        assert (found.mode, found.confirmed) == (Mode.OPEN, False)
        assert any("claims of the program's own process" in note for note in found.notes)
        assert any("no device" in note for note in found.notes)
        assert evaluation.unpack(evaluation.pack(found)) == found


HONEST = "tl.load(x + at, mask=at < n) / 2"
CHEATS = {
    "is wrong": (HONEST, "tl.load(x + at, mask=at < n) / 2.1", Stage.CORRECTNESS, "wrong"),
    "prints that it passed and leaves": (
        "import pytest\n", "import os\nprint('2 passed', flush=True)\nos._exit(0)\n", Stage.CORRECTNESS, "exit",
    ),
    "raises SystemExit": ("@triton.jit", "raise SystemExit(0)\n@triton.jit", Stage.CORRECTNESS, "tests"),
    "says that a call succeeded": (
        "import pytest\n", "import pytest\npytest.mark.parametrize = lambda *_: lambda f: lambda: None\n",
        Stage.CORRECTNESS, "wrong",
    ),
    "takes other arguments": ("(x, y, n,", "(x, y,", Stage.CORRECTNESS, "tests"),
    "holds the test's results": ("import pytest\n", "import pytest\nresult_gold = {}\n", Stage.STATIC, "refused"),
    "holds a test": ("import pytest\n", "import pytest\ndef test_it(): pass\n", Stage.STATIC, "refused"),
    "holds no kernel": ("@triton.jit", "", Stage.STATIC, "refused"),
    "lacks the kernel": ("def halve_kernel", "def other_kernel", Stage.STATIC, "refused"),
    "is no Python": ("import pytest\n", "import (\n", Stage.STATIC, "syntax"),
}  # fmt: skip


@pytest.mark.parametrize("way", CHEATS)
def test_what_only_says_that_it_is_right_is_not(way: str, judge: TheirsJudge, halve: Loaded) -> None:
    before, after, stage, kind = CHEATS[way]
    assert before in halve.source
    failure = judge.judge(halve.source.replace(before, after)).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == (stage, kind), failure
    if way == "is wrong":
        assert failure.message.endswith(", in 2 of 3: test_halve[5], test_halve[16]")


@pytest.fixture(scope="module")
def device(halve: Loaded) -> Iterator[TheirsJudge]:
    gpu = next((g for g in discover.gpus() if g.target is not None), None)
    if gpu is None or gpu.target is None:
        pytest.skip("no GPU here that has a sheet in fitness/targets.py")
    judge = TheirsJudge(by_theirs.task("rocm", halve, by_theirs.UNHELD), gpu.target, gpu)
    yield judge
    judge.close()


@pytest.mark.gpu
def test_on_a_gpu_a_right_program_is_timed(device: TheirsJudge, halve: Loaded) -> None:
    for source in (device.task.seeds[0].source, halve.source.replace("/ 2", "* 0.5")):
        found = device.judge(source)
        assert found.passed, found.failure
        assert found.device == device.device
        assert [c.case for c in found.cases] == ["n=5", "n=16"]
        assert not any("no device" in note for note in found.notes)


@pytest.mark.gpu
@pytest.mark.parametrize("way", CHEATS)
def test_on_a_gpu_what_only_says_that_it_is_right_is_not(way: str, device: TheirsJudge, halve: Loaded) -> None:
    before, after, stage, kind = CHEATS[way]
    failure = device.judge(halve.source.replace(before, after)).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == (stage, kind), failure


def test_a_program_without_a_time_that_the_reference_has_is_refused(
    make: Callable[[Loaded], TheirsJudge], halve: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(task: Loaded, source: str, *_: object) -> their_clock.Times:
        return their_clock.Times((("n=5", 1.0), ("n=16", 2.0))[: 2 if source == task.source else 1], 0.0)

    monkeypatch.setattr(their_clock.their_times, "take", take)
    failure = make(halve).judge(halve.source.replace("/ 2", "* 0.5")).failure
    assert failure is not None
    assert (failure.stage, failure.message) == (Stage.TIMING, "no time on n=16, as the reference has")


def test_nothing_is_searched_by_a_test_that_tests_nothing_or_whose_reference_fails(
    make: Callable[[Loaded], TheirsJudge], halve: Loaded
) -> None:
    idle = replace(halve, tests=halve.tests.replace("y.clone().detach().cpu()", "n").replace("    assert", "    #"))
    fails = replace(halve, source=halve.source.replace("/ 2", "/ undefined"))
    for found, kind, words in ((idle, "vacuous", "quarantined: its test passes"), (fails, "reference", "fails: ")):
        failure = make(found).judge(f"{found.source.rstrip()}\n").failure
        assert failure is not None
        assert (failure.stage, failure.kind, words in failure.message) == (Stage.CORRECTNESS, kind, True), failure


def test_a_reference_that_fails_after_a_run_began_is_nobodys_verdict(
    jails: Callable[[str], Jail], halve: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = by_theirs.task("rocm", replace(halve, source=halve.source.replace("/ 2", "/ undefined")), "")
    monkeypatch.setattr(judging, "Jail", jails)
    their_clock.install(monkeypatch)
    chosen = {"mode": "open", "basis": "measured", "target": "h200", "pool": "inline"}
    pool = InlinePool(by_theirs.timed_on(fails, ("n=5", "n=16")), config_files.load(None, chosen))
    pool.submit(1, halve.source)
    with pytest.raises(Unsettled, match=r"the suite's own reference fails: .* resume it later"):
        pool.wait(1.0)
    pool.close()


def test_a_module_that_no_task_of_ours_can_be_made_of_is_one_of_theirs(tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(HERE / "suites" / "tritonbench", root)
    separator = "#" * 146
    (root / "data/TritonBench_G_v1/count.py").write_text(
        f"{MODULE}\n{separator}\ndef test_count():\n    return {{'a': count(20), 'b': count(40)}}\n"
        "\nresult_gold = test_count()\n"
    )
    with pytest.raises(suite_tasks.Unturned, match="takes no tensor") as unturned:
        suite_tasks.task("tritonbench-g", root, "count")
    found = next(t for t in foreign.loader("tritonbench-g").load(root) if t.name == "count")
    asked = ("--task", "count", "--out", tmp_path / "out", "--no-theirs", *BUDGET)
    assert run("suite", "run", "tritonbench-g", "--root", root, *asked).exit_code == 0
    (left,) = json.loads((tmp_path / "out" / "report.json").read_text())["tasks"]
    assert left["status"] == "hopeless"
    assert "no inputs to draw; only its own test can judge it, and that takes a GPU" in left["why"]
    own = by_theirs.task("tritonbench-g", found, unturned.value.reason)
    assert tasks.unpack(tasks.pack(own)) == own
    assert by_theirs.loaded(own).tests == found.tests
    assert launcher.of(own).fault(parse(own.seeds[0].source)) is None
    judge = TheirsJudge(own, TARGET)
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(their_clock.their_times, "take", their_clock.take)
            assert judge.judge(own.seeds[0].source).passed
            failure = judge.judge(MODULE.replace("tl.store(y + at, at,", "tl.store(y + at, 0,")).failure
    finally:
        judge.close()
    assert failure is not None
    assert failure.kind == "wrong"


def test_models_are_shown_the_test_and_asked_for_what_stands_before_it(
    halve: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    their_clock.install(monkeypatch)
    chosen = {"mode": "open", "basis": "measured", "target": "h200", "pool": "inline"}
    settings = config_files.load(None, chosen)
    own = suite_tasks.find("rocm/halve", GEAK, settings)
    assert by_theirs.why(own) == by_theirs.UNHELD
    prompt = prompts.of_task(own, "optimize", settings, None, None)
    assert "It stands before its test in one file, and holds nothing of the test." in prompt.system
    assert "`halve_kernel(x, y, n, BLOCK)` among them" in prompt.system
    assert "def test_halve(n, request):" in prompt.system
    assert "n=16" in prompt.text
    with pytest.raises(TaskError, match="its own test can judge it: `suite judge`"):
        suite_tasks.find("rocm/halve", GEAK)


TWICE = """import torch
import triton
import triton.language as tl


@triton.jit
def twice_kernel(y, x, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + at, tl.load(x + at, mask=at < n) * 2, mask=at < n)


def twice(x):
    y = torch.empty_like(x)
    twice_kernel[(triton.cdiv(x.numel(), 64),)](y, x, x.numel(), BLOCK=64)
    return y
"""


def test_what_comes_with_pytorch_alone_is_right_as_its_own_seed_and_a_kernel_in_its_place_too(
    make: Callable[[Loaded], TheirsJudge],
) -> None:
    root = HERE / "suites" / "kernelbenchx"
    judge = make(next(t for t in foreign.loader("kernelbench-x").load(root) if t.name == "Math/twice"))
    for source, stage in (
        (judge.task.seeds[0].source, None),
        (TWICE, None),
        (TWICE.replace("* 2,", "* 3,"), Stage.CORRECTNESS),
        (f"{TWICE}\n\ndef twice(x):\n    return x + x\n", Stage.CORRECTNESS),  # beside a kernel that nobody launches
        ("def twice(x):\n    return x + x\n", Stage.STATIC),
    ):
        failure = judge.judge(source).failure
        assert (failure and failure.stage) == stage, failure


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


BUDGET = ("--budget", 12, "--population", 3, "--generations", 2, "--operators", "rewrite", "--at-once", 1, "--quiet")


def asked(out: Path) -> list[str]:
    return [str(a) for a in ("suite", "run", "rocm", "--root", GEAK, "--task", "halve", "--out", out, *BUDGET)]


def test_without_a_gpu_one_line_says_what_is_missing(tmp_path: Path) -> None:
    told = run(*asked(tmp_path / "out"))
    assert (told.exit_code, told.stderr.count("\n")) == (1, 1)
    assert "no task of rocm can be searched; of halve: its tests launch its kernels themselves" in told.stderr
    assert "only its own test can judge it, and that takes a GPU" in told.stderr


PATCHED = (
    "import pytest, their_clock; their_clock.install(pytest.MonkeyPatch()); from evo_kernel.cli import main; main()"
)


@pytest.mark.timeout(300)
def test_killed_and_resumed_a_run_by_theirs_reports_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = os.pathsep.join((str(HERE.parent), str(HERE)))
    torn = tmp_path / "torn"
    journal = torn / "tasks" / "halve"
    process = subprocess.Popen(
        [sys.executable, "-c", PATCHED, *asked(torn)], env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None and verdicts(journal) < 3:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert 3 <= verdicts(journal) < 13
    their_clock.install(monkeypatch)
    for out in (torn, tmp_path / "whole"):
        made = run(*asked(out))
        assert made.exit_code == 0, made.output
    one, same = ((out / "report.json").read_bytes() for out in (torn, tmp_path / "whole"))
    assert one == same
    report = json.loads(one)
    (task,) = report["tasks"]
    assert (task["by"], task["held_out"], task["handed"]["ours"]) == ("theirs", None, None)
    assert task["made"]["correct"] > 0
    assert (report["all"]["by_theirs_alone"], report["all"]["execution_accuracy"]) == (1, 0.0)
    assert report["all"]["theirs"]["execution_accuracy"] == 1.0
    assert (task["speedup"], report["all"]["theirs"]["geak_speedup"]) == (None, None)  # only a GPU times it afterwards
    assert (task["cases"], report["all"]["tasks_with_regressions"]) == (
        [],
        0,
    )  # the luckiest of many times are no figure
    assert "the seed)" not in made.stderr
    told = (torn / "report.md").read_text()
    assert "1 of 1 tasks were judged by the suite's own test alone" in told
    assert "- halve: ours: no task, because its tests launch its kernels themselves" in told
    assert "judged by its suite's own test and times alone" in run("show", journal).stdout
    exported = run("export", journal, "--out", tmp_path / "exported")
    assert exported.exit_code == 0, exported.output
    (file,) = (tmp_path / "exported").iterdir()
    assert "by its suite's own test, and by that alone" in file.read_text()
    state = runs.read(journal)
    assert state.search.archive[state.search.archive.best or ""].roofline is None
    assert by_theirs.tests(state.task) == their_clock.TESTS
    with monkeypatch.context() as flaky:  # the reference is not asked again, so that a test it fails once costs nothing
        flaky.setattr(their_clock.their_times, "take", lambda *_: their_clock.Times((("n=5", 1.0),), 0.0))
        judge = TheirsJudge(state.task, TARGET)
        assert (judge.judge(state.task.seeds[0].source).failure or Failure(Stage.IMPORT, "", "")).kind == "times"
        judge.close()


def verdicts(folder: Path) -> int:
    if not (folder / FILE).exists():
        return 0
    with Journal.read(folder) as journal:
        return sum(type(event).__name__ == "Judged" for event in journal.events())
