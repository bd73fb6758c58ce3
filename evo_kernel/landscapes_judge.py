"""Judges a configuration by looking its time up in a table, with noise and failures if wanted.

The verdicts' basis is `recorded`: somebody measured these times elsewhere, so they are neither predicted nor measured
here. A verdict is a function of the run's seed and the program: a resumed run gets the same.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evo_kernel.landscapes import Landscape, LandscapeError
from evo_kernel.pools import Done
from fitness.evaluation import Basis, CaseResult, Evaluation, Failure, Stage
from operators.tune.space import Config
from operators.tune.table import Programs

CASE = "table"
LEAST = 0.01  # a noisy time is at least this share of the true one


@dataclass(frozen=True, slots=True)
class Faults:
    """What is injected: the standard deviation of times, relative, and the share of evaluations that fail."""

    noise: float = 0.0
    failures: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.noise < 1:
            raise ValueError(f"noise must be at least 0 and below 1; got {self.noise}")
        if not 0 <= self.failures < 1:
            raise ValueError(f"failures must be at least 0 and below 1; got {self.failures}")


class TableJudge:
    """Looks programs up."""

    def __init__(self, landscape: Landscape, programs: Programs, faults: Faults, seed: int) -> None:
        self._landscape, self._programs, self._faults, self._seed = landscape, programs, faults, seed

    def judge(self, source: str, spared: bool = False) -> Evaluation:
        """Return the verdict on a program; a spared one gets no injected failure."""
        config = self._programs.read(source)
        told = self._told_ms(config, source, spared)
        if told is None:
            failed = self._landscape.times[config] is None
            why = "the table says that it failed to run" if failed else "this evaluation was made to fail"
            return self._verdict(Failure(Stage.TIMING, "recorded", why), ())
        case = CaseResult(CASE, 1000 * told, 0.0, 1000 * self._landscape.optimum, "recorded")
        return self._verdict(None, (case,))

    def told_ms(self, config: Config) -> float | None:
        """Return the time that is told of a configuration, with noise; None where it fails."""
        return self._told_ms(config, self._programs.write(config), spared=False)

    def _told_ms(self, config: Config, source: str, spared: bool) -> float | None:
        time, rng = self._landscape.times[config], self._rng(source)
        injected = self._fails(rng) and not spared
        if time is None or injected:
            return None
        return time * max(1 + self._faults.noise * float(rng.standard_normal()), LEAST)

    def _verdict(self, failure: Failure | None, cases: tuple[CaseResult, ...]) -> Evaluation:
        return Evaluation(
            self._landscape.gpu, Basis.RECORDED, "process", failure, cases, device=self._landscape.gpu,
            confirmed=failure is None, notes=("looked up in a table of times measured elsewhere",),
        )  # fmt: skip

    def _rng(self, source: str) -> np.random.Generator:
        return np.random.default_rng((self._seed, zlib.crc32(source.encode())))

    def _fails(self, rng: np.random.Generator) -> bool:
        return bool(rng.random() < self._faults.failures)

    def reachable_ms(self, first: Config | None = None) -> float:
        """Return the best time of what may succeed; an injected failure is final for its configuration.

        `first` is the configuration that the run begins with, which is spared, if one is.
        """
        worked = ((t, config) for config, t in self._landscape.times.items() if t is not None)
        for time, config in sorted(worked):
            if config == first or not self._fails(self._rng(self._programs.write(config))):
                return time
        raise LandscapeError(f"{self._landscape.name}: every configuration was made to fail")

    def true_ms(self, config: Config) -> float | None:
        """Return what the table says, without noise."""
        return self._landscape.times[config]


class TablePool:
    """One table judge as a pool: a program's verdict is there at once."""

    def __init__(self, judge: TableJudge, spared: str) -> None:
        self._judge, self._spared = judge, spared
        self._waiting: list[tuple[int, str]] = []

    def free(self) -> int:
        """Return 1 when nothing waits."""
        return 1 - len(self._waiting)

    def submit(self, ticket: int, source: str) -> None:
        """Keep the source until `wait`."""
        self._waiting.append((ticket, source))

    def wait(self, seconds: float, against: Mapping[str, str] | None = None) -> list[Done]:
        """Judge the one that waits."""
        done = [Done(t, self._judge.judge(source, source == self._spared), 0.0) for t, source in self._waiting]
        self._waiting.clear()
        return done

    def close(self) -> None:
        """Hold nothing open."""
