"""Runs mutants of a task's reference, which is the task's own code and no candidate's."""

from typing import Any

import torch

from fitness.child import Report
from fitness.mutating import references
from suites.task import unpack


def run(payload: Any, report: Report) -> Any:
    """Return the state and its detail for each mutant."""
    torch.set_num_threads(1)
    report.stage("while its mutants were run")
    return [list(found) for found in references(unpack(payload["task"]), payload["sources"], payload["seed"])]
