"""Other people's benchmarks: what is read of a checkout, what of it runs without a GPU, and which tests test nothing."""

import functools
import json
import os
import random
import re
import shutil
import signal
import sys
import threading
import time
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import formula
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from conftest import SCALE, Borrowed

import fitness.foreign
from evo_kernel import runs
from evo_kernel.cli import main
from evo_kernel.config import Settings
from evo_kernel.errors import RunError
from evo_kernel.suite import check as suite_check
from evo_kernel.suite import flags as suite_flags
from evo_kernel.suite import folder as suite_folder
from evo_kernel.suite import handed as suite_handed
from evo_kernel.suite import jails as suite_jails
from evo_kernel.suite import survey
from evo_kernel.suite import tasks as suite_tasks
from evo_kernel.suite import theirs as suite_theirs
from evo_kernel.suite.folder import Member, SuiteRun
from evo_kernel.suite.ours import Ours, differing
from fitness import modules, ours, results, their_times, theirs
from fitness.foreign import FLAVOUR, Checked, check
from fitness.jail import Jail, WorkerLost
from fitness.jobs import interpreted
from fitness.theirs import Theirs
from operators.llm import launcher
from suites import TaskError, foreign, names
from suites.foreign import Loaded, blocks, handing, registry, rules

pytestmark = pytest.mark.usefixtures("shared_jails")

HERE = Path(__file__).parent / "suites"
GEAK, KERNELBENCH = HERE / "geak", HERE / "kernelbench"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def show(name: str, root: Path) -> dict:
    result = run("suite", "show", name, "--root", root, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


class TestWhatIsReadOfACheckout:
    def test_every_task_loads_or_is_named_with_its_reason(self) -> None:
        found = {t.name: t for t in foreign.loader("tritonbench-revised").load(GEAK)}
        assert list(found) == ["double", "increment", "lost", "endless", "unlisted"]
        assert found["lost"].problem == "lost.py is missing"
        assert "146 #" in (found["unlisted"].problem or "")
        double = found["double"]
        assert (double.problem, double.group, double.entries) == (None, "1", ("double_kernel",))
        assert "def double(x)" in double.source
        assert "def double(x)" not in double.tests
        assert "result_gold = test_double()" in double.tests

    def test_a_newer_checkout_without_the_list_of_tasks_is_read_by_its_folder_and_says_what_is_unknown(
        self, tmp_path: Path
    ) -> None:
        newer = tmp_path / "newer"
        shutil.copytree(GEAK, newer)
        loader = foreign.loader("tritonbench-revised")
        for file in newer.rglob("*.json"):
            file.unlink()
        (newer / "setup.py").write_text('setup(version="9.9")')
        found = {t.name: t for t in loader.load(newer)}
        assert set(found) == {"double", "increment", "endless", "unlisted"}
        assert found["double"].problem is None
        assert found["double"].group is None
        notes = "\n".join(loader.notes(newer))
        assert "instructions and levels are unknown" in notes
        assert "version 9.9 is unknown (tried: 0.1.0)" in notes
        for data, before, after in (("tb_eval/data/", "geak_eval", "tb_eval"),  # as it was once
                                    ("", "tb_eval/data/TritonBench", "TritonBench")):  # fmt: skip
            (newer / before).rename(newer / after)
            older = {t.name: t for t in loader.load(newer)}
            assert older == {n: replace(t, file=t.file.replace("geak_eval/data/", data)) for n, t in found.items()}
            assert len(loader.notes(newer)) == len(notes.splitlines())

    def test_problems_of_kernelbench_come_in_the_order_of_their_numbers_and_name_the_packages_they_lack(self) -> None:
        told = show("kernelbench", KERNELBENCH)
        assert [t["name"] for t in told["tasks"]][:2] == ["level1/2_Relu", "level1/10_Relu"]
        foreign_one, half = told["tasks"][2:4]
        assert (foreign_one["loaded"], foreign_one["needs"]) == (True, ["a_package_that_nobody_has"])
        assert half["problem"] == "it does not define Model, get_init_inputs"
        assert "level3 has 1 problems; the versions that were tried have 50" in told["notes"]

    @pytest.mark.parametrize(
        ("suite", "folder", "reasons"),
        [
            ("tritonbench-g", "tritonbench", {"negate": None, "printed": "its tests set no result_gold"}),
            ("kernelbench-x", "kernelbenchx", {"Math/twice": None, "Math/gone": "gone.py is missing"}),
            (
                "agent-kernel-arena",
                "arena",
                {"own/negate": None, "own/newer": "no list of texts under source_file_path"},
            ),
        ],
    )
    def test_three_more_formats_load_or_say_why_not(self, suite: str, folder: str, reasons: dict) -> None:
        told = show(suite, HERE / folder)
        assert [t["name"] for t in told["tasks"]] == list(reasons)
        for one in told["tasks"]:
            why = reasons[one["name"]]
            assert (one["problem"] is None) if why is None else (why in one["problem"])
        assert told["tasks"][0]["entries"][0] in ("negate_kernel", "twice")
        assert told["tasks"][0]["instruction"] > 0

    def test_a_file_that_a_checkout_lacks_is_named_as_such_and_not_as_a_package(self, tmp_path: Path) -> None:
        shutil.copytree(HERE / "kernelbenchx", tmp_path / "x")
        shutil.rmtree(tmp_path / "x" / "utils")
        twice = show("kernelbench-x", tmp_path / "x")["tasks"][0]
        assert twice["problem"] == "the checkout lacks utils/own_inputs.py, which its tests import"
        assert twice["needs"] == []

    def test_a_module_that_a_script_makes_itself_is_no_package_to_install(self, tmp_path: Path) -> None:
        shutil.copytree(HERE / "arena", tmp_path / "arena")
        script = next((tmp_path / "arena").rglob("test_it.py"))
        asks = "from its_alias.inner import negate\nfrom its_friend import other\n"
        for text, needs in (
            (asks, ["its_alias", "its_friend"]),
            (f"import sys\nfor name in ['its_alias.inner']:\n    sys.modules[name] = name\n{asks}", ["its_friend"]),
        ):
            script.write_text(text)
            assert show("agent-kernel-arena", tmp_path / "arena")["tasks"][0]["needs"] == needs

    def test_the_native_tasks_are_a_suite_too(self) -> None:
        told = json.loads(run("suite", "show", "native", "--json").stdout)
        assert told["loaded"] == told["count"] >= 10
        assert ["softmax"] in [t["entries"] for t in told["tasks"]]

    def test_reading_runs_nothing_and_writes_nothing(self, tmp_path: Path) -> None:
        trap = tmp_path / "trap"
        shutil.copytree(GEAK, trap)
        mark = tmp_path / "it ran"
        for file in trap.rglob("*.py"):
            file.write_text(f"open({str(mark)!r}, 'w')\n" + file.read_text())
        before = {p: p.read_bytes() for p in trap.rglob("*") if p.is_file()}
        for name in ("tritonbench-revised", "rocm"):
            assert show(name, trap)["loaded"]
        assert not mark.exists()
        assert before == {p: p.read_bytes() for p in trap.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def jail(jails: Callable[[str], Jail]) -> Jail:
    return jails(FLAVOUR)


def lend(jail: Jail, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have commands use this module's fork server where they would start one like it."""
    for user in ("evo_kernel.suite.jails", "fitness.jail", "fitness.judge"):
        monkeypatch.setattr(f"{user}.Jail", lambda flavour: Borrowed(jail) if flavour == FLAVOUR else Jail(flavour))


ZEROS = """import torch
import triton
import triton.language as tl


@triton.jit
def zeros_kernel(y, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + at, tl.zeros((BLOCK,), tl.float32), mask=at < n)


class ModelNew(torch.nn.Module):
    def __init__(self, *given):
        super().__init__()

    def forward(self, x, gain):
        y = torch.full((len(x), len(gain)), 7.0, device=x.device)
        zeros_kernel[(triton.cdiv(y.numel(), 4096),)](y, y.numel(), BLOCK=4096)
        return y
"""


def task(name: str, suite: str = "tritonbench-revised") -> Loaded:
    return next(t for t in foreign.loader(suite).load(GEAK) if t.name == name)


def module(name: str) -> Loaded:
    return next(t for t in foreign.loader("kernelbench").load(KERNELBENCH) if t.name == name)


class TestWhatRunsWithoutAGpu:
    """The fixtures name their device as programs for a GPU do; they run in the jail, under the interpreter."""

    def test_a_sound_test_runs_and_refuses_a_program_that_launches_nothing(self, jail: Jail) -> None:
        found = check(task("double"), jail)
        assert (found.ran, found.audit, found.itself, found.why) == (True, "tests", True, "")
        assert (found.varies, found.repeats) == (True, True)
        unwritten = (
            task("double")
            .tests.replace("return {", "return {'unwritten': torch.empty(3, dtype=torch.int32), **{")
            .replace("}", "}}", 1)
        )
        assert check(replace(task("double"), tests=unwritten), jail).repeats is False

    def test_a_test_that_passes_with_every_launch_left_out_is_flagged(self, jail: Jail) -> None:
        double = task("double")
        spoiled = double.tests.replace("return {", "double(torch.ones(3)); return {'x': torch.ones(3)} or {")
        found = check(replace(double, tests=spoiled), jail)
        assert (found.ran, found.audit, found.flagged) == (True, "vacuous", True)
        assert check(task("increment"), jail).audit == "empty"

    def test_a_test_that_says_nothing_is_flagged_even_where_its_reference_never_ends(self, jail: Jail) -> None:
        found = check(task("endless"), jail, seconds=1.0)
        assert not found.ran
        assert found.why.startswith("timeout: ")  # by the processor, or by the clock where others use the machine
        assert found.audit == "empty"

    def test_a_result_with_nan_is_said_to_be_unequal_to_itself(self, jail: Jail) -> None:
        double = task("double")
        found = check(replace(double, tests=double.tests.replace("torch.ones(3)", "torch.tensor([torch.nan])")), jail)
        assert (found.ran, found.itself) == (True, False)

    def test_a_reference_that_fails_says_why_in_one_line(self, jail: Jail) -> None:
        double = task("double")
        found = check(replace(double, source=double.source.replace("y = torch", "y = nothing.torch")), jail)
        assert not found.ran
        assert found.why == "exception: NameError: name 'nothing' is not defined"

    def test_tests_by_pytest_run_but_for_those_that_take_times(self, jail: Jail) -> None:
        halve = task("halve", "rocm")
        found = check(halve, jail)
        assert (found.ran, found.audit, found.itself, found.why) == (True, "tests", True, "")
        wrong = check(replace(halve, source=halve.source.replace("/ 2", "/ 3")), jail)
        assert not wrong.ran
        assert wrong.why.startswith("tests: 2 of 2 tests failed, test_halve[5]")

    def test_a_check_that_was_killed_goes_on_where_it_stopped(
        self, jail: Jail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(suite_jails, "Jail", lambda _: Borrowed(jail))
        results = tmp_path / "checked.jsonl"
        options = ("suite", "check", "tritonbench-revised", "--root", GEAK, "--seconds", 20, "--results", results)
        first = run(*options, "--task", "unlisted", "--task", "lost", "--json")
        assert first.exit_code == 0, first.output
        whole = results.read_bytes()
        results.write_bytes(whole[: whole.index(b"\n") + 9])  # the second line is cut, as a kill leaves it
        again = run(*options, "--task", "unlisted", "--task", "lost", "--task", "increment")
        assert "1 of 3 tasks are in" in again.stderr
        assert "1 of 3 references run" in again.stdout
        assert "only None, integers and shapes: increment" in again.stdout
        assert "quarantined: increment" in again.stdout
        names = [json.loads(line)["name"] for line in results.read_text().splitlines()]
        assert sorted(names) == ["increment", "lost", "unlisted"]
        results.write_text("no result\n" + results.read_text())
        refused = run(*options)
        note, said = refused.output.splitlines()
        assert (refused.exit_code, note.partition(": ")[0]) == (1, "note on this checkout of tritonbench-revised")
        assert "line 1: no result of a check" in said

    def test_what_is_lost_with_its_jails_is_not_kept_and_asked_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def gone(*_: object) -> Jail:
            raise WorkerLost("killed")

        results = tmp_path / "checked.jsonl"
        options = ("suite", "check", "tritonbench-revised", "--root", GEAK, "--results", results)
        monkeypatch.setattr(suite_jails, "Jail", lambda _: SimpleNamespace(start=int, run=gone, close=int))
        for kept in ("", json.dumps({"key": suite_check._key(task("double"), 170.0, "tritonbench-revised"),
                                     "name": "double", "ran": False, "why": "lost: killed", "seconds": 1.0}) + "\n"):  # fmt: skip
            results.write_text(kept)  # the second is as older versions kept it
            told = run(*options, "--task", "double")
            assert (told.exit_code, "already" in told.stderr) == (1, False), told.output
            assert "not checked, as their jails were lost: double; run the same" in told.stderr
            assert results.read_text() == kept

    def test_a_module_is_audited_on_its_own_inputs_where_time_allows_and_one_that_zeros_pass_for_is_named(
        self, jail: Jail, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(modules, "SHARES", (1.0,))
        layer = module("level3/1_Layer")
        found = check(layer, jail)
        assert (found.ran, found.audit, found.itself, found.varies, found.repeats) == (True, "tests", True, True, True)
        reads = replace(
            layer, source=layer.source.replace("super().__init__()", "super().__init__(), torch.ones(1).item()")
        )
        assert check(reads, jail).inputs == "its own"  # though it cannot run on tensors that hold nothing
        nothing = replace(layer, source=layer.source.replace("* gain", "* gain * 1e-6"))
        assert check(nothing, jail).audit == "vacuous"
        real = "if x.device.type == 'cpu': raise {}\n        return self"
        huge = replace(layer, source=layer.source.replace("return self", real.format("MemoryError")))
        held_up = check(huge, jail)
        assert (held_up.ran, held_up.audit) == (True, "unknown")
        broken = replace(layer, source=layer.source.replace("return self", real.format("KeyError('gain')")))
        assert "KeyError" in check(broken, jail).why

    def test_a_module_whose_own_inputs_are_too_large_is_audited_on_fewer_rows(
        self, jail: Jail, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(modules, "ELEMENTS", 1 << 17)
        rows = module("level2/3_Rows")
        found = check(rows, jail, 8)
        assert (found.audit, found.itself, found.varies, found.repeats) == ("tests", True, True, True)
        assert found.inputs == "rows 16777216 -> 256"  # a row is as wide as it was
        spread = replace(rows, source=rows.source.replace("width = 1024", "width = 65536").replace("* self.width", ""))
        assert check(spread, jail, 8).audit == "vacuous"  # as it is on its own inputs: no row was made narrower

    def test_what_raises_on_smaller_inputs_is_no_verdict_and_others_are_tried(
        self, jail: Jail, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(modules, "ELEMENTS", 1 << 17)
        rows = module("level2/3_Rows")
        picky = "if x.device.type == 'cpu' and len(x) > 64: raise KeyError('rows')\n        return torch.softmax"
        found = check(replace(rows, source=rows.source.replace("return torch.softmax", picky)), jail, 8)
        assert (found.ran, found.audit, found.why) == (True, "tests", "")
        assert found.inputs.startswith("rows 16777216 -> ")
        never = "if x.device.type == 'cpu': raise KeyError('rows')\n        return torch.softmax"
        lost = check(replace(rows, source=rows.source.replace("return torch.softmax", never)), jail, 8)
        assert (lost.ran, lost.audit, lost.inputs) == (True, "unknown", "")
        assert lost.unaudited.startswith("on its own inputs memory: ")
        assert "KeyError: 'rows'" in lost.unaudited

    def test_a_module_that_states_no_size_is_named_with_the_reason_why_it_was_not_audited(
        self, jail: Jail, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lend(jail, monkeypatch)
        monkeypatch.setattr(modules, "ELEMENTS", 1 << 17)
        names = ("level2/3_Rows", "level2/4_Fixed")
        asked = [part for name in names for part in ("--task", name)]
        said = run("suite", "check", "kernelbench", "--root", KERNELBENCH, "--no-turn", "--seconds", 8, *asked).stdout
        assert "0 modules were audited on their own inputs, 1 on smaller ones" in said
        assert "on smaller inputs: level2/3_Rows" in said
        why = said.partition("not audited, level2/4_Fixed: ")[2].splitlines()[0]
        assert why.startswith("on its own inputs memory: ")
        assert why.endswith("; no smaller sizes were found at which it works")

    def test_a_module_that_is_too_slow_to_be_run_again_is_run_again_on_smaller_inputs(self, jail: Jail) -> None:
        layer = module("level3/1_Layer")
        slow = layer.source.replace("return self", "len(x) < 512 or x.is_meta or time.sleep(1.5)\n        return self")
        found = check(replace(layer, source=f"import time\n{slow}"), jail, 4)
        assert (found.audit, found.itself, found.varies, found.repeats) == ("tests", True, True, True)
        assert found.inputs.startswith("its own, and again: rows 512 -> ")


TWICE = """
import torch
import triton
import triton.language as tl


@triton.jit
def twice(out, x, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + at, FACTOR * tl.load(x + at, mask=at < n), mask=at < n)


def evo_twice(x):
    out = torch.empty_like(x)
    twice[(triton.cdiv(x.numel(), 16),)](out, x, x.numel(), BLOCK=16)
    return out
"""


class TestTheirTasksAsOurs:
    """What was written for another harness is judged by our rule, on inputs that are drawn anew."""

    layer = module("level3/1_Layer")

    def test_a_modules_parameters_are_inputs_and_its_sizes_are_changed_for_held_out_cases(
        self, jail: Jail, tmp_path: Path
    ) -> None:
        own = ours.turn("kernelbench", self.layer, jail)
        theirs_case, *others = (*own.cases, *own.held_out)
        assert list(theirs_case.inputs) == ["x", "gain", "linear_weight", "linear_bias"]  # nothing depends on `unused`
        assert (theirs_case.inputs["x"].shape, theirs_case.inputs["linear_weight"].shape) == ((512, 64), (48, 64))
        assert theirs_case.bytes == 4 * (512 * 64 + 48 + 48 * 64 + 48 + 512 * 48)
        assert {len({c.inputs["x"].shape[1] for c in (theirs_case, *others)}), len(own.held_out)} == {4, 2}
        assert all(sum(a.elements for a in c.small.values()) < 1 << 15 for c in (theirs_case, *others))
        gain = theirs_case.inputs["gain"]
        assert (gain.distribution, gain.trials, gain.shift >= 1) == ("uniform", ("uniform",), True)
        assert (own.seeds, launcher.of(own).forms) == ((), ("x, gain, linear_weight, linear_bias",))
        with pytest.raises(RunError, match=r"has no seed kernel: a search of it begins with a model"):
            runs.begin(tmp_path, Settings(target="mi300", basis="predicted"), own)

    @pytest.mark.parametrize("factor", ["1e-6", "0"])
    def test_a_module_whose_test_passes_zeros_is_a_task_where_our_gates_refuse_them_whichever_command_asks(
        self, tmp_path: Path, factor: str
    ) -> None:
        shutil.copytree(KERNELBENCH, tmp_path / "kb")
        layer = tmp_path / "kb" / "KernelBench" / "level3" / "1_Layer.py"
        layer.write_text(self.layer.source.replace("* gain\n", f"* gain * {factor}\n"))
        root = ("--root", tmp_path / "kb")
        told = json.loads(run("suite", "check", "kernelbench", *root, "--task", "level3/1_Layer", "--json").stdout)
        shown = run("tasks", "show", "kernelbench/level3/1_Layer", *root)
        assert told["flagged"] == ["level3/1_Layer"]
        if factor == "0":
            assert told["quarantined"] == ["level3/1_Layer"]
            assert (shown.exit_code, told["tasks"][0]["ours"] in shown.output) == (1, True)
        else:
            assert (told["quarantined"], told["turned"], shown.exit_code) == ([], 1, 0)
            assert "and yet a task of ours" in suite_check.line(Checked("a", True, "", 1.0, "vacuous", ours=""))

    def test_a_module_that_draws_numbers_of_its_own_says_in_one_line_why_it_is_no_task(self, jail: Jail) -> None:
        with pytest.raises(TaskError, match=r"^its results are drawn anew in every call"):
            ours.turn("kernelbench", replace(self.layer, source=self.layer.source.replace("0.0", "0.5")), jail)

    def test_a_program_is_its_own_oracle_on_what_its_test_calls_it_with(self, jail: Jail) -> None:
        own = ours.turn("tritonbench-revised", task("double"), jail)
        assert [c.inputs["x"].shape for c in (*own.cases, *own.held_out)] == [(20,), (3,)]
        assert (own.entry, own.interpreted) == ("evo_double", True)
        assert own.seeds[0].source.endswith("def evo_double(x):\n    made = double(x)\n    return made\n")

    def test_a_kernel_of_our_launcher_is_what_the_suites_own_test_calls(self, jail: Jail) -> None:
        quantised = next(foreign.loader("kernelbench-x").load(HERE / "kernelbenchx"))
        with pytest.raises(TaskError, match=r"^its test allows what a quantised computation errs by"):
            ours.turn("kernelbench-x", quantised, jail)
        twice = replace(quantised, thresholds=())
        own = ours.turn("kernelbench-x", twice, jail)
        assert (own.entry, own.seeds, own.interpreted, len(own.honest)) == ("evo_twice", (), False, 3)
        assert "in float64, without the vendor's libraries, on tensors laid out otherwise." in own.about
        for factor, right in (("2", True), ("3", False)):
            handed = handing.theirs(own, TWICE.replace("FACTOR", factor))
            assert theirs.judge(twice, handed, jail, 30).passed is right

    def test_a_new_launcher_takes_the_place_of_the_function_that_the_test_calls(self, jail: Jail) -> None:
        own = ours.turn("tritonbench-revised", task("double"), jail)
        seed = own.seeds[0].source
        assert handing.theirs(own, seed) == seed
        assert "with blocks of half the size" not in own.about  # they are below the least
        changed = seed.replace("    return made\n", "    return made * 2\n")
        assert theirs.judge(task("double"), handing.theirs(own, changed), jail, 30).passed is False
        assert handing.ours(own, task("double").source).count("def evo_double(") == 1

    def test_where_the_two_verdicts_differ_the_task_is_named(self) -> None:
        def said(name: str, passed: bool | None) -> Theirs:
            return Theirs(name, True, passed, "", 0.0, "interpreter")

        pairs = [(said("a", True), Ours(True, "")), (said("b", True), Ours(False, "")), (said("c", None), Ours(True, "")),
                 (said("d", False), Ours(True, "")), (said("e", True), Ours(None, ""))]  # fmt: skip
        assert differing(pairs) == ["b", "d"]


class TestTheirOwnRules:
    """A program is judged by a suite's own test; what it prints and how it ends are no verdict."""

    def loaded(self, suite: str, folder: str) -> Loaded:
        return next(t for t in foreign.loader(suite).load(HERE / folder) if t.problem is None)

    def test_a_reference_is_right_and_a_program_that_forges_the_verdict_is_not(self, jail: Jail) -> None:
        negate = self.loaded("tritonbench-g", "tritonbench")
        assert theirs.judge(negate, negate.source, jail, 30).passed is True
        wrong = theirs.judge(negate, negate.source.replace("-tl.load", "tl.load"), jail, 30)
        assert (wrong.called, wrong.passed, wrong.why) == (True, False, "its results differ from the reference's")
        forged = "import os\nprint('True*#*#True*#*#None*#*#None', flush=True)\nos._exit(0)\n"
        ended = theirs.judge(negate, forged, jail, 30)
        assert (ended.called, ended.passed) == (False, False)

    def test_references_are_judged_one_by_one_and_one_that_fails_costs_no_other(
        self, jail: Jail, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lend(jail, monkeypatch)
        chosen = [part for name in ("lost", "unlisted", "double") for part in ("--task", name)]
        told = run("suite", "judge", "tritonbench-revised", "--root", GEAK, "--on", "interpreter", *chosen, "--json")
        assert told.exit_code == 1
        found = json.loads(told.stdout)
        assert (found["called"], found["passed"], found["passed_ours"], found["differing"]) == (1, 1, 1, [])
        assert [(t["name"], t["passed"]) for t in found["tasks"]] == [
            ("double", True),
            ("lost", None),
            ("unlisted", None),
        ]

    def test_a_result_of_another_shape_is_wrong_by_ours_too_and_a_launcher_that_computes_waits_for_a_gpu(
        self, jail: Jail, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        lend(jail, monkeypatch)
        double = task("double").source
        assert double.count("return y") == 1
        for ending, passed, words in (
            ("return y[:0]", False, "correctness, schema: "),
            ("return y * 1", None, "it can be judged in open mode alone"),
        ):
            (tmp_path / "mine.py").write_text(double.replace("return y", ending))
            given = ("--task", "double", "--root", GEAK, "--on", "interpreter", "--json")
            (one,) = json.loads(run("suite", "judge", "tritonbench-revised", tmp_path / "mine.py", *given).stdout)[
                "tasks"
            ]
            assert (one["ours"]["passed"], one["ours"]["why"].startswith(words)) == (passed, True), one

    def test_a_program_of_the_references_very_text_begins_with_what_that_compiled_and_no_other_does(
        self, jail: Jail, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        lend(jail, monkeypatch)
        text = "import os, torch\ncache = os.environ['TRITON_CACHE_DIR']\n"
        found = "result_gold = {'found': torch.tensor(len(os.listdir(cache)) if os.path.exists(cache) else 0)}\n"
        leave = "os.makedirs(os.path.join(cache, str(os.getpid())))\n"
        one = replace(self.loaded("tritonbench-g", "tritonbench"), source=text, tests=found + leave)
        for _ in range(2):  # nor does one task begin with what another left
            assert [ran.left for ran in theirs.run_twice(one, jail, 30, None)] == [{"found": 0}, {"found": 1}]
        asked = [(one, text), (one, f"{text}# another\n")]
        assert sorted(str(f.passed) for f in suite_theirs.judged(asked, None, 30, 1)) == ["False", "True"]
        (tmp_path / "outside").touch()
        link = replace(one, tests=f"{found}os.path.islink(cache) or os.symlink({str(tmp_path)!r}, cache)\n")
        refused = "PermissionError" in theirs.run_twice(link, jail, 30, None)[1].failed
        assert refused is jail.standing.holds("landlock")
        assert (tmp_path / "outside").exists()

    def test_a_tuple_with_names_comes_back_as_one_which_geak_eval_cannot_compare(self) -> None:
        right, made = (results.unpack(results.pack({"max": torch.ones(2, 3).max(0)})) for _ in range(2))
        assert [rules.same(style, right, made) for style in ("module", "function")] == [False, True]

    def test_a_small_result_cannot_make_their_comparison_fill_the_memory(self) -> None:
        row = {"a": torch.ones(3)}
        assert rules.same("module", row, {"a": torch.ones(1)})  # they spread it out: so do we
        assert not rules.same("module", row, {"a": torch.ones(3, 1)})  # as many squares of what a program chooses
        assert not rules.same("module", {"a": np.ones(3)}, {"a": np.ones((3, 1))})

    def test_a_program_that_passes_a_test_of_nothing_is_flagged(self, tmp_path: Path) -> None:
        given = ("--root", GEAK, "--on", "interpreter", "--rules", "theirs", "--json")
        (tmp_path / "idle.py").write_text("import torch\n\n\ndef increment(x):\n    return None\n")
        made = run("suite", "judge", "tritonbench-revised", tmp_path / "idle.py", "--task", "increment", *given)
        (one,) = json.loads(made.stdout)["tasks"]
        assert (one["passed"], one["flagged"]) == (True, True)
        assert "right, but so is a program that launches nothing" in made.stderr
        source = next(t.source for t in foreign.loader("tritonbench-revised").load(GEAK) if t.name == "double")
        (tmp_path / "double.py").write_text(f"# mine\n{source}")
        made = run("suite", "judge", "tritonbench-revised", tmp_path / "double.py", "--task", "double", *given)
        (one,) = json.loads(made.stdout)["tasks"]
        assert (one["passed"], one["flagged"]) == (True, False)

    def test_a_program_whose_kernels_make_none_of_its_results_is_flagged(self, tmp_path: Path) -> None:
        dead = "import torch\nimport triton\n\n\n@triton.jit\ndef never(x):\n    pass\n\n\ndef twice(x):\n    return x + x\n"
        (tmp_path / "dead.py").write_text(dead)
        given = ("--root", GEAK.parent / "kernelbenchx", "--on", "interpreter", "--rules", "theirs", "--json")
        made = run("suite", "judge", "kernelbench-x", tmp_path / "dead.py", "--task", "Math/twice", *given)
        (one,) = json.loads(made.stdout)["tasks"]
        assert (one["passed"], one["flagged"]) == (True, True)

    def test_references_that_pass_a_test_of_nothing_are_flagged_too(self) -> None:
        given = ("--root", GEAK, "--on", "interpreter", "--rules", "theirs", "--task", "double", "--task", "increment")
        told = json.loads(run("suite", "judge", "tritonbench-revised", *given, "--json").stdout)
        assert [(one["passed"], one["flagged"]) for one in told["tasks"]] == [(True, False), (True, True)]
        assert (told["passed"], told["flagged"]) == (2, ["increment"])

    def test_a_module_whose_test_passes_zeros_flags_a_kernel_that_writes_them(self, tmp_path: Path) -> None:
        shutil.copytree(KERNELBENCH, tmp_path / "kb")
        layer = tmp_path / "kb" / "KernelBench" / "level3" / "1_Layer.py"
        (tmp_path / "zeros.py").write_text(ZEROS)
        given = ("--root", tmp_path / "kb", "--on", "interpreter", "--rules", "theirs", "--task", "level3/1_Layer")
        for factor, right in (("1", False), ("1e-6", True)):
            layer.write_text(layer.read_text().replace("* gain\n", f"* gain * {factor}\n"))
            for program, passed in (((), True), ((tmp_path / "zeros.py",), right)):
                made = run("suite", "judge", "kernelbench", *program, *given, "--json")
                (one,) = json.loads(made.stdout)["tasks"]
                assert (one["passed"], one["flagged"]) == (passed, right), (factor, program)
            layer.write_text(layer.read_text().replace("* gain * 1\n", "* gain\n"))

    @pytest.mark.parametrize(
        ("style", "source", "given", "asked"),
        [
            ("module", "theirs", False, ["runs"]),
            ("pytest", "theirs", True, ["runs"]),  # for itself it would be asked the same again
            ("script", "mine", True, ["runs", "runs"]),
            ("model", "theirs", False, ["audits"]),
            ("model", "mine", True, ["audits", "runs"]),
            ("function", "theirs", True, ["audits", "runs"]),  # somebody hands in PyTorch alone
        ],
    )
    def test_no_question_of_a_flag_is_asked_twice_and_modules_are_audited_without_a_gpu(
        self, style: Any, source: str, given: bool, asked: list[str]
    ) -> None:
        def server(name: str, answer: Any) -> Any:
            return SimpleNamespace(use=lambda _: told.append(name) or answer)

        told: list[str] = []
        unflagged = Checked("a", True, "", 0.0, "tests")
        flags = suite_flags.Flags(server("runs", False), server("audits", unflagged), 1.0, None)
        one = Loaded("a", "a.py", style, source="theirs")
        assert flags.of(one, source, theirs.Ran({}, 0.0), given) is False
        assert told == asked
        assert suite_flags.launchless([one]) is ("audits" in asked)

    def test_an_older_kernelbench_has_one_tolerance_for_all_precisions(self, tmp_path: Path) -> None:
        shutil.copytree(KERNELBENCH, tmp_path / "kb")
        (tmp_path / "kb" / "src").mkdir(exist_ok=True)
        for text, limits in (
            ("atol = 1e-02\n", (("allclose", 1e-2),)),
            ("def get_tolerance_for_precision(): ...\n", ()),
        ):
            (tmp_path / "kb" / "src" / "eval.py").write_text(text)
            assert {t.thresholds for t in foreign.loader("kernelbench").load(tmp_path / "kb")} == {limits}

    def test_native_tasks_go_by_the_rocm_benchmarks_names_too(self) -> None:
        told = run("suite", "run", "native", "--task", "gemm", "--task", "nothing", "--out", "unused", "--budget", 16)
        assert "no task named 'nothing'" in told.stderr
        found = survey.chosen(survey.survey("native", None).tasks, ("gemm", "add"))
        assert sorted(t.name for t in found) == ["gemm_fp16", "vector_add"]

    @pytest.mark.parametrize(
        ("asked", "words"),
        [
            (("check", "native"), "evo-kernel tasks check TASK, "),
            (("check", "native", "--task", "softmax"), "evo-kernel tasks check softmax, "),
            (("judge", "native", "--task", "add"), "evo-kernel tasks check vector_add, "),
            (("judge", "native", __file__, "--task", "softmax"), f"evo-kernel judge {__file__} --task softmax"),
            (("judge", "native", "--task", "softmx"), "nearest: softmax"),
        ],
    )
    def test_what_is_asked_of_others_tests_says_for_native_tasks_what_does_apply(
        self, asked: tuple, words: str
    ) -> None:
        told = run("suite", *asked)
        assert (told.exit_code, told.stdout, told.stderr.count("\n")) == (1, "", 1)
        assert words in told.stderr

    def test_a_module_is_taken_by_the_name_that_the_suite_asks_for(self, jail: Jail) -> None:
        loaded = foreign.loader("kernelbench").load(KERNELBENCH)
        layer = next(t for t in loaded if t.name == "level3/1_Layer")
        made = layer.source.replace("class Model(", "class ModelNew(").replace("super(Model, ", "super(ModelNew, ")
        assert theirs.judge(layer, made, jail, 60).passed is True
        once = made.replace("return self.dropout", "if abs(float(x[0, 0]) - SEEN) > 1e-6:\n            return x[:, :48] * 0\n"
                            "        return self.dropout")  # fmt: skip
        torch.manual_seed(42)
        torch.manual_seed(int(torch.randint(0, 2**32 - 1, (1,))))
        seen = float(torch.rand(512, 64)[0, 0])
        assert theirs.judge(layer, once.replace("SEEN", "x[0, 0]"), jail, 60).passed is True
        assert (
            theirs.judge(layer, once.replace("SEEN", str(seen)), jail, 60).passed is False
        )  # right in one trial of five
        off = made.replace("* gain", "* gain + 5e-3")
        assert theirs.judge(layer, off, jail, 60).passed is False
        assert theirs.judge(replace(layer, thresholds=(("allclose", 1e-2),)), off, jail, 60).passed is True
        same = theirs.judge(layer, f"# the reference itself\n{layer.source}", jail, 60)
        assert (same.passed, "ModelNew" in same.why) == (False, True)

    @pytest.mark.parametrize("file", ["test_it.py", "negate.py"])
    def test_a_script_that_ends_before_it_compares_does_not_run(self, jail: Jail, tmp_path: Path, file: str) -> None:
        shutil.copytree(HERE / "arena", tmp_path / "arena")
        path = next((tmp_path / "arena").rglob(file))
        path.write_text(f"raise SystemExit(0)\n{path.read_text()}")
        (one,) = (t for t in foreign.loader("agent-kernel-arena").load(tmp_path / "arena") if t.name == "own/negate")
        found = check(one, jail, 30)
        assert (found.ran, found.why) == (False, "tests: its script ended and compared no tensors")

    def test_a_scripts_word_alone_makes_nothing_right(self, jail: Jail) -> None:
        negate = self.loaded("agent-kernel-arena", "arena")
        assert theirs.judge(negate, negate.source, jail, 30).passed is True
        patched = "import torch\ntorch.allclose = lambda *_, **__: True\n"
        cheated = theirs.judge(negate, patched + negate.source.replace("-tl.load", "tl.load"), jail, 30)
        assert (cheated.called, cheated.passed) == (True, False)

    @pytest.mark.parametrize(
        ("reference", "made", "right"), [(1.0, 1.004, False), (1.0, 1.000001, True), (float("nan"), float("nan"), True)]
    )
    def test_kernelbench_x_compares_dtypes_and_takes_nan_for_nan(
        self, reference: float, made: float, right: bool
    ) -> None:
        one, other = torch.tensor([reference]), torch.tensor([made])
        assert rules.same("function", {"a": [one]}, {"a": [other]}) is right
        assert not rules.same("function", {"a": [one]}, {"a": [other.double()]})
        assert rules.same("function", {"a": [one]}, {"a": [other]}, {"rmse": 0.01}) is (reference == reference)


class TestASuiteRunOfOthers:
    """A checkout of theirs searched as a whole; the judge is a formula, their test is theirs."""

    def run(self, root: Path, out: Path) -> Result:
        budget = ("--budget", 8, "--population", 2, "--generations", 1, "--at-once", 1)
        return run("suite", "run", "tritonbench-g", "--root", root, "--out", out, *budget, "--quiet")

    def test_killed_anywhere_and_resumed_it_reports_the_same_with_both_verdicts(
        self, jail: Jail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = tmp_path / "root"
        shutil.copytree(HERE / "tritonbench", root)
        programs = root / "data" / "TritonBench_G_v1"
        (programs / "other.py").write_text("# broken, the formula says\n" + (programs / "negate.py").read_text())
        lend(jail, monkeypatch)
        formula.install(monkeypatch)
        once = functools.cache(suite_tasks.turned)  # both runs turn the same
        monkeypatch.setattr(suite_tasks, "turned", lambda suite, found, stop: once(suite, found))
        assert self.run(root, tmp_path / "whole").exit_code == 0
        report = json.loads((tmp_path / "whole" / "report.json").read_text())
        negate, other, printed = report["tasks"]
        assert [t["handed"] and t["handed"]["theirs"]["passed"] for t in report["tasks"]] == [True, True, None]
        assert (negate["handed"]["own"], negate["handed"]["ours"], printed["handed"]) == (True, True, None)
        assert (other["handed"]["own"], other["handed"]["ours"]) == (False, False)
        assert report["differing"] == ["other"]
        assert report["all"]["theirs"] == {**report["all"]["theirs"], "judged": 2, "execution_accuracy": 1 / 3}
        assert report["levels"]["2"]["theirs"]["geak_speedup"] == negate["geak_speedup"]
        told = (tmp_path / "whole" / "report.md").read_text()
        assert "- other: ours wrong (correctness, wrong: by its numbers); theirs right" in told
        chance = random.Random(3)
        for _ in range(2):
            formula.Formula.left = chance.randrange(1, 4)
            assert self.run(root, tmp_path / "torn").exit_code in (0, 130)
        formula.Formula.left = float("inf")
        with monkeypatch.context() as killed:
            killed.setattr(suite_handed, "_keep", interrupted)
            assert self.run(root, tmp_path / "torn").exit_code == 130
        half = run("suite", "report", tmp_path / "torn", "--json")
        assert [t["handed"] and t["handed"]["theirs"] for t in json.loads(half.stdout)["tasks"]] == [None, None, None]
        assert self.run(root, tmp_path / "torn").exit_code == 0
        one, same = ((tmp_path / out / "report.json").read_bytes() for out in ("whole", "torn"))
        assert one == same

    def test_a_verdict_of_theirs_that_says_nothing_is_kept_and_reported_as_flagged(
        self, jail: Jail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = tmp_path / "root"
        shutil.copytree(HERE / "tritonbench", root)
        negate = root / "data" / "TritonBench_G_v1" / "negate.py"
        negate.write_text(negate.read_text().replace('device="cuda"))}', 'device="cuda")).shape}'))
        lend(jail, monkeypatch)
        formula.install(monkeypatch)
        monkeypatch.setattr(fitness.foreign, "check", lambda *_: Checked("negate", True, "", 0.0, "tests"))
        assert self.run(root, tmp_path / "out").exit_code == 0  # a run begun before its test was known to be vacuous
        (kept,) = (tmp_path / "out").rglob(suite_handed.THEIRS)
        whole = json.loads(kept.read_text())
        for flagged, named, words in ((True, ["negate"], "right, but so is a program that"), (False, [], "| right |"),
                                      (None, [], "| right, and not asked whether a program that")):  # fmt: skip
            older = {k: v for k, v in whole.items() if k != "flagged"}
            kept.write_text(json.dumps(whole if flagged else older if flagged is None else older | {"flagged": False}))
            report = json.loads(run("suite", "report", tmp_path / "out", "--json").stdout)
            assert report["flagged"] == named
            assert report["tasks"][0]["handed"]["theirs"]["flagged"] is flagged
            assert report["all"]["theirs"]["flagged"] == (None if flagged is None else len(named))
            told = (tmp_path / "out" / "report.md").read_text()
            assert (words in told, "Flagged: negate." in told) == (True, bool(named))
            unasked = (report["flags_not_asked"], "| 1 | not asked |" in told, "Not asked: negate." in told)
            assert unasked == ((["negate"], True, True) if flagged is None else ([], False, False))
        times = {"reference": [["a", 1.0]], "program": [["a", 2.0]], "why": "", "device": "x", "mode": "", "again": []}
        older = whole | {"flagged": None, "device": "GPU of then", "times": times}
        kept.write_text(json.dumps(older))
        assert self.run(root, tmp_path / "out").exit_code == 0  # asked again, and nothing else is
        assert json.loads(kept.read_text()) == older | {"flagged": True}

    def test_every_command_says_in_one_line_that_a_checkout_is_not_whole_and_so_does_the_report(
        self, jail: Jail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root, out = tmp_path / "root", tmp_path / "out"
        shutil.copytree(HERE / "tritonbench", root)
        (root / "data" / "TritonBench_G_v1.json").unlink()
        note = "note on this checkout of tritonbench-g: data/TritonBench_G_v1.json is missing: instructions and levels"
        lend(jail, monkeypatch)
        formula.install(monkeypatch)
        given = ("tritonbench-g", "--root", root, "--task", "printed", "--quiet")
        searched = ("tritonbench-g", "--root", root, "--task", "negate", "--out", out, "--quiet", "--no-theirs")
        budget = ("--budget", 8, "--population", 2, "--generations", 1)
        for asked in (("check", *given), ("judge", *given, "--rules", "theirs"), ("run", *searched, *budget),
                      ("run", *searched, *budget), ("report", out)):  # fmt: skip
            told = run("suite", *asked).stderr.splitlines()
            assert [note in line for line in told if "wrote" not in line] == [True], told
        assert note in (out / "report.md").read_text()
        asked = json.loads((out / "suite.json").read_text())
        (out / "suite.json").write_text(json.dumps({k: v for k, v in asked.items() if k != "notes"}))
        assert "note on" not in run("suite", "report", out).output  # an older version kept none
        assert note in run("suite", "run", *searched, *budget).stderr
        assert survey.remark("x", list("abcdefg")).endswith(": a; b; c; d; e; and 2 more, see `suite show x`")

    def test_it_ends_within_seconds_of_being_told_to_while_a_task_is_made_and_nothing_is_kept_of_that_task(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def told(*given: Any) -> Checked:
            def terminate() -> None:
                sent.append(time.monotonic())
                os.kill(os.getpid(), signal.SIGTERM)

            timers.append(threading.Timer(5, terminate))  # its server has loaded then, and its test has no end
            timers[0].start()
            return checked(*given)

        sent: list[float] = []
        timers: list[threading.Timer] = []
        checked = fitness.foreign.check
        monkeypatch.setattr(fitness.foreign, "check", told)
        asked = ("--root", GEAK, "--task", "endless", "--out", tmp_path / "out", "--budget", 16)
        stopped = run("suite", "run", "tritonbench-revised", *asked, "--at-once", 1, "--quiet")
        timers.pop().cancel()
        assert (stopped.exit_code, len(sent)) == (130, 1), stopped.output
        assert time.monotonic() - sent[0] < 5
        assert {f.name for f in (tmp_path / "out").rglob("*") if f.is_file()} == {"lock", "suite.json"}


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


class TestForkServersThatAreLeft:
    """Whoever ends a run leaves others at work in its fork servers; nobody may be told what was meant for them."""

    def test_an_answer_that_nobody_took_is_not_the_next_jobs(self, jail: Jail) -> None:
        assert check(task("double"), jail).ran  # it has loaded
        before = signal.signal(signal.SIGALRM, interrupted)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            with pytest.raises(KeyboardInterrupt):
                check(task("endless"), jail, seconds=2.0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert check(task("double"), jail).ran

    def test_who_still_uses_one_that_is_closed_starts_no_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        only, began = Jail(FLAVOUR), threading.Event()
        monkeypatch.setattr(suite_jails, "Jail", lambda _: only)
        several = suite_jails.Jails(FLAVOUR, 1)

        def work(one: Jail) -> Checked:
            began.set()
            return check(task("endless"), one, seconds=60.0)

        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(several.use, work)]
            assert began.wait(10.0)
            asked.append(pool.submit(several.use, work))  # it waits for the first to be done
            several.close()
            for one in asked:
                with pytest.raises(WorkerLost):
                    one.result(timeout=10.0)
        assert only.pid is None


def test_blocks_are_halved_wherever_a_program_states_them() -> None:
    program = "BLOCK = 64\nk[g](x, BLOCK_M=128, n=128)\nConfig({'BLOCK': 32, 'W': 64})\ndef f(x, BLOCK_SIZE=16): pass"
    made = blocks.halved(program)
    assert (made or "").splitlines()[:3] == [
        "BLOCK = 32",
        "k[g](x, BLOCK_M=64, n=128)",
        "Config({'BLOCK': 16, 'W': 64})",
    ]
    assert blocks.halved("k[g](x, n=128, BLOCK=48)") is None


EMPTY = {"kernelbench": "KernelBench/level1", "rocm": "geak_eval/data/ROCm/data/ROCm_v1", "tritonbench-revised":
         "geak_eval/data/TritonBench/data/TritonBench_G_v1", "agent-kernel-arena": "tasks/triton2triton"}  # fmt: skip


@pytest.mark.parametrize("suite", EMPTY)
def test_a_checkout_that_holds_no_task_is_named_in_one_line_by_every_command(suite: str, tmp_path: Path) -> None:
    (tmp_path / "em" / EMPTY[suite]).mkdir(parents=True)
    given = (suite, "--root", tmp_path / "em")
    for asked in (("show", *given), ("check", *given), ("judge", *given),
                  ("run", *given, "--out", tmp_path / "out", "--budget", 16)):  # fmt: skip
        told = run("suite", *asked)
        assert (told.exit_code, told.stdout, told.stderr.count("\n")) == (1, "", 1), told.output
        assert f"suite {suite}: {tmp_path / 'em'} holds no task of it: looked in " in told.stderr
        assert EMPTY[suite] in told.stderr


class TestWhatCannotBeRead:
    def test_results_are_kept_outside_of_the_checkout(self, tmp_path: Path) -> None:
        (tmp_path / "geak").symlink_to(GEAK)
        for place in (GEAK / "kept.jsonl", tmp_path / "geak" / "kept.jsonl"):
            told = run("suite", "check", "rocm", "--root", GEAK, "--results", place)
            assert (told.exit_code, told.output.count("\n")) == (1, 1)
            assert "which is never written to" in told.output
        assert not (GEAK / "kept.jsonl").exists()

    def test_a_suite_run_is_kept_outside_of_the_checkout(self) -> None:
        told = run(
            "suite", "run", "tritonbench-revised", "--root", GEAK, "--out", GEAK / "runs" / "mine", "--budget", 480
        )
        assert (told.exit_code, told.output.count("\n")) == (1, 1)
        assert "which is never written to" in told.output
        assert not (GEAK / "runs").exists()

    def test_a_report_is_written_outside_of_the_checkout(self, tmp_path: Path) -> None:
        root, out = tmp_path / "root", tmp_path / "out"
        root.mkdir()
        settings = {"target": "mi300", "basis": "predicted", "mode": "sealed", "generations": 1, "population": 2}
        other = Member("other", left_out="it has a reason")
        suite_folder.write(out, SuiteRun("rocm", str(root), (other,), 8, settings))
        suite_folder.write(root / "older", SuiteRun("rocm", str(root), (other,), 8, settings))
        suite_folder.write(tmp_path / "native", SuiteRun("native", str(root), (other,), 8, settings))
        for given in ((out,), (tmp_path / "native", "--compare", out)):
            told = run("suite", "report", *given, "--out", root / "report")
            assert (told.exit_code, told.output.count("\n")) == (1, 1)
            assert f"{root / 'report'} lies in the checkout {root}, which is never written to" in told.output
        assert not (root / "report").exists()
        suite_folder.write(root / "native", SuiteRun("native", None, (other,), 8, settings))
        told = run("suite", "report", root / "native", "--compare", out)
        assert (told.exit_code, f"{root / 'native' / 'compared'} lies in the checkout {root}" in told.output) == (
            1,
            True,
        )
        assert run("suite", "report", root / "older").exit_code == 0  # as an older version began it
        assert run("suite", "report", tmp_path / "native", "--out", root / "report").exit_code == 0

    def test_a_search_writes_outside_of_the_checkout_of_its_task(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root, config = tmp_path / "geak", tmp_path / "config.toml"
        root.mkdir()
        monkeypatch.chdir(root)
        config.write_text(f'[llm]\nlessons = "{root}/lessons.toml"\n')
        for given in (("--run", root / "mine"), (), ("--run", tmp_path / "out", "--config", config)):
            told = run("search", "rocm/gemm", "--root", root, "--target", "mi300", *given)
            assert (told.exit_code, told.output.count("\n")) == (1, 1), told.output
            assert "which is never written to" in told.output
        assert not [*root.iterdir()]

    def test_a_program_may_come_through_a_pipe(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.py")
        source = next(t.source for t in foreign.loader("tritonbench-revised").load(GEAK) if t.name == "double")
        with ThreadPoolExecutor(1) as writer:
            writer.submit((tmp_path / "pipe.py").write_text, f"# mine\n{source}")
            given = ("--task", "double", "--root", GEAK, "--on", "interpreter", "--rules", "theirs")
            told = run("suite", "judge", "tritonbench-revised", tmp_path / "pipe.py", *given)
        assert told.exit_code == 0, told.output

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("kernelbench", "--root", GEAK), "looked for the folder KernelBench"),
            (("rocm", "--root", GEAK / "absent"), "is no folder"),
            (("rocm",), "needs --root CHECKOUT"),
            (("kernelbnch", "--root", GEAK), "nearest: kernelbench"),
        ],
    )
    def test_a_root_that_is_not_the_suite_is_refused_in_one_line(self, arguments: tuple, words: str) -> None:
        result = run("suite", "show", *arguments)
        assert result.exit_code == 1
        assert words in result.output
        assert len(result.output.strip().splitlines()) == 1

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("{", "is no JSON"),
            ('[{"file": 3}]', "no text under file"),
            ('[{"file": "../x", "instruction": ""}]', "outside"),
        ],
    )
    def test_a_list_of_tasks_that_is_broken_is_refused_in_one_line(self, tmp_path: Path, text: str, words: str) -> None:
        broken = tmp_path / "broken"
        shutil.copytree(GEAK, broken)
        next(broken.rglob("ROCm*.json")).write_text(text)
        result = run("suite", "show", "rocm", "--root", broken)
        assert result.exit_code == 1
        assert words in result.output
        assert len(result.output.strip().splitlines()) == 1

    def test_a_task_that_cannot_be_read_costs_no_other(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        broken = tmp_path / "broken"
        shutil.copytree(HERE / "arena", broken)
        whole = "source_file_path: [k.py]\ntarget_kernel_functions: [f]\ncorrectness_command: [python3 t.py]\n"
        levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
        texts = {"date": f"{whole}made: 2026-13-01\n", "deep": "a: " + "[" * 500, "quote": whole.replace("t.py", "'t.py"),
                 "strange": whole.replace("[k.py]", '["k\\0.py"]'), "waits": whole, "empty": f"{whole}a: !!int ''",
                 "aliases": f"{whole}a0: &a0 [x]\n{levels}prompt: {{instructions: *a9}}", "keys": "a: 1\n" * 60_000,
                 "number": f"{whole}prompt: {{instructions: 0x{'f' * 9000}}}", "point": f'{whole}x: "\\UFFFFFFFF"',
                 "sixties": f"{whole}x: 1{':00' * 200}.5", "half": whole.replace("[f]", '["\\ud800"]')}  # fmt: skip
        for name, text in texts.items():
            (broken / "tasks" / "triton2triton" / name).mkdir()
            (broken / "tasks" / "triton2triton" / name / "config.yaml").write_text(text)
        for name in ("quote", "half"):
            (broken / "tasks" / "triton2triton" / name / "k.py").touch()
        (broken / "tasks" / "triton2triton" / "half" / "t.py").touch()
        os.mkfifo(broken / "tasks" / "triton2triton" / "waits" / "k.py")
        monkeypatch.setitem(sys.modules, "triton", types.ModuleType("triton"))  # as `__main__` is: it has no spec
        (broken / "tasks" / "triton2triton" / "config.yaml").write_text(whole)  # of no task
        found = {t["name"]: t["problem"] for t in show("agent-kernel-arena", broken)["tasks"]}
        assert found["own/negate"] is None
        assert "." not in found
        told = run("suite", "show", "agent-kernel-arena", "--root", broken, "--tasks")
        assert told.exit_code == 0, told.output
        for name, words in (("point", "is no YAML: "), ("sixties", "is no YAML: "), ("half", "its entries"),
                            ("date", "is no YAML"), ("deep", "is no YAML"), ("quote", "is no command"),
                            ("strange", "cannot be read: embedded null"), ("waits", "k.py is no file"),
                            ("aliases", "has an alias"), ("keys", "has more than 256 KiB"), ("empty", "is no YAML"),
                            ("number", "k.py is missing")):  # fmt: skip
            assert words in found[name]

    @pytest.mark.parametrize(
        ("suite", "folder", "name", "file", "words"),
        [
            (
                "tritonbench-g",
                "tritonbench",
                "negate",
                "negate_perf.py",
                "in performance_metrics/perf_G/golden_metrics",
            ),
            ("tritonbench-g", "tritonbench", "negate", "performance_utils.py", "in performance_metrics/perf_G: "),
            ("rocm", "geak", "halve", "performance_utils_pytest.py", "in geak_eval/perf/ROCm: "),
            ("agent-kernel-arena", "arena", "own/negate", "vllm_cuda_graph_block.py", "in src/tools/perf: "),
        ],
    )
    def test_a_file_that_only_times_and_cannot_be_read_costs_times_alone(
        self, tmp_path: Path, suite: str, folder: str, name: str, file: str, words: str
    ) -> None:
        shutil.copytree(HERE / folder, tmp_path / "root")
        with open(next((tmp_path / "root").rglob(file)), "ab") as damaged:
            damaged.write(b"\xff")
        found = survey.survey(suite, tmp_path / "root")
        one = next(t for t in found.tasks if t.name == name)
        assert one.problem is None
        why = their_times.lacking(one)
        assert why.startswith(f"what takes its times cannot be read: {words}")
        assert f"'{file}' cannot be read: 'utf-8' codec" in why
        assert f"{one.untimed}: {name}" in survey.text(found)

    def test_a_file_that_takes_times_and_is_empty_is_named_too(self, tmp_path: Path) -> None:
        shutil.copytree(HERE / "tritonbench", tmp_path / "root")
        next((tmp_path / "root").rglob("negate_perf.py")).write_text("\n")
        one = next(t for t in survey.survey("tritonbench-g", tmp_path / "root").tasks if t.name == "negate")
        assert one.untimed == "in performance_metrics/perf_G/golden_metrics: negate_perf.py is empty"
        assert (one.problem, one.timing) == (None, ())

    def test_a_list_that_lacks_programs_is_named(self, tmp_path: Path) -> None:
        shutil.copytree(HERE / "tritonbench", tmp_path / "root")
        file = tmp_path / "root" / "data" / "TritonBench_G_v1.json"
        count = len(survey.survey("tritonbench-g", tmp_path / "root").tasks)
        for left, lost in ((json.loads(file.read_text())[:1], count - 1), ([], count)):
            file.write_text(json.dumps(left))
            notes = survey.survey("tritonbench-g", tmp_path / "root").notes
            words = f"TritonBench_G_v1.json does not name {lost} of the {count} programs: their instructions and levels"
            assert [words in note for note in notes].count(True) == 1, notes

    def test_a_task_file_that_cannot_be_parsed_says_where(self, tmp_path: Path) -> None:
        (tmp_path / "torn.py").write_text(f"{SCALE}\ndef (\n")
        (tmp_path / "null.py").write_text(f"{SCALE}\n\0\n")
        found = {t.name: t.problem or "" for t in survey.survey("native", tmp_path).tasks}
        assert re.fullmatch(r"it cannot be parsed: line \d+: invalid syntax", found["torn"]), found
        assert found["null"].startswith("it cannot be parsed: "), found

    def test_a_file_that_tests_need_and_that_cannot_be_read_is_the_problem_of_those_tasks(self, tmp_path: Path) -> None:
        shutil.copytree(HERE / "kernelbenchx", tmp_path / "x")
        (tmp_path / "x" / "utils" / "own_inputs.py").write_bytes(b"\xff")
        (tmp_path / "x" / "pyproject.toml").write_bytes(b"\xff")
        told = show("kernelbench-x", tmp_path / "x")
        problem = told["tasks"][0]["problem"]
        assert problem.startswith("what its tests need cannot be had: in utils: 'own_inputs.py' cannot be read")
        assert any(n.startswith("its version is not known: 'pyproject.toml' cannot be read") for n in told["notes"])

    @pytest.mark.parametrize("part", ["difficulty", "file", "instruction"])
    def test_half_a_letter_in_a_list_of_tasks_costs_one_task(self, tmp_path: Path, part: str) -> None:
        shutil.copytree(GEAK, tmp_path / "geak")
        index = next((tmp_path / "geak").rglob("TritonBench*.json"))
        listed = json.loads(index.read_text())
        listed[0][part] = "\ud800.py"
        index.write_text(json.dumps(listed))
        shown = run("suite", "show", "tritonbench-revised", "--root", tmp_path / "geak", "--tasks")
        assert shown.exit_code == 0, shown.output
        whole = {t["name"]: t["problem"] for t in show("tritonbench-revised", GEAK)["tasks"]}
        found = {t["name"]: t["problem"] for t in show("tritonbench-revised", tmp_path / "geak")["tasks"]}
        assert "no text that can be written" in found["?" if part == "file" else "double"]
        assert found["increment"] is None is whole["increment"]

    def test_a_limit_that_is_no_number_of_ours_is_the_usual_one(self, tmp_path: Path) -> None:
        shutil.copytree(HERE / "kernelbenchx", tmp_path / "x")
        index = tmp_path / "x" / "data" / "kernelbenchx_v1.json"
        listed = json.loads(index.read_text())
        listed[0]["precision_thresholds"] = {"rmse": 10**400, "cosine_sim": 0.5}
        index.write_text(json.dumps(listed))
        assert show("kernelbench-x", tmp_path / "x")["tasks"][0]["thresholds"] == [["cosine_sim", 0.5]]

    def test_a_name_that_would_steer_a_terminal_is_shown_without_what_does(self, tmp_path: Path) -> None:
        shutil.copytree(KERNELBENCH, tmp_path / "kb")
        level = next((tmp_path / "kb").rglob("level1"))
        (level / "2_Relu.py").rename(level / "2_R\x1b[31me\nlu.py")
        told = run("suite", "show", "kernelbench", "--root", tmp_path / "kb", "--tasks")
        assert told.exit_code == 0, told.output
        assert "2_R?[31me?lu" in told.output


def test_the_tasks_of_a_suite_are_listed_a_line_each() -> None:
    native, rocm = run("suite", "list", "native"), run("suite", "list", "rocm", "--root", GEAK)
    assert [line.split()[0] for line in native.stdout.splitlines()] == names()
    assert [line.split()[0] for line in rocm.stdout.splitlines()] == [t["name"] for t in show("rocm", GEAK)["tasks"]]
    alone = run("suite", "list", "--root", GEAK)
    assert (alone.exit_code, "--root is of one suite: name it" in alone.output) == (2, True)


class Mine:
    """A suite of somebody else's."""

    name, about, looks_for = "mine", "one task", ()

    def load(self, root: Path) -> list[Loaded]:
        return [Loaded(name="only", file="only.py", style="module", source="x = 1\n", entries=("x",))]

    def notes(self, root: Path) -> tuple[str, ...]:
        return (f"read at {root.name}",)


class Broken(Mine):
    """One that fails when it is used."""

    tasks: tuple = ()

    def load(self, root: Path) -> list[Loaded]:
        return [*self.tasks] or [*json.loads("[")]


class Doubled(Broken):
    """One that gives two tasks one name."""

    tasks = (Loaded("only", "a.py", "module"), Loaded("only", "b.py", "module"))


class Upward(Broken):
    """One whose task would lie outside of a run's folder of tasks."""

    tasks = (Loaded("..", "a.py", "module"),)


class Leaving(Mine):
    """One that ends the process when it is used."""

    def load(self, root: Path) -> list[Loaded]:
        sys.exit(0)


class Nowhere(Mine):
    """One that looks for nothing that can be looked for."""

    looks_for = None


class Silent(Mine):
    """One whose line about itself cannot be had."""

    @property
    def about(self) -> str:
        raise ValueError("not\ntoday\x1b[31m")


class Stubborn(Mine):
    """One that ends the process when it is made."""

    def __init__(self) -> None:
        sys.exit(3)


class TestOtherPeoplesSuites:
    def plug(self, monkeypatch: pytest.MonkeyPatch, value: str, name: str = "mine", *more: str) -> None:
        points = tuple(metadata.EntryPoint(*one, registry.GROUP) for one in ((name, value), *((m, m) for m in more)))
        monkeypatch.setattr(metadata, "entry_points", lambda group: points if group == registry.GROUP else ())

    def test_a_loader_is_found_by_its_entry_point(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.plug(monkeypatch, f"{__name__}:Mine")
        assert "one task" in run("suite", "list").stdout
        told = show("mine", tmp_path)
        assert [t["name"] for t in told["tasks"]] == ["only"]
        assert told["notes"] == [f"read at {tmp_path.name}"]

    @pytest.mark.parametrize(
        ("value", "name", "words"),
        [("absent_module:Mine", "mine", "No module named"), ("json:loads", "mine", "lacks name, about, looks_for"),
         ("json:loads", "rocm", "a suite rocm already")],
    )  # fmt: skip
    def test_what_is_no_loader_is_named(
        self, monkeypatch: pytest.MonkeyPatch, value: str, name: str, words: str
    ) -> None:
        self.plug(monkeypatch, value, name)
        result = run("suite", "list")
        assert result.exit_code == 1
        assert words in result.output
        other = run("suite", "show", "tritonbench-g", "--root", HERE / "tritonbench")
        assert other.exit_code == 0  # whoever wants another suite is not held up by it

    def test_a_name_that_is_taken_is_of_the_suite_that_comes_with_the_program_and_the_other_is_named(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.plug(monkeypatch, f"{__name__}:Mine", "rocm")
        why = f"entry point {__name__}:Mine is not used: there is a suite rocm already, which comes with evo-kernel"
        listed = run("suite", "list")
        assert [line.split()[0] for line in listed.stdout.splitlines() if not line.startswith(" ")].count("rocm") == 1
        assert "one task" not in listed.stdout
        assert listed.stderr == f"evo-kernel: {why}; give it another name\n"
        shown = run("suite", "show", "rocm", "--root", GEAK)
        assert (shown.exit_code, f"note: {why}" in shown.stdout) == (0, True)

    def test_why_a_task_of_a_plugin_cannot_be_used_is_one_line_everywhere(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(Broken, "tasks", (Loaded("only", "a.py", "module", problem="torn\nin two"),))
        self.plug(monkeypatch, f"{__name__}:Broken")
        told = [run("suite", *command, "--root", tmp_path) for command in (("show", "mine"), ("check", "mine"))]
        assert all("torn in two" in one.output for one in told)
        rootless = run("suite", "show", "mine")
        assert (rootless.exit_code, rootless.output) == (1, "evo-kernel: suite mine needs --root CHECKOUT\n")

    def test_of_two_plugins_of_one_name_neither_is_used_nor_listed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        points = [metadata.EntryPoint("mine", f"{__name__}:{kind}", registry.GROUP) for kind in ("Mine", "Broken")]
        monkeypatch.setattr(metadata, "entry_points", lambda group: points)
        listed, shown = run("suite", "list"), run("suite", "show", "mine", "--root", HERE)
        assert "mine" not in listed.stdout
        assert (listed.exit_code, listed.stderr) == (1, shown.stderr)
        assert f"{__name__}:Mine and {__name__}:Broken: none is used, as each is a suite mine" in shown.stderr

    @pytest.mark.parametrize(
        ("kind", "words"),
        [("Broken", "its loader raised JSONDecodeError"), ("Doubled", "a name of its own, not 'only'"),
         ("Upward", "a name of its own, not '..'")],
    )  # fmt: skip
    def test_what_a_loader_gives_is_looked_at_first(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, words: str
    ) -> None:
        self.plug(monkeypatch, f"{__name__}:{kind}")
        result = run("suite", "show", "mine", "--root", tmp_path)
        assert (result.exit_code, result.output.count("\n")) == (1, 1)
        assert words in result.output

    @pytest.mark.parametrize("command", [("show",), ("check",), ("judge",), ("run", "--budget", "1", "--out", "out")])
    def test_a_loader_that_ends_the_process_is_one_line(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        self.plug(monkeypatch, f"{__name__}:Leaving")
        first, *options = command
        result = run("suite", first, "mine", "--root", tmp_path, *options)
        assert (result.exit_code, result.output) == (1, "evo-kernel: suite mine: its loader raised SystemExit: 0\n")

    @pytest.mark.parametrize(
        ("kind", "words"),
        [("Nowhere", "its looks_for is None, not a tuple of paths"), ("Silent", "ValueError: not today?[31m"),
         ("Stubborn", "SystemExit: 3")],
    )  # fmt: skip
    def test_the_list_has_all_other_suites_and_names_the_broken_one(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, words: str
    ) -> None:
        self.plug(monkeypatch, f"{__name__}:{kind}", "mine", "absent_module:Mine")
        result = run("suite", "list")
        assert result.exit_code == 1
        assert "tritonbench-g" in result.stdout
        assert "native " in result.stdout
        wrong, absent = result.stderr.splitlines()
        assert wrong.startswith("evo-kernel: suite mine (")
        assert words in wrong
        assert absent.startswith("evo-kernel: suite absent_module:Mine")
        shown = run("suite", "show", "mine", "--root", tmp_path)
        assert (shown.exit_code, shown.output.count("\n")) == (1, 1)

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"name": 5}, "task 1: its name is int, not str"),
            ({"style": "weird"}, "task 'only': its style is 'weird', not one of module, function"),
            ({"group": 3}, "task 'only': its group is int, not str | None"),
            ({"source": b"x"}, "task 'only': its source is bytes, not str"),
            ({"problem": 3}, "task 'only': its problem is int, not str | None"),
            ({"entries": ["x"]}, "task 'only': its entries is list, not tuple[str, ...]"),
            ({"files": (("a.py", 1),)}, "task 'only': its files is tuple[tuple[str, int]], not tuple[tuple[str, str]"),
            ({"thresholds": (("a", "b"),)}, "task 'only': its thresholds is tuple[tuple[str, str]], not tuple["),
        ],
    )
    def test_a_task_whose_fields_are_of_other_types_is_named_with_the_field(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: dict[str, object], said: str
    ) -> None:
        fields = {"name": "only", "file": "a.py", "style": "module", **changed}
        monkeypatch.setattr(Broken, "tasks", (Loaded(**fields),))
        self.plug(monkeypatch, f"{__name__}:Broken")
        result = run("suite", "show", "mine", "--root", tmp_path)
        assert (result.exit_code, result.output.count("\n")) == (1, 1)
        assert result.output.startswith(f"evo-kernel: suite mine, {said}")


def test_kernels_that_each_have_a_launcher_of_their_own_are_launched_by_one_method_too() -> None:
    class Kernel:
        """As Triton 3.5 makes them."""

        def __init__(self, function: object) -> None:
            self.function = function
            self.run = lambda *args, **kwargs: pytest.fail("launched beside those who watch")

        def __getitem__(self, grid: object) -> object:
            return self.run

    launched = []
    interpreted.unify(Kernel)
    Kernel.run = lambda kernel, *args, **kwargs: launched.append((kernel.function, args, kwargs))
    kernel = Kernel("f")
    kernel[(2,)](1, BLOCK=16)
    kernel.run(1, grid=(3,), warmup=False)
    assert launched == [
        ("f", (1,), {"grid": (2,), "warmup": False, "BLOCK": 16}), ("f", (1,), {"grid": (3,), "warmup": False})
    ]  # fmt: skip
