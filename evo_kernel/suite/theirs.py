"""Judges programs by a suite's own tests: on this machine's GPU where it has one, else under the interpreter."""

from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evo_kernel import config_files, machine
from evo_kernel.errors import RunError
from evo_kernel.suite import flags as suite_flags
from evo_kernel.suite import ours as suite_ours
from evo_kernel.suite.jails import Jails
from evo_kernel.suite.ours import Ours
from evo_kernel.suite.survey import chosen, lacks, survey
from fitness.gpu import discover
from fitness.jail import WorkerLost
from fitness.open_mode import visible
from suites.foreign import Loaded

LOST = "lost: "  # how it is said that a server was lost, which is nobody's verdict

if TYPE_CHECKING:  # it brings torch: seconds in which servers can load
    from fitness.theirs import Ran, Theirs


def judge(suite: str, root: Path | None, names: tuple[str, ...], source: str | None, on: str, seconds: float,
          workers: int, say: Callable[[str], None]) -> "list[Theirs]":  # fmt: skip
    """Judge a program by one task's test, or references, where there is no program, by their own."""
    tasks = chosen(survey(suite, root).tasks, names)
    if source is not None and len(tasks) != 1:
        raise RunError("a program is judged by the test of one task: name it with --task")
    found: dict[str, Theirs] = {}
    asked = [(t, t.source if source is None else source) for t in tasks]
    for one in judged(asked, gpu(on), seconds, workers, given=source is not None):
        found[one.name] = one
        say(f"[{len(found)}/{len(tasks)}] {line(one)}")
    return [found[t.name] for t in tasks]


def programs(suite: str, root: Path | None, names: tuple[str, ...], source: str | None, right: Container[str]
             ) -> dict[str, tuple[Loaded, str]]:  # fmt: skip
    """Return by their names the tasks that are among `right`, each with the program that was judged."""
    tasks = chosen(survey(suite, root).tasks, names)
    return {t.name: (t, t.source if source is None else source) for t in tasks if t.name in right}


def judged(programs: Sequence[tuple[Loaded, str]], found: discover.Found | None, seconds: float, workers: int,
           given: bool = True, flagging: bool = True) -> "Iterator[Theirs]":  # fmt: skip
    """Yield verdicts as they come; references and programs run beside each other, so many at once as there are workers.

    A program is never in memory with the reference that it is compared with: the two have children of their own. One
    that is the reference's very text runs after it, with what was compiled for it. What passes is flagged where a
    program that computes nothing passes too, if `flagging`; `given` programs are somebody's, else the suite's own.
    """
    if not programs:
        return
    runs = sum(1 if source == task.source else 2 for task, source in programs)
    jails = Jails("interpreter" if found is None else "foreign", min(workers, runs))
    apart = found is not None and suite_flags.launchless(task for task, _ in programs)
    audits = Jails("interpreter", min(workers, len(programs))) if apart else jails
    flags = suite_flags.Flags(jails, audits, seconds, found) if flagging else None
    longest_first = sorted(programs, key=lambda pair: _work(pair[0].source), reverse=True)
    tasks_pool, runs_pool = ThreadPoolExecutor(workers), ThreadPoolExecutor(workers)
    judging = _Judging(jails, runs_pool, seconds, found, flags, given)
    try:
        for done in as_completed([tasks_pool.submit(judging.one, *pair) for pair in longest_first]):
            yield done.result()
    finally:
        for pool in (tasks_pool, runs_pool):
            pool.shutdown(wait=False, cancel_futures=True)
        for servers in (jails, audits):
            servers.close()


def _work(source: str) -> tuple[int, int]:
    """Guess from a reference how much there is to compile, to be compared: tuners and products are the slowest."""
    return sum(word in source for word in ("autotune", "tl.dot")), len(source)


def gpu(on: str) -> discover.Found | None:
    """Return the GPU to run on; None for the interpreter."""
    gpus = [] if on == "interpreter" else discover.gpus()
    if on == "gpu" and not gpus:
        raise RunError(f"no GPU to run on: {discover.complaint() or 'this machine has none'}")
    return gpus[0] if gpus else None


@dataclass(frozen=True, slots=True)
class _Judging:
    """What programs are judged with."""

    jails: Jails
    pool: Executor
    seconds: float
    found: discover.Found | None
    flags: suite_flags.Flags | None  # None: nobody asks
    given: bool

    def one(self, task: Loaded, source: str) -> "Theirs":
        """Judge one program; it does not run where its reference was seen to fail before."""
        from fitness.theirs import Theirs

        where = "interpreter" if self.found is None else self.found.name
        if task.problem or task.needs or task.style == "native":
            native = f"native: see evo-kernel judge FILE --task {task.name}"
            return Theirs(task.name, False, None, task.problem or (lacks(task) if task.needs else native), 0.0, where)
        try:
            return self._verdict(task, source, where)
        except WorkerLost as error:
            return Theirs(task.name, False, None, f"{LOST}{error}", 0.0, where)

    def _verdict(self, task: Loaded, source: str, where: str) -> "Theirs":
        """Run reference and program, and flag what passes where that says nothing; WorkerLost with a server."""
        from fitness import theirs

        right, made = self._ran(task, source)
        one = theirs.verdict(task, right, made, where)
        flagged = one.passed and self.flags is not None and self.flags.of(task, source, right, self.given)
        return replace(one, flagged=True) if flagged else one

    def _ran(self, task: Loaded, source: str) -> "tuple[Ran, Ran]":
        """Run the suite's tests on a reference and on a program."""
        from fitness import theirs
        from fitness.theirs import Ran

        shown = None if self.found is None else visible(self.found)
        if source == task.source:
            return self.jails.use(lambda jail: theirs.run_twice(task, jail, self.seconds, shown))

        def run(program: str) -> Ran:
            return self.jails.use(lambda jail: theirs.run(task, program, jail, self.seconds, shown))

        right = self.pool.submit(run, task.source)
        made = self.pool.submit(lambda: Ran(None, 0.0) if right.done() and right.result().failed else run(source))
        return right.result(), made.result()


def line(one: "Theirs") -> str:
    """Say what became of one program."""
    words = {True: "right", False: "wrong" if one.called else "does not run", None: "not judged"}
    told = f": {one.why}" if one.why else ", but so is a program that launches nothing" if one.flagged else ""
    return f"{one.name}  {words[one.passed]}{told} ({one.seconds:.1f} s, {one.device}, {one.mode})"


def ours(suite: str, root: Path | None, names: tuple[str, ...], source: str | None, on: str,
         say: Callable[[str], None]) -> list[Ours]:  # fmt: skip
    """Judge the same by our rule: measured on a GPU, else predicted after correctness under the interpreter."""
    tasks = chosen(survey(suite, root).tasks, names)
    basis = "predicted" if gpu(on) is None else "measured"
    settings = machine.resolve(config_files.load(None, {"pool": "inline", "basis": basis}))
    found = []
    for task in tasks:
        found.append(suite_ours.judge(suite, task, source, settings))
        say(f"[{len(found)}/{len(tasks)}] {task.name}  {suite_ours.line(found[-1])}")
    return found


def text(suite: str, found: "Sequence[Theirs]", own: Sequence[Ours] = ()) -> str:
    """Return verdicts as lines, with both accuracies where there are several, and where ours differ."""
    lines = [line(one) for one in found]
    if own:
        pairs = list(zip(found, own, strict=True))
        lines = [part for one, other in pairs for part in (line(one), f"  {suite_ours.line(other)}")]
        if unlike := suite_ours.differing(pairs):
            lines.append(f"theirs and ours differ: {', '.join(unlike)}")
    if len(found) > 1:
        called, passed = (sum(bool(getattr(f, part)) for f in found) for part in ("called", "passed"))
        idle = _flagged(found)
        told = f", but {len(idle)} of these tests pass what computes nothing: {', '.join(idle)}" if idle else ""
        lines.append(f"{suite}: of {len(found)} {called} run and {passed} pass the suite's own test{told}")
    return "\n".join(lines)


def _flagged(found: "Sequence[Theirs]") -> list[str]:
    """Name the tasks whose verdict says nothing."""
    return [one.name for one in found if one.flagged]


def plain(suite: str, found: "Sequence[Theirs]", own: Sequence[Ours] = ()) -> dict[str, Any]:
    """Return verdicts as JSON holds them."""
    told = {"suite": suite, "rules": "theirs", "called": sum(f.called for f in found),
            "passed": sum(f.passed is True for f in found), "flagged": _flagged(found),
            "tasks": [asdict(f) for f in found]}  # fmt: skip
    if not own:
        return told
    pairs = list(zip(found, own, strict=True))
    tasks = [asdict(one) | {"ours": suite_ours.plain(other)} for one, other in pairs]
    return told | {"rules": "both", "passed_ours": sum(o.passed is True for o in own),
                   "differing": suite_ours.differing(pairs), "tasks": tasks}  # fmt: skip
