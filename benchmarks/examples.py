"""Judges every example kernel of operators/knowledge/kernels on every case of its task, beside the seed.

    python benchmarks/examples.py [TARGET] [TASK ...]

Times are predicted from compiled code on a machine without a GPU.
"""

import math
import sys
from pathlib import Path

import suites
from evo_kernel.config import Settings
from evo_kernel.pools import judge_now, one_judge
from fitness.evaluation import Evaluation
from operators.knowledge import library


def main(target: str, names: list[str]) -> None:
    """Print one line a kernel."""
    settings = Settings(target=target, basis="predicted", pool="inline")
    print(f"{'task':<12} {'seed us':>10} {'example us':>10} {'gain':>6}   predicted on {target}")
    for path in sorted((Path(library.__file__).parent / "kernels").glob("*.py")):
        if names and path.stem not in names:
            continue
        task = suites.load(path.stem)
        public = {c.name for c in task.cases}
        judge = one_judge(task, settings)
        try:
            seed = judge_now(judge, task.seeds[0].source, task.cases)
            example = judge_now(judge, path.read_text(encoding="utf-8"), (*task.cases, *task.held_out))
        finally:
            judge.close()
        if example.failure is not None:
            print(f"{task.name:<12} FAILED at {example.failure.stage}: {example.failure.message}")
            continue
        before, after = _score(seed, public), _score(example, public)
        print(f"{task.name:<12} {before:>10.2f} {after:>10.2f} {before / after:>6.2f}")


def _score(e: Evaluation, names: set[str]) -> float:
    """Return the geometric mean over the named cases."""
    times = [math.log(c.time_us) for c in e.cases if c.case in names]
    return math.exp(sum(times) / len(times))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "mi300", sys.argv[2:])
