"""Programs that hang, crash, leave or lie: each is its own failure at the right stage, and the next one is fine."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest

from fitness import removal, scratch, wire, words, zygote
from fitness.build import Builder
from fitness.child import Limits
from fitness.evaluation import Stage
from fitness.jail import Jail
from fitness.judge import Judge
from fitness.scratch import Scratch
from fitness.walls.profiles import Walls
from suites import Task

HASTY, PATIENT = 2.0, 60.0  # seconds for what never ends, and for what does, though others use the machine
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
        # beyond 4096 letters and 1000 frames; behind Landlock each step takes longer than the one before
        "import os\nfor _ in range(1100):\n    os.mkdir('deep')\n    os.chdir('deep')\n", "", None, None,
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
    judge = Judge(double_task, "mi300", limits=Limits(seconds=PATIENT, memory=2 << 30), imports=False)
    assert judge.judge(double_task.seeds[0].source).passed
    yield judge
    judge.close()


def in_haste(part: Judge | Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have whoever runs jobs end those that are to hang soon."""
    monkeypatch.setattr(part, "_limits", replace(part._limits, seconds=HASTY))


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_program_fails_alone(
    what: str, strict: Judge, double_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, body, stage, kind = HOSTILE[what]
    if what == "fork a bystander at import" and not strict.standing.holds("seccomp"):
        stage = kind = None  # allowed here, and harmless once it is killed
    started = time.monotonic()
    with monkeypatch.context() as patch:
        if kind == "timeout":
            in_haste(strict._builder, patch)
        verdict = strict.judge(program(double_task, head, body))
    took = time.monotonic() - started
    if stage is None:  # harmless once its leftovers are killed
        assert verdict.passed, verdict.failure
    else:
        assert verdict.failure is not None
        assert verdict.failure.stage is stage, verdict.failure
        assert kind is None or verdict.failure.kind == kind, verdict.failure
    assert took < PATIENT, "what it left behind would live for ten minutes"
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


def test_a_hang_in_the_compiler_is_charged_to_the_compiler(
    strict: Judge, double_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_haste(strict._builder, monkeypatch)
    endless = double_task.seeds[0].source.replace(
        "    tl.store(", "    for i in tl.static_range(100000000):\n        x = x + i\n    tl.store("
    )
    verdict = strict.judge(endless)
    assert verdict.failure is not None
    assert (verdict.failure.stage, verdict.failure.kind) == (Stage.COMPILE, "timeout")


def test_a_kernel_that_never_ends_is_charged_to_correctness(
    strict: Judge, double_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_haste(strict, monkeypatch)
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


def test_a_dead_worker_takes_its_fork_server_with_it(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        jail = Jail("interpreter")
        jail.start()
        (tmp_path / "server").write_text(str(jail.pid))
        os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)
    server = int((tmp_path / "server").read_text())
    deadline = time.monotonic() + 60
    while os.path.exists(f"/proc/{server}") and time.monotonic() < deadline:
        time.sleep(0.05)
    alive = os.path.exists(f"/proc/{server}") and open(f"/proc/{server}/stat").read().split()[2] != "Z"  # noqa: SIM115
    assert not alive


def test_a_killed_workers_scratch_folder_is_cleared_by_the_next(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = "import os; from fitness.scratch import Scratch; s = Scratch(); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], env={"TMPDIR": str(tmp_path)}, check=False, cwd=ROOT)
    (abandoned,) = tmp_path.iterdir()
    used = Scratch()
    other = Scratch()
    assert set(tmp_path.iterdir()) == {used.folder, other.folder}
    assert not abandoned.exists()
    used.remove()
    other.remove()
    assert list(tmp_path.iterdir()) == []


def tree(folder: Path) -> Path:
    """Make what a candidate might leave, as mkdtemp would."""
    folder.mkdir(mode=0o700)
    for name in ("a", "b"):
        (folder / name / "dark").mkdir(parents=True)
        (folder / name / "file").touch()
    (folder / "a" / "dark").chmod(0)
    return folder


def until_gone(*folders: Path) -> bool:
    deadline = time.monotonic() + 60
    while any(f.exists() for f in folders) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(f.exists() for f in folders)


def test_what_takes_long_to_delete_is_left_to_a_process_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(zygote, "CLEARING_SECONDS", -1.0)
    monkeypatch.setattr(scratch, "SECONDS", -1.0)
    used = Scratch()
    server = zygote.Server(0, {}, str(used.folder), Walls(False, False), alone=False)
    left = server._clear(str(tree(used.folder / "tmpjob")))
    assert left is not None, "no time was given"
    assert set(tmp_path.iterdir()) == {used.folder, Path(left)}
    held = removal.lock(left)
    assert held is not None
    removal.hand_over(left)
    time.sleep(0.2)
    assert Path(left).exists(), "somebody holds it"
    os.close(held)
    tree(used.folder / "tmpother")
    used.remove()
    other = Scratch()  # what nobody deleted, the next worker has deleted
    assert until_gone(Path(left), used.folder)
    other.remove()
    assert until_gone(other.folder)


def test_a_candidate_that_leaves_many_folders_does_not_hold_up_its_verdict(strict: Judge, double_task: Task) -> None:
    used = strict._builder.jail._scratch
    assert used is not None
    started = time.monotonic()
    many = program(double_task, "import os\nfor i in range(1500): os.mkdir(f'd{i}')\n", "raise ValueError('made')")
    failure = strict.judge(many).failure
    assert failure is not None
    assert failure.message.endswith("ValueError: made")
    assert time.monotonic() - started < PATIENT
    assert until_gone(*used.folder.parent.glob(f"{used.folder.name}-*"))


def test_only_what_jails_made_is_cleared_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name, mode in (("evo-mine", 0o700), ("evo-kernel-landscape-x", 0o700), (f"{scratch.PREFIX}open", 0o755)):
        (tmp_path / name).mkdir(mode=mode)
        (tmp_path / name / "lock").touch()
    (tmp_path / f"{scratch.PREFIX}link").symlink_to(tmp_path / "evo-mine")
    kept = set(tmp_path.iterdir())
    Scratch().remove()
    assert set(tmp_path.iterdir()) == kept
    assert all((f / "lock").exists() for f in kept)


SAY = """
import os, msgpack, struct
def say(*frames):
    for body in map(msgpack.packb, frames):
        data = struct.pack('>Q', len(body)) + body
        for d in range(3, 64):
            try:
                while data: data = data[os.write(d, data):]
            except OSError: pass
    os._exit(0)
"""
FORGED = {
    "a message without end": ("['failure', 'k', 'A' * (20 << 20), 'B' * (1 << 20)]", Stage.RECORD, "k", None),
    "what steers a terminal": ("['stage', 'import:\x1b[2J'], ['failure', 'k', '\x1b[31mno', 'a\u202eb']", Stage.IMPORT, "k", None),
    "a kind that is none": ("['failure', '\x1b[2Jpassed', 'm', '']", Stage.RECORD, "malformed", None),
    "a kind too long": ("['failure', 'k' * 41, 'm', '']", Stage.RECORD, "malformed", None),
    "that the machine failed": ("['stage', 'machine:1M'], ['failure', 'k', 'm', '']", Stage.RECORD, "k", "1M"),
    "a gate that it has not reached": ("['stage', 'timing:no case'], ['failure', 'k', 'm', '']", Stage.RECORD, "k", None),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_failure_says_no_more_than_an_honest_one(what: str, strict: Judge, double_task: Task) -> None:
    frames, stage, kind, case = FORGED[what]
    failure = strict.judge(program(double_task, SAY, f"say({frames})")).failure
    assert failure is not None
    assert (failure.stage, failure.kind, failure.case) == (stage, kind, case)
    for text in (failure.message, failure.trace):
        assert len(text) <= words.LONGEST
        assert text.isprintable()


def test_notes_are_few_short_and_plain(strict: Judge, double_task: Task) -> None:
    notes = "[f'\\x1b[2J{i}\\n' + 'A' * 3000 for i in range(500)]"
    writes = f"import sys; sys.modules['fitness.jobs.record'].RECORDERS[-1].notes.extend({notes})"
    verdict = strict.judge(program(double_task, "", writes).replace("BLOCK=128", "BLOCK=2048"))
    assert verdict.passed, verdict.failure
    assert len(verdict.notes) == words.NOTES
    assert all(n.isprintable() and len(n) <= words.NOTE for n in verdict.notes)


FLOODS = {
    "of empty maps": b"\x92\xa6result" + b"\xdc\x00\x64" + (b"\xdc\xea\x60" + b"\x80" * 60000) * 100,
    "of lists that are announced": b"\x92\xa6result" + b"\xdc\xff\xff" * 500,
    "of keys": b"\x92\xa6result\xdf\x00\xff\xff\xff",
}


@pytest.mark.parametrize("what", FLOODS)
def test_a_small_frame_cannot_become_more_values_than_an_honest_one(what: str) -> None:
    with pytest.raises(wire.WireError, match="more than 1048576 values"):
        wire.check_objects(FLOODS[what])


def test_an_honest_frame_is_counted_to_the_value() -> None:
    numbers = [0, -1, -33, 127, 128, 300, 70000, 2**40, -(2**40), 2**63, 1.5, None, True]
    texts: list[object] = [kind * n for kind in ("x", b"y") for n in (0, 5, 31, 32, 300, 70000)]
    extensions = [msgpack.ExtType(5, b"z" * n) for n in (1, 2, 3, 4, 8, 16, 17, 300, 70000)]
    flat = [*numbers, *texts, *extensions]
    many = {str(n): [flat] * n for n in (0, 1, 15, 16, 20)}
    body = msgpack.packb([flat, many, [0] * 70000, {n: n for n in range(70000)}])
    values = 2 + len(flat) + 1 + sum(2 + n * (1 + len(flat)) for n in (0, 1, 15, 16, 20)) + 70001 + 140001
    wire.check_objects(body, values)
    with pytest.raises(wire.WireError, match="values in one frame"):
        wire.check_objects(body, values - 1)


def test_a_flood_of_values_is_its_own_programs_failure(strict: Judge, double_task: Task) -> None:
    head, _, _ = SAY.rpartition("    os._exit(0)")
    flood = "[[{}] * 60000] * 20"
    failure = strict.judge(program(double_task, head, f"say(['result', {flood}]); os._exit(0)")).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == (Stage.RECORD, "malformed")


def test_whatever_is_no_frame_is_one_kind_of_error() -> None:
    for body in (
        b"\x81\x80\xc0",
        b"\x81\x91\x81\xc0\xc0\xc0",
        b"\xc1",
        b"",
        b"\x91" * 5000,
        b"\xdd\xff\xff\xff\xff",
        b"\xa1\xff",
    ):
        with pytest.raises(wire.WireError):
            wire.decode(body)
    deep: list[object] = []
    for _ in range(2000):
        deep = [deep]
    for value in (deep, 1 << 64):
        with pytest.raises(wire.WireError):
            wire.encode(value)
