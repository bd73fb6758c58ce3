"""Policies and mechanisms replayed on tables: the replay of `bench landscapes`, with settings and a start of choice."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from archives.candidate import Candidate, fingerprint
from evo_kernel import policies
from evo_kernel.config import Settings
from evo_kernel.landscapes import Landscape
from evo_kernel.landscapes_judge import Faults
from evo_kernel.landscapes_replay import Replay
from evo_kernel.rules import MECHANISMS, Rules
from operators.tune.space import Config


@dataclass(frozen=True, slots=True)
class Variant:
    """A policy with mechanisms the other way round."""

    policy: str
    changes: Mapping[str, Any] = field(default_factory=dict)


def variants() -> dict[str, Variant]:
    """Name every policy, and the archive with one mechanism the other way round."""
    found = {name: Variant(name) for name in policies.NAMES}
    for name, (setting, off, on) in MECHANISMS.items():
        standing = getattr(Rules(), setting)
        how, value = ("without", off) if standing else ("with", on)
        found[f"archive {how} {name}"] = Variant("archive", {setting: value})
    return found


@dataclass(frozen=True)
class Varied(Replay):
    """A replay of a variant; `start` is the configuration that it begins with, None for one drawn at random."""

    changes: Mapping[str, Any] = field(default_factory=dict)
    start: Config | None = None

    def _settings(self) -> Settings:
        return super()._settings().model_copy(update=self.changes)

    def _first(self) -> tuple[Candidate, int]:
        if self.start is None:
            return super()._first()
        source = self._programs().write(self.start)
        return Candidate(source, "imported", "the seed", (), fingerprint(source), self.landscape.name), 0


@dataclass(frozen=True, slots=True)
class Asked:
    """How often and how long searches are replayed, and in which folder curves are kept, if any."""

    seeds: range
    budget: int
    faults: Faults = field(default_factory=Faults)
    keep: Path | None = None

    def file(self, name: str) -> Path | None:
        """Return where curves of a name are kept: what was asked for belongs to it."""
        how = f"{self.seeds.start}-{self.seeds.stop}, {self.budget}, {self.faults.noise}, {self.faults.failures}"
        return None if self.keep is None else self.keep / f"{name}, {how}.npy"


def curve(
    landscape: Landscape, variant: Variant, seed: int, budget: int, faults: Faults, start: Config | None = None
) -> list[float]:
    """Return optimum over best so far after each evaluation; a search that ended early keeps its last."""
    replay = Varied(landscape, variant.policy, seed, budget, faults, variant.changes, start)
    found = replay.run()[:budget]
    return found + [found[-1]] * (budget - len(found))


def curves(
    landscape: Landscape, variant: Variant, asked: Asked, start: Config | None = None, name: str = ""
) -> np.ndarray:  # fmt: skip
    """Return a variant's curves on one table, seeds by evaluations; under a name they are kept and taken from there."""
    file = asked.file(f"{landscape.name}, {name}") if name else None
    if file is not None and file.exists():
        return np.load(file)
    began = time.process_time()
    found = np.array([curve(landscape, variant, seed, asked.budget, asked.faults, start) for seed in asked.seeds])
    if file is not None:
        print(f"{file.stem}: {time.process_time() - began:.0f} s of processor time", file=sys.stderr, flush=True)
        np.save(file, found)
    return found
