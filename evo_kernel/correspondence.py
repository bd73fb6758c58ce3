"""What a search knows of its requests to models: those that are out, what answers used, failures that wait for repair.

All of it is a function of events, so that a run rebuilt from its journal knows the same.
"""

from collections.abc import Sequence

from archives.candidate import Candidate
from archives.events import Answered, Asked, Judged, Refused
from evo_kernel.rules import Rules
from fitness.evaluation import Stage
from operators import catalogue
from operators.llm.budget import Amount
from operators.llm.model import PICO

REFLECT = "reflect"
PORTING = "generate"  # by which a kernel of another language is ported
BROKEN = 32  # failures that are remembered for repair
CALL = 1.0  # what a call costs that has no price, in evaluations
REASONS = 4  # for which a model gave an operator no answer that are remembered
NO_ANSWER = "no answer: "  # how a refusal begins that is no fault of a reply, and teaches a model nothing


class Correspondence:
    """Follows every request to a model from the question to the verdict."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.out: dict[int, Asked] = {}  # nothing was proposed or refused yet
        self.answered: set[int] = set()
        self.used: dict[tuple[str, str], Amount] = {}  # by operator and model
        self.requests: dict[tuple[str, str], int] = {}
        self.unanswered: dict[tuple[str, str], dict[str, int]] = {}  # how often and why, the latest reason last
        self.plain = 0  # programs by operators that ask nobody
        self._asked: dict[int, Asked] = {}  # until there is a verdict or a refusal
        self._costs: dict[int, float] = {}  # in evaluations, likewise
        self._broken: dict[str, Candidate] = {}  # nobody was asked to repair these, oldest first

    def ask(self, event: Asked) -> None:
        """Note a question; a failure that it is about waits no more."""
        self.out[event.number] = self._asked[event.number] = event
        pair = (event.operator, event.model)
        self.requests[pair] = self.requests.get(pair, 0) + 1
        if event.operator == REFLECT:
            self._broken.pop(event.parents[0], None)

    def answer(self, event: Answered) -> None:
        """Note what an answer used."""
        asked = self._asked[event.number]
        pair = (asked.operator, asked.model)
        amount = Amount(event.tokens, event.dollars, event.calls)
        self.used[pair] = self.used.get(pair, Amount()) + amount
        self.answered.add(event.number)
        worth = self._rules.evaluation_dollars * PICO
        self._costs[event.number] = event.dollars / worth if event.dollars else CALL * event.calls

    def proposed(self, number: int, operator: str) -> None:
        """Note that a request became a program."""
        self.out.pop(number, None)
        self.plain += operator in self._rules.operators

    def ended(self, number: int, operator: str) -> tuple[str, float]:
        """Forget a request; return what it is chosen by, and what its calls cost, in evaluations."""
        self.out.pop(number, None)
        asked = self._asked.pop(number, None)
        cost = self._costs.pop(number, 0.0)
        return (operator if asked is None else catalogue.arm(operator, asked.model)), cost

    def refused(self, event: Refused) -> None:
        """Note why a request to a model got no answer, if that is what became of it."""
        asked = self._asked.get(event.number)
        if asked is not None and event.why.startswith(NO_ANSWER):
            reasons = self.unanswered.setdefault((asked.operator, asked.model), {})
            why = event.why.removeprefix(NO_ANSWER)
            reasons[why] = reasons.pop(why, 0) + 1
            if len(reasons) > REASONS:
                del reasons[next(iter(reasons))]

    def failed(self, event: Judged, candidate: Candidate) -> None:
        """Remember a failure that a model may repair: one of the program, not of the machine."""
        failure = event.evaluation.failure
        if failure is not None and failure.stage is not Stage.MACHINE:
            self._broken[candidate.id] = candidate
            while len(self._broken) > BROKEN:
                del self._broken[next(iter(self._broken))]

    def broken(self) -> Candidate | None:
        """Return the newest failure that waits: of those that models wrote, else of all."""
        newest = list(reversed(self._broken.values()))
        return next((c for c in newest if c.operator in catalogue.MODEL_ARITY), next(iter(newest), None))

    def leads(self, budget: int) -> bool:
        """Tell whether operators that ask nobody may go on while all models are busy: until their share is used."""
        return self.plain < (1 - self._rules.model_share) * budget

    def part(self, budget: int, left: int) -> float:
        """Return the models' share of what is left: more than their share of all, where the others went ahead."""
        owed = self._rules.model_share * budget - sum(self.requests.values())
        return max(self._rules.model_share, min(1.0, owed / max(1, left)))

    def shares(self, models: Sequence[str], crosses: bool) -> dict[str, float]:
        """Return what may be chosen now, each operator with each model, and equal shares of one."""
        able = [
            name for name in self._rules.model_operators
            if (name != REFLECT or self._broken) and (catalogue.MODEL_ARITY[name] < 2 or crosses)
        ]  # fmt: skip
        if self._rules.port is not None:
            models = [m for m in models if (PORTING, m) not in self.requests] or models
            able = [PORTING] if (PORTING, models[0]) not in self.requests else able
        arms = [catalogue.arm(name, model) for name in able for model in models]
        return {name: 1 / len(arms) for name in arms}


def joined(plain: dict[str, float], asking: dict[str, float], share: float) -> dict[str, float]:
    """Give operators that ask models a share of all; those of nothing are left out."""
    if not asking:
        return plain
    whole = sum(plain.values())
    found = {n: s / whole * (1 - share) for n, s in plain.items()} | {n: s * share for n, s in asking.items()}
    return {n: s for n, s in found.items() if s > 0}


def alone(shares: dict[str, float]) -> dict[str, float]:
    """Return the shares of what needs no second parent."""
    return {name: share for name, share in shares.items() if catalogue.arity(name) < 2}
