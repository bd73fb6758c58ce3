"""Says which GPUs this machine has, without a context on any of them: cheap, and safe before a fork."""

import ctypes
import re
from dataclasses import dataclass
from pathlib import Path

from fitness import targets
from fitness.targets import Target

_KFD = Path("/sys/class/kfd/kfd/topology/nodes")
_MAJOR, _MINOR = 75, 76  # CUDA's attributes for compute capability
_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE


@dataclass(frozen=True, slots=True)
class Found:
    """One GPU of this machine; `target` is None for a chip this tool has no sheet of."""

    name: str
    backend: str
    arch: str | int
    index: int
    target: Target | None
    slot: str  # on the machine's buses, which no variable renumbers


def place(backend: str, index: int) -> str:
    """Name a GPU so that all processes of a machine call it the same, whichever GPUs they see."""
    return next((g.slot for g in gpus() if (g.backend, g.index) == (backend, index)), f"{backend}-{index}")


def gpus() -> list[Found]:
    """List this machine's GPUs, NVIDIA's first."""
    return [*_nvidia(), *_amd()]


def own_target() -> Target | None:
    """Return the target of the first GPU that has one."""
    return next((g.target for g in gpus() if g.target is not None), None)


def complaint() -> str | None:
    """Say why a CUDA driver that is installed gives no GPU; None where there is none, or nothing to complain of."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    code, name = library.cuInit(0), ctypes.c_char_p()
    if not code or code == _NO_DEVICE or library.cuGetErrorName(code, ctypes.byref(name)):
        return None
    said = (name.value or b"").decode()
    return f"the CUDA driver does not start ({said}): the kernel's driver and libcuda may be of different versions"


def _nvidia() -> list[Found]:
    """Ask the CUDA driver; no driver means no GPU."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return []
    count = ctypes.c_int()
    if library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count)):
        return []
    return [_nvidia_device(library, index) for index in range(count.value)]


def _nvidia_device(library: ctypes.CDLL, index: int) -> Found:
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    library.cuDeviceGet(ctypes.byref(device), index)
    label = ctypes.create_string_buffer(256)
    library.cuDeviceGetName(label, 256, device)
    library.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
    library.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    slot = ctypes.create_string_buffer(64)
    library.cuDeviceGetPCIBusId(slot, 64, device)
    name, arch = label.value.decode(), major.value * 10 + minor.value
    return Found(name, "cuda", arch, index, sheet(arch, name), slot.value.decode().lower())


def _amd() -> list[Found]:
    """Read the kernel driver's own list: gfx942 is written as 90402, gfx90a as 90010."""
    found: list[Found] = []
    for node in sorted(_KFD.glob("*"), key=lambda p: int(p.name)):
        try:
            properties = (node / "properties").read_text()
            name = (node / "name").read_text().strip()
        except OSError:
            continue
        version = _property(properties, "gfx_target_version")
        if version:
            arch = f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}"
            bus = _property(properties, "location_id")
            slot = f"{_property(properties, 'domain'):08x}:{bus >> 8:02x}:{bus >> 3 & 31:02x}.{bus & 7}"
            found.append(Found(name or arch, "hip", arch, len(found), sheet(arch, name), slot))
    return found


def _property(text: str, name: str) -> int:
    """Read one number of the driver's list; 0 where it is not there."""
    return int((re.findall(rf"^{name} (\d+)", text, re.MULTILINE) or ["0"])[0])


def sheet(arch: str | int, name: str) -> Target | None:
    """Find a chip's sheet: by its name among those of one architecture."""
    able = [t for t in targets.TARGETS if t.arch == arch]
    named = [t for t in able if re.search(rf"\b{t.name}", name.lower())]
    return next(iter(named or able), None)
