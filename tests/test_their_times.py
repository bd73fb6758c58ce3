"""Times as other suites take them: their performance files run here by the host's clock, which times no GPU."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import formula
import pytest
from click.testing import CliRunner, Result

from evo_kernel import metrics
from evo_kernel.cli import main
from evo_kernel.suite import begin, drive, handed, timed
from fitness import their_times
from fitness.foreign import FLAVOUR
from fitness.jail import Jail, Outcome
from fitness.their_times import Times
from suites import foreign
from suites.foreign import Loaded

pytestmark = pytest.mark.usefixtures("shared_jails")

HERE = Path(__file__).parent / "suites"
TIMED = {
    "rocm": ("geak", "halve", ("n=5", "n=16")),
    "tritonbench-g": ("tritonbench", "negate", ("1: [[20]]", "3: [[40]]")),
    "kernelbench-x": ("kernelbenchx", "Math/twice", ("1: [[64]]",)),
    "agent-kernel-arena": ("arena", "own/negate", ("perf40", "perf80")),
    "kernelbench": ("kernelbench", "level3/1_Layer", ("get_inputs",)),
}


def task(suite: str) -> Loaded:
    folder, name, _ = TIMED[suite]
    return next(t for t in foreign.loader(suite).load(HERE / folder) if t.name == name)


@pytest.fixture(scope="module")
def jail(jails: Callable[[str], Jail]) -> Jail:
    return jails(FLAVOUR)


@pytest.mark.parametrize("suite", TIMED)
def test_a_suites_own_performance_file_times_its_reference_test_by_test(suite: str, jail: Jail) -> None:
    one = task(suite)
    found = their_times.take(one, one.source, jail, 60, None)
    assert found.why == ""
    assert tuple(name for name, _ in found.by_test) == TIMED[suite][2]  # a test that fails has no time
    assert all(0 < us < 1e6 * found.seconds for _, us in found.by_test)


def test_a_program_is_timed_in_place_of_the_reference(jail: Jail) -> None:
    negate = task("tritonbench-g")
    slow = negate.source.replace("    y = torch", "    __import__('time').sleep(0.05)\n    y = torch")
    assert min(us for _, us in their_times.take(negate, slow, jail, 60, None).by_test) > 5e4
    broken = their_times.take(negate, negate.source.replace("def negate(", "def other("), jail, 60, None)
    assert broken.by_test == ()
    assert broken.why.startswith("exception: ImportError: cannot import name 'negate'")
    never = their_times.take(negate, f"while True: pass\n{negate.source}", jail, 1, None)
    assert (never.by_test, never.why.split(":")[0]) == ((), "timeout")


def test_a_module_is_timed_by_the_name_that_the_suite_asks_for(jail: Jail) -> None:
    layer = task("kernelbench")
    made = layer.source.replace("class Model(", "class ModelNew(").replace("super(Model, ", "super(ModelNew, ")
    assert len(their_times.take(layer, made, jail, 60, None).by_test) == 1
    assert "ModelNew" in their_times.take(layer, f"# the reference\n{layer.source}", jail, 60, None).why


def test_what_failed_in_every_test_is_said(jail: Jail) -> None:
    halve = task("rocm")
    found = their_times.take(halve, halve.source.replace("tl.load(x + at", "tl.lead(x + at"), jail, 60, None)
    assert found.by_test == ()
    assert found.why.startswith("times: ")
    assert "lead" in found.why


def test_a_time_that_is_none_is_refused_whoever_says_it(jail: Jail) -> None:
    negate = task("tritonbench-g")
    forged = "import triton.testing\ntriton.testing.do_bench = lambda *_, **__: [float({!r})] * 3\n"
    for said, why in (("inf", "holds no time"), ("nan", "saved none"), ("-1", "saved none"), ("1e12", "holds no time")):
        found = their_times.take(negate, forged.format(said) + negate.source, jail, 60, None)
        assert found.by_test == ()
        assert why in found.why


def test_an_input_whose_sizes_cannot_be_written_has_no_time_as_in_their_harness(jail: Jail) -> None:
    negate = task("tritonbench-g")
    shared, (path, text) = negate.timing
    strange = text.replace("return tuple(v.cuda() for v in given)", "return (*given, Sized())")
    strange = strange.replace("import torch\n", "import torch\n\n\nclass Sized:\n    shape = object()\n", 1)
    found = their_times.take(replace(negate, timing=(shared, (path, strange))), negate.source, jail, 60, None)
    assert found.by_test == ()
    assert "TypeError" in found.why


def test_a_script_that_saves_nothing_may_print_one_latency_of_all_its_shapes(jail: Jail) -> None:
    negate = task("agent-kernel-arena")
    for said, found in (("0.25", (("all shapes", 250.0),)), ("0.0", ()), ("1-2", ())):
        script = f"import time\ntime.sleep(0.01)\nprint('GEAK_RESULT_LATENCY_MS={said}')\n"
        printing = replace(negate, timing=(("bench.py", script),), timed=("bench.py", "--full-benchmark"))
        assert their_times.take(printing, negate.source, jail, 60, None).by_test == found
    ending = "print('GEAK_RESULT_LATENCY_MS=0.001')\nraise SystemExit(3)\n"
    printing = replace(negate, timing=(("bench.py", ending),), timed=("bench.py", "--full-benchmark"))
    assert "bench.py ended with 3" in their_times.take(printing, negate.source, jail, 60, None).why


class Saying:
    """A jail in which a program answers whatever it likes."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def run(self, *_: object) -> Outcome:
        return Outcome("times", self.value, None, "", "", "", 2.0)


@pytest.mark.parametrize(
    "value",
    [
        None, (), "ab", 3, {"a": 1.0}, (("a", math.nan),), (("a", math.inf),), (("a", 0.0),), (("a", -1.0),),
        (("a", 2e6 + 1),), (("a", "1"),), (("a", True),), (("a", 1.0, 1.0),), (("", 1.0),), (("a\n", 1.0),),
        ((b"a", 1.0),), (("a" * 201, 1.0),), (("a", 1.0), ("a", 2.0)), tuple((str(n), 1.0) for n in range(5001)),
        ("ab", "cd"),
    ],
)  # fmt: skip
def test_what_comes_back_must_be_times(value: Any) -> None:
    found = their_times.take(task("kernelbench"), "", Saying(value), 2, None)  # type: ignore[arg-type]
    assert found.by_test == ()
    assert found.why.startswith("what came back ")
    assert "\n" not in found.why


def test_times_that_are_times_are_told_in_their_order() -> None:
    saying: Any = Saying((("b", 2.0), ("a", 1)))
    assert their_times.take(task("kernelbench"), "", saying, 2, None) == Times((("b", 2.0), ("a", 1.0)), 2.0)


def test_a_task_whose_suite_has_nothing_that_times_it_says_so(tmp_path: Path) -> None:
    nobody: Any = None
    double = next(t for t in foreign.loader("tritonbench-revised").load(HERE / "geak") if t.name == "double")
    assert their_times.take(double, double.source, nobody, 1, None).why.startswith("its checkout has no performance")
    shutil.copytree(HERE / "arena", tmp_path / "arena")
    shutil.rmtree(tmp_path / "arena" / "src")
    (negate,) = (t for t in foreign.loader("agent-kernel-arena").load(tmp_path / "arena") if t.name == "own/negate")
    assert (negate.problem, negate.timed) == (None, ())
    assert their_times.lacking(negate)
    config = tmp_path / "arena" / "tasks" / "triton2triton" / "own" / "negate" / "config.yaml"
    config.write_text(config.read_text().replace("test_it.py performance", "'unended"))
    again = next(t for t in foreign.loader("agent-kernel-arena").load(tmp_path / "arena") if t.name == "own/negate")
    assert (again.problem, again.timed) == (None, ())


def test_a_suite_run_notices_another_timer_and_goes_on_from_before_there_were_any() -> None:
    one = task("rocm")
    ((path, text),) = one.timing
    assert begin.digest([one]) != begin.digest([replace(one, timing=((path, f"{text}\n"),))])
    assert begin.digest([one], timed=False) == begin.digest([replace(one, timing=())], timed=False)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def by_the_hosts_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have commands that want a GPU take times by the host's clock, where tests have none."""
    take = timed.timed
    monkeypatch.setattr(timed, "device", lambda _: None)
    monkeypatch.setattr(timed, "timed", lambda programs, _, seconds: take(programs, None, seconds))
    monkeypatch.setattr(drive, "gpu", lambda _: "the host")


class TestJudgeWithTimes:
    given = ("tritonbench-g", "--root", HERE / "tritonbench", "--rules", "theirs", "--times")

    def test_a_machine_without_a_gpu_is_told_so_before_anything_runs(self) -> None:
        for on, said in (("auto", "no GPU"), ("interpreter", "--times needs a GPU")):
            refused = run("suite", "judge", *self.given, "--on", on)
            assert (refused.exit_code, refused.stderr.count("\n"), said in refused.stderr) == (1, 1, True)

    def test_the_speedup_is_the_mean_over_tests_of_the_references_time_over_the_programs(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        by_the_hosts_clock(monkeypatch)
        slow = task("tritonbench-g").source.replace("    y = torch", "    __import__('time').sleep(0.2)\n    y = torch")
        (tmp_path / "slow.py").write_text(slow)
        judged = run("suite", "judge", *self.given, tmp_path / "slow.py", "--task", "negate", "--json")
        assert judged.exit_code == 0, judged.output
        times = json.loads(judged.stdout)["times"]
        one = times["tasks"]["negate"]
        turns = zip(one["reference"], one["again"], one["program"], strict=True)
        ratios = [(before + after) / 2 / made for (_, before), (_, after), (_, made) in turns]
        assert one["geak_speedup"] == times["geak_speedup"] == pytest.approx(sum(ratios) / 2)
        assert 0 < one["geak_speedup"] < 0.5
        assert (times["mode"], one["mode"], one["why"]) == ("untrusted-host", "untrusted-host", "")
        assert "[1/1] negate  GEAK speedup 0." in judged.stderr
        beside = [before / after for (_, before), (_, after) in zip(one["reference"], one["again"], strict=True)]
        assert one["beside_itself"] == pytest.approx([sum(beside) / 2, min(beside), max(beside)])
        assert f"the reference beside itself {one['beside_itself'][0]:.3f}x" in judged.stderr

    def test_what_does_not_pass_is_not_timed_and_what_fails_a_timed_test_has_no_speedup(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        by_the_hosts_clock(monkeypatch)
        source = task("tritonbench-g").source
        (tmp_path / "wrong.py").write_text(source.replace("-tl.load", "tl.load"))
        wrong = run("suite", "judge", *self.given, tmp_path / "wrong.py", "--task", "negate")
        assert "GEAK speedup by their own performance tests: none, of 0 of the 0 tasks" in wrong.stdout
        (tmp_path / "small.py").write_text(source.replace("    y = torch", "    assert len(x) < 30\n    y = torch"))
        small = run("suite", "judge", *self.given, tmp_path / "small.py", "--task", "negate")
        assert "negate  no times of theirs: no time of the program for 3: [[40]]" in small.stdout


def test_a_suite_run_keeps_their_times_and_its_report_says_whose_its_speedups_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    formula.install(monkeypatch)
    by_the_hosts_clock(monkeypatch)
    out, keep = tmp_path / "out", handed._keep
    asked = ("tritonbench-g", "--root", HERE / "tritonbench", "--out", out, "--budget", 8, "--population", 2)
    command = ("suite", "run", *asked, "--generations", 1, "--at-once", 1)

    def killed(place: Path, one: handed.Said) -> None:
        if one.times is not None:
            raise KeyboardInterrupt
        keep(place, one)

    with monkeypatch.context() as patch:
        patch.setattr(handed, "_keep", killed)
        assert run(*command, "--quiet").exit_code == 130
    (kept,) = out.rglob(handed.THEIRS)
    verdict = json.loads(kept.read_text())
    assert (verdict["passed"], verdict.pop("times")) == (True, None)
    kept.write_text(json.dumps(verdict))  # as older versions wrote it
    half = json.loads(run("suite", "report", out, "--json").stdout)["all"]["theirs"]
    assert (half["timed_by_theirs"], half["timed_by_ours"]) == (0, 1)
    again = run(*command)
    assert again.exit_code == 0, again.output
    assert "[1/1] their times: negate  GEAK speedup " in again.stderr
    report = json.loads((out / "report.json").read_text())
    negate, whole = report["tasks"][0], report["all"]["theirs"]
    times = timed.read(negate["handed"]["theirs"]["times"])
    assert times is not None
    assert whole["geak_speedup"] == negate["their_geak_speedup"] == metrics.speedup(times.result)
    assert (whole["timed_by_theirs"], whole["timed_by_ours"]) == (1, 0)
    told = (out / "report.md").read_text()
    assert "from the suite's own performance tests in 1 tasks (untrusted-host: " in told
    before = kept.read_bytes()
    assert "their times" not in run(*command).stderr  # what is kept is not taken again
    assert kept.read_bytes() == before
    lost = {**json.loads(before)["times"], "why": "exception: no room"}
    kept.write_text(json.dumps(json.loads(before) | {"times": lost}))
    assert "from our cases in 1, for want" in run("suite", "report", out).stdout
    assert "- negate: no times of theirs: exception: no room" in run("suite", "report", out).stdout
    zero = {**json.loads(before)["times"], "again": [["a", 0.0]]}
    kept.write_text(json.dumps(json.loads(before) | {"times": zero}))
    assert "- negate: theirs.json is damaged, run the suite again" in run("suite", "report", out).stdout
    assert "[1/1] their times: negate  GEAK speedup " in run(*command).stderr
    assert json.loads((out / "report.json").read_text())["damaged"] == []


def test_times_that_are_kept_cannot_lack_a_test() -> None:
    with pytest.raises(ValueError, match="no time of the program for"):
        timed.read({"reference": [["a", 1.0]], "program": [], "why": "", "device": "", "mode": ""})
    assert timed.read(None) is None
