"""Masks with conditions on scalars under Triton's interpreter, which 3.9 made stricter."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import importlib, torch, triton, triton.language as tl
interpret = importlib.import_module("fitness.jobs.interpret")
interpret.prepare()

@triton.jit
def kernel(out, x, n, KIND: tl.constexpr):
    offs = tl.arange(0, 16)
    if KIND == 0:
        mask = (offs < n) & (n < 9999)
    elif KIND == 1:
        mask = (offs < n) & ((n > 9999) | (tl.program_id(0) == 0))
    else:
        mask = (n > 9999) | (offs < n)
    tl.store(out + offs, tl.load(x + offs, mask=mask), mask=mask)

x = torch.arange(16.0)
for kind in range(3):
    out = torch.zeros(16)
    kernel[(1,)](out, x, 9, kind)
    assert out.tolist() == [*map(float, range(9)), *[0.0] * 7], (kind, out)
print("right")
"""


def test_a_mask_may_have_a_condition_on_a_scalar(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, path], capture_output=True, text=True, check=False,
        env={"TRITON_INTERPRET": "1", "PYTHONPATH": ":".join(sys.path), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout == "right\n", done.stderr
