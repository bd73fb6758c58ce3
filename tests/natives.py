"""Which native tasks the slow tests go through: `benchmarks/native_tasks.py check` goes through all of them, whole."""

from suites import Case, Input, Task

# One of each kind of work that kernels of one launch do; examples in operators/knowledge/ belong to these.
TEN = (
    "embedding", "flip", "gelu_mul", "gemm_fp16", "layer_norm",
    "rms_norm", "row_sum", "softmax", "transpose", "vector_add",
)  # fmt: skip
# Those that the linter is held against in continuous integration: cheap ones of each kind.
LINTED = ("gemm_fp16", "layer_norm", "row_sum", "softmax", "vector_add")


def cheapest(task: Task) -> Case:
    """Return the public case with the fewest elements at the interpreter's size."""
    return min(task.cases, key=lambda c: sum(a.elements for a in c.arguments(True).values() if isinstance(a, Input)))
