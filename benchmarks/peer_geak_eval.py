"""GEAK-eval's references through its own harness and through `suite judge`, beside each other on one GPU.

    python benchmarks/peer_geak_eval.py --root CHECKOUT --rows rows.jsonl [--first 60] [--minutes 9]

Both judge each reference against itself: call and execution, no times of kernels. GEAK-eval's part is its own code, its
evaluators called as its command calls them, from a copy of the checkout in a temporary folder; it needs loguru and
parse_llm_code. Verdicts go to the rows file as they come, and what stands there is not judged again: the same command
goes on after its minutes are over. The clock of a side runs from the start of its processes to their end.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from peer_geak_eval_table import table

SUITES = {"tritonbench-revised": ("tbg", "TritonBench/data/TritonBench_G_v1"), "rocm": ("rocm", "ROCm/data/ROCm_v1")}
THEIRS = "theirs"
OURS = "ours"


class Rows:
    """What was judged so far, and how long each side took."""

    def __init__(self, file: Path) -> None:
        self._file = file
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        self.all = [row for line in lines if (row := _row(line)) is not None]
        self._lock = threading.Lock()

    def add(self, row: dict[str, object]) -> None:
        """Keep a row."""
        with self._lock, open(self._file, "a", encoding="utf-8") as target:
            target.write(f"{json.dumps(row)}\n")
            self.all.append(row)

    def lacking(self, side: str, suite: str, names: list[str]) -> list[str]:
        """Return the names that a side has not judged."""
        done = {r["name"] for r in self.all if r["kind"] == "verdict" and (r["side"], r["suite"]) == (side, suite)}
        return [name for name in names if name not in done]


def _row(line: str) -> dict[str, object] | None:
    """Read a line; None for one that a kill cut off."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def names(root: Path, suite: str) -> list[str]:
    """List a suite's tasks in its own order."""
    from suites.foreign import loader

    return [task.name for task in loader(suite).load(root)]


def judge(side: str, suite: str, chosen: list[str], options: argparse.Namespace, rows: Rows, deadline: float) -> None:
    """Let a side judge tasks in processes of its own, and keep what they say as they say it."""
    lacking = rows.lacking(side, suite, chosen)
    if not lacking or time.monotonic() >= deadline:
        return
    lanes = options.lanes if side == THEIRS else 1
    given = [lacking[n::lanes] for n in range(min(lanes, len(lacking)))]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        children = [_child(side, suite, part, options, Path(scratch)) for part in given]
        stop = threading.Timer(deadline - started, lambda: [_end(child) for child in children])
        stop.start()
        readers = [threading.Thread(target=_keep, args=(child, side, suite, rows)) for child in children]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        stop.cancel()
        codes = [child.wait() for child in children]
    took, left = time.monotonic() - started, len(rows.lacking(side, suite, chosen))
    rows.add({"kind": "wall", "side": side, "suite": suite, "seconds": took, "lanes": lanes if side == THEIRS else
              options.workers, "first": len(chosen), "judged": len(lacking) - left})  # fmt: skip
    print(f"{side}, {suite}: {len(lacking) - left} judged in {took:.1f} s, {left} of {len(chosen)} left, {codes}",
          flush=True)  # fmt: skip


def _child(side: str, suite: str, chosen: list[str], options: argparse.Namespace, scratch: Path
           ) -> "subprocess.Popen[str]":  # fmt: skip
    """Start a process that judges; GEAK-eval's own begins without compiled kernels of earlier calls."""
    environment = dict(os.environ)
    root = options.root.resolve()
    if side == THEIRS:
        copy = scratch / "checkout"
        if not copy.exists():
            shutil.copytree(root / "geak_eval", copy / "geak_eval")
        root = copy
        path = [str(copy), *filter(None, [environment.get("PYTHONPATH")])]
        environment |= {"PYTHONPATH": os.pathsep.join(path), "TRITON_CACHE_DIR": str(scratch / "cache")}
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "/usr/bin")])
    command = [sys.executable, __file__, "--root", str(root), "--rows", "-", "--side", side, "--suite", suite,
               "--workers", str(options.workers), "--seconds", str(options.seconds), "--on", options.on]  # fmt: skip
    child = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        cwd=scratch if side == THEIRS else None,
    )  # fmt: skip
    assert child.stdin is not None
    with child.stdin as sent:
        json.dump(chosen, sent)
    return child


def _keep(child: "subprocess.Popen[str]", side: str, suite: str, rows: Rows) -> None:
    """Keep every verdict that a process prints."""
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("{") and (said := _row(line)) is not None:
            rows.add({"kind": "verdict", "side": side, "suite": suite, **said})


def _end(child: "subprocess.Popen[str]") -> None:
    """Kill a process and all that it started."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)


def ours(root: Path, suite: str, chosen: list[str], options: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Judge references as `evo-kernel suite judge` does, but for its last question, which GEAK-eval does not ask."""
    from evo_kernel.suite import survey
    from evo_kernel.suite import theirs as suite_theirs

    tasks = survey.chosen(survey.survey(suite, root).tasks, tuple(chosen))
    for one in suite_theirs.judged(
        [(t, t.source) for t in tasks], suite_theirs.gpu(options.on), options.seconds, options.workers, flagging=False
    ):
        yield {"name": one.name, "called": one.called, "matched": one.passed is True, "why": one.why,
               "seconds": one.seconds, "device": one.device}  # fmt: skip


def theirs(root: Path, suite: str, chosen: list[str]) -> Iterator[dict[str, object]]:
    """Judge references with GEAK-eval's evaluators, called as its command calls them."""
    from geak_eval.evaluators.interface import get_evaluators

    dataset, folder = SUITES[suite]
    evaluator = get_evaluators[dataset]()
    work = Path(tempfile.mkdtemp(dir=Path.cwd()))
    for name in chosen:
        program = (root / "geak_eval/data" / folder / f"{name}.py").read_text(encoding="utf-8").split("#" * 146)[0]
        started = time.monotonic()
        said = evaluator(program, str(work / "tmp"), str(work / "exec"), f"{name}.py", atol=1e-2, rtol=1e-1,
                         custom_tests_path=None)  # fmt: skip
        lines = [line for line in str(said[-1] or "").splitlines() if line.strip()]
        yield {"name": name, "called": bool(said[0]), "matched": bool(said[1]), "why": lines[-1][:300] if lines else "",
               "seconds": time.monotonic() - started}  # fmt: skip


def inside(options: argparse.Namespace) -> None:
    """Judge as one side, in a process of its own."""
    chosen = json.load(sys.stdin)
    side = ours(options.root, options.suite, chosen, options) if options.side == OURS else theirs(
        options.root, options.suite, chosen)  # fmt: skip
    for row in side:
        print(json.dumps(row), flush=True)


def main() -> None:
    """Judge with both sides, the timed part first, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="a checkout of GEAK-eval")
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--first", type=int, default=60, help="so many TritonBench kernels are timed")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2), help="our runs at once")
    parser.add_argument("--lanes", type=int, default=1, help="processes of GEAK-eval at once; its command has one")
    parser.add_argument("--seconds", type=float, default=120.0, help="for one of our runs")
    parser.add_argument("--on", choices=("gpu", "interpreter"), default="gpu")
    parser.add_argument("--only-first", action="store_true", help="leave out what is not timed")
    parser.add_argument("--only", choices=(OURS, THEIRS), help="go on with one side alone")
    parser.add_argument("--side", choices=(OURS, THEIRS), help=argparse.SUPPRESS)
    parser.add_argument("--suite", choices=tuple(SUITES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        inside(options)
        return
    rows, deadline = Rows(options.rows), time.monotonic() + 60 * options.minutes
    bench, rocm = names(options.root, "tritonbench-revised"), names(options.root, "rocm")
    sides = (options.only,) if options.only else (OURS, THEIRS)
    for side in sides:
        judge(side, "tritonbench-revised", bench[: options.first], options, rows, deadline)
    others = [] if options.only_first else [("rocm", rocm), ("tritonbench-revised", bench)]
    for side in sides:
        for suite, chosen in others:
            judge(side, suite, chosen, options, rows, deadline)
    print(table(rows.all, bench[: options.first], {"tritonbench-revised": bench, "rocm": rocm}))


if __name__ == "__main__":
    main()
