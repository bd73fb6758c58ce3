"""Asks models within their budgets: reserve, send, try again, settle; a model that fails for good is put down."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from operators.llm import errors
from operators.llm.budget import Amount, Budget, OverBudget, Reservation
from operators.llm.errors import Kind, ModelError
from operators.llm.model import Client, Model, Prompt, Reply, Usage
from operators.llm.pace import Pace, Sent
from operators.llm.retries import Clock, Patience, persist
from operators.llm.secrets import scrub

logger = logging.getLogger(__name__)

STRIKES = 3  # calls in a row that failed after all retries: the model is put down
USELESS = 12  # calls in a row without a usable answer, whatever the reason, after which a model is not asked any more


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, or why there is none, and what all attempts at it used."""

    reply: Reply | None
    failure: ModelError | None
    used: Amount


class Account(Protocol):
    """Keeps what attempts may cost, and then did, where a kill cannot reach it."""

    def reserve(self, amount: Amount) -> int:
        """Write down what an attempt may use, before it is made; return its number."""

    def settle(self, attempt: int, used: Amount, reply: Reply | None) -> None:
        """Write down at once what it used and what was answered: no kill may come between."""


class NoAccount:
    """Keeps nothing: for calls outside a run."""

    def reserve(self, amount: Amount) -> int:
        """Do nothing."""
        return 0

    def settle(self, attempt: int, used: Amount, reply: Reply | None) -> None:
        """Do nothing."""


class ModelDown(ModelError):
    """A model that failed for good earlier in this process."""


@dataclass(slots=True)
class _Line:
    """One model's client, places, and when it may be asked next."""

    client: Client
    places: asyncio.Semaphore
    pace: Pace
    opens: float = 0.0
    strikes: int = 0
    useless: int = 0
    down: str | None = None
    why: Kind = errors.REQUEST  # it is down

    def wait(self, tokens: int, now: float) -> float:
        """Return the seconds until so many tokens may be asked for: what it was told, and its limits of a minute."""
        return max(self.opens - now, self.pace.wait(tokens, now))


class Caller:
    """Asks any of several models. All calls belong to one event loop."""

    def __init__(self, clients: Mapping[str, Client], models: Sequence[Model], budget: Budget,
                 patience: Patience, clock: Clock) -> None:  # fmt: skip
        self._models = {m.label: m for m in models}
        self._lines = {
            m.label: _Line(
                clients[m.label], asyncio.Semaphore(m.concurrency), Pace(m.requests_per_minute, m.tokens_per_minute)
            )
            for m in models
        }
        self._budget, self._patience, self._clock = budget, patience, clock

    @property
    def down(self) -> dict[str, str]:
        """The models that failed for good, each with its reason."""
        return {name: line.down for name, line in self._lines.items() if line.down is not None}

    async def ask(self, label: str, prompt: Prompt, key: str, account: Account | None = None) -> Answer:
        """Ask one model, within the budget, until it answers or patience ends."""
        model, line = self._models[label], self._lines[label]
        used: list[Amount] = []
        failed: list[ModelError] = []  # attempts: where there is no other, the last of them is why
        async with line.places:
            try:
                reply = await persist(
                    lambda _: self._attempt(model, line, prompt, key, used, account or NoAccount()),
                    self._patience, self._clock, lambda error, pause: self._hold(line, failed, error, pause),
                )  # fmt: skip
            except ModelError as error:
                self._strike(label, line, error)
                why = failed[-1] if failed and isinstance(error, ModelDown) else error
                return Answer(None, why, sum(used, Amount()))
            except OverBudget as error:
                # others may have budgets of their own, or cost less than what is left
                # only a run's limits can be raised
                advice = "" if error.model else "; resume with a higher limit to ask it again"
                line.down = f"{label} is not asked any more: {error}{advice}"
                line.why = errors.BUDGET
                return Answer(None, failed[-1] if failed else ModelDown(line.why, line.down), sum(used, Amount()))
        line.strikes = line.useless = 0
        return Answer(reply, None, sum(used, Amount()))

    async def _attempt(
        self, model: Model, line: _Line, prompt: Prompt, key: str, used: list[Amount], account: Account
    ) -> Reply:
        """Make one attempt inside the budget."""
        reservation, sent = await self._turn(model, line, prompt)
        attempt = account.reserve(reservation.amount)
        reply: Reply | None = None
        usage: Usage | None = None
        amount = reservation.amount  # a call that is cancelled may have been billed
        try:
            answer = await line.client.complete(prompt, reservation.seconds, key)
            reply = replace(answer, text=scrub(answer.text))  # a server or a command may repeat a key
            usage = reply.usage
            amount = self._budget.used(reservation, usage)
        except ModelError as error:
            free = error.usage is None and not error.kind.billed
            amount = Amount(calls=1) if free else self._budget.used(reservation, error.usage)
            usage = error.usage
            raise
        except Exception as error:  # whatever a server can send ends this request, not the run
            logger.debug("%s", model.label, exc_info=True)
            why = f"{model.label} sent what cannot be read: {type(error).__name__}: {error}"
            raise ModelError(errors.UNREADABLE, why) from error
        finally:
            used.append(amount)
            sent.tokens = amount.tokens
            account.settle(attempt, amount, reply)
            self._budget.settle(reservation, amount)
            self._check_count(line, reservation, usage if model.counted else None)
        return reply

    def _check_count(self, line: _Line, reservation: Reservation, usage: Usage | None) -> None:
        """Ask a server no more that counts more than a prompt and an answer can have: no budget holds there."""
        if usage is not None and usage.tokens > reservation.amount.tokens and line.down is None:
            line.down = (
                f"{reservation.model} is not asked any more: it counted {usage.tokens:,} tokens where at most "
                f"{reservation.amount.tokens:,} were possible"
            )
            logger.warning("%s", line.down)

    async def _turn(self, model: Model, line: _Line, prompt: Prompt) -> tuple[Reservation, Sent]:
        """Wait until the model may be asked, within its limits of a minute and within the budget."""
        while True:
            await self._paced(model, line, prompt)
            reservation = await self._reserve(model, prompt)
            if line.wait(model.most(prompt), self._clock.now()) <= 0:  # it may have waited for room in the budget
                return reservation, line.pace.send(model.most(prompt), self._clock.now())
            self._budget.settle(reservation, Amount())

    async def _paced(self, model: Model, line: _Line, prompt: Prompt) -> None:
        while True:
            if line.down is not None:  # also when another call has put it down meanwhile
                raise ModelDown(line.why, line.down)
            wait = line.wait(model.most(prompt), self._clock.now())
            if wait <= 0:
                return
            await self._clock.sleep(wait)

    async def _reserve(self, model: Model, prompt: Prompt) -> Reservation:
        """Reserve, waiting for calls that are out where their settling may make room."""
        loop = asyncio.get_running_loop()
        while True:
            settled = asyncio.Event()
            self._budget.when_settled(partial(_set, loop, settled))
            try:
                return self._budget.reserve(model, prompt)
            except OverBudget as error:
                if not error.later:
                    raise
            await settled.wait()

    def _hold(self, line: _Line, failed: list[ModelError], error: ModelError, pause: float) -> None:
        """Keep why an attempt failed; make all calls of the model wait for what this one was told to wait for."""
        failed.append(error)
        line.opens = max(line.opens, self._clock.now() + pause)

    def _strike(self, label: str, line: _Line, error: ModelError) -> None:
        """Put a model down at once when no retry can help in time, else after a few calls in a row."""
        if isinstance(error, ModelDown):
            return
        line.useless += 1
        line.strikes += error.kind.final or error.kind.transient
        asked_for = error.after or 0.0 if error.kind.transient else 0.0
        line.opens = max(line.opens, self._clock.now() + asked_for)  # also other calls wait after the last attempt
        too_long = asked_for > self._patience.obey
        if line.down is None and (error.kind.final or too_long or line.strikes >= STRIKES or line.useless >= USELESS):
            wait = f"; it asks to wait {asked_for:g} s, so resume later" if too_long else ""
            line.down = f"{label} is not asked any more: {error}{wait}"
            logger.warning("%s", line.down)

    async def close(self) -> None:
        """Close every client."""
        for line in self._lines.values():
            await line.client.close()


def _set(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    """Set an event of a loop from any thread."""
    loop.call_soon_threadsafe(event.set)
