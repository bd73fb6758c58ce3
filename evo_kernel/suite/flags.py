"""Tells of programs that pass a suite's own test whether one that computes nothing passes it too."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from evo_kernel.suite.jails import Jails
from fitness.gpu.discover import Found
from fitness.open_mode import visible
from suites.foreign import Loaded

if TYPE_CHECKING:  # it brings torch: seconds in which servers can load
    from fitness.theirs import Ran

LAUNCHING = ("module", "pytest", "script")  # styles whose references launch kernels; of others they are PyTorch


class Flags:
    """Asks tests of theirs, in the jails where programs run, and what is asked without a GPU in `audits`."""

    def __init__(self, jails: Jails, audits: Jails, seconds: float, found: Found | None) -> None:
        self._jails, self._audits, self._seconds = jails, audits, seconds
        self._visible = None if found is None else visible(found)

    def of(self, task: Loaded, source: str, right: "Ran", given: bool) -> bool:
        """Tell whether a test that passes a program also passes one that computes nothing; WorkerLost if nobody knows.

        `given`: somebody's program, which is asked for itself too; else it is the suite's own.
        """
        vacuous = self._vacuous(task, right)
        if vacuous or not given or (source == task.source and task.style in LAUNCHING):  # the same question
            return vacuous
        return self._idle(task, source, right)

    def _vacuous(self, task: Loaded, right: "Ran") -> bool:
        """Tell whether a test says nothing of any program: it passes its reference, or zeros, without a launch."""
        from fitness import foreign

        if task.style in LAUNCHING:
            return self._idle(task, task.source, right)
        return self._audits.use(lambda jail: foreign.check(task, jail, self._seconds)).flagged

    def _idle(self, task: Loaded, source: str, right: "Ran") -> bool:
        """Tell whether a program's results are right when it launches nothing: then no kernel of its makes them."""
        from fitness import theirs

        return self._jails.use(lambda jail: theirs.passes_idle(task, source, right, jail, self._seconds, self._visible))


def launchless(tasks: Iterable[Loaded]) -> bool:
    """Tell whether a task is among these whose test is asked without a GPU."""
    return any(task.style not in (*LAUNCHING, "native") for task in tasks)
