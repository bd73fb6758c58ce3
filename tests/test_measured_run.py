"""A measured run on a real GPU, as a person makes it: search, resume, measure, export, judge; and refusals."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import evo_kernel
from evo_kernel import frozen, machine, runs
from fitness.correctness import FULL
from fitness.evaluation import Basis
from fitness.gpu import discover
from suites import load

EVO = [sys.executable, "-m", "evo_kernel"]
TARGETS = machine.own_targets()

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not TARGETS, reason=f"no GPU with a sheet here: {discover.complaint() or 'none found'}"),
]


def run(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*EVO, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a measured search of two generations on softmax."""
    folder = tmp_path_factory.mktemp("measured") / "run"
    said = run(
        "search", "softmax", "--pool", "inline", "--generations", 2, "--population", 4, "--run", folder, "--workers", 4
    )
    assert "times are measured" in said.stderr
    assert "predicted" not in said.stdout
    assert "exported: " in said.stdout
    assert {name.split("/")[0] for name in frozen.read(folder)} >= {f"{FULL}{c.name}" for c in load("softmax").cases}
    return folder


def shown(folder: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(run("show", folder, "--json").stdout)
    return summary


def test_a_search_measures_confirms_and_says_so(found: Path) -> None:
    summary = shown(found)
    assert (summary["basis"], summary["target"]) == ("measured", TARGETS[0])
    assert summary["evaluations"] == 8
    best = summary["best"]
    assert best["confirmed"]
    assert best["device"] == discover.gpus()[0].name
    assert summary["gain_over_seed"] >= 0.97
    for case in best["cases"]:
        low, high = case["interval_us"]
        assert 0 < low <= case["measured_us"] <= high < 2 * low
        assert case["measured_us"] > 0.95 * case["roofline_us"]
    rivals = {c["rival"] for e in summary["elites"] for c in e["against"]}
    assert rivals <= {"baseline", "incumbent"}
    archive = runs.read(found).search.archive
    assert {archive[i].evaluation.basis for i in archive.history} == {Basis.MEASURED}


def test_an_exported_file_says_how_it_was_measured(found: Path) -> None:
    (file,) = list((found / "exported").glob("softmax_*.py"))
    head = file.read_text().split("\n\n")[0]
    assert f"MEASURED on {discover.gpus()[0].name}" in head
    assert "confirmed in fresh processes" in head
    assert "1000x2047-fp32" in head  # a held-out case
    assert f"--target {TARGETS[0]} --basis measured --held-out" in head


def test_a_run_is_resumed_measured_again_and_judged(found: Path) -> None:
    evo_kernel.resume(found, generations=3, workers=4)
    assert shown(found)["evaluations"] == 12
    rows = json.loads(run("measure", found, "--top", 2, "--json").stdout)
    assert 1 <= len(rows) <= 2
    assert all(r["confirmed"] and r["failure"] is None for r in rows)
    # the best of each end of the search was measured too: it is not always still among the fastest
    assert {r["id"] for r in rows} <= {m["id"] for m in shown(found)["measurements"]}
    (file, *_) = (found / "exported").glob("softmax_*.py")
    verdict = json.loads(run("judge", file, "--task", "softmax", "--held-out", "--json").stdout)
    assert verdict["passed"]
    assert (verdict["basis"], verdict["mode"]) == ("measured", "sealed")
    assert [g["state"] for g in verdict["gates"]] == ["ok"] * 7
    assert verdict["against"][0]["rival"] == "baseline"
    assert len(verdict["cases"]) == 7


def test_a_wrong_program_is_refused_on_the_device_with_its_gate(tmp_path: Path) -> None:
    from suites import load

    file = tmp_path / "wrong.py"
    source = load("softmax").seeds[0].source
    assert "/ norm" in source
    file.write_text(source.replace("/ norm", "/ (norm * 1.1)"))
    before = judging()
    verdict = json.loads(run("judge", file, "--task", "softmax", "--json", status=1).stdout)
    time.sleep(0.5)
    assert judging() <= before  # a judge's processes end with the command that started them
    assert (verdict["failure"]["stage"], verdict["failure"]["kind"]) == ("correctness", "wrong")
    assert verdict["device"] == discover.gpus()[0].name


def test_predicted_elites_become_measured_ones(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    evo_kernel.search("softmax", folder, basis="predicted", pool="inline", generations=1, population=2)
    assert shown(folder)["basis"] == "predicted"
    table = run("measure", folder, "--top", 1).stdout
    assert "measured on" in table
    assert "predicted" not in table
    text = run("show", folder).stdout
    assert "measured afterwards:" in text


def test_another_chip_is_predicted_and_said_so_or_refused(tmp_path: Path) -> None:
    other = "mi300" if TARGETS[0] != "mi300" else "h200"
    refused = run("search", "softmax", "--basis", "measured", "--target", other, "--run", tmp_path / "r", status=1)
    assert f"cannot measure for {other}" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "r").exists()


MODULE = """import torch


class Model(torch.nn.Module):
    def forward(self, x):
        return torch.relu(x) * 2 + 1


def get_inputs():
    return [torch.randn(2048, 4096)]


def get_init_inputs():
    return []
"""
ANSWER = """```python
import torch
import triton
import triton.language as tl


@triton.jit
def kernel(out_ptr, x_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offs, mask=offs < n)
    tl.store(out_ptr + offs, tl.maximum(x, 0.0) * 2 + 1, mask=offs < n)


def forward(x):
    out = torch.empty_like(x)
    n = x.numel()
    kernel[lambda meta: (triton.cdiv(n, meta["BLOCK"]),)](out, x, n, BLOCK=1024, num_warps=4)
    return out
```
"""


def test_a_module_of_kernelbench_is_held_against_pytorch_on_the_same_device(tmp_path: Path) -> None:
    level = tmp_path / "checkout" / "KernelBench" / "level1"
    level.mkdir(parents=True)
    (level / "1_Fused.py").write_text(MODULE)
    (tmp_path / "answer.md").write_text(ANSWER)
    out = tmp_path / "out"
    budget = ("--budget", 2, "--population", 2, "--generations", 1, "--model", f"command:cat {tmp_path / 'answer.md'}")
    run("suite", "run", "kernelbench", "--root", tmp_path / "checkout", "--out", out, *budget)
    report = json.loads((out / "report.json").read_text())
    (task,) = report["tasks"]
    assert task["seed_us"] is None
    assert 1.2 < task["total_speedup"] < 6  # three kernels of PyTorch's in one
    assert report["all"]["fast_p"]["1"] == 1.0


def judging() -> set[str]:
    """Return the processes that work on a device now."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_text()
        except OSError:
            continue
        if "fitness.gpu.bench" in text or "fitness.gpu.referee" in text:
            found.add(process.name)
    return found
