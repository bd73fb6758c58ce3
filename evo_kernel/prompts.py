"""Shows the prompt that an operator would send now, for a task or in the state of a run."""

from pathlib import Path

import numpy as np

from archives.candidate import Candidate, fingerprint
from archives.events import Judged, Proposed
from archives.journal import Journal
from evo_kernel import calls, examples
from evo_kernel.briefs import History, folded, judged
from evo_kernel.config import Settings
from evo_kernel.errors import RunError
from evo_kernel.pools import judge_now, one_judge
from evo_kernel.runs import fold_events
from evo_kernel.talks import remembered
from fitness import targets
from fitness.evaluation import Evaluation
from operators.knobs import structure
from operators.knowledge.library import Library
from operators.llm.briefing import Briefed, Tried
from operators.llm.model import Prompt
from operators.llm.operators import Talker, talkers
from operators.proposal import ProposalError
from suites import Task


def names() -> list[str]:
    """List the operators that ask a model."""
    return [t.name for t in talkers()]


def of_run(folder: Path, operator: str, size: int | None = None) -> Prompt:
    """Return the first prompt of an operator in the present state of a run, by its own settings but for the size."""
    with Journal.read(folder) as journal:
        events = list(journal.events())
    state = fold_events(events, str(folder))
    history = folded(events, state.settings.max_perf_debug_num)
    if (folder / calls.FILE).is_file():
        said = calls.Calls(folder, reading=True)
        history.learn(said)
        said.close()
    settings = state.settings if size is None else state.settings.model_copy(update={"context": size})
    known = examples.shown(folder, settings.archives, state.task)
    waiting = state.search.letters.broken()
    broken = None if waiting is None else history.find(waiting.id) or judged(events, waiting.id)
    return _prompt(_talker(operator, settings), state.task, settings, history, known, broken)


def of_task(task: Task, operator: str, settings: Settings, program: str | None, port: str | None) -> Prompt:
    """Return the first prompt of an operator for a program of a task, or its seed, which is judged here and now.

    A repair needs a failure: where no program is given, the failure shown is that of a seed cut off in its middle.
    """
    talker = _talker(operator, settings)
    history = History()
    sources = _sources(task, talker, program)
    if sources:
        judge = one_judge(task, settings)
        try:
            for source in sources:
                _remember(history, source, judge_now(judge, source, task.cases, {}, confirm=False))
        finally:
            judge.close()
    known = examples.of_task(settings.archives, task)
    return _prompt(talker, task, settings.model_copy(update={"port": port or settings.port}), history, known)


def _talker(operator: str, settings: Settings) -> Talker:
    able = talkers(settings.context, settings.max_perf_debug_num)
    found = next((t for t in able if t.name == operator), None)
    if found is None:
        raise RunError(f"no operator named {operator!r} asks a model; those that do: {', '.join(names())}")
    return found


def _sources(task: Task, talker: Talker, program: str | None) -> list[str]:
    """Choose the programs to judge: as many as the operator takes."""
    if not talker.arity:
        return []
    first = program if program is not None else task.seeds[0].source
    if talker.name == "reflect" and program is None:
        first = first[: len(first) // 2]
    second = next((s.source for s in task.seeds if s.source != first), None)
    if talker.arity == 2 and second is None:
        raise RunError(
            f"{talker.name} needs two programs and {task.name} has one seed: give --program FILE or --run RUN"
        )
    return [first, *([second] if talker.arity == 2 and second is not None else [])]


def _remember(history: History, source: str, evaluation: Evaluation) -> None:
    candidate = Candidate(source, "seed", "the program given", (), fingerprint(source), structure(source))
    history.tell(Proposed(0, candidate))
    history.tell(Judged(0, evaluation))


def _prompt(
    talker: Talker, task: Task, settings: Settings, history: History, known: Library, broken: Tried | None = None
) -> Prompt:
    """Begin the conversation and return what it says first."""
    chip = targets.find(settings.target)
    parents = _parents(talker, history, broken)
    brief = history.brief(task, chip, parents, talker.name, known, remembered(settings), settings.port)
    context = Briefed(np.random.default_rng(settings.seed), lambda mark: False, chip.name, chip.backend, brief=brief)
    given = [Candidate(t.source, t.operator, t.intent, t.parents, "", "") for t in parents]
    try:
        return next(talker.converse(given, context))
    except ProposalError as error:
        raise RunError(f"{talker.name} has nothing to ask: {error}") from error


def _parents(talker: Talker, history: History, broken: Tried | None) -> list[Tried]:
    """Choose what the operator is shown: the failure that waits for repair, or the fastest to improve or join."""
    if talker.name == "reflect":
        failure = broken or history.latest_failure()
        if failure is None:
            raise RunError("nothing has failed, so there is nothing to repair: give --program FILE with one that does")
        return [failure]
    ranked = history.ranked()
    if len(ranked) < talker.arity:
        failed = history.latest_failure()
        why = "" if failure_of(failed) is None else f"; the latest failure: {failure_of(failed)}"
        raise RunError(f"{talker.name} needs {talker.arity} programs that passed, got {len(ranked)}{why}")
    return ranked[: talker.arity]


def failure_of(tried: Tried | None) -> str | None:
    """Return why a program failed, in a line."""
    if tried is None or tried.evaluation.failure is None:
        return None
    return f"{tried.evaluation.failure.stage}: {tried.evaluation.failure.message.splitlines()[0]}"
