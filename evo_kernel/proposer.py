"""Holds conversations with models beside the search: many at once, in a thread of its own, every answer kept first.

It has a pool's shape. `submit` begins a request, `wait` gives those that ended, `free` names whom one may be put to. A
request that was out when a process died is submitted again under its number: what is in the file of calls is replayed
into the conversation, and only what was never answered is asked, word for word as it stood there.

Its thread does nothing but wait for models. Prompts are written and replies are read in the thread that calls
`submit` and `wait`, because Python 3.11 cannot parse programs in two threads at once: `ast.parse` then fails at random
with "AST constructor recursion depth mismatch".
"""

import asyncio
import contextlib
import queue
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from archives.candidate import Candidate
from evo_kernel.calls import Asking, Calls, Turn
from evo_kernel.correspondence import NO_ANSWER
from operators.llm.budget import Amount, Budget
from operators.llm.caller import Caller
from operators.llm.errors import ModelError
from operators.llm.model import Client, Model, Prompt
from operators.llm.operators import Conversation, Talker
from operators.llm.providers import client
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
        self._heard: queue.Queue[tuple[int, str | BaseException]] = queue.Queue()
        self._out: dict[int, _Out] = {}
        self._ended: list[Said] = []
        self._asking: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proposer", daemon=True)
        self._thread.start()

    @property
    def models(self) -> list[str]:
        """The models that may still be asked: that did not fail for good, and that the budget can still pay."""
        return [m for m in self._labels if m not in self._caller.down]

    @property
    def notes(self) -> list[str]:
        """What a person must know: models that are not asked any more, and why."""
        return list(self._caller.down.values())

    def free(self) -> list[str]:
        """Name the models that may be asked now: each has its part of the places, so that none blocks another."""
        able = self.models
        if len(self._out) >= self._width:
            return []
        most = -(-self._width // max(1, len(able)))
        busy = Counter(out.asking.model for out in self._out.values())
        return [name for name in able if busy[name] < most]

    def submit(self, asking: Asking, parents: Sequence[Candidate], context: Context) -> None:
        """Begin a request, or go on with one that a killed process had begun."""
        if asking.operator not in self._talkers or asking.model not in self._labels:
            raise ValueError(f"request {asking.number} asks {asking.model} by {asking.operator}: not in this run")
        self._calls.ask(asking)
        talk = self._talkers[asking.operator].converse(parents, context)
        out = _Out(asking, talk, self._calls.turns(asking.number), self._clock.now())
        self._out[asking.number] = out
        self._go_on(out, None)

    def wait(self, seconds: float) -> list[Said]:
        """Return requests that ended, after at most so long; each is told once."""
        patience = 0.0 if self._ended or not self._out else seconds
        with contextlib.suppress(queue.Empty):
            number, heard = self._heard.get(timeout=patience) if patience else self._heard.get_nowait()
            while True:
                self._hear(self._out[number], heard)
                number, heard = self._heard.get_nowait()
        ended, self._ended = self._ended, []
        return ended

    def _hear(self, out: "_Out", heard: str | BaseException) -> None:
        """Go on with a conversation whose question was answered, or was not."""
        if isinstance(heard, str):
            self._go_on(out, heard)
        elif isinstance(heard, ModelError):
            self._end(out, None, f"{NO_ANSWER}{heard}")
        else:
            raise heard  # a bug of the asking thread must stop the run, not vanish with it

    def _go_on(self, out: "_Out", reply: str | None) -> None:
        """Lead a conversation to its next question or its end; turns that the file knows are taken from there."""
        number = out.asking.number
        try:
            while True:
                prompt = next(out.talk) if reply is None else out.talk.send(reply)
                turn, out.turn = out.turn, out.turn + 1
                if turn < len(out.known):
                    prompt, reply = out.known[turn].prompt, out.known[turn].reply
                else:
                    self._calls.say(number, turn, prompt)
                    reply = None
                if reply is None:
                    asyncio.run_coroutine_threadsafe(self._ask(out.asking, turn, prompt), self._loop)
                    return
        except StopIteration as end:
            self._end(out, end.value, "")
        except ProposalError as error:
            self._end(out, None, str(error))

    def _end(self, out: "_Out", proposal: Proposal | None, why: str) -> None:
        number = out.asking.number
        del self._out[number]
        self._ended.append(Said(out.asking, proposal, why, self._calls.cost(number), self._clock.now() - out.began))

    def close(self) -> None:
        """Stop asking; what is out stays in the file of calls and is taken up when the run is resumed."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        asking = list(self._asking)  # and not what they wait for: they end that themselves
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        await self._caller.close()

    async def _ask(self, asking: Asking, turn: int, prompt: Prompt) -> None:
        """Ask a model and put its answer, which is on disk by then, where `wait` looks."""
        key = f"{self._calls.run}/{asking.number}/{turn}"
        if (task := asyncio.current_task()) is not None:
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        try:
            account = self._calls.account(asking.number, asking.model, turn)
            answer = await self._caller.ask(asking.model, prompt, key, account)
            if answer.reply is not None:
                self._heard.put((asking.number, answer.reply.text))
            else:
                self._heard.put((asking.number, answer.failure or AssertionError("neither reply nor failure")))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  it is raised again by `wait`, in the thread that can act on it
            self._heard.put((asking.number, error))


@dataclass(slots=True)
class _Out:
    """A conversation under way: what the file knew of it when it began, and how many turns it has had."""

    asking: Asking
    talk: Conversation
    known: Sequence[Turn]
    began: float
    turn: int = 0
