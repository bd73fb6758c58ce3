"""Compiles a plan's kernels to machine code. No Python of a candidate runs here, only its TTIR is read."""

from typing import Any

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from fitness import resources
from fitness.child import Report
from fitness.jobs.frontend import lower


def compile_kernels(payload: Any, report: Report) -> Any:
    """Compile each (digest, symbol, TTIR, options) for the target and return the compiler's figures."""
    report.stage("compile")
    target = GPUTarget(*payload["target"])
    results = []
    for number, (digest, symbol, ttir, options) in enumerate(payload["kernels"]):
        path = f"{number}.ttir"
        with open(path, "w", encoding="utf-8") as file:
            file.write(ttir)
        compiled = triton.compile(path, target=target, options=dict(options))
        figures = resources.read(compiled.asm, compiled.metadata._asdict(), symbol, target)
        results.append([digest, [getattr(figures, n) for n in type(figures).__slots__]])
    return results


@triton.jit
def _warm_up_kernel(out, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]  # triton reads the annotations
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + offs, offs)


def warm_up() -> None:
    """Compile a trivial kernel for every backend: the first compile costs 0.5 s more than the next."""
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRITON_CACHE_DIR"] = folder
        for target in (GPUTarget("hip", "gfx942", 64), GPUTarget("cuda", 90, 32)):
            src = ASTSource(_warm_up_kernel, {"out": "*i32", "BLOCK": "constexpr"}, constexprs={"BLOCK": 128})
            path = os.path.join(folder, "warm.ttir")
            with open(path, "w", encoding="utf-8") as file:
                file.write(lower(src, target, {}))
            triton.compile(path, target=target, options={})
