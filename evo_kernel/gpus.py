"""What `doctor` says of this machine's GPUs: driver, who uses them, and what they were measured to do."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from evo_kernel.errors import RunError
from fitness.gpu import discover, throttle
from fitness.gpu.calibration import Calibration, path
from fitness.gpu.court import DeviceUnavailable
from fitness.gpu.discover import Found

OTHERS = 2 << 30  # bytes in use by someone else that are still called an idle device

_ASK_TORCH = (
    "import json, torch; ok = torch.cuda.is_available(); "
    "print(json.dumps([torch.__version__, torch.version.hip, torch.version.cuda, "
    "torch.cuda.device_count() if ok else 0]))"
)
_DRM = Path("/sys/class/drm")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `works` None means: not needed for what runs today."""

    topic: str
    works: bool | None
    detail: str


def findings() -> Iterator[Finding]:
    """Describe every GPU, or say that there is none."""
    gpus = discover.gpus()
    build = _torch()
    if not gpus:
        why = discover.complaint()
        if why is not None:
            yield Finding("gpu", False, why)
        else:
            yield Finding("gpu", None, f"none here ({build}): times are predicted, not measured")
        return
    for gpu in gpus:
        if gpu.target is None:
            yield Finding("gpu", None, f"{gpu.name}: a chip without a sheet in fitness/targets.py; it is not used")
            continue
        use = _use(gpu.backend, gpu.index)
        state = "" if use is None else ", by somebody else: do not trust its clock" if use.used > OTHERS else ", idle"
        told = "memory in use unknown" if use is None else f"{use}{state}"
        yield Finding("gpu", None, f"{gpu.index}: {gpu.name} (target {gpu.target.name}), {told}; {build}")
        yield Finding("clock", None, _clock(gpu))
    for gpu in {g.name: g for g in gpus if g.target is not None}.values():
        yield Finding("calibration", None, f"{gpu.name}: {_calibrated(gpu)}")


def _clock(gpu: Found) -> str:
    """Say whether anything is known of a GPU's clocks while it is timed."""
    watch = throttle.watch(gpu.backend, gpu.slot)
    if isinstance(watch, throttle.Unwatched):
        return f"clock throttling is not watched on GPU {gpu.index}: {watch.why}"
    now = watch.read()
    told = "its units' clock cannot be read now" if now is None else f"its units run at {now.megahertz} MHz now"
    return f"clock throttling is watched on GPU {gpu.index}; {told}"


def calibrate(say: Callable[[str], None]) -> None:
    """Measure the first GPU's noise and ceilings, keep them, and say them."""
    gpu = next((g for g in discover.gpus() if g.target is not None), None)
    if gpu is None or gpu.target is None:
        why = discover.complaint() or "this machine has none that evo-kernel has a sheet of"
        raise RunError(f"calibrating needs a GPU: {why}")
    from fitness.gpu.calibrate import calibrate as measure

    try:
        found = measure(gpu.target, gpu.index, say)
        place = found.store()
    except DeviceUnavailable as error:
        raise RunError(f"the GPU cannot be used: {error}") from error
    except OSError as error:
        raise RunError(f"the calibration cannot be kept: {error}") from error
    say(describe(found))
    say(f"kept in {place}")


def describe(c: Calibration) -> str:
    """Return a calibration in words."""
    rates = (
        ", ".join(f"{dtype} {rate:.0f} TFLOP/s" for dtype, rate in sorted(c.matrix_tflops.items())) or "not measured"
    )
    return (
        f"99% of comparisons of equal programs within {c.null:.2%} (kernels below 5 us: {c.short_null:.2%}); "
        f"memory {c.memory_gbs:.0f} GB/s; matrix products: {rates}"
    )


def _calibrated(gpu: Found) -> str:
    """Describe what is stored for a device."""
    if gpu.target is None:
        return "none"
    stored = Calibration.of(gpu.name, gpu.target)
    if not stored.measured:
        return (
            f"none: gains below {stored.null:.0%} count as none until `evo-kernel doctor --calibrate` has measured it"
        )
    return f"{describe(stored)}; from {path(gpu.name)}"


def _torch() -> str:
    """Ask torch in another process: a broken driver must not take this one down."""
    try:
        answer = subprocess.run(
            [sys.executable, "-c", _ASK_TORCH], capture_output=True, text=True, timeout=120, check=True
        )
        version, hip, cuda, seen = json.loads(answer.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        return f"torch cannot be asked: {error}"
    build = f"ROCm {hip} build" if hip else f"CUDA {cuda} build" if cuda else "CPU build"
    return f"torch {version}, {build}, sees {seen} GPU(s)"


def busy(gpu_index: int, backend: str, judges: int = 1) -> str | None:
    """Say in one line when somebody else uses a GPU: more than judges take that share it with one not yet there."""
    use = _use(backend, gpu_index)
    if use is None or use.used <= OTHERS + use.total - use.total // judges:
        return None
    return f"GPU {gpu_index} is in use by somebody else ({use}): measured times will be disturbed"


@dataclass(frozen=True, slots=True)
class Use:
    """Bytes of a GPU's memory in use."""

    used: int
    total: int
    driver: str = ""

    def __str__(self) -> str:
        driver = f"driver {self.driver}, " if self.driver else ""
        return f"{driver}{self.used / 2**30:.1f} of {self.total / 2**30:.0f} GiB in use"


def _use(backend: str, index: int) -> Use | None:
    """Ask the driver's own tools, which open no context."""
    uses = _nvidia() if backend == "cuda" else _amd()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES" if backend == "cuda" else "HIP_VISIBLE_DEVICES", "").split(",")
    place = int(visible[index]) if index < len(visible) and visible[index].isdigit() else index
    return uses[place] if place < len(uses) else None


def _nvidia() -> list[Use]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = "--query-gpu=driver_version,memory.used,memory.total"
    try:
        done = subprocess.run(
            [tool, query, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=30, check=True
        )
        rows = [line.split(", ") for line in done.stdout.strip().splitlines()]
        return [Use(int(used) << 20, int(total) << 20, driver) for driver, used, total in rows]
    except (subprocess.SubprocessError, ValueError):
        return []


def _amd() -> list[Use]:
    found = []
    for used in sorted(_DRM.glob("card*/device/mem_info_vram_used")):
        try:
            found.append(Use(int(used.read_text()), int(used.with_name("mem_info_vram_total").read_text())))
        except (OSError, ValueError):
            return []
    return found
