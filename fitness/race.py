"""Times a verified program beside its rivals, case by case, and joins what the cases say."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fitness.build import Refusal
from fitness.evaluation import Failure, Stage
from fitness.gpu import clock
from fitness.gpu.clock import Ratio
from fitness.gpu.court import Court, Fault, Program
from suites import Case
from suites.trials import BASE

logger = logging.getLogger(__name__)

HOPELESS = 2.0  # times slower than every rival in a single run: a few pairs say enough
SCREENING_US, CONFIRMING_US = 20e3, 3e6  # of one case on the device; slow programs get fewer pairs
FEWEST = 4
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
    found = []
    for one in entrants:
        others = {n: match for n, r in rivals.items() if (match := _of(one.case, r)) is not None}
        estimates = [one.estimate_us, *(o.estimate_us for o in others.values())]
        budget = SCREENING_US if thrifty else CONFIRMING_US
        hopeless = thrifty and others and one.estimate_us > HOPELESS * max(estimates[1:])
        wanted = FEWEST if hopeless else max(FEWEST, min(pairs, int(budget / sum(estimates))))
        programs = [one.program, *(o.program for o in others.values())]
        try:
            times, settled = _steady(court, one.case, programs, estimates, wanted, thrifty)
        except Fault as fault:
            if not others:
                raise _refused(one.case, fault) from fault
            times, settled = _alone(court, one, wanted, thrifty)  # it is refused if the fault is its own
            logger.warning("case %s: timed without its rivals, one of which failed: %s", one.case.name, fault)
            others = {}
        found.append(Times(times[0], dict(zip(others, times[1:], strict=True)), settled))
    return found


def _alone(court: Court, one: Resolved, pairs: int, thrifty: bool) -> tuple[list[list[float]], bool]:
    """Time a program beside nobody."""
    try:
        return _steady(court, one.case, [one.program], [one.estimate_us], pairs, thrifty)
    except Fault as fault:
        raise _refused(one.case, fault) from fault


def _refused(case: Case, fault: Fault) -> Refusal:
    return Refusal(Failure(Stage.TIMING, fault.kind, f"case {case.name}: {fault}", case=case.name))


def _steady(court: Court, case: Case, programs: Sequence[Program], estimates: Sequence[float], pairs: int,
            thrifty: bool) -> tuple[list[list[float]], bool]:  # fmt: skip
    """Time until the device's clocks stood still for most of it; cycles in which the anchor drifted are left out."""
    again = None if thrifty else next((t for t in court.trials(case.name, False)[::-1] if t != BASE), None)
    for _ in range(ATTEMPTS):
        samples, anchors = court.time(case.name, programs, estimates, pairs, again)
        kept = clock.steady(anchors)
        if any(kept):
            break
    settled = any(kept)
    return [
        [s for cycle, ok in zip(cycles, kept, strict=True) if ok or not settled for s in cycle] for cycles in samples
    ], settled


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
