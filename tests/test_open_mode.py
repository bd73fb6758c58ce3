"""Open mode: launchers that a plan cannot hold are judged from outside, and every word on them says untrusted-host."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import PATIENT

from archives.archive import Archive
from archives.candidate import Candidate, fingerprint
from archives.events import Judged, Measured, Proposed
from archives.journal import Journal
from evo_kernel import display, export, machine, measurement, report, runs, verdict
from evo_kernel.cli import main
from evo_kernel.cli_running import exported, tell_exported
from evo_kernel.config import Settings
from evo_kernel.errors import RunError
from evo_kernel.progress import Progress
from fitness import evaluation as evaluations
from fitness import targets
from fitness.child import Limits
from fitness.evaluation import Basis, CaseResult, Evaluation, Failure, Mode, Stage
from fitness.feedback import advice, feedback
from fitness.gpu import discover
from fitness.jail import Jail
from fitness.judge import Judge
from fitness.open_mode import STEPS, OpenJudge
from fitness.walls import profiles
from fitness.walls.profiles import GPU, Walls
from operators.knobs import structure
from suites import Task

LABEL = "untrusted-host"
HASTY = 2.0  # seconds for what hangs

pytestmark = pytest.mark.usefixtures("shared_jails")


@pytest.fixture(scope="module")
def opened(double_task: Task) -> OpenJudge:
    judge = OpenJudge(double_task, targets.find("h200"), Limits(seconds=PATIENT / STEPS, memory=2 << 30))
    assert judge.judge(double_task.seeds[0].source).passed
    return judge


def on_the_host(task: Task) -> str:
    """Return a program whose launcher computes: the maximum decides between two factors that are both 2."""
    return task.seeds[0].source.replace(
        "    n = x.numel()\n", "    n = x.numel()\n    if x.numel() and x.max() > 1e9:\n        return x + x\n"
    )


def test_a_launcher_that_computes_passes_in_open_mode_and_is_refused_sealed(
    opened: OpenJudge, judge: Judge, double_task: Task
) -> None:
    source = on_the_host(double_task)
    failure = judge.judge(source).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == (Stage.RECORD, "host-operation")
    assert "aten.max" in failure.message
    assert "line" in failure.trace
    assert "x.max()" in failure.trace
    assert "rewrite" in str(advice(failure))
    assert "--mode open" in str(advice(failure))
    found = opened.judge(source)
    assert found.passed, found.failure
    assert (found.mode, found.basis, found.confirmed) == (Mode.OPEN, Basis.MEASURED, False)
    assert [c.case for c in found.cases] == ["1M", "1M-fp16"]
    assert all(c.host_us is not None and c.host_us > 0 for c in found.cases)
    assert any("claims of the program's own process" in note for note in found.notes)
    assert evaluations.unpack(evaluations.pack(found)) == found


def on_a_descriptor(task: Task) -> str:
    """Return a program that makes its tensor descriptors on the host."""
    head, _, _ = task.seeds[0].source.partition("@triton.jit")
    return (
        f"{head}from triton.tools.tensor_descriptor import TensorDescriptor\n\n\n@triton.jit\n"
        "def double_kernel(out, given, BLOCK: tl.constexpr):\n"
        "    place = tl.program_id(0) * BLOCK\n    out.store([place], given.load([place]) * 2)\n\n\n"
        "def double(x):\n    out = torch.empty_like(x)\n"
        "    both = [TensorDescriptor.from_tensor(t, [256]) for t in (out, x)]\n"
        "    double_kernel[(triton.cdiv(x.numel(), 256),)](*both, BLOCK=256)\n    return out\n"
    )


def test_a_descriptor_of_the_host_passes_and_one_in_a_tuple_is_told_what_to_do(
    opened: OpenJudge, judge: Judge, double_task: Task
) -> None:
    source = on_a_descriptor(double_task)
    for one in (opened, judge):
        found = one.judge(source)
        assert found.passed, found.failure
    tupled = source.replace("(*both, BLOCK=256)", "(tuple(both), BLOCK=256)").replace(
        "(out, given, BLOCK", "(both, BLOCK"
    )
    tupled = tupled.replace("out.store", "both[0].store").replace("given.load", "both[1].load")
    failure = judge.judge(tupled).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == (Stage.RECORD, "argument")
    assert "argument `both[0]` is a tensor descriptor made by the host, in a tuple" in failure.message
    assert "tl.make_tensor_descriptor" in failure.message
    assert "--mode open" in failure.message
    assert "double_kernel[(triton.cdiv(x.numel(), 256),)](tuple(both), BLOCK=256)" in failure.trace


def test_rivals_and_confirmation_change_nothing_and_that_is_said(opened: OpenJudge, double_task: Task) -> None:
    found = opened.judge(double_task.seeds[0].source, None, {"baseline": double_task.seeds[0].source}, confirm=True)
    assert (found.confirmed, found.against) == (False, ())
    assert any("not timed beside baseline" in note for note in found.notes)


FORGE = (
    "import os, struct, msgpack\n"
    "def forge(value):\n"
    "    body = msgpack.packb(value)\n"
    "    for d in range(3, 64):\n"
    "        try: os.write(d, struct.pack('>Q', len(body)) + body)\n"
    "        except OSError: pass\n"
)
FAILS = {
    "is wrong": ("", "return x * 2.001", Stage.CORRECTNESS, "wrong"),
    "returns its input": ("", "return x", Stage.CORRECTNESS, "wrong"),
    "returns zeros": ("", "return torch.zeros_like(x)", Stage.CORRECTNESS, "wrong"),
    "returns another dtype": ("", "return (x * 2).double()", Stage.CORRECTNESS, "schema"),
    "returns no tensor": ("", "return 3", Stage.CORRECTNESS, "schema"),
    "returns a view out of order": ("", "return (x * 2).expand(2, -1).t()", Stage.CORRECTNESS, "schema"),
    "doubles its input in place": ("", "return x.mul_(2).clone()", Stage.CORRECTNESS, "input-changed"),
    "is right every other time": (
        "CALLS = []\n", "CALLS.append(1)\n    return x * 2 if len(CALLS) % 2 else x * 2 + 1e-7 * (len(CALLS) > 1)",
        Stage.CORRECTNESS, "unstable",
    ),
    "hangs": ("", "while True: pass", Stage.CORRECTNESS, "timeout"),
    "crashes": ("import ctypes\n", "ctypes.string_at(0)", Stage.CORRECTNESS, "crash"),
    "exits with 0": ("import os\n", "os._exit(0)", Stage.CORRECTNESS, "exit"),
    "raises SystemExit": ("", "raise SystemExit(0)", Stage.CORRECTNESS, "exit"),
    "prints a verdict and leaves": (
        "import os\n", "print('[\"result\", [[], []]]', flush=True); os._exit(0)", Stage.CORRECTNESS, "exit",
    ),
    "writes an empty result to the channel": (FORGE, "forge(['result', [[], []]])\n    os._exit(0)", Stage.CORRECTNESS, "malformed"),
    "writes a pass to the channel": (FORGE, "forge(['result', 'passed'])\n    os._exit(0)", Stage.CORRECTNESS, "malformed"),
    "writes another stage and leaves": (FORGE, "forge(['stage', 'timing:1M'])\n    os._exit(0)", Stage.TIMING, "exit"),
    "writes what is no frame": (FORGE, "forge(['foo'])\n    os._exit(0)", Stage.CORRECTNESS, "malformed"),
    "opens a socket": ("import socket\n", "socket.socket()", Stage.CORRECTNESS, "exception"),
    "reads a file": ("", "open('/etc/passwd').read()", Stage.CORRECTNESS, "exception"),
}  # fmt: skip


@pytest.mark.parametrize("what", FAILS)
def test_a_program_fails_in_open_mode_that(what: str, opened: OpenJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    head, body, stage, kind = FAILS[what]
    if what in ("opens a socket", "reads a file") and opened.standing.level == "process":
        pytest.skip("this kernel has neither Landlock nor seccomp")
    if kind == "timeout":
        monkeypatch.setattr(opened, "_limits", replace(opened._limits, seconds=HASTY))
    source = f"import torch\nimport triton\n{head}\n\ndef double(x):\n    {body}\n    return x\n# jit\n"
    failure = opened.judge(source).failure
    assert failure is not None, what
    assert failure.stage is stage, failure
    assert kind is None or failure.kind == kind, failure


def test_a_forged_answer_with_right_outputs_cannot_claim_a_time_that_is_none(
    opened: OpenJudge, double_task: Task
) -> None:
    patched = (
        "import sys\nimport torch\nimport triton\nmodule = sys.modules['fitness.jobs.open']\n"
        "module.Clock.time = lambda *a, **k: [{}, 1.0, 3]\ndef double(x):\n    return x * 2\n# jit\n"
    )
    for claim in ("0.0", "-1.0", "float('nan')", "float('inf')", "'fast'"):
        failure = opened.judge(patched.format(claim)).failure
        assert failure is not None
        assert failure.kind == "malformed"
    claimed = opened.judge(patched.format("123.0"))
    assert claimed.cases[0].time_us == 123.0, "a false time passes, which is what the label says"


def test_every_output_says_untrusted_host(opened: OpenJudge, double_task: Task, tmp_path: Path) -> None:
    passed, failed = opened.judge(double_task.seeds[0].source), opened.judge(on_the_host(double_task) + "\n1 / 0\n")
    assert failed.failure is not None
    for found in (passed, failed):
        assert LABEL in feedback(found)
        assert LABEL in verdict.text("program", double_task, double_task.cases, found, opened.seconds)
        assert LABEL in json.dumps(verdict.plain(double_task, double_task.cases, found, opened.seconds))
        assert LABEL in measurement.table([("1234567890", found)])
    gates = {g.name: g for g in verdict.gates(double_task, double_task.cases, passed, opened.seconds)}
    assert [gates[n].state for n in ("import", "record", "compile", "correctness", "timing", "confirmation")] == [
        "ok", "-", "-", "ok", "ok", "-",
    ]  # fmt: skip
    folder = run_of(tmp_path / "run", double_task, passed)
    state = runs.read(folder)
    shown = report.text(state)
    assert all(LABEL in line for line in shown.splitlines() if " us" in line and "roofline" not in line), shown
    assert json.loads(json.dumps(report.summary(state)))["mode"] == LABEL
    assert LABEL in CliRunner().invoke(main, ["watch", str(folder)]).output
    progress = Progress(1, 1, 1, 1, 2.0, 2.0, "", 1, (), 0, 0, 1, True, False, "measured", mode="open")
    assert LABEL in display.line(progress, 1.0)


def run_of(folder: Path, task: Task, found: Evaluation) -> Path:
    """Write a finished run in open mode whose seed has the verdict."""
    settings = Settings(target="h200", basis="measured", mode="open", pool="inline", generations=1, population=1)
    runs.begin(folder, settings, task)
    with Journal.append_to(folder) as journal:
        source = task.seeds[0].source + "# another\n"
        journal.append(Judged(0, found), 0.0)
        journal.append(
            Proposed(1, Candidate(source, "knob-step", "same", (), fingerprint(source), structure(source))), 0.0
        )
        journal.append(Judged(1, replace(found, program="another")), 0.0)
        journal.append(Measured(runs.fold(journal).search.seeds[0], found), 0.0)
    return folder


def test_a_claim_may_be_the_best_of_a_run_in_open_mode_and_of_no_other() -> None:
    claim = Evaluation(
        "h200", Basis.MEASURED, "process", None, (CaseResult("a", 1.0, 0.5, 0.5, "memory"),), mode=Mode.OPEN
    )
    for mode, best in ((Mode.OPEN, True), (Mode.SEALED, False)):
        archive = Archive(Basis.MEASURED)
        archive.add(Candidate("x", "seed", "", (), "x", "x"), replace(claim, mode=mode))
        assert (archive.best is not None) is best


def exported_with(
    found: Evaluation, folder: Path, task: Task, monkeypatch: pytest.MonkeyPatch, mode: str = "sealed"
) -> list[Any]:
    """Export a run that a GPU judged, as if both judges had said again what they once said."""
    settings = Settings(target="h200", basis="measured", mode=mode, pool="inline", generations=1, population=1)
    runs.begin(folder, settings, task)
    sealed = replace(found, mode=Mode.SEALED, confirmed=True, failure=None, cases=CLAIMED, device="H200")
    with Journal.append_to(folder) as journal:
        journal.append(Judged(0, found if mode == "open" else sealed), 0.0)
    monkeypatch.setattr(machine, "check_resumable", lambda settings: None)
    monkeypatch.setattr(export, "one_judge", lambda *_: Always(found if mode == "open" else sealed))
    monkeypatch.setattr(export, "make_open_judge", lambda *_: Always(found))
    return export.export(folder, 1, folder / "out")


class Always:
    """Gives one verdict on everything."""

    def __init__(self, found: Evaluation) -> None:
        self.found, self.seconds = found, {}

    def judge(self, *_: object, **__: object) -> Evaluation:
        return self.found

    def close(self) -> None:
        pass


CLAIMED = (CaseResult("1M", 5.0, 0.5, 2.0, "memory", samples=64, host_us=31.25),)
CLAIM = Evaluation("h200", Basis.MEASURED, "process", None, CLAIMED, mode=Mode.OPEN, device="H200")


def test_an_exported_program_says_what_a_call_costs_the_host(
    double_task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for mode in ("sealed", "open"):
        (one,) = exported_with(CLAIM, tmp_path / mode, double_task, monkeypatch, mode)
        assert one.path is not None
        header = one.path.read_text().split("import torch")[0]
        assert "1M: host 31.2, device 5.00" in header
        assert LABEL in header
        assert ("--mode open" in header) is (mode == "open")
        assert exported(one)["launch"]["cases"] == [{"case": "1M", "host_us": 31.25, "device_us": 5.0}]


def test_a_program_whose_own_launcher_does_something_else_is_not_exported(
    double_task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = replace(CLAIM, failure=Failure(Stage.CORRECTNESS, "wrong", "case 1M: all elements are wrong"), cases=())
    (one,) = exported_with(wrong, tmp_path / "run", double_task, monkeypatch)
    assert one.path is None
    assert not (tmp_path / "run" / "out").exists()
    tell_exported([one])
    said = capsys.readouterr().err
    assert "open mode, untrusted-host" in said
    assert "all elements are wrong" in said
    assert exported(one)["held_out_failure"] is None
    assert "wrong" in exported(one)["launch_failure"]["message"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["judge", "FILE", "--task", "softmax", "--mode", "open"], "open mode needs a GPU"),
        (["search", "softmax", "--mode", "open", "--pool", "inline"], "open mode needs a GPU"),
        (["search", "softmax", "--mode", "open"], "use --pool inline"),
        (["judge", "FILE", "--task", "softmax", "--mode", "open", "--basis", "predicted"], "cannot predict"),
    ],
)
def test_without_a_gpu_open_mode_is_one_line(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discover, "gpus", list)
    file = tmp_path / "kernel.py"
    file.write_text("pass\n")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, [str(file) if a == "FILE" else a for a in arguments])
    assert done.exit_code == 1
    assert done.output.startswith("evo-kernel: ")
    assert done.output.count("\n") == 1
    assert words in done.output
    assert list(tmp_path.iterdir()) == [file], "a run that cannot be is not begun"


def test_a_run_in_open_mode_is_not_resumed_over_ray() -> None:
    settings = Settings(target="h200", basis="measured", mode="open", pool="ray")
    with pytest.raises(RunError, match="--pool inline"):
        machine.check_resumable(settings)


def test_behind_the_walls_of_a_gpu_the_c_compiler_runs_and_nothing_else(tmp_path: Path) -> None:
    jail = Jail("device")
    try:
        if not jail.standing.holds("landlock"):
            pytest.skip("this kernel has no Landlock")
    finally:
        jail.close()
    compiler = profiles.c_compiler()
    if not compiler:
        pytest.skip("no C compiler here, and open mode refuses to start without one")
    script = tmp_path / "inside.py"
    script.write_text(INSIDE)
    walls = f"{Walls(True, True, profiles.python_files())!r}"
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, script, str(tmp_path), compiler[0], walls], capture_output=True, text=True, env=environment,
        check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "built 7",
        "/bin/ls refused",
        "/usr/bin/env refused",
        "python refused",
        *(f"{what} refused" for what in ("accept", "connect", "inet", "stream", "datagram")),
        "name a thread of its own made",
        "make an anonymous file made",
        *(f"{what} refused" for what in ("list other processes", "write beside /proc/self/task", "mount")),
    ], done.stderr
    assert GPU.programs


INSIDE = """
import ctypes, os, socket, subprocess, sys, sysconfig
import threading
from fitness.walls import namespaces
from fitness.walls.profiles import GPU, Walls
folder, compiler, walls = sys.argv[1:]
os.chdir(folder)
namespaces.enter((folder,), lambda: None, device=True)
eval(walls).close(GPU, folder)
with open("a.c", "w") as file:
    file.write("#include <Python.h>\\nint seven(void) { return 7; }\\n")
command = [compiler, "a.c", "-O3", "-shared", "-fPIC", "-o", "a.so", "-I" + sysconfig.get_path("include")]
subprocess.run(command, check=True)
print("built", ctypes.CDLL("./a.so").seven())
for name, program in (("/bin/ls", ["/bin/ls"]), ("/usr/bin/env", ["/usr/bin/env"]), ("python", [sys.executable, "-c", ""])):
    try:
        subprocess.run(program, check=False)
        print(name, "ran")
    except OSError:
        print(name, "refused")
def attempt(name, what):
    try:
        what()
        print(name, "made")
    except OSError:
        print(name, "refused")
listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listening.bind(chr(0) + "evo-kernel-test-" + str(os.getpid()))
listening.listen(1)
listening.settimeout(2)
attempt("accept", listening.accept)
attempt("connect", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(listening.getsockname()))
attempt("inet", socket.socket)
attempt("stream", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
attempt("datagram", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
libc = ctypes.CDLL(None, use_errno=True)
def checked(number):
    if number:
        raise OSError(number if number > 0 else ctypes.get_errno(), "")
def name():
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        checked(libc.pthread_setname_np(ctypes.c_ulong(thread.ident), b"driver"))
        assert open(f"/proc/self/task/{thread.native_id}/comm").read() == "driver\\n"
    finally:
        done.set()
        thread.join()
attempt("name a thread of its own", name)
attempt("make an anonymous file", lambda: os.close(os.memfd_create("driver")))
attempt("list other processes", lambda: os.listdir("/proc"))
attempt("write beside /proc/self/task", lambda: open("/proc/self/oom_score_adj", "w"))
attempt("mount", lambda: checked(libc.mount(b"proc", b"/proc", b"proc", 0, None)))
"""


@pytest.fixture(scope="module")
def device(double_task: Task) -> Iterator[OpenJudge]:
    gpu = next((g for g in discover.gpus() if g.target is not None), None)
    if gpu is None or gpu.target is None:
        pytest.skip("no GPU here that has a sheet in fitness/targets.py")
    judge = OpenJudge(double_task, gpu.target, Limits(seconds=20.0, memory=3 << 30), gpu)
    yield judge
    judge.close()


@pytest.mark.gpu
def test_on_a_gpu_a_launcher_that_computes_passes_and_both_times_are_claimed(
    device: OpenJudge, double_task: Task
) -> None:
    found = device.judge(on_the_host(double_task))
    assert found.passed, found.failure
    assert (found.mode, found.device) == (Mode.OPEN, device.device)
    assert not any("small size alone" in note for note in found.notes)
    assert all(c.host_us is not None and 1.0 < c.host_us < 5000.0 for c in found.cases)
    assert all(c.time_us > 0.95 * c.floor_us for c in found.cases)


@pytest.mark.gpu
def test_on_a_gpu_a_descriptor_of_the_host_passes(device: OpenJudge, double_task: Task) -> None:
    found = device.judge(on_a_descriptor(double_task))
    assert found.passed, found.failure


@pytest.mark.gpu
@pytest.mark.parametrize("what", ["is wrong", "hangs", "opens a socket", "reads a file"])
def test_on_a_gpu_a_program_fails_that(what: str, device: OpenJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    head, body, stage, kind = FAILS[what]
    if what in ("opens a socket", "reads a file") and device.standing.level == "process":
        pytest.skip("this kernel has neither Landlock nor seccomp")
    monkeypatch.setattr(device, "_limits", replace(device._limits, seconds=6.0))
    source = f"import torch\nimport triton\n{head}\n\ndef double(x):\n    {body}\n    return x\n# jit\n"
    failure = device.judge(source).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == (stage, kind), failure


@pytest.mark.gpu
def test_on_a_gpu_what_is_right_at_the_small_size_alone_fails_at_the_timed_one(
    device: OpenJudge, double_task: Task
) -> None:
    source = double_task.seeds[0].source.replace("    n = x.numel()\n", "    n = min(x.numel(), 9999)\n")
    failure = device.judge(source).failure
    assert failure is not None
    assert "at its timed size" in failure.message
