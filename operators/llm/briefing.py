"""What an operator that asks a model may know besides the parents: task, chip, what was tried, what was learnt."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fitness.evaluation import Evaluation
from fitness.targets import Target
from operators.knowledge.library import Library
from operators.knowledge.similarity import Shelf, shingles
from operators.llm.lessons import Lesson
from operators.proposal import Context
from suites import Case, Task
from suites.task import Input


@dataclass(frozen=True, slots=True)
class Tried:
    """A program with its verdict; `lesson` is what the model that wrote its successor said of it, if anything."""

    id: str
    source: str
    operator: str
    intent: str
    parents: tuple[str, ...]
    evaluation: Evaluation
    lesson: str = ""


@dataclass(frozen=True, slots=True)
class Brief:
    """Everything a prompt is made of. `parents` are in the operator's order; other groups in the order of verdicts.

    `repairs` counts the repairs in a row that led to the first parent. `refused` are the latest replies to this
    operator that made no program, in words. `port` is a kernel in another language, or for another chip, to start from.
    """

    task: Task
    target: Target
    parents: tuple[Tried, ...] = ()
    passed: tuple[Tried, ...] = ()
    failed: tuple[Tried, ...] = ()
    refused: tuple[str, ...] = ()
    lessons: tuple[Lesson, ...] = ()
    library: Library = field(default_factory=Library)
    repairs: int = 0
    port: str | None = None


@dataclass(frozen=True, slots=True)
class Briefed(Context):
    """The context of an operator that asks a model."""

    brief: Brief | None = None


def described(case: Case) -> str:
    """Say what a public case's arguments are, and the least work it takes."""
    said = ", ".join(
        f"{n} {a.dtype}{list(a.shape)}{_laid(a)}" if isinstance(a, Input) else f"{n}={a}"
        for n, a in case.inputs.items()
    )
    return f"{case.name}: {said}; {case.bytes / 1e6:.2f} MB to move, {case.flops / 1e9:.3f} GFLOP"


def _laid(a: Input) -> str:
    order = "" if a.order is None or a.order == tuple(range(len(a.shape))) else f" stored in order {list(a.order)}"
    return order + (f" rows padded by {a.pad}" if a.pad else "")


def recall(failed: Sequence[Tried], source: str, count: int) -> list[Tried]:
    """Return the failures whose programs are most like this one, the most alike first."""
    shelf = Shelf([shingles(t.source) for t in failed])
    return [failed[n.place] for n in shelf.nearest(shingles(source), count)]


def best_last(passed: Sequence[Tried]) -> list[Tried]:
    """Sort programs that passed so that the fastest comes last."""
    return sorted(passed, key=lambda t: (-t.evaluation.score_us, t.id))


def stronger(first: Evaluation, second: Evaluation) -> list[str]:
    """Name the cases on which the first of two programs is at least 2% faster, with both times."""
    theirs = {c.case: c.time_us for c in second.cases}
    return [
        f"{c.case} ({c.time_us:.2f} us, the other {theirs[c.case]:.2f} us)"
        for c in first.cases if c.case in theirs and c.time_us < 0.98 * theirs[c.case]
    ]  # fmt: skip


def worked(passed: Sequence[Tried], count: int) -> list[str]:
    """Return the changes that gained most over their first parent, the largest gain first."""
    times = {t.id: t.evaluation.score_us for t in passed}
    gains = [(times[t.parents[0]] / times[t.id], t) for t in passed if t.parents and t.parents[0] in times]
    best = sorted((g for g in gains if g[0] > 1.01), key=lambda g: (-g[0], g[1].id))[:count]
    return [f"{gain:.2f}x by {t.operator}: {t.intent}" for gain, t in best]
