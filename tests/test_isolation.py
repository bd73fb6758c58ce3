"""Levels of isolation: what is in force is found out, said, and required; a machine with less goes on or is refused."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evo_kernel import isolation
from evo_kernel.errors import RunError
from fitness.jail import Jail
from fitness.walls import standing, syscalls
from fitness.walls.standing import LEVELS, Standing, Wall
from suites import Task

COLUMN = syscalls.ARCHITECTURES.get(platform.machine(), (None, 0))[0]


@pytest.fixture(scope="module")
def here() -> Standing:
    return isolation.here()


def need(here: Standing, part: str) -> None:
    """Skip, with the reason, where this machine lacks a part."""
    if not here.holds(part):
        pytest.skip(f"{part} is not in force here: {[w.detail for w in here.walls if w.name == part]}")


DEGRADED = """
import ctypes, errno, json, sys
from fitness.walls import kernel, seccomp, syscalls
column = {column}
code = [seccomp._step(0x20, 0)]
for number, error in ((444, errno.ENOSYS), (syscalls.REFUSED["unshare"][column], errno.EPERM)):
    code += seccomp._when(number, [seccomp._step(0x06, 0x00050000 | error)])
code = b"".join([*code, seccomp._step(0x06, 0x7FFF0000)])
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
kernel.call(syscalls.SECCOMP[column], 1, 0, ctypes.byref(seccomp._Program(len(code) // 8, code)))
"""


def degraded(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python where the kernel has no Landlock and allows no namespaces, as in an old container."""
    code = DEGRADED.replace("{column}", str(COLUMN)) + code
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.long
def test_without_landlock_and_namespaces_judging_goes_on_and_says_so(here: Standing) -> None:
    need(here, "seccomp")
    answer = degraded(
        "from fitness.judge import Judge; from suites import read; import tests.conftest as c\n"
        "judge = Judge(read(c.SCALE, 'double'), 'mi300'); verdict = judge.judge(judge.task.seeds[0].source)\n"
        "print(verdict.passed, verdict.isolation); judge.close()"
    )
    assert answer.stdout == "True process (seccomp)\n", answer.stderr


def test_a_machine_with_less_than_required_is_refused_in_one_line(here: Standing, tmp_path: Path) -> None:
    need(here, "seccomp")
    program = tmp_path / "p.py"
    program.write_text("")
    run = tmp_path / "run"
    commands = (
        ["judge", str(program), "--task", "softmax"],
        ["tasks", "check", "softmax"],
        ["search", "softmax", "--run", str(run), "--quiet"],
    )
    asked = [[*command, "--require-isolation", "landlock"] for command in commands]
    answer = degraded(  # what is loaded for one command is loaded for all
        "import sys; from evo_kernel.cli import main\n"
        f"for argv in {asked!r}:\n"
        "    try: main(argv)\n"
        "    except SystemExit as end: print(f'status {end.code}', file=sys.stderr)\n"
    )
    assert answer.stdout == ""
    assert answer.stderr == (
        "evo-kernel: isolation 'landlock' is required and this machine has 'process'; "
        "missing landlock: this kernel does not have it\nstatus 1\n"
    ) * len(commands)
    assert not run.exists()


@pytest.mark.long
def test_a_search_goes_on_where_the_level_required_is_there(
    here: Standing, one_case_task: Task, tmp_path: Path
) -> None:
    level = here.level
    isolation.require(here, level)
    config, task = tmp_path / "strict.toml", tmp_path / "double.py"
    task.write_text(one_case_task.source.replace(', case("1M-fp16", 1 << 20, "float16", "uniform")', ""))
    config.write_text(f'[judge]\nrequire_isolation = "{level}"\n')
    answer = subprocess.run(
        [sys.executable, "-m", "evo_kernel", "search", str(task), "--config", str(config), "--generations", "1",
         "--population", "1", "--pool", "inline", "--run", str(tmp_path / "run"), "--json", "--quiet"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["best"]["isolation"] == str(here)
    if here.holds("seccomp"):  # and the same run is not resumed where the level is missing
        argv = ["resume", str(tmp_path / "run"), "--require-isolation", "landlock"]
        answer = degraded(f"from evo_kernel.cli import main; main({argv!r})")
        assert (answer.returncode, answer.stdout) == (1, "")
        assert "missing landlock: this kernel does not have it" in answer.stderr


def test_levels_are_ordered_and_name_what_is_missing() -> None:
    every = [Wall(name, True) for name in ("landlock", "seccomp", "user", "net", "pid", "ipc", "uts")]
    assert Standing().level == "process"
    assert Standing(tuple(every[:2])).level == "landlock"
    assert Standing(tuple(every)).level == "namespaces"
    assert Standing((*every[1:], Wall("landlock", False, "too old"))).level == "process"
    weak = Standing((Wall("landlock", False, "too old"), *every[1:]))
    assert standing.lowest([Standing(tuple(every)), weak]) is weak
    assert [w.detail for w in weak.missing("namespaces")] == ["too old"]
    assert standing.unpack(standing.pack(weak)) == weak
    assert list(LEVELS) == ["process", "landlock", "namespaces"]
    with pytest.raises(RunError, match="missing landlock: too old"):
        isolation.require(weak, "landlock")


def test_a_server_killed_from_outside_leaves_nothing(here: Standing) -> None:
    need(here, "pid")
    jail = Jail("compiled")
    assert jail.standing.holds("pid")
    server = jail.pid
    guard = jail._process.pid
    assert server != guard
    os.kill(guard, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while alive(server) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(server)
    jail.close()


def alive(pid: int | None) -> bool:
    """Tell whether a process runs; one that only waits to be collected by the machine's init does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
