"""Holds conversations with models beside the search: many at once, in a thread of its own, every answer kept first.

It has a pool's shape. `submit` begins a request, `wait` gives those that ended, `free` says how many more may begin. A
request that was out when a process died is submitted again under its number: what is in the file of calls is replayed
into the conversation, and only what was never answered is asked, word for word as it stood there.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from archives.candidate import Candidate
from evo_kernel.calls import Asking, Calls
from operators.llm.budget import Amount, Budget
from operators.llm.caller import Caller
from operators.llm.errors import BUDGET, ModelError
from operators.llm.model import Model, Prompt
from operators.llm.operators import Talker
from operators.llm.providers import Client, client
from operators.llm.retries import Clock, Patience, RealClock
from operators.proposal import Context, Proposal, ProposalError


@dataclass(frozen=True, slots=True)
class Said:
    """How a request ended: with a program, or why not; and what it used, here and before a kill."""

    asking: Asking
    proposal: Proposal | None
    why: str
    used: Amount
    seconds: float


class Proposer:
    """Runs operators that ask models. One thread may use it; its own thread does the asking."""

    def __init__(
        self, talkers: Sequence[Talker], models: Sequence[Model], budget: Budget, calls: Calls, *,
        concurrency: int = 4, patience: Patience | None = None, clock: Clock | None = None,
        connect: Callable[[Model], Client] = client,
    ) -> None:  # fmt: skip
        self._talkers = {t.name: t for t in talkers}
        self._calls, self._budget, self._width = calls, budget, concurrency
        self._clock = clock or RealClock()
        clients: Mapping[str, Client] = {m.label: connect(m) for m in models}
        self._caller = Caller(clients, models, budget, patience or Patience(), self._clock)
        self._labels = [m.label for m in models]
        self._done: queue.Queue[Said | BaseException] = queue.Queue()
        self._out: dict[int, Future[None]] = {}
        self._broke: str | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proposer", daemon=True)
        self._thread.start()

    @property
    def models(self) -> list[str]:
        """The models that may still be asked; none once the budget is used up."""
        return [] if self._broke else [m for m in self._labels if m not in self._caller.down]

    @property
    def notes(self) -> list[str]:
        """What a person must know: models put down, and a budget that is used up."""
        return [*self._caller.down.values(), *([self._broke] if self._broke else [])]

    def free(self) -> int:
        """Say how many more requests may begin now."""
        return max(0, self._width - len(self._out)) if self.models else 0

    def submit(self, asking: Asking, parents: Sequence[Candidate], context: Context) -> None:
        """Begin a request, or go on with one that a killed process had begun."""
        if asking.operator not in self._talkers or asking.model not in self._labels:
            raise ValueError(f"request {asking.number} asks {asking.model} by {asking.operator}: not in this run")
        self._calls.ask(asking)
        work = self._finish(asking, parents, context)
        self._out[asking.number] = asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait(self, seconds: float) -> list[Said]:
        """Return requests that ended, after at most so long; each is told once."""
        ended: list[Said] = []
        if not self._out:
            return ended
        try:
            one = self._done.get(timeout=seconds)
            while True:
                if isinstance(one, BaseException):
                    raise one
                self._out.pop(one.asking.number)
                ended.append(one)
                one = self._done.get_nowait()
        except queue.Empty:
            return ended

    def close(self) -> None:
        """Stop asking; what is out stays in the file of calls and is taken up when the run is resumed."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        others = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._caller.close()

    async def _finish(self, asking: Asking, parents: Sequence[Candidate], context: Context) -> None:
        """Hold the conversation and put its end where `wait` looks."""
        began = self._clock.now()
        try:
            proposal, why = await self._converse(asking, parents, context), ""
        except (ProposalError, ModelError) as error:
            proposal, why = None, str(error)
            if isinstance(error, ModelError) and error.kind is BUDGET:
                self._broke = f"models are not asked any more: {error}"
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  a bug of this thread must stop the run, not vanish with it
            self._done.put(error)
            return
        used = self._calls.cost(asking.number)
        self._done.put(Said(asking, proposal, why, used, self._clock.now() - began))

    async def _converse(self, asking: Asking, parents: Sequence[Candidate], context: Context) -> Proposal:
        """Run an operator's conversation, each turn from the file if it is there."""
        talk = self._talkers[asking.operator].converse(parents, context)
        known = self._calls.turns(asking.number)
        turn, prompt = 0, next(talk)
        while True:
            if turn < len(known):
                stored = known[turn]
                reply = stored.reply
                if reply is None:
                    reply = await self._ask(asking, turn, stored.prompt)
            else:
                self._calls.say(asking.number, turn, prompt)
                reply = await self._ask(asking, turn, prompt)
            try:
                prompt = talk.send(reply)
            except StopIteration as end:
                proposal: Proposal = end.value
                return proposal
            turn += 1

    async def _ask(self, asking: Asking, turn: int, prompt: Prompt) -> str:
        """Ask a model and keep its answer before anybody sees it."""
        key = f"{self._calls.run}/{asking.number}/{turn}"
        account = self._calls.account(asking.number, asking.model)
        answer = await self._caller.ask(asking.model, prompt, key, account)
        if answer.reply is None:
            raise answer.failure or AssertionError("an answer is a reply or a failure")
        self._calls.hear(asking.number, turn, answer.reply.text, answer.reply.usage)
        return answer.reply.text
