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
from fitness.jobs import bfloat16

compare.TILE, compare.NARROW = 4096, (16, 512)  # a tile takes the interpreter as long whatever its size
bfloat16.install()  # the interpreter cuts it off otherwise

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
    yield "rounded twice", ((truth * 3).bfloat16().double() / 3).to(good.dtype)

found = []
for name in sys.argv[1:]:
    task = load(name)
    for case in (*task.cases[:2], *task.edges[:2]):
        every = trials(task, case, small=True)
        for trial in [t for t in every if t.misrounded is not None] or every[:2]:
            values = draw(trial, 3)
            if sum(v.numel() for v in values.values() if isinstance(v, torch.Tensor)) > 40_000:
                continue
            for want in yardstick.compute(functions(task), values, trial, "cpu", 3):
                for what, output in wrongs(want.truth, want.dtype):
                    expected = yardstick.ratio(want, output)[0]
                    numbers = compare.figures(output, want).tolist()
                    got = compare.found(numbers, want).ratio
                    same = expected == got or math.isclose(expected, got, rel_tol=1e-6)
                    found.append([name, case.name, trial.name, what, repr(expected), repr(got), same])
                    if what == "rounded twice" and want.misrounded is not None and output.numel() > 100:
                        said = compare.read([output], [want], numbers)[1]
                        told = "not the correctly rounded result where sums are exact" in said and ": at [" in said
                        found.append([name, case.name, trial.name, "told", "", said, told])
                    if what in ("rounded truth", "one NaN") and want.dtype != "int64" and output.numel():
                        one, other = compare.errors(output, want.truth), yardstick.errors(output, want.truth)
                        good = float(output.double().nan_to_num(0.0, 0.0, 0.0).abs().max())
                        for part in ("mean", "whole", "peak", "rows", "most"):
                            a, b = (torch.as_tensor(getattr(e, part), dtype=torch.float64) for e in (one, other))
                            close = torch.allclose(a, b, rtol=1e-9, atol=1e-12 * abs(good), equal_nan=True)
                            # what is not finite leaves the bank: nothing else of it is looked at
                            close = close or (not math.isfinite(one.whole) and not math.isfinite(other.whole))
                            found.append([name, case.name, trial.name, part, repr(a), repr(b), close])
print(json.dumps(found))
'''


@pytest.mark.parametrize(
    "task", [pytest.param("softmax", marks=pytest.mark.long), "row_sum", "embedding", "fp8_gemm_scaled"]
)
def test_the_device_and_the_host_hold_outputs_to_the_same_limits(task: str) -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, task], env=environment, capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert len(found) > 20
    assert [f for f in found if not f[-1]] == []
    assert ("told" in {f[3] for f in found}) == (task == "fp8_gemm_scaled")
    assert {f[3] for f in found} >= {"rounded truth", "zeros", "one NaN", "bfloat16 inside", "whole", "most"}


PAIRS = """
import json
import torch
from fitness.gpu import compare

compare.WORDS, compare.SPREAD = 64, 3
base = torch.arange(3000, dtype=torch.int16).view(torch.uint8)[:5000]
pairs, wanted = [], []
for start, size in ((0, 0), (0, 4000), (8, 4001), (3, 1500), (0, 7), (1, 1)):
    for place in (None, 0, size // 2, size - 1):
        if place is not None and not size:
            continue
        other = base.clone()
        if place is not None:
            other[start + place] ^= 1
        outside = base.clone()  # what lies beside a stretch does not count
        outside[start + size] ^= 1
        pairs.append(((other if place is not None else outside)[start : start + size], base[start : start + size]))
        wanted.append(float(place is not None))
print(json.dumps([compare.differ(pairs, "cpu").tolist(), wanted, len(compare.differ([], "cpu"))]))
"""


def test_stretches_that_differ_in_one_byte_anywhere_are_told_apart_from_equal_ones() -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PAIRS], env=environment, capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    got, wanted, none = json.loads(done.stdout)
    assert got == wanted
    assert {0.0, 1.0} == set(wanted)
    assert none == 0
