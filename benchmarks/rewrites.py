"""Applies every family of rewrites to every native seed and judges the result: how many compile, pass, and are faster.

    python benchmarks/rewrites.py [--target mi300] [--tasks softmax,...] [--families exp-to-exp2,...] [--rows FILE]
    python benchmarks/rewrites.py --families fuse-kernels --after split-kernel
    python benchmarks/rewrites.py --time [--long] [--repeats 3]

Without a GPU: correctness under Triton's interpreter, times predicted. Of each family all places are rewritten at once,
and, where there are several or they have choices, some single ones (`--singles`). Programs whose verdict stands in the
file of `--rows` are not judged again, so a table can be made in parts. `--time` judges nothing: it says how long
proposals take, in processor time, of a program of 300 lines that is made of native seeds; with `--long` of awkward
programs of 300 lines, one of each kind in `rewrites_long.py`: the first proposal of each family, those among them that
find nothing, and the first of all families as the operator draws them. A program's tree is there already, as in a
search, and nothing else: to parse it is told apart.
"""

import argparse
import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from functools import cache
from pathlib import Path
from statistics import geometric_mean

import numpy as np
from rewrites_long import written  # beside this file

from archives import canonical
from archives.candidate import Candidate, fingerprint
from fitness.judge import Judge
from operators import program_tree
from operators.proposal import Context, ProposalError
from operators.rewrites import program as programs
from operators.rewrites.families import FAMILIES
from operators.rewrites.operator import ELSEWHERE, Rewriting, look
from operators.rewrites.program import apply, read
from operators.uncollected import settled
from suites import Task, load
from suites.native import TEN


def main() -> None:
    """Judge and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="mi300")
    parser.add_argument("--tasks", default=",".join(TEN))
    parser.add_argument("--families", default=",".join(f.name for f in FAMILIES))
    parser.add_argument("--singles", type=int, default=2, help="single places of each family and task")
    parser.add_argument("--after", help="a family that is applied to every seed first, at all its places")
    parser.add_argument("--rows", type=Path, help="a file of verdicts that this run goes on with")
    parser.add_argument("--minutes", type=float, default=math.inf, help="judge nothing more after so long")
    parser.add_argument("--repeats", type=int, default=1, help="of each time; the least of them is printed")
    parser.add_argument("--time", action="store_true", help="print how long proposals take, and judge nothing")
    parser.add_argument("--long", action="store_true", help="with --time: of awkward programs, one of each kind")
    given = parser.parse_args()
    if given.time:
        if given.long:
            awkward(given.repeats)
        else:
            with settled():  # as a search is, which does not load torch and triton where it proposes
                timed(long_program(300), given.repeats)
        return
    families = [f for f in FAMILIES if f.name in given.families.split(",")]
    known = Verdicts(given.rows, time.monotonic() + 60 * given.minutes)
    table([
        row
        for task in given.tasks.split(",")
        for row in judged(task, families, given.target, given.singles, given.after, known)
    ])  # fmt: skip


class Verdicts:
    """What was judged so far, by program: kept in a file, so that a table can be made in parts."""

    def __init__(self, file: Path | None, until: float) -> None:
        self.file, self.until = file, until
        lines = file.read_text().splitlines() if file and file.exists() else ()
        self.rows = {(row["task"], row["mark"]): row for row in map(json.loads, lines)}

    def of(self, task: Task, source: str, judge: Callable[[], Judge]) -> dict | None:
        """Return what became of a program; None where there is no time left to find out."""
        key = task.name, fingerprint(source)
        if key not in self.rows:
            if time.monotonic() > self.until:
                return None
            verdict = judge().judge(source)
            failure = verdict.failure and f"{verdict.failure.stage}/{verdict.failure.kind}"
            said = verdict.failure and f"{failure}: {verdict.failure.message[:150]}"
            self.rows[key] = {"task": task.name, "mark": key[1], "us": verdict.score_us if verdict.passed else None,
                              "failure": failure, "said": said}  # fmt: skip
            if self.file:
                with self.file.open("a") as out:
                    out.write(json.dumps(self.rows[key]) + "\n")
        return self.rows[key]


def table(rows: list[dict]) -> None:
    """Print what became of each family's applications; `left` counts those that there was no time for."""
    found = defaultdict(list)
    for row in rows:
        found[row["family"]].append(row)
    print(f"\n{'family':<22}{'tasks':>6}{'judged':>8}{'passed':>8}{'share':>7}{'left':>6}  predicted time over seed's")
    for name, every in [*found.items(), ("all", rows)]:
        some = [r for r in every if r["verdict"]]
        ratios = [r["verdict"]["us"] / r["own"] for r in some if r["verdict"]["us"]]
        tasks, share = len({r["task"] for r in some}), len(ratios) / max(len(some), 1)
        spread = f"{min(ratios):.3f} to {max(ratios):.3f}, mean {geometric_mean(ratios):.3f}" if ratios else ""
        print(f"{name:<22}{tasks:>6}{len(some):>8}{len(ratios):>8}{share:>7.0%}{len(every) - len(some):>6}  {spread}")
    for row in rows:
        if row["verdict"] and row["verdict"]["failure"]:
            print(row["task"], row["family"], row["sites"], row["verdict"]["said"])


def judged(name: str, families: list, target: str, singles: int, after: str | None, known: Verdicts) -> Iterator[dict]:
    """Give what becomes of a task's seed under every family that applies to it."""
    task = load(name)
    seed = task.seeds[0].source
    for family in [f for f in FAMILIES if f.name == after]:
        seed = apply(read(seed), list(family.sites(read(seed))))
    program = read(seed)
    with ExitStack() as stack:
        judge = cache(lambda: stack.enter_context(closing(Judge(task, target, 0))))
        for family in families:
            sites = list(family.sites(program))
            chosen = [sites] + [[s] for s in sites[len(sites) - singles :]] if len(sites) > 1 else [sites] * len(sites)
            for source, some in {apply(program, one): one for one in chosen}.items():
                own = known.of(task, seed, judge)
                verdict = known.of(task, source, judge) if own and own["us"] else None
                yield {"task": name, "family": family.name, "sites": [s.what for s in some],
                       "own": own and own["us"], "verdict": verdict}  # fmt: skip
                if verdict:
                    ratio = verdict["said"] or f"{verdict['us'] / own['us']:.3f}"
                    print(f"{name:<22}{family.name:<22}{len(some)} places  {ratio}", flush=True)


def long_program(lines: int) -> str:
    """Join native seeds until a program is so long."""
    source = ""
    for name in TEN:
        source += load(name).seeds[0].source.rstrip() + "\n\n\n"
        if source.count("\n") >= lines:
            break
    return source


def timed(source: str, repeats: int) -> None:
    """Print the milliseconds that proposals of a program take: of each family, and as the operator draws them."""
    cold = milliseconds(source, range(1))
    print(
        f"a program of {source.count(chr(10))} lines; reading it for the first time: {cold[0]:.0f} ms with a proposal"
    )
    print(f"a plain loop of a million turns takes {1000 * min(looped() for _ in range(9)):.0f} ms at best")
    print(f"{'family':<24}{'first':>8}{'median':>8}{'p90':>8}{'worst':>8}")
    for family in FAMILIES:
        if list(family.sites(read(source))):
            print(f"{family.name:<24}{spread(least(source, range(9), Rewriting((family,)), repeats))}", flush=True)
    print(f"{'any':<24}{spread(least(source, range(100), Rewriting(), repeats))}")
    print(f"{'looked through before':<24}{spread(milliseconds(source, range(300), ahead=True))}")


def awkward(repeats: int) -> None:
    """Print the milliseconds that first proposals of awkward programs take."""
    print(f"a plain loop of a million turns takes {1000 * min(looped() for _ in range(9)):.0f} ms at best")
    print(f"{'':<14}{'parse':>8}   each family: median, p90, worst{'':>23}  as drawn: median, p90, worst")
    every: list[float] = []
    for kind, source in written(300).items():
        program_tree.parse.cache_clear()
        began = time.process_time()
        program_tree.parse(source)
        parsed = 1000 * (time.process_time() - began)
        with settled():  # as a search of this program is
            first = {f.name: least(source, range(1), Rewriting((f,)), repeats)[0] for f in FAMILIES}
            drawn = [least(source, range(n, n + 1), Rewriting(), repeats)[0] for n in range(12)]
        each, most = spread([0.0, *first.values()])[8:], max(first, key=lambda name: first[name])
        print(f"{kind:<14}{parsed:>8.0f}{each}  {most:<30}{spread([0.0, *drawn])[8:]}", flush=True)
        every += first.values()
    print(f"{'all':<22}{spread([0.0, *every])[8:]}")


def looped() -> float:
    """Return the seconds of the processor that a plain loop takes."""
    began, total = time.process_time(), 0
    for number in range(1_000_000):
        total += number
    return time.process_time() - began


def least(source: str, seeds: range, operator: Rewriting, repeats: int) -> list[float]:
    """Return the least of several times of each proposal; every repeat begins with a tree of its own."""
    rows = []
    for _ in range(repeats):
        program_tree.parse.cache_clear()
        program_tree.parse(source)
        rows.append(milliseconds(source, seeds, operator))
    return [min(column) for column in zip(*rows, strict=True)]


def milliseconds(source: str, seeds: range, operator: Rewriting | None = None, ahead: bool = False) -> list[float]:
    """Time proposals of one parent, the first of them with nothing remembered but its tree.

    `ahead`: with all that a search finds out of its elites beside its work.
    """
    fingerprint.cache_clear()
    canonical.forget()  # or a repeat knew what it proposes before
    parent = Candidate(source, "seed", "", (), fingerprint(source), "s")
    alone = {f.name for f in operator.families} if operator else set()
    chip = ("h200", "cuda") if alone <= set(ELSEWHERE["hip"]) and alone else ("mi300", "hip")
    if operator is None and len(seeds) == 1:
        program_tree.parse.cache_clear()
    programs.read.cache_clear()
    if ahead:
        list(look(source))
    found = []
    for seed in seeds:
        context = Context(np.random.default_rng(seed), lambda mark: False, *chip)
        began = time.process_time()
        with suppress(ProposalError):
            (operator or Rewriting()).propose([parent], context)
        found.append(1000 * (time.process_time() - began))
    return found


def spread(found: list[float]) -> str:
    """Return the first of some figures, and of those after it the middle, the ninth tenth and the largest."""
    later = sorted(found[1:])
    return "".join(f"{f:>8.1f}" for f in (found[0], later[len(later) // 2], later[len(later) * 9 // 10], later[-1]))


if __name__ == "__main__":
    main()
