"""Runs Kernel Tuner's strategies on a table, in its own simulation mode, where kernel_tuner is installed.

Kernel Tuner takes times from a cache file. It is written from the table, with the noise and the failures that are
injected for our own searches of the same seed, so both meet the same trouble.
"""

import contextlib
import importlib
import json
import statistics
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evo_kernel.landscapes import COUNTS, Landscape, LandscapeError, Peer
from evo_kernel.landscapes_judge import Faults, TableJudge
from operators.tune.space import Config
from operators.tune.table import Programs

INTERFACE = "kernel_tuner.interface"
SOURCE = "__global__ void table() {}"  # never compiled: in simulation mode no kernel runs
FAILED = "RuntimeFailedConfig"  # Kernel Tuner's word for a configuration that failed to run


def check(strategies: Sequence[str]) -> None:
    """Refuse strategies that Kernel Tuner does not have, or any where it is not installed."""
    if not strategies:
        return
    known = _interface().strategy_map
    unknown = [name for name in strategies if name not in known]
    if unknown:
        raise LandscapeError(f"Kernel Tuner has no strategy {unknown[0]!r}; it has: {', '.join(sorted(known))}")


def curve(landscape: Landscape, strategy: str, evaluations: int, faults: Faults, seed: int) -> list[float]:
    """Return how near to the best reachable time what looked best truly was, after each new configuration."""
    judge = TableJudge(landscape, Programs(landscape.space, landscape.name), faults, seed)
    told = {config: judge.told_ms(config) for config in landscape.times}
    reachable = judge.reachable_ms()
    best, quality, found = float("inf"), 0.0, []
    for config in _visited(landscape, told, strategy, evaluations, seed):
        time, true = told[config], landscape.times[config]
        if time is not None and true is not None and time < best:
            best, quality = time, reachable / true
        found.append(quality)
    return found[:evaluations]


def peer(strategy: str, curves: Sequence[Sequence[float]]) -> Peer:
    """Return the means over the seeds; a run that ended earlier keeps its last figure."""
    at = {n: [c[min(int(n), len(c)) - 1] if c else 0.0 for c in curves] for n in COUNTS}
    return Peer(strategy, {n: statistics.fmean(values) for n, values in at.items()})


def _visited(
    landscape: Landscape, told: Mapping[Config, float | None], strategy: str, evaluations: int, seed: int
) -> list[Config]:
    """Let Kernel Tuner search; return every configuration that it evaluated once, in order."""
    names = [p.name for p in landscape.space.parameters]
    places = [{value: at for at, value in enumerate(p.values)} for p in landscape.space.parameters]

    def legal(values: Mapping[str, Any]) -> bool:
        return tuple(place[values[name]] for name, place in zip(names, places, strict=True)) in told

    with tempfile.TemporaryDirectory(prefix="evo-kernel-peer-") as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that the kernel's arguments are missing
        cache = Path(scratch) / "cache.json"
        cache.write_text(json.dumps(_cache(landscape, told)), encoding="utf-8")
        with contextlib.redirect_stdout(sys.stderr):
            results, _ = _interface().tune_kernel(
                landscape.name, SOURCE, 1, [], {p.name: list(p.values) for p in landscape.space.parameters},
                restrictions=legal, strategy=strategy, strategy_options={"max_fevals": evaluations},
                cache=str(cache), simulation_mode=True, quiet=True, seed=seed, lang="CUDA",
            )  # fmt: skip
    every = (tuple(place[r[name]] for name, place in zip(names, places, strict=True)) for r in results)
    return list(dict.fromkeys(every))


def _cache(landscape: Landscape, told: Mapping[Config, float | None]) -> dict[str, Any]:
    """Return times as Kernel Tuner would have written them down."""
    rows = {}
    for config, time in told.items():
        values: dict[str, Any] = dict(landscape.space.values(config))
        outcome = {"time": time} if time is not None else {"time": FAILED, "__error__": FAILED}
        rows[",".join(map(str, values.values()))] = values | outcome
    parameters = {p.name: list(p.values) for p in landscape.space.parameters}
    return {
        "device_name": landscape.gpu, "kernel_name": landscape.name, "problem_size": 1, "objective": "time",
        "tune_params_keys": list(parameters), "tune_params": parameters, "cache": rows,
    }  # fmt: skip


def _interface() -> Any:
    try:
        return importlib.import_module(INTERFACE)
    except ImportError as error:
        raise LandscapeError(f"Kernel Tuner cannot be run here: {error}; pip install kernel_tuner") from error
