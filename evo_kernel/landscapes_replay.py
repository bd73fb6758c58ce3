"""Replays searches on a landscape: the real Population, Search and journal, with a table in the judge's place."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from archives.candidate import Candidate, fingerprint
from archives.events import Judged, Proposed
from archives.journal import Journal
from evo_kernel import policies, runs
from evo_kernel.config import Settings
from evo_kernel.landscapes import Landscape, LandscapeError
from evo_kernel.landscapes_judge import Faults, TableJudge, TablePool
from evo_kernel.population import Population
from operators.catalogue import KNOBS
from operators.proposal import Operator
from operators.tune.table import Programs, TableCross, TableStep, TableTune
from suites import Case, Input, Task

TARGET = "mi250"  # settings name a chip; operators over tables do not ask for it
POPULATION = 8
TUNER = "tuner"  # a policy of these replays alone: the default one with nothing but the tuner


@dataclass(frozen=True, slots=True)
class Replay:
    """One search on one landscape."""

    landscape: Landscape
    policy: str
    seed: int
    evaluations: int
    faults: Faults = field(default_factory=Faults)

    def run(self, folder: Path | None = None, until: int | None = None) -> list[float]:
        """Search, or go on with the run in a folder; return optimum over best so far after each evaluation.

        `until` ends this session after so many evaluations; another may go on in the same folder.
        """
        if folder is not None:
            return self._run(folder, until or self.evaluations)
        with tempfile.TemporaryDirectory(prefix="evo-kernel-landscape-") as scratch:
            return self._run(Path(scratch) / "run", until or self.evaluations)

    def begin(self, folder: Path) -> None:
        """Write the journal's first events."""
        runs.begin(folder, self._settings(), task(self.landscape), runs.Start((self._first()[0],)))

    def _run(self, folder: Path, until: int) -> list[float]:
        programs = self._programs()
        judge = TableJudge(self.landscape, programs, self.faults, self.seed)
        first, wasted = self._first()
        if not folder.exists():
            self.begin(folder)
        population = Population(folder, lambda *_: TablePool(judge, first.source), _operators(programs))
        try:
            # the program it begins with, and those drawn before it that failed, count as evaluations here
            while population.search.evaluations < until - 1 - wasted and not population.advance(0).done:
                pass
        finally:
            population.close()
        best = judge.reachable_ms(programs.read(first.source))
        return [0.0] * wasted + self._curve(folder, programs, judge, best)

    def _programs(self) -> Programs:
        return Programs(self.landscape.space, self.landscape.name)

    def _settings(self) -> Settings:
        generations = -(-self.evaluations // POPULATION)
        given: dict[str, Any] = {"policy": self.policy}
        if self.policy == TUNER:
            given = {"policy": "archive", "tuner": 1.0, "crossover": 0.0}
        return Settings(
            target=TARGET, basis="recorded", seed=self.seed, generations=generations, population=POPULATION,
            pool="inline", operators=KNOBS, **given,
        )  # fmt: skip

    def _first(self) -> tuple[Candidate, int]:
        """Draw the configuration to begin with: the first of random ones that runs, and how many did not."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(0xF1A5,)))
        worked = [c for c, time in self.landscape.times.items() if time is not None]
        for wasted in range(self.evaluations):
            config = tuple(self.landscape.space.draw(rng, 1)[0].tolist())
            if wasted == self.evaluations - 1:  # only failures were drawn: the last must work
                config = worked[int(rng.integers(len(worked)))]
            if self.landscape.times[config] is not None:
                source = self._programs().write(config)
                return Candidate(source, "imported", "drawn", (), fingerprint(source), self.landscape.name), wasted
        raise AssertionError("a table has a configuration that works")

    def _curve(self, folder: Path, programs: Programs, judge: TableJudge, reachable: float) -> list[float]:
        """Return how near to the best reachable time what looked best truly was, after each verdict in the journal."""
        sources: dict[int, str] = {}
        best, quality, curve = float("inf"), 0.0, []
        with Journal.read(folder) as journal:
            for event in journal.events():
                if isinstance(event, Proposed):
                    sources[event.number] = event.candidate.source
                elif isinstance(event, Judged):
                    verdict = event.evaluation
                    if verdict.passed and verdict.score_us < best:
                        best = verdict.score_us
                        true = judge.true_ms(programs.read(sources[event.number]))
                        quality = reachable / true if true else 0.0
                    curve.append(quality)
        return curve


def task(landscape: Landscape) -> Task:
    """Return a table as a task: it computes nothing, and only its name and one case matter."""
    case = Case("table", {"x": Input((1,))}, flops=0, bytes=1)
    about = f"{landscape.kernel} on {landscape.gpu}: configurations looked up in a table of measured times"
    return Task(landscape.name, about, "table", (case,), (), (), source=about)


def known(policy: str) -> None:
    """Refuse a policy that does not exist."""
    names = (*policies.NAMES, TUNER)
    if policy not in names:
        raise LandscapeError(f"no policy named {policy!r}; known: {', '.join(names)}")


def _operators(programs: Programs) -> tuple[Operator, ...]:
    return (TableStep(programs), TableCross(programs), TableTune(programs))
