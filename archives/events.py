"""What can happen in a run. The journal holds nothing else, and a run's state is the fold of these.

A worked trace of one request: `Proposed(4, candidate)` when an operator answered request 4, then
`Judged(4, evaluation)`; or `Refused(4, "knob-step", ("1f..",), "every neighbour is known")` alone. Where a model is
asked, `Asked(4, "optimize", "openai:NAME", ("1f..",))` comes before these, and `Answered(4, 9000, 12 * 10**9, 1)` once
it has answered.
"""

from dataclasses import dataclass, field
from typing import Any

import msgpack

from archives.candidate import Candidate
from fitness import evaluation as evaluations
from fitness.evaluation import Evaluation

FORMAT = 3  # 2: Measured, and measured evaluations; 3: Stopped, limits, GPU seconds
# of events that not every run has, so that an older program still reads the runs that have none
SINCE = {"asked": 4, "answered": 4, "sealed": 5, "learned": 8}  # 7: how much was gained; 8: whether it was shipped
NEWEST = max(SINCE.values())
USUAL = 0.1  # logarithm of a rewrite's gain where an older version did not say how much it was


@dataclass(frozen=True, slots=True)
class Started:
    """The first event: everything that decides how the run goes, and where it was begun."""

    settings: dict[str, Any]
    task: dict[str, Any]
    versions: dict[str, str]
    machine: dict[str, str]


@dataclass(frozen=True, slots=True)
class Proposed:
    """An operator answered a request with a new program."""

    number: int
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Refused:
    """An operator had nothing to give for a request."""

    number: int
    operator: str
    parents: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Judged:
    """The judge's verdict on what was proposed under this number, and the time that a GPU gave to it."""

    number: int
    evaluation: Evaluation
    gpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Extended:
    """A person gave the run a new number of generations; the limits and the prices of models named are new."""

    generations: int
    limits: dict[str, Any] = field(default_factory=dict)
    prices: dict[str, dict[str, str]] = field(default_factory=dict)  # model as in the settings -> its prices there


@dataclass(frozen=True, slots=True)
class Stopped:
    """The run was ended by what is no event: its wall time is used. Extended takes that back."""

    why: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What a device said of a candidate after the search had judged it."""

    candidate: str
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class Asked:
    """A model was asked for a program; Proposed or Refused under this number will say what came of it."""

    number: int
    operator: str
    model: str
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """What a model's answer to this request used, all attempts and turns together; dollars are 10^-12 dollars."""

    number: int
    tokens: int
    dollars: int
    calls: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """The run's inputs, and so its limits, are drawn from a secret of this fingerprint; a second one: it was lost."""

    fingerprint: str


@dataclass(frozen=True, slots=True)
class Learned:
    """What earlier runs knew of families: target, kind of kernel, name, gains, misses, sum of gains' logarithms.

    `shipped`: it comes with evo-kernel, and is no word of a run that this one was begun from.
    """

    outcomes: tuple[tuple[str, str, str, float, float, float], ...]
    shipped: bool = False


Event = Asked | Answered | Started | Proposed | Refused | Judged | Extended | Measured | Learned | Sealed | Stopped


class EventError(ValueError):
    """A payload that is no event of this version or an older one."""


def encode(event: Event) -> tuple[str, bytes]:
    """Return an event's kind and payload."""
    body: list[Any]
    if isinstance(event, Proposed):
        c = event.candidate
        body = [event.number, c.source, c.operator, c.intent, c.parents, c.fingerprint, c.structure]
    elif isinstance(event, Judged):
        spent = [event.gpu_seconds] if event.gpu_seconds else []
        body = [event.number, evaluations.pack(event.evaluation), *spent]
    elif isinstance(event, Measured):
        body = [event.candidate, evaluations.pack(event.evaluation)]
    elif isinstance(event, Refused):
        body = [event.number, event.operator, event.parents, event.why]
    elif isinstance(event, Started):
        body = [event.settings, event.task, event.versions, event.machine]
    elif isinstance(event, Stopped):
        body = [event.why]
    elif isinstance(event, Sealed):
        body = [event.fingerprint]
    elif isinstance(event, Learned):
        body = [event.outcomes, *([True] if event.shipped else [])]
    elif isinstance(event, Asked):
        body = [event.number, event.operator, event.model, event.parents]
    elif isinstance(event, Answered):
        body = [event.number, event.tokens, event.dollars, event.calls]
    else:
        body = [event.generations, *((event.limits,) if event.limits or event.prices else ())]
        body += [event.prices] if event.prices else []
    kind = type(event).__name__.lower()
    return kind, msgpack.packb([SINCE.get(kind, FORMAT), *body])


def decode(kind: str, payload: bytes) -> Event:
    """Rebuild an event from its kind and payload."""
    try:
        version, *body = msgpack.unpackb(payload, use_list=False, strict_map_key=False)
        if version > NEWEST:
            raise EventError(f"event format {version} is newer than this program's {NEWEST}")
        event: Event = _DECODERS[kind](*body)
        return event
    except (ValueError, TypeError, KeyError, IndexError, msgpack.UnpackException) as error:
        raise EventError(f"unreadable {kind} event: {error}") from error


def _proposed(number: int, source: str, operator: str, intent: str, parents: Any, mark: str, structure: str) -> Event:
    return Proposed(number, Candidate(source, operator, intent, parents, mark, structure))


_DECODERS: dict[str, Any] = {
    "started": Started,
    "proposed": _proposed,
    "refused": Refused,
    "judged": lambda number, plain, *spent: Judged(number, evaluations.unpack(plain), *spent),
    "extended": Extended,
    "stopped": Stopped,
    "sealed": Sealed,
    "learned": lambda outcomes, *shipped: Learned(tuple((*one, one[3] * USUAL)[:6] for one in outcomes), *shipped),
    "asked": Asked,
    "answered": Answered,
    "measured": lambda candidate, plain: Measured(candidate, evaluations.unpack(plain)),
}
