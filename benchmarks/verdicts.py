"""Lays a suite's own verdicts beside ours without a GPU: on its references, and on references that store wrong values.

    python benchmarks/verdicts.py tritonbench-revised --root GEAK-eval --rows rows.jsonl [--factor 1.0005]

The sample is drawn by --seed from the tasks that load here, by name. Each reference is judged by both; with --factor
again, with every value that a kernel stores multiplied by it. Rows are kept, and a second call goes on.
"""

import argparse
import ast
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evo_kernel import config_files, machine
from evo_kernel.config import Settings
from evo_kernel.suite import ours as suite_ours
from evo_kernel.suite import tasks as suite_tasks
from fitness import ours, theirs
from fitness.jail import Jail
from suites.foreign import Loaded


class Scaled(ast.NodeTransformer):
    """Multiplies what is stored."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def visit_Call(self, node: ast.Call) -> ast.Call:
        """Multiply the value of a `tl.store`."""
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "store" and len(node.args) > 1:
            node.args[1] = ast.BinOp(node.args[1], ast.Mult(), ast.Constant(self.factor))
        return node


def sample(tasks: tuple[Loaded, ...], count: int, seed: int) -> list[Loaded]:
    """Draw tasks that load and lack no package here."""
    able = sorted((t for t in tasks if t.problem is None and not t.needs), key=lambda t: t.name)
    return random.Random(seed).sample(able, min(count, len(able)))


def programs(task: Loaded, factor: float | None) -> Iterator[tuple[float, str]]:
    """Yield the reference, and the reference that stores other values."""
    yield 1.0, task.source
    if factor is not None:
        yield factor, ast.unparse(Scaled(factor).visit(ast.parse(task.source)))


def judged(suite: str, task: Loaded, source: str, jail: Jail, seconds: float, settings: Settings) -> dict[str, Any]:
    """Judge a program by both; ours is asked only where theirs can tell."""
    one = theirs.judge(task, source, jail, seconds)
    other = suite_ours.judge(suite, task, source, settings) if one.passed is not None else suite_ours.Ours(None, "")
    return {"theirs": one.passed, "theirs_why": one.why, "ours": other.passed, "ours_why": other.why}


def main() -> None:
    """Judge a sample and say where the two differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=40)
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--factor", type=float)
    parser.add_argument("--seconds", type=float, default=120.0)
    options = parser.parse_args()
    rows = [json.loads(line) for line in options.rows.read_text().splitlines()] if options.rows.exists() else []
    known = {(r["name"], r["factor"]) for r in rows}
    settings = machine.resolve(config_files.load(None, {"pool": "inline", "basis": "predicted", "target": "mi300"}))
    jail = Jail(ours.FLAVOUR)
    for task in sample(suite_tasks.members(options.suite, options.root), options.sample, options.seed):
        for factor, source in programs(task, options.factor):
            if (task.name, factor) not in known:
                found = judged(options.suite, task, source, jail, options.seconds, settings)
                rows.append({"name": task.name, "factor": factor, **found})
                with options.rows.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    jail.close()
    for row in rows:
        differ = "  DIFFER" if None not in (row["theirs"], row["ours"]) and row["theirs"] != row["ours"] else ""
        print(
            f"{row['name']} x{row['factor']:g}  theirs {row['theirs']}, ours {row['ours']}{differ}  {row['ours_why']}"
        )


if __name__ == "__main__":
    main()
