"""The part of a run that talks with models: what they are told, what they answered, what they may still cost."""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from archives.candidate import Candidate
from archives.events import Answered, Asked, Event, Judged
from archives.journal import Journal
from evo_kernel import examples
from evo_kernel.briefs import folded, judged
from evo_kernel.calls import FILE, Asking, Calls
from evo_kernel.config import Settings
from evo_kernel.correspondence import REFLECT
from evo_kernel.errors import RunError
from evo_kernel.proposer import Proposer, Said
from evo_kernel.requests import Request, own_rng
from evo_kernel.rules import Limits
from evo_kernel.search import Search
from fitness import targets
from fitness.likeness import alike
from operators.llm import lessons, recording, replies
from operators.llm.briefing import Briefed, Tried
from operators.llm.budget import Budget
from operators.llm.errors import ModelError
from operators.llm.lessons import Lesson
from operators.llm.model import Client, Model, ModelSpecError
from operators.llm.model import Limits as ModelLimits
from operators.llm.operators import talkers
from operators.llm.providers import client
from operators.llm.recording import Recorder
from operators.llm.settings import limits as model_limits
from operators.llm.settings import made
from suites import Task

SHOWN = 8  # lessons of other tasks and runs in one prompt


class Talks:
    """Holds a run's conversations with models. What it remembers is in the journal and in the file of calls."""

    def __init__(self, folder: Path, task: Task, settings: Settings, search: Search, events: Iterable[Event],
                 elapsed: float = 0.0) -> None:  # fmt: skip
        self._task, self._settings, self._search = task, settings, search
        self._chip = targets.find(settings.target)
        self._folder = folder
        self._history = folded(events, settings.max_perf_debug_num)
        self._library = examples.of_run(folder, settings.archives, task)
        _require_files(settings)
        if search.letters.used and not (folder / FILE).is_file():
            raise RunError(f"{folder / FILE} is gone, which holds answers and what was paid for them: put it back")
        self._lessons = remembered(settings)
        with contextlib.ExitStack() as opened:
            self._calls = opened.enter_context(contextlib.closing(Calls(folder)))
            self._history.learn(self._calls)
            self._proposer = self._open(search.limits, elapsed)
            opened.pop_all()

    def _open(self, limits: Limits, elapsed: float) -> Proposer:
        """Connect to every model, with what is left to spend."""
        try:
            models = made(self._settings.models)
            budget = Budget(models, _limits(limits), time.monotonic, self._calls.spent(), elapsed)
            able = talkers(self._settings.context, self._settings.max_perf_debug_num)
            width = self._settings.conversations
            return Proposer(able, models, budget, self._calls, concurrency=width, connect=self._connect)
        except (ModelError, ModelSpecError) as error:
            raise RunError(str(error)) from error

    def _connect(self, model: Model) -> Client:
        """Return the client of a model; where a recording is wanted, it is in between."""
        file = self._settings.record
        return client(model) if file is None else Recorder(client(model), Path(file))

    @property
    def models(self) -> tuple[str, ...]:
        """The models that may still be asked."""
        return tuple(self._proposer.models)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person must know of them."""
        return tuple(self._proposer.notes)

    @property
    def free(self) -> tuple[str, ...]:
        """The models with which another conversation may begin now."""
        return tuple(self._proposer.free())

    def take_up(self) -> None:
        """Go on with what was out when an earlier process ended; what the journal knows the end of is closed."""
        for asking in self._calls.open_requests():
            if asking.number not in self._search.letters.out:
                self._calls.close_request(asking.number)
        for asked in list(self._search.letters.out.values()):
            self.begin(asked, own_rng(self._settings.seed, asked.number))

    def begin(self, asked: Asked, rng: np.random.Generator) -> None:
        """Begin a conversation that the journal knows of."""
        parents = [self._tried(identity) for identity in asked.parents]
        brief = self._history.brief(
            self._task, self._chip, parents, asked.operator, self._library, self._lessons, self._settings.port
        )
        context = Briefed(rng, self._search.known, self._chip.name, self._chip.backend, brief=brief)
        given = [Candidate(t.source, t.operator, t.intent, t.parents, "", "") for t in parents]
        self._proposer.submit(Asking(asked.number, asked.operator, asked.model, asked.parents), given, context)

    def _tried(self, identity: str) -> Tried:
        """Return a parent with its verdict: what the history forgot, the archive has; an old failure the journal."""
        found = self._history.find(identity)
        if found is None and (entry := self._search.archive.get(identity)) is not None:
            c = entry.candidate
            found = Tried(c.id, c.source, c.operator, c.intent, c.parents, entry.evaluation)
        if found is None:
            with Journal.read(self._folder) as journal:
                found = judged(journal.events(), identity)
        assert found is not None, f"program {identity} was chosen as a parent and never judged"
        return found

    def wait(self, seconds: float) -> list[Said]:
        """Return the conversations that ended, after at most so long."""
        return self._proposer.wait(seconds)

    def tell(self, event: Event) -> None:
        """Remember an event for later prompts."""
        self._history.tell(event)

    def close_request(self, said: Said) -> None:
        """Note that the journal knows what came of a conversation, and what a repair taught."""
        asking = said.asking
        self._calls.close_request(asking.number)
        if asking.operator == REFLECT and asking.parents:
            for turn in self._calls.turns(asking.number):
                self._history.teach(asking.parents[0], replies.lesson(turn.reply or ""))

    def learn(self, event: Judged, candidate: Candidate) -> None:
        """Keep the lesson of a repair that passed, for other tasks and runs."""
        file = self._settings.lessons
        if file is None or candidate.operator != REFLECT or not event.evaluation.passed:
            return
        said = [replies.lesson(turn.reply or "") for turn in self._calls.turns(event.number)]
        now = time.time()
        try:
            lessons.add(Path(file), [Lesson(text, self._chip.backend, last=now) for text in said if text], now)
        except lessons.LessonsError as error:
            raise RunError(f"{error}; then resume the run") from error

    def close(self) -> None:
        """Stop asking; what is out is taken up when the run is resumed."""
        self._proposer.close()
        self._calls.close()


def answered(said: Said) -> Answered:
    """Return what a conversation used as an event."""
    return Answered(said.asking.number, said.used.tokens, said.used.dollars, said.used.calls)


def asked(request: Request) -> Asked:
    """Return a request to a model as an event."""
    return Asked(request.number, request.operator, request.model, tuple(p.id for p in request.parents))


def require_prices(settings: Settings) -> None:
    """Refuse a dollar budget where a model's price is not known, before anything is written down."""
    Budget(made(settings.models), _limits(settings.limits), time.monotonic)


def require(settings: Settings, task: Task) -> None:
    """Refuse before a run begins what could ask none of its models: no key, no price, no folder, no such file."""
    if settings.models:
        examples.gather(settings.archives, task)
    require_models(settings)


def require_models(settings: Settings) -> None:
    """Refuse models that could not be asked, whatever the task."""
    if not settings.models:
        return
    _require_files(settings)
    models = made(settings.models)
    require_prices(settings)
    clients = [client(model) for model in models]

    async def close() -> None:
        for one in clients:
            await one.close()

    asyncio.run(close())


def settle(folder: Path, settings: Settings, task: Task) -> None:
    """Settle what examples a run that has just begun may show: whoever named its task has the task run here."""
    if settings.models:
        examples.settle(folder, settings.archives, task, alike(task))


def _require_files(settings: Settings) -> None:
    """Refuse files that could not be written once there is something to write."""
    try:
        if settings.lessons is not None:
            lessons.require(Path(settings.lessons))
        if settings.record is not None:
            recording.require(Path(settings.record))
    except (lessons.LessonsError, ModelError) as error:
        raise RunError(str(error)) from error


def _limits(limits: Limits) -> ModelLimits:
    """Return what models may use in a run, all sessions together."""
    seconds = None if limits.max_minutes is None else 60 * limits.max_minutes
    return model_limits(limits.max_cost, limits.max_tokens, limits.max_calls, seconds)


def remembered(settings: Settings) -> Sequence[Lesson]:
    """Return the lessons of other tasks and runs that are shown in this one."""
    if settings.lessons is None:
        return ()
    backend = targets.find(settings.target).backend
    return lessons.chosen(lessons.read(Path(settings.lessons)), backend, time.time(), SHOWN)
