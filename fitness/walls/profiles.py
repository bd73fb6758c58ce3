"""What each kind of job may touch: the files Python, torch and triton need, its own folder, and nothing else."""

import glob
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType

from fitness.walls import kernel, landlock, namespaces, seccomp
from suites.loading import NATIVE

_SYSTEM = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/localtime",
           "/opt/rocm", "/usr/local/cuda", "/proc/cpuinfo", "/proc/meminfo", "/proc/sys/vm/overcommit_memory",
           "/proc/sys/kernel/ngroups_max", "/sys/devices/system/cpu", "/sys/devices/system/node", "/dev/zero",
           "/dev/urandom", "/dev/random")  # fmt: skip
_LOADERS = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", "/lib/ld-musl-*.so.1")
_GPU_DEVICES = ("/dev/nvidia*", "/dev/kfd", "/dev/dri")
_GPU_FILES = ("/sys/class/kfd", "/sys/class/drm", "/sys/devices/virtual/kfd", "/sys/devices/pci*", "/sys/bus/pci",
              "/sys/module/amdgpu", "/sys/module/nvidia*", "/proc/driver/nvidia*", "/proc/devices", "/proc/modules",
              "/proc/sys/vm/mmap_min_addr", "/sys/devices/system/memory", "/usr/local/nvidia")  # fmt: skip
# CUDA does not start (error 304) when it cannot write its threads' names here: /proc/self/task/NUMBER/comm
_THREADS = "/proc/self/task"
COMPILERS = ("gcc", "clang")  # in the order in which Triton looks for one
_COMPILER_PARTS = ("cc1", "collect2", "lto-wrapper", "as", "ld")


@dataclass(frozen=True, slots=True)
class Profile:
    """What one kind of job may do beyond computing."""

    programs: bool = False  # start the compiler's own programs
    gpu: bool = False  # open GPU devices, and run the C compiler: Triton builds its launcher for each signature with it


PYTHON, COMPILER, GPU = Profile(), Profile(programs=True), Profile(programs=True, gpu=True)
_OF_JOB = {"compile": COMPILER, "open": GPU, "truth-on-device": GPU, "foreign-on-device": GPU,
           "foreign-times": GPU}  # fmt: skip


def of(job: str) -> Profile:
    """Return a job's profile."""
    return _OF_JOB.get(job, PYTHON)


@dataclass(frozen=True, slots=True)
class Walls:
    """Which walls a fork server puts around its children."""

    landlock: bool
    seccomp: bool
    files: tuple[tuple[str, int], ...] = ()  # that Python itself needs, and what may be done with each

    def close(self, profile: Profile, folder: str) -> None:
        """Close the walls around this process for good; `folder` is its own."""
        if profile.gpu:
            namespaces.see_own_processes()
        kernel.drop_capabilities()
        if self.landlock:
            landlock.restrict(_rights(profile, folder, self.files))
        if self.seccomp:
            seccomp.install(profile.programs, profile.gpu)


def _rights(profile: Profile, folder: str, files: tuple[tuple[str, int], ...]) -> list[tuple[str, int]]:
    """List what may be opened, and how."""
    rights = [*((path, landlock.READ) for path in (*_SYSTEM, "/proc/self")), *files]
    rights += [(folder, landlock.WRITE), ("/dev/null", landlock.READ | landlock.WRITE_FILE)]
    if profile.programs:
        places = [os.path.join(f, "triton", "backends") for f, _ in files]
        places += [f for f, _ in files if f.endswith("/triton")]
        rights += [(path, landlock.RUN) for path in (*places, *_found(_LOADERS))]
    if profile.gpu:
        rights += [(path, landlock.DEVICE) for path in _found(_GPU_DEVICES)]
        rights += [(path, landlock.READ) for path in (*_found(_GPU_FILES), *_headers())]
        rights += [(path, landlock.RUN) for path in c_compiler()]
        rights += [
            (os.path.dirname(path), landlock.READ) for path in c_compiler()[1:]
        ]  # the linker's plugin lies there
        rights.append((_THREADS, landlock.READ | landlock.OVERWRITE))  # the driver cuts a name off first
    return rights


def c_compiler() -> tuple[str, ...]:
    """List the programs of the C compiler that Triton will find: the driver, and the parts it starts."""
    driver = next((found for name in COMPILERS if (found := shutil.which(name, path="/usr/bin:/bin"))), None)
    if driver is None:
        return ()
    parts = [_answer(driver, f"-print-prog-name={part}") for part in _COMPILER_PARTS]
    return (driver, *(found for part in parts if (found := shutil.which(part, path="/usr/bin:/bin"))))


def _headers() -> list[str]:
    """List where the C compiler reads headers and Python's own."""
    return ["/usr/include", *{sysconfig.get_path(name) for name in ("include", "platinclude")}]


def _answer(driver: str, question: str) -> str:
    """Ask the compiler's driver where something is."""
    return subprocess.run([driver, question], capture_output=True, text=True, check=False).stdout.strip()


def _found(patterns: tuple[str, ...]) -> list[str]:
    return [path for pattern in patterns for path in glob.glob(pattern)]


def python_files() -> tuple[tuple[str, int], ...]:
    """List the folders this process's Python reads its modules from, and what may be done with each.

    Of a folder that is on the path and is no installation (a checkout, the current folder) only the packages that
    are imported count: whatever else lies there is the person's own. The native tasks stay closed: a launcher that
    could read a reference, or which shapes are held out, could tell when it is looked at.
    """
    whole = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    whole |= {os.path.join(p, lib) for p in (sys.prefix, sys.base_prefix) for lib in ("lib", "lib64")}
    whole |= {p for p in sys.path if os.path.basename(p) in ("site-packages", "dist-packages", "lib-dynload")}
    whole |= {p for p in sys.path if p.endswith(".zip")}
    roots = {os.path.realpath(p) for p in whole if p}
    for name, module in list(sys.modules.items()):
        if "." not in name and name != "__main__":
            for place in _places(module):
                if not place.startswith(tuple(f"{r}/" for r in roots)):
                    roots.add(place)
    closed = os.path.realpath(NATIVE)
    return tuple(right for root in sorted(roots) for right in _without(root, closed))


def _without(folder: str, closed: str) -> list[tuple[str, int]]:
    """Open a folder to be read, but for one below it: the folders on the way there may only be listed."""
    if folder == closed:
        return []
    if not closed.startswith(f"{folder}/"):
        return [(folder, landlock.READ)]
    inside = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    return [(folder, landlock.READ_DIR), *(right for path in inside for right in _without(path, closed))]


def _places(module: ModuleType) -> list[str]:
    """Return the folders of a package, or a module's one file."""
    paths = getattr(module, "__path__", None) or [getattr(module, "__file__", None)]
    given = list(paths) if isinstance(paths, Iterable) else []  # torch keeps stranger things among its modules
    return [os.path.realpath(p) for p in given if isinstance(p, str) and os.path.isabs(p)]
