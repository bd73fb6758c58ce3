"""Runs mutants of a task's reference, which is the task's own code and no candidate's."""

from typing import Any

import torch

from fitness.child import Report
from fitness.mutated import held, references
from suites.task import unpack


def run(payload: Any, report: Report) -> Any:
    """Return what honest programs err in each trial, and the state and its detail for each mutant."""
    torch.set_num_threads(1)
    report.stage("while its mutants were run")
    task = unpack(payload["task"])
    trials = held(task, payload["seed"])
    honest = [[one.ground.trial.case, one.ground.trial.name, one.honest] for one in trials]
    return honest, [list(found) for found in references(task, payload["sources"], trials)]
