"""Chooses among operators: by fixed shares, or by a bandit over what each gained for what it cost.

All of it is a function of the verdicts and refusals told, so that a run rebuilt from its journal chooses alike. Parents
are chosen before operators: every operator is tried on equally good parents, and a gain is one over the first parent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evo_kernel.rules import Rules
from operators import catalogue
from operators.catalogue import DISPATCH, TUNER

FORGETTING = 0.98  # weight of an outcome after each later one: what paid early need not pay now
CURIOSITY = 0.05  # share of choices made without looking at the past
GAIN = 0.99  # a gain is a time below this share of the first parent's
DISPATCHED = 0.1  # share of requests that join two programs by shape, where the operator is there
JOINING = 0.25  # part of the budget in which all of them are made: its end, or where nothing improves for as long
REFUSAL = 0.1  # cost of a proposal that came to nothing, in evaluations


@dataclass(slots=True)
class Arm:
    """What is remembered of one operator: weighted gains, failures to gain, and cost in evaluations."""

    gains: float = 0.0
    misses: float = 0.0
    cost: float = 0.0

    def forget(self) -> None:
        """Let the past weigh less."""
        self.gains *= FORGETTING
        self.misses *= FORGETTING
        self.cost *= FORGETTING

    def draw(self, rng: np.random.Generator) -> float:
        """Draw a plausible number of gains for the cost of one evaluation."""
        mean_cost = (1 + self.cost) / (1 + self.gains + self.misses)
        return float(rng.beta(1 + self.gains, 1 + self.misses)) / mean_cost


class Bandit:
    """Thompson sampling over operators, with forgetting."""

    def __init__(self) -> None:
        self.arms: dict[str, Arm] = {}

    def tell(self, name: str, gained: bool, cost: float = 1.0) -> None:
        """Remember one outcome."""
        for arm in self.arms.values():
            arm.forget()
        arm = self.arms.setdefault(name, Arm())
        arm.gains += gained
        arm.misses += not gained
        arm.cost += cost

    def choose(self, names: Sequence[str], rng: np.random.Generator) -> str:
        """Choose one of these operators."""
        if rng.random() < CURIOSITY:
            return names[int(rng.integers(len(names)))]
        return max(names, key=lambda name: self.arms.get(name, Arm()).draw(rng))


def shares(rules: Rules, crosses: bool, tunes: bool) -> dict[str, float]:
    """Return the share of requests of each operator that a policy may use; those without any are left out.

    What is not crossed is shared alike by the operators of one parent. A launcher that chooses between two programs
    has a small share of its own: it is of use where two are good at different cases. The tuner takes of the knob
    operators' part: it leaves as much as before to those that change the structure.
    """
    single = [n for n in rules.operators if catalogue.arity(n) < 2 and n != TUNER]
    double = [n for n in rules.operators if catalogue.arity(n) == 2 and n != DISPATCH]
    knobs = [n for n in single if n.startswith("knob-")]
    crossing = rules.crossover if crosses and double else 0.0
    tuning = rules.tuner if tunes and TUNER in rules.operators else 0.0
    parts = len(single) + (tuning > 0 and not knobs)
    joining = DISPATCHED if crosses and DISPATCH in rules.operators and parts else 0.0
    each = (1 - crossing - joining) / parts
    found = {n: each * (1 - tuning) if n in knobs else each for n in single}
    found |= {TUNER: each * max(1, len(knobs)) * (tuning if knobs else tuning > 0)}
    found |= {n: crossing / len(double) for n in double} | {DISPATCH: joining}
    return {n: share for n, share in found.items() if share > 0}


def due(shares: Mapping[str, float], settled: bool) -> dict[str, float]:
    """Return the shares of requests now: two programs are joined by shape when both are as good as they get.

    A launcher that chooses has the kernels of both, each run in some of the cases. What is found afterwards helps one
    of them, so a join that comes early makes all that follows slower, and it gains no less later.
    """
    joining = shares.get(DISPATCH, 0.0) / JOINING if settled else 0.0
    others = {name: share for name, share in shares.items() if name != DISPATCH}
    whole = sum(others.values())
    found = {name: (1 - joining) * share / whole for name, share in others.items()}
    return found | ({DISPATCH: joining} if joining else {})


def by_shares(weights: Mapping[str, float], rng: np.random.Generator) -> str:
    """Draw an operator in proportion to its share; the shares need not add up to one."""
    at, name = rng.random() * sum(weights.values()), ""
    for name, share in weights.items():  # noqa: B007  the last is what rounding leaves
        at -= share
        if at < 0:
            break
    return name
