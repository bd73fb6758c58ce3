"""Judges programs by a suite's own test and its own times, for tasks that no task of ours can be made of: in open mode.

    source --[child: the suite's test]--> results --[compared here]--> --[child: its performance test]--> claimed times

The reference's results never are in a program's child, and nothing that a program prints, and no way of ending, makes
it right. The program runs beside the test all the same and holds the clock, so every verdict is labelled Mode.OPEN.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from fitness import results, their_times, theirs, words
from fitness.build import Refusal, digest, timed
from fitness.correctness import Limits
from fitness.evaluation import Basis, CaseResult, Evaluation, Failure, Mode, Stage
from fitness.gpu.discover import Found
from fitness.gpu.turns import Turns
from fitness.jail import Jail, ReferenceLost
from fitness.open_mode import INTERPRETED, visible
from fitness.ours import QUARANTINED
from fitness.results import Unlike
from fitness.targets import Target
from fitness.walls.standing import Standing
from suites import Case, Task
from suites.foreign import by_theirs, rules

NAMED = 6  # tests whose results differ
CLAIMED = "untrusted-host: its suite's own test and times; the times are claims of the program's own process"
IDLE = f"{QUARANTINED}its test passes a program that launches nothing"
LAUNCHLESS = "its results are right when nothing is launched: its kernels do not make them"
NAN = "their comparison does not take the reference for right: its results hold NaN, or it compares nothing"


class TheirsJudge:
    """Judges the programs of one task by its suite's test. Without a GPU (`gpu` None) that runs under the interpreter.

    The reference is run when the first program needs it, and in a run's first session without launches too. What it is
    timed on, every program of a run is timed on: later sessions know that from the seed.
    """

    def __init__(self, task: Task, target: Target, gpu: Found | None = None) -> None:
        self.task, self.target = task, target
        self.seconds: dict[str, float] = {}  # what each gate of the last program took, without waiting for the device
        self._loaded = by_theirs.loaded(task)
        self._gpu, self._visible = gpu, None if gpu is None else visible(gpu)
        self._turns = None if gpu is None else Turns(gpu.slot)
        self._jail = Jail("interpreter" if gpu is None else "foreign")
        self._jail.start()
        self._right: Any = None
        self._checked: Failure | bool = False  # the reference: not yet, why nothing can be compared with it, or well
        self._timed = by_theirs.tests(task)  # those that every program is timed on

    @property
    def standing(self) -> Standing:
        """What is in force around a program."""
        return self._jail.standing

    @property
    def device(self) -> str | None:
        """The device's name."""
        return None if self._gpu is None else self._gpu.name

    def judge(self, source: str, cases: tuple[Case, ...] | None = None, against: Mapping[str, str] | None = None,
              confirm: bool | None = None) -> Evaluation:  # fmt: skip
        """Judge a program; cases, rivals and `confirm` change nothing: the suite's test is all there is."""
        self.seconds = {}
        try:
            with timed(self.seconds, Stage.STATIC):
                self._require(source)
            with self._turn(alone=False), timed(self.seconds, Stage.CORRECTNESS):
                self._test(source)
            with self._turn(alone=True), timed(self.seconds, Stage.TIMING):
                found = self._times(source)
        except Refusal as refused:
            return self._evaluation(source, refused.failure)
        return self._evaluation(source, None, found)

    def news(self) -> Limits:
        """Return no limits: the suite's own are in its test."""
        return {}

    def pids(self) -> list[int]:
        """Return the fork server's process, for those who watch or kill it."""
        return [self._jail.pid] if self._jail.pid else []

    def close(self) -> None:
        """End the fork server."""
        self._jail.close()
        if self._turns is not None:
            self._turns.close()

    def _require(self, source: str) -> None:
        """Refuse what is no program, or holds a part of the test."""
        if source == self._loaded.source:
            return
        try:
            found = by_theirs.fault(self._loaded, source)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise Refusal(Failure(Stage.STATIC, "syntax", words.message(f"cannot be parsed: {error}"))) from error
        if found is not None:
            raise Refusal(Failure(Stage.STATIC, "refused", found))

    def _test(self, source: str) -> None:
        """Refuse a program whose results are not the reference's by the suite's own comparison."""
        if self._checked is False:
            found = self._check()
            if found is not None and self._timed:
                raise ReferenceLost(found.message)
            self._checked = found or True
        if isinstance(self._checked, Failure):
            raise Refusal(self._checked)
        made = self._left(source)
        if not self._same(made):
            why = f"its results differ from the reference's, by its suite's own comparison{self._where(made)}"
            raise Refusal(Failure(Stage.CORRECTNESS, "wrong", words.message(why)))
        if source != self._loaded.source and self._passes_idle(source):
            raise Refusal(Failure(Stage.CORRECTNESS, "vacuous", LAUNCHLESS))

    def _check(self) -> Failure | None:
        """Run the reference; say why no program can be compared with it, if that is so."""
        try:
            self._right = self._left(self._loaded.source)
        except Refusal as refused:
            return _of_reference("reference", f"the suite's own reference fails: {refused}", refused.failure.trace)
        if not self._same(self._right):
            return _of_reference("reference", NAN)
        if self._loaded.style != "function" and not self._timed and self._passes_idle(self._loaded.source):
            return _of_reference("vacuous", IDLE)
        return None

    def _passes_idle(self, source: str) -> bool:
        """Tell whether the test passes a program that launches nothing; where it fails then, its launches matter."""
        with contextlib.suppress(Refusal):
            return self._same(self._left(source, idle=True))
        return False

    def _left(self, source: str, idle: bool = False) -> Any:
        """Return what the suite's test leaves with a program; Refusal where it fails."""
        found = theirs.outcome(self._loaded, source, self._jail, their_times.TEST, self._visible, idle)
        if found.kind is not None:
            raise Refusal(words.failure(found, Stage.CORRECTNESS, self.task))
        try:
            return results.unpack(found.value)
        except Unlike as error:
            raise Refusal(Failure(Stage.CORRECTNESS, "malformed", words.message(str(error)))) from error

    def _same(self, made: Any) -> bool:
        return rules.same(self._loaded.style, self._right, made, dict(self._loaded.thresholds))

    def _where(self, made: Any) -> str:
        """Name the tests whose results differ, where results have names: each alone in place of the reference's."""
        if not (isinstance(self._right, dict) and isinstance(made, dict)):
            return ""
        wrong = [n for n in self._right if n not in made or not self._same({**self._right, n: made[n]})]
        return f", in {len(wrong)} of {len(self._right)}: {', '.join(map(str, wrong[:NAMED]))}" if wrong else ""

    def _times(self, source: str) -> tuple[CaseResult, ...]:
        """Take a program's times on every test that the reference has times on."""
        found: dict[str, float] = {}
        if not self._timed:
            found = self._taken(self._loaded.source, "the suite's own reference: ")
            self._timed = tuple(found)
        if source != self._loaded.source or not found:
            found = self._taken(source)
        if absent := [name for name in self._timed if name not in found]:
            raise Refusal(Failure(Stage.TIMING, "times", f"no time on {', '.join(absent)[:200]}, as the reference has"))
        return tuple(CaseResult(name, float(f"{found[name]:.6g}"), None, None, "") for name in self._timed)

    def _taken(self, source: str, whose: str = "") -> dict[str, float]:
        """Have the suite's performance test take a program's times."""
        taken = their_times.take(self._loaded, source, self._jail, their_times.TIMES, self._visible)
        if not taken.by_test:
            raise Refusal(Failure(Stage.TIMING, "times", f"{whose}no times: {taken.why}"))
        return dict(taken.by_test)

    @contextlib.contextmanager
    def _turn(self, alone: bool) -> Iterator[None]:
        """Have the device beside others who read no clock, or alone."""
        if self._turns is None:
            yield
            return
        with self._turns.alone() if alone else self._turns.together():
            yield

    def _evaluation(self, source: str, failure: Failure | None, cases: tuple[CaseResult, ...] = ()) -> Evaluation:
        notes = (CLAIMED,) if self._gpu is not None else (CLAIMED, INTERPRETED)
        return Evaluation(
            self.target.name, Basis.MEASURED, str(self.standing), failure, cases, mode=Mode.OPEN, device=self.device,
            program=None if failure else digest(source), notes=() if failure else notes,
        )  # fmt: skip


def _of_reference(kind: str, why: str, trace: str = "") -> Failure:
    return Failure(Stage.CORRECTNESS, kind, words.message(why), trace)
