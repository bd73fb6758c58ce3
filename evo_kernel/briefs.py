"""Turns a run's events into what operators that ask models are told: programs with verdicts, bounded, and lineages."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from archives.candidate import Candidate
from archives.events import Event, Judged, Proposed, Refused
from evo_kernel.calls import Calls
from evo_kernel.correspondence import NO_ANSWER, REFLECT
from fitness.targets import Target
from operators.knowledge.library import Library
from operators.llm import replies
from operators.llm.briefing import Brief, Tried, best_last
from operators.llm.lessons import Lesson
from operators.llm.operators import MAX_REPAIRS
from suites import Task

PASSED, FAILED, WORDS = 200, 200, 16  # kept of each


class History:
    """What a run has tried, folded from its events; memory and time for each event are bounded.

    What stays for ever is the fastest program and a number for each failed repair. After `most` repairs in a row that
    failed, the next answer is fresh code, with which the count begins again.
    """

    def __init__(self, most: int = MAX_REPAIRS) -> None:
        self._most = most
        self._pending: dict[int, Candidate] = {}
        self._passed: deque[Tried] = deque(maxlen=PASSED)
        self._failed: deque[Tried] = deque(maxlen=FAILED)
        self._refused: deque[tuple[str, str]] = deque(maxlen=WORDS)
        self._all: dict[str, Tried] = {}  # programs now in either deque, and the fastest
        self._fastest: Tried | None = None
        self._repairs: dict[str, int] = {}  # failed repairs in a row, the program itself among them

    def tell(self, event: Event) -> None:
        """Fold one event."""
        if isinstance(event, Proposed):
            self._pending[event.number] = event.candidate
        elif isinstance(event, Refused) and not event.why.startswith(NO_ANSWER):
            self._refused.append((event.operator, event.why))
        elif isinstance(event, Judged):
            self._judge(self._pending.pop(event.number), event)

    def _judge(self, c: Candidate, event: Judged) -> None:
        tried = Tried(c.id, c.source, c.operator, c.intent, c.parents, event.evaluation)
        kept = self._passed if event.evaluation.passed else self._failed
        if len(kept) == kept.maxlen and (gone := kept[0]) is not self._fastest:
            self._all.pop(gone.id, None)
        kept.append(tried)
        self._all[tried.id] = tried
        if event.evaluation.passed:
            if self._fastest is None or event.evaluation.score_us < self._fastest.evaluation.score_us:
                self._fastest = tried
        elif c.operator == REFLECT and (before := self._repairs.get(c.parents[0], 0)) < self._most:
            self._repairs[c.id] = before + 1

    def teach(self, identity: str, lesson: str) -> None:
        """Add to a failed program what the reply that repaired it says is to be remembered of it."""
        tried = self._all.get(identity)
        if tried is None or tried.evaluation.passed or not lesson:
            return
        taught = replace(tried, lesson=lesson)
        self._all[identity] = taught
        self._failed = deque((taught if t is tried else t for t in self._failed), maxlen=FAILED)

    def learn(self, calls: Calls) -> None:
        """Take the lessons of all replies of repairs from a file of calls, as they were taught when they came."""
        for asking in calls.requests():
            if asking.operator == REFLECT and asking.parents:
                for turn in calls.turns(asking.number):
                    self.teach(asking.parents[0], replies.lesson(turn.reply or ""))

    def latest_failure(self, candidates: Sequence[str] = ()) -> Tried | None:
        """Return the newest program that failed, or the newest of those named."""
        return next((t for t in reversed(self._failed) if not candidates or t.id in candidates), None)

    def ranked(self) -> list[Tried]:
        """Return the programs that passed and are remembered, the fastest first."""
        return best_last(self._kept())[::-1]

    def _kept(self) -> list[Tried]:
        """Return what passed, in the order of verdicts; the fastest is never forgotten."""
        passed = list(self._passed)
        if self._fastest is not None and self._fastest not in passed:
            passed.insert(0, self._fastest)
        return passed

    def find(self, identity: str) -> Tried | None:
        """Return a program that is remembered."""
        return self._all.get(identity)

    def brief(self, task: Task, target: Target, parents: Iterable[Tried], operator: str, library: Library,
              lessons: Sequence[Lesson] = (), port: str | None = None) -> Brief:  # fmt: skip
        """Return what an operator is told when it is asked now."""
        given = tuple(parents)
        failed = tuple(t for t in self._failed if t.id not in {g.id for g in given})
        return Brief(
            task, target, given, tuple(self._kept()), failed,
            tuple(dict.fromkeys(why for name, why in self._refused if name == operator)), tuple(lessons), library,
            self._repairs.get(given[0].id, 0) if given else 0, port if operator == "generate" else None,
        )  # fmt: skip


def judged(events: Iterable[Event], identity: str) -> Tried | None:
    """Return a program with its verdict from all events of a run, also where the history has forgotten it."""
    numbers: dict[int, Candidate] = {}
    for event in events:
        if isinstance(event, Proposed) and event.candidate.id == identity:
            numbers[event.number] = event.candidate
        elif isinstance(event, Judged) and (c := numbers.get(event.number)) is not None:
            return Tried(c.id, c.source, c.operator, c.intent, c.parents, event.evaluation)
    return None


def folded(events: Iterable[Event], most: int = MAX_REPAIRS) -> History:
    """Return the history of a run's events."""
    history = History(most)
    for event in events:
        history.tell(event)
    return history
