"""Runs a reference of somebody else's benchmark under Triton's interpreter, and asks whether its test tests anything.

Their order is kept: the program on trial runs first, here the reference with every launch left out, and then the
reference, with the same seed in the same process. So no right answer can lie in memory that a program without launches
is given.
"""

import contextlib
import importlib.util
import os
import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from fitness.child import Refused, Report
from fitness.jobs import host, interpret
from suites.foreign import rules

SEED = 42  # theirs
RESULT = "result_gold"
_LEFT_OUT = "not test_performance and not test_save_performance_results and not test_save_results"


def run(payload: Any, report: Report) -> Any:
    """Return which kinds of values the result holds without launches, and what their comparison says.

    `passes`: whether it takes the result without launches for right; `itself`: whether it takes the reference for it.
    """
    interpret.prepare()
    host.install()
    if payload["style"] == "model":
        report.stage("reference")
        _model(payload)
        return {"held": None, "passes": None, "itself": None}
    runner = _pytest if payload["style"] == "pytest" else _module
    made, held = None, None
    if payload["idle"]:
        report.stage("idle")
        made = _idle(runner, payload)
        held = sorted(rules.contents(made)) if made is not None else None
    if not payload["reference"]:
        return {"held": held, "passes": None, "itself": None}
    report.stage("reference")
    reference, failed = runner(payload, "candidate")
    if failed:
        raise Refused("tests", failed)
    report.stage("comparison")
    passes = made is not None and rules.same(payload["style"], reference, made)
    return {"held": held, "passes": passes, "itself": rules.same(payload["style"], reference, reference)}


def _idle(runner: Callable[[Any, str], tuple[Any, str]], payload: Any) -> Any:
    """Run without launches; a program that fails so gives nothing."""
    with host.idle(), contextlib.suppress(Exception, SystemExit):
        return runner(payload, "idle_candidate")[0]
    return None


def _write(payload: Any, name: str) -> str:
    """Write program and tests to a file, as Triton wants them."""
    file = os.path.abspath(f"{name}.py")
    with open(file, "w", encoding="utf-8") as target:
        target.write(host.rewritten(f"{payload['source']}\n\n{payload['tests']}"))
    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002  what their programs draw from
    torch.manual_seed(SEED)
    return file


def _module(payload: Any, name: str) -> tuple[Any, str]:
    """Import program and tests; what they leave is the result."""
    module = _import(_write(payload, name), name)
    if not hasattr(module, RESULT):
        raise Refused("result", f"it set no {RESULT}")
    return getattr(module, RESULT), ""


def _import(file: str, name: str) -> Any:
    """Import a file as a module of this name."""
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise Refused("import", f"no loader for {name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _pytest(payload: Any, name: str) -> tuple[Any, str]:
    """Run the tests by pytest, the timed ones left out; say what failed."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    import pytest

    seen = _Seen()
    chosen = [_write(payload, name), "-q", "-p", "no:cacheprovider", "-k", _LEFT_OUT, "--capture=sys", "--tb=line"]
    code = pytest.main([*chosen, "--rootdir=.", "--confcutdir=.", "-c", os.devnull], plugins=[seen])
    if seen.failed and not seen.count:
        return seen.result, seen.failed[0]
    if seen.failed:
        return seen.result, f"{len(seen.failed)} of {seen.count} tests failed, {seen.failed[0]}"
    if code != 0 or not seen.passed:
        return seen.result, f"pytest ended with {int(code)}: {seen.passed} of {seen.count} tests passed, none failed"
    return seen.result, ""


class _Seen:
    """Counts tests as pytest runs them, and takes the tests' own result."""

    def __init__(self) -> None:
        self.result: Any = None
        self.failed: list[str] = []
        self.passed = self.count = 0

    def pytest_collection_finish(self, session: Any) -> None:
        """Take the module's result, which its tests will fill."""
        self.count = len(session.items)
        for item in session.items[:1]:
            self.result = getattr(item.module, RESULT, None)

    def pytest_collectreport(self, report: Any) -> None:
        """Note what cannot be imported."""
        if report.failed:
            self.failed.append(f"its import: {_last_line(report.longreprtext)}")

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note how a test ended."""
        if report.failed:
            self.failed.append(f"{report.nodeid.split('::')[-1]}: {_last_line(report.longreprtext)}")
        elif report.when == "call" and report.passed:
            self.passed += 1


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no reason given"


def _model(payload: Any) -> None:
    """Build a torch module and call it on tensors that hold nothing: shapes and types are checked, values are not."""
    file = _write(payload, "candidate")
    with torch.device("meta"):
        module = _import(file, "candidate")
        module.Model(*module.get_init_inputs())(*module.get_inputs())
