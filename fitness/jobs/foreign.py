"""Runs a reference of somebody else's benchmark under Triton's interpreter, and asks whether its test tests anything.

Their order is kept: the program on trial runs first, here the reference with every launch left out, and then the
reference, with the same seed in the same process. So no right answer can lie in memory that a program without launches
is given.
"""

import contextlib
import time
from typing import Any

import torch

from fitness import results
from fitness.child import Refused, Report
from fitness.jobs import again, calls, devices, host, interpret, runners, tuning
from suites.foreign import rules
from suites.foreign.sizes import resized

UNWRITTEN = 77  # what a program leaves that writes nothing


def run(payload: Any, report: Report) -> Any:
    """Return which kinds of values the result holds without launches, and what their comparison says.

    `passes`: whether it takes the result without launches for right; `itself`: whether it takes the reference for it.
    """
    interpret.prepare()
    host.install()
    payload = {**payload, "device": "cpu"}
    style = payload["style"]
    if style == "model":
        if not payload["values"]:
            report.stage("reference")
            return {"held": None, "passes": None, "itself": None, "work": runners.shaped(payload)}
        source = resized(payload["source"], dict(payload["sizes"]))
        payload = {**payload, "source": source, "tests": source}  # which says what it is called with
    made, held = None, None
    if payload["idle"] and style in ("module", "pytest", "script"):
        report.stage("idle")
        made = _idle(payload)
        held = sorted(rules.contents(made)) if made is not None else None
    if not payload["reference"]:
        return {"held": held, "passes": None, "itself": None}
    report.stage("reference")
    started = time.monotonic()
    reference = _made(payload, "candidate")
    took = time.monotonic() - started
    report.stage("comparison")
    if style in ("function", "model"):
        made, held = _unwritten(reference), sorted(rules.contents(reference))
    thresholds = dict(payload["thresholds"])
    passes = made is not None and rules.same(style, reference, made, thresholds)
    if style == "model" and not passes:  # a module that computes nothing may find zeros in new memory
        passes = rules.same(style, reference, _unwritten(reference, 0), thresholds)
    told = {"held": held, "passes": passes, "itself": rules.same(style, reference, reference, thresholds)}
    if took > payload.get("seconds", 0.0) * again.AGAIN:
        return told | {"varies": None, "repeats": None, "again": False}

    def make(called: str) -> Any:
        return _made(payload, called)

    def same(other: Any) -> bool:
        return rules.same(style, reference, other, thresholds)

    return told | {"varies": again.varies(make, same), "repeats": again.repeats(make, same) if told["itself"] else None}


def result(payload: Any, report: Report) -> Any:
    """Return what a program's tests leave, as data that somebody else compares."""
    interpret.prepare()
    host.install()
    return _told({**payload, "device": "cpu"}, report)


def result_on_device(payload: Any, report: Report) -> Any:
    """Return the same from a GPU, where programs run as they are written, but that tuners choose quickly."""
    devices.choose(payload["visible"])
    host.stand_in()
    tuning.quickly()
    return _told({**payload, "device": "cuda"}, report)


def watched(payload: Any) -> calls.Notes:
    """Run a reference's tests and return how they call it; what failed after that does not matter."""
    interpret.prepare()
    host.install()
    notes = calls.watch(plain=payload["style"] == "function")
    watching = {**payload, "device": "cpu", "source": calls.hook(payload["source"])}
    with contextlib.suppress(Exception, SystemExit, calls.Enough):
        runners.run(watching, "candidate")
    return notes


def _told(payload: Any, report: Report) -> Any:
    """Run the tests and pack the result; of pytest's, GEAK-eval takes what was saved, whatever failed."""
    report.stage("tests")
    with host.idle() if payload.get("idle") else contextlib.nullcontext():
        made, failed = runners.run(payload, "candidate")
    if failed and (payload["style"] != "pytest" or payload["command"] or not made):
        raise Refused("tests", failed)
    return results.pack(made)


def _made(payload: Any, name: str) -> Any:
    """Run program and tests; return the result, or refuse with what failed."""
    made, failed = runners.run(payload, name)
    if failed:
        raise Refused("tests", failed)
    if payload["style"] == "script" and not made:
        raise Refused("tests", "its script ended and compared no tensors")
    return made


def _unwritten(result: Any, held: int = UNWRITTEN) -> Any:
    """Return a result of the same form whose tensors nobody wrote: what memory held before."""
    if isinstance(result, dict):
        return {k: _unwritten(v, held) for k, v in result.items()}
    if isinstance(result, (list, tuple)):
        return type(result)(_unwritten(v, held) for v in result)
    if isinstance(result, torch.Tensor):
        return ~result if held and result.dtype == torch.bool else torch.full_like(result, held)
    return result


def _idle(payload: Any) -> Any:
    """Run without launches; a program that fails so gives nothing, and neither does a script that says it failed."""
    with host.idle(), contextlib.suppress(Exception, SystemExit):
        made, failed = runners.run(payload, "idle_candidate")
        return None if failed and payload["style"] == "script" else made
    return None
