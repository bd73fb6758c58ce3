"""What a device was measured to do, kept per device: its noise, and the ceilings no kernel passes."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fitness import roofline
from fitness.gpu import clock
from fitness.roofline import Ceilings
from fitness.targets import Target

FORMAT = 2
SHORT_US = 5.0  # below, launches and events make up much of what is timed


@dataclass(frozen=True, slots=True)
class Calibration:
    """`null` is the 99th percentile of |ratio - 1| between equal programs: a gain has to be larger."""

    device: str
    target: Target
    measured: bool
    null: float = clock.DEFAULT_NULL
    short_null: float = clock.DEFAULT_SHORT_NULL
    memory_gbs: float = 0.0  # the best of copying, reading and writing
    matrix_tflops: Mapping[str, float] = field(default_factory=dict)  # by dtype, and of float32 as tf32

    @classmethod
    def of(cls, device: str, target: Target) -> "Calibration":
        """Return the stored calibration of a device by its name, or the sheet's figures."""
        try:
            stored = json.loads(path(device).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return cls(device, target, False)
        if stored.pop("format", None) != FORMAT or stored.get("device") != device:
            return cls(device, target, False)
        return cls(target=target, measured=True, **stored)

    def store(self) -> Path:
        """Keep this calibration for later runs on this machine."""
        place = path(self.device)
        place.parent.mkdir(parents=True, exist_ok=True)
        kept = {k: v for k, v in asdict(self).items() if k not in ("target", "measured")}
        place.write_text(json.dumps({"format": FORMAT, **kept}, indent=2) + "\n", encoding="utf-8")
        return place

    @property
    def ceilings(self) -> Ceilings:
        """The rates that nothing passes; those of the sheet, together, until they were measured."""
        if not self.measured:
            return roofline.of_sheet(self.target)
        sheet = {d: r for d, r in self.target.matrix_tflops.items() if d not in self.matrix_tflops}
        return Ceilings(self.memory_gbs, self.target.vector_tflops, {**sheet, **self.matrix_tflops}, measured=True)

    def null_of(self, times_us: Sequence[float]) -> float:
        """Return the gain that equal programs of such times may seem to show."""
        return self.short_null if any(t < SHORT_US for t in times_us) else self.null


def path(device: str) -> Path:
    """Return where a device's calibration is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "evo-kernel" / "calibration" / (re.sub(r"[^\w-]+", "-", device) + ".json")
