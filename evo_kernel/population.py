"""The loop around the search: propose, judge, write down, tell. The same class runs inline and as a Ray actor.

Every event is in the journal before the search is told of it, so that a kill at any moment costs the work in
flight and nothing else.
"""

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

from archives.candidate import Candidate, fingerprint
from archives.events import Event, Judged, Proposed, Refused, Stopped
from archives.journal import Journal
from evo_kernel import frozen, runs, secret, stopping, talks
from evo_kernel.ahead import Ahead
from evo_kernel.config import Settings
from evo_kernel.errors import RunError, SeedFailed, Unsettled
from evo_kernel.pools import Done, Pool
from evo_kernel.progress import Progress, passed_seeds, standing
from evo_kernel.requests import Request
from evo_kernel.talks import Talks
from fitness import targets
from fitness.evaluation import Basis, Evaluation, Failure, Mode, Stage
from fitness.walls.standing import UNKNOWN
from operators import making
from operators.catalogue import REWRITE
from operators.knobs import structure
from operators.proposal import Context, Operator, Proposal, ProposalError, Timed
from operators.rewrites.operator import look
from operators.tune.constraints import read
from operators.uncollected import settled
from suites import Task

logger = logging.getLogger(__name__)

ATTEMPTS = 2  # a candidate whose worker was lost gets one more
GLANCE = 0.1  # seconds: how long verdicts alone are awaited while models may answer
TICK = 1.0  # seconds between notes of the wall time used: what a kill may leave uncounted


class Population:
    """Owns one run's search and journal, and keeps a pool busy."""

    def __init__(
        self,
        folder: Path,
        make_pool: Callable[[Task, Settings, int | None], Pool],
        operators: Sequence[Operator] | None = None,
        settings: dict[str, object] | None = None,
    ) -> None:
        self._flying: set[int] = set()  # requests at the pool
        self._attempts: Counter[int] = Counter()  # by request, while it has no verdict
        self._judged_here = 0
        self._ahead = Ahead(look)
        with contextlib.ExitStack() as opened:
            self._journal = opened.enter_context(Journal.append_to(folder))
            state = runs.fold(self._journal)
            self._before, self._opened, self._noted = state.wall_seconds, monotonic(), 0.0
            self.task, self.search = state.task, state.search
            self.settings = state.settings.model_copy(update=settings or {})
            self._constraints = tuple(map(read, self.settings.constraints))
            self._operators = {o.name: o for o in operators or making.make(self.settings.operators)}
            self._check_operators()
            self._check_seeds()
            self._talks = self._open_talks()
            if self._talks is not None:
                opened.callback(self._talks.close)
            seed, self._notes = secret.settle(self._journal, self.settings)
            self._pool = make_pool(self.task, self.settings, seed)
            self._settled = contextlib.ExitStack()
            self._settled.enter_context(settled())  # modules, and what the run remembers: all of it lives on
            opened.pop_all()  # a run that cannot be opened must not stay locked; this one stays open

    def _wait(self, seconds: float) -> None:
        """Wait at most so long for verdicts; where nothing is judged but models are asked, for an answer."""
        asked = bool(self.search.letters.out)
        if asked and not self._flying:
            self._listen(seconds)
            return
        for done in self._pool.wait(min(seconds, GLANCE) if asked else seconds, self._rivals()):
            self._finish(done)

    def _open_talks(self) -> Talks | None:
        """Take up conversations with models, if the run has any."""
        if not self.settings.models:
            return None
        events = self._journal.events()
        opened = Talks(self._journal.folder, self.task, self.settings, self.search, events, self._before)
        if not self.search.done:
            opened.take_up()
        return opened

    def advance(self, seconds: float = 0.5) -> Progress:
        """Give the pool what it can take, wait for verdicts at most so long, write them down."""
        self._watch_clock()
        self._listen(0.0)
        while self._pool.free():
            ready = self._next()
            if ready is None:
                break
            number, candidate = ready
            self._flying.add(number)
            self._attempts[number] += 1
            self._pool.submit(number, candidate.source)
        self._wait(seconds)
        return self.progress()

    @property
    def wall_seconds(self) -> float:
        """For how long the run has been driven, in all its sessions."""
        return self._before + monotonic() - self._opened

    def _watch_clock(self) -> None:
        """Note the wall time, and end the run when it is used: the search itself has no clock."""
        used, limit = self.wall_seconds, self.search.limits.max_minutes
        if used - self._noted >= TICK:
            self._journal.spend(used)
            self._noted = used
        if limit is not None and used >= 60 * limit and not self.search.done:
            self._record(Stopped(stopping.WALL_TIME), 0.0)

    def _rivals(self) -> dict[str, str]:
        """Return what a new program is timed beside: the best seed, and the best of all if that is another."""
        archive = self.search.archive
        seed = min(passed_seeds(self.search), key=lambda e: e.score_us, default=None)
        found = {} if seed is None else {"baseline": seed.candidate.source}
        if archive.best is not None and (seed is None or archive.best != seed.candidate.id):
            found["incumbent"] = archive[archive.best].candidate.source
        return found

    def progress(self) -> Progress:
        """Say where the run stands."""
        notes = self._notes + (() if self._talks is None else self._talks.notes)
        return standing(self.search, self.settings, self._judged_here, self.wall_seconds, notes)

    def close(self) -> None:
        """Stop the workers and close the journal."""
        self._journal.spend(self.wall_seconds)
        if self._talks is not None:
            self._talks.close()
        self._pool.close()
        self._journal.close()
        self._ahead.close()
        self._settled.close()

    def _next(self) -> tuple[int, Candidate] | None:
        """Return the next program to judge: one already proposed, or a new one."""
        for number, candidate in self.search.pending.items():
            if number not in self._flying:
                return number, candidate
        while requests := self._ask():
            request = requests[0]
            if request.model:
                self._consult(request)
            elif (proposed := self._propose(request)) is not None:
                return request.number, proposed
        return None

    def _ask(self) -> tuple[Request, ...]:
        """Ask the search. While every model is busy the others go on, until what is left is the models'."""
        free = () if self._talks is None else self._talks.free
        search = self.search
        waits = search.seedless and search.archive.best is None and not search.done and not search.pending
        if waits and (self._talks is None or not self._talks.models):  # nobody is left to write the first program
            self._record(Stopped(stopping.EXHAUSTED), 0.0)
            return ()
        if self._talks is not None and self._talks.models and not free and not self.search.leads:
            return ()
        return self.search.ask(1, free)

    def _consult(self, request: Request) -> None:
        """Begin a conversation with a model; the journal knows of it first."""
        assert self._talks is not None, "no model is named in a run without models"
        event = talks.asked(request)
        self._record(event, 0.0)
        self._talks.begin(event, request.rng)

    def _listen(self, seconds: float) -> None:
        """Write down what came of conversations that ended; at most so long is waited for the first."""
        if self._talks is None:
            return
        for said in self._talks.wait(seconds):
            asking = said.asking
            if asking.number not in self.search.letters.answered:
                self._record(talks.answered(said), 0.0)
            if said.proposal is None:
                self._record(Refused(asking.number, asking.operator, asking.parents, said.why), said.seconds)
            else:
                self._accept(asking.number, asking.operator, asking.parents, said.proposal, said.seconds)
            self._talks.close_request(said)

    def _propose(self, request: Request) -> Candidate | None:
        """Ask an operator; write down what it gave, or why it gave nothing."""
        started = monotonic()
        parents = tuple(p.id for p in request.parents)
        target = targets.find(self.settings.target)
        known = request.times and self.task.cases  # of a task that its suite's test judges nothing tells cases apart
        timed = Timed(self.task.entry, self.task.cases, request.times) if known else None
        context = Context(
            request.rng, self.search.known, target.name, target.backend, request.relatives, request.pending,
            request.credit, request.lineages, self._constraints, timed, request.ran,
        )  # fmt: skip
        try:
            proposal = self._operators[request.operator].propose(request.parents, context)
        except ProposalError as error:
            self._record(Refused(request.number, request.operator, parents, str(error)), monotonic() - started)
            return None
        return self._accept(request.number, request.operator, parents, proposal, monotonic() - started)

    def _accept(
        self, number: int, operator: str, parents: tuple[str, ...], proposal: Proposal, seconds: float
    ) -> Candidate | None:
        """Write a proposal down, or why it is none."""
        try:
            mark = fingerprint(proposal.source)
            if self.search.known(mark):
                raise ProposalError("the program was proposed before")
            proposal.source.encode()
            made = proposal.structure or structure(proposal.source)
        except ProposalError as error:
            self._record(Refused(number, operator, parents, str(error)), seconds)
            return None
        except (ValueError, ArithmeticError, RecursionError, MemoryError) as error:
            why = f"the program cannot be read: {type(error).__name__}: {error}"
            self._record(Refused(number, operator, parents, why), seconds)
            return None
        candidate = Candidate(proposal.source, operator, proposal.intent, parents, mark, made)
        self._record(Proposed(number, candidate), seconds)
        return candidate

    def _finish(self, done: Done) -> None:
        """Write down a verdict; a lost worker is no verdict, and its candidate is tried once more."""
        if done.limits:
            frozen.hold(self._journal.folder, done.limits)
        evaluation = done.evaluation
        self._flying.discard(done.ticket)
        again = self._attempts[done.ticket] < ATTEMPTS
        if evaluation is not None and self._unsure(done.ticket, evaluation):
            if again:
                logger.warning("the seed is measured again: %s", "; ".join(evaluation.notes))
                return
            raise Unsettled(f"the seed cannot be measured: {'; '.join(evaluation.notes)}. Is somebody else using the "
                           "GPU, or is it too hot? What the run knows is kept: resume it later")  # fmt: skip
        if evaluation is None:
            if again:
                logger.warning("request %d lost its worker and is tried again: %s", done.ticket, done.lost)
                return
            if done.full:
                raise Unsettled(f"{done.lost}. What the run knows is kept: resume it then")
            message = f"two workers were lost while judging it; the last: {done.lost}"
            failure = Failure(Stage.MACHINE, "worker-lost", message)
            evaluation = Evaluation(self.settings.target, Basis(self.settings.basis), UNKNOWN, failure)
        del self._attempts[done.ticket]
        self._judged_here += 1
        judged, candidate = Judged(done.ticket, evaluation, done.gpu_seconds), self.search.pending[done.ticket]
        self._record(judged, done.seconds)
        if self._talks is not None:
            self._talks.learn(judged, candidate)
        if candidate.id in self.search.archive.crowned and REWRITE in self._operators:
            self._ahead.add(candidate.source)  # it may become a parent
        self._check_seeds()

    def _unsure(self, ticket: int, e: Evaluation) -> bool:
        """Tell whether the first program that passed was not confirmed, as the device's clocks moved.

        Everybody else is compared with it: a run without it has nothing to begin with.
        """
        measured = e.basis is Basis.MEASURED and e.mode is Mode.SEALED and e.passed and not e.confirmed
        return measured and self.search.archive.best is None and self.search.pending[ticket].operator == "seed"

    def _record(self, event: Event, seconds: float) -> None:
        """Journal first, then tell."""
        self._journal.append(event, seconds)
        self.search.tell(event)
        if self._talks is not None:
            self._talks.tell(event)

    def _check_operators(self) -> None:
        """Refuse a run whose settings name an operator that nobody gave."""
        absent = [name for name in self.settings.operators if name not in self._operators]
        if absent:
            raise RunError(f"the run asks for operator {absent[0]!r}; given are: {', '.join(self._operators)}")

    def _check_seeds(self) -> None:
        """Stop at once when a seed kernel failed: nothing bred from it would mean anything."""
        for seed in self.search.failed_seeds:
            raise SeedFailed(seed[0].intent, seed[1])
        if self.search.seeds and self.search.archive.best is None and not self.search.pending:
            raise RunError("no seed of this run was confirmed when it was measured: begin a new run")
