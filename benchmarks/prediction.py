"""How well predicted times rank programs: the same programs predicted and measured, on a machine with a GPU.

    python benchmarks/prediction.py --target h200 [--programs 24] [--tasks softmax,gemm_fp16]

For each task, programs are drawn by random knob settings from its seed; those that pass every gate are predicted for
the target and measured on the GPU (median of triton.testing.do_bench, public cases at full size). Printed: Spearman's
rank correlation with a 95% bootstrap interval, and the time of the program predicted best over the time of
the truly best: what picking by prediction would have cost. The seed's measured time stands beside it.
"""

import argparse
import importlib.util
import json
import math
import os
import queue
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import triton

from archives.candidate import fingerprint
from fitness.evaluation import Evaluation
from fitness.judge import Judge
from operators import knobs
from suites import Task, load
from suites.native import TEN
from suites.task import Argument, Input


def programs(task: Task, count: int, backend: str, rng: np.random.Generator, most: float = math.inf) -> list[str]:
    """Draw programs by setting every knob of the seed at random, none with tiles of over `most` elements a lane."""
    seed = task.seeds[0].source
    found = {fingerprint(seed): seed}
    for _ in range(20 * count):
        if len(found) >= count:
            break
        found_knobs = knobs.find(seed, backend)
        settings = {knob.name: knob.value for knob in found_knobs}
        for knob in found_knobs:
            if knob.kind == "num_stages" and "tl.dot" not in seed:
                continue  # without a product nothing is staged: the same machine code
            if rng.random() < 0.6:
                settings[knob.name] = knob.legal[int(rng.integers(len(knob.legal)))]
        sizes = sorted(settings[k.name] for k in found_knobs if k.kind in ("size", "tile"))
        lanes = 32 * next((settings[k.name] or 4 for k in found_knobs if k.kind == "num_warps"), 4)
        if math.prod(sizes[-2:]) > most * lanes:
            continue
        source = knobs.rewrite(seed, settings)
        found.setdefault(fingerprint(source), source)
    return list(found.values())


def measure(task: Task, source: str, folder: Path, number: int) -> float:
    """Return the geometric mean over cases of the median time in microseconds."""
    path = folder / f"program_{number}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    launcher = getattr(module, task.entry)
    times = []
    for case in task.cases:
        inputs = GIVEN.setdefault((task.name, case.name), [on_device(a) for a in case.inputs.values()])
        launcher(*inputs)
        times.append(
            triton.testing.do_bench(lambda i=inputs: launcher(*i), warmup=5, rep=20, return_mode="median") * 1e3
        )
    return math.exp(sum(map(math.log, times)) / len(times))


def on_device(argument: Argument) -> torch.Tensor | float:
    """Return an argument with values of the right kind; drawing them as the judge does would take seconds a case."""
    if not isinstance(argument, Input):
        return argument
    order = argument.order or tuple(range(len(argument.shape)))
    stored = [argument.shape[d] for d in order]
    if argument.high is not None:
        tensor = torch.randint(argument.high, stored, dtype=getattr(torch, argument.dtype), device="cuda")
    else:
        tensor = torch.randn(stored, device="cuda").to(getattr(torch, argument.dtype))
    return tensor.permute([order.index(d) for d in range(len(order))])


GIVEN: dict = {}


def ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks, ties sharing their mean."""
    order = values.argsort()
    result = np.empty(len(values))
    result[order] = np.arange(len(values))
    for value in np.unique(values):
        result[values == value] = result[values == value].mean()
    return result


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Return the rank correlation."""
    a, b = ranks(one), ranks(other)
    return float(np.corrcoef(a, b)[0, 1]) if a.std() and b.std() else float("nan")


def predict(task: Task, target: str, count: int, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Return the programs that pass every gate with their predicted times; several judges work at once."""
    judges = [Judge(task, target) for _ in range(max(1, min(8, (os.cpu_count() or 2) // 2)))]
    free: queue.SimpleQueue[Judge] = queue.SimpleQueue()
    for judge in judges:
        free.put(judge)

    def one(source: str) -> Evaluation:
        judge = free.get()
        try:
            return judge.judge(source)
        finally:
            free.put(judge)

    sources = programs(task, count, judges[0].target.backend, rng)
    with ThreadPoolExecutor(len(judges)) as threads:
        verdicts = list(threads.map(one, sources))
    for judge in judges:
        judge.close()
    return [(s, v.score_us) for s, v in zip(sources, verdicts, strict=True) if v.passed]


def study(task: Task, target: str, count: int, folder: Path) -> dict:
    """Predict and measure the programs of one task."""
    rng = np.random.default_rng(0)
    predicted, measured = [], []
    passed = predict(task, target, count, rng)
    for number, (source, score_us) in enumerate(passed):
        try:
            measured.append(measure(task, source, folder, number))
        except Exception as error:  # a launch the chip refuses is a finding, not the end
            print(f"{task.name}: passed the gates, failed on the device: {error!r}", file=sys.stderr)
            continue
        predicted.append(score_us)
    GIVEN.clear()
    torch.cuda.empty_cache()
    p, m = np.array(predicted), np.array(measured)
    resampled = [spearman(p[i], m[i]) for i in rng.integers(0, len(p), (500, len(p)))]
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    return {
        "task": task.name, "programs": len(p), "failed": count - len(p), "spearman": spearman(p, m),
        "interval": [low, high],
        "seed_measured_us": m[0], "best_measured_us": m.min(), "picked_measured_us": m[p.argmin()],
        "picked_predicted_us": p.min(), "pairs": [[float(a), float(b)] for a, b in zip(p, m, strict=True)],
    }  # fmt: skip


def main() -> None:
    """Study every task and print one table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--target", default="h200")
    options.add_argument("--programs", type=int, default=24)
    options.add_argument("--tasks", default=",".join(TEN))
    options.add_argument("--json", help="write every pair to this file")
    given = options.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("this benchmark compares predictions with measurements: it needs a GPU")
    versions = f"torch {torch.__version__}, triton {triton.__version__}"
    print(f"device {torch.cuda.get_device_name()}, {versions}, predictions for {given.target}")
    head = ("task", "programs", "Spearman", "95% interval", "seed us", "picked us", "best us")
    print("{:<12} {:>8} {:>9} {:>16} {:>9} {:>9} {:>9}".format(*head))
    results = []
    with tempfile.TemporaryDirectory() as name:
        for task in given.tasks.split(","):
            r = study(load(task), given.target, given.programs, Path(name))
            results.append(r)
            interval = f"{r['interval'][0]:.2f} to {r['interval'][1]:.2f}"
            print(
                f"{r['task']:<12} {r['programs']:>8} {r['spearman']:>9.2f} {interval:>16} "
                f"{r['seed_measured_us']:>9.1f} "
                f"{r['picked_measured_us']:>9.1f} {r['best_measured_us']:>9.1f}", flush=True,
            )  # fmt: skip
    if given.json:
        Path(given.json).write_text(json.dumps(results))


if __name__ == "__main__":
    main()
