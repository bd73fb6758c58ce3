"""The measures that published benchmarks report, as pure functions of what became of each task."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Quadrant = Literal["both-pass", "regression", "improvement", "both-fail"]
"""What held-out cases say of the program that a search began with and of the one that it found."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one task. Latencies are of a program that passes every test; the reference's stand beside them."""

    name: str
    called: bool  # some program that was made ran to an end
    passed: bool  # some program that was made passed every test
    latencies: tuple[tuple[float, float], ...] = ()  # by test: the reference's median, the generated program's median
    samples: int = 0  # programs that were made
    correct: int = 0  # of them passed every test
    held_out: Quadrant | None = None  # None: not asked

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.samples:
            raise ValueError(f"{self.name}: {self.correct} of {self.samples} samples cannot be correct")
        if any(not (math.isfinite(t) and t > 0) for pair in self.latencies for t in pair):
            raise ValueError(f"{self.name}: a latency must be finite and positive")


def call_accuracy(results: Sequence[Result]) -> float | None:
    """Return the share of tasks with a program that runs."""
    return _share([r.called for r in results])


def execution_accuracy(results: Sequence[Result]) -> float | None:
    """Return the share of tasks with a program that passes every test."""
    return _share([r.passed for r in results])


def speedup(result: Result) -> float | None:
    """Return one task's speedup as GEAK defines it.

    It is the mean over its tests of the reference's latency over the program's. A task whose program does not pass all
    tests has none.
    """
    if not result.passed or not result.latencies:
        return None
    return sum(reference / made for reference, made in result.latencies) / len(result.latencies)


def mean_speedup(results: Sequence[Result]) -> float | None:
    """Return the mean speedup of the tasks that have one, as GEAK reports it."""
    found = [s for r in results if (s := speedup(r)) is not None]
    return sum(found) / len(found) if found else None


def fast_p(results: Sequence[Result], p: float) -> float | None:
    """Return the share of all tasks whose program is right and more than `p` times as fast, as KernelBench does.

    A task's time is the sum over its tests, which for one test is KernelBench's ratio. None where tasks are right and
    none of them has a reference's time.
    """
    known = [total_speedup(r) for r in results if r.passed]
    if known and all(total is None for total in known):
        return None
    return _share([r.passed and (total := total_speedup(r)) is not None and total > p for r in results])


def total_speedup(result: Result) -> float | None:
    """Return the reference's time over the program's, all tests together."""
    if not result.latencies:
        return None
    return sum(reference for reference, _ in result.latencies) / sum(made for _, made in result.latencies)


def pass_at_k(samples: int, correct: int, k: int) -> float | None:
    """Return the chance that at least one of k samples is right, without bias: drawn from n samples of which c are.

    None where there are fewer than k samples.
    """
    if k < 1 or not 0 <= correct <= samples:
        raise ValueError(f"pass@{k} of {correct} correct in {samples} samples is not defined")
    if samples < k:
        return None
    return 1.0 - math.comb(samples - correct, k) / math.comb(samples, k)


def mean_pass_at_k(results: Sequence[Result], k: int) -> float | None:
    """Return the mean of pass@k over all tasks.

    Of a task with fewer samples it is that of all it has, which is no more: a search stops where a task is solved, and
    where nothing was made nothing is right.
    """
    found = [pass_at_k(r.samples, r.correct, min(k, r.samples)) if r.samples else 0.0 for r in results]
    return sum(v for v in found if v is not None) / len(found) if found else None


def held_out_rate(results: Sequence[Result]) -> float | None:
    """Return how often what was found passes held-out cases that the program begun with passes too."""
    asked = [r.held_out for r in results if r.held_out in ("both-pass", "regression")]
    return _share([quadrant == "both-pass" for quadrant in asked])


def quadrant(before: bool, after: bool) -> Quadrant:
    """Name what held-out cases say of the program begun with and of the one found."""
    if before:
        return "both-pass" if after else "regression"
    return "improvement" if after else "both-fail"


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None
