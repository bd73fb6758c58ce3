"""Where a run stands, for whoever watches it."""

from dataclasses import dataclass

from archives.archive import Entry
from evo_kernel.config import Settings
from evo_kernel.search import Search


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands, as plain values that can be sent anywhere. Times are microseconds of the run's basis."""

    generation: int
    generations: int
    evaluations: int
    budget: int
    best_us: float | None
    seed_us: float | None
    best_intent: str
    elites: int
    failures: tuple[tuple[str, int], ...]
    twins: int
    refusals: int
    judged_here: int
    done: bool
    exhausted: bool
    basis: str = "predicted"
    best_interval: tuple[float, float] | None = None  # 95%, of a measured best
    gain: float | None = None  # over the seed, timed beside it
    mode: str = "sealed"
    stop: str | None = None  # why no more programs are asked for: a name in stopping
    wall_seconds: float = 0.0  # that the run was driven, in all sessions
    gpu_seconds: float = 0.0
    asked: int = 0  # requests that wait for a model
    notes: tuple[str, ...] = ()  # what a person must know: models that are not asked any more


def passed_seeds(search: Search) -> list[Entry]:
    """Return the task's own seeds that passed."""
    archive = search.archive
    return [archive[s] for s in search.seeds if s in archive and archive[s].candidate.operator == "seed"]


def standing(
    search: Search, settings: Settings, judged_here: int, wall_seconds: float, notes: tuple[str, ...]
) -> Progress:
    """Say where a run stands."""
    archive = search.archive
    best = archive[archive.best] if archive.best else None
    passed = [e.score_us for e in passed_seeds(search)]
    baseline = best.evaluation.ratio_to("baseline") if best else None
    return Progress(
        generation=search.generation,
        generations=search.generations,
        evaluations=search.evaluations,
        budget=search.budget,
        best_us=best.score_us if best else None,
        seed_us=min(passed) if passed else None,
        basis=settings.basis,
        mode=settings.mode,
        best_interval=best.evaluation.interval_us if best else None,
        gain=None if baseline is None else 1 / baseline.ratio,
        best_intent=best.candidate.intent if best else "",
        elites=len(archive.elites),
        failures=tuple(sorted(archive.failures.items())),
        twins=archive.twins,
        refusals=search.refusals,
        judged_here=judged_here,
        done=search.done and not search.pending,
        exhausted=search.exhausted,
        stop=search.stop,
        wall_seconds=wall_seconds,
        gpu_seconds=search.gpu_seconds,
        asked=len(search.letters.out),
        notes=notes,
    )
