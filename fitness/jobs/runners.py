"""Runs a program of somebody else's benchmark the way its suite does: by import, pytest, a script, or as a module.

Every way has its seeds, and leaves what the suite compares: nothing here compares or asks.
"""

import contextlib
import importlib.util
import io
import os
import random
import runpy
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from fitness.child import Refused
from fitness.jobs import host, recorded
from suites.foreign import rules

SEED = 42  # theirs, but for KernelBench-X's
SEEDS = {"function": 0}
RESULTS = {"module": "result_gold", "pytest": "result_gold", "function": "test_results"}
LARGEST = 256 << 20  # bytes of the results of one module's trials: where they are large there are fewer trials
QUICK = 2.0  # of the processor that a call on tensors that hold nothing may take whose operations are counted too
_LEFT_OUT = "not test_performance and not test_save_performance_results and not test_save_results"


def run(payload: Any, name: str) -> tuple[Any, str]:
    """Run program and tests; return what they leave, and what failed."""
    return _RUNNERS[payload["style"]](payload, name)


def write(payload: Any, name: str) -> str:
    """Write program and tests to a file, as Triton wants them, and what they need beside it."""
    rewrite = host.rewritten if payload["device"] == "cpu" else str
    for path, text in payload["files"]:
        put(path, rewrite(text))
    _seed(payload["style"])
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return put(f"{name}.py", rewrite(f"{payload['source']}\n\n{payload['tests']}"))


def _seed(style: str) -> None:
    """Begin to draw, and let cuDNN choose its kernels, as their harness does."""
    seed = SEEDS.get(style, SEED)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  what their programs draw from
    torch.manual_seed(seed)
    torch.backends.cudnn.deterministic = True


def put(path: str, text: str) -> str:
    """Write a file of theirs below this folder; return its whole path."""
    file = os.path.abspath(path)
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "w", encoding="utf-8") as target:
        target.write(text)
    return file


def _module(payload: Any, name: str) -> tuple[Any, str]:
    """Import program and tests; what they leave is the result."""
    module, left = imported(write(payload, name), name), RESULTS[payload["style"]]
    if not hasattr(module, left):
        raise Refused("result", f"it set no {left}")
    return getattr(module, left), ""


def _script(payload: Any, name: str) -> tuple[Any, str]:
    """Run a script of theirs; what it compares is the result."""
    made, failed, _ = scripted(payload, name)
    return made, failed


def scripted(payload: Any, name: str) -> tuple[Any, str, str]:
    """Run a script of theirs; return what it compares, how it failed if it says so by its ending, and its words."""
    write(payload, name)
    text = host.rewritten(payload["source"]) if payload["device"] == "cpu" else payload["source"]
    program = put(payload["place"], text)
    script, *arguments = payload["command"]
    file, before = os.path.abspath(script), set(sys.modules)
    home, words = os.getcwd(), io.StringIO()
    sys.argv = [file, *arguments]
    sys.path.insert(0, os.path.dirname(file))
    ended: Any = 0
    try:
        with recorded.comparisons(home, program) as made, contextlib.redirect_stdout(words):
            runpy.run_path(file, run_name="__main__")
    except SystemExit as ending:
        ended = ending.code
    finally:
        os.chdir(home)
        sys.path.remove(os.path.dirname(file))
        for module in set(sys.modules) - before:
            if str(getattr(sys.modules[module], "__file__", "")).startswith(home):
                del sys.modules[module]
    said = words.getvalue()
    return made, "" if ended in (0, None) else f"{script} ended with {ended}: {_last_line(said)}", said


def imported(file: str, name: str) -> Any:
    """Import a file as a module of this name."""
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise Refused("import", f"no loader for {name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _pytest(payload: Any, name: str) -> tuple[Any, str]:
    """Run the tests by pytest, the timed ones left out or those that are asked for; say what failed."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    import pytest

    seen = _Seen()
    wanted = ("-k", payload.get("only", _LEFT_OUT))
    chosen = [write(payload, name), "-q", "-p", "no:cacheprovider", *wanted, "--capture=sys", "--tb=line"]
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
            self.result = getattr(item.module, RESULTS["pytest"], None)

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


def modelled(payload: Any, name: str) -> tuple[Any, Any]:
    """Return what draws a reference's inputs as a module of Python's, and the torch module that a program builds."""
    theirs = imported(write({**payload, "source": payload["tests"], "tests": ""}, "reference"), "reference")
    made = imported(write({**payload, "tests": ""}, name), name)
    named = payload.get("class", "Model")
    if (kind := getattr(made, named, None)) is None:
        raise Refused("result", f"it defines no class {named}")
    with torch.no_grad():
        _seed(payload["style"])
        settings = [_placed(v, payload["device"]) for v in theirs.get_init_inputs()]
        _seed(payload["style"])
        return theirs, kind(*settings).to(payload["device"])


def _modules(payload: Any, name: str) -> tuple[Any, str]:
    """Build a torch module by the reference's own inputs, and return what it makes of them."""
    theirs, model = modelled(payload, name)
    with torch.no_grad():
        if rules.TRIALS not in payload:
            return _forward(theirs, model, payload["device"], SEED), ""
        torch.manual_seed(SEED)
        seeds = [int(torch.randint(0, 2**32 - 1, (1,))) for _ in range(payload[rules.TRIALS])]
        made = [_forward(theirs, model, payload["device"], seeds[0])]
        room = LARGEST // max(1, made[0].nbytes if isinstance(made[0], torch.Tensor) else 1)
        made += [_forward(theirs, model, payload["device"], seed) for seed in seeds[1 : max(1, room)]]
        return {rules.TRIALS: made}, ""


def _forward(theirs: Any, model: Any, device: str, seed: int) -> Any:
    """Call a module on the reference's own inputs, drawn from a seed."""
    values = inputs(theirs, device, seed)
    torch.manual_seed(seed)
    return model(*values)


def inputs(theirs: Any, device: str, seed: int = SEED) -> list[Any]:
    """Draw a reference's own inputs from a seed."""
    torch.manual_seed(seed)
    return [_placed(v, device) for v in theirs.get_inputs()]


def _placed(value: Any, device: str) -> Any:
    return value.to(device) if isinstance(value, torch.Tensor) else value


_RUNNERS: dict[str, Callable[[Any, str], tuple[Any, str]]] = {
    "module": _module, "function": _module, "pytest": _pytest, "script": _script, "model": _modules,
}  # fmt: skip


def shaped(payload: Any) -> list[int] | None:
    """Build a torch module and call it on tensors that hold nothing: shapes and types are checked, values are not.

    Returns operations and bytes of the call; None where to count them would take long.
    """
    began = time.process_time()
    file = write(payload, "candidate")
    with torch.device("meta"):
        module = imported(file, "candidate")
        module.Model(*module.get_init_inputs())(*module.get_inputs())
    if time.process_time() - began > QUICK:
        return None
    from fitness.jobs import sizes  # half a second, which others' references need not pay

    return sizes.work(payload["source"])
