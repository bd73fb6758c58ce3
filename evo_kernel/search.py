"""The search, pure: no I/O, no clock, no handle. State is the fold of events; a request is a function of the state.

    ask(n)      -> the next n requests: an operator and its parents
    tell(event) -> remember what became of one

Every choice for request k is drawn from a generator seeded by (seed, k), so the random state needs no saving: a
search rebuilt from its journal asks the same question next. Requests that were asked and never answered are
asked again.
"""

from dataclasses import dataclass

import numpy as np

from archives.archive import Archive
from archives.candidate import Candidate
from archives.events import Event, Extended, Judged, Measured, Proposed, Refused, Started
from evo_kernel import policies
from fitness.evaluation import Basis, Failure
from operators.proposal import Observed

PATIENCE = 2  # generations without improvement before parents are chosen more broadly
EXHAUSTED = 256  # requests in a row for which no operator had anything new
GIVEN = ("seed", "imported")  # programs that came with the run: their verdicts cost no budget


@dataclass(frozen=True, slots=True)
class Request:
    """One question to one operator."""

    number: int
    operator: str
    parents: tuple[Candidate, ...]
    seed: int

    @property
    def rng(self) -> np.random.Generator:
        """A fresh generator that belongs to this request's operator alone."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(self.number, 1)))


class Search:
    """Asks for programs, is told of their fate, and holds the archive."""

    def __init__(
        self, seed: int, population: int, generations: int, policy: str = "archive", history: float = 0.2,
        basis: Basis = Basis.PREDICTED,
    ) -> None:  # fmt: skip
        self.archive = Archive(basis)
        self.pending: dict[int, Candidate] = {}  # proposed, not judged yet
        self.seeds: list[str] = []
        self.failed_seeds: list[tuple[Candidate, Failure]] = []
        self.generations, self.population = generations, population
        self.evaluations = 0  # verdicts that count: all but those on seeds
        self.refusals = 0
        self.dry = 0  # refusals since the last proposal
        self.improved_at = 0  # evaluations at the last improvement
        self._seed = seed
        self._policy = policies.make(policy, history)
        self._step = "knob-tune" if policy == "tuner" else "knob-step"
        self.observed: list[Observed] = []  # every program judged, in order
        self._known: dict[str, str] = {}  # fingerprint -> id
        self._next = 0
        self._unanswered: set[int] = set()

    def ask(self, count: int) -> tuple[Request, ...]:
        """Return up to `count` requests; none while no program has passed or the budget is handed out."""
        if self.archive.best is None or self.done:
            return ()
        room = self.budget - self.evaluations - sum(c.operator not in GIVEN for c in self.pending.values())
        return tuple(self._request(self._take_number()) for _ in range(min(count, room)))

    def _request(self, number: int) -> Request:
        """Choose parents; two of them are crossed, one is stepped."""
        rng = np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(number, 0)))
        parents = self._policy.parents(self.archive, tuple(self.seeds), self.stagnant, rng)
        operator = "knob-cross" if len(parents) == 2 else self._step
        return Request(number, operator, tuple(self.archive[p].candidate for p in parents), self._seed)

    def tell(self, event: Event) -> None:
        """Fold one event into the state."""
        if isinstance(event, Proposed):
            self._propose(event)
        elif isinstance(event, Judged):
            self._judge(event)
        elif isinstance(event, Refused):
            self._answer(event.number)
            self.refusals += 1
            self.dry += 1
        elif isinstance(event, Measured):
            self._measure(event)
        elif isinstance(event, Extended):
            self.generations = event.generations
            self.dry = 0
        elif isinstance(event, Started):
            raise ValueError("a search is started once, by its constructor")

    def _propose(self, event: Proposed) -> None:
        self._answer(event.number)
        self.dry = 0
        self.pending[event.number] = event.candidate
        self._known.setdefault(event.candidate.fingerprint, event.candidate.id)
        if event.candidate.operator in GIVEN:
            self.seeds.append(event.candidate.id)

    def _judge(self, event: Judged) -> None:
        candidate = self.pending.pop(event.number, None)
        if candidate is None:
            raise ValueError(f"verdict on request {event.number}, which is not pending: told twice, or never proposed")
        if candidate.operator not in GIVEN:
            self.evaluations += 1
        time_us = event.evaluation.score_us if event.evaluation.passed else None
        self.observed.append(Observed(candidate.source, time_us, candidate.structure))
        if event.evaluation.failure is not None and candidate.operator == "seed":
            self.failed_seeds.append((candidate, event.evaluation.failure))
        if self.archive.add(candidate, event.evaluation):
            self.improved_at = self.evaluations

    def _measure(self, event: Measured) -> None:
        """Take what a device said of a program; a seed that fails there stops the run."""
        entry = self.archive[event.candidate]
        self.archive.measure(event.candidate, event.evaluation)
        if event.evaluation.failure is not None and entry.candidate.operator == "seed":
            self.failed_seeds.append((entry.candidate, event.evaluation.failure))

    def known(self, fingerprint: str) -> bool:
        """Tell whether a program was proposed before, whatever its comments and formatting."""
        return fingerprint in self._known

    @property
    def budget(self) -> int:
        """Evaluations in all."""
        return self.generations * self.population

    @property
    def generation(self) -> int:
        """Whole generations done: a mark for people, nobody waits at it."""
        return min(self.evaluations // self.population, self.generations)

    @property
    def exhausted(self) -> bool:
        """Whether the operators have had nothing new for long: the reachable space is used up."""
        return self.dry >= EXHAUSTED

    @property
    def done(self) -> bool:
        """Whether no more requests will come."""
        return self.evaluations >= self.budget or self.exhausted

    @property
    def stagnant(self) -> bool:
        """Whether the best is old."""
        return self.dry > 0 or self.evaluations - self.improved_at >= PATIENCE * self.population

    def _take_number(self) -> int:
        """Hand out the lowest number that has no answer and is not out."""
        if self._unanswered:
            number = min(self._unanswered)
            self._unanswered.discard(number)
            return number
        self._next += 1
        return self._next - 1

    def _answer(self, number: int) -> None:
        """Note an answer; numbers below it that a killed process had asked for will be asked again."""
        if number >= self._next:
            self._unanswered.update(range(self._next, number))
            self._next = number + 1
        else:
            self._unanswered.discard(number)
