"""Says what this machine can do, and what is missing for the rest."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from fitness import targets

_ASK_GPU = (
    "import json, torch; ok = torch.cuda.is_available(); "
    "print(json.dumps([torch.__version__, torch.version.hip, "
    "[torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if ok else []]))"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `works` None means: not needed for what runs today."""

    topic: str
    works: bool | None
    detail: str


def examine() -> Iterator[Finding]:
    """Yield findings as they come; compiling for every target takes a few seconds."""
    yield Finding("python", sys.version_info >= (3, 11), sys.version.split()[0])
    yield from _packages()
    yield _gpu()
    yield from _targets()
    yield from _isolation()
    yield from _providers()
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


def _gpu() -> Finding:
    """Ask torch in another process: a broken driver must not take this one down."""
    try:
        answer = subprocess.run(
            [sys.executable, "-c", _ASK_GPU], capture_output=True, text=True, timeout=120, check=True
        )
        version, hip, names = json.loads(answer.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        return Finding("gpu", False, f"torch cannot be asked: {error}")
    build = "ROCm" if hip else "CUDA" if "cu" in version else "CPU"
    if not names:
        return Finding("gpu", None, f"none seen by torch {version} ({build} build): times are predicted, not measured")
    return Finding("gpu", None, f"{', '.join(names)} ({build} build); this version predicts times and does not use it")


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
                "kernels": [["probe", "probe", ttir, []]],
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
    """Say what confines a candidate, and what does not."""
    from fitness.jail import ISOLATION

    yield Finding(
        "isolation",
        True,
        f"{ISOLATION}: own process and session, limits on time, memory and output, empty environment",
    )
    yield Finding("not confined", None, "reading files, the network, signals to processes of the same user")


def _providers() -> Iterator[Finding]:
    for package, key in (("anthropic", "ANTHROPIC_API_KEY"), ("openai", "OPENAI_API_KEY")):
        installed = importlib.util.find_spec(package) is not None
        state = "key set" if os.environ.get(key) else f"{key} not set"
        detail = f"{'installed' if installed else 'not installed'}, {state}; no operator uses a model in this version"
        yield Finding(f"model {package}", None, detail)
