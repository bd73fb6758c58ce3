"""The search, pure: no I/O, no clock, no handle. State is the fold of events; a request is a function of the state.

    ask(n)      -> the next n requests: an operator and its parents
    tell(event) -> remember what became of one

Every choice for request k is drawn from a generator seeded by (seed, k), so the random state needs no saving: a
search rebuilt from its journal asks the same question next. Requests that were asked and never answered are
asked again.
"""

from dataclasses import replace

import numpy as np

from archives import selection
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
from evo_kernel.correspondence import PORTING, REFLECT, Correspondence, alone, joined
from evo_kernel.learning import Learning
from evo_kernel.macros import Macros
from evo_kernel.numbers import Numbers
from evo_kernel.policies import View
from evo_kernel.requests import Request
from evo_kernel.rules import Limits, Rules
from evo_kernel.structures import Structures
from fitness.evaluation import Basis, Failure
from operators import catalogue
from operators.catalogue import DISPATCH, REWRITE, REWRITE_CROSS, TUNER

PATIENCE = 2  # generations without improvement before parents are chosen more broadly
EXHAUSTED = 256  # requests in a row for which no operator had anything new
UNTAUGHT = ("knob-step", "knob-cross")  # operators that look at their parents alone: to gather more takes longer
GIVEN = ("seed", "imported")  # programs that came with the run: their verdicts cost no budget


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
        self.evaluations = 0  # verdicts that count: all but those on seeds
        self.refusals = 0
        self.dry = 0  # refusals since the last proposal
        self.improved_at = 0  # evaluations at the last improvement
        self.gpu_seconds = 0.0
        self.stopped: str | None = None  # why somebody else ended it
        self._seed = seed
        self._policy = policies.make(policy, self.rules)
        self._shares = bandit.shares(self.rules, self._policy.crosses, self._policy.tunes)
        macros = Macros(self.rules.macro and TUNER in self._shares)
        self.learned = Learning(self._policy, self.archive, self.structures, macros)
        self.bandit, self.credit = self.learned.bandit, self.learned.credit
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
            return tuple(self._first(models) for _ in range(min(count, self._room))) if self.seedless and models else ()
        return tuple(self._request(self._numbers.take(), models) for _ in range(min(count, self._room)))

    @property
    def leads(self) -> bool:
        """Whether operators that ask no model may be asked while every model is busy: until their share is used."""
        return self.letters.leads(self.budget)

    @property
    def _room(self) -> int:
        """Evaluations that nobody has been asked for yet."""
        waiting = len(self.letters.out) + sum(c.operator not in GIVEN for c in self.pending.values())
        return self.budget - self.evaluations - waiting

    def _request(self, number: int, models: tuple[str, ...]) -> Request:
        """Choose the parents and their operator."""
        rng = np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(number, 0)))
        name, parents = (None if self._owed(models) else self._trial(rng)) or self._choice(number, rng, models)
        operator, model = catalogue.parts(name)
        structure = parents[0].structure if parents else ""
        known = () if operator in UNTAUGHT else self.structures.relatives(structure)
        pending = self.structures.pending(structure)
        credit = self.learned.outcomes(parents[0]) if operator == REWRITE else {}
        lineages = tuple(map(self.learned.rewrites, parents)) if operator == REWRITE_CROSS else ()
        times = tuple(map(self._times, parents)) if operator == DISPATCH else ()
        return Request(number, operator, parents, self._seed, model, known, pending, credit, lineages, times)

    def _times(self, parent: Candidate) -> dict[str, float]:
        return {c.case: c.time_us for c in self.archive[parent.id].evaluation.cases}

    @property
    def seedless(self) -> bool:
        """Whether the search was given no program to begin with."""
        return not self.seeds

    def _first(self, models: tuple[str, ...]) -> Request:
        """Have a model write a program from the task alone, or repair one that failed."""
        number = self._numbers.take()
        rng = np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(number, 0)))
        broken = self.letters.broken()
        repairs = broken is not None and REFLECT in self.rules.model_operators and bool(rng.integers(2))
        parents = (broken,) if repairs and broken is not None else ()
        model = models[int(rng.integers(len(models)))]
        return Request(number, REFLECT if parents else PORTING, parents, self._seed, model)

    def _owed(self, models: tuple[str, ...]) -> bool:
        """Tell whether all that is left is the models', so that not even a new structure is tuned."""
        return bool(models) and self._part >= 1

    @property
    def _part(self) -> float:
        """The models' share now; the bandit keeps none: only 0 and 1 bind it."""
        return self.rules.model_share if self.rules.bandit else self.letters.part(self.budget, self._room)

    def _trial(self, rng: np.random.Generator) -> tuple[str, tuple[Candidate, ...]] | None:
        """Tune a structure that is new, if there is one and a tuner: one that a rewrite or a model made at once."""
        if TUNER not in self._shares:
            return None
        young = self.learned.trial(rng)
        return None if young is None else (TUNER, (young,))

    def _choice(
        self, number: int, rng: np.random.Generator, models: tuple[str, ...]
    ) -> tuple[str, tuple[Candidate, ...]]:
        """Choose a parent, then an operator; where that takes two and there is no partner, one that takes fewer."""
        first = self._policy.parent(View(self.archive, self.seeds, number, self.stagnant, self.dry > 0), rng)
        asking = self.letters.shares(models, self._policy.crosses) if models else {}
        shares = joined(self._shares, asking, self._part)
        name = self._operator(shares, rng)
        second = self._partner(name, first, rng)
        if second is None and catalogue.arity(name) == 2:
            name = self._operator(alone(shares), rng)
        return name, self._parents(name, first, second)

    def _partner(self, name: str, first: str, rng: np.random.Generator) -> str | None:
        """Choose a second parent, if an operator takes one: of another cell where structures are crossed."""
        if catalogue.arity(name) < 2:
            return None
        if name == DISPATCH:
            return selection.complement(self.archive, first, rng)
        foreign = bool(catalogue.parts(name)[1]) or name == REWRITE_CROSS
        choose = selection.stranger if foreign else selection.partner
        return choose(self.archive, first, rng, lexical=self.rules.lexicase > 0)

    def _parents(self, name: str, first: str, second: str | None) -> tuple[Candidate, ...]:
        """Return what an operator is given: a failure to repair, or of what passed as many as it takes."""
        broken = self.letters.broken() if catalogue.parts(name)[0] == REFLECT else None
        if broken is not None:
            return (broken,)
        given = [first] if second is None else [first, second]
        return tuple(self.archive[p].candidate for p in given[: catalogue.arity(name)])

    def _operator(self, shares: dict[str, float], rng: np.random.Generator) -> str:
        """Choose by the bandit or by fixed shares."""
        return self.bandit.choose(list(shares), rng) if self.rules.bandit else bandit.by_shares(shares, rng)

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
            self.credit.learn(event.outcomes)
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
        spoken_for = bool(self.letters.requests) and self._part >= 1
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
        roofline = self.archive[best].roofline if best and self.limits.stop_at_roofline is not None else 0.0
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
