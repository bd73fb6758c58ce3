"""What a child says, made fit to be shown: a candidate may have written any of it, at any length, for any reader."""

import re
from collections.abc import Iterable

from fitness.evaluation import Failure, Stage
from fitness.jail import Outcome
from suites import Task

LONGEST = 8000  # characters of a message or a trace; an honest child sends less
NOTES, NOTE = 20, 300  # how many are kept, and the characters of each

_KIND = re.compile(r"[a-z0-9-]{1,40}")
# what would steer a terminal, turn the direction of what follows, or is half a letter; lines and tabs stay
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# what jobs report, by the gate that asks: one may do the work of several, and none can say that the machine failed
_REACHED = {
    Stage.RECORD: (Stage.STATIC, Stage.IMPORT, Stage.RECORD, Stage.COMPILE),
    Stage.COMPILE: (Stage.COMPILE,),
    Stage.CORRECTNESS: (Stage.STATIC, Stage.IMPORT, Stage.CORRECTNESS, Stage.PREDICT, Stage.TIMING),
}


def failure(outcome: Outcome, gate: Stage, task: Task) -> Failure:
    """Tell a job's failure at the stage and in the case that the child had reached, where it can have been there."""
    name, _, said = (outcome.stage or "").partition(":")
    stage = next((s for s in _REACHED[gate] if s.value == name), gate)
    case = next((c.name for c in (*task.cases, *task.held_out, *task.edges) if c.name == said), None)
    if outcome.kind is None or not _KIND.fullmatch(outcome.kind):
        return Failure(stage, "malformed", "the child gave its failure a kind that is none", case=case)
    trace = outcome.trace or outcome.log
    return Failure(stage, outcome.kind, message(outcome.message), clean(trace[-LONGEST:]), case)


def message(text: str) -> str:
    """Make a message that may quote a child fit to be shown."""
    return clean(text[:LONGEST])


def notes(said: Iterable[str]) -> tuple[str, ...]:
    """Keep the first notes, each once and on one line."""
    return tuple(dict.fromkeys(" ".join(clean(note[:NOTE]).split()) for note in said))[:NOTES]


def clean(text: str) -> str:
    """Take out what differs from run to run, scratch folders and addresses, and what would steer a terminal."""
    text = re.sub(r"0x[0-9a-f]{6,}", "0x...", re.sub(r"/\S*?/evo-jail-\w+/\w+/home/", "", text))
    return _CONTROL.sub("?", text)
