"""Times a verified program beside its rivals, case by case, and joins what the cases say."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fitness.build import Refusal
from fitness.evaluation import Failure, Stage
from fitness.gpu import clock
from fitness.gpu.clock import Ratio
from fitness.gpu.court import Court, Fault, Heat, Program
from suites import Case
from suites.trials import BASE

logger = logging.getLogger(__name__)

HOPELESS = 2.0  # times slower than every rival in a single run: a few pairs say enough
SCREENING_US, CONFIRMING_US = 20e3, 0.5e6  # of one case on the device; slow programs get fewer pairs
FEWEST, HOPELESS_PAIRS = 4, 2
ATTEMPTS = 3  # to find the device's clocks standing still


@dataclass(frozen=True, slots=True)
class Resolved:
    """One case of a verified program: its plan with every configuration chosen."""

    case: Case
    program: Program
    choice: tuple[tuple[str, str], ...]
    error: float
    estimate_us: float


@dataclass(frozen=True, slots=True)
class Times:
    """One case's timings: a program's samples, and each rival's paired with them."""

    own: list[float]
    rivals: dict[str, list[float]]
    settled: bool = True  # whether the device's clocks stood still


Rivals = Mapping[str, tuple[Resolved, ...]]


def run(court: Court, entrants: tuple[Resolved, ...], rivals: Rivals, pairs: int, thrifty: bool) -> list[Times]:
    """Time every case beside its rivals; a thrifty run spends little on a program that is hopeless or slow."""
    others = [{n: match for n, r in rivals.items() if (match := _of(e.case, r)) is not None} for e in entrants]
    heats = [_heat(court, e, o, pairs, thrifty) for e, o in zip(entrants, others, strict=True)]
    try:
        found = _steady(court, heats)
    except Fault as fault:
        if not any(others) or _harmless(court, others):
            raise _refused(fault) from fault
        logger.warning("timed without its rivals, one of which failed: %s", fault)
        others = [{} for _ in entrants]
        found = _alone(court, [_heat(court, e, {}, pairs, thrifty) for e in entrants])
    return [
        Times(samples[0], dict(zip(names, samples[1:], strict=True)), settled)
        for names, (samples, settled) in zip(others, found, strict=True)
    ]


def _heat(court: Court, one: Resolved, others: Mapping[str, Resolved], pairs: int, thrifty: bool) -> Heat:
    """Choose how many pairs of one case are worth their time."""
    estimates = (one.estimate_us, *(o.estimate_us for o in others.values()))
    budget = SCREENING_US if thrifty else CONFIRMING_US
    hopeless = thrifty and others and one.estimate_us > HOPELESS * max(estimates[1:])
    wanted = HOPELESS_PAIRS if hopeless else max(FEWEST, min(pairs, int(budget / sum(estimates))))
    again = None if thrifty else next((t for t in court.trials(one.case.name)[::-1] if t != BASE), None)
    return Heat(
        one.case.name, (one.program, *(o.program for o in others.values())), estimates, wanted, again, not thrifty
    )


def _alone(court: Court, heats: Sequence[Heat]) -> list[tuple[list[list[float]], bool]]:
    """Time a program beside nobody: it is refused if the fault is its own."""
    try:
        return _steady(court, heats)
    except Fault as fault:
        raise _refused(fault) from fault


def _harmless(court: Court, others: Sequence[Mapping[str, Resolved]]) -> bool:
    """Tell whether all rivals run without a fault by themselves: then a fault beside them is not theirs."""
    for name in dict.fromkeys(name for one in others for name in one):
        try:
            court.time([_heat(court, one[name], {}, FEWEST, True) for one in others if name in one])
        except Fault:
            return False
    return True


def _refused(fault: Fault) -> Refusal:
    said = f"case {fault.case}: {fault}" if fault.case else str(fault)
    return Refusal(Failure(Stage.TIMING, fault.kind, said, case=fault.case))


def _steady(court: Court, heats: Sequence[Heat]) -> list[tuple[list[list[float]], bool]]:
    """Time until the device's clocks stood still for most of every heat; other cycles are left out.

    The anchor tells of the memory's clock, the device itself of the units'.

    Returns for each heat the samples of its programs, and whether the clocks stood still.
    """
    clocked = court.time(heats)
    for _ in range(ATTEMPTS - 1):
        moved = [n for n, c in enumerate(clocked) if not c.settled]
        for number, again in zip(moved, court.time([heats[n] for n in moved]) if moved else [], strict=True):
            clocked[number] = again
    found = []
    for one in clocked:
        if why := next((h for h in one.held if h), ""):
            logger.warning("the device held its clocks down while it was timed: %s", why)
        found.append((one.times(), one.settled))
    return found


def joined(parts: Sequence[list[Times]]) -> list[Times]:
    """Put several runs' samples together, case by case."""
    result = []
    for same in zip(*parts, strict=True):
        names = [n for n in same[0].rivals if all(n in t.rivals for t in same)]
        rivals = {n: [s for t in same for s in t.rivals[n]] for n in names}
        result.append(Times([s for t in same for s in t.own], rivals, all(t.settled for t in same)))
    return result


def against(parts: Sequence[list[Times]], rival: str) -> Ratio | None:
    """Return the geometric mean over cases of the ratio to one rival; several parts are several processes."""
    ratios = []
    for same in zip(*parts, strict=True):
        each = [t for t in same if rival in t.rivals]
        if each:
            pairs = [pair for t in each for pair in zip(t.own, t.rivals[rival], strict=True)]
            ratios.append(clock.pooled([clock.ratio(t.own, t.rivals[rival]) for t in each], pairs))
    return _geometric(ratios) if ratios else None


def _of(case: Case, rival: tuple[Resolved, ...]) -> Resolved | None:
    return next((r for r in rival if r.case == case), None)


def _geometric(parts: list[Ratio]) -> Ratio:
    """Return the geometric mean of independent ratios; half-widths of their logs add in squares."""
    n = len(parts)
    middle = sum(math.log(p.value) for p in parts) / n
    below = math.sqrt(sum((math.log(p.value) - math.log(p.low)) ** 2 for p in parts)) / n
    above = math.sqrt(sum((math.log(p.high) - math.log(p.value)) ** 2 for p in parts)) / n
    return Ratio(math.exp(middle), math.exp(middle - below), math.exp(middle + above), sum(p.pairs for p in parts))
