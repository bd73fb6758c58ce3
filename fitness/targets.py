"""The chips a kernel can be compiled for, with the figures that occupancy and prediction need.

Peak rates are the vendors' published dense figures at boost clock; nothing here was measured. A program sees one
GCD of an MI250, so its sheet is per GCD.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Target:
    """One chip as a compiler target and as a roofline."""

    name: str
    backend: str  # Triton's: hip or cuda
    arch: str | int
    wave: int  # threads that run in lockstep: wavefront or warp
    units: int  # compute units or streaming multiprocessors
    simds: int  # schedulers in a unit
    max_waves: int  # per scheduler
    registers: int  # 32-bit registers per lane and scheduler (hip) or per unit (cuda)
    register_step: int  # allocation granularity, same unit as the compiler's count
    shared: int  # bytes of LDS or shared memory in a unit
    clock_ghz: float
    memory_gbs: float  # device memory
    cache_gbs: float  # last-level cache, whole chip
    vector_tflops: float  # fp32, no matrix cores
    matrix_tflops: Mapping[str, float] = field(hash=False)
    cache_mb: int  # last-level cache, MiB: what rotating buffers must exceed
    dispatch_us: float = 1.5  # between two dependent kernels of one stream, a round figure
    ramp_us: float = 1.0  # first wave in, last wave out of an otherwise empty chip, a round figure


def _rates(float16: float, float32: float, int8: float, float64: float, float8: float) -> dict[str, float]:
    """Return the rates of matrix units by the dtype of their operands, in TFLOP/s."""
    narrow = dict.fromkeys(("float8_e4m3fn", "float8_e5m2"), float8)
    return {"float16": float16, "bfloat16": float16, "float32": float32, "int8": int8, "float64": float64, **narrow}


_MI300 = _rates(1307.4, 163.4, 2614.9, 163.4, 2614.9)
_MI250 = _rates(181.0, 45.3, 181.0, 45.3, 181.0)  # it has no float8: products of it are made in float16
_MI350 = _rates(2516.6, 157.3, 5033.2, 78.6, 5033.2)
_HOPPER = _rates(989.4, 494.7, 1978.9, 66.9, 1978.9)

TARGETS = (
    # AMD CDNA 3 white paper: 304 CUs, 5.3 TB/s HBM3, 17.2 TB/s Infinity Cache
    Target("mi300", "hip", "gfx942", 64, 304, 4, 8, 512, 8, 65536, 2.1, 5300, 17200, 163.4, _MI300, 256),
    # MI250, one GCD: 104 CUs, half of 3.2 TB/s; its last level is the 8 MB L2 at 128 B/clk/channel
    Target("mi250", "hip", "gfx90a", 64, 104, 4, 8, 512, 8, 65536, 1.7, 1600, 3480, 22.6, _MI250, 8),
    # MI355X: 256 CUs, 8 TB/s HBM3E, 160 KiB LDS
    Target("gfx950", "hip", "gfx950", 64, 256, 4, 8, 512, 8, 163840, 2.4, 8000, 20000, 157.3, _MI350, 256),
    # H100 SXM and H200 differ in memory alone
    Target("h100", "cuda", 90, 32, 132, 4, 16, 65536, 8, 233472, 1.83, 3350, 5500, 66.9, _HOPPER, 50),
    Target("h200", "cuda", 90, 32, 132, 4, 16, 65536, 8, 233472, 1.83, 4800, 5500, 66.9, _HOPPER, 60),
)

ALIASES = {
    "gfx942": "mi300", "mi300x": "mi300", "mi325x": "mi300", "gfx90a": "mi250", "mi250x": "mi250",
    "mi350": "gfx950", "mi355x": "gfx950", "sm_90": "h100", "sm90": "h100",
}  # fmt: skip


class TargetError(Exception):
    """A chip this tool does not know."""


def find(name: str) -> Target:
    """Return the sheet of a chip by its name or one of its aliases."""
    wanted = ALIASES.get(name.lower(), name.lower())
    for target in TARGETS:
        if target.name == wanted:
            return target
    known = [t.name for t in TARGETS] + list(ALIASES)
    near = difflib.get_close_matches(wanted, known, n=2)
    raise TargetError(
        f"no target named {name!r}; known: {', '.join(known)}" + (f"; did you mean {near[0]}?" if near else "")
    )
