"""Programs that hang, crash, leave or lie: each is its own failure at the right stage, and the next one is fine."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from fitness.child import Limits
from fitness.evaluation import Stage
from fitness.jail import Jail, Scratch
from fitness.judge import Judge
from suites import Task

SECONDS = 2.0
ROOT = Path(__file__).parent.parent

HOSTILE = {
    "hang at import": ("import time\nwhile True: time.sleep(1)\n", "", Stage.IMPORT, "timeout"),
    "busy loop at import": ("while True: pass\n", "", Stage.IMPORT, "timeout"),
    "hang in the launcher": ("", "while True: pass", Stage.RECORD, "timeout"),
    "ignore SIGTERM and hang": (
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n", "while True: pass", Stage.RECORD, "timeout",
    ),
    # no launcher needs a process of its own; refusing all of them is what stops a fork bomb
    "fork a bystander at import": (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(600)\n", "", Stage.IMPORT, "exception",
    ),
    "fork if possible and hang": (
        "import os\ntry: os.fork()\nexcept OSError: pass\nwhile True: pass\n", "", Stage.IMPORT, "timeout",
    ),
    "allocate 100 GB on the host": ("", "bytearray(100 << 30)", Stage.RECORD, "memory"),
    "allocate 100 GB in torch": ("", "torch.ones(25 << 30)", Stage.RECORD, "memory"),
    "ask the device for 100 GB": ("", "torch.empty(25 << 30, device=x.device)", Stage.RECORD, "memory"),
    "print 1 GB": ("for _ in range(1 << 10): print('x' * (1 << 20))\n", "", Stage.IMPORT, "output"),
    "exit with status 0": ("import os\nos._exit(0)\n", "", Stage.IMPORT, "exit"),
    "exit with status 3 in the launcher": ("", "import os; os._exit(3)", Stage.RECORD, "exit"),
    "call exit(0)": ("import sys\nsys.exit(0)\n", "", Stage.IMPORT, "exit"),
    "raise SystemExit in the launcher": ("", "raise SystemExit(0)", Stage.RECORD, "exit"),
    "segfault": ("", "import ctypes; ctypes.string_at(0)", Stage.RECORD, "crash"),
    "abort": ("import os\nos.abort()\n", "", Stage.IMPORT, "crash"),
    "leave a tree deeper than any path": (
        "import os\nfor _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\n", "", None, None,
    ),
    "leave threads": (
        "import threading, time\nthreading.Thread(target=lambda: time.sleep(600)).start()\n", "", None, None,
    ),
    "recurse for ever": ("def f(): f()\nf()\n", "", Stage.IMPORT, "exception"),
    "close every descriptor": ("import os\nos.closerange(0, 65536)\n", "", Stage.IMPORT, None),
    "raise KeyboardInterrupt": ("", "raise KeyboardInterrupt", Stage.RECORD, "exception"),
    "not Python": ("def (:\n", "", Stage.STATIC, "syntax"),
    "null byte": ("\0\n", "", Stage.STATIC, "syntax"),
}  # fmt: skip


def program(task: Task, head: str, body: str) -> str:
    """Put hostile lines at the head of the seed, or at the start of its launcher."""
    source = head + task.seeds[0].source
    return source.replace("    out = torch.empty_like(x)\n", f"    {body or 'pass'}\n    out = torch.empty_like(x)\n")


@pytest.fixture(scope="module")
def strict(double_task: Task):
    judge = Judge(double_task, "mi300", limits=Limits(seconds=SECONDS, memory=2 << 30), imports=False)
    assert judge.judge(double_task.seeds[0].source).passed
    yield judge
    judge.close()


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_program_fails_alone(what: str, strict: Judge, double_task: Task) -> None:
    head, body, stage, kind = HOSTILE[what]
    if what == "fork a bystander at import" and not strict.standing.holds("seccomp"):
        stage = kind = None  # allowed here, and harmless once it is killed
    started = time.monotonic()
    verdict = strict.judge(program(double_task, head, body))
    took = time.monotonic() - started
    if stage is None:  # harmless once its leftovers are killed
        assert verdict.passed, verdict.failure
    else:
        assert verdict.failure is not None
        assert verdict.failure.stage is stage, verdict.failure
        assert kind is None or verdict.failure.kind == kind, verdict.failure
    assert took < 3 * SECONDS + 3
    fresh = double_task.seeds[0].source.replace("BLOCK=128", "BLOCK=256") + f"# after: {what}\n"
    assert strict.judge(fresh).passed
    assert descendants(strict.pids()) == []


def descendants(servers: list[int]) -> list[int]:
    """Return processes that the fork servers still have, but for the one each that waits for the next job."""
    found = []
    for server in servers:
        waiting = children(server)
        found += waiting[1:]
        found += [p for w in waiting for p in children(w)]
    return found


def children(pid: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/task/{pid}/children") as listing:
        return [int(p) for p in listing.read().split()]
    return []


def test_a_hang_in_the_compiler_is_charged_to_the_compiler(strict: Judge, double_task: Task) -> None:
    endless = double_task.seeds[0].source.replace(
        "    tl.store(", "    for i in tl.static_range(100000000):\n        x = x + i\n    tl.store("
    )
    verdict = strict.judge(endless)
    assert verdict.failure is not None
    assert (verdict.failure.stage, verdict.failure.kind) == (Stage.COMPILE, "timeout")


def test_a_kernel_that_never_ends_is_charged_to_correctness(strict: Judge, double_task: Task) -> None:
    endless = double_task.seeds[0].source.replace("    tl.store(", "    while n > 0:\n        x = x + 1\n    tl.store(")
    verdict = strict.judge(endless)
    assert verdict.failure is not None
    assert (verdict.failure.stage, verdict.failure.kind) == (Stage.CORRECTNESS, "timeout")


def test_a_compile_error_keeps_the_line_of_the_candidate(strict: Judge, double_task: Task) -> None:
    wrong = double_task.seeds[0].source.replace("x * 2, mask", "x * undefined_name, mask")
    failure = strict.judge(wrong).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == (Stage.COMPILE, "compiler")
    assert "undefined_name" in failure.message


def test_a_candidate_sees_nothing_of_the_parents_environment(
    double_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY_OF_A_TEST", "do-not-leak")
    judge = Judge(double_task, "mi300", imports=False)
    try:
        source = program(double_task, "import os\n", "raise ValueError(sorted(os.environ.items()))")
        failure = judge.judge(source).failure
    finally:
        judge.close()
    assert failure is not None
    assert "PATH" in failure.message
    assert "SECRET_KEY_OF_A_TEST" not in failure.message
    assert "do-not-leak" not in failure.message


def test_a_candidate_inherits_no_descriptor_but_its_channel(strict: Judge, double_task: Task) -> None:
    source = program(double_task, "import os\n", "raise ValueError(len(os.listdir('/proc/self/fd')))")
    failure = strict.judge(source).failure
    assert failure is not None
    # stdin, stdout, stderr, the channel, and the listing itself
    assert failure.message == "case 1M: ValueError: 5" or failure.message == "ValueError: 5"


def test_a_dead_worker_takes_its_fork_server_with_it() -> None:
    pid = os.fork()
    if pid == 0:
        jail = Jail("interpreter")
        jail.start()
        with open(f"/tmp/evo-test-{os.getpid()}", "w") as file:
            file.write(str(jail.pid))
        os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)
    with open(f"/tmp/evo-test-{pid}") as file:
        server = int(file.read())
    os.unlink(f"/tmp/evo-test-{pid}")
    deadline = time.monotonic() + 5
    while os.path.exists(f"/proc/{server}") and time.monotonic() < deadline:
        time.sleep(0.05)
    alive = os.path.exists(f"/proc/{server}") and open(f"/proc/{server}/stat").read().split()[2] != "Z"  # noqa: SIM115
    assert not alive


def test_a_killed_workers_scratch_folder_is_cleared_by_the_next(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = "import os; from fitness.jail import Scratch; s = Scratch(); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], env={"TMPDIR": str(tmp_path)}, check=False, cwd=ROOT)
    (abandoned,) = tmp_path.iterdir()
    used = Scratch()
    other = Scratch()
    assert set(tmp_path.iterdir()) == {used.folder, other.folder}
    assert not abandoned.exists()
    used.remove()
    other.remove()
    assert list(tmp_path.iterdir()) == []
