"""Has a module of KernelBench audited on values: on its own inputs, or on smaller ones where those are too much here.

Of sizes that say how many rows inputs have as many are cut as it takes, and others only then: means and softmaxes over
a dimension are as large as on the module's own inputs while that dimension is. Where it was cut too, zeros may be
refused that pass on the module's own inputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fitness import references
from fitness.child import PATIENCE, Limits
from fitness.jail import Jail, Outcome
from suites.foreign import Loaded
from suites.foreign.sizes import changes, stated

OWN = "its own"  # the inputs that a module's file states
ELEMENTS, MOST_ELEMENTS = 1 << 22, 1 << 27  # numbers of a smaller call: for each second allowed, and at most
FLOPS = 1 << 29  # operations of a smaller call, for each second allowed: one core does some ten times as many
FASTEST = 1 << 37  # operations that no core does in a second
_SEARCH = 60.0  # seconds of the processor for one search for smaller sizes
_LIMITS = Limits(seconds=PATIENCE * _SEARCH, processor=_SEARCH)
SHARES = (1.0, 2.0**-6, 2.0**-12)  # of these numbers and operations that are tried
NONE_SMALLER = "no smaller sizes were found at which it works"


@dataclass(frozen=True, slots=True)
class Valued:
    """What came of it: the audit's answer and the inputs that it is for, or why there is none."""

    outcome: Outcome | None
    inputs: str  # begins with OWN, or says which sizes were changed; empty where it was run on none
    unaudited: str
    seconds: float


def valued(task: Loaded, jail: Jail, seconds: float, shaped: Outcome) -> Valued:
    """Run a module on values; what raises on its own inputs is its verdict, on smaller ones another way is tried.

    `shaped` is what came of it on tensors that hold nothing; where it raised there, no smaller sizes can be found.
    """
    took, why = 0.0, _too_large(shaped.value, seconds)
    if not why:
        own = references.valued(task, jail, seconds, {})
        took = own.seconds
        if own.kind is None and _hurried(own.value):
            smaller = _smaller(task, jail, seconds)
            return _joined(own, smaller, took + smaller.seconds)
        if own.kind not in references.TOO_MUCH:
            return Valued(own, OWN, "", took)
        why = references.why(own)
    smaller = _smaller(task, jail, seconds)
    words = f"on its own inputs {why}; {smaller.unaudited}" if smaller.outcome is None else ""
    return Valued(smaller.outcome, smaller.inputs, words, took + smaller.seconds)


def _joined(own: Outcome, smaller: Valued, seconds: float) -> Valued:
    """Answer by the smaller inputs what there was no time for on its own: another seed, and other memory."""
    answer = smaller.outcome.value if smaller.outcome is not None else None
    if not isinstance(answer, dict) or _hurried(answer):
        return Valued(own, OWN, "", seconds)
    again = {key: answer.get(key) for key in ("varies", "repeats")}
    return Valued(replace(own, value={**own.value, **again}), f"{OWN}, and again: {smaller.inputs}", "", seconds)


def _smaller(task: Loaded, jail: Jail, seconds: float) -> Valued:
    """Run a module on smaller inputs, until one way of making them smaller gives an answer to every question.

    Where none does, the first that gave any is taken.
    """
    tried, hurried, took, why = [stated(task.source)], None, 0.0, NONE_SMALLER
    for share in SHARES:
        ways, searching, failed = _search(task, jail, seconds, share)
        took += searching
        why = f"the search for smaller ones: {failed}" if failed else why
        for sizes in ways:
            if sizes in tried:
                continue
            tried.append(sizes)
            outcome, words = references.valued(task, jail, seconds, sizes), changes(task.source, sizes)
            took += outcome.seconds
            if outcome.kind is None and not _hurried(outcome.value):
                return Valued(outcome, words, "", took)
            if outcome.kind is None and hurried is None:
                hurried = Valued(outcome, words, "", took)
            why = f"on smaller ones ({words}) {references.why(outcome)}"
            if outcome.kind in (*references.TOO_MUCH, None):
                break  # the other way within this limit takes as much
        if failed:
            break  # with other limits it is the same search
    return Valued(None, "", why, took) if hurried is None else replace(hurried, seconds=took)


def _search(task: Loaded, jail: Jail, seconds: float, share: float) -> tuple[list[dict[int, int]], float, str]:
    """Ask a child for smaller sizes; return the ways that it found, the seconds it took, and why it found none."""
    most = [min(ELEMENTS * seconds, MOST_ELEMENTS) * share, FLOPS * seconds * share]
    outcome = jail.run("module-sizes", {"source": task.source, "most": most}, _LIMITS)
    if outcome.kind is not None:
        return [], outcome.seconds, references.why(outcome)
    found = _sizes(outcome.value, stated(task.source))
    return found or [], outcome.seconds, "" if found else "what came back of it are no sizes"


def _hurried(value: Any) -> bool:
    """Say whether a run took so long that it was not made again."""
    return isinstance(value, dict) and value.get("again") is False


def _too_large(value: Any, seconds: float) -> str:
    """Say why no machine like this can run a module on its own inputs; nothing where it may, or where that is unknown.

    What a program of theirs sends in place of a child's answer is no answer.
    """
    work = value.get("work") if isinstance(value, dict) else None
    if not (isinstance(work, (list, tuple)) and len(work) == 2 and all(type(n) is int for n in work)):
        return ""
    flops, size = work
    if size > Limits().memory:
        return f"memory: {size >> 20} MiB of inputs, parameters and results"
    return f"timeout: {flops:.2g} operations" if flops > seconds * FASTEST else ""


def _sizes(value: Any, own: Mapping[int, int]) -> list[dict[int, int]] | None:
    """Take the two ways that a child sent; None where one of them is not of this file."""
    try:
        one, other = ({int(place): int(n) for place, n in pairs} for pairs in value)
    except (TypeError, ValueError, OverflowError):
        return None
    right = all(s.keys() == own.keys() and all(0 < n <= own[p] for p, n in s.items()) for s in (one, other))
    return [one, other] if right else None
