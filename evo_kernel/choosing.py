"""What the next request is: a parent, then an operator and its partner, drawn from a generator of the request's own."""

from dataclasses import dataclass

import numpy as np

from archives import selection
from archives.archive import Archive
from archives.candidate import Candidate
from evo_kernel import bandit
from evo_kernel.correspondence import PORTING, REFLECT, Correspondence, alone, joined
from evo_kernel.learning import Learning
from evo_kernel.policies import Policy, View
from evo_kernel.requests import Request
from evo_kernel.rules import Rules
from evo_kernel.structures import Structures
from operators import catalogue
from operators.catalogue import DISPATCH, KNOBS, REWRITE, REWRITE_CROSS, TUNER
from operators.rewrites.kinds import PRODUCTS, kind
from operators.tune.starts import MOST

UNTAUGHT = ("knob-step", "knob-cross")  # operators that look at their parents alone: to gather more takes longer


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a search stands, as far as choices depend on it."""

    budget: int  # evaluations in all
    room: int  # evaluations that nobody was asked for yet
    stagnant: bool
    dry: bool  # whether the last proposals came to nothing
    settled: bool  # whether the budget is nearly used, or little is left to find: programs may be joined


@dataclass(frozen=True)
class Choosing:
    """Chooses from what the search knows, and changes nothing of it."""

    seed: int
    rules: Rules
    policy: Policy
    shares: dict[str, float]  # of requests, by operator that asks no model
    archive: Archive
    seeds: list[str]
    structures: Structures
    letters: Correspondence
    learned: Learning

    def request(self, number: int, models: tuple[str, ...], moment: Moment) -> Request:
        """Choose the parents and their operator; `models` may be asked now."""
        rng = self._rng(number)
        part = self.part(moment.budget, moment.room)
        owed = bool(models) and part >= 1  # all that is left is the models', so that not even a new structure is tuned
        begun = None if owed else self._opening(moment) or self._trial(rng)
        name, parents = begun or self._choice(number, rng, models, moment, part)
        operator, model = catalogue.parts(name)
        structure = parents[0].structure if parents else ""
        known = () if operator in UNTAUGHT else self.structures.relatives(structure)
        pending = self.structures.pending(structure)
        credit = self.learned.outcomes(parents[0]) if operator == REWRITE else {}
        lineages = tuple(map(self.learned.rewrites, parents)) if operator == REWRITE_CROSS else ()
        times = tuple(map(self._times, parents)) if operator == DISPATCH else ()
        ran = self._ran(parents[0]) if operator in (*KNOBS, REWRITE) else frozenset()
        return Request(number, operator, parents, self.seed, model, known, pending, credit, lineages, times, ran)

    def first(self, number: int, models: tuple[str, ...]) -> Request:
        """Have a model write a program from the task alone, or repair one that failed."""
        rng = self._rng(number)
        broken = self.letters.broken()
        repairs = broken is not None and REFLECT in self.rules.model_operators and bool(rng.integers(2))
        parents = (broken,) if repairs and broken is not None else ()
        model = models[int(rng.integers(len(models)))]
        return Request(number, REFLECT if parents else PORTING, parents, self.seed, model)

    def part(self, budget: int, room: int) -> float:
        """Return the models' share now; the bandit keeps none: only 0 and 1 bind it."""
        return self.rules.model_share if self.rules.bandit else self.letters.part(budget, room)

    def _rng(self, number: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(number, 0)))

    def _ran(self, parent: Candidate) -> frozenset[str]:
        """Return the names of a program's kernels that ran in some case; none in open mode, which knows of none."""
        return frozenset(kernel.symbol for kernel in self.archive[parent.id].evaluation.kernels)

    def _times(self, parent: Candidate) -> dict[str, float]:
        return {c.case: c.time_us for c in self.archive[parent.id].evaluation.cases}

    def _opening(self, moment: Moment) -> tuple[str, tuple[Candidate, ...]] | None:
        """Have the tuner begin with what does well on most products: what changes one shows nothing on a poor tile.

        Not right after it had nothing to give: a program whose launches are its test's may have no knobs at all.
        """
        begun = moment.budget - moment.room >= MOST or moment.dry
        if TUNER not in self.shares or begun or self.archive.best is None:
            return None
        best = self.archive[self.archive.best].candidate
        return (TUNER, (best,)) if kind(best.source) == PRODUCTS else None

    def _trial(self, rng: np.random.Generator) -> tuple[str, tuple[Candidate, ...]] | None:
        """Tune a structure that is new, if there is one and a tuner: one that a rewrite or a model made at once."""
        if TUNER not in self.shares:
            return None
        young = self.learned.trial(rng)
        return None if young is None else (TUNER, (young,))

    def _choice(
        self, number: int, rng: np.random.Generator, models: tuple[str, ...], moment: Moment, part: float
    ) -> tuple[str, tuple[Candidate, ...]]:
        """Choose a parent, then an operator; where that takes two and there is no partner, one that takes fewer."""
        first = self.policy.parent(View(self.archive, self.seeds, number, moment.stagnant, moment.dry), rng)
        asking = self.letters.shares(models, self.policy.crosses) if models else {}
        shares = joined(bandit.due(self.shares, moment.settled), asking, part)
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
        if self.rules.bandit:
            return self.learned.bandit.choose(list(shares), rng)
        return bandit.by_shares(shares, rng)
