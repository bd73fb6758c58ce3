"""TritonBench checkouts: the 184 programs of TritonBench-G as their authors published them.

Their own harness compares what two files print, and most print nothing: two empty texts are equal. Here results are
compared instead, as GEAK-eval's revision does, so a test has to leave its result in `result_gold`.
"""

import ast
from pathlib import Path

from suites.foreign.loaded import Style
from suites.foreign.programs import Programs, assigned


class TritonBenchG(Programs):
    """The original TritonBench-G: programs with tests, in five levels."""

    name = "tritonbench-g"
    about = "TritonBench-G as first published: 184 kernels in five levels"
    looks_for: tuple[str, ...] = ("data/TritonBench_G_v1",)
    style: Style = "module"
    index = "data/TritonBench_G_v1.json"
    performance = "performance_metrics/perf_G/golden_metrics"
    count = 184
    versions = (None,)
    told = "comp_instru"

    def _fault(self, test: ast.Module) -> str | None:
        if "result_gold" in assigned(test):
            return None
        return "its tests set no result_gold when the file is imported: only what they print could be compared"

    def _unmeasured(self, root: Path) -> tuple[str, ...]:
        return super()._unmeasured(root) or self._unnamed(root)
