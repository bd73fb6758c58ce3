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
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import triton

from archives.candidate import fingerprint
from fitness.judge import Judge
from operators import knobs
from suites import Task, load, names
from suites.inputs import draw


def programs(task: Task, count: int, backend: str, rng: np.random.Generator) -> list[str]:
    """Draw programs by setting every knob of the seed at random."""
    seed = task.seeds[0].source
    found = {fingerprint(seed): seed}
    for _ in range(20 * count):
        if len(found) >= count:
            break
        settings = {}
        for knob in knobs.find(seed, backend):
            if rng.random() < 0.6:
                settings[knob.name] = knob.legal[int(rng.integers(len(knob.legal)))]
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
        inputs = GIVEN.setdefault(
            (task.name, case.name),
            [v.cuda() if isinstance(v, torch.Tensor) else v for v in draw(case.inputs, 0, case.name).values()],
        )
        launcher(*inputs)
        times.append(
            triton.testing.do_bench(lambda i=inputs: launcher(*i), warmup=5, rep=20, return_mode="median") * 1e3
        )
    return math.exp(sum(map(math.log, times)) / len(times))


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


def study(task: Task, target: str, count: int, folder: Path) -> dict:
    """Predict and measure the programs of one task."""
    rng = np.random.default_rng(0)
    judge = Judge(task, target)
    predicted, measured, failed = [], [], 0
    try:
        for number, source in enumerate(programs(task, count, judge.target.backend, rng)):
            verdict = judge.judge(source)
            if not verdict.passed:
                failed += 1
                continue
            try:
                measured.append(measure(task, source, folder, number))
            except Exception as error:  # a launch the chip refuses is a finding, not the end
                print(
                    f"{task.name}: passed here, failed on the device: {type(error).__name__}: {error}", file=sys.stderr
                )
                failed += 1
                continue
            predicted.append(verdict.score_us)
    finally:
        judge.close()
        GIVEN.clear()
        torch.cuda.empty_cache()
    p, m = np.array(predicted), np.array(measured)
    resampled = [spearman(p[i], m[i]) for i in rng.integers(0, len(p), (500, len(p)))]
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    return {
        "task": task.name, "programs": len(p), "failed": failed, "spearman": spearman(p, m), "interval": [low, high],
        "seed_measured_us": m[0], "best_measured_us": m.min(), "picked_measured_us": m[p.argmin()],
        "picked_predicted_us": p.min(), "pairs": [[float(a), float(b)] for a, b in zip(p, m, strict=True)],
    }  # fmt: skip


def main() -> None:
    """Study every task and print one table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--target", default="h200")
    options.add_argument("--programs", type=int, default=24)
    options.add_argument("--tasks", default=",".join(names()))
    options.add_argument("--json", help="write every pair to this file")
    given = options.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("this benchmark compares predictions with measurements: it needs a GPU")
    print(
        f"device {torch.cuda.get_device_name()}, torch {torch.__version__}, triton {triton.__version__}, target {given.target}"
    )
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
