"""What is in force around a candidate, part by part: recorded in every verdict and asked for by --require-isolation."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

UNKNOWN = "unknown"  # of a candidate whose workers were lost
LEVELS = ("process", "landlock", "namespaces")  # each holds what is before it
_PARTS = {
    "process": (),
    "landlock": ("landlock", "seccomp"),
    "namespaces": ("landlock", "seccomp", "net", "pid", "ipc"),
}


@dataclass(frozen=True, slots=True)
class Wall:
    """One part: whether it holds, and its version or why not."""

    name: str
    holds: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """All parts, as found by trying them."""

    walls: tuple[Wall, ...] = ()

    @property
    def level(self) -> str:
        """The highest level whose parts all hold."""
        return next(level for level in reversed(LEVELS) if not self.missing(level))

    def holds(self, name: str) -> bool:
        """Tell whether one part holds."""
        return any(w.holds for w in self.walls if w.name == name)

    def missing(self, level: str) -> tuple[Wall, ...]:
        """Return the parts a level needs and this machine lacks."""
        known = {w.name: w for w in self.walls}
        return tuple(known.get(p, Wall(p, False, "not tried")) for p in _PARTS[level] if not self.holds(p))

    def __str__(self) -> str:
        """Say level and parts, as in: namespaces (landlock 7, seccomp, user, net, pid, ipc, uts)."""
        parts = ", ".join(f"{w.name} {w.detail}".strip() for w in self.walls if w.holds)
        return f"{self.level} ({parts})" if parts else self.level


def lowest(standings: Iterable[Standing]) -> Standing:
    """Return the weakest of several."""
    return min(standings, key=lambda s: LEVELS.index(s.level))


def pack(standing: Standing) -> list[Any]:
    """Turn into plain lists."""
    return [[w.name, w.holds, w.detail] for w in standing.walls]


def unpack(plain: Any) -> Standing:
    """Rebuild from `pack`."""
    return Standing(tuple(Wall(str(name), bool(holds), str(detail)) for name, holds, detail in plain))
