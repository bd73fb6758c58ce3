"""How many programs a minute KernelBench's evaluator judges here: softmax kernels, as its own script runs it.

    python benchmarks/peer_kernelbench.py --root CHECKOUT [--programs 6]

One fresh process for each program, 5 correctness trials, 100 timed ones. Modules that its package imports for
models' APIs, and does not use here, are replaced by empty ones where they are not installed.
"""

import argparse
import importlib.util
import multiprocessing
import sys
import time
import types
from pathlib import Path

REFERENCE = """
import torch
import torch.nn as nn


class Model(nn.Module):
    def forward(self, x):
        return torch.softmax(x, dim=-1)


def get_inputs():
    return [torch.randn(4096, 4096)]


def get_init_inputs():
    return []
"""

WRAPPER = """
import torch.nn as nn


class ModelNew(nn.Module):
    def forward(self, x):
        return softmax(x)
"""
UNUSED = ("openai", "litellm", "dotenv", "tomli", "tqdm", "modal", "datasets")


def _nothing(name: str) -> object:
    """Stand for whatever a module that is not used would hold."""
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda *args, **kwargs: None


def evaluate(root: str, source: str) -> tuple[bool, bool, float]:
    """Judge one program in this process with KernelBench's function."""
    for name in UNUSED:
        if importlib.util.find_spec(name) is None:
            module = types.ModuleType(name)
            module.__getattr__ = _nothing
            sys.modules[name] = module
    sys.path.insert(0, str(Path(root) / "src"))
    import torch
    from kernelbench.eval import eval_kernel_against_ref

    found = eval_kernel_against_ref(
        REFERENCE, source, num_correct_trials=5, num_perf_trials=100, measure_performance=True, backend="triton",
        device=torch.device("cuda:0"),
    )  # fmt: skip
    return found.compiled, found.correctness, found.runtime


def programs(count: int) -> list[str]:
    """Make softmax programs of different block sizes, wrapped as KernelBench wants them."""
    from suites import load

    seed = load("softmax").seeds[0].source
    return [seed.replace("BLOCK=256", f"BLOCK={128 << n % 6}") + WRAPPER for n in range(count)]


def main() -> None:
    """Print the rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True)
    parser.add_argument("--programs", type=int, default=6)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    started = time.time()
    for source in programs(options.programs):
        with context.Pool(1) as pool:
            compiled, correct, runtime = pool.apply(evaluate, (options.root, source))
        print(f"compiled {compiled}, correct {correct}, {runtime} ms", flush=True)
    took = time.time() - started
    print(f"KernelBench: {options.programs} programs in {took:.1f} s = {60 * options.programs / took:.1f} a minute")


if __name__ == "__main__":
    main()
