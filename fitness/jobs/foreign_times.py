"""Takes times of a program by its suite's own performance file, and tells what that saves: test by test, microseconds.

The program runs beside the file that reads the clock, and could be the clock: what comes back is one process's claim.
"""

import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from fitness.child import Refused, Report
from fitness.jobs import devices, host, host_clock, interpret, runners

SHARE = 0.7  # of the seconds a program may take: after that what can be shortened is
CALLS, WARM_UPS, DISCARDED, LEAST = 100, 3, 1, 10  # KernelBench's trials; the last: where they would not end in time
FLUSH = (32, 1024, 1024)  # of int64, KernelBench's: more than a cache holds
WARM_UP, REPETITION = 100.0, 1000.0  # milliseconds for each input, as every file of TritonBench's asks for
NAME = 160  # letters of a test's name
ONLY = "test_performance or test_save_performance_results"
_FOLDER = re.compile(r"(?m)^(\s*)folder_path\s*=.*$")
_SAVED = "evo-times"
_LATENCY = re.compile(r"^GEAK_RESULT_LATENCY_MS=([0-9.eE+-]+)\s*$", re.MULTILINE)


def on_device(payload: Any, report: Report) -> list[list[Any]]:
    """Take times on a GPU, where tuners choose as they do by themselves."""
    devices.choose(payload["visible"])
    return _told({**payload, "device": "cuda"}, report)


def interpreted(payload: Any, report: Report) -> list[list[Any]]:
    """Go the same way under the interpreter, by the host's clock: what is told are no times of any GPU."""
    interpret.prepare()
    host.install()
    host.stand_aside()
    host_clock.install()
    return _told({**payload, "device": "cpu"}, report)


def _told(payload: Any, report: Report) -> list[list[Any]]:
    """Return names of tests and microseconds; a test that failed has none, as in the suites' own results."""
    report.stage("times")
    until = time.monotonic() + SHARE * payload["seconds"]
    whole = {**payload, "files": [*payload["files"], *payload["timing"]]}
    found, failed = _TAKERS[payload["style"]](whole, until)
    if not found:
        raise Refused("times", failed or "its performance file saved none")
    return _numbered(found)


def _numbered(found: list[tuple[str, float]]) -> list[list[Any]]:
    """Give names that stand there several times a number each."""
    names: dict[str, int] = {}
    told = []
    for name, milliseconds in found:
        short = name[:NAME]
        names[short] = names.get(short, 0) + 1
        told.append([short if names[short] == 1 else f"{short} ({names[short]})", 1e3 * milliseconds])
    return told


def _pytest(payload: Any, until: float) -> tuple[list[tuple[str, float]], str]:
    """Run the timed tests of a file, and the one that saves what they noted."""
    _, failed = runners.run({**payload, "only": ONLY}, "candidate")
    found, wrong = _saved("perf")
    return found, failed or wrong


def _script(payload: Any, until: float) -> tuple[list[tuple[str, float]], str]:
    """Run a task's performance command; what it says of all its shapes together counts where it saves nothing.

    A command that failed has no times, as in the arena itself: what was printed or saved before may be anybody's.
    """
    _, failed, words = runners.scripted({**payload, "command": payload["timed"]}, "candidate")
    if failed:
        return [], failed
    found, wrong = _saved("build")
    whole = [("all shapes", float(ms)) for ms in _LATENCY.findall(words)[-1:] if float(ms) > 0]
    return found or whole, wrong


def _inputs(payload: Any, until: float) -> tuple[list[tuple[str, float]], str]:
    """Run a performance file input by input: one that fails costs no other, as where their harness wraps the file."""
    placed = [[path, _FOLDER.sub(rf'\1folder_path = "{_SAVED}"', text)] for path, text in payload["timing"]]
    path, text = placed[-1]
    runners.write({**payload, "files": [*payload["files"], *placed, *_programs(payload, path, text)]}, "candidate")
    file = runners.imported(str(Path(path).resolve()), Path(path).stem)
    timer = file.performance_metrics()
    timer.get_input_tensors()
    every, found, failed = list(timer.input_tensors), [], ""
    for number, one in enumerate(every):
        scale = _scale(until, len(every) - number)
        timer.get_do_bench_config(warmup=scale * WARM_UP, rep=scale * REPETITION)
        timer.input_tensors = [one]
        shutil.rmtree(_SAVED, ignore_errors=True)
        Path(_SAVED).mkdir()
        try:
            timer.run_benchmark()
        except Exception as error:  # noqa: BLE001  their harness goes on with the next input, whatever is raised
            failed = f"{type(error).__name__}: {error}"
        times, wrong = _saved(_SAVED)
        failed = failed or wrong
        found += [(f"{number + 1}: {name}", ms) for name, ms in times]
    return found, failed


def _scale(until: float, left: int) -> float:
    """Return which part of its usual time an input gets: all of it, but where so many would not end in time."""
    usual = 2 * (WARM_UP + REPETITION) / 1000  # it is compiled first, and called to see how long it takes
    return max(0.02, min(1.0, (until - time.monotonic()) / left / usual))


def _programs(payload: Any, path: str, text: str) -> list[list[str]]:
    """Place the program where its performance file imports it from: as PACKAGE.NAME."""
    name = path.removesuffix(".py").removesuffix("_perf")
    places = re.findall(rf"(?m)^\s*from\s+([\w.]+\.{re.escape(name)})\s+import\b", text)
    return [[f"{place.replace('.', '/')}.py", payload["source"]] for place in places]


def _model(payload: Any, until: float) -> tuple[list[tuple[str, float]], str]:
    """Time calls of a module as KernelBench does: from a cold cache, by events, their mean."""
    with torch.no_grad():
        theirs, model = runners.modelled(payload, "candidate")
        values = runners.inputs(theirs, payload["device"])
        found = _calls(lambda: model(*values), payload["device"], until)
    return [("get_inputs", sum(found) / len(found))], ""


def _calls(call: Callable[[], Any], device: str, until: float) -> list[float]:
    """Return the milliseconds of so many calls as KernelBench makes, or of fewer where those would not end in time."""
    for _ in range(WARM_UPS):
        call()
        torch.cuda.synchronize()
    torch.cuda.empty_cache()
    found: list[float] = []
    while len(found) < DISCARDED + CALLS and (len(found) < DISCARDED + LEAST or time.monotonic() < until):
        torch.cuda.synchronize()
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        if device != "cpu":
            torch.empty(FLUSH, dtype=torch.int64, device=device).fill_(42)
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize()
        found.append(begin.elapsed_time(end))
    return found[DISCARDED:]


def _saved(folder: str) -> tuple[list[tuple[str, float]], str]:
    """Read what a performance file saved below this folder: names and milliseconds, and what failed last."""
    found, failed = [], ""
    for file in sorted(Path(folder).rglob("*.json")):
        try:
            entries = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:  # it ends where an input's sizes could not be written
            failed = f"{file.name} is no JSON: {error}"
            continue
        for entry in entries if isinstance(entries, list) else []:
            milliseconds = _milliseconds(entry)
            if isinstance(milliseconds, (int, float)) and milliseconds > 0:
                found.append((_name(entry), float(milliseconds)))
            failed = str(entry.get("error", failed))
    return found, failed


def _milliseconds(entry: dict[str, Any]) -> Any:
    """Return what an entry states: the median in GEAK-eval's files, the mean in the arena's."""
    if isinstance(entry.get("timing_ms"), dict):
        return entry["timing_ms"].get("mean")
    return entry.get("ms", entry.get("execution_time_ms"))


def _name(entry: dict[str, Any]) -> str:
    """Name a test by its number, its parameters or the sizes of its inputs."""
    if isinstance(entry.get("test_case_id"), str):
        return str(entry["test_case_id"])
    if isinstance(entry.get("params"), dict):
        return ", ".join(f"{key}={value}" for key, value in entry["params"].items())
    return json.dumps(entry.get("input_size"), separators=(",", ":"))


_TAKERS: dict[str, Callable[[Any, float], tuple[list[tuple[str, float]], str]]] = {
    "module": _inputs, "function": _inputs, "pytest": _pytest, "script": _script, "model": _model,
}  # fmt: skip
