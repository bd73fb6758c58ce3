"""The command line as a person uses it: the whole way, every refusal in one line, and nothing heavy for --help."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from archives.journal import FILE, Journal
from evo_kernel import runs
from evo_kernel.cli import main
from evo_kernel.cli_running import as_typed
from evo_kernel.config import Settings
from suites import Task

EVO = [sys.executable, "-m", "evo_kernel"]

pytestmark = pytest.mark.usefixtures("shared_jails")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def task_file(tmp_path: Path, one_case_task: Task) -> Path:
    """Return a file of a task with one small public case, judged in a third of a second."""
    path = tmp_path / "double.py"
    path.write_text(one_case_task.source.replace(', case("1M-fp16", 1 << 20, "float16", "uniform")', ""))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, one_case_task: Task) -> Path:
    """Return the folder of a finished run of a few evaluations."""
    folder = tmp_path_factory.mktemp("cli")
    task = folder / "double.py"
    task.write_text(one_case_task.source.replace(', case("1M-fp16", 1 << 20, "float16", "uniform")', ""))
    result = run(
        "search", task, "--pool", "inline", "--generations", 2, "--population", 3, "--run", folder / "run", "--quiet"
    )
    assert result.exit_code == 0, result.output
    return folder / "run"


class TestTheWholeWay:
    def test_a_search_ends_with_a_better_kernel_a_file_and_the_next_command(self, finished: Path) -> None:
        result = run("resume", finished, "--quiet", "--pool", "inline")
        assert result.exit_code == 0, result.output
        assert "6 of 6 evaluations" in result.stdout
        assert "predicted" in result.stdout
        assert "measured" not in result.stdout
        assert f"next: evo-kernel resume {finished} --generations 4" in result.stdout
        assert list((finished / "exported").glob("double_mi300_*.py"))

    def test_show_tells_best_elites_failures_and_lineage(self, finished: Path) -> None:
        text = run("show", finished).stdout
        for words in ("best so far", "elites, one per cell", "failures by stage", "lineage of the best", "seed: plain"):
            assert words in text

    def test_show_tells_what_became_of_each_operators_programs(self, finished: Path) -> None:
        rows = json.loads(run("show", finished, "--operators", "--json").stdout)
        assert sum(row["tries"] for row in rows if row["kind"] == "operator") == 6
        assert all(row["gains"] <= row["valid"] <= row["tries"] for row in rows)
        text = run("show", finished, "--operators").stdout
        assert "mean gain" in text
        assert all(row["name"] in text for row in rows)

    def test_what_is_counted_as_passed_or_failed_is_of_the_evaluations(self, finished: Path) -> None:
        found = json.loads(run("show", finished, "--json").stdout)
        fates = found["passed"] + found["same_code"] + sum(found["failures"].values())
        assert fates == found["evaluations"]
        assert found["seeds"] == {"given": 1, "passed": 1, "same_code": 0, "failures": {}}
        said = run("show", finished).stdout
        assert f"{found['evaluations']} evaluations, {found['passed']} passed" in said
        assert "seeds apart: 1 of 1 passed" in said

    def test_json_is_for_machines(self, finished: Path) -> None:
        summary = json.loads(run("show", finished, "--json").stdout)
        assert summary["basis"] == "predicted"
        assert summary["evaluations"] == 6
        assert summary["gain_over_seed"] >= 1.0
        assert summary["lineage"][-1]["operator"] == "seed"

    def test_an_exported_file_runs_with_torch_and_triton_alone(self, finished: Path, tmp_path: Path) -> None:
        exported = json.loads(run("export", finished, "--top", 2, "--out", tmp_path, "--json").stdout)
        paths = [Path(e["path"]) for e in exported if e["path"]]
        assert len(paths) == 2
        text = paths[0].read_text()
        assert text.startswith("# double: exported by evo-kernel")
        assert "PREDICTED" in text
        assert "odd" in text  # the held-out case it was checked on
        check = (
            "import sys, importlib.util as u, torch\n"
            "s = u.spec_from_file_location('k', sys.argv[1]); m = u.module_from_spec(s); s.loader.exec_module(m)\n"
            "x = torch.randn(3001); assert torch.equal(m.double(x), 2 * x)\n"
            "assert not {'suites', 'fitness', 'archives', 'operators', 'evo_kernel'} & set(sys.modules)\n"
        )
        subprocess.run(
            [sys.executable, "-I", "-c", check, paths[0]], env={"TRITON_INTERPRET": "1"}, check=True, cwd=tmp_path
        )

    def test_an_exported_file_is_judged_again(self, finished: Path) -> None:
        (file,) = list((finished / "exported").glob("*.py"))[:1]
        result = run("judge", file, "--task", finished.parent / "double.py", "--held-out")
        assert result.exit_code == 0, result.output
        (mean,) = re.findall(r"^# geometric mean (\S+) ", file.read_text(), re.MULTILINE)
        assert f"passed; predicted {mean} us on mi300 (geometric mean of 1 case)" in result.stdout
        assert "held out: predicted" in result.stdout
        assert "odd" in result.stdout

    def test_a_run_ends_early_says_why_and_goes_on_under_another_limit(self, task_file: Path, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        first = run(
            "search", task_file, "--pool", "inline", "--quiet", "--run", folder, "--generations", 2, "--population", 2,
            "--policy", "restarts", "--with", "bandit", "--without", "history", "--stop-at-roofline", "0.01", "--json",
        )  # fmt: skip
        assert first.exit_code == 0, first.output
        summary = json.loads(first.stdout)
        assert (summary["stop"], summary["evaluations"], summary["policy"]) == ("roofline", 0, "restarts")
        assert (summary["mechanisms"]["bandit"], summary["mechanisms"]["history"]) == (True, 0.0)
        assert "as near to the roofline as was asked for" in run("show", folder).stdout
        again = run(
            "resume", folder, "--pool", "inline", "--quiet", "--stop-at-roofline", "1", "--max-minutes", 9, "--json"
        )
        assert again.exit_code == 0, again.output
        summary = json.loads(again.stdout)
        assert (summary["evaluations"], summary["stop"]) == (4, "evaluations")
        assert summary["limits"]["max_minutes"] == 9
        assert summary["wall_seconds"] > 0

    def test_more_generations_go_on_where_it_stopped(self, finished: Path) -> None:
        result = run("resume", finished, "--generations", 3, "--pool", "inline", "--quiet", "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["evaluations"] == 9

    def test_fewer_generations_than_were_made_are_refused(self, finished: Path) -> None:
        made = json.loads(run("show", finished, "--json").stdout)["generations"]
        result = run("resume", finished, "--generations", made - 1, "--pool", "inline")
        refused(
            result, 1, f"has made {3 * made} evaluations, which are {made} generations of 3", f"at least {made}; got"
        )
        assert json.loads(run("show", finished, "--json").stdout)["generations"] == made

    def test_two_runs_are_merged_and_the_result_is_a_run(self, finished: Path, tmp_path: Path) -> None:
        shutil.copytree(finished, tmp_path / "copy")
        result = run("archive", "merge", finished, tmp_path / "copy", "--out", tmp_path / "both")
        assert result.exit_code == 0, result.output
        assert run("show", tmp_path / "both").exit_code == 0
        assert "merged-1" in run("archive", "merge", tmp_path / "both", finished).stdout

    def test_a_run_is_followed_to_its_end(self, finished: Path) -> None:
        watched = run("watch", finished)
        assert watched.exit_code == 0
        assert "ended: all evaluations are spent" in watched.stdout

    def test_following_a_run_ends_where_nobody_drives_it(
        self, tmp_path: Path, one_case_task: Task, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runs.begin(tmp_path / "run", Settings(target="mi300", basis="predicted"), one_case_task)
        monkeypatch.setattr("evo_kernel.cli.UNDRIVEN", 0.0)
        looks: list[float] = []
        with Journal.append_to(tmp_path / "run") as journal:

            def look(seconds: float) -> None:
                looks.append(seconds)
                assert len(looks) <= 3, "it goes on though nobody drives the run"
                if len(looks) == 3:
                    journal.close()

            monkeypatch.setattr(time, "sleep", look)
            watched = run("watch", tmp_path / "run")
        assert (watched.exit_code, len(looks)) == (1, 3)
        assert (
            f"nobody has driven {tmp_path / 'run'} for 0 seconds, and it is not over; go on with it: evo-kernel resume"
            in watched.stderr
        )

    def test_a_search_begins_with_anothers_elites(self, finished: Path, tmp_path: Path) -> None:
        result = run(
            "search", finished.parent / "double.py", "--seed-from", finished, "--pool", "inline", "--generations", 1,
            "--population", 1, "--run", tmp_path / "run", "--json", "--quiet",
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        summary = json.loads(result.stdout)
        assert (
            summary["best"]["predicted_us"]
            <= json.loads(run("show", finished, "--json").stdout)["best"]["predicted_us"]
        )

    def test_ctrl_c_loses_nothing_and_says_how_to_go_on(self, task_file: Path, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        process = subprocess.Popen(
            [*EVO, "search", task_file, "--pool", "inline", "--generations", "50", "--run", folder],
            stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a background shell ignores it
        )  # fmt: skip
        try:
            wait_for_verdicts(folder, 3)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=100)
        finally:
            process.kill()
        assert process.returncode == 130
        assert f"evo-kernel resume {folder}" in said
        assert "Traceback" not in said
        assert json.loads(run("show", folder, "--json").stdout)["evaluations"] >= 2

    def test_plain_lines_where_there_is_no_terminal(self, task_file: Path, tmp_path: Path) -> None:
        done = run(
            "search", task_file, "--pool", "inline", "--generations", 1, "--population", 2, "--run", tmp_path / "r"
        )
        assert done.exit_code == 0, done.output
        assert "generation 1/1  evaluations 2/2  best" in done.stderr
        assert "\x1b" not in done.stderr + done.stdout


def wait_for_verdicts(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        if (folder / FILE).exists():
            shown = run("show", folder, "--json")
            if shown.exit_code == 0 and json.loads(shown.stdout)["passed"] >= count:
                return
        time.sleep(0.2)
    raise AssertionError(f"{count} verdicts did not come")


class TestTasks:
    def test_the_native_tasks_are_listed_with_their_words(self) -> None:
        lines = run("tasks").stdout.splitlines()
        assert len(lines) >= 10
        assert any(line.startswith("softmax") and "Row softmax" in line for line in lines)

    def test_a_task_is_shown(self) -> None:
        text = run("tasks", "show", "softmax").stdout
        assert "held-out cases" in text
        assert "4096x1024-fp32" in text

    def test_a_new_task_file_is_written_checked_and_never_overwritten(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.py"
        assert run("tasks", "new", file).exit_code == 0
        checked = run("tasks", "check", file)
        assert checked.exit_code == 0, checked.output
        assert f"evo-kernel search {file}" in checked.stdout
        again = run("tasks", "new", file)
        assert again.exit_code == 1
        assert "exists already" in again.output

    def test_a_new_task_file_with_the_name_of_a_native_task_is_named_by_its_path(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        made = run("tasks", "new", "softmax")
        assert "evo-kernel tasks check ./softmax\n" in made.stdout
        assert "softmax" not in run("tasks", "show", "./softmax").stdout
        assert "evo-kernel tasks check mine.py\n" in run("tasks", "new", "mine.py").stdout

    def test_a_wrong_seed_is_found_by_check(self, task_file: Path) -> None:
        task_file.write_text(task_file.read_text().replace("x * 2, mask", "x * 3, mask"))
        result = run("tasks", "check", task_file)
        assert result.exit_code == 1
        assert "seed plain: FAILED at correctness (wrong)" in result.output


def numbers(command: click.Command) -> Iterator[tuple[click.Context, click.Parameter]]:
    """Find every option of a command and those below it that takes a number with a fraction."""
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        yield from numbers(below)
    there = click.Context(command, info_name=command.name)
    yield from ((there, p) for p in command.params if isinstance(p.type, click.types.FloatParamType))


def test_no_option_takes_a_number_that_is_none_or_has_no_end() -> None:
    found = list(numbers(main))
    assert {"seconds", "every", "max_minutes", "noise"} <= {option.name for _, option in found}
    for there, option in found:
        for text in ("nan", "inf", "-inf", "1e400"):
            with pytest.raises(click.BadParameter):
                option.process_value(there, text)
    told = run("suite", "check", "native", "--seconds", "nan")
    refused(told, 2, "Invalid value for '--seconds': nan is no finite number.")


def refused(result: Result, status: int, *words: str) -> None:
    assert result.exit_code == status, result.output
    said = result.output.strip()
    assert "Traceback" not in said
    for word in words:
        assert word in said, said


class TestBadInput:
    def test_an_unknown_task_names_the_nearest(self, tmp_path: Path) -> None:
        refused(run("search", "sofmax", "--run", tmp_path / "r"), 1, "no task named 'sofmax'", "softmax")
        assert not (tmp_path / "r").exists()

    def test_portability_needs_other_targets_and_other_targets_are_only_predicted_for(self, tmp_path: Path) -> None:
        where = ("search", "softmax", "--run", tmp_path / "r", "--target", "mi300")
        refused(run(*where, "--objectives", "latency,portability"), 2, "name them (--also mi250)")
        refused(run(*where, "--also", "mi250,gfx942"), 2, "mi300 is the run's target itself")
        refused(run(*where, "--also", "mi250", "--basis", "measured"), 2, "can only be predicted for")
        refused(run(*where, "--also", "mi2500"), 2, "no target named 'mi2500'", "mi250")

    def test_a_task_file_with_a_missing_part_says_which(self, task_file: Path, tmp_path: Path) -> None:
        task_file.write_text(task_file.read_text().replace("held_out =", "held_in ="))
        refused(run("search", task_file, "--run", tmp_path / "r"), 1, "held_out")
        assert not (tmp_path / "r").exists()

    def test_a_seed_that_fails_a_gate_says_which_and_shows_the_trace(self, task_file: Path, tmp_path: Path) -> None:
        task_file.write_text(task_file.read_text().replace("n = x.numel()", "n = x.numell()"))
        result = run("search", task_file, "--run", tmp_path / "r", "--pool", "inline", "--quiet")
        refused(result, 1, "seed kernel 'plain' fails at record", "numell", "line")

    def test_a_reference_that_fails_says_where(self, task_file: Path, tmp_path: Path) -> None:
        task_file.write_text(task_file.read_text().replace("return x * 2", "return x.doubled()"))
        result = run("search", task_file, "--run", tmp_path / "r", "--pool", "inline", "--quiet")
        refused(result, 1, "the reference failed", "doubled")

    def test_host_work_in_a_launcher_is_told_with_the_call_the_line_and_what_to_do(
        self, task_file: Path, tmp_path: Path
    ) -> None:
        program = task_file.read_text().split("# evo-kernel: seed plain\n")[1].replace("return out", "return out + 1")
        (tmp_path / "mine.py").write_text(program)
        result = run("judge", tmp_path / "mine.py", "--task", task_file, "--json")
        assert result.exit_code == 1, result.output
        verdict = json.loads(result.stdout)
        failure = verdict["failure"]
        assert (failure["stage"], failure["kind"], failure["case"]) == ("record", "host-operation", None)
        assert "aten.add" in failure["message"]
        assert 'File "candidate.py"' in failure["trace"]
        assert "return out + 1" in failure["trace"]
        assert "part of a kernel" in failure["advice"]
        states = {g["gate"]: g["state"] for g in verdict["gates"]}
        assert (states["import"], states["record"], states["compile"]) == ("ok", "FAILED", "-")

    def test_unknown_configuration_keys_are_named_all_at_once(self, tmp_path: Path) -> None:
        file = tmp_path / "c.toml"
        file.write_text("[search]\ngeneration = 3\n[juge]\nseconds = 3\n")
        refused(run("search", "--config", file), 2, "search.generation (did you mean generations?)", "[juge]")

    def test_wrong_values_are_named_all_at_once(self, tmp_path: Path) -> None:
        file = tmp_path / "c.toml"
        file.write_text('[search]\ntarget = "mi999"\nhistory = 3.0\n[machine]\npool = "threads"\n')
        refused(run("search", "--config", file), 2, "mi999", "history", "pool")

    def test_a_configuration_that_is_no_toml_or_absent(self, tmp_path: Path) -> None:
        file = tmp_path / "c.toml"
        file.write_text("[search\n")
        refused(run("search", "--config", file), 2, str(file))
        refused(run("search", "--config", "fast"), 2, "no configuration file 'fast'", "quick")

    def test_an_unknown_target_or_policy(self, tmp_path: Path) -> None:
        refused(run("search", "--target", "mi301", "--run", tmp_path / "r"), 2, "no target named 'mi301'")
        refused(
            run("search", "--policy", "luck", "--run", tmp_path / "r"), 2, "archive", "best-of-n", "islands", "luck"
        )
        assert not (tmp_path / "r").exists()

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("--without", "luck"), ("halving", "bandit", "lexicase")),
            (("--with", "halving", "--without", "halving"), ("both name halving",)),
            (("--max-minutes", "-1"), ("--max-minutes",)),
            (("--stop-at-roofline", "1.5"), ("--stop-at-roofline",)),
            (
                ("--policy", "restarts", "--with", "halving", "--basis", "predicted"),
                ("--with halving would do nothing",),
            ),
            (("--operators", "knob-step,luck"), ("no operator named 'luck'", "knob-cross")),
            (("--operators", "knob-cross"), ("steps from one program",)),
        ],
    )
    def test_a_mechanism_a_limit_or_an_operator_that_is_none(
        self, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
    ) -> None:
        refused(run("search", *arguments, "--run", tmp_path / "r"), 2, *words)
        assert not (tmp_path / "r").exists()

    def test_a_folder_that_is_no_run(self, tmp_path: Path) -> None:
        for command in ("resume", "show", "export", "watch"):
            refused(run(command, tmp_path), 1, "is not a run folder")
            refused(run(command, tmp_path / "absent"), 1, "no run folder")
        assert list(tmp_path.iterdir()) == []

    def test_a_run_in_use_is_not_resumed(self, finished: Path) -> None:
        with Journal.append_to(finished):
            refused(run("resume", finished, "--pool", "inline"), 1, f"in use by another process (pid {os.getpid()})")

    def test_a_run_folder_is_not_reused(self, finished: Path) -> None:
        refused(run("search", "softmax", "--run", finished), 1, "already holds a run")

    def test_a_run_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        refused(run("search", "softmax", "--run", tmp_path / "file" / "run"), 1, "cannot make the run folder")

    def test_an_export_that_cannot_be_written(self, finished: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        refused(run("export", finished, "--out", tmp_path / "file" / "x"), 1, "cannot export to")


def test_what_drives_a_search_loads_no_torch_in_this_process() -> None:
    code = "import sys, evo_kernel.api, evo_kernel.pools; sys.exit('it loads torch' if 'torch' in sys.modules else 0)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


class TestHelp:
    def test_help_loads_nothing_heavy_and_takes_less_than_300_ms(self) -> None:
        code = (
            "import sys; from evo_kernel.cli import main\n"
            "try: main(['--help'])\n"
            "except SystemExit: pass\n"
            "heavy = {'torch', 'triton', 'ray', 'numpy', 'libcst', 'pydantic', 'rich', 'anthropic', 'openai', 'jinja2'} & set(sys.modules)\n"
            "sys.exit(f'loaded {heavy}' if heavy else 0)"
        )
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        times = []
        for _ in range(5):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([*EVO, "--help"], check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)  # the processor's time: others may use this machine
            times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert min(times) < 0.3

    @pytest.mark.parametrize("command", ["search", "resume", "show", "export", "judge"])
    def test_help_has_examples(self, command: str) -> None:
        assert "Example" in run(command, "--help").output

    def test_doctor_says_what_this_machine_can_do(self) -> None:
        findings = {f["topic"]: f for f in json.loads(run("doctor", "--json").stdout)}
        for target in ("mi300", "mi250", "gfx950", "h100", "h200"):
            assert findings[f"target {target}"]["works"], findings[f"target {target}"]
        assert {
            "gpu",
            "isolation",
            "wall landlock",
            "wall pid",
            "not confined",
            "model anthropic",
            "disk",
            "triton",
        } <= set(findings)


def test_what_is_said_to_be_typed_next_is_found_by_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "bin" / "evo-kernel"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(script), "search"])
    monkeypatch.setenv("PATH", "/usr/bin")
    assert as_typed() == str(script)
    monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin")
    assert as_typed() == "evo-kernel"
    monkeypatch.setattr(sys, "argv", ["-c", "search"])
    assert as_typed() == "evo-kernel"
