"""PyTorch's own times of a task that came with no kernel, beside the run: what published measures compare with."""

import contextlib
import json
import logging
from pathlib import Path
from typing import Any

from evo_kernel.errors import RunError
from evo_kernel.pools import make_measuring_judge
from evo_kernel.runs import State
from evo_kernel.suite import kept as suite_kept
from evo_kernel.suite.folder import EAGER, put
from evo_kernel.suite.kept import microseconds, words
from fitness.gpu.errors import DeviceUnavailable
from fitness.jail import WorkerLost
from suites.loading import TaskError

logger = logging.getLogger(__name__)


def wanted(state: State) -> bool:
    """Tell whether a run has nothing else to be compared with, and a GPU on which PyTorch can be timed."""
    measured = state.settings.basis == "measured" and state.settings.mode == "sealed"
    return measured and not state.task.interpreted


def keep(run: Path, state: State) -> None:
    """Time the task's reference on its cases, once; the GPU may be elsewhere, and then nothing is known."""
    if times(run):
        return
    try:
        with contextlib.closing(make_measuring_judge(state.task, state.settings)) as judge:
            found = judge.eager_us()
    except (RunError, WorkerLost, TaskError, DeviceUnavailable) as error:
        logger.warning("PyTorch was not timed: %s", error)
        return
    put(run / EAGER, json.dumps(found, indent=1) + "\n")


def times(run: Path) -> dict[str, float]:
    """Return PyTorch's microseconds by case; none where it is still to be timed."""
    return suite_kept.whole(kept, run) or {}


def kept(run: Path) -> dict[str, float] | None:
    """Read PyTorch's times; None where there is no file, RunError where it is damaged."""

    def made(plain: Any) -> dict[str, float]:
        return {words(case): microseconds(us) for case, us in plain.items()}

    return suite_kept.read(run / EAGER, made, "time PyTorch again")
