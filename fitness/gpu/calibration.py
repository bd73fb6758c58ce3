"""What a device was measured to do, kept per device: its noise, and the ceilings no kernel passes."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fitness.gpu import clock
from fitness.targets import Target
from suites import Case, Input

if TYPE_CHECKING:
    from fitness.gpu.court import Device

FORMAT = 1
SHORT_US = 5.0  # below, launches and events make up much of what is timed


@dataclass(frozen=True, slots=True)
class Calibration:
    """`null` is the 99th percentile of |ratio - 1| between equal programs: a gain has to be larger."""

    device: str
    target: Target
    cache: int  # bytes of last-level cache
    measured: bool
    null: float = clock.DEFAULT_NULL
    short_null: float = clock.DEFAULT_SHORT_NULL
    copy_gbs: float = 0.0
    matmul_tflops: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, device: "Device", target: Target) -> "Calibration":
        """Return a device's stored calibration, or the sheet's figures."""
        try:
            stored = json.loads(path(device.name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return cls(device.name, target, device.cache, False)
        if stored.pop("format", None) != FORMAT or stored.get("device") != device.name:
            return cls(device.name, target, device.cache, False)
        return cls(target=target, cache=device.cache, measured=True, **stored)

    def store(self) -> Path:
        """Keep this calibration for later runs on this machine."""
        place = path(self.device)
        place.parent.mkdir(parents=True, exist_ok=True)
        kept = {k: v for k, v in asdict(self).items() if k not in ("target", "cache", "measured")}
        place.write_text(json.dumps({"format": FORMAT, **kept}, indent=2) + "\n", encoding="utf-8")
        return place

    def null_of(self, times_us: Sequence[float]) -> float:
        """Return the gain that equal programs of such times may seem to show."""
        return self.short_null if any(t < SHORT_US for t in times_us) else self.null

    def floor_us(self, case: Case) -> tuple[float, str]:
        """Return the roofline of a case and what makes it: from measured ceilings where there are some."""
        memory = case.bytes / ((self.copy_gbs or self.target.memory_gbs) * 1e3)
        compute = case.flops / (self._rate(case, self.matmul_tflops) * 1e6)
        return (memory, "memory") if memory >= compute else (compute, "matrix")

    def least_us(self, case: Case) -> float:
        """Return what no kernel can beat: writes may stay in the cache, reads start outside it."""
        memory = max(0.0, case.bytes - self.cache) / (max(self.target.memory_gbs, self.copy_gbs) * 1e3)
        return max(memory, case.bytes / (self.target.cache_gbs * 1e3), case.flops / (self._rate(case, {}) * 1e6))

    def _rate(self, case: Case, measured: Mapping[str, float]) -> float:
        dtypes = [a.dtype for a in case.inputs.values() if isinstance(a, Input)]
        sheet = self.target.matrix_tflops
        return max(self.target.vector_tflops, *(measured.get(d) or sheet.get(d, 0.0) for d in dtypes))


def path(device: str) -> Path:
    """Return where a device's calibration is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "evo-kernel" / "calibration" / (re.sub(r"[^\w-]+", "-", device) + ".json")
