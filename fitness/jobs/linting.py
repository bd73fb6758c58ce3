"""Reads a task's file and runs the linter on it: what it says of its own code is all that comes back."""

from typing import Any

import torch

from fitness.child import Refused, Report
from fitness.lint import lint
from suites.loading import TaskError, read
from suites.task import pack


def run(payload: Any, report: Report) -> Any:
    """Return the packed task and what wrong and honest programs come to; Refused says in words what cannot be used."""
    torch.set_num_threads(1)
    origin = payload["origin"]
    try:
        report.stage("while it was read")
        task = read(payload["text"], payload["name"], origin)
        report.stage("while its functions were run")
        findings = lint(task, payload["seed"])
    except TaskError as error:
        raise Refused("task", str(error)) from error
    except (ValueError, RuntimeError, TypeError, IndexError) as error:
        text = f"task {payload['name']}: its functions cannot be run: {type(error).__name__}: {error}"
        raise Refused("task", text) from error
    return [pack(task), [[f.name, f.state, f.detail, f.fault] for f in findings]]
