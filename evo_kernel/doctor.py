"""Says what this machine can do, and what is missing for the rest."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata

from evo_kernel import gpus, isolation, providers
from evo_kernel.errors import RunError
from evo_kernel.gpus import Finding
from fitness import targets
from fitness.walls.standing import Wall
from operators.llm.model import Model

_WALLS = {
    "landlock": "only Python's own files and a scratch folder can be opened; GPU devices not; ABI",
    "seccomp": "no sockets, new processes, programs, tracing, mounts, signals to others",
    "user": "no rights over the rest of the machine, even as root",
    "net": "no network",
    "pid": "no other process can be named; all are killed together",
    "ipc": "no shared memory with others",
    "uts": "the host's name cannot be changed",
}
_OPEN = {
    "process": "reading files, the network or other processes, but for the walls above that hold; ",
    "landlock": "whether a path exists and its size; ",
    "namespaces": "whether a path exists and its size; ",
}


def examine(models: Sequence[Model] = ()) -> Iterator[Finding]:
    """Yield findings as they come; compiling for every target takes a few seconds, each model is asked once."""
    yield Finding("python", sys.version_info >= (3, 11), sys.version.split()[0])
    yield from _packages()
    yield from gpus.findings()
    yield from _targets()
    yield from _isolation()
    yield from providers.findings(models)
    free = shutil.disk_usage(os.getcwd()).free / (1 << 30)
    yield Finding("disk", free > 1, f"{free:.1f} GiB free here")


def _packages() -> Iterator[Finding]:
    for name, wanted in (
        ("torch", ""),
        ("triton", "3.5 to 3.9"),
        ("ray", ""),
        ("numpy", "below 2.4"),
        ("libcst", ""),
    ):
        if importlib.util.find_spec(name) is None:
            yield Finding(name, False, f"not installed: pip install {name}")
            continue
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            version = "present, version unknown"
        yield Finding(name, _in_range(name, version), version + (f" (supported: {wanted})" if wanted else ""))


def _in_range(name: str, version: str) -> bool:
    parts = [int(p) for p in version.split("+")[0].split(".")[:2] if p.isdigit()]
    if len(parts) < 2:
        return True
    if name == "triton":
        return (3, 5) <= tuple(parts) <= (3, 9)
    return name != "numpy" or tuple(parts) < (2, 4)


def _targets() -> Iterator[Finding]:
    """Compile a small kernel for every target in the jail."""
    from fitness.child import Limits
    from fitness.jail import Jail, WorkerLost

    ttir = (
        "module {\n  tt.func public @probe(%p: !tt.ptr<i32>) attributes {noinline = false} {\n"
        "    %c = arith.constant 1 : i32\n    tt.store %p, %c : !tt.ptr<i32>\n    tt.return\n  }\n}\n"
    )
    jail = Jail("compiled")
    try:
        for target in targets.TARGETS:
            payload = {
                "target": [target.backend, target.arch, target.wave],
                "kernels": [["probe", "probe", ttir, [], True]],
            }
            try:
                outcome = jail.run("compile", payload, Limits())
            except WorkerLost as error:
                yield Finding(f"target {target.name}", False, str(error))
                return
            arch = target.arch if target.backend == "hip" else f"sm_{target.arch}"
            good = outcome.kind is None
            yield Finding(
                f"target {target.name}", good, f"{arch}: " + ("compiles here" if good else outcome.message[:200])
            )
    finally:
        jail.close()


def _isolation() -> Iterator[Finding]:
    """Say what confines a candidate, part by part, and what does not."""
    try:
        standing = isolation.here()
    except RunError as error:
        yield Finding("isolation", False, str(error))
        return
    yield Finding("isolation", True, f"{standing}; with limits on time, memory and output, and an empty environment")
    for wall in standing.walls:
        yield Finding(f"wall {wall.name}", True if wall.holds else None, _wall(wall))
    open_still = "denial of service by CPU, side channels, faults of the kernel all processes share"
    yield Finding("not confined", None, f"{_OPEN[standing.level]}{open_still}")


def _wall(wall: Wall) -> str:
    meaning = _WALLS[wall.name]
    return f"{meaning} {wall.detail}".strip() if wall.holds else f"not in force ({wall.detail}): {meaning}"
