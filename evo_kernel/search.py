"""The search, pure: no I/O, no clock, no handle. State is the fold of events; a request is a function of the state.

    ask(n)      -> the next n requests: an operator and its parents
    tell(event) -> remember what became of one

Every choice for request k (choosing.py) is drawn from a generator seeded by (seed, k), so the random state needs no
saving: a search rebuilt from its journal asks the same question next. Requests that were asked and never answered are
asked again.
"""

from collections import Counter
from dataclasses import replace

from archives.archive import Archive
from archives.candidate import Candidate
from archives.events import (
    Answered,
    Asked,
    Event,
    Extended,
    Judged,
    Learned,
    Measured,
    Proposed,
    Refused,
    Started,
    Stopped,
)  # fmt: skip
from evo_kernel import bandit, policies, stopping
from evo_kernel.choosing import Choosing, Moment
from evo_kernel.correspondence import Correspondence
from evo_kernel.learning import Learning
from evo_kernel.macros import Macros
from evo_kernel.numbers import Numbers
from evo_kernel.requests import Request
from evo_kernel.rules import Limits, Rules
from evo_kernel.structures import Structures
from fitness.evaluation import Basis, Failure
from operators import catalogue
from operators.catalogue import TUNER

PATIENCE = 2  # generations without improvement before parents are chosen more broadly
EXHAUSTED = 256  # requests in a row for which no operator had anything new
GIVEN = ("seed", "imported")  # programs that came with the run: their verdicts cost no budget
PASSED, SAME_CODE = "passed", "same code"  # what becomes of a program that does not fail


class Search:
    """Asks for programs, is told of their fate, and holds the archive."""

    def __init__(
        self, seed: int, population: int, generations: int, policy: str = "archive", rules: Rules | None = None,
        limits: Limits | None = None, basis: Basis = Basis.PREDICTED,
    ) -> None:  # fmt: skip
        self.rules, self.limits = rules or Rules(), limits or Limits()
        self.archive = Archive(basis, objectives=self.rules.objectives)
        self.structures = Structures(self.rules)
        self.letters = Correspondence(self.rules)
        self.pending: dict[int, Candidate] = {}  # proposed, not judged yet
        self.seeds: list[str] = []
        self.failed_seeds: list[tuple[Candidate, Failure]] = []
        self.generations, self.population = generations, population
        self.given: Counter[str] = Counter()  # seeds by fate: PASSED, SAME_CODE, or the stage at which one failed
        self.evaluations = 0  # verdicts that count: all but those on seeds
        self.refusals = 0
        self.dry = 0  # refusals since the last proposal
        self.improved_at = 0  # evaluations at the last improvement
        self.gpu_seconds = 0.0
        self.stopped: str | None = None  # why somebody else ended it
        self._policy = policies.make(policy, self.rules)
        shares = bandit.shares(self.rules, self._policy.crosses, self._policy.tunes)
        macros = Macros(self.rules.macro and TUNER in shares)
        self.learned = Learning(self._policy, self.archive, self.structures, macros)
        self.bandit, self.credit = self.learned.bandit, self.learned.credit
        self._choosing = Choosing(
            seed, self.rules, self._policy, shares, self.archive, self.seeds, self.structures, self.letters,
            self.learned,
        )  # fmt: skip
        self._known: dict[str, str] = {}  # fingerprint -> id
        self._numbers = Numbers()

    def ask(self, count: int, models: tuple[str, ...] = ()) -> tuple[Request, ...]:
        """Return up to `count` requests; none while no program has passed or the budget is handed out.

        Where there is no seed, models write programs and repair them until one passes.
        `models` may be asked now. A request that names one is out once the search is told that it was asked.
        """
        if self.done:
            return ()
        if self.archive.best is None:
            if not (self.seedless and models):
                return ()
            return tuple(self._choosing.first(self._numbers.take(), models) for _ in range(min(count, self._room)))
        return tuple(
            self._choosing.request(self._numbers.take(), models, self._moment) for _ in range(min(count, self._room))
        )

    @property
    def leads(self) -> bool:
        """Whether operators that ask no model may be asked while every model is busy: until their share is used."""
        return self.letters.leads(self.budget)

    @property
    def _room(self) -> int:
        """Evaluations that nobody has been asked for yet."""
        waiting = len(self.letters.out) + sum(c.operator not in GIVEN for c in self.pending.values())
        return self.budget - self.evaluations - waiting

    @property
    def _moment(self) -> Moment:
        return Moment(self.budget, self._room, self.stagnant, self.dry > 0, self._settled)

    @property
    def _settled(self) -> bool:
        """Whether the last part of the budget has begun, nothing has improved for as long, or little new is left."""
        part = bandit.JOINING * self.budget
        return self._room <= part or self.evaluations - self.improved_at >= part or self.dry >= EXHAUSTED // 2

    @property
    def seedless(self) -> bool:
        """Whether the search was given no program to begin with."""
        return not self.seeds

    def tell(self, event: Event) -> None:
        """Fold one event into the state."""
        if isinstance(event, Proposed):
            self._propose(event)
        elif isinstance(event, Judged):
            self._judge(event)
        elif isinstance(event, Refused):
            self._refuse(event)
        elif isinstance(event, Measured):
            self._measure(event)
        elif isinstance(event, Extended):
            self._extend(event)
        elif isinstance(event, Learned):
            self.credit.learn(event.outcomes, event.shipped)
        elif isinstance(event, Stopped):
            self.stopped = event.why
        elif isinstance(event, Asked):
            self._numbers.answered(event.number)
            self.letters.ask(event)
        elif isinstance(event, Answered):
            self.letters.answer(event)
        elif isinstance(event, Started):
            raise ValueError("a search is started once, by its constructor")

    def _propose(self, event: Proposed) -> None:
        candidate = event.candidate
        self._numbers.answered(event.number)
        self.dry = 0
        self.pending[event.number] = candidate
        self.letters.proposed(event.number, candidate.operator)
        self._known.setdefault(candidate.fingerprint, candidate.id)
        parents = (self.archive[p].candidate.structure for p in candidate.parents if p in self.archive)
        self.structures.proposed(event.number, candidate, parents)
        if candidate.operator in GIVEN:
            self.seeds.append(candidate.id)

    def _judge(self, event: Judged) -> None:
        candidate = self.pending.pop(event.number, None)
        if candidate is None:
            raise ValueError(f"verdict on request {event.number}, which is not pending: told twice, or never proposed")
        given = candidate.operator in GIVEN
        self.evaluations += not given
        self.gpu_seconds += event.gpu_seconds
        if event.evaluation.failure is not None and candidate.operator == "seed":
            self.failed_seeds.append((candidate, event.evaluation.failure))
        if self.archive.add(candidate, event.evaluation):
            self.improved_at = self.evaluations
        if given:
            failed, fate = event.evaluation.failure, PASSED if candidate.id in self.archive else SAME_CODE
            self.given[fate if failed is None else failed.stage.value] += 1
        self._teach(event, candidate, given)

    def _teach(self, event: Judged, candidate: Candidate, given: bool) -> None:
        """Tell of a verdict whoever learns from it."""
        archive = self.archive
        entry = archive.get(candidate.id)
        time_us = (
            entry.score_us if entry is not None else (event.evaluation.score_us if event.evaluation.passed else None)
        )
        self.structures.judged(event.number, candidate, time_us, self._best_us, entry is not None)
        self.letters.failed(event, candidate)
        if given:
            if entry is not None:
                self._policy.seeded(entry, archive.published(entry))
            return
        name, cost = self.letters.ended(event.number, candidate.operator)
        self.learned.judged(event, candidate, name, 1.0 + cost, time_us, self.evaluations / self.budget)
        self._settle()

    def _settle(self) -> None:
        """Have structures judged whose trials are over: all of them where nothing is left for trials."""
        spoken_for = bool(self.letters.requests) and self._choosing.part(self.budget, self._room) >= 1
        self.learned.settle(self.done or spoken_for, self.evaluations / self.budget)

    def _refuse(self, event: Refused) -> None:
        self._numbers.answered(event.number)
        self.refusals += 1
        self.dry += not catalogue.parts(event.operator)[1]  # a model that did not answer says nothing of the best
        self.letters.refused(event)
        name, cost = self.letters.ended(event.number, event.operator)
        self.learned.refused(name, cost)
        if event.operator == TUNER and event.parents and event.parents[0] in self.archive:
            self.structures.spent(self.archive[event.parents[0]].candidate.structure)
        self._settle()

    def _measure(self, event: Measured) -> None:
        """Take what a device said of a program; a seed that fails there stops the run."""
        candidate, e = self.archive[event.candidate].candidate, event.evaluation
        self.archive.measure(event.candidate, e)
        entry = self.archive[event.candidate]
        if e.failure is not None or self.archive.basis is Basis.MEASURED:
            self.structures.remeasured(candidate, None if e.failure is not None else entry.score_us)
            self._settle()
        self._policy.remeasured(entry, e.passed, self.archive.published(entry))
        if e.failure is not None and candidate.operator == "seed":
            self.failed_seeds.append((candidate, e.failure))

    def _extend(self, event: Extended) -> None:
        """Go on: with more evaluations, other limits, or both."""
        self.generations = event.generations
        self.limits = replace(self.limits, **event.limits)
        self.dry = 0
        self.stopped = None

    def known(self, fingerprint: str) -> bool:
        """Tell whether a program was proposed before, whatever its comments and formatting."""
        return fingerprint in self._known

    @property
    def _best_us(self) -> float | None:
        return self.archive[self.archive.best].score_us if self.archive.best else None

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
    def stop(self) -> str | None:
        """Why no more requests will come, as one of the names in stopping; None while they will."""
        return stopping.EVALUATIONS if self.evaluations >= self.budget else self.ended

    @property
    def ended(self) -> str | None:
        """Why more evaluations would change nothing, or may not be made."""
        if self.exhausted:
            return stopping.EXHAUSTED
        best = self.archive.best
        roofline = self.archive[best].roofline or 0.0 if best and self.limits.stop_at_roofline is not None else 0.0
        unimproved = self.evaluations - self.improved_at
        return self.stopped or stopping.reached(self.limits, roofline, unimproved, self.gpu_seconds)

    @property
    def done(self) -> bool:
        """Whether no more requests will come."""
        return self.stop is not None

    @property
    def stagnant(self) -> bool:
        """Whether the best is old."""
        return self.dry > 0 or self.evaluations - self.improved_at >= PATIENCE * self.population
