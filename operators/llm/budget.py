"""What models may cost: every attempt reserves the most it can use before it is made, and settles afterwards.

Amounts are whole numbers (tokens, 10^-12 dollars), so sums are exact. What was reserved can never exceed a limit, and
an attempt can use no more than it reserved: its output is limited by the request, and a prompt has no more tokens than
bytes. An attempt whose answer was lost on the way may have been billed, so it counts as all that it had reserved.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from operators.llm.model import Limits, Model, ModelSpecError, Prompt, Usage, dollars

MOST = 1 << 56  # of tokens and of 10^-12 dollars (72,000 dollars) in one attempt: sums of many fit into 64 bits


class OverBudget(Exception):
    """A call that would exceed a limit, of the run or of one `model`.

    `later`: it may fit once calls that are out have settled.
    """

    def __init__(self, message: str, later: bool, model: str = "") -> None:
        super().__init__(message)
        self.later, self.model = later, model


@dataclass(frozen=True, slots=True)
class Amount:
    """Tokens, 10^-12 dollars and calls."""

    tokens: int = 0
    dollars: int = 0
    calls: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.tokens + other.tokens, self.dollars + other.dollars, self.calls + other.calls)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(self.tokens - other.tokens, self.dollars - other.dollars, self.calls - other.calls)


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one attempt may use at most, and for how long it may run."""

    model: str
    amount: Amount
    seconds: float


RUN = ""  # the account of the whole run, beside one for each model


class Budget:
    """Accounts of a run and its models. Safe to use from threads and from coroutines; no method waits."""

    def __init__(
        self, models: Iterable[Model], limits: Limits, now: Callable[[], float],
        spent: Mapping[str, Amount] | None = None, elapsed: float = 0.0,
    ) -> None:  # fmt: skip
        self._models = {m.label: m for m in models}
        self._limits = {RUN: limits, **{m.label: m.limits for m in self._models.values()}}
        _check_prices(self._models.values(), self._limits)
        self._now, self._began = now, now() - elapsed
        self._spent = {name: Amount() for name in self._limits}
        for name, amount in (spent or {}).items():
            self._spent[name] = self._spent.get(name, Amount()) + amount
            self._spent[RUN] += amount
        self._held = {name: Amount() for name in self._limits}
        self._lock = threading.Lock()
        self._waiters: list[Callable[[], None]] = []

    def reserve(self, model: Model, prompt: Prompt) -> Reservation:
        """Set aside the most that one attempt can use, or raise OverBudget and set nothing aside."""
        price = model.price.most(prompt.most_tokens, model.output) if model.price else 0
        amount = Amount(model.most(prompt), price if model.counted else 0, 1)
        if max(amount.tokens, amount.dollars) > MOST:
            raise OverBudget(
                f"a call may cost {dollars(amount.dollars)}, more than is counted here", False, model.label
            )
        with self._lock:
            seconds = min(model.seconds, *(self._left(name) for name in (RUN, model.label)))
            for name in (RUN, model.label):
                self._check(name, amount)
            for name in (RUN, model.label):
                self._held[name] += amount
        return Reservation(model.label, amount, seconds)

    def settle(self, reservation: Reservation, used: Amount) -> None:
        """Count what an attempt used and give the rest back."""
        with self._lock:
            for name in (RUN, reservation.model):
                self._held[name] -= reservation.amount
                self._spent[name] += used
            waiters, self._waiters = self._waiters, []
        for wake in waiters:
            wake()

    def used(self, reservation: Reservation, usage: Usage | None) -> Amount:
        """Return what an answered attempt used: what was counted, or else what was reserved.

        A count beyond MOST is none. A recording repeats what its answers used once: now they use nothing but a call.
        """
        model = self._models[reservation.model]
        if usage is None or not model.counted:
            return reservation.amount
        counted = Amount(usage.tokens, model.price.of(usage) if model.price else 0, 1)
        return counted if max(counted.tokens, counted.dollars) <= MOST else reservation.amount

    def when_settled(self, wake: Callable[[], None]) -> None:
        """Call `wake` once, from any thread, after the next settling."""
        with self._lock:
            self._waiters.append(wake)

    def spent(self, name: str = RUN) -> Amount:
        """Return what the run, or one model, has used."""
        with self._lock:
            return self._spent[name]

    def held(self, name: str = RUN) -> Amount:
        """Return what is set aside for attempts that are out."""
        with self._lock:
            return self._held[name]

    def elapsed(self) -> float:
        """Return the run's wall time so far, that of earlier processes included."""
        return self._now() - self._began

    def _left(self, name: str) -> float:
        limit = self._limits[name].seconds
        left = float("inf") if limit is None else limit - self.elapsed()
        if left <= 0:
            raise OverBudget(f"{_whose(name)} wall time of {limit:g} s is used up", later=False, model=name)
        return left

    def _check(self, name: str, more: Amount) -> None:
        limits, spent = self._limits[name], self._spent[name]
        for what, limit in (("tokens", limits.tokens), ("dollars", limits.dollars), ("calls", limits.calls)):
            if limit is None:
                continue
            wanted, gone = getattr(more, what), getattr(spent, what)
            if gone + getattr(self._held[name], what) + wanted > limit:
                show = dollars if what == "dollars" else str
                raise OverBudget(
                    f"{_whose(name)} budget of {show(limit)} {'' if what == 'dollars' else what + ' '}has "
                    f"{show(max(0, limit - gone))} left, and a call may use {show(wanted)}",
                    later=gone + wanted <= limit,
                    model=name,
                )


def _whose(name: str) -> str:
    return f"the {name} model's" if name else "the run's"


def _check_prices(models: Iterable[Model], limits: Mapping[str, Limits]) -> None:
    """Refuse a dollar budget where the price of a model that bills by the token is not known."""
    for model in models:
        capped = limits[RUN].dollars is not None or model.limits.dollars is not None
        if capped and model.price is None and model.counted:
            raise ModelSpecError(
                f"a dollar budget needs the price of {model.label}: give --price {model.label}=INPUT/OUTPUT, its "
                "dollars per million tokens (0/0 for a server of your own), or its [[models]] table in a configuration"
            )
