"""Tells whoever learns from outcomes what became of requests: the policy, the bandit, and the credit of operators."""

import numpy as np

from archives.archive import Archive, Entry
from archives.candidate import Candidate
from archives.events import Judged
from evo_kernel import bandit
from evo_kernel.bandit import Bandit
from evo_kernel.correspondence import REFLECT
from evo_kernel.credit import Counts, Credit
from evo_kernel.macros import Macros, Step
from evo_kernel.policies import Policy
from evo_kernel.structures import Structures
from operators.catalogue import REWRITE, REWRITE_CROSS
from operators.rewrites.kinds import kind

IMPORTED = "imported"  # the operator of a program that another run has made
REWRITTEN = ", rewritten by "  # in its intent: before the families that led to it there
TRIALS = 0.25  # share of requests that tune new structures, while there are any: what is best is worked on meanwhile


class Learning:
    """What a run has learned of its operators; a new structure and its trial count as one proposal."""

    def __init__(self, policy: Policy, archive: Archive, structures: Structures, macros: Macros) -> None:
        self.bandit, self.credit, self.macros = Bandit(), Credit(), macros
        self._policy, self._archive, self._structures = policy, archive, structures

    def trial(self, rng: np.random.Generator) -> Candidate | None:
        """Return the fastest program of a structure to tune next: of a macro step at once, of others at times."""
        for structure in self.macros.open:
            if self._structures.room(structure):
                return self._archive[self._structures.best(structure)].candidate
        young = self._structures.on_trial()
        return self._archive[young].candidate if young is not None and rng.random() < TRIALS else None

    def outcomes(self, parent: Candidate) -> dict[str, Counts]:
        """Return how families of rewrites did, in this run and in earlier ones on such kernels of this target."""
        return self.credit.outcomes((self._archive[parent.id].evaluation.target, kind(parent.source)))

    def rewrites(self, candidate: Candidate) -> tuple[str, ...]:
        """Return the intents of the rewrites that led to a program, the oldest first."""
        line = [entry.candidate for entry in self._archive.lineage(candidate.id)]
        intents = (c.intent.partition(REWRITTEN)[2] if c.operator == IMPORTED else c.intent
                   for c in reversed(line) if c.operator in (REWRITE, REWRITE_CROSS, IMPORTED))  # fmt: skip
        return tuple(intent for intent in intents if intent)

    def judged(self, event: Judged, candidate: Candidate, arm: str, cost: float, time_us: float | None,
               spent: float) -> None:  # fmt: skip
        """Hear of a verdict, after its structure has; `cost` is in evaluations, `spent` a share of the budget."""
        began = self._structures.began(candidate)
        target = event.evaluation.target
        if self.macros.continues(candidate, time_us):
            entry = self._archive.get(candidate.id)
            self._credit(candidate, arm, target, event.evaluation.passed, entry, self._gain(candidate, entry))
        elif time_us is None or not self.macros.begins(
            Step(event.number, candidate, target, arm, candidate.id, time_us, cost), began
        ):
            entry = self._archive.get(candidate.id)
            self._tell(event.number, candidate, arm, cost, entry, spent)
            self._credit(candidate, arm, target, event.evaluation.passed, entry, self._gain(candidate, entry))

    def settle(self, done: bool, spent: float) -> None:
        """Tell of the steps that are over, each as its fastest program; all are when the run is done."""
        for step in self.macros.ended(lambda one: self._structures.young(one) and not done):
            entry = self._archive.get(step.best)
            self._tell(step.number, step.first, step.arm, step.cost, entry, spent)
            self._credit(step.first, step.arm, step.target, True, entry, self._of_structure(step, entry))

    def refused(self, arm: str, cost: float) -> None:
        """Hear that an operator had nothing to give."""
        self.bandit.tell(arm, gained=False, cost=bandit.REFUSAL + cost)

    def _tell(self, number: int, candidate: Candidate, arm: str, cost: float, entry: Entry | None,
              spent: float) -> None:  # fmt: skip
        self._policy.judged(number, entry, self._archive, spent)
        self.bandit.tell(arm, self._gained(candidate, entry), cost)

    def _credit(self, candidate: Candidate, arm: str, target: str, passed: bool, entry: Entry | None,
                own: float | None) -> None:  # fmt: skip
        parent = self._parent(candidate)
        kernel = kind(candidate.source if parent is None else parent.candidate.source)
        self.credit.tell(arm, candidate, passed, self._gain(candidate, entry), own, (target, kernel))

    def _of_structure(self, step: Step, entry: Entry | None) -> float | None:
        """Return what a step's structure gained by itself: tuned beside tuned, else as it came beside its parent."""
        parent = self._parent(step.first)
        if entry is None or parent is None:
            return None
        tried, before = self._structures.tuned(parent.candidate.structure)
        if tried < self._structures.tuned(step.first.structure)[0]:
            return self._gain(step.first, self._archive.get(step.first.id))
        return before / entry.score_us if entry.score_us < bandit.GAIN * before else None

    def _gained(self, candidate: Candidate, entry: Entry | None) -> bool:
        """Tell whether a program gained: over its first parent that passed, by repair, or as the best of all."""
        if entry is None or candidate.operator == REFLECT:
            return entry is not None
        if not candidate.parents:
            return self._archive.best == entry.candidate.id
        return self._gain(candidate, entry) is not None

    def _gain(self, candidate: Candidate, entry: Entry | None) -> float | None:
        """Return how much faster a program is than a candidate's first parent that passed; None where it is no gain."""
        parent = self._parent(candidate)
        if entry is None or parent is None or entry.score_us >= bandit.GAIN * parent.score_us:
            return None
        return parent.score_us / entry.score_us

    def _parent(self, candidate: Candidate) -> Entry | None:
        return next((self._archive[p] for p in candidate.parents if p in self._archive), None)
