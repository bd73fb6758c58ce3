"""The operators that ask a model: generate, reflect, optimize, recombine, strategise.

Each is a conversation: it gives prompts, is sent replies, and ends with a proposal. It does no input or output, so
whoever runs it may write every reply down before it is used, and run it again from what was written.
"""

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from archives.candidate import Candidate
from operators.llm import launcher, prompting, refusals, replies
from operators.llm.briefing import Brief, Briefed, Tried
from operators.llm.model import Prompt
from operators.llm.plain import plain
from operators.proposal import Context, Proposal, ProposalError

Conversation = Generator[Prompt, str, Proposal]
Speaker = Callable[[Prompt], str]

MAX_REPAIRS = 5
PLANS = 4
_PROGRESS = re.compile(r'step (\d+) of (\d+) of "([^"]*)": (.*)', re.DOTALL)
_THEN = " | then: "


class Talker(Protocol):
    """An operator that needs replies to make its program."""

    @property
    def name(self) -> str:
        """The name in the journal and in tables."""

    @property
    def arity(self) -> int:
        """How many parents it takes."""

    def converse(self, parents: Sequence[Candidate], context: Context) -> Conversation:
        """Give prompts, take replies, return one program that differs from every parent."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Makes an Operator of a Talker and something that answers prompts at once."""

    talker: Talker
    speak: Speaker

    @property
    def name(self) -> str:
        """The name in the journal and in tables."""
        return self.talker.name

    @property
    def arity(self) -> int:
        """How many parents `propose` takes."""
        return self.talker.arity

    def propose(self, parents: Sequence[Candidate], context: Context) -> Proposal:
        """Hold the whole conversation."""
        talk = self.talker.converse(parents, context)
        try:
            prompt = next(talk)
            while True:
                prompt = talk.send(self.speak(prompt))
        except StopIteration as end:
            proposal: Proposal = end.value
            return proposal


@dataclass(frozen=True, slots=True)
class Generate:
    """Writes a program from the task alone, or ports one: from words, from a PyTorch reference, from another kernel."""

    size: int = prompting.SIZE
    name: str = "generate"
    arity: int = 0

    def converse(self, parents: Sequence[Candidate], context: Context) -> Conversation:
        """Ask once."""
        brief = _brief(context, parents, self)
        code = brief.port or brief.task.source
        extras = [*prompting.knowledge(brief, code), *prompting.mistakes(brief, code)]
        reply = yield prompting.write("generate", brief, extras, self.size)
        return _proposal(reply, None, brief, "a new program" if brief.port is None else "a port")


@dataclass(frozen=True, slots=True)
class Reflect:
    """Repairs a failed program from its record; after too many repairs in a row, asks for new code instead."""

    most: int = MAX_REPAIRS
    size: int = prompting.SIZE
    name: str = "reflect"
    arity: int = 1

    def converse(self, parents: Sequence[Candidate], context: Context) -> Conversation:
        """Ask once."""
        brief = _brief(context, parents, self)
        failed = brief.parents[0]
        if failed.evaluation.passed:
            raise ProposalError(f"program {failed.id} passed: there is nothing to repair")
        extras = [*prompting.knowledge(brief, failed.source), *prompting.mistakes(brief, failed.source)]
        again = brief.repairs < self.most
        reply = yield prompting.write("reflect" if again else "restart", brief, extras, self.size, failed=failed)
        if again:
            return _proposal(reply, failed.source, brief, "a repair")
        made = _proposal(reply, None, brief, "new code after failed repairs")  # it was not shown what it could edit
        replies.check(made.source, failed.source, launcher.of(brief.task))
        return made


@dataclass(frozen=True, slots=True)
class Optimize:
    """Makes a right program faster, shown what was tried with its times, the best last."""

    size: int = prompting.SIZE
    name: str = "optimize"
    arity: int = 1

    def converse(self, parents: Sequence[Candidate], context: Context) -> Conversation:
        """Ask once."""
        brief = _brief(context, parents, self)
        parent = _passed(brief.parents[0])
        extras = [*prompting.history(brief), *prompting.contrast(brief), *_known(brief, parent)]
        reply = yield prompting.write("optimize", brief, extras, self.size, parent=parent)
        return _proposal(reply, parent.source, brief, "an optimisation")


@dataclass(frozen=True, slots=True)
class Recombine:
    """Makes one program of two that are good at different cases."""

    size: int = prompting.SIZE
    name: str = "recombine"
    arity: int = 2

    def converse(self, parents: Sequence[Candidate], context: Context) -> Conversation:
        """Ask once."""
        brief = _brief(context, parents, self)
        first, second = (_passed(p) for p in brief.parents)
        extras = _known(brief, first)
        reply = yield prompting.write("recombine", brief, extras, self.size, first=first, second=second)
        made = _proposal(reply, first.source, brief, f"{first.id[:8]} with {second.id[:8]}")
        replies.check(made.source, second.source, launcher.of(brief.task))
        return made


class Strategy(BaseModel):
    """One plan of several."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(min_length=1, max_length=120)
    steps: tuple[str, ...] = Field(min_length=1, max_length=3)
    gain: str = Field(default="", max_length=600)


@dataclass(frozen=True, slots=True)
class Strategise:
    """Asks for plans that differ in kind, draws one, carries out its first step; the child is given the next."""

    count: int = PLANS
    size: int = prompting.SIZE
    name: str = "strategise"
    arity: int = 1

    def converse(self, parents: Sequence[Candidate], context: Context) -> Conversation:
        """Ask for plans unless the parent stands in the middle of one, then for the next step."""
        brief = _brief(context, parents, self)
        parent = _passed(brief.parents[0])
        extras = _known(brief, parent)
        progress = _progress(parent.intent)
        if progress is None:
            reply = yield prompting.write("strategise", brief, extras, self.size, parent=parent, count=self.count)
            plans = strategies(reply)
            plan = plans[int(context.rng.integers(len(plans)))]
            progress = (1, len(plan.steps), _plain(plan.title), tuple(_plain(s) for s in plan.steps))
        number, total, title, steps = progress
        reply = yield prompting.write(
            "step", brief, extras, self.size,
            parent=parent, title=title, number=number, total=total, step=steps[0], later=steps[1:],
        )  # fmt: skip
        made = replies.program(reply, parent.source, launcher.of(brief.task))
        left = "".join(_THEN + s for s in steps[1:])
        return Proposal(_whole(made), f'step {number} of {total} of "{title}": {steps[0]}{left}')


def strategies(reply: str) -> tuple[Strategy, ...]:
    """Read a list of plans; those of equal titles are one."""
    found = replies.fences(reply, "plans", "plan", "json")
    if len(found) != 1:
        raise refusals.BadPlan(f"expected one fence marked `plans`, got {len(found)}")
    try:
        plans = TypeAdapter(tuple[Strategy, ...]).validate_json(found[0])
    except ValidationError as error:
        first = error.errors()[0]
        raise refusals.BadPlan(f"the plans are not of the form asked for: {first['loc']}: {first['msg']}") from error
    distinct = tuple({p.title.lower(): p for p in plans}.values())
    if not distinct:
        raise refusals.BadPlan("the list of plans is empty")
    return distinct


def talkers(size: int = prompting.SIZE, most_repairs: int = MAX_REPAIRS) -> tuple[Talker, ...]:
    """Return every operator that asks a model."""
    return (Generate(size), Reflect(most_repairs, size), Optimize(size), Recombine(size), Strategise(PLANS, size))


def _brief(context: Context, parents: Sequence[Candidate], talker: Talker) -> Brief:
    """Return the brief, after checking that it speaks of these parents."""
    if len(parents) != talker.arity:
        raise ValueError(f"{talker.name} expected {talker.arity} parents, got {len(parents)}")
    if not isinstance(context, Briefed) or context.brief is None:
        raise ValueError(f"{talker.name} needs a context with a brief")
    if [p.id for p in context.brief.parents] != [p.id for p in parents]:
        raise ValueError(f"{talker.name}: the brief speaks of other parents")
    return context.brief


def _passed(tried: Tried) -> Tried:
    if not tried.evaluation.passed:
        raise ProposalError(f"program {tried.id} failed: only a program that passed can be made faster")
    return tried


def _known(brief: Brief, parent: Tried) -> list[prompting.Extra]:
    return [*prompting.knowledge(brief, parent.source), *prompting.mistakes(brief, parent.source)]


def _proposal(reply: str, parent: str | None, brief: Brief, otherwise: str) -> Proposal:
    """Read a reply; its plan's title says what it tries."""
    read = replies.program(reply, parent, launcher.of(brief.task))
    return Proposal(_whole(read), _plain(read.plan.title) or otherwise)


def _whole(read: replies.Read) -> str:
    if read.source is None:
        raise refusals.MissingCode("the reply holds no program")
    return read.source


def _progress(intent: str) -> tuple[int, int, str, tuple[str, ...]] | None:
    """Return the next step of an intent's plan: its number, how many there are, the title, what is left."""
    match = _PROGRESS.fullmatch(intent)
    if match is None:
        return None
    _, *left = match[4].split(_THEN)
    return (int(match[1]) + 1, int(match[2]), match[3], tuple(left)) if left else None


def _plain(text: str) -> str:
    """Make one line of a model's words, without what separates the parts of an intent."""
    return plain(text.replace('"', "'").replace("|", "/"))[:400]
