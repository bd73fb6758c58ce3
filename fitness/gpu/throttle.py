"""Whether a device held its clocks down while programs were timed: heat, power, or somebody's hand.

The anchor is a copy, which the clock of memory decides; a program that computes follows the clock of its units. That
one is asked of the vendor's own interface while the first and the last round of a heat run: a device at rest says
nothing. Where there is no such interface nothing is watched, and `doctor` says so; a reading that fails is no reading,
and never fails a judge.
"""

import contextlib
import ctypes
import re
from dataclasses import dataclass
from pathlib import Path

FALL = 0.05  # of the clock between two readings: what a limit on power takes while a heat lasts
_DEVICES = Path("/sys/bus/pci/devices")
_SM = 1  # NVML's number for the clock of the units
# NVML's reasons to hold clocks down, whatever they are at the moment
_HELD = {0x08: "the hardware slows it down", 0x20: "it is too hot", 0x40: "it is far too hot", 0x80: "its power brake"}
_POWER = 0x04  # its usual limit on power: only a clock that fell shows that it did something


@dataclass(frozen=True, slots=True)
class Reading:
    """The units' clock at one moment, and NVML's reasons why it is not higher."""

    megahertz: int
    reasons: int = 0


class Watch:
    """Reads one device's clock; used by one process."""

    def read(self) -> Reading | None:
        """Return the clock now; None where it cannot be read."""
        return None


@dataclass(frozen=True)
class Unwatched(Watch):
    """A device whose clock cannot be read."""

    why: str


class Nvml(Watch):
    """NVIDIA's management library, which needs no context and no rights."""

    def __init__(self, slot: str) -> None:
        self._library = ctypes.CDLL("libnvidia-ml.so.1")
        self._device = ctypes.c_void_p()
        self._ask("nvmlInit_v2")
        self._ask("nvmlDeviceGetHandleByPciBusId_v2", slot.encode(), ctypes.byref(self._device))

    def read(self) -> Reading | None:
        """Return the clock and the reasons now."""
        clock, reasons = ctypes.c_uint(), ctypes.c_ulonglong()
        try:
            self._ask("nvmlDeviceGetCurrentClocksThrottleReasons", self._device, ctypes.byref(reasons))
            self._ask("nvmlDeviceGetClockInfo", self._device, _SM, ctypes.byref(clock))
        except OSError:
            return None
        return Reading(clock.value, reasons.value)

    def _ask(self, name: str, *arguments: object) -> None:
        """Call the library; OSError on any answer but success, and where it has no such function."""
        try:
            code = getattr(self._library, name)(*arguments)
        except AttributeError as error:
            raise OSError(f"this driver has no {name}") from error
        if code:
            raise OSError(f"{name} answers {code}")


class Sysfs(Watch):
    """The list of clocks that AMD's kernel driver keeps, the one in use marked by a star."""

    def __init__(self, slot: str) -> None:
        domain, _, rest = slot.partition(":")
        self._path = _DEVICES / f"{int(domain, 16):04x}:{rest}" / "pp_dpm_sclk"
        if self.read() is None:
            raise OSError(f"{self._path} does not tell it")

    def read(self) -> Reading | None:
        """Return the clock now."""
        with contextlib.suppress(OSError):
            found = re.search(r"(\d+)Mhz \*", self._path.read_text())
            return Reading(int(found[1])) if found else None
        return None


def watch(backend: str, slot: str) -> Watch:
    """Find a way to read the clock of the device in a slot."""
    try:
        return Nvml(slot) if backend == "cuda" else Sysfs(slot)
    except (OSError, ValueError) as error:
        return Unwatched(str(error))


def between(before: Reading | None, after: Reading | None) -> str:
    """Say what held the clock down between two readings; nothing where nothing did, or nobody looked."""
    if before is None or after is None:
        return ""
    for reason, said in _HELD.items():
        if reason & (before.reasons | after.reasons):
            return said
    fell = after.megahertz < (1 - FALL) * before.megahertz
    if fell and (after.reasons & _POWER or not after.reasons):
        return f"its clock fell from {before.megahertz} to {after.megahertz} MHz"
    return ""
