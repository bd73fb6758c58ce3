"""Times references and programs as their suite does, one after another on a GPU that nothing else of ours uses."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evo_kernel import metrics
from evo_kernel.errors import RunError
from evo_kernel.suite import theirs
from evo_kernel.suite.jails import Jails
from evo_kernel.suite.kept import microseconds, words
from fitness import their_times
from fitness.gpu import discover
from fitness.jail import Jail, WorkerLost
from fitness.open_mode import visible
from fitness.their_times import Times
from suites.foreign import Loaded

HOST = "interpreter"  # where there is no GPU: the host's clock, whose numbers time nothing
NAMED = 3  # tests without a time


@dataclass(frozen=True, slots=True)
class Timed:
    """What a suite's own performance tests say of its reference and of a program: microseconds by test, claimed."""

    reference: tuple[tuple[str, float], ...]
    program: tuple[tuple[str, float], ...]
    why: str  # why the two are not held against each other
    device: str
    mode: str = their_times.MODE
    again: tuple[tuple[str, float], ...] = ()  # the reference once more, after the program: what the clock is worth

    def __post_init__(self) -> None:
        if any(len(dict(part)) != len(part) for part in (self.reference, self.program, self.again)):
            raise ValueError("two times of one test")
        lost = {name for name, _ in self.reference} - {name for name, _ in self.program}
        if not self.why and (lost or not self.reference):
            raise ValueError(f"no time of the program for {sorted(lost) or 'any test'}")

    @property
    def latencies(self) -> tuple[tuple[float, float], ...]:
        """Return both times of each of the reference's tests, its own before and after; none where a test lacks one."""
        made, after = dict(self.program), dict(self.again)
        return () if self.why else tuple(((us + after.get(n, us)) / 2, made[n]) for n, us in self.reference)

    @property
    def beside_itself(self) -> tuple[float, float, float] | None:
        """Return the reference's first times over its second, mean and extremes: of a clock to rely on, all are 1."""
        after = dict(self.again)
        found = [us / after[name] for name, us in self.reference if name in after]
        return (sum(found) / len(found), min(found), max(found)) if found else None

    @property
    def result(self) -> metrics.Result:
        """Return what the published measures take, of a program that passes."""
        return metrics.Result("", True, True, self.latencies)


def read(plain: Any) -> Timed | None:
    """Return times that were kept; None of a file from before any were. ValueError and its like for what are none."""
    if plain is None:
        return None
    parts = (plain["reference"], plain["program"], plain.get("again", ()))
    reference, program, again = (tuple((words(name), microseconds(us)) for name, us in part) for part in parts)
    return Timed(reference, program, words(plain["why"]), words(plain["device"]), words(plain["mode"]), again)


def device(on: str) -> discover.Found | None:
    """Return the GPU that times are taken on; RunError where there is none."""
    if on == "interpreter":
        raise RunError("--times needs a GPU: what the interpreter takes is no time of a program; leave out one of both")
    return theirs.gpu("gpu")


def timed(programs: Sequence[tuple[Loaded, str]], found: discover.Found | None, seconds: float) -> Iterator[Timed]:
    """Yield times of references and programs, task by task, each in a process of its own and none beside another.

    A program is timed between two turns of its reference, and no number is of another day. Without a GPU (None) the
    host's clock goes the same way, for tests of this path.
    """
    if not programs:
        return
    with contextlib.closing(Jails("interpreter" if found is None else "foreign", 1)) as jails:
        for task, source in programs:
            yield _both(task, source, jails, found, seconds)


def _both(task: Loaded, source: str, jails: Jails, found: discover.Found | None, seconds: float) -> Timed:
    """Time a reference, a program, and the reference once more."""
    shown, where = (None, HOST) if found is None else (visible(found), found.name)

    def taken(program: str) -> Times:
        def take(jail: Jail) -> Times:
            return their_times.take(task, program, jail, seconds, shown)

        return jails.use(take)

    try:
        before = taken(task.source)
        if before.why:
            return Timed((), (), f"of the suite's own reference: {before.why}", where)
        made = taken(source)
        again = Times((), 0.0) if made.why else taken(task.source)
    except WorkerLost as error:
        return Timed((), (), f"{theirs.LOST}{error}", where)
    return Timed(before.by_test, made.by_test, made.why or _lost(before, made), where, again=again.by_test)


def _lost(before: Times, made: Times) -> str:
    """Say which tests have a time of the reference alone: a program that fails the slow ones is not the faster one."""
    names = {name for name, _ in made.by_test}
    lost = [name for name, _ in before.by_test if name not in names]
    more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
    return f"no time of the program for {'; '.join(lost[:NAMED])}{more}" if lost else ""


def judge(programs: Mapping[str, tuple[Loaded, str]], found: discover.Found | None, seconds: float,
          say: Callable[[str], None]) -> dict[str, Timed]:  # fmt: skip
    """Take the times of programs by their tasks' names, and say each."""
    times: dict[str, Timed] = {}
    for name, one in zip(programs, timed(tuple(programs.values()), found, seconds), strict=True):
        times[name] = one
        say(f"[{len(times)}/{len(programs)}] {line(name, one)}")
    return times


def line(name: str, one: Timed) -> str:
    """Say what a suite's own performance tests make of one program."""
    speedup = metrics.speedup(one.result)
    if speedup is None:
        return f"{name}  no times of theirs: {one.why}"
    tests = f"{len(one.reference)} test{'s' * (len(one.reference) > 1)}"
    worth = "the reference was not timed again"
    if one.beside_itself is not None:
        mean, low, high = one.beside_itself
        worth = f"the reference beside itself {mean:.3f}x, {low:.2f}x to {high:.2f}x"
    return f"{name}  GEAK speedup {speedup:.3f}x over {tests} of theirs ({worth}; {one.device}, {one.mode})"


def text(times: Mapping[str, Timed]) -> str:
    """Return times as lines, with the mean that GEAK reports."""
    lines = [line(name, one) for name, one in times.items()]
    mean = metrics.mean_speedup([one.result for one in times.values()])
    known = sum(not one.why for one in times.values())
    told = "none" if mean is None else f"{mean:.3f}x"
    whose = f"of {known} of the {len(times)} tasks that pass"
    claimed = "every time is a claim of the process that ran the program (untrusted-host)"
    return "\n".join([*lines, f"GEAK speedup by their own performance tests: {told}, {whose}; {claimed}"])


def plain(times: Mapping[str, Timed]) -> dict[str, Any]:
    """Return times as JSON holds them."""
    return {
        "mode": their_times.MODE,
        "geak_speedup": metrics.mean_speedup([one.result for one in times.values()]),
        "tasks": {name: asdict(one) | {"geak_speedup": metrics.speedup(one.result), "beside_itself": one.beside_itself,
                                       "total_speedup": metrics.total_speedup(one.result)}
                  for name, one in times.items()},
    }  # fmt: skip
