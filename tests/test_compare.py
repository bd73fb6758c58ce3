"""What the referee computes on the device is the rule of yardstick.ratio; here its kernel runs under the interpreter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

SCRIPT = '''
import json, math, sys
import torch
from fitness import yardstick
from fitness.gpu import compare
from suites import load
from suites.loading import functions
from suites.trials import draw, trials
from fitness.jobs.rounding import rounding
from triton.runtime import interpreter

compare.TILE, compare.NARROW = 4096, (16, 512)  # a tile takes the interpreter as long whatever its size
builder = interpreter.interpreter_builder
builder.create_fp_trunc = rounding(builder.create_fp_trunc)  # it cuts bfloat16 off otherwise

def wrongs(truth, dtype):
    """Return outputs that are right, nearly right and wrong in several ways."""
    good = truth.to(getattr(torch, dtype))
    yield "rounded truth", good
    if not good.is_floating_point() or not good.numel():
        return
    yield "zeros", torch.zeros_like(good)
    for name, place in (("first", 0), ("last", -1)):
        bad = good.clone()
        bad.view(-1)[place] = bad.view(-1)[place] * 1.5 + 1
        yield f"{name} element wrong", bad
    odd = good.clone()
    odd.view(-1)[odd.numel() // 2] = math.nan
    yield "one NaN", odd
    yield "bfloat16 inside", good.bfloat16().to(good.dtype)

found = []
for name in sys.argv[1:]:
    task = load(name)
    for case in (*task.cases[:2], *task.edges[:4]):
        for trial in trials(task, case, small=True):
            values = draw(trial, 3)
            if sum(v.numel() for v in values.values() if isinstance(v, torch.Tensor)) > 40_000:
                continue
            for want in yardstick.compute(functions(task), values, trial, "cpu", 3):
                for what, output in wrongs(want.truth, want.dtype):
                    expected = yardstick.ratio(want, output)[0]
                    got = compare.found(compare.figures(output, want).tolist(), want).ratio
                    same = expected == got or math.isclose(expected, got, rel_tol=1e-6)
                    found.append([name, case.name, trial.name, what, repr(expected), repr(got), same])
print(json.dumps(found))
'''


@pytest.mark.parametrize("task", ["softmax", "row_sum", "embedding"])
def test_the_device_and_the_host_hold_outputs_to_the_same_limits(task: str) -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, task], env=environment, capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert len(found) > 20
    assert [f for f in found if not f[-1]] == []
    assert {f[3] for f in found} >= {"rounded truth", "zeros", "one NaN", "bfloat16 inside"}
