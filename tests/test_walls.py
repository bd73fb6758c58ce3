"""Escapes tried from candidate code through the real judge: each reports what the kernel answered, and must be refused.

The same lines run outside the jail too where that is harmless, to show that they would work there.
"""

import contextlib
import importlib.util
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from fitness.judge import Judge
from fitness.walls import landlock, profiles, syscalls
from suites import Task

ROOT = Path(__file__).parent.parent
COLUMN = syscalls.ARCHITECTURES.get(platform.machine(), (None, 0))[0]

PRELUDE = """
import ctypes, errno, os, resource, signal, socket, subprocess, time
_libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    result = _libc.syscall(ctypes.c_long(NR[name]), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result
def connect(address, *kind):
    with socket.socket(*kind) as s:
        s.connect(address)
def tried(attempt):
    try:
        return "DONE " + repr(attempt())[:200]
    except OSError as error:
        return "REFUSED " + errno.errorcode.get(error.errno, str(error))
    except subprocess.SubprocessError as error:
        return "REFUSED " + str(error)
"""


@dataclass(frozen=True)
class Escape:
    """An expression a candidate evaluates; the part that must refuse it; whether it is harmless and works outside."""

    needs: str | None
    code: str
    outside: bool = False


ESCAPES = {
    # files
    "read a secret in the home folder": Escape("landlock", "open(SECRET).read()", True),
    "read a secret in /tmp": Escape("landlock", "open(OUTSIDE + '/secret').read()", True),
    "read the password hashes": Escape("landlock", "open('/etc/shadow').read()"),
    "read the checkout beside its packages": Escape("landlock", "open(ROOT + '/pyproject.toml').read()", True),
    "read the judge's own tests": Escape("landlock", "open(ROOT + '/tests/conftest.py').read()", True),
    "read a task's file": Escape("landlock", "open(ROOT + '/suites/native/softmax.py').read()", True),
    "import a task": Escape("landlock", "__import__('suites.native.softmax')", True),
    "list the home folder": Escape("landlock", "os.listdir(os.path.dirname(SECRET))", True),
    "list the root folder": Escape("landlock", "os.listdir('/')", True),
    "list all processes": Escape("landlock", "os.listdir('/proc')", True),
    "read the judge's environment": Escape("landlock", "open(f'/proc/{JUDGE}/environ').read()", True),
    "list the judge's descriptors": Escape("landlock", "os.listdir(f'/proc/{JUDGE}/fd')", True),
    "open the judge's memory": Escape("landlock", "open(f'/proc/{JUDGE}/mem', 'rb')"),
    "read the judge's map of memory": Escape("landlock", "open(f'/proc/{JUDGE}/maps').read()", True),
    "read the fork server's environment": Escape(None, "open(f'/proc/{SERVER}/environ').read()"),
    "open the fork server's memory": Escape(None, "open(f'/proc/{SERVER}/mem', 'rb+')"),
    "write another job's channel": Escape(None, "open(f'/proc/{SERVER}/fd/' + os.listdir(f'/proc/{SERVER}/fd')[-1], 'wb')"),
    "write its own memory by file": Escape("landlock", "open('/proc/self/mem', 'rb+')", True),
    "be spared when memory is short": Escape("landlock", "open('/proc/self/oom_score_adj', 'w').write('0')", True),
    "write beside the scratch folder": Escape("landlock", "open(os.path.join(os.getcwd(), '..', 'poison'), 'w')", True),
    "write into the fork server's folder": Escape("landlock", "open(os.path.join(FOLDER, 'poison'), 'w')", True),
    "make a file outside": Escape("landlock", "open(OUTSIDE + '/made', 'w')", True),
    "empty a file outside": Escape("landlock", "os.truncate(OUTSIDE + '/victim', 0)", True),
    "delete a file outside": Escape("landlock", "os.unlink(OUTSIDE + '/doomed')", True),
    "move its own file outside": Escape("landlock", "(open('own', 'w').close(), os.rename('own', OUTSIDE + '/moved'))", True),
    "read a secret through a symbolic link": Escape(
        "landlock", "(os.symlink(OUTSIDE + '/secret', 'link'), open('link').read())", True,
    ),
    "read a secret through a hard link": Escape(
        "landlock", "(os.link(OUTSIDE + '/secret', 'hard'), open('hard').read())", True,
    ),
    "leave shared memory for a later candidate": Escape("landlock", "open(SHARED, 'w').write('x')", True),
    "change an installed package": Escape("landlock", "open(PACKAGE, 'a')"),
    "change the judge's package": Escape("landlock", "open(ROOT + '/fitness/judge.py', 'a')"),
    "open the kernel's log": Escape("landlock", "open('/dev/kmsg')"),
    "open a terminal": Escape("landlock", "os.open('/dev/ptmx', os.O_RDWR)"),
    "change the permissions of a file outside": Escape("seccomp", "os.chmod(OUTSIDE + '/victim', 0o777)", True),
    "change the owner of a file outside": Escape("seccomp", "os.chown(OUTSIDE + '/victim', -1, os.getgid())", True),
    "change the times of a file outside": Escape("seccomp", "os.utime(OUTSIDE + '/victim', (1, 1))", True),
    "change the flags of a package's file": Escape(
        "seccomp", "call('ioctl', os.open(PACKAGE, os.O_RDONLY), 0x40086602, ctypes.byref(ctypes.c_ulong(0x80000)))",
    ),
    "hold up whoever writes a package's file": Escape("seccomp", "call('fcntl', os.open(PACKAGE, os.O_RDONLY), 1024, 0)"),
    # the network
    "connect over TCP": Escape("seccomp", "connect(('127.0.0.1', PORT), socket.AF_INET)", True),
    "send over UDP": Escape("seccomp", "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))", True),
    "connect to a Unix socket": Escape("seccomp", "connect(OUTSIDE + '/socket', socket.AF_UNIX)", True),
    "connect to an abstract Unix socket": Escape("seccomp", "connect(ABSTRACT, socket.AF_UNIX)", True),
    "talk to the kernel over netlink": Escape("seccomp", "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)", True),
    "listen": Escape("seccomp", "socket.create_server(('127.0.0.1', 0)).close()", True),
    # programs and processes
    "run a shell": Escape("seccomp", "os.execv('/bin/sh', ['sh', '-c', 'true'])"),
    "run a shell by subprocess": Escape("seccomp", "subprocess.run(['/bin/sh', '-c', 'true'], check=True)", True),
    "run a file it wrote": Escape(
        "seccomp",
        "(open('own.sh', 'w').write('#!/bin/sh\\n'), os.chmod('own.sh', 0o700), subprocess.run(['./own.sh'], check=True))",
        True,
    ),
    "run itself with a library put before": Escape(
        "seccomp", "os.execve('/proc/self/exe', ['python', '-c', ''], {'LD_PRELOAD': './own.so'})",
    ),
    "make an anonymous file to run": Escape("seccomp", "call('memfd_create', b'x', 0)", True),
    "run an open file": Escape(
        "seccomp", "call('execveat', os.open('/bin/sh', os.O_PATH), b'', (ctypes.c_char_p * 2)(b'sh'), None, 0x1000)",
    ),
    "fork bomb": Escape("seccomp", "[os.waitpid(os.fork() or os._exit(0), 0)[1] for _ in range(20)]", True),
    "fork by the bare call": Escape("seccomp", "call('clone', 17, None, None, None, None) or os._exit(0)", True),
    "become a process by clone3": Escape("seccomp", "call('clone3', (ctypes.c_uint64 * 8)(0, 0, 0, 0, 17), 64) or os._exit(0)", True),
    "a thread in new namespaces": Escape("seccomp", "call('clone', 0x10000000 | 17, None, None, None, None) or os._exit(0)"),
    "trace the fork server": Escape("seccomp", "call('ptrace', 16, os.getppid(), None, None)"),
    "be traced": Escape("seccomp", "call('ptrace', 0, 0, None, None)", True),
    "read the parent's memory": Escape(
        "seccomp", "call('process_vm_readv', os.getppid(), (ctypes.c_uint64 * 2)(), 0, (ctypes.c_uint64 * 2)(), 0, 0)",
    ),
    "write the parent's memory": Escape(
        "seccomp", "call('process_vm_writev', os.getppid(), (ctypes.c_uint64 * 2)(), 0, (ctypes.c_uint64 * 2)(), 0, 0)",
    ),
    "kill the fork server": Escape("seccomp", "os.kill(os.getppid(), 9)"),
    "stop the judge": Escape("seccomp", "os.kill(JUDGE, 0)", True),
    "kill everything": Escape("seccomp", "os.kill(-1, 9)"),
    "signal a thread of the fork server": Escape("seccomp", "call('tgkill', os.getppid(), os.getppid(), 9)"),
    "queue a signal": Escape("seccomp", "call('rt_sigqueueinfo', os.getppid(), 15, (ctypes.c_char * 128)())"),
    "hold the parent by descriptor": Escape("seccomp", "call('pidfd_open', os.getppid(), 0)", True),
    "steal a descriptor": Escape("seccomp", "call('pidfd_getfd', 0, 0, 0)"),
    "compare descriptors with the parent's": Escape("seccomp", "call('kcmp', os.getpid(), os.getppid(), 1, 0, 0)"),
    "slow the fork server down": Escape("seccomp", "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)"),
    "pin the fork server to one core": Escape("seccomp", "os.sched_setaffinity(os.getppid(), {0})"),
    "limit the fork server": Escape("seccomp", "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE)", True),
    "raise its own limits": Escape(None, "call('prlimit64', 0, 9, (ctypes.c_uint64 * 2)(2**64 - 1, 2**64 - 1), None)", True),
    # the kernel
    "mount": Escape("seccomp", "call('mount', b'none', b'/mnt', b'tmpfs', 0, None)"),
    "open a new kind of mount": Escape("seccomp", "call('fsopen', b'tmpfs', 0)"),
    "unshare": Escape("seccomp", "call('unshare', 0x10000000)"),
    "join other namespaces": Escape("seccomp", "call('setns', os.open('/proc/self/ns/net', 0), 0)"),
    "change the root folder": Escape("seccomp", "call('chroot', b'.')"),
    "load a program into the kernel": Escape("seccomp", "call('bpf', 0, None, 0)"),
    "load a module": Escape("seccomp", "call('init_module', None, 0, b'')"),
    "count events": Escape("seccomp", "call('perf_event_open', None, 0, -1, -1, 0)"),
    "handle page faults": Escape("seccomp", "call('userfaultfd', 1)"),
    "queue calls by io_uring": Escape("seccomp", "call('io_uring_setup', 1, (ctypes.c_char * 120)())"),
    "open the keyring": Escape("seccomp", "call('keyctl', 0, -3, 1)"),
    "make a System V segment": Escape("seccomp", "call('shmget', 0, 4096, 0o1600)"),
    "make a message queue": Escape("seccomp", "call('mq_open', b'evo-test', 0o100, 0o600, None)"),
    "open a file by handle": Escape("seccomp", "call('open_by_handle_at', -1, None, 0)"),
    "set the host's name": Escape("seccomp", "socket.sethostname('evo')"),
    "set the clock": Escape("seccomp", "call('clock_settime', 99, None)"),
    "become another user": Escape(None, "os.setuid(os.getuid() + 1)"),
}  # fmt: skip
OTHER_ERRORS = {
    "become a process by clone3": {"ENOSYS"},  # so that the C library goes on with clone, whose flags can be seen
    "become another user": {"EPERM", "EINVAL"},  # EINVAL: in an own user namespace there is no other
    "move its own file outside": {"EACCES", "EXDEV"},  # EXDEV: Landlock's answer where the move would add rights
    "read a secret through a hard link": {"EACCES", "EXDEV"},
}
GPU_NODES = ("/dev/kfd", "/dev/nvidiactl", "/dev/nvidia0", "/dev/dri/renderD128")


@dataclass(frozen=True)
class World:
    """The things candidates reach for, as names their lines can use."""

    judge: Judge
    names: dict[str, Any]

    def inside(self, task: Task, code: str) -> str:
        """Return what a candidate's launcher saw when it tried."""
        head = f"{self.prelude()}"
        source = head + task.seeds[0].source
        body = f"    raise ValueError(tried(lambda: {code}))\n    out = torch.empty_like(x)\n"
        failure = self.judge.judge(source.replace("    out = torch.empty_like(x)\n", body)).failure
        assert failure is not None
        return failure.message.rpartition("ValueError: ")[2] if failure.kind == "exception" else str(failure)

    def prelude(self) -> str:
        """Return the lines that give candidates their names."""
        return PRELUDE + "".join(f"{name} = {value!r}\n" for name, value in self.names.items())


@pytest.fixture(scope="module")
def world(double_task: Task) -> Iterator[World]:
    judge = Judge(double_task, "mi300", imports=False)
    assert judge.judge(double_task.seeds[0].source).passed
    numbers = {} if COLUMN is None else {
        name: n[COLUMN] for table in (syscalls.REFUSED, syscalls.CONDITIONAL) for name, n in table.items()
    }  # fmt: skip
    with contextlib.ExitStack() as stack:
        stack.callback(judge.close)
        outside = stack.enter_context(tempfile.TemporaryDirectory())
        home = stack.enter_context(tempfile.TemporaryDirectory(dir=Path.home(), prefix=".evo-test-"))
        for path in (f"{outside}/secret", f"{outside}/victim", f"{outside}/doomed", f"{home}/secret"):
            Path(path).write_text("a secret")
        port = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=8)).getsockname()[1]
        abstract = f"\0evo-test-{os.getpid()}"
        for address in (f"{outside}/socket", abstract):
            listening = stack.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(address)
            listening.listen(8)
        shared = f"/dev/shm/evo-test-{os.getpid()}"
        stack.callback(Path(shared).unlink, missing_ok=True)
        folder = tempfile.mkdtemp(dir=outside)  # the control's; the candidate gets its server's
        names = {
            "NR": numbers, "SECRET": f"{home}/secret", "OUTSIDE": outside, "ROOT": str(ROOT), "JUDGE": os.getpid(),
            "SERVER": judge.pids()[0], "PORT": port, "ABSTRACT": abstract, "SHARED": shared, "FOLDER": folder,
            "PACKAGE": importlib.util.find_spec("msgpack").origin,
        }  # fmt: skip
        yield World(judge, names)


@pytest.fixture(scope="module")
def outside(world: World) -> dict[str, str]:
    """What the same lines do in a plain process, each in a folder and process of its own."""
    lines = [world.prelude(), "import json, sys, tempfile", "seen = {}"]
    lines += ["ALL = " + repr({name: e.code for name, e in ESCAPES.items() if e.outside})]
    lines += [
        "for name, code in ALL.items():",
        "    reader, writer = os.pipe()",
        "    if os.fork() == 0:",
        "        home = tempfile.mkdtemp(dir=FOLDER); own = os.path.join(home, 'own'); os.mkdir(own); os.chdir(own)",
        "        os.write(writer, tried(lambda: eval(code)).encode()); os._exit(0)",
        "    os.close(writer)",
        "    seen[name] = os.fdopen(reader, 'rb').read().decode()",
        "print(json.dumps(seen))",
    ]
    answer = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    for name in ("secret", "victim"):
        Path(world.names["OUTSIDE"], name).write_text("a secret")
    seen: dict[str, str] = json.loads(answer.stdout)
    return seen


def need(world: World, part: str) -> None:
    """Skip, with the reason, where this machine lacks a part."""
    if not world.judge.standing.holds(part):
        why = next((w.detail for w in world.judge.standing.walls if w.name == part), "unknown")
        pytest.skip(f"{part} is not in force here: {why}")


@pytest.mark.parametrize("what", ESCAPES)
def test_an_escape_is_refused_by_an_error(what: str, world: World, double_task: Task) -> None:
    escape = ESCAPES[what]
    if escape.needs:
        need(world, escape.needs)
    said = world.inside(double_task, escape.code)
    assert said.startswith("REFUSED "), said
    # what is not there, or not known to the kernel, would be no refusal
    assert said.split()[1] in OTHER_ERRORS.get(what, {"EPERM", "EACCES"}), said


def test_the_same_lines_work_outside(outside: dict[str, str]) -> None:
    refused = {name: said for name, said in outside.items() if not said.startswith("DONE ")}
    # some machines' containers refuse these themselves
    assert {n for n in refused if "REFUSED EPERM" not in refused[n] and "ENOSYS" not in refused[n]} == set(), refused
    files = {n for n in outside if ESCAPES[n].needs == "landlock"}
    assert files.isdisjoint(refused), refused


@pytest.mark.parametrize("node", GPU_NODES)
def test_a_gpu_is_out_of_reach(node: str, world: World, double_task: Task) -> None:
    need(world, "landlock")
    if not os.path.exists(node):
        pytest.skip(f"there is no {node} here")
    said = world.inside(double_task, f"os.open({node!r}, os.O_RDWR)")
    assert said in {"REFUSED EACCES", "REFUSED EPERM"}, said


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86_64 has the x32 calls")
def test_a_call_of_another_abi_kills(world: World, double_task: Task) -> None:
    need(world, "seccomp")
    said = world.inside(double_task, "_libc.syscall(ctypes.c_long(0x40000000 + 39))")
    assert "SIGSYS" in said, said


def test_two_candidates_meet_nothing_of_each_other(world: World, double_task: Task) -> None:
    leave = "(open('left', 'w').close(), os.makedirs(os.environ['TRITON_CACHE_DIR']))"
    assert world.inside(double_task, leave) == "DONE (None, None)"
    look = (
        "('left' in os.listdir('.'), os.path.exists(os.environ['TRITON_CACHE_DIR']), os.environ['HOME'] == os.getcwd())"
    )
    assert world.inside(double_task, look) == "DONE (False, False, True)"


def test_a_candidate_alone_with_its_server(world: World, double_task: Task) -> None:
    need(world, "pid")  # process 1 is the server, then comes who supervises the candidate
    said = world.inside(double_task, "(os.getppid(), os.getpid(), os.path.exists('/proc/2/'))")
    parent, own = (int(n) for n in said.removeprefix("DONE (").split(",")[:2])
    assert 1 < parent < own


SCAN = """
def scan(first, rest):
    found = 0
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", buffering=0) as memory:
        areas = [line.split() for line in maps if " rw-p " in line and "[v" not in line]
        for low, high in (area[0].split("-") for area in areas):
            memory.seek(int(low, 16))
            held = memory.read(int(high, 16) - int(low, 16)) or b""
            at = held.find(first)
            while at >= 0:
                found += held[at + len(first) : at + len(first) + len(rest)] == rest
                at = held.find(first, at + 1)
            del held
    return found
def plain(mask):
    return bytes(b ^ 255 for b in bytes.fromhex(mask))
"""


def test_the_truth_is_nowhere_in_a_candidates_memory(world: World, double_task: Task) -> None:
    assert world.judge.judge(double_task.seeds[0].source).passed  # the truth has been computed
    truth = world.judge.correctness._given["1M", "base"].outputs[0].truth.tobytes()[800:864]
    masks = [bytes(b ^ 255 for b in part).hex() for part in (truth[:32], truth[32:])]  # its own text holds no truth
    task = replace(double_task, seeds=(replace(double_task.seeds[0], source=SCAN + double_task.seeds[0].source),))
    call = f"scan(plain({masks[0]!r}), plain({masks[1]!r}))"
    assert world.inside(task, call) == "DONE 0"
    planted = f"(lambda copy: (scan(plain({masks[0]!r}), plain({masks[1]!r})), len(copy)))(plain({''.join(masks)!r}))"
    assert world.inside(task, planted).startswith("DONE (1"), "the search itself finds nothing"


def test_a_tasks_text_and_its_held_out_cases_are_nowhere_in_a_candidates_memory(
    world: World, double_task: Task
) -> None:
    assert world.judge.judge(double_task.seeds[0].source).passed  # the reference has run
    text = double_task.source.encode()
    task = replace(double_task, seeds=(replace(double_task.seeds[0], source=SCAN + double_task.seeds[0].source),))
    for wanted in (b"held_out = [case", b"def reference(x):"):
        at = text.index(wanted)
        masks = [bytes(b ^ 255 for b in part).hex() for part in (text[at : at + 12], text[at + 12 : at + 24])]
        assert world.inside(task, f"scan(plain({masks[0]!r}), plain({masks[1]!r}))") == "DONE 0", wanted


def test_where_all_is_installed_in_one_folder_it_is_opened_but_for_the_tasks(tmp_path: Path) -> None:
    for name in ("torch/nn", "suites/native"):
        (tmp_path / "site-packages" / name).mkdir(parents=True)
    (tmp_path / "site-packages/suites/task.py").touch()
    root = f"{tmp_path}/site-packages"
    assert profiles._without(root, f"{root}/suites/native") == [
        (root, landlock.READ_DIR),
        (f"{root}/suites", landlock.READ_DIR),
        (f"{root}/suites/task.py", landlock.READ),
        (f"{root}/torch", landlock.READ),
    ]


def test_threads_temporary_files_and_late_imports_work_inside(world: World, double_task: Task) -> None:
    code = (
        "(__import__('threading').Thread(target=int).start(), __import__('tempfile').TemporaryFile().write(b'x'), "
        "__import__('sqlite3').sqlite_version > '3', open('/dev/null', 'w').write('x'), os.cpu_count() > 0)"
    )
    assert world.inside(double_task, code) == "DONE (None, 1, True, 1, True)"


COMPILER = """
import glob, os, subprocess, sys, sysconfig
from fitness.walls.profiles import COMPILER, Walls, python_files
os.chdir(sys.argv[1])
with open("own", "w") as file:
    file.write("#!/bin/sh\\n")
os.chmod("own", 0o700)
ptxas = glob.glob(sysconfig.get_path("purelib") + "/triton/backends/nvidia/bin/ptxas")[0]
Walls(True, True, python_files()).close(COMPILER, sys.argv[1])
for program in (ptxas, "/bin/sh", "./own", "/lib64/ld-linux-x86-64.so.2"):
    try:
        done = subprocess.run([program, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        print("ran", done.returncode)
    except PermissionError:
        print("refused")
"""


def test_a_compiler_may_start_its_own_programs_and_no_others(world: World, tmp_path: Path) -> None:
    need(world, "landlock")
    need(world, "seccomp")
    answer = subprocess.run([sys.executable, "-c", COMPILER, str(tmp_path)], capture_output=True, text=True, check=True)
    assert answer.stdout.split("\n")[:3] == ["ran 0", "refused", "refused"], answer
