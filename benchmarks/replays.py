"""Policies and mechanisms replayed on tables: the replay of `bench landscapes`, with settings and a start of choice."""

import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from archives.candidate import Candidate, fingerprint
from evo_kernel import idle, policies
from evo_kernel.config import Settings
from evo_kernel.landscapes import Landscape
from evo_kernel.landscapes_bench import THREADS
from evo_kernel.landscapes_judge import Faults
from evo_kernel.landscapes_replay import Replay
from evo_kernel.rules import MECHANISMS, Rules
from operators.tune.space import Config

TRIALS = MECHANISMS["trials"][2]


@dataclass(frozen=True, slots=True)
class Variant:
    """A policy with mechanisms the other way round."""

    policy: str
    changes: Mapping[str, Any] = field(default_factory=dict)


def variants() -> dict[str, Variant]:
    """Name every policy, and the archive with one mechanism the other way round; a table is one structure."""
    found = {name: Variant(name) for name in policies.NAMES}
    turn = {name: Variant("archive", changes) for name, changes in turned(Rules()).items()}
    return found | {name: one for name, one in turn.items() if not name.endswith("giving-up")}


def turned(shipped: Rules) -> dict[str, dict[str, Any]]:
    """Name what is changed to have each mechanism the other way round, of those that would then do something else."""
    found: dict[str, dict[str, Any]] = {}
    for name, (setting, off, on) in MECHANISMS.items():
        standing = getattr(shipped, setting)
        how, value = ("without", off) if standing else ("with", on)
        if acts(name, shipped):
            found[f"archive {how} {name}"] = {setting: value}
        elif acts(name, replace(shipped, trials=TRIALS)):  # what is done with trials, where none are shipped
            found[f"archive with trials, {how} {name}"] = {"trials": TRIALS, setting: value}
    return found


def acts(name: str, rules: Rules) -> bool:
    """Tell whether a mechanism does anything in such searches while it is on."""
    return idle.why(name, "archive", rules, models=False) is None


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
    """How often and how long searches are replayed, in how many processes, and in which folder curves are kept."""

    seeds: range
    budget: int
    faults: Faults = field(default_factory=Faults)
    keep: Path | None = None
    workers: int = 1

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


def gather(
    tables: Sequence[Landscape], compared: Mapping[str, Variant], asked: Asked,
    starts: Mapping[str, Config] | None = None,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Return the curves of every variant: tables by seeds by evaluations. Those that are kept are not made again."""
    places = [(table, name) for table in tables for name in compared]
    found: dict[tuple[str, str], np.ndarray] = {}
    os.environ.setdefault(THREADS, "1")
    with ProcessPoolExecutor(asked.workers) as pool:
        asking = {}
        for table, name in places:
            file = asked.file(f"{table.name}, {name}")
            if file is not None and file.exists():
                found[table.name, name] = np.load(file)
                continue
            start = (starts or {}).get(table.name)
            asking[table.name, name] = [
                pool.submit(curve, table, compared[name], seed, asked.budget, asked.faults, start)
                for seed in asked.seeds
            ]
        for (table_name, name), futures in asking.items():
            found[table_name, name] = np.array([f.result() for f in futures])
            print(f"{table_name}, {name}: {found[table_name, name][:, -1].mean():.3f}", file=sys.stderr, flush=True)
            file = asked.file(f"{table_name}, {name}")
            if file is not None:
                np.save(file, found[table_name, name])
    return {name: np.array([found[table.name, name] for table in tables]) for name in compared}
