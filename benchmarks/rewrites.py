"""Applies every family of rewrites to every native seed and judges the result: how many compile, pass, and are faster.

    python benchmarks/rewrites.py [--target mi300] [--tasks softmax,...] [--families exp-to-exp2,...] [--json FILE]
    python benchmarks/rewrites.py --families fuse-kernels --after split-kernel
    python benchmarks/rewrites.py --time

Without a GPU: correctness under Triton's interpreter, times predicted. Of each family all places are rewritten at once,
and, where there are several or they have choices, some single ones (`--singles`). `--time` judges nothing: it says how
long proposals take, in processor time, of a program of 300 lines that is made of native seeds.
"""

import argparse
import gc
import json
import math
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from archives.candidate import Candidate, fingerprint
from fitness.judge import Judge
from operators import program_tree
from operators.proposal import Context
from operators.rewrites import program as programs
from operators.rewrites.families import FAMILIES
from operators.rewrites.operator import Rewriting
from operators.rewrites.program import apply, read
from suites import load
from suites.native import TEN


def main() -> None:
    """Judge and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="mi300")
    parser.add_argument("--tasks", default=",".join(TEN))
    parser.add_argument("--families", default=",".join(f.name for f in FAMILIES))
    parser.add_argument("--singles", type=int, default=2, help="single places of each family and task")
    parser.add_argument("--after", help="a family that is applied to every seed first, at all its places")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--time", action="store_true", help="print how long proposals take, and judge nothing")
    given = parser.parse_args()
    if given.time:
        timed(long_program(300))
        return
    families = [f for f in FAMILIES if f.name in given.families.split(",")]
    rows = [
        row
        for task in given.tasks.split(",")
        for row in judged(task, families, given.target, given.singles, given.after)
    ]
    found = defaultdict(list)
    for row in rows:
        found[row["family"]].append(row)
    print(f"\n{'family':<22}{'tasks':>6}{'judged':>8}{'passed':>8}{'share':>7}  predicted time over the seed's")
    for name, some in [*found.items(), ("all", rows)]:
        passed = [r for r in some if r["passed"]]
        ratios = [r["ratio"] for r in passed]
        middle = math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else float("nan")
        tasks, share = len({r["task"] for r in some}), len(passed) / len(some)
        print(
            f"{name:<22}{tasks:>6}{len(some):>8}{len(passed):>8}{share:>7.0%}"
            f"  {min(ratios, default=float('nan')):.3f} to {max(ratios, default=float('nan')):.3f}, mean {middle:.3f}"
        )
    print(dict(Counter(r["failure"] for r in rows if r["failure"])))
    if given.json:
        given.json.write_text(json.dumps({"target": given.target, "rows": rows}, indent=1))


def judged(name: str, families: list, target: str, singles: int, after: str | None) -> list[dict]:
    """Judge what every family makes of a task's seed."""
    task = load(name)
    judge = Judge(task, target, 0)
    rows = []
    try:
        seed = task.seeds[0].source
        for family in [f for f in FAMILIES if f.name == after]:
            seed = apply(read(seed), list(family.sites(read(seed))))
        own = judge.judge(seed)
        program = read(seed)
        for family in families:
            sites = list(family.sites(program))
            chosen = [sites] + [[s] for s in sites[-singles:]] if len(sites) > 1 else [sites] if sites else []
            for some in {apply(program, one): one for one in chosen}.items():
                verdict = judge.judge(some[0])
                failure = verdict.failure and f"{verdict.failure.stage}/{verdict.failure.kind}"
                ratio = verdict.score_us / own.score_us if verdict.passed else None
                rows.append({"task": name, "family": family.name, "sites": [s.what for s in some[1]],
                             "passed": verdict.passed, "failure": failure, "ratio": ratio})  # fmt: skip
                said = f"{ratio:.3f}" if ratio else f"{failure}: {verdict.failure.message[:150]}"
                print(f"{name:<12}{family.name:<22}{len(some[1])} places  {said}", flush=True)
    finally:
        judge.close()
    return rows


def long_program(lines: int) -> str:
    """Join native seeds until a program is so long."""
    source = ""
    for name in TEN:
        source += load(name).seeds[0].source.rstrip() + "\n\n\n"
        if source.count("\n") >= lines:
            break
    return source


def timed(source: str) -> None:
    """Print the milliseconds that proposals of a program take: of each family, and as the operator draws them."""
    gc.freeze()  # torch and triton, which a search does not load where it proposes
    cold = milliseconds(source, range(1))
    print(
        f"a program of {source.count(chr(10))} lines; reading it for the first time: {cold[0]:.0f} ms with a proposal"
    )
    print(f"{'family':<24}{'first':>8}{'median':>8}{'p90':>8}{'worst':>8}")
    for family in FAMILIES:
        if list(family.sites(read(source))):
            print(f"{family.name:<24}{spread(milliseconds(source, range(9), Rewriting((family,))))}")
    print(f"{'any':<24}{spread(milliseconds(source, range(100)))}")


def milliseconds(source: str, seeds: range, operator: Rewriting | None = None) -> list[float]:
    """Time proposals of one parent, the first of them with nothing remembered but its tree."""
    parent = Candidate(source, "seed", "", (), fingerprint(source), "s")
    if operator is None and len(seeds) == 1:
        program_tree.parse.cache_clear()
    programs.read.cache_clear()
    found = []
    for seed in seeds:
        context = Context(np.random.default_rng(seed), lambda mark: False, "h200", "cuda")
        began = time.process_time()
        (operator or Rewriting()).propose([parent], context)
        found.append(1000 * (time.process_time() - began))
    return found


def spread(found: list[float]) -> str:
    """Return the first of some figures, and of those after it the middle, the ninth tenth and the largest."""
    later = sorted(found[1:])
    return "".join(f"{f:>8.1f}" for f in (found[0], later[len(later) // 2], later[len(later) * 9 // 10], later[-1]))


if __name__ == "__main__":
    main()
